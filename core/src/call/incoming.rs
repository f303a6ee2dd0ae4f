//! The callee's INVITE, up to our final response (RFC 3261 §13.3).

use std::sync::Arc;

use super::media::Body;
use super::queries;
use super::session::Session;
use super::{Call, CallAlarm, Ending, Stage};
use crate::agent::{Alarm, Context, Hop, Lost, MediaPorts, Owner, Path, Query, Reach, Response};
use crate::dialog::Dialog;
use crate::error::Error;
use crate::event::{CallState, Cause, EndedBy, Event};
use crate::host::Flow;
use crate::sdp::Agreed;
use crate::sip::{HeaderName, Method, reason_phrase};
use crate::time::Duration;
use crate::timers::TimerId;

/// A call that came in.
#[derive(Debug)]
pub(super) struct Incoming {
    query: Query,
    state: State,
}

/// ```text
///   INVITE ─► Seeking ── path ──► Binding ── ports ──► Ringing ── answer ──► (session)
///                │                   │                 │ ▲ │
///                │ none: 500         │ none: 503       │ └─┘ progress: 183, a minute: 180
///                ▼                   ▼                 ▼
///             (over) ◄───────────────┴─────────────────┘ deny, CANCEL: 487, BYE, too long
/// ```
/// Until it rings the application knows nothing of it.
#[derive(Debug)]
enum State {
    Seeking { body: Body },
    Binding { body: Body, path: Arc<Path> },
    Ringing(Ringing),
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
    /// Whether the network has changed since, so that what the caller is told of us is outdated.
    moved: bool,
}

/// §13.3.1.1: a proxy that has heard nothing for three minutes gives up, so each minute tells it
/// more.
const REMIND_AFTER: Duration = Duration::from_secs(60);

/// How long a call may ring here if the caller sets no time: one whose caller has vanished must not
/// ring for ever.
const RING_LIMIT: Duration = Duration::from_secs(600);

impl Incoming {
    pub(super) fn new(query: Query, body: Body) -> Self {
        Self { query, state: State::Seeking { body } }
    }

    /// Whether it came by that connection.
    pub(super) fn uses(&self, flow: Flow) -> bool {
        self.query.flow == flow
    }

    pub(super) fn close(self, cx: &mut Context<'_>) {
        if let State::Ringing(ringing) = self.state {
            cx.cancel_timer(ringing.remind);
            cx.cancel_timer(ringing.unanswered);
        }
    }
}

impl Call {
    /// Begins: looks for the address by which the caller reaches us.
    pub(crate) fn arrive(&mut self, cx: &mut Context<'_>) {
        let Stage::Incoming(incoming) = &self.stage else { return };
        match cx.reach_back(&incoming.query, Owner::Call(self.id)) {
            Reach::Open(path) => self.incoming_path(cx, Ok(path)),
            Reach::Later => {}
            Reach::Never(lost) => self.incoming_path(cx, Err(lost)),
        }
    }

    /// Answers (§13.3.1.4); the application has been told the state.
    pub(crate) fn answer(&mut self, cx: &mut Context<'_>) {
        let tag = self.tag(cx);
        let Stage::Incoming(incoming) = core::mem::replace(&mut self.stage, Stage::Over) else {
            return;
        };
        let Incoming { query, state: State::Ringing(ringing) } = *incoming else { return };
        cx.cancel_timer(ringing.remind);
        cx.cancel_timer(ringing.unanswered);
        let (sdp, agreed) = match ringing.answer {
            Some((answer, agreed)) => (Some(answer), agreed),
            None => (self.media.offer(cx), Vec::new()),
        };
        let mut session = Session::new(ringing.dialog, ringing.contact);
        let response = Response::new(200).tag(tag).body(sdp.as_deref());
        session.accept(cx, self.id, &query, response);
        self.stage = Stage::Session(Box::new(session));
        if !agreed.is_empty() {
            self.media.configure(cx, &agreed);
        }
        if ringing.moved {
            self.relocate(cx);
        }
    }

