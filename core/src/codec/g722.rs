//! G.722: 7 kHz of audio in 64 kbit/s (ITU-T G.722; RFC 3551 §4.5.2), two samples a byte.
//!
//! Filters split the 16 kHz signal at 4 kHz into two bands of 8,000 samples a second (`filters`). Each
//! band is coded as the difference from its prediction (`band`): the lower in six bits, the higher in
//! two. Names such as `SL` and `DETL` in comments are those of the Recommendation, §6.
//!
//! All arithmetic is of integers, and saturates at 16 bits where the Recommendation says so: every
//! platform gives the same bits.

mod band;
mod filters;

#[cfg(test)]
mod tests;

use super::coding::{Decode, Encode, extend};
use band::{Band, HIGHER, LOWER, product, saturate};
use filters::{Analysis, Synthesis};

/// Makes G.722 bytes of samples at 16 kHz.
#[derive(Clone, Debug)]
pub struct Encoder {
    filters: Analysis,
    lower: Band<16>,
    higher: Band<4>,
}

impl Encoder {
    /// An encoder in its first state.
    pub fn new() -> Self {
        Self { filters: Analysis::default(), lower: Band::new(&LOWER), higher: Band::new(&HIGHER) }
    }

    /// Encodes pairs of samples, as many as both slices hold, each as one byte of `payload`.
    pub fn encode(&mut self, samples: &[i16], payload: &mut [u8]) {
        for (byte, pair) in payload.iter_mut().zip(samples.chunks_exact(2)) {
            let (lower, higher) = self.filters.split([pair[0], pair[1]]);
            *byte = self.encode_bands(lower, higher);
        }
    }

    /// One sample of each band as a byte: the higher band's code in the two upper bits.
    fn encode_bands(&mut self, lower: i32, higher: i32) -> u8 {
        let code = lower_code(saturate(lower - self.lower.prediction()), self.lower.step());
        // Prediction goes by the upper four bits, which every mode transmits (§3.4).
        self.lower.adapt(code >> 2);
        let upper = higher_code(saturate(higher - self.higher.prediction()), self.higher.step());
        self.higher.adapt(upper);
        (upper << 6) | code
    }
}

impl Encode for Encoder {
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        Self::encode(self, samples, extend(payload, samples.len() / 2));
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// How many bits of a byte are audio (G.722 §1.2): the last bit or two of the lower band's code may
/// carry other data. RTP carries 64 kbit/s alone (RFC 3551 §4.5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Mode 1, 64 kbit/s: all eight bits are audio.
    #[default]
    Kbit64,
    /// Mode 2, 56 kbit/s: the last bit is not looked at.
    Kbit56,
    /// Mode 3, 48 kbit/s: the last two bits are not looked at.
    Kbit48,
}

/// Makes samples at 16 kHz of G.722 bytes.
#[derive(Clone, Debug)]
pub struct Decoder {
    mode: Mode,
    filters: Synthesis,
    lower: Band<16>,
    higher: Band<4>,
}

impl Decoder {
    /// A decoder in its first state.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            filters: Synthesis::default(),
            lower: Band::new(&LOWER),
            higher: Band::new(&HIGHER),
        }
    }

    /// Decodes bytes, as many as both slices hold, each to two samples of `samples`.
    pub fn decode(&mut self, payload: &[u8], samples: &mut [i16]) {
        for (pair, byte) in samples.chunks_exact_mut(2).zip(payload) {
            let (lower, higher) = self.decode_bands(*byte);
            pair.copy_from_slice(&self.filters.join(lower, higher));
        }
    }

    /// The sample of each band for a byte (`RL`, `RH`).
    fn decode_bands(&mut self, byte: u8) -> (i32, i32) {
        let code = byte & 0x3F;
        let level = match self.mode {
            Mode::Kbit64 => LEVELS_6[usize::from(code)],
            Mode::Kbit56 => LEVELS_5[usize::from(code >> 1)],
            Mode::Kbit48 => LOWER.levels[usize::from(code >> 2)],
        };
        let lower = self.lower.prediction() + product(self.lower.step(), level);
        self.lower.adapt(code >> 2);
        let higher = self.higher.prediction() + self.higher.difference(byte >> 6);
        self.higher.adapt(byte >> 6);
        (limit(lower), limit(higher))
    }
}

impl Decode for Decoder {
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) {
        Self::decode(self, payload, extend(samples, 2 * payload.len()));
    }
}

/// `LIMIT`: a band's samples have 15 bits.
fn limit(sample: i32) -> i32 {
    sample.clamp(-(1 << 14), (1 << 14) - 1)
}

/// `QUANTL`: the six bits for a difference from the lower band's prediction.
fn lower_code(difference: i32, step: i32) -> u8 {
    let negative = difference < 0;
    let magnitude = if negative { !difference } else { difference };
    let interval =
        DECISIONS.partition_point(|level| (i32::from(*level) * step) >> 12 <= magnitude) as u8 + 1;
    // Tables 17 and 18: codes count down from 61 above zero. Below zero they count down from 63, but
    // from the third interval on from 31.
    match negative {
        false => 62 - interval,
        true if interval < 3 => 64 - interval,
        true => 34 - interval,
    }
}

/// `QUANTH`: the two bits for a difference from the higher band's prediction.
fn higher_code(difference: i32, step: i32) -> u8 {
    let negative = difference < 0;
    let magnitude = if negative { !difference } else { difference };
    let outer = magnitude >= (HIGHER_DECISION * step) >> 12;
    match (negative, outer) {
        (true, true) => 0,
        (true, false) => 1,
        (false, true) => 2,
        (false, false) => 3,
    }
}

/// `Q6`: where the lower band's intervals end, in steps of 4,096.
static DECISIONS: [i16; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023,
    1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];

/// `QH`: where the higher band's inner interval ends.
const HIGHER_DECISION: i32 = 564;

/// `QM6`: the difference that each six-bit code stands for, in steps of 32,768. An encoder never sends
/// the first four codes.
static LEVELS_6: [i16; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232,
    -9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776,
    -2400, -2032, -1688, -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280,
    11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776,
    2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];

/// `QM5`: the same for the upper five bits.
static LEVELS_5: [i16; 32] = [
    -280, -280, -23352, -17560, -14120, -11664, -9752, -8184, -6864, -5712, -4696, -3784, -2960,
    -2208, -1520, -880, 23352, 17560, 14120, 11664, 9752, 8184, 6864, 5712, 4696, 3784, 2960, 2208,
    1520, 880, 280, -280,
];
