//! How SIP travels between two hops (RFC 3261 §18).

/// How SIP travels on a flow (pyVoIP's TransportMode).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Transport {
    /// RFC 3261 §18 over UDP; one message a datagram.
    #[default]
    Udp,
    /// RFC 3261 §18 over TCP; a stream of messages.
    Tcp,
    /// The same over TLS (RFC 3261 §26.2.1, RFC 5922).
    Tls,
    /// RFC 7118 over WebSocket; one message a WebSocket message.
    Ws,
    /// The same over WebSocket within TLS.
    Wss,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// The name in Via (RFC 3261 §20.42, RFC 7118 §5.1): `UDP`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The name in the `transport` parameter of a URI (RFC 3261 §19.1.1, RFC 7118 §5.2): `udp`. That
    /// of WSS is `ws`, for the scheme says the rest; `wss` is read as well.
    pub const fn uri_name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws | Self::Wss => "ws",
        }
    }

    /// The transport with that name, as Via or a URI writes it, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| name.eq_ignore_ascii_case(transport.as_str()))
    }

    /// Whether the transport itself delivers, so that the transaction layer need not retransmit
    /// (RFC 3261 §17.1.1.2). Such a flow is a connection: it can be lost.
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Whether it is a stream of bytes, in which Content-Length says where a message ends (RFC 3261
    /// §18.3); what comes on it is [`Inbound::Stream`](crate::host::Inbound::Stream).
    pub const fn is_stream(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls)
    }

    /// Whether nobody on the way can read it, and the peer has shown who it is: what `sips` asks for
    /// (RFC 3261 §26.2.2).
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// The same over TLS; `None` for UDP, which has no such form here.
    pub const fn secured(self) -> Option<Self> {
        match self {
            Self::Udp => None,
            Self::Tcp | Self::Tls => Some(Self::Tls),
            Self::Ws | Self::Wss => Some(Self::Wss),
        }
    }

    /// The port that a URI without one means (RFC 3261 §19.1.2); those of WebSocket are those of
    /// HTTP (RFC 6455 §3).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}
