//! The callee's side of a 2xx, until ACK comes (RFC 3261 §13.3.1.4).

use super::Session;
use super::reoffer::emit_renegotiated;
use crate::agent::{CallAlarm, Context, Query, Response};
use crate::call::body::Body;
use crate::call::common::Common;
use crate::call::repeated::RepeatedResponse;
use crate::call::{EndReason, Step};
use crate::error::Error;
use crate::event::EndedBy;
use crate::sip::{HeaderName, Message};

impl Session {
    /// Accepts an INVITE: sends 2xx, and repeats it until ACK comes.
    pub(in crate::call) fn accept(
        &mut self,
        call: &Common,
        cx: &mut Context<'_>,
        query: &Query,
        response: Response<'_>,
    ) {
        self.forget_accepted(cx);
        let response = response.field(HeaderName::Contact, self.contact.as_ref()).capabilities();
        let alarm = call.alarm(CallAlarm::RepeatResponse);
        self.accepted = Some(Box::new(RepeatedResponse::send(cx, query, response, alarm)));
    }

    /// Repeats our 2xx, or gives up.
    pub(super) fn repeat_accepted(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        match self.accepted.as_mut().map(|accepted| accepted.repeat(cx)) {
            Some(Err(_)) => {
                // §13.3.1.4: nobody acknowledges.
                self.accepted = None;
                call.media.withdraw();
                self.terminate(call, cx, EndReason::new(EndedBy::Timeout))
            }
            Some(Ok(())) | None => Step::Stay,
        }
    }

    /// Takes the ACK.
    pub(in crate::call) fn handle_ack(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        ack: &Message,
    ) -> Step {
        let ours = self.dialog.is_of(ack.call_id(), ack.from_tag());
        let is_ours = |it: &mut Box<RepeatedResponse>| ours && it.is_acknowledged_by(ack.cseq());
        let Some(accepted) = self.accepted.take_if(is_ours) else { return Step::Stay };
        accepted.close(cx);
        if call.media.is_offering() {
            let first = call.media.codec().is_none();
            // §13.2.1: the offer was in our 2xx, so the answer is in ACK.
            let changed = match Body::of(ack) {
                Body::Session(answer) => call.media.accept(cx, &answer),
                _ => None,
            };
            match changed {
                Some(changed) => emit_renegotiated(call, cx, changed && !first),
                None => {
                    call.media.withdraw();
                    let problem = "the answer in ACK is missing, or cannot be used";
                    let ending = EndReason::error(Some(Error::NoMedia { problem }));
                    return self.terminate(call, cx, ending);
                }
            }
        }
        self.advance(call, cx)
    }

    pub(super) fn forget_accepted(&mut self, cx: &mut Context<'_>) {
        if let Some(accepted) = self.accepted.take() {
            accepted.close(cx);
        }
    }
}
