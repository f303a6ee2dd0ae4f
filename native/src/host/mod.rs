//! The core's seam over tokio: clock, randomness, sockets, routes and names.
//!
//! Nothing here knows SIP or RTP. What an endpoint sends during one crossing is gathered
//! ([`outbox`]) and leaves in a batch after it ([`signalling`]); what it asks for is answered after
//! the crossing as well, so the core is never entered twice.

pub(crate) mod entropy;
pub(crate) mod machine;
pub(crate) mod media;
pub(crate) mod metronome;
pub(crate) mod outbox;
pub(crate) mod route;
pub(crate) mod signalling;
pub(crate) mod timebase;
