//! The INVITE client transaction (RFC 3261 §17.1.1 as amended by RFC 6026 §8.4).

use super::FailureCause;
use super::machine::{Action, Backoff, Step, TransactionContext};
use crate::time::{Duration, Instant};

/// An INVITE that was sent.
///
/// ```text
///                    | INVITE sent
///    A: INVITE sent  v
///       +-------- Calling ------- B or transport error: tell ---------+
///       +-------->   | | |                                            |
///                1xx | | +-- 2xx: deliver ----------------+           |
///      deliver it    | +---- 3xx-6xx: ACK, deliver --+    |           |
///                    v                               |    |           |
///       +------- Proceeding -- 2xx: deliver ---------|----+           |
///   1xx |         ^  |   |                           |    |           |
///       +---------+  |   +---- 64*T1 after CANCEL ---|----|---------->|
///                    | 3xx-6xx: ACK, deliver         |    v           |
///                    v                               | Accepted --+   |
///       +------- Completed <-------------------------+  |  ^ 2xx: |   |
///  ACK  |         ^  |  |                               |  deliver   |
/// again +-3xx-6xx-+  |  +-- transport error: tell       |  +-----+   |
///                    | D                  |             | M          |
///                    v                    v             v            v
///                                    Terminated
/// ```
#[derive(Debug)]
pub(super) enum ClientInvite {
    /// Nothing has come yet.
    Calling {
        request: Box<[u8]>,
        /// Timer A; none on a reliable transport.
        retransmit: Option<Backoff>,
        /// Timer B.
        timeout: Instant,
    },
    /// A provisional response has come; how long to wait now is the user's business.
    Proceeding {
        request: Box<[u8]>,
        /// When to give up after CANCEL was sent (§9.1).
        cancelled: Option<Instant>,
    },
    /// A final response other than 2xx has come and was acknowledged.
    Completed {
        ack: Box<[u8]>,
        /// Timer D.
        end: Instant,
    },
    /// A 2xx has come. Each further one goes to the user, who acknowledges it (§13.2.2.4).
    Accepted {
        /// Timer M.
        end: Instant,
    },
}

impl ClientInvite {
    /// Timer D on an unreliable transport: the peer's Timer H, whose T1 may not be ours.
    const LINGER: Duration = Duration::from_secs(32);

    /// The request has just been sent.
    pub(super) fn new(request: Box<[u8]>, context: TransactionContext) -> Self {
        Self::Calling {
            request,
            retransmit: Backoff::start(context),
            timeout: context.now + context.timing.transaction(),
        }
    }

