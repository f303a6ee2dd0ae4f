//! Pairs of media ports: RTP on an even port, RTCP on the one above (RFC 3550 §11).

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use offhook_core::host::{Channel, MediaPort};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// Two bound sockets; dropping them gives the ports back.
#[derive(Debug)]
pub(crate) struct MediaSockets {
    pub(crate) port: MediaPort,
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    /// The address as the peer sees it, and the even port.
    shown: IpAddr,
    number: u16,
    taken: Taken,
}

impl MediaSockets {
    /// The socket of `channel`.
    pub(crate) fn socket(&self, channel: Channel) -> &UdpSocket {
        match channel {
            Channel::Rtp => &self.rtp,
            Channel::Rtcp => &self.rtcp,
        }
    }

    /// The address of the socket of `channel`, as the peer sees it.
    pub(crate) fn address(&self, channel: Channel) -> SocketAddr {
        match channel {
            Channel::Rtp => SocketAddr::new(self.shown, self.number),
            Channel::Rtcp => SocketAddr::new(self.shown, self.number + 1),
        }
    }
}

impl Drop for MediaSockets {
    fn drop(&mut self) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// The even ports that this process' own calls hold; asking the system for each would cost two
/// system calls a port when thousands of calls are up.
type Taken = Arc<Mutex<HashSet<u16>>>;

/// Hands out pairs of ports.
#[derive(Debug, Default)]
pub(crate) struct MediaPorts {
    taken: Taken,
    last: u64,
}

impl MediaPorts {
    /// Half a second of audio at 64 kbit/s and its headers, several times over.
    const BUFFER: usize = 256 * 1024;

    /// Binds the first free pair in `low..=high` at `address`, looking from a `random` place on;
    /// `None` when there is none. The peer sees it at `shown`.
    pub(crate) fn bind(
        &mut self,
        address: IpAddr,
        shown: IpAddr,
        low: u16,
        high: u16,
        random: u64,
    ) -> Option<MediaSockets> {
        let first = u32::from(low) + u32::from(low % 2);
        let pairs = (u32::from(high) + 1).saturating_sub(first) / 2;
        let start = u32::try_from(random % u64::from(pairs.max(1))).unwrap_or(0);
        for i in 0..pairs {
            let number = u16::try_from(first + (start + i) % pairs * 2).ok()?;
            if !self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(number) {
                continue;
            }
            match open_pair(address, number) {
                Ok((rtp, rtcp)) => {
                    self.last += 1;
                    let (port, taken) = (MediaPort(self.last), Arc::clone(&self.taken));
                    return Some(MediaSockets { port, rtp, rtcp, shown, number, taken });
                }
                Err(_) => {
                    self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
                }
            }
        }
        None
    }
}

/// One bound pair that every call is told, for calls without sound. What comes there is never read,
/// and the system drops it.
#[derive(Debug, Default)]
pub(crate) struct SharedPair {
    sockets: Option<MediaSockets>,
    last: u64,
}

impl SharedPair {
    /// Gives the pair a number for one more call, to which it is shown at `shown`. The first use of
    /// it binds it by `bind`; `None` when that cannot be.
    pub(crate) fn lend(
        &mut self,
        bind: impl FnOnce() -> Option<MediaSockets>,
        shown: IpAddr,
    ) -> Option<(MediaPort, [SocketAddr; 2])> {
        if self.sockets.is_none() {
            self.sockets = bind();
        }
        let number = self.sockets.as_ref()?.number;
        self.last += 1;
        Some((MediaPort(self.last), [number, number + 1].map(|port| (shown, port).into())))
    }
}

fn open_pair(address: IpAddr, number: u16) -> io::Result<(UdpSocket, UdpSocket)> {
    Ok((open(address, number, Some(MediaPorts::BUFFER))?, open(address, number + 1, None)?))
}

/// Opens one socket; a report every few seconds needs no more than the system's own `buffer`.
fn open(address: IpAddr, port: u16, buffer: Option<usize>) -> io::Result<UdpSocket> {
    let address = SocketAddr::new(address, port);
    // One system call where there could be three: every call opens two sockets.
    #[cfg(target_os = "linux")]
    let kind = Type::DGRAM.nonblocking();
    #[cfg(not(target_os = "linux"))]
    let kind = Type::DGRAM;
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if let Some(size) = buffer {
        let _ = socket.set_recv_buffer_size(size);
    }
    #[cfg(not(target_os = "linux"))]
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A range of `pairs` pairs that nothing else holds now.
    fn free_range(pairs: u16) -> (u16, u16) {
        let probe = std::net::UdpSocket::bind((HERE, 0)).unwrap();
        let low = probe.local_addr().unwrap().port().min(60_000) & !1;
        (low, low + pairs * 2 - 1)
    }

    #[tokio::test]
    async fn every_pair_once_and_back_again() {
        let (low, high) = free_range(3);
        let mut ports = MediaPorts::default();
        let held: Vec<_> = std::iter::from_fn(|| ports.bind(HERE, HERE, low, high, 1)).collect();
        assert!(!held.is_empty() && held.len() <= 3);
        for pair in &held {
            assert_eq!(pair.number % 2, 0);
            assert_eq!(pair.rtp.local_addr().unwrap().port(), pair.number);
            assert_eq!(pair.rtcp.local_addr().unwrap().port(), pair.number + 1);
        }
        let count = held.len();
        drop(held);
        let again: Vec<_> = std::iter::from_fn(|| ports.bind(HERE, HERE, low, high, 0)).collect();
        assert_eq!(again.len(), count);
    }

    #[tokio::test]
    async fn a_shared_pair_is_bound_once() {
        let (low, high) = free_range(1);
        let (mut ports, mut shared) = (MediaPorts::default(), SharedPair::default());
        let mut lend = || shared.lend(|| ports.bind(HERE, HERE, low, high, 0), HERE).unwrap();
        let (first, second) = (lend(), lend());
        assert_eq!(first.1, second.1);
        assert_ne!(first.0, second.0);
    }

    #[tokio::test]
    async fn a_range_without_a_pair_has_none() {
        let mut ports = MediaPorts::default();
        assert!(ports.bind(HERE, HERE, 40_001, 40_001, 5).is_none());
        assert!(ports.bind(HERE, HERE, 40_001, 40_002, 5).is_none());
        assert!(ports.bind(HERE, HERE, 65_535, 65_535, 5).is_none());
        assert!(ports.bind(HERE, HERE, 50, 40, 5).is_none());
    }
}
