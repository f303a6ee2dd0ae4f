//! What every stage of a call has: whose call it is, what the application sees of it, its media.

use std::sync::Arc;

use super::media::CallMedia;
use super::profile::Parties;
use super::referrer::Referrer;
use super::{CallProfile, EndReason};
use crate::agent::{Alarm, CallAlarm, Context, InDialogRequest, Owner, Tag};
use crate::error::Error;
use crate::event::{
    self, CallDirection, CallEvent, CallId, CallState, Cause, Event, Reply, SipRequestId,
};
use crate::time::Instant;
use crate::transaction::ServerId;

/// The part of a call that lasts from stage to stage; lent to the stage with every event.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) id: CallId,
    pub(super) direction: CallDirection,
    /// What the application sees.
    pub(super) state: CallState,
    /// Our tag, once a message needed it.
    pub(super) tag: Option<Tag>,
    /// The Call-ID; of a call of ours empty until it is placed.
    pub(super) call_id: Arc<str>,
    /// The far end of a call of ours: a name-addr without its tag.
    pub(super) remote: Arc<str>,
    /// Ourselves likewise.
    pub(super) local: Arc<str>,
    /// The INVITE that came, which says who calls whom: as text, for a parsed message is larger and
    /// calls are many.
    pub(super) invite: Option<Arc<[u8]>>,
    /// Its transaction.
    pub(super) server: Option<ServerId>,
    /// Whether the application knows of the call.
    pub(super) announced: bool,
    pub(super) media: CallMedia,
    /// Whose referral this call follows.
    pub(super) referrer: Option<Box<Referrer>>,
    /// Requests of the application, sent with the host's next call: it may ask before there is a session, for a
    /// call counts as answered from the command on.
    pub(super) queue: Vec<(SipRequestId, InDialogRequest)>,
    /// When it was placed, or announced.
    pub(super) began: Option<Instant>,
    /// When it was answered.
    pub(super) answered: Option<Instant>,
}

impl Common {
    /// Who owns what the call asks the agent for.
    pub(super) fn owner(&self) -> Owner {
        Owner::Call(self.id)
    }

    /// A timer's alarm for this call.
    pub(super) fn alarm(&self, alarm: CallAlarm) -> Alarm {
        Alarm::Call(self.id, alarm)
    }

    /// Our tag, made when first needed.
    pub(super) fn tag(&mut self, cx: &mut Context<'_>) -> Tag {
        match self.tag {
            Some(tag) => tag,
            None => *self.tag.insert(cx.new_tag(self.owner())),
        }
    }

    /// What is known about the call.
    pub(super) fn profile(&self) -> CallProfile {
        let parties = match &self.invite {
            Some(invite) => Parties::Theirs(Arc::clone(invite)),
            None => Parties::Ours {
                remote: Arc::clone(&self.remote),
                local: Arc::clone(&self.local),
                call_id: Arc::clone(&self.call_id),
            },
        };
        CallProfile {
            id: self.id,
            direction: self.direction,
            state: self.state,
            parties,
            codec: self.media.codec(),
            streams: self.media.streams(),
            media: self.media.direction(),
            held: self.media.is_held(),
            holding: self.media.hold.is_agreed(),
        }
    }

    /// Shows the application a new state, or more about the old one.
    pub(super) fn set_state(
        &mut self,
        cx: &mut Context<'_>,
        state: CallState,
        cause: Option<Cause>,
    ) {
        if self.state == CallState::Ended {
            return;
        }
        if self.state != state || cause.is_some() {
            self.state = state;
            if state == CallState::Answered {
                self.note_answered(cx);
            }
            if let Some(cause) = &cause {
                self.note_report(cause);
            }
            cx.emit_call(self.id, CallEvent::State { state, cause });
        }
    }

    /// It was placed, or the application learns of it.
    pub(super) fn note_began(&mut self, cx: &Context<'_>) {
        self.began.get_or_insert(cx.now());
    }

    /// It was answered.
    pub(super) fn note_answered(&mut self, cx: &Context<'_>) {
        self.answered.get_or_insert(cx.now());
    }

    /// The application learns that the call is over before it is: what is still to be said to the far end
    /// is said without it.
    pub(super) fn finish_early(&mut self, cx: &mut Context<'_>, ending: EndReason) {
        self.end_for_application(cx, ending);
        self.announced = false;
    }

    /// The call is over: media stops, what is held is given back, and the application learns of it.
    pub(super) fn finish(&mut self, cx: &mut Context<'_>, ending: EndReason) {
        if let Some(tag) = self.tag.take() {
            cx.agent.forget_tag(tag);
        }
        self.end_for_application(cx, ending);
    }

    fn end_for_application(&mut self, cx: &mut Context<'_>, ending: EndReason) {
        for (request, _) in core::mem::take(&mut self.queue) {
            emit_reply(cx, request, Err(None));
        }
        self.media.close(cx);
        if !self.announced {
            self.state = CallState::Ended;
            return;
        }
        let cause = ending.cause.clone().filter(|_| self.state != CallState::Ended);
        self.set_state(cx, CallState::Ended, cause);
        if ending.cause.is_none() {
            self.note_end(ending.by);
        }
        let EndReason { by, cause, error, reasons } = ending;
        let mut ending = event::Ending::new(by);
        (ending.cause, ending.error, ending.reasons) = (cause, error, reasons.into_vec());
        if let (Some(began), Some(answered)) = (self.began, self.answered) {
            ending.setup = Some(answered.since(began).into());
            ending.duration = cx.now().since(answered).into();
        }
        cx.emit_call(self.id, CallEvent::Ended(Box::new(ending)));
    }
}

/// Tells the application what became of a request of its own.
pub(super) fn emit_reply(
    cx: &mut Context<'_>,
    request: SipRequestId,
    reply: Result<Reply, Option<Error>>,
) {
    cx.emit(Event::Response { request, reply });
}
