//! Two layers with a wire between them that loses, doubles and delays.

use core::net::SocketAddr;

use super::testing::{FLOW, TestHost, address, instant};
use super::*;
use crate::host::{Entropy, Transport};
use crate::sip::{HeaderName, Writer, reason_phrase};
use crate::time::Instant;

const ALICE: SocketAddr = address(1);
const BOB: SocketAddr = address(2);
const DELAY: Duration = Duration::from_millis(40);

/// What becomes of the `n`th datagram: how many copies arrive.
type Fate<'f> = dyn Fn(usize) -> usize + 'f;

/// Alice's request to Bob, who answers with `answers` at once and, if the last is a 2xx to INVITE,
/// repeats it until ACK comes.
struct Wire<'f> {
    alice: Layer,
    bob: Layer,
    host: TestHost,
    fate: &'f Fate<'f>,
    sent: usize,
    flying: Vec<(Instant, SocketAddr, Vec<u8>)>,
    method: Method,
    answers: &'static [u16],
    log: Log,
    /// Bob's 2xx and when to repeat it.
    accepted: Option<(ServerId, Vec<u8>, Instant, Duration)>,
}

/// What the two users saw.
#[derive(Default, Debug, PartialEq, Eq)]
struct Log {
    alice: Vec<u16>,
    alice_failed: bool,
    requests: usize,
    acknowledged: bool,
    bob_failed: bool,
}

impl Log {
    /// Something came, but nothing final.
    fn rings(&self) -> bool {
        self.alice.last().is_some_and(|status| *status < 200)
    }
}

fn run(method: Method, answers: &'static [u16], fate: &Fate<'_>) -> (Log, usize) {
    let mut host = TestHost::new(3);
    let (alice, bob) =
        (Layer::new(&mut host, Limits::default()), Layer::new(&mut host, Limits::default()));
    let (sent, flying, log, accepted) = (0, Vec::new(), Log::default(), None);
    let mut wire = Wire { alice, bob, host, fate, sent, flying, method, answers, log, accepted };
    let id = wire.start();
    while wire.step() {}
    if wire.log.rings() {
        // How long it may ring is the user's business.
        wire.alice.abandon(id);
    }
    assert!(wire.alice.is_empty() && wire.bob.is_empty(), "every machine ends");
    assert!(wire.host.now <= instant(2 * 64_000), "in bounded time: {:?}", wire.host.now);
    (wire.log, wire.sent)
}

