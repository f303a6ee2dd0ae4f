//! Sends the same events to several listeners, each through a queue of its own that cannot grow
//! without bound.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

/// The telling side.
#[derive(Debug)]
pub(crate) struct Broadcast<T> {
    /// `None` when there will be no more events.
    listeners: Mutex<Option<Listeners<T>>>,
    lagged: fn(u64) -> T,
    /// Events sent before the first listener, kept for it.
    kept: Mutex<Option<Events<T>>>,
}

/// The queues of those who listen still.
type Listeners<T> = Vec<Weak<Mutex<Queue<T>>>>;

/// The listening side: a [`Stream`] of what happened since it was made. A listener that falls more
/// than 1,024 events behind loses the oldest, and gets an event with their number. The stream ends
/// when nothing can happen any more.
#[derive(Debug)]
pub struct Events<T> {
    queue: Arc<Mutex<Queue<T>>>,
}

#[derive(Debug)]
struct Queue<T> {
    events: VecDeque<T>,
    /// How many may wait.
    limit: usize,
    missed: u64,
    lagged: fn(u64) -> T,
    closed: bool,
    waker: Option<Waker>,
}

impl<T: Clone> Broadcast<T> {
    /// How many events wait for a listener at most.
    const LIMIT: usize = 1_024;
    /// How many are kept while nobody has listened yet.
    const KEPT: usize = 64;

    /// Nobody listens yet; `lagged` makes the event that says how many were missed.
    pub(crate) fn new(lagged: fn(u64) -> T) -> Self {
        Self { listeners: Mutex::new(Some(Vec::new())), lagged, kept: Mutex::default() }
    }

    /// The same, but what is sent is kept until somebody listens by [`listen_first`](Self::listen_first).
    pub(crate) fn keeping(lagged: fn(u64) -> T) -> Self {
        let broadcast = Self::new(lagged);
        let kept = broadcast.listen();
        lock(&kept.queue).limit = Self::KEPT;
        *lock(&broadcast.kept) = Some(kept);
        broadcast
    }

    /// A new listener: the first hears what was sent from the beginning, each further one as by
    /// [`listen`](Self::listen).
    pub(crate) fn listen_first(&self) -> Events<T> {
        let kept = lock(&self.kept).take();
        kept.map_or_else(
            || self.listen(),
            |kept| {
                lock(&kept.queue).limit = Self::LIMIT;
                kept
            },
        )
    }

    /// A new listener; it hears what is sent from now on.
    pub(crate) fn listen(&self) -> Events<T> {
        let queue = Arc::new(Mutex::new(Queue {
            events: VecDeque::new(),
            limit: Self::LIMIT,
            missed: 0,
            lagged: self.lagged,
            closed: false,
            waker: None,
        }));
        match &mut *lock(&self.listeners) {
            Some(listeners) => listeners.push(Arc::downgrade(&queue)),
            None => lock(&queue).closed = true,
        }
        Events { queue }
    }

    pub(crate) fn send(&self, event: &T) {
        let mut listeners = lock(&self.listeners);
        let Some(listeners) = &mut *listeners else { return };
        listeners.retain(|listener| {
            let Some(listener) = listener.upgrade() else { return false };
            let mut queue = lock(&listener);
            if queue.events.len() >= queue.limit {
                queue.events.pop_front();
                queue.missed += 1;
            }
            queue.events.push_back(event.clone());
            if let Some(waker) = queue.waker.take() {
                waker.wake();
            }
            true
        });
    }
}

impl<T> Broadcast<T> {
    /// Ends every listener's stream once it has taken what waits.
    pub(crate) fn close(&self) {
        let listeners = lock(&self.listeners).as_mut().map(std::mem::take);
        Self::end_all(listeners);
    }

    /// The same for good: later listeners' streams end at once.
    pub(crate) fn end(&self) {
        let listeners = lock(&self.listeners).take();
        Self::end_all(listeners);
    }

    fn end_all(listeners: Option<Listeners<T>>) {
        for listener in listeners.iter().flatten().filter_map(Weak::upgrade) {
            let mut queue = lock(&listener);
            queue.closed = true;
            if let Some(waker) = queue.waker.take() {
                waker.wake();
            }
        }
    }
}

impl<T> Drop for Broadcast<T> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T> Events<T> {
    /// The next event; `None` when nothing can happen any more. Cancel-safe.
    pub async fn next(&mut self) -> Option<T> {
        std::future::poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The next event, if it has happened already; never waits.
    pub fn try_next(&mut self) -> Option<T> {
        lock(&self.queue).take()
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut queue = lock(&self.queue);
        match queue.take() {
            Some(event) => Poll::Ready(Some(event)),
            None if queue.closed => Poll::Ready(None),
            None => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Queue<T> {
    fn take(&mut self) -> Option<T> {
        if self.missed > 0 {
            let missed = std::mem::take(&mut self.missed);
            return Some((self.lagged)(missed));
        }
        self.events.pop_front()
    }
}

impl<T> Stream for Events<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_event(cx)
    }
}

/// Nothing here leaves a queue half changed, so a panic elsewhere does not spoil it.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, Debug)]
    enum Event {
        Number(u64),
        Missed(u64),
    }

    #[tokio::test]
    async fn a_listener_that_lags_is_told_and_goes_on() {
        let broadcast = Broadcast::new(Event::Missed);
        let mut listener = broadcast.listen();
        for number in 0..Broadcast::<Event>::LIMIT as u64 + 5 {
            broadcast.send(&Event::Number(number));
        }
        assert_eq!(listener.next().await, Some(Event::Missed(5)));
        assert_eq!(listener.next().await, Some(Event::Number(5)));
    }

    #[tokio::test]
    async fn the_first_listener_hears_what_came_before() {
        let broadcast = Broadcast::keeping(Event::Missed);
        for number in 0..Broadcast::<Event>::KEPT as u64 + 2 {
            broadcast.send(&Event::Number(number));
        }
        let (mut first, mut second) = (broadcast.listen_first(), broadcast.listen_first());
        broadcast.send(&Event::Number(99));
        broadcast.end();
        assert_eq!(first.next().await, Some(Event::Missed(2)));
        assert_eq!(first.next().await, Some(Event::Number(2)));
        assert_eq!(second.next().await, Some(Event::Number(99)));
        assert_eq!(second.next().await, None);
        assert_eq!(broadcast.listen().next().await, None);
    }

    #[tokio::test]
    async fn every_listener_hears_everything_and_the_end() {
        let broadcast = Broadcast::new(Event::Missed);
        let (mut a, mut b) = (broadcast.listen(), broadcast.listen());
        let waiting = tokio::spawn(async move { (a.next().await, a.next().await) });
        tokio::task::yield_now().await;
        broadcast.send(&Event::Number(7));
        drop(broadcast);
        assert_eq!(waiting.await.unwrap(), (Some(Event::Number(7)), None));
        assert_eq!((b.next().await, b.next().await), (Some(Event::Number(7)), None));
    }
}
