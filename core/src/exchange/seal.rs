//! The routes that the exchange records, and how it knows them again.

use core::fmt;
use core::hash::Hasher;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;

use super::side::{PeerFlow, Side};
use crate::host::{Entropy, Flow, Transport};
use crate::sip::{Message, NameAddr, Uri};

/// Marks the routes that the exchange records, so that it knows them again without keeping a table
/// of dialogs: only within a call that it connected does it forward to whatever address a request
/// names. A mark may hold the flow to the peer on that side of the call (the flow token of RFC 5626
/// §5.2).
///
/// It holds for one dialog: the callee gets a route for the Call-ID and the caller's tag, the
/// caller one for those and the tag of who has answered, which is put in on the way back ([`confirm`]
/// (Self::confirm)). So a request that only pretends to be within a dialog, by a tag made up in To, is
/// none that the exchange connected.
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
        request: &Message,
        sips: bool,
    ) -> String {
        let token = if side.bound { self.token(&side.along) } else { String::new() };
        let sum = self.sum(request.call_id(), [request.from_tag(), None], &token);
        let user = if token.is_empty() { sum } else { format!("{sum}-{token}") };
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

    /// What a route says, if it is one of ours for the dialog of that request.
    pub(super) fn read(self, route: &Uri<'_>, request: &Message) -> Option<Mark> {
        let (sum, token) = parts(route)?;
        let (call_id, from, to) = (request.call_id(), request.from_tag(), request.to_tag());
        // Of the callee, and of the caller.
        let known = [[to, None], [from, to]].map(|tags| self.sum(call_id, tags, token) == sum);
        let mark = || Mark { bound: !token.is_empty(), along: self.flow(token) };
        (to.is_some() && known.contains(&true)).then(mark)
    }

    /// A value of Record-Route in a response, as the caller gets it (RFC 3261 §16.7 step 8): if it is
    /// ours, for the dialog with who has answered.
    pub(super) fn confirm(self, value: &str, response: &Message) -> Option<String> {
        let route = NameAddr::parse(value).ok()?;
        let (call_id, from) = (response.call_id(), response.from_tag());
        let (uri, to) = (route.uri(), response.to_tag()?);
        let (sum, token) = parts(&uri)?;
        let confirmed = || value.replacen(sum, &self.sum(call_id, [from, Some(to)], token), 1);
        (sum == self.sum(call_id, [from, None], token)).then(confirmed)
    }

    fn sum(self, call_id: &str, tags: [Option<&str>; 2], token: &str) -> String {
        let mut hasher = SipHasher24::new_with_keys(self.keys.0, self.keys.1);
        for part in [Some(token), Some(call_id)].into_iter().chain(tags) {
            // Neither of them holds a line feed.
            hasher.write(part.unwrap_or_default().as_bytes());
            hasher.write(if part.is_some() { b"\n" } else { b"\r" });
        }
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

/// The sum in the user part of a route, and the token.
fn parts<'a>(route: &Uri<'a>) -> Option<(&'a str, &'a str)> {
    let user = route.user()?;
    Some(user.split_once('-').unwrap_or((user, "")))
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

    /// A request, or with a status a response.
    fn message(start: &str, call_id: &str, from: &str, to: &str) -> Message {
        let to = if to.is_empty() { String::new() } else { format!(";tag={to}") };
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag={from}\r\n\
             To: <sip:b@h>{to}\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\r\n"
        );
        Message::parse(text.as_bytes()).unwrap()
    }

    fn request(call_id: &str, from: &str, to: &str) -> Message {
        message("INVITE sip:b@h SIP/2.0", call_id, from, to)
    }

    fn read(seal: Seal, route: &str, request: &Message) -> Option<Mark> {
        seal.read(&Uri::parse(route.trim_matches(['<', '>'])).unwrap(), request)
    }

    #[test]
    fn a_route_leads_back_to_its_flow() {
        let seal = seal(1, None);
        let (first, back) = (request("call", "a", ""), request("call", "b", "a"));
        for peer in ["10.0.0.2:40000", "[2001:db8::2]:5060"] {
            for transport in Transport::ALL {
                let side = side(transport, peer);
                for sips in [false, true] {
                    let route = seal.record_route(&side, None, &first, sips);
                    assert_eq!(
                        read(seal, &route, &back).unwrap().along,
                        Some(side.along),
                        "{route}"
                    );
                    assert_eq!(read(seal, &route, &request("other", "b", "a")), None);
                    assert_eq!(read(seal, &route.replace("-4d-", "-4e-"), &back), None);
                }
            }
        }
    }

    #[test]
    fn a_route_holds_for_one_dialog() {
        let seal = seal(1, None);
        let side = side(Transport::Udp, "10.0.0.2:5060");
        let called = seal.record_route(&side, None, &request("call", "a", ""), false);
        // Who was called asks the caller; nobody asks anybody else.
        assert!(read(seal, &called, &request("call", "b", "a")).is_some());
        for (from, to) in [("a", ""), ("a", "b"), ("a", "made-up"), ("b", "other"), ("b", "")] {
            assert_eq!(read(seal, &called, &request("call", from, to)), None, "{from} {to}");
        }
        let answer = message("SIP/2.0 200 OK", "call", "a", "b");
        let caller = seal.confirm(&called, &answer).unwrap();
        assert!(read(seal, &caller, &request("call", "a", "b")).is_some());
        for (from, to) in [("a", ""), ("a", "made-up"), ("b", "a"), ("x", "b"), ("b", "x")] {
            assert_eq!(read(seal, &caller, &request("call", from, to)), None, "{from} {to}");
        }
        // Once, and only what is ours.
        for other in [caller.as_str(), "<sip:10.0.0.2;lr>", "<sip:x@10.0.0.2;lr>", "nonsense"] {
            assert_eq!(seal.confirm(other, &answer), None, "{other}");
        }
        assert_eq!(seal.confirm(&called, &message("SIP/2.0 200 OK", "call", "a", "")), None);
    }

    #[test]
    fn a_secret_outlives_the_run_and_a_link_does_not() {
        let side = side(Transport::Ws, "10.0.0.2:40000");
        let (first, back) = (request("call", "a", ""), request("call", "b", "a"));
        let route = seal(1, Some(b"secret")).record_route(&side, None, &first, false);
        assert_eq!(
            read(seal(2, Some(b"secret")), &route, &back),
            Some(Mark { bound: true, along: None })
        );
        assert_eq!(read(seal(2, Some(b"other")), &route, &back), None);
        assert_eq!(read(seal(2, None), &route, &back), None);
    }
}