impl Wire<'_> {
    fn start(&mut self) -> ClientId {
        let branch = Layer::new_branch(&mut self.host);
        let mut bytes = Vec::new();
        let mut writer = Writer::request(&mut bytes, &self.method, "sip:bob@192.0.2.2");
        writer.via(Transport::Udp, "192.0.2.1:5060", &branch, true);
        writer.field(HeaderName::From, "<sip:alice@192.0.2.1>;tag=a");
        writer.field(HeaderName::To, "<sip:bob@192.0.2.2>");
        writer.field(HeaderName::CallId, "1@192.0.2.1");
        writer.field(HeaderName::CSeq, format_args!("1 {}", self.method));
        writer.finish();
        let id = self.alice.request(&mut self.host, FLOW, BOB, &self.method, &branch, &bytes);
        self.launch();
        id
    }

    /// Puts what was sent on the wire.
    fn launch(&mut self) {
        for (to, bytes) in core::mem::take(&mut self.host.sent) {
            for copy in 0..(self.fate)(self.sent) {
                let arrival = self.host.now + DELAY * (1 + copy as u64);
                self.flying.push((arrival, to, bytes.clone()));
            }
            self.sent += 1;
        }
    }

    /// The next thing that happens; false when nothing more does.
    fn step(&mut self) -> bool {
        let timers = [self.alice.next_deadline(), self.bob.next_deadline()];
        let repeat = self.accepted.as_ref().map(|accepted| accepted.2);
        let arrival = self.flying.iter().map(|flying| flying.0).min();
        let next = timers.into_iter().chain([repeat, arrival]).flatten().min();
        let Some(now) = next else { return false };
        self.host.now = now;
        if let Some(index) = self.flying.iter().position(|flying| flying.0 <= now) {
            let (_, to, bytes) = self.flying.remove(index);
            let message = Message::parse(&bytes).expect("what a layer sends is SIP");
            if to == ALICE { self.at_alice(message) } else { self.at_bob(message) }
        }
        self.alice.handle_deadline(&mut self.host);
        self.bob.handle_deadline(&mut self.host);
        self.repeat();
        self.alice.check();
        self.bob.check();
        self.log.alice_failed |= self.alice.next_event().is_some();
        self.log.bob_failed |= self.bob.next_event().is_some();
        self.launch();
        true
    }

    fn at_alice(&mut self, message: Message) {
        let received = self.alice.handle_message(&mut self.host, FLOW, BOB, message);
        let Some(Received::Response { message, .. }) = received else { return };
        let status = message.status().unwrap_or_default();
        self.log.alice.push(status);
        if self.method == Method::Invite && status / 100 == 2 {
            // §13.2.2.4: an ACK for every 2xx, in a transaction of its own.
            let branch = Layer::new_branch(&mut self.host);
            let mut bytes = Vec::new();
            let mut writer = Writer::request(&mut bytes, &Method::Ack, "sip:bob@192.0.2.2");
            writer.via(Transport::Udp, "192.0.2.1:5060", &branch, true);
            writer.copy(&message, HeaderName::From);
            writer.copy(&message, HeaderName::To);
            writer.copy(&message, HeaderName::CallId);
            writer.field(HeaderName::CSeq, "1 ACK");
            writer.finish();
            self.host.sent.push((BOB, bytes));
        }
    }

    fn at_bob(&mut self, message: Message) {
        match self.bob.handle_message(&mut self.host, FLOW, ALICE, message) {
            Some(Received::Request { id, message, .. }) => {
                self.log.requests += 1;
                for status in self.answers {
                    let (mut bytes, reason) = (Vec::new(), reason_phrase(*status));
                    let (tag, from) = (Some("b"), Some(ALICE));
                    Writer::response_to(&mut bytes, &message, *status, reason, tag, from).finish();
                    self.bob.respond(&mut self.host, id, *status, &bytes);
                    if self.method == Method::Invite && status / 100 == 2 {
                        let t1 = Timing::default().t1;
                        self.accepted = Some((id, bytes, self.host.now + t1, t1));
                    }
                }
            }
            Some(Received::Ack { .. }) => {
                self.log.acknowledged = true;
                self.accepted = None;
            }
            _ => {}
        }
    }

    /// §13.3.1.4: the 2xx again, after T1, doubling up to T2, for 64*T1.
    fn repeat(&mut self) {
        let now = self.host.now;
        if let Some((id, bytes, at, interval)) = &mut self.accepted {
            if !self.bob.contains_server(*id) {
                self.accepted = None;
            } else if *at <= now {
                *interval = (*interval * 2).min(Timing::default().t2);
                *at = now + *interval;
                self.bob.respond(&mut self.host, *id, 200, bytes);
            }
        }
    }
}

/// Methods and answers, and how many datagrams are sent when nothing is lost.
const SCENARIOS: [(Method, &[u16], usize); 6] = [
    (Method::Invite, &[180, 200], 4),
    (Method::Invite, &[200], 3),
    (Method::Invite, &[180, 486], 4),
    (Method::Invite, &[603], 3),
    (Method::Options, &[200], 2),
    (Method::Register, &[100, 401], 3),
];

/// The user saw the final response; only a 2xx to INVITE may come more than once.
#[track_caller]
fn completed(method: &Method, answers: &[u16], log: &Log) {
    let last = answers.last().copied().unwrap_or_default();
    let finals = log.alice.iter().filter(|status| **status == last).count();
    let two_hundred = *method == Method::Invite && last / 100 == 2;
    assert!(if two_hundred { finals >= 1 } else { finals == 1 }, "{log:?}");
    assert_eq!(log.alice.last(), Some(&last), "{log:?}");
    assert_eq!((log.requests, log.alice_failed, log.bob_failed), (1, false, false), "{log:?}");
    assert_eq!(log.acknowledged, two_hundred, "{log:?}");
}

#[test]
fn nothing_is_lost() {
    for (method, answers, datagrams) in SCENARIOS {
        let (log, sent) = run(method.clone(), answers, &|_| 1);
        completed(&method, answers, &log);
        assert_eq!((log.alice, sent), (answers.to_vec(), datagrams));
    }
}

#[test]
fn any_one_datagram_is_lost() {
    for (method, answers, datagrams) in SCENARIOS {
        for lost in 0..datagrams {
            let (log, _) = run(method.clone(), answers, &|n| usize::from(n != lost));
            completed(&method, answers, &log);
        }
    }
}

#[test]
fn any_two_datagrams_are_lost() {
    for (method, answers, datagrams) in SCENARIOS {
        for first in 0..datagrams {
            for second in first + 1..datagrams + 3 {
                let lost = [first, second];
                let (log, _) = run(method.clone(), answers, &|n| usize::from(!lost.contains(&n)));
                completed(&method, answers, &log);
            }
        }
    }
}

