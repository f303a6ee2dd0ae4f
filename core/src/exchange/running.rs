//! An exchange at work: what becomes of each message.

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

use super::admission::{Admission, Denied, user_of};
use super::context::ResponseContext;
use super::domain::Domain;
use super::next_hop::Waiting;
use super::registrar::{Granted, Refused, Registrar, is_supported};
use super::route::Plan;
use super::seal::Seal;
use super::side::PeerFlow;
use super::sources::{RateDecision, Sources};
use super::target::Target;
use super::{ExchangeEvent, ExchangeParameters, MAX_CONNECTIONS, MAX_EVENTS, MAX_TRANSACTIONS};
use crate::auth::Asker;
use crate::host::{Flow, Host, Inbound, Outbound, Records, RequestId, Transport};
use crate::map::{Map, Set};
use crate::nat::{answer_binding, is_stun};
use crate::sip::{HeaderName, Message, Method, Scheme, Uri, Writer, reason_phrase, unescape};
use crate::slab::{Slab, Slot};
use crate::stream::{Closed, ConnectionLimits, Connections, Decoded};
use crate::table::Table;
use crate::time::Instant;
use crate::timers::Timers;
use crate::transaction::{ClientId, Failure, Layer, Limits, Received, ServerId};

/// What the exchange answers and forwards, for Allow (RFC 3261 §20.5).
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, UPDATE, PRACK, REFER, NOTIFY, SUBSCRIBE, MESSAGE";

/// Retry-After of a 503, in seconds.
const RETRY_AFTER: u32 = 10;
/// Flow-Timer in seconds: how often a telephone that has registered by RFC 5626 sends keep-alives
/// (§5.4).
const FLOW_TIMER: &str = "120";

/// The state of an exchange that has started.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) parameters: ExchangeParameters,
    pub(super) layer: Layer,
    pub(super) domain: Domain,
    pub(super) seal: Seal,
    registrar: Registrar,
    admission: Admission,
    sources: Sources,
    events: VecDeque<ExchangeEvent>,
    // The proxy's; see there.
    pub(super) contexts: Slab<ResponseContext>,
    pub(super) by_client: Table<ClientId, (Slot, usize)>,
    pub(super) by_server: Table<ServerId, Slot>,
    /// The INVITEs that came, or went on, by connections.
    pub(super) by_flow: Map<Flow, Set<Slot>>,
    pub(super) timers: Timers<Alarm>,
    pub(super) connections: Connections,
    /// The sockets that lead to peers over UDP, and who we are there.
    pub(super) sockets: Map<IpAddr, (Flow, SocketAddr)>,
    /// What waits for an answer of the host.
    pub(super) waiting: Map<RequestId, Waiting>,
    pub(super) last_request: u64,
    /// For what is written.
    pub(super) buffer: Vec<u8>,
}

/// What a timer of the proxy is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Alarm {
    /// A branch took too long.
    Branch(Slot, usize),
    /// No further 2xx is to be expected.
    Linger(Slot),
}

/// A request to be answered.
pub(super) struct ReceivedRequest {
    pub(super) server: ServerId,
    pub(super) message: Message,
    /// Where it came from.
    pub(super) origin: PeerFlow,
}

impl Running {
    pub(super) fn new(host: &mut dyn Host, parameters: ExchangeParameters) -> Self {
        let limits = Limits {
            transactions: MAX_TRANSACTIONS,
            // A proxy passes each branch of an upstream fork on (RFC 3261 §16.2).
            merged_requests_are_loops: false,
            ..Limits::default()
        };
        Self {
            layer: Layer::new(host, limits),
            domain: Domain::new(&parameters),
            seal: Seal::new(host, parameters.secret.as_deref()),
            registrar: Registrar::new(&parameters),
            admission: Admission::new(host, &parameters),
            sources: Sources::new(&parameters),
            events: VecDeque::new(),
            contexts: Slab::new(),
            by_client: Table::new(host),
            by_server: Table::new(host),
            by_flow: Map::new(),
            timers: Timers::new(),
            connections: Connections::new(ConnectionLimits {
                accepted: MAX_CONNECTIONS,
                // It counts those of each source itself.
                per_source: usize::MAX,
                opened: MAX_CONNECTIONS,
                ..ConnectionLimits::default()
            }),
            sockets: Map::new(),
            waiting: Map::new(),
            last_request: 0,
            buffer: Vec::new(),
            parameters,
        }
    }

