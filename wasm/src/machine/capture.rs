//! A record of every packet, for the ladder diagram and for Wireshark.

use offhook_core::host::{Inbound, Outbound};
use offhook_core::time::{Instant, WallTime};
use offhook_core::trace::Trace;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::Machine;
use super::addresses::Addresses;
use crate::address::{socket_address, transport};

/// What passes, if somebody wants to know.
#[derive(Default)]
pub(super) struct Capture {
    trace: Option<Trace>,
    addresses: Addresses,
}

impl Capture {
    /// Takes note of what leaves.
    pub(super) fn outbound(&mut self, (now, wall): (Instant, WallTime), outbound: &Outbound<'_>) {
        self.addresses.outbound(outbound);
        let Some(trace) = &mut self.trace else { return };
        let local = match *outbound {
            Outbound::Datagram { flow, to, .. } => self.addresses.of_flow(flow, to),
            Outbound::Media { port, channel, .. } => self.addresses.of_media(port, channel),
            _ => return,
        };
        trace.outbound(now, wall, local, outbound);
    }

    /// Takes note of what came.
    pub(super) fn inbound(&mut self, (now, wall): (Instant, WallTime), inbound: &Inbound<'_>) {
        self.addresses.inbound(inbound);
        let Some(trace) = &mut self.trace else { return };
        let local = match *inbound {
            Inbound::Datagram { flow, from, .. } | Inbound::Stream { flow, from, .. } => {
                self.addresses.of_flow(flow, from)
            }
            Inbound::Media { port, channel, .. } => self.addresses.of_media(port, channel),
            _ => return,
        };
        trace.inbound(now, wall, local, inbound);
    }
}

#[wasm_bindgen]
impl Machine {
    /// Keeps every packet from now on: the first `limit` bytes of them, by default 64 MiB. What was kept
    /// before is dropped.
    pub fn capture(&mut self, limit: Option<f64>) {
        let trace = limit.map_or_else(Trace::new, |limit| Trace::with_limit(limit as usize));
        self.ground.host.capture.trace = Some(trace);
    }

    /// Says where the host listens for a transport: for packets that come before anything was sent.
    pub fn bound(
        &mut self,
        #[wasm_bindgen(js_name = transport, unchecked_param_type = "Transport")] named: &str,
        address: &str,
        port: u16,
    ) -> Result<(), JsValue> {
        let address = socket_address(address, port)?;
        self.ground.host.capture.addresses.bind(transport(named)?, address);
        Ok(())
    }

    /// Gives an address a name in the ladder.
    #[wasm_bindgen(js_name = nameAddress)]
    pub fn name_address(&mut self, address: &str, port: u16, name: &str) -> Result<(), JsValue> {
        let address = socket_address(address, port)?;
        if let Some(trace) = &mut self.ground.host.capture.trace {
            trace.name(address, name);
        }
        Ok(())
    }

    /// The packets as a diagram in text; empty without a capture.
    pub fn ladder(&self) -> String {
        self.ground.host.capture.trace.as_ref().map(Trace::ladder).unwrap_or_default()
    }

    /// The same diagram as an SVG picture.
    pub fn svg(&self) -> String {
        self.ground.host.capture.trace.as_ref().map(Trace::svg).unwrap_or_default()
    }

    /// The packets as a file that Wireshark reads.
    pub fn pcap(&self) -> Vec<u8> {
        self.ground.host.capture.trace.as_ref().map(Trace::pcap).unwrap_or_default()
    }

    /// How many packets came after the limit was reached.
    pub fn missed(&self) -> f64 {
        self.ground.host.capture.trace.as_ref().map_or(0.0, |trace| trace.missed() as f64)
    }
}
