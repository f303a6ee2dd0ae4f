//! One search for a path: what is asked of the host, and what its answers lead to (RFC 3263 §4).
//!
//! [`super::paths`] keeps the table that this fills.

use core::net::SocketAddr;
use std::sync::Arc;

use super::paths::{Lost, Path, State};
use super::{Agent, Alarm, Hop, Owner, TRANSACTION};
use crate::certificate::Identities;
use crate::dialog::NOWHERE;
use crate::error::Error;
use crate::host::{Flow, FlowFailure, Host, Outbound, Records, RequestId, Transport};
use crate::locate::{Candidate, Draw, Question, Search, Step, first_of};
use crate::stream::Destination;
use crate::time::{Duration, Instant};
use crate::timers::TimerId;

/// How long the host may take for an answer before it counts as "no".
pub(crate) const HOST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an open path over UDP is used without asking the host again: long enough to be asked
/// rarely, short enough to follow a change of network. A connection is used until it is over.
pub(super) const LIFETIME: Duration = Duration::from_secs(60);

/// A path that is looked for.
#[derive(Debug)]
pub(super) struct Seeking {
    pub(super) search: Search,
    pub(super) host_request: HostRequest,
    /// When it began: it takes no longer than a transaction, however much there is to ask and to try.
    pub(super) began: Instant,
    /// Whether a server was to be tried in the clear: then nothing was to be private that is not by now.
    pub(super) clear: bool,
    /// The servers that have failed lately, which are tried when there is no other.
    pub(super) last: Vec<(Instant, Candidate)>,
    /// What has been in the way of the latest.
    pub(super) problem: Option<Error>,
    /// How long what was found will hold.
    pub(super) until: Instant,
    pub(super) waiters: Vec<Owner>,
}

/// What the host is asked.
#[derive(Debug)]
pub(super) enum HostRequest {
    Nothing,
    Question(Question, RequestId, TimerId),
    Flow(Candidate, RequestId, TimerId),
}

/// A search that has ended.
#[derive(Debug)]
pub(crate) struct SearchResult {
    /// The owners of the requests that wait for the path.
    pub(crate) waiters: Vec<Owner>,
    pub(crate) path: Result<Arc<Path>, Lost>,
}

impl Agent {
    /// Takes [`crate::host::Inbound::Resolved`].
    pub(crate) fn handle_resolved(
        &mut self,
        host: &mut dyn Host,
        request: RequestId,
        records: Records<'_>,
        ttl: Duration,
    ) -> Option<SearchResult> {
        let (hop, mut seeking) = self.take_search(request)?;
        let HostRequest::Question(question, ..) = seeking.stop_asking() else { return None };
        let (answer, now) = (first_of(records), host.now());
        self.paths.answers.keep(question.clone(), answer.clone(), ttl, now);
        if let Some((_, until)) = self.paths.answers.find(&question, now) {
            seeking.until = seeking.until.min(until);
        }
        seeking.search.handle_answer(answer, self.draw(host));
        self.seek(host, hop, seeking)
    }

    /// Takes [`crate::host::Inbound::FlowOpened`], for every search that waits for it.
    pub(crate) fn handle_flow_opened(
        &mut self,
        host: &mut dyn Host,
        request: RequestId,
        flow: Flow,
        local: SocketAddr,
        certificate: Option<&Identities>,
    ) -> Vec<SearchResult> {
        let problem = match self.parameters.tls_insecure {
            true => None,
            false => self.connections.distrust(request, flow, certificate),
        };
        if let Some(problem) = problem {
            host.send(Outbound::CloseFlow { flow });
            return self.handle_flow_failed(host, request, FlowFailure::Untrusted(&problem));
        }
        let opening = self.connections.opened(host, request, flow, local, certificate);
        let waiters = opening.map(|opening| opening.waiters).unwrap_or_default();
        waiters.into_iter().filter_map(|search| self.reached(host, search, flow, local)).collect()
    }

    /// Takes [`crate::host::Inbound::FlowFailed`], for every search that waits for the flow.
    pub(crate) fn handle_flow_failed(
        &mut self,
        host: &mut dyn Host,
        request: RequestId,
        failure: FlowFailure<'_>,
    ) -> Vec<SearchResult> {
        let opening = self.connections.failed(request);
        let waiters = opening.map(|opening| opening.waiters).unwrap_or_default();
        waiters.into_iter().filter_map(|search| self.failed(host, search, failure)).collect()
    }

    /// Takes [`crate::host::Inbound::ResolveFailed`].
    pub(crate) fn handle_resolve_failed(
        &mut self,
        host: &mut dyn Host,
        request: RequestId,
        problem: &str,
    ) -> Option<SearchResult> {
        self.failed(host, request, FlowFailure::Unreachable(problem))
    }

    /// Takes the end of [`HOST_TIMEOUT`].
    pub(crate) fn handle_host_timeout(
        &mut self,
        host: &mut dyn Host,
        request: RequestId,
    ) -> Option<SearchResult> {
        self.connections.forget_waiters(|waiter| waiter == request);
        self.failed(host, request, FlowFailure::Unreachable("it took too long"))
    }

