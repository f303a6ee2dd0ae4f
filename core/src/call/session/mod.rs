//! A confirmed dialog, from 2xx to BYE (RFC 3261 §12.2, §13 to §15).
//!
//! What it consists of stands in files of their own: `ask`, a request of ours within the dialog;
//! `invite`, the caller's side of a 2xx; `accepted`, the callee's; `reoffer`, a change that the peer
//! wishes, and `change`, one that we wish; `relocation`, our move to another network; `termination`, the
//! end by us.

mod accepted;
mod ask;
mod change;
mod invite;
mod relocation;
mod reoffer;
mod termination;

use core::net::SocketAddr;
use std::sync::Arc;

pub(super) use ask::Ask;

use super::media::Body;
use super::queries;
use super::{Call, CallAlarm, Ending, Stage, carries_offer};
use crate::agent::{Answer, Attempt, Context, Hop, Lost, Path, Query, Reach, Response};
use crate::dialog::Dialog;
use crate::event::{CallId, CallState, EndedBy};
use crate::host::Flow;
use crate::sip::{Message, Method, Uri};
use crate::transaction::{ClientId, FailureCause};
use accepted::Accepted;
use change::Change;
use invite::Invite;
use relocation::Relocation;
use termination::Termination;

/// A call that was answered.
///
/// ```text
///         hangup, silence, no ACK       ACK has come, a path is there
///   up ─────────────────────────► Termination ───────────────► BYE sent ─► 401 ─┐
///   │  re-INVITE, UPDATE, ...        │                       │   ▲          │
///   │  answered here                 │ BYE                   │   └──────────┘
///   └── BYE ─────────────────────────┴───────► (over) ◄──────┘ response, none, BYE
/// ```
/// Beside that an ACK of ours is kept while 2xx may come again, and a 2xx of ours is repeated until
/// its ACK comes.
#[derive(Debug)]
pub(super) struct Session {
    dialog: Dialog,
    /// What we write as Contact.
    contact: Box<str>,
    /// Our INVITEs to which a 2xx may still come.
    invites: Vec<Invite>,
    /// Our 2xx, until its ACK.
    accepted: Option<Box<Accepted>>,
    /// A change that we wish.
    change: Option<Box<Change>>,
    /// Once the network has changed, until the far end can be told.
    relocation: Option<Relocation>,
    /// Once it ends by us.
    termination: Option<Box<Termination>>,
    /// Dialogs of others that answered too late; each only waits for its end (§13.2.2.4).
    forks: Vec<Session>,
}

impl Session {
    /// The caller's, from a 2xx to the INVITE with that number and attempt;
    /// [`advance`](Self::advance) acknowledges it, with our `answer` if the offer was theirs.
    pub(super) fn of_caller(
        cx: &mut Context<'_>,
        call: CallId,
        dialog: Dialog,
        contact: String,
        invite: (u32, Attempt),
        answer: Option<String>,
    ) -> Self {
        let mut session = Self::new(dialog, contact.into());
        let invite = Invite::new(cx, call, invite, answer);
        session.keep(cx, invite);
        session
    }

    /// The callee's; [`accept`](Self::accept) sends the 2xx.
    pub(super) fn new(dialog: Dialog, contact: Box<str>) -> Self {
        let (invites, forks) = (Vec::new(), Vec::new());
        let (accepted, change, relocation, termination) = (None, None, None, None);
        Self { dialog, contact, invites, accepted, change, relocation, termination, forks }
    }

    /// Sends what is due and can be sent. Returns how the call ended, if it did.
    fn advance(&mut self, cx: &mut Context<'_>, call: CallId) -> Option<Ending> {
        self.forks.retain_mut(|fork| fork.advance(cx, call).is_none());
        if let Err(lost) = self.send_due(cx, call) {
            return Some(self.lost(lost));
        }
        None
    }

    fn send_due(&mut self, cx: &mut Context<'_>, call: CallId) -> Result<(), Lost> {
        if self.owes_ack() {
            let path = match ask::reach(cx, call, &self.dialog) {
                Reach::Open(path) => path,
                Reach::Later => return Ok(()),
                Reach::Never(lost) => return Err(lost),
            };
            for invite in self.invites.iter_mut().filter(|invite| invite.owes_ack()) {
                invite.acknowledge(cx, &path, &self.dialog);
            }
        }
        if self.invites.iter().any(Invite::has_lost_ack) {
            match ask::reach(cx, call, &self.dialog) {
                Reach::Open(path) => {
                    let lost = self.invites.iter_mut().filter(|invite| invite.has_lost_ack());
                    lost.for_each(|invite| invite.acknowledge(cx, &path, &self.dialog));
                }
                Reach::Later => {}
                Reach::Never(_) => self.invites.iter_mut().for_each(Invite::forget_lost_ack),
            }
        }
        let ready = self.accepted.is_none();
        if let Some(termination) = self.termination.as_mut().filter(|_| ready) {
            termination.bye.send(cx, call, &mut self.dialog)?;
        }
        Ok(())
    }

