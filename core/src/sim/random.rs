//! The pseudo-random numbers of a simulation: xoshiro256** seeded by SplitMix64 (Blackman and
//! Vigna). Good enough to look random; never to be used where an attacker guesses.

/// A stream of numbers that follows from its seed.
#[derive(Clone, Debug)]
pub(super) struct Random([u64; 4]);

impl Random {
    /// The stream number `stream` of `seed`; streams of one seed have nothing in common.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut state = seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95).rotate_left(32);
        Self(core::array::from_fn(|_| split_mix(&mut state)))
    }

    pub(super) fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number from 0 to `most`, both included.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        match most.checked_add(1) {
            // The high half of the product is uniform enough (bias below 2^-40 for our ranges).
            Some(n) => ((u128::from(self.next()) * u128::from(n)) >> 64) as u64,
            None => self.next(),
        }
    }

    /// True in `permille` of 1,000 cases.
    pub(super) fn chance(&mut self, permille: u16) -> bool {
        // Drawn even when certain, so that changing a rate shifts no later draw.
        self.up_to(999) < u64::from(permille)
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.next().to_le_bytes();
            chunk.iter_mut().zip(number).for_each(|(to, from)| *to = from);
        }
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
