//! Hash algorithms and the digest they make (RFC 7616 §3.4.1 to §3.4.4, RFC 8760 §2).

use core::fmt;

use md5::{Digest, Md5};
use sha2::{Sha256, Sha512_256};

/// A digest algorithm (RFC 8760 §2.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Algorithm {
    /// What a challenge without an algorithm means.
    Md5,
    /// Its session variant.
    Md5Sess,
    /// SHA-256.
    Sha256,
    /// Its session variant.
    Sha256Sess,
    /// SHA-512/256 of FIPS 180-4, which is not a truncated SHA-512.
    Sha512256,
    /// Its session variant.
    Sha512256Sess,
}

impl Algorithm {
    const ALL: [Self; 6] = [
        Self::Md5,
        Self::Md5Sess,
        Self::Sha256,
        Self::Sha256Sess,
        Self::Sha512256,
        Self::Sha512256Sess,
    ];

    /// The name in the header fields: `SHA-512-256-sess`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
            Self::Sha512256 => "SHA-512-256",
            Self::Sha512256Sess => "SHA-512-256-sess",
        }
    }

    /// The algorithm of that name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether the hashed password is bound to the session's first nonces (RFC 7616 §3.4.2).
    pub const fn is_session(self) -> bool {
        matches!(self, Self::Md5Sess | Self::Sha256Sess | Self::Sha512256Sess)
    }

    /// How strong the hash is; both SHA-2 are alike.
    pub(super) const fn strength(self) -> u8 {
        match self {
            Self::Md5 | Self::Md5Sess => 0,
            _ => 1,
        }
    }

    /// The hash of these parts joined by colons, in lower-case hexadecimal digits.
    pub(super) fn hash(self, parts: &[&[u8]]) -> String {
        match self {
            Self::Md5 | Self::Md5Sess => hash::<Md5>(parts),
            Self::Sha256 | Self::Sha256Sess => hash::<Sha256>(parts),
            Self::Sha512256 | Self::Sha512256Sess => hash::<Sha512_256>(parts),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Quality of protection (RFC 7616 §3.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Qop {
    /// Authenticates the method and URI.
    Auth,
    /// Authenticates the body as well.
    AuthInt,
}

impl Qop {
    /// The name in the header fields: `auth-int`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }

    /// The quality of that name, in any case.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Auth, Self::AuthInt].into_iter().find(|qop| qop.as_str().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Qop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// H(A1): what stands for the password (RFC 7616 §3.4.2).
pub(super) fn secret(
    algorithm: Algorithm,
    username: &str,
    realm: &str,
    password: &str,
    (nonce, cnonce): (&str, &str),
) -> String {
    let secret = algorithm.hash(&[username.as_bytes(), realm.as_bytes(), password.as_bytes()]);
    if algorithm.is_session() {
        algorithm.hash(&[secret.as_bytes(), nonce.as_bytes(), cnonce.as_bytes()])
    } else {
        secret
    }
}

/// What a response is computed from, the secret apart.
pub(super) struct Request<'a> {
    pub(super) nonce: &'a str,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) body: &'a [u8],
    /// The quality of protection, the count as it is written, and the client's nonce; `None` for
    /// the form of RFC 2069.
    pub(super) protection: Option<(Qop, &'a str, &'a str)>,
}

/// The response (RFC 7616 §3.4.1; without protection RFC 2617 §3.2.2.1).
pub(super) fn response(algorithm: Algorithm, secret: &str, request: &Request<'_>) -> String {
    let Request { nonce, method, uri, body, protection } = *request;
    // §3.4.3; an empty body hashes as the empty string (RFC 8760 §2.6).
    let a2 = match protection {
        Some((Qop::AuthInt, ..)) => {
            let body = algorithm.hash(&[body]);
            algorithm.hash(&[method.as_bytes(), uri.as_bytes(), body.as_bytes()])
        }
        _ => algorithm.hash(&[method.as_bytes(), uri.as_bytes()]),
    };
    match protection {
        Some((qop, count, cnonce)) => {
            let parts = [secret, nonce, count, cnonce, qop.as_str(), &a2];
            algorithm.hash(&parts.map(str::as_bytes))
        }
        None => algorithm.hash(&[secret, nonce, &a2].map(str::as_bytes)),
    }
}

/// The name as it is sent to a server that wants it hashed (RFC 7616 §3.4.4).
pub(super) fn hashed_username(algorithm: Algorithm, username: &str, realm: &str) -> String {
    algorithm.hash(&[username.as_bytes(), realm.as_bytes()])
}

fn hash<D: Digest>(parts: &[&[u8]]) -> String {
    let mut hash = D::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hexadecimal(&hash.finalize())
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
