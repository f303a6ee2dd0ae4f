//! Sessions: how they are changed while they last, and how they come about by detours.

use offhook_core::call::CallOptions;
use offhook_core::codec::measure::{Tone, share_at};
use offhook_core::codec::{Codec, Encoder};
use offhook_core::error::Error;
use offhook_core::event::{CallEvent, CallId, CallState, EndedBy, Event, HoldBy};
use offhook_core::phone::Phone;
use offhook_core::sdp::Direction;
use offhook_core::sim::ScriptedPeer;
use offhook_core::time::Duration;

use super::Scenario;
use super::audio::{expect_tone, speak};
use super::calls::expect_nothing_left;
use crate::stranger::{SDP, Stranger, described, request, rtp, session};
use crate::world::{Outcome, RATE, STRANGER, Telephone, World};

const SOON: Duration = Duration::from_secs(33);

/// The time in which a tone of two seconds is spoken and heard.
const SPOKEN: Duration = Duration::from_secs(3);

pub(super) const HOLD: Scenario = Scenario {
    name: "hold",
    shows: "hold by re-INVITE: music goes to who is held, nothing comes back; resumed, both are heard \
            (RFC 3264 §8.4)",
    play: |seed| {
        let (mut world, alice, bob) = World::with_exchange(seed, &["alice", "bob"]).pair()?;
        let (out, inc) = world.connect(&alice, &bob, "bob")?;
        world.act(&alice, |phone| phone.hold(out))?;
        wait_hold(&mut world, &alice, out, (HoldBy::Local, true))?;
        wait_hold(&mut world, &bob, inc, (HoldBy::Remote, true))?;
        expect_direction(&world, &alice, out, Direction::SendOnly)?;
        expect_direction(&world, &bob, inc, Direction::RecvOnly)?;
        world.pass(Duration::from_millis(100));
        let before = world.media(&alice, out)?.stats().received;
        let played = bob.heard(inc).len();
        speak(&mut world, &alice, out, 440)?;
        world.media(&bob, inc)?.write_audio(RATE, &Tone::new(RATE, 880, 8_000).take(4_000));
        world.pass(SPOKEN);
        expect_tone(&world, &bob.heard(inc)[played..], 440)?;
        let after = world.media(&alice, out)?.stats().received;
        world.expect(before == after, &format!("{} packets of who is held", after - before))?;
        // A minute and more on hold is no silence that ends a call.
        world.pass(Duration::from_secs(100));
        world.media(&bob, inc)?.flush_audio();
        world.act(&alice, |phone| phone.resume(out))?;
        wait_hold(&mut world, &alice, out, (HoldBy::Local, false))?;
        wait_hold(&mut world, &bob, inc, (HoldBy::Remote, false))?;
        let heard = (alice.heard(out).len(), bob.heard(inc).len());
        speak(&mut world, &alice, out, 500)?;
        speak(&mut world, &bob, inc, 900)?;
        world.pass(SPOKEN);
        expect_tone(&world, &alice.heard(out)[heard.0..], 900)?;
        expect_tone(&world, &bob.heard(inc)[heard.1..], 500)?;
        world.disconnect((&bob, inc), (&alice, out))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const HOLD_GLARE: Scenario = Scenario {
    name: "hold_glare",
    shows: "both hold at the same moment: 491 both ways, then one after the other; both ends agree \
            what is held, also after both resume at once (RFC 3261 §14.1)",
    play: |seed| {
        let (mut world, alice, bob) = World::new(seed).pair()?;
        let (out, inc) = world.connect(&alice, &bob, &format!("sip:bob@{}", bob.node.address()))?;
        world.pass(Duration::from_millis(100));
        world.sim.record_wire(10_000);
        for (wish, held, direction) in [
            (Phone::hold as fn(&mut Phone, CallId) -> Result<(), Error>, true, Direction::Inactive),
            (Phone::resume, false, Direction::SendRecv),
        ] {
            world.act(&alice, |phone| wish(phone, out))?;
            world.act(&bob, |phone| wish(phone, inc))?;
            world.pass(Duration::from_secs(10));
            for (telephone, call) in [(&alice, out), (&bob, inc)] {
                let info = world.sim[telephone.node].phone().info(call);
                let now = info.map(|info| (info.holding, info.held));
                world.expect(now == Some((held, held)), &format!("{now:?}"))?;
                expect_direction(&world, telephone, call, direction)?;
            }
        }
        let refused = world.sim.wire().filter(|packet| packet.text().starts_with("SIP/2.0 491"));
        let refused = refused.count();
        world.expect(refused == 4, &format!("{refused} times 491"))?;
        world.disconnect((&alice, out), (&bob, inc))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const CODEC_CHANGE: Scenario = Scenario {
    name: "codec_change",
    shows: "a re-INVITE changes PCMU to PCMA in mid-call: sound is heard and sent in each, and the \
            change is told (RFC 3261 §14.2)",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        let stranger = Stranger::new(&mut world);
        let (call, tag) = stranger.calls(&mut world, &alice, "")?;
        stranger_speaks(&mut world, &alice, &stranger, (Codec::Pcmu, 0), 0)?;
        expect_heard(&world, &alice, call, 0)?;
        let offer = session(&SDP.replace("RTP/AVP 0 8 101", "RTP/AVP 8 101"));
        stranger.say(&mut world, &alice, &request("INVITE", 2, Some(&tag), &offer));
        stranger.expect_answer(&world, "2 INVITE", 200)?;
        stranger.say(&mut world, &alice, &request("ACK", 2, Some(&tag), ""));
        let codec = world.sim[alice.node].phone().info(call).and_then(|info| info.codec);
        world.expect(codec == Some(Codec::Pcma), &format!("{codec:?}"))?;
        wait_renegotiated(&mut world, &alice, call)?;
        let from = alice.heard(call).len();
        let _earlier = world.sim[stranger.rtp].take();
        stranger_speaks(&mut world, &alice, &stranger, (Codec::Pcma, 8), 100)?;
        expect_heard(&world, &alice, call, from)?;
        let sent = world.sim[stranger.rtp].take();
        let of_type = |bytes: &[u8]| bytes.get(1).is_some_and(|second| second & 0x7f == 8);
        let good = sent.iter().all(|packet| of_type(&packet.bytes));
        world.expect(!sent.is_empty() && good, "what is sent is not PCMA alone")?;
        // What cannot be is refused, and nothing changes.
        let other = session(&SDP.replace("RTP/AVP 0 8 101", "RTP/AVP 18"));
        stranger.say(&mut world, &alice, &request("INVITE", 3, Some(&tag), &other));
        stranger.expect_answer(&world, "3 INVITE", 488)?;
        let from = alice.heard(call).len();
        stranger_speaks(&mut world, &alice, &stranger, (Codec::Pcma, 8), 200)?;
        expect_heard(&world, &alice, call, from)?;
        stranger.say(&mut world, &alice, &request("BYE", 4, Some(&tag), ""));
        world.wait_ended(&alice, call, SOON)?;
        Ok(world)
    },
};

pub(super) const HELD_AND_MOVED: Scenario = Scenario {
    name: "held_and_moved",
    shows: "held by c=0.0.0.0 nothing is sent; a re-INVITE with another port resumes the sound there \
            (RFC 3264 §8.3.1, §8.4)",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        let stranger = Stranger::new(&mut world);
        let moved = world.sim.add_at((STRANGER, 4_100), ScriptedPeer::new());
        let (call, tag) = stranger.calls(&mut world, &alice, "")?;
        world.pass(Duration::from_secs(1));
        let sent = world.sim[stranger.rtp].take().len();
        world.expect(sent >= 45, &format!("{sent} packets in a second"))?;
        let held = SDP.replace("c=IN IP4 10.0.2.1", "c=IN IP4 0.0.0.0");
        let there = SDP.replace("m=audio 4000", "m=audio 4100");
        for (seq, offer) in [(2, held), (3, there)] {
            let offer = session(&offer);
            stranger.say(&mut world, &alice, &request("INVITE", seq, Some(&tag), &offer));
            stranger.expect_answer(&world, &format!("{seq} INVITE"), 200)?;
            stranger.say(&mut world, &alice, &request("ACK", seq, Some(&tag), ""));
            let is_held = seq == 2;
            wait_hold(&mut world, &alice, call, (HoldBy::Remote, is_held))?;
            let _earlier = world.sim[stranger.rtp].take();
            let _earlier = world.sim[moved].take();
            if !is_held {
                speak(&mut world, &alice, call, HERTZ)?;
            }
            world.pass(Duration::from_secs(1));
            let sent = (world.sim[stranger.rtp].take().len(), world.sim[moved].take().len());
            let good = sent.0 == 0 && if is_held { sent.1 == 0 } else { sent.1 >= 45 };
            world.expect(good, &format!("{sent:?} packets, held {is_held}"))?;
        }
        stranger.say(&mut world, &alice, &request("BYE", 4, Some(&tag), ""));
        world.wait_ended(&alice, call, SOON)?;
        Ok(world)
    },
};

pub(super) const LATE_OFFER: Scenario = Scenario {
    name: "late_offer",
    shows: "an INVITE without a description: the callee offers in its 200, the caller answers in ACK, \
            and sound passes (RFC 3261 §13.2.1)",
    play: |seed| {
        let (mut world, alice, bob) = World::new(seed).pair()?;
        let target = format!("sip:bob@{}", bob.node.address());
        let options = CallOptions::default().late_offer();
        let out = world.act(&alice, |phone| phone.call(&target, options))?;
        let inc = world.wait_incoming(&bob)?;
        world.act(&bob, |phone| phone.answer(inc))?;
        world.wait_state(&alice, out, CallState::Answered)?;
        world.pass(Duration::from_millis(100));
        speak(&mut world, &alice, out, 440)?;
        speak(&mut world, &bob, inc, 880)?;
        world.pass(SPOKEN);
        expect_tone(&world, &bob.heard(inc), 440)?;
        expect_tone(&world, &alice.heard(out), 880)?;
        world.disconnect((&alice, out), (&bob, inc))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const REDIRECTED: Scenario = Scenario {
    name: "redirected",
    shows: "302: the caller goes on to the new target, which answers, and is told so (RFC 3261 \
            §8.1.3.4)",
    play: |seed| {
        let (mut world, alice, bob) = World::new(seed).pair()?;
        let carol = world.telephone("carol")?;
        let out = world.call(&alice, &format!("sip:bob@{}", bob.node.address()))?;
        let inc = world.wait_incoming(&bob)?;
        let other = format!("sip:carol@{}", carol.node.address());
        world.act(&bob, |phone| phone.redirect(inc, &other))?;
        let at_carol = world.wait_incoming(&carol)?;
        world.act(&carol, |phone| phone.answer(at_carol))?;
        world.wait_state(&alice, out, CallState::Answered)?;
        speak(&mut world, &alice, out, 440)?;
        world.pass(SPOKEN);
        expect_tone(&world, &carol.heard(at_carol), 440)?;
        let ended = world.wait_ended(&bob, inc, SOON)?;
        world.expect(ended == (EndedBy::Local, Some(302)), &format!("{ended:?}"))?;
        world.disconnect((&alice, out), (&carol, at_carol))?;
        expect_nothing_left(&mut world, &[&alice, &bob, &carol])?;
        Ok(world)
    },
};

pub(super) const NO_ANSWER_IN_2XX: Scenario = Scenario {
    name: "no_answer_in_2xx",
    shows: "a 200 without a session description is acknowledged, hung up with a Reason, and the \
            application is told why (RFC 3261 §13.2.2.4, RFC 3326)",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        let stranger = Stranger::reacting(&mut world, |peer, arrival| match &*arrival.method() {
            "INVITE" => peer.reply(arrival, "200 OK", "Contact: <sip:stranger@10.0.2.1>\n"),
            "BYE" => peer.reply(arrival, "200 OK", ""),
            _ => {}
        });
        let call = world.call(&alice, "sip:stranger@10.0.2.1")?;
        let error = world.wait(&alice, "end of the call", SOON, |event| match event {
            Event::Call { event: CallEvent::Ended(ending), .. } => Some(ending.error.clone()),
            _ => None,
        })?;
        let told = matches!(error, Some(Error::NoMedia { .. }));
        world.expect(told, &format!("{error:?} of call {call}"))?;
        let acks = stranger.requests(&world, "ACK").len();
        world.expect(acks == 1, &format!("{acks} ACKs"))?;
        let bye = stranger.requests(&world, "BYE").pop();
        let reason = bye.and_then(|bye| bye.header("Reason")).unwrap_or_default();
        world.expect(reason.contains("cause=488"), &format!("Reason: {reason}"))?;
        expect_nothing_left(&mut world, &[&alice])?;
        Ok(world)
    },
};

pub(super) const RACE_OF_ANSWERS: Scenario = Scenario {
    name: "race_of_answers",
    shows: "three early dialogs, two answer: the first is the call, the other is acknowledged and hung \
            up, also when its 200 is repeated (RFC 3261 §13.2.2.4)",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        let stranger = Stranger::reacting(&mut world, |peer, arrival| {
            let tagged = |arrival: &offhook_core::sim::Arrival, tag: &str| {
                let mut arrival = arrival.clone();
                let text = arrival.text().into_owned();
                let to = text.lines().find(|line| line.starts_with("To:")).unwrap_or_default();
                arrival.bytes = text.replace(to, &format!("{to};tag={tag}")).into_bytes();
                arrival
            };
            match &*arrival.method() {
                "INVITE" => {
                    for fork in ["a", "b", "c"] {
                        peer.reply(&tagged(arrival, fork), "180 Ringing", "");
                    }
                    for fork in ["b", "c", "c", "b"] {
                        peer.reply(&tagged(arrival, fork), "200 OK", &described());
                    }
                }
                "BYE" => peer.reply(arrival, "200 OK", ""),
                _ => {}
            }
        });
        let call = stranger.is_called(&mut world, &alice)?;
        world.pass(Duration::from_secs(1));
        let of = |name: &str, tag: &str| {
            let requests = stranger.requests(&world, name);
            let to = |arrival: &&offhook_core::sim::Arrival| {
                arrival.header("To").unwrap_or_default().ends_with(&format!(";tag={tag}"))
            };
            requests.iter().filter(to).count()
        };
        let seen = [of("ACK", "b"), of("ACK", "c"), of("BYE", "b"), of("BYE", "c")];
        world.expect(seen == [2, 2, 0, 1], &format!("ACK and BYE of each: {seen:?}"))?;
        world.act(&alice, |phone| phone.hangup(call))?;
        world.wait_ended(&alice, call, SOON)?;
        expect_nothing_left(&mut world, &[&alice])?;
        Ok(world)
    },
};

pub(super) fn wait_hold(
    world: &mut World,
    telephone: &Telephone,
    id: CallId,
    wanted: (HoldBy, bool),
) -> Outcome {
    let what = format!("hold {wanted:?}");
    world.wait(telephone, &what, SOON, |event| match event {
        Event::Call { call, event: CallEvent::Hold { by, held } }
            if *call == id && (*by, *held) == wanted =>
        {
            Some(())
        }
        _ => None,
    })
}

fn wait_renegotiated(world: &mut World, telephone: &Telephone, id: CallId) -> Outcome {
    world.wait(telephone, "word of the change", SOON, |event| match event {
        Event::Call { call, event: CallEvent::Renegotiated } if *call == id => Some(()),
        _ => None,
    })
}

fn expect_direction(
    world: &World,
    telephone: &Telephone,
    call: CallId,
    wanted: Direction,
) -> Outcome {
    let now = world.sim[telephone.node].phone().info(call).and_then(|info| info.media);
    world.expect(now == Some(wanted), &format!("{now:?}, not {wanted}"))
}

/// The frequency of the stranger's tone.
const HERTZ: u32 = 500;

/// The stranger speaks two seconds of a tone in that codec, from packet `first` on.
fn stranger_speaks(
    world: &mut World,
    to: &Telephone,
    stranger: &Stranger,
    (codec, number): (Codec, u8),
    first: u16,
) -> Outcome {
    let mut payload = Vec::new();
    let samples = Tone::new(RATE, HERTZ, 8_000).take(2 * RATE as usize);
    Encoder::new(codec).encode(&samples, &mut payload);
    for (seq, frame) in (first..).zip(payload.chunks(160)) {
        let packet = rtp(number, seq == first, seq, u32::from(seq) * 160, frame);
        stranger.send_rtp(world, to, packet)?;
        world.pass(Duration::from_millis(20));
    }
    world.pass(Duration::from_millis(500));
    Ok(())
}

/// The stranger's tone was heard from sample `from` on, nearly whole and without noise.
fn expect_heard(world: &World, at: &Telephone, call: CallId, from: usize) -> Outcome {
    let heard = at.heard(call);
    let heard = heard.get(from..).unwrap_or_default();
    let loud = |sample: &i16| sample.unsigned_abs() > 200;
    let first = heard.iter().position(loud).unwrap_or(0);
    let last = heard.iter().rposition(loud).unwrap_or(0);
    let seconds = (last - first) as f64 / f64::from(RATE);
    world.expect(seconds > 1.9, &format!("{seconds} s of the tone were heard"))?;
    let share = share_at(&heard[first..last], RATE, f64::from(HERTZ));
    world.expect(share > 0.95, &format!("{share} of the power is the tone"))
}
