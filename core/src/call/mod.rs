//! Calls (RFC 3261 §13 to §15): what an application asks of one, and the machine behind it.
//!
//! A `Call` is in one of three stages, each in a file of its own under a diagram of its states: an
//! `outgoing` INVITE or an `incoming` one, and then a `session`. A stage is lent what all of them have
//! (`common`), takes an event and returns a `Step`: it stays, becomes another stage, or the call ends.
//! What a stage does meanwhile it does at once: messages go out, and the application's events are
//! queued. Commands stand in the file of their name (`hold`), or of the stage that takes them.

mod body;
mod common;
mod end_reason;
mod hold;
mod incoming;
mod media;
mod notice;
mod options;
mod outgoing;
mod profile;
pub(crate) mod queries;
mod redirection;
mod reference;
mod referrer;
mod repeated;
mod session;
mod sipfrag;

use core::net::SocketAddr;
use std::sync::Arc;

pub use options::{CallInfo, CallOptions, DenyOptions, TransferMode, TransferOptions};
pub use profile::CallProfile;

pub(crate) use body::Body;
pub(crate) use end_reason::EndReason;
pub(crate) use media::MAX_STREAMS;
pub(crate) use notice::parameter;
pub(crate) use reference::Reference;
pub(crate) use session::{MAX_REQUESTS, Order};

use crate::agent::{CallAlarm, Context, Lost, MediaPorts, Path, Query, Response, Tag, Target};
use crate::event::{CallDirection, CallEvent, CallId, CallState, EndedBy, Event};
use crate::host::Flow;
use crate::sip::Message;
use crate::transaction::{ClientId, FailureCause, ServerId};
use common::Common;
use incoming::Incoming;
use media::CallMedia;
use outgoing::Outgoing;
use session::Session;

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    common: Common,
    stage: Stage,
}

/// ```text
///   place ──► Outgoing ── 2xx ─────┐
///                │                 ├──► Session
///   INVITE ─► Incoming ── answer ──┘       │
///                │                         │
///                └────────► Over ◄─────────┘
/// ```
#[derive(Debug)]
enum Stage {
    Outgoing(Box<Outgoing>),
    Incoming(Box<Incoming>),
    Session(Box<Session>),
    Over,
}

/// What comes after an event.
#[derive(Debug)]
#[must_use]
enum Step {
    /// The stage goes on.
    Stay,
    /// Another stage follows.
    Become(Stage),
    /// The call is over.
    End(EndReason),
}

impl Call {
    /// A call to `target`, not yet begun.
    pub(crate) fn outgoing(id: CallId, target: Target, options: CallOptions) -> Self {
        let common = Common {
            id,
            direction: CallDirection::Outgoing,
            state: CallState::Dialing,
            tag: None,
            call_id: Arc::default(),
            remote: target.to().into(),
            local: Arc::default(),
            invite: None,
            server: None,
            announced: true,
            media: CallMedia::new(id, options.codecs.clone(), options.direction),
            referrer: None,
            queue: Vec::new(),
            began: None,
            answered: None,
        };
        Self { common, stage: Stage::Outgoing(Box::new(Outgoing::new(target, options))) }
    }

    /// A call that has just come in; the INVITE has been checked.
    pub(crate) fn incoming(id: CallId, query: Query, body: Body) -> Self {
        let common = Common {
            id,
            direction: CallDirection::Incoming,
            state: CallState::Ringing,
            tag: None,
            call_id: Arc::from(query.request.call_id()),
            remote: Arc::default(),
            local: Arc::default(),
            invite: Some(query.request.bytes().into()),
            server: Some(query.id),
            announced: false,
            media: CallMedia::new(id, None, Default::default()),
            referrer: None,
            queue: Vec::new(),
            began: None,
            answered: None,
        };
        Self { common, stage: Stage::Incoming(Box::new(Incoming::new(query, body))) }
    }

    /// What the application sees.
    pub(crate) fn state(&self) -> CallState {
        self.common.state
    }

    /// Who began it.
    pub(crate) fn direction(&self) -> CallDirection {
        self.common.direction
    }

    /// Whether the application knows of it: of an incoming call from when it rings.
    pub(crate) fn is_announced(&self) -> bool {
        self.common.announced
    }

    /// Whether nothing more happens in it.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Whether it is over, and only reports on a transfer are left.
    pub(crate) fn is_remainder(&self) -> bool {
        matches!(&self.stage, Stage::Session(session) if session.is_remainder())
    }

    /// Whether a phone that stops need not wait for it: the application knows that it is over, and there
    /// is nothing to report to the referrer.
    pub(crate) fn may_be_left(&self) -> bool {
        let is_told = self.is_over() || !self.is_announced() && self.state() == CallState::Ended;
        is_told && !matches!(&self.stage, Stage::Session(session) if session.is_reporting())
    }

    /// The transaction of the INVITE that came.
    pub(crate) fn server(&self) -> Option<ServerId> {
        self.common.server
    }

