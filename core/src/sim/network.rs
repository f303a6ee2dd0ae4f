//! The network under the nodes: what is on its way, and what is due when.

use core::cmp::Reverse;
use core::net::{IpAddr, SocketAddr};
use std::collections::{BinaryHeap, VecDeque};

use bytes::Bytes;

use super::clock::StationClock;
use super::hash::TraceHash;
use super::link::{Link, Path};
use super::names::Names;
use super::nat::Nats;
use super::ports::{Ports, Socket};
use super::random::Random;
use super::streams::{Caller, Streams};
use super::wire::{Fate, Wire, WirePacket};
use crate::certificate::Identities;
use crate::host::{Flow, FlowFailure, Inbound, MediaPort, RecordSet, RequestId, Transport};
use crate::map::{Map, Set};
use crate::time::{Duration, Instant, WallTime};
use crate::trace::Kind;

/// Where the clock starts: not at zero, which means "at once" as a deadline.
const START: Instant = Instant::from_micros(1_000_000);
/// The wall clock at [`START`]: 1 January 2026, 00:00 UTC.
const START_WALL: u64 = 1_767_225_600_000_000;
/// The largest payload of a UDP datagram over IPv4.
const MAX_DATAGRAM: usize = 65_507;
/// What a socket holds while its node does not read: Linux's default, with what its bookkeeping
/// takes for each packet.
const SOCKET_BUFFER: usize = 212_992;
const PACKET_OVERHEAD: usize = 576;
/// The numbers of the random streams of links begin here; those of nodes begin at zero.
const LINK_STREAMS: u64 = 1 << 32;

/// Everything but the endpoints themselves.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) seed: u64,
    pub(super) now: Instant,
    default_link: Link,
    pub(super) names: Names,
    pub(super) reports_unreachable: bool,
    pub(super) ports: Ports,
    pub(super) nats: Nats,
    pub(super) streams: Streams,
    /// Where streams are cut up.
    pub(super) cuts: Random,
    pub(super) hash: TraceHash,
    pub(super) wire: Wire,
    pub(super) stations: Vec<Station>,
    pub(super) random: Random,
    paths: Map<(IpAddr, IpAddr), Path>,
    /// The paths whose link was set on its own.
    own_links: Set<(IpAddr, IpAddr)>,
    partitions: Set<(IpAddr, IpAddr)>,
    queue: BinaryHeap<Reverse<Scheduled>>,
    sequence: u64,
    last_flow: u64,
}

/// What the network knows of a node.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) address: SocketAddr,
    pub(super) flow: Flow,
    pub(super) alive: bool,
    /// How often it was started; answers to an earlier life go nowhere.
    pub(super) life: u32,
    pub(super) clock: StationClock,
    /// Until when it does not run, and what came meanwhile.
    pub(super) stalled: Option<Instant>,
    backlog: VecDeque<Happening>,
    buffered: Map<SocketAddr, usize>,
    /// The wake-up that counts; others in the queue are stale.
    wake: Option<Instant>,
    pub(super) random: Random,
}

/// Something that is due at a time.
#[derive(Debug)]
struct Scheduled {
    at: Instant,
    sequence: u64,
    what: Happening,
}

/// Something that happens to a node.
#[derive(Debug)]
pub(super) enum Happening {
    Arrival { from: SocketAddr, to: SocketAddr, bytes: Bytes },
    Inbound { node: usize, life: u32, inbound: OwnedInbound },
    Wake { node: usize },
    Resume { node: usize },
    Connect(Box<Caller>),
    GiveUp { flow: u64 },
}

/// An [`Inbound`] for a node, kept until it is delivered.
#[derive(Debug)]
pub(super) enum OwnedInbound {
    FlowOpened {
        id: RequestId,
        flow: Flow,
        local: SocketAddr,
        certificate: Option<Identities>,
    },
    FlowFailed {
        id: RequestId,
        why: &'static str,
    },
    Untrusted {
        id: RequestId,
        why: String,
    },
    FlowAccepted {
        flow: Flow,
        from: SocketAddr,
        local: SocketAddr,
        certificate: Option<Identities>,
    },
    FlowClosed {
        flow: Flow,
    },
    Stream {
        flow: Flow,
        from: SocketAddr,
        bytes: Bytes,
    },
    /// Time to hand on what came on a stream.
    Glue {
        flow: Flow,
    },
    SendFailed {
        flow: Flow,
        to: SocketAddr,
    },
    MediaBound {
        id: RequestId,
        port: MediaPort,
        rtp: SocketAddr,
    },
    MediaUnavailable {
        id: RequestId,
    },
    Resolved {
        id: RequestId,
        records: RecordSet,
        ttl: Duration,
    },
    ResolveFailed {
        id: RequestId,
    },
}

