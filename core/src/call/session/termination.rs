//! The end of a session by us (RFC 3261 §15.1.1).

use super::Session;
use super::requests::{Pending, Purpose};
use crate::agent::{Context, InDialogRequest, Lost, Owner};
use crate::call::common::Common;
use crate::call::{Call, EndReason, Step};
use crate::error::Error;
use crate::event::{CallState, EndedBy};
use crate::sip::{HeaderName, Message, Method, Reason};
use crate::transaction::FailureCause;

/// Why a call is hung up that nobody could hear.
const NO_MEDIA: &str = "SIP ;cause=488 ;text=\"Not Acceptable Here\"";

impl Call {
    /// Ends an answered call.
    pub(crate) fn hangup(&mut self, cx: &mut Context<'_>, reasons: Vec<Reason>) {
        let ending = EndReason::local(reasons);
        self.in_session(cx, |session, call, cx| session.terminate(call, cx, ending));
    }
}

impl Session {
    /// Ends it: media stops now, BYE goes out as soon as it may.
    pub(in crate::call) fn terminate(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        ending: EndReason,
    ) -> Step {
        if self.is_remainder() {
            return Step::Stay;
        }
        self.begin_termination(call, cx, ending);
        self.advance(call, cx)
    }

    /// The same, but that BYE is left to [`advance`](Self::advance).
    pub(in crate::call) fn begin_termination(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        ending: EndReason,
    ) {
        self.push_bye(call.owner(), ending);
        self.fail_transfer(call, cx, None);
        call.media.close(cx);
        call.set_state(cx, CallState::Ended, None);
    }

    /// Ends it when the far end says that it knows nothing of it, or a server that it does not answer
    /// (§12.2.1.2, RFC 5057 §5.1).
    pub(super) fn end_if_gone(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        response: &Message,
    ) -> Step {
        match response.status() {
            Some(408 | 481) if !self.is_terminating() => {
                self.terminate(call, cx, EndReason::of(EndedBy::Remote, response))
            }
            _ => Step::Stay,
        }
    }

    /// Ends it when the far end does not answer a request at all, which counts as 408 (§12.2.1.2, §8.1.3.1).
    pub(super) fn end_if_silent(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        cause: Option<FailureCause>,
    ) -> Step {
        match cause {
            Some(FailureCause::Timeout) if !self.is_terminating() => {
                self.terminate(call, cx, EndReason::new(EndedBy::Timeout))
            }
            _ => Step::Stay,
        }
    }

    /// Whether it ends by us: BYE has no final response yet.
    pub(super) fn is_terminating(&self) -> bool {
        self.requests.find(Purpose::is_termination).is_some()
    }

    /// Asks for BYE, unless that was done. It waits for the ACK of our 2xx (§15 forbids BYE before
    /// that) and for a path.
    pub(super) fn push_bye(&mut self, owner: Owner, ending: EndReason) {
        if self.is_terminating() {
            return;
        }
        let mut bye = InDialogRequest::new(owner, Method::Bye);
        if let Some(Error::NoMedia { .. }) = ending.error {
            // RFC 3326: a far end that has just answered wants to know.
            bye = bye.field(HeaderName::Reason, NO_MEDIA);
        }
        for reason in ending.reasons.iter().filter(|_| ending.by == EndedBy::Local) {
            bye = bye.field(HeaderName::Reason, reason.to_string());
        }
        self.requests.push(Purpose::Termination(ending), bye);
    }

    /// How the call has ended if what it needs cannot be sent: as was wished, if it was to end anyhow.
    pub(super) fn reason_of(&mut self, lost: Lost) -> EndReason {
        match self.requests.take(Purpose::is_termination) {
            Some(Pending { purpose: Purpose::Termination(ending), .. }) => ending,
            _ => lost.into(),
        }
    }
}
