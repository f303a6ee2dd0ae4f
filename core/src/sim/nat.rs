//! Network address translators in RFC 4787's words: what stands between most telephones and their
//! server.

use core::net::{IpAddr, SocketAddr};

use crate::map::Map;
use crate::time::{Duration, Instant};

/// The first port on the outside of a translator that does not preserve them.
const FIRST_PORT: u16 = 40_000;

/// What a network address translator does to datagrams, of signalling and of media alike. Set up by
/// [`Simulation::set_nat`](super::Simulation::set_nat).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nat {
    /// Its address on the outside: all that others ever see of those inside.
    pub public: IpAddr,
    /// For whom a port on the outside is used again (RFC 4787 §4.1).
    pub mapping: Dependence,
    /// Who may send to it (§5).
    pub filtering: Dependence,
    /// How long a mapping lasts after the last packet that left by it (§4.3); what comes in does not
    /// keep it.
    pub lifetime: Duration,
    /// Whether the port outside is that inside, where it is free (§4.2.1).
    pub preserves_ports: bool,
    /// Whether those inside reach each other at their addresses on the outside (§6).
    pub hairpins: bool,
}

/// On what of the peer a translator's behaviour depends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dependence {
    /// On nothing: "endpoint-independent".
    Independent,
    /// On its address.
    Address,
    /// On its address and port.
    AddressAndPort,
}

impl Nat {
    /// One port for all peers, to which everybody may send. Mappings last 30 s, ports are preserved,
    /// and it does not hairpin; so have the others.
    pub fn full_cone(public: impl Into<IpAddr>) -> Self {
        Self {
            public: public.into(),
            mapping: Dependence::Independent,
            filtering: Dependence::Independent,
            lifetime: Duration::from_secs(30),
            preserves_ports: true,
            hairpins: false,
        }
    }

    /// One port for all peers, to which a host may send that was sent something.
    pub fn restricted(public: impl Into<IpAddr>) -> Self {
        Self { filtering: Dependence::Address, ..Self::full_cone(public) }
    }

    /// One port for all peers, to which a socket may send that was sent something.
    pub fn port_restricted(public: impl Into<IpAddr>) -> Self {
        Self { filtering: Dependence::AddressAndPort, ..Self::full_cone(public) }
    }

    /// A port for each peer, to which it alone may send.
    pub fn symmetric(public: impl Into<IpAddr>) -> Self {
        Self {
            mapping: Dependence::AddressAndPort,
            preserves_ports: false,
            ..Self::port_restricted(public)
        }
    }
}

impl Dependence {
    /// What of a peer counts.
    fn of(self, peer: SocketAddr) -> (Option<IpAddr>, Option<u16>) {
        match self {
            Self::Independent => (None, None),
            Self::Address => (Some(peer.ip()), None),
            Self::AddressAndPort => (Some(peer.ip()), Some(peer.port())),
        }
    }
}

/// All translators of a network.
#[derive(Debug, Default)]
pub(super) struct Nats(Vec<Translator>);

#[derive(Debug)]
struct Translator {
    nat: Nat,
    inside: Vec<IpAddr>,
    mappings: Vec<Mapping>,
    /// The port outside that was given last.
    last_port: u16,
}

#[derive(Debug)]
struct Mapping {
    inside: SocketAddr,
    outside: SocketAddr,
    /// The peers it is for, as far as the translator tells them apart.
    toward: (Option<IpAddr>, Option<u16>),
    /// When something was last sent to each.
    sent: Map<SocketAddr, Instant>,
}

impl Nats {
    /// Puts a translator before hosts, in place of what was before them.
    pub(super) fn set(&mut self, inside: &[IpAddr], nat: Nat) {
        self.remove(inside);
        assert!(self.0.iter().all(|t| t.nat.public != nat.public), "{} is another's", nat.public);
        let (inside, mappings) = (inside.to_vec(), Vec::new());
        self.0.push(Translator { nat, inside, mappings, last_port: FIRST_PORT - 1 });
    }

    /// Puts hosts on the open network.
    pub(super) fn remove(&mut self, inside: &[IpAddr]) {
        for translator in &mut self.0 {
            translator.inside.retain(|ip| !inside.contains(ip));
        }
        self.0.retain(|translator| !translator.inside.is_empty());
    }

