//! Plays every scenario of `tests/` natively and prints the hash of its trace; `wasm/test/traces.js`
//! prints the same from WebAssembly.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use offhook_tests::scenarios::SCENARIOS;

/// As in `wasm/test/traces.js`.
const SEED: u64 = 1;

fn main() -> ExitCode {
    for scenario in SCENARIOS {
        match scenario.run(SEED) {
            Ok(hash) => println!("{} {SEED} {hash:016x}", scenario.name),
            Err(failure) => {
                eprintln!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
