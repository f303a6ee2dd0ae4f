//! The media machine of one call as a module of its own, without phone, SIP or exchange, for a worker
//! or an AudioWorklet; an instance is one call.
//!
//! It asks nothing of its host, and numbers alone cross: what is longer stands in wasm's memory, where
//! `ts/media.ts` writes and reads it. Controls and events are in the byte form of
//! [`offhook_core::media`], packets in that of the phone's outbox. Times are microseconds, as those of
//! the phone. Nothing here needs the glue that wasm-bindgen makes, which an AudioWorklet cannot load.

mod host;

use std::cell::RefCell;

use offhook_core::host::{Endpoint, Inbound, MediaPort};
use offhook_core::media::MediaControl;
use offhook_core::rtp::MediaSession;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::outbox;
use host::ValueHost;

/// How many bytes can be handed over at once: more than a datagram or a control has.
const MOST_INPUT: usize = 128 * 1024;
/// How many samples can be handed over at once: a second at the highest rate.
const MOST_SAMPLES: usize = 192_000;

thread_local! {
    static MACHINE: RefCell<Machine> = RefCell::default();
}

#[derive(Default)]
struct Machine {
    session: MediaSession,
    host: ValueHost,
    /// What JavaScript hands over.
    input: Vec<u8>,
    /// What it takes.
    output: Vec<u8>,
    samples: Vec<i16>,
}

fn with<T>(work: impl FnOnce(&mut Machine) -> T) -> T {
    MACHINE.with_borrow_mut(work)
}

impl Machine {
    fn input(&self, length: usize) -> &[u8] {
        self.input.get(..length).unwrap_or_default()
    }

    fn text(&self, length: usize) -> Option<String> {
        String::from_utf8(self.input(length).to_vec()).ok()
    }
}

/// Where to write `length` bytes that are handed over.
#[wasm_bindgen(js_name = inputAt)]
pub fn input_at(length: usize) -> *mut u8 {
    with(|machine| {
        machine.input.resize(length.min(MOST_INPUT), 0);
        machine.input.as_mut_ptr()
    })
}

/// Where to write `count` samples that are handed over, or to read those that were asked for.
#[wasm_bindgen(js_name = samplesAt)]
pub fn samples_at(count: usize) -> *mut i16 {
    with(|machine| {
        machine.samples.resize(count.min(MOST_SAMPLES), 0);
        machine.samples.as_mut_ptr()
    })
}

/// Takes 16 bytes of the input as the key of all randomness: from `crypto.getRandomValues`, before
/// anything else.
#[wasm_bindgen]
pub fn seed() {
    with(|machine| {
        if let Some(key) = machine.input.first_chunk() {
            machine.host.seed(key);
        }
    });
}

/// Does what signalling tells: the input is the byte form of a control. False when it is none.
#[wasm_bindgen(js_name = handleControl)]
pub fn handle_control(now: f64, length: usize) -> bool {
    with(|machine| {
        let Ok(control) = MediaControl::from_bytes(machine.input(length)) else { return false };
        machine.host.times.set_now(now);
        machine.session.handle_control(&mut machine.host, control);
        true
    })
}

/// Takes a packet that came: the input is as a packet of the outbox, with the address it came from.
/// False when it is none.
#[wasm_bindgen(js_name = handlePacket)]
pub fn handle_packet(now: f64, length: usize) -> bool {
    with(|machine| {
        let input = machine.input.get(..length).unwrap_or_default();
        let Some((channel, socket, from, bytes)) = outbox::media_packet(input) else {
            return false;
        };
        machine.host.times.set_now(now);
        let inbound = Inbound::Media { port: MediaPort(socket), channel, from, bytes };
        machine.session.handle_inbound(&mut machine.host, inbound);
        true
    })
}

/// Carries out what is due.
#[wasm_bindgen(js_name = handleDeadline)]
pub fn handle_deadline(now: f64, wall: f64) {
    with(|machine| {
        machine.host.times.set_now(now);
        machine.host.times.set_wall(wall);
        machine.session.handle_deadline(&mut machine.host);
    });
}

/// When to call `handleDeadline`; infinite when nothing is waited for.
#[wasm_bindgen(js_name = nextDeadline)]
pub fn next_deadline() -> f64 {
    let deadline = with(|machine| machine.session.next_deadline());
    deadline.map_or(f64::INFINITY, |at| at.as_micros() as f64)
}

/// Where the packets to send begin.
#[wasm_bindgen(js_name = packetsAt)]
pub fn packets_at() -> *const u8 {
    with(|machine| machine.host.outbox.span().0)
}

/// How many bytes the packets to send are, heads included.
#[wasm_bindgen(js_name = packetsLength)]
pub fn packets_length() -> usize {
    with(|machine| machine.host.outbox.span().1)
}

/// Tells that the packets were copied.
#[wasm_bindgen(js_name = packetsTaken)]
pub fn packets_taken() {
    with(|machine| machine.host.outbox.clear());
}

/// How many bytes the next event has, which stand at `outputAt`; 0 when there is none.
#[wasm_bindgen(js_name = nextEvent)]
pub fn next_event() -> usize {
    with(|machine| {
        machine.output = machine.session.next_event().map(|e| e.to_bytes()).unwrap_or_default();
        machine.output.len()
    })
}

/// Where the output stands.
#[wasm_bindgen(js_name = outputAt)]
pub fn output_at() -> *const u8 {
    with(|machine| machine.output.as_ptr())
}

/// Queues the samples handed over to be sent, `rate` a second; returns how many were taken.
#[wasm_bindgen(js_name = writeAudio)]
pub fn write_audio(rate: u32) -> usize {
    with(|machine| machine.session.write_audio(rate, &machine.samples))
}

/// Fills the samples with heard audio at `rate` a second; returns how many there were.
#[wasm_bindgen(js_name = readAudio)]
pub fn read_audio(rate: u32) -> usize {
    with(|machine| machine.session.read_audio(rate, &mut machine.samples))
}

/// How many samples `readAudio` has at that rate.
#[wasm_bindgen]
pub fn available(rate: u32) -> usize {
    with(|machine| machine.session.available(rate))
}

/// How many microseconds of written audio wait to be sent.
#[wasm_bindgen]
pub fn queued() -> f64 {
    with(|machine| machine.session.queued().as_micros() as f64)
}

/// Drops the written audio that waits.
#[wasm_bindgen(js_name = flushAudio)]
pub fn flush_audio() {
    with(|machine| machine.session.flush_audio());
}

/// Sets a mark after what was written, by the name in the input. False when too many wait.
#[wasm_bindgen]
pub fn mark(length: usize) -> bool {
    with(|machine| machine.text(length).is_some_and(|name| machine.session.mark(&name)))
}

/// Sends the digits in the input. False when they cannot be sent.
#[wasm_bindgen(js_name = sendDtmf)]
pub fn send_dtmf(length: usize) -> bool {
    with(|machine| {
        machine.text(length).is_some_and(|digits| machine.session.send_dtmf(&digits).is_ok())
    })
}
