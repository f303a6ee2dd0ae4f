//! Whom a certificate names (RFC 5922).

use core::net::IpAddr;

/// The identities in a certificate (RFC 5922 §7.1), as the host has read them from one that it
/// trusts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Identities {
    /// The URIs of subjectAltName.
    pub uris: Vec<String>,
    /// Its DNS names.
    pub dns_names: Vec<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The common name of the subject, which counts only where subjectAltName names nobody.
    pub common_name: Option<String>,
}
