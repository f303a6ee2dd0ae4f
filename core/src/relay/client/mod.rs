//! The client's end of the protocol: a host for a telephone that has no sockets.

mod arrival;
mod flows;
mod media;

use core::fmt;
use std::collections::VecDeque;

use bytes::Bytes;

use self::flows::Flows;
use self::media::Media;
use super::capsule::{Authenticate, Capsule, Key, LARGEST_TOKEN, Ready, Subject, VERSION};
use super::link::Link;
use super::problem::Problem;
use crate::host::{Outbound, Query, RequestId};
use crate::map::Map;
use crate::time::{Duration, Instant};

pub use self::arrival::Arrival;

/// How long a relay may take to let us in, and to answer a PING of ours.
const GREETING: Duration = Duration::from_secs(10);
const PROBE: Duration = Duration::from_secs(3);
/// The longest domain name (RFC 1035 §3.1).
pub(super) const LONGEST_NAME: usize = 255;

/// The client's end of the relay's protocol.
///
/// Its driver connects to the relay and says so ([`connected`](Self::connected),
/// [`disconnected`](Self::disconnected)), sends each [`next_message`](Self::next_message), hands it each message
/// that comes ([`handle_message`](Self::handle_message)), and passes what a telephone asks of its host to
/// [`handle_outbound`](Self::handle_outbound) and each [`Arrival`] to the telephone. [`Relayed`](super::Relayed)
/// does the latter. A connection that is lost is opened again by the driver, and the session goes on; if that takes
/// longer than the relay's grace time, the telephone learns that its flows are closed.
pub struct Client {
    token: String,
    link: Link,
    phase: Phase,
    session: Option<Established>,
    flows: Flows,
    media: Media,
    lookups: Map<u64, RequestId>,
    last_lookup: u64,
    arrivals: VecDeque<Arrival<'static>>,
    events: VecDeque<ClientEvent>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// There is no connection.
    Away,
    /// There is one, and the relay has not answered yet.
    Greeting {
        since: Instant,
    },
    Ready {
        heard: Instant,
        probed: Option<Instant>,
    },
}

/// What the relay has said of the session.
#[derive(Clone, Copy, Debug)]
struct Established {
    key: Key,
    grace: Duration,
    ping: Duration,
    /// When a new token is due, until that was said.
    renewal: Option<Instant>,
    /// Since when there is no connection.
    lost: Option<Instant>,
}

/// What happens between client and relay.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The relay has let us in.
    Ready {
        /// Whether the session goes on from before; without it there is a new one.
        resumed: bool,
    },
    /// The connection is dead: close it, and connect again.
    Stale,
    /// The relay has refused or ended the session, and closes the connection.
    Denied {
        /// Why.
        problem: Problem,
        /// The same in words.
        text: String,
    },
    /// Something that the telephone asked for was refused.
    Refused {
        /// What it is one of.
        subject: Subject,
        /// Why, and on which leg.
        problem: Problem,
        /// The same in words.
        text: String,
    },
    /// The session is over with all flows and ports, because there was no connection for too long, or the relay
    /// does not know it any more.
    Lost,
    /// The token ends soon: [`Client::set_token`].
    TokenExpiring,
    /// The relay stops soon.
    Draining {
        /// After how many seconds.
        seconds: u64,
    },
}

