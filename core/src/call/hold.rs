//! Our own hold (RFC 3264 §8.4). It is a wish of ours that every offer and answer expresses,
//! whatever the far end wishes: RFC 6337 §5.3, which reads §8.4 so.

use super::Call;
use crate::agent::Context;
use crate::event::{CallEvent, CallId, Cause, HoldBy};
use crate::sdp::Direction;

/// Whether we hold the far end.
#[derive(Debug, Default)]
pub(super) struct Hold {
    wished: bool,
    /// What the offer says that waits for its answer.
    offered: bool,
    /// What the far end knows.
    agreed: bool,
    /// Whether the application waits for the outcome of a command.
    asked: bool,
}

impl Call {
    /// Puts the far end on hold, or takes it off it.
    pub(crate) fn hold(&mut self, cx: &mut Context<'_>, held: bool) {
        self.in_session(cx, |session, call, cx| {
            call.media.hold.set(cx, call.id, held);
            session.wish_change();
            session.advance(call, cx)
        });
    }
}

impl Hold {
    /// Wishes to hold, or not; an earlier wish for the contrary that waits has come to nothing.
    pub(super) fn set(&mut self, cx: &mut Context<'_>, call: CallId, held: bool) {
        if self.asked && self.wished != held {
            cx.emit_call(call, CallEvent::HoldFailed { held: self.wished, cause: None });
        }
        self.wished = held;
        self.asked = true;
    }

    /// Our direction: who holds may still send, but does not receive.
    pub(super) fn direction(&self, wanted: Direction) -> Direction {
        Direction::new(wanted.sends(), wanted.receives() && !self.wished)
    }

    /// Whether the application waits for the outcome of a command.
    pub(super) fn is_asked(&self) -> bool {
        self.asked
    }

    /// Whether the far end does not know our wish.
    pub(super) fn wants_change(&self) -> bool {
        self.wished != self.agreed
    }

    /// Whether we hold the far end, and it knows.
    pub(super) fn is_agreed(&self) -> bool {
        self.agreed
    }

    /// An offer is made.
    pub(super) fn offer(&mut self) {
        self.offered = self.wished;
    }

    /// It was answered.
    pub(super) fn accept(&mut self, cx: &mut Context<'_>, call: CallId) {
        self.agree(cx, call, self.offered);
    }

    /// The far end knows our wish: by our answer to its offer, or because nothing has changed.
    pub(super) fn confirm(&mut self, cx: &mut Context<'_>, call: CallId) {
        self.agree(cx, call, self.wished);
    }

    /// The change was refused, or could not be sent. That fulfils a later wish for the contrary.
    pub(super) fn give_up(&mut self, cx: &mut Context<'_>, call: CallId, cause: Option<Cause>) {
        let held = !self.agreed;
        cx.emit_call(call, CallEvent::HoldFailed { held, cause });
        if self.wants_change() {
            self.wished = self.agreed;
            self.asked = false;
        }
        self.confirm(cx, call);
    }

    fn agree(&mut self, cx: &mut Context<'_>, call: CallId, held: bool) {
        let answered = self.asked && held == self.wished;
        if held != self.agreed || answered {
            self.agreed = held;
            self.asked &= !answered;
            cx.emit_call(call, CallEvent::Hold { by: HoldBy::Local, held });
        }
    }
}
