//! The door from JavaScript.

use core::net::{IpAddr, SocketAddr};

use js_sys::{Array, Function};
use offhook_core::error::Error;
use offhook_core::event::{CallId, CallState, ReferralId};
use offhook_core::host::{
    Channel, Endpoint, Flow, FlowFailure, Inbound, MediaPort, Records, RequestId, Transport,
};
use offhook_core::phone::Phone;
use offhook_core::rtp::MediaSession;
use offhook_core::softphone as core_softphone;
use offhook_core::time::Duration;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::{refused, tell_panics, thrown};
use crate::event;
use crate::machine::host::JsHost;
use crate::names;
use crate::object::number;
use crate::parameters;

/// How long names hold of which the resolver does not tell.
const NAMES_HOLD: Duration = Duration::from_secs(60);

/// A telephone, signalling and media, driven by a host in JavaScript.
///
/// Times are microseconds: `now` on a clock that never goes back, `wall` since 1970. After each
/// method that takes `now`, and after commands, call `handleDeadline` until `nextDeadline` is later
/// than now; then send what waits, in this order: packets, requests; then take the events.
#[wasm_bindgen]
pub struct Softphone {
    machine: core_softphone::Softphone,
    host: JsHost,
}

#[wasm_bindgen]
impl Softphone {
    /// A phone that has not started. `entropy` fills the array it is given with random bytes, as
    /// `crypto.getRandomValues` does.
    #[wasm_bindgen(constructor)]
    pub fn new(
        #[wasm_bindgen(unchecked_param_type = "PhoneParameters")] parameters: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "(bytes: Uint8Array) => void")] entropy: Function,
    ) -> Result<Softphone, JsValue> {
        tell_panics();
        let machine = core_softphone::Softphone::new(parameters::account(parameters)?.0);
        let machine = machine.map_err(refused)?;
        Ok(Self { machine, host: JsHost::new(entropy) })
    }

    /// The address to bind.
    #[wasm_bindgen(getter, js_name = bindAddress)]
    pub fn bind_address(&self) -> String {
        self.machine.phone().parameters().bind_ip.to_string()
    }

    /// The DNS servers to ask; none for those of the system.
    #[wasm_bindgen(getter, js_name = dnsServers)]
    pub fn dns_servers(&self) -> Vec<String> {
        let servers = self.machine.phone().parameters().dns_servers.iter();
        servers.map(SocketAddr::to_string).collect()
    }

    /// The port to bind for SIP; 0 picks one.
    #[wasm_bindgen(getter, js_name = bindPort)]
    pub fn bind_port(&self) -> u16 {
        self.machine.phone().parameters().bind_port
    }

    // --- what happened ---

