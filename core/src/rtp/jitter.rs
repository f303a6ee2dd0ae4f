//! The jitter buffer: puts packets in order and says what is to be played next.
//!
//! Every packet has a position on one line of samples, and what is played moves along that line at
//! the pace of our own clock. How early packets come before their turn (`Headroom`) decides
//! whether the line is stretched or shortened (`playout` does it with the sound itself).
//! So loss, reordering, jitter and a clock that runs at another speed are one matter.
//!
//! Gaps are distances between positions and hold no memory, whatever a timestamp claims.

use std::collections::VecDeque;

use super::headroom::{DelayChange, Headroom};
use crate::codec::Codec;
use crate::codec::timescale::{self, Moment};
use crate::time::Duration;

/// How many packets may wait.
pub(crate) const MAX_PACKETS: usize = 128;
/// How many payload bytes may wait.
pub(crate) const MAX_BYTES: usize = 32_768;
/// How much sound may wait, in seconds; what is further away than this is on another clock.
pub(crate) const MAX_SECONDS: u32 = 1;
/// Without packets for this part of a second, the next one begins a new stretch of sound: 100 ms.
const SILENCE: u32 = 10;
/// How many spare payload buffers are kept.
const SPARE: usize = 16;
/// How many frames are played between two acts of making the delay less that might be heard: at
/// leisure, and when there is much too much of it.
const REST: (u32, u32) = (50, 3);

/// A packet as it arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrived<'a> {
    /// Its sequence number, counted on past 65535.
    pub sequence: u64,
    /// Its timestamp.
    pub timestamp: u32,
    /// What it is coded with.
    pub codec: Codec,
    /// How many samples it holds, at the codec's sample rate.
    pub samples: u32,
    /// What it carries.
    pub payload: &'a [u8],
}

/// What an inserted packet came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Insertion {
    /// It is kept until it is played.
    Stored,
    /// The time to play it is over.
    Late,
    /// A packet with its sequence number is kept already.
    Duplicate,
    /// It does not fit in.
    Discarded,
}

/// A packet in the buffer, or to be played.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BufferedPacket {
    position: i64,
    sequence: u64,
    /// How many samples it is when it is played.
    pub samples: u32,
    /// What it is coded with.
    pub codec: Codec,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// What is to be played next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NextAudio {
    /// This packet, without its first `skip` samples. Give it back with [`JitterBuffer::recycle`].
    Packet {
        /// The packet.
        packet: BufferedPacket,
        /// How many of its samples come too late.
        skip: usize,
    },
    /// That many samples are missing before the next packet.
    Missing(usize),
    /// That many samples of silence precede the first packet.
    Silence(usize),
    /// The buffer is empty.
    Underrun,
}

/// Whether playing should catch up or hold back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Adjustment {
    /// Neither.
    None,
    /// Play less than there is.
    Shrink(Moment),
    /// Play more than there is.
    Grow(Moment),
}

/// The packets of one source that wait for their turn.
#[derive(Clone, Debug)]
pub struct JitterBuffer {
    rate: u32,
    /// How many samples are played at once.
    frame: u32,
    packets: VecDeque<BufferedPacket>,
    spare: Vec<Vec<u8>>,
    bytes: usize,
    /// The position that is taken next, and how many samples before it were taken and not played.
    next: i64,
    staged: u32,
    /// Maps timestamps to positions.
    origin: Option<Origin>,
    /// The next packet continues the sound, but not the timestamps.
    resync: bool,
    /// How many samples were wanted since the last packet was taken and none was there.
    underrun: u32,
    /// Before this position there is silence by intent.
    silence_until: i64,
    headroom: Headroom,
    /// Whether packets hold whole frames, so that all of them lie alike in our frames.
    aligned: bool,
    rest: u32,
    discarded: u64,
}

#[derive(Clone, Copy, Debug)]
struct Origin {
    timestamp: u32,
    /// The rate of the clock that gave it.
    clock_rate: u32,
    position: i64,
    /// Where that packet ends.
    end: i64,
    sequence: u64,
}

impl JitterBuffer {
    /// For sound at `rate` samples a second, of which `frame` are played at once.
    pub fn new(rate: u32, frame: u32) -> Self {
        let frame = frame.max(1);
        Self {
            rate,
            frame,
            packets: VecDeque::new(),
            spare: Vec::new(),
            bytes: 0,
            next: 0,
            staged: 0,
            origin: None,
            resync: false,
            underrun: 0,
            silence_until: 0,
            headroom: Headroom::new(rate),
            aligned: false,
            rest: 0,
            discarded: 0,
        }
    }

