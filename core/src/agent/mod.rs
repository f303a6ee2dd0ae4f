//! The user agent's core (RFC 3261 §8): what calls, registration, pings and instant messages have
//! in common.
//!
//! [`Agent`] holds the transactions, the timers, the paths to peers and the queue of events;
//! [`Context`] is an agent together with the host that has just called, and is what every handler
//! of the layers above is given. Read [`paths`] and `locate` for where requests go, [`request`] and
//! [`response`] for what is written.

mod binding;
mod counters;
mod deferred;
mod flows;
mod in_dialog;
mod inspection;
mod learned;
mod line_id;
#[cfg(test)]
mod path_tests;
mod paths;
mod ports;
mod request;
mod response;
mod return_path;
mod seeking;
mod series;
mod tag;
mod target;
mod unreadable;

use std::collections::VecDeque;

pub use binding::Binding;
pub(crate) use binding::granted;
pub use counters::Counters;
pub(crate) use in_dialog::{InDialogRequest, Progress};
pub(crate) use inspection::Inspection;
pub(crate) use learned::AddressChange;
pub use line_id::LineId;
pub(crate) use paths::{Lost, Path, Reach};
pub(crate) use ports::MediaPorts;
pub(crate) use request::{Attempt, Content, MAX_MESSAGE, Refusal, Request};
pub(crate) use response::{ACCEPTED, ACCEPTED_BODIES, ALLOWED, Query, Response, SUPPORTED};
pub(crate) use seeking::{HOST_TIMEOUT, SearchResult};
pub(crate) use series::{Series, SeriesStep};
pub(crate) use tag::Tag;
pub(crate) use target::Target;

use crate::auth::{DigestClient, RealmPin};
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{CallEvent, CallId, Event, PhoneEvent, ReferralId, SipRequestId};
use crate::host::{Flow, Host, MediaPort, RequestId};
pub(crate) use crate::locate::Hop;
use crate::map::Map;
use crate::sip::{BRANCH_COOKIE, Message};
use crate::stream::Connections;
use crate::time::{Duration, Instant};
use crate::timers::{TimerId, Timers};
use crate::transaction::{ClientId, Failure, Layer, Limits, ServerId, Timing};

/// How our own copies of a 2xx are spaced (RFC 3261 §13.3.1.4), as those of a transaction are.
const TIMING: Timing = Timing {
    t1: Duration::from_millis(500),
    t2: Duration::from_secs(4),
    t4: Duration::from_secs(5),
};
/// The first interval.
pub(crate) const T1: Duration = TIMING.t1;
/// The longest.
pub(crate) const T2: Duration = TIMING.t2;
/// How long anything may take to be answered: 64*T1.
pub(crate) const TRANSACTION: Duration = TIMING.transaction();

/// The part of the phone that a request, path or timer belongs to; it gets the outcome.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Owner {
    /// A call.
    Call(CallId),
    /// The registration.
    Registration,
    /// The keep-alive.
    KeepAlive,
    /// A request of its own: a ping, an instant message, or what the application made.
    OutOfDialog(SipRequestId),
    /// A request that is too large for a datagram.
    Large(ClientId),
    /// An ACK that is.
    Ack(u64),
    /// A response whose connection is gone.
    Response(ServerId),
}

/// What a timer is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Alarm {
    /// The host has not said how to reach a peer.
    Path(RequestId),
    /// The host has not bound media ports.
    Bind(RequestId),
    /// Media has had time to send RTCP BYE.
    Release(MediaPort),
    /// A timer of a call.
    Call(CallId, CallAlarm),
    /// The registration wants to be refreshed, or tried again.
    Registration,
    /// The first registration has taken too long.
    Start,
    /// A keep-alive is due, or was not answered.
    KeepAlive,
    /// A STUN server is to be asked, again, or has taken too long.
    Mapping,
    /// Stopping has timed out.
    Stop,
}

/// What a call's timer is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CallAlarm {
    /// Nobody has answered in time.
    Unanswered,
    /// A provisional response is due each minute, so that no proxy cancels the INVITE (RFC 3261
    /// §13.3.1.1).
    Remind,
    /// A response that nobody has acknowledged has to be sent again (§13.3.1.4).
    RepeatResponse,
    /// No 2xx comes again: the ACK need not be kept (§13.2.2.4).
    DropAck,
    /// An ACK that was lost with its connection is sent again (§13.2.2.4).
    RepeatAck,
    /// The far end has not said in time what became of a transfer.
    TransferTimeout,
    /// The application has not said in time whether to follow a referral.
    ReferralTimeout,
    /// The next report of a referral is due.
    Report,
    /// A re-INVITE may be tried again, or has had no final response for too long (§14.1).
    Change,
    /// What is left of a call's dialog has been waited for long enough (RFC 6665 §4.5.2).
    Forget,
    /// There may be a path from the new network now.
    Relocate,
}

