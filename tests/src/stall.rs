//! Sound in real time on a machine that may stall.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long the machine has to stand still for that to be heard: the time of a packet.
const AUDIBLE: Duration = Duration::from_millis(20);
const TICK: Duration = Duration::from_millis(2);
const ATTEMPTS: u32 = 5;

/// A thread that does nothing but tick, and the longest time between two of its ticks.
#[derive(Debug)]
struct StallMeter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default, Debug)]
struct Shared {
    longest_us: AtomicU64,
    is_over: AtomicBool,
}

/// Plays something in real time and checks what is heard. A program that is late leaves out what it was late
/// for: where that is heard, it is played again if the machine itself is shown to have stalled meanwhile, and
/// only then, and standard error says so.
///
/// What fails otherwise panics in `play`, and is never played again.
///
/// # Panics
/// When the sound is spoilt though the machine did not stall, or each time of a few.
#[track_caller]
pub fn unless_stalled<E: Display>(mut play: impl FnMut() -> Result<(), E>) {
    let mut attempts = Attempts::new();
    while let Err(spoilt) = play() {
        attempts.fail(&spoilt);
    }
}

struct Attempts {
    meter: StallMeter,
    failed: u32,
}

impl Attempts {
    fn new() -> Self {
        Self { meter: StallMeter::start(), failed: 0 }
    }

    #[track_caller]
    fn fail(&mut self, spoilt: &dyn Display) {
        let stall = self.meter.take();
        self.failed += 1;
        let told = format!("{spoilt}; the machine stalled for {stall:?}");
        assert!(may_play_again(stall, self.failed), "{told}");
        eprintln!("played again: {told}");
    }
}

fn may_play_again(stall: Duration, failed: u32) -> bool {
    stall >= AUDIBLE && failed < ATTEMPTS
}

impl StallMeter {
    fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let ours = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let mut last = Instant::now();
            while !ours.is_over.load(Ordering::Relaxed) {
                thread::sleep(TICK);
                let gap = last.elapsed();
                last += gap;
                ours.longest_us.fetch_max(gap.as_micros() as u64, Ordering::Relaxed);
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// The longest time between two ticks since this was asked last.
    fn take(&self) -> Duration {
        Duration::from_micros(self.shared.longest_us.swap(0, Ordering::Relaxed))
    }
}

impl Drop for StallMeter {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stall_excuses_and_not_for_ever() {
        assert!(may_play_again(AUDIBLE, 1));
        assert!(!may_play_again(AUDIBLE / 2, 1));
        assert!(!may_play_again(AUDIBLE * 9, ATTEMPTS));
    }

    #[test]
    fn the_meter_ticks() {
        let meter = StallMeter::start();
        let end = Instant::now() + Duration::from_secs(10);
        while meter.take() < TICK {
            assert!(Instant::now() < end, "it does not tick");
            thread::yield_now();
        }
    }

    #[test]
    #[should_panic(expected = "a gap; the machine stalled for")]
    fn what_is_always_spoilt_fails() {
        unless_stalled(|| Err("a gap"));
    }
}
