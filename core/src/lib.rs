//! offhook-core: SIP and RTP without I/O.
//!
//! The crate holds the whole telephone and touches no socket, clock or random source. A host (tokio,
//! Node, a browser page, the simulation in [`sim`]) gives it those through one interface, [`host`]:
//! values in ([`host::Inbound`]), values out ([`host::Outbound`]), and the time of the next deadline.
//!
//! Read from the top: [`softphone`] joins signalling ([`phone`]) and media ([`rtp`]); signalling is
//! [`call`] over `dialog` over [`transaction`] over [`sip`], with what calls, registration, pings and messages
//! share in `agent`. Layers call downward and return values upward.
#![forbid(unsafe_code)]

pub mod certificate;
pub mod config;
pub mod error;
pub mod event;
pub mod handler;
pub mod host;
pub mod media;
pub mod time;

pub mod phone;
pub mod softphone;
pub mod switchboard;

pub mod auth;
pub mod call;
pub mod sip;
pub mod stream;
pub mod transaction;

pub mod codec;
pub mod rtp;
pub mod sdp;
pub mod wav;

pub mod nat;

pub mod exchange;
pub mod sim;
pub mod trace;

mod agent;
mod dialog;
mod locate;
mod registration;

mod slab;
mod state;
mod table;
mod timers;
mod transport;
