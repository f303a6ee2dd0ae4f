//! Telephones on a simulated network, written down as a script: do this, wait for that.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use offhook_core::call::CallOptions;
use offhook_core::config::PhoneParameters;
use offhook_core::error::Error;
use offhook_core::event::{
    CallEvent, CallId, CallState, EndedBy, Ending, Event, PhoneEvent, PhoneStatus,
};
use offhook_core::exchange::{Exchange, ExchangeParameters};
use offhook_core::host::Transport;
use offhook_core::phone::Phone;
use offhook_core::rtp::MediaSession;
use offhook_core::sim::{Link, NodeId, Simulation, WirePacket};
use offhook_core::softphone::Softphone;
use offhook_core::time::{Duration, Instant};
use offhook_core::trace::Kind;

/// Why a scenario failed; always with the seed that makes it happen again.
pub type Outcome<T = ()> = Result<T, String>;

/// The exchange's address.
pub const EXCHANGE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// The address of a peer that says what a scenario wants; see [`crate::stranger`].
pub const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 1));

/// The rate at which telephones here listen, in Hz.
pub const RATE: u32 = 8_000;

/// A simulated network with an exchange and telephones.
pub struct World {
    /// The network.
    pub sim: Simulation,
    exchange: Option<NodeId<Exchange>>,
    /// How telephones reach the exchange and each other, if that is settled.
    transport: Option<Transport>,
    phones: u8,
    /// The first message of ours that told somebody an unspecified address.
    nowhere: Rc<RefCell<Option<String>>>,
    /// How many SIP messages were sent.
    messages: Rc<Cell<usize>>,
}

/// A telephone of a [`World`], and what has happened on it.
#[derive(Clone)]
pub struct Telephone {
    /// Its node.
    pub node: NodeId<Softphone>,
    log: Rc<RefCell<Log>>,
}

/// What one telephone has seen and heard.
struct Log {
    events: Vec<(Instant, Event)>,
    /// How many of the events a script has passed.
    passed: usize,
    heard: BTreeMap<CallId, Vec<i16>>,
    /// How many samples a second it hears.
    rate: u32,
    /// Whether it answers every call at once.
    answers: bool,
    /// Whether nobody listens at it.
    deaf: bool,
}

impl Default for Log {
    fn default() -> Self {
        let (events, heard) = (Vec::new(), BTreeMap::new());
        Self { events, passed: 0, heard, rate: RATE, answers: false, deaf: false }
    }
}

impl World {
    /// A network without an exchange.
    pub fn new(seed: u64) -> Self {
        let mut sim = Simulation::new(seed);
        sim.set_default_link(Link { delay: Duration::from_millis(5), ..Link::default() });
        let nowhere = Rc::new(RefCell::new(None));
        let found = nowhere.clone();
        let messages = Rc::new(Cell::new(0));
        let sent = messages.clone();
        sim.watch_wire(move |packet| {
            sent.set(sent.get() + usize::from(packet.kind == Kind::Sip));
            if packet.from.ip() != STRANGER && packet.kind == Kind::Sip && tells_nowhere(packet) {
                found.borrow_mut().get_or_insert_with(|| packet.text().into_owned());
            }
        });
        Self { sim, exchange: None, transport: None, phones: 0, nowhere, messages }
    }

    /// A network with an exchange that knows `users`; each one's password is its name and `-secret`.
    pub fn with_exchange(seed: u64, users: &[&str]) -> Self {
        let mut world = Self::new(seed);
        world.exchange = Some(world.sim.add(EXCHANGE, new_exchange(users)));
        world
    }

    /// The exchange's node.
    pub fn exchange(&self) -> Option<NodeId<Exchange>> {
        self.exchange
    }

    /// Kills the exchange, if there is one, and starts it anew: it knows the same `users` and the marks
    /// on the routes of calls that are up, but no registration and no connection.
    pub fn restart_exchange(&mut self, users: &[&str]) {
        if let Some(node) = self.exchange {
            self.sim.restart(node, new_exchange(users));
        }
    }

    /// How many SIP messages were sent so far.
    pub fn messages(&self) -> usize {
        self.messages.get()
    }

