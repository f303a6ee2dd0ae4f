//! A confirmed dialog, from 2xx to BYE (RFC 3261 §13.2.2.4, §13.3.1.4, §14.2, §15).

use std::sync::Arc;

use super::media::Body;
use super::queries;
use super::{Call, CallAlarm, Ending, Stage, carries_offer};
use crate::agent::{
    Alarm, Attempt, Crossing, Hop, Lost, Owner, Path, Query, Reach, Request, Response, T1, T2,
    TRANSACTION,
};
use crate::dialog::Dialog;
use crate::event::{CallId, CallState, EndedBy};
use crate::sip::{HeaderName, Message, Method, Uri};
use crate::time::{Duration, Instant};
use crate::timers::TimerId;
use crate::transaction::{ClientId, ServerId};

/// A call that was answered.
///
/// ```text
///              hangup, silence, no ACK        ACK has come, a path is there
///   Up ──────────────────────────► Waiting ─────────────────────► Leaving ─► 401 ─┐
///   │  re-INVITE, UPDATE, ...         │                            │    ▲         │
///   │  answered here                  │ BYE                        │    └─────────┘
///   └── BYE ──────────────────────────┴──────────► (over) ◄────────┘ response, none, BYE
/// ```
/// Beside that an ACK of ours is kept while 2xx may come again, and a 2xx of ours is repeated until
/// its ACK comes.
#[derive(Debug)]
pub(super) struct Session {
    dialog: Dialog,
    /// What we write as Contact.
    contact: Box<str>,
    /// Our INVITE, while a 2xx to it may still come.
    invite: Option<Box<Invite>>,
    /// Our 2xx, until its ACK.
    accepted: Option<Box<Accepted>>,
    parting: Parting,
    /// Dialogs of others that answered too late; each only waits for its end (§13.2.2.4).
    forks: Vec<Session>,
}

/// The caller's side of a 2xx.
#[derive(Debug)]
struct Invite {
    seq: u32,
    attempt: Attempt,
    /// The ACK, once there was a path for it.
    ack: Option<(Arc<Path>, Box<[u8]>)>,
    /// When no 2xx comes any more.
    until: Instant,
    forget: TimerId,
}

/// The callee's side of a 2xx.
#[derive(Debug)]
struct Accepted {
    server: ServerId,
    seq: u32,
    bytes: Box<[u8]>,
    interval: Duration,
    until: Instant,
    timer: TimerId,
}

#[derive(Debug)]
enum Parting {
    Up,
    /// It ends, but BYE cannot be sent yet: §15 forbids it before ACK, and a path may be missing.
    Waiting(Ending),
    /// BYE was sent.
    Leaving {
        attempt: Attempt,
        path: Arc<Path>,
        ending: Ending,
    },
}

/// How many late answers of a fork are ended properly; further ones are left to time out.
const MAX_FORKS: usize = 16;

impl Session {
    /// The caller's, from a 2xx; [`advance`](Self::advance) acknowledges it.
    pub(super) fn of_caller(
        cx: &mut Crossing<'_>,
        call: CallId,
        dialog: Dialog,
        contact: String,
        seq: u32,
        attempt: Attempt,
    ) -> Self {
        // No 2xx comes later than that (§13.2.2.4).
        let forget = cx.set_timer(TRANSACTION, Alarm::Call(call, CallAlarm::Forget));
        let until = cx.now() + TRANSACTION;
        let invite = Invite { seq, attempt, ack: None, until, forget };
        Self {
            dialog,
            contact: contact.into(),
            invite: Some(Box::new(invite)),
            accepted: None,
            parting: Parting::Up,
            forks: Vec::new(),
        }
    }

    /// The callee's; [`accept`](Self::accept) sends the 2xx.
    pub(super) fn of_callee(dialog: Dialog, contact: Box<str>) -> Self {
        let (invite, accepted, parting, forks) = (None, None, Parting::Up, Vec::new());
        Self { dialog, contact, invite, accepted, parting, forks }
    }

    /// Accepts an INVITE: sends 2xx, and repeats it until ACK comes (§13.3.1.4).
    pub(super) fn accept(
        &mut self,
        cx: &mut Crossing<'_>,
        call: CallId,
        query: &Query,
        response: Response<'_>,
    ) {
        let response = response.field(HeaderName::Contact, self.contact.as_ref()).capabilities();
        let bytes = cx.respond(query, response).into();
        self.forget_accepted(cx);
        let timer = cx.set_timer(T1, Alarm::Call(call, CallAlarm::Repeat));
        self.accepted = Some(Box::new(Accepted {
            server: query.id,
            seq: query.request.cseq(),
            bytes,
            interval: T1,
            until: cx.now() + TRANSACTION,
            timer,
        }));
    }

