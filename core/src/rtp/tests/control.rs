//! What signalling asks for: directions, addresses, the end; and what RTCP tells.

use super::*;
use crate::codec::measure::{self, Tone};
use crate::rtp::packet::Packet;
use crate::rtp::rtcp::{self, Compound};

fn with_direction(direction: Direction, remote: &str) -> MediaControl {
    configure(Agreed { direction, ..agreed(remote) })
}

/// How many RTP packets alice sends in a second, and how many samples bob reads in it.
fn second(pair: &mut Pair) -> (usize, usize) {
    let (sent, heard) = (pair.alice.host.rtp().count(), pair.bob.heard.len());
    pair.run(Duration::from_secs(1), |_| ());
    (pair.alice.host.rtp().count() - sent, pair.bob.heard.len() - heard)
}

#[test]
fn directions_stop_what_they_forbid_and_no_more() {
    let mut pair = Pair::new();
    pair.run(Duration::from_secs(1), |_| ());
    assert_eq!(second(&mut pair), (50, 8_000));
    for (direction, sent) in [
        (Direction::RecvOnly, 0),
        (Direction::SendOnly, 50),
        (Direction::Inactive, 0),
        (Direction::SendRecv, 50),
    ] {
        pair.alice.control(with_direction(direction, BOB));
        assert_eq!(second(&mut pair), (sent, 8_000), "{direction:?}");
    }
    for (direction, heard) in [
        (Direction::SendOnly, 0),
        (Direction::RecvOnly, 8_000),
        (Direction::Inactive, 0),
        (Direction::SendRecv, 8_000),
    ] {
        pair.bob.control(with_direction(direction, ALICE));
        assert_eq!(second(&mut pair), (50, heard), "{direction:?}");
    }
}

#[test]
fn timestamps_run_on_while_a_call_is_held() {
    let mut pair = Pair::new();
    pair.run(Duration::from_millis(1_010), |_| ());
    pair.alice.control(with_direction(Direction::Inactive, BOB));
    pair.run(Duration::from_secs(3), |_| ());
    pair.alice.control(with_direction(Direction::SendRecv, BOB));
    pair.run(Duration::from_secs(1), |_| ());
    let headers: Vec<_> = pair.alice.host.rtp().map(|(_, p)| p.header).collect();
    let resumed = headers[50];
    assert_eq!(resumed.timestamp, headers[49].timestamp.wrapping_add(160 * 151));
    assert_eq!(resumed.sequence, headers[49].sequence.wrapping_add(1));
    assert!(resumed.marker && !headers[49].marker && !headers[51].marker);
    let stats = pair.bob.session.stats();
    assert_eq!((stats.lost, stats.late), (0, 0));
}

#[test]
fn a_held_tone_comes_back_whole() {
    let mut pair = Pair::new();
    let mut tone = Tone::new(8_000, 500, 9_000);
    let mut write = |alice: &mut End| {
        if alice.session.queued() < Duration::from_millis(60) {
            alice.session.write_audio(8_000, &tone.take(800));
        }
    };
    for hold in [200, 700, 5_000] {
        pair.run(Duration::from_secs(2), &mut write);
        pair.bob.control(with_direction(Direction::Inactive, ALICE));
        pair.run(Duration::from_millis(hold), &mut write);
        pair.bob.control(with_direction(Direction::SendRecv, ALICE));
        let before = pair.bob.heard.len();
        pair.run(Duration::from_secs(2), &mut write);
        let heard = &pair.bob.heard[before + 800..];
        assert!(measure::longest_gap(heard, 8_000, -40.0) < Duration::from_millis(1), "{hold}");
        assert!(pair.bob.session.stats().playout_delay_us < 80_000, "{hold}");
    }
}

#[test]
fn an_address_that_receives_nothing_is_sent_nothing() {
    for nowhere in ["0.0.0.0:4000", "192.0.2.2:0", "[::]:4000"] {
        let mut pair = Pair::new();
        pair.run(Duration::from_secs(1), |_| ());
        pair.alice.control(configure(Agreed {
            remote_rtp: address(nowhere),
            remote_rtcp: address("0.0.0.0:1"),
            ..agreed(BOB)
        }));
        let sent = pair.alice.host.sent.len();
        // Bob goes on sending; that is no reason to answer.
        pair.run(Duration::from_secs(8), |_| ());
        assert!(pair.alice.session.stats().received > 400);
        assert_eq!(pair.alice.host.sent.len(), sent, "{nowhere}");
    }
}

