//! Capsules (RFC 9297 §3.2): a type, a length and a value.

mod kinds;
mod read;
mod write;

use core::net::{IpAddr, SocketAddr};

use super::problem::Problem;
use crate::certificate::Identities;
use crate::host::{Channel, Query, RecordSet, Transport};
use crate::time::Duration;

/// The version of the protocol that is spoken here.
pub const VERSION: u64 = 1;
/// The longest capsule, its type and length included; one message of WebSocket.
pub const LARGEST_MESSAGE: usize = 65_536;
/// The longest RTP or RTCP packet that is carried, in bytes.
pub const LARGEST_PACKET: usize = 2_000;
/// The longest token, in bytes.
pub const LARGEST_TOKEN: usize = 4_096;
/// The most bytes of a flow in one capsule.
pub(in crate::relay) const LARGEST_DATA: usize = 65_000;
/// The longest explanation, in bytes.
const LARGEST_TEXT: usize = 500;
/// The most records of an answer, and the most identities of each kind in a certificate.
const MOST_RECORDS: usize = 32;
/// The most bytes of them.
const LARGEST_LIST: usize = 16_384;

/// One capsule. Flows, pairs of ports and lookups have numbers that the client gives, each once; contexts even
/// numbers of the client and odd ones of the relay (RFC 9298 §4).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Capsule<'a> {
    /// One RTP or RTCP packet, to or from the peer of a context.
    Datagram {
        /// The context.
        context: u64,
        /// The packet.
        payload: &'a [u8],
    },
    /// The first of a client.
    Authenticate(Authenticate<'a>),
    /// Answers it.
    Ready(Ready),
    /// The end of a session, or of a connection that began none.
    Denied {
        /// Why.
        problem: Problem,
        /// The same in words.
        text: &'a str,
    },
    /// How many numbered capsules have come.
    Acknowledge {
        /// So many since the session began.
        received: u64,
    },
    /// The relay asks for a PONG.
    Ping {
        /// As in [`Acknowledge`](Self::Acknowledge).
        received: u64,
    },
    /// The client gives it.
    Pong {
        /// As in [`Acknowledge`](Self::Acknowledge).
        received: u64,
    },
    /// The relay stops soon.
    Draining {
        /// After how many seconds.
        seconds: u64,
    },
    /// The client ends the session.
    Leave,
    /// Asks for a pair of media ports.
    Bind {
        /// Its number.
        pair: u64,
        /// The peer, so that the address is that of the route to it.
        toward: IpAddr,
    },
    /// The pair is no longer needed.
    Release {
        /// Its number.
        pair: u64,
    },
    /// A context stands for this peer from now on.
    Assign {
        /// The context.
        context: u64,
        /// The pair.
        pair: u64,
        /// Which port of it.
        channel: Channel,
        /// The peer.
        peer: SocketAddr,
    },
    /// A context stands for nobody any more.
    Unassign {
        /// The context.
        context: u64,
    },
    /// Asks for a flow to a SIP server.
    Open {
        /// Its number.
        flow: u64,
        /// UDP, TCP or TLS.
        transport: Transport,
        /// The server.
        to: SocketAddr,
        /// The name it was asked for by, before anything was resolved.
        name: &'a str,
    },
    /// The flow is closed, or is to be: what was sent comes first.
    Close {
        /// The flow.
        flow: u64,
    },
    /// Asks for DNS records.
    Resolve {
        /// The number of the question.
        lookup: u64,
        /// What for.
        query: Query<'a>,
    },
    /// A new token for the session.
    Token {
        /// The token.
        token: &'a str,
    },
    /// So many bytes more of a flow may be sent.
    Credit {
        /// The flow.
        flow: u64,
        /// How many.
        bytes: u64,
    },
    /// Bytes of a flow: of UDP one datagram, else the next of the stream.
    Data {
        /// The flow.
        flow: u64,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Answers [`Bind`](Self::Bind).
    Bound {
        /// The pair.
        pair: u64,
        /// The address of its RTP port as peers see it.
        rtp: SocketAddr,
        /// The address of its RTCP port.
        rtcp: SocketAddr,
    },
    /// Answers a request that was refused.
    Refused {
        /// What the number is one of.
        subject: Subject,
        /// The number of the pair, context, flow or lookup; 0 for a token.
        number: u64,
        /// Why.
        problem: Problem,
        /// What was in the way, in words that end a sentence.
        text: &'a str,
    },
    /// Answers [`Open`](Self::Open).
    Opened {
        /// The flow.
        flow: u64,
        /// The local address from which the server sees us.
        local: SocketAddr,
        /// The identities in the server's certificate, over TLS; its chain has been verified.
        certificate: Option<Identities>,
    },
    /// Answers [`Resolve`](Self::Resolve).
    Resolved {
        /// The number of the question.
        lookup: u64,
        /// How long it holds, in seconds.
        ttl: Duration,
        /// The records.
        found: RecordSet,
    },
    /// A capsule of a newer version, which is skipped.
    Unknown {
        /// Its type.
        kind: u64,
    },
}

/// See [`Capsule::Authenticate`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authenticate<'a> {
    /// The version of the protocol: the first field of the first capsule, whatever the version.
    pub version: u64,
    /// Who the client is, and what it may do.
    pub token: &'a str,
    /// The session that it comes back to.
    pub resume: Option<Key>,
    /// How many numbered capsules of that session have come.
    pub received: u64,
}

/// See [`Capsule::Ready`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ready {
    /// Whether the session that was asked for goes on. Without it this is a new one.
    pub resumed: bool,
    /// What the client comes back with; another at each connection.
    pub key: Key,
    /// How many numbered capsules of the client have come.
    pub received: u64,
    /// How long the session is kept without a connection.
    pub grace: Duration,
    /// How often the relay sends PING.
    pub ping: Duration,
    /// For how long the token is good.
    pub valid: Duration,
    /// The credit of a new flow, in bytes, both ways.
    pub window: u64,
    /// The longest packet of media, in bytes.
    pub largest_packet: u64,
    /// How many pairs of media ports the client may hold.
    pub pairs: u64,
    /// How many flows.
    pub flows: u64,
}

/// Names a session, and proves that it is one's own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Names it.
    pub id: [u8; 16],
    /// Proves it.
    pub secret: [u8; 16],
}

/// What a refusal is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// [`Capsule::Bind`].
    Pair,
    /// [`Capsule::Assign`].
    Context,
    /// [`Capsule::Open`].
    Flow,
    /// [`Capsule::Resolve`].
    Lookup,
    /// [`Capsule::Token`].
    Token,
}

/// Bytes that are no capsule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CapsuleError {
    /// The length is above the limit of the type.
    #[error("a capsule of type {kind:#x} has at most {limit} bytes, and not {length}")]
    TooLong {
        /// The type.
        kind: u64,
        /// What was announced.
        length: u64,
        /// What is allowed.
        limit: usize,
    },
    /// The value is not what the type says.
    #[error("a capsule of type {kind:#x} cannot be read")]
    Malformed {
        /// The type.
        kind: u64,
    },
}

/// Nobody reads a secret in a log.
impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Key")
    }
}
