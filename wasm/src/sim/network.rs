//! The network: links, partitions, network address translators.

use core::net::IpAddr;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::{Simulation, ip, ips, parameters};
use crate::error::unusable;

#[wasm_bindgen]
impl Simulation {
    /// Sets the link between two hosts, both ways.
    pub fn link(
        &self,
        a: &str,
        b: &str,
        #[wasm_bindgen(unchecked_param_type = "LinkParameters")] link: &JsValue,
    ) -> Result<(), JsValue> {
        let (a, b, link) = (ip(a)?, ip(b)?, parameters::link(link)?);
        self.with(|sim| sim.link(a, b, link))
    }

    /// Sets the link from one host to another.
    #[wasm_bindgen(js_name = linkOneWay)]
    pub fn link_one_way(
        &self,
        from: &str,
        to: &str,
        #[wasm_bindgen(unchecked_param_type = "LinkParameters")] link: &JsValue,
    ) -> Result<(), JsValue> {
        let (from, to, link) = (ip(from)?, ip(to)?, parameters::link(link)?);
        self.with(|sim| sim.link_one_way(from, to, link))
    }

    /// Sets the link between all hosts that have none of their own.
    #[wasm_bindgen(js_name = setDefaultLink)]
    pub fn set_default_link(
        &self,
        #[wasm_bindgen(unchecked_param_type = "LinkParameters")] link: &JsValue,
    ) -> Result<(), JsValue> {
        let link = parameters::link(link)?;
        self.with(|sim| sim.set_default_link(link))
    }

    /// Cuts two hosts off from each other. What is on its way arrives; connections stall.
    pub fn partition(&self, a: &str, b: &str) -> Result<(), JsValue> {
        let (a, b) = (ip(a)?, ip(b)?);
        self.with(|sim| sim.partition(a, b))
    }

    /// Ends a partition.
    pub fn heal(&self, a: &str, b: &str) -> Result<(), JsValue> {
        let (a, b) = (ip(a)?, ip(b)?);
        self.with(|sim| sim.heal(a, b))
    }

    /// Puts hosts behind a network address translator, in place of the one that they were behind. To
    /// set it again is a reboot: its mappings are gone.
    pub fn nat(
        &self,
        inside: Vec<String>,
        #[wasm_bindgen(unchecked_param_type = "NatParameters")] nat: &JsValue,
    ) -> Result<(), JsValue> {
        let (inside, nat) = (ips(&inside)?, parameters::nat(nat)?);
        let mut nats = self.nats.borrow_mut();
        let others = |(public, behind): &(_, Vec<_>)| {
            *public == nat.public && behind.iter().any(|host| !inside.contains(host))
        };
        if nats.iter().any(others) {
            return Err(unusable("nat", nat.public.to_string(), "other hosts are behind it"));
        }
        self.with(|sim| sim.set_nat(&inside, nat))?;
        forget(&mut nats, &inside);
        nats.push((nat.public, inside));
        Ok(())
    }

    /// Puts hosts on the open network again.
    #[wasm_bindgen(js_name = removeNat)]
    pub fn remove_nat(&self, inside: Vec<String>) -> Result<(), JsValue> {
        let inside = ips(&inside)?;
        self.with(|sim| sim.remove_nat(&inside))?;
        forget(&mut self.nats.borrow_mut(), &inside);
        Ok(())
    }

    /// Sets whether hosts report SIP messages to ports where nobody listens (ICMP); off at first.
    #[wasm_bindgen(js_name = unreachableReports)]
    pub fn unreachable_reports(&self, on: bool) -> Result<(), JsValue> {
        self.with(|sim| sim.set_unreachable_reports(on))
    }
}

/// Those hosts are behind no translator any more.
fn forget(nats: &mut Vec<(IpAddr, Vec<IpAddr>)>, hosts: &[IpAddr]) {
    for (_, behind) in nats.iter_mut() {
        behind.retain(|host| !hosts.contains(host));
    }
    nats.retain(|(_, behind)| !behind.is_empty());
}
