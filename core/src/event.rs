//! The events that a phone reports to the application.

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
#[non_exhaustive]
pub struct Cause {
    /// The SIP status code, 100 to 699.
    pub code: u16,
    /// The reason phrase, as it came.
    pub reason: String,
    /// The value of Retry-After in seconds, if the response has one.
    pub retry_after: Option<u32>,
}

impl Cause {
    /// A cause without Retry-After.
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
        /// The response; `None` when none came, or REGISTER could not be sent.
        cause: Option<Cause>,
        /// Why REGISTER could not be sent, where that is known.
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
    /// Somebody has called, and was refused for want of something here; there is no call.
    CallRefused {
        /// The caller's URI, from From.
        from: String,
        /// The called URI, from To.
        to: String,
        /// What the caller was answered.
        code: u16,
        /// What was missing: room ([`Error::TooManyCalls`]), ports, an address for the caller.
        error: Error,
    },
    /// A call's state changed, or a provisional response came (180 while DIALING).
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
        /// The local error, if one ended the call: no free ports, no address to advertise.
        error: Option<Error>,
    },
    /// One side put the other on hold, or resumed (RFC 3264 §8.4).
    Hold {
        /// The call.
        call: CallId,
        /// Who holds: this side by [`crate::phone::Phone::hold`], which the far end has agreed to, or
        /// the far end. Both may at once.
        by: HoldBy,
        /// Whether the other is held now.
        held: bool,
    },
    /// A hold or resume of ours failed; the session is unchanged (RFC 3261 §14.1).
    HoldFailed {
        /// The call.
        call: CallId,
        /// True when the hold failed, false when the resume failed.
        held: bool,
        /// The response; `None` when none came, when the re-INVITE could not be sent, or when the
        /// application asked for the contrary before the far end had agreed.
        cause: Option<Cause>,
    },
    /// The far end changed the session: codec, direction, or where its media is (RFC 3261 §14.2; the
    /// seed's renegotiate).
    Renegotiated {
        /// The call.
        call: CallId,
    },
    /// A transfer of ours made progress (RFC 3515).
    Transfer {
        /// The call.
        call: CallId,
        /// The URI that the far end is transferred to.
        to: String,
        /// How far it has come.
        outcome: TransferOutcome,
        /// Whether that is its end, which comes once: blind with [`TransferOutcome::Accepted`] or
        /// `Failed`, otherwise with `Succeeded` or `Failed`.
        last: bool,
        /// The response to REFER, or the target's that was reported; `None` when there was none.
        cause: Option<Cause>,
    },
    /// The far end asks us to call somebody else instead (REFER, RFC 3515). Nothing happens unless
    /// the application calls [`Phone::accept_referral`](crate::phone::Phone::accept_referral) within
    /// 20 s. Only where [`accept_transfer`](crate::config::PhoneParameters::accept_transfer) is set.
    Referred {
        /// The call.
        call: CallId,
        /// This request.
        referral: ReferralId,
        /// The URI that we should call.
        to: String,
        /// The URI of the referrer, from Referred-By, or else the far end's URI; not authenticated.
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
        /// The sender's URI, from From; not authenticated.
        from: String,
        /// The URI that it was sent to, from To.
        to: String,
        /// The body as received: at most a datagram, of any media type.
        body: Vec<u8>,
        /// The value of Content-Type; `text/plain` where the sender gave none.
        content_type: String,
    },
    /// The answer to a request of the application: an OPTIONS, an instant message, or one of any
    /// other method.
    Response {
        /// Which request.
        request: SipRequestId,
        /// The final response. Without one, the error that kept the request from being sent; `None`
        /// when it was sent, or the reason is not known.
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
    /// The time from sending the request to the response, without the search for a path (DNS,
    /// connection).
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
