//! Makes a piece of speech shorter or longer by one period of itself, without changing its pitch.
//!
//! The piece that is dropped or repeated is as long as the lag at which the sound is most like
//! itself, and the seam is cross-faded; so a voice or a tone goes on in phase.

/// The lags that are tried, in parts of a second: 2.5 ms (400 Hz) to 12.5 ms (80 Hz).
const MIN_LAG: u32 = 400;
const MAX_LAG: u32 = 80;
/// The seam's length, and how much is compared: 7.5 ms.
const SEAM_PER_SECOND: (u32, u32) = (3, 400);
/// Quieter than this (mean square) nobody hears a seam: about -60 dBov.
const QUIET: i64 = 32 * 32;
/// How alike the two sides of a seam have to be, in 1/256 of the correlation.
const ALIKE: i64 = 230;

/// At which moment a change is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// Only where the sound is quiet.
    Quiet,
    /// Only where the sound is quiet or periodic.
    Inaudible,
    /// Now, at the best place there is.
    Now,
}

/// How many samples [`shrink`] and [`grow`] want to see at that rate.
pub(crate) fn needed(rate: u32) -> usize {
    (rate / MAX_LAG + seam(rate)) as usize
}

/// How many samples [`shrink`] and [`grow`] take away or add at most.
pub(crate) fn longest(rate: u32) -> usize {
    (rate / MAX_LAG) as usize
}

/// Drops one period at the beginning of `samples`; returns how many samples that were, or none.
pub(crate) fn shrink(samples: &mut Vec<i16>, rate: u32, moment: Moment) -> usize {
    let Some(lag) = best_lag(samples, rate, moment) else { return 0 };
    let seam = seam(rate) as usize;
    for i in 0..seam {
        let (Some(out), Some(into)) = (samples.get(i), samples.get(i + lag)) else { return 0 };
        let mixed = cross_fade(*out, *into, i, seam);
        samples[i + lag] = mixed;
    }
    samples.drain(..lag);
    lag
}

/// Repeats one period at the beginning of `samples`; returns how many samples were added, or none.
pub(crate) fn grow(samples: &mut Vec<i16>, rate: u32, moment: Moment) -> usize {
    let Some(lag) = best_lag(samples, rate, moment) else { return 0 };
    let seam = seam(rate) as usize;
    let old = samples.len();
    samples.resize(old + lag, 0);
    samples.copy_within(0..old, lag);
    // Now 0..lag is the period, and lag.. begins with it again; what followed it the first time
    // lies one period further.
    for i in 0..seam {
        let (Some(out), Some(into)) = (samples.get(i + 2 * lag), samples.get(i + lag)) else {
            break;
        };
        let mixed = cross_fade(*out, *into, i, seam);
        samples[i + lag] = mixed;
    }
    lag
}

fn seam(rate: u32) -> u32 {
    rate * SEAM_PER_SECOND.0 / SEAM_PER_SECOND.1
}

/// From `out` to `into` on the way through a seam.
pub(super) fn cross_fade(out: i16, into: i16, at: usize, length: usize) -> i16 {
    let (at, length) = (at as i64 * 2 + 1, length.max(1) as i64 * 2);
    ((i64::from(out) * (length - at) + i64::from(into) * at) / length) as i16
}

/// The lag at which the sound is most like itself, if a seam there would go unheard.
fn best_lag(samples: &[i16], rate: u32, moment: Moment) -> Option<usize> {
    let seam = seam(rate) as usize;
    let (min, max) = ((rate / MIN_LAG) as usize, (rate / MAX_LAG) as usize);
    let reference = samples.get(..seam)?;
    let seen = samples.get(..max + seam)?;
    let energy = |s: &[i16]| s.iter().map(|s| i64::from(*s) * i64::from(*s)).sum::<i64>();
    if energy(seen) < QUIET * seen.len() as i64 {
        return Some(max);
    }
    if moment == Moment::Quiet {
        return None;
    }
    let ours = energy(reference);
    let mut best = (max, i64::MIN);
    for lag in min..=max {
        let other = samples.get(lag..lag + seam)?;
        let product: i64 =
            reference.iter().zip(other).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
        // 2ab / (a² + b²): one only where both are alike in shape and in level.
        let likeness = 512 * product / (ours + energy(other)).max(1);
        if likeness > best.1 {
            best = (lag, likeness);
        }
    }
    (best.1 >= ALIKE || moment == Moment::Now).then_some(best.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::measure::{self, Noise, Tone};

    #[test]
    fn a_tone_gets_shorter_and_longer_without_a_flaw() {
        for frequency in [120, 440, 1_000] {
            let original = Tone::new(8_000, frequency, 10_000).take(2_000);
            let mut shorter = original.clone();
            let removed = shrink(&mut shorter, 8_000, Moment::Inaudible);
            assert!((20..=100).contains(&removed));
            assert_eq!(shorter.len(), original.len() - removed);
            let mut longer = original.clone();
            let added = grow(&mut longer, 8_000, Moment::Inaudible);
            assert!((20..=100).contains(&added));
            assert_eq!(longer.len(), original.len() + added);
            for changed in [shorter, longer] {
                let share = measure::share_at(&changed, 8_000, f64::from(frequency));
                assert!(share > 0.99, "{frequency} Hz: {share}");
                let largest =
                    changed.windows(2).map(|w| i32::from(w[0]).abs_diff(i32::from(w[1]))).max();
                let allowed =
                    original.windows(2).map(|w| i32::from(w[0]).abs_diff(i32::from(w[1]))).max();
                assert!(largest.unwrap() <= allowed.unwrap() * 5 / 4);
            }
        }
    }

    #[test]
    fn noise_is_left_alone_unless_it_is_urgent_or_quiet() {
        let mut noise = Noise::new(1, 10_000).take(500);
        assert_eq!(shrink(&mut noise, 8_000, Moment::Inaudible), 0);
        assert_eq!(grow(&mut noise, 8_000, Moment::Inaudible), 0);
        assert_eq!(noise.len(), 500);
        assert_ne!(shrink(&mut noise, 8_000, Moment::Now), 0);
        let mut quiet = Noise::new(1, 30).take(500);
        assert_ne!(grow(&mut quiet, 8_000, Moment::Inaudible), 0);
        assert_ne!(shrink(&mut quiet, 8_000, Moment::Quiet), 0);
        let mut tone = Tone::new(8_000, 440, 10_000).take(500);
        assert_eq!(shrink(&mut tone, 8_000, Moment::Quiet), 0);
    }

    #[test]
    fn too_little_is_left_alone() {
        for length in [0, 1, needed(8_000) - 1] {
            let mut samples = vec![0; length];
            assert_eq!(shrink(&mut samples, 8_000, Moment::Now), 0);
            assert_eq!(grow(&mut samples, 8_000, Moment::Now), 0);
        }
        let mut samples = vec![0; needed(8_000)];
        assert_ne!(shrink(&mut samples, 8_000, Moment::Now), 0);
    }
}
