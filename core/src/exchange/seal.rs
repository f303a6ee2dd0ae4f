//! The routes that the exchange records, and how it knows them again.

use core::fmt;
use core::hash::Hasher;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;

use super::side::{PeerFlow, Side};
use crate::host::{Entropy, Flow, Transport};
use crate::sip::Uri;

/// Marks the routes that the exchange records, so that it knows them again without keeping a table
/// of dialogs: only within a call that it connected does it forward to whatever address a request
/// names. A mark may hold the flow to the peer on that side of the call (the flow token of RFC 5626
/// §5.2).
#[derive(Clone, Copy)]
pub(super) struct Seal {
    keys: (u64, u64),
    /// Which run of the exchange made a mark: the host's numbers of flows mean nothing to another.
    run: u32,
}

/// What a route of ours says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Mark {
    /// Whether it names a flow, of this run or of another.
    pub(super) bound: bool,
    /// The flow to the peer on that side, if it was made in this run.
    pub(super) along: Option<PeerFlow>,
}

impl Seal {
    /// A seal that others cannot make: from a secret, so that it is the same the next time, or from
    /// chance.
    pub(super) fn new<E: Entropy + ?Sized>(entropy: &mut E, secret: Option<&[u8]>) -> Self {
        let random = (entropy.random(), entropy.random());
        let run = (entropy.random() >> 32) as u32;
        let keys = secret.map_or(random, |secret| {
            let digest = Sha256::digest(secret);
            let (mut first, mut second) = ([0; 8], [0; 8]);
            first.iter_mut().chain(&mut second).zip(digest).for_each(|(to, from)| *to = from);
            (u64::from_le_bytes(first), u64::from_le_bytes(second))
        });
        Self { keys, run }
    }

    /// The value of Record-Route for one side of a call (RFC 3261 §16.6 step 4). In a call to a
    /// sips URI it is one itself. Elsewhere TLS is asked for by `transport=tls`, although RFC 5658
    /// §6.2 has sips there too: with it the telephone's own contact would have to be a sips URI
    /// (RFC 3261 §12.1.1), and a call with somebody on UDP has no way to that. WSS likewise is named
    /// by itself, for `ws` in a sip URI is a connection without TLS. Who knows us by a `name` is told
    /// that, for the certificate names it and need not name our address.
    pub(super) fn record_route(
        self,
        side: &Side,
        name: Option<&str>,
        call_id: &str,
        sips: bool,
    ) -> String {
        let user = self.user(call_id, side.bound.then_some(&side.along));
        let local = match name {
            Some(name) => format!("{name}:{}", side.local.port()),
            None => side.local.to_string(),
        };
        let (scheme, transport) = match (side.along.flow.transport, sips) {
            (Transport::Udp, _) => ("sip", ""),
            (Transport::Tcp, _) => ("sip", ";transport=tcp"),
            (Transport::Ws, _) => ("sip", ";transport=ws"),
            (Transport::Tls, false) => ("sip", ";transport=tls"),
            (Transport::Wss, false) => ("sip", ";transport=wss"),
            (Transport::Tls, true) => ("sips", ""),
            (Transport::Wss, true) => ("sips", ";transport=ws"),
        };
        format!("<{scheme}:{user}@{local}{transport};lr>")
    }

    /// What a route says, if it is one of ours for that Call-ID.
    pub(super) fn read(self, route: &Uri<'_>, call_id: &str) -> Option<Mark> {
        let user = route.user()?;
        let (sum, token) = user.split_once('-').unwrap_or((user, ""));
        let mark = || Mark { bound: !token.is_empty(), along: self.flow(token) };
        (sum == self.sum(call_id, token)).then(mark)
    }

    /// The user part of a route.
    fn user(self, call_id: &str, along: Option<&PeerFlow>) -> String {
        let token = along.map(|along| self.token(along)).unwrap_or_default();
        let sum = self.sum(call_id, &token);
        if token.is_empty() { sum } else { format!("{sum}-{token}") }
    }

    fn sum(self, call_id: &str, token: &str) -> String {
        let mut hasher = SipHasher24::new_with_keys(self.keys.0, self.keys.1);
        hasher.write(token.as_bytes());
        hasher.write(b"\n");
        hasher.write(call_id.as_bytes());
        format!("{:016x}", hasher.finish())
    }

    fn token(self, along: &PeerFlow) -> String {
        let PeerFlow { flow, peer } = along;
        let ip = match peer.ip() {
            IpAddr::V4(ip) => format!("{:08x}", ip.to_bits()),
            IpAddr::V6(ip) => format!("{:032x}", ip.to_bits()),
        };
        let transport = flow.transport.as_str().to_ascii_lowercase();
        format!("{:08x}-{transport}-{:x}-{ip}-{:x}", self.run, flow.id, peer.port())
    }

    /// Reads what [`token`](Self::token) wrote, in this run.
    fn flow(self, token: &str) -> Option<PeerFlow> {
        let mut parts = token.split('-');
        let run = u32::from_str_radix(parts.next()?, 16).ok()?;
        let transport = Transport::named(parts.next()?)?;
        let id = u64::from_str_radix(parts.next()?, 16).ok()?;
        let ip = match parts.next()? {
            short if short.len() == 8 => {
                Ipv4Addr::from_bits(u32::from_str_radix(short, 16).ok()?).into()
            }
            long => IpAddr::from(Ipv6Addr::from_bits(u128::from_str_radix(long, 16).ok()?)),
        };
        let port = u16::from_str_radix(parts.next()?, 16).ok()?;
        let along = PeerFlow { flow: Flow { transport, id }, peer: SocketAddr::new(ip, port) };
        (run == self.run).then_some(along)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{ScriptedPeer, Simulation};

    fn seal(seed: u64, secret: Option<&[u8]>) -> Seal {
        let mut sim = Simulation::new(seed);
        let node = sim.add([10, 0, 0, 1], ScriptedPeer::new());
        sim.with(node, |_, host| Seal::new(host, secret))
    }

    fn side(transport: Transport, peer: &str) -> Side {
        let along = PeerFlow { flow: Flow { transport, id: 77 }, peer: peer.parse().unwrap() };
        Side { along, local: "10.0.0.9:5060".parse().unwrap(), bound: true }
    }

    fn read(seal: Seal, route: &str, call_id: &str) -> Option<Mark> {
        seal.read(&Uri::parse(route.trim_matches(['<', '>'])).unwrap(), call_id)
    }

    #[test]
    fn a_route_leads_back_to_its_flow() {
        let seal = seal(1, None);
        for peer in ["10.0.0.2:40000", "[2001:db8::2]:5060"] {
            for transport in Transport::ALL {
                let side = side(transport, peer);
                for sips in [false, true] {
                    let route = seal.record_route(&side, None, "call", sips);
                    assert_eq!(
                        read(seal, &route, "call").unwrap().along,
                        Some(side.along),
                        "{route}"
                    );
                    assert_eq!(read(seal, &route, "other"), None);
                    assert_eq!(read(seal, &route.replace("-4d-", "-4e-"), "call"), None);
                }
            }
        }
    }

    #[test]
    fn a_secret_outlives_the_run_and_a_flow_does_not() {
        let side = side(Transport::Ws, "10.0.0.2:40000");
        let route = seal(1, Some(b"secret")).record_route(&side, None, "call", false);
        assert_eq!(
            read(seal(2, Some(b"secret")), &route, "call"),
            Some(Mark { bound: true, along: None })
        );
        assert_eq!(read(seal(2, Some(b"other")), &route, "call"), None);
        assert_eq!(read(seal(2, None), &route, "call"), None);
    }
}
