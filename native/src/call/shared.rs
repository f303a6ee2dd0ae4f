//! What a call's handles, the signalling driver and the call's media task have in common.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use offhook_core::call::CallProfile;
use offhook_core::event::{CallId, CallState, Cause};
use offhook_core::rtp::MediaSession;
use tokio::sync::{Notify, watch};

use crate::audio::recording::Taps;
use crate::broadcast::Broadcast;
use crate::driver::board::LineJobs;
use crate::driver::line::Line;
use crate::driver::media::Order;
use crate::event::{CallEvent, Ending};

/// One call. Each lock is held for a few instructions or one packet, never over I/O.
pub(crate) struct CallShared {
    pub(crate) id: CallId,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) events: Broadcast<CallEvent>,
    pub(crate) taps: Arc<Taps>,
    /// Tells the media task that a handle gave the session something to do, or signalling an order.
    pub(crate) wake: Notify,
    /// Tells handles that the session moved on: time passed, something came, or the call ended.
    pub(crate) moved: Notify,
    profile: Mutex<CallProfile>,
    session: Mutex<MediaSession>,
    /// The orders of signalling to the media task; a channel would have room for many from the start.
    orders: Mutex<Vec<Order>>,
    /// Whether the call has a media task.
    has_media: AtomicBool,
    /// Whether that has begun to run.
    media_runs: AtomicBool,
}

/// The media task's hold on its call: while there is one, more may be heard. Its end is reported to the
/// line, which has the call's final figures then.
pub(crate) struct Media {
    shared: Arc<CallShared>,
    jobs: LineJobs,
}

impl Media {
    pub(crate) fn begin(shared: &Arc<CallShared>, jobs: LineJobs) -> Self {
        shared.has_media.store(true, Ordering::Release);
        Self { shared: Arc::clone(shared), jobs }
    }

    /// The task has begun to run.
    pub(crate) fn run(&self) {
        self.media_runs.store(true, Ordering::Release);
    }

    /// Sends a job to the call's line.
    pub(crate) fn send(&self, job: impl FnOnce(&mut Line, CallId) + Send + 'static) {
        let call = self.shared.id;
        let _ = self.jobs.send(Box::new(move |line, _| job(line, call)));
    }
}

impl std::ops::Deref for Media {
    type Target = CallShared;

    fn deref(&self) -> &CallShared {
        &self.shared
    }
}

impl Drop for Media {
    /// Also when the runtime drops the task.
    fn drop(&mut self) {
        self.taps.close();
        self.has_media.store(false, Ordering::Release);
        self.moved.notify_waiters();
        self.send(Line::media_ended);
    }
}

/// Where a call stands.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) state: CallState,
    pub(crate) cause: Option<Cause>,
    pub(crate) was_answered: bool,
    pub(crate) ending: Option<Ending>,
}

impl std::fmt::Debug for CallShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = self.status.borrow().clone();
        f.debug_struct("CallShared")
            .field("id", &self.id)
            .field("status", &status)
            .finish_non_exhaustive()
    }
}

impl CallShared {
    pub(crate) fn new(profile: CallProfile, session: MediaSession) -> Arc<Self> {
        let state = profile.state();
        let status = Status { state, cause: None, was_answered: false, ending: None };
        Arc::new(Self {
            id: profile.id(),
            status: watch::Sender::new(status),
            events: Broadcast::keeping(|missed| CallEvent::Lagged { missed }),
            taps: Arc::default(),
            wake: Notify::new(),
            moved: Notify::new(),
            profile: Mutex::new(profile),
            session: Mutex::new(session),
            orders: Mutex::default(),
            has_media: AtomicBool::new(false),
            media_runs: AtomicBool::new(false),
        })
    }

    pub(crate) fn session(&self) -> MutexGuard<'_, MediaSession> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn profile(&self) -> MutexGuard<'_, CallProfile> {
        self.profile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the call has a media task.
    pub(crate) fn has_media(&self) -> bool {
        self.has_media.load(Ordering::Acquire)
    }

    /// Whether a media task works for the call.
    pub(crate) fn media_runs(&self) -> bool {
        self.has_media() && self.media_runs.load(Ordering::Acquire)
    }

    /// Tells the media task what to do.
    pub(crate) fn order(&self, order: Order) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
        self.wake.notify_one();
    }

    /// Takes the orders for the media task, oldest first.
    pub(crate) fn take_orders(&self) -> Vec<Order> {
        std::mem::take(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until `ready` has something to say. Cancel-safe: nothing is taken but by `ready`. The
    /// call is over when its media is too: the last that was received is still to be heard.
    ///
    /// # Errors
    /// [`Error::Ended`](crate::Error::Ended) when the call is over and `ready` still has nothing.
    pub(crate) async fn wait<T>(
        &self,
        mut ready: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T, crate::Error> {
        loop {
            let moved = self.moved.notified();
            let ending = self.status.borrow().ending.clone().filter(|_| !self.has_media());
            if let Some(value) = ready(self) {
                return Ok(value);
            }
            if let Some(ending) = ending {
                return Err(crate::Error::Ended { by: ending.by });
            }
            moved.await;
        }
    }
}
