//! Our wish to change the session: re-INVITE (RFC 3261 §14.1).

use super::Session;
use super::invite::Invite;
use super::requests::Purpose;
use crate::agent::{
    ACCEPTED, ALLOWED, CallAlarm, Content, Context, InDialogRequest, Reach, TRANSACTION,
};
use crate::call::body::Body;
use crate::call::common::Common;
use crate::call::{EndReason, Step};
use crate::dialog::Dialog;
use crate::event::{CallDirection, Cause, EndedBy};
use crate::host::Flow;
use crate::sip::{HeaderName, Message, Method};
use crate::time::Duration;
use crate::timers::TimerId;
use crate::transaction::FailureCause;

/// A change that the far end does not know yet. Only the latest wish counts: while one is under way the
/// next waits, and the state that is wished for by then is what is offered.
///
/// ```text
///  hold, resume, ─► Due ── no other INVITE, no offer, a path ──► Asked ── 2xx, 4xx ─► (over)
///  another          ▲                                            │ 491, 500 with Retry-After
///  network          └────────────── the time is up ── Waiting ◄──┘
/// ```
#[derive(Debug, Default)]
pub(super) struct Change {
    state: State,
    /// Whether our address has changed since the far end last learned it, or may have: then re-INVITE is
    /// sent in any case.
    moved: bool,
    /// How often it was put off.
    refusals: u8,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Due,
    /// re-INVITE is on its way, at most until then.
    Asked(TimerId),
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
    /// Wishes for a re-INVITE, if there is anything to change.
    pub(in crate::call) fn wish_change(&mut self) {
        self.change.get_or_insert_default();
    }

    /// Wishes for a re-INVITE that names our new address.
    pub(super) fn wish_move(&mut self) {
        let change = self.change.get_or_insert_default();
        (change.moved, change.refusals) = (true, 0);
    }

    /// Forgets a re-INVITE that is not answered yet: it has to be sent anew. Whether there was one.
    pub(super) fn withdraw_change(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(change) = self.change.as_mut() else { return false };
        let State::Asked(limit) = change.state else { return false };
        change.state = State::Due;
        cx.cancel_timer(limit);
        if let Some(pending) = self.requests.take(Purpose::is_change) {
            pending.request.close(cx);
        }
        true
    }

    /// Asks for the re-INVITE that is due, when it may be sent.
    pub(super) fn advance_change(&mut self, call: &mut Common, cx: &mut Context<'_>) {
        // §14.1: no other INVITE may be under way.
        let is_settled = self.relocation.is_none() && !call.media.is_deferring();
        let is_quiet = self.is_up() && !call.media.is_offering() && is_settled;
        let Some(change) = self.change.as_mut().filter(|_| is_quiet) else { return };
        let State::Due = change.state else { return };
        if !change.moved && !call.media.hold.wants_change() {
            self.change = None;
            return call.media.hold.confirm(cx, call.id);
        }
        match cx.reach_dialog(&self.dialog, call.owner()) {
            Reach::Open(_) => {}
            Reach::Later => return,
            Reach::Never(_) => return self.give_up_change(call, cx, None),
        }
        let Some(offer) = call.media.offer(cx) else { return };
        let request = InDialogRequest::new(call.owner(), Method::Invite)
            .field(HeaderName::Contact, self.contact.as_ref())
            .field(HeaderName::Allow, ALLOWED)
            .field(HeaderName::Accept, ACCEPTED)
            .carrying(Content { kind: ACCEPTED.to_owned(), bytes: offer.into_bytes() });
        self.requests.push(Purpose::Change, request);
        let limit = cx.set_timer(TRANSACTION, call.alarm(CallAlarm::Change));
        change.state = State::Asked(limit);
    }

    /// Takes the final response to our re-INVITE.
    pub(super) fn handle_change_response(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        request: InDialogRequest,
        response: &Message,
    ) -> Step {
        self.cancel_change_timer(cx);
        let cause = Some(Cause::of(response));
        match response.status().unwrap_or_default() {
            200..=299 => return self.complete_change(call, cx, request, response),
            _ if self.is_terminating() => self.change = None,
            491 => {
                let wait = glare_wait(cx, call.direction);
                self.put_off_change(call, cx, wait, cause);
            }
            500 if response.retry_after().is_some_and(|secs| secs <= MAX_RETRY_AFTER) => {
                let wait = Duration::from_secs(response.retry_after().unwrap_or_default().into());
                self.put_off_change(call, cx, wait, cause);
            }
            // §12.2.1.2: the dialog is gone, at least there.
            408 | 481 => {
                self.give_up_change(call, cx, cause);
                return self.terminate(call, cx, EndReason::of(EndedBy::Remote, response));
            }
            // §14.1: the session stays as it was.
            _ => self.give_up_change(call, cx, cause),
        }
        Step::Stay
    }

