//! The small registrar and proxy, over tokio.

use std::path::PathBuf;
use std::sync::Arc;

use offhook_core::exchange::{self, ExchangeEvent, ExchangeParameters, Listener};
use offhook_core::host::{Endpoint, Host, Inbound, Transport};
use offhook_core::time::Instant;
use tokio::sync::watch;

use crate::broadcast::{Broadcast, Events};
use crate::capture::Capture;
use crate::driver::{DrivenEndpoint, Driver, Jobs};
use crate::error::Error;
use crate::host::endpoint_host::EndpointHost;
use crate::host::listener::Limits;
use crate::host::sockets::{ConnectionOptions, Sockets};
use crate::host::timebase::Timebase;
use crate::host::turned_away::TurnedAway;
use crate::tls::{Tls, TlsFiles};

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

/// The events of an [`Exchange`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ExchangeNotice {
    /// Something happened.
    Event(ExchangeEvent),
    /// A peer has connected to us and was turned away; at most one a second is reported.
    TurnedAway(TurnedAway),
    /// This listener was too slow, and missed events.
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// What an [`Exchange`] has from this machine, besides its parameters. By default it has no
/// certificate, takes no web page's WebSocket, and records nothing.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ExchangeOptions {
    /// Its certificate for TLS and WSS, and the authorities that it trusts.
    pub tls: TlsFiles,
    /// The pages whose WebSockets are taken, as a browser names them in Origin:
    /// `https://phone.example.com`; `*` for all of them. Clients that are no browsers send no Origin,
    /// and are accepted.
    pub origins: Vec<String>,
    /// Keeps every packet.
    pub capture: Option<Capture>,
}

impl ExchangeOptions {
    /// Sets the certificate that it shows, and its private key, both in PEM.
    #[must_use]
    pub fn certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        (self.tls.cert_file, self.tls.key_file) = (Some(certificate.into()), Some(key.into()));
        self
    }

    /// Sets the authorities that may sign the certificates of telephones that it connects to, in PEM.
    #[must_use]
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls.ca_file = Some(file.into());
        self
    }

    /// Adds a page whose WebSockets are taken.
    #[must_use]
    pub fn origin(mut self, origin: &str) -> Self {
        self.origins.push(origin.to_owned());
        self
    }

    /// Keeps every packet.
    #[must_use]
    pub fn capture(mut self, capture: Capture) -> Self {
        self.capture = Some(capture);
        self
    }
}

impl Exchange {
    /// How many connections one source may begin beyond those that it may hold, so that it learns
    /// when it has too many.
    const BEGINNING: usize = 16;

    /// Listens as [`listen`](ExchangeParameters::listen) says and starts. Where UDP is followed by TCP
    /// at one address, both get one port, which port 0 picks; 0.0.0.0 means every address of this
    /// machine, those of IPv6 too.
    ///
    /// # Errors
    /// [`Error::Bind`] when a port is in use or an address is not ours, and [`Error::NoCertificate`]
    /// when it is to listen for TLS or WSS: see [`start_with`](Self::start_with).
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time enabled.
    pub fn start(parameters: ExchangeParameters) -> Result<Self, Error> {
        Self::start_with(parameters, ExchangeOptions::default())
    }

    /// As [`start`](Self::start), with a certificate to show, pages to listen to, or a record of every
    /// packet.
    ///
    /// # Errors
    /// As [`start`](Self::start), and [`Error::TlsFile`] with the file that cannot be used.
    pub fn start_with(
        mut parameters: ExchangeParameters,
        options: ExchangeOptions,
    ) -> Result<Self, Error> {
        let secure = parameters.listen.iter().find(|listener| listener.transport.is_secure());
        if let Some(&Listener { address, .. }) = secure
            && options.tls.cert_file.is_none()
        {
            return Err(Error::NoCertificate { address });
        }
        let limits = Limits {
            per_address: parameters.connections_per_source.saturating_add(Self::BEGINNING),
            total: exchange::MAX_CONNECTIONS,
        };
        let mut sockets = Sockets::new(ConnectionOptions {
            security: Some(Arc::new(Tls::load(&options.tls)?)),
            limits,
            origins: options.origins.into(),
            ..ConnectionOptions::default()
        });
        for at in parameters.listen.chunk_by(share_a_port) {
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
        let driver = Driver::new(switch, Timebase::new(), sockets, options.capture);
        let jobs = driver.jobs();
        let (closed, over) = watch::channel(false);
        tokio::spawn(async move {
            driver.run().await;
            closed.send_replace(true);
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

/// Who listens for UDP listens for TCP at the same port (RFC 3261 §18.2.1).
fn share_a_port(one: &Listener, next: &Listener) -> bool {
    one.address == next.address
        && (one.transport, next.transport) == (Transport::Udp, Transport::Tcp)
}

/// The endpoint that is an exchange.
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

impl DrivenEndpoint for Switch {
    fn pass_on(&mut self, _: &mut EndpointHost, _: &Jobs<Self>) {
        while let Some(event) = self.exchange.next_event() {
            self.events.send(&ExchangeNotice::Event(event));
        }
        if self.stopped {
            self.events.close();
        }
    }

    fn turn_away(&mut self, away: &TurnedAway) {
        self.events.send(&ExchangeNotice::TurnedAway(away.clone()));
    }

    fn is_done(&self) -> bool {
        self.stopped
    }
}
