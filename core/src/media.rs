//! What signalling and the media machine of a call tell each other: values only, so that the two may
//! run on two threads.

use core::net::SocketAddr;

use crate::codec::PayloadFormat;
use crate::host::MediaPort;
use crate::sdp::{Direction, TelephoneEvents};
use crate::time::Duration;

/// What signalling tells the media machine of a call.
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
