//! Telephone events (RFC 4733): keys as they are received and sent.

use std::collections::VecDeque;

use crate::sdp::TelephoneEvents;
use crate::time::{Duration, Instant};

/// The largest duration that one segment can tell (§2.5.1.3).
const MAX_SEGMENT: u32 = 0xFFFF;
/// Events 0 to 15 are the keys (§3.2).
const KEYS: &[u8; 16] = b"0123456789*#ABCD";
/// The level we tell: -10 dBm0 (§2.3.4).
const VOLUME: u8 = 10;
/// How often the last packet of an event is sent (§2.5.1.4).
const ENDS: u8 = 3;
/// An event without news for this long has ended, though its end was lost.
const TIMEOUT: Duration = Duration::from_millis(200);
/// How many events back a late packet is still known to belong to one that was counted.
const REMEMBERED: usize = 8;

/// What one telephone-event payload says (§2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct TelephoneEvent {
    /// Which event; 0 to 15 are the keys 0 to 9, *, #, A to D.
    pub event: u8,
    /// Whether it has ended.
    pub end: bool,
    /// The level in dBm0 without its sign, 0 to 63.
    pub volume: u8,
    /// How long it, or its segment, has lasted, in timestamp units.
    pub duration: u16,
}

impl TelephoneEvent {
    /// How long the payload of one event is.
    pub(super) const LENGTH: usize = 4;

    /// Reads the first event of a payload; `None` when the payload is too short for one.
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let &[event, flags, d0, d1] = payload.first_chunk::<{ Self::LENGTH }>()?;
        let duration = u16::from_be_bytes([d0, d1]);
        Some(Self { event, end: flags & 0x80 != 0, volume: flags & 0x3F, duration })
    }

    /// The payload.
    pub(super) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let [d0, d1] = self.duration.to_be_bytes();
        [self.event, (u8::from(self.end) << 7) | (self.volume & 0x3F), d0, d1]
    }
}

/// The event of a key, in either case.
pub fn event_of(digit: char) -> Option<u8> {
    let digit = u8::try_from(digit).ok()?.to_ascii_uppercase();
    KEYS.iter().position(|k| *k == digit).map(|e| e as u8)
}

/// The key of an event; `None` for an event that is not a key.
pub(super) fn digit_of(event: u8) -> Option<char> {
    KEYS.get(usize::from(event)).map(|k| char::from(*k))
}

/// A key that was pressed and released.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Press {
    pub(crate) digit: char,
    /// In timestamp units.
    pub(crate) duration: u64,
}

/// Makes presses of packets: each event once, however many packets report it.
///
/// An event is known by its timestamp. Marker bits may be lost; of three end packets all may be.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventReceiver {
    current: Option<Held>,
    /// The timestamps and events that were counted, oldest first.
    counted: VecDeque<(u32, u8)>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    event: u8,
    /// Where the segment began.
    timestamp: u32,
    /// What earlier segments lasted.
    before: u64,
    duration: u16,
    sequence: u64,
    heard: Instant,
}

impl EventReceiver {
    /// Whether a key is being held down.
    #[cfg(test)]
    pub(crate) fn is_active(&self) -> bool {
        self.current.is_some()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.current.map(|held| held.heard + TIMEOUT)
    }

    /// Ends an event of which nothing came any more.
    pub(crate) fn handle_deadline(&mut self, now: Instant) -> Option<Press> {
        if self.next_deadline().is_some_and(|deadline| now >= deadline) {
            self.finish()
        } else {
            None
        }
    }

    /// Takes a packet; `sequence` is extended past 65535.
    pub(crate) fn handle_packet(
        &mut self,
        now: Instant,
        sequence: u64,
        timestamp: u32,
        payload: &[u8],
        mut emit: impl FnMut(Press),
    ) {
        // Consecutive events may share a packet (§2.5.1.5); each begins where the last one ended.
        let mut timestamp = timestamp;
        for part in payload.chunks_exact(TelephoneEvent::LENGTH) {
            let Some(event) = TelephoneEvent::parse(part) else { return };
            // Zero would be a state, and no key is one (§2.3.5).
            if event.duration != 0 && digit_of(event.event).is_some() {
                self.handle_event(now, sequence, timestamp, event, &mut emit);
            }
            timestamp = timestamp.wrapping_add(u32::from(event.duration));
        }
    }

