//! Which line what comes in is for.

use core::net::SocketAddr;

use super::{Line, LineId, Switchboard};
use crate::agent::Tag;
use crate::host::{Flow, Host, Inbound};
use crate::sip::{BRANCH_COOKIE, Message, Uri, unescape};
use crate::stream::{Heard, PONG};

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
                let line = LineId::of_request(id);
                self.trunk.opened(host, id, flow, local, certificate);
                match self.lines.contains_key(&line) {
                    true => self.give(host, line, inbound),
                    false => self.trunk.leave(host, line),
                }
            }
            Inbound::FlowFailed { id, failure } => {
                self.trunk.failed(id, failure);
                self.give(host, LineId::of_request(id), inbound);
            }
            Inbound::FlowAccepted { flow, from, local, certificate } => {
                self.trunk.accepted(host, flow, from, local, certificate);
            }
            Inbound::FlowClosed { flow } => self.trunk.streams.closed(flow),
            Inbound::MediaBound { id, port, .. } => {
                self.trunk.lend(port, LineId::of_request(id));
                self.give(host, LineId::of_request(id), inbound);
            }
            Inbound::MediaUnavailable { id }
            | Inbound::Resolved { id, .. }
            | Inbound::ResolveFailed { id, .. } => {
                self.give(host, LineId::of_request(id), inbound);
            }
            Inbound::Media { port, .. } => {
                if let Some(line) = self.trunk.borrower(port) {
                    self.give(host, line, inbound);
                }
            }
            // Whose it was, each line knows by its transactions.
            Inbound::SendFailed { .. } => self.give_all(host, inbound),
        }
        self.tell_closed(host);
    }

    /// Tells of each connection that is over who knew of it.
    pub(super) fn tell_closed(&mut self, host: &mut dyn Host) {
        while let Some((flow, users)) = self.trunk.next_closed() {
            for line in users {
                self.give(host, line, Inbound::FlowClosed { flow });
            }
        }
    }

    /// Gives the messages that came on a connection to their lines.
    fn stream(&mut self, host: &mut dyn Host, flow: Flow, from: SocketAddr, mut piece: &[u8]) {
        while let Some(heard) = self.trunk.streams.next(host, flow, from, &mut piece) {
            match heard {
                Heard::Message(message) => {
                    let Some(line) = self.line_of(&message).or(self.first()) else { return };
                    if let Some(news) = self.trunk.introduce(flow, line) {
                        self.give(host, line, news.inbound());
                    }
                    self.give(host, line, piece_of(flow, from, message.bytes()));
                }
                // Whoever has pinged waits for it.
                Heard::Pong => {
                    for line in self.trunk.users(flow) {
                        self.give(host, line, piece_of(flow, from, PONG));
                    }
                }
                Heard::Malformed { .. } => {}
            }
        }
    }

    /// Gives a datagram to its line.
    fn datagram(&mut self, host: &mut dyn Host, flow: Flow, from: SocketAddr, bytes: &[u8]) {
        let Some(first) = self.first() else { return };
        let inbound = Inbound::Datagram { flow, from, bytes };
        let line = match self.lines.len() {
            1 => first,
            // A keep-alive, or the answer to one, is for all who use the flow.
            _ if !is_text(bytes) => return self.give_all(host, inbound),
            // Of what cannot be read somebody has to say so.
            _ => Message::parse(bytes).ok().and_then(|it| self.line_of(&it)).unwrap_or(first),
        };
        self.give(host, line, inbound);
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

/// A whole message as it comes on a connection.
fn piece_of(flow: Flow, from: SocketAddr, bytes: &[u8]) -> Inbound<'_> {
    match flow.transport.is_stream() {
        true => Inbound::Stream { flow, from, bytes },
        false => Inbound::Datagram { flow, from, bytes },
    }
}

/// Whether bytes are meant to be a message: not a keep-alive of nothing but line ends (RFC 5626
/// §3.5.1), nor STUN, whose first two bits are zero (RFC 8489 §5).
fn is_text(bytes: &[u8]) -> bool {
    let blank = bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
    !blank && bytes.first().is_some_and(|first| first & 0xc0 != 0)
}