    /// Sends what is due and can be sent. Returns how the call ended, if it did.
    fn advance(&mut self, cx: &mut Crossing<'_>, call: CallId) -> Option<Ending> {
        self.forks.retain_mut(|fork| fork.advance(cx, call).is_none());
        let leaves = self.may_leave();
        if !self.owes_ack() && !leaves {
            return None;
        }
        let course = self.dialog.course();
        let hop = Uri::parse(course.next_hop).ok().and_then(|uri| Hop::of(&uri));
        let reach = hop.map_or(Reach::Full, |hop| cx.reach(&hop, Owner::Call(call)));
        let path = match reach {
            Reach::Open(path) => path,
            Reach::Later => return None,
            Reach::Full => return Some(self.lost(Lost::Unreachable)),
        };
        if let Some(invite) = &mut self.invite
            && invite.ack.is_none()
        {
            let request = in_dialog(&self.dialog, Method::Ack, invite.seq);
            let bytes = cx.send_ack(&path, &request, &invite.attempt);
            invite.ack = Some((Arc::clone(&path), bytes));
        }
        if leaves {
            let parting = core::mem::replace(&mut self.parting, Parting::Up);
            if let Parting::Waiting(ending) = parting {
                let mut attempt = Attempt::default();
                self.send_bye(cx, call, &path, &mut attempt);
                self.parting = Parting::Leaving { attempt, path, ending };
            }
        }
        None
    }

    /// Whether our ACK has not been sent yet.
    fn owes_ack(&self) -> bool {
        self.invite.as_ref().is_some_and(|invite| invite.ack.is_none())
    }

    /// Whether BYE is to be sent, and may be (§15).
    fn may_leave(&self) -> bool {
        self.accepted.is_none() && matches!(self.parting, Parting::Waiting(_))
    }

    /// Whether something waits for a path.
    fn needs_path(&self) -> bool {
        self.owes_ack() || self.may_leave()
    }

    /// What cannot be sent ends the call.
    fn lost(&mut self, lost: Lost) -> Ending {
        match core::mem::replace(&mut self.parting, Parting::Up) {
            Parting::Waiting(ending) | Parting::Leaving { ending, .. } => ending,
            Parting::Up => lost.into(),
        }
    }

    fn send_bye(
        &mut self,
        cx: &mut Crossing<'_>,
        call: CallId,
        path: &Path,
        attempt: &mut Attempt,
    ) {
        let seq = self.dialog.next_seq();
        let request = in_dialog(&self.dialog, Method::Bye, seq);
        cx.send(path, &request, attempt, Owner::Call(call));
    }

    /// Begins to end it, unless that has begun.
    fn part(&mut self, ending: Ending) {
        if matches!(self.parting, Parting::Up) {
            self.parting = Parting::Waiting(ending);
        }
    }

    /// Takes a response to our BYE; how the call ended, if it did.
    fn handle_bye_response(
        &mut self,
        cx: &mut Crossing<'_>,
        call: CallId,
        client: ClientId,
        response: &Message,
    ) -> Option<Ending> {
        let Parting::Leaving { attempt, path, ending } = &mut self.parting else { return None };
        if !attempt.is(client) || response.status().is_none_or(|status| status < 200) {
            return None;
        }
        let challenge = matches!(response.status(), Some(401 | 407));
        if challenge && cx.handle_challenge(path, response, attempt).is_ok() {
            let (mut attempt, path, ending) =
                (core::mem::take(attempt), Arc::clone(path), ending.clone());
            self.send_bye(cx, call, &path, &mut attempt);
            self.parting = Parting::Leaving { attempt, path, ending };
            return None;
        }
        // §15.1.1: 481, 408 and no response at all end the session as well as 200 does.
        Some(ending.clone())
    }

    /// Takes a 2xx to our INVITE that is not the first: a copy, or that of another fork.
    fn handle_further_2xx(&mut self, cx: &mut Crossing<'_>, call: CallId, response: &Message) {
        if self.dialog.is_of(response.call_id(), response.to_tag()) {
            if let Some((path, bytes)) = self.invite.as_ref().and_then(|i| i.ack.as_ref()) {
                cx.resend(path, bytes);
            }
            return;
        }
        let mut forks = self.forks.iter_mut();
        let tag = response.to_tag();
        if let Some(fork) = forks.find(|fork| fork.dialog.is_of(response.call_id(), tag)) {
            return fork.handle_further_2xx(cx, call, response);
        }
        let Some(invite) = self.invite.as_ref().filter(|_| self.forks.len() < MAX_FORKS) else {
            return;
        };
        let Ok(dialog) = self.dialog.fork(invite.seq, response) else { return };
        let attempt = invite.attempt.for_ack();
        let contact = self.contact.to_string();
        let mut fork = Self::of_caller(cx, call, dialog, contact, invite.seq, attempt);
        fork.part(Ending::new(EndedBy::Local));
        self.forks.push(fork);
    }

