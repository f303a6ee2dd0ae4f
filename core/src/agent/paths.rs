//! Where requests go: from what a URI names to a flow and an address (RFC 3263).
//!
//! A hop is located (`locate`), a flow to the first address that has one is opened, and the outcome
//! kept for a while, so that a phone with thousands of calls at one server asks its host once.
//! Further requests for the same hop wait for the same outcome. A server that has failed is avoided
//! for a while (§4.3): the next request for the hop gets the next server.

use core::net::SocketAddr;
use std::sync::Arc;

use super::seeking::{HostRequest, LIFETIME, SearchResult, Seeking};
use super::{Agent, Hop, Owner};
use crate::dialog::PeerConnection;
use crate::error::Error;
use crate::host::{Flow, Host, RequestId, Transport};
use crate::locate::{Avoided, Cache, Candidate, Draw, Search, Step};
use crate::map::{Map, Set};
use crate::sip::Uri;
use crate::time::{Duration, Instant};

/// An open path to a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Path {
    /// The flow to send on.
    pub(crate) flow: Flow,
    /// The next hop's address.
    pub(crate) to: SocketAddr,
    /// Our address on the route to it.
    pub(crate) local: SocketAddr,
    /// Our address as advertised to the peer: `host:port`, for Via and Contact. Never unspecified.
    pub(crate) advertised: String,
    /// Whether a `sips` URI asked for it.
    pub(crate) secure: bool,
}

impl Path {
    /// Whether it is a connection, which may end.
    pub(crate) fn is_connection(&self) -> bool {
        self.flow.transport.is_reliable()
    }

    /// Its connection, for a dialog; `None` over UDP.
    pub(crate) fn peer_connection(&self) -> Option<Box<PeerConnection>> {
        PeerConnection::of_ours(self.flow, self.to)
    }

    /// The server that it leads to.
    pub(crate) fn server(&self) -> Candidate {
        Candidate { transport: self.flow.transport, to: self.to }
    }
}

/// Why there is no path to a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Lost {
    /// Too many paths are being looked for at once.
    Unreachable,
    /// This is why.
    Because(Error),
}

impl Lost {
    /// What was in the way, if anybody knows.
    pub(crate) fn error(self) -> Option<Error> {
        match self {
            Self::Because(error) => Some(error),
            Self::Unreachable => None,
        }
    }
}

/// The immediate result of asking for a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// It is open.
    Open(Arc<Path>),
    /// The owner gets the outcome later.
    Later,
    /// There is none.
    Never(Lost),
}

/// How many paths are kept. A peer chooses them (Contact, Record-Route), so there is a limit.
const MAX_PATHS: usize = 1024;

/// How many addresses of the server are remembered: those of its name, as it changes.
const MAX_HOMES: usize = 16;

/// For how long a hop whose certificate was refused is not asked in the clear, unless a good one is
/// shown before; and how many of those are remembered.
const DISTRUSTED_FOR: Duration = Duration::from_secs(600);
const MAX_DISTRUSTED: usize = 256;

/// The open paths, and those under way.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    pub(super) known: Map<Hop, State>,
    /// Which search waits for an answer of the host.
    pub(super) asked: Map<RequestId, Hop>,
    /// The cache of DNS answers.
    pub(super) answers: Cache,
    pub(super) avoided: Avoided,
    /// The transports that the host does not have, as it turned out.
    pub(super) missing: Set<Transport>,
    /// What the weights of SRV records are drawn by: the same all the time, so that a phone stays with
    /// its server as long as that works.
    pub(super) draw: Option<Draw>,
    /// The addresses at which the configured server and proxy were found.
    pub(super) homes: Vec<SocketAddr>,
    /// The hops where somebody has shown a certificate that is not to be trusted, until when that
    /// counts, and what was wrong with it.
    pub(super) distrusted: Map<Hop, (Instant, String)>,
}

/// ```text
///          question                     candidate
///  reach ──────────► Seeking (answer) ───────────► Seeking (flow) ──► Open ── LIFETIME ──► (gone)
///     │                ▲ │ next question              │ ▲
///     │                └─┘                            └─┘ next candidate; none left: (gone)
///     └── nothing to ask ───────────────────────────────┘
/// ```
#[derive(Debug)]
pub(super) enum State {
    Seeking(Box<Seeking>),
    Open { path: Arc<Path>, until: Instant },
}

impl Paths {
    /// Whether a flow is that of a path to the configured server or proxy.
    pub(super) fn lead_home_on(&self, flow: Flow) -> bool {
        self.known.values().any(|state| match state {
            State::Open { path, .. } => path.flow == flow && self.homes.contains(&path.to),
            _ => false,
        })
    }

