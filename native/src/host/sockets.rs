//! Everything an endpoint's signalling travels on: UDP sockets, listening sockets and connections.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;

use offhook_core::certificate::Identities;
use offhook_core::host::{Flow, RequestId, Transport};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use super::connection::{AcceptedConnection, ConnectionEvent, Connections, Ends};
use super::dial::{ConnectError, Dialer};
use super::listener::{ConnectionCounter, Limits, Listener};
use super::security::{Security, Stream};
use super::signalling::SignallingSocket;
use super::turned_away::TurnedAway;
use super::websocket;
use super::wire::Wire;
use crate::error::Error;

/// How an endpoint's connections are made.
#[derive(Clone, Default)]
pub(crate) struct ConnectionOptions {
    /// TLS, if there is any.
    pub(crate) security: Option<Arc<dyn Security>>,
    /// How many connections peers may hold.
    pub(crate) limits: Limits,
    /// The path of WebSocket servers' URLs.
    pub(crate) websocket_path: String,
    /// The pages that may connect by WebSocket; `*` for all. Clients that are no browsers send no
    /// Origin, and are accepted.
    pub(crate) origins: Arc<[String]>,
}

/// The sockets of one endpoint.
pub(crate) struct Sockets {
    pub(crate) datagrams: Vec<SignallingSocket>,
    /// UDP sockets that could not be bound again.
    unbound: Vec<(Flow, SocketAddr)>,
    listeners: Vec<Listener>,
    pub(crate) connections: Connections,
    /// The addresses to send from, at most one of each family that matters.
    ips: Vec<IpAddr>,
    options: ConnectionOptions,
    counter: ConnectionCounter,
    /// The number of the last flow.
    flows: u64,
}

/// The next event of the sockets, for their driver.
pub(crate) enum Next {
    /// The UDP socket with this index has datagrams.
    Datagrams(usize),
    /// An event of a connection.
    Connection(ConnectionEvent),
    /// A peer connects to the listener with this index.
    Connecting(usize, TcpStream, SocketAddr),
}

impl Sockets {
    /// How often another port is tried where one that is free on every socket is wanted.
    const PORTS: usize = 32;
    /// How long the handshakes of a peer that connects may take.
    const HANDSHAKE: Duration = Duration::from_secs(10);

    pub(crate) fn new(options: ConnectionOptions) -> Self {
        let counter = ConnectionCounter::new(options.limits);
        let (datagrams, listeners, connections) = (Vec::new(), Vec::new(), Connections::new());
        let (ips, unbound) = (Vec::new(), Vec::new());
        Self { datagrams, unbound, listeners, connections, ips, options, counter, flows: 0 }
    }

    /// Listens at one address, for one transport; port 0 picks one. Returns the address bound.
    ///
    /// # Errors
    /// [`Error::Bind`] when the port is in use or the address is not ours.
    pub(crate) fn listen(
        &mut self,
        transport: Transport,
        address: SocketAddr,
    ) -> Result<SocketAddr, Error> {
        self.ips.push(address.ip());
        self.open(transport, address).map_err(|source| Error::Bind {
            what: transport.as_str(),
            address,
            source: source.into(),
        })
    }

