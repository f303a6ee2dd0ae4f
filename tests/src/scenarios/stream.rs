//! Calls over connections: TCP, TLS and WebSocket (RFC 3261 §18, RFC 5626, RFC 7118), with the sound
//! measured.

use offhook_core::event::CallId;
use offhook_core::host::Transport;
use offhook_core::time::Duration;

use super::Scenario;
use super::audio::{expect_tone, speak};
use super::calls::expect_nothing_left;
use crate::world::{Outcome, Telephone, World};

/// The transports that are connections.
const CONNECTIONS: [Transport; 4] = [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

pub(super) const CALLS_OVER_CONNECTIONS: Scenario = Scenario {
    name: "calls_over_connections",
    shows: "calls each way by way of the exchange over TCP, TLS, WS and WSS, with sound both ways",
    play: |seed| {
        for transport in CONNECTIONS {
            let mut world = World::with_exchange(seed, &["alice", "bob"]).over(transport);
            let (alice, bob) = (world.telephone("alice")?, world.telephone("bob")?);
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
