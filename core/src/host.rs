//! The interface between the core and its host: all values that pass between them.
//!
//! A [`Host`] is a clock, a source of randomness and a way to send. It is passed in with each call,
//! answers at once and never blocks. What comes in is an [`Inbound`] value, what goes out is an
//! [`Outbound`] value; whatever a platform may need time for (opening a flow, binding media ports,
//! resolving a name) goes out as a request with a [`RequestId`] and comes back as an `Inbound` that
//! carries the same id.

use core::net::{IpAddr, SocketAddr};

use crate::certificate::Identities;
use crate::time::{Duration, Instant, WallTime};

pub use crate::transport::Transport;

/// What time it is.
pub trait Clock {
    /// The monotonic clock. Must not go back.
    fn now(&self) -> Instant;
    /// The wall clock, for timestamps that others read.
    fn wall(&self) -> WallTime;
}

/// Randomness for tags, branches, nonces and back-off. On a real host it must be unpredictable.
pub trait Entropy {
    /// Fills `bytes` with random bytes.
    fn fill(&mut self, bytes: &mut [u8]);

    /// A random number.
    fn random(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// Takes what the core sends. Sending cannot fail here: failure comes back as
/// [`Inbound::SendFailed`]. A host may gather what one call sends and pass it on in a batch.
pub trait Datagrams {
    /// Takes one outbound value. Must not block.
    fn send(&mut self, outbound: Outbound<'_>);
}

/// What an endpoint runs on: [`Clock`], [`Entropy`] and [`Datagrams`] together.
pub trait Host: Clock + Entropy + Datagrams {}

impl<H: Clock + Entropy + Datagrams + ?Sized> Host for H {}

/// Anything that lives on a network: a phone, an exchange, a scripted peer. One driver and one
/// simulation carry them all.
pub trait Endpoint {
    /// Takes one value from the host.
    fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>);
    /// Carries out what commands asked for and every deadline that is due.
    fn handle_deadline(&mut self, host: &mut dyn Host);
    /// When [`handle_deadline`](Self::handle_deadline) should be called; [`Instant::ZERO`] means at
    /// once, `None` means only after more input or a command.
    fn next_deadline(&self) -> Option<Instant>;
}

/// A socket or a connection that the host holds for signalling.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Flow {
    /// How messages travel on it.
    pub transport: Transport,
    /// The host's number for it; never used again for another.
    pub id: u64,
}

/// A pair of media ports that the host holds: RTP and RTCP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MediaPort(pub u64);

/// Which of a media pair's two sockets; there is no third.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Channel {
    /// The even port: RTP.
    Rtp,
    /// The odd port: RTCP.
    Rtcp,
}

