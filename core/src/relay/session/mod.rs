//! The relay's end of the protocol: the session of one client.

mod counters;
mod flows;
mod inbound;
mod media;

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use self::flows::Flows;
use self::media::Pairs;
use super::bucket::Bucket;
use super::capsule::{Authenticate, Capsule, Key, LARGEST_PACKET, Ready, Subject, VERSION};
use super::descriptions::Described;
use super::grant::{Allowance, Grant, Policy};
use super::link::Link;
use super::names::{Basis, Names};
use super::problem::Problem;
use crate::host::{Entropy, Host, Outbound, Query, RequestId, Transport};
use crate::map::Map;
use crate::time::{Duration, Instant};

pub use self::counters::Counters;

/// How many bytes of a flow may be on their way, each way.
pub(super) const WINDOW: u64 = 64 * 1024;
/// How much of an allowance a second may be used at once.
const BURST: Duration = Duration::from_secs(2);

/// The session of one client at a relay.
///
/// Its driver verifies the token of an [`Authenticate`] and makes a session, or has the one that it names taken up
/// again ([`resume`](Self::resume)); hands it each message ([`handle_message`](Self::handle_message)) and what its
/// host brings ([`handle_inbound`](Self::handle_inbound)); sends each [`next_message`](Self::next_message); and
/// closes the connection when the session is not [attached](Self::is_attached) any more. It outlives its connection
/// until it [is over](Self::is_over).
#[derive(Debug)]
pub struct Session {
    policy: Arc<Policy>,
    subject: String,
    allowance: Allowance,
    link: Link,
    key: Key,
    /// The secret before this one: it is good until the client has shown that it has the new one.
    previous: Option<[u8; 16]>,
    phase: Phase,
    /// When the token is over.
    expires: Instant,
    names: Names,
    described: Described,
    pairs: Pairs,
    flows: Flows,
    waiting: Map<RequestId, Wait>,
    last_request: u64,
    last_lookup: Option<u64>,
    requests: Bucket,
    up: Meter,
    down: Meter,
    counters: Counters,
    events: VecDeque<SessionEvent>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Attached {
        /// When something last came.
        heard: Instant,
        ping: Instant,
    },
    Detached {
        since: Instant,
    },
    Over(Option<Problem>),
}

/// Who waits for an answer of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wait {
    Pair(u64),
    /// A flow that has a connection, or over UDP a port, of its own.
    Flow(u64),
    Lookup(u64, Basis),
}

/// What happens in a session.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The client has shown a new token, which the driver verifies and answers by [`Session::renew`] or
    /// [`Session::refuse_token`].
    Token(String),
    /// A flow to a SIP server is open.
    Opened {
        /// How.
        transport: Transport,
        /// The server.
        server: SocketAddr,
    },
    /// A pair of media ports is bound.
    Bound {
        /// The address of its RTP port, as peers see it.
        rtp: SocketAddr,
    },
    /// The client asked for something that it does not get.
    Refused {
        /// What it is one of.
        subject: Subject,
        /// Why.
        problem: Problem,
        /// What it asked for: an address, a name.
        what: String,
    },
}

/// How much media passes one way.
#[derive(Debug)]
struct Meter {
    packets: Bucket,
    bits: Bucket,
}

impl Meter {
    fn new(allowance: &Allowance, now: Instant) -> Self {
        Self {
            packets: Bucket::new(allowance.packets, BURST, now),
            bits: Bucket::new(allowance.bits, BURST, now),
        }
    }

    fn admits(&mut self, bytes: usize, now: Instant) -> bool {
        self.packets.take(1, now) && self.bits.take(bytes as u64 * 8, now)
    }
}

