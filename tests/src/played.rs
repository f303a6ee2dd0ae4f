//! What a scenario has played: each [`World`] that it made, in the order in which they ended.

use std::cell::RefCell;

use offhook_core::sim::Simulation;

use crate::world::{Outcome, World};

thread_local! {
    /// The worlds that have ended on this thread.
    static ENDED: RefCell<Vec<Ended>> = const { RefCell::new(Vec::new()) };
}

/// What stays of a world.
struct Ended {
    hash: u64,
    addresses: Outcome,
}

/// Plays, and gives the hash over every byte on the wire and every event of every world that was made
/// on the way, whether it is handed back or not.
///
/// # Errors
/// What did not hold, with the seed.
pub fn play(script: impl FnOnce() -> Outcome<World>) -> Outcome<u64> {
    ENDED.take();
    script().map(drop)?;
    let mut hashes = Vec::new();
    for Ended { hash, addresses } in ENDED.take() {
        addresses?;
        hashes.push(hash);
    }
    Ok(match hashes[..] {
        [one] => one,
        _ => {
            let mut all = Simulation::new(0);
            all.note(&hashes);
            all.trace_hash()
        }
    })
}

impl Drop for World {
    fn drop(&mut self) {
        let ended = Ended { hash: self.sim.trace_hash(), addresses: self.expect_addresses() };
        ENDED.with_borrow_mut(|worlds| worlds.push(ended));
    }
}