    pub(super) fn next_event(&mut self) -> Option<ExchangeEvent> {
        while let Some(event) = self.sources.next_event() {
            self.emit(event);
        }
        self.events.pop_front()
    }

    pub(super) fn contacts(&self, user: &str) -> Option<Vec<String>> {
        self.registrar.contacts(user)
    }

    pub(super) fn requests(&self) -> usize {
        self.contexts.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.layer.next_deadline(),
            self.timers.next_deadline(),
            self.registrar.next_deadline(),
            self.connections.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    pub(super) fn handle_deadline(&mut self, host: &mut dyn Host) {
        let now = host.now();
        self.layer.handle_deadline(host);
        while let Some((_, due)) = self.timers.pop_due(now) {
            match due {
                Alarm::Branch(slot, branch) => self.branch_is_late(host, slot, branch),
                Alarm::Linger(slot) => self.forget(slot),
            }
        }
        let mut events = Vec::new();
        self.registrar.expire(now, &mut events);
        self.emit_all(events);
        let Self { connections, registrar, .. } = self;
        connections.handle_deadline(host, |flow, peer| registrar.uses(PeerFlow { flow, peer }));
        self.handle_closed(host);
        self.handle_failures(host);
    }

    pub(super) fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        match inbound {
            // RFC 5626 §5.4: a server answers STUN where it takes SIP.
            // Who asks keeps something up, so it has the room of what is within calls.
            Inbound::Datagram { flow, from, bytes }
                if flow.transport == Transport::Udp && is_stun(bytes) =>
            {
                let decision = self.sources.check_request(from.ip(), host.now(), true);
                if decision == RateDecision::Serve
                    && let Some(answer) = answer_binding(bytes, from)
                {
                    host.send(Outbound::Datagram { flow, to: from, bytes: &answer });
                }
            }
            Inbound::Datagram { flow, from, bytes } | Inbound::Stream { flow, from, bytes } => {
                let (along, mut piece) = (PeerFlow { flow, peer: from }, bytes);
                while let Some(decoded) = self.connections.decode(host, flow, from, &mut piece) {
                    match decoded {
                        Decoded::Message(message) => self.handle_message(host, along, message),
                        Decoded::Malformed { .. } => {
                            self.sources.check_request(from.ip(), host.now(), false);
                        }
                        Decoded::Pong => {}
                    }
                }
            }
            Inbound::SendFailed { flow, to } => self.send_failed(host, PeerFlow { flow, peer: to }),
            Inbound::FlowOpened { id, flow, local, certificate } => {
                self.flow_opened(host, id, flow, local, certificate);
            }
            Inbound::FlowFailed { id, failure } => self.flow_failed(host, id, failure),
            Inbound::FlowAccepted { flow, from, local, certificate } => {
                self.domain.learn(local);
                if !self.sources.connect(flow, from.ip(), host.now()) {
                    host.send(Outbound::CloseFlow { flow });
                } else if !self.connections.accepted(host, flow, from, local, certificate) {
                    self.sources.disconnect(flow);
                }
            }
            Inbound::FlowClosed { flow } => self.connections.closed(flow),
            Inbound::Resolved { id, records: Records::Addresses(addresses), .. } => {
                self.resolved(host, id, addresses);
            }
            Inbound::ResolveFailed { id, .. } => self.fail_waiting(host, id),
            // The exchange asks for nothing else.
            _ => {}
        }
        self.handle_closed(host);
        self.handle_failures(host);
    }

    fn handle_message(&mut self, host: &mut dyn Host, origin: PeerFlow, message: Message) {
        if message.is_request() {
            let within = message.to_tag().is_some() || *message.method() == Method::Cancel;
            match self.sources.check_request(origin.peer.ip(), host.now(), within) {
                RateDecision::Serve => {}
                RateDecision::Refuse if *message.method() != Method::Ack => {
                    return self.turn_away(host, origin, &message);
                }
                RateDecision::Refuse => return,
                // On a connection only its end holds back who does not listen.
                RateDecision::Drop => return self.connections.close(host, origin.flow),
            }
        }
        match self.layer.handle_message(host, origin.flow, origin.peer, message) {
            Some(Received::Request { id: server, message, .. }) => {
                self.handle_request(host, ReceivedRequest { server, message, origin });
            }
            Some(Received::Ack { message, from, .. }) => self.forward_ack(host, message, from),
            Some(Received::Response { id, message }) => self.handle_response(host, id, message),
            // RFC 6026 §7.3: not to be forwarded.
            Some(Received::StrayResponse { .. }) | None => {}
        }
    }

