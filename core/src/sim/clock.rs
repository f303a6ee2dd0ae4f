//! A node's own clock.

use crate::time::{Duration, Instant};

/// A node's own clock, which may run fast or slow.
#[derive(Clone, Copy, Debug)]
pub(super) struct StationClock {
    /// A moment on the network's clock, and what this one showed then.
    anchor: Instant,
    local: Instant,
    drift_ppm: i32,
}

impl StationClock {
    /// A clock that shows the network's time.
    pub(super) fn new(now: Instant) -> Self {
        Self { anchor: now, local: now, drift_ppm: 0 }
    }

    /// Lets it run fast, or, below zero, slow from `now` on.
    pub(super) fn set_drift(&mut self, now: Instant, ppm: i32) {
        *self = Self { anchor: now, local: self.read(now), drift_ppm: ppm };
    }

    /// What it shows at a moment of the network's clock.
    pub(super) fn read(self, at: Instant) -> Instant {
        let passed = i128::from(at.since(self.anchor).as_micros());
        let drifted = passed + passed * i128::from(self.drift_ppm) / 1_000_000;
        self.local + Duration::from_micros(u64::try_from(drifted).unwrap_or(0))
    }

    /// When this clock first shows `local`.
    pub(super) fn when(self, local: Instant) -> Instant {
        let passed = i128::from(local.since(self.local).as_micros());
        let rate = 1_000_000 + i128::from(self.drift_ppm.max(-999_999));
        let passed = (passed * 1_000_000 + rate - 1) / rate;
        self.anchor + Duration::from_micros(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}
