//! How often something may happen.

use crate::time::{Duration, Instant};

/// A bucket of tokens: it fills at a rate up to what it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// How many a second; 0 for no limit.
    rate: u64,
    /// In millionths.
    held: u64,
    most: u64,
    filled: Instant,
}

/// What one is worth.
const ONE: u64 = 1_000_000;

impl Bucket {
    /// `rate` a second, and as much at once as comes in `burst`.
    pub(super) fn new(rate: u64, burst: Duration, now: Instant) -> Self {
        let most = rate.saturating_mul(burst.as_micros()).max(ONE);
        Self { rate, held: most, most, filled: now }
    }

    /// Takes `count`; whether there were so many.
    pub(super) fn take(&mut self, count: u64, now: Instant) -> bool {
        if self.rate == 0 {
            return true;
        }
        let came = self.rate.saturating_mul(now.since(self.filled).as_micros());
        self.held = self.held.saturating_add(came).min(self.most);
        self.filled = now;
        match self.held.checked_sub(count.saturating_mul(ONE)) {
            Some(left) => {
                self.held = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fills_at_its_rate_and_no_further() {
        let at = Instant::from_micros;
        let mut bucket = Bucket::new(10, Duration::from_secs(2), at(0));
        assert_eq!((0..30).filter(|_| bucket.take(1, at(0))).count(), 20);
        assert!(!bucket.take(1, at(99_999)) && bucket.take(1, at(100_000)));
        assert_eq!((0..30).filter(|_| bucket.take(1, at(3_600_000_000))).count(), 20);
        let mut free = Bucket::new(0, Duration::from_secs(1), at(0));
        assert!((0..1_000).all(|_| free.take(9, at(0))));
    }
}
