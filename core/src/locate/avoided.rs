//! Servers that have failed, and are tried after all others for a while (RFC 3263 §4.3).

use super::Candidate;
use crate::map::Map;
use crate::time::{Duration, Instant};

/// Until when each is avoided.
#[derive(Debug, Default)]
pub(crate) struct Avoided {
    until: Map<Candidate, Instant>,
}

/// How long a server is avoided that has not said for how long: long enough that not every request
/// waits for it anew, short enough that it gets its load back (RFC 3263 §2).
const USUAL: Duration = Duration::from_secs(300);

/// A server that says itself (RFC 3261 §20.33) is avoided at least until the request that found out
/// has had its time elsewhere, and at most for an hour.
const SHORTEST: Duration = Duration::from_secs(32);
const LONGEST: Duration = Duration::from_secs(3_600);

/// How many are remembered.
const MOST: usize = 256;

impl Avoided {
    /// Avoids a server from now on; it may have said for how many seconds.
    pub(crate) fn avoid(&mut self, server: Candidate, retry_after: Option<u32>, now: Instant) {
        if self.until.len() >= MOST {
            self.until.retain(|_, until| *until > now);
        }
        let time = retry_after
            .map_or(USUAL, |secs| Duration::from_secs(secs.into()).clamp(SHORTEST, LONGEST));
        if self.until.len() < MOST {
            self.until.insert(server, now + time);
        }
    }

    /// It has answered.
    pub(crate) fn forgive(&mut self, server: &Candidate) {
        self.until.remove(server);
    }

    /// Until when a server is avoided, if it is.
    pub(crate) fn until(&self, server: &Candidate, now: Instant) -> Option<Instant> {
        self.until.get(server).copied().filter(|until| *until > now)
    }
}
