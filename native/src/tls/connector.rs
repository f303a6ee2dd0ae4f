//! TLS from the side that connects.

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use offhook_core::certificate::Identities;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ProtocolVersion, SignatureScheme};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::chain::{Chain, Names};
use super::files::{self, Own};
use super::identities::identities;
use super::{provider, words};
use crate::error::Error;
use crate::host::dial::ConnectError;

/// Connects to servers.
#[derive(Debug)]
pub(super) struct Connector {
    own: Option<Own>,
    sip: Trust,
    https: Trust,
}

/// Whom to trust. Sessions are resumed among connections that trust alike.
#[derive(Debug)]
enum Trust {
    /// Anybody, or the authorities that were named.
    Named(Arc<ClientConfig>),
    /// Whom the system trusts: many, and read when they are needed first.
    Platform(Names, OnceLock<Result<Arc<ClientConfig>, String>>),
}

impl Connector {
    /// How long a server that has asked for a certificate is waited for: in TLS 1.3 it refuses ours only
    /// when the handshake is over for us (RFC 8446 §4.4.2.4), one round trip later, and without this wait
    /// the refusal would look like a connection that was lost under the first request. A server that
    /// accepts it sends a ticket in the same round trip and is waited for no longer; one that sends no
    /// tickets costs this once a connection. It is SIP's estimate of a round trip, T1 (RFC 3261 §17.1.1.1).
    const ACCEPTANCE_WAIT: Duration = Duration::from_millis(500);

    /// Trusts the authorities given, or, if there are none, those of the system.
    pub(super) fn new(
        own: Option<Own>,
        authorities: Option<Vec<CertificateDer<'static>>>,
        path: Option<&Path>,
    ) -> Result<Self, Error> {
        let (Some(known), Some(path)) = (authorities, path) else {
            let platform = |names| Trust::Platform(names, OnceLock::new());
            return Ok(Self { own, sip: platform(Names::Sip), https: platform(Names::Https) });
        };
        let roots = files::authorities(path, &known)?;
        let trust = |names| match Chain::of(Arc::clone(&roots), known.clone(), names) {
            Ok(chain) => Ok(Trust::Named(config(Arc::new(chain)))),
            Err(problem) => Err(Error::TlsFile { path: path.to_owned(), problem }),
        };
        let (sip, https) = (trust(Names::Sip)?, trust(Names::Https)?);
        Ok(Self { own, sip, https })
    }

    /// Trusts anybody.
    pub(super) fn insecure(own: Option<Own>) -> Self {
        let trust = || Trust::Named(config(Arc::new(Chain::of_anybody())));
        Self { own, sip: trust(), https: trust() }
    }

    /// Shakes hands with a server that was asked for as `name`.
    pub(super) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        name: &str,
        names: Names,
    ) -> Result<(TlsStream<S>, Identities), ConnectError> {
        let trust = match names {
            Names::Sip => &self.sip,
            Names::Https => &self.https,
        };
        let mut config = ClientConfig::clone(trust.config().map_err(ConnectError::Untrusted)?);
        let ours = Arc::new(Ours { own: self.own.clone(), asked: AtomicBool::new(false) });
        config.client_auth_cert_resolver = Arc::clone(&ours) as _;
        let server = server_name(name).ok_or_else(|| {
            ConnectError::Untrusted(format!("{name} is no name that a certificate can have"))
        })?;
        let connected = TlsConnector::from(Arc::new(config)).connect(server, stream).await;
        let explain = |error: io::Error| words::of_server(error, name, ours.presented());
        let mut stream = connected.map_err(explain)?;
        if ours.presented().is_some() {
            await_acceptance(&mut stream).await.map_err(explain)?;
        }
        let (_, session) = stream.get_ref();
        let presented = session.peer_certificates().and_then(<[_]>::first);
        let named = presented.and_then(identities).unwrap_or_default();
        Ok((stream, named))
    }
}

impl Trust {
    fn config(&self) -> Result<&Arc<ClientConfig>, String> {
        match self {
            Self::Named(config) => Ok(config),
            Self::Platform(names, once) => {
                let load = || Chain::of_the_platform(*names).map(|chain| config(Arc::new(chain)));
                once.get_or_init(load).as_ref().map_err(String::clone)
            }
        }
    }
}

/// TLS 1.2 and 1.3; sessions are resumed; no ALPN, for SIP has no name there.
fn config(verifier: Arc<dyn ServerCertVerifier>) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need");
    let verified = builder.dangerous().with_custom_certificate_verifier(verifier);
    Arc::new(verified.with_no_client_auth())
}

/// The server's name; a domain is also sent as SNI (RFC 6066 §3), an address is not.
fn server_name(name: &str) -> Option<ServerName<'static>> {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    ServerName::try_from(bare.to_owned()).ok()
}

/// Our certificate, for a server that asks for one, and whether it has asked.
#[derive(Debug)]
struct Ours {
    own: Option<Own>,
    asked: AtomicBool,
}

impl Ours {
    /// Whether there was something to show; `None` when the server has not asked.
    fn presented(&self) -> Option<bool> {
        self.asked.load(Ordering::Relaxed).then_some(self.own.is_some())
    }
}

impl ResolvesClientCert for Ours {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.own.as_ref().map(|Own(key)| Arc::clone(key))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Waits until a server has accepted or refused our certificate, or its absence: it goes on with a
/// ticket for the next session, if it has one to give, and closes the connection if not.
async fn await_acceptance<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut TlsStream<S>,
) -> io::Result<()> {
    if stream.get_ref().1.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return Ok(());
    }
    let heard = poll_fn(|cx| {
        let came = Pin::new(&mut *stream).poll_fill_buf(cx).map_ok(|bytes| !bytes.is_empty());
        match came {
            Poll::Ready(Ok(true)) => Poll::Ready(Ok(())),
            Poll::Ready(Ok(false)) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending if stream.get_ref().1.tls13_tickets_received() > 0 => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    });
    timeout(Connector::ACCEPTANCE_WAIT, heard).await.unwrap_or(Ok(()))
}
