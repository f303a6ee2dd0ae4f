//! The callee's side of a 2xx: it is repeated until ACK comes (RFC 3261 §13.3.1.4).

use super::Session;
use crate::agent::{Alarm, CallAlarm, Context, Query, Response, T1, T2, TRANSACTION};
use crate::call::media::Body;
use crate::call::{Call, Ending, Stage};
use crate::error::Error;
use crate::event::{CallId, EndedBy};
use crate::sip::{HeaderName, Message};
use crate::time::{Duration, Instant};
use crate::timers::TimerId;
use crate::transaction::ServerId;

/// Our 2xx, until its ACK.
#[derive(Debug)]
pub(super) struct Accepted {
    server: ServerId,
    seq: u32,
    bytes: Box<[u8]>,
    interval: Duration,
    until: Instant,
    timer: TimerId,
}

impl Session {
    /// Accepts an INVITE: sends 2xx, and repeats it until ACK comes.
    pub(in crate::call) fn accept(
        &mut self,
        cx: &mut Context<'_>,
        call: CallId,
        query: &Query,
        response: Response<'_>,
    ) {
        let response = response.field(HeaderName::Contact, self.contact.as_ref()).capabilities();
        let bytes = cx.respond(query, response).into();
        self.forget_accepted(cx);
        let timer = cx.set_timer(T1, Alarm::Call(call, CallAlarm::Repeat));
        self.accepted = Some(Box::new(Accepted {
            server: query.id,
            seq: query.request.cseq(),
            bytes,
            interval: T1,
            until: cx.now() + TRANSACTION,
            timer,
        }));
    }

    pub(super) fn forget_accepted(&mut self, cx: &mut Context<'_>) {
        if let Some(accepted) = self.accepted.take() {
            cx.cancel_timer(accepted.timer);
        }
    }
}

impl Call {
    /// Repeats our 2xx, or gives up.
    pub(super) fn repeat_accepted(&mut self, cx: &mut Context<'_>) {
        let Stage::Session(session) = &mut self.stage else { return };
        let now = cx.now();
        match &mut session.accepted {
            Some(accepted) if accepted.until <= now => {
                // §13.3.1.4: nobody acknowledges.
                session.forget_accepted(cx);
                self.media.withdraw();
                self.part(cx, Ending::new(EndedBy::Timeout));
                self.advance(cx);
            }
            Some(accepted) => {
                accepted.interval = (accepted.interval * 2).min(T2);
                let next = (now + accepted.interval).min(accepted.until).since(now);
                let alarm = Alarm::Call(self.id, CallAlarm::Repeat);
                accepted.timer = cx.set_timer(next, alarm);
                cx.repeat(accepted.server, 200, &accepted.bytes);
            }
            None => {}
        }
    }

    pub(in crate::call) fn session_ack(&mut self, cx: &mut Context<'_>, ack: &Message) {
        let Stage::Session(session) = &mut self.stage else { return };
        let ours = session.dialog.is_of(ack.call_id(), ack.from_tag());
        let Some(accepted) = session.accepted.as_ref().filter(|_| ours) else { return };
        if accepted.seq != ack.cseq() {
            return;
        }
        session.forget_accepted(cx);
        if self.media.is_offering() {
            let first = self.media.codec().is_none();
            // §13.2.1: the offer was in our 2xx, so the answer is in ACK.
            let changed = match Body::of(ack) {
                Body::Session(answer) => self.media.accept(cx, &answer),
                _ => None,
            };
            match changed {
                Some(changed) => self.renegotiated(cx, changed && !first),
                None => {
                    self.media.withdraw();
                    let problem = "the answer in ACK is missing, or cannot be used";
                    return self.part(cx, Ending::error(Some(Error::NoMedia { problem })));
                }
            }
        }
        self.advance(cx);
    }
}
