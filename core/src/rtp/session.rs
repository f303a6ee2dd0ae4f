//! The media half of one call.

use std::collections::VecDeque;

use super::audio::{Incoming, Outgoing};
use super::stats::MediaStats;
use super::stream::{Stream, Tap};
use super::telephone_event::event_of;
use crate::event::{MediaControl, MediaEvent, MediaParameters};
use crate::host::{Endpoint, Host, Inbound};
use crate::time::{Duration, Instant};

/// How many streams a call may have.
const MAX_STREAMS: usize = 16;
/// How many digits may wait to be sent.
const MAX_DIGITS: usize = 256;
/// How many received digits may wait to be taken, and events; the oldest go first.
const MAX_TAKEN: usize = 256;
/// The rate before a codec is agreed.
const DEFAULT_RATE: u32 = 8_000;

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
    /// How long a digit is pressed that [`MediaSession::send_dtmf`] sends. Default 100 ms.
    pub digit_duration: Duration,
    /// How long to wait between two digits. Default 100 ms.
    pub digit_pause: Duration,
}

impl Default for MediaOptions {
    fn default() -> Self {
        Self {
            silence_timeout: Some(Duration::from_secs(60)),
            strict_source: false,
            digit_duration: Duration::from_millis(100),
            digit_pause: Duration::from_millis(100),
        }
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
    /// Too many digits would wait.
    #[error("more than {limit} digits would wait to be sent")]
    TooMany {
        /// How many may wait.
        limit: usize,
    },
}

/// The media half of one call: one or more audio streams, told by signalling what was agreed.
///
/// The application writes 16-bit linear samples at any rate and reads what was heard likewise. Time
/// goes in frames: at every tick one frame leaves, silence when nothing was written, and one frame
/// is heard. What is written or dialled before the first stream is agreed waits for it.
#[derive(Debug)]
pub struct MediaSession {
    options: MediaOptions,
    streams: Vec<(u8, Stream)>,
    /// What waits for a stream.
    waiting: Outgoing,
    waiting_digits: Vec<u8>,
    /// What is left of the last stream.
    unread: Incoming,
    last_stats: MediaStats,
    closed: bool,
    tap: Option<Tap>,
    events: VecDeque<MediaEvent>,
    digits: VecDeque<char>,
}

impl MediaSession {
    /// A session without streams; [`handle_control`](Self::handle_control) brings them.
    pub fn new(_host: &mut dyn Host, options: MediaOptions) -> Self {
        Self {
            options,
            streams: Vec::new(),
            waiting: Outgoing::new(DEFAULT_RATE),
            waiting_digits: Vec::new(),
            unread: Incoming::new(DEFAULT_RATE),
            last_stats: MediaStats::default(),
            closed: false,
            tap: None,
            events: VecDeque::new(),
            digits: VecDeque::new(),
        }
    }

    /// Does what signalling tells.
    pub fn handle_control(&mut self, host: &mut dyn Host, control: MediaControl) {
        match control {
            MediaControl::Configure { stream, parameters } if !self.closed => {
                self.configure(host, stream, parameters);
            }
            MediaControl::Configure { .. } => {}
            MediaControl::Remove { stream } => {
                let Some(index) = self.streams.iter().position(|(s, _)| *s == stream) else {
                    return;
                };
                let (_, mut stream) = self.streams.remove(index);
                stream.close(host, self.tap.as_mut().filter(|_| index == 0));
                if self.streams.is_empty() {
                    self.keep(stream);
                }
            }
            MediaControl::Close => {
                self.closed = true;
                for (index, (_, stream)) in self.streams.iter_mut().enumerate() {
                    stream.close(host, self.tap.as_mut().filter(|_| index == 0));
                }
                if !self.streams.is_empty() {
                    let (_, first) = self.streams.swap_remove(0);
                    self.keep(first);
                }
                self.streams.clear();
            }
        }
    }

