//! What our sockets are on the outside of a NAT, as a STUN server sees them (RFC 8489): the one for
//! signalling before we register, and each pair for media before it is advertised.
//!
//! Who does not answer in time is done without, and counted.

use core::net::{IpAddr, SocketAddr};

use super::Phone;
use crate::agent::{AddressChange, Alarm, HOST_TIMEOUT, MediaPorts};
use crate::call::Call;
use crate::event::CallId;
use crate::host::{Channel, Flow, Host, MediaPort, Outbound, Query, Records, RequestId, Transport};
use crate::map::Map;
use crate::nat::{Question, StunMessage, is_usable};
use crate::time::{Duration, Instant};
use crate::timers::TimerId;

/// How long a call, or the start of the phone, waits for the server.
const WITHIN: Duration = Duration::from_millis(500);

/// The first interval between two requests. RFC 8489 §6.2.1 has 500 ms where nothing is known of the
/// way, which leaves no second try to somebody who waits for a call.
const INTERVAL: Duration = Duration::from_millis(150);

/// When the server's name is looked up again that was not found.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What is asked, and what is known.
#[derive(Debug, Default)]
pub(super) struct Mappings {
    /// The server's addresses.
    servers: Vec<IpAddr>,
    /// Its name is being looked up, or a flow to it opened; how long that is waited for.
    asked: Option<(RequestId, Instant)>,
    /// When its name is looked up again.
    again: Option<Instant>,
    /// Until when the phone waits before it starts.
    start: Option<Instant>,
    /// What is asked about the socket for signalling.
    signalling: Option<(Flow, Question)>,
    /// The pairs for media that are asked about.
    pairs: Map<MediaPort, Pair>,
    timer: Option<TimerId>,
}

#[derive(Debug)]
struct Pair {
    call: CallId,
    ports: MediaPorts,
    /// RTP and RTCP.
    questions: [Question; 2],
    answers: [Option<SocketAddr>; 2],
    until: Instant,
}

impl Phone {
    /// Asks about the socket for signalling; true when the phone starts later, by
    /// [`set_out`](Self::set_out).
    pub(super) fn ask_before_start(&mut self, host: &mut dyn Host) -> bool {
        if self.agent.parameters.stun.is_none() {
            return false;
        }
        self.mappings.start = Some(host.now() + WITHIN);
        self.seek_mapping(host);
        self.mappings.start.is_some()
    }

    /// Asks about the socket for signalling, if there is anybody to ask.
    pub(super) fn seek_mapping(&mut self, host: &mut dyn Host) {
        let Some((name, _)) = self.agent.parameters.stun_server() else { return };
        let (ip, name) = (name.parse(), name.to_owned());
        (self.mappings.signalling, self.mappings.again) = (None, None);
        match ip {
            Ok(ip) => self.found_servers(host, vec![ip]),
            Err(_) => {
                let id = self.ask_host(host);
                host.send(Outbound::Resolve { id, query: Query::Addresses(&name) });
            }
        }
        self.schedule_mappings();
    }

    /// The number of a request to the host that is made now.
    fn ask_host(&mut self, host: &dyn Host) -> RequestId {
        let id = self.agent.next_request();
        self.mappings.asked = Some((id, host.now() + HOST_TIMEOUT));
        id
    }

    /// Takes what the host says of the server's name, nothing when it was not found; false when that was
    /// not asked here.
    pub(super) fn server_resolved(
        &mut self,
        host: &mut dyn Host,
        id: RequestId,
        records: Option<Records<'_>>,
    ) -> bool {
        if self.mappings.asked.take_if(|(asked, _)| *asked == id).is_none() {
            return false;
        }
        match records {
            Some(Records::Addresses(addresses)) if !addresses.is_empty() => {
                self.found_servers(host, addresses.to_vec());
            }
            _ => self.not_found(host),
        }
        self.schedule_mappings();
        true
    }

    /// There is no way to the server for now. What is known of it from before is better than nothing.
    fn not_found(&mut self, host: &mut dyn Host) {
        self.mappings.again = Some(host.now() + AGAIN_AFTER);
        self.signalling_mapped(host, None);
    }

