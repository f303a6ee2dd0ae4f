//! What happens in a call of the host: commands are carried out, deadlines met, and answers of the
//! host passed to their owners.

use std::sync::Arc;

use super::out_of_dialog::{OutOfDialogRequest, RequestOutcome};
use super::{Intent, Phone, Stopping};
use crate::agent::{Alarm, Context, Lost, MediaPorts, Owner, Path, Response, SearchResult};
use crate::call::Call;
use crate::event::{CallId, Event, PhoneEvent, PhoneStatus, SipRequestId};
use crate::host::{Host, Inbound, MediaPort, Outbound, RequestId};
use crate::registration::{Registration, RegistrationOutcome};
use crate::sip::HeaderName;
use crate::stream::Closed;
use crate::time::Duration;
use crate::transaction::{ClientId, Failure, FailureCause};

/// How long a phone that stops waits for its calls to end: a few retransmissions of BYE.
const STOP_CALLS_WITHIN: Duration = Duration::from_secs(8);

/// How long it then waits for the server to let it go.
const STOP_REGISTRATION_WITHIN: Duration = Duration::from_secs(4);

impl Phone {
    /// Carries out what commands asked for.
    pub(super) fn carry_out(&mut self, host: &mut dyn Host) {
        while let Some(intent) = self.intents.pop_front() {
            match intent {
                Intent::Start => self.begin(host),
                Intent::Stop => self.begin_stop(host),
                Intent::Place(id) => self.with_call(host, id, Call::place),
                Intent::Answer(id) => self.with_call(host, id, Call::answer),
                Intent::Progress(id) => self.with_call(host, id, Call::progress),
                Intent::Hangup(id, reasons) => {
                    self.with_call(host, id, |call, cx| call.hangup(cx, reasons));
                }
                Intent::Hold(id, held) => self.with_call(host, id, |call, cx| call.hold(cx, held)),
                Intent::Cancel(id, reasons) => {
                    self.with_call(host, id, |call, cx| call.cancel(cx, reasons));
                }
                Intent::Transfer(id, order) => {
                    self.with_call(host, id, |call, cx| call.transfer(cx, *order));
                }
                Intent::Follow(id) => self.with_call(host, id, Call::follow),
                Intent::Decline(id) => self.with_call(host, id, Call::decline),
                Intent::Silent(id) => self.with_call(host, id, Call::handle_silence),
                Intent::Deny(id, denial) => self.with_call(host, id, |call, cx| {
                    let mut response = Response::new(denial.code).reason(denial.reason.as_deref());
                    if let Some(seconds) = denial.retry_after {
                        response = response.field(HeaderName::RetryAfter, seconds.to_string());
                    }
                    if let Some(contact) = denial.contact {
                        response = response.field(HeaderName::Contact, contact);
                    }
                    call.deny(cx, response);
                }),
                Intent::RequestWithin(id) => self.with_call(host, id, Call::send_requests),
                Intent::Move => self.change_network(host),
                Intent::Send(id) if self.must_wait(id) => {}
                Intent::Send(id) => self.with_request(host, id, OutOfDialogRequest::start),
            }
        }
    }