/// Identifies a request to the host; the answer carries the same id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// What comes in. Borrowed, so that a received packet is neither copied nor allocated.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Inbound<'a> {
    /// One datagram or WebSocket message: a whole SIP message, or whatever else the peer sent.
    Datagram {
        /// The flow it came on.
        flow: Flow,
        /// The address it came from.
        from: SocketAddr,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The next bytes of a stream ([`Transport::is_stream`]), cut anywhere.
    Stream {
        /// The flow they came on.
        flow: Flow,
        /// The address at its far end.
        from: SocketAddr,
        /// The bytes; never none.
        bytes: &'a [u8],
    },
    /// One RTP or RTCP packet.
    Media {
        /// The pair it came on.
        port: MediaPort,
        /// Which socket of the pair.
        channel: Channel,
        /// The address it came from.
        from: SocketAddr,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Answers [`Outbound::OpenFlow`].
    FlowOpened {
        /// The request.
        id: RequestId,
        /// The flow; for UDP the socket of the peer's address family, whatever the peer.
        flow: Flow,
        /// The local address from which the peer sees us, as far as the host knows; its IP address is
        /// that of the route to the peer, never the unspecified one. The port of a connection is the
        /// port at which we listen for that transport, if we do.
        local: SocketAddr,
        /// The identities in the peer's certificate, on a secure flow. The host has verified the
        /// certificate's chain, dates and purpose; the core checks whether it names the server that
        /// was asked for.
        certificate: Option<&'a Identities>,
    },
    /// Answers [`Outbound::OpenFlow`]: the flow could not be opened.
    FlowFailed {
        /// The request.
        id: RequestId,
        /// What was in the way.
        failure: FlowFailure<'a>,
    },
    /// A peer has connected to us.
    FlowAccepted {
        /// The flow.
        flow: Flow,
        /// The peer's address.
        from: SocketAddr,
        /// Our address, to which it connected.
        local: SocketAddr,
        /// The identities in the peer's certificate, if it has sent one that is trusted.
        certificate: Option<&'a Identities>,
    },
    /// A connection is closed, by either side: nothing more is received or sent on it. What was
    /// queued for sending is lost.
    FlowClosed {
        /// The flow.
        flow: Flow,
    },
    /// Something sent on the flow to that address was refused by the network (RFC 3261 §18.4).
    SendFailed {
        /// The flow.
        flow: Flow,
        /// Where it was sent.
        to: SocketAddr,
    },
    /// Answers [`Outbound::BindMedia`].
    MediaBound {
        /// The request.
        id: RequestId,
        /// The pair.
        port: MediaPort,
        /// The address of the RTP socket as the peer sees it; never the unspecified one.
        rtp: SocketAddr,
        /// The address of the RTCP socket.
        rtcp: SocketAddr,
    },
    /// Answers [`Outbound::BindMedia`]: no pair in the range is free.
    MediaUnavailable {
        /// The request.
        id: RequestId,
    },
    /// Answers [`Outbound::Resolve`]; no records when there are none of that kind.
    Resolved {
        /// The request.
        id: RequestId,
        /// The records, of the kind that was asked for.
        records: Records<'a>,
        /// How long they hold: the least of their TTLs.
        ttl: Duration,
    },
    /// Answers [`Outbound::Resolve`]: the DNS server could not be asked or has not answered, so it is
    /// not known whether there are records.
    ResolveFailed {
        /// The request.
        id: RequestId,
        /// What was in the way, in words that end a sentence ("its server does not answer").
        problem: &'a str,
    },
}

/// Why there is no flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FlowFailure<'a> {
    /// No route, connection refused, or no answer; in words that end a sentence ("connection
    /// refused").
    Unreachable(&'a str),
    /// A certificate was refused, or the TLS handshake failed otherwise; in words that end a sentence
    /// ("its certificate expired on 2 May 2026").
    Untrusted(&'a str),
    /// The host does not support this transport.
    Unsupported,
}

/// A DNS query. Names have no trailing dot. A host has to know every kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Query<'a> {
    /// Which services a domain has (RFC 3403, RFC 3263 §4.1).
    Naptr(&'a str),
    /// Where a service is (RFC 2782): `_sip._udp.example.com`.
    Srv(&'a str),
    /// The addresses of a host: AAAA and A, best first. Never asked of a numeric address.
    Addresses(&'a str),
}

/// The records of a DNS answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Records<'a> {
    /// Answers [`Query::Naptr`].
    Naptr(&'a [Naptr]),
    /// Answers [`Query::Srv`].
    Srv(&'a [Srv]),
    /// Answers [`Query::Addresses`].
    Addresses(&'a [IpAddr]),
}

/// [`Records`] that are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecordSet {
    /// Answers [`Query::Naptr`].
    Naptr(Vec<Naptr>),
    /// Answers [`Query::Srv`].
    Srv(Vec<Srv>),
    /// Answers [`Query::Addresses`].
    Addresses(Vec<IpAddr>),
}

impl RecordSet {
    /// As a host says it.
    pub fn records(&self) -> Records<'_> {
        match self {
            Self::Naptr(records) => Records::Naptr(records),
            Self::Srv(records) => Records::Srv(records),
            Self::Addresses(addresses) => Records::Addresses(addresses),
        }
    }
}

impl From<Records<'_>> for RecordSet {
    fn from(records: Records<'_>) -> Self {
        match records {
            Records::Naptr(records) => Self::Naptr(records.to_vec()),
            Records::Srv(records) => Self::Srv(records.to_vec()),
            Records::Addresses(addresses) => Self::Addresses(addresses.to_vec()),
        }
    }
}

/// A NAPTR record (RFC 3403 §4.1).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Naptr {
    /// The order in which records are processed: lowest first.
    pub order: u16,
    /// The preference among records of the same order: lowest first.
    pub preference: u16,
    /// What `replacement` names: `s` means SRV records.
    pub flags: String,
    /// The service: `SIP+D2U`.
    pub service: String,
    /// The name to look up next.
    pub replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Srv {
    /// Lower ones are tried first.
    pub priority: u16,
    /// The share of requests among records of the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host; empty when the domain declares that it has no such service.
    pub target: String,
}

/// What goes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Outbound<'a> {
    /// One SIP message, or a keep-alive in its place.
    Datagram {
        /// The flow to send on.
        flow: Flow,
        /// Where to.
        to: SocketAddr,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// One RTP or RTCP packet.
    Media {
        /// The pair to send from.
        port: MediaPort,
        /// Which socket of the pair.
        channel: Channel,
        /// Where to.
        to: SocketAddr,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Asks for a flow to an address; answered by [`Inbound::FlowOpened`] or
    /// [`Inbound::FlowFailed`].
    OpenFlow {
        /// The request.
        id: RequestId,
        /// How.
        transport: Transport,
        /// Where to.
        to: SocketAddr,
        /// The domain or address before DNS resolution: the peer's certificate has to name it (RFC
        /// 5922 §7.2), and it is sent as SNI and Host.
        name: &'a str,
    },
    /// The connection is no longer needed: what was sent leaves first. There is no answer.
    CloseFlow {
        /// The flow.
        flow: Flow,
    },
    /// Asks for a pair of media ports, RTP even, in `low..=high`; answered by
    /// [`Inbound::MediaBound`] or [`Inbound::MediaUnavailable`].
    BindMedia {
        /// The request.
        id: RequestId,
        /// The peer, so that the address given is that of the route to it.
        toward: IpAddr,
        /// The lowest port allowed.
        low: u16,
        /// The highest port allowed.
        high: u16,
    },
    /// The pair is no longer needed.
    ReleaseMedia {
        /// The pair.
        port: MediaPort,
    },
    /// The network has changed: the host binds its sockets for signalling anew, at the same ports if
    /// it can, and forgets cached routes. There is no answer. A UDP flow keeps its number, whatever
    /// its new address; every connection ends ([`Inbound::FlowClosed`]). Bound media pairs stay as
    /// they are, though they may be unusable; pairs asked for from now on are bound anew.
    Rebind,
    /// Asks for DNS records; answered by [`Inbound::Resolved`] or [`Inbound::ResolveFailed`].
    Resolve {
        /// The request.
        id: RequestId,
        /// What for.
        query: Query<'a>,
    },
}

#[cfg(test)]
mod tests {
    use super::Transport;

    #[test]
    fn a_transport_has_the_name_that_via_writes() {
        for transport in Transport::ALL {
            assert_eq!(Transport::named(transport.as_str()), Some(transport));
        }
        assert_eq!(Transport::named("wss"), Some(Transport::Wss));
        assert_eq!(Transport::named("sctp"), None);
        assert_eq!(Transport::Ws.secured(), Some(Transport::Wss));
        assert_eq!(Transport::Udp.secured(), None);
    }
}
