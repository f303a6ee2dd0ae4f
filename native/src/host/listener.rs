//! Listening sockets, and how many connections they take.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use offhook_core::host::Transport;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};

use super::connection::Reservation;

/// A socket at which peers connect to us.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) transport: Transport,
    /// The address bound; its IP may be the unspecified one.
    pub(crate) bound: SocketAddr,
    socket: TcpListener,
    /// Set while the system has no room for another connection.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Listener {
    /// How many connections wait to be taken.
    const BACKLOG: i32 = 1024;
    /// How long it waits when the system has no descriptors: the connections that wait cannot be
    /// taken, and would be reported again at once.
    const PAUSE: Duration = Duration::from_millis(100);

    /// Listens at `address`; port 0 picks one.
    pub(crate) fn bind(transport: Transport, address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Connections of an earlier life that linger are no reason not to listen again.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(Self::BACKLOG)?;
        let socket = TcpListener::from_std(socket.into())?;
        let bound = socket.local_addr()?;
        Ok(Self { transport, bound, socket, pause: None })
    }

    /// The next connection.
    pub(crate) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<(TcpStream, SocketAddr)> {
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match std::task::ready!(self.socket.poll_accept(cx)) {
                Ok(accepted) => return Poll::Ready(accepted),
                Err(error) if is_of_peer(&error) => {}
                Err(_) => self.pause = Some(Box::pin(sleep(Self::PAUSE))),
            }
        }
    }
}

/// Whether an error is that of one connection, which was lost before it was taken.
fn is_of_peer(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::Interrupted
    )
}

/// How many connections peers may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limits {
    /// From one address; of IPv6 from one network of 64 bits, which is what one peer has.
    pub(crate) per_address: usize,
    /// In all.
    pub(crate) total: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_address: 32, total: 1024 }
    }
}

/// Counts the connections that peers hold.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionCounter {
    limits: Limits,
    tally: Arc<Mutex<Tally>>,
}

#[derive(Debug, Default)]
struct Tally {
    by_address: HashMap<IpAddr, usize>,
    total: usize,
}

impl ConnectionCounter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, tally: Arc::default() }
    }

    /// Counts a connection from `peer`, if the limits allow one more.
    pub(crate) fn admit(&self, peer: IpAddr) -> Option<Reservation> {
        let network = network(peer);
        let mut tally = lock(&self.tally);
        let held = tally.by_address.get(&network).copied().unwrap_or(0);
        if held >= self.limits.per_address || tally.total >= self.limits.total {
            return None;
        }
        tally.by_address.insert(network, held + 1);
        tally.total += 1;
        Some(Box::new(Counted { network, tally: Arc::clone(&self.tally) }))
    }
}

/// One counted connection; dropping it uncounts it.
struct Counted {
    network: IpAddr,
    tally: Arc<Mutex<Tally>>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut tally = lock(&self.tally);
        tally.total -= 1;
        if let Some(held) = tally.by_address.get_mut(&self.network) {
            *held -= 1;
            if *held == 0 {
                tally.by_address.remove(&self.network);
            }
        }
    }
}

fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        ip => ip,
    }
}

/// Nothing here is left half changed by a panic.
fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_address_and_in_all() {
        let counter = ConnectionCounter::new(Limits { per_address: 2, total: 3 });
        let admit = |peer: &str| counter.admit(peer.parse().unwrap());
        let first = admit("192.0.2.1").unwrap();
        let _second = admit("192.0.2.1").unwrap();
        assert!(admit("192.0.2.1").is_none());
        let _other = admit("2001:db8::1").unwrap();
        assert!(admit("192.0.2.2").is_none(), "three in all");
        drop(first);
        let _again = admit("2001:db8::2").unwrap();
        assert!(admit("192.0.2.1").is_none());
        assert_eq!(
            network("2001:db8::2".parse().unwrap()),
            network("2001:db8::1".parse().unwrap())
        );
    }
}
