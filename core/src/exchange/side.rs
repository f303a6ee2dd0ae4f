//! The sides of the exchange: sockets and connections, and who is at their other end.

use core::net::SocketAddr;

use crate::host::Flow;
use crate::sip::{Message, NameAddr};

/// A flow as RFC 5626 §3.1 means it: a socket or connection, and the peer at the other end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct PeerFlow {
    pub(super) flow: Flow,
    pub(super) peer: SocketAddr,
}

/// One side of a request on its way through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Side {
    pub(super) along: PeerFlow,
    /// Who we are there.
    pub(super) local: SocketAddr,
    /// Whether what follows has to take the same flow, for the peer may have no other.
    pub(super) bound: bool,
}

impl PeerFlow {
    /// Whether who sent a request on this flow, without a proxy between us, can be reached along it
    /// alone: on a connection, for not everybody can be connected to; over UDP when it says so (RFC
    /// 5626 §5.3.2, §6), or when a NAT is between us.
    pub(super) fn binds(&self, request: &Message) -> bool {
        let asks = |contact: NameAddr<'_>| {
            contact.uri().param("ob").is_some() || contact.param("reg-id").is_some()
        };
        if request.vias().count() != 1 {
            return false;
        }
        self.flow.transport.is_reliable()
            || request.contacts().flatten().any(asks)
            || self.is_translated(request)
    }

    /// Whether the sender gives Via and Contact the same address, and it is not the one that its
    /// packets come from.
    fn is_translated(&self, request: &Message) -> bool {
        let via = request.via();
        let Some(sent_by) = via.ip().map(|ip| SocketAddr::new(ip, via.port().unwrap_or(5060)))
        else {
            return false;
        };
        let same_port = sent_by.port() == self.peer.port() || via.rport().is_none();
        let seen = sent_by.ip().to_canonical() == self.peer.ip().to_canonical() && same_port;
        !seen
            && request.contacts().flatten().any(|contact| {
                let uri = contact.uri();
                uri.ip() == Some(sent_by.ip()) && uri.port().unwrap_or(5060) == sent_by.port()
            })
    }
}