    fn forget_accepted(&mut self, cx: &mut Crossing<'_>) {
        if let Some(accepted) = self.accepted.take() {
            cx.cancel_timer(accepted.timer);
        }
    }

    fn forget_invite(&mut self, cx: &mut Crossing<'_>) {
        if let Some(invite) = self.invite.take() {
            cx.cancel_timer(invite.forget);
        }
    }

    pub(super) fn close(mut self, cx: &mut Crossing<'_>) {
        self.forget_accepted(cx);
        self.forget_invite(cx);
        for fork in self.forks {
            fork.close(cx);
        }
    }
}

impl Call {
    /// Ends an answered call.
    pub(crate) fn hangup(&mut self, cx: &mut Crossing<'_>) {
        self.part(cx, Ending::new(EndedBy::Local));
    }

    /// Ends it: media stops now, BYE goes out as soon as it may.
    pub(super) fn part(&mut self, cx: &mut Crossing<'_>, ending: Ending) {
        let Stage::Session(session) = &mut self.stage else { return };
        session.part(ending);
        self.media.close(cx);
        self.set_state(cx, CallState::Ended, None);
        self.advance(cx);
    }

    /// Sends what is due.
    pub(super) fn advance(&mut self, cx: &mut Crossing<'_>) {
        let Stage::Session(session) = &mut self.stage else { return };
        if let Some(ending) = session.advance(cx, self.id) {
            self.finish(cx, ending);
        }
    }

    pub(super) fn session_path(&mut self, cx: &mut Crossing<'_>, path: Result<Arc<Path>, Lost>) {
        let Stage::Session(session) = &mut self.stage else { return };
        match path {
            Ok(_) => self.advance(cx),
            Err(lost) => {
                session.forks.retain(|fork| !fork.needs_path());
                if session.needs_path() {
                    let ending = session.lost(lost);
                    self.finish(cx, ending);
                }
            }
        }
    }

    pub(super) fn session_response(
        &mut self,
        cx: &mut Crossing<'_>,
        client: Option<ClientId>,
        response: &Message,
    ) {
        let Stage::Session(session) = &mut self.stage else { return };
        if *response.method() == Method::Invite {
            if response.status().is_some_and(|status| (200..300).contains(&status)) {
                session.handle_further_2xx(cx, self.id, response);
                self.advance(cx);
            }
            return;
        }
        let Some(client) = client else { return };
        let id = self.id;
        session.forks.retain_mut(|fork| {
            let over = fork.handle_bye_response(cx, id, client, response).is_some();
            // The fork's ACK is kept while its 2xx may come again.
            if over {
                fork.parting = Parting::Up;
            }
            !over || fork.invite.is_some()
        });
        if let Some(ending) = session.handle_bye_response(cx, id, client, response) {
            self.finish(cx, ending);
        }
    }

    pub(super) fn session_failure(&mut self, cx: &mut Crossing<'_>, client: ClientId) {
        let Stage::Session(session) = &mut self.stage else { return };
        for fork in &mut session.forks {
            if matches!(&fork.parting, Parting::Leaving { attempt, .. } if attempt.is(client)) {
                fork.parting = Parting::Up;
            }
        }
        if let Parting::Leaving { attempt, ending, .. } = &session.parting
            && attempt.is(client)
        {
            let ending = ending.clone();
            self.finish(cx, ending);
        }
    }

