//! The scenarios of `tests/` for JavaScript, so that the same table runs natively and in any
//! WebAssembly host.
#![forbid(unsafe_code)]

use offhook_tests::scenarios::{SCENARIOS, named};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

/// The names of the scenarios.
#[wasm_bindgen]
pub fn names() -> Vec<String> {
    SCENARIOS.iter().map(|scenario| scenario.name.to_owned()).collect()
}

/// Plays a scenario; the hash of its trace.
///
/// # Errors
/// What did not hold.
#[wasm_bindgen]
pub fn run(name: &str, seed: u64) -> Result<u64, JsError> {
    let scenario = named(name).ok_or_else(|| JsError::new("there is no such scenario"))?;
    scenario.run(seed).map_err(|failure| JsError::new(&failure))
}
