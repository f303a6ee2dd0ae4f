//! An INVITE of ours under way: its provisional responses and its success (RFC 3261 §13.2.2).

use std::sync::Arc;

use super::early::Early;
use crate::agent::{Attempt, Context, Path, Target};
use crate::call::body::Body;
use crate::call::common::Common;
use crate::call::session::{Invite, Session};
use crate::call::{EndReason, Stage, Step};
use crate::dialog::{Destination, Dialog};
use crate::error::Error;
use crate::event::{CallState, Cause};
use crate::locate::Candidate;
use crate::sip::Message;
use crate::time::Instant;
use crate::timers::TimerId;

/// An INVITE under way.
#[derive(Debug)]
pub(super) struct Calling {
    pub(super) path: Arc<Path>,
    /// From, with our tag.
    pub(super) from: Arc<str>,
    /// None when it is left to the callee.
    pub(super) offer: Option<String>,
    pub(super) seq: u32,
    pub(super) attempt: Attempt,
    /// When the first INVITE was sent.
    pub(super) began: Instant,
    /// Whether a provisional response to the latest INVITE has come.
    pub(super) heard: bool,
    /// Whether a response has come that is none to it.
    pub(super) stray: bool,
    /// Whether one has come that is of somebody beyond the next hop: then no other server is asked.
    pub(super) progressed: bool,
    /// The servers that have failed the target.
    pub(super) tried: Vec<Candidate>,
    /// One for each party that has answered provisionally (§12.1, §13.2.2.4).
    pub(super) early: Vec<Early>,
    /// How the call ends when it is given up.
    pub(super) withdrawal: Option<EndReason>,
    /// Whether CANCEL was sent.
    pub(super) cancelled: bool,
    /// Why the target before was not reached, while a path to the next is looked for.
    pub(super) seeking: Option<EndReason>,
    /// Whether the network has changed, so that new ports are needed before the next INVITE.
    pub(super) moved: bool,
    /// How many connections have ended under it.
    pub(super) losses: u8,
    pub(super) unanswered: TimerId,
}

impl Calling {
    /// Whether something has come that cannot be taken for a response to the INVITE: somebody is there.
    pub(super) fn is_unreadable(&self, cx: &Context<'_>) -> bool {
        self.stray || cx.agent.has_unreadable(self.path.to, self.began)
    }

    /// A response from 101 to 199 (§13.2.2.1).
    pub(super) fn handle_provisional(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        target: &str,
        response: &Message,
    ) {
        if self.withdrawal.is_some() {
            return;
        }
        let mut early_media = false;
        if let Some(early) = self.early(target, &call.call_id, response)
            && let Body::Session(answer) = Body::of(response)
        {
            let so_far = early.negotiation.as_ref().or(call.media.negotiator());
            if let Some(mut negotiation) = so_far.cloned()
                && let Ok(agreed) = negotiation.accept(&answer)
            {
                early.negotiation = Some(negotiation);
                call.media.configure_early(cx, early.number, &agreed);
                early_media = true;
            }
        }
        let state = match early_media || response.status() == Some(183) {
            true => CallState::Progress,
            false => call.state,
        };
        call.set_state(cx, state, Some(Cause::of(response)));
    }

    /// The first 2xx (§13.2.2.4): its dialog is the call; those of further ones are ended.
    pub(super) fn handle_success(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        target: &Target,
        response: &Message,
    ) -> Step {
        cx.handle_success(&self.path, response);
        cx.agent.forgive(&self.path);
        // The route set and target of the 2xx replace those of the early dialog (§13.2.2.4).
        let (from, seq) = (&self.from, self.seq);
        let destination =
            Destination { target: target.uri.as_str().into(), routes: target.routes.clone() };
        let dialog = Dialog::of_caller(from, &call.call_id, seq, &target.uri, response);
        let mut dialog = dialog.unwrap_or_else(|_| {
            let problem =
                "its answer does not say where it is: Contact or Record-Route cannot be used";
            let (peer, problem) = (target.uri.clone(), problem.to_owned());
            let lost = EndReason::error(Some(Error::Unreachable { peer, problem }));
            self.withdrawal.get_or_insert(lost);
            Dialog::of_caller_with_lost(from, &call.call_id, seq, destination.clone(), response)
        });
        let tag = response.to_tag();
        let new = self.free_number();
        let early = self.early.iter_mut().find(|early| early.is_of(&call.call_id, tag));
        dialog.set_peer_connection(self.path.peer_connection());
        dialog.set_remote_seq(early.as_ref().and_then(|early| early.dialog.remote_seq()));
        let number = early.as_ref().map_or(new, |early| early.number);
        let early = early.and_then(|early| early.negotiation.take());
        let contact = cx.contact(&self.path);
        call.media.choose_dialog(cx, number);
        if let Some(negotiation) = early {
            call.media.set_negotiator(negotiation);
        }
        let late = self.offer.is_none();
        let body = Body::of(response);
        let (answer, agreed) = match &body {
            Body::Session(offer) if late => {
                let (answer, agreed) = call.media.answer_2xx(cx, offer);
                (Some(answer), agreed)
            }
            _ => (None, None),
        };
        let invite = (self.seq, core::mem::take(&mut self.attempt));
        let invite = Invite::new(call, cx, invite, answer, destination);
        let mut session = Session::of_caller(cx, dialog, contact, invite);
        if let Some(ending) = self.withdrawal.take() {
            // CANCEL and the answer crossed, or the callee is lost: ACK, then BYE.
            session.begin_termination(call, cx, ending);
            return Step::Become(Stage::Session(Box::new(session)));
        }
        let problem = match (body, agreed) {
            (_, Some(agreed)) => {
                call.media.configure(cx, &agreed);
                None
            }
            (Body::Session(_), None) if late => Some("the answer's offer has nothing in common"),
            (Body::Session(answer), None) => match call.media.accept(cx, &answer) {
                Some(_) => None,
                None => Some("the answer's session description cannot be used"),
            },
            (Body::None, None) if call.media.streams() > 0 => None,
            (Body::None, None) => Some("the answer has no session description"),
            (Body::Malformed(_) | Body::Unsupported, None) => {
                Some("the answer's session description cannot be read")
            }
        };
        match problem {
            None => call.set_state(cx, CallState::Answered, Some(Cause::of(response))),
            // §13.2.2.4: an answer that cannot be used is acknowledged, and the session ended.
            Some(problem) => {
                let ending = EndReason::error(Some(Error::NoMedia { problem }));
                session.begin_termination(call, cx, ending);
            }
        }
        Step::Become(Stage::Session(Box::new(session)))
    }

    /// Sends CANCEL once it is wanted and allowed.
    pub(super) fn cancel_if_heard(&mut self, cx: &mut Context<'_>) {
        if let Some(ending) = &self.withdrawal
            && self.heard
            && !self.cancelled
        {
            self.cancelled = cx.cancel_invite(&self.attempt, &ending.reasons);
        }
    }

    /// The INVITE that made the early dialogs is over, and they with it.
    pub(super) fn drop_early(&mut self, call: &mut Common, cx: &mut Context<'_>) {
        for early in self.early.drain(..) {
            call.media.drop_early(cx, early.number);
        }
    }
}
