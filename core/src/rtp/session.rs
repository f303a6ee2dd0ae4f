//! The media half of one call.

use std::collections::VecDeque;

use super::audio::{Incoming, Outgoing};
use super::packet::Packet;
use super::reported::Reported;
use super::stats::MediaStats;
use super::stream::Stream;
use super::tap::{Tap, TapEnd};
use super::telephone_event::event_of;
use crate::codec::Codec;
use crate::host::{Endpoint, Host, Inbound};
use crate::media::{MediaControl, MediaEvent, MediaOptions, MediaParameters};
use crate::nat::is_stun;
use crate::quoted::QuotedChar;
use crate::time::{Duration, Instant};

/// How many streams a call may have.
const MAX_STREAMS: usize = 16;
/// How many digits may wait to be sent.
const MAX_DIGITS: usize = 256;
/// How many marks of a call may wait to be played.
pub const MAX_MARKS: usize = 256;
/// How much more than the others one stream may have waiting to be read beside two of its packets:
/// what was left over when it was read alone is not heard that much later for ever.
const MAX_LEAD: Duration = Duration::from_millis(40);
/// The rate before a codec is agreed.
const DEFAULT_RATE: u32 = 8_000;

/// Why digits cannot be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DtmfError {
    /// Not `0` to `9`, `*`, `#` or `A` to `D`.
    #[error("{} is not a DTMF digit: use 0 to 9, *, #, A to D", QuotedChar(*digit))]
    InvalidDigit {
        /// The character.
        digit: char,
    },
    /// The peer did not agree to telephone-event.
    #[error("the peer takes no telephone events")]
    NotAgreed,
    /// The peer takes telephone events, but not this one (RFC 4733 §7.1.1).
    #[error("the peer takes no digit {digit}")]
    NotTaken {
        /// The digit.
        digit: char,
    },
    /// Too many digits would wait.
    #[error("more than {limit} digits would wait to be sent")]
    TooMany {
        /// How many may wait.
        limit: usize,
    },
}

/// The media half of one call: one or more audio streams, configured by signalling with what was agreed.
///
/// The application writes 16-bit linear samples at any rate and reads what was heard likewise. What
/// it writes goes to all streams, and what it reads is their mix. Time goes in frames: at every tick
/// one frame leaves, silence when nothing was written, and one frame is heard. What is written or
/// dialled before the first stream is agreed waits for it.
#[derive(Debug)]
pub struct MediaSession {
    stage: Stage,
    /// Frames begin and end at multiples of this.
    grid: Duration,
    streams: Vec<(u8, Stream)>,
    /// What waits for a stream.
    waiting: Outgoing,
    waiting_digits: Vec<u8>,
    /// The marks that were not passed on every stream, oldest first.
    marks: VecDeque<Mark>,
    /// What is left of the last stream.
    unread: Incoming,
    last_stats: MediaStats,
    tap: Option<Tap>,
    reported: Reported,
}

/// `New` -> `Open` -> `Closed`, or `New` -> `Closed`.
#[derive(Debug)]
enum Stage {
    /// Signalling has not spoken yet.
    New,
    /// Streams may come.
    Open(Opening),
    /// The call is over.
    Closed,
}

/// What a session was opened with, and its streams share.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) cname: String,
    pub(super) options: MediaOptions,
    pub(super) grid: Duration,
}

#[derive(Debug)]
struct Mark {
    name: String,
    /// Whether what stands before it was sent on some stream.
    played: bool,
}

impl MediaSession {
    /// A session for signalling to open ([`MediaControl::Open`]) and give streams.
    pub fn new() -> Self {
        Self {
            stage: Stage::New,
            grid: Duration::ZERO,
            streams: Vec::new(),
            waiting: Outgoing::new(DEFAULT_RATE),
            waiting_digits: Vec::new(),
            marks: VecDeque::new(),
            unread: Incoming::new(DEFAULT_RATE),
            last_stats: MediaStats::default(),
            tap: None,
            reported: Reported::default(),
        }
    }

    /// Has every frame leave, and be heard, at a multiple of `grid` after the origin of the host's clock
    /// (as far as packets last a multiple of it), so that a host carries out the frames of many
    /// sessions together. A stream then begins later by less than `grid`. Zero, as with
    /// [`new`](Self::new), means no grid.
    #[must_use]
    pub fn on_grid(mut self, grid: Duration) -> Self {
        self.grid = grid;
        self
    }