    /// Takes a SIP message that came on a flow.
    #[wasm_bindgen(js_name = handleDatagram)]
    pub fn handle_datagram(
        &mut self,
        now: f64,
        flow: u32,
        address: &str,
        port: u16,
        bytes: &[u8],
    ) -> Result<(), JsValue> {
        let from = socket_address(address, port)?;
        self.inbound(now, Inbound::Datagram { flow: udp(flow), from, bytes });
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

    /// Carries out commands and what is due.
    #[wasm_bindgen(js_name = handleDeadline)]
    pub fn handle_deadline(&mut self, now: f64, wall: f64) {
        self.host.times.set_now(now);
        self.host.times.set_wall(wall);
        self.machine.handle_deadline(&mut self.host);
    }

    /// When to call `handleDeadline`, in microseconds; `undefined` when nothing is waited for.
    #[wasm_bindgen(js_name = nextDeadline)]
    pub fn next_deadline(&self) -> Option<f64> {
        self.machine.next_deadline().map(|at| number(at.as_micros()))
    }

    /// Answers a request `openFlow`. `address` and `port` are our own, as the peer sees them.
    #[wasm_bindgen(js_name = flowOpened)]
    pub fn flow_opened(
        &mut self,
        now: f64,
        id: f64,
        flow: u32,
        address: &str,
        port: u16,
    ) -> Result<(), JsValue> {
        let local = socket_address(address, port)?;
        self.inbound(
            now,
            Inbound::FlowOpened { id: request(id), flow: udp(flow), local, certificate: None },
        );
        Ok(())
    }

    /// Answers a request `openFlow`: there is no way to that address.
    #[wasm_bindgen(js_name = flowFailed)]
    pub fn flow_failed(&mut self, now: f64, id: f64) {
        let failure = FlowFailure::Unreachable("there is no route");
        self.inbound(now, Inbound::FlowFailed { id: request(id), failure });
    }

    /// Answers a request `openFlow`: the host does not do that transport.
    #[wasm_bindgen(js_name = flowUnsupported)]
    pub fn flow_unsupported(&mut self, now: f64, id: f64) {
        let failure = FlowFailure::Unsupported;
        self.inbound(now, Inbound::FlowFailed { id: request(id), failure });
    }

    /// What was sent on a flow to that address was refused.
    #[wasm_bindgen(js_name = sendFailed)]
    pub fn send_failed(
        &mut self,
        now: f64,
        flow: u32,
        address: &str,
        port: u16,
    ) -> Result<(), JsValue> {
        let to = socket_address(address, port)?;
        self.inbound(now, Inbound::SendFailed { flow: udp(flow), to });
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
        #[wasm_bindgen(unchecked_param_type = "(string | SrvRecord | NaptrRecord)[]")]
        found: &Array,
        ttl: Option<f64>,
    ) {
        let ttl = ttl.map_or(NAMES_HOLD, |secs| Duration::from_secs(secs as u64));
        let (naptr, srv) = (names::naptr(found), names::srv(found));
        let addresses = names::addresses(found);
        let records = match kind {
            "naptr" => Records::Naptr(&naptr),
            "srv" => Records::Srv(&srv),
            _ => Records::Addresses(&addresses),
        };
        self.inbound(now, Inbound::Resolved { id: request(id), records, ttl });
    }

    /// Answers a request `resolve`: DNS could not be asked, or has not answered.
    /// `problem` are words that end a sentence.
    #[wasm_bindgen(js_name = resolveFailed)]
    pub fn resolve_failed(&mut self, now: f64, id: f64, problem: &str) {
        self.inbound(now, Inbound::ResolveFailed { id: request(id), problem });
    }

    // --- what to do ---

    /// Where the packets to send begin in memory; `wasm/node/phone.js` shows how they are read.
    #[wasm_bindgen(js_name = packetsAt)]
    pub fn packets_at(&self) -> *const u8 {
        self.host.outbox.span().0
    }

    /// How many bytes the packets to send are, heads included.
    #[wasm_bindgen(js_name = packetsLength)]
    pub fn packets_length(&self) -> usize {
        self.host.outbox.span().1
    }

    /// Tells that the packets were sent or copied.
    #[wasm_bindgen(js_name = packetsTaken)]
    pub fn packets_taken(&mut self) {
        self.host.outbox.clear();
    }

    /// The next request to the host.
    #[wasm_bindgen(js_name = nextRequest, unchecked_return_type = "HostRequest | undefined")]
    pub fn next_request(&mut self) -> JsValue {
        self.host.next_request().unwrap_or(JsValue::UNDEFINED)
    }

    /// The next event. With `ended` the digits of that call can still be taken; they are gone when the
    /// event after it is asked for.
    #[wasm_bindgen(js_name = nextEvent, unchecked_return_type = "PhoneEvent | undefined")]
    pub fn next_event(&mut self) -> JsValue {
        while let Some(event) = self.machine.next_event() {
            if let Some(object) = event::event(event) {
                return object;
            }
        }
        JsValue::UNDEFINED
    }

    // --- commands ---

    /// Starts, and registers if there is a server; events say how it went.
    pub fn start(&mut self) -> Result<(), JsValue> {
        self.machine.phone_mut().start().map_err(refused)
    }

    /// Stops: ends every call and takes the registration back, in bounded time.
    pub fn stop(&mut self) {
        self.machine.phone_mut().stop();
    }

    /// Says that the network has changed: the phone registers anew, and its calls go on from there.
    #[wasm_bindgen(js_name = networkChanged)]
    pub fn network_changed(&mut self) {
        self.machine.phone_mut().network_changed();
    }

    /// Where the phone stands.
    #[wasm_bindgen(getter, unchecked_return_type = "PhoneStatus")]
    pub fn status(&self) -> String {
        event::status_name(self.machine.phone().status()).to_owned()
    }

    /// Calls a SIP URI, or a name or number at the server. Returns the call's number.
    pub fn call(
        &mut self,
        target: &str,
        #[wasm_bindgen(unchecked_optional_param_type = "CallOptions")] options: JsValue,
    ) -> Result<f64, JsValue> {
        let options = parameters::call(&options)?;
        let call = self.machine.phone_mut().call(target, options).map_err(refused)?;
        Ok(number(call.0))
    }

    /// Answers a call.
    pub fn answer(&mut self, call: f64) -> Result<(), JsValue> {
        self.of_call(call, Phone::answer)
    }

    /// Opens the media of a call before it is answered.
    pub fn progress(&mut self, call: f64) -> Result<(), JsValue> {
        self.of_call(call, Phone::progress)
    }

    /// Refuses a call with a status code, 400 to 699.
    pub fn deny(&mut self, call: f64, code: u16, reason: Option<String>) -> Result<(), JsValue> {
        self.of_call(call, |phone, call| phone.deny(call, code, reason.as_deref()))
    }

    /// Sends the caller elsewhere.
    pub fn redirect(&mut self, call: f64, contact: &str) -> Result<(), JsValue> {
        self.of_call(call, |phone, call| phone.redirect(call, contact))
    }

    /// Ends a call that was answered.
    pub fn hangup(&mut self, call: f64) -> Result<(), JsValue> {
        self.of_call(call, Phone::hangup)
    }

    /// Puts the far end on hold; an event `hold` or `holdFailed` tells what became of it.
    pub fn hold(&mut self, call: f64) -> Result<(), JsValue> {
        self.of_call(call, Phone::hold)
    }

    /// Ends our hold of the far end, reported as for `hold`.
    pub fn resume(&mut self, call: f64) -> Result<(), JsValue> {
        self.of_call(call, Phone::resume)
    }

    /// Gives up a call that was not answered yet.
    pub fn cancel(&mut self, call: f64) -> Result<(), JsValue> {
        self.of_call(call, Phone::cancel)
    }

    /// Ends a call by whatever its state allows: hangs it up, cancels it, or denies it with 480.
    pub fn end(&mut self, call: f64) {
        self.machine.phone_mut().end(id(call));
    }

    /// The state of a call; `undefined` when it is over.
    #[wasm_bindgen(unchecked_return_type = "CallState | undefined")]
    pub fn state(&self, call: f64) -> Option<String> {
        self.machine.phone().state(id(call)).map(|state| state.as_str().to_owned())
    }

    /// What is known about a call; `undefined` when it is over.
    #[wasm_bindgen(unchecked_return_type = "CallInfo | undefined")]
    pub fn info(&self, call: f64) -> JsValue {
        let info = self.machine.phone().info(id(call));
        info.map_or(JsValue::UNDEFINED, |info| event::info(call, info))
    }

    /// Asks what a target can do; an event `response` with the number returned has the answer.
    pub fn options(&mut self, target: &str) -> Result<f64, JsValue> {
        self.machine.phone_mut().options(target).map(|request| number(request.0)).map_err(refused)
    }

    /// Sends a target an instant message of a media type; an event `response` with the number
    /// returned has the answer.
    pub fn message(
        &mut self,
        target: &str,
        body: &[u8],
        #[wasm_bindgen(js_name = contentType)] content_type: &str,
    ) -> Result<f64, JsValue> {
        let sent = self.machine.phone_mut().message(target, body, content_type);
        sent.map(|request| number(request.0)).map_err(refused)
    }

    /// Sends a target a request of any other method; an event `response` with the number returned
    /// has the answer.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        #[wasm_bindgen(unchecked_optional_param_type = "RequestOptions")] options: JsValue,
    ) -> Result<f64, JsValue> {
        let options = parameters::request(&options)?;
        let sent = self.machine.phone_mut().request(method, target, options);
        sent.map(|request| number(request.0)).map_err(refused)
    }

