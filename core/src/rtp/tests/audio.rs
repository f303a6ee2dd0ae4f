//! A clean network: the tone, the pace, the digits.

use super::*;
use crate::codec::measure::{self, Noise, Tone};

/// Noise with pauses, as speech has them; no two places are alike.
fn syllables(seed: u64, count: usize) -> Vec<i16> {
    let mut samples = Noise::new(seed, 8_000).take(count);
    for syllable in samples.chunks_mut(3_200) {
        let pause = syllable.len().min(800);
        syllable[..pause].fill(0);
    }
    samples
}

#[test]
fn a_tone_arrives_whole() {
    let mut pair = Pair::new();
    pair.alice.session.write_audio(8_000, &Tone::new(8_000, 440, 12_000).take(80_000));
    pair.run(Duration::from_secs(10), |_| ());
    let heard = &pair.bob.heard[800..79_000];
    assert!((measure::dominant_frequency(heard, 8_000) - 440.0).abs() < 1.0);
    assert!(measure::share_at(heard, 8_000, 440.0) > 0.99);
    let expected = measure::level_dbov(&Tone::new(8_000, 440, 12_000).take(8_000));
    assert!((measure::level_dbov(heard) - expected).abs() < 0.1);
    assert!(measure::longest_gap(heard, 8_000, -40.0) < Duration::from_millis(1));
    let stats = pair.bob.session.stats();
    assert_eq!((stats.lost, stats.late, stats.concealed_ms), (0, 0, 0));
    assert!(stats.received >= 498 && stats.mos_x100 >= 430, "{stats:?}");
    assert!(pair.alice.session.stats().rtt_us.is_some_and(|r| r.abs_diff(60_000) < 100));
}

#[test]
fn the_delay_is_small_and_settles() {
    let mut pair = Pair::new();
    let noise = syllables(3, 160_000);
    pair.alice.session.write_audio(8_000, &noise);
    pair.run(Duration::from_secs(20), |_| ());
    // At the end: what was sent in the last seconds, against what was heard then.
    let (sent, heard) = (&noise[140_000..150_000], &pair.bob.heard[140_000..154_000]);
    let (lag, likeness) = measure::delay(sent, heard, 4_000).unwrap();
    assert!(likeness > 0.95, "{likeness}");
    // 30 ms of network, and at most 40 of ours.
    assert!((240..=560).contains(&lag), "{lag}");
}

#[test]
fn every_rate_and_ptime_gets_through() {
    let rates = [8_000, 16_000, 24_000, 44_100, 48_000].map(|rate| (rate, 20));
    for (rate, ptime) in rates.into_iter().chain([(8_000, 10), (16_000, 30), (8_000, 60)]) {
        let mut pair = Pair::new();
        let ptime = Duration::from_millis(ptime);
        pair.alice.control(configure(Agreed { ptime, ..agreed(BOB) }));
        let mut tone = Tone::new(rate, 1_000, 12_000);
        let chunk = rate as usize / 50;
        // Written as it goes, a fiftieth of a second at a time.
        let mut written = 0u64;
        pair.run(Duration::from_secs(3), |alice| {
            while Duration::from_millis(20) * written <= alice.host.now.since(START) {
                alice.session.write_audio(rate, &tone.take(chunk));
                written += 1;
            }
        });
        // The first frame was sent before there was a second; from then on there was always one.
        assert!(pair.alice.events.len() <= 1, "{rate} Hz, {ptime:?}: it has not ended");
        let heard = &pair.bob.heard[2_000..22_000];
        let share = measure::share_at(&heard[..8_000], 8_000, 1_000.0);
        assert!(share > 0.99, "{rate} Hz, {ptime:?}: {share}");
        let gap = measure::longest_gap(heard, 8_000, -40.0);
        assert!(gap < Duration::from_millis(1), "{rate} Hz, {ptime:?}: {gap:?}");
    }
}

#[test]
fn ten_minutes_of_sending_do_not_drift() {
    let mut pair = Pair::new();
    let start = pair.alice.host.now;
    pair.run(Duration::from_secs(600), |_| ());
    let sent: Vec<_> = pair.alice.host.rtp().collect();
    assert_eq!(sent.len(), 30_000);
    for (i, (at, packet)) in sent.iter().enumerate() {
        assert_eq!(*at, start + PTIME * (i as u64 + 1));
        let first = sent[0].1.header;
        assert_eq!(packet.header.timestamp, first.timestamp.wrapping_add(160 * i as u32));
        assert_eq!(packet.header.sequence, first.sequence.wrapping_add(i as u16));
        assert_eq!(packet.header.marker, i == 0);
        assert_eq!(packet.payload.len(), 160);
    }
}

#[test]
fn a_stall_of_the_host_makes_no_burst() {
    for (stall, sent_at_once, dropped) in [(60, 4, 0), (500, 1, 25), (5_000, 1, 250)] {
        let mut host = TestHost::new(1);
        let mut session = open(&mut host);
        session.handle_control(&mut host, configure(agreed(BOB)));
        session.write_audio(8_000, &vec![1_000; 8_000]);
        for _ in 0..10 {
            session.handle_deadline(&mut host);
            host.now = session.next_deadline().unwrap();
        }
        let before = host.rtp().last().unwrap().1.header;
        let queued = session.queued();
        host.sent.clear();
        let due = host.now;
        host.now += Duration::from_millis(stall);
        session.handle_deadline(&mut host);
        let burst: Vec<_> = host.rtp().collect();
        assert_eq!(burst.len(), sent_at_once, "{stall} ms");
        assert_eq!(session.stats().stalled_frames, dropped);
        let first = burst[0].1.header;
        assert_eq!(first.sequence, before.sequence.wrapping_add(1));
        let frames = dropped as u32 + 1;
        assert_eq!(first.timestamp, before.timestamp.wrapping_add(160 * frames));
        assert_eq!(first.marker, dropped > 0);
        let used = Duration::from_millis(stall / 20 * 20 + 20).min(queued);
        assert_eq!(session.queued(), queued - used, "the frames that were missed are dropped");
        // And then at the old pace.
        assert_eq!(session.next_deadline(), Some(due + PTIME * (stall / 20 + 1)));
    }
}

