//! A peer that says what a test wants it to say.

use core::fmt;
use core::net::SocketAddr;
use std::borrow::Cow;
use std::collections::VecDeque;

use crate::host::{Endpoint, Flow, Host, Inbound, Outbound, RequestId, Transport};
use crate::time::Instant;

/// How many messages a peer keeps; older ones are forgotten.
const MAX_RECEIVED: usize = 100_000;

/// An endpoint without any behaviour of its own: it sends the text it is given, keeps what comes,
/// and answers as a closure tells it.
#[derive(Default)]
pub struct ScriptedPeer {
    flow: Option<Flow>,
    opening: bool,
    outbox: VecDeque<(SocketAddr, Vec<u8>)>,
    received: Vec<Arrival>,
    reaction: Option<Box<Reaction>>,
}

type Reaction = dyn FnMut(&mut ScriptedPeer, &Arrival);

/// A message that came to a [`ScriptedPeer`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// When, on the peer's clock.
    pub at: Instant,
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
        let text = match text.contains('\r') {
            true => text.to_owned(),
            false => text.replace('\n', "\r\n"),
        };
        self.send_bytes(to, text.into_bytes());
    }

    /// Sends bytes as they are in the next step.
    pub fn send_bytes(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.outbox.push_back((to, bytes));
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
        let more = more.replace("\r\n", "\n");
        let (head, body) = more.split_once("\n\n").unwrap_or((more.trim_end_matches('\n'), ""));
        for line in head.lines().filter(|line| !line.is_empty()) {
            reply += &format!("{line}\r\n");
        }
        let body = body.replace('\n', "\r\n");
        reply += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.send_bytes(request.from, reply.into_bytes());
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

    fn flush(&mut self, host: &mut dyn Host) {
        let Some(flow) = self.flow else {
            if let Some(&(to, _)) = self.outbox.front()
                && !self.opening
            {
                self.opening = true;
                let (id, transport, name) = (RequestId(0), Transport::Udp, "");
                host.send(Outbound::OpenFlow { id, transport, to, name });
            }
            return;
        };
        for (to, bytes) in self.outbox.drain(..) {
            host.send(Outbound::Datagram { flow, to, bytes: &bytes });
        }
    }
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
                self.flow = Some(flow);
                let arrival = Arrival { at: host.now(), from, bytes: bytes.to_vec() };
                if let Some(mut reaction) = self.reaction.take() {
                    reaction(self, &arrival);
                    self.reaction.get_or_insert(reaction);
                }
                if self.received.len() >= MAX_RECEIVED {
                    self.received.remove(0);
                }
                self.received.push(arrival);
            }
            Inbound::FlowOpened { flow, .. } => self.flow = Some(flow),
            Inbound::FlowFailed { .. } => {
                self.opening = false;
                self.outbox.pop_front();
            }
            _ => {}
        }
        self.flush(host);
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        self.flush(host);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let waits = self.outbox.is_empty() || (self.flow.is_none() && self.opening);
        (!waits).then_some(Instant::ZERO)
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
