//! One media section of a dialog, on its way through offers and answers (RFC 3264).

use core::net::IpAddr;

use super::Direction;
use super::description::{Connection, Media, SessionDescription};
use super::format::{Encoding, Format, TelephoneEvents};
use super::negotiator::{Agreed, LocalMedia, NotAcceptable};
use super::remote::Remote;
use crate::codec::Codec;
use crate::codec::PayloadFormat;
use crate::sort::sort_few;
use crate::time::Duration;

/// The profiles of audio that are spoken, the one for our own offers first (RFC 3551; RFC 4585, whose
/// feedback nobody has to use).
pub(super) const PROTOCOLS: [&str; 2] = ["RTP/AVP", "RTP/AVPF"];
/// The payload type of telephone-event in our offers, unless the peer gave it another meaning.
const TELEPHONE_EVENT_TYPE: u8 = 101;
/// RFC 3551 §6: the dynamic payload types.
const DYNAMIC_TYPES: core::ops::RangeInclusive<u8> = 96..=127;

/// One media section, which keeps its place for the whole dialog (§8).
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) kind: String,
    pub(super) protocol: String,
    /// A format to name while the section is refused.
    format: String,
    /// Which of the streams it is, if it is one of ours.
    pub(super) stream: Option<u8>,
    /// What we said about it last, if it was not refused.
    pub(super) said: Option<Said>,
    /// Our payload types; they keep their meaning for the whole dialog (§8.3.2).
    pub(super) numbers: Vec<Format>,
}

/// What we said about a stream.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) address: IpAddr,
    direction: Direction,
    formats: Vec<Format>,
    ptime: Duration,
}

impl Section {
    pub(super) fn new(kind: &str, protocol: &str, format: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            protocol: protocol.to_owned(),
            format: format.to_owned(),
            stream: None,
            said: None,
            numbers: Vec::new(),
        }
    }

    pub(super) fn is_audio(&self) -> bool {
        is_audio(&self.kind)
    }

    /// Takes an offered section for one of our streams, or says why not (§6.1).
    pub(super) fn accept(
        &mut self,
        offer: &SessionDescription,
        theirs: &Media,
        local: Option<(u8, &LocalMedia<'_>)>,
    ) -> Result<(Media, Agreed), NotAcceptable> {
        if !self.is_audio() || theirs.port == 0 {
            return Err(NotAcceptable::NoAudio);
        }
        if !self.is_spoken() {
            return Err(NotAcceptable::Protocol { protocol: theirs.protocol.clone() });
        }
        let (stream, local) = local.ok_or(NotAcceptable::NoAudio)?;
        let remote = Remote::of(offer, theirs, local.address)?;
        // The answer's direction is the offer's seen from here, or less.
        let direction = remote.direction.reversed().and(local.direction);
        let mut offered = theirs.rtp_formats();
        sort_by_band(&mut offered, local.codecs);
        let formats = self.answered_formats(local, &offered);
        let media = self.say(local, direction, formats);
        let agreed =
            self.said.as_ref().and_then(|said| said.agree(stream, theirs, &offered, &remote));
        let Some(agreed) = agreed else {
            let names: Vec<&str> = offered.iter().map(|f| f.encoding.name.as_str()).collect();
            return Err(NotAcceptable::NoCodec { offered: names.join(", ") });
        };
        self.stream = Some(stream);
        Ok((media, agreed))
    }

    /// The section as we offer it (§5.1).
    pub(super) fn offer(&mut self, local: &LocalMedia<'_>) -> Media {
        if !self.is_spoken() {
            self.protocol = PROTOCOLS[0].to_owned();
        }
        let formats = self.offered_formats(local);
        self.say(local, local.direction, formats)
    }

    pub(super) fn is_spoken(&self) -> bool {
        is_spoken(&self.protocol)
    }

    /// The section with port 0 (§6, §8.2): one format, no attributes.
    pub(super) fn refuse(&mut self) -> Media {
        self.said = None;
        Media {
            kind: self.kind.clone(),
            protocol: self.protocol.clone(),
            formats: vec![self.format.clone()],
            ..Media::default()
        }
    }

    /// The section as we offer it or answer.
    fn say(&mut self, local: &LocalMedia<'_>, direction: Direction, formats: Vec<Format>) -> Media {
        let ptime = local.ptime.clamp(Media::MIN_PTIME, Media::MAX_PTIME);
        let mut media = Media {
            kind: self.kind.clone(),
            port: local.rtp_port,
            protocol: self.protocol.clone(),
            formats: formats.iter().map(|format| format.payload_type.to_string()).collect(),
            connection: Some(Connection::internet(local.address)),
            ..Media::default()
        };
        for Format { payload_type, encoding, fmtp } in &formats {
            media.add_attribute("rtpmap", format_args!("{payload_type} {encoding}"));
            if let Some(fmtp) = fmtp {
                media.add_attribute("fmtp", format_args!("{payload_type} {fmtp}"));
            }
        }
        media.add_attribute("ptime", ptime.as_millis());
        if local.rtp_port.checked_add(1) != Some(local.rtcp_port) {
            media.add_attribute("rtcp", local.rtcp_port);
        }
        media.add_property(direction.as_str());
        self.said = Some(Said { address: local.address, direction, formats, ptime });
        media
    }

    /// Our codecs in our order, then telephone-event at each of their clock rates.
    fn offered_formats(&mut self, local: &LocalMedia<'_>) -> Vec<Format> {
        let mut encodings: Vec<Encoding> = local.codecs.iter().copied().map(Encoding::of).collect();
        if local.telephone_event {
            for rate in encodings.iter().map(|encoding| encoding.clock_rate).collect::<Vec<_>>() {
                let event = Encoding::telephone_event(rate);
                if !encodings.contains(&event) {
                    encodings.push(event);
                }
            }
        }
        let mut formats: Vec<Format> = Vec::new();
        for encoding in encodings {
            formats.extend(self.number(encoding).filter(|format| !formats.contains(format)));
        }
        formats
    }

    /// What is common, in this order and by the offerer's numbers (§6.1). Of several types of
    /// telephone-event it is the one at the clock rate of the codec that both will send (RFC 4733 §2.1):
    /// no other would be heard.
    fn answered_formats(&mut self, local: &LocalMedia<'_>, offered: &[Format]) -> Vec<Format> {
        let is_codec = |format: &Format| {
            format.encoding.codec().is_some_and(|codec| local.codecs.contains(&codec))
        };
        let sent = offered.iter().find(|format| is_codec(format));
        let event = sent.map(|format| Encoding::telephone_event(format.encoding.clock_rate));
        let event = offered.iter().find(|format| Some(&format.encoding) == event.as_ref());
        let event = event.filter(|_| local.telephone_event).map(|event| event.payload_type);
        let ours = |format: &&Format| is_codec(format) || event == Some(format.payload_type);
        let answer = |format: &Format| Format {
            payload_type: format.payload_type,
            encoding: format.encoding.clone(),
            fmtp: parameters(&format.encoding),
        };
        let formats: Vec<Format> = offered.iter().filter(ours).map(answer).collect();
        for format in &formats {
            if !self.numbers.contains(format) {
                self.numbers.push(format.clone());
            }
        }
        formats
    }

    /// Our payload type for an encoding: the one it has had in this dialog (§8.3.2), else its static
    /// one, else a free dynamic one (RFC 3551 §3).
    fn number(&mut self, encoding: Encoding) -> Option<Format> {
        if let Some(format) = self.numbers.iter().find(|format| format.encoding == encoding) {
            return Some(format.clone());
        }
        // The number that most phones give the first telephone-event, then the dynamic range.
        let usual = encoding.is_telephone_event().then_some(TELEPHONE_EVENT_TYPE);
        let dynamic = usual.into_iter().chain(DYNAMIC_TYPES.filter(|n| *n != TELEPHONE_EVENT_TYPE));
        let fixed = encoding.codec().and_then(Codec::static_payload_type);
        let payload_type = fixed
            .into_iter()
            .chain(dynamic)
            .find(|n| !self.numbers.iter().any(|format| format.payload_type == *n))?;
        let format = Format { payload_type, fmtp: parameters(&encoding), encoding };
        self.numbers.push(format.clone());
        Some(format)
    }
}

