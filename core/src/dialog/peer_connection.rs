//! The connection by which a peer has come, to answer and to ask it in return (RFC 5923, RFC 5626 §5.3).
//!
//! Whoever connects to us does so from a port at which it does not listen. What we ask it within a
//! dialog goes by the connection of its own last request there, while that lives and leads to the next
//! hop; else by a connection to the next hop. No other dialog and nobody else's requests go by it, so
//! that nobody gets by it what is meant for another (RFC 5923 §9).

use core::net::SocketAddr;

use crate::host::{Flow, Transport};
use crate::locate::Hop;
use crate::sip::Via;

/// What is known of the connection on which the far end of a dialog was heard last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PeerConnection {
    flow: Flow,
    /// Its far end: of a connection that a peer has opened, a port at which nobody listens.
    from: SocketAddr,
    /// Where the peer says that it listens.
    sender: Hop,
    /// Whether there is no other way.
    only: bool,
}

/// The end of names that nobody can look up (RFC 6761 §6.4): clients of WebSocket, who listen nowhere,
/// have them (RFC 7118 §5).
pub(crate) const NOWHERE: &str = ".invalid";

impl PeerConnection {
    /// That of a request with this Via, which came on `flow` from there; `None` when it was a datagram.
    pub(crate) fn of_request(via: &Via<'_>, flow: Flow, from: SocketAddr) -> Option<Box<Self>> {
        flow.transport.is_reliable().then(|| {
            let port = via.port().unwrap_or(flow.transport.default_port());
            let sender = Hop::new(via.host(), Some(port), Some(flow.transport)).with_defaults();
            Box::new(Self { flow, from, sender, only: false })
        })
    }

    /// That by which our own request has gone to `from`; `None` when it was a datagram.
    pub(crate) fn of_ours(flow: Flow, from: SocketAddr) -> Option<Box<Self>> {
        let sender = Hop::at(flow.transport, from);
        flow.transport.is_reliable().then(|| Box::new(Self { flow, from, sender, only: false }))
    }

    /// Its far end.
    pub(crate) fn from(&self) -> SocketAddr {
        self.from
    }

    /// The connection.
    pub(crate) fn flow(&self) -> Flow {
        self.flow
    }

    /// Where the peer says that it listens.
    pub(crate) fn sender(&self) -> &Hop {
        &self.sender
    }

    /// The peer has answered by another connection; gives the one before.
    pub(crate) fn move_to(&mut self, flow: Flow, from: SocketAddr) -> Option<Flow> {
        if self.flow == flow || self.flow.transport != flow.transport {
            return None;
        }
        self.from = from;
        Some(core::mem::replace(&mut self.flow, flow))
    }

    /// Takes it for the only way to the next hop, or for one of several; whether it was that before.
    pub(crate) fn set_only(&mut self, only: bool) -> bool {
        core::mem::replace(&mut self.only, only)
    }

    /// Whether requests to that hop are meant for whoever is at the other end.
    pub(crate) fn leads_to(&self, hop: &Hop) -> bool {
        if !self.is_fit_for(hop) {
            return false;
        }
        let place = hop.clone().with_defaults();
        // A name is asked for a certificate, which this end has not shown (RFC 5923 §8.2).
        let trusted = hop.ip().is_some() || !self.flow.transport.is_secure();
        self.only
            || hop.host().ends_with(NOWHERE)
            || place.address() == Some(self.from)
            || (trusted && place.is_place_of(&self.sender))
    }

    /// Whether it is of the hop's transport.
    pub(crate) fn is_fit_for(&self, hop: &Hop) -> bool {
        use Transport::{Ws, Wss};
        let own = self.flow.transport;
        let same = match hop.usual_transport() {
            // Both are called `ws` in URIs (RFC 7118 §5.2).
            Ws | Wss => matches!(own, Ws | Wss),
            // Who listens nowhere may as well say nothing of how.
            _ if hop.transport().is_none() && hop.host().ends_with(NOWHERE) => true,
            usual => own == usual,
        };
        same && (own.is_secure() || !hop.is_secure())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Uri;

    fn peer_connection(transport: Transport, sender: &str) -> PeerConnection {
        let flow = Flow { transport, id: 7 };
        let from = "10.0.0.2:49152".parse().unwrap();
        let sender = Hop::of(&Uri::parse(&format!("sip:{sender}")).unwrap()).unwrap();
        PeerConnection {
            flow,
            from,
            sender: sender.by(Some(transport)).with_defaults(),
            only: false,
        }
    }

    fn leads(peer_connection: &PeerConnection, uri: &str) -> bool {
        peer_connection.leads_to(&Hop::of(&Uri::parse(uri).unwrap()).unwrap())
    }

    #[test]
    fn a_connection_is_that_of_the_place_which_its_peer_names() {
        let tcp = peer_connection(Transport::Tcp, "10.0.0.2:5070");
        for uri in ["sip:b@10.0.0.2:5070;transport=tcp", "sip:b@10.0.0.2:49152;transport=tcp"] {
            assert!(leads(&tcp, uri), "{uri}");
        }
        for uri in [
            "sip:b@10.0.0.2:5060;transport=tcp",
            "sip:b@10.0.0.2:5070",
            "sip:b@10.0.0.2:5070;transport=tls",
            "sips:b@10.0.0.2:5070",
            "sip:b@10.0.0.3:5070;transport=tcp",
        ] {
            assert!(!leads(&tcp, uri), "{uri}");
        }
        // Behind a NAT it says the same in Via and in Contact.
        let inside = peer_connection(Transport::Tcp, "192.168.1.5:5060");
        assert!(leads(&inside, "sip:b@192.168.1.5;transport=tcp"));
        assert!(leads(
            &peer_connection(Transport::Tcp, "edge.example:5060"),
            "sip:edge.example:5060;transport=tcp;lr"
        ));
    }

    #[test]
    fn over_tls_a_name_has_to_be_shown() {
        let named = peer_connection(Transport::Tls, "edge.example:5061");
        assert!(!leads(&named, "sip:edge.example:5061;transport=tls;lr"));
        let tls = peer_connection(Transport::Tls, "10.0.0.2:5061");
        assert!(leads(&tls, "sip:b@10.0.0.2:5061;transport=tls"));
        assert!(leads(&tls, "sips:b@10.0.0.2:5061"));
    }

    #[test]
    fn who_listens_nowhere_is_at_the_other_end() {
        let ws = peer_connection(Transport::Ws, "df7jal23ls0d.invalid");
        assert!(leads(&ws, "sip:b@df7jal23ls0d.invalid;transport=ws"));
        assert!(leads(&ws, "sip:b@other.invalid"));
        assert!(!leads(&ws, "sips:b@df7jal23ls0d.invalid;transport=ws"));
        let wss = peer_connection(Transport::Wss, "df7jal23ls0d.invalid");
        assert!(leads(&wss, "sips:b@df7jal23ls0d.invalid;transport=ws"));
        assert!(leads(&wss, "sip:b@df7jal23ls0d.invalid;transport=ws"));
    }
}
