//! Where requests go: from what a URI names to a flow and an address (RFC 3263).
//!
//! A hop is located (`locate`), a flow to the first address that has one is opened, and the outcome
//! kept for a while, so that a phone with thousands of calls at one server asks its host once. Whoever
//! asks while an answer is under way is told when it comes. A server that has failed is avoided from
//! then on (§4.3): whoever asks again is led to the next.

use core::net::SocketAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::link::NOWHERE;
use super::{Agent, Alarm, Hop, Owner, TRANSACTION};
use crate::certificate::{Identities, distrust};
use crate::error::Error;
use crate::host::{Flow, FlowFailure, Host, Outbound, Records, RequestId, Transport};
use crate::locate::{Answer, Avoided, Cache, Candidate, Draw, Question, Search, Step};
use crate::sip::Uri;
use crate::time::{Duration, Instant};
use crate::timers::TimerId;

/// A way to a peer, open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Path {
    /// What to send on.
    pub(crate) flow: Flow,
    /// The next hop's address.
    pub(crate) to: SocketAddr,
    /// Our address on the route to it.
    pub(crate) local: SocketAddr,
    /// What the peer is told of us: `host:port`, for Via and Contact. Never unspecified.
    pub(crate) told: String,
    /// Whether a `sips` URI asked for it.
    pub(crate) secure: bool,
}

impl Path {
    /// Whether it is a connection, which may end.
    pub(crate) fn is_connection(&self) -> bool {
        self.flow.transport.is_reliable()
    }

    /// The server that it leads to.
    pub(crate) fn server(&self) -> Candidate {
        Candidate { transport: self.flow.transport, to: self.to }
    }
}

/// Why there is no way to a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Lost {
    /// Too many ways are being looked for at once.
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

/// What asking for a path gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// It is open.
    Open(Arc<Path>),
    /// The owner is told later.
    Later,
    /// There is none.
    Never(Lost),
}

/// How long the host may take for an answer before it counts as "no".
pub(crate) const HOST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an open path over UDP is used without asking the host again: long enough to be asked
/// rarely, short enough to follow a change of network. A connection is used until it is over.
const LIFETIME: Duration = Duration::from_secs(60);

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
    known: BTreeMap<Hop, State>,
    /// Which path an answer of the host belongs to.
    asked: BTreeMap<RequestId, Hop>,
    /// What the domain name system has said.
    answers: Cache,
    avoided: Avoided,
    /// The transports that the host does not have, as it turned out.
    missing: BTreeSet<Transport>,
    /// What the weights of SRV records are drawn by: the same all the time, so that a phone stays with
    /// its server as long as that works.
    draw: Option<Draw>,
    /// The addresses at which the configured server and proxy were found.
    homes: Vec<SocketAddr>,
    /// Whom each connection of ours was opened for, by name or address: kept as long as the connection,
    /// whatever becomes of the hops that led to it.
    names: BTreeMap<Flow, String>,
    /// The hops where somebody has shown a certificate that is not to be trusted, until when that
    /// counts, and what was wrong with it.
    distrusted: BTreeMap<Hop, (Instant, String)>,
}

/// ```text
///          question                     candidate
///  reach ──────────► Seeking (answer) ───────────► Seeking (flow) ──► Open ── LIFETIME ──► (gone)
///     │                ▲ │ next question              │ ▲
///     │                └─┘                            └─┘ next candidate; none left: (gone)
///     └── nothing to ask ───────────────────────────────┘
/// ```
#[derive(Debug)]
enum State {
    Seeking(Box<Seeking>),
    Open { path: Arc<Path>, until: Instant },
}

/// A path that is looked for.
#[derive(Debug)]
struct Seeking {
    search: Search,
    asked: Asked,
    /// When it began: it takes no longer than a transaction, however much there is to ask and to try.
    began: Instant,
    /// Whether a server was to be tried in the clear: then nothing was to be private that is not by now.
    clear: bool,
    /// The servers that have failed lately, which are tried when there is no other.
    last: Vec<(Instant, Candidate)>,
    /// What has been in the way of the latest.
    problem: Option<Error>,
    /// How long what was found will hold.
    until: Instant,
    waiters: Vec<Owner>,
}

