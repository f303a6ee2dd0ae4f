//! The loop that carries an endpoint of the core: sockets, deadlines and jobs in, datagrams out.
//!
//! One driver carries a phone's signalling ([`line`]) or an exchange; the media of its calls ([`media`])
//! has workers of its own ([`engine`]). They are joined by values in channels.

pub(crate) mod board;
pub(crate) mod engine;
pub(crate) mod line;
pub(crate) mod media;

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;

use offhook_core::host::{Channel, Endpoint, Entropy, FlowFailure, Inbound, Transport};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::capture::Capture;
use crate::host::connection::{AcceptedConnection, ConnectionEvent, Ends, Unsent};
use crate::host::dial::Dialled;
use crate::host::endpoint_host::{EndpointHost, Request};
use crate::host::media::{MediaPorts, SharedPair};
use crate::host::names::{Names, inbound};
use crate::host::route::Routes;
use crate::host::signalling::{Arrival, Batch};
use crate::host::sockets::{Next, Sockets};
use crate::host::timebase::Timebase;
use crate::host::turned_away::{TurnedAway, TurnedAwayLog};

/// An endpoint that a driver runs.
pub(crate) trait DrivenEndpoint: Endpoint + Send + 'static {
    /// Passes on the endpoint's events; called after every call of the core.
    fn pass_on(&mut self, host: &mut EndpointHost, jobs: &Jobs<Self>)
    where
        Self: Sized;

    /// Reports a peer that was turned away.
    fn turn_away(&mut self, away: &TurnedAway);

    /// The driver has come to rest: the host has answered all requests that it can answer at once.
    fn rest(&mut self) {}

    /// Whether the driver's work is over.
    fn is_done(&self) -> bool;
}

/// A closure that runs inside a driver, between two calls of the core.
pub(crate) type Job<P> = Box<dyn FnOnce(&mut P, &mut EndpointHost) + Send>;

/// Sends jobs to a driver.
pub(crate) type Jobs<P> = mpsc::UnboundedSender<Job<P>>;

/// Carries one endpoint.
pub(crate) struct Driver<P> {
    host: EndpointHost,
    sockets: Sockets,
    inbox: mpsc::UnboundedReceiver<Job<P>>,
    jobs: Jobs<P>,
    routes: Routes,
    names: Names,
    ports: MediaPorts,
    turned_away: TurnedAwayLog,
    /// The pair of ports for all calls, when they share one.
    pair: Option<SharedPair>,
    capture: Option<Capture>,
    /// Dropped last: dropping it reports that the sockets are closed, also when a panic closes them.
    endpoint: P,
}

impl<P: DrivenEndpoint> Driver<P> {
    /// How many jobs are done before the sockets are looked at again.
    const JOBS: usize = 64;
    /// How much that connections bring is taken before the sockets are looked at again.
    const EVENTS: usize = 64;
    /// How many rounds of requests that are answered at once are run before the loop looks elsewhere.
    const ROUNDS: usize = 32;

    pub(crate) fn new(
        endpoint: P,
        time: Timebase,
        sockets: Sockets,
        capture: Option<Capture>,
    ) -> Self {
        let (jobs, inbox) = mpsc::unbounded_channel();
        let (host, routes, ports) =
            (EndpointHost::new(time), Routes::default(), MediaPorts::default());
        let (names, turned_away, pair) = (Names::default(), TurnedAwayLog::default(), None);
        Self {
            endpoint,
            host,
            sockets,
            inbox,
            jobs,
            routes,
            names,
            ports,
            turned_away,
            pair,
            capture,
        }
    }

    /// From now on lends every call the same pair of media ports, which nobody reads.
    pub(crate) fn share_ports(&mut self) {
        self.pair = Some(SharedPair::default());
    }

    /// From now on looks names up at these servers and not at those of the system, if there are any.
    pub(crate) fn ask_names_of(&mut self, servers: &[SocketAddr]) {
        self.names = Names::new(servers);
    }

    /// The job sender, for handles.
    pub(crate) fn jobs(&self) -> Jobs<P> {
        self.jobs.clone()
    }

