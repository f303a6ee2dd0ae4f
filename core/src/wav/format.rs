//! What a WAV file says of its sound, and how a frame of it becomes a sample.

use super::WavError;
use crate::codec::{from_unsigned8, g711};
use crate::time::Duration;

/// What kind of sound a WAV file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct WavFormat {
    /// How many channels there are, 1 to 64.
    pub channels: u16,
    /// How many samples a second, 1,000 to 384,000.
    pub rate: u32,
    /// How a sample is written.
    pub coding: Coding,
    /// How many bytes of sound the header tells; 0 when it does not say.
    pub(super) declared: u64,
}

/// How a WAV file writes a sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Coding {
    /// Integers of that many bytes, 1 to 4: one byte without a sign, more with one. Those of fewer bits
    /// fill the upper ones.
    Pcm(u8),
    /// Floating point of 32 bits, from -1 to 1.
    Float,
    /// Floating point of 64 bits.
    Double,
    /// A-law of G.711.
    Alaw,
    /// Mu-law of G.711.
    Ulaw,
}

/// The numbers of codings (RFC 2361).
const PCM: u16 = 0x0001;
const FLOAT: u16 = 0x0003;
const ALAW: u16 = 0x0006;
const ULAW: u16 = 0x0007;
const EXTENSIBLE: u16 = 0xfffe;

impl WavFormat {
    /// How many bytes of its chunk mean something here.
    pub(super) const LONGEST: usize = 40;

    pub(super) fn parse(chunk: &[u8]) -> Result<Self, WavError> {
        let short = WavError::damaged("its format is too short");
        let number = |at: usize| -> Result<u16, WavError> {
            let bytes = chunk.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u16::from_le_bytes).ok_or(short.clone())
        };
        let (channels, align, bits) = (number(2)?, number(12)?, number(14)?);
        let rate = u32::from(number(4)?) | u32::from(number(6)?) << 16;
        let tag = match number(0)? {
            // The first bytes of the GUID of the coding.
            EXTENSIBLE => number(24)?,
            tag => tag,
        };
        if !(1..=64).contains(&channels) {
            return Err(WavError::Channels { channels });
        }
        if !(1_000..=384_000).contains(&rate) {
            return Err(WavError::Rate { rate });
        }
        // A sample takes whole bytes, and may take more than its bits need: 24 in 32.
        let needed = bits.div_ceil(8);
        let width = match align / channels {
            width if align % channels == 0 && width >= needed => width,
            _ => needed,
        };
        let coding = match (tag, width) {
            (PCM, 1..=4) => Coding::Pcm(width as u8),
            (FLOAT, 4) => Coding::Float,
            (FLOAT, 8) => Coding::Double,
            (ALAW, 1) => Coding::Alaw,
            (ULAW, 1) => Coding::Ulaw,
            _ => return Err(WavError::Coding { tag, bits }),
        };
        Ok(Self { channels, rate, coding, declared: 0 })
    }

    /// How many bytes a frame has: a sample of each channel.
    pub(super) fn frame(&self) -> usize {
        usize::from(self.channels) * self.coding.width()
    }

    /// The mean of the channels of a frame.
    pub(super) fn mix(&self, frame: &[u8]) -> i16 {
        let samples = frame.chunks_exact(self.coding.width());
        let sum: i32 = samples.map(|sample| i32::from(self.coding.sample(sample))).sum();
        (sum / i32::from(self.channels)) as i16
    }

    /// How long that many bytes of it sound.
    pub fn duration(&self, bytes: u64) -> Duration {
        let frames = bytes / self.frame() as u64;
        Duration::from_micros(frames.saturating_mul(1_000_000) / u64::from(self.rate))
    }
}

impl Coding {
    /// How many bytes a sample has.
    fn width(self) -> usize {
        match self {
            Self::Pcm(width) => width.into(),
            Self::Float => 4,
            Self::Double => 8,
            Self::Alaw | Self::Ulaw => 1,
        }
    }

    /// A sample of so many bytes; those beyond 16 bits are cut off.
    fn sample(self, bytes: &[u8]) -> i16 {
        let mut sample = [0];
        match (self, bytes) {
            (Self::Pcm(_), [byte]) => return from_unsigned8(*byte),
            (Self::Pcm(_), [.., low, high]) => return i16::from_le_bytes([*low, *high]),
            (Self::Float, bytes) => {
                let value = bytes.try_into().map_or(0.0, f32::from_le_bytes);
                return from_float(value.into());
            }
            (Self::Double, bytes) => {
                return from_float(bytes.try_into().map_or(0.0, f64::from_le_bytes));
            }
            (Self::Alaw, bytes) => g711::decode_alaw(bytes, &mut sample),
            (Self::Ulaw, bytes) => g711::decode_ulaw(bytes, &mut sample),
            (Self::Pcm(_), []) => {}
        }
        let [sample] = sample;
        sample
    }
}

/// What others call a coding that cannot be played.
pub(super) fn coding_name(tag: u16) -> String {
    match tag {
        PCM => "PCM".into(),
        FLOAT => "floating point".into(),
        ALAW => "A-law".into(),
        ULAW => "mu-law".into(),
        0x0002 => "Microsoft ADPCM".into(),
        0x0011 => "IMA ADPCM".into(),
        0x0031 => "GSM 06.10".into(),
        0x0055 => "MP3".into(),
        tag => format!("sound of the coding {tag:#06x}"),
    }
}

/// The cast saturates, and makes 0 of what is no number.
fn from_float(sample: f64) -> i16 {
    (sample * 32_768.0) as i16
}
