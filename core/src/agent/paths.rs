//! Where requests go: from the host and port of a URI to a flow and an address (RFC 3263 §4, as far
//! as numeric addresses and A and AAAA records).
//!
//! A name is resolved, a flow to its address opened, and the outcome kept for a while, so that a
//! phone with thousands of calls at one server asks its host once. Whoever asks while an answer is
//! under way is told when it comes.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Agent, Alarm, Hop, Owner};
use crate::certificate::Identities;
use crate::error::Error;
use crate::host::{Flow, FlowFailure, Host, Outbound, Query, RequestId, Transport};
use crate::nat;
use crate::time::{Duration, Instant};
use crate::timers::TimerId;

/// A way to a peer, open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Path {
    /// What to send on.
    pub(crate) flow: Flow,
    /// The next hop's address.
    pub(crate) to: SocketAddr,
    /// What the peer is told of us: `host:port`, for Via and Contact. Never unspecified.
    pub(crate) told: String,
}

/// Why there is no way to a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Lost {
    /// The name is not known, nothing leads to its address, or the host did not say in time.
    Unreachable,
    /// This is why: there is no address of ours that the peer could be told, or it is not trusted.
    Because(Error),
}

/// What asking for a path gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// It is open.
    Open(Arc<Path>),
    /// The owner is told later.
    Later,
    /// Too many are being opened at once, or the next hop is none that can be reached.
    Full,
}

/// How long the host may take for an answer before it counts as "no".
pub(crate) const HOST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an open path is used without asking the host again: long enough to be asked rarely,
/// short enough to follow a change of network or of DNS.
const LIFETIME: Duration = Duration::from_secs(60);

/// How many paths are kept. A peer chooses them (Contact, Record-Route), so there is a limit.
const MAX_PATHS: usize = 1024;

/// How many addresses of the server are remembered: those of its name, as it changes.
const MAX_HOMES: usize = 16;

/// The open paths, and those under way.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    known: BTreeMap<Hop, State>,
    /// Which path an answer of the host belongs to.
    asked: BTreeMap<RequestId, Hop>,
    /// The addresses at which the configured server and proxy were found.
    homes: Vec<SocketAddr>,
}

/// ```text
///          name                       address
///  reach ───────► Resolving ──► Opening ──────► Open ── LIFETIME ──► (gone)
///     └── numeric ─────────────────┘ ▲│ next address
///                                    └┘        any failure ────────► (gone)
/// ```
#[derive(Debug)]
enum State {
    Resolving { asked: Asked, waiters: Vec<Owner> },
    Opening { asked: Asked, to: SocketAddr, others: Vec<IpAddr>, waiters: Vec<Owner> },
    Open { path: Arc<Path>, until: Instant },
}

#[derive(Debug)]
struct Asked {
    request: RequestId,
    timer: TimerId,
}

/// What an answer of the host settled: who waited, and for what.
pub(crate) type Settled = (Vec<Owner>, Result<Arc<Path>, Lost>);

impl Paths {
    /// Whether a flow is that of a path to the configured server or proxy.
    pub(super) fn lead_home_on(&self, flow: Flow) -> bool {
        self.known.values().any(|state| match state {
            State::Open { path, .. } => path.flow == flow && self.homes.contains(&path.to),
            _ => false,
        })
    }
}

impl Agent {
    /// A path to `hop`: now, or later through [`Settled`].
    pub(crate) fn reach(&mut self, host: &mut dyn Host, hop: &Hop, owner: Owner) -> Reach {
        let fixed = self.parameters.next_hop.map(Hop::from);
        let hop = fixed.as_ref().unwrap_or(hop);
        match self.paths.known.get_mut(hop) {
            Some(State::Open { path, until }) if *until > host.now() => {
                return Reach::Open(Arc::clone(path));
            }
            Some(State::Resolving { waiters, .. } | State::Opening { waiters, .. }) => {
                waiters.push(owner);
                return Reach::Later;
            }
            Some(State::Open { .. }) | None => {}
        }
        if self.paths.known.len() >= MAX_PATHS {
            self.paths.known.retain(|_, state| !matches!(state, State::Open { .. }));
            if self.paths.known.len() >= MAX_PATHS {
                return Reach::Full;
            }
        }
        let state = match hop.address() {
            Some(to) => self.open(host, hop, to, Vec::new(), vec![owner]),
            None => {
                let asked = self.ask_host(host, hop);
                let name = hop.host();
                host.send(Outbound::Resolve { id: asked.request, query: Query::Addresses(name) });
                State::Resolving { asked, waiters: vec![owner] }
            }
        };
        self.paths.known.insert(hop.clone(), state);
        Reach::Later
    }

