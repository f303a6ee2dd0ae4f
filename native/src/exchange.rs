//! The small registrar and proxy, over tokio.

use std::sync::Arc;

use offhook_core::exchange::{self, ExchangeEvent, ExchangeParameters, Listener};
use offhook_core::host::{Endpoint, Host, Inbound};
use offhook_core::time::Instant;
use tokio::sync::watch;

use crate::broadcast::{Broadcast, Events};
use crate::capture::Capture;
use crate::driver::{Driver, Jobs, Passenger};
use crate::error::Error;
use crate::host::machine::Machine;
use crate::host::sockets::{Sockets, Ways};
use crate::host::timebase::Timebase;

/// A registrar and proxy for development: users, passwords, and the calls between them. Cheap to
/// clone; when the last clone is dropped it stops.
#[derive(Clone, Debug)]
pub struct Exchange {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    listeners: Vec<Listener>,
    jobs: Jobs<Switch>,
    events: Arc<Broadcast<ExchangeNotice>>,
    over: watch::Receiver<bool>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.jobs.send(Box::new(|switch, _| switch.stopped = true));
    }
}

/// What an [`Exchange`] tells.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ExchangeNotice {
    /// Something happened.
    Event(ExchangeEvent),
    /// This listener was too slow, and missed events.
    Lagged {
        /// How many.
        missed: u64,
    },
}

impl Exchange {
    /// Listens as [`listen`](ExchangeParameters::listen) says and starts. Neighbours with one address
    /// get one port, which port 0 picks; 0.0.0.0 means every address of this machine, those of IPv6
    /// too.
    ///
    /// # Errors
    /// [`Error::Bind`] when a port is in use or an address is not ours.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time enabled.
    pub fn start(parameters: ExchangeParameters) -> Result<Self, Error> {
        Self::open(parameters, None)
    }

    /// As [`start`](Self::start), recording every packet.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_captured(parameters: ExchangeParameters, capture: Capture) -> Result<Self, Error> {
        Self::open(parameters, Some(capture))
    }

    fn open(mut parameters: ExchangeParameters, capture: Option<Capture>) -> Result<Self, Error> {
        let mut sockets = Sockets::new(Ways::default());
        for at in parameters.listen.chunk_by(|one, other| one.address == other.address) {
            let transports: Vec<_> = at.iter().map(|listener| listener.transport).collect();
            if let Some(listener) = at.first() {
                sockets.listen_at(&transports, listener.address)?;
            }
        }
        let listening = sockets.listening().into_iter();
        let listening = listening.map(|(transport, address)| Listener { transport, address });
        let listeners: Vec<_> = listening.collect();
        parameters.listen.clone_from(&listeners);
        let events = Arc::new(Broadcast::new(|missed| ExchangeNotice::Lagged { missed }));
        let exchange = exchange::Exchange::new(parameters);
        let switch = Switch { exchange, events: Arc::clone(&events), stopped: false };
        let driver = Driver::new(switch, Timebase::new(), sockets, capture);
        let jobs = driver.jobs();
        let (told, over) = watch::channel(false);
        tokio::spawn(async move {
            driver.run().await;
            told.send_replace(true);
        });
        Ok(Self { held: Arc::new(Held { listeners, jobs, events, over }) })
    }

    /// Where it listens: first for UDP, then for connections, each in the order of the parameters.
    pub fn listeners(&self) -> &[Listener] {
        &self.held.listeners
    }

    /// What happens from now on.
    pub fn events(&self) -> Events<ExchangeNotice> {
        self.held.events.listen()
    }

    /// Stops, and returns when its sockets are closed.
    pub async fn stop(&self) {
        let _ = self.held.jobs.send(Box::new(|switch, _| switch.stopped = true));
        let _ = self.held.over.clone().wait_for(|over| *over).await;
    }
}

/// The passenger that is an exchange.
struct Switch {
    exchange: exchange::Exchange,
    events: Arc<Broadcast<ExchangeNotice>>,
    stopped: bool,
}

impl Endpoint for Switch {
    fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        self.exchange.handle_inbound(host, inbound);
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        self.exchange.handle_deadline(host);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.exchange.next_deadline()
    }
}

impl Passenger for Switch {
    fn settle(&mut self, _: &mut Machine, _: &Jobs<Self>) {
        while let Some(event) = self.exchange.next_event() {
            self.events.send(&ExchangeNotice::Event(event));
        }
        if self.stopped {
            self.events.close();
        }
    }

    fn is_done(&self) -> bool {
        self.stopped
    }
}
