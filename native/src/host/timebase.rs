//! The core's two clocks, and the way from its deadlines to the system's.

use std::time::SystemTime;

use offhook_core::time::{Duration, Instant, WallTime};

/// A monotonic clock whose origin is the moment it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timebase {
    origin: std::time::Instant,
}

impl Timebase {
    /// What the clock shows at its origin, so that no moment of a run is [`Instant::ZERO`], which
    /// as a deadline means "at once".
    const START: Duration = Duration::from_secs(1);

    /// How far ahead a deadline without end is put.
    const FOREVER: std::time::Duration = std::time::Duration::from_secs(86_400 * 365);

    pub(crate) fn new() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    pub(crate) fn now(self) -> Instant {
        Instant::ZERO + Self::START + self.origin.elapsed().into()
    }

    pub(crate) fn wall(self) -> WallTime {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        WallTime::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// When `deadline` is on the system's monotonic clock.
    pub(crate) fn at(self, deadline: Instant) -> std::time::Instant {
        let after: std::time::Duration = deadline.since(Instant::ZERO + Self::START).into();
        self.origin + after.min(Self::FOREVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_where_the_clock_will_be() {
        let time = Timebase::new();
        let before = time.now();
        assert!(before > Instant::ZERO);
        let at = time.at(before + Duration::from_millis(20));
        let after = at.duration_since(time.origin);
        let expected = before.since(Instant::ZERO + Timebase::START) + Duration::from_millis(20);
        assert_eq!(after, std::time::Duration::from(expected));
        assert!(time.at(Instant::FAR) > time.at(before));
        assert!(time.at(Instant::ZERO) <= std::time::Instant::now());
    }
}
