//! The phone: signalling, the only door to it.

mod errand;
mod inbound;
mod requests;
mod running;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use crate::agent::{Agent, Shown, Target};
use crate::call::{
    Call, CallInfo, CallOptions, CallProfile, MAX_STREAMS, Order, Reference, TransferMode,
    TransferOptions,
};
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{
    CallDirection, CallId, CallState, ErrandId, Event, MediaEvent, PhoneStatus, ReferralId,
};
use crate::host::{Endpoint, Host, Inbound};
use crate::registration::Registration;
use crate::sip::{HeaderName, NameAddr, check_name, check_value};
use crate::time::Instant;
use crate::timers::TimerId;
use crate::transaction::ServerId;
use errand::Errand;

pub use requests::RequestOptions;

/// A telephone's signalling: registers, places and takes calls, and says by [`Event::Media`] what
/// the media machine of each call has to do.
///
/// Commands check the state at once and are carried out at the next crossing, so after each of them
/// call [`handle_deadline`](Endpoint::handle_deadline) ([`next_deadline`](Endpoint::next_deadline)
/// says so). After each crossing take events until [`next_event`](Self::next_event) has none.
///
/// ```text
///                 start                     bound, or nothing to bind
///   INACTIVE ───────────────► REGISTERING ────────────────────────────► REGISTERED
///       ▲                     ▲    │    ▲          a refresh failed         │
///       │               start │    │    └───────────────────────────────────┤
///       │                     │    ▼ refused, or failed too often           │
///       │                     FAILED                                        │
///       │                       │ stop             stop                     │
///       └── DEREGISTERING ◄─────┴───────────────────────────────────────────┘
/// ```
///
/// What a call's state allows:
///
/// | state     | outgoing | incoming                                              |
/// |-----------|----------|-------------------------------------------------------|
/// | DIALING   | `cancel` |                                                       |
/// | RINGING   |          | `answer`, `progress`, `deny`, `redirect`              |
/// | PROGRESS  | `cancel` | `answer`, `deny`, `redirect`                          |
/// | ANSWERED  | `hangup`, `hold`, `resume`, `transfer` | the same                |
/// | CANCELING |          |                                                       |
/// | ENDED     |          |                                                       |
#[derive(Debug)]
pub struct Phone {
    agent: Agent,
    status: PhoneStatus,
    /// Every call until its [`Event::Ended`] is taken.
    calls: BTreeMap<CallId, Box<Call>>,
    /// Which call a CANCEL means.
    invites: BTreeMap<ServerId, CallId>,
    registration: Option<Registration>,
    errands: BTreeMap<ErrandId, Errand>,
    /// What commands asked for, for the next crossing.
    intents: VecDeque<Intent>,
    /// Whether a phone that has FAILED has not given everything back yet, for its calls go on.
    holding: bool,
    /// While stopping: what is waited for, and at most how long.
    stopping: Option<(Stopping, TimerId)>,
    /// The numbers given last.
    last_call: u64,
    last_errand: u64,
}

/// What a command asked for.
#[derive(Clone, Debug)]
enum Intent {
    Start,
    Stop,
    Place(CallId),
    Answer(CallId),
    Progress(CallId),
    Deny(CallId, Denial),
    Hangup(CallId),
    Hold(CallId, bool),
    Cancel(CallId),
    Transfer(CallId, Box<Order>),
    Follow(CallId),
    Decline(CallId),
    Silent(CallId),
    Errand(ErrandId),
    Inquire(CallId),
}

/// How a call is refused.
#[derive(Clone, Debug)]
struct Denial {
    code: u16,
    reason: Option<String>,
    /// Where the caller should go instead.
    contact: Option<String>,
}

/// What a phone that stops waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stopping {
    /// The ends of its calls.
    Calls,
    /// The server's word that the binding is gone.
    Registration,
}

/// What a phone has counted since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// SIP messages received that could be read.
    pub received: u64,
    /// Datagrams received that were no SIP message and could not be answered.
    pub malformed: u64,
    /// Responses to nothing we asked, and requests that cannot be answered (a stray ACK).
    pub stray: u64,
    /// Requests refused because a limit was reached.
    pub refused: u64,
    /// Challenges we did not answer: not the configured server, another realm, no credentials.
    pub unanswered_challenges: u64,
    /// Changes and answers of a [`SipHandler`](crate::handler::SipHandler) that could not be; the
    /// message went on as it was.
    pub changes_refused: u64,
}

