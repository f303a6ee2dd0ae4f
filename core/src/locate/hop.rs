//! The next hop of a request, as a URI names it (RFC 3261 §8.1.2, RFC 3263 §4).

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::host::Transport;
use crate::sip::{Scheme, Uri};

/// A host, and what a URI says of the port and the transport to use there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Hop {
    /// In lower case; IPv6 without brackets.
    host: String,
    /// `None` is not 5060: then DNS SRV records decide (§4.2).
    port: Option<u16>,
    transport: Option<Transport>,
    /// Whether only TLS may be used (RFC 3261 §26.2.2); the transport is then secure, or open.
    secure: bool,
}

impl Hop {
    /// The host, which may be an address, in brackets or not.
    pub(crate) fn new(host: &str, port: Option<u16>, transport: Option<Transport>) -> Self {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let host = bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase();
        Self { host, port, transport, secure: false }
    }

    /// An address by a transport.
    pub(crate) fn at(transport: Transport, address: SocketAddr) -> Self {
        let host = address.ip().to_canonical().to_string();
        Self { host, port: Some(address.port()), transport: Some(transport), secure: false }
    }

    /// What a URI names.
    ///
    /// # Errors
    /// Why the URI names nothing that could be reached, in words that end a sentence about it.
    pub(crate) fn of(uri: &Uri<'_>) -> Result<Self, &'static str> {
        if !uri.is_sip() {
            return Err("it is no SIP URI");
        }
        let transport = match uri.param("transport") {
            Some(wanted) => {
                Some(Transport::named(wanted.text()).ok_or("its transport is unknown")?)
            }
            None => None,
        };
        // §19.1.1: maddr overrides the host.
        let maddr = uri.param("maddr");
        let host = maddr.as_ref().map_or(uri.host(), |maddr| maddr.text());
        let hop = Self::new(host, uri.port(), transport);
        if hop.host.is_empty() || hop.ip().is_some_and(is_many) {
            return Err("it names no single host");
        }
        match uri.scheme() {
            Scheme::Sips => hop.secured().ok_or("sips does not travel over UDP"),
            _ => Ok(hop),
        }
    }

    /// The same in private: by TLS, whatever else it rests on (RFC 3261 §26.2.2: `sips` with
    /// `transport=tcp` is TLS over TCP). `None` over UDP.
    pub(crate) fn secured(mut self) -> Option<Self> {
        self.transport = match self.transport {
            Some(transport) => Some(transport.secured()?),
            None => None,
        };
        self.secure = true;
        Some(self)
    }

    /// The same by this transport, if the URI leaves that open; as it was where that would not do.
    pub(crate) fn by(mut self, transport: Option<Transport>) -> Self {
        if self.transport.is_none() {
            self.transport = transport.filter(|transport| !self.secure || transport.is_secure());
        }
        self
    }

    /// The same by the transport by which that place is reached already, where the URI leaves it open:
    /// `ws` does not say whether within TLS (RFC 7118 §8.2).
    pub(crate) fn reached_by(self, transport: Option<Transport>) -> Self {
        match (self.transport, transport) {
            (Some(Transport::Ws), Some(Transport::Wss)) => Self { transport, ..self },
            _ => self.by(transport),
        }
    }

    /// The same with the default port and transport filled in where the host is an address, so that
    /// equal hops compare equal.
    pub(crate) fn with_defaults(mut self) -> Self {
        if let Some(address) = self.address() {
            (self.port, self.transport) = (Some(address.port()), Some(self.usual_transport()));
        }
        self
    }

    /// The name, or the address as text without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The address that the host is, if it is not a name.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The port, if the URI says one.
    pub(crate) fn port(&self) -> Option<u16> {
        self.port
    }

    /// The transport, if the URI names one or it was chosen.
    pub(crate) fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// The transport when neither URI nor DNS names one (RFC 3263 §4.1).
    pub(crate) fn usual_transport(&self) -> Transport {
        let unsaid = if self.secure { Transport::Tls } else { Transport::Udp };
        self.transport.unwrap_or(unsaid)
    }

    /// Whether only a secure transport will do.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether it is the same host and port, by whatever transport.
    pub(crate) fn is_place_of(&self, other: &Self) -> bool {
        (&self.host, self.port) == (&other.host, other.port)
    }

    /// The address, if nothing has to be looked up.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let port = self.port.unwrap_or(self.usual_transport().default_port());
        self.ip().map(|ip| SocketAddr::new(ip, port))
    }

