//! A peer that says what a test wants it to say.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::borrow::Cow;
use std::collections::VecDeque;

use crate::host::{Endpoint, Flow, Host, Inbound, Outbound, RequestId, Transport};
use crate::map::Map;
use crate::stream::{Frame, Framer};
use crate::time::Instant;

/// How many messages a peer keeps; older ones are forgotten.
const MAX_RECEIVED: usize = 100_000;

/// An endpoint without any behaviour of its own: it sends the text it is given, keeps what comes,
/// and answers as a closure tells it.
#[derive(Default)]
pub struct ScriptedPeer {
    /// The flow to each address that was sent something, once it is open. UDP has one for all.
    ways: Map<(Transport, SocketAddr), Option<Flow>>,
    asked: Map<RequestId, (Transport, SocketAddr)>,
    /// The connections, those of others included.
    framers: Map<Flow, Framer>,
    outbox: VecDeque<(Way, Vec<u8>)>,
    received: Vec<Arrival>,
    pings: usize,
    reaction: Option<Box<Reaction>>,
}

/// How a message leaves.
#[derive(Clone, Copy, Debug)]
enum Way {
    To(Transport, SocketAddr),
    On(Flow, SocketAddr),
}

/// The address under which the one UDP flow is kept.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

type Reaction = dyn FnMut(&mut ScriptedPeer, &Arrival);

