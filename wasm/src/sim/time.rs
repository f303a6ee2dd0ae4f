//! Time, which goes on only here.

use offhook_core::time::Instant;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::Simulation;
use crate::object::number;

#[wasm_bindgen]
impl Simulation {
    /// The time on the network's clock, which starts at a second.
    pub fn now(&self) -> Result<f64, JsValue> {
        self.with(|sim| number(sim.now().as_micros()))
    }

    /// When the next thing happens; infinite when nothing ever will unless somebody is given a command.
    #[wasm_bindgen(js_name = nextAt)]
    pub fn next_at(&self) -> Result<f64, JsValue> {
        self.with(|sim| sim.next_at().map_or(f64::INFINITY, |at| number(at.as_micros())))
    }

    /// Lets the next thing happen: something arrives, or something is due. False when there is nothing.
    pub fn step(&self) -> Result<bool, JsValue> {
        self.with(|sim| sim.step())
    }

    /// Lets time go on to there, with all that happens until then.
    pub fn advance(&self, to: f64) -> Result<(), JsValue> {
        self.with(|sim| {
            let time = Instant::from_micros(to as u64).since(sim.now());
            sim.run_for(time);
        })
    }
}
