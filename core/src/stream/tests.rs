//! Every way to cut the bytes gives the same messages, and nobody holds a connection for nothing.

use core::net::SocketAddr;

use super::*;
use crate::host::{Flow, Transport};
use crate::sip::{MAX_HEAD_BYTES, MAX_MESSAGE_BYTES, Message};
use crate::time::Duration;
use crate::transaction::testing::{TestHost, address};

const TCP: Flow = Flow { transport: Transport::Tcp, id: 7 };
const WS: Flow = Flow { transport: Transport::Ws, id: 8 };
const FAR: SocketAddr = address(2);
const HERE: SocketAddr = address(1);

/// What one frame was, as text.
fn shown(frame: &Frame<'_>) -> String {
    match frame {
        Frame::Message(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Frame::Broken(error) => format!("broken {:?} {:?}", error.fault(), error.status()),
        other => format!("{other:?}"),
    }
}

/// What a framer makes of these pieces.
fn frames<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<String> {
    let mut framer = Framer::new();
    let mut frames = Vec::new();
    for mut piece in pieces {
        while let Some(frame) = framer.next(&mut piece) {
            frames.push(shown(&frame));
        }
        assert!(piece.is_empty());
    }
    frames
}

fn request(more: &str, body: &str) -> String {
    format!(
        "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n\
         To: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n{more}\r\n{body}"
    )
}

/// Asserts that every cut into two, single bytes and all at once give the same; returns that.
fn however_cut(bytes: &[u8]) -> Vec<String> {
    let whole = frames([bytes]);
    assert_eq!(frames(bytes.chunks(1)), whole, "single bytes");
    for at in 0..bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(frames([first, second]), whole, "cut at {at}");
    }
    whole
}

#[test]
fn messages_and_keep_alives_come_in_their_order() {
    let (one, two) = (request("Content-Length: 3\r\n", "abc"), request("l:\r\n 0 \r\n", ""));
    let stream = format!("\r\n\r\n{one}\r\n{two}\r\n\r\n\r\n\r\n\n{one}{two}");
    let ping = "Ping".to_owned();
    let expected = [&ping, &one, &two, &ping, &ping, &one, &two];
    assert_eq!(however_cut(stream.as_bytes()), expected.map(String::as_str));
}

#[test]
fn a_line_end_is_a_pong_only_when_one_is_awaited() {
    let mut framer = Framer::new();
    framer.expect_pong();
    let mut piece = &b"\r\n\r\n\r\n"[..];
    assert!(matches!(framer.next(&mut piece), Some(Frame::Pong)));
    assert!(matches!(framer.next(&mut piece), Some(Frame::Ping)));
    assert!(framer.next(&mut piece).is_none());
}

#[test]
fn where_a_message_ends_must_be_known() {
    let faults = [
        ("", Some(400)),
        ("Content-Length: -1\r\n", Some(400)),
        ("Content-Length: 0x3\r\n", Some(400)),
        ("Content-Length: 1\r\n 2\r\n", Some(400)),
        ("Content-Length: 3\r\nl: 4\r\n", Some(400)),
        ("Content-Length: 4294967296\r\n", Some(400)),
        ("Content-Length: 262144\r\n", Some(513)),
    ];
    for (more, status) in faults {
        let broken = however_cut(request(more, "abc").as_bytes());
        assert_eq!(broken.len(), 1, "{more}: {broken:?}");
        assert!(broken[0].starts_with("broken") && broken[0].ends_with(&format!("{status:?}")));
    }
    // Twice the same contradicts nothing.
    assert_eq!(however_cut(request("l: 3\r\nContent-Length: 3\r\n", "abc").as_bytes()).len(), 1);
    for noise in ["\u{16}\u{3}\u{1}TLS", " INVITE", "\0"] {
        assert_eq!(however_cut(noise.as_bytes()), ["broken NotSip None"]);
    }
}

#[test]
fn lengths_are_bounded() {
    let head = request("Content-Length: 200000\r\n", "");
    let body = vec![b'x'; 200_000];
    let whole = [head.as_bytes(), &body].concat();
    for size in [1_400, 65_536, 300_000] {
        assert_eq!(frames(whole.chunks(size)).concat().len(), whole.len(), "{size}");
    }
    let room = MAX_MESSAGE_BYTES - request("Content-Length: 262000\r\n", "").len();
    assert_eq!(frames([request(&format!("Content-Length: {room}\r\n"), "").as_bytes()]).len(), 0);
    let more = request(&format!("Content-Length: {}\r\n", room + 1), "");
    assert_eq!(frames([more.as_bytes()]), ["broken MessageTooLong Some(513)"]);
    for unit in ["X: y\r\n", "y"] {
        let long = request("", "").trim_end().to_owned() + "\r\nX: " + &unit.repeat(70_000);
        let expected = frames([long.as_bytes()]);
        assert_eq!(expected, ["broken MessageTooLong Some(513)"]);
        for size in [1, 1_460, MAX_HEAD_BYTES, MAX_HEAD_BYTES + 1] {
            assert_eq!(frames(long.as_bytes().chunks(size)), expected, "{size}");
        }
    }
}