    /// Listens for every one of `transports` at the same port of `address`; port 0 picks one that is
    /// free for all. The unspecified address of IPv4 means every address of this machine: those of
    /// IPv6 too, where the system has it. That of IPv6 means those of IPv6 alone.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub(crate) fn listen_at(
        &mut self,
        transports: &[Transport],
        address: SocketAddr,
    ) -> Result<(), Error> {
        let mut ips = vec![address.ip()];
        if address.ip() == Ipv4Addr::UNSPECIFIED && has_ipv6() {
            ips.push(Ipv6Addr::UNSPECIFIED.into());
        }
        self.ips.extend(&ips);
        let (datagrams, listeners) = (self.datagrams.len(), self.listeners.len());
        for attempt in 1.. {
            let mut port = address.port();
            let all = ips.iter().flat_map(|ip| transports.iter().map(move |of| (*ip, *of)));
            let result = all.into_iter().try_for_each(|(ip, transport)| {
                let mut at = address;
                at.set_ip(ip);
                at.set_port(port);
                port = self.listen(transport, at)?.port();
                Ok(())
            });
            match result {
                Err(Error::Bind { source, .. })
                    if address.port() == 0
                        && source.kind() == io::ErrorKind::AddrInUse
                        && attempt < Self::PORTS =>
                {
                    self.datagrams.truncate(datagrams);
                    self.listeners.truncate(listeners);
                }
                result => return result,
            }
        }
        Ok(())
    }

    fn open(&mut self, transport: Transport, address: SocketAddr) -> io::Result<SocketAddr> {
        if transport == Transport::Udp {
            let socket = SignallingSocket::bind(self.new_flow(transport), address)?;
            let bound = socket.bound;
            self.datagrams.push(socket);
            return Ok(bound);
        }
        let listener = Listener::bind(transport, address)?;
        let bound = listener.bound;
        self.listeners.push(listener);
        Ok(bound)
    }

    /// Binds every socket anew, at the same port or else at any, and ends every connection: which
    /// those were. A socket whose address is not ours any more comes back with it, at the next time.
    pub(crate) fn rebind(&mut self) -> Vec<Flow> {
        let datagrams = self.datagrams.drain(..).map(|socket| (socket.flow, socket.bound));
        let wanted: Vec<_> = datagrams.chain(self.unbound.drain(..)).collect();
        for (flow, bound) in wanted {
            match anew(bound, |address| SignallingSocket::bind(flow, address)) {
                Some(socket) => self.datagrams.push(socket),
                None => self.unbound.push((flow, bound)),
            }
        }
        for listener in std::mem::take(&mut self.listeners) {
            let (transport, bound) = (listener.transport, listener.bound);
            drop(listener);
            self.listeners.extend(anew(bound, |address| Listener::bind(transport, address)));
        }
        self.connections.abort_all()
    }

    /// Where the endpoint listens: first for datagrams, then for connections.
    pub(crate) fn listening(&self) -> Vec<(Transport, SocketAddr)> {
        let datagrams = self.datagrams.iter().map(|socket| (Transport::Udp, socket.bound));
        let listeners = self.listeners.iter().map(|listener| (listener.transport, listener.bound));
        datagrams.chain(listeners).collect()
    }

    /// What comes next. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Next {
        let Self { datagrams, listeners, connections, .. } = self;
        tokio::select! {
            index = any_ready(datagrams) => Next::Datagrams(index),
            event = connections.next() => Next::Connection(event),
            (index, stream, from) = any_connecting(listeners) => Next::Connecting(index, stream, from),
        }
    }

    /// The address to send from to `peer`, which may be the unspecified one; `None` when none of ours
    /// is of its family.
    pub(crate) fn ours(&self, peer: IpAddr) -> Option<IpAddr> {
        self.ips.iter().copied().find(|ip| ip.is_ipv4() == peer.is_ipv4())
    }

    /// Opens a connection; the result is a [`ConnectionEvent`].
    pub(crate) fn dial(
        &mut self,
        id: RequestId,
        transport: Transport,
        to: SocketAddr,
        name: String,
    ) {
        let flow = self.new_flow(transport);
        let ours = self.ours(to.ip());
        let ConnectionOptions { security, websocket_path: path, .. } = self.options.clone();
        let dialer = Dialer { security, path };
        let event_sender = self.connections.event_sender();
        tokio::spawn(async move {
            let result = match ours {
                Some(ours) => dialer.dial(transport, ours, to, &name).await,
                None => Err(io::Error::from(io::ErrorKind::AddrNotAvailable).into()),
            };
            let result = result.map(Box::new);
            let _ = event_sender.send(ConnectionEvent::Dialled { id, flow, to, result }).await;
        });
    }

    /// Accepts a peer that has connected to a listener, if the limits allow; the result is a
    /// [`ConnectionEvent`].
    pub(crate) fn receive_guest(
        &mut self,
        index: usize,
        stream: TcpStream,
        from: SocketAddr,
    ) -> Option<TurnedAway> {
        let listener = self.listeners.get(index)?;
        let transport = listener.transport;
        let away = move |problem: String| TurnedAway { transport, from, problem, others: 0 };
        let Some(reservation) = self.counter.admit(from.ip()) else {
            return Some(away("there are as many connections as there may be".into()));
        };
        let flow = self.new_flow(transport);
        let (options, event_sender) = (self.options.clone(), self.connections.event_sender());
        tokio::spawn(async move {
            let Ok(local) = stream.local_addr() else { return };
            let _ = stream.set_nodelay(true);
            let welcome = timeout(Self::HANDSHAKE, welcome(transport, &options, Box::new(stream)));
            let event = match welcome.await {
                Ok(Ok((wire, certificate))) => {
                    let accepted =
                        AcceptedConnection { flow, from, local, certificate, wire, reservation };
                    ConnectionEvent::Accepted(Box::new(accepted))
                }
                Ok(Err(obstacle)) => {
                    ConnectionEvent::TurnedAway(Box::new(away(obstacle.to_string())))
                }
                Err(_) => {
                    let time = Self::HANDSHAKE.as_secs();
                    let problem = format!("its handshakes have taken more than {time} s");
                    ConnectionEvent::TurnedAway(Box::new(away(problem)))
                }
            };
            let _ = event_sender.send(event).await;
        });
        None
    }

    /// The local address to advertise on a connection with `ends`: its port is the one where we
    /// listen for the transport, or else our UDP port, which at least stays the same.
    pub(crate) fn advertised(&self, transport: Transport, Ends { local, .. }: Ends) -> SocketAddr {
        let fits = |(of, bound): &(Transport, SocketAddr), wanted| {
            *of == wanted && bound.is_ipv4() == local.is_ipv4()
        };
        let listening = self.listening();
        let found = [transport, Transport::Udp]
            .into_iter()
            .find_map(|wanted| listening.iter().find(|at| fits(at, wanted)));
        SocketAddr::new(local.ip(), found.map_or(local.port(), |(_, bound)| bound.port()))
    }

    fn new_flow(&mut self, transport: Transport) -> Flow {
        self.flows += 1;
        Flow { transport, id: self.flows }
    }
}

