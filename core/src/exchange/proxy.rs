//! Forwarding (RFC 3261 §16.6 to §16.10).

use core::net::SocketAddr;

use super::context::{Branch, BranchOutcome, BranchState, ResponseContext};
use super::next_hop::Pending;
use super::rewrite::{self, Changes};
use super::route::Plan;
use super::running::{Alarm, ReceivedRequest, Running};
use super::side::{PeerFlow, Side};
use super::target::{LargeRequests, Target};
use super::{LINGER, MAX_REQUESTS, TIMER_C};
use crate::host::{Flow, Host, Outbound};
use crate::sip::{Message, Method, NameAddr, Reason, Scheme, Uri, Writer, reason_phrase};
use crate::slab::Slot;
use crate::time::Duration;
use crate::timers::TimerId;
use crate::transaction::{ClientId, FailureCause, Layer};

/// How many hops a request without Max-Forwards may still take (§16.6 step 3).
const MAX_FORWARDS: u8 = 70;
/// How long who was called may take to connect again after his connection was lost.
const RETURN_WITHIN: Duration = Duration::from_secs(5);
/// The largest request that goes as a datagram (§18.1.1), in bytes.
const MAX_DATAGRAM: usize = 1_300;

impl Running {
    /// Forwards a request to all targets at once (§16.6).
    pub(super) fn forward(
        &mut self,
        host: &mut dyn Host,
        received: ReceivedRequest,
        sealed: bool,
        targets: Vec<Target>,
    ) {
        if self.contexts.len() >= MAX_REQUESTS {
            return self.refuse(host, &received, 503);
        }
        let ReceivedRequest { server, message: request, origin } = received;
        let branch = |target| {
            let state = BranchState::Done(BranchOutcome::Failed(480));
            Branch { target, state, client: None, flow: None, timer: None }
        };
        let branches: Vec<Branch> = targets.into_iter().map(branch).collect();
        // Who is reached at another address of ours than the one that sent the request has to be
        // told both: see `record_routes`.
        let records = request.method().makes_dialog();
        let is_known = !records || self.side(origin, false).is_some();
        let (answered, reasons, linger) = (false, Vec::new(), None);
        let context = ResponseContext {
            server,
            request,
            origin,
            sealed,
            branches,
            answered,
            reasons,
            linger,
        };
        let slot = self.contexts.insert(context);
        self.by_server.insert(server, slot);
        if records && origin.flow.transport.is_reliable() {
            self.by_flow.or_default(origin.flow).insert(slot);
        }
        match is_known {
            true => self.launch_all(host, slot),
            false => self.find_source(host, slot, origin),
        }
        self.conclude(host, slot);
    }

    fn launch_all(&mut self, host: &mut dyn Host, slot: Slot) {
        let count = self.contexts.get(slot).map_or(0, |context| context.branches.len());
        for branch in 0..count {
            self.launch(host, slot, branch);
        }
    }

    /// Begins a branch: finds out where its next hop is (§16.6 steps 6 and 7).
    fn launch(&mut self, host: &mut dyn Host, slot: Slot, branch: usize) {
        let Some(context) = self.contexts.get(slot) else { return };
        let Some(target) = context.branches.get(branch).map(|branch| branch.target.clone()) else {
            return;
        };
        self.send_to(host, Pending::Branch(slot, branch), &target);
    }

    // --- sending ---

