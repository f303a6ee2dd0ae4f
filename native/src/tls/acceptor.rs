//! TLS from the side that is connected to.

use std::path::Path;
use std::sync::Arc;

use offhook_core::certificate::Identities;
use rustls::ServerConfig;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::files::{self, Own};
use super::identities::identities;
use super::{provider, words};
use crate::error::Error;
use crate::host::dial::ConnectError;

/// Answers clients.
#[derive(Clone)]
pub(super) struct Acceptor(TlsAcceptor);

impl Acceptor {
    /// Shows our certificate, and wants one that an authority in `clients` has signed, if there is
    /// such a file (RFC 5922 §7.4).
    pub(super) fn new(own: &Own, clients: Option<&Path>) -> Result<Self, Error> {
        let verifier: Arc<dyn ClientCertVerifier> = match clients {
            None => Arc::new(NoClientAuth),
            Some(path) => {
                let roots = files::authorities(path, &files::certificates(path)?)?;
                let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
                builder.build().map_err(|error| Error::TlsFile {
                    path: path.to_owned(),
                    problem: error.to_string(),
                })?
            }
        };
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need")
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&own.0))));
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Performs the handshake with a client; returns the identities in its certificate, if it was
    /// asked for one.
    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> Result<(TlsStream<S>, Option<Identities>), ConnectError> {
        let stream = self.0.accept(stream).await.map_err(words::of_client)?;
        let (_, session) = stream.get_ref();
        let presented = session.peer_certificates().and_then(<[_]>::first);
        let named = presented.and_then(identities);
        Ok((stream, named))
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}
