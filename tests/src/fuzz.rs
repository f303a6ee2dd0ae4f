//! Fuzzing that needs no nightly compiler: seeded mutations of a corpus, fed to the same targets
//! that `cargo fuzz` runs with coverage (`tests/fuzz`).

mod relay;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::random::Random;

/// One fuzz target: a name, inputs to begin with, and what to do with an input. A target panics when
/// what it checks does not hold.
pub struct Target {
    /// The name, also that of the cargo-fuzz target.
    pub name: &'static str,
    /// What to begin with.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Words worth inserting.
    pub dictionary: &'static [&'static str],
    /// Feeds one input.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    MESSAGE,
    targets::STREAM,
    targets::URI,
    SDP,
    RTP,
    targets::G722,
    targets::STUN,
    targets::WAV,
    relay::RELAY,
];

pub use targets::{MESSAGE, RTP, SDP};

/// The longest input a run makes: one UDP datagram.
const MAX_INPUT: usize = 65_535;

/// Feeds one input to the target of that name, as cargo-fuzz does.
///
/// # Panics
/// When there is no such target, or when what it checks does not hold.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a fuzz target");
    (target.run)(input);
}

/// The corpus of `target`, with `more` inputs to begin with, and then mutations of it without end that
/// follow from `seed`.
pub fn inputs(target: &Target, more: Vec<Vec<u8>>, seed: u64) -> impl Iterator<Item = Vec<u8>> {
    let corpus = [(target.corpus)(), more].concat();
    let (given, dictionary) = (corpus.clone(), target.dictionary);
    let mut random = Random::new(seed);
    let mutations = std::iter::repeat_with(move || mutate(&mut random, &corpus, dictionary));
    given.into_iter().chain(mutations)
}

/// Feeds `target` its corpus and then `count` mutations of it that follow from `seed`.
///
/// # Errors
/// The first input that made it panic, with the seed and number that make it again.
pub fn short_run(target: &Target, seed: u64, count: u64) -> Result<(), String> {
    let tries = (target.corpus)().len() + count as usize;
    for (number, input) in inputs(target, Vec::new(), seed).take(tries).enumerate() {
        if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
            return Err(format!(
                "fuzz target {} failed at input {number} of seed {seed}: {}",
                target.name,
                input.escape_ascii()
            ));
        }
    }
    Ok(())
}

/// A corpus member with one to eight changes.
fn mutate(random: &mut Random, corpus: &[Vec<u8>], dictionary: &[&str]) -> Vec<u8> {
    let mut input = random.choose(corpus).cloned().unwrap_or_default();
    for _ in 0..=random.below(8) {
        let at = random.below(input.len() as u64 + 1) as usize;
        let length = random.below(16) as usize;
        let end = (at + length).min(input.len());
        match random.below(8) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = random.below(256) as u8,
            2 => drop(input.drain(at..end)),
            3 => {
                let copy = input[at..end].to_vec();
                drop(input.splice(at..at, copy));
            }
            4 => {
                let repeat = random.below(512) as usize;
                let byte = random.below(256) as u8;
                drop(input.splice(at..at, std::iter::repeat_n(byte, repeat)));
            }
            5 => {
                if let Some(word) = random.choose(dictionary) {
                    drop(input.splice(at..end, word.bytes()));
                }
            }
            6 => {
                let other = random.choose(corpus).cloned().unwrap_or_default();
                let from = random.below(other.len() as u64 + 1) as usize;
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => input.truncate(at),
        }
    }
    input.truncate(MAX_INPUT);
    input
}
