//! The connections of one endpoint.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::collections::{BTreeMap, VecDeque};

use super::framer::{Frame, Framer};
use crate::host::{Flow, Host, Outbound};
use crate::sip::{Fault, HeaderName, Message, ParseError};
use crate::time::{Duration, Instant};
use crate::timers::{TimerId, Timers};

/// What a ping is, and half of it its pong (RFC 5626 §4.4.1).
pub(crate) const PING: &[u8] = b"\r\n\r\n";
pub(crate) const PONG: &[u8] = b"\r\n";

/// The bounds of [`Streams`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamLimits {
    /// How many connections of others there may be. Beyond it the one goes that has waited longest
    /// for its first message, or else the newcomer. Default 1,024.
    pub accepted: usize,
    /// How many of them there may be from one source: an address, of IPv6 a network of 64 bits. Beyond it
    /// the same goes for its own. Default 256.
    pub per_source: usize,
    /// How many connections of ours there may be. Beyond it the one goes that has had no message for
    /// longest, if that is longer than [`message`](Self::message) and it is not in use: a ping is no
    /// message, or its far end could keep it for ever. Default 1,024.
    pub opened: usize,
    /// How long a message may take from its first byte to its last, and a connection of another to
    /// its first message. Default 32 s, which is 64*T1.
    pub message: Duration,
    /// After how long without a byte a connection is closed that is not in use. Default 15 minutes.
    pub idle: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            accepted: 1_024,
            per_source: 256,
            opened: 1_024,
            message: Duration::from_secs(32),
            idle: Duration::from_secs(15 * 60),
        }
    }
}

/// The connections of one endpoint, and the messages on them. A datagram goes the same way, so that
/// there is one for all that comes.
///
/// Tell it of each connection ([`opened`](Self::opened), [`accepted`](Self::accepted),
/// [`closed`](Self::closed)), and put every [`Datagram`](crate::host::Inbound::Datagram) and
/// [`Stream`](crate::host::Inbound::Stream) through [`next`](Self::next) until it has nothing more.
/// Afterwards, and after [`handle_deadline`](Self::handle_deadline), take what it has closed from
/// [`next_closed`](Self::next_closed).
///
/// ```
/// # use offhook_core::host::{Host, Inbound};
/// # use offhook_core::stream::{Heard, Streams};
/// # fn take(streams: &mut Streams, host: &mut dyn Host, inbound: Inbound<'_>) {
/// match inbound {
///     Inbound::Datagram { flow, from, bytes } | Inbound::Stream { flow, from, bytes } => {
///         let mut piece = bytes;
///         while let Some(heard) = streams.next(host, flow, from, &mut piece) {
///             match heard {
///                 Heard::Message(message) => println!("{message:?}"),
///                 Heard::Malformed { .. } | Heard::Pong => {}
///             }
///         }
///     }
///     Inbound::FlowAccepted { flow, from, local, .. } => streams.accepted(host, flow, from, local),
///     Inbound::FlowClosed { flow } => streams.closed(flow),
///     _ => {}
/// }
/// while let Some(flow) = streams.next_closed() {
///     println!("{flow:?} is over");
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Streams {
    limits: StreamLimits,
    connections: BTreeMap<Flow, Connection>,
    /// How many of them are of others.
    accepted: usize,
    /// How many of those each source has.
    sources: BTreeMap<IpAddr, usize>,
    timers: Timers<Flow>,
    closed: VecDeque<Flow>,
}

/// One connection.
#[derive(Debug)]
struct Connection {
    far: SocketAddr,
    local: SocketAddr,
    /// Whether the other end has connected.
    accepted: bool,
    framer: Framer,
    /// When the last bytes came.
    heard: Instant,
    /// When the last message came, or it was opened.
    used: Instant,
    /// Since when a whole message is awaited: the first of an accepted connection, or one that has
    /// begun.
    waiting: Option<Instant>,
    /// Set to when something may be due, or before.
    timer: TimerId,
    at: Instant,
}

/// What came.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Message(Message),
    /// What is no message. The connection is closed if nothing can follow it.
    Malformed {
        /// Whether it could be answered, and was.
        answered: bool,
    },
    /// The answer to a [`ping`](Streams::ping).
    Pong,
}

