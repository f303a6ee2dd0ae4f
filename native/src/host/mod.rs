//! The core's seam over tokio: clock, randomness, sockets, routes and names.
//!
//! Nothing here knows SIP or RTP. [`sockets`] is all that signalling travels on: UDP sockets
//! ([`signalling`]), listening sockets ([`listener`]) and connections ([`connection`]), which are opened
//! by [`dial`] and whose bytes go through [`wire`]. [`names`] looks names up.
//! What an endpoint sends during one crossing is gathered
//! ([`outbox`]) and leaves in a batch after it ([`signalling`]); what it asks for is answered after
//! the crossing as well, so the core is never entered twice.

pub(crate) mod connection;
pub(crate) mod dial;
pub(crate) mod endpoint_host;
pub(crate) mod entropy;
pub(crate) mod listener;
pub(crate) mod media;
pub(crate) mod metronome;
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
