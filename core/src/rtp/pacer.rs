//! When frames are due: at `start + n * period`, never "a period from now", so that nothing drifts.

use crate::time::{Duration, Instant};

/// A host that is late by up to this many periods makes up for it; beyond that frames are dropped,
/// so that a stall never ends in a burst.
pub(crate) const MAX_LATE: u64 = 3;

/// A sequence of deadlines.
#[derive(Clone, Debug)]
pub(crate) struct Pacer {
    start: Instant,
    period: Duration,
    tick: u64,
}

impl Pacer {
    /// The first deadline is `start`. A period of zero is taken as a microsecond.
    pub(crate) fn new(start: Instant, period: Duration) -> Self {
        Self { start, period: period.max(Duration::from_micros(1)), tick: 0 }
    }

    pub(crate) fn period(&self) -> Duration {
        self.period
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        self.start + self.period * self.tick
    }

    /// If a frame is due, moves on to the next one; returns how many had to be skipped before it.
    pub(crate) fn advance(&mut self, now: Instant) -> Option<u64> {
        let deadline = self.next_deadline();
        if now < deadline {
            return None;
        }
        let late = now.since(deadline).as_micros() / self.period.as_micros();
        let skipped = if late > MAX_LATE { late } else { 0 };
        self.tick += skipped + 1;
        Some(skipped)
    }

    /// Leaves out every frame that is due; returns how many.
    pub(crate) fn pass(&mut self, now: Instant) -> u64 {
        let deadline = self.next_deadline();
        if now < deadline {
            return 0;
        }
        let passed = now.since(deadline).as_micros() / self.period.as_micros() + 1;
        self.tick += passed;
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PTIME: Duration = Duration::from_millis(20);

    #[test]
    fn deadlines_do_not_depend_on_when_they_are_served() {
        let mut pacer = Pacer::new(Instant::from_micros(7), PTIME);
        for tick in 0..30_000u64 {
            let deadline = pacer.next_deadline();
            assert_eq!(deadline, Instant::from_micros(7 + tick * 20_000));
            let served = deadline + Duration::from_micros(tick % 19_999);
            assert_eq!(pacer.advance(served), Some(0));
            assert_eq!(pacer.advance(served), None);
        }
    }

    #[test]
    fn a_short_delay_is_made_up_for_and_a_long_one_is_not() {
        let mut pacer = Pacer::new(Instant::ZERO, PTIME);
        let late = Instant::ZERO + PTIME * 3;
        assert_eq!(
            [(); 5].map(|()| pacer.advance(late)),
            [Some(0), Some(0), Some(0), Some(0), None]
        );
        let stalled = Instant::ZERO + PTIME * 4 + Duration::from_millis(500);
        assert_eq!(pacer.advance(stalled), Some(25));
        assert_eq!(pacer.advance(stalled), None);
        assert_eq!(pacer.next_deadline(), Instant::ZERO + PTIME * 30);
    }
}
