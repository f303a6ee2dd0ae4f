//! What networks and peers do to a stream, and what of it is heard.

use super::*;
use crate::codec::measure::{self, Tone};
use crate::codec::{Encoder, g711};
use crate::rtp::packet::Header;

const TONE: u32 = 440;

/// Runs with a tone from alice to bob for so many seconds; returns what was heard without the first
/// half second.
fn tone_over(network: Network, seconds: u64) -> (Vec<i16>, Pair) {
    let mut pair = Pair::over(network, delayed(30));
    let mut tone = Tone::new(8_000, TONE, 12_000);
    pair.run(Duration::from_secs(seconds), |alice| {
        if alice.session.queued() < Duration::from_millis(100) {
            alice.session.write_audio(8_000, &tone.take(1_600));
        }
    });
    (pair.bob.heard[4_000..].to_vec(), pair)
}

/// The smallest part of its power that the tone has in any second.
fn purity(heard: &[i16]) -> f64 {
    let seconds = heard.chunks_exact(8_000);
    seconds.map(|s| measure::share_at(s, 8_000, f64::from(TONE))).fold(1.0, f64::min)
}

fn gap(heard: &[i16]) -> u64 {
    measure::longest_gap(heard, 8_000, -40.0).as_millis()
}

#[test]
fn reordered_packets_are_put_in_order() {
    // Every third packet is overtaken by the next two.
    let network = |n, at| vec![at + Duration::from_millis(if n % 3 == 0 { 75 } else { 30 })];
    let (heard, pair) = tone_over(Box::new(network), 20);
    let stats = pair.bob.session.stats();
    assert_eq!((stats.lost, stats.duplicates), (0, 0));
    // Until the delay has grown some come too late.
    assert!(stats.late < 5, "{stats:?}");
    assert!(purity(&heard[16_000..]) > 0.99, "{}", purity(&heard[16_000..]));
    assert_eq!(gap(&heard), 0);
}

#[test]
fn duplicates_are_heard_once() {
    let network = |_, at| {
        vec![at + Duration::from_millis(30), at + Duration::from_millis(31), at + PTIME * 4]
    };
    let (heard, pair) = tone_over(Box::new(network), 10);
    let stats = pair.bob.session.stats();
    assert!(stats.duplicates >= 2 * stats.received - 10 && stats.lost == 0, "{stats:?}");
    assert!(purity(&heard) > 0.99 && gap(&heard) == 0);
}

#[test]
fn losses_are_concealed_and_counted() {
    let mut lost = 0;
    for percent in [1, 5, 10] {
        let mut dice = Dice::new(percent);
        let network = move |_, at| match dice.roll(100) < percent {
            true => vec![],
            false => vec![at + Duration::from_millis(30)],
        };
        let (heard, pair) = tone_over(Box::new(network), 20);
        let stats = pair.bob.session.stats();
        let expected = (stats.received + stats.lost) * percent / 100;
        assert!(stats.lost.abs_diff(expected) < 25, "{percent} %: {stats:?}");
        assert!(stats.lost > lost);
        lost = stats.lost;
        let concealed = stats.concealed_ms.abs_diff(stats.lost * 20);
        assert!(concealed <= 40, "{percent} %: {stats:?}");
        // More than three in a row fade away.
        assert!(gap(&heard) < 40, "{percent} %: {}", gap(&heard));
        assert!(purity(&heard) > 0.9, "{percent} %: {}", purity(&heard));
        // The report reached the sender (§6.4.1).
        let reported = pair.alice.session.stats().remote_lost;
        assert!(reported > 0 && reported <= stats.lost);
    }
}

#[test]
fn an_outage_is_a_pause_and_nothing_more() {
    let network = |_, at: Instant| match at.since(START).as_millis() {
        5_000..5_400 => vec![],
        _ => vec![at + Duration::from_millis(30)],
    };
    let (heard, pair) = tone_over(Box::new(network), 12);
    assert_eq!(pair.bob.session.stats().lost, 20);
    // Concealment sounds for 60 ms, fading; the rest is silence.
    let pause = gap(&heard);
    assert!((330..=390).contains(&pause), "{pause}");
    let delay = pair.bob.session.stats().playout_delay_us;
    assert!(delay < 60_000, "{delay}");
    assert!(purity(&heard[48_000..]) > 0.99);
}

