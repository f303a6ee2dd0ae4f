//! The relay's protocol: a telephone in a web page, which has no sockets, uses those of a relay.
//!
//! Both ends are here and neither does I/O. [`Client`] takes what a telephone asks of its host
//! ([`Outbound`](crate::host::Outbound)) and makes messages of it; [`Session`] takes those messages, asks its own
//! host for the sockets that [`Policy`] and [`Grant`] allow, and brings back what comes to them. [`Relayed`] is an
//! endpoint whose host is a `Client`. A message is one [`Capsule`] (RFC 9297); `docs/relay-protocol.md` has each byte.
//!
//! A connection that is lost is no end: the client comes back on another one within the session's grace time, and
//! what was not acknowledged is sent again (`link`).
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

mod address;
mod bucket;
mod capsule;
mod client;
mod descriptions;
mod fields;
mod grant;
mod link;
mod names;
mod problem;
mod relayed;
mod session;
#[cfg(test)]
mod tests;

pub use capsule::{
    Authenticate, Capsule, CapsuleError, Key, LARGEST_MESSAGE, LARGEST_PACKET, LARGEST_TOKEN,
    Ready, Subject, VERSION,
};
pub use client::{Arrival, Client, ClientEvent};
pub use grant::{Allowance, Grant, Policy, Server, ServerError};
pub use problem::{Leg, Problem};
pub use relayed::Relayed;
pub use session::{Counters, Session, SessionEvent};
