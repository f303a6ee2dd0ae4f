//! Captures in the classic pcap format (draft-ietf-opsawg-pcap), microseconds, little-endian.
//!
//! The link type is `LINKTYPE_RAW`: each packet begins with its IP header. What crosses the seam
//! never had an Ethernet header, and the capture invents no addresses for one. IP, UDP and TCP
//! headers are made up around the payload, with their checksums. What came on a connection stands
//! there as segments of TCP, in the clear and without what TLS and WebSocket put around it, and with
//! the sequence numbers of a connection on which nothing else was ever sent. Wireshark finds SIP there
//! by itself but on the ports of HTTP, where it needs an option: `-d tcp.port==80,sip`.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::io;

use super::Packet;
use crate::map::Map;

const MAGIC: u32 = 0xa1b2_c3d4;
const VERSION: (u16, u16) = (2, 4);
/// The longest packet kept: an IP packet at its largest.
const SNAP_LENGTH: u32 = 65_575;
const LINKTYPE_RAW: u32 = 101;
/// The most that fits into a UDP datagram over IPv4 (and, to keep it simple, over IPv6).
const MAX_PAYLOAD: usize = 65_507;
/// The most that is put into a segment of TCP, with the longest headers.
const MAX_SEGMENT: usize = 65_475;
const UDP: u8 = 17;
const TCP: u8 = 6;
const HOP_LIMIT: u8 = 64;

/// Writes a capture, packet by packet, to wherever the host wants it.
#[derive(Debug)]
pub struct Writer<W> {
    sink: W,
    sequences: Sequences,
    /// One record at a time is put together here and written at once.
    buffer: Vec<u8>,
}

impl<W: io::Write> Writer<W> {
    /// Begins a capture with its file header.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn new(mut sink: W) -> io::Result<Self> {
        let mut header = Vec::with_capacity(24);
        put_file_header(&mut header);
        sink.write_all(&header)?;
        Ok(Self { sink, sequences: Sequences::default(), buffer: header })
    }

    /// Adds a packet. Of a datagram beyond 65,507 bytes, which UDP does not hold, the rest is left
    /// out.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn write(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        self.buffer.clear();
        put_packet(&mut self.buffer, &mut self.sequences, packet);
        self.sink.write_all(&self.buffer)
    }

    /// The sink, to flush it.
    pub fn sink(&mut self) -> &mut W {
        &mut self.sink
    }
}

/// A whole capture.
pub(super) fn file<'a>(packets: impl Iterator<Item = Packet<'a>>) -> Vec<u8> {
    let mut file = Vec::new();
    put_file_header(&mut file);
    let mut sequences = Sequences::default();
    packets.for_each(|packet| put_packet(&mut file, &mut sequences, &packet));
    file
}

fn put_file_header(out: &mut Vec<u8>) {
    out.extend(MAGIC.to_le_bytes());
    out.extend(VERSION.0.to_le_bytes());
    out.extend(VERSION.1.to_le_bytes());
    out.extend([0; 8]); // reserved
    out.extend(SNAP_LENGTH.to_le_bytes());
    out.extend(LINKTYPE_RAW.to_le_bytes());
}

/// How many bytes have gone each way of each connection.
type Sequences = Map<(SocketAddr, SocketAddr), u32>;

/// What stands behind the IP header.
#[derive(Clone, Copy)]
enum Header {
    Udp,
    /// The number of the first byte, and that of the next of the other side.
    Tcp {
        sequence: u32,
        acknowledged: u32,
    },
}

fn put_packet(out: &mut Vec<u8>, sequences: &mut Sequences, packet: &Packet<'_>) {
    if !packet.transport.is_reliable() {
        let payload = packet.bytes.get(..MAX_PAYLOAD).unwrap_or(packet.bytes);
        return put_record(out, packet, Header::Udp, payload);
    }
    let acknowledged =
        sequences.get(&(packet.to, packet.from)).map_or(1, |sent| sent.wrapping_add(1));
    let sent = sequences.or_default((packet.from, packet.to));
    for segment in packet.bytes.chunks(MAX_SEGMENT) {
        let sequence = sent.wrapping_add(1);
        *sent = sent.wrapping_add(segment.len() as u32);
        put_record(out, packet, Header::Tcp { sequence, acknowledged }, segment);
    }
}

