//! What is broken in pyVoIP: session descriptions and RTP.

use std::net::Ipv6Addr;

use offhook_core::codec::measure::{Tone, share_at};
use offhook_core::codec::{Codec, Encoder};
use offhook_core::event::{CallEvent, CallId, CallState, EndedBy, Event};
use offhook_core::time::Duration;

use super::Scenario;
use crate::stranger::{SDP, Stranger, request, rtp, scene, session, tag};
use crate::world::{Outcome, RATE, Telephone, World};

/// Samples in 20 ms.
const FRAME: u32 = 160;

pub(super) const TWO_SECTIONS: Scenario = Scenario {
    name: "two_sections",
    shows: "pyVoIP: two media sections are glued into one; here audio is taken and video refused",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        let video = "m=video 4002 RTP/AVP 96\na=rtpmap:96 H264/90000\n";
        let offer = session(&format!("{SDP}{video}"));
        stranger.say(&mut world, &alice, &request("INVITE", 1, None, &offer));
        let call = world.wait_incoming(&alice)?;
        world.act(&alice, |phone| phone.answer(call))?;
        world.pass(Duration::from_millis(50));
        let answer = stranger.last_sdp(&world)?;
        let lines: Vec<&str> = answer.lines().filter(|line| line.starts_with("m=")).collect();
        let both = matches!(&lines[..], [audio, video]
            if audio.starts_with("m=audio 1") && video.starts_with("m=video 0 "));
        world.expect(both, &format!("answered {lines:?}"))?;
        Ok(world)
    },
};

pub(super) const NO_DESCRIPTION: Scenario = Scenario {
    name: "no_description",
    shows: "pyVoIP: an INVITE without SDP crashes; here the offer is ours, and ACK brings the answer",
    play: |seed| {
        let (mut world, alice, stranger) = scene(seed)?;
        stranger.say(&mut world, &alice, &request("INVITE", 1, None, ""));
        let call = world.wait_incoming(&alice)?;
        world.act(&alice, |phone| phone.answer(call))?;
        world.pass(Duration::from_millis(50));
        let answer = stranger.expect_answer(&world, "1 INVITE", 200)?;
        let to_tag = tag(&answer.header("To").unwrap_or_default());
        let ack = request("ACK", 1, Some(&to_tag), &session(SDP));
        stranger.say(&mut world, &alice, &ack);
        world.pass(Duration::from_millis(200));
        let came = world.sim[stranger.rtp].received().len();
        world.expect(came > 5, &format!("{came} packets of media came"))?;
        let state = world.sim[alice.node].phone().state(call);
        world.expect(state == Some(CallState::Answered), &format!("{state:?}"))?;
        Ok(world)
    },
};

pub(super) const ADVERTISED_PORT: Scenario = Scenario {
    name: "advertised_port",
    shows: "pyVoIP: RTP leaves another port than the one advertised; here that one",
    play: |seed| {
        let (mut world, _, _, stranger) = in_call(seed)?;
        world.pass(Duration::from_millis(200));
        let told = stranger.last_sdp(&world)?;
        let from: Vec<u16> =
            world.sim[stranger.rtp].received().iter().map(|packet| packet.from.port()).collect();
        let wanted = format!("m=audio {} ", from.first().copied().unwrap_or_default());
        let same = from.iter().all(|port| Some(port) == from.first());
        world.expect(same && told.contains(&wanted), &format!("from {from:?}, told {told}"))?;
        Ok(world)
    },
};

pub(super) const RTCP: Scenario = Scenario {
    name: "rtcp",
    shows: "pyVoIP: no RTCP; here reports go to the next port, and BYE at the end (RFC 3550 §6)",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        let stranger = Stranger::agreeable(&mut world);
        let rtcp = world.sim.add_at(
            (crate::world::STRANGER, crate::stranger::MEDIA_PORT + 1),
            offhook_core::sim::ScriptedPeer::new(),
        );
        let call = stranger.is_called(&mut world, &alice)?;
        world.pass(Duration::from_secs(20));
        world.act(&alice, |phone| phone.hangup(call))?;
        world.pass(Duration::from_secs(1));
        // The packet type of each compound's first packet: 200 is a sender's report.
        let kinds: Vec<Vec<u8>> =
            world.sim[rtcp].received().iter().map(|packet| packet_types(&packet.bytes)).collect();
        world.expect(kinds.len() >= 3, &format!("{} came in 20 s", kinds.len()))?;
        let reports = kinds.iter().all(|kinds| kinds.starts_with(&[200, 202]));
        world.expect(reports, &format!("they are {kinds:?}"))?;
        let last = kinds.last().is_some_and(|kinds| kinds.contains(&203));
        world.expect(last, &format!("no BYE in {kinds:?}"))?;
        Ok(world)
    },
};

