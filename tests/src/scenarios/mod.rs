//! The table of scenarios.

mod audio;
mod calls;
mod loss;
mod registration;

use crate::world::{Outcome, World};

/// A thing that happens to telephones, and what has to come of it.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it shows, and where that is asked for.
    pub shows: &'static str,
    /// Plays it on the network that follows from a seed.
    pub play: fn(seed: u64) -> Outcome<World>,
}

impl Scenario {
    /// Plays it; the hash covers every byte on the wire and every event.
    ///
    /// # Errors
    /// What did not hold, with the seed.
    pub fn run(&self, seed: u64) -> Outcome<u64> {
        match (self.play)(seed) {
            Ok(world) => Ok(world.sim.trace_hash()),
            Err(failure) => Err(format!("scenario {}: {failure}", self.name)),
        }
    }
}

/// Every scenario.
pub const SCENARIOS: &[Scenario] = &[
    calls::FIRST_CALL,
    calls::DIRECT_CALL,
    calls::BUSY,
    calls::NO_ANSWER,
    calls::NOBODY_THERE,
    calls::CODEC_MISMATCH,
    calls::CANCEL,
    calls::CANCEL_CROSSES_ANSWER,
    calls::BYE_CROSSES_BYE,
    calls::FORK,
    calls::EARLY_MEDIA,
    calls::KILLED_PEER,
    calls::STOP_ENDS_CALLS,
    calls::THOUSAND_CALLS,
    registration::WRONG_PASSWORD,
    registration::DIGESTS,
    registration::REFRESH,
    registration::SERVER_COMES_BACK,
    registration::SERVER_GONE,
    audio::TONE_BOTH_WAYS,
    audio::TONE_UNDER_LOSS,
    audio::DIGITS_UNDER_LOSS,
    audio::STALL_MAKES_NO_BURST,
    audio::RATES,
    loss::A_LITTLE_LOSS,
    loss::ANY_LOSS,
];

/// The scenario of that name.
pub fn named(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}
