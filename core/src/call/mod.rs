//! Calls (RFC 3261 §13 to §15): what an application asks of one, and the machine behind it.
//!
//! A `Call` is one of three things in turn, each in a file of its own under a diagram of its
//! states: an `outgoing` INVITE or an `incoming` one, and then a `session`. They share the
//! call's `media`. Beside a session stand a `transfer` that we ask for (REFER, with `notice` for the
//! reports on it) and a `referral`, one that the far end asks for (`reference` is where to). What a
//! handler is told it turns into messages and events at once; when a call is
//! over it has told so.

mod hold;
mod incoming;
mod inquiry;
mod media;
mod notice;
mod options;
mod outgoing;
mod profile;
pub(crate) mod queries;
mod redirection;
mod reference;
mod referral;
mod session;
mod sipfrag;
mod transfer;

use std::sync::Arc;

pub use options::{CallInfo, CallOptions, TransferMode, TransferOptions};
pub use profile::CallProfile;

pub(crate) use inquiry::MAX_INQUIRIES;
pub(crate) use media::{Body, MAX_STREAMS};
pub(crate) use notice::parameter;
pub(crate) use reference::Reference;
pub(crate) use referral::decline;
pub(crate) use transfer::Order;

use crate::agent::{
    CallAlarm, Context, Lost, MediaPorts, Owner, Path, Query, Response, Tag, Target,
};
use crate::error::Error;
use crate::event::{CallDirection, CallId, CallState, Cause, EndedBy, Event};
use crate::host::Flow;
use crate::sip::{Message, Method};
use crate::transaction::{ClientId, FailureCause, ServerId};
use incoming::Incoming;
use inquiry::Inquiry;
use media::CallMedia;
use outgoing::Outgoing;
use profile::Parties;
use referral::{Referral, Referrer};
use session::Session;
use transfer::Transfer;

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    id: CallId,
    direction: CallDirection,
    /// What the application sees.
    state: CallState,
    /// Our tag, and the Call-ID: set when the call first crosses.
    tag: Option<Tag>,
    call_id: Arc<str>,
    /// The far end of a call of ours: a name-addr without its tag.
    remote: Arc<str>,
    /// Ourselves likewise.
    local: Arc<str>,
    /// The INVITE that came, which says who calls whom: as text, for a parsed message is larger and
    /// calls are many.
    invite: Option<Arc<[u8]>>,
    /// Its transaction, until the INVITE is answered.
    server: Option<ServerId>,
    /// Whether the application knows of it.
    announced: bool,
    media: CallMedia,
    /// The latest transfer that we asked for.
    transfer: Option<Box<Transfer>>,
    /// The latest that the far end asked for.
    referral: Option<Box<Referral>>,
    /// The call whose far end sent us here.
    referrer: Option<Box<Referrer>>,
    /// What the application asks the far end.
    inquiries: Vec<Inquiry>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Outgoing(Box<Outgoing>),
    Incoming(Box<Incoming>),
    Session(Box<Session>),
    Over,
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ending {
    pub(crate) by: EndedBy,
    pub(crate) cause: Option<Cause>,
    pub(crate) error: Option<Error>,
}

impl Ending {
    pub(crate) fn new(by: EndedBy) -> Self {
        Self { by, cause: None, error: None }
    }

    /// Because of a response.
    pub(crate) fn of(by: EndedBy, response: &Message) -> Self {
        Self { cause: Some(Cause::of(response)), ..Self::new(by) }
    }

    /// Because of something here.
    pub(crate) fn error(error: Option<Error>) -> Self {
        Self { error, ..Self::new(EndedBy::Error) }
    }

    /// With the response that said so, if nothing else did.
    pub(crate) fn or_cause(mut self, response: &Message) -> Self {
        self.cause = self.cause.or_else(|| Some(Cause::of(response)));
        self
    }
}

impl From<Lost> for Ending {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Unreachable => Self::error(None),
            Lost::Because(error) => Self::error(Some(error)),
        }
    }
}

impl From<FailureCause> for Ending {
    fn from(cause: FailureCause) -> Self {
        match cause {
            FailureCause::Timeout => Self::new(EndedBy::Timeout),
            _ => Self::error(None),
        }
    }
}

impl Call {
    /// A call to `target`, not yet begun.
    pub(crate) fn outgoing(id: CallId, target: Target, options: CallOptions) -> Self {
        let media = CallMedia::new(id, options.codecs.clone(), options.direction);
        Self {
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
            media,
            transfer: None,
            referral: None,
            referrer: None,
            inquiries: Vec::new(),
            stage: Stage::Outgoing(Box::new(Outgoing::new(target, options))),
        }
    }

