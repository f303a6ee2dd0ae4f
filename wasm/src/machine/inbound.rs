//! What the host says: packets, answers to requests, the time.

use js_sys::Array;
use offhook_core::host::{
    Channel, Endpoint, Flow, FlowFailure, Inbound, MediaPort, Records, RequestId, Transport,
};
use offhook_core::time::Duration;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::Machine;
use crate::address::socket_address;
use crate::certificate;
use crate::error::unusable;
use crate::names;
use crate::object::number;

/// How long names hold of which the resolver does not say.
const NAMES_HOLD: Duration = Duration::from_secs(60);

#[wasm_bindgen]
impl Machine {
    /// Takes a datagram of UDP, or a message of a WebSocket.
    #[wasm_bindgen(js_name = handleDatagram)]
    pub fn handle_datagram(
        &mut self,
        now: f64,
        flow: u32,
        address: &str,
        port: u16,
        bytes: &[u8],
    ) -> Result<(), JsValue> {
        let (flow, from) = (self::flow(flow)?, socket_address(address, port)?);
        self.inbound(now, Inbound::Datagram { flow, from, bytes });
        Ok(())
    }

    /// Takes the next bytes of a TCP or TLS connection, cut anywhere.
    #[wasm_bindgen(js_name = handleStream)]
    pub fn handle_stream(
        &mut self,
        now: f64,
        flow: u32,
        address: &str,
        port: u16,
        bytes: &[u8],
    ) -> Result<(), JsValue> {
        let (flow, from) = (self::flow(flow)?, socket_address(address, port)?);
        self.inbound(now, Inbound::Stream { flow, from, bytes });
        Ok(())
    }

    /// Takes an RTP or RTCP packet that came on a pair of media ports.
    #[wasm_bindgen(js_name = handleMedia)]
    pub fn handle_media(
        &mut self,
        now: f64,
        media: u32,
        rtcp: bool,
        address: &str,
        port: u16,
        bytes: &[u8],
    ) -> Result<(), JsValue> {
        let channel = if rtcp { Channel::Rtcp } else { Channel::Rtp };
        let from = socket_address(address, port)?;
        let port = MediaPort(media.into());
        self.inbound(now, Inbound::Media { port, channel, from, bytes });
        Ok(())
    }

    /// Answers a request `openFlow`. `address` and `port` are our own, as the peer sees them;
    /// `certificate` is the peer's, which the host trusts. Whether it names the server is decided here.
    #[wasm_bindgen(js_name = flowOpened)]
    pub fn flow_opened(
        &mut self,
        now: f64,
        id: f64,
        flow: u32,
        address: &str,
        port: u16,
        #[wasm_bindgen(unchecked_optional_param_type = "Identities")] certificate: JsValue,
    ) -> Result<(), JsValue> {
        let (flow, local) = (self::flow(flow)?, socket_address(address, port)?);
        let certificate = certificate::identities(&certificate);
        let certificate = certificate.as_ref();
        self.inbound(now, Inbound::FlowOpened { id: request(id), flow, local, certificate });
        Ok(())
    }

    /// Answers a request `openFlow`: there is no such flow. `problem` are words that end a sentence.
    #[wasm_bindgen(js_name = flowFailed)]
    pub fn flow_failed(
        &mut self,
        now: f64,
        id: f64,
        #[wasm_bindgen(unchecked_param_type = "\"unreachable\" | \"untrusted\" | \"unsupported\"")]
        kind: &str,
        problem: Option<String>,
    ) {
        let problem = problem.as_deref();
        let failure = match kind {
            "unsupported" => FlowFailure::Unsupported,
            "untrusted" => FlowFailure::Untrusted(problem.unwrap_or("its certificate was refused")),
            _ => FlowFailure::Unreachable(problem.unwrap_or("there is no route")),
        };
        self.inbound(now, Inbound::FlowFailed { id: request(id), failure });
    }

    /// A peer has connected to us.
    #[wasm_bindgen(js_name = flowAccepted)]
    #[expect(clippy::too_many_arguments, reason = "objects would cost a crossing for each field")]
    pub fn flow_accepted(
        &mut self,
        now: f64,
        flow: u32,
        #[wasm_bindgen(js_name = fromAddress)] from_address: &str,
        #[wasm_bindgen(js_name = fromPort)] from_port: u16,
        #[wasm_bindgen(js_name = localAddress)] local_address: &str,
        #[wasm_bindgen(js_name = localPort)] local_port: u16,
        #[wasm_bindgen(unchecked_optional_param_type = "Identities")] certificate: JsValue,
    ) -> Result<(), JsValue> {
        let flow = self::flow(flow)?;
        let from = socket_address(from_address, from_port)?;
        let local = socket_address(local_address, local_port)?;
        let certificate = certificate::identities(&certificate);
        let certificate = certificate.as_ref();
        self.inbound(now, Inbound::FlowAccepted { flow, from, local, certificate });
        Ok(())
    }

