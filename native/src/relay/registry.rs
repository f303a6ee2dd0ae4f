//! The sessions of a relay: found by name, counted, and ended together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use offhook_core::relay::{Counters, Problem};
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::task::Order;

/// All sessions.
#[derive(Debug)]
pub(super) struct Registry {
    most: usize,
    per_user: usize,
    inner: Mutex<Inner>,
    /// A session is over, or has fewer ports.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    sessions: HashMap<[u8; 16], Entry>,
    /// How many of each subject, those that are about to begin among them.
    by_subject: HashMap<String, usize>,
    total: usize,
    counters: Counters,
    last: u64,
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    orders: mpsc::Sender<Order>,
    task: Option<AbortHandle>,
    /// How many pairs of media ports it has.
    pairs: Arc<AtomicUsize>,
}

/// A place for one session; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) pairs: Arc<AtomicUsize>,
    registry: Arc<Registry>,
    subject: String,
    id: Option<[u8; 16]>,
}

impl Registry {
    /// How long sessions may take to end when they are ordered to.
    const END: Duration = Duration::from_secs(5);

    pub(super) fn new(most: usize, per_user: usize) -> Self {
        Self { most, per_user, inner: Mutex::default(), changed: Notify::new() }
    }

    /// Nothing here is left half changed by a panic.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a session of that subject.
    pub(super) fn place(self: &Arc<Self>, subject: &str) -> Result<Place, Problem> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(Problem::Draining);
        }
        let held = inner.by_subject.get(subject).copied().unwrap_or(0);
        if inner.total >= self.most || held >= self.per_user {
            return Err(Problem::Limit);
        }
        inner.by_subject.insert(subject.to_owned(), held + 1);
        inner.total += 1;
        inner.last += 1;
        let (number, subject) = (inner.last, subject.to_owned());
        let (registry, pairs) = (Arc::clone(self), Arc::default());
        Ok(Place { number, pairs, registry, subject, id: None })
    }

    /// The queue of a session's orders.
    pub(super) fn orders(&self, id: &[u8; 16]) -> Option<mpsc::Sender<Order>> {
        self.lock().sessions.get(id).map(|entry| entry.orders.clone())
    }

    pub(super) fn len(&self) -> usize {
        self.lock().total
    }

    pub(super) fn counters(&self) -> Counters {
        self.lock().counters
    }

    /// A session has more or fewer ports.
    pub(super) fn changed(&self) {
        self.changed.notify_waiters();
    }

    /// Lets nobody in any more, waits for calls to end, and ends what is left.
    pub(super) async fn drain(&self, most: Duration) {
        self.lock().closed = true;
        let deadline = Instant::now() + most;
        let seconds = most.as_secs();
        self.order_all(|| Order::Drain(seconds));
        self.wait(deadline, |inner| {
            inner.sessions.values().all(|entry| entry.pairs.load(Ordering::Relaxed) == 0)
        })
        .await;
        self.order_all(|| Order::End(Problem::Draining));
        self.wait(Instant::now() + Self::END, |inner| inner.total == 0).await;
        self.abort();
    }

    async fn wait(&self, deadline: Instant, done: impl Fn(&Inner) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if done(&self.lock()) || timeout_at(deadline, changed).await.is_err() {
                return;
            }
        }
    }

    fn order_all(&self, order: impl Fn() -> Order) {
        for entry in self.lock().sessions.values() {
            // One that has so many orders that this finds no room is ended with the rest.
            let _ = entry.orders.try_send(order());
        }
    }

    /// Ends every session at once.
    pub(super) fn abort(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        let tasks = inner.sessions.drain().filter_map(|(_, entry)| entry.task);
        tasks.for_each(|task| task.abort());
    }
}

impl Place {
    /// The session has a name by which its client comes back.
    pub(super) fn name(&mut self, id: [u8; 16], orders: mpsc::Sender<Order>) {
        self.id = Some(id);
        let pairs = Arc::clone(&self.pairs);
        let entry = Entry { orders, task: None, pairs };
        self.registry.lock().sessions.insert(id, entry);
    }

    /// Adds what the session has counted, when it is over.
    pub(super) fn count(&self, counters: Counters) {
        self.registry.lock().counters += counters;
    }
}

impl Registry {
    /// The task that carries a session.
    pub(super) fn carry(&self, id: &[u8; 16], task: AbortHandle) {
        if let Some(entry) = self.lock().sessions.get_mut(id) {
            entry.task = Some(task);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.registry.lock();
        inner.total -= 1;
        if let Some(held) = inner.by_subject.get_mut(&self.subject) {
            *held -= 1;
            if *held == 0 {
                inner.by_subject.remove(&self.subject);
            }
        }
        if let Some(id) = self.id {
            inner.sessions.remove(&id);
        }
        drop(inner);
        self.registry.changed();
    }
}
