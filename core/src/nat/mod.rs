//! What address to tell a peer.

/// A block of addresses in CIDR notation (the seed's `bind_network`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Network {}
