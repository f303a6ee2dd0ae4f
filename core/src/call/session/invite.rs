//! The caller's side of a 2xx: ACK, kept while 2xx may come again, and the late answers of a fork
//! (RFC 3261 §13.2.2.4).

use core::net::SocketAddr;
use std::sync::Arc;

use super::Session;
use crate::agent::{ACCEPTED, Attempt, CallAlarm, Context, Path, Request, T1, T2, TRANSACTION};
use crate::call::EndReason;
use crate::call::body::Body;
use crate::call::common::Common;
use crate::call::media::decline;
use crate::dialog::{Destination, Dialog};
use crate::event::EndedBy;
use crate::host::Flow;
use crate::sip::{Message, Method};
use crate::time::{Duration, Instant};
use crate::timers::TimerId;

/// An INVITE of ours that was accepted.
#[derive(Debug)]
pub(in crate::call) struct Invite {
    seq: u32,
    attempt: Attempt,
    /// Our answer, when the offer came in the 2xx.
    answer: Option<Box<str>>,
    /// How it went, for a 2xx whose Contact or Record-Route cannot be read.
    destination: Option<Box<Destination>>,
    /// The ACK, once there was a path for it.
    ack: Option<(Arc<Path>, Box<[u8]>)>,
    /// Whether that may have been lost with its connection.
    lost: bool,
    /// When it is sent once more, since one was lost.
    repeat: Option<Repeat>,
    /// When no 2xx comes any more.
    until: Instant,
    stale: TimerId,
}

/// An ACK that was lost with its connection is sent on a timer, until no 2xx comes any more. A 2xx that is
/// repeated would ask for it, but goes to the address in Via (RFC 3261 §18.2.2): with WebSocket that is the
/// connection that is over, and nothing listens. The far end may be back later than we are.
#[derive(Debug)]
struct Repeat {
    interval: Duration,
    at: Instant,
    timer: TimerId,
}

/// How many late answers of a fork are ended properly; further ones are left to time out.
const MAX_FORKS: usize = 16;

/// Of how many INVITEs the ACK is kept: each was accepted within the last 32 s.
const MAX_INVITES: usize = 8;

impl Invite {
    /// The INVITE with that number and attempt, which went to `destination`; `answer` is ours, if the offer was
    /// theirs.
    pub(in crate::call) fn new(
        call: &Common,
        cx: &mut Context<'_>,
        (seq, attempt): (u32, Attempt),
        answer: Option<String>,
        destination: Destination,
    ) -> Self {
        // No 2xx comes later than that (§13.2.2.4).
        let stale = cx.set_timer(TRANSACTION, call.alarm(CallAlarm::DropAck));
        let until = cx.now() + TRANSACTION;
        let (answer, destination) = (answer.map(Into::into), Some(Box::new(destination)));
        let (ack, lost, repeat) = (None, false, None);
        Self { seq, attempt, answer, destination, ack, lost, repeat, until, stale }
    }

    /// Whether its ACK has not been sent yet.
    pub(super) fn owes_ack(&self) -> bool {
        self.ack.is_none()
    }

    /// How it went; once.
    pub(super) fn take_destination(&mut self) -> Option<Destination> {
        self.destination.take().map(|destination| *destination)
    }

    pub(super) fn acknowledge(
        &mut self,
        call: &Common,
        cx: &mut Context<'_>,
        path: &Arc<Path>,
        dialog: &Dialog,
    ) {
        if self.lost {
            self.repeat_later(call, cx);
        }
        let mut request = Request::within(dialog, Method::Ack, self.seq);
        request.body = self.answer.as_ref().map(|answer| (ACCEPTED, answer.as_bytes()));
        let bytes = cx.send_ack(path, &request, &self.attempt);
        (self.ack, self.lost) = (Some((Arc::clone(path), bytes)), false);
    }

    /// The connection that its ACK went by is over; maybe it was lost.
    pub(super) fn handle_flow_lost(&mut self, flow: Flow) {
        self.lost |= self.ack.as_ref().is_some_and(|(path, _)| path.flow == flow);
    }