    /// Takes [`crate::host::Inbound::Resolved`].
    pub(crate) fn handle_resolved(
        &mut self,
        host: &mut dyn Host,
        request: RequestId,
        addresses: &[IpAddr],
    ) -> Option<Settled> {
        let (hop, state) = self.take_asked(request)?;
        let State::Resolving { waiters, .. } = state else { return None };
        self.try_next(host, hop, addresses.to_vec(), waiters)
    }

    /// Takes [`crate::host::Inbound::FlowOpened`]; false says that nobody wants the flow.
    pub(crate) fn handle_flow_opened(
        &mut self,
        host: &mut dyn Host,
        request: RequestId,
        flow: Flow,
        local: SocketAddr,
        certificate: Option<&Identities>,
    ) -> Option<Settled> {
        if let Some(problem) = self.mistrust(request, flow, certificate) {
            host.send(Outbound::CloseFlow { flow });
            return self.handle_flow_failed(host, request, FlowFailure::Untrusted(&problem));
        }
        let Some((hop, state)) = self.take_asked(request) else {
            // Late: its owner has given up. A UDP flow is the host's one socket and stays.
            if flow.transport.is_reliable() {
                host.send(Outbound::CloseFlow { flow });
            }
            return None;
        };
        let State::Opening { to, waiters, .. } = state else { return None };
        self.streams.opened(host, flow, to, local);
        let told = match self.told(to.ip(), local.ip()) {
            Ok(told) => Hop::join(&told, local.port()),
            Err(error) => return Some((waiters, Err(Lost::Because(error)))),
        };
        let path = Arc::new(Path { flow, to, told });
        if self.leads_home(&hop) && !self.paths.homes.contains(&to) {
            self.paths.homes.truncate(MAX_HOMES - 1);
            self.paths.homes.insert(0, to);
        }
        let until = host.now() + LIFETIME;
        self.paths.known.insert(hop, State::Open { path: Arc::clone(&path), until });
        Some((waiters, Ok(path)))
    }

    /// Why whoever is at the far end of a flow is not the one that was asked for (RFC 5922 §7.3).
    fn mistrust(
        &self,
        request: RequestId,
        flow: Flow,
        certificate: Option<&Identities>,
    ) -> Option<String> {
        let hop = self.paths.asked.get(&request)?;
        match certificate {
            _ if !flow.transport.is_secure() || self.parameters.tls_insecure => None,
            Some(identities) => identities.refusal(hop.host()),
            // A browser shows its page no certificates, and has checked the name itself.
            None if flow.transport == Transport::Wss => None,
            None => Some("it has shown no certificate".to_owned()),
        }
    }

    /// Takes [`crate::host::Inbound::FlowFailed`], and the end of [`HOST_TIMEOUT`].
    pub(crate) fn handle_flow_failed(
        &mut self,
        host: &mut dyn Host,
        request: RequestId,
        failure: FlowFailure<'_>,
    ) -> Option<Settled> {
        let (hop, state) = self.take_asked(request)?;
        match state {
            State::Opening { others, waiters, .. } if others.is_empty() => {
                let peer = hop.host().to_owned();
                let lost = match failure {
                    FlowFailure::Untrusted(problem) => {
                        Lost::Because(Error::Untrusted { peer, problem: problem.to_owned() })
                    }
                    _ => Lost::Unreachable,
                };
                Some((waiters, Err(lost)))
            }
            State::Opening { others, waiters, .. } => self.try_next(host, hop, others, waiters),
            State::Resolving { waiters, .. } => Some((waiters, Err(Lost::Unreachable))),
            State::Open { .. } => None,
        }
    }

