//! `offhook message`: an instant message.

use offhook::Reply;
use serde_json::json;

use super::arguments::MessageArguments;
use super::failure::{Failure, Status};
use super::output::{Output, describe, printable};
use super::session::{Session, interrupted, parameters, patiently};

pub(crate) async fn run(arguments: MessageArguments, output: Output) -> Result<(), Failure> {
    let mut parameters = parameters(&arguments.common, 0)?;
    // Sending needs no binding, and should not disturb one.
    parameters.register = false;
    let session = Session::start(parameters, &arguments.common.watch, output).await?;
    let MessageArguments { target, text, content_type, .. } = &arguments;
    let result = tokio::select! {
        answer = patiently(output, &session.phone, target, session.phone.message(target, text, content_type)) => answer.map_err(|error| match error {
            offhook::Error::Timeout { .. } => {
                let message = format!("{target} did not answer the message: is it running, and is the address right?");
                Failure::new(Status::Call, "timeout", message)
            }
            error => session.failure(error),
        }),
        () = session.signals.came() => Err(interrupted()),
    };
    let result = result.map(|Reply { cause, .. }| {
        let value = json!({
            "event": "message_sent", "target": target, "code": cause.code, "reason": cause.reason,
        });
        output.report(&value, &format!("{}: {}", printable(target), describe(&cause)));
    });
    session.end().await?;
    result
}
