//! Plain JavaScript objects, written and read.

use js_sys::{Object, Reflect};
use wasm_bindgen::JsValue;

/// Sets a property of an object that is neither frozen nor sealed.
pub(crate) fn set(object: &JsValue, name: &str, value: impl Into<JsValue>) {
    // A plain extensible object refuses nothing.
    let _ = Reflect::set(object, &name.into(), &value.into());
}

/// An object in the making.
pub(crate) struct Builder(JsValue);

impl Builder {
    /// An object without properties.
    pub(crate) fn new() -> Self {
        Self(Object::new().into())
    }

    /// An object with a `type`, by which TypeScript tells them apart.
    pub(crate) fn of(kind: &str) -> Self {
        Self::new().with("type", kind)
    }

    /// One more property.
    pub(crate) fn with(self, name: &str, value: impl Into<JsValue>) -> Self {
        set(&self.0, name, value);
        self
    }

    /// One more property, if there is a value.
    pub(crate) fn maybe(self, name: &str, value: Option<impl Into<JsValue>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The object.
    pub(crate) fn done(self) -> JsValue {
        self.0
    }
}

/// A number of the core (of a call, a request, a port) in JavaScript: exact up to 2^53, and they
/// count from zero.
pub(crate) fn number(id: u64) -> f64 {
    id as f64
}