fn put_record(out: &mut Vec<u8>, packet: &Packet<'_>, header: Header, payload: &[u8]) {
    let micros = packet.wall.as_micros();
    // The format's seconds have 32 bits: they wrap in 2106.
    out.extend(((micros / 1_000_000) as u32).to_le_bytes());
    out.extend(((micros % 1_000_000) as u32).to_le_bytes());
    let lengths = out.len();
    out.extend([0; 8]);
    let start = out.len();
    put_ip(out, packet, header, payload);
    let length = ((out.len() - start) as u32).to_le_bytes();
    out[lengths..lengths + 4].copy_from_slice(&length);
    out[lengths + 4..lengths + 8].copy_from_slice(&length);
}

fn put_ip(out: &mut Vec<u8>, packet: &Packet<'_>, header: Header, payload: &[u8]) {
    let (protocol, size) = match header {
        Header::Udp => (UDP, 8),
        Header::Tcp { .. } => (TCP, 20),
    };
    let length = payload.len() as u16 + size;
    let checksum = match (packet.from.ip().to_canonical(), packet.to.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let start = out.len();
            out.extend([0x45, 0]); // version 4, five words; no special service
            out.extend((length + 20).to_be_bytes());
            out.extend([0, 0, 0x40, 0, HOP_LIMIT, protocol, 0, 0]); // whole; checksum follows
            out.extend(from.octets());
            out.extend(to.octets());
            let checksum = Checksum::default().add(&out[start..]).finish();
            out[start + 10..start + 12].copy_from_slice(&checksum.to_be_bytes());
            Checksum::default().add(&from.octets()).add(&to.octets())
        }
        (from, to) => {
            let (from, to) = (as_v6(from).octets(), as_v6(to).octets());
            out.extend([0x60, 0, 0, 0]); // version 6; no traffic class, no flow label
            out.extend(length.to_be_bytes());
            out.extend([protocol, HOP_LIMIT]);
            out.extend(from);
            out.extend(to);
            Checksum::default().add(&from).add(&to)
        }
    };
    let pseudo = checksum.add(&[0, protocol]).add(&length.to_be_bytes());
    let start = out.len();
    out.extend(packet.from.port().to_be_bytes());
    out.extend(packet.to.port().to_be_bytes());
    match header {
        Header::Udp => {
            out.extend(length.to_be_bytes());
            out.extend([0, 0]);
        }
        Header::Tcp { sequence, acknowledged } => {
            out.extend(sequence.to_be_bytes());
            out.extend(acknowledged.to_be_bytes());
            out.extend([0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]); // five words; PSH, ACK; window
        }
    }
    out.extend_from_slice(payload);
    let checksum = pseudo.add(&out[start..]).finish();
    let (at, checksum) = match header {
        Header::Udp if checksum == 0 => (start + 6, 0xffff), // zero would mean "none" (RFC 768)
        Header::Udp => (start + 6, checksum),
        Header::Tcp { .. } => (start + 16, checksum),
    };
    out[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
}

fn as_v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// The Internet checksum (RFC 1071) over parts, each but the last of even length.
#[derive(Clone, Copy, Default)]
struct Checksum(u32);

impl Checksum {
    fn add(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<2>();
        let sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
        let last = rest.first().map_or(0, |byte| u32::from(*byte) << 8);
        // At most 32,767 words of a packet are added up at once, so 32 bits are enough.
        Self(fold(self.0 + fold(sum + last)))
    }

    fn finish(self) -> u16 {
        !(fold(fold(self.0)) as u16)
    }
}

fn fold(sum: u32) -> u32 {
    (sum & 0xffff) + (sum >> 16)
}
