//! Several streams in one call, and marks in what is played.

use offhook_core::call::CallOptions;
use offhook_core::codec::measure::{Tone, share_at};
use offhook_core::codec::{Codec, Decoder, Encoder};
use offhook_core::event::{CallEvent, CallId, CallState, EndedBy, Event};
use offhook_core::sim::{NodeId, ScriptedPeer};
use offhook_core::time::{Duration, Instant};

use super::Scenario;
use super::audio::{expect_tone, speak};
use super::calls::expect_nothing_left;
use crate::stranger::{SDP, Stranger, request, rtp, session, tag};
use crate::world::{Outcome, RATE, STRANGER, Telephone, World};

/// The stranger's second media port.
const SECOND_PORT: u16 = 4_010;
/// Samples in 20 ms.
const FRAME: usize = 160;

pub(super) const MIXED_STREAMS: Scenario = Scenario {
    name: "mixed_streams",
    shows: "two audio sections, each answered with ports of its own: reads mix, writes go to both",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        let stranger = Stranger::new(&mut world);
        let second = world.sim.add_at((STRANGER, SECOND_PORT), ScriptedPeer::new());
        let offer = format!("{SDP}m=audio {SECOND_PORT} RTP/AVP 8\n");
        stranger.say(&mut world, &alice, &request("INVITE", 1, None, &session(&offer)));
        let call = world.wait_incoming(&alice)?;
        world.act(&alice, |phone| phone.answer(call))?;
        world.pass(Duration::from_millis(50));
        let answer = stranger.expect_answer(&world, "1 INVITE", 200)?;
        let ports = audio_ports(&answer.text());
        let [first_port, second_port] = ports[..] else {
            return Err(world.failure(&format!("answered with the ports {ports:?}")));
        };
        world.expect(first_port != second_port, "both sections have one port")?;
        let to_tag = tag(&answer.header("To").unwrap_or_default());
        stranger.say(&mut world, &alice, &request("ACK", 1, Some(&to_tag), ""));

        speak(&mut world, &alice, call, 700)?;
        let lines = [
            (stranger.rtp, first_port, Codec::Pcmu, 500),
            (second, second_port, Codec::Pcma, 1_100),
        ];
        let mut tones = lines.map(|(.., hertz)| Tone::new(RATE, hertz, 8_000));
        for number in 0..150_u16 {
            for ((node, port, codec, _), tone) in lines.iter().zip(&mut tones) {
                let mut payload = Vec::new();
                Encoder::new(*codec).encode(&tone.take(FRAME), &mut payload);
                let payload_type = codec.static_payload_type().unwrap_or_default();
                let timestamp = u32::from(number) * FRAME as u32;
                let packet = rtp(payload_type, number == 0, number, timestamp, &payload);
                world.sim[*node].send_bytes((alice.node.ip(), *port).into(), packet);
            }
            world.pass(Duration::from_millis(20));
        }
        expect_mix(&world, &alice.heard(call)[8_000..20_000], &[500, 1_100])?;
        for (node, _, codec, _) in lines {
            expect_tone(&world, &received(&world, node, codec), 700)?;
        }
        stranger.say(&mut world, &alice, &request("BYE", 2, Some(&to_tag), ""));
        let ended = world.wait_ended(&alice, call, Duration::from_secs(1))?.0;
        world.expect(ended == EndedBy::Remote, &format!("{ended:?}"))?;
        expect_nothing_left(&mut world, &[&alice])?;
        Ok(world)
    },
};

pub(super) const OFFERED_STREAMS: Scenario = Scenario {
    name: "offered_streams",
    shows: "a call of three streams: what is spoken goes over each, digits over one, ports go back",
    play: |seed| {
        let (mut world, alice, bob) = World::new(seed).pair()?;
        let target = format!("sip:bob@{}", bob.node.address());
        let three = CallOptions::default().streams(3);
        let out = world.act(&alice, |phone| phone.call(&target, three))?;
        let inc = world.wait_incoming(&bob)?;
        world.act(&bob, |phone| phone.answer(inc))?;
        world.wait_state(&alice, out, CallState::Answered)?;
        world.wait_state(&bob, inc, CallState::Answered)?;
        let ports = [alice.node, bob.node].map(|node| world.sim.media_ports(node));
        world.expect(ports == [3, 3], &format!("{ports:?} pairs of ports"))?;
        // Three times a tone is one of three times its amplitude.
        let quiet = Tone::new(RATE, 600, 2_000).take(2 * RATE as usize);
        world.media(&alice, out)?.write_audio(RATE, &quiet);
        world.pass(Duration::from_secs(3));
        let heard = bob.heard(inc);
        let loudest = heard.iter().map(|s| s.unsigned_abs()).max().unwrap_or_default();
        world.expect((5_400..6_600).contains(&loudest), &format!("it peaks at {loudest}"))?;
        world.media(&alice, out)?.send_dtmf("159#").map_err(|e| e.to_string())?;
        world.pass(Duration::from_secs(2));
        let digits = bob.digits(inc);
        world.expect(digits == "159#", &format!("digits {digits:?}"))?;
        world.disconnect((&alice, out), (&bob, inc))?;
        expect_nothing_left(&mut world, &[&alice, &bob])?;
        Ok(world)
    },
};

