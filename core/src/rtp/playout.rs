//! From packets to sound: decodes in the jitter buffer's order, fills what is missing, and stretches
//! or shortens when the delay has to change.

use super::jitter::{Adjustment, Arrived, Insertion, JitterBuffer, NextAudio};
use crate::codec::concealment::Concealer;
use crate::codec::resampler::{Resampler, convert};
use crate::codec::{Codec, Decoder, timescale};
use crate::time::Duration;

/// What is played of one stream.
#[derive(Debug)]
pub(crate) struct Playout {
    rate: u32,
    jitter: JitterBuffer,
    decoding: Option<Decoding>,
    concealer: Concealer,
    /// Decoded and not yet played.
    staged: Vec<i16>,
    concealed: Duration,
}

/// The way from payloads of one codec to samples at the rate that is played.
#[derive(Debug)]
struct Decoding {
    decoder: Decoder,
    /// Where the codec's sample rate is another one.
    resampling: Option<Resampling>,
}

#[derive(Debug)]
struct Resampling {
    resampler: Resampler,
    decoded: Vec<i16>,
    begun: bool,
}

impl Playout {
    pub(crate) fn new(rate: u32, frame: u32) -> Self {
        Self {
            rate,
            jitter: JitterBuffer::new(rate, frame),
            decoding: None,
            concealer: Concealer::new(rate),
            staged: Vec::new(),
            concealed: Duration::ZERO,
        }
    }

    pub(crate) fn jitter(&self) -> &JitterBuffer {
        &self.jitter
    }

    /// From now on frames of that length are played.
    pub(crate) fn set_frame(&mut self, frame: u32) {
        self.jitter.set_frame(frame);
    }

    /// Plays at another rate from now on. What waits is played in it.
    pub(crate) fn set_rate(&mut self, rate: u32) {
        if rate != self.rate {
            self.staged = convert(&self.staged, self.rate, rate);
            self.jitter.set_rate(rate);
            self.concealer.set_rate(rate);
            self.decoding = None;
            self.rate = rate;
        }
    }

    /// Another source speaks, or the same one after a pause.
    pub(crate) fn restart(&mut self) {
        self.jitter.restart();
    }

    pub(crate) fn insert(&mut self, until_pull: Duration, arrived: Arrived<'_>) -> Insertion {
        self.jitter.insert(until_pull, arrived)
    }

    /// Time has gone by in which nothing was played.
    pub(crate) fn skip(&mut self, samples: u64) {
        self.jitter.handle_skipped(samples);
    }

    /// Plays one frame. `pause` says that the peer has a reason to send no sound.
    pub(crate) fn pull(&mut self, frame: &mut [i16], pause: bool) {
        while self.staged.len() < frame.len() {
            self.stage(frame.len() - self.staged.len(), pause);
        }
        self.adjust(frame.len());
        frame.copy_from_slice(&self.staged[..frame.len()]);
        self.staged.drain(..frame.len());
        self.jitter.handle_played(self.staged.len());
    }

    /// Whether anything that was received is still to be played.
    pub(crate) fn is_empty(&self) -> bool {
        self.staged.is_empty() && self.jitter.is_empty()
    }

    /// How much was made up.
    pub(crate) fn concealed(&self) -> Duration {
        self.concealed
    }

    /// How many bytes are held, used or not.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.jitter.memory() + 2 * self.staged.capacity() + 2 * 3 * self.rate as usize / 40
    }

    fn stage(&mut self, wanted: usize, pause: bool) {
        let start = self.staged.len();
        match self.jitter.take(wanted) {
            NextAudio::Packet { packet, skip } => {
                let decoding = match &mut self.decoding {
                    Some(decoding) if decoding.decoder.codec() == packet.codec => decoding,
                    other => other.insert(Decoding::new(packet.codec, self.rate)),
                };
                decoding.decode(&packet.payload, &mut self.staged);
                // Its place is as long as was said when it came, whatever was decoded.
                self.staged.resize(start + packet.samples as usize, 0);
                self.jitter.recycle(packet);
                self.staged.drain(start..(start + skip).min(self.staged.len()));
                self.concealer.heard(&mut self.staged[start..]);
            }
            NextAudio::Missing(count) => self.conceal(count, pause),
            NextAudio::Underrun => self.conceal(wanted, pause),
            NextAudio::Silence(count) => {
                self.staged.resize(start + count, 0);
                self.concealer.rest(&mut self.staged[start..]);
            }
        }
    }

    fn conceal(&mut self, count: usize, pause: bool) {
        let start = self.staged.len();
        self.staged.resize(start + count, 0);
        let audible = self.concealer.conceal(&mut self.staged[start..]);
        if !pause {
            let micros = audible as u64 * 1_000_000 / u64::from(self.rate);
            self.concealed = self.concealed + Duration::from_micros(micros);
        }
    }

    fn adjust(&mut self, frame: usize) {
        let adjustment = self.jitter.adjustment(self.staged.len());
        let (shrinks, moment) = match adjustment {
            Adjustment::None => return,
            Adjustment::Shrink(moment) => (true, moment),
            Adjustment::Grow(moment) => (false, moment),
        };
        // Enough has to be seen, and there has to be a frame afterwards.
        let rest = if shrinks { frame } else { 0 };
        let wanted = frame.max(timescale::needed(self.rate) + rest);
        while self.staged.len() < wanted && self.jitter.is_ready() {
            self.stage(0, false);
        }
        let before = self.staged.len();
        if before < wanted {
            return;
        }
        let change = if shrinks { timescale::shrink } else { timescale::grow };
        change(&mut self.staged, self.rate, moment);
        self.jitter.handle_resized(moment, before, self.staged.len());
    }
}

impl Decoding {
    fn new(codec: Codec, rate: u32) -> Self {
        let resampler =
            (codec.sample_rate() != rate).then(|| Resampler::new(codec.sample_rate(), rate));
        let resampling = |resampler| Resampling { resampler, decoded: Vec::new(), begun: false };
        Self { decoder: Decoder::new(codec), resampling: resampler.flatten().map(resampling) }
    }

    /// Appends the samples of a payload.
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) {
        let Some(Resampling { resampler, decoded, begun }) = &mut self.resampling else {
            return self.decoder.decode(payload, samples);
        };
        decoded.clear();
        self.decoder.decode(payload, decoded);
        if !core::mem::replace(begun, true) {
            resampler.prime(decoded);
        }
        let start = samples.len();
        samples.resize(start + resampler.output_len(decoded.len()), 0);
        if let Some(room) = samples.get_mut(start..) {
            resampler.process(decoded, room);
        }
    }
}