pub(super) const SEQUENCE_WRAPS: Scenario = Scenario {
    name: "sequence_wraps",
    shows: "pyVoIP: a malformed packet when the sequence wraps; here 65,535 is followed by 0, unheard",
    play: |seed| {
        let (mut world, alice, call, stranger) = in_call(seed)?;
        // The stranger's wraps: a tone from 65,500 on goes on without a gap.
        let tone = encoded(2 * RATE as usize);
        for (number, payload) in tone.chunks(FRAME as usize).enumerate() {
            let seq = 65_500_u16.wrapping_add(number as u16);
            let packet = rtp(0, number == 0, seq, number as u32 * FRAME, payload);
            stranger.send_rtp(&mut world, &alice, packet)?;
            world.pass(Duration::from_millis(20));
        }
        expect_tone(&world, &alice, call, 1.9)?;
        // Ours wraps within 65,536 packets, 22 minutes.
        world.sim[stranger.rtp].take();
        let mut number = None;
        let mut wraps = 0;
        for half_minute in 0..46_u16 {
            let seq = 100 + half_minute;
            let packet = rtp(0, false, seq, 0, &[0xff; 160]);
            stranger.send_rtp(&mut world, &alice, packet)?;
            world.pass(Duration::from_secs(30));
            for packet in world.sim[stranger.rtp].take() {
                let bytes = packet.bytes;
                world.expect(bytes.len() == 172 && bytes[0] == 0x80, "a malformed packet")?;
                let seq = u16::from_be_bytes([bytes[2], bytes[3]]);
                let follows = number.is_none_or(|last: u16| last.wrapping_add(1) == seq);
                world.expect(follows, &format!("{seq} follows {number:?}"))?;
                wraps += u32::from(seq == 0);
                number = Some(seq);
            }
            if wraps > 0 {
                break;
            }
        }
        world.expect(wraps >= 1, "it did not wrap")?;
        Ok(world)
    },
};

pub(super) const DIGIT_WITHOUT_MARKER: Scenario = Scenario {
    name: "digit_without_marker",
    shows: "pyVoIP #180 #265: DTMF only on the marker bit; here by timestamp and End, once a press",
    play: |seed| {
        let (mut world, alice, call, stranger) = in_call(seed)?;
        // 5 without a marker, 5 again whose first packets are lost, and 7 of which only an end came.
        let presses: [(u8, u32, &[bool]); 3] = [
            (5, 16_000, &[false, false, true, true, true]),
            (5, 20_000, &[false, true, true]),
            (7, 24_000, &[true]),
        ];
        let mut seq = 100;
        for (event, timestamp, ends) in presses {
            for (number, end) in ends.iter().enumerate() {
                let duration = 160 * (number as u16 + 1);
                let [high, low] = duration.to_be_bytes();
                let payload = [event, if *end { 0x8a } else { 0x0a }, high, low];
                stranger.send_rtp(&mut world, &alice, rtp(101, false, seq, timestamp, &payload))?;
                seq += 1;
                world.pass(Duration::from_millis(20));
            }
            world.pass(Duration::from_millis(100));
        }
        world.pass(Duration::from_millis(500));
        let digits = alice.digits(call);
        world.expect(digits == "557", &format!("digits {digits:?}"))?;
        Ok(world)
    },
};

pub(super) const HOSTILE_PACKETS: Scenario = Scenario {
    name: "hostile_packets",
    shows: "pyVoIP: event 16 or a one-byte datagram kills the receiving thread; here sound goes on",
    play: |seed| {
        let (mut world, alice, call, stranger) = in_call(seed)?;
        let hostile = [
            vec![0x80],
            vec![],
            rtp(101, true, 7, 100, &[16, 0x8a, 0, 160]),
            rtp(101, true, 8, 100, &[255, 0xff, 0xff, 0xff]),
            rtp(101, true, 9, 100, &[1]),
            rtp(77, false, 10, 100, &[1, 2, 3]),
        ];
        for packet in hostile {
            stranger.send_rtp(&mut world, &alice, packet)?;
            world.pass(Duration::from_millis(20));
        }
        speak(&mut world, &alice, &stranger, |number, payload| {
            rtp(0, number == 0, 1_000 + number as u16, number * FRAME, payload)
        })?;
        expect_tone(&world, &alice, call, 1.9)?;
        let digits = alice.digits(call);
        world.expect(digits.is_empty(), &format!("digits {digits:?}"))?;
        Ok(world)
    },
};

