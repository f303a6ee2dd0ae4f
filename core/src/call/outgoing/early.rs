//! Early dialogs: one for each party that has answered provisionally (RFC 3261 §12.1).

use std::sync::Arc;

use super::{Calling, Outgoing, State};
use crate::agent::{Context, Query, Response};
use crate::call::common::Common;
use crate::call::{Step, queries};
use crate::dialog::Dialog;
use crate::sdp::Negotiator;
use crate::sip::{HeaderName, Message, Method};

/// An early dialog.
#[derive(Debug)]
pub(super) struct Early {
    pub(super) dialog: Dialog,
    /// Its number among the call's.
    pub(super) number: u8,
    pub(super) negotiation: Option<Negotiator>,
}

/// How many early dialogs of one call are kept: more phones than anybody lets ring at once.
const MAX_EARLY: usize = 16;

impl Calling {
    /// The early dialog of a response, made if it is new and there is room.
    pub(super) fn early(
        &mut self,
        target: &str,
        call_id: &Arc<str>,
        response: &Message,
    ) -> Option<&mut Early> {
        let tag = response.to_tag()?;
        let known = self.early.iter().position(|early| early.is_of(call_id, Some(tag)));
        let index = match known {
            Some(index) => index,
            None if self.early.len() < MAX_EARLY => {
                let (from, seq) = (&self.from, self.seq);
                let dialog = Dialog::of_caller(from, call_id, seq, target, response).ok()?;
                let number = self.free_number();
                self.early.push(Early { dialog, number, negotiation: None });
                self.early.len() - 1
            }
            None => return None,
        };
        self.early.get_mut(index)
    }

    /// A number that no early dialog has.
    pub(super) fn free_number(&self) -> u8 {
        let free = |number: &u8| self.early.iter().all(|early| early.number != *number);
        (0..=u8::MAX).find(free).unwrap_or_default()
    }
}

impl Early {
    pub(super) fn is_of(&self, call_id: &str, remote_tag: Option<&str>) -> bool {
        self.dialog.is_of(call_id, remote_tag)
    }
}

impl Outgoing {
    /// A request of the callee within an early dialog.
    pub(in crate::call) fn handle_request(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        query: &Query,
    ) -> Step {
        match &mut self.state {
            State::Calling(calling) => calling.handle_request(call, cx, query),
            State::Seeking | State::Binding(_) => queries::no_dialog(cx, query),
        }
        Step::Stay
    }
}

impl Calling {
    fn handle_request(&mut self, call: &mut Common, cx: &mut Context<'_>, query: &Query) {
        let request = &query.request;
        let (call_id, tag) = (request.call_id(), request.from_tag());
        let Some(early) = self.early.iter_mut().find(|early| early.is_of(call_id, tag)) else {
            return queries::no_dialog(cx, query);
        };
        if early.dialog.handle_request(request).is_err() {
            cx.respond(query, Response::new(500));
            return;
        }
        match request.method() {
            // §14.2, RFC 3311 §5.2: our offer has no binding answer yet.
            Method::Invite => {
                cx.respond(query, Response::new(491));
            }
            Method::Update if !request.body().is_empty() => {
                cx.respond(query, Response::new(491));
            }
            // §15: a callee does not end an early dialog so, but some do: it is out of the race.
            Method::Bye => {
                cx.respond(query, Response::new(200));
                call.media.drop_early(cx, early.number);
                self.early.retain(|early| !early.is_of(call_id, tag));
            }
            Method::Update => {
                let contact = cx.contact(&self.path);
                let response = match Dialog::target_of(request) {
                    Ok(target) => {
                        early.dialog.set_target(target);
                        Response::new(200).field(HeaderName::Contact, contact)
                    }
                    Err(_) => Response::new(400),
                };
                cx.respond(query, response);
            }
            _ => queries::answer(cx, query),
        }
    }
}
