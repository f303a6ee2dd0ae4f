//! What a session sees: clock, randomness and its sockets.

use std::net::SocketAddr;

use offhook_core::host::{Channel, Clock, Datagrams, Entropy, Flow, MediaPort, Outbound, Query};
use offhook_core::time::{Instant, WallTime};
use tokio::net::UdpSocket;

use super::sockets::WatchedSockets;
use crate::host::connection::{Connections, Unsent};
use crate::host::endpoint_host::{Lookup, Request};
use crate::host::entropy;
use crate::host::timebase::Timebase;

/// The host of one session.
pub(super) struct RelayHost {
    pub(super) time: Timebase,
    /// Connections to SIP servers.
    pub(super) connections: Connections,
    /// Ports for media, and for SIP over UDP.
    pub(super) media: Vec<WatchedSockets>,
    /// What waits to be answered.
    pub(super) requests: Vec<Request>,
    /// Connections that took too little, and are closed.
    pub(super) closed: Vec<Flow>,
}

impl RelayHost {
    pub(super) fn new(time: Timebase) -> Self {
        let (connections, media) = (Connections::new(), Vec::new());
        Self { time, connections, media, requests: Vec::new(), closed: Vec::new() }
    }

    pub(super) fn socket(&self, port: MediaPort, channel: Channel) -> Option<&UdpSocket> {
        let sockets = self.media.iter().find(|it| it.sockets.port == port)?;
        Some(sockets.socket(channel))
    }
}

impl Clock for RelayHost {
    fn now(&self) -> Instant {
        self.time.now()
    }

    fn wall(&self) -> WallTime {
        self.time.wall()
    }
}

impl Entropy for RelayHost {
    fn fill(&mut self, bytes: &mut [u8]) {
        entropy::fill(bytes);
    }
}

impl Datagrams for RelayHost {
    fn send(&mut self, outbound: Outbound<'_>) {
        match outbound {
            Outbound::Media { port, channel, to, bytes } => {
                if let Some(socket) = self.socket(port, channel) {
                    send(socket, bytes, to);
                }
            }
            Outbound::Datagram { flow, bytes, .. } => {
                let full = self.connections.send(flow, bytes) == Err(Unsent::Full);
                self.closed.extend(full.then_some(flow));
            }
            Outbound::CloseFlow { flow } => self.connections.close(flow),
            Outbound::ReleaseMedia { port } => self.media.retain(|it| it.sockets.port != port),
            Outbound::OpenFlow { id, transport, to, name } => {
                self.requests.push(Request::Flow(id, transport, to, name.to_owned()));
            }
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
            // A session has nothing to bind anew.
            _ => {}
        }
    }
}

/// Sends one packet. One that finds no room is lost, as it would be on the network. An ICMP error of an earlier
/// packet, which this send reports, does not keep it from being sent.
fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) {
    if let Err(error) = socket.try_send_to(bytes, to)
        && error.kind() == std::io::ErrorKind::ConnectionRefused
    {
        let _ = socket.try_send_to(bytes, to);
    }
}
