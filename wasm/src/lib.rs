//! offhook in JavaScript: the telephone for a host that owns the sockets, the clock and the
//! entropy, as Node and the browser do.
//!
//! [`Softphone`] is the door; `wasm/node/phone.js` shows how it is driven. Each crossing brings the
//! time and one thing that happened; after it the host sends what waits (packets from one buffer
//! in wasm's memory, then requests), takes the events, and comes back when the next deadline is due.
#![forbid(unsafe_code)]

mod error;
mod event;
mod host;
mod names;
mod object;
mod outbox;
mod parameters;
mod softphone;
mod types;
mod wav;

pub use softphone::Softphone;
pub use wav::read_wav;
