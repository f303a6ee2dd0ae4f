//! The core on its own, as a module whose import section `cargo xtask test imports` reads: it must
//! be empty. The scenarios make phones, media sessions, an exchange and the simulation, and use all
//! of them. Without wasm-bindgen; and a `main` needs no unsafe export.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use offhook_tests::scenarios::SCENARIOS;

fn main() -> ExitCode {
    let failed = SCENARIOS.iter().any(|scenario| scenario.run(1).is_err());
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
