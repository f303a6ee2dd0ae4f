//! Captures in the classic pcap format (draft-ietf-opsawg-pcap), microseconds, little-endian.
//!
//! The link type is `LINKTYPE_RAW`: each packet begins with its IP header. What crosses the seam
//! never had an Ethernet header, and the capture invents no addresses for one. IP and UDP headers
//! are made up around the payload, with their checksums.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::io;

use super::Packet;

const MAGIC: u32 = 0xa1b2_c3d4;
const VERSION: (u16, u16) = (2, 4);
/// The longest packet kept: an IP packet at its largest.
const SNAP_LENGTH: u32 = 65_575;
const LINKTYPE_RAW: u32 = 101;
/// The most that fits into a UDP datagram over IPv4 (and, to keep it simple, over IPv6).
const MAX_PAYLOAD: usize = 65_507;
const UDP: u8 = 17;
const HOP_LIMIT: u8 = 64;

/// Writes a capture, packet by packet, to wherever the host wants it.
#[derive(Debug)]
pub struct Writer<W> {
    sink: W,
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
        Ok(Self { sink, buffer: header })
    }

    /// Adds a packet. Of a payload beyond 65,507 bytes, which no UDP datagram holds, the rest is
    /// left out.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn write(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        self.buffer.clear();
        put_record(&mut self.buffer, packet);
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
    packets.for_each(|packet| put_record(&mut file, &packet));
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

fn put_record(out: &mut Vec<u8>, packet: &Packet<'_>) {
    let micros = packet.wall.as_micros();
    // The format's seconds have 32 bits: they wrap in 2106.
    out.extend(((micros / 1_000_000) as u32).to_le_bytes());
    out.extend(((micros % 1_000_000) as u32).to_le_bytes());
    let lengths = out.len();
    out.extend([0; 8]);
    let start = out.len();
    put_ip(out, packet);
    let length = ((out.len() - start) as u32).to_le_bytes();
    out[lengths..lengths + 4].copy_from_slice(&length);
    out[lengths + 4..lengths + 8].copy_from_slice(&length);
}

fn put_ip(out: &mut Vec<u8>, packet: &Packet<'_>) {
    let payload = &packet.bytes[..packet.bytes.len().min(MAX_PAYLOAD)];
    let udp_length = payload.len() as u16 + 8;
    let checksum = match (packet.from.ip().to_canonical(), packet.to.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let start = out.len();
            out.extend([0x45, 0]); // version 4, five words; no special service
            out.extend((udp_length + 20).to_be_bytes());
            out.extend([0, 0, 0x40, 0, HOP_LIMIT, UDP, 0, 0]); // not fragmented; checksum follows
            out.extend(from.octets());
            out.extend(to.octets());
            let checksum = Checksum::default().add(&out[start..]).finish();
            out[start + 10..start + 12].copy_from_slice(&checksum.to_be_bytes());
            Checksum::default().add(&from.octets()).add(&to.octets())
        }
        (from, to) => {
            let (from, to) = (as_v6(from).octets(), as_v6(to).octets());
            out.extend([0x60, 0, 0, 0]); // version 6; no traffic class, no flow label
            out.extend(udp_length.to_be_bytes());
            out.extend([UDP, HOP_LIMIT]);
            out.extend(from);
            out.extend(to);
            Checksum::default().add(&from).add(&to)
        }
    };
    put_udp(out, packet.from, packet.to, udp_length, payload, checksum);
}

fn put_udp(
    out: &mut Vec<u8>,
    from: SocketAddr,
    to: SocketAddr,
    length: u16,
    payload: &[u8],
    addresses: Checksum,
) {
    let start = out.len();
    out.extend(from.port().to_be_bytes());
    out.extend(to.port().to_be_bytes());
    out.extend(length.to_be_bytes());
    out.extend([0, 0]);
    out.extend_from_slice(payload);
    let pseudo = addresses.add(&[0, UDP]).add(&length.to_be_bytes());
    let checksum = match pseudo.add(&out[start..]).finish() {
        0 => 0xffff, // zero would mean "none" (RFC 768)
        other => other,
    };
    out[start + 6..start + 8].copy_from_slice(&checksum.to_be_bytes());
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