    pub(super) fn dispatch(&mut self, host: &mut dyn Host, what: Pending, side: Side) {
        let Side { along, .. } = side;
        match what {
            Pending::Start(slot) => self.start(host, slot),
            Pending::Ack(ack) => {
                let (message, source, plan) = *ack;
                let target = Target::of(&plan);
                if !is_allowed(&target, &side) {
                    return;
                }
                // §16.11: an ACK of a 2xx is its own transaction at each hop.
                let branch = Layer::new_branch(host);
                self.write(&message, &target, true, &side, &branch, source, &[]);
                let bytes = &self.buffer;
                host.send(Outbound::Datagram { flow: along.flow, to: along.peer, bytes });
            }
            Pending::Branch(slot, index) => {
                let branch = Layer::new_branch(host);
                let Some(context) = self.contexts.get(slot) else { return };
                let Some(target) = context.branches.get(index) else { return };
                let (request, origin) = (context.request.clone(), context.origin);
                let (sealed, target) = (context.sealed, target.target.clone());
                if !is_allowed(&target, &side) {
                    return self.give_up(what, 480);
                }
                let records = self.record_routes(&request, &origin, &side, &target.uri);
                self.write(&request, &target, sealed, &side, &branch, origin.peer, &records);
                if self.is_too_large(&target, &side) {
                    return self.find_stream(host, slot, index, along.peer);
                }
                let method = request.method();
                let (flow, to) = (along.flow, along.peer);
                let client = self.layer.request(host, flow, to, method, &branch, &self.buffer);
                self.by_client.insert(client, (slot, index));
                let state = BranchState::Sent { client, provisional: false, cancelled: false };
                self.set_state(slot, index, state);
                let connection = flow.transport.is_reliable() && *method == Method::Invite;
                let connection = connection.then_some(flow);
                if let Some(branch) = self.branch(slot, index) {
                    (branch.client, branch.flow) = (Some(client), connection);
                }
                if let Some(flow) = connection {
                    self.by_flow.or_default(flow).insert(slot);
                }
                let timer = (*method == Method::Invite).then_some(TIMER_C);
                self.set_timer(host, slot, index, timer);
            }
        }
    }

    /// Whether what was written should not go as a datagram (§18.1.1). Who is reached along the flow by
    /// which he registered has no other.
    fn is_too_large(&self, target: &Target, side: &Side) -> bool {
        let large = self.buffer.len() > MAX_DATAGRAM && target.large == LargeRequests::Unknown;
        large && !side.along.flow.transport.is_reliable() && !side.bound
    }

    /// It is known who we are where a request came from: its branches that nobody has given up
    /// meanwhile begin.
    fn start(&mut self, host: &mut dyn Host, slot: Slot) {
        let count = self.contexts.get(slot).map_or(0, |context| context.branches.len());
        for branch in 0..count {
            let waits = matches!(self.branch(slot, branch), Some(b) if b.waits());
            if waits {
                self.set_timer(host, slot, branch, None);
                self.launch(host, slot, branch);
            }
        }
    }

    /// The routes to record: ours on the side that the request leaves by and, where that differs
    /// from the one that it came on, that too (RFC 5658 §5). So each end of the call gets a route
    /// that it can reach, and each leads to the flow of the other.
    fn record_routes(
        &self,
        request: &Message,
        origin: &PeerFlow,
        side: &Side,
        target: &str,
    ) -> Vec<String> {
        if !request.method().makes_dialog() {
            return Vec::new();
        }
        let sips = Uri::parse(target).is_ok_and(|uri| uri.scheme() == Scheme::Sips);
        let route = |side: &Side| {
            let name = self.connections.known_as(side.along.flow);
            self.seal.record_route(side, name, request, sips)
        };
        let mut routes = vec![route(side)];
        if let Some(came) = self.side(*origin, origin.binds(request)) {
            let same = came.local == side.local
                && came.along.flow.transport == side.along.flow.transport
                && !came.bound
                && !side.bound;
            if !same {
                routes.push(route(&came));
            }
        }
        routes
    }

    /// Writes a request for its next hop into the buffer (§16.6).
    #[allow(clippy::too_many_arguments, reason = "all that a proxy changes")]
    fn write(
        &mut self,
        request: &Message,
        target: &Target,
        sealed: bool,
        side: &Side,
        branch: &str,
        source: SocketAddr,
        record_routes: &[String],
    ) {
        let mut routes = target.routes.clone();
        let mut uri = target.uri.clone();
        // Step 6: for a strict router its own route goes into the Request-URI, the target last.
        if let Some(first) = routes.first()
            && let Ok(first) = NameAddr::parse(first)
            && first.uri().param("lr").is_none()
        {
            let strict = first.uri_str().to_owned();
            routes.remove(0);
            routes.push(format!("<{uri}>"));
            uri = strict;
        }
        let changes = Changes {
            uri: &uri,
            routes: &routes,
            side,
            branch,
            record_routes,
            source,
            max_forwards: request.max_forwards().map_or(MAX_FORWARDS, |n| n.saturating_sub(1)),
            realm: &self.parameters.realm,
            keep_identity: sealed,
        };
        rewrite::request(&mut self.buffer, request, &changes);
    }