impl Session {
    /// A session for a client whose token says `grant`; it answers READY.
    pub fn new(host: &mut dyn Host, policy: Arc<Policy>, grant: &Grant) -> Self {
        let now = host.now();
        let allowance = grant.allowance.within(policy.allowance);
        let mut session = Self {
            subject: grant.subject.clone(),
            allowance,
            link: Link::default(),
            key: Key { id: random(host), secret: [0; 16] },
            previous: None,
            phase: Phase::Detached { since: now },
            expires: Instant::ZERO,
            names: Names::new(policy.servers(grant)),
            described: Described::default(),
            pairs: Pairs::default(),
            flows: Flows::default(),
            waiting: Map::new(),
            last_request: 0,
            last_lookup: None,
            requests: Bucket::new(allowance.requests, BURST, now),
            up: Meter::new(&allowance, now),
            down: Meter::new(&allowance, now),
            counters: Counters::default(),
            events: VecDeque::new(),
            policy,
        };
        session.expire_with(host, grant);
        // A new link has sent nothing, so nothing can be wrong with it.
        let _ = session.attach(host, 0, false);
        session
    }

    /// Takes the session up again on a new connection, with the token that the client has shown there; the
    /// connection before is no more. It answers READY and what had not come.
    ///
    /// # Errors
    /// [`Problem::SessionUnknown`] when the key is not its own or the token somebody else's; the session then
    /// goes on as it was. [`Problem::Malformed`] when the client claims what cannot be, which ends the session.
    pub fn resume(
        &mut self,
        host: &mut dyn Host,
        grant: &Grant,
        authenticate: &Authenticate<'_>,
    ) -> Result<(), Problem> {
        let shown = authenticate.resume.filter(|key| self.is_proven_by(key));
        let known = shown.filter(|_| grant.subject == self.subject && !self.is_over());
        let Some(Key { secret, .. }) = known else { return Err(Problem::SessionUnknown) };
        // It is all that the client has until READY has reached it.
        self.previous = Some(secret);
        self.link.close();
        self.grant(host, grant);
        self.attach(host, authenticate.received, true)
            .inspect_err(|problem| self.end(host, Some(*problem)))
    }

    /// The name of the session, by which a client's [`Key`] finds it.
    pub fn id(&self) -> [u8; 16] {
        self.key.id
    }

    /// Whom the token is of.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Whether it has a connection. A driver closes the one it holds when not, and after what
    /// [`next_message`](Self::next_message) still has.
    pub fn is_attached(&self) -> bool {
        matches!(self.phase, Phase::Attached { .. })
    }

