//! What a relay allows: everybody by its policy, and one client by its token.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;

use super::address::{Reach, normalised, reach};
use super::problem::Problem;
use crate::nat::Network;
use crate::quoted::Quoted;
use crate::time::{Duration, WallTime};

/// Ports below it are those of system services, and no media.
const FIRST_MEDIA_PORT: u16 = 1_024;

/// What holds for every session of a relay. The default allows SIP servers and media at public addresses, as far as
/// a client's [`Grant`] does.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// The SIP servers that a token may name; without any, whichever it names.
    pub servers: Vec<Server>,
    /// The networks that are not public (loopback, private, link-local, shared, documentation) and allowed all the
    /// same. Unspecified, multicast, broadcast, Teredo and 6to4 addresses never are.
    pub networks: Vec<Network>,
    /// The networks to which media goes though no description has named the address.
    pub media_networks: Vec<Network>,
    /// Where the relay listens; it never connects there.
    pub own: Vec<SocketAddr>,
    /// The addresses that peers get in place of ours of the same family, behind a NAT.
    pub public: Vec<IpAddr>,
    /// The lowest and the highest port for media, and for SIP over UDP.
    pub ports: (u16, u16),
    /// How long a session is kept without a connection.
    pub grace: Duration,
    /// How often a client is sent PING. After two intervals in silence its connection is given up.
    pub ping: Duration,
    /// The most of everything that a client may have, whatever its token says.
    pub allowance: Allowance,
}

/// What one client may do, as its token says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Grant {
    /// Who it is. A session is taken up again by the same alone.
    pub subject: String,
    /// The SIP servers that it may use; none without any.
    pub servers: Vec<Server>,
    /// How much of everything.
    pub allowance: Allowance,
    /// When the token is over, and with it the session unless a new one comes.
    pub expires: WallTime,
}

/// How much of everything a client may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Allowance {
    /// Pairs of media ports at a time.
    pub pairs: u64,
    /// Flows to SIP servers at a time.
    pub flows: u64,
    /// Packets of media a second, each way.
    pub packets: u64,
    /// Bits of media a second, each way.
    pub bits: u64,
    /// Requests (ports, flows, lookups, contexts, tokens) a second.
    pub requests: u64,
}

/// A SIP server by name or address, and its port if only that one is meant. It is written `pbx.example.com`,
/// `192.0.2.1:5060` or `[2001:db8::1]:5061`, with or without `sip:` or `sips:` before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// The name in lower case, or the address as it is written.
    pub host: String,
    /// The port. Without one, those of SRV records, 5060 and 5061.
    pub port: Option<u16>,
}

/// A text that is no [`Server`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{} is no SIP server: write a host and, if it matters, a port, as pbx.example.com:5061", Quoted(.text))]
pub struct ServerError {
    text: String,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            networks: Vec::new(),
            media_networks: Vec::new(),
            own: Vec::new(),
            public: Vec::new(),
            ports: (10_000, 20_000),
            grace: Duration::from_secs(60),
            ping: Duration::from_secs(20),
            allowance: Allowance::default(),
        }
    }
}

impl Policy {
    /// The address to connect to, normalised, if it may be.
    pub(super) fn judge(&self, address: SocketAddr) -> Result<SocketAddr, Problem> {
        let ip = normalised(address.ip());
        let address = SocketAddr::new(ip, address.port());
        let allowed = match reach(ip) {
            Reach::Public => true,
            Reach::Restricted => self.networks.iter().any(|network| network.contains(ip)),
            Reach::Never => false,
        };
        let ours = |own: &SocketAddr| {
            own.port() == address.port() && (own.ip() == ip || own.ip().is_unspecified())
        };
        match allowed && address.port() != 0 && !self.own.iter().any(ours) {
            true => Ok(address),
            false => Err(Problem::AddressForbidden),
        }
    }

    /// The same of an address for media.
    pub(super) fn judge_media(&self, address: SocketAddr) -> Result<SocketAddr, Problem> {
        let address = self.judge(address)?;
        match address.port() >= FIRST_MEDIA_PORT {
            true => Ok(address),
            false => Err(Problem::AddressForbidden),
        }
    }

    /// Whether media goes to this normalised address though nobody has named it.
    pub(super) fn allows_media(&self, ip: IpAddr) -> bool {
        self.media_networks.iter().any(|network| network.contains(ip))
    }

    /// An address of ours as peers see it.
    pub(super) fn advertised(&self, own: SocketAddr) -> SocketAddr {
        let same = |ip: &&IpAddr| ip.is_ipv4() == own.is_ipv4();
        let ip = self.public.iter().find(same).copied().unwrap_or(own.ip());
        SocketAddr::new(ip, own.port())
    }

    /// The servers that a client with this grant may use.
    pub(super) fn servers(&self, grant: &Grant) -> Vec<Server> {
        let allowed = |server: &&Server| {
            self.servers.is_empty() || self.servers.iter().any(|own| own.includes(server))
        };
        grant.servers.iter().filter(allowed).cloned().collect()
    }
}

impl Default for Allowance {
    fn default() -> Self {
        Self { pairs: 16, flows: 8, packets: 1_000, bits: 2_000_000, requests: 20 }
    }
}