    /// Takes the flow to the server, or that there is none; false when that was not asked here.
    pub(super) fn server_reached(
        &mut self,
        host: &mut dyn Host,
        id: RequestId,
        flow: Option<Flow>,
    ) -> bool {
        if self.mappings.asked.take_if(|(asked, _)| *asked == id).is_none() {
            return false;
        }
        match (flow, self.server_for(None)) {
            (Some(flow), Some(server)) => {
                let question = Question::new(host, server, INTERVAL);
                self.mappings.signalling = Some((flow, question));
                self.handle_mappings(host);
            }
            _ => self.not_found(host),
        }
        self.schedule_mappings();
        true
    }

    fn found_servers(&mut self, host: &mut dyn Host, servers: Vec<IpAddr>) {
        self.mappings.servers = servers;
        let usual = self.agent.parameters.transport.unwrap_or_default();
        match self.server_for(None) {
            Some(to) if usual == Transport::Udp => {
                let id = self.ask_host(host);
                let (transport, name) = (Transport::Udp, to.ip().to_string());
                host.send(Outbound::OpenFlow { id, transport, to, name: &name });
            }
            // A connection has no mapping that could be known before.
            _ => self.set_out(host),
        }
    }

    /// The server's address: of the same family as a socket of ours, or else IPv4 if it has that, for
    /// there are the NATs.
    fn server_for(&self, socket: Option<IpAddr>) -> Option<SocketAddr> {
        let (_, port) = self.agent.parameters.stun_server()?;
        let servers = &self.mappings.servers;
        let of_family = |v4: bool| servers.iter().find(|ip| ip.is_ipv4() == v4);
        let server = match socket {
            Some(ip) => of_family(ip.to_canonical().is_ipv4()),
            None => of_family(true).or(servers.first()),
        };
        server.map(|ip| SocketAddr::new(*ip, port))
    }

    /// A call has this pair now: asks for its public address before the call gets the pair.
    pub(super) fn map_ports(&mut self, host: &mut dyn Host, call: CallId, ports: MediaPorts) {
        let Some(server) = self.server_for(Some(ports.rtp.ip())) else {
            if self.agent.parameters.stun.is_some() {
                self.agent.counters.unmapped += 1;
                // Its name was not found when it was looked up; a later call may have more luck.
                if self.mappings.servers.is_empty() && self.mappings.asked.is_none() {
                    self.seek_mapping(host);
                }
            }
            return self.hand_over(host, call, ports);
        };
        let questions = [(); 2].map(|()| Question::new(host, server, INTERVAL));
        let (answers, until) = ([None; 2], host.now() + WITHIN);
        self.mappings.pairs.insert(ports.port, Pair { call, ports, questions, answers, until });
        self.handle_mappings(host);
    }

    fn hand_over(&mut self, host: &mut dyn Host, call: CallId, ports: MediaPorts) {
        match self.calls.contains_key(&call) {
            true => {
                self.with_call(host, call, |it: &mut Call, cx| it.handle_ports(cx, Some(ports)))
            }
            // Late: its call has ended.
            false => self.agent.release_now(host, ports.port),
        }
    }

    /// Takes what came to a pair before media had it: the server's answer, or nothing of interest.
    pub(super) fn handle_media(
        &mut self,
        host: &mut dyn Host,
        (port, channel): (MediaPort, Channel),
        from: SocketAddr,
        bytes: &[u8],
    ) {
        let Some(pair) = self.mappings.pairs.get_mut(&port) else { return };
        let Ok(message) = StunMessage::parse(bytes) else { return };
        let index = usize::from(channel == Channel::Rtcp);
        let (Some(question), Some(answer)) =
            (pair.questions.get(index), pair.answers.get_mut(index))
        else {
            return;
        };
        match question.answer(from, &message) {
            Some(Ok(mapped)) if is_usable(mapped, question.to().ip()) => {
                *answer = Some(canonical(mapped))
            }
            // It will not say.
            Some(_) => pair.until = host.now(),
            None => return,
        }
        self.handle_mappings(host);
    }

    /// Takes an answer about the socket for signalling; false when it is none.
    pub(super) fn handle_mapping_answer(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        message: &StunMessage,
    ) -> bool {
        let Some((asked, question)) = &self.mappings.signalling else { return false };
        if *asked != flow {
            return false;
        }
        let Some(answer) = question.answer(from, message) else { return false };
        let mapped = answer.ok().filter(|mapped| is_usable(*mapped, question.to().ip()));
        self.signalling_mapped(host, mapped.map(canonical));
        self.schedule_mappings();
        true
    }

