//! How many connections there may be, and how long things may take.

use crate::time::Duration;

/// The bounds of [`Connections`](super::Connections).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ConnectionLimits {
    /// How many connections of others there may be. Beyond it the one goes that has waited longest
    /// for its first message, or else the newcomer.
    pub(crate) accepted: usize,
    /// How many of them there may be from one source: an address, of IPv6 a network of 64 bits. Beyond it
    /// the same goes for its own.
    pub(crate) per_source: usize,
    /// How many connections of ours there may be. Beyond it the one goes that has had no message for
    /// longest, if that is longer than [`message`](Self::message) and it is not in use: a ping is no
    /// message, or its far end could keep it for ever.
    pub(crate) opened: usize,
    /// How long a message may take from its first byte to its last, and a connection of another to
    /// its first message: 64*T1.
    pub(crate) message: Duration,
    /// After how long without a byte a connection is closed that is not in use.
    pub(crate) idle: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            accepted: 1_024,
            per_source: 256,
            opened: 1_024,
            message: Duration::from_secs(32),
            idle: Duration::from_secs(15 * 60),
        }
    }
}