    /// The same network, on which telephones reach the exchange and each other by this transport. Those
    /// on WebSocket listen nowhere, as in a browser (RFC 7118).
    #[must_use]
    pub fn over(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// The same network with Alice and Bob on it, who are ready.
    pub fn pair(mut self) -> Outcome<(Self, Telephone, Telephone)> {
        let (alice, bob) = (self.telephone("alice")?, self.telephone("bob")?);
        Ok((self, alice, bob))
    }

    /// The parameters of a telephone of this network: at the exchange when there is one.
    pub fn parameters(&self, user: &str) -> PhoneParameters {
        let parameters = match self.exchange {
            // The port is said, for it is the same for every transport here.
            Some(_) if self.transport.is_some() => {
                PhoneParameters::new(&format!("{EXCHANGE}:5060"), user)
                    .password(&format!("{user}-secret"))
            }
            Some(_) => PhoneParameters::new(&EXCHANGE.to_string(), user)
                .password(&format!("{user}-secret")),
            None => PhoneParameters::without_server(user),
        };
        match self.transport {
            Some(transport) => parameters.transport(transport),
            None => parameters,
        }
    }

    /// Where the exchange reaches a user.
    pub fn contacts(&self, user: &str) -> Vec<String> {
        let exchange = self.exchange.map(|exchange| self.sim.node(exchange));
        exchange.and_then(|exchange| exchange.contacts(user)).unwrap_or_default()
    }

    /// Adds a telephone that has not started.
    pub fn add(&mut self, parameters: PhoneParameters) -> Outcome<Telephone> {
        self.phones += 1;
        self.add_at(IpAddr::V4(Ipv4Addr::new(10, 0, 1, self.phones)), parameters)
    }

    /// Adds a telephone at an address, that has not started.
    pub fn add_at(&mut self, ip: IpAddr, parameters: PhoneParameters) -> Outcome<Telephone> {
        let softphone = Softphone::new(parameters).map_err(|e| self.failure(&e.to_string()))?;
        let node = self.sim.add(ip, softphone);
        if let Some(Transport::Ws | Transport::Wss) = self.transport {
            for transport in Transport::ALL {
                self.sim.set_listening(node, transport, false);
            }
        }
        let log = Rc::new(RefCell::new(Log::default()));
        let telephone = Telephone { node, log: log.clone() };
        self.sim.set_application(node, move |softphone, application| {
            let now = application.now();
            let seen = log.borrow_mut().attend(now, softphone);
            for event in &seen {
                application.note(event);
            }
        });
        Ok(telephone)
    }

    /// Adds a telephone and waits until it is ready.
    pub fn telephone(&mut self, user: &str) -> Outcome<Telephone> {
        let telephone = self.add(self.parameters(user))?;
        self.start(&telephone)?;
        Ok(telephone)
    }

    /// Starts a telephone and waits until it is ready.
    pub fn start(&mut self, telephone: &Telephone) -> Outcome {
        self.act(telephone, Phone::start)?;
        self.wait_status(telephone, PhoneStatus::Registered)
    }

    /// Gives a telephone a command.
    pub fn act<T>(
        &mut self,
        telephone: &Telephone,
        command: impl FnOnce(&mut Phone) -> Result<T, Error>,
    ) -> Outcome<T> {
        command(self.sim.node_mut(telephone.node).phone_mut())
            .map_err(|error| self.failure(&error.to_string()))
    }

    /// Calls.
    pub fn call(&mut self, telephone: &Telephone, target: &str) -> Outcome<CallId> {
        self.act(telephone, |phone| phone.call(target, CallOptions::default()))
    }

    /// Takes a telephone to another address, and tells it. It is the one returned from then on.
    pub fn move_to(&mut self, telephone: &Telephone, ip: IpAddr) -> Outcome<Telephone> {
        let moved =
            Telephone { node: self.sim.move_node(telephone.node, ip), log: telephone.log.clone() };
        self.act(&moved, |phone| {
            phone.network_changed();
            Ok(())
        })?;
        Ok(moved)
    }

    /// The media of a call.
    pub fn media(&mut self, telephone: &Telephone, call: CallId) -> Outcome<&mut MediaSession> {
        let missing = self.failure(&format!("call {call} has no media"));
        self.sim.node_mut(telephone.node).media_mut(call).ok_or(missing)
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        self.sim.run_for(time);
    }

    /// Waits for something that `take` finds among the telephone's events after the one found last.
    pub fn wait<T>(
        &mut self,
        telephone: &Telephone,
        what: &str,
        limit: Duration,
        mut take: impl FnMut(&Event) -> Option<T>,
    ) -> Outcome<T> {
        let end = self.sim.now() + limit;
        loop {
            if let Some(found) = telephone.log.borrow_mut().pass(&mut take) {
                return Ok(found);
            }
            if self.sim.now() >= end || !self.sim.step() {
                let seen = telephone.log.borrow();
                let tail: Vec<_> = seen.events.iter().rev().take(6).rev().collect();
                return Err(self.failure(&format!("no {what} within {limit:?}; last: {tail:#?}")));
            }
        }
    }

    /// Waits for a status.
    pub fn wait_status(&mut self, telephone: &Telephone, status: PhoneStatus) -> Outcome {
        let limit = Duration::from_secs(64);
        self.wait(telephone, &format!("{status:?}"), limit, |event| match event {
            Event::Phone(PhoneEvent::Status(now)) if *now == status => Some(()),
            _ => None,
        })
    }

    /// Waits for a call to come in.
    pub fn wait_incoming(&mut self, telephone: &Telephone) -> Outcome<CallId> {
        let limit = Duration::from_secs(32);
        self.wait(telephone, "incoming call", limit, |event| match event {
            Event::Phone(PhoneEvent::Incoming { call, .. }) => Some(*call),
            _ => None,
        })
    }

    /// Waits until a call is in `state`.
    pub fn wait_state(&mut self, telephone: &Telephone, id: CallId, state: CallState) -> Outcome {
        let limit = Duration::from_secs(32);
        self.wait(telephone, state.as_str(), limit, |event| match event {
            Event::Call { call, event: CallEvent::State { state: now, .. } }
                if *call == id && *now == state =>
            {
                Some(())
            }
            _ => None,
        })
    }

    /// Waits for the end of a call: by whom, and the status code.
    pub fn wait_ended(
        &mut self,
        telephone: &Telephone,
        id: CallId,
        limit: Duration,
    ) -> Outcome<(EndedBy, Option<u16>)> {
        let ending = self.wait_ending(telephone, id, limit)?;
        Ok((ending.by, ending.cause.map(|cause| cause.code)))
    }

    /// The same, with all that is told of the end.
    pub fn wait_ending(
        &mut self,
        telephone: &Telephone,
        id: CallId,
        limit: Duration,
    ) -> Outcome<Ending> {
        self.wait(telephone, "end of the call", limit, |event| match event {
            Event::Call { call, event: CallEvent::Ended(ending) } if *call == id => {
                Some((**ending).clone())
            }
            _ => None,
        })
    }

    /// A call from one telephone to another, answered: both sides' numbers for it.
    pub fn connect(
        &mut self,
        from: &Telephone,
        to: &Telephone,
        target: &str,
    ) -> Outcome<(CallId, CallId)> {
        let outgoing = self.call(from, target)?;
        let incoming = self.wait_incoming(to)?;
        self.act(to, |phone| phone.answer(incoming))?;
        self.wait_state(from, outgoing, CallState::Answered)?;
        self.wait_state(to, incoming, CallState::Answered)?;
        Ok((outgoing, incoming))
    }

    /// Hangs up and waits until both sides know.
    pub fn disconnect(
        &mut self,
        (from, call): (&Telephone, CallId),
        (to, other): (&Telephone, CallId),
    ) -> Outcome {
        let limit = Duration::from_secs(33);
        self.act(from, |phone| phone.hangup(call))?;
        let ended = self.wait_ended(from, call, limit)?.0;
        self.expect(ended == EndedBy::Local, &format!("the caller says {ended:?}"))?;
        let ended = self.wait_ended(to, other, limit)?.0;
        self.expect(ended == EndedBy::Remote, &format!("the called says {ended:?}"))
    }

    /// What holds of every scenario: nobody was told an unspecified address, as pyVoIP tells
    /// everybody by default.
    pub fn expect_addresses(&self) -> Outcome {
        match &*self.nowhere.borrow() {
            Some(message) => Err(self.failure(&format!("0.0.0.0 was told:\n{message}"))),
            None => Ok(()),
        }
    }

    /// Fails unless `holds`.
    pub fn expect(&self, holds: bool, otherwise: &str) -> Outcome {
        if holds { Ok(()) } else { Err(self.failure(otherwise)) }
    }

    /// A failure that can be repeated.
    pub fn failure(&self, what: &str) -> String {
        format!("seed {} at {:?}: {what}", self.sim.seed(), self.sim.now())
    }
}

/// An exchange that knows `users`, whose marks on routes survive it.
fn new_exchange(users: &[&str]) -> Exchange {
    let address = SocketAddr::new(EXCHANGE, 5060);
    let mut parameters = ExchangeParameters::new(address);
    for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
        // In the simulation every transport is at the one port.
        parameters = parameters.listen(transport, address);
    }
    parameters.secret = Some(b"the exchange of the scenarios".to_vec());
    for user in users {
        parameters = parameters.user(user, &format!("{user}-secret"));
    }
    Exchange::new(parameters)
}

