//! Two media sessions on a network in virtual time, and what can be measured at their ends.

mod audio;
mod control;
mod network;
mod peers;
mod rates;
mod streams;

use core::net::SocketAddr;
use std::collections::BTreeMap;

use super::MediaSession;
use crate::codec::Codec;
use crate::codec::PayloadFormat;
use crate::host::{Channel, Clock, Datagrams, Endpoint, Entropy, Inbound, MediaPort, Outbound};
use crate::media::{MediaControl, MediaEvent, MediaOptions, MediaParameters, MediaTransport};
use crate::nat::is_stun;
use crate::sdp::{Agreed, Direction, TelephoneEvents};
use crate::time::{Duration, Instant, WallTime};

/// When every test begins.
pub(super) const START: Instant = Instant::from_micros(1_000_000);

/// A clock that is set, a seeded generator, and what was sent.
pub(super) struct TestHost {
    pub(super) now: Instant,
    random: u64,
    pub(super) sent: Vec<Sent>,
}

#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) at: Instant,
    pub(super) channel: Channel,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

impl TestHost {
    pub(super) fn new(seed: u64) -> Self {
        Self { now: START, random: seed, sent: Vec::new() }
    }

    /// The RTP packets sent so far.
    pub(super) fn rtp(&self) -> impl Iterator<Item = (Instant, super::packet::Packet<'_>)> {
        self.sent
            .iter()
            .filter(|s| s.channel == Channel::Rtp && !is_stun(&s.bytes))
            .map(|s| (s.at, super::packet::Packet::parse(&s.bytes).unwrap()))
    }
}

impl Clock for TestHost {
    fn now(&self) -> Instant {
        self.now
    }

    fn wall(&self) -> WallTime {
        WallTime::from_micros(1_700_000_000_000_000 + self.now.as_micros())
    }
}

impl Entropy for TestHost {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (self.random >> 56) as u8;
        }
    }
}

impl Datagrams for TestHost {
    fn send(&mut self, outbound: Outbound<'_>) {
        let Outbound::Media { channel, to, bytes, .. } = outbound else { panic!("{outbound:?}") };
        self.sent.push(Sent { at: self.now, channel, to, bytes: bytes.to_vec() });
    }
}

pub(super) const PORT: MediaPort = MediaPort(7);
pub(super) const PTIME: Duration = Duration::from_millis(20);

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What was agreed with a peer there.
pub(super) fn agreed(remote: &str) -> Agreed {
    let rtp = address(remote);
    Agreed {
        stream: 0,
        remote_rtp: rtp,
        remote_rtcp: SocketAddr::new(rtp.ip(), rtp.port() + 1),
        direction: Direction::SendRecv,
        send: PayloadFormat::new(0, Codec::Pcmu),
        receive: vec![PayloadFormat::new(0, Codec::Pcmu), PayloadFormat::new(8, Codec::Pcma)],
        telephone_event_send: Some(101),
        telephone_events: TelephoneEvents::DTMF,
        telephone_event_receive: Some(101),
        ptime: PTIME,
    }
}

/// A stream, by its number; it has [`PORT`] or one beside it.
pub(super) fn stream(stream: u8, agreed: Agreed) -> MediaControl {
    let transport = MediaTransport::Rtp { port: MediaPort(PORT.0 + u64::from(agreed.stream)) };
    MediaControl::Configure { stream, parameters: MediaParameters { transport, agreed } }
}

/// The one stream of a call.
pub(super) fn configure(agreed: Agreed) -> MediaControl {
    stream(0, agreed)
}

/// A session that signalling has opened.
pub(super) fn open(host: &mut TestHost) -> MediaSession {
    let mut session = MediaSession::new();
    let (cname, options) = ("test@offhook".to_owned(), MediaOptions::default());
    session.handle_control(host, MediaControl::Open { cname, options });
    session
}

pub(super) const ALICE: &str = "192.0.2.1:4000";
pub(super) const BOB: &str = "192.0.2.2:5000";

/// One end: its session, what it heard and the events it told.
pub(super) struct End {
    pub(super) host: TestHost,
    pub(super) session: MediaSession,
    address: SocketAddr,
    /// How many samples a second it reads.
    pub(super) rate: u32,
    pub(super) heard: Vec<i16>,
    pub(super) events: Vec<MediaEvent>,
    delivered: usize,
    /// Until then its host does nothing; packets wait in the socket.
    pub(super) wakes: Instant,
    /// Whether its host then serves the clock before the socket.
    pub(super) clock_first: bool,
}

