//! `offhook load`: calls by the thousand.

mod pace;
mod tally;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use offhook::{EndedBy, Error, Phone, PhoneOptions};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::EASY;
use super::arguments::LoadArguments;
use super::call::end;
use super::failure::{Failure, Status};
use super::output::Output;
use super::session::{Session, parameters};
use pace::Pace;
use tally::{Fate, Tally};

/// Places calls, with the sound of those beyond [`EASY`] on the runtime `many`.
pub(crate) async fn run(
    arguments: LoadArguments,
    output: Output,
    many: &Handle,
) -> Result<(), Failure> {
    let common = &arguments.common;
    let mut parameters = parameters(common, 0)?;
    parameters.answer_timeout = arguments.answer_timeout.into();
    let options = match arguments.media {
        true => PhoneOptions::default().share_media(EASY, many.clone()),
        false => PhoneOptions::default().without_sound(),
    };
    let output_of_all = output.without_calls();
    let session = Session::begin(parameters, options, &common.watch, output_of_all).await?;
    let (tally, result) = drive(&session, &arguments).await;
    output.report(&tally.value(), &tally.text());
    session.end().await?;
    result?;
    match tally.failed() {
        0 => Ok(()),
        failed => {
            let message = format!("{failed} of {} calls failed", tally.placed());
            Err(Failure::new(Status::Call, "calls_failed", message))
        }
    }
}

/// Places calls until there were enough, a signal comes or the registration is lost; then waits for
/// those that are up.
async fn drive(session: &Session, arguments: &LoadArguments) -> (Tally, Result<(), Failure>) {
    let progress = Progress::new(arguments.calls);
    let mut tally = Tally::new(arguments.rate, arguments.media);
    let script = Arc::new(Script { target: arguments.target.clone(), hold: arguments.hold });
    let mut pace = Pace::new(arguments.rate, Instant::now());
    let mut full_since = None;
    let mut active = JoinSet::new();
    let result = loop {
        let wanted = arguments.calls.map_or(u64::MAX, |calls| calls - tally.placed());
        if wanted == 0 && active.is_empty() {
            break Ok(());
        }
        let room = arguments.limit.saturating_sub(active.len() as u64).min(wanted);
        // What is not placed because of the limit is not made up for.
        match (wanted > 0 && room == 0, full_since) {
            (true, None) => full_since = Some(Instant::now()),
            (false, Some(since)) => {
                tally.limited += since.elapsed();
                pace.delay(since.elapsed());
                full_since = None;
            }
            _ => {}
        }
        tokio::select! {
            () = sleep_until(pace.next()), if room > 0 => {
                for _ in 0..pace.take(Instant::now(), room) {
                    tally.place(active.len() + 1);
                    active.spawn(one(session.phone.clone(), Arc::clone(&script)));
                }
            }
            Some(done) = active.join_next() => tally.add(done.unwrap_or(Fate::lost())),
            () = session.signals.came() => break Ok(()),
            failure = session.registration_lost() => break Err(failure),
        }
        progress.show(&tally, active.len());
    };
    tally.stop();
    // Stopping ends the calls, and with that the tasks that attend them.
    session.phone.stop().await;
    while let Some(done) = active.join_next().await {
        tally.add(done.unwrap_or(Fate::lost()));
    }
    progress.bar.finish_and_clear();
    (tally, result)
}

/// What happens in every call.
#[derive(Debug)]
struct Script {
    target: String,
    hold: Duration,
}

/// One call, from the INVITE to its end.
async fn one(phone: Phone, script: Arc<Script>) -> Fate {
    /// RFC 3261 §17.1.2.2: a BYE that nobody answers is given up after this (Timer F).
    const UNANSWERED: Duration = Duration::from_secs(32);
    let call = match phone.call(&script.target).await {
        Ok(call) => call,
        Err(Error::NotRunning) => return Fate::interrupted(),
        Err(error) => return Fate::failed(&error),
    };
    drop(phone);
    if let Err(error) = call.answered().await {
        return match call.ended().await.by {
            EndedBy::Local => Fate::interrupted(),
            _ => Fate::failed(&error),
        };
    }
    let (left, ending) = tokio::select! {
        () = sleep(script.hold) => (Some(Instant::now()), end(&call).await),
        ending = call.ended() => (None, ending),
    };
    match left {
        Some(left) if left.elapsed() >= UNANSWERED => Fate::unanswered_bye(&ending),
        _ => Fate::over(&ending),
    }
}

/// The line that a person watches.
struct Progress {
    bar: ProgressBar,
}

impl Progress {
    fn new(calls: Option<u64>) -> Self {
        /// Redrawn this many times a second at most.
        const RATE: u8 = 5;
        let bar = match std::io::stderr().is_terminal() {
            true => ProgressBar::new(calls.unwrap_or_default()),
            false => ProgressBar::hidden(),
        };
        if !bar.is_hidden() {
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(RATE));
        }
        let template = match calls {
            Some(_) => "{bar:30} {pos} of {len} calls, {msg}",
            None => "{pos} calls, {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar }
    }

    fn show(&self, tally: &Tally, active: usize) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_position(tally.placed());
        let (rate, failed) = (tally.achieved_rate().unwrap_or_default(), tally.failed());
        self.bar.set_message(format!("{rate:.1}/s, {active} up, {failed} failed"));
    }
}
