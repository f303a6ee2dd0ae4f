//! Who connects: the handshakes, and the first message with its token.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use offhook_core::host::Transport;
use offhook_core::relay::{Authenticate, Grant, Policy, Problem, Session};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::connection::Connection;
use super::event::RelayEvent;
use super::host::RelayHost;
use super::keys::TokenKeys;
use super::options::RelayOptions;
use super::registry::Registry;
use super::task::{self, Comer, Order, Task};
use super::{RELAY_PATH, SUBPROTOCOL};
use crate::broadcast::Broadcast;
use crate::host::connection::Reservation;
use crate::host::dial::ConnectError;
use crate::host::media::MediaPorts;
use crate::host::security::{Security, Stream};
use crate::host::timebase::Timebase;
use crate::host::turned_away::{TurnedAway, TurnedAwayLog};
use crate::host::websocket;
use crate::tls::Tls;

/// What all sessions of a relay have in common.
pub(super) struct House {
    pub(super) policy: Arc<Policy>,
    pub(super) keys: TokenKeys,
    pub(super) events: Arc<Broadcast<RelayEvent>>,
    pub(super) registry: Arc<Registry>,
    pub(super) security: Arc<Tls>,
    pub(super) time: Timebase,
    pub(super) ports: Mutex<MediaPorts>,
    origins: Vec<String>,
    transport: Transport,
    turned_away: Mutex<TurnedAwayLog>,
}

impl House {
    /// How long handshakes and the first message may take.
    const GREETING: Duration = Duration::from_secs(10);

    pub(super) fn new(
        options: RelayOptions,
        local: SocketAddr,
        security: Arc<Tls>,
        registry: Arc<Registry>,
        events: Arc<Broadcast<RelayEvent>>,
    ) -> Self {
        let RelayOptions { tls, origins, keys, mut policy, .. } = options;
        policy.own.push(local);
        Self {
            policy: Arc::new(policy),
            keys,
            events,
            registry,
            security,
            time: Timebase::new(),
            ports: Mutex::default(),
            origins,
            transport: if tls.cert_file.is_some() { Transport::Wss } else { Transport::Ws },
            turned_away: Mutex::default(),
        }
    }

    /// Closes ports that rest and are not wanted again.
    pub(super) fn tidy(&self) {
        let _ = self.ports.lock().unwrap_or_else(PoisonError::into_inner).tidy();
    }

    /// Reports somebody who does not get as far as showing a token.
    pub(super) fn turn_away(&self, from: SocketAddr, problem: &str) {
        let problem = problem.to_owned();
        let away = TurnedAway { transport: self.transport, from, problem, others: 0 };
        let mut log = self.turned_away.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(away) = log.report(away, std::time::Instant::now()) {
            self.events.send(&RelayEvent::TurnedAway(away));
        }
    }

    /// Takes a connection as far as its session.
    pub(super) async fn welcome(
        self: Arc<Self>,
        stream: TcpStream,
        from: SocketAddr,
        reservation: Reservation,
    ) {
        let shaken = timeout(Self::GREETING, self.shake_hands(stream)).await;
        let socket = match shaken {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return self.turn_away(from, &error.to_string()),
            Err(_) => return self.turn_away(from, "its handshake took too long"),
        };
        let mut connection = Connection::new(socket, reservation);
        let first = match timeout(Self::GREETING, connection.next()).await {
            Ok(Some(first)) => first,
            Ok(None) => return self.turn_away(from, "it left before it showed a token"),
            Err(_) => return self.deny(connection, from, Problem::Unauthenticated),
        };
        match self.verify(&first) {
            Ok(grant) => self.receive(connection, from, grant, first).await,
            Err(problem) => self.deny(connection, from, problem),
        }
    }

    async fn shake_hands(
        &self,
        stream: TcpStream,
    ) -> Result<tokio_tungstenite::WebSocketStream<Stream>, ConnectError> {
        // A packet of media is sent at once, and the next is 20 ms away.
        stream.set_nodelay(true)?;
        let mut stream: Stream = Box::new(stream);
        if self.transport.is_secure() {
            (stream, _) = self.security.accept(stream).await?;
        }
        let place = websocket::Place { path: Some(RELAY_PATH), protocol: SUBPROTOCOL };
        websocket::accept_at(stream, place, &self.origins).await
    }

    fn verify(&self, first: &[u8]) -> Result<Grant, Problem> {
        let first = Authenticate::first(first)?;
        self.keys.verify(first.token, self.time.wall())
    }

    fn deny(&self, connection: Connection, from: SocketAddr, problem: Problem) {
        self.events.send(&RelayEvent::Denied { from, problem });
        connection.deny(problem);
    }

    /// Gives a client its session: the one that it comes back to, or a new one.
    async fn receive(
        self: Arc<Self>,
        connection: Connection,
        from: SocketAddr,
        grant: Grant,
        first: Bytes,
    ) {
        let key = Authenticate::first(&first).ok().and_then(|first| first.resume);
        let orders = key.and_then(|key| self.registry.orders(&key.id));
        let connection = match orders {
            None => connection,
            Some(orders) => {
                let (refused, back) = oneshot::channel();
                let comer = Comer { connection, grant: grant.clone(), first, from, refused };
                if let Err(mpsc::error::SendError(Order::Resume(comer))) =
                    orders.send(Order::Resume(Box::new(comer))).await
                {
                    // It ended just now.
                    comer.connection
                } else {
                    match back.await {
                        Ok(connection) => connection,
                        // It was taken.
                        Err(_) => return,
                    }
                }
            }
        };
        let mut place = match self.registry.place(&grant.subject) {
            Ok(place) => place,
            Err(problem) => return self.deny(connection, from, problem),
        };
        let mut host = RelayHost::new(self.time);
        let session = Session::new(&mut host, Arc::clone(&self.policy), &grant);
        let (orders, received) = mpsc::channel(task::ORDERS);
        let id = session.id();
        place.name(id, orders);
        let (number, subject) = (place.number, grant.subject);
        self.events.send(&RelayEvent::Began { session: number, subject, from });
        let registry = Arc::clone(&self.registry);
        let task = Task::new(self, place, session, host, connection, received);
        registry.carry(&id, tokio::spawn(task.run()).abort_handle());
    }
}
