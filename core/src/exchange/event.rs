//! The events that an exchange reports.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use crate::host::Transport;
use crate::sip::Method;

/// What happened at an exchange. URIs are as they came: escape them before they reach a terminal.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ExchangeEvent {
    /// A user registered a contact, or refreshed it.
    Registered {
        /// The user's name.
        user: String,
        /// The contact's URI.
        contact: String,
        /// For how long.
        expires: Duration,
    },
    /// A user's contact is no longer registered.
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
        /// The user who asked or was asked for, if the request names one.
        user: Option<String>,
        /// The status code of the answer.
        code: u16,
    },
    /// A telephone cannot be connected to: it does not answer, or its certificate does not name it
    /// (RFC 5922).
    Unreachable {
        /// The transport.
        transport: Transport,
        /// The address; without a port for UDP.
        peer: SocketAddr,
        /// What was in the way, in words that end a sentence.
        problem: String,
    },
    /// A source exceeds a limit and is held back: reported at once, and then every ten seconds.
    Limited {
        /// The source.
        source: IpAddr,
        /// The limit.
        limit: Limit,
        /// How many times it was held back since the last report.
        count: u64,
    },
}

/// The limits of one source.
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
    /// The user unregistered it.
    Withdrawn,
    /// It expired.
    Expired,
    /// The only connection by which it could be reached is closed.
    Lost,
}
