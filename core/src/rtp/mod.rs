//! RTP and RTCP (RFC 3550).
//!
//! [`MediaSession`] is the media half of a call: it takes what signalling agreed
//! ([`crate::event::MediaControl`]) and packets, sends and receives audio and digits, and keeps
//! statistics.

mod session;
mod stats;

pub use session::{DtmfError, MediaOptions, MediaSession};
pub use stats::MediaStats;
