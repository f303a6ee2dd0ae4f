//! Telephones that come to another network in the middle of a call, with the sound measured.

use std::net::{IpAddr, Ipv4Addr};

use offhook_core::codec::measure::{Tone, longest_gap, share_at};
use offhook_core::event::{CallId, CallState, Event, PhoneEvent};
use offhook_core::time::Duration;
use offhook_core::trace::Kind;

use super::Scenario;
use super::calls::expect_nothing_left;
use crate::world::{Outcome, RATE, Telephone, World};

/// Where telephones move to.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 3, 1));
const BEYOND: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 3, 2));

/// The longest silence that a move may make once the new network is there.
const LONGEST_GAP: Duration = Duration::from_millis(200);

/// What is quieter is silence.
const SILENCE_DBOV: f64 = -40.0;

pub(super) const CALLER_MOVES: Scenario = Scenario {
    name: "caller_moves",
    shows: "another network in a call: registered anew, re-INVITE, sound goes on (pjproject#3012 #2682)",
    play: |seed| {
        let mut world = World::with_exchange(seed, &["alice", "bob"]);
        world.sim.record_wire(10_000);
        let (alice, bob) = (world.telephone("alice")?, world.telephone("bob")?);
        let (out, inc) = world.connect(&alice, &bob, "bob")?;
        talk(&mut world, [(&alice, out), (&bob, inc)])?;
        world.pass(Duration::from_secs(3));
        let moved = world.move_to(&alice, ELSEWHERE)?;
        world.pass(Duration::from_secs(3));
        expect_sound(&world, [(&moved, out), (&bob, inc)], LONGEST_GAP)?;
        expect_one_source(&world, alice.node.ip(), ELSEWHERE)?;
        // The exchange finds it at its new address.
        world.disconnect((&bob, inc), (&moved, out))?;
        let (back, forth) = world.connect(&bob, &moved, "alice")?;
        world.disconnect((&moved, forth), (&bob, back))?;
        expect_nothing_left(&mut world, &[&moved, &bob])?;
        Ok(world)
    },
};

