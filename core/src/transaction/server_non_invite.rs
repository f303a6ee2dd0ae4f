//! The non-INVITE server transaction (RFC 3261 §17.2.2, RFC 4320).

use super::FailureCause;
use super::machine::{Action, Step, TransactionContext};
use crate::time::Instant;

/// A request other than INVITE and ACK that came. `R` is the request, kept only until something
/// was answered.
///
/// ```text
///                      | request: deliver
///                      v
///   request: absorb  Trying ---- nothing from the user for 3.5 s: 100 --+
///                    |   |                                              |
///                    |   +-- 1xx from the user: send --+                |
///                    |                                 v                |
///                    |                            Proceeding <----------+
///   200-699 from the |             request: send     |   ^ 1xx from the user: send
///        user: send  |             the latest again  |   |
///                    v                               |
///                Completed <-- 200-699 from the user: send
///                    |
///                    | J                request: send the response again
///                    v
///                Terminated <-- 64*T1 without a final response: tell
/// ```
///
/// The peer gives up 64*T1 after its first copy, and then no response is to be sent (RFC 4320
/// §4.2), so a machine whose user is silent ends by itself. A transport error is reported to the user
/// and changes nothing (§17.2.4 as amended by RFC 6026 §8.8).
#[derive(Debug)]
pub(super) enum ServerNonInvite<R> {
    /// Nothing was answered yet.
    Trying {
        request: R,
        /// When 100 is sent for the user (RFC 4320 §4.1).
        trying: Option<Instant>,
        /// When the peer has given up.
        timeout: Instant,
    },
    /// A provisional response was sent; the latest is repeated for each repeated request.
    Proceeding {
        response: Box<[u8]>,
        /// When the peer has given up.
        timeout: Instant,
    },
    /// The final response was sent and is repeated for each repeated request.
    Completed {
        response: Box<[u8]>,
        /// Timer J.
        end: Instant,
    },
}

impl<R> ServerNonInvite<R> {
    /// The request has just come and goes to the user.
    pub(super) fn new(request: R, context: TransactionContext) -> Self {
        Self::Trying {
            request,
            trying: Some(context.now + context.timing.until_t2()),
            timeout: context.now + context.timing.transaction(),
        }
    }