    /// Forwards an ACK of a 2xx, if it belongs to a call of ours.
    pub(super) fn forward_ack(&mut self, host: &mut dyn Host, ack: Message, source: SocketAddr) {
        let Ok(plan) = Plan::read(&ack, &self.domain, self.seal) else { return };
        if !plan.sealed || ack.max_forwards() == Some(0) {
            return;
        }
        let target = self.target_within(&plan);
        self.send_to(host, Pending::Ack(Box::new((ack, source, plan))), &target);
    }

    // --- responses ---

    /// §16.7.
    pub(super) fn handle_response(
        &mut self,
        host: &mut dyn Host,
        client: ClientId,
        response: Message,
    ) {
        let Some(&(slot, branch)) = self.by_client.get(&client) else { return };
        match response.status().unwrap_or(500) {
            ..=199 => self.handle_provisional(host, slot, branch, client, &response),
            200..=299 => {
                let fresh = self.contexts.get(slot).is_some_and(|c| c.is_invite() || !c.answered);
                if fresh {
                    self.pass_on(host, slot, &response);
                }
                self.end_branch(host, slot, branch, BranchOutcome::Response(response));
                // RFC 3326 §3.1: whoever still rings has missed nothing.
                let elsewhere = Reason::sip(Reason::ANSWERED_ELSEWHERE);
                self.cancel_rest(host, slot, vec![elsewhere.text("Call completed elsewhere")]);
            }
            status => {
                self.end_branch(host, slot, branch, BranchOutcome::Response(response));
                if status >= 600 {
                    self.cancel_rest(host, slot, Vec::new());
                }
            }
        }
        self.conclude(host, slot);
    }

    fn handle_provisional(
        &mut self,
        host: &mut dyn Host,
        slot: Slot,
        branch: usize,
        client: ClientId,
        response: &Message,
    ) {
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let (is_invite, answered) = (context.is_invite(), context.answered);
        let Some(Branch { state: BranchState::Sent { provisional, cancelled, .. }, .. }) =
            context.branches.get_mut(branch)
        else {
            return;
        };
        // §9.1: a CANCEL that had to wait for this.
        let cancel_now = *cancelled && !*provisional;
        let is_cancelled = *cancelled;
        *provisional = true;
        if cancel_now {
            self.layer.cancel_for(host, client, &context.reasons);
        }
        if response.status() == Some(100) {
            return;
        }
        if is_invite && !is_cancelled {
            self.set_timer(host, slot, branch, Some(TIMER_C));
        }
        if !answered {
            self.pass_on(host, slot, response);
        }
    }

    /// A branch got no response (§16.7: a timeout is a 408). That its contact cannot be reached
    /// would be a 503 by §16.9, and so a 500 for the caller; but nothing here is broken, a telephone
    /// is gone, and 480 says that.
    pub(super) fn client_failed(
        &mut self,
        host: &mut dyn Host,
        client: ClientId,
        cause: FailureCause,
    ) {
        let Some(&(slot, branch)) = self.by_client.get(&client) else { return };
        let state = self.contexts.get(slot).and_then(|c| c.branches.get(branch)).map(|b| &b.state);
        let status = match (state, cause) {
            (Some(BranchState::Sent { cancelled: true, .. }), _) => 487,
            (_, FailureCause::Timeout) => 408,
            (_, FailureCause::Transport) => 480,
            _ => 503,
        };
        self.end_branch(host, slot, branch, BranchOutcome::Failed(status));
        self.conclude(host, slot);
    }

    /// The host did not answer, or Timer C fired (§16.8).
    pub(super) fn branch_is_late(&mut self, host: &mut dyn Host, slot: Slot, branch: usize) {
        let flow = self.branch(slot, branch).and_then(|branch| branch.flow);
        let is_lost = flow.is_some_and(|flow| !self.connections.contains(flow));
        let Some(late) = self.branch(slot, branch) else { return };
        late.timer = None;
        match late.state {
            BranchState::Waiting(id) => self.fail_waiting(host, id),
            BranchState::Sent { client, .. } if is_lost => {
                self.layer.abandon(client);
                self.end_branch(host, slot, branch, BranchOutcome::Failed(480));
            }
            BranchState::Sent { provisional: true, .. } => self.cancel_branch(host, slot, branch),
            BranchState::Sent { client, .. } => {
                self.layer.abandon(client);
                self.end_branch(host, slot, branch, BranchOutcome::Failed(408));
            }
            BranchState::Done(_) => {}
        }
        self.conclude(host, slot);
    }

