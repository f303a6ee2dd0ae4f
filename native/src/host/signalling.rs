//! A UDP socket for signalling: read in batches (recvmmsg), written in batches (sendmmsg).

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};

use offhook_core::host::Flow;
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A bound socket and the number under which the core knows it.
#[derive(Debug)]
pub(crate) struct SignallingSocket {
    pub(crate) flow: Flow,
    /// The address bound; its IP may be the unspecified one.
    pub(crate) bound: SocketAddr,
    socket: UdpSocket,
    batches: UdpSocketState,
}

/// What a socket is watched for. Errors only where [`SignallingSocket::next_refusal`] takes them;
/// elsewhere the readiness would never go away.
#[cfg(target_os = "linux")]
const ANYTHING: Interest = Interest::READABLE.add(Interest::ERROR);
#[cfg(not(target_os = "linux"))]
const ANYTHING: Interest = Interest::READABLE;

/// What one look at a socket brought.
#[derive(Debug)]
pub(crate) enum Arrival<'a> {
    /// A datagram.
    Datagram(SocketAddr, &'a [u8]),
    /// The network refused something that was sent there (an ICMP error).
    Refused(SocketAddr),
}

impl SignallingSocket {
    /// Bursts of thousands of calls must fit while the driver is busy; the system caps it.
    const BUFFER: usize = 4 * 1024 * 1024;

    /// Binds `address`; port 0 picks one.
    pub(crate) fn bind(flow: Flow, address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Best effort: the system's own limit may be lower.
        let _ = socket.set_recv_buffer_size(Self::BUFFER);
        let _ = socket.set_send_buffer_size(Self::BUFFER);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        // The state is made from a socket of its own, because making it forbids fragmentation on
        // the socket given, and RFC 3261 §18.1.1 has messages larger than the path MTU.
        let scratch = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let batches = UdpSocketState::new((&scratch).into())?;
        let _ = batches.enable_transport_errors((&socket).into());
        allow_fragments(&socket, address);
        let socket = UdpSocket::from_std(socket.into())?;
        let bound = socket.local_addr()?;
        Ok(Self { flow, bound, socket, batches })
    }

    /// Waits until there is something to receive. Cancel-safe.
    pub(crate) async fn ready(&self) {
        // An error here is one of the runtime shutting down; the caller's next look finds nothing.
        let _ = self.socket.ready(ANYTHING).await;
    }

    /// Hands at most one batch of datagrams, and the errors before it, to `take`.
    pub(crate) fn receive(&self, batch: &mut Batch, mut take: impl FnMut(Arrival<'_>)) {
        while let Some(to) = self.next_refusal() {
            take(Arrival::Refused(to));
        }
        let mut slices = batch.bytes.chunks_exact_mut(Batch::LARGEST).map(IoSliceMut::new);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| slices.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
        let metas = &mut batch.metas;
        let mut count = 0;
        let _ = self.socket.try_io(Interest::READABLE, || {
            // Errors are those of the error queue, which came out above or will next time.
            count = self.batches.recv((&self.socket).into(), &mut slices, metas)?;
            // Less than there was room for: the socket is empty, and this tells tokio so without
            // another system call.
            match count {
                BATCH_SIZE => Ok(()),
                _ => Err(io::Error::from(io::ErrorKind::WouldBlock)),
            }
        });
        for (meta, slice) in metas.iter().zip(&slices).take(count) {
            if let Some(bytes) = slice.get(..meta.len) {
                take(Arrival::Datagram(meta.addr, bytes));
            }
        }
    }

    /// Sends all of `run`; whatever the system refuses goes to `failed`. Waits for room when the
    /// socket's buffer is full.
    pub(crate) async fn send<'a>(
        &self,
        run: impl Iterator<Item = (SocketAddr, &'a [u8])>,
        mut failed: impl FnMut(SocketAddr),
    ) {
        let datagrams: Vec<(SocketAddr, &[u8])> = run.collect();
        let mut rest = datagrams.as_slice();
        // An ICMP error of an earlier datagram is reported to the next send; that one is no failure.
        let mut retried = false;
        while let Some((&(to, _), after)) = rest.split_first() {
            match self.socket.try_io(Interest::WRITABLE, || send_batch(&self.socket, rest)) {
                Ok(sent) => {
                    rest = rest.get(sent.max(1)..).unwrap_or_default();
                    retried = false;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.socket.writable().await.is_err() {
                        return;
                    }
                }
                Err(_) if !retried => {
                    retried = true;
                    while let Some(to) = self.next_refusal() {
                        failed(to);
                    }
                }
                Err(_) => {
                    failed(to);
                    rest = after;
                    retried = false;
                }
            }
        }
    }

    /// The destination of the next datagram that the network refused.
    #[cfg(target_os = "linux")]
    fn next_refusal(&self) -> Option<SocketAddr> {
        use rustix::net::{RecvAncillaryBuffer, RecvFlags, recvmsg};
        let refusal = self.socket.try_io(Interest::ERROR, || {
            let mut ancillary = RecvAncillaryBuffer::default();
            let mut first = [0; 1];
            let slices = &mut [IoSliceMut::new(&mut first)];
            let flags = RecvFlags::ERRQUEUE | RecvFlags::DONTWAIT;
            Ok(recvmsg(&self.socket, slices, &mut ancillary, flags)?)
        });
        refusal.ok()?.address?.try_into().ok()
    }

    #[cfg(not(target_os = "linux"))]
    fn next_refusal(&self) -> Option<SocketAddr> {
        None
    }
}

/// Room for one batch of datagrams, shared by the sockets of a driver.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
}