    /// Nothing more comes or goes on these connections.
    fn handle_closed(&mut self, host: &mut dyn Host) {
        while let Some(Closed { flow, far, .. }) = self.connections.next_closed() {
            let Some(peer) = far else { continue };
            let along = PeerFlow { flow, peer };
            self.sources.disconnect(along.flow);
            self.abandon_calls(host, along.flow);
            self.lose(along);
            self.layer.handle_flow_closed(host, along.flow);
        }
    }

    /// Answers 503 without keeping anything of the request (RFC 3261 §21.5.4).
    fn turn_away(&mut self, host: &mut dyn Host, origin: PeerFlow, request: &Message) {
        let (tag, from) = (new_tag(host), Some(origin.peer));
        let buffer = &mut self.buffer;
        let mut writer =
            Writer::response_to(buffer, request, 503, reason_phrase(503), Some(&tag), from);
        writer.field(HeaderName::RetryAfter, RETRY_AFTER);
        writer.finish();
        let flow = origin.flow;
        let to = request.via().return_address(flow.transport, origin.peer);
        host.send(Outbound::Datagram { flow, to, bytes: &self.buffer });
    }

    /// The network does not take what is sent on a flow. Over UDP that may pass, and a telephone behind
    /// a NAT has no other flow to it: only what was under way has failed.
    fn send_failed(&mut self, host: &mut dyn Host, along: PeerFlow) {
        if along.flow.transport.is_reliable() {
            self.lose(along);
        }
        self.layer.handle_send_failed(host, along.flow, along.peer);
    }

    /// Nobody is reached along a flow any more.
    fn lose(&mut self, along: PeerFlow) {
        let mut events = Vec::new();
        self.registrar.lose(along, &mut events);
        self.emit_all(events);
    }

    fn handle_failures(&mut self, host: &mut dyn Host) {
        while let Some(failure) = self.layer.next_event() {
            // Who did not take our answer is no longer there.
            if let Failure::ClientFailed { id, cause } = failure {
                self.client_failed(host, id, cause);
            }
        }
    }

    // --- requests ---

    fn handle_request(&mut self, host: &mut dyn Host, received: ReceivedRequest) {
        let request = received.message.clone();
        if *request.method() == Method::Cancel {
            return self.handle_cancel(host, &received);
        }
        let Some(uri) = request.uri() else { return self.refuse(host, &received, 400) };
        match uri.scheme() {
            Scheme::Sip | Scheme::Tel => {}
            // RFC 5630 §5.3: nobody asks for security in the clear.
            Scheme::Sips if received.origin.flow.transport.is_secure() => {}
            Scheme::Sips if self.domain.is_secure() => return self.refuse(host, &received, 400),
            // §16.3 step 2.
            _ => return self.refuse(host, &received, 416),
        }
        // Who has connected to us by that name connects again by it (RFC 5922 §7.2).
        let by_name = |name: &&String| name.eq_ignore_ascii_case(uri.host());
        if let Some(name) = self.parameters.domains.iter().find(by_name) {
            self.connections.note_known_as(received.origin.flow, name);
        }
        if *request.method() == Method::Register {
            return self.handle_register(host, &received, &uri);
        }
        match Plan::read(&request, &self.domain, self.seal) {
            Ok(plan) => self.handle_plan(host, received, plan),
            Err(status) => self.refuse(host, &received, status),
        }
    }

