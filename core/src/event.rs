//! What a phone tells the application.

use crate::error::Error;
use crate::media::MediaControl;
use crate::sip::Message;
use crate::time::Duration;

pub use crate::state::{
    CallDirection, CallId, CallState, EndedBy, HoldBy, PhoneStatus, ReferralId, SipRequestId,
    TransferOutcome,
};

/// A response that explains a change: its status code and reason phrase.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cause {
    /// The SIP status code, 100 to 699.
    pub code: u16,
    /// The reason phrase, as it came.
    pub reason: String,
    /// After how many seconds it may be tried again, if the response says so (Retry-After).
    pub retry_after: Option<u32>,
}

impl Cause {
    /// A cause that says nothing of trying again.
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), retry_after: None }
    }
}

/// What happened on a phone.
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
        /// The response; `None` when there was none, or no way to send.
        cause: Option<Cause>,
        /// Why there was no way to send, if more is known than that.
        error: Option<Error>,
    },
    /// Somebody calls; the call is [`CallState::Ringing`].
    Incoming {
        /// The call.
        call: CallId,
        /// The caller's URI, from From.
        from: String,
        /// The called URI, from To.
        to: String,
    },
    /// A call's state changed, or a provisional response told more about it (180 while DIALING).
    State {
        /// The call.
        call: CallId,
        /// The new state.
        state: CallState,
        /// The response that caused it, if one did.
        cause: Option<Cause>,
    },
    /// A call is over; the last event of a call.
    Ended {
        /// The call.
        call: CallId,
        /// Who or what ended it.
        by: EndedBy,
        /// The response that ended it, if one did.
        cause: Option<Cause>,
        /// What went wrong here, if something did: no ports, no address to tell.
        error: Option<Error>,
    },
    /// One side put the other on hold, or took it off it (RFC 3264 §8.4).
    Hold {
        /// The call.
        call: CallId,
        /// Who holds: this side by [`crate::phone::Phone::hold`], which the far end has agreed to, or
        /// the far end. Both may at once.
        by: HoldBy,
        /// Whether the other is held now.
        held: bool,
    },
    /// A hold or a resume of ours came to nothing; the session is as it was (RFC 3261 §14.1).
    HoldFailed {
        /// The call.
        call: CallId,
        /// What was asked for: to hold, or not.
        held: bool,
        /// The response; `None` when there was none, or no way to send, or when the contrary was
        /// asked for before this had been agreed.
        cause: Option<Cause>,
    },
    /// The far end changed the session: codec, direction, or where its media is (RFC 3261 §14.2; the
    /// seed's renegotiate).
    Renegotiated {
        /// The call.
        call: CallId,
    },
    /// A transfer of ours came further (RFC 3515). Each ends once: blind with
    /// [`TransferOutcome::Accepted`] or `Failed`, otherwise with `Succeeded` or `Failed`.
    Transfer {
        /// The call.
        call: CallId,
        /// The URI that it is transferred to.
        to: String,
        /// How far it has come.
        outcome: TransferOutcome,
        /// The response to REFER, or the target's that was reported; `None` when there was none.
        cause: Option<Cause>,
    },
    /// The far end asks us to call somebody else instead (REFER, RFC 3515). Nothing happens unless
    /// [`Phone::accept_referral`](crate::phone::Phone::accept_referral) is told to within 20 s. Only
    /// where [`accept_transfer`](crate::config::PhoneParameters::accept_transfer) is set.
    Referred {
        /// The call.
        call: CallId,
        /// This request.
        referral: ReferralId,
        /// The URI that we should call.
        to: String,
        /// Who wants that, from Referred-By or else the far end's URI; nobody has proved it.
        by: String,
    },
    /// What the media machine of a call has to do.
    Media {
        /// The call.
        call: CallId,
        /// What to do.
        control: MediaControl,
    },
    /// Somebody sent an instant message (RFC 3428), which has been answered 200.
    Message {
        /// The sender's URI, from From; nobody has proved it.
        from: String,
        /// The URI that it was sent to, from To.
        to: String,
        /// What it says, as it came: at most a datagram, of any type.
        body: Vec<u8>,
        /// The value of Content-Type; `text/plain` where the sender gave none.
        content_type: String,
    },
    /// The answer to a request of the application: an OPTIONS, an instant message, or one of any
    /// other method.
    Response {
        /// Which request.
        request: SipRequestId,
        /// The final response. Where none came, what was in the way of sending the request; `None`
        /// when it was sent, or nobody knows.
        reply: Result<Reply, Option<Error>>,
    },
}

/// A final response to a request of the application.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Reply {
    /// Its status code and reason phrase.
    pub cause: Cause,
    /// Its header fields as they came.
    pub headers: Vec<(String, String)>,
    /// Its body; `Content-Type` in `headers` says what it is.
    pub body: Vec<u8>,
    /// From sending the request to the response; without the search for a way there.
    pub round_trip: core::time::Duration,
}

impl Reply {
    /// What came after `round_trip`.
    pub(crate) fn of(response: &Message, round_trip: Duration) -> Self {
        let field = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            cause: Cause::of(response),
            headers: response.fields().map(field).collect(),
            body: response.body().to_owned(),
            round_trip: round_trip.into(),
        }
    }
}