/// What the host is asked.
#[derive(Debug)]
enum Asked {
    Nothing,
    Question(Question, RequestId, TimerId),
    Flow(Candidate, RequestId, TimerId),
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

    /// Begins a search: in private alone where a certificate was refused lately.
    fn search(&self, hop: &Hop, now: Instant) -> Search {
        let mut search = Search::new(hop, &self.missing);
        if self.distrusted.get(hop).is_some_and(|(until, _)| *until > now) {
            search.distrust();
        }
        search
    }

    /// Remembers that somebody at a hop has shown a certificate that is not to be trusted.
    fn distrust(&mut self, hop: Hop, problem: &str, now: Instant) {
        self.distrusted.retain(|_, (until, _)| *until > now);
        if self.distrusted.len() < MAX_DISTRUSTED || self.distrusted.contains_key(&hop) {
            self.distrusted.insert(hop, (now + DISTRUSTED_FOR, problem.to_owned()));
        }
    }
}

impl Agent {
    /// A path to `hop`: now, or later through [`Settled`].
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
            asked: Asked::Nothing,
            began: host.now(),
            clear: false,
            last: Vec::new(),
            problem: None,
            until: host.now() + LIFETIME,
            waiters: vec![owner],
        };
        match self.seek(host, hop, Box::new(seeking)) {
            None => Reach::Later,
            Some((_, Ok(path))) => Reach::Open(path),
            Some((_, Err(lost))) => Reach::Never(lost),
        }
    }

    /// The way back to where a request came from: along the connection that it came on while that is open,
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

    /// Avoids the server that a path leads to, for it has failed: whoever asks for the hop again is led
    /// to another, if there is one (RFC 3263 §4.3).
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
                    Some((answer, _)) => search.take(answer, Draw::default()),
                    None => return true,
                },
                Step::Try(candidate) if tried.contains(&candidate) => {}
                Step::Try(_) => return true,
                Step::Done => return false,
            }
        }
    }

    /// Takes [`crate::host::Inbound::Resolved`].
    pub(crate) fn handle_resolved(
        &mut self,
        host: &mut dyn Host,
        request: RequestId,
        records: Records<'_>,
        ttl: Duration,
    ) -> Option<Settled> {
        let (hop, mut seeking) = self.take_asked(request)?;
        let Asked::Question(question, ..) = seeking.take_asked() else { return None };
        let (answer, now) = (Answer::from(records), host.now());
        self.paths.answers.keep(question.clone(), answer.clone(), ttl, now);
        if let Some((_, until)) = self.paths.answers.find(&question, now) {
            seeking.until = seeking.until.min(until);
        }
        seeking.search.take(answer, self.draw(host));
        self.seek(host, hop, seeking)
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
        let Some((hop, mut seeking)) = self.take_asked(request) else {
            // Late: its owner has given up. A UDP flow is the host's one socket and stays.
            if flow.transport.is_reliable() {
                host.send(Outbound::CloseFlow { flow });
            }
            return None;
        };
        let Asked::Flow(Candidate { to, .. }, ..) = seeking.take_asked() else { return None };
        self.streams.opened(host, flow, to, local);
        if matches!(flow.transport, Transport::Ws | Transport::Wss) {
            let name = || format!("{:012x}{NOWHERE}", host.random() >> 16);
            self.nowhere.get_or_insert_with(name);
        }
        let told = match self.told_on(flow, to, local) {
            Ok(told) => told,
            Err(error) => {
                // Nobody can use it.
                self.streams.close(host, flow);
                return Some((seeking.waiters, Err(Lost::Because(error))));
            }
        };
        if flow.transport.is_reliable() {
            self.paths.names.insert(flow, hop.host().to_owned());
        }
        let path = Path { flow, to, local, told, secure: hop.is_secure() };
        Some(self.found(hop, *seeking, path))
    }

    /// Why whoever is at the far end of a flow is not the one that was asked for (RFC 5922 §7.3).
    fn mistrust(
        &self,
        request: RequestId,
        flow: Flow,
        certificate: Option<&Identities>,
    ) -> Option<String> {
        let hop = self.paths.asked.get(&request)?;
        match self.parameters.tls_insecure {
            true => None,
            false => distrust(flow.transport, hop.host(), certificate),
        }
    }

    /// Takes [`crate::host::Inbound::FlowFailed`], [`crate::host::Inbound::ResolveFailed`] and the end
    /// of [`HOST_TIMEOUT`].
    pub(crate) fn handle_flow_failed(
        &mut self,
        host: &mut dyn Host,
        request: RequestId,
        failure: FlowFailure<'_>,
    ) -> Option<Settled> {
        let (hop, mut seeking) = self.take_asked(request)?;
        match seeking.take_asked() {
            Asked::Question(..) => {
                // That is not kept.
                let problem = match failure {
                    FlowFailure::Unreachable(problem) | FlowFailure::Untrusted(problem) => problem,
                    FlowFailure::Unsupported => "names cannot be looked up here",
                };
                seeking.problem.get_or_insert_with(|| Error::Unreachable {
                    peer: hop.host().to_owned(),
                    problem: format!("its name could not be looked up: {problem}"),
                });
                seeking.search.fail(self.draw(host));
            }
            Asked::Flow(server, ..) => {
                let peer = hop.host().to_owned();
                seeking.problem = Some(match failure {
                    FlowFailure::Untrusted(problem) => {
                        if !seeking.clear {
                            self.paths.distrust(hop.clone(), problem, host.now());
                        }
                        seeking.distrust();
                        Error::Untrusted { peer, problem: problem.to_owned() }
                    }
                    FlowFailure::Unreachable(problem) => {
                        self.paths.avoided.avoid(server, None, host.now());
                        Error::Unreachable { peer, problem: problem.to_owned() }
                    }
                    FlowFailure::Unsupported => {
                        let transport = server.transport;
                        // What was chosen because we were thought to have it is chosen anew.
                        if self.paths.missing.insert(transport) && hop.transport().is_none() {
                            seeking.search = self.paths.search(&hop, host.now());
                        }
                        let problem = format!("{} cannot be used here", transport.as_str());
                        Error::Unreachable { peer, problem }
                    }
                });
            }
            Asked::Nothing => {}
        }
        self.seek(host, hop, seeking)
    }

    /// Remembers an address of the configured server or proxy.
    pub(super) fn note_home(&mut self, home: SocketAddr) {
        if !self.paths.homes.contains(&home) {
            self.paths.homes.truncate(MAX_HOMES - 1);
            self.paths.homes.insert(0, home);
        }
    }

    /// Tells a peer on its open paths what it is to be told now; true when that is something else.
    pub(super) fn retell(&mut self, flow: Flow, peer: SocketAddr) -> bool {
        self.retell_those(|path| (path.flow, path.to) == (flow, peer))
    }

    /// Tells all peers on a flow.
    pub(super) fn retell_all(&mut self, flow: Flow) -> bool {
        self.retell_those(|path| path.flow == flow)
    }

    fn retell_those(&mut self, is_meant: impl Fn(&Path) -> bool) -> bool {
        let mut known = core::mem::take(&mut self.paths.known);
        let mut changed = false;
        for state in known.values_mut() {
            let State::Open { path, .. } = state else { continue };
            if is_meant(path) {
                let retold = self.retold(path);
                changed |= retold != *path;
                *path = retold;
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
        let place = hop.clone().settled();
        // The server is reached as it was told to be, also where its Record-Route leaves that open.
        let home = self.homes().find(|home| home.is_place_of(&place));
        let hop = hop.reached_by(home.and_then(|home| home.transport()));
        match secure {
            true => hop.secured().ok_or_else(|| lost("sips does not travel over UDP")),
            false => Ok(hop),
        }
    }

    /// Forgets every path on a flow that is over: whoever wants to go there has a new one opened.
    pub(crate) fn forget_paths(&mut self, over: Flow) {
        let on_it = |state: &State| matches!(state, State::Open { path, .. } if path.flow == over);
        self.paths.known.retain(|_, state| !on_it(state));
        self.paths.names.remove(&over);
        self.forget_learned(over);
    }

    /// The network has changed: no path leads anywhere any more. Whoever waits for one goes on to.
    pub(crate) fn renew_paths(&mut self, host: &mut dyn Host) {
        self.forget_all_learned();
        let Paths { known, homes, draw, distrusted, .. } = core::mem::take(&mut self.paths);
        // What servers and names have said was said of the network that is no more; but who was to be
        // asked in private still is.
        (self.paths.homes, self.paths.draw, self.paths.distrusted) = (homes, draw, distrusted);
        for (hop, state) in known {
            let State::Seeking(seeking) = state else { continue };
            if let Some((_, timer)) = seeking.asked.request() {
                self.timers.cancel(timer);
            }
            for owner in seeking.waiters {
                // With nothing known the host has to be asked, so nobody is told at once.
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
                    if let Some((_, timer)) = seeking.asked.request() {
                        self.timers.cancel(timer);
                    }
                }
                State::Open { .. } => {}
            }
        }
    }

    /// Where everything goes, if that is fixed.
    fn fixed(&self, hop: &Hop) -> Result<Hop, Error> {
        let Some(to) = self.parameters.next_hop else { return Ok(hop.clone().settled()) };
        let transport = self.parameters.transport.unwrap_or(hop.usual_transport());
        let fixed = Hop::at(transport, to);
        match hop.is_secure() {
            false => Ok(fixed),
            true => fixed.secured().ok_or_else(|| {
                Error::invalid("next hop", &to.to_string(), "sips does not travel over UDP")
            }),
        }
    }

    /// Goes on looking, as far as that goes without the host.
    fn seek(
        &mut self,
        host: &mut dyn Host,
        hop: Hop,
        mut seeking: Box<Seeking>,
    ) -> Option<Settled> {
        let now = host.now();
        let server = loop {
            if now >= seeking.began + TRANSACTION {
                self.paths.known.remove(&hop);
                return Some(seeking.give_up(&hop, "looking for it took too long"));
            }
            match seeking.search.next() {
                Step::Ask(question) => match self.paths.answers.find(&question, now) {
                    Some((answer, until)) => {
                        seeking.until = seeking.until.min(until);
                        seeking.search.take(answer, self.draw(host));
                    }
                    None => {
                        let (id, timer) = self.ask_host(host, &hop);
                        host.send(Outbound::Resolve { id, query: question.query() });
                        seeking.asked = Asked::Question(question, id, timer);
                        self.paths.known.insert(hop, State::Seeking(seeking));
                        return None;
                    }
                },
                Step::Try(server) => {
                    seeking.clear |= !server.transport.is_secure();
                    match self.paths.avoided.until(&server, now) {
                        Some(until) => seeking.last.push((until, server)),
                        None => break server,
                    }
                }
                Step::Done => match seeking.next_of_last() {
                    Some(server) => break server,
                    None => {
                        self.paths.known.remove(&hop);
                        if let Some((_, problem)) = self.paths.distrusted.get(&hop) {
                            // All that is left would be in the clear.
                            let (peer, problem) = (hop.host().to_owned(), problem.clone());
                            seeking.problem.get_or_insert(Error::Untrusted { peer, problem });
                        }
                        let nowhere = "the domain name system knows no address of it";
                        return Some(seeking.give_up(&hop, nowhere));
                    }
                },
            }
        };
        if let Some(path) = self.connection(&hop, server) {
            return Some(self.found(hop, *seeking, path));
        }
        let (id, timer) = self.ask_host(host, &hop);
        let (Candidate { transport, to }, name) = (server, hop.host());
        host.send(Outbound::OpenFlow { id, transport, to, name });
        seeking.asked = Asked::Flow(server, id, timer);
        self.paths.known.insert(hop, State::Seeking(seeking));
        None
    }

    /// A connection to a server that is open already (RFC 5923). Whoever is asked for by name has shown
    /// that it is the one; whoever is asked for by the address is at it. In private that does not do, for
    /// the certificate may name another (§8.1 there): but the address of our server, which was asked for
    /// by its name, is where that sends us by Service-Route.
    fn connection(&self, hop: &Hop, server: Candidate) -> Option<Path> {
        if !server.transport.is_reliable() {
            return None;
        }
        let trusted = !server.transport.is_secure() || self.paths.homes.contains(&server.to);
        let by_address = hop.ip().is_some() && trusted;
        self.paths.names.iter().find_map(|(flow, name)| {
            let (to, _) = self.streams.addresses(*flow)?;
            let is_it = Candidate { transport: flow.transport, to } == server;
            let path =
                (is_it && (name == hop.host() || by_address)).then(|| self.path_on(*flow, to));
            let path = path.flatten()?.ok()?;
            Some(Path { secure: hop.is_secure(), ..path })
        })
    }

    fn found(&mut self, hop: Hop, seeking: Seeking, path: Path) -> Settled {
        if self.leads_home(&hop) {
            self.note_home(path.to);
        }
        if path.flow.transport.is_secure() {
            self.paths.distrusted.remove(&hop);
        }
        let until = match path.flow.transport.is_reliable() {
            true => Instant::FAR,
            false => seeking.until,
        };
        let path = Arc::new(path);
        self.paths.known.insert(hop, State::Open { path: Arc::clone(&path), until });
        (seeking.waiters, Ok(path))
    }

    fn draw(&mut self, host: &mut dyn Host) -> Draw {
        *self.paths.draw.get_or_insert_with(|| Draw::new(host.random()))
    }

    fn ask_host(&mut self, host: &mut dyn Host, hop: &Hop) -> (RequestId, TimerId) {
        let request = self.next_request();
        let timer = self.timers.set(host.now() + HOST_TIMEOUT, Alarm::Path(request));
        self.paths.asked.insert(request, hop.clone());
        (request, timer)
    }

    /// Takes out the path that waits for this answer.
    fn take_asked(&mut self, request: RequestId) -> Option<(Hop, Box<Seeking>)> {
        let hop = self.paths.asked.remove(&request)?;
        match self.paths.known.remove(&hop)? {
            State::Seeking(seeking) => {
                if let Some((_, timer)) = seeking.asked.request() {
                    self.timers.cancel(timer);
                }
                Some((hop, seeking))
            }
            open => {
                self.paths.known.insert(hop, open);
                None
            }
        }
    }
}

impl Seeking {
    fn take_asked(&mut self) -> Asked {
        core::mem::replace(&mut self.asked, Asked::Nothing)
    }

    /// Of the servers that have failed lately, the one that is to be tried again first.
    fn next_of_last(&mut self) -> Option<Candidate> {
        let soonest = self.last.iter().enumerate().min_by_key(|(_, (until, _))| *until)?.0;
        Some(self.last.remove(soonest).1)
    }

    /// A certificate was refused: what was to be private is not said in the clear instead.
    fn distrust(&mut self) {
        self.search.distrust();
        self.last.retain(|(_, server)| server.transport.is_secure());
    }

    /// Gives up: for the latest reason, or else for this one.
    fn give_up(self, hop: &Hop, problem: &str) -> Settled {
        let error = self.problem.unwrap_or_else(|| Error::Unreachable {
            peer: hop.host().to_owned(),
            problem: problem.to_owned(),
        });
        (self.waiters, Err(Lost::Because(error)))
    }
}

impl Asked {
    fn request(&self) -> Option<(RequestId, TimerId)> {
        match *self {
            Self::Nothing => None,
            Self::Question(_, request, timer) | Self::Flow(_, request, timer) => {
                Some((request, timer))
            }
        }
    }
}
