//! The seam: everything that crosses between the core and the machine it runs on.
//!
//! A [`Host`] is a clock, a source of randomness and a way to send. It is passed in with each call,
//! answers at once and never blocks. What comes in is an [`Inbound`] value, what goes out is an
//! [`Outbound`] value; whatever a platform may need time for (opening a flow, binding media ports,
//! resolving a name) goes out as a request with a [`RequestId`] and comes back as an `Inbound` that
//! carries the same id.

use core::net::{IpAddr, SocketAddr};

use crate::time::{Instant, WallTime};

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
/// [`Inbound::SendFailed`]. A host may gather what one crossing sends and pass it on in a batch.
pub trait Datagrams {
    /// Takes one outbound value. Must not block.
    fn send(&mut self, outbound: Outbound<'_>);
}

/// A machine to run on: [`Clock`], [`Entropy`] and [`Datagrams`] together.
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

/// How SIP travels on a flow (the seed's TransportMode).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Transport {
    /// RFC 3261 §18 over UDP; one message a datagram.
    #[default]
    Udp,
}

impl Transport {
    /// The name in Via (RFC 3261 §20.42): `UDP`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
        }
    }

    /// Whether the transport itself delivers, so that the transaction layer need not retransmit
    /// (RFC 3261 §17.1.1.2).
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
        }
    }

    /// The port that a URI without one means (RFC 3261 §19.1.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp => 5060,
        }
    }
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

/// Which of a media pair's two sockets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Channel {
    /// The even port: RTP.
    Rtp,
    /// The odd port: RTCP.
    Rtcp,
}

/// Names a request to the host, so that its answer finds its owner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// What comes in. Borrowed, so that a received packet is neither copied nor allocated.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Inbound<'a> {
    /// One whole SIP message, or what a peer sent in its place.
    Datagram {
        /// The flow it came on.
        flow: Flow,
        /// The address it came from.
        from: SocketAddr,
        /// The bytes.
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
        /// The flow; for UDP the one socket, whatever the peer.
        flow: Flow,
        /// The local address from which the peer sees us, as far as the host knows; its IP is that
        /// of the route to the peer and never the unspecified one.
        local: SocketAddr,
    },
    /// Answers [`Outbound::OpenFlow`]: there is no way to that address.
    FlowFailed {
        /// The request.
        id: RequestId,
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
    /// Answers [`Outbound::Resolve`]; no addresses when the name is not known.
    Resolved {
        /// The request.
        id: RequestId,
        /// The addresses, best first.
        addresses: &'a [IpAddr],
    },
}

/// What goes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Outbound<'a> {
    /// One SIP message.
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
    },
    /// The flow is no longer needed.
    CloseFlow {
        /// The flow.
        flow: Flow,
    },
    /// Asks for a pair of media ports, RTP even, in `low..=high`; answered by
    /// [`Inbound::MediaBound`] or [`Inbound::MediaUnavailable`].
    BindMedia {
        /// The request.
        id: RequestId,
        /// The peer for whom it is, so that the address told is that of the route to it.
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
    /// Asks for the addresses of a host name; answered by [`Inbound::Resolved`].
    Resolve {
        /// The request.
        id: RequestId,
        /// The name, never a numeric address.
        name: &'a str,
    },
}
