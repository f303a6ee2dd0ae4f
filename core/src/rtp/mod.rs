//! RTP and RTCP (RFC 3550).
//!
//! [`MediaSession`] is the media half of a call: it takes what signalling agreed
//! ([`crate::media::MediaControl`]) and packets, sends and receives audio and digits, and keeps
//! statistics.

mod audio;
mod headroom;
pub(crate) mod jitter;
mod latch;
mod pacer;
pub(crate) mod packet;
mod playout;
mod receiver;
mod reported;
mod reporter;
mod rtcp;
mod sender;
mod session;
mod source;
mod stats;
mod stream;
mod tap;
mod telephone_event;
mod transport;

pub use audio::{MAX_QUEUED_SECONDS, MAX_UNREAD_SECONDS};
pub use session::{DtmfError, MAX_MARKS, MediaSession};
pub use stats::MediaStats;
pub use telephone_event::event_of;

#[cfg(test)]
mod tests;
