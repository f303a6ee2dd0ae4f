//! Transferring a call: REFER sends the far end to somebody else, and NOTIFY tells what became of it
//! (RFC 3515, RFC 5589 §6).

use super::notice::Notice;
use super::session::Ask;
use super::sipfrag::Report;
use super::{Call, CallAlarm, Ending, Stage, TransferMode, TransferOptions, queries};
use crate::agent::{Alarm, Answer, Context, Owner, Query, SUPPORTED, TRANSACTION, Tag};
use crate::dialog::Dialog;
use crate::event::{Cause, EndedBy, Event, TransferOutcome};
use crate::sip::{HeaderName, Message, Method, NameAddr, head, name_addr};
use crate::timers::TimerId;
use crate::transaction::ClientId;

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
    /// The dialog of a REFER outside that of the call.
    beside: Option<Beside>,
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
    Asking(Ask),
    /// The far end calls the target.
    Awaiting(TimerId),
    /// The outcome was told. Reports may come all the same.
    Over,
}

/// A dialog beside that of the call, and our tag in it.
#[derive(Debug)]
pub(super) struct Beside {
    pub(super) tag: Tag,
    pub(super) dialog: Dialog,
}

impl Transfer {
    /// Whether the outcome is not known yet.
    fn is_open(&self) -> bool {
        !matches!(self.state, State::Over)
    }

    /// Whether a report is about this transfer.
    fn is_named(&self, notice: &Notice<'_>) -> bool {
        notice.id.map_or(!self.earlier, |id| id.parse() == Ok(self.seq))
    }

    /// Takes its dialog's tag back.
    fn close(&mut self, cx: &mut Context<'_>) {
        if let Some(beside) = self.beside.take() {
            cx.agent.forget_tag(beside.tag);
        }
    }
}

impl Call {
    /// Whether a transfer's outcome is not known yet.
    pub(crate) fn is_transferring(&self) -> bool {
        self.transfer.as_ref().is_some_and(|transfer| transfer.is_open())
    }

    /// Begins a transfer.
    pub(crate) fn transfer(&mut self, cx: &mut Context<'_>, order: Order) {
        let Order { to, refer_to, options } = order;
        let Stage::Session(session) = &self.stage else {
            // It ended before the command could be carried out.
            let (call, outcome, cause) = (self.id, TransferOutcome::Failed, None);
            return cx.emit(Event::Transfer { call, to, outcome, cause });
        };
        let mut ask = Ask::new(Method::Refer)
            .field(HeaderName::Contact, session.contact())
            .field(HeaderName::ReferTo, refer_to)
            .field(HeaderName::Supported, SUPPORTED.join(", "));
        if options.referred_by {
            ask = ask.field(HeaderName::ReferredBy, without_tag(session.dialog().local()));
        }
        if options.no_reports {
            ask = ask.field(HeaderName::ReferSub, "false");
        }
        let beside = options.outside_dialog.then(|| {
            let tag = cx.new_tag(Owner::Call(self.id));
            let dialog = session.dialog();
            let local = format!("{};tag={tag}", without_tag(dialog.local())).into();
            let (call_id, remote) = (cx.new_call_id().into(), without_tag(dialog.remote()));
            Beside { tag, dialog: dialog.beside(call_id, local, &remote) }
        });
        if let (Some(_), Some(tag)) = (&beside, self.tag) {
            // RFC 4538 §7: the tags as the receiver sees them.
            let theirs = session.dialog().remote_tag();
            let target = format!("{};local-tag={theirs};remote-tag={tag}", self.call_id);
            // RFC 5589 §6.1: whoever does not understand that must not take REFER for another's.
            ask = ask.field(HeaderName::Require, "tdialog").field(HeaderName::TargetDialog, target);
        }
        let earlier = self.transfer.take().is_some_and(|mut earlier| {
            let open = earlier.subscribed && earlier.beside.is_none();
            earlier.close(cx);
            open && beside.is_none()
        });
        let (mode, state) = (options.mode, State::Asking(ask));
        let transfer = Transfer { to, mode, state, seq: 0, beside, earlier, subscribed: false };
        self.transfer = Some(Box::new(transfer));
        self.advance_transfer(cx);
    }