    /// Begins a search: in private alone where a certificate was refused lately.
    pub(super) fn search(&self, hop: &Hop, now: Instant) -> Search {
        let mut search = Search::new(hop, &self.missing);
        if self.distrusted.get(hop).is_some_and(|(until, _)| *until > now) {
            search.distrust();
        }
        search
    }

    /// Remembers that somebody at a hop has shown a certificate that is not to be trusted.
    pub(super) fn distrust(&mut self, hop: Hop, problem: &str, now: Instant) {
        self.distrusted.retain(|_, (until, _)| *until > now);
        if self.distrusted.len() < MAX_DISTRUSTED || self.distrusted.contains_key(&hop) {
            self.distrusted.insert(hop, (now + DISTRUSTED_FOR, problem.to_owned()));
        }
    }
}

impl Agent {
    /// A path to `hop`: now, or later through [`SearchResult`].
    pub(crate) fn reach(&mut self, host: &mut dyn Host, hop: &Hop, owner: Owner) -> Reach {
        let hop = match self.fixed(hop) {
            Ok(hop) => hop,
            Err(error) => return Reach::Never(Lost::Because(error)),
        };
        match self.paths.known.get_mut(&hop) {
            Some(State::Open { path, until }) if *until > host.now() => {
                return Reach::Open(Arc::clone(path));
            }
            Some(State::Seeking(seeking)) => {
                if !seeking.waiters.contains(&owner) {
                    seeking.waiters.push(owner);
                }
                return Reach::Later;
            }
            Some(State::Open { .. }) | None => {}
        }
        if self.paths.known.len() >= MAX_PATHS {
            self.paths.known.retain(|_, state| !matches!(state, State::Open { .. }));
            if self.paths.known.len() >= MAX_PATHS {
                return Reach::Never(Lost::Unreachable);
            }
        }
        let seeking = Seeking {
            search: self.paths.search(&hop, host.now()),
            host_request: HostRequest::Nothing,
            began: host.now(),
            clear: false,
            last: Vec::new(),
            problem: None,
            until: host.now() + LIFETIME,
            waiters: vec![owner],
        };
        match self.seek(host, hop, Box::new(seeking)) {
            None => Reach::Later,
            Some(SearchResult { path: Ok(path), .. }) => Reach::Open(path),
            Some(SearchResult { path: Err(lost), .. }) => Reach::Never(lost),
        }
    }

    /// The path back to where a request came from: along the connection that it came on while that is open,
    /// for the far end of one that was accepted need not listen anywhere (RFC 5923 §3, RFC 5626 §5.3).
    pub(crate) fn reach_back(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        owner: Owner,
    ) -> Reach {
        match self.path_on(flow, from) {
            Some(Ok(path)) => Reach::Open(Arc::new(path)),
            Some(Err(error)) => Reach::Never(Lost::Because(error)),
            None => self.reach(host, &Hop::at(flow.transport, from), owner),
        }
    }

    /// Avoids the server that a path leads to, because it has failed: the next request for the hop is
    /// led to another, if there is one (RFC 3263 §4.3).
    pub(crate) fn avoid(&mut self, path: &Path, retry_after: Option<u32>, now: Instant) {
        let server = path.server();
        self.paths.avoided.avoid(server, retry_after, now);
        self.paths.known.retain(|hop, state| match state {
            State::Open { path, .. } => hop.ip().is_some() || path.server() != server,
            State::Seeking(_) => true,
        });
    }

    /// A server has answered: it is avoided no longer.
    pub(crate) fn forgive(&mut self, path: &Path) {
        self.paths.avoided.forgive(&path.server());
    }

    /// Whether a hop may lead to another server than those that were tried.
    pub(crate) fn leads_elsewhere(&self, hop: &Hop, tried: &[Candidate], now: Instant) -> bool {
        if self.parameters.next_hop.is_some() {
            return false;
        }
        let mut search = self.paths.search(hop, now);
        loop {
            match search.next() {
                Step::Ask(question) => match self.paths.answers.find(&question, now) {
                    Some((answer, _)) => search.handle_answer(answer, Draw::default()),
                    None => return true,
                },
                Step::Try(candidate) if tried.contains(&candidate) => {}
                Step::Try(_) => return true,
                Step::Done => return false,
            }
        }
    }

    /// Remembers an address of the configured server or proxy.
    pub(super) fn note_home(&mut self, home: SocketAddr) {
        if !self.paths.homes.contains(&home) {
            self.paths.homes.truncate(MAX_HOMES - 1);
            self.paths.homes.insert(0, home);
        }
    }

    /// Updates the address advertised on the open paths to a peer; true when it has changed.
    pub(super) fn readvertise(&mut self, flow: Flow, peer: SocketAddr) -> bool {
        self.readvertise_where(|path| (path.flow, path.to) == (flow, peer))
    }

    /// The same for all peers on a flow.
    pub(super) fn readvertise_all(&mut self, flow: Flow) -> bool {
        self.readvertise_where(|path| path.flow == flow)
    }

