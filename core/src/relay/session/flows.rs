//! Flows between a client and its SIP servers.

use core::net::SocketAddr;
use std::collections::VecDeque;

use super::{Capsule, Problem, Session, SessionEvent, Subject, WINDOW, Wait, rises};
use crate::certificate::Identities;
use crate::host::{self, Channel, Host, MediaPort, Outbound, Transport};
use crate::map::Map;
use crate::relay::address::normalised;
use crate::stream::Framer;

/// How many bytes of a server may wait for a client that reads too little, on one flow.
const BACKLOG: usize = 256 * 1024;
/// The most bytes of a stream in one capsule.
const PIECE: usize = 16 * 1024;

/// The flows of a session.
#[derive(Debug, Default)]
pub(super) struct Flows {
    flows: Map<u64, Flow>,
    by_connection: Map<host::Flow, u64>,
    by_port: Map<MediaPort, u64>,
    last: Option<u64>,
}

#[derive(Debug)]
struct Flow {
    transport: Transport,
    to: SocketAddr,
    path: Path,
    /// Finds the messages of a server in its stream.
    framer: Framer,
    /// How many bytes the client takes, and those that came beyond it.
    credit: u64,
    backlog: VecDeque<u8>,
    /// The server has closed it, and CLOSE follows the backlog.
    closing: bool,
    /// How many bytes the client may send, and how many more have not been credited yet.
    granted: u64,
    owed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Path {
    Opening,
    Connection(host::Flow),
    /// Over UDP: the even port of a pair, so that each client has a port of its own.
    Port(MediaPort),
    /// It was closed, and the client still reads.
    Gone,
}

impl Flows {
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    /// The flow over UDP whose port that is.
    pub(super) fn of_port(&self, port: MediaPort) -> Option<u64> {
        self.by_port.get(&port).copied()
    }

    fn remove(&mut self, number: u64) -> Option<Flow> {
        let flow = self.flows.remove(&number)?;
        self.part(flow.path);
        Some(flow)
    }

    fn part(&mut self, path: Path) {
        match path {
            Path::Connection(connection) => drop(self.by_connection.remove(&connection)),
            Path::Port(port) => drop(self.by_port.remove(&port)),
            Path::Opening | Path::Gone => {}
        }
    }
}

impl Session {
    pub(super) fn open(
        &mut self,
        host: &mut dyn Host,
        number: u64,
        transport: Transport,
        to: SocketAddr,
        name: &str,
    ) -> Result<(), Problem> {
        rises(&mut self.flows.last, number)?;
        let what = format!("{}:{to}", transport.as_str().to_ascii_lowercase());
        let judged = match self.admits_request(host) {
            false => Err(Problem::Rate),
            true if self.flows.len() as u64 >= self.allowance.flows => Err(Problem::Limit),
            // Which servers there are is asked first: what else is forbidden is nobody's business.
            true => {
                let plain = SocketAddr::new(normalised(to.ip()), to.port());
                self.names.permit(plain, name).and_then(|()| self.policy.judge(plain))
            }
        };
        let to = match judged {
            Ok(to) => to,
            Err(problem) => {
                self.refuse(Subject::Flow, number, problem, "", &what);
                return Ok(());
            }
        };
        let id = self.wait(Wait::Flow(number));
        match transport {
            Transport::Udp => {
                let (low, high) = self.policy.ports;
                host.send(Outbound::BindMedia { id, toward: to.ip(), low, high });
            }
            transport => host.send(Outbound::OpenFlow { id, transport, to, name }),
        }
        self.flows.flows.insert(
            number,
            Flow {
                transport,
                to,
                path: Path::Opening,
                framer: Framer::new(),
                credit: WINDOW,
                backlog: VecDeque::new(),
                closing: false,
                granted: WINDOW,
                owed: 0,
            },
        );
        Ok(())
    }

    /// A connection is there; false when nobody wants it any more.
    pub(super) fn opened_connection(
        &mut self,
        number: u64,
        connection: host::Flow,
        local: SocketAddr,
        certificate: Option<&Identities>,
    ) -> bool {
        let local = self.policy.advertised(local);
        let path = Path::Connection(connection);
        let opened = self.opened(number, path, local, certificate.cloned());
        if opened {
            self.flows.by_connection.insert(connection, number);
        }
        opened
    }

    /// A port for SIP over UDP is there; false when nobody wants it any more.
    pub(super) fn opened_port(&mut self, number: u64, port: MediaPort, local: SocketAddr) -> bool {
        let opened = self.opened(number, Path::Port(port), local, None);
        if opened {
            self.flows.by_port.insert(port, number);
        }
        opened
    }

    fn opened(
        &mut self,
        number: u64,
        path: Path,
        local: SocketAddr,
        certificate: Option<Identities>,
    ) -> bool {
        let Some(flow) = self.flows.flows.get_mut(&number) else { return false };
        flow.path = path;
        let (transport, server) = (flow.transport, flow.to);
        self.link.control(&Capsule::Opened { flow: number, local, certificate });
        self.events.push_back(SessionEvent::Opened { transport, server });
        true
    }

