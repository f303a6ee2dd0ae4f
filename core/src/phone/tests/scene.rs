//! A scene: phones and scripted peers on one simulated network, with all events kept.

use core::net::SocketAddr;
use std::cell::RefCell;
use std::rc::Rc;

use crate::config::PhoneParameters;
use crate::event::{CallEvent, CallId, CallState, EndedBy, Event, PhoneEvent};
use crate::host::MediaPort;
use crate::media::MediaControl;
use crate::phone::Phone;
use crate::sdp::Agreed;
pub(super) use crate::sim::session_body as session;
use crate::sim::{Arrival, NodeId, ScriptedParty, ScriptedPeer, Simulation, message_text};
use crate::time::Duration;

pub(super) const ALICE: [u8; 4] = [10, 0, 0, 1];
pub(super) const BOB: [u8; 4] = [10, 0, 0, 2];

/// How long anything is waited for: longer than every timer of a transaction.
pub(super) const LONG: Duration = Duration::from_secs(40);

/// A phone on the network, and what it has told.
#[derive(Clone)]
pub(super) struct Actor {
    pub(super) id: NodeId<Phone>,
    events: Rc<RefCell<Vec<Event>>>,
}

/// The network and those on it.
pub(super) struct Scene {
    pub(super) sim: Simulation,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::with_seed(7)
    }

    pub(super) fn with_seed(seed: u64) -> Self {
        let mut sim = Simulation::new(seed);
        sim.record_wire(10_000);
        Self { sim }
    }

    /// A phone without a server, started.
    pub(super) fn direct(&mut self, ip: [u8; 4], user: &str) -> Actor {
        let actor = self.phone(ip, PhoneParameters::without_server(user));
        self.start(&actor);
        actor
    }

    /// A phone with these parameters, not started.
    pub(super) fn phone(&mut self, ip: [u8; 4], parameters: PhoneParameters) -> Actor {
        let phone = Phone::new(parameters).expect("the parameters are good");
        let id = self.sim.add(ip, phone);
        let events = Rc::new(RefCell::new(Vec::new()));
        let kept = Rc::clone(&events);
        self.sim.set_application(id, move |phone: &mut Phone, _| {
            kept.borrow_mut().extend(core::iter::from_fn(|| phone.next_event()));
        });
        Actor { id, events }
    }

    pub(super) fn start(&mut self, actor: &Actor) {
        self.sim[actor.id].start().expect("it may start");
        self.run(Duration::from_millis(1));
    }

    /// A peer that answers as `reaction` says.
    pub(super) fn peer(
        &mut self,
        ip: [u8; 4],
        reaction: impl FnMut(&mut ScriptedPeer, &Arrival) + 'static,
    ) -> NodeId<ScriptedPeer> {
        self.sim.add(ip, ScriptedPeer::reacting(reaction))
    }

    pub(super) fn run(&mut self, time: Duration) {
        self.sim.run_for(time);
    }

    /// Gives a phone a command.
    pub(super) fn tell<R>(&mut self, actor: &Actor, act: impl FnOnce(&mut Phone) -> R) -> R {
        act(&mut self.sim[actor.id])
    }

    /// Calls, and hands back the number.
    pub(super) fn call(&mut self, actor: &Actor, target: &str) -> CallId {
        self.tell(actor, |phone| phone.call(target, Default::default())).expect("it may call")
    }

    /// Runs until an event of the phone fits.
    #[track_caller]
    pub(super) fn until(&mut self, actor: &Actor, what: impl Fn(&Event) -> bool) {
        let events = Rc::clone(&actor.events);
        let seen = self.sim.run_until(|_| events.borrow().iter().any(&what), LONG);
        if seen.is_err() {
            panic!("it did not come; {:#?}\n{}", actor.events(), self.ladder());
        }
    }

    /// Runs until the phone has an incoming call; its number.
    #[track_caller]
    pub(super) fn incoming(&mut self, actor: &Actor) -> CallId {
        self.until(actor, |event| matches!(event, Event::Phone(PhoneEvent::Incoming { .. })));
        let events = actor.events.borrow();
        let call = events.iter().rev().find_map(|event| match event {
            Event::Phone(PhoneEvent::Incoming { call, .. }) => Some(*call),
            _ => None,
        });
        call.expect("it was just seen")
    }

    /// Runs until the phone has told the call's state.
    #[track_caller]
    pub(super) fn reach(&mut self, actor: &Actor, call: CallId, wanted: CallState) {
        self.until(actor, |event| {
            matches!(event, Event::Call { call: id, event: CallEvent::State { state, .. } }
                if *id == call && *state == wanted)
        });
    }

    /// Runs until the call has ended; how.
    #[track_caller]
    pub(super) fn ended(&mut self, actor: &Actor, call: CallId) -> (EndedBy, Option<u16>) {
        self.until(actor, |event| {
            matches!(event, Event::Call { call: id, event: CallEvent::Ended(_) } if *id == call)
        });
        actor.assert_one_end(call);
        let events = actor.events.borrow();
        let ending = events.iter().find_map(|event| match event {
            Event::Call { call: id, event: CallEvent::Ended(ending) } if *id == call => {
                Some((ending.by, ending.cause.as_ref().map(|cause| cause.code)))
            }
            _ => None,
        });
        ending.expect("it was just seen")
    }

    /// Two phones in an answered call: the caller's number and the callee's.
    #[track_caller]
    pub(super) fn answered(&mut self, alice: &Actor, bob: &Actor) -> (CallId, CallId) {
        let target = format!("sip:bob@{}", bob.id.address());
        let calling = self.call(alice, &target);
        let called = self.incoming(bob);
        self.tell(bob, |phone| phone.answer(called)).expect("it rings");
        self.reach(alice, calling, CallState::Answered);
        self.run(Duration::from_millis(100));
        (calling, called)
    }

    /// The first lines of what was sent, as `from -> to: line`, times left out.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |packet: &crate::sim::WirePacket| {
            let text = packet.text();
            let first = text.lines().next().unwrap_or_default();
            let words: Vec<&str> = first.split(' ').collect();
            let short = match words.first() {
                Some(&"SIP/2.0") => words[1],
                _ => words[0],
            };
            let name = |address: SocketAddr| match address.ip().to_string().rsplit_once('.') {
                Some((_, last)) => last.to_owned(),
                None => address.to_string(),
            };
            format!("{}>{} {short}", name(packet.from), name(packet.to))
        };
        self.sip().map(line).collect()
    }

    /// The SIP messages that were sent.
    pub(super) fn sip(&self) -> impl DoubleEndedIterator<Item = &crate::sim::WirePacket> {
        self.sim.wire().filter(|packet| packet.kind == crate::trace::Kind::Sip)
    }

    /// The texts of the messages sent from `ip` whose first line contains `what`.
    pub(super) fn sent(&self, ip: [u8; 4], what: &str) -> Vec<String> {
        self.sip()
            .filter(|packet| packet.from.ip() == core::net::IpAddr::from(ip))
            .map(|packet| packet.text().into_owned())
            .filter(|text| text.lines().next().unwrap_or_default().contains(what))
            .collect()
    }

    pub(super) fn ladder(&self) -> String {
        self.sip().map(|packet| format!("{:?} {}\n", packet.sent, packet.text())).collect()
    }

    /// Nothing is left behind: no call, no port, and once no message can come again, no memory.
    #[track_caller]
    pub(super) fn assert_idle(&mut self, actor: &Actor) {
        self.run(Duration::from_secs(1));
        assert_eq!(self.sim.media_ports(actor.id), 0, "a port is left");
        self.run(LONG);
        let phone = &self.sim[actor.id];
        assert!(phone.agent.is_idle(), "something is remembered");
        assert!(phone.invites.is_empty() && phone.calls.is_empty(), "{phone:#?}");
        assert_eq!(self.sim[actor.id].calls().count(), 0, "a call is left");
        assert_eq!(self.sim.media_ports(actor.id), 0, "a port is left");
    }
}

