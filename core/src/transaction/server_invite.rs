//! The INVITE server transaction (RFC 3261 §17.2.1 as amended by RFC 6026 §8.5 to §8.8).

use super::FailureCause;
use super::machine::{Action, Backoff, Step, TRYING_AFTER, TransactionContext};
use crate::time::Instant;

/// An INVITE that came. `R` is the request, kept only until something was answered.
///
/// ```text
///                      | INVITE: deliver
///                      v
///                  Proceeding --- nothing from the user for 200 ms: 100 --+
///   INVITE: send       |  |  ^                                            |
///   the latest again   |  |  +---------------- 1xx from the user: send ---+
///                      |  |
///     3xx-6xx from the |  | 2xx from the user: send
///          user: send  |  +---------------------------------+
///   INVITE or G:       v                                    v
///   send again --> Completed -- H: tell --+             Accepted  INVITE: absorb
///                      |                  |                 |     2xx from the user: send
///                      | ACK              |                 |     ACK: deliver
///                      v                  |                 |
///   ACK: absorb    Confirmed              |               L |
///                      |                  v                 |
///                      +-- I ------> Terminated <-----------+
/// ```
///
/// A transport error is reported to the user and changes nothing: the machine still has to absorb
/// retransmissions (RFC 6026 §8.8).
#[derive(Debug)]
pub(super) enum ServerInvite<R> {
    /// Nothing was answered yet; the RFC's Proceeding too.
    Fresh {
        request: R,
        /// When 100 is sent for the user.
        trying: Option<Instant>,
    },
    /// A provisional response was sent; the latest is repeated for each repeated INVITE.
    Proceeding { response: Box<[u8]> },
    /// A final response other than 2xx was sent and is repeated until ACK comes.
    Completed {
        response: Box<[u8]>,
        /// Timer G; none on a reliable transport.
        retransmit: Option<Backoff>,
        /// Timer H.
        timeout: Instant,
    },
    /// ACK has come; copies of it are absorbed.
    Confirmed {
        /// Timer I.
        end: Instant,
    },
    /// A 2xx was sent. The user repeats it until ACK comes (§13.3.1.4); repeated INVITEs are
    /// absorbed.
    Accepted {
        /// Timer L.
        end: Instant,
    },
}

impl<R> ServerInvite<R> {
    /// The INVITE has just come and goes to the user.
    pub(super) fn new(request: R, context: TransactionContext) -> Self {
        Self::Fresh { request, trying: Some(context.now + TRYING_AFTER) }
    }

