//! The JavaScript host as the core sees it.

use std::collections::VecDeque;

use js_sys::{Function, Uint8Array};
use offhook_core::host::{
    Channel, Clock, Datagrams, Entropy, Flow, Inbound, MediaPort, Outbound, Query, RequestId,
};
use offhook_core::time::{Instant, WallTime};
use wasm_bindgen::{JsValue, throw_val};

use super::capture::Capture;
use crate::error::thrown;
use crate::object::{Builder, number};
use crate::outbox::{Lane, Outbox};
use crate::times::Times;

/// The time of the current call, the host's entropy, and what waits to be sent.
pub(super) struct JsHost {
    pub(super) times: Times,
    pool: Pool,
    pub(super) outbox: Outbox,
    requests: VecDeque<JsValue>,
    pub(super) capture: Capture,
}

impl JsHost {
    /// A host that fills arrays with randomness through `entropy`, as
    /// `crypto.getRandomValues` does.
    pub(super) fn new(entropy: Function) -> Self {
        Self {
            times: Times::default(),
            pool: Pool { entropy, bytes: [0; POOL], used: POOL },
            outbox: Outbox::default(),
            requests: VecDeque::new(),
            capture: Capture::default(),
        }
    }

    /// Takes note of what comes.
    pub(super) fn note_inbound(&mut self, inbound: &Inbound<'_>) {
        self.capture.inbound((self.times.now(), self.times.wall()), inbound);
    }

    /// The next request to the host that is no packet.
    pub(super) fn next_request(&mut self) -> Option<JsValue> {
        self.requests.pop_front()
    }
}

impl Clock for JsHost {
    fn now(&self) -> Instant {
        self.times.now()
    }

    fn wall(&self) -> WallTime {
        self.times.wall()
    }
}

impl Entropy for JsHost {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.pool.fill(bytes);
    }
}

impl Datagrams for JsHost {
    fn send(&mut self, outbound: Outbound<'_>) {
        self.capture.outbound((self.times.now(), self.times.wall()), &outbound);
        let request = match outbound {
            Outbound::Datagram { flow, to, bytes } => {
                return self.outbox.push(Lane::Signalling, flow.id, to, bytes);
            }
            Outbound::Media { port, channel, to, bytes } => {
                let lane = match channel {
                    Channel::Rtp => Lane::Rtp,
                    Channel::Rtcp => Lane::Rtcp,
                };
                return self.outbox.push(lane, port.0, to, bytes);
            }
            Outbound::OpenFlow { id, transport, to, name } => request("openFlow", id)
                .with("transport", transport.as_str())
                .with("address", to.ip().to_string())
                .with("port", to.port())
                .with("name", name),
            Outbound::BindMedia { id, toward, low, high } => request("bindMedia", id)
                .with("toward", toward.to_string())
                .with("low", low)
                .with("high", high),
            Outbound::Resolve { id, query } => {
                let (kind, name) = match query {
                    Query::Naptr(name) => ("naptr", name),
                    Query::Srv(name) => ("srv", name),
                    Query::Addresses(name) => ("addresses", name),
                };
                request("resolve", id).with("kind", kind).with("name", name)
            }
            Outbound::CloseFlow { flow: Flow { id, .. } } => {
                Builder::of("closeFlow").with("flow", number(id))
            }
            Outbound::ReleaseMedia { port: MediaPort(id) } => {
                Builder::of("releaseMedia").with("media", number(id))
            }
            Outbound::Rebind => Builder::of("rebind"),
            _ => {
                let problem = "the core asked for what this host does not know";
                throw_val(thrown("internal", problem))
            }
        };
        self.requests.push_back(request.done());
    }
}

fn request(kind: &str, RequestId(id): RequestId) -> Builder {
    Builder::of(kind).with("id", number(id))
}

/// How much entropy is asked for at once.
const POOL: usize = 256;

/// Entropy taken from the host in larger pieces: one crossing for many small draws.
struct Pool {
    entropy: Function,
    bytes: [u8; POOL],
    used: usize,
}

impl Pool {
    fn fill(&mut self, mut wanted: &mut [u8]) {
        while !wanted.is_empty() {
            if self.used == POOL {
                self.refill();
            }
            let length = wanted.len().min(POOL - self.used);
            let (now, later) = wanted.split_at_mut(length);
            let source = &mut self.bytes[self.used..self.used + length];
            now.copy_from_slice(source);
            // Nobody who reads this memory later learns what was drawn.
            source.fill(0);
            self.used += length;
            wanted = later;
        }
    }

    fn refill(&mut self) {
        let fresh = Uint8Array::new_with_length(POOL as u32);
        if let Err(error) = self.entropy.call1(&JsValue::NULL, &fresh) {
            throw_val(error);
        }
        fresh.copy_to(&mut self.bytes);
        self.used = 0;
    }
}