/// Delays between 20 and 100 ms, at random: the buffer grows to hold them.
#[test]
fn jitter_is_learned() {
    let mut dice = Dice::new(9);
    let network = move |_, at| vec![at + Duration::from_millis(20 + dice.roll(80))];
    let (heard, pair) = tone_over(Box::new(network), 60);
    let stats = pair.bob.session.stats();
    assert!(stats.jitter_us > 15_000, "{stats:?}");
    assert!(stats.late < 30, "{stats:?}");
    assert!(stats.playout_delay_us < 110_000, "{stats:?}");
    let settled = &heard[160_000..];
    assert!(purity(settled) > 0.97, "{}", purity(settled));
    assert_eq!(gap(settled), 0);
}

/// One packet is held up for 300 ms and all behind it queue: everything is heard, and the delay
/// that it cost goes away.
#[test]
fn a_spike_of_delay_loses_nothing() {
    let held = START + Duration::from_secs(5);
    let released = held + Duration::from_millis(300);
    let network = move |_, at: Instant| {
        let arrival = at + Duration::from_millis(30);
        vec![if at >= held && arrival < released { released } else { arrival }]
    };
    let (heard, pair) = tone_over(Box::new(network), 30);
    let stats = pair.bob.session.stats();
    assert_eq!((stats.lost, stats.late, stats.discarded), (0, 0, 0), "{stats:?}");
    assert!(stats.playout_delay_us < 60_000, "{stats:?}");
    let pause = gap(&heard);
    assert!(pause < 260, "{pause}");
    assert_eq!(gap(&heard[48_000..]), 0);
    assert!(purity(&heard[48_000..]) > 0.96, "{}", purity(&heard[48_000..]));
}

#[test]
fn clocks_that_differ_cause_neither_delay_nor_gaps() {
    for ppm in [200i64, -200] {
        let network = move |_, at: Instant| {
            let micros = at.since(START).as_micros() as i64;
            // 200 ms, so that there is room for the sender to get ahead.
            let arrival = 200_000 + micros + micros * ppm / 1_000_000;
            vec![START + Duration::from_micros(arrival as u64)]
        };
        let (heard, pair) = tone_over(Box::new(network), 600);
        let stats = pair.bob.session.stats();
        assert_eq!((stats.lost, stats.late, stats.discarded), (0, 0, 0), "{ppm}: {stats:?}");
        assert_eq!(stats.concealed_ms, 0, "{ppm}: {stats:?}");
        assert!(stats.playout_delay_us < 60_000, "{ppm}: {stats:?}");
        assert_eq!(gap(&heard[4_000..]), 0, "{ppm}");
        assert!(purity(&heard[8_000..]) > 0.98, "{ppm}: {}", purity(&heard[8_000..]));
    }
}

/// A peer whose every packet is written by the test.
struct Scripted {
    bob: End,
    header: Header,
    tone: Tone,
    from: &'static str,
}

impl Scripted {
    fn new() -> Self {
        let header = Header {
            payload_type: 0,
            marker: true,
            sequence: 65_500,
            timestamp: 0xFFFF_F000,
            ssrc: 77,
        };
        let tone = Tone::new(8_000, TONE, 12_000);
        Self { bob: End::new(2, BOB, ALICE), header, tone, from: ALICE }
    }

    fn deliver(&mut self, bytes: &[u8]) {
        let from = address(self.from);
        let inbound = Inbound::Media { port: PORT, channel: Channel::Rtp, from, bytes };
        self.bob.session.handle_inbound(&mut self.bob.host, inbound);
    }

    fn packet(&mut self, samples: usize) -> Vec<u8> {
        let mut bytes = self.header.to_bytes().to_vec();
        let codec = if self.header.payload_type == 8 { Codec::Pcma } else { Codec::Pcmu };
        Encoder::new(codec).encode(&self.tone.take(samples), &mut bytes);
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(samples as u32);
        self.header.marker = false;
        bytes
    }