    /// When [`handle_deadline`](Self::handle_deadline) is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Fresh { trying, .. } => *trying,
            Self::Proceeding { .. } => None,
            Self::Completed { retransmit, timeout, .. } => {
                Some(Backoff::or_end(*retransmit, *timeout))
            }
            Self::Confirmed { end } | Self::Accepted { end } => Some(*end),
        }
    }

    /// What [`Action::Send`] means when it was not the user who asked: the latest response.
    pub(super) fn kept(&self) -> &[u8] {
        match self {
            Self::Proceeding { response } | Self::Completed { response, .. } => response,
            Self::Fresh { .. } | Self::Confirmed { .. } | Self::Accepted { .. } => &[],
        }
    }

    /// The request, while nothing was answered.
    pub(super) fn request(&self) -> Option<&R> {
        match self {
            Self::Fresh { request, .. } => Some(request),
            _ => None,
        }
    }

    /// The INVITE has come again.
    pub(super) fn handle_request(self) -> Step<Self> {
        let action = match self {
            Self::Proceeding { .. } | Self::Completed { .. } => Action::Send,
            Self::Fresh { .. } | Self::Confirmed { .. } | Self::Accepted { .. } => Action::Ignore,
        };
        Step::to(self, action)
    }

    /// An ACK has come.
    pub(super) fn handle_ack(self, context: TransactionContext) -> Step<Self> {
        match self {
            Self::Completed { .. } => {
                let end = context.now + context.linger(context.timing.t4);
                Step::to(Self::Confirmed { end }, Action::Ignore)
            }
            state @ Self::Accepted { .. } => Step::to(state, Action::Deliver),
            state => Step::to(state, Action::Ignore),
        }
    }

    /// The user responds. [`Action::Ignore`] means that it is too late for that.
    pub(super) fn respond(
        self,
        context: TransactionContext,
        status: u16,
        response: &[u8],
    ) -> Step<Self> {
        match (self, status) {
            (Self::Fresh { .. } | Self::Proceeding { .. }, ..=199) => {
                Step::to(Self::Proceeding { response: response.into() }, Action::Send)
            }
            (Self::Fresh { .. } | Self::Proceeding { .. }, 200..=299) => {
                let end = context.now + context.timing.transaction();
                Step::to(Self::Accepted { end }, Action::Send)
            }
            (Self::Fresh { .. } | Self::Proceeding { .. }, 300..) => {
                let state = Self::Completed {
                    response: response.into(),
                    retransmit: Backoff::start(context),
                    timeout: context.now + context.timing.transaction(),
                };
                Step::to(state, Action::Send)
            }
            (state @ Self::Accepted { .. }, 200..=299) => Step::to(state, Action::Send),
            (state, _) => Step::to(state, Action::Ignore),
        }
    }

    /// A timer fired.
    pub(super) fn handle_deadline(self, context: TransactionContext) -> Step<Self> {
        match self {
            Self::Fresh { request, trying: Some(at) } if at <= context.now => {
                Step::to(Self::Fresh { request, trying: None }, Action::Trying)
            }
            Self::Completed { timeout, .. } if timeout <= context.now => {
                Step::end(Action::Fail(FailureCause::Timeout))
            }
            Self::Completed { response, retransmit, timeout } => {
                let longest = Some(context.timing.t2);
                let (retransmit, action) = Backoff::fire(retransmit, context, longest);
                Step::to(Self::Completed { response, retransmit, timeout }, action)
            }
            Self::Confirmed { end } | Self::Accepted { end } if end <= context.now => {
                Step::end(Action::Ignore)
            }
            state => Step::to(state, Action::Ignore),
        }
    }

    /// Whether a transport error is worth telling: a response of ours may be under way.
    pub(super) const fn is_exposed(&self) -> bool {
        !matches!(self, Self::Fresh { .. } | Self::Confirmed { .. })
    }

    /// A response could not be delivered (§17.2.4 as amended): reported, but nothing changes.
    pub(super) fn handle_transport_error(self) -> Step<Self> {
        let action = match self.is_exposed() {
            true => Action::Fail(FailureCause::Transport),
            false => Action::Ignore,
        };
        Step::to(self, action)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, ends, instant, lives, reliably, run};
    use super::Action::{Deliver, Fail, Ignore, Send, Trying};
    use super::*;

    type Machine = ServerInvite<()>;

    fn fresh() -> Machine {
        Machine::new((), at(0))
    }

    fn proceeding() -> Machine {
        lives(fresh().respond(at(100), 180, b"180"), Send)
    }

    fn completed(context: TransactionContext) -> Machine {
        lives(fresh().respond(context, 486, b"486"), Send)
    }

    fn confirmed(context: TransactionContext) -> Machine {
        lives(completed(context).handle_ack(context), Ignore)
    }

    fn accepted() -> Machine {
        lives(proceeding().respond(at(1_000), 200, b"200"), Send)
    }

    #[test]
    fn a_silent_user_is_covered_after_200_ms() {
        let (log, machine) = run(fresh(), 60_000, at(0));
        assert_eq!(log, [(200, Trying)]);
        let machine = machine.expect("it waits for the user");
        assert_eq!(machine.request(), Some(&()));
        let machine = lives(machine.respond(at(200), 100, b"100"), Send);
        assert!(machine.request().is_none() && machine.deadline().is_none());
        assert_eq!(lives(machine.handle_request(), Send).kept(), b"100");
    }

    #[test]
    fn the_latest_provisional_response_is_repeated() {
        let machine = lives(fresh().handle_request(), Ignore);
        let machine = lives(machine.respond(at(100), 180, b"180"), Send);
        let machine = lives(machine.handle_request(), Send);
        assert_eq!((machine.kept(), machine.deadline()), (&b"180"[..], None));
        let machine = lives(machine.respond(at(900), 183, b"183"), Send);
        let machine = lives(machine.handle_ack(at(950)), Ignore);
        assert_eq!(lives(machine.handle_request(), Send).kept(), b"183");
    }

    #[test]
    fn a_rejection_is_repeated_until_timer_h() {
        let (log, end) = run(completed(at(0)), 60_000, at(0));
        let sent = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        assert_eq!(log[..10], sent.map(|at| (at, Send)));
        assert_eq!(log[10..], [(32_000, Fail(FailureCause::Timeout))]);
        assert!(end.is_none());
    }

    #[test]
    fn a_rejection_on_a_reliable_transport_is_sent_once() {
        let (log, end) = run(completed(reliably(0)), 60_000, reliably(0));
        assert_eq!(log, [(32_000, Fail(FailureCause::Timeout))]);
        assert!(end.is_none());
    }

    #[test]
    fn a_repeated_invite_gets_the_rejection_again() {
        for status in [300, 404, 500, 600] {
            let machine = lives(proceeding().respond(at(200), status, b"no"), Send);
            let due = machine.deadline();
            let machine = lives(machine.handle_request(), Send);
            assert_eq!((machine.kept(), machine.deadline()), (&b"no"[..], due));
            let machine = lives(machine.respond(at(300), 200, b"200"), Ignore);
            let machine = lives(machine.respond(at(300), 180, b"180"), Ignore);
            assert_eq!(lives(machine.respond(at(300), 603, b"603"), Ignore).kept(), b"no");
        }
    }

    #[test]
    fn ack_ends_the_repetition_and_copies_of_it_are_absorbed() {
        let machine = confirmed(at(700));
        assert!(machine.kept().is_empty());
        let machine = lives(machine.handle_ack(at(800)), Ignore);
        let machine = lives(machine.handle_request(), Ignore);
        let machine = lives(machine.respond(at(900), 200, b"200"), Ignore);
        let (log, end) = run(machine, 60_000, at(0));
        assert_eq!(log, [(5_700, Ignore)], "Timer I is T4");
        assert!(end.is_none());
        assert_eq!(run(confirmed(reliably(700)), 60_000, reliably(700)).0, [(700, Ignore)]);
    }

    #[test]
    fn an_accepted_invite_is_absorbed_until_timer_l() {
        for status in [200, 299] {
            for machine in [fresh(), proceeding()] {
                let machine = lives(machine.respond(at(1_000), status, b"200"), Send);
                assert!(machine.kept().is_empty() && machine.request().is_none());
                let machine = lives(machine.handle_request(), Ignore);
                let machine = lives(machine.respond(at(1_500), 200, b"200"), Send);
                let machine = lives(machine.handle_ack(at(1_600)), Deliver);
                let machine = lives(machine.handle_ack(at(1_700)), Deliver);
                let machine = lives(machine.respond(at(1_800), 486, b"486"), Ignore);
                let machine = lives(machine.respond(at(1_800), 180, b"180"), Ignore);
                let (log, end) = run(machine, 60_000, at(0));
                assert_eq!(log, [(33_000, Ignore)]);
                assert!(end.is_none());
            }
        }
    }

    #[test]
    fn transport_errors_are_told_and_change_nothing() {
        for machine in [proceeding(), completed(at(0)), accepted()] {
            let due = machine.deadline();
            let machine = lives(machine.handle_transport_error(), Fail(FailureCause::Transport));
            assert_eq!(machine.deadline(), due);
        }
        lives(fresh().handle_transport_error(), Ignore);
        lives(confirmed(at(0)).handle_transport_error(), Ignore);
    }

    #[test]
    fn a_deadline_that_is_not_due_changes_nothing() {
        for machine in [fresh(), proceeding(), completed(at(0)), confirmed(at(0)), accepted()] {
            let due = machine.deadline();
            assert_eq!(lives(machine.handle_deadline(at(1)), Ignore).deadline(), due);
        }
        ends(accepted().handle_deadline(at(99_000)), Ignore);
        assert_eq!(accepted().deadline(), Some(instant(33_000)));
    }
}
