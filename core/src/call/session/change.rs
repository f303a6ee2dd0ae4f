//! Our wish to change the session: re-INVITE (RFC 3261 §14.1).

use super::Session;
use super::ask::{Ask, reach};
use super::invite::Invite;
use crate::agent::{
    ACCEPTED, ALLOWED, Alarm, Answer, CallAlarm, Content, Context, Reach, TRANSACTION,
};
use crate::call::media::Body;
use crate::call::{Call, Ending, Stage};
use crate::dialog::Dialog;
use crate::event::{CallDirection, Cause, EndedBy};
use crate::host::Flow;
use crate::sip::{HeaderName, Message, Method};
use crate::time::Duration;
use crate::timers::TimerId;
use crate::transaction::{ClientId, FailureCause};

/// A change that the far end has yet to be told. Only the latest wish counts: while one is under way
/// the next waits, and what has become of it by then is what is offered.
///
/// ```text
///  hold, resume, ─► Due ── no other INVITE, no offer, a path ──► Asked ── 2xx, 4xx ─► (told)
///  another          ▲                                            │ 491, 500 with Retry-After
///  network          └────────────── the time is up ── Waiting ◄──┘
/// ```
#[derive(Debug, Default)]
pub(super) struct Change {
    state: State,
    /// Whether we are elsewhere than the far end believes, or it is not known what it believes: then it
    /// is told in any case.
    moved: bool,
    /// How often it was put off.
    refusals: u8,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Due,
    Asked {
        ask: Ask,
        limit: TimerId,
    },
    Waiting(TimerId),
}

/// How often a change is tried again: a peer that always has another INVITE under way has a fault.
const MAX_REFUSALS: u8 = 8;

/// §14.2: a peer that is busy with an earlier INVITE asks for at most this many seconds.
const MAX_RETRY_AFTER: u32 = 10;

/// How long to wait before a change is sent again that could not be.
const UNSENT_WAIT: Duration = Duration::from_secs(2);

/// The same after its connection has ended: as long as it takes to open another.
const LOST_WAIT: Duration = Duration::from_millis(500);

/// In what steps, in milliseconds, we wait before the next attempt (§14.1).
const STEP: u64 = 10;

impl Session {
    /// Whether this is the transaction of our re-INVITE.
    pub(super) fn is_changing_by(&self, client: ClientId) -> bool {
        let state = self.change.as_ref().map(|change| &change.state);
        matches!(state, Some(State::Asked { ask, .. }) if ask.is_of(client))
    }

    /// Wishes to tell the far end where we are now.
    pub(super) fn wish_moved(&mut self) {
        let change = self.change.get_or_insert_default();
        (change.moved, change.refusals) = (true, 0);
    }

    /// What was told by a re-INVITE that is not answered yet has to be told anew. Whether there was
    /// one.
    pub(super) fn withdraw_change(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(change) = self.change.as_mut() else { return false };
        match core::mem::take(&mut change.state) {
            State::Asked { ask, limit } => {
                cx.cancel_timer(limit);
                ask.close(cx);
                true
            }
            other => {
                change.state = other;
                false
            }
        }
    }

    pub(super) fn forget_change(&mut self, cx: &mut Context<'_>) {
        match self.change.take().map(|change| change.state) {
            Some(State::Asked { ask, limit }) => {
                cx.cancel_timer(limit);
                ask.close(cx);
            }
            Some(State::Waiting(timer)) => cx.cancel_timer(timer),
            Some(State::Due) | None => {}
        }
    }
}

impl Call {
    /// Puts the far end on hold, or takes it off it.
    pub(crate) fn hold(&mut self, cx: &mut Context<'_>, held: bool) {
        let Stage::Session(session) = &mut self.stage else { return };
        self.media.hold.set(cx, self.id, held);
        session.change.get_or_insert_default();
        self.advance(cx);
    }

