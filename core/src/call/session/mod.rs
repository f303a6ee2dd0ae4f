//! A confirmed dialog, from 2xx to BYE (RFC 3261 §12.2, §13 to §15).
//!
//! What it consists of stands in files of their own: `requests`, the table of our requests within the
//! dialog, whatever their purpose; `invite`, the caller's side of a 2xx; `accepted`, the callee's;
//! `reoffer`, a change that the peer wishes, and `change`, one that we wish; `relocation`, our move to
//! another network; `transfer`, which we ask for by REFER, and `referral`, which the far end asks for;
//! `application`, what the application asks; `termination`, the end by us; `remainder`, what BYE leaves.

mod accepted;
mod application;
mod change;
mod invite;
mod referral;
mod relocation;
mod remainder;
mod reoffer;
mod requests;
mod separate_dialog;
mod termination;
mod transfer;

use core::net::SocketAddr;
use std::sync::Arc;

pub(crate) use application::MAX_REQUESTS;
pub(super) use invite::Invite;
pub(crate) use transfer::Order;

use super::body::Body;
use super::common::Common;
use super::repeated::RepeatedResponse;
use super::{EndReason, Step, queries};
use crate::agent::{CallAlarm, Context, Hop, Lost, Path, Query, Reach, Response};
use crate::dialog::Dialog;
use crate::host::Flow;
use crate::sip::{Message, Method, Uri};
use crate::transaction::{ClientId, FailureCause};
use change::Change;
use referral::Referral;
use relocation::Relocation;
use remainder::Remainder;
use requests::{Purpose, Requests};
use transfer::Transfer;

/// A call that was answered.
///
/// ```text
///         hangup, silence, no ACK         ACK has come, a path is there
///   up ─────────────────────────► terminating ───────────────► BYE sent ─► 401 ─┐
///   │  re-INVITE, UPDATE, ...        │                         │   ▲          │
///   │  answered here                 │ BYE                     │   └──────────┘
///   └── BYE ─────────────────────────┴───────► (over) ◄────────┘ response, none, BYE
/// ```
/// Meanwhile an ACK of ours is kept while 2xx may come again, and a 2xx of ours is repeated until its
/// ACK comes.
#[derive(Debug)]
pub(super) struct Session {
    dialog: Dialog,
    /// What we write as Contact.
    contact: Box<str>,
    /// Our INVITEs to which a 2xx may still come.
    invites: Vec<Invite>,
    /// Our 2xx, until its ACK.
    accepted: Option<Box<RepeatedResponse>>,
    /// What we have asked of the far end; BYE among it once the call ends by us.
    requests: Requests,
    /// A change that we wish.
    change: Option<Box<Change>>,
    /// Once the network has changed, until re-INVITE can be sent.
    relocation: Option<Relocation>,
    /// The latest transfer that we asked for.
    transfer: Option<Box<Transfer>>,
    /// The latest that the far end asked for.
    referral: Option<Box<Referral>>,
    /// Dialogs of others that answered too late; each only waits for its end (§13.2.2.4).
    forks: Vec<Session>,
    /// Once the call is over, while there are reports.
    remainder: Option<Remainder>,
}

impl Session {
    /// The caller's, from a 2xx to this INVITE; [`advance`](Self::advance) acknowledges it.
    pub(super) fn of_caller(
        cx: &mut Context<'_>,
        dialog: Dialog,
        contact: String,
        invite: Invite,
    ) -> Self {
        let mut session = Self::new(dialog, contact.into());
        session.keep(cx, invite);
        session
    }

    /// The callee's; [`accept`](Self::accept) sends the 2xx.
    pub(super) fn new(dialog: Dialog, contact: Box<str>) -> Self {
        Self {
            dialog,
            contact,
            invites: Vec::new(),
            accepted: None,
            requests: Requests::default(),
            change: None,
            relocation: None,
            transfer: None,
            referral: None,
            forks: Vec::new(),
            remainder: None,
        }
    }

    /// Whether it goes by that connection.
    pub(super) fn uses(&self, flow: Flow) -> bool {
        let is_on_it = self.dialog.peer_connection().is_some_and(|it| it.flow() == flow);
        is_on_it || self.forks.iter().any(|fork| fork.uses(flow))
    }

    /// Sends what is due and can be sent.
    pub(super) fn advance(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        self.forks.retain_mut(|fork| fork.advance_fork(call, cx));
        if let Err(lost) = self.acknowledge(call, cx) {
            return self.handle_unacknowledged(call, cx, lost);
        }
        self.advance_relocation(call, cx);
        self.advance_change(call, cx);
        self.advance_report(call, cx);
        self.take_queue(call);
        self.send_requests(call, cx)
    }