    fn handle_event(
        &mut self,
        now: Instant,
        sequence: u64,
        timestamp: u32,
        event: TelephoneEvent,
        emit: &mut impl FnMut(Press),
    ) {
        let key = (timestamp, event.event);
        if self.counted.contains(&key) {
            return;
        }
        match &mut self.current {
            Some(held) if held.event == event.event && held.timestamp == timestamp => {
                held.duration = held.duration.max(event.duration);
                held.sequence = held.sequence.max(sequence);
                held.heard = now;
            }
            // The next segment of a long event begins where a full one ended (§2.5.2.3).
            Some(held)
                if held.event == event.event
                    && held.timestamp.wrapping_add(MAX_SEGMENT) == timestamp =>
            {
                held.before += u64::from(MAX_SEGMENT);
                let done = (held.timestamp, held.event);
                held.timestamp = timestamp;
                held.duration = event.duration;
                held.sequence = held.sequence.max(sequence);
                held.heard = now;
                self.remember(done);
            }
            // It belongs before the one that is held, and nothing of it was seen: it is over.
            Some(held) if sequence < held.sequence => {
                self.remember(key);
                emit(press(event.event, u64::from(event.duration)));
                return;
            }
            // Another one begins: the last one has ended, though its end was lost.
            _ => {
                if let Some(press) = self.finish() {
                    emit(press);
                }
                self.current = Some(Held {
                    event: event.event,
                    timestamp,
                    before: 0,
                    duration: event.duration,
                    sequence,
                    heard: now,
                });
            }
        }
        if event.end
            && let Some(press) = self.finish()
        {
            emit(press);
        }
    }

    /// Ends what is held; also when the stream or its source ends.
    pub(crate) fn finish(&mut self) -> Option<Press> {
        let held = self.current.take()?;
        self.remember((held.timestamp, held.event));
        Some(press(held.event, held.before + u64::from(held.duration)))
    }

    /// Another source has another clock; its timestamps mean other events.
    pub(crate) fn forget(&mut self) {
        self.counted.clear();
    }

    fn remember(&mut self, key: (u32, u8)) {
        if self.counted.len() >= REMEMBERED {
            self.counted.pop_front();
        }
        self.counted.push_back(key);
    }
}

fn press(event: u8, duration: u64) -> Press {
    Press { digit: digit_of(event).unwrap_or('?'), duration }
}

/// A telephone-event packet to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EventPacket {
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload: TelephoneEvent,
}

/// Sends keys one after another, a packet each frame.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventSender {
    queue: VecDeque<u8>,
    current: Option<Pressed>,
    /// Last packets that are to be sent again, and how often.
    ends: VecDeque<(EventPacket, u8)>,
    /// How much longer no key may be pressed, in timestamp units.
    pause: u32,
}

#[derive(Clone, Copy, Debug)]
struct Pressed {
    event: u8,
    timestamp: u32,
    /// In this segment, in timestamp units.
    duration: u32,
    left: u32,
    marker: bool,
}

/// How long keys are pressed and not pressed, in timestamp units.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timing {
    pub(crate) press: u32,
    pub(crate) pause: u32,
}

impl EventSender {
    pub(crate) fn push(&mut self, event: u8) {
        self.queue.push_back(event);
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Drops what waits and is not among these.
    pub(crate) fn retain(&mut self, events: TelephoneEvents) {
        self.queue.retain(|event| events.contains(*event));
    }

    /// Takes what waits.
    pub(crate) fn take_queue(&mut self) -> impl Iterator<Item = u8> {
        self.queue.drain(..)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.current.is_none() && self.ends.is_empty()
    }

    /// Drops everything, as when the peer takes no events any more.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Goes on by one frame of `frame` timestamp units that begins at `now`. Returns whether an
    /// event takes the frame's place.
    pub(crate) fn advance(
        &mut self,
        now: u32,
        frame: u32,
        timing: Timing,
        mut emit: impl FnMut(EventPacket),
    ) -> bool {
        self.ends.retain_mut(|(packet, left)| {
            emit(*packet);
            *left -= 1;
            *left > 0
        });
        if self.current.is_none() {
            if self.pause > 0 {
                self.pause = self.pause.saturating_sub(frame);
                return false;
            }
            let Some(event) = self.queue.pop_front() else { return false };
            let left = timing.press.max(1);
            self.current = Some(Pressed { event, timestamp: now, duration: 0, left, marker: true });
        }
        let Some(pressed) = &mut self.current else { return false };
        let step = frame.min(pressed.left);
        pressed.left -= step;
        pressed.duration += step;
        let packet = |pressed: &Pressed, duration: u32, end: bool| EventPacket {
            timestamp: pressed.timestamp,
            marker: pressed.marker,
            payload: TelephoneEvent {
                event: pressed.event,
                end,
                volume: VOLUME,
                duration: duration as u16,
            },
        };
        while pressed.duration > MAX_SEGMENT {
            let full = packet(pressed, MAX_SEGMENT, false);
            emit(full);
            self.ends.push_back((EventPacket { marker: false, ..full }, ENDS - 1));
            pressed.timestamp = pressed.timestamp.wrapping_add(MAX_SEGMENT);
            pressed.duration -= MAX_SEGMENT;
            pressed.marker = false;
        }
        let end = pressed.left == 0;
        let last = packet(pressed, pressed.duration, end);
        emit(last);
        pressed.marker = false;
        if end {
            // Only the first packet of an event has the marker (§2.5.1.2), sent again or not.
            self.ends.push_back((EventPacket { marker: false, ..last }, ENDS - 1));
            self.current = None;
            self.pause = timing.pause;
        }
        true
    }
}

#[cfg(test)]
mod tests;
