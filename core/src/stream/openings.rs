//! The openings that are under way, and who waits for each.

use core::net::SocketAddr;

use crate::host::{RequestId, Transport};
use crate::map::Map;

/// How many openings are waited for at once. Beyond it the oldest is forgotten: who waits for it has a
/// timer.
const MAX_OPENINGS: usize = 4_096;

/// What a flow is opened as. A connection is shared by those who name the same (RFC 5923 §5).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Destination {
    pub(crate) transport: Transport,
    pub(crate) to: SocketAddr,
    /// The domain or address that was asked for before it was resolved: on a secure transport the
    /// certificate has to name it (RFC 5922 §7.2).
    pub(crate) name: String,
}

impl Destination {
    pub(crate) fn new(transport: Transport, to: SocketAddr, name: &str) -> Self {
        Self { transport, to, name: name.to_owned() }
    }

    /// Whether one flow leads to both. A UDP socket leads to every port of a host.
    fn is_shared_with(&self, other: &Self) -> bool {
        match (self.transport, other.transport) {
            (Transport::Udp, Transport::Udp) => self.to.ip() == other.to.ip(),
            _ => self == other,
        }
    }
}

/// A flow that the host was asked for.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) destination: Destination,
    /// The requests that wait for it, in the order in which they came.
    pub(crate) waiters: Vec<RequestId>,
}

/// All openings that are under way.
#[derive(Debug, Default)]
pub(super) struct Openings {
    /// Each under the request that was sent to the host: that of the first waiter.
    under_way: Map<RequestId, Opening>,
}

impl Openings {
    /// Waits for an opening to the same destination; false when there is none.
    pub(super) fn join(&mut self, id: RequestId, destination: &Destination) -> bool {
        let mut openings = self.under_way.values_mut();
        let opening = openings.find(|it| it.destination.is_shared_with(destination));
        opening.is_some_and(|opening| {
            opening.waiters.push(id);
            true
        })
    }

    /// Notes what the host is asked for.
    pub(super) fn begin(&mut self, id: RequestId, destination: Destination) {
        if self.under_way.len() >= MAX_OPENINGS {
            self.under_way.pop_first();
        }
        self.under_way.insert(id, Opening { destination, waiters: vec![id] });
    }

    /// What the host was asked for.
    pub(super) fn destination(&self, id: RequestId) -> Option<&Destination> {
        self.under_way.get(&id).map(|opening| &opening.destination)
    }

    /// Takes out an opening that has ended.
    pub(super) fn end(&mut self, id: RequestId) -> Option<Opening> {
        self.under_way.remove(&id)
    }

    /// Requests wait no longer. An opening that nobody waits for is forgotten.
    pub(super) fn forget_waiters(&mut self, gone: impl Fn(RequestId) -> bool) {
        self.under_way.retain(|_, opening| {
            opening.waiters.retain(|id| !gone(*id));
            !opening.waiters.is_empty()
        });
    }

    /// Forgets all of them; who has waited for them.
    pub(super) fn take_waiters(&mut self) -> Vec<RequestId> {
        let openings = core::mem::take(&mut self.under_way);
        openings.into_values().flat_map(|opening| opening.waiters).collect()
    }
}
