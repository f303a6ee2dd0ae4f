//! The connection that a dialog's peer has opened, used for our responses and requests to it (RFC
//! 5923, RFC 5626 §5.3).
//!
//! A peer that connects to us does so from a port at which it does not listen. Our requests within a
//! dialog go by the connection on which the peer's last request in that dialog came, while the
//! connection is open and leads to the next hop; else by a connection to the next hop. Requests of
//! other dialogs never go by it, so that no peer receives what is meant for another (RFC 5923 §9).

use core::net::SocketAddr;

use crate::host::{Flow, Transport};
use crate::locate::Hop;
use crate::sip::Via;

/// The connection on which the far end of a dialog last sent something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PeerConnection {
    flow: Flow,
    /// The far address: where the peer has opened the connection, a port at which nobody listens.
    from: SocketAddr,
    /// Where the peer says that it listens.
    sender: Hop,
    /// Whether no other connection leads to the next hop.
    only: bool,
}

/// The top-level domain that never resolves (RFC 6761 §6.4): WebSocket clients, which do not listen,
/// use it in Via and Contact (RFC 7118 §5).
pub(crate) const NOWHERE: &str = ".invalid";

impl PeerConnection {
    /// The connection of a request with this Via, which came on `flow` from `from`; `None` for a
    /// datagram.
    pub(crate) fn of_request(via: &Via<'_>, flow: Flow, from: SocketAddr) -> Option<Box<Self>> {
        flow.transport.is_reliable().then(|| {
            let port = via.port().unwrap_or(flow.transport.default_port());
            let sender = Hop::new(via.host(), Some(port), Some(flow.transport)).with_defaults();
            Box::new(Self { flow, from, sender, only: false })
        })
    }

    /// The connection by which our own request went to `from`; `None` for a datagram.
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

    /// The peer has answered by another connection; returns the previous one.
    pub(crate) fn move_to(&mut self, flow: Flow, from: SocketAddr) -> Option<Flow> {
        if self.flow == flow || self.flow.transport != flow.transport {
            return None;
        }
        self.from = from;
        Some(core::mem::replace(&mut self.flow, flow))
    }

    /// Sets whether no other connection leads to the next hop; returns the previous value.
    pub(crate) fn set_only(&mut self, only: bool) -> bool {
        core::mem::replace(&mut self.only, only)
    }

    /// Whether requests to that hop may go by this connection.
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
            // A client that does not listen may leave out its transport.
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