    /// When [`handle_deadline`](Self::handle_deadline) is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Calling { retransmit, timeout, .. } => {
                Some(Backoff::or_end(*retransmit, *timeout))
            }
            Self::Proceeding { cancelled, .. } => *cancelled,
            Self::Completed { end, .. } | Self::Accepted { end } => Some(*end),
        }
    }

    /// What [`Action::Send`] means: the INVITE, or its ACK.
    pub(super) fn kept(&self) -> &[u8] {
        match self {
            Self::Calling { request, .. } | Self::Proceeding { request, .. } => request,
            Self::Completed { ack, .. } => ack,
            Self::Accepted { .. } => &[],
        }
    }

    /// A response has come. `acknowledge` makes the ACK from the request (§17.1.1.3).
    pub(super) fn handle_response(
        self,
        context: TransactionContext,
        status: u16,
        acknowledge: impl FnOnce(&[u8]) -> Box<[u8]>,
    ) -> Step<Self> {
        match (self, status) {
            (Self::Calling { request, .. }, ..=199) => {
                Step::to(Self::Proceeding { request, cancelled: None }, Action::Deliver)
            }
            (state @ Self::Proceeding { .. }, ..=199) => Step::to(state, Action::Deliver),
            (Self::Calling { .. } | Self::Proceeding { .. }, 200..=299) => {
                let end = context.now + context.timing.transaction();
                Step::to(Self::Accepted { end }, Action::Deliver)
            }
            (state @ Self::Accepted { .. }, 200..=299) => Step::to(state, Action::Deliver),
            (Self::Calling { request, .. } | Self::Proceeding { request, .. }, 300..) => {
                let ack = acknowledge(&request);
                // Timer D is zero on a reliable transport: the machine goes with the next deadline.
                let end = context.now + context.linger(Self::LINGER);
                Step::to(Self::Completed { ack, end }, Action::SendAndDeliver)
            }
            (state @ Self::Completed { .. }, 300..) => Step::to(state, Action::Send),
            // Late provisional responses, a 2xx after a 3xx-6xx, or the losing branches of a fork.
            (state, _) => Step::to(state, Action::Ignore),
        }
    }

    /// The user sent CANCEL: without a final response the transaction ends in 64*T1 (§9.1).
    pub(super) fn cancelled(self, context: TransactionContext) -> Self {
        match self {
            Self::Proceeding { request, cancelled } => {
                let end = context.now + context.timing.transaction();
                Self::Proceeding { request, cancelled: cancelled.or(Some(end)) }
            }
            state => state,
        }
    }

    /// A timer fired.
    pub(super) fn handle_deadline(self, context: TransactionContext) -> Step<Self> {
        match self {
            Self::Calling { timeout, .. } if timeout <= context.now => {
                Step::end(Action::Fail(FailureCause::Timeout))
            }
            Self::Calling { request, retransmit, timeout } => {
                // Timer A doubles without a limit (§17.1.1.2).
                let (retransmit, action) = Backoff::fire(retransmit, context, None);
                Step::to(Self::Calling { request, retransmit, timeout }, action)
            }
            Self::Proceeding { cancelled: Some(end), .. } if end <= context.now => {
                Step::end(Action::Fail(FailureCause::Timeout))
            }
            Self::Completed { end, .. } | Self::Accepted { end } if end <= context.now => {
                Step::end(Action::Ignore)
            }
            state => Step::to(state, Action::Ignore),
        }
    }

    /// Whether a transport error changes anything: something of ours may be under way.
    pub(super) const fn is_exposed(&self) -> bool {
        matches!(self, Self::Calling { .. } | Self::Completed { .. })
    }

    /// What was sent could not be delivered (§17.1.4). In Proceeding and Accepted nothing of ours
    /// is under way.
    pub(super) fn handle_transport_error(self) -> Step<Self> {
        match self {
            Self::Calling { .. } | Self::Completed { .. } => {
                Step::end(Action::Fail(FailureCause::Transport))
            }
            state => Step::to(state, Action::Ignore),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::Timing;
    use super::super::testing::{at, ends, instant, lives, reliably, run};
    use super::Action::{Deliver, Fail, Ignore, Send, SendAndDeliver};
    use super::*;

    fn calling() -> ClientInvite {
        ClientInvite::new(b"INVITE"[..].into(), at(0))
    }

    fn response(
        machine: ClientInvite,
        context: TransactionContext,
        status: u16,
    ) -> Step<ClientInvite> {
        machine.handle_response(context, status, |request| {
            assert_eq!(request, b"INVITE");
            b"ACK"[..].into()
        })
    }

    fn proceeding() -> ClientInvite {
        lives(response(calling(), at(100), 180), Deliver)
    }

    fn completed(context: TransactionContext) -> ClientInvite {
        lives(response(calling(), context, 486), SendAndDeliver)
    }

    fn accepted() -> ClientInvite {
        lives(response(calling(), at(100), 200), Deliver)
    }

    #[test]
    fn the_request_goes_out_seven_times_then_it_times_out() {
        let (log, end) = run(calling(), 60_000, at(0));
        let sent = [500, 1_500, 3_500, 7_500, 15_500, 31_500].map(|at| (at, Send));
        assert_eq!(log[..6], sent);
        assert_eq!(log[6..], [(32_000, Fail(FailureCause::Timeout))]);
        assert!(end.is_none());
    }

    #[test]
    fn a_reliable_transport_sends_once() {
        let machine = ClientInvite::new(b"INVITE"[..].into(), reliably(0));
        let (log, end) = run(machine, 60_000, reliably(0));
        assert_eq!(log, [(32_000, Fail(FailureCause::Timeout))]);
        assert!(end.is_none());
    }

    #[test]
    fn after_a_stall_one_copy_goes_out() {
        let machine = lives(calling().handle_deadline(at(9_000)), Send);
        assert_eq!(machine.deadline(), Some(instant(10_000)));
    }

    #[test]
    fn a_provisional_response_stops_the_timers() {
        for status in [100, 180, 199] {
            let machine = lives(response(calling(), at(100), status), Deliver);
            assert_eq!(machine.deadline(), None);
            let machine = lives(response(machine, at(200), 183), Deliver);
            assert!(matches!(machine, ClientInvite::Proceeding { .. }));
        }
    }

    #[test]
    fn a_rejection_is_acknowledged_from_both_states() {
        for status in [300, 404, 503, 699] {
            for machine in [calling(), proceeding()] {
                let machine = lives(response(machine, at(1_000), status), SendAndDeliver);
                assert_eq!(
                    (machine.kept(), machine.deadline()),
                    (&b"ACK"[..], Some(instant(33_000)))
                );
            }
        }
    }

    #[test]
    fn a_repeated_rejection_is_acknowledged_again_and_absorbed() {
        let machine = lives(response(completed(at(0)), at(500), 486), Send);
        let machine = lives(response(machine, at(600), 603), Send);
        let machine = lives(response(machine, at(700), 180), Ignore);
        let machine = lives(response(machine, at(800), 200), Ignore);
        // Timer D is not moved.
        assert_eq!(run(machine, 60_000, at(0)).0, [(32_000, Ignore)]);
    }

    #[test]
    fn timer_d_is_zero_on_a_reliable_transport() {
        let machine = completed(reliably(700));
        let (log, end) = run(machine, 60_000, reliably(700));
        assert_eq!(log, [(700, Ignore)]);
        assert!(end.is_none());
    }

    #[test]
    fn timer_d_does_not_shrink_with_t1() {
        let timing = Timing { t1: Duration::from_millis(10), ..Timing::default() };
        let machine = completed(TransactionContext { timing, ..at(0) });
        assert_eq!(machine.deadline(), Some(instant(32_000)));
    }

    #[test]
    fn every_2xx_goes_to_the_user_until_timer_m() {
        for machine in [accepted(), lives(response(proceeding(), at(100), 299), Deliver)] {
            let machine = lives(response(machine, at(600), 200), Deliver);
            let machine = lives(response(machine, at(700), 180), Ignore);
            let machine = lives(response(machine, at(800), 486), Ignore);
            assert!(machine.kept().is_empty());
            let (log, end) = run(machine, 60_000, at(0));
            assert_eq!(log, [(32_100, Ignore)]);
            assert!(end.is_none());
        }
    }

    #[test]
    fn a_cancelled_invite_does_not_wait_for_ever() {
        let machine = proceeding().cancelled(at(5_000)).cancelled(at(6_000));
        let machine = lives(response(machine, at(7_000), 180), Deliver);
        let (log, end) = run(machine, 60_000, at(0));
        assert_eq!(log, [(37_000, Fail(FailureCause::Timeout))]);
        assert!(end.is_none());
        let machine =
            lives(response(proceeding().cancelled(at(5_000)), at(6_000), 487), SendAndDeliver);
        assert_eq!(machine.deadline(), Some(instant(38_000)));
        assert_eq!(calling().cancelled(at(5)).deadline(), calling().deadline());
    }

    #[test]
    fn transport_errors() {
        ends(calling().handle_transport_error(), Fail(FailureCause::Transport));
        ends(completed(at(0)).handle_transport_error(), Fail(FailureCause::Transport));
        lives(proceeding().handle_transport_error(), Ignore);
        lives(accepted().handle_transport_error(), Ignore);
    }

    #[test]
    fn a_deadline_that_is_not_due_changes_nothing() {
        for machine in [calling(), proceeding(), completed(at(0)), accepted()] {
            let due = machine.deadline();
            let machine = lives(machine.handle_deadline(at(1)), Ignore);
            assert_eq!(machine.deadline(), due);
        }
    }
}
