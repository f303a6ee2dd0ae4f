//! What a client brings to its telephone.

use core::net::SocketAddr;

use crate::certificate::Identities;
use crate::host::{Channel, Flow, FlowFailure, Inbound, MediaPort, RecordSet, RequestId};
use crate::relay::problem::Problem;
use crate::time::Duration;

/// An [`Inbound`] that has come through a relay: it borrows the packet and owns the rest.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Arrival<'m> {
    /// See [`Inbound::Datagram`].
    Datagram {
        /// The flow.
        flow: Flow,
        /// The server.
        from: SocketAddr,
        /// The bytes.
        bytes: &'m [u8],
    },
    /// See [`Inbound::Stream`].
    Stream {
        /// The flow.
        flow: Flow,
        /// The server.
        from: SocketAddr,
        /// The bytes.
        bytes: &'m [u8],
    },
    /// See [`Inbound::Media`].
    Media {
        /// The pair.
        port: MediaPort,
        /// Which of its ports.
        channel: Channel,
        /// The peer.
        from: SocketAddr,
        /// The packet.
        bytes: &'m [u8],
    },
    /// See [`Inbound::FlowOpened`].
    FlowOpened {
        /// The request.
        id: RequestId,
        /// The flow.
        flow: Flow,
        /// The relay's address, as the server sees it.
        local: SocketAddr,
        /// The identities in the server's certificate.
        certificate: Option<Identities>,
    },
    /// See [`Inbound::FlowFailed`].
    FlowFailed {
        /// The request.
        id: RequestId,
        /// Why, and on which leg.
        problem: Problem,
        /// The same in words.
        text: String,
    },
    /// See [`Inbound::FlowClosed`].
    FlowClosed {
        /// The flow.
        flow: Flow,
    },
    /// See [`Inbound::SendFailed`].
    SendFailed {
        /// The flow.
        flow: Flow,
        /// Where it was sent.
        to: SocketAddr,
    },
    /// See [`Inbound::MediaBound`].
    MediaBound {
        /// The request.
        id: RequestId,
        /// The pair.
        port: MediaPort,
        /// The address of its RTP port.
        rtp: SocketAddr,
        /// The address of its RTCP port.
        rtcp: SocketAddr,
    },
    /// See [`Inbound::MediaUnavailable`].
    MediaUnavailable {
        /// The request.
        id: RequestId,
    },
    /// See [`Inbound::Resolved`].
    Resolved {
        /// The request.
        id: RequestId,
        /// The records.
        found: RecordSet,
        /// How long they hold.
        ttl: Duration,
    },
    /// See [`Inbound::ResolveFailed`].
    ResolveFailed {
        /// The request.
        id: RequestId,
        /// Why.
        text: String,
    },
}

impl Arrival<'_> {
    /// The same as the telephone takes it.
    pub fn inbound(&self) -> Inbound<'_> {
        match *self {
            Self::Datagram { flow, from, bytes } => Inbound::Datagram { flow, from, bytes },
            Self::Stream { flow, from, bytes } => Inbound::Stream { flow, from, bytes },
            Self::Media { port, channel, from, bytes } => {
                Inbound::Media { port, channel, from, bytes }
            }
            Self::FlowOpened { id, flow, local, ref certificate } => {
                Inbound::FlowOpened { id, flow, local, certificate: certificate.as_ref() }
            }
            Self::FlowFailed { id, problem, ref text } => {
                let failure = match problem {
                    Problem::Untrusted => FlowFailure::Untrusted(text),
                    Problem::Unsupported => FlowFailure::Unsupported,
                    _ => FlowFailure::Unreachable(text),
                };
                Inbound::FlowFailed { id, failure }
            }
            Self::FlowClosed { flow } => Inbound::FlowClosed { flow },
            Self::SendFailed { flow, to } => Inbound::SendFailed { flow, to },
            Self::MediaBound { id, port, rtp, rtcp } => Inbound::MediaBound { id, port, rtp, rtcp },
            Self::MediaUnavailable { id } => Inbound::MediaUnavailable { id },
            Self::Resolved { id, ref found, ttl } => {
                Inbound::Resolved { id, records: found.records(), ttl }
            }
            Self::ResolveFailed { id, ref text } => Inbound::ResolveFailed { id, problem: text },
        }
    }
}