    /// From now on that many samples are played at once.
    pub fn set_frame(&mut self, frame: u32) {
        self.frame = frame.max(1);
    }

    /// Sound is played at another rate from now on. What waits stays.
    pub fn set_rate(&mut self, rate: u32) {
        let old = core::mem::replace(&mut self.rate, rate);
        let scale = |samples: i64| rescale(samples, old, rate);
        for packet in &mut self.packets {
            packet.position = scale(packet.position);
            packet.samples = scale(packet.samples.into()) as u32;
        }
        if let Some(origin) = &mut self.origin {
            (origin.position, origin.end) = (scale(origin.position), scale(origin.end));
        }
        (self.next, self.silence_until) = (scale(self.next), scale(self.silence_until));
        self.staged = scale(self.staged.into()) as u32;
        self.underrun = scale(self.underrun.into()) as u32;
        self.headroom.set_rate(rate);
    }

    /// Another source speaks, or the same one with another clock: what comes now follows what is
    /// there.
    pub fn restart(&mut self) {
        self.resync = true;
    }

    /// Takes a packet that arrives `until_pull` before the next frame is played.
    pub fn insert(&mut self, until_pull: Duration, arrived: Arrived<'_>) -> Insertion {
        let span = i64::from(self.rate * MAX_SECONDS);
        // As many as they are when they are played.
        let samples = rescale(arrived.samples.into(), arrived.codec.sample_rate(), self.rate);
        if samples == 0 || samples > span || arrived.payload.len() > MAX_BYTES {
            self.discarded += 1;
            return Insertion::Discarded;
        }
        let until_pull = self.to_samples(until_pull);
        let first = self.origin.is_none();
        let Some((position, continues)) = self.place(until_pull, &arrived, samples) else {
            self.discarded += 1;
            return Insertion::Discarded;
        };
        if self.packets.is_empty() {
            if first || self.underrun >= self.rate / SILENCE {
                self.anchor(until_pull, position, continues);
            } else if position < self.next && position >= self.next - i64::from(self.underrun) {
                // It is late, but nothing was played in its place yet save repetition: it is
                // played all the same, and the delay has grown.
                let back = self.next - position;
                self.next = position;
                self.headroom.shift(back as i32);
            }
        }
        let end = position + samples;
        // Also of packets that come too late to be played, so that others will not.
        self.headroom.note(self.early(until_pull, position));
        if end <= self.next {
            return Insertion::Late;
        }
        let index = self.packets.partition_point(|p| p.position <= position);
        let same = |p: &BufferedPacket| p.sequence == arrived.sequence;
        if self.packets.iter().skip(index.saturating_sub(1)).take(2).any(same) {
            return Insertion::Duplicate;
        }
        // The newest sound is worth more than the oldest.
        let mut index = index;
        while self.packets.len() >= MAX_PACKETS
            || self.bytes + arrived.payload.len() > MAX_BYTES
            || end - self.next > span
        {
            if index == 0 && !self.packets.is_empty() {
                self.discarded += 1;
                return Insertion::Discarded;
            }
            self.discard_oldest(position);
            index = index.saturating_sub(1);
        }
        self.underrun = 0;
        let samples = samples as u32;
        self.aligned = samples.is_multiple_of(self.frame);
        let mut payload = self.spare.pop().unwrap_or_default();
        payload.clear();
        payload.extend_from_slice(arrived.payload);
        self.bytes += payload.len();
        let buffered = BufferedPacket {
            position,
            sequence: arrived.sequence,
            samples,
            codec: arrived.codec,
            payload,
        };
        if index == self.packets.len() {
            self.packets.push_back(buffered);
        } else {
            self.packets.insert(index, buffered);
        }
        Insertion::Stored
    }

