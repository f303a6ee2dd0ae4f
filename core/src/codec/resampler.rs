//! Changes the sampling rate: a windowed sinc in phases, in fixed point.
//!
//! The output lies on a grid of `to` samples a second over an input of `from`. With both divided by
//! their greatest common divisor the position between two input samples takes few values; each has
//! its row of coefficients. The rows are computed once with nothing but the operations that IEEE 754
//! rounds exactly, so they are the same on every machine; what runs for each sample is integer.

/// The rates that can be converted, in hertz.
pub(crate) const RATES: core::ops::RangeInclusive<u32> = 4_000..=192_000;

/// How many zero crossings the sinc has to each side.
const ZERO_CROSSINGS: u32 = 24;
/// Where the filter has lost half its amplitude, as a part of the lower rate's half: the telephone
/// band to 3.4 kHz passes, what would fold back below 3.9 kHz does not.
const CUTOFF: f64 = 0.925;
/// The Kaiser window's shape: 70 dB down beside the band.
const KAISER: f64 = 7.0;
/// The coefficients' fixed point.
const FRACTION_BITS: u32 = 20;
/// How many rows are kept at most; an unusual pair of rates uses the nearest row.
const MAX_ROWS: u32 = 512;

/// Converts one stream of samples from one rate to another, in pieces of any size.
#[derive(Clone, Debug)]
pub struct Resampler {
    from: u32,
    to: u32,
    /// `to` and `from` without their common divisor.
    up: u32,
    down: u32,
    taps: usize,
    rows: u32,
    coefficients: Vec<i32>,
    /// The last `taps` input samples, written twice so that they always lie in one piece.
    window: Vec<i16>,
    newest: usize,
    /// Where the next output lies after the middle of the window, in parts of `up`; from `up` on
    /// the window has to move first.
    position: u32,
}

impl Resampler {
    /// A converter from `from` to `to` samples a second; `None` when one is not in [`RATES`].
    pub fn new(from: u32, to: u32) -> Option<Self> {
        if !RATES.contains(&from) || !RATES.contains(&to) {
            return None;
        }
        let divisor = greatest_common_divisor(from, to);
        let (up, down) = (to / divisor, from / divisor);
        if up == down {
            return Some(Self {
                from,
                to,
                up,
                down,
                taps: 0,
                rows: 0,
                coefficients: Vec::new(),
                window: Vec::new(),
                newest: 0,
                position: up,
            });
        }
        // A lower output rate needs a lower cutoff, and so a longer filter.
        let stretch = f64::from(down.max(up)) / f64::from(up);
        let half = f64::from(ZERO_CROSSINGS) * stretch;
        let taps = 2 * (half.ceil() as usize);
        let rows = up.min(MAX_ROWS);
        let mut coefficients = Vec::with_capacity(taps * rows as usize);
        for row in 0..rows {
            let fraction = f64::from(row) / f64::from(rows);
            append_row(&mut coefficients, taps, half, CUTOFF / stretch, fraction);
        }
        Some(Self {
            from,
            to,
            up,
            down,
            taps,
            rows,
            coefficients,
            window: vec![0; 2 * taps],
            newest: 0,
            position: up,
        })
    }

    /// The rate of the input.
    pub fn from(&self) -> u32 {
        self.from
    }

    /// The rate of the output.
    pub fn to(&self) -> u32 {
        self.to
    }

    /// Reads from `input` and writes to `output` until one of them is used up; returns how many
    /// samples were read and written. What was not read has to be given again.
    pub fn process(&mut self, input: &[i16], output: &mut [i16]) -> (usize, usize) {
        if self.taps == 0 {
            let count = input.len().min(output.len());
            output[..count].copy_from_slice(&input[..count]);
            return (count, count);
        }
        let (mut read, mut written) = (0, 0);
        loop {
            while self.position >= self.up {
                let Some(sample) = input.get(read) else { return (read, written) };
                self.push(*sample);
                self.position -= self.up;
                read += 1;
            }
            let Some(sample) = output.get_mut(written) else { return (read, written) };
            *sample = self.interpolate();
            self.position += self.down;
            written += 1;
        }
    }

    /// How many samples [`process`](Self::process) makes of `input` samples.
    pub fn output_len(&self, input: usize) -> usize {
        if self.taps == 0 {
            return input;
        }
        // The k-th output needs that position + k * down stays below (input + 1) * up.
        let reach = (input as u64 + 1) * u64::from(self.up);
        match reach.checked_sub(u64::from(self.position) + 1) {
            Some(room) => (room / u64::from(self.down)) as usize + 1,
            None => 0,
        }
    }

