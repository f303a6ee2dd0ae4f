//! Which line what comes in is for.

use core::net::SocketAddr;

use super::{Line, LineId, Switchboard};
use crate::agent::Tag;
use crate::host::{Flow, FlowFailure, Host, Inbound, Outbound};
use crate::sip::{BRANCH_COOKIE, Message, Uri, unescape};
use crate::stream::{Closed, Decoded};

impl<L: Line> Switchboard<L> {
    /// Gives what came to whom it is for.
    pub(super) fn route(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        match inbound {
            Inbound::Datagram { flow, from, bytes } | Inbound::Stream { flow, from, bytes } => {
                match flow.transport.is_reliable() {
                    true => self.stream(host, flow, from, bytes),
                    false => self.datagram(host, flow, from, bytes),
                }
            }
            Inbound::FlowOpened { id, flow, local, certificate } => {
                let connections = &mut self.shared.connections;
                let opening = connections.opened(host, id, flow, local, certificate);
                let waiters = opening.map(|opening| opening.waiters).unwrap_or_default();
                for id in &waiters {
                    connections.join(flow, LineId::of_request(*id));
                }
                for id in waiters {
                    let opened = Inbound::FlowOpened { id, flow, local, certificate };
                    self.hand(host, LineId::of_request(id), opened);
                }
            }
            Inbound::FlowFailed { id, failure } => {
                let opening = self.shared.connections.failed(id);
                for id in opening.map(|opening| opening.waiters).unwrap_or_default() {
                    self.hand(host, LineId::of_request(id), Inbound::FlowFailed { id, failure });
                }
            }
            // Each line learns of it with the first message that is for it.
            Inbound::FlowAccepted { flow, from, local, certificate } => {
                self.shared.connections.accepted(host, flow, from, local, certificate);
            }
            Inbound::FlowClosed { flow } => self.shared.connections.closed(flow),
            Inbound::MediaBound { id, port, .. } => {
                let line = LineId::of_request(id);
                match self.lines.contains_key(&line) {
                    true => {
                        self.shared.ports.insert(port, line);
                        self.hand(host, line, inbound);
                    }
                    // The line was removed meanwhile.
                    false => host.send(Outbound::ReleaseMedia { port }),
                }
            }
            Inbound::MediaUnavailable { id }
            | Inbound::Resolved { id, .. }
            | Inbound::ResolveFailed { id, .. } => {
                self.hand(host, LineId::of_request(id), inbound);
            }
            Inbound::Media { port, .. } => {
                if let Some(line) = self.shared.ports.get(&port) {
                    self.hand(host, *line, inbound);
                }
            }
            // Each line knows by its transactions whether it sent that.
            Inbound::SendFailed { .. } => self.hand_to_all(host, inbound),
        }
        self.hand_closed(host);
    }

    /// Reports each connection that is over to the lines that used it.
    pub(super) fn hand_closed(&mut self, host: &mut dyn Host) {
        while let Some(Closed { flow, users, .. }) = self.shared.connections.next_closed() {
            for &line in users.iter() {
                self.hand(host, line, Inbound::FlowClosed { flow });
            }
        }
    }

    /// Hands lines the connections that were there already when they asked for one.
    pub(super) fn hand_found(&mut self, host: &mut dyn Host) {
        while let Some((id, flow)) = self.shared.next_found() {
            let line = LineId::of_request(id);
            let connections = &self.shared.connections;
            let there = flow.and_then(|flow| Some((flow, connections.addresses(flow)?)));
            let Some((flow, (_, local))) = there else {
                let failure = FlowFailure::Unreachable("the connection was closed");
                self.hand(host, line, Inbound::FlowFailed { id, failure });
                continue;
            };
            let certificate = connections.certificate(flow);
            let certificate = certificate.as_deref();
            self.hand(host, line, Inbound::FlowOpened { id, flow, local, certificate });
        }
    }

