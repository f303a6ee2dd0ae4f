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

/// Panics unless a recording has at least `ms` milliseconds of that tone, at its level, and in few
/// pieces: a machine that is busy for a moment leaves out what was due then, whereas packets that are lost
/// on the way leave many gaps.
#[track_caller]
pub(crate) fn assert_heard(file: &Path, frequency: u32, ms: usize) {
    assert_heard_at(file, 8_000, frequency, ms);
}

/// The same of a recording of another rate.
#[track_caller]
pub(crate) fn assert_heard_at(file: &Path, rate: u32, frequency: u32, ms: usize) {
    let mut wav = WavReader::open(file).expect("a recording");
    assert_eq!((wav.spec().channels, wav.spec().sample_rate), (1, rate));
    let heard: Vec<i16> = wav.samples().map_while(Result::ok).collect();
    assert_tone(&heard, rate, frequency, ms, &file.display().to_string());
}

#[track_caller]
fn assert_tone(heard: &[i16], rate: u32, frequency: u32, ms: usize, name: &str) {
    const LOUD: u16 = 500;
    let per_ms = rate as usize / 1_000;
    let is_loud = |sample: &i16| sample.unsigned_abs() > LOUD;
    let first = heard.iter().position(is_loud);
    let first = first.unwrap_or_else(|| panic!("{name}: nothing in {} ms", heard.len() / per_ms));
    let last = heard.iter().rposition(is_loud).unwrap_or(first);
    let sound = &heard[first..=last];
    let frames: Vec<_> = sound.chunks(10 * per_ms).collect();
    let is_silent = |frame: &&[i16]| !frame.iter().any(is_loud);
    let begins = |pair: &&[&[i16]]| !is_silent(&pair[0]) && is_silent(&pair[1]);
    let gaps = frames.windows(2).filter(begins).count();
    let (silent, loud): (Vec<&[i16]>, Vec<_>) = frames.into_iter().partition(is_silent);
    let (loud_ms, silent_ms) = (loud.len() * 10, silent.len() * 10);
    let told = format!("{name}: {loud_ms} ms of sound, {silent_ms} ms of silence in {gaps} gaps");
    assert!(loud_ms + silent_ms >= ms, "{told}, not {ms}");
    assert!(silent_ms * 4 <= loud_ms && gaps <= 1 + loud_ms / 500, "{told}");
    let middle = &sound[sound.len() / 4..];
    let measured = measure::dominant_frequency(middle, rate);
    assert!(
        (measured - f64::from(frequency)).abs() < 5.0,
        "{name}: {measured} Hz, not {frequency}"
    );
    let loud = loud.concat();
    let level = measure::level_dbov(&loud);
    let expected = measure::level_dbov(&Tone::new(rate, frequency, PEAK).take(500 * per_ms));
    assert!((level - expected).abs() < 1.5, "{name}: {level} dBov, not {expected}");
}

/// A second and a half of a tone in packets of 20 ms, without those that `lost` says.
fn torn(lost: impl Fn(usize) -> bool) -> Vec<i16> {
    let tone = Tone::new(8_000, 1_000, PEAK).take(12_000);
    let packets = tone.chunks(160).enumerate();
    let packet = |(number, packet): (usize, &[i16])| match lost(number) {
        true => vec![0; packet.len()],
        false => packet.to_vec(),
    };
    packets.flat_map(packet).collect()
}

#[test]
fn a_machine_that_was_busy_is_forgiven() {
    assert_tone(&torn(|number| (20..30).contains(&number)), 8_000, 1_000, 1_400, "a stall");
}

#[test]
#[should_panic(expected = "ms of silence in 7 gaps")]
fn lost_packets_are_not_forgiven() {
    assert_tone(&torn(|number| number % 10 == 5), 8_000, 1_000, 1_400, "a packet in ten");
}
