//! What the lines of a switchboard share: connections, and the host's answers.

use std::collections::VecDeque;

use super::LineId;
use crate::host::{Clock, Datagrams, Entropy, Flow, Host, MediaPort, Outbound, RequestId};
use crate::map::{Map, Set};
use crate::stream::{Connections, Destination, PING};
use crate::time::{Duration, Instant, WallTime};

/// What belongs to all lines together, and what of the host's to which.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Lines that ask for the same transport, address and name get one connection (RFC 5923 §5; over
    /// TLS each line looks at the certificate), which is closed when the last of them wants it no
    /// longer. What comes on it may be for one line each.
    pub(super) connections: Connections<LineId>,
    /// The requests of lines for which a connection was there already, and those for which there will be
    /// none.
    found: VecDeque<(RequestId, Option<Flow>)>,
    /// The latest change of network, if there was one.
    change: Option<NetworkChange>,
    /// Whose the pairs of media ports are.
    pub(super) ports: Map<MediaPort, LineId>,
}

/// A change of network, of which each line has to be notified: the first has the sockets bound anew, and
/// what the lines share renewed.
#[derive(Debug)]
struct NetworkChange {
    began: Instant,
    /// The lines that were notified.
    lines: Set<LineId>,
}

impl NetworkChange {
    /// How long after the first line the last one is notified of the same change.
    const LASTS: Duration = Duration::from_secs(1);
}

impl Shared {
    /// A request of a line for which a connection was there already, and that connection; or for which
    /// there is none since the network has changed.
    pub(super) fn next_found(&mut self) -> Option<(RequestId, Option<Flow>)> {
        self.found.pop_front()
    }

    /// A line is gone: it wants nothing any more.
    pub(super) fn leave(&mut self, host: &mut dyn Host, line: LineId) {
        self.connections.forget_waiters(|id| LineId::of_request(id) == line);
        self.connections.leave_all(host, line);
        let is_its = |(port, owner): (&MediaPort, &LineId)| (*owner == line).then_some(*port);
        let ports: Vec<MediaPort> = self.ports.iter().filter_map(is_its).collect();
        for port in ports {
            self.ports.remove(&port);
            host.send(Outbound::ReleaseMedia { port });
        }
    }

    /// A line was notified that the network has changed.
    fn rebind(&mut self, host: &mut dyn Host, line: LineId) {
        let now = host.now();
        if let Some(change) = &mut self.change
            && now.since(change.began) < NetworkChange::LASTS
            && change.lines.insert(line)
        {
            return;
        }
        let mut lines = Set::new();
        lines.insert(line);
        self.change = Some(NetworkChange { began: now, lines });
        self.found.clear();
        self.found.extend(self.connections.renew().into_iter().map(|id| (id, None)));
        host.send(Outbound::Rebind);
    }

    /// A line asks for a flow.
    fn open(&mut self, host: &mut dyn Host, id: RequestId, destination: Destination) {
        match self.connections.find(&destination) {
            Some(flow) => {
                self.connections.join(flow, LineId::of_request(id));
                self.found.push_back((id, Some(flow)));
            }
            None => self.connections.open(host, id, destination),
        }
    }
}

/// The host as one line sees it.
pub(super) struct LineHost<'a> {
    host: &'a mut dyn Host,
    shared: &'a mut Shared,
    line: LineId,
}

impl<'a> LineHost<'a> {
    pub(super) fn new(host: &'a mut dyn Host, shared: &'a mut Shared, line: LineId) -> Self {
        Self { host, shared, line }
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
        let connections = &mut self.shared.connections;
        match outbound {
            Outbound::OpenFlow { id, transport, to, name } => {
                self.shared.open(self.host, id, Destination::new(transport, to, name));
            }
            // Its answer has to be expected where the connection is read.
            Outbound::Datagram { flow, bytes: PING, .. } if connections.contains(flow) => {
                connections.ping(self.host, flow);
            }
            Outbound::Rebind => self.shared.rebind(self.host, self.line),
            Outbound::CloseFlow { flow } => connections.leave(self.host, flow, self.line),
            Outbound::ReleaseMedia { port } => {
                self.shared.ports.remove(&port);
                self.host.send(outbound);
            }
            outbound => self.host.send(outbound),
        }
    }
}
