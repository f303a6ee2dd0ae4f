//! The exchange between telephones on different transports.

use std::net::IpAddr;

use offhook_core::event::{CallId, HoldBy};
use offhook_core::host::Transport;
use offhook_core::time::Duration;
use offhook_core::trace::Kind;

use super::Scenario;
use super::audio::{expect_tone, speak};
use super::calls::expect_nothing_left;
use super::sessions::wait_hold;
use crate::world::{Outcome, Telephone, World};

/// A side of a call: whose, and its number there.
type Side<'a> = (&'a Telephone, CallId);

pub(super) const EVERY_PAIR: Scenario = Scenario {
    name: "every_pair_of_transports",
    shows: "telephones on UDP, TCP, TLS, WS and WSS call each other, 25 pairs: sound both ways, hold by \
            re-INVITE from each side, an end from each side, and each is only ever reached by its own \
            transport (RFC 5658, RFC 5626 §5.3)",
    play: |seed| {
        let names: Vec<String> = (0..10).map(|number| format!("user{number}")).collect();
        let users: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut world = World::with_exchange(seed, &users);
        world.sim.record_wire(200_000);
        let mut lines = Vec::new();
        for (user, transport) in users.iter().zip(Transport::ALL.into_iter().cycle()) {
            world = world.over(transport);
            lines.push((*user, transport, world.telephone(user)?));
        }
        let (callers, callees) = lines.split_at(Transport::ALL.len());
        for (_, from, caller) in callers {
            for (user, to, callee) in callees {
                let failure = |why| format!("from {} to {}: {why}", from.as_str(), to.as_str());
                converse(&mut world, caller, callee, user).map_err(failure)?;
            }
        }
        for (_, transport, telephone) in &lines {
            expect_transport(&world, telephone.node.ip(), *transport)?;
        }
        Ok(world)
    },
};

/// A call with all that belongs to one, and another that the caller ends.
fn converse(world: &mut World, caller: &Telephone, callee: &Telephone, user: &str) -> Outcome {
    let (out, inc) = world.connect(caller, callee, user)?;
    let (there, back) = ((caller, out), (callee, inc));
    hold_and_resume(world, there, back)?;
    hold_and_resume(world, back, there)?;
    expect_sound(world, there, back)?;
    world.disconnect(back, there)?;
    let (out, inc) = world.connect(caller, callee, user)?;
    world.disconnect((caller, out), (callee, inc))?;
    expect_nothing_left(world, &[caller, callee])
}

fn expect_sound(world: &mut World, one: Side<'_>, other: Side<'_>) -> Outcome {
    let before = [one, other].map(|(telephone, call)| telephone.heard(call).len());
    speak(world, one.0, one.1, 440)?;
    speak(world, other.0, other.1, 880)?;
    world.pass(Duration::from_secs(3));
    expect_tone(world, &one.0.heard(one.1)[before[0]..], 880)?;
    expect_tone(world, &other.0.heard(other.1)[before[1]..], 440)
}

fn hold_and_resume(world: &mut World, by: Side<'_>, of: Side<'_>) -> Outcome {
    world.act(by.0, |phone| phone.hold(by.1))?;
    wait_hold(world, by.0, by.1, (HoldBy::Local, true))?;
    wait_hold(world, of.0, of.1, (HoldBy::Remote, true))?;
    world.act(by.0, |phone| phone.resume(by.1))?;
    wait_hold(world, by.0, by.1, (HoldBy::Local, false))?;
    wait_hold(world, of.0, of.1, (HoldBy::Remote, false))
}

/// Whatever a telephone has sent and was sent came by one transport.
fn expect_transport(world: &World, ip: IpAddr, transport: Transport) -> Outcome {
    let of_it = world.sim.wire().filter(|packet| {
        packet.kind == Kind::Sip && (packet.from.ip() == ip || packet.to.ip() == ip)
    });
    let (same, other): (Vec<_>, Vec<_>) = of_it.partition(|packet| packet.transport == transport);
    world.expect(same.len() > 50, &format!("only {} over {transport:?}", same.len()))?;
    let first = other.first().map(|packet| packet.text());
    world.expect(first.is_none(), &format!("not over {transport:?}: {first:?}"))
}
