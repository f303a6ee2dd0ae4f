//! The public address from which the server sees us (RFC 3581): behind a NAT it differs from ours,
//! and is the one to advertise in Contact and in session descriptions.
//!
//! Only the configured server or proxy is believed, and only in a response to a request that ends
//! there, REGISTER and a keep-alive's OPTIONS: proxies forward the responses of others, who may have
//! changed our Via.

use core::net::{IpAddr, SocketAddr};

use std::sync::Arc;

use super::{Agent, Hop, MediaPorts, Path};
use crate::error::Error;
use crate::host::{Flow, Transport};
use crate::nat::{self, is_private, is_usable};
use crate::sip::Via;

/// How many public addresses are remembered, one for each server and flow.
const MAX_SEEN: usize = 16;

/// Our public addresses as servers have reported them.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// From the Via of responses, the latest first.
    seen: Vec<Seen>,
    /// From a STUN server, for one flow.
    mapped: Option<(Flow, SocketAddr)>,
    /// The latest public address, on any flow.
    last: Option<IpAddr>,
}

/// How a reported public address changes what we advertise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AddressChange {
    /// Not at all.
    None,
    /// A public address is known for the first time.
    Found,
    /// Another public address than before: the NAT has a new address, or has dropped our mapping.
    Moved,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Seen {
    flow: Flow,
    server: SocketAddr,
    /// Our address as the server sees it.
    public: SocketAddr,
}

impl Agent {
    /// Handles the topmost Via of a response, which the server itself must have made.
    pub(crate) fn learn(&mut self, flow: Flow, from: SocketAddr, via: &Via<'_>) -> AddressChange {
        // RFC 3581 §4 has both filled in; a server that knows only RFC 3261 §18.2.1 has `received`,
        // where it differs. Without either it says nothing.
        if via.received().is_none() && via.rport().flatten().is_none() {
            return AddressChange::None;
        }
        let Some(ip) = via.received().or_else(|| via.ip()) else { return AddressChange::None };
        let default = via.port().unwrap_or(flow.transport.default_port());
        let port = via.rport().flatten().unwrap_or(default);
        self.note_seen(flow, from, SocketAddr::new(ip, port))
    }

    /// Notes our address as a server sees it.
    pub(crate) fn note_seen(
        &mut self,
        flow: Flow,
        from: SocketAddr,
        public: SocketAddr,
    ) -> AddressChange {
        let public = SocketAddr::new(public.ip().to_canonical(), public.port());
        let ip = public.ip();
        if !is_usable(public, from.ip()) || !self.is_home_address(from) {
            return AddressChange::None;
        }
        let seen = Seen { flow, server: from, public };
        let all = &mut self.learned.seen;
        if all.contains(&seen) {
            return AddressChange::None;
        }
        let count = all.len();
        all.retain(|other| (other.flow, other.server) != (flow, from));
        // A connection that takes the place of one that was lost is seen at another port, in any case.
        let was_seen = all.len() < count;
        all.truncate(MAX_SEEN - 1);
        all.insert(0, seen);
        let elsewhere = self.learned.last.replace(ip).is_some_and(|last| last != ip);
        match self.readvertise(flow, from) {
            true if was_seen || elsewhere => AddressChange::Moved,
            true => AddressChange::Found,
            false => AddressChange::None,
        }
    }

    /// Notes the public address of a flow from a STUN server, which must be usable; true when it
    /// changes what we advertise.
    pub(crate) fn note_mapped(&mut self, flow: Flow, mapped: SocketAddr) -> bool {
        let mapped = Some((flow, mapped));
        let changed = core::mem::replace(&mut self.learned.mapped, mapped) != mapped;
        changed && self.readvertise_all(flow)
    }

