//! A host that is given everything as values.

use core::hash::Hasher;

use offhook_core::host::{Channel, Clock, Datagrams, Entropy, Outbound};
use offhook_core::time::{Instant, WallTime};
use siphasher::sip::SipHasher24;

use crate::outbox::{Lane, Outbox};
use crate::times::Times;

/// The time of the current call, a generator of random numbers, and what waits to be sent.
#[derive(Default)]
pub(super) struct ValueHost {
    pub(super) times: Times,
    /// SipHash-2-4 of a counter is a generator that nobody foresees without its key.
    key: SipHasher24,
    drawn: u64,
    pub(super) outbox: Outbox,
}

impl ValueHost {
    pub(super) fn seed(&mut self, key: &[u8; 16]) {
        self.key = SipHasher24::new_with_key(key);
    }
}

impl Clock for ValueHost {
    fn now(&self) -> Instant {
        self.times.now()
    }

    fn wall(&self) -> WallTime {
        self.times.wall()
    }
}

impl Entropy for ValueHost {
    fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            let mut hasher = self.key;
            hasher.write_u64(self.drawn);
            self.drawn += 1;
            let random = hasher.finish().to_le_bytes();
            piece.copy_from_slice(&random[..piece.len()]);
        }
    }
}

impl Datagrams for ValueHost {
    fn send(&mut self, outbound: Outbound<'_>) {
        if let Outbound::Media { port, channel, to, bytes } = outbound {
            let lane = match channel {
                Channel::Rtp => Lane::Rtp,
                Channel::Rtcp => Lane::Rtcp,
            };
            self.outbox.push(lane, port.0, to, bytes);
        }
    }
}
