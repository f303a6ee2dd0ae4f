//! A peer that says what a test wants it to say.

use core::cell::RefCell;
use core::net::SocketAddr;
use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::Uint8Array;
use offhook_core::host::Transport;
use offhook_core::sim::{Arrival, NodeId, ScriptedPeer, Simulation};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::{address, busy};
use crate::address::transport;
use crate::error::unusable;
use crate::object::{Builder, number};

/// How many of the messages that were taken last can be answered.
const ANSWERABLE: usize = 1_000;

/// A peer without any behaviour of its own: it sends what it is given, and keeps what comes.
#[wasm_bindgen]
pub struct Peer {
    sim: Rc<RefCell<Simulation>>,
    node: NodeId<ScriptedPeer>,
    /// What came and was not taken.
    waiting: VecDeque<Arrival>,
    taken: VecDeque<Arrival>,
    /// How many were taken in all.
    count: usize,
}

#[wasm_bindgen]
impl Peer {
    /// Sends a message in the next step; lines that end in LF alone get CRLF. By another transport than
    /// UDP it goes on the connection to that address, or else on a new one.
    pub fn send(
        &mut self,
        to: &str,
        text: &str,
        #[wasm_bindgen(js_name = transport, unchecked_optional_param_type = "Transport")]
        named: Option<String>,
    ) -> Result<(), JsValue> {
        let (to, transport) = way(to, named)?;
        self.with(|peer| peer.send_by(transport, to, text))
    }

    /// Sends bytes as they are, likewise.
    #[wasm_bindgen(js_name = sendBytes)]
    pub fn send_bytes(
        &mut self,
        to: &str,
        bytes: Vec<u8>,
        #[wasm_bindgen(js_name = transport, unchecked_optional_param_type = "Transport")]
        named: Option<String>,
    ) -> Result<(), JsValue> {
        let (to, transport) = way(to, named)?;
        self.with(|peer| peer.send_bytes_by(transport, to, bytes))
    }

    /// Answers a message that `next` has given, as RFC 3261 §8.2.6 says, with `status` (`180 Ringing`), further header
    /// lines, each ended by LF, and perhaps an empty line and a body.
    pub fn reply(
        &mut self,
        message: usize,
        status: &str,
        more: Option<String>,
    ) -> Result<(), JsValue> {
        let first = self.count - self.taken.len();
        let arrival = message.checked_sub(first).and_then(|index| self.taken.get(index));
        let problem = "it is none of the last 1,000 that came";
        let unusable = || unusable("message", message.to_string(), problem);
        let arrival = arrival.ok_or_else(unusable)?.clone();
        self.with(|peer| peer.reply(&arrival, status, more.as_deref().unwrap_or_default()))
    }

    /// Takes the oldest message that came and was not taken.
    #[wasm_bindgen(js_name = next, unchecked_return_type = "PeerMessage | undefined")]
    pub fn take_next(&mut self) -> Result<JsValue, JsValue> {
        if self.waiting.is_empty() {
            let came = self.with(ScriptedPeer::take)?;
            self.waiting.extend(came);
        }
        let Some(arrival) = self.waiting.pop_front() else { return Ok(JsValue::UNDEFINED) };
        let message = Builder::new()
            .with("id", number(self.count as u64))
            .with("at", number(arrival.at.as_micros()))
            .with("from", arrival.from.to_string())
            .with("transport", arrival.flow.transport.as_str())
            .with("bytes", Uint8Array::from(arrival.bytes.as_slice()))
            .done();
        if self.taken.len() >= ANSWERABLE {
            self.taken.pop_front();
        }
        self.taken.push_back(arrival);
        self.count += 1;
        Ok(message)
    }
}

impl Peer {
    pub(super) fn new(sim: Rc<RefCell<Simulation>>, node: NodeId<ScriptedPeer>) -> Self {
        Self { sim, node, waiting: VecDeque::new(), taken: VecDeque::new(), count: 0 }
    }

    fn with<T>(&self, act: impl FnOnce(&mut ScriptedPeer) -> T) -> Result<T, JsValue> {
        let mut sim = self.sim.try_borrow_mut().map_err(|_| busy())?;
        Ok(act(sim.node_mut(self.node)))
    }
}

fn way(to: &str, named: Option<String>) -> Result<(SocketAddr, Transport), JsValue> {
    let transport = named.map_or(Ok(Transport::Udp), |named| transport(&named))?;
    Ok((address(to)?, transport))
}
