//! The layer: what it tells its user and what it puts on the wire.

use core::fmt::Write as _;
use core::net::SocketAddr;

use super::testing::{FLOW, TestHost, address, instant};
use super::*;
use crate::host::Host;
use crate::sip::{HeaderName, Writer, reason_phrase};

const ALICE: SocketAddr = address(1);
const BOB: SocketAddr = address(2);

/// A request of Alice's, with extra header lines.
fn text(method: &str, via: &str, to: &str, extra: &str) -> String {
    let mut text =
        format!("{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\n");
    let _ = write!(text, "From: \"Alice\" <sip:alice@192.0.2.1>;tag=alice\r\nTo: {to}\r\n");
    let _ = write!(text, "Call-ID: call@192.0.2.1\r\nCSeq: 7 {method}\r\n{extra}");
    text + "Content-Length: 0\r\n\r\n"
}

fn parse(text: &str) -> Message {
    Message::parse(text.as_bytes()).expect("the test's message is SIP")
}

fn via(branch: &str) -> String {
    format!("SIP/2.0/UDP 192.0.2.1:5060;rport;branch={branch}")
}

fn request(method: &str, branch: &str) -> Message {
    parse(&text(method, &via(branch), "<sip:bob@192.0.2.2>", ""))
}

fn response(request: &Message, status: u16, tag: Option<&str>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let reason = reason_phrase(status);
    Writer::response_to(&mut bytes, request, status, reason, tag, Some(ALICE)).finish();
    bytes
}

/// A layer with its host.
struct Side {
    layer: Layer,
    host: TestHost,
}

impl Side {
    fn new(limits: Limits) -> Self {
        let mut host = TestHost::new(7);
        Self { layer: Layer::new(&mut host, limits), host }
    }

    fn receive(&mut self, from: SocketAddr, message: &Message) -> Option<Received> {
        let received = self.layer.handle_message(&mut self.host, FLOW, from, message.clone());
        self.layer.check();
        received
    }

    fn request(&mut self, method: Method, branch: &str) -> ClientId {
        let text = text(method.as_str(), &via(branch), "<sip:bob@192.0.2.2>", ROUTES);
        self.layer.request(&mut self.host, FLOW, BOB, &method, branch, text.as_bytes())
    }

    fn respond(&mut self, id: ServerId, request: &Message, status: u16) {
        let bytes = response(request, status, Some("bob"));
        self.layer.respond(&mut self.host, id, status, &bytes);
        self.layer.check();
    }

    /// Lets every timer fire at its instant, up to `millis`: the failures and when they came.
    fn run(&mut self, millis: u64) -> Vec<(u64, Failure)> {
        let mut failures = Vec::new();
        while let Some(due) = self.layer.next_deadline().filter(|due| *due <= instant(millis)) {
            self.host.now = due;
            self.layer.handle_deadline(&mut self.host);
            self.layer.check();
            while let Some(failure) = self.layer.next_event() {
                failures.push((due.as_micros() / 1_000, failure));
            }
        }
        self.host.now = instant(millis);
        failures
    }

    /// The status codes, or methods, of what was sent since.
    fn sent(&mut self) -> Vec<String> {
        let name = |message: &Message| {
            message.status().map_or(message.method().to_string(), |status| status.to_string())
        };
        self.host.take().iter().map(name).collect()
    }

    /// Takes a request that must be new.
    fn accept(&mut self, message: &Message) -> ServerId {
        match self.receive(ALICE, message) {
            Some(Received::Request { id, flow, from, .. }) => {
                assert_eq!((flow, from), (FLOW, ALICE));
                id
            }
            other => panic!("not a new request: {other:?}"),
        }
    }
}

const ROUTES: &str = "Route: <sip:p1.example.com;lr>\r\nRoute: <sip:p2.example.com;lr>\r\n";

fn is_response(received: Option<Received>, to: ClientId) -> bool {
    matches!(received, Some(Received::Response { id, .. }) if id == to)
}

