//! Sampling rates for JavaScript.

use js_sys::Int16Array;
use offhook_core::codec::convert;
use wasm_bindgen::prelude::wasm_bindgen;

/// Converts a piece of sound from a rate to another, both 4,000 to 192,000 samples a second; nothing when one of
/// them is not.
#[wasm_bindgen]
pub fn resample(samples: &[i16], from: u32, to: u32) -> Int16Array {
    Int16Array::from(convert(samples, from, to).as_slice())
}