    /// Whether it is confirmed on both sides, and goes on.
    pub(super) fn is_up(&self) -> bool {
        self.accepted.is_none() && self.termination.is_none() && !self.owes_ack()
    }

    /// The dialog.
    pub(super) fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    /// The dialog, to ask something within it.
    pub(super) fn dialog_mut(&mut self) -> &mut Dialog {
        &mut self.dialog
    }

    /// What we write as Contact.
    pub(super) fn contact(&self) -> &str {
        &self.contact
    }

    /// Where our requests go, if their next hop is named by an address.
    pub(super) fn next_hop(&self) -> Option<SocketAddr> {
        Hop::of(&Uri::parse(self.dialog.course().next_hop).ok()?).ok()?.address()
    }

    /// Whether it goes by that connection.
    pub(super) fn uses(&self, flow: Flow) -> bool {
        let linked = self.dialog.link().is_some_and(|link| link.flow() == flow);
        linked || self.forks.iter().any(|fork| fork.uses(flow))
    }

    /// Whether an ACK of ours has not been sent yet.
    fn owes_ack(&self) -> bool {
        self.invites.iter().any(Invite::owes_ack)
    }

    /// Whether something waits for a path.
    fn needs_path(&self) -> bool {
        let leaves =
            self.termination.as_ref().is_some_and(|termination| !termination.bye.is_sent());
        self.owes_ack() || (leaves && self.accepted.is_none())
    }

    /// What cannot be sent ends the call.
    fn lost(&mut self, lost: Lost) -> Ending {
        self.termination.take().map_or_else(|| lost.into(), |termination| termination.ending)
    }

    /// Begins to end it, unless that has begun.
    fn part(&mut self, ending: Ending) {
        self.termination.get_or_insert_with(|| Box::new(Termination::new(ending)));
    }

    /// Takes a response to our BYE; how the call ended, if it did.
    fn handle_bye_response(
        &mut self,
        cx: &mut Context<'_>,
        call: CallId,
        client: ClientId,
        response: &Message,
    ) -> Option<Ending> {
        let termination = self.termination.as_mut()?;
        match termination.bye.handle_response(cx, call, &mut self.dialog, client, response)? {
            Answer::Pending => None,
            // §15.1.1: 481, 408 and no response at all end the session as well as 200 does.
            Answer::Final(_) => self.termination.take().map(|termination| termination.ending),
        }
    }

    /// Takes the failure of our BYE, if it is that; how the call ended, unless it is sent once more.
    fn handle_bye_failure(&mut self, client: ClientId, cause: FailureCause) -> Option<Ending> {
        let over = |termination: &mut Box<Termination>| {
            termination.bye.is_of(client) && !termination.bye.is_worth_repeating(cause)
        };
        Some(self.termination.take_if(over)?.ending)
    }

    /// Forgets the INVITEs to which no 2xx comes any more; true when there was one.
    fn forget_invites(&mut self, cx: &Context<'_>) -> bool {
        let kept = self.invites.len();
        self.invites.retain(|invite| !invite.is_stale(cx.now()));
        self.invites.shrink_to_fit();
        self.invites.len() < kept
    }

    pub(super) fn close(mut self, cx: &mut Context<'_>) {
        self.forget_accepted(cx);
        self.forget_change(cx);
        if let Some(relocation) = self.relocation {
            relocation.close(cx);
        }
        self.invites.into_iter().for_each(|invite| invite.close(cx));
        self.forks.into_iter().for_each(|fork| fork.close(cx));
    }
}

impl Call {
    /// Ends an answered call.
    pub(crate) fn hangup(&mut self, cx: &mut Context<'_>) {
        self.part(cx, Ending::new(EndedBy::Local));
    }

    /// Ends it: media stops now, BYE goes out as soon as it may.
    pub(super) fn part(&mut self, cx: &mut Context<'_>, ending: Ending) {
        let Stage::Session(session) = &mut self.stage else { return };
        session.part(ending);
        self.close_transfer(cx);
        self.media.close(cx);
        self.set_state(cx, CallState::Ended, None);
        self.advance(cx);
    }

    /// Ends it when the far end says that it knows nothing of it (RFC 3261 §12.2.1.2, RFC 5057 §5.1).
    pub(super) fn end_if_gone(&mut self, cx: &mut Context<'_>, response: &Message) {
        let Stage::Session(session) = &self.stage else { return };
        if response.status() == Some(481) && session.termination.is_none() {
            self.part(cx, Ending::of(EndedBy::Remote, response));
        }
    }

