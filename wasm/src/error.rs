//! Errors as JavaScript throws them: an `Error` with a stable `code`. A panic, which is a fault of
//! ours, ends as a RuntimeError; what and where it was goes to the console.

use std::sync::Once;

use offhook_core::error::Error;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::object::set;

/// An `Error` that says `message` and carries `code`.
pub(crate) fn thrown(code: &str, message: &str) -> JsValue {
    let error: JsValue = js_sys::Error::new(message).into();
    set(&error, "code", code);
    error
}

/// What the core refused.
pub(crate) fn refused(error: Error) -> JsValue {
    thrown(error.code(), &error.to_string())
}

/// A value that cannot be used.
pub(crate) fn unusable(what: &'static str, value: String, problem: &'static str) -> JsValue {
    refused(Error::InvalidValue { what, value, problem })
}

/// Lets the console tell of panics, from the first call on.
pub(crate) fn tell_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| error(&format!("offhook: {panic}"))));
    });
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(text: &str);
}