    /// Does what signalling tells.
    pub fn handle_control(&mut self, host: &mut dyn Host, control: MediaControl) {
        match control {
            MediaControl::Open { cname, options } => {
                if matches!(self.stage, Stage::New) {
                    self.stage = Stage::Open(Opening { cname, options, grid: self.grid });
                }
            }
            MediaControl::Configure { stream, parameters } => {
                self.configure(host, stream, parameters);
            }
            MediaControl::Remove { stream } => self.remove(host, stream),
            // The sockets are the host's.
            MediaControl::Release { .. } => {}
            MediaControl::Close => {
                self.stage = Stage::Closed;
                while let Some((number, _)) = self.streams.last() {
                    self.remove(host, *number);
                }
                self.waiting.drop_marks();
                self.report_marks();
            }
        }
    }

    fn configure(&mut self, host: &mut dyn Host, number: u8, parameters: MediaParameters) {
        let now = host.now();
        if let Some((_, stream)) = self.streams.iter_mut().find(|(s, _)| *s == number) {
            let received = stream.receives();
            stream.configure(host, parameters);
            if stream.receives() != received {
                self.expect_sound(now);
            }
            return;
        }
        let Stage::Open(opening) = &self.stage else { return };
        if self.streams.len() >= MAX_STREAMS {
            return;
        }
        let rate = parameters.agreed.send.codec.sample_rate();
        let first = self.streams.is_empty();
        // What was written goes to all streams, also to one that comes while it is being sent.
        let outgoing = self.outgoing().copy(rate);
        let mut stream = Stream::new(host, opening, parameters, outgoing);
        if first {
            self.waiting = Outgoing::new(rate);
            for event in self.waiting_digits.drain(..) {
                if stream.takes_event(event) {
                    stream.sender.events.push(event);
                }
            }
            if self.unread.available(rate) > 0 {
                core::mem::swap(&mut stream.incoming, &mut self.unread);
            }
        }
        let index = self.streams.partition_point(|(s, _)| *s < number);
        self.streams.reserve_exact(1);
        self.streams.insert(index, (number, stream));
    }

    fn remove(&mut self, host: &mut dyn Host, number: u8) {
        let Some(index) = self.streams.iter().position(|(s, _)| *s == number) else { return };
        let (_, mut stream) = self.streams.remove(index);
        let last = self.streams.is_empty();
        let tap = self.tap.as_mut().filter(|_| last);
        stream.close(host, tap.map(|tap| TapEnd { tap, stream: number, leads: true }));
        if last {
            self.last_stats = stream.stats();
            self.unread = stream.incoming;
            self.waiting = stream.sender.outgoing;
            self.waiting_digits.extend(stream.sender.events.take_queue());
        }
        self.expect_sound(host.now());
        self.report_marks();
    }

    fn is_closed(&self) -> bool {
        matches!(self.stage, Stage::Closed)
    }

    /// Other streams than before are to be heard now: each has its time.
    fn expect_sound(&mut self, now: Instant) {
        self.streams.iter_mut().for_each(|(_, stream)| stream.expect_sound(now));
    }

    /// The next event, oldest first.
    pub fn next_event(&mut self) -> Option<MediaEvent> {
        self.reported.next()
    }