pub(super) const BOTH_MOVE: Scenario = Scenario {
    name: "both_move",
    shows: "the called moves, then the caller, each while the other holds still",
    play: |seed| {
        let (mut world, alice, bob) = World::with_exchange(seed, &["alice", "bob"]).pair()?;
        let (out, inc) = world.connect(&alice, &bob, "bob")?;
        talk(&mut world, [(&alice, out), (&bob, inc)])?;
        world.pass(Duration::from_secs(2));
        let bob = world.move_to(&bob, ELSEWHERE)?;
        world.pass(Duration::from_secs(2));
        let alice = world.move_to(&alice, BEYOND)?;
        world.pass(Duration::from_secs(2));
        expect_sound(&world, [(&alice, out), (&bob, inc)], LONGEST_GAP)?;
        world.disconnect((&alice, out), (&bob, inc))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const NO_NETWORK_FOR_A_WHILE: Scenario = Scenario {
    name: "no_network_for_a_while",
    shows: "five seconds between two networks: sound is back well within a second of the new one",
    play: |seed| {
        let (mut world, alice, bob) = World::with_exchange(seed, &["alice", "bob"]).pair()?;
        let (out, inc) = world.connect(&alice, &bob, "bob")?;
        talk(&mut world, [(&alice, out), (&bob, inc)])?;
        world.pass(Duration::from_secs(2));
        let away = Duration::from_secs(5);
        world.sim.move_node(alice.node, ELSEWHERE);
        world.pass(away);
        let alice = world.move_to(&alice, ELSEWHERE)?;
        world.pass(Duration::from_secs(2));
        expect_sound(&world, [(&alice, out), (&bob, inc)], away + LONGEST_GAP)?;
        let lost =
            |event: &Event| matches!(event, Event::Phone(PhoneEvent::RegistrationFailed { .. }));
        let lost = alice.events().iter().filter(|(_, event)| lost(event)).count();
        world.expect(lost == 0, &format!("{lost} registrations failed"))?;
        world.disconnect((&alice, out), (&bob, inc))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const MOVES_WHILE_IT_RINGS: Scenario = Scenario {
    name: "moves_while_it_rings",
    shows: "a call placed from the old network is placed again, one that rings is answered from the new",
    play: |seed| {
        let (mut world, alice, bob) = World::with_exchange(seed, &["alice", "bob"]).pair()?;
        let out = world.call(&alice, "bob")?;
        world.wait_incoming(&bob)?;
        world.pass(Duration::from_millis(100));
        let alice = world.move_to(&alice, ELSEWHERE)?;
        let inc = world.wait_incoming(&bob)?;
        let bob = world.move_to(&bob, BEYOND)?;
        world.act(&bob, |phone| phone.answer(inc))?;
        world.wait_state(&alice, out, CallState::Answered)?;
        talk(&mut world, [(&alice, out), (&bob, inc)])?;
        world.pass(Duration::from_secs(3));
        expect_sound(&world, [(&alice, out), (&bob, inc)], LONGEST_GAP)?;
        world.disconnect((&bob, inc), (&alice, out))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

/// Both speak for a long time: the first 500 Hz, the second 800 Hz.
fn talk(world: &mut World, sides: [(&Telephone, CallId); 2]) -> Outcome {
    for ((telephone, call), hertz) in sides.into_iter().zip([500, 800]) {
        let samples = Tone::new(RATE, hertz, 8_000).take(30 * RATE as usize);
        world.media(telephone, call)?.write_audio(RATE, &samples);
    }
    Ok(())
}

/// Each has heard the other to the end, with no gap longer than `most`.
fn expect_sound(world: &World, sides: [(&Telephone, CallId); 2], most: Duration) -> Outcome {
    for ((telephone, call), hertz) in sides.into_iter().zip([800.0, 500.0]) {
        let heard = telephone.heard(call);
        let first = heard.iter().position(|sample| sample.unsigned_abs() > 200);
        let heard = &heard[first.unwrap_or_default()..];
        let gap = longest_gap(heard, RATE, SILENCE_DBOV);
        world.expect(gap <= most, &format!("a gap of {gap:?} at {hertz} Hz"))?;
        let last = &heard[heard.len().saturating_sub(RATE as usize)..];
        let share = share_at(last, RATE, hertz);
        world.expect(share > 0.98, &format!("{share} of the last second is {hertz} Hz"))?;
    }
    Ok(())
}

/// What was sent from the second address continues what was sent from the first: the source, its
/// numbers and its time (RFC 3550 §5.1).
fn expect_one_source(world: &World, before: IpAddr, after: IpAddr) -> Outcome {
    let of = |ip: IpAddr| {
        let packets = world.sim.wire().filter(move |p| p.kind == Kind::Rtp && p.from.ip() == ip);
        packets.map(|packet| (packet.sent, header(&packet.bytes))).collect::<Vec<_>>()
    };
    let (Some((then, last)), Some((now, next))) =
        (of(before).last().copied(), of(after).first().copied())
    else {
        return Err(world.failure("nothing was sent from one of the addresses"));
    };
    let passed = next.timestamp.wrapping_sub(last.timestamp);
    let lived = (now.since(then).as_micros() + 10_000) / 20_000 * 160;
    let frames = u32::from(next.number.wrapping_sub(last.number));
    world.expect(
        next.source == last.source && frames * 160 == passed && u64::from(passed) == lived,
        &format!("{last:?} at {then:?}, then {next:?} at {now:?}"),
    )
}

/// What an RTP header says of order.
#[derive(Clone, Copy, Debug)]
struct Header {
    number: u16,
    timestamp: u32,
    source: u32,
}

fn header(packet: &[u8]) -> Header {
    let word =
        |at: usize| packet[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
    Header { number: word(0) as u16, timestamp: word(4), source: word(8) }
}