    /// Passes the best response on when every branch is over, and forgets what needs no more.
    pub(super) fn conclude(&mut self, host: &mut dyn Host, slot: Slot) {
        let Some(context) = self.contexts.get_mut(slot).filter(|context| context.is_done()) else {
            return;
        };
        if !context.answered {
            context.answered = true;
            let best = context.best().cloned().unwrap_or(BranchOutcome::Failed(480));
            match best {
                // §16.7 step 6: a 503 of one server says nothing of the next request.
                ref failed if failed.status() == 503 => self.answer(host, slot, 500),
                BranchOutcome::Response(response) => self.pass_on(host, slot, &response),
                // RFC 4320 §4.2: nobody waits any more for the 408 of anything but INVITE.
                BranchOutcome::Failed(408) if !context.is_invite() => {}
                BranchOutcome::Failed(status) => self.answer(host, slot, status),
            }
        }
        let Some(context) = self.contexts.get_mut(slot) else { return };
        if !(context.is_invite() && context.is_accepted()) {
            self.forget(slot);
        } else if context.linger.is_none() {
            context.linger = Some(self.timers.set(host.now() + LINGER, Alarm::Linger(slot)));
        }
    }

    /// Sends a response of a branch back to where the request came from.
    fn pass_on(&mut self, host: &mut dyn Host, slot: Slot, response: &Message) {
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let status = response.status().unwrap_or(500);
        context.answered |= status >= 200;
        let challenges = match status {
            401 | 407 => context.other_challenges(response),
            _ => Vec::new(),
        };
        rewrite::response(&mut self.buffer, response, self.seal, &challenges);
        self.layer.respond(host, context.server, status, &self.buffer);
    }

    /// Answers a forwarded request ourselves.
    fn answer(&mut self, host: &mut dyn Host, slot: Slot, status: u16) {
        let Some(context) = self.contexts.get(slot) else { return };
        let server = context.server;
        let tag = format!("{:016x}", host.random());
        let (request, source) = (&context.request, Some(context.origin.peer));
        let reason = reason_phrase(status);
        Writer::response_to(&mut self.buffer, request, status, reason, Some(&tag), source).finish();
        self.layer.respond(host, server, status, &self.buffer);
    }

    // --- cancelling ---

    /// §16.10, §9.2.
    pub(super) fn handle_cancel(&mut self, host: &mut dyn Host, received: &ReceivedRequest) {
        let Some(server) = self.layer.server_for_cancel(&received.message) else {
            return self.refuse(host, received, 481);
        };
        self.respond(host, received, 200, |_| {});
        if let Some(&slot) = self.by_server.get(&server) {
            // RFC 3326 §2: they are passed on.
            self.cancel_rest(host, slot, Reason::of(&received.message));
            self.conclude(host, slot);
        }
    }

    /// A connection is over. No answer can reach those who called on it: their calls that still
    /// ring are cancelled. A callee that rings at its other end may connect again and go on.
    pub(super) fn abandon_calls(&mut self, host: &mut dyn Host, flow: Flow) {
        for slot in self.by_flow.remove(&flow).unwrap_or_default().into_keys() {
            let Some(context) = self.contexts.get(slot) else { continue };
            if context.origin.flow == flow {
                self.cancel_rest(host, slot, Vec::new());
                self.conclude(host, slot);
                continue;
            }
            for index in 0..context.branches.len() {
                let branch = self.branch(slot, index).filter(|branch| branch.flow == Some(flow));
                if branch.is_some_and(|branch| branch.rings()) {
                    self.set_timer(host, slot, index, Some(RETURN_WITHIN));
                }
            }
        }
    }

    /// Cancels every branch of an INVITE that is not over (§16.7 step 10).
    fn cancel_rest(&mut self, host: &mut dyn Host, slot: Slot, reasons: Vec<Reason>) {
        let Some(context) = self.contexts.get_mut(slot).filter(|context| context.is_invite())
        else {
            return;
        };
        context.reasons = reasons;
        for branch in 0..context.branches.len() {
            self.cancel_branch(host, slot, branch);
        }
    }

