//! Where the peer receives a stream: the address of `c=`, the port of `m=`, and RTCP's.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Direction;
use super::description::{Connection, Media, SessionDescription};
use super::negotiator::NotAcceptable;

/// Where the peer receives, and which way it lets the stream flow.
pub(super) struct Remote {
    pub(super) rtp: SocketAddr,
    pub(super) rtcp: SocketAddr,
    pub(super) direction: Direction,
}

impl Remote {
    /// What a section says to us, who receive at `ours`.
    ///
    /// # Errors
    /// When nothing that we send could get there: nothing is ever sent to a group or to everybody
    /// because a peer said so, and no socket speaks to the other family of addresses (RFC 6157 §4.1).
    pub(super) fn of(
        description: &SessionDescription,
        media: &Media,
        ours: IpAddr,
    ) -> Result<Self, NotAcceptable> {
        let connection = description.connection(media).ok_or(NotAcceptable::NoAddress)?;
        let ip = reachable(connection, ours)?;
        let said = description.direction(media);
        // RFC 3264 §8.4: `c=0.0.0.0` means that nothing may be sent there: a hold as of RFC 2543.
        let direction = Direction::new(said.sends(), said.receives() && !ip.is_unspecified());
        // RFC 3605 §2.1; else the next port (RFC 3550 §11).
        let (rtcp_port, rtcp_ip) =
            media.rtcp().unwrap_or((media.port.checked_add(1).unwrap_or(media.port), None));
        let fits = |rtcp: &IpAddr| is_unicast(*rtcp) && rtcp.is_ipv4() == ip.is_ipv4();
        let rtcp_ip = rtcp_ip.filter(|rtcp| fits(rtcp) && !ip.is_unspecified());
        Ok(Self {
            rtp: SocketAddr::new(ip, media.port),
            rtcp: SocketAddr::new(rtcp_ip.unwrap_or(ip), rtcp_port),
            direction,
        })
    }
}

/// The address of a connection; the unspecified one where nothing may be sent.
fn reachable(connection: &Connection, ours: IpAddr) -> Result<IpAddr, NotAcceptable> {
    if !connection.network.eq_ignore_ascii_case("IN") {
        return Err(NotAcceptable::Network { network: connection.network.clone() });
    }
    let ours_is_v4 = ours.to_canonical().is_ipv4();
    let Some(ip) = connection.ip() else {
        let name = connection.address.trim_end_matches('.');
        // RFC 6157 §4.1: a name in `.invalid` is what an IPv6 user agent says for 0.0.0.0 (RFC 3264 §8.4,
        // RFC 3725 §4.2).
        let top = name.rsplit('.').next().unwrap_or(name);
        return match (top.eq_ignore_ascii_case("invalid"), ours_is_v4) {
            (true, true) => Ok(Ipv4Addr::UNSPECIFIED.into()),
            (true, false) => Ok(Ipv6Addr::UNSPECIFIED.into()),
            _ => Err(NotAcceptable::HostName { name: connection.address.clone() }),
        };
    };
    match ip {
        // Nothing is sent there, so the family makes no difference.
        ip if ip.is_unspecified() => Ok(ip),
        ip if ip.is_multicast() => Err(NotAcceptable::Multicast { ip }),
        ip if !is_unicast(ip) => Err(NotAcceptable::NoAddress),
        ip if ip.is_ipv4() != ours_is_v4 => Err(NotAcceptable::Family { ip }),
        ip => Ok(ip),
    }
}

fn is_unicast(ip: IpAddr) -> bool {
    !ip.is_multicast() && ip != IpAddr::V4(Ipv4Addr::BROADCAST)
}