    /// A call that has just come in; the INVITE has been checked.
    pub(crate) fn incoming(id: CallId, query: Query, body: Body) -> Self {
        let (request, server) = (query.request.clone(), query.id);
        Self {
            id,
            direction: CallDirection::Incoming,
            state: CallState::Ringing,
            tag: None,
            call_id: Arc::from(request.call_id()),
            remote: Arc::default(),
            local: Arc::default(),
            media: CallMedia::new(id, None, Default::default()),
            transfer: None,
            referral: None,
            referrer: None,
            inquiries: Vec::new(),
            stage: Stage::Incoming(Box::new(Incoming::new(query, body))),
            invite: Some(request.bytes().into()),
            server: Some(server),
            announced: false,
        }
    }

    /// What the application sees.
    pub(crate) fn state(&self) -> CallState {
        self.state
    }

    /// Who began it.
    pub(crate) fn direction(&self) -> CallDirection {
        self.direction
    }

    /// Whether the application knows of it: an incoming call is told once it rings.
    pub(crate) fn is_announced(&self) -> bool {
        self.announced
    }

    /// Whether nothing more happens in it.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// The INVITE transaction that a CANCEL need no longer look for: once, when it was answered.
    pub(crate) fn settled_invite(&mut self) -> Option<ServerId> {
        match &self.stage {
            Stage::Incoming(_) => None,
            _ => self.server.take(),
        }
    }

    /// Our tag as a callee in calls with this Call-ID.
    pub(crate) fn tag_for(&self, call_id: &str) -> Option<Tag> {
        self.tag.filter(|_| self.direction == CallDirection::Incoming && *self.call_id == *call_id)
    }

    /// What is known about it.
    pub(crate) fn profile(&self) -> CallProfile {
        let parties = match &self.invite {
            Some(invite) => Parties::Theirs(Arc::clone(invite)),
            None => Parties::Ours {
                remote: Arc::clone(&self.remote),
                local: Arc::clone(&self.local),
                call_id: Arc::clone(&self.call_id),
            },
        };
        CallProfile {
            id: self.id,
            direction: self.direction,
            state: self.state,
            parties,
            codec: self.media.codec(),
            streams: self.media.streams(),
            media: self.media.direction(),
            held: self.media.is_held(),
            holding: self.media.hold.is_agreed(),
        }
    }

    /// Changes what the application sees, when a command is taken; the next crossing carries it out.
    pub(crate) fn command(&mut self, state: CallState) -> Option<Event> {
        (self.state != state).then(|| {
            self.state = state;
            Event::State { call: self.id, state, cause: None }
        })
    }

    /// Takes the path that was looked for.
    pub(crate) fn handle_path(&mut self, cx: &mut Context<'_>, path: Result<Arc<Path>, Lost>) {
        match &self.stage {
            Stage::Outgoing(_) => self.outgoing_path(cx, path),
            Stage::Incoming(_) => self.incoming_path(cx, path),
            Stage::Session(_) => self.session_path(cx, path),
            Stage::Over => {}
        }
    }