    /// The network has changed. What the caller was told first holds (§13.2.1), so its new ports are
    /// told when the call is answered; the Contact is then right already.
    pub(super) fn incoming_moved(&mut self, cx: &mut Context<'_>) {
        let Stage::Incoming(incoming) = &mut self.stage else { return };
        let hop = match incoming.query.link() {
            // At the other end of its connection the caller does not listen.
            Some(link) => link.sender().clone(),
            None => Hop::at(incoming.query.flow.transport, incoming.query.from),
        };
        let State::Ringing(ringing) = &mut incoming.state else { return };
        ringing.moved = true;
        if let Reach::Open(path) = cx.reach(&hop, Owner::Call(self.id)) {
            self.incoming_path(cx, Ok(path));
        }
    }

    /// Sends 183 with our answer, if there is an offer, and opens media (§13.3.1.1).
    pub(crate) fn progress(&mut self, cx: &mut Context<'_>) {
        let tag = self.tag(cx);
        let Stage::Incoming(incoming) = &mut self.stage else { return };
        let State::Ringing(ringing) = &mut incoming.state else { return };
        let answer = ringing.answer.as_ref().map(|(answer, _)| answer.as_str());
        let response = Response::new(183)
            .tag(tag)
            .field(HeaderName::Contact, ringing.contact.as_ref())
            .body(answer);
        cx.respond(&incoming.query, response);
        if let Some((_, agreed)) = &ringing.answer {
            self.media.configure(cx, agreed);
        }
    }

    /// Refuses: by the application's wish, or because something here forbids the call.
    pub(crate) fn refuse(&mut self, cx: &mut Context<'_>, response: Response<'_>, by: EndedBy) {
        let tag = self.tag(cx);
        let Stage::Incoming(incoming) = &self.stage else { return };
        let (code, reason) = (response.status(), response.words().map(str::to_owned));
        cx.respond(&incoming.query, response.tag(tag));
        let reason = reason.unwrap_or_else(|| reason_phrase(code).to_owned());
        let cause = Some(Cause::new(code, reason));
        self.finish(cx, Ending { cause, ..Ending::new(by) });
    }

    /// The caller gives up: a CANCEL that has been answered, or BYE (§9.2, §15.1.2).
    pub(crate) fn cancelled(&mut self, cx: &mut Context<'_>) {
        self.refuse(cx, Response::new(487), EndedBy::Remote);
    }

    pub(super) fn incoming_path(&mut self, cx: &mut Context<'_>, path: Result<Arc<Path>, Lost>) {
        let Stage::Incoming(incoming) = &mut self.stage else { return };
        let body = match &mut incoming.state {
            State::Seeking { body } => body,
            State::Ringing(ringing) => {
                if let Ok(path) = path {
                    ringing.contact = cx.contact(&path).into();
                }
                return;
            }
            State::Binding { .. } => return,
        };
        match path {
            Ok(path) => {
                let body = core::mem::replace(body, Body::None);
                let streams = match &body {
                    Body::Session(offer) => self.media.streams_in(offer),
                    _ => 1,
                };
                self.media.bind(cx, path.to.ip(), streams);
                incoming.state = State::Binding { body, path };
            }
            Err(_) => self.refuse(cx, Response::new(500), EndedBy::Error),
        }
    }