#[test]
fn a_request_and_its_response() {
    let mut alice = Side::new(Limits::default());
    let id = alice.request(Method::Options, "z9hG4bKa");
    assert_eq!(alice.sent(), ["OPTIONS"]);
    let ok = parse_bytes(&response(&request("OPTIONS", "z9hG4bKa"), 200, Some("bob")));
    assert!(is_response(alice.receive(BOB, &ok), id));
    assert!(alice.receive(BOB, &ok).is_none(), "a copy is absorbed");
    assert_eq!(alice.layer.counters().absorbed_responses, 1);
    assert_eq!(alice.run(60_000), []);
    assert!(alice.layer.is_empty() && alice.layer.next_deadline().is_none());
    assert!(matches!(alice.receive(BOB, &ok), Some(Received::StrayResponse { from: BOB, .. })));
    assert_eq!(alice.layer.counters().stray_responses, 1);
}

fn parse_bytes(bytes: &[u8]) -> Message {
    Message::parse(bytes).expect("the test's message is SIP")
}

/// §17.1.3: the branch and the method of CSeq; CANCEL has its INVITE's branch.
#[test]
fn responses_find_their_request() {
    let mut alice = Side::new(Limits::default());
    let invite = alice.request(Method::Invite, "z9hG4bKa");
    let options = alice.request(Method::Options, "z9hG4bKb");
    let to = |method, branch| parse_bytes(&response(&request(method, branch), 180, Some("bob")));
    assert!(is_response(alice.receive(BOB, &to("INVITE", "z9hG4bKa")), invite));
    assert!(is_response(alice.receive(BOB, &to("INVITE", "Z9HG4BKA")), invite), "§7.3.1");
    assert!(is_response(alice.receive(BOB, &to("OPTIONS", "z9hG4bKb")), options));
    for (method, branch) in [("INVITE", "z9hG4bKb"), ("OPTIONS", "z9hG4bKa"), ("BYE", "z9hG4bKa")] {
        let received = alice.receive(BOB, &to(method, branch));
        assert!(matches!(received, Some(Received::StrayResponse { .. })), "{method} {branch}");
    }
    alice.host.take();
    let cancel = alice.layer.cancel(&mut alice.host, invite).expect("it was ringing");
    assert!(is_response(alice.receive(BOB, &to("CANCEL", "z9hG4bKa")), cancel));
}

/// §17.1.1.3, its example with Route.
#[test]
fn the_ack_of_a_rejection_is_made_from_the_request() {
    let mut alice = Side::new(Limits::default());
    let id = alice.request(Method::Invite, "z9hG4bKa");
    let invite = alice.host.take().remove(0);
    let busy = parse_bytes(&response(&invite, 486, Some("bob")));
    assert!(is_response(alice.receive(BOB, &busy), id));
    let expected = "ACK sip:bob@192.0.2.2 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKa\r\n\
        Max-Forwards: 70\r\n\
        Route: <sip:p1.example.com;lr>\r\n\
        Route: <sip:p2.example.com;lr>\r\n\
        From: \"Alice\" <sip:alice@192.0.2.1>;tag=alice\r\n\
        To: <sip:bob@192.0.2.2>;tag=bob\r\n\
        Call-ID: call@192.0.2.1\r\n\
        CSeq: 7 ACK\r\n\
        Content-Length: 0\r\n\r\n";
    let (to, bytes) = alice.host.sent.remove(0);
    assert_eq!((to, String::from_utf8(bytes).as_deref()), (BOB, Ok(expected)));
    assert!(alice.receive(BOB, &busy).is_none());
    assert_eq!(alice.host.sent.remove(0).1, expected.as_bytes(), "again for each copy");
    assert_eq!(alice.run(31_999), []);
    assert_eq!(alice.layer.len(), 1);
    alice.run(32_000);
    assert!(alice.layer.is_empty());
}

