//! What a payload type means: the static table, `rtpmap`, `fmtp`, and times in milliseconds.

use core::net::IpAddr;

use super::description::{Connection, Media};
use super::parse::integer;
use crate::codec::Codec;
use crate::time::Duration;

/// The encoding that a payload type stands for (RFC 8866 §6.6).
#[derive(Clone, Debug)]
pub struct Encoding {
    /// `PCMU`, `telephone-event` and so on; case does not matter (RFC 4855 §3).
    pub name: String,
    /// In Hz; that of the RTP timestamp.
    pub clock_rate: u32,
    /// How many channels.
    pub channels: u8,
}

/// A payload type of a media section: its encoding and its parameters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Format {
    /// 0 to 127.
    pub payload_type: u8,
    /// What it stands for.
    pub encoding: Encoding,
    /// Its parameters, if it has any: `fmtp` (RFC 8866 §6.15).
    pub fmtp: Option<String>,
}

/// RFC 3551 §6, tables 4 and 5: what a payload type without `rtpmap` means in an audio section.
const STATIC: [(u8, &str, u32, u8); 17] = [
    (0, "PCMU", 8_000, 1),
    (3, "GSM", 8_000, 1),
    (4, "G723", 8_000, 1),
    (5, "DVI4", 8_000, 1),
    (6, "DVI4", 16_000, 1),
    (7, "LPC", 8_000, 1),
    (8, "PCMA", 8_000, 1),
    (9, "G722", 8_000, 1),
    (10, "L16", 44_100, 2),
    (11, "L16", 44_100, 1),
    (12, "QCELP", 8_000, 1),
    (13, "CN", 8_000, 1),
    (14, "MPA", 90_000, 1),
    (15, "G728", 8_000, 1),
    (16, "DVI4", 11_025, 1),
    (17, "DVI4", 22_050, 1),
    (18, "G729", 8_000, 1),
];

/// RFC 4733 §7.1.1.
const TELEPHONE_EVENT: &str = "telephone-event";

impl Encoding {
    /// The encoding of a codec.
    pub fn of(codec: Codec) -> Self {
        let (clock_rate, channels) = (codec.clock_rate(), codec.channels());
        Self { name: codec.name().to_owned(), clock_rate, channels }
    }

    /// Named telephone events (RFC 4733) at this clock rate in Hz.
    pub fn telephone_event(clock_rate: u32) -> Self {
        Self { name: TELEPHONE_EVENT.to_owned(), clock_rate, channels: 1 }
    }

    /// Whether it carries telephone events.
    pub fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case(TELEPHONE_EVENT)
    }

    /// The codec, if this build has it.
    pub fn codec(&self) -> Option<Codec> {
        Codec::from_name(&self.name, self.clock_rate, self.channels)
    }

    /// What the payload type means without `rtpmap` (RFC 3551 §6).
    pub fn of_static(payload_type: u8) -> Option<Self> {
        let of_type = |row: &&(u8, &str, u32, u8)| row.0 == payload_type;
        let &(_, name, clock_rate, channels) = STATIC.iter().find(of_type)?;
        Some(Self { name: name.to_owned(), clock_rate, channels })
    }

    /// Reads `L16/44100/2`. A clock rate that is left out is taken for 8000 Hz.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?.to_owned();
        let clock_rate = parts.next().map_or(Some(8_000), integer)?;
        let channels = parts.next().map_or(Some(1), integer)?;
        (clock_rate > 0 && channels > 0).then_some(Self { name, clock_rate, channels })
    }
}

impl PartialEq for Encoding {
    fn eq(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name)
            && self.clock_rate == other.clock_rate
            && self.channels == other.channels
    }
}

impl Eq for Encoding {}

impl core::fmt::Display for Encoding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}/{}", self.name, self.clock_rate)?;
        if self.channels != 1 { write!(f, "/{}", self.channels) } else { Ok(()) }
    }
}

impl Media {
    /// The shortest packet time that is believed; shorter ones are clamped.
    pub const MIN_PTIME: Duration = Duration::from_millis(1);
    /// The longest packet time that is believed; longer ones are clamped.
    pub const MAX_PTIME: Duration = Duration::from_millis(200);

    /// Whether the section carries RTP (RFC 3551, RFC 3711, RFC 4585, RFC 5124).
    pub fn is_rtp(&self) -> bool {
        let protocol = self.protocol.to_ascii_uppercase();
        protocol.starts_with("RTP/") || protocol.contains("/RTP/")
    }

    /// The RTP formats in their order. What has neither a known static meaning nor an `rtpmap` that
    /// can be read is left out, and so is a number's second mention.
    pub fn rtp_formats(&self) -> Vec<Format> {
        let (maps, parameters) = (self.by_number("rtpmap"), self.by_number("fmtp"));
        let mut formats: Vec<Format> = Vec::with_capacity(self.formats.len());
        for payload_type in self.formats.iter().filter_map(|format| integer::<u8>(format)) {
            if payload_type > 127 || formats.iter().any(|f| f.payload_type == payload_type) {
                continue;
            }
            let map = of_number(&maps, payload_type).and_then(Encoding::parse);
            let Some(encoding) = map.or_else(|| Encoding::of_static(payload_type)) else {
                continue;
            };
            let fmtp = of_number(&parameters, payload_type).map(str::to_owned);
            formats.push(Format { payload_type, encoding, fmtp });
        }
        formats
    }