/// The code and words of [`Phone::redirect`].
const MOVED: u16 = 302;

impl Phone {
    /// A phone that has not started.
    ///
    /// # Errors
    /// As [`PhoneParameters::check`].
    pub fn new(parameters: PhoneParameters) -> Result<Self, Error> {
        parameters.check()?;
        let agent = Agent::new(parameters);
        Ok(Self {
            agent,
            status: PhoneStatus::Inactive,
            calls: BTreeMap::new(),
            invites: BTreeMap::new(),
            registration: None,
            errands: BTreeMap::new(),
            intents: VecDeque::new(),
            holding: false,
            stopping: None,
            last_call: 0,
            last_errand: 0,
        })
    }

    /// What it was made of.
    pub fn parameters(&self) -> &PhoneParameters {
        &self.agent.parameters
    }

    /// Where it stands. REGISTERED lasts through a routine refresh of the registration; one that
    /// fails makes it REGISTERING until the next success.
    pub fn status(&self) -> PhoneStatus {
        self.status
    }

    /// Starts: registers if there is a server and the parameters say so. Ends in status REGISTERED
    /// (at once when nothing has to be registered) or FAILED.
    ///
    /// # Errors
    /// [`Error::InvalidStatus`] unless the phone is INACTIVE or FAILED.
    pub fn start(&mut self) -> Result<(), Error> {
        if !matches!(self.status, PhoneStatus::Inactive | PhoneStatus::Failed) {
            return Err(Error::InvalidStatus { command: "start", status: self.status });
        }
        let class = self.agent.parameters.sip_class.as_ref();
        self.agent.shown = class.map(|class| Shown::new(class.make()));
        self.holding = false;
        self.set_status(PhoneStatus::Registering);
        self.intents.push_back(Intent::Start);
        Ok(())
    }

    /// Stops: ends every call, whatever its state, takes the registration back and releases
    /// everything. Bounded in time; ends in status INACTIVE. Does nothing when not started.
    pub fn stop(&mut self) {
        if !matches!(self.status, PhoneStatus::Inactive | PhoneStatus::Deregistering) {
            self.set_status(PhoneStatus::Deregistering);
            self.intents.push_back(Intent::Stop);
        }
    }

    /// Calls `target`: a SIP URI, with or without a display name and angle brackets, `user@host`,
    /// or, with a server, a bare number or name there. The call is DIALING.
    ///
    /// # Errors
    /// [`Error::InvalidStatus`] unless the phone is started, [`Error::InvalidValue`] for a target or
    /// header field that cannot be used, [`Error::TooManyCalls`]. What turns out later comes in
    /// [`Event::Ended`].
    pub fn call(&mut self, target: &str, options: CallOptions) -> Result<CallId, Error> {
        self.require_started("call from")?;
        let target = self.agent.target(target)?;
        for (name, value) in &options.headers {
            check_header(name, value)?;
        }
        if options.codecs.as_ref().is_some_and(Vec::is_empty) {
            return Err(no_codecs());
        }
        if !(1..=MAX_STREAMS).contains(&options.streams) {
            let streams = options.streams.to_string();
            return Err(invalid("streams", &streams, "a call has 1 to 4 audio streams"));
        }
        self.place(target, options, None)
    }

    /// Makes a call, which was referred to by the far end of `referrer` perhaps.
    fn place(
        &mut self,
        target: Target,
        options: CallOptions,
        referrer: Option<CallId>,
    ) -> Result<CallId, Error> {
        let limit = self.agent.parameters.max_calls;
        if self.calls.len() >= limit {
            return Err(Error::TooManyCalls { limit });
        }
        let id = self.next_call();
        let limit = self.agent.parameters.max_redirects;
        let max_redirects = options.max_redirects.or(Some(limit));
        let options = CallOptions { max_redirects, ..options };
        let mut call = Call::outgoing(id, target, options);
        if let Some(referrer) = referrer {
            call.refer_from(referrer);
        }
        self.calls.insert(id, Box::new(call));
        let (state, cause) = (CallState::Dialing, None);
        self.agent.events.push_back(Event::State { call: id, state, cause });
        self.intents.push_back(Intent::Place(id));
        Ok(id)
    }