    /// A connection is over, by either side.
    #[wasm_bindgen(js_name = flowClosed)]
    pub fn flow_closed(&mut self, now: f64, flow: u32) -> Result<(), JsValue> {
        let flow = self::flow(flow)?;
        self.inbound(now, Inbound::FlowClosed { flow });
        Ok(())
    }

    /// What was sent on a flow to that address was refused by the network.
    #[wasm_bindgen(js_name = sendFailed)]
    pub fn send_failed(
        &mut self,
        now: f64,
        flow: u32,
        address: &str,
        port: u16,
    ) -> Result<(), JsValue> {
        let (flow, to) = (self::flow(flow)?, socket_address(address, port)?);
        self.inbound(now, Inbound::SendFailed { flow, to });
        Ok(())
    }

    /// Answers a request `bindMedia`. `media` is the host's number for the pair, never used again;
    /// `address` is our own, as the peer sees it.
    #[wasm_bindgen(js_name = mediaBound)]
    pub fn media_bound(
        &mut self,
        now: f64,
        id: f64,
        media: u32,
        address: &str,
        rtp: u16,
        rtcp: u16,
    ) -> Result<(), JsValue> {
        let (rtp, rtcp) = (socket_address(address, rtp)?, socket_address(address, rtcp)?);
        let port = MediaPort(media.into());
        self.inbound(now, Inbound::MediaBound { id: request(id), port, rtp, rtcp });
        Ok(())
    }

    /// Answers a request `bindMedia`: no pair is free.
    #[wasm_bindgen(js_name = mediaUnavailable)]
    pub fn media_unavailable(&mut self, now: f64, id: f64) {
        self.inbound(now, Inbound::MediaUnavailable { id: request(id) });
    }

    /// Answers a request `resolve` of that kind; an empty array when there is nothing. `ttl` is for how
    /// many seconds it holds; without it, for a minute.
    pub fn resolved(
        &mut self,
        now: f64,
        id: f64,
        #[wasm_bindgen(unchecked_param_type = "\"naptr\" | \"srv\" | \"addresses\"")] kind: &str,
        #[wasm_bindgen(unchecked_param_type = "readonly (string | SrvRecord | NaptrRecord)[]")]
        records: &Array,
        ttl: Option<f64>,
    ) {
        let ttl = ttl.map_or(NAMES_HOLD, |secs| Duration::from_secs(secs as u64));
        let id = request(id);
        match kind {
            "naptr" => {
                let records = names::naptr(records);
                let records = Records::Naptr(&records);
                self.inbound(now, Inbound::Resolved { id, records, ttl });
            }
            "srv" => {
                let records = names::srv(records);
                let records = Records::Srv(&records);
                self.inbound(now, Inbound::Resolved { id, records, ttl });
            }
            _ => {
                let records = names::addresses(records);
                let records = Records::Addresses(&records);
                self.inbound(now, Inbound::Resolved { id, records, ttl });
            }
        }
    }

    /// Answers a request `resolve`: it is not known whether there are records. `problem` are words that
    /// end a sentence.
    #[wasm_bindgen(js_name = resolveFailed)]
    pub fn resolve_failed(&mut self, now: f64, id: f64, problem: &str) {
        self.inbound(now, Inbound::ResolveFailed { id: request(id), problem });
    }

    /// Carries out commands and what is due.
    #[wasm_bindgen(js_name = handleDeadline)]
    pub fn handle_deadline(&mut self, now: f64, wall: f64) {
        self.ground.host.times.set_now(now);
        self.ground.host.times.set_wall(wall);
        self.ground.board.handle_deadline(&mut self.ground.host);
    }

    /// When to call `handleDeadline`: 0 at once, infinite when nothing is waited for. To be asked when
    /// the events were taken.
    #[wasm_bindgen(js_name = nextDeadline)]
    pub fn next_deadline(&self) -> f64 {
        self.ground.board.next_deadline().map_or(f64::INFINITY, |at| number(at.as_micros()))
    }
}

impl Machine {
    fn inbound(&mut self, now: f64, inbound: Inbound<'_>) {
        self.ground.host.times.set_now(now);
        self.ground.host.note_inbound(&inbound);
        self.ground.board.handle_inbound(&mut self.ground.host, inbound);
    }
}

fn request(id: f64) -> RequestId {
    RequestId(id as u64)
}

/// The flow of that number, whose low three bits say how messages travel on it (`ts/host.ts`).
fn flow(number: u32) -> Result<Flow, JsValue> {
    let transport = Transport::ALL.get(number as usize % 8).copied();
    let problem = "its low three bits name no transport";
    let unusable = || unusable("flow", number.to_string(), problem);
    Ok(Flow { transport: transport.ok_or_else(unusable)?, id: number.into() })
}
