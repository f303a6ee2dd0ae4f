//! Challenges, and who makes them.

use super::algorithm::{Algorithm, Qop};
use super::params::Params;
use crate::sip::HeaderName;

/// Who asks for credentials, and so which header fields carry them (RFC 3261 §22.2, §22.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Asker {
    /// A registrar or user agent server: 401, WWW-Authenticate, Authorization.
    Server,
    /// A proxy: 407, Proxy-Authenticate, Proxy-Authorization.
    Proxy,
}

impl Asker {
    /// Who asks with this status code: 401 or 407.
    pub(crate) const fn of_status(status: u16) -> Option<Self> {
        match status {
            401 => Some(Self::Server),
            407 => Some(Self::Proxy),
            _ => None,
        }
    }

    /// The status code that asks.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Server => 401,
            Self::Proxy => 407,
        }
    }

    /// The header field that challenges: `WWW-Authenticate`.
    pub(crate) const fn challenge_field(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::WwwAuthenticate,
            Self::Proxy => HeaderName::ProxyAuthenticate,
        }
    }

    /// The header field that answers: `Authorization`.
    pub(crate) const fn credentials_field(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::Authorization,
            Self::Proxy => HeaderName::ProxyAuthorization,
        }
    }

    /// The header field of a success that may name the next nonce: `Authentication-Info`.
    pub(crate) const fn info_field(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::AuthenticationInfo,
            Self::Proxy => HeaderName::ProxyAuthenticationInfo,
        }
    }
}

/// One Digest challenge that can be answered (RFC 7616 §3.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Challenge {
    /// The realm, unescaped.
    pub realm: String,
    /// The server's nonce.
    pub nonce: String,
    /// What goes back as it came.
    pub opaque: Option<String>,
    /// The algorithm; [`Algorithm::Md5`] when none is named.
    pub algorithm: Algorithm,
    /// Whether the algorithm is named.
    pub names_algorithm: bool,
    /// The quality of protection to use: `auth` where it is offered, since a body may be rewritten
    /// on its way. `None` for a server of RFC 2069, which offers none.
    pub qop: Option<Qop>,
    /// Whether only the nonce was wrong, and the password right.
    pub stale: bool,
    /// Whether the server wants the name hashed (RFC 7616 §3.4.4).
    pub userhash: bool,
}

impl Challenge {
    /// Reads the challenges of one field, without those that cannot be answered: another scheme (of
    /// which Basic is forbidden, RFC 8760 §2.6), an algorithm or a quality of protection that is not
    /// known, no realm or nonce.
    pub(super) fn parse(value: &str) -> Vec<Self> {
        Params::parse(value).iter().filter_map(Self::of).collect()
    }

    fn of(params: &Params) -> Option<Self> {
        if !params.is_digest() {
            return None;
        }
        let named = params.value("algorithm");
        let algorithm = named.map_or(Some(Algorithm::Md5), Algorithm::from_name)?;
        let offered = params.value("qop").map(str::trim).filter(|qop| !qop.is_empty());
        let qop = match offered {
            None => None,
            Some(offered) => {
                let known = || offered.split(',').filter_map(|name| Qop::from_name(name.trim()));
                Some(known().find(|qop| *qop == Qop::Auth).or_else(|| known().next())?)
            }
        };
        // RFC 3261 §22.4 (8): the session variants need a cnonce, and that needs a qop.
        if algorithm.is_session() && qop.is_none() {
            return None;
        }
        let is_true = |name| params.value(name).is_some_and(|v| v.eq_ignore_ascii_case("true"));
        Some(Self {
            realm: params.value("realm")?.to_owned(),
            nonce: params.value("nonce")?.to_owned(),
            opaque: params.value("opaque").map(str::to_owned),
            algorithm,
            names_algorithm: named.is_some(),
            qop,
            stale: is_true("stale"),
            userhash: is_true("userhash"),
        })
    }
}