/// Puts an offer's formats into the order of our answer: the offerer's (RFC 3264 §6.1), but codecs of
/// the band (sample rate) that ours begin with come first, then those of our next band.
fn sort_by_band(offered: &mut [Format], ours: &[Codec]) {
    let band = |codec: Codec| {
        ours.iter().position(|our| our.sample_rate() == codec.sample_rate()).unwrap_or(ours.len())
    };
    // A stable sort: what is no codec of ours stands after those that are.
    let key = |format: &Format| format.encoding.codec().map_or(ours.len(), band);
    sort_few(offered, |a, b| key(a).cmp(&key(b)));
}

/// What we say of an encoding of ours in `fmtp`.
fn parameters(encoding: &Encoding) -> Option<String> {
    encoding.is_telephone_event().then(|| TelephoneEvents::DTMF_LIST.to_owned())
}

/// Whether sections of this kind are streams of ours.
pub(super) fn is_audio(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("audio")
}

/// Whether this profile is spoken.
pub(super) fn is_spoken(protocol: &str) -> bool {
    PROTOCOLS.iter().any(|spoken| spoken.eq_ignore_ascii_case(protocol))
}

impl Said {
    /// What we said and what they said, in these formats, joined; `None` when no codec is common.
    pub(super) fn agree(
        &self,
        stream: u8,
        theirs: &Media,
        formats: &[Format],
        remote: &Remote,
    ) -> Option<Agreed> {
        let said = |encoding: &Encoding| self.formats.iter().any(|f| f.encoding == *encoding);
        // §7: the first of the answer; §6.1: the first of the offer that is in the answer.
        let (send, encoding) = formats
            .iter()
            .filter(|format| said(&format.encoding))
            .find_map(|format| Some((payload(format)?, &format.encoding)))?;
        let common = |format: &&Format| formats.iter().any(|f| f.encoding == format.encoding);
        let receive: Vec<&Format> = self.formats.iter().filter(common).collect();
        let event = Encoding::telephone_event(encoding.clock_rate);
        let is_event = |format: &&Format| format.encoding == event;
        let events = formats.iter().filter(|f| said(&f.encoding)).find(is_event);
        let event_receive = receive.iter().copied().find(is_event);
        Some(Agreed {
            stream,
            remote_rtp: remote.rtp,
            remote_rtcp: remote.rtcp,
            direction: self.direction.and(remote.direction.reversed()),
            send,
            receive: receive.iter().filter_map(|format| payload(format)).collect(),
            telephone_event_send: events.map(|format| format.payload_type),
            telephone_events: events
                .map(|format| TelephoneEvents::parse(format.fmtp.as_deref()))
                .unwrap_or_default(),
            telephone_event_receive: event_receive.map(|format| format.payload_type),
            ptime: {
                let wished = theirs.ptime().unwrap_or(self.ptime);
                wished.min(theirs.maxptime().unwrap_or(Media::MAX_PTIME))
            },
        })
    }
}

fn payload(format: &Format) -> Option<PayloadFormat> {
    let codec = format.encoding.codec()?;
    let fmtp = format.fmtp.as_deref().map(Box::from);
    Some(PayloadFormat { payload_type: format.payload_type, codec, fmtp })
}
