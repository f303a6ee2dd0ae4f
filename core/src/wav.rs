//! WAV files, read piece by piece: every format that telephones and studios write, to 16-bit mono.
//!
//! The container is RIFF ("Multimedia Programming Interface and Data Specifications 1.0"), the codings are
//! those of RFC 2361, with `WAVE_FORMAT_EXTENSIBLE` around them or not. No length in the file is believed.

mod format;

pub use format::{Coding, WavFormat};

use crate::time::Duration;

/// Reads a WAV file whose bytes come piece by piece. Keeps the head of a chunk or a part of a frame, and
/// nothing else.
///
/// ```
/// # let file: &[u8] = &[
/// #     b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0".as_slice(),
/// #     b"data\x02\0\0\0\x07\0".as_slice()].concat();
/// let (mut wav, mut samples) = (offhook_core::wav::WavReader::new(), Vec::new());
/// for piece in file.chunks(10) {
///     wav.handle_bytes(piece, &mut samples)?;
/// }
/// wav.handle_end()?;
/// assert_eq!((wav.format().unwrap().rate, samples.as_slice()), (8_000, [7].as_slice()));
/// # Ok::<_, offhook_core::wav::WavError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct WavReader {
    state: State,
    /// What has come of a head, a format or a frame.
    partial: Vec<u8>,
    format: Option<WavFormat>,
}

/// ```text
///   Riff ─► Chunk ─► Format, Other ─► Chunk ...
///             └────► Sound ─► Over
/// ```
#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// The first twelve bytes.
    #[default]
    Riff,
    /// The eight bytes before a chunk.
    Chunk,
    /// The format, in a chunk of that length.
    Format(u32),
    /// Something else, of which so many bytes are left.
    Other(u64),
    /// The sound, of which so many bytes are left; as many as come, where the file does not say.
    Sound(Option<u64>),
    /// What comes after the sound.
    Over,
}

/// A file that ends before its sound does; what there is can be played.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it is cut short: of {} s of sound that its header tells, the last {} s are missing",
    seconds(*.whole), seconds(*.missing))]
#[non_exhaustive]
pub struct CutShort {
    /// How much sound the header tells.
    pub whole: Duration,
    /// How much of it is missing.
    pub missing: Duration,
}

/// Why a file cannot be read as WAV.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// It begins otherwise.
    #[error("this is no WAV file: convert it (`ffmpeg -i FILE out.wav`)")]
    NotWav,
    /// Its parts contradict each other.
    #[error("this WAV file is damaged: {problem}")]
    Damaged {
        /// What is wrong.
        problem: &'static str,
    },
    /// Its sound is coded as nothing here decodes.
    #[error(
        "its sound is {bits}-bit {}, which cannot be played: convert it (`ffmpeg -i FILE -c:a pcm_s16le out.wav`)",
        format::coding_name(*tag)
    )]
    Coding {
        /// The number of the coding (RFC 2361).
        tag: u16,
        /// The bits that a sample has, by the header.
        bits: u16,
    },
    /// It has more channels than are mixed here, or none.
    #[error("its header tells {channels} channels: from 1 to 64 can be played")]
    Channels {
        /// How many.
        channels: u16,
    },
    /// No sound has that many samples a second.
    #[error("its header tells {rate} samples a second: from 1,000 to 384,000 can be played")]
    Rate {
        /// How many.
        rate: u32,
    },
}

impl WavError {
    /// The name for programs, the same for each of them.
    pub const CODE: &'static str = "wav";

    const fn damaged(problem: &'static str) -> Self {
        Self::Damaged { problem }
    }
}

impl WavReader {
    /// One that waits for the first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// What kind of sound it is, once the sound begins.
    pub fn format(&self) -> Option<WavFormat> {
        self.format.filter(|_| matches!(self.state, State::Sound(_) | State::Over))
    }

