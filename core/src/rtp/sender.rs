//! What one stream sends: a frame of audio or of a telephone event at each tick.

use core::net::SocketAddr;

use super::audio::Outgoing;
use super::packet::Header;
use super::telephone_event::{EventSender, Timing};
use super::transport::Transport;
use crate::codec::Encoder;
use crate::codec::PayloadFormat;
use crate::host::{Channel, Host};
use crate::sdp::TelephoneEvents;
use crate::time::{Duration, Instant};

/// Where packets are sent, and on what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Destination<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) to: SocketAddr,
}

/// The sending half of a stream.
#[derive(Debug)]
pub(crate) struct Sender {
    ssrc: u32,
    sequence: u16,
    /// Of the next frame.
    timestamp: u32,
    /// When the next frame begins.
    begins: Instant,
    marker: bool,
    payload_type: u8,
    encoder: Encoder,
    event_type: Option<u8>,
    frame: Vec<i16>,
    packet: Vec<u8>,
    pub(crate) outgoing: Outgoing,
    pub(crate) events: EventSender,
    digits_end_unreported: bool,
    packets: u64,
    bytes: u64,
    stalled: u64,
}

impl Sender {
    pub(crate) fn new(host: &mut dyn Host, format: &PayloadFormat, outgoing: Outgoing) -> Self {
        // All three begin anywhere (RFC 3550 §5.1).
        let random = host.random();
        Self {
            ssrc: random as u32,
            sequence: (random >> 32) as u16,
            timestamp: host.random() as u32,
            begins: host.now(),
            marker: true,
            payload_type: format.payload_type,
            encoder: Encoder::new(format.codec),
            event_type: None,
            frame: Vec::new(),
            packet: Vec::new(),
            outgoing,
            events: EventSender::default(),
            digits_end_unreported: false,
            packets: 0,
            bytes: 0,
            stalled: 0,
        }
    }

