//! The core's [`Host`](offhook_core::host::Host) for signalling: takes note of what one crossing
//! sends and asks for.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use offhook_core::host::{Clock, Datagrams, Entropy, Flow, MediaPort, Outbound, RequestId};
use offhook_core::time::{Instant, WallTime};

use super::entropy;
use super::media::MediaSockets;
use super::outbox::Outbox;
use super::timebase::Timebase;

/// What an endpoint is shown during a crossing.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) time: Timebase,
    /// What waits to be sent.
    pub(crate) outbox: Outbox<Flow>,
    /// What waits to be answered.
    pub(crate) requests: Vec<Request>,
    /// Media ports that were bound and not yet handed to a call's media task.
    pub(crate) media: HashMap<MediaPort, MediaSockets>,
}

/// Something the core asked the host for.
#[derive(Debug)]
pub(crate) enum Request {
    /// A flow to an address.
    Flow(RequestId, SocketAddr),
    /// A pair of media ports in a range, for a peer.
    Media { id: RequestId, toward: IpAddr, low: u16, high: u16 },
    /// The addresses of a name.
    Resolve(RequestId, String),
}

impl Machine {
    pub(crate) fn new(time: Timebase) -> Self {
        Self { time, outbox: Outbox::new(), requests: Vec::new(), media: HashMap::new() }
    }
}

impl Clock for Machine {
    fn now(&self) -> Instant {
        self.time.now()
    }

    fn wall(&self) -> WallTime {
        self.time.wall()
    }
}

impl Entropy for Machine {
    fn fill(&mut self, bytes: &mut [u8]) {
        entropy::fill(bytes);
    }
}

impl Datagrams for Machine {
    fn send(&mut self, outbound: Outbound<'_>) {
        match outbound {
            Outbound::Datagram { flow, to, bytes } => self.outbox.push(flow, to, bytes),
            Outbound::OpenFlow { id, to, .. } => self.requests.push(Request::Flow(id, to)),
            Outbound::BindMedia { id, toward, low, high } => {
                self.requests.push(Request::Media { id, toward, low, high });
            }
            Outbound::Resolve { id, name } => {
                self.requests.push(Request::Resolve(id, name.to_owned()));
            }
            // A call's media task that has the sockets drops them when it is told to.
            Outbound::ReleaseMedia { port } => drop(self.media.remove(&port)),
            // The one UDP socket serves every peer, and media leaves from the call's own task.
            Outbound::CloseFlow { .. } | Outbound::Media { .. } => {}
            _ => {}
        }
    }
}
