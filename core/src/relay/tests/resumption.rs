//! A connection that is lost, at every moment of a call.

use super::calls::speak;
use super::*;
use crate::codec::measure::Tone;
use crate::event::CallState;
use crate::host::Transport;
use crate::relay::{ClientEvent, Problem};
use crate::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn resumed(world: &World) -> usize {
    let events = &world.sim[world.alice].events;
    events.iter().filter(|event| **event == ClientEvent::Ready { resumed: true }).count()
}

#[test]
fn a_call_is_set_up_though_the_connection_is_lost_at_any_message() {
    for transport in [Transport::Udp, Transport::Tcp] {
        for message in 3..24 {
            let mut world = World::new(7, transport);
            world.sim[world.alice].cut_after = Some(message);
            world.sim[world.alice].pause = Duration::from_millis(100);
            let (calling, called) = world.call("sip:bob@10.0.0.2");
            world.pass(SECOND);
            speak(&mut world, calling, called);
            assert_eq!(resumed(&world), 1, "at message {message} over {transport:?}");
            let counters = world.sim[world.relay].sessions[0].session.counters();
            assert_eq!((world.sim[world.relay].sessions.len(), counters.refused), (1, 0));
        }
    }
}

#[test]
fn a_call_goes_on_after_a_silence_of_ten_seconds() {
    let mut world = World::new(8, Transport::Tcp);
    let (calling, called) = world.call("sip:bob@10.0.0.2");
    world.sim[world.alice].pause = SECOND * 10;
    world.sim.cut(world.alice, world.relay);
    // What was said meanwhile is not kept for later.
    let samples = Tone::new(8_000, 300, 8_000).take(8_000);
    world.sim[world.bob].media_mut(called).unwrap().write_audio(8_000, &samples);
    world.pass(SECOND * 12);
    assert_eq!(resumed(&world), 1);
    speak(&mut world, calling, called);
    world.sim[world.bob].phone_mut().hangup(called).unwrap();
    world.pass(SECOND);
    assert!(world.ended(calling).is_some(), "its BYE came through the flow of before");
}

#[test]
fn what_the_server_sends_meanwhile_comes_after_it() {
    let mut world = World::new(9, Transport::Tcp);
    let (calling, called) = world.call("sip:bob@10.0.0.2");
    world.sim[world.alice].pause = SECOND * 10;
    world.sim.cut(world.alice, world.relay);
    world.pass(SECOND);
    world.sim[world.bob].phone_mut().hangup(called).unwrap();
    world.pass(SECOND * 8);
    let state = world.sim[world.alice].phone().phone().state(calling);
    assert_eq!(state, Some(CallState::Answered), "it cannot know yet");
    world.pass(SECOND * 2);
    assert!(world.ended(calling).is_some());
}

#[test]
fn a_dead_connection_is_noticed_by_both_and_taken_up_again() {
    let mut world = World::new(10, Transport::Tcp);
    let (calling, called) = world.call("sip:bob@10.0.0.2");
    world.sim.partition([10, 0, 0, 9], [10, 0, 0, 1]);
    world.pass(SECOND * 41);
    assert!(!world.sim[world.relay].sessions[0].session.is_attached());
    world.sim.heal([10, 0, 0, 9], [10, 0, 0, 1]);
    world.pass(SECOND * 8);
    assert_eq!(resumed(&world), 1);
    speak(&mut world, calling, called);
}

#[test]
fn a_probe_finds_a_dead_connection_at_once() {
    let mut world = World::new(11, Transport::Tcp);
    world.sim.half_open(world.relay, world.alice);
    world.pass(Duration::from_millis(1));
    let now = world.sim.now();
    world.sim[world.alice].relayed.client_mut().probe(now);
    world.pass(SECOND * 5);
    let events = &world.sim[world.alice].events;
    let wanted = [ClientEvent::Stale, ClientEvent::Ready { resumed: true }];
    assert!(events.ends_with(&wanted), "{events:?}");
}

#[test]
fn after_the_grace_time_everything_is_given_back_and_a_new_session_begins() {
    let mut world = World::new(12, Transport::Tcp);
    let (calling, _) = world.call("sip:bob@10.0.0.2");
    world.sim[world.alice].pause = SECOND * 61;
    world.sim.cut(world.alice, world.relay);
    world.pass(SECOND * 60 + Duration::from_millis(500));
    let relay = world.relay;
    let session = &world.sim[relay].sessions[0].session;
    assert_eq!(session.problem(), Some(Problem::SessionUnknown));
    assert_eq!((session.held(), world.sim.media_ports(relay)), ((0, 0), 0));
    world.pass(SECOND);
    let events = &world.sim[world.alice].events;
    let last = &events[events.len() - 2..];
    assert_eq!(last, [ClientEvent::Lost, ClientEvent::Ready { resumed: false }]);
    world.pass(SECOND * 60);
    assert!(world.ended(calling).is_some(), "nothing is heard any more");
    world.pass(SECOND * 40);
    world.call("sip:bob@10.0.0.2");
}

#[test]
fn a_relay_that_has_started_anew_knows_no_session() {
    let mut world = World::new(13, Transport::Tcp);
    world.call("sip:bob@10.0.0.2");
    let node = RelayNode::new(super::nodes::policy(), super::nodes::verify);
    world.sim.restart(world.relay, node);
    world.sim.cut(world.alice, world.relay);
    world.pass(SECOND * 40);
    let events = &world.sim[world.alice].events;
    assert!(
        events.ends_with(&[ClientEvent::Lost, ClientEvent::Ready { resumed: false }]),
        "{events:?}"
    );
}
