//! Codecs of another clock and sample rate, from the beginning, in mid-call and one way only.

use super::*;
use crate::codec::measure::{self, Tone};
use crate::rtp::rtcp;

const WIDE: u8 = 96;

/// What is agreed when a side sends `codec`; both take all.
fn sending(codec: Codec, remote: &str) -> Agreed {
    let payload_type = codec.static_payload_type().unwrap_or(WIDE);
    let mut agreed = agreed(remote);
    agreed.send = PayloadFormat::new(payload_type, codec);
    let wide = [PayloadFormat::new(WIDE, Codec::L16), PayloadFormat::new(9, Codec::G722)];
    agreed.receive.extend(wide);
    agreed
}

/// Both sides send `codec` from now on.
fn renegotiate(pair: &mut Pair, codec: Codec) {
    pair.alice.control(configure(sending(codec, BOB)));
    pair.bob.control(configure(sending(codec, ALICE)));
}

fn assert_tone(heard: &[i16], rate: u32, hertz: u32) {
    let share = measure::share_at(heard, rate, hertz.into());
    assert!(share > 0.99, "{hertz} Hz: {share}");
    let level = measure::level_dbov(&Tone::new(rate, hertz, 12_000).take(rate as usize));
    let heard_level = measure::level_dbov(heard);
    assert!((heard_level - level).abs() < 0.2, "{hertz} Hz: {heard_level} instead of {level}");
}

#[test]
fn a_wide_band_call_carries_what_a_narrow_one_cannot() {
    let mut pair = Pair::new();
    renegotiate(&mut pair, Codec::L16);
    pair.bob.rate = 16_000;
    pair.alice.session.write_audio(48_000, &Tone::new(48_000, 6_000, 12_000).take(144_000));
    pair.run(Duration::from_secs(3), |_| ());
    assert_eq!(pair.alice.session.rate(), 16_000);
    assert_tone(&pair.bob.heard[8_000..40_000], 16_000, 6_000);
    let packets: Vec<_> = pair.alice.host.rtp().map(|(_, packet)| packet).collect();
    let first = packets[0].header;
    for (i, packet) in packets.iter().enumerate() {
        assert_eq!((packet.header.payload_type, packet.payload.len()), (WIDE, 640));
        assert_eq!(packet.header.timestamp, first.timestamp.wrapping_add(320 * i as u32));
    }
}

#[test]
fn a_call_goes_on_in_a_codec_of_another_clock_and_back() {
    let mut pair = Pair::new();
    renegotiate(&mut pair, Codec::Pcmu);
    pair.bob.session.set_tap(true);
    let mut kept: Vec<[i16; 2]> = Vec::new();
    // All of it waits from the beginning, a mark at the end, and is carried over each change.
    pair.alice.session.write_audio(16_000, &Tone::new(16_000, 1_000, 12_000).take(96_000));
    pair.alice.session.mark("end");
    let numbers = |pair: &Pair| {
        let mut numbers: Vec<_> = pair.alice.host.rtp().map(|(_, p)| p.header.ssrc).collect();
        numbers.dedup();
        numbers
    };
    for (codec, rate) in [(Codec::L16, 16_000), (Codec::Pcma, 8_000), (Codec::L16, 16_000)] {
        for _ in 0..15 {
            pair.run(Duration::from_millis(100), |_| ());
            kept.extend(pair.bob.session.drain_tap());
        }
        let left = pair.alice.session.queued();
        renegotiate(&mut pair, codec);
        assert_eq!(pair.alice.session.rate(), rate);
        assert!(left.as_micros().abs_diff(pair.alice.session.queued().as_micros()) < 1_000);
    }
    pair.run(Duration::from_secs(2), |_| ());
    let end = MediaEvent::Mark { name: "end".to_owned(), played: true };
    assert!(pair.alice.events.contains(&end), "{:?}", pair.alice.events);
    // And the 3 ms that the resampler adds.
    assert_eq!(pair.alice.session.played().as_millis(), 6_003);

    let heard = &pair.bob.heard[800..47_000];
    assert_tone(heard, 8_000, 1_000);
    let gap = measure::longest_gap(heard, 8_000, -40.0);
    assert!(gap < Duration::from_millis(1), "{gap:?}");
    assert_eq!(pair.bob.session.tap_rate(), Some(8_000), "a recording has one rate");
    let right: Vec<i16> = kept.iter().map(|sides| sides[1]).collect();
    assert_tone(&right[1_000..35_000], 8_000, 1_000);

    // RFC 7160 §4.1: each clock has a number of its own, and the one before says goodbye.
    let numbers = numbers(&pair);
    assert_eq!(numbers.len(), 4);
    let goodbyes = pair.alice.host.sent.iter().filter(|sent| sent.channel == Channel::Rtcp);
    let goodbyes: Vec<u32> = goodbyes
        .filter_map(|sent| {
            let compound = rtcp::Compound::parse(&sent.bytes).unwrap();
            let said = |ssrc: &&u32| compound.packets().any(|packet| packet.is_goodbye_of(**ssrc));
            numbers.iter().find(said).copied()
        })
        .collect();
    assert_eq!(goodbyes, numbers[..3]);
    let stats = pair.bob.session.stats();
    assert!(stats.lost <= 3 && stats.jitter_us < 1_000, "{stats:?}");
}