#[test]
fn a_peer_behind_a_nat_is_answered_where_it_is() {
    let mut host = TestHost::new(3);
    let mut session = open(&mut host);
    session.handle_control(&mut host, configure(agreed("10.0.0.5:4000")));
    let nat = address("198.51.100.9:6000");
    let header = |sequence| super::super::packet::Header {
        payload_type: 0,
        marker: false,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 5,
    };
    for sequence in 0..100u16 {
        host.now = session.next_deadline().unwrap();
        let bytes = [&header(sequence).to_bytes()[..], &[0xFF; 160]].concat();
        let inbound =
            Inbound::Media { port: PORT, channel: Channel::Rtp, from: nat, bytes: &bytes };
        session.handle_inbound(&mut host, inbound);
        session.handle_deadline(&mut host);
    }
    let destinations: Vec<_> =
        host.sent.iter().filter(|s| s.channel == Channel::Rtp).map(|s| s.to).collect();
    assert_eq!(destinations[0], address("10.0.0.5:4000"));
    assert!(destinations[2..].iter().all(|to| *to == nat));
    assert_eq!(session.stats().rejected, 1);
    // A stranger is neither heard nor answered.
    let rogue = address("203.0.113.66:7000");
    let received = session.stats().received;
    let bytes = [&header(100).to_bytes()[..], &[0x00; 160]].concat();
    for channel in [Channel::Rtp, Channel::Rtcp] {
        let inbound = Inbound::Media { port: PORT, channel, from: rogue, bytes: &bytes };
        session.handle_inbound(&mut host, inbound);
    }
    assert_eq!((session.stats().received, session.stats().rejected), (received, 3));
    assert!(host.sent.iter().all(|s| s.to != rogue));
}

#[test]
fn a_stranger_cannot_end_the_call_by_rtcp() {
    let mut pair = Pair::new();
    pair.run(Duration::from_secs(10), |_| ());
    let ssrc = pair.alice.host.rtp().next().unwrap().1.header.ssrc;
    let mut bytes = Vec::new();
    rtcp::append_report(&mut bytes, ssrc, None, &[]);
    rtcp::append_goodbye(&mut bytes, ssrc);
    let channel = Channel::Rtcp;
    for from in ["203.0.113.66:4001", "192.0.2.1:4001"] {
        assert!(pair.bob.events.is_empty());
        let inbound = Inbound::Media { port: PORT, channel, from: address(from), bytes: &bytes };
        pair.bob.session.handle_inbound(&mut pair.bob.host, inbound);
        pair.bob.after();
    }
    assert_eq!(pair.bob.events, [MediaEvent::Goodbye]);
}

#[test]
fn reports_come_at_their_intervals_and_say_who_and_what() {
    let mut pair = Pair::new();
    pair.run(Duration::from_secs(120), |_| ());
    let reports: Vec<_> =
        pair.alice.host.sent.iter().filter(|s| s.channel == Channel::Rtcp).collect();
    // Every 5 s on average, between 2 and 6.2 (RFC 3550 §6.3.1).
    assert!((22..=40).contains(&reports.len()), "{}", reports.len());
    for pair in reports.windows(2) {
        let interval = pair[1].at.since(pair[0].at).as_millis();
        assert!((2_040..=6_160).contains(&interval), "{interval}");
    }
    assert_eq!(reports[0].to, address("192.0.2.2:5001"));
    let last: Vec<_> = Compound::parse(&reports.last().unwrap().bytes).unwrap().packets().collect();
    let rtcp::Packet::SenderReport { ssrc, info, blocks } = &last[0] else { panic!() };
    assert_eq!(*ssrc, pair.alice.host.rtp().next().unwrap().1.header.ssrc);
    let block = blocks.clone().next().unwrap();
    assert_eq!((block.lost, block.fraction_lost), (0, 0));
    assert!(block.last_report != 0);
    // The RTP clock and the wall clock tell the same moment.
    let at = reports.last().unwrap().at;
    let first = pair.alice.host.rtp().next().unwrap();
    let passed = at.since(first.0).as_micros() * 8 / 1_000;
    assert!(info.rtp.wrapping_sub(first.1.header.timestamp).abs_diff(passed as u32) <= 1);
    let sent = pair.alice.host.rtp().filter(|(sent, _)| *sent <= at).count() as u32;
    assert!(info.packets.abs_diff(sent) <= 1 && info.bytes == info.packets * 160);
    let mut description = Vec::new();
    rtcp::append_description(&mut description, *ssrc, "test@offhook");
    assert!(reports.last().unwrap().bytes.ends_with(&description));
}

#[test]
fn who_only_listens_sends_receiver_reports() {
    let mut pair = Pair::new();
    pair.bob.control(with_direction(Direction::RecvOnly, ALICE));
    pair.run(Duration::from_secs(60), |_| ());
    for report in pair.bob.host.sent.iter().filter(|s| s.channel == Channel::Rtcp) {
        let compound = Compound::parse(&report.bytes).unwrap();
        let Some(rtcp::Packet::ReceiverReport { .. }) = compound.packets().next() else { panic!() };
    }
}