/// A message that came to a [`ScriptedPeer`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// When, on the peer's clock.
    pub at: Instant,
    /// On which flow.
    pub flow: Flow,
    /// From where.
    pub from: SocketAddr,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl ScriptedPeer {
    /// A silent peer.
    pub fn new() -> Self {
        Self::default()
    }

    /// A peer that calls `reaction` with each message that comes; it may [`send`](Self::send) or
    /// [`reply`](Self::reply).
    pub fn reacting(reaction: impl FnMut(&mut Self, &Arrival) + 'static) -> Self {
        Self { reaction: Some(Box::new(reaction)), ..Self::default() }
    }

    /// Sends a message in the next step. A text whose lines end in LF alone gets CRLF, so that a
    /// test can be written as a plain multi-line literal.
    pub fn send(&mut self, to: SocketAddr, text: &str) {
        self.send_by(Transport::Udp, to, text);
    }

    /// The same by another transport: on the connection to that address that it has opened, or else
    /// on a new one.
    pub fn send_by(&mut self, transport: Transport, to: SocketAddr, text: &str) {
        self.outbox.push_back((Way::To(transport, to), lines(text)));
    }

    /// The same on a flow on which something came from that address.
    pub fn send_on(&mut self, flow: Flow, to: SocketAddr, text: &str) {
        self.outbox.push_back((Way::On(flow, to), lines(text)));
    }

    /// Sends bytes as they are in the next step.
    pub fn send_bytes(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.send_bytes_by(Transport::Udp, to, bytes);
    }

    /// The same by another transport, as [`send_by`](Self::send_by).
    pub fn send_bytes_by(&mut self, transport: Transport, to: SocketAddr, bytes: Vec<u8>) {
        self.outbox.push_back((Way::To(transport, to), bytes));
    }

    /// Answers a request, as RFC 3261 §8.2.6 says, with `status` (`180 Ringing`), a tag in To if
    /// there is none, further header lines (each ended by a line feed) and perhaps an empty line
    /// and a body.
    pub fn reply(&mut self, request: &Arrival, status: &str, more: &str) {
        let text = request.text();
        let mut reply = format!("SIP/2.0 {status}\r\n");
        for line in text.lines().skip(1).take_while(|line| !line.is_empty()) {
            let name = line.split(':').next().unwrap_or("").trim().to_ascii_lowercase();
            match name.as_str() {
                "to" | "t" if !line.to_ascii_lowercase().contains(";tag=") => {
                    let tag = if status.starts_with("100") { "" } else { ";tag=scripted" };
                    reply += &format!("{line}{tag}\r\n");
                }
                "via" | "v" | "from" | "f" | "to" | "t" | "call-id" | "i" | "cseq"
                | "record-route" => reply += &format!("{line}\r\n"),
                _ => {}
            }
        }
        let reply = message_text(&reply, more);
        self.outbox.push_back((Way::On(request.flow, request.from), reply.into_bytes()));
    }

    /// All that came, oldest first.
    pub fn received(&self) -> &[Arrival] {
        &self.received
    }

    /// Takes all that came.
    pub fn take(&mut self) -> Vec<Arrival> {
        core::mem::take(&mut self.received)
    }

    /// The last message whose first line contains `what`: a method, or a status code.
    pub fn last(&self, what: &str) -> Option<&Arrival> {
        self.received.iter().rev().find(|arrival| arrival.first_line().contains(what))
    }

    /// How many messages came whose first line contains `what`.
    pub fn count(&self, what: &str) -> usize {
        self.received.iter().filter(|arrival| arrival.first_line().contains(what)).count()
    }

    /// The flows of the connections that it has, those of others included.
    pub fn connections(&self) -> impl Iterator<Item = Flow> + '_ {
        self.framers.keys().copied()
    }

    /// How many pings (RFC 5626 §4.4.1) have come and were answered.
    pub fn pings(&self) -> usize {
        self.pings
    }

    fn flush(&mut self, host: &mut dyn Host) {
        let mut waiting = VecDeque::new();
        for (way, bytes) in core::mem::take(&mut self.outbox) {
            let (flow, to) = match way {
                Way::On(flow, to) => (flow, to),
                Way::To(transport, to) => {
                    let key = key(transport, to);
                    match self.ways.get(&key) {
                        Some(Some(flow)) => (*flow, to),
                        known => {
                            if known.is_none() {
                                let id = RequestId(self.asked.len() as u64 + 1);
                                self.asked.insert(id, key);
                                self.ways.insert(key, None);
                                host.send(Outbound::OpenFlow { id, transport, to, name: "" });
                            }
                            waiting.push_back((way, bytes));
                            continue;
                        }
                    }
                }
            };
            host.send(Outbound::Datagram { flow, to, bytes: &bytes });
        }
        self.outbox = waiting;
    }

    fn opened(&mut self, id: RequestId, flow: Flow) {
        let Some(key) = self.asked.get(&id) else { return };
        self.ways.insert(*key, Some(flow));
        if flow.transport.is_reliable() {
            self.framers.insert(flow, Framer::new());
        }
    }

    /// There is no way there: what was to go it is lost.
    fn failed(&mut self, id: RequestId) {
        let Some(&(transport, to)) = self.asked.get(&id) else { return };
        self.ways.remove(&(transport, to));
        self.outbox.retain(|(way, _)| match *way {
            Way::To(by, address) => by != transport || (to != ANYWHERE && address != to),
            Way::On(..) => true,
        });
    }

    /// Takes the next bytes of a stream.
    fn read(&mut self, host: &mut dyn Host, flow: Flow, from: SocketAddr, mut bytes: &[u8]) {
        let Some(mut framer) = self.framers.remove(&flow) else { return };
        while let Some(frame) = framer.next(&mut bytes) {
            match frame {
                Frame::Message(message) => self.hear(host, flow, from, message),
                Frame::Ping => {
                    self.pings += 1;
                    host.send(Outbound::Datagram { flow, to: from, bytes: b"\r\n" });
                }
                Frame::Pong | Frame::Broken(_) => {}
            }
        }
        self.framers.insert(flow, framer);
    }

    fn hear(&mut self, host: &mut dyn Host, flow: Flow, from: SocketAddr, bytes: &[u8]) {
        let arrival = Arrival { at: host.now(), flow, from, bytes: bytes.to_vec() };
        if let Some(mut reaction) = self.reaction.take() {
            reaction(self, &arrival);
            self.reaction.get_or_insert(reaction);
        }
        if self.received.len() >= MAX_RECEIVED {
            self.received.remove(0);
        }
        self.received.push(arrival);
    }
}