#[test]
fn a_peer_may_send_another_rate_than_it_is_sent() {
    for (ours, theirs) in [(Codec::Pcmu, Codec::L16), (Codec::L16, Codec::Pcmu)] {
        let mut pair = Pair::new();
        pair.bob.control(configure(sending(ours, ALICE)));
        pair.alice.control(configure(sending(theirs, BOB)));
        pair.alice.session.write_audio(16_000, &Tone::new(16_000, 1_000, 12_000).take(48_000));
        pair.run(Duration::from_secs(3), |_| ());
        assert_tone(&pair.bob.heard[800..23_000], 8_000, 1_000);
        let stats = pair.bob.session.stats();
        assert_eq!((stats.lost, stats.late, stats.concealed_ms), (0, 0, 0), "{ours:?}");
    }
}

#[test]
fn digits_are_timed_by_the_clock_of_the_codec() {
    let mut pair = Pair::new();
    renegotiate(&mut pair, Codec::L16);
    pair.alice.session.send_dtmf("7").unwrap();
    pair.run(Duration::from_secs(1), |_| ());
    let duration = Duration::from_millis(100);
    assert_eq!(pair.bob.events, [MediaEvent::Dtmf { digit: '7', duration }]);
}

/// RFC 3551 §4.5.2: G.722 has 16,000 samples a second, and counts 8,000.
#[test]
fn what_is_lost_of_g722_is_made_up_at_its_rate() {
    let losing: Network = Box::new(|number, at| match number % 25 {
        24 => Vec::new(),
        _ => vec![at + Duration::from_millis(30)],
    });
    let mut pair = Pair::over(losing, delayed(30));
    renegotiate(&mut pair, Codec::G722);
    pair.bob.rate = 16_000;
    pair.alice.session.write_audio(16_000, &Tone::new(16_000, 500, 12_000).take(48_000));
    pair.run(Duration::from_secs(3), |_| ());
    for (i, (_, packet)) in pair.alice.host.rtp().enumerate() {
        let (header, length) = (packet.header, packet.payload.len());
        assert_eq!((header.payload_type, length), (9, 160));
        let first = pair.alice.host.rtp().next().unwrap().1.header.timestamp;
        assert_eq!(header.timestamp.wrapping_sub(first), 160 * i as u32);
    }
    let heard = &pair.bob.heard[8_000..44_000];
    let share = measure::share_at(heard, 16_000, 500.0);
    assert!(share > 0.95, "{share}");
    let gap = measure::longest_gap(heard, 16_000, -40.0);
    assert!(gap < Duration::from_millis(3), "{gap:?}");
    let stats = pair.bob.session.stats();
    assert_eq!((stats.late, stats.discarded), (0, 0));
    assert!((5..=6).contains(&stats.lost), "{stats:?}");
    assert!(stats.concealed_ms.abs_diff(20 * stats.lost) <= 20, "{stats:?}");
    assert!(stats.jitter_us < 1_000, "{stats:?}");
}

#[test]
fn what_is_written_before_the_answer_keeps_its_band_and_so_does_a_recording() {
    let mut pair = Pair::new();
    for end in [&mut pair.alice, &mut pair.bob] {
        end.session = open(&mut end.host);
        end.session.set_tap(true);
        assert_eq!(end.session.tap_rate(), None);
    }
    pair.bob.rate = 16_000;
    pair.alice.session.write_audio(48_000, &Tone::new(48_000, 6_000, 12_000).take(96_000));
    renegotiate(&mut pair, Codec::G722);
    pair.run(Duration::from_millis(1_900), |_| ());
    assert_tone(&pair.bob.heard[4_000..28_000], 16_000, 6_000);
    assert_eq!(pair.bob.session.tap_rate(), Some(16_000));
    let kept: Vec<i16> = pair.bob.session.drain_tap().map(|[_, heard]| heard).collect();
    assert_tone(&kept[4_000..28_000], 16_000, 6_000);
}
