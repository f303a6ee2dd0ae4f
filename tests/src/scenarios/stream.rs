//! Calls over connections: TCP, TLS and WebSocket (RFC 3261 §18, RFC 5626, RFC 7118), with the sound
//! measured.

use offhook_core::call::CallOptions;
use offhook_core::event::{CallId, CallState, EndedBy};
use offhook_core::host::Transport;
use offhook_core::sim::{Nat, Pieces};
use offhook_core::time::Duration;
use offhook_core::trace::Kind;

use super::Scenario;
use super::audio::{expect_tone, speak};
use super::calls::expect_nothing_left;
use crate::world::{EXCHANGE, Outcome, Telephone, World};

/// The transports that are connections.
const CONNECTIONS: [Transport; 4] = [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

pub(super) const CALLS_OVER_CONNECTIONS: Scenario = Scenario {
    name: "calls_over_connections",
    shows: "calls each way by way of the exchange over TCP, TLS, WS and WSS, with sound both ways",
    play: |seed| {
        for transport in CONNECTIONS {
            let (mut world, alice, bob) =
                World::with_exchange(seed, &["alice", "bob"]).over(transport).pair()?;
            talk(&mut world, (&alice, &bob), "bob").map_err(|e| format!("{transport:?}: {e}"))?;
            talk(&mut world, (&bob, &alice), "alice").map_err(|e| format!("{transport:?}: {e}"))?;
            world.expect_addresses()?;
            if transport == Transport::Wss {
                return Ok(world);
            }
        }
        unreachable!("WSS is the last")
    },
};

pub(super) const DIRECT_CONNECTIONS: Scenario = Scenario {
    name: "direct_connections",
    shows: "without a server: one connection carries a call both ways and is kept for the next (RFC 5923, pyVoIP)",
    play: |seed| {
        let mut world = World::new(seed).over(Transport::Tls);
        converse_directly(&mut world)?;
        let mut world = World::new(seed).over(Transport::Tcp);
        converse_directly(&mut world)?;
        Ok(world)
    },
};

pub(super) const CONNECTION_IN_PIECES: Scenario = Scenario {
    name: "connection_in_pieces",
    shows: "every message of a call cut at every byte, and many messages glued (RFC 3261 §18.3, pyVoIP)",
    play: |seed| {
        let mut world = World::with_exchange(seed, &["alice", "bob"]).over(Transport::Tcp);
        world.sim.set_pieces(Pieces::Bytes);
        let (alice, bob) = (world.telephone("alice")?, world.telephone("bob")?);
        talk(&mut world, (&alice, &bob), "bob")?;
        world.sim.set_pieces(Pieces::Glued);
        talk(&mut world, (&bob, &alice), "alice")?;
        Ok(world)
    },
};

pub(super) const CONNECTION_LOST: Scenario = Scenario {
    name: "connection_lost",
    shows: "connections that are lost between calls and in one: the next request opens a new one (pyVoIP)",
    play: |seed| {
        let (mut world, alice, bob) = World::new(seed).over(Transport::Tcp).pair()?;
        let target = format!("sip:bob@{}", bob.node.address());
        talk(&mut world, (&alice, &bob), &target)?;
        world.sim.cut(alice.node, bob.node);
        world.pass(Duration::from_secs(1));
        expect_connections(&world, &[(&alice, 0), (&bob, 0)])?;
        // Who was called hangs up, then who has called: to where either listens.
        let (out, inc) = world.connect(&alice, &bob, &target)?;
        expect_sound(&mut world, (&alice, out), (&bob, inc))?;
        world.sim.cut(alice.node, bob.node);
        world.pass(Duration::from_secs(1));
        world.disconnect((&bob, inc), (&alice, out))?;
        // The caller's has carried the ACK once more, which may have been lost.
        expect_connections(&world, &[(&alice, 2), (&bob, 2)])?;
        let (out, inc) = world.connect(&alice, &bob, &target)?;
        world.sim.cut(alice.node, bob.node);
        world.pass(Duration::from_secs(1));
        world.disconnect((&alice, out), (&bob, inc))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const CONNECTION_HALF_OPEN: Scenario = Scenario {
    name: "connection_half_open",
    shows: "a connection of which one end is gone unseen: BYE goes out again by a new one",
    play: |seed| {
        let (mut world, alice, bob) = World::new(seed).over(Transport::Tcp).pair()?;
        let target = format!("sip:bob@{}", bob.node.address());
        let (out, inc) = world.connect(&alice, &bob, &target)?;
        world.sim.half_open(alice.node, bob.node);
        world.pass(Duration::from_secs(1));
        world.act(&bob, |phone| phone.hangup(inc))?;
        let limit = Duration::from_secs(64);
        let ended = world.wait_ended(&alice, out, limit)?.0;
        world.expect(ended == EndedBy::Remote, &format!("the caller says {ended:?}"))?;
        let ended = world.wait_ended(&bob, inc, limit)?.0;
        world.expect(ended == EndedBy::Local, &format!("the called says {ended:?}"))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const CONNECTION_THROUGH_NAT: Scenario = Scenario {
    name: "connection_through_nat",
    shows: "a caller whom nobody can connect to hears BYE by its own connection (RFC 5626 §5.3)",
    play: |seed| {
        let (mut world, alice, bob) = World::new(seed).over(Transport::Tcp).pair()?;
        world.sim.set_nat(&[alice.node.ip()], Nat::symmetric([203, 0, 113, 7]));
        let target = format!("sip:bob@{}", bob.node.address());
        let (out, inc) = world.connect(&alice, &bob, &target)?;
        world.disconnect((&bob, inc), (&alice, out))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        expect_connections(&world, &[(&alice, 1), (&bob, 1)])?;
        Ok(world)
    },
};

pub(super) const LARGE_REQUEST: Scenario = Scenario {
    name: "large_request_by_connection",
    shows: "an INVITE beyond 1,300 bytes goes by TCP, and by UDP where that is refused (RFC 3261 §18.1.1)",
    play: |seed| {
        let mut world = World::new(seed);
        world.sim.record_wire(10_000);
        let (alice, bob) = (world.telephone("alice")?, world.telephone("bob")?);
        large_call(&mut world, (&alice, &bob))?;
        expect_invites(&world, &[Transport::Tcp])?;
        // Nobody listens on TCP: it is refused once, and not asked again for a while.
        let mut world = World::new(seed);
        world.sim.record_wire(10_000);
        let (alice, bob) = (world.telephone("alice")?, world.telephone("bob")?);
        world.sim.set_listening(bob.node, Transport::Tcp, false);
        large_call(&mut world, (&alice, &bob))?;
        large_call(&mut world, (&alice, &bob))?;
        expect_invites(&world, &[Transport::Udp, Transport::Udp])?;
        // Where the caller wants no TCP none is tried, and what is withdrawn goes the same way.
        let mut world = World::new(seed);
        world.sim.record_wire(10_000);
        let alice = world.add(world.parameters("alice").allow_tcp(false))?;
        world.start(&alice)?;
        let bob = world.telephone("bob")?;
        large_call(&mut world, (&alice, &bob))?;
        expect_invites(&world, &[Transport::Udp])?;
        world.expect(world.sim.connections(bob.node) == 0, "there is a connection")?;
        Ok(world)
    },
};

pub(super) const LARGE_REQUEST_CANCELLED: Scenario = Scenario {
    name: "large_request_by_connection_cancelled",
    shows: "CANCEL of what went by TCP for its size goes there too (RFC 3261 §9.1)",
    play: |seed| {
        let mut world = World::new(seed);
        world.sim.record_wire(10_000);
        let (alice, bob) = (world.telephone("alice")?, world.telephone("bob")?);
        let out = place_large(&mut world, (&alice, &bob))?;
        let inc = world.wait_incoming(&bob)?;
        world.pass(Duration::from_secs(1));
        world.act(&alice, |phone| phone.cancel(out))?;
        let limit = Duration::from_secs(5);
        let ended = world.wait_ended(&bob, inc, limit)?.0;
        world.expect(ended == EndedBy::Remote, &format!("the called says {ended:?}"))?;
        world.wait_ended(&alice, out, limit)?;
        let sip = world.sim.wire().filter(|packet| packet.kind == Kind::Sip);
        let others = sip.filter(|packet| packet.transport != Transport::Tcp).count();
        world.expect(others == 0, &format!("{others} messages by UDP"))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const RESPONSE_BY_ANOTHER: Scenario = Scenario {
    name: "response_by_another_connection",
    shows: "a connection lost while it rings: the answer opens one to the caller (RFC 3261 §18.2.2)",
    play: |seed| {
        let (mut world, alice, bob) = World::new(seed).over(Transport::Tcp).pair()?;
        let target = format!("sip:bob@{}", bob.node.address());
        let out = world.call(&alice, &target)?;
        let inc = world.wait_incoming(&bob)?;
        world.pass(Duration::from_secs(1));
        world.sim.half_open(bob.node, alice.node);
        world.pass(Duration::from_secs(1));
        world.act(&bob, |phone| phone.answer(inc))?;
        world.wait_state(&alice, out, CallState::Answered)?;
        expect_sound(&mut world, (&alice, out), (&bob, inc))?;
        world.disconnect((&bob, inc), (&alice, out))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const LOST_ACK: Scenario = Scenario {
    name: "lost_ack_over_connections",
    shows: "an ACK lost with WebSocket's connections is repeated until the called is back (RFC 3261 §13.2.2.4)",
    play: |seed| {
        let (mut world, alice, bob, out, inc) = cut_in_a_call(seed)?;
        // The 2xx that the called repeats finds nobody; after 64·T1 without ACK he would hang up.
        world.pass(Duration::from_secs(40));
        world.disconnect((&alice, out), (&bob, inc))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const UNREACHED_BYE: Scenario = Scenario {
    name: "bye_over_lost_connections",
    shows: "a BYE to who is not back on WebSocket yet ends the caller's call; the called hears nothing, and ends",
    play: |seed| {
        let (mut world, alice, bob, out, inc) = cut_in_a_call(seed)?;
        world.act(&alice, |phone| phone.hangup(out))?;
        let limit = Duration::from_secs(66);
        let ended = world.wait_ended(&alice, out, limit)?;
        world.expect(ended.0 == EndedBy::Local, &format!("the caller says {ended:?}"))?;
        let ended = world.wait_ended(&bob, inc, limit)?;
        world.expect(ended.0 == EndedBy::Timeout, &format!("the called says {ended:?}"))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

/// Alice's call to Bob over WebSocket, whose connections end when her ACK has just been sent: she is back at
/// the exchange, and Bob cannot reach it for another two seconds.
fn cut_in_a_call(seed: u64) -> Outcome<(World, Telephone, Telephone, CallId, CallId)> {
    let world = World::with_exchange(seed, &["alice", "bob"]).over(Transport::Ws);
    let (mut world, alice, bob) = world.pair()?;
    let out = world.call(&alice, "bob")?;
    let inc = world.wait_incoming(&bob)?;
    world.act(&bob, |phone| phone.answer(inc))?;
    world.wait_state(&alice, out, CallState::Answered)?;
    world.sim.partition(bob.node.ip(), EXCHANGE);
    if let Some(exchange) = world.exchange() {
        world.sim.cut(alice.node, exchange);
        world.sim.cut(bob.node, exchange);
    }
    world.pass(Duration::from_secs(2));
    world.sim.heal(bob.node.ip(), EXCHANGE);
    Ok((world, alice, bob, out, inc))
}

fn place_large(world: &mut World, (from, to): (&Telephone, &Telephone)) -> Outcome<CallId> {
    let target = format!("sip:bob@{}", to.node.address());
    let options = CallOptions::default().header("X-Long", &"long ".repeat(300));
    world.act(from, |phone| phone.call(&target, options))
}

/// A call with a large INVITE.
fn large_call(world: &mut World, (from, to): (&Telephone, &Telephone)) -> Outcome {
    let out = place_large(world, (from, to))?;
    let inc = world.wait_incoming(to)?;
    world.act(to, |phone| phone.answer(inc))?;
    world.wait_state(from, out, CallState::Answered)?;
    expect_sound(world, (from, out), (to, inc))?;
    world.disconnect((to, inc), (from, out))?;
    expect_nothing_left(world, &[from, to])
}

/// Each INVITE went once, in this way, and says so in Via.
fn expect_invites(world: &World, expected: &[Transport]) -> Outcome {
    let invites = world.sim.wire().filter(|packet| packet.bytes.starts_with(b"INVITE "));
    let invites: Vec<_> = invites.collect();
    let by: Vec<Transport> = invites.iter().map(|packet| packet.transport).collect();
    world.expect(by == expected, &format!("INVITE went by {by:?}"))?;
    for packet in invites {
        let via = format!("Via: SIP/2.0/{} ", packet.transport.as_str());
        world.expect(packet.text().contains(&via), &packet.text())?;
    }
    Ok(())
}

/// Calls without a server, the last the other way, on one connection.
fn converse_directly(world: &mut World) -> Outcome {
    let (alice, bob) = (world.telephone("alice")?, world.telephone("bob")?);
    let target = |of: &Telephone, name: &str| format!("sip:{name}@{}", of.node.address());
    let (to_bob, to_alice) = (target(&bob, "bob"), target(&alice, "alice"));
    talk(world, (&alice, &bob), &to_bob)?;
    talk(world, (&alice, &bob), &to_bob)?;
    expect_connections(world, &[(&alice, 1), (&bob, 1)])?;
    // Nobody else's requests go by a connection of which only the port of its end is known.
    talk(world, (&bob, &alice), &to_alice)?;
    expect_connections(world, &[(&alice, 2), (&bob, 2)])
}

fn expect_connections(world: &World, expected: &[(&Telephone, usize)]) -> Outcome {
    for (telephone, expected) in expected {
        let open = world.sim.connections(telephone.node);
        world.expect(open == *expected, &format!("{open} connections, not {expected}"))?;
    }
    Ok(())
}

/// A call with sound measured both ways; the callee hangs up.
fn talk(world: &mut World, (from, to): (&Telephone, &Telephone), target: &str) -> Outcome {
    let (out, inc) = world.connect(from, to, target)?;
    expect_sound(world, (from, out), (to, inc))?;
    world.disconnect((to, inc), (from, out))?;
    expect_nothing_left(world, &[from, to])
}

fn expect_sound(
    world: &mut World,
    (from, out): (&Telephone, CallId),
    (to, inc): (&Telephone, CallId),
) -> Outcome {
    speak(world, from, out, 440)?;
    speak(world, to, inc, 880)?;
    world.pass(Duration::from_secs(3));
    expect_tone(world, &to.heard(inc), 440)?;
    expect_tone(world, &from.heard(out), 880)
}