    /// Whether it has ended, and everything of it been given back.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_))
    }

    /// Why it has ended; `None` while it has not, and when the client has left.
    pub fn problem(&self) -> Option<Problem> {
        match self.phase {
            Phase::Over(problem) => problem,
            _ => None,
        }
    }

    /// What has passed so far.
    pub fn counters(&self) -> Counters {
        Counters { dropped: self.link.dropped, ..self.counters }
    }

    /// How many pairs of media ports and how many flows there are.
    pub fn held(&self) -> (usize, usize) {
        (self.pairs.len(), self.flows.len())
    }

    /// The next thing that happened.
    pub fn next_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// The next message for the client, in order of urgency: a driver asks when its connection takes one.
    pub fn next_message(&mut self) -> Option<Bytes> {
        self.link.next()
    }

    /// The connection is lost.
    pub fn detach(&mut self, host: &mut dyn Host) {
        if self.is_attached() {
            self.phase = Phase::Detached { since: host.now() };
            self.link.close();
        }
    }

    /// Tells the client that the relay stops so many seconds later.
    pub fn drain(&mut self, seconds: u64) {
        self.link.urge(&Capsule::Draining { seconds });
    }

    /// Ends the session and gives everything back; the client learns why.
    pub fn end(&mut self, host: &mut dyn Host, problem: Option<Problem>) {
        self.end_saying(host, problem, None);
    }

    fn end_saying(&mut self, host: &mut dyn Host, problem: Option<Problem>, text: Option<&str>) {
        if self.is_over() {
            return;
        }
        if let (true, Some(problem)) = (self.is_attached(), problem) {
            let words = problem.to_string();
            self.link.urge(&Capsule::Denied { problem, text: text.unwrap_or(&words) });
        }
        self.phase = Phase::Over(problem);
        self.release_pairs(host);
        self.release_flows(host);
        self.waiting.clear();
    }

    // --- tokens ---

    /// The client's new token is good, and says this.
    pub fn renew(&mut self, host: &mut dyn Host, grant: &Grant) {
        match grant.subject == self.subject {
            true => self.grant(host, grant),
            false => self.refuse_token(Problem::TokenInvalid),
        }
    }

    /// The client's new token is not good; the one before goes on.
    pub fn refuse_token(&mut self, problem: Problem) {
        self.refuse(Subject::Token, 0, problem, "", "");
    }

    fn grant(&mut self, host: &mut dyn Host, grant: &Grant) {
        self.expire_with(host, grant);
        self.names.replace(self.policy.servers(grant));
        let allowance = grant.allowance.within(self.policy.allowance);
        if allowance != self.allowance {
            let now = host.now();
            (self.up, self.down) = (Meter::new(&allowance, now), Meter::new(&allowance, now));
            self.requests = Bucket::new(allowance.requests, BURST, now);
            self.allowance = allowance;
        }
    }

    fn expire_with(&mut self, host: &dyn Host, grant: &Grant) {
        let left = grant.expires.as_micros().saturating_sub(host.wall().as_micros());
        self.expires = host.now() + Duration::from_micros(left);
    }

    // --- connections ---

    fn attach(&mut self, host: &mut dyn Host, received: u64, resumed: bool) -> Result<(), Problem> {
        let now = host.now();
        self.key.secret = random(host);
        let count = self.link.report();
        self.link.urge(&Capsule::Ready(Ready {
            resumed,
            key: self.key,
            received: count,
            grace: self.policy.grace,
            ping: self.policy.ping,
            valid: self.expires.since(now),
            window: WINDOW,
            largest_packet: LARGEST_PACKET as u64,
            pairs: self.allowance.pairs,
            flows: self.allowance.flows,
        }));
        self.phase = Phase::Attached { heard: now, ping: now + self.policy.ping };
        self.link.open(received)
    }

    fn is_proven_by(&self, key: &Key) -> bool {
        let same = |secret: &[u8; 16]| {
            // However many bytes are right, it takes the same time.
            secret.iter().zip(&key.secret).fold(0, |other, (a, b)| other | (a ^ b)) == 0
        };
        let (current, previous) =
            (same(&self.key.secret), self.previous.as_ref().is_some_and(same));
        key.id == self.key.id && (current || previous)
    }

    /// Handles one message of the client.
    pub fn handle_message(&mut self, host: &mut dyn Host, message: &[u8]) {
        let Phase::Attached { ping, .. } = self.phase else { return };
        self.phase = Phase::Attached { heard: host.now(), ping };
        // It could not have sent anything without READY, and so has the new secret.
        self.previous = None;
        match self.link.receive(message) {
            Ok(Some(capsule)) => {
                if let Err(problem) = self.handle_capsule(host, capsule) {
                    self.end(host, Some(problem));
                }
            }
            Ok(None) => {}
            Err(fault) => {
                let words = fault.to_string();
                self.end_saying(host, Some(fault.problem()), Some(&words));
            }
        }
        self.check_link(host);
    }

    fn handle_capsule(&mut self, host: &mut dyn Host, capsule: Capsule<'_>) -> Result<(), Problem> {
        match capsule {
            Capsule::Datagram { context, payload } => self.send_media(host, context, payload),
            Capsule::Bind { pair, toward } => self.bind(host, pair, toward)?,
            Capsule::Release { pair } => self.release(host, pair),
            Capsule::Assign { context, pair, channel, peer } => {
                self.assign(host, context, pair, channel, peer)?;
            }
            Capsule::Unassign { context } => self.pairs.unassign(context),
            Capsule::Open { flow, transport, to, name } => {
                self.open(host, flow, transport, to, name)?;
            }
            Capsule::Close { flow } => self.close(host, flow),
            Capsule::Data { flow, bytes } => self.send_data(host, flow, bytes)?,
            Capsule::Credit { flow, bytes } => self.credit(flow, bytes),
            Capsule::Resolve { lookup, query } => self.resolve(host, lookup, query)?,
            Capsule::Token { token } => match self.admits_request(host) {
                true => self.events.push_back(SessionEvent::Token(token.to_owned())),
                false => self.refuse_token(Problem::Rate),
            },
            Capsule::Leave => self.end(host, None),
            _ => return Err(Problem::Malformed),
        }
        Ok(())
    }

    fn check_link(&mut self, host: &mut dyn Host) {
        if self.link.is_overfull() {
            self.end(host, Some(Problem::Unacknowledged));
        }
    }

    // --- requests ---

    fn resolve(
        &mut self,
        host: &mut dyn Host,
        lookup: u64,
        query: Query<'_>,
    ) -> Result<(), Problem> {
        rises(&mut self.last_lookup, lookup)?;
        let (Query::Naptr(name) | Query::Srv(name) | Query::Addresses(name)) = query;
        let refusal = match self.names.basis(query) {
            _ if !self.admits_request(host) => Problem::Rate,
            None => Problem::ServerForbidden,
            Some(basis) => {
                let id = self.wait(Wait::Lookup(lookup, basis));
                host.send(Outbound::Resolve { id, query });
                return Ok(());
            }
        };
        self.refuse(Subject::Lookup, lookup, refusal, "", name);
        Ok(())
    }

    fn wait(&mut self, wait: Wait) -> RequestId {
        self.last_request += 1;
        let id = RequestId(self.last_request);
        self.waiting.insert(id, wait);
        id
    }

    fn admits_request(&mut self, host: &dyn Host) -> bool {
        self.requests.take(1, host.now())
    }

    /// Refuses a request, with the reason in words unless those of the problem will do.
    fn refuse(&mut self, subject: Subject, number: u64, problem: Problem, text: &str, what: &str) {
        let words = problem.to_string();
        let text = if text.is_empty() { words.as_str() } else { text };
        self.link.control(&Capsule::Refused { subject, number, problem, text });
        self.counters.refused += 1;
        /// A driver takes events at once; what is beyond it is counted alone.
        const MOST_EVENTS: usize = 256;
        if self.events.len() < MOST_EVENTS {
            self.events.push_back(SessionEvent::Refused { subject, problem, what: what.into() });
        }
    }

    // --- time ---

    /// Handles what is due.
    pub fn handle_deadline(&mut self, host: &mut dyn Host) {
        let now = host.now();
        if !self.is_over() && self.expires <= now {
            return self.end(host, Some(Problem::TokenExpired));
        }
        match self.phase {
            Phase::Attached { heard, .. } if heard + self.silence() <= now => self.detach(host),
            Phase::Attached { heard, ping } if ping <= now => {
                let received = self.link.report();
                self.link.urge(&Capsule::Ping { received });
                self.phase = Phase::Attached { heard, ping: now + self.policy.ping };
            }
            Phase::Detached { since } if since + self.policy.grace <= now => {
                self.end(host, Some(Problem::SessionUnknown));
            }
            _ => {}
        }
    }

    /// When [`handle_deadline`](Self::handle_deadline) should be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        let next = match self.phase {
            Phase::Attached { heard, ping } => ping.min(heard + self.silence()),
            Phase::Detached { since } => since + self.policy.grace,
            Phase::Over(_) => return None,
        };
        Some(next.min(self.expires))
    }

    /// After how long without a word a connection is given up.
    fn silence(&self) -> Duration {
        self.policy.ping * 2
    }
}

impl Authenticate<'_> {
    /// Reads the first message of a client.
    ///
    /// # Errors
    /// The reason for the denial: [`Problem::Unauthenticated`] for anything else, [`Problem::Version`] for another
    /// version.
    pub fn first(message: &[u8]) -> Result<Authenticate<'_>, Problem> {
        match Capsule::message(message) {
            Ok(Capsule::Authenticate(authenticate)) if authenticate.version == VERSION => {
                Ok(authenticate)
            }
            Ok(Capsule::Authenticate(_)) => Err(Problem::Version),
            _ => Err(Problem::Unauthenticated),
        }
    }
}

/// Takes the number of something new: each is larger than the one before.
fn rises(last: &mut Option<u64>, number: u64) -> Result<(), Problem> {
    if last.is_some_and(|last| number <= last) {
        return Err(Problem::Malformed);
    }
    *last = Some(number);
    Ok(())
}

fn random<E: Entropy + ?Sized>(host: &mut E) -> [u8; 16] {
    let mut bytes = [0; 16];
    host.fill(&mut bytes);
    bytes
}
