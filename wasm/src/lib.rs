//! offhook in JavaScript: the telephone for a host that owns the sockets, the clock and the
//! entropy, as Node and the browser do.
//!
//! [`Softphone`] is the door; `wasm/node/phone.js` shows how it is driven. Each crossing brings the
//! time and one thing that happened; after it the host sends what waits (packets from one buffer
//! in wasm's memory, then requests), takes the events, and comes back when the next deadline is due.
//!
//! With the feature `media` and without `phone` it is the media machine of one call, alone.
#![forbid(unsafe_code)]

#[cfg(feature = "phone")]
mod error;
#[cfg(feature = "phone")]
mod event;
#[cfg(feature = "phone")]
mod machine;
#[cfg(feature = "media")]
pub mod media;
#[cfg(feature = "phone")]
mod names;
#[cfg(feature = "phone")]
mod object;
#[cfg(any(feature = "phone", feature = "media"))]
mod outbox;
#[cfg(feature = "phone")]
mod parameters;
#[cfg(feature = "phone")]
mod softphone;
#[cfg(any(feature = "phone", feature = "media"))]
mod times;
#[cfg(feature = "phone")]
mod types;
#[cfg(feature = "phone")]
mod wav;

#[cfg(feature = "phone")]
pub use machine::Machine;
#[cfg(feature = "phone")]
pub use softphone::Softphone;
#[cfg(feature = "phone")]
pub use wav::read_wav;
