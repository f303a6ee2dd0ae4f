//! Connections: their destinations, openings under way, users, and the messages received on them (RFC
//! 3261 §18.3, RFC 5626 §4.4.1, RFC 5923).
//!
//! [`Framer`] finds the messages in one stream of bytes. `Connections` is the one table of an
//! endpoint's connections: the phone, the switchboard and the exchange have one each.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unwrap_used
    )
)]

mod connection;
mod connections;
mod framer;
mod limits;
mod openings;
#[cfg(test)]
mod tests;

pub use connection::Decoded;
pub(crate) use connection::{PING, source_of};
pub(crate) use connections::{Closed, Connections};
pub use framer::{Frame, Framer};
pub(crate) use limits::ConnectionLimits;
pub(crate) use openings::{Destination, Opening};
