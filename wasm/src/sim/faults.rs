//! What befalls single endpoints, and their connections.

use core::net::SocketAddr;

use offhook_core::time::Duration;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::{Simulation, ip, taken};
use crate::address::transport;
use crate::certificate::identities;

#[wasm_bindgen]
impl Simulation {
    /// Ends an endpoint without a farewell: its sockets are gone.
    pub fn kill(&self, at: &str) -> Result<(), JsValue> {
        let node = self.node(at)?;
        self.with(|sim| sim.kill(node))
    }

    /// Stops an endpoint for so many milliseconds, as a loaded machine does. What comes meanwhile waits in
    /// its sockets, as far as it finds room there.
    pub fn stall(&self, at: &str, ms: f64) -> Result<(), JsValue> {
        let node = self.node(at)?;
        self.with(|sim| sim.stall(node, Duration::from_micros((ms * 1e3) as u64)))
    }

    /// Moves an endpoint to another host, where it keeps its port: what it sends is lost until its
    /// phones learn that the network has changed.
    #[wasm_bindgen(js_name = move)]
    pub fn move_to(&self, at: &str, to: &str) -> Result<(), JsValue> {
        let (node, ip) = (self.node(at)?, ip(to)?);
        let address = SocketAddr::new(ip, node.address().port());
        let moved = self.with(|sim| sim.is_free(address).then(|| sim.move_node(node, ip)))?;
        let moved = moved.ok_or_else(|| taken(to))?;
        self.nodes.borrow_mut().push(moved);
        Ok(())
    }

    /// Lets an endpoint's clock run fast, or below zero slow, by so many millionths.
    pub fn drift(&self, at: &str, ppm: i32) -> Result<(), JsValue> {
        let node = self.node(at)?;
        self.with(|sim| sim.set_drift_ppm(node, ppm))
    }

    /// Ends all connections between two endpoints; both see it at once.
    pub fn cut(&self, a: &str, b: &str) -> Result<(), JsValue> {
        let (a, b) = (self.node(a)?, self.node(b)?);
        self.with(|sim| sim.cut(a, b))
    }

    /// Sets whom the certificate names that an endpoint shows. At first those who connect see its address
    /// and names in it, and it shows none where it connects itself.
    pub fn certificate(
        &self,
        at: &str,
        #[wasm_bindgen(unchecked_param_type = "Identities")] named: &JsValue,
    ) -> Result<(), JsValue> {
        let (node, identities) = (self.node(at)?, identities(named).unwrap_or_default());
        self.with(|sim| sim.set_certificate(node, identities))
    }

    /// Lets every peer refuse an endpoint's certificate for this reason; without one that ends.
    pub fn untrusted(&self, at: &str, why: Option<String>) -> Result<(), JsValue> {
        let node = self.node(at)?;
        self.with(|sim| sim.set_untrusted(node, why.as_deref()))
    }

    /// Sets whether an endpoint takes connections of a transport; at first it takes all.
    pub fn listening(
        &self,
        at: &str,
        #[wasm_bindgen(js_name = transport, unchecked_param_type = "Transport")] named: &str,
        listens: bool,
    ) -> Result<(), JsValue> {
        let (node, transport) = (self.node(at)?, transport(named)?);
        self.with(|sim| sim.set_listening(node, transport, listens))
    }
}
