//! The peer's wish to change the session: re-INVITE and UPDATE (RFC 3261 §14.2, RFC 3311 §5.2).

use super::Session;
use crate::agent::{Context, Query, Response};
use crate::call::body::Body;
use crate::call::common::Common;
use crate::call::queries;
use crate::dialog::Dialog;
use crate::event::CallEvent;
use crate::sip::{HeaderName, Method};

impl Session {
    /// Answers it.
    pub(super) fn handle_reoffer(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        query: &Query,
        body: Body,
    ) {
        let request = &query.request;
        let invite = *request.method() == Method::Invite;
        let body = match body {
            Body::Malformed(error) => return queries::unreadable_description(cx, query, &error),
            Body::Unsupported => return queries::unsupported_body(cx, query),
            // Glare: an offer of ours waits for its answer.
            Body::Session(_) if call.media.is_offering() => {
                return drop(cx.respond(query, Response::new(491)));
            }
            Body::None if invite && call.media.is_offering() => {
                return drop(cx.respond(query, Response::new(491)));
            }
            body => body,
        };
        let Ok(target) = Dialog::target_of(request) else {
            return drop(cx.respond(query, Response::new(400)));
        };
        let (sdp, agreed) = match body {
            Body::Session(offer) => match call.media.answer(cx, &offer) {
                Ok((answer, agreed)) => (Some(answer), Some(agreed)),
                // §14.2: the session stays as it was.
                Err(error) => return queries::not_acceptable(cx, query, &error),
            },
            _ if invite => (call.media.offer(cx), None),
            _ => (None, None),
        };
        self.dialog.set_target(target);
        let response = Response::new(200).body(sdp.as_deref());
        if invite {
            self.accept(call, cx, query, response);
        } else {
            cx.respond(query, response.field(HeaderName::Contact, self.contact.as_ref()));
        }
        if let Some(agreed) = agreed {
            let changed = call.media.configure(cx, &agreed);
            call.media.hold.confirm(cx, call.id);
            emit_renegotiated(call, cx, changed);
        }
    }
}

/// Tells the application that the far end has changed the session, if it has.
pub(super) fn emit_renegotiated(call: &Common, cx: &mut Context<'_>, changed: bool) {
    if changed {
        cx.emit_call(call.id, CallEvent::Renegotiated);
    }
}
