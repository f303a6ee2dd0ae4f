//! Whether this machine stood still while something was measured in real time, and whether it is measured
//! again then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(2);

/// A thread on each processor that does nothing but tick, and the longest time between two ticks of one.
#[derive(Debug)]
struct StallMeter {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default, Debug)]
struct Shared {
    longest_us: AtomicU64,
    is_over: AtomicBool,
}

/// The attempts at something that is measured in real time. One that fails is made again only where the
/// machine itself stood still meanwhile.
#[derive(Debug)]
pub(crate) struct Attempts {
    meter: StallMeter,
    /// How many more may be made.
    left: u32,
}

/// A failed attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FailedAttempt {
    /// The longest time for which the machine stood still meanwhile.
    pub(crate) stall: Duration,
    /// Whether it is made again.
    pub(crate) again: bool,
}

impl Attempts {
    /// So many at the most; the first begins.
    pub(crate) fn new(most: u32) -> Self {
        Self { meter: StallMeter::start(), left: most }
    }

    /// The latest has failed; the next begins.
    pub(crate) fn fail(&mut self) -> FailedAttempt {
        self.left = self.left.saturating_sub(1);
        judge(self.meter.take(), self.left)
    }
}

/// How long a machine has to stand still for that to be heard: the time of a packet.
const AUDIBLE: Duration = Duration::from_millis(20);

fn judge(stall: Duration, left: u32) -> FailedAttempt {
    FailedAttempt { stall, again: stall >= AUDIBLE && left > 0 }
}

impl StallMeter {
    fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..processors)
            .map(|number| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    stay_on_processor(number);
                    shared.tick();
                })
            })
            .collect();
        Self { shared, threads }
    }

    /// The longest time between two ticks since this was asked last.
    fn take(&self) -> Duration {
        Duration::from_micros(self.shared.longest_us.swap(0, Ordering::Relaxed))
    }
}

impl Shared {
    /// Ticks until the meter is dropped.
    fn tick(&self) {
        let mut last = Instant::now();
        while !self.is_over.load(Ordering::Relaxed) {
            thread::sleep(TICK);
            let gap = last.elapsed();
            last += gap;
            self.longest_us.fetch_max(gap.as_micros() as u64, Ordering::Relaxed);
        }
    }
}

/// Keeps this thread on one of the processors that the process may use: where it may move, it does not see
/// that one of them stands still.
#[cfg(target_os = "linux")]
fn stay_on_processor(number: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let mut processors = (0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor));
    if let Some(processor) = processors.nth(number) {
        let mut one = CpuSet::new();
        one.set(processor);
        // Where that is forbidden it ticks all the same.
        let _ = sched_setaffinity(None, &one);
    }
}

#[cfg(not(target_os = "linux"))]
fn stay_on_processor(_: usize) {}

impl Drop for StallMeter {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that only ticks does not panic.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stall_excuses_and_not_for_ever() {
        assert!(judge(AUDIBLE, 1).again);
        assert!(!judge(AUDIBLE / 2, 1).again);
        assert!(!judge(AUDIBLE * 9, 0).again);
    }

    #[test]
    fn the_meter_ticks() {
        let meter = StallMeter::start();
        let end = Instant::now() + Duration::from_secs(60);
        while meter.take() < TICK {
            assert!(Instant::now() < end, "it does not tick");
            thread::yield_now();
        }
    }
}