/// §9.1.
#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut alice = Side::new(Limits::default());
    let id = alice.request(Method::Invite, "z9hG4bKa");
    let invite = alice.host.take().remove(0);
    assert_eq!(alice.layer.cancel(&mut alice.host, id), None);
    alice.receive(BOB, &parse_bytes(&response(&invite, 180, Some("bob"))));
    assert!(alice.layer.cancel(&mut alice.host, id).is_some());
    assert_eq!(alice.layer.cancel(&mut alice.host, id), None, "once");
    let expected = "CANCEL sip:bob@192.0.2.2 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKa\r\n\
        Max-Forwards: 70\r\n\
        Route: <sip:p1.example.com;lr>\r\n\
        Route: <sip:p2.example.com;lr>\r\n\
        From: \"Alice\" <sip:alice@192.0.2.1>;tag=alice\r\n\
        To: <sip:bob@192.0.2.2>\r\n\
        Call-ID: call@192.0.2.1\r\n\
        CSeq: 7 CANCEL\r\n\
        Content-Length: 0\r\n\r\n";
    assert_eq!(String::from_utf8(alice.host.sent.remove(0).1).as_deref(), Ok(expected));
    let failures = alice.run(32_000);
    assert_eq!(failures.len(), 2, "the CANCEL, and the INVITE that nobody answers: {failures:?}");
    let mut alice = Side::new(Limits::default());
    let id = alice.request(Method::Invite, "z9hG4bKa");
    alice.receive(BOB, &parse_bytes(&response(&invite, 200, Some("bob"))));
    assert_eq!(alice.layer.cancel(&mut alice.host, id), None, "too late");
}

#[test]
fn an_abandoned_request_is_forgotten() {
    let mut alice = Side::new(Limits::default());
    let id = alice.request(Method::Invite, "z9hG4bKa");
    assert!(alice.layer.contains_client(id));
    alice.layer.abandon(id);
    assert!(!alice.layer.contains_client(id) && alice.layer.is_empty());
    assert_eq!((alice.layer.next_deadline(), alice.layer.next_event()), (None, None));
    alice.layer.handle_send_failed(&mut alice.host, FLOW, BOB);
    assert_eq!(alice.layer.next_event(), None);
}

#[test]
fn a_copy_of_a_request_gets_a_copy_of_the_response() {
    let mut bob = Side::new(Limits::default());
    let options = request("OPTIONS", "z9hG4bKa");
    let id = bob.accept(&options);
    assert!(bob.receive(ALICE, &options).is_none());
    assert_eq!(bob.sent(), [""; 0]);
    bob.respond(id, &options, 200);
    assert!(bob.receive(ALICE, &options).is_none());
    assert_eq!(bob.sent(), ["200", "200"]);
    assert_eq!(bob.layer.counters().absorbed_requests, 2);
    bob.respond(id, &options, 500);
    assert_eq!((bob.sent(), bob.layer.counters().late_responses), (vec![], 1));
    assert_eq!(bob.run(31_999), []);
    assert!(bob.layer.contains_server(id));
    bob.run(32_000);
    assert!(bob.layer.is_empty());
    bob.respond(id, &options, 500);
    assert_eq!((bob.sent(), bob.layer.counters().late_responses), (vec![], 2));
}

/// §17.2.3: branch, sent-by and method.
#[test]
fn requests_find_their_transaction() {
    let mut bob = Side::new(Limits { merged_requests_are_loops: false, ..Limits::default() });
    let via = |sent_by: &str, branch: &str| format!("SIP/2.0/UDP {sent_by};branch={branch}");
    let mut seen = |method: &str, via: &str| {
        bob.receive(ALICE, &parse(&text(method, via, "<sip:bob@192.0.2.2>", ""))).is_none()
    };
    assert!(!seen("OPTIONS", &via("example.com", "z9hG4bKa")));
    assert!(seen("OPTIONS", &via("example.com", "z9hG4bKa")));
    assert!(seen("OPTIONS", &via("EXAMPLE.com", "z9hG4bKA")), "§7.3.1");
    assert!(!seen("OPTIONS", &via("example.com:5070", "z9hG4bKa")), "another sender");
    assert!(!seen("OPTIONS", &via("example.org", "z9hG4bKa")), "another sender");
    assert!(!seen("OPTIONS", &via("example.com", "z9hG4bKab")), "another branch");
    assert!(!seen("MESSAGE", &via("example.com", "z9hG4bKa")), "another method");
    let options = text("OPTIONS", &via("example.com", "z9hG4bKa"), "<sip:bob@192.0.2.2>", "");
    let other = parse(&options.replace("CSeq: 7", "CSeq: 8"));
    assert!(bob.receive(ALICE, &other).is_some(), "pyVoIP keeps the branch when it authenticates");
    let mut seen = |method: &str, via: &str| {
        bob.receive(ALICE, &parse(&text(method, via, "<sip:bob@192.0.2.2>", ""))).is_none()
    };
    // Without the cookie the branch is not enough, but all together is.
    assert!(!seen("OPTIONS", &via("example.com", "1")));
    assert!(seen("OPTIONS", &via("example.com", "1")));
    assert!(!seen("OPTIONS", &via("example.com", "2")));
    assert!(!seen("OPTIONS", "SIP/2.0/UDP example.com"));
    assert!(seen("OPTIONS", "SIP/2.0/UDP example.com"));
    assert!(!seen("OPTIONS", &via("example.com", "z9hG4bK")), "a cookie alone is none");
}

