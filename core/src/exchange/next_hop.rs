//! The next hop (RFC 3261 §16.6 step 7, RFC 3263): addresses of names and flows, both
//! asked of the host.

use core::net::{IpAddr, SocketAddr};

use super::context::{BranchOutcome, BranchState};
use super::route::Plan;
use super::running::Running;
use super::side::{PeerFlow, Side};
use super::target::{LargeRequests, Target};
use super::{ExchangeEvent, HOST_TIMEOUT, MAX_FLOWS, MAX_WAITING};
use crate::certificate::Identities;
use crate::host::{Flow, FlowFailure, Host, Outbound, Query, RequestId, Transport};
use crate::locate::{Hop, is_many};
use crate::sip::Message;
use crate::slab::Slot;
use crate::stream::{Destination, Opening};

/// What waits for an answer of the host, and where it is to go then.
#[derive(Debug)]
pub(super) struct Waiting {
    what: Pending,
    to: Place,
}

/// What is to be sent.
#[derive(Debug)]
pub(super) enum Pending {
    /// The request of a branch.
    Branch(Slot, usize),
    /// All branches of a request, as soon as it is known who we are where it came from.
    Start(Slot),
    /// An ACK, which has no transaction.
    Ack(Box<(Message, SocketAddr, Plan)>),
}

#[derive(Debug)]
enum Place {
    Address(SocketAddr),
    /// A flow on UDP, of which our own address is not known.
    PeerFlow(PeerFlow),
    /// The address comes with the answer.
    Name(Hop),
}

impl Running {
    /// Sends something to a target: along its flow while that is up, else to the next hop.
    pub(super) fn send_to(&mut self, host: &mut dyn Host, what: Pending, target: &Target) {
        if let Some(along) = target.along.filter(|along| self.is_alive(*along)) {
            return self.dispatch_along(host, what, along);
        }
        let Some(hop) = target.next_hop() else { return self.give_up(what, 480) };
        match hop.address() {
            Some(to) => {
                self.find_flow(host, what, hop.usual_transport(), to, &to.ip().to_string());
            }
            None => {
                let name = hop.host().to_owned();
                let id = self.wait(host, Waiting { what, to: Place::Name(hop) });
                host.send(Outbound::Resolve { id, query: Query::Addresses(&name) });
            }
        }
    }

    /// Begins with a request of which it is to be known who we are where it came from.
    pub(super) fn find_source(&mut self, host: &mut dyn Host, slot: Slot, along: PeerFlow) {
        self.dispatch_along(host, Pending::Start(slot), along);
    }

    fn dispatch_along(&mut self, host: &mut dyn Host, what: Pending, along: PeerFlow) {
        if let Some(side) = self.side(along, true) {
            return self.dispatch(host, what, side);
        }
        let id = self.wait(host, Waiting { what, to: Place::PeerFlow(along) });
        self.connections.open(host, id, Destination::new(Transport::Udp, along.peer, ""));
    }

    fn find_flow(
        &mut self,
        host: &mut dyn Host,
        what: Pending,
        transport: Transport,
        to: SocketAddr,
        name: &str,
    ) {
        // A name may turn out to be ours, which §16.3 step 4 could not see.
        if self.domain.is_own_address(to) {
            return self.give_up(what, 482);
        }
        // An address is the same peer by every name, unless a certificate has to prove it.
        let name = if transport.is_secure() { name } else { "" };
        let destination = Destination::new(transport, to, name);
        if let Some(side) = self.open_side(&destination) {
            return self.dispatch(host, what, side);
        }
        let id = self.wait(host, Waiting { what, to: Place::Address(to) });
        self.connections.open(host, id, destination);
    }

    /// The side that leads to a destination, if a flow to it is open.
    fn open_side(&self, destination: &Destination) -> Option<Side> {
        let Destination { transport, to: peer, .. } = *destination;
        let flow = match transport {
            Transport::Udp => self.sockets.get(&peer.ip())?.0,
            _ => self.connections.find(destination)?,
        };
        self.side(PeerFlow { flow, peer }, transport.is_reliable())
    }

    /// The side that a flow is; `None` when the connection is gone, and when it is not known yet
    /// who we are for a peer on UDP.
    pub(super) fn side(&self, along: PeerFlow, bound: bool) -> Option<Side> {
        let local = match along.flow.transport {
            Transport::Udp => self.sockets.get(&along.peer.ip())?.1,
            _ => self.connections.addresses(along.flow)?.1,
        };
        Some(Side { along, local, bound })
    }

    /// Whether anything can be sent on a flow.
    pub(super) fn is_alive(&self, along: PeerFlow) -> bool {
        !along.flow.transport.is_reliable() || self.connections.contains(along.flow)
    }

    /// Sends a request that is too large for a datagram by TCP (RFC 3261 §18.1.1).
    pub(super) fn find_stream(
        &mut self,
        host: &mut dyn Host,
        slot: Slot,
        branch: usize,
        to: SocketAddr,
    ) {
        self.set_large(slot, branch, LargeRequests::Stream);
        self.find_flow(host, Pending::Branch(slot, branch), Transport::Tcp, to, "");
    }

    fn set_large(&mut self, slot: Slot, branch: usize, large: LargeRequests) {
        if let Some(branch) = self.branch(slot, branch) {
            branch.target.large = large;
        }
    }

    /// Whether what could not be sent was to go by TCP for its size alone: then it goes as a datagram after
    /// all (RFC 3261 §18.1.1).
    fn shrinks(&mut self, what: &Pending) -> bool {
        let Pending::Branch(slot, index) = *what else { return false };
        let large = self.branch(slot, index).map(|branch| branch.target.large);
        let shrinks = large == Some(LargeRequests::Stream);
        if shrinks {
            self.set_large(slot, index, LargeRequests::Datagram);
        }
        shrinks
    }

