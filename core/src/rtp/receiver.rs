//! What one stream receives: packets of a validated source, made into sound and digits.

use core::net::SocketAddr;

use super::jitter::{Arrived, Insertion};
use super::latch::{Latch, SourceDecision};
use super::packet::{Header, Packet};
use super::playout::Playout;
use super::source::{Arrival, Counts, Source};
use super::telephone_event::{EventReceiver, Press};
use crate::codec::PayloadFormat;
use crate::time::{Duration, Instant};

/// After a switch of the source within a validated address, this many more packets in sequence are
/// wanted (RFC 3550 §A.1).
const PROBATION: u8 = 1;

/// How long after the last packet of an event the sound may still be missing: as long as packets
/// wait to be played.
const EVENT_PAUSE: Duration = Duration::from_millis(200);

/// The receiving half of a stream.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) latch: Latch,
    formats: Vec<PayloadFormat>,
    event_type: Option<u8>,
    source: Option<Source>,
    /// A source that is not accepted yet.
    candidate: Option<Source>,
    /// Of sources before this one.
    past: Counts,
    pub(crate) playout: Playout,
    pub(crate) events: EventReceiver,
    /// When the last packet of an event came.
    event_heard: Option<Instant>,
    bytes: u64,
    late: u64,
    rejected: u64,
}

/// How a packet was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reception {
    /// It is not accepted.
    Rejected,
    /// A packet of the peer.
    Packet,
    /// A packet of the peer with our own SSRC: a collision (RFC 3550 §8.2).
    OurSsrc,
}

impl Receiver {
    pub(crate) fn new(latch: Latch, rate: u32, frame: u32) -> Self {
        Self {
            latch,
            formats: Vec::new(),
            event_type: None,
            source: None,
            candidate: None,
            past: Counts::default(),
            playout: Playout::new(rate, frame),
            events: EventReceiver::default(),
            event_heard: None,
            bytes: 0,
            late: 0,
            rejected: 0,
        }
    }

    pub(crate) fn configure(&mut self, formats: &[PayloadFormat], event_type: Option<u8>) {
        self.formats.clear();
        self.formats.extend_from_slice(formats);
        self.event_type = event_type;
    }

    pub(crate) fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    pub(crate) fn source_mut(&mut self) -> Option<&mut Source> {
        self.source.as_mut()
    }

    pub(crate) fn counts(&self) -> Counts {
        let now = self.source.as_ref().map(Source::counts).unwrap_or_default();
        Counts {
            received: self.past.received + now.received,
            lost: self.past.lost + now.lost,
            duplicates: self.past.duplicates + now.duplicates,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether an event stands, or has just stood, in the place of the sound.
    pub(crate) fn is_pausing(&self, now: Instant) -> bool {
        self.event_heard.is_some_and(|heard| now.since(heard) < EVENT_PAUSE)
    }

    pub(crate) fn late(&self) -> u64 {
        self.late
    }

    pub(crate) fn rejected(&self) -> u64 {
        self.rejected
    }

    pub(crate) fn handle_rejected(&mut self) {
        self.rejected += 1;
    }

    /// Takes a datagram from the RTP port; `until_pull` before the next frame is played, or not to
    /// be played at all when that is `None`.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        until_pull: Option<Duration>,
        our_ssrc: u32,
        mut emit: impl FnMut(Press),
    ) -> Reception {
        let Ok(packet) = Packet::parse(datagram) else { return self.reject() };
        let header = packet.header;
        let is_event = self.event_type == Some(header.payload_type);
        let format = self.formats.iter().find(|f| f.payload_type == header.payload_type);
        let codec = format.map(|format| format.codec);
        if !is_event && codec.is_none() {
            return self.handle_unknown(now, from, header, &mut emit);
        }
        if self.latch.check(now, from, header.ssrc, header.sequence) == SourceDecision::Reject {
            return self.reject();
        }
        let heard = if header.ssrc == our_ssrc { Reception::OurSsrc } else { Reception::Packet };
        let Some(sequence) = self.handle_source(header.ssrc, header.sequence, &mut emit) else {
            return heard;
        };
        self.bytes += packet.payload.len() as u64;
        if is_event {
            if until_pull.is_some() {
                let timestamp = header.timestamp;
                self.event_heard = Some(now);
                self.events.handle_packet(now, sequence, timestamp, packet.payload, emit);
            }
            return heard;
        }
        let Some(codec) = codec else { return heard };
        if let Some(source) = &mut self.source {
            let clock = codec.clock_rate();
            let arrival = u128::from(now.as_micros()) * u128::from(clock) / 1_000_000;
            source.handle_arrival(arrival as u32, header.timestamp, clock);
        }
        let (Some(until_pull), Some(samples)) = (until_pull, codec.samples_in(packet.payload))
        else {
            return heard;
        };
        let arrived = Arrived {
            sequence,
            timestamp: header.timestamp,
            codec,
            samples: samples as u32,
            payload: packet.payload,
        };
        if self.playout.insert(until_pull, arrived) == Insertion::Late {
            self.late += 1;
        }
        heard
    }

    /// A packet whose payload type was not agreed is ignored (RFC 3550 §5.1). It has come all the same:
    /// what the source in use has sent is not lost on the way (§A.3), as comfort noise in its pauses.
    fn handle_unknown(
        &mut self,
        now: Instant,
        from: SocketAddr,
        header: Header,
        emit: &mut impl FnMut(Press),
    ) -> Reception {
        let is_source = self.source.as_ref().is_some_and(|source| source.ssrc() == header.ssrc);
        if !is_source || !self.latch.is_at(from) {
            return self.reject();
        }
        self.latch.check(now, from, header.ssrc, header.sequence);
        self.handle_source(header.ssrc, header.sequence, emit);
        self.rejected += 1;
        Reception::Packet
    }

    /// Follows the source; returns the extended sequence number of a packet that is to be used.
    fn handle_source(
        &mut self,
        ssrc: u32,
        sequence: u16,
        emit: &mut impl FnMut(Press),
    ) -> Option<u64> {
        if let Some(source) = self.source.as_mut().filter(|s| s.ssrc() == ssrc) {
            return match source.handle_sequence(sequence) {
                Arrival::Next(number) | Arrival::Reordered(number) => Some(number),
                Arrival::Restarted(number) => {
                    self.handle_new_clock(emit);
                    Some(number)
                }
                Arrival::Probation | Arrival::Duplicate | Arrival::Stray => None,
            };
        }
        // The address was validated; a new number there is the peer's new source.
        let probation = if self.source.is_some() { PROBATION } else { 0 };
        let mut candidate = match self.candidate.take() {
            Some(candidate) if candidate.ssrc() == ssrc => candidate,
            _ => Source::new(ssrc, sequence, probation),
        };
        let Arrival::Next(number) = candidate.handle_sequence(sequence) else {
            self.candidate = Some(candidate);
            return None;
        };
        self.past = self.counts();
        self.source = Some(candidate);
        self.handle_new_clock(emit);
        Some(number)
    }

    fn handle_new_clock(&mut self, emit: &mut impl FnMut(Press)) {
        self.playout.restart();
        if let Some(press) = self.events.finish() {
            emit(press);
        }
        self.events.forget();
    }

    fn reject(&mut self) -> Reception {
        self.rejected += 1;
        Reception::Rejected
    }
}
