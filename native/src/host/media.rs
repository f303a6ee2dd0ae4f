//! Pairs of media ports: RTP on an even port, RTCP on the one above (RFC 3550 §11).
//!
//! Opening and closing a pair takes eleven system calls, much of what a short call costs, so a pair
//! that was given back rests for a moment and is lent again, if nothing has come to it meanwhile:
//! a peer that still sends to the call before would be heard in the next.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use offhook_core::host::{Channel, MediaPort};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Two bound sockets, which nothing watches; dropping them gives the ports back.
#[derive(Debug)]
pub(crate) struct MediaSockets {
    pub(crate) port: MediaPort,
    pair: Arc<Pair>,
    /// The address as the peer sees it.
    advertised: IpAddr,
    pool: Weak<Mutex<PairPool>>,
}

#[derive(Debug)]
struct Pair {
    address: IpAddr,
    /// The even port.
    number: u16,
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

impl MediaSockets {
    /// The socket of `channel`.
    pub(crate) fn socket(&self, channel: Channel) -> &UdpSocket {
        match channel {
            Channel::Rtp => &self.pair.rtp,
            Channel::Rtcp => &self.pair.rtcp,
        }
    }

    /// The address of the socket of `channel`, as the peer sees it.
    pub(crate) fn address(&self, channel: Channel) -> SocketAddr {
        match channel {
            Channel::Rtp => SocketAddr::new(self.advertised, self.pair.number),
            Channel::Rtcp => SocketAddr::new(self.advertised, self.pair.number + 1),
        }
    }
}

impl Drop for MediaSockets {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            lock(&pool).rest(self.pair.number);
        }
    }
}

/// The pairs that this process' calls hold, by their even ports, and those that rest.
#[derive(Debug, Default)]
struct PairPool {
    pairs: HashMap<u16, Arc<Pair>>,
    /// Since when, oldest first.
    resting: VecDeque<(Instant, u16)>,
}

impl PairPool {
    /// How long a pair rests at least: ten packets of a stream that has not ended would come.
    const REST: Duration = Duration::from_millis(200);
    /// After how long without use it is closed.
    const KEPT: Duration = Duration::from_secs(2);
    /// How many may rest.
    const MOST: usize = 256;

    fn rest(&mut self, number: u16) {
        if self.resting.len() < Self::MOST {
            self.resting.push_back((Instant::now(), number));
        } else {
            self.pairs.remove(&number);
        }
    }

    /// A rested pair at `address`, from `low` to `high`, to which nothing has come.
    fn rested(&mut self, address: IpAddr, low: u16, high: u16) -> Option<Arc<Pair>> {
        while let Some((_, number)) = self.take(Self::REST) {
            let Some(pair) = self.pairs.get(&number) else { continue };
            let fits = pair.address == address && low <= number && number < high;
            if fits && is_silent(&pair.rtp) && is_silent(&pair.rtcp) {
                return Some(Arc::clone(pair));
            }
            self.pairs.remove(&number);
        }
        None
    }

    /// Closes what rests for longer than `age`.
    fn close(&mut self, age: Duration) {
        while let Some((_, number)) = self.take(age) {
            self.pairs.remove(&number);
        }
    }

    /// Takes the pair that rests longest, if that is `age`.
    fn take(&mut self, age: Duration) -> Option<(Instant, u16)> {
        self.resting.front().filter(|(since, _)| since.elapsed() >= age)?;
        self.resting.pop_front()
    }
}

/// Hands out pairs of ports.
#[derive(Debug, Default)]
pub(crate) struct MediaPorts {
    pool: Arc<Mutex<PairPool>>,
    last: u64,
}

impl MediaPorts {
    /// Half a second of audio at 64 kbit/s and its headers, several times over.
    const BUFFER: usize = 256 * 1024;

    /// A free pair in `low..=high` at `address`: one that has rested, or else the first that can be
    /// bound, looking from a `random` place on; `None` when there is none. The peer sees it at
    /// `shown`.
    pub(crate) fn bind(
        &mut self,
        address: IpAddr,
        advertised: IpAddr,
        low: u16,
        high: u16,
        random: u64,
    ) -> Option<MediaSockets> {
        let mut pool = lock(&self.pool);
        let mut pair = pool.rested(address, low, high);
        if pair.is_none() {
            pair = open_any(&mut pool, address, low, high, random);
        }
        // The ports, or the descriptors, that are wanted may be resting.
        if pair.is_none() && !pool.resting.is_empty() {
            pool.close(Duration::ZERO);
            pair = open_any(&mut pool, address, low, high, random);
        }
        self.last += 1;
        let (port, pool) = (MediaPort(self.last), Arc::downgrade(&self.pool));
        pair.map(|pair| MediaSockets { port, pair, advertised, pool })
    }

    /// Closes the pairs that rest, whose address may not be ours any more.
    pub(crate) fn renew(&mut self) {
        lock(&self.pool).close(Duration::ZERO);
    }

    /// Closes the pairs that have not been wanted again; says when to come back.
    pub(crate) fn tidy(&mut self) -> Option<Instant> {
        let mut pool = lock(&self.pool);
        pool.close(PairPool::KEPT);
        pool.resting.front().map(|(since, _)| *since + PairPool::KEPT)
    }
}

