//! Sound in real time on a machine that may stall.

#[path = "../../native/src/command/demo/stall.rs"]
mod meter;

use std::fmt::Display;
use std::time::Duration;

use meter::StallMeter;

const ATTEMPTS: u32 = 5;

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

/// The same of something that is awaited.
///
/// # Panics
/// As [`unless_stalled`].
pub async fn awaited_unless_stalled<E: Display>(mut play: impl AsyncFnMut() -> Result<(), E>) {
    let mut attempts = Attempts::new();
    while let Err(spoilt) = play().await {
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
    stall >= StallMeter::AUDIBLE && failed < ATTEMPTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stall_excuses_and_not_for_ever() {
        const AUDIBLE: Duration = StallMeter::AUDIBLE;
        assert!(may_play_again(AUDIBLE, 1));
        assert!(!may_play_again(AUDIBLE / 2, 1));
        assert!(!may_play_again(AUDIBLE * 9, ATTEMPTS));
    }

    #[test]
    #[should_panic(expected = "a gap; the machine stalled for")]
    fn what_is_always_spoilt_fails() {
        unless_stalled(|| Err("a gap"));
    }
}
