//! What became of the calls, counted.

use std::collections::BTreeMap;
use std::time::Duration;

use offhook::{EndedBy, Ending, Error, MediaStats};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::output::rounded;

/// What became of one call.
#[derive(Debug)]
pub(super) struct Fate {
    setup: Option<Duration>,
    stats: Option<MediaStats>,
    end: End,
}

#[derive(Debug)]
enum End {
    /// It was answered, and hung up by one side.
    Done(EndedBy),
    /// We gave it up before it was answered, because a signal has asked us to end.
    Interrupted,
    /// It failed: the code of the response or the error.
    Failed(String),
}

impl Fate {
    /// A call that was not answered.
    pub(super) fn failed(error: &Error) -> Self {
        let code = error.cause().map(|cause| cause.code.to_string());
        let code = code.unwrap_or_else(|| error.code().to_owned());
        Self { setup: None, stats: None, end: End::Failed(code) }
    }

    /// A call that was given up because a signal has asked us to end.
    pub(super) fn interrupted() -> Self {
        Self { setup: None, stats: None, end: End::Interrupted }
    }

    /// A call of which nothing is known.
    pub(super) fn lost() -> Self {
        Self { setup: None, stats: None, end: End::Failed("internal".to_owned()) }
    }

    /// A call that was answered, and whose end nobody confirmed.
    pub(super) fn unanswered_bye(ending: &Ending) -> Self {
        Self { end: End::Failed("bye_unanswered".to_owned()), ..Self::over(ending) }
    }

    /// A call that was answered.
    pub(super) fn over(ending: &Ending) -> Self {
        let end = match ending.by {
            EndedBy::Local | EndedBy::Remote => End::Done(ending.by),
            EndedBy::Timeout => End::Failed("fell_silent".to_owned()),
            EndedBy::Error => End::Failed("ended_by_error".to_owned()),
        };
        Self { setup: ending.setup, stats: Some(ending.stats), end }
    }
}

/// The sum of all fates.
#[derive(Debug)]
pub(super) struct Tally {
    rate: f64,
    media: bool,
    began: Instant,
    /// When the last call was over, or the end was asked for.
    took: Duration,
    first: Option<Instant>,
    last: Option<Instant>,
    /// How long the limit kept calls from being placed.
    pub(super) limited: Duration,
    placed: u64,
    peak: usize,
    answered: u64,
    interrupted: u64,
    hung_up_there: u64,
    failures: BTreeMap<String, u64>,
    setups: Vec<Duration>,
    sound: Sound,
}

/// What the media of all calls did.
#[derive(Debug, Default)]
struct Sound {
    sent: u64,
    received: u64,
    lost: u64,
    remote_lost: u64,
    jitters: Vec<Duration>,
}

impl Tally {
    pub(super) fn new(rate: f64, media: bool) -> Self {
        Self {
            rate,
            media,
            began: Instant::now(),
            took: Duration::ZERO,
            first: None,
            last: None,
            limited: Duration::ZERO,
            placed: 0,
            peak: 0,
            answered: 0,
            interrupted: 0,
            hung_up_there: 0,
            failures: BTreeMap::new(),
            setups: Vec::new(),
            sound: Sound::default(),
        }
    }

    /// Counts a call that is placed now, with which `active` are up.
    pub(super) fn place(&mut self, active: usize) {
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = Some(now);
        self.placed += 1;
        self.peak = self.peak.max(active);
    }

    pub(super) fn add(&mut self, fate: Fate) {
        self.answered += u64::from(fate.setup.is_some());
        self.setups.extend(fate.setup);
        match fate.end {
            End::Done(by) => self.hung_up_there += u64::from(by == EndedBy::Remote),
            End::Interrupted => self.interrupted += 1,
            End::Failed(code) => *self.failures.entry(code).or_default() += 1,
        }
        if let Some(stats) = fate.stats {
            self.sound.sent += stats.sent;
            self.sound.received += stats.received;
            self.sound.lost += stats.lost;
            self.sound.remote_lost += stats.remote_lost;
            self.sound.jitters.push(Duration::from_micros(stats.jitter_us));
        }
    }

    /// No more calls are placed.
    pub(super) fn stop(&mut self) {
        self.took = self.began.elapsed();
    }

    pub(super) fn placed(&self) -> u64 {
        self.placed
    }

    pub(super) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Calls a second, from the first placed to the last; `None` when there were not two.
    pub(super) fn achieved_rate(&self) -> Option<f64> {
        let time = self.last?.duration_since(self.first?).as_secs_f64();
        (self.placed > 1 && time > 0.0).then(|| (self.placed - 1) as f64 / time)
    }

