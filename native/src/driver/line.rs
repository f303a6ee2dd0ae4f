//! The endpoint that is a phone's signalling: it passes events on to handles and calls' media
//! tasks, and carries out what handles ask.

use std::collections::HashMap;
use std::sync::Arc;

use offhook_core::call::{CallOptions, TransferOptions};
use offhook_core::error::Error as Refusal;
use offhook_core::event::{
    self, CallEvent, CallId, CallState, EndedBy, Ending, PhoneEvent, PhoneStatus, ReferralId,
    SipRequestId, TransferOutcome,
};
use offhook_core::host::{Endpoint, Host, Inbound};
use offhook_core::media::{MediaControl, MediaEvent};
use offhook_core::phone::Phone;
use offhook_core::rtp::MediaSession;
use offhook_core::switchboard;
use offhook_core::time::Instant;
use tokio::sync::oneshot;

use super::board::{Hub, LineJobs};
use super::engine::{Engine, GRID, MediaRuntime};
use super::media::{CallMedia, Order};
use crate::call::shared::{CallShared, Media};
use crate::call::{Call, Transfer};
use crate::capture::Capture;
use crate::event::Event;
use crate::handler;
use crate::host::endpoint_host::EndpointHost;
use crate::host::turned_away::TurnedAway;
use crate::phone::shared::PhoneShared;
use crate::referral::Referral;

/// A phone's signalling and the tables that join it to handles and media.
pub(crate) struct Line {
    pub(crate) phone: Phone,
    phone_shared: Arc<PhoneShared>,
    calls: HashMap<CallId, Arc<CallShared>>,
    requests: HashMap<SipRequestId, oneshot::Sender<RequestOutcome>>,
    transfers: HashMap<CallId, oneshot::Sender<Transfer>>,
    /// The ends of calls whose media has not ended yet.
    endings: HashMap<CallId, Box<Ending>>,
    engine: Arc<Engine>,
    media_runtime: Option<MediaRuntime>,
    capture: Option<Capture>,
    /// Whether calls have no media at all.
    soundless: bool,
    /// Called when the driver comes to rest.
    resting: Vec<Box<dyn FnOnce() + Send>>,
    stopping: bool,
    /// Whether the phone has stopped: the line is done when its last call has ended.
    stopped: bool,
    done: bool,
}

/// The answer to a request: [`event::Event::Response`].
pub(crate) type RequestOutcome = Result<event::Reply, Option<Refusal>>;

impl Line {
    pub(crate) fn new(
        phone: Phone,
        phone_shared: Arc<PhoneShared>,
        media_runtime: Option<MediaRuntime>,
        hub: &Hub,
    ) -> Self {
        Self {
            phone,
            phone_shared,
            calls: HashMap::new(),
            requests: HashMap::new(),
            transfers: HashMap::new(),
            endings: HashMap::new(),
            engine: Arc::clone(&hub.engine),
            media_runtime,
            capture: hub.capture.clone(),
            soundless: hub.soundless,
            resting: Vec::new(),
            stopping: false,
            stopped: false,
            done: false,
        }
    }

