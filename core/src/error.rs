//! Errors of the phone's commands. Errors of single layers stand with them.

use core::net::{IpAddr, SocketAddr};

use crate::host::Transport;
use crate::nat::NatError;
use crate::quoted::Quoted;
use crate::state::{CallId, CallState, PhoneStatus, ReferralId};

/// Why a command was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The call's state does not allow the command (pyVoIP's InvalidStateError).
    #[error("cannot {command} a call that is {state}")]
    InvalidState {
        /// The command.
        command: &'static str,
        /// The state the call is in.
        state: CallState,
    },
    /// The phone's status does not allow the command.
    #[error("cannot {command} a phone that is {}", format!("{status:?}").to_ascii_lowercase())]
    InvalidStatus {
        /// The command.
        command: &'static str,
        /// The status the phone has.
        status: PhoneStatus,
    },
    /// No call has this id, or the call is long over.
    #[error("there is no call {call}, or it is over")]
    NoSuchCall {
        /// The number.
        call: CallId,
    },
    /// The low RTP port is above the high one, or the range holds no pair (pyVoIP's
    /// InvalidRangeError).
    #[error("the RTP port range {low} to {high} holds no even port followed by an odd one")]
    InvalidRange {
        /// The low end.
        low: u16,
        /// The high end.
        high: u16,
    },
    /// No pair of RTP ports is free (pyVoIP's NoPortsAvailableError).
    #[error("no pair of RTP ports is free from {low} to {high}: end calls or widen the range")]
    NoPortsAvailable {
        /// The low end.
        low: u16,
        /// The high end.
        high: u16,
    },
    /// The far end took the call, but nothing was agreed that could be heard; it was hung up.
    #[error("the call cannot be heard: {problem}")]
    NoMedia {
        /// What is wrong with the far end's offer or answer.
        problem: &'static str,
    },
    /// The peer is outside `bind_network` and there is no `remote_hostname` (pyVoIP's NATError).
    #[error("{peer} is outside bind_network and no remote_hostname is set to tell it")]
    Nat {
        /// The peer.
        peer: IpAddr,
    },
    /// The target of a request cannot be reached.
    #[error("{peer} cannot be reached: {problem}")]
    Unreachable {
        /// Whom, as it was asked for.
        peer: String,
        /// What is in the way.
        problem: String,
    },
    /// The peer has challenged a request, and has not answered it once it had credentials.
    #[error(
        "{peer} asked for credentials ({challenge}) and did not answer the request that had them: \
         it may be overloaded, or larger packets may be lost on the way"
    )]
    NoAnswer {
        /// Whom, as it was asked for.
        peer: String,
        /// The status of the challenge: 401 or 407.
        challenge: u16,
    },
    /// A certificate was refused: the peer's, by us, or ours, by the peer.
    #[error("{peer} cannot be trusted: {problem}")]
    Untrusted {
        /// Whom, as it was asked for.
        peer: String,
        /// What is wrong with the peer's certificate, or with ours.
        problem: String,
    },
    /// A value that the application gave cannot be used.
    #[error("{what} {} cannot be used: {problem}", Quoted(.value))]
    InvalidValue {
        /// What kind of value: `target`, `header`, `digit`.
        what: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A message is larger than a MESSAGE may be (RFC 3428 §8).
    #[error(
        "the message is too large: with its header fields it may have {limit} bytes (RFC 3428)"
    )]
    TooLarge {
        /// How many bytes the whole request may have.
        limit: usize,
    },
    /// The phone has `max_calls` calls already.
    #[error("the phone already has {limit} calls: end some, or raise max_calls")]
    TooManyCalls {
        /// The limit.
        limit: usize,
    },
    /// The switchboard has as many lines as it may.
    #[error("the switchboard already has {limit} lines")]
    TooManyLines {
        /// The limit.
        limit: usize,
    },
    /// A transfer of the call is under way already.
    #[error("call {call} is being transferred already")]
    TransferPending {
        /// The call.
        call: CallId,
    },
    /// This referral cannot be answered any more: it was answered, it has timed out, or its call is
    /// over.
    #[error("nobody waits for an answer to referral {}", referral.0)]
    NoSuchReferral {
        /// The referral.
        referral: ReferralId,
    },
    /// As many pings, messages and other requests as there may be wait for their answers.
    #[error("{limit} requests wait for their answers already")]
    TooManyRequests {
        /// The limit.
        limit: usize,
    },
}

impl Error {
    pub(crate) fn invalid(what: &'static str, value: &str, problem: &'static str) -> Self {
        Self::InvalidValue { what, value: value.to_owned(), problem }
    }

    /// The network has refused what was sent to a server of `peer`; over UDP that is an ICMP error.
    pub(crate) fn refused(peer: &str, transport: Transport, to: SocketAddr) -> Self {
        let transport = transport.as_str();
        let problem = format!("nothing listens at {to} ({transport}), or no way leads there");
        Self::Unreachable { peer: peer.to_owned(), problem }
    }

    /// The error's name for programs, the same for good: `invalid_state`. The command prints it and
    /// JavaScript's errors carry it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidState { .. } => "invalid_state",
            Self::InvalidStatus { .. } => "invalid_status",
            Self::NoSuchCall { .. } => "no_such_call",
            Self::InvalidRange { .. } => "invalid_range",
            Self::NoPortsAvailable { .. } => "no_ports_available",
            Self::NoMedia { .. } => "no_media",
            Self::Nat { .. } => "nat",
            Self::Unreachable { .. } => "unreachable",
            Self::NoAnswer { .. } => "no_answer",
            Self::Untrusted { .. } => "untrusted",
            Self::InvalidValue { .. } => "invalid_value",
            Self::TooLarge { .. } => "too_large",
            Self::TooManyCalls { .. } => "too_many_calls",
            Self::TooManyLines { .. } => "too_many_lines",
            Self::TransferPending { .. } => "transfer_pending",
            Self::NoSuchReferral { .. } => "no_such_referral",
            Self::TooManyRequests { .. } => "too_many_requests",
        }
    }
}

impl From<NatError> for Error {
    fn from(error: NatError) -> Self {
        match error {
            NatError::Outside { peer } | NatError::NoAddress { peer } => Self::Nat { peer },
        }
    }
}