    fn readvertise_where(&mut self, is_meant: impl Fn(&Path) -> bool) -> bool {
        let mut known = core::mem::take(&mut self.paths.known);
        let mut changed = false;
        for state in known.values_mut() {
            let State::Open { path, .. } = state else { continue };
            if is_meant(path) {
                let readvertised = self.readvertised(path);
                changed |= readvertised != *path;
                *path = readvertised;
            }
        }
        self.paths.known = known;
        changed
    }

    /// Whether this is an address of the configured server or proxy.
    pub(super) fn is_home_address(&self, address: SocketAddr) -> bool {
        self.paths.homes.contains(&address)
    }

    /// Whether a path leads to the configured server or proxy, to whom alone credentials are shown: and
    /// in private, if that is how it is to be reached, whatever its Record-Route says.
    pub(crate) fn is_home(&self, path: &Path) -> bool {
        let private = path.flow.transport.is_secure() || !self.is_home_private();
        private && self.paths.homes.contains(&path.to)
    }

    /// Whether the first hop of our requests is set to be reached by a secure transport.
    fn is_home_private(&self) -> bool {
        let first = self.home().ok().flatten().and_then(|(hop, _)| self.fixed(&hop).ok());
        first.is_some_and(|hop| {
            hop.is_secure() || hop.transport().is_some_and(|transport| transport.is_secure())
        })
    }

    /// Whether something came from the configured server or proxy, as far as an address shows.
    pub(crate) fn is_from_home(&self, from: SocketAddr) -> bool {
        self.paths.homes.iter().any(|home| home.ip() == from.ip())
    }

    /// Where a request within a dialog goes: what the next URI of its course names. In a dialog that was
    /// begun with `sips` nothing goes in the clear, whatever that URI says (RFC 5630 §5.1.1).
    pub(crate) fn hop_of_course(&self, next: &str, secure: bool) -> Result<Hop, Error> {
        let lost = |problem: &str| {
            let (peer, problem) = (next.to_owned(), problem.to_owned());
            Error::Unreachable { peer, problem }
        };
        let uri = Uri::parse(next).map_err(|_| lost("it is no URI"))?;
        let hop = Hop::of(&uri).map_err(lost)?;
        let place = hop.clone().with_defaults();
        // The configured transport to the server holds also where its Record-Route names none.
        let home = self.homes().find(|home| home.is_place_of(&place));
        let hop = hop.reached_by(home.and_then(|home| home.transport()));
        match secure {
            true => hop.secured().ok_or_else(|| lost("sips does not travel over UDP")),
            false => Ok(hop),
        }
    }

    /// Forgets every path on a flow that is over; the next request to that hop opens a new flow.
    pub(crate) fn forget_paths(&mut self, over: Flow) {
        let on_it = |state: &State| matches!(state, State::Open { path, .. } if path.flow == over);
        self.paths.known.retain(|_, state| !on_it(state));
        self.forget_learned(over);
    }

    /// The network has changed: every path is forgotten, and searches with waiters begin again.
    pub(crate) fn renew_paths(&mut self, host: &mut dyn Host) {
        self.forget_all_learned();
        self.connections.renew();
        let Paths { known, homes, draw, distrusted, .. } = core::mem::take(&mut self.paths);
        // What servers and names have said was said of the network that is no more; but who was to be
        // asked in private still is.
        (self.paths.homes, self.paths.draw, self.paths.distrusted) = (homes, draw, distrusted);
        for (hop, state) in known {
            let State::Seeking(seeking) = state else { continue };
            if let Some((_, timer)) = seeking.host_request.request() {
                self.timers.cancel(timer);
            }
            for owner in seeking.waiters {
                // With nothing known the host has to be asked, so no result comes at once.
                self.reach(host, &hop, owner);
            }
        }
    }

    /// Forgets every path.
    pub(crate) fn close_paths(&mut self) {
        let paths = core::mem::take(&mut self.paths);
        for state in paths.known.into_values() {
            match state {
                State::Seeking(seeking) => {
                    if let Some((_, timer)) = seeking.host_request.request() {
                        self.timers.cancel(timer);
                    }
                }
                State::Open { .. } => {}
            }
        }
    }

    /// Where everything goes, if that is fixed.
    pub(super) fn fixed(&self, hop: &Hop) -> Result<Hop, Error> {
        let Some(to) = self.parameters.next_hop else {
            return Ok(hop.clone().with_defaults());
        };
        let transport = self.parameters.transport.unwrap_or(hop.usual_transport());
        let fixed = Hop::at(transport, to);
        match hop.is_secure() {
            false => Ok(fixed),
            true => fixed.secured().ok_or_else(|| {
                Error::invalid("next hop", &to.to_string(), "sips does not travel over UDP")
            }),
        }
    }
}
