//! A small registrar and proxy for development, tests and demonstrations: it knows a list of users
//! and their passwords, takes their registrations (RFC 3261 §10.3) and connects their calls
//! (RFC 3261 §16).
//!
//! It is careful rather than large. It answers only where a packet came from, asks everyone who
//! registers or begins something for a password, lets a user act only as himself, and forwards
//! only to contacts that its users registered and within calls that it connected.
//!
//! ```
//! use offhook_core::config::PhoneParameters;
//! use offhook_core::event::PhoneStatus;
//! use offhook_core::exchange::{Exchange, ExchangeParameters};
//! use offhook_core::phone::Phone;
//! use offhook_core::sim::Simulation;
//! use offhook_core::time::Duration;
//!
//! let mut sim = Simulation::new(1);
//! let parameters = ExchangeParameters::new("10.0.0.9:5060".parse()?).user("alice", "secret");
//! let exchange = sim.add([10, 0, 0, 9], Exchange::new(parameters));
//! let mut phone = Phone::new(PhoneParameters::new("10.0.0.9", "alice").password("secret"))?;
//! phone.start()?;
//! let alice = sim.add([10, 0, 0, 1], phone);
//! sim.run_until(|sim| sim[alice].status() == PhoneStatus::Registered, Duration::from_secs(1))?;
//! assert_eq!(sim[exchange].contacts("alice").map(|contacts| contacts.len()), Some(1));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! Read `running` first (what becomes of a message), then `registrar` and `proxy`.

mod admission;
mod context;
mod domain;
mod event;
mod next_hop;
mod parameters;
mod proxy;
mod registrar;
mod rewrite;
mod route;
mod running;
mod seal;
mod side;
mod sources;
mod target;
#[cfg(test)]
mod tests;

pub use event::{Departure, ExchangeEvent, Limit};
pub use parameters::{ExchangeParameters, Listener};

use crate::host::{Endpoint, Host, Inbound};
use crate::time::{Duration, Instant};
use running::Running;

/// How many contacts a user may have at once.
pub const MAX_CONTACTS: usize = 10;
/// How many requests may be under way at once; one more is answered 503.
pub const MAX_REQUESTS: usize = 65_536;
/// How many events are kept that nobody has taken; beyond that the oldest are dropped.
pub const MAX_EVENTS: usize = 10_000;
/// How many connections peers may have opened to the exchange.
pub const MAX_CONNECTIONS: usize = 4_096;
/// How many transactions there may be: a forwarded request has one for itself and one a contact.
const MAX_TRANSACTIONS: usize = 1 << 17;
/// How many requests to the host may be pending at once.
const MAX_WAITING: usize = 4_096;
/// How many peers on UDP the exchange remembers the socket to.
const MAX_FLOWS: usize = 4_096;
/// How long the host may take to open a flow or resolve a name.
const HOST_TIMEOUT: Duration = Duration::from_secs(10);
/// Timer C (RFC 3261 §16.6 step 11): more than three minutes since the last provisional response.
const TIMER_C: Duration = Duration::from_secs(181);
/// How long an accepted INVITE is kept for the 2xx of other branches: as long as their client
/// transactions pass them on (RFC 6026, Timer M).
const LINGER: Duration = Duration::from_secs(33);

/// A registrar and proxy.
#[derive(Debug)]
pub struct Exchange {
    parameters: ExchangeParameters,
    /// Made when the host first calls, because it needs the host's randomness.
    running: Option<Box<Running>>,
}

impl Exchange {
    /// An exchange that starts when its host first calls it.
    pub fn new(parameters: ExchangeParameters) -> Self {
        Self { parameters, running: None }
    }

    /// How it was set up.
    pub fn parameters(&self) -> &ExchangeParameters {
        &self.parameters
    }

    /// The next thing that happened.
    pub fn next_event(&mut self) -> Option<ExchangeEvent> {
        self.running.as_mut()?.next_event()
    }

    /// The URIs at which a user can be reached now; `None` when there is no such user.
    pub fn contacts(&self, user: &str) -> Option<Vec<String>> {
        match &self.running {
            Some(running) => running.contacts(user),
            None => self.parameters.users.iter().any(|(name, _)| name == user).then(Vec::new),
        }
    }

    /// How many requests are under way: answered ones count until nothing more can come.
    pub fn requests(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.requests())
    }

    fn running(&mut self, host: &mut dyn Host) -> &mut Running {
        let parameters = &self.parameters;
        self.running.get_or_insert_with(|| Box::new(Running::new(host, parameters.clone())))
    }
}

impl Endpoint for Exchange {
    fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        self.running(host).handle_inbound(host, inbound);
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        self.running(host).handle_deadline(host);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.running.as_ref()?.next_deadline()
    }
}
