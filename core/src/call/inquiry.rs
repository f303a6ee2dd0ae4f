//! Requests of the application within a call's dialog (RFC 3261 §12.2).

use super::session::Ask;
use super::{Call, Stage};
use crate::agent::{Answer, Content, Context};
use crate::event::{Cause, ErrandId, Event, Reply};
use crate::sip::{HeaderName, Message, Method};
use crate::transaction::ClientId;

/// How many of them may wait for their answers in one call.
pub(crate) const MAX_INQUIRIES: usize = 16;

/// One request and its answer.
#[derive(Debug)]
pub(super) struct Inquiry {
    id: ErrandId,
    ask: Ask,
}

impl Call {
    /// Takes a request, for the next crossing to send it. False when there are too many.
    pub(crate) fn inquire(
        &mut self,
        id: ErrandId,
        method: Method,
        headers: Vec<(String, String)>,
        content: Option<Content>,
    ) -> bool {
        if self.inquiries.len() >= MAX_INQUIRIES {
            return false;
        }
        let makes_dialog = method.makes_dialog();
        let mut ask = Ask::new(method).extended(headers);
        if let Stage::Session(session) = &self.stage
            && makes_dialog
        {
            ask = ask.field(HeaderName::Contact, session.contact());
        }
        let ask = content.into_iter().fold(ask, Ask::carrying);
        self.inquiries.push(Inquiry { id, ask });
        true
    }

    /// Sends what may be sent: not before the ACK that makes the call (§13).
    pub(crate) fn advance_inquiries(&mut self, cx: &mut Context<'_>) {
        let Self { id, inquiries, stage: Stage::Session(session), .. } = self else { return };
        if session.is_up() {
            // Without a way there it fails.
            let told = |it: &mut Inquiry| it.ask.send(cx, *id, session.dialog_mut()).is_err();
            let failed: Vec<Inquiry> = inquiries.extract_if(.., told).collect();
            failed.into_iter().for_each(|inquiry| inquiry.finish(cx, None));
        }
    }

    /// The path that some may have waited for cannot be had.
    pub(super) fn inquiries_lost(&mut self, cx: &mut Context<'_>) {
        let lost = self.inquiries.extract_if(.., |inquiry| !inquiry.ask.is_sent());
        lost.for_each(|inquiry| inquiry.finish(cx, None));
    }

    /// Takes a response, if it is to one of them.
    pub(super) fn inquiry_response(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        response: &Message,
    ) -> bool {
        let Self { id, inquiries, stage: Stage::Session(session), .. } = self else { return false };
        let dialog = session.dialog_mut();
        for (index, Inquiry { ask, .. }) in inquiries.iter_mut().enumerate() {
            match ask.handle_response(cx, *id, dialog, client, response) {
                None => continue,
                Some(Answer::Pending) => {}
                Some(Answer::Final(_)) => {
                    let reply = Reply::whole(Cause::of(response), response);
                    inquiries.remove(index).finish(cx, Some(reply));
                    self.end_if_gone(cx, response);
                }
            }
            return true;
        }
        false
    }

    /// Takes a failure, if it is that of one of them.
    pub(super) fn inquiry_failure(&mut self, cx: &mut Context<'_>, client: ClientId) -> bool {
        let failed = self.inquiries.iter().position(|inquiry| inquiry.ask.is_of(client));
        if let Some(index) = failed {
            self.inquiries.remove(index).finish(cx, None);
        }
        failed.is_some()
    }

    /// The call is over: none will be answered.
    pub(super) fn close_inquiries(&mut self, cx: &mut Context<'_>) {
        for inquiry in core::mem::take(&mut self.inquiries) {
            inquiry.finish(cx, None);
        }
    }
}

impl Inquiry {
    fn finish(self, cx: &mut Context<'_>, reply: Option<Reply>) {
        self.ask.close(cx);
        cx.emit(Event::Response { request: self.id, reply, error: None });
    }
}
