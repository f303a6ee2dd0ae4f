//! The simulation itself: nodes, time and what drives them.

use core::any::Any;
use core::fmt;
use core::marker::PhantomData;
use core::net::{IpAddr, SocketAddr};
use core::ops::{Index, IndexMut};

use super::link::Link;
use super::nat::Nat;
use super::network::{Happening, Network};
use super::node_host::NodeHost;
use super::node_id::NodeId;
use super::ports::Socket;
use super::streams::Pieces;
use super::wire::WirePacket;
use crate::certificate::Identities;
use crate::host::{
    Channel, Endpoint, Host, Inbound, MediaPort, Naptr, Query, RecordSet, Srv, Transport,
};
use crate::time::{Duration, Instant, WallTime};
use crate::trace::{Packet, Trace};

/// The SIP port that [`Simulation::add`] gives the first node of a host.
const SIP_PORT: u16 = 5060;
/// How often a node may ask for a deadline without time passing before it is taken to be caught in
/// a loop.
const MAX_SPINS: u32 = 10_000;

/// A network of endpoints in virtual time; see the [module](super).
pub struct Simulation {
    network: Network,
    nodes: Vec<Node>,
    /// Nodes that were lent out mutably, whose next deadline has to be asked for again.
    touched: Vec<usize>,
}

/// Media ports bound for a node by [`Simulation::bind_media`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BoundMedia {
    /// The pair.
    pub port: MediaPort,
    /// The address of its RTP socket.
    pub rtp: SocketAddr,
    /// The address of its RTCP socket.
    pub rtcp: SocketAddr,
}

/// A condition did not come about. Its text names the seed, with which the run can be repeated.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not so within {limit:?}, at {at:?}{}: repeat with seed {seed}", if *.idle { " with nothing more to happen" } else { "" })]
#[non_exhaustive]
pub struct Failure {
    /// The seed of the run.
    pub seed: u64,
    /// How long the condition had.
    pub limit: Duration,
    /// When it was given up.
    pub at: Instant,
    /// Whether nothing more was on its way or due.
    pub idle: bool,
}

struct Node {
    endpoint: Box<dyn AnyEndpoint>,
    application: Option<Box<Hook>>,
    touched: bool,
    last_wake: Instant,
    spins: u32,
}

type Hook = dyn FnMut(&mut dyn Any, &mut Application<'_>);

/// An endpoint whose type can be asked for.
trait AnyEndpoint: Endpoint + Any {}

impl<E: Endpoint + Any> AnyEndpoint for E {}

/// What an application is given when it is called after its endpoint; see
/// [`Simulation::set_application`].
pub struct Application<'a> {
    host: NodeHost<'a>,
}

impl Application<'_> {
    /// The node's host.
    pub fn host(&mut self) -> &mut dyn Host {
        &mut self.host
    }

    /// The time on the node's clock.
    pub fn now(&self) -> Instant {
        crate::host::Clock::now(&self.host)
    }

    /// Takes something (an event) into the [trace hash](Simulation::trace_hash).
    pub fn note(&mut self, what: &dyn fmt::Debug) {
        note(self.host.network, what);
    }
}

