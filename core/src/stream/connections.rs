//! The connections of one endpoint.

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;
use std::sync::Arc;

use super::connection::{Connection, Decoded, Found, PING, PONG, refuse, source_of};
use super::framer::Framer;
use super::limits::ConnectionLimits;
use super::openings::{Destination, Opening, Openings};
use crate::certificate::{Identities, distrust};
use crate::host::{Flow, Host, Outbound, RequestId, Transport};
use crate::map::{Map, Set};
use crate::sip::{Fault, Message};
use crate::time::Instant;
use crate::timers::Timers;

/// The connections of one endpoint: which exist, what they were opened as, which openings are under
/// way and who waits for each, and the messages that come on them. Datagrams are decoded here too, so
/// that all bytes go the same way.
///
/// - A flow is asked for by [`open`](Self::open), after [`find`](Self::find) has found none to share
///   (RFC 5923). The host's answer goes to [`opened`](Self::opened) or [`failed`](Self::failed), which
///   say which requests have waited for it.
/// - Every [`Datagram`](crate::host::Inbound::Datagram) and [`Stream`](crate::host::Inbound::Stream)
///   goes through [`decode`](Self::decode) until that has nothing more.
/// - Afterwards, and after [`handle_deadline`](Self::handle_deadline), the connections that are over
///   come from [`next_closed`](Self::next_closed).
///
/// `U` names the users of a connection where several share the table, as the lines of a switchboard
/// do. A connection that no user wants any more is closed.
#[derive(Debug)]
pub(crate) struct Connections<U = ()> {
    limits: ConnectionLimits,
    connections: Map<Flow, Connection<U>>,
    /// The connections of ours that may be shared, by what they were opened as.
    shared: Map<Destination, Flow>,
    openings: Openings,
    /// How many connections are of others.
    accepted: usize,
    /// How many of those each source has.
    sources: Map<IpAddr, usize>,
    timers: Timers<Flow>,
    closed: VecDeque<Closed<U>>,
}

/// A flow that is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Closed<U = ()> {
    pub(crate) flow: Flow,
    /// The far end of a connection; `None` when the flow was none that is known.
    pub(crate) far: Option<SocketAddr>,
    /// Who used it to the end.
    pub(crate) users: Set<U>,
}

