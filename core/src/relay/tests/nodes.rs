//! A relay and a telephone behind it as nodes of a simulation, joined by WebSocket.

use core::net::SocketAddr;
use std::sync::Arc;

use crate::config::PhoneParameters;
use crate::event::{CallEvent, CallId, CallState, Event};
use crate::host::{
    Clock, Datagrams, Endpoint, Entropy, Flow, Host, Inbound, Outbound, RequestId, Transport,
};
use crate::relay::{
    Authenticate, Client, ClientEvent, Grant, Policy, Problem, Relayed, Session, SessionEvent,
};
use crate::sim::{NodeId, Simulation};
use crate::softphone::Softphone;
use crate::time::{Duration, Instant, WallTime};

/// Verifies tokens: of a server's name it makes a grant.
pub(super) type Verify = fn(&str) -> Result<Grant, Problem>;

/// A relay: sessions, and the connections of their clients.
pub(super) struct RelayNode {
    policy: Arc<Policy>,
    pub(super) verify: Verify,
    pub(super) sessions: Vec<Served>,
    pub(super) events: Vec<SessionEvent>,
    /// Connections that have not said who they are.
    guests: Vec<Flow>,
}

pub(super) struct Served {
    pub(super) session: Session,
    connection: Option<Flow>,
}

/// What a session sees: requests have its number in them.
struct SessionHost<'a> {
    host: &'a mut dyn Host,
    number: u64,
}

const SHIFT: u32 = 32;

impl Clock for SessionHost<'_> {
    fn now(&self) -> Instant {
        self.host.now()
    }

    fn wall(&self) -> WallTime {
        self.host.wall()
    }
}

impl Entropy for SessionHost<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.host.fill(bytes);
    }
}

impl Datagrams for SessionHost<'_> {
    fn send(&mut self, mut outbound: Outbound<'_>) {
        if let Outbound::OpenFlow { id, .. }
        | Outbound::BindMedia { id, .. }
        | Outbound::Resolve { id, .. } = &mut outbound
        {
            id.0 |= self.number << SHIFT;
        }
        self.host.send(outbound);
    }
}

impl RelayNode {
    pub(super) fn new(policy: Policy, verify: Verify) -> Self {
        let (sessions, events, guests) = (Vec::new(), Vec::new(), Vec::new());
        Self { policy: Arc::new(policy), verify, sessions, events, guests }
    }

    /// Calls one session, and sends what it then has to say.
    fn act(
        &mut self,
        host: &mut dyn Host,
        index: usize,
        act: impl FnOnce(&mut Session, &mut dyn Host),
    ) {
        let Some(Served { session, connection }) = self.sessions.get_mut(index) else { return };
        let mut own = SessionHost { host, number: index as u64 };
        act(session, &mut own);
        while let Some(event) = session.next_event() {
            if let SessionEvent::Token(token) = &event {
                match (self.verify)(token) {
                    Ok(grant) => session.renew(&mut own, &grant),
                    Err(problem) => session.refuse_token(problem),
                }
            }
            self.events.push(event);
        }
        let Some(flow) = *connection else { return };
        let to = SocketAddr::from(([0, 0, 0, 0], 0));
        while let Some(bytes) = session.next_message() {
            own.host.send(Outbound::Datagram { flow, to, bytes: &bytes });
        }
        if !session.is_attached() {
            *connection = None;
            own.host.send(Outbound::CloseFlow { flow });
        }
    }

    fn greet(&mut self, host: &mut dyn Host, flow: Flow, message: &[u8]) {
        let verified = Authenticate::first(message)
            .and_then(|first| (self.verify)(first.token).map(|grant| (first, grant)));
        let (first, grant) = match verified {
            Ok(verified) => verified,
            Err(problem) => {
                let text = &problem.to_string();
                let bytes = crate::relay::Capsule::Denied { problem, text }.to_bytes();
                let to = SocketAddr::from(([0, 0, 0, 0], 0));
                host.send(Outbound::Datagram { flow, to, bytes: &bytes });
                return host.send(Outbound::CloseFlow { flow });
            }
        };
        let known = first
            .resume
            .and_then(|key| self.sessions.iter().position(|served| served.session.id() == key.id));
        if let Some(index) = known {
            let before = self.sessions[index].connection;
            let mut taken = Ok(());
            self.sessions[index].connection = Some(flow);
            self.act(host, index, |session, host| taken = session.resume(host, &grant, &first));
            if let Some(before) = before.filter(|before| *before != flow && taken.is_ok()) {
                host.send(Outbound::CloseFlow { flow: before });
            }
            if taken != Err(Problem::SessionUnknown) {
                return;
            }
            self.sessions[index].connection = before;
        }
        let index = self.sessions.len();
        let policy = Arc::clone(&self.policy);
        let mut own = SessionHost { host, number: index as u64 };
        let session = Session::new(&mut own, policy, &grant);
        self.sessions.push(Served { session, connection: Some(flow) });
        self.act(host, index, |_, _| ());
    }

