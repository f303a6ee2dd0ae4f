//! Telephones behind NATs, at an exchange outside them, with the sound measured.
//!
//! The exchange carries no media, so two telephones hear each other only where their NATs let them:
//! [`Kind::hear`] says where that is. Beyond it only a relay would help, and there is none.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use offhook_core::codec::measure::{Tone, longest_gap, share_at};
use offhook_core::config::PhoneParameters;
use offhook_core::event::{CallId, CallState, EndedBy};
use offhook_core::exchange::{Exchange, ExchangeParameters};
use offhook_core::media::SymmetricRtp;
use offhook_core::nat::KeepAlive;
use offhook_core::sim::{Nat, ScriptedPeer};
use offhook_core::time::Duration;
use offhook_core::trace::Kind as Carries;

use super::Scenario;
use super::calls::expect_nothing_left;
use crate::world::{Outcome, RATE, STRANGER, Telephone, World};

/// What the NATs before the caller and the callee are outside, and that of the first after a restart.
const OUTSIDE: [IpAddr; 2] = [public(7), public(8)];
const AFTERWARDS: IpAddr = public(9);

/// Where a STUN server is.
const STUN: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

/// What is quieter is silence.
const SILENCE_DBOV: f64 = -40.0;

const fn public(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, last))
}

/// The kinds of NATs, in the words of RFC 3489.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    FullCone,
    Restricted,
    PortRestricted,
    Symmetric,
}

/// Who is behind a NAT of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Inside {
    Caller,
    Callee,
    Both,
}

impl Kind {
    fn nat(self, outside: IpAddr) -> Nat {
        let nat = match self {
            Self::FullCone => Nat::full_cone(outside),
            Self::Restricted => Nat::restricted(outside),
            Self::PortRestricted => Nat::port_restricted(outside),
            Self::Symmetric => Nat::symmetric(outside),
        };
        Nat { preserves_ports: false, ..nat }
    }

    /// Whether two telephones hear each other. One that is outside finds the other by what that sends.
    /// Of two that are inside one has to be told where the other really is, which takes STUN, and what a
    /// symmetric NAT is toward a STUN server says nothing of what it is toward anybody else.
    fn hear(self, inside: Inside, stun: bool) -> bool {
        inside != Inside::Both || (stun && self != Self::Symmetric)
    }
}

macro_rules! behind {
    ($($name:ident = $text:literal: $kind:ident, $inside:ident;)*) => {$(
        pub(super) const $name: Scenario = Scenario {
            name: $text,
            shows: "registered as seen from outside, called an hour later, heard both ways, without and with STUN (livekit/sip#611 #687)",
            play: |seed| {
                call_after_an_hour(seed, Kind::$kind, Inside::$inside, false)?;
                call_after_an_hour(seed, Kind::$kind, Inside::$inside, true)
            },
        };
    )*};
}

behind! {
    FULL_CONE_CALLER = "nat_full_cone_caller": FullCone, Caller;
    FULL_CONE_CALLEE = "nat_full_cone_callee": FullCone, Callee;
    FULL_CONE_BOTH = "nat_full_cone_both": FullCone, Both;
    RESTRICTED_CALLER = "nat_restricted_caller": Restricted, Caller;
    RESTRICTED_CALLEE = "nat_restricted_callee": Restricted, Callee;
    RESTRICTED_BOTH = "nat_restricted_both": Restricted, Both;
    PORT_RESTRICTED_CALLER = "nat_port_restricted_caller": PortRestricted, Caller;
    PORT_RESTRICTED_CALLEE = "nat_port_restricted_callee": PortRestricted, Callee;
    PORT_RESTRICTED_BOTH = "nat_port_restricted_both": PortRestricted, Both;
    SYMMETRIC_CALLER = "nat_symmetric_caller": Symmetric, Caller;
    SYMMETRIC_CALLEE = "nat_symmetric_callee": Symmetric, Callee;
    SYMMETRIC_BOTH = "nat_symmetric_both": Symmetric, Both;
}

pub(super) const SYMMETRIC_AND_CONE: Scenario = Scenario {
    name: "nat_symmetric_and_cone",
    shows: "a symmetric NAT and one that asks for no port: found by what comes, with STUN at the cone",
    play: |seed| {
        let kinds = [Kind::Symmetric, Kind::Restricted];
        let (mut world, alice, bob) = behind(seed, kinds, Inside::Both, true, |it| it)?;
        let (out, inc) = world.connect(&alice, &bob, "bob")?;
        talk(&mut world, [(&alice, out), (&bob, inc)])?;
        world.pass(Duration::from_secs(3));
        expect_sound(&world, [(&alice, out), (&bob, inc)])?;
        world.disconnect((&bob, inc), (&alice, out))?;
        Ok(world)
    },
};

