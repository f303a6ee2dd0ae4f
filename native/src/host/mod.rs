//! The core's host over tokio: clock, randomness, sockets, routes and DNS.
//!
//! Nothing here knows SIP or RTP. [`sockets`] is all that signalling travels on: UDP sockets
//! ([`signalling`]), listening sockets ([`listener`]) and connections ([`connection`]), which are
//! opened by [`dial`] and whose bytes go through [`wire`]. [`names`] does DNS lookups. What an
//! endpoint sends during one call of the core is gathered ([`outbox`]) and leaves in a batch
//! afterwards ([`signalling`]); requests are answered afterwards too, so the core is never
//! re-entered.

pub(crate) mod alarm;
pub(crate) mod arrivals;
pub(crate) mod connection;
pub(crate) mod dial;
pub(crate) mod endpoint_host;
pub(crate) mod entropy;
pub(crate) mod listener;
pub(crate) mod media;
pub(crate) mod names;
pub(crate) mod outbox;
pub(crate) mod route;
pub(crate) mod security;
pub(crate) mod signalling;
pub(crate) mod sockets;
pub(crate) mod timebase;
pub(crate) mod turned_away;
pub(crate) mod websocket;
pub(crate) mod wire;

#[cfg(test)]
mod tests;