    pub(super) fn refusals(&self) -> Vec<(Problem, &str)> {
        self.events
            .iter()
            .filter_map(|event| match event {
                SessionEvent::Refused { problem, what, .. } => Some((*problem, what.as_str())),
                _ => None,
            })
            .collect()
    }
}

impl Endpoint for RelayNode {
    fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        match inbound {
            Inbound::FlowAccepted { flow, .. } => self.guests.push(flow),
            Inbound::Datagram { flow, bytes, .. } | Inbound::Stream { flow, bytes, .. }
                if self.guests.contains(&flow) =>
            {
                self.guests.retain(|guest| *guest != flow);
                self.greet(host, flow, bytes);
            }
            Inbound::Datagram { flow, bytes, .. } if flow.transport == Transport::Ws => {
                let index = self.sessions.iter().position(|it| it.connection == Some(flow));
                let Some(index) = index else { return };
                self.act(host, index, |session, host| session.handle_message(host, bytes));
            }
            Inbound::FlowClosed { flow } => {
                let index = self.sessions.iter().position(|it| it.connection == Some(flow));
                if let Some(index) = index {
                    self.sessions[index].connection = None;
                    return self.act(host, index, |session, host| session.detach(host));
                }
                for index in 0..self.sessions.len() {
                    self.act(host, index, |session, host| session.handle_inbound(host, inbound));
                }
            }
            Inbound::FlowOpened { id, .. }
            | Inbound::FlowFailed { id, .. }
            | Inbound::MediaBound { id, .. }
            | Inbound::MediaUnavailable { id }
            | Inbound::Resolved { id, .. }
            | Inbound::ResolveFailed { id, .. } => {
                let (index, id) = ((id.0 >> SHIFT) as usize, RequestId(id.0 & 0xffff_ffff));
                let mut answer = inbound;
                if let Inbound::FlowOpened { id: own, .. }
                | Inbound::FlowFailed { id: own, .. }
                | Inbound::MediaBound { id: own, .. }
                | Inbound::MediaUnavailable { id: own }
                | Inbound::Resolved { id: own, .. }
                | Inbound::ResolveFailed { id: own, .. } = &mut answer
                {
                    *own = id;
                }
                self.act(host, index, |session, host| session.handle_inbound(host, answer));
            }
            inbound => {
                for index in 0..self.sessions.len() {
                    self.act(host, index, |session, host| session.handle_inbound(host, inbound));
                }
            }
        }
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        for index in 0..self.sessions.len() {
            self.act(host, index, Session::handle_deadline);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.sessions.iter().filter_map(|served| served.session.next_deadline()).min()
    }
}

/// A telephone in a page, with its connection to the relay.
pub(super) struct PhoneNode {
    pub(super) relayed: Relayed<Softphone>,
    relay: SocketAddr,
    connection: Option<Flow>,
    connecting: bool,
    /// When it connects again.
    again: Option<Instant>,
    /// How long it waits before that.
    pub(super) pause: Duration,
    pub(super) events: Vec<ClientEvent>,
    /// Loses its connection before this many messages have been sent or received.
    pub(super) cut_after: Option<usize>,
    messages: usize,
}

impl PhoneNode {
    pub(super) fn new(relay: SocketAddr, token: &str, parameters: PhoneParameters) -> Self {
        let phone = Softphone::new(parameters).unwrap();
        Self {
            relayed: Relayed::new(Client::new(token), phone),
            relay,
            connection: None,
            connecting: false,
            again: Some(Instant::ZERO),
            pause: Duration::from_secs(1),
            events: Vec::new(),
            cut_after: None,
            messages: 0,
        }
    }

    pub(super) fn phone(&mut self) -> &mut Softphone {
        self.relayed.endpoint_mut()
    }

    /// Whether the next message finds its connection dead.
    fn counts(&mut self, host: &mut dyn Host) -> bool {
        self.messages += 1;
        let Some(flow) = self.connection.filter(|_| self.cut_after == Some(self.messages)) else {
            return true;
        };
        host.send(Outbound::CloseFlow { flow });
        self.lost(host);
        false
    }

    fn lost(&mut self, host: &mut dyn Host) {
        self.connection = None;
        self.again = Some(host.now() + self.pause);
        self.relayed.client_mut().disconnected(host.now());
    }

    fn flush(&mut self, host: &mut dyn Host) {
        self.relayed.run(host);
        while let Some(flow) = self.connection {
            let Some(bytes) = self.relayed.client_mut().next_message() else { break };
            if self.counts(host) {
                host.send(Outbound::Datagram { flow, to: self.relay, bytes: &bytes });
            }
        }
        while let Some(event) = self.relayed.client_mut().next_event() {
            if let (ClientEvent::Stale | ClientEvent::Denied { .. }, Some(flow)) =
                (&event, self.connection)
            {
                host.send(Outbound::CloseFlow { flow });
                self.lost(host);
            }
            self.events.push(event);
        }
    }
}

