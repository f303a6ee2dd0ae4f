//! Offers and answers (RFC 3264).
//!
//! Which codec is used: our offers list our codecs in our order, and their first that the peer takes
//! should be used (§5.1). In answers the offerer's order is kept (§6.1 recommends it) among codecs of
//! one sample rate; whether wide band comes before narrow band is ours to say, by our own order. Payload types are those of
//! the offer in its answer too; what we send always carries the peer's numbers (§5.1, §6.1).

use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};

use super::Direction;
use super::description::{Connection, Line, Media, Origin, SessionDescription};
use super::format::TelephoneEvents;
use super::remote::Remote;
use super::section::{PROTOCOLS, Section, is_audio, is_spoken};
use crate::codec::Codec;
use crate::codec::PayloadFormat;
use crate::time::Duration;

/// A description of one stream is seldom longer, in bytes.
const USUAL_LENGTH: usize = 384;

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
    /// How much audio we would like in a packet; written in whole milliseconds.
    pub ptime: Duration,
    /// What we want: our direction.
    pub direction: Direction,
    /// Whether to offer and accept telephone-event (RFC 4733).
    pub telephone_event: bool,
}

/// What an offer and its answer agreed for one audio stream.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Agreed {
    /// Which of our [`LocalMedia`], from 0.
    pub stream: u8,
    /// Where the peer receives RTP. Unspecified when it holds us by `c=0.0.0.0`: the direction then
    /// does not send, and no RTCP may be sent either (RFC 3264 §8.4).
    pub remote_rtp: SocketAddr,
    /// Where the peer receives RTCP.
    pub remote_rtcp: SocketAddr,
    /// Our direction.
    pub direction: Direction,
    /// What we send: the first common codec of the peer's list, by the peer's number.
    pub send: PayloadFormat,
    /// What the peer may send, by our numbers.
    pub receive: Vec<PayloadFormat>,
    /// The peer's payload type for telephone-event at the clock rate of what we send.
    pub telephone_event_send: Option<u8>,
    /// The events that the peer takes; none when there is no payload type for them.
    pub telephone_events: TelephoneEvents,
    /// Our payload type for telephone-event.
    pub telephone_event_receive: Option<u8>,
    /// How much audio a packet that we send carries: the peer's wish, else ours, 1 to 200 ms.
    pub ptime: Duration,
}

impl Agreed {
    /// One format, sent to `remote_rtp` and received: both ways, RTCP at the next port, no
    /// telephone-event, 20 ms a packet.
    pub fn new(remote_rtp: SocketAddr, format: PayloadFormat) -> Self {
        let rtcp_port = remote_rtp.port().saturating_add(1);
        Self {
            stream: 0,
            remote_rtp,
            remote_rtcp: SocketAddr::new(remote_rtp.ip(), rtcp_port),
            direction: Direction::SendRecv,
            receive: vec![format.clone()],
            send: format,
            telephone_event_send: None,
            telephone_events: TelephoneEvents::default(),
            telephone_event_receive: None,
            ptime: Duration::from_millis(20),
        }
    }
}

/// Why an offer is refused with 488 Not Acceptable Here.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAcceptable {
    /// No audio section, or none that is in use.
    #[error("the offer has no audio")]
    NoAudio,
    /// Audio, but in a profile that we do not speak.
    #[error("the audio is offered as {protocol}, which is not spoken here")]
    Protocol {
        /// The profile.
        protocol: String,
    },
    /// Audio, but from no unicast IP address.
    #[error("the audio has no unicast IP address")]
    NoAddress,
    /// Audio, but from a network that is not the Internet.
    #[error("the audio is on a network of type {network}, and only IN is spoken here")]
    Network {
        /// The type of network.
        network: String,
    },
    /// Audio, but from the family of IP addresses that the call does not speak.
    #[error("the audio's address {ip} is of the other family of IP addresses than this call's")]
    Family {
        /// The address.
        ip: IpAddr,
    },
    /// Audio, but from a group.
    #[error("the audio's address {ip} is a multicast address")]
    Multicast {
        /// The address.
        ip: IpAddr,
    },
    /// Audio, but from an address that is given as a name, and names are not looked up.
    #[error("the audio's address is the host name {name}, and an IP address is wanted")]
    HostName {
        /// The name.
        name: String,
    },
    /// Audio, but no codec that both have.
    #[error("no codec is common: {offered} is offered")]
    NoCodec {
        /// The encodings that were offered.
        offered: String,
    },
}

