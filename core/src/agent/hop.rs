//! The next hop of a request: whom a URI says to ask (RFC 3261 §8.1.2, RFC 3263 §4).

use core::net::{IpAddr, SocketAddr};

use crate::host::Transport;
use crate::sip::{Scheme, Uri};

/// A host, a port and a transport.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Hop {
    transport: Transport,
    /// In lower case; IPv6 without brackets.
    host: String,
    port: u16,
}

impl Hop {
    /// The host, which may be an address, at this port.
    pub(crate) fn new(transport: Transport, host: &str, port: u16) -> Self {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let host = bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase();
        Self { transport, host, port }
    }

    /// What a URI names; `None` when it has no host, or asks for a transport that is not there.
    pub(crate) fn of(uri: &Uri<'_>) -> Option<Self> {
        if uri.scheme() != Scheme::Sip {
            return None;
        }
        let transport = match uri.param("transport") {
            Some(wanted) if !wanted.text().eq_ignore_ascii_case("udp") => return None,
            _ => Transport::Udp,
        };
        // §19.1.1: maddr overrides the host.
        let maddr = uri.param("maddr");
        let host = maddr.as_ref().map_or(uri.host(), |maddr| maddr.text());
        (!host.is_empty())
            .then(|| Self::new(transport, host, uri.port().unwrap_or(transport.default_port())))
    }

    /// The name, or the address as text without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The transport.
    pub(crate) fn transport(&self) -> Transport {
        self.transport
    }

    /// The address, if no name has to be resolved.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
    }

    /// `host:port` as it stands in Via and in URIs: IPv6 in brackets.
    pub(crate) fn join(host: &str, port: u16) -> String {
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl From<SocketAddr> for Hop {
    fn from(address: SocketAddr) -> Self {
        let host = address.ip().to_canonical().to_string();
        Self { transport: Transport::Udp, host, port: address.port() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(uri: &str) -> Option<(String, Option<SocketAddr>)> {
        let hop = Hop::of(&Uri::parse(uri).unwrap())?;
        Some((Hop::join(hop.host(), hop.port()), hop.address()))
    }

    #[test]
    fn a_uri_names_a_host_a_port_and_a_transport() {
        assert_eq!(hop("sip:bob@Example.com").unwrap(), ("example.com:5060".to_owned(), None));
        assert_eq!(hop("sip:10.0.0.1:5070").unwrap().1, Some("10.0.0.1:5070".parse().unwrap()));
        assert_eq!(hop("sip:b@[2001:DB8::1]").unwrap().0, "[2001:db8::1]:5060");
        assert_eq!(hop("sip:b@h.example;maddr=10.0.0.9").unwrap().0, "10.0.0.9:5060");
        assert_eq!(hop("sip:b@h;transport=UDP").unwrap().0, "h:5060");
        assert_eq!(hop("sip:b@h;transport=tcp"), None);
        assert_eq!(hop("sips:b@h"), None);
        assert_eq!(hop("tel:+123"), None);
    }
}