    pub(super) fn session_alarm(&mut self, cx: &mut Crossing<'_>, alarm: CallAlarm) {
        let Stage::Session(session) = &mut self.stage else { return };
        let now = cx.now();
        match alarm {
            CallAlarm::Repeat => match &mut session.accepted {
                Some(accepted) if accepted.until <= now => {
                    // §13.3.1.4: nobody acknowledges.
                    session.forget_accepted(cx);
                    self.media.withdraw();
                    self.part(cx, Ending::new(EndedBy::Timeout));
                    self.advance(cx);
                }
                Some(accepted) => {
                    accepted.interval = (accepted.interval * 2).min(T2);
                    let next = (now + accepted.interval).min(accepted.until).since(now);
                    let alarm = Alarm::Call(self.id, CallAlarm::Repeat);
                    accepted.timer = cx.set_timer(next, alarm);
                    cx.repeat(accepted.server, 200, &accepted.bytes);
                }
                None => {}
            },
            CallAlarm::Forget => {
                let stale =
                    |session: &Session| session.invite.as_ref().is_some_and(|i| i.until <= now);
                session.forks.retain(|fork| !stale(fork) || !matches!(fork.parting, Parting::Up));
                if stale(session) {
                    session.forget_invite(cx);
                    self.media.settle();
                }
            }
            CallAlarm::Unanswered | CallAlarm::Remind => {}
        }
    }

    pub(super) fn session_ack(&mut self, cx: &mut Crossing<'_>, ack: &Message) {
        let Stage::Session(session) = &mut self.stage else { return };
        let ours = session.dialog.is_of(ack.call_id(), ack.from_tag());
        let Some(accepted) = session.accepted.as_ref().filter(|_| ours) else { return };
        if accepted.seq != ack.cseq() {
            return;
        }
        session.forget_accepted(cx);
        if self.media.is_offering() {
            // §13.2.1: the offer was in our 2xx, so the answer is in ACK.
            let answered = match Body::of(ack) {
                Body::Session(answer) => self.media.accept(cx, &answer),
                _ => false,
            };
            if !answered {
                self.media.withdraw();
                return self.part(cx, Ending::error(None));
            }
        }
        self.advance(cx);
    }

    pub(super) fn session_request(&mut self, cx: &mut Crossing<'_>, query: &Query) {
        let Stage::Session(session) = &mut self.stage else { return };
        let request = &query.request;
        if !session.dialog.is_of(request.call_id(), request.from_tag()) {
            return queries::no_dialog(cx, query);
        }
        if session.dialog.handle_request(request).is_err() {
            cx.respond(query, Response::new(500));
            return;
        }
        let parting = !matches!(session.parting, Parting::Up);
        match request.method() {
            // §15.1.2. One that crosses ours finds the call ending: it ends now.
            Method::Bye => {
                cx.respond(query, Response::new(200));
                let ending = match parting {
                    true => session.lost(Lost::Unreachable),
                    false => Ending::new(EndedBy::Remote),
                };
                self.finish(cx, ending);
            }
            _ if parting => queries::no_dialog(cx, query),
            method if carries_offer(method) => self.reoffered(cx, query),
            _ => queries::answer(cx, query),
        }
    }

    /// A re-INVITE or UPDATE (§14.2, RFC 3311 §5.2).
    fn reoffered(&mut self, cx: &mut Crossing<'_>, query: &Query) {
        let Stage::Session(session) = &mut self.stage else { return };
        let request = &query.request;
        let invite = *request.method() == Method::Invite;
        let body = match Body::of(request) {
            Body::Malformed => return drop(cx.respond(query, Response::new(400))),
            Body::Unsupported => return queries::unsupported_body(cx, query),
            // Glare: an offer of ours waits for its answer.
            Body::Session(_) if self.media.is_offering() => {
                return drop(cx.respond(query, Response::new(491)));
            }
            Body::None if invite && self.media.is_offering() => {
                return drop(cx.respond(query, Response::new(491)));
            }
            body => body,
        };
        let Ok(target) = Dialog::target_of(request) else {
            return drop(cx.respond(query, Response::new(400)));
        };
        let (sdp, agreed) = match body {
            Body::Session(offer) => match self.media.answer(cx, &offer) {
                Ok((answer, agreed)) => (Some(answer), Some(agreed)),
                // §14.2: the session stays as it was.
                Err(error) => return queries::not_acceptable(cx, query, &error),
            },
            _ if invite => (self.media.offer(cx), None),
            _ => (None, None),
        };
        session.dialog.set_target(target);
        let response = Response::new(200).body(sdp.as_deref());
        if invite {
            session.accept(cx, self.id, query, response);
        } else {
            cx.respond(query, response.field(HeaderName::Contact, session.contact.as_ref()));
        }
        if let Some(agreed) = agreed {
            self.media.configure(cx, &agreed);
        }
    }
}

/// A request of ours within a dialog (§12.2.1.1).
fn in_dialog(dialog: &Dialog, method: Method, seq: u32) -> Request<'_> {
    Request {
        method,
        course: dialog.course(),
        from: dialog.local(),
        to: dialog.remote(),
        call_id: dialog.call_id(),
        seq,
        fields: Vec::new(),
        extensions: &[],
        body: None,
    }
}