    /// Sends the far end of a call a request of any method within it, told as of `request`.
    #[wasm_bindgen(js_name = requestWithin)]
    pub fn request_within(
        &mut self,
        call: f64,
        method: &str,
        #[wasm_bindgen(unchecked_optional_param_type = "RequestOptions")] options: JsValue,
    ) -> Result<f64, JsValue> {
        let options = parameters::request(&options)?;
        let sent = self.of_call(call, |phone, call| phone.request_within(call, method, options));
        sent.map(|request| number(request.0))
    }

    // --- transfers ---

    /// Asks the far end of a call to call a target instead; events `transfer` tell how it goes.
    pub fn transfer(
        &mut self,
        call: f64,
        target: &str,
        #[wasm_bindgen(unchecked_optional_param_type = "TransferOptions")] options: JsValue,
    ) -> Result<(), JsValue> {
        let options = parameters::transfer(&options)?;
        self.of_call(call, |phone, call| phone.transfer(call, target, options))
    }

    /// Calls the target of a referral, which an event `referred` has reported. Returns the new call's
    /// number.
    #[wasm_bindgen(js_name = acceptReferral)]
    pub fn accept_referral(&mut self, referral: f64) -> Result<f64, JsValue> {
        let accepted = self.machine.phone_mut().accept_referral(ReferralId(referral as u64));
        accepted.map(|call| number(call.0)).map_err(refused)
    }