    /// What the attributes of a name say of payload types: one pass, however many there are.
    fn by_number(&self, name: &str) -> Vec<(u8, &str)> {
        self.attributes(name)
            .filter_map(|value| {
                let (number, text) = value.split_once([' ', '\t'])?;
                Some((integer(number)?, text.trim()))
            })
            .collect()
    }

    /// How much audio the speaker would like in a packet (RFC 8866 §6.4), clamped.
    pub fn ptime(&self) -> Option<Duration> {
        milliseconds(self.attribute("ptime")?)
    }

    /// How much audio the speaker takes in a packet (RFC 8866 §6.5), clamped.
    pub fn maxptime(&self) -> Option<Duration> {
        milliseconds(self.attribute("maxptime")?)
    }

    /// Where the speaker receives RTCP if not one above RTP (RFC 3605 §2.1): the port, and the
    /// address where it is another.
    pub fn rtcp(&self) -> Option<(u16, Option<IpAddr>)> {
        let value = self.attribute("rtcp")?;
        let (port, address) = value.split_once(' ').unwrap_or((value, ""));
        let port = integer(port).filter(|port| *port != 0)?;
        Some((port, Connection::parse(address).and_then(|address| address.ip())))
    }
}

/// The first that is said of a payload type.
fn of_number<'a>(said: &[(u8, &'a str)], payload_type: u8) -> Option<&'a str> {
    said.iter().find(|(number, _)| *number == payload_type).map(|(_, text)| *text)
}

/// Reads whole or fractional milliseconds, a fraction rounded down to microseconds. Zero, which
/// RFC 3264 §5.1 forbids, and what is no number say nothing.
fn milliseconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    // Ten digits are over any clamp.
    let whole: u64 = integer(whole.get(..10).unwrap_or(whole))?;
    let digits = fraction.get(..3).unwrap_or(fraction);
    let micros = match digits.len() {
        0 => 0,
        length => {
            let scale = [100, 10, 1].get(length.saturating_sub(1))?;
            integer::<u64>(digits)?.saturating_mul(*scale)
        }
    };
    let time = Duration::from_millis(whole) + Duration::from_micros(micros);
    (!time.is_zero()).then(|| time.clamp(Media::MIN_PTIME, Media::MAX_PTIME))
}

/// A set of telephone events 0 to 255 (RFC 4733 §2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TelephoneEvents([u64; 4]);

impl TelephoneEvents {
    /// The DTMF digits: 0 to 9, `*`, `#`, A to D.
    pub const DTMF: Self = Self([0xffff, 0, 0, 0]);
    /// [`DTMF`](Self::DTMF) as an fmtp has it.
    pub(super) const DTMF_LIST: &str = "0-15";

    /// Reads the parameters of a telephone-event format: `0-15,66,70`. Without any they are the
    /// DTMF digits (RFC 4733 §7.1.1); elements that cannot be read are left out.
    pub fn parse(fmtp: Option<&str>) -> Self {
        let Some(list) = fmtp else { return Self::DTMF };
        let list = list.trim();
        // The form of the media type, which some send in SDP.
        let list = list.strip_prefix("events=").unwrap_or(list).trim_matches('"');
        let mut events = Self::default();
        for element in list.split([',', ';']).map(str::trim) {
            let (first, last) = element.split_once('-').unwrap_or((element, element));
            if let (Some(first), Some(last)) = (integer::<u8>(first), integer::<u8>(last)) {
                (first..=last).for_each(|event| events.insert(event));
            }
        }
        events
    }

    /// Whether the event is in the set.
    pub fn contains(&self, event: u8) -> bool {
        self.0.get(usize::from(event / 64)).is_some_and(|word| word >> (event % 64) & 1 == 1)
    }

    /// The set as bits, the first event lowest.
    pub(crate) const fn words(&self) -> [u64; 4] {
        self.0
    }

    pub(crate) const fn from_words(words: [u64; 4]) -> Self {
        Self(words)
    }

    fn insert(&mut self, event: u8) {
        if let Some(word) = self.0.get_mut(usize::from(event / 64)) {
            *word |= 1 << (event % 64);
        }
    }
}

impl core::fmt::Display for TelephoneEvents {
    /// Writes the list as an fmtp has it: `0-15,66`.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut events = (0..=u8::MAX).filter(|event| self.contains(*event)).peekable();
        let mut separator = "";
        while let Some(first) = events.next() {
            let mut last = first;
            while let Some(next) = events.next_if(|next| last.checked_add(1) == Some(*next)) {
                last = next;
            }
            write!(f, "{separator}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}
