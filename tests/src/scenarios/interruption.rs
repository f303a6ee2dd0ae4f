//! Connections and networks that fail at every step of a call, and come back.
//!
//! A call is played once to count the messages on the wire, and then once for each of them: when that
//! message has been sent, something fails. Whatever it was, both telephones come to a defined state
//! within the RFC's timers, and the next call is as any other.

use offhook_core::event::{CallEvent, CallId, CallState, EndedBy, Event, PhoneEvent, PhoneStatus};
use offhook_core::host::Transport;
use offhook_core::phone::Phone;
use offhook_core::time::{Duration, Instant};
use offhook_core::trace::Kind;

use super::Scenario;
use super::calls::expect_nothing_left;
use crate::world::{Outcome, Telephone, World};

/// What fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trouble {
    /// Nothing.
    None,
    /// All connections end, and both ends see it at once.
    Cut,
    /// All connections end, which only the telephone that calls sees; the far end sees it much later.
    CallerSees,
    /// The same, as the telephone sees it that is called.
    CalledSees,
    /// The exchange is killed, and started anew.
    Restart,
    /// Nothing arrives anywhere for 10 s; what connections carry arrives then.
    Silence,
}

/// Which way the call goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Direct,
    Exchange,
}

const USERS: [&str; 2] = ["alice", "bob"];

/// How long a [`Trouble::Silence`] lasts.
const SILENCE: Duration = Duration::from_secs(10);
/// How long a binding lasts, and so how long a server may not know of a telephone that has not seen it
/// fail.
const EXPIRES: Duration = Duration::from_secs(60);
/// How much each packet of media carries: so that there are few, for nobody listens.
const PTIME: Duration = Duration::from_millis(200);
/// How often a script looks at its telephones.
const TICK: Duration = Duration::from_millis(50);
/// After what time the called answers, and between what the caller does in the call.
const PAUSE: Duration = Duration::from_millis(300);
/// Within what time what was lost is made up for, and for how long that is looked at: longer than T2, after
/// which a 2xx is repeated at the latest.
const SETTLES: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_millis(4_500);
/// Within what time a telephone is registered.
const REGISTERED_WITHIN: Duration = Duration::from_secs(70);
/// How long the caller lets it ring.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);
/// Within what time a call is answered or over: then it is withdrawn, and 64·T1 (RFC 3261 §9.1) later it
/// is over whether that is answered or not.
const DECIDED_WITHIN: Duration = Duration::from_secs(40 + 33);
/// Within what time it is over on both sides once the caller has hung up: 64·T1 for the BYE, and as
/// much for a 2xx that had to wait.
const OVER_WITHIN: Duration = Duration::from_secs(66);

/// Two telephones, and what is to fail when.
struct Play {
    world: World,
    alice: Telephone,
    bob: Telephone,
    way: Way,
    transport: Transport,
    trouble: Trouble,
    /// After how many messages it fails.
    after: usize,
    /// When a silence is over.
    heals: Option<Instant>,
}

impl Play {
    fn new(seed: u64, way: Way, transport: Transport) -> Outcome<Self> {
        let mut world = match way {
            Way::Direct => World::new(seed),
            Way::Exchange => World::with_exchange(seed, &USERS),
        };
        world = world.over(transport);
        let mut add = |user| -> Outcome<Telephone> {
            // A peer that starts anew has to be found again, and nobody listens.
            let parameters = world.parameters(user).expires(EXPIRES).ptime(PTIME);
            let parameters = parameters.answer_timeout(ANSWER_TIMEOUT);
            let telephone = world.add(parameters)?;
            telephone.ignore_sound();
            Ok(telephone)
        };
        let (alice, bob) = (add("alice")?, add("bob")?);
        world.sim.record_wire(1_000);
        let (trouble, after, heals) = (Trouble::None, usize::MAX, None);
        Ok(Self { world, alice, bob, way, transport, trouble, after, heals })
    }

