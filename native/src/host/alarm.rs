//! An alarm that rings at a deadline, to a few microseconds.
//!
//! Tokio's timers, and the poll beneath them, count whole milliseconds, which would show as jitter in
//! every packet sent. Here it is a timerfd on Linux; elsewhere a tokio timer.

use std::time::Instant;

/// An alarm of the system: it rings once, at the time that was set last.
#[derive(Debug)]
pub(crate) enum Alarm {
    #[cfg(target_os = "linux")]
    Exact(tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>),
    Coarse(tokio::sync::watch::Sender<Option<Instant>>),
}

impl Alarm {
    /// An alarm that is not set. Wants a runtime with I/O, and with time where there is no such timer.
    #[cfg(target_os = "linux")]
    pub(crate) fn new() -> Self {
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
    pub(crate) fn new() -> Self {
        Self::coarse()
    }

    fn coarse() -> Self {
        Self::Coarse(tokio::sync::watch::Sender::new(None))
    }

    /// Sets when to ring next.
    pub(crate) fn set(&self, at: Instant) {
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

    /// Waits until it rings. Cancel-safe.
    pub(crate) async fn rung(&self) {
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
    async fn it_rings_at_the_time_that_was_set_last() {
        for alarm in [Alarm::new(), Alarm::coarse()] {
            let start = Instant::now();
            let after = |ms| start + Duration::from_millis(ms);
            alarm.set(after(60_000));
            let sooner = async {
                tokio::task::yield_now().await;
                alarm.set(after(10));
            };
            tokio::join!(alarm.rung(), sooner);
            assert!((after(10)..after(30_000)).contains(&Instant::now()));
            let again = tokio::time::timeout(Duration::from_millis(20), alarm.rung()).await;
            assert!(again.is_err(), "it rings once");
            alarm.set(start);
            alarm.rung().await;
        }
    }
}
