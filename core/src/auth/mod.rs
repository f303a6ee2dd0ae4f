//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760).

/// Names and passwords, by server, realm and user (the seed's CredentialsManager).
#[derive(Clone, Debug, Default)]
pub struct CredentialsManager {}

impl CredentialsManager {
    /// Adds a name and password; `None` matches anything.
    pub fn add(
        &mut self,
        _username: &str,
        _password: &str,
        _server: Option<&str>,
        _realm: Option<&str>,
        _user: Option<&str>,
    ) {
    }
}