    /// Lets time go by.
    fn wait(&mut self, time: Duration) {
        let end = self.bob.host.now + time;
        while let Some(next) = self.bob.session.next_deadline().filter(|n| *n <= end) {
            self.bob.host.now = next;
            self.bob.handle_deadline(next);
        }
        self.bob.host.now = end;
    }

    /// Sends that many packets at their pace.
    fn talk(&mut self, packets: u32, samples: usize) {
        for _ in 0..packets {
            let bytes = self.packet(samples);
            self.deliver(&bytes);
            self.wait(Duration::from_micros(samples as u64 * 125));
        }
    }

    fn heard_since(&self, from: usize) -> &[i16] {
        &self.bob.heard[from..]
    }
}

#[test]
fn silence_between_talk_is_silence_and_costs_nothing() {
    let mut peer = Scripted::new();
    peer.talk(50, 160);
    for _ in 0..20 {
        // Nothing is sent for a second, and the timestamps say so.
        peer.wait(Duration::from_secs(1));
        peer.header.timestamp = peer.header.timestamp.wrapping_add(8_000);
        peer.header.marker = true;
        let before = peer.bob.heard.len();
        peer.talk(100, 160);
        let heard = peer.heard_since(before + 800);
        assert_eq!(gap(heard), 0);
    }
    let stats = peer.bob.session.stats();
    assert_eq!((stats.lost, stats.late, stats.discarded), (0, 0, 0), "{stats:?}");
    assert!(stats.playout_delay_us < 70_000, "{stats:?}");
}

#[test]
fn a_pause_that_the_timestamps_do_not_show_costs_nothing() {
    let mut peer = Scripted::new();
    for pause in [100, 300, 700, 1_500, 10_000] {
        peer.talk(100, 160);
        peer.wait(Duration::from_millis(pause));
        let before = peer.bob.heard.len();
        peer.talk(100, 160);
        assert_eq!(gap(peer.heard_since(before + 800)), 0, "{pause} ms");
        let stats = peer.bob.session.stats();
        assert!(stats.playout_delay_us < 70_000, "{pause} ms: {stats:?}");
        assert_eq!((stats.late, stats.discarded), (0, 0), "{pause} ms: {stats:?}");
    }
}

#[test]
fn a_jump_of_the_timestamps_is_not_heard() {
    let mut peer = Scripted::new();
    peer.talk(100, 160);
    for jump in
        [4_000, 80_000, 0x7FFF_FFFF, 0x8000_0000, -4_000i32 as u32, -80_000i32 as u32, 1_600]
    {
        peer.header.timestamp = peer.header.timestamp.wrapping_add(jump);
        let before = peer.bob.heard.len();
        peer.talk(200, 160);
        let heard = peer.heard_since(before);
        assert_eq!(gap(heard), 0, "jump by {jump}");
        assert!(purity(heard) > 0.95, "jump by {jump}: {}", purity(heard));
        let stats = peer.bob.session.stats();
        assert!(stats.playout_delay_us < 100_000, "jump by {jump}: {stats:?}");
    }
    assert_eq!(peer.bob.session.stats().lost, 0);
    assert!(peer.bob.session.stats().jitter_us < 5_000);
}

