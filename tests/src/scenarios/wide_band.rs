//! G.722: twice the band of G.711, by a clock that says half of it.

use offhook_core::codec::measure::{Tone, level_dbov};
use offhook_core::codec::{Codec, Decoder, Encoder};
use offhook_core::internals::Packet;
use offhook_core::time::Duration;
use offhook_core::trace::Kind;

use super::Scenario;
use super::audio::{expect_tone_at, speak_at};
use crate::stranger::{SDP, Stranger, request, rtp, session};
use crate::world::{Outcome, Telephone, World};

/// How many samples a second are spoken and heard here.
const RATE: u32 = 16_000;

/// A tone that no codec of 8,000 samples a second carries, and one that each does.
const HIGH: u32 = 5_000;
const LOW: u32 = 1_000;

/// The time in which a tone of two seconds is spoken and heard.
const SPOKEN: Duration = Duration::from_secs(3);

pub(super) const WIDE_BAND: Scenario = Scenario {
    name: "wide_band",
    shows: "G.722 carries 5 kHz and 1 kHz both ways, 160 bytes and 160 units of its clock a packet, \
            with digits beside (RFC 3551 §4.5.2; pyVoIP: G.711 alone)",
    play: |seed| {
        let mut world = World::new(seed);
        let [alice, bob] = [telephone(&mut world, "alice")?, telephone(&mut world, "bob")?];
        world.sim.record_wire(10_000);
        let target = format!("sip:bob@{}", bob.node.address());
        let (out, inc) = world.connect(&alice, &bob, &target)?;
        for [there, back] in [[HIGH, LOW], [LOW, HIGH]] {
            let before = [alice.heard(out).len(), bob.heard(inc).len()];
            speak_at(&mut world, &alice, out, RATE, there)?;
            speak_at(&mut world, &bob, inc, RATE, back)?;
            world.pass(SPOKEN);
            expect_tone_at(&world, &bob.heard(inc)[before[1]..], RATE, there)?;
            expect_tone_at(&world, &alice.heard(out)[before[0]..], RATE, back)?;
        }
        let packets: Vec<_> = world.sim.wire().filter(|packet| packet.kind == Kind::Rtp).collect();
        for sent in [&alice, &bob].map(|telephone| telephone.node.ip()) {
            let sent = packets.iter().filter(|packet| packet.from.ip() == sent);
            let sent: Vec<_> =
                sent.filter_map(|packet| Packet::parse(&packet.bytes).ok()).collect();
            world.expect(sent.len() > 290, &format!("{} packets", sent.len()))?;
            for (number, Packet { header, payload, .. }) in (0..).zip(&sent) {
                let units = header.timestamp.wrapping_sub(sent[0].header.timestamp);
                let seen = (header.payload_type, payload.len(), units);
                world.expect(seen == (9, 160, number * 160), &format!("{number}: {seen:?}"))?;
            }
        }
        world.media(&alice, out)?.send_dtmf("7#").map_err(|error| error.to_string())?;
        world.pass(SPOKEN);
        world.expect(bob.digits(inc) == "7#", &format!("digits {:?}", bob.digits(inc)))?;
        world.disconnect((&alice, out), (&bob, inc))?;
        Ok(world)
    },
};

