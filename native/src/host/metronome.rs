//! Wakes media tasks at their deadlines, to a few microseconds.
//!
//! Tokio's timers, and the poll beneath them, count whole milliseconds, which would show as jitter
//! in every packet sent. Here one alarm of the system (a timerfd on Linux; elsewhere a tokio timer)
//! serves all calls of a phone.

use std::collections::{BTreeSet, HashMap};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::task::AbortHandle;

/// The deadlines of a phone's media tasks.
#[derive(Debug)]
pub(crate) struct Metronome {
    score: Arc<Score>,
    task: AbortHandle,
}

impl Drop for Metronome {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Score {
    beats: Mutex<Beats>,
    alarm: Alarm,
}

#[derive(Debug, Default)]
struct Beats {
    last: u64,
    order: BTreeSet<(Instant, u64)>,
    entries: HashMap<u64, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    deadline: Option<Instant>,
    waker: Option<Waker>,
}

impl Metronome {
    /// Starts it; it ends when the last handle and [`Beat`] are dropped.
    pub(crate) fn start() -> Arc<Self> {
        let score = Arc::new(Score { beats: Mutex::default(), alarm: Alarm::new() });
        let task = tokio::spawn(ring(Arc::clone(&score))).abort_handle();
        Arc::new(Self { score, task })
    }

    /// A deadline of its own for a task.
    pub(crate) fn beat(self: &Arc<Self>) -> Beat {
        let mut beats = self.score.lock();
        beats.last += 1;
        let number = beats.last;
        beats.entries.insert(number, Entry::default());
        drop(beats);
        Beat { metronome: Arc::clone(self), number }
    }
}

/// One task's deadline.
#[derive(Debug)]
pub(crate) struct Beat {
    metronome: Arc<Metronome>,
    number: u64,
}

impl Beat {
    /// Sets the deadline, or takes it away.
    pub(crate) fn set(&self, deadline: Option<Instant>) {
        let score = &self.metronome.score;
        let mut beats = score.lock();
        let Beats { order, entries, .. } = &mut *beats;
        let Some(entry) = entries.get_mut(&self.number) else { return };
        if entry.deadline == deadline {
            return;
        }
        if let Some(old) = std::mem::replace(&mut entry.deadline, deadline) {
            order.remove(&(old, self.number));
        }
        if let Some(new) = deadline {
            order.insert((new, self.number));
            if order.first() == Some(&(new, self.number)) {
                score.alarm.set(new);
            }
        }
    }

    /// Waits until the deadline has passed; for ever when there is none. Cancel-safe.
    pub(crate) async fn due(&self) {
        poll_fn(|cx| self.poll_due(cx)).await;
    }

    fn poll_due(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut beats = self.metronome.score.lock();
        let Some(entry) = beats.entries.get_mut(&self.number) else { return Poll::Pending };
        if entry.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Poll::Ready(());
        }
        if !entry.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            entry.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.set(None);
        self.metronome.score.lock().entries.remove(&self.number);
    }
}

impl Score {
    /// Wakes the beats that are due, and sets the alarm for the next.
    fn wake(&self) {
        let mut beats = self.lock();
        let Beats { order, entries, .. } = &mut *beats;
        let now = Instant::now();
        while let Some(&(deadline, number)) = order.first() {
            if deadline > now {
                self.alarm.set(deadline);
                return;
            }
            order.pop_first();
            if let Some(waker) = entries.get_mut(&number).and_then(|entry| entry.waker.take()) {
                waker.wake();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Beats> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ring(score: Arc<Score>) {
    loop {
        score.alarm.rung().await;
        score.wake();
    }
}

/// The system's alarm.
#[derive(Debug)]
enum Alarm {
    #[cfg(target_os = "linux")]
    Exact(tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>),
    Coarse(tokio::sync::watch::Sender<Option<Instant>>),
}

impl Alarm {
    #[cfg(target_os = "linux")]
    fn new() -> Self {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        use tokio::io::Interest;
        use tokio::io::unix::AsyncFd;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).ok();
        // Deprecated for types whose descriptor may change under tokio, which an `OwnedFd`'s cannot;
        // the function that replaces it is unsafe, and this crate has no unsafe code.
        #[allow(deprecated, reason = "sound for an OwnedFd")]
        let watch = |timer| AsyncFd::with_interest(timer, Interest::READABLE).ok();
        let watched = timer.and_then(watch);
        watched.map_or_else(Self::coarse, Self::Exact)
    }

    #[cfg(not(target_os = "linux"))]
    fn new() -> Self {
        Self::coarse()
    }

    fn coarse() -> Self {
        Self::Coarse(tokio::sync::watch::Sender::new(None))
    }

    /// Sets when to ring next.
    fn set(&self, at: Instant) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Exact(timer) => {
                use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
                /// Zero would switch the timer off.
                const AT_ONCE: std::time::Duration = std::time::Duration::from_nanos(1);
                let after = at.saturating_duration_since(Instant::now()).max(AT_ONCE);
                let never = Timespec { tv_sec: 0, tv_nsec: 0 };
                let Ok(after) = Timespec::try_from(after) else { return };
                let when = Itimerspec { it_interval: never, it_value: after };
                // The timer is ours and the value is valid: nothing is left to fail.
                let _ = timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &when);
            }
            Self::Coarse(when) => {
                when.send_replace(Some(at));
            }
        }
    }

    /// Waits until it rings.
    async fn rung(&self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Exact(timer) => match timer.readable().await {
                // Setting the timer again makes it unreadable, so that it need not be read.
                Ok(mut ready) => ready.clear_ready(),
                // The runtime is shutting down.
                Err(_) => std::future::pending().await,
            },
            Self::Coarse(when) => {
                let mut changed = when.subscribe();
                loop {
                    let at = *changed.borrow_and_update();
                    let sleep = async {
                        match at {
                            Some(at) => tokio::time::sleep_until(at.into()).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = sleep => {
                            when.send_if_modified(|when| {
                                let same = *when == at;
                                if same {
                                    *when = None;
                                }
                                false
                            });
                            return;
                        }
                        _ = changed.changed() => {}
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn deadlines_pass_in_order_and_can_be_moved() {
        let metronome = Metronome::start();
        let (early, late, moved) = (metronome.beat(), metronome.beat(), metronome.beat());
        let start = Instant::now();
        let after = |ms| Some(start + Duration::from_millis(ms));
        late.set(after(30));
        moved.set(after(5_000));
        early.set(after(10));
        early.due().await;
        assert!(start.elapsed() >= Duration::from_millis(10));
        moved.set(after(20));
        moved.due().await;
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert!(start.elapsed() < Duration::from_secs(4));
        late.due().await;
        early.set(None);
        let never = tokio::time::timeout(Duration::from_millis(20), early.due()).await;
        assert!(never.is_err());
    }

    #[tokio::test]
    async fn a_coarse_alarm_rings_too() {
        let alarm = Alarm::coarse();
        let start = Instant::now();
        alarm.set(start + Duration::from_secs(60));
        let sooner = async {
            tokio::task::yield_now().await;
            alarm.set(start + Duration::from_millis(10));
        };
        tokio::join!(alarm.rung(), sooner);
        assert!(start.elapsed() < Duration::from_secs(30));
        assert!(tokio::time::timeout(Duration::from_millis(20), alarm.rung()).await.is_err());
    }
}
