//! The chance that the weights of SRV records are drawn by.

/// Chance that is the same each time: the same records are put in the same order. One
/// number of the host's entropy is enough for a phone, so that all phones together spread over the
/// servers of a domain as the weights say, and each of them stays where it is as long as that works.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Draw(u64);

impl Draw {
    /// By this number.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (SplitMix64).
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
