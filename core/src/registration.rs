//! Registration: the binding of our address to our name at the server (RFC 3261 §10.2), and of the
//! flow that leads to us (RFC 5626).

use std::sync::Arc;

use crate::agent::{
    Alarm, Binding, Context, Lost, Owner, Path, Series, SeriesStep, Target, granted,
};
use crate::error::Error;
use crate::event::Cause;
use crate::host::{Entropy, Flow};
use crate::sip::{HeaderName, Message, Method};
use crate::time::{Duration, Instant, WallTime};
use crate::timers::TimerId;
use crate::transaction::{ClientId, FailureCause};

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
/// When the flow is lost on which it is bound, or the network changes, it seeks again at once.
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
    /// Whether to ask for outbound (RFC 5626): there is an instance, and no proxy is against it.
    outbound: bool,
    /// The Contact of the latest REGISTER, and that of the binding that the server still holds.
    contact: String,
    held: Option<String>,
    /// When a new Contact was last registered before a refresh was due.
    moved: Option<Instant>,
    timer: Option<TimerId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// A path is being looked for.
    Seeking,
    /// REGISTER was sent.
    Trying,
    /// The server holds our binding; when to refresh it, by both clocks.
    Bound(Instant, WallTime),
    /// An attempt failed; the timer says when to try again.
    Waiting,
    /// REGISTER with Expires 0 was sent, or waits for a path.
    Leaving,
}

/// The result of an attempt, for the phone's events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum RegistrationOutcome {
    /// The server holds our binding, for this long.
    Bound(Duration),
    /// The binding is of no more use, and a new one is sought.
    Again,
    /// The attempt failed. It is tried again, unless it is `lost` for good.
    Failed { cause: Option<Cause>, error: Option<Error>, lost: bool },
    /// It is over; whether the server has said that the binding is gone.
    Left(bool),
}

impl RegistrationOutcome {
    /// The same, if it failed, with what was in the way.
    fn because(self, error: Option<Error>) -> Self {
        match self {
            Self::Failed { cause, lost, .. } => Self::Failed { cause, error, lost },
            other => other,
        }
    }
}

/// The first wait after a failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A binding is refreshed this long before it ends, or halfway if that is later: long enough for a
/// request to time out (32 s) and be tried again.
const REFRESH_BEFORE: Duration = Duration::from_secs(60);

/// How often the clocks are looked at while we are bound. The monotonic clock may stand still while a
/// machine sleeps; then only the wall clock shows that the binding has expired meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The least time between two registrations of a new Contact before a refresh is due: a NAT or a
/// server that reports another address each time is not followed.
pub(crate) const MOVES_APART: Duration = Duration::from_secs(30);

/// The option tags of a REGISTER (RFC 3327 §5.1, RFC 5626 §4.2.1).
const SUPPORTED: &str = "path";
const SUPPORTED_WITH_OUTBOUND: &str = "path, outbound";

/// The longest binding taken from a server, and the longest that a 423 makes us ask for.
const LONGEST_BINDING: u32 = 86_400;

impl Registration {
    /// Begins to register at `registrar`.
    pub(crate) fn start(
        cx: &mut Context<'_>,
        registrar: Target,
    ) -> (Self, Option<RegistrationOutcome>) {
        let expires = cx.agent.parameters.expires.as_secs().clamp(1, LONGEST_BINDING.into());
        let mut registration = Self {
            series: Series::new(cx, Owner::Registration, Method::Register, registrar),
            state: State::Seeking,
            asked: u32::try_from(expires).unwrap_or(LONGEST_BINDING),
            failures: 0,
            was_bound: false,
            outbound: cx.agent.parameters.instance.is_some(),
            contact: String::new(),
            held: None,
            moved: None,
            timer: None,
        };
        let outcome = registration.attempt(cx);
        (registration, outcome)
    }

    /// Takes the binding back (§10.2.2); the outcome is [`RegistrationOutcome::Left`].
    pub(crate) fn leave(&mut self, cx: &mut Context<'_>) -> Option<RegistrationOutcome> {
        self.set_timer(cx, None);
        // What was refused or not answered, and never held, need not be taken back.
        let nothing_held = self.state == State::Waiting && !self.was_bound;
        self.state = State::Leaving;
        cx.agent.binding = None;
        if !self.series.has_sent() || nothing_held {
            return Some(RegistrationOutcome::Left(false));
        }
        self.attempt(cx)
    }

