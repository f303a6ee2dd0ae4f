//! `offhook answer`: answers calls, as a script says.

use std::sync::Arc;

use offhook::{
    Call, CallState, DenyOptions, Error, PhoneOptions, PhoneParameters, Referral, Transport,
};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::EASY;
use super::arguments::AnswerArguments;
use super::call::{end, press};
use super::failure::{Failure, Status};
use super::files::Files;
use super::output::Output;
use super::recordings::Recordings;
use super::session::{Session, parameters};

/// Answers calls; what there is beyond [`EASY`] on the runtime `many`.
pub(crate) async fn run(
    arguments: AnswerArguments,
    output: Output,
    many: &Handle,
) -> Result<(), Failure> {
    Files::default()
        .plays("--play", &arguments.play)
        .plays("--early-media", &arguments.early_media)
        .writes("--record", &arguments.record)
        .writes("--record-received", &arguments.record_received)
        .writes("--pcap", &arguments.common.watch.pcap)
        .check(output)?;
    let common = &arguments.common;
    let alone = common.account.server.is_none();
    let transport = common.network.transport.as_deref().and_then(Transport::named);
    // Where a telephone is expected when nobody registers it anywhere.
    let port = if alone { transport.unwrap_or_default().default_port() } else { 0 };
    let mut parameters = parameters(common, port)?;
    check_reachable(&parameters, alone)?;
    parameters.accept_transfer = arguments.accept_transfer;
    let options = PhoneOptions::default().share_media(EASY, many.clone());
    let session = Session::begin(parameters, options, &common.watch, output).await?;
    let result = serve(&session, Arc::new(arguments), many).await;
    session.end().await?;
    result
}

/// Refuses to wait for calls that cannot come: without a server they come to where we listen.
fn check_reachable(parameters: &PhoneParameters, alone: bool) -> Result<(), Failure> {
    let message = match parameters.transport {
        Some(Transport::Tls) if alone && parameters.cert_file.is_none() => {
            "nobody could call over TLS: give --cert-file and --key-file, or name a --server"
        }
        Some(Transport::Ws | Transport::Wss) if alone => {
            "nobody could call over WebSocket, by which a phone only connects: name a --server"
        }
        _ => return Ok(()),
    };
    Err(Failure::new(Status::Usage, "unreachable", message))
}

/// Takes calls until there were enough, a signal comes, or the registration is lost.
async fn serve(
    session: &Session,
    arguments: Arc<AnswerArguments>,
    many: &Handle,
) -> Result<(), Failure> {
    let mut incoming = session.phone.incoming();
    let mut referrals = session.phone.referrals();
    let mut active = JoinSet::new();
    // How many calls were taken, and how many there were with those that we were transferred to.
    let (mut taken, mut number) = (0, 0);
    // A file that failed in one call, which was printed then, and ended no other.
    let mut failed = Ok(());
    let result = loop {
        if arguments.calls.is_some_and(|calls| taken >= calls) && active.is_empty() {
            break Ok(());
        }
        tokio::select! {
            call = incoming.next() => {
                let Some(call) = call else { break Ok(()) };
                if arguments.calls.is_some_and(|calls| taken >= calls) {
                    let _ = call.deny(480, None).await;
                } else if arguments.max_active.is_some_and(|most| active.len() as u64 >= most) {
                    let _ = call.deny(486, None).await;
                } else {
                    (taken, number) = (taken + 1, number + 1);
                    let task = take(session.output, Arc::clone(&arguments), call, number);
                    if active.len() < EASY {
                        active.spawn(task);
                    } else {
                        active.spawn_on(task, many);
                    }
                }
            }
            Some(referral) = referrals.next() => {
                number += 1;
                active.spawn(follow(session.output, Arc::clone(&arguments), referral, number));
            }
            Some(done) = active.join_next() => failed = done.unwrap_or(Ok(())).and(failed),
            () = session.signals.came() => break Ok(()),
            failure = session.registration_lost() => break Err(failure),
        }
    };
    // Stopping ends the calls, and that the tasks that attend them and their recordings.
    session.phone.stop().await;
    while let Some(done) = active.join_next().await {
        failed = done.unwrap_or(Ok(())).and(failed);
    }
    session.output.counters(session.phone.counters().await);
    result.and(failed)
}

/// Goes where a far end sends us, and does there what is done with callers.
async fn follow(
    output: Output,
    arguments: Arc<AnswerArguments>,
    referral: Referral,
    number: u64,
) -> Result<(), Failure> {
    // Its events are followed elsewhere.
    let Ok(call) = referral.accept().await else { return Ok(()) };
    take(output, arguments, call, number).await
}

