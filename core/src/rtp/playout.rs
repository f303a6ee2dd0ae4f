//! From packets to sound: decodes in the jitter buffer's order, fills what is missing, and stretches
//! or shortens when the delay has to change.

use super::jitter::{Adjustment, Arrived, JitterBuffer, Put, Taken};
use crate::codec::concealment::Concealer;
use crate::codec::{Decoder, timescale};
use crate::time::Duration;

/// What is played of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Playout {
    rate: u32,
    jitter: JitterBuffer,
    decoder: Option<Decoder>,
    concealer: Concealer,
    /// Decoded and not yet played.
    staged: Vec<i16>,
    concealed: u64,
}

impl Playout {
    pub(crate) fn new(rate: u32, frame: u32) -> Self {
        Self {
            rate,
            jitter: JitterBuffer::new(rate, frame),
            decoder: None,
            concealer: Concealer::new(rate),
            staged: Vec::new(),
            concealed: 0,
        }
    }

    pub(crate) fn jitter(&self) -> &JitterBuffer {
        &self.jitter
    }

    /// From now on frames of that length are played.
    pub(crate) fn set_frame(&mut self, frame: u32) {
        self.jitter.set_frame(frame);
    }

    /// Another source speaks, or the same one after a pause.
    pub(crate) fn restart(&mut self) {
        self.jitter.restart();
    }

    pub(crate) fn put(&mut self, until_pull: Duration, arrived: Arrived<'_>) -> Put {
        self.jitter.put(until_pull, arrived)
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

    /// How many samples were made up.
    pub(crate) fn concealed(&self) -> u64 {
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
            Taken::Packet { packet, skip } => {
                let decoder = match &mut self.decoder {
                    Some(decoder) if decoder.codec() == packet.codec => decoder,
                    other => other.insert(Decoder::new(packet.codec)),
                };
                decoder.decode(&packet.payload, &mut self.staged);
                self.jitter.recycle(packet);
                self.staged.drain(start..(start + skip).min(self.staged.len()));
                self.concealer.heard(&mut self.staged[start..]);
            }
            Taken::Missing(count) => self.conceal(count, pause),
            Taken::Starved => self.conceal(wanted, pause),
            Taken::Quiet(count) => {
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
            self.concealed += audible as u64;
        }
    }

    fn adjust(&mut self, frame: usize) {
        let adjustment = self.jitter.adjustment(self.staged.len());
        let (shrinks, patience) = match adjustment {
            Adjustment::None => return,
            Adjustment::Shrink(patience) => (true, patience),
            Adjustment::Grow(patience) => (false, patience),
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
        change(&mut self.staged, self.rate, patience);
        self.jitter.handle_resized(patience, before, self.staged.len());
    }
}
