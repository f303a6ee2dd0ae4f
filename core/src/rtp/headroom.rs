//! How early packets come before they are needed, and so how much delay a stream takes.

/// How long one window of observation is, in seconds; two of them decide.
const WINDOW_SECONDS: u32 = 2;
/// How early the slowest packets shall be, as a part of a second: 5 ms.
const MARGIN: u32 = 200;
/// When they are less early than this part of a second, the delay grows before they are late: 2 ms.
const SCANT: u32 = 500;
/// The delay before anything is known, as a part of a second: 40 ms.
const INITIAL: u32 = 25;
/// The most delay that late packets can cause, in parts of a second: 400 ms.
const MAX_DELAY: (u32, u32) = (2, 5);
/// One late packet within the windows is an accident, more are the network's way.
const LATE_ENOUGH: u32 = 2;
/// More than this too much, as a part of a second, is no longer removed at leisure: 60 ms.
const URGENT: (u32, u32) = (3, 50);

/// What would bring the delay closer to what it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wish {
    /// Nothing.
    Keep,
    /// Less delay, now or at the next good moment.
    Less { urgent: bool },
    /// More delay, now or at the next good moment.
    More { urgent: bool },
}

/// Watches by how many samples packets precede the moment at which they are needed.
#[derive(Clone, Debug)]
pub(crate) struct Headroom {
    rate: u32,
    now: Window,
    before: Window,
    /// An average, in 1/16 samples.
    typical: Option<i32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    samples: u32,
    /// The least of those that were not late.
    least: Option<i32>,
    late: u32,
    /// The worst of those that were late: below zero.
    worst: i32,
}

impl Headroom {
    pub(crate) fn new(rate: u32) -> Self {
        let (now, before) = (Window::default(), Window::default());
        Self { rate, now, before, typical: None }
    }

    /// A packet came that many samples before it is needed; below zero it was late.
    pub(crate) fn note(&mut self, early: i32) {
        if early < -self.max_delay() {
            // No delay that anybody would bear could have saved it.
            return;
        }
        if early < 0 {
            self.now.late += 1;
            self.now.worst = self.now.worst.min(early);
        } else {
            self.now.least = Some(self.now.least.map_or(early, |least| least.min(early)));
        }
        let scaled = early.clamp(-1 << 24, 1 << 24) * 16;
        self.typical = Some(self.typical.map_or(scaled, |t| t + (scaled - t) / 16));
    }

    /// The delay has become larger by that much, or smaller.
    pub(crate) fn shift(&mut self, by: i32) {
        for window in [&mut self.now, &mut self.before] {
            window.least = window.least.map(|least| least.saturating_add(by));
            window.worst = window.worst.saturating_add(by).min(0);
        }
        self.typical = self.typical.map(|t| t.saturating_add(by.saturating_mul(16)));
    }

    /// Time goes by.
    pub(crate) fn played(&mut self, samples: u32) {
        self.now.samples = self.now.samples.saturating_add(samples);
        if self.now.samples >= self.rate * WINDOW_SECONDS {
            self.before = core::mem::take(&mut self.now);
        }
    }

    /// How early packets come as a rule, in samples.
    pub(crate) fn typical(&self) -> i32 {
        self.typical.unwrap_or(0) / 16
    }

    /// How early the first packet after a silence should be: as early as makes the slowest of them
    /// come in time.
    pub(crate) fn wanted(&self) -> i32 {
        let least = self.least().unwrap_or_else(|| self.typical());
        let spread = self.typical() - least.min(self.worst());
        (spread + self.margin()).clamp((self.rate / INITIAL) as i32, self.max_delay())
    }

    /// What to do about the delay; making it less takes up to `cost` samples of headroom.
    pub(crate) fn wish(&self, cost: i32) -> Wish {
        let full = self.typical() >= self.max_delay();
        if self.now.late + self.before.late >= LATE_ENOUGH && self.worst() < 0 {
            let urgent = -self.worst() > (self.rate / INITIAL) as i32;
            return if full { Wish::Keep } else { Wish::More { urgent } };
        }
        let Some(least) = self.least() else { return Wish::Keep };
        if least < (self.rate / SCANT) as i32 && !full {
            return Wish::More { urgent: false };
        }
        // Only what a whole window has seen is certain.
        let surplus = least - self.margin() - cost;
        if self.before.least.is_none() || surplus < 0 {
            return Wish::Keep;
        }
        Wish::Less { urgent: surplus > (self.rate * URGENT.0 / URGENT.1) as i32 }
    }

    fn least(&self) -> Option<i32> {
        [self.now.least, self.before.least].into_iter().flatten().min()
    }

    fn worst(&self) -> i32 {
        self.now.worst.min(self.before.worst)
    }

    fn margin(&self) -> i32 {
        (self.rate / MARGIN) as i32
    }

    fn max_delay(&self) -> i32 {
        (self.rate * MAX_DELAY.0 / MAX_DELAY.1) as i32
    }
}
