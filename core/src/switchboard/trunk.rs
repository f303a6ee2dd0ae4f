//! What the lines of a switchboard share: connections.

use core::net::SocketAddr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::LineId;
use crate::certificate::Identities;
use crate::host::{
    Clock, Datagrams, Entropy, Flow, FlowFailure, Host, Inbound, MediaPort, Outbound, RequestId,
    Transport,
};
use crate::stream::{PING, Streams};
use crate::time::{Instant, WallTime};

/// The connections of all lines. Lines that ask for the same transport, address and name get one
/// connection (RFC 5923 §5; on TLS the name was verified for both), which is closed when the last
/// of them wants it no longer.
#[derive(Debug, Default)]
pub(super) struct Trunk {
    /// What the host was asked to open, under the number of the first who asked.
    opening: BTreeMap<RequestId, Opening>,
    ours: BTreeMap<Key, Flow>,
    connections: BTreeMap<Flow, Connection>,
    /// Cuts what comes on them into messages, which may be for one line each.
    pub(super) streams: Streams,
    answers: VecDeque<(LineId, Answer)>,
    /// Whose the pairs of media ports are.
    ports: BTreeMap<MediaPort, LineId>,
}

/// What makes a connection the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    transport: Transport,
    to: SocketAddr,
    name: String,
}

#[derive(Debug)]
struct Opening {
    key: Key,
    /// Who wants it too.
    others: Vec<(LineId, RequestId)>,
}

#[derive(Debug)]
struct Connection {
    /// What it was opened as; `None` when the peer has opened it.
    key: Option<Key>,
    from: SocketAddr,
    local: SocketAddr,
    certificate: Option<Identities>,
    /// Who knows of it.
    users: BTreeSet<LineId>,
}

/// What a line is told about a connection, kept until it is delivered.
#[derive(Debug)]
pub(super) enum Answer {
    Opened { id: RequestId, flow: Flow, local: SocketAddr, certificate: Option<Identities> },
    Accepted { flow: Flow, from: SocketAddr, local: SocketAddr, certificate: Option<Identities> },
    Unreachable { id: RequestId, problem: String },
    Untrusted { id: RequestId, problem: String },
    Unsupported { id: RequestId },
}

impl Answer {
    fn failed(id: RequestId, failure: FlowFailure<'_>) -> Self {
        match failure {
            FlowFailure::Unreachable(problem) => {
                Self::Unreachable { id, problem: problem.to_owned() }
            }
            FlowFailure::Untrusted(problem) => Self::Untrusted { id, problem: problem.to_owned() },
            FlowFailure::Unsupported => Self::Unsupported { id },
        }
    }

    pub(super) fn inbound(&self) -> Inbound<'_> {
        match self {
            Self::Opened { id, flow, local, certificate } => Inbound::FlowOpened {
                id: *id,
                flow: *flow,
                local: *local,
                certificate: certificate.as_ref(),
            },
            Self::Accepted { flow, from, local, certificate } => Inbound::FlowAccepted {
                flow: *flow,
                from: *from,
                local: *local,
                certificate: certificate.as_ref(),
            },
            Self::Unreachable { id, problem } => {
                Inbound::FlowFailed { id: *id, failure: FlowFailure::Unreachable(problem) }
            }
            Self::Untrusted { id, problem } => {
                Inbound::FlowFailed { id: *id, failure: FlowFailure::Untrusted(problem) }
            }
            Self::Unsupported { id } => {
                Inbound::FlowFailed { id: *id, failure: FlowFailure::Unsupported }
            }
        }
    }
}

impl Trunk {
    /// What a line is to be told.
    pub(super) fn next_answer(&mut self) -> Option<(LineId, Answer)> {
        self.answers.pop_front()
    }

    /// Notes a connection of ours, for who asked and all who wanted it too.
    pub(super) fn opened(
        &mut self,
        host: &mut dyn Host,
        id: RequestId,
        flow: Flow,
        local: SocketAddr,
        certificate: Option<&Identities>,
    ) {
        let Some(Opening { key, others }) = self.opening.remove(&id) else { return };
        let mut users = BTreeSet::from([LineId::of_request(id)]);
        for (line, id) in others {
            let certificate = certificate.cloned();
            users.insert(line);
            self.answers.push_back((line, Answer::Opened { id, flow, local, certificate }));
        }
        let certificate = certificate.cloned();
        let from = key.to;
        self.streams.opened(host, flow, from, local);
        self.ours.insert(key.clone(), flow);
        let connection = Connection { key: Some(key), from, local, certificate, users };
        self.connections.insert(flow, connection);
    }

    /// Tells the others who wanted it that there is no such connection.
    pub(super) fn failed(&mut self, id: RequestId, failure: FlowFailure<'_>) {
        let Some(Opening { others, .. }) = self.opening.remove(&id) else { return };
        for (line, id) in others {
            self.answers.push_back((line, Answer::failed(id, failure)));
        }
    }

    /// Notes a connection that a peer has opened. Lines learn of it with the first message on it
    /// that is for them.
    pub(super) fn accepted(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        local: SocketAddr,
        certificate: Option<&Identities>,
    ) {
        self.streams.accepted(host, flow, from, local);
        if !self.streams.contains(flow) {
            return;
        }
        let (certificate, users) = (certificate.cloned(), BTreeSet::new());
        self.connections.insert(flow, Connection { key: None, from, local, certificate, users });
    }

