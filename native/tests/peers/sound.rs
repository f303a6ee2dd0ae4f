//! What is played and what was heard.

use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use offhook::core::codec::measure::{self, Tone};

/// The peak of every tone.
const PEAK: i16 = 8_000;

/// Writes a tone of `ms` milliseconds: mono, 8 kHz.
pub(crate) fn write_tone(file: &Path, frequency: u32, ms: usize) {
    write_tone_at(file, 8_000, frequency, ms);
}

/// The same at another rate.
pub(crate) fn write_tone_at(file: &Path, rate: u32, frequency: u32, ms: usize) {
    let spec = WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut wav = WavWriter::create(file, spec).expect("a file");
    for sample in Tone::new(rate, frequency, PEAK).take(rate as usize / 1_000 * ms) {
        wav.write_sample(sample).expect("room on the disk");
    }
    wav.finalize().expect("room on the disk");
}

/// Checks that a recording has at least `ms` milliseconds of that tone, at its level and in one piece.
///
/// # Errors
/// What is wrong with it: to be played again where [the machine has stalled](offhook_tests::stall).
pub(crate) fn check_heard(file: &Path, frequency: u32, ms: usize) -> Result<(), String> {
    check_heard_at(file, 8_000, frequency, ms)
}

/// The same of a recording of another rate.
#[track_caller]
pub(crate) fn check_heard_at(
    file: &Path,
    rate: u32,
    frequency: u32,
    ms: usize,
) -> Result<(), String> {
    let mut wav = WavReader::open(file).expect("a recording");
    assert_eq!((wav.spec().channels, wav.spec().sample_rate), (1, rate));
    let heard: Vec<i16> = wav.samples().map_while(Result::ok).collect();
    let checked = check_tone(&heard, rate, frequency, ms);
    checked.map_err(|spoilt| format!("{}: {spoilt}", file.display()))
}

fn check_tone(heard: &[i16], rate: u32, frequency: u32, ms: usize) -> Result<(), String> {
    let is_loud = |sample: &i16| sample.unsigned_abs() > 500;
    let first = heard.iter().position(is_loud).ok_or("nothing is heard")?;
    let last = heard.iter().rposition(is_loud).unwrap_or(first);
    let sound = &heard[first..=last];
    let length = sound.len() * 1_000 / rate as usize;
    if length < ms {
        return Err(format!("{length} ms of sound, not {ms}"));
    }
    let gap = measure::longest_gap(sound, rate, -40.0);
    if gap.as_millis() >= 10 {
        return Err(format!("a gap of {gap:?} in {length} ms of sound"));
    }
    let measured = measure::dominant_frequency(&sound[sound.len() / 4..], rate);
    if (measured - f64::from(frequency)).abs() >= 5.0 {
        return Err(format!("{measured} Hz, not {frequency}"));
    }
    let level = measure::level_dbov(sound);
    let expected = measure::level_dbov(&Tone::new(rate, frequency, PEAK).take(rate as usize / 2));
    if (level - expected).abs() >= 1.5 {
        return Err(format!("{level} dBov, not {expected}"));
    }
    Ok(())
}

#[test]
fn a_lost_packet_is_found() {
    let mut heard = Tone::new(8_000, 1_000, PEAK).take(12_000);
    assert_eq!(check_tone(&heard, 8_000, 1_000, 1_400), Ok(()));
    heard[4_000..4_160].fill(0);
    assert!(check_tone(&heard, 8_000, 1_000, 1_400).unwrap_err().contains("a gap of"));
}