/// Binds at `address`, or else at another port of it.
fn anew<T>(mut address: SocketAddr, bind: impl Fn(SocketAddr) -> io::Result<T>) -> Option<T> {
    bind(address).ok().or_else(|| {
        address.set_port(0);
        bind(address).ok()
    })
}

/// What comes before a peer's first message.
async fn welcome(
    transport: Transport,
    options: &ConnectionOptions,
    stream: Stream,
) -> Result<(Wire, Option<Identities>), ConnectError> {
    let (stream, certificate) = match &options.security {
        _ if !transport.is_secure() => (stream, None),
        Some(security) => security.accept(stream).await?,
        None => return Err(ConnectError::Unsupported),
    };
    let wire = match transport {
        Transport::Tcp | Transport::Tls => Wire::stream(stream),
        _ => Wire::messages(websocket::accept(stream, &options.origins).await?),
    };
    Ok((wire, certificate))
}

/// Whether this system does IPv6.
fn has_ipv6() -> bool {
    std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

/// Waits until one of `sockets` has something; says which.
async fn any_ready(sockets: &[SignallingSocket]) -> usize {
    match sockets {
        [only] => {
            only.ready().await;
            0
        }
        [first, second] => tokio::select! {
            () = first.ready() => 0,
            () = second.ready() => 1,
        },
        _ => {
            let mut waiting: Vec<_> =
                sockets.iter().map(|socket| Box::pin(socket.ready())).collect();
            poll_fn(|cx| {
                let ready = waiting.iter_mut().position(|ready| ready.as_mut().poll(cx).is_ready());
                ready.map_or(Poll::Pending, Poll::Ready)
            })
            .await
        }
    }
}

/// Waits until somebody connects to one of `listeners`; says to which.
async fn any_connecting(listeners: &mut [Listener]) -> (usize, TcpStream, SocketAddr) {
    poll_fn(|cx| {
        for (index, listener) in listeners.iter_mut().enumerate() {
            if let Poll::Ready((stream, from)) = listener.poll_accept(cx) {
                return Poll::Ready((index, stream, from));
            }
        }
        Poll::Pending
    })
    .await
}
