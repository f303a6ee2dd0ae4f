//! The name server of the network.

use js_sys::Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::{Simulation, ips, parameters};
use crate::names;

#[wasm_bindgen]
impl Simulation {
    /// Gives a host name its addresses, best first; none take it away.
    #[wasm_bindgen(js_name = setName)]
    pub fn set_name(&self, name: &str, addresses: Vec<String>) -> Result<(), JsValue> {
        let addresses = ips(&addresses)?;
        self.with(|sim| sim.set_name(name, &addresses))
    }

    /// Sets the SRV records of a service such as `_sip._udp.example.com`.
    #[wasm_bindgen(js_name = setSrv)]
    pub fn set_srv(
        &self,
        name: &str,
        #[wasm_bindgen(unchecked_param_type = "readonly SrvRecord[]")] records: &Array,
    ) -> Result<(), JsValue> {
        self.with(|sim| sim.set_srv(name, &names::srv(records)))
    }

    /// Sets the NAPTR records of a domain.
    #[wasm_bindgen(js_name = setNaptr)]
    pub fn set_naptr(
        &self,
        name: &str,
        #[wasm_bindgen(unchecked_param_type = "readonly NaptrRecord[]")] records: &Array,
    ) -> Result<(), JsValue> {
        self.with(|sim| sim.set_naptr(name, &names::naptr(records)))
    }

    /// Sets how questions are answered from now on.
    #[wasm_bindgen(js_name = setNameServer)]
    pub fn set_name_server(
        &self,
        #[wasm_bindgen(unchecked_param_type = "NameServerParameters")] given: &JsValue,
    ) -> Result<(), JsValue> {
        let parameters::NameServer { ttl, delay, failing } = parameters::name_server(given)?;
        self.with(|sim| {
            if let Some(ttl) = ttl {
                sim.set_name_ttl(ttl);
            }
            if let Some(delay) = delay {
                sim.set_name_delay(delay);
            }
            if let Some(failing) = failing {
                sim.set_names_failing(failing);
            }
        })
    }
}