    /// Our tag, made when first needed.
    pub(crate) fn tag(&mut self, cx: &mut Context<'_>) -> Tag {
        self.common.tag(cx)
    }

    /// What is known about it.
    pub(crate) fn profile(&self) -> CallProfile {
        self.common.profile()
    }

    /// Whether it goes by that connection.
    pub(crate) fn uses(&self, flow: Flow) -> bool {
        match &self.stage {
            Stage::Outgoing(outgoing) => outgoing.uses(flow),
            Stage::Incoming(incoming) => incoming.uses(flow),
            Stage::Session(session) => session.uses(flow),
            Stage::Over => false,
        }
    }

    /// Changes what the application sees, when a command is taken; the host's next call carries it out.
    pub(crate) fn command(&mut self, state: CallState) -> Option<Event> {
        let call = &mut self.common;
        (call.state != state).then(|| {
            call.state = state;
            Event::Call { call: call.id, event: CallEvent::State { state, cause: None } }
        })
    }

    /// Takes the path that was looked for.
    pub(crate) fn handle_path(&mut self, cx: &mut Context<'_>, path: Result<Arc<Path>, Lost>) {
        let call = &mut self.common;
        let step = match &mut self.stage {
            Stage::Outgoing(outgoing) => outgoing.handle_path(call, cx, path),
            Stage::Incoming(incoming) => incoming.handle_path(call, cx, path),
            Stage::Session(session) => session.handle_path(call, cx, path),
            Stage::Over => Step::Stay,
        };
        self.apply(cx, step);
    }

    /// Takes the ports that were asked for; `None` when there are none.
    pub(crate) fn handle_ports(&mut self, cx: &mut Context<'_>, ports: Option<MediaPorts>) {
        let call = &mut self.common;
        if !call.media.handle_ports(cx, ports) {
            return;
        }
        let step = match &mut self.stage {
            Stage::Outgoing(outgoing) => outgoing.handle_ports(call, cx),
            Stage::Incoming(incoming) => incoming.handle_ports(call, cx),
            Stage::Session(session) => session.handle_ports(call, cx),
            Stage::Over => Step::Stay,
        };
        self.apply(cx, step);
    }

    /// A response came on this flow from there; what it says is for
    /// [`handle_response`](Self::handle_response).
    pub(crate) fn handle_answered_on(&mut self, flow: Flow, from: SocketAddr, response: &Message) {
        if let Stage::Session(session) = &mut self.stage {
            session.handle_answered_on(flow, from, response);
        }
    }

    /// Takes a response to a request of ours. `client` is absent for one that came after its
    /// transaction: a 2xx to INVITE that is repeated, or that a fork sends late.
    pub(crate) fn handle_response(
        &mut self,
        cx: &mut Context<'_>,
        client: Option<ClientId>,
        response: &Message,
    ) {
        let call = &mut self.common;
        let step = match &mut self.stage {
            Stage::Outgoing(outgoing) => outgoing.handle_response(call, cx, client, response),
            Stage::Session(session) => session.handle_response(call, cx, client, response),
            Stage::Incoming(_) | Stage::Over => Step::Stay,
        };
        self.apply(cx, step);
    }

    /// A request of ours failed.
    pub(crate) fn handle_failure(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        cause: FailureCause,
    ) {
        let call = &mut self.common;
        let step = match &mut self.stage {
            Stage::Outgoing(outgoing) => outgoing.handle_failure(call, cx, client, cause),
            Stage::Session(session) => session.handle_failure(call, cx, client, cause),
            Stage::Incoming(_) | Stage::Over => Step::Stay,
        };
        self.apply(cx, step);
    }

    /// Takes a request whose To carries our tag.
    pub(crate) fn handle_request(&mut self, cx: &mut Context<'_>, query: &Query) {
        let call = &mut self.common;
        let step = match &mut self.stage {
            Stage::Outgoing(outgoing) => outgoing.handle_request(call, cx, query),
            Stage::Incoming(incoming) => incoming.handle_request(call, cx, query),
            Stage::Session(session) => session.handle_request(call, cx, query),
            Stage::Over => {
                queries::no_dialog(cx, query);
                Step::Stay
            }
        };
        self.apply(cx, step);
    }

    /// Takes the ACK of our 2xx.
    pub(crate) fn handle_ack(&mut self, cx: &mut Context<'_>, ack: &Message) {
        self.in_session(cx, |session, call, cx| session.handle_ack(call, cx, ack));
    }

    /// A timer fired.
    pub(crate) fn handle_alarm(&mut self, cx: &mut Context<'_>, alarm: CallAlarm) {
        let call = &mut self.common;
        let step = match &mut self.stage {
            Stage::Outgoing(outgoing) => outgoing.handle_alarm(call, cx, alarm),
            Stage::Incoming(incoming) => incoming.handle_alarm(call, cx, alarm),
            Stage::Session(session) => session.handle_alarm(call, cx, alarm),
            Stage::Over => Step::Stay,
        };
        self.apply(cx, step);
    }