/// §17.2.3's second list: each of its parts makes another request.
#[test]
fn requests_of_rfc_2543_are_compared_whole() {
    let mut bob = Side::new(Limits { merged_requests_are_loops: false, ..Limits::default() });
    let base = text("INVITE", "SIP/2.0/UDP a.example.com", "<sip:bob@192.0.2.2>;tag=b", "");
    for (from, to) in [
        ("", ""),
        ("sip:bob@192.0.2.2 SIP", "sip:bob@192.0.2.3 SIP"),
        (";tag=alice", ";tag=other"),
        (";tag=b", ";tag=c"),
        (";tag=b", ""),
        ("call@", "another@"),
        ("CSeq: 7", "CSeq: 8"),
        ("a.example.com", "b.example.com"),
    ] {
        let other = parse(&base.replacen(from, to, 1));
        assert!(bob.receive(ALICE, &other).is_some(), "{from} is {to}");
        assert!(bob.receive(ALICE, &other).is_none(), "{from} is {to}, again");
    }
}

#[test]
fn an_invite_gets_100_when_the_user_is_slow() {
    let mut bob = Side::new(Limits::default());
    let invite = request("INVITE", "z9hG4bKa");
    bob.accept(&invite);
    bob.run(199);
    assert!(bob.host.sent.is_empty());
    bob.run(200);
    let trying = bob.host.take().remove(0);
    assert_eq!((trying.status(), trying.to_tag()), (Some(100), None), "§17.2.1: no tag");
    assert!(bob.receive(ALICE, &invite).is_none());
    assert_eq!(bob.sent(), ["100"]);
    assert_eq!(bob.run(1_000_000), [], "it waits for its user");
    let mut bob = Side::new(Limits::default());
    let id = bob.accept(&invite);
    bob.respond(id, &invite, 180);
    bob.run(60_000);
    assert_eq!(bob.sent(), ["180"]);
}

/// RFC 4320 §4.1, §4.2.
#[test]
fn other_requests_get_100_late_and_are_given_up() {
    let mut bob = Side::new(Limits::default());
    let id = bob.accept(&request("OPTIONS", "z9hG4bKa"));
    bob.run(3_499);
    assert!(bob.host.sent.is_empty());
    let failures = bob.run(60_000);
    assert_eq!(bob.sent(), ["100"]);
    let cause = FailureCause::Timeout;
    assert_eq!(failures, [(32_000, Failure::ServerFailed { id, cause })]);
    assert!(bob.layer.is_empty());
}

#[test]
fn a_rejection_is_repeated_until_its_ack() {
    let mut bob = Side::new(Limits::default());
    let invite = request("INVITE", "z9hG4bKa");
    let id = bob.accept(&invite);
    bob.respond(id, &invite, 486);
    bob.run(1_600);
    assert_eq!(bob.sent(), ["486"; 3]);
    let ack = request("ACK", "z9hG4bKa");
    assert!(bob.receive(ALICE, &ack).is_none() && bob.receive(ALICE, &ack).is_none());
    assert!(bob.receive(ALICE, &invite).is_none());
    assert_eq!(bob.run(6_599), []);
    assert!(bob.sent().is_empty() && bob.layer.contains_server(id));
    bob.run(6_600);
    assert!(bob.layer.is_empty());
    assert!(matches!(bob.receive(ALICE, &ack), Some(Received::Ack { from: ALICE, .. })));
}