impl<U: Copy + Ord> Connections<U> {
    /// No connections.
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            connections: Map::new(),
            shared: Map::new(),
            openings: Openings::default(),
            accepted: 0,
            sources: Map::new(),
            timers: Timers::new(),
            closed: VecDeque::new(),
        }
    }

    // --- opening ---

    /// The connection of ours to a destination, if there is one (RFC 5923 §5).
    pub(crate) fn find(&self, destination: &Destination) -> Option<Flow> {
        self.shared.get(destination).copied()
    }

    /// The oldest connection of ours to an address, whatever name it was opened for.
    pub(crate) fn find_at(&self, transport: Transport, to: SocketAddr) -> Option<Flow> {
        let from = Destination { transport, to, name: String::new() };
        let there = self.shared.iter_from(&from).map(|(it, flow)| (it.transport, it.to, *flow));
        let there = there.take_while(|(by, at, _)| (*by, *at) == (transport, to));
        there.map(|(.., flow)| flow).min()
    }

    /// Asks the host for a flow, or waits with those who have asked for the same already.
    pub(crate) fn open(&mut self, host: &mut dyn Host, id: RequestId, destination: Destination) {
        if self.openings.join(id, &destination) {
            return;
        }
        let Destination { transport, to, ref name } = destination;
        host.send(Outbound::OpenFlow { id, transport, to, name });
        self.openings.begin(id, destination);
    }

    /// Why the far end of a flow that was opened is not the one that was asked for (RFC 5922 §7.3), if
    /// so: it is to be closed then, and the opening has [failed](Self::failed).
    pub(crate) fn distrust(
        &self,
        id: RequestId,
        flow: Flow,
        certificate: Option<&Identities>,
    ) -> Option<String> {
        distrust(flow.transport, &self.openings.destination(id)?.name, certificate)
    }

    /// A flow that was asked for is there ([`FlowOpened`](crate::host::Inbound::FlowOpened)): says what
    /// it was opened as and who has waited for it. One that nobody waits for any more is closed. `local`
    /// is our address as the host tells it.
    pub(crate) fn opened(
        &mut self,
        host: &mut dyn Host,
        id: RequestId,
        flow: Flow,
        local: SocketAddr,
        certificate: Option<&Identities>,
    ) -> Option<Opening> {
        let is_connection = flow.transport.is_reliable();
        let Some(opening) = self.openings.end(id) else {
            // A UDP flow is the host's one socket and stays.
            if is_connection {
                host.send(Outbound::CloseFlow { flow });
            }
            return None;
        };
        if is_connection {
            let destination = opening.destination.clone();
            let far = destination.to;
            self.insert(host, flow, far, local, Some(destination.clone()), certificate);
            self.shared.insert(destination, flow);
        }
        Some(opening)
    }

    /// There is no such flow ([`FlowFailed`](crate::host::Inbound::FlowFailed)): says who has waited for
    /// it.
    pub(crate) fn failed(&mut self, id: RequestId) -> Option<Opening> {
        self.openings.end(id)
    }

    /// Requests wait for their openings no longer.
    pub(crate) fn forget_waiters(&mut self, gone: impl Fn(RequestId) -> bool) {
        self.openings.forget_waiters(gone);
    }

    /// The network has changed: what comes of openings is of no use, and no connection is shared any
    /// more. Who has waited for the openings.
    pub(crate) fn renew(&mut self) -> Vec<RequestId> {
        self.shared.clear();
        self.openings.take_waiters()
    }

    /// Another has connected to us; false when there is no room for the connection, which is closed
    /// then.
    pub(crate) fn accepted(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        far: SocketAddr,
        local: SocketAddr,
        certificate: Option<&Identities>,
    ) -> bool {
        let source = source_of(far.ip());
        let crowd = self.sources.get(&source).is_some_and(|many| *many >= self.limits.per_source);
        if crowd || self.accepted >= self.limits.accepted {
            let among = |it: &Connection<U>| it.is_accepted() && (!crowd || it.source() == source);
            let unproven = self.connections.iter().filter(|(_, it)| among(it));
            let unproven = unproven.filter_map(|(flow, it)| Some((it.waiting?, *flow)));
            match unproven.min() {
                Some((_, flow)) => self.close(host, flow),
                None => {
                    host.send(Outbound::CloseFlow { flow });
                    return false;
                }
            }
        }
        self.insert(host, flow, far, local, None, certificate);
        true
    }

    // --- closing ---

    /// A flow is over ([`FlowClosed`](crate::host::Inbound::FlowClosed)).
    pub(crate) fn closed(&mut self, flow: Flow) {
        let (far, users) = match self.remove(flow) {
            Some(connection) => (Some(connection.far), connection.users),
            None => (None, Set::new()),
        };
        self.closed.push_back(Closed { flow, far, users });
    }

    /// Ends a connection, as if it were over.
    pub(crate) fn close(&mut self, host: &mut dyn Host, flow: Flow) {
        if self.connections.contains_key(&flow) {
            host.send(Outbound::CloseFlow { flow });
            self.closed(flow);
        }
    }

    /// Ends every connection and forgets all openings, without events.
    pub(crate) fn close_all(&mut self, host: &mut dyn Host) {
        let flows: Vec<Flow> = self.connections.keys().copied().collect();
        for flow in flows {
            self.close(host, flow);
        }
        self.closed.clear();
        self.openings.take_waiters();
    }

    /// The next flow that is closed, by either side; each is returned once.
    pub(crate) fn next_closed(&mut self) -> Option<Closed<U>> {
        self.closed.pop_front()
    }

    /// Closes what has taken too long: a message that does not end, a connection on which none comes,
    /// and one that has been silent, or is of ours and too many, unless it has a user or `in_use` says
    /// that somebody needs it.
    pub(crate) fn handle_deadline(
        &mut self,
        host: &mut dyn Host,
        in_use: impl Fn(Flow, SocketAddr) -> bool,
    ) {
        let now = host.now();
        self.make_room(host, &in_use);
        while let Some((_, flow)) = self.timers.pop_due(now) {
            let Some(connection) = self.connections.get_mut(&flow) else { continue };
            let impatient = connection.waiting.is_some_and(|at| at + self.limits.message <= now);
            let is_idle = connection.heard + self.limits.idle <= now;
            if !impatient
                && is_idle
                && (!connection.users.is_empty() || in_use(flow, connection.far))
            {
                connection.heard = now;
            }
            let due = connection.due(&self.limits);
            (connection.at, connection.timer) = (due, self.timers.set(due.max(now), flow));
            if due <= now {
                self.close(host, flow);
            }
        }
    }

    /// When [`handle_deadline`](Self::handle_deadline) is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    // --- what comes ---

    /// Decodes the next of what came from the front of `piece`; `None` when all of it was taken. A
    /// ping is answered here.
    pub(crate) fn decode(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        piece: &mut &[u8],
    ) -> Option<Decoded> {
        if piece.is_empty() {
            return None;
        }
        if !flow.transport.is_reliable() {
            return match Message::parse(core::mem::take(piece)) {
                Ok(message) => Some(Decoded::Message(message)),
                Err(error) if error.fault() == Fault::Empty => None,
                Err(error) => Some(refuse(host, flow, from, &error)),
            };
        }
        let now = host.now();
        // Otherwise it was closed, and this has been under way.
        let connection = self.connections.get_mut(&flow)?;
        connection.heard = now;
        let (decoded, broken) = loop {
            match connection.find_next(flow, piece) {
                None => break (None, false),
                Some(Found::Ping) => {
                    host.send(Outbound::Datagram { flow, to: from, bytes: PONG });
                }
                Some(Found::Pong) => break (Some(Decoded::Pong), false),
                Some(Found::Message(message)) => break (Some(Decoded::Message(message)), false),
                Some(Found::Malformed(error)) => {
                    break (Some(refuse(host, flow, from, &error)), false);
                }
                Some(Found::Broken(error)) => {
                    break (Some(refuse(host, flow, from, &error)), true);
                }
            }
        };
        if matches!(decoded, Some(Decoded::Message(_))) {
            connection.note_message(now);
        }
        if connection.framer.is_midway() {
            connection.waiting.get_or_insert(now);
        }
        let due = connection.due(&self.limits);
        if due < connection.at {
            connection.at = due;
            self.timers.reset(connection.timer, due);
        }
        if broken {
            self.close(host, flow);
        }
        decoded
    }

    /// Notes what another table has decoded of what came on a flow; false when there is no such
    /// connection.
    pub(crate) fn note(&mut self, host: &mut dyn Host, flow: Flow, decoded: &Decoded) -> bool {
        if !flow.transport.is_reliable() {
            return true;
        }
        let Some(connection) = self.connections.get_mut(&flow) else { return false };
        connection.heard = host.now();
        if matches!(decoded, Decoded::Message(_)) {
            connection.note_message(connection.heard);
        }
        true
    }

    /// Sends a ping (RFC 5626 §4.4.1): the answer is [`Decoded::Pong`], within 10 s or never.
    pub(crate) fn ping(&mut self, host: &mut dyn Host, flow: Flow) {
        if let Some(connection) = self.connections.get_mut(&flow) {
            connection.framer.expect_pong();
            host.send(Outbound::Datagram { flow, to: connection.far, bytes: PING });
        }
    }

    // --- users ---

    /// Notes that somebody uses a connection; true when that is new.
    pub(crate) fn join(&mut self, flow: Flow, user: U) -> bool {
        self.connections.get_mut(&flow).is_some_and(|connection| connection.users.insert(user))
    }

    /// Somebody uses a connection no longer: without any user it is closed.
    pub(crate) fn leave(&mut self, host: &mut dyn Host, flow: Flow, user: U) {
        let Some(connection) = self.connections.get_mut(&flow) else { return };
        if connection.users.remove(&user) && connection.users.is_empty() {
            self.close(host, flow);
        }
    }

    /// Somebody uses no connection any longer.
    pub(crate) fn leave_all(&mut self, host: &mut dyn Host, user: U) {
        let flows: Vec<Flow> = self.connections.keys().copied().collect();
        for flow in flows {
            self.leave(host, flow, user);
        }
    }

    /// Who uses a connection.
    pub(crate) fn users(&self, flow: Flow) -> Vec<U> {
        let users = self.connections.get(&flow).map(|connection| &connection.users);
        users.map(|users| users.iter().copied().collect()).unwrap_or_default()
    }

    // --- what is known of each ---

    /// Whether there is such a connection.
    pub(crate) fn contains(&self, flow: Flow) -> bool {
        self.connections.contains_key(&flow)
    }

    /// A connection's far and near address, from the host.
    pub(crate) fn addresses(&self, flow: Flow) -> Option<(SocketAddr, SocketAddr)> {
        self.connections.get(&flow).map(|connection| (connection.far, connection.local))
    }

    /// Whom the certificate of a connection's peer names.
    pub(crate) fn certificate(&self, flow: Flow) -> Option<Arc<Identities>> {
        self.connections.get(&flow)?.certificate.clone()
    }

    /// The name by which the peer of a secure connection knows us.
    pub(crate) fn known_as(&self, flow: Flow) -> Option<&str> {
        self.connections.get(&flow)?.known_as.as_deref()
    }

    /// Notes by which name the peer of a secure connection knows us: what our certificate has to name
    /// when it connects again (RFC 5922 §7.2).
    pub(crate) fn note_known_as(&mut self, flow: Flow, name: &str) {
        let connection = self.connections.get_mut(&flow).filter(|_| flow.transport.is_secure());
        if let Some(connection) = connection
            && connection.known_as.as_deref() != Some(name)
        {
            connection.known_as = Some(name.to_owned());
        }
    }

    /// The connections, those of others included.
    #[cfg(test)]
    pub(crate) fn flows(&self) -> Vec<Flow> {
        self.connections.keys().copied().collect()
    }

    /// Closes those of ours that are beyond the limit and that nobody needs.
    fn make_room(&mut self, host: &mut dyn Host, in_use: impl Fn(Flow, SocketAddr) -> bool) {
        let (now, limits) = (host.now(), self.limits);
        let spare = (self.connections.len() - self.accepted).saturating_sub(limits.opened);
        if spare == 0 {
            return;
        }
        let ours = self.connections.iter().filter(|(_, it)| !it.is_accepted());
        let quiet = ours.filter(|(flow, it)| {
            it.used + limits.message <= now && it.users.is_empty() && !in_use(**flow, it.far)
        });
        let quiet: Set<_> = quiet.map(|(flow, it)| (it.used, *flow)).collect();
        for (_, flow) in quiet.iter().take(spare) {
            self.close(host, *flow);
        }
    }

    /// Adds a connection: of ours to a destination, or one that a peer has opened.
    fn insert(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        far: SocketAddr,
        local: SocketAddr,
        destination: Option<Destination>,
        certificate: Option<&Identities>,
    ) {
        self.remove(flow);
        let now = host.now();
        let limits = &self.limits;
        let accepted = destination.is_none();
        let waiting = accepted.then_some(now);
        // Of ours, one too many has others looked at when it may be of use no more itself.
        let crowded = self.connections.len() - self.accepted >= limits.opened;
        let soon = accepted || crowded;
        let at = now + if soon { limits.message.min(limits.idle) } else { limits.idle };
        let connection = Connection {
            far,
            local,
            destination,
            certificate: certificate.cloned().map(Arc::new),
            known_as: None,
            users: Set::new(),
            framer: Framer::new(),
            heard: now,
            used: now,
            waiting,
            timer: self.timers.set(at, flow),
            at,
        };
        if accepted {
            self.accepted += 1;
            *self.sources.or_default(connection.source()) += 1;
        }
        self.connections.insert(flow, connection);
    }

    fn remove(&mut self, flow: Flow) -> Option<Connection<U>> {
        let connection = self.connections.remove(&flow)?;
        self.timers.cancel(connection.timer);
        match &connection.destination {
            None => {
                self.accepted -= 1;
                self.leave_source(connection.source());
            }
            Some(destination) if self.shared.get(destination) == Some(&flow) => {
                self.shared.remove(destination);
            }
            Some(_) => {}
        }
        Some(connection)
    }

    /// A source has one connection less.
    fn leave_source(&mut self, source: IpAddr) {
        if let Some(many) = self.sources.get_mut(&source) {
            *many -= 1;
            if *many == 0 {
                self.sources.remove(&source);
            }
        }
    }
}

impl<U: Copy + Ord> Default for Connections<U> {
    fn default() -> Self {
        Self::new(ConnectionLimits::default())
    }
}
