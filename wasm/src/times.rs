//! The time of a call into the core.

use offhook_core::time::{Instant, WallTime};

/// The host's clocks as of the last call.
#[derive(Default)]
pub(crate) struct Times {
    now: Instant,
    /// Wall time at the clock's origin, so that each call needs only one time.
    wall_origin: u64,
}

impl Times {
    /// Sets the monotonic clock, in microseconds. It never goes back.
    pub(crate) fn set_now(&mut self, micros: f64) {
        self.now = self.now.max(Instant::from_micros(micros as u64));
    }

    /// Sets the wall clock, in microseconds since 1970.
    pub(crate) fn set_wall(&mut self, micros: f64) {
        self.wall_origin = (micros as u64).saturating_sub(self.now.as_micros());
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn wall(&self) -> WallTime {
        WallTime::from_micros(self.wall_origin.saturating_add(self.now.as_micros()))
    }
}
