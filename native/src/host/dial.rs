//! Connections that we open, and how opening them fails.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use offhook_core::certificate::Identities;
use offhook_core::host::{FlowFailure, Transport};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::security::{Security, Stream};
use super::websocket;
use super::wire::Wire;
use crate::error::io_problem;

/// How long an address may take to answer.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the handshakes within a connection may take. With [`CONNECT`] it is less than the ten
/// seconds that the core waits.
const HANDSHAKE: Duration = Duration::from_secs(4);

/// Why there is no connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ConnectError {
    /// See [`FlowFailure::Unreachable`].
    Unreachable(String),
    /// See [`FlowFailure::Untrusted`].
    Untrusted(String),
    /// See [`FlowFailure::Unsupported`].
    Unsupported,
}

impl ConnectError {
    pub(crate) fn as_failure(&self) -> FlowFailure<'_> {
        match self {
            Self::Unreachable(why) => FlowFailure::Unreachable(why),
            Self::Untrusted(why) => FlowFailure::Untrusted(why),
            Self::Unsupported => FlowFailure::Unsupported,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable(why) | Self::Untrusted(why) => why,
            Self::Unsupported => "that is not spoken here",
        })
    }
}

impl From<io::Error> for ConnectError {
    /// In words that end a sentence.
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        Self::Unreachable(match error.kind() {
            Kind::ConnectionRefused => "connection refused".into(),
            Kind::HostUnreachable => "no route to host".into(),
            Kind::NetworkUnreachable => "no route to its network".into(),
            Kind::TimedOut => "it did not answer".into(),
            Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::UnexpectedEof => "it closed the connection at once".into(),
            Kind::AddrNotAvailable => "no address of ours leads there".into(),
            _ => io_problem(&error),
        })
    }
}

/// How to open connections.
pub(crate) struct Dialer {
    pub(crate) security: Option<Arc<dyn Security>>,
    /// The path of the WebSocket server's URL.
    pub(crate) path: String,
}

/// A connection that was opened.
pub(crate) struct Dialled {
    pub(crate) wire: Wire,
    pub(crate) local: SocketAddr,
    pub(crate) certificate: Option<Identities>,
}

impl Dialer {
    /// Opens a connection from `ours` (any port) to `to`, which was asked for as `name`.
    pub(crate) async fn dial(
        &self,
        transport: Transport,
        ours: IpAddr,
        to: SocketAddr,
        name: &str,
    ) -> Result<Dialled, ConnectError> {
        let stream = in_time(CONNECT, connect(ours, to)).await?;
        let local = stream.local_addr()?;
        let handshake = self.shake_hands(transport, Box::new(stream), name, to.port());
        let (wire, certificate) = in_time(HANDSHAKE, handshake).await?;
        Ok(Dialled { wire, local, certificate })
    }

    /// What comes before the first message.
    async fn shake_hands(
        &self,
        transport: Transport,
        stream: Stream,
        name: &str,
        port: u16,
    ) -> Result<(Wire, Option<Identities>), ConnectError> {
        let (stream, certificate) = match &self.security {
            _ if !transport.is_secure() => (stream, None),
            Some(security) => security.connect(transport, stream, name).await?,
            None => return Err(ConnectError::Unsupported),
        };
        let wire = match transport {
            Transport::Tcp | Transport::Tls => Wire::stream(stream),
            Transport::Ws | Transport::Wss => {
                let socket = websocket::connect(transport, stream, name, port, &self.path).await?;
                Wire::messages(socket)
            }
            _ => return Err(ConnectError::Unsupported),
        };
        Ok((wire, certificate))
    }
}

async fn connect(ours: IpAddr, to: SocketAddr) -> Result<TcpStream, ConnectError> {
    let socket = match to {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if !ours.is_unspecified() {
        socket.bind(SocketAddr::new(ours, 0))?;
    }
    let stream = socket.connect(to).await?;
    // A message is written at once, and the next may be long in coming.
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn in_time<T>(
    time: Duration,
    work: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    match timeout(time, work).await {
        Ok(result) => result,
        Err(_) => {
            let why = format!("it did not answer within {} s", time.as_secs());
            Err(ConnectError::Unreachable(why))
        }
    }
}
