//! The application's two ends of a stream: what it wrote and is to be sent, what was heard and is to
//! be read. Both change the sampling rate on the application's side.

use std::collections::VecDeque;

use crate::codec::resampler::{Resampler, convert};
use crate::time::Duration;

/// How much written audio may wait to be sent, in seconds.
pub const MAX_QUEUED_SECONDS: u32 = 60;
/// How much heard audio may wait to be read, in seconds; the oldest goes first.
pub const MAX_UNREAD_SECONDS: u32 = 1;
/// How many samples are converted at a time.
const PIECE: usize = 256;

/// Audio that waits to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    rate: u32,
    resampler: Option<Resampler>,
    /// Whether the next resampler goes on where another one was.
    resumes: bool,
    /// Whether the resampler still holds the end of what was written.
    tail: bool,
    samples: VecDeque<i16>,
    /// How many samples were taken so far.
    taken: u64,
    sent: u64,
    /// After how many samples each mark stands.
    marks: VecDeque<u64>,
    /// The marks that were passed, each with whether what stood before it was sent.
    passed: VecDeque<bool>,
    /// How many of them with the last frame.
    passing: usize,
    /// Whether something was written since the last frame was taken.
    fresh: bool,
    /// Whether something was written whose end has not come.
    end_unreported: bool,
    /// Whether that end has come.
    ended: bool,
}

impl Outgoing {
    /// Towards a codec of that sample rate.
    pub(crate) fn new(rate: u32) -> Self {
        Self {
            rate,
            resampler: None,
            resumes: false,
            tail: false,
            samples: VecDeque::new(),
            taken: 0,
            sent: 0,
            marks: VecDeque::new(),
            passed: VecDeque::new(),
            passing: 0,
            fresh: false,
            end_unreported: false,
            ended: false,
        }
    }

    /// The same audio and marks for another stream.
    pub(crate) fn copy(&self, rate: u32) -> Self {
        let mut copy = self.clone();
        copy.set_codec_rate(rate);
        copy
    }

    /// Goes on towards a codec of another sample rate, with what waits.
    pub(crate) fn set_codec_rate(&mut self, rate: u32) {
        let old = self.rate;
        if rate == old {
            return;
        }
        self.drain_tail();
        self.samples = convert(self.samples.make_contiguous(), old, rate).into();
        let scale = |samples: u64| samples * u64::from(rate) / u64::from(old);
        (self.taken, self.sent) = (scale(self.taken), scale(self.sent));
        self.marks.iter_mut().for_each(|mark| *mark = scale(*mark));
        (self.rate, self.resampler, self.resumes) = (rate, None, true);
    }

    /// While no codec is agreed and nothing waits: keeps what is written next at this rate.
    pub(crate) fn keep_at(&mut self, rate: u32) {
        if self.samples.is_empty() && !self.tail {
            self.set_codec_rate(rate);
            self.resumes = false;
        }
    }

    /// Takes samples at a rate as far as there is room; returns how many.
    pub(crate) fn write(&mut self, rate: u32, samples: &[i16]) -> usize {
        let limit = (self.rate * MAX_QUEUED_SECONDS) as usize;
        let mut read = 0;
        if rate == self.rate {
            self.drain_tail();
            read = limit.saturating_sub(self.samples.len()).min(samples.len());
            self.samples.extend(&samples[..read]);
        } else if self.set_source_rate(rate, samples)
            && let Some(resampler) = &mut self.resampler
        {
            let mut piece = [0; PIECE];
            while read < samples.len() {
                let room = limit.saturating_sub(self.samples.len()).min(PIECE);
                if room == 0 {
                    break;
                }
                let (taken, made) = resampler.process(&samples[read..], &mut piece[..room]);
                read += taken;
                self.samples.extend(&piece[..made]);
            }
            self.tail |= read > 0;
        }
        self.fresh |= read > 0;
        self.end_unreported |= read > 0;
        read
    }

    /// Fills a frame with what waits, and with silence after it; returns how many samples waited.
    ///
    /// While the application writes piece by piece and is just too slow, half a frame waits for its
    /// other half rather than to be torn.
    pub(crate) fn take(&mut self, frame: &mut [i16]) -> usize {
        if self.samples.len() < frame.len() && !self.fresh {
            self.drain_tail();
        }
        let waits = self.fresh && self.samples.len() < frame.len();
        self.fresh = false;
        let count = if waits { 0 } else { self.samples.len().min(frame.len()) };
        pour(&mut self.samples, &mut frame[..count]);
        frame[count..].fill(0);
        self.taken += count as u64;
        self.pass_marks(count == 0 && !waits);
        // A frame for which nothing was left, not the last one that was: who writes frame by frame
        // in time has not come to an end.
        if count == 0 && !waits && self.end_unreported {
            (self.end_unreported, self.ended) = (false, true);
        }
        count
    }