pub(super) const FORKED_EARLY_MEDIA: Scenario = Scenario {
    name: "forked_early_media",
    shows: "two announcements of a fork are heard together, until one answers (RFC 3960 §2, §3)",
    play: |seed| {
        let mut world = World::with_exchange(seed, &["alice", "bob"]);
        let alice = world.telephone("alice")?;
        let (desk, pocket) = (world.telephone("bob")?, world.telephone("bob")?);
        let out = world.call(&alice, "bob")?;
        let at_desk = world.wait_incoming(&desk)?;
        let in_pocket = world.wait_incoming(&pocket)?;
        world.act(&desk, |phone| phone.progress(at_desk))?;
        world.act(&pocket, |phone| phone.progress(in_pocket))?;
        world.wait_state(&alice, out, CallState::Progress)?;
        world.pass(Duration::from_millis(200));
        let ports = world.sim.media_ports(alice.node);
        world.expect(ports == 1, &format!("one offer takes {ports} pairs"))?;
        speak(&mut world, &desk, at_desk, 440)?;
        speak(&mut world, &pocket, in_pocket, 900)?;
        speak(&mut world, &alice, out, 1_300)?;
        let before = alice.heard(out).len();
        world.pass(Duration::from_secs(3));
        expect_mix(&world, &alice.heard(out)[before + 2_000..before + 14_000], &[440, 900])?;
        expect_tone(&world, &desk.heard(at_desk), 1_300)?;
        expect_tone(&world, &pocket.heard(in_pocket), 1_300)?;

        world.act(&pocket, |phone| phone.answer(in_pocket))?;
        world.wait_state(&alice, out, CallState::Answered)?;
        world.wait_state(&pocket, in_pocket, CallState::Answered)?;
        world.wait_ended(&desk, at_desk, Duration::from_secs(5))?;
        let (before, earlier) = (alice.heard(out).len(), pocket.heard(in_pocket).len());
        speak(&mut world, &pocket, in_pocket, 900)?;
        speak(&mut world, &alice, out, 1_300)?;
        world.pass(Duration::from_secs(3));
        expect_tone(&world, &alice.heard(out)[before..], 900)?;
        expect_tone(&world, &pocket.heard(in_pocket)[earlier..], 1_300)?;
        world.disconnect((&alice, out), (&pocket, in_pocket))?;
        expect_nothing_left(&mut world, &[&alice, &desk, &pocket])?;
        Ok(world)
    },
};

pub(super) const MARKS: Scenario = Scenario {
    name: "marks",
    shows: "a mark comes back when what was written before it has been sent, or dropped",
    play: |seed| {
        let (mut world, alice, bob) = World::new(seed).pair()?;
        let target = format!("sip:bob@{}", bob.node.address());
        let (out, inc) = world.connect(&alice, &bob, &target)?;
        let began = world.sim.now();
        for name in ["one", "two"] {
            speak(&mut world, &alice, out, 600)?;
            let taken = world.media(&alice, out)?.mark(name);
            world.expect(taken, "there is no room for a mark")?;
        }
        world.pass(Duration::from_secs(5));
        let marks = marks(&alice, out);
        for (index, name) in [(0, "one"), (1, "two")] {
            let due = began + Duration::from_secs(2 * (index as u64 + 1));
            let fits = matches!(&marks.get(index), Some((at, mark, true))
                if mark == name && at.max(&due).since(*at.min(&due)) <= Duration::from_millis(20));
            world.expect(fits, &format!("{name} is due at {due:?}: {marks:?}"))?;
        }
        // A bot that is interrupted: what was not said comes back as such.
        let before = bob.heard(inc).len();
        speak(&mut world, &alice, out, 600)?;
        world.media(&alice, out)?.mark("never");
        world.pass(Duration::from_millis(500));
        let dropped = world.media(&alice, out)?.flush_audio();
        let played = world.media(&alice, out)?.played();
        let whole = (dropped + played).as_micros();
        let expected = 6_000_000..=6_000_000;
        world.expect(expected.contains(&whole), &format!("{dropped:?} and {played:?}"))?;
        world.pass(Duration::from_secs(1));
        let last = self::marks(&alice, out).pop();
        let never = matches!(&last, Some((_, mark, false)) if mark == "never");
        world.expect(never, &format!("{last:?}"))?;
        let said = bob.heard(inc)[before..].iter().filter(|s| s.unsigned_abs() > 2_000).count();
        world.expect((2_000..4_160).contains(&said), &format!("{said} loud samples"))?;
        world.disconnect((&alice, out), (&bob, inc))?;
        Ok(world)
    },
};

/// The marks that came back in a call: when, which, and whether played.
fn marks(telephone: &Telephone, call: CallId) -> Vec<(Instant, String, bool)> {
    let events = telephone.events().into_iter();
    let mark = |(at, event)| match event {
        Event::Call { call: id, event: CallEvent::Mark { name, played } } if id == call => {
            Some((at, name, played))
        }
        _ => None,
    };
    events.filter_map(mark).collect()
}

/// What was heard holds these tones in equal parts, and little else.
fn expect_mix(world: &World, heard: &[i16], tones: &[u32]) -> Outcome {
    let even = 1.0 / tones.len() as f64;
    for hertz in tones {
        let share = share_at(heard, RATE, f64::from(*hertz));
        let fits = (share - even).abs() < 0.05;
        world.expect(fits, &format!("{share} of the power is at {hertz} Hz, not {even}"))?;
    }
    Ok(())
}

/// What came to a media port of the stranger.
fn received(world: &World, node: NodeId<ScriptedPeer>, codec: Codec) -> Vec<i16> {
    let mut samples = Vec::new();
    for packet in world.sim[node].received() {
        let payload = packet.bytes.get(12..).unwrap_or_default();
        Decoder::new(codec).decode(payload, &mut samples);
    }
    samples
}

/// The ports of the audio sections in a message.
fn audio_ports(message: &str) -> Vec<u16> {
    let port = |line: &str| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok();
    message.lines().filter_map(port).collect()
}
