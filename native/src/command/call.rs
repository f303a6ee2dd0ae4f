//! `offhook call`: calls somebody, plays, records, presses digits, hangs up.

use std::future::pending;
use std::sync::OnceLock;
use std::time::Duration;

use offhook::{
    Call, CallDirection, CallEvent, CallOptions, CallState, EndedBy, Ending, Error, Referral,
    Transfer, TransferMode,
};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::arguments::CallArguments;
use super::failure::{Failure, Status};
use super::files::Files;
use super::output::Output;
use super::recordings::Recordings;
use super::session::{Session, parameters, patiently};

/// Longer than anybody talks.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3_600);
/// A few retransmissions of BYE.
const PATIENCE: Duration = Duration::from_secs(4);

pub(crate) async fn run(arguments: CallArguments, output: Output) -> Result<(), Failure> {
    let common = &arguments.common;
    check(&arguments, output)?;
    let mut parameters = parameters(common, 0)?;
    parameters.answer_timeout = arguments.answer_timeout.into();
    parameters.accept_transfer = arguments.accept_transfer;
    let session = Session::start(parameters, &common.watch, output).await?;
    let result = place(&session, &arguments).await;
    session.end().await?;
    result
}

/// What cannot be done is better known before the telephone rings.
fn check(arguments: &CallArguments, output: Output) -> Result<(), Failure> {
    if arguments.resume_after.is_some_and(|resume| Some(resume) < arguments.hold_after) {
        let message =
            "--resume-after counts from the answer too: it cannot come before --hold-after";
        return Err(Failure::new(Status::Usage, "resume_before_hold", message));
    }
    Files::default()
        .plays("--play", &arguments.play)
        .writes("--record", &arguments.record)
        .writes("--record-received", &arguments.record_received)
        .writes("--pcap", &arguments.common.watch.pcap)
        .check(output)
}

async fn place(session: &Session, arguments: &CallArguments) -> Result<(), Failure> {
    let mut options = CallOptions::default();
    options.max_redirects = Some(arguments.max_redirects);
    let placed = Instant::now();
    let call = tokio::select! {
        call = session.phone.call_with(&arguments.target, options) => call?,
        () = session.signals.came() => return Ok(()),
    };
    let CallArguments { record, record_received, .. } = arguments;
    let mut recordings = Recordings::new(session.output, record, record_received, 1);
    recordings.begin(&call);
    let result = converse(session, arguments, &call, placed, &mut recordings).await;
    result.and(recordings.finished().await)
}

/// From the INVITE to the end.
async fn converse(
    session: &Session,
    arguments: &CallArguments,
    call: &Call,
    placed: Instant,
    recordings: &mut Recordings<'_>,
) -> Result<(), Failure> {
    let patience = async {
        match arguments.cancel_after {
            Some(after) => sleep_until(placed + after).await,
            None => pending().await,
        }
    };
    // A provisional response says that it rings; 100 alone, of which there is no event, does not.
    let mut events = call.events();
    let rings = async {
        while let Some(event) = events.next().await {
            if matches!(event, CallEvent::State { cause: Some(_), .. } | CallEvent::Ended(_)) {
                break;
            }
        }
    };
    let wondering = async {
        patiently(session.output, &session.phone, &arguments.target, rings).await;
        pending().await
    };
    let given_up = tokio::select! {
        answered = call.answered() => match answered {
            Ok(()) => false,
            Err(error) => return Err(refused(session, call, error).await),
        },
        () = patience => true,
        given_up = wondering => given_up,
        () = session.signals.came() => true,
    };
    if given_up {
        // Answered or refused at the same moment: the call is over all the same, as asked.
        end_soon(session, call).await;
        return Ok(());
    }
    let mut referrals = session.phone.referrals();
    let untransferred = OnceLock::new();
    let answered = Instant::now();
    let ending = tokio::select! {
        // What has become of a transfer is known when its call ends, and counts.
        biased;
        done = talk(session, arguments, call, answered, &untransferred) => {
            // The far end hanging up while something was played is no failure of ours.
            if let Err(error) = done && !matches!(error, Error::Ended { .. }) {
                end_soon(session, call).await;
                return Err(error.into());
            }
            end_soon(session, call).await
        }
        ending = call.ended() => ending,
        Some(referral) = referrals.next() => {
            let over = answered + arguments.duration.unwrap_or(FOR_EVER);
            move_on(session, call, referral, over, recordings).await
        }
        () = session.signals.came() => end_soon(session, call).await,
    };
    if let Some(failure) = untransferred.into_inner() {
        return Err(failure);
    }
    failed(&ending).map_or(Ok(()), Err)
}