/// Whether a message holds 0.0.0.0 anywhere but in a connection line, where it means hold (RFC 3264
/// §8.4).
fn tells_nowhere(packet: &WirePacket) -> bool {
    let nowhere = |line: &str| {
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit() || c == '.');
        line.match_indices("0.0.0.0").any(|(at, found)| {
            let (before, after) = (&line[..at], &line[at + found.len()..]);
            !digit(before.chars().next_back()) && !digit(after.chars().next())
        }) || line.contains("[::]")
            || line.ends_with("IP6 ::")
    };
    packet.text().lines().any(|line| !line.starts_with("c=") && nowhere(line))
}

impl Telephone {
    /// What was heard in a call, from when its media began: at [`RATE`], or what
    /// [`listen_at`](Self::listen_at) says.
    pub fn heard(&self, call: CallId) -> Vec<i16> {
        self.log.borrow().heard.get(&call).cloned().unwrap_or_default()
    }

    /// Listens at another rate from now on.
    pub fn listen_at(&self, rate: u32) {
        self.log.borrow_mut().rate = rate;
    }

    /// The digits that came in a call.
    pub fn digits(&self, call: CallId) -> String {
        let log = self.log.borrow();
        let digit = |(_, event): &(Instant, Event)| match event {
            Event::Call { call: id, event: CallEvent::Dtmf { digit, .. } } if *id == call => {
                Some(*digit)
            }
            _ => None,
        };
        log.events.iter().filter_map(digit).collect()
    }