impl Batch {
    /// No UDP datagram is larger.
    const LARGEST: usize = 65_536;

    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; BATCH_SIZE * Self::LARGEST], metas: Default::default() }
    }
}

/// Sends the first datagrams with one system call and says how many it took.
#[cfg(target_os = "linux")]
fn send_batch(socket: &UdpSocket, datagrams: &[(SocketAddr, &[u8])]) -> io::Result<usize> {
    use rustix::net::addr::SocketAddrArg;
    use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};
    use std::io::IoSlice;
    if let [(to, bytes)] = datagrams {
        return rustix::net::sendto(socket, bytes, SendFlags::empty(), to)
            .map(|_| 1)
            .map_err(Into::into);
    }
    let batch = datagrams.get(..BATCH_SIZE).unwrap_or(datagrams);
    let addresses: Vec<_> = batch.iter().map(|(to, _)| to.as_any()).collect();
    let slices: Vec<_> = batch.iter().map(|(_, bytes)| [IoSlice::new(bytes)]).collect();
    let mut ancillary: Vec<_> = batch.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut messages: Vec<_> = addresses
        .iter()
        .zip(&slices)
        .zip(&mut ancillary)
        .map(|((to, slice), ancillary)| MMsgHdr::new_with_addr(to, slice, ancillary))
        .collect();
    Ok(sendmmsg(socket, &mut messages, SendFlags::empty())?)
}

#[cfg(not(target_os = "linux"))]
fn send_batch(socket: &UdpSocket, datagrams: &[(SocketAddr, &[u8])]) -> io::Result<usize> {
    let Some((to, bytes)) = datagrams.first() else { return Ok(0) };
    socket2::SockRef::from(socket).send_to(bytes, &(*to).into()).map(|_| 1)
}

/// Lets the network fragment a message larger than the path MTU.
#[cfg(target_os = "linux")]
fn allow_fragments(socket: &Socket, address: SocketAddr) {
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    };
    let _ = match address {
        SocketAddr::V4(_) => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DONT),
        SocketAddr::V6(_) => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DONT),
    };
}

#[cfg(not(target_os = "linux"))]
fn allow_fragments(_: &Socket, _: SocketAddr) {}

#[cfg(test)]
mod tests {
    use super::*;
    use offhook_core::host::Transport;

    fn socket() -> SignallingSocket {
        let flow = Flow { transport: Transport::Udp, id: 1 };
        SignallingSocket::bind(flow, "127.0.0.1:0".parse().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_batch_arrives_whole_and_in_order() {
        let (a, b) = (socket(), socket());
        let large = vec![7; 20_000];
        let datagrams = [&b"one"[..], b"two", &large];
        let run: Vec<_> = datagrams.iter().map(|d| (b.bound, *d)).collect();
        a.send(run.into_iter(), |to| panic!("{to} refused")).await;
        let (mut batch, mut got) = (Batch::new(), Vec::new());
        while got.len() < 3 {
            b.ready().await;
            b.receive(&mut batch, |arrival| match arrival {
                Arrival::Datagram(from, bytes) => {
                    assert_eq!(from, a.bound);
                    got.push(bytes.to_vec());
                }
                Arrival::Refused(to) => panic!("{to} refused"),
            });
        }
        assert_eq!(got, datagrams.map(<[u8]>::to_vec));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_closed_port_is_told_by_its_address() {
        let a = socket();
        let gone = socket().bound;
        a.send([(gone, &b"anyone?"[..])].into_iter(), |_| {}).await;
        let mut refused = Vec::new();
        while refused.is_empty() {
            a.ready().await;
            a.receive(&mut Batch::new(), |arrival| match arrival {
                Arrival::Refused(to) => refused.push(to),
                Arrival::Datagram(..) => panic!("nobody sent anything"),
            });
        }
        assert_eq!(refused, [gone]);
    }
}