    /// Takes the next bytes of the file, and appends the samples in them, all channels mixed into one.
    ///
    /// # Errors
    /// Why it cannot be read; then nothing more of it can.
    pub fn handle_bytes(
        &mut self,
        mut bytes: &[u8],
        samples: &mut Vec<i16>,
    ) -> Result<(), WavError> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Riff => self.riff(bytes)?,
                State::Chunk => self.chunk(bytes)?,
                State::Format(length) => self.describe(bytes, length)?,
                State::Other(left) => self.pass_over(bytes, left),
                State::Sound(left) => self.sound(bytes, left, samples),
                State::Over => return Ok(()),
            };
        }
        Ok(())
    }

    /// The file has ended. A part of a last frame is left out.
    ///
    /// # Errors
    /// That there was no sound in it.
    pub fn handle_end(&self) -> Result<Option<CutShort>, WavError> {
        match self.state {
            State::Riff => Err(WavError::NotWav),
            State::Sound(_) | State::Over => Ok(self.cut_short(0)),
            _ => Err(WavError::damaged("it ends before its sound begins")),
        }
    }

    /// What is missing if `more` bytes follow those that have come. Nothing is where the header does not
    /// tell how much sound there is, as when a program has written it to a pipe.
    pub fn cut_short(&self, more: u64) -> Option<CutShort> {
        let (State::Sound(Some(left)), Some(format)) = (self.state, self.format) else {
            return None;
        };
        let missing = left.saturating_sub(more);
        let whole = format.duration(format.declared);
        (missing > 0).then(|| CutShort { whole, missing: format.duration(missing) })
    }

    fn riff<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], WavError> {
        let (whole, rest) = self.gather(bytes, 12);
        let head = &self.partial;
        let begins = |at: usize, with: &[u8; 4]| {
            head.get(at..).unwrap_or_default().iter().zip(with).all(|(a, b)| a == b)
        };
        if !begins(0, b"RIFF") || !begins(8, b"WAVE") {
            return Err(WavError::NotWav);
        }
        if whole {
            self.enter(State::Chunk);
        }
        Ok(rest)
    }

    fn chunk<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], WavError> {
        /// From here on it is what programs write that do not know: sox, arecord and ffmpeg differ.
        const UNKNOWN: u32 = 0x7fff_f000;
        let (whole, rest) = self.gather(bytes, 8);
        if !whole {
            return Ok(rest);
        }
        let (name, length) = self.partial.split_at(4);
        let length = length.try_into().map_or(0, u32::from_le_bytes);
        let state = match (name, &mut self.format) {
            (b"fmt ", _) => State::Format(length),
            (b"data", None) => return Err(WavError::damaged("its sound comes before its format")),
            (b"data", Some(_)) if length == 0 || length >= UNKNOWN => State::Sound(None),
            (b"data", Some(format)) => {
                format.declared = length.into();
                State::Sound(Some(length.into()))
            }
            _ => State::Other(even(length)),
        };
        self.enter(state);
        Ok(rest)
    }

    fn describe<'a>(&mut self, bytes: &'a [u8], length: u32) -> Result<&'a [u8], WavError> {
        let wanted = WavFormat::LONGEST.min(length as usize);
        let (whole, rest) = self.gather(bytes, wanted);
        if whole {
            self.format = Some(WavFormat::parse(&self.partial)?);
            self.enter(State::Other(even(length) - wanted as u64));
        }
        Ok(rest)
    }

    fn pass_over<'a>(&mut self, bytes: &'a [u8], left: u64) -> &'a [u8] {
        let (_, rest, left) = split(bytes, left);
        self.enter(if left == 0 { State::Chunk } else { State::Other(left) });
        rest
    }

    fn sound<'a>(
        &mut self,
        bytes: &'a [u8],
        left: Option<u64>,
        samples: &mut Vec<i16>,
    ) -> &'a [u8] {
        let (sound, rest, left) = match left {
            None => (bytes, [].as_slice(), None),
            Some(left) => {
                let (sound, rest, left) = split(bytes, left);
                (sound, rest, Some(left))
            }
        };
        self.decode(sound, samples);
        self.state = if left == Some(0) { State::Over } else { State::Sound(left) };
        rest
    }

    /// Appends the samples of the frames that are whole now, and keeps the rest.
    fn decode(&mut self, mut sound: &[u8], samples: &mut Vec<i16>) {
        let Some(format) = self.format else { return };
        let length = format.frame();
        if !self.partial.is_empty() {
            let (whole, rest) = self.gather(sound, length);
            sound = rest;
            if !whole {
                return;
            }
            samples.push(format.mix(&self.partial));
            self.partial.clear();
        }
        let frames = sound.chunks_exact(length);
        self.partial.extend_from_slice(frames.remainder());
        samples.extend(frames.map(|frame| format.mix(frame)));
    }

    /// Adds to what is kept until it is `count` bytes; whether it is, and what is left over.
    fn gather<'a>(&mut self, bytes: &'a [u8], count: usize) -> (bool, &'a [u8]) {
        let wanted = count.saturating_sub(self.partial.len());
        let (taken, rest) = bytes.split_at(wanted.min(bytes.len()));
        self.partial.extend_from_slice(taken);
        (self.partial.len() >= count, rest)
    }

    fn enter(&mut self, state: State) {
        self.partial.clear();
        self.state = state;
    }
}

/// Reads a whole file: its format, its samples, and what is missing of them.
///
/// # Errors
/// Why it cannot be read.
pub fn read(file: &[u8]) -> Result<(WavFormat, Vec<i16>, Option<CutShort>), WavError> {
    let (mut reader, mut samples) = (WavReader::new(), Vec::new());
    reader.handle_bytes(file, &mut samples)?;
    let cut_short = reader.handle_end()?;
    let format = reader.format.ok_or(WavError::NotWav)?;
    Ok((format, samples, cut_short))
}

/// A chunk's length with the byte that makes it even.
fn even(length: u32) -> u64 {
    u64::from(length).next_multiple_of(2)
}

/// The part of `bytes` that is among the `left` ones, the others, and how many are left then.
fn split(bytes: &[u8], left: u64) -> (&[u8], &[u8], u64) {
    let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    let (taken, rest) = bytes.split_at(count);
    (taken, rest, left - count as u64)
}

fn seconds(duration: Duration) -> String {
    let tenths = duration.as_millis().div_ceil(100);
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests;
