//! What a page is to a relay: the core's client with a telephone behind it, over a real WebSocket.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use offhook::core::config::PhoneParameters;
use offhook::core::event::{CallId, CallState};
use offhook::core::host::{Clock, Datagrams, Entropy, Outbound};
use offhook::core::relay::{Capsule, Client, ClientEvent, Relayed};
use offhook::core::softphone::Softphone;
use offhook::core::time::{Instant, WallTime};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Longer than anything takes here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
pub(crate) const RATE: u32 = 8_000;

pub(crate) type Socket = WebSocketStream<TcpStream>;

/// Connects as a page of that origin would; with the sub-protocol unless there is none.
pub(crate) async fn connect(
    url: &str,
    origin: Option<&'static str>,
    protocol: Option<&'static str>,
) -> Result<Socket, Error> {
    let mut request = url.into_client_request()?;
    let fields = [("origin", origin), ("sec-websocket-protocol", protocol)];
    for (name, value) in fields.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let address = url.split('/').nth(2).expect("ws://HOST:PORT/PATH").to_owned();
    let stream = TcpStream::connect(address).await.expect("the relay listens");
    stream.set_nodelay(true).expect("it is TCP");
    Ok(client_async(request, stream).await?.0)
}

pub(crate) const PROTOCOL: Option<&str> = Some("offhook.relay.1");

/// Sends one capsule.
pub(crate) async fn say(socket: &mut Socket, capsule: &Capsule<'_>) {
    socket.send(Message::Binary(capsule.to_bytes().into())).await.expect("the relay reads");
}

/// The next message; none when the relay has closed the connection.
pub(crate) async fn hear(socket: &mut Socket) -> Option<Bytes> {
    loop {
        match timeout(PATIENCE, socket.next()).await.expect("the relay says something")?.ok()? {
            Message::Binary(bytes) => return Some(bytes),
            Message::Close(_) => return None,
            _ => {}
        }
    }
}

/// A page with a telephone.
pub(crate) struct Page {
    pub(crate) relayed: Relayed<Softphone>,
    host: PageHost,
    url: String,
    pub(crate) socket: Option<Socket>,
    pub(crate) events: Vec<ClientEvent>,
    /// What is heard in this call.
    listening: Option<CallId>,
    pub(crate) heard: Vec<i16>,
}

struct PageHost {
    origin: std::time::Instant,
}

impl Clock for PageHost {
    fn now(&self) -> Instant {
        Instant::from_micros(1_000_000 + self.origin.elapsed().as_micros() as u64)
    }

    fn wall(&self) -> WallTime {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        WallTime::from_micros(since.as_micros() as u64)
    }
}

impl Entropy for PageHost {
    fn fill(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system has random bytes");
    }
}

impl Datagrams for PageHost {
    fn send(&mut self, outbound: Outbound<'_>) {
        panic!("a page has no sockets: {outbound:?}");
    }
}

impl Page {
    /// A telephone that is connected and let in.
    pub(crate) async fn open(url: &str, token: &str, parameters: PhoneParameters) -> Self {
        let mut phone = Softphone::new(parameters).unwrap();
        phone.phone_mut().start().unwrap();
        let mut page = Self {
            relayed: Relayed::new(Client::new(token), phone),
            host: PageHost { origin: std::time::Instant::now() },
            url: url.to_owned(),
            socket: None,
            events: Vec::new(),
            listening: None,
            heard: Vec::new(),
        };
        page.reconnect().await;
        page
    }

    /// Connects, and waits until the relay has answered.
    pub(crate) async fn reconnect(&mut self) {
        self.events.clear();
        let socket = connect(&self.url, None, PROTOCOL).await.expect("a WebSocket");
        self.socket = Some(socket);
        let now = self.host.now();
        self.relayed.client_mut().connected(now);
        self.until(|page| !page.events.is_empty()).await;
    }

    /// Loses the connection as a network does: without a word.
    pub(crate) fn lose(&mut self) {
        self.socket = None;
        let now = self.host.now();
        self.relayed.client_mut().disconnected(now);
    }

    pub(crate) fn phone(&mut self) -> &mut Softphone {
        self.relayed.endpoint_mut()
    }

    /// Runs until that holds.
    pub(crate) async fn until(&mut self, mut holds: impl FnMut(&mut Self) -> bool) {
        let work = async {
            loop {
                self.advance().await;
                if holds(self) {
                    return;
                }
                self.wait().await;
            }
        };
        timeout(PATIENCE, work).await.expect("it comes about in time");
    }

    /// Runs for a while.
    pub(crate) async fn pass(&mut self, time: Duration) {
        let end = std::time::Instant::now() + time;
        self.until(|_| std::time::Instant::now() >= end).await;
    }

    async fn advance(&mut self) {
        self.relayed.run(&mut self.host);
        while let Some(event) = self.relayed.client_mut().next_event() {
            self.events.push(event);
        }
        if let Some(media) = self.listening.and_then(|call| self.phone().media_mut(call)) {
            let mut samples = vec![0; media.available(RATE)];
            media.read_audio(RATE, &mut samples);
            self.heard.append(&mut samples);
        }
        let Some(socket) = &mut self.socket else { return };
        while let Some(bytes) = self.relayed.client_mut().next_message() {
            if socket.feed(Message::Binary(bytes)).await.is_err() {
                return self.lose();
            }
        }
        if socket.flush().await.is_err() {
            self.lose();
        }
    }

    /// Waits for the next message or deadline.
    async fn wait(&mut self) {
        const STEP: Duration = Duration::from_millis(20);
        let now = self.host.now();
        let deadline = self.relayed.next_deadline().map(|at| at.since(now).into());
        let most = deadline.unwrap_or(STEP).min(STEP);
        let Some(socket) = &mut self.socket else { return tokio::time::sleep(most).await };
        match timeout(most, socket.next()).await {
            Ok(Some(Ok(Message::Binary(bytes)))) => {
                self.relayed.handle_message(&mut self.host, &bytes);
            }
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => self.lose(),
            Ok(Some(Ok(_))) | Err(_) => {}
        }
    }

    /// Calls, and waits for the answer.
    pub(crate) async fn call(&mut self, target: &str) -> CallId {
        let call = self.phone().phone_mut().call(target, Default::default()).unwrap();
        self.until(|page| page.phone().phone().state(call) == Some(CallState::Answered)).await;
        self.listening = Some(call);
        call
    }
}