    /// Takes what the host says, and passes it to the part of the phone that it is for.
    pub(super) fn dispatch(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        match inbound {
            Inbound::Datagram { flow, from, bytes } | Inbound::Stream { flow, from, bytes } => {
                self.handle_bytes(host, flow, from, bytes);
            }
            Inbound::SendFailed { flow, to } => {
                self.agent.transactions(host).handle_send_failed(host, flow, to);
            }
            Inbound::Resolved { id, records, .. }
                if self.server_resolved(host, id, Some(records)) => {}
            Inbound::ResolveFailed { id, .. } if self.server_resolved(host, id, None) => {}
            Inbound::Resolved { id, records, ttl } => {
                let answers = self.agent.handle_resolved(host, id, records, ttl);
                self.pass_on_path(host, answers);
            }
            Inbound::FlowOpened { id, flow, .. } if self.server_reached(host, id, Some(flow)) => {}
            Inbound::FlowFailed { id, .. } if self.server_reached(host, id, None) => {}
            Inbound::FlowOpened { id, flow, local, certificate } => {
                let answers = self.agent.handle_flow_opened(host, id, flow, local, certificate);
                self.pass_on_path(host, answers);
            }
            Inbound::FlowFailed { id, failure } => {
                let answers = self.agent.handle_flow_failed(host, id, failure);
                self.pass_on_path(host, answers);
            }
            Inbound::ResolveFailed { id, problem } => {
                let answers = self.agent.handle_resolve_failed(host, id, problem);
                self.pass_on_path(host, answers);
            }
            Inbound::MediaBound { id, port, rtp, rtcp } => {
                match self.agent.take_bind(id) {
                    Some(call) if self.calls.contains_key(&call) => {
                        self.map_ports(host, call, MediaPorts { port, rtp, rtcp, mapped: None });
                    }
                    // Late: its call has ended.
                    _ => self.agent.release_now(host, port),
                }
            }
            Inbound::MediaUnavailable { id } => self.no_ports(host, id),
            Inbound::Media { port, channel, from, bytes } => {
                self.handle_media(host, (port, channel), from, bytes);
            }
            // A phone that has not started has no business with anybody.
            Inbound::FlowAccepted { flow, .. } if self.status == PhoneStatus::Inactive => {
                host.send(Outbound::CloseFlow { flow });
            }
            Inbound::FlowAccepted { flow, from, local, certificate } => {
                self.agent.connections.accepted(host, flow, from, local, certificate);
            }
            Inbound::FlowClosed { flow } => self.agent.connections.closed(flow),
        }
    }

    /// Sees to what was under way on connections that are over.
    fn handle_closed(&mut self, host: &mut dyn Host) {
        while let Some(Closed { flow, .. }) = self.agent.connections.next_closed() {
            self.agent.flow_closed(host, flow);
            let ids: Vec<CallId> = self.calls.keys().copied().collect();
            for id in ids {
                self.with_call(host, id, |call, cx| call.handle_flow_lost(cx, flow));
            }
            self.with_registration(host, |it, cx| it.handle_flow_lost(cx, flow));
        }
    }

    /// Meets every deadline that is due.
    pub(super) fn handle_alarms(&mut self, host: &mut dyn Host) {
        let now = host.now();
        if self.agent.next_deadline().is_none_or(|at| at > now) {
            return;
        }
        let calls = &self.calls;
        self.agent.close_stale_flows(host, |flow| calls.values().any(|call| call.uses(flow)));
        self.handle_closed(host);
        self.agent.transactions(host).handle_deadline(host);
        self.handle_failures(host);
        let timers = &mut self.agent.timers;
        let due: Vec<Alarm> =
            core::iter::from_fn(|| timers.pop_due(now)).map(|(_, alarm)| alarm).collect();
        for alarm in due {
            match alarm {
                Alarm::Path(request) => {
                    let answers = self.agent.handle_host_timeout(host, request);
                    self.pass_on_path(host, answers);
                }
                Alarm::Bind(request) => self.no_ports(host, request),
                Alarm::Release(port) => self.release(host, port),
                Alarm::Call(id, alarm) => {
                    self.with_call(host, id, |call, cx| call.handle_alarm(cx, alarm));
                }
                Alarm::Registration => self.with_registration(host, Registration::handle_alarm),
                Alarm::Start => self.give_up_start(host),
                Alarm::KeepAlive => self.handle_keep_alive(host),
                Alarm::Mapping => self.handle_mappings(host),
                Alarm::Stop => self.stop_waiting(host),
            }
        }
    }

    /// Passes on what failed meanwhile, and goes on with stopping.
    pub(super) fn finish_input(&mut self, host: &mut dyn Host) {
        self.handle_closed(host);
        self.handle_failures(host);
        self.go_on_stopping(host);
        self.release_failed(host);
    }

    fn handle_failures(&mut self, host: &mut dyn Host) {
        while let Some(failure) = self.agent.next_failure() {
            // An owner that has responded waits for ACK itself, or for nothing.
            if let Failure::ClientFailed { id, cause } = failure {
                self.client_failed(host, id, cause);
            }
        }
    }

