//! A response of ours that is repeated until the far end acknowledges it (RFC 3261 §13.3.1.4).

use crate::agent::{Alarm, Context, Query, Response, T1, T2, TRANSACTION};
use crate::time::{Duration, Instant};
use crate::timers::TimerId;
use crate::transaction::ServerId;

/// A 2xx to INVITE that has been sent and not been acknowledged yet.
///
/// A reliable provisional response (RFC 3262 §3) differs in two things: its interval doubles beyond T2, and
/// PRACK names it by RAck, which has the numbers of the response and of the request and its method, where ACK
/// has the request's alone.
///
/// ```text
///   send ─► Repeating ── acknowledged ──► close
///             │  ▲  │
///             └──┘  └── 64*T1 ──► Unacknowledged
///        T1, 2*T1, ... T2
/// ```
#[derive(Debug)]
pub(super) struct RepeatedResponse {
    server: ServerId,
    status: u16,
    /// The CSeq number of the request, which its acknowledgement names.
    seq: u32,
    bytes: Box<[u8]>,
    interval: Duration,
    until: Instant,
    alarm: Alarm,
    timer: TimerId,
}

/// Nobody has acknowledged a response in time.
#[derive(Debug)]
pub(super) struct Unacknowledged;

impl RepeatedResponse {
    /// Sends a response, and repeats it whenever `alarm` is handed to [`repeat`](Self::repeat).
    pub(super) fn send(
        cx: &mut Context<'_>,
        query: &Query,
        response: Response<'_>,
        alarm: Alarm,
    ) -> Self {
        let status = response.status();
        Self {
            server: query.id,
            status,
            seq: query.request.cseq(),
            // Copied: the buffer has room for a longer one, and goes back whole for the next.
            bytes: cx.respond(query, response).as_slice().into(),
            interval: T1,
            until: cx.now() + TRANSACTION,
            alarm,
            timer: cx.set_timer(T1, alarm),
        }
    }

    /// Sends it once more; its timer has fired.
    ///
    /// # Errors
    /// When it has been repeated for long enough: it is not sent, and no timer is set.
    pub(super) fn repeat(&mut self, cx: &mut Context<'_>) -> Result<(), Unacknowledged> {
        let now = cx.now();
        if self.until <= now {
            return Err(Unacknowledged);
        }
        self.interval = (self.interval * 2).min(T2);
        let next = (now + self.interval).min(self.until).since(now);
        self.timer = cx.set_timer(next, self.alarm);
        cx.repeat(self.server, self.status, &self.bytes);
        Ok(())
    }

    /// Whether an acknowledgement with that CSeq number is this one's.
    pub(super) fn is_acknowledged_by(&self, seq: u32) -> bool {
        self.seq == seq
    }

    /// Repeats it no longer.
    pub(super) fn close(self, cx: &mut Context<'_>) {
        cx.cancel_timer(self.timer);
    }
}
