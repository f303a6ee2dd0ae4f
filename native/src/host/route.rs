//! Which local address the route to a peer uses.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// The local addresses of the routes asked about lately.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    known: HashMap<IpAddr, (IpAddr, Instant)>,
}

impl Routes {
    /// Interfaces come and go; a route older than this is looked up again.
    const FRESH: Duration = Duration::from_secs(30);
    /// How many peers are remembered.
    const MOST: usize = 4096;

    /// The address from which a packet to `peer` leaves, when bound to `bound`.
    ///
    /// # Errors
    /// When there is no route, or `bound` is of the other address family.
    pub(crate) fn local_address(&mut self, bound: IpAddr, peer: IpAddr) -> io::Result<IpAddr> {
        if bound.is_ipv4() != peer.is_ipv4() {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        if !bound.is_unspecified() {
            return Ok(bound);
        }
        let now = Instant::now();
        if let Some(&(local, since)) = self.known.get(&peer)
            && now.duration_since(since) < Self::FRESH
        {
            return Ok(local);
        }
        let local = look_up(peer)?;
        if self.known.len() >= Self::MOST {
            self.known.clear();
        }
        self.known.insert(peer, (local, now));
        Ok(local)
    }
}

/// Asks the routing table: a connected UDP socket has the address of the route, and sends nothing.
fn look_up(peer: IpAddr) -> io::Result<IpAddr> {
    /// Any port but 0 will do.
    const DISCARD: u16 = 9;
    let any: IpAddr = match peer {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(SocketAddr::new(peer, DISCARD))?;
    let local = socket.local_addr()?.ip();
    if local.is_unspecified() {
        return Err(io::ErrorKind::NetworkUnreachable.into());
    }
    Ok(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_the_unspecified_address() {
        let mut routes = Routes::default();
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(routes.local_address(any, loopback).unwrap(), loopback);
        assert_eq!(routes.local_address(any, loopback).unwrap(), loopback);
        assert_eq!(routes.known.len(), 1);
        let fixed: IpAddr = "127.0.0.7".parse().unwrap();
        assert_eq!(routes.local_address(fixed, loopback).unwrap(), fixed);
        assert!(routes.local_address(any, Ipv6Addr::LOCALHOST.into()).is_err());
    }
}
