//! What is recorded of a call: both directions, side by side.

use std::collections::VecDeque;

use crate::codec::resampler::Resampler;

/// How much is kept when nobody drains it, in seconds.
const MAX_SECONDS: u32 = 2;
/// How much of a stream may wait for the first one, in fractions of a second: two of the longest
/// packets.
const BESIDE: u32 = 2;

/// Pairs of samples: what was sent, and the mix of what was heard at the same time.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    /// How many samples a second are kept: as many as the first frame has, or zero before it.
    rate: u32,
    pairs: VecDeque<[i16; 2]>,
    /// What other streams than the first have heard, until the first has gone as far.
    beside: Vec<(u8, VecDeque<i16>)>,
    /// Of the streams that have another rate: for what was sent, and what was heard.
    converters: Vec<(u8, [Resampler; 2])>,
}

/// The end of a tap that one stream has.
pub(crate) struct TapEnd<'a> {
    pub(crate) tap: &'a mut Tap,
    pub(crate) stream: u8,
    /// Whether it is the first, in whose time everything is kept.
    pub(crate) leads: bool,
}

impl Tap {
    pub(crate) fn rate(&self) -> Option<u32> {
        (self.rate != 0).then_some(self.rate)
    }

    /// The rate that is kept, which the first frame decides.
    fn decide_rate(&mut self, rate: u32) -> u32 {
        if self.rate == 0 {
            self.rate = rate;
        }
        self.rate
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = [i16; 2]> {
        self.pairs.drain(..)
    }

    /// How many bytes it holds beside itself.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        4 * self.pairs.capacity()
    }

    fn push(&mut self, samples: impl Iterator<Item = [i16; 2]>) {
        let Self { pairs, beside, .. } = self;
        pairs.extend(samples.map(|[sent, heard]| {
            let others = beside.iter_mut().filter_map(|(_, heard)| heard.pop_front());
            [sent, others.fold(heard, i16::saturating_add)]
        }));
        beside.retain(|(_, heard)| !heard.is_empty());
        trim(pairs, self.rate * MAX_SECONDS);
    }

    fn push_beside(&mut self, stream: u8, frame: &[i16]) {
        let index = self.beside.iter().position(|(other, _)| *other == stream);
        let index = index.unwrap_or_else(|| {
            self.beside.push((stream, VecDeque::new()));
            self.beside.len() - 1
        });
        if let Some((_, heard)) = self.beside.get_mut(index) {
            heard.extend(frame);
            trim(heard, self.rate / BESIDE);
        }
    }

    /// What a stream of another rate has sent and heard, at ours; `None` of one at our rate.
    fn convert(&mut self, stream: u8, rate: u32, sides: [&[i16]; 2]) -> Option<[Vec<i16>; 2]> {
        if rate == self.decide_rate(rate) {
            return None;
        }
        let fits = |(of, [sent, _]): &(u8, [Resampler; 2])| (*of, sent.from()) == (stream, rate);
        let known = self.converters.iter().position(fits);
        let index = match known {
            Some(index) => index,
            None => {
                self.converters.retain(|(of, _)| *of != stream);
                let resampler = Resampler::new(rate, self.rate)?;
                self.converters.push((stream, [resampler.clone(), resampler]));
                self.converters.len() - 1
            }
        };
        let (_, [sent, heard]) = self.converters.get_mut(index)?;
        Some([convert(sent, sides[0]), convert(heard, sides[1])])
    }
}

impl TapEnd<'_> {
    /// Keeps a frame, of as much sent as heard.
    pub(crate) fn push(&mut self, rate: u32, sent: &[i16], heard: &[i16]) {
        let converted = self.tap.convert(self.stream, rate, [sent, heard]);
        let (sent, heard) = match &converted {
            Some([sent, heard]) => (sent.as_slice(), heard.as_slice()),
            None => (sent, heard),
        };
        match self.leads {
            true => self.tap.push(sent.iter().zip(heard).map(|(s, h)| [*s, *h])),
            false => self.tap.push_beside(self.stream, heard),
        }
    }

    /// Keeps silence in place of frames that were left out.
    pub(crate) fn skip(&mut self, rate: u32, samples: u64) {
        if self.leads {
            let samples = samples.min(u64::from(rate * MAX_SECONDS));
            let samples = samples * u64::from(self.tap.decide_rate(rate)) / u64::from(rate);
            self.tap.push((0..samples).map(|_| [0, 0]));
        }
    }

    /// Keeps what is heard after the last frame was sent.
    pub(crate) fn push_heard(&mut self, rate: u32, heard: &[i16]) {
        self.push(rate, &vec![0; heard.len()], heard);
    }
}

fn convert(resampler: &mut Resampler, samples: &[i16]) -> Vec<i16> {
    let mut converted = vec![0; resampler.output_len(samples.len())];
    resampler.process(samples, &mut converted);
    converted
}

fn trim<T>(queue: &mut VecDeque<T>, limit: u32) {
    let surplus = queue.len().saturating_sub(limit as usize);
    queue.drain(..surplus);
}
