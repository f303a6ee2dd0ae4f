//! The source from which RTP is accepted and the destination to which it is sent ("latching", RFC 7362): the
//! address in the peer's SDP, or, behind a NAT, the one from which the peer's packets really come.
//!
//! Anybody who can send packets to our port could otherwise listen in or talk in ("RTP bleed"). So a
//! foreign address is accepted once, in a short window after signalling, and only when the negotiated
//! one is silent; later only after many packets in sequence while the one in use is silent. Which addresses
//! are accepted at all is set by [`SymmetricRtp`].

use core::net::SocketAddr;

use crate::media::SymmetricRtp;
use crate::time::{Duration, Instant};

/// How long after signalling a foreign address is accepted after [`EARLY_PACKETS`].
const WINDOW: Duration = Duration::from_secs(5);
/// How many packets in sequence a foreign address has to send within the window (RFC 3550 §A.1).
const EARLY_PACKETS: u32 = 2;
/// How many later.
const LATE_PACKETS: u32 = 25;
/// How long the address in use has to be silent before another takes its place.
const SILENCE: Duration = Duration::from_secs(1);
/// How many foreign addresses are tried at a time, so that a sender with ever new ones does not keep the peer
/// from being found.
const MAX_CANDIDATES: usize = 4;

/// What is done with a packet, by its source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SourceDecision {
    /// It is the source in use.
    Accept,
    /// It is the source in use from now on.
    Switch,
    /// It is not accepted, or not yet.
    Reject,
}

/// How well a packet's source matches a stream; later ones match better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum SourceMatch {
    /// Nothing matches.
    None,
    /// The stream has not received anything from anywhere.
    Unlatched,
    /// The address is being tried.
    Candidate,
    /// The SSRC is the stream's, though the address is new.
    Source,
    /// The address is right.
    Address,
    /// The address is right, and the stream has no SSRC yet.
    FreeAddress,
    /// Address and SSRC are right.
    Both,
}

/// The address of the far end of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Latch {
    negotiated: SocketAddr,
    mode: SymmetricRtp,
    current: Option<SocketAddr>,
    heard: Instant,
    opened: Instant,
    /// What is tried, each address and source once.
    candidates: Vec<Candidate>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    address: SocketAddr,
    ssrc: u32,
    next: u16,
    packets: u32,
    heard: Instant,
}

impl Latch {
    pub(crate) fn new(now: Instant, negotiated: SocketAddr, mode: SymmetricRtp) -> Self {
        let negotiated = canonical(negotiated);
        Self { negotiated, mode, current: None, heard: now, opened: now, candidates: Vec::new() }
    }

    /// Takes the address from SDP; another one than before begins everything anew.
    pub(crate) fn negotiate(&mut self, now: Instant, negotiated: SocketAddr) {
        if canonical(negotiated) != self.negotiated {
            *self = Self::new(now, negotiated, self.mode);
        }
    }

    /// Whether that is the address in use.
    pub(crate) fn is_at(&self, from: SocketAddr) -> bool {
        self.current == Some(canonical(from))
    }

    /// Where media is sent.
    pub(crate) fn target(&self) -> SocketAddr {
        self.current.unwrap_or(self.negotiated)
    }

    /// Whether the far end may be there at all.
    pub(crate) fn admits(&self, from: SocketAddr) -> bool {
        match self.mode {
            SymmetricRtp::Off => canonical(from) == self.negotiated,
            SymmetricRtp::SameAddress => same_host(from, self.negotiated),
            SymmetricRtp::FirstPacket => true,
        }
    }

    /// Whether only the address in SDP is accepted.
    pub(crate) fn is_strict(&self) -> bool {
        self.mode == SymmetricRtp::Off
    }

    /// How well a source address matches this stream, where several share a pair of ports: the address in
    /// use or in SDP, one that is being tried, an unknown one while none is in use, or none of these.
    pub(crate) fn source_match(&self, from: SocketAddr) -> SourceMatch {
        let from = canonical(from);
        if self.current == Some(from) || self.negotiated == from {
            SourceMatch::Address
        } else if self.candidates.iter().any(|candidate| candidate.address == from) {
            SourceMatch::Candidate
        } else if self.current.is_none() && self.candidates.is_empty() && self.admits(from) {
            SourceMatch::Unlatched
        } else {
            SourceMatch::None
        }
    }