    /// Plays it all: registration, a call with a hold, and a second call; tells how many messages were
    /// sent up to the end of the first.
    fn play(&mut self) -> Outcome<usize> {
        for telephone in [self.alice.clone(), self.bob.clone()] {
            self.world.act(&telephone, Phone::start)?;
        }
        self.wait_registered()?;
        self.call()?;
        let sent = self.world.messages();
        (self.after, self.trouble) = (usize::MAX, Trouble::None);
        self.pass(EXPIRES);
        self.wait_registered()?;
        let answered = self.call()?;
        self.world.expect(answered, "the next call was not answered")?;
        let (alice, bob) = (self.alice.clone(), self.bob.clone());
        expect_nothing_left(&mut self.world, &[&alice, &bob])?;
        Ok(sent)
    }

    /// A call, from the INVITE until both sides have forgotten it; whether it was answered.
    fn call(&mut self) -> Outcome<bool> {
        let out = self.world.call(&self.alice, self.target())?;
        let before = [&self.alice, &self.bob].map(|telephone| ends(telephone).len());
        let decided = |it: &Self| it.is(&it.alice, out, CallState::Answered) || it.is_over(out);
        self.wait("answer, or end of the call", DECIDED_WITHIN, decided)?;
        let answered = !self.is_over(out);
        if answered {
            let alice = self.alice.clone();
            self.wait_for(PAUSE);
            self.act_in_call(&alice, out, |phone| phone.hold(out))?;
            self.wait_for(PAUSE);
            self.act_in_call(&alice, out, |phone| phone.resume(out))?;
            if self.trouble != Trouble::None {
                self.expect_quiet()?;
            }
            self.act_in_call(&alice, out, |phone| phone.hangup(out))?;
        }
        let over =
            |it: &Self| [&it.alice, &it.bob].into_iter().all(|telephone| it.calls(telephone) == 0);
        self.wait("end of the call on both sides", OVER_WITHIN, over)?;
        if answered {
            // The caller has ended it, and the called has learned it from him.
            let [alice, bob] = [(&self.alice, before[0]), (&self.bob, before[1])]
                .map(|(telephone, before)| ends(telephone).split_off(before));
            // A BYE to who is not back at the exchange yet, and listens nowhere, is answered 480: he only
            // hears nothing any more.
            let lost = match self.trouble {
                Trouble::CalledSees => self.way == Way::Exchange,
                Trouble::Cut => self.transport == Transport::Ws,
                _ => false,
            };
            let told = |by: &EndedBy| *by == EndedBy::Remote || lost && *by == EndedBy::Timeout;
            let hung_up = alice == [EndedBy::Local] && bob.iter().any(told);
            self.world.expect(hung_up, &format!("it was ended {alice:?}, {bob:?}"))?;
        }
        Ok(answered)
    }

    /// Whatever was lost is made up for after a while. A 2xx whose ACK has not come would still be repeated
    /// (RFC 3261 §13.3.1.4), and end the call in the end.
    fn expect_quiet(&mut self) -> Outcome {
        self.wait_for(SETTLES);
        let since = self.world.sim.now();
        self.wait_for(QUIET);
        // One that the caller has placed anew may still be repeated in vain.
        if self.calls(&self.bob) > 1 {
            return Ok(());
        }
        let late = self.world.sim.wire().rev().take_while(|packet| packet.sent >= since);
        let late = late.filter(|packet| packet.kind == Kind::Sip);
        let late: Vec<_> = late.map(|packet| packet.text().into_owned()).collect();
        let repeated = late.iter().find(|text| text.contains(" INVITE\r\n"));
        // A 2xx that comes to a proxy which has forgotten the INVITE goes no further (RFC 6026 §7.3).
        if self.trouble == Trouble::Restart && self.transport == Transport::Udp {
            return Ok(());
        }
        self.world.expect(repeated.is_none(), &format!("still under way: {repeated:?}"))
    }