    /// The socket for signalling is this outside, or nobody has said.
    fn signalling_mapped(&mut self, host: &mut dyn Host, mapped: Option<SocketAddr>) {
        let asked = self.mappings.signalling.take();
        let mapped = asked.and_then(|(flow, _)| Some((flow, mapped?)));
        if let Some((flow, mapped)) = mapped {
            let changed = self.agent.note_mapped(flow, mapped);
            self.handle_address_change(
                host,
                if changed { AddressChange::Found } else { AddressChange::None },
            );
        } else if self.mappings.start.is_some() {
            self.agent.counters.unmapped += 1;
        }
        self.set_out(host);
    }

    /// Starts what has waited for the server.
    fn set_out(&mut self, host: &mut dyn Host) {
        if self.mappings.start.take().is_some() {
            self.begin_to_register(host);
        }
    }

    /// Sends what is due, and does without what has taken too long.
    pub(super) fn handle_mappings(&mut self, host: &mut dyn Host) {
        let now = host.now();
        if let Some((flow, question)) = &mut self.mappings.signalling
            && question.due() <= now
        {
            let (flow, to) = (*flow, question.to());
            match question.next(now) {
                Some(bytes) => host.send(Outbound::Datagram { flow, to, bytes: &bytes }),
                None => self.signalling_mapped(host, None),
            }
        }
        if self.mappings.start.is_some_and(|until| until <= now) {
            self.agent.counters.unmapped += 1;
            self.set_out(host);
        }
        if self.mappings.asked.take_if(|(_, until)| *until <= now).is_some() {
            self.not_found(host);
        }
        if self.mappings.again.take_if(|at| *at <= now).is_some() {
            self.seek_mapping(host);
        }
        for (port, pair) in &mut self.mappings.pairs {
            pair.ask(host, *port);
        }
        let done: Vec<MediaPort> = self
            .mappings
            .pairs
            .iter()
            .filter_map(|(port, pair)| (pair.is_answered() || pair.until <= now).then_some(*port))
            .collect();
        for port in done {
            let Some(mut pair) = self.mappings.pairs.remove(&port) else { continue };
            match pair.answers {
                [Some(rtp), Some(rtcp)] => pair.ports.mapped = Some([rtp, rtcp]),
                _ => self.agent.counters.unmapped += 1,
            }
            self.hand_over(host, pair.call, pair.ports);
        }
        self.schedule_mappings();
    }

    fn schedule_mappings(&mut self) {
        let Mappings { asked, again, start, signalling, pairs, timer, .. } = &mut self.mappings;
        let asked = asked.iter().map(|(_, until)| *until);
        let questions = signalling.iter().map(|(_, question)| question.due());
        let due = pairs.values().map(Pair::due).chain(asked).chain(questions);
        let due = due.chain(*start).chain(*again).min();
        if let Some(timer) = timer.take() {
            self.agent.timers.cancel(timer);
        }
        *timer = due.map(|due| self.agent.timers.set(due, Alarm::Mapping));
    }

    /// Forgets all of it, and gives back the pairs that no call has yet.
    pub(super) fn close_mappings(&mut self, host: &mut dyn Host) {
        let mappings = core::mem::take(&mut self.mappings);
        if let Some(timer) = mappings.timer {
            self.agent.timers.cancel(timer);
        }
        for port in mappings.pairs.keys().copied() {
            self.agent.release_now(host, port);
        }
    }
}

/// An IPv4 address that is written as IPv6 is the IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl Pair {
    /// Sends what is due.
    fn ask(&mut self, host: &mut dyn Host, port: MediaPort) {
        let now = host.now();
        for (index, channel) in [Channel::Rtp, Channel::Rtcp].into_iter().enumerate() {
            let answered = self.answers.get(index).is_some_and(Option::is_some);
            let Some(question) = self.questions.get_mut(index) else { continue };
            if !answered
                && question.due() <= now
                && let Some(bytes) = question.next(now)
            {
                let to = question.to();
                host.send(Outbound::Media { port, channel, to, bytes: &bytes });
            }
        }
    }

    fn is_answered(&self) -> bool {
        self.answers.iter().all(Option::is_some)
    }

    /// When it has to be looked at again.
    fn due(&self) -> Instant {
        let open = self.questions.iter().zip(&self.answers).filter(|(_, answer)| answer.is_none());
        open.map(|(question, _)| question.due()).min().unwrap_or(self.until).min(self.until)
    }
}
