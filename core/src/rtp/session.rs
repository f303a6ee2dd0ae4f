//! The media half of one call.

use std::collections::VecDeque;

use crate::event::{MediaControl, MediaEvent};
use crate::host::{Endpoint, Host, Inbound};
use crate::rtp::MediaStats;
use crate::time::{Duration, Instant};

/// How a media session behaves.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct MediaOptions {
    /// After how long without any RTP or RTCP, though some should come, to tell
    /// [`MediaEvent::Silent`]; `None` never. Default 60 s.
    pub silence_timeout: Option<Duration>,
    /// Take RTP only from the address that signalling told, even when none comes from there.
    /// Default false: a peer behind a NAT is found by what it sends.
    pub strict_source: bool,
}

impl Default for MediaOptions {
    fn default() -> Self {
        Self { silence_timeout: Some(Duration::from_secs(60)), strict_source: false }
    }
}

/// Why digits cannot be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DtmfError {
    /// Not `0` to `9`, `*`, `#` or `A` to `D`.
    #[error("{digit:?} is not a DTMF digit: use 0 to 9, *, #, A to D")]
    InvalidDigit {
        /// The character.
        digit: char,
    },
    /// The peer did not agree to telephone-event.
    #[error("the peer takes no telephone events")]
    NotAgreed,
    /// Too many digits are waiting.
    #[error("more than {limit} digits are waiting to be sent")]
    TooMany {
        /// How many may wait.
        limit: usize,
    },
}

/// The media half of one call: one or more audio streams, told by signalling what was agreed.
///
/// The application writes 16-bit linear samples at any rate and reads what was heard likewise.
pub struct MediaSession {
    #[allow(dead_code, reason = "the interface lands before what is behind it")]
    options: MediaOptions,
    events: VecDeque<MediaEvent>,
    digits: String,
}

impl MediaSession {
    /// A session without streams; [`handle_control`](Self::handle_control) brings them.
    pub fn new(_host: &mut dyn Host, options: MediaOptions) -> Self {
        Self { options, events: VecDeque::new(), digits: String::new() }
    }

    /// Does what signalling tells.
    pub fn handle_control(&mut self, _host: &mut dyn Host, _control: MediaControl) {}

    /// The next event, oldest first.
    pub fn next_event(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    /// Queues audio to be sent: 16-bit linear samples, mono, `rate` a second. Returns how many were
    /// taken; fewer than given when a minute of audio waits already.
    pub fn write_audio(&mut self, _rate: u32, _samples: &[i16]) -> usize {
        0
    }

    /// How much written audio waits to be sent.
    pub fn queued(&self) -> Duration {
        Duration::ZERO
    }

    /// Drops the written audio that waits; returns how much that was.
    pub fn flush_audio(&mut self) -> Duration {
        Duration::ZERO
    }

    /// How much written audio has been sent since the beginning.
    pub fn played(&self) -> Duration {
        Duration::ZERO
    }

    /// Takes heard audio that was not read yet, at `rate` samples a second; returns how many samples
    /// were put into `out`, none when nothing is there. Never waits.
    pub fn read_audio(&mut self, _rate: u32, _out: &mut [i16]) -> usize {
        0
    }

    /// How many samples [`read_audio`](Self::read_audio) has at that rate.
    pub fn available(&self, _rate: u32) -> usize {
        0
    }

    /// Queues digits to be sent as telephone events (RFC 4733): `0` to `9`, `*`, `#`, `A` to `D`
    /// in either case. All or none are taken.
    pub fn send_dtmf(&mut self, digits: &str) -> Result<(), DtmfError> {
        match digits.chars().find(|d| !matches!(d, '0'..='9' | '*' | '#' | 'A'..='D' | 'a'..='d')) {
            Some(digit) => Err(DtmfError::InvalidDigit { digit }),
            None => Ok(()),
        }
    }

    /// Takes received digits, oldest first: at most `length`, or all.
    pub fn take_dtmf(&mut self, length: Option<usize>) -> String {
        let count = length.unwrap_or(usize::MAX).min(self.digits.len());
        self.digits.drain(..count).collect()
    }

    /// Starts or stops keeping both directions for [`drain_tap`](Self::drain_tap).
    pub fn set_tap(&mut self, _on: bool) {}

    /// Takes what the tap kept: pairs of samples at [`rate`](Self::rate), what was sent first, what
    /// was heard second.
    pub fn drain_tap(&mut self) -> impl Iterator<Item = [i16; 2]> {
        core::iter::empty()
    }

    /// What the first stream has done so far.
    pub fn stats(&self) -> MediaStats {
        MediaStats::default()
    }

    /// Samples a second inside the call: what the codec carries; 8000 before one is agreed.
    pub fn rate(&self) -> u32 {
        8_000
    }
}

impl Endpoint for MediaSession {
    fn handle_inbound(&mut self, _host: &mut dyn Host, _inbound: Inbound<'_>) {}

    fn handle_deadline(&mut self, _host: &mut dyn Host) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}