    /// Answers a call that is RINGING, or PROGRESS by [`progress`](Self::progress).
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state, and of an outgoing call; [`Error::NoSuchCall`].
    pub fn answer(&mut self, call: CallId) -> Result<(), Error> {
        let states = [CallState::Ringing, CallState::Progress];
        let (incoming, intent) = (CallDirection::Incoming, Intent::Answer(call));
        self.command(call, "answer", Some(incoming), &states, CallState::Answered, intent)
    }

    /// Opens the media of a call that is RINGING before it is answered: sends 183 with our session
    /// description. The call is PROGRESS.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state, and of an outgoing call; [`Error::NoSuchCall`].
    pub fn progress(&mut self, call: CallId) -> Result<(), Error> {
        let (incoming, intent) = (CallDirection::Incoming, Intent::Progress(call));
        let states = [CallState::Ringing];
        self.command(call, "progress", Some(incoming), &states, CallState::Progress, intent)
    }

    /// Refuses a call that is RINGING or PROGRESS with `code` (400 to 699; the seed's is 603) and
    /// `reason`, or the code's own phrase.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state, and of an outgoing call; [`Error::NoSuchCall`];
    /// [`Error::InvalidValue`] for another code or a reason with a line feed.
    pub fn deny(&mut self, call: CallId, code: u16, reason: Option<&str>) -> Result<(), Error> {
        if !(400..=699).contains(&code) {
            return Err(invalid("code", &code.to_string(), "a refusal has a code from 400 to 699"));
        }
        if let Some(reason) = reason {
            let problem = "it holds a line feed or a NUL";
            check_value(reason).map_err(|_| invalid("reason", reason, problem))?;
        }
        let denial = Denial { code, reason: reason.map(str::to_owned), contact: None };
        self.refuse(call, "deny", denial)
    }

    /// Sends the caller of a call that is RINGING or PROGRESS to the URI `contact` with 302.
    ///
    /// # Errors
    /// As [`deny`](Self::deny); [`Error::InvalidValue`] for a contact that is no URI.
    pub fn redirect(&mut self, call: CallId, contact: &str) -> Result<(), Error> {
        let usable = check_value(contact).is_ok();
        let address = NameAddr::parse(contact.trim()).ok().filter(|a| usable && !a.is_star());
        let uri = address.ok_or_else(|| invalid("contact", contact, "it is no URI"))?;
        let contact = Some(format!("<{}>", uri.uri_str()));
        self.refuse(call, "redirect", Denial { code: MOVED, reason: None, contact })
    }

    /// Ends a call that is ANSWERED.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state; [`Error::NoSuchCall`].
    pub fn hangup(&mut self, call: CallId) -> Result<(), Error> {
        let states = [CallState::Answered];
        self.command(call, "hang up", None, &states, CallState::Ended, Intent::Hangup(call))
    }

    /// Puts the far end of an ANSWERED call on hold (RFC 3264 §8.4): by re-INVITE, as soon as no
    /// other change of the session is under way. Of several wishes the latest counts. What becomes of
    /// it is [`Event::Hold`], also when the far end is held already, or [`Event::HoldFailed`]. Who
    /// holds hears nothing, and may still send: music, or silence.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state; [`Error::NoSuchCall`].
    pub fn hold(&mut self, call: CallId) -> Result<(), Error> {
        self.change(call, "hold", Intent::Hold(call, true))
    }

    /// Takes the far end of an ANSWERED call off our hold, as [`hold`](Self::hold) puts it on. It may
    /// hold us still.
    ///
    /// # Errors
    /// As [`hold`](Self::hold).
    pub fn resume(&mut self, call: CallId) -> Result<(), Error> {
        self.change(call, "resume", Intent::Hold(call, false))
    }

    /// Gives up an outgoing call that is DIALING or PROGRESS. The call is CANCELING until its end is
    /// known; an answer that crosses is taken and hung up.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state, and of an incoming call; [`Error::NoSuchCall`].
    pub fn cancel(&mut self, call: CallId) -> Result<(), Error> {
        let states = [CallState::Dialing, CallState::Progress];
        let (outgoing, intent) = (CallDirection::Outgoing, Intent::Cancel(call));
        self.command(call, "cancel", Some(outgoing), &states, CallState::Canceling, intent)
    }