    /// What [`output_len`](Self::output_len) tells of a converter that has converted nothing yet.
    pub fn first_output_len(from: u32, to: u32, input: usize) -> usize {
        if !RATES.contains(&from) || !RATES.contains(&to) {
            return 0;
        }
        // The k-th output lies k * from / to after the first input sample.
        (input as u64 * u64::from(to)).div_ceil(u64::from(from)) as usize
    }

    /// How many samples of input the output lags behind.
    pub fn lag(&self) -> usize {
        self.taps / 2
    }

    /// Forgets the past, as if nothing had been converted yet.
    pub fn reset(&mut self) {
        self.window.fill(0);
        self.position = self.up;
    }

    /// Goes on in the midst of sound: what is to come is mirrored into the past, so that the lag at
    /// the beginning is no gap.
    pub(crate) fn prime(&mut self, upcoming: &[i16]) {
        let mirrored: Vec<i16> = upcoming.iter().take(self.lag()).rev().copied().collect();
        let mut dropped = vec![0; self.output_len(mirrored.len())];
        self.process(&mirrored, &mut dropped);
    }

    fn push(&mut self, sample: i16) {
        for place in [self.newest, self.newest + self.taps] {
            if let Some(old) = self.window.get_mut(place) {
                *old = sample;
            }
        }
        self.newest = (self.newest + 1) % self.taps;
    }

    fn interpolate(&self) -> i16 {
        let row = if self.rows == self.up {
            self.position
        } else {
            (u64::from(self.position) * u64::from(self.rows) / u64::from(self.up)) as u32
        };
        let row = row as usize * self.taps;
        let coefficients = &self.coefficients[row..row + self.taps];
        let window = &self.window[self.newest..self.newest + self.taps];
        let sum: i64 =
            coefficients.iter().zip(window).map(|(c, s)| i64::from(*c) * i64::from(*s)).sum();
        let rounded = (sum + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS;
        rounded.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
    }
}

/// Converts a piece of sound that is cut out of a longer one, without lag: as long afterwards as
/// before. Beyond its ends it is taken to be mirrored, so that it does not fade there. Nothing when one
/// of the rates is not from 4,000 to 192,000.
pub fn convert(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    let Some(mut resampler) = Resampler::new(from, to) else { return Vec::new() };
    resampler.prime(samples);
    let lag = resampler.lag();
    let after = samples.iter().rev().take(lag + 1);
    let input: Vec<i16> = samples.iter().chain(after).copied().collect();
    let surplus = Resampler::first_output_len(from, to, lag);
    let length = Resampler::first_output_len(from, to, samples.len());
    let mut converted = vec![0; surplus + length];
    resampler.process(&input, &mut converted);
    converted.drain(..surplus);
    converted
}

/// One row: the filter's values at the input samples around an output sample that lies `fraction`
/// after the middle one. They sum up to one exactly, so that a constant stays what it is.
fn append_row(all: &mut Vec<i32>, taps: usize, half: f64, cutoff: f64, fraction: f64) {
    let start = all.len();
    let middle = (taps / 2 - 1) as f64 + fraction;
    let values: Vec<f64> = (0..taps)
        .map(|tap| {
            let t = tap as f64 - middle;
            sinc(cutoff * t) * kaiser(t / half)
        })
        .collect();
    let sum: f64 = values.iter().sum();
    let one = f64::from(1 << FRACTION_BITS);
    all.extend(values.iter().map(|v| (v / sum * one + 0.5).floor() as i32));
    let rounded: i32 = all[start..].iter().sum();
    if let Some(largest) = all[start..].iter_mut().max() {
        *largest += (1 << FRACTION_BITS) - rounded;
    }
}

/// sin(pi x) / (pi x).
fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { sin_pi(x) / (core::f64::consts::PI * x) }
}

/// sin(pi x) by its series; std's sine is not the same on every machine.
fn sin_pi(x: f64) -> f64 {
    // To -0.5..=0.5, where the series converges fast.
    let nearest = (x + 0.5).floor();
    let sign = if nearest % 2.0 == 0.0 { 1.0 } else { -1.0 };
    let angle = (x - nearest) * core::f64::consts::PI;
    let (mut term, mut sum) = (angle, angle);
    let mut n = 1.0;
    while n < 21.0 {
        term *= -angle * angle / ((n + 1.0) * (n + 2.0));
        sum += term;
        n += 2.0;
    }
    sign * sum
}

/// The Kaiser window over -1..=1.
fn kaiser(x: f64) -> f64 {
    let inside = 1.0 - x * x;
    if inside <= 0.0 { 0.0 } else { bessel_i0(KAISER * inside.sqrt()) / bessel_i0(KAISER) }
}