    /// Decides where a request goes (§16.3, §16.5).
    fn handle_plan(&mut self, host: &mut dyn Host, received: ReceivedRequest, plan: Plan) {
        let request = received.message.clone();
        let Ok(uri) = Uri::parse(&plan.uri) else { return self.refuse(host, &received, 400) };
        let ours = uri.scheme() == Scheme::Tel || self.domain.is_ours(&uri);
        let is_options = *request.method() == Method::Options;
        if is_options && !plan.sealed && ours && uri.user().is_none() {
            return self.answer_options(host, &received);
        }
        match request.max_forwards() {
            // §16.3 step 3; §11: who asks about this hop is answered.
            Some(0) if is_options => return self.answer_options(host, &received),
            Some(0) => return self.refuse(host, &received, 483),
            _ => {}
        }
        if self.came_from_here(&request) {
            return self.refuse(host, &received, 482);
        }
        if request.header(HeaderName::ProxyRequire).is_some() {
            return self.refuse_extensions(host, &received, HeaderName::ProxyRequire);
        }
        if plan.sealed {
            let target = self.target_within(&plan);
            return self.forward(host, received, true, vec![target]);
        }
        // Within a call, but none that we know: of before a restart perhaps.
        if request.to_tag().is_some() && (!ours || uri.user().is_none()) {
            return self.refuse(host, &received, 481);
        }
        if !ours || !plan.routes.is_empty() {
            return self.refuse(host, &received, 403);
        }
        if !self.admit(host, &received, Asker::Proxy) {
            return;
        }
        let user = uri.user().map(|user| unescape(user).into_owned());
        match user.and_then(|user| self.registrar.targets(&user)) {
            None => self.refuse(host, &received, 404),
            Some(targets) => {
                let sips = uri.scheme() == Scheme::Sips;
                let Some(targets) = Target::choose(targets, sips) else {
                    return self.refuse_sips(host, &received);
                };
                if targets.is_empty() {
                    return self.refuse(host, &received, 480);
                }
                if *request.method() == Method::Invite {
                    let from = request.from().uri_str().to_owned();
                    let (to, contacts) = (plan.uri, targets.len());
                    self.emit(ExchangeEvent::Call { from, to, contacts });
                }
                self.forward(host, received, false, targets);
            }
        }
    }

    /// Where a request within a call goes: along the flow that its route names or, when that is no
    /// more, along that by which its target is registered now. Where the route names none, the target
    /// is reached as its URI says, even if another user has registered such a contact.
    pub(super) fn target_within(&self, plan: &Plan) -> Target {
        let mut target = Target::of(plan);
        let is_lost = plan.bound && !plan.along.is_some_and(|along| self.is_alive(along));
        if target.routes.is_empty() && is_lost {
            target.along = self.registrar.flow_of(&target.uri);
        }
        target
    }

    /// §16.3 step 4: a request that passed here before. Nothing legitimate comes by twice, so it
    /// is not looked at whether it changed on its way (which would be a spiral).
    fn came_from_here(&self, request: &Message) -> bool {
        request.vias().flatten().any(|via| self.domain.is_own_via(&via))
    }

    fn handle_register(&mut self, host: &mut dyn Host, received: &ReceivedRequest, uri: &Uri<'_>) {
        let request = &received.message;
        if !self.domain.is_ours(uri) {
            return self.refuse(host, received, 403);
        }
        if !request.require().all(is_supported) {
            return self.refuse_extensions(host, received, HeaderName::Require);
        }
        // RFC 3327 §5.3: a proxy has put itself in the way of who does not know of it.
        if request.header(HeaderName::Path).is_some() && !request.supports("path") {
            return self.respond(host, received, 420, |writer| {
                writer.field(HeaderName::Unsupported, "path");
            });
        }
        if !self.admit(host, received, Asker::Server) {
            return;
        }
        let Some(user) = user_of(&request.to(), &self.domain) else {
            return self.refuse(host, received, 404);
        };
        if self.registers_us(request) {
            return self.refuse(host, received, 403);
        }
        let (now, mut events) = (host.now(), Vec::new());
        let result = self.registrar.register(&user, request, received.origin, now, &mut events);
        self.emit_all(events);
        match result {
            Ok(Granted { outbound }) => {
                let listing = self.registrar.listing(&user, now);
                self.respond(host, received, 200, |writer| {
                    listing.iter().for_each(|line| writer.field(HeaderName::Contact, line));
                    // RFC 3327 §5.3.
                    request.headers(HeaderName::Path).for_each(|path| {
                        writer.field(HeaderName::Path, path);
                    });
                    if outbound {
                        writer.field(HeaderName::Require, "outbound");
                        writer.extension("Flow-Timer", FLOW_TIMER);
                    }
                });
            }
            Err(Refused(status)) => self.refuse(host, received, status),
        }
        while let Some(left) = self.registrar.next_left() {
            self.connections.close(host, left.flow);
        }
    }

    /// Whether a contact is the exchange itself: calls to it would go round in circles.
    fn registers_us(&self, request: &Message) -> bool {
        request.contacts().flatten().any(|contact| self.domain.is_own_uri(&contact.uri()))
    }

