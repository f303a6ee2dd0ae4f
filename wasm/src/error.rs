//! Errors as JavaScript throws them: an `Error` with a stable `code`.

use offhook_core::error::Error;
use wasm_bindgen::JsValue;

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
