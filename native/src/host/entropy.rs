//! Randomness from the operating system, fetched in blocks.

use std::cell::RefCell;

thread_local! {
    /// One a thread, so that a call has none of its own to fill.
    static POOL: RefCell<Pool> = const { RefCell::new(Pool::new()) };
}

/// Fills `out` with random bytes of the operating system, none given twice.
///
/// # Panics
/// When the operating system has no random numbers: without them no call is safe.
pub(crate) fn fill(out: &mut [u8]) {
    POOL.with_borrow_mut(|pool| pool.fill(out));
}

struct Pool {
    bytes: [u8; Self::BLOCK],
    used: usize,
}

impl Pool {
    const BLOCK: usize = 512;

    const fn new() -> Self {
        Self { bytes: [0; Self::BLOCK], used: Self::BLOCK }
    }

    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == Self::BLOCK {
                getrandom::fill(&mut self.bytes).expect("the operating system gives random bytes");
                self.used = 0;
            }
            *byte = std::mem::take(&mut self.bytes[self.used]);
            self.used += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_differ_and_are_not_kept() {
        let mut pool = Pool::new();
        let (mut a, mut b) = ([0; 16], [0; 16]);
        pool.fill(&mut a);
        pool.fill(&mut b);
        assert_ne!(a, b);
        assert!(pool.bytes[..32].iter().all(|&byte| byte == 0));
        pool.fill(&mut [0; 2 * Pool::BLOCK]);
    }
}