    /// Hands the messages of a connection to their lines.
    fn stream(&mut self, host: &mut dyn Host, flow: Flow, from: SocketAddr, mut piece: &[u8]) {
        while let Some(decoded) = self.shared.connections.decode(host, flow, from, &mut piece) {
            match decoded {
                Decoded::Message(message) => self.message(host, flow, from, message),
                // The line that has sent the ping waits for it.
                Decoded::Pong => {
                    for line in self.shared.connections.users(flow) {
                        self.hand_decoded(host, line, (flow, from), Decoded::Pong);
                    }
                }
                Decoded::Malformed { .. } => {}
            }
        }
    }

    /// Hands a datagram to its line.
    fn datagram(&mut self, host: &mut dyn Host, flow: Flow, from: SocketAddr, bytes: &[u8]) {
        let Some(first) = self.first() else { return };
        let inbound = Inbound::Datagram { flow, from, bytes };
        match self.lines.len() {
            1 => self.hand(host, first, inbound),
            // A keep-alive, or the answer to one, is for all who use the flow.
            _ if !is_text(bytes) => self.hand_to_all(host, inbound),
            _ => match Message::parse(bytes) {
                Ok(message) => self.message(host, flow, from, message),
                // Of what cannot be read somebody has to say so.
                Err(_) => self.hand(host, first, inbound),
            },
        }
    }

    /// Hands a message to its line, and before it the connection that it came on, if the line does not
    /// know that.
    fn message(&mut self, host: &mut dyn Host, flow: Flow, from: SocketAddr, message: Message) {
        let Some(line) = self.line_of(&message).or(self.first()) else { return };
        let connections = &mut self.shared.connections;
        if connections.join(flow, line)
            && let Some((from, local)) = connections.addresses(flow)
        {
            let certificate = connections.certificate(flow);
            let certificate = certificate.as_deref();
            self.hand(host, line, Inbound::FlowAccepted { flow, from, local, certificate });
        }
        self.hand_decoded(host, line, (flow, from), Decoded::Message(message));
    }

    fn hand_decoded(
        &mut self,
        host: &mut dyn Host,
        line: LineId,
        (flow, from): (Flow, SocketAddr),
        decoded: Decoded,
    ) {
        self.cross(host, line, |line, host| line.handle_decoded(host, flow, from, decoded));
    }

    fn first(&self) -> Option<LineId> {
        self.lines.keys().next().copied()
    }

    /// Whom a message is for; `None` when that is nobody in particular.
    fn line_of(&self, message: &Message) -> Option<LineId> {
        let here = |id: &LineId| self.lines.contains_key(id);
        if !message.is_request() {
            let branch = message.via().branch()?;
            return LineId::of_branch(branch.strip_prefix(BRANCH_COOKIE)?).filter(here);
        }
        let tag = message.to_tag().and_then(Tag::parse);
        if let Some(line) = tag.map(|tag| LineId::of_tag(tag.bits())).filter(here) {
            return Some(line);
        }
        let uri = message.uri()?;
        let param = uri.param("line").and_then(|param| LineId::of_param(param.text()));
        param.filter(here).or_else(|| self.line_called(&uri))
    }

    /// The line whose user a Request-URI names: at that server, or else the first of that name.
    fn line_called(&self, uri: &Uri<'_>) -> Option<LineId> {
        let user = unescape(uri.user()?);
        let of_user = |(_, line): &(LineId, &L)| line.phone().parameters().user == user;
        let at_home = |(_, line): &(LineId, &L)| {
            let server = line.phone().parameters().server.as_deref();
            server.is_some_and(|server| server.eq_ignore_ascii_case(uri.host()))
        };
        let named = || self.lines().filter(of_user);
        named().find(at_home).or_else(|| named().next()).map(|(id, _)| id)
    }
}

/// Whether bytes are meant to be a message: not a keep-alive of nothing but line ends (RFC 5626
/// §3.5.1), nor STUN, whose first two bits are zero (RFC 8489 §5).
fn is_text(bytes: &[u8]) -> bool {
    let blank = bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
    !blank && bytes.first().is_some_and(|first| first & 0xc0 != 0)
}
