//! stub
/// Who asks for credentials, and so which header fields carry them (RFC 3261 §22.2, §22.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Asker {
    /// A registrar or user agent server: 401, WWW-Authenticate, Authorization.
    Server,
    /// A proxy: 407, Proxy-Authenticate, Proxy-Authorization.
    Proxy,
}

impl Asker {
    /// Who asks with this status code: 401 or 407.
    pub const fn of_status(status: u16) -> Option<Self> {
        match status {
            401 => Some(Self::Server),
            407 => Some(Self::Proxy),
            _ => None,
        }
    }

    /// The status code that asks.
    pub const fn status(self) -> u16 {
        match self {
            Self::Server => 401,
            Self::Proxy => 407,
        }
    }

    /// The header field that challenges: `WWW-Authenticate`.
    pub const fn challenge_field(self) -> &'static str {
        match self {
            Self::Server => "WWW-Authenticate",
            Self::Proxy => "Proxy-Authenticate",
        }
    }

    /// The header field that answers: `Authorization`.
    pub const fn credentials_field(self) -> &'static str {
        match self {
            Self::Server => "Authorization",
            Self::Proxy => "Proxy-Authorization",
        }
    }

    /// The header field of a success that may name the next nonce: `Authentication-Info`.
    pub const fn info_field(self) -> &'static str {
        match self {
            Self::Server => "Authentication-Info",
            Self::Proxy => "Proxy-Authentication-Info",
        }
    }
}

/// A digest algorithm (RFC 8760 §2.1), from the weakest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    /// RFC 2617; what a challenge without an algorithm means.
    Md5,
    /// The session variant.
    Md5Sess,
    /// SHA-256 (RFC 8760).
    Sha256,
    /// The session variant.
    Sha256Sess,
    /// SHA-512/256 (RFC 8760), not a truncated SHA-512.
    Sha512256,
    /// The session variant.
    Sha512256Sess,
}

/// Quality of protection (RFC 7616 §3.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Qop {
    /// Authenticates the method and URI.
    Auth,
    /// Authenticates the body as well.
    AuthInt,
}

/// One Digest challenge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    /// The realm, unescaped.
    pub realm: String,
}

/// Why a challenge cannot be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// Not the Digest scheme.
    #[error("the challenge is of a scheme other than Digest")]
    Scheme,
}
