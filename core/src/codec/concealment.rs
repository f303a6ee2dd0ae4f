//! Fills what was lost with what was heard before it: the last period of the waveform goes on and
//! fades, after the manner of ITU-T G.711 Appendix I (without its delay).

use super::resampler::convert;
use super::timescale::cross_fade;

/// The pitch periods that are looked for, in parts of a second: 5 ms (200 Hz) to 15 ms (66 Hz).
const MIN_PERIOD: u32 = 200;
const MAX_PERIOD: (u32, u32) = (3, 200);
/// How much is compared to find the period: 20 ms.
const COMPARED: u32 = 50;
/// The made-up sound is at full level for the first 10 ms and silent after 60 ms.
const STEADY: u32 = 100;
const FADED: (u32, u32) = (3, 50);
/// When sound comes back, it is cross-faded with the made-up one for 4 ms, and 4 ms more for each
/// 10 ms that were lost, up to 10 ms.
const MERGE: u32 = 250;
const MAX_MERGE: u32 = 100;

/// Remembers what was heard and makes up what is missing.
#[derive(Clone, Debug)]
pub(crate) struct Concealer {
    rate: u32,
    /// What was played last, newest at the end; up to three of the longest periods and a quarter.
    history: Vec<i16>,
    /// What is repeated; empty while nothing is missing.
    period: Vec<i16>,
    next: usize,
    /// How much was made up since the last real sound.
    made_up: usize,
    /// The step between the real sound and the repeated one, which is smoothed away.
    step: i32,
}

impl Concealer {
    /// For sound at `rate` samples a second.
    pub(crate) fn new(rate: u32) -> Self {
        let longest = (rate * MAX_PERIOD.0 / MAX_PERIOD.1) as usize;
        Self {
            rate,
            history: vec![0; longest + (rate / COMPARED) as usize],
            period: Vec::with_capacity(longest),
            next: 0,
            made_up: 0,
            step: 0,
        }
    }

    /// Goes on at another rate with what was heard.
    pub(crate) fn set_rate(&mut self, rate: u32) {
        let history = convert(&self.history, self.rate, rate);
        *self = Self::new(rate);
        self.remember(&history);
    }

    /// Takes sound that is about to be played; its beginning is blended with what was made up
    /// before it.
    pub(crate) fn heard(&mut self, samples: &mut [i16]) {
        if self.made_up > 0 {
            let merge =
                (self.rate / MERGE) as usize + self.made_up * STEADY as usize / MERGE as usize;
            let merge = merge.min((self.rate / MAX_MERGE) as usize).min(samples.len());
            for (i, sample) in samples.iter_mut().take(merge).enumerate() {
                *sample = cross_fade(self.make_up(), *sample, i, merge);
            }
            self.made_up = 0;
            self.period.clear();
        }
        self.remember(samples);
    }

    /// Makes up sound in the place of what is missing. Returns how many of the samples are more
    /// than silence.
    pub(crate) fn conceal(&mut self, samples: &mut [i16]) -> usize {
        if self.period.is_empty() {
            self.begin();
        }
        if self.period.iter().all(|s| *s == 0) {
            // Silence is repeated as silence; there is nothing to make up.
            self.made_up = self.made_up.saturating_add(samples.len()).max(1);
            samples.fill(0);
            return 0;
        }
        let faded = self.faded_after();
        let audible = faded.saturating_sub(self.made_up).min(samples.len());
        let (sounding, silent) = samples.split_at_mut(audible);
        for sample in sounding {
            *sample = self.make_up();
        }
        silent.fill(0);
        self.made_up = self.made_up.saturating_add(silent.len());
        self.remember(samples);
        audible
    }

    /// Plays silence that is meant to be; what still fades goes on fading.
    pub(crate) fn rest(&mut self, samples: &mut [i16]) {
        if self.made_up > 0 && self.made_up < self.faded_after() {
            self.conceal(samples);
            return;
        }
        samples.fill(0);
        self.made_up = 0;
        self.period.clear();
        self.remember(samples);
    }

    fn faded_after(&self) -> usize {
        (self.rate * FADED.0 / FADED.1) as usize
    }

    /// Chooses what to repeat.
    fn begin(&mut self) {
        let period = self.find_period();
        let length = self.history.len();
        self.period.extend_from_slice(&self.history[length - period..]);
        // The end of the period blends into what came before its beginning, so that it can be
        // played in a circle.
        let seam = period / 4;
        for i in 0..seam {
            let (end, before) = (period - seam + i, length - period - seam + i);
            self.period[end] = cross_fade(self.period[end], self.history[before], i, seam);
        }
        let (last, before) = (self.history[length - 1], self.history[length - 2]);
        // Where the sound was heading, against where the repetition begins.
        let heading = 2 * i32::from(last) - i32::from(before);
        self.step = heading.clamp(-32_768, 32_767) - i32::from(self.period[0]);
        self.next = 0;
        self.made_up = 0;
    }