    /// Asks the far end of a call that is ANSWERED to call `target` (as for [`call`](Self::call), or
    /// a sips URI) instead (REFER, RFC 3515). What becomes of it is [`Event::Transfer`]: known after
    /// at most 32 s when it is blind, else after [`answer_timeout`](PhoneParameters::answer_timeout)
    /// and 64 s.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state; [`Error::TransferPending`] while the outcome of
    /// another transfer is not known; [`Error::InvalidValue`] for a target that cannot be called, or
    /// no reports where they are waited for or where REFER could be forked (RFC 4488 §4);
    /// [`Error::NoSuchCall`].
    pub fn transfer(
        &mut self,
        call: CallId,
        target: &str,
        options: TransferOptions,
    ) -> Result<(), Error> {
        let (to, refer_to) = self.agent.referred(target)?;
        if options.no_reports && (options.mode != TransferMode::Blind || options.outside_dialog) {
            let problem = "only a blind transfer within the dialog can do without reports";
            return Err(invalid("transfer option", "no_reports", problem));
        }
        let pending =
            |intent: &Intent| matches!(intent, Intent::Transfer(other, _) if *other == call);
        if self.told(call).is_some_and(Call::is_transferring) || self.intents.iter().any(pending) {
            return Err(Error::TransferPending { call });
        }
        let intent = Intent::Transfer(call, Box::new(Order { to, refer_to, options }));
        let answered = CallState::Answered;
        self.command(call, "transfer", None, &[answered], answered, intent)
    }

    /// Calls whom the far end of a call wants us to call ([`Event::Referred`]), and reports to it how
    /// that goes. Returns the new call, which is DIALING. The old one lasts until somebody hangs it
    /// up; mostly the far end does when it learns of success.
    ///
    /// # Errors
    /// [`Error::NoSuchReferral`] when it is too late for that; [`Error::InvalidStatus`] unless the
    /// phone is started, [`Error::TooManyCalls`].
    pub fn accept_referral(&mut self, referral: ReferralId) -> Result<CallId, Error> {
        self.require_started("call from")?;
        let (call, reference) = self.asked(referral)?;
        let target = self.agent.target(&reference.target)?;
        let options = CallOptions { headers: reference.headers, ..CallOptions::default() };
        let id = self.place(target, options, Some(call))?;
        self.intents.push_front(Intent::Follow(call));
        Ok(id)
    }

    /// Refuses what the far end of a call wants ([`Event::Referred`]) with 603.
    ///
    /// # Errors
    /// [`Error::NoSuchReferral`] when it is too late for that.
    pub fn reject_referral(&mut self, referral: ReferralId) -> Result<(), Error> {
        let (call, _) = self.asked(referral)?;
        self.intents.push_back(Intent::Decline(call));
        Ok(())
    }

    /// The state of a call; `None` once its [`Event::Ended`] was taken.
    pub fn state(&self, call: CallId) -> Option<CallState> {
        self.told(call).map(Call::state)
    }

    /// What is known about a call; `None` once its [`Event::Ended`] was taken.
    pub fn info(&self, call: CallId) -> Option<CallInfo> {
        self.profile(call).map(|profile| profile.info())
    }

    /// The same in a form that costs nothing to pass on.
    pub fn profile(&self, call: CallId) -> Option<CallProfile> {
        self.told(call).map(Call::profile)
    }

