//! What a call's handles, the signalling driver and the call's media have in common.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use offhook_core::call::CallProfile;
use offhook_core::event::{CallId, CallState, Cause};
use offhook_core::host::Endpoint;
use offhook_core::rtp::MediaSession;
use tokio::sync::{Notify, watch};

use crate::audio::recording::Taps;
use crate::broadcast::Broadcast;
use crate::driver::board::LineJobs;
use crate::driver::engine::WorkerLink;
use crate::driver::line::Line;
use crate::driver::media::Order;
use crate::event::{CallEvent, Ending};

/// One call. Each lock is held for a few instructions or one packet, never over I/O.
pub(crate) struct CallShared {
    pub(crate) id: CallId,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) events: Broadcast<CallEvent>,
    pub(crate) taps: Arc<Taps>,
    /// Tells handles that the session moved on: time passed, something came, or the call ended.
    pub(crate) moved: Notify,
    profile: Mutex<CallProfile>,
    session: Mutex<MediaSession>,
    /// The orders of signalling to the call's media; a channel would have room for many from the start.
    orders: Mutex<Vec<Order>>,
    /// Whether a worker has the call's media.
    has_media: AtomicBool,
    /// Whether it has begun to run it.
    media_runs: AtomicBool,
    /// The way to that worker.
    worker: Mutex<Option<WorkerLink>>,
    /// Whether the worker has been asked to run the media and has not yet done so.
    woken: AtomicBool,
}

/// The hold that a call's media has on the call: while there is one, more may be heard. Its end is
/// reported to the line, which has the call's final figures then.
pub(crate) struct Media {
    shared: Arc<CallShared>,
    jobs: LineJobs,
}

impl Media {
    /// `worker` has the call's media from now on.
    pub(crate) fn begin(shared: &Arc<CallShared>, worker: WorkerLink, jobs: LineJobs) -> Self {
        *lock(&shared.worker) = Some(worker);
        shared.has_media.store(true, Ordering::Release);
        Self { shared: Arc::clone(shared), jobs }
    }

    /// The worker has begun to run it.
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
    /// Also when the runtime drops the worker.
    fn drop(&mut self) {
        drop(lock(&self.worker).take());
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
            moved: Notify::new(),
            profile: Mutex::new(profile),
            session: Mutex::new(session),
            orders: Mutex::default(),
            has_media: AtomicBool::new(false),
            media_runs: AtomicBool::new(false),
            worker: Mutex::default(),
            woken: AtomicBool::new(false),
        })
    }

    pub(crate) fn session(&self) -> MutexGuard<'_, MediaSession> {
        lock(&self.session)
    }

    pub(crate) fn profile(&self) -> MutexGuard<'_, CallProfile> {
        lock(&self.profile)
    }

    /// Whether a worker has the call's media.
    pub(crate) fn has_media(&self) -> bool {
        self.has_media.load(Ordering::Acquire)
    }

    /// Whether a worker carries the call's media.
    pub(crate) fn media_runs(&self) -> bool {
        self.has_media() && self.media_runs.load(Ordering::Acquire)
    }

    /// Gives the call's media an order.
    pub(crate) fn order(&self, order: Order) {
        lock(&self.orders).push(order);
        self.wake();
    }

    /// Takes the orders for the call's media, oldest first.
    pub(crate) fn take_orders(&self) -> Vec<Order> {
        match self.woken.swap(false, Ordering::AcqRel) {
            true => std::mem::take(&mut lock(&self.orders)),
            false => Vec::new(),
        }
    }

    /// Has the call's media see to what the session was given to do, and to its orders.
    pub(crate) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Some(worker) = &*lock(&self.worker)
        {
            worker.run();
        }
    }

    /// Queues audio to be sent; says how many samples were taken. The media takes it with its next
    /// frame, and is woken only where that was far away.
    pub(crate) fn write_audio(&self, rate: u32, samples: &[i16]) -> usize {
        let mut session = self.session();
        let before = session.next_deadline();
        let taken = session.write_audio(rate, samples);
        let earlier = session.next_deadline() < before;
        drop(session);
        if earlier {
            self.wake();
        }
        taken
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

/// Nothing here is left half changed by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
