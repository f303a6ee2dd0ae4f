//! offhook in JavaScript: the telephone for a host that owns the sockets, the clock and the
//! entropy, as Node and the browser do.
//!
//! [`Machine`] is the door. Each crossing brings the time and one thing that happened, or a command;
//! after it the host carries out what is due, sends what waits (packets from one buffer in wasm's
//! memory, then requests), takes the events, and comes back when the next deadline is due.
//!
//! With the feature `sim` it is the simulation, and machines on its nodes. With the feature `media` and
//! without `phone` it is the media machine of one call, alone.
#![forbid(unsafe_code)]

#[cfg(feature = "media")]
pub mod media;
#[cfg(any(all(feature = "phone", not(feature = "sim")), feature = "media"))]
mod outbox;
#[cfg(any(all(feature = "phone", not(feature = "sim")), feature = "media"))]
mod times;

#[cfg(feature = "phone")]
mod address;
#[cfg(feature = "phone")]
mod certificate;
#[cfg(feature = "phone")]
mod error;
#[cfg(feature = "phone")]
mod event;
#[cfg(feature = "phone")]
mod machine;
#[cfg(feature = "phone")]
mod names;
#[cfg(feature = "phone")]
mod object;
#[cfg(feature = "phone")]
mod parameters;
#[cfg(feature = "phone")]
mod resample;
#[cfg(feature = "phone")]
mod types;
#[cfg(feature = "phone")]
mod wav;

#[cfg(feature = "sim")]
mod sim;

#[cfg(feature = "phone")]
pub use machine::Machine;
#[cfg(feature = "phone")]
pub use resample::resample;
#[cfg(feature = "sim")]
pub use sim::{Peer, Simulation};
#[cfg(feature = "phone")]
pub use wav::read_wav;
