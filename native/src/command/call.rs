//! `offhook call`: calls somebody, plays, records, presses digits, hangs up.

use std::future::pending;
use std::path::Path;
use std::time::Duration;

use offhook::{Call, CallOptions, CallState, EndedBy, Ending, Error, Recording};
use tokio::time::{Instant, sleep, sleep_until};

use super::arguments::CallArguments;
use super::failure::{Failure, Status};
use super::output::Output;
use super::session::{Session, parameters};

pub(crate) async fn run(arguments: CallArguments, output: Output) -> Result<(), Failure> {
    let common = &arguments.common;
    check_files(&arguments)?;
    let mut parameters = parameters(common, 0)?;
    parameters.answer_timeout = arguments.answer_timeout.into();
    let session = Session::start(parameters, &common.watch, output).await?;
    let result = place(&session, &arguments).await;
    session.end().await?;
    result
}

/// A file that cannot be played is better known before the telephone rings.
fn check_files(arguments: &CallArguments) -> Result<(), Failure> {
    arguments.play.as_deref().map_or(Ok(()), |path| Ok(offhook::check_wav(path)?))
}

async fn place(session: &Session, arguments: &CallArguments) -> Result<(), Failure> {
    let mut options = CallOptions::default();
    options.headers.clone_from(&arguments.headers);
    let placed = Instant::now();
    let call = tokio::select! {
        call = session.phone.call_with(&arguments.target, options) => call?,
        () = session.signals.came() => return Ok(()),
    };
    let recordings =
        record(&call, arguments.record.as_deref(), arguments.record_received.as_deref());
    let result = match recordings {
        Ok(_) => converse(session, arguments, &call, placed).await,
        Err(ref error) => {
            end(&call).await;
            Err(error.clone().into())
        }
    };
    for mut recording in recordings.unwrap_or_default() {
        recording.finished().await?;
    }
    result
}

/// Begins the recordings that were asked for.
pub(crate) fn record(
    call: &Call,
    both: Option<&Path>,
    received: Option<&Path>,
) -> Result<Vec<Recording>, Error> {
    let both = both.map(|path| call.record(path));
    let received = received.map(|path| call.record_received(path));
    both.into_iter().chain(received).collect()
}

/// From the INVITE to the end.
async fn converse(
    session: &Session,
    arguments: &CallArguments,
    call: &Call,
    placed: Instant,
) -> Result<(), Failure> {
    let patience = async {
        match arguments.cancel_after {
            Some(after) => sleep_until(placed + after).await,
            None => pending().await,
        }
    };
    let given_up = tokio::select! {
        answered = call.answered() => match answered {
            Ok(()) => false,
            Err(error) => return Err(refused(call, error).await),
        },
        () = patience => true,
        () = session.signals.came() => true,
    };
    if given_up {
        // Answered or refused at the same moment: the call is over all the same, as asked.
        end(call).await;
        return Ok(());
    }
    let ending = tokio::select! {
        done = talk(arguments, call) => {
            // The far end hanging up while something was played is no failure of ours.
            if let Err(error) = done && !matches!(error, Error::Ended { .. }) {
                end(call).await;
                return Err(error.into());
            }
            end(call).await
        }
        ending = call.ended() => ending,
        () = session.signals.came() => end(call).await,
    };
    failed(&ending).map_or(Ok(()), Err)
}

/// Plays and presses what was asked for; returns when the call should be hung up.
async fn talk(arguments: &CallArguments, call: &Call) -> Result<(), Error> {
    let answered = Instant::now();
    let play = async {
        let Some(path) = &arguments.play else { return Ok(()) };
        loop {
            call.play(path).await?;
            if !arguments.repeat {
                return Ok(());
            }
        }
    };
    let press = async {
        let Some(digits) = &arguments.dtmf else { return Ok(()) };
        sleep_until(answered + arguments.dtmf_after).await;
        press(call, digits).await
    };
    let hold = async {
        let Some(after) = arguments.hold_after else { return Ok(()) };
        sleep_until(answered + after).await;
        call.hold().await?;
        let Some(after) = arguments.resume_after else { return Ok(()) };
        sleep_until(answered + after).await;
        call.resume().await
    };
    let all = async { tokio::try_join!(play, press, hold).map(drop) };
    match arguments.duration {
        Some(duration) => {
            let rest = async {
                all.await?;
                pending().await
            };
            tokio::select! {
                done = rest => done,
                () = sleep_until(answered + duration) => Ok(()),
            }
        }
        None if arguments.play.is_none() && arguments.dtmf.is_none() => {
            all.await?;
            pending().await
        }
        None => all.await,
    }
}

/// Presses digits, and waits until they have been sent.
pub(crate) async fn press(call: &Call, digits: &str) -> Result<(), Error> {
    let mut events = call.events();
    call.send_dtmf(digits)?;
    while let Some(event) = events.next().await {
        if event == offhook::CallEvent::DtmfSent {
            break;
        }
    }
    Ok(())
}

/// Ends a call whatever its state, and waits until it is over.
pub(crate) async fn end(call: &Call) -> Ending {
    loop {
        // The state may change between the look and the command; then the command is refused, and
        // the next look shows why.
        let refused = match call.state() {
            CallState::Answered => call.hangup().await,
            CallState::Dialing | CallState::Progress => call.cancel().await,
            CallState::Ringing => call.deny(480, None).await,
            CallState::Canceling | CallState::Ended => Ok(()),
        };
        if refused.is_ok() {
            return call.ended().await;
        }
        if call.state() == CallState::Ended {
            return call.ended().await;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// Why a call was not answered, for people, when it is over.
async fn refused(call: &Call, error: Error) -> Failure {
    call.ended().await;
    match error {
        Error::Timeout { .. } => Failure::new(
            Status::Call,
            "not_answered",
            "nobody answered the call in the time allowed",
        ),
        error => Failure::from(error).with_status(Status::Call),
    }
}

/// Why a call that was up ended, if that was a failure.
pub(crate) fn failed(ending: &Ending) -> Option<Failure> {
    let message = match ending.by {
        EndedBy::Local | EndedBy::Remote => return None,
        EndedBy::Timeout => "the far end fell silent, so the call was ended: is it still running?",
        EndedBy::Error => "the call failed",
    };
    let message = match (&ending.error, &ending.cause) {
        (Some(error), _) => format!("{message}: {error}"),
        (None, Some(cause)) => format!("{message}: {}", super::output::describe(cause)),
        (None, None) => message.to_owned(),
    };
    Some(Failure::new(Status::Call, "call_failed", message))
}
