//! What was sent on the network.

use core::fmt;

use offhook_core::trace::Trace;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::Simulation;
use crate::address::socket_address;

#[wasm_bindgen]
impl Simulation {
    /// Keeps so many of the packets sent last; at first 100,000.
    pub fn record(&self, packets: usize) -> Result<(), JsValue> {
        self.with(|sim| sim.record_wire(packets))
    }

    /// Gives an address a name in the ladder.
    #[wasm_bindgen(js_name = nameAddress)]
    pub fn name_address(&self, address: &str, port: u16, name: &str) -> Result<(), JsValue> {
        let address = socket_address(address, port)?;
        self.labels.borrow_mut().push((address, name.to_owned()));
        Ok(())
    }

    /// The packets as a diagram in text.
    pub fn ladder(&self) -> Result<String, JsValue> {
        self.trace().map(|trace| trace.ladder())
    }

    /// The same diagram as an SVG picture.
    pub fn svg(&self) -> Result<String, JsValue> {
        self.trace().map(|trace| trace.svg())
    }

    /// The packets as a file that Wireshark reads.
    pub fn pcap(&self) -> Result<Vec<u8>, JsValue> {
        self.trace().map(|trace| trace.pcap())
    }

    /// A hash of all that was sent and noted so far, in 16 hexadecimal digits: two runs of one seed have
    /// one hash, in JavaScript and in Rust.
    #[wasm_bindgen(js_name = traceHash)]
    pub fn trace_hash(&self) -> Result<String, JsValue> {
        self.with(|sim| format!("{:016x}", sim.trace_hash()))
    }

    /// Takes something that happened into the hash, with the time.
    pub fn note(&self, what: &str) -> Result<(), JsValue> {
        self.with(|sim| sim.note(&Words(what)))
    }
}

impl Simulation {
    fn trace(&self) -> Result<Trace, JsValue> {
        let mut trace = self.with(|sim| sim.trace())?;
        for (address, name) in self.labels.borrow().iter() {
            trace.name(*address, name);
        }
        Ok(trace)
    }
}

/// Text that counts as it stands, without the escapes of Rust.
struct Words<'a>(&'a str);

impl fmt::Debug for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
