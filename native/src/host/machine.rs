//! The core's [`Host`](offhook_core::host::Host) for signalling: takes note of what one crossing
//! sends and asks for.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use offhook_core::host::{
    Clock, Datagrams, Entropy, Flow, MediaPort, Outbound, Query, RequestId, Transport,
};
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
    /// Connections to be closed once what was sent has been passed on.
    pub(crate) closing: Vec<Flow>,
    /// Media ports that were bound and not yet handed to a call's media task.
    pub(crate) media: HashMap<MediaPort, MediaSockets>,
}

/// Something the core asked the host for.
#[derive(Debug)]
pub(crate) enum Request {
    /// A flow to an address, which was asked for by that name.
    Flow(RequestId, Transport, SocketAddr, String),
    /// A pair of media ports in a range, for a peer.
    Media { id: RequestId, toward: IpAddr, low: u16, high: u16 },
    /// Every socket anew.
    Rebind,
    /// What the domain name system knows.
    Resolve(RequestId, Lookup),
}

/// What to look up: a [`Query`] that is kept.
#[derive(Debug)]
pub(crate) enum Lookup {
    Naptr(String),
    Srv(String),
    Addresses(String),
}

impl Machine {
    pub(crate) fn new(time: Timebase) -> Self {
        let (outbox, requests, closing) = (Outbox::new(), Vec::new(), Vec::new());
        Self { time, outbox, requests, closing, media: HashMap::new() }
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
            Outbound::OpenFlow { id, transport, to, name } => {
                self.requests.push(Request::Flow(id, transport, to, name.to_owned()));
            }
            Outbound::Rebind => self.requests.push(Request::Rebind),
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
            // A call's media task that has the sockets drops them when it is told to.
            Outbound::ReleaseMedia { port } => drop(self.media.remove(&port)),
            // Media leaves from the call's own task.
            _ => {}
        }
    }
}