    /// Refuses a referral, which an event `referred` has reported.
    #[wasm_bindgen(js_name = rejectReferral)]
    pub fn reject_referral(&mut self, referral: f64) -> Result<(), JsValue> {
        self.machine.phone_mut().reject_referral(ReferralId(referral as u64)).map_err(refused)
    }

    // --- audio and digits ---

    /// Queues 16-bit samples to be sent, `rate` a second; returns how many were taken.
    #[wasm_bindgen(js_name = writeAudio)]
    pub fn write_audio(&mut self, call: f64, rate: u32, samples: &[i16]) -> Result<usize, JsValue> {
        Ok(self.playing(call, "write audio to")?.write_audio(rate, samples))
    }

    /// How many seconds of written audio wait to be sent.
    pub fn queued(&mut self, call: f64) -> f64 {
        self.media(call).map_or(0.0, |media| number(media.queued().as_micros()) / 1e6)
    }

    /// How many seconds of written audio have been sent.
    pub fn played(&mut self, call: f64) -> f64 {
        self.media(call).map_or(0.0, |media| number(media.played().as_micros()) / 1e6)
    }

    /// Drops the written audio that waits; returns how many seconds that was.
    #[wasm_bindgen(js_name = flushAudio)]
    pub fn flush_audio(&mut self, call: f64) -> f64 {
        self.media(call).map_or(0.0, |media| number(media.flush_audio().as_micros()) / 1e6)
    }

    /// Sets a mark after what was written; an event `mark` brings it back. False when too many wait.
    pub fn mark(&mut self, call: f64, name: &str) -> Result<bool, JsValue> {
        Ok(self.playing(call, "set a mark in")?.mark(name))
    }