pub(super) const EXTENSION_AND_PADDING: Scenario = Scenario {
    name: "extension_and_padding",
    shows: "pyVoIP #105 #113: extension and padding bytes heard as noise; here only the payload is",
    play: |seed| {
        let (mut world, alice, call, stranger) = in_call(seed)?;
        speak(&mut world, &alice, &stranger, |number, payload| {
            // Every other packet is plain: of one that began too early the noise would be skipped.
            if number % 2 == 0 {
                return rtp(0, number == 0, number as u16, number * FRAME, payload);
            }
            let mut packet = rtp(0, false, number as u16, number * FRAME, &[]);
            // Padding, an extension and two contributing sources (RFC 3550 §5.1, §5.3.1).
            packet[0] = 0x80 | 0x20 | 0x10 | 2;
            packet.extend([0; 8]);
            packet.extend([0xbe, 0xde, 0, 2, 9, 9, 9, 9, 9, 9, 9, 9]);
            packet.extend(payload);
            packet.extend([7, 7, 7, 4]);
            packet
        })?;
        expect_tone(&world, &alice, call, 1.9)?;
        Ok(world)
    },
};

pub(super) const TIMESTAMP_JUMP: Scenario = Scenario {
    name: "timestamp_jump",
    shows: "pyVoIP: one packet with a timestamp jump allocates 400 MB; here sound goes on at once",
    play: |seed| {
        let (mut world, alice, call, stranger) = in_call(seed)?;
        speak(&mut world, &alice, &stranger, |number, payload| {
            // In the middle the clock jumps by a day.
            let jump = if number < 50 { 0 } else { 691_200_000 };
            rtp(0, number == 0, number as u16, number * FRAME + jump, payload)
        })?;
        expect_tone(&world, &alice, call, 1.85)?;
        let heard = alice.heard(call).len() as u64 * 1_000 / u64::from(RATE);
        world.expect(heard < 4_000, &format!("{heard} ms were heard of two seconds"))?;
        Ok(world)
    },
};

pub(super) const SILENCE_IS_DATA: Scenario = Scenario {
    name: "silence_is_data",
    shows: "pyVoIP #227 #230: a real 0x80 is taken for no data; here the count says what is there",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        alice.ignore_sound();
        let stranger = Stranger::new(&mut world);
        let (call, _) = stranger.calls(&mut world, &alice, "")?;
        let mut out = [7_i16; 4_000];
        let drained = world.media(&alice, call)?.read_audio(RATE, &mut out);
        let nothing = world.media(&alice, call)?.read_audio(RATE, &mut out);
        world.expect(nothing == 0, &format!("{drained} were there, then {nothing}"))?;
        // Silence that was really sent: 0x80 in 8-bit linear, 0xff in mu-law.
        for number in 0..20_u16 {
            let packet = rtp(0, number == 0, number, u32::from(number) * FRAME, &[0xff; 160]);
            stranger.send_rtp(&mut world, &alice, packet)?;
            world.pass(Duration::from_millis(20));
        }
        let count = world.media(&alice, call)?.read_audio(RATE, &mut out);
        world.expect(count >= 2_000, &format!("{count} samples of silence"))?;
        let silent = out[..count].iter().all(|sample| *sample == 0);
        world.expect(silent, "the silence is none")?;
        Ok(world)
    },
};

pub(super) const FRESH: Scenario = Scenario {
    name: "fresh",
    shows: "pyVoIP #156 #257: read_audio gives stale sound; here what nobody reads goes, oldest first",
    play: |seed| {
        let mut world = World::new(seed);
        let alice = world.telephone("alice")?;
        alice.ignore_sound();
        let stranger = Stranger::new(&mut world);
        let (call, _) = stranger.calls(&mut world, &alice, "")?;
        // Ten seconds of 400 Hz that nobody reads, then half a second of 1000 Hz.
        let mut number = 0;
        for (hertz, seconds) in [(400, 10.0), (1_000, 0.5)] {
            let samples = Tone::new(RATE, hertz, 8_000).take((seconds * f64::from(RATE)) as usize);
            for payload in encode(&samples).chunks(FRAME as usize) {
                let packet = rtp(0, number == 0, number as u16, number * FRAME, payload);
                stranger.send_rtp(&mut world, &alice, packet)?;
                world.pass(Duration::from_millis(20));
                number += 1;
            }
        }
        let mut out = vec![0; 10 * RATE as usize];
        let count = world.media(&alice, call)?.read_audio(RATE, &mut out);
        world.expect(count <= RATE as usize, &format!("{count} samples were kept"))?;
        let last = &out[count.saturating_sub(1_600)..count];
        let share = share_at(last, RATE, 1_000.0);
        world.expect(share > 0.95, &format!("{share} of the last 200 ms is the new tone"))?;
        Ok(world)
    },
};