#[test]
fn the_end_is_said_and_nothing_follows() {
    let mut pair = Pair::new();
    pair.alice.session.write_audio(8_000, &Tone::new(8_000, 500, 9_000).take(16_000));
    pair.run(Duration::from_millis(2_010), |_| ());
    pair.alice.control(MediaControl::Close);
    assert_eq!(pair.alice.session.next_deadline(), None);
    pair.run(Duration::from_millis(35), |_| ());
    assert_eq!(pair.bob.events.last(), Some(&MediaEvent::Goodbye));
    let before = pair.bob.heard.len();
    pair.bob.control(MediaControl::Close);
    pair.run(Duration::from_secs(1), |_| ());
    // What bob had received he still hears.
    let rest = pair.bob.heard.len() - before;
    assert!((160..=800).contains(&rest), "{rest}");
    let all = &pair.bob.heard[800..15_900];
    assert!(measure::longest_gap(all, 8_000, -40.0) < Duration::from_millis(1));
    let stats = pair.bob.session.stats();
    assert_eq!((stats.received, stats.lost), (100, 0));
    assert_eq!(pair.bob.session.write_audio(8_000, &[1; 160]), 0);
    pair.bob.control(configure(agreed(ALICE)));
    assert_eq!(pair.bob.session.next_deadline(), None);
}

#[test]
fn who_has_sent_nothing_says_no_goodbye() {
    for (after, said) in [(19, false), (20, true)] {
        let mut host = TestHost::new(1);
        let mut session = open(&mut host);
        session.handle_control(&mut host, configure(agreed(BOB)));
        host.now += Duration::from_millis(after);
        session.handle_deadline(&mut host);
        session.handle_control(&mut host, MediaControl::Close);
        let goodbyes = host.sent.iter().filter(|sent| sent.channel == Channel::Rtcp).count();
        assert_eq!((goodbyes == 1, !host.sent.is_empty()), (said, said), "{after} ms");
    }
}

#[test]
fn silence_is_told_once_and_hold_is_no_silence() {
    let mut host = TestHost::new(1);
    let mut session = open(&mut host);
    session.handle_control(&mut host, configure(agreed(BOB)));
    let run = |session: &mut MediaSession, host: &mut TestHost, seconds| {
        let end = host.now + Duration::from_secs(seconds);
        while let Some(next) = session.next_deadline().filter(|n| *n <= end) {
            host.now = next;
            session.handle_deadline(host);
        }
        host.now = end;
        core::iter::from_fn(|| session.next_event()).collect::<Vec<_>>()
    };
    assert_eq!(run(&mut session, &mut host, 59), []);
    assert_eq!(run(&mut session, &mut host, 2), [MediaEvent::Silent]);
    assert_eq!(run(&mut session, &mut host, 300), []);
    for direction in [Direction::SendOnly, Direction::Inactive] {
        session.handle_control(&mut host, with_direction(direction, BOB));
        assert_eq!(run(&mut session, &mut host, 300), []);
    }
    session.handle_control(&mut host, with_direction(Direction::RecvOnly, BOB));
    assert_eq!(run(&mut session, &mut host, 59), []);
    // RTCP ends the silence too.
    let mut bytes = Vec::new();
    rtcp::append_report(&mut bytes, 9, None, &[]);
    let (channel, from) = (Channel::Rtcp, address("192.0.2.2:5001"));
    let inbound = Inbound::Media { port: PORT, channel, from, bytes: &bytes };
    session.handle_inbound(&mut host, inbound);
    assert_eq!(run(&mut session, &mut host, 59), []);
    assert_eq!(run(&mut session, &mut host, 2), [MediaEvent::Silent]);
}

