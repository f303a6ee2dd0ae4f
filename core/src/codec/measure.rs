//! What a piece of audio holds: level, frequency, gaps and delay; and sounds to measure by.
//!
//! For tests, the demo and the command line. What is measured never decides what the machine does,
//! so here (and only here) floating point is used freely.

use crate::time::Duration;

/// A sine of constant level that goes on for ever, without a step between two reads.
#[derive(Clone, Debug)]
pub struct Tone {
    /// A turn is 2^32.
    phase: u32,
    step: u32,
    amplitude: i32,
}

impl Tone {
    /// A sine of `frequency` hertz at `rate` samples a second; `amplitude` is its peak.
    ///
    /// A sine of full scale has 32767 and -3 dBov.
    pub fn new(rate: u32, frequency: u32, amplitude: i16) -> Self {
        let step = (u64::from(frequency) << 32) / u64::from(rate.max(1));
        Self { phase: 0, step: step as u32, amplitude: i32::from(amplitude) }
    }

    /// Writes the next samples.
    pub fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            *sample = self.next_sample();
        }
    }

    /// The next `count` samples.
    pub fn take(&mut self, count: usize) -> Vec<i16> {
        (0..count).map(|_| self.next_sample()).collect()
    }

    fn next_sample(&mut self) -> i16 {
        let sine = sine_q15(self.phase);
        self.phase = self.phase.wrapping_add(self.step);
        ((sine * self.amplitude + (1 << 14)) >> 15) as i16
    }
}

/// The sine of a phase (a turn is 2^32), 32767 at its peak, by a polynomial in integers: exact on
/// every machine, good to one part in a million.
fn sine_q15(phase: u32) -> i32 {
    // Folds the turn into a quarter to each side of zero: x = -1..=1 in Q30 means -90..=90 degrees.
    let half = phase.wrapping_add(1 << 30);
    let folded = if half < 1 << 31 { half } else { u32::MAX - half };
    let x = i64::from(folded) - (1 << 30);
    // Four odd terms, 1 at 90 degrees: 1.570790, -0.645885, 0.079415, -0.004321.
    let square = (x * x) >> 30;
    let mut y: i64 = -4_639_174;
    y = 85_271_536 + ((y * square) >> 30);
    y = -693_513_807 + ((y * square) >> 30);
    y = 1_686_623_269 + ((y * square) >> 30);
    ((((y * x) >> 30) * 32_767) >> 30) as i32
}

/// White noise from a seed: no two places in it are alike, so that a delay can be measured.
#[derive(Clone, Debug)]
pub struct Noise {
    state: u64,
    amplitude: i32,
}

impl Noise {
    /// Noise of that peak; the same for the same seed.
    pub fn new(seed: u64, amplitude: i16) -> Self {
        Self { state: seed.wrapping_mul(2).wrapping_add(1), amplitude: i32::from(amplitude) }
    }

    /// The next `count` samples.
    pub fn take(&mut self, count: usize) -> Vec<i16> {
        (0..count)
            .map(|_| {
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
                let random = i32::from((self.state >> 48) as u16 as i16);
                ((random * self.amplitude) >> 15) as i16
            })
            .collect()
    }
}

/// The level in dBov (RFC 6464 §3): 0 for a square wave of full scale, -3 for such a sine, -127 for
/// silence.
pub fn level_dbov(samples: &[i16]) -> f64 {
    let power = power(samples);
    if power > 0.0 { (10.0 * (power / (32_768.0 * 32_768.0)).log10()).max(-127.0) } else { -127.0 }
}

/// Which part of the power lies at `frequency` hertz, 0 to 1 (Goertzel's algorithm). The neighbours
/// within `rate / samples.len()` hertz count with it.
pub fn share_at(samples: &[i16], rate: u32, frequency: f64) -> f64 {
    let total = power(samples);
    if total == 0.0 {
        return 0.0;
    }
    let n = samples.len() as f64;
    let amplitude = goertzel(samples, rate, frequency) * 2.0 / n;
    (amplitude * amplitude / 2.0 / total).min(1.0)
}

