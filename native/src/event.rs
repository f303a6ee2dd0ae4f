//! What happened on a phone and its calls.

use std::time::Duration;

use offhook_core::rtp::MediaStats;

pub use crate::host::turned_away::TurnedAway;
pub use offhook_core::event::{
    CallDirection, CallId, CallState, Cause, EndedBy, HoldBy, PhoneStatus, TransferOutcome,
};

/// What happened on a [`Phone`](crate::Phone).
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The phone's status changed.
    Status(PhoneStatus),
    /// The server took our registration, for this long.
    Registered {
        /// How long the binding lasts.
        expires: Duration,
    },
    /// The server took our binding away at our request.
    Unregistered,
    /// A registration failed; the phone tries again unless its status is [`PhoneStatus::Failed`].
    RegistrationFailed {
        /// The response; `None` when none came, or REGISTER could not be sent.
        cause: Option<Cause>,
        /// Why REGISTER could not be sent, where that is known.
        error: Option<offhook_core::error::Error>,
    },
    /// [`Phone::start`](crate::Phone::start) has failed, on this side or because of the server, and the
    /// phone is FAILED.
    StartFailed {
        /// The [`code`](crate::Error::code) of the error that `start` returns.
        code: &'static str,
        /// What it says.
        message: String,
    },
    /// Somebody calls; [`Phone::incoming`](crate::Phone::incoming) gives the call.
    Incoming {
        /// The call.
        call: CallId,
        /// The caller's URI.
        from: String,
        /// The called URI.
        to: String,
    },
    /// Somebody has called, and was refused for want of something here; there is no call.
    CallRefused {
        /// The caller's URI.
        from: String,
        /// The called URI.
        to: String,
        /// What the caller was answered.
        code: u16,
        /// What was missing: room, ports, an address for the caller.
        error: offhook_core::error::Error,
    },
    /// Somebody sent an instant message (RFC 3428), which has been answered 200.
    Message {
        /// The sender's URI; not authenticated.
        from: String,
        /// The URI that it was sent to.
        to: String,
        /// The body as received, of any media type.
        body: Vec<u8>,
        /// Its media type; `text/plain` where the sender gave none.
        content_type: String,
    },
    /// Something happened on a call.
    Call {
        /// The call.
        call: CallId,
        /// What happened.
        event: CallEvent,
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

/// What happened on a [`Call`](crate::Call).
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum CallEvent {
    /// The call's state changed, or a provisional response came.
    State {
        /// The state.
        state: CallState,
        /// The response that caused it, if one did.
        cause: Option<Cause>,
    },
    /// The far end pressed a digit.
    Dtmf {
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digit: char,
        /// How long it was pressed, as far as was heard.
        duration: Duration,
    },
    /// Every digit that was to be sent has been.
    DtmfSent,
    /// A mark of [`Call::mark`](crate::Call::mark) was reached.
    Mark {
        /// Its name.
        name: String,
        /// Whether the sample before it was sent; not when that was flushed, when the call was held
        /// or a digit stood in its place, and when the call ended.
        played: bool,
    },
    /// One side put the other on hold, or took it off it.
    Hold {
        /// Who holds: we, by [`Call::hold`](crate::Call::hold), or the far end.
        by: HoldBy,
        /// Whether the other is held now.
        held: bool,
    },
    /// A hold or a resume of ours came to nothing; the call is as it was.
    HoldFailed {
        /// True when the hold failed, false when the resume failed.
        held: bool,
        /// The response that refused it, if one did.
        cause: Option<Cause>,
    },
    /// The far end changed the call: codec, direction, or where its media is.
    Renegotiated,
    /// A transfer of ours came further; [`Call::transfer`](crate::Call::transfer) waits for its end.
    Transfer {
        /// The URI that the call is transferred to.
        to: String,
        /// How far it has come.
        outcome: TransferOutcome,
        /// Whether that is its end, which comes once: blind with [`TransferOutcome::Accepted`] or
        /// `Failed`, otherwise with `Succeeded` or `Failed`.
        last: bool,
        /// The response to REFER, or the target's that was reported; `None` when there was none.
        cause: Option<Cause>,
    },
    /// The far end wants us to call somebody else; [`Phone::referrals`](crate::Phone::referrals)
    /// gives what to decide.
    Referred {
        /// The URI that we should call.
        to: String,
        /// The URI of the referrer; not authenticated.
        by: String,
    },
    /// The call is over; the last event of a call.
    Ended(Box<Ending>),
    /// This listener was too slow, and missed events.
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Ending {
    /// Who or what ended it.
    pub by: EndedBy,
    /// The response that ended it, if one did.
    pub cause: Option<Cause>,
    /// The local error, if one ended the call.
    pub error: Option<offhook_core::error::Error>,
    /// How long it took to be answered, from the moment it was placed or came in; `None` when it
    /// was not answered.
    pub setup: Option<Duration>,
    /// How long it was up; zero when it was not answered.
    pub duration: Duration,
    /// What its media did.
    pub stats: MediaStats,
}

impl Ending {
    /// The end of a call whose phone is gone without a word.
    pub(crate) fn lost() -> Self {
        Self {
            by: EndedBy::Error,
            cause: None,
            error: None,
            setup: None,
            duration: Duration::ZERO,
            stats: MediaStats::default(),
        }
    }

    /// Whether the call had been answered.
    pub fn was_answered(&self) -> bool {
        self.setup.is_some()
    }

    /// The error for somebody who still wanted something of the call.
    pub(crate) fn error(&self) -> crate::Error {
        match (&self.error, &self.cause, self.by) {
            (Some(error), ..) => error.clone().into(),
            (None, _, EndedBy::Timeout) if !self.was_answered() => {
                crate::Error::Timeout { what: "an answer to the call" }
            }
            (None, Some(cause), EndedBy::Remote | EndedBy::Error) if !self.was_answered() => {
                crate::Error::Rejected { cause: cause.clone() }
            }
            (None, None, EndedBy::Error) if !self.was_answered() => crate::Error::Unreachable,
            (None, _, by) => crate::Error::Ended { by },
        }
    }
}
