//! Transactions: a request written, sent, parsed, answered, and its response parsed and passed on,
//! through two layers in memory.
//!
//! Each round is done while the transactions of the 32 seconds before it linger, at so many rounds a
//! second of virtual time; their timers fire as they fall due.

use std::net::SocketAddr;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use offhook_core::host::{Clock, Datagrams, Entropy, Flow, Outbound, Transport};
use offhook_core::internals::{Layer, Limits, Received, Writer};
use offhook_core::sip::{HeaderName, Message, Method, reason_phrase};
use offhook_core::time::{Duration, Instant, WallTime};

fn main() {
    divan::Divan::from_args().sample_size(200).sample_count(200).run_benches();
}

/// Rounds a second.
const RATES: [u64; 2] = [100, 10_000];

/// How long the transactions of a round linger at most: 64*T1.
const LINGER_SECS: u64 = 32;

const FLOW: Flow = Flow { transport: Transport::Udp, id: 0 };

/// Keeps the last datagram and nothing else.
struct Memory {
    now: Instant,
    random: u64,
    last: Vec<u8>,
}

impl Clock for Memory {
    fn now(&self) -> Instant {
        self.now
    }

    fn wall(&self) -> WallTime {
        WallTime::from_micros(self.now.as_micros())
    }
}

impl Entropy for Memory {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            chunk.copy_from_slice(&self.random.swap_bytes().to_le_bytes()[..chunk.len()]);
        }
    }
}

impl Datagrams for Memory {
    fn send(&mut self, outbound: Outbound<'_>) {
        if let Outbound::Datagram { bytes, .. } = outbound {
            self.last.clear();
            self.last.extend_from_slice(bytes);
        }
    }
}

/// A caller and a called, and how they talk.
struct Pair {
    host: Memory,
    caller: Layer,
    called: Layer,
    method: Method,
    status: u16,
    step: Duration,
    calls: u64,
    buffer: Vec<u8>,
}

impl Pair {
    /// Two layers after so much traffic at `rate` that as many transactions end as begin.
    fn busy(method: Method, status: u16, rate: u64) -> Self {
        let mut host = Memory { now: Instant::ZERO, random: 1, last: Vec::new() };
        let (caller, called) =
            (Layer::new(&mut host, Limits::default()), Layer::new(&mut host, Limits::default()));
        let step = Duration::from_micros(1_000_000 / rate);
        let mut pair =
            Self { host, caller, called, method, status, step, calls: 0, buffer: Vec::new() };
        for _ in 0..=rate * LINGER_SECS {
            pair.round();
        }
        pair
    }

    fn round(&mut self) {
        let alice = SocketAddr::from(([192, 0, 2, 1], 5060));
        let bob = SocketAddr::from(([192, 0, 2, 2], 5060));
        self.host.now += self.step;
        self.calls += 1;
        self.request(bob);
        let request = self.host.message();
        let received = self.called.handle_message(&mut self.host, FLOW, alice, request);
        let Some(Received::Request { id, message, .. }) = received else { panic!("a new request") };
        let (status, tag) = (self.status, Some("b9f2c61e"));
        let reason = reason_phrase(status);
        Writer::response_to(&mut self.buffer, &message, status, reason, tag, Some(alice)).finish();
        self.called.respond(&mut self.host, id, status, &self.buffer);
        let response = self.host.message();
        let received = self.caller.handle_message(&mut self.host, FLOW, bob, response);
        assert!(matches!(black_box(received), Some(Received::Response { .. })));
        if self.method == Method::Invite {
            // What the caller's layer sent by itself.
            let ack = self.host.message();
            black_box(self.called.handle_message(&mut self.host, FLOW, alice, ack));
        }
        self.caller.handle_deadline(&mut self.host);
        self.called.handle_deadline(&mut self.host);
    }

    fn request(&mut self, to: SocketAddr) {
        let branch = Layer::new_branch(&mut self.host);
        let mut writer = Writer::request(&mut self.buffer, &self.method, "sip:bob@192.0.2.2");
        writer.via(Transport::Udp, "192.0.2.1:5060", &branch, true);
        writer.field(HeaderName::MaxForwards, 70);
        writer.field(HeaderName::From, "\"Alice\" <sip:alice@192.0.2.1>;tag=4fa81c0b");
        writer.field(HeaderName::To, "<sip:bob@192.0.2.2>");
        writer.field(HeaderName::CallId, format_args!("{}@192.0.2.1", self.calls));
        writer.cseq(1, &self.method);
        writer.field(HeaderName::Contact, "<sip:alice@192.0.2.1:5060>");
        writer.finish();
        self.caller.request(&mut self.host, FLOW, to, &self.method, &branch, &self.buffer);
    }
}

impl Memory {
    fn message(&self) -> Message {
        Message::parse(&self.last).expect("what a layer sends is SIP")
    }
}

/// OPTIONS and 200: two messages.
#[divan::bench(args = RATES)]
fn options(bencher: Bencher<'_, '_>, rate: u64) {
    let mut pair = Pair::busy(Method::Options, 200, rate);
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| pair.round());
}

/// INVITE, 486 and ACK: three messages.
#[divan::bench(args = RATES)]
fn rejected_invite(bencher: Bencher<'_, '_>, rate: u64) {
    let mut pair = Pair::busy(Method::Invite, 486, rate);
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| pair.round());
}