    /// Takes the ports that were asked for; `None` when there are none.
    pub(crate) fn handle_ports(&mut self, cx: &mut Context<'_>, ports: Option<MediaPorts>) {
        match &self.stage {
            Stage::Outgoing(_) => self.outgoing_ports(cx, ports),
            Stage::Incoming(_) => self.incoming_ports(cx, ports),
            Stage::Session(_) | Stage::Over => self.session_ports(cx, ports),
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
        if let Some(client) = client
            && (self.inquiry_response(cx, client, response)
                || self.transfer_response(cx, client, response)
                || self.referral_response(cx, client, response))
        {
            return;
        }
        match (&self.stage, client) {
            (Stage::Outgoing(_), Some(client)) => self.outgoing_response(cx, client, response),
            (Stage::Session(_), _) => self.session_response(cx, client, response),
            _ => {}
        }
    }

    /// A request of ours failed.
    pub(crate) fn handle_failure(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        cause: FailureCause,
    ) {
        if self.inquiry_failure(cx, client)
            || self.transfer_failure(cx, client)
            || self.referral_failure(cx, client)
        {
            return;
        }
        match &self.stage {
            Stage::Outgoing(_) => self.outgoing_failure(cx, client, cause),
            Stage::Session(_) => self.session_failure(cx, client, cause),
            Stage::Incoming(_) | Stage::Over => {}
        }
    }

    /// Takes a request whose To carries our tag.
    pub(crate) fn handle_request(&mut self, cx: &mut Context<'_>, query: &Query) {
        if *query.request.call_id() != *self.call_id {
            return self.notified_beside(cx, query);
        }
        match &self.stage {
            Stage::Outgoing(_) => self.outgoing_request(cx, query),
            Stage::Incoming(_) => self.incoming_request(cx, query),
            Stage::Session(_) => self.session_request(cx, query),
            Stage::Over => queries::no_dialog(cx, query),
        }
    }

    /// Takes the ACK of our 2xx.
    pub(crate) fn handle_ack(&mut self, cx: &mut Context<'_>, ack: &Message) {
        if let Stage::Session(_) = &self.stage {
            self.session_ack(cx, ack);
        }
    }

    /// A timer fired.
    pub(crate) fn handle_alarm(&mut self, cx: &mut Context<'_>, alarm: CallAlarm) {
        match alarm {
            CallAlarm::Untold => return self.close_transfer(cx),
            CallAlarm::Undecided => return self.decline(cx),
            CallAlarm::Report => return self.report_due(cx),
            _ => {}
        }
        match &self.stage {
            Stage::Outgoing(_) => self.outgoing_alarm(cx, alarm),
            Stage::Incoming(_) => self.incoming_alarm(cx, alarm),
            Stage::Session(_) => self.session_alarm(cx, alarm),
            Stage::Over => {}
        }
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

    /// The network has changed: it goes on from the new one.
    pub(crate) fn network_changed(&mut self, cx: &mut Context<'_>) {
        match &self.stage {
            Stage::Outgoing(_) => self.outgoing_moved(cx),
            Stage::Incoming(_) => self.incoming_moved(cx),
            Stage::Session(_) => self.relocate(cx),
            Stage::Over => {}
        }
    }

    /// A connection is over, and with it what was under way on it.
    pub(crate) fn handle_flow_lost(&mut self, cx: &mut Context<'_>, flow: Flow) {
        match &self.stage {
            Stage::Outgoing(_) => self.outgoing_flow_lost(cx, flow),
            Stage::Session(_) => self.session_flow_lost(cx, flow),
            Stage::Incoming(_) | Stage::Over => {}
        }
    }

    /// Ends it because the phone stops, whatever its state.
    pub(crate) fn shut_down(&mut self, cx: &mut Context<'_>) {
        match &self.stage {
            Stage::Outgoing(_) => self.withdraw(cx, Ending::new(EndedBy::Local)),
            Stage::Incoming(_) => self.refuse(cx, Response::new(480), EndedBy::Local),
            Stage::Session(_) => self.part(cx, Ending::new(EndedBy::Local)),
            Stage::Over => {}
        }
    }

    /// Ends it without a further word to the peer: the phone has waited long enough.
    pub(crate) fn abandon(&mut self, cx: &mut Context<'_>) {
        if !self.is_over() {
            self.finish(cx, Ending::new(EndedBy::Local));
        }
    }

    /// Ends a call whose media has fallen silent.
    pub(crate) fn silent(&mut self, cx: &mut Context<'_>) {
        if matches!(self.stage, Stage::Session(_)) && self.state == CallState::Answered {
            self.part(cx, Ending::new(EndedBy::Timeout));
        }
    }

    /// Tells a new state, or more about the old one.
    fn set_state(&mut self, cx: &mut Context<'_>, state: CallState, cause: Option<Cause>) {
        if self.state != state || cause.is_some() {
            self.state = state;
            if let Some(cause) = &cause {
                self.note(cause);
            }
            cx.emit(Event::State { call: self.id, state, cause });
        }
    }

    /// It is over: media stops, everything goes back, and the application is told.
    fn finish(&mut self, cx: &mut Context<'_>, ending: Ending) {
        self.forget_transfer(cx);
        self.forget_referral(cx);
        self.close_inquiries(cx);
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Outgoing(outgoing) => outgoing.close(cx),
            Stage::Incoming(incoming) => incoming.close(cx),
            Stage::Session(session) => session.close(cx),
            Stage::Over => return,
        }
        self.media.close(cx);
        if let Some(tag) = self.tag.take() {
            cx.agent.forget_tag(tag);
        }
        if !self.announced {
            self.state = CallState::Ended;
            return;
        }
        let cause = ending.cause.clone().filter(|_| self.state != CallState::Ended);
        self.set_state(cx, CallState::Ended, cause);
        if ending.cause.is_none() {
            self.note_end(ending.by);
        }
        let Ending { by, cause, error } = ending;
        cx.emit(Event::Ended { call: self.id, by, cause, error });
    }

    /// Our tag, made when first needed.
    pub(crate) fn tag(&mut self, cx: &mut Context<'_>) -> Tag {
        match self.tag {
            Some(tag) => tag,
            None => *self.tag.insert(cx.new_tag(Owner::Call(self.id))),
        }
    }
}

/// Whether a request of this method can carry an offer within a dialog.
fn carries_offer(method: &Method) -> bool {
    matches!(method, Method::Invite | Method::Update)
}
