//! stub
use super::Asker;
use crate::host::Host;

/// A header field with credentials, to be put into a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authorization {
    /// For whom: says the field's name, [`Asker::credentials_field`].
    pub asker: Asker,
    /// The field's value.
    pub value: String,
}

/// What one request has tried so far: kept by its sender beside the request, from the first sending
/// to the final response, through every challenge. A new request starts with the default.
#[derive(Clone, Debug, Default)]
pub struct Rounds {}

/// Why a challenge was not answered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// There are no credentials that may be shown there.
    #[error("there are no credentials for the realm {realm:?}")]
    NoCredentials {
        /// The realm.
        realm: String,
    },
    /// No challenge, or none that is understood.
    #[error("the server asks for credentials in no way that is understood")]
    NoChallenge,
    /// Credentials were sent and refused.
    #[error("the server refuses the credentials for the realm {realm:?}")]
    Rejected {
        /// The realm.
        realm: String,
    },
}

/// Answers challenges: remembers nonces and counts their uses. One may serve a whole phone.
#[derive(Clone, Default, Debug)]
pub struct DigestClient {}

impl DigestClient {
    /// Takes the challenges of a 401 or 407: `fields` are the values of every
    /// [`Asker::challenge_field`], one challenge each. `credentials` says the name and password for
    /// a realm, or `None` where they may not be shown ([`super::RealmPin`]).
    ///
    /// After `Ok` the request goes out once more (RFC 3261 §22.2: the next CSeq number, a new
    /// branch) with what [`authorize`](Self::authorize) gives.
    pub fn handle_challenge<'a>(
        &mut self,
        _rounds: &mut Rounds,
        _asker: Asker,
        _fields: impl IntoIterator<Item = &'a str>,
        _credentials: impl FnMut(&str) -> Option<(String, String)>,
    ) -> Result<(), AuthError> {
        Err(AuthError::NoChallenge)
    }

    /// The credentials to put into a request; nothing before the first challenge.
    pub fn authorize(
        &mut self,
        _host: &mut dyn Host,
        _rounds: &mut Rounds,
        _method: &str,
        _uri: &str,
        _body: &[u8],
    ) -> Vec<Authorization> {
        Vec::new()
    }

    /// Takes the [`Asker::info_field`] of a success (RFC 7616 §3.5: nextnonce).
    pub fn handle_info(&mut self, _asker: Asker, _value: &str) {}
}
