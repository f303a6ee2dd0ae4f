//! Session descriptions (RFC 8866) and the offer/answer model (RFC 3264).
//!
//! [`SessionDescription`] reads and writes; [`Negotiator`] makes offers and answers and says what
//! was agreed.

mod description;
mod direction;
mod negotiator;

pub use description::{Media, SdpError, SessionDescription};
pub use direction::Direction;
pub use negotiator::{Agreed, AnswerError, LocalMedia, Negotiator, NotAcceptable};
