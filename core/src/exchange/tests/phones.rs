//! Real phones at the exchange.

use core::net::IpAddr;
use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::config::PhoneParameters;
use crate::event::{CallEvent, CallId, CallState, EndedBy, Event, PhoneEvent, PhoneStatus};
use crate::phone;
use crate::sim::Link;

/// A phone, and what it told.
pub(super) struct Handset {
    pub(super) node: NodeId<phone::Phone>,
    events: Rc<RefCell<Vec<Event>>>,
}

/// What a handset does when it rings.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Manner {
    Answers,
    Rings,
    Denies(u16),
}

impl Handset {
    pub(super) fn new(site: &mut Site, last: u8, user: &str, manner: Manner) -> Self {
        let password: String = user.chars().rev().collect();
        Self::with_password(site, last, user, &password, manner)
    }

    fn with_password(
        site: &mut Site,
        last: u8,
        user: &str,
        password: &str,
        manner: Manner,
    ) -> Self {
        let mut parameters = PhoneParameters::new(EXCHANGE, user).password(password);
        parameters.registration_attempts = 2;
        Self::at(site, [10, 0, 0, last].into(), parameters, manner)
    }

    pub(super) fn at(
        site: &mut Site,
        ip: IpAddr,
        parameters: PhoneParameters,
        manner: Manner,
    ) -> Self {
        let mut phone = phone::Phone::new(parameters).unwrap();
        phone.start().unwrap();
        let node = site.sim.add(ip, phone);
        let events = Rc::new(RefCell::new(Vec::new()));
        let kept = Rc::clone(&events);
        site.sim.set_application(node, move |phone: &mut phone::Phone, _| {
            while let Some(event) = phone.next_event() {
                if let Event::Phone(PhoneEvent::Incoming { call, .. }) = event {
                    match manner {
                        Manner::Answers => phone.answer(call).unwrap(),
                        Manner::Denies(code) => phone.deny(call, code, None).unwrap(),
                        Manner::Rings => {}
                    }
                }
                kept.borrow_mut().push(event);
            }
        });
        Self { node, events }
    }

    pub(super) fn rings(&self) -> bool {
        self.told(|event| matches!(event, Event::Phone(PhoneEvent::Incoming { .. })))
    }

    pub(super) fn told(&self, what: impl Fn(&Event) -> bool) -> bool {
        self.events.borrow().iter().any(what)
    }

    /// The last state that was told of any call.
    pub(super) fn state(&self) -> Option<CallState> {
        let state = |event: &Event| match event {
            Event::Call { event: CallEvent::State { state, .. }, .. } => Some(*state),
            _ => None,
        };
        self.events.borrow().iter().rev().find_map(state)
    }

    pub(super) fn end(&self) -> Option<(EndedBy, Option<u16>)> {
        let end = |event: &Event| match event {
            Event::Call { event: CallEvent::Ended(ending), .. } => {
                Some((ending.by, ending.cause.as_ref().map(|cause| cause.code)))
            }
            _ => None,
        };
        self.events.borrow().iter().rev().find_map(end)
    }
}

impl Site {
    pub(super) fn wait(&mut self, what: impl Fn(&mut Simulation) -> bool) {
        if let Err(failure) = self.sim.run_until(what, SECOND * 70) {
            panic!("{failure}\n{}", self.sim.trace().ladder());
        }
    }

    pub(super) fn wait_registered(&mut self, handsets: &[&Handset]) {
        for handset in handsets {
            let node = handset.node;
            self.wait(|sim| sim[node].status() == PhoneStatus::Registered);
        }
    }

    pub(super) fn dial(&mut self, handset: &Handset, target: &str) -> CallId {
        self.sim[handset.node].call(target, Default::default()).unwrap()
    }

    pub(super) fn wait_end(&mut self, handset: &Handset) -> (EndedBy, Option<u16>) {
        self.wait(|_| handset.end().is_some());
        handset.end().unwrap()
    }
}

#[test]
fn two_phones_register_and_call() {
    let mut site = Site::new();
    let alice = Handset::new(&mut site, 1, "alice", Manner::Rings);
    let bob = Handset::new(&mut site, 2, "bob", Manner::Answers);
    site.wait_registered(&[&alice, &bob]);
    let call = site.dial(&alice, "bob");
    site.wait(|_| alice.state() == Some(CallState::Answered));
    site.wait(|_| bob.state() == Some(CallState::Answered));
    site.sim.run_for(SECOND * 5);
    site.sim[alice.node].hangup(call).unwrap();
    assert_eq!(site.wait_end(&bob), (EndedBy::Remote, None));
    site.wait_end(&alice);
    // Everything took the way by the exchange.
    let direct = |packet: &&crate::sim::WirePacket| {
        packet.from.ip() != site.exchange.ip() && packet.to.ip() != site.exchange.ip()
    };
    assert_eq!(site.sim.wire().filter(direct).count(), 0);
    for handset in [&alice, &bob] {
        site.sim[handset.node].stop();
        let node = handset.node;
        site.wait(|sim| sim[node].status() == PhoneStatus::Inactive);
    }
    assert!(site.contacts("alice").is_empty() && site.contacts("bob").is_empty());
    site.sim.run_for(SECOND * 40);
    assert_eq!(site.sim[site.exchange].requests(), 0);
}

