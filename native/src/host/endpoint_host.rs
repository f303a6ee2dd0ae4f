//! The core's [`Host`](offhook_core::host::Host) for signalling: collects what one call of the core
//! sends and requests.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;

use offhook_core::host::{
    Channel, Clock, Datagrams, Entropy, Flow, MediaPort, Outbound, Query, RequestId, Transport,
};
use offhook_core::time::{Duration, Instant, WallTime};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use super::entropy;
use super::media::MediaSockets;
use super::outbox::Outbox;
use super::timebase::Timebase;

/// The host that an endpoint sees.
#[derive(Debug)]
pub(crate) struct EndpointHost {
    pub(crate) time: Timebase,
    /// What waits to be sent.
    pub(crate) outbox: Outbox<Flow>,
    /// What waits to be answered.
    pub(crate) requests: Vec<Request>,
    /// Connections to be closed once what was sent has been passed on.
    pub(crate) closing: Vec<Flow>,
    /// Media ports that were bound and not yet handed to a call's media.
    pub(crate) media: HashMap<MediaPort, MediaSockets>,
    /// The STUN requests sent from these ports, whose answers are awaited.
    awaited: Vec<AwaitedAnswer>,
}

/// A STUN request sent from a media port.
#[derive(Debug)]
struct AwaitedAnswer {
    port: MediaPort,
    channel: Channel,
    /// The port's socket once more, which is watched meanwhile.
    socket: UdpSocket,
    to: SocketAddr,
    /// Until when the port is read for the answer; later packets are for the call.
    until: Instant,
}

/// How long an answer to a media port is waited for, at most.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// The longest answer that is read.
const LONGEST_ANSWER: usize = 1_500;

/// Something the core asked the host for.
#[derive(Debug)]
pub(crate) enum Request {
    /// A flow to an address, with the name before DNS resolution.
    Flow(RequestId, Transport, SocketAddr, String),
    /// A pair of media ports in a range, for a peer.
    Media { id: RequestId, toward: IpAddr, low: u16, high: u16 },
    /// Every socket anew.
    Rebind,
    /// A DNS lookup.
    Resolve(RequestId, Lookup),
}

/// An owned [`Query`].
#[derive(Debug)]
pub(crate) enum Lookup {
    Naptr(String),
    Srv(String),
    Addresses(String),
}

impl EndpointHost {
    pub(crate) fn new(time: Timebase) -> Self {
        let (outbox, requests, closing) = (Outbox::new(), Vec::new(), Vec::new());
        Self { time, outbox, requests, closing, media: HashMap::new(), awaited: Vec::new() }
    }

    /// Sends from a pair that no call's media has yet.
    fn ask(&mut self, port: MediaPort, channel: Channel, to: SocketAddr, bytes: &[u8]) {
        let Some(socket) = self.media.get(&port).map(|sockets| sockets.socket(channel)) else {
            return;
        };
        let _ = socket.send_to(bytes, to);
        let until = self.time.now() + ANSWERED_WITHIN;
        self.awaited.retain(|awaited| (awaited.port, awaited.channel) != (port, channel));
        // Without descriptors the answer is missed, as one that the network loses.
        let Ok(socket) = socket.try_clone().and_then(UdpSocket::from_std) else { return };
        self.awaited.push(AwaitedAnswer { port, channel, socket, to, until });
    }

    /// Whether any answer is awaited at media ports.
    pub(crate) fn awaits_answers(&mut self) -> bool {
        let (now, media) = (self.time.now(), &self.media);
        self.awaited.retain(|awaited| awaited.until > now && media.contains_key(&awaited.port));
        !self.awaited.is_empty()
    }

    /// The next packet for a media port at which an answer is awaited, and from whom.
    pub(crate) async fn answer(&mut self) -> (MediaPort, Channel, SocketAddr, Vec<u8>) {
        let awaited = &mut self.awaited;
        poll_fn(|cx| {
            for index in 0..awaited.len() {
                let Some(AwaitedAnswer { port, channel, socket, to, .. }) = awaited.get(index)
                else {
                    break;
                };
                let (port, channel, mut bytes) = (*port, *channel, vec![0; LONGEST_ANSWER]);
                let mut buffer = ReadBuf::new(&mut bytes);
                if let Poll::Ready(Ok(from)) = socket.poll_recv_from(cx, &mut buffer) {
                    let length = buffer.filled().len();
                    bytes.truncate(length);
                    if from == *to {
                        awaited.swap_remove(index);
                    }
                    return Poll::Ready((port, channel, from, bytes));
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl Clock for EndpointHost {
    fn now(&self) -> Instant {
        self.time.now()
    }

    fn wall(&self) -> WallTime {
        self.time.wall()
    }
}

impl Entropy for EndpointHost {
    fn fill(&mut self, bytes: &mut [u8]) {
        entropy::fill(bytes);
    }
}

impl Datagrams for EndpointHost {
    fn send(&mut self, outbound: Outbound<'_>) {
        match outbound {
            Outbound::Datagram { flow, to, bytes } => self.outbox.push(flow, to, bytes),
            Outbound::OpenFlow { id, transport, to, name } => {
                self.requests.push(Request::Flow(id, transport, to, name.to_owned()));
            }
            // Of many phones that say so at once, one has it done for all.
            Outbound::Rebind => {
                self.requests.retain(|request| !matches!(request, Request::Rebind));
                self.requests.insert(0, Request::Rebind);
            }
            Outbound::CloseFlow { flow } => self.closing.push(flow),
            Outbound::BindMedia { id, toward, low, high } => {
                self.requests.push(Request::Media { id, toward, low, high });
            }
            Outbound::Resolve { id, query } => {
                let lookup = match query {
                    Query::Naptr(name) => Lookup::Naptr(name.to_owned()),
                    Query::Srv(name) => Lookup::Srv(name.to_owned()),
                    Query::Addresses(name) => Lookup::Addresses(name.to_owned()),
                };
                self.requests.push(Request::Resolve(id, lookup));
            }
            // A call's media that has the sockets drops them when it is ordered to.
            Outbound::ReleaseMedia { port } => drop(self.media.remove(&port)),
            Outbound::Media { port, channel, to, bytes } => self.ask(port, channel, to, bytes),
            _ => {}
        }
    }
}