    /// Sends this from the next frame on; sequence and timestamps go on.
    pub(crate) fn configure(
        &mut self,
        format: &PayloadFormat,
        event_type: Option<u8>,
        events: TelephoneEvents,
        ptime: Duration,
    ) {
        self.payload_type = format.payload_type;
        if self.encoder.codec() != format.codec {
            self.encoder = Encoder::new(format.codec);
            self.outgoing.set_codec_rate(self.rate());
        }
        self.event_type = event_type;
        match event_type {
            Some(_) => self.events.retain(events),
            None => self.events.clear(),
        }
        let samples = u64::from(self.rate()) * ptime.as_micros() / 1_000_000;
        self.frame.resize(samples.max(1) as usize, 0);
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Takes a new number: another participant has ours (RFC 3550 §8.2), or our clock is another one
    /// (RFC 7160 §4.1).
    pub(crate) fn renumber(&mut self, host: &mut dyn Host) {
        self.ssrc = host.random() as u32;
    }

    pub(crate) fn codec(&self) -> crate::codec::Codec {
        self.encoder.codec()
    }

    pub(crate) fn rate(&self) -> u32 {
        self.encoder.codec().sample_rate()
    }

    /// How many samples a frame has.
    pub(crate) fn frame_len(&self) -> usize {
        self.frame.len()
    }

    /// What was sent in the last frame, or silence.
    pub(crate) fn last_frame(&self) -> &[i16] {
        &self.frame
    }

    pub(crate) fn packets(&self) -> u64 {
        self.packets
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A packet of ours has not left.
    pub(crate) fn handle_unsent(&mut self, packet: &[u8]) {
        self.packets = self.packets.saturating_sub(1);
        let payload = packet.len().saturating_sub(Header::LENGTH) as u64;
        self.bytes = self.bytes.saturating_sub(payload);
    }

    pub(crate) fn stalled(&self) -> u64 {
        self.stalled
    }

    /// The RTP clock at a moment.
    pub(crate) fn timestamp_at(&self, now: Instant) -> u32 {
        let clock = u64::from(self.encoder.codec().clock_rate());
        let ahead = now.since(self.begins).as_micros() * clock / 1_000_000;
        let behind = self.begins.since(now).as_micros() * clock / 1_000_000;
        self.timestamp.wrapping_add(ahead as u32).wrapping_sub(behind as u32)
    }

    /// Leaves frames out because the host was too late for them.
    pub(crate) fn skip(&mut self, frames: u64) {
        for _ in 0..frames.min(u64::from(super::audio::MAX_QUEUED_SECONDS) * 1_000) {
            if self.outgoing.take(&mut self.frame) == 0 {
                break;
            }
        }
        self.timestamp = self.timestamp.wrapping_add((frames as u32).wrapping_mul(self.step()));
        self.marker = true;
        self.stalled += frames;
    }

    /// Goes on by frames in which there was nothing to do, the last of which ended at `end`.
    pub(crate) fn rest(&mut self, frames: u64, end: Instant) {
        self.timestamp = self.timestamp.wrapping_add((frames as u32).wrapping_mul(self.step()));
        self.begins = end;
        self.marker = true;
    }

    /// Goes on by the frame that begins at `begins`; without a path nothing is sent, though time
    /// goes on.
    pub(crate) fn tick(
        &mut self,
        host: &mut dyn Host,
        begins: Instant,
        period: Duration,
        path: Option<Destination<'_>>,
        timing: Timing,
    ) {
        let (now, step) = (self.timestamp, self.step());
        self.timestamp = now.wrapping_add(step);
        self.begins = begins + period;
        let waited = self.outgoing.take(&mut self.frame);
        let Some(path) = path else {
            self.frame.fill(0);
            self.marker = true;
            return;
        };
        if self.send_events(host, path, now, timing) {
            // The event stands in the place of the sound.
            self.frame.fill(0);
            return;
        }
        self.packet.clear();
        let marker = core::mem::take(&mut self.marker);
        let header = self.next_header(self.payload_type, marker, now);
        self.packet.extend_from_slice(&header.to_bytes());
        self.encoder.encode(&self.frame, &mut self.packet);
        self.send(host, path);
        self.outgoing.handle_sent(waited);
    }

    /// Whether every digit that was queued has been sent; true once after each time.
    pub(crate) fn take_digits_end(&mut self) -> bool {
        let idle = self.events.is_idle();
        let end = self.digits_end_unreported && idle;
        self.digits_end_unreported = !idle;
        end
    }

    fn send_events(
        &mut self,
        host: &mut dyn Host,
        path: Destination<'_>,
        now: u32,
        timing: Timing,
    ) -> bool {
        let Some(event_type) = self.event_type else { return false };
        if self.events.is_idle() {
            return self.events.advance(now, self.step(), timing, |_| ());
        }
        self.digits_end_unreported = true;
        let step = self.step();
        let mut events = core::mem::take(&mut self.events);
        let replaced = events.advance(now, step, timing, |event| {
            let header = self.next_header(event_type, event.marker, event.timestamp);
            let bytes = event.payload.to_bytes();
            let mut packet = core::mem::take(&mut self.packet);
            header.write(&bytes, &mut packet);
            self.packet = packet;
            self.send(host, path);
        });
        self.events = events;
        replaced
    }

    fn next_header(&mut self, payload_type: u8, marker: bool, timestamp: u32) -> Header {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        Header { payload_type, marker, sequence, timestamp, ssrc: self.ssrc }
    }

    fn send(&mut self, host: &mut dyn Host, path: Destination<'_>) {
        self.packets += 1;
        self.bytes += self.packet.len().saturating_sub(Header::LENGTH) as u64;
        path.transport.send(host, Channel::Rtp, path.to, &self.packet);
    }

    /// How far the timestamp goes in one frame.
    fn step(&self) -> u32 {
        let codec = self.encoder.codec();
        let samples = self.frame.len() as u64;
        (samples * u64::from(codec.clock_rate()) / u64::from(codec.sample_rate())) as u32
    }
}
