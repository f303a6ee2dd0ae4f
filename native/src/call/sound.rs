//! Playing to a call and listening to it.

use std::path::Path;
use std::time::Duration;

use offhook_core::codec::{from_unsigned8, to_unsigned8};
use offhook_core::error::Error as Refusal;
use offhook_core::rtp::MAX_MARKS;

use super::Call;
use super::shared::CallShared;
use crate::audio::wav::WavFile;
use crate::error::Error;

impl Call {
    /// Plays a WAV file, of any rate, depth and number of channels, and returns when it has really
    /// been played to its end. Two plays at once take turns. Dropping the future stops the playing
    /// within a fraction of a second.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Wav`]; [`InvalidState`](Refusal::InvalidState) before media is
    /// agreed; [`Error::Ended`] when the call is over first.
    pub async fn play(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.has_media("play to")?;
        let path = path.as_ref().to_owned();
        let mut file = blocking(move || WavFile::open(&path)).await?;
        let rate = file.rate();
        let _turn = self.held.playing.lock().await;
        let stop = StopWhenDropped { call: self };
        loop {
            let (chunk, back) = blocking(move || Ok((file.read(rate as usize)?, file))).await?;
            file = back;
            if chunk.is_empty() {
                break;
            }
            self.feed(rate, &chunk).await?;
        }
        self.played_out().await?;
        std::mem::forget(stop);
        Ok(())
    }

    /// Plays 16-bit mono samples at `rate` a second, and returns when they have really been played.
    /// As [`play`](Self::play) otherwise.
    ///
    /// # Errors
    /// As [`play`](Self::play).
    pub async fn play_samples(&self, rate: u32, samples: &[i16]) -> Result<(), Error> {
        self.has_media("play to")?;
        let _turn = self.held.playing.lock().await;
        let stop = StopWhenDropped { call: self };
        self.feed(rate, samples).await?;
        self.played_out().await?;
        std::mem::forget(stop);
        Ok(())
    }

    /// Queues 16-bit mono samples at `rate` a second to be sent, and returns at once. Says how many
    /// were taken: fewer than given when a minute already waits.
    ///
    /// # Errors
    /// [`InvalidState`](Refusal::InvalidState) before media is agreed; [`Error::Ended`].
    pub fn write_audio(&self, rate: u32, samples: &[i16]) -> Result<usize, Error> {
        self.has_media("write audio to")?;
        Ok(self.shared().write_audio(rate, samples))
    }

    /// As [`write_audio`](Self::write_audio), of 8-bit unsigned samples, of which 0x80 is silence:
    /// pyVoIP's. They cost 20 dB and more at the level of speech.
    ///
    /// # Errors
    /// As [`write_audio`](Self::write_audio).
    pub fn write_audio_u8(&self, rate: u32, samples: &[u8]) -> Result<usize, Error> {
        let samples: Vec<i16> = samples.iter().copied().map(from_unsigned8).collect();
        self.write_audio(rate, &samples)
    }

    /// Drops the sound that waits to be sent; says how much that was. Marks in it come back as not
    /// played.
    pub fn flush_audio(&self) -> Duration {
        let dropped = self.shared().session().flush_audio();
        self.shared().wake();
        self.shared().moved.notify_waiters();
        dropped.into()
    }

    /// How much of what was written has been sent since the call began: where the far end has
    /// arrived, but for the way to it. What goes by while the call is held does not count.
    pub fn played(&self) -> Duration {
        self.shared().session().played().into()
    }

    /// How much of what was written waits to be sent.
    pub fn queued(&self) -> Duration {
        self.shared().session().queued().into()
    }

    /// Sets a mark after what was written so far. It comes back as [`CallEvent::Mark`](crate::CallEvent::Mark) when the sound
    /// before it has really been sent, or, not played, when that was dropped.
    ///
    /// # Errors
    /// [`InvalidState`](Refusal::InvalidState) before media is agreed; [`Error::Ended`];
    /// [`Error::TooManyMarks`] when 256 wait.
    pub fn mark(&self, name: &str) -> Result<(), Error> {
        self.has_media("set a mark in")?;
        if !self.shared().session().mark(name) {
            return Err(Error::TooManyMarks { limit: MAX_MARKS });
        }
        self.shared().wake();
        Ok(())
    }

