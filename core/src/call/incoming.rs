//! The callee's INVITE, up to our final response (RFC 3261 §13.3).

use std::sync::Arc;

use super::body::Body;
use super::common::Common;
use super::session::Session;
use super::{Call, EndReason, Stage, Step, queries};
use crate::agent::{CallAlarm, Context, Hop, Lost, Path, Query, Reach, Response};
use crate::dialog::Dialog;
use crate::error::Error;
use crate::event::{CallState, Cause, EndedBy, Event, PhoneEvent};
use crate::host::Flow;
use crate::sdp::Agreed;
use crate::sip::{HeaderName, Message, Method, reason_phrase};
use crate::time::Duration;
use crate::timers::TimerId;

/// A call that came in.
#[derive(Debug)]
pub(super) struct Incoming {
    query: Query,
    state: State,
}

/// ```text
///   INVITE ─► Seeking ── path ──► Binding ── ports ──► Ringing ── answer ──► Answered (session)
///                │                   │                 │ ▲ │
///                │ none: 500         │ none: 503       │ └─┘ progress: 183, a minute: 180
///                ▼                   ▼                 ▼
///             (over) ◄───────────────┴─────────────────┘ deny, CANCEL: 487, BYE, too long
/// ```
/// Until it rings the application knows nothing of it.
#[derive(Debug)]
enum State {
    Seeking {
        body: Body,
    },
    Binding {
        body: Body,
        path: Arc<Path>,
    },
    Ringing(Ringing),
    /// The session has what there was.
    Answered,
}

#[derive(Debug)]
struct Ringing {
    dialog: Dialog,
    contact: Box<str>,
    /// Our answer to their offer; none when they leave the offer to us.
    answer: Option<(String, Vec<Agreed>)>,
    remind: TimerId,
    unanswered: TimerId,
    /// What we say when nobody answers: 480, or 487 when the caller set the time.
    too_late: u16,
    /// Whether the network has changed since, so that the address which the caller has of us is outdated.
    moved: bool,
}

/// §13.3.1.1: a proxy that has heard nothing for three minutes gives up, so it gets another
/// provisional response each minute.
const REMIND_AFTER: Duration = Duration::from_secs(60);

/// How long a call may ring here if the caller sets no time: one whose caller has vanished must not
/// ring for ever.
const RING_LIMIT: Duration = Duration::from_secs(600);

impl Call {
    /// Begins a call that came in: looks for the address by which the caller reaches us.
    pub(crate) fn arrive(&mut self, cx: &mut Context<'_>) {
        self.in_incoming(cx, Incoming::arrive);
    }

    /// Answers (§13.3.1.4); the application sees the call as answered already.
    pub(crate) fn answer(&mut self, cx: &mut Context<'_>) {
        self.common.note_answered(cx);
        self.in_incoming(cx, Incoming::answer);
    }

    /// Sends 183 with our answer, if there is an offer, and opens media (§13.3.1.1).
    pub(crate) fn progress(&mut self, cx: &mut Context<'_>) {
        self.in_incoming(cx, |incoming, call, cx| {
            incoming.progress(call, cx);
            Step::Stay
        });
    }

    /// Refuses by the application's wish.
    pub(crate) fn deny(&mut self, cx: &mut Context<'_>, response: Response<'_>) {
        self.in_incoming(cx, |incoming, call, cx| {
            incoming.refuse(call, cx, response, EndedBy::Local)
        });
    }

    /// Takes a CANCEL of the INVITE that has been answered (§9.2).
    pub(crate) fn handle_cancel(&mut self, cx: &mut Context<'_>, cancel: &Message) {
        self.in_incoming(cx, |incoming, call, cx| incoming.give_up(call, cx, cancel));
    }
}

impl Incoming {
    pub(super) fn new(query: Query, body: Body) -> Self {
        Self { query, state: State::Seeking { body } }
    }

    /// Whether it came by that connection.
    pub(super) fn uses(&self, flow: Flow) -> bool {
        self.query.flow == flow
    }

    /// Begins.
    fn arrive(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        match cx.reach_back(&self.query, call.owner()) {
            Reach::Open(path) => self.handle_path(call, cx, Ok(path)),
            Reach::Later => Step::Stay,
            Reach::Never(lost) => self.handle_path(call, cx, Err(lost)),
        }
    }

