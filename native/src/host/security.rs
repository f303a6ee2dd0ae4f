//! Where TLS fits in: whatever makes a private stream of a plain one.

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

/// A private stream, and whom the peer's certificate names, if it has shown one that is trusted.
pub(crate) type Private = (Stream, Option<Identities>);

/// What a handshake comes to.
pub(crate) type Handshake<'a> =
    Pin<Box<dyn Future<Output = Result<Private, ConnectError>> + Send + 'a>>;

/// Makes plain streams private.
pub(crate) trait Security: Send + Sync {
    /// Asks the far end, which was asked for as `name`, to speak in private; over WebSocket its
    /// certificate has to name it by the rules of HTTPS as well.
    fn connect<'a>(&'a self, transport: Transport, stream: Stream, name: &'a str) -> Handshake<'a>;

    /// Answers a peer that does.
    fn accept(&self, stream: Stream) -> Handshake<'_>;
}
