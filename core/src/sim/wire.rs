//! What was sent, for tests and traces.

use core::net::SocketAddr;
use std::collections::VecDeque;

use bytes::Bytes;

use crate::host::Transport;
use crate::time::{Instant, WallTime};
use crate::trace::Kind;

/// A packet that an endpoint sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WirePacket {
    /// When, on the simulation's clock.
    pub sent: Instant,
    /// The same on the wall clock.
    pub wall: WallTime,
    /// The sender.
    pub from: SocketAddr,
    /// The receiver.
    pub to: SocketAddr,
    /// How it travels; of a connection, `from` and `to` are where its two nodes listen.
    pub transport: Transport,
    /// What kind of socket it left.
    pub kind: Kind,
    /// The bytes.
    pub bytes: Bytes,
    /// What the network did with it.
    pub fate: Fate,
}

impl WirePacket {
    /// The bytes as text, for a SIP message; what is no UTF-8 is replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// What the network did with a packet. (Whether anybody listened there shows only on arrival.)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It arrives.
    Arrives(Instant),
    /// It arrives twice.
    ArrivesTwice(Instant, Instant),
    /// It is lost on the way.
    Lost,
    /// A partition is in its way.
    Partitioned,
    /// It cannot be sent: too large, or an address without a way to it.
    Unsendable,
}

/// Looks at each packet as it is sent.
pub(super) type Watcher = dyn FnMut(&WirePacket);

/// The last packets sent, up to a limit.
#[derive(Default)]
pub(super) struct Wire {
    limit: usize,
    packets: VecDeque<WirePacket>,
    pub(super) watcher: Option<Box<Watcher>>,
}

impl Wire {
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        let excess = self.packets.len().saturating_sub(limit);
        self.packets.drain(..excess);
    }

    pub(super) fn push(&mut self, packet: impl FnOnce() -> WirePacket) {
        if self.limit == 0 && self.watcher.is_none() {
            return;
        }
        let packet = packet();
        if let Some(watcher) = &mut self.watcher {
            watcher(&packet);
        }
        if self.limit == 0 {
            return;
        }
        if self.packets.len() >= self.limit {
            self.packets.pop_front();
        }
        self.packets.push_back(packet);
    }

    pub(super) fn packets(
        &self,
    ) -> impl DoubleEndedIterator<Item = &WirePacket> + ExactSizeIterator {
        self.packets.iter()
    }
}

impl core::fmt::Debug for Wire {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { limit, packets, .. } = self;
        f.debug_struct("Wire")
            .field("limit", limit)
            .field("packets", packets)
            .finish_non_exhaustive()
    }
}
