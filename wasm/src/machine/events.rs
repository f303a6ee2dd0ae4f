//! What has happened, line by line.

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::Machine;
use super::handler;
use crate::event;
use crate::object::Builder;

#[wasm_bindgen]
impl Machine {
    /// The next event. With `ended` the digits and the tap of that call can still be taken; they are
    /// gone when the event after it is asked for.
    #[wasm_bindgen(js_name = nextEvent, unchecked_return_type = "MachineEvent | undefined")]
    pub fn next_event(&mut self) -> Result<JsValue, JsValue> {
        if let Some(failed) = self.next_failure() {
            return Ok(failed);
        }
        let next = self.ground.board(|board| {
            while let Some((id, line)) = board.next_changed() {
                let Some(next) = line.next_event() else { continue };
                // It may have more.
                board.line_mut(id);
                if let Some(object) = event::of_line(id, next) {
                    return object;
                }
            }
            JsValue::UNDEFINED
        })?;
        Ok(next)
    }
}

impl Machine {
    /// What a handler of ours has thrown.
    fn next_failure(&self) -> Option<JsValue> {
        let (line, handler::Failure { method, error, .. }) = handler::next_failure(|owner| {
            let account = self.accounts.iter().find(|account| account.handlers == Some(owner));
            account.map(|account| account.line)
        })?;
        let object = Builder::of("handlerFailed").with("line", line);
        Some(object.with("method", method).with("error", error).done())
    }
}
