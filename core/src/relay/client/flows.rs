//! Flows to SIP servers, as the client has them.

use core::net::SocketAddr;
use std::collections::VecDeque;

use super::{Arrival, Client, LONGEST_NAME, LOST};
use crate::certificate::Identities;
use crate::host::{self, RequestId, Transport};
use crate::map::Map;
use crate::relay::capsule::{Capsule, LARGEST_DATA};
use crate::relay::problem::Problem;
use crate::relay::session::WINDOW;

/// How many bytes of a stream may wait for the relay's credit.
const BACKLOG: usize = 1024 * 1024;
/// The most bytes of a stream in one capsule.
const PIECE: usize = 16 * 1024;

/// The flows of a client.
#[derive(Debug, Default)]
pub(super) struct Flows {
    flows: Map<u64, Flow>,
    last: u64,
    /// The credit of a new flow.
    pub(super) window: u64,
}

#[derive(Debug)]
struct Flow {
    transport: Transport,
    to: SocketAddr,
    /// Who waits for it to be open; over UDP there may be many, for the flow to a server is one.
    waiting: Vec<RequestId>,
    /// The address from which the server sees us, once it is open.
    local: Option<SocketAddr>,
    credit: u64,
    backlog: VecDeque<u8>,
    /// How many bytes have come that the relay has not been credited for.
    owed: u64,
}

impl Flow {
    fn number(&self, id: u64) -> host::Flow {
        host::Flow { transport: self.transport, id }
    }
}

impl Client {
    pub(super) fn open(&mut self, id: RequestId, transport: Transport, to: SocketAddr, name: &str) {
        let carried = matches!(transport, Transport::Udp | Transport::Tcp | Transport::Tls);
        let problem = match carried {
            false => Some((Problem::Unsupported, String::new())),
            true if name.len() > LONGEST_NAME => {
                Some((Problem::Unreachable, "its name is longer than names are".to_owned()))
            }
            true => None,
        };
        if let Some((problem, text)) = problem {
            return self.arrivals.push_back(Arrival::FlowFailed { id, problem, text });
        }
        let same = |flow: &Flow| flow.transport == Transport::Udp && flow.to == to;
        let udp = self.flows.flows.iter_mut().filter(|_| transport == Transport::Udp);
        if let Some((number, flow)) = udp.into_iter().find(|(_, flow)| same(flow)) {
            match flow.local {
                Some(local) => {
                    let flow = flow.number(*number);
                    let opened = Arrival::FlowOpened { id, flow, local, certificate: None };
                    self.arrivals.push_back(opened);
                }
                None => flow.waiting.push(id),
            }
            return;
        }
        self.flows.last += 1;
        let flow = Flow {
            transport,
            to,
            waiting: vec![id],
            local: None,
            credit: 0,
            backlog: VecDeque::new(),
            owed: 0,
        };
        self.flows.flows.insert(self.flows.last, flow);
        self.link.control(&Capsule::Open { flow: self.flows.last, transport, to, name });
    }

