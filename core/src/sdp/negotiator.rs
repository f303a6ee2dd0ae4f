//! stub
use core::net::{IpAddr, SocketAddr};

use super::{Direction, SessionDescription};
use crate::codec::Codec;
use crate::event::PayloadFormat;
use crate::time::Duration;

/// What we bring to one audio stream.
#[derive(Clone, Debug)]
pub struct LocalMedia<'a> {
    /// The address to tell the peer; never unspecified.
    pub address: IpAddr,
    /// Where we receive RTP.
    pub rtp_port: u16,
    /// Where we receive RTCP.
    pub rtcp_port: u16,
    /// The codecs we can use, best first.
    pub codecs: &'a [Codec],
    /// How much audio we would like in a packet.
    pub ptime: Duration,
    /// What we want: our direction.
    pub direction: Direction,
    /// Whether to offer and accept telephone-event (RFC 4733).
    pub telephone_event: bool,
}

/// What an offer and its answer agreed for one audio stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agreed {
    /// Which of our [`LocalMedia`], from 0.
    pub stream: u8,
    /// Where the peer receives RTP; unspecified when it is on hold by `c=0.0.0.0`, and then the
    /// direction does not send and RTCP must not be sent either (RFC 3264 §8.4).
    pub remote_rtp: SocketAddr,
    /// Where the peer receives RTCP.
    pub remote_rtcp: SocketAddr,
    /// Our direction.
    pub direction: Direction,
    /// What we send: the peer's number for the first common codec.
    pub send: PayloadFormat,
    /// What the peer may send.
    pub receive: Vec<PayloadFormat>,
    /// The peer's payload type for telephone-event.
    pub telephone_event_send: Option<u8>,
    /// Our payload type for telephone-event.
    pub telephone_event_receive: Option<u8>,
    /// How much audio a packet that we send carries.
    pub ptime: Duration,
}

/// Why an offer is refused with 488 Not Acceptable Here.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAcceptable {
    /// No audio stream that could be taken.
    #[error("the offer has no audio stream that could be taken")]
    NoAudio,
}

/// What is wrong with an answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// There is no offer of ours to which it could be the answer.
    #[error("an answer without an offer")]
    NoOffer,
}

/// The offers and answers of one dialog (RFC 3264). Fork a clone for each early dialog.
#[derive(Clone, Debug)]
pub struct Negotiator {}

impl Negotiator {
    /// A negotiator whose descriptions carry this session id (RFC 8866 §5.2: unique; a random
    /// number will do).
    pub fn new(_session_id: u64) -> Self {
        Self {}
    }

    /// Makes an offer. A re-offer keeps the number and order of the media sections.
    pub fn offer(&mut self, _media: &[LocalMedia<'_>]) -> SessionDescription {
        SessionDescription::default()
    }

    /// Answers an offer: each audio section takes the next of `media`, everything else is refused
    /// with port 0. What was agreed is one entry a stream in use; a stream that is missing in it is
    /// over.
    ///
    /// # Errors
    /// 488 is the answer when nothing is common; what was agreed before stays.
    pub fn answer(
        &mut self,
        _offer: &SessionDescription,
        _media: &[LocalMedia<'_>],
    ) -> Result<(SessionDescription, Vec<Agreed>), NotAcceptable> {
        Err(NotAcceptable::NoAudio)
    }

    /// Takes the answer to our last offer.
    pub fn accept(&mut self, _answer: &SessionDescription) -> Result<Vec<Agreed>, AnswerError> {
        Err(AnswerError::NoOffer)
    }

    /// Our offer was refused or its request failed: what was agreed before stays (RFC 3261 §14.1).
    pub fn withdraw(&mut self) {}
}
