//! Certificates and keys in PEM.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use offhook_core::config::{KeyPassword, PhoneParameters};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;

use super::{key, provider, words};
use crate::error::{Error, file_problem};

/// What an end of TLS is made of: whom it trusts, and what it shows of itself. By default it trusts
/// whom the system trusts, shows nothing, and so nobody can connect to it.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The authorities that may sign the certificates of servers, in PEM; those of the system without
    /// it. A certificate that stands here itself is trusted as well.
    pub ca_file: Option<PathBuf>,
    /// Our certificate in PEM, and after it those up to its authority.
    pub cert_file: Option<PathBuf>,
    /// Its private key in PEM; it stands in the file of the certificate without it.
    pub key_file: Option<PathBuf>,
    /// The password of the private key, if that is encrypted.
    pub key_password: Option<KeyPassword>,
    /// The authorities, in PEM, that may sign the certificates of those who connect to us; without it
    /// nobody is asked for one (RFC 5922 §7.4).
    pub client_ca_file: Option<PathBuf>,
    /// Whether any certificate of any server is taken; for tests.
    pub insecure: bool,
}

impl From<&PhoneParameters> for TlsFiles {
    fn from(parameters: &PhoneParameters) -> Self {
        Self {
            ca_file: parameters.ca_file.clone(),
            cert_file: parameters.cert_file.clone(),
            key_file: parameters.key_file.clone(),
            key_password: parameters.key_password.clone(),
            client_ca_file: parameters.client_ca_file.clone(),
            insecure: parameters.tls_insecure,
        }
    }
}

/// A certificate of ours, those up to its authority, and its key.
#[derive(Clone, Debug)]
pub(super) struct Own(pub(super) Arc<CertifiedKey>);

impl Own {
    /// `None` when the files name no certificate.
    pub(super) fn load(files: &TlsFiles) -> Result<Option<Self>, Error> {
        let Some(certificate) = &files.cert_file else { return Ok(None) };
        let key = files.key_file.as_ref().unwrap_or(certificate);
        Self::read(certificate, key, files.key_password.as_ref()).map(Some)
    }

    fn read(certificate: &Path, key: &Path, password: Option<&KeyPassword>) -> Result<Self, Error> {
        let chain = certificates(certificate)?;
        let wrong = |problem: String| Error::TlsFile { path: key.to_owned(), problem };
        let key = key::read(&text(key)?, password).map_err(wrong)?;
        let own = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                wrong(format!("it is not the key of the certificate in {}", certificate.display()))
            }
            rustls::Error::InvalidCertificate(error) => {
                let problem = words::unreadable(&error);
                Error::TlsFile { path: certificate.to_owned(), problem }
            }
            error => wrong(format!("it holds no key that can be used: {error}")),
        })?;
        Ok(Self(Arc::new(own)))
    }
}

/// All certificates of a file; never none.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let wrong = |problem: String| Error::TlsFile { path: path.to_owned(), problem };
    let text = text(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if all.is_empty() => Err(wrong(
            "it holds no certificate (PEM begins with -----BEGIN CERTIFICATE-----)".into(),
        )),
        Ok(all) => Ok(all),
        Err(_) => Err(wrong("a certificate in it is damaged, or not in PEM".into())),
    }
}

/// The authorities of a file.
pub(super) fn authorities(
    path: &Path,
    certificates: &[CertificateDer<'static>],
) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone()).map_err(|error| {
            let problem = match error {
                rustls::Error::InvalidCertificate(error) => words::unreadable(&error),
                error => error.to_string(),
            };
            Error::TlsFile { path: path.to_owned(), problem }
        })?;
    }
    Ok(Arc::new(roots))
}

fn text(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path)
        .map_err(|error| Error::TlsFile { path: path.to_owned(), problem: file_problem(&error) })
}
