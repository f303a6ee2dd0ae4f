//! A host that is given everything as values.

use core::hash::Hasher;

use offhook_core::host::{Channel, Clock, Datagrams, Entropy, Outbound};
use offhook_core::time::{Instant, WallTime};
use siphasher::sip::SipHasher24;

use crate::outbox::{Lane, Outbox};

/// The time of the crossing, a generator of random numbers, and what waits to be sent.
#[derive(Default)]
pub(super) struct ValueHost {
    now: Instant,
    /// Wall time at the clock's origin.
    wall_origin: u64,
    /// SipHash-2-4 of a counter is a generator that nobody foresees without its key.
    key: SipHasher24,
    drawn: u64,
    pub(super) outbox: Outbox,
}

impl ValueHost {
    pub(super) fn seed(&mut self, key: &[u8; 16]) {
        self.key = SipHasher24::new_with_key(key);
    }

    /// Sets the monotonic clock, in microseconds. It never goes back.
    pub(super) fn set_now(&mut self, micros: f64) {
        self.now = self.now.max(Instant::from_micros(micros as u64));
    }

    /// Sets the wall clock, in microseconds since 1970.
    pub(super) fn set_wall(&mut self, micros: f64) {
        self.wall_origin = (micros as u64).saturating_sub(self.now.as_micros());
    }
}

impl Clock for ValueHost {
    fn now(&self) -> Instant {
        self.now
    }

    fn wall(&self) -> WallTime {
        WallTime::from_micros(self.wall_origin.saturating_add(self.now.as_micros()))
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