    /// The network has changed: it goes on from the new one.
    pub(crate) fn handle_network_change(&mut self, cx: &mut Context<'_>) {
        let call = &mut self.common;
        let step = match &mut self.stage {
            Stage::Outgoing(outgoing) => outgoing.handle_network_change(call, cx),
            Stage::Incoming(incoming) => incoming.handle_network_change(call, cx),
            Stage::Session(session) => session.relocate(call, cx),
            Stage::Over => Step::Stay,
        };
        self.apply(cx, step);
    }

    /// A connection is over, and with it what was under way on it.
    pub(crate) fn handle_flow_lost(&mut self, cx: &mut Context<'_>, flow: Flow) {
        let call = &mut self.common;
        let step = match &mut self.stage {
            Stage::Outgoing(outgoing) => outgoing.handle_flow_lost(call, cx, flow),
            Stage::Session(session) => session.handle_flow_lost(call, cx, flow),
            Stage::Incoming(_) | Stage::Over => Step::Stay,
        };
        self.apply(cx, step);
    }

    /// Its media has been silent for too long: that ends it.
    pub(crate) fn handle_silence(&mut self, cx: &mut Context<'_>) {
        if self.common.state == CallState::Answered {
            let ending = EndReason::new(EndedBy::Timeout);
            self.in_session(cx, |session, call, cx| session.terminate(call, cx, ending));
        }
    }

    /// Ends it because the phone stops, whatever its state.
    pub(crate) fn shut_down(&mut self, cx: &mut Context<'_>) {
        if !self.is_announced() && matches!(self.stage, Stage::Outgoing(_)) {
            // Its end has been announced, for nobody responds: it is not waited for.
            return self.abandon(cx);
        }
        let call = &mut self.common;
        let ending = EndReason::new(EndedBy::Local);
        let step = match &mut self.stage {
            Stage::Outgoing(outgoing) => outgoing.withdraw(call, cx, ending),
            Stage::Incoming(incoming) => {
                incoming.refuse(call, cx, Response::new(480), EndedBy::Local)
            }
            Stage::Session(session) => {
                // What has become of a call that we were sent to is still reported: its end is near.
                session.close_transfer(call, cx);
                session.decline(cx);
                session.terminate(call, cx, ending)
            }
            Stage::Over => Step::Stay,
        };
        self.apply(cx, step);
    }

    /// Ends it without a further word to the peer: the phone has waited long enough.
    pub(crate) fn abandon(&mut self, cx: &mut Context<'_>) {
        if !self.is_over() {
            let call = &mut self.common;
            if let Stage::Session(session) = &mut self.stage {
                session.drop_reports(call, cx);
            }
            self.apply(cx, Step::End(EndReason::new(EndedBy::Local)));
        }
    }

    /// Has the caller's INVITE act, if that is the stage.
    fn in_outgoing(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut Outgoing, &mut Common, &mut Context<'_>) -> Step,
    ) {
        if let Stage::Outgoing(outgoing) = &mut self.stage {
            let step = act(outgoing, &mut self.common, cx);
            self.apply(cx, step);
        }
    }

    /// Has the callee's INVITE act, if that is the stage.
    fn in_incoming(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut Incoming, &mut Common, &mut Context<'_>) -> Step,
    ) {
        if let Stage::Incoming(incoming) = &mut self.stage {
            let step = act(incoming, &mut self.common, cx);
            self.apply(cx, step);
        }
    }

    /// Has the session act, if that is the stage.
    fn in_session(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut Session, &mut Common, &mut Context<'_>) -> Step,
    ) {
        if let Stage::Session(session) = &mut self.stage {
            let step = act(session, &mut self.common, cx);
            self.apply(cx, step);
        }
    }

    /// Carries out what a stage has returned.
    fn apply(&mut self, cx: &mut Context<'_>, step: Step) {
        match step {
            Step::Stay => {
                if let Stage::Session(session) = &mut self.stage
                    && session.announce_end(&mut self.common, cx)
                {
                    self.apply(cx, Step::End(EndReason::new(EndedBy::Local)));
                }
            }
            Step::Become(stage) => {
                self.leave(cx, stage);
                self.in_session(cx, Session::advance);
            }
            Step::End(ending) => {
                let ending = match &mut self.stage {
                    Stage::Session(session) => session.outlive(&mut self.common, cx, ending),
                    _ => Err(ending),
                };
                let Err(ending) = ending else { return };
                self.leave(cx, Stage::Over);
                self.common.finish(cx, ending);
            }
        }
    }

    /// Goes on to another stage; the one before gives back what it holds.
    fn leave(&mut self, cx: &mut Context<'_>, next: Stage) {
        match core::mem::replace(&mut self.stage, next) {
            Stage::Outgoing(outgoing) => outgoing.close(cx),
            Stage::Incoming(incoming) => incoming.close(cx),
            Stage::Session(session) => session.close(&self.common, cx),
            Stage::Over => {}
        }
    }
}
