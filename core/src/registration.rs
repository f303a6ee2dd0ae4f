//! Registration: the binding of our address to our name at the server (RFC 3261 §10.2).

use crate::agent::{Alarm, Answer, Crossing, Lost, Owner, Series, Target};
use crate::error::Error;
use crate::event::Cause;
use crate::host::Entropy;
use crate::sip::{HeaderName, Message, Method, Uri};
use crate::time::Duration;
use crate::timers::TimerId;
use crate::transaction::ClientId;

/// One phone's registration: one Call-ID, rising CSeq numbers (§10.2.4).
///
/// ```text
///   start ─► Seeking ─► Trying ── 200 ──────► Bound ── before it expires ─┐
///               ▲  │      │ ▲ └─ 423, 401 ─┐   │                          │
///               │  │      │ └──────────────┘   │                          │
///               │  └──┬───┘ failure            │ leave                    │
///               │     ▼                        ▼                          │
///               └── Waiting (back-off)      Leaving ── 200, or never ► end │
///               ▲                                                         │
///               └─────────────────────────────────────────────────────────┘
/// ```
#[derive(Debug)]
pub(crate) struct Registration {
    series: Series,
    state: State,
    /// How long to ask for, in seconds; a 423 raises it (§10.2.8).
    asked: u32,
    /// How many attempts in a row have failed.
    failures: u32,
    /// Whether the server has ever held our binding.
    was_bound: bool,
    timer: Option<TimerId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// A path is being looked for.
    Seeking,
    /// REGISTER was sent.
    Trying,
    /// The server holds our binding; the timer says when to refresh it.
    Bound,
    /// An attempt failed; the timer says when to try again.
    Waiting,
    /// REGISTER with Expires 0 was sent, or waits for a path.
    Leaving,
}

/// What became of an attempt, for the phone to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The server holds our binding, for this long.
    Bound(Duration),
    /// The attempt failed. It is tried again, unless it is `lost` for good.
    Failed { cause: Option<Cause>, error: Option<Error>, lost: bool },
    /// It is over; whether the server has said that the binding is gone.
    Left(bool),
}

/// The first wait after a failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A binding is refreshed this long before it ends, or halfway if that is later: long enough for a
/// request to time out (32 s) and be tried again.
const REFRESH_BEFORE: Duration = Duration::from_secs(60);

/// The longest binding taken from a server, and the longest that a 423 makes us ask for.
const LONGEST_BINDING: u32 = 86_400;

impl Registration {
    /// Begins to register at `registrar`.
    pub(crate) fn start(cx: &mut Crossing<'_>, registrar: Target) -> (Self, Option<Outcome>) {
        let expires = cx.agent.parameters.expires.as_secs().clamp(1, LONGEST_BINDING.into());
        let mut registration = Self {
            series: Series::new(cx, Owner::Registration, Method::Register, registrar),
            state: State::Seeking,
            asked: u32::try_from(expires).unwrap_or(LONGEST_BINDING),
            failures: 0,
            was_bound: false,
            timer: None,
        };
        let outcome = registration.attempt(cx);
        (registration, outcome)
    }

    /// Takes the binding back (§10.2.2); the outcome is [`Outcome::Left`].
    pub(crate) fn leave(&mut self, cx: &mut Crossing<'_>) -> Option<Outcome> {
        self.set_timer(cx, None);
        // What was refused or not answered, and never held, need not be taken back.
        let nothing_held = self.state == State::Waiting && !self.was_bound;
        self.state = State::Leaving;
        if !self.series.has_sent() || nothing_held {
            return Some(Outcome::Left(false));
        }
        self.attempt(cx)
    }

    /// Ends it without a word.
    pub(crate) fn close(mut self, cx: &mut Crossing<'_>) {
        self.set_timer(cx, None);
        self.series.close(cx);
    }

    /// Takes the path that was looked for.
    pub(crate) fn handle_path(
        &mut self,
        cx: &mut Crossing<'_>,
        path: Result<std::sync::Arc<crate::agent::Path>, Lost>,
    ) -> Option<Outcome> {
        match path {
            Ok(path) => {
                self.series.set_path(path);
                self.send(cx);
                None
            }
            Err(lost) => {
                let (lost, error) = match lost {
                    // Another attempt brings the same certificate; but a server that has held our
                    // binding may be about to renew its own.
                    Lost::Because(error @ Error::Untrusted { .. }) => {
                        (!self.was_bound, Some(error))
                    }
                    Lost::Because(error) => (matches!(error, Error::Nat { .. }), Some(error)),
                    Lost::Unreachable => (false, None),
                };
                let outcome = self.failed(cx, None, lost, None)?;
                Some(match outcome {
                    Outcome::Failed { cause, lost, .. } => Outcome::Failed { cause, error, lost },
                    other => other,
                })
            }
        }
    }

    /// Takes a response to a REGISTER.
    pub(crate) fn handle_response(
        &mut self,
        cx: &mut Crossing<'_>,
        client: ClientId,
        response: &Message,
    ) -> Option<Outcome> {
        let Answer::Final(refusal) = self.series.handle_response(cx, client, response)? else {
            return None;
        };
        let status = response.status().unwrap_or_default();
        if self.state == State::Leaving {
            return Some(Outcome::Left((200..300).contains(&status)));
        }
        match status {
            200..=299 => self.bound(cx, response),
            423 => self.too_brief(cx, response),
            _ => {
                // §22.1: what was refused is not shown again, so there is nothing left to try.
                // Nor is there when the server forbids it or does not know the user (§21.4.4,
                // §21.4.5); but a server that has held our binding may just be coming back.
                let lost = refusal.is_some() || (!self.was_bound && matches!(status, 403 | 404));
                self.failed(cx, Some(Cause::of(response)), lost, response.retry_after())
            }
        }
    }