    /// Sends REFER once it may be sent: not before the ACK that makes the call (RFC 3261 §13).
    pub(super) fn advance_transfer(&mut self, cx: &mut Context<'_>) {
        let Self { id, transfer: Some(transfer), stage: Stage::Session(session), .. } = self else {
            return;
        };
        let State::Asking(ask) = &mut transfer.state else { return };
        if !session.is_up() {
            return;
        }
        let dialog = match &mut transfer.beside {
            Some(beside) => &mut beside.dialog,
            None => session.dialog_mut(),
        };
        let sent = ask.send(cx, *id, dialog);
        transfer.seq = ask.seq();
        if sent.is_err() {
            self.settle_transfer(cx, TransferOutcome::Failed, None);
        }
    }

    /// The path that REFER may have waited for cannot be had.
    pub(super) fn transfer_lost(&mut self, cx: &mut Context<'_>) {
        let waits = |transfer: &Transfer| match &transfer.state {
            State::Asking(ask) => !ask.is_sent(),
            State::Awaiting(_) | State::Over => false,
        };
        if self.transfer.as_ref().is_some_and(|transfer| waits(transfer)) {
            self.settle_transfer(cx, TransferOutcome::Failed, None);
        }
    }

    /// Takes a response, if it is to REFER.
    pub(super) fn transfer_response(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        response: &Message,
    ) -> bool {
        let Self { id, transfer: Some(transfer), stage: Stage::Session(session), .. } = self else {
            return false;
        };
        let State::Asking(ask) = &mut transfer.state else { return false };
        let dialog = match &mut transfer.beside {
            Some(beside) => &mut beside.dialog,
            None => session.dialog_mut(),
        };
        let Some(answer) = ask.handle_response(cx, *id, dialog, client, response) else {
            return false;
        };
        transfer.seq = ask.seq();
        let accepted = response.status().is_some_and(|status| (200..300).contains(&status));
        if let Some(beside) = transfer.beside.as_mut().filter(|_| accepted) {
            beside.dialog.joins(response.to_tag());
        }
        match answer {
            Answer::Pending => {}
            // RFC 7647 §5: 202 means what 200 does.
            Answer::Final(_) if accepted => self.transfer_accepted(cx, response),
            Answer::Final(_) => {
                let within = transfer.beside.is_none();
                let cause = Some(Cause::of(response));
                self.settle_transfer(cx, TransferOutcome::Failed, cause);
                if within {
                    self.end_if_gone(cx, response);
                }
            }
        }
        true
    }

    /// Takes a failure, if it is that of REFER.
    pub(super) fn transfer_failure(&mut self, cx: &mut Context<'_>, client: ClientId) -> bool {
        let ours = |transfer: &Transfer| match &transfer.state {
            State::Asking(ask) => ask.is_of(client),
            State::Awaiting(_) | State::Over => false,
        };
        let ours = self.transfer.as_ref().is_some_and(|transfer| ours(transfer));
        if ours {
            self.settle_transfer(cx, TransferOutcome::Failed, None);
        }
        ours
    }

    fn transfer_accepted(&mut self, cx: &mut Context<'_>, response: &Message) {
        let Some(transfer) = &mut self.transfer else { return };
        // RFC 4488 §4: only a far end that says so itself reports nothing.
        let silent = response
            .header(HeaderName::ReferSub)
            .is_some_and(|value| head(value).eq_ignore_ascii_case("false"));
        transfer.subscribed |= !silent;
        let mode = transfer.mode;
        if mode == TransferMode::Notified {
            let limit = cx.agent.parameters.answer_timeout + TRANSACTION;
            let timer = cx.set_timer(limit, Alarm::Call(self.id, CallAlarm::Untold));
            transfer.state = State::Awaiting(timer);
            return self.tell_transfer(cx, TransferOutcome::Accepted, Some(Cause::of(response)));
        }
        self.settle_transfer(cx, TransferOutcome::Accepted, Some(Cause::of(response)));
    }

