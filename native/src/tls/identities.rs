//! Whom a certificate names.

use std::net::IpAddr;

use offhook_core::certificate::Identities;
use rustls::pki_types::CertificateDer;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Reads the identities of a certificate whose chain is trusted (RFC 5922 §7.1); `None` when it
/// cannot be read.
pub(super) fn identities(certificate: &CertificateDer<'_>) -> Option<Identities> {
    let certificate = CertificateInner::<Raw>::from_der(certificate).ok()?;
    let certificate = certificate.tbs_certificate();
    let mut identities = Identities::default();
    let Some((_, SubjectAltName(names))) = certificate.get_extension().ok()? else {
        let name = certificate.subject().common_name().ok().flatten();
        identities.common_name = name.map(|name| name.value().into_owned());
        return Some(identities);
    };
    for name in names {
        match name {
            GeneralName::UniformResourceIdentifier(uri) => identities.uris.push(uri.to_string()),
            GeneralName::DnsName(name) => identities.dns_names.push(name.to_string()),
            GeneralName::IpAddress(address) => identities.addresses.extend(ip(address.as_bytes())),
            _ => {}
        }
    }
    Some(identities)
}

fn ip(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}
