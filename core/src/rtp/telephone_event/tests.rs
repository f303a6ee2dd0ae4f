//! Keys in and out, under everything that a network does to them.

use super::*;

const ALL: &str = "0123456789*#ABCD";
const TIMING: Timing = Timing { press: 800, pause: 800 };
const FRAME: u32 = 160;

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

/// Every packet that pressing these keys sends, with the time in milliseconds.
fn packets_of(digits: &str, timing: Timing, start: u32) -> Vec<(u64, EventPacket)> {
    let mut sender = EventSender::default();
    for digit in digits.chars() {
        sender.push(event_of(digit).unwrap());
    }
    let mut packets = Vec::new();
    let mut tick = 0;
    while !sender.is_idle() {
        let now = start.wrapping_add(tick * FRAME);
        sender.advance(now, FRAME, timing, |p| packets.push((u64::from(tick) * 20, p)));
        tick += 1;
    }
    packets
}

/// What is heard of numbered packets, the timeout at the end included.
fn hear(packets: impl IntoIterator<Item = (u64, u64, EventPacket)>) -> (String, Vec<u64>) {
    let mut receiver = EventReceiver::default();
    let mut presses = Vec::new();
    let mut last = 0;
    for (millis, sequence, packet) in packets {
        last = last.max(millis);
        presses.extend(receiver.handle_deadline(at(last)));
        let payload = packet.payload.to_bytes();
        let emit = |p| presses.push(p);
        receiver.handle_packet(at(last), sequence, packet.timestamp, &payload, emit);
    }
    assert!(receiver.handle_deadline(at(last + 199)).is_none() || !receiver.is_active());
    presses.extend(receiver.handle_deadline(at(last + 200)));
    assert!(!receiver.is_active());
    (presses.iter().map(|p| p.digit).collect(), presses.iter().map(|p| p.duration).collect())
}

fn numbered(packets: Vec<(u64, EventPacket)>) -> Vec<(u64, u64, EventPacket)> {
    packets.into_iter().enumerate().map(|(i, (t, p))| (t, i as u64, p)).collect()
}

#[test]
fn a_press_is_five_updates_and_three_ends() {
    let packets = packets_of("5", TIMING, 1_000);
    let told: Vec<_> =
        packets.iter().map(|(t, p)| (*t, p.marker, p.payload.end, p.payload.duration)).collect();
    assert_eq!(
        told,
        [
            (0, true, false, 160),
            (20, false, false, 320),
            (40, false, false, 480),
            (60, false, false, 640),
            (80, false, true, 800),
            (100, false, true, 800),
            (120, false, true, 800),
        ]
    );
    assert!(packets.iter().all(|(_, p)| p.timestamp == 1_000 && p.payload.event == 5));
}

#[test]
fn keys_are_apart_by_the_pause() {
    let packets = packets_of("12", TIMING, 0);
    let second = packets.iter().find(|(_, p)| p.payload.event == 2).unwrap();
    assert_eq!((second.0, second.1.timestamp, second.1.marker), (200, 1_600, true));
}

#[test]
fn a_press_that_ends_within_a_frame_tells_its_true_length() {
    let packets = packets_of("1", Timing { press: 500, pause: 800 }, 0);
    let durations: Vec<_> = packets.iter().map(|(_, p)| p.payload.duration).collect();
    assert_eq!(durations, [160, 320, 480, 500, 500, 500]);
}

#[test]
fn every_key_arrives_once_and_in_order() {
    let (digits, durations) = hear(numbered(packets_of(ALL, TIMING, 0xFFFF_F000)));
    assert_eq!(digits, ALL);
    assert!(durations.iter().all(|d| *d == 800));
}

#[test]
fn a_fifth_of_the_packets_lost_changes_nothing() {
    for seed in 0..2_000u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut lost = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) % 5 == 0
        };
        let kept = numbered(packets_of(ALL, TIMING, 0)).into_iter().filter(|_| !lost());
        // Seven packets tell each of the 16 keys: one in 5,000 runs loses one whole.
        let kept: Vec<_> = kept.collect();
        let told: std::collections::BTreeSet<_> =
            kept.iter().map(|(_, _, p)| p.timestamp).collect();
        let (digits, _) = hear(kept);
        if told.len() == ALL.len() {
            assert_eq!(digits, ALL, "seed {seed}");
        } else {
            assert_eq!(digits.len(), told.len(), "seed {seed}");
        }
    }
}