/// Binds the first free pair from a `random` place on.
fn open_any(
    pool: &mut PairPool,
    address: IpAddr,
    low: u16,
    high: u16,
    random: u64,
) -> Option<Arc<Pair>> {
    let first = u32::from(low) + u32::from(low % 2);
    let pairs = (u32::from(high) + 1).saturating_sub(first) / 2;
    let start = u32::try_from(random % u64::from(pairs.max(1))).unwrap_or(0);
    for i in 0..pairs {
        let number = u16::try_from(first + (start + i) % pairs * 2).ok()?;
        // Asking the system for each would cost two system calls when thousands of calls are up.
        if pool.pairs.contains_key(&number) {
            continue;
        }
        if let Ok((rtp, rtcp)) = open_pair(address, number) {
            let pair = Arc::new(Pair { address, number, rtp, rtcp });
            pool.pairs.insert(number, Arc::clone(&pair));
            return Some(pair);
        }
    }
    None
}

/// Whether nothing has come to a socket.
fn is_silent(socket: &UdpSocket) -> bool {
    let looked = SockRef::from(socket).recv(&mut [MaybeUninit::uninit()]);
    looked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Nothing here is left half changed by a panic.
fn lock(pool: &Mutex<PairPool>) -> MutexGuard<'_, PairPool> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One bound pair that every call advertises, for calls without sound. What comes there is never
/// read, and the system drops it.
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
        advertised: IpAddr,
    ) -> Option<(MediaPort, [SocketAddr; 2])> {
        if self.sockets.is_none() {
            self.sockets = bind();
        }
        let number = self.sockets.as_ref()?.pair.number;
        self.last += 1;
        Some((MediaPort(self.last), [number, number + 1].map(|port| (advertised, port).into())))
    }
}

fn open_pair(address: IpAddr, number: u16) -> io::Result<(UdpSocket, UdpSocket)> {
    let at = |port| SocketAddr::new(address, port);
    Ok((open(at(number), Some(MediaPorts::BUFFER))?, open(at(number + 1), None)?))
}

/// Opens one socket, which never blocks; a report every few seconds needs no more than the system's own
/// `buffer`.
pub(super) fn open(address: SocketAddr, buffer: Option<usize>) -> io::Result<UdpSocket> {
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
    note_arrivals(&socket);
    #[cfg(not(target_os = "linux"))]
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Has the system note when each packet comes, for [`Arrivals`](super::arrivals::Arrivals).
#[cfg(target_os = "linux")]
fn note_arrivals(socket: &Socket) {
    use nix::sys::socket::{setsockopt, sockopt::ReceiveTimestampns};
    // Every Linux can; without it packets have come when they are read.
    let _ = setsockopt(socket, ReceiveTimestampns, &true);
}

#[cfg(not(target_os = "linux"))]
fn note_arrivals(_: &Socket) {}

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
            assert_eq!(pair.pair.number % 2, 0);
            assert_eq!(pair.pair.rtp.local_addr().unwrap().port(), pair.pair.number);
            assert_eq!(pair.pair.rtcp.local_addr().unwrap().port(), pair.pair.number + 1);
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

    /// Lets time pass for what rests.
    fn age(ports: &MediaPorts, by: Duration) {
        for (since, _) in &mut lock(&ports.pool).resting {
            *since = since.checked_sub(by).unwrap();
        }
    }

    #[tokio::test]
    async fn a_pair_is_lent_again_once_it_has_rested_in_silence() {
        let (low, high) = free_range(20);
        let mut ports = MediaPorts::default();
        let [first, second] =
            [0, 0].map(|at| ports.bind(HERE, HERE, low, high, at).unwrap().pair.number);
        assert_ne!(first, second, "it has not rested yet");
        age(&ports, PairPool::REST);
        let late = std::net::UdpSocket::bind((HERE, 0)).unwrap();
        late.send_to(b"still here", (HERE, first)).unwrap();
        let pair = ports.bind(HERE, HERE, low, high, 0).unwrap();
        assert_eq!(pair.pair.number, second, "somebody still sends to the other");
        assert!(std::net::UdpSocket::bind((HERE, first)).is_ok(), "which was closed");
        assert!(std::net::UdpSocket::bind((HERE, second)).is_err());
        drop(pair);
        assert!(ports.tidy().is_some());
        age(&ports, PairPool::KEPT);
        assert_eq!(ports.tidy(), None);
        assert!(std::net::UdpSocket::bind((HERE, second)).is_ok(), "nobody wanted it again");
    }

    #[tokio::test]
    async fn what_rests_is_given_back_with_the_driver() {
        let (low, high) = free_range(20);
        let mut ports = MediaPorts::default();
        let [held, rests] = [0, 0].map(|at| ports.bind(HERE, HERE, low, high, at).unwrap());
        let (held_number, number) = (held.pair.number, rests.pair.number);
        drop(rests);
        drop(ports);
        assert!(std::net::UdpSocket::bind((HERE, number)).is_ok());
        assert!(std::net::UdpSocket::bind((HERE, held_number)).is_err());
        drop(held);
        assert!(std::net::UdpSocket::bind((HERE, held_number)).is_ok());
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
