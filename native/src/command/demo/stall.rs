//! Whether this machine stood still while something was measured in real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(2);

/// A thread on each processor that does nothing but tick, and the longest time between two ticks of one.
#[derive(Debug)]
pub(crate) struct StallMeter {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default, Debug)]
struct Shared {
    longest_us: AtomicU64,
    is_over: AtomicBool,
}

impl StallMeter {
    /// How long a machine has to stand still for that to be heard: the time of a packet.
    pub(crate) const AUDIBLE: Duration = Duration::from_millis(20);

    pub(crate) fn start() -> Self {
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
    pub(crate) fn take(&self) -> Duration {
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
    fn the_meter_ticks() {
        let meter = StallMeter::start();
        let end = Instant::now() + Duration::from_secs(60);
        while meter.take() < TICK {
            assert!(Instant::now() < end, "it does not tick");
            thread::yield_now();
        }
    }
}
