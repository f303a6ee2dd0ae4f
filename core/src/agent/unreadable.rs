//! From where something came lately that is no SIP message.

use core::net::SocketAddr;
use std::collections::VecDeque;

use super::{Agent, Context};
use crate::time::Instant;

/// How many addresses are kept: a call to one of them looks when its INVITE ends.
const KEPT: usize = 16;

/// The addresses, each with when that was; the latest last.
#[derive(Default, Debug)]
pub(super) struct Unreadable {
    recent: VecDeque<(SocketAddr, Instant)>,
}

impl Unreadable {
    fn note(&mut self, from: SocketAddr, now: Instant) {
        self.recent.retain(|(address, _)| *address != from);
        if self.recent.len() == KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back((from, now));
    }

    fn has_come(&self, from: SocketAddr, since: Instant) -> bool {
        self.recent.iter().any(|(address, at)| *address == from && *at >= since)
    }
}

impl Context<'_> {
    /// Something has come that is no SIP message.
    pub(crate) fn note_unreadable(&mut self, from: SocketAddr) {
        self.agent.counters.malformed += 1;
        let now = self.now();
        self.agent.unreadable.note(from, now);
    }
}

impl Agent {
    /// Whether something has come from there that is no SIP message: somebody is there.
    pub(crate) fn has_unreadable(&self, from: SocketAddr, since: Instant) -> bool {
        self.unreadable.has_come(from, since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept() {
        let at = Instant::from_micros;
        let from = |port: u16| SocketAddr::from(([10, 0, 0, 1], port));
        let mut unreadable = Unreadable::default();
        unreadable.note(from(1), at(5));
        assert!(unreadable.has_come(from(1), at(5)));
        assert!(!unreadable.has_come(from(1), at(6)), "that was before");
        assert!(!unreadable.has_come(from(2), at(5)));
        for port in 2..=KEPT as u16 {
            unreadable.note(from(port), at(7));
        }
        unreadable.note(from(1), at(8));
        assert!(unreadable.has_come(from(1), at(8)));
        unreadable.note(from(99), at(9));
        assert!(!unreadable.has_come(from(2), at(7)), "the oldest has gone");
        assert!(unreadable.has_come(from(1), at(8)), "it came again since");
        assert_eq!(unreadable.recent.len(), KEPT);
    }
}
