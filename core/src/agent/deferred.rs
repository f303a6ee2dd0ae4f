//! What has to wait for a connection: a request that is too large for a datagram (RFC 3261 §18.1.1),
//! and a response whose connection is gone (§18.2.2).

use core::net::SocketAddr;
use std::sync::Arc;

use super::{Agent, Context, Hop, Lost, Owner, Path, Reach};
use crate::host::{Flow, Host, Outbound, Transport};
use crate::map::Map;
use crate::sip::{Message, Method, find};
use crate::time::{Duration, Instant};
use crate::transaction::{ClientId, ServerId};

/// How large a request may be that goes by UDP, in bytes, where nobody knows the path's MTU.
const MAX_BY_UDP: usize = 1_300;

/// For how long a peer that has refused TCP is not asked again, and how many of those are remembered.
const REFUSED_FOR: Duration = Duration::from_secs(600);
const MAX_REFUSED: usize = 64;

/// How many ACKs may wait for connections.
const MAX_ACKS: usize = 64;

/// What is written and waits.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    requests: Map<ClientId, LargeRequest>,
    /// ACKs that wait, which are outside all transactions.
    acks: Map<u64, LargeRequest>,
    last_ack: u64,
    /// Those that have gone by TCP and had no response yet, and by which connection.
    sent: Map<ClientId, (Flow, LargeRequest)>,
    responses: Map<ServerId, (u16, Box<[u8]>)>,
    /// Who has refused TCP, and until when that counts.
    refused: Map<SocketAddr, Instant>,
}

/// A request that is too large for a datagram.
#[derive(Debug)]
struct LargeRequest {
    /// Where it goes if not by TCP.
    flow: Flow,
    to: SocketAddr,
    method: Method,
    bytes: Box<[u8]>,
}

impl Deferred {
    /// Whether a peer is worth asking for a connection.
    fn may_take(&self, peer: SocketAddr, now: Instant) -> bool {
        self.refused.get(&peer).is_none_or(|until| *until <= now)
    }

    fn refuse(&mut self, peer: SocketAddr, now: Instant) {
        self.refused.retain(|_, until| *until > now);
        if self.refused.len() >= MAX_REFUSED {
            self.refused.pop_first();
        }
        self.refused.insert(peer, now + REFUSED_FOR);
    }
}

impl Agent {
    /// Sends a request of ours, once there is a way for it: from UDP a large one changes to TCP, to the
    /// same address and port, and back when that is refused.
    pub(super) fn dispatch(
        &mut self,
        host: &mut dyn Host,
        path: &Path,
        method: &Method,
        branch: &str,
        bytes: &[u8],
    ) -> ClientId {
        let Path { flow, to, .. } = *path;
        if !self.upgrades(path, bytes, host.now()) {
            return self.transactions(host).request(host, flow, to, method, branch, bytes);
        }
        let client = self.transactions(host).prepare(host, to, method, branch);
        let hop = Hop::at(Transport::Tcp, to);
        let request = LargeRequest { flow, to, method: method.clone(), bytes: bytes.into() };
        self.deferred.requests.insert(client, request);
        match self.reach(host, &hop, Owner::Large(client)) {
            Reach::Open(path) => self.send_large(host, client, Ok(path)),
            Reach::Later => {}
            Reach::Never(lost) => self.send_large(host, client, Err(lost)),
        }
        client
    }

    /// Whether a request is too large for UDP and the peer may take it by TCP.
    fn upgrades(&self, path: &Path, bytes: &[u8], now: Instant) -> bool {
        let large = bytes.len() > MAX_BY_UDP && !path.flow.transport.is_reliable();
        large && self.parameters.allow_tcp && self.deferred.may_take(path.to, now)
    }

    /// Sends an ACK of a 2xx in the same way. Nobody answers it; one that is lost is asked for by the
    /// next 2xx.
    pub(super) fn dispatch_ack(&mut self, host: &mut dyn Host, path: &Path, bytes: &[u8]) {
        let Path { flow, to, .. } = *path;
        if !self.upgrades(path, bytes, host.now()) {
            return host.send(Outbound::Datagram { flow, to, bytes });
        }
        let Deferred { acks, last_ack, .. } = &mut self.deferred;
        // The 2xx comes again while the connection opens.
        if acks.values().any(|waiting| *waiting.bytes == *bytes) || acks.len() >= MAX_ACKS {
            return;
        }
        *last_ack += 1;
        let id = *last_ack;
        acks.insert(id, LargeRequest { flow, to, method: Method::Ack, bytes: bytes.into() });
        match self.reach(host, &Hop::at(Transport::Tcp, to), Owner::Ack(id)) {
            Reach::Open(path) => self.send_large_ack(host, id, Ok(path)),
            Reach::Later => {}
            Reach::Never(lost) => self.send_large_ack(host, id, Err(lost)),
        }
    }

