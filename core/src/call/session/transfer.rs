//! Transferring a call: REFER sends the far end to somebody else, and NOTIFY reports what became of it
//! (RFC 3515, RFC 5589 §6).

use super::Session;
use super::requests::Purpose;
use super::separate_dialog::SeparateDialog;
use crate::agent::{CallAlarm, Context, InDialogRequest, Query, Response, SUPPORTED, TRANSACTION};
use crate::call::common::Common;
use crate::call::notice::Notice;
use crate::call::sipfrag::Report;
use crate::call::{Call, EndReason, Stage, Step, TransferMode, TransferOptions, queries};
use crate::dialog::Dialog;
use crate::event::{CallEvent, Cause, EndedBy, TransferOutcome};
use crate::sip::{HeaderName, Message, Method, NameAddr, head, name_addr};
use crate::timers::TimerId;

/// What the application asks for.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// The URI, for events.
    pub(crate) to: String,
    /// The value of Refer-To.
    pub(crate) refer_to: String,
    pub(crate) options: TransferOptions,
}

/// The latest transfer of a call.
#[derive(Debug)]
pub(super) struct Transfer {
    to: String,
    mode: TransferMode,
    state: State,
    /// The CSeq number of REFER, by which reports may name it.
    seq: u32,
    /// The dialog of a REFER outside of the call's.
    separate: Option<SeparateDialog>,
    /// Whether an earlier transfer may still be reported on; that need not be named (RFC 3515
    /// §2.4.6), so what is not named is about it.
    earlier: bool,
    /// Whether more reports may come.
    subscribed: bool,
}

/// ```text
///   transfer ─► Asking ── 2xx ─► Awaiting ── NOTIFY: final, the last; none in time ──► Over
///                  │                                                                    ▲
///                  └─ NOTIFY: final; blind: 2xx; 3xx to 6xx, no answer; the call ends ──┘
/// ```
#[derive(Debug)]
enum State {
    /// REFER is on its way, or waits for the ACK of the call.
    Asking,
    /// The far end calls the target.
    Awaiting(TimerId),
    /// The application knows the outcome. Reports may come all the same.
    Over,
}

impl Call {
    /// Begins a transfer.
    pub(crate) fn transfer(&mut self, cx: &mut Context<'_>, order: Order) {
        if let Stage::Session(_) = self.stage {
            return self.in_session(cx, |session, call, cx| session.transfer(call, cx, order));
        }
        // It ended before the command could be carried out.
        let (call, to, outcome) = (self.common.id, order.to, TransferOutcome::Failed);
        cx.emit_call(call, CallEvent::Transfer { to, outcome, last: true, cause: None });
    }

    /// Whether a transfer's outcome is not known yet.
    pub(crate) fn is_transferring(&self) -> bool {
        match &self.stage {
            Stage::Session(session) => session.transfer.as_ref().is_some_and(|it| it.is_open()),
            _ => false,
        }
    }
}

impl Transfer {
    /// Does something with REFER and the dialog that it belongs to.
    pub(super) fn refer<R>(
        &mut self,
        refer: &mut InDialogRequest,
        dialog: &mut Dialog,
        act: impl FnOnce(&mut InDialogRequest, &mut Dialog) -> R,
    ) -> R {
        let result = act(refer, self.separate.as_mut().map_or(dialog, |it| &mut it.dialog));
        self.seq = refer.seq();
        result
    }

    /// Whether the outcome is not known yet.
    fn is_open(&self) -> bool {
        !matches!(self.state, State::Over)
    }

    /// Whether a report is about this transfer.
    fn is_named(&self, notice: &Notice<'_>) -> bool {
        notice.id.map_or(!self.earlier, |id| id.parse() == Ok(self.seq))
    }

    /// Gives back what it holds.
    fn close(self, cx: &mut Context<'_>) {
        if let Some(separate) = self.separate {
            separate.close(cx);
        }
    }
}

