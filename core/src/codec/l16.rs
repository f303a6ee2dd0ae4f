//! Uncompressed samples, most significant byte first (RFC 3551 §4.5.11): for tests, a codec of another
//! clock and sample rate than G.711.

use super::coding::{Decode, Encode};

#[derive(Debug)]
pub(super) struct L16;

impl Encode for L16 {
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        payload.extend(samples.iter().flat_map(|sample| sample.to_be_bytes()));
    }
}

impl Decode for L16 {
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) {
        let pairs = payload.chunks_exact(2).filter_map(|pair| pair.first_chunk());
        samples.extend(pairs.map(|pair| i16::from_be_bytes(*pair)));
    }
}
