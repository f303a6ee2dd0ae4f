//! The relay, over tokio: the sockets of telephones in web pages.
//!
//! The protocol is [`offhook_core::relay`]. Here is what it runs on: [`guest`] lets a client in, [`task`] carries one
//! session with all its sockets, and [`host`] is what the session sees. [`token`] verifies who a client is.

mod connection;
mod event;
mod guest;
mod host;
mod keys;
mod options;
mod registry;
mod sockets;
mod task;
mod token;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use offhook_core::host::Transport;
use offhook_core::relay::Counters;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::broadcast::{Broadcast, Events};
use crate::error::Error;
use crate::host::listener::{ConnectionCounter, Limits, Listener};
use crate::tls::Tls;

use self::guest::House;
use self::registry::Registry;

pub use self::event::RelayEvent;
pub use self::keys::{TokenKey, TokenKeys};
pub use self::options::RelayOptions;
pub use self::token::TokenClaims;

/// The path that a page connects to.
pub const RELAY_PATH: &str = "/offhook/1";
/// The sub-protocol of WebSocket.
pub(crate) const SUBPROTOCOL: &str = "offhook.relay.1";

/// A relay: pages connect to it by WebSocket, and it lends them sockets as their tokens allow. When it is dropped it
/// stops at once.
#[derive(Debug)]
pub struct Relay {
    local: SocketAddr,
    secure: bool,
    registry: Arc<Registry>,
    events: Arc<Broadcast<RelayEvent>>,
    closing: watch::Sender<bool>,
    listening: JoinHandle<()>,
}

impl Relay {
    /// How many connections one address may hold, for all pages behind one NAT.
    const PER_ADDRESS: usize = 64;
    /// How often ports that rest are looked at.
    const TIDY: Duration = Duration::from_secs(2);

    /// Listens and starts.
    ///
    /// # Errors
    /// [`Error::Bind`] when the port is in use or the address is not ours, [`Error::TlsFile`] with the file that
    /// cannot be used.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time enabled.
    pub fn start(options: RelayOptions) -> Result<Self, Error> {
        let security = Arc::new(Tls::load(&options.tls)?);
        let secure = options.tls.cert_file.is_some();
        let transport = if secure { Transport::Wss } else { Transport::Ws };
        let mut listener = Listener::bind(transport, options.listen).map_err(|source| {
            let (what, address) = (transport.as_str(), options.listen);
            Error::Bind { what, address, source: source.into() }
        })?;
        let local = listener.bound;
        let total = options.max_sessions.saturating_mul(2);
        // Who listens on loopback has a proxy before it, from which everybody comes.
        let per_address = if local.ip().is_loopback() { total } else { Self::PER_ADDRESS };
        let limits = Limits { per_address, total };
        let events = Arc::new(Broadcast::new(|missed| RelayEvent::Lagged { missed }));
        let registry = Arc::new(Registry::new(options.max_sessions, options.sessions_per_user));
        let house =
            House::new(options, local, security, Arc::clone(&registry), Arc::clone(&events));
        let house = Arc::new(house);
        let counter = ConnectionCounter::new(limits);
        let (closing, mut closed) = watch::channel(false);
        let listening = tokio::spawn(async move {
            let mut tidying = interval(Self::TIDY);
            loop {
                let (stream, from) = tokio::select! {
                    accepted = poll_fn(|cx| listener.poll_accept(cx)) => accepted,
                    _ = closed.wait_for(|closed| *closed) => break,
                    _ = tidying.tick() => {
                        house.tidy();
                        continue;
                    }
                };
                match counter.admit(from.ip()) {
                    Some(reservation) => {
                        tokio::spawn(Arc::clone(&house).welcome(stream, from, reservation));
                    }
                    None => house.turn_away(from, "there are too many connections"),
                }
            }
        });
        Ok(Self { local, secure, registry, events, closing, listening })
    }

    /// Where it listens.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The address that a page connects to, as far as this machine knows it.
    pub fn url(&self) -> String {
        let scheme = if self.secure { "wss" } else { "ws" };
        format!("{scheme}://{}{RELAY_PATH}", self.local)
    }

    /// What happens from now on.
    pub fn events(&self) -> Events<RelayEvent> {
        self.events.listen()
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.registry.len()
    }

    /// What has passed through the sessions that are over.
    pub fn counters(&self) -> Counters {
        self.registry.counters()
    }

    /// Stops: lets nobody in any more, sends DRAINING to the clients, and waits up to `drain` until none has media ports any
    /// more; then ends what is left. Returns when all is given back.
    pub async fn stop(&self, drain: Duration) {
        self.closing.send_replace(true);
        self.registry.drain(drain).await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listening.abort();
        self.registry.abort();
        self.events.close();
    }
}
