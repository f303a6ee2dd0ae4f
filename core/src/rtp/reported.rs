//! What a session reports: events, and digits that wait to be taken.

use std::collections::VecDeque;

use crate::media::MediaEvent;
use crate::time::{Duration, Instant};

/// How many events may wait to be reported; beyond, the oldest are dropped.
const MAX_EVENTS: usize = 256;
/// How many digits may wait to be taken; the oldest go first.
const MAX_DIGITS: usize = 1_024;
/// How many recent are remembered to know their echoes.
const MAX_PRESSES: usize = 256;
/// How long after a digit the same one on another stream is the same press.
const ECHO: Duration = Duration::from_millis(300);

/// Events and digits.
#[derive(Debug, Default)]
pub(super) struct Reported {
    events: VecDeque<MediaEvent>,
    digits: VecDeque<char>,
    /// The digits of the last moment, where there are several streams.
    recent: Vec<ReportedDigit>,
}

/// A digit, and on which streams it was received.
#[derive(Debug)]
struct ReportedDigit {
    digit: char,
    at: Instant,
    streams: u128,
}

impl Reported {
    /// Takes an event of a stream; `alone` when there is no other.
    pub(super) fn handle_event(
        &mut self,
        now: Instant,
        stream: u8,
        alone: bool,
        event: MediaEvent,
    ) {
        if let MediaEvent::Dtmf { digit, .. } = event {
            if !alone && self.is_echo(now, stream, digit) {
                return;
            }
            push(&mut self.digits, MAX_DIGITS, digit);
        }
        self.push(event);
    }

    /// Adds an event of the session as a whole.
    pub(super) fn push(&mut self, event: MediaEvent) {
        push(&mut self.events, MAX_EVENTS, event);
    }

    pub(super) fn next(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    pub(super) fn digits(&self) -> usize {
        self.digits.len()
    }

    pub(super) fn take_digits(&mut self, length: Option<usize>) -> String {
        let count = length.unwrap_or(usize::MAX).min(self.digits.len());
        self.digits.drain(..count).collect()
    }

    /// Whether this press was heard on another stream: a peer that sends it on each pressed once.
    fn is_echo(&mut self, now: Instant, stream: u8, digit: char) -> bool {
        self.recent.retain(|press| now.since(press.at) < ECHO);
        let bit = 1 << stream.min(127);
        let mut others = self.recent.iter_mut();
        match others.find(|press| press.digit == digit && press.streams & bit == 0) {
            Some(press) => press.streams |= bit,
            None => {
                if self.recent.len() < MAX_PRESSES {
                    self.recent.push(ReportedDigit { digit, at: now, streams: bit });
                }
                return false;
            }
        }
        true
    }

    /// How many bytes it holds beside itself.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.events.capacity() * size_of::<MediaEvent>()
            + self.digits.capacity() * size_of::<char>()
    }
}

fn push<T>(queue: &mut VecDeque<T>, limit: usize, value: T) {
    if queue.len() >= limit {
        queue.pop_front();
    }
    queue.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_digits_give_way() {
        let mut reported = Reported::default();
        for index in 0..MAX_DIGITS + 2 {
            let digit = if index < 2 { '1' } else { '2' };
            let event = MediaEvent::Dtmf { digit, duration: Duration::ZERO };
            reported.handle_event(Instant::ZERO, 0, true, event);
        }
        assert_eq!(reported.digits(), MAX_DIGITS);
        assert_eq!(reported.take_digits(Some(1)), "2");
        assert_eq!(reported.take_digits(None), "2".repeat(MAX_DIGITS - 1));
        assert_eq!(reported.digits(), 0);
    }
}
