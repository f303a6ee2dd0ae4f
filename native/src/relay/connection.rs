//! The connection of a client: messages of WebSocket.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream as _, StreamExt};
use offhook_core::relay::{Capsule, Problem, Session};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::host::connection::Reservation;
use crate::host::security::Stream;

/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// One connection, and its place in the count of them.
pub(super) struct Connection {
    socket: WebSocketStream<Stream>,
    _reservation: Reservation,
}

impl Connection {
    pub(super) fn new(socket: WebSocketStream<Stream>, reservation: Reservation) -> Self {
        Self { socket, _reservation: reservation }
    }

    /// The next message; `None` when there are no more.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(message) = bytes(self.socket.next().await?.ok()?)? {
                return Some(message);
            }
        }
    }

    /// Sends what the session has to say, as far as the connection takes it, and waits for the next message; `None`
    /// when there are no more. What is not taken stays with the session, which knows what can be lost.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        session: &mut Session,
    ) -> Poll<Option<Bytes>> {
        let mut socket = Pin::new(&mut self.socket);
        loop {
            match socket.as_mut().poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Pending => break,
            }
            let Some(message) = session.next_message() else { break };
            if socket.as_mut().start_send(Message::Binary(message)).is_err() {
                return Poll::Ready(None);
            }
        }
        if let Poll::Ready(Err(_)) = socket.as_mut().poll_flush(cx) {
            return Poll::Ready(None);
        }
        loop {
            match socket.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => match bytes(message) {
                    Some(Some(message)) => return Poll::Ready(Some(message)),
                    Some(None) => {}
                    None => return Poll::Ready(None),
                },
                Poll::Ready(_) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Says the last words and closes it, apart from the session. What is returned ends with that.
    pub(super) fn leave(mut self, words: Vec<Bytes>) -> JoinHandle<()> {
        tokio::spawn(async move {
            let farewell = async {
                for message in words {
                    self.socket.feed(Message::Binary(message)).await.ok()?;
                }
                self.socket.close(None).await.ok()?;
                // What the client says meanwhile is not looked at, but unread it would reset the connection.
                while self.socket.next().await.is_some_and(|message| message.is_ok()) {}
                Some(())
            };
            let _ = timeout(FAREWELL, farewell).await;
        })
    }

    /// The same with the reason alone.
    pub(super) fn deny(self, problem: Problem) {
        let text = &problem.to_string();
        self.leave(vec![Capsule::Denied { problem, text }.to_bytes().into()]);
    }
}

/// The bytes of a message, if it has any; `None` at the end. A text is no capsule, whatever its bytes.
fn bytes(message: Message) -> Option<Option<Bytes>> {
    match message {
        Message::Binary(bytes) => Some(Some(bytes)),
        Message::Text(_) => Some(Some(Bytes::new())),
        Message::Close(_) => None,
        _ => Some(None),
    }
}
