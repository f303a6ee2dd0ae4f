//! SIP messages (RFC 3261 §7, §18.3, §19, §20, §25).
//!
//! Read `message.rs` first: [`Message::parse`] takes one datagram into spans over one buffer; the five
//! header fields that every message has are typed there, the rest when asked for. `Writer` writes a
//! message into one reused buffer. Text that an application gives goes through `check_value` before
//! it comes here.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unwrap_used
    )
)]

mod chars;
mod error;
mod header;
mod message;
mod method;
mod multipart;
mod parser;
mod start_line;
mod status;
#[cfg(test)]
mod tests;
mod uri;
pub(crate) mod writer;

pub(crate) use chars::{decimal, find};
pub use error::{Fault, Malformed, ParseError};
pub use header::address::NameAddr;
pub(crate) use header::address::name_addr;
pub(crate) use header::address::quote;
pub use header::content::MediaType;
pub(crate) use header::content::is_media_type;
pub use header::name::HeaderName;
pub(crate) use header::name::is_same_name;
pub(crate) use header::params::head;
pub use header::params::{Param, Params};
pub use header::reason::Reason;
pub use header::via::Via;
pub use message::Message;
#[cfg(test)]
pub(crate) use message::PARSED;
pub use method::Method;
pub use multipart::BodyPart;
pub(crate) use multipart::{Entity, MAX_DEPTH, MAX_PARTS, is_referred_to};
pub use status::reason_phrase;
pub use uri::{Scheme, Uri, UriParams};
pub(crate) use uri::{escape_user, unescape};
pub(crate) use writer::{Writer, check_name, check_value};

/// The longest message taken, in bytes. No UDP datagram is longer than a quarter of it; on a stream
/// a message may be.
pub(crate) const MAX_MESSAGE_BYTES: usize = 262_144;
/// The longest start line and header fields taken, in bytes: what spans of 16 bits reach.
pub(crate) const MAX_HEAD_BYTES: usize = 65_535;
/// The longest value of a header field taken, in bytes, folds joined.
pub(crate) const MAX_FIELD_BYTES: usize = 8_192;
/// The longest name of a header field taken, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 256;
/// The most header fields a message may have.
pub(crate) const MAX_FIELDS: usize = 256;
/// The most Via header fields a message may have.
pub(crate) const MAX_VIAS: usize = 100;
/// The longest method name taken, in bytes.
pub(crate) const MAX_METHOD_BYTES: usize = 128;
/// The longest tag, branch or Call-ID taken, in bytes: state is kept under them.
pub(crate) const MAX_IDENTIFIER_BYTES: usize = 1_024;
/// The longest URI taken, in bytes.
pub(crate) const MAX_URI_BYTES: usize = 4_096;
/// The most parameters and headers a URI may have: comparing two takes each with each.
pub(crate) const MAX_URI_PARAMS: usize = 128;
/// What a branch made by RFC 3261 begins with (§8.1.1.7).
pub(crate) const BRANCH_COOKIE: &str = "z9hG4bK";
