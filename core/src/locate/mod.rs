//! Locating servers (RFC 3263): from the host of a URI to addresses, ports and transports, in the
//! order in which they are to be tried.
//!
//! A [`Hop`] is what a URI names. A [`Search`] is begun with it and gives one step after the other:
//! a [`Question`] to ask of DNS, or a [`Candidate`] to try. It looks no further
//! than it has to: names of the second server are resolved when the first has failed. [`Cache`] keeps
//! answers for as long as they hold, [`Avoided`] the servers that have failed lately. None of them
//! touches the host but for the chance that weights are drawn by.

mod avoided;
mod cache;
mod draw;
mod hop;
mod naptr;
mod search;
mod srv;

pub(crate) use avoided::Avoided;
pub(crate) use cache::{Cache, Question, first_of};
pub(crate) use draw::Draw;
pub(crate) use hop::{Hop, is_many};
pub(crate) use search::{Candidate, Search, Step};
