//! The phone: the whole interface of signalling.

mod commands;
mod fields;
mod inbound;
mod keep_alive;
mod mapping;
mod network;
mod out_of_dialog;
mod requests;
mod running;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::agent::{Agent, Inspection, LineId};
pub use crate::agent::{Binding, Counters};
use crate::call::{Call, CallInfo, CallProfile, Order};
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{CallEvent, CallId, CallState, Event, PhoneEvent, PhoneStatus, SipRequestId};
use crate::host::{Endpoint, Host, Inbound};
use crate::map::{Map, Set};
use crate::media::MediaEvent;
use crate::registration::Registration;
use crate::sip::Reason;
use crate::time::Instant;
use crate::timers::TimerId;
use crate::transaction::ServerId;
use commands::Denial;
use keep_alive::Kept;
use mapping::Mappings;
use out_of_dialog::OutOfDialogRequest;

pub use fields::check_header;
pub use requests::RequestOptions;

/// A telephone's signalling: registers, places and takes calls, and controls the
/// [`MediaSession`](crate::rtp::MediaSession) of each call by [`Event::Media`].
///
/// Commands check the state at once and are carried out by the next call of
/// [`handle_deadline`](Endpoint::handle_deadline), for which
/// [`next_deadline`](Endpoint::next_deadline) asks at once. After each `handle_*` call take events
/// until [`next_event`](Self::next_event) returns `None`.
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
    /// Every call until its [`CallEvent::Ended`] is taken.
    calls: Map<CallId, Box<Call>>,
    /// Those that are over but for the reports on a transfer.
    remainders: Set<CallId>,
    /// Which call a CANCEL means.
    invites: Map<ServerId, CallId>,
    registration: Option<Registration>,
    /// When a start that has not registered has failed.
    starting: Option<TimerId>,
    /// The keep-alive to the server while we are registered.
    kept: Option<Kept>,
    /// Whether our public address has changed and the calls have not announced it yet, and when they
    /// last did.
    moved: bool,
    followed: Option<Instant>,
    /// The public addresses of our sockets, from a STUN server.
    mappings: Mappings,
    /// Requests outside dialogs that wait for their answers.
    requests: Map<SipRequestId, OutOfDialogRequest>,
    /// What commands asked for, to be carried out by the next call of the host.
    intents: VecDeque<Intent>,
    /// Whether a phone that has FAILED has not given everything back yet, for its calls go on.
    holding: bool,
    /// While stopping: what is waited for, and at most how long.
    stopping: Option<(Stopping, TimerId)>,
    /// The numbers given last.
    last_call: u64,
    last_request: u64,
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
    Hangup(CallId, Vec<Reason>),
    Hold(CallId, bool),
    Cancel(CallId, Vec<Reason>),
    Transfer(CallId, Box<Order>),
    Follow(CallId),
    Decline(CallId),
    Silent(CallId),
    Send(SipRequestId),
    RequestWithin(CallId),
    Move,
}

/// What a phone that stops waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stopping {
    /// The ends of its calls.
    Calls,
    /// The server's answer that the binding is removed.
    Registration,
}

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
            calls: Map::new(),
            remainders: Set::new(),
            invites: Map::new(),
            registration: None,
            starting: None,
            kept: None,
            moved: false,
            followed: None,
            mappings: Mappings::default(),
            requests: Map::new(),
            intents: VecDeque::new(),
            holding: false,
            stopping: None,
            last_call: 0,
            last_request: 0,
        })
    }

    /// Its parameters.
    pub fn parameters(&self) -> &PhoneParameters {
        &self.agent.parameters
    }

    /// The status. REGISTERED lasts through a routine refresh of the registration; one that fails
    /// makes it REGISTERING until the next success.
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
        self.agent.inspection = class.map(|class| Inspection::new(class.make()));
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

    /// The state of a call; `None` once its [`CallEvent::Ended`] was taken.
    pub fn state(&self, call: CallId) -> Option<CallState> {
        self.announced(call).map(Call::state)
    }

    /// What is known about a call; `None` once its [`CallEvent::Ended`] was taken.
    pub fn info(&self, call: CallId) -> Option<CallInfo> {
        self.profile(call).map(|profile| profile.info())
    }

    /// What is known about a call, shared rather than copied.
    pub fn profile(&self, call: CallId) -> Option<CallProfile> {
        self.announced(call).map(Call::profile)
    }

    /// The calls that are not over, oldest first.
    pub fn calls(&self) -> impl Iterator<Item = CallId> + '_ {
        let live = self.calls.iter().filter(|(_, call)| call.is_announced() && !call.is_over());
        live.map(|(id, _)| *id)
    }

    /// Handles an event of a call's media. [`MediaEvent::Silent`] ends the call
    /// ([`crate::event::EndedBy::Timeout`]).
    pub fn handle_media_event(&mut self, call: CallId, event: &MediaEvent) {
        if matches!(event, MediaEvent::Silent) && self.state(call) == Some(CallState::Answered) {
            self.intents.push_back(Intent::Silent(call));
        }
    }

    /// What is known about the call whose end is the next event: with that event it is forgotten.
    pub(crate) fn next_to_end(&self) -> Option<CallProfile> {
        match self.agent.events.front()? {
            Event::Call { call, event: CallEvent::Ended(_) } => self.profile(*call),
            _ => None,
        }
    }

    /// The next thing that happened.
    pub fn next_event(&mut self) -> Option<Event> {
        let event = self.agent.events.pop_front()?;
        // One whose end was announced early is still withdrawn from the far end.
        if let Event::Call { call, event: CallEvent::Ended(_) } = &event
            && self.calls.get(call).is_some_and(|call| call.is_over())
        {
            self.forget_call(*call);
        }
        Some(event)
    }

    /// The binding as the server's last 200 described it; `None` while there is no binding.
    pub fn binding(&self) -> Option<&Binding> {
        self.agent.binding.as_ref()
    }

    /// What the phone has counted since it was made.
    pub fn counters(&self) -> Counters {
        self.agent.counters
    }

    /// Becomes a line of a switchboard.
    pub(crate) fn set_line(&mut self, line: LineId) {
        self.agent.set_line(line);
    }

    fn announced(&self, call: CallId) -> Option<&Call> {
        self.calls.get(&call).filter(|call| call.is_announced()).map(|call| &**call)
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
            self.agent.events.push_back(Event::Phone(PhoneEvent::Status(status)));
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
        self.dispatch(host, inbound);
        self.finish_input(host);
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        self.carry_out(host);
        self.handle_alarms(host);
        self.finish_input(host);
    }

    fn next_deadline(&self) -> Option<Instant> {
        match self.intents.is_empty() {
            true => self.agent.next_deadline(),
            false => Some(Instant::ZERO),
        }
    }
}