    fn target(&self) -> &'static str {
        match self.way {
            Way::Direct => "sip:bob@10.0.1.2:5060",
            Way::Exchange => "bob",
        }
    }

    // --- time ---

    /// Lets time pass, and lets fail what is to fail.
    fn pass(&mut self, time: Duration) {
        let end = self.world.sim.now() + time;
        while self.world.sim.next_at().is_some_and(|at| at <= end) {
            self.world.sim.step();
            if self.world.messages() >= self.after {
                self.after = usize::MAX;
                self.fail();
            }
            if self.heals.take_if(|at| *at <= self.world.sim.now()).is_some() {
                self.each_link(|world, a, b| world.sim.heal(a, b));
            }
        }
        let left = end.since(self.world.sim.now());
        self.world.pass(left);
    }

    fn wait_for(&mut self, time: Duration) {
        let end = self.world.sim.now() + time;
        while self.world.sim.now() < end {
            self.tick();
        }
    }

    /// A little time, after which the called answers what has rung for long enough.
    fn tick(&mut self) {
        self.pass(TICK);
        let now = self.world.sim.now();
        for (at, event) in self.bob.events() {
            let Event::Phone(PhoneEvent::Incoming { call, .. }) = event else { continue };
            if at + PAUSE <= now && self.is(&self.bob, call, CallState::Ringing) {
                let _ended = self.world.sim.node_mut(self.bob.node).phone_mut().answer(call);
            }
        }
    }

    fn wait(&mut self, what: &str, limit: Duration, so: impl Fn(&Self) -> bool) -> Outcome {
        let end = self.world.sim.now() + limit;
        while !so(self) {
            if self.world.sim.now() >= end {
                let states = [&self.alice, &self.bob].map(|telephone| {
                    let phone = self.world.sim[telephone.node].phone();
                    let calls: Vec<_> = phone.calls().map(|call| phone.state(call)).collect();
                    (phone.status(), calls)
                });
                return Err(self.world.failure(&format!("no {what} within {limit:?}: {states:?}")));
            }
            self.tick();
        }
        Ok(())
    }

    fn wait_registered(&mut self) -> Outcome {
        let registered = |it: &Self| {
            [&it.alice, &it.bob].into_iter().all(|telephone| {
                it.world.sim[telephone.node].phone().status() == PhoneStatus::Registered
            })
        };
        self.wait("registration", REGISTERED_WITHIN, registered)
    }

    // --- calls ---

    fn is(&self, telephone: &Telephone, call: CallId, state: CallState) -> bool {
        self.world.sim[telephone.node].phone().state(call) == Some(state)
    }

    /// Whether the caller was told that it is over.
    fn is_over(&self, out: CallId) -> bool {
        !self.world.sim[self.alice.node].phone().calls().any(|call| call == out)
    }

    fn calls(&self, telephone: &Telephone) -> usize {
        self.world.sim[telephone.node].phone().calls().count()
    }

    /// Does something with the answered call, which must not have ended.
    fn act_in_call(
        &mut self,
        telephone: &Telephone,
        call: CallId,
        act: impl FnOnce(&mut Phone) -> Result<(), offhook_core::error::Error>,
    ) -> Outcome {
        let state = self.world.sim[telephone.node].phone().state(call);
        let answered = state == Some(CallState::Answered);
        self.world.expect(answered, &format!("an answered call is {state:?}"))?;
        self.world.act(telephone, act)
    }

    // --- trouble ---

    fn fail(&mut self) {
        let (alice, bob) = (self.alice.node, self.bob.node);
        let exchange = self.world.exchange();
        match self.trouble {
            Trouble::None => {}
            Trouble::Restart => self.world.restart_exchange(&USERS),
            Trouble::Silence => {
                self.each_link(|world, a, b| world.sim.partition(a, b));
                self.heals = Some(self.world.sim.now() + SILENCE);
            }
            Trouble::Cut => {
                let sim = &mut self.world.sim;
                sim.cut(alice, bob);
                if let Some(exchange) = exchange {
                    sim.cut(alice, exchange);
                    sim.cut(bob, exchange);
                }
            }
            Trouble::CallerSees => match exchange {
                Some(exchange) => self.world.sim.half_open(alice, exchange),
                None => self.world.sim.half_open(alice, bob),
            },
            Trouble::CalledSees => match exchange {
                Some(exchange) => self.world.sim.half_open(bob, exchange),
                None => self.world.sim.half_open(bob, alice),
            },
        }
    }

    fn each_link(&mut self, act: impl Fn(&mut World, std::net::IpAddr, std::net::IpAddr)) {
        let mut hosts = vec![self.alice.node.ip(), self.bob.node.ip()];
        hosts.extend(self.world.exchange().map(|exchange| exchange.ip()));
        for (index, a) in hosts.iter().enumerate() {
            for b in &hosts[..index] {
                act(&mut self.world, *a, *b);
            }
        }
    }
}

