//! A request outside a dialog and its answer: OPTIONS (RFC 3261 §11.1), MESSAGE (RFC 3428 §4), or
//! what the application sends itself.

use std::sync::Arc;

use crate::agent::{
    ACCEPTED, Content, Context, Lost, MAX_MESSAGE, Owner, Path, Refusal, Series, SeriesStep, Target,
};
use crate::error::Error;
use crate::event::{Event, Reply, SipRequestId};
use crate::sip::{HeaderName, Message, Method};
use crate::time::Instant;
use crate::transaction::{ClientId, FailureCause};

/// One request and its answer.
#[derive(Debug)]
pub(super) struct OutOfDialogRequest {
    id: SipRequestId,
    target: Target,
    method: Method,
    /// What the phone says beyond what every request has.
    fields: Vec<(HeaderName, String)>,
    /// Header fields of the application.
    headers: Vec<(String, String)>,
    content: Option<Content>,
    /// Once it is on its way, or a path is being looked for.
    sent: Option<Sent>,
}

#[derive(Debug)]
struct Sent {
    series: Series,
    at: Instant,
}

/// A MESSAGE is larger than it may be.
const TOO_LARGE: Error = Error::TooLarge { limit: MAX_MESSAGE };

/// The final response; where none came, what was in the way of sending, if anybody knows.
pub(super) type RequestOutcome = Result<Reply, Option<Error>>;

impl OutOfDialogRequest {
    pub(super) fn new(id: SipRequestId, target: Target, method: Method) -> Self {
        let (fields, headers) = (Vec::new(), Vec::new());
        Self { id, target, method, fields, headers, content: None, sent: None }
    }

    /// Asks what the target can do (RFC 3261 §11.1).
    pub(super) fn options(id: SipRequestId, target: Target) -> Self {
        let fields = vec![(HeaderName::Accept, ACCEPTED.to_owned())];
        Self { fields, ..Self::new(id, target, Method::Options) }
    }

    /// With these header fields of the application.
    pub(super) fn extended(self, headers: Vec<(String, String)>) -> Self {
        Self { headers, ..self }
    }

    /// With a body, or without.
    pub(super) fn carrying(self, content: Option<Content>) -> Self {
        Self { content, ..self }
    }

    /// Whether `later` has to wait for this one: RFC 3428 §8 allows one MESSAGE at a time to a URI.
    pub(super) fn delays(&self, later: &Self) -> bool {
        let messages = [self, later].iter().all(|request| request.method == Method::Message);
        messages && self.id < later.id && self.target.uri == later.target.uri
    }

    /// Begins; an outcome when that fails at once.
    pub(super) fn start(&mut self, cx: &mut Context<'_>) -> Option<RequestOutcome> {
        if self.sent.is_some() {
            return None;
        }
        let (owner, method) = (Owner::OutOfDialog(self.id), self.method.clone());
        let mut series = Series::new(cx, owner, method, self.target.clone());
        series = series.extended(core::mem::take(&mut self.headers));
        if let Some(content) = self.content.take() {
            series = series.carrying(content);
        }
        let reached = series.seek(cx);
        self.sent = Some(Sent { series, at: cx.now() });
        match reached {
            Ok(true) => self.send(cx),
            Ok(false) => None,
            Err(lost) => Some(Err(lost.error())),
        }
    }

    /// Takes the path that was looked for; an outcome when there is none.
    pub(super) fn handle_path(
        &mut self,
        cx: &mut Context<'_>,
        path: Result<Arc<Path>, Lost>,
    ) -> Option<RequestOutcome> {
        let sent = self.sent.as_mut()?;
        match path {
            Ok(path) if sent.series.set_path(Arc::clone(&path)) => self.send(cx),
            path => Some(match sent.series.take_refusal() {
                Some(response) => Ok(sent.reply(cx, &response)),
                None => {
                    let problem = path.err().and_then(Lost::error);
                    Err(problem.or_else(|| sent.series.take_problem()))
                }
            }),
        }
    }

    /// Takes a response; an outcome when it is the final one.
    pub(super) fn handle_response(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        response: &Message,
    ) -> Option<RequestOutcome> {
        let sent = self.sent.as_mut()?;
        match sent.series.handle_response(cx, client, response)? {
            SeriesStep::Wait => None,
            SeriesStep::Again => self.send(cx),
            SeriesStep::Final(Some(Refusal::TooLarge)) => Some(Err(Some(TOO_LARGE))),
            SeriesStep::Final(_) => Some(Ok(sent.reply(cx, response))),
        }
    }

    /// Takes the failure of a transaction; an outcome when that was its own.
    pub(super) fn handle_failure(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        cause: FailureCause,
    ) -> Option<RequestOutcome> {
        match self.sent.as_mut()?.series.handle_failure(cx, client, cause)? {
            SeriesStep::Wait => None,
            SeriesStep::Again => self.send(cx),
            SeriesStep::Final(_) => Some(Err(self.sent.as_mut()?.series.take_problem())),
        }
    }

    /// Tells the outcome.
    pub(super) fn finish(self, cx: &mut Context<'_>, reply: RequestOutcome) {
        if let Some(Sent { series, .. }) = self.sent {
            series.close(cx);
        }
        cx.emit(Event::Response { request: self.id, reply });
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Option<RequestOutcome> {
        let Sent { series, at } = self.sent.as_mut()?;
        // The time that the host took to find a way is not the peer's.
        *at = cx.now();
        let mut fields = self.fields.clone();
        // RFC 6665 §4.1.2.1, RFC 3515 §2.2; MESSAGE has none (RFC 3428 §4).
        if self.method.makes_dialog()
            && let Some(path) = series.path().cloned()
        {
            fields.push((HeaderName::Contact, cx.contact(&path)));
        }
        (!series.send(cx, fields)).then_some(Err(Some(TOO_LARGE)))
    }
}

impl Sent {
    fn reply(&self, cx: &Context<'_>, response: &Message) -> Reply {
        Reply::of(response, cx.now().since(self.at))
    }
}