#[test]
fn without_ack_a_rejection_fails() {
    let mut bob = Side::new(Limits::default());
    let invite = request("INVITE", "z9hG4bKa");
    let id = bob.accept(&invite);
    bob.respond(id, &invite, 486);
    let cause = FailureCause::Timeout;
    assert_eq!(bob.run(60_000), [(32_000, Failure::ServerFailed { id, cause })]);
    assert_eq!((bob.sent().len(), bob.layer.counters().retransmissions), (11, 10));
}

#[test]
fn an_accepted_invite_is_absorbed_and_its_ack_passed_on() {
    let mut bob = Side::new(Limits::default());
    let invite = request("INVITE", "z9hG4bKa");
    let id = bob.accept(&invite);
    bob.respond(id, &invite, 200);
    assert!(bob.receive(ALICE, &invite).is_none(), "RFC 6026: absorbed");
    bob.respond(id, &invite, 200);
    assert_eq!(bob.sent(), ["200", "200"], "the user repeats it");
    // An ACK of a 2xx has a branch of its own; that of a client that knows no better has not.
    for branch in ["z9hG4bKb", "z9hG4bKa"] {
        let ack = request("ACK", branch);
        assert!(matches!(bob.receive(ALICE, &ack), Some(Received::Ack { .. })), "{branch}");
    }
    assert_eq!(bob.run(32_000), []);
    assert!(bob.layer.is_empty());
}

/// §17.2.3, RFC 6026 §7.1.
#[test]
fn an_ack_of_rfc_2543_matches_by_the_response() {
    let via = "SIP/2.0/UDP 192.0.2.1:5060";
    let invite = parse(&text("INVITE", via, "<sip:bob@192.0.2.2>", ""));
    let ack = |to: &str| parse(&text("ACK", via, to, ""));
    let mut bob = Side::new(Limits::default());
    let id = bob.accept(&invite);
    bob.respond(id, &invite, 486);
    let stray = bob.receive(ALICE, &ack("<sip:bob@192.0.2.2>;tag=other"));
    assert!(matches!(stray, Some(Received::Ack { .. })));
    assert!(bob.receive(ALICE, &ack("<sip:bob@192.0.2.2>;tag=bob")).is_none());
    assert!(bob.receive(ALICE, &ack("<sip:bob@192.0.2.2>;tag=bob")).is_none());
    assert_eq!(bob.run(60_000), [], "it was acknowledged");
    assert!(bob.layer.is_empty());

    let id = bob.accept(&invite);
    bob.respond(id, &invite, 200);
    let received = bob.receive(ALICE, &ack("<sip:bob@192.0.2.2>;tag=bob"));
    assert!(matches!(received, Some(Received::Ack { .. })), "accepted: to the user");
}

/// §9.2.
#[test]
fn cancel_finds_what_it_cancels() {
    for via in ["SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa", "SIP/2.0/UDP 192.0.2.1:5060"] {
        let mut bob = Side::new(Limits::default());
        let make = |method: &str| parse(&text(method, via, "<sip:bob@192.0.2.2>", ""));
        let invite = bob.accept(&make("INVITE"));
        let cancel = make("CANCEL");
        let id = bob.accept(&cancel);
        assert_ne!(id, invite);
        assert_eq!(bob.layer.server_for_cancel(&cancel), Some(invite));
        let other = request("CANCEL", "z9hG4bKother");
        assert_eq!(bob.layer.server_for_cancel(&other), None);
        let mut bob = Side::new(Limits::default());
        let options = bob.accept(&make("OPTIONS"));
        assert_eq!(bob.layer.server_for_cancel(&cancel), Some(options));
    }
}

