//! `offhook options`: a SIP ping.

use offhook::Reply;
use serde_json::json;

use super::arguments::OptionsArguments;
use super::failure::{Failure, Status};
use super::output::{Output, describe, printable};
use super::session::{Session, interrupted, parameters, patiently};

pub(crate) async fn run(arguments: OptionsArguments, output: Output) -> Result<(), Failure> {
    let mut parameters = parameters(&arguments.common, 0)?;
    // Asking needs no binding, and should not disturb one.
    parameters.register = false;
    let session = Session::start(parameters, &arguments.common.watch, output).await?;
    let target = &arguments.target;
    let result = tokio::select! {
        answer = patiently(output, &session.phone, target, session.phone.options(target)) => answer.map_err(|error| match error {
            offhook::Error::Timeout { .. } => {
                let message = format!("{target} does not answer: is it running, and is the address right?");
                Failure::new(Status::Nothing, "timeout", message)
            }
            error if matches!(error.code(), "unreachable" | "no_answer") => {
                Failure::from(error).with_status(Status::Nothing)
            }
            error => session.failure(error),
        }),
        () = session.signals.came() => Err(interrupted()),
    };
    let result = result.map(|Reply { cause, round_trip, .. }| {
        let ms = (round_trip.as_secs_f64() * 1e6).round() / 1e3;
        let value = json!({
            "event": "options", "target": target, "code": cause.code, "reason": cause.reason,
            "round_trip_ms": ms,
        });
        output.report(&value, &format!("{}: {} in {ms} ms", printable(target), describe(&cause)));
    });
    session.end().await?;
    result
}