    /// What a line that gets a message on a connection has to be told first.
    pub(super) fn introduce(&mut self, flow: Flow, line: LineId) -> Option<Answer> {
        let connection = self.connections.get_mut(&flow)?;
        connection.users.insert(line).then(|| {
            let Connection { from, local, ref certificate, .. } = *connection;
            Answer::Accepted { flow, from, local, certificate: certificate.clone() }
        })
    }

    /// Notes whose a pair of media ports is.
    pub(super) fn lend(&mut self, port: MediaPort, line: LineId) {
        self.ports.insert(port, line);
    }

    /// Whose a pair of media ports is.
    pub(super) fn borrower(&self, port: MediaPort) -> Option<LineId> {
        self.ports.get(&port).copied()
    }

    /// The next connection that is over, and who has to be told.
    pub(super) fn next_closed(&mut self) -> Option<(Flow, BTreeSet<LineId>)> {
        let flow = self.streams.next_closed()?;
        Some((flow, self.forget(flow)))
    }

    /// Closes what has taken too long.
    pub(super) fn handle_deadline(&mut self, host: &mut dyn Host) {
        let connections = &self.connections;
        let in_use = |flow| connections.get(&flow).is_some_and(|it| !it.users.is_empty());
        self.streams.handle_deadline(host, in_use);
    }

    /// Who knows of a connection.
    pub(super) fn users(&self, flow: Flow) -> Vec<LineId> {
        let users = self.connections.get(&flow).map(|connection| &connection.users);
        users.into_iter().flatten().copied().collect()
    }

    fn forget(&mut self, flow: Flow) -> BTreeSet<LineId> {
        let Some(connection) = self.connections.remove(&flow) else { return BTreeSet::new() };
        connection.key.map(|key| self.ours.remove(&key));
        connection.users
    }

    /// A line is gone: it wants nothing any more.
    pub(super) fn leave(&mut self, host: &mut dyn Host, line: LineId) {
        for opening in self.opening.values_mut() {
            opening.others.retain(|(other, _)| *other != line);
        }
        let flows: Vec<Flow> = self.connections.keys().copied().collect();
        for flow in flows {
            self.close(host, flow, line);
        }
    }

    /// A line asks for a flow.
    fn open(
        &mut self,
        host: &mut dyn Host,
        line: LineId,
        id: RequestId,
        (transport, to, name): (Transport, SocketAddr, &str),
    ) {
        if !transport.is_reliable() {
            return host.send(Outbound::OpenFlow { id, transport, to, name });
        }
        let key = Key { transport, to, name: name.to_owned() };
        if let Some(flow) = self.ours.get(&key)
            && let Some(connection) = self.connections.get_mut(flow)
        {
            connection.users.insert(line);
            let (flow, local) = (*flow, connection.local);
            let certificate = connection.certificate.clone();
            self.answers.push_back((line, Answer::Opened { id, flow, local, certificate }));
            return;
        }
        if let Some(opening) = self.opening.values_mut().find(|opening| opening.key == key) {
            opening.others.push((line, id));
            return;
        }
        self.opening.insert(id, Opening { key, others: Vec::new() });
        host.send(Outbound::OpenFlow { id, transport, to, name });
    }

    /// A line wants a flow no longer.
    fn close(&mut self, host: &mut dyn Host, flow: Flow, line: LineId) {
        let Some(connection) = self.connections.get_mut(&flow) else { return };
        if connection.users.remove(&line) && connection.users.is_empty() {
            self.forget(flow);
            self.streams.close(host, flow);
        }
    }
}

/// The host as one line sees it.
pub(super) struct LineHost<'a> {
    host: &'a mut dyn Host,
    trunk: &'a mut Trunk,
    line: LineId,
}

impl<'a> LineHost<'a> {
    pub(super) fn new(host: &'a mut dyn Host, trunk: &'a mut Trunk, line: LineId) -> Self {
        Self { host, trunk, line }
    }
}

impl Clock for LineHost<'_> {
    fn now(&self) -> Instant {
        self.host.now()
    }

    fn wall(&self) -> WallTime {
        self.host.wall()
    }
}

impl Entropy for LineHost<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.host.fill(bytes);
    }
}

impl Datagrams for LineHost<'_> {
    fn send(&mut self, outbound: Outbound<'_>) {
        match outbound {
            Outbound::OpenFlow { id, transport, to, name } => {
                self.trunk.open(self.host, self.line, id, (transport, to, name));
            }
            // Its answer has to be expected where the connection is read.
            Outbound::Datagram { flow, bytes: PING, .. } if self.trunk.streams.contains(flow) => {
                self.trunk.streams.ping(self.host, flow);
            }
            Outbound::CloseFlow { flow } => self.trunk.close(self.host, flow, self.line),
            Outbound::ReleaseMedia { port } => {
                self.trunk.ports.remove(&port);
                self.host.send(outbound);
            }
            outbound => self.host.send(outbound),
        }
    }
}