    /// `host:port` as it stands in Via and in URIs: IPv6 in brackets.
    pub(crate) fn join(host: &str, port: u16) -> String {
        if host.as_bytes().contains(&b':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

/// Whether an address is that of many, or of nobody: a request goes to one (RFC 3261 §26.3.2.4).
pub(crate) fn is_many(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_multicast() || ip.is_unspecified() || ip == Ipv4Addr::BROADCAST
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(uri: &str) -> Result<Hop, &'static str> {
        Hop::of(&Uri::parse(uri).unwrap())
    }

    #[test]
    fn a_uri_names_a_host_a_port_and_a_transport() {
        let unsaid = Hop::new("example.com", None, None);
        assert_eq!(hop("sip:bob@Example.com.").unwrap(), unsaid);
        let ported = hop("sip:10.0.0.1:5070").unwrap();
        assert_eq!(ported.address(), Some("10.0.0.1:5070".parse().unwrap()));
        let v6 = hop("sip:b@[2001:DB8::1]").unwrap();
        assert_eq!(v6.address(), Some("[2001:db8::1]:5060".parse().unwrap()));
        assert_eq!(hop("sip:b@h.example;maddr=10.0.0.9").unwrap().host(), "10.0.0.9");
        for (name, transport) in [
            ("UDP", Transport::Udp),
            ("tcp", Transport::Tcp),
            ("tls", Transport::Tls),
            ("ws", Transport::Ws),
        ] {
            let hop = hop(&format!("sip:b@h;transport={name}")).unwrap();
            assert_eq!((hop.transport(), hop.is_secure()), (Some(transport), false));
        }
    }

    #[test]
    fn sips_is_never_in_the_clear() {
        let named = hop("sips:b@h").unwrap();
        assert_eq!((named.transport(), named.usual_transport()), (None, Transport::Tls));
        assert_eq!(hop("sips:b@10.0.0.1").unwrap().address().unwrap().port(), 5061);
        for (uri, transport) in [
            ("sips:b@h;transport=tcp", Transport::Tls),
            ("sips:b@h;transport=tls", Transport::Tls),
            ("sips:b@h;transport=ws", Transport::Wss),
        ] {
            assert_eq!(hop(uri).unwrap().transport(), Some(transport), "{uri}");
        }
        assert!(hop("sips:b@h;transport=udp").unwrap_err().contains("UDP"));
        assert_eq!(named.clone().by(Some(Transport::Tcp)).transport(), None);
        assert_eq!(named.by(Some(Transport::Wss)).transport(), Some(Transport::Wss));
    }

    #[test]
    fn ws_is_said_of_wss_too() {
        let reached = |uri, by| hop(uri).unwrap().reached_by(Some(by)).transport();
        assert_eq!(reached("sip:h;transport=ws", Transport::Wss), Some(Transport::Wss));
        assert_eq!(reached("sip:h;transport=ws", Transport::Tcp), Some(Transport::Ws));
        assert_eq!(reached("sip:h;transport=tcp", Transport::Wss), Some(Transport::Tcp));
        assert_eq!(reached("sip:h", Transport::Tcp), Some(Transport::Tcp));
    }

    #[test]
    fn what_names_no_single_host_is_refused() {
        for uri in [
            "tel:+123",
            "sip:b@h;transport=pigeon",
            "sip:b@h;maddr=224.0.1.75",
            "sip:b@255.255.255.255",
            "sip:b@0.0.0.0",
            "sip:b@[ff02::1]",
        ] {
            assert!(hop(uri).is_err(), "{uri}");
        }
    }
}