impl Actor {
    pub(super) fn events(&self) -> Vec<Event> {
        self.events.borrow().clone()
    }

    /// Where its events are kept.
    pub(super) fn kept(&self) -> Rc<RefCell<Vec<Event>>> {
        Rc::clone(&self.events)
    }

    /// The states that were told of a call, each with the code of its cause.
    pub(super) fn states(&self, call: CallId) -> Vec<(CallState, Option<u16>)> {
        let told = |event: &Event| match event {
            Event::Call { call: id, event: CallEvent::State { state, cause } } if *id == call => {
                Some((*state, cause.as_ref().map(|cause| cause.code)))
            }
            _ => None,
        };
        self.events.borrow().iter().filter_map(told).collect()
    }

    /// What media was told of a call, in order.
    pub(super) fn controls(&self, call: CallId) -> Vec<MediaControl> {
        let told = |event: &Event| match event {
            Event::Media { call: id, control } if *id == call => Some(control.clone()),
            _ => None,
        };
        self.events.borrow().iter().filter_map(told).collect()
    }

    /// What was agreed on a call's streams, in order.
    pub(super) fn media(&self, call: CallId) -> Vec<Agreed> {
        let agreed = |control| match control {
            MediaControl::Configure { parameters, .. } => Some(parameters.agreed),
            _ => None,
        };
        self.controls(call).into_iter().filter_map(agreed).collect()
    }