    /// Sets the timer after which the ACK is sent again: as a 2xx, after T1 and up to T2 (§13.3.1.4).
    fn repeat_later(&mut self, call: &Common, cx: &mut Context<'_>) {
        let last = self.repeat.take();
        let interval = last.as_ref().map_or(T1, |last| (last.interval * 2).min(T2));
        if let Some(last) = last {
            cx.cancel_timer(last.timer);
        }
        let timer = cx.set_timer(interval, call.alarm(CallAlarm::RepeatAck));
        self.repeat = Some(Repeat { interval, at: cx.now() + interval, timer });
    }

    /// The ACK that was sent last may have come to nobody, when it is time to say so.
    pub(super) fn handle_repeat(&mut self, now: Instant) {
        self.lost |= self.repeat.as_ref().is_some_and(|repeat| repeat.at <= now);
    }

    /// Whether its ACK is to be sent once more, if there is a path: the call does not depend on it.
    pub(super) fn has_lost_ack(&self) -> bool {
        self.lost
    }

    /// There is no path to send it once more.
    pub(super) fn forget_lost_ack(&mut self) {
        self.lost = false;
    }

    /// Whether no 2xx to it can come any more.
    pub(super) fn is_stale(&self, now: Instant) -> bool {
        self.until <= now
    }

    pub(super) fn close(self, cx: &mut Context<'_>) {
        cx.cancel_timer(self.stale);
        if let Some(repeat) = self.repeat {
            cx.cancel_timer(repeat.timer);
        }
    }
}

impl Session {
    /// Keeps an INVITE of ours that was accepted; [`advance`](Self::advance) acknowledges it.
    pub(super) fn keep(&mut self, cx: &mut Context<'_>, invite: Invite) {
        if self.invites.len() >= MAX_INVITES {
            self.invites.remove(0).close(cx);
        }
        self.invites.reserve_exact(1);
        self.invites.push(invite);
    }

    /// A peer that answers INVITE by another connection than it was asked by has lost that one (RFC 3261
    /// §18.2.2), and would get nothing of what we send by it, though we may not know for long.
    pub(in crate::call) fn handle_answered_on(
        &mut self,
        flow: Flow,
        from: SocketAddr,
        response: &Message,
    ) {
        let ours = self.dialog.is_of(response.call_id(), response.to_tag());
        if ours && *response.method() == Method::Invite {
            let connection = self.dialog.peer_connection_mut();
            if let Some(over) = connection.and_then(|it| it.move_to(flow, from)) {
                self.invites.iter_mut().for_each(|invite| invite.handle_flow_lost(over));
            }
        }
    }

    /// Takes a 2xx to an INVITE that is not the first: a copy, or that of another fork.
    pub(super) fn handle_further_2xx(
        &mut self,
        call: &Common,
        cx: &mut Context<'_>,
        response: &Message,
    ) {
        let invite = self.invites.iter().find(|invite| invite.seq == response.cseq());
        if self.dialog.is_of(response.call_id(), response.to_tag()) {
            let known = invite.filter(|invite| !invite.lost);
            if let Some((path, bytes)) = known.and_then(|invite| invite.ack.as_ref()) {
                cx.resend(path, bytes);
            }
            return;
        }
        let mut forks = self.forks.iter_mut();
        let tag = response.to_tag();
        if let Some(fork) = forks.find(|fork| fork.dialog.is_of(response.call_id(), tag)) {
            return fork.handle_further_2xx(call, cx, response);
        }
        let Some(invite) = invite.filter(|_| self.forks.len() < MAX_FORKS) else { return };
        let destination =
            invite.destination.as_deref().cloned().unwrap_or_else(|| self.dialog.destination());
        let dialog = self.dialog.fork(invite.seq, response);
        let dialog = dialog.unwrap_or_else(|_| {
            self.dialog.fork_with_lost(invite.seq, destination.clone(), response)
        });
        let (seq, attempt) = (invite.seq, invite.attempt.for_ack());
        // §13.2.2.4: an offer has to be answered in ACK, also when BYE follows.
        let answer = match Body::of(response) {
            Body::Session(offer) if invite.answer.is_some() => Some(decline(&offer)),
            _ => None,
        };
        let invite = Invite::new(call, cx, (seq, attempt), answer, destination);
        let mut fork = Self::new(dialog, self.contact.clone());
        fork.keep(cx, invite);
        fork.push_bye(call.owner(), EndReason::new(EndedBy::Local));
        self.forks.push(fork);
    }
}
