//! What a session has asked of the far end: its own requests within the dialog, each with its purpose,
//! until the final response.
//!
//! Whatever asks something pushes a request with its [`Purpose`]; [`Session::advance`] sends it when it
//! may be sent. A final response, a failure and the lack of a path are each routed by purpose in one
//! function here.

use super::Session;
use crate::agent::{Context, InDialogRequest, Progress};
use crate::call::common::{Common, emit_reply};
use crate::call::{EndReason, Step};
use crate::dialog::Dialog;
use crate::event::SipRequestId;
use crate::sip::Message;
use crate::transaction::{ClientId, FailureCause};

/// The requests without a final response, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(super) struct Requests(Vec<Pending>);

/// One of them.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) purpose: Purpose,
    pub(super) request: InDialogRequest,
}

/// What a request is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// BYE, and how the call then has ended.
    Termination(EndReason),
    /// re-INVITE: a change of the session that we wish.
    Change,
    /// REFER: a transfer that we ask for.
    Transfer,
    /// NOTIFY: a report on a transfer that the far end has asked for.
    Report,
    /// The application's own request.
    Application(SipRequestId),
}

impl Purpose {
    pub(super) fn is_termination(&self) -> bool {
        matches!(self, Self::Termination(_))
    }

    pub(super) fn is_change(&self) -> bool {
        matches!(self, Self::Change)
    }

    pub(super) fn is_transfer(&self) -> bool {
        matches!(self, Self::Transfer)
    }

    pub(super) fn is_report(&self) -> bool {
        matches!(self, Self::Report)
    }

    pub(super) fn is_application(&self) -> bool {
        matches!(self, Self::Application(_))
    }
}

impl Requests {
    /// Adds a request that is to be sent.
    pub(super) fn push(&mut self, purpose: Purpose, request: InDialogRequest) {
        self.0.reserve_exact(1);
        self.0.push(Pending { purpose, request });
    }

    /// How many there are for such a purpose.
    pub(super) fn count(&self, is_purpose: fn(&Purpose) -> bool) -> usize {
        self.0.iter().filter(|pending| is_purpose(&pending.purpose)).count()
    }

    /// The first one for such a purpose.
    pub(super) fn find(&self, is_purpose: fn(&Purpose) -> bool) -> Option<&InDialogRequest> {
        let pending = self.0.iter().find(|pending| is_purpose(&pending.purpose))?;
        Some(&pending.request)
    }

    /// Takes the first one for such a purpose out.
    pub(super) fn take(&mut self, is_purpose: fn(&Purpose) -> bool) -> Option<Pending> {
        let index = self.0.iter().position(|pending| is_purpose(&pending.purpose))?;
        Some(self.remove(index))
    }

    fn position(&self, client: ClientId) -> Option<usize> {
        self.0.iter().position(|pending| pending.request.is_of(client))
    }

    fn remove(&mut self, index: usize) -> Pending {
        let pending = self.0.remove(index);
        if self.0.is_empty() {
            // Most calls ask nothing for most of their time.
            self.0 = Vec::new();
        }
        pending
    }
}

impl Session {
    /// Sends the requests that wait and may be sent.
    pub(super) fn send_requests(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        let (is_up, is_confirmed) = (self.is_up(), self.is_confirmed());
        let mut index = 0;
        while let Some(Pending { purpose, request }) = self.requests.0.get(index) {
            let may_go = match purpose {
                // RFC 3261 §15: not before the ACK of our 2xx. A report may follow it.
                Purpose::Termination(_) | Purpose::Report => is_confirmed,
                // §13: not before the ACK that makes the call.
                _ => is_up,
            };
            let waits = request.is_sent() || !may_go;
            let send = |request: &mut InDialogRequest, dialog: &mut Dialog| {
                request.send(cx, dialog).is_ok()
            };
            if waits || self.within_dialog(index, send).unwrap_or_default() {
                index += 1;
                continue;
            }
            let Pending { purpose, .. } = self.requests.remove(index);
            if let Step::End(ending) = self.handle_no_answer(call, cx, purpose, None) {
                return Step::End(ending);
            }
        }
        Step::Stay
    }

