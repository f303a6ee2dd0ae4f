//! Audio codecs: 16-bit linear samples in, payload bytes out, and back.
//!
//! [`Codec`] names the codecs of this build, and each has a file of its own that implements what
//! [`Encoder`] and [`Decoder`] ask of it. `resampler` changes the sampling rate,
//! `timescale` the length, `concealment` fills what was lost, and [`measure`] tells what a piece
//! of audio holds.

mod coding;
pub(crate) mod concealment;
pub(crate) mod g711;
pub(crate) mod g722;
#[cfg(test)]
mod l16;
pub mod measure;
pub(crate) mod resampler;
pub(crate) mod timescale;
mod unsigned8;

pub use coding::{Decoder, Encoder};
pub use resampler::convert;
pub use unsigned8::{from_unsigned8, to_unsigned8};

/// A codec this build can use.
///
/// There are three rates: that of the RTP clock ([`clock_rate`](Self::clock_rate)), that
/// of the codec's samples ([`sample_rate`](Self::sample_rate)), and that at which the application
/// reads and writes, which is its own choice. Samples are mono throughout.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Codec {
    /// G.711 mu-law, 8 kHz (RFC 3551 §4.5.14).
    Pcmu,
    /// G.711 A-law, 8 kHz (RFC 3551 §4.5.14).
    Pcma,
    /// G.722 at 64 kbit/s: 16 kHz, though its RTP clock is said to run at 8 kHz (RFC 3551 §4.5.2).
    G722,
    /// Uncompressed samples at 16 kHz (RFC 3551 §4.5.11), for tests: another clock, another rate.
    #[cfg(test)]
    L16,
}

/// What is fixed about a codec.
struct Traits {
    name: &'static str,
    payload_type: Option<u8>,
    clock_rate: u32,
    sample_rate: u32,
    channels: u8,
}

impl Codec {
    /// Every codec of this build, in the order of their payload types.
    pub const ALL: &'static [Self] = &[
        Self::Pcmu,
        Self::Pcma,
        Self::G722,
        #[cfg(test)]
        Self::L16,
    ];

    const fn traits(self) -> Traits {
        let (name, payload_type, clock_rate, sample_rate, channels) = match self {
            Self::Pcmu => ("PCMU", Some(0), 8_000, 8_000, 1),
            Self::Pcma => ("PCMA", Some(8), 8_000, 8_000, 1),
            Self::G722 => ("G722", Some(9), 8_000, 16_000, 1),
            #[cfg(test)]
            Self::L16 => ("L16", None, 16_000, 16_000, 1),
        };
        Traits { name, payload_type, clock_rate, sample_rate, channels }
    }

    /// The encoding name of RFC 3551 §6, as SDP writes it: `PCMU`.
    pub const fn name(self) -> &'static str {
        self.traits().name
    }

    /// The codec of that encoding name, in any case (RFC 8866 §6.6), RTP clock rate in hertz and
    /// number of channels.
    pub fn from_name(name: &str, clock_rate: u32, channels: u8) -> Option<Self> {
        let is_it = |codec: &Self| {
            (codec.clock_rate(), codec.channels()) == (clock_rate, channels)
                && codec.name().eq_ignore_ascii_case(name)
        };
        Self::ALL.iter().copied().find(is_it)
    }

    /// The payload type that RFC 3551 §6 gives it for ever, if it has one.
    pub const fn static_payload_type(self) -> Option<u8> {
        self.traits().payload_type
    }

    /// The codec to which RFC 3551 §6 gives that payload type.
    pub fn from_static_payload_type(payload_type: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.static_payload_type() == Some(payload_type))
    }

    /// How fast the RTP timestamp runs, in hertz; what `a=rtpmap` says.
    pub const fn clock_rate(self) -> u32 {
        self.traits().clock_rate
    }

    /// How many samples a second it carries.
    pub const fn sample_rate(self) -> u32 {
        self.traits().sample_rate
    }

    /// How many channels `a=rtpmap` says.
    pub const fn channels(self) -> u8 {
        self.traits().channels
    }

    /// How many samples its decoder makes of a payload; `None` when it cannot be one.
    pub fn samples_in(self, payload: &[u8]) -> Option<usize> {
        let samples = match self {
            Self::Pcmu | Self::Pcma => payload.len(),
            Self::G722 => 2 * payload.len(),
            #[cfg(test)]
            Self::L16 => payload.len() / 2,
        };
        (samples > 0).then_some(samples)
    }
}

/// A payload type number and what it means.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct PayloadFormat {
    /// The RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// What it carries.
    pub codec: Codec,
    /// The codec's parameters as SDP's `fmtp` has them (RFC 8866 §6.15), if there are any: the peer's
    /// for what we send, ours for what the peer sends.
    pub fmtp: Option<Box<str>>,
}

impl PayloadFormat {
    /// A format without parameters.
    pub const fn new(payload_type: u8, codec: Codec) -> Self {
        Self { payload_type, codec, fmtp: None }
    }
}
