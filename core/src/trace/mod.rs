//! Ladder diagrams and captures of the packets that an endpoint sent and received.
//!
//! A host that wants a record shows each value to a [`Trace`] as it passes; without one nothing is
//! spent. Afterwards [`Trace::ladder`] draws the calls as text and [`Trace::pcap`] gives a capture
//! that Wireshark reads; [`Capture::read`] reads one. A host that would rather write the capture as it goes has [`pcap::Writer`].
//!
//! ```
//! use offhook_core::host::Transport;
//! use offhook_core::time::{Instant, WallTime};
//! use offhook_core::trace::{Kind, Packet, Trace};
//!
//! let mut trace = Trace::new();
//! trace.push(Packet {
//!     at: Instant::ZERO,
//!     wall: WallTime::from_micros(0),
//!     from: "10.0.0.1:5060".parse()?,
//!     to: "10.0.0.2:5060".parse()?,
//!     transport: Transport::Udp,
//!     kind: Kind::Sip,
//!     bytes: b"OPTIONS sip:bob@10.0.0.2 SIP/2.0\r\n\r\n",
//! });
//! assert!(trace.ladder().contains("OPTIONS sip:bob@10.0.0.2"));
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

mod describe;
mod ladder;
mod media;
pub mod pcap;
mod read;
mod record;
mod svg;

pub use read::{Capture, CaptureError};
pub use record::Trace;

use core::net::SocketAddr;

use crate::host::{Channel, Inbound, Outbound, Transport};
use crate::time::{Instant, WallTime};

/// What a traced packet is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// It left or reached a signalling socket.
    Sip,
    /// It left or reached an RTP socket.
    Rtp,
    /// It left or reached an RTCP socket.
    Rtcp,
}

/// A packet sent or received, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// When, on the monotonic clock: for the ladder's offsets.
    pub at: Instant,
    /// When, on the wall clock: for the capture.
    pub wall: WallTime,
    /// The sender.
    pub from: SocketAddr,
    /// The receiver.
    pub to: SocketAddr,
    /// How it travels. On a stream the bytes are those within: of TLS in the clear.
    pub transport: Transport,
    /// What kind of socket it belongs to.
    pub kind: Kind,
    /// The bytes: of a stream a whole message, or any piece.
    pub bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The packet in an outbound value that leaves the socket bound at `local`; `None` when the
    /// value is a request to the host.
    pub fn outbound(
        at: Instant,
        wall: WallTime,
        local: SocketAddr,
        outbound: &Outbound<'a>,
    ) -> Option<Self> {
        let (transport, kind, to, bytes) = match *outbound {
            Outbound::Datagram { flow, to, bytes } => (flow.transport, Kind::Sip, to, bytes),
            Outbound::Media { channel, to, bytes, .. } => {
                (Transport::Udp, channel.into(), to, bytes)
            }
            _ => return None,
        };
        Some(Self { at, wall, from: local, to, transport, kind, bytes })
    }

    /// The packet in an inbound value that came to the socket bound at `local`; `None` when the
    /// value is an answer of the host.
    pub fn inbound(
        at: Instant,
        wall: WallTime,
        local: SocketAddr,
        inbound: &Inbound<'a>,
    ) -> Option<Self> {
        let (transport, kind, from, bytes) = match *inbound {
            Inbound::Datagram { flow, from, bytes } | Inbound::Stream { flow, from, bytes } => {
                (flow.transport, Kind::Sip, from, bytes)
            }
            Inbound::Media { channel, from, bytes, .. } => {
                (Transport::Udp, channel.into(), from, bytes)
            }
            _ => return None,
        };
        Some(Self { at, wall, from, to: local, transport, kind, bytes })
    }
}

impl From<Channel> for Kind {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Rtp => Self::Rtp,
            Channel::Rtcp => Self::Rtcp,
        }
    }
}

#[cfg(test)]
mod tests;