/// Attends one call to its end, recordings included. A file that fails is reported at once.
async fn take(
    output: Output,
    arguments: Arc<AnswerArguments>,
    call: Call,
    number: u64,
) -> Result<(), Failure> {
    let AnswerArguments { record, record_received, .. } = &*arguments;
    let mut recordings = Recordings::new(output, record, record_received, number);
    recordings.begin(&call);
    let attended = tokio::select! {
        attended = attend(output, &arguments, &call) => attended,
        _ = call.ended() => Ok(()),
    };
    let attended = match attended {
        Err(error @ (Error::File { .. } | Error::Wav { .. })) => {
            Err(output.report_failure(error.into()))
        }
        // The caller was quicker; the events show it.
        _ => Ok(()),
    };
    end(&call).await;
    attended.and(recordings.finished().await)
}

/// Does what the arguments say; returns when the call should be ended.
async fn attend(output: Output, arguments: &AnswerArguments, call: &Call) -> Result<(), Error> {
    if call.state() != CallState::Ringing {
        // One that we were transferred to.
        call.answered().await?;
        return converse(output, arguments, call).await;
    }
    if let Some(code) = arguments.reject {
        let mut options = DenyOptions::default();
        (options.reason, options.retry_after) = (arguments.reason.clone(), arguments.retry_after);
        return call.deny_with(code, options).await;
    }
    if let Some(contact) = &arguments.redirect {
        return call.redirect(contact).await;
    }
    // Even a timer of no length would make the answer up to a millisecond late.
    if !arguments.delay.is_zero() {
        sleep(arguments.delay).await;
    }
    if let Some(path) = &arguments.early_media {
        call.progress().await?;
        // Who leaves the offer to us hears nothing before the answer (RFC 3261 §13.2.1).
        if call.info().streams > 0 {
            Box::pin(call.play(path)).await?;
        }
    }
    call.answer().await?;
    converse(output, arguments, call).await
}

/// What happens from the answer to the end of the time allowed.
async fn converse(output: Output, arguments: &AnswerArguments, call: &Call) -> Result<(), Error> {
    // Thousands of calls may do no more than wait, for which there is little to keep.
    let script = async {
        match is_idle(arguments) {
            true => {
                call.ended().await;
                Ok(())
            }
            false => Box::pin(script(output, arguments, call)).await,
        }
    };
    match arguments.duration {
        Some(duration) => timeout(duration, async {
            script.await?;
            std::future::pending().await
        })
        .await
        .unwrap_or(Ok(())),
        None => script.await,
    }
}

/// What happens on the answered call; returns when everything that has an end has ended.
async fn script(output: Output, arguments: &AnswerArguments, call: &Call) -> Result<(), Error> {
    let play = async {
        match &arguments.play {
            Some(path) => call.play(path).await,
            None => Ok(()),
        }
    };
    let dial = async {
        match &arguments.dtmf {
            Some(digits) => press(call, digits).await,
            None => Ok(()),
        }
    };
    let collect = async {
        let Some(count) = arguments.collect else { return Ok(()) };
        let digits = call.read_dtmf(count.into()).await?;
        let value =
            json!({ "event": "collected", "call": call.id().to_string(), "digits": digits });
        output.report(&value, &format!("call {}: collected {digits}", call.id()));
        Ok(())
    };
    // Echoing begins after what is played, so that the caller does not hear both at once.
    let play_and_echo = async {
        play.await?;
        if arguments.echo { echo(call).await } else { Ok(()) }
    };
    tokio::try_join!(play_and_echo, dial, collect)?;
    Ok(())
}

/// Whether an answered call has nothing to do but last.
fn is_idle(arguments: &AnswerArguments) -> bool {
    let AnswerArguments { play, dtmf, collect, echo, .. } = arguments;
    play.is_none() && dtmf.is_none() && collect.is_none() && !echo
}

/// Sends back what is heard, until the call ends.
pub(crate) async fn echo(call: &Call) -> Result<(), Error> {
    /// How much is read before the first is sent, in packets, so that a late reader makes no gap.
    const CUSHION: usize = 3;
    /// Packets a second.
    const PACKETS: usize = 50;
    let rate = call.rate();
    let packet = rate as usize / PACKETS;
    let mut samples = vec![0; packet * CUSHION];
    loop {
        let count = call.read_audio(rate, &mut samples).await?;
        if count == 0 {
            return Ok(());
        }
        // The call may have ended between the two.
        match call.write_audio(rate, samples.get(..count).unwrap_or_default()) {
            Err(Error::Ended { .. }) => return Ok(()),
            taken => taken?,
        };
        samples.truncate(packet);
    }
}