    /// What is to be played next, at most `wanted` samples when it is not a packet.
    pub fn take(&mut self, wanted: usize) -> NextAudio {
        loop {
            let Some(front) = self.packets.front() else {
                if self.origin.is_some() {
                    self.next += wanted as i64;
                    self.underrun = self.underrun.saturating_add(wanted as u32);
                }
                return NextAudio::Underrun;
            };
            let (position, end) = (front.position, front.position + i64::from(front.samples));
            if position > self.next {
                let gap = (position - self.next).min(wanted as i64);
                let silent = self.next < self.silence_until;
                self.next += gap;
                return if silent {
                    NextAudio::Silence(gap as usize)
                } else {
                    NextAudio::Missing(gap as usize)
                };
            }
            let Some(packet) = self.packets.pop_front() else { return NextAudio::Underrun };
            self.bytes -= packet.payload.len();
            if end <= self.next {
                self.discarded += 1;
                self.recycle(packet);
                continue;
            }
            let skip = (self.next - position) as usize;
            self.next = end;
            return NextAudio::Packet { packet, skip };
        }
    }

    /// Whether the next thing to be taken is a packet.
    pub fn is_ready(&self) -> bool {
        self.packets.front().is_some_and(|p| p.position <= self.next)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Takes back the memory of a packet.
    pub fn recycle(&mut self, packet: BufferedPacket) {
        if self.spare.len() < SPARE {
            self.spare.push(packet.payload);
        }
    }

    /// A frame was played; `staged` samples were taken and not yet played.
    pub fn handle_played(&mut self, staged: usize) {
        self.staged = staged as u32;
        self.headroom.played(self.frame);
        self.rest = self.rest.saturating_sub(1);
    }

    /// That many samples of time went by without anything being played, as when the host stalls.
    pub fn handle_skipped(&mut self, samples: u64) {
        let samples = samples.min(u64::from(self.rate) * 60);
        self.headroom.shift(samples as i32);
    }

    /// Whether playing should catch up or hold back, with `staged` samples taken and not yet played.
    pub fn adjustment(&self, staged: usize) -> Adjustment {
        if self.underrun > 0 {
            return Adjustment::None;
        }
        let Some(origin) = self.origin else { return Adjustment::None };
        // A packet is needed when the frame begins in which it begins. To move it within that frame
        // costs nothing, to move it into the one before costs a frame.
        let frame = i64::from(self.frame);
        let into = (origin.position - (self.next - staged as i64)).rem_euclid(frame);
        let free = self.aligned && into >= timescale::longest(self.rate) as i64;
        let cost = if free { 0 } else { frame as i32 };
        let moment = |urgent| if urgent { Moment::Now } else { Moment::Inaudible };
        match self.headroom.delay_change(cost) {
            DelayChange::Keep => Adjustment::None,
            DelayChange::LessIfQuiet => Adjustment::Shrink(Moment::Quiet),
            DelayChange::Less { .. } if self.rest > 0 => Adjustment::Shrink(Moment::Quiet),
            DelayChange::Less { urgent } => Adjustment::Shrink(moment(urgent)),
            DelayChange::More { urgent } => Adjustment::Grow(moment(urgent)),
        }
    }

    /// The sound that was taken has been made shorter or longer, from so many samples to so many.
    pub fn handle_resized(&mut self, moment: Moment, before: usize, after: usize) {
        let Some(origin) = self.origin else { return };
        if before == after {
            return;
        }
        // What this does to the headroom of a packet like the newest.
        let frame = i64::from(self.frame);
        let ahead =
            |staged: usize| (origin.position - self.next + staged as i64).div_euclid(frame) * frame;
        self.headroom.shift((ahead(after) - ahead(before)) as i32);
        self.rest = match moment {
            _ if after > before => self.rest,
            Moment::Quiet => self.rest,
            Moment::Inaudible => REST.0,
            Moment::Now => REST.1,
        };
    }

    /// How long a packet waits here as a rule.
    pub fn delay(&self) -> Duration {
        let samples = self.headroom.typical().max(0) as u64;
        Duration::from_micros(samples * 1_000_000 / u64::from(self.rate.max(1)))
    }

    /// How many packets were thrown away because too much was waiting.
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// How many bytes are held, used or not.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        let payloads = self.packets.iter().map(|p| p.payload.capacity());
        let spare = self.spare.iter().map(Vec::capacity);
        self.packets.capacity() * size_of::<BufferedPacket>()
            + self.spare.capacity() * size_of::<Vec<u8>>()
            + payloads.sum::<usize>()
            + spare.sum::<usize>()
    }

