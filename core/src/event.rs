//! What signalling tells the application, and what signalling and media tell each other.

use core::fmt;
use core::net::SocketAddr;

use crate::codec::Codec;
use crate::error::Error;
use crate::host::MediaPort;
use crate::sdp::{Direction, TelephoneEvents};
use crate::sip::Message;
use crate::time::Duration;

/// Names a call of one phone; never used again for another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names an OPTIONS request of [`crate::phone::Phone::options`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PingId(pub u64);

/// Names a MESSAGE request of [`crate::phone::Phone::message`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MessageId(pub u64);

/// Names a request of a call's far end to call somebody else: [`Event::Referred`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReferralId(pub u64);

/// Names a request of [`crate::phone::Phone::request`]; pings and messages are numbered with them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ErrandId(pub u64);

/// The state of a phone (the seed's PhoneStatus).
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

/// The state of a call (the seed's CallState).
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

/// Who ended a call, or what.
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

/// How far a transfer of ours has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
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
    /// The answer to an OPTIONS request.
    Pong {
        /// Which request.
        ping: PingId,
        /// The final response; `None` when none came.
        cause: Option<Cause>,
        /// What was in the way, where there was no way to send it.
        error: Option<Error>,
        /// From sending to the answer.
        round_trip: Duration,
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
    /// The answer to a request of [`crate::phone::Phone::request`].
    Response {
        /// Which request.
        request: ErrandId,
        /// The final response; `None` when none came.
        reply: Option<Reply>,
        /// What was in the way, where there was no way to send it.
        error: Option<Error>,
    },
    /// What became of an instant message of ours.
    MessageSent {
        /// Which message.
        message: MessageId,
        /// The final response; `None` when none came. 513 also when the message was not sent
        /// because it would be larger than RFC 3428 §8 allows.
        cause: Option<Cause>,
        /// What was in the way, where there was no way to send it.
        error: Option<Error>,
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
}

impl Reply {
    pub(crate) fn of(cause: Cause) -> Self {
        Self { cause, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn whole(cause: Cause, response: &Message) -> Self {
        let field = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let headers = response.fields().map(field).collect();
        Self { cause, headers, body: response.body().to_owned() }
    }
}

/// What signalling tells the media machine of a call. Values only: the two may run on two threads.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum MediaControl {
    /// A stream was negotiated, or negotiated anew.
    Configure {
        /// Which audio stream of the call: those of each dialog in turn (a call that forks has several
        /// until one answers), in the order of their descriptions.
        stream: u8,
        /// What was agreed.
        parameters: MediaParameters,
    },
    /// A stream is over; its pair of ports stays until the call ends, for the stream may come back.
    Remove {
        /// Which audio stream of the call.
        stream: u8,
    },
    /// A pair of ports is of no more use to any stream: we have left its network.
    Release {
        /// The pair.
        port: MediaPort,
    },
    /// The call is over: say goodbye (RFC 3550 §6.6) and stop.
    Close,
}

/// A payload type number and the codec that it means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PayloadFormat {
    /// The RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// What it carries.
    pub codec: Codec,
}

/// What an offer and its answer agreed for one audio stream (RFC 3264 §5 to §7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MediaParameters {
    /// The local pair of ports.
    pub port: MediaPort,
    /// Where the peer receives RTP.
    pub remote_rtp: SocketAddr,
    /// Where the peer receives RTCP: the next port, or `a=rtcp` (RFC 3605).
    pub remote_rtcp: SocketAddr,
    /// Our direction.
    pub direction: Direction,
    /// What we send: the peer's number for the first common codec.
    pub send: PayloadFormat,
    /// What the peer may send: our numbers.
    pub receive: Vec<PayloadFormat>,
    /// The peer's payload type for telephone-event (RFC 4733), if agreed.
    pub telephone_event_send: Option<u8>,
    /// The events that the peer takes.
    pub telephone_events: TelephoneEvents,
    /// Our payload type for telephone-event, if agreed.
    pub telephone_event_receive: Option<u8>,
    /// How much audio a packet that we send carries.
    pub ptime: Duration,
    /// Our RTCP canonical name (RFC 3550 §6.5.1).
    pub cname: String,
}

/// What the media machine of a call tells.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum MediaEvent {
    /// A whole digit was received.
    Dtmf {
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digit: char,
        /// How long it was pressed, as far as was heard.
        duration: Duration,
    },
    /// Every digit that was queued has been sent.
    DtmfSent,
    /// Every audio sample that was written has been sent.
    AudioSent,
    /// A mark that the application set after some of its audio.
    Mark {
        /// Its name.
        name: String,
        /// Whether the sample before it was sent; not when that was flushed, when the stream was held
        /// or a digit stood in its place, and when the call ended.
        played: bool,
    },
    /// Neither RTP nor RTCP has come for the configured time, though it should.
    Silent,
    /// The peer said goodbye in RTCP (RFC 3550 §6.6).
    Goodbye,
}
