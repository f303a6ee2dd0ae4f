//! When calls are placed: at a rate, from a fixed beginning, so that nothing drifts.

use std::time::Duration;

use tokio::time::Instant;

/// The n-th call is due at the beginning and n intervals. What falls behind because the machine was
/// busy is made up for at no more than twice the rate, so that no flood goes out.
#[derive(Debug)]
pub(super) struct Pace {
    /// Calls a second.
    rate: f64,
    start: Instant,
    taken: u64,
    /// When calls were taken last.
    last: Instant,
}

impl Pace {
    /// The first call is due at `start`.
    pub(super) fn new(rate: f64, start: Instant) -> Self {
        Self { rate, start, taken: 0, last: start }
    }

    /// When the next call is due.
    pub(super) fn next(&self) -> Instant {
        self.start + Duration::try_from_secs_f64(self.taken as f64 / self.rate).unwrap_or(FOREVER)
    }

    /// How many calls are to be placed now, at most `room`; they count as placed.
    pub(super) fn take(&mut self, now: Instant, room: u64) -> u64 {
        let due = (now.duration_since(self.start).as_secs_f64() * self.rate) as u64 + 1;
        let twice = (now.duration_since(self.last).as_secs_f64() * self.rate * 2.0).ceil() as u64;
        let count = due.saturating_sub(self.taken).min(twice.max(1)).min(room);
        self.taken += count;
        self.last = now;
        count
    }

    /// Puts off everything that is still to come.
    pub(super) fn delay(&mut self, by: Duration) {
        self.start += by;
        self.last += by;
    }
}

/// What is due later than this is never due.
const FOREVER: Duration = Duration::from_secs(1 << 32);

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `pace` until `end`, looking every `step`; how many calls each look placed.
    fn run(pace: &mut Pace, from: Instant, end: Duration, step: Duration) -> Vec<u64> {
        let mut counts = Vec::new();
        let mut at = Duration::ZERO;
        while at < end {
            counts.push(pace.take(from + at, u64::MAX));
            at += step;
        }
        counts
    }

    #[test]
    fn nothing_drifts_however_coarse_the_clock() {
        for (rate, step) in [(500.0, 1_000), (5_000.0, 1_300), (333.0, 700)] {
            let start = Instant::now();
            let mut pace = Pace::new(rate, start);
            let minute = Duration::from_secs(60);
            let counts = run(&mut pace, start, minute, Duration::from_micros(step));
            let placed: u64 = counts.iter().sum();
            assert!(
                placed.abs_diff((rate * 60.0) as u64) <= 1 + (rate * 0.0013) as u64,
                "{placed}"
            );
        }
    }

    #[test]
    fn a_stall_is_made_up_for_without_a_flood() {
        let start = Instant::now();
        let mut pace = Pace::new(1_000.0, start);
        let ms = Duration::from_millis(1);
        assert_eq!(pace.take(start, u64::MAX), 1);
        // Half a second without a look: a burst of what was due would be 500.
        let later = start + 500 * ms;
        pace.last = later - ms;
        let counts = run(&mut pace, later, 600 * ms, ms);
        assert!(counts.iter().all(|count| *count <= 3), "{counts:?}");
        assert_eq!(counts.iter().sum::<u64>(), 1_099);
    }

    #[test]
    fn a_delay_moves_what_is_to_come() {
        let start = Instant::now();
        let mut pace = Pace::new(10.0, start);
        assert_eq!(pace.take(start, 1), 1);
        assert_eq!(pace.next(), start + Duration::from_millis(100));
        pace.delay(Duration::from_secs(5));
        assert_eq!(pace.next(), start + Duration::from_millis(5_100));
        assert_eq!(pace.take(start + Duration::from_millis(5_100), u64::MAX), 1);
        assert_eq!(pace.take(start + Duration::from_millis(5_199), u64::MAX), 0);
    }
}