#[test]
fn registrations_are_kept_up() {
    let mut site = Site::new();
    let alice = Handset::new(&mut site, 1, "alice", Manner::Rings);
    site.wait_registered(&[&alice]);
    for _ in 0..20 {
        site.sim.run_for(SECOND * 60);
        assert_eq!(site.contacts("alice").len(), 1);
    }
    let lost = |event: &ExchangeEvent| matches!(event, ExchangeEvent::Unregistered { .. });
    assert!(!site.events().iter().any(lost));
    // Its end without a farewell is noticed in the time the binding lasts.
    site.sim.kill(alice.node);
    site.sim.run_for(SECOND * 121);
    assert!(site.contacts("alice").is_empty());
}

#[test]
fn a_wrong_password_fails_the_phone() {
    let mut site = Site::new();
    let alice = Handset::with_password(&mut site, 1, "alice", "wrong", Manner::Rings);
    let node = alice.node;
    site.wait(|sim| sim[node].status() == PhoneStatus::Failed);
    let refused = |event: &Event| {
        matches!(event, Event::Phone(PhoneEvent::RegistrationFailed { cause: Some(cause), .. })
            if cause.code == 403)
    };
    assert!(alice.told(refused), "{:#?}", alice.events);
    assert!(site.contacts("alice").is_empty());
}

#[test]
fn refusals_reach_the_caller() {
    for (target, manner, code) in [
        ("bob", Manner::Denies(486), 486),
        ("bob", Manner::Denies(603), 603),
        ("carol", Manner::Rings, 480),
        ("nobody", Manner::Rings, 404),
        ("sip:bob@10.0.0.200", Manner::Rings, 403),
    ] {
        let mut site = Site::new();
        let alice = Handset::new(&mut site, 1, "alice", Manner::Rings);
        let bob = Handset::new(&mut site, 2, "bob", manner);
        site.wait_registered(&[&alice, &bob]);
        site.dial(&alice, target);
        assert_eq!(site.wait_end(&alice), (EndedBy::Remote, Some(code)), "{target}");
    }
}

#[test]
fn the_quicker_of_two_telephones_has_the_call() {
    let mut site = Site::new();
    let alice = Handset::new(&mut site, 1, "alice", Manner::Rings);
    let desk = Handset::new(&mut site, 2, "bob", Manner::Rings);
    let mobile = Handset::new(&mut site, 3, "bob", Manner::Rings);
    site.wait_registered(&[&alice, &desk, &mobile]);
    site.dial(&alice, "bob");
    site.wait(|_| desk.rings() && mobile.rings());
    let call = site.sim[mobile.node].calls().next().unwrap();
    site.sim[mobile.node].answer(call).unwrap();
    assert_eq!(site.wait_end(&desk).0, EndedBy::Remote);
    site.sim.run_for(SECOND * 40);
    assert_eq!(alice.state(), Some(CallState::Answered));
    assert_eq!(mobile.state(), Some(CallState::Answered));
    assert!(alice.end().is_none() && mobile.end().is_none());
}

#[test]
fn a_caller_who_gives_up_stops_the_ringing() {
    let mut site = Site::new();
    let alice = Handset::new(&mut site, 1, "alice", Manner::Rings);
    let bob = Handset::new(&mut site, 2, "bob", Manner::Rings);
    site.wait_registered(&[&alice, &bob]);
    let call = site.dial(&alice, "bob");
    site.wait(|_| bob.rings());
    site.sim[alice.node].cancel(call).unwrap();
    site.wait_end(&bob);
    site.wait_end(&alice);
    site.sim.run_for(SECOND);
    assert_eq!((site.sim.media_ports(alice.node), site.sim.media_ports(bob.node)), (0, 0));
}

#[test]
fn calls_come_about_on_a_bad_network() {
    for seed in 0..40 {
        let link = Link {
            jitter: Duration::from_millis(30),
            duplicate_permille: 20,
            reorder_permille: 50,
            ..Link::lossy(50)
        };
        let mut site = Site::seeded(seed, |parameters| parameters);
        site.sim.set_default_link(link);
        let alice = Handset::new(&mut site, 1, "alice", Manner::Rings);
        let bob = Handset::new(&mut site, 2, "bob", Manner::Answers);
        site.wait_registered(&[&alice, &bob]);
        let call = site.dial(&alice, "bob");
        site.wait(|_| alice.state() == Some(CallState::Answered));
        site.wait(|_| bob.state() == Some(CallState::Answered));
        site.sim[alice.node].hangup(call).unwrap();
        site.wait_end(&bob);
        site.wait_end(&alice);
        site.sim.run_for(SECOND * 70);
        assert_eq!(site.sim[site.exchange].requests(), 0, "seed {seed}");
    }
}