    /// Sends what is due.
    pub(super) fn advance(&mut self, cx: &mut Context<'_>) {
        let Stage::Session(session) = &mut self.stage else { return };
        match session.advance(cx, self.id) {
            Some(ending) => self.finish(cx, ending),
            None => {
                self.advance_relocation(cx);
                self.advance_change(cx);
                self.advance_transfer(cx);
                self.advance_referral(cx);
                self.advance_inquiries(cx);
            }
        }
    }

    pub(super) fn session_path(&mut self, cx: &mut Context<'_>, path: Result<Arc<Path>, Lost>) {
        let Stage::Session(session) = &mut self.stage else { return };
        match path {
            Ok(_) => self.advance(cx),
            Err(_) if ask::falls_back(cx, &mut session.dialog) => self.advance(cx),
            Err(lost) => {
                session.invites.iter_mut().for_each(Invite::forget_lost_ack);
                session.forks.retain(|fork| !fork.needs_path());
                if session.needs_path() {
                    let ending = session.lost(lost);
                    return self.finish(cx, ending);
                }
                self.relocation_lost(cx);
                self.change_lost(cx);
                self.transfer_lost(cx);
                self.referral_lost(cx);
                self.inquiries_lost(cx);
            }
        }
    }

    pub(super) fn session_response(
        &mut self,
        cx: &mut Context<'_>,
        client: Option<ClientId>,
        response: &Message,
    ) {
        let Stage::Session(session) = &mut self.stage else { return };
        if *response.method() == Method::Invite {
            if let Some(client) = client.filter(|client| session.is_changing_by(*client)) {
                return self.change_response(cx, client, response);
            }
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
            !over || !fork.invites.is_empty()
        });
        if let Some(ending) = session.handle_bye_response(cx, id, client, response) {
            self.finish(cx, ending);
        }
    }

    pub(super) fn session_failure(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        cause: FailureCause,
    ) {
        let Stage::Session(session) = &mut self.stage else { return };
        session.forks.retain_mut(|fork| {
            fork.handle_bye_failure(client, cause).is_none() || !fork.invites.is_empty()
        });
        if let Some(ending) = session.handle_bye_failure(client, cause) {
            self.finish(cx, ending);
        } else if session.is_changing_by(client) {
            self.change_failure(cx, cause);
        } else {
            self.advance(cx);
        }
    }

    /// A connection is over: what may have been lost on it is sent over another.
    pub(super) fn session_flow_lost(&mut self, cx: &mut Context<'_>, flow: Flow) {
        let Stage::Session(session) = &mut self.stage else { return };
        let forks = session.forks.iter_mut().flat_map(|fork| &mut fork.invites);
        session.invites.iter_mut().chain(forks).for_each(|invite| invite.handle_flow_lost(flow));
        self.change_flow_lost(cx, flow);
        self.advance(cx);
    }

    pub(super) fn session_alarm(&mut self, cx: &mut Context<'_>, alarm: CallAlarm) {
        let Stage::Session(session) = &mut self.stage else { return };
        match alarm {
            CallAlarm::Repeat => self.repeat_accepted(cx),
            CallAlarm::Forget => {
                session.forks.retain_mut(|fork| {
                    let forgotten = fork.forget_invites(cx);
                    !forgotten || fork.termination.is_some()
                });
                if session.forget_invites(cx) {
                    self.media.settle();
                }
            }
            CallAlarm::Change => self.change_alarm(cx),
            CallAlarm::Relocate => self.relocation_alarm(cx),
            _ => {}
        }
    }

    pub(super) fn session_request(&mut self, cx: &mut Context<'_>, query: &Query) {
        let Stage::Session(session) = &mut self.stage else { return };
        let request = &query.request;
        if !session.dialog.is_of(request.call_id(), request.from_tag()) {
            return queries::no_dialog(cx, query);
        }
        if session.dialog.handle_request(request).is_err() {
            cx.respond(query, Response::new(500));
            return;
        }
        session.dialog.set_link(query.link());
        let termination = session.termination.is_some();
        match request.method() {
            // §15.1.2. One that crosses ours finds the call ending: it ends now.
            Method::Bye => {
                cx.respond(query, Response::new(200));
                let ending = match termination {
                    true => session.lost(Lost::Unreachable),
                    false => Ending::new(EndedBy::Remote),
                };
                self.finish(cx, ending);
            }
            Method::Notify => self.notified(cx, query),
            _ if termination => queries::no_dialog(cx, query),
            Method::Refer => self.referred(cx, query),
            method if carries_offer(method) => {
                let body = Body::of(request);
                if !self.defer(cx, query, &body) {
                    self.reoffered(cx, query, body);
                    self.advance(cx);
                }
            }
            _ => queries::answer(cx, query),
        }
    }
}
