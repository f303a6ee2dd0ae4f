//! The way to the next hop (RFC 3261 §16.6 step 7, RFC 3263): addresses of names and flows, both
//! asked of the host.

use core::net::{IpAddr, SocketAddr};

use super::context::{BranchState, Outcome};
use super::leg::{Leg, Link};
use super::links::Key;
use super::route::Plan;
use super::running::Running;
use super::target::{Large, Target};
use super::{ExchangeEvent, HOST_TIMEOUT, MAX_WAITING};
use crate::certificate::{Identities, distrust};
use crate::host::{Flow, FlowFailure, Host, Outbound, Query, RequestId, Transport};
use crate::locate::{Hop, is_many};
use crate::sip::Message;
use crate::slab::Slot;

/// What waits for an answer of the host, and where it is to go then.
#[derive(Debug)]
pub(super) struct Waiting {
    what: Parcel,
    to: Destination,
}

/// What is to be sent.
#[derive(Debug)]
pub(super) enum Parcel {
    /// The request of a branch.
    Branch(Slot, usize),
    /// All branches of a request, as soon as it is known who we are where it came from.
    Start(Slot),
    /// An ACK, which has no transaction.
    Ack(Box<(Message, SocketAddr, Plan)>),
}

#[derive(Debug)]
enum Destination {
    Address(SocketAddr, Key),
    /// A link on UDP, of which our own address is not known.
    Link(Link),
    /// The address comes with the answer.
    Name(Hop),
}

impl Running {
    /// Sends something to a target: along its link while that is up, else to the next hop.
    pub(super) fn send_to(&mut self, host: &mut dyn Host, what: Parcel, target: &Target) {
        if let Some(link) = target.link.filter(|link| self.links.is_alive(*link)) {
            return self.find_link(host, what, link);
        }
        let Some(hop) = target.next_hop() else { return self.give_up(what, 480) };
        match hop.address() {
            Some(to) => {
                self.find_flow(host, what, hop.usual_transport(), to, to.ip().to_string());
            }
            None => {
                let name = hop.host().to_owned();
                let id = self.wait(host, Waiting { what, to: Destination::Name(hop) });
                host.send(Outbound::Resolve { id, query: Query::Addresses(&name) });
            }
        }
    }

    /// Begins with a request of which it is to be known who we are where it came from.
    pub(super) fn find_source(&mut self, host: &mut dyn Host, slot: Slot, link: Link) {
        self.find_link(host, Parcel::Start(slot), link);
    }

    fn find_link(&mut self, host: &mut dyn Host, what: Parcel, link: Link) {
        if let Some(leg) = self.links.leg(link, true) {
            return self.dispatch(host, what, leg);
        }
        let to = Destination::Link(link);
        self.wait(host, Waiting { what, to });
        self.ask_flow(host, Key::udp(link.peer.ip()), link.peer);
    }

    fn find_flow(
        &mut self,
        host: &mut dyn Host,
        what: Parcel,
        transport: Transport,
        to: SocketAddr,
        name: String,
    ) {
        // A name may turn out to be ours, which §16.3 step 4 could not see.
        if self.domain.is_own_address(to) {
            return self.give_up(what, 482);
        }
        let name = if transport.is_secure() { name } else { String::new() };
        let key = Key::new(transport, to, name);
        if let Some(leg) = self.links.way(&key, to) {
            return self.dispatch(host, what, leg);
        }
        self.wait(host, Waiting { what, to: Destination::Address(to, key.clone()) });
        self.ask_flow(host, key, to);
    }

    /// Sends a request that is too large for a datagram by TCP (RFC 3261 §18.1.1).
    pub(super) fn find_stream(
        &mut self,
        host: &mut dyn Host,
        slot: Slot,
        branch: usize,
        to: SocketAddr,
    ) {
        self.set_large(slot, branch, Large::Stream);
        self.find_flow(host, Parcel::Branch(slot, branch), Transport::Tcp, to, String::new());
    }

    fn set_large(&mut self, slot: Slot, branch: usize, large: Large) {
        if let Some(branch) = self.branch(slot, branch) {
            branch.target.large = large;
        }
    }

    /// Whether what found no way was to go by TCP for its size alone: then it goes as a datagram after
    /// all (RFC 3261 §18.1.1).
    fn shrinks(&mut self, what: &Parcel) -> bool {
        let Parcel::Branch(slot, index) = *what else { return false };
        let large = self.branch(slot, index).map(|branch| branch.target.large);
        let shrinks = large == Some(Large::Stream);
        if shrinks {
            self.set_large(slot, index, Large::Datagram);
        }
        shrinks
    }

    /// Asks the host for a flow, unless it was asked already.
    fn ask_flow(&mut self, host: &mut dyn Host, key: Key, to: SocketAddr) {
        if self.opening.values().any(|opening| *opening == key) {
            return;
        }
        if self.opening.len() >= MAX_WAITING {
            self.opening.pop_first();
        }
        let id = self.next_id();
        host.send(Outbound::OpenFlow { id, transport: key.transport, to, name: &key.name });
        self.opening.insert(id, key);
    }

