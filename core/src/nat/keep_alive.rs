//! How the way from the server to us is kept open.

use core::str::FromStr;

/// What is sent to the server now and then, so that a NAT or a firewall keeps the way open on which
/// it reaches us.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum KeepAlive {
    /// On connections as [`Crlf`](Self::Crlf). Over UDP as `Crlf` when the server sees us at another
    /// address than ours; as [`Stun`](Self::Stun) when it wants a sign of life (Flow-Timer, RFC 5626
    /// §4.4); else nothing.
    #[default]
    Auto,
    /// Nothing.
    Off,
    /// An empty line, twice. On a connection the server answers it (RFC 5626 §4.4.1), and one on which it
    /// does not within 10 s is lost; with `Auto` only if it has answered there before, or has taken our
    /// flow (outbound). Over UDP it is a packet that is not answered.
    Crlf,
    /// Over UDP a STUN binding request to the server itself (RFC 5626 §4.4.2), which has to understand
    /// that: without an answer the flow is lost, and another address in it is registered at once. On
    /// connections as [`Crlf`](Self::Crlf).
    Stun,
    /// An OPTIONS request; without any answer the flow is lost.
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

/// A text that names none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text:?} is not auto, off, crlf, stun or options")]
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
