//! JavaScript's values that the core holds. What it holds may go to another thread, and JavaScript's
//! values may not: so it holds their numbers.

use core::cell::RefCell;

use wasm_bindgen::JsValue;

thread_local! {
    static VALUES: RefCell<Values> = const { RefCell::new(Values { last: 0, kept: Vec::new() }) };
}

struct Values {
    last: u32,
    kept: Vec<(u32, JsValue)>,
}

/// A value that is kept until this is dropped.
pub(super) struct Kept(u32);

impl Kept {
    pub(super) fn new(value: JsValue) -> Self {
        VALUES.with_borrow_mut(|values| {
            values.last += 1;
            values.kept.push((values.last, value));
            Self(values.last)
        })
    }

    /// The value.
    pub(super) fn get(&self) -> JsValue {
        VALUES.with_borrow(|values| {
            let found = values.kept.iter().find(|(number, _)| *number == self.0);
            found.map_or(JsValue::UNDEFINED, |(_, value)| value.clone())
        })
    }

    /// Its number, which no other has.
    pub(super) fn number(&self) -> u32 {
        self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        VALUES.with_borrow_mut(|values| values.kept.retain(|(number, _)| *number != self.0));
    }
}
