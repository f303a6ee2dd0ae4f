//! G.711: mu-law and A-law (ITU-T G.711; RFC 3551 §4.5.14), one byte a sample.
//!
//! Decoding is a table of 256 entries. Encoding takes the segment and the step within it from the
//! exponent and the upper fraction bits of the magnitude as a binary32 number: the conversion of so
//! small an integer is exact, so the result is the same everywhere, and a loop without branches
//! becomes vector instructions.

use super::coding::{Decode, Encode, extend};

/// What mu-law adds to a 13-bit magnitude, so that each segment begins at a power of two.
const ULAW_BIAS: i32 = 33;
/// The largest biased magnitude that mu-law tells apart.
const ULAW_CLIP: i32 = 0x1FFF;

/// The linear sample of each mu-law byte.
static ULAW: [i16; 256] = ulaw_table();
/// The linear sample of each A-law byte.
static ALAW: [i16; 256] = alaw_table();

/// Encodes samples as mu-law, as many as both slices hold.
pub fn encode_ulaw(samples: &[i16], payload: &mut [u8]) {
    for (byte, sample) in payload.iter_mut().zip(samples) {
        *byte = ulaw(*sample);
    }
}

/// Encodes samples as A-law, as many as both slices hold.
pub fn encode_alaw(samples: &[i16], payload: &mut [u8]) {
    for (byte, sample) in payload.iter_mut().zip(samples) {
        *byte = alaw(*sample);
    }
}

/// Decodes mu-law bytes, as many as both slices hold.
pub fn decode_ulaw(payload: &[u8], samples: &mut [i16]) {
    for (sample, byte) in samples.iter_mut().zip(payload) {
        *sample = ULAW[usize::from(*byte)];
    }
}

/// Decodes A-law bytes, as many as both slices hold.
pub fn decode_alaw(payload: &[u8], samples: &mut [i16]) {
    for (sample, byte) in samples.iter_mut().zip(payload) {
        *sample = ALAW[usize::from(*byte)];
    }
}

/// mu-law, which has no state.
#[derive(Debug)]
pub(super) struct Ulaw;

/// A-law, which has no state.
#[derive(Debug)]
pub(super) struct Alaw;

impl Encode for Ulaw {
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        payload.extend(samples.iter().map(|sample| ulaw(*sample)));
    }
}

impl Decode for Ulaw {
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) {
        decode_ulaw(payload, extend(samples, payload.len()));
    }
}

impl Encode for Alaw {
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        payload.extend(samples.iter().map(|sample| alaw(*sample)));
    }
}

impl Decode for Alaw {
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) {
        decode_alaw(payload, extend(samples, payload.len()));
    }
}

/// Eight times the exponent and the upper four fraction bits of a magnitude of at least 16.
#[inline(always)]
fn logarithm(magnitude: i32) -> i32 {
    ((magnitude as f32).to_bits() >> 19) as i32
}

#[inline(always)]
fn ulaw(sample: i16) -> u8 {
    let sign = i32::from(sample >> 15);
    let magnitude = ((i32::from(sample) ^ sign) >> 2) + ULAW_BIAS;
    let magnitude = if magnitude > ULAW_CLIP { ULAW_CLIP } else { magnitude };
    // The first segment begins at 32, whose binary32 exponent is 127 + 5.
    let steps = logarithm(magnitude) - ((127 + 5) << 4);
    // Every bit is sent inverted; a negative sample has the sign bit clear.
    (!steps ^ (sign & 0x80)) as u8
}

#[inline(always)]
fn alaw(sample: i16) -> u8 {
    let sign = i32::from(sample >> 15);
    let magnitude = (i32::from(sample) ^ sign) >> 4;
    // The first two segments are one straight line; from 16 on (binary32 exponent 127 + 4) the
    // segments count from 1.
    let steps = logarithm(magnitude) - ((127 + 3) << 4);
    let steps = if magnitude < 16 { magnitude } else { steps };
    // Even bits are sent inverted; a negative sample has the sign bit clear.
    ((steps | (!sign & 0x80)) ^ 0x55) as u8
}

