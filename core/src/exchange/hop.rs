//! The next hop of a request, as a URI names it.

use core::net::IpAddr;

use crate::host::Transport;
use crate::sip::{NameAddr, Scheme, Uri};

/// A host, a port and a transport.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Hop {
    pub(super) transport: Transport,
    pub(super) host: Host,
    pub(super) port: u16,
}

/// A name, or an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Hop {
    /// The hop that a URI names (RFC 3263 §4.1, without NAPTR and SRV); `None` when there is no way
    /// to it: over an unknown transport, without TLS although it is a sips URI (RFC 3261 §26.2.2),
    /// or to a name of which nothing ever has an address (RFC 2606), as RFC 7118 clients have.
    pub(super) fn of(uri: &Uri<'_>) -> Option<Self> {
        let named = uri.param("transport").map(|param| Transport::named(param.text()));
        let transport = match (uri.scheme(), named) {
            (Scheme::Sip, None) => Transport::Udp,
            (Scheme::Sip, Some(named)) => named?,
            (Scheme::Sips, None) => Transport::Tls,
            (Scheme::Sips, Some(named)) => named?.secured()?,
            _ => return None,
        };
        let host = match uri.ip() {
            Some(ip) => Host::Address(ip),
            None => Host::Name(uri.host().to_ascii_lowercase()),
        };
        let unreachable = matches!(&host, Host::Name(name) if name.ends_with(".invalid"));
        let port = uri.port().unwrap_or(transport.default_port());
        (!unreachable).then_some(Self { transport, host, port })
    }

    /// The hop of a route, and whether it routes loosely (RFC 3261 §16.6 step 6).
    pub(super) fn of_route(route: &str) -> Option<(Self, bool)> {
        let route = NameAddr::parse(route).ok()?;
        let uri = route.uri();
        Some((Self::of(&uri)?, uri.param("lr").is_some()))
    }

    /// What a certificate of the hop has to name: nothing without TLS.
    pub(super) fn name(&self) -> String {
        match &self.host {
            _ if !self.transport.is_secure() => String::new(),
            Host::Name(name) => name.clone(),
            Host::Address(ip) => ip.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(uri: &str) -> Option<(Transport, u16)> {
        Hop::of(&Uri::parse(uri).unwrap()).map(|hop| (hop.transport, hop.port))
    }

    #[test]
    fn a_uri_names_a_transport_and_a_port() {
        assert_eq!(hop("sip:h"), Some((Transport::Udp, 5060)));
        assert_eq!(hop("sip:h;transport=TCP"), Some((Transport::Tcp, 5060)));
        assert_eq!(hop("sip:h;transport=ws"), Some((Transport::Ws, 80)));
        assert_eq!(hop("sips:h"), Some((Transport::Tls, 5061)));
        assert_eq!(hop("sips:h:5081;transport=tcp"), Some((Transport::Tls, 5081)));
        assert_eq!(hop("sips:h;transport=ws"), Some((Transport::Wss, 443)));
        for nowhere in
            ["sips:h;transport=udp", "sip:h;transport=sctp", "tel:1", "sip:x.invalid;transport=ws"]
        {
            assert_eq!(hop(nowhere), None, "{nowhere}");
        }
    }
}