impl Session {
    /// Asks for REFER.
    fn transfer(&mut self, call: &mut Common, cx: &mut Context<'_>, order: Order) -> Step {
        let Order { to, refer_to, options } = order;
        let dialog = &self.dialog;
        let mut request = InDialogRequest::new(call.owner(), Method::Refer)
            .field(HeaderName::Contact, self.contact.as_ref())
            .field(HeaderName::ReferTo, refer_to)
            .field(HeaderName::Supported, SUPPORTED.join(", "));
        if options.referred_by {
            request = request.field(HeaderName::ReferredBy, without_tag(dialog.local()));
        }
        if options.no_reports {
            request = request.field(HeaderName::ReferSub, "false");
        }
        let separate = options.outside_dialog.then(|| {
            let tag = cx.new_tag(call.owner());
            let local = format!("{};tag={tag}", without_tag(dialog.local())).into();
            let (call_id, remote) = (cx.new_call_id().into(), without_tag(dialog.remote()));
            SeparateDialog { tag, dialog: dialog.separate(call_id, local, &remote) }
        });
        if let (Some(_), Some(tag)) = (&separate, call.tag) {
            // RFC 4538 §7: the tags as the receiver sees them.
            let theirs = dialog.remote_tag();
            let target = format!("{};local-tag={theirs};remote-tag={tag}", call.call_id);
            // RFC 5589 §6.1: a peer that does not support that must not take REFER for another's.
            request = request
                .field(HeaderName::Require, "tdialog")
                .field(HeaderName::TargetDialog, target);
        }
        let earlier = self.transfer.take().is_some_and(|earlier| {
            let open = earlier.subscribed && earlier.separate.is_none();
            earlier.close(cx);
            open && separate.is_none()
        });
        let (mode, state, seq, subscribed) = (options.mode, State::Asking, 0, false);
        let transfer = Transfer { to, mode, state, seq, separate, earlier, subscribed };
        self.transfer = Some(Box::new(transfer));
        self.requests.push(Purpose::Transfer, request);
        self.send_requests(call, cx)
    }

    /// Takes the final response to REFER.
    pub(super) fn handle_transfer_response(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        response: &Message,
    ) -> Step {
        let Some(transfer) = &mut self.transfer else { return Step::Stay };
        let cause = Some(Cause::of(response));
        // RFC 7647 §5: 202 means what 200 does.
        if !response.status().is_some_and(|status| (200..300).contains(&status)) {
            let is_separate = self.has_separate_transfer();
            self.fail_transfer(call, cx, cause);
            return match is_separate {
                true => Step::Stay,
                false => self.end_if_gone(call, cx, response),
            };
        }
        if let Some(separate) = &mut transfer.separate {
            separate.dialog.joins(response.to_tag());
        }
        // RFC 4488 §4: only a far end that says so itself reports nothing.
        let is_silent = response
            .header(HeaderName::ReferSub)
            .is_some_and(|value| head(value).eq_ignore_ascii_case("false"));
        transfer.subscribed |= !is_silent;
        if transfer.mode == TransferMode::Blind {
            return self.complete_transfer(call, cx, TransferOutcome::Accepted, cause);
        }
        let limit = cx.agent.parameters.answer_timeout + TRANSACTION;
        let timer = cx.set_timer(limit, call.alarm(CallAlarm::TransferTimeout));
        transfer.state = State::Awaiting(timer);
        let (call, to, outcome) = (call.id, transfer.to.clone(), TransferOutcome::Accepted);
        cx.emit_call(call, CallEvent::Transfer { to, outcome, last: false, cause });
        Step::Stay
    }

    /// Whether the latest REFER went outside of the call's dialog, and so says nothing about that.
    pub(super) fn has_separate_transfer(&self) -> bool {
        self.transfer.as_ref().is_some_and(|transfer| transfer.separate.is_some())
    }

    /// Takes a NOTIFY; its dialog and order have been checked.
    pub(super) fn handle_notify(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        query: &Query,
    ) -> Step {
        let notice = match Notice::read(&query.request) {
            Ok(notice) => notice,
            Err(refusal) => {
                cx.respond(query, refusal);
                return Step::Stay;
            }
        };
        let is_separate = query.request.call_id() != &*call.call_id;
        let transfer = self.transfer.as_mut().filter(|it| it.separate.is_some() == is_separate);
        let Some(transfer) = transfer else {
            queries::no_dialog(cx, query);
            return Step::Stay;
        };
        if !transfer.is_named(&notice) {
            if !transfer.earlier || notice.id.is_some() {
                queries::no_dialog(cx, query);
                return Step::Stay;
            }
            transfer.earlier = !notice.terminated;
            notice.answer(cx, query);
            return Step::Stay;
        }
        notice.answer(cx, query);
        transfer.subscribed = !notice.terminated;
        if transfer.mode == TransferMode::Blind || !transfer.is_open() {
            return Step::Stay;
        }
        // Each report is the whole status (RFC 3515 §2.4.5); a final one is the outcome, also when it
        // comes before the response to REFER (§2.4.4).
        match notice.report {
            Report::Status(cause) if (200..300).contains(&cause.code) => {
                return self.complete_transfer(call, cx, TransferOutcome::Succeeded, Some(cause));
            }
            Report::Status(cause) if cause.code >= 300 => {
                self.fail_transfer(call, cx, Some(cause));
            }
            _ if notice.terminated => self.fail_transfer(call, cx, None),
            _ => {}
        }
        Step::Stay
    }

