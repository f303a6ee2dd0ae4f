//! Who listens where.

use core::net::{IpAddr, SocketAddr};

use crate::host::{Channel, Flow, MediaPort};
use crate::map::Map;

/// What is bound at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Socket {
    Signalling(Flow),
    Media(MediaPort, Channel),
}

/// A bound socket and the number of the node that holds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    pub(super) node: usize,
    pub(super) socket: Socket,
}

/// The sockets of every host, and the media pairs among them.
#[derive(Debug, Default)]
pub(super) struct Ports {
    bound: Map<SocketAddr, Binding>,
    pairs: Map<MediaPort, SocketAddr>,
    /// Where the search for the next pair of a host begins: a pair is not used again at once, so
    /// that what is still on its way to the old owner does not reach a new one.
    next: Map<IpAddr, u16>,
    last_pair: u64,
}

impl Ports {
    pub(super) fn listener(&self, at: SocketAddr) -> Option<Binding> {
        self.bound.get(&at).copied()
    }

    pub(super) fn is_free(&self, at: SocketAddr) -> bool {
        !self.bound.contains_key(&at)
    }

    pub(super) fn bind(&mut self, at: SocketAddr, node: usize, socket: Socket) {
        self.bound.insert(at, Binding { node, socket });
    }

    /// Binds an even port and the odd one after it, both in `low..=high`; tells the even one.
    pub(super) fn bind_pair(
        &mut self,
        node: usize,
        ip: IpAddr,
        low: u16,
        high: u16,
    ) -> Option<(MediaPort, SocketAddr)> {
        let first = low.checked_next_multiple_of(2)?;
        let last = high.checked_sub(1)? & !1;
        if first > last {
            return None;
        }
        let start = self.next.get(&ip).copied().filter(|next| (first..=last).contains(next));
        let start = start.unwrap_or(first);
        let even = (start..=last).step_by(2).chain((first..start).step_by(2)).find(|&even| {
            self.is_free(SocketAddr::new(ip, even)) && self.is_free(SocketAddr::new(ip, even + 1))
        })?;
        self.next.insert(ip, even.wrapping_add(2));
        self.last_pair += 1;
        let pair = MediaPort(self.last_pair);
        let rtp = SocketAddr::new(ip, even);
        self.bind(rtp, node, Socket::Media(pair, Channel::Rtp));
        self.bind(SocketAddr::new(ip, even + 1), node, Socket::Media(pair, Channel::Rtcp));
        self.pairs.insert(pair, rtp);
        Some((pair, rtp))
    }

    /// The address of one socket of a pair, if `node` holds it.
    pub(super) fn pair(
        &self,
        node: usize,
        pair: MediaPort,
        channel: Channel,
    ) -> Option<SocketAddr> {
        let rtp = *self.pairs.get(&pair)?;
        let held = self.listener(rtp).is_some_and(|binding| binding.node == node);
        held.then(|| match channel {
            Channel::Rtp => rtp,
            Channel::Rtcp => SocketAddr::new(rtp.ip(), rtp.port() + 1),
        })
    }

    pub(super) fn release_pair(&mut self, node: usize, pair: MediaPort) {
        let rtp = self.pair(node, pair, Channel::Rtp);
        let rtcp = self.pair(node, pair, Channel::Rtcp);
        for at in [rtp, rtcp].into_iter().flatten() {
            self.bound.remove(&at);
            self.pairs.remove(&pair);
        }
    }

    /// Takes everything from a node that is no more.
    pub(super) fn release_all(&mut self, node: usize) {
        self.bound.retain(|_, binding| binding.node != node);
        let bound = &self.bound;
        self.pairs.retain(|_, rtp| bound.contains_key(rtp));
    }

    /// How many media pairs a node holds.
    pub(super) fn pairs_of(&self, node: usize) -> usize {
        let held = |rtp: &&SocketAddr| self.listener(**rtp).is_some_and(|b| b.node == node);
        self.pairs.values().filter(held).count()
    }
}