    /// Stops the phone; the driver ends when it has.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
        self.phone.stop();
    }

    /// Starts a phone that has FAILED again, unless it is being stopped.
    pub(crate) fn restart(&mut self) {
        if !self.stopping {
            // It is refused only where the phone is not FAILED any more, which is as good.
            let _ = self.phone.start();
        }
    }

    /// Calls `done` when everything done so far has gone as far as it can without the network, and the
    /// handles show it.
    pub(crate) fn at_rest(&mut self, done: impl FnOnce() + Send + 'static) {
        self.resting.push(Box::new(done));
    }

    /// Passes on the phone's events; called after every call of the core.
    pub(super) fn pass_on(&mut self, host: &mut EndpointHost, jobs: &LineJobs) {
        while let Some(event) = self.phone.next_event() {
            self.handle_event(host, jobs, event);
        }
    }

    /// The driver has come to rest.
    pub(super) fn rest(&mut self) {
        for done in self.resting.drain(..) {
            done();
        }
    }

    /// Whether it has stopped.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Places a call.
    pub(crate) fn call(
        &mut self,
        jobs: &LineJobs,
        target: &str,
        options: CallOptions,
    ) -> Result<Call, Refusal> {
        let id = self.phone.call(target, options)?;
        self.hold(jobs, id)
    }

    /// Calls the target of a referral.
    pub(crate) fn accept_referral(
        &mut self,
        jobs: &LineJobs,
        referral: ReferralId,
    ) -> Result<Call, Refusal> {
        let id = self.phone.accept_referral(referral)?;
        self.hold(jobs, id)
    }

    /// Transfers a call; `done` is sent the result.
    pub(crate) fn transfer(
        &mut self,
        call: CallId,
        target: &str,
        options: TransferOptions,
        done: oneshot::Sender<Transfer>,
    ) -> Result<(), Refusal> {
        self.phone.transfer(call, target, options)?;
        self.transfers.insert(call, done);
        Ok(())
    }

    /// The handle of a call that has just been placed.
    fn hold(&mut self, jobs: &LineJobs, id: CallId) -> Result<Call, Refusal> {
        let shared = self.admit(id).ok_or(Refusal::NoSuchCall { call: id })?;
        let call = Call::new(shared, jobs.clone());
        self.attend(&call, jobs);
        Ok(call)
    }

    /// Gives a call to the application's handler, if it has one.
    fn attend(&self, call: &Call, jobs: &LineJobs) -> bool {
        let Some(hooks) = self.phone_shared.hooks() else { return false };
        let attended =
            handler::attend(hooks, call.clone(), jobs.clone(), Arc::clone(&self.phone_shared));
        tokio::spawn(attended);
        true
    }

    /// Sends a request as `send` says; `reply` is sent the answer.
    pub(crate) fn request(
        &mut self,
        reply: oneshot::Sender<RequestOutcome>,
        send: impl FnOnce(&mut Phone) -> Result<SipRequestId, Refusal>,
    ) -> Result<(), Refusal> {
        let request = send(&mut self.phone)?;
        self.requests.insert(request, reply);
        Ok(())
    }

    /// Reports a peer that was turned away.
    pub(crate) fn turn_away(&self, away: &TurnedAway) {
        self.phone_shared.publish(&Event::TurnedAway(away.clone()));
    }

    /// Makes what a new call needs.
    fn admit(&mut self, call: CallId) -> Option<Arc<CallShared>> {
        let profile = self.phone.profile(call)?;
        let shared = CallShared::new(profile, MediaSession::new().on_grid(GRID));
        self.calls.insert(call, Arc::clone(&shared));
        Some(shared)
    }

    fn handle_event(&mut self, host: &mut EndpointHost, jobs: &LineJobs, event: event::Event) {
        match event {
            event::Event::Phone(event) => self.handle_phone_event(jobs, event),
            event::Event::Call { call, event } => self.handle_call_event(jobs, call, event),
            event::Event::Media { .. } if self.soundless => {}
            event::Event::Media { call, control } => self.control(host, jobs, call, control),
            event::Event::Response { request, reply } => {
                if let Some(sender) = self.requests.remove(&request) {
                    let _ = sender.send(reply);
                }
            }
            _ => {}
        }
    }

    fn handle_phone_event(&mut self, jobs: &LineJobs, event: PhoneEvent) {
        match event {
            PhoneEvent::Status(PhoneStatus::Inactive) if self.stopping => {
                self.stopped = true;
                self.finish_stop();
            }
            PhoneEvent::Status(status) => self.phone_shared.set_status(status),
            PhoneEvent::RegistrationFailed { cause, error } => {
                self.phone_shared.registration_failed(cause, error);
            }
            PhoneEvent::Incoming { call, .. } => {
                let Some(shared) = self.admit(call) else { return };
                self.phone_shared.publish(&Event::Phone(event));
                let call = Call::new(shared, jobs.clone());
                if !self.attend(&call, jobs) {
                    self.phone_shared.ring(call);
                }
            }
            event => self.phone_shared.publish(&Event::Phone(event)),
        }
    }

    /// Does what a call's handles wait for, and passes the event on.
    fn handle_call_event(&mut self, jobs: &LineJobs, call: CallId, event: CallEvent) {
        match event {
            CallEvent::State { state, ref cause } => self.change(call, state, cause.as_ref()),
            CallEvent::Hold { .. } | CallEvent::Renegotiated => self.look(call),
            CallEvent::Transfer { outcome, last: true, ref cause, .. } => {
                if let Some(done) = self.transfers.remove(&call) {
                    let _ = done.send(match outcome {
                        TransferOutcome::Failed => Transfer::Failed { cause: cause.clone() },
                        _ => Transfer::Transferred,
                    });
                }
            }
            CallEvent::Referred { referral, ref to, ref by } => {
                let Some(shared) = self.calls.get(&call) else { return };
                let (shared, words) = (Arc::clone(shared), (to.clone(), by.clone()));
                self.emit(call, event);
                self.phone_shared.refer(Referral::new(shared, referral, jobs.clone(), words));
                return;
            }
            CallEvent::Ended(ending) => return self.end(call, ending),
            _ => {}
        }
        self.emit(call, event);
    }

    /// Notes what is known about a call, for its handles.
    fn look(&self, call: CallId) {
        if let (Some(shared), Some(profile)) = (self.calls.get(&call), self.phone.profile(call)) {
            *shared.profile() = profile;
        }
    }

    fn change(&mut self, call: CallId, state: CallState, cause: Option<&event::Cause>) {
        self.look(call);
        let Some(shared) = self.calls.get(&call) else { return };
        shared.status.send_modify(|status| {
            status.state = state;
            status.cause = cause.cloned();
            status.was_answered |= state == CallState::Answered;
        });
        shared.moved.notify_waiters();
    }

    /// A call is over. Its media, if it runs, takes what waits in its sockets, and
    /// [reports its end](Self::media_ended).
    fn end(&mut self, call: CallId, ending: Box<Ending>) {
        self.transfers.remove(&call);
        let Some(shared) = self.calls.get(&call) else { return };
        match shared.has_media() {
            true => shared.order(Order::Control(MediaControl::Close.into())),
            // Nobody else closes the recordings.
            false => shared.taps.close(),
        }
        match shared.media_runs() {
            true => drop(self.endings.insert(call, ending)),
            false => self.finish_call(call, ending),
        }
    }

    /// A call's media has ended.
    pub(crate) fn media_ended(&mut self, call: CallId) {
        if let Some(ending) = self.endings.remove(&call) {
            self.finish_call(call, ending);
            self.finish_stop();
        }
    }

    /// Stops when the phone has stopped and no call is left.
    fn finish_stop(&mut self) {
        if self.stopped && self.endings.is_empty() {
            self.done = true;
            self.phone_shared.set_status(PhoneStatus::Inactive);
        }
    }

    /// Hands a call's final figures to its handles and listeners.
    fn finish_call(&mut self, call: CallId, mut ending: Box<Ending>) {
        let Some(shared) = self.calls.remove(&call) else { return };
        ending.stats = shared.session().stats();
        shared.status.send_modify(|status| {
            status.state = CallState::Ended;
            status.ending = Some((*ending).clone());
        });
        shared.moved.notify_waiters();
        let event = CallEvent::Ended(ending);
        shared.events.send(&event);
        shared.events.end();
        self.phone_shared.publish(&Event::Call { call, event });
    }

    fn emit(&self, call: CallId, event: CallEvent) {
        if let Some(shared) = self.calls.get(&call) {
            shared.events.send(&event);
            self.phone_shared.publish(&Event::Call { call, event });
        }
    }

    /// Passes a control on to the call's media, which a worker carries from the first stream on. That and
    /// what comes before goes to the session itself: a call may be over before the worker has run.
    fn control(
        &mut self,
        host: &mut EndpointHost,
        jobs: &LineJobs,
        call: CallId,
        control: MediaControl,
    ) {
        let calls = self.calls.len();
        let Some(shared) = self.calls.get(&call) else { return };
        let sockets = match &control {
            MediaControl::Configure { parameters, .. } => {
                host.media.remove(&parameters.transport.port())
            }
            _ => None,
        };
        let is_carried = shared.has_media();
        let begins = !is_carried && matches!(control, MediaControl::Configure { .. });
        let later = match is_carried {
            true => Some(Order::Control(control.into())),
            false => {
                shared.session().handle_control(host, control);
                None
            }
        };
        // Before a control that would have it send something.
        let sockets = sockets.map(Order::Sockets);
        sockets.into_iter().chain(later).for_each(|order| shared.order(order));
        if begins {
            let elsewhere = self.media_runtime.as_ref().filter(|media| calls > media.beyond);
            let capture = self.capture.clone();
            self.engine.carry(elsewhere.map(|media| &media.runtime), |worker, time| {
                CallMedia::new(Media::begin(shared, worker, jobs.clone()), time, capture)
            });
        }
    }

    /// Handles an event of a call's media.
    pub(crate) fn handle_media_event(&mut self, call: CallId, event: MediaEvent) {
        self.phone.handle_media_event(call, &event);
        // It comes with every frame of who writes frame by frame, and would drive out what listeners wait for.
        if event != MediaEvent::AudioSent {
            self.emit(call, event.into());
        }
    }
}

impl Drop for Line {
    /// When the driver goes down with its runtime, nobody must wait for its calls for ever.
    fn drop(&mut self) {
        self.phone_shared.keep_counters(self.phone.counters());
        for (call, shared) in self.calls.drain() {
            let ending = self.endings.remove(&call);
            shared.order(Order::Control(MediaControl::Close.into()));
            shared.status.send_modify(|status| {
                status.state = CallState::Ended;
                let ending =
                    || ending.map_or_else(|| Ending::new(EndedBy::Error), |ending| *ending);
                status.ending.get_or_insert_with(ending);
            });
            shared.taps.close();
            shared.moved.notify_waiters();
            shared.events.end();
        }
        self.rest();
    }
}

impl Endpoint for Line {
    fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        self.phone.handle_inbound(host, inbound);
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        self.phone.handle_deadline(host);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.phone.next_deadline()
    }
}

impl switchboard::Line for Line {
    fn phone(&self) -> &Phone {
        &self.phone
    }

    fn phone_mut(&mut self) -> &mut Phone {
        &mut self.phone
    }
}