    /// Sends 2xx: a session follows.
    fn answer(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        let tag = call.tag(cx);
        let ringing = match core::mem::replace(&mut self.state, State::Answered) {
            State::Ringing(ringing) => ringing,
            // It rings before the application can answer.
            state => {
                self.state = state;
                return Step::Stay;
            }
        };
        cx.cancel_timer(ringing.remind);
        cx.cancel_timer(ringing.unanswered);
        let (sdp, agreed) = match ringing.answer {
            Some((answer, agreed)) => (Some(answer), agreed),
            None => (call.media.offer(cx), Vec::new()),
        };
        let mut session = Session::new(ringing.dialog, ringing.contact);
        let response = Response::new(200).tag(tag).body(sdp.as_deref());
        session.accept(call, cx, &self.query, response);
        if !agreed.is_empty() {
            call.media.configure(cx, &agreed);
        }
        if ringing.moved {
            session.begin_relocation(call, cx);
        }
        Step::Become(Stage::Session(Box::new(session)))
    }

    fn progress(&mut self, call: &mut Common, cx: &mut Context<'_>) {
        let tag = call.tag(cx);
        let State::Ringing(ringing) = &mut self.state else { return };
        let answer = ringing.answer.as_ref().map(|(answer, _)| answer.as_str());
        let response = Response::new(183)
            .tag(tag)
            .field(HeaderName::Contact, ringing.contact.as_ref())
            .body(answer);
        cx.respond(&self.query, response);
        if let Some((_, agreed)) = &ringing.answer {
            call.media.configure(cx, agreed);
        }
    }

    /// Refuses: by the application's wish, or because something here forbids the call.
    pub(super) fn refuse(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        response: Response<'_>,
        by: EndedBy,
    ) -> Step {
        Step::End(self.decline(call, cx, response, EndReason::new(by)))
    }

    /// The same, with how the call then has ended.
    fn decline(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        response: Response<'_>,
        ending: EndReason,
    ) -> EndReason {
        let tag = call.tag(cx);
        let (code, reason) = (response.status(), response.words().map(str::to_owned));
        cx.respond(&self.query, response.tag(tag));
        let reason = reason.unwrap_or_else(|| reason_phrase(code).to_owned());
        let cause = Some(Cause::new(code, reason));
        EndReason { cause, ..ending }
    }

    /// The caller gives up, by CANCEL or BYE (§9.2, §15.1.2).
    fn give_up(&mut self, call: &mut Common, cx: &mut Context<'_>, by: &Message) -> Step {
        Step::End(self.decline(call, cx, Response::new(487), EndReason::of_request(by)))
    }

    /// Takes the path back to the caller.
    pub(super) fn handle_path(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        path: Result<Arc<Path>, Lost>,
    ) -> Step {
        let body = match &mut self.state {
            State::Seeking { body } => body,
            State::Ringing(ringing) => {
                if let Ok(path) = path {
                    ringing.contact = cx.contact(&path).into();
                }
                return Step::Stay;
            }
            State::Binding { .. } | State::Answered => return Step::Stay,
        };
        let path = match path {
            Ok(path) => path,
            Err(lost) => {
                if let Lost::Because(error) = lost {
                    cx.note_refused_call(&self.query.request, 500, error);
                }
                return self.refuse(call, cx, Response::new(500), EndedBy::Error);
            }
        };
        let body = core::mem::replace(body, Body::None);
        let streams = match &body {
            Body::Session(offer) => call.media.streams_in(offer),
            _ => 1,
        };
        call.media.bind(cx, path.to.ip(), streams);
        self.state = State::Binding { body, path };
        Step::Stay
    }

    /// The network has changed. The first answer to the offer holds (§13.2.1), so a re-INVITE names the
    /// new ports once the call is answered; the Contact is right in the 2xx already.
    pub(super) fn handle_network_change(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
    ) -> Step {
        let hop = match self.query.peer_connection() {
            // At the other end of its connection the caller does not listen.
            Some(connection) => connection.sender().clone(),
            None => Hop::at(self.query.flow.transport, self.query.from),
        };
        let State::Ringing(ringing) = &mut self.state else { return Step::Stay };
        ringing.moved = true;
        match cx.reach(&hop, call.owner()) {
            Reach::Open(path) => self.handle_path(call, cx, Ok(path)),
            Reach::Later | Reach::Never(_) => Step::Stay,
        }
    }

