//! What can be in the way, and on which leg.

use core::fmt;

/// The legs between a telephone in a page and its server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leg {
    /// Between the page and the relay.
    Page,
    /// At the relay: what it does not allow, or has no more of.
    Relay,
    /// Between the relay and the SIP server.
    Server,
}

macro_rules! problems {
    ($($(#[$about:meta])* $name:ident = $number:literal, $code:literal, $leg:ident;)*) => {
        /// Why something was refused or has ended.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Problem {
            $($(#[$about])* $name,)*
            /// A number that this version does not know.
            Other(u16),
        }

        impl Problem {
            /// Every problem that has a name.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its number in a capsule.
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Other(number) => number,
                }
            }

            /// The problem of that number.
            pub const fn numbered(number: u16) -> Self {
                match number {
                    $($number => Self::$name,)*
                    other => Self::Other(other),
                }
            }

            /// A word for programs.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other(_) => "other",
                }
            }

            /// The leg that failed; for a number that is not known the relay.
            pub const fn leg(self) -> Leg {
                match self {
                    $(Self::$name => Leg::$leg,)*
                    Self::Other(_) => Leg::Relay,
                }
            }
        }
    };
}

problems! {
    /// A capsule that cannot be read, is too long, or makes no sense here.
    Malformed = 1, "malformed", Page;
    /// The relay speaks another version of the protocol.
    Version = 2, "version", Page;
    /// The first capsule did not come in time, or was another.
    Unauthenticated = 3, "unauthenticated", Page;
    /// The token is damaged, forged, or for another relay.
    TokenInvalid = 4, "token_invalid", Page;
    /// The token is over.
    TokenExpired = 5, "token_expired", Page;
    /// There is no such session: its grace time is over, or the relay has started anew.
    SessionUnknown = 6, "session_unknown", Page;
    /// The session goes on on another connection.
    Superseded = 7, "superseded", Page;
    /// What is sent is not acknowledged.
    Unacknowledged = 8, "unacknowledged", Page;
    /// The relay stops.
    Draining = 16, "draining", Relay;
    /// The relay, or the token, has no more of these.
    Limit = 17, "limit", Relay;
    /// Too many requests in a short time.
    Rate = 18, "rate", Relay;
    /// The token, or the relay, does not allow this SIP server.
    ServerForbidden = 19, "server_forbidden", Relay;
    /// The address is one that the relay does not connect to.
    AddressForbidden = 20, "address_forbidden", Relay;
    /// The SIP server has named no such address for media.
    PeerForbidden = 21, "peer_forbidden", Relay;
    /// No media port is free.
    NoPort = 22, "no_port", Relay;
    /// The transport is not carried.
    Unsupported = 23, "unsupported", Relay;
    /// The name could not be looked up.
    Name = 32, "name", Server;
    /// The server did not answer, or refused the connection.
    Unreachable = 33, "unreachable", Server;
    /// The server's certificate was refused, or TLS failed otherwise.
    Untrusted = 34, "untrusted", Server;
    /// The server sends faster than the page reads.
    Overrun = 35, "overrun", Server;
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "what was sent is not the relay's protocol",
            Self::Version => "the relay speaks another version of the protocol",
            Self::Unauthenticated => "no token was shown in time",
            Self::TokenInvalid => "the token is not valid at this relay",
            Self::TokenExpired => "the token has expired",
            Self::SessionUnknown => "the relay does not know the session any more",
            Self::Superseded => "the session goes on on another connection",
            Self::Unacknowledged => "what was sent was not acknowledged",
            Self::Draining => "the relay stops",
            Self::Limit => "there are as many as are allowed",
            Self::Rate => "there were too many requests in a short time",
            Self::ServerForbidden => "the relay does not allow this SIP server",
            Self::AddressForbidden => "the relay does not connect to this address",
            Self::PeerForbidden => "the SIP server has named no such address for media",
            Self::NoPort => "no media port is free",
            Self::Unsupported => "the relay does not carry this transport",
            Self::Name => "the name could not be looked up",
            Self::Unreachable => "the server cannot be reached",
            Self::Untrusted => "the server's certificate was refused",
            Self::Overrun => "the server sends faster than the page reads",
            Self::Other(number) => return write!(f, "problem {number} of a newer relay"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_names_one_problem() {
        for &problem in Problem::ALL {
            assert_eq!(Problem::numbered(problem.number()), problem);
        }
        assert_eq!(Problem::numbered(999), Problem::Other(999));
        let mut codes: Vec<_> = Problem::ALL.iter().map(|problem| problem.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Problem::ALL.len());
    }
}
