//! WAV files in: any bit depth and number of channels to 16-bit mono.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavReader};

use crate::error::Error;

/// A WAV file being read.
pub(crate) struct WavFile {
    path: PathBuf,
    reader: WavReader<BufReader<File>>,
}

/// What can be played, for people.
const PLAYABLE: &str = "only 8, 16, 24 and 32-bit PCM and 32-bit float can be played";

impl WavFile {
    /// Opens a PCM WAV of 8, 16, 24 or 32 bits, or 32-bit floating point.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read, [`Error::Wav`] when it cannot be played.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let wrong = |problem| Error::Wav { path: path.to_owned(), problem };
        let reader = WavReader::open(path).map_err(|error| read_error(path, error))?;
        let spec = reader.spec();
        if spec.channels == 0 || spec.sample_rate == 0 {
            return Err(wrong("the header says there is no sound in it"));
        }
        match (spec.sample_format, spec.bits_per_sample) {
            (SampleFormat::Int, 8 | 16 | 24 | 32) | (SampleFormat::Float, 32) => {}
            _ => return Err(wrong(PLAYABLE)),
        }
        Ok(Self { path: path.to_owned(), reader })
    }

    /// Samples a second.
    pub(crate) fn rate(&self) -> u32 {
        self.reader.spec().sample_rate
    }

    /// The next `count` samples, or as many as are left, all channels mixed into one.
    ///
    /// # Errors
    /// [`Error::File`] when the file is cut short or cannot be read.
    pub(crate) fn read(&mut self, count: usize) -> Result<Vec<i16>, Error> {
        let spec = self.reader.spec();
        let (channels, bits) = (usize::from(spec.channels), u32::from(spec.bits_per_sample));
        let to_16 = |s: i32| if bits < 16 { s << (16 - bits) } else { s >> (bits - 16) };
        let wanted = count.saturating_mul(channels);
        let samples: Result<Vec<i32>, _> = match spec.sample_format {
            SampleFormat::Float => {
                self.reader.samples::<f32>().take(wanted).map(|s| s.map(from_float)).collect()
            }
            SampleFormat::Int => {
                self.reader.samples::<i32>().take(wanted).map(|s| s.map(to_16)).collect()
            }
        };
        let samples = samples.map_err(|error| read_error(&self.path, error))?;
        Ok(samples.chunks(channels).map(mix).collect())
    }
}

/// Checks that a WAV file can be played, without playing it.
///
/// # Errors
/// [`Error::File`] when it cannot be read, [`Error::Wav`] when it cannot be played.
pub fn check(path: impl AsRef<Path>) -> Result<(), Error> {
    WavFile::open(path.as_ref()).map(drop)
}

/// A cast from float saturates, and makes 0 of what is no number.
fn from_float(sample: f32) -> i32 {
    i32::from((sample * 32_768.0) as i16)
}

fn mix(frame: &[i32]) -> i16 {
    let sum: i64 = frame.iter().map(|&sample| i64::from(sample)).sum();
    let mean = sum / i64::try_from(frame.len().max(1)).unwrap_or(1);
    i16::try_from(mean).unwrap_or(if mean < 0 { i16::MIN } else { i16::MAX })
}

fn read_error(path: &Path, error: hound::Error) -> Error {
    let path = path.to_owned();
    match error {
        hound::Error::IoError(error) => match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::File { path, problem: "there is no such file".into() }
            }
            _ => Error::File { path, problem: error.to_string() },
        },
        hound::Error::FormatError(_) => {
            Error::Wav { path, problem: "this is no WAV file, or it is damaged" }
        }
        _ => Error::Wav { path, problem: PLAYABLE },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::{WavSpec, WavWriter};

    fn write<S>(path: &Path, channels: u16, bits: u16, sample_format: SampleFormat, samples: &[S])
    where
        S: hound::Sample + Copy,
    {
        let spec = WavSpec { channels, sample_rate: 11_025, bits_per_sample: bits, sample_format };
        let mut writer = WavWriter::create(path, spec).unwrap();
        for &sample in samples {
            writer.write_sample(sample).unwrap();
        }
        writer.finalize().unwrap();
    }

    #[test]
    fn every_depth_gives_the_same_samples() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let expected = [0x0100, -0x0200, 0x7f00, -0x8000_i32];
        for (bits, shift) in [(8, -8), (16, 0), (24, 8), (32, 16)] {
            let scaled = expected.map(|s| if shift < 0 { s >> -shift } else { s << shift });
            write(&path, 1, bits, SampleFormat::Int, &scaled);
            let mut wav = WavFile::open(&path).unwrap();
            assert_eq!(wav.rate(), 11_025);
            assert_eq!(wav.read(3).unwrap(), [0x0100, -0x0200, 0x7f00], "{bits} bits");
            assert_eq!(wav.read(3).unwrap(), [-0x8000]);
            assert_eq!(wav.read(3).unwrap(), [0; 0]);
        }
        write(&path, 1, 32, SampleFormat::Float, &[0.5_f32, -1.0, 3.0, f32::NAN]);
        assert_eq!(WavFile::open(&path).unwrap().read(9).unwrap(), [16_384, -32_768, 32_767, 0]);
    }

    #[test]
    fn channels_are_mixed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let samples = [100_i16, 300, -32_768, -32_768, 32_767, 32_767];
        write(&path, 2, 16, SampleFormat::Int, &samples);
        assert_eq!(WavFile::open(&path).unwrap().read(9).unwrap(), [200, -32_768, 32_767]);
    }

    #[test]
    fn what_cannot_be_played_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let problem = |path: &Path| WavFile::open(path).err().map(|e| e.to_string()).unwrap();
        assert!(problem(&path).contains("no such file"));
        std::fs::write(&path, b"ID3 something else entirely, and long enough").unwrap();
        assert!(problem(&path).contains("no WAV file"));
        assert!(problem(&path).contains("a.wav"));
    }
}