    /// The pairs of ports on which that was agreed.
    pub(super) fn ports(&self, call: CallId) -> Vec<MediaPort> {
        let port = |control| match control {
            MediaControl::Configure { parameters, .. } => Some(parameters.transport.port()),
            _ => None,
        };
        self.controls(call).into_iter().filter_map(port).collect()
    }

    /// What media was told of a call's streams: `0 to 4000`, where the first sends now, or `0 over`.
    pub(super) fn streams(&self, call: CallId) -> Vec<String> {
        let told = |control| match control {
            MediaControl::Configure { stream, parameters } => {
                Some(format!("{stream} to {}", parameters.agreed.remote_rtp.port()))
            }
            MediaControl::Remove { stream } => Some(format!("{stream} over")),
            _ => None,
        };
        self.controls(call).into_iter().filter_map(told).collect()
    }

    /// Every call that was ever told of has ended, once.
    #[track_caller]
    pub(super) fn assert_every_call_ended(&self, seed: u64) {
        let events = self.events();
        let mut calls: Vec<CallId> = events
            .iter()
            .filter_map(|event| match event {
                Event::Call { call, event: CallEvent::State { .. } }
                | Event::Phone(PhoneEvent::Incoming { call, .. }) => Some(*call),
                _ => None,
            })
            .collect();
        calls.sort_unstable();
        calls.dedup();
        assert!(!calls.is_empty(), "seed {seed}");
        for call in calls {
            self.assert_one_end(call);
        }
    }

    /// A call's events end with exactly one Ended, and before it the state was told.
    #[track_caller]
    fn assert_one_end(&self, call: CallId) {
        let events = self.events.borrow();
        let of_call = |event: &&Event| match event {
            Event::Call { call: id, .. }
            | Event::Media { call: id, .. }
            | Event::Phone(PhoneEvent::Incoming { call: id, .. }) => *id == call,
            _ => false,
        };
        let of_call: Vec<&Event> = events.iter().filter(of_call).collect();
        let ends = of_call
            .iter()
            .filter(|event| matches!(event, Event::Call { event: CallEvent::Ended(_), .. }))
            .count();
        assert_eq!(ends, 1, "{of_call:#?}");
        assert!(
            matches!(of_call.last(), Some(Event::Call { event: CallEvent::Ended(_), .. })),
            "{of_call:#?}"
        );
        let told = |event: &&&Event| {
            matches!(
                event,
                Event::Call { event: CallEvent::State { state: CallState::Ended, .. }, .. }
            )
        };
        assert_eq!(of_call.iter().filter(told).count(), 1, "{of_call:#?}");
    }
}

/// The value of a header field in a message's text.
pub(super) fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    headers(text, name).into_iter().next()
}

/// The values of all header fields of that name.
pub(super) fn headers<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let fields = text.lines().take_while(|line| !line.is_empty());
    let named = fields.filter_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then_some(value.trim())
    });
    named.collect()
}

