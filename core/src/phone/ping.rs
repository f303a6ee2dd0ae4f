//! Pings: OPTIONS to anybody (RFC 3261 §11.1).

use std::sync::Arc;

use crate::agent::{ACCEPTED, Answer, Crossing, Lost, Owner, Path, Series, Target};
use crate::event::{Cause, Event, PingId};
use crate::sip::{HeaderName, Message, Method};
use crate::time::Instant;
use crate::transaction::ClientId;

/// One OPTIONS and its answer.
#[derive(Debug)]
pub(super) enum Ping {
    /// The command was given.
    Asked(Target),
    /// It is on its way, or a path is being looked for.
    Sent { series: Series, at: Instant },
}

impl Ping {
    pub(super) fn new(target: Target) -> Self {
        Self::Asked(target)
    }

    /// Begins; false when that fails at once.
    pub(super) fn start(&mut self, cx: &mut Crossing<'_>, id: PingId) -> bool {
        let Self::Asked(target) = self else { return true };
        let series = Series::new(cx, Owner::Ping(id), Method::Options, target.clone());
        *self = Self::Sent { series, at: cx.now() };
        let Self::Sent { series, .. } = self else { return false };
        match series.seek(cx) {
            Ok(true) => self.send(cx),
            Ok(false) => {}
            Err(_) => return false,
        }
        true
    }

    /// Takes the path that was looked for; false when there is none.
    pub(super) fn handle_path(
        &mut self,
        cx: &mut Crossing<'_>,
        path: Result<Arc<Path>, Lost>,
    ) -> bool {
        let Self::Sent { series, .. } = self else { return true };
        match path {
            Ok(path) => series.set_path(path),
            Err(_) => return false,
        }
        self.send(cx);
        true
    }

    /// Takes a response; true when it is the final one.
    pub(super) fn handle_response(
        &mut self,
        cx: &mut Crossing<'_>,
        client: ClientId,
        response: &Message,
    ) -> bool {
        let Self::Sent { series, .. } = self else { return false };
        matches!(series.handle_response(cx, client, response), Some(Answer::Final(_)))
    }

    /// Whether the failed transaction was its own.
    pub(super) fn handle_failure(&mut self, client: ClientId) -> bool {
        match self {
            Self::Sent { series, .. } => series.handle_failure(client),
            Self::Asked(_) => false,
        }
    }

    /// Tells the outcome.
    pub(super) fn finish(self, cx: &mut Crossing<'_>, ping: PingId, response: Option<&Message>) {
        let mut round_trip = Default::default();
        if let Self::Sent { series, at } = self {
            round_trip = cx.now().since(at);
            series.close(cx);
        }
        cx.tell(Event::Pong { ping, cause: response.map(Cause::of), round_trip });
    }

    fn send(&mut self, cx: &mut Crossing<'_>) {
        let Self::Sent { series, at } = self else { return };
        // The time that the host took to find a way is not the peer's.
        *at = cx.now();
        series.send(cx, vec![(HeaderName::Accept, ACCEPTED.to_owned())]);
    }
}
