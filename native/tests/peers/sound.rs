//! What is played and what was heard.

use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use offhook::core::codec::measure::{self, Tone};

/// The peak of every tone.
const PEAK: i16 = 8_000;

/// Writes a tone of `ms` milliseconds: mono, 8 kHz.
pub(crate) fn write_tone(file: &Path, frequency: u32, ms: usize) {
    let spec = WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut wav = WavWriter::create(file, spec).expect("a file");
    for sample in Tone::new(8_000, frequency, PEAK).take(8 * ms) {
        wav.write_sample(sample).expect("room on the disk");
    }
    wav.finalize().expect("room on the disk");
}

/// Panics unless a recording has at least `ms` milliseconds of that tone, at its level and in one piece
/// but for the packets that a busy machine may lose, a fifteenth of it.
#[track_caller]
pub(crate) fn assert_heard(file: &Path, frequency: u32, ms: usize) {
    let mut wav = WavReader::open(file).expect("a recording");
    assert_eq!((wav.spec().channels, wav.spec().sample_rate), (1, 8_000));
    let heard: Vec<i16> = wav.samples().map_while(Result::ok).collect();
    assert_tone(&heard, frequency, ms, &file.display().to_string());
}

#[track_caller]
fn assert_tone(heard: &[i16], frequency: u32, ms: usize, name: &str) {
    const LOUD: u16 = 500;
    const FRAME: usize = 80;
    let is_loud = |sample: &i16| sample.unsigned_abs() > LOUD;
    let first = heard.iter().position(is_loud);
    let first = first.unwrap_or_else(|| panic!("{name}: nothing in {} ms", heard.len() / 8));
    let last = heard.iter().rposition(is_loud).unwrap_or(first);
    let sound = &heard[first..=last];
    let frames: Vec<_> = sound.chunks(FRAME).collect();
    let (loud, silent): (Vec<&[i16]>, Vec<_>) =
        frames.into_iter().partition(|frame| frame.iter().any(is_loud));
    let (loud_ms, silent_ms) = (loud.len() * 10, silent.len() * 10);
    assert!(loud_ms >= ms, "{name}: {loud_ms} ms of sound, not {ms}");
    assert!(
        silent_ms * 15 <= loud_ms,
        "{name}: {silent_ms} ms of silence in {loud_ms} ms of sound"
    );
    let middle = &sound[sound.len() / 4..];
    let measured = measure::dominant_frequency(middle, 8_000);
    assert!(
        (measured - f64::from(frequency)).abs() < 5.0,
        "{name}: {measured} Hz, not {frequency}"
    );
    let loud = loud.concat();
    let level = measure::level_dbov(&loud);
    let expected = measure::level_dbov(&Tone::new(8_000, frequency, PEAK).take(4_000));
    assert!((level - expected).abs() < 1.5, "{name}: {level} dBov, not {expected}");
}
