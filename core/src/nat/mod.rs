//! Behind a NAT: which address to advertise to a peer (pyVoIP's `bind_network`, `hostname` and
//! `remote_hostname`), and how to learn it (STUN).

mod keep_alive;
mod network;
mod question;
pub(crate) mod stun;

pub use keep_alive::{KeepAlive, KeepAliveError};
pub use network::{Network, NetworkError};
pub(crate) use question::{Question, RTO};
pub(crate) use stun::STUN_PORT;
pub(crate) use stun::{StunMessage, TransactionId, answer_binding, binding_indication, is_stun};

use core::net::{IpAddr, SocketAddr};

/// Why there is no address to advertise to a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NatError {
    /// The peer is outside `bind_network` and no `remote_hostname` is set.
    #[error("{peer} is outside bind_network and no remote_hostname is set to tell it")]
    Outside {
        /// The peer.
        peer: IpAddr,
    },
    /// The only address to advertise is an unspecified one, to which nobody can send.
    #[error("no local address is known on the route to {peer}")]
    NoAddress {
        /// The peer.
        peer: IpAddr,
    },
}

/// The host to advertise to `peer` in Via, Contact and SDP: a name or an address, IPv6 without
/// brackets.
///
/// Inside `network` it is `hostname`, by default `local`, the local address of the route to the peer;
/// outside it is `remote_hostname`. It is never an unspecified address; pyVoIP advertised 0.0.0.0.
///
/// # Errors
/// [`NatError::Outside`] without a `remote_hostname` for a peer outside, [`NatError::NoAddress`] when
/// the address to advertise is unspecified.
pub fn advertised(
    peer: IpAddr,
    local: IpAddr,
    network: &Network,
    hostname: Option<&str>,
    remote_hostname: Option<&str>,
) -> Result<String, NatError> {
    let host = if network.contains(peer) {
        hostname.map_or_else(|| local.to_canonical().to_string(), bare)
    } else {
        remote_hostname.map(bare).ok_or(NatError::Outside { peer })?
    };
    let unspecified = |ip: IpAddr| ip.to_canonical().is_unspecified();
    if host.is_empty() || host.parse().is_ok_and(unspecified) {
        return Err(NatError::NoAddress { peer });
    }
    Ok(host)
}

/// Whether an address that `server` reports as ours is plausible: a unicast address and port, of the
/// address family by which we have asked.
pub(crate) fn is_usable(public: SocketAddr, server: IpAddr) -> bool {
    let ip = public.ip().to_canonical();
    let same_family = ip.is_ipv4() == server.to_canonical().is_ipv4();
    same_family && !ip.is_unspecified() && !ip.is_multicast() && public.port() != 0
}

/// Whether an address is of no use beyond its own network: private (RFC 1918, RFC 4193), of a
/// provider's NAT (RFC 6598), link-local or loopback.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_private()
                || ip.is_link_local()
                || ip.is_loopback()
                || (first == 100 && second & 0xC0 == 64)
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

/// The host without the brackets that an IPv6 address has in a URI.
fn bare(host: &str) -> String {
    let host = host.trim();
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn inside_is_told_the_route_or_the_hostname() {
        let lan = network("192.168.0.0/16");
        let with =
            |hostname| advertised(ip("192.168.3.4"), ip("192.168.1.2"), &lan, hostname, None);
        assert_eq!(with(None).unwrap(), "192.168.1.2");
        assert_eq!(with(Some("phone.lan")).unwrap(), "phone.lan");
    }

    #[test]
    fn outside_is_told_the_remote_hostname_or_nothing() {
        let lan = network("192.168.0.0/16");
        let peer = ip("203.0.113.9");
        let with = |remote| advertised(peer, ip("192.168.1.2"), &lan, Some("phone.lan"), remote);
        assert_eq!(with(Some("[2001:db8::7]")).unwrap(), "2001:db8::7");
        assert_eq!(with(None), Err(NatError::Outside { peer }));
        assert_eq!(Error::from(with(None).unwrap_err()), Error::Nat { peer });
    }

    #[test]
    fn an_unspecified_address_is_never_told() {
        let everybody = Network::default();
        for (peer, local, hostname) in [
            ("10.0.0.1", "0.0.0.0", None),
            ("2001:db8::1", "::", None),
            ("10.0.0.1", "::ffff:0.0.0.0", None),
            ("10.0.0.1", "10.0.0.2", Some("0.0.0.0")),
            ("10.0.0.1", "10.0.0.2", Some("[::]")),
            ("10.0.0.1", "10.0.0.2", Some("")),
        ] {
            let result = advertised(ip(peer), ip(local), &everybody, hostname, None);
            assert_eq!(result, Err(NatError::NoAddress { peer: ip(peer) }), "{local} {hostname:?}");
        }
    }
}