    /// Lets a request in, or answers it.
    fn admit(&mut self, host: &mut dyn Host, received: &ReceivedRequest, asker: Asker) -> bool {
        let request = &received.message;
        let identity = match asker {
            Asker::Server => request.to(),
            Asker::Proxy => request.from(),
        };
        let (ip, now) = (received.origin.peer.ip(), host.now());
        let claimed = self.admission.claimed(asker, request, &self.parameters);
        let claimed = claimed.as_deref();
        let shows = request.header(asker.credentials_field()).is_some();
        if shows && !self.sources.may_guess(ip, now, claimed) {
            self.refuse(host, received, 503);
            return false;
        }
        let (parameters, domain) = (&self.parameters, &self.domain);
        match self.admission.admit(host, asker, (request, ip), &identity, parameters, domain) {
            Ok(_) => return true,
            Err(Denied::Wrong) => {
                self.sources.guessed(ip, now, claimed);
                self.refuse(host, received, 403);
            }
            Err(Denied::Refused(status)) => self.refuse(host, received, status),
            Err(Denied::Challenge { stale }) => {
                let challenges = self.admission.challenges(host, asker, ip, stale);
                self.respond(host, received, asker.status(), |writer| {
                    let name = asker.challenge_field();
                    challenges.iter().for_each(|challenge| writer.field(name, challenge));
                });
            }
        }
        false
    }

    // --- answers ---

    fn answer_options(&mut self, host: &mut dyn Host, received: &ReceivedRequest) {
        self.respond(host, received, 200, |writer| {
            writer.field(HeaderName::Allow, ALLOW);
            writer.field(HeaderName::Accept, "application/sdp");
        });
    }

    /// §8.2.2.3, §16.3 step 5.
    fn refuse_extensions(
        &mut self,
        host: &mut dyn Host,
        received: &ReceivedRequest,
        name: HeaderName,
    ) {
        let known = name == HeaderName::Require;
        let tags = received.message.values(name).filter(|tag| !known || !is_supported(tag));
        self.respond(host, received, 420, |writer| {
            tags.for_each(|tag| writer.field(HeaderName::Unsupported, tag));
        });
    }

    /// Nobody who is called can be reached in private (RFC 5630 §5.3).
    fn refuse_sips(&mut self, host: &mut dyn Host, received: &ReceivedRequest) {
        let warning = format!("380 {} \"SIPS Not Allowed\"", self.parameters.realm);
        self.respond(host, received, 480, |writer| writer.field(HeaderName::Warning, warning));
        self.report_refused(received, 480);
    }

    /// Answers with an error, and reports that.
    pub(super) fn refuse(&mut self, host: &mut dyn Host, received: &ReceivedRequest, status: u16) {
        let min_expires = self.registrar.min_expires();
        self.respond(host, received, status, |writer| match status {
            423 => writer.field(HeaderName::MinExpires, min_expires),
            503 => writer.field(HeaderName::RetryAfter, RETRY_AFTER),
            _ => {}
        });
        self.report_refused(received, status);
    }

    fn report_refused(&mut self, received: &ReceivedRequest, status: u16) {
        let (message, source) = (&received.message, received.origin.peer);
        let identity = match message.method() {
            Method::Register => message.to(),
            _ => message.from(),
        };
        let user = identity.uri().user().map(|user| unescape(user).into_owned());
        let method = message.method().clone();
        self.emit(ExchangeEvent::Refused { method, source, user, code: status });
    }

    /// Writes and sends a response of our own.
    pub(super) fn respond(
        &mut self,
        host: &mut dyn Host,
        received: &ReceivedRequest,
        status: u16,
        more: impl FnOnce(&mut Writer<'_>),
    ) {
        let tag = new_tag(host);
        let (reason, source) = (reason_phrase(status), Some(received.origin.peer));
        let buffer = &mut self.buffer;
        let mut writer =
            Writer::response_to(buffer, &received.message, status, reason, Some(&tag), source);
        more(&mut writer);
        writer.field(HeaderName::Server, &self.parameters.server);
        writer.finish();
        self.layer.respond(host, received.server, status, &self.buffer);
    }

    // --- events ---

    pub(super) fn emit(&mut self, event: ExchangeEvent) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn emit_all(&mut self, events: Vec<ExchangeEvent>) {
        events.into_iter().for_each(|event| self.emit(event));
    }
}

fn new_tag(host: &mut dyn Host) -> String {
    format!("{:016x}", host.random())
}