    /// Fills `out` with heard audio at `rate` samples a second; returns how many samples there were.
    #[wasm_bindgen(js_name = readAudio)]
    pub fn read_audio(&mut self, call: f64, rate: u32, out: &mut [i16]) -> usize {
        self.media(call).map_or(0, |media| media.read_audio(rate, out))
    }

    /// How many samples `readAudio` has at that rate.
    pub fn available(&mut self, call: f64, rate: u32) -> usize {
        self.media(call).map_or(0, |media| media.available(rate))
    }

    /// Sends digits: 0 to 9, *, #, A to D.
    #[wasm_bindgen(js_name = sendDtmf)]
    pub fn send_dtmf(&mut self, call: f64, digits: &str) -> Result<(), JsValue> {
        let sent = self.playing(call, "send digits to")?.send_dtmf(digits);
        sent.map_err(|error| thrown("dtmf", &error.to_string()))
    }

    /// How many received digits wait to be taken: at most 1,024, then the oldest give way.
    #[wasm_bindgen(js_name = availableDtmf)]
    pub fn available_dtmf(&mut self, call: f64) -> usize {
        self.media(call).map_or(0, |media| media.available_dtmf())
    }

    /// Takes received digits, oldest first: at most `length`, or all.
    #[wasm_bindgen(js_name = takeDtmf)]
    pub fn take_dtmf(&mut self, call: f64, length: Option<usize>) -> String {
        self.media(call).map(|media| media.take_dtmf(length)).unwrap_or_default()
    }

    /// What the media of a call has done so far; `undefined` without media.
    #[wasm_bindgen(unchecked_return_type = "CallStats | undefined")]
    pub fn stats(&self, call: f64) -> JsValue {
        self.machine.stats(id(call)).map_or(JsValue::UNDEFINED, |stats| event::stats(&stats))
    }
}

impl Softphone {
    fn inbound(&mut self, now: f64, inbound: Inbound<'_>) {
        self.host.times.set_now(now);
        self.host.note_inbound(&inbound);
        self.machine.handle_inbound(&mut self.host, inbound);
    }

    /// Carries out a command of a call. One that is over refuses each in the same way.
    fn of_call<T>(
        &mut self,
        call: f64,
        command: impl FnOnce(&mut Phone, CallId) -> Result<T, Error>,
    ) -> Result<T, JsValue> {
        let call = id(call);
        match self.machine.phone().state(call) {
            None | Some(CallState::Ended) => Err(thrown("ended", "the call is over")),
            Some(_) => command(self.machine.phone_mut(), call).map_err(refused),
        }
    }

    /// The media of a call that can be played to.
    fn playing(&mut self, call: f64, command: &'static str) -> Result<&mut MediaSession, JsValue> {
        let state = self.of_call(call, |phone, call| {
            let state = phone.state(call).unwrap_or(CallState::Ended);
            match state {
                CallState::Answered | CallState::Progress => Ok(state),
                state => Err(Error::InvalidState { command, state }),
            }
        })?;
        let problem = || refused(Error::InvalidState { command, state });
        self.media(call).ok_or_else(problem)
    }

    fn media(&mut self, call: f64) -> Option<&mut MediaSession> {
        self.machine.media_mut(id(call))
    }
}

fn id(call: f64) -> CallId {
    CallId(call as u64)
}

fn request(id: f64) -> RequestId {
    RequestId(id as u64)
}

fn udp(flow: u32) -> Flow {
    Flow { transport: Transport::Udp, id: flow.into() }
}

fn socket_address(address: &str, port: u16) -> Result<SocketAddr, JsValue> {
    let unusable = || crate::error::unusable("address", address.to_owned(), "it is not numeric");
    // A link-local address may carry its interface: fe80::1%eth0.
    let ip: IpAddr =
        address.split('%').next().and_then(|ip| ip.parse().ok()).ok_or_else(unusable)?;
    Ok(SocketAddr::new(ip, port))
}
