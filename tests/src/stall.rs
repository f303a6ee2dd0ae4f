//! Sound in real time on a machine that may stall.

#[path = "../../native/src/command/demo/stall.rs"]
mod meter;

use std::fmt::Display;

use meter::{Attempts, FailedAttempt};

/// How often it is played at the most.
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
    let mut attempts = Attempts::new(ATTEMPTS);
    while let Err(spoilt) = play() {
        play_again(&mut attempts, &spoilt);
    }
}

/// The same of something that is awaited.
///
/// # Panics
/// As [`unless_stalled`].
pub async fn awaited_unless_stalled<E: Display>(mut play: impl AsyncFnMut() -> Result<(), E>) {
    let mut attempts = Attempts::new(ATTEMPTS);
    while let Err(spoilt) = play().await {
        play_again(&mut attempts, &spoilt);
    }
}

/// Plays again, or panics.
#[track_caller]
fn play_again(attempts: &mut Attempts, spoilt: &dyn Display) {
    let FailedAttempt { stall, again } = attempts.fail();
    let words = format!("{spoilt}; the machine stalled for {stall:?}");
    assert!(again, "{words}");
    eprintln!("played again: {words}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "a gap; the machine stalled for")]
    fn what_is_always_spoilt_fails() {
        unless_stalled(|| Err("a gap"));
    }
}
