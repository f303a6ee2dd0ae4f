//! What happened on a phone and its calls: the core's events, and those that only this host knows.

pub use crate::host::turned_away::TurnedAway;
pub use offhook_core::event::{
    CallDirection, CallEvent, CallId, CallState, Cause, EndedBy, Ending, HoldBy, PhoneEvent,
    PhoneStatus, ReferralId, TransferOutcome,
};

/// What happened on a [`Phone`](crate::Phone) and its calls.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Something happened on the phone.
    Phone(PhoneEvent),
    /// Something happened on a call; [`Call::events`](crate::Call::events) tells it too.
    Call {
        /// The call.
        call: CallId,
        /// What happened.
        event: CallEvent,
    },
    /// [`Phone::start`](crate::Phone::start) has failed, on this side or because of the server, and the
    /// phone is FAILED.
    StartFailed {
        /// The [`code`](crate::Error::code) of the error that `start` returns.
        code: &'static str,
        /// What it says.
        message: String,
    },
    /// A hook of the [`CallHandler`](crate::CallHandler) panicked; its call is being ended.
    HandlerPanicked {
        /// The call.
        call: CallId,
        /// Which hook: `ringing`.
        hook: &'static str,
        /// What the panic said.
        message: String,
    },
    /// A peer has connected to us and was turned away; at most one a second is reported.
    TurnedAway(TurnedAway),
    /// This listener was too slow, and missed events.
    Lagged {
        /// How many.
        missed: u64,
    },
}
