//! What a network does to the packets between two hosts.

use super::random::Random;
use crate::time::{Duration, Instant};

/// After how long a lost piece of a stream is sent again at first, and how often at most.
const RETRANSMIT_AFTER: Duration = Duration::from_millis(200);
const RETRANSMISSIONS: u32 = 7;

/// The path from one host to another. The default delivers everything, in order, after 1 ms.
///
/// Rates are in permille: 50 is 5 %.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// How long every packet takes. At least 1 µs is used, so that time always passes.
    pub delay: Duration,
    /// The most by which a packet may take longer; uniformly spread. Jitter alone keeps the order.
    pub jitter: Duration,
    /// How many of 1,000 packets are lost, each independently of the others.
    pub loss_permille: u16,
    /// Losses that come in bursts, besides the above.
    pub burst: Option<Burst>,
    /// How many of 1,000 packets arrive twice.
    pub duplicate_permille: u16,
    /// How many of 1,000 packets are held back so that later ones overtake them.
    pub reorder_permille: u16,
    /// The most by which a held-back packet is late; uniformly spread from 1 µs.
    pub reorder_by: Duration,
}

/// Bursty loss after Gilbert and Elliott: the link is in a good or a bad state and may change it
/// with every packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Burst {
    /// Of 1,000 packets in the good state, how many find the link turned bad.
    pub enter_permille: u16,
    /// Of 1,000 packets in the bad state, how many find it good again; 1,000 / this is the mean
    /// length of a burst.
    pub leave_permille: u16,
    /// How many of 1,000 packets are lost in the bad state.
    pub loss_permille: u16,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(1),
            jitter: Duration::ZERO,
            loss_permille: 0,
            burst: None,
            duplicate_permille: 0,
            reorder_permille: 0,
            reorder_by: Duration::from_millis(30),
        }
    }
}

impl Link {
    /// What a packet meets that never leaves its host.
    pub(super) const LOOPBACK: Self = Self {
        delay: Duration::from_micros(20),
        jitter: Duration::ZERO,
        loss_permille: 0,
        burst: None,
        duplicate_permille: 0,
        reorder_permille: 0,
        reorder_by: Duration::ZERO,
    };

    /// A link that loses `permille` of 1,000 packets and is otherwise the default.
    pub fn lossy(permille: u16) -> Self {
        Self { loss_permille: permille, ..Self::default() }
    }

    /// A link that takes `delay` and is otherwise the default.
    pub fn slow(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }
}

/// One direction of a link in use. Each has its own random numbers, so that traffic elsewhere does
/// not change what happens here.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) link: Link,
    random: Random,
    bad: bool,
    last_arrival: Instant,
}

/// When the copies of one packet arrive: none, one or two.
pub(super) type Arrivals = [Option<Instant>; 2];

impl Path {
    pub(super) fn new(link: Link, random: Random) -> Self {
        Self { link, random, bad: false, last_arrival: Instant::ZERO }
    }

    /// Decides what happens to a packet sent `now`.
    pub(super) fn carry(&mut self, now: Instant) -> Arrivals {
        if self.is_lost() {
            return [None, None];
        }
        let first = self.arrival(now);
        let second = self.random.chance(self.link.duplicate_permille).then(|| self.arrival(now));
        [Some(first), second]
    }

    /// When a piece of a stream sent `now` arrives: one that is lost is sent again, twice as late each
    /// time; `None` when that is of no use.
    pub(super) fn carry_stream(&mut self, now: Instant) -> Option<Instant> {
        let mut sent = now;
        let mut again = RETRANSMIT_AFTER;
        for _ in 0..=RETRANSMISSIONS {
            let jitter = self.random.up_to(self.link.jitter.as_micros());
            if !self.is_lost() {
                let delay = Duration::from_micros(self.link.delay.as_micros().max(1));
                return Some(sent + delay + Duration::from_micros(jitter));
            }
            sent += again;
            again = again * 2;
        }
        None
    }

    fn is_lost(&mut self) -> bool {
        let mut lost = self.random.chance(self.link.loss_permille);
        if let Some(burst) = self.link.burst {
            let change = if self.bad { burst.leave_permille } else { burst.enter_permille };
            self.bad ^= self.random.chance(change);
            lost |= self.bad && self.random.chance(burst.loss_permille);
        }
        lost
    }

    fn arrival(&mut self, now: Instant) -> Instant {
        let delay = self.link.delay.as_micros().max(1);
        let jitter = self.random.up_to(self.link.jitter.as_micros());
        let arrival = now + Duration::from_micros(delay) + Duration::from_micros(jitter);
        if self.random.chance(self.link.reorder_permille) {
            let late = 1 + self.random.up_to(self.link.reorder_by.as_micros().saturating_sub(1));
            return arrival + Duration::from_micros(late);
        }
        self.last_arrival = self.last_arrival.max(arrival);
        self.last_arrival
    }
}