impl NotAcceptable {
    /// The code for a Warning header field (RFC 3261 §20.43).
    pub const fn warn_code(&self) -> u16 {
        match self {
            Self::NoAudio => 304,
            Self::Protocol { .. } => 302,
            Self::Network { .. } => 300,
            Self::NoAddress | Self::HostName { .. } | Self::Family { .. } => 301,
            Self::Multicast { .. } => 330,
            Self::NoCodec { .. } => 305,
        }
    }
}

/// What is wrong with an answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// There is no offer of ours to which it could be the answer.
    #[error("an answer without an offer")]
    NoOffer,
    /// The number of media sections is not that of the offer (RFC 3264 §6).
    #[error("the answer has {answered} media sections, the offer {offered}")]
    Sections {
        /// How many the offer has.
        offered: usize,
        /// How many the answer has.
        answered: usize,
    },
    /// A section changed its kind or profile (RFC 3264 §6.1).
    #[error("the answer's media section {index} is not of the kind that was offered")]
    Kind {
        /// Which section, from 0.
        index: usize,
    },
    /// Every stream was refused.
    #[error("the peer takes no audio")]
    Refused,
    /// Audio, but from no address that can be reached; why not.
    #[error("{0}")]
    NoAddress(NotAcceptable),
    /// No codec that was offered.
    #[error("the answer has no codec that was offered")]
    NoCodec,
}

/// The offers and answers of one dialog (RFC 3264). A call that forks takes a clone for each dialog.
#[derive(Clone, Debug)]
pub struct Negotiator {
    session_id: u64,
    /// The last description that the peer was sent, for the version (§8): as text, which is a
    /// fraction of its size in a phone with thousands of calls.
    sent: Option<Box<str>>,
    /// The sections as they are agreed.
    sections: Vec<Section>,
    /// Our offer and its sections, until something else is negotiated.
    offer: Option<Offer>,
}

#[derive(Clone, Debug)]
struct Offer {
    sections: Vec<Section>,
    answered: bool,
}

impl Negotiator {
    /// A negotiator whose descriptions carry this session id. A random number will do (RFC 8866
    /// §5.2); its top bit is cleared (RFC 3264 §5).
    pub fn new(session_id: u64) -> Self {
        let session_id = session_id & i64::MAX.unsigned_abs();
        Self { session_id, sent: None, sections: Vec::new(), offer: None }
    }

    /// Whether an offer of ours waits for its answer: a new one must not be made, and one that
    /// comes in is glare (RFC 3264 §4; SIP answers 491).
    pub fn is_offering(&self) -> bool {
        self.offer.as_ref().is_some_and(|offer| !offer.answered)
    }

    /// How many streams have been negotiated, whether they are in use or over.
    pub fn streams(&self) -> usize {
        self.sections.iter().filter(|section| section.stream.is_some()).count()
    }

    /// How many streams [`answer`](Self::answer) could put to use for this offer: those that it
    /// has, and one for each other audio section.
    pub fn streams_in(&self, offer: &SessionDescription) -> usize {
        let is_new = |(index, media): &(usize, &Media)| {
            let old = self.sections.get(*index).and_then(|section| section.stream);
            old.is_none() && media.port != 0 && is_audio(&media.kind) && is_spoken(&media.protocol)
        };
        self.streams() + offer.media.iter().enumerate().filter(is_new).count()
    }

