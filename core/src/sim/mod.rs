//! A seeded network in virtual time.
//!
//! A [`Simulation`] is a [`Host`](crate::host::Host) for any number of endpoints at once: phones,
//! exchanges, scripted peers, or whatever else implements [`Endpoint`](crate::host::Endpoint). Time
//! passes only when something is due, so an hour of calls takes a moment; and everything that
//! happens (the network's losses and delays, the randomness every endpoint is given) follows from
//! one seed, so a run that failed can be run again. It needs no sockets and builds for wasm32.
//!
//! ```
//! use offhook_core::sim::{Link, ScriptedPeer, Simulation};
//! use offhook_core::time::Duration;
//!
//! let mut sim = Simulation::new(1);
//! let alice = sim.add([10, 0, 0, 1], ScriptedPeer::new());
//! let bob = sim.add([10, 0, 0, 2], ScriptedPeer::new());
//! sim.link(alice, bob, Link { delay: Duration::from_millis(30), ..Link::default() });
//! sim[alice].send(bob.address(), "hello");
//! sim.run_until(|sim| !sim[bob].received().is_empty(), Duration::from_secs(1))?;
//! assert_eq!(sim[bob].received()[0].text(), "hello");
//! # Ok::<(), offhook_core::sim::Failure>(())
//! ```
//!
//! Start reading at [`Simulation`]; [`Link`] says what a network can do to a packet.

mod clock;
mod hash;
mod link;
mod names;
mod nat;
mod network;
mod node_host;
mod node_id;
mod ports;
mod random;
mod scripted;
mod scripted_party;
mod simulation;
mod streams;
mod wire;

pub use link::{Burst, Link};
pub use nat::{Dependence, Nat};
pub use node_id::NodeId;
pub use scripted::{Arrival, ScriptedPeer, message_text, session_body};
pub use scripted_party::ScriptedParty;
pub use simulation::{Application, BoundMedia, Failure, Simulation};
pub use streams::Pieces;
pub use wire::{Fate, WirePacket};

#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
