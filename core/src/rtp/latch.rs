//! From where RTP is taken and whither it is sent: the address that signalling told, or, behind a
//! NAT, the one from which the peer's packets really come.
//!
//! Whoever can send packets to our port could otherwise listen in or talk in ("RTP bleed"). So a
//! foreign address is taken once, in a short window after signalling, and only when the negotiated
//! one is silent; later only after many packets in sequence while the one in use is silent.

use core::net::SocketAddr;

use crate::time::{Duration, Instant};

/// How long after signalling a foreign address is believed after [`EARLY_PACKETS`].
const WINDOW: Duration = Duration::from_secs(5);
/// How many packets in sequence a foreign address has to send within the window (RFC 3550 §A.1).
const EARLY_PACKETS: u32 = 2;
/// How many later.
const LATE_PACKETS: u32 = 25;
/// How long the address in use has to be silent before another takes its place.
const SILENCE: Duration = Duration::from_secs(1);

/// Whether a packet's source is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It is the source in use.
    Accept,
    /// It is in use from now on.
    Switched,
    /// Not, or not yet.
    Reject,
}

/// How surely a packet is a stream's; later ones are surer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Claim {
    /// There is no sign of it.
    None,
    /// The stream has not been heard from anywhere.
    Unclaimed,
    /// The address is being tried.
    Candidate,
    /// It is of the stream's source, though the address is new.
    Source,
    /// The address is right.
    Address,
    /// The address is right, and of it the stream has no source yet.
    FreeAddress,
    /// Address and source are right.
    Both,
}

/// The address of the far end of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Latch {
    negotiated: SocketAddr,
    strict: bool,
    current: Option<SocketAddr>,
    heard: Instant,
    opened: Instant,
    candidate: Option<Candidate>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    address: SocketAddr,
    ssrc: u32,
    next: u16,
    packets: u32,
}

impl Latch {
    pub(crate) fn new(now: Instant, negotiated: SocketAddr, strict: bool) -> Self {
        let negotiated = canonical(negotiated);
        Self { negotiated, strict, current: None, heard: now, opened: now, candidate: None }
    }

    /// Signalling has told an address; another one than before begins everything anew.
    pub(crate) fn negotiate(&mut self, now: Instant, negotiated: SocketAddr) {
        if canonical(negotiated) != self.negotiated {
            *self = Self::new(now, negotiated, self.strict);
        }
    }

    /// Where media is sent.
    pub(crate) fn target(&self) -> SocketAddr {
        self.current.unwrap_or(self.negotiated)
    }

    /// How surely a packet from there is for us, where several streams share a pair of ports: from
    /// the address in use, or told; from one that is being tried; from nowhere that is known while
    /// ours is still to be found; or not at all.
    pub(crate) fn claim(&self, from: SocketAddr) -> Claim {
        let from = canonical(from);
        if self.current == Some(from) || self.negotiated == from {
            Claim::Address
        } else if self.candidate.is_some_and(|candidate| candidate.address == from) {
            Claim::Candidate
        } else if self.current.is_none() && self.candidate.is_none() && !self.strict {
            Claim::Unclaimed
        } else {
            Claim::None
        }
    }

    /// Judges a packet with a sound header and an agreed payload type.
    pub(crate) fn check(
        &mut self,
        now: Instant,
        from: SocketAddr,
        ssrc: u32,
        sequence: u16,
    ) -> Verdict {
        let from = canonical(from);
        if self.current == Some(from) {
            self.heard = now;
            self.candidate = None;
            return Verdict::Accept;
        }
        // The address that signalling told is preferred at any time.
        if from == self.negotiated {
            return self.switch(now, from);
        }
        if self.strict {
            return Verdict::Reject;
        }
        let packets = match &mut self.candidate {
            Some(c) if c.address == from && c.ssrc == ssrc && c.next == sequence => {
                c.packets += 1;
                c.next = sequence.wrapping_add(1);
                c.packets
            }
            other => {
                let next = sequence.wrapping_add(1);
                *other = Some(Candidate { address: from, ssrc, next, packets: 1 });
                1
            }
        };
        let silent = now.since(self.heard) >= SILENCE;
        let believed = if self.current.is_none() && now.since(self.opened) < WINDOW {
            packets >= EARLY_PACKETS
        } else {
            packets >= LATE_PACKETS && silent
        };
        if believed { self.switch(now, from) } else { Verdict::Reject }
    }

