//! `offhook trace`: a ladder diagram from a capture.

use std::path::Path;

use offhook::core::trace::Capture;
use offhook::{Error, io_problem};
use serde_json::json;

use super::arguments::TraceArguments;
use super::failure::{Failure, Status};
use super::output::Output;

pub(crate) fn run(arguments: &TraceArguments, output: Output) -> Result<(), Failure> {
    let path = &arguments.file;
    let file = std::fs::read(path).map_err(|error| problem(path, "cannot read it", &error))?;
    let capture = Capture::read(&file).map_err(|error| problem(path, "cannot read it", &error))?;
    let Capture { trace, unread, other, .. } = &capture;
    let packets = trace.packets().len();
    if packets == 0 {
        let message = format!(
            "{}: there is no SIP over UDP or TCP in it ({unread} packets are cut or of other protocols, {other} something else)",
            path.display()
        );
        return Err(Failure::new(Status::Nothing, "no_sip", message));
    }
    if let Some(path) = &arguments.svg {
        std::fs::write(path, trace.svg())
            .map_err(|error| problem(path, "cannot write it", &error))?;
    }
    let ladder = trace.ladder();
    let value = json!({
        "event": "ladder", "text": ladder, "packets": packets, "unread": unread, "other": other,
    });
    let mut text = ladder.trim_end().to_owned();
    if *unread > 0 {
        text.push_str(&format!("\n({unread} packets are cut or of other protocols)"));
    }
    output.report(&value, &text);
    Ok(())
}

fn problem(path: &Path, what: &str, error: &dyn std::fmt::Display) -> Failure {
    let problem = format!("{what}: {}", io_problem(error));
    Error::File { path: path.to_owned(), problem }.into()
}