    /// A REGISTER had no response, or could not be sent.
    pub(crate) fn handle_failure(
        &mut self,
        cx: &mut Crossing<'_>,
        client: ClientId,
    ) -> Option<Outcome> {
        if !self.series.handle_failure(client) {
            return None;
        }
        match self.state {
            State::Leaving => Some(Outcome::Left(false)),
            _ => self.failed(cx, None, false, None),
        }
    }

    /// Its timer fired: refresh, or try again.
    pub(crate) fn handle_alarm(&mut self, cx: &mut Crossing<'_>) -> Option<Outcome> {
        self.timer = None;
        matches!(self.state, State::Bound | State::Waiting).then(|| self.attempt(cx)).flatten()
    }

    fn attempt(&mut self, cx: &mut Crossing<'_>) -> Option<Outcome> {
        if self.state != State::Leaving {
            self.state = State::Seeking;
        }
        match self.series.seek(cx) {
            Ok(true) => {
                self.send(cx);
                None
            }
            Ok(false) => None,
            Err(_) => self.failed(cx, None, false, None),
        }
    }

    fn send(&mut self, cx: &mut Crossing<'_>) {
        let Some(path) = self.series.path().cloned() else { return };
        let expires = match self.state {
            State::Leaving => 0,
            _ => {
                self.state = State::Trying;
                self.asked
            }
        };
        let contact = cx.contact(&path);
        let fields = vec![
            (HeaderName::Contact, contact),
            (HeaderName::Expires, expires.to_string()),
            (HeaderName::Allow, crate::agent::ALLOWED.to_owned()),
        ];
        self.series.send(cx, fields);
    }

    fn bound(&mut self, cx: &mut Crossing<'_>, response: &Message) -> Option<Outcome> {
        let granted = self.granted(cx, response).min(LONGEST_BINDING);
        if granted == 0 {
            // A success that leaves us without a binding is none.
            return self.failed(cx, Some(Cause::of(response)), false, None);
        }
        let granted = Duration::from_secs(granted.into());
        self.failures = 0;
        self.was_bound = true;
        self.state = State::Bound;
        self.set_timer(cx, Some((granted - REFRESH_BEFORE).max(granted / 2)));
        Some(Outcome::Bound(granted))
    }

    /// How long the binding lasts (§10.2.4): what the response says of our Contact, or of all, or
    /// what we asked for.
    fn granted(&self, cx: &Crossing<'_>, response: &Message) -> u32 {
        let ours = self.series.path().map(|path| cx.contact(path)).unwrap_or_default();
        let ours = ours.trim_start_matches('<').trim_end_matches('>');
        let ours = Uri::parse(ours).ok();
        response
            .contacts()
            .flatten()
            .find(|contact| ours.as_ref().is_some_and(|ours| contact.uri().equivalent(ours)))
            .and_then(|contact| contact.expires())
            .or_else(|| response.expires())
            .unwrap_or(self.asked)
    }

    /// §10.2.8: asks again for as long as the registrar wants, if that is longer. It counts as a
    /// failure, so that a registrar that never has enough is left alone in the end.
    fn too_brief(&mut self, cx: &mut Crossing<'_>, response: &Message) -> Option<Outcome> {
        let patient = self.failures + 1 < cx.agent.parameters.registration_attempts.max(2);
        match response.min_expires() {
            Some(least) if patient && least > self.asked && least <= LONGEST_BINDING => {
                self.failures += 1;
                self.asked = least;
                self.attempt(cx)
            }
            _ => self.failed(cx, Some(Cause::of(response)), false, response.retry_after()),
        }
    }

    fn failed(
        &mut self,
        cx: &mut Crossing<'_>,
        cause: Option<Cause>,
        lost: bool,
        retry_after: Option<u32>,
    ) -> Option<Outcome> {
        if self.state == State::Leaving {
            return Some(Outcome::Left(false));
        }
        self.failures = self.failures.saturating_add(1);
        let lost = lost || self.failures >= cx.agent.parameters.registration_attempts.max(1);
        self.state = State::Waiting;
        if !lost {
            let asked = retry_after.map(|secs| Duration::from_secs(secs.into()));
            let wait = back_off(cx.host, self.failures).max(asked.unwrap_or_default());
            self.set_timer(cx, Some(wait.min(LONGEST_WAIT)));
        }
        Some(Outcome::Failed { cause, error: None, lost })
    }

    fn set_timer(&mut self, cx: &mut Crossing<'_>, after: Option<Duration>) {
        if let Some(timer) = self.timer.take() {
            cx.cancel_timer(timer);
        }
        self.timer = after.map(|after| cx.set_timer(after, Alarm::Registration));
    }
}

/// How long to wait after so many failures: doubling, and each time some of it left to chance, so
/// that the phones of a failed server do not all come back at once (as RFC 5626 §4.5).
fn back_off<E: Entropy + ?Sized>(host: &mut E, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = (FIRST_WAIT * (1 << doublings)).min(LONGEST_WAIT);
    let half = whole / 2;
    half + Duration::from_micros(host.random() % half.as_micros().max(1))
}

impl Cause {
    /// What a response says.
    pub(crate) fn of(response: &Message) -> Self {
        let code = response.status().unwrap_or_default();
        Self { retry_after: response.retry_after(), ..Self::new(code, response.reason()) }
    }
}