    /// Everything that happened, with its time.
    pub fn events(&self) -> Vec<(Instant, Event)> {
        self.log.borrow().events.clone()
    }

    /// Makes it answer every call as soon as it comes.
    pub fn answer_always(&self) {
        self.log.borrow_mut().answers = true;
    }

    /// Lets nobody listen at it: with calls by the thousand, looking at each takes its time.
    pub fn ignore_sound(&self) {
        self.log.borrow_mut().deaf = true;
    }
}

impl Log {
    /// Does what an application does after each crossing: takes events, reads audio.
    fn attend(&mut self, now: Instant, softphone: &mut Softphone) -> Vec<Event> {
        let first = self.events.len();
        if !self.deaf {
            let calls: Vec<CallId> = softphone.phone().calls().collect();
            calls.into_iter().for_each(|call| self.listen(softphone, call));
        }
        while let Some(event) = softphone.next_event() {
            if let Event::Phone(PhoneEvent::Incoming { call, .. }) = &event
                && self.answers
            {
                // A call that was cancelled in the same crossing can no longer be answered.
                let _too_late = softphone.phone_mut().answer(*call).is_err();
            }
            self.events.push((now, event));
        }
        self.events[first..].iter().map(|(_, event)| event.clone()).collect()
    }

    fn listen(&mut self, softphone: &mut Softphone, call: CallId) {
        let Some(media) = softphone.media_mut(call) else { return };
        let mut samples = [0; 1_600];
        loop {
            let count = media.read_audio(self.rate, &mut samples);
            if count == 0 {
                return;
            }
            self.heard.entry(call).or_default().extend_from_slice(&samples[..count]);
        }
    }

    fn pass<T>(&mut self, take: &mut impl FnMut(&Event) -> Option<T>) -> Option<T> {
        while let Some((_, event)) = self.events.get(self.passed) {
            self.passed += 1;
            if let Some(found) = take(event) {
                return Some(found);
            }
        }
        None
    }
}