#[test]
fn a_peer_that_echoes_our_packets_is_heard() {
    let mut host = TestHost::new(1);
    let mut session = open(&mut host);
    session.handle_control(&mut host, configure(agreed(BOB)));
    session.write_audio(8_000, &Tone::new(8_000, 500, 9_000).take(24_000));
    let (mut heard, mut delivered) = (Vec::new(), 0);
    for _ in 0..150 {
        session.handle_deadline(&mut host);
        let sent: Vec<_> = host.sent[delivered..].to_vec();
        delivered = host.sent.len();
        for packet in sent {
            let (channel, from) = (packet.channel, packet.to);
            let bytes = &packet.bytes;
            session.handle_inbound(&mut host, Inbound::Media { port: PORT, channel, from, bytes });
        }
        let mut out = [0; 160];
        let count = session.read_audio(8_000, &mut out);
        heard.extend(&out[..count]);
        host.now += PTIME;
    }
    let share = measure::share_at(&heard[3_000..], 8_000, 500.0);
    assert!(share > 0.99, "{share}");
    let numbers: std::collections::BTreeSet<_> =
        host.rtp().map(|(_, p): (_, Packet<'_>)| p.header.ssrc).collect();
    assert_eq!(numbers.len(), 2, "it was taken for a collision once");
}

#[test]
fn what_is_written_before_the_call_is_up_is_sent_when_it_is() {
    let mut host = TestHost::new(1);
    let mut session = open(&mut host);
    assert_eq!(session.next_deadline(), None);
    assert_eq!(session.write_audio(16_000, &Tone::new(16_000, 500, 9_000).take(16_000)), 16_000);
    session.send_dtmf("7").unwrap();
    session.handle_control(&mut host, configure(agreed(BOB)));
    for _ in 0..60 {
        session.handle_deadline(&mut host);
        host.now = session.next_deadline().unwrap();
    }
    let events = host.rtp().filter(|(_, p)| p.header.payload_type == 101).count();
    assert_eq!(events, 7);
    assert!(session.played() > Duration::from_millis(890));
    session.handle_control(&mut host, MediaControl::Remove { stream: 0 });
    assert_eq!(session.next_deadline(), None);
    assert!(session.stats().sent > 50);
}

#[test]
fn two_streams_carry_what_is_written_and_are_heard_together() {
    let mut host = TestHost::new(1);
    let mut session = open(&mut host);
    for stream in 0..2u8 {
        let remote = format!("192.0.2.{}:5000", stream + 2);
        let agreed = Agreed { stream, ..agreed(&remote) };
        session.handle_control(&mut host, super::stream(stream, agreed));
    }
    session.write_audio(8_000, &vec![2_000; 8_000]);
    let mut tones = [Tone::new(8_000, 500, 9_000), Tone::new(8_000, 1_500, 9_000)];
    let mut heard = Vec::new();
    for sequence in 0..200u16 {
        for (stream, tone) in tones.iter_mut().enumerate() {
            let header = super::super::packet::Header {
                payload_type: 0,
                marker: false,
                sequence,
                timestamp: u32::from(sequence) * 160,
                ssrc: stream as u32,
            };
            let mut bytes = header.to_bytes().to_vec();
            crate::codec::Encoder::new(Codec::Pcmu).encode(&tone.take(160), &mut bytes);
            let from = address(&format!("192.0.2.{}:5000", stream + 2));
            let (port, channel) = (MediaPort(PORT.0 + stream as u64), Channel::Rtp);
            let inbound = Inbound::Media { port, channel, from, bytes: &bytes };
            session.handle_inbound(&mut host, inbound);
        }
        session.handle_deadline(&mut host);
        host.now = session.next_deadline().unwrap();
        let mut out = [0; 160];
        let count = session.read_audio(8_000, &mut out);
        heard.extend(&out[..count]);
    }
    for frequency in [500.0, 1_500.0] {
        let share = measure::share_at(&heard[8_000..24_000], 8_000, frequency);
        assert!((0.45..0.55).contains(&share), "{share}");
    }
    assert_eq!(session.stream_stats(1).map(|s| s.received), Some(200));
    for to in ["192.0.2.2:5000", "192.0.2.3:5000"] {
        let loud = host.sent.iter().filter(|s| s.to == address(to) && s.bytes[100] != 0xFF).count();
        assert_eq!(loud, 50, "{to}");
    }
}

#[test]
fn on_a_grid_frames_are_due_at_its_multiples_and_not_before_their_time() {
    let grid = Duration::from_millis(5);
    for late in [0, 1, 4_999, 5_000] {
        let mut host = TestHost::new(1);
        host.now = START + Duration::from_micros(late);
        let mut session = MediaSession::new().on_grid(grid);
        let (cname, options) = ("test@offhook".to_owned(), MediaOptions::default());
        session.handle_control(&mut host, MediaControl::Open { cname, options });
        session.handle_control(&mut host, configure(agreed(BOB)));
        let first = (host.now + PTIME).round_up(grid);
        assert!(first.since(host.now) < PTIME + grid);
        for frame in 0..50 {
            let due = first + PTIME * frame;
            host.now = due - Duration::from_micros(1);
            session.handle_deadline(&mut host);
            assert_eq!(host.rtp().count() as u64, frame);
            host.now = due;
            session.handle_deadline(&mut host);
            assert_eq!(host.rtp().count() as u64, frame + 1);
            assert!(due.as_micros().is_multiple_of(grid.as_micros()));
        }
    }
}
