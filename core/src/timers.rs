//! Timers: what is due when.
//!
//! Tens of thousands of 32 s timers that are nearly all cancelled are the normal load of a SIP
//! stack (RFC 3261 §17), so a cancelled timer leaves the heap at once: nothing piles up and
//! [`Timers::next_deadline`] is exact.

use crate::slab::{Slab, Slot};
use crate::time::Instant;

/// Deadlines, each with the key to act on; an indexed heap.
///
/// Setting, cancelling and taking cost O(log n), looking at the first costs nothing. Timers that
/// are due at the same instant come in the order in which they were set.
#[derive(Clone, Debug)]
pub(crate) struct Timers<K> {
    /// A heap by ([`Node::at`], [`Node::order`]), least first, [`ARITY`] children a node.
    heap: Vec<Node>,
    /// What each timer is for and where in the heap it is.
    timers: Slab<Timer<K>>,
    /// How many timers were ever set.
    set: u64,
}

/// Names one timer that was set; of no use after it was taken or cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct TimerId(Slot);

#[derive(Clone, Copy, Debug)]
struct Node {
    at: Instant,
    order: u64,
    slot: Slot,
}

#[derive(Clone, Debug)]
struct Timer<K> {
    key: K,
    position: usize,
}

/// Four children a node: half the depth of a binary heap, and siblings share cache lines.
const ARITY: usize = 4;

// Small, general types: not every method has a caller in every part.
#[allow(dead_code)]
impl<K> Timers<K> {
    /// No timers.
    pub(crate) const fn new() -> Self {
        Self { heap: Vec::new(), timers: Slab::new(), set: 0 }
    }

    /// How many timers are set.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none is set.
    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Sets a timer.
    pub(crate) fn set(&mut self, at: Instant, key: K) -> TimerId {
        let slot = self.timers.insert(Timer { key, position: self.heap.len() });
        self.heap.push(Node { at, order: self.set, slot });
        self.set += 1;
        self.rise(self.heap.len() - 1);
        TimerId(slot)
    }

    /// Moves a timer to another instant, behind those already set for it; false when it is no
    /// longer set.
    pub(crate) fn reset(&mut self, id: TimerId, at: Instant) -> bool {
        let Some(position) = self.timers.get(id.0).map(|timer| timer.position) else {
            return false;
        };
        if let Some(node) = self.heap.get_mut(position) {
            (node.at, node.order) = (at, self.set);
            self.set += 1;
            self.sink(position);
            self.rise(position);
        }
        true
    }

    /// Takes a timer away and returns its key; `None` when it is no longer set.
    pub(crate) fn cancel(&mut self, id: TimerId) -> Option<K> {
        let Timer { key, position } = self.timers.remove(id.0)?;
        self.take(position);
        Some(key)
    }

    /// When the first timer is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.heap.first().map(|node| node.at)
    }

    /// Takes the first timer, if it is due: when it was due, and its key.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, K)> {
        let Node { at, slot, .. } = *self.heap.first().filter(|node| node.at <= now)?;
        self.take(0);
        Some((at, self.timers.remove(slot)?.key))
    }

    /// Takes the node at `position` out of the heap.
    fn take(&mut self, position: usize) {
        self.heap.swap_remove(position);
        if position < self.heap.len() {
            self.sink(position);
            self.rise(position);
        }
    }

    /// Moves the node at `position` up to its place.
    fn rise(&mut self, mut position: usize) {
        while position > 0 {
            let parent = (position - 1) / ARITY;
            if self.key(parent) <= self.key(position) {
                break;
            }
            self.heap.swap(parent, position);
            self.note(position);
            position = parent;
        }
        self.note(position);
    }

    /// Moves the node at `position` down to its place.
    fn sink(&mut self, mut position: usize) {
        loop {
            let first = position * ARITY + 1;
            let children = first..self.heap.len().min(first + ARITY);
            let Some(least) = children.min_by_key(|child| self.key(*child)) else { break };
            if self.key(position) <= self.key(least) {
                break;
            }
            self.heap.swap(least, position);
            self.note(position);
            position = least;
        }
        self.note(position);
    }

    /// Tells the timer at `position` where it is.
    fn note(&mut self, position: usize) {
        if let Some(timer) = self.timers.get_mut(self.heap[position].slot) {
            timer.position = position;
        }
    }

    fn key(&self, position: usize) -> (Instant, u64) {
        (self.heap[position].at, self.heap[position].order)
    }
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    fn due(timers: &mut Timers<u32>, now: u64) -> Vec<u32> {
        core::iter::from_fn(|| timers.pop_due(at(now)).map(|(_, key)| key)).collect()
    }

    #[test]
    fn they_come_in_order_of_time_then_of_setting() {
        let mut timers = Timers::new();
        for (key, time) in [(0, 30), (1, 10), (2, 20), (3, 10), (4, 40), (5, 10)] {
            timers.set(at(time), key);
        }
        assert_eq!(timers.next_deadline(), Some(at(10)));
        assert_eq!(due(&mut timers, 9), []);
        assert_eq!(due(&mut timers, 30), [1, 3, 5, 2, 0]);
        assert_eq!(timers.pop_due(at(50)), Some((at(40), 4)));
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn a_cancelled_timer_is_gone_at_once() {
        let mut timers = Timers::new();
        let first = timers.set(at(1), 1);
        let second = timers.set(at(2), 2);
        assert_eq!(timers.cancel(first), Some(1));
        assert_eq!((timers.cancel(first), timers.reset(first, at(9))), (None, false));
        assert_eq!((timers.next_deadline(), timers.len()), (Some(at(2)), 1));
        assert!(timers.reset(second, at(5)));
        assert_eq!(due(&mut timers, 4), []);
        assert_eq!(due(&mut timers, 5), [2]);
        assert_eq!(timers.cancel(second), None);
        assert!(timers.is_empty());
    }

    /// Ten thousand random operations against a sorted list.
    #[test]
    fn it_agrees_with_a_sorted_list() {
        let (mut timers, mut list, mut ids) = (Timers::new(), Vec::new(), Vec::new());
        let mut state = 1_u64;
        let mut order = 0;
        for key in 0..10_000_u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (time, pick) = (state >> 33 & 0x3ff, (state >> 44) as usize);
            let victim = ids.get(pick % ids.len().max(1)).copied();
            match (state >> 60, victim) {
                (0..=4, Some((id, victim))) => {
                    let known = list.iter().position(|(_, _, key)| *key == victim);
                    assert_eq!(timers.cancel(id).is_some(), known.is_some());
                    known.map(|position| list.remove(position));
                }
                (5..=6, Some((id, victim))) => {
                    let known = list.iter().position(|(_, _, key)| *key == victim);
                    assert_eq!(timers.reset(id, at(time)), known.is_some());
                    if let Some(position) = known {
                        list[position] = (time, order, victim);
                        order += 1;
                    }
                }
                (7..=8, _) => {
                    list.sort_unstable();
                    let now = time / 2;
                    let split = list.partition_point(|(time, _, _)| *time <= now);
                    let expected: Vec<u32> = list.drain(..split).map(|entry| entry.2).collect();
                    assert_eq!(due(&mut timers, now), expected);
                }
                _ => {
                    ids.push((timers.set(at(time), key), key));
                    list.push((time, order, key));
                    order += 1;
                }
            }
            assert_eq!(timers.len(), list.len());
            assert_eq!(timers.timers.len(), list.len());
            assert_eq!(timers.next_deadline(), list.iter().map(|entry| at(entry.0)).min());
        }
        assert!(timers.timers.iter().count() < 10_000);
    }
}
