//! WAV files for JavaScript.

use js_sys::Int16Array;
use offhook_core::wav::{self, WavError};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::thrown;
use crate::object::Builder;

/// Reads a WAV file: 8 to 32-bit PCM, floating point, A-law or mu-law, all channels mixed into one.
#[wasm_bindgen(js_name = readWav, unchecked_return_type = "Wav")]
pub fn read_wav(file: &[u8]) -> Result<JsValue, JsValue> {
    let (format, samples, cut_short) =
        wav::read(file).map_err(|error| thrown(WavError::CODE, &error.to_string()))?;
    let wav = Builder::new()
        .with("rate", format.rate)
        .with("samples", Int16Array::from(samples.as_slice()))
        .maybe("cutShort", cut_short.map(|cut_short| cut_short.to_string()));
    Ok(wav.done())
}
