//! Every way to cut the bytes gives the same messages, and nobody holds a connection for nothing.

use core::net::SocketAddr;

use super::*;
use crate::certificate::Identities;
use crate::host::{Flow, RequestId, Transport};
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

fn accepted(host: &mut TestHost, flow: Flow) -> Connections {
    let mut connections = Connections::default();
    connections.accepted(host, flow, FAR, HERE, None);
    connections
}

/// Opens a connection, which is one of its own.
fn open(connections: &mut Connections, host: &mut TestHost, flow: Flow) {
    let (id, name) = (RequestId(flow.id), flow.id.to_string());
    connections.open(host, id, Destination::new(flow.transport, FAR, &name));
    connections.opened(host, id, flow, HERE, None).expect("it was asked for");
}

fn next_closed(connections: &mut Connections) -> Option<Flow> {
    connections.next_closed().map(|closed| closed.flow)
}

/// Puts bytes in and names what came out.
fn put(connections: &mut Connections, host: &mut TestHost, flow: Flow, bytes: &str) -> Vec<String> {
    let mut piece = bytes.as_bytes();
    let mut decoded = Vec::new();
    while let Some(next) = connections.decode(host, flow, FAR, &mut piece) {
        decoded.push(match next {
            Decoded::Message(message) => message.method().as_str().to_owned(),
            other => format!("{other:?}"),
        });
    }
    decoded
}

fn answers(host: &mut TestHost) -> Vec<String> {
    let sent = host.sent.drain(..).map(|(to, bytes)| {
        assert_eq!(to, FAR);
        String::from_utf8(bytes).unwrap().lines().next().unwrap_or_default().to_owned()
    });
    sent.collect()
}

/// Runs to the next deadline, and says when that was, in seconds.
fn wait(connections: &mut Connections, host: &mut TestHost, used: bool) -> Option<u64> {
    host.now = connections.next_deadline()?;
    connections.handle_deadline(host, |_, _| used);
    Some(host.now.as_micros() / 1_000_000)
}

#[test]
fn a_ping_is_answered_and_a_pong_is_told() {
    for flow in [TCP, WS] {
        let mut host = TestHost::new(1);
        let mut connections = accepted(&mut host, flow);
        assert!(put(&mut connections, &mut host, flow, "\r\n\r\n").is_empty());
        assert_eq!(host.sent, [(FAR, b"\r\n".to_vec())]);
        connections.ping(&mut host, flow);
        assert_eq!(host.sent[1], (FAR, b"\r\n\r\n".to_vec()));
        assert_eq!(put(&mut connections, &mut host, flow, "\r\n"), ["Pong"]);
    }
}

#[test]
fn a_bad_message_is_answered_and_a_bad_length_ends_the_connection() {
    let mut host = TestHost::new(1);
    let mut connections = accepted(&mut host, TCP);
    let good = request("Content-Length: 0\r\n", "");
    let bad = good.replace("CSeq: 1 OPTIONS", "CSeq: x OPTIONS");
    let malformed = "Malformed { answered: true }";
    assert_eq!(put(&mut connections, &mut host, TCP, &(bad + &good)), [malformed, "OPTIONS"]);
    assert_eq!(answers(&mut host), ["SIP/2.0 400 Invalid CSeq"]);
    assert_eq!(next_closed(&mut connections), None);
    let endless = request("", "");
    assert_eq!(put(&mut connections, &mut host, TCP, &(endless + &good)), [malformed]);
    assert_eq!(answers(&mut host), ["SIP/2.0 400 Missing Content-Length"]);
    assert_eq!((next_closed(&mut connections), next_closed(&mut connections)), (Some(TCP), None));
    assert!(put(&mut connections, &mut host, TCP, &good).is_empty(), "it is closed");
    // On WebSocket the message ends where it ends.
    connections.accepted(&mut host, WS, FAR, HERE, None);
    assert_eq!(put(&mut connections, &mut host, WS, &request("", "x")), ["OPTIONS"]);
}

