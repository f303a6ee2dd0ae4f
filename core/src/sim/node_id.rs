//! Names of nodes.

use core::fmt;
use core::marker::PhantomData;
use core::net::{IpAddr, SocketAddr};

/// Names a node, remembers what type its endpoint has and where it is.
pub struct NodeId<E> {
    pub(super) index: usize,
    pub(super) address: SocketAddr,
    pub(super) endpoint: PhantomData<fn() -> E>,
}

impl<E> NodeId<E> {
    /// The address of the node's SIP socket.
    pub fn address(self) -> SocketAddr {
        self.address
    }

    /// The address of the node's host.
    pub fn ip(self) -> IpAddr {
        self.address.ip()
    }

    /// The node without the type of its endpoint: for what is done to any node alike, as
    /// [`kill`](super::Simulation::kill). It does not lead to the endpoint.
    pub fn untyped(self) -> NodeId<()> {
        NodeId { index: self.index, address: self.address, endpoint: PhantomData }
    }
}

impl<E> Clone for NodeId<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for NodeId<E> {}

impl<E> PartialEq for NodeId<E> {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl<E> Eq for NodeId<E> {}

impl<E> fmt::Debug for NodeId<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} at {}", self.index, self.address)
    }
}

impl<E> From<NodeId<E>> for IpAddr {
    fn from(id: NodeId<E>) -> Self {
        id.ip()
    }
}
