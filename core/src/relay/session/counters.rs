//! What has passed through a session.

use core::ops::AddAssign;

/// Packets, bytes and what became of those that did not pass. Up is from the client, down to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Packets of media that were sent to peers.
    pub packets_up: u64,
    /// Their bytes.
    pub bytes_up: u64,
    /// Packets of media from peers that were passed on.
    pub packets_down: u64,
    /// Their bytes.
    pub bytes_down: u64,
    /// Bytes of signalling from the client.
    pub signalling_up: u64,
    /// Bytes of signalling to it.
    pub signalling_down: u64,
    /// Packets above the rate that is allowed.
    pub limited: u64,
    /// Packets of a source that nobody has described.
    pub foreign: u64,
    /// Packets that a slow client has missed.
    pub dropped: u64,
    /// Requests that were refused.
    pub refused: u64,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.packets_up += other.packets_up;
        self.bytes_up += other.bytes_up;
        self.packets_down += other.packets_down;
        self.bytes_down += other.bytes_down;
        self.signalling_up += other.signalling_up;
        self.signalling_down += other.signalling_down;
        self.limited += other.limited;
        self.foreign += other.foreign;
        self.dropped += other.dropped;
        self.refused += other.refused;
    }
}
