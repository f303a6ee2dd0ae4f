//! The non-INVITE client transaction (RFC 3261 §17.1.2).

use super::FailureCause;
use super::machine::{Action, Backoff, Step, TransactionContext};
use crate::time::Instant;

/// A request other than INVITE and ACK that was sent.
///
/// ```text
///                     | request sent
///    E: request sent  v
///       +--------- Trying --------- F or transport error: tell -----+
///       +-------->   |  |                                           |
///               1xx: |  | 200-699: deliver                          |
///            deliver v  |                                           |
///       +----- Proceeding ---------- F or transport error: tell --->|
///       | E: request sent, |                                        |
///       | 1xx: deliver  ^  | 200-699: deliver                       |
///       +---------------+  v                                        |
///                     Completed ---- K ------------------------>|   |
///       200-699: |    ^                                         v   v
///        absorb  +----+                                       Terminated
/// ```
#[derive(Debug)]
pub(super) enum ClientNonInvite {
    /// Nothing has come yet.
    Trying {
        request: Box<[u8]>,
        /// Timer E; none on a reliable transport.
        retransmit: Option<Backoff>,
        /// Timer F.
        timeout: Instant,
    },
    /// A provisional response has come. It was not sent reliably, so the request still goes out,
    /// every T2.
    Proceeding {
        request: Box<[u8]>,
        /// Timer E.
        retransmit: Option<Backoff>,
        /// Timer F.
        timeout: Instant,
    },
    /// A final response has come; copies of it are absorbed.
    Completed {
        /// Timer K.
        end: Instant,
    },
}

impl ClientNonInvite {
    /// The request has just been sent.
    pub(super) fn new(request: Box<[u8]>, context: TransactionContext) -> Self {
        Self::Trying {
            request,
            retransmit: Backoff::start(context),
            timeout: context.now + context.timing.transaction(),
        }
    }