    fn switch(&mut self, now: Instant, to: SocketAddr) -> Verdict {
        self.current = Some(to);
        self.heard = now;
        self.candidate = None;
        Verdict::Switched
    }
}

/// An IPv4 address that a socket for both families shows as IPv6 is the IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether two addresses are of the same machine.
pub(crate) fn same_host(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip().to_canonical() == b.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    const TOLD: &str = "192.0.2.1:4000";
    const NAT: &str = "198.51.100.9:6000";
    const ROGUE: &str = "203.0.113.66:7000";

    #[test]
    fn the_address_told_is_believed_at_once() {
        let mut latch = Latch::new(at(0), address(TOLD), false);
        assert_eq!(latch.check(at(1), address(TOLD), 1, 5), Verdict::Switched);
        assert_eq!(latch.check(at(2), address("[::ffff:192.0.2.1]:4000"), 1, 6), Verdict::Accept);
        for i in 0..1_000u16 {
            let now = at(20 * u64::from(i));
            assert_eq!(latch.check(now, address(ROGUE), 2, i), Verdict::Reject);
            assert_eq!(latch.check(now, address(TOLD), 1, i), Verdict::Accept);
        }
        assert_eq!(latch.target(), address(TOLD));
    }

    #[test]
    fn a_peer_behind_a_nat_is_found_in_the_window() {
        let mut latch = Latch::new(at(0), address(TOLD), false);
        assert_eq!(latch.target(), address(TOLD));
        assert_eq!(latch.check(at(100), address(NAT), 1, 9), Verdict::Reject);
        assert_eq!(latch.target(), address(TOLD), "never reply to the unverified");
        assert_eq!(latch.check(at(120), address(NAT), 1, 10), Verdict::Switched);
        assert_eq!(latch.target(), address(NAT));
        // Only once: another one does not get it while the first is there.
        for i in 0..200u16 {
            let now = at(140 + 20 * u64::from(i));
            latch.check(now, address(NAT), 1, 11 + i);
            assert_eq!(latch.check(now, address(ROGUE), 2, i), Verdict::Reject);
        }
        // The address told takes its place back.
        assert_eq!(latch.check(at(5_000), address(TOLD), 1, 500), Verdict::Switched);
        assert_eq!(latch.target(), address(TOLD));
    }

    #[test]
    fn a_new_source_takes_over_only_when_the_old_one_is_silent() {
        let mut latch = Latch::new(at(0), address(TOLD), false);
        latch.check(at(0), address(TOLD), 1, 0);
        let mut switched = None;
        for i in 0..200u16 {
            let now = 20 * u64::from(i);
            if latch.check(at(now), address(NAT), 1, i) == Verdict::Switched {
                switched.get_or_insert(now);
            }
        }
        assert_eq!(switched, Some(1_000));
        // Out of sequence it never does.
        let mut latch = Latch::new(at(0), address(TOLD), false);
        latch.check(at(0), address(TOLD), 1, 0);
        for i in 0..200u16 {
            let verdict = latch.check(at(20 * u64::from(i)), address(NAT), 1, i * 2);
            assert_eq!(verdict, Verdict::Reject);
        }
    }

    #[test]
    fn after_the_window_it_takes_many_packets() {
        let mut latch = Latch::new(at(0), address(TOLD), false);
        let late = |i: u16| at(60_000 + 20 * u64::from(i));
        for i in 0..24 {
            assert_eq!(latch.check(late(i), address(NAT), 1, i), Verdict::Reject);
        }
        assert_eq!(latch.check(late(24), address(NAT), 1, 24), Verdict::Switched);
        // Signalling opens the window again.
        latch.negotiate(at(70_000), address("192.0.2.7:4000"));
        assert_eq!(latch.target(), address("192.0.2.7:4000"));
        latch.check(at(70_020), address(NAT), 1, 25);
        assert_eq!(latch.check(at(70_040), address(NAT), 1, 26), Verdict::Switched);
        latch.negotiate(at(70_050), address("192.0.2.7:4000"));
        assert_eq!(latch.target(), address(NAT), "nothing new was told");
    }

    #[test]
    fn strict_means_strict() {
        let mut latch = Latch::new(at(0), address(TOLD), true);
        for i in 0..200u16 {
            let now = at(20 * u64::from(i));
            assert_eq!(latch.check(now, address(NAT), 1, i), Verdict::Reject);
        }
    }
}