    /// Passes on that a request of ours has no answer.
    pub(super) fn client_failed(
        &mut self,
        host: &mut dyn Host,
        client: ClientId,
        cause: FailureCause,
    ) {
        match self.agent.owner_of_client(client, true) {
            Some(Owner::Call(id)) => {
                self.with_call(host, id, |call, cx| call.handle_failure(cx, client, cause));
            }
            Some(Owner::Registration) => {
                self.with_registration(host, |it, cx| it.handle_failure(cx, client, cause));
            }
            Some(Owner::KeepAlive) => self.keep_alive_failed(host, client, cause),
            Some(Owner::OutOfDialog(id)) => {
                self.with_request(host, id, |it, cx| it.handle_failure(cx, client, cause));
            }
            _ => {}
        }
    }

    fn no_ports(&mut self, host: &mut dyn Host, request: RequestId) {
        if let Some(call) = self.agent.take_bind(request) {
            self.with_call(host, call, |call, cx| call.handle_ports(cx, None));
        }
    }

    fn release(&mut self, host: &mut dyn Host, port: MediaPort) {
        self.agent.release_now(host, port);
    }

    /// Passes the results of searches to the owners that wait for them.
    fn pass_on_path(
        &mut self,
        host: &mut dyn Host,
        results: impl IntoIterator<Item = SearchResult>,
    ) {
        for SearchResult { waiters, path } in results {
            for owner in waiters {
                self.pass_path_to(host, owner, path.clone());
            }
        }
    }

    fn pass_path_to(&mut self, host: &mut dyn Host, owner: Owner, path: Result<Arc<Path>, Lost>) {
        match owner {
            Owner::Call(id) => {
                self.with_call(host, id, |call, cx| call.handle_path(cx, path));
            }
            Owner::Registration => {
                self.with_registration(host, |it, cx| it.handle_path(cx, path));
            }
            Owner::KeepAlive => self.keep_alive_leads_elsewhere(host),
            Owner::OutOfDialog(id) => {
                self.with_request(host, id, |request, cx| request.handle_path(cx, path));
            }
            Owner::Large(id) => self.agent.send_large(host, id, path),
            Owner::Ack(id) => self.agent.send_large_ack(host, id, path),
            Owner::Response(id) => {
                Context { host, agent: &mut self.agent }.send_deferred(id, path);
            }
        }
    }