    /// Takes the ports for media: it rings.
    pub(super) fn handle_ports(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        let State::Binding { body, path } = &mut self.state else { return Step::Stay };
        let (body, path) = (core::mem::replace(body, Body::None), Arc::clone(path));
        let tag = call.tag(cx);
        match call.media.open(cx) {
            Ok(()) => {}
            Err(error) => {
                let code = match error {
                    Error::NoPortsAvailable { .. } => 503,
                    _ => 500,
                };
                cx.note_refused_call(&self.query.request, code, error);
                return self.refuse(call, cx, Response::new(code), EndedBy::Error);
            }
        }
        let answer = match body {
            Body::Session(offer) => match call.media.answer(cx, &offer) {
                Ok(answer) => Some(answer),
                Err(why) => {
                    let warning = queries::warning(&why);
                    let response = Response::new(488).field(HeaderName::Warning, warning);
                    return self.refuse(call, cx, response, EndedBy::Error);
                }
            },
            _ => None,
        };
        let request = &self.query.request;
        let mut dialog = match Dialog::of_callee(request, &call.call_id, &tag.to_string()) {
            Ok(dialog) => dialog,
            Err(_) => return self.refuse(call, cx, Response::new(400), EndedBy::Error),
        };
        dialog.set_peer_connection(self.query.peer_connection());
        let contact: Box<str> = cx.contact_by(&path, self.query.wants_sips()).into();
        // §13.3.1: an INVITE may say itself how long it is good for.
        let (limit, too_late) = match request.expires() {
            Some(secs) if Duration::from_secs(secs.into()) < RING_LIMIT => {
                (Duration::from_secs(secs.into()), 487)
            }
            _ => (RING_LIMIT, 480),
        };
        let ringing = Ringing {
            dialog,
            contact,
            answer,
            remind: cx.set_timer(REMIND_AFTER, call.alarm(CallAlarm::Remind)),
            unanswered: cx.set_timer(limit, call.alarm(CallAlarm::Unanswered)),
            too_late,
            moved: false,
        };
        let (from, to) = (request.from().uri_str().to_owned(), request.to().uri_str().to_owned());
        self.state = State::Ringing(ringing);
        self.ring(call, cx);
        call.announced = true;
        call.note_began(cx);
        cx.emit(Event::Phone(PhoneEvent::Incoming { call: call.id, from, to }));
        call.media.open_session(cx);
        Step::Stay
    }

    /// Says that it rings (§13.3.1.1).
    fn ring(&mut self, call: &mut Common, cx: &mut Context<'_>) {
        let tag = call.tag(cx);
        let State::Ringing(ringing) = &mut self.state else { return };
        let contact = ringing.contact.as_ref();
        let response = Response::new(180).tag(tag).field(HeaderName::Contact, contact);
        cx.respond(&self.query, response);
    }

    /// A timer fired.
    pub(super) fn handle_alarm(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        alarm: CallAlarm,
    ) -> Step {
        let State::Ringing(ringing) = &mut self.state else { return Step::Stay };
        match alarm {
            CallAlarm::Remind => {
                ringing.remind = cx.set_timer(REMIND_AFTER, call.alarm(CallAlarm::Remind));
                match call.state {
                    CallState::Progress => self.progress(call, cx),
                    _ => self.ring(call, cx),
                }
                Step::Stay
            }
            CallAlarm::Unanswered => {
                let code = ringing.too_late;
                self.refuse(call, cx, Response::new(code), EndedBy::Timeout)
            }
            _ => Step::Stay,
        }
    }

    /// A request of the caller within the early dialog.
    pub(super) fn handle_request(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        query: &Query,
    ) -> Step {
        let request = &query.request;
        let ringing = match &mut self.state {
            State::Ringing(ringing)
                if ringing.dialog.is_of(request.call_id(), request.from_tag()) =>
            {
                ringing
            }
            _ => {
                queries::no_dialog(cx, query);
                return Step::Stay;
            }
        };
        if ringing.dialog.handle_request(request).is_err() {
            cx.respond(query, Response::new(500));
            return Step::Stay;
        }
        ringing.dialog.set_peer_connection(query.peer_connection());
        let offers = !request.body().is_empty();
        match request.method() {
            Method::Bye => {
                cx.respond(query, Response::new(200));
                return self.give_up(call, cx, request);
            }
            // §14.2, RFC 3311 §5.2: the first offer has not been answered yet.
            method if *method == Method::Invite || (*method == Method::Update && offers) => {
                queries::later(cx, query);
            }
            Method::Update => match Dialog::target_of(request) {
                Ok(target) => {
                    ringing.dialog.set_target(target);
                    let contact = ringing.contact.as_ref();
                    cx.respond(query, Response::new(200).field(HeaderName::Contact, contact));
                }
                Err(_) => {
                    cx.respond(query, Response::new(400));
                }
            },
            _ => queries::answer(cx, query),
        }
        Step::Stay
    }

    /// Gives back what it holds.
    pub(super) fn close(self, cx: &mut Context<'_>) {
        if let State::Ringing(ringing) = self.state {
            cx.cancel_timer(ringing.remind);
            cx.cancel_timer(ringing.unanswered);
        }
    }
}