impl Allowance {
    /// The less of both, in everything.
    pub(super) fn within(self, other: Self) -> Self {
        Self {
            pairs: self.pairs.min(other.pairs),
            flows: self.flows.min(other.flows),
            packets: self.packets.min(other.packets),
            bits: self.bits.min(other.bits),
            requests: self.requests.min(other.requests),
        }
    }
}

impl Server {
    /// The address, if it is one and no name.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok().map(normalised)
    }

    /// Whether a flow to that port is meant; `found` is the port of an SRV record.
    pub(super) fn has_port(&self, port: u16, found: Option<u16>) -> bool {
        match (self.port, found) {
            (Some(only), _) => port == only,
            (None, Some(found)) => port == found,
            (None, None) => matches!(port, 5060 | 5061),
        }
    }

    fn includes(&self, other: &Self) -> bool {
        let same_host = match (self.ip(), other.ip()) {
            (None, None) => self.host == other.host,
            (one, other) => one == other,
        };
        same_host && (self.port.is_none() || self.port == other.port)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        let wrong = || ServerError { text: text.to_owned() };
        let bare = ["sips:", "sip:"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let bare = bare.unwrap_or(text);
        let (host, port) = match bare.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                host.parse::<core::net::Ipv6Addr>().map_err(|_| wrong())?;
                match port {
                    "" => (host, None),
                    port => (host, Some(port.strip_prefix(':').ok_or_else(wrong)?)),
                }
            }
            None if bare.parse::<core::net::Ipv6Addr>().is_ok() => (bare, None),
            None => match bare.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (bare, None),
            },
        };
        let port = match port {
            None => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?)
            }
            Some(_) => return Err(wrong()),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let is_host = host.parse::<IpAddr>().is_ok() || host.bytes().all(is_name);
        match is_host && !host.is_empty() {
            true => Ok(Self { host: host.to_ascii_lowercase(), port }),
            false => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Server {
        text.parse().unwrap()
    }

    #[test]
    fn a_server_is_a_host_and_perhaps_a_port() {
        for (text, shown) in [
            ("PBX.example.com", "pbx.example.com"),
            ("sips:pbx.example.com:5061", "pbx.example.com:5061"),
            ("192.0.2.1:5060", "192.0.2.1:5060"),
            ("2001:db8::1", "[2001:db8::1]"),
            ("[2001:db8::1]:5061", "[2001:db8::1]:5061"),
        ] {
            assert_eq!(server(text).to_string(), shown);
        }
        for wrong in
            ["", "pbx:", "pbx:0", "pbx:65536", "pbx:+1", "[::1", "[x]", "[::1]5", "a b", "u@h"]
        {
            assert!(wrong.parse::<Server>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_policy_narrows_what_a_token_names() {
        let mut policy = Policy::default();
        let mut grant = Grant::default();
        assert_eq!(policy.servers(&grant), []);
        grant.servers = vec![server("pbx.test:5061"), server("other.test"), server("192.0.2.1")];
        assert_eq!(policy.servers(&grant).len(), 3);
        policy.servers =
            vec![server("pbx.test"), server("other.test:5060"), server("::ffff:192.0.2.1")];
        assert_eq!(policy.servers(&grant), [server("pbx.test:5061"), server("192.0.2.1")]);
    }

    #[test]
    fn what_is_not_public_is_allowed_by_network() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let own = vec![address("0.0.0.0:8443"), address("10.0.0.9:9000")];
        let mut policy = Policy { own, ..Policy::default() };
        let judge =
            |policy: &Policy, text| policy.judge(address(text)).ok().map(|it| it.to_string());
        assert_eq!(judge(&policy, "[::ffff:8.8.8.8]:5060"), Some("8.8.8.8:5060".to_owned()));
        for refused in ["10.0.0.1:5060", "[::1]:5060", "8.8.8.8:0", "8.8.8.8:8443"] {
            assert_eq!(judge(&policy, refused), None, "{refused}");
        }
        policy.networks = vec!["10.0.0.0/8".parse().unwrap(), "0.0.0.0/0".parse().unwrap()];
        for allowed in ["10.0.0.1:5060", "127.0.0.1:5060", "10.0.0.8:9000"] {
            assert!(judge(&policy, allowed).is_some(), "{allowed}");
        }
        for never in ["10.0.0.9:9000", "0.0.0.0:5060", "[2002:a00:1::]:5060", "224.0.0.1:5060"] {
            assert_eq!(judge(&policy, never), None, "{never}");
        }
        assert_eq!(policy.judge_media(address("8.8.8.8:53")), Err(Problem::AddressForbidden));
        assert!(policy.judge_media(address("8.8.8.8:1024")).is_ok());
    }

    #[test]
    fn behind_a_nat_its_address_is_advertised() {
        let policy = Policy { public: vec!["192.0.2.7".parse().unwrap()], ..Policy::default() };
        let shown = |text: &str| policy.advertised(text.parse().unwrap()).to_string();
        assert_eq!(shown("10.0.0.1:4000"), "192.0.2.7:4000");
        assert_eq!(shown("[fd00::1]:4000"), "[fd00::1]:4000");
    }
}