    /// As what a packet that is sent now is seen on the outside; `None` when it gets nowhere.
    pub(super) fn leave(
        &mut self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
    ) -> Option<SocketAddr> {
        let before = |t: &&mut Translator| t.inside.contains(&from.ip());
        let Some(translator) = self.0.iter_mut().find(before) else { return Some(from) };
        if translator.inside.contains(&to.ip()) {
            return Some(from);
        }
        let Nat { public, hairpins, .. } = translator.nat;
        (hairpins || to.ip() != public).then(|| translator.leave(now, from, to))
    }

    /// Whom a packet reaches that comes now; `None` when it reaches nobody.
    pub(super) fn enter(
        &self,
        now: Instant,
        from: SocketAddr,
        to: SocketAddr,
    ) -> Option<SocketAddr> {
        for translator in &self.0 {
            if translator.nat.public == to.ip() {
                return translator.enter(now, from, to);
            }
            if translator.inside.contains(&to.ip()) {
                return translator.inside.contains(&from.ip()).then_some(to);
            }
        }
        Some(to)
    }
}

impl Translator {
    fn leave(&mut self, now: Instant, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        let (lifetime, toward) = (self.nat.lifetime, self.nat.mapping.of(to));
        self.mappings.retain_mut(|mapping| {
            mapping.sent.retain(|_, sent| now.since(*sent) < lifetime);
            !mapping.sent.is_empty()
        });
        let same = |m: &Mapping| m.inside == from && m.toward == toward;
        let index = self.mappings.iter().position(same).unwrap_or_else(|| {
            let outside = self.free_port(from.port());
            self.mappings.push(Mapping { inside: from, outside, toward, sent: Map::new() });
            self.mappings.len() - 1
        });
        let mapping = &mut self.mappings[index];
        mapping.sent.insert(to, now);
        mapping.outside
    }

    fn enter(&self, now: Instant, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        let Nat { filtering, lifetime, .. } = self.nat;
        let mapping = self.mappings.iter().find(|mapping| mapping.outside == to)?;
        let mut sent = mapping.sent.iter().filter(|(_, sent)| now.since(**sent) < lifetime);
        let admits = |(peer, _): (&SocketAddr, &Instant)| filtering.of(*peer) == filtering.of(from);
        sent.any(admits).then_some(mapping.inside)
    }