    /// When [`handle_deadline`](Self::handle_deadline) is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Trying { trying, timeout, .. } => {
                Some(trying.map_or(*timeout, |trying| trying.min(*timeout)))
            }
            Self::Proceeding { timeout, .. } => Some(*timeout),
            Self::Completed { end, .. } => Some(*end),
        }
    }

    /// What [`Action::Send`] means when it was not the user who asked: the latest response.
    pub(super) fn kept(&self) -> &[u8] {
        match self {
            Self::Trying { .. } => &[],
            Self::Proceeding { response, .. } | Self::Completed { response, .. } => response,
        }
    }

    /// The request, while nothing was answered.
    pub(super) fn request(&self) -> Option<&R> {
        match self {
            Self::Trying { request, .. } => Some(request),
            _ => None,
        }
    }

    /// The request has come again.
    pub(super) fn handle_request(self) -> Step<Self> {
        let action = match self {
            Self::Trying { .. } => Action::Ignore,
            Self::Proceeding { .. } | Self::Completed { .. } => Action::Send,
        };
        Step::to(self, action)
    }

    /// The user responds. [`Action::Ignore`] means that it is too late for that.
    pub(super) fn respond(
        self,
        context: TransactionContext,
        status: u16,
        response: &[u8],
    ) -> Step<Self> {
        match (self, status) {
            (Self::Trying { timeout, .. } | Self::Proceeding { timeout, .. }, ..=199) => {
                Step::to(Self::Proceeding { response: response.into(), timeout }, Action::Send)
            }
            (Self::Trying { .. } | Self::Proceeding { .. }, _) => {
                let end = context.now + context.linger(context.timing.transaction());
                Step::to(Self::Completed { response: response.into(), end }, Action::Send)
            }
            (state @ Self::Completed { .. }, _) => Step::to(state, Action::Ignore),
        }
    }

    /// A timer fired.
    pub(super) fn handle_deadline(self, context: TransactionContext) -> Step<Self> {
        match self {
            Self::Trying { timeout, .. } | Self::Proceeding { timeout, .. }
                if timeout <= context.now =>
            {
                Step::end(Action::Fail(FailureCause::Timeout))
            }
            Self::Trying { request, trying: Some(at), timeout } if at <= context.now => {
                Step::to(Self::Trying { request, trying: None, timeout }, Action::Trying)
            }
            Self::Completed { end, .. } if end <= context.now => Step::end(Action::Ignore),
            state => Step::to(state, Action::Ignore),
        }
    }

    /// Whether a transport error is worth telling: a response of ours may be under way.
    pub(super) const fn is_exposed(&self) -> bool {
        !matches!(self, Self::Trying { .. })
    }

    /// A response could not be delivered: reported, but nothing changes.
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
    use super::super::testing::{at, lives, reliably, run};
    use super::Action::{Fail, Ignore, Send, Trying};
    use super::*;

    type Machine = ServerNonInvite<()>;

    fn trying() -> Machine {
        Machine::new((), at(0))
    }

    fn proceeding() -> Machine {
        lives(trying().respond(at(100), 100, b"100"), Send)
    }

    fn completed(context: TransactionContext) -> Machine {
        lives(trying().respond(context, 200, b"200"), Send)
    }

    #[test]
    fn a_silent_user_is_covered_once_and_then_given_up() {
        let (log, end) = run(trying(), 60_000, at(0));
        assert_eq!(log, [(3_500, Trying), (32_000, Fail(FailureCause::Timeout))]);
        assert!(end.is_none());
        let (log, end) = run(proceeding(), 60_000, at(0));
        assert_eq!(log, [(32_000, Fail(FailureCause::Timeout))]);
        assert!(end.is_none());
    }

    #[test]
    fn nothing_is_said_before_the_user_does() {
        let machine = lives(trying().handle_request(), Ignore);
        assert_eq!((machine.request(), machine.kept()), (Some(&()), &b""[..]));
    }

    #[test]
    fn the_latest_provisional_response_is_repeated() {
        let machine = lives(proceeding().handle_request(), Send);
        assert_eq!((machine.kept(), machine.request()), (&b"100"[..], None));
        let machine = lives(machine.respond(at(200), 183, b"183"), Send);
        assert_eq!(lives(machine.handle_request(), Send).kept(), b"183");
    }

    #[test]
    fn the_final_response_is_repeated_until_timer_j() {
        for status in [200, 302, 404, 500, 603] {
            for machine in [trying(), proceeding()] {
                let machine = lives(machine.respond(at(1_000), status, b"end"), Send);
                let machine = lives(machine.handle_request(), Send);
                let machine = lives(machine.respond(at(1_100), 500, b"other"), Ignore);
                let machine = lives(machine.respond(at(1_100), 100, b"100"), Ignore);
                assert_eq!(machine.kept(), b"end");
                let (log, end) = run(machine, 60_000, at(0));
                assert_eq!(log, [(33_000, Ignore)]);
                assert!(end.is_none());
            }
        }
        assert_eq!(run(completed(reliably(70)), 60_000, reliably(70)).0, [(70, Ignore)]);
    }

    #[test]
    fn transport_errors_are_told_and_change_nothing() {
        lives(trying().handle_transport_error(), Ignore);
        for machine in [proceeding(), completed(at(0))] {
            let due = machine.deadline();
            let machine = lives(machine.handle_transport_error(), Fail(FailureCause::Transport));
            assert_eq!(machine.deadline(), due);
        }
    }

    #[test]
    fn a_deadline_that_is_not_due_changes_nothing() {
        for machine in [trying(), proceeding(), completed(at(0))] {
            let due = machine.deadline();
            assert_eq!(lives(machine.handle_deadline(at(1)), Ignore).deadline(), due);
        }
    }
}
