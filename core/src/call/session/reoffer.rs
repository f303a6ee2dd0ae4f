//! The peer's wish to change the session: re-INVITE and UPDATE (RFC 3261 §14.2, RFC 3311 §5.2).

use crate::agent::{Context, Query, Response};
use crate::call::media::Body;
use crate::call::{Call, Stage, queries};
use crate::dialog::Dialog;
use crate::event::Event;
use crate::sip::{HeaderName, Method};

impl Call {
    /// Answers it.
    pub(in crate::call) fn reoffered(&mut self, cx: &mut Context<'_>, query: &Query, body: Body) {
        let Stage::Session(session) = &mut self.stage else { return };
        let request = &query.request;
        let invite = *request.method() == Method::Invite;
        let body = match body {
            Body::Malformed => return drop(cx.respond(query, Response::new(400))),
            Body::Unsupported => return queries::unsupported_body(cx, query),
            // Glare: an offer of ours waits for its answer.
            Body::Session(_) if self.media.is_offering() => {
                return drop(cx.respond(query, Response::new(491)));
            }
            Body::None if invite && self.media.is_offering() => {
                return drop(cx.respond(query, Response::new(491)));
            }
            body => body,
        };
        let Ok(target) = Dialog::target_of(request) else {
            return drop(cx.respond(query, Response::new(400)));
        };
        let (sdp, agreed) = match body {
            Body::Session(offer) => match self.media.answer(cx, &offer) {
                Ok((answer, agreed)) => (Some(answer), Some(agreed)),
                // §14.2: the session stays as it was.
                Err(error) => return queries::not_acceptable(cx, query, &error),
            },
            _ if invite => (self.media.offer(cx), None),
            _ => (None, None),
        };
        session.dialog.set_target(target);
        let response = Response::new(200).body(sdp.as_deref());
        if invite {
            session.accept(cx, self.id, query, response);
        } else {
            cx.respond(query, response.field(HeaderName::Contact, session.contact.as_ref()));
        }
        if let Some(agreed) = agreed {
            let changed = self.media.configure(cx, &agreed);
            self.media.hold.settle(cx, self.id);
            self.renegotiated(cx, changed);
        }
    }

    /// Tells that the peer has changed the session.
    pub(super) fn renegotiated(&mut self, cx: &mut Context<'_>, changed: bool) {
        if changed {
            cx.emit(Event::Renegotiated { call: self.id });
        }
    }
}