    /// Checks the source of a packet with a sound header and an agreed payload type.
    pub(crate) fn check(
        &mut self,
        now: Instant,
        from: SocketAddr,
        ssrc: u32,
        sequence: u16,
    ) -> SourceDecision {
        let from = canonical(from);
        if self.current == Some(from) {
            self.heard = now;
            self.candidates.clear();
            return SourceDecision::Accept;
        }
        // The address in SDP is preferred at any time.
        if from == self.negotiated {
            return self.switch(now, from);
        }
        if !self.admits(from) {
            return SourceDecision::Reject;
        }
        let packets = self.try_out(now, from, ssrc, sequence);
        let silent = now.since(self.heard) >= SILENCE;
        let accepted = if self.current.is_none() && now.since(self.opened) < WINDOW {
            packets >= EARLY_PACKETS
        } else {
            packets >= LATE_PACKETS && silent
        };
        if accepted { self.switch(now, from) } else { SourceDecision::Reject }
    }

    /// Counts a packet of a candidate: how many it has sent in sequence.
    fn try_out(&mut self, now: Instant, address: SocketAddr, ssrc: u32, sequence: u16) -> u32 {
        let is_it = |c: &Candidate| (c.address, c.ssrc) == (address, ssrc);
        let known = self.candidates.iter().position(is_it);
        let known = known.map(|index| self.candidates.swap_remove(index));
        if known.is_none() && self.candidates.len() >= MAX_CANDIDATES {
            self.drop_candidate(now);
        }
        let in_sequence = known.filter(|candidate| candidate.next == sequence);
        let packets = in_sequence.map_or(1, |candidate| candidate.packets + 1);
        let next = sequence.wrapping_add(1);
        self.candidates.push(Candidate { address, ssrc, next, packets, heard: now });
        packets
    }

    /// Makes room: of those that send no more, or else of all, for the one that has sent least, longest
    /// ago. So a flood of single packets takes each other's places.
    fn drop_candidate(&mut self, now: Instant) {
        let worth = |c: &Candidate| (now.since(c.heard) < SILENCE, c.packets, c.heard);
        let least = self.candidates.iter().enumerate().min_by_key(|(_, c)| worth(c));
        if let Some((index, _)) = least {
            self.candidates.swap_remove(index);
        }
    }

    fn switch(&mut self, now: Instant, to: SocketAddr) -> SourceDecision {
        self.current = Some(to);
        self.heard = now;
        self.candidates.clear();
        SourceDecision::Switch
    }
}