    fn configure(&mut self, host: &mut dyn Host, number: u8, parameters: MediaParameters) {
        if let Some((_, stream)) = self.streams.iter_mut().find(|(s, _)| *s == number) {
            stream.configure(host.now(), parameters);
            return;
        }
        if self.streams.len() >= MAX_STREAMS {
            return;
        }
        let rate = parameters.send.codec.sample_rate();
        let first = self.streams.is_empty();
        let outgoing = if first && self.waiting.rate() == rate {
            core::mem::replace(&mut self.waiting, Outgoing::new(rate))
        } else {
            Outgoing::new(rate)
        };
        let mut stream = Stream::new(host, &self.options, parameters, outgoing);
        if first {
            for event in self.waiting_digits.drain(..) {
                stream.sender.events.push(event);
            }
            if self.unread.available(rate) > 0 {
                core::mem::swap(&mut stream.incoming, &mut self.unread);
            }
            if stream.parameters().telephone_event_send.is_none() {
                stream.sender.events.clear();
            }
        }
        let index = self.streams.partition_point(|(s, _)| *s < number);
        self.streams.insert(index, (number, stream));
    }

    /// Keeps what outlives a stream.
    fn keep(&mut self, stream: Stream) {
        self.last_stats = stream.stats();
        self.unread = stream.incoming;
        self.waiting = stream.sender.outgoing;
    }

    /// The next event, oldest first.
    pub fn next_event(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    /// Queues audio to be sent: 16-bit linear samples, mono, `rate` a second (4,000 to 192,000), in
    /// pieces of any size. Returns how many were taken: fewer than given when a minute of audio
    /// waits already, none when the rate is out of range or the call is over.
    pub fn write_audio(&mut self, rate: u32, samples: &[i16]) -> usize {
        if self.closed {
            return 0;
        }
        let Some(((_, first), others)) = self.streams.split_first_mut() else {
            return self.waiting.write(rate, samples);
        };
        let taken = first.sender.outgoing.write(rate, samples);
        for (_, other) in others {
            other.sender.outgoing.write(rate, &samples[..taken]);
        }
        taken
    }

    /// How much written audio waits to be sent.
    pub fn queued(&self) -> Duration {
        self.outgoing().queued()
    }

    /// Drops the written audio that waits; returns how much that was.
    pub fn flush_audio(&mut self) -> Duration {
        let mut dropped = self.waiting.flush();
        for (_, stream) in &mut self.streams {
            dropped = dropped.max(stream.sender.outgoing.flush());
        }
        dropped
    }

    /// How much written audio has been sent since the beginning. While a stream is held, or a digit
    /// is being sent, written audio goes by unsent and does not count.
    pub fn played(&self) -> Duration {
        self.outgoing().played()
    }

    fn outgoing(&self) -> &Outgoing {
        self.streams.first().map_or(&self.waiting, |(_, stream)| &stream.sender.outgoing)
    }

    /// Takes heard audio that was not read yet, at `rate` samples a second (4,000 to 192,000);
    /// returns how many samples were put into `out`, none when nothing is there. Never waits. At
    /// most the last second is kept ([`MediaStats::unread_samples`] counts what is dropped). The
    /// streams of a call are mixed.
    pub fn read_audio(&mut self, rate: u32, out: &mut [i16]) -> usize {
        let Some(((_, first), others)) = self.streams.split_first_mut() else {
            return self.unread.read(rate, out);
        };
        let mut count = first.incoming.read(rate, out);
        for (_, other) in others {
            let mut piece = vec![0; out.len().min(other.incoming.available(rate))];
            let heard = other.incoming.read(rate, &mut piece);
            if heard > count {
                out[count..heard].fill(0);
                count = heard;
            }
            for (mixed, sample) in out.iter_mut().zip(&piece[..heard]) {
                *mixed = mixed.saturating_add(*sample);
            }
        }
        count
    }

    /// How many samples [`read_audio`](Self::read_audio) has at that rate.
    pub fn available(&self, rate: u32) -> usize {
        let streams = self.streams.iter().map(|(_, s)| s.incoming.available(rate));
        streams.max().unwrap_or_else(|| self.unread.available(rate))
    }

    /// Queues digits to be sent as telephone events (RFC 4733): `0` to `9`, `*`, `#`, `A` to `D`
    /// in either case. All or none are taken. While a digit is sent it takes the place of the audio.
    pub fn send_dtmf(&mut self, digits: &str) -> Result<(), DtmfError> {
        if let Some(digit) = digits.chars().find(|d| event_of(*d).is_none()) {
            return Err(DtmfError::InvalidDigit { digit });
        }
        let waiting = match self.streams.first() {
            Some((_, stream)) if stream.parameters().telephone_event_send.is_none() => {
                return Err(DtmfError::NotAgreed);
            }
            Some((_, stream)) => stream.sender.events.queued(),
            None => self.waiting_digits.len(),
        };
        if waiting + digits.len() > MAX_DIGITS {
            return Err(DtmfError::TooMany { limit: MAX_DIGITS });
        }
        for event in digits.chars().filter_map(event_of) {
            match self.streams.first_mut() {
                Some((_, stream)) => stream.sender.events.push(event),
                None => self.waiting_digits.push(event),
            }
        }
        Ok(())
    }

    /// Takes received digits, oldest first: at most `length`, or all. At most 256 wait.
    pub fn take_dtmf(&mut self, length: Option<usize>) -> String {
        let count = length.unwrap_or(usize::MAX).min(self.digits.len());
        self.digits.drain(..count).collect()
    }

    /// Starts or stops keeping both directions for [`drain_tap`](Self::drain_tap). At most two
    /// seconds are kept.
    pub fn set_tap(&mut self, on: bool) {
        match (on, &self.tap) {
            (true, None) => self.tap = Some(Tap::new()),
            (false, _) => self.tap = None,
            (true, Some(_)) => {}
        }
    }

    /// Takes what the tap kept of the first stream: pairs of samples at [`rate`](Self::rate), what
    /// was sent first, what was heard at the same time second.
    pub fn drain_tap(&mut self) -> impl Iterator<Item = [i16; 2]> {
        self.tap.iter_mut().flat_map(|tap| tap.drain(..))
    }

    /// What the first stream has done so far, also after its end.
    pub fn stats(&self) -> MediaStats {
        self.streams.first().map_or(self.last_stats, |(_, stream)| stream.stats())
    }

    /// What another stream has done so far.
    pub fn stream_stats(&self, stream: u8) -> Option<MediaStats> {
        self.streams.iter().find(|(s, _)| *s == stream).map(|(_, stream)| stream.stats())
    }

    /// How many bytes the buffers hold, used or not; not those that only the application fills.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        let tap = self.tap.as_ref().map_or(0, |t| 4 * t.capacity());
        let streams = self.streams.iter().map(|(_, s)| size_of::<Stream>() + s.memory());
        size_of::<Self>()
            + tap
            + streams.sum::<usize>()
            + self.events.capacity() * size_of::<MediaEvent>()
            + self.digits.capacity() * size_of::<char>()
    }

