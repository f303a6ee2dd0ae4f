//! Connections: bytes received go to the driver as fast as it takes them, and messages to send wait
//! in a bounded queue.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use offhook_core::certificate::Identities;
use offhook_core::host::{Flow, RequestId};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::dial::{ConnectError, Dialled};
use super::turned_away::TurnedAway;
use super::wire::{self, Incoming, Outgoing, Wire};

/// An event of a connection.
pub(crate) enum ConnectionEvent {
    /// A connection that we opened is established, or has failed.
    Dialled {
        id: RequestId,
        flow: Flow,
        to: SocketAddr,
        result: Result<Box<Dialled>, ConnectError>,
    },
    /// A peer has connected, and completed the handshakes.
    Accepted(Box<AcceptedConnection>),
    /// A peer has connected and was turned away.
    TurnedAway(Box<TurnedAway>),
    /// Bytes of a stream, or a message, came.
    Came(Flow, Bytes),
    /// The connection is closed.
    Lost(Flow),
}

/// A connection that a peer has opened.
pub(crate) struct AcceptedConnection {
    pub(crate) flow: Flow,
    pub(crate) from: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) certificate: Option<Identities>,
    pub(crate) wire: Wire,
    /// Its place in the count of connections, dropped when it ends.
    pub(crate) reservation: Reservation,
}

/// What a connection holds for as long as it lives; dropping it gives that back.
pub(crate) type Reservation = Box<dyn Send>;

/// The connections of a driver.
pub(crate) struct Connections {
    open: HashMap<Flow, Connection>,
    events: mpsc::Receiver<ConnectionEvent>,
    event_sender: mpsc::Sender<ConnectionEvent>,
}

/// One of them. When it is dropped, what it was sent still leaves, and then it is closed.
#[derive(Debug)]
struct Connection {
    ends: Ends,
    queue: mpsc::UnboundedSender<Bytes>,
    /// How many bytes wait to leave.
    waiting: Arc<AtomicUsize>,
    task: AbortHandle,
}

/// The addresses of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
}

/// Why something could not be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unsent {
    /// There is no such connection.
    Unknown,
    /// The peer takes too little; the connection is closed.
    Full,
}

impl Connections {
    /// How much waits for the driver: a peer that sends more is not read until some was taken.
    const EVENTS: usize = 64;
    /// How many bytes may wait for one peer.
    const QUEUE: usize = 1024 * 1024;
    /// How long a connection that we have closed may still bring something, which is not looked at.
    /// Closed at once with something unread, it would be reset, and what was sent last lost.
    const LINGER: Duration = Duration::from_secs(2);

    pub(crate) fn new() -> Self {
        let (event_sender, events) = mpsc::channel(Self::EVENTS);
        Self { open: HashMap::new(), events, event_sender }
    }

    /// The sender of events, for connections that are being opened.
    pub(crate) fn event_sender(&self) -> mpsc::Sender<ConnectionEvent> {
        self.event_sender.clone()
    }

    /// The next event. Cancel-safe.
    pub(crate) async fn next(&mut self) -> ConnectionEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// An event that is there already.
    pub(crate) fn try_next(&mut self) -> Option<ConnectionEvent> {
        self.events.try_recv().ok()
    }

    /// Takes a connection in.
    pub(crate) fn admit(
        &mut self,
        flow: Flow,
        ends: Ends,
        wire: Wire,
        reservation: Option<Reservation>,
    ) {
        let (queue, messages) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let event_sender = self.event_sender.clone();
        let left = Arc::clone(&waiting);
        let task = tokio::spawn(async move {
            let left = |count| {
                left.fetch_sub(count, Ordering::Relaxed);
            };
            carry(flow, wire, messages, left, &event_sender).await;
            drop(reservation);
        });
        let task = task.abort_handle();
        self.open.insert(flow, Connection { ends, queue, waiting, task });
    }

    /// The addresses of an open connection.
    pub(crate) fn ends(&self, flow: Flow) -> Option<Ends> {
        self.open.get(&flow).map(|connection| connection.ends)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`Unsent`]; a connection that takes too little is gone thereafter.
    pub(crate) fn send(&mut self, flow: Flow, message: &[u8]) -> Result<(), Unsent> {
        let connection = self.open.get(&flow).ok_or(Unsent::Unknown)?;
        let before = connection.waiting.fetch_add(message.len(), Ordering::Relaxed);
        // One that is on its way out tells so itself.
        let _ = connection.queue.send(Bytes::copy_from_slice(message));
        if before + message.len() > Self::QUEUE {
            self.abort(flow);
            return Err(Unsent::Full);
        }
        Ok(())
    }

    /// Closes a connection: what was sent leaves first.
    pub(crate) fn close(&mut self, flow: Flow) {
        self.open.remove(&flow);
    }

    /// Removes a connection that is closed; false when it was removed before.
    pub(crate) fn forget(&mut self, flow: Flow) -> bool {
        self.open.remove(&flow).is_some()
    }

    /// Ends every connection at once, and says which there were.
    pub(crate) fn abort_all(&mut self) -> Vec<Flow> {
        let mut flows: Vec<_> = self.open.keys().copied().collect();
        flows.sort_unstable();
        flows.iter().for_each(|flow| self.abort(*flow));
        flows
    }

    /// Ends a connection at once.
    fn abort(&mut self, flow: Flow) {
        if let Some(connection) = self.open.remove(&flow) {
            connection.task.abort();
        }
    }
}

/// Carries messages both ways until either end has enough.
async fn carry(
    flow: Flow,
    Wire { mut incoming, mut outgoing }: Wire,
    messages: mpsc::UnboundedReceiver<Bytes>,
    left: impl Fn(usize),
    event_sender: &mpsc::Sender<ConnectionEvent>,
) {
    let finished = tokio::select! {
        () = read(flow, &mut incoming, event_sender) => false,
        finished = write(&mut outgoing, messages, left) => finished,
    };
    if finished {
        let rest = async { while incoming.next().await.is_some() {} };
        let _ = timeout(Connections::LINGER, rest).await;
    } else {
        let _ = event_sender.send(ConnectionEvent::Lost(flow)).await;
    }
}

/// Passes on what comes until nothing more does.
async fn read(flow: Flow, incoming: &mut Incoming, event_sender: &mpsc::Sender<ConnectionEvent>) {
    while let Some(bytes) = incoming.next().await {
        if event_sender.send(ConnectionEvent::Came(flow, bytes)).await.is_err() {
            // Nobody listens any more, but what was sent still has to leave.
            return std::future::pending().await;
        }
    }
}

/// Writes what is sent until there is no more; whether all has left.
async fn write(
    outgoing: &mut Outgoing,
    mut messages: mpsc::UnboundedReceiver<Bytes>,
    left: impl Fn(usize),
) -> bool {
    let mut batch = VecDeque::new();
    loop {
        match timeout(wire::PING, messages.recv()).await {
            Ok(Some(message)) => batch.push_back(message),
            Ok(None) => return outgoing.finish().await.is_ok(),
            Err(_) if outgoing.ping().await.is_err() => return false,
            Err(_) => continue,
        }
        while batch.len() < Outgoing::BATCH
            && let Ok(message) = messages.try_recv()
        {
            batch.push_back(message);
        }
        if outgoing.write(&mut batch, &left).await.is_err() {
            return false;
        }
    }
}