pub(super) const KEEP_ALIVE_OFF: Scenario = Scenario {
    name: "nat_keep_alive_off",
    shows: "without keep-alives the NAT has forgotten the callee after an hour: the call does not arrive",
    play: |seed| {
        let off = |parameters: PhoneParameters| parameters.keep_alive(KeepAlive::Off);
        let kinds = [Kind::PortRestricted; 2];
        let (mut world, alice, bob) = behind(seed, kinds, Inside::Callee, false, off)?;
        world.pass(Duration::from_secs(3_600));
        let out = world.call(&alice, "bob")?;
        let (by, code) = world.wait_ended(&alice, out, Duration::from_secs(40))?;
        world.expect(
            (by, code) == (EndedBy::Remote, Some(408)),
            &format!("ended by {by:?} with {code:?}"),
        )?;
        let calls = world.sim[bob.node].phone().calls().count();
        world.expect(calls == 0, "it has arrived all the same")?;
        Ok(world)
    },
};

pub(super) const RESTARTS: Scenario = Scenario {
    name: "nat_restarts_in_a_call",
    shows: "a NAT with nothing left and another address: registered anew, the call told, sound again",
    play: |seed| {
        // The far end finds us by what we send within two seconds, unless it may not: then it is told,
        // once the keep-alive has noticed.
        restart(seed, SymmetricRtp::SameAddress, Duration::from_secs(27))?;
        restart(seed, SymmetricRtp::FirstPacket, Duration::from_secs(2))
    },
};

