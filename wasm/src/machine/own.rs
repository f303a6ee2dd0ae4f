//! A machine that has a host of its own.

use js_sys::Function;
use offhook_core::host::Host;
use offhook_core::softphone::Softphone;
use offhook_core::switchboard::Switchboard;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::Machine;
use super::host::JsHost;
use crate::error::tell_panics;

/// The switchboard and its host.
pub(super) struct Ground {
    pub(super) board: Switchboard<Softphone>,
    pub(super) host: JsHost,
}

impl Ground {
    /// Lets the switchboard do something. On its own host nothing is in the way.
    pub(super) fn board<T>(
        &mut self,
        act: impl FnOnce(&mut Switchboard<Softphone>) -> T,
    ) -> Result<T, JsValue> {
        Ok(act(&mut self.board))
    }

    /// Lets it do something that needs its host.
    pub(super) fn board_and_host<T>(
        &mut self,
        act: impl FnOnce(&mut Switchboard<Softphone>, &mut dyn Host) -> T,
    ) -> Result<T, JsValue> {
        Ok(act(&mut self.board, &mut self.host))
    }
}

#[wasm_bindgen]
impl Machine {
    /// A machine without accounts. `entropy` fills the array it is given with random bytes, as
    /// `crypto.getRandomValues` does.
    #[wasm_bindgen(constructor)]
    pub fn new(
        #[wasm_bindgen(unchecked_param_type = "(bytes: Uint8Array) => void")] entropy: Function,
    ) -> Machine {
        tell_panics();
        Self::on(Ground { board: Switchboard::new(), host: JsHost::new(entropy) })
    }
}