impl OwnedInbound {
    pub(super) fn unreachable(id: RequestId, why: &'static str) -> Self {
        Self::FlowFailed { id, why }
    }

    pub(super) fn borrowed(&self) -> Inbound<'_> {
        match *self {
            Self::FlowOpened { id, flow, local, ref certificate } => {
                Inbound::FlowOpened { id, flow, local, certificate: certificate.as_ref() }
            }
            Self::FlowFailed { id, why } => {
                Inbound::FlowFailed { id, failure: FlowFailure::Unreachable(why) }
            }
            Self::Untrusted { id, ref why } => {
                Inbound::FlowFailed { id, failure: FlowFailure::Untrusted(why) }
            }
            Self::FlowAccepted { flow, from, local, ref certificate } => {
                Inbound::FlowAccepted { flow, from, local, certificate: certificate.as_ref() }
            }
            Self::FlowClosed { flow } | Self::Glue { flow } => Inbound::FlowClosed { flow },
            Self::Stream { flow, from, ref bytes } if flow.transport.is_stream() => {
                Inbound::Stream { flow, from, bytes }
            }
            Self::Stream { flow, from, ref bytes } => Inbound::Datagram { flow, from, bytes },
            Self::SendFailed { flow, to } => Inbound::SendFailed { flow, to },
            Self::MediaBound { id, port, rtp } => {
                let rtcp = SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1));
                Inbound::MediaBound { id, port, rtp, rtcp }
            }
            Self::MediaUnavailable { id } => Inbound::MediaUnavailable { id },
            Self::Resolved { id, ref records, ttl } => {
                Inbound::Resolved { id, records: records.records(), ttl }
            }
            Self::ResolveFailed { id } => {
                Inbound::ResolveFailed { id, problem: "no DNS server has answered" }
            }
        }
    }
}

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            now: START,
            default_link: Link::default(),
            names: Names::default(),
            reports_unreachable: false,
            ports: Ports::default(),
            nats: Nats::default(),
            streams: Streams::default(),
            cuts: Random::new(seed, u64::MAX - 1),
            hash: TraceHash::new(),
            wire: Wire::default(),
            stations: Vec::new(),
            random: Random::new(seed, u64::MAX),
            paths: Map::new(),
            own_links: Set::new(),
            partitions: Set::new(),
            queue: BinaryHeap::new(),
            sequence: 0,
            last_flow: 0,
        }
    }

    // --- nodes ---

    pub(super) fn add_station(&mut self, address: SocketAddr) -> usize {
        let node = self.stations.len();
        let flow = self.new_flow();
        self.stations.push(Station {
            address,
            flow,
            alive: true,
            life: 0,
            clock: StationClock::new(START),
            stalled: None,
            backlog: VecDeque::new(),
            buffered: Map::new(),
            wake: None,
            random: Random::new(self.seed, node as u64),
        });
        self.ports.bind(address, node, Socket::Signalling(flow));
        node
    }

    pub(super) fn kill(&mut self, node: usize) {
        self.close_connections(node);
        self.ports.release_all(node);
        let station = &mut self.stations[node];
        station.alive = false;
        station.life += 1;
        station.stalled = None;
        station.wake = None;
        station.backlog.clear();
        station.buffered.clear();
    }

    /// Gives a node that was killed its socket back, as a new flow.
    pub(super) fn revive(&mut self, node: usize) {
        let flow = self.new_flow();
        let station = &mut self.stations[node];
        station.alive = true;
        station.flow = flow;
        let address = station.address;
        self.ports.bind(address, node, Socket::Signalling(flow));
    }

    /// Gives a node's host another address: its sockets at the old one are dead until it binds new
    /// ones.
    pub(super) fn move_to(&mut self, node: usize, ip: IpAddr) {
        self.mute_connections(node);
        self.ports.release_all(node);
        self.stations[node].address.set_ip(ip);
    }

    /// Binds a node's signalling socket at the address that its host has now, the same flow.
    pub(super) fn rebind(&mut self, node: usize) {
        let Station { address, flow, .. } = self.stations[node];
        self.ports.bind(address, node, Socket::Signalling(flow));
        self.reset_connections(node);
    }

    /// Whether a node's signalling socket is bound where its host is now.
    pub(super) fn is_bound(&self, node: usize) -> bool {
        let bound = self.ports.listener(self.stations[node].address);
        bound.is_some_and(|binding| binding.node == node)
    }

    pub(super) fn stall(&mut self, node: usize, until: Instant) {
        let station = &mut self.stations[node];
        if station.alive && station.stalled.is_none_or(|already| already < until) {
            station.stalled = Some(until);
            self.schedule(until, Happening::Resume { node });
        }
    }

    /// Ends a stall, unless it was made longer meanwhile; gives what came during it.
    pub(super) fn resume(&mut self, node: usize) -> Option<VecDeque<Happening>> {
        let now = self.now;
        let station = &mut self.stations[node];
        station.stalled.take_if(|until| *until <= now)?;
        station.buffered.clear();
        Some(core::mem::take(&mut station.backlog))
    }

    /// Keeps something for a node that does not run now, if its socket has room.
    pub(super) fn keep_for_later(&mut self, node: usize, what: Happening) {
        let station = &mut self.stations[node];
        if let Happening::Arrival { to, bytes, .. } = &what {
            let used = station.buffered.or_default(*to);
            let needed = bytes.len() + PACKET_OVERHEAD;
            if *used + needed > SOCKET_BUFFER {
                return;
            }
            *used += needed;
        }
        station.backlog.push_back(what);
    }

    pub(super) fn new_flow(&mut self) -> Flow {
        self.last_flow += 1;
        Flow { transport: Transport::Udp, id: self.last_flow }
    }

    // --- time ---

    /// When the next thing happens.
    pub(super) fn next_at(&mut self) -> Option<Instant> {
        while let Some(Reverse(next)) = self.queue.peek() {
            match next.what {
                Happening::Wake { node } if self.stations[node].wake != Some(next.at) => {
                    self.queue.pop();
                }
                _ => return Some(next.at),
            }
        }
        None
    }

    /// Moves the clock to the next thing that happens and tells what it is.
    pub(super) fn next(&mut self) -> Option<Happening> {
        let at = self.next_at()?;
        self.now = self.now.max(at);
        let what = self.queue.pop()?.0.what;
        if let Happening::Wake { node } = what {
            self.stations[node].wake = None;
        }
        Some(what)
    }

    /// Sees to it that a node is woken at a deadline on its own clock.
    pub(super) fn wake_at(&mut self, node: usize, deadline: Option<Instant>) {
        let now = self.now;
        let station = &mut self.stations[node];
        let at = deadline
            .filter(|&deadline| station.alive && deadline < Instant::FAR)
            .map(|deadline| station.clock.when(deadline).max(now));
        // An earlier wake-up than needed does no harm: the node is asked again then.
        if let Some(at) = at
            && station.wake.is_none_or(|already| at < already)
        {
            station.wake = Some(at);
            self.schedule(at, Happening::Wake { node });
        }
    }

    pub(super) fn wall(&self) -> WallTime {
        WallTime::from_micros(START_WALL.saturating_add(self.now.since(START).as_micros()))
    }

    pub(super) fn local_now(&self, node: usize) -> Instant {
        self.stations[node].clock.read(self.now)
    }

    pub(super) fn set_drift(&mut self, node: usize, ppm: i32) {
        let now = self.now;
        self.stations[node].clock.set_drift(now, ppm);
    }

    pub(super) fn schedule(&mut self, at: Instant, what: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse(Scheduled { at, sequence: self.sequence, what }));
    }

    // --- links ---

    pub(super) fn path(&mut self, from: IpAddr, to: IpAddr) -> &mut Path {
        let link = if from == to { Link::LOOPBACK } else { self.default_link };
        let seed = self.seed;
        self.paths.or_insert_with((from, to), || {
            // The stream follows from the addresses, not from the order of first use.
            let mut name = TraceHash::new();
            name.address(SocketAddr::new(from, 0));
            name.address(SocketAddr::new(to, 0));
            Path::new(link, Random::new(seed, name.value() | LINK_STREAMS))
        })
    }

    pub(super) fn set_link(&mut self, from: IpAddr, to: IpAddr, link: Link) {
        self.path(from, to).link = link;
        self.own_links.insert((from, to));
    }

    pub(super) fn set_default_link(&mut self, link: Link) {
        self.default_link = link;
        for (&(from, to), path) in &mut self.paths {
            if from != to && !self.own_links.contains(&(from, to)) {
                path.link = link;
            }
        }
    }

    pub(super) fn partition(&mut self, a: IpAddr, b: IpAddr) {
        self.partitions.insert((a.min(b), a.max(b)));
    }

    pub(super) fn heal(&mut self, a: IpAddr, b: IpAddr) {
        self.partitions.remove(&(a.min(b), a.max(b)));
        self.resend();
    }

    pub(super) fn is_partitioned(&self, a: IpAddr, b: IpAddr) -> bool {
        self.partitions.contains(&(a.min(b), a.max(b)))
    }

    // --- packets ---

    pub(super) fn transmit(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        kind: Kind,
        bytes: &[u8],
    ) -> Fate {
        self.hash.number(self.now.as_micros());
        self.hash.address(from);
        self.hash.address(to);
        self.hash.bytes(bytes);
        let payload = Bytes::copy_from_slice(bytes);
        let seen = self.nats.leave(self.now, from, to);
        let fate = self.fate(from, seen, to, bytes.len());
        let arrivals = match fate {
            Fate::Arrives(at) => [Some(at), None],
            Fate::ArrivesTwice(first, second) => [Some(first), Some(second)],
            Fate::Lost | Fate::Partitioned | Fate::Unsendable => [None, None],
        };
        for at in arrivals.into_iter().flatten() {
            let from = seen.unwrap_or(from);
            self.schedule(at, Happening::Arrival { from, to, bytes: payload.clone() });
        }
        let (sent, wall) = (self.now, self.wall());
        let transport = Transport::Udp;
        self.wire.push(|| WirePacket {
            sent,
            wall,
            from,
            to,
            transport,
            kind,
            bytes: payload,
            fate,
        });
        fate
    }

    fn fate(
        &mut self,
        from: SocketAddr,
        seen: Option<SocketAddr>,
        to: SocketAddr,
        length: usize,
    ) -> Fate {
        if length > MAX_DATAGRAM || !is_route(from.ip(), to) {
            return Fate::Unsendable;
        }
        // A link is between two hosts, whatever stands before them.
        let now = self.now;
        let Some(seen) = seen else { return Fate::Lost };
        let end = self.nats.enter(now, seen, to).unwrap_or(to);
        if self.is_partitioned(from.ip(), end.ip()) {
            return Fate::Partitioned;
        }
        match self.path(from.ip(), end.ip()).carry(now) {
            [Some(first), Some(second)] => Fate::ArrivesTwice(first, second),
            [Some(at), None] | [None, Some(at)] => Fate::Arrives(at),
            [None, None] => Fate::Lost,
        }
    }

    /// Nobody listens at `to`: its host says so to the sender (ICMP's "port unreachable"), if such
    /// reports are on and the sender's socket was one for signalling.
    pub(super) fn report_unreachable(&mut self, from: SocketAddr, to: SocketAddr) {
        let host_exists = self.stations.iter().any(|station| station.address.ip() == to.ip());
        let Some(from) = self.nats.enter(self.now, to, from) else { return };
        let Some(sender) = self.ports.listener(from) else { return };
        let Socket::Signalling(flow) = sender.socket else { return };
        if !self.reports_unreachable || !host_exists || self.is_partitioned(from.ip(), to.ip()) {
            return;
        }
        let now = self.now;
        if let [Some(at), _] = self.path(to.ip(), from.ip()).carry(now) {
            self.deliver_at(at, sender.node, OwnedInbound::SendFailed { flow, to });
        }
    }

    // --- deliveries ---

    pub(super) fn deliver(&mut self, node: usize, inbound: OwnedInbound) {
        self.deliver_at(self.now, node, inbound);
    }

    pub(super) fn deliver_at(&mut self, at: Instant, node: usize, inbound: OwnedInbound) {
        let life = self.stations[node].life;
        self.schedule(at, Happening::Inbound { node, life, inbound });
    }
}

/// Whether packets can be sent from one address to the other at all.
pub(super) fn is_route(from: IpAddr, to: SocketAddr) -> bool {
    from.is_ipv4() == to.is_ipv4() && !to.ip().is_unspecified() && to.port() != 0
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}
