//! What the host has to do: packets to send, and requests.

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::Machine;

#[wasm_bindgen]
impl Machine {
    /// Where the packets to send begin in memory; `wasm/src/outbox.rs` says how they are written.
    #[wasm_bindgen(js_name = packetsAt)]
    pub fn packets_at(&self) -> *const u8 {
        self.ground.host.outbox.span().0
    }

    /// How many bytes the packets to send are, heads included.
    #[wasm_bindgen(js_name = packetsLength)]
    pub fn packets_length(&self) -> usize {
        self.ground.host.outbox.span().1
    }

    /// Says that the packets were sent or copied.
    #[wasm_bindgen(js_name = packetsTaken)]
    pub fn packets_taken(&mut self) {
        self.ground.host.outbox.clear();
    }

    /// The next request to the host.
    #[wasm_bindgen(js_name = nextRequest, unchecked_return_type = "HostRequest | undefined")]
    pub fn next_request(&mut self) -> JsValue {
        self.ground.host.next_request().unwrap_or(JsValue::UNDEFINED)
    }
}
