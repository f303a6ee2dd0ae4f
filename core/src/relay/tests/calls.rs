//! Calls of a telephone behind a relay.

use super::*;
use crate::codec::measure::{Tone, level_dbov, longest_gap, share_at};
use crate::config::PhoneParameters;
use crate::event::{CallId, PhoneStatus};
use crate::exchange::{Exchange, ExchangeParameters, Listener};
use crate::host::Transport;
use crate::relay::{ClientEvent, Problem, SessionEvent};
use crate::sim::Link;
use crate::softphone::Softphone;
use crate::time::Duration;

const RATE: u32 = 8_000;
const SECOND: Duration = Duration::from_secs(1);

/// Both speak for two seconds, and hear each other whole.
pub(super) fn speak(world: &mut World, calling: CallId, called: CallId) {
    let World { sim, alice, bob, .. } = world;
    let (alice, bob) = (*alice, *bob);
    let tone = |phone: &mut Softphone, call, frequency| {
        let samples = Tone::new(RATE, frequency, 8_000).take(2 * RATE as usize);
        assert_eq!(phone.media_mut(call).unwrap().write_audio(RATE, &samples), samples.len());
    };
    read(sim[alice].phone(), calling);
    read(&mut sim[bob], called);
    tone(sim[alice].phone(), calling, 1_000);
    tone(&mut sim[bob], called, 300);
    let (mut by_alice, mut by_bob) = (Vec::new(), Vec::new());
    for _ in 0..25 {
        sim.run_for(Duration::from_millis(100));
        by_alice.extend(read(sim[alice].phone(), calling));
        by_bob.extend(read(&mut sim[bob], called));
    }
    heard(&by_alice, 300.0);
    heard(&by_bob, 1_000.0);
}

fn read(phone: &mut Softphone, call: CallId) -> Vec<i16> {
    let media = phone.media_mut(call).unwrap();
    let mut samples = vec![0; media.available(RATE)];
    media.read_audio(RATE, &mut samples);
    samples
}

fn heard(samples: &[i16], frequency: f64) {
    let begin = samples.iter().position(|sample| sample.unsigned_abs() > 500).unwrap();
    let end = samples.iter().rposition(|sample| sample.unsigned_abs() > 500).unwrap();
    let tone = &samples[begin..=end];
    let seconds = tone.len() as f64 / f64::from(RATE);
    assert!((1.95..2.05).contains(&seconds), "{seconds} s were heard");
    let share = share_at(tone, RATE, frequency);
    assert!(share > 0.99, "{share} of the power is at {frequency} Hz");
    assert!((level_dbov(tone) + 15.26).abs() < 0.5, "{} dBov", level_dbov(tone));
    let gap = longest_gap(tone, RATE, -35.0);
    assert!(gap < Duration::from_millis(10), "a gap of {gap:?}");
}

#[test]
fn a_call_crosses_the_relay_over_each_transport() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let mut world = World::new(1, transport);
        let (calling, called) = world.call("sip:bob@10.0.0.2:5060");
        assert_eq!(world.sim.media_ports(world.alice), 0, "a page has none");
        speak(&mut world, calling, called);
        world.sim[world.alice].phone().phone_mut().hangup(calling).unwrap();
        world.pass(SECOND);
        let ending = world.ended(calling).expect("it is over");
        assert!(ending.stats.lost == 0 && ending.stats.received > 50, "{:?}", ending.stats);
        let served = &world.sim[world.relay].sessions[0];
        let counters = served.session.counters();
        assert!(counters.packets_up > 90 && counters.packets_down > 90, "{counters:?}");
        assert_eq!((counters.refused, counters.foreign, counters.limited), (0, 0, 0));
        world.pass(SECOND * 40);
        assert_eq!(world.sim[world.relay].sessions[0].session.held().0, 0, "its ports are back");
    }
}

