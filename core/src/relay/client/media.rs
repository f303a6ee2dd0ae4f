//! Pairs of media ports, as the client has them, and the contexts that stand for peers.

use core::net::{IpAddr, SocketAddr};

use super::Arrival;
use crate::host::{Channel, MediaPort, RequestId};
use crate::map::Map;
use crate::relay::capsule::Capsule;
use crate::relay::link::Link;
use crate::time::{Duration, Instant};

/// How many contexts a client gives a pair: a call has one for RTP and one for RTCP, and another two after each
/// change of the far end's address.
const CONTEXTS: usize = 8;
/// How many contexts are known at most; no relay has so many for one client.
const MOST_CONTEXTS: usize = 1_024;
/// After how long a peer that was refused is asked for again: a description may have named it since.
const AGAIN: Duration = Duration::from_millis(200);

/// The pairs and contexts of a client.
#[derive(Debug, Default)]
pub(super) struct Media {
    /// The request that waits for each, until it is bound.
    pairs: Map<u64, Option<RequestId>>,
    last_pair: u64,
    contexts: Map<u64, Peer>,
    by_peer: Map<Peer, Known>,
    /// The client's contexts are even.
    next_context: u64,
}

/// Somebody at the far end of one port of a pair.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Peer {
    pair: u64,
    channel: Channel,
    address: SocketAddr,
}

/// The context by which a peer is sent to.
#[derive(Clone, Copy, Debug)]
struct Known {
    context: u64,
    refused: Option<Instant>,
}

impl Media {
    pub(super) fn bind(&mut self, link: &mut Link, id: RequestId, toward: IpAddr) {
        self.last_pair += 1;
        self.pairs.insert(self.last_pair, Some(id));
        link.control(&Capsule::Bind { pair: self.last_pair, toward });
    }

    pub(super) fn bound(
        &mut self,
        pair: u64,
        rtp: SocketAddr,
        rtcp: SocketAddr,
    ) -> Option<Arrival<'static>> {
        let id = self.pairs.get_mut(&pair)?.take()?;
        Some(Arrival::MediaBound { id, port: MediaPort(pair), rtp, rtcp })
    }

    pub(super) fn unavailable(&mut self, pair: u64) -> Option<Arrival<'static>> {
        let id = self.pairs.remove(&pair)??;
        Some(Arrival::MediaUnavailable { id })
    }

    pub(super) fn release(&mut self, link: &mut Link, MediaPort(pair): MediaPort) {
        if self.pairs.remove(&pair).is_some() {
            self.contexts.retain(|_, peer| peer.pair != pair);
            self.by_peer.retain(|peer, _| peer.pair != pair);
            link.control(&Capsule::Release { pair });
        }
    }

    pub(super) fn send(
        &mut self,
        link: &mut Link,
        now: Instant,
        MediaPort(pair): MediaPort,
        channel: Channel,
        address: SocketAddr,
        bytes: &[u8],
    ) {
        if self.pairs.get(&pair) != Some(&None) {
            return;
        }
        let peer = Peer { pair, channel, address };
        let context = match self.by_peer.get(&peer) {
            Some(&Known { context, refused: None }) => context,
            Some(Known { refused: Some(at), .. }) if now.since(*at) < AGAIN => return,
            _ => self.assign(link, peer),
        };
        link.media(context, bytes);
    }

    fn assign(&mut self, link: &mut Link, peer: Peer) -> u64 {
        let ours = |context: &u64| context.is_multiple_of(2);
        let of_pair = self
            .contexts
            .iter()
            .filter(|(context, known)| ours(context) && known.pair == peer.pair);
        let of_pair: Vec<u64> = of_pair.map(|(context, _)| *context).collect();
        if let Some(oldest) = of_pair.first().filter(|_| of_pair.len() >= CONTEXTS) {
            self.unassigned(*oldest);
            link.control(&Capsule::Unassign { context: *oldest });
        }
        let context = self.next_context * 2;
        self.next_context += 1;
        self.contexts.insert(context, peer);
        self.by_peer.insert(peer, Known { context, refused: None });
        let Peer { pair, channel, address } = peer;
        link.control(&Capsule::Assign { context, pair, channel, peer: address });
        context
    }

    pub(super) fn refused(&mut self, context: u64, now: Instant) {
        let Some(peer) = self.contexts.remove(&context) else { return };
        if let Some(known) = self.by_peer.get_mut(&peer).filter(|known| known.context == context) {
            known.refused = Some(now);
        }
    }

    /// The relay gives a source that it has admitted a context.
    pub(super) fn assigned(
        &mut self,
        context: u64,
        pair: u64,
        channel: Channel,
        address: SocketAddr,
    ) {
        if !context.is_multiple_of(2) && self.contexts.len() < MOST_CONTEXTS {
            let peer = Peer { pair, channel, address };
            self.contexts.insert(context, peer);
            let known = Known { context, refused: None };
            match self.by_peer.get_mut(&peer) {
                Some(there) if there.refused.is_some() => *there = known,
                Some(_) => {}
                None => drop(self.by_peer.insert(peer, known)),
            }
        }
    }

    pub(super) fn unassigned(&mut self, context: u64) {
        let Some(peer) = self.contexts.remove(&context) else { return };
        if self.by_peer.get(&peer).is_some_and(|known| known.context == context) {
            self.by_peer.remove(&peer);
        }
    }

    pub(super) fn packet<'m>(&mut self, context: u64, bytes: &'m [u8]) -> Option<Arrival<'m>> {
        let Peer { pair, channel, address: from } = *self.contexts.get(&context)?;
        Some(Arrival::Media { port: MediaPort(pair), channel, from, bytes })
    }

    /// Every pair is gone with the session; each request for one has failed.
    pub(super) fn lose(&mut self) -> Vec<Arrival<'static>> {
        self.contexts.clear();
        self.by_peer.clear();
        let pairs = core::mem::take(&mut self.pairs);
        pairs.into_values().flatten().map(|id| Arrival::MediaUnavailable { id }).collect()
    }
}