    /// The same for the dialog of another who answered; false when it is over.
    fn advance_fork(&mut self, call: &mut Common, cx: &mut Context<'_>) -> bool {
        let mut acknowledged = self.acknowledge(call, cx).is_ok();
        if !acknowledged && self.retrace() {
            acknowledged = self.acknowledge(call, cx).is_ok();
        }
        acknowledged && matches!(self.send_requests(call, cx), Step::Stay)
    }

    /// Takes a path to the next hop.
    pub(super) fn handle_path(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        path: Result<Arc<Path>, Lost>,
    ) -> Step {
        let lost = match path {
            Ok(_) => return self.advance(call, cx),
            Err(_) if cx.fall_back(&mut self.dialog) => return self.advance(call, cx),
            Err(lost) => lost,
        };
        self.invites.iter_mut().for_each(Invite::forget_lost_ack);
        self.forks.retain_mut(|fork| {
            !fork.needs_path() || (fork.retrace() && fork.advance_fork(call, cx))
        });
        if self.needs_path() {
            return self.handle_unacknowledged(call, cx, lost);
        }
        self.put_off_relocation(call, cx);
        self.handle_change_path_lost(call, cx);
        self.drop_unsent_requests(call, cx)
    }

    /// Takes the ports that were asked for: for our move, or for an offer that has waited.
    pub(super) fn handle_ports(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        if !self.move_to_new_ports(call, cx)
            && let Some(query) = call.media.take_deferred()
        {
            self.handle_reoffer(call, cx, &query, Body::of(&query.request));
        }
        self.advance(call, cx)
    }

    /// Takes a response.
    pub(super) fn handle_response(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        client: Option<ClientId>,
        response: &Message,
    ) -> Step {
        if let Some(client) = client.filter(|client| self.has_requested(*client)) {
            return match self.take_answered(cx, client, response) {
                Some(pending) => self.handle_final(call, cx, pending, response),
                None => Step::Stay,
            };
        }
        if *response.method() == Method::Invite {
            if response.status().is_some_and(|status| (200..300).contains(&status)) {
                self.handle_further_2xx(call, cx, response);
                return self.advance(call, cx);
            }
        } else if let Some(client) = client {
            // The fork's ACK is kept while its 2xx may come again.
            self.forks.retain_mut(|fork| {
                fork.take_answered(cx, client, response).is_none() || !fork.invites.is_empty()
            });
        }
        Step::Stay
    }

    /// A transaction failed.
    pub(super) fn handle_failure(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        client: ClientId,
        cause: FailureCause,
    ) -> Step {
        self.forks.retain_mut(|fork| {
            fork.take_failed(client, cause).is_none() || !fork.invites.is_empty()
        });
        match self.take_failed(client, cause) {
            Some(pending) => self.handle_no_answer(call, cx, pending.purpose, Some(cause)),
            None => self.advance(call, cx),
        }
    }

    /// A connection is over: what may have been lost on it is sent over another.
    pub(super) fn handle_flow_lost(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        flow: Flow,
    ) -> Step {
        let forks = self.forks.iter_mut().flat_map(|fork| &mut fork.invites);
        self.invites.iter_mut().chain(forks).for_each(|invite| invite.handle_flow_lost(flow));
        self.handle_change_flow_lost(call, cx, flow);
        self.advance(call, cx)
    }

    /// A timer fired.
    pub(super) fn handle_alarm(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        alarm: CallAlarm,
    ) -> Step {
        match alarm {
            CallAlarm::RepeatResponse => return self.repeat_accepted(call, cx),
            CallAlarm::DropAck => {
                self.forks.retain_mut(|fork| !fork.drop_acks(cx) || fork.is_terminating());
                if self.drop_acks(cx) {
                    call.media.forget_offer();
                }
            }
            CallAlarm::TransferTimeout => self.handle_transfer_timeout(call, cx),
            CallAlarm::Forget => self.drop_reports(call, cx),
            CallAlarm::RepeatAck => {
                let forks = self.forks.iter_mut().flat_map(|fork| &mut fork.invites);
                let invites = self.invites.iter_mut().chain(forks);
                invites.for_each(|invite| invite.handle_repeat(cx.now()));
                return self.advance(call, cx);
            }
            CallAlarm::ReferralTimeout => self.decline(cx),
            CallAlarm::Report => return self.handle_report_alarm(call, cx),
            CallAlarm::Change => return self.handle_change_alarm(call, cx),
            CallAlarm::Relocate => return self.retry_relocation(call, cx),
            CallAlarm::Unanswered | CallAlarm::Remind => {}
        }
        Step::Stay
    }