    /// Keeps something until the host answers.
    fn wait(&mut self, host: &mut dyn Host, waiting: Waiting) -> RequestId {
        // What is not answered in all this time never will be.
        if self.waiting.len() >= MAX_WAITING
            && let Some(id) = self.waiting.iter().next().map(|(id, _)| *id)
        {
            self.fail_waiting(host, id);
        }
        let id = self.next_id();
        match waiting.what {
            Pending::Branch(slot, branch) => self.mark_waiting(host, slot, branch, id),
            Pending::Start(slot) => {
                let count = self.contexts.get(slot).map_or(0, |context| context.branches.len());
                (0..count).for_each(|branch| self.mark_waiting(host, slot, branch, id));
            }
            Pending::Ack(_) => {}
        }
        self.waiting.insert(id, waiting);
        id
    }

    fn mark_waiting(&mut self, host: &mut dyn Host, slot: Slot, branch: usize, id: RequestId) {
        self.set_state(slot, branch, BranchState::Waiting(id));
        self.set_timer(host, slot, branch, Some(HOST_TIMEOUT));
    }

    fn next_id(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    // --- the host's answers ---

    pub(super) fn flow_opened(
        &mut self,
        host: &mut dyn Host,
        id: RequestId,
        flow: Flow,
        local: SocketAddr,
        certificate: Option<&Identities>,
    ) {
        self.domain.learn(local);
        if let Some(why) = self.connections.distrust(id, flow, certificate) {
            host.send(Outbound::CloseFlow { flow });
            return self.flow_failed(host, id, FlowFailure::Untrusted(&why));
        }
        let opening = self.connections.opened(host, id, flow, local, certificate);
        let Some(Opening { destination, waiters }) = opening else { return };
        let bound = flow.transport.is_reliable();
        if !bound {
            self.note_socket(destination.to.ip(), flow, local);
        } else if !waiters.iter().any(|id| self.waiting.contains_key(id)) {
            // Everything that waited for it was given up.
            return self.connections.close(host, flow);
        }
        for id in waiters {
            let Some(Waiting { what, to }) = self.waiting.remove(&id) else { continue };
            let slot = what.slot();
            let side = match to {
                Place::Address(peer) => Side { along: PeerFlow { flow, peer }, local, bound },
                Place::PeerFlow(along) => Side { along, local, bound: true },
                Place::Name(_) => continue,
            };
            self.dispatch(host, what, side);
            slot.into_iter().for_each(|slot| self.conclude(host, slot));
        }
    }

    pub(super) fn flow_failed(
        &mut self,
        host: &mut dyn Host,
        id: RequestId,
        failure: FlowFailure<'_>,
    ) {
        let Some(Opening { destination, waiters }) = self.connections.failed(id) else { return };
        let problem = match failure {
            FlowFailure::Unreachable(why) | FlowFailure::Untrusted(why) => why,
            FlowFailure::Unsupported => "there is no way to speak that here",
        };
        let Destination { transport, to: peer, .. } = destination;
        self.emit(ExchangeEvent::Unreachable { transport, peer, problem: problem.to_owned() });
        waiters.into_iter().for_each(|id| self.fail_waiting(host, id));
    }

    /// Notes the socket that leads to a host over UDP, and who we are there.
    fn note_socket(&mut self, peer: IpAddr, flow: Flow, local: SocketAddr) {
        if self.sockets.len() >= MAX_FLOWS {
            // They are asked for again.
            self.sockets.clear();
        }
        self.sockets.insert(peer, (flow, local));
    }

    pub(super) fn resolved(&mut self, host: &mut dyn Host, id: RequestId, addresses: &[IpAddr]) {
        let Some(Waiting { what, to }) = self.waiting.remove(&id) else { return };
        let slot = what.slot();
        match (addresses.iter().find(|ip| !is_many(**ip)), to) {
            (Some(ip), Place::Name(hop)) => {
                let transport = hop.usual_transport();
                let to = SocketAddr::new(*ip, hop.port().unwrap_or(transport.default_port()));
                self.find_flow(host, what, transport, to, hop.host());
            }
            _ => self.give_up(what, 480),
        }
        slot.into_iter().for_each(|slot| self.conclude(host, slot));
    }

    pub(super) fn fail_waiting(&mut self, host: &mut dyn Host, id: RequestId) {
        let Some(Waiting { what, to }) = self.waiting.remove(&id) else { return };
        let slot = what.slot();
        match to {
            Place::Address(to) if self.shrinks(&what) => {
                self.find_flow(host, what, Transport::Udp, to, "");
            }
            _ => self.give_up(what, 480),
        }
        slot.into_iter().for_each(|slot| self.conclude(host, slot));
    }

    pub(super) fn give_up(&mut self, what: Pending, status: u16) {
        let branches = match what {
            Pending::Branch(slot, branch) => Some((slot, branch..branch + 1)),
            Pending::Start(slot) => {
                self.contexts.get(slot).map(|context| (slot, 0..context.branches.len()))
            }
            Pending::Ack(_) => None,
        };
        let Some((slot, branches)) = branches else { return };
        for branch in branches {
            self.set_state(slot, branch, BranchState::Done(BranchOutcome::Failed(status)));
            if let Some(timer) = self.take_timer(slot, branch) {
                self.timers.cancel(timer);
            }
        }
    }
}

impl Pending {
    fn slot(&self) -> Option<Slot> {
        match self {
            Self::Branch(slot, _) | Self::Start(slot) => Some(*slot),
            Self::Ack(_) => None,
        }
    }
}
