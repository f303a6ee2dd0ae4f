//! RTP and RTCP (RFC 3550).
//!
//! [`MediaSession`] is the media half of a call: it takes what signalling agreed
//! ([`crate::event::MediaControl`]) and packets, sends and receives audio and digits, and keeps
//! statistics.

mod latch;
mod pacer;
pub mod packet;
pub mod rtcp;
mod session;
mod source;
mod stats;
pub mod telephone_event;

pub use session::{DtmfError, MediaOptions, MediaSession};
pub use stats::MediaStats;
