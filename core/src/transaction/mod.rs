//! Transactions (RFC 3261 §17, RFC 6026): a request and its responses, made reliable hop by hop.
//!
//! [`Layer`] holds all transactions of one endpoint: it finds the one that a message belongs to,
//! absorbs what has come before, repeats what may have been lost, and tells its user (the dialog
//! layer, or a proxy) what is new. Read `machine` and then the four machines, each under the
//! diagram of its states: `client_invite`, `client_non_invite`, `server_invite`,
//! `server_non_invite`.

mod client_invite;
mod client_non_invite;
mod machine;
mod server_invite;
mod server_non_invite;

pub use machine::Timing;

/// Why a transaction failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum FailureCause {
    /// What had to come did not come in time: a response (Timers B and F), the ACK (Timer H), or
    /// the user's own answer.
    Timeout,
    /// The network refused what was sent (§17.1.4, §17.2.4).
    Transport,
    /// The table was full; nothing was sent.
    Refused,
}

#[cfg(test)]
pub(super) mod testing {
    //! Runs a machine alone, in virtual time.

    use super::machine::{Action, Context, Step, Timing};
    use crate::time::{Duration, Instant};

    /// A machine's surroundings at `millis` after the start.
    pub(super) fn at(millis: u64) -> Context {
        Context { now: instant(millis), timing: Timing::default(), reliable: false }
    }

    /// The same on a reliable transport.
    pub(super) fn reliably(millis: u64) -> Context {
        Context { reliable: true, ..at(millis) }
    }

    /// The instant `millis` after the start.
    pub(super) fn instant(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    /// The parts of a machine that every run needs.
    pub(super) trait Machine: Sized {
        fn deadline(&self) -> Option<Instant>;
        fn handle_deadline(self, context: Context) -> Step<Self>;
    }

    macro_rules! machine {
        ($($machine:ty),*) => { $(
            impl Machine for $machine {
                fn deadline(&self) -> Option<Instant> {
                    self.deadline()
                }
                fn handle_deadline(self, context: Context) -> Step<Self> {
                    self.handle_deadline(context)
                }
            }
        )* };
    }
    machine!(
        super::client_invite::ClientInvite,
        super::client_non_invite::ClientNonInvite,
        super::server_invite::ServerInvite<()>,
        super::server_non_invite::ServerNonInvite<()>
    );

    /// Fires the machine's timers, each at its instant, up to `until` milliseconds: what happened
    /// when, and what is left.
    pub(super) fn run<M: Machine>(
        mut machine: M,
        until: u64,
        context: Context,
    ) -> (Vec<(u64, Action)>, Option<M>) {
        let mut log = Vec::new();
        while let Some(due) = machine.deadline().filter(|due| *due <= instant(until)) {
            let Step { next, action } = machine.handle_deadline(Context { now: due, ..context });
            log.push((due.as_micros() / 1_000, action));
            match next {
                Some(next) => machine = next,
                None => return (log, None),
            }
        }
        (log, Some(machine))
    }

    /// The step of a machine that lives on.
    #[track_caller]
    pub(super) fn lives<M>(step: Step<M>, action: Action) -> M {
        assert_eq!(step.action, action);
        step.next.expect("the machine has not ended")
    }

    /// The step of a machine that ends.
    #[track_caller]
    pub(super) fn ends<M>(step: Step<M>, action: Action) {
        assert_eq!(step.action, action);
        assert!(step.next.is_none(), "the machine has ended");
    }
}