    /// Sends the re-INVITE that is due, when it may be sent.
    pub(super) fn advance_change(&mut self, cx: &mut Context<'_>) {
        let Stage::Session(session) = &mut self.stage else { return };
        // §14.1: no other INVITE may be under way.
        let settled = session.relocation.is_none() && !self.media.is_deferring();
        let quiet = session.is_up() && !self.media.is_offering() && settled;
        let Some(change) = session.change.as_mut().filter(|_| quiet) else { return };
        let State::Due = change.state else { return };
        if !change.moved && !self.media.hold.wants_change() {
            session.change = None;
            return self.media.hold.settle(cx, self.id);
        }
        match reach(cx, self.id, &session.dialog) {
            Reach::Open(_) => {}
            Reach::Later => return,
            Reach::Never(_) => return self.change_refused(cx, None),
        }
        let Some(offer) = self.media.offer(cx) else { return };
        let mut ask = Ask::new(Method::Invite)
            .field(HeaderName::Contact, session.contact.as_ref())
            .field(HeaderName::Allow, ALLOWED)
            .field(HeaderName::Accept, ACCEPTED)
            .carrying(Content { kind: ACCEPTED.to_owned(), bytes: offer.into_bytes() });
        if ask.send(cx, self.id, &mut session.dialog).is_err() {
            return self.change_refused(cx, None);
        }
        let limit = cx.set_timer(TRANSACTION, Alarm::Call(self.id, CallAlarm::Change));
        change.state = State::Asked { ask, limit };
    }

    /// Takes a response to our re-INVITE.
    pub(super) fn change_response(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        response: &Message,
    ) {
        let Stage::Session(session) = &mut self.stage else { return };
        let Some(State::Asked { ask, limit }) = session.change.as_mut().map(|c| &mut c.state)
        else {
            return;
        };
        let answer = ask.handle_response(cx, self.id, &mut session.dialog, client, response);
        let Some(Answer::Final(_)) = answer else { return };
        cx.cancel_timer(*limit);
        let status = response.status().unwrap_or_default();
        match status {
            200..=299 => self.change_accepted(cx, response),
            _ if session.termination.is_some() => session.change = None,
            491 => {
                let wait = glare_wait(cx, self.direction);
                self.put_off(cx, wait, Some(Cause::of(response)));
            }
            500 if response.retry_after().is_some_and(|secs| secs <= MAX_RETRY_AFTER) => {
                let wait = Duration::from_secs(response.retry_after().unwrap_or_default().into());
                self.put_off(cx, wait, Some(Cause::of(response)));
            }
            // §12.2.1.2: the dialog is gone, at least there.
            408 | 481 => {
                self.change_refused(cx, Some(Cause::of(response)));
                self.part(cx, Ending::of(EndedBy::Remote, response));
            }
            // §14.1: the session stays as it was.
            _ => self.change_refused(cx, Some(Cause::of(response))),
        }
    }

    fn change_accepted(&mut self, cx: &mut Context<'_>, response: &Message) {
        let Stage::Session(session) = &mut self.stage else { return };
        let Some(change) = session.change.take() else { return };
        let State::Asked { ask, .. } = change.state else { return };
        // §12.2.1.2: a target refresh.
        session.dialog.set_target(Dialog::target_of(response).ok().flatten());
        let invite = Invite::new(cx, self.id, ask.into_invite(), None);
        session.keep(cx, invite);
        if session.termination.is_none() {
            let accepted = match Body::of(response) {
                Body::Session(answer) => self.media.accept(cx, &answer).is_some(),
                _ => false,
            };
            if !accepted {
                // An answer that is missing or cannot be used changes nothing.
                self.change_refused(cx, Some(Cause::of(response)));
            } else if self.media.hold.wants_change() {
                // The wish has changed meanwhile.
                session.change = Some(Box::default());
            }
        }
        self.advance(cx);
    }