    /// Takes a 2xx to it.
    fn complete_change(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        request: InDialogRequest,
        response: &Message,
    ) -> Step {
        self.change = None;
        let destination = self.dialog.destination();
        // §12.2.1.2: a target refresh. One that cannot be read leaves the target as it was.
        self.dialog.set_target(Dialog::target_of(response).ok().flatten());
        let invite = Invite::new(call, cx, request.into_invite(), None, destination);
        self.keep(cx, invite);
        if !self.is_terminating() {
            let accepted = match Body::of(response) {
                Body::Session(answer) => call.media.accept(cx, &answer).is_some(),
                _ => false,
            };
            if !accepted {
                // An answer that is missing or cannot be used changes nothing.
                self.give_up_change(call, cx, Some(Cause::of(response)));
            } else if call.media.hold.wants_change() {
                // The wish has changed meanwhile.
                self.change = Some(Box::default());
            }
        }
        self.advance(call, cx)
    }

    /// There is no answer to it, because of `cause`, or as it was not sent.
    pub(super) fn handle_change_failure(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        cause: Option<FailureCause>,
    ) -> Step {
        self.cancel_change_timer(cx);
        if self.is_terminating() {
            self.change = None;
            return Step::Stay;
        }
        match cause {
            // §12.2.1.2: a peer that does not answer at all has left the dialog.
            Some(FailureCause::Timeout) => {
                self.give_up_change(call, cx, None);
                return self.terminate(call, cx, EndReason::new(EndedBy::Timeout));
            }
            // §8.1.3.1: what could not be sent counts as 503, which leaves the dialog.
            _ => self.retry_unsent_change(call, cx),
        }
        Step::Stay
    }

    /// A connection is over. A re-INVITE on it is sent again over another: for a far end that has
    /// answered the first, the second counts.
    pub(super) fn handle_change_flow_lost(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        flow: Flow,
    ) {
        let was_on = self.requests.find(Purpose::is_change).is_some_and(|it| it.is_on(flow));
        if was_on && !self.is_terminating() && self.withdraw_change(cx) {
            self.change.get_or_insert_default().moved = true;
            self.put_off_change(call, cx, LOST_WAIT, None);
        }
    }

    /// There is no path for a change that is due.
    pub(super) fn handle_change_path_lost(&mut self, call: &mut Common, cx: &mut Context<'_>) {
        if matches!(self.change.as_ref().map(|change| &change.state), Some(State::Due)) {
            self.retry_unsent_change(call, cx);
        }
    }

    /// Its timer fired.
    pub(super) fn handle_change_alarm(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        let Some(change) = self.change.as_mut() else { return Step::Stay };
        match change.state {
            State::Waiting(_) => {
                change.state = State::Due;
                return self.advance(call, cx);
            }
            // A re-INVITE that is still to be answered is cancelled (§9.1): 487 follows.
            State::Asked(_) => {
                if let Some(request) = self.requests.find(Purpose::is_change) {
                    request.cancel(cx);
                }
            }
            State::Due => {}
        }
        Step::Stay
    }

    /// It could not be sent. That is tried again only if the far end does not know our address.
    fn retry_unsent_change(&mut self, call: &mut Common, cx: &mut Context<'_>) {
        match self.change.as_ref().is_some_and(|change| change.moved) {
            true => self.put_off_change(call, cx, UNSENT_WAIT, None),
            false => self.give_up_change(call, cx, None),
        }
    }

    /// Tries again after a while.
    fn put_off_change(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        wait: Duration,
        cause: Option<Cause>,
    ) {
        let Some(change) = self.change.as_mut() else { return };
        if change.refusals >= MAX_REFUSALS {
            return self.give_up_change(call, cx, cause);
        }
        change.refusals += 1;
        let timer = cx.set_timer(wait, call.alarm(CallAlarm::Change));
        change.state = State::Waiting(timer);
        call.media.withdraw();
    }

    /// It came to nothing.
    fn give_up_change(&mut self, call: &mut Common, cx: &mut Context<'_>, cause: Option<Cause>) {
        self.change = None;
        call.media.withdraw();
        if call.media.hold.is_asked() || call.media.hold.wants_change() {
            call.media.hold.give_up(cx, call.id, cause);
        }
    }

    /// Gives back what a change holds.
    pub(super) fn close_change(&mut self, cx: &mut Context<'_>) {
        self.cancel_change_timer(cx);
        self.change = None;
    }

    fn cancel_change_timer(&self, cx: &mut Context<'_>) {
        if let Some(State::Asked(timer) | State::Waiting(timer)) =
            self.change.as_ref().map(|change| &change.state)
        {
            cx.cancel_timer(*timer);
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