pub(super) const DIGITS_SENT: Scenario = Scenario {
    name: "digits_sent",
    shows: "pyVoIP #88 #248: digits are sent, as events that any peer counts once (RFC 4733)",
    play: |seed| {
        let (mut world, alice, call, stranger) = in_call(seed)?;
        world.media(&alice, call)?.send_dtmf("1#").map_err(|e| e.to_string())?;
        world.pass(Duration::from_secs(1));
        let events: Vec<Vec<u8>> = world.sim[stranger.rtp]
            .received()
            .iter()
            .filter(|packet| packet.bytes[1] & 0x7f == 101)
            .map(|packet| packet.bytes.clone())
            .collect();
        let ends =
            |digit: u8| events.iter().filter(|p| p[12] == digit && p[13] & 0x80 != 0).count();
        world
            .expect((ends(1), ends(11)) == (3, 3), &format!("{} and {} ends", ends(1), ends(11)))?;
        let mut stamps: Vec<&[u8]> = events.iter().map(|packet| &packet[4..8]).collect();
        stamps.dedup();
        world.expect(stamps.len() == 2, &format!("{} timestamps", stamps.len()))?;
        let marked = events.iter().filter(|packet| packet[1] & 0x80 != 0).count();
        world.expect(marked == 2, &format!("{marked} markers"))?;
        Ok(world)
    },
};

pub(super) const ALAW_ALONE: Scenario = Scenario {
    name: "alaw_alone",
    shows: "pyVoIP #119 #247 #42: a call may name its codecs; with PCMA alone it sounds",
    play: |seed| {
        use offhook_core::call::CallOptions;
        let (mut world, alice, bob) = World::new(seed).pair()?;
        bob.answer_always();
        let target = format!("sip:bob@{}", bob.node.address());
        let options = CallOptions::default().codecs(&[Codec::Pcma]);
        let call = world.act(&alice, |phone| phone.call(&target, options))?;
        world.wait_state(&alice, call, CallState::Answered)?;
        let codec = world.sim[alice.node].phone().info(call).and_then(|info| info.codec);
        world.expect(codec == Some(Codec::Pcma), &format!("{codec:?}"))?;
        super::audio::speak(&mut world, &alice, call, 440)?;
        world.pass(Duration::from_secs(3));
        let inc = world.wait_incoming(&bob)?;
        super::audio::expect_tone(&world, &bob.heard(inc), 440)?;
        Ok(world)
    },
};

pub(super) const STATISTICS: Scenario = Scenario {
    name: "statistics",
    shows: "pyVoIP #291: jitter and loss are counted, here of a link that loses and delays",
    play: |seed| {
        use offhook_core::sim::Link;
        let (mut world, alice, bob) = World::new(seed).pair()?;
        let target = format!("sip:bob@{}", bob.node.address());
        let (out, inc) = world.connect(&alice, &bob, &target)?;
        let link = Link { jitter: Duration::from_millis(20), ..Link::lossy(100) };
        world.sim.link_one_way(alice.node.ip(), bob.node.ip(), link);
        world.pass(Duration::from_secs(30));
        let Some(stats) = world.sim[bob.node].stats(inc) else {
            return Err(world.failure("there are no statistics"));
        };
        world.expect((75..225).contains(&stats.lost), &format!("{} of 1500 lost", stats.lost))?;
        let jitter = stats.jitter_us;
        world.expect((2_000..20_000).contains(&jitter), &format!("a jitter of {jitter} us"))?;
        world.expect((100..430).contains(&stats.mos_x100), &format!("MOS {}", stats.mos_x100))?;
        // The sender learns it from the receiver's reports.
        let Some(stats) = world.sim[alice.node].stats(out) else {
            return Err(world.failure("there are no statistics"));
        };
        world.expect(stats.remote_lost > 50, &format!("{} told lost", stats.remote_lost))?;
        world.expect(stats.rtt_us.is_some(), "no round trip was measured")?;
        Ok(world)
    },
};