    /// Everything, for programs.
    pub(super) fn value(&self) -> Value {
        let mut value = json!({
            "event": "load",
            "calls": self.placed,
            "answered": self.answered,
            "failed": self.failed(),
            "failures": self.failures,
            "interrupted": self.interrupted,
            "hung_up_remotely": self.hung_up_there,
            "rate": self.rate,
            "achieved_rate": self.achieved_rate().map(rounded),
            "peak_active": self.peak,
            "limited_ms": self.limited.as_millis() as u64,
            "duration_ms": self.took.as_millis() as u64,
            "setup_ms": Percentiles::of(&self.setups).map(|setup| setup.value()),
        });
        if self.media {
            let sound = &self.sound;
            value["media"] = json!({
                "sent": sound.sent,
                "received": sound.received,
                "lost": sound.lost,
                "lost_percent": rounded(percent(sound.lost, sound.received)),
                "lost_remotely": sound.remote_lost,
                "jitter_ms": Percentiles::of(&sound.jitters).map(|jitter| jitter.value()),
            });
        }
        value
    }

    /// Everything, for people.
    pub(super) fn text(&self) -> String {
        let (placed, answered, failed) = (self.placed, self.answered, self.failed());
        let seconds = self.took.as_secs_f64();
        let mut lines =
            vec![format!("{placed} calls in {seconds:.1} s: {answered} answered, {failed} failed")];
        if self.interrupted > 0 {
            lines.push(format!("given up at the end: {}", self.interrupted));
        }
        let mut failures: Vec<_> = self.failures.iter().collect();
        failures.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (code, count) in failures {
            lines.push(format!("failed with {code}: {count}"));
        }
        if let Some(rate) = self.achieved_rate() {
            let (asked, peak) = (self.rate, self.peak);
            let mut line = format!("rate: {rate:.1} of {asked} calls/s; at most {peak} at once");
            if !self.limited.is_zero() {
                let limited = self.limited.as_secs_f64();
                line.push_str(&format!("; {limited:.1} s spent at the limit"));
            }
            lines.push(line);
        }
        if let Some(setup) = Percentiles::of(&self.setups) {
            lines.push(format!("setup: {}", setup.text()));
        }
        if self.media {
            let Sound { sent, received, lost, remote_lost, jitters } = &self.sound;
            let share = percent(*lost, *received);
            lines.push(format!(
                "sound: sent {sent}, of which {remote_lost} were missed there; received {received}, \
                 lost {lost} ({share:.3} %)"
            ));
            if let Some(jitter) = Percentiles::of(jitters) {
                lines.push(format!("jitter: {}", jitter.text()));
            }
        }
        lines.join("\n")
    }
}

/// How much of everything is missing.
fn percent(lost: u64, received: u64) -> f64 {
    match lost + received {
        0 => 0.0,
        all => lost as f64 * 100.0 / all as f64,
    }
}

/// A distribution, by nearest rank: the least value that this share does not exceed.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Percentiles {
    p50: Duration,
    p90: Duration,
    p99: Duration,
    max: Duration,
}

impl Percentiles {
    /// `None` when there is nothing to describe.
    fn of(values: &[Duration]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let max = *sorted.last()?;
        let rank = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(index).copied().unwrap_or(max)
        };
        Some(Self { p50: rank(50), p90: rank(90), p99: rank(99), max })
    }

    fn value(self) -> Value {
        let ms = |duration: Duration| rounded(duration.as_secs_f64() * 1_000.0);
        let Self { p50, p90, p99, max } = self;
        json!({ "p50": ms(p50), "p90": ms(p90), "p99": ms(p99), "max": ms(max) })
    }

    fn text(self) -> String {
        let Self { p50, p90, p99, max } = self;
        let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        let (p50, p90, p99, max) = (ms(p50), ms(p90), ms(p99), ms(max));
        format!("p50 {p50:.1}, p90 {p90:.1}, p99 {p99:.1}, max {max:.1} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let ms = Duration::from_millis;
        assert_eq!(Percentiles::of(&[]), None);
        let one = Percentiles::of(&[ms(7)]).unwrap();
        assert_eq!((one.p50, one.p99, one.max), (ms(7), ms(7), ms(7)));
        let many: Vec<_> = (1..=1_000).rev().map(ms).collect();
        let Percentiles { p50, p90, p99, max } = Percentiles::of(&many).unwrap();
        assert_eq!([p50, p90, p99, max], [500, 900, 990, 1_000].map(ms));
    }

    #[test]
    fn failures_are_counted_by_code() {
        let busy = offhook::Cause::new(486, "Busy Here");
        let busy = Error::Rejected { cause: busy };
        let mut tally = Tally::new(10.0, false);
        for error in [busy.clone(), Error::Unreachable, busy] {
            tally.place(1);
            tally.add(Fate::failed(&error));
        }
        tally.place(1);
        tally.add(Fate::interrupted());
        let value = tally.value();
        assert_eq!(value["failures"], json!({ "486": 2, "unreachable": 1 }));
        assert_eq!((&value["failed"], &value["interrupted"]), (&json!(3), &json!(1)));
        assert_eq!((&value["answered"], &value["setup_ms"]), (&json!(0), &json!(null)));
        assert!(tally.text().contains("failed with 486: 2\nfailed with unreachable: 1"));
        assert_eq!(percent(1, 99), 1.0);
    }
}
