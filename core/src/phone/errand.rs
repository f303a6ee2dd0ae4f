//! Errands: one request outside a dialog and its answer. A ping is OPTIONS (RFC 3261 §11.1), an
//! instant message is MESSAGE (RFC 3428 §4).

use std::sync::Arc;

use crate::agent::{
    ACCEPTED, Answer, Content, Crossing, ErrandId, Lost, Owner, Path, Refusal, Series, Target,
};
use crate::event::{Cause, Event, MessageId, PingId};
use crate::sip::{HeaderName, Message, Method, reason_phrase};
use crate::time::Instant;
use crate::transaction::ClientId;

/// One request and its answer.
#[derive(Debug)]
pub(super) struct Errand {
    id: ErrandId,
    target: Target,
    /// What a MESSAGE carries; without it this is a ping.
    message: Option<Content>,
    /// Once it is on its way, or a path is being looked for.
    sent: Option<Sent>,
}

#[derive(Debug)]
struct Sent {
    series: Series,
    at: Instant,
}

/// How an errand ended: the final response, if there was one.
pub(super) type Outcome = Option<Cause>;

impl Errand {
    pub(super) fn ping(id: ErrandId, target: Target) -> Self {
        Self { id, target, message: None, sent: None }
    }

    pub(super) fn message(id: ErrandId, target: Target, message: Content) -> Self {
        Self { id, target, message: Some(message), sent: None }
    }

    /// Whether `later` has to wait for this one: RFC 3428 §8 allows one MESSAGE at a time to a URI.
    pub(super) fn delays(&self, later: &Self) -> bool {
        let messages = self.message.is_some() && later.message.is_some();
        messages && self.id < later.id && self.target.uri == later.target.uri
    }

    /// Begins; an outcome when that fails at once.
    pub(super) fn start(&mut self, cx: &mut Crossing<'_>) -> Option<Outcome> {
        if self.sent.is_some() {
            return None;
        }
        let method = match self.message {
            Some(_) => Method::Message,
            None => Method::Options,
        };
        let mut series = Series::new(cx, Owner::Errand(self.id), method, self.target.clone());
        if let Some(message) = &self.message {
            series = series.carrying(message.clone());
        }
        let reached = series.seek(cx);
        self.sent = Some(Sent { series, at: cx.now() });
        match reached {
            Ok(true) => self.send(cx),
            Ok(false) => None,
            Err(_) => Some(None),
        }
    }

    /// Takes the path that was looked for; an outcome when there is none.
    pub(super) fn handle_path(
        &mut self,
        cx: &mut Crossing<'_>,
        path: Result<Arc<Path>, Lost>,
    ) -> Option<Outcome> {
        let sent = self.sent.as_mut()?;
        match path {
            Ok(path) => sent.series.set_path(path),
            Err(_) => return Some(None),
        }
        self.send(cx)
    }

    /// Takes a response; an outcome when it is the final one.
    pub(super) fn handle_response(
        &mut self,
        cx: &mut Crossing<'_>,
        client: ClientId,
        response: &Message,
    ) -> Option<Outcome> {
        match self.sent.as_mut()?.series.handle_response(cx, client, response)? {
            Answer::Pending => None,
            Answer::Final(Some(Refusal::TooLarge)) => Some(Some(too_large())),
            Answer::Final(_) => Some(Some(Cause::of(response))),
        }
    }

    /// Takes the failure of a transaction; an outcome when that was its own.
    pub(super) fn handle_failure(&mut self, client: ClientId) -> Option<Outcome> {
        self.sent.as_mut()?.series.handle_failure(client).then_some(None)
    }

    /// Tells the outcome.
    pub(super) fn finish(self, cx: &mut Crossing<'_>, cause: Outcome) {
        let mut round_trip = Default::default();
        if let Some(Sent { series, at }) = self.sent {
            round_trip = cx.now().since(at);
            series.close(cx);
        }
        let ErrandId(number) = self.id;
        cx.tell(match self.message {
            Some(_) => Event::MessageSent { message: MessageId(number), cause },
            None => Event::Pong { ping: PingId(number), cause, round_trip },
        });
    }

    fn send(&mut self, cx: &mut Crossing<'_>) -> Option<Outcome> {
        let Sent { series, at } = self.sent.as_mut()?;
        // The time that the host took to find a way is not the peer's.
        *at = cx.now();
        let fields = match self.message {
            // RFC 3428 §4: no Contact.
            Some(_) => Vec::new(),
            None => vec![(HeaderName::Accept, ACCEPTED.to_owned())],
        };
        (!series.send(cx, fields)).then(|| Some(too_large()))
    }
}

/// What a server would say to a MESSAGE that may not be sent for its size (RFC 3428 §8).
fn too_large() -> Cause {
    let code = 513;
    Cause { code, reason: reason_phrase(code).to_owned() }
}
