//! Requests outside dialogs that share one Call-ID, with rising CSeq numbers: REGISTER (RFC 3261
//! §10.2), OPTIONS (§11.1) and MESSAGE (RFC 3428), challenges included.

use std::sync::Arc;

use super::{Attempt, Content, Crossing, Lost, Owner, Path, Reach, Refusal, Request, Tag, Target};
use crate::sip::{HeaderName, Message, Method};
use crate::transaction::ClientId;

/// One such series.
#[derive(Debug)]
pub(crate) struct Series {
    owner: Owner,
    method: Method,
    target: Target,
    call_id: String,
    tag: Tag,
    seq: u32,
    path: Option<Arc<Path>>,
    attempt: Attempt,
    /// What is written beyond the usual, for a challenge asks for all of it again.
    fields: Vec<(HeaderName, String)>,
    /// Header fields of the application in every request.
    extensions: Vec<(String, String)>,
    /// The body, if every request has one.
    content: Option<Content>,
}

/// What a response means to the series.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// More is to come: it was provisional, or a challenge that was met.
    Pending,
    /// It is final; and if it asked for credentials, why they were not given.
    Final(Option<Refusal>),
}

impl Series {
    /// A series of `method` to `target`.
    pub(crate) fn new(cx: &mut Crossing<'_>, owner: Owner, method: Method, target: Target) -> Self {
        let (call_id, tag) = (cx.new_call_id(), cx.new_tag(owner));
        let (attempt, fields) = (Attempt::default(), Vec::new());
        let (seq, path, extensions, content) = (0, None, Vec::new(), None);
        Self {
            owner,
            method,
            target,
            call_id,
            tag,
            seq,
            path,
            attempt,
            fields,
            extensions,
            content,
        }
    }

    /// The same series, each request with this body.
    pub(crate) fn carrying(mut self, content: Content) -> Self {
        self.content = Some(content);
        self
    }

    /// The same series, each request with these header fields of the application.
    pub(crate) fn extended(mut self, extensions: Vec<(String, String)>) -> Self {
        self.extensions = extensions;
        self
    }

    /// Looks for a path; true when it is there now, else the owner is told.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn seek(&mut self, cx: &mut Crossing<'_>) -> Result<bool, Lost> {
        match cx.reach(&self.target.hop, self.owner) {
            Reach::Open(path) => {
                self.path = Some(path);
                Ok(true)
            }
            Reach::Later => Ok(false),
            Reach::Full => Err(Lost::Unreachable),
        }
    }

    /// Takes the path that was looked for.
    pub(crate) fn set_path(&mut self, path: Arc<Path>) {
        self.path = Some(path);
    }

    /// What the peer is told of us, once there is a path.
    pub(crate) fn path(&self) -> Option<&Arc<Path>> {
        self.path.as_ref()
    }

    /// Whether anything was ever sent.
    pub(crate) fn has_sent(&self) -> bool {
        self.seq > 0
    }

    /// Sends the next request, with these header fields. False when it is too large.
    pub(crate) fn send(
        &mut self,
        cx: &mut Crossing<'_>,
        fields: Vec<(HeaderName, String)>,
    ) -> bool {
        self.abandon(cx);
        self.attempt = Attempt::default();
        self.fields = fields;
        self.send_again(cx)
    }

    /// Takes a response; `None` when it is to an earlier request.
    pub(crate) fn handle_response(
        &mut self,
        cx: &mut Crossing<'_>,
        client: ClientId,
        response: &Message,
    ) -> Option<Answer> {
        if !self.attempt.is(client) {
            return None;
        }
        let path = self.path.clone()?;
        Some(match response.status().unwrap_or_default() {
            ..=199 => Answer::Pending,
            401 | 407 => match cx.handle_challenge(&path, response, &mut self.attempt) {
                Ok(()) if self.send_again(cx) => Answer::Pending,
                Ok(()) => {
                    self.attempt = Attempt::default();
                    Answer::Final(Some(Refusal::TooLarge))
                }
                Err(refusal) => {
                    self.attempt = Attempt::default();
                    Answer::Final(Some(refusal))
                }
            },
            status => {
                if status < 300 {
                    cx.handle_success(&path, response);
                }
                self.attempt = Attempt::default();
                Answer::Final(None)
            }
        })
    }

    /// Whether the failed transaction is the latest of the series.
    pub(crate) fn handle_failure(&mut self, client: ClientId) -> bool {
        let ours = self.attempt.is(client);
        if ours {
            self.attempt = Attempt::default();
        }
        ours
    }

    /// Forgets the latest request: what still comes for it is a stray.
    pub(crate) fn abandon(&mut self, cx: &mut Crossing<'_>) {
        cx.abandon(&mut self.attempt);
    }

    /// Ends the series: what still comes is a stray.
    pub(crate) fn close(mut self, cx: &mut Crossing<'_>) {
        cx.abandon(&mut self.attempt);
        cx.agent.forget_tag(self.tag);
    }

    fn send_again(&mut self, cx: &mut Crossing<'_>) -> bool {
        let Some(path) = self.path.clone() else { return true };
        self.seq += 1;
        let identity = cx.agent.identity(&path.told);
        // §10.2: To of REGISTER is the address-of-record, the same URI as in From.
        let to = match self.method {
            Method::Register => identity.clone(),
            _ => self.target.to(),
        };
        let request = Request {
            method: self.method.clone(),
            course: self.target.routes.course(&self.target.uri),
            from: &format!("{identity};tag={}", self.tag),
            to: &to,
            call_id: &self.call_id,
            seq: self.seq,
            fields: self.fields.clone(),
            extensions: &self.extensions,
            body: self.content.as_ref().map(|content| (&*content.kind, &*content.bytes)),
        };
        cx.send(&path, &request, &mut self.attempt, self.owner)
    }
}
