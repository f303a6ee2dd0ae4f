//! Errands: one request outside a dialog and its answer. A ping is OPTIONS (RFC 3261 §11.1), an
//! instant message is MESSAGE (RFC 3428 §4), and the application sends any other.

use std::sync::Arc;

use crate::agent::{ACCEPTED, Content, Context, Lost, Owner, Path, Refusal, Series, Target, Turn};
use crate::error::Error;
use crate::event::{Cause, ErrandId, Event, MessageId, PingId, Reply};
use crate::sip::{HeaderName, Message, Method, reason_phrase};
use crate::time::Instant;
use crate::transaction::{ClientId, FailureCause};

/// One request and its answer.
#[derive(Debug)]
pub(super) struct Errand {
    id: ErrandId,
    target: Target,
    kind: Kind,
    method: Method,
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

/// Who is told the outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Ping,
    Message,
    Request,
}

/// How an errand ended: with the final response, or without one, and if there was no way to send it,
/// with what was in the way.
pub(super) type Outcome = Result<Reply, Option<Error>>;

impl Errand {
    pub(super) fn ping(id: ErrandId, target: Target) -> Self {
        Self::new(id, target, Kind::Ping, Method::Options)
    }

    pub(super) fn message(id: ErrandId, target: Target, message: Content) -> Self {
        Self { content: Some(message), ..Self::new(id, target, Kind::Message, Method::Message) }
    }

    pub(super) fn request(
        id: ErrandId,
        target: Target,
        method: Method,
        headers: Vec<(String, String)>,
        content: Option<Content>,
    ) -> Self {
        Self { headers, content, ..Self::new(id, target, Kind::Request, method) }
    }

    fn new(id: ErrandId, target: Target, kind: Kind, method: Method) -> Self {
        Self { id, target, kind, method, headers: Vec::new(), content: None, sent: None }
    }

    /// Whether `later` has to wait for this one: RFC 3428 §8 allows one MESSAGE at a time to a URI.
    pub(super) fn delays(&self, later: &Self) -> bool {
        let messages = [self, later].iter().all(|errand| errand.method == Method::Message);
        messages && self.id < later.id && self.target.uri == later.target.uri
    }

    /// Begins; an outcome when that fails at once.
    pub(super) fn start(&mut self, cx: &mut Context<'_>) -> Option<Outcome> {
        if self.sent.is_some() {
            return None;
        }
        let (owner, method) = (Owner::Errand(self.id), self.method.clone());
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
    ) -> Option<Outcome> {
        let sent = self.sent.as_mut()?;
        match path {
            Ok(path) if sent.series.set_path(Arc::clone(&path)) => self.send(cx),
            path => Some(match sent.series.take_refusal() {
                Some(response) => Ok(self.reply(&response)),
                None => Err(path.err().and_then(Lost::error)),
            }),
        }
    }

    /// Takes a response; an outcome when it is the final one.
    pub(super) fn handle_response(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        response: &Message,
    ) -> Option<Outcome> {
        match self.sent.as_mut()?.series.handle_response(cx, client, response)? {
            Turn::Wait => None,
            Turn::Again => self.send(cx),
            Turn::Final(Some(Refusal::TooLarge)) => Some(Ok(too_large())),
            Turn::Final(_) => Some(Ok(self.reply(response))),
        }
    }

    /// Takes the failure of a transaction; an outcome when that was its own.
    pub(super) fn handle_failure(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        cause: FailureCause,
    ) -> Option<Outcome> {
        match self.sent.as_mut()?.series.handle_failure(cx, client, cause)? {
            Turn::Wait => None,
            Turn::Again => self.send(cx),
            Turn::Final(_) => Some(Err(None)),
        }
    }

    /// Tells the outcome.
    pub(super) fn finish(self, cx: &mut Context<'_>, outcome: Outcome) {
        let mut round_trip = Default::default();
        if let Some(Sent { series, at }) = self.sent {
            round_trip = cx.now().since(at);
            series.close(cx);
        }
        let (reply, error) = match outcome {
            Ok(reply) => (Some(reply), None),
            Err(error) => (None, error),
        };
        let ErrandId(number) = self.id;
        if self.kind == Kind::Request {
            return cx.emit(Event::Response { request: self.id, reply, error });
        }
        let cause = reply.map(|reply| reply.cause);
        cx.emit(match self.kind {
            Kind::Message => Event::MessageSent { message: MessageId(number), cause, error },
            _ => Event::Pong { ping: PingId(number), cause, error, round_trip },
        });
    }

    /// What is told of a response: of a ping or a message no more than its status.
    fn reply(&self, response: &Message) -> Reply {
        match (self.kind, Cause::of(response)) {
            (Kind::Request, cause) => Reply::whole(cause, response),
            (_, cause) => Reply::of(cause),
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Option<Outcome> {
        let Sent { series, at } = self.sent.as_mut()?;
        // The time that the host took to find a way is not the peer's.
        *at = cx.now();
        let mut fields = Vec::new();
        if self.kind == Kind::Ping {
            fields.push((HeaderName::Accept, ACCEPTED.to_owned()));
        }
        // RFC 6665 §4.1.2.1, RFC 3515 §2.2; MESSAGE has none (RFC 3428 §4).
        if self.method.makes_dialog()
            && let Some(path) = series.path().cloned()
        {
            fields.push((HeaderName::Contact, cx.contact(&path)));
        }
        (!series.send(cx, fields)).then(|| Ok(too_large()))
    }
}

/// What a server would say to a MESSAGE that may not be sent for its size (RFC 3428 §8).
fn too_large() -> Reply {
    let code = 513;
    Reply::of(Cause::new(code, reason_phrase(code)))
}
