//! Requests outside dialogs that share one Call-ID, with rising CSeq numbers: REGISTER (RFC 3261
//! §10.2), OPTIONS (§11.1) and MESSAGE (RFC 3428), challenges and failing servers included.

use std::sync::Arc;

use super::{Attempt, Content, Context, Lost, Owner, Path, Reach, Refusal, Request, Tag, Target};
use crate::error::Error;
use crate::locate::Candidate;
use crate::sip::{HeaderName, Message, Method};
use crate::transaction::{ClientId, FailureCause};

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
    /// The servers that have failed this request, and what the latest has said, if anything.
    tried: Vec<Candidate>,
    refusal: Option<Message>,
    /// What was in the way of the latest request: the network has refused it, or only its challenge came.
    problem: Option<Error>,
    attempt: Attempt,
    /// What is written beyond the usual, for a challenge asks for all of it again.
    fields: Vec<(HeaderName, String)>,
    /// Header fields of the application in every request.
    extensions: Vec<(String, String)>,
    /// The body, if every request has one.
    content: Option<Content>,
}

/// What comes next in a series.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SeriesStep {
    /// More is to come: a response was provisional, a challenge was met, or the server has failed and a
    /// path to another is looked for.
    Wait,
    /// The server has failed, and there is a path to another: [`send`](Series::send) it again.
    Again,
    /// The response is final; and if it asked for credentials, why they were not given.
    Final(Option<Refusal>),
}

impl Series {
    /// A series of `method` to `target`.
    pub(crate) fn new(cx: &mut Context<'_>, owner: Owner, method: Method, target: Target) -> Self {
        let (call_id, tag) = (cx.new_call_id(), cx.new_tag(owner));
        let (attempt, fields) = (Attempt::default(), Vec::new());
        let (seq, path, extensions, content) = (0, None, Vec::new(), None);
        let (tried, refusal, problem) = (Vec::new(), None, None);
        Self {
            owner,
            method,
            target,
            call_id,
            tag,
            seq,
            path,
            tried,
            refusal,
            problem,
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

    /// Looks for a path; true when there is one already, else the owner gets it later.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn seek(&mut self, cx: &mut Context<'_>) -> Result<bool, Lost> {
        (self.tried, self.refusal) = (Vec::new(), None);
        match cx.reach(&self.target.hop, self.owner) {
            Reach::Open(path) => {
                self.path = Some(path);
                Ok(true)
            }
            Reach::Later => Ok(false),
            Reach::Never(lost) => Err(lost),
        }
    }

    /// Takes the path that was looked for; false when the server there has failed already.
    pub(crate) fn set_path(&mut self, path: Arc<Path>) -> bool {
        let fresh = !self.tried.contains(&path.server());
        if fresh {
            self.path = Some(path);
        }
        fresh
    }

    /// Whether a server has failed the request.
    pub(crate) fn has_failed(&self) -> bool {
        !self.tried.is_empty()
    }

    /// What the last server has said that failed, once there is no other.
    pub(crate) fn take_refusal(&mut self) -> Option<Message> {
        self.refusal.take()
    }

    /// What was in the way of the latest request, if that is known.
    pub(crate) fn take_problem(&mut self) -> Option<Error> {
        self.problem.take()
    }

    /// Our address as advertised to the peer, once there is a path.
    pub(crate) fn path(&self) -> Option<&Arc<Path>> {
        self.path.as_ref()
    }

    /// Gives what a challenge asks for again other header fields.
    pub(crate) fn rewrite(&mut self, fields: Vec<(HeaderName, String)>) {
        self.fields = fields;
    }

    /// Whether anything was ever sent.
    pub(crate) fn has_sent(&self) -> bool {
        self.seq > 0
    }

    /// Sends the next request, with these header fields. False when it is too large.
    pub(crate) fn send(&mut self, cx: &mut Context<'_>, fields: Vec<(HeaderName, String)>) -> bool {
        self.abandon(cx);
        self.attempt = Attempt::default();
        self.fields = fields;
        self.send_again(cx)
    }

    /// Takes a response; `None` when it is to an earlier request.
    pub(crate) fn handle_response(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        response: &Message,
    ) -> Option<SeriesStep> {
        if !self.attempt.is(client) {
            return None;
        }
        let path = self.path.clone()?;
        Some(match response.status().unwrap_or_default() {
            ..=199 => SeriesStep::Wait,
            401 | 407 => match cx.handle_challenge(&path, response, &mut self.attempt) {
                Ok(()) if self.send_again(cx) => SeriesStep::Wait,
                Ok(()) => {
                    self.attempt = Attempt::default();
                    SeriesStep::Final(Some(Refusal::TooLarge))
                }
                Err(refusal) => {
                    self.attempt = Attempt::default();
                    SeriesStep::Final(Some(refusal))
                }
            },
            503 => {
                self.attempt = Attempt::default();
                self.refusal = Some(response.clone());
                self.fail_over(cx, &path, response.retry_after())
            }
            status => {
                if status < 300 {
                    cx.handle_success(&path, response);
                }
                cx.agent.forgive(&path);
                self.attempt = Attempt::default();
                SeriesStep::Final(None)
            }
        })
    }

    /// Takes the failure of a transaction; `None` when it is not the latest of the series.
    pub(crate) fn handle_failure(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        cause: FailureCause,
    ) -> Option<SeriesStep> {
        if !self.attempt.is(client) {
            return None;
        }
        let (peer, no_answer) = (self.target.hop.host(), self.no_answer());
        self.attempt = Attempt::default();
        (self.refusal, self.problem) = (None, None);
        match (self.path.clone(), cause) {
            (Some(path), FailureCause::Timeout | FailureCause::Transport) => {
                self.problem = match cause {
                    FailureCause::Transport => {
                        Some(Error::refused(peer, path.flow.transport, path.to))
                    }
                    _ => no_answer,
                };
                Some(self.fail_over(cx, &path, None))
            }
            _ => Some(SeriesStep::Final(None)),
        }
    }

    /// What there is to say while the latest request has no response: a challenge came before it.
    pub(crate) fn no_answer(&self) -> Option<Error> {
        self.attempt.no_answer(self.target.hop.host())
    }

    /// Forgets the latest request: what still comes for it is a stray.
    pub(crate) fn abandon(&mut self, cx: &mut Context<'_>) {
        cx.abandon(&mut self.attempt);
    }

    /// Ends the series: what still comes is a stray.
    pub(crate) fn close(mut self, cx: &mut Context<'_>) {
        cx.abandon(&mut self.attempt);
        cx.agent.forget_tag(self.tag);
    }

    /// Turns to another server, if there is one (RFC 3263 §4.3).
    fn fail_over(
        &mut self,
        cx: &mut Context<'_>,
        failed: &Path,
        retry_after: Option<u32>,
    ) -> SeriesStep {
        let (hop, now) = (&self.target.hop, cx.now());
        cx.agent.avoid(failed, retry_after, now);
        self.tried.push(failed.server());
        if !cx.agent.leads_elsewhere(hop, &self.tried, now) {
            return SeriesStep::Final(None);
        }
        match cx.reach(hop, self.owner) {
            Reach::Open(path) if self.set_path(Arc::clone(&path)) => SeriesStep::Again,
            Reach::Later => SeriesStep::Wait,
            Reach::Open(_) | Reach::Never(_) => SeriesStep::Final(None),
        }
    }

    fn send_again(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(path) = self.path.clone() else { return true };
        self.seq += 1;
        let identity = cx.agent.identity(&path.advertised);
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
