//! Pairs of media ports, and whom a client hears and speaks to on them.

use core::net::{IpAddr, SocketAddr};

use super::{Capsule, Problem, Session, SessionEvent, Subject, Wait, rises};
use crate::host::{Channel, Host, MediaPort, Outbound};
use crate::map::Map;
use crate::relay::address::normalised;
use crate::relay::capsule::LARGEST_PACKET;
use crate::time::{Duration, Instant};

/// How many contexts a pair may have.
const CONTEXTS: usize = 16;
/// For how long after a client's first packet a source that nobody has described may be the peer (a peer behind a
/// NAT that describes its address within).
const LATCH: Duration = Duration::from_secs(10);

/// The pairs of a session and their contexts.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pairs: Map<u64, Pair>,
    by_port: Map<MediaPort, u64>,
    contexts: Map<u64, Context>,
    by_peer: Map<Context, u64>,
    last_pair: Option<u64>,
    last_context: Option<u64>,
    /// The relay's contexts are odd.
    next_context: u64,
}

#[derive(Debug, Default)]
struct Pair {
    port: Option<MediaPort>,
    contexts: usize,
    rtp: Way,
    rtcp: Way,
}

/// One port of a pair.
#[derive(Debug, Default)]
struct Way {
    /// When the client first sent something.
    began: Option<Instant>,
    /// Whether something has come from where a description says.
    answered: bool,
    /// The one source that was taken though no description says it.
    latched: Option<SocketAddr>,
}

/// What a context stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Context {
    pair: u64,
    channel: Channel,
    peer: SocketAddr,
}

impl Pairs {
    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Takes away a pair that was asked for and not bound.
    pub(super) fn forget(&mut self, pair: u64) -> bool {
        self.pairs.remove(&pair).is_some()
    }

    pub(super) fn unassign(&mut self, number: u64) {
        let Some(context) = self.contexts.remove(&number) else { return };
        if self.by_peer.get(&context) == Some(&number) {
            self.by_peer.remove(&context);
        }
        if let Some(pair) = self.pairs.get_mut(&context.pair) {
            pair.contexts = pair.contexts.saturating_sub(1);
        }
    }

    /// Gives a context a number; false when the pair has as many as it may.
    fn assign(&mut self, number: u64, context: Context) -> bool {
        let Some(pair) = self.pairs.get_mut(&context.pair) else { return false };
        if pair.contexts >= CONTEXTS {
            return false;
        }
        pair.contexts += 1;
        self.contexts.insert(number, context);
        self.by_peer.insert(context, number);
        true
    }

    fn way(&mut self, pair: u64, channel: Channel) -> Option<&mut Way> {
        let pair = self.pairs.get_mut(&pair)?;
        Some(match channel {
            Channel::Rtp => &mut pair.rtp,
            Channel::Rtcp => &mut pair.rtcp,
        })
    }
}

impl Session {
    pub(super) fn bind(
        &mut self,
        host: &mut dyn Host,
        pair: u64,
        toward: IpAddr,
    ) -> Result<(), Problem> {
        rises(&mut self.pairs.last_pair, pair)?;
        let problem = match self.admits_request(host) {
            false => Problem::Rate,
            true if self.pairs.len() as u64 >= self.allowance.pairs => Problem::Limit,
            true => {
                let id = self.wait(Wait::Pair(pair));
                self.pairs.pairs.insert(pair, Pair::default());
                let ((low, high), toward) = (self.policy.ports, normalised(toward));
                host.send(Outbound::BindMedia { id, toward, low, high });
                return Ok(());
            }
        };
        self.refuse(Subject::Pair, pair, problem, "", "");
        Ok(())
    }

    /// A pair is bound; false when nobody wants it any more.
    pub(super) fn bound(
        &mut self,
        number: u64,
        port: MediaPort,
        rtp: SocketAddr,
        rtcp: SocketAddr,
    ) -> bool {
        let Some(pair) = self.pairs.pairs.get_mut(&number) else { return false };
        pair.port = Some(port);
        self.pairs.by_port.insert(port, number);
        self.link.control(&Capsule::Bound { pair: number, rtp, rtcp });
        self.events.push_back(SessionEvent::Bound { rtp });
        true
    }

    pub(super) fn release(&mut self, host: &mut dyn Host, number: u64) {
        let Some(pair) = self.pairs.pairs.remove(&number) else { return };
        self.pairs.contexts.retain(|_, context| context.pair != number);
        self.pairs.by_peer.retain(|context, _| context.pair != number);
        if let Some(port) = pair.port {
            self.pairs.by_port.remove(&port);
            host.send(Outbound::ReleaseMedia { port });
        }
    }

