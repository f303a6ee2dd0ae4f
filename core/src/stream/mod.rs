//! Connections: streams of bytes cut into messages (RFC 3261 §18.3), and what is known of each
//! connection of an endpoint.
//!
//! [`Framer`] finds the messages of one stream; [`Streams`] holds the connections of an endpoint,
//! answers keep-alives (RFC 5626 §4.4.1) and closes what takes too long.
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

mod framer;
mod streams;
#[cfg(test)]
mod tests;

pub use framer::{Frame, Framer};
pub use streams::{Heard, StreamLimits, Streams};
pub(crate) use streams::{PING, PONG};