/// Goes where the far end sends us, and stays there, or here if nobody answers there, at most until
/// `over`; returns how the call that was left in the end has ended.
async fn move_on(
    session: &Session,
    call: &Call,
    referral: Referral,
    over: Instant,
    recordings: &mut Recordings<'_>,
) -> Ending {
    let mut referrals = session.phone.referrals();
    let (mut here, mut next) = (call.clone(), Some(referral));
    loop {
        if let Some(referral) = next.take() {
            let follow = async {
                let there = referral.accept().await?;
                recordings.begin(&there);
                there.answered().await.map(|()| there)
            };
            let there = tokio::select! {
                there = follow => there,
                () = sleep_until(over) => return end_soon(session, &here).await,
                () = session.signals.came() => return end_soon(session, &here).await,
            };
            if let Ok(there) = there {
                tokio::spawn(leave(std::mem::replace(&mut here, there)));
            }
        }
        tokio::select! {
            ending = here.ended() => return ending,
            () = sleep_until(over) => return end_soon(session, &here).await,
            () = session.signals.came() => return end_soon(session, &here).await,
            referral = referrals.next() => next = referral,
        }
    }
}

/// Lets the far end hang up a call that it has transferred, but does not wait for it for ever.
async fn leave(call: Call) {
    if timeout(PATIENCE, call.ended()).await.is_err() {
        end(&call).await;
    }
}

/// Plays and presses what was asked for; returns when the call should be hung up.
/// A transfer that fails leaves its failure in `untransferred`.
async fn talk(
    session: &Session,
    arguments: &CallArguments,
    call: &Call,
    answered: Instant,
    untransferred: &OnceLock<Failure>,
) -> Result<(), Error> {
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
    let transfer = async {
        let Some(target) = &arguments.transfer else { return Ok(()) };
        sleep_until(answered + arguments.transfer_after).await;
        let mode = if arguments.notified { TransferMode::Notified } else { TransferMode::Blind };
        if let Transfer::Failed { cause } = call.transfer(target, mode).await? {
            let why = cause.as_ref().map_or("no answer".into(), super::output::describe);
            let message = format!("the call was not transferred: {why}");
            let _ = untransferred.set(Failure::new(Status::Call, "transfer_failed", message));
        }
        Ok(())
    };
    let all = async { tokio::try_join!(play, press, hold, transfer).map(drop) };
    let nothing =
        arguments.play.is_none() && arguments.dtmf.is_none() && arguments.transfer.is_none();
    match arguments.duration {
        Some(duration) => {
            let rest = async {
                all.await?;
                pending().await
            };
            let over = async {
                sleep_until(answered + duration).await;
                end_soon(session, call).await;
            };
            tokio::select! {
                // The end of the call decides about a transfer that is under way.
                biased;
                done = rest => done,
                () = over => Ok(()),
            }
        }
        None if nothing => {
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

/// Ends the only call of a phone. A far end that is gone answers no BYE and lets no CANCEL be sent (RFC
/// 3261 §9.1) for 32 s: the phone stops rather than wait so long.
async fn end_soon(session: &Session, call: &Call) -> Ending {
    if let Ok(ending) = timeout(PATIENCE, end(call)).await {
        return ending;
    }
    session.phone.stop().await;
    call.ended().await
}

/// Ends a call whatever its state, and waits until it is over.
pub(crate) async fn end(call: &Call) -> Ending {
    loop {
        // The state may change between the look and the command; then the command is refused, and
        // the next look shows why.
        let refused = match call.state() {
            CallState::Answered => call.hangup().await,
            CallState::Ringing | CallState::Progress
                if call.info().direction == CallDirection::Incoming =>
            {
                call.deny(480, None).await
            }
            CallState::Dialing | CallState::Progress | CallState::Ringing => call.cancel().await,
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
async fn refused(session: &Session, call: &Call, error: Error) -> Failure {
    call.ended().await;
    match error {
        Error::Timeout { .. } => Failure::new(
            Status::Call,
            "not_answered",
            "nobody answered the call in the time allowed",
        ),
        error if error.code() == "untrusted" => session.failure(error),
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