    /// The flow that a search has waited for is there.
    fn reached(
        &mut self,
        host: &mut dyn Host,
        search: RequestId,
        flow: Flow,
        local: SocketAddr,
    ) -> Option<SearchResult> {
        let (hop, mut seeking) = self.take_search(search)?;
        let HostRequest::Flow(Candidate { to, .. }, ..) = seeking.stop_asking() else {
            return None;
        };
        if matches!(flow.transport, Transport::Ws | Transport::Wss) {
            let name = || format!("{:012x}{NOWHERE}", host.random() >> 16);
            self.nowhere.get_or_insert_with(name);
        }
        let advertised = match self.advertised_on(flow, to, local) {
            Ok(advertised) => advertised,
            Err(error) => {
                // Nobody can use it.
                self.connections.close(host, flow);
                return Some(SearchResult {
                    waiters: seeking.waiters,
                    path: Err(Lost::Because(error)),
                });
            }
        };
        let path = Path { flow, to, local, advertised, secure: hop.is_secure() };
        Some(self.found(hop, *seeking, path))
    }

    /// What a search has asked the host for cannot be had: goes on with what else there is.
    fn failed(
        &mut self,
        host: &mut dyn Host,
        search: RequestId,
        failure: FlowFailure<'_>,
    ) -> Option<SearchResult> {
        let (hop, mut seeking) = self.take_search(search)?;
        match seeking.stop_asking() {
            HostRequest::Question(..) => {
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
            HostRequest::Flow(server, ..) => {
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
                        let Candidate { transport, to } = server;
                        let name = match hop.ip() {
                            Some(_) => String::new(),
                            None => format!("{peer} at "),
                        };
                        let peer = format!("{name}{to} ({})", transport.as_str());
                        Error::Unreachable { peer, problem: problem.to_owned() }
                    }
                    FlowFailure::Unsupported => {
                        let transport = server.transport;
                        // What was chosen because we were thought to have it is chosen anew.
                        self.paths.missing.insert(transport);
                        if hop.transport().is_none() && seeking.search.counts_on(transport) {
                            seeking.search = self.paths.search(&hop, host.now());
                        }
                        let problem = format!("{} cannot be used here", transport.as_str());
                        Error::Unreachable { peer, problem }
                    }
                });
            }
            HostRequest::Nothing => {}
        }
        self.seek(host, hop, seeking)
    }

    /// Goes on looking, as far as that goes without the host.
    pub(super) fn seek(
        &mut self,
        host: &mut dyn Host,
        hop: Hop,
        mut seeking: Box<Seeking>,
    ) -> Option<SearchResult> {
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
                        seeking.search.handle_answer(answer, self.draw(host));
                    }
                    None => {
                        let (id, timer) = self.ask_host(host, &hop);
                        host.send(Outbound::Resolve { id, query: question.query() });
                        seeking.host_request = HostRequest::Question(question, id, timer);
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
                        let nowhere = "DNS has no address for it";
                        return Some(seeking.give_up(&hop, nowhere));
                    }
                },
            }
        };
        let destination = Destination::new(server.transport, server.to, hop.host());
        if let Some(path) = self.connection(&hop, &destination) {
            return Some(self.found(hop, *seeking, path));
        }
        let (id, timer) = self.ask_host(host, &hop);
        self.connections.open(host, id, destination);
        seeking.host_request = HostRequest::Flow(server, id, timer);
        self.paths.known.insert(hop, State::Seeking(seeking));
        None
    }

    /// A connection to a server that is open already (RFC 5923). A peer that is asked for by name has shown
    /// that it is the one; a peer that is asked for by its address is there. In private that does not do, for
    /// the certificate may name another (§8.1 there): but the address of our server, which was asked for
    /// by its name, is where that sends us by Service-Route.
    fn connection(&self, hop: &Hop, destination: &Destination) -> Option<Path> {
        let Destination { transport, to, .. } = *destination;
        let trusted = !transport.is_secure() || self.paths.homes.contains(&to);
        let flow = match hop.ip().is_some() && trusted {
            true => self.connections.find_at(transport, to),
            false => self.connections.find(destination),
        };
        let path = self.path_on(flow?, to)?.ok()?;
        Some(Path { secure: hop.is_secure(), ..path })
    }

    fn found(&mut self, hop: Hop, seeking: Seeking, path: Path) -> SearchResult {
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
        SearchResult { waiters: seeking.waiters, path: Ok(path) }
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

    /// Takes out the search that waits for this answer.
    fn take_search(&mut self, request: RequestId) -> Option<(Hop, Box<Seeking>)> {
        let hop = self.paths.asked.remove(&request)?;
        match self.paths.known.remove(&hop)? {
            State::Seeking(seeking) => {
                if let Some((_, timer)) = seeking.host_request.request() {
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
    fn stop_asking(&mut self) -> HostRequest {
        core::mem::replace(&mut self.host_request, HostRequest::Nothing)
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
    fn give_up(self, hop: &Hop, problem: &str) -> SearchResult {
        let error = self.problem.unwrap_or_else(|| Error::Unreachable {
            peer: hop.host().to_owned(),
            problem: problem.to_owned(),
        });
        SearchResult { waiters: self.waiters, path: Err(Lost::Because(error)) }
    }
}

impl HostRequest {
    /// The request to the host that is under way, and the timer that ends it.
    pub(super) fn request(&self) -> Option<(RequestId, TimerId)> {
        match *self {
            Self::Nothing => None,
            Self::Question(_, request, timer) | Self::Flow(_, request, timer) => {
                Some((request, timer))
            }
        }
    }
}
