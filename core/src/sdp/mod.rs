//! Session descriptions (RFC 8866) and the offer/answer model (RFC 3264).
//!
//! [`SessionDescription`] reads and writes; [`Negotiator`] makes offers and answers and says what
//! was agreed.

mod description;
mod direction;
mod format;
pub(crate) mod negotiator;
mod parse;
mod remote;
mod section;
#[cfg(test)]
mod tests;

pub use description::{Connection, Line, Media, Origin, SessionDescription};
pub use direction::Direction;
pub use format::{Encoding, Format, TelephoneEvents};
pub use negotiator::Agreed;
pub use parse::SdpError;

pub(crate) use negotiator::{LocalMedia, Negotiator, NotAcceptable};