    /// Takes the connection that a large ACK was to go by, or that there is none.
    pub(crate) fn send_large_ack(
        &mut self,
        host: &mut dyn Host,
        id: u64,
        path: Result<Arc<Path>, Lost>,
    ) {
        let Some(LargeRequest { flow, to, bytes, .. }) = self.deferred.acks.remove(&id) else {
            return;
        };
        match path {
            Ok(path) if path.flow.transport == Transport::Tcp => {
                let bytes = &by_tcp(&bytes);
                host.send(Outbound::Datagram { flow: path.flow, to: path.to, bytes });
            }
            _ => {
                self.deferred.refuse(to, host.now());
                host.send(Outbound::Datagram { flow, to, bytes: &bytes });
            }
        }
    }

    /// Takes the connection that a large request was to go by, or that there is none.
    pub(crate) fn send_large(
        &mut self,
        host: &mut dyn Host,
        client: ClientId,
        path: Result<Arc<Path>, Lost>,
    ) {
        let Some(large) = self.deferred.requests.remove(&client) else { return };
        match path {
            Ok(path) if path.flow.transport == Transport::Tcp => {
                let (flow, to, bytes) = (path.flow, path.to, by_tcp(&large.bytes));
                let transactions = self.transactions(host);
                transactions.send_prepared(host, client, flow, to, &large.method, &bytes);
                if let Some(transactions) = &self.transactions {
                    self.deferred.sent.retain(|client, _| transactions.is_unanswered(*client));
                }
                self.deferred.sent.insert(client, (flow, large));
            }
            _ => self.send_by_udp(host, client, &large),
        }
    }

    /// A connection is over: what went by it for its size alone and had no response goes by UDP, for some
    /// listen for TCP and close what is opened. Nothing is known against the server on UDP.
    pub(super) fn fall_back_to_udp(&mut self, host: &mut dyn Host, over: Flow) {
        let sent = core::mem::take(&mut self.deferred.sent);
        for (client, (flow, large)) in sent {
            if !self.transactions(host).is_unanswered(client) {
                continue;
            }
            match flow == over {
                true => self.send_by_udp(host, client, &large),
                false => _ = self.deferred.sent.insert(client, (flow, large)),
            }
        }
    }

    /// "the element SHOULD retry the request, using UDP".
    fn send_by_udp(&mut self, host: &mut dyn Host, client: ClientId, large: &LargeRequest) {
        let LargeRequest { flow, to, method, bytes } = large;
        self.deferred.refuse(*to, host.now());
        self.transactions(host).send_prepared(host, client, *flow, *to, method, bytes);
    }
}

impl Context<'_> {
    /// Whether a response has to wait for a new connection, because that of its request is gone: it is
    /// sent to the address from which the request came, at the port where its sender listens.
    pub(super) fn defers_response(&mut self, id: ServerId, status: u16, bytes: &[u8]) -> bool {
        let Some((flow, from)) = self.transactions().peer_of(id) else { return false };
        // A client of WebSocket listens nowhere (RFC 7118 §5).
        if !flow.transport.is_stream() || self.agent.connections.contains(flow) {
            return false;
        }
        if let Some(waiting) = self.agent.deferred.responses.get_mut(&id) {
            *waiting = (status, bytes.into());
            return true;
        }
        let Ok(response) = Message::parse(bytes) else { return false };
        let via = response.via();
        // A certificate names hosts by what they are called.
        let host = match flow.transport.is_secure() {
            true => via.host().to_owned(),
            false => from.ip().to_canonical().to_string(),
        };
        let port = via.port().unwrap_or(flow.transport.default_port());
        let hop = Hop::new(&host, Some(port), Some(flow.transport));
        match self.reach(&hop, Owner::Response(id)) {
            Reach::Open(path) => {
                self.transactions().move_server(id, path.flow, path.to);
                false
            }
            Reach::Later => {
                self.agent.deferred.responses.insert(id, (status, bytes.into()));
                true
            }
            Reach::Never(_) => true,
        }
    }

    /// Takes the new connection for a response, or that there is none.
    pub(crate) fn send_deferred(&mut self, id: ServerId, path: Result<Arc<Path>, Lost>) {
        let Some((status, bytes)) = self.agent.deferred.responses.remove(&id) else { return };
        if let Ok(path) = path {
            self.transactions().move_server(id, path.flow, path.to);
            self.agent.transactions(self.host).respond(self.host, id, status, &bytes);
        }
    }
}

/// The same request as it goes by TCP: "the value in the top Via MUST be changed".
fn by_tcp(bytes: &[u8]) -> Vec<u8> {
    const UDP: &[u8] = b"SIP/2.0/UDP";
    const TCP: &[u8] = b"SIP/2.0/TCP";
    let mut bytes = bytes.to_vec();
    // It stands in the first Via, which nothing that is written so comes before.
    if let Some(at) = find(&bytes, UDP) {
        bytes.splice(at..at + UDP.len(), TCP.iter().copied());
    }
    bytes
}