    pub(super) fn flow_failed(&mut self, number: u64, problem: Problem, text: &str) {
        if let Some(Flow { transport, to, .. }) = self.flows.remove(number) {
            let what = format!("{}:{to}", transport.as_str().to_ascii_lowercase());
            self.refuse(Subject::Flow, number, problem, text, &what);
        }
    }

    /// The client closes a flow.
    pub(super) fn close(&mut self, host: &mut dyn Host, number: u64) {
        match self.flows.remove(number).map(|flow| flow.path) {
            Some(Path::Connection(flow)) => host.send(Outbound::CloseFlow { flow }),
            Some(Path::Port(port)) => host.send(Outbound::ReleaseMedia { port }),
            Some(Path::Opening | Path::Gone) | None => {}
        }
    }

    pub(super) fn release_flows(&mut self, host: &mut dyn Host) {
        let numbers: Vec<u64> = self.flows.flows.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.close(host, number));
    }

    /// The server has closed a flow: what it sent before is read first.
    pub(super) fn connection_closed(&mut self, connection: host::Flow) {
        let Some(number) = self.flows.by_connection.remove(&connection) else { return };
        if let Some(flow) = self.flows.flows.get_mut(&number) {
            (flow.path, flow.closing) = (Path::Gone, true);
        }
        self.pump(number);
    }

    // --- from the client ---

    pub(super) fn send_data(
        &mut self,
        host: &mut dyn Host,
        number: u64,
        bytes: &[u8],
    ) -> Result<(), Problem> {
        // It may have been closed while this was on its way.
        let Some(flow) = self.flows.flows.get_mut(&number) else { return Ok(()) };
        let count = bytes.len() as u64;
        match flow.path {
            Path::Port(port) => {
                if !self.up.admits(bytes.len(), host.now()) {
                    self.counters.limited += 1;
                    return Ok(());
                }
                host.send(Outbound::Media { port, channel: Channel::Rtp, to: flow.to, bytes });
            }
            Path::Connection(connection) => {
                flow.granted = flow.granted.checked_sub(count).ok_or(Problem::Malformed)?;
                host.send(Outbound::Datagram { flow: connection, to: flow.to, bytes });
                flow.owed += count;
                if flow.owed >= WINDOW / 2 {
                    let bytes = core::mem::take(&mut flow.owed);
                    flow.granted += bytes;
                    self.link.control(&Capsule::Credit { flow: number, bytes });
                }
            }
            Path::Opening | Path::Gone => return Ok(()),
        }
        self.counters.signalling_up += count;
        Ok(())
    }

    pub(super) fn credit(&mut self, number: u64, bytes: u64) {
        if let Some(flow) = self.flows.flows.get_mut(&number) {
            // More than a window it never is.
            flow.credit = flow.credit.saturating_add(bytes).min(WINDOW);
        }
        self.pump(number);
    }

    // --- from the server ---

    pub(super) fn datagram_came(&mut self, number: u64, from: SocketAddr, bytes: &[u8]) {
        let Some(flow) = self.flows.flows.get(&number) else { return };
        let from = SocketAddr::new(normalised(from.ip()), from.port());
        if from != flow.to || bytes.len() > super::super::capsule::LARGEST_DATA {
            self.counters.foreign += 1;
            return;
        }
        self.described.read_datagram(&self.policy, bytes);
        if !self.link.is_open() && self.link.is_half_full() {
            // The server sends it again, to a client that is back or to nobody.
            self.counters.limited += 1;
            return;
        }
        self.counters.signalling_down += bytes.len() as u64;
        self.link.signal(&Capsule::Data { flow: number, bytes });
    }

    pub(super) fn stream_came(
        &mut self,
        host: &mut dyn Host,
        connection: host::Flow,
        bytes: &[u8],
    ) {
        let Some(&number) = self.flows.by_connection.get(&connection) else { return };
        let Some(flow) = self.flows.flows.get_mut(&number) else { return };
        self.described.read_stream(&self.policy, &mut flow.framer, bytes);
        if flow.backlog.len() + bytes.len() > BACKLOG {
            let what = flow.to.to_string();
            self.close(host, number);
            self.refuse(Subject::Flow, number, Problem::Overrun, "", &what);
            self.link.signal(&Capsule::Close { flow: number });
            return;
        }
        flow.backlog.extend(bytes);
        self.pump(number);
    }

    /// Sends what the client takes.
    fn pump(&mut self, number: u64) {
        let Some(flow) = self.flows.flows.get_mut(&number) else { return };
        let held = flow.backlog.len().min(usize::try_from(flow.credit).unwrap_or(usize::MAX));
        let bytes: Vec<u8> = flow.backlog.drain(..held).collect();
        flow.credit -= held as u64;
        self.counters.signalling_down += held as u64;
        for bytes in bytes.chunks(PIECE) {
            self.link.signal(&Capsule::Data { flow: number, bytes });
        }
        if flow.closing && flow.backlog.is_empty() {
            self.flows.remove(number);
            self.link.signal(&Capsule::Close { flow: number });
        }
    }
}