    /// Ends it without unregistering.
    pub(crate) fn close(mut self, cx: &mut Context<'_>) {
        self.set_timer(cx, None);
        cx.agent.binding = None;
        self.series.close(cx);
    }

    /// A flow is over: when it is the one on which we are bound, the server cannot reach us any more
    /// (RFC 5626 §4.5).
    pub(crate) fn handle_flow_lost(
        &mut self,
        cx: &mut Context<'_>,
        flow: Flow,
    ) -> Option<RegistrationOutcome> {
        let bound = matches!(self.state, State::Bound(..));
        if !bound || self.series.path().is_none_or(|path| path.flow != flow) {
            return None;
        }
        let error = Error::Unreachable {
            peer: cx.agent.parameters.server_host().unwrap_or_default(),
            problem: "the connection to it was lost".to_owned(),
        };
        let outcome = RegistrationOutcome::Failed { cause: None, error: Some(error), lost: false };
        self.seek_again(cx).or(Some(outcome))
    }

    /// The network has changed: seeks a new binding at once, and gives the old one back.
    pub(crate) fn handle_network_change(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Option<RegistrationOutcome> {
        if self.state == State::Leaving {
            return None;
        }
        // What has failed on the old network says nothing of the new one.
        self.failures = 0;
        self.seek_again(cx).or(Some(RegistrationOutcome::Again))
    }

    fn seek_again(&mut self, cx: &mut Context<'_>) -> Option<RegistrationOutcome> {
        self.set_timer(cx, None);
        self.series.abandon(cx);
        self.attempt(cx)
    }

    /// The path of the latest REGISTER.
    pub(crate) fn path(&self) -> Option<&Arc<Path>> {
        self.series.path()
    }

    /// Whether an attempt has failed, and it is waited before the next.
    pub(crate) fn is_waiting(&self) -> bool {
        self.state == State::Waiting
    }

    /// What there is to say while the latest REGISTER has no response: a challenge came before it.
    pub(crate) fn no_answer(&self) -> Option<Error> {
        self.series.no_answer()
    }

    /// The flow of the latest REGISTER.
    #[cfg(test)]
    pub(crate) fn flow(&self) -> Option<Flow> {
        self.series.path().map(|path| path.flow)
    }

    /// Takes the path that was looked for.
    pub(crate) fn handle_path(
        &mut self,
        cx: &mut Context<'_>,
        path: Result<Arc<Path>, Lost>,
    ) -> Option<RegistrationOutcome> {
        match path {
            Ok(path) if self.series.set_path(Arc::clone(&path)) => {
                self.send(cx);
                None
            }
            Ok(_) => self.exhausted(cx),
            Err(_) if self.series.has_failed() => self.exhausted(cx),
            Err(lost) => self.unreached(cx, lost),
        }
    }

    /// There is no path.
    fn unreached(&mut self, cx: &mut Context<'_>, lost: Lost) -> Option<RegistrationOutcome> {
        let (lost, error) = match lost {
            // Another attempt brings the same certificate; but a server that has held our binding
            // may be about to renew its own.
            Lost::Because(error @ Error::Untrusted { .. }) => (!self.was_bound, Some(error)),
            Lost::Because(error) => (matches!(error, Error::Nat { .. }), Some(error)),
            Lost::Unreachable => (false, None),
        };
        self.failed(cx, None, lost, None).map(|outcome| outcome.because(error))
    }

    /// Takes a response to a REGISTER.
    pub(crate) fn handle_response(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        response: &Message,
    ) -> Option<RegistrationOutcome> {
        if self.state == State::Trying && matches!(response.status(), Some(401 | 407)) {
            // What was refused has bound nothing: the next try may say where we are seen.
            self.readvertise(cx);
            self.series.rewrite(self.fields(cx, self.asked));
        }
        let refusal = match self.series.handle_response(cx, client, response)? {
            SeriesStep::Wait => return None,
            SeriesStep::Again => {
                self.send(cx);
                return None;
            }
            SeriesStep::Final(refusal) => refusal,
        };
        let status = response.status().unwrap_or_default();
        if self.state == State::Leaving {
            return Some(RegistrationOutcome::Left((200..300).contains(&status)));
        }
        match status {
            200..=299 => self.bound(cx, response),
            423 => self.too_brief(cx, response),
            // RFC 5626 §4.2.1: our proxy cannot do it, so we do without.
            439 if self.outbound => {
                self.outbound = false;
                self.attempt(cx)
            }
            _ => {
                // §22.1: what was refused is not shown again, so there is nothing left to try.
                // Nor is there when the server forbids it or does not know the user (§21.4.4,
                // §21.4.5); but a server that has held our binding may just be coming back.
                let lost = refusal.is_some() || (!self.was_bound && matches!(status, 403 | 404));
                // RFC 3608 §6.1.
                cx.agent.binding = None;
                self.failed(cx, Some(Cause::of(response)), lost, response.retry_after())
            }
        }
    }

    /// A REGISTER had no response, or could not be sent.
    pub(crate) fn handle_failure(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        cause: FailureCause,
    ) -> Option<RegistrationOutcome> {
        match self.series.handle_failure(cx, client, cause)? {
            SeriesStep::Wait => None,
            SeriesStep::Again => {
                self.send(cx);
                None
            }
            SeriesStep::Final(_) => {
                let error = self.series.take_problem();
                self.failed(cx, None, false, None).map(|outcome| outcome.because(error))
            }
        }
    }

    /// Every server has failed; the last server's answer is the reason.
    fn exhausted(&mut self, cx: &mut Context<'_>) -> Option<RegistrationOutcome> {
        let refusal = self.series.take_refusal();
        let retry_after = refusal.as_ref().and_then(Message::retry_after);
        let error = self.series.take_problem();
        let outcome = self.failed(cx, refusal.as_ref().map(Cause::of), false, retry_after);
        outcome.map(|outcome| outcome.because(error))
    }

    /// Its timer fired: refresh, or try again.
    pub(crate) fn handle_alarm(&mut self, cx: &mut Context<'_>) -> Option<RegistrationOutcome> {
        self.timer = None;
        match self.state {
            State::Bound(at, wall) if cx.now() < at && cx.host.wall() < wall => {
                // A move that came too soon after another has waited.
                let outcome = self.handle_move(cx);
                if matches!(self.state, State::Bound(..)) {
                    self.look_again(cx, at);
                }
                outcome
            }
            State::Bound(..) | State::Waiting => self.attempt(cx),
            _ => None,
        }
    }

    fn attempt(&mut self, cx: &mut Context<'_>) -> Option<RegistrationOutcome> {
        if self.state != State::Leaving {
            self.state = State::Seeking;
        }
        match self.series.seek(cx) {
            Ok(true) => {
                self.send(cx);
                None
            }
            Ok(false) => None,
            Err(lost) => self.unreached(cx, lost),
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) {
        let Some(path) = self.series.path().cloned() else { return };
        let expires = match self.state {
            State::Leaving => 0,
            _ => {
                self.state = State::Trying;
                self.asked
            }
        };
        self.contact = cx.contact_uri(&path, path.secure);
        let fields = self.fields(cx, expires);
        self.series.send(cx, fields);
    }

    fn fields(&self, cx: &Context<'_>, expires: u32) -> Vec<(HeaderName, String)> {
        let mut fields = vec![(HeaderName::Contact, self.contact_field(cx))];
        // The registrar replaces the binding of the same instance and flow itself (RFC 5626 §6).
        let replaced = cx.agent.binding.as_ref().is_some_and(|binding| binding.outbound);
        let old = self.held.as_ref().filter(|held| **held != self.contact && !replaced);
        fields.extend(old.map(|old| (HeaderName::Contact, format!("<{old}>;expires=0"))));
        fields.push((HeaderName::Expires, expires.to_string()));
        fields.push((HeaderName::Allow, crate::agent::ALLOWED.to_owned()));
        let supported = if self.outbound { SUPPORTED_WITH_OUTBOUND } else { SUPPORTED };
        fields.push((HeaderName::Supported, supported.to_owned()));
        fields
    }

    /// The server sees us at another address than our Contact's (RFC 3581): registers the new one at
    /// once, or, if that was just done, at the next look at the clocks.
    pub(crate) fn handle_move(&mut self, cx: &mut Context<'_>) -> Option<RegistrationOutcome> {
        let now = cx.now();
        let just = self.moved.is_some_and(|moved| now.since(moved) < MOVES_APART);
        if !matches!(self.state, State::Bound(..)) || just || !self.readvertise(cx) {
            return None;
        }
        self.moved = Some(now);
        self.seek_again(cx)
    }

    /// Updates the Contact to advertise; true when it has changed.
    fn readvertise(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(path) = self.series.path() else { return false };
        let path = cx.agent.readvertised(path);
        let contact = cx.contact_uri(&path, path.secure);
        self.series.set_path(path);
        core::mem::replace(&mut self.contact, contact) != self.contact
    }

    /// Our Contact with what names this phone and its flow (RFC 5626 §4.2.1); a phone has one.
    fn contact_field(&self, cx: &Context<'_>) -> String {
        let uri = &self.contact;
        match &cx.agent.parameters.instance {
            Some(urn) if self.outbound => format!("<{uri}>;+sip.instance=\"<{urn}>\";reg-id=1"),
            Some(urn) => format!("<{uri}>;+sip.instance=\"<{urn}>\""),
            None => format!("<{uri}>"),
        }
    }

    fn bound(&mut self, cx: &mut Context<'_>, response: &Message) -> Option<RegistrationOutcome> {
        let instance = cx.agent.parameters.instance.as_deref();
        let granted = granted(response, &self.contact, instance, self.asked);
        let granted = granted.min(LONGEST_BINDING);
        if granted == 0 {
            // A success that leaves us without a binding is none.
            return self.failed(cx, Some(Cause::of(response)), false, None);
        }
        let granted = Duration::from_secs(granted.into());
        self.failures = 0;
        self.was_bound = true;
        self.held = Some(self.contact.clone());
        cx.agent.binding = Some(Binding::read(&self.contact, response));
        let refresh = (granted - REFRESH_BEFORE).max(granted / 2);
        let wall = WallTime::from_micros(cx.host.wall().as_micros() + refresh.as_micros());
        let at = cx.now() + refresh;
        self.state = State::Bound(at, wall);
        self.look_again(cx, at);
        self.handle_move(cx).or(Some(RegistrationOutcome::Bound(granted)))
    }

    fn look_again(&mut self, cx: &mut Context<'_>, refresh: Instant) {
        let left = refresh.since(cx.now());
        self.set_timer(cx, Some(left.min(LOOK_EVERY)));
    }

    /// §10.2.8: asks again for as long as the registrar wants, if that is longer. It counts as a
    /// failure, so that a registrar that never has enough is left alone in the end.
    fn too_brief(
        &mut self,
        cx: &mut Context<'_>,
        response: &Message,
    ) -> Option<RegistrationOutcome> {
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
        cx: &mut Context<'_>,
        cause: Option<Cause>,
        lost: bool,
        retry_after: Option<u32>,
    ) -> Option<RegistrationOutcome> {
        if self.state == State::Leaving {
            return Some(RegistrationOutcome::Left(false));
        }
        self.failures = self.failures.saturating_add(1);
        // A server that has held our binding comes back some day, unless it says that it will not.
        let refused =
            cause.as_ref().is_some_and(|cause| cause.code / 100 != 5 && cause.code != 408);
        let counts = refused || !self.was_bound;
        let attempts = cx.agent.parameters.registration_attempts.max(1);
        let lost = lost || (counts && self.failures >= attempts);
        self.state = State::Waiting;
        if !lost {
            let asked = retry_after.map(|secs| Duration::from_secs(secs.into()));
            let wait = back_off(cx.host, self.failures).max(asked.unwrap_or_default());
            self.set_timer(cx, Some(wait.min(LONGEST_WAIT)));
        }
        Some(RegistrationOutcome::Failed { cause, error: None, lost })
    }

    fn set_timer(&mut self, cx: &mut Context<'_>, after: Option<Duration>) {
        if let Some(timer) = self.timer.take() {
            cx.cancel_timer(timer);
        }
        self.timer = after.map(|after| cx.set_timer(after, Alarm::Registration));
    }
}

/// How long to wait after so many failures: doubling, and each time some of it left to chance, so
/// that the phones of a failed server do not all come back at once. That is RFC 5626 §4.5, whose
/// times may be configured, with 1 s as base-time and 300 s as max-time: a server that is back soon is
/// found soon.
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
