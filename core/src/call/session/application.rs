//! Requests of the application within a call's dialog (RFC 3261 §12.2).

use super::Session;
use super::requests::Purpose;
use crate::agent::{Content, Context, InDialogRequest};
use crate::call::common::Common;
use crate::call::{Call, Stage};
use crate::event::SipRequestId;
use crate::sip::{HeaderName, Method};

/// How many of them may wait for their answers in one call.
pub(crate) const MAX_REQUESTS: usize = 16;

impl Call {
    /// Takes a request, to be sent with the host's next call. False when there are too many.
    pub(crate) fn queue_request(
        &mut self,
        id: SipRequestId,
        method: Method,
        headers: Vec<(String, String)>,
        content: Option<Content>,
    ) -> bool {
        let call = &mut self.common;
        let pending = match &self.stage {
            Stage::Session(session) => session.requests.count(Purpose::is_application),
            _ => 0,
        };
        if call.queue.len() + pending >= MAX_REQUESTS {
            return false;
        }
        let request = InDialogRequest::new(call.owner(), method).extended(headers);
        call.queue.push((id, content.into_iter().fold(request, InDialogRequest::carrying)));
        true
    }

    /// Sends what may be sent.
    pub(crate) fn send_requests(&mut self, cx: &mut Context<'_>) {
        self.in_session(cx, |session, call, cx| {
            session.take_queue(call);
            session.send_requests(call, cx)
        });
    }
}

impl Session {
    /// Takes over what the application has asked for.
    pub(super) fn take_queue(&mut self, call: &mut Common) {
        for (id, mut request) in core::mem::take(&mut call.queue) {
            // RFC 6665 §4.1.2.1, RFC 3515 §2.2.
            if request.method().makes_dialog() {
                request = request.field(HeaderName::Contact, self.contact.as_ref());
            }
            self.requests.push(Purpose::Application(id), request);
        }
    }
}