pub(super) const PORTS_GIVEN_BACK: Scenario = Scenario {
    name: "ports_given_back",
    shows: "pyVoIP #6 #27: ports are given back; here two pairs carry fifty calls, three at once fail",
    play: |seed| {
        use offhook_core::error::Error;
        let mut world = World::new(seed);
        let parameters = world.parameters("alice").rtp_ports(20_000, 20_003);
        let alice = world.add(parameters)?;
        world.start(&alice)?;
        let stranger = Stranger::agreeable(&mut world);
        for _ in 0..25 {
            let calls =
                [stranger.is_called(&mut world, &alice)?, stranger.is_called(&mut world, &alice)?];
            let third = world.call(&alice, "sip:stranger@10.0.2.1")?;
            let error = world.wait(&alice, "end", Duration::from_secs(1), |event| match event {
                Event::Call { call, event: CallEvent::Ended(ending) } if *call == third => {
                    Some(ending.error.clone())
                }
                _ => None,
            })?;
            let wanted = Some(Error::NoPortsAvailable { low: 20_000, high: 20_003 });
            world.expect(error == wanted, &format!("the third call ended with {error:?}"))?;
            for call in calls {
                world.act(&alice, |phone| phone.hangup(call))?;
                let ended = world.wait_ended(&alice, call, Duration::from_secs(33))?.0;
                world.expect(ended == EndedBy::Local, &format!("{ended:?}"))?;
            }
            world.pass(Duration::from_millis(100));
            let ports = world.sim.media_ports(alice.node);
            world.expect(ports == 0, &format!("{ports} pairs are kept"))?;
        }
        Ok(world)
    },
};

pub(super) const IPV6: Scenario = Scenario {
    name: "ipv6",
    shows: "pyVoIP #110: a call over IPv6, with sound",
    play: |seed| {
        let mut world = World::new(seed);
        let mut telephone = |last: u16, user: &str| {
            let ip = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
            let telephone = world.add_at(ip.into(), world.parameters(user))?;
            world.start(&telephone).map(|()| telephone)
        };
        let (alice, bob) = (telephone(1, "alice")?, telephone(2, "bob")?);
        let (out, inc) = world.connect(&alice, &bob, "sip:bob@[2001:db8::2]")?;
        world.sim.record_wire(100);
        super::audio::speak(&mut world, &alice, out, 440)?;
        world.pass(Duration::from_secs(3));
        super::audio::expect_tone(&world, &bob.heard(inc), 440)?;
        world.disconnect((&alice, out), (&bob, inc))?;
        let all = world.sim.wire().all(|packet| packet.from.is_ipv6());
        world.expect(all, "not all of it went over IPv6")?;
        Ok(world)
    },
};

/// Alice in a call that the stranger placed.
fn in_call(seed: u64) -> Outcome<(World, Telephone, CallId, Stranger)> {
    let (mut world, alice, stranger) = scene(seed)?;
    let (call, _) = stranger.calls(&mut world, &alice, "")?;
    Ok((world, alice, call, stranger))
}

/// The stranger speaks two seconds of a tone, each frame in the packet that `wrap` makes.
fn speak(
    world: &mut World,
    to: &Telephone,
    stranger: &Stranger,
    wrap: impl Fn(u32, &[u8]) -> Vec<u8>,
) -> Outcome {
    for (number, payload) in encoded(2 * RATE as usize).chunks(FRAME as usize).enumerate() {
        stranger.send_rtp(world, to, wrap(number as u32, payload))?;
        world.pass(Duration::from_millis(20));
    }
    world.pass(Duration::from_millis(500));
    Ok(())
}

/// So many seconds of the stranger's tone, at least, were heard, and no noise.
fn expect_tone(world: &World, alice: &Telephone, call: CallId, seconds: f64) -> Outcome {
    let heard = alice.heard(call);
    let loud = |sample: &i16| sample.unsigned_abs() > 200;
    let first = heard.iter().position(loud).unwrap_or(0);
    let last = heard.iter().rposition(loud).unwrap_or(0);
    let length = (last - first) as f64 / f64::from(RATE);
    world.expect(length >= seconds, &format!("{length} s of the tone were heard"))?;
    let share = share_at(&heard[first..last], RATE, f64::from(HERTZ));
    world.expect(share > 0.9, &format!("{share} of the power is the tone"))
}

/// The frequency of the stranger's tone.
const HERTZ: u32 = 500;

fn encoded(samples: usize) -> Vec<u8> {
    encode(&Tone::new(RATE, HERTZ, 8_000).take(samples))
}

fn encode(samples: &[i16]) -> Vec<u8> {
    let mut payload = Vec::new();
    Encoder::new(Codec::Pcmu).encode(samples, &mut payload);
    payload
}

/// The packet types of an RTCP compound (RFC 3550 §6.1).
fn packet_types(mut compound: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [_, kind, high, low, ..] = compound {
        types.push(*kind);
        let words = usize::from(u16::from_be_bytes([*high, *low])) + 1;
        compound = compound.get(4 * words..).unwrap_or_default();
    }
    types
}