    /// Whether a path leads to the configured server or proxy, to whom alone credentials are shown.
    pub(crate) fn is_home(&self, path: &Path) -> bool {
        self.paths.homes.contains(&path.to)
    }

    /// Whether something came from the configured server or proxy, as far as an address shows.
    pub(crate) fn is_from_home(&self, from: SocketAddr) -> bool {
        self.paths.homes.iter().any(|home| home.ip() == from.ip())
    }

    /// What `peer` is told of our host, which it reaches at `local`.
    pub(crate) fn told(&self, peer: IpAddr, local: IpAddr) -> Result<String, Error> {
        let parameters = &self.parameters;
        let (inside, outside) = (&parameters.hostname, &parameters.remote_hostname);
        let network = &parameters.bind_network;
        Ok(nat::advertised(peer, local, network, inside.as_deref(), outside.as_deref())?)
    }

    /// Forgets every path on a flow that is over: whoever wants to go there has a new one opened.
    pub(crate) fn forget_paths(&mut self, over: Flow) {
        let on_it = |state: &State| matches!(state, State::Open { path, .. } if path.flow == over);
        self.paths.known.retain(|_, state| !on_it(state));
    }

    /// The network has changed: no path leads anywhere any more. Whoever waits for one goes on to.
    pub(crate) fn renew_paths(&mut self, host: &mut dyn Host) {
        for (hop, state) in core::mem::take(&mut self.paths.known) {
            let (State::Resolving { asked, waiters } | State::Opening { asked, waiters, .. }) =
                state
            else {
                continue;
            };
            self.timers.cancel(asked.timer);
            self.paths.asked.remove(&asked.request);
            for owner in waiters {
                self.reach(host, &hop, owner);
            }
        }
    }

    /// Forgets every path.
    pub(crate) fn close_paths(&mut self) {
        let paths = core::mem::take(&mut self.paths);
        for state in paths.known.into_values() {
            match state {
                State::Resolving { asked, .. } | State::Opening { asked, .. } => {
                    self.timers.cancel(asked.timer);
                }
                State::Open { .. } => {}
            }
        }
    }

    /// Tries the next address of a name.
    fn try_next(
        &mut self,
        host: &mut dyn Host,
        hop: Hop,
        mut addresses: Vec<IpAddr>,
        waiters: Vec<Owner>,
    ) -> Option<Settled> {
        if addresses.is_empty() {
            return Some((waiters, Err(Lost::Unreachable)));
        }
        let to = SocketAddr::new(addresses.remove(0), hop.port());
        let state = self.open(host, &hop, to, addresses, waiters);
        self.paths.known.insert(hop, state);
        None
    }

    fn open(
        &mut self,
        host: &mut dyn Host,
        hop: &Hop,
        to: SocketAddr,
        others: Vec<IpAddr>,
        waiters: Vec<Owner>,
    ) -> State {
        let asked = self.ask_host(host, hop);
        let (id, transport, name) = (asked.request, hop.transport(), hop.host());
        host.send(Outbound::OpenFlow { id, transport, to, name });
        State::Opening { asked, to, others, waiters }
    }

    fn ask_host(&mut self, host: &mut dyn Host, hop: &Hop) -> Asked {
        let request = self.next_request();
        let timer = self.timers.set(host.now() + HOST_TIMEOUT, Alarm::Path(request));
        self.paths.asked.insert(request, hop.clone());
        Asked { request, timer }
    }

    /// Takes out the path that waits for this answer.
    fn take_asked(&mut self, request: RequestId) -> Option<(Hop, State)> {
        let hop = self.paths.asked.remove(&request)?;
        let state = self.paths.known.remove(&hop)?;
        if let State::Resolving { asked, .. } | State::Opening { asked, .. } = &state {
            self.timers.cancel(asked.timer);
        }
        Some((hop, state))
    }
}
