//! Calls: how they begin and how they end.

use offhook_core::call::CallOptions;
use offhook_core::codec::Codec;
use offhook_core::event::{CallEvent, CallState, EndedBy, Event, PhoneEvent, PhoneStatus};
use offhook_core::sip::Reason;
use offhook_core::time::Duration;

use super::Scenario;
use crate::world::{Outcome, Telephone, World};

const SOON: Duration = Duration::from_secs(33);

pub(super) const FIRST_CALL: Scenario = Scenario {
    name: "first_call",
    shows: "two telephones register at the exchange, talk and hang up (RFC 3665 §3.2)",
    play: |seed| {
        let (mut world, alice, bob) = World::with_exchange(seed, &["alice", "bob"]).pair()?;
        let (out, inc) = world.connect(&alice, &bob, "bob")?;
        super::audio::speak(&mut world, &alice, out, 440)?;
        super::audio::speak(&mut world, &bob, inc, 880)?;
        world.pass(Duration::from_secs(3));
        world.media(&alice, out)?.send_dtmf("195").map_err(|e| e.to_string())?;
        world.pass(Duration::from_secs(1));
        super::audio::expect_tone(&world, &bob.heard(inc), 440)?;
        super::audio::expect_tone(&world, &alice.heard(out), 880)?;
        world.expect(bob.digits(inc) == "195", &format!("digits {:?}", bob.digits(inc)))?;
        world.disconnect((&alice, out), (&bob, inc))?;
        world.act(&alice, |phone| {
            phone.stop();
            Ok(())
        })?;
        world.wait_status(&alice, PhoneStatus::Inactive)?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const DIRECT_CALL: Scenario = Scenario {
    name: "direct_call",
    shows: "a phone without a server calls and is called directly (pyVoIP #280, #60)",
    play: |seed| {
        let (mut world, alice, bob) = World::new(seed).pair()?;
        let target = format!("sip:bob@{}", bob.node.address());
        let (out, inc) = world.connect(&alice, &bob, &target)?;
        world.pass(Duration::from_secs(1));
        world.disconnect((&bob, inc), (&alice, out))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const BUSY: Scenario = Scenario {
    name: "busy",
    shows: "486 after 180 ends the call with its code, and is ACKed (pyVoIP #244, RFC 3665 §3.8)",
    play: |seed| {
        let (mut world, alice, bob) = World::with_exchange(seed, &["alice", "bob"]).pair()?;
        let out = world.call(&alice, "bob")?;
        let inc = world.wait_incoming(&bob)?;
        world.pass(Duration::from_secs(1));
        world.act(&bob, |phone| phone.deny(inc, 486, None))?;
        let ended = world.wait_ended(&alice, out, SOON)?;
        world.expect(ended == (EndedBy::Remote, Some(486)), &format!("{ended:?}"))?;
        let ended = world.wait_ended(&bob, inc, SOON)?.0;
        world.expect(ended == EndedBy::Local, &format!("{ended:?}"))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const NO_ANSWER: Scenario = Scenario {
    name: "no_answer",
    shows: "a phone that rings for ever is cancelled after the answer timeout",
    play: |seed| {
        let mut world = World::with_exchange(seed, &["alice", "bob"]);
        let mut parameters = world.parameters("alice");
        parameters.answer_timeout = Duration::from_secs(20);
        let alice = world.add(parameters)?;
        world.start(&alice)?;
        let bob = world.telephone("bob")?;
        let out = world.call(&alice, "bob")?;
        let inc = world.wait_incoming(&bob)?;
        let ended = world.wait_ended(&alice, out, SOON)?.0;
        world.expect(ended == EndedBy::Timeout, &format!("caller: {ended:?}"))?;
        let ended = world.wait_ended(&bob, inc, SOON)?.0;
        world.expect(ended == EndedBy::Remote, &format!("called: {ended:?}"))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const NOBODY_THERE: Scenario = Scenario {
    name: "nobody_there",
    shows: "a call to an address where nothing answers ends by Timer B, 32 s (RFC 3261 §17.1.1.2)",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        let began = world.sim.now();
        let out = world.call(&alice, "sip:nobody@10.9.9.9")?;
        let ended = world.wait_ended(&alice, out, SOON)?.0;
        let took = world.sim.now().since(began);
        world.expect(ended == EndedBy::Timeout, &format!("{ended:?}"))?;
        world.expect(took.as_secs() == 32, &format!("it took {took:?}"))?;
        expect_nothing_left(&mut world, &[&alice])?;
        Ok(world)
    },
};

pub(super) const CODEC_MISMATCH: Scenario = Scenario {
    name: "codec_mismatch",
    shows: "an offer with nothing in common is answered 488 (RFC 3261 §13.3.1.3; pyVoIP takes it)",
    play: |seed| {
        let mut world = World::with_exchange(seed, &["alice", "bob"]);
        let parameters = world.parameters("alice").codecs(&[Codec::Pcma]);
        let alice = world.add(parameters)?;
        world.start(&alice)?;
        let parameters = world.parameters("bob").codecs(&[Codec::Pcmu]);
        let bob = world.add(parameters)?;
        world.start(&bob)?;
        let out = world.call(&alice, "bob")?;
        let ended = world.wait_ended(&alice, out, SOON)?;
        world.expect(ended == (EndedBy::Remote, Some(488)), &format!("{ended:?}"))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const CANCEL: Scenario = Scenario {
    name: "cancel",
    shows: "CANCEL while it rings: 487, both sides end (RFC 3665 §3.8, pyVoIP #255)",
    play: |seed| {
        let (mut world, alice, bob) = World::with_exchange(seed, &["alice", "bob"]).pair()?;
        let out = world.call(&alice, "bob")?;
        let inc = world.wait_incoming(&bob)?;
        world.pass(Duration::from_secs(2));
        world.act(&alice, |phone| phone.cancel(out))?;
        world.wait_state(&alice, out, CallState::Canceling)?;
        let ended = world.wait_ended(&alice, out, SOON)?.0;
        world.expect(ended == EndedBy::Local, &format!("caller: {ended:?}"))?;
        let ended = world.wait_ended(&bob, inc, SOON)?.0;
        world.expect(ended == EndedBy::Remote, &format!("called: {ended:?}"))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const CANCEL_CROSSES_ANSWER: Scenario = Scenario {
    name: "cancel_crosses_answer",
    shows: "CANCEL crosses the 200: ACK, then BYE; reported as cancelled (livekit/sip#756)",
    play: |seed| {
        let (mut world, alice, bob) = World::new(seed).pair()?;
        let out = world.call(&alice, &format!("sip:bob@{}", bob.node.address()))?;
        let inc = world.wait_incoming(&bob)?;
        // Let the 180 arrive, so that the CANCEL leaves at once.
        world.pass(Duration::from_millis(50));
        world.act(&bob, |phone| phone.answer(inc))?;
        world.act(&alice, |phone| phone.cancel(out))?;
        world.sim.record_wire(1_000);
        let ended = world.wait_ended(&alice, out, SOON)?.0;
        world.expect(ended == EndedBy::Local, &format!("caller: {ended:?}"))?;
        let ended = world.wait_ended(&bob, inc, SOON)?.0;
        world.expect(ended == EndedBy::Remote, &format!("called: {ended:?}"))?;
        let methods: Vec<String> = world
            .sim
            .wire()
            .filter(|packet| packet.from == alice.node.address())
            .map(|packet| packet.text().split(' ').next().unwrap_or_default().to_owned())
            .filter(|word| ["CANCEL", "ACK", "BYE"].contains(&word.as_str()))
            .collect();
        world.expect(methods == ["CANCEL", "ACK", "BYE"], &format!("sent {methods:?}"))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const BYE_CROSSES_BYE: Scenario = Scenario {
    name: "bye_crosses_bye",
    shows: "both hang up at once: each answers the other's BYE, both end",
    play: |seed| {
        let (mut world, alice, bob) = World::with_exchange(seed, &["alice", "bob"]).pair()?;
        let (out, inc) = world.connect(&alice, &bob, "bob")?;
        world.act(&alice, |phone| phone.hangup(out))?;
        world.act(&bob, |phone| phone.hangup(inc))?;
        world.wait_ended(&alice, out, SOON)?;
        world.wait_ended(&bob, inc, SOON)?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const FORK: Scenario = Scenario {
    name: "fork",
    shows: "one user on two telephones: both ring, one answers, the other stops and knows it (RFC 3261 §16.7, RFC \
            3326 §3.1)",
    play: |seed| {
        let mut world = World::with_exchange(seed, &["alice", "bob"]);
        let alice = world.telephone("alice")?;
        let desk = world.telephone("bob")?;
        let pocket = world.telephone("bob")?;
        let out = world.call(&alice, "bob")?;
        let at_desk = world.wait_incoming(&desk)?;
        let in_pocket = world.wait_incoming(&pocket)?;
        world.act(&pocket, |phone| phone.answer(in_pocket))?;
        world.wait_state(&alice, out, CallState::Answered)?;
        world.wait_state(&pocket, in_pocket, CallState::Answered)?;
        let ending = world.wait_ending(&desk, at_desk, SOON)?;
        let elsewhere = ending.by == EndedBy::Remote && ending.is_answered_elsewhere();
        world.expect(elsewhere, &format!("desk: {ending:?}"))?;
        world.disconnect((&alice, out), (&pocket, in_pocket))?;
        expect_nothing_left(&mut world, &[&alice, &desk, &pocket])?;
        Ok(world)
    },
};

pub(super) const REASONS: Scenario = Scenario {
    name: "reasons",
    shows: "CANCEL and BYE say why, and a proxy passes it on: the cause of a telephone network comes to the \
            other end (RFC 3326)",
    play: |seed| {
        let (mut world, alice, bob) = World::with_exchange(seed, &["alice", "bob"]).pair()?;
        let out = world.call(&alice, "bob")?;
        let inc = world.wait_incoming(&bob)?;
        world.pass(Duration::from_millis(100));
        let busy = [Reason::q850(17).text("User \"busy\""), Reason::sip(486)];
        world.act(&alice, |phone| phone.cancel_for(out, &busy))?;
        let ending = world.wait_ending(&bob, inc, SOON)?;
        world.expect(
            ending.by == EndedBy::Remote && ending.reasons == busy,
            &format!("{ending:?}"),
        )?;
        world.expect(!ending.is_answered_elsewhere(), "nobody has answered")?;
        let ending = world.wait_ending(&alice, out, SOON)?;
        world.expect(ending.cause.is_some() && ending.reasons == busy, &format!("{ending:?}"))?;
        let (out, inc) = world.connect(&alice, &bob, "bob")?;
        world.pass(Duration::from_millis(100));
        let over = [Reason::q850(16).text("Normal call clearing")];
        world.act(&bob, |phone| phone.hangup_for(inc, &over))?;
        for (telephone, call, by) in [(&alice, out, EndedBy::Remote), (&bob, inc, EndedBy::Local)] {
            let ending = world.wait_ending(telephone, call, SOON)?;
            world.expect(ending.by == by && ending.reasons == over, &format!("{ending:?}"))?;
        }
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const EARLY_MEDIA: Scenario = Scenario {
    name: "early_media",
    shows: "183 with SDP opens media before the answer: PROGRESS, and sound (livekit/sip#813)",
    play: |seed| {
        let (mut world, alice, bob) = World::with_exchange(seed, &["alice", "bob"]).pair()?;
        let out = world.call(&alice, "bob")?;
        let inc = world.wait_incoming(&bob)?;
        world.act(&bob, |phone| phone.progress(inc))?;
        world.wait_state(&alice, out, CallState::Progress)?;
        super::audio::speak(&mut world, &bob, inc, 440)?;
        world.pass(Duration::from_secs(3));
        super::audio::expect_tone(&world, &alice.heard(out), 440)?;
        world.act(&bob, |phone| phone.answer(inc))?;
        world.wait_state(&alice, out, CallState::Answered)?;
        world.disconnect((&alice, out), (&bob, inc))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const KILLED_PEER: Scenario = Scenario {
    name: "killed_peer",
    shows: "a peer that dies in a call: the call ends by the media timeout, in bounded time",
    play: |seed| {
        let (mut world, alice, bob) = World::new(seed).pair()?;
        let target = format!("sip:bob@{}", bob.node.address());
        let (out, _) = world.connect(&alice, &bob, &target)?;
        world.pass(Duration::from_secs(2));
        world.sim.kill(bob.node);
        let ended = world.wait_ended(&alice, out, Duration::from_secs(60 + 33))?.0;
        world.expect(ended == EndedBy::Timeout, &format!("{ended:?}"))?;
        Ok(world)
    },
};

pub(super) const STOP_ENDS_CALLS: Scenario = Scenario {
    name: "stop_ends_calls",
    shows: "stop() cancels, denies and hangs up, deregisters and gives everything back (pyVoIP #229)",
    play: |seed| {
        let (mut world, alice, bob) =
            World::with_exchange(seed, &["alice", "bob", "carol"]).pair()?;
        let carol = world.telephone("carol")?;
        let (talking, with_bob) = world.connect(&alice, &bob, "bob")?;
        let dialing = world.call(&alice, "bob")?;
        let at_bob = world.wait_incoming(&bob)?;
        let from_carol = world.call(&carol, "alice")?;
        let ringing = world.wait_incoming(&alice)?;
        world.pass(Duration::from_millis(200));
        world.act(&alice, |phone| {
            phone.stop();
            Ok(())
        })?;
        for call in [talking, dialing, ringing] {
            world.expect(
                world.sim[alice.node].phone().state(call).is_some(),
                &format!("call {call} is forgotten before its end was told"),
            )?;
        }
        world.wait_status(&alice, PhoneStatus::Inactive)?;
        let over = alice
            .events()
            .iter()
            .filter(|(_, e)| matches!(e, Event::Call { event: CallEvent::Ended(_), .. }))
            .count();
        world.expect(over == 3, &format!("{over} of 3 calls ended"))?;
        for (who, call) in [(&bob, with_bob), (&bob, at_bob), (&carol, from_carol)] {
            let gone = world.sim[who.node].phone().state(call).is_none();
            if !gone {
                world.wait_ended(who, call, SOON)?;
            }
        }
        let deregistered =
            alice.events().iter().any(|(_, e)| matches!(e, Event::Phone(PhoneEvent::Unregistered)));
        world.expect(deregistered, "the registration was not taken back")?;
        expect_nothing_left(&mut world, &[&alice, &bob, &carol])?;
        Ok(world)
    },
};

pub(super) const THOUSAND_CALLS: Scenario = Scenario {
    name: "thousand_calls",
    shows: "one phone carries a thousand calls on one socket and ends where it began (pyVoIP #173 #157)",
    play: |seed| {
        let mut world = World::new(seed);
        let mut parameters = world.parameters("alice");
        parameters.media_timeout = None;
        let alice = world.add(parameters)?;
        world.start(&alice)?;
        let bob = world.telephone("bob")?;
        bob.answer_always();
        [&alice, &bob].into_iter().for_each(Telephone::ignore_sound);
        let target = format!("sip:bob@{}", bob.node.address());
        let mut calls = Vec::new();
        for _ in 0..1_000 {
            let inactive = CallOptions::default().direction(offhook_core::sdp::Direction::Inactive);
            calls.push(world.act(&alice, |phone| phone.call(&target, inactive))?);
        }
        world.pass(Duration::from_secs(1));
        for &call in &calls {
            let state = world.sim[alice.node].phone().state(call);
            world.expect(state == Some(CallState::Answered), &format!("{call}: {state:?}"))?;
        }
        for &call in &calls {
            world.act(&alice, |phone| phone.hangup(call))?;
        }
        world.pass(Duration::from_secs(1));
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

/// A moment later no call is left and every media port was given back.
pub(super) fn expect_nothing_left(world: &mut World, telephones: &[&Telephone]) -> Outcome {
    world.pass(Duration::from_millis(100));
    for telephone in telephones {
        let calls = world.sim[telephone.node].phone().calls().count();
        world.expect(calls == 0, &format!("{calls} calls are left"))?;
        let ports = world.sim.media_ports(telephone.node);
        world.expect(ports == 0, &format!("{ports} media ports are left"))?;
    }
    Ok(())
}
