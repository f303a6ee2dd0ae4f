//! One session with all its sockets.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use offhook_core::host::{Channel, Clock, Entropy, Flow, Inbound, MediaPort, RequestId, Transport};
use offhook_core::relay::{Authenticate, Grant, Problem, Session, SessionEvent};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::connection::Connection;
use super::event::RelayEvent;
use super::guest::House;
use super::host::RelayHost;
use super::registry::Place;
use super::sockets::WatchedSockets;
use crate::host::connection::{ConnectionEvent, Ends};
use crate::host::dial::{Dialer, Dialled};
use crate::host::endpoint_host::Request;
use crate::host::names::{LookupResult, Names, inbound};
use crate::host::route::Routes;

/// How many orders wait for a session.
pub(super) const ORDERS: usize = 8;
/// How many packets of one socket are taken before others are looked at.
const BATCH: usize = 32;
/// The largest datagram of UDP.
const LARGEST: usize = 65_535;

thread_local! {
    /// Where packets are read to: one a thread, so that a session has none of its own.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; LARGEST].into());
}

/// An order to a session.
pub(super) enum Order {
    /// Its client, or somebody who says so, is back.
    Resume(Box<Comer>),
    /// The relay stops after so many seconds.
    Drain(u64),
    /// It ends now.
    End(Problem),
}

/// Somebody who comes back.
pub(super) struct Comer {
    pub(super) connection: Connection,
    pub(super) grant: Grant,
    /// The first message.
    pub(super) first: Bytes,
    pub(super) from: SocketAddr,
    /// Gets the connection back if the session is not his.
    pub(super) refused: oneshot::Sender<Connection>,
}

/// Carries one session.
pub(super) struct Task {
    house: Arc<House>,
    place: Place,
    session: Session,
    host: RelayHost,
    connection: Option<Connection>,
    /// The last words on the connection that was left last.
    farewell: Option<JoinHandle<()>>,
    orders: mpsc::Receiver<Order>,
    names: Names,
    routes: Routes,
    /// Answers of the domain name system.
    answers: mpsc::UnboundedReceiver<(RequestId, LookupResult)>,
    answered: mpsc::UnboundedSender<(RequestId, LookupResult)>,
    flows: u64,
    /// Which socket is looked at first.
    turn: usize,
}

enum Happening {
    Message(Option<Bytes>),
    Connection(ConnectionEvent),
    Media(MediaPort, Channel),
    Answer(RequestId, LookupResult),
    Order(Option<Order>),
    Due,
}

impl Task {
    pub(super) fn new(
        house: Arc<House>,
        place: Place,
        session: Session,
        host: RelayHost,
        connection: Connection,
        orders: mpsc::Receiver<Order>,
    ) -> Self {
        let (answered, answers) = mpsc::unbounded_channel();
        Self {
            house,
            place,
            session,
            host,
            connection: Some(connection),
            farewell: None,
            orders,
            names: Names::default(),
            routes: Routes::default(),
            answers,
            answered,
            flows: 0,
            turn: 0,
        }
    }

    /// Runs until the session is over.
    pub(super) async fn run(mut self) {
        loop {
            self.settle();
            if self.session.is_over() {
                break;
            }
            let happening = self.next().await;
            self.happen(happening);
        }
        let counters = self.session.counters();
        self.place.count(counters);
        let (session, problem) = (self.place.number, self.session.problem());
        self.house.events.send(&RelayEvent::Ended { session, problem, counters });
        // The session counts until its client has the reason: who stops the relay waits for that.
        if let Some(farewell) = self.farewell {
            let _ = farewell.await;
        }
    }