    /// Takes a request in the separate dialog of a REFER: NOTIFY. The first one makes that dialog, as
    /// the response does (RFC 6665 §4.4.1); those of other forks are refused.
    pub(super) fn handle_separate_request(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        query: &Query,
    ) -> Step {
        let request = &query.request;
        let separate = self.transfer.as_mut().and_then(|transfer| transfer.separate.as_mut());
        let dialog = separate.map(|separate| &mut separate.dialog);
        let mut dialog = dialog.filter(|dialog| dialog.call_id() == request.call_id());
        let is_notify = *request.method() == Method::Notify;
        let joins = dialog.as_mut().is_some_and(|it| is_notify && it.joins(request.from_tag()));
        match dialog.filter(|_| joins).map(|dialog| dialog.handle_request(request)) {
            Some(Ok(())) => return self.handle_notify(call, cx, query),
            Some(Err(_)) => drop(cx.respond(query, Response::new(500))),
            None => queries::no_dialog(cx, query),
        }
        Step::Stay
    }

    /// Nobody has said in time what became of it.
    pub(super) fn handle_transfer_timeout(&mut self, call: &Common, cx: &mut Context<'_>) {
        self.fail_transfer(call, cx, None);
        if self.is_remainder() {
            self.close_transfer(call, cx);
        }
    }

    /// Whether more reports may come.
    pub(super) fn is_subscribed(&self) -> bool {
        self.transfer.as_ref().is_some_and(|transfer| transfer.subscribed)
    }

    /// Whether the application waits for the outcome, and reports will tell it.
    pub(super) fn awaits_outcome(&self) -> bool {
        self.transfer.as_ref().is_some_and(|it| it.subscribed && it.is_open())
    }

    /// The far end has agreed, or the target has answered: the call ends.
    fn complete_transfer(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        outcome: TransferOutcome,
        cause: Option<Cause>,
    ) -> Step {
        match self.conclude_transfer(call, cx, outcome, cause) {
            true => self.terminate(call, cx, EndReason::new(EndedBy::Local)),
            false => Step::Stay,
        }
    }

    /// A transfer whose outcome is not known has failed, if there is one: it was refused, nobody has
    /// said in time what became of it, or the call ends.
    pub(super) fn fail_transfer(
        &mut self,
        call: &Common,
        cx: &mut Context<'_>,
        cause: Option<Cause>,
    ) {
        self.conclude_transfer(call, cx, TransferOutcome::Failed, cause);
    }

    /// Shows the application the outcome. False when it was known, or there is no transfer.
    fn conclude_transfer(
        &mut self,
        call: &Common,
        cx: &mut Context<'_>,
        outcome: TransferOutcome,
        cause: Option<Cause>,
    ) -> bool {
        let Some(transfer) = &mut self.transfer else { return false };
        match core::mem::replace(&mut transfer.state, State::Over) {
            State::Asking => {
                if let Some(pending) = self.requests.take(Purpose::is_transfer) {
                    pending.request.close(cx);
                }
            }
            State::Awaiting(timer) => cx.cancel_timer(timer),
            State::Over => return false,
        }
        let (call, to) = (call.id, transfer.to.clone());
        cx.emit_call(call, CallEvent::Transfer { to, outcome, last: true, cause });
        true
    }

    /// Gives back what a transfer holds.
    pub(in crate::call) fn close_transfer(&mut self, call: &Common, cx: &mut Context<'_>) {
        self.fail_transfer(call, cx, None);
        if let Some(transfer) = self.transfer.take() {
            transfer.close(cx);
        }
    }
}

/// A From or To without its tag and other parameters.
fn without_tag(value: &str) -> String {
    match NameAddr::parse(value) {
        Ok(address) => name_addr(&address.display_name(), address.uri_str()),
        Err(_) => value.to_owned(),
    }
}
