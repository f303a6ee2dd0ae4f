//! Passes messages through the application's [`SipHandler`] and applies its decisions.

use core::fmt;
use core::net::SocketAddr;

use super::{ALLOWED, Agent, Context, Query};
use crate::handler::{DraftOutcome, MessageAction, RequestAction, SipAnswer, SipDraft, SipHandler};
use crate::sip::{HeaderName, Message, Writer, check_name, reason_phrase};

/// A handler, and the methods that it adds to ours, as Allow lists them.
pub(crate) struct Inspection {
    handler: Box<dyn SipHandler>,
    methods: String,
}

impl Inspection {
    pub(crate) fn new(handler: Box<dyn SipHandler>) -> Self {
        let ours = |method: &str| ALLOWED.split(',').any(|our| our.trim_start() == method);
        let new = handler.methods().into_iter().filter(|m| check_name(m).is_ok() && !ours(m));
        let methods = new.fold(String::new(), |list, method| list + ", " + method);
        Self { handler, methods }
    }
}

impl fmt::Debug for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SipHandler{}", self.methods)
    }
}

/// Which of the handler's hooks.
type Hook = fn(&mut dyn SipHandler, &mut SipDraft, SocketAddr) -> MessageAction;

impl Agent {
    /// Writes header fields of ours; the handler's methods are allowed too.
    pub(super) fn write_fields(&self, writer: &mut Writer<'_>, fields: &[(HeaderName, String)]) {
        for (name, value) in fields {
            match &self.inspection {
                Some(Inspection { methods, .. }) if *name == HeaderName::Allow => {
                    writer.field(*name, format_args!("{value}{methods}"));
                }
                _ => writer.field(*name, value),
            }
        }
    }

    /// Shows a request that goes out, in `bytes`; false when it is dropped.
    pub(super) fn inspect_request_out(&mut self, bytes: &mut Vec<u8>, to: SocketAddr) -> bool {
        self.inspect_out(bytes, to, |handler, draft, to| handler.request_out(draft, to))
    }

    /// Shows a response that goes out.
    pub(super) fn inspect_response_out(&mut self, bytes: &mut Vec<u8>, to: SocketAddr) -> bool {
        self.inspect_out(bytes, to, |handler, draft, to| handler.response_out(draft, to))
    }

    fn inspect_out(&mut self, bytes: &mut Vec<u8>, to: SocketAddr, hook: Hook) -> bool {
        let Some(inspection) = &mut self.inspection else { return true };
        // What we write can be read.
        let Ok(message) = Message::parse(bytes) else { return true };
        let mut draft = SipDraft::new(message);
        let action = hook(&mut *inspection.handler, &mut draft, to);
        if action == MessageAction::Pass
            && let Some(changed) = self.finish(draft)
        {
            bytes.clear();
            bytes.extend_from_slice(changed.bytes());
        }
        action == MessageAction::Pass
    }

    /// Shows a response that came; `None` when it is dropped.
    pub(crate) fn inspect_response_in(
        &mut self,
        response: Message,
        from: SocketAddr,
    ) -> Option<Message> {
        let Some(inspection) = &mut self.inspection else { return Some(response) };
        let mut draft = SipDraft::new(response.clone());
        match inspection.handler.response_in(&mut draft, from) {
            MessageAction::Pass => Some(self.finish(draft).unwrap_or(response)),
            MessageAction::Drop => None,
        }
    }

    /// Shows the ACK of a 2xx that came.
    pub(crate) fn inspect_ack_in(&mut self, ack: Message, from: SocketAddr) -> Option<Message> {
        let Some(inspection) = &mut self.inspection else { return Some(ack) };
        let mut draft = SipDraft::new(ack.clone());
        match inspection.handler.request_in(&mut draft, from) {
            RequestAction::Pass => Some(self.finish(draft).unwrap_or(ack)),
            RequestAction::Answer(_) | RequestAction::Drop => None,
        }
    }

    /// What a draft has become; `None` when nothing, or nothing that can be.
    fn finish(&mut self, draft: SipDraft) -> Option<Message> {
        match draft.finish() {
            DraftOutcome::Changed(message) => Some(message),
            DraftOutcome::Same => None,
            DraftOutcome::Refused => {
                self.counters.changes_refused += 1;
                None
            }
        }
    }
}

impl Context<'_> {
    /// Shows a request that came; `None` when it was answered or dropped.
    pub(crate) fn inspect_request_in(&mut self, mut query: Query) -> Option<Query> {
        let Some(inspection) = &mut self.agent.inspection else { return Some(query) };
        let mut draft = SipDraft::new(query.request.clone());
        match inspection.handler.request_in(&mut draft, query.from) {
            RequestAction::Pass => {
                if let Some(changed) = self.agent.finish(draft) {
                    query.request = changed;
                }
                Some(query)
            }
            RequestAction::Answer(answer) if answer.fits(query.request.method()) => {
                self.give(&query, &answer);
                None
            }
            RequestAction::Answer(_) => {
                self.agent.counters.changes_refused += 1;
                Some(query)
            }
            RequestAction::Drop => {
                self.transactions().forget(query.id);
                None
            }
        }
    }

    /// Gives the handler's own answer.
    fn give(&mut self, query: &Query, answer: &SipAnswer) {
        let SipAnswer { code, reason, headers, body } = answer;
        let tag = self.agent.random_tag(self.host).to_string();
        let reason = reason.as_deref().unwrap_or(reason_phrase(*code));
        let mut bytes = Vec::new();
        let (request, from) = (&query.request, Some(query.from));
        let mut writer = Writer::response_to(&mut bytes, request, *code, reason, Some(&tag), from);
        for (name, value) in headers {
            writer.extension(name, value);
        }
        writer.field(HeaderName::Server, &self.agent.parameters.user_agent);
        match body {
            Some((kind, body)) => writer.body(kind, body),
            None => writer.finish(),
        }
        self.repeat(query.id, *code, &bytes);
    }
}
