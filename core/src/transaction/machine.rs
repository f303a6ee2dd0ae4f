//! What the four machines share: their surroundings, what they ask for, and the timers that double.
//!
//! A machine is a value. It takes an event together with a [`TransactionContext`] and becomes a [`Step`]: the
//! next state, and one [`Action`] for the layer to carry out. It sends nothing itself.

use super::FailureCause;
use crate::time::{Duration, Instant};

/// The three times that all timers are made of (RFC 3261 §17.1.1.1, table 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// The round-trip time estimate. Default 500 ms; never zero.
    pub t1: Duration,
    /// The longest interval between retransmissions, other than of an INVITE. Default 4 s.
    pub t2: Duration,
    /// How long a message may stay in the network. Default 5 s.
    pub t4: Duration,
}

impl Timing {
    /// How long a transaction may take: Timers B, F, H, J, L and M.
    pub const fn transaction(self) -> Duration {
        Duration::from_micros(self.t1.as_micros().saturating_mul(64))
    }

    /// How long a client takes until it retransmits only every T2: 3.5 s. From then on a server
    /// that has no answer to a request other than INVITE says 100 (RFC 4320 §4.1).
    pub(super) fn until_t2(self) -> Duration {
        let mut interval = self.t1;
        let mut passed = interval;
        while interval * 2 < self.t2 && !interval.is_zero() {
            interval = interval * 2;
            passed = passed + interval;
        }
        passed
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
        }
    }
}

/// A server says 100 to an INVITE when its user has said nothing for this long (§17.2.1).
pub(super) const TRYING_AFTER: Duration = Duration::from_millis(200);

/// What a machine is given with each event.
#[derive(Clone, Copy, Debug)]
pub(super) struct TransactionContext {
    pub(super) now: Instant,
    pub(super) timing: Timing,
    /// Whether the transport delivers by itself, so that nothing is retransmitted.
    pub(super) reliable: bool,
}

impl TransactionContext {
    /// `time`, for which late retransmissions are awaited; none come on a reliable transport.
    pub(super) fn linger(self, time: Duration) -> Duration {
        if self.reliable { Duration::ZERO } else { time }
    }
}

/// What becomes of a machine after an event.
#[derive(Debug)]
pub(super) struct Step<S> {
    /// The next state; `None` is Terminated.
    pub(super) next: Option<S>,
    pub(super) action: Action,
}

impl<S> Step<S> {
    pub(super) fn to(state: S, action: Action) -> Self {
        Self { next: Some(state), action }
    }

    pub(super) fn end(action: Action) -> Self {
        Self { next: None, action }
    }

    pub(super) fn map<T>(self, wrap: impl FnOnce(S) -> T) -> Step<T> {
        Step { next: self.next.map(wrap), action: self.action }
    }
}

/// What the layer has to do for a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// Nothing: the event was absorbed.
    Ignore,
    /// Send the message at hand: the user's response, or else what the new state keeps.
    Send,
    /// Pass the message that came to the user.
    Deliver,
    /// Both: send what the new state keeps and pass on what came.
    SendAndDeliver,
    /// Make a 100 (Trying) from the request and hand it in as the user's.
    Trying,
    /// Report the failure to the user.
    Fail(FailureCause),
}

/// Timers A, E and G: when to send again, and after how long the time after that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Backoff {
    at: Instant,
    interval: Duration,
}

impl Backoff {
    /// First after T1; never on a reliable transport.
    pub(super) fn start(context: TransactionContext) -> Option<Self> {
        let interval = context.timing.t1;
        (!context.reliable).then_some(Self { at: context.now + interval, interval })
    }

    /// If it is due, send; then wait twice as long, but at most `longest`.
    ///
    /// The new interval counts from now, not from when the timer was due: after a stall of the
    /// host one copy goes out, not one for each that was missed.
    pub(super) fn fire(
        timer: Option<Self>,
        context: TransactionContext,
        longest: Option<Duration>,
    ) -> (Option<Self>, Action) {
        match timer {
            Some(Self { at, interval }) if at <= context.now => {
                let doubled = interval * 2;
                let interval = longest.map_or(doubled, |longest| doubled.min(longest));
                (Some(Self { at: context.now + interval, interval }), Action::Send)
            }
            timer => (timer, Action::Ignore),
        }
    }

    /// If it is due, send; then wait for `interval`.
    pub(super) fn fire_every(
        timer: Option<Self>,
        context: TransactionContext,
        interval: Duration,
    ) -> (Option<Self>, Action) {
        let (timer, action) = Self::fire(timer, context, Some(interval));
        match action {
            Action::Send => (Some(Self { at: context.now + interval, interval }), action),
            _ => (timer, action),
        }
    }

    /// The sooner of the next retransmission and `end`.
    pub(super) fn or_end(timer: Option<Self>, end: Instant) -> Instant {
        timer.map_or(end, |timer| timer.at.min(end))
    }
}