    fn free_port(&mut self, wanted: u16) -> SocketAddr {
        let at = |port| SocketAddr::new(self.nat.public, port);
        let free = |port: u16| self.mappings.iter().all(|mapping| mapping.outside != at(port));
        if self.nat.preserves_ports && free(wanted) {
            return at(wanted);
        }
        let after = self.last_port.saturating_add(1)..=u16::MAX;
        let port = after.chain(FIRST_PORT..=u16::MAX).find(|port| free(*port));
        let outside = at(port.unwrap_or(FIRST_PORT));
        self.last_port = outside.port();
        outside
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{NodeId, ScriptedPeer, Simulation};

    const PUBLIC: [u8; 4] = [203, 0, 113, 1];

    /// Somebody inside, and three sockets outside, of which two are of one host.
    struct Network {
        sim: Simulation,
        inside: NodeId<ScriptedPeer>,
        outside: [NodeId<ScriptedPeer>; 3],
    }

    fn network(nat: Nat) -> Network {
        let mut sim = Simulation::new(1);
        let inside = sim.add([192, 168, 1, 2], ScriptedPeer::new());
        let outside = [1, 1, 2].map(|last| sim.add([198, 51, 100, last], ScriptedPeer::new()));
        sim.set_nat(&[inside.ip()], nat);
        Network { sim, inside, outside }
    }

    impl Network {
        /// Sends from the inside to one of those outside; tells as what it was seen.
        fn leave(&mut self, to: usize) -> SocketAddr {
            let to = self.outside[to];
            self.sim[self.inside].send(to.address(), "out");
            self.sim.run_for(Duration::from_millis(10));
            self.sim[to].received().last().expect("it came").from
        }

        /// Who of those outside reaches the inside at `to`.
        fn reached(&mut self, to: SocketAddr) -> [bool; 3] {
            self.outside.map(|from| {
                self.sim[from].send(to, "in");
                self.sim.run_for(Duration::from_millis(10));
                let came = self.sim[self.inside].take();
                assert!(came.iter().all(|arrival| arrival.from == from.address()));
                !came.is_empty()
            })
        }
    }

    #[test]
    fn cones_have_one_port_and_differ_in_whom_they_let_in() {
        for (nat, reached) in [
            (Nat::full_cone(PUBLIC), [true; 3]),
            (Nat::restricted(PUBLIC), [true, true, false]),
            (Nat::port_restricted(PUBLIC), [true, false, false]),
        ] {
            let mut network = network(nat);
            let seen = network.leave(0);
            assert_eq!(seen, SocketAddr::from((PUBLIC, 5060)), "{nat:?}");
            assert_eq!(network.reached(seen), reached, "{nat:?}");
            assert_eq!(network.leave(2), seen, "{nat:?}");
            assert!(network.reached(seen)[2], "{nat:?}");
            // Nobody reaches the address inside.
            assert_eq!(network.reached(network.inside.address()), [false; 3]);
        }
    }

    #[test]
    fn a_symmetric_one_has_a_port_for_each_peer() {
        let mut network = network(Nat::symmetric(PUBLIC));
        let seen = [0, 1, 2].map(|to| network.leave(to));
        assert_eq!(seen.map(|seen| seen.port()), [40_000, 40_001, 40_002]);
        assert_eq!(network.reached(seen[0]), [true, false, false]);
        assert_eq!(network.reached(seen[2]), [false, false, true]);
        assert_eq!(network.leave(0), seen[0], "while it lasts");
    }

    #[test]
    fn only_what_leaves_keeps_a_mapping() {
        let mut network = network(Nat::port_restricted(PUBLIC));
        let seen = network.leave(0);
        network.sim.run_for(Duration::from_secs(20));
        assert!(network.reached(seen)[0]);
        network.sim.run_for(Duration::from_secs(12));
        assert_eq!(network.reached(seen), [false; 3]);
        network.leave(0);
        network.sim.run_for(Duration::from_secs(20));
        network.leave(0);
        network.sim.run_for(Duration::from_secs(20));
        assert!(network.reached(seen)[0]);
    }

    #[test]
    fn a_taken_port_is_not_preserved_and_a_reboot_forgets_everything() {
        let mut network = network(Nat::full_cone(PUBLIC));
        let (first, second) = (network.inside, [192, 168, 1, 3]);
        let second = network.sim.add(second, ScriptedPeer::new());
        network.sim.set_nat(&[first.ip(), second.ip()], Nat::full_cone(PUBLIC));
        let seen = network.leave(0);
        network.inside = second;
        assert_eq!(network.leave(0), SocketAddr::from((PUBLIC, 40_000)));
        network.inside = first;
        let other = [203, 0, 113, 2];
        network.sim.set_nat(&[first.ip(), second.ip()], Nat::full_cone(other));
        assert_eq!(network.reached(seen), [false; 3]);
        assert_eq!(network.leave(0), SocketAddr::from((other, 5060)));
        network.sim.remove_nat(&[first.ip(), second.ip()]);
        assert_eq!(network.leave(0), first.address());
    }

    #[test]
    fn those_inside_meet_directly_or_by_a_hairpin() {
        for hairpins in [false, true] {
            let mut network = network(Nat { hairpins, ..Nat::full_cone(PUBLIC) });
            let neighbour = network.sim.add([192, 168, 1, 3], ScriptedPeer::new());
            let inside = network.inside;
            let nat = Nat { hairpins, ..Nat::full_cone(PUBLIC) };
            network.sim.set_nat(&[inside.ip(), neighbour.ip()], nat);
            let seen = network.leave(0);
            for to in [inside.address(), seen] {
                network.sim[neighbour].send(to, "hello");
                network.sim.run_for(Duration::from_millis(10));
            }
            let came: Vec<SocketAddr> =
                network.sim[inside].take().iter().map(|arrival| arrival.from).collect();
            // RFC 4787 §6, REQ-9: the hairpin shows the address outside.
            let expected = [neighbour.address(), SocketAddr::from((PUBLIC, 40_000))];
            assert_eq!(came, &expected[..1 + usize::from(hairpins)]);
        }
    }
}