    /// Keeps something until the host answers.
    fn wait(&mut self, host: &mut dyn Host, waiting: Waiting) -> RequestId {
        // What is not answered in all this time never will be.
        if self.waiting.len() >= MAX_WAITING
            && let Some((id, _)) = self.waiting.first_key_value()
        {
            self.no_way(host, *id);
        }
        let id = self.next_id();
        match waiting.what {
            Parcel::Branch(slot, branch) => self.mark_waiting(host, slot, branch, id),
            Parcel::Start(slot) => {
                let count = self.contexts.get(slot).map_or(0, |context| context.branches.len());
                (0..count).for_each(|branch| self.mark_waiting(host, slot, branch, id));
            }
            Parcel::Ack(_) => {}
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
        let trust = |key: &Key| distrust(key.transport, &key.name, certificate);
        if let Some(why) = self.opening.get(&id).and_then(trust) {
            host.send(Outbound::CloseFlow { flow });
            return self.flow_failed(host, id, FlowFailure::Untrusted(&why));
        }
        let key = self.opening.remove(&id);
        let wanted = key.as_ref().map(|key| self.waiting_for(key)).unwrap_or_default();
        let Some(key) = key.filter(|key| !wanted.is_empty() || !key.transport.is_reliable()) else {
            if flow.transport.is_reliable() {
                host.send(Outbound::CloseFlow { flow });
            }
            return;
        };
        self.links.opened(host, key, flow, local);
        for id in wanted {
            let Some(Waiting { what, to }) = self.waiting.remove(&id) else { continue };
            let slot = what.slot();
            let bound = flow.transport.is_reliable();
            let leg = match to {
                Destination::Address(peer, _) => Leg { link: Link { flow, peer }, local, bound },
                Destination::Link(link) => Leg { link, local, bound: true },
                Destination::Name(_) => continue,
            };
            self.dispatch(host, what, leg);
            slot.into_iter().for_each(|slot| self.conclude(host, slot));
        }
    }

    pub(super) fn flow_failed(
        &mut self,
        host: &mut dyn Host,
        id: RequestId,
        failure: FlowFailure<'_>,
    ) {
        let Some(key) = self.opening.remove(&id) else { return };
        let problem = match failure {
            FlowFailure::Unreachable(why) | FlowFailure::Untrusted(why) => why,
            FlowFailure::Unsupported => "there is no way to speak that here",
        };
        let (transport, peer, problem) = (key.transport, key.to, problem.to_owned());
        self.tell(ExchangeEvent::Unreachable { transport, peer, problem });
        self.waiting_for(&key).into_iter().for_each(|id| self.no_way(host, id));
    }

    pub(super) fn resolved(&mut self, host: &mut dyn Host, id: RequestId, addresses: &[IpAddr]) {
        let Some(Waiting { what, to }) = self.waiting.remove(&id) else { return };
        let slot = what.slot();
        match (addresses.iter().find(|ip| !is_many(**ip)), to) {
            (Some(ip), Destination::Name(hop)) => {
                let transport = hop.usual_transport();
                let to = SocketAddr::new(*ip, hop.port().unwrap_or(transport.default_port()));
                self.find_flow(host, what, transport, to, hop.host().to_owned());
            }
            _ => self.give_up(what, 480),
        }
        slot.into_iter().for_each(|slot| self.conclude(host, slot));
    }

    pub(super) fn no_way(&mut self, host: &mut dyn Host, id: RequestId) {
        let Some(Waiting { what, to }) = self.waiting.remove(&id) else { return };
        let slot = what.slot();
        match to {
            Destination::Address(to, _) if self.shrinks(&what) => {
                self.find_flow(host, what, Transport::Udp, to, String::new());
            }
            _ => self.give_up(what, 480),
        }
        slot.into_iter().for_each(|slot| self.conclude(host, slot));
    }

    /// What waits for a flow.
    fn waiting_for(&self, key: &Key) -> Vec<RequestId> {
        let waits = |(id, waiting): (&RequestId, &Waiting)| {
            let same = match &waiting.to {
                Destination::Address(_, wanted) => wanted == key,
                Destination::Link(link) => *key == Key::udp(link.peer.ip()),
                Destination::Name(_) => false,
            };
            same.then_some(*id)
        };
        self.waiting.iter().filter_map(waits).collect()
    }

    pub(super) fn give_up(&mut self, what: Parcel, status: u16) {
        let branches = match what {
            Parcel::Branch(slot, branch) => Some((slot, branch..branch + 1)),
            Parcel::Start(slot) => {
                self.contexts.get(slot).map(|context| (slot, 0..context.branches.len()))
            }
            Parcel::Ack(_) => None,
        };
        let Some((slot, branches)) = branches else { return };
        for branch in branches {
            self.set_state(slot, branch, BranchState::Done(Outcome::Failed(status)));
            if let Some(timer) = self.take_timer(slot, branch) {
                self.timers.cancel(timer);
            }
        }
    }
}

impl Parcel {
    fn slot(&self) -> Option<Slot> {
        match self {
            Self::Branch(slot, _) | Self::Start(slot) => Some(*slot),
            Self::Ack(_) => None,
        }
    }
}
