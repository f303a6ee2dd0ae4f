//! One connection, and what comes on it.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::framer::{Frame, Framer};
use super::limits::ConnectionLimits;
use super::openings::Destination;
use crate::certificate::Identities;
use crate::host::{Flow, Host, Outbound};
use crate::map::Set;
use crate::sip::{Fault, HeaderName, Message, ParseError};
use crate::time::Instant;
use crate::timers::TimerId;

/// A keep-alive, and its answer (RFC 5626 §4.4.1).
pub(crate) const PING: &[u8] = b"\r\n\r\n";
pub(crate) const PONG: &[u8] = b"\r\n";

/// What bytes that came on a flow were.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Decoded {
    /// A message.
    Message(Message),
    /// No message. The connection is closed if nothing can follow it.
    Malformed {
        /// Whether it could be answered, and was.
        answered: bool,
    },
    /// The answer to a keep-alive of ours (RFC 5626 §4.4.1).
    Pong,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection<U> {
    pub(super) far: SocketAddr,
    pub(super) local: SocketAddr,
    /// What we opened it as; `None` when the peer has opened it.
    pub(super) destination: Option<Destination>,
    /// Whom the peer's certificate names.
    pub(super) certificate: Option<Arc<Identities>>,
    /// The name by which the peer knows us, if one is known.
    pub(super) known_as: Option<String>,
    /// Who uses it, where several share the table.
    pub(super) users: Set<U>,
    pub(super) framer: Framer,
    /// When the last bytes came.
    pub(super) heard: Instant,
    /// When the last message came, or it was opened.
    pub(super) used: Instant,
    /// Since when a whole message is awaited: the first of an accepted connection, or one that has
    /// begun.
    pub(super) waiting: Option<Instant>,
    /// Set to when something may be due, or before.
    pub(super) timer: TimerId,
    pub(super) at: Instant,
}

/// What is next on a connection.
pub(super) enum Found {
    Message(Message),
    Malformed(ParseError),
    Broken(ParseError),
    Ping,
    Pong,
}

impl<U> Connection<U> {
    /// Whether the peer has opened it.
    pub(super) fn is_accepted(&self) -> bool {
        self.destination.is_none()
    }

    /// The source that it counts on.
    pub(super) fn source(&self) -> IpAddr {
        source_of(self.far.ip())
    }

    /// Takes what is next from the front of `piece`; `None` when all of it was taken.
    pub(super) fn find_next(&mut self, flow: Flow, piece: &mut &[u8]) -> Option<Found> {
        if piece.is_empty() {
            return None;
        }
        if !flow.transport.is_stream() {
            // RFC 7118 §5: one message each, or what RFC 5626 sends between two.
            return match core::mem::take(piece) {
                PING => Some(Found::Ping),
                PONG => Some(Found::Pong),
                message => {
                    Some(Message::parse(message).map_or_else(Found::Malformed, Found::Message))
                }
            };
        }
        Some(match self.framer.next(piece)? {
            Frame::Message(frame) => match Message::parse(frame) {
                // What the parser has cut off would be another message to somebody else.
                Ok(message) if message.bytes().len() != frame.len() => {
                    let fault = Fault::Value(HeaderName::ContentLength);
                    Found::Broken(ParseError::of_head(frame, fault))
                }
                Ok(message) => Found::Message(message),
                Err(error) if is_lost_after(error.fault()) => Found::Broken(error),
                Err(error) => Found::Malformed(error),
            },
            Frame::Broken(error) => Found::Broken(error),
            Frame::Ping => Found::Ping,
            Frame::Pong => Found::Pong,
        })
    }

    /// A message has come.
    pub(super) fn note_message(&mut self, now: Instant) {
        (self.waiting, self.used) = (None, now);
    }

    /// When it is closed unless something comes.
    pub(super) fn due(&self, limits: &ConnectionLimits) -> Instant {
        let idle = self.heard + limits.idle;
        self.waiting.map_or(idle, |since| idle.min(since + limits.message))
    }
}

/// The source that an address counts as: of IPv6 a network of 64 bits, which is what one peer has.
pub(crate) fn source_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        ip => ip,
    }
}

/// Whether nothing on the stream can be trusted after this: it is not SIP, or the parser finds
/// another length than the framer.
fn is_lost_after(fault: Fault) -> bool {
    use Fault::{BodyTooShort, Missing, NotSip, Repeated, Value};
    const LENGTH: HeaderName = HeaderName::ContentLength;
    matches!(fault, NotSip | BodyTooShort | Missing(LENGTH) | Repeated(LENGTH) | Value(LENGTH))
}

/// Answers what is no message, if it can be answered (RFC 3261 §21.4.1).
pub(super) fn refuse(
    host: &mut dyn Host,
    flow: Flow,
    from: SocketAddr,
    error: &ParseError,
) -> Decoded {
    let tag = format!("{:016x}", host.random());
    let mut answer = Vec::new();
    let answered = error.respond(&mut answer, &tag, from);
    if answered {
        let to = error.via().map_or(from, |via| via.return_address(flow.transport, from));
        host.send(Outbound::Datagram { flow, to, bytes: &answer });
    }
    Decoded::Malformed { answered }
}