    /// The calls that are not over, oldest first.
    pub fn calls(&self) -> impl Iterator<Item = CallId> + '_ {
        let live = self.calls.iter().filter(|(_, call)| call.is_told() && !call.is_over());
        live.map(|(id, _)| *id)
    }

    /// Takes what the media machine of a call says. [`MediaEvent::Silent`] ends the call
    /// ([`crate::event::EndedBy::Timeout`]).
    pub fn handle_media_event(&mut self, call: CallId, event: &MediaEvent) {
        if matches!(event, MediaEvent::Silent) && self.state(call) == Some(CallState::Answered) {
            self.intents.push_back(Intent::Silent(call));
        }
    }

    /// The next thing that happened.
    pub fn next_event(&mut self) -> Option<Event> {
        let event = self.agent.events.pop_front()?;
        if let Event::Ended { call, .. } = &event {
            self.calls.remove(call);
        }
        Some(event)
    }

    /// What the phone has counted since it was made.
    pub fn counters(&self) -> Counters {
        self.agent.counters
    }

    /// Checks a command, changes the state that the application sees, and notes the rest for the
    /// next crossing.
    fn command(
        &mut self,
        id: CallId,
        command: &'static str,
        direction: Option<CallDirection>,
        states: &[CallState],
        next: CallState,
        intent: Intent,
    ) -> Result<(), Error> {
        let call = self.calls.get_mut(&id).filter(|call| call.is_told());
        let call = call.ok_or(Error::NoSuchCall { call: id })?;
        let state = call.state();
        if !states.contains(&state) || direction.is_some_and(|wanted| wanted != call.direction()) {
            return Err(Error::InvalidState { command, state });
        }
        self.agent.events.extend(call.command(next));
        self.intents.push_back(intent);
        Ok(())
    }

    /// A command that leaves the call ANSWERED.
    fn change(&mut self, call: CallId, command: &'static str, intent: Intent) -> Result<(), Error> {
        let answered = CallState::Answered;
        self.command(call, command, None, &[answered], answered, intent)
    }

    fn refuse(&mut self, call: CallId, command: &'static str, denial: Denial) -> Result<(), Error> {
        let states = [CallState::Ringing, CallState::Progress];
        let (incoming, intent) = (CallDirection::Incoming, Intent::Deny(call, denial));
        self.command(call, command, Some(incoming), &states, CallState::Ended, intent)
    }

    /// What a referral asks for that the application may decide about, and of which call.
    fn asked(&self, referral: ReferralId) -> Result<(CallId, Reference), Error> {
        let mut calls = self.calls.iter();
        let found = calls.find_map(|(id, call)| Some((*id, call.asked(referral)?.clone())));
        let decided = |(call, _): &(CallId, Reference)| {
            self.intents.iter().any(|intent| match intent {
                Intent::Follow(other) | Intent::Decline(other) => other == call,
                _ => false,
            })
        };
        found.filter(|found| !decided(found)).ok_or(Error::NoSuchReferral { referral })
    }

    fn told(&self, call: CallId) -> Option<&Call> {
        self.calls.get(&call).filter(|call| call.is_told()).map(|call| &**call)
    }

    fn require_started(&self, command: &'static str) -> Result<(), Error> {
        match self.status {
            PhoneStatus::Registering | PhoneStatus::Registered => Ok(()),
            status => Err(Error::InvalidStatus { command, status }),
        }
    }

    fn set_status(&mut self, status: PhoneStatus) {
        if self.status != status {
            self.status = status;
            self.agent.events.push_back(Event::Status(status));
        }
    }

    fn next_call(&mut self) -> CallId {
        self.last_call += 1;
        CallId(self.last_call)
    }
}

impl Endpoint for Phone {
    fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        self.carry_out(host);
        self.take(host, inbound);
        self.settle(host);
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        self.carry_out(host);
        self.handle_alarms(host);
        self.settle(host);
    }

    fn next_deadline(&self) -> Option<Instant> {
        match self.intents.is_empty() {
            true => self.agent.next_deadline(),
            false => Some(Instant::ZERO),
        }
    }
}

/// Checks a header field that an application wants to add to a request.
///
/// # Errors
/// [`Error::InvalidValue`] for one that the phone writes itself, a name that is none, and a value
/// with a line feed or a NUL.
pub fn check_header(name: &str, value: &str) -> Result<(), Error> {
    const OURS: [HeaderName; 23] = [
        HeaderName::Accept,
        HeaderName::Allow,
        HeaderName::Authorization,
        HeaderName::CallId,
        HeaderName::Contact,
        HeaderName::ContentEncoding,
        HeaderName::ContentLength,
        HeaderName::ContentType,
        HeaderName::CSeq,
        HeaderName::Expires,
        HeaderName::From,
        HeaderName::MaxForwards,
        HeaderName::ProxyAuthorization,
        HeaderName::ProxyRequire,
        HeaderName::RecordRoute,
        HeaderName::Require,
        HeaderName::Route,
        HeaderName::RSeq,
        HeaderName::Supported,
        HeaderName::To,
        HeaderName::Unsupported,
        HeaderName::UserAgent,
        HeaderName::Via,
    ];
    check_field(name, value, &OURS)
}

/// Checks a header field of the application: none of `ours`.
fn check_field(name: &str, value: &str, ours: &[HeaderName]) -> Result<(), Error> {
    check_name(name).map_err(|_| invalid("header name", name, "it is no token"))?;
    if ours.contains(&HeaderName::from_str(name)) {
        return Err(invalid("header name", name, "the phone writes this header field itself"));
    }
    check_value(value).map_err(|_| invalid("header", value, "it holds a line feed or a NUL"))
}

fn invalid(what: &'static str, value: &str, problem: &'static str) -> Error {
    Error::invalid(what, value, problem)
}

fn no_codecs() -> Error {
    invalid("codecs", "", "at least one is needed")
}
