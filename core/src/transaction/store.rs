//! The transactions of a layer, and every way to find one.

use super::entry::{Entry, Machine, Peer};
use super::key::Key;
use crate::host::Entropy;
use crate::slab::{Slab, Slot};
use crate::table::Table;
use crate::timers::Timers;

/// Holds the transactions and keeps the tables that lead to them true.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) entries: Slab<Entry>,
    /// Every transaction by what its messages have in common.
    pub(super) by_key: Table<Key, Slot>,
    /// Server transactions by what merged requests have in common (§8.2.2.2).
    pub(super) by_merge: Table<Key, Slot>,
    /// INVITEs of RFC 2543 clients by what their ACKs have in common.
    pub(super) by_legacy_ack: Table<Key, Slot>,
    /// The first of the transactions with something under way to a peer; they form a list.
    pub(super) by_peer: Table<Peer, Slot>,
    /// One timer a transaction: whatever is due first.
    pub(super) timers: Timers<Slot>,
}

impl Store {
    pub(super) fn new<E: Entropy + ?Sized>(entropy: &mut E) -> Self {
        Self {
            entries: Slab::new(),
            by_key: Table::new(entropy),
            by_merge: Table::new(entropy),
            by_legacy_ack: Table::new(entropy),
            by_peer: Table::new(entropy),
            timers: Timers::new(),
        }
    }

    pub(super) fn insert(&mut self, peer: Peer, key: Key, machine: Machine) -> Slot {
        let slot = self.entries.insert(Entry::new(peer, key, machine));
        self.by_key.insert(key, slot);
        self.schedule(slot);
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        self.unlink(slot);
        let Some(entry) = self.entries.remove(slot) else { return };
        if let Some(timer) = entry.timer {
            self.timers.cancel(timer);
        }
        // Another may have the key by now.
        self.by_key.remove_if(entry.key, &slot);
        if let Some(key) = entry.merge {
            self.by_merge.remove_if(key, &slot);
        }
        if let Some(key) = entry.legacy_ack {
            self.by_legacy_ack.remove_if(*key, &slot);
        }
    }

    /// Sets the machine's timer to its deadline.
    pub(super) fn schedule(&mut self, slot: Slot) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        let deadline = entry.machine.as_ref().and_then(Machine::deadline);
        entry.timer = match (entry.timer, deadline) {
            (Some(timer), Some(at)) => {
                self.timers.reset(timer, at);
                Some(timer)
            }
            (Some(timer), None) => {
                self.timers.cancel(timer);
                None
            }
            (None, Some(at)) => Some(self.timers.set(at, slot)),
            (None, None) => None,
        };
    }

    /// Puts a transaction at the head of those that have something under way to their peer.
    pub(super) fn link(&mut self, slot: Slot) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        if entry.linked || !entry.machine.as_ref().is_some_and(Machine::is_exposed) {
            return;
        }
        let next = self.by_peer.insert(entry.peer.line(), slot);
        (entry.linked, entry.previous, entry.next) = (true, None, next);
        if let Some(next) = next.and_then(|next| self.entries.get_mut(next)) {
            next.previous = Some(slot);
        }
    }

    /// From now on it is with another peer.
    pub(super) fn set_peer(&mut self, slot: Slot, peer: Peer) {
        self.unlink(slot);
        if let Some(entry) = self.entries.get_mut(slot) {
            entry.peer = peer;
        }
    }

    /// Takes a transaction out of that list.
    pub(super) fn unlink(&mut self, slot: Slot) {
        let Some(entry) = self.entries.get_mut(slot).filter(|entry| entry.linked) else { return };
        entry.linked = false;
        let (line, previous, next) = (entry.peer.line(), entry.previous.take(), entry.next.take());
        if let Some(next) = next.and_then(|next| self.entries.get_mut(next)) {
            next.previous = previous;
        }
        match (previous.and_then(|previous| self.entries.get_mut(previous)), next) {
            (Some(previous), next) => previous.next = next,
            (None, Some(next)) => {
                self.by_peer.insert(line, next);
            }
            (None, None) => {
                self.by_peer.remove(&line);
            }
        }
    }
}

#[cfg(test)]
impl Store {
    /// Asserts that every table leads to living transactions and none is forgotten.
    pub(super) fn check(&self) {
        let mut counts = [0; 4];
        for (slot, entry) in self.entries.iter() {
            let machine = entry.machine.as_ref().expect("no event is under way");
            assert!(!entry.linked || machine.is_exposed(), "{machine:?}");
            assert_eq!(entry.timer.is_some(), machine.deadline().is_some());
            assert_eq!(self.by_key.get(&entry.key), Some(&slot));
            counts[0] += usize::from(entry.timer.is_some());
            counts[1] += usize::from(entry.merge.is_some());
            counts[2] += usize::from(entry.legacy_ack.is_some());
            counts[3] += usize::from(entry.linked && entry.previous.is_none());
        }
        // Two INVITEs may differ in the To tag alone: then one of them has the ACK's key.
        let legacy = self.by_legacy_ack.len();
        assert!(legacy <= counts[2] && (legacy == 0) == (counts[2] == 0));
        let found = [self.timers.len(), self.by_merge.len(), counts[2], self.by_peer.len()];
        assert_eq!((self.by_key.len(), found), (self.entries.len(), counts));
    }
}