    pub(super) fn release_pairs(&mut self, host: &mut dyn Host) {
        let numbers: Vec<u64> = self.pairs.pairs.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.release(host, number));
    }

    /// The client wants to send to a peer.
    pub(super) fn assign(
        &mut self,
        host: &mut dyn Host,
        number: u64,
        pair: u64,
        channel: Channel,
        peer: SocketAddr,
    ) -> Result<(), Problem> {
        if !number.is_multiple_of(2) {
            return Err(Problem::Malformed);
        }
        rises(&mut self.pairs.last_context, number)?;
        let judged = match self.admits_request(host) {
            false => Err(Problem::Rate),
            true => self.permit_peer(pair, channel, peer),
        };
        let assigned = judged.and_then(|peer| {
            match self.pairs.assign(number, Context { pair, channel, peer }) {
                true => Ok(()),
                false => Err(Problem::Limit),
            }
        });
        if let Err(problem) = assigned {
            self.refuse(Subject::Context, number, problem, "", &peer.to_string());
        }
        Ok(())
    }

    /// The address to send to, if media may go there.
    fn permit_peer(
        &mut self,
        pair: u64,
        channel: Channel,
        peer: SocketAddr,
    ) -> Result<SocketAddr, Problem> {
        let peer = self.policy.judge_media(peer)?;
        let latched = self.pairs.way(pair, channel).and_then(|way| way.latched) == Some(peer);
        let named = self.described.contains(peer) || self.policy.allows_media(peer.ip());
        match named || latched {
            true => Ok(peer),
            false => Err(Problem::PeerForbidden),
        }
    }

    /// The client sends a packet.
    pub(super) fn send_media(&mut self, host: &mut dyn Host, context: u64, bytes: &[u8]) {
        // It may have been refused while this was on its way.
        let Some(&Context { pair, channel, peer }) = self.pairs.contexts.get(&context) else {
            return;
        };
        let now = host.now();
        if !self.up.admits(bytes.len(), now) {
            self.counters.limited += 1;
            return;
        }
        if let Some(way) = self.pairs.way(pair, channel) {
            way.began.get_or_insert(now);
        }
        let Some(port) = self.pairs.pairs.get(&pair).and_then(|pair| pair.port) else { return };
        self.counters.packets_up += 1;
        self.counters.bytes_up += bytes.len() as u64;
        host.send(Outbound::Media { port, channel, to: peer, bytes });
    }

    /// A packet has come to a port.
    pub(super) fn media_came(
        &mut self,
        host: &dyn Host,
        port: MediaPort,
        channel: Channel,
        from: SocketAddr,
        bytes: &[u8],
    ) {
        let Some(&pair) = self.pairs.by_port.get(&port) else { return };
        let peer = SocketAddr::new(normalised(from.ip()), from.port());
        let context = Context { pair, channel, peer };
        let known = self.pairs.by_peer.get(&context).copied();
        let now = host.now();
        if known.is_none() && !self.admits_source(context, bytes, now) {
            self.counters.foreign += 1;
            return;
        }
        if bytes.len() > LARGEST_PACKET || !self.down.admits(bytes.len(), now) {
            self.counters.limited += 1;
            return;
        }
        if !self.link.is_open() {
            return;
        }
        let Some(number) = known.or_else(|| self.assign_source(context)) else {
            self.counters.foreign += 1;
            return;
        };
        if self.described.has_host(peer.ip())
            && let Some(way) = self.pairs.way(pair, channel)
        {
            way.answered = true;
        }
        self.counters.packets_down += 1;
        self.counters.bytes_down += bytes.len() as u64;
        self.link.media(number, bytes);
    }

    /// Whether the client is to hear that source: one that was described, from whichever of its ports; or, once a
    /// port and soon after the client has begun to send, one that speaks RTP while none of those does.
    fn admits_source(&mut self, context: Context, bytes: &[u8], now: Instant) -> bool {
        let Context { pair, channel, peer } = context;
        if self.policy.judge_media(peer).is_err() {
            return false;
        }
        if self.described.has_host(peer.ip()) || self.policy.allows_media(peer.ip()) {
            return true;
        }
        let described = !self.described.is_empty();
        let Some(way) = self.pairs.way(pair, channel) else { return false };
        if way.latched == Some(peer) {
            return true;
        }
        let young = way.began.is_some_and(|began| now.since(began) <= LATCH);
        if !described || way.answered || way.latched.is_some() || !young || !is_rtp(bytes) {
            return false;
        }
        way.latched = Some(peer);
        true
    }

    fn assign_source(&mut self, context: Context) -> Option<u64> {
        let number = self.pairs.next_context * 2 + 1;
        if !self.pairs.assign(number, context) {
            return None;
        }
        self.pairs.next_context += 1;
        let Context { pair, channel, peer } = context;
        self.link.control(&Capsule::Assign { context: number, pair, channel, peer });
        Some(number)
    }
}

/// Whether it looks like RTP or RTCP: version 2 (RFC 3550 §5.1), and as long as its shortest.
fn is_rtp(bytes: &[u8]) -> bool {
    bytes.len() >= 8 && bytes.first().is_some_and(|first| first >> 6 == 2)
}
