//! Names and states of phones and calls.

use core::fmt;

/// Names a call of one phone; never used again for another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a request of a call's far end to call somebody else: [`CallEvent::Referred`](crate::event::CallEvent::Referred).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReferralId(pub u64);

/// Names a SIP request of the application, until [`Event::Response`](crate::event::Event::Response)
/// tells the answer; never used again for another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SipRequestId(pub u64);

/// The state of a phone (pyVoIP's PhoneStatus). The list is complete: a match needs no wildcard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum PhoneStatus {
    /// Not started, or fully stopped (INACTIVE).
    #[default]
    Inactive,
    /// Starting, or registering again (REGISTERING).
    Registering,
    /// Ready for use (REGISTERED); also a phone that needs no registration.
    Registered,
    /// Stopping (DEREGISTERING).
    Deregistering,
    /// Starting failed, or registration was lost for good (FAILED).
    Failed,
}

/// The state of a call (pyVoIP's CallState). The list is complete: a call that is held, early or
/// transferred is in one of these.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CallState {
    /// We call, and nobody has answered yet (DIALING).
    Dialing,
    /// We are called, and have not answered yet (RINGING).
    Ringing,
    /// A 183 Session Progress was received (outgoing) or sent (incoming) (PROGRESS).
    Progress,
    /// The call is up (ANSWERED).
    Answered,
    /// We cancelled a call that was dialing, and its end is not yet known (CANCELING).
    Canceling,
    /// It is over (ENDED).
    Ended,
}

impl CallState {
    /// The state in lower case, as the command prints it: `dialing`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dialing => "dialing",
            Self::Ringing => "ringing",
            Self::Progress => "progress",
            Self::Answered => "answered",
            Self::Canceling => "canceling",
            Self::Ended => "ended",
        }
    }
}

impl fmt::Display for CallState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who began a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CallDirection {
    /// We called.
    Outgoing,
    /// We were called.
    Incoming,
}

/// Who ended a call, or what. The list is complete: what is more particular is in the response and the
/// error beside it ([`Ending`](crate::event::Ending)).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EndedBy {
    /// This side: hangup, deny, cancel or stop.
    Local,
    /// The far end.
    Remote,
    /// Nobody: something that had to come did not come in time.
    Timeout,
    /// A fault here or on the network.
    Error,
}

impl EndedBy {
    /// The word the command prints: `local`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
            Self::Timeout => "timeout",
            Self::Error => "error",
        }
    }
}

/// Who put a call on hold.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HoldBy {
    /// This side.
    Local,
    /// The far end.
    Remote,
}

impl HoldBy {
    /// The word the command prints: `local`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
        }
    }
}

/// How far a transfer of ours has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum TransferOutcome {
    /// The far end will call the target. A blind transfer is done with that: the call ends now.
    Accepted,
    /// The target has answered; the call ends now.
    Succeeded,
    /// The far end refused, the target was not reached, or nobody said what became of it. Unless the
    /// call has ended meanwhile, it goes on.
    Failed,
}

impl TransferOutcome {
    /// The word the command prints: `accepted`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}