    /// Our address as advertised to a peer on a flow whose local address is `local`: `host:port`.
    pub(super) fn advertised_on(
        &self,
        flow: Flow,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Result<String, Error> {
        // RFC 7118 §5: a client of WebSocket listens nowhere, and says no address of its own.
        if let (Transport::Ws | Transport::Wss, Some(name)) = (flow.transport, &self.nowhere) {
            return Ok(name.clone());
        }
        let public = self.outside(Some((flow, peer.port())), peer.ip(), local.ip());
        let public = public.filter(|public| {
            // The port of a connection is not that at which we listen: without a NAT nobody wants it.
            !flow.transport.is_reliable() || public.ip() != local.ip().to_canonical()
        });
        let here = public.unwrap_or(local);
        let host = self.advertised(peer.ip(), here.ip())?;
        let is_here = host.parse() == Ok(here.ip().to_canonical());
        Ok(Hop::join(&host, if is_here { here.port() } else { local.port() }))
    }

    /// Whether the server at the end of a path sees us at another address than ours.
    pub(crate) fn is_behind_nat(&self, path: &Path) -> bool {
        let on_it = |seen: &&Seen| seen.flow == path.flow && seen.server == path.to;
        self.learned.seen.iter().find(on_it).is_some_and(|seen| seen.public != path.local)
    }

    /// The path with the address to advertise now.
    pub(crate) fn readvertised(&self, path: &Arc<Path>) -> Arc<Path> {
        match self.advertised_on(path.flow, path.to, path.local) {
            Ok(advertised) if advertised != path.advertised => {
                Arc::new(Path { advertised, ..Path::clone(path) })
            }
            _ => Arc::clone(path),
        }
    }

    /// Our host as advertised to `peer`, with the local address `local` on the route to it.
    pub(crate) fn advertised_to(&self, peer: IpAddr, local: IpAddr) -> Result<String, Error> {
        let public = self.outside(None, peer, local);
        self.advertised(peer, public.map_or(local, |public| public.ip()))
    }

    /// The address of a pair of media ports as advertised to `peer`; where it is the public one, so
    /// are the ports.
    pub(crate) fn advertised_of(&self, peer: IpAddr, ports: &MediaPorts) -> Result<IpAddr, Error> {
        let local = ports.rtp.ip();
        let is_outside = self
            .seen_by(None, peer)
            .map_or(is_beyond_nat(peer, local), |public| public.ip() != local.to_canonical());
        let advertised = match ports.mapped {
            Some([rtp, _]) if is_outside => self.advertised_to(peer, rtp.ip())?,
            _ => self.advertised_to(peer, local)?,
        };
        // A name is for Contact; a connection line wants the address behind it.
        Ok(advertised.parse().unwrap_or(local))
    }

    /// From where a peer sees us that has said so: by a flow, at its port, or at all.
    fn seen_by(&self, on: Option<(Flow, u16)>, peer: IpAddr) -> Option<SocketAddr> {
        let is_it = |seen: &&Seen| {
            seen.server.ip() == peer
                && on.is_none_or(|(flow, port)| (seen.flow, seen.server.port()) == (flow, port))
        };
        self.to_advertise().iter().find(is_it).map(|seen| seen.public)
    }

    /// What we are for a peer on the outside of our NAT, where `local` is our address on the route to
    /// it: what it has said itself, wherever it is; beyond the NAT what others have said, and then
    /// a STUN server.
    fn outside(&self, on: Option<(Flow, u16)>, peer: IpAddr, local: IpAddr) -> Option<SocketAddr> {
        let is_meant = |flow: Flow| on.is_none_or(|(meant, _)| flow == meant);
        let by_others = || {
            let seen = self.to_advertise().iter().find(|seen| is_meant(seen.flow));
            let mapped = self.learned.mapped.filter(|(flow, _)| is_meant(*flow));
            let public = seen.map(|seen| seen.public).or(mapped.map(|(_, mapped)| mapped));
            public.filter(|_| is_beyond_nat(peer, local))
        };
        self.seen_by(on, peer).or_else(by_others)
    }

    /// Forgets what was said of a flow that is over.
    pub(super) fn forget_learned(&mut self, over: Flow) {
        self.learned.seen.retain(|seen| seen.flow != over);
    }

    /// Forgets all of it: the network has changed.
    pub(super) fn forget_all_learned(&mut self) {
        self.learned = Learned::default();
    }

    /// The learned addresses that may be advertised.
    fn to_advertise(&self) -> &[Seen] {
        if self.parameters.learn_address { &self.learned.seen } else { &[] }
    }

    fn advertised(&self, peer: IpAddr, local: IpAddr) -> Result<String, Error> {
        let parameters = &self.parameters;
        let (inside, outside) = (&parameters.hostname, &parameters.remote_hostname);
        let network = &parameters.bind_network;
        Ok(nat::advertised(peer, local, network, inside.as_deref(), outside.as_deref())?)
    }
}

/// Whether a peer that has not reported our address is on the other side of our NAT, as far as
/// addresses show.
fn is_beyond_nat(peer: IpAddr, local: IpAddr) -> bool {
    is_private(local) && !is_private(peer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PhoneParameters;
    use crate::host::Transport;

    const HOME: &str = "198.51.100.1:5060";
    const LOCAL: &str = "192.168.1.2:5060";
    const UDP: Flow = Flow { transport: Transport::Udp, id: 1 };
    const TCP: Flow = Flow { transport: Transport::Tcp, id: 2 };

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn agent(change: impl FnOnce(&mut PhoneParameters)) -> Agent {
        let mut parameters = PhoneParameters::new(HOME, "alice");
        change(&mut parameters);
        let mut agent = Agent::new(parameters);
        agent.note_home(address(HOME));
        agent
    }

    fn learn(agent: &mut Agent, flow: Flow, from: &str, more: &str) {
        let via = format!("SIP/2.0/UDP 192.168.1.2:5060;branch=z9hG4bK1{more}");
        agent.learn(flow, address(from), &Via::parse(&via).unwrap());
    }

    fn advertised(agent: &Agent, flow: Flow, peer: &str) -> String {
        agent.advertised_on(flow, address(peer), address(LOCAL)).unwrap()
    }

    #[test]
    fn what_the_server_sees_is_told_to_it_and_to_others_beyond_the_nat() {
        let mut agent = agent(|_| {});
        assert_eq!(advertised(&agent, UDP, HOME), LOCAL);
        learn(&mut agent, UDP, HOME, ";received=203.0.113.7;rport=40000");
        for beyond in [HOME, "203.0.113.99:5060"] {
            assert_eq!(advertised(&agent, UDP, beyond), "203.0.113.7:40000");
        }
        assert_eq!(advertised(&agent, UDP, "192.168.1.9:5060"), LOCAL, "a neighbour");
        let media = agent.advertised_to(address(HOME).ip(), address(LOCAL).ip()).unwrap();
        assert_eq!(media, "203.0.113.7");
        // The NAT has another address now, or is gone.
        learn(&mut agent, UDP, HOME, ";received=203.0.113.8;rport=40000");
        assert_eq!(advertised(&agent, UDP, HOME), "203.0.113.8:40000");
        learn(&mut agent, UDP, HOME, ";received=192.168.1.2;rport=5060");
        assert_eq!(advertised(&agent, UDP, HOME), LOCAL);
    }

    #[test]
    fn nobody_else_is_believed_and_nothing_that_cannot_be() {
        let mut agent = agent(|_| {});
        learn(&mut agent, UDP, "198.51.100.1:5061", ";received=203.0.113.7;rport=40000");
        learn(&mut agent, UDP, "203.0.113.66:5060", ";received=203.0.113.7;rport=40000");
        learn(&mut agent, UDP, HOME, ";received=0.0.0.0;rport=40000");
        learn(&mut agent, UDP, HOME, ";received=224.0.0.1;rport=40000");
        learn(&mut agent, UDP, HOME, ";received=2001:db8::1;rport=40000");
        learn(&mut agent, UDP, HOME, ";received=203.0.113.7;rport=0");
        assert_eq!(advertised(&agent, UDP, HOME), LOCAL);
    }

    #[test]
    fn what_was_set_wins() {
        let mut off = agent(|parameters| parameters.learn_address = false);
        learn(&mut off, UDP, HOME, ";received=203.0.113.7;rport=40000");
        assert_eq!(advertised(&off, UDP, HOME), LOCAL);
        let mut named = agent(|parameters| parameters.hostname = Some("alice.example".to_owned()));
        learn(&mut named, UDP, HOME, ";received=203.0.113.7;rport=40000");
        assert_eq!(advertised(&named, UDP, HOME), "alice.example:5060");
    }

    #[test]
    fn a_server_without_rport_tells_the_address_alone() {
        let mut agent = agent(|_| {});
        learn(&mut agent, UDP, HOME, ";rport;received=203.0.113.7");
        assert_eq!(advertised(&agent, UDP, HOME), "203.0.113.7:5060");
    }

    #[test]
    fn a_connection_without_a_nat_is_where_we_listen() {
        let mut agent = agent(|_| {});
        learn(&mut agent, TCP, HOME, ";received=192.168.1.2;rport=51234");
        assert_eq!(advertised(&agent, TCP, HOME), LOCAL);
        learn(&mut agent, TCP, HOME, ";received=203.0.113.7;rport=51234");
        assert_eq!(advertised(&agent, TCP, HOME), "203.0.113.7:51234");
    }

    #[test]
    fn no_more_are_kept_than_there_can_be() {
        let mut agent = agent(|_| {});
        for id in 0..100 {
            let flow = Flow { id, ..UDP };
            learn(&mut agent, flow, HOME, ";received=203.0.113.7;rport=40000");
        }
        assert_eq!(agent.learned.seen.len(), MAX_SEEN);
    }
}
