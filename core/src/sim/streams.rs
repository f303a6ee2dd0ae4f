//! Connections between nodes: TCP, TLS and WebSocket as an endpoint sees them.
//!
//! Bytes come in order and are never lost: what a link loses comes later, and what it loses again
//! and again ends the connection. A message of WebSocket comes whole; a stream comes in
//! [`Pieces`].

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

use bytes::Bytes;

use super::network::{Happening, Network, OwnedInbound, is_route};
use super::ports::Socket;
use super::wire::{Fate, WirePacket};
use crate::certificate::Identities;
use crate::host::{Flow, RequestId, Transport};
use crate::map::{Map, Set};
use crate::time::{Duration, Instant};
use crate::trace::Kind;

/// How the bytes of a stream are cut up on their way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pieces {
    /// As the seed has it: half of what is sent comes whole, the rest in up to four pieces.
    #[default]
    Seeded,
    /// Every byte alone.
    Bytes,
    /// All that comes within 10 ms as one.
    Glued,
}

/// How long a connection takes to give up: one that is not answered, and one whose bytes are not
/// acknowledged.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
/// For how long [`Pieces::Glued`] gathers.
const GLUE: Duration = Duration::from_millis(10);
/// The ports from which hosts connect.
const FIRST_EPHEMERAL: u16 = 49_152;

/// All connections of a network.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) pieces: Pieces,
    /// By the number of their flow.
    ends: Map<u64, End>,
    next_port: u16,
    /// A node's certificates, the nodes whose certificates are refused, and the transports it does
    /// not listen on.
    pub(super) certificates: Map<usize, Identities>,
    pub(super) untrusted: Map<usize, String>,
    pub(super) unheard: Set<(usize, Transport)>,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            pieces: Pieces::default(),
            ends: Map::new(),
            next_port: FIRST_EPHEMERAL,
            certificates: Map::new(),
            untrusted: Map::new(),
            unheard: Set::new(),
        }
    }
}

/// One end of a connection.
#[derive(Debug)]
struct End {
    node: usize,
    flow: Flow,
    /// The host that it was on.
    ip: IpAddr,
    /// Where the other end seems to be.
    far: SocketAddr,
    /// The other end's node, and its flow unless that has ended.
    peer: usize,
    other: Option<u64>,
    /// What is sent from here arrives no earlier.
    ready: Instant,
    /// What cannot leave, and since when.
    pending: VecDeque<Bytes>,
    waiting: Instant,
    /// Whether what is sent from here reaches nobody.
    mute: bool,
    /// What [`Pieces::Glued`] has gathered.
    glued: Vec<u8>,
}

/// Somebody on his way to a listener.
#[derive(Debug)]
pub(super) struct Caller {
    node: usize,
    life: u32,
    id: RequestId,
    transport: Transport,
    own: SocketAddr,
    /// The address that the other end sees, and whom it wants.
    seen: SocketAddr,
    to: SocketAddr,
}

impl Network {
    // --- beginning ---

    pub(super) fn connect(
        &mut self,
        node: usize,
        id: RequestId,
        transport: Transport,
        to: SocketAddr,
    ) {
        let ip = self.stations[node].address.ip();
        if !self.is_bound(node) || !is_route(ip, to) {
            return self.deliver(node, OwnedInbound::unreachable(id, "there is no route"));
        }
        let own = SocketAddr::new(ip, self.streams.next_port);
        self.streams.next_port = self.streams.next_port.checked_add(1).unwrap_or(FIRST_EPHEMERAL);
        let seen = self.nats.leave(self.now, own, to);
        let at = seen.and_then(|_| self.transit(ip, to.ip()));
        let (Some(seen), Some(at)) = (seen, at) else { return self.unanswered(node, id) };
        let life = self.stations[node].life;
        // A handshake of TLS is one more round trip (RFC 8446 §2).
        let at = if transport.is_secure() { at + at.since(self.now) * 2 } else { at };
        let caller = Caller { node, life, id, transport, own, seen, to };
        self.schedule(at, Happening::Connect(Box::new(caller)));
    }