/// What the parts of a phone share.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) parameters: PhoneParameters,
    pub(crate) events: VecDeque<Event>,
    pub(crate) counters: Counters,
    pub(crate) timers: Timers<Alarm>,
    /// Made at the host's first call: its tables hash with a random key from the host.
    transactions: Option<Layer>,
    /// The owner of each client transaction.
    clients: Map<ClientId, Owner>,
    /// The owner of each local tag: finds the dialog of a message (RFC 3261 §12.2.2).
    tags: Map<Tag, Owner>,
    /// The binding that the registrar holds, as its last 200 described it.
    pub(crate) binding: Option<Binding>,
    /// The application's [`SipHandler`](crate::handler::SipHandler), if there is one.
    pub(crate) inspection: Option<Inspection>,
    /// The connections.
    pub(crate) connections: Connections,
    /// The connections to the server that are over, the latest first, while we are not registered anew.
    lost_home: Vec<Flow>,
    /// Which line of a switchboard it is, if it shares its host with others.
    pub(crate) line: Option<LineId>,
    /// What waits for a connection.
    deferred: deferred::Deferred,
    /// The `.invalid` host name that stands for us over WebSocket (RFC 7118 §5), from the first
    /// connection on.
    nowhere: Option<String>,
    paths: paths::Paths,
    learned: learned::Learned,
    unreadable: unreadable::Unreadable,
    ports: ports::Ports,
    digest: DigestClient,
    pin: RealmPin,
    /// The number of the last request to the host.
    requests: u64,
    /// The number of the last referral.
    referrals: u64,
    /// Messages are written here.
    buffer: Vec<u8>,
}

impl Agent {
    pub(crate) fn new(parameters: PhoneParameters) -> Self {
        Self {
            events: VecDeque::new(),
            counters: Counters::default(),
            timers: Timers::new(),
            transactions: None,
            clients: Map::new(),
            tags: Map::new(),
            binding: None,
            inspection: None,
            connections: Connections::default(),
            lost_home: Vec::new(),
            line: None,
            deferred: deferred::Deferred::default(),
            nowhere: None,
            paths: paths::Paths::default(),
            learned: learned::Learned::default(),
            unreadable: unreadable::Unreadable::default(),
            ports: ports::Ports::default(),
            digest: DigestClient::new(parameters.allow_md5),
            pin: RealmPin::new(parameters.realm.as_deref()),
            requests: 0,
            referrals: 0,
            buffer: Vec::new(),
            parameters,
        }
    }

    /// Forgets everything that belongs to one run of the phone, and gives back what the host lent.
    pub(crate) fn close(&mut self, host: &mut dyn Host) {
        self.close_paths();
        self.deferred = deferred::Deferred::default();
        self.connections.close_all(host);
        self.forget_all_learned();
        self.unreadable = unreadable::Unreadable::default();
        self.close_ports(host);
        self.lost_home.clear();
        self.timers = Timers::new();
        self.transactions = None;
        self.clients.clear();
        self.tags.clear();
    }

    /// The transactions.
    pub(crate) fn transactions(&mut self, host: &mut dyn Host) -> &mut Layer {
        self.transactions.get_or_insert_with(|| Layer::new(host, Limits::default()))
    }

