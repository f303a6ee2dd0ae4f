//! How early packets come before they are needed, and so how much delay a stream takes.

/// How long one window of observation is, in seconds; two of them decide.
const WINDOW_SECONDS: u32 = 4;
/// For this part of a second packets are watched before anything is concluded: half a second.
const OBSERVE_FIRST: u32 = 2;
/// How early the slowest packets shall be, as a part of a second: 10 ms, so that a host that is busy
/// for a moment is not heard.
const MARGIN: u32 = 100;
/// When they are less early than this part of a second, the delay grows before they are late: 4 ms.
const TOO_SMALL: u32 = 250;
/// The delay before anything is known, as a part of a second: 40 ms.
const INITIAL: u32 = 25;
/// The most delay that late packets can cause, in parts of a second: 400 ms.
const MAX_DELAY: (u32, u32) = (2, 5);
/// One late packet within the windows is an accident, more are the network's way.
const LATE_ENOUGH: u32 = 2;
/// More than this too much, as a part of a second, is no longer removed at leisure: 60 ms.
const URGENT: (u32, u32) = (3, 50);

/// How the playout delay should change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DelayChange {
    /// Nothing.
    Keep,
    /// Less delay, if nobody can hear how.
    LessIfQuiet,
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
    /// The least of those that were late: below zero, unless the delay has grown since.
    worst: Option<i32>,
}

impl Headroom {
    pub(crate) fn new(rate: u32) -> Self {
        let (now, before) = (Window::default(), Window::default());
        Self { rate, now, before, typical: None }
    }

    /// Counts samples of another rate from now on.
    pub(crate) fn set_rate(&mut self, rate: u32) {
        let scale = |count: i32| (i64::from(count) * i64::from(rate) / i64::from(self.rate)) as i32;
        for window in [&mut self.now, &mut self.before] {
            window.samples = scale(window.samples as i32) as u32;
            window.least = window.least.map(scale);
            window.worst = window.worst.map(scale);
        }
        self.typical = self.typical.map(scale);
        self.rate = rate;
    }

    /// A packet came that many samples before it is needed; below zero it was late.
    pub(crate) fn note(&mut self, early: i32) {
        if early < -self.max_delay() {
            // No delay that anybody would bear could have saved it.
            return;
        }
        if early < 0 {
            self.now.late += 1;
            self.now.worst = Some(self.now.worst.map_or(early, |worst| worst.min(early)));
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
            window.worst = window.worst.map(|worst| worst.saturating_add(by));
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
        let spread = self.typical() - self.least().unwrap_or_else(|| self.typical());
        (spread + self.margin()).clamp((self.rate / INITIAL) as i32, self.max_delay())
    }

    /// What to do about the delay; making it less takes up to `cost` samples of headroom.
    pub(crate) fn delay_change(&self, cost: i32) -> DelayChange {
        let full = self.typical() >= self.max_delay();
        let Some(least) = self.least() else { return DelayChange::Keep };
        if least < (self.rate / TOO_SMALL) as i32 {
            let urgent = -least > (self.rate / INITIAL) as i32;
            return if full { DelayChange::Keep } else { DelayChange::More { urgent } };
        }
        // Only what a whole window has seen is certain.
        let surplus = least - self.margin() - cost;
        if self.before.least.is_some() && surplus >= 0 {
            return DelayChange::Less {
                urgent: surplus > (self.rate * URGENT.0 / URGENT.1) as i32,
            };
        }
        // In a pause it costs nothing to be wrong.
        let seen = self.now.samples + self.before.samples >= self.rate / OBSERVE_FIRST;
        if seen && least - (self.rate / INITIAL) as i32 - cost >= 0 {
            return DelayChange::LessIfQuiet;
        }
        DelayChange::Keep
    }

    /// The least of what counts, with what was late once that is more than an accident.
    fn least(&self) -> Option<i32> {
        let (now, before) = (&self.now, &self.before);
        let (late, late_before) =
            if self.is_late() { (now.worst, before.worst) } else { (None, None) };
        [now.least, before.least, late, late_before].into_iter().flatten().min()
    }

    fn is_late(&self) -> bool {
        self.now.late + self.before.late >= LATE_ENOUGH
    }

    fn margin(&self) -> i32 {
        (self.rate / MARGIN) as i32
    }

    fn max_delay(&self) -> i32 {
        (self.rate * MAX_DELAY.0 / MAX_DELAY.1) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: i32 = 160;

    /// Two windows in which packets come that early, one after another.
    fn watched(early: &[i32]) -> Headroom {
        let mut headroom = Headroom::new(8_000);
        for i in 0..2 * WINDOW_SECONDS as usize * 50 {
            headroom.note(early[i % early.len()]);
            headroom.played(FRAME as u32);
        }
        headroom
    }

    #[test]
    fn the_slowest_packets_decide() {
        assert_eq!(watched(&[400]).delay_change(FRAME), DelayChange::Less { urgent: false });
        assert_eq!(watched(&[400]).delay_change(400), DelayChange::Keep, "too dear");
        assert_eq!(watched(&[2_000]).delay_change(FRAME), DelayChange::Less { urgent: true });
        assert_eq!(watched(&[400, 2_000, 100]).delay_change(FRAME), DelayChange::Keep);
        assert_eq!(
            watched(&[400, 2_000, 10]).delay_change(FRAME),
            DelayChange::More { urgent: false }
        );
        assert_eq!(watched(&[400, -100]).delay_change(FRAME), DelayChange::More { urgent: false });
        assert_eq!(watched(&[400, -1_000]).delay_change(FRAME), DelayChange::More { urgent: true });
    }

    #[test]
    fn a_short_look_is_enough_for_a_pause() {
        let mut headroom = Headroom::new(8_000);
        for i in 0..100 {
            let expected = if i < 25 { DelayChange::Keep } else { DelayChange::LessIfQuiet };
            assert_eq!(headroom.delay_change(FRAME), expected, "{i}");
            headroom.note(500);
            headroom.played(FRAME as u32);
        }
        headroom.shift(-100);
        assert_eq!(headroom.delay_change(FRAME), DelayChange::Keep);
    }

    #[test]
    fn one_late_packet_is_an_accident_and_a_hopeless_one_none_at_all() {
        let mut headroom = watched(&[150]);
        headroom.note(-500);
        assert_eq!(headroom.delay_change(FRAME), DelayChange::Keep);
        headroom.note(-500);
        assert_eq!(headroom.delay_change(FRAME), DelayChange::More { urgent: true });
        let mut headroom = watched(&[150]);
        for _ in 0..10 {
            headroom.note(-8_000);
        }
        assert_eq!(headroom.delay_change(FRAME), DelayChange::Keep);
    }

    #[test]
    fn a_change_of_the_delay_changes_what_was_seen() {
        let mut headroom = watched(&[400]);
        headroom.shift(-300);
        assert_eq!((headroom.typical(), headroom.delay_change(FRAME)), (100, DelayChange::Keep));
        headroom.shift(300);
        assert_eq!(headroom.wanted(), 320, "nothing was late, whatever it was shifted by");
        let mut headroom = watched(&[300, -160]);
        headroom.shift(200);
        assert_eq!(headroom.delay_change(FRAME), DelayChange::Keep, "it is no longer late");
    }

    #[test]
    fn the_delay_has_an_end() {
        let headroom = watched(&[3_200, -160]);
        assert!(headroom.wanted() <= 3_200);
        assert_eq!(watched(&[9_000, -160]).delay_change(FRAME), DelayChange::Keep);
    }
}