    /// What was taken has really been sent.
    pub(crate) fn handle_sent(&mut self, samples: usize) {
        self.sent += samples as u64;
        self.passed.iter_mut().rev().take(self.passing).for_each(|sent| *sent = true);
    }

    /// Sets a mark after what was written so far.
    pub(crate) fn mark(&mut self) {
        let tail = self.resampler.as_ref().filter(|_| self.tail).map_or(0, |resampler| {
            (resampler.lag() as u64 * u64::from(self.rate)).div_ceil(u64::from(resampler.from()))
        });
        self.marks.push_back(self.taken + self.samples.len() as u64 + tail);
    }

    /// How many marks wait.
    pub(crate) fn marks(&self) -> usize {
        self.marks.len() + self.passed.len()
    }

    /// The next mark that was passed: whether what stood before it was sent.
    pub(crate) fn take_mark(&mut self) -> Option<bool> {
        self.passing = 0;
        self.passed.pop_front()
    }

    fn pass_marks(&mut self, is_empty: bool) {
        self.passing = 0;
        while self.marks.front().is_some_and(|at| is_empty || *at <= self.taken) {
            self.marks.pop_front();
            self.passed.push_back(false);
            self.passing += 1;
        }
    }

    /// Whether everything written has been taken and no more came in time; true once each time.
    pub(crate) fn take_end(&mut self) -> bool {
        core::mem::take(&mut self.ended)
    }

    /// Whether nothing waits: neither audio, nor a mark, nor an end to be reported.
    pub(crate) fn is_idle(&self) -> bool {
        let reported = !(self.tail || self.fresh || self.end_unreported || self.ended);
        reported && self.samples.is_empty() && self.marks() == 0
    }

    /// Drops what waits; returns how much that was.
    pub(crate) fn flush(&mut self) -> Duration {
        let dropped = self.queued();
        self.samples.clear();
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
        (self.tail, self.fresh) = (false, false);
        (self.end_unreported, self.ended) = (false, false);
        self.drop_marks();
        dropped
    }

    pub(crate) fn drop_marks(&mut self) {
        self.marks.clear();
        self.passed.clear();
    }

    pub(crate) fn queued(&self) -> Duration {
        let tail = self.resampler.as_ref().filter(|_| self.tail);
        let tail = tail.map_or(Duration::ZERO, |r| to_duration(r.lag() as u64, r.from()));
        to_duration(self.samples.len() as u64, self.rate) + tail
    }

    pub(crate) fn played(&self) -> Duration {
        to_duration(self.sent, self.rate)
    }

    fn set_source_rate(&mut self, rate: u32, upcoming: &[i16]) -> bool {
        if self.resampler.as_ref().is_some_and(|r| r.from() == rate) {
            return true;
        }
        self.drain_tail();
        self.resampler = begin(rate, self.rate, &mut self.resumes, upcoming);
        self.resampler.is_some()
    }

    /// Lets out what the resampler still holds.
    fn drain_tail(&mut self) {
        if !core::mem::take(&mut self.tail) {
            return;
        }
        let Some(resampler) = &mut self.resampler else { return };
        let (zeros, mut left) = ([0; PIECE], resampler.lag());
        let mut piece = [0; PIECE];
        while left > 0 {
            let (taken, made) = resampler.process(&zeros[..left.min(PIECE)], &mut piece);
            left -= taken;
            self.samples.extend(&piece[..made]);
        }
        resampler.reset();
    }
}

/// Audio that was heard and waits to be read.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    rate: u32,
    resampler: Option<Resampler>,
    /// Whether the next resampler goes on where another one was.
    resumes: bool,
    samples: VecDeque<i16>,
    unread: u64,
}

impl Incoming {
    /// From a codec of that sample rate.
    pub(crate) fn new(rate: u32) -> Self {
        Self { rate, resampler: None, resumes: false, samples: VecDeque::new(), unread: 0 }
    }