/// The frequency in hertz at which most of the power lies, from the first 4096 samples at most;
/// 0 when there is only silence.
pub fn dominant_frequency(samples: &[i16], rate: u32) -> f64 {
    let samples = &samples[..samples.len().min(4096)];
    if samples.len() < 8 || power(samples) == 0.0 {
        return 0.0;
    }
    // A Hann window, so that a frequency between two bins does not leak over all of them.
    let n = samples.len() as f64;
    let windowed: Vec<i16> = samples
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let turn = core::f64::consts::TAU * i as f64 / n;
            (f64::from(*s) * (0.5 - 0.5 * turn.cos())) as i16
        })
        .collect();
    let bin = f64::from(rate) / n;
    let at = |frequency: f64| goertzel(&windowed, rate, frequency);
    let loudest = |from: f64, to: f64, step: f64| {
        let (mut best, mut most, mut frequency) = (from, -1.0, from);
        while frequency <= to {
            let magnitude = at(frequency);
            if magnitude > most {
                (best, most) = (frequency, magnitude);
            }
            frequency += step;
        }
        best
    };
    let coarse = loudest(bin, f64::from(rate) / 2.0 - bin, bin);
    let fine = loudest(coarse - bin, coarse + bin, bin / 10.0);
    loudest(fine - bin / 10.0, fine + bin / 10.0, bin / 100.0)
}

/// The longest time during which no sample is louder than a sine's peak at `below_dbov`; in a tone
/// that sounds all the time it is a small part of its period.
pub fn longest_gap(samples: &[i16], rate: u32, below_dbov: f64) -> Duration {
    let limit = 32_768.0 * core::f64::consts::SQRT_2 * 10f64.powf(below_dbov / 20.0);
    let (mut longest, mut current) = (0u64, 0u64);
    for sample in samples {
        current = if f64::from(sample.unsigned_abs()) <= limit { current + 1 } else { 0 };
        longest = longest.max(current);
    }
    Duration::from_micros(longest * 1_000_000 / u64::from(rate.max(1)))
}

/// By how many samples `heard` lags behind `reference`, at most `limit`, and how alike they then
/// are, from -1 to 1; `None` when one of them is silent or too short.
pub fn delay(reference: &[i16], heard: &[i16], limit: usize) -> Option<(usize, f64)> {
    let length = reference.len().min(heard.len().saturating_sub(limit));
    let reference = reference.get(..length).filter(|r| !r.is_empty())?;
    let energy = |samples: &[i16]| samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
    let ours = energy(reference);
    (0..=limit)
        .filter_map(|lag| {
            let part = &heard[lag..lag + length];
            let scale = (ours * energy(part)).sqrt();
            let product: f64 =
                reference.iter().zip(part).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            (scale > 0.0).then(|| (lag, product / scale))
        })
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

fn power(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    if samples.is_empty() { 0.0 } else { sum / samples.len() as f64 }
}

/// The magnitude of the Fourier transform at one frequency.
fn goertzel(samples: &[i16], rate: u32, frequency: f64) -> f64 {
    let turn = core::f64::consts::TAU * frequency / f64::from(rate.max(1));
    let factor = 2.0 * turn.cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        (last, before) = (f64::from(*sample) + factor * last - before, last);
    }
    (last * last + before * before - factor * last * before).max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_has_its_frequency_and_level() {
        for (rate, frequency) in [(8_000, 440), (8_000, 1_004), (48_000, 1_000), (44_100, 3_000)] {
            let samples = Tone::new(rate, frequency, 16_384).take(rate as usize);
            let expected = -3.01 - 6.02;
            assert!((level_dbov(&samples) - expected).abs() < 0.02, "{}", level_dbov(&samples));
            let measured = dominant_frequency(&samples, rate);
            assert!((measured - f64::from(frequency)).abs() < 0.2, "{measured}");
            assert!(share_at(&samples, rate, f64::from(frequency)) > 0.999_99);
            assert!(longest_gap(&samples, rate, -40.0) < Duration::from_micros(400));
        }
    }

    #[test]
    fn a_full_tone_stays_in_range() {
        let samples = Tone::new(48_000, 1_000, i16::MAX).take(48_000);
        assert!(samples.iter().copied().max().unwrap() >= 32_764);
        assert!(samples.iter().copied().min().unwrap() <= -32_764);
    }

    #[test]
    fn a_gap_is_as_long_as_it_is() {
        let mut samples = Tone::new(8_000, 400, 8_000).take(8_000);
        samples[1_000..1_160].fill(0);
        let gap = longest_gap(&samples, 8_000, -50.0).as_micros();
        assert!((20_000..20_500).contains(&gap), "{gap}");
    }

    #[test]
    fn a_delay_is_found() {
        let sent = Noise::new(7, 10_000).take(4_000);
        let mut heard = vec![0; 333];
        heard.extend(&sent);
        let (lag, likeness) = delay(&sent, &heard, 1_000).unwrap();
        assert_eq!(lag, 333);
        assert!(likeness > 0.999);
    }

    #[test]
    fn silence_has_no_frequency() {
        assert_eq!(level_dbov(&[0; 100]), -127.0);
        assert_eq!(dominant_frequency(&[0; 100], 8_000), 0.0);
        assert_eq!(delay(&[0; 10], &[0; 20], 5), None);
    }
}
