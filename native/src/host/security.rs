//! The interface to TLS: turning a plain stream into an encrypted one.

use std::future::Future;
use std::pin::Pin;

use offhook_core::certificate::Identities;
use offhook_core::host::Transport;
use tokio::io::{AsyncRead, AsyncWrite};

use super::dial::ConnectError;

/// Bytes both ways, in clear or not.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// A stream, whatever carries it.
pub(crate) type Stream = Box<dyn ByteStream>;

/// An encrypted stream, and the identities in the peer's certificate, if it has sent one that is
/// trusted.
pub(crate) type Private = (Stream, Option<Identities>);

/// The result of a handshake.
pub(crate) type Handshake<'a> =
    Pin<Box<dyn Future<Output = Result<Private, ConnectError>> + Send + 'a>>;

/// Encrypts plain streams.
pub(crate) trait Security: Send + Sync {
    /// Performs the handshake as a client, with the server that was asked for as `name`; over
    /// WebSocket its certificate has to name it by the rules of HTTPS as well.
    fn connect<'a>(&'a self, transport: Transport, stream: Stream, name: &'a str) -> Handshake<'a>;

    /// Performs the handshake as a server.
    fn accept(&self, stream: Stream) -> Handshake<'_>;
}
