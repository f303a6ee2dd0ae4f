//! What the exchange can send on: the ways it opened, and the connections that are up.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use super::MAX_FLOWS;
use super::leg::{Leg, Link};
use crate::host::{Flow, Host, Transport};
use crate::stream::{StreamLimits, Streams};

/// All open ways.
#[derive(Debug)]
pub(super) struct Links {
    /// The connections, and what is framed on them.
    pub(super) streams: Streams,
    ways: BTreeMap<Key, (Flow, SocketAddr)>,
    /// Who is at the other end of each connection, and what it was opened for if it is ours.
    peers: BTreeMap<Flow, (SocketAddr, Option<Key>)>,
    /// As whom the peers of secure connections know us: what our certificate has to name when they
    /// connect again.
    names: BTreeMap<Flow, String>,
}

/// What makes two ways the same: connections with TLS are for the name that was asked for (RFC 5922
/// §7.2), and a UDP socket is for every port of a host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    pub(super) transport: Transport,
    pub(super) to: SocketAddr,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(transport: Transport, to: SocketAddr, name: String) -> Self {
        match transport {
            Transport::Udp => Self::udp(to.ip()),
            _ => Self { transport, to, name },
        }
    }

    pub(super) fn udp(ip: IpAddr) -> Self {
        Self { transport: Transport::Udp, to: SocketAddr::new(ip, 0), name: String::new() }
    }
}

impl Links {
    pub(super) fn new(limits: StreamLimits) -> Self {
        let (ways, peers, names) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { streams: Streams::new(limits), ways, peers, names }
    }

    /// Notes a way that was opened.
    pub(super) fn opened(&mut self, host: &mut dyn Host, key: Key, flow: Flow, local: SocketAddr) {
        if flow.transport.is_reliable() {
            self.streams.opened(host, flow, key.to, local);
            self.peers.insert(flow, (key.to, Some(key.clone())));
        } else if self.ways.len() >= MAX_FLOWS {
            // They are asked for again; those of connections end with these.
            self.ways.retain(|key, _| key.transport.is_reliable());
        }
        self.ways.insert(key, (flow, local));
    }

    /// Notes a connection that a peer has opened; false when there is no room for it.
    pub(super) fn accepted(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> bool {
        self.streams.accepted(host, flow, peer, local);
        let room = self.streams.contains(flow);
        if room {
            self.peers.insert(flow, (peer, None));
        }
        room
    }

    /// The next connection that is over.
    pub(super) fn next_closed(&mut self) -> Option<Link> {
        loop {
            let flow = self.streams.next_closed()?;
            self.names.remove(&flow);
            let Some((peer, key)) = self.peers.remove(&flow) else { continue };
            if let Some(key) = key
                && self.ways.get(&key).is_some_and(|(of, _)| *of == flow)
            {
                self.ways.remove(&key);
            }
            return Some(Link { flow, peer });
        }
    }

    /// Closes what has taken too long, and what has long been silent unless somebody needs it.
    pub(super) fn handle_deadline(&mut self, host: &mut dyn Host, in_use: impl Fn(Link) -> bool) {
        let Self { streams, peers, .. } = self;
        streams.handle_deadline(host, |flow| {
            peers.get(&flow).is_some_and(|&(peer, _)| in_use(Link { flow, peer }))
        });
    }

    /// The way to an address, if there is one.
    pub(super) fn way(&self, key: &Key, to: SocketAddr) -> Option<Leg> {
        let &(flow, local) = self.ways.get(key)?;
        let bound = flow.transport.is_reliable();
        Some(Leg { link: Link { flow, peer: to }, local, bound })
    }

    /// The side that a link is; `None` when the connection is gone, and when it is not known yet
    /// who we are for a peer on UDP.
    pub(super) fn leg(&self, link: Link, bound: bool) -> Option<Leg> {
        let local = match link.flow.transport {
            Transport::Udp => self.ways.get(&Key::udp(link.peer.ip()))?.1,
            _ => self.streams.addresses(link.flow)?.1,
        };
        Some(Leg { link, local, bound })
    }

    /// Notes as whom the peer of a secure connection knows us.
    pub(super) fn note_name(&mut self, flow: Flow, name: &str) {
        let known = self.names.get(&flow).is_some_and(|known| known == name);
        if flow.transport.is_secure() && !known && self.peers.contains_key(&flow) {
            self.names.insert(flow, name.to_owned());
        }
    }

    /// As whom the peer of a secure connection knows us, if it is by a name.
    pub(super) fn name(&self, flow: Flow) -> Option<&str> {
        self.names.get(&flow).map(String::as_str)
    }

    /// Whether anything can be sent on a link.
    pub(super) fn is_alive(&self, link: Link) -> bool {
        !link.flow.transport.is_reliable() || self.streams.contains(link.flow)
    }
}