#[test]
fn duplicates_and_reordering_count_once() {
    let packets = numbered(packets_of(ALL, TIMING, 0));
    let mut doubled: Vec<_> = packets.iter().flat_map(|p| [*p, *p]).collect();
    assert_eq!(hear(doubled.clone()).0, ALL);
    // Each packet swaps its place with one up to three further.
    for i in (0..doubled.len() - 3).step_by(2) {
        doubled.swap(i, i + 3);
    }
    let (digits, _) = hear(doubled);
    assert_eq!(digits, ALL);
}

#[test]
fn lost_markers_and_lost_ends_do_no_harm() {
    let all = numbered(packets_of("1123", TIMING, 0));
    assert_eq!(hear(all.iter().copied().filter(|p| !p.2.marker)).0, "1123");
    let (digits, durations) = hear(all.iter().copied().filter(|p| !p.2.payload.end));
    assert_eq!(digits, "1123");
    assert!(durations.iter().all(|d| *d == 640));
    assert_eq!(hear(all.iter().copied().filter(|p| p.2.payload.end)).0, "1123");
}

#[test]
fn a_late_end_is_not_another_press() {
    let all = numbered(packets_of("7", TIMING, 0));
    let mut late = all.clone();
    for (i, packet) in late.iter_mut().enumerate().skip(3) {
        packet.0 += 1_000 * i as u64;
    }
    assert_eq!(hear(late).0, "7");
    // The first of two overtaken by the second, and nothing of it seen before.
    let both = numbered(packets_of("12", TIMING, 0));
    let (mut first, mut rest): (Vec<_>, Vec<_>) =
        both.into_iter().partition(|p| p.2.payload.event == 1);
    first.truncate(1);
    rest.insert(2, first[0]);
    assert_eq!(hear(rest).0, "12");
}

#[test]
fn a_long_press_is_one_press() {
    // 20 s at 8 kHz: two full segments and a rest.
    let timing = Timing { press: 160_000, pause: 800 };
    for start in [0, 0xFFFF_8000] {
        let all = numbered(packets_of("9", timing, start));
        let segments: std::collections::BTreeSet<_> = all.iter().map(|p| p.2.timestamp).collect();
        assert_eq!(segments.len(), 3);
        assert_eq!(all.iter().filter(|p| p.2.marker).count(), 1);
        assert_eq!(all.iter().filter(|p| p.2.payload.duration == 0xFFFF).count(), 6);
        assert_eq!(hear(all.clone()), ("9".to_owned(), vec![160_000]));
        // Without the packets that close the segments.
        let open = all.iter().copied().filter(|p| p.2.payload.duration != 0xFFFF);
        assert_eq!(hear(open), ("9".to_owned(), vec![160_000]));
    }
}

#[test]
fn two_presses_of_one_key_are_two() {
    assert_eq!(hear(numbered(packets_of("11111", TIMING, 0))).0, "11111");
}

#[test]
fn what_is_no_key_is_ignored() {
    let mut receiver = EventReceiver::default();
    for event in 16..=255 {
        let payload = TelephoneEvent { event, end: true, volume: 10, duration: 800 }.to_bytes();
        receiver.handle_packet(at(0), 1, u32::from(event), &payload, |_| panic!());
    }
    for payload in [&[][..], &[1], &[1, 0x80, 1]] {
        receiver.handle_packet(at(0), 1, 5, payload, |_| panic!());
    }
    let endless = TelephoneEvent { event: 1, end: true, volume: 10, duration: 0 }.to_bytes();
    receiver.handle_packet(at(0), 1, 5, &endless, |_| panic!());
    assert!(!receiver.is_active());
}

#[test]
fn events_may_share_a_packet() {
    let part =
        |event, duration| TelephoneEvent { event, end: true, volume: 10, duration }.to_bytes();
    let payload = [part(1, 400), part(2, 400), part(3, 400)].concat();
    let mut digits = String::new();
    let mut receiver = EventReceiver::default();
    for _ in 0..3 {
        receiver.handle_packet(at(0), 1, 1_000, &payload, |p| digits.push(p.digit));
    }
    assert_eq!(digits, "123");
}

#[test]
fn random_payloads_never_panic_and_remember_little() {
    let mut receiver = EventReceiver::default();
    let mut state = 5u64;
    for i in 0..100_000u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        let bytes = state.to_be_bytes();
        let length = (state >> 61) as usize;
        let timestamp = (state >> 20) as u32 % 5_000;
        receiver.handle_packet(at(i), state >> 50, timestamp, &bytes[..length], |_| ());
        assert!(receiver.counted.len() <= REMEMBERED);
    }
}