#[test]
fn it_works_over_ipv6() {
    let listen: SocketAddr = "[2001:db8::9]:5060".parse().unwrap();
    let mut sim = Simulation::new(1);
    sim.record_wire(1_000);
    let parameters = ExchangeParameters::new(listen).user("alice", "a").user("bob", "b");
    let exchange = sim.add_at(listen, Exchange::new(parameters));
    let mut site = Site { sim, exchange };
    let mut handset = |user: &str, ip: &str, manner| {
        let mut parameters = PhoneParameters::new("[2001:db8::9]", user).password(&user[..1]);
        parameters.bind_ip = "::".parse().unwrap();
        Handset::at(&mut site, ip.parse().unwrap(), parameters, manner)
    };
    let alice = handset("alice", "2001:db8::1", Manner::Rings);
    let bob = handset("bob", "2001:db8::2", Manner::Answers);
    site.wait_registered(&[&alice, &bob]);
    let call = site.dial(&alice, "bob");
    site.wait(|_| bob.state() == Some(CallState::Answered));
    site.wait(|_| alice.state() == Some(CallState::Answered));
    site.sim[alice.node].hangup(call).unwrap();
    assert_eq!(site.wait_end(&bob).0, EndedBy::Remote);
}

#[test]
fn it_may_listen_at_every_address() {
    let mut site = Site::with(|mut parameters| {
        for listener in &mut parameters.listen {
            listener.address = "0.0.0.0:5060".parse().unwrap();
        }
        parameters
    });
    let alice = Handset::new(&mut site, 1, "alice", Manner::Rings);
    let bob = Handset::new(&mut site, 2, "bob", Manner::Answers);
    site.wait_registered(&[&alice, &bob]);
    let call = site.dial(&alice, "bob");
    site.wait(|_| alice.state() == Some(CallState::Answered));
    site.sim[alice.node].hangup(call).unwrap();
    assert_eq!(site.wait_end(&bob).0, EndedBy::Remote);
    let told = |packet: &&crate::sim::WirePacket| packet.text().contains("0.0.0.0");
    assert_eq!(site.sim.wire().filter(told).count(), 0);
}

#[test]
fn damaged_messages_leave_nothing_behind() {
    let mut site = Site::new();
    let alice = Handset::new(&mut site, 1, "alice", Manner::Rings);
    let bob = Handset::new(&mut site, 2, "bob", Manner::Answers);
    site.wait_registered(&[&alice, &bob]);
    let call = site.dial(&alice, "bob");
    site.wait(|_| bob.state() == Some(CallState::Answered));
    site.sim.run_for(SECOND);
    let exchange = site.exchange.address();
    let good: Vec<Vec<u8>> = site
        .sim
        .wire()
        .filter(|packet| packet.to == exchange)
        .map(|packet| packet.bytes.to_vec())
        .collect();
    let vandal = site.sim.add([10, 0, 0, 66], ScriptedPeer::new());
    for number in 0..3_000 {
        let mut bytes = good[number % good.len()].clone();
        for _ in 0..=site.sim.random() % 4 {
            let at = site.sim.random() as usize % bytes.len();
            match site.sim.random() % 4 {
                0 => bytes[at] = site.sim.random() as u8,
                1 => drop(bytes.remove(at)),
                2 => bytes.truncate(at.max(1)),
                _ => bytes.extend_from_within(at..),
            }
        }
        site.sim[vandal].send_bytes(exchange, bytes);
        site.sim.run_for(Duration::from_millis(5));
    }
    site.sim[alice.node].hangup(call).unwrap();
    assert_eq!(site.wait_end(&bob).0, EndedBy::Remote);
    site.sim.run_for(SECOND * 300);
    assert_eq!(site.sim[site.exchange].requests(), 0);
    assert_eq!(site.contacts("alice").len() + site.contacts("bob").len(), 2);
}

#[test]
fn a_message_goes_through_the_exchange_authenticated() {
    let mut site = Site::new();
    let alice = Handset::new(&mut site, 1, "alice", Manner::Rings);
    let bob = Handset::new(&mut site, 2, "bob", Manner::Rings);
    site.wait_registered(&[&alice, &bob]);
    for (target, code) in [("bob", 200), ("nobody", 404)] {
        let sent = site.sim[alice.node].message(target, b"hello", "text/plain").unwrap();
        site.wait(|_| {
            alice.told(|event| {
                matches!(event, Event::Response { request, reply: Ok(reply) }
                    if *request == sent && reply.cause.code == code)
            })
        });
    }
    let came = |event: &Event| matches!(event, Event::Phone(PhoneEvent::Message { body, .. }) if body == b"hello");
    assert_eq!(bob.events.borrow().iter().filter(|event| came(event)).count(), 1);
    assert!(site.sim.trace().ladder().contains("407"));
}
