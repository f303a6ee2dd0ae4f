//! What one call of the core sends, gathered in one reused buffer.

use std::net::SocketAddr;
use std::ops::Range;

/// Datagrams waiting to leave, in order. `T` says from which socket.
#[derive(Debug)]
pub(crate) struct Outbox<T> {
    bytes: Vec<u8>,
    items: Vec<(T, SocketAddr, Range<usize>)>,
}

impl<T: Copy> Outbox<T> {
    /// A buffer that grew beyond this is given back once it is empty.
    const KEEP: usize = 256 * 1024;

    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), items: Vec::new() }
    }

    pub(crate) fn push(&mut self, from: T, to: SocketAddr, datagram: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(datagram);
        self.items.push((from, to, start..self.bytes.len()));
    }

    pub(crate) fn clear(&mut self) {
        self.items.clear();
        self.bytes.clear();
        if self.bytes.capacity() > Self::KEEP {
            self.bytes = Vec::new();
        }
    }

    /// From `start` on, as many as leave from the same socket, as (destination, bytes).
    pub(crate) fn run(
        &self,
        start: usize,
    ) -> Option<(T, impl ExactSizeIterator<Item = (SocketAddr, &[u8])>)>
    where
        T: PartialEq,
    {
        let rest = self.items.get(start..)?;
        let from = rest.first()?.0;
        let length = rest.iter().take_while(|(other, ..)| *other == from).count();
        let run = rest[..length].iter().map(|(_, to, range)| (*to, &self.bytes[range.clone()]));
        Some((from, run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_break_where_the_socket_changes() {
        let to: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let mut outbox = Outbox::new();
        for (from, text) in [(1, "a"), (1, "bc"), (2, "d"), (1, "e")] {
            outbox.push(from, to, text.as_bytes());
        }
        let (from, run) = outbox.run(0).unwrap();
        assert_eq!((from, run.map(|(_, b)| b.len()).collect::<Vec<_>>()), (1, vec![1, 2]));
        assert_eq!(outbox.run(2).map(|(from, run)| (from, run.len())), Some((2, 1)));
        assert_eq!(outbox.run(3).map(|(from, run)| (from, run.len())), Some((1, 1)));
        assert!(outbox.run(4).is_none());
        outbox.clear();
        assert!(outbox.run(0).is_none());
    }
}
