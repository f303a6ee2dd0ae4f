//! What the layer reports to its user.

use core::net::SocketAddr;

use super::FailureCause;
use crate::host::Flow;
use crate::sip::Message;
use crate::slab::Slot;

/// Names a request that was sent; never used again for another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub(super) Slot);

/// Names a request that was received; never used again for another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServerId(pub(super) Slot);

/// A message that is news to the user.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Received {
    /// A request other than ACK: answer it with [`Layer::respond`](super::Layer::respond).
    Request {
        /// Its transaction.
        id: ServerId,
        /// The request.
        message: Message,
        /// The flow it came on.
        flow: Flow,
        /// Where it came from.
        from: SocketAddr,
    },
    /// The ACK of a 2xx, or one that belongs to nothing.
    Ack {
        /// The ACK.
        message: Message,
        /// The flow it came on.
        flow: Flow,
        /// Where it came from.
        from: SocketAddr,
    },
    /// A response to a request of ours.
    Response {
        /// The request's transaction.
        id: ClientId,
        /// The response.
        message: Message,
    },
    /// A response to no request that we know: to be dropped (RFC 6026 §7.2).
    StrayResponse {
        /// The response.
        message: Message,
        /// Where it came from.
        from: SocketAddr,
    },
}

/// A transaction that failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// A request of ours: there will be no more responses.
    ClientFailed {
        /// Its transaction, which is over.
        id: ClientId,
        /// Why.
        cause: FailureCause,
    },
    /// A request that we received.
    ServerFailed {
        /// Its transaction: over after [`FailureCause::Timeout`], else as it was.
        id: ServerId,
        /// Why.
        cause: FailureCause,
    },
}