    /// Queues audio to be sent: 16-bit linear samples, mono, `rate` a second (4,000 to 192,000), in
    /// pieces of any size. Returns how many were taken: fewer than given when a minute of audio
    /// waits already, none when the rate is out of range or the call is over.
    pub fn write_audio(&mut self, rate: u32, samples: &[i16]) -> usize {
        if self.is_closed() {
            return 0;
        }
        let Some(((_, first), others)) = self.streams.split_first_mut() else {
            // Whatever codec is agreed, nothing that it carries is lost until then.
            let widest = Codec::ALL.iter().map(|codec| codec.sample_rate()).max();
            self.waiting.keep_at(rate.clamp(DEFAULT_RATE, widest.unwrap_or(DEFAULT_RATE)));
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
        self.report_marks();
        dropped
    }

    /// Sets a mark after what was written so far. It comes back as [`MediaEvent::Mark`] with its
    /// name: when the sample before it was sent, on every stream where there are several; or as not
    /// played when it was flushed, or the call ended. False when [`MAX_MARKS`] wait, or the call is
    /// over.
    pub fn mark(&mut self, name: &str) -> bool {
        if self.is_closed() || self.marks.len() >= MAX_MARKS {
            return false;
        }
        self.marks.push_back(Mark { name: name.to_owned(), played: false });
        if self.streams.is_empty() {
            self.waiting.mark();
        }
        self.streams.iter_mut().for_each(|(_, stream)| stream.sender.outgoing.mark());
        true
    }

    /// Reports the marks that no stream has before it any more.
    fn report_marks(&mut self) {
        let mut waiting = self.waiting.marks();
        for (_, stream) in &mut self.streams {
            let outgoing = &mut stream.sender.outgoing;
            // What a stream has is always the last of all there are.
            while let Some(sent) = outgoing.take_mark() {
                let index = self.marks.len().saturating_sub(outgoing.marks() + 1);
                if let Some(mark) = self.marks.get_mut(index) {
                    mark.played |= sent;
                }
            }
            waiting = waiting.max(outgoing.marks());
        }
        let passed = self.marks.len().saturating_sub(waiting);
        for Mark { name, played } in self.marks.drain(..passed) {
            self.reported.push(MediaEvent::Mark { name, played });
        }
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
        let Some(leader) = self.leader() else { return self.unread.read(rate, out) };
        let Some((_, first)) = self.streams.get_mut(leader) else { return 0 };
        let count = first.incoming.read(rate, out);
        let left = first.incoming.waiting();
        if self.streams.len() == 1 {
            return count;
        }
        let mut piece = vec![0; count];
        for (index, (_, other)) in self.streams.iter_mut().enumerate() {
            if index == leader {
                continue;
            }
            let heard = other.incoming.read(rate, &mut piece);
            for (mixed, sample) in out.iter_mut().zip(&piece[..heard]) {
                *mixed = mixed.saturating_add(*sample);
            }
            other.incoming.trim(left + other.period() * 2 + MAX_LEAD);
        }
        count
    }

    /// As [`read_audio`](Self::read_audio), and fills the rest of `out` with silence: pyVoIP's
    /// `read_audio` that does not block. Returns how many samples were heard.
    pub fn read_audio_or_silence(&mut self, rate: u32, out: &mut [i16]) -> usize {
        let count = self.read_audio(rate, out);
        out[count..].fill(0);
        count
    }

    /// How many samples [`read_audio`](Self::read_audio) has at that rate.
    pub fn available(&self, rate: u32) -> usize {
        let leader = self.leader().and_then(|leader| self.streams.get(leader));
        leader.map_or(&self.unread, |(_, stream)| &stream.incoming).available(rate)
    }

    /// The stream in whose time what is heard is read: the first that hears anything.
    fn leader(&self) -> Option<usize> {
        let first = self.streams.iter().position(|(_, stream)| stream.receives());
        first.or((!self.streams.is_empty()).then_some(0))
    }

    /// Queues digits to be sent as telephone events (RFC 4733): `0` to `9`, `*`, `#`, `A` to `D`
    /// in either case. All or none are taken. While a digit is sent it takes the place of the audio.
    /// Of several streams the first that can carry digits does, in each early dialog.
    pub fn send_dtmf(&mut self, digits: &str) -> Result<(), DtmfError> {
        if let Some(digit) = digits.chars().find(|d| event_of(*d).is_none()) {
            return Err(DtmfError::InvalidDigit { digit });
        }
        let port = self.streams.iter().find(|(_, stream)| stream.takes_events());
        let port = port.map(|(_, stream)| stream.port());
        if port.is_none() && !self.streams.is_empty() {
            return Err(DtmfError::NotAgreed);
        }
        // Early dialogs answer one offer, so they share its pair of ports.
        let carries = |stream: &Stream| Some(stream.port()) == port;
        let mut carriers: Vec<&mut Stream> =
            self.streams.iter_mut().map(|(_, s)| s).filter(|s| carries(s)).collect();
        let taken = |digit: &char| {
            event_of(*digit).is_some_and(|event| carriers.iter().any(|s| s.takes_event(event)))
        };
        if let Some(digit) = digits.chars().find(|d| !carriers.is_empty() && !taken(d)) {
            return Err(DtmfError::NotTaken { digit });
        }
        let queued = carriers.iter().map(|stream| stream.sender.events.queued());
        if queued.max().unwrap_or(self.waiting_digits.len()) + digits.len() > MAX_DIGITS {
            return Err(DtmfError::TooMany { limit: MAX_DIGITS });
        }
        for event in digits.chars().filter_map(event_of) {
            for stream in carriers.iter_mut().filter(|stream| stream.takes_event(event)) {
                stream.sender.events.push(event);
            }
            if carriers.is_empty() {
                self.waiting_digits.push(event);
            }
        }
        Ok(())
    }

    /// How many received digits wait for [`take_dtmf`](Self::take_dtmf): at most 1,024, then the
    /// oldest give way.
    pub fn available_dtmf(&self) -> usize {
        self.reported.digits()
    }

    /// Takes received digits, oldest first: at most `length`, or all. They stay when the session is
    /// closed.
    pub fn take_dtmf(&mut self, length: Option<usize>) -> String {
        self.reported.take_digits(length)
    }

    /// Starts or stops keeping both directions for [`drain_tap`](Self::drain_tap). At most two
    /// seconds are kept.
    pub fn set_tap(&mut self, on: bool) {
        match (on, &self.tap) {
            (true, None) => self.tap = Some(Tap::default()),
            (false, _) => self.tap = None,
            (true, Some(_)) => {}
        }
    }

    /// How many samples a second the tap keeps: the [`rate`](Self::rate) of the first frame that it
    /// kept, whatever is agreed later; `None` before that one.
    pub fn tap_rate(&self) -> Option<u32> {
        self.tap.as_ref().and_then(Tap::rate)
    }

    /// Takes what the tap kept: pairs of samples at [`tap_rate`](Self::tap_rate), what was sent first,
    /// the mix of what was heard at the same time second.
    pub fn drain_tap(&mut self) -> impl Iterator<Item = [i16; 2]> {
        self.tap.iter_mut().flat_map(Tap::drain)
    }

    /// What the first stream has done so far, also after its end.
    pub fn stats(&self) -> MediaStats {
        self.streams.first().map_or(self.last_stats, |(_, stream)| stream.stats())
    }

    /// What another stream has done so far.
    pub fn stream_stats(&self, stream: u8) -> Option<MediaStats> {
        self.streams.iter().find(|(s, _)| *s == stream).map(|(_, stream)| stream.stats())
    }

    /// The network has not taken an RTP packet of this session: it does not count as sent, neither in
    /// [`stats`](Self::stats) nor in the reports of RTCP. Its time has passed, so it is not sent again.
    pub fn handle_unsent(&mut self, packet: &[u8]) {
        let Ok(header) = Packet::parse(packet).map(|packet| packet.header) else { return };
        let mut senders = self.streams.iter_mut().map(|(_, stream)| &mut stream.sender);
        if let Some(sender) = senders.find(|sender| sender.ssrc() == header.ssrc) {
            sender.handle_unsent(packet);
        }
    }

    /// How many bytes the buffers hold, used or not; not those that only the application fills.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        let tap = self.tap.as_ref().map_or(0, Tap::memory);
        let streams = self.streams.iter().map(|(_, s)| size_of::<Stream>() + s.memory());
        size_of::<Self>() + tap + streams.sum::<usize>() + self.reported.memory()
    }