impl Simulation {
    /// A network without nodes. Whatever happens on it by chance follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { network: Network::new(seed), nodes: Vec::new(), touched: Vec::new() }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.network.seed
    }

    /// The time on the network's clock. It starts at one second.
    pub fn now(&self) -> Instant {
        self.network.now
    }

    /// The wall clock. It starts on 1 January 2026, 00:00 UTC.
    pub fn wall(&self) -> WallTime {
        self.network.wall()
    }

    /// A random number that follows from the seed, for scenarios.
    pub fn random(&mut self) -> u64 {
        self.network.random.next()
    }

    // --- nodes ---

    /// Adds a node at an address of its own or shared with others; its SIP socket is the first free
    /// one from port 5060.
    pub fn add<E: Endpoint + 'static>(&mut self, ip: impl Into<IpAddr>, endpoint: E) -> NodeId<E> {
        let ip = ip.into();
        let free = |port: &u16| self.network.ports.is_free(SocketAddr::new(ip, *port));
        let port = (SIP_PORT..=u16::MAX).find(free).unwrap_or(SIP_PORT);
        self.add_at(SocketAddr::new(ip, port), endpoint)
    }

    /// Whether nothing is bound at an address.
    pub fn is_free(&self, address: SocketAddr) -> bool {
        self.network.ports.is_free(address)
    }

    /// Adds a node whose SIP socket is at `address`.
    ///
    /// # Panics
    /// When something else is bound there.
    pub fn add_at<E: Endpoint + 'static>(
        &mut self,
        address: impl Into<SocketAddr>,
        endpoint: E,
    ) -> NodeId<E> {
        self.add_with(address, |_| endpoint)
    }

    /// Adds a node whose endpoint needs its host when it is made.
    ///
    /// # Panics
    /// When something else is bound at `address`.
    pub fn add_with<E: Endpoint + 'static>(
        &mut self,
        address: impl Into<SocketAddr>,
        make: impl FnOnce(&mut dyn Host) -> E,
    ) -> NodeId<E> {
        let address = address.into();
        assert!(self.network.ports.is_free(address), "{address} is already in use");
        let index = self.network.add_station(address);
        let endpoint = make(&mut NodeHost { network: &mut self.network, node: index });
        self.nodes.push(Node {
            endpoint: Box::new(endpoint),
            application: None,
            touched: false,
            last_wake: Instant::ZERO,
            spins: 0,
        });
        self.touch(index);
        NodeId { index, address, endpoint: PhantomData }
    }

    /// A node's endpoint; also `sim[id]`.
    pub fn node<E: Endpoint + 'static>(&self, id: NodeId<E>) -> &E {
        let endpoint: &dyn Any = &*self.nodes[id.index].endpoint;
        endpoint.downcast_ref().expect("a NodeId is used with the simulation that made it")
    }

    /// A node's endpoint, to give it commands and take its events; also `sim[id]`. Commands are
    /// carried out in the next step.
    pub fn node_mut<E: Endpoint + 'static>(&mut self, id: NodeId<E>) -> &mut E {
        self.touch(id.index);
        let endpoint: &mut dyn Any = &mut *self.nodes[id.index].endpoint;
        endpoint.downcast_mut().expect("a NodeId is used with the simulation that made it")
    }

    /// Lends a node's endpoint together with its host, for methods that need both.
    pub fn with<E: Endpoint + 'static, R>(
        &mut self,
        id: NodeId<E>,
        act: impl FnOnce(&mut E, &mut dyn Host) -> R,
    ) -> R {
        self.touch(id.index);
        let endpoint: &mut dyn Any = &mut *self.nodes[id.index].endpoint;
        let endpoint =
            endpoint.downcast_mut().expect("a NodeId is used with the simulation that made it");
        act(endpoint, &mut NodeHost { network: &mut self.network, node: id.index })
    }

    /// Puts an application on a node: called after each call of the node's endpoint, it takes events
    /// and gives commands as a program on that host would.
    pub fn set_application<E: Endpoint + 'static>(
        &mut self,
        id: NodeId<E>,
        mut application: impl FnMut(&mut E, &mut Application<'_>) + 'static,
    ) {
        let hook = move |endpoint: &mut dyn Any, context: &mut Application<'_>| {
            if let Some(endpoint) = endpoint.downcast_mut() {
                application(endpoint, context);
            }
        };
        self.nodes[id.index].application = Some(Box::new(hook));
    }

    /// Stops a node from running for `time`, as a loaded machine does. What comes meanwhile waits
    /// in its sockets' buffers (212,992 bytes each, bookkeeping included); the rest is lost.
    pub fn stall<E>(&mut self, id: NodeId<E>, time: Duration) {
        self.network.stall(id.index, self.network.now + time);
    }

    /// Ends a node without a farewell: its sockets are gone, and the peers of its connections see
    /// that. The endpoint can still be looked at.
    pub fn kill<E>(&mut self, id: NodeId<E>) {
        self.network.kill(id.index);
    }

    /// Starts a node again with a new endpoint at the old address; kills it first if it is alive.
    pub fn restart<E: Endpoint + 'static>(&mut self, id: NodeId<E>, endpoint: E) {
        self.network.kill(id.index);
        self.network.revive(id.index);
        self.nodes[id.index].endpoint = Box::new(endpoint);
        self.touch(id.index);
    }

    /// Moves a node to another address, as a telephone that leaves one network for another: its
    /// sockets are dead, and what it sends is lost, until it asks for new ones
    /// ([`Outbound::Rebind`](crate::host::Outbound::Rebind)). The old id still names the node, but
    /// remembers its old address.
    ///
    /// # Panics
    /// When something else is bound at its SIP port there.
    pub fn move_node<E>(&mut self, id: NodeId<E>, ip: impl Into<IpAddr>) -> NodeId<E> {
        let ip = ip.into();
        let address = SocketAddr::new(ip, id.address.port());
        assert!(self.network.ports.is_free(address), "{address} is already in use");
        self.network.move_to(id.index, ip);
        NodeId { address, ..id }
    }

    /// Lets a node's monotonic clock run fast (or, below zero, slow) by so many millionths.
    pub fn set_drift_ppm<E>(&mut self, id: NodeId<E>, ppm: i32) {
        self.network.set_drift(id.index, ppm);
        self.touch(id.index);
    }

    /// Binds a pair of media ports for a node without being asked by it, for tests of media alone.
    pub fn bind_media<E>(&mut self, id: NodeId<E>, low: u16, high: u16) -> Option<BoundMedia> {
        let (port, rtp) = self.network.ports.bind_pair(id.index, id.address.ip(), low, high)?;
        let rtcp = self.network.ports.pair(id.index, port, Channel::Rtcp)?;
        Some(BoundMedia { port, rtp, rtcp })
    }

    /// How many pairs of media ports a node holds.
    pub fn media_ports<E>(&self, id: NodeId<E>) -> usize {
        self.network.ports.pairs_of(id.index)
    }

    // --- connections ---

    /// How streams are cut up on their way, from now on.
    pub fn set_pieces(&mut self, pieces: Pieces) {
        self.network.streams.pieces = pieces;
    }

    /// Whether a node takes connections of a transport at its address; at first it takes all. One
    /// that does not, refuses them. (That it has one port for all of them is the simulation's
    /// simplification.)
    pub fn set_listening<E>(&mut self, id: NodeId<E>, transport: Transport, listens: bool) {
        let unheard = &mut self.network.streams.unheard;
        match listens {
            true => unheard.remove(&(id.index, transport)),
            false => unheard.insert((id.index, transport)),
        };
    }

    /// Sets the identities in a node's certificate, on the secure connections that it accepts and on
    /// those that it opens. At first the certificate on accepted connections has the node's address
    /// and names, and there is none on those that it opens.
    pub fn set_certificate<E>(&mut self, id: NodeId<E>, identities: Identities) {
        self.network.streams.certificates.insert(id.index, identities);
    }

    /// Makes every peer refuse a node's certificate, with this reason; `None` ends that.
    pub fn set_untrusted<E>(&mut self, id: NodeId<E>, why: Option<&str>) {
        match why {
            Some(why) => self.network.streams.untrusted.insert(id.index, why.to_owned()),
            None => self.network.streams.untrusted.remove(&id.index),
        };
    }

    /// Ends all connections between two nodes: both see it at once, and what was under way is lost.
    pub fn cut<A, B>(&mut self, a: NodeId<A>, b: NodeId<B>) {
        self.network.cut(a.index, b.index);
    }

    /// Ends the connections of `a` with `b`, which only `a` sees: what `b` sends on them reaches
    /// nobody, and 30 s later `b` sees that.
    pub fn half_open<A, B>(&mut self, a: NodeId<A>, b: NodeId<B>) {
        self.network.half_open(a.index, b.index);
    }

    /// How many connections a node holds, those that others have opened included.
    pub fn connections<E>(&self, id: NodeId<E>) -> usize {
        self.network.connections_of(id.index)
    }

    // --- the network ---

    /// Sets the default link, for all pairs of hosts whose link was not set.
    pub fn set_default_link(&mut self, link: Link) {
        self.network.set_default_link(link);
    }

    /// Sets the link between two hosts, in both directions.
    pub fn link(&mut self, a: impl Into<IpAddr>, b: impl Into<IpAddr>, link: Link) {
        let (a, b) = (a.into(), b.into());
        self.link_one_way(a, b, link);
        self.link_one_way(b, a, link);
    }

    /// Sets the link from one host to another, in one direction.
    pub fn link_one_way(&mut self, from: impl Into<IpAddr>, to: impl Into<IpAddr>, link: Link) {
        self.network.set_link(from.into(), to.into(), link);
    }

    /// Cuts two hosts off from each other, both ways. What is already on its way arrives. Connections
    /// between them stall: what is sent arrives once that ends, and after 30 s it does not, which
    /// ends them for the sender.
    pub fn partition(&mut self, a: impl Into<IpAddr>, b: impl Into<IpAddr>) {
        self.network.partition(a.into(), b.into());
    }

    /// Ends a [`partition`](Self::partition).
    pub fn heal(&mut self, a: impl Into<IpAddr>, b: impl Into<IpAddr>) {
        self.network.heal(a.into(), b.into());
    }

    /// Puts hosts behind a network address translator, in place of the one they were behind: others
    /// see its address, and reach them only as it lets them. To set it again is a reboot: all its
    /// mappings are gone.
    ///
    /// # Panics
    /// When another has that address.
    pub fn set_nat(&mut self, inside: &[IpAddr], nat: Nat) {
        self.network.nats.set(inside, nat);
    }

    /// Puts hosts on the open network again.
    pub fn remove_nat(&mut self, inside: &[IpAddr]) {
        self.network.nats.remove(inside);
    }

    /// Gives a host name its addresses, best first; an empty list takes it away.
    pub fn set_name(&mut self, name: &str, addresses: &[IpAddr]) {
        self.network.names.set(Query::Addresses(name), RecordSet::Addresses(addresses.to_vec()));
    }

    /// Sets the DNS SRV records of a service such as `_sip._udp.example.com`, replacing earlier ones.
    pub fn set_srv(&mut self, name: &str, records: &[Srv]) {
        self.network.names.set(Query::Srv(name), RecordSet::Srv(records.to_vec()));
    }

    /// Sets the DNS NAPTR records of a domain, replacing earlier ones.
    pub fn set_naptr(&mut self, name: &str, records: &[Naptr]) {
        self.network.names.set(Query::Naptr(name), RecordSet::Naptr(records.to_vec()));
    }

    /// Sets the TTL of DNS records that are set from now on. At first 60 s; a negative answer always
    /// holds 60 s.
    pub fn set_name_ttl(&mut self, ttl: Duration) {
        self.network.names.ttl = ttl;
    }

    /// Sets how long a DNS lookup takes, of known and unknown names. At first zero.
    pub fn set_name_delay(&mut self, delay: Duration) {
        self.network.names.delay = delay;
    }

    /// Sets whether every DNS lookup fails.
    pub fn set_names_failing(&mut self, failing: bool) {
        self.network.names.failing = failing;
    }

    /// How often this DNS question was asked.
    pub fn times_asked(&self, query: Query<'_>) -> usize {
        self.network.names.asked(query)
    }

    /// Sets whether a host reports a SIP message to a port where nobody listens (ICMP port
    /// unreachable; the sender gets `SendFailed`). Off at first, as on many networks.
    pub fn set_unreachable_reports(&mut self, on: bool) {
        self.network.reports_unreachable = on;
    }

    // --- running ---

    /// Lets the next thing happen: something arrives, or a deadline is due. False when nothing ever
    /// will unless a node is given a command.
    ///
    /// # Panics
    /// When a node asks for the same deadline again and again and time stands still.
    pub fn step(&mut self) -> bool {
        self.update_deadlines();
        let Some(what) = self.network.next() else { return false };
        self.happen(what);
        true
    }

    /// Runs for `time`.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.network.now + time;
        while self.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.network.now = end;
    }

    /// Runs until `condition` holds, which is looked at after each step.
    ///
    /// # Errors
    /// When it does not hold after `limit`.
    pub fn run_until(
        &mut self,
        mut condition: impl FnMut(&mut Self) -> bool,
        limit: Duration,
    ) -> Result<(), Failure> {
        let end = self.network.now + limit;
        while !condition(self) {
            let next = self.next_at();
            if next.is_some_and(|at| at <= end) {
                self.step();
                continue;
            }
            self.network.now = end;
            if condition(self) {
                break;
            }
            return Err(Failure { seed: self.seed(), limit, at: end, idle: next.is_none() });
        }
        Ok(())
    }

    /// When the next thing happens.
    pub fn next_at(&mut self) -> Option<Instant> {
        self.update_deadlines();
        self.network.next_at()
    }

    // --- what happened ---

    /// A hash of all that was sent (times, addresses, bytes) and [noted](Self::note) so far. Two
    /// runs with one seed have one hash, whatever machine they ran on.
    pub fn trace_hash(&self) -> u64 {
        self.network.hash.value()
    }

    /// Takes something (an event) into the [trace hash](Self::trace_hash), with the time.
    pub fn note(&mut self, what: &dyn fmt::Debug) {
        note(&mut self.network, what);
    }

    /// Keeps the last `limit` packets sent for [`wire`](Self::wire); 0, as at first, keeps none.
    pub fn record_wire(&mut self, limit: usize) {
        self.network.wire.set_limit(limit);
    }

    /// Shows each packet as it is sent to `watcher`, in place of the one before: for what has to hold
    /// of every packet of a long run.
    pub fn watch_wire(&mut self, watcher: impl FnMut(&WirePacket) + 'static) {
        self.network.wire.watcher = Some(Box::new(watcher));
    }

    /// The packets kept, in the order they were sent.
    pub fn wire(&self) -> impl DoubleEndedIterator<Item = &WirePacket> + ExactSizeIterator {
        self.network.wire.packets()
    }

    /// The packets kept, as a trace: for its ladder, or to look at a failure with Wireshark.
    pub fn trace(&self) -> Trace {
        let mut trace = Trace::new();
        for packet in self.wire() {
            let &WirePacket { sent: at, wall, from, to, transport, kind, .. } = packet;
            trace.push(Packet { at, wall, from, to, transport, kind, bytes: &packet.bytes });
        }
        trace
    }

    // --- within ---

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Arrival { from, to, bytes } => {
                let network = &self.network;
                let Some(end) = network.nats.enter(network.now, from, to) else { return };
                let Some(binding) = network.ports.listener(end) else {
                    return self.network.report_unreachable(from, to);
                };
                if self.network.stations[binding.node].stalled.is_some() {
                    let what = Happening::Arrival { from, to, bytes };
                    return self.network.keep_for_later(binding.node, what);
                }
                let bytes = &bytes[..];
                let inbound = match binding.socket {
                    Socket::Signalling(flow) => Inbound::Datagram { flow, from, bytes },
                    Socket::Media(port, channel) => Inbound::Media { port, channel, from, bytes },
                };
                self.cross(binding.node, |endpoint, host| endpoint.handle_inbound(host, inbound));
            }
            Happening::Connect(caller) => self.network.arrive(&caller),
            Happening::GiveUp { flow } => self.network.give_up(flow),
            Happening::Inbound { node, life, inbound } => {
                let station = &self.network.stations[node];
                if station.life != life {
                } else if station.stalled.is_some() {
                    let what = Happening::Inbound { node, life, inbound };
                    self.network.keep_for_later(node, what);
                } else if let Some(inbound) = self.network.admit(node, inbound) {
                    self.cross(node, |endpoint, host| {
                        endpoint.handle_inbound(host, inbound.borrowed());
                    });
                }
            }
            Happening::Wake { node } => self.wake(node),
            Happening::Resume { node } => {
                let Some(backlog) = self.network.resume(node) else { return };
                backlog.into_iter().for_each(|what| self.happen(what));
                self.wake(node);
            }
        }
    }

    /// Runs what is due at a node, if anything is by its clock.
    fn wake(&mut self, index: usize) {
        let station = &self.network.stations[index];
        if !station.alive || station.stalled.is_some() {
            return;
        }
        let now = self.network.now;
        let local_now = self.network.local_now(index);
        let node = &mut self.nodes[index];
        let due = node.endpoint.next_deadline();
        if due.is_none_or(|due| due > local_now) {
            // Its clock runs slow or the deadline has moved.
            let later = due.map(|due| due.max(local_now + Duration::from_micros(1)));
            return self.network.wake_at(index, later);
        }
        node.spins = if node.last_wake == now { node.spins + 1 } else { 0 };
        node.last_wake = now;
        assert!(
            node.spins < MAX_SPINS,
            "the node at {} keeps asking for a deadline that is past ({due:?} at {now:?}): seed {}",
            station.address,
            self.network.seed,
        );
        self.cross(index, |endpoint, host| endpoint.handle_deadline(host));
    }

    /// One call of a node, then its application, then its next deadline.
    fn cross(&mut self, index: usize, act: impl FnOnce(&mut dyn Endpoint, &mut dyn Host)) {
        let node = &mut self.nodes[index];
        let mut host = NodeHost { network: &mut self.network, node: index };
        act(&mut *node.endpoint, &mut host);
        if let Some(application) = &mut node.application {
            application(&mut *node.endpoint, &mut Application { host });
        }
        self.network.wake_at(index, node.endpoint.next_deadline());
    }

    fn touch(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if !node.touched {
            node.touched = true;
            self.touched.push(index);
        }
    }

    fn update_deadlines(&mut self) {
        for index in self.touched.drain(..) {
            let node = &mut self.nodes[index];
            node.touched = false;
            self.network.wake_at(index, node.endpoint.next_deadline());
        }
    }
}

fn note(network: &mut Network, what: &dyn fmt::Debug) {
    network.hash.number(network.now.as_micros());
    network.hash.debug(what);
}

impl<E: Endpoint + 'static> Index<NodeId<E>> for Simulation {
    type Output = E;
    fn index(&self, id: NodeId<E>) -> &E {
        self.node(id)
    }
}

impl<E: Endpoint + 'static> IndexMut<NodeId<E>> for Simulation {
    fn index_mut(&mut self, id: NodeId<E>) -> &mut E {
        self.node_mut(id)
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("seed", &self.network.seed)
            .field("now", &self.network.now)
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Application<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application").field("node", &self.host.node).finish_non_exhaustive()
    }
}
