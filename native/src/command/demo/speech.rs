//! What the demo says, and whether that is what came through.

use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use offhook::core::codec::measure::{Tone, dominant_frequency, level_dbov, longest_gap};

/// Notes without a pause between them: each shows that its part of the sound came through, at its
/// pitch and loudness, and a pause anywhere is one that the call made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Melody {
    /// Their pitches, in Hz.
    notes: &'static [u32],
    /// How long each sounds, in milliseconds.
    note_ms: usize,
    /// The peak of each.
    amplitude: i16,
}

/// What the caller says.
pub(super) const SPEECH: Melody =
    Melody { notes: &[523, 659, 784, 1_047, 880, 698, 587, 1_319], note_ms: 250, amplitude: 8_000 };
/// What the menu answers with.
pub(super) const CHIME: Melody = Melody { notes: &[440, 554], note_ms: 125, amplitude: 4_000 };

/// How far a note may be off, as a share of its pitch, and in decibels.
const PITCH_TOLERANCE: f64 = 0.02;
const LEVEL_TOLERANCE: f64 = 1.5;
/// The longest pause that may be heard, in milliseconds: half a packet.
const PAUSE_MS: u64 = 10;
/// What is quieter than this is silence.
const SILENCE_DBOV: f64 = -40.0;

/// Writes `samples` as a mono WAV.
pub(super) fn write(path: &Path, rate: u32, samples: &[i16]) -> Result<(), hound::Error> {
    let spec = WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut writer = WavWriter::create(path, spec)?;
    for &sample in samples {
        writer.write_sample(sample)?;
    }
    writer.finalize()
}

/// Reads a mono WAV.
pub(super) fn read(path: &Path) -> Result<(u32, Vec<i16>), hound::Error> {
    let mut reader = WavReader::open(path)?;
    let rate = reader.spec().sample_rate;
    let samples = reader.samples().collect::<Result<_, _>>()?;
    Ok((rate, samples))
}

/// What was measured of a melody that came through.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Measured {
    /// The level of the whole, in dBov.
    pub(super) level: f64,
    /// By how much the worst note is off, as a share of its pitch.
    pub(super) pitch_error: f64,
    /// The longest pause, in milliseconds.
    pub(super) pause_ms: f64,
}

impl Melody {
    /// Its samples, at `rate` a second.
    pub(super) fn samples(&self, rate: u32) -> Vec<i16> {
        let tone = |&note| Tone::new(rate, note, self.amplitude).take(self.note_samples(rate));
        self.notes.iter().flat_map(tone).collect()
    }

    fn note_samples(&self, rate: u32) -> usize {
        rate as usize * self.note_ms / 1_000
    }

    /// Measures where it was heard last.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn check(&self, heard: &[i16], rate: u32) -> Result<Measured, String> {
        let note = self.note_samples(rate);
        let limit = threshold(SILENCE_DBOV);
        let last = heard.iter().rposition(|sample| sample.unsigned_abs() > limit);
        let end = last.ok_or("nothing was heard at all")? + 1;
        let melody = end
            .checked_sub(self.notes.len() * note)
            .and_then(|start| heard.get(start..end))
            .ok_or("only part of it was heard")?;
        let expected = level_dbov(&Tone::new(rate, 1_000, self.amplitude).take(rate as usize));
        let mut pitch_error = 0_f64;
        for (&pitch, part) in self.notes.iter().zip(melody.chunks(note)) {
            // The edges belong to the neighbours when the jitter buffer has moved a little.
            let middle = part.get(note / 4..note * 3 / 4).unwrap_or(part);
            let (frequency, level) = (dominant_frequency(middle, rate), level_dbov(middle));
            let pitch = f64::from(pitch);
            let error = (frequency - pitch).abs() / pitch;
            if error > PITCH_TOLERANCE {
                return Err(format!("a note of {pitch} Hz was heard as {frequency:.0} Hz"));
            }
            if (level - expected).abs() > LEVEL_TOLERANCE {
                return Err(format!("a note of {expected:.1} dBov was heard at {level:.1} dBov"));
            }
            pitch_error = pitch_error.max(error);
        }
        let pause = longest_gap(melody, rate, SILENCE_DBOV).as_micros();
        if pause > PAUSE_MS * 1_000 {
            return Err(format!("there is a pause of {} ms in it", pause / 1_000));
        }
        Ok(Measured { level: level_dbov(melody), pitch_error, pause_ms: pause as f64 / 1_000.0 })
    }
}

/// The peak of a sine of that level.
fn threshold(dbov: f64) -> u16 {
    (32_768.0 * std::f64::consts::SQRT_2 * 10_f64.powf(dbov / 20.0)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard() -> Vec<i16> {
        let mut heard = vec![3; 4_000];
        heard.extend(SPEECH.samples(8_000));
        heard.extend([0; 2_000]);
        heard
    }

    #[test]
    fn the_speech_itself_passes() {
        let measured = SPEECH.check(&heard(), 8_000).unwrap();
        assert!(measured.pitch_error < 0.01 && measured.pause_ms < 2.0, "{measured:?}");
        SPEECH.check(&SPEECH.samples(16_000), 16_000).unwrap();
        CHIME.check(&CHIME.samples(8_000), 8_000).unwrap();
    }

    #[test]
    fn what_the_call_spoils_is_found() {
        let problem = |spoil: fn(&mut Vec<i16>)| {
            let mut heard = heard();
            spoil(&mut heard);
            SPEECH.check(&heard, 8_000).unwrap_err()
        };
        assert!(problem(|heard| heard.fill(0)).contains("nothing"));
        assert!(problem(|heard| heard.truncate(17_000)).contains("Hz"));
        assert!(problem(|heard| drop(heard.drain(..7_000))).contains("part"));
        assert!(problem(|heard| heard[9_800..9_900].fill(0)).contains("pause"));
        assert!(problem(|heard| heard.iter_mut().for_each(|s| *s /= 2)).contains("dBov"));
        assert!(problem(|heard| drop(heard.drain(8_000..9_000))).contains("dBov"));
    }
}
