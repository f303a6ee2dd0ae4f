//! stub
use super::{Algorithm, Asker};
use crate::host::Host;

/// A request whose credentials are right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// The name, as it was looked up.
    pub username: String,
}

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No credentials for our realm: challenge.
    #[error("no credentials")]
    Missing,
    /// Credentials that cannot be read, or for another request: 400.
    #[error("malformed credentials")]
    Malformed,
    /// Right, but with a nonce that is too old or used: challenge with stale=true.
    #[error("the nonce is stale")]
    Stale,
    /// The name or the password is wrong: challenge again, or 403.
    #[error("wrong name or password")]
    Wrong,
}

/// Challenges requests and checks their credentials.
#[derive(Debug)]
pub struct DigestServer {}

impl DigestServer {
    /// A server for one realm that offers these algorithms, strongest first.
    pub fn new(
        _host: &mut dyn Host,
        _asker: Asker,
        _realm: &str,
        _algorithms: &[Algorithm],
    ) -> Self {
        Self {}
    }

    /// The values of the [`Asker::challenge_field`]s to send, one each algorithm (RFC 8760 §2.4).
    pub fn challenges(&mut self, _host: &mut dyn Host, _stale: bool) -> Vec<String> {
        Vec::new()
    }

    /// Checks a request: `fields` are the values of every [`Asker::credentials_field`], `password`
    /// finds the password of a name.
    pub fn verify<'a>(
        &mut self,
        _host: &mut dyn Host,
        _fields: impl IntoIterator<Item = &'a str>,
        _method: &str,
        _uri: &str,
        _body: &[u8],
        _password: impl FnMut(&str) -> Option<String>,
    ) -> Result<Verified, Refusal> {
        Err(Refusal::Missing)
    }
}
