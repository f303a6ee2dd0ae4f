//! What came in and waits for somebody to take it: calls, and referrals.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use offhook_core::event::CallState;

use crate::call::Call;
use crate::referral::Referral;

/// A phone's incoming calls: a [`Stream`] that ends when the phone stops. Each call goes to one
/// taker; calls that came before anybody listened wait, and a caller who gives up is not shown.
#[derive(Clone, Debug)]
pub struct Incoming {
    queue: Arc<Queue<Call>>,
}

/// What the far ends of a phone's calls want it to call instead: a [`Stream`] that ends when the
/// phone stops. Only where [`accept_transfer`](crate::PhoneParameters::accept_transfer) is set. Each
/// goes to one taker; those that came before anybody listened wait, but not longer than 20 s.
#[derive(Clone, Debug)]
pub struct Referrals {
    queue: Arc<Queue<Referral>>,
}

/// Something that may be over before anybody takes it.
pub(crate) trait Passing {
    fn is_over(&self) -> bool;
}

impl Passing for Call {
    fn is_over(&self) -> bool {
        self.state() == CallState::Ended
    }
}

#[derive(Debug)]
pub(crate) struct Queue<T> {
    inner: Mutex<Waiting<T>>,
}

#[derive(Debug)]
struct Waiting<T> {
    items: VecDeque<T>,
    closed: bool,
    wakers: Vec<Waker>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        let (items, closed, wakers) = (VecDeque::new(), false, Vec::new());
        Self { inner: Mutex::new(Waiting { items, closed, wakers }) }
    }
}

impl<T: Passing> Queue<T> {
    /// How many may wait without anybody taking them; more are dropped, which refuses them.
    const LIMIT: usize = 1_024;

    pub(crate) fn push(&self, item: T) {
        let mut waiting = self.lock();
        if waiting.items.len() >= Self::LIMIT {
            waiting.items.retain(|item| !item.is_over());
        }
        if waiting.items.len() < Self::LIMIT && !waiting.closed {
            waiting.items.push_back(item);
            waiting.wakers.drain(..).for_each(Waker::wake);
        }
    }

    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.wakers.drain(..).for_each(Waker::wake);
        let items = std::mem::take(&mut waiting.items);
        drop(waiting);
        drop(items);
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut waiting = self.lock();
        while let Some(item) = waiting.items.pop_front() {
            if !item.is_over() {
                return Poll::Ready(Some(item));
            }
        }
        if waiting.closed {
            return Poll::Ready(None);
        }
        if !waiting.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Incoming {
    pub(crate) fn new(queue: Arc<Queue<Call>>) -> Self {
        Self { queue }
    }

    /// The next call; `None` once the phone has stopped. Cancel-safe.
    pub async fn next(&mut self) -> Option<Call> {
        std::future::poll_fn(|cx| self.queue.poll(cx)).await
    }
}

impl Stream for Incoming {
    type Item = Call;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Call>> {
        self.queue.poll(cx)
    }
}

impl Referrals {
    pub(crate) fn new(queue: Arc<Queue<Referral>>) -> Self {
        Self { queue }
    }

    /// The next one; `None` once the phone has stopped. Cancel-safe.
    pub async fn next(&mut self) -> Option<Referral> {
        std::future::poll_fn(|cx| self.queue.poll(cx)).await
    }
}

impl Stream for Referrals {
    type Item = Referral;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Referral>> {
        self.queue.poll(cx)
    }
}