    /// Tries again after a while.
    fn put_off(&mut self, cx: &mut Context<'_>, wait: Duration, cause: Option<Cause>) {
        let Stage::Session(session) = &mut self.stage else { return };
        let Some(change) = session.change.as_mut() else { return };
        if change.refusals >= MAX_REFUSALS {
            return self.change_refused(cx, cause);
        }
        change.refusals += 1;
        let timer = cx.set_timer(wait, Alarm::Call(self.id, CallAlarm::Change));
        change.state = State::Waiting(timer);
        self.media.withdraw();
    }

    /// It came to nothing.
    fn change_refused(&mut self, cx: &mut Context<'_>, cause: Option<Cause>) {
        let Stage::Session(session) = &mut self.stage else { return };
        session.change = None;
        self.media.withdraw();
        if self.media.hold.is_asked() || self.media.hold.wants_change() {
            self.media.hold.give_up(cx, self.id, cause);
        }
    }

    /// It could not be sent. A far end that does not know where we are is told as soon as it can be.
    fn change_unsent(&mut self, cx: &mut Context<'_>) {
        let Stage::Session(session) = &mut self.stage else { return };
        match session.change.as_ref().is_some_and(|change| change.moved) {
            true => self.put_off(cx, UNSENT_WAIT, None),
            false => self.change_refused(cx, None),
        }
    }

    /// A connection is over. Whatever was asked on it is asked again over another: a far end that has
    /// answered it takes the second for the one that counts.
    pub(super) fn change_flow_lost(&mut self, cx: &mut Context<'_>, flow: Flow) {
        let Stage::Session(session) = &mut self.stage else { return };
        let asked = session.change.as_ref().is_some_and(|change| match &change.state {
            State::Asked { ask, .. } => ask.is_on(flow),
            _ => false,
        });
        if asked && session.termination.is_none() && session.withdraw_change(cx) {
            if let Some(change) = session.change.as_mut() {
                change.moved = true;
            }
            self.put_off(cx, LOST_WAIT, None);
        }
    }

    /// There is no path for it.
    pub(super) fn change_lost(&mut self, cx: &mut Context<'_>) {
        let Stage::Session(session) = &mut self.stage else { return };
        if matches!(session.change.as_ref().map(|change| &change.state), Some(State::Due)) {
            self.change_unsent(cx);
        }
    }

    pub(super) fn change_failure(&mut self, cx: &mut Context<'_>, cause: FailureCause) {
        let Stage::Session(session) = &mut self.stage else { return };
        if let Some(State::Asked { limit, .. }) = session.change.as_ref().map(|c| &c.state) {
            cx.cancel_timer(*limit);
        }
        if session.termination.is_some() {
            session.change = None;
            return;
        }
        // §12.2.1.2: whoever does not answer at all has left the dialog; §8.1.3.1: what could not be
        // sent counts as 503, which leaves it.
        match cause {
            FailureCause::Timeout => {
                self.change_refused(cx, None);
                self.part(cx, Ending::new(EndedBy::Timeout));
            }
            _ => self.change_unsent(cx),
        }
    }

    pub(super) fn change_alarm(&mut self, cx: &mut Context<'_>) {
        let Stage::Session(session) = &mut self.stage else { return };
        let Some(change) = session.change.as_mut() else { return };
        match &change.state {
            State::Waiting(_) => {
                change.state = State::Due;
                self.advance(cx);
            }
            // Whoever has said only that it is trying is asked no longer (§9.1): 487 follows.
            State::Asked { ask, .. } => ask.cancel(cx),
            State::Due => {}
        }
    }
}

/// How long to wait after a 491: who made the Call-ID longer than the other, so that the next
/// attempts do not meet again (§14.1).
fn glare_wait(cx: &mut Context<'_>, direction: CallDirection) -> Duration {
    let (least, most) = match direction {
        CallDirection::Outgoing => (2_100, 4_000),
        CallDirection::Incoming => (0, 2_000),
    };
    let steps = (most - least) / STEP + 1;
    Duration::from_millis(least + cx.host.random() % steps * STEP)
}