pub(super) const WIDE_BAND_CHANGE: Scenario = Scenario {
    name: "wide_band_change",
    shows: "re-INVITEs change PCMU to G.722 and back in mid-call: each is heard and sent, 5 kHz in \
            G.722 alone, and the source goes on, for the clock does (RFC 7160 §4.1)",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = telephone(&mut world, "alice")?;
        let stranger = Stranger::new(&mut world);
        let (call, tag) = stranger.calls(&mut world, &alice, "")?;
        let mut last = None;
        let changes = [(Codec::Pcmu, LOW), (Codec::G722, HIGH), (Codec::Pcmu, LOW)];
        for (seq, (codec, hertz)) in (1..).zip(changes) {
            if seq > 1 {
                change(&mut world, &alice, &stranger, (seq, &tag), codec)?;
            }
            let agreed = world.sim[alice.node].phone().info(call).and_then(|info| info.codec);
            world.expect(agreed == Some(codec), &format!("{agreed:?}, not {codec:?}"))?;
            let from = alice.heard(call).len();
            let _earlier = world.sim[stranger.rtp].take();
            speak_at(&mut world, &alice, call, RATE, hertz)?;
            stranger_speaks(&mut world, &alice, &stranger, (codec, hertz), 150 * seq as u16)?;
            expect_tone_at(&world, &alice.heard(call)[from..], RATE, hertz)?;

            let came = world.sim[stranger.rtp].take();
            let came: Vec<_> = came.iter().filter_map(|a| Packet::parse(&a.bytes).ok()).collect();
            let mut heard = Vec::new();
            let mut decoder = Decoder::new(codec);
            for Packet { header, payload, .. } in &came {
                let good = Some(header.payload_type) == codec.static_payload_type();
                world.expect(good, &format!("payload type {}", header.payload_type))?;
                let known = last.is_none_or(|ssrc| ssrc == header.ssrc);
                world.expect(known, "another source")?;
                last = Some(header.ssrc);
                decoder.decode(payload, &mut heard);
            }
            expect_tone_at(&world, &heard, codec.sample_rate(), hertz)?;
        }
        // What PCMU cannot carry is filtered out, not folded into what it can.
        let _earlier = world.sim[stranger.rtp].take();
        speak_at(&mut world, &alice, call, RATE, HIGH)?;
        world.pass(Duration::from_secs(1));
        let mut heard = Vec::new();
        for packet in world.sim[stranger.rtp].take() {
            if let Ok(packet) = Packet::parse(&packet.bytes) {
                Decoder::new(Codec::Pcmu).decode(packet.payload, &mut heard);
            }
        }
        let level = level_dbov(&heard[800..]);
        world.expect(level < -60.0, &format!("5 kHz in PCMU came at {level} dBov"))?;
        stranger.say(&mut world, &alice, &request("BYE", 9, Some(&tag), ""));
        world.wait_ended(&alice, call, Duration::from_secs(33))?;
        Ok(world)
    },
};

/// One that prefers G.722, and listens with 16,000 samples a second.
fn telephone(world: &mut World, user: &str) -> Outcome<Telephone> {
    let parameters = world.parameters(user).codecs(&[Codec::G722, Codec::Pcmu]);
    let telephone = world.add(parameters)?;
    telephone.listen_at(RATE);
    world.start(&telephone)?;
    Ok(telephone)
}

/// The stranger offers that codec alone, by a re-INVITE.
fn change(
    world: &mut World,
    alice: &Telephone,
    stranger: &Stranger,
    (seq, tag): (u32, &str),
    codec: Codec,
) -> Outcome {
    let number = codec.static_payload_type().unwrap_or_default();
    let offer = SDP.replace("RTP/AVP 0 8 101", &format!("RTP/AVP {number} 101"));
    stranger.say(world, alice, &request("INVITE", seq, Some(tag), &session(&offer)));
    stranger.expect_answer(world, &format!("{seq} INVITE"), 200)?;
    stranger.say(world, alice, &request("ACK", seq, Some(tag), ""));
    Ok(())
}

/// The stranger speaks two seconds of a tone and one of silence, from packet `first` on; its clock runs at 8,000 units a second in either codec.
fn stranger_speaks(
    world: &mut World,
    to: &Telephone,
    stranger: &Stranger,
    (codec, hertz): (Codec, u32),
    first: u16,
) -> Outcome {
    let rate = codec.sample_rate();
    let mut payload = Vec::new();
    let mut samples = Tone::new(rate, hertz, 8_000).take(2 * rate as usize);
    // Silence ends it, not the loss of what should follow.
    samples.resize(3 * rate as usize, 0);
    Encoder::new(codec).encode(&samples, &mut payload);
    let number = codec.static_payload_type().unwrap_or_default();
    for (seq, frame) in (first..).zip(payload.chunks(160)) {
        let packet = rtp(number, seq == first, seq, u32::from(seq) * 160, frame);
        stranger.send_rtp(world, to, packet)?;
        world.pass(Duration::from_millis(20));
    }
    Ok(())
}
