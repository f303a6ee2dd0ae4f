//! Recordings: a thread a file, so that a slow disk never delays a packet.

use std::fmt::Display;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

use hound::{SampleFormat, WavSpec, WavWriter};
use tokio::sync::watch;

use crate::error::{Error, io_problem};

/// What a recording keeps of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    /// Left what was sent, right what was heard.
    Both,
    /// What was heard.
    Received,
}

/// A recording that runs. It ends with its call, or with [`stop`](Self::stop); dropping this does
/// not end it.
#[derive(Clone, Debug)]
pub struct Recording {
    number: u64,
    taps: Weak<Taps>,
    result: watch::Receiver<Option<Result<(), Error>>>,
}

impl Recording {
    /// Ends the recording now and waits until its file is complete.
    ///
    /// # Errors
    /// [`Error::File`] when it could not be written.
    pub async fn stop(mut self) -> Result<(), Error> {
        if let Some(taps) = self.taps.upgrade() {
            taps.lock().open.retain(|(number, _)| *number != self.number);
        }
        self.finished().await
    }

    /// Waits until the recording has ended and its file is complete. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::File`] when it could not be written.
    pub async fn finished(&mut self) -> Result<(), Error> {
        match self.result.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or(Ok(())),
            Err(_) => Ok(()),
        }
    }
}

/// The recordings of one call.
#[derive(Debug, Default)]
pub(crate) struct Taps {
    inner: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    closed: bool,
    open: Vec<(u64, SyncSender<Chunk>)>,
}

/// A piece of a call.
#[derive(Clone, Debug)]
struct Chunk {
    /// Samples a second, the same for all pieces of a call.
    rate: u32,
    /// What was sent and what was heard.
    pairs: Arc<[[i16; 2]]>,
}

impl Taps {
    /// How many pieces may wait for the disk; one is a packet's worth of sound.
    const WAITING: usize = 4_096;

    /// Begins a recording. What is already there is overwritten.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be made.
    pub(crate) fn record(self: &Arc<Self>, path: &Path, kept: Kept) -> Result<Recording, Error> {
        let path = path.to_owned();
        let file = File::create(&path).map_err(|error| write_error(&path, &error))?;
        let (tap, chunks) = sync_channel(Self::WAITING);
        let (sender, result) = watch::channel(None);
        let at = path.clone();
        let work = move || {
            let done = write(file, kept, &chunks);
            sender.send_replace(Some(done.map_err(|error| write_error(&path, &error))));
        };
        thread::Builder::new()
            .name("offhook-recording".into())
            .spawn(work)
            .map_err(|error| Error::File { path: at, problem: io_problem(&error) })?;
        let mut inner = self.lock();
        inner.last += 1;
        let number = inner.last;
        if !inner.closed {
            inner.open.push((number, tap));
        }
        Ok(Recording { number, taps: Arc::downgrade(self), result })
    }

    /// Gives every recording a piece of `rate` samples a second; one whose disk is too slow by far
    /// loses it.
    pub(crate) fn send(&self, rate: u32, pairs: &[[i16; 2]]) {
        let inner = self.lock();
        if inner.open.is_empty() || pairs.is_empty() {
            return;
        }
        let chunk = Chunk { rate, pairs: pairs.into() };
        for (_, tap) in &inner.open {
            let _ = tap.try_send(chunk.clone());
        }
    }

    /// Ends every recording.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.open.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file's head tells the rate, which is known with the first piece.
fn write(file: File, kept: Kept, chunks: &Receiver<Chunk>) -> Result<(), hound::Error> {
    /// The rate of a file without sound.
    const SILENT_RATE: u32 = 8_000;
    let mut chunk = chunks.recv().ok();
    let spec = WavSpec {
        channels: if kept == Kept::Both { 2 } else { 1 },
        sample_rate: chunk.as_ref().map_or(SILENT_RATE, |chunk| chunk.rate),
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut writer = WavWriter::new(BufWriter::new(file), spec)?;
    // When the process is killed a second is lost.
    let mut unsaved = 0;
    while let Some(Chunk { rate, pairs }) = chunk {
        for &[sent, heard] in pairs.iter() {
            if kept == Kept::Both {
                writer.write_sample(sent)?;
            }
            writer.write_sample(heard)?;
        }
        unsaved += pairs.len();
        if unsaved >= rate as usize {
            unsaved = 0;
            writer.flush()?;
        }
        chunk = chunks.recv().ok();
    }
    writer.finalize()
}

fn write_error(path: &Path, error: &dyn Display) -> Error {
    Error::File {
        path: path.to_owned(),
        problem: format!("cannot write it: {}", io_problem(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::WavReader;

    #[tokio::test]
    async fn both_ways_and_one_way_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (both, heard) = (dir.path().join("both.wav"), dir.path().join("heard.wav"));
        let taps = Arc::new(Taps::default());
        let mut a = taps.record(&both, Kept::Both).unwrap();
        let b = taps.record(&heard, Kept::Received).unwrap();
        taps.send(8_000, &[[1, -1], [2, -2]]);
        b.stop().await.unwrap();
        taps.send(8_000, &[[3, -3]]);
        taps.close();
        a.finished().await.unwrap();
        let read = |path| WavReader::open(path).unwrap().into_samples::<i16>().map(Result::unwrap);
        assert_eq!(read(&both).collect::<Vec<_>>(), [1, -1, 2, -2, 3, -3]);
        assert_eq!(read(&heard).collect::<Vec<_>>(), [-1, -2]);
    }

    #[tokio::test]
    async fn a_recording_begun_too_late_is_empty_and_ends() {
        let dir = tempfile::tempdir().unwrap();
        let taps = Arc::new(Taps::default());
        taps.close();
        let mut late = taps.record(&dir.path().join("a.wav"), Kept::Both).unwrap();
        late.finished().await.unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_made_is_told() {
        let taps = Arc::new(Taps::default());
        let error = taps.record(Path::new("/nowhere/at/all.wav"), Kept::Both).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/at/all.wav: cannot write it"), "{error}");
    }
}
