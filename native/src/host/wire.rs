//! The two directions of a connection: bytes as they come, messages as they were sent.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::security::Stream;
use super::websocket;

/// How long a peer may take no byte of what waits for it.
pub(crate) const STALL: Duration = Duration::from_secs(30);

/// After how long without anything to send a WebSocket peer is sent a ping (RFC 7118 §6).
pub(crate) const PING: Duration = Duration::from_secs(30);
/// How long one may then be without any: three times that.
const SILENCE: Duration = Duration::from_secs(90);

/// A connection, ready for messages.
pub(crate) struct Wire {
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
}

/// What comes in.
pub(crate) enum Incoming {
    /// Pieces of a stream.
    Stream(ReadHalf<Stream>, BytesMut),
    /// Whole messages.
    Messages(websocket::Read),
}

/// What goes out.
pub(crate) enum Outgoing {
    /// A stream of messages.
    Stream(WriteHalf<Stream>),
    /// Messages that stay apart.
    Messages(websocket::Write),
}

impl Wire {
    /// Messages one after another, without anything between them.
    pub(crate) fn stream(stream: Stream) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self {
            incoming: Incoming::Stream(read, BytesMut::new()),
            outgoing: Outgoing::Stream(write),
        }
    }

    /// Messages of a WebSocket.
    pub(crate) fn messages(socket: WebSocketStream<Stream>) -> Self {
        let (write, read) = socket.split();
        Self { incoming: Incoming::Messages(read), outgoing: Outgoing::Messages(write) }
    }
}

impl Incoming {
    /// How much is read at once: most messages in one piece.
    const READ: usize = 4096;

    /// The next bytes, or the next message; `None` when there are no more. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Stream(read, buffer) => {
                buffer.reserve(Self::READ);
                let count = read.read_buf(buffer).await.ok()?;
                (count > 0).then(|| buffer.split().freeze())
            }
            Self::Messages(read) => loop {
                match timeout(SILENCE, read.next()).await.ok()??.ok()? {
                    Message::Text(text) => return Some(text.into()),
                    Message::Binary(bytes) => return Some(bytes),
                    Message::Close(_) => return None,
                    _ => {}
                }
            },
        }
    }
}

impl Outgoing {
    /// How many messages are written with one system call at most.
    pub(crate) const BATCH: usize = 32;

    /// Writes all of `messages`; `left` counts each byte that has left.
    ///
    /// # Errors
    /// When the connection is lost, or the peer takes nothing for as long as [`STALL`].
    pub(crate) async fn write(
        &mut self,
        messages: &mut VecDeque<Bytes>,
        mut left: impl FnMut(usize),
    ) -> io::Result<()> {
        match self {
            Self::Stream(write) => {
                while !messages.is_empty() {
                    let mut slices = [IoSlice::new(&[]); Self::BATCH];
                    let count = messages.len().min(Self::BATCH);
                    for (slice, message) in slices.iter_mut().zip(&*messages) {
                        *slice = IoSlice::new(message);
                    }
                    let written = write.write_vectored(slices.get(..count).unwrap_or_default());
                    let written = in_time(written).await?;
                    if written == 0 {
                        return Err(io::ErrorKind::WriteZero.into());
                    }
                    left(written);
                    remove(messages, written);
                }
                in_time(write.flush()).await
            }
            Self::Messages(write) => {
                let mut count = 0;
                while let Some(bytes) = messages.pop_front() {
                    count += bytes.len();
                    // RFC 7118 §5: text where it is UTF-8, as most messages are.
                    let message = match Utf8Bytes::try_from(bytes.clone()) {
                        Ok(text) => Message::Text(text),
                        Err(_) => Message::Binary(bytes),
                    };
                    in_time(lift(write.feed(message))).await?;
                }
                in_time(lift(write.flush())).await?;
                left(count);
                Ok(())
            }
        }
    }

    /// Sends the peer a ping, where that is the host's task.
    pub(crate) async fn ping(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(_) => Ok(()),
            Self::Messages(write) => in_time(lift(write.send(Message::Ping(Bytes::new())))).await,
        }
    }

    /// Says that nothing more comes.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(write) => in_time(write.shutdown()).await,
            Self::Messages(write) => in_time(lift(write.close())).await,
        }
    }
}

/// Takes the first `count` bytes away.
fn remove(messages: &mut VecDeque<Bytes>, mut count: usize) {
    while let Some(first) = messages.front_mut() {
        if count < first.len() {
            first.advance(count);
            return;
        }
        count -= first.len();
        messages.pop_front();
    }
}

async fn lift<T>(work: impl Future<Output = Result<T, Error>>) -> io::Result<T> {
    work.await.map_err(io::Error::other)
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(STALL, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