/// §8.2.2.2.
#[test]
fn a_request_that_came_another_way_is_a_loop() {
    let mut bob = Side::new(Limits::default());
    let first = request("INVITE", "z9hG4bKa");
    let id = bob.accept(&first);
    let merged = request("INVITE", "z9hG4bKb");
    assert!(bob.receive(ALICE, &merged).is_none());
    let loop_detected = bob.host.take().remove(0);
    assert_eq!(loop_detected.status(), Some(482));
    assert!(loop_detected.to_tag().is_some_and(|tag| tag.len() == 16));
    assert!(bob.receive(ALICE, &merged).is_none());
    assert_eq!(bob.sent(), ["482"]);
    assert!(bob.receive(ALICE, &request("ACK", "z9hG4bKb")).is_none());
    assert_eq!(bob.layer.counters().merged, 1);
    // Who was refused is not under way any more: a challenged client may come again without a new
    // CSeq, and a hunt whose first branch was cancelled by another.
    bob.respond(id, &first, 401);
    let second = request("INVITE", "z9hG4bKc");
    let id = bob.accept(&second);
    bob.respond(id, &second, 487);
    let third = request("INVITE", "z9hG4bKf");
    let id = bob.accept(&third);
    // Who was accepted is.
    bob.respond(id, &third, 200);
    assert!(bob.receive(ALICE, &request("INVITE", "z9hG4bKg")).is_none());
    assert_eq!(bob.layer.counters().merged, 2);
    // Within a dialog nothing is merged.
    for branch in ["z9hG4bKd", "z9hG4bKe"] {
        bob.accept(&parse(&text("BYE", &via(branch), "<sip:bob@192.0.2.2>;tag=bob", "")));
    }
    // A proxy lets it pass.
    let mut proxy = Side::new(Limits { merged_requests_are_loops: false, ..Limits::default() });
    proxy.accept(&first);
    proxy.accept(&merged);
}

/// §18.2.2, RFC 3581 §4: also what is repeated, and 503 of a full table. Nothing in Via sends a
/// response to another host.
#[test]
fn responses_go_to_the_source_at_the_port_that_is_asked_for() {
    let nat: SocketAddr = "198.51.100.9:40000".parse().expect("an address");
    for (via, port) in [
        ("192.0.2.1:5060;rport", 40_000),
        ("192.0.2.1:5070", 5_070),
        ("example.com", 5_060),
        ("192.0.2.1;maddr=192.0.2.99", 5_060),
        ("192.0.2.1;received=192.0.2.99;rport=9", 40_000),
    ] {
        let mut bob = Side::new(Limits { transactions: 1, ..Limits::default() });
        let via = format!("SIP/2.0/UDP {via};branch=z9hG4bKa");
        let options = parse(&text("OPTIONS", &via, "<sip:bob@192.0.2.2>", ""));
        let Some(Received::Request { id, .. }) = bob.receive(nat, &options) else {
            panic!("a new request")
        };
        bob.respond(id, &options, 200);
        bob.receive(nat, &options);
        bob.receive(nat, &parse(&text("INVITE", &via, "<sip:bob@192.0.2.2>", "")));
        let to: Vec<SocketAddr> = bob.host.sent.iter().map(|(to, _)| *to).collect();
        assert_eq!(to, [SocketAddr::new(nat.ip(), port); 3], "200, 200, 503: {via}");
    }
}

#[test]
fn a_full_table_refuses_and_keeps_nothing() {
    let limits = Limits { transactions: 16, ..Limits::default() };
    let mut bob = Side::new(limits);
    let options = |n: u32| {
        let text = text("OPTIONS", &via(&format!("z9hG4bK{n}")), "<sip:bob@192.0.2.2>", "");
        parse(&text.replace("call@", &format!("{n}@")))
    };
    for n in 0..16 {
        bob.accept(&options(n));
    }
    for n in 16..1_000 {
        assert!(bob.receive(ALICE, &options(n)).is_none());
    }
    assert_eq!((bob.layer.len(), bob.layer.counters().refused), (16, 984));
    let answers = bob.host.take();
    assert_eq!(answers.len(), 984);
    let retry = answers.iter().map(|m| (m.status(), m.header(HeaderName::RetryAfter)));
    assert!(retry.eq(core::iter::repeat_n((Some(503), Some("10")), 984)));
    assert!(answers.iter().all(|answer| answer.to_tag().is_some()));
    // §8.2.7: a copy gets the same tag.
    bob.receive(ALICE, &options(16));
    assert_eq!(bob.host.take()[0].to_tag(), answers[0].to_tag());
    // One more that ends something, and then no more at all.
    let bye = |branch| parse(&text("BYE", &via(branch), "<sip:bob@192.0.2.2>;tag=bob", ""));
    bob.accept(&bye("z9hG4bKbye"));
    assert!(bob.receive(ALICE, &bye("z9hG4bKbye2")).is_none());
    assert_eq!(bob.sent(), ["503"]);
    // Nor for requests of ours.
    let id = bob.request(Method::Options, "z9hG4bKours");
    let cause = FailureCause::Refused;
    assert_eq!(bob.layer.next_event(), Some(Failure::ClientFailed { id, cause }));
    assert_eq!((bob.sent(), bob.layer.len()), (vec![], 17));
    // And there is room again.
    bob.run(32_000);
    assert!(bob.layer.is_empty());
    bob.accept(&options(5_000));
}