/// An IPv4 address that a socket for both families shows as IPv6 is the IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether two addresses are the same.
pub(crate) fn same(a: SocketAddr, b: SocketAddr) -> bool {
    canonical(a) == canonical(b)
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

    const SIGNALLED: &str = "192.0.2.1:4000";
    const NAT: &str = "198.51.100.9:6000";
    const OTHER_PORT: &str = "192.0.2.1:6000";
    const ROGUE: &str = "203.0.113.66:7000";

    #[test]
    fn the_address_in_sdp_is_accepted_at_once() {
        let mut latch = Latch::new(at(0), address(SIGNALLED), SymmetricRtp::FirstPacket);
        assert_eq!(latch.check(at(1), address(SIGNALLED), 1, 5), SourceDecision::Switch);
        assert_eq!(
            latch.check(at(2), address("[::ffff:192.0.2.1]:4000"), 1, 6),
            SourceDecision::Accept
        );
        for i in 0..1_000u16 {
            let now = at(20 * u64::from(i));
            assert_eq!(latch.check(now, address(ROGUE), 2, i), SourceDecision::Reject);
            assert_eq!(latch.check(now, address(SIGNALLED), 1, i), SourceDecision::Accept);
        }
        assert_eq!(latch.target(), address(SIGNALLED));
    }

    #[test]
    fn a_peer_behind_a_nat_is_found_in_the_window() {
        let mut latch = Latch::new(at(0), address(SIGNALLED), SymmetricRtp::FirstPacket);
        assert_eq!(latch.target(), address(SIGNALLED));
        assert_eq!(latch.check(at(100), address(NAT), 1, 9), SourceDecision::Reject);
        assert_eq!(latch.target(), address(SIGNALLED), "never reply to the unverified");
        assert_eq!(latch.check(at(120), address(NAT), 1, 10), SourceDecision::Switch);
        assert_eq!(latch.target(), address(NAT));
        // Only once: another one does not get it while the first is there.
        for i in 0..200u16 {
            let now = at(140 + 20 * u64::from(i));
            latch.check(now, address(NAT), 1, 11 + i);
            assert_eq!(latch.check(now, address(ROGUE), 2, i), SourceDecision::Reject);
        }
        // The address in SDP takes its place back.
        assert_eq!(latch.check(at(5_000), address(SIGNALLED), 1, 500), SourceDecision::Switch);
        assert_eq!(latch.target(), address(SIGNALLED));
    }

    #[test]
    fn a_new_source_takes_over_only_when_the_old_one_is_silent() {
        let mut latch = Latch::new(at(0), address(SIGNALLED), SymmetricRtp::FirstPacket);
        latch.check(at(0), address(SIGNALLED), 1, 0);
        let mut switched = None;
        for i in 0..200u16 {
            let now = 20 * u64::from(i);
            if latch.check(at(now), address(NAT), 1, i) == SourceDecision::Switch {
                switched.get_or_insert(now);
            }
        }
        assert_eq!(switched, Some(1_000));
        // Out of sequence it never does.
        let mut latch = Latch::new(at(0), address(SIGNALLED), SymmetricRtp::FirstPacket);
        latch.check(at(0), address(SIGNALLED), 1, 0);
        for i in 0..200u16 {
            let decision = latch.check(at(20 * u64::from(i)), address(NAT), 1, i * 2);
            assert_eq!(decision, SourceDecision::Reject);
        }
    }

    #[test]
    fn after_the_window_it_takes_many_packets() {
        let mut latch = Latch::new(at(0), address(SIGNALLED), SymmetricRtp::FirstPacket);
        let late = |i: u16| at(60_000 + 20 * u64::from(i));
        for i in 0..24 {
            assert_eq!(latch.check(late(i), address(NAT), 1, i), SourceDecision::Reject);
        }
        assert_eq!(latch.check(late(24), address(NAT), 1, 24), SourceDecision::Switch);
        // Signalling opens the window again.
        latch.negotiate(at(70_000), address("192.0.2.7:4000"));
        assert_eq!(latch.target(), address("192.0.2.7:4000"));
        latch.check(at(70_020), address(NAT), 1, 25);
        assert_eq!(latch.check(at(70_040), address(NAT), 1, 26), SourceDecision::Switch);
        latch.negotiate(at(70_050), address("192.0.2.7:4000"));
        assert_eq!(latch.target(), address(NAT), "nothing new was signalled");
    }

    #[test]
    fn who_sends_from_ever_other_ports_does_not_keep_a_peer_unheard() {
        // Between two packets of the peer come `rogues`, each from a port of its own. In the window
        // three of them are as good as the peer; later any number has sent less than it.
        for (start, rogues, after) in [(0, 3, EARLY_PACKETS), (60_000, 3, LATE_PACKETS)] {
            let mut latch = Latch::new(at(0), address(SIGNALLED), SymmetricRtp::FirstPacket);
            let mut port = 1_000;
            for i in 1..=after as u16 {
                let now = at(start + 20 * u64::from(i));
                let decision = latch.check(now, address(NAT), 1, i);
                let expected = u32::from(i) == after;
                assert_eq!(decision == SourceDecision::Switch, expected, "packet {i}");
                let rogues = if i > 1 { 50 } else { rogues };
                for _ in 0..rogues {
                    port += 1;
                    let rogue = SocketAddr::new(address(ROGUE).ip(), port);
                    assert_eq!(latch.check(now, rogue, 2, port), SourceDecision::Reject);
                }
                assert!(latch.candidates.len() <= MAX_CANDIDATES);
            }
            assert_eq!(latch.target(), address(NAT));
        }
    }

    #[test]
    fn off_accepts_nothing_but_the_address_in_sdp() {
        let mut latch = Latch::new(at(0), address(SIGNALLED), SymmetricRtp::Off);
        for foreign in [NAT, OTHER_PORT] {
            for i in 0..200u16 {
                let now = at(20 * u64::from(i));
                assert_eq!(latch.check(now, address(foreign), 1, i), SourceDecision::Reject);
            }
        }
        assert_eq!(latch.check(at(9_000), address(SIGNALLED), 1, 0), SourceDecision::Switch);
        assert_eq!(latch.target(), address(SIGNALLED));
    }

    #[test]
    fn the_same_address_may_have_another_port_only() {
        let mut latch = Latch::new(at(0), address(SIGNALLED), SymmetricRtp::SameAddress);
        for i in 0..200u16 {
            let now = at(20 * u64::from(i));
            assert_eq!(latch.check(now, address(ROGUE), 2, i), SourceDecision::Reject);
        }
        assert_eq!(latch.source_match(address(ROGUE)), SourceMatch::None);
        let mut latch = Latch::new(at(0), address(SIGNALLED), SymmetricRtp::SameAddress);
        assert_eq!(latch.source_match(address(OTHER_PORT)), SourceMatch::Unlatched);
        assert_eq!(latch.check(at(20), address(OTHER_PORT), 1, 0), SourceDecision::Reject);
        assert_eq!(latch.check(at(40), address(OTHER_PORT), 1, 1), SourceDecision::Switch);
        assert_eq!(latch.target(), address(OTHER_PORT));
    }

    const MODES: [SymmetricRtp; 3] = SymmetricRtp::ALL;

    #[test]
    fn an_attacker_who_guesses_gets_nowhere() {
        for mode in MODES {
            let mut latch = Latch::new(at(0), address(SIGNALLED), mode);
            // A flood from every port of many hosts, each packet a guess, before, during and after
            // the window; the peer is heard, then silent for ever.
            let mut guess = 1_u64;
            for packet in 0..20_000_u64 {
                guess = guess.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let [a, b, c, d, e, f, ..] = guess.to_be_bytes();
                let from = SocketAddr::from(([203, 0, 113, a], u16::from_be_bytes([b, c])));
                let decision = latch.check(at(packet), from, 7, u16::from_be_bytes([d, e ^ f]));
                assert_eq!(decision, SourceDecision::Reject, "{mode:?}");
                if (3_000..4_000).contains(&packet) && packet % 20 == 0 {
                    latch.check(at(packet), address(SIGNALLED), 1, (packet / 20) as u16);
                }
                assert_eq!(latch.target(), address(SIGNALLED), "{mode:?}");
            }
        }
    }

    #[test]
    fn a_foreign_source_that_is_first_yields_to_the_address_in_sdp() {
        for mode in MODES {
            let mut latch = Latch::new(at(0), address(SIGNALLED), mode);
            for i in 0..50u16 {
                latch.check(at(u64::from(i)), address(ROGUE), 2, i);
            }
            latch.check(at(60), address(SIGNALLED), 1, 9);
            assert_eq!(latch.target(), address(SIGNALLED), "{mode:?}");
            for i in 50..5_000u16 {
                let now = at(20 * u64::from(i));
                assert_eq!(
                    latch.check(now, address(ROGUE), 2, i),
                    SourceDecision::Reject,
                    "{mode:?}"
                );
                latch.check(now, address(SIGNALLED), 1, i);
            }
        }
    }

    #[test]
    fn a_foreign_source_needs_half_a_second_of_silence_and_yields_again() {
        for mode in MODES {
            let mut latch = Latch::new(at(0), address(SIGNALLED), mode);
            latch.check(at(0), address(SIGNALLED), 1, 0);
            // The peer is silent for a second; 24 packets are not enough, nor are many in disorder.
            for i in 0..24u16 {
                let now = at(1_000 + 20 * u64::from(i));
                assert_eq!(
                    latch.check(now, address(ROGUE), 2, i),
                    SourceDecision::Reject,
                    "{mode:?}"
                );
            }
            for i in (100..1_000u16).rev() {
                let now = at(2_500 + u64::from(1_000 - i));
                assert_eq!(
                    latch.check(now, address(ROGUE), 2, i),
                    SourceDecision::Reject,
                    "{mode:?}"
                );
            }
            for i in 0..100u16 {
                latch.check(at(4_000 + 20 * u64::from(i)), address(ROGUE), 2, i);
            }
            // The rule lets a long silence be filled; only where another host may be at all.
            let filled = mode == SymmetricRtp::FirstPacket;
            assert_eq!(latch.target(), address(if filled { ROGUE } else { SIGNALLED }), "{mode:?}");
            latch.check(at(7_000), address(SIGNALLED), 1, 1);
            assert_eq!(latch.target(), address(SIGNALLED), "{mode:?}");
        }
    }
}
