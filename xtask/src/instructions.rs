//! `cargo xtask instructions`: what pieces of work cost, in instructions counted by valgrind. Unlike
//! times they hardly depend on the machine and on what else runs there.

use std::path::Path;

use crate::run::Run;
use crate::steps::{Failure, StepResult};
use crate::{tools, wasm};

/// A piece of work of `tests/src/bin/instructions.rs`.
struct Work {
    name: &'static str,
    what: &'static str,
    /// How often it is done at least: until tables and buffers have grown.
    warm: u32,
}

const WORKS: &[Work] = &[
    Work { name: "parse", what: "an INVITE parsed", warm: 1_000 },
    Work { name: "call", what: "an answered call between two phones in memory", warm: 1_000 },
    Work { name: "tcp", what: "the same over TCP, on a connection that stays", warm: 1_000 },
    Work { name: "line", what: "that to one of two lines of a switchboard", warm: 1_000 },
    Work { name: "packet", what: "an RTP packet in and one out", warm: 1_000 },
];

/// How many times more a work is done in the second of two runs, whose difference is its cost.
const COUNT: u32 = 1_000;

/// Measures each work and prints it.
pub(crate) fn measure() -> Result<StepResult, Failure> {
    if !tools::has("valgrind") {
        let why = "valgrind is not installed (apt-get install valgrind)";
        return Ok(StepResult::Skipped(why.to_owned()));
    }
    // In one piece: how a compiler cuts crates into units would show in the counts.
    Run::cargo("build -q --release -p offhook-tests --bin instructions")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .go()?;
    let program = wasm::target_dir().join("release/instructions");
    for Work { name, what, warm } in WORKS {
        let first = collected(&program, name, *warm)?;
        let second = collected(&program, name, warm + COUNT)?;
        println!("{name:8} {:>9} instructions: {what}", (second - first) / u64::from(COUNT));
    }
    Ok(StepResult::Done)
}

/// The instructions of a whole run.
fn collected(program: &Path, work: &str, count: u32) -> Result<u64, Failure> {
    let valgrind = "valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-fd=1";
    let run = Run::new(valgrind).arg(program).arg(work).arg(count.to_string());
    let printed = run.read()?;
    total(&printed).ok_or_else(|| Failure(format!("valgrind counted nothing: {printed}")))
}

/// The number in callgrind's line `==1== Collected : 12547783`.
fn total(printed: &str) -> Option<u64> {
    let line = printed.lines().find_map(|line| line.split_once("Collected :"));
    line.and_then(|(_, number)| number.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_what_callgrind_prints() {
        let printed = "==7== Events    : Ir\n==7== Collected : 12547783\n==7== \n";
        assert_eq!(total(printed), Some(12_547_783));
        assert_eq!(total("==7== Events    : Ir\n"), None);
    }
}