/// The text of a message for [`ScriptedPeer::send`]: `head` is its first line and header lines, `more` are
/// further header lines and perhaps an empty line and a body. Lines may end in LF alone; Content-Length is
/// added.
pub fn message_text(head: &str, more: &str) -> String {
    let more = more.replace("\r\n", "\n");
    let (fields, body) = more.split_once("\n\n").unwrap_or((&more, ""));
    let body = body.replace('\n', "\r\n");
    let length = format!("Content-Length: {}", body.len());
    let lines = head.lines().chain(fields.lines()).filter(|line| !line.is_empty());
    let lines = lines.chain([length.as_str(), ""]);
    lines.flat_map(|line| [line, "\r\n"]).collect::<String>() + &body
}

/// What [`message_text`] and [`ScriptedPeer::reply`] take as `more` for a body of SDP.
pub fn session_body(description: &str) -> String {
    format!("Content-Type: application/sdp\n\n{description}")
}

/// Under what a flow is kept.
fn key(transport: Transport, to: SocketAddr) -> (Transport, SocketAddr) {
    (transport, if transport.is_reliable() { to } else { ANYWHERE })
}

/// A text with its line ends as they are sent.
fn lines(text: &str) -> Vec<u8> {
    match text.contains('\r') {
        true => text.to_owned(),
        false => text.replace('\n', "\r\n"),
    }
    .into_bytes()
}

impl Arrival {
    /// The bytes as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// The request or status line.
    pub fn first_line(&self) -> String {
        self.text().lines().next().unwrap_or("").to_owned()
    }

    /// The method of a request; empty for a response.
    pub fn method(&self) -> String {
        match self.first_line().split_once(' ') {
            Some((first, _)) if first != "SIP/2.0" => first.to_owned(),
            _ => String::new(),
        }
    }

    /// The status code of a response; 0 for a request.
    pub fn status(&self) -> u16 {
        let line = self.first_line();
        line.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or(0)
    }

    /// The value of the first header field with that name, in any case; not its compact form.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next()
    }

    /// The values of all header fields with that name.
    pub fn headers(&self, name: &str) -> Vec<String> {
        let text = self.text();
        let fields = text.lines().skip(1).take_while(|line| !line.is_empty());
        let named = fields.filter_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        named.collect()
    }
}

impl Endpoint for ScriptedPeer {
    fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        match inbound {
            Inbound::Datagram { flow, from, bytes } => {
                if flow.transport == Transport::Udp {
                    self.ways.insert((Transport::Udp, ANYWHERE), Some(flow));
                }
                self.hear(host, flow, from, bytes);
            }
            Inbound::Stream { flow, from, bytes } => self.read(host, flow, from, bytes),
            Inbound::FlowOpened { id, flow, .. } => self.opened(id, flow),
            Inbound::FlowFailed { id, .. } => self.failed(id),
            Inbound::FlowAccepted { flow, .. } => {
                self.framers.insert(flow, Framer::new());
            }
            Inbound::FlowClosed { flow } => {
                self.framers.remove(&flow);
                self.ways.retain(|_, way| *way != Some(flow));
            }
            _ => {}
        }
        self.flush(host);
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        self.flush(host);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let waits = |(way, _): &(Way, _)| match *way {
            Way::To(transport, to) => self.ways.get(&key(transport, to)) == Some(&None),
            Way::On(..) => false,
        };
        (!self.outbox.iter().all(waits)).then_some(Instant::ZERO)
    }
}

impl fmt::Debug for ScriptedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedPeer")
            .field("received", &self.received.len())
            .field("waiting", &self.outbox.len())
            .finish_non_exhaustive()
    }
}