#[test]
fn every_datagram_comes_three_times() {
    for (method, answers, _) in SCENARIOS {
        let (log, _) = run(method.clone(), answers, &|_| 3);
        completed(&method, answers, &log);
    }
}

#[test]
fn every_datagram_after_some_is_lost() {
    for (method, answers, datagrams) in SCENARIOS {
        for last in 0..datagrams {
            let (log, _) = run(method.clone(), answers, &|n| usize::from(n < last));
            // A user that still waits for something is notified; `run` saw that both ended.
            let answered = log.alice.iter().any(|status| *status >= 200);
            let ringing = method == Method::Invite && log.rings();
            assert_eq!(log.alice_failed, !answered && !ringing, "{method} {answers:?} {last}");
        }
    }
}

/// Whatever comes in whatever order, the tables stay true and everything ends.
#[test]
fn random_events_leave_nothing_behind() {
    for seed in 0..6 {
        let mut host = TestHost::new(seed);
        let limits = Limits { transactions: 24, ..Limits::default() };
        let mut layer = Layer::new(&mut host, limits);
        let (mut clients, mut servers) = (Vec::new(), Vec::new());
        for _ in 0..2_000 {
            let mut pick = |n: u64| host.random() % n;
            let (what, method, status) =
                (pick(16), pick(5), [100, 180, 200, 401, 486][pick(5) as usize]);
            let method =
                [Method::Invite, Method::Ack, Method::Cancel, Method::Bye, Method::Options]
                    [method as usize]
                    .clone();
            // A few branches, so that messages meet; some of RFC 2543.
            let branch =
                ["z9hG4bK", "1"][usize::from(pick(8) == 0)].to_owned() + &pick(9).to_string();
            let (from, later) = (address(1 + pick(2) as u8), Duration::from_millis(pick(4_000)));
            let bytes = random_request(&method, &branch);
            let request = Message::parse(&bytes).expect("it is SIP");
            match what {
                0..=6 => {
                    if let Some(Received::Request { id, message, .. }) =
                        layer.handle_message(&mut host, FLOW, from, request)
                    {
                        servers.push((id, message));
                    }
                }
                7..=8 if method != Method::Ack => {
                    let branch = Layer::new_branch(&mut host);
                    let bytes = random_request(&method, &branch);
                    let id = layer.request(&mut host, FLOW, from, &method, &branch, &bytes);
                    clients.push((id, Message::parse(&bytes).expect("it is SIP")));
                }
                9..=10 => {
                    // To one of the latest requests, if any; to none otherwise.
                    let recent = clients.iter().rev().nth(later.as_millis() as usize % 6);
                    let response = random_response(recent.map_or(&request, |c| &c.1), status);
                    let response = Message::parse(&response).expect("it is SIP");
                    layer.handle_message(&mut host, FLOW, from, response);
                }
                11..=12 if !servers.is_empty() => {
                    let (id, message) = servers.swap_remove(servers.len() / 2);
                    layer.respond(&mut host, id, status, &random_response(&message, status));
                    servers.push((id, message));
                }
                13 => layer.handle_send_failed(&mut host, FLOW, from),
                14 if !clients.is_empty() => {
                    let _ = layer.cancel(&mut host, clients[clients.len() - 1].0);
                }
                _ => {
                    host.now += later;
                    layer.handle_deadline(&mut host);
                }
            }
            while layer.next_event().is_some() {}
            layer.check();
            assert!(layer.len() <= 25);
        }
        for (id, message) in servers {
            layer.respond(&mut host, id, 486, &random_response(&message, 486));
        }
        for (id, _) in clients {
            layer.cancel(&mut host, id);
        }
        for _ in 0..200 {
            host.now += Duration::from_millis(500);
            layer.handle_deadline(&mut host);
        }
        layer.check();
        assert!(layer.is_empty(), "{layer:?}");
    }
}

fn random_request(method: &Method, branch: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::request(&mut bytes, method, "sip:bob@192.0.2.2");
    writer.via(Transport::Udp, "192.0.2.1", branch, false);
    writer.field(HeaderName::From, "<sip:alice@192.0.2.1>;tag=a");
    writer.field(HeaderName::To, "<sip:bob@192.0.2.2>");
    writer.field(HeaderName::CallId, branch);
    writer.cseq(1, method);
    writer.finish();
    bytes
}

fn random_response(request: &Message, status: u16) -> Vec<u8> {
    let (mut bytes, reason) = (Vec::new(), reason_phrase(status));
    Writer::response_to(&mut bytes, request, status, reason, Some("b"), None).finish();
    bytes
}
