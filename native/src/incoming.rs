//! Calls that came in and wait for somebody to take them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use offhook_core::event::CallState;

use crate::call::Call;

/// A phone's incoming calls: a [`Stream`] that ends when the phone stops. Each call goes to one
/// taker; calls that came before anybody listened wait, and a caller who gives up is not shown.
#[derive(Clone, Debug)]
pub struct Incoming {
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    inner: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    calls: VecDeque<Call>,
    closed: bool,
    wakers: Vec<Waker>,
}

impl Queue {
    /// How many calls may ring without anybody taking them; more are denied.
    const LIMIT: usize = 1_024;

    pub(crate) fn push(&self, call: Call) {
        let mut waiting = self.lock();
        if waiting.calls.len() >= Self::LIMIT {
            waiting.calls.retain(|call| call.state() != CallState::Ended);
        }
        if waiting.calls.len() < Self::LIMIT && !waiting.closed {
            waiting.calls.push_back(call);
            waiting.wakers.drain(..).for_each(Waker::wake);
        }
    }

    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.wakers.drain(..).for_each(Waker::wake);
        let calls = std::mem::take(&mut waiting.calls);
        drop(waiting);
        drop(calls);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Incoming {
    pub(crate) fn new(queue: Arc<Queue>) -> Self {
        Self { queue }
    }

    /// The next call; `None` once the phone has stopped. Cancel-safe.
    pub async fn next(&mut self) -> Option<Call> {
        std::future::poll_fn(|cx| self.poll_call(cx)).await
    }

    fn poll_call(&self, cx: &mut Context<'_>) -> Poll<Option<Call>> {
        let mut waiting = self.queue.lock();
        while let Some(call) = waiting.calls.pop_front() {
            if call.state() != CallState::Ended {
                return Poll::Ready(Some(call));
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
}

impl Stream for Incoming {
    type Item = Call;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Call>> {
        self.poll_call(cx)
    }
}