    /// Somebody who wants to connect has come to where he wanted.
    pub(super) fn arrive(&mut self, caller: &Caller) {
        let &Caller { node, life, id, transport, own, seen, to } = caller;
        if self.stations[node].life != life {
            return;
        }
        let Some(inside) = self.nats.enter(self.now, seen, to) else {
            return self.unanswered(node, id);
        };
        let listener = self.ports.listener(inside).filter(|binding| {
            matches!(binding.socket, Socket::Signalling(_))
                && !self.streams.unheard.contains(&(binding.node, transport))
        });
        let Some(back) = self.transit(inside.ip(), own.ip()) else {
            return self.unanswered(node, id);
        };
        let Some(listener) = listener else {
            let exists = self.stations.iter().any(|station| station.address.ip() == inside.ip());
            return match exists {
                true => {
                    self.deliver_at(back, node, OwnedInbound::unreachable(id, "connection refused"))
                }
                false => self.unanswered(node, id),
            };
        };
        let peer = listener.node;
        if let Some(why) = self.streams.untrusted.get(&peer).filter(|_| transport.is_secure()) {
            let inbound = OwnedInbound::Untrusted { id, why: why.clone() };
            return self.deliver_at(back, node, inbound);
        }
        let (near, far) = (self.new_connection(transport), self.new_connection(transport));
        self.insert_end(node, near, own.ip(), to, peer, far, self.now);
        // What is sent back at once does not overtake the news that the connection is there.
        self.insert_end(peer, far, inside.ip(), seen, node, near, back);
        let shown = |node: usize| self.streams.certificates.get(&node).cloned();
        let client = shown(node).filter(|_| transport.is_secure());
        let server = transport.is_secure().then(|| shown(peer).unwrap_or(self.named(inside.ip())));
        let local = match self.streams.unheard.contains(&(node, transport)) {
            true => own,
            false => self.stations[node].address,
        };
        let accepted = OwnedInbound::FlowAccepted {
            flow: far,
            from: seen,
            local: inside,
            certificate: client,
        };
        self.deliver(peer, accepted);
        self.deliver_at(
            back,
            node,
            OwnedInbound::FlowOpened { id, flow: near, local, certificate: server },
        );
    }

    /// Whom a certificate names that nobody has set: the host's address and names.
    fn named(&self, ip: IpAddr) -> Identities {
        let dns_names = self.names.of(ip);
        Identities { dns_names, addresses: vec![ip], ..Identities::default() }
    }

    fn unanswered(&mut self, node: usize, id: RequestId) {
        let at = self.now + CONNECT_WITHIN;
        self.deliver_at(at, node, OwnedInbound::unreachable(id, "it did not answer within 5 s"));
    }

    fn new_connection(&mut self, transport: Transport) -> Flow {
        Flow { transport, ..self.new_flow() }
    }

    #[allow(clippy::too_many_arguments, reason = "an end is all of these")]
    fn insert_end(
        &mut self,
        node: usize,
        flow: Flow,
        ip: IpAddr,
        far: SocketAddr,
        peer: usize,
        other: Flow,
        ready: Instant,
    ) {
        let (pending, waiting, mute, glued) = (VecDeque::new(), self.now, false, Vec::new());
        let other = Some(other.id);
        let end = End { node, flow, ip, far, peer, other, ready, pending, waiting, mute, glued };
        self.streams.ends.insert(flow.id, end);
    }

    // --- bytes ---

    /// Sends on a connection; false when the node has none such.
    pub(super) fn send_on(&mut self, node: usize, flow: Flow, bytes: &[u8]) -> bool {
        let Some(end) = self.streams.ends.get(&flow.id).filter(|end| end.node == node) else {
            return false;
        };
        // The ends of a connection are known by where their nodes listen.
        let (from, to) = (self.stations[node].address, self.stations[end.peer].address);
        self.hash.number(self.now.as_micros());
        self.hash.address(from);
        self.hash.address(to);
        self.hash.debug(&flow.transport);
        self.hash.bytes(bytes);
        let payload = Bytes::copy_from_slice(bytes);
        let fate = match self.push(flow.id, payload.clone()) {
            Some(at) => Fate::Arrives(at),
            None => Fate::Partitioned,
        };
        let (sent, wall, transport) = (self.now, self.wall(), flow.transport);
        let kind = Kind::Sip;
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
        true
    }

