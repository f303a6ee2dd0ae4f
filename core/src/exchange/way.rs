//! The way to the next hop (RFC 3261 §16.6 step 7, RFC 3263): addresses of names and flows, both
//! asked of the host.

use core::net::{IpAddr, SocketAddr};

use super::context::{BranchState, Outcome};
use super::domain::{Hop, hop_of_route};
use super::route::Plan;
use super::running::Running;
use super::{HOST_TIMEOUT, MAX_FLOWS, MAX_WAITING};
use crate::host::{Flow, Host, Outbound, Query, RequestId, Transport};
use crate::sip::{Message, Uri};
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
    /// An ACK, which has no transaction.
    Ack(Box<(Message, SocketAddr, Plan)>),
}

#[derive(Clone, Copy, Debug)]
enum Destination {
    Address(SocketAddr),
    /// The address comes with the answer.
    Port(u16),
}

impl Running {
    pub(super) fn find_way(&mut self, host: &mut dyn Host, what: Parcel, hop: Hop) {
        match hop {
            Hop::Address(to) => self.find_flow(host, what, to),
            Hop::Name(name, port) => {
                let waiting = Waiting { what, to: Destination::Port(port) };
                let id = self.wait(host, waiting);
                host.send(Outbound::Resolve { id, query: Query::Addresses(&name) });
            }
        }
    }

    fn find_flow(&mut self, host: &mut dyn Host, what: Parcel, to: SocketAddr) {
        if let Some(&(flow, local)) = self.flows.get(&to.ip()) {
            return self.dispatch(host, what, flow, local, to);
        }
        let waiting = Waiting { what, to: Destination::Address(to) };
        let id = self.wait(host, waiting);
        host.send(Outbound::OpenFlow { id, transport: Transport::Udp, to, name: "" });
    }

    /// Keeps something until the host answers.
    fn wait(&mut self, host: &mut dyn Host, waiting: Waiting) -> RequestId {
        // What is not answered in all this time never will be.
        if self.waiting.len() >= MAX_WAITING
            && let Some((id, _)) = self.waiting.first_key_value()
        {
            self.no_way(host, *id);
        }
        self.last_request += 1;
        let id = RequestId(self.last_request);
        if let Parcel::Branch(slot, branch) = waiting.what {
            self.set_state(slot, branch, BranchState::Waiting(id));
            self.set_timer(host, slot, branch, Some(HOST_TIMEOUT));
        }
        self.waiting.insert(id, waiting);
        id
    }

    // --- the host's answers ---

    pub(super) fn flow_opened(
        &mut self,
        host: &mut dyn Host,
        id: RequestId,
        flow: Flow,
        local: SocketAddr,
    ) {
        self.domain.learn(local);
        let Some(Waiting { what, to: Destination::Address(to) }) = self.waiting.remove(&id) else {
            return;
        };
        if self.flows.len() >= MAX_FLOWS {
            self.flows.clear();
        }
        self.flows.insert(to.ip(), (flow, local));
        let slot = what.slot();
        self.dispatch(host, what, flow, local, to);
        slot.into_iter().for_each(|slot| self.conclude(host, slot));
    }

    pub(super) fn resolved(&mut self, host: &mut dyn Host, id: RequestId, addresses: &[IpAddr]) {
        let Some(Waiting { what, to: Destination::Port(port) }) = self.waiting.remove(&id) else {
            return;
        };
        let slot = what.slot();
        match addresses.first() {
            Some(ip) => self.find_flow(host, what, SocketAddr::new(*ip, port)),
            None => self.give_up(what, 480),
        }
        slot.into_iter().for_each(|slot| self.conclude(host, slot));
    }

    pub(super) fn no_way(&mut self, host: &mut dyn Host, id: RequestId) {
        let Some(Waiting { what, .. }) = self.waiting.remove(&id) else { return };
        let slot = what.slot();
        self.give_up(what, 480);
        slot.into_iter().for_each(|slot| self.conclude(host, slot));
    }

    pub(super) fn give_up(&mut self, what: Parcel, status: u16) {
        if let Parcel::Branch(slot, branch) = what {
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
            Self::Branch(slot, _) => Some(*slot),
            Self::Ack(_) => None,
        }
    }
}

/// §16.6 step 7: the topmost route left, else the target.
pub(super) fn next_hop(plan: &Plan, target: &str) -> Option<Hop> {
    match plan.routes.first() {
        Some(route) => hop_of_route(route).map(|(hop, _)| hop),
        None => Hop::of(&Uri::parse(target).ok()?),
    }
}
