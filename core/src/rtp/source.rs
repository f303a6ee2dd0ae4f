//! A source of RTP packets as its sequence numbers show it: whether it is one (RFC 3550 §A.1), what
//! it lost (§A.3) and how unevenly its packets come (§A.8).

/// How far ahead a sequence number may be and still continue the stream (§A.1).
const MAX_DROPOUT: u16 = 3_000;
/// How far behind (§A.1).
const MAX_MISORDER: u16 = 100;
/// A step of the transit time larger than this many seconds is a new clock, not jitter.
const MAX_TRANSIT_STEP_SECONDS: u32 = 2;

/// What a packet is to its source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// Not yet known whether the source is one.
    Probation,
    /// It carries the stream on; its sequence number, counted on past 65535.
    Next(u64),
    /// It came after one with a higher number.
    Reordered(u64),
    /// It came before.
    Duplicate,
    /// It is far from the others; the source may have restarted, as the next one will show.
    Stray,
    /// The source has restarted: everything about it begins anew.
    Restarted(u64),
}

/// One source.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    ssrc: u32,
    /// How many more packets in sequence are wanted before it is accepted.
    probation: u8,
    base: u64,
    highest: u64,
    /// Bit n: `highest - n` was received.
    recent: u128,
    /// The number that would confirm a restart.
    restart: Option<u16>,
    received: u64,
    duplicates: u64,
    /// The sums of earlier lives, before the source restarted.
    past: Counts,
    expected_prior: u64,
    received_prior: u64,
    transit: Option<u32>,
    /// In 1/16 timestamp units.
    jitter: u32,
    /// The rate of the clock of its timestamps; zero before the first.
    clock_rate: u32,
}

/// What came of a source, and what did not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) duplicates: u64,
}

impl Source {
    /// A source of which `sequence` was the first packet; it is accepted after `probation` more in
    /// sequence, at once when that is zero.
    pub(crate) fn new(ssrc: u32, sequence: u16, probation: u8) -> Self {
        let mut source = Self {
            ssrc,
            probation,
            base: 0,
            highest: 0,
            recent: 0,
            restart: None,
            received: 0,
            duplicates: 0,
            past: Counts::default(),
            expected_prior: 0,
            received_prior: 0,
            transit: None,
            jitter: 0,
            clock_rate: 0,
        };
        source.begin(u64::from(sequence) + FIRST_CYCLE);
        // The first is counted when it is handed to `handle_sequence`.
        source.recent = 0;
        source.received = 0;
        source
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Takes note of a packet (§A.1).
    pub(crate) fn handle_sequence(&mut self, sequence: u16) -> Arrival {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        if self.probation > 0 {
            if ahead == 1 {
                self.probation -= 1;
            }
            let number = self.highest + u64::from(ahead);
            self.begin(number);
            if self.probation > 0 {
                return Arrival::Probation;
            }
            return Arrival::Next(number);
        }
        if self.received == 0 && ahead == 0 {
            self.begin(self.highest);
            return Arrival::Next(self.highest);
        }
        if ahead == 0 {
            return self.duplicate();
        }
        if ahead < MAX_DROPOUT {
            self.highest += u64::from(ahead);
            self.recent = self.recent.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            self.received += 1;
            self.restart = None;
            return Arrival::Next(self.highest);
        }
        let behind = ahead.wrapping_neg();
        if behind <= MAX_MISORDER {
            let bit = 1u128 << behind;
            if self.recent & bit != 0 {
                return self.duplicate();
            }
            self.recent |= bit;
            self.received += 1;
            let number = self.highest - u64::from(behind);
            // Sent before the first one that we saw.
            self.base = self.base.min(number);
            return Arrival::Reordered(number);
        }
        if self.restart == Some(sequence) {
            self.past = self.counts();
            // In a cycle of its own, so that no old number equals a new one.
            let number = ((self.highest >> 16) + 2) << 16 | u64::from(sequence);
            self.duplicates = 0;
            self.begin(number);
            return Arrival::Restarted(number);
        }
        self.restart = Some(sequence.wrapping_add(1));
        Arrival::Stray
    }

    /// Takes note of when an audio packet came, in timestamp units (§A.8).
    pub(crate) fn handle_arrival(&mut self, arrival: u32, timestamp: u32, clock_rate: u32) {
        let transit = arrival.wrapping_sub(timestamp);
        if core::mem::replace(&mut self.clock_rate, clock_rate) != clock_rate {
            // Transit times by two clocks cannot be compared (RFC 7160 §4.3).
            (self.transit, self.jitter) = (None, 0);
        }
        if let Some(before) = self.transit.replace(transit) {
            let step = (transit.wrapping_sub(before) as i32).unsigned_abs();
            if step < clock_rate * MAX_TRANSIT_STEP_SECONDS {
                self.jitter += step;
                self.jitter -= (self.jitter - step + 8) >> 4;
            }
        }
    }

    /// Interarrival jitter in timestamp units (§6.4.1).
    pub(crate) fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    /// The same in microseconds.
    pub(crate) fn jitter_us(&self) -> u64 {
        u64::from(self.jitter) * 1_000_000 / u64::from(self.clock_rate.max(1)) / 16
    }

    /// The highest sequence number received, extended by its cycles (§6.4.1).
    pub(crate) fn extended_highest(&self) -> u32 {
        (self.highest - FIRST_CYCLE) as u32
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            received: self.past.received + self.received,
            lost: self.past.lost + self.expected().saturating_sub(self.received),
            duplicates: self.past.duplicates + self.duplicates,
        }
    }