    /// Does something with a call, and what follows from it.
    pub(super) fn with_call(
        &mut self,
        host: &mut dyn Host,
        id: CallId,
        act: impl FnOnce(&mut Call, &mut Context<'_>),
    ) {
        let mut act = Some(act);
        self.with_call_dyn(host, id, &mut |call, cx| {
            if let Some(act) = act.take() {
                act(call, cx);
            }
        });
    }

    /// The same, for whatever is done: what follows from it stands in the program once.
    fn with_call_dyn(
        &mut self,
        host: &mut dyn Host,
        id: CallId,
        act: &mut dyn FnMut(&mut Call, &mut Context<'_>),
    ) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        act(call, &mut Context { host, agent: &mut self.agent });
        let report = call.next_report();
        if call.is_remainder() {
            self.remainders.insert(id);
        }
        // The application does not know of it.
        if call.is_over() && !call.is_announced() {
            self.forget_call(id);
        }
        if let Some((referrer, referral, cause)) = report
            && let Some(referrer) = self.calls.get_mut(&referrer)
        {
            referrer.report(&mut Context { host, agent: &mut self.agent }, referral, cause);
        }
    }

    /// Forgets a call that is over.
    pub(super) fn forget_call(&mut self, id: CallId) {
        self.remainders.remove(&id);
        if let Some(invite) = self.calls.remove(&id).and_then(|call| call.server()) {
            self.invites.remove(&invite);
        }
    }

    /// Whether there is room for another call. What is left of one that is over takes the place of no
    /// other, up to as many as there may be calls.
    pub(super) fn has_room(&self) -> bool {
        let limit = self.agent.parameters.max_calls;
        self.calls.len() - self.remainders.len().min(limit) < limit
    }

    /// Whether a request may not begin before another has ended.
    fn must_wait(&self, id: SipRequestId) -> bool {
        let Some(request) = self.requests.get(&id) else { return false };
        let mut earlier = self.requests.iter().take_while(|(other, _)| **other < id);
        earlier.any(|(_, earlier)| earlier.delays(request))
    }

    /// Does something with a request outside a dialog; an outcome ends it.
    pub(super) fn with_request(
        &mut self,
        host: &mut dyn Host,
        id: SipRequestId,
        act: impl FnOnce(&mut OutOfDialogRequest, &mut Context<'_>) -> Option<RequestOutcome>,
    ) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        let outcome = act(request, &mut Context { host, agent: &mut self.agent });
        if let Some(outcome) = outcome {
            self.finish_request(host, id, outcome);
        }
    }

    /// Ends a request outside a dialog.
    fn finish_request(&mut self, host: &mut dyn Host, id: SipRequestId, outcome: RequestOutcome) {
        let Some(request) = self.requests.remove(&id) else { return };
        // Its waiters are served by the next call of the host.
        let next = self.requests.iter().find(|(_, later)| request.delays(later));
        self.intents.extend(next.map(|(next, _)| Intent::Send(*next)));
        request.finish(&mut Context { host, agent: &mut self.agent }, outcome);
    }

    /// Does something with the registration, and passes its outcome on.
    pub(super) fn with_registration(
        &mut self,
        host: &mut dyn Host,
        act: impl FnOnce(&mut Registration, &mut Context<'_>) -> Option<RegistrationOutcome>,
    ) {
        let Some(registration) = &mut self.registration else { return };
        let outcome = act(registration, &mut Context { host, agent: &mut self.agent });
        if let Some(outcome) = outcome {
            self.registered(host, outcome);
        }
    }

    /// Takes an outcome of the registration.
    fn registered(&mut self, host: &mut dyn Host, outcome: RegistrationOutcome) {
        let stopping = self.stopping.is_some();
        match outcome {
            RegistrationOutcome::Bound(expires) => {
                self.end_starting();
                self.agent
                    .events
                    .push_back(Event::Phone(PhoneEvent::Registered { expires: expires.into() }));
                self.keep_open(host);
                self.follow_move(host);
                if let Some(path) = self.registration.as_ref().and_then(Registration::path).cloned()
                {
                    self.agent.resume_flows(host, &path);
                }
                if !stopping {
                    self.set_status(PhoneStatus::Registered);
                }
            }
            RegistrationOutcome::Again if !stopping => self.set_status(PhoneStatus::Registering),
            RegistrationOutcome::Again => {}
            RegistrationOutcome::Failed { cause, error, lost } => {
                self.agent
                    .events
                    .push_back(Event::Phone(PhoneEvent::RegistrationFailed { cause, error }));
                if stopping {
                    return;
                }
                match lost {
                    false => self.set_status(PhoneStatus::Registering),
                    true => self.fail(host),
                }
            }
            RegistrationOutcome::Left(confirmed) => {
                if confirmed {
                    self.agent.events.push_back(Event::Phone(PhoneEvent::Unregistered));
                }
                self.end_registration(host);
            }
        }
    }

    /// Registration is lost for good: what no call needs is released.
    fn fail(&mut self, host: &mut dyn Host) {
        self.end_registration(host);
        self.set_status(PhoneStatus::Failed);
        self.holding = true;
        self.release_failed(host);
    }

    /// A phone that has failed gives everything back when its last call is over.
    fn release_failed(&mut self, host: &mut dyn Host) {
        if self.holding && self.calls.values().all(|call| call.is_over()) {
            self.holding = false;
            self.close(host);
        }
    }

    fn end_registration(&mut self, host: &mut dyn Host) {
        self.end_starting();
        self.stop_keeping(host);
        if let Some(registration) = self.registration.take() {
            registration.close(&mut Context { host, agent: &mut self.agent });
        }
    }

    fn begin(&mut self, host: &mut dyn Host) {
        self.end_starting();
        let limit = self.agent.parameters.start_timeout;
        self.starting = limit.map(|limit| self.agent.timers.set(host.now() + limit, Alarm::Start));
        if !self.ask_before_start(host) {
            self.begin_to_register(host);
        }
    }

    fn end_starting(&mut self) {
        if let Some(timer) = self.starting.take() {
            self.agent.timers.cancel(timer);
        }
    }

    /// The server has not registered us within the start's time.
    fn give_up_start(&mut self, host: &mut dyn Host) {
        self.starting = None;
        if self.status != PhoneStatus::Registering {
            // It registers nowhere, or is stopping.
            return;
        }
        // The failure of the latest attempt has been announced, unless it goes on.
        let latest = self.registration.as_ref();
        if latest.is_none_or(|registration| !registration.is_waiting()) {
            let (cause, error) = (None, latest.and_then(Registration::no_answer));
            self.agent
                .events
                .push_back(Event::Phone(PhoneEvent::RegistrationFailed { cause, error }));
        }
        self.fail(host);
    }

    pub(super) fn begin_to_register(&mut self, host: &mut dyn Host) {
        if self.status != PhoneStatus::Registering || self.registration.is_some() {
            // It was stopped before it could begin.
            return;
        }
        let registrar = match self.agent.parameters.register {
            true => self.agent.registrar().ok().flatten(),
            false => None,
        };
        let Some(registrar) = registrar else {
            return self.set_status(PhoneStatus::Registered);
        };
        let cx = &mut Context { host, agent: &mut self.agent };
        let (registration, outcome) = Registration::start(cx, registrar);
        self.registration = Some(registration);
        if let Some(outcome) = outcome {
            self.registered(host, outcome);
        }
    }

    fn begin_stop(&mut self, host: &mut dyn Host) {
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        for id in ids {
            self.with_call(host, id, Call::shut_down);
        }
        self.wait_for(host, Stopping::Calls, STOP_CALLS_WITHIN);
    }

    fn wait_for(&mut self, host: &mut dyn Host, what: Stopping, limit: Duration) {
        if let Some((_, timer)) = self.stopping.take() {
            self.agent.timers.cancel(timer);
        }
        let timer = self.agent.timers.set(host.now() + limit, Alarm::Stop);
        self.stopping = Some((what, timer));
    }

    /// Goes on when what was waited for has come.
    fn go_on_stopping(&mut self, host: &mut dyn Host) {
        let Some((stopping, _)) = self.stopping else { return };
        if stopping == Stopping::Calls && self.calls.values().all(|call| call.may_be_left()) {
            self.abandon_calls(host);
            self.leave(host);
        }
        let Some((Stopping::Registration, _)) = self.stopping else { return };
        if self.registration.is_none() && !self.agent.has_leaving_ports() {
            self.finish_stop(host);
        }
    }

    /// Waiting has taken long enough.
    fn stop_waiting(&mut self, host: &mut dyn Host) {
        match self.stopping {
            Some((Stopping::Calls, _)) => {
                self.abandon_calls(host);
                self.leave(host);
            }
            Some((Stopping::Registration, _)) => self.finish_stop(host),
            None => {}
        }
    }

    fn abandon_calls(&mut self, host: &mut dyn Host) {
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        for id in ids {
            self.with_call(host, id, Call::abandon);
        }
    }

    /// The calls have ended: takes the registration back.
    fn leave(&mut self, host: &mut dyn Host) {
        self.wait_for(host, Stopping::Registration, STOP_REGISTRATION_WITHIN);
        self.with_registration(host, Registration::leave);
    }

    fn finish_stop(&mut self, host: &mut dyn Host) {
        self.end_registration(host);
        self.close(host);
        self.stopping = None;
        self.agent.inspection = None;
        self.set_status(PhoneStatus::Inactive);
    }

    /// Gives everything back.
    fn close(&mut self, host: &mut dyn Host) {
        let requests: Vec<SipRequestId> = self.requests.keys().copied().collect();
        for id in requests {
            self.with_request(host, id, |_, _| Some(Err(None)));
        }
        self.invites.clear();
        self.close_mappings(host);
        self.agent.close(host);
    }
}
