//! What a trace keeps.

use core::net::SocketAddr;
use core::ops::Range;

use super::{Kind, Packet, ladder, pcap};
use crate::host::{Inbound, Outbound, Transport};
use crate::map::Map;
use crate::stream::{Frame, Framer};
use crate::time::{Instant, WallTime};

/// How many bytes of packets a trace keeps by default.
const DEFAULT_LIMIT: usize = 64 << 20;
/// What a packet counts besides its bytes.
const RECORD_SIZE: usize = size_of::<Record>();
/// On how many streams half a message is kept at once: a peer chooses how many it leaves so.
const MAX_HALVES: usize = 256;

/// The packets sent and received, in order.
///
/// A trace sees with the eyes of one endpoint, both ways; or, if it watches several that talk to
/// each other, it is given only what they send, or else it would hold everything twice.
#[derive(Clone, Debug)]
pub struct Trace {
    limit: usize,
    missed: u64,
    bytes: Vec<u8>,
    records: Vec<Record>,
    names: Map<SocketAddr, String>,
    /// The streams on which a message has begun and not ended.
    halves: Map<(SocketAddr, SocketAddr), Framer>,
}

#[derive(Clone, Debug)]
struct Record {
    at: Instant,
    wall: WallTime,
    from: SocketAddr,
    to: SocketAddr,
    transport: Transport,
    kind: Kind,
    range: Range<usize>,
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

impl Trace {
    /// An empty trace that keeps the first 64 MiB.
    pub fn new() -> Self {
        Self::with_limit(DEFAULT_LIMIT)
    }

    /// An empty trace that keeps the first `limit` bytes, its own bookkeeping included, and counts
    /// the packets after that.
    pub fn with_limit(limit: usize) -> Self {
        let (bytes, records) = (Vec::new(), Vec::new());
        let (names, halves) = (Map::new(), Map::new());
        Self { limit, missed: 0, bytes, records, names, halves }
    }

    /// Gives an address a name in the ladder.
    pub fn name(&mut self, address: SocketAddr, name: &str) {
        self.names.insert(address, name.to_owned());
    }

    /// Keeps what leaves the socket bound at `local`, if it is a packet.
    pub fn outbound(
        &mut self,
        now: Instant,
        wall: WallTime,
        local: SocketAddr,
        outbound: &Outbound<'_>,
    ) {
        if let Some(packet) = Packet::outbound(now, wall, local, outbound) {
            self.push(packet);
        }
    }

    /// Keeps what came to the socket bound at `local`, if it is a packet.
    pub fn inbound(
        &mut self,
        now: Instant,
        wall: WallTime,
        local: SocketAddr,
        inbound: &Inbound<'_>,
    ) {
        if let Some(packet) = Packet::inbound(now, wall, local, inbound) {
            self.push(packet);
        }
    }

    /// Keeps a packet; of a stream each message when it is whole, whatever pieces it comes in.
    pub fn push(&mut self, packet: Packet<'_>) {
        if !packet.transport.is_stream() || self.missed > 0 {
            return self.keep(packet);
        }
        let stream = (packet.from, packet.to);
        let mut framer = self.halves.remove(&stream).unwrap_or_default();
        let (mut piece, mut before) = (packet.bytes, packet.bytes);
        while let Some(frame) = framer.next(&mut piece) {
            let came = core::mem::replace(&mut before, piece);
            match frame {
                Frame::Message(bytes) => self.keep(Packet { bytes, ..packet }),
                Frame::Ping => self.keep(Packet { bytes: b"\r\n\r\n", ..packet }),
                Frame::Pong => {}
                // What cannot be framed is shown as it came, and read afresh from there.
                Frame::Broken(_) => return self.keep(Packet { bytes: came, ..packet }),
            }
        }
        match framer.is_midway() {
            true => {
                if self.halves.len() >= MAX_HALVES {
                    self.halves.pop_first();
                }
                self.halves.insert(stream, framer);
            }
            false if packet.bytes == b"\r\n" => self.keep(packet),
            false => {}
        }
    }

    /// What comes on a stream from now on is of a new connection: half a message of the old one is lost.
    pub(super) fn begin_stream(&mut self, from: SocketAddr, to: SocketAddr) {
        self.halves.remove(&(from, to));
    }

    fn keep(&mut self, packet: Packet<'_>) {
        let Packet { at, wall, from, to, transport, kind, bytes } = packet;
        let used = self.bytes.len() + self.records.len() * RECORD_SIZE;
        // Once something was missed nothing is taken any more: a trace has an end, but no holes.
        if self.missed > 0 || used + bytes.len() + RECORD_SIZE > self.limit {
            self.missed += 1;
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let range = start..self.bytes.len();
        self.records.push(Record { at, wall, from, to, transport, kind, range });
    }

    /// The packets kept.
    pub fn packets(&self) -> impl DoubleEndedIterator<Item = Packet<'_>> + ExactSizeIterator {
        self.records.iter().map(|record| {
            let &Record { at, wall, from, to, transport, kind, .. } = record;
            let bytes = self.bytes.get(record.range.clone()).unwrap_or_default();
            Packet { at, wall, from, to, transport, kind, bytes }
        })
    }

    /// How many packets came after the limit was reached.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The trace as a diagram: a column for each address, an arrow for each SIP message, one for
    /// each run of media. Bytes that are no printable ASCII are escaped.
    pub fn ladder(&self) -> String {
        ladder::draw(self.packets(), &self.names, self.missed)
    }

    /// The same diagram as an SVG picture.
    pub fn svg(&self) -> String {
        ladder::picture(self.packets(), &self.names, self.missed)
    }

    /// The trace as a capture file; see [`pcap`].
    pub fn pcap(&self) -> Vec<u8> {
        pcap::file(self.packets())
    }
}