    fn make_up(&mut self) -> i16 {
        let Some(sample) = self.period.get(self.next) else { return 0 };
        let smooth = self.period.len() / 4;
        let mut value = i32::from(*sample);
        if self.made_up < smooth {
            value += self.step * (smooth - self.made_up) as i32 / smooth as i32;
        }
        let (steady, faded) = ((self.rate / STEADY) as usize, self.faded_after());
        if self.made_up > steady {
            let left = faded.saturating_sub(self.made_up);
            value = (i64::from(value) * left as i64 / (faded - steady) as i64) as i32;
        }
        self.next = if self.next + 1 == self.period.len() { 0 } else { self.next + 1 };
        self.made_up += 1;
        value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
    }

    /// The lag at which the end of the history is most like what came before: by every second
    /// sample first, then by all around the best.
    fn find_period(&self) -> usize {
        let min = (self.rate / MIN_PERIOD) as usize;
        // All silences are alike, and a call begins with one.
        if self.history.iter().all(|s| *s == 0) {
            return min;
        }
        let max = (self.rate * MAX_PERIOD.0 / MAX_PERIOD.1) as usize;
        let coarse = self.most_alike(min, max, (self.rate / 4_000).max(1) as usize);
        let near = (self.rate / 4_000).max(1) as usize;
        self.most_alike(coarse.saturating_sub(near).max(min), (coarse + near).min(max), 1)
    }

    fn most_alike(&self, from: usize, to: usize, step: usize) -> usize {
        let compared = (self.rate / COMPARED) as usize;
        let end = self.history.len();
        let reference = &self.history[end - compared..];
        let mut best = (from, i64::MIN);
        for lag in (from..=to).step_by(step) {
            let Some(start) = (end - compared).checked_sub(lag) else { break };
            let other = &self.history[start..start + compared];
            let (mut product, mut energy) = (0i64, 0i64);
            for (a, b) in reference.iter().zip(other).step_by(step) {
                product += i64::from(*a) * i64::from(*b);
                energy += i64::from(*b) * i64::from(*b);
            }
            // The square root of the energy, by its halved exponent, is enough to compare by.
            let likeness = (product << 8) / integer_root(energy).max(1);
            if likeness > best.1 {
                best = (lag, likeness);
            }
        }
        best.0
    }

    fn remember(&mut self, samples: &[i16]) {
        let length = self.history.len();
        match samples.len().checked_sub(length) {
            Some(surplus) => self.history.copy_from_slice(&samples[surplus..]),
            None => {
                self.history.copy_within(samples.len().., 0);
                self.history[length - samples.len()..].copy_from_slice(samples);
            }
        }
    }
}

/// The integer part of a square root.
fn integer_root(value: i64) -> i64 {
    u64::try_from(value).map_or(0, |v| v.isqrt() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::measure::{self, Tone};

    #[test]
    fn one_lost_packet_of_a_tone_is_not_heard() {
        for frequency in [150, 440, 1_000] {
            let mut samples = Tone::new(8_000, frequency, 10_000).take(1_600);
            let mut concealer = Concealer::new(8_000);
            let mut audible = 0;
            for (i, frame) in samples.chunks_mut(160).enumerate() {
                if i == 5 {
                    frame.fill(0);
                    audible += concealer.conceal(frame);
                } else {
                    concealer.heard(frame);
                }
            }
            assert_eq!(audible, 160);
            let share = measure::share_at(&samples, 8_000, f64::from(frequency));
            assert!(share > 0.97, "{frequency} Hz: {share}");
            let steps = samples.windows(2).map(|w| i32::from(w[0]).abs_diff(i32::from(w[1])));
            let slope = 2.0 * core::f64::consts::PI * f64::from(frequency) / 8_000.0 * 10_000.0;
            assert!(f64::from(steps.max().unwrap()) < slope * 1.6, "{frequency} Hz clicks");
            let lost = measure::level_dbov(&samples[800..960]);
            assert!(lost > measure::level_dbov(&samples[..800]) - 2.5, "{frequency} Hz: {lost}");
        }
    }

    #[test]
    fn a_long_loss_fades_to_silence_and_comes_back() {
        let mut tone = Tone::new(8_000, 400, 10_000);
        let mut concealer = Concealer::new(8_000);
        let mut frame = tone.take(160);
        for _ in 0..5 {
            concealer.heard(&mut frame);
            tone.fill(&mut frame);
        }
        let mut audible = 0;
        let mut before = f64::INFINITY;
        for i in 0..50 {
            audible += concealer.conceal(&mut frame);
            let level = measure::level_dbov(&frame);
            assert!(level <= before + 0.2);
            before = level;
            assert!(i < 3 || frame.iter().all(|s| *s == 0));
        }
        assert_eq!(audible, 480);
        tone.fill(&mut frame);
        let original = frame.clone();
        concealer.heard(&mut frame);
        assert_eq!(frame[80..], original[80..]);
        assert!(frame[0].unsigned_abs() < 200);
    }

    #[test]
    fn without_a_past_there_is_silence() {
        let mut frame = vec![1; 3_000];
        Concealer::new(8_000).conceal(&mut frame);
        assert!(frame.iter().all(|s| *s == 0));
        let mut concealer = Concealer::new(48_000);
        concealer.heard(&mut Tone::new(48_000, 300, 9_000).take(960));
        assert_eq!(concealer.conceal(&mut [0; 480]), 480);
    }
}