    /// Puts bytes on their way; tells when they arrive, unless they cannot leave now.
    fn push(&mut self, id: u64, bytes: Bytes) -> Option<Instant> {
        let end = self.streams.ends.get(&id)?;
        let (from, to) = (end.ip, self.stations[end.peer].address.ip());
        let stuck = end.mute || !end.pending.is_empty();
        let at = if stuck { None } else { self.transit(from, to) };
        let now = self.now;
        let end = self.streams.ends.get_mut(&id)?;
        let Some(at) = at else {
            if end.pending.is_empty() {
                end.waiting = now;
                self.schedule(now + GIVE_UP_AFTER, Happening::GiveUp { flow: id });
            }
            self.streams.ends.get_mut(&id)?.pending.push_back(bytes);
            return None;
        };
        let at = at.max(end.ready);
        end.ready = at;
        let Some(other) = end.other else {
            // Nobody is there any more, and says so.
            let (node, flow) = (end.node, end.flow);
            self.deliver_at(at + at.since(now), node, OwnedInbound::FlowClosed { flow });
            return Some(at);
        };
        let peer = end.peer;
        let Some((flow, from)) = self.streams.ends.get(&other).map(|it| (it.flow, it.far)) else {
            return Some(at);
        };
        for bytes in self.cut_up(flow.transport, bytes) {
            self.deliver_at(at, peer, OwnedInbound::Stream { flow, from, bytes });
        }
        Some(at)
    }