#[test]
fn who_begins_has_to_end_in_time() {
    let good = request("Content-Length: 0\r\n", "");
    let mut host = TestHost::new(1);
    let mut connections = accepted(&mut host, TCP);
    assert_eq!(wait(&mut connections, &mut host, true), Some(32), "nothing ever came");
    assert_eq!(next_closed(&mut connections), Some(TCP));
    assert!(connections.flows().is_empty() && connections.next_deadline().is_none());

    let mut host = TestHost::new(1);
    let mut connections = accepted(&mut host, TCP);
    assert_eq!(put(&mut connections, &mut host, TCP, &good), ["OPTIONS"]);
    for byte in good.bytes().take(100) {
        host.now += Duration::from_secs(1);
        connections.handle_deadline(&mut host, |_, _| true);
        put(&mut connections, &mut host, TCP, core::str::from_utf8(&[byte]).unwrap());
    }
    assert_eq!(next_closed(&mut connections), Some(TCP), "one byte a second is too slow");
}

#[test]
fn the_idle_are_closed_unless_somebody_needs_them() {
    let mut host = TestHost::new(1);
    let mut connections = Connections::default();
    open(&mut connections, &mut host, TCP);
    let at = wait(&mut connections, &mut host, true).unwrap();
    assert_eq!((at, connections.flows().len()), (900, 1));
    host.now += Duration::from_secs(100);
    put(&mut connections, &mut host, TCP, "\r\n\r\n");
    while connections.flows().len() == 1 {
        wait(&mut connections, &mut host, false);
    }
    assert_eq!(host.now.as_micros() / 1_000_000, 1_900);
}

#[test]
fn newcomers_take_the_place_of_the_silent() {
    let mut host = TestHost::new(1);
    let mut connections =
        Connections::new(ConnectionLimits { accepted: 2, ..ConnectionLimits::default() });
    let flow = |id| Flow { transport: Transport::Tcp, id };
    for id in 1..=3 {
        connections.accepted(&mut host, flow(id), FAR, HERE, None);
        if id == 1 {
            put(&mut connections, &mut host, flow(1), &request("l: 0\r\n", ""));
        }
    }
    assert_eq!((next_closed(&mut connections), connections.flows().len()), (Some(flow(2)), 2));
    put(&mut connections, &mut host, flow(3), &request("l: 0\r\n", ""));
    connections.accepted(&mut host, flow(4), FAR, HERE, None);
    assert!(!connections.contains(flow(4)) && connections.contains(flow(1)));
}

#[test]
fn one_source_does_not_take_all_the_room() {
    let mut host = TestHost::new(1);
    let mut connections =
        Connections::new(ConnectionLimits { per_source: 2, ..ConnectionLimits::default() });
    let flow = |id| Flow { transport: Transport::Tcp, id };
    let far = |text: &str| -> SocketAddr { text.parse().unwrap() };
    for (id, from) in ["192.0.2.7:1", "[::ffff:192.0.2.7]:2", "[2001:db8::1]:3", "[2001:db8::2]:4"]
        .into_iter()
        .enumerate()
    {
        connections.accepted(&mut host, flow(id as u64), far(from), HERE, None);
        put(&mut connections, &mut host, flow(id as u64), &request("l: 0\r\n", ""));
    }
    assert_eq!(connections.flows().len(), 4);
    connections.accepted(&mut host, flow(4), far("192.0.2.7:5"), HERE, None);
    connections.accepted(&mut host, flow(5), far("[2001:db8::3]:6"), HERE, None);
    assert!(!connections.contains(flow(4)) && !connections.contains(flow(5)), "both have two");
    // Its own silent one goes first, nobody else's.
    connections.accepted(&mut host, flow(6), FAR, HERE, None);
    connections.closed(flow(0));
    connections.accepted(&mut host, flow(7), far("192.0.2.7:7"), HERE, None);
    connections.accepted(&mut host, flow(8), far("192.0.2.7:8"), HERE, None);
    let there: Vec<u64> = connections.flows().iter().map(|flow| flow.id).collect();
    assert_eq!(there, [1, 2, 3, 6, 8]);
}