    fn cancel_branch(&mut self, host: &mut dyn Host, slot: Slot, index: usize) {
        let Some(ResponseContext { branches, reasons, .. }) = self.contexts.get_mut(slot) else {
            return;
        };
        let Some(branch) = branches.get_mut(index) else { return };
        match &mut branch.state {
            BranchState::Waiting(id) => {
                self.waiting.remove(id);
                branch.state = BranchState::Done(BranchOutcome::Failed(487));
                self.set_timer(host, slot, index, None);
            }
            BranchState::Sent { client, provisional, cancelled } if !*cancelled => {
                *cancelled = true;
                // Before a provisional response there must be no CANCEL: it follows the first.
                if *provisional {
                    let client = *client;
                    self.layer.cancel_for(host, client, reasons);
                }
                // From here on the transaction itself ends in time.
                self.set_timer(host, slot, index, None);
            }
            BranchState::Sent { .. } | BranchState::Done(_) => {}
        }
    }

    // --- book-keeping ---

    fn end_branch(
        &mut self,
        host: &mut dyn Host,
        slot: Slot,
        branch: usize,
        outcome: BranchOutcome,
    ) {
        self.set_timer(host, slot, branch, None);
        if outcome.is_flow_failure() && self.try_spare(host, slot, branch) {
            return;
        }
        self.set_state(slot, branch, BranchState::Done(outcome));
    }

    /// RFC 5626 §7: another flow to the same telephone takes the place of one that has failed.
    fn try_spare(&mut self, host: &mut dyn Host, slot: Slot, index: usize) -> bool {
        let answered = self.contexts.get(slot).is_none_or(|context| context.answered);
        let Some(branch) = self.branch(slot, index).filter(|_| !answered) else { return false };
        if branch.is_cancelled() || branch.target.spare.is_empty() {
            return false;
        }
        let mut spare = core::mem::take(&mut branch.target.spare);
        branch.target = spare.remove(0);
        branch.target.spare = spare;
        if let Some(client) = branch.client.take() {
            self.by_client.remove(&client);
        }
        self.launch(host, slot, index);
        true
    }

    pub(super) fn branch(&mut self, slot: Slot, index: usize) -> Option<&mut Branch> {
        self.contexts.get_mut(slot)?.branches.get_mut(index)
    }

    pub(super) fn set_state(&mut self, slot: Slot, index: usize, state: BranchState) {
        if let Some(branch) = self.branch(slot, index) {
            branch.state = state;
        }
    }

    pub(super) fn set_timer(
        &mut self,
        host: &mut dyn Host,
        slot: Slot,
        index: usize,
        after: Option<Duration>,
    ) {
        if let Some(timer) = self.take_timer(slot, index) {
            self.timers.cancel(timer);
        }
        let Some(after) = after else { return };
        let timer = self.timers.set(host.now() + after, Alarm::Branch(slot, index));
        match self.branch(slot, index) {
            Some(branch) => branch.timer = Some(timer),
            None => drop(self.timers.cancel(timer)),
        }
    }

    pub(super) fn take_timer(&mut self, slot: Slot, index: usize) -> Option<TimerId> {
        self.branch(slot, index)?.timer.take()
    }

    /// Lets a request go with all that belongs to it.
    pub(super) fn forget(&mut self, slot: Slot) {
        let Some(context) = self.contexts.remove(slot) else { return };
        self.by_server.remove(&context.server);
        let flows = context.branches.iter().filter_map(|branch| branch.flow);
        for flow in flows.chain([context.origin.flow]) {
            if let Some(slots) = self.by_flow.get_mut(&flow) {
                slots.remove(&slot);
                if slots.is_empty() {
                    self.by_flow.remove(&flow);
                }
            }
        }
        for branch in &context.branches {
            branch.client.map(|client| self.by_client.remove(&client));
            branch.timer.map(|timer| self.timers.cancel(timer));
        }
        context.linger.map(|timer| self.timers.cancel(timer));
    }
}

/// Whether a request may leave by a side: to a sips URI nothing goes in the clear (§26.2.2).
fn is_allowed(target: &Target, side: &Side) -> bool {
    !target.is_sips() || side.along.flow.transport.is_secure()
}