impl End {
    fn new(seed: u64, here: &str, there: &str) -> Self {
        let mut host = TestHost::new(seed);
        let mut session = open(&mut host);
        session.handle_control(&mut host, configure(agreed(there)));
        let address = address(here);
        Self {
            host,
            session,
            address,
            rate: 8_000,
            heard: Vec::new(),
            events: Vec::new(),
            delivered: 0,
            wakes: Instant::ZERO,
            clock_first: false,
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.session.next_deadline().map(|deadline| deadline.max(self.wakes))
    }

    fn handle_deadline(&mut self, now: Instant) {
        if now >= self.wakes {
            self.session.handle_deadline(&mut self.host);
            assert!(self.session.next_deadline().is_none_or(|d| d > now), "a deadline is stuck");
            self.after();
        }
    }

    pub(super) fn control(&mut self, control: MediaControl) {
        self.session.handle_control(&mut self.host, control);
    }

    pub(super) fn digits(&self) -> String {
        let digit = |e: &MediaEvent| match e {
            MediaEvent::Dtmf { digit, .. } => Some(*digit),
            _ => None,
        };
        self.events.iter().filter_map(digit).collect()
    }

    fn after(&mut self) {
        let mut out = [0; 800];
        loop {
            let count = self.session.read_audio(self.rate, &mut out);
            if count == 0 {
                break;
            }
            self.heard.extend(&out[..count]);
        }
        while let Some(event) = self.session.next_event() {
            self.events.push(event);
        }
    }
}

/// What the network does with the n-th packet of one direction: when it arrives, if at all, and
/// perhaps again.
pub(super) type Network = Box<dyn FnMut(u64, Instant) -> Vec<Instant>>;

/// Two ends and the networks from each to the other.
pub(super) struct Pair {
    pub(super) alice: End,
    pub(super) bob: End,
    there: Network,
    back: Network,
    /// What is on its way: when, a number, whether to bob, and what.
    flying: BTreeMap<(Instant, u64), (bool, Sent)>,
    sent: [u64; 2],
    number: u64,
}

pub(super) fn delayed(millis: u64) -> Network {
    Box::new(move |_, at| vec![at + Duration::from_millis(millis)])
}

impl Pair {
    /// Alice and Bob, 30 ms apart.
    pub(super) fn new() -> Self {
        Self::over(delayed(30), delayed(30))
    }

    pub(super) fn over(there: Network, back: Network) -> Self {
        Self {
            alice: End::new(1, ALICE, BOB),
            bob: End::new(2, BOB, ALICE),
            there,
            back,
            flying: BTreeMap::new(),
            sent: [0; 2],
            number: 0,
        }
    }

    /// Lets that much time go by. `write` is called before alice's every step.
    pub(super) fn run(&mut self, time: Duration, mut write: impl FnMut(&mut End)) {
        let end = self.alice.host.now + time;
        loop {
            write(&mut self.alice);
            self.collect();
            let next = [self.alice.next_deadline(), self.bob.next_deadline()];
            let next = next.into_iter().flatten().chain(self.flying.keys().next().map(|k| k.0));
            let Some(next) = next.min().filter(|next| *next <= end) else { break };
            let now = next.max(self.alice.host.now);
            (self.alice.host.now, self.bob.host.now) = (now, now);
            for end in [&mut self.alice, &mut self.bob] {
                if end.clock_first {
                    end.handle_deadline(now);
                }
            }
            self.deliver(now);
            self.alice.handle_deadline(now);
            self.bob.handle_deadline(now);
        }
        (self.alice.host.now, self.bob.host.now) = (end, end);
        self.alice.after();
        self.bob.after();
    }

    fn deliver(&mut self, now: Instant) {
        while let Some(entry) = self.flying.first_entry() {
            let (arrival, number) = *entry.key();
            if arrival > now {
                break;
            }
            let (to_bob, packet) = entry.remove();
            let (from, to) = if to_bob {
                (self.alice.address, &mut self.bob)
            } else {
                (self.bob.address, &mut self.alice)
            };
            if to.wakes > now {
                self.flying.insert((to.wakes, number), (to_bob, packet));
                continue;
            }
            // The RTCP socket is the next port.
            let port = from.port() + u16::from(packet.channel == Channel::Rtcp);
            let inbound = Inbound::Media {
                port: PORT,
                channel: packet.channel,
                from: SocketAddr::new(from.ip(), port),
                bytes: &packet.bytes,
            };
            to.session.handle_inbound(&mut to.host, inbound);
        }
    }

    fn collect(&mut self) {
        for to_bob in [true, false] {
            let (end, network) = if to_bob {
                (&mut self.alice, &mut self.there)
            } else {
                (&mut self.bob, &mut self.back)
            };
            for packet in &end.host.sent[end.delivered..] {
                let count = &mut self.sent[usize::from(to_bob)];
                *count += 1;
                for arrival in network(*count - 1, packet.at) {
                    self.number += 1;
                    self.flying.insert((arrival, self.number), (to_bob, packet.clone()));
                }
            }
            end.delivered = end.host.sent.len();
        }
    }
}

/// A small generator for networks.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `below`.
    pub(super) fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) % below
    }
}