impl Streams {
    /// No connections.
    pub fn new(limits: StreamLimits) -> Self {
        Self {
            limits,
            connections: BTreeMap::new(),
            accepted: 0,
            sources: BTreeMap::new(),
            timers: Timers::new(),
            closed: VecDeque::new(),
        }
    }

    /// A connection that we asked for is there; `local` is our address as the host tells it. A UDP
    /// flow is none.
    pub fn opened(&mut self, host: &mut dyn Host, flow: Flow, far: SocketAddr, local: SocketAddr) {
        if flow.transport.is_reliable() {
            self.insert(host, flow, far, local, false);
        }
    }

    /// Another has connected to us.
    pub fn accepted(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        far: SocketAddr,
        local: SocketAddr,
    ) {
        let source = source(far.ip());
        let crowd = self.sources.get(&source).is_some_and(|many| *many >= self.limits.per_source);
        if crowd || self.accepted >= self.limits.accepted {
            let among = |it: &Connection| it.accepted && (!crowd || it.source() == source);
            let unproven = self.connections.iter().filter(|(_, it)| among(it));
            let unproven = unproven.filter_map(|(flow, it)| Some((it.waiting?, *flow)));
            match unproven.min() {
                Some((_, flow)) => self.close(host, flow),
                None => return host.send(Outbound::CloseFlow { flow }),
            }
        }
        self.insert(host, flow, far, local, true);
    }

    /// A connection is over ([`FlowClosed`](crate::host::Inbound::FlowClosed)).
    pub fn closed(&mut self, flow: Flow) {
        self.remove(flow);
        self.closed.push_back(flow);
    }

    /// Ends a connection, as if it were over.
    pub fn close(&mut self, host: &mut dyn Host, flow: Flow) {
        if self.connections.contains_key(&flow) {
            host.send(Outbound::CloseFlow { flow });
            self.closed(flow);
        }
    }

    /// The next connection that is over, whoever has ended it: told once.
    pub fn next_closed(&mut self) -> Option<Flow> {
        self.closed.pop_front()
    }