    pub(super) fn incoming_ports(&mut self, cx: &mut Context<'_>, ports: Option<MediaPorts>) {
        let tag = self.tag(cx);
        if !self.media.handle_ports(cx, ports) {
            return;
        }
        let Stage::Incoming(incoming) = &mut self.stage else { return };
        let State::Binding { body, path } = &mut incoming.state else { return };
        let (body, path) = (core::mem::replace(body, Body::None), Arc::clone(path));
        match self.media.open(cx) {
            Ok(()) => {}
            Err(Error::NoPortsAvailable { .. }) => {
                return self.refuse(cx, Response::new(503), EndedBy::Error);
            }
            Err(_) => return self.refuse(cx, Response::new(500), EndedBy::Error),
        }
        let answer = match body {
            Body::Session(offer) => match self.media.answer(cx, &offer) {
                Ok(answer) => Some(answer),
                Err(why) => {
                    let warning = queries::warning(&why);
                    let response = Response::new(488).field(HeaderName::Warning, warning);
                    return self.refuse(cx, response, EndedBy::Error);
                }
            },
            _ => None,
        };
        let request = &incoming.query.request;
        let mut dialog = match Dialog::of_callee(request, &self.call_id, &tag.to_string()) {
            Ok(dialog) => dialog,
            Err(_) => return self.refuse(cx, Response::new(400), EndedBy::Error),
        };
        dialog.set_link(incoming.query.link());
        let contact: Box<str> = cx.contact_by(&path, incoming.query.wants_sips()).into();
        // §13.3.1: an INVITE may say itself how long it is good for.
        let (limit, too_late) = match request.expires() {
            Some(secs) if Duration::from_secs(secs.into()) < RING_LIMIT => {
                (Duration::from_secs(secs.into()), 487)
            }
            _ => (RING_LIMIT, 480),
        };
        let alarm = |alarm| Alarm::Call(self.id, alarm);
        let ringing = Ringing {
            dialog,
            contact,
            answer,
            remind: cx.set_timer(REMIND_AFTER, alarm(CallAlarm::Remind)),
            unanswered: cx.set_timer(limit, alarm(CallAlarm::Unanswered)),
            too_late,
            moved: false,
        };
        let (from, to) = (request.from().uri_str().to_owned(), request.to().uri_str().to_owned());
        incoming.state = State::Ringing(ringing);
        self.ring(cx);
        self.announced = true;
        cx.emit(Event::Incoming { call: self.id, from, to });
    }

    /// Says that it rings (§13.3.1.1).
    fn ring(&mut self, cx: &mut Context<'_>) {
        let tag = self.tag(cx);
        let Stage::Incoming(incoming) = &mut self.stage else { return };
        let State::Ringing(ringing) = &mut incoming.state else { return };
        let contact = ringing.contact.as_ref();
        let response = Response::new(180).tag(tag).field(HeaderName::Contact, contact);
        cx.respond(&incoming.query, response);
    }

    pub(super) fn incoming_alarm(&mut self, cx: &mut Context<'_>, alarm: CallAlarm) {
        let Stage::Incoming(incoming) = &mut self.stage else { return };
        let State::Ringing(ringing) = &mut incoming.state else { return };
        match alarm {
            CallAlarm::Remind => {
                let alarm = Alarm::Call(self.id, CallAlarm::Remind);
                ringing.remind = cx.set_timer(REMIND_AFTER, alarm);
                match self.state {
                    CallState::Progress => self.progress(cx),
                    _ => self.ring(cx),
                }
            }
            CallAlarm::Unanswered => {
                let code = ringing.too_late;
                self.refuse(cx, Response::new(code), EndedBy::Timeout);
            }
            _ => {}
        }
    }

    /// A request of the caller within the early dialog.
    pub(super) fn incoming_request(&mut self, cx: &mut Context<'_>, query: &Query) {
        let Stage::Incoming(incoming) = &mut self.stage else { return };
        let State::Ringing(ringing) = &mut incoming.state else {
            return queries::no_dialog(cx, query);
        };
        let request = &query.request;
        if !ringing.dialog.is_of(request.call_id(), request.from_tag()) {
            return queries::no_dialog(cx, query);
        }
        if ringing.dialog.handle_request(request).is_err() {
            cx.respond(query, Response::new(500));
            return;
        }
        ringing.dialog.set_link(query.link());
        let offers = !request.body().is_empty();
        match request.method() {
            Method::Bye => {
                cx.respond(query, Response::new(200));
                self.cancelled(cx);
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
    }
}