/// Where the scripted peer of a test is.
pub(super) const PEER: [u8; 4] = [10, 0, 0, 9];

/// What a scripted peer offers or answers: PCMU and PCMA at one of its ports.
pub(super) fn sdp(direction: &str) -> String {
    format!(
        "v=0\no=- 1 1 IN IP4 10.0.0.9\ns=-\nc=IN IP4 10.0.0.9\nt=0 0\n\
         m=audio 4000 RTP/AVP 0 8\na={direction}\n"
    )
}

/// What the scripted peer is called, and whom it calls.
pub(super) const TESTER: ScriptedParty = ScriptedParty {
    name: "Tester",
    user: "tester",
    ip: "10.0.0.9",
    call_id: "scripted",
    peer: "sip:bob@10.0.0.2",
};

/// A request of the scripted peer, in one series by its Call-ID and tag: `more` are header lines
/// and perhaps an empty line and a body.
pub(super) fn request(method: &str, seq: u32, to_tag: Option<&str>, more: &str) -> String {
    TESTER.request(method, seq, to_tag, more)
}

/// A response of the scripted peer to a request that came, with this tag in To.
pub(super) fn response(request: &Arrival, status: &str, tag: &str, more: &str) -> String {
    let text = request.text();
    let mut head = format!("SIP/2.0 {status}\n");
    for line in text.lines().skip(1).take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default();
        let tagged = name == "To" && !line.contains(";tag=") && !tag.is_empty();
        if ["Via", "From", "To", "Call-ID", "CSeq"].contains(&name) {
            head += line;
            head += &if tagged { format!(";tag={tag}\n") } else { "\n".to_owned() };
        }
    }
    message_text(&head, more)
}

/// The header lines and body of a 2xx or 1xx that answers our offer.
pub(super) fn described() -> String {
    format!("Contact: <sip:bob@10.0.0.9:5060>\n{}", session(&sdp("sendrecv")))
}

/// The tag in a header field's value.
pub(super) fn tag(value: &str) -> &str {
    let (_, tag) = value.split_once(";tag=").expect("there is a tag");
    tag.split(';').next().unwrap_or_default()
}

impl Scene {
    /// A peer that only listens, to be driven by the test.
    pub(super) fn silent_peer(&mut self) -> NodeId<ScriptedPeer> {
        self.sim.add(PEER, ScriptedPeer::new())
    }

    /// Lets the peer send to a phone, and time for what follows at once.
    pub(super) fn say(&mut self, peer: NodeId<ScriptedPeer>, to: &Actor, text: &str) {
        self.sim[peer].send(to.id.address(), text);
        self.run(Duration::from_millis(50));
    }

    /// The last response with that status to a request of that method that came to the peer.
    #[track_caller]
    pub(super) fn answer_to(
        &self,
        peer: NodeId<ScriptedPeer>,
        method: &str,
        seq: u32,
    ) -> (u16, String) {
        let wanted = format!("{seq} {method}");
        let arrivals = self.sim[peer].received().iter().rev();
        let mut responses = arrivals.filter(|arrival| {
            arrival.first_line().starts_with("SIP/2.0")
                && arrival.header("CSeq").as_deref() == Some(wanted.as_str())
        });
        let response = responses.next().expect("there is a response").text().into_owned();
        (response[8..11].parse().unwrap(), response)
    }

    /// A call of the scripted peer to the phone, answered and acknowledged: our number for it, and
    /// the phone's tag.
    #[track_caller]
    pub(super) fn called_by(
        &mut self,
        peer: NodeId<ScriptedPeer>,
        bob: &Actor,
    ) -> (CallId, String) {
        self.say(peer, bob, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
        let call = self.incoming(bob);
        self.tell(bob, |phone| phone.answer(call)).unwrap();
        self.run(Duration::from_millis(50));
        let (status, response) = self.answer_to(peer, "INVITE", 1);
        assert_eq!(status, 200, "{response}");
        let tag = tag(header(&response, "To").unwrap()).to_owned();
        self.say(peer, bob, &request("ACK", 1, Some(&tag), ""));
        (call, tag)
    }
}