#[test]
fn our_own_connections_are_bounded_though_they_are_kept_alive() {
    let mut host = TestHost::new(1);
    let mut connections =
        Connections::new(ConnectionLimits { opened: 2, ..ConnectionLimits::default() });
    let flow = |id| Flow { transport: Transport::Tcp, id };
    let ping = |connections: &mut Connections, host: &mut TestHost| {
        for id in 1..=4 {
            put(connections, host, flow(id), "\r\n\r\n");
        }
        host.now += Duration::from_secs(20);
        connections.handle_deadline(host, |used, _| used == flow(1));
        connections.flows().iter().map(|flow| flow.id).collect::<Vec<u64>>()
    };
    let mut there = Vec::new();
    for id in 1..=3 {
        open(&mut connections, &mut host, flow(id));
        there = ping(&mut connections, &mut host);
    }
    assert_eq!(there, [1, 3], "1 is in use, 2 the oldest else");
    put(&mut connections, &mut host, flow(3), &request("l: 0\r\n", ""));
    open(&mut connections, &mut host, flow(4));
    assert_eq!(ping(&mut connections, &mut host), [1, 3, 4], "it may have something under way");
    put(&mut connections, &mut host, flow(3), &request("l: 0\r\n", ""));
    assert_eq!(ping(&mut connections, &mut host), [1, 3], "4 has had no message for longest");
    // Where nothing comes that is seen to in time too.
    open(&mut connections, &mut host, flow(5));
    wait(&mut connections, &mut host, false);
    assert_eq!(connections.flows().len(), 2);
}

#[test]
fn an_opening_is_shared_by_those_who_want_the_same() {
    let mut host = TestHost::new(1);
    let mut connections = Connections::<()>::default();
    let to = |transport, name: &str| Destination::new(transport, FAR, name);
    let (first, other) = (to(Transport::Tls, "a.example"), to(Transport::Tls, "b.example"));
    for (id, destination) in [(1, &first), (2, &other), (3, &first), (4, &first)] {
        connections.open(&mut host, RequestId(id), destination.clone());
    }
    assert_eq!(host.asked, [RequestId(1), RequestId(2)]);
    connections.forget_waiters(|id| id == RequestId(1) || id == RequestId(2));
    let flow = |id| Flow { transport: Transport::Tls, id };
    let opening = connections.opened(&mut host, RequestId(1), flow(1), HERE, None).unwrap();
    assert_eq!(
        (opening.destination, opening.waiters),
        (first.clone(), [3, 4].map(RequestId).into())
    );
    assert_eq!((connections.find(&first), connections.find(&other)), (Some(flow(1)), None));
    assert_eq!(connections.find_at(Transport::Tls, FAR), Some(flow(1)), "by whatever name");
    assert_eq!(connections.find_at(Transport::Tcp, FAR), None);
    // Nobody waits for the other any more.
    assert!(connections.opened(&mut host, RequestId(2), flow(2), HERE, None).is_none());
    assert_eq!((&host.closed[..], connections.flows()), (&[flow(2)][..], vec![flow(1)]));
    // One UDP socket is for every port of a host, and is not closed when it comes late.
    for (id, port) in [(5, 5060), (6, 5070)] {
        let to = SocketAddr::new(FAR.ip(), port);
        connections.open(&mut host, RequestId(id), Destination::new(Transport::Udp, to, "x"));
    }
    assert_eq!(host.asked.last(), Some(&RequestId(5)));
    let udp = Flow { transport: Transport::Udp, id: 3 };
    let opening = connections.opened(&mut host, RequestId(5), udp, HERE, None).unwrap();
    assert_eq!(opening.waiters, [5, 6].map(RequestId));
    assert!(connections.opened(&mut host, RequestId(5), udp, HERE, None).is_none());
    assert_eq!((host.closed.len(), connections.contains(udp)), (1, false));
}