/// By whom each call was ended that a telephone has told the end of.
fn ends(telephone: &Telephone) -> Vec<EndedBy> {
    let end = |(_, event): &(Instant, Event)| match event {
        Event::Call { event: CallEvent::Ended(ending), .. } => Some(ending.by),
        _ => None,
    };
    telephone.events().iter().filter_map(end).collect()
}

/// The wires of a call by one transport, or by all of them in turn, and every so many of its steps: which
/// follows from the seed, and as many seeds in a row play everything.
struct Table {
    trouble: Trouble,
    ways: &'static [Way],
    transports: &'static [Transport],
}

/// How many seeds in a row it takes to play every step by one transport.
const PARTS: u64 = 6;

impl Table {
    /// Plays the part of the seed.
    fn play(&self, seed: u64) -> Outcome<World> {
        let (part, rest) = (seed % PARTS, seed / PARTS);
        let transport = self.transports[(rest % self.transports.len() as u64) as usize];
        // Who is on WebSocket listens nowhere.
        let listens = transport != Transport::Ws;
        for &way in self.ways.iter().filter(|way| listens || **way == Way::Exchange) {
            let messages = Play::new(seed, way, transport)?.play()?;
            for after in (1..=messages).filter(|after| *after as u64 % PARTS == part) {
                let mut play = Play::new(seed, way, transport)?;
                (play.trouble, play.after) = (self.trouble, after);
                play.play().map_err(|failure| {
                    let Self { trouble, .. } = self;
                    let step = format!("{trouble:?} after message {after} of {messages}");
                    format!("{step}, {way:?} by {transport:?}: {failure}")
                })?;
            }
        }
        Ok(World::new(seed))
    }
}

const BOTH_WAYS: &[Way] = &[Way::Direct, Way::Exchange];
const CONNECTIONS: &[Transport] = &[Transport::Tcp, Transport::Tls, Transport::Ws];

pub(super) const CUT: Scenario = Scenario {
    name: "cut_at_each_step",
    shows: "connections end after a message of a call: an answered call stays, any other comes to an end \
            (pyVoIP #125 #242)",
    play: |seed| {
        let (trouble, ways, transports) = (Trouble::Cut, BOTH_WAYS, CONNECTIONS);
        Table { trouble, ways, transports }.play(seed)
    },
};

pub(super) const CALLER_SEES: Scenario = Scenario {
    name: "cut_as_the_caller_sees",
    shows: "the same when only the caller sees it; the far end keeps what is dead for 30 s",
    play: |seed| {
        let (trouble, ways, transports) = (Trouble::CallerSees, BOTH_WAYS, CONNECTIONS);
        Table { trouble, ways, transports }.play(seed)
    },
};

pub(super) const CALLED_SEES: Scenario = Scenario {
    name: "cut_as_the_called_sees",
    shows: "the same when only the called sees it, and comes back to the exchange or answers by a \
            connection of his own",
    play: |seed| {
        let (trouble, ways, transports) = (Trouble::CalledSees, BOTH_WAYS, CONNECTIONS);
        Table { trouble, ways, transports }.play(seed)
    },
};

pub(super) const RESTART: Scenario = Scenario {
    name: "restart_at_each_step",
    shows: "a server is killed and started anew after a message of a call: found again, calls untouched \
            (pyVoIP #193 #185)",
    play: |seed| {
        let (trouble, ways) = (Trouble::Restart, &[Way::Exchange]);
        let transports = &[Transport::Udp, Transport::Tcp, Transport::Tls];
        Table { trouble, ways, transports }.play(seed)
    },
};

pub(super) const SILENT: Scenario = Scenario {
    name: "silence_at_each_step",
    shows: "a network carries nothing for 10 s after a message of a call, which goes on",
    play: |seed| {
        let transports = &[Transport::Udp, Transport::Tcp];
        Table { trouble: Trouble::Silence, ways: BOTH_WAYS, transports }.play(seed)
    },
};
