//! WAV files in: from the disk to the reader of the core.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use offhook_core::wav::{CutShort, WavError, WavFormat, WavReader};

use crate::error::{Error, io_problem};

/// A WAV file being read.
pub(crate) struct WavFile {
    path: PathBuf,
    file: File,
    reader: WavReader,
    format: WavFormat,
    /// What was read and not taken yet.
    ready: Vec<i16>,
}

/// How many bytes are read at once.
const PIECE: usize = 32 * 1024;

impl WavFile {
    /// Opens a WAV, and reads to where its sound begins.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read, [`Error::Wav`] when it cannot be played.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut file = File::open(path).map_err(|error| read_error(path, &error))?;
        let (mut reader, mut ready) = (WavReader::new(), Vec::new());
        loop {
            let more = read(path, &mut file, &mut reader, &mut ready)?;
            if let Some(format) = reader.format() {
                return Ok(Self { path: path.to_owned(), file, reader, format, ready });
            }
            if !more {
                // It has no sound, and this says so.
                let missing = reader.handle_end().err().unwrap_or(WavError::NotWav);
                return Err(wav_error(path, missing));
            }
        }
    }

    /// Samples a second.
    pub(crate) fn rate(&self) -> u32 {
        self.format.rate
    }

    /// The next `count` samples, or as many as are left, all channels mixed into one.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be read.
    pub(crate) fn read(&mut self, count: usize) -> Result<Vec<i16>, Error> {
        while self.ready.len() < count
            && read(&self.path, &mut self.file, &mut self.reader, &mut self.ready)?
        {}
        let rest = self.ready.split_off(count.min(self.ready.len()));
        Ok(std::mem::replace(&mut self.ready, rest))
    }
}

/// Checks that a WAV file can be played, without playing it; says what is missing where it is cut short,
/// which [`Call::play`](crate::Call::play) plays as far as it goes.
///
/// # Errors
/// [`Error::File`] when it cannot be read, [`Error::Wav`] when it cannot be played.
pub fn check(path: impl AsRef<Path>) -> Result<Option<CutShort>, Error> {
    let path = path.as_ref();
    let mut wav = WavFile::open(path)?;
    let length = wav.file.metadata().map_err(|error| read_error(path, &error))?.len();
    let read =
        io::Seek::stream_position(&mut wav.file).map_err(|error| read_error(path, &error))?;
    Ok(wav.reader.cut_short(length.saturating_sub(read)))
}

/// Reads a piece; false at the end.
fn read(
    path: &Path,
    file: &mut File,
    reader: &mut WavReader,
    ready: &mut Vec<i16>,
) -> Result<bool, Error> {
    let mut piece = [0; PIECE];
    let count = loop {
        match file.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read.map_err(|error| read_error(path, &error))?,
        }
    };
    let bytes = piece.get(..count).unwrap_or_default();
    reader.handle_bytes(bytes, ready).map_err(|error| wav_error(path, error))?;
    Ok(count > 0)
}

fn wav_error(path: &Path, problem: WavError) -> Error {
    Error::Wav { path: path.to_owned(), problem }
}

fn read_error(path: &Path, error: &io::Error) -> Error {
    let problem = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        _ => format!("cannot read it: {}", io_problem(error)),
    };
    Error::File { path: path.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::{SampleFormat, WavSpec, WavWriter};

    #[test]
    fn a_file_is_read_in_turns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let spec = WavSpec {
            channels: 1,
            sample_rate: 11_025,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = WavWriter::create(&path, spec).unwrap();
        let samples: Vec<i16> = (0..30_000).collect();
        samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
        writer.finalize().unwrap();
        let mut wav = WavFile::open(&path).unwrap();
        assert_eq!(wav.rate(), 11_025);
        for (count, expected) in
            [(25_000, &samples[..25_000]), (9_000, &samples[25_000..]), (9_000, &[])]
        {
            assert_eq!(wav.read(count).unwrap(), expected);
        }
        assert_eq!(check(&path).unwrap(), None);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(check(&path).unwrap().is_some());
        assert_eq!(WavFile::open(&path).unwrap().read(40_000).unwrap(), samples[..14_989]);
    }

    #[test]
    fn what_cannot_be_played_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let problem = |path: &Path| WavFile::open(path).err().map(|e| e.to_string()).unwrap();
        assert!(problem(&path).contains("no such file"));
        assert!(problem(dir.path()).contains("cannot read it"));
        std::fs::write(&path, b"ID3 something else entirely, and long enough").unwrap();
        assert!(problem(&path).contains("no WAV file"));
        assert!(problem(&path).contains("a.wav"));
        std::fs::write(&path, b"RIFF\0\0\0\0WAVE").unwrap();
        assert!(problem(&path).contains("before its sound begins"));
    }
}