    /// Samples a second inside the call: what the codec carries; 8000 before one is agreed.
    pub fn rate(&self) -> u32 {
        self.streams.first().map_or(DEFAULT_RATE, |(_, stream)| stream.sender.rate())
    }
}

impl Default for MediaSession {
    fn default() -> Self {
        Self::new()
    }
}

impl Endpoint for MediaSession {
    fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        let Inbound::Media { port, channel, from, bytes } = inbound else { return };
        // A late answer to signalling's question, or a peer's check, is neither RTP nor junk.
        if is_stun(bytes) {
            return;
        }
        let (now, alone, reported) = (host.now(), self.streams.len() == 1, &mut self.reported);
        // Early dialogs share a pair of ports (RFC 3960 §2): the surest takes the packet, and where
        // none is sure the first.
        let sharing = self.streams.iter_mut().filter(|(_, s)| s.port() == port).rev();
        if let Some((number, stream)) =
            sharing.max_by_key(|(_, s)| s.source_match(channel, from, bytes))
        {
            stream.handle_datagram(host, channel, from, bytes, |event| {
                reported.handle_event(now, *number, alone, event);
            });
        }
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        let (now, alone) = (host.now(), self.streams.len() == 1);
        for index in 0..self.streams.len() {
            let Some((number, stream)) = self.streams.get_mut(index) else { return };
            let (number, mut end, mut silent) = (*number, false, false);
            let tap = self.tap.as_mut();
            let tap = tap.map(|tap| TapEnd { tap, stream: number, leads: index == 0 });
            stream.handle_deadline(host, tap, |event| match event {
                // All streams send the same audio; one of them tells of its end.
                MediaEvent::AudioSent if index > 0 => {}
                MediaEvent::DtmfSent => end = true,
                MediaEvent::Silent => silent = true,
                event => self.reported.handle_event(now, number, alone, event),
            });
            // The last of them tells these.
            if end && self.streams.iter().all(|(_, stream)| stream.sender.events.is_idle()) {
                self.reported.push(MediaEvent::DtmfSent);
            }
            if silent && !self.streams.iter().any(|(_, stream)| stream.is_heard()) {
                self.reported.push(MediaEvent::Silent);
            }
        }
        if !self.marks.is_empty() {
            self.report_marks();
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.streams.iter().map(|(_, stream)| stream.next_deadline()).min()
    }
}
