//! What signalling and the media machine of a call tell each other: values only, so that the two may
//! run on two threads, and as bytes in two programs.

mod bytes;
mod symmetric_rtp;

pub use bytes::MediaBytesError;
pub use symmetric_rtp::{SymmetricRtp, SymmetricRtpError};

use crate::host::MediaPort;
use crate::sdp::Agreed;
use crate::time::Duration;

/// What signalling tells the media machine of a call.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum MediaControl {
    /// The first, and once: before an offer or an answer of ours leaves.
    Open {
        /// Our RTCP canonical name (RFC 3550 §6.5.1).
        cname: String,
        /// How the session behaves.
        options: MediaOptions,
    },
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

/// How a media session behaves.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MediaOptions {
    /// After how long without any RTP or RTCP, though some should come, to tell
    /// [`MediaEvent::Silent`]; `None` never. Default 60 s.
    pub silence_timeout: Option<Duration>,
    /// How far the source of RTP may differ from the address in the session description.
    pub symmetric_rtp: SymmetricRtp,
    /// How long a digit that is sent is pressed. Default 100 ms.
    pub digit_duration: Duration,
    /// How long to wait between two digits. Default 100 ms.
    pub digit_pause: Duration,
}

impl Default for MediaOptions {
    fn default() -> Self {
        Self {
            silence_timeout: Some(Duration::from_secs(60)),
            symmetric_rtp: SymmetricRtp::default(),
            digit_duration: Duration::from_millis(100),
            digit_pause: Duration::from_millis(100),
        }
    }
}

/// All that a stream needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MediaParameters {
    /// How its packets travel.
    pub transport: MediaTransport,
    /// What an offer and its answer agreed.
    pub agreed: Agreed,
}

impl MediaParameters {
    /// What was agreed, by this transport.
    pub const fn new(transport: MediaTransport, agreed: Agreed) -> Self {
        Self { transport, agreed }
    }
}

/// How the packets of a stream travel. What protects them, and with which keys, is said here too: it may
/// change with each offer and answer, as the rest does.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MediaTransport {
    /// RTP and RTCP in the clear, each on its own socket of a pair (RFC 3550 §11).
    Rtp {
        /// The pair.
        port: MediaPort,
    },
}

impl MediaTransport {
    /// The local pair of ports.
    pub const fn port(&self) -> MediaPort {
        match self {
            Self::Rtp { port } => *port,
        }
    }
}

/// What happens in the media machine of a call. The application sees it as a
/// [`CallEvent`](crate::event::CallEvent), which says the same in std's time.
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