impl Client {
    /// A client that shows this token, of at most [`LARGEST_TOKEN`] bytes; what is longer is refused by every relay.
    pub fn new(token: &str) -> Self {
        Self {
            token: token.chars().take(LARGEST_TOKEN).collect(),
            link: Link::default(),
            phase: Phase::Away,
            session: None,
            flows: Flows::default(),
            media: Media::default(),
            lookups: Map::new(),
            last_lookup: 0,
            arrivals: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// A connection to the relay is there; the first message follows.
    pub fn connected(&mut self, now: Instant) {
        self.disconnected(now);
        self.phase = Phase::Greeting { since: now };
        let resume = self.session.map(|session| session.key);
        let received = self.link.report();
        self.link.urge(&Capsule::Authenticate(Authenticate {
            version: VERSION,
            token: &self.token,
            resume,
            received,
        }));
    }

    /// The connection is gone.
    pub fn disconnected(&mut self, now: Instant) {
        self.link.close();
        self.phase = Phase::Away;
        if let Some(session) = &mut self.session {
            session.lost.get_or_insert(now);
        }
    }

    /// Whether the relay has let us in.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    /// From now on shows another token.
    pub fn set_token(&mut self, token: &str) {
        self.token = token.chars().take(LARGEST_TOKEN).collect();
        if self.is_ready() {
            self.link.control(&Capsule::Token { token: &self.token });
        }
    }

    /// Ends the session: the relay gives everything back at once.
    pub fn leave(&mut self) {
        if self.is_ready() {
            self.link.urge(&Capsule::Leave);
        }
        self.lose();
    }

    /// The next message for the relay, in order of urgency.
    pub fn next_message(&mut self) -> Option<Bytes> {
        self.link.next()
    }

    /// The next thing for the telephone that is in no message.
    pub fn next_arrival(&mut self) -> Option<Arrival<'static>> {
        self.arrivals.pop_front()
    }

    /// The next thing that happened between client and relay.
    pub fn next_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Handles one message of the relay; what it brings is for the telephone.
    pub fn handle_message<'m>(&mut self, now: Instant, message: &'m [u8]) -> Option<Arrival<'m>> {
        if let Phase::Ready { .. } = self.phase {
            self.phase = Phase::Ready { heard: now, probed: None };
        }
        match self.link.receive(message) {
            Ok(capsule) => self.handle_capsule(now, capsule?),
            Err(fault) => {
                self.break_off(now, fault.problem(), &fault.to_string());
                None
            }
        }
    }

    fn handle_capsule<'m>(&mut self, now: Instant, capsule: Capsule<'m>) -> Option<Arrival<'m>> {
        match capsule {
            Capsule::Ready(ready) => self.ready(now, &ready),
            Capsule::Denied { problem, text } => {
                self.events.push_back(ClientEvent::Denied { problem, text: text.to_owned() });
                // A token that is over keeps a client out; its session waits for it.
                let waits = matches!(self.phase, Phase::Greeting { .. }) && self.session.is_some();
                self.disconnected(now);
                if !waits {
                    self.lose();
                }
            }
            Capsule::Draining { seconds } => {
                self.events.push_back(ClientEvent::Draining { seconds });
            }
            _ if !self.is_ready() => {
                self.break_off(now, Problem::Malformed, "it came before READY")
            }
            Capsule::Datagram { context, payload } => {
                return self.media.packet(context, payload);
            }
            Capsule::Data { flow, bytes } => return self.data(flow, bytes),
            Capsule::Credit { flow, bytes } => self.credit(flow, bytes),
            Capsule::Close { flow } => return self.flow_closed(flow),
            Capsule::Opened { flow, local, certificate } => {
                return self.opened(flow, local, certificate);
            }
            Capsule::Bound { pair, rtp, rtcp } => return self.media.bound(pair, rtp, rtcp),
            Capsule::Assign { context, pair, channel, peer } => {
                self.media.assigned(context, pair, channel, peer);
            }
            Capsule::Unassign { context } => self.media.unassigned(context),
            Capsule::Resolved { lookup, ttl, found } => {
                let id = self.lookups.remove(&lookup)?;
                return Some(Arrival::Resolved { id, found, ttl });
            }
            Capsule::Refused { subject, number, problem, text } => {
                let text = text.to_owned();
                self.events.push_back(ClientEvent::Refused {
                    subject,
                    problem,
                    text: text.clone(),
                });
                return self.refused(now, subject, number, problem, text);
            }
            _ => self.break_off(now, Problem::Malformed, "it is for a relay"),
        }
        None
    }

    fn refused(
        &mut self,
        now: Instant,
        subject: Subject,
        number: u64,
        problem: Problem,
        text: String,
    ) -> Option<Arrival<'static>> {
        match subject {
            Subject::Pair => self.media.unavailable(number),
            Subject::Flow => self.flow_refused(number, problem, text),
            Subject::Lookup => {
                let id = self.lookups.remove(&number)?;
                Some(Arrival::ResolveFailed { id, text })
            }
            Subject::Context => {
                self.media.refused(number, now);
                None
            }
            Subject::Token => None,
        }
    }

    fn ready(&mut self, now: Instant, ready: &Ready) {
        if !matches!(self.phase, Phase::Greeting { .. }) {
            return self.break_off(now, Problem::Malformed, "READY came twice");
        }
        if !ready.resumed && self.session.is_some() {
            self.lose();
        }
        if self.link.open(ready.received).is_err() {
            self.lose();
            return self.break_off(now, Problem::Malformed, "it counts what was never sent");
        }
        let Ready { key, grace, ping, valid, window, .. } = *ready;
        // What is left of it is for its renewal.
        let renewal = Some(now + valid * 3 / 4);
        self.session = Some(Established { key, grace, ping, renewal, lost: None });
        self.flows.window = window;
        self.phase = Phase::Ready { heard: now, probed: None };
        self.events.push_back(ClientEvent::Ready { resumed: ready.resumed });
    }

    /// What comes is not the protocol: the connection is of no use.
    fn break_off(&mut self, now: Instant, problem: Problem, text: &str) {
        self.events.push_back(ClientEvent::Denied { problem, text: text.to_owned() });
        self.disconnected(now);
        self.events.push_back(ClientEvent::Stale);
    }

    /// The session is over: whatever was asked for has failed, and whatever there was is closed.
    fn lose(&mut self) {
        let urgent = self.link.take_urgent();
        self.link = Link::default();
        self.link.put_urgent(urgent);
        let had_session = self.session.take().is_some();
        self.lose_flows();
        self.arrivals.extend(self.media.lose());
        for id in core::mem::take(&mut self.lookups).into_values() {
            self.arrivals.push_back(Arrival::ResolveFailed { id, text: LOST.to_owned() });
        }
        if had_session {
            self.events.push_back(ClientEvent::Lost);
        }
    }

    // --- what a telephone asks of its host ---

    /// Takes what a telephone sends or asks for.
    pub fn handle_outbound(&mut self, now: Instant, outbound: Outbound<'_>) {
        match outbound {
            Outbound::Media { port, channel, to, bytes } => {
                self.media.send(&mut self.link, now, port, channel, to, bytes);
            }
            Outbound::Datagram { flow, to, bytes } => self.send(flow, to, bytes),
            Outbound::OpenFlow { id, transport, to, name } => self.open(id, transport, to, name),
            Outbound::CloseFlow { flow } => self.close(flow),
            Outbound::BindMedia { id, toward, .. } => self.media.bind(&mut self.link, id, toward),
            Outbound::ReleaseMedia { port } => self.media.release(&mut self.link, port),
            Outbound::Resolve { id, query } => self.resolve(id, query),
            Outbound::Rebind => self.probe(now),
        }
        if self.link.is_overfull() {
            self.events.push_back(ClientEvent::Denied {
                problem: Problem::Unacknowledged,
                text: Problem::Unacknowledged.to_string(),
            });
            self.disconnected(now);
            self.lose();
            self.events.push_back(ClientEvent::Stale);
        }
    }

    fn resolve(&mut self, id: RequestId, query: Query<'_>) {
        let (Query::Naptr(name) | Query::Srv(name) | Query::Addresses(name)) = query;
        if name.len() > LONGEST_NAME {
            let text = "it is longer than names are".to_owned();
            return self.arrivals.push_back(Arrival::ResolveFailed { id, text });
        }
        self.last_lookup += 1;
        self.lookups.insert(self.last_lookup, id);
        self.link.control(&Capsule::Resolve { lookup: self.last_lookup, query });
    }

    /// The network of the page has changed, or it has slept: the relay has to answer a PING now, or the
    /// connection is dead. The sockets are the relay's, and stay as they are.
    pub fn probe(&mut self, now: Instant) {
        if let Phase::Ready { heard, probed: None } = self.phase {
            let received = self.link.report();
            self.link.urge(&Capsule::Ping { received });
            self.phase = Phase::Ready { heard, probed: Some(now) };
        }
    }

    // --- time ---

    /// Handles what is due.
    pub fn handle_deadline(&mut self, now: Instant) {
        if self.dead_at().is_some_and(|at| at <= now) {
            self.disconnected(now);
            self.events.push_back(ClientEvent::Stale);
        }
        if self.lost_at().is_some_and(|at| at <= now) {
            self.lose();
        }
        if let Some(session) = &mut self.session
            && session.renewal.is_some_and(|at| at <= now)
        {
            session.renewal = None;
            self.events.push_back(ClientEvent::TokenExpiring);
        }
    }

    /// When [`handle_deadline`](Self::handle_deadline) should be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        let renewal = self.session.and_then(|session| session.renewal);
        let now = (!self.arrivals.is_empty()).then_some(Instant::ZERO);
        [now, self.dead_at(), self.lost_at(), renewal].into_iter().flatten().min()
    }

    /// When the connection is taken to be dead.
    fn dead_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Away => None,
            Phase::Greeting { since } => Some(since + GREETING),
            Phase::Ready { heard, probed } => {
                let silence = self.session.map(|session| heard + session.ping * 2);
                [silence, probed.map(|at| at + PROBE)].into_iter().flatten().min()
            }
        }
    }

    /// When the relay has forgotten the session.
    fn lost_at(&self) -> Option<Instant> {
        let session = self.session.filter(|_| self.phase == Phase::Away)?;
        Some(session.lost? + session.grace)
    }
}

/// What is said of everything that ends with the session.
const LOST: &str = "the connection to the relay is lost";

impl fmt::Debug for Client {
    /// Without the token, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("phase", &self.phase)
            .field("flows", &self.flows)
            .field("media", &self.media)
            .finish_non_exhaustive()
    }
}
