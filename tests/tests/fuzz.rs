//! The short run of every fuzz target: the same inputs each time, and as many as CI has time for.

use offhook_tests::fuzz::{TARGETS, short_run};

/// Inputs a target in CI; `OFFHOOK_FUZZ` asks for more.
const INPUTS: u64 = 30_000;

#[test]
fn every_target_survives_a_short_run() {
    let count = std::env::var("OFFHOOK_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(INPUTS);
    let seed = std::env::var("OFFHOOK_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for target in TARGETS {
        short_run(target, seed, count).unwrap_or_else(|failure| panic!("{failure}"));
    }
}