    /// The path that requests may have waited for cannot be had.
    pub(super) fn drop_unsent_requests(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        let is_unsent =
            |it: &Pending| !it.request.is_sent() && !Purpose::is_termination(&it.purpose);
        while let Some(index) = self.requests.0.iter().position(is_unsent) {
            let Pending { purpose, .. } = self.requests.remove(index);
            if let Step::End(ending) = self.handle_no_answer(call, cx, purpose, None) {
                return Step::End(ending);
            }
        }
        Step::Stay
    }

    /// Whether this is the transaction of one of them.
    pub(super) fn has_requested(&self, client: ClientId) -> bool {
        self.requests.position(client).is_some()
    }

    /// Takes a response to one of them; returns that one if the response is final.
    pub(super) fn take_answered(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        response: &Message,
    ) -> Option<Pending> {
        let index = self.requests.position(client)?;
        let answer = self
            .within_dialog(index, |request, dialog| request.handle_response(cx, dialog, response));
        match answer? {
            Progress::Pending => None,
            Progress::Final(_) => Some(self.requests.remove(index)),
        }
    }

    /// Takes the failure of a transaction; returns whose it was, unless it is sent once more.
    pub(super) fn take_failed(&mut self, client: ClientId, cause: FailureCause) -> Option<Pending> {
        let index = self.requests.position(client)?;
        let Pending { purpose, request } = self.requests.0.get_mut(index)?;
        if purpose.is_termination() && request.repeats_after(cause) {
            return None;
        }
        Some(self.requests.remove(index))
    }

    /// Passes the final response on by the request's purpose.
    pub(super) fn handle_final(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        Pending { purpose, request }: Pending,
        response: &Message,
    ) -> Step {
        match purpose {
            // §15.1.1: 481, 408 and no response at all end the session as well as 200 does.
            Purpose::Termination(ending) => Step::End(ending),
            Purpose::Change => self.handle_change_response(call, cx, request, response),
            Purpose::Transfer => self.handle_transfer_response(call, cx, response),
            Purpose::Report => self.handle_report_response(call, cx, response),
            Purpose::Application(id) => {
                let reply = request.reply(cx, response);
                emit_reply(cx, id, Ok(reply));
                self.end_if_gone(call, cx, response)
            }
        }
    }

    /// Passes on, by the request's purpose, that there is no answer: because of `cause`, or, without one, because no path
    /// leads to the far end.
    pub(super) fn handle_no_answer(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        purpose: Purpose,
        cause: Option<FailureCause>,
    ) -> Step {
        match purpose {
            Purpose::Termination(ending) => return Step::End(ending),
            Purpose::Change => return self.handle_change_failure(call, cx, cause),
            Purpose::Transfer => {
                let is_separate = self.has_separate_transfer();
                self.fail_transfer(call, cx, None);
                if is_separate {
                    return Step::Stay;
                }
            }
            Purpose::Report => {
                self.forget_referral(cx);
                return Step::Stay;
            }
            Purpose::Application(id) => emit_reply(cx, id, Err(None)),
        }
        self.end_if_silent(call, cx, cause)
    }

    /// The session is over: what still comes is a stray. BYE is repeated until it is answered.
    pub(super) fn close_requests(&mut self, cx: &mut Context<'_>) {
        for Pending { purpose, request } in core::mem::take(&mut self.requests.0) {
            match purpose {
                Purpose::Termination(_) => continue,
                Purpose::Application(id) => emit_reply(cx, id, Err(None)),
                Purpose::Change | Purpose::Transfer | Purpose::Report => {}
            }
            request.close(cx);
        }
    }

    /// The call is over: only its reports go on.
    pub(super) fn close_requests_but_reports(&mut self, cx: &mut Context<'_>) {
        let report = self.requests.take(Purpose::is_report);
        self.close_requests(cx);
        self.requests.0.extend(report);
    }

    /// Does something with a request and the dialog that it belongs to.
    fn within_dialog<R>(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut InDialogRequest, &mut Dialog) -> R,
    ) -> Option<R> {
        let Self { requests, dialog, transfer, referral, .. } = self;
        let Pending { purpose, request } = requests.0.get_mut(index)?;
        Some(match (purpose, transfer, referral) {
            (Purpose::Transfer, Some(transfer), _) => transfer.refer(request, dialog, act),
            (Purpose::Report, _, Some(referral)) => act(request, referral.dialog(dialog)),
            _ => act(request, dialog),
        })
    }
}
