//! One session with several streams: told apart, mixed, and told of once.

use core::net::SocketAddr;

use super::super::packet::Header;
use super::super::session::MAX_MARKS;
use super::super::telephone_event::TelephoneEvent;
use super::super::{DtmfError, MediaSession};
use super::{PORT, START, TestHost, address, agreed, open};
use crate::codec::measure::{self, Tone};
use crate::codec::{Codec, Encoder};
use crate::host::{Channel, Endpoint, Inbound, MediaPort};
use crate::media::{MediaControl, MediaEvent};
use crate::nat::is_stun;
use crate::sdp::{Agreed, Direction, TelephoneEvents};
use crate::time::Duration;

/// A session on a host, and what happened.
struct Scene {
    host: TestHost,
    session: MediaSession,
    events: Vec<MediaEvent>,
    heard: Vec<i16>,
}

/// A far end that sends a packet of a tone every 20 ms.
struct Far {
    port: MediaPort,
    from: SocketAddr,
    ssrc: u32,
    sequence: u16,
    tone: Tone,
}

impl Far {
    fn new(port: MediaPort, from: &str, ssrc: u32, hertz: u32) -> Self {
        let tone = Tone::new(8_000, hertz, 9_000);
        Self { port, from: address(from), ssrc, sequence: 0, tone }
    }

    fn speak(&mut self, scene: &mut Scene) {
        let mut payload = Vec::new();
        Encoder::new(Codec::Pcmu).encode(&self.tone.take(160), &mut payload);
        self.send(scene, 0, u32::from(self.sequence) * 160, &payload);
    }

    /// One press, from its first packet to its last.
    fn press(&mut self, scene: &mut Scene, event: u8) {
        let timestamp = u32::from(self.sequence) * 160;
        let payload = TelephoneEvent { event, end: true, volume: 10, duration: 800 };
        for _ in 0..3 {
            self.send(scene, 101, timestamp, &payload.to_bytes());
        }
    }

    fn send(&mut self, scene: &mut Scene, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let (sequence, ssrc) = (self.sequence, self.ssrc);
        let header = Header { payload_type, marker: false, sequence, timestamp, ssrc };
        let bytes = [&header.to_bytes()[..], payload].concat();
        let (port, channel, from) = (self.port, Channel::Rtp, self.from);
        let inbound = Inbound::Media { port, channel, from, bytes: &bytes };
        scene.session.handle_inbound(&mut scene.host, inbound);
        self.sequence += 1;
    }
}

impl Scene {
    fn new() -> Self {
        let mut host = TestHost::new(1);
        let session = open(&mut host);
        Self { host, session, events: Vec::new(), heard: Vec::new() }
    }

    fn configure(&mut self, stream: u8, agreed: Agreed) {
        self.session.handle_control(&mut self.host, super::stream(stream, agreed));
    }

    fn remove(&mut self, stream: u8) {
        self.session.handle_control(&mut self.host, MediaControl::Remove { stream });
    }

    /// Lets time pass; every 20 ms everybody speaks, and whatever can be read is.
    fn run(&mut self, time: Duration, far: &mut [Far]) {
        let end = self.host.now + time;
        let mut speak = self.host.now;
        while self.host.now < end {
            if speak <= self.host.now {
                far.iter_mut().for_each(|far| far.speak(self));
                speak += Duration::from_millis(20);
            }
            self.session.handle_deadline(&mut self.host);
            let mut out = [0; 200];
            loop {
                let count = self.session.read_audio(8_000, &mut out);
                self.heard.extend(&out[..count]);
                if count == 0 {
                    break;
                }
            }
            self.events.extend(core::iter::from_fn(|| self.session.next_event()));
            let next = self.session.next_deadline().unwrap_or(end);
            self.host.now = next.min(speak).min(end);
        }
    }

    fn digits(&self) -> String {
        let digit = |event: &MediaEvent| match event {
            MediaEvent::Dtmf { digit, .. } => Some(*digit),
            _ => None,
        };
        self.events.iter().filter_map(digit).collect()
    }