    /// Makes an offer of these streams (RFC 3264 §5). A re-offer keeps the number and the order of
    /// the media sections (§8); what it does not bring any more is offered with port 0, and so is
    /// what the peer has removed or refused, unless nothing else is left.
    pub fn offer(&mut self, media: &[LocalMedia<'_>]) -> SessionDescription {
        let mut sections = self.sections.clone();
        let (known, has_some) = (sections.len(), sections.iter().any(|s| s.said.is_some()));
        for stream in streams(media) {
            if !sections.iter().any(|section| section.stream == Some(stream)) {
                let mut section = Section::new("audio", PROTOCOLS[0], "0");
                section.stream = Some(stream);
                sections.push(section);
            }
        }
        let written = sections
            .iter_mut()
            .enumerate()
            .map(|(index, section)| {
                let is_over = index < known && has_some && section.said.is_none();
                let stream = section.stream.filter(|_| !is_over);
                match stream.and_then(|stream| media.get(usize::from(stream))) {
                    Some(local) => section.offer(local),
                    None => section.refuse(),
                }
            })
            .collect();
        self.offer = Some(Offer { sections, answered: false });
        self.describe(media, written, None)
    }

    /// Answers an offer (RFC 3264 §6): each audio section that can be taken takes the next of
    /// `media`, or keeps the one it has; every other section is refused with port 0 in its place.
    ///
    /// What was agreed is one entry for each stream in use. A stream that is missing is over; none
    /// at all means that the peer removed them all from a call that had some (§8.2).
    ///
    /// # Errors
    /// When nothing is common the offer is refused as a whole, with 488; what was agreed before
    /// stays.
    pub fn answer(
        &mut self,
        offer: &SessionDescription,
        media: &[LocalMedia<'_>],
    ) -> Result<(SessionDescription, Vec<Agreed>), NotAcceptable> {
        let mut refusal = None;
        // Nearly every offer has one section, and calls are many.
        let mut sections: Vec<Section> = Vec::with_capacity(offer.media.len());
        let mut written = Vec::with_capacity(offer.media.len());
        let mut agreed = Vec::with_capacity(offer.media.len());
        for (index, theirs) in offer.media.iter().enumerate() {
            let format = theirs.formats.first().map_or("0", String::as_str);
            let mut section = Section::new(&theirs.kind, &theirs.protocol, format);
            // A section that was ours is ours again, even after it was over (§8.1).
            let old = self.sections.get(index).filter(|_| section.is_audio());
            if let Some(old) = old {
                section.stream = old.stream;
                section.numbers.clone_from(&old.numbers);
            }
            let stream = section.stream.or_else(|| self.free_stream(media, &sections));
            let local = stream.and_then(|stream| Some((stream, media.get(usize::from(stream))?)));
            match section.accept(offer, theirs, local) {
                Ok((said, stream_agreed)) => {
                    written.push(said);
                    agreed.push(stream_agreed);
                }
                Err(error) => {
                    written.push(section.refuse());
                    refusal = worse(refusal, error, theirs.port);
                }
            }
            sections.push(section);
        }
        let removed = refusal.is_none() && !self.sections.is_empty();
        if agreed.is_empty() && !removed {
            return Err(refusal.unwrap_or(NotAcceptable::NoAudio));
        }
        self.sections = sections;
        self.offer = None;
        // §6: the time of the answer is that of the offer.
        let time = offer.lines.iter().find(|line| line.kind == 't');
        Ok((self.describe(media, written, time), agreed))
    }

    /// The answer that refuses every section of an offer: for one that cannot be refused as a whole,
    /// because it came in a 2xx (RFC 3261 §13.2.2.4).
    pub fn decline(&mut self, offer: &SessionDescription) -> SessionDescription {
        let refuse = |theirs: &Media| {
            let format = theirs.formats.first().map_or("0", String::as_str);
            Section::new(&theirs.kind, &theirs.protocol, format).refuse()
        };
        let time = offer.lines.iter().find(|line| line.kind == 't');
        let sections = offer.media.iter().map(refuse).collect();
        let mut answer = self.describe(&[], sections, time);
        // A description has an address even when nothing is received.
        answer.connection = Some(answer.origin.address.clone());
        answer
    }

    /// Takes the answer to our last offer (RFC 3264 §7). A further answer to the same offer, as in a
    /// 200 after a 183, replaces the one before. Of several streams, one whose answer cannot be used is
    /// over, as if it had been refused.
    ///
    /// # Errors
    /// When the answer breaks the rules or leaves no stream; what was agreed before stays.
    pub fn accept(&mut self, answer: &SessionDescription) -> Result<Vec<Agreed>, AnswerError> {
        let offer = self.offer.as_mut().ok_or(AnswerError::NoOffer)?;
        offer.answered = true;
        let (offered, answered) = (offer.sections.len(), answer.media.len());
        if offered != answered {
            return Err(AnswerError::Sections { offered, answered });
        }
        let mut sections = offer.sections.clone();
        let (mut agreed, mut unusable) = (Vec::new(), AnswerError::Refused);
        for (index, (section, theirs)) in sections.iter_mut().zip(&answer.media).enumerate() {
            if !theirs.kind.eq_ignore_ascii_case(&section.kind) {
                return Err(AnswerError::Kind { index });
            }
            // §8.2: what was offered with port 0 stays refused, whatever the answer says.
            let Some((said, stream)) = section.said.clone().zip(section.stream) else { continue };
            if theirs.port == 0 {
                section.said = None;
                continue;
            }
            if !theirs.protocol.eq_ignore_ascii_case(&section.protocol) {
                return Err(AnswerError::Kind { index });
            }
            let formats = theirs.rtp_formats();
            let used = Remote::of(answer, theirs, said.address).map_err(AnswerError::NoAddress);
            let used = used.and_then(|remote| {
                said.agree(stream, theirs, &formats, &remote).ok_or(AnswerError::NoCodec)
            });
            match used {
                Ok(stream_agreed) => agreed.push(stream_agreed),
                Err(error) => {
                    section.said = None;
                    unusable = error;
                }
            }
        }
        if agreed.is_empty() {
            return Err(unusable);
        }
        self.sections = sections;
        Ok(agreed)
    }

    /// The text of the description that we made last, if there was one.
    pub fn sent(&self) -> Option<&str> {
        self.sent.as_deref()
    }

    /// Our offer was refused, or its request failed: what was agreed before stays (RFC 3264 §4,
    /// RFC 3261 §14.1).
    pub fn withdraw(&mut self) {
        self.offer = None;
    }

    /// The first of our streams that no section has.
    fn free_stream(&self, media: &[LocalMedia<'_>], sections: &[Section]) -> Option<u8> {
        let taken = |stream: &u8| {
            sections.iter().chain(&self.sections).any(|section| section.stream == Some(*stream))
        };
        streams(media).find(|stream| !taken(stream))
    }

    /// Puts the sections into a description of ours: one session id for ever, a version that rises
    /// by one with each change (RFC 3264 §8).
    fn describe(
        &mut self,
        media: &[LocalMedia<'_>],
        sections: Vec<Media>,
        time: Option<&Line>,
    ) -> SessionDescription {
        let address = media.first().map(|local| Connection::internet(local.address));
        let mut description = SessionDescription {
            origin: Origin {
                username: "-".to_owned(),
                session_id: self.session_id.to_string(),
                version: "1".to_owned(),
                address: address.clone().unwrap_or_else(|| Origin::default().address),
            },
            name: "-".to_owned(),
            connection: address,
            lines: vec![Line {
                kind: 't',
                value: time.map_or_else(|| "0 0".to_owned(), |time| time.value.clone()),
            }],
            media: sections,
        };
        // A section says its own address where it differs from the session's.
        for section in &mut description.media {
            if section.connection == description.connection {
                section.connection = None;
            }
        }
        let sent = self.sent.take();
        if let Some(sent) = sent.and_then(|text| SessionDescription::parse(text.as_bytes()).ok()) {
            // Everything in `o=` but the version stays, even when the address changes.
            description.origin = sent.origin.clone();
            if description != sent {
                let version: u64 = sent.origin.version.parse().unwrap_or(0);
                description.origin.version = version.saturating_add(1).to_string();
            }
        }
        let mut text = String::with_capacity(USUAL_LENGTH);
        // Writing to a string cannot fail.
        let _ = write!(text, "{description}");
        self.sent = Some(text.into());
        description
    }
}

/// The numbers of our streams.
fn streams(media: &[LocalMedia<'_>]) -> impl Iterator<Item = u8> {
    (0_u8..).take(media.len())
}

/// The refusal that tells most: that of a section that came nearest to being taken.
fn worse(known: Option<NotAcceptable>, new: NotAcceptable, port: u16) -> Option<NotAcceptable> {
    // §8.2: a section that is over is no offer, and refusing it no refusal.
    if port == 0 {
        return known;
    }
    let rank = |refusal: &NotAcceptable| match refusal {
        NotAcceptable::NoAudio => 0,
        NotAcceptable::Protocol { .. } => 1,
        NotAcceptable::NoCodec { .. } => 3,
        // Without an address.
        _ => 2,
    };
    match known {
        Some(known) if rank(&known) >= rank(&new) => Some(known),
        _ => Some(new),
    }
}
