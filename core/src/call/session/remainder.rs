//! What is left of a dialog when its call is over: reports on a transfer are a usage of their own, which
//! BYE does not end (RFC 5057 §5.5, RFC 6665 §4.5.2).

use super::Session;
use crate::agent::{CallAlarm, Context, TRANSACTION};
use crate::call::EndReason;
use crate::call::common::Common;
use crate::event::CallState;
use crate::time::Duration;
use crate::timers::TimerId;

/// A session whose call is over, while reports may come or have to be sent.
///
/// ```text
///   BYE ─► AwaitingOutcome ── a transfer's outcome ──► AwaitingReports ── the last report; none in time
///     │                                                   ▲                  └─► (over)
///     └─── none is awaited ───────────────────────────────┘
/// ```
/// The application learns of a transfer's outcome first, and of the call's end after it.
#[derive(Debug)]
pub(super) enum Remainder {
    /// A transfer's outcome is to come; why the call has ended.
    AwaitingOutcome(EndReason),
    /// The application knows of the end; reports are awaited or sent until the timer fires.
    AwaitingReports(TimerId),
}

impl Session {
    /// The call is over. Reports that are still to come, or to be sent, keep the dialog.
    ///
    /// # Errors
    /// How the call has ended, when nothing is left of it.
    pub(in crate::call) fn outlive(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        ending: EndReason,
    ) -> Result<(), EndReason> {
        match self.remainder.take() {
            Some(Remainder::AwaitingOutcome(ending)) => return Err(ending),
            Some(Remainder::AwaitingReports(timer)) => {
                cx.cancel_timer(timer);
                return Err(ending);
            }
            None if !self.has_reports() => return Err(ending),
            None => {}
        }
        self.forget_accepted(cx);
        self.close_change(cx);
        if let Some(relocation) = self.relocation.take() {
            relocation.close(cx);
        }
        if !self.awaits_outcome() {
            self.fail_transfer(call, cx, None);
        }
        self.close_requests_but_reports(cx);
        call.media.close(cx);
        let cause = ending.cause.clone().filter(|_| call.state != CallState::Ended);
        call.set_state(cx, CallState::Ended, cause);
        self.remainder = Some(Remainder::AwaitingOutcome(ending));
        self.announce_end(call, cx);
        Ok(())
    }

    /// Announces to the application that the call is over once it waits for nothing more. True when nothing is
    /// left at all.
    pub(in crate::call) fn announce_end(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
    ) -> bool {
        let awaits_outcome = self.awaits_outcome();
        match self.remainder.take() {
            None => return false,
            Some(Remainder::AwaitingOutcome(ending)) if !awaits_outcome => {
                call.finish_early(cx, ending);
                let timer = cx.set_timer(self.patience(cx), call.alarm(CallAlarm::Forget));
                self.remainder = Some(Remainder::AwaitingReports(timer));
            }
            remainder => self.remainder = remainder,
        }
        !self.has_reports()
    }

    /// Whether the call is over and only reports are left.
    pub(in crate::call) fn is_remainder(&self) -> bool {
        self.remainder.is_some()
    }

    /// No reports are waited for, or sent, any longer.
    pub(in crate::call) fn drop_reports(&mut self, call: &Common, cx: &mut Context<'_>) {
        self.close_transfer(call, cx);
        self.forget_referral(cx);
    }

    /// Whether reports are to come or to be sent.
    fn has_reports(&self) -> bool {
        self.is_subscribed() || self.is_reporting()
    }

    /// How long they are waited for when nobody waits for their outcome: what is on its way comes by then.
    /// What we have to report comes as soon as the call that it is about is decided.
    fn patience(&self, cx: &Context<'_>) -> Duration {
        match self.is_reporting() {
            true => cx.agent.parameters.answer_timeout + TRANSACTION,
            false => TRANSACTION,
        }
    }
}