    /// Goes on from a codec of another sample rate, with what waits.
    pub(crate) fn set_codec_rate(&mut self, rate: u32) {
        if rate != self.rate {
            self.samples = convert(self.samples.make_contiguous(), self.rate, rate).into();
            (self.rate, self.resampler, self.resumes) = (rate, None, true);
        }
    }

    pub(crate) fn push(&mut self, frame: &[i16]) {
        let limit = (self.rate * MAX_UNREAD_SECONDS) as usize;
        let surplus = (self.samples.len() + frame.len()).saturating_sub(limit);
        self.unread += surplus as u64;
        self.samples.drain(..surplus.min(self.samples.len()));
        self.samples.extend(frame);
    }

    /// Takes samples at a rate; returns how many.
    pub(crate) fn read(&mut self, rate: u32, out: &mut [i16]) -> usize {
        if rate == self.rate {
            let count = out.len().min(self.samples.len());
            pour(&mut self.samples, &mut out[..count]);
            return count;
        }
        if self.resampler.as_ref().is_none_or(|r| r.to() != rate) {
            if self.samples.is_empty() {
                return 0;
            }
            let upcoming = self.samples.as_slices().0;
            self.resampler = begin(self.rate, rate, &mut self.resumes, upcoming);
        }
        let Some(resampler) = &mut self.resampler else { return 0 };
        let mut written = 0;
        loop {
            let (input, _) = self.samples.as_slices();
            let (taken, made) = resampler.process(input, &mut out[written..]);
            self.samples.drain(..taken);
            written += made;
            if written == out.len() || self.samples.is_empty() {
                return written;
            }
        }
    }

    pub(crate) fn available(&self, rate: u32) -> usize {
        if rate == self.rate {
            return self.samples.len();
        }
        match &self.resampler {
            Some(resampler) if resampler.to() == rate => resampler.output_len(self.samples.len()),
            _ => Resampler::first_output_len(self.rate, rate, self.samples.len()),
        }
    }

    /// How much there is to read.
    pub(crate) fn waiting(&self) -> Duration {
        to_duration(self.samples.len() as u64, self.rate)
    }

    /// Keeps the last of it only.
    pub(crate) fn trim(&mut self, keep: Duration) {
        let keep = u64::from(self.rate) * keep.as_micros() / 1_000_000;
        let surplus = self.samples.len().saturating_sub(keep as usize);
        self.samples.drain(..surplus);
        self.unread += surplus as u64;
    }

    /// How many samples were dropped because nobody read them.
    pub(crate) fn unread(&self) -> u64 {
        self.unread
    }
}

/// A resampler for sound that begins, or goes on in its midst.
fn begin(from: u32, to: u32, resumes: &mut bool, upcoming: &[i16]) -> Option<Resampler> {
    let mut resampler = Resampler::new(from, to)?;
    if core::mem::take(resumes) {
        resampler.prime(upcoming);
    }
    Some(resampler)
}

/// Moves the first samples of a queue that has as many.
fn pour(queue: &mut VecDeque<i16>, out: &mut [i16]) {
    let (first, second) = queue.as_slices();
    let split = first.len().min(out.len());
    let (head, tail) = out.split_at_mut(split);
    head.copy_from_slice(&first[..split]);
    tail.copy_from_slice(&second[..tail.len()]);
    queue.drain(..out.len());
}