/// RFC 3550 §5.1, §A.3: one comfort noise packet in each pause, though none was agreed, as by Cisco's
/// VAD; and a keep-alive of another type.
#[test]
fn what_is_ignored_has_come() {
    let mut pair = Pair::new();
    pair.run(Duration::from_millis(500), |_| ());
    let mut silent = false;
    for round in 0..50u64 {
        pair.run(Duration::from_millis(100), |_| ());
        // The last that is on its way becomes one of a type that bob does not take.
        let (_, (_, packet)) = pair
            .flying
            .iter_mut()
            .find(|(_, (to_bob, sent))| {
                *to_bob && sent.channel == Channel::Rtp && sent.bytes[1] & 0x7F == 0
            })
            .expect("one is on its way");
        packet.bytes[1] = if round % 2 == 0 { 13 } else { 126 };
        silent |= pair.bob.events.contains(&MediaEvent::Silent);
    }
    pair.run(Duration::from_millis(200), |_| ());
    let stats = pair.bob.session.stats();
    assert_eq!((stats.lost, stats.rejected, silent), (0, 50, false), "{stats:?}");
    assert_eq!(stats.received, pair.alice.session.stats().sent - 2, "two are on their way");
    assert_eq!(pair.alice.session.stats().remote_lost, 0);
    // Of another source or from elsewhere they are nobody's.
    let mut packet = pair.alice.host.sent.last().unwrap().bytes.clone();
    packet[1] = 13;
    for (from, ssrc) in [(ALICE, 0xFF), ("192.0.2.66:4000", packet[8])] {
        packet[8] = ssrc;
        let (port, channel) = (PORT, Channel::Rtp);
        let inbound = Inbound::Media { port, channel, from: address(from), bytes: &packet };
        pair.bob.session.handle_inbound(&mut pair.bob.host, inbound);
    }
    assert_eq!(pair.bob.session.stats().received, stats.received);
    assert_eq!(pair.bob.session.stats().rejected, 52);
}

/// What the network has not taken is not sent, by our own numbers and by those of RTCP.
#[test]
fn what_has_not_left_does_not_count_as_sent() {
    let mut pair = Pair::new();
    pair.run(Duration::from_secs(1), |_| ());
    let before = pair.alice.session.stats();
    let packets: Vec<Vec<u8>> =
        pair.alice.host.sent.iter().map(|sent| sent.bytes.clone()).collect();
    let rtp = packets.iter().filter(|packet| packet[1] & 0x7F == 0);
    for packet in rtp.take(10) {
        pair.alice.session.handle_unsent(packet);
    }
    pair.alice.session.handle_unsent(b"junk");
    let after = pair.alice.session.stats();
    assert_eq!((after.sent, after.sent_bytes), (before.sent - 10, before.sent_bytes - 1_600));
    pair.alice.control(MediaControl::Close);
    let report = &pair.alice.host.sent.last().unwrap().bytes;
    assert_eq!(report[1], 200, "a sender report");
    assert_eq!(report[20..24], (after.sent as u32).to_be_bytes());
}

#[test]
fn another_source_carries_on() {
    let mut peer = Scripted::new();
    for ssrc in 1..20u32 {
        peer.talk(60, 160);
        peer.header = Header {
            ssrc,
            sequence: (ssrc * 40_503) as u16,
            timestamp: ssrc.wrapping_mul(0x9E37_79B9),
            ..peer.header
        };
        let before = peer.bob.heard.len();
        peer.talk(60, 160);
        // Its first packet only showed that it is one.
        assert_eq!(gap(peer.heard_since(before)), 0, "source {ssrc}");
    }
    let stats = peer.bob.session.stats();
    assert_eq!((stats.lost, stats.late), (0, 0), "{stats:?}");
    assert!(stats.playout_delay_us < 80_000, "{stats:?}");
}

#[test]
fn a_restarted_sequence_carries_on() {
    let mut peer = Scripted::new();
    peer.talk(100, 160);
    peer.header.sequence = peer.header.sequence.wrapping_add(20_000);
    let before = peer.bob.heard.len();
    peer.talk(100, 160);
    assert_eq!(gap(peer.heard_since(before)), 0);
    assert_eq!(peer.bob.session.stats().lost, 0);
}

#[test]
fn packets_of_any_size_and_codec_are_heard() {
    let mut peer = Scripted::new();
    peer.talk(50, 160);
    let before = peer.bob.heard.len();
    for (samples, payload_type) in
        [(80, 0), (160, 8), (240, 0), (480, 8), (40, 0), (800, 0), (1_600, 8), (160, 0), (163, 0)]
    {
        peer.header.payload_type = payload_type;
        peer.talk(16_000 / samples as u32, samples);
    }
    let heard = peer.heard_since(before);
    assert_eq!(gap(&heard[..heard.len() - 800]), 0);
    assert!(purity(heard) > 0.9, "{}", purity(heard));
    assert_eq!(peer.bob.session.stats().lost, 0);
}