    async fn next(&mut self) -> Happening {
        let Self { session, host, connection, orders, answers, turn, .. } = self;
        let deadline = session.next_deadline().map(|at| host.time.at(at));
        let due = async {
            match deadline {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let message = async {
            match connection {
                Some(connection) => poll_fn(|cx| connection.poll(cx, session)).await,
                None => std::future::pending().await,
            }
        };
        let RelayHost { connections, media, .. } = host;
        let readable = poll_fn(|cx| {
            let count = media.len();
            for watched in media.iter().cycle().skip(*turn % count.max(1)).take(count) {
                for channel in [Channel::Rtp, Channel::Rtcp] {
                    if watched.socket(channel).poll_recv_ready(cx).is_ready() {
                        return Poll::Ready((watched.sockets.port, channel));
                    }
                }
            }
            Poll::Pending
        });
        tokio::select! {
            message = message => Happening::Message(message),
            event = connections.next() => Happening::Connection(event),
            (port, channel) = readable => Happening::Media(port, channel),
            Some((id, answer)) = answers.recv() => Happening::Answer(id, answer),
            order = orders.recv() => Happening::Order(order),
            () = due => Happening::Due,
        }
    }

    fn happen(&mut self, happening: Happening) {
        let (session, host) = (&mut self.session, &mut self.host);
        match happening {
            Happening::Message(Some(message)) => session.handle_message(host, &message),
            Happening::Message(None) => {
                self.connection = None;
                session.detach(host);
                self.report(RelayEvent::Lost { session: self.place.number });
            }
            Happening::Connection(event) => self.handle_connection_event(event),
            Happening::Media(port, channel) => self.receive(port, channel),
            Happening::Answer(id, answer) => session.handle_inbound(host, inbound(id, &answer)),
            Happening::Order(Some(Order::Resume(comer))) => self.resume(*comer),
            Happening::Order(Some(Order::Drain(seconds))) => session.drain(seconds),
            Happening::Order(Some(Order::End(problem))) => session.end(host, Some(problem)),
            Happening::Order(None) => session.end(host, Some(Problem::Draining)),
            Happening::Due => session.handle_deadline(host),
        }
    }

    fn report(&self, event: RelayEvent) {
        self.house.events.send(&event);
    }

    fn resume(&mut self, comer: Comer) {
        let Comer { connection, grant, first, from, refused } = comer;
        let Ok(first) = Authenticate::first(&first) else { return };
        match self.session.resume(&mut self.host, &grant, &first) {
            Err(Problem::SessionUnknown) => drop(refused.send(connection)),
            // With what cannot be it has ended, and says so on the new connection.
            resumed => {
                if let Some(before) = self.connection.replace(connection) {
                    before.deny(Problem::Superseded);
                }
                if resumed.is_ok() {
                    self.report(RelayEvent::Resumed { session: self.place.number, from });
                }
            }
        }
    }

    fn handle_connection_event(&mut self, event: ConnectionEvent) {
        let (session, host) = (&mut self.session, &mut self.host);
        match event {
            ConnectionEvent::Dialled { id, result: Err(obstacle), .. } => {
                let failure = obstacle.as_failure();
                session.handle_inbound(host, Inbound::FlowFailed { id, failure });
            }
            ConnectionEvent::Dialled { id, flow, to, result: Ok(dialled) } => {
                let Dialled { wire, local, certificate } = *dialled;
                host.connections.admit(flow, Ends { local, peer: to }, wire, None);
                let certificate = certificate.as_ref();
                session.handle_inbound(host, Inbound::FlowOpened { id, flow, local, certificate });
            }
            ConnectionEvent::Came(flow, bytes) => {
                let Some(Ends { peer: from, .. }) = host.connections.ends(flow) else { return };
                session.handle_inbound(host, Inbound::Stream { flow, from, bytes: &bytes });
            }
            ConnectionEvent::Lost(flow) => {
                if host.connections.forget(flow) {
                    session.handle_inbound(host, Inbound::FlowClosed { flow });
                }
            }
            // Nobody connects to a session.
            ConnectionEvent::Accepted(_) | ConnectionEvent::TurnedAway(_) => {}
        }
    }

    fn receive(&mut self, port: MediaPort, channel: Channel) {
        self.turn = self.turn.wrapping_add(1);
        let (session, host) = (&mut self.session, &mut self.host);
        BUFFER.with_borrow_mut(|buffer| {
            for _ in 0..BATCH {
                let Some(socket) = host.socket(port, channel) else { return };
                // An ICMP error of an earlier packet is read like one, and no reason to stop.
                let (length, from) = match socket.try_recv_from(buffer) {
                    Ok(received) => received,
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => continue,
                    Err(_) => return,
                };
                let Some(bytes) = buffer.get(..length) else { return };
                session.handle_inbound(host, Inbound::Media { port, channel, from, bytes });
            }
        });
    }

    /// Answers the session's requests, passes on its events, and lets a connection go that is not its own any more.
    fn settle(&mut self) {
        loop {
            let requests = std::mem::take(&mut self.host.requests);
            let closed = std::mem::take(&mut self.host.closed);
            if requests.is_empty() && closed.is_empty() {
                break;
            }
            for flow in closed {
                self.session.handle_inbound(&mut self.host, Inbound::FlowClosed { flow });
            }
            requests.into_iter().for_each(|request| self.answer(request));
        }
        while let Some(event) = self.session.next_event() {
            self.pass_on(event);
        }
        let (pairs, _) = self.session.held();
        if self.place.pairs.swap(pairs, Ordering::Relaxed) > pairs {
            self.house.registry.changed();
        }
        if !self.session.is_attached()
            && let Some(connection) = self.connection.take()
        {
            let words = std::iter::from_fn(|| self.session.next_message()).collect();
            self.farewell = Some(connection.leave(words));
            if !self.session.is_over() {
                self.report(RelayEvent::Lost { session: self.place.number });
            }
        }
    }

    fn pass_on(&mut self, event: SessionEvent) {
        let session = self.place.number;
        match event {
            SessionEvent::Token(token) => match self.house.keys.verify(&token, self.host.wall()) {
                Ok(grant) => self.session.renew(&mut self.host, &grant),
                Err(problem) => self.session.refuse_token(problem),
            },
            SessionEvent::Opened { transport, server } => {
                self.report(RelayEvent::Opened { session, transport, server });
            }
            SessionEvent::Bound { rtp } => self.report(RelayEvent::Bound { session, rtp }),
            SessionEvent::Refused { problem, what, .. } => {
                self.report(RelayEvent::Refused { session, problem, what });
            }
            _ => {}
        }
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Flow(id, transport, to, name) => self.dial(id, transport, to, name),
            Request::Media { id, toward, low, high } => {
                let random = self.host.random();
                let any: IpAddr = match toward {
                    IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                };
                let found = self.routes.local_address(any, toward).ok().and_then(|shown| {
                    let mut ports = self.house.ports.lock().unwrap_or_else(PoisonError::into_inner);
                    ports.bind(any, shown, low, high, random)
                });
                let inbound = match found.and_then(|sockets| WatchedSockets::new(sockets).ok()) {
                    Some(watched) => {
                        let port = watched.sockets.port;
                        let [rtp, rtcp] = [Channel::Rtp, Channel::Rtcp]
                            .map(|channel| watched.sockets.address(channel));
                        self.host.media.push(watched);
                        Inbound::MediaBound { id, port, rtp, rtcp }
                    }
                    None => Inbound::MediaUnavailable { id },
                };
                self.session.handle_inbound(&mut self.host, inbound);
            }
            Request::Resolve(id, lookup) => {
                let answered = self.answered.clone();
                self.names.look_up(lookup, move |found| drop(answered.send((id, found))));
            }
            Request::Rebind => {}
        }
    }

    fn dial(&mut self, id: RequestId, transport: Transport, to: SocketAddr, name: String) {
        self.flows += 1;
        let flow = Flow { transport, id: self.flows };
        let security = Some(Arc::clone(&self.house.security) as _);
        let dialer = Dialer { security, path: String::new() };
        let events = self.host.connections.event_sender();
        let any = match to.ip() {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        tokio::spawn(async move {
            let result = dialer.dial(transport, any, to, &name).await.map(Box::new);
            let _ = events.send(ConnectionEvent::Dialled { id, flow, to, result }).await;
        });
    }
}