    /// The marks that came back: `name` or, not played, `-name`.
    fn marks(&self) -> Vec<String> {
        let mark = |event: &MediaEvent| match event {
            MediaEvent::Mark { name, played: true } => Some(name.clone()),
            MediaEvent::Mark { name, played: false } => Some(format!("-{name}")),
            _ => None,
        };
        self.events.iter().filter_map(mark).collect()
    }
}

const ONE: &str = "192.0.2.2:5000";
const TWO: &str = "192.0.2.3:6000";

/// What another stream agreed, on a pair of ports of its own.
fn beside(remote: &str) -> Agreed {
    Agreed { stream: 1, ..agreed(remote) }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn streams_out_of_step_are_mixed_without_a_gap() {
    let mut scene = Scene::new();
    scene.configure(0, agreed(ONE));
    scene.host.now = START + millis(7);
    scene.configure(1, Agreed { ptime: millis(30), ..beside(TWO) });
    let mut far = [Far::new(PORT, ONE, 1, 500), Far::new(MediaPort(8), TWO, 2, 1_500)];
    scene.run(Duration::from_secs(3), &mut far);
    let steady = &scene.heard[8_000..22_000];
    for frequency in [500.0, 1_500.0] {
        let share = measure::share_at(steady, 8_000, frequency);
        assert!((0.49..0.51).contains(&share), "{frequency}: {share}");
    }
    let samples = scene.heard.len().abs_diff(24_000);
    assert!(samples <= 320, "{} samples in 3 s", scene.heard.len());
    // While the first hears nothing the other is read alone.
    scene.configure(0, Agreed { direction: Direction::SendOnly, ..agreed(ONE) });
    let before = scene.heard.len();
    scene.run(Duration::from_secs(1), &mut far[1..]);
    let heard = &scene.heard[before..];
    assert!(heard.len().abs_diff(8_000) <= 640, "{} samples in 1 s", heard.len());
    assert!(measure::share_at(&heard[1_000..7_000], 8_000, 1_500.0) > 0.99);
}

#[test]
fn a_recording_holds_the_mix() {
    let mut scene = Scene::new();
    scene.configure(0, agreed(ONE));
    scene.host.now = START + millis(13);
    scene.configure(1, beside(TWO));
    scene.session.set_tap(true);
    let mut far = [Far::new(PORT, ONE, 1, 500), Far::new(MediaPort(8), TWO, 2, 1_500)];
    scene.session.write_audio(8_000, &Tone::new(8_000, 800, 9_000).take(16_000));
    let mut kept: Vec<[i16; 2]> = Vec::new();
    for _ in 0..20 {
        scene.run(millis(100), &mut far);
        kept.extend(scene.session.drain_tap());
    }
    assert!(kept.len().abs_diff(16_000) <= 160, "{} pairs in 2 s", kept.len());
    let side = |side: usize| kept[4_000..].iter().map(|pair| pair[side]).collect::<Vec<i16>>();
    assert!(measure::share_at(&side(0), 8_000, 800.0) > 0.99);
    for frequency in [500.0, 1_500.0] {
        let share = measure::share_at(&side(1), 8_000, frequency);
        assert!((0.49..0.51).contains(&share), "{frequency}: {share}");
    }
}

#[test]
fn a_stream_that_was_read_alone_is_not_late_for_ever() {
    let mut scene = Scene::new();
    let held = |direction| Agreed { direction, ..agreed(ONE) };
    scene.configure(0, held(Direction::SendOnly));
    scene.configure(1, beside(TWO));
    let mut far = [Far::new(MediaPort(8), TWO, 2, 1_500)];
    // Nobody reads it for a second, then the first stream comes back, by which is read.
    for _ in 0..50 {
        far[0].speak(&mut scene);
        scene.host.now += millis(20);
        scene.session.handle_deadline(&mut scene.host);
    }
    scene.configure(0, held(Direction::SendRecv));
    let mut far = [Far::new(PORT, ONE, 1, 500), far.into_iter().next().unwrap()];
    scene.run(millis(500), &mut far);
    scene.configure(0, held(Direction::SendOnly));
    // What waits of the other stream now is what it lagged behind.
    let waits = scene.session.available(8_000);
    assert!(waits <= 8 * 80, "{waits} samples");
}

#[test]
fn early_dialogs_on_one_pair_of_ports_are_told_apart() {
    let mut scene = Scene::new();
    scene.configure(0, agreed(ONE));
    scene.configure(4, agreed(TWO));
    // The second comes from behind a NAT; two that come from one address have two sources.
    scene.configure(8, agreed("192.0.2.9:7000"));
    scene.configure(12, agreed("192.0.2.9:7000"));
    let mut far = [
        Far::new(PORT, ONE, 1, 500),
        Far::new(PORT, "203.0.113.7:4321", 2, 900),
        Far::new(PORT, "192.0.2.9:7000", 3, 1_300),
        Far::new(PORT, "192.0.2.9:7000", 4, 1_700),
    ];
    scene.run(Duration::from_secs(2), &mut far);
    for (stream, most) in [(0, 100), (4, 99), (8, 100), (12, 100)] {
        let stats = scene.session.stream_stats(stream).unwrap();
        assert_eq!((stats.received, stats.lost), (most, 0), "stream {stream}");
    }
    for frequency in [500.0, 900.0, 1_300.0, 1_700.0] {
        let share = measure::share_at(&scene.heard[8_000..14_000], 8_000, frequency);
        assert!((0.2..0.3).contains(&share), "{frequency}: {share}");
    }
    // One of them becomes the call.
    for stream in [0, 8, 12] {
        scene.remove(stream);
    }
    let before = scene.heard.len();
    scene.run(Duration::from_secs(1), &mut far);
    let share = measure::share_at(&scene.heard[before + 1_600..], 8_000, 900.0);
    assert!(share > 0.99, "{share}");
}

#[test]
fn a_report_is_told_apart_however_its_address_is_written() {
    for from in ["192.0.2.3:6001", "[::ffff:192.0.2.3]:6001"] {
        let mut scene = Scene::new();
        scene.configure(0, agreed(ONE));
        scene.configure(4, agreed(TWO));
        let report = [0x80, 201, 0, 1, 0, 0, 0, 2];
        let (port, channel, from) = (PORT, Channel::Rtcp, address(from));
        let inbound = Inbound::Media { port, channel, from, bytes: &report };
        scene.session.handle_inbound(&mut scene.host, inbound);
        let rejected = [0, 4].map(|stream| scene.session.stream_stats(stream).unwrap().rejected);
        assert_eq!(rejected, [0, 0], "{from}");
    }
}

#[test]
fn a_stranger_is_heard_on_no_stream() {
    let mut scene = Scene::new();
    scene.configure(0, agreed(ONE));
    scene.configure(4, agreed(TWO));
    let mut far = [
        Far::new(PORT, ONE, 1, 500),
        Far::new(PORT, TWO, 2, 900),
        Far::new(PORT, "198.51.100.66:6666", 2, 1_300),
    ];
    scene.run(Duration::from_secs(3), &mut far);
    let share = measure::share_at(&scene.heard[8_000..], 8_000, 1_300.0);
    assert!(share < 0.01, "{share}");
    let rejected = [0, 4].map(|stream| scene.session.stream_stats(stream).unwrap().rejected);
    assert_eq!(rejected.iter().sum::<u64>(), 150);
}

#[test]
fn a_mark_comes_back_once_with_the_frame_that_plays_what_is_before_it() {
    let mut scene = Scene::new();
    scene.configure(0, agreed(ONE));
    scene.host.now = START + millis(10);
    scene.configure(1, beside(TWO));
    scene.session.write_audio(8_000, &[500; 8 * 105]);
    assert!(scene.session.mark("first"));
    scene.session.write_audio(8_000, &[500; 8 * 95]);
    assert!(scene.session.mark("second"));
    scene.run(millis(110), &mut []);
    assert!(scene.marks().is_empty());
    // The frame that ends at 120 ms holds the 105th, on the second stream 10 ms later.
    scene.run(millis(10), &mut []);
    assert_eq!(scene.marks(), Vec::<String>::new());
    scene.run(millis(20), &mut []);
    assert_eq!(scene.marks(), ["first"]);
    scene.run(Duration::from_secs(1), &mut []);
    assert_eq!(scene.marks(), ["first", "second"]);
    assert_eq!(scene.session.played(), millis(200));
    // Nothing is before this one that is still to be played.
    scene.session.mark("third");
    scene.run(millis(40), &mut []);
    assert_eq!(scene.marks(), ["first", "second", "third"]);
}

#[test]
fn marks_are_exact_at_any_rate_and_in_any_pieces() {
    for rate in [7_777, 11_025, 24_000, 44_100, 48_000] {
        let mut scene = Scene::new();
        scene.configure(0, agreed(ONE));
        let mut due = Vec::new();
        for second in 1..=3 {
            for _ in 0..rate {
                scene.session.write_audio(rate, &[700]);
            }
            assert!(scene.session.mark(&second.to_string()));
            due.push(second * 1_000);
        }
        for (index, due) in due.into_iter().enumerate() {
            // The resampler holds back up to 3 ms, and the frame in which it ends is sent at once.
            let so_far = scene.host.now.since(START);
            scene.run(millis(due - 20) - so_far, &mut []);
            assert_eq!(scene.marks().len(), index, "{rate} Hz, {due} ms");
            scene.run(millis(60), &mut []);
            assert_eq!(scene.marks().len(), index + 1, "{rate} Hz, {due} ms");
        }
    }
}

#[test]
fn what_is_flushed_held_or_cut_off_brings_its_marks_back_unplayed() {
    let mut scene = Scene::new();
    scene.configure(0, agreed(ONE));
    scene.session.write_audio(8_000, &[500; 8_000]);
    scene.session.mark("a");
    scene.session.write_audio(8_000, &[500; 8_000]);
    scene.session.mark("b");
    scene.run(millis(1_500), &mut []);
    assert!(scene.session.flush_audio() > millis(450));
    scene.run(millis(1), &mut []);
    assert_eq!(scene.marks(), ["a", "-b"]);
    // While the call is held what was written goes by unsent.
    let on_hold = Agreed { direction: Direction::RecvOnly, ..agreed(ONE) };
    scene.configure(0, on_hold);
    scene.session.write_audio(8_000, &[500; 800]);
    scene.session.mark("c");
    scene.run(millis(200), &mut []);
    assert_eq!(scene.marks(), ["a", "-b", "-c"]);
    scene.configure(0, agreed(ONE));
    scene.session.write_audio(8_000, &[500; 8_000]);
    for i in 0..MAX_MARKS {
        assert!(scene.session.mark(&i.to_string()));
    }
    assert!(!scene.session.mark("one too many"));
    scene.session.handle_control(&mut scene.host, MediaControl::Close);
    scene.events.extend(core::iter::from_fn(|| scene.session.next_event()));
    assert_eq!(scene.marks().len(), 3 + MAX_MARKS);
    assert!(scene.marks()[3..].iter().all(|mark| mark.starts_with('-')));
    assert!(!scene.session.mark("late"));
}

#[test]
fn what_was_written_goes_on_with_its_marks_on_a_stream_that_comes_and_after_one_that_goes() {
    let mut scene = Scene::new();
    scene.session.write_audio(8_000, &[500; 8_000]);
    scene.session.mark("end");
    scene.configure(0, agreed(ONE));
    scene.run(millis(510), &mut []);
    scene.configure(4, agreed(TWO));
    scene.run(millis(200), &mut []);
    scene.remove(0);
    scene.run(millis(200), &mut []);
    assert!(scene.marks().is_empty());
    scene.run(millis(200), &mut []);
    assert_eq!(scene.marks(), ["end"]);
    let loud = |to| {
        let sent = scene.host.sent.iter().filter(|s| s.channel == Channel::Rtp);
        sent.filter(|s| s.to == address(to) && s.bytes[20] != 0xFF).count()
    };
    assert_eq!((loud(ONE), loud(TWO)), (35, 25));
}

#[test]
fn a_digit_on_several_streams_appears_once_and_a_second_press_twice() {
    let mut scene = Scene::new();
    scene.configure(0, agreed(ONE));
    scene.configure(1, beside(TWO));
    let mut one = Far::new(PORT, ONE, 1, 500);
    let mut two = Far::new(MediaPort(8), TWO, 2, 500);
    one.press(&mut scene, 5);
    scene.run(millis(50), &mut []);
    two.press(&mut scene, 5);
    scene.run(millis(150), &mut []);
    one.press(&mut scene, 5);
    two.press(&mut scene, 5);
    scene.run(millis(500), &mut []);
    assert_eq!(scene.digits(), "55");
    // What is pressed on one stream only counts there, and later is later.
    two.press(&mut scene, 7);
    scene.run(millis(500), &mut []);
    one.press(&mut scene, 7);
    scene.run(millis(20), &mut []);
    assert_eq!(scene.digits(), "5577");
    assert_eq!(scene.session.take_dtmf(None), "5577");
}

#[test]
fn digits_are_sent_once_to_each_party_and_only_those_it_takes() {
    let mut scene = Scene::new();
    let few = TelephoneEvents::parse(Some("0-9"));
    let without = Agreed { telephone_event_send: None, ..agreed(ONE) };
    scene.configure(0, without.clone());
    assert_eq!(scene.session.send_dtmf("1"), Err(DtmfError::NotAgreed));
    scene.configure(1, Agreed { telephone_events: few, ..beside(TWO) });
    let hash = scene.session.send_dtmf("1#").unwrap_err();
    assert_eq!(hash, DtmfError::NotTaken { digit: '#' });
    assert_eq!(hash.to_string(), "the peer takes no digit #");
    scene.session.send_dtmf("12").unwrap();
    scene.run(Duration::from_secs(1), &mut []);
    let count = |scene: &Scene, to: &str| {
        let rtp = scene.host.sent.iter().filter(|s| s.channel == Channel::Rtp);
        let events = rtp.filter(|s| s.to == address(to) && s.bytes[1] & 0x7f == 101);
        let mut timestamps: Vec<_> = events.map(|s| s.bytes[4..8].to_vec()).collect();
        timestamps.dedup();
        timestamps.len()
    };
    assert_eq!((count(&scene, ONE), count(&scene, TWO)), (0, 2));
    assert_eq!(scene.events, [MediaEvent::DtmfSent]);
    // Two streams of one peer: the first carries the digit. Two early dialogs: both do.
    let mut scene = Scene::new();
    scene.configure(0, agreed(ONE));
    scene.configure(1, beside("192.0.2.2:5002"));
    scene.configure(4, agreed(TWO));
    scene.session.send_dtmf("9").unwrap();
    scene.run(Duration::from_secs(1), &mut []);
    let counts = [ONE, "192.0.2.2:5002", TWO].map(|to| count(&scene, to));
    assert_eq!((counts, scene.events.as_slice()), ([1, 0, 1], &[MediaEvent::DtmfSent][..]));
}

#[test]
fn a_call_is_silent_when_all_its_streams_are() {
    let mut scene = Scene::new();
    scene.configure(0, agreed(ONE));
    scene.configure(1, beside(TWO));
    let mut far = [Far::new(MediaPort(8), TWO, 2, 500)];
    scene.run(Duration::from_secs(90), &mut far);
    assert_eq!(scene.events, []);
    scene.run(Duration::from_secs(61), &mut []);
    assert_eq!(scene.events, [MediaEvent::Silent]);
    // The one that is heard is held, or goes: now the others have to be.
    for goes in [false, true] {
        let mut scene = Scene::new();
        scene.configure(0, agreed(ONE));
        scene.configure(1, beside(TWO));
        let mut far = [Far::new(MediaPort(8), TWO, 2, 500)];
        scene.run(Duration::from_secs(90), &mut far);
        match goes {
            true => scene.remove(1),
            false => scene.configure(1, Agreed { direction: Direction::SendOnly, ..beside(TWO) }),
        }
        scene.run(Duration::from_secs(59), &mut []);
        assert_eq!(scene.events, []);
        scene.run(Duration::from_secs(2), &mut []);
        assert_eq!(scene.events, [MediaEvent::Silent]);
    }
}

#[test]
fn a_read_that_does_not_wait_is_filled_with_silence() {
    let mut scene = Scene::new();
    let mut out = [7; 160];
    assert_eq!(scene.session.read_audio_or_silence(8_000, &mut out), 0);
    assert_eq!(out, [0; 160]);
    scene.configure(0, agreed(ONE));
    scene.host.now += millis(20);
    scene.session.handle_deadline(&mut scene.host);
    let mut out = [7; 200];
    assert_eq!(scene.session.read_audio_or_silence(8_000, &mut out), 160);
    assert_eq!(out[160..], [0; 40]);
}

#[test]
fn a_stream_without_anything_to_do_rests_while_its_time_goes_on() {
    let mut scene = Scene::new();
    let inactive = Agreed { direction: Direction::Inactive, ..agreed(ONE) };
    scene.configure(0, agreed(ONE));
    scene.run(millis(1_010), &mut []);
    scene.configure(0, inactive.clone());
    scene.run(millis(10), &mut []);
    let end = scene.host.now + Duration::from_secs(59);
    let mut wakes = 0;
    while let Some(next) = scene.session.next_deadline().filter(|next| *next <= end) {
        assert!(next > scene.host.now);
        scene.host.now = next;
        scene.session.handle_deadline(&mut scene.host);
        wakes += 1;
    }
    assert!((60..90).contains(&wakes), "woken {wakes} times in a minute");
    // What is written meanwhile wakes it, and goes by in its time.
    scene.host.now += millis(7);
    let written = scene.host.now;
    scene.session.write_audio(8_000, &[1; 800]);
    assert!(scene.session.mark("gone"));
    scene.run(millis(90), &mut []);
    assert_eq!(scene.marks(), [""; 0]);
    assert!(scene.session.queued() <= millis(40), "{:?}", scene.session.queued());
    scene.run(millis(50), &mut []);
    assert_eq!(scene.marks(), ["-gone"]);
    assert!(scene.events.contains(&MediaEvent::AudioSent));
    assert!(scene.host.now.since(written) == millis(140));
    // It naps again when it is taken up.
    scene.run(millis(333), &mut []);
    scene.configure(0, agreed(ONE));
    scene.run(millis(100), &mut []);
    let packets: Vec<_> = scene.host.rtp().map(|(at, p)| (at, p.header)).collect();
    let [(left, last), (came, first)] = [packets[49], packets[50]];
    assert!(first.marker && came > written);
    let between = came.since(left).as_micros() / 125;
    assert_eq!(first.timestamp.wrapping_sub(last.timestamp), between as u32);
    assert_eq!(first.sequence, last.sequence.wrapping_add(1));
    assert_eq!(scene.session.stats().stalled_frames, 0);
}

/// When keep-alives left from RTP's port, in ms, and where they went.
fn signs(scene: &Scene) -> Vec<(u64, SocketAddr)> {
    let sent = scene.host.sent.iter().filter(|sent| is_stun(&sent.bytes));
    sent.map(|sent| (sent.at.since(START).as_millis(), sent.to)).collect()
}

#[test]
fn who_sends_nothing_keeps_the_way_to_itself_open() {
    let inactive = Agreed { direction: Direction::Inactive, ..agreed(ONE) };
    let listening = Agreed { direction: Direction::RecvOnly, ..agreed(ONE) };
    for silent in [inactive, listening] {
        let mut scene = Scene::new();
        scene.configure(0, silent.clone());
        scene.run(Duration::from_secs(40), &mut []);
        let to = silent.remote_rtp;
        assert_eq!(signs(&scene), [(0, to), (15_000, to), (30_000, to)]);
        // Who sends does so by sending, and goes on where that left off.
        scene.configure(0, agreed(ONE));
        scene.run(Duration::from_secs(20), &mut []);
        scene.configure(0, silent.clone());
        scene.run(Duration::from_secs(16), &mut []);
        assert_eq!(signs(&scene)[3..], [(75_000, to)]);
        assert!(signs(&scene).len() == 4 && scene.host.rtp().count() >= 999);
    }
}

#[test]
fn a_recording_of_a_stream_that_rested_has_all_its_time() {
    let mut scene = Scene::new();
    scene.configure(0, Agreed { direction: Direction::Inactive, ..agreed(ONE) });
    scene.run(millis(5_310), &mut []);
    scene.session.set_tap(true);
    scene.run(millis(1_000), &mut []);
    let first = scene.session.drain_tap().count();
    scene.run(millis(1_000), &mut []);
    assert_eq!(scene.session.drain_tap().count(), 8_000);
    assert!(first <= 8_000, "{first} pairs of a second");
    assert_eq!(scene.session.stats().stalled_frames, 0);
}
