//! SIP over WebSocket (RFC 7118): how both ends begin (RFC 6455 §4), and what they hold each other to.

use futures_util::stream::{SplitSink, SplitStream};
use offhook_core::host::Transport;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::{
    HeaderMap, HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL,
};
use tokio_tungstenite::tungstenite::http::{self, StatusCode};
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config, client_async_with_config};

use super::dial::ConnectError;
use super::security::Stream;

/// What is read of a connection.
pub(crate) type Read = SplitStream<WebSocketStream<Stream>>;
/// What is written to it.
pub(crate) type Write = SplitSink<WebSocketStream<Stream>, Message>;

/// The sub-protocol (RFC 7118 §4).
const SIP: &str = "sip";
/// The longest message.
const LARGEST: usize = 64 * 1024;
/// How much is read or written at once; most messages fit.
const BUFFER: usize = 8 * 1024;

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(LARGEST))
        .max_frame_size(Some(LARGEST))
}

/// Asks the server at the far end for `path`.
pub(crate) async fn connect(
    transport: Transport,
    stream: Stream,
    name: &str,
    port: u16,
    path: &str,
) -> Result<WebSocketStream<Stream>, ConnectError> {
    let host = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    let port = match port {
        port if port == transport.default_port() => String::new(),
        port => format!(":{port}"),
    };
    let scheme = if transport.is_secure() { "wss" } else { "ws" };
    let mut request = format!("{scheme}://{host}{port}{path}").into_client_request()?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SIP));
    let (socket, _) = client_async_with_config(request, stream, Some(config())).await?;
    Ok(socket)
}

/// What a server is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The path of the URL; whichever without one.
    pub(crate) path: Option<&'static str>,
    /// The sub-protocol.
    pub(crate) protocol: &'static str,
}

/// Answers a client that speaks SIP.
pub(crate) async fn accept(
    stream: Stream,
    origins: &[String],
) -> Result<WebSocketStream<Stream>, ConnectError> {
    accept_at(stream, Place { path: None, protocol: SIP }, origins).await
}

/// Answers a client. Browsers say which page a connection is for (Origin), and any page may open one
/// to us; only those in `origins` are let in, or all when that has `*`.
pub(crate) async fn accept_at(
    stream: Stream,
    place: Place,
    origins: &[String],
) -> Result<WebSocketStream<Stream>, ConnectError> {
    #[allow(clippy::result_large_err, reason = "the library wants it so")]
    let check = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        let elsewhere = place.path.is_some_and(|path| request.uri().path() != path);
        let refusal = match elsewhere {
            true => Some(StatusCode::NOT_FOUND),
            false => refusal(request.headers(), place.protocol, origins),
        };
        match refusal {
            Some(status) => Err(answer(status)),
            None => {
                let protocol = HeaderValue::from_static(place.protocol);
                response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
                Ok(response)
            }
        }
    };
    Ok(accept_hdr_async_with_config(stream, check, Some(config())).await?)
}

/// Why a client is turned away, if it is.
fn refusal(headers: &HeaderMap, protocol: &str, origins: &[String]) -> Option<StatusCode> {
    let texts = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    let allowed = |origin: &str| {
        origins.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(origin))
    };
    if !texts(ORIGIN).all(allowed) {
        return Some(StatusCode::FORBIDDEN);
    }
    let mut offered = texts(SEC_WEBSOCKET_PROTOCOL).flat_map(|list| list.split(','));
    // RFC 7118 §5: without the sub-protocol nobody would know what is spoken.
    (!offered.any(|offer| offer.trim().eq_ignore_ascii_case(protocol)))
        .then_some(StatusCode::BAD_REQUEST)
}

fn answer(status: StatusCode) -> ErrorResponse {
    let mut response = http::Response::new(None);
    *response.status_mut() = status;
    response
}

impl From<Error> for ConnectError {
    fn from(error: Error) -> Self {
        Self::Unreachable(match error {
            Error::Io(error) => return error.into(),
            Error::Http(response) => {
                let status = response.status();
                format!("it answered HTTP {} (are the port and the path right?)", status.as_u16())
            }
            Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => {
                "it speaks WebSocket, but not SIP over it".into()
            }
            Error::Protocol(ProtocolError::HandshakeIncomplete) | Error::ConnectionClosed => {
                "it closed the connection at once".into()
            }
            Error::Url(_) | Error::HttpFormat(_) => {
                "its name, or the path, is no part of a URL".into()
            }
            _ => "it does not speak WebSocket (is the port right?)".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_to_be_allowed_and_the_sub_protocol_asked_for() {
        let refused = |fields: &[(&'static str, &'static str)], origins: &[&str]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            let origins: Vec<_> = origins.iter().map(|origin| (*origin).to_owned()).collect();
            refusal(&headers, SIP, &origins).map(|status| status.as_u16())
        };
        let (sip, page) =
            (("sec-websocket-protocol", "xmpp, sip"), ("origin", "https://phone.example"));
        assert_eq!(refused(&[sip], &[]), None);
        assert_eq!(refused(&[], &[]), Some(400));
        assert_eq!(refused(&[("sec-websocket-protocol", "sips")], &[]), Some(400));
        assert_eq!(refused(&[sip, page], &[]), Some(403));
        assert_eq!(refused(&[sip, page], &["https://other.example"]), Some(403));
        assert_eq!(refused(&[sip, page], &["https://Phone.example"]), None);
        assert_eq!(refused(&[sip, page], &["*"]), None);
        assert_eq!(
            refused(&[sip, page, ("origin", "null")], &["https://phone.example"]),
            Some(403)
        );
    }
}
