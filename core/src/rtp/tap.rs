//! What is recorded of a call: both directions, side by side.

use std::collections::VecDeque;

/// How much is kept when nobody drains it, in seconds.
const MAX_SECONDS: u32 = 2;
/// How much of a stream may wait for the first one, in fractions of a second: two of the longest
/// packets.
const BESIDE: u32 = 2;

/// Pairs of samples: what was sent, and the mix of what was heard at the same time.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    pairs: VecDeque<[i16; 2]>,
    /// What other streams than the first have heard, until the first has gone as far.
    beside: Vec<(u8, VecDeque<i16>)>,
}

/// The end of a tap that one stream has.
pub(crate) struct TapEnd<'a> {
    pub(crate) tap: &'a mut Tap,
    pub(crate) stream: u8,
    /// Whether it is the first, in whose time everything is kept.
    pub(crate) leads: bool,
}

impl Tap {
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = [i16; 2]> {
        self.pairs.drain(..)
    }

    /// How many bytes it holds beside itself.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        4 * self.pairs.capacity()
    }

    fn push(&mut self, rate: u32, samples: impl Iterator<Item = [i16; 2]>) {
        let Self { pairs, beside } = self;
        pairs.extend(samples.map(|[sent, heard]| {
            let others = beside.iter_mut().filter_map(|(_, heard)| heard.pop_front());
            [sent, others.fold(heard, i16::saturating_add)]
        }));
        beside.retain(|(_, heard)| !heard.is_empty());
        trim(pairs, rate * MAX_SECONDS);
    }

    fn push_beside(&mut self, rate: u32, stream: u8, frame: &[i16]) {
        let index = self.beside.iter().position(|(other, _)| *other == stream);
        let index = index.unwrap_or_else(|| {
            self.beside.push((stream, VecDeque::new()));
            self.beside.len() - 1
        });
        if let Some((_, heard)) = self.beside.get_mut(index) {
            heard.extend(frame);
            trim(heard, rate / BESIDE);
        }
    }
}

impl TapEnd<'_> {
    /// Keeps a frame, of as much sent as heard.
    pub(crate) fn push(&mut self, rate: u32, sent: &[i16], heard: &[i16]) {
        match self.leads {
            true => self.tap.push(rate, sent.iter().zip(heard).map(|(s, h)| [*s, *h])),
            false => self.tap.push_beside(rate, self.stream, heard),
        }
    }

    /// Keeps silence in place of frames that were left out.
    pub(crate) fn skip(&mut self, rate: u32, samples: u64) {
        if self.leads {
            let samples = samples.min(u64::from(rate * MAX_SECONDS));
            self.tap.push(rate, (0..samples).map(|_| [0, 0]));
        }
    }

    /// Keeps what is heard after the last frame was sent.
    pub(crate) fn push_heard(&mut self, rate: u32, heard: &[i16]) {
        self.tap.push(rate, heard.iter().map(|heard| [0, *heard]));
    }
}

fn trim<T>(queue: &mut VecDeque<T>, limit: u32) {
    let surplus = queue.len().saturating_sub(limit as usize);
    queue.drain(..surplus);
}