    pub(super) fn opened(
        &mut self,
        number: u64,
        local: SocketAddr,
        certificate: Option<Identities>,
    ) -> Option<Arrival<'static>> {
        let window = self.flows.window;
        let flow = self.flows.flows.get_mut(&number)?;
        (flow.local, flow.credit) = (Some(local), window);
        let opened = flow.number(number);
        for id in core::mem::take(&mut flow.waiting) {
            let certificate = certificate.clone();
            self.arrivals.push_back(Arrival::FlowOpened { id, flow: opened, local, certificate });
        }
        self.arrivals.pop_front()
    }

    pub(super) fn flow_refused(
        &mut self,
        number: u64,
        problem: Problem,
        text: String,
    ) -> Option<Arrival<'static>> {
        let flow = self.flows.flows.get_mut(&number)?;
        // One that is open is closed by the capsule that follows.
        if flow.local.is_some() {
            return None;
        }
        let waiting = core::mem::take(&mut flow.waiting);
        self.flows.flows.remove(&number);
        for id in waiting {
            let text = text.clone();
            self.arrivals.push_back(Arrival::FlowFailed { id, problem, text });
        }
        self.arrivals.pop_front()
    }

    pub(super) fn flow_closed(&mut self, number: u64) -> Option<Arrival<'static>> {
        let flow = self.flows.flows.remove(&number)?;
        Some(Arrival::FlowClosed { flow: flow.number(number) })
    }

    /// The telephone closes a flow. A UDP flow stays, as a socket does: others use it too.
    pub(super) fn close(&mut self, flow: host::Flow) {
        if flow.transport == Transport::Udp {
            return;
        }
        let Some(mut closed) = self.flows.flows.remove(&flow.id) else { return };
        // What was sent leaves first, whatever the credit: the relay reads the whole of its window.
        let credit = usize::try_from(closed.credit).unwrap_or(usize::MAX);
        let rest: Vec<u8> = closed.backlog.drain(..).take(credit).collect();
        for bytes in rest.chunks(PIECE) {
            self.link.signal(&Capsule::Data { flow: flow.id, bytes });
        }
        self.link.signal(&Capsule::Close { flow: flow.id });
    }

    pub(super) fn send(&mut self, flow: host::Flow, to: SocketAddr, bytes: &[u8]) {
        let number = flow.id;
        let found = self.flows.flows.get_mut(&number).filter(|open| open.local.is_some());
        match found {
            Some(open) if open.transport == Transport::Udp => {
                // The relay's port for a server is for that server alone.
                if open.to == to && bytes.len() <= LARGEST_DATA {
                    return self.link.signal(&Capsule::Data { flow: number, bytes });
                }
                self.arrivals.push_back(Arrival::SendFailed { flow, to });
            }
            Some(open) if open.backlog.len() + bytes.len() <= BACKLOG => {
                open.backlog.extend(bytes);
                self.pump(number);
            }
            Some(_) => {
                self.close(flow);
                self.arrivals.push_back(Arrival::FlowClosed { flow });
            }
            None => self.arrivals.push_back(Arrival::SendFailed { flow, to }),
        }
    }

    pub(super) fn credit(&mut self, number: u64, bytes: u64) {
        if let Some(flow) = self.flows.flows.get_mut(&number) {
            flow.credit = flow.credit.saturating_add(bytes);
        }
        self.pump(number);
    }

    fn pump(&mut self, number: u64) {
        let Some(flow) = self.flows.flows.get_mut(&number) else { return };
        let count = flow.backlog.len().min(usize::try_from(flow.credit).unwrap_or(usize::MAX));
        flow.credit -= count as u64;
        let bytes: Vec<u8> = flow.backlog.drain(..count).collect();
        for bytes in bytes.chunks(PIECE) {
            self.link.signal(&Capsule::Data { flow: number, bytes });
        }
    }

    pub(super) fn data<'m>(&mut self, number: u64, bytes: &'m [u8]) -> Option<Arrival<'m>> {
        let flow = self.flows.flows.get_mut(&number)?;
        let (named, from) = (flow.number(number), flow.to);
        if flow.transport == Transport::Udp {
            return Some(Arrival::Datagram { flow: named, from, bytes });
        }
        flow.owed += bytes.len() as u64;
        if flow.owed >= WINDOW / 2 {
            let bytes = core::mem::take(&mut flow.owed);
            self.link.control(&Capsule::Credit { flow: number, bytes });
        }
        (!bytes.is_empty()).then_some(Arrival::Stream { flow: named, from, bytes })
    }

    /// Every flow is gone with the session.
    pub(super) fn lose_flows(&mut self) {
        for (number, flow) in core::mem::take(&mut self.flows.flows) {
            let (named, to) = (flow.number(number), flow.to);
            for id in flow.waiting {
                let (problem, text) = (Problem::SessionUnknown, LOST.to_owned());
                self.arrivals.push_back(Arrival::FlowFailed { id, problem, text });
            }
            match flow.transport {
                _ if flow.local.is_none() => {}
                Transport::Udp => {
                    self.arrivals.push_back(Arrival::SendFailed { flow: named, to });
                }
                _ => self.arrivals.push_back(Arrival::FlowClosed { flow: named }),
            }
        }
    }
}