/// The modified Bessel function of order zero.
fn bessel_i0(x: f64) -> f64 {
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while k < 30.0 {
        term *= (x / 2.0 / k) * (x / 2.0 / k);
        sum += term;
        k += 1.0;
    }
    sum
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::measure::{self, Tone};

    fn convert(from: u32, to: u32, input: &[i16], chunk: usize) -> Vec<i16> {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut output = Vec::new();
        let first = input.chunks(chunk).next().map_or(0, <[i16]>::len);
        assert_eq!(Resampler::first_output_len(from, to, first), resampler.output_len(first));
        for piece in input.chunks(chunk) {
            let expected = resampler.output_len(piece.len());
            let mut part = vec![0; expected + 5];
            let (read, written) = resampler.process(piece, &mut part);
            assert_eq!((read, written), (piece.len(), expected));
            output.extend(&part[..written]);
        }
        output
    }

    #[test]
    fn a_tone_keeps_frequency_and_level_at_every_rate() {
        for (from, to) in [
            (8_000, 16_000),
            (16_000, 8_000),
            (8_000, 24_000),
            (24_000, 8_000),
            (8_000, 44_100),
            (44_100, 8_000),
            (8_000, 48_000),
            (48_000, 8_000),
            (22_050, 8_000),
            (12_345, 8_000),
            (8_000, 12_345),
        ] {
            for frequency in [300, 1_000, 3_000, 3_300] {
                let input = Tone::new(from, frequency, 16_000).take(from as usize);
                let output = convert(from, to, &input, 441);
                let steady = &output[output.len() / 10..output.len() * 9 / 10];
                let change = measure::level_dbov(steady) - measure::level_dbov(&input);
                assert!(change.abs() < 0.3, "{from} to {to}: {frequency} Hz by {change} dB");
                let share = measure::share_at(steady, to, f64::from(frequency));
                assert!(share > 0.999_9, "{from} to {to}: {frequency} Hz is {share} pure");
            }
        }
    }

    /// What the lower rate cannot carry must not fold back into the band.
    #[test]
    fn what_is_above_the_band_is_gone() {
        for from in [16_000, 24_000, 44_100, 48_000] {
            for frequency in [4_500, 5_000, 7_000] {
                let input = Tone::new(from, frequency, 16_000).take(from as usize);
                let output = convert(from, 8_000, &input, 480);
                let level = measure::level_dbov(&output[800..7_000]);
                assert!(level < -70.0, "{from}: {frequency} Hz is left with {level} dBov");
            }
        }
        let input = Tone::new(8_000, 3_000, 16_000).take(8_000);
        let output = convert(8_000, 48_000, &input, 160);
        let image = measure::share_at(&output[4_000..40_000], 48_000, 5_000.0);
        assert!(image < 1e-6, "{image}");
    }

    #[test]
    fn the_size_of_the_pieces_makes_no_difference() {
        let input = measure::Noise::new(3, 20_000).take(10_000);
        for (from, to) in [(44_100, 8_000), (8_000, 44_100), (24_000, 8_000), (8_000, 8_000)] {
            let whole = convert(from, to, &input, input.len());
            for chunk in [1, 7, 160, 1_023] {
                assert!(convert(from, to, &input, chunk) == whole, "{from} to {to} by {chunk}");
            }
            let expected = input.len() as u64 * u64::from(to) / u64::from(from);
            assert!(whole.len().abs_diff(expected as usize) <= 1);
        }
    }

    #[test]
    fn full_scale_does_not_wrap_and_a_constant_stays() {
        let square: Vec<i16> =
            (0..4_800).map(|i| if i / 40 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let output = convert(48_000, 8_000, &square, 480);
        let level = measure::level_dbov(&output[100..700]);
        assert!((-3.0..0.1).contains(&level), "{level}");
        let constant = convert(8_000, 44_100, &[12_345; 800], 80);
        assert!(constant[1_000..4_000].iter().all(|s| *s == 12_345));
    }

    /// Not one bit may depend on the machine: the coefficients' sum over rows, weighted by place.
    #[test]
    fn the_coefficients_are_the_same_everywhere() {
        let resampler = Resampler::new(8_000, 48_000).unwrap();
        let hash = resampler.coefficients.iter().fold(0xCBF2_9CE4_8422_2325u64, |hash, c| {
            (hash ^ u64::from(*c as u32)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        assert_eq!(hash, COEFFICIENTS_8_TO_48);
    }

    /// FNV-1a over the coefficients from 8 to 48 kHz.
    const COEFFICIENTS_8_TO_48: u64 = 15_522_148_527_525_308_281;

    #[test]
    fn rates_out_of_range_are_refused() {
        for (from, to) in [(0, 8_000), (8_000, 0), (8_000, 3_999), (192_001, 8_000)] {
            assert!(Resampler::new(from, to).is_none());
        }
    }
}