    /// When [`handle_deadline`](Self::handle_deadline) is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Trying { retransmit, timeout, .. }
            | Self::Proceeding { retransmit, timeout, .. } => {
                Some(Backoff::or_end(*retransmit, *timeout))
            }
            Self::Completed { end } => Some(*end),
        }
    }

    /// What [`Action::Send`] means: the request.
    pub(super) fn kept(&self) -> &[u8] {
        match self {
            Self::Trying { request, .. } | Self::Proceeding { request, .. } => request,
            Self::Completed { .. } => &[],
        }
    }

    /// A response has come.
    pub(super) fn handle_response(self, context: TransactionContext, status: u16) -> Step<Self> {
        match (self, status) {
            (
                Self::Trying { request, retransmit, timeout }
                | Self::Proceeding { request, retransmit, timeout },
                ..=199,
            ) => Step::to(Self::Proceeding { request, retransmit, timeout }, Action::Deliver),
            (Self::Trying { .. } | Self::Proceeding { .. }, _) => {
                let end = context.now + context.linger(context.timing.t4);
                Step::to(Self::Completed { end }, Action::Deliver)
            }
            (state @ Self::Completed { .. }, _) => Step::to(state, Action::Ignore),
        }
    }

    /// A timer fired.
    pub(super) fn handle_deadline(self, context: TransactionContext) -> Step<Self> {
        let t2 = context.timing.t2;
        match self {
            Self::Trying { timeout, .. } | Self::Proceeding { timeout, .. }
                if timeout <= context.now =>
            {
                Step::end(Action::Fail(FailureCause::Timeout))
            }
            Self::Trying { request, retransmit, timeout } => {
                let (retransmit, action) = Backoff::fire(retransmit, context, Some(t2));
                Step::to(Self::Trying { request, retransmit, timeout }, action)
            }
            Self::Proceeding { request, retransmit, timeout } => {
                let (retransmit, action) = Backoff::fire_every(retransmit, context, t2);
                Step::to(Self::Proceeding { request, retransmit, timeout }, action)
            }
            Self::Completed { end } if end <= context.now => Step::end(Action::Ignore),
            state @ Self::Completed { .. } => Step::to(state, Action::Ignore),
        }
    }

    /// Whether a transport error changes anything.
    pub(super) const fn is_exposed(&self) -> bool {
        !matches!(self, Self::Completed { .. })
    }

    /// The request could not be delivered (§17.1.4).
    pub(super) fn handle_transport_error(self) -> Step<Self> {
        match self {
            Self::Trying { .. } | Self::Proceeding { .. } => {
                Step::end(Action::Fail(FailureCause::Transport))
            }
            state @ Self::Completed { .. } => Step::to(state, Action::Ignore),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, ends, instant, lives, reliably, run};
    use super::Action::{Deliver, Fail, Ignore, Send};
    use super::*;

    fn trying() -> ClientNonInvite {
        ClientNonInvite::new(b"OPTIONS"[..].into(), at(0))
    }

    fn proceeding(millis: u64) -> ClientNonInvite {
        lives(trying().handle_response(at(millis), 100), Deliver)
    }

    #[test]
    fn the_request_goes_out_eleven_times_then_it_times_out() {
        let (log, end) = run(trying(), 60_000, at(0));
        let sent = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        assert_eq!(log[..10], sent.map(|at| (at, Send)));
        assert_eq!(log[10..], [(32_000, Fail(FailureCause::Timeout))]);
        assert!(end.is_none());
    }

    #[test]
    fn after_a_provisional_response_it_goes_out_every_t2() {
        // Timer E, already running, is reset to T2 only when it fires.
        let (log, end) = run(proceeding(100), 60_000, at(0));
        let sent = [500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500];
        assert_eq!(log[..8], sent.map(|at| (at, Send)));
        assert_eq!(log[8..], [(32_000, Fail(FailureCause::Timeout))]);
        assert!(end.is_none());
        let machine = lives(proceeding(100).handle_response(at(200), 100), Deliver);
        assert_eq!(machine.deadline(), Some(instant(500)));
        assert_eq!(machine.kept(), b"OPTIONS");
    }

    #[test]
    fn a_reliable_transport_sends_once() {
        let trying = || ClientNonInvite::new(b"OPTIONS"[..].into(), reliably(0));
        assert_eq!(run(trying(), 60_000, reliably(0)).0, [(32_000, Fail(FailureCause::Timeout))]);
        let machine = lives(trying().handle_response(reliably(9), 100), Deliver);
        assert_eq!(run(machine, 60_000, reliably(9)).0, [(32_000, Fail(FailureCause::Timeout))]);
        let machine = lives(trying().handle_response(reliably(9), 200), Deliver);
        let (log, end) = run(machine, 60_000, reliably(9));
        assert_eq!(log, [(9, Ignore)]);
        assert!(end.is_none());
    }

    #[test]
    fn one_final_response_goes_to_the_user() {
        for status in [200, 302, 404, 500, 603] {
            for machine in [trying(), proceeding(100)] {
                let machine = lives(machine.handle_response(at(1_000), status), Deliver);
                assert!(machine.kept().is_empty());
                let machine = lives(machine.handle_response(at(1_100), status), Ignore);
                let machine = lives(machine.handle_response(at(1_200), 100), Ignore);
                let (log, end) = run(machine, 60_000, at(0));
                assert_eq!(log, [(6_000, Ignore)], "Timer K is T4");
                assert!(end.is_none());
            }
        }
    }

    #[test]
    fn transport_errors() {
        ends(trying().handle_transport_error(), Fail(FailureCause::Transport));
        ends(proceeding(1).handle_transport_error(), Fail(FailureCause::Transport));
        let machine = lives(trying().handle_response(at(1), 200), Deliver);
        lives(machine.handle_transport_error(), Ignore);
    }

    #[test]
    fn a_deadline_that_is_not_due_changes_nothing() {
        let completed = lives(trying().handle_response(at(0), 200), Deliver);
        for machine in [trying(), proceeding(0), completed] {
            let due = machine.deadline();
            assert_eq!(lives(machine.handle_deadline(at(1)), Ignore).deadline(), due);
        }
    }
}