/// The files of a directory of `../shared/vectors`, if it is there.
fn vectors(dir: &str) -> Vec<Vec<u8>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/");
    let files = std::fs::read_dir(format!("{path}{dir}")).into_iter().flatten();
    files.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn torture_cut_at_every_byte_is_the_same_torture() {
    for dir in ["rfc4475", "rfc5118"] {
        for bytes in vectors(dir) {
            let frames = however_cut(&bytes);
            let Ok(message) = Message::parse(&bytes) else { continue };
            let Some(frame) = frames.iter().find(|frame| *frame != "Ping") else { continue };
            // What a datagram holds, a stream holds, if it says how long it is.
            match message.header(crate::sip::HeaderName::ContentLength) {
                Some(_) => assert_eq!(*frame, String::from_utf8_lossy(message.bytes())),
                None => assert!(frame.starts_with("broken Missing"), "{frame}"),
            }
        }
    }
}

fn accepted(host: &mut TestHost, flow: Flow) -> Streams {
    let mut streams = Streams::default();
    streams.accepted(host, flow, FAR, HERE);
    streams
}

/// Puts bytes in and names what came out.
fn put(streams: &mut Streams, host: &mut TestHost, flow: Flow, bytes: &str) -> Vec<String> {
    let mut piece = bytes.as_bytes();
    let mut heard = Vec::new();
    while let Some(next) = streams.next(host, flow, FAR, &mut piece) {
        heard.push(match next {
            Heard::Message(message) => message.method().as_str().to_owned(),
            other => format!("{other:?}"),
        });
    }
    heard
}

fn answers(host: &mut TestHost) -> Vec<String> {
    let sent = host.sent.drain(..).map(|(to, bytes)| {
        assert_eq!(to, FAR);
        String::from_utf8(bytes).unwrap().lines().next().unwrap_or_default().to_owned()
    });
    sent.collect()
}

/// Runs to the next deadline, and says when that was, in seconds.
fn wait(streams: &mut Streams, host: &mut TestHost, used: bool) -> Option<u64> {
    host.now = streams.next_deadline()?;
    streams.handle_deadline(host, |_| used);
    Some(host.now.as_micros() / 1_000_000)
}

#[test]
fn a_ping_is_answered_and_a_pong_is_told() {
    for flow in [TCP, WS] {
        let mut host = TestHost::new(1);
        let mut streams = accepted(&mut host, flow);
        assert!(put(&mut streams, &mut host, flow, "\r\n\r\n").is_empty());
        assert_eq!(host.sent, [(FAR, b"\r\n".to_vec())]);
        streams.ping(&mut host, flow);
        assert_eq!(host.sent[1], (FAR, b"\r\n\r\n".to_vec()));
        assert_eq!(put(&mut streams, &mut host, flow, "\r\n"), ["Pong"]);
    }
}

#[test]
fn a_bad_message_is_answered_and_a_bad_length_ends_the_connection() {
    let mut host = TestHost::new(1);
    let mut streams = accepted(&mut host, TCP);
    let good = request("Content-Length: 0\r\n", "");
    let bad = good.replace("CSeq: 1 OPTIONS", "CSeq: x OPTIONS");
    let malformed = "Malformed { answered: true }";
    assert_eq!(put(&mut streams, &mut host, TCP, &(bad + &good)), [malformed, "OPTIONS"]);
    assert_eq!(answers(&mut host), ["SIP/2.0 400 Invalid CSeq"]);
    assert_eq!(streams.next_closed(), None);
    let endless = request("", "");
    assert_eq!(put(&mut streams, &mut host, TCP, &(endless + &good)), [malformed]);
    assert_eq!(answers(&mut host), ["SIP/2.0 400 Missing Content-Length"]);
    assert_eq!((streams.next_closed(), streams.next_closed()), (Some(TCP), None));
    assert!(put(&mut streams, &mut host, TCP, &good).is_empty(), "it is closed");
    // On WebSocket the message ends where it ends.
    streams.accepted(&mut host, WS, FAR, HERE);
    assert_eq!(put(&mut streams, &mut host, WS, &request("", "x")), ["OPTIONS"]);
}

#[test]
fn who_begins_has_to_end_in_time() {
    let good = request("Content-Length: 0\r\n", "");
    let mut host = TestHost::new(1);
    let mut streams = accepted(&mut host, TCP);
    assert_eq!(wait(&mut streams, &mut host, true), Some(32), "nothing ever came");
    assert_eq!(streams.next_closed(), Some(TCP));
    assert!(streams.is_empty() && streams.next_deadline().is_none());

    let mut host = TestHost::new(1);
    let mut streams = accepted(&mut host, TCP);
    assert_eq!(put(&mut streams, &mut host, TCP, &good), ["OPTIONS"]);
    for byte in good.bytes().take(100) {
        host.now += Duration::from_secs(1);
        streams.handle_deadline(&mut host, |_| true);
        put(&mut streams, &mut host, TCP, core::str::from_utf8(&[byte]).unwrap());
    }
    assert_eq!(streams.next_closed(), Some(TCP), "one byte a second is too slow");
}