pub(super) const HELD_FOR_LONG: Scenario = Scenario {
    name: "nat_held_for_long",
    shows: "three minutes of hold: who only listens keeps the way open, and is heard and hears after it (RFC 6263)",
    play: |seed| {
        let kinds = [Kind::PortRestricted; 2];
        let (mut world, alice, bob) = behind(seed, kinds, Inside::Both, true, |it| it)?;
        let (out, inc) = world.connect(&alice, &bob, "bob")?;
        world.pass(Duration::from_secs(2));
        world.act(&bob, |phone| phone.hold(inc))?;
        world.pass(Duration::from_secs(180));
        world.act(&bob, |phone| phone.resume(inc))?;
        world.pass(Duration::from_secs(1));
        talk(&mut world, [(&alice, out), (&bob, inc)])?;
        world.pass(Duration::from_secs(3));
        expect_sound(&world, [(&alice, out), (&bob, inc)])?;
        world.disconnect((&alice, out), (&bob, inc))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const HIJACKS: Scenario = Scenario {
    name: "rtp_hijacks",
    shows: "who sends first, floods, or sends into a silence is not heard and gets nothing (ES2017-04), in every mode",
    play: |seed| {
        hijack(seed, SymmetricRtp::Off)?;
        hijack(seed, SymmetricRtp::SameAddress)?;
        hijack(seed, SymmetricRtp::FirstPacket)
    },
};

/// An exchange outside, alice and bob, of whom some are behind NATs; both registered for long.
fn behind(
    seed: u64,
    kinds: [Kind; 2],
    inside: Inside,
    stun: bool,
    change: impl Fn(PhoneParameters) -> PhoneParameters,
) -> Outcome<(World, Telephone, Telephone)> {
    let mut world = World::with_exchange(seed, &["alice", "bob"]);
    world.sim.record_wire(20_000);
    if stun {
        let server = ExchangeParameters::new(SocketAddr::new(STUN, 3_478));
        world.sim.add_at((STUN, 3_478), Exchange::new(server));
    }
    let mut telephones = Vec::new();
    for (index, user) in ["alice", "bob"].into_iter().enumerate() {
        let mut parameters = change(world.parameters(user).expires(Duration::from_secs(7_200)));
        if stun {
            parameters = parameters.stun(&STUN.to_string());
        }
        let telephone = world.add(parameters)?;
        let other = if index == 0 { Inside::Callee } else { Inside::Caller };
        let hidden = inside != other;
        if hidden {
            let nat = kinds[index].nat(OUTSIDE[index]);
            world.sim.set_nat(&[telephone.node.ip()], nat);
        }
        world.start(&telephone)?;
        let shown = if hidden { OUTSIDE[index] } else { telephone.node.ip() };
        expect_contact(&world, user, shown)?;
        telephones.push(telephone);
    }
    let [alice, bob] = telephones.try_into().map_err(|_| world.failure("two telephones"))?;
    Ok((world, alice, bob))
}

/// The exchange reaches a user there, and only there.
fn expect_contact(world: &World, user: &str, ip: IpAddr) -> Outcome {
    let contacts = world.contacts(user);
    let there = |contact: &String| contact.starts_with(&format!("sip:{user}@{ip}:"));
    let right = contacts.len() == 1 && contacts.iter().all(there);
    world.expect(right, &format!("{user} is {contacts:?}, not at {ip}"))
}

fn call_after_an_hour(seed: u64, kind: Kind, inside: Inside, stun: bool) -> Outcome<World> {
    let (mut world, alice, bob) = behind(seed, [kind; 2], inside, stun, |it| it)?;
    world.pass(Duration::from_secs(3_600));
    let (out, inc) = world.connect(&alice, &bob, "bob")?;
    talk(&mut world, [(&alice, out), (&bob, inc)])?;
    world.pass(Duration::from_secs(3));
    let sides = [(&alice, out), (&bob, inc)];
    match kind.hear(inside, stun) {
        true => expect_sound(&world, sides)?,
        false => {
            let heard = sides.map(|(telephone, call)| telephone.heard(call));
            let silent = heard.iter().flatten().all(|sample| sample.unsigned_abs() < 200);
            world.expect(silent, "the NATs would not let that through")?;
        }
    }
    // Signalling goes by the exchange, from either side.
    match seed % 2 {
        0 => world.disconnect((&alice, out), (&bob, inc))?,
        _ => world.disconnect((&bob, inc), (&alice, out))?,
    }
    expect_nothing_left(&mut world, &[&alice, &bob])?;
    for telephone in [&alice, &bob] {
        let unmapped = world.sim[telephone.node].phone().counters().unmapped;
        world.expect(unmapped == 0, &format!("{unmapped} times without the STUN server"))?;
    }
    Ok(world)
}

fn restart(seed: u64, mode: SymmetricRtp, most: Duration) -> Outcome<World> {
    let change = |it: PhoneParameters| it.keep_alive(KeepAlive::Stun).symmetric_rtp(mode);
    let kinds = [Kind::PortRestricted; 2];
    let (mut world, alice, bob) = behind(seed, kinds, Inside::Caller, true, change)?;
    let (out, inc) = world.connect(&alice, &bob, "bob")?;
    for ((telephone, call), hertz) in [(&alice, out), (&bob, inc)].into_iter().zip([500, 800]) {
        let samples = Tone::new(RATE, hertz, 8_000).take(40 * RATE as usize);
        world.media(telephone, call)?.write_audio(RATE, &samples);
    }
    world.pass(Duration::from_secs(3));
    world.sim.set_nat(&[alice.node.ip()], kinds[0].nat(AFTERWARDS));
    world.pass(Duration::from_secs(32));
    expect_contact(&world, "alice", AFTERWARDS)?;
    for ((telephone, call), hertz) in [(&alice, out), (&bob, inc)].into_iter().zip([800.0, 500.0]) {
        let heard = telephone.heard(call);
        let gap = longest_gap(&heard[RATE as usize..], RATE, SILENCE_DBOV);
        world.expect(gap <= most, &format!("{mode:?}: a gap of {gap:?} at {hertz} Hz"))?;
        expect_tone(&world, &heard, hertz)?;
    }
    // The far end was told where we are: it reaches us in the call and for the next.
    world.disconnect((&bob, inc), (&alice, out))?;
    let (back, forth) = world.connect(&bob, &alice, "alice")?;
    world.disconnect((&bob, back), (&alice, forth))?;
    expect_nothing_left(&mut world, &[&alice, &bob])?;
    Ok(world)
}

/// A stranger who knows where alice listens tries what it can to be heard, or sent what she says.
fn hijack(seed: u64, mode: SymmetricRtp) -> Outcome<World> {
    let mut world = World::with_exchange(seed, &["alice", "bob"]);
    world.sim.record_wire(50_000);
    let parameters = world.parameters("alice").symmetric_rtp(mode);
    let alice = world.add(parameters)?;
    world.start(&alice)?;
    let bob = world.telephone("bob")?;
    let stranger = world.sim.add(STRANGER, ScriptedPeer::new());
    let out = world.call(&alice, "bob")?;
    let inc = world.wait_incoming(&bob)?;
    // The first pair of the range that is free; it is the only call.
    let target = world.sim.wire().find_map(|packet| {
        let text = packet.text();
        let line = text.lines().find_map(|line| line.strip_prefix("m=audio "))?.to_owned();
        (packet.from.ip() == alice.node.ip()).then_some(())?;
        line.split(' ').next()?.parse::<u16>().ok()
    });
    let Some(port) = target else { return Err(world.failure("alice has offered nothing")) };
    let target = SocketAddr::new(alice.node.ip(), port);
    let attack = |world: &mut World, first: u16, packets: u16| {
        for number in first..first + packets {
            world.sim[stranger].send_bytes(target, rtp(number));
            world.pass(Duration::from_millis(20));
        }
    };
    // First, before anything is agreed.
    attack(&mut world, 0, 20);
    world.act(&bob, |phone| phone.answer(inc))?;
    world.wait_state(&alice, out, CallState::Answered)?;
    talk(&mut world, [(&alice, out), (&bob, inc)])?;
    // While bob speaks.
    attack(&mut world, 20, 100);
    world.pass(Duration::from_secs(1));
    // At random, as one who sees nothing.
    for _ in 0..200 {
        let number = world.sim.random() as u16;
        let port = (world.sim.random() as u16).max(1_024);
        world.sim[stranger].send_bytes(SocketAddr::new(target.ip(), port), rtp(number));
        world.sim[stranger].send_bytes(target, rtp(number));
        world.pass(Duration::from_millis(5));
    }
    expect_sound(&world, [(&alice, out), (&bob, inc)])?;
    // Into a silence of bob's network: only where another host may be at all is that believed, and
    // then bob has his place back with his first packet.
    world.sim.partition(alice.node, bob.node);
    attack(&mut world, 1_000, 150);
    world.sim.heal(alice.node, bob.node);
    world.pass(Duration::from_secs(2));
    let to_stranger =
        world.sim.wire().filter(|p| p.kind == Carries::Rtp && p.to.ip() == STRANGER).count();
    let may = mode == SymmetricRtp::FirstPacket;
    world.expect(
        may || to_stranger == 0,
        &format!("{mode:?}: {to_stranger} packets went to the stranger"),
    )?;
    let after: usize = world.sim.wire().rev().take(100).filter(|p| p.to.ip() == STRANGER).count();
    world.expect(after == 0, "the stranger is still sent what alice says")?;
    expect_sound(&world, [(&alice, out), (&bob, inc)])?;
    world.disconnect((&alice, out), (&bob, inc))?;
    Ok(world)
}

/// A packet of loud PCMU that nobody asked for.
fn rtp(number: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(number.to_be_bytes());
    packet.extend((u32::from(number) * 160).to_be_bytes());
    packet.extend(0x0bad_0bad_u32.to_be_bytes());
    packet.extend((0..160).map(|i| if i % 8 < 4 { 0x10 } else { 0x90 }));
    packet
}

/// Both speak for long: the first 500 Hz, the second 800 Hz.
fn talk(world: &mut World, sides: [(&Telephone, CallId); 2]) -> Outcome {
    for ((telephone, call), hertz) in sides.into_iter().zip([500, 800]) {
        let samples = Tone::new(RATE, hertz, 8_000).take(30 * RATE as usize);
        world.media(telephone, call)?.write_audio(RATE, &samples);
    }
    Ok(())
}

/// Each hears the other.
fn expect_sound(world: &World, sides: [(&Telephone, CallId); 2]) -> Outcome {
    for ((telephone, call), hertz) in sides.into_iter().zip([800.0, 500.0]) {
        expect_tone(world, &telephone.heard(call), hertz)?;
    }
    Ok(())
}

/// The last second is that tone.
fn expect_tone(world: &World, heard: &[i16], hertz: f64) -> Outcome {
    let last = &heard[heard.len().saturating_sub(RATE as usize)..];
    let share = if last.is_empty() { 0.0 } else { share_at(last, RATE, hertz) };
    world.expect(share > 0.98, &format!("{share} of the last second is {hertz} Hz"))
}