fn to_duration(samples: u64, rate: u32) -> Duration {
    Duration::from_micros(samples * 1_000_000 / u64::from(rate.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::measure::{self, Tone};

    fn take_all(outgoing: &mut Outgoing) -> Vec<i16> {
        let mut all = Vec::new();
        let mut frame = [0; 160];
        loop {
            let count = outgoing.take(&mut frame);
            if count == 0 {
                return all;
            }
            all.extend(&frame[..count]);
        }
    }

    #[test]
    fn any_rate_in_any_pieces_comes_out_whole() {
        for rate in [4_001, 8_000, 11_025, 16_000, 24_000, 44_100, 48_000, 192_000] {
            for chunk in [1, 160, 441, 1_024, 100_000] {
                let mut outgoing = Outgoing::new(8_000);
                let tone = Tone::new(rate, 1_000, 12_000).take(rate as usize);
                for piece in tone.chunks(chunk) {
                    assert_eq!(outgoing.write(rate, piece), piece.len());
                }
                let mut frame = [0; 160];
                outgoing.take(&mut frame);
                let mut sent = frame.to_vec();
                sent.extend(take_all(&mut outgoing));
                let tail = sent.len() as i64 - 8_000;
                // What the resampler looks ahead, in samples of the lower rate.
                let most = 26 * 8_000 / i64::from(rate.min(8_000));
                assert!((0..=most).contains(&tail), "{rate} by {chunk}: {tail}");
                let share = measure::share_at(&sent[100..7_900], 8_000, 1_000.0);
                assert!(share > 0.999_9, "{rate} by {chunk}: {share}");
                assert!(outgoing.take_end() && !outgoing.take_end());
            }
        }
    }

    #[test]
    fn half_a_frame_waits_for_its_other_half_but_not_for_long() {
        let mut outgoing = Outgoing::new(8_000);
        let mut frame = [0; 160];
        outgoing.write(8_000, &[5; 80]);
        assert_eq!(outgoing.take(&mut frame), 0, "more may come");
        outgoing.write(8_000, &[6; 100]);
        assert_eq!(outgoing.take(&mut frame), 160);
        assert_eq!((frame[79], frame[80]), (5, 6));
        assert_eq!(outgoing.take(&mut frame), 20, "nothing came");
        assert_eq!((frame[19], frame[20]), (6, 0));
        assert!(!outgoing.take_end());
        assert_eq!(outgoing.take(&mut frame), 0);
        assert!(outgoing.take_end());
    }

    #[test]
    fn a_mark_waits_for_what_the_resampler_holds() {
        let mut outgoing = Outgoing::new(8_000);
        outgoing.write(48_000, &[9; 41 * 48]);
        outgoing.mark();
        let mut frame = [0; 160];
        for passed in [None, None, Some(true)] {
            let count = outgoing.take(&mut frame);
            outgoing.handle_sent(count);
            assert_eq!(outgoing.take_mark(), passed);
        }
        assert_eq!(outgoing.marks(), 0);
    }

    #[test]
    fn a_queue_holds_a_minute_and_no_more() {
        let mut outgoing = Outgoing::new(8_000);
        assert_eq!(outgoing.write(8_000, &vec![1; 500_000]), 480_000);
        assert_eq!(outgoing.write(8_000, &[1; 10]), 0);
        assert_eq!(outgoing.queued(), Duration::from_secs(60));
        let mut frame = [0; 160];
        outgoing.take(&mut frame);
        assert!((479..=481).contains(&outgoing.write(24_000, &[1; 1_000])));
        // And 3 ms that the resampler holds.
        assert_eq!(outgoing.flush(), Duration::from_millis(60_003));
        assert_eq!(outgoing.queued(), Duration::ZERO);
        assert!(!outgoing.take_end(), "dropped is not sent");
        assert_eq!(outgoing.write(0, &[1; 10]), 0);
        assert_eq!(outgoing.write(1_000_000, &[1; 10]), 0);
    }

    #[test]
    fn reading_gives_what_is_available_at_any_rate() {
        for rate in [8_000, 16_000, 24_000, 44_100, 48_000] {
            let mut incoming = Incoming::new(8_000);
            let mut tone = Tone::new(8_000, 700, 9_000);
            let mut heard = Vec::new();
            for i in 0..100 {
                incoming.push(&tone.take(160));
                let available = incoming.available(rate);
                let mut out = vec![0; available + 7];
                // All of it, or a part and the rest.
                let first = if i % 2 == 0 { available + 7 } else { available / 3 };
                let count = incoming.read(rate, &mut out[..first]);
                let rest = incoming.read(rate, &mut out[count..]);
                assert_eq!(count + rest, available, "{rate}");
                heard.extend(&out[..available]);
            }
            assert!(heard.len().abs_diff(2 * rate as usize) <= 1, "{rate}: {}", heard.len());
            let steady = &heard[heard.len() / 10..];
            assert!(measure::share_at(steady, rate, 700.0) > 0.999_9);
            assert_eq!(incoming.unread(), 0);
        }
    }

    #[test]
    fn what_nobody_reads_is_dropped_oldest_first() {
        let mut incoming = Incoming::new(8_000);
        for i in 0..100i16 {
            incoming.push(&[i; 160]);
        }
        assert_eq!(incoming.available(8_000), 8_000);
        assert_eq!(incoming.unread(), 8_000);
        let mut out = [0; 1];
        incoming.read(8_000, &mut out);
        assert_eq!(out, [50]);
        assert_eq!(incoming.available(1), 0);
        assert_eq!(incoming.read(1, &mut out), 0);
    }
}