    /// Samples a second inside the call: what the codec carries; 8000 before one is agreed.
    pub fn rate(&self) -> u32 {
        self.streams.first().map_or(DEFAULT_RATE, |(_, stream)| stream.sender.rate())
    }
}

impl Endpoint for MediaSession {
    fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        let Inbound::Media { port, channel, from, bytes } = inbound else { return };
        let (events, digits) = (&mut self.events, &mut self.digits);
        // Early dialogs share a pair of ports (RFC 3960 §2): the surest takes the packet, and where
        // none is sure the first.
        let sharing = self.streams.iter_mut().filter(|(_, s)| s.parameters().port == port).rev();
        if let Some((_, stream)) = sharing.max_by_key(|(_, s)| s.claim(channel, from, bytes)) {
            stream.handle_datagram(host, channel, from, bytes, |e| push_event(events, digits, e));
        }
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        let (events, digits) = (&mut self.events, &mut self.digits);
        for (index, (_, stream)) in self.streams.iter_mut().enumerate() {
            let tap = self.tap.as_mut().filter(|_| index == 0);
            stream.handle_deadline(host, tap, |event| {
                // All streams send the same audio; one of them tells of its end.
                if index == 0 || event != MediaEvent::AudioSent {
                    push_event(events, digits, event);
                }
            });
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.streams.iter().map(|(_, stream)| stream.next_deadline()).min()
    }
}

fn push_event(events: &mut VecDeque<MediaEvent>, digits: &mut VecDeque<char>, event: MediaEvent) {
    if let MediaEvent::Dtmf { digit, .. } = event {
        if digits.len() >= MAX_TAKEN {
            digits.pop_front();
        }
        digits.push_back(digit);
    }
    if events.len() >= MAX_TAKEN {
        events.pop_front();
    }
    events.push_back(event);
}