#[test]
fn a_transport_error_ends_requests_that_are_under_way() {
    let mut alice = Side::new(Limits::default());
    let invite = alice.request(Method::Invite, "z9hG4bKa");
    let options = alice.request(Method::Options, "z9hG4bKb");
    let ringing = alice.request(Method::Invite, "z9hG4bKc");
    let done = alice.request(Method::Options, "z9hG4bKd");
    alice.receive(BOB, &parse_bytes(&response(&request("INVITE", "z9hG4bKc"), 180, None)));
    alice.receive(BOB, &parse_bytes(&response(&request("OPTIONS", "z9hG4bKd"), 200, None)));
    alice.layer.handle_send_failed(&mut alice.host, FLOW, ALICE);
    assert_eq!(alice.layer.next_event(), None, "another address");
    alice.layer.handle_send_failed(&mut alice.host, FLOW, BOB);
    let mut failed = Vec::new();
    while let Some(failure) = alice.layer.next_event() {
        failed.push(failure);
    }
    let cause = FailureCause::Transport;
    assert_eq!(
        failed,
        [options, invite].map(|id| Failure::ClientFailed { id, cause }),
        "what rings or is over has nothing under way"
    );
    assert!(alice.layer.contains_client(ringing) && alice.layer.contains_client(done));
    assert!(!alice.layer.contains_client(invite) && !alice.layer.contains_client(options));
    alice.layer.handle_send_failed(&mut alice.host, FLOW, BOB);
    assert_eq!(alice.layer.next_event(), None);
    assert_eq!(alice.layer.counters().transport_errors, 2);
}

#[test]
fn a_transport_error_is_told_once_for_what_was_sent() {
    let mut bob = Side::new(Limits::default());
    let invite = request("INVITE", "z9hG4bKa");
    let id = bob.accept(&invite);
    let told = |bob: &mut Side| {
        bob.layer.handle_send_failed(&mut bob.host, FLOW, ALICE);
        bob.layer.check();
        core::iter::from_fn(|| bob.layer.next_event()).collect::<Vec<_>>()
    };
    let failed = [Failure::ServerFailed { id, cause: FailureCause::Transport }];
    assert_eq!(told(&mut bob), [], "nothing was sent");
    bob.respond(id, &invite, 180);
    assert_eq!((told(&mut bob), told(&mut bob)), (failed.to_vec(), vec![]));
    bob.respond(id, &invite, 200);
    assert_eq!((told(&mut bob), told(&mut bob)), (failed.to_vec(), vec![]));
    assert!(bob.receive(ALICE, &invite).is_none(), "RFC 6026: it stays and absorbs");
    assert_eq!(bob.run(32_000), []);
    assert!(bob.layer.is_empty());
}

#[test]
fn a_branch_is_new_each_time() {
    let mut host = TestHost::new(1);
    let host: &mut dyn Host = &mut host;
    let (a, b) = (Layer::new_branch(host), Layer::new_branch(host));
    assert_ne!(a, b);
    assert!(a.starts_with("z9hG4bK") && a.len() == 39, "{a}");
}

/// An accepted call costs its entry and nothing more while it lingers.
#[test]
fn an_entry_is_small() {
    assert!(size_of::<super::entry::Entry>() <= 256, "{}", size_of::<super::entry::Entry>());
}