#[test]
fn a_connection_is_shared_until_it_is_over_or_the_network_changes() {
    let mut host = TestHost::new(1);
    let mut connections = Connections::default();
    let destination = Destination::new(Transport::Tcp, FAR, "7");
    open(&mut connections, &mut host, TCP);
    connections.open(&mut host, RequestId(9), Destination::new(Transport::Ws, FAR, "8"));
    connections.renew();
    assert_eq!((connections.find(&destination), connections.contains(TCP)), (None, true));
    assert!(connections.opened(&mut host, RequestId(9), WS, HERE, None).is_none());
    let newer = Flow { id: 70, ..TCP };
    connections.open(&mut host, RequestId(10), destination.clone());
    connections.opened(&mut host, RequestId(10), newer, HERE, None).unwrap();
    connections.closed(TCP);
    assert_eq!(
        connections.find(&destination),
        Some(newer),
        "the older one was not shared any more"
    );
    connections.close(&mut host, newer);
    assert_eq!(connections.find(&destination), None);
}

#[test]
fn a_connection_is_closed_when_its_last_user_leaves() {
    let mut host = TestHost::new(1);
    let mut connections = Connections::<u8>::default();
    connections.accepted(&mut host, TCP, FAR, HERE, None);
    connections.accepted(&mut host, WS, FAR, HERE, None);
    assert!(connections.join(TCP, 1) && connections.join(TCP, 2) && !connections.join(TCP, 1));
    assert!(connections.join(WS, 2));
    connections.leave(&mut host, TCP, 1);
    connections.leave(&mut host, TCP, 1);
    assert_eq!((connections.users(TCP), host.closed.len()), (vec![2], 0));
    connections.leave_all(&mut host, 2);
    assert_eq!((&host.closed[..], connections.flows().len()), (&[TCP, WS][..], 0));
    // Who still uses one that ends is named.
    connections.accepted(&mut host, TCP, FAR, HERE, None);
    assert!(connections.join(TCP, 3));
    connections.closed(TCP);
    let ended = core::iter::from_fn(|| connections.next_closed()).last().unwrap();
    assert_eq!((ended.flow, ended.far, ended.users.iter().next()), (TCP, Some(FAR), Some(&3)));
}

#[test]
fn the_certificate_of_a_flow_has_to_name_who_was_asked_for() {
    let mut host = TestHost::new(1);
    let mut connections = Connections::<()>::default();
    let flow = Flow { transport: Transport::Tls, id: 1 };
    let shown =
        |name: &str| Identities { dns_names: vec![name.to_owned()], ..Identities::default() };
    let (good, bad) = (shown("a.example"), shown("b.example"));
    connections.open(&mut host, RequestId(1), Destination::new(flow.transport, FAR, "a.example"));
    assert!(connections.distrust(RequestId(1), flow, Some(&bad)).is_some());
    assert!(connections.distrust(RequestId(1), flow, None).is_some());
    assert_eq!(connections.distrust(RequestId(1), flow, Some(&good)), None);
    connections.opened(&mut host, RequestId(1), flow, HERE, Some(&good)).unwrap();
    assert_eq!(connections.certificate(flow).as_deref(), Some(&good));
}

#[test]
fn what_another_has_decoded_keeps_a_connection_up() {
    let mut host = TestHost::new(1);
    let mut connections = accepted(&mut host, TCP);
    let message = Decoded::Message(Message::parse(request("", "").as_bytes()).unwrap());
    assert!(!connections.note(&mut host, WS, &message), "there is none");
    assert!(connections.note(&mut host, TCP, &message));
    host.now += Duration::from_secs(800);
    assert!(connections.note(&mut host, TCP, &Decoded::Pong));
    while connections.contains(TCP) {
        wait(&mut connections, &mut host, false);
    }
    assert_eq!(host.now.as_micros() / 1_000_000, 1_700);
}