    /// Takes a NOTIFY; its dialog and order have been checked.
    pub(super) fn notified(&mut self, cx: &mut Context<'_>, query: &Query) {
        let notice = match Notice::read(&query.request) {
            Ok(notice) => notice,
            Err(refusal) => return drop(cx.respond(query, refusal)),
        };
        let beside = query.request.call_id() != &*self.call_id;
        let transfer = self.transfer.as_mut().filter(|it| it.beside.is_some() == beside);
        let Some(transfer) = transfer else { return queries::no_dialog(cx, query) };
        if !transfer.is_named(&notice) {
            if !transfer.earlier || notice.id.is_some() {
                return queries::no_dialog(cx, query);
            }
            transfer.earlier = !notice.terminated;
            return notice.answer(cx, query);
        }
        notice.answer(cx, query);
        transfer.subscribed = !notice.terminated;
        if transfer.mode == TransferMode::Blind || !transfer.is_open() {
            return;
        }
        // Each report is the whole status (RFC 3515 §2.4.5); a final one is the outcome, also when it
        // comes before the response to REFER (§2.4.4).
        match notice.report {
            Report::Status(cause) if (200..300).contains(&cause.code) => {
                self.settle_transfer(cx, TransferOutcome::Succeeded, Some(cause));
            }
            Report::Status(cause) if cause.code >= 300 => {
                self.settle_transfer(cx, TransferOutcome::Failed, Some(cause));
            }
            _ if notice.terminated => self.settle_transfer(cx, TransferOutcome::Failed, None),
            _ => {}
        }
    }

    /// Takes a NOTIFY in the dialog of a REFER outside the call's. The first one makes that dialog,
    /// as the response does (RFC 6665 §4.4.1); those of other forks are refused.
    pub(super) fn notified_beside(&mut self, cx: &mut Context<'_>, query: &Query) {
        let request = &query.request;
        let beside = self.transfer.as_mut().and_then(|transfer| transfer.beside.as_mut());
        let Some(beside) = beside.filter(|it| it.dialog.call_id() == request.call_id()) else {
            return queries::no_dialog(cx, query);
        };
        if *request.method() != Method::Notify || !beside.dialog.joins(request.from_tag()) {
            return queries::no_dialog(cx, query);
        }
        if beside.dialog.handle_request(request).is_err() {
            return drop(cx.respond(query, crate::agent::Response::new(500)));
        }
        self.notified(cx, query);
    }

    /// Nobody has said in time what became of it, or the call ends: then it has failed.
    pub(super) fn close_transfer(&mut self, cx: &mut Context<'_>) {
        if self.is_transferring() {
            self.settle_transfer(cx, TransferOutcome::Failed, None);
        }
    }

    /// Tells the outcome; the call ends with it unless it is failure.
    fn settle_transfer(
        &mut self,
        cx: &mut Context<'_>,
        outcome: TransferOutcome,
        cause: Option<Cause>,
    ) {
        let Some(transfer) = &mut self.transfer else { return };
        match core::mem::replace(&mut transfer.state, State::Over) {
            State::Asking(ask) => ask.close(cx),
            State::Awaiting(timer) => cx.cancel_timer(timer),
            State::Over => return,
        }
        self.tell_transfer(cx, outcome, cause);
        if outcome != TransferOutcome::Failed {
            self.part(cx, Ending::new(EndedBy::Local));
        }
    }

    fn tell_transfer(&self, cx: &mut Context<'_>, outcome: TransferOutcome, cause: Option<Cause>) {
        let Some(transfer) = &self.transfer else { return };
        let (call, to) = (self.id, transfer.to.clone());
        cx.emit(Event::Transfer { call, to, outcome, cause });
    }

    /// Gives back what a transfer holds.
    pub(super) fn forget_transfer(&mut self, cx: &mut Context<'_>) {
        self.close_transfer(cx);
        if let Some(mut transfer) = self.transfer.take() {
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