    fn cut_up(&mut self, transport: Transport, mut bytes: Bytes) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        if transport.is_stream() {
            let cuts = match self.streams.pieces {
                Pieces::Bytes => usize::MAX,
                Pieces::Glued => 0,
                Pieces::Seeded => [0, 0, 0, 1, 2, 3][self.cuts.up_to(5) as usize],
            };
            while pieces.len() < cuts && bytes.len() > 1 {
                let longest = bytes.len() as u64 - 1;
                let at = match self.streams.pieces {
                    Pieces::Bytes => 1,
                    _ => 1 + self.cuts.up_to(longest - 1) as usize,
                };
                pieces.push(bytes.split_to(at));
            }
        }
        pieces.push(bytes);
        pieces
    }

    /// When what is sent now arrives; `None` when it does not.
    fn transit(&mut self, from: IpAddr, to: IpAddr) -> Option<Instant> {
        let now = self.now;
        match self.is_partitioned(from, to) {
            true => None,
            false => self.path(from, to).carry_stream(now),
        }
    }

    /// What of a connection's input is handed to the node now; `None` for nothing.
    pub(super) fn admit(&mut self, node: usize, inbound: OwnedInbound) -> Option<OwnedInbound> {
        let (OwnedInbound::Stream { flow, .. }
        | OwnedInbound::Glue { flow, .. }
        | OwnedInbound::FlowClosed { flow }) = inbound
        else {
            return Some(inbound);
        };
        let (now, glues) = (self.now, self.streams.pieces == Pieces::Glued);
        let end = self.streams.ends.get_mut(&flow.id)?;
        match inbound {
            OwnedInbound::Stream { ref bytes, .. } if glues && flow.transport.is_stream() => {
                let first = end.glued.is_empty();
                end.glued.extend_from_slice(bytes);
                if first {
                    self.deliver_at(now + GLUE, node, OwnedInbound::Glue { flow });
                }
                None
            }
            OwnedInbound::Glue { flow } => {
                let bytes = Bytes::from(core::mem::take(&mut end.glued));
                Some(OwnedInbound::Stream { flow, from: end.far, bytes })
            }
            // What came before it is read first.
            OwnedInbound::FlowClosed { .. } if !end.glued.is_empty() => {
                self.deliver_at(now + GLUE, node, inbound);
                None
            }
            OwnedInbound::FlowClosed { .. } => {
                let end = self.streams.ends.remove(&flow.id)?;
                self.part(end.other);
                Some(inbound)
            }
            _ => Some(inbound),
        }
    }

    // --- ends ---

    /// A node ends a connection: what was sent leaves first.
    pub(super) fn close_connection(&mut self, node: usize, flow: Flow) {
        if self.streams.ends.get(&flow.id).is_some_and(|end| end.node == node) {
            self.end(flow.id);
        }
    }

    /// A node is no more: its connections end, and the other ends that can be reached see that.
    pub(super) fn close_connections(&mut self, node: usize) {
        for flow in self.flows(|end| end.node == node) {
            self.end(flow.id);
        }
    }

    /// A node has new sockets: the connections on the old ones end, which it sees too.
    pub(super) fn reset_connections(&mut self, node: usize) {
        for flow in self.flows(|end| end.node == node) {
            self.notify_other(flow.id);
            let Some(end) = self.streams.ends.get_mut(&flow.id) else { continue };
            let other = end.other.take();
            end.mute = true;
            self.part(other);
            self.deliver(node, OwnedInbound::FlowClosed { flow });
        }
    }

    fn end(&mut self, id: u64) {
        self.notify_other(id);
        if let Some(end) = self.streams.ends.remove(&id) {
            self.part(end.other);
        }
    }

    /// Has the other end see that this one ends, after what was sent, if that can reach it.
    fn notify_other(&mut self, id: u64) {
        let Some(end) = self.streams.ends.get(&id).filter(|end| !end.mute) else { return };
        let (ready, from, to) = (end.ready, end.ip, self.stations[end.peer].address.ip());
        let Some(other) = end.other.and_then(|other| self.streams.ends.get(&other)) else { return };
        let (node, flow) = (other.node, other.flow);
        if let Some(at) = self.transit(from, to) {
            self.deliver_at(at.max(ready), node, OwnedInbound::FlowClosed { flow });
        }
    }

    /// An end has lost its other end.
    fn part(&mut self, other: Option<u64>) {
        if let Some(other) = other.and_then(|other| self.streams.ends.get_mut(&other)) {
            other.other = None;
        }
    }

    /// What was sent has not been acknowledged for too long.
    pub(super) fn give_up(&mut self, id: u64) {
        let now = self.now;
        let Some(end) = self.streams.ends.get(&id).filter(|end| !end.pending.is_empty()) else {
            return;
        };
        if end.waiting + GIVE_UP_AFTER <= now {
            let (node, flow) = (end.node, end.flow);
            self.deliver(node, OwnedInbound::FlowClosed { flow });
        }
    }

    /// Sends what a partition has kept.
    pub(super) fn resend(&mut self) {
        for flow in self.flows(|end| !end.mute && !end.pending.is_empty()) {
            let Some(end) = self.streams.ends.get_mut(&flow.id) else { continue };
            let pending = core::mem::take(&mut end.pending);
            for bytes in pending {
                self.push(flow.id, bytes);
            }
        }
    }

    /// Ends all connections between two nodes; both see it at once.
    pub(super) fn cut(&mut self, a: usize, b: usize) {
        for flow in self.flows(|end| [(a, b), (b, a)].contains(&(end.node, end.peer))) {
            let Some(end) = self.streams.ends.get_mut(&flow.id) else { continue };
            (end.other, end.mute) = (None, true);
            let node = end.node;
            self.deliver(node, OwnedInbound::FlowClosed { flow });
        }
    }

    /// Ends what `a` has of its connections with `b`, who does not see it: what `b` sends on them
    /// reaches nobody.
    pub(super) fn half_open(&mut self, a: usize, b: usize) {
        let now = self.now;
        for flow in self.flows(|end| end.node == b && end.peer == a) {
            let Some(end) = self.streams.ends.get_mut(&flow.id) else { continue };
            (end.other, end.mute) = (None, true);
            // What is on its way is never acknowledged.
            if end.ready > now && end.pending.is_empty() {
                end.pending.push_back(Bytes::new());
                end.waiting = now;
                self.schedule(now + GIVE_UP_AFTER, Happening::GiveUp { flow: flow.id });
            }
        }
        for flow in self.flows(|end| end.node == a && end.peer == b) {
            self.deliver(a, OwnedInbound::FlowClosed { flow });
        }
    }

    /// Nothing passes any more on what a node holds, and nobody sees it.
    pub(super) fn mute_connections(&mut self, node: usize) {
        let ends = self.streams.ends.values_mut();
        ends.filter(|end| end.node == node || end.peer == node).for_each(|end| end.mute = true);
    }

    fn flows(&self, which: impl Fn(&End) -> bool) -> Vec<Flow> {
        self.streams.ends.values().filter(|end| which(end)).map(|end| end.flow).collect()
    }

    /// How many connections a node holds.
    pub(super) fn connections_of(&self, node: usize) -> usize {
        self.streams.ends.values().filter(|end| end.node == node).count()
    }
}