#[test]
fn more_than_fits_is_dropped_oldest_first_and_memory_stays() {
    let mut peer = Scripted::new();
    peer.talk(10, 160);
    // Ten seconds of sound at once.
    for _ in 0..500 {
        let bytes = peer.packet(160);
        peer.deliver(&bytes);
    }
    let stats = peer.bob.session.stats();
    assert!(stats.discarded >= 440, "{stats:?}");
    assert!(stats.playout_delay_us <= 1_100_000, "{stats:?}");
    peer.wait(Duration::from_secs(3));
    peer.header.timestamp = peer.header.timestamp.wrapping_add(24_000);
    peer.talk(500, 160);
    let stats = peer.bob.session.stats();
    assert!(stats.playout_delay_us < 100_000, "{stats:?}");
    assert_eq!(gap(peer.heard_since(peer.bob.heard.len() - 8_000)), 0);
}

/// Whatever comes, in whatever order: nothing panics, and no more is kept than is allowed.
#[test]
fn random_packets_do_no_harm() {
    for seed in 0..20 {
        let mut dice = Dice::new(seed);
        let mut peer = Scripted::new();
        for _ in 0..3_000 {
            match dice.roll(12) {
                0 => peer.header.timestamp = dice.roll(1 << 32) as u32,
                1 => peer.header.sequence = dice.roll(1 << 16) as u16,
                2 => {
                    peer.header.timestamp =
                        peer.header.timestamp.wrapping_add(dice.roll(4_000) as u32)
                }
                3 => peer.header.ssrc = dice.roll(3) as u32,
                4 => peer.wait(Duration::from_micros(dice.roll(200_000))),
                5 => peer.header.payload_type = [0, 8, 101, 13][dice.roll(4) as usize],
                6 => peer.header.sequence = peer.header.sequence.wrapping_sub(dice.roll(5) as u16),
                _ => {}
            }
            let mut bytes = peer.packet([1, 160, 1_400][dice.roll(3) as usize]);
            if dice.roll(10) == 0 {
                let length = bytes.len() as u64;
                bytes[dice.roll(length.min(16)) as usize] ^= 1 << dice.roll(8);
                bytes.truncate(dice.roll(length + 1) as usize);
            }
            peer.deliver(&bytes);
            if dice.roll(3) == 0 {
                peer.wait(PTIME);
            }
        }
        assert!(peer.bob.session.memory() < 150_000, "{}", peer.bob.session.memory());
        // And then it is a telephone again.
        peer.header = Header { payload_type: 0, ssrc: 99, ..peer.header };
        peer.talk(400, 160);
        let before = peer.bob.heard.len();
        peer.talk(100, 160);
        assert_eq!(gap(peer.heard_since(before)), 0, "seed {seed}");
    }
}

#[test]
fn one_packet_never_takes_much_memory() {
    let mut peer = Scripted::new();
    peer.talk(100, 160);
    let before = peer.bob.session.memory();
    for jump in [1 << 20, 1 << 28, 1 << 31, 0xFFFF_0000] {
        peer.header.timestamp = peer.header.timestamp.wrapping_add(jump);
        let bytes = peer.packet(160);
        peer.deliver(&bytes);
        peer.wait(PTIME);
        assert!(peer.bob.session.memory() < before + 4_096);
    }
}

/// In the steady state a packet costs no memory that was not there before.
#[test]
fn an_hour_takes_no_more_memory_than_a_minute() {
    let mut peer = Scripted::new();
    peer.talk(3_000, 160);
    let minute = peer.bob.session.memory();
    peer.talk(20_000, 160);
    assert_eq!(peer.bob.session.memory(), minute);
    assert!(minute < 16_384, "{minute} bytes a call");
}

#[test]
fn a_decoded_tone_is_what_the_codec_gives() {
    // The tone that these tests compare by has the codec's own noise.
    let samples = Tone::new(8_000, TONE, 12_000).take(8_000);
    let (mut bytes, mut decoded) = (vec![0; 8_000], vec![0; 8_000]);
    g711::encode_ulaw(&samples, &mut bytes);
    g711::decode_ulaw(&bytes, &mut decoded);
    assert!(purity(&decoded) > 0.999);
}