    /// Takes a request of the far end.
    pub(super) fn handle_request(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        query: &Query,
    ) -> Step {
        let request = &query.request;
        if *request.call_id() != *call.call_id {
            return self.handle_separate_request(call, cx, query);
        }
        if !self.dialog.is_of(request.call_id(), request.from_tag()) {
            queries::no_dialog(cx, query);
            return Step::Stay;
        }
        if self.dialog.handle_request(request).is_err() {
            cx.respond(query, Response::new(500));
            return Step::Stay;
        }
        self.dialog.set_peer_connection(query.peer_connection());
        match request.method() {
            Method::Notify => return self.handle_notify(call, cx, query),
            // RFC 5057 §5.5: there is no call that it could be about.
            _ if self.is_remainder() => queries::no_dialog(cx, query),
            // §15.1.2. One that crosses ours finds the call ending: it ends now.
            Method::Bye => {
                cx.respond(query, Response::new(200));
                return Step::End(match self.is_terminating() {
                    true => self.reason_of(Lost::Unreachable),
                    false => EndReason::of_request(request),
                });
            }
            _ if self.is_terminating() => queries::no_dialog(cx, query),
            Method::Refer => self.handle_refer(call, cx, query),
            Method::Invite | Method::Update => {
                let body = Body::of(request);
                if !call.media.defer(cx, query, &body) {
                    self.handle_reoffer(call, cx, query, body);
                    return self.advance(call, cx);
                }
            }
            _ => queries::answer(cx, query),
        }
        Step::Stay
    }

    /// Gives back what it holds; what is not decided has failed.
    pub(super) fn close(mut self, call: &Common, cx: &mut Context<'_>) {
        self.close_transfer(call, cx);
        self.forget_referral(cx);
        self.close_requests(cx);
        self.forget_accepted(cx);
        self.close_change(cx);
        if let Some(relocation) = self.relocation {
            relocation.close(cx);
        }
        self.invites.into_iter().for_each(|invite| invite.close(cx));
        self.forks.into_iter().for_each(|fork| fork.close(call, cx));
    }

    /// Sends each ACK that is due.
    fn acknowledge(&mut self, call: &Common, cx: &mut Context<'_>) -> Result<(), Lost> {
        if self.owes_ack() {
            let path = match cx.reach_dialog(&self.dialog, call.owner()) {
                Reach::Open(path) => path,
                Reach::Later => return Ok(()),
                Reach::Never(lost) => return Err(lost),
            };
            for invite in self.invites.iter_mut().filter(|invite| invite.owes_ack()) {
                invite.acknowledge(call, cx, &path, &self.dialog);
            }
        }
        if self.invites.iter().any(Invite::has_lost_ack) {
            match cx.reach_dialog(&self.dialog, call.owner()) {
                Reach::Open(path) => {
                    let lost = self.invites.iter_mut().filter(|invite| invite.has_lost_ack());
                    lost.for_each(|invite| invite.acknowledge(call, cx, &path, &self.dialog));
                }
                Reach::Later => {}
                Reach::Never(_) => self.invites.iter_mut().for_each(Invite::forget_lost_ack),
            }
        }
        Ok(())
    }

    /// No path leads to where the ACK of a 2xx has to go, or else BYE. The ACK goes where the INVITE went,
    /// for every 2xx gets one (§13.2.2.4), and BYE follows it.
    fn handle_unacknowledged(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        lost: Lost,
    ) -> Step {
        match self.retrace() {
            true => self.terminate(call, cx, lost.into()),
            false => Step::End(self.reason_of(lost)),
        }
    }

    /// Sends our requests to the destination of the INVITE whose ACK is owed. False when that was tried.
    fn retrace(&mut self) -> bool {
        let destination =
            self.invites.iter_mut().filter(|it| it.owes_ack()).find_map(Invite::take_destination);
        destination.is_some_and(|destination| {
            self.dialog.set_destination(destination);
            true
        })
    }

    /// Whether it is confirmed on both sides, and goes on.
    fn is_up(&self) -> bool {
        self.is_confirmed() && !self.is_terminating() && !self.is_remainder()
    }

    /// Whether it is confirmed on both sides.
    fn is_confirmed(&self) -> bool {
        self.accepted.is_none() && !self.owes_ack()
    }

    /// Where our requests go, if their next hop is named by an address.
    fn next_hop(&self) -> Option<SocketAddr> {
        Hop::of(&Uri::parse(self.dialog.course().next_hop).ok()?).ok()?.address()
    }

    /// Whether an ACK of ours has not been sent yet.
    fn owes_ack(&self) -> bool {
        self.invites.iter().any(Invite::owes_ack)
    }

    /// Whether it cannot go on, or not end, without a path.
    fn needs_path(&self) -> bool {
        let bye = self.requests.find(Purpose::is_termination);
        let leaves = bye.is_some_and(|bye| !bye.is_sent());
        self.owes_ack() || (leaves && self.accepted.is_none())
    }

    /// Drops the ACKs of INVITEs to which no 2xx comes any more; true when there was one.
    fn drop_acks(&mut self, cx: &mut Context<'_>) -> bool {
        let now = cx.now();
        let mut stale = false;
        for invite in self.invites.extract_if(.., |invite| invite.is_stale(now)) {
            invite.close(cx);
            stale = true;
        }
        self.invites.shrink_to_fit();
        stale
    }
}
