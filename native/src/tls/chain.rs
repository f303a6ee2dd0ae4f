//! Which servers' certificates are trusted.
//!
//! A verifier of rustls follows the rules of HTTPS: the chain, and then the name. SIP has names of its
//! own (RFC 5922 §7.1: a SIP URI, no wildcards), which the core compares. So what such a verifier says
//! of the name, last of all, is overruled here, and nothing else is: a certificate that expired, is
//! not valid yet, has no trusted authority, is signed wrongly, was revoked or is not for servers stays
//! refused.

use std::sync::Arc;

use offhook_core::certificate::Identities;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;

use super::identities::identities;
use super::provider;

/// By whose rules a certificate has to name its owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Names {
    /// Those of SIP, which the core knows.
    Sip,
    /// Those of HTTPS (RFC 2818 §3.1), and then those of SIP.
    Https,
}

/// Verifies certificates by the configured trust.
#[derive(Debug)]
pub(super) struct Chain {
    trusted: Trusted,
    names: Names,
}

#[derive(Debug)]
enum Trusted {
    /// Any certificate whose key the peer has: self-signed ones too.
    Anybody,
    /// Certificates signed by these authorities.
    Signed {
        authorities: Arc<dyn ServerCertVerifier>,
        /// Certificates that are trusted themselves, because the user has named them.
        known: Vec<CertificateDer<'static>>,
        /// Whether the authorities look at the name last, so that a wrong name means that all else is
        /// right.
        name_is_last: bool,
    },
}

impl Chain {
    /// Trusts these authorities, and what they have signed.
    pub(super) fn of(
        roots: Arc<RootCertStore>,
        known: Vec<CertificateDer<'static>>,
        names: Names,
    ) -> Result<Self, String> {
        let authorities = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
        let authorities = authorities.map_err(|error| error.to_string())?;
        let trusted = Trusted::Signed { authorities, known, name_is_last: true };
        Ok(Self { trusted, names })
    }

    /// Trusts the system's authorities.
    pub(super) fn of_the_platform(names: Names) -> Result<Self, String> {
        let authorities = rustls_platform_verifier::Verifier::new(provider())
            .map_err(|_| "this system has no trusted authorities (give --ca-file)".to_owned())?;
        // Where the system has a verifier of its own, nobody knows what it looks at first: there a
        // certificate has to name its owner by the rules of HTTPS too.
        let name_is_last = !cfg!(any(windows, target_vendor = "apple", target_os = "android"));
        let (authorities, known) = (Arc::new(authorities), Vec::new());
        Ok(Self { trusted: Trusted::Signed { authorities, known, name_is_last }, names })
    }

    /// Trusts anybody, whatever the name.
    pub(super) fn of_anybody() -> Self {
        Self { trusted: Trusted::Anybody, names: Names::Sip }
    }
}

impl ServerCertVerifier for Chain {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Trusted::Signed { authorities, known, name_is_last } = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        // One that says that it may sign others is taken for an authority by rustls, and for no server;
        // but it is what `openssl req -x509` makes, and the user has named this very one.
        if known.contains(certificate) {
            check_time(certificate, now)?;
            if self.names == Names::Https {
                let parsed = ParsedCertificate::try_from(certificate)?;
                verify_server_name(&parsed, name)
                    .map_err(|error| naming(error, certificate, name))?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        use CertificateError::{NotValidForName, NotValidForNameContext};
        match authorities.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
                if self.names == Names::Sip && *name_is_last =>
            {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified.map_err(|error| naming(error, certificate, name)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, &known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, &known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// The same error; that of the name with those that HTTPS looks at, as people write them (RFC 2818 §3.1).
fn naming(error: Error, certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Error {
    use CertificateError::{NotValidForName, NotValidForNameContext};
    let Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) = error else {
        return error;
    };
    let Identities { dns_names, addresses, .. } = identities(certificate).unwrap_or_default();
    let addresses = addresses.iter().map(ToString::to_string);
    let presented = dns_names.into_iter().chain(addresses).collect();
    NotValidForNameContext { expected: name.to_owned(), presented }.into()
}

/// Whether a certificate is valid now (RFC 5280 §4.1.2.5).
fn check_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let parsed = CertificateInner::<Raw>::from_der(certificate);
    let parsed = parsed.map_err(|_| CertificateError::BadEncoding)?;
    let validity = parsed.tbs_certificate().validity();
    let not_before = UnixTime::since_unix_epoch(validity.not_before.to_unix_duration());
    let not_after = UnixTime::since_unix_epoch(validity.not_after.to_unix_duration());
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    Ok(())
}
