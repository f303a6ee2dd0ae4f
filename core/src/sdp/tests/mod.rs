mod negotiation;
mod text;

/// A seeded source of damage (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// The bytes with a few of them overwritten, cut out, doubled, or moved.
    fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        const TELLING: &[u8] = b"\r\n\0 =:/,-.09amcvost\xff";
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len());
            let end = (at + self.below(12)).min(bytes.len());
            match self.below(4) {
                0 => bytes.insert(at, TELLING[self.below(TELLING.len())]),
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let piece = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
                _ => bytes[at] = self.next() as u8,
            }
            if bytes.is_empty() {
                bytes.push(b'v');
            }
        }
        bytes
    }
}