    /// Runs until the endpoint is done, and gives it back when the sockets are closed.
    pub(crate) async fn run(mut self) -> P {
        let mut batch = Batch::new();
        let mut sleep = pin!(sleep_until(Instant::now()));
        loop {
            self.endpoint.handle_deadline(&mut self.host);
            self.run_to_rest().await;
            if self.endpoint.is_done() {
                break;
            }
            let deadline = self.endpoint.next_deadline().map(|at| self.host.time.at(at));
            let deadline = [deadline, self.ports.tidy()].into_iter().flatten().min();
            if let Some(deadline) = deadline.map(Instant::from_std)
                && deadline != sleep.deadline()
            {
                sleep.as_mut().reset(deadline);
            }
            let asks = self.host.awaits_answers();
            tokio::select! {
                next = self.sockets.next() => match next {
                    Next::Datagrams(index) => self.receive(index, &mut batch),
                    Next::Connecting(index, stream, from) => {
                        if let Some(away) = self.sockets.receive_guest(index, stream, from) {
                            self.turn_away(away);
                        }
                    }
                    Next::Connection(event) => {
                        self.handle_connection_event(event);
                        for _ in 1..Self::EVENTS {
                            let Some(next) = self.sockets.connections.try_next() else { break };
                            self.handle_connection_event(next);
                        }
                    }
                },
                Some(job) = self.inbox.recv() => {
                    job(&mut self.endpoint, &mut self.host);
                    for _ in 1..Self::JOBS {
                        let Ok(job) = self.inbox.try_recv() else { break };
                        job(&mut self.endpoint, &mut self.host);
                    }
                }
                (port, channel, from, bytes) = self.host.answer(), if asks => {
                    let inbound = Inbound::Media { port, channel, from, bytes: &bytes };
                    self.endpoint.handle_inbound(&mut self.host, inbound);
                }
                () = &mut sleep, if deadline.is_some() => {}
            }
        }
        let Self { endpoint, .. } = self;
        endpoint
    }

    /// Hands one batch of one socket to the endpoint.
    fn receive(&mut self, index: usize, batch: &mut Batch) {
        let Some(socket) = self.sockets.datagrams.get(index) else { return };
        let (flow, bound) = (socket.flow, socket.bound);
        let (endpoint, host, routes) = (&mut self.endpoint, &mut self.host, &mut self.routes);
        let capture = self.capture.as_ref();
        socket.receive(batch, |arrival| {
            let inbound = match arrival {
                Arrival::Datagram(from, bytes) => Inbound::Datagram { flow, from, bytes },
                Arrival::Refused(to) => Inbound::SendFailed { flow, to },
            };
            if let (Some(capture), Inbound::Datagram { from, bytes, .. }) = (capture, inbound) {
                let local = local(routes, bound, from.ip());
                capture.signalling(flow.transport, from, local, bytes);
            }
            endpoint.handle_inbound(host, inbound);
        });
    }

    /// Passes an event of a connection to the endpoint.
    fn handle_connection_event(&mut self, event: ConnectionEvent) {
        let (endpoint, host) = (&mut self.endpoint, &mut self.host);
        let connections = &mut self.sockets.connections;
        match event {
            ConnectionEvent::Dialled { id, result: Err(obstacle), .. } => {
                let failure = obstacle.as_failure();
                endpoint.handle_inbound(host, Inbound::FlowFailed { id, failure });
            }
            ConnectionEvent::Dialled { id, flow, to, result: Ok(dialled) } => {
                let Dialled { wire, local, certificate } = *dialled;
                let ends = Ends { local, peer: to };
                connections.admit(flow, ends, wire, None);
                let (local, certificate) =
                    (self.sockets.advertised(flow.transport, ends), certificate.as_ref());
                let inbound = Inbound::FlowOpened { id, flow, local, certificate };
                endpoint.handle_inbound(host, inbound);
            }
            ConnectionEvent::Accepted(accepted) => {
                let AcceptedConnection { flow, from, local, certificate, wire, reservation } =
                    *accepted;
                connections.admit(flow, Ends { local, peer: from }, wire, Some(reservation));
                let certificate = certificate.as_ref();
                let inbound = Inbound::FlowAccepted { flow, from, local, certificate };
                endpoint.handle_inbound(host, inbound);
            }
            ConnectionEvent::TurnedAway(away) => self.turn_away(*away),
            ConnectionEvent::Came(flow, bytes) => {
                // What comes on a connection that the core has closed is no news.
                let Some(Ends { local, peer: from }) = connections.ends(flow) else { return };
                let bytes = &bytes[..];
                let inbound = match flow.transport.is_stream() {
                    true => Inbound::Stream { flow, from, bytes },
                    false => Inbound::Datagram { flow, from, bytes },
                };
                if let Some(capture) = &self.capture {
                    capture.signalling(flow.transport, from, local, bytes);
                }
                endpoint.handle_inbound(host, inbound);
            }
            ConnectionEvent::Lost(flow) => {
                if connections.forget(flow) {
                    endpoint.handle_inbound(host, Inbound::FlowClosed { flow });
                }
            }
        }
    }

    fn turn_away(&mut self, away: TurnedAway) {
        if let Some(away) = self.turned_away.report(away, std::time::Instant::now()) {
            self.endpoint.turn_away(&away);
        }
    }

