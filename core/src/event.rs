//! The events that a phone reports to the application. Their times are the standard library's.

use core::time::Duration;

use crate::error::Error;
use crate::media::{MediaControl, MediaEvent};
use crate::rtp::MediaStats;
use crate::sip::{BodyPart, Message, Reason};
use crate::time;

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

/// What happened: on the phone, on one of its calls, to a request of the application.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Something happened on the phone.
    Phone(PhoneEvent),
    /// Something happened on a call.
    Call {
        /// The call.
        call: CallId,
        /// What happened.
        event: CallEvent,
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
    /// What the media machine of a call has to do: from a [`Phone`](crate::phone::Phone) alone, never
    /// from a [`Softphone`](crate::softphone::Softphone).
    Media {
        /// The call.
        call: CallId,
        /// What to do.
        control: MediaControl,
    },
}

/// What happened on a phone.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum PhoneEvent {
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
}

/// What happened on a call: in its signalling, and in its media.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum CallEvent {
    /// The call's state changed, or a provisional response came (180 while DIALING).
    State {
        /// The new state.
        state: CallState,
        /// The response that caused it, if one did.
        cause: Option<Cause>,
    },
    /// One side put the other on hold, or resumed (RFC 3264 §8.4).
    Hold {
        /// Who holds: this side by [`hold`](crate::phone::Phone::hold), which the far end has agreed
        /// to, or the far end. Both may at once.
        by: HoldBy,
        /// Whether the other is held now.
        held: bool,
    },
    /// A hold or resume of ours failed; the session is unchanged (RFC 3261 §14.1).
    HoldFailed {
        /// True when the hold failed, false when the resume failed.
        held: bool,
        /// The response; `None` when none came, when the re-INVITE could not be sent, or when the
        /// application asked for the contrary before the far end had agreed.
        cause: Option<Cause>,
    },
    /// The far end changed the session: codec, direction, or where its media is (RFC 3261 §14.2;
    /// pyVoIP's renegotiate).
    Renegotiated,
    /// A transfer of ours made progress (RFC 3515).
    Transfer {
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
    /// the application calls [`accept_referral`](crate::phone::Phone::accept_referral) within 20 s.
    /// Only where [`accept_transfer`](crate::config::PhoneParameters::accept_transfer) is set.
    Referred {
        /// This request.
        referral: ReferralId,
        /// The URI that we should call.
        to: String,
        /// The URI of the referrer, from Referred-By, or else the far end's URI; not authenticated.
        by: String,
    },
    /// The far end pressed a digit, and has released it.
    Dtmf {
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digit: char,
        /// How long it was pressed, as far as was heard.
        duration: Duration,
    },
    /// Every digit that was to be sent has been.
    DtmfSent,
    /// Every audio sample that was written has been sent: with every frame, where the application writes
    /// frame by frame. `offhook`'s `Call` does not tell it; a mark does.
    AudioSent,
    /// A mark that the application set after some of its audio was reached.
    Mark {
        /// Its name.
        name: String,
        /// Whether the sample before it was sent; not when that was flushed, when the call was held
        /// or a digit stood in its place, and when the call ended.
        played: bool,
    },
    /// Neither RTP nor RTCP has come for
    /// [`media_timeout`](crate::config::PhoneParameters::media_timeout), though it should; a call that
    /// is ANSWERED ends now.
    Silent,
    /// The far end said goodbye in RTCP (RFC 3550 §6.6): no more sound comes from that source.
    Goodbye,
    /// The call is over; its last event.
    Ended(Box<Ending>),
    /// A listener was too slow, and missed events. The host tells it, where it keeps events for
    /// several listeners; nothing in this crate does.
    Lagged {
        /// How many.
        missed: u64,
    },
}

impl From<MediaEvent> for CallEvent {
    fn from(event: MediaEvent) -> Self {
        match event {
            MediaEvent::Dtmf { digit, duration } => Self::Dtmf { digit, duration: duration.into() },
            MediaEvent::DtmfSent => Self::DtmfSent,
            MediaEvent::AudioSent => Self::AudioSent,
            MediaEvent::Mark { name, played } => Self::Mark { name, played },
            MediaEvent::Silent => Self::Silent,
            MediaEvent::Goodbye => Self::Goodbye,
        }
    }
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Ending {
    /// Who or what ended it.
    pub by: EndedBy,
    /// The response that ended it, if one did.
    pub cause: Option<Cause>,
    /// The local error, if one ended the call: no free ports, no address to advertise.
    pub error: Option<Error>,
    /// Why, as BYE, CANCEL or the response said (RFC 3326): what the far end gave, or what we did.
    pub reasons: Vec<Reason>,
    /// How long it took to be answered, from the moment it was placed or came in; `None` when it
    /// was not answered.
    pub setup: Option<Duration>,
    /// How long it was up; zero when it was not answered.
    pub duration: Duration,
    /// What its media did. A [`Phone`](crate::phone::Phone) alone does not know: the owner of the
    /// media machine fills it in.
    pub stats: MediaStats,
}

impl Ending {
    /// The end of a call of which nothing else is known.
    pub fn new(by: EndedBy) -> Self {
        Self {
            by,
            cause: None,
            error: None,
            reasons: Vec::new(),
            setup: None,
            duration: Duration::ZERO,
            stats: MediaStats::default(),
        }
    }

    /// Whether another of the phones that rang has answered: it is no missed call (RFC 3326 §3.1).
    pub fn is_answered_elsewhere(&self) -> bool {
        self.reasons.iter().any(|reason| reason.is("SIP", Reason::ANSWERED_ELSEWHERE))
    }

    /// Whether the call had been answered.
    pub fn was_answered(&self) -> bool {
        self.setup.is_some()
    }
}

/// A final response to a request of the application.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Reply {
    /// Its status code and reason phrase.
    pub cause: Cause,
    /// Its header fields as they came.
    pub headers: Vec<(String, String)>,
    /// Its body; `Content-Type` in `headers` says what it is. One of several [`parts`](Self::parts) is
    /// here as a whole.
    pub body: Vec<u8>,
    /// The time from sending the request to the response, without the search for a path (DNS,
    /// connection).
    pub round_trip: Duration,
}

impl Reply {
    /// What came after `round_trip`.
    pub(crate) fn of(response: &Message, round_trip: time::Duration) -> Self {
        let field = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            cause: Cause::of(response),
            headers: response.fields().map(field).collect(),
            body: response.body().to_owned(),
            round_trip: round_trip.into(),
        }
    }

    /// The parts of its body (RFC 5621).
    pub fn parts(&self) -> Vec<BodyPart> {
        BodyPart::split(&self.headers, &self.body)
    }
}