impl Endpoint for PhoneNode {
    fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        match inbound {
            Inbound::FlowOpened { flow, .. } => {
                (self.connection, self.connecting) = (Some(flow), false);
                self.relayed.client_mut().connected(host.now());
            }
            Inbound::FlowFailed { .. } => {
                self.connecting = false;
                self.again = Some(host.now() + self.pause);
            }
            Inbound::FlowClosed { flow } if self.connection == Some(flow) => self.lost(host),
            Inbound::Datagram { flow, bytes, .. } if self.connection == Some(flow) => {
                if self.counts(host) {
                    self.relayed.handle_message(host, bytes);
                }
            }
            _ => return,
        }
        self.flush(host);
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        if self.again.is_some_and(|at| at <= host.now()) {
            (self.again, self.connecting) = (None, true);
            let (id, transport, to) = (RequestId(1), Transport::Ws, self.relay);
            host.send(Outbound::OpenFlow { id, transport, to, name: "relay" });
        }
        self.flush(host);
    }

    fn next_deadline(&self) -> Option<Instant> {
        [self.again, self.relayed.next_deadline()].into_iter().flatten().min()
    }
}

/// Alice behind a relay, and Bob, who has a network.
pub(super) struct World {
    pub(super) sim: Simulation,
    pub(super) relay: NodeId<RelayNode>,
    pub(super) alice: NodeId<PhoneNode>,
    pub(super) bob: NodeId<Softphone>,
}

/// Everybody's policy here: hosts of the simulation are private.
pub(super) fn policy() -> Policy {
    Policy { networks: vec!["10.0.0.0/8".parse().unwrap()], ..Policy::default() }
}

/// A grant for the servers that the token names, one a word.
pub(super) fn verify(token: &str) -> Result<Grant, Problem> {
    match token {
        "bad" => Err(Problem::TokenInvalid),
        "old" => Err(Problem::TokenExpired),
        servers => {
            let servers = servers.split(' ').map(|server| server.parse().unwrap()).collect();
            let expires = WallTime::from_micros(u64::MAX);
            Ok(Grant { subject: "alice".into(), servers, expires, ..Grant::default() })
        }
    }
}

impl World {
    pub(super) fn new(seed: u64, transport: Transport) -> Self {
        let mut parameters = PhoneParameters::without_server("alice");
        parameters.transport = Some(transport);
        Self::with(seed, "10.0.0.2", parameters)
    }

    pub(super) fn with(seed: u64, token: &str, parameters: PhoneParameters) -> Self {
        let mut sim = Simulation::new(seed);
        sim.set_name("pbx.test", &["10.0.0.3".parse().unwrap()]);
        let relay = sim.add([10, 0, 0, 1], RelayNode::new(policy(), verify));
        // What a relay listens for is WebSocket alone, so that its connections are those that it opens.
        for transport in [Transport::Tcp, Transport::Tls] {
            sim.set_listening(relay, transport, false);
        }
        let node = PhoneNode::new(relay.address(), token, parameters);
        let alice = sim.add([10, 0, 0, 9], node);
        let bob = Softphone::new(PhoneParameters::without_server("bob")).unwrap();
        let bob = sim.add([10, 0, 0, 2], bob);
        sim[bob].phone_mut().start().unwrap();
        sim[alice].phone().phone_mut().start().unwrap();
        sim.run_for(Duration::from_millis(100));
        Self { sim, relay, alice, bob }
    }

    /// Alice calls Bob, who answers.
    pub(super) fn call(&mut self, target: &str) -> (CallId, CallId) {
        let Self { sim, alice, bob, .. } = self;
        let (alice, bob) = (*alice, *bob);
        let phone = sim[alice].phone().phone_mut();
        let calling = phone.call(target, Default::default()).unwrap();
        let rings = |sim: &mut Simulation| sim[bob].phone().calls().next().is_some();
        sim.run_until(rings, Duration::from_secs(40)).unwrap();
        let called = sim[bob].phone().calls().next().unwrap();
        sim[bob].phone_mut().answer(called).unwrap();
        let up = |sim: &mut Simulation| {
            sim[alice].phone().phone().state(calling) == Some(CallState::Answered)
        };
        sim.run_until(up, Duration::from_secs(40)).unwrap();
        (calling, called)
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.sim.run_for(time);
    }

    /// How a call of Alice's has ended.
    pub(super) fn ended(&mut self, call: CallId) -> Option<crate::event::Ending> {
        let phone = self.sim[self.alice].phone();
        core::iter::from_fn(|| phone.next_event()).find_map(|event| match event {
            Event::Call { call: of, event: CallEvent::Ended(ending) } if of == call => {
                Some(*ending)
            }
            _ => None,
        })
    }
}