    /// Answers the endpoint's requests, passes on its events and sends its messages, until nothing is
    /// left.
    async fn run_to_rest(&mut self) {
        for _ in 0..Self::ROUNDS {
            self.endpoint.pass_on(&mut self.host, &self.jobs);
            let requests = std::mem::take(&mut self.host.requests);
            let quiet = requests.is_empty();
            for request in requests {
                self.answer(request);
            }
            let failures = self.flush().await;
            for flow in std::mem::take(&mut self.host.closing) {
                self.sockets.connections.close(flow);
            }
            for &failure in &failures {
                self.endpoint.handle_inbound(&mut self.host, failure);
            }
            if quiet && failures.is_empty() {
                break;
            }
        }
        self.endpoint.rest();
    }

    fn answer(&mut self, request: Request) {
        let (endpoint, host) = (&mut self.endpoint, &mut self.host);
        match request {
            Request::Flow(id, Transport::Udp, to, _) => {
                let found = self.sockets.datagrams.iter().find_map(|socket| {
                    let ip = self.routes.local_address(socket.bound.ip(), to.ip()).ok()?;
                    Some((socket.flow, SocketAddr::new(ip, socket.bound.port())))
                });
                let inbound = match found {
                    Some((flow, local)) => {
                        Inbound::FlowOpened { id, flow, local, certificate: None }
                    }
                    None => {
                        let failure = FlowFailure::Unreachable("there is no route");
                        Inbound::FlowFailed { id, failure }
                    }
                };
                endpoint.handle_inbound(host, inbound);
            }
            Request::Flow(id, transport, to, name) => {
                self.sockets.dial(id, transport, to, name);
            }
            Request::Media { id, toward, low, high } => {
                let found = self.sockets.ours(toward).and_then(|bound| {
                    let ip = self.routes.local_address(bound, toward).ok()?;
                    let random = host.random();
                    if let Some(pair) = &mut self.pair {
                        return pair.lend(|| self.ports.bind(bound, ip, low, high, random), ip);
                    }
                    let sockets = self.ports.bind(bound, ip, low, high, random)?;
                    let at = [Channel::Rtp, Channel::Rtcp].map(|channel| sockets.address(channel));
                    let port = sockets.port;
                    host.media.insert(port, sockets);
                    Some((port, at))
                });
                let inbound = match found {
                    Some((port, [rtp, rtcp])) => Inbound::MediaBound { id, port, rtp, rtcp },
                    None => Inbound::MediaUnavailable { id },
                };
                endpoint.handle_inbound(host, inbound);
            }
            Request::Rebind => {
                self.routes = Routes::default();
                self.ports.renew();
                self.names.renew();
                for flow in self.sockets.rebind() {
                    endpoint.handle_inbound(host, Inbound::FlowClosed { flow });
                }
            }
            Request::Resolve(id, lookup) => {
                let jobs = self.jobs.clone();
                self.names.look_up(lookup, move |found| {
                    let _ = jobs.send(Box::new(move |endpoint, host| {
                        endpoint.handle_inbound(host, inbound(id, &found));
                    }));
                });
            }
        }
    }

    /// Sends what was gathered; returns the failures to report to the core.
    async fn flush(&mut self) -> Vec<Inbound<'static>> {
        let mut failures = Vec::new();
        let mut start = 0;
        while let Some((flow, run)) = self.host.outbox.run(start) {
            start += run.len();
            if flow.transport.is_reliable() {
                for (to, bytes) in run {
                    let ends = self.sockets.connections.ends(flow);
                    if let (Some(capture), Some(Ends { local, peer })) = (&self.capture, ends) {
                        capture.signalling(flow.transport, local, peer, bytes);
                    }
                    match self.sockets.connections.send(flow, bytes) {
                        Ok(()) => {}
                        Err(Unsent::Full) => failures.push(Inbound::FlowClosed { flow }),
                        Err(Unsent::Unknown) => failures.push(Inbound::SendFailed { flow, to }),
                    }
                }
                continue;
            }
            let Some(socket) = self.sockets.datagrams.iter().find(|socket| socket.flow == flow)
            else {
                failures.extend(run.map(|(to, _)| Inbound::SendFailed { flow, to }));
                continue;
            };
            if let Some(capture) = &self.capture {
                let copy = self.host.outbox.run(start - run.len()).into_iter();
                for (to, bytes) in copy.flat_map(|(_, run)| run) {
                    let from = local(&mut self.routes, socket.bound, to.ip());
                    capture.signalling(flow.transport, from, to, bytes);
                }
            }
            socket.send(run, |to| failures.push(Inbound::SendFailed { flow, to })).await;
        }
        self.host.outbox.clear();
        failures
    }
}

/// The local end of what goes between a socket bound to `bound` and `peer`.
fn local(routes: &mut Routes, bound: SocketAddr, peer: IpAddr) -> SocketAddr {
    let ip = routes.local_address(bound.ip(), peer).unwrap_or(bound.ip());
    SocketAddr::new(ip, bound.port())
}