    /// Waits for sound: fills `out` with 16-bit mono samples at `rate` a second, and says how many
    /// there are. Fewer than `out` holds only when it holds more than half a second, or at the end of
    /// the call; zero when the call is over and everything was read.
    ///
    /// # Errors
    /// [`InvalidState`](Refusal::InvalidState) before media is agreed.
    pub async fn read_audio(&self, rate: u32, out: &mut [i16]) -> Result<usize, Error> {
        if let Err(error @ Error::Phone(Refusal::InvalidState { .. })) =
            self.has_media("read audio of")
        {
            return Err(error);
        }
        let enough = out.len().min(rate as usize / 2);
        let has_enough =
            |shared: &CallShared| (shared.session().available(rate) >= enough).then_some(());
        // When the call is over, what is left is all there will be.
        let _ = self.shared().wait(has_enough).await;
        Ok(self.take_audio(rate, out))
    }

    /// Takes the sound that came and was not read, as [`read_audio`](Self::read_audio), but never
    /// waits: zero when there is none.
    pub fn take_audio(&self, rate: u32, out: &mut [i16]) -> usize {
        self.shared().session().read_audio(rate, out)
    }

    /// As [`take_audio`](Self::take_audio), and fills the rest of `out` with silence; says how much was
    /// heard. pyVoIP's `read_audio(blocking=False)`.
    pub fn read_audio_or_silence(&self, rate: u32, out: &mut [i16]) -> usize {
        self.shared().session().read_audio_or_silence(rate, out)
    }

    /// As [`read_audio_or_silence`](Self::read_audio_or_silence), to 8-bit unsigned samples, of which 0x80
    /// is silence: pyVoIP's `read_audio(length, blocking=False)`.
    pub fn read_audio_or_silence_u8(&self, rate: u32, out: &mut [u8]) -> usize {
        let mut samples = vec![0; out.len()];
        let heard = self.read_audio_or_silence(rate, &mut samples);
        for (byte, sample) in out.iter_mut().zip(samples) {
            *byte = to_unsigned8(sample);
        }
        heard
    }

    /// As [`read_audio`](Self::read_audio), to 8-bit unsigned samples, of which 0x80 is silence:
    /// pyVoIP's.
    ///
    /// # Errors
    /// As [`read_audio`](Self::read_audio).
    pub async fn read_audio_u8(&self, rate: u32, out: &mut [u8]) -> Result<usize, Error> {
        let mut samples = vec![0; out.len()];
        let count = self.read_audio(rate, &mut samples).await?;
        for (byte, sample) in out.iter_mut().zip(&samples[..count]) {
            *byte = to_unsigned8(*sample);
        }
        Ok(count)
    }

    /// Writes all of `samples` as room comes, keeping little queued so that stopping is quick.
    async fn feed(&self, rate: u32, samples: &[i16]) -> Result<(), Error> {
        /// How much may wait to be sent.
        const AHEAD: offhook_core::time::Duration = offhook_core::time::Duration::from_millis(200);
        /// How much is written at once.
        const PIECES_A_SECOND: usize = 20;
        let piece = (rate as usize / PIECES_A_SECOND).max(1);
        for piece in samples.chunks(piece) {
            let mut rest = piece;
            let room = |shared: &CallShared| {
                if shared.session().queued() < AHEAD {
                    let taken = shared.write_audio(rate, rest);
                    rest = rest.get(taken..).unwrap_or_default();
                }
                rest.is_empty().then_some(())
            };
            self.shared().wait(room).await?;
        }
        Ok(())
    }

    /// Waits until everything that was written has been sent.
    async fn played_out(&self) -> Result<(), Error> {
        self.shared().wait(|shared| shared.session().queued().is_zero().then_some(())).await
    }
}

/// Drops what a play had queued when the play is given up.
struct StopWhenDropped<'a> {
    call: &'a Call,
}

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.call.flush_audio();
    }
}

/// Runs file work where it delays nothing.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down.
            Err(_) => Err(Error::NotRunning),
        },
    }
}