/// The packets wait in the socket and are served before the clock is, or after it.
#[test]
fn a_stall_of_the_receiver_is_caught_up() {
    for clock_first in [false, true] {
        let mut pair = Pair::new();
        let noise = syllables(5, 240_000);
        pair.alice.session.write_audio(8_000, &noise);
        pair.run(Duration::from_secs(2), |_| ());
        pair.bob.wakes = pair.bob.host.now + Duration::from_millis(500);
        pair.bob.clock_first = clock_first;
        pair.run(Duration::from_secs(1), |_| ());
        // Nothing is lost, it only comes later.
        let stats = pair.bob.session.stats();
        assert_eq!((stats.late, stats.discarded), (0, 0), "clock first: {clock_first}");
        assert!(stats.concealed_ms <= 20 && stats.playout_delay_us > 400_000, "{stats:?}");
        pair.run(Duration::from_secs(20), |_| ());
        let delay = pair.bob.session.stats().playout_delay_us;
        assert!(delay < 60_000, "clock first: {clock_first}, {delay} us");
    }
}

#[test]
fn keys_get_through_and_take_the_place_of_the_sound() {
    let mut pair = Pair::new();
    pair.alice.session.write_audio(8_000, &Tone::new(8_000, 440, 12_000).take(80_000));
    pair.run(Duration::from_secs(1), |_| ());
    pair.alice.session.send_dtmf("195").unwrap();
    pair.run(Duration::from_secs(2), |_| ());
    assert_eq!(pair.bob.digits(), "195");
    assert_eq!(pair.bob.session.take_dtmf(Some(2)), "19");
    assert_eq!(pair.bob.session.take_dtmf(None), "5");
    assert_eq!(pair.alice.events, [MediaEvent::DtmfSent]);
    assert!(pair.bob.events.iter().all(|e| matches!(
        e,
        MediaEvent::Dtmf { duration, .. } if *duration == Duration::from_millis(100)
    )));
    // Three gaps of 100 ms, less what concealment fills at their beginning, and sound between them.
    let heard = &pair.bob.heard[8_000..20_000];
    let gap = measure::longest_gap(heard, 8_000, -50.0);
    assert!(gap < Duration::from_millis(101), "{gap:?}");
    assert_eq!(pair.bob.session.stats().lost, 0);
    assert_eq!(pair.bob.session.stats().concealed_ms, 0);
    // 300 ms went by unsent.
    assert_eq!(pair.alice.session.played(), Duration::from_millis(3_000 - 300));
}

#[test]
fn sent_and_queued_are_told() {
    let mut pair = Pair::new();
    assert_eq!(pair.alice.session.write_audio(16_000, &[500; 16_000]), 16_000);
    let queued = pair.alice.session.queued();
    assert!(queued > Duration::from_millis(990));
    pair.run(Duration::from_millis(500), |_| ());
    assert!(pair.alice.events.is_empty());
    assert_eq!(pair.alice.session.played(), Duration::from_millis(500));
    let dropped = pair.alice.session.flush_audio();
    assert!(dropped > Duration::from_millis(490) && dropped < Duration::from_millis(505));
    pair.run(Duration::from_millis(500), |_| ());
    assert!(pair.alice.events.is_empty(), "what was dropped was not sent");
    pair.alice.session.write_audio(8_000, &[500; 800]);
    pair.run(Duration::from_millis(500), |_| ());
    assert_eq!(pair.alice.events, [MediaEvent::AudioSent]);
    assert_eq!(pair.alice.session.played(), Duration::from_millis(600));
}

#[test]
fn the_tap_holds_both_sides_aligned() {
    let mut pair = Pair::new();
    pair.bob.session.set_tap(true);
    pair.bob.session.write_audio(8_000, &Tone::new(8_000, 600, 9_000).take(40_000));
    pair.alice.session.write_audio(8_000, &Tone::new(8_000, 440, 9_000).take(40_000));
    let mut kept: Vec<[i16; 2]> = Vec::new();
    for _ in 0..40 {
        pair.run(Duration::from_millis(100), |_| ());
        kept.extend(pair.bob.session.drain_tap());
    }
    assert!(kept.len().abs_diff(32_000) <= 160);
    let left: Vec<i16> = kept.iter().map(|s| s[0]).collect();
    let right: Vec<i16> = kept.iter().map(|s| s[1]).collect();
    assert!(measure::share_at(&left, 8_000, 600.0) > 0.99);
    assert!(measure::share_at(&right[2_000..], 8_000, 440.0) > 0.99);
    pair.bob.session.set_tap(false);
    pair.run(Duration::from_secs(1), |_| ());
    assert_eq!(pair.bob.session.drain_tap().count(), 0);
    pair.bob.session.set_tap(true);
    pair.run(Duration::from_secs(5), |_| ());
    assert_eq!(pair.bob.session.drain_tap().count(), 16_000, "bounded");
}