const fn ulaw_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let code = !byte & 0xFF;
        let segment = (code >> 4) & 7;
        let step = code & 0xF;
        let magnitude = (((step << 1) + 33) << segment) - 33;
        let sample = magnitude << 2;
        table[byte as usize] = if code & 0x80 == 0 { sample } else { -sample } as i16;
        byte += 1;
    }
    table
}

const fn alaw_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let code = byte ^ 0x55;
        let segment = (code >> 4) & 7;
        let step = code & 0xF;
        let magnitude =
            if segment == 0 { (step << 1) + 1 } else { ((step << 1) + 33) << (segment - 1) };
        let sample = magnitude << 3;
        table[byte as usize] = if code & 0x80 == 0 { -sample } else { sample } as i16;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every sample is coded as the nearest of the levels that the decoder knows, or the next to it
    /// at a boundary of segments; coding what was decoded changes nothing.
    #[test]
    fn coding_a_decoded_sample_gives_its_byte_back() {
        for byte in 0..=255u8 {
            let alaw_again = alaw(ALAW[usize::from(byte)]);
            assert_eq!(alaw_again, byte);
            // Mu-law has two zeros; the negative one decodes to the same sample as the positive.
            let ulaw_again = ulaw(ULAW[usize::from(byte)]);
            assert!(ulaw_again == byte || (byte == 0x7F && ulaw_again == 0xFF), "{byte:#x}");
        }
    }

    /// By the definition, not by the trick: G.711 tables 2a and 1a, with shifts and loops.
    #[test]
    fn all_samples_are_coded_by_the_definition() {
        for sample in i16::MIN..=i16::MAX {
            let negative = sample < 0;
            let inverted = i32::from(if negative { !sample } else { sample });

            let biased = ((inverted >> 2) + 33).min(0x1FFF);
            let segment = 31 - biased.leading_zeros() as i32 - 5;
            let code = (segment << 4) | ((biased >> (segment + 1)) & 0xF);
            let expected = (!code as u8 & 0x7F) | if negative { 0 } else { 0x80 };
            assert_eq!(ulaw(sample), expected, "mu-law of {sample}");

            let mut magnitude = inverted >> 4;
            if magnitude > 15 {
                let mut segment = 1;
                while magnitude > 31 {
                    magnitude >>= 1;
                    segment += 1;
                }
                magnitude = magnitude - 16 + (segment << 4);
            }
            let expected = (magnitude as u8 | if negative { 0 } else { 0x80 }) ^ 0x55;
            assert_eq!(alaw(sample), expected, "A-law of {sample}");
        }
    }

    /// ITU's sweep (G.191), when it is there: code words and reconstruction, bit for bit.
    #[test]
    fn the_itu_sweep_is_reproduced() {
        let words = |name: &str| -> Option<Vec<u16>> {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/g711/");
            let bytes = std::fs::read(format!("{folder}{name}")).ok()?;
            Some(bytes.chunks_exact(2).map(|w| u16::from_le_bytes([w[0], w[1]])).collect())
        };
        let Some(source) = words("sweep.src") else {
            println!("shared/vectors/g711 is not here: the ITU sweep was not checked");
            return;
        };
        for (code, reconstruction, encode, decode) in [
            (
                "sweep-r.u",
                "sweep-r.reu",
                encode_ulaw as fn(&[i16], &mut [u8]),
                decode_ulaw as fn(&[u8], &mut [i16]),
            ),
            ("sweep-r.a", "sweep-r.rea", encode_alaw, decode_alaw),
        ] {
            let samples: Vec<i16> = source.iter().map(|w| *w as i16).collect();
            let mut payload = vec![0; samples.len()];
            encode(&samples, &mut payload);
            let expected: Vec<u8> = words(code).unwrap().iter().map(|w| *w as u8).collect();
            assert!(payload == expected, "{code}");
            let mut decoded = vec![0; payload.len()];
            decode(&payload, &mut decoded);
            let expected: Vec<i16> =
                words(reconstruction).unwrap().iter().map(|w| *w as i16).collect();
            assert!(decoded == expected, "{reconstruction}");
        }
    }
}