    /// Takes the next of what came from the front of `piece`; `None` when all of it was taken. A
    /// ping is answered here.
    pub fn next(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        piece: &mut &[u8],
    ) -> Option<Heard> {
        if piece.is_empty() {
            return None;
        }
        if !flow.transport.is_reliable() {
            return match Message::parse(core::mem::take(piece)) {
                Ok(message) => Some(Heard::Message(message)),
                Err(error) if error.fault() == Fault::Empty => None,
                Err(error) => Some(refuse(host, flow, from, &error)),
            };
        }
        let now = host.now();
        // Otherwise it was closed, and this has been under way.
        let connection = self.connections.get_mut(&flow)?;
        connection.heard = now;
        let (heard, broken) = loop {
            match connection.take(flow, piece) {
                None => break (None, false),
                Some(Found::Ping) => {
                    host.send(Outbound::Datagram { flow, to: from, bytes: PONG });
                }
                Some(Found::Pong) => break (Some(Heard::Pong), false),
                Some(Found::Message(message)) => break (Some(Heard::Message(message)), false),
                Some(Found::Malformed(error)) => {
                    break (Some(refuse(host, flow, from, &error)), false);
                }
                Some(Found::Broken(error)) => {
                    break (Some(refuse(host, flow, from, &error)), true);
                }
            }
        };
        if matches!(heard, Some(Heard::Message(_))) {
            (connection.waiting, connection.used) = (None, now);
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
        heard
    }

    /// Sends a ping (RFC 5626 §4.4.1): the answer is [`Heard::Pong`], within 10 s or never.
    pub fn ping(&mut self, host: &mut dyn Host, flow: Flow) {
        if let Some(connection) = self.connections.get_mut(&flow) {
            connection.framer.expect_pong();
            host.send(Outbound::Datagram { flow, to: connection.far, bytes: PING });
        }
    }

    /// Closes what has taken too long: a message that does not end, a connection on which none comes,
    /// and one that has been silent, or is of ours and too many, unless `in_use` says that somebody needs
    /// it.
    pub fn handle_deadline(&mut self, host: &mut dyn Host, in_use: impl Fn(Flow) -> bool) {
        let now = host.now();
        self.make_room(host, &in_use);
        while let Some((_, flow)) = self.timers.pop_due(now) {
            let Some(connection) = self.connections.get_mut(&flow) else { continue };
            let impatient = connection.waiting.is_some_and(|at| at + self.limits.message <= now);
            if !impatient && connection.heard + self.limits.idle <= now && in_use(flow) {
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
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    /// Whether there is such a connection.
    pub fn contains(&self, flow: Flow) -> bool {
        self.connections.contains_key(&flow)
    }

    /// A connection's far and near address, as the host told them.
    pub fn addresses(&self, flow: Flow) -> Option<(SocketAddr, SocketAddr)> {
        self.connections.get(&flow).map(|connection| (connection.far, connection.local))
    }

    /// The connections, those of others included.
    pub fn flows(&self) -> impl Iterator<Item = Flow> + '_ {
        self.connections.keys().copied()
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Closes those of ours that are beyond the limit and that nobody needs.
    fn make_room(&mut self, host: &mut dyn Host, in_use: impl Fn(Flow) -> bool) {
        let (now, limits) = (host.now(), self.limits);
        let spare = (self.connections.len() - self.accepted).saturating_sub(limits.opened);
        if spare == 0 {
            return;
        }
        let ours = self.connections.iter().filter(|(_, it)| !it.accepted);
        let quiet = ours.filter(|(flow, it)| it.used + limits.message <= now && !in_use(**flow));
        let mut quiet: Vec<_> = quiet.map(|(flow, it)| (it.used, *flow)).collect();
        quiet.sort_unstable();
        for (_, flow) in quiet.into_iter().take(spare) {
            self.close(host, flow);
        }
    }

    fn insert(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        far: SocketAddr,
        local: SocketAddr,
        accepted: bool,
    ) {
        self.remove(flow);
        let now = host.now();
        let limits = &self.limits;
        let waiting = accepted.then_some(now);
        // Of ours, one too many has others looked at when it may be of use no more itself.
        let crowded = self.connections.len() - self.accepted >= limits.opened;
        let soon = accepted || crowded;
        let at = now + if soon { limits.message.min(limits.idle) } else { limits.idle };
        let timer = self.timers.set(at, flow);
        let framer = Framer::new();
        let (heard, used) = (now, now);
        let connection =
            Connection { far, local, accepted, framer, heard, used, waiting, timer, at };
        if accepted {
            self.accepted += 1;
            *self.sources.entry(connection.source()).or_default() += 1;
        }
        self.connections.insert(flow, connection);
    }

    fn remove(&mut self, flow: Flow) {
        if let Some(connection) = self.connections.remove(&flow) {
            self.timers.cancel(connection.timer);
            if connection.accepted {
                self.accepted -= 1;
                self.leave(connection.source());
            }
        }
    }

    /// A source has one connection less.
    fn leave(&mut self, source: IpAddr) {
        if let Some(many) = self.sources.get_mut(&source) {
            *many -= 1;
            if *many == 0 {
                self.sources.remove(&source);
            }
        }
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self::new(StreamLimits::default())
    }
}

/// What is next on a connection.
enum Found {
    Message(Message),
    Malformed(ParseError),
    Broken(ParseError),
    Ping,
    Pong,
}

impl Connection {
    fn source(&self) -> IpAddr {
        source(self.far.ip())
    }

    fn take(&mut self, flow: Flow, piece: &mut &[u8]) -> Option<Found> {
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

    /// When it is closed unless something comes.
    fn due(&self, limits: &StreamLimits) -> Instant {
        let idle = self.heard + limits.idle;
        self.waiting.map_or(idle, |since| idle.min(since + limits.message))
    }
}

/// What one peer has: an address, of IPv6 a network of 64 bits.
fn source(ip: IpAddr) -> IpAddr {
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
fn refuse(host: &mut dyn Host, flow: Flow, from: SocketAddr, error: &ParseError) -> Heard {
    let tag = format!("{:016x}", host.random());
    let mut answer = Vec::new();
    let answered = error.respond(&mut answer, &tag, from);
    if answered {
        let to = error.via().map_or(from, |via| via.return_address(flow.transport, from));
        host.send(Outbound::Datagram { flow, to, bytes: &answer });
    }
    Heard::Malformed { answered }
}