    /// The cumulative number of packets lost, as a report carries it: duplicates make it smaller,
    /// and it is kept within 24 bits (§A.3).
    pub(crate) fn cumulative_lost(&self) -> i32 {
        let received = self.received + self.duplicates;
        let lost = self.expected() as i64 - received as i64;
        lost.clamp(-0x80_0000, 0x7F_FFFF) as i32
    }

    /// The part of packets lost since this was last asked, in 1/256 (§A.3).
    pub(crate) fn take_fraction_lost(&mut self) -> u8 {
        let (expected, received) = (self.expected(), self.received + self.duplicates);
        let expected_since = expected.saturating_sub(self.expected_prior);
        let received_since = received.saturating_sub(self.received_prior);
        (self.expected_prior, self.received_prior) = (expected, received);
        let lost = expected_since.saturating_sub(received_since);
        (lost * 256).checked_div(expected_since).map_or(0, |part| part.min(255) as u8)
    }

    fn expected(&self) -> u64 {
        if self.received == 0 { 0 } else { self.highest - self.base + 1 }
    }

    fn begin(&mut self, number: u64) {
        (self.base, self.highest) = (number, number);
        self.recent = 1;
        self.restart = None;
        self.received = 1;
        (self.expected_prior, self.received_prior) = (0, 0);
    }

    fn duplicate(&mut self) -> Arrival {
        self.duplicates += 1;
        Arrival::Duplicate
    }
}