    /// When the next timer or transaction is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let transactions = self.transactions.as_ref().and_then(Layer::next_deadline);
        let connections = self.connections.next_deadline();
        [self.timers.next_deadline(), transactions, connections].into_iter().flatten().min()
    }

    /// Who waits for the outcome of a client transaction. With its first final response or its
    /// failure (`last`) it is forgotten: a further 2xx to INVITE is found by its tag.
    pub(crate) fn owner_of_client(&mut self, client: ClientId, last: bool) -> Option<Owner> {
        match last {
            true => self.clients.remove(&client),
            false => self.clients.get(&client).copied(),
        }
    }

    /// Whose tag this is.
    pub(crate) fn owner_of_tag(&self, tag: Option<&str>) -> Option<Owner> {
        self.tags.get(&Tag::parse(tag?)?).copied()
    }

    /// A tag for a dialog or a series of requests (RFC 3261 §19.3).
    pub(crate) fn new_tag(&mut self, host: &mut dyn Host, owner: Owner) -> Tag {
        loop {
            let tag = self.random_tag(host);
            if self.tags.insert_new(tag, owner) {
                return tag;
            }
        }
    }

    /// A tag that nobody will be asked for (§8.2.6.2).
    pub(crate) fn random_tag(&self, host: &mut dyn Host) -> Tag {
        let random = host.random();
        Tag::new(self.line.map_or(random, |line| line.in_tag(random)))
    }

    /// A branch that no other request ever has (§8.1.1.7).
    fn new_branch(&self, host: &mut dyn Host) -> String {
        let mut branch = Layer::new_branch(host);
        if let Some(line) = self.line {
            let number = line.in_branch();
            let start = BRANCH_COOKIE.len();
            branch.replace_range(start..start + number.len(), &number);
        }
        branch
    }

    /// Becomes one of many lines: from now on its tags, branches, requests to the host and Contact
    /// name it.
    pub(crate) fn set_line(&mut self, line: LineId) {
        self.line = Some(line);
        self.requests = line.first_request();
    }

    /// Gives a tag back.
    pub(crate) fn forget_tag(&mut self, tag: Tag) {
        self.tags.remove(&tag);
    }

    /// The next transaction that failed.
    pub(crate) fn next_failure(&mut self) -> Option<Failure> {
        self.transactions.as_mut().and_then(Layer::next_event)
    }

    /// Whether nothing is under way and nobody is remembered.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        let quiet = self.transactions.as_ref().is_none_or(Layer::is_empty);
        quiet && self.timers.is_empty() && self.clients.is_empty() && self.tags.is_empty()
    }

    pub(crate) fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }
}

/// The agent together with the host that is calling: what every handler is given.
pub(crate) struct Context<'a> {
    pub(crate) host: &'a mut dyn Host,
    pub(crate) agent: &'a mut Agent,
}

impl Context<'_> {
    /// What time it is.
    pub(crate) fn now(&self) -> Instant {
        self.host.now()
    }

    /// Queues an event for the application.
    pub(crate) fn emit(&mut self, event: Event) {
        self.agent.events.push_back(event);
    }

    /// Queues an event of a call for the application.
    pub(crate) fn emit_call(&mut self, call: CallId, event: CallEvent) {
        self.emit(Event::Call { call, event });
    }

    /// An INVITE is refused with `code` for want of something here: the application learns who called.
    pub(crate) fn note_refused_call(&mut self, invite: &Message, code: u16, error: Error) {
        self.agent.counters.calls_refused += 1;
        let (from, to) = (invite.from().uri_str().to_owned(), invite.to().uri_str().to_owned());
        self.emit(Event::Phone(PhoneEvent::CallRefused { from, to, code, error }));
    }

    /// Sets a timer.
    pub(crate) fn set_timer(&mut self, after: Duration, alarm: Alarm) -> TimerId {
        self.agent.timers.set(self.host.now() + after, alarm)
    }

    /// Takes a timer away, if it is still set.
    pub(crate) fn cancel_timer(&mut self, timer: TimerId) {
        self.agent.timers.cancel(timer);
    }

    /// The transactions.
    pub(crate) fn transactions(&mut self) -> &mut Layer {
        self.agent.transactions(self.host)
    }

    /// A tag for a dialog or a series of requests.
    pub(crate) fn new_tag(&mut self, owner: Owner) -> Tag {
        self.agent.new_tag(self.host, owner)
    }

    /// A path to `hop`, now or later.
    pub(crate) fn reach(&mut self, hop: &Hop, owner: Owner) -> Reach {
        self.agent.reach(self.host, hop, owner)
    }

    /// A path back to where a request came from, now or later.
    pub(crate) fn reach_back(&mut self, query: &Query, owner: Owner) -> Reach {
        self.agent.reach_back(self.host, query.flow, query.from, owner)
    }

    /// A number for a referral.
    pub(crate) fn new_referral(&mut self) -> ReferralId {
        self.agent.referrals += 1;
        ReferralId(self.agent.referrals)
    }

    /// A Call-ID that nobody else makes (§8.1.1.4).
    pub(crate) fn new_call_id(&mut self) -> String {
        format!("{:016x}{:016x}", self.host.random(), self.host.random())
    }
}
