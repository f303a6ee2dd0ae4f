//! What an exchange tells.

use core::net::{IpAddr, SocketAddr};

use crate::host::Transport;
use crate::sip::Method;
use crate::time::Duration;

/// What happened at an exchange. URIs are as they came: escape them before they reach a terminal.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ExchangeEvent {
    /// A user can be reached at a contact, anew or still.
    Registered {
        /// The user's name.
        user: String,
        /// The contact's URI.
        contact: String,
        /// For how long.
        expires: Duration,
    },
    /// A user can no longer be reached at a contact.
    Unregistered {
        /// The user's name.
        user: String,
        /// The contact's URI.
        contact: String,
        /// Why.
        cause: Departure,
    },
    /// A user calls another.
    Call {
        /// The caller's URI, from From.
        from: String,
        /// The called URI.
        to: String,
        /// At how many contacts it rings.
        contacts: usize,
    },
    /// Something was refused, other than by a first challenge.
    Refused {
        /// What was asked for.
        method: Method,
        /// From where.
        source: SocketAddr,
        /// By or for which user, as far as that was said.
        user: Option<String>,
        /// The status code of the answer.
        code: u16,
    },
    /// There is no connection to a telephone: it does not answer, or its certificate is not its own
    /// (RFC 5922).
    Unreachable {
        /// How it was to be reached.
        transport: Transport,
        /// Where; without a port for UDP.
        peer: SocketAddr,
        /// What was in the way, in words that end a sentence.
        problem: String,
    },
    /// A source asks too much and is held back: told at once, and then every ten seconds.
    Limited {
        /// The source.
        source: IpAddr,
        /// What there is too much of.
        limit: Limit,
        /// How often it was held back since it was last told.
        count: u64,
    },
}

/// What a source may have only so much of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Limit {
    /// Requests ([`requests_per_second`](super::ExchangeParameters::requests_per_second)).
    Requests,
    /// Connections ([`connections_per_source`](super::ExchangeParameters::connections_per_source)).
    Connections,
    /// Wrong passwords ([`guesses_per_minute`](super::ExchangeParameters::guesses_per_minute)).
    Passwords,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Requests, Self::Connections, Self::Passwords];

    /// The name, for people and programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Connections => "connections",
            Self::Passwords => "passwords",
        }
    }
}

/// Why a contact is no longer registered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Departure {
    /// It was taken back.
    Withdrawn,
    /// Its time ran out.
    Expired,
    /// The connection by which alone it could be reached is over.
    Lost,
}