/// Sequence numbers are counted from here, so that one before the first is not below zero.
const FIRST_CYCLE: u64 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(first: u16) -> Source {
        let mut source = Source::new(1, first, 0);
        assert_eq!(source.handle_sequence(first), Arrival::Next(u64::from(first) + FIRST_CYCLE));
        source
    }

    #[test]
    fn a_source_is_believed_after_packets_in_sequence() {
        let mut source = Source::new(1, 10, 1);
        assert_eq!(source.handle_sequence(10), Arrival::Probation);
        assert_eq!(source.handle_sequence(500), Arrival::Probation);
        assert_eq!(source.handle_sequence(501), Arrival::Next(501 + FIRST_CYCLE));
        assert_eq!(source.counts(), Counts { received: 1, lost: 0, duplicates: 0 });
    }

    #[test]
    fn numbers_are_counted_on_past_the_wrap() {
        let mut source = accepted(0xFFFE);
        assert_eq!(source.handle_sequence(0xFFFF), Arrival::Next(0xFFFF + FIRST_CYCLE));
        assert_eq!(source.handle_sequence(1), Arrival::Next(0x1_0001 + FIRST_CYCLE));
        assert_eq!(source.handle_sequence(0), Arrival::Reordered(0x1_0000 + FIRST_CYCLE));
        assert_eq!(source.handle_sequence(0), Arrival::Duplicate);
        assert_eq!(source.handle_sequence(0xFFFF), Arrival::Duplicate);
        assert_eq!(source.extended_highest(), 0x1_0001);
        assert_eq!(source.counts(), Counts { received: 4, lost: 0, duplicates: 2 });
    }

    #[test]
    fn the_one_before_the_first_is_no_loss() {
        let mut source = accepted(0);
        assert_eq!(source.handle_sequence(0xFFFF), Arrival::Reordered(0xFFFF));
        assert_eq!(source.counts(), Counts { received: 2, lost: 0, duplicates: 0 });
    }

    #[test]
    fn loss_is_what_the_numbers_promise() {
        let mut source = accepted(100);
        for sequence in (101..=200).filter(|s| s % 4 != 0) {
            source.handle_sequence(sequence);
        }
        source.handle_sequence(201);
        assert_eq!(source.counts().lost, 25);
        assert_eq!(source.cumulative_lost(), 25);
        assert_eq!(source.take_fraction_lost(), (25 * 256 / 102) as u8);
        assert_eq!(source.take_fraction_lost(), 0, "since the last time");
        source.handle_sequence(203);
        assert_eq!(source.take_fraction_lost(), 128);
        for _ in 0..30 {
            source.handle_sequence(203);
        }
        assert_eq!(source.cumulative_lost(), -4, "duplicates count as received (A.3)");
        assert_eq!(source.take_fraction_lost(), 0);
    }

    #[test]
    fn a_restart_needs_two_packets_and_one_stray_changes_nothing() {
        let mut source = accepted(1_000);
        assert_eq!(source.handle_sequence(40_000), Arrival::Stray);
        assert_eq!(source.handle_sequence(1_001), Arrival::Next(1_001 + FIRST_CYCLE));
        assert_eq!(source.handle_sequence(40_001), Arrival::Stray, "the other came in between");
        let Arrival::Restarted(number) = source.handle_sequence(40_002) else { panic!() };
        assert_eq!(number as u16, 40_002);
        assert!(number > 40_000 + FIRST_CYCLE);
        assert_eq!(source.counts(), Counts { received: 3, lost: 0, duplicates: 0 });
        assert_eq!(source.handle_sequence(40_003), Arrival::Next(number + 1));
    }

    #[test]
    fn jitter_follows_the_formula() {
        let mut source = accepted(0);
        // Packets alternate 0 and 80 units (10 ms at 8 kHz) late: |D| is 80 each time.
        let mut arrival = 0xFFFF_FF00u32;
        for i in 0..1_000u32 {
            let late = if i % 2 == 0 { 0 } else { 80 };
            source.handle_arrival(arrival.wrapping_add(late), i * 160, 8_000);
            arrival = arrival.wrapping_add(160);
        }
        assert!((78..=80).contains(&source.jitter()), "{}", source.jitter());
        source.handle_arrival(arrival, 0x8000_0000, 8_000);
        assert!(source.jitter() <= 80, "a jump of the timestamp is not jitter");
    }

    #[test]
    fn any_sequence_of_numbers_keeps_the_sums_sane() {
        let mut source = Source::new(1, 7, 1);
        let mut state = 1u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let near = state >> 63 == 0;
            let random = (state >> 40) as u16;
            let sequence =
                if near { (source.highest as u16).wrapping_add(random % 5) } else { random };
            source.handle_sequence(sequence);
            assert!(source.highest >= source.base);
            source.take_fraction_lost();
        }
    }
}