    /// Where a packet belongs, and whether its timestamp continues those before; `None` when it
    /// belongs nowhere.
    fn place(
        &mut self,
        until_pull: i64,
        arrived: &Arrived<'_>,
        samples: i64,
    ) -> Option<(i64, bool)> {
        let clock_rate = arrived.codec.clock_rate();
        let mut resync = core::mem::take(&mut self.resync);
        let (mut position, mut continues) = (self.next, false);
        if let Some(origin) = self.origin {
            resync |= origin.clock_rate != clock_rate;
            let step = arrived.timestamp.wrapping_sub(origin.timestamp) as i32;
            position = origin.position + rescale(step.into(), clock_rate, self.rate);
            if !resync && arrived.sequence <= origin.sequence {
                // Sent before the newest one, and so about sound before it.
                return (position <= origin.position).then_some((position, true));
            }
            let in_sequence = !resync && arrived.sequence == origin.sequence + 1;
            let far = (position - self.next).abs() > i64::from(self.rate * MAX_SECONDS);
            continues = !(resync || far || in_sequence && self.jumps(until_pull, position));
            if !continues {
                position = self.continuation(until_pull, in_sequence);
            }
        }
        let (timestamp, sequence) = (arrived.timestamp, arrived.sequence);
        let end = position + samples;
        self.origin = Some(Origin { timestamp, clock_rate, position, end, sequence });
        Some((position, continues))
    }

    /// Whether the sender's clock has jumped between two packets in sequence: back, or forward by a
    /// gap on the line that was no gap in time.
    fn jumps(&self, until_pull: i64, position: i64) -> bool {
        let Some(origin) = self.origin else { return false };
        let limit = i64::from(self.rate / SILENCE);
        let early = i64::from(self.early(until_pull, position));
        let gap = position > origin.end + limit
            && self.underrun < self.rate / SILENCE
            && early > i64::from(self.headroom.typical()) + limit;
        gap || position < origin.position
    }

    /// Where sound belongs that continues what was there in time, though not in its timestamps: right
    /// after it when nothing is missing in between, else as early as packets are as a rule.
    fn continuation(&self, until_pull: i64, in_sequence: bool) -> i64 {
        let frame = i64::from(self.frame);
        let ahead = (i64::from(self.headroom.typical()) - until_pull).div_euclid(frame) * frame;
        let timed = (self.next - i64::from(self.staged) + ahead).max(self.next);
        let end = self.origin.map_or(timed, |origin| origin.end);
        let near = timed < end + i64::from(self.rate / SILENCE);
        if timed < end || (in_sequence && near) { end } else { timed }
    }

    /// Chooses when the first packet after a silence is played.
    fn anchor(&mut self, until_pull: i64, position: i64, continues: bool) {
        let frame = i64::from(self.frame);
        let before = self.early(until_pull, position);
        let wanted = i64::from(self.headroom.wanted()) - until_pull;
        let frames = (wanted.max(i64::from(self.staged)).max(0) + frame - 1) / frame;
        self.next = position - frames * frame + i64::from(self.staged);
        self.silence_until = position;
        self.underrun = 0;
        if continues {
            let after = self.early(until_pull, position);
            self.headroom.shift(after.saturating_sub(before));
        }
    }

    /// How many samples of time are left until a position's frame is played.
    fn early(&self, until_pull: i64, position: i64) -> i32 {
        let frame = i64::from(self.frame);
        let ahead = position - (self.next - i64::from(self.staged));
        let early = until_pull + ahead.div_euclid(frame) * frame;
        early.clamp(-1 << 24, 1 << 24) as i32
    }

    fn discard_oldest(&mut self, newest: i64) {
        if let Some(packet) = self.packets.pop_front() {
            self.bytes -= packet.payload.len();
            self.recycle(packet);
            self.discarded += 1;
        }
        let next = self.packets.front().map_or(newest, |p| p.position.min(newest));
        if next > self.next {
            self.headroom.shift(-((next - self.next).min(1 << 24) as i32));
            self.next = next;
        }
    }

    fn to_samples(&self, time: Duration) -> i64 {
        (time.as_micros().min(60_000_000) * u64::from(self.rate) / 1_000_000) as i64
    }
}

/// A count of units of one rate in those of another.
fn rescale(count: i64, from: u32, to: u32) -> i64 {
    if from == to { count } else { count * i64::from(to) / i64::from(from) }
}
