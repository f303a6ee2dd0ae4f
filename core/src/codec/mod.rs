//! Audio codecs: 16-bit linear samples in, payload bytes out, and back.
//!
//! [`g711`] holds the two codecs of this build. [`resampler`] changes the sampling rate,
//! [`timescale`] the length, [`concealment`] fills what was lost, and [`measure`] tells what a piece
//! of audio holds.

pub mod concealment;
pub mod g711;
pub mod measure;
pub mod resampler;
pub mod timescale;
mod unsigned8;

pub use unsigned8::{from_unsigned8, to_unsigned8};

/// A codec this build can use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Codec {
    /// G.711 mu-law, 8 kHz (RFC 3551 §4.5.14).
    Pcmu,
    /// G.711 A-law, 8 kHz (RFC 3551 §4.5.14).
    Pcma,
}

impl Codec {
    /// Every codec of this build, in the order of their payload types.
    pub const ALL: &'static [Self] = &[Self::Pcmu, Self::Pcma];

    /// The encoding name of RFC 3551 §6, as SDP writes it: `PCMU`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The codec of that encoding name, in any case (RFC 8866 §6.6), and RTP clock rate in hertz.
    pub fn from_name(name: &str, clock_rate: u32) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|c| c.clock_rate() == clock_rate && c.name().eq_ignore_ascii_case(name))
    }

    /// The payload type that RFC 3551 §6 gives it for ever, if it has one.
    pub const fn static_payload_type(self) -> Option<u8> {
        match self {
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
        }
    }

    /// The codec to which RFC 3551 §6 gives that payload type.
    pub fn from_static_payload_type(payload_type: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.static_payload_type() == Some(payload_type))
    }

    /// How fast the RTP timestamp runs, in hertz; what `a=rtpmap` says.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }

    /// How many samples a second it carries.
    pub const fn sample_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }

    /// How many samples a payload of that many bytes holds; `None` when it cannot be one.
    pub fn samples_in(self, payload: &[u8]) -> Option<usize> {
        match self {
            Self::Pcmu | Self::Pcma => (!payload.is_empty()).then_some(payload.len()),
        }
    }
}

/// Makes payloads of samples.
#[derive(Clone, Debug)]
pub struct Encoder {
    codec: Codec,
}

impl Encoder {
    /// An encoder in its first state.
    pub fn new(codec: Codec) -> Self {
        Self { codec }
    }

    /// The codec.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Appends the payload for one frame of samples, at the codec's sample rate.
    pub fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        let start = payload.len();
        payload.resize(start + samples.len(), 0);
        let Some(bytes) = payload.get_mut(start..) else { return };
        match self.codec {
            Codec::Pcmu => g711::encode_ulaw(samples, bytes),
            Codec::Pcma => g711::encode_alaw(samples, bytes),
        }
    }
}

/// Makes samples of payloads.
#[derive(Clone, Debug)]
pub struct Decoder {
    codec: Codec,
}

impl Decoder {
    /// A decoder in its first state.
    pub fn new(codec: Codec) -> Self {
        Self { codec }
    }

    /// The codec.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Appends the samples of a payload, at the codec's sample rate; how many
    /// [`Codec::samples_in`] tells.
    pub fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) {
        let start = samples.len();
        samples.resize(start + payload.len(), 0);
        let Some(room) = samples.get_mut(start..) else { return };
        match self.codec {
            Codec::Pcmu => g711::decode_ulaw(payload, room),
            Codec::Pcma => g711::decode_alaw(payload, room),
        }
    }
}

/// A payload type number and the codec that it means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PayloadFormat {
    /// The RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// What it carries.
    pub codec: Codec,
}
