//! The types of the plain objects that cross, for TypeScript.

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("types.d.ts");

#[cfg(feature = "sim")]
#[wasm_bindgen(typescript_custom_section)]
const SIM_TYPES: &str = include_str!("sim/types.d.ts");
