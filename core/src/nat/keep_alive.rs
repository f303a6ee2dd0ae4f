//! Keep-alives: how NATs and firewalls between the server and us are kept open.

use crate::quoted::Quoted;
use core::str::FromStr;

/// The keep-alive sent to the server, so that a NAT or a firewall lets its requests reach us.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum KeepAlive {
    /// On connections as [`Crlf`](Self::Crlf). Over UDP as `Crlf` when the server sees us at another
    /// address than ours; as [`Stun`](Self::Stun) when the server asks for keep-alives (Flow-Timer,
    /// RFC 5626 §4.4); else nothing.
    #[default]
    Auto,
    /// Nothing.
    Off,
    /// A double CRLF. On a connection the server answers with a CRLF (RFC 5626 §4.4.1); without an
    /// answer within 10 s the connection counts as lost, with `Auto` only if the server has answered
    /// on it before or has accepted outbound. Over UDP there is no answer.
    Crlf,
    /// Over UDP a STUN binding request to the server itself (RFC 5626 §4.4.2), which must support
    /// STUN at its SIP port: without an answer the flow counts as lost, and a changed address in the
    /// answer is registered at once. On connections as [`Crlf`](Self::Crlf).
    Stun,
    /// An OPTIONS request; without an answer the flow counts as lost.
    Options,
}

impl KeepAlive {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Off, Self::Crlf, Self::Stun, Self::Options];

    /// The name in options: `crlf`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Off => "off",
            Self::Crlf => "crlf",
            Self::Stun => "stun",
            Self::Options => "options",
        }
    }
}

/// A text that names no keep-alive.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{} is not auto, off, crlf, stun or options", Quoted(.text))]
pub struct KeepAliveError {
    text: String,
}

impl FromStr for KeepAlive {
    type Err = KeepAliveError;

    fn from_str(text: &str) -> Result<Self, KeepAliveError> {
        let named = Self::ALL.into_iter().find(|way| way.as_str() == text);
        named.ok_or_else(|| KeepAliveError { text: text.to_owned() })
    }
}