#[test]
fn bob_calls_alice_who_is_registered_by_name() {
    let mut parameters = PhoneParameters::new("pbx.test", "alice").password("secret");
    parameters.transport = Some(Transport::Tcp);
    let mut world = World::with(2, "pbx.test", parameters);
    let address = "10.0.0.3:5060".parse().unwrap();
    let mut exchange = ExchangeParameters::new(address).realm("pbx.test");
    exchange = exchange.user("alice", "secret").user("bob", "other");
    exchange.listen.push(Listener { transport: Transport::Tcp, address });
    world.sim.add([10, 0, 0, 3], Exchange::new(exchange));
    let bob = PhoneParameters::new("pbx.test", "bob").password("other");
    world.bob = world.sim.add([10, 0, 0, 4], Softphone::new(bob).unwrap());
    let World { sim, alice, bob, relay } = &mut world;
    let (alice, bob, relay) = (*alice, *bob, *relay);
    sim[bob].phone_mut().start().unwrap();
    let registered = |sim: &mut crate::sim::Simulation| {
        [sim[alice].phone().phone().status(), sim[bob].phone().status()]
            == [PhoneStatus::Registered; 2]
    };
    sim.run_until(registered, SECOND * 60).unwrap();
    // That the exchange was not there at first is no news.
    sim[relay].events.clear();
    let calling = sim[bob].phone_mut().call("alice", Default::default()).unwrap();
    sim.run_until(|sim| sim[alice].phone().phone().calls().next().is_some(), SECOND * 5).unwrap();
    let called = sim[alice].phone().phone().calls().next().unwrap();
    sim[alice].phone().phone_mut().answer(called).unwrap();
    sim.run_for(SECOND);
    assert_eq!(sim[relay].refusals(), []);
    speak(&mut world, called, calling);
    world.sim[bob].phone_mut().hangup(calling).unwrap();
    world.pass(SECOND);
    assert!(world.ended(called).is_some());
}

#[test]
fn a_lossy_leg_to_the_far_end_is_concealed_as_ever() {
    let mut world = World::new(3, Transport::Udp);
    let (calling, called) = world.call("sip:bob@10.0.0.2");
    world.sim.link([10, 0, 0, 1], [10, 0, 0, 2], Link::lossy(50));
    world.sim[world.bob].media_mut(called).unwrap().send_dtmf("195#").unwrap();
    world.pass(SECOND * 4);
    assert_eq!(world.sim[world.alice].phone().media_mut(calling).unwrap().take_dtmf(None), "195#");
}

#[test]
fn a_server_that_the_token_does_not_name_is_not_reached() {
    let mut world = World::new(4, Transport::Tcp);
    let phone = world.sim[world.alice].phone().phone_mut();
    let calling = phone.call("sip:bob@10.0.0.3", Default::default()).unwrap();
    world.pass(SECOND * 2);
    assert!(world.ended(calling).is_some_and(|ending| !ending.was_answered()));
    let refusals = world.sim[world.relay].refusals();
    assert_eq!(refusals, [(Problem::ServerForbidden, "tcp:10.0.0.3:5060")]);
    let refused = world.sim[world.alice].events.iter().any(|event| {
        matches!(event, ClientEvent::Refused { problem: Problem::ServerForbidden, .. })
    });
    assert!(refused, "{:?}", world.sim[world.alice].events);
}

#[test]
fn who_does_not_answer_is_named() {
    let mut world = World::new(5, Transport::Tcp);
    world.sim.kill(world.bob);
    let phone = world.sim[world.alice].phone().phone_mut();
    phone.call("sip:bob@10.0.0.2", Default::default()).unwrap();
    world.pass(SECOND * 40);
    let refused = world.sim[world.alice].events.iter().find_map(|event| match event {
        ClientEvent::Refused { problem, .. } => Some(*problem),
        _ => None,
    });
    assert_eq!(refused, Some(Problem::Unreachable));
}

#[test]
fn a_session_that_leaves_gives_everything_back() {
    let mut world = World::new(6, Transport::Tcp);
    world.call("sip:bob@10.0.0.2");
    world.sim[world.alice].relayed.client_mut().leave();
    world.pass(SECOND);
    let relay = world.relay;
    let session = &world.sim[relay].sessions[0].session;
    assert!(session.is_over() && session.problem().is_none());
    assert_eq!((session.held(), world.sim.media_ports(relay)), ((0, 0), 0));
    assert!(world.sim[relay].events.iter().any(|e| matches!(e, SessionEvent::Bound { .. })));
}