#[test]
fn the_idle_are_closed_unless_somebody_needs_them() {
    let mut host = TestHost::new(1);
    let mut streams = Streams::default();
    streams.opened(&mut host, TCP, FAR, HERE);
    let at = wait(&mut streams, &mut host, true).unwrap();
    assert_eq!((at, streams.len()), (900, 1));
    host.now += Duration::from_secs(100);
    put(&mut streams, &mut host, TCP, "\r\n\r\n");
    while streams.len() == 1 {
        wait(&mut streams, &mut host, false);
    }
    assert_eq!(host.now.as_micros() / 1_000_000, 1_900);
}

#[test]
fn newcomers_take_the_place_of_the_silent() {
    let mut host = TestHost::new(1);
    let mut streams = Streams::new(StreamLimits { accepted: 2, ..StreamLimits::default() });
    let flow = |id| Flow { transport: Transport::Tcp, id };
    for id in 1..=3 {
        streams.accepted(&mut host, flow(id), FAR, HERE);
        if id == 1 {
            put(&mut streams, &mut host, flow(1), &request("l: 0\r\n", ""));
        }
    }
    assert_eq!((streams.next_closed(), streams.len()), (Some(flow(2)), 2));
    put(&mut streams, &mut host, flow(3), &request("l: 0\r\n", ""));
    streams.accepted(&mut host, flow(4), FAR, HERE);
    assert!(!streams.contains(flow(4)) && streams.contains(flow(1)));
}

#[test]
fn one_source_does_not_take_all_the_room() {
    let mut host = TestHost::new(1);
    let mut streams = Streams::new(StreamLimits { per_source: 2, ..StreamLimits::default() });
    let flow = |id| Flow { transport: Transport::Tcp, id };
    let far = |text: &str| -> SocketAddr { text.parse().unwrap() };
    for (id, from) in ["192.0.2.7:1", "[::ffff:192.0.2.7]:2", "[2001:db8::1]:3", "[2001:db8::2]:4"]
        .into_iter()
        .enumerate()
    {
        streams.accepted(&mut host, flow(id as u64), far(from), HERE);
        put(&mut streams, &mut host, flow(id as u64), &request("l: 0\r\n", ""));
    }
    assert_eq!(streams.len(), 4);
    streams.accepted(&mut host, flow(4), far("192.0.2.7:5"), HERE);
    streams.accepted(&mut host, flow(5), far("[2001:db8::3]:6"), HERE);
    assert!(!streams.contains(flow(4)) && !streams.contains(flow(5)), "both have two");
    // Its own silent one goes first, nobody else's.
    streams.accepted(&mut host, flow(6), FAR, HERE);
    streams.closed(flow(0));
    streams.accepted(&mut host, flow(7), far("192.0.2.7:7"), HERE);
    streams.accepted(&mut host, flow(8), far("192.0.2.7:8"), HERE);
    let there: Vec<u64> = streams.flows().map(|flow| flow.id).collect();
    assert_eq!(there, [1, 2, 3, 6, 8]);
}

#[test]
fn our_own_connections_are_bounded_though_they_are_kept_alive() {
    let mut host = TestHost::new(1);
    let mut streams = Streams::new(StreamLimits { opened: 2, ..StreamLimits::default() });
    let flow = |id| Flow { transport: Transport::Tcp, id };
    let ping = |streams: &mut Streams, host: &mut TestHost| {
        for id in 1..=4 {
            put(streams, host, flow(id), "\r\n\r\n");
        }
        host.now += Duration::from_secs(20);
        streams.handle_deadline(host, |used| used == flow(1));
        streams.flows().map(|flow| flow.id).collect::<Vec<u64>>()
    };
    let mut there = Vec::new();
    for id in 1..=3 {
        streams.opened(&mut host, flow(id), FAR, HERE);
        there = ping(&mut streams, &mut host);
    }
    assert_eq!(there, [1, 3], "1 is in use, 2 the oldest else");
    put(&mut streams, &mut host, flow(3), &request("l: 0\r\n", ""));
    streams.opened(&mut host, flow(4), FAR, HERE);
    assert_eq!(ping(&mut streams, &mut host), [1, 3, 4], "it may have something under way");
    put(&mut streams, &mut host, flow(3), &request("l: 0\r\n", ""));
    assert_eq!(ping(&mut streams, &mut host), [1, 3], "4 has had no message for longest");
    // Where nothing comes that is seen to in time too.
    streams.opened(&mut host, flow(5), FAR, HERE);
    wait(&mut streams, &mut host, false);
    assert_eq!(streams.len(), 2);
}
