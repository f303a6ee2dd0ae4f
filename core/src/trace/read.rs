//! Reading a capture: pcap and pcapng, as tcpdump and Wireshark write them.
//!
//! What is kept is SIP over UDP and TCP, and the RTP and RTCP of what its session descriptions name. A
//! capture may hold anything, so what makes no sense is counted and passed over. Of a connection is
//! read what comes in order; what is sent again counts once.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Kind, Packet, Trace, describe};
use crate::host::Transport;
use crate::map::{Map, Set};
use crate::time::{Duration, Instant, WallTime};

/// A capture that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// It begins like neither format.
    #[error("it is neither a pcap nor a pcapng capture")]
    UnknownFormat,
    /// It was made on a kind of network that is not known here.
    #[error("its packets are of link type {link}, which is not known here")]
    UnknownLink {
        /// The number of `LINKTYPE_`.
        link: u32,
    },
}

/// What a capture holds.
#[derive(Clone, Debug)]
pub struct Capture {
    /// What could be read.
    pub trace: Trace,
    /// Packets that carry neither UDP nor TCP, fragments, and those that were cut.
    pub unread: u64,
    /// Packets that are neither SIP nor media, TLS among them.
    pub other: u64,
}

impl Capture {
    /// Reads a whole capture file.
    ///
    /// # Errors
    /// [`CaptureError`]. A file that ends in the middle of a packet is read as far as it goes.
    pub fn read(file: &[u8]) -> Result<Self, CaptureError> {
        let mut reading = Reading {
            capture: Self { trace: Trace::with_limit(usize::MAX), unread: 0, other: 0 },
            signalling: Set::new(),
            media: Set::new(),
            streams: Map::new(),
            start: None,
        };
        match file.first_chunk::<4>() {
            Some([0x0a, 0x0d, 0x0d, 0x0a]) => reading.pcapng(file)?,
            Some(&magic) => reading.pcap(file, magic)?,
            None => return Err(CaptureError::UnknownFormat),
        }
        Ok(reading.capture)
    }
}

struct Reading {
    capture: Capture,
    /// Where SIP has been seen.
    signalling: Set<SocketAddr>,
    /// Where session descriptions expect RTP.
    media: Set<SocketAddr>,
    /// The number of the byte that comes next, each way of each connection that carries SIP.
    streams: Map<(SocketAddr, SocketAddr), u32>,
    /// The wall time of the first packet.
    start: Option<u64>,
}

/// The order of the bytes of a file's numbers.
#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        })
    }

    fn length(self, bytes: &[u8], at: usize) -> Option<usize> {
        usize::try_from(self.u32(bytes, at)?).ok()
    }
}

impl Reading {
    /// draft-ietf-opsawg-pcap: a header of 24 bytes, then records with one of 16.
    fn pcap(&mut self, file: &[u8], magic: [u8; 4]) -> Result<(), CaptureError> {
        let (order, ticks) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1_000_000),
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1_000_000),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1_000_000_000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1_000_000_000),
            _ => return Err(CaptureError::UnknownFormat),
        };
        let link = order.u32(file, 20).ok_or(CaptureError::UnknownFormat)? & 0xffff;
        let link = Link::of(link)?;
        let mut rest = file.get(24..).unwrap_or_default();
        while let (Some(seconds), Some(part), Some(length)) =
            (order.u32(rest, 0), order.u32(rest, 4), order.length(rest, 8))
        {
            let Some(bytes) = length.checked_add(16).and_then(|end| rest.get(16..end)) else {
                break;
            };
            let ticked = u64::from(seconds).saturating_mul(ticks).saturating_add(part.into());
            self.packet(link, micros(ticked, ticks), bytes);
            rest = rest.get(16 + length..).unwrap_or_default();
        }
        Ok(())
    }

    /// draft-ietf-opsawg-pcapng: blocks, each with its type and its length before and after it.
    fn pcapng(&mut self, file: &[u8]) -> Result<(), CaptureError> {
        const SECTION: u32 = 0x0a0d_0d0a;
        const INTERFACE: u32 = 1;
        const SIMPLE_PACKET: u32 = 3;
        const PACKET: u32 = 6;
        let mut order = Order::Little;
        let mut interfaces: Vec<(Link, u64)> = Vec::new();
        let mut rest = file;
        while let Some(kind) = order.u32(rest, 0) {
            if kind == SECTION {
                order = match rest.get(8..12) {
                    Some([0x4d, 0x3c, 0x2b, 0x1a]) => Order::Little,
                    Some([0x1a, 0x2b, 0x3c, 0x4d]) => Order::Big,
                    _ => return Err(CaptureError::UnknownFormat),
                };
                interfaces.clear();
            }
            let Some(length) = order.length(rest, 4).filter(|length| *length >= 12) else { break };
            let Some(body) = rest.get(8..length - 4) else { break };
            match kind {
                INTERFACE => {
                    let link = order.u16(body, 0).ok_or(CaptureError::UnknownFormat)?;
                    let link = Link::of(link.into())?;
                    interfaces.push((link, resolution(order, body.get(8..).unwrap_or_default())));
                }
                PACKET => {
                    let interface = order.length(body, 0).and_then(|index| interfaces.get(index));
                    let (high, low) = (order.u32(body, 4), order.u32(body, 8));
                    let length = order.length(body, 12).and_then(|length| length.checked_add(20));
                    let bytes = length.and_then(|end| body.get(20..end));
                    if let (Some((link, ticks)), Some(high), Some(low), Some(bytes)) =
                        (interface, high, low, bytes)
                    {
                        let ticked = u64::from(high) << 32 | u64::from(low);
                        self.packet(*link, micros(ticked, *ticks), bytes);
                    } else {
                        self.capture.unread += 1;
                    }
                }
                // It has no time.
                SIMPLE_PACKET => self.capture.unread += 1,
                _ => {}
            }
            // Blocks are padded to 32 bits, and their length says so.
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(())
    }

    fn packet(&mut self, link: Link, micros: u64, frame: &[u8]) {
        match link.payload(frame) {
            Some((Header::Udp, from, to, bytes)) => self.datagram(micros, from, to, bytes),
            Some((Header::Tcp { sequence, opens }, from, to, bytes)) => {
                if opens && let Some(next) = self.streams.get_mut(&(from, to)) {
                    // RFC 9293 §3.4.1: a new connection from the same port numbers its bytes anew.
                    *next = sequence;
                    self.capture.trace.begin_stream(from, to);
                }
                // Without any it opens or closes a connection, or acknowledges.
                if !bytes.is_empty() {
                    self.segment(micros, sequence, from, to, bytes);
                }
            }
            None => self.capture.unread += 1,
        }
    }

    /// RFC 9293 §3.4: what of a segment has come before is left out. After a hole the stream is read
    /// on as if there were none.
    fn segment(
        &mut self,
        micros: u64,
        sequence: u32,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
    ) {
        let next = match self.streams.get(&(from, to)) {
            Some(next) => *next,
            None if is_sip(bytes) || self.streams.contains_key(&(to, from)) => sequence,
            None => {
                self.capture.other += 1;
                return;
            }
        };
        let again = next.wrapping_sub(sequence);
        let again = if again < 1 << 31 { again as usize } else { 0 };
        let Some(fresh @ [_, ..]) = bytes.get(again..) else { return };
        self.streams.insert((from, to), sequence.wrapping_add(bytes.len() as u32));
        self.keep(micros, Transport::Tcp, from, to, Kind::Sip, fresh);
    }

    fn datagram(&mut self, micros: u64, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let Some(kind) = self.kind(from, to, bytes) else {
            self.capture.other += 1;
            return;
        };
        if kind == Kind::Sip {
            self.signalling.extend([from, to]);
            let streams = describe::streams(bytes).map(|(_, streams)| streams);
            self.media.extend(streams.into_iter().flatten().filter_map(|stream| stream.rtp()));
        }
        self.keep(micros, Transport::Udp, from, to, kind, bytes);
    }

    fn keep(
        &mut self,
        micros: u64,
        transport: Transport,
        from: SocketAddr,
        to: SocketAddr,
        kind: Kind,
        bytes: &[u8],
    ) {
        let start = *self.start.get_or_insert(micros);
        let at = Instant::ZERO + Duration::from_micros(micros.saturating_sub(start));
        let wall = WallTime::from_micros(micros);
        self.capture.trace.push(Packet { at, wall, from, to, transport, kind, bytes });
    }

    fn kind(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> Option<Kind> {
        if is_sip(bytes) {
            return Some(Kind::Sip);
        }
        // RTP and RTCP alike are of version 2 (RFC 3550 §5.1, §6.4.1).
        if bytes.first().is_some_and(|first| first >> 6 == 2) {
            let below = |a: SocketAddr| SocketAddr::new(a.ip(), a.port().saturating_sub(1));
            let described = |a: SocketAddr| self.media.contains(&a);
            // RFC 5761 §4: these payload types RTP leaves to RTCP.
            let report = bytes.get(1).is_some_and(|kind| (192..=223).contains(kind));
            return match report {
                true if [from, to].into_iter().any(|a| described(a) || described(below(a))) => {
                    Some(Kind::Rtcp)
                }
                false if described(from) || described(to) => Some(Kind::Rtp),
                _ => None,
            };
        }
        // Keep-alives and rubbish between those who speak SIP.
        (self.signalling.contains(&from) && self.signalling.contains(&to)).then_some(Kind::Sip)
    }
}

/// Whether a message begins with these bytes.
fn is_sip(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    line.starts_with(b"SIP/2.0 ") || line.ends_with(b" SIP/2.0")
}

/// How many ticks an interface of a pcapng has in a second: option 9, else microseconds.
fn resolution(order: Order, mut options: &[u8]) -> u64 {
    const TIME_RESOLUTION: u16 = 9;
    const MICROSECONDS: u64 = 1_000_000;
    while let (Some(code), Some(length)) = (order.u16(options, 0), order.u16(options, 2)) {
        let length = usize::from(length);
        if code == TIME_RESOLUTION {
            let ticks = match options.get(4) {
                Some(power @ 0x80..) => 2_u64.checked_pow(u32::from(power & 0x7f)),
                Some(power) => 10_u64.checked_pow(u32::from(*power)),
                None => None,
            };
            return ticks.unwrap_or(MICROSECONDS);
        }
        options = options.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
    }
    MICROSECONDS
}

fn micros(ticked: u64, ticks: u64) -> u64 {
    let micros = u128::from(ticked) * 1_000_000 / u128::from(ticks.max(1));
    u64::try_from(micros).unwrap_or(u64::MAX)
}

/// What stands before the IP header.
#[derive(Clone, Copy)]
enum Link {
    /// LINKTYPE_ETHERNET.
    Ethernet,
    /// LINKTYPE_NULL and LINKTYPE_LOOP: four bytes.
    Loopback,
    /// LINKTYPE_RAW, LINKTYPE_IPV4 and LINKTYPE_IPV6: nothing.
    Raw,
    /// LINKTYPE_LINUX_SLL: what `tcpdump -i any` had before.
    Cooked,
    /// LINKTYPE_LINUX_SLL2: what it has now.
    Cooked2,
}

impl Link {
    fn of(link: u32) -> Result<Self, CaptureError> {
        match link {
            0 | 108 => Ok(Self::Loopback),
            1 => Ok(Self::Ethernet),
            101 | 228 | 229 => Ok(Self::Raw),
            113 => Ok(Self::Cooked),
            276 => Ok(Self::Cooked2),
            link => Err(CaptureError::UnknownLink { link }),
        }
    }

    /// What a frame carries over UDP or TCP.
    fn payload(self, frame: &[u8]) -> Option<(Header, SocketAddr, SocketAddr, &[u8])> {
        const VLAN: [u8; 2] = [0x81, 0x00];
        let ip = match self {
            Self::Raw => frame,
            Self::Loopback => frame.get(4..)?,
            Self::Cooked => frame.get(16..)?,
            Self::Cooked2 => frame.get(20..)?,
            Self::Ethernet if frame.get(12..14)? == VLAN => frame.get(18..)?,
            Self::Ethernet => frame.get(14..)?,
        };
        let (protocol, from, to, rest) = match ip.first()? >> 4 {
            4 => ipv4(ip)?,
            6 => ipv6(ip)?,
            _ => return None,
        };
        let big = Order::Big;
        let (source, destination) = (big.u16(rest, 0)?, big.u16(rest, 2)?);
        let (header, payload) = match protocol {
            UDP => (Header::Udp, rest.get(8..usize::from(big.u16(rest, 4)?))?),
            TCP => {
                let words = usize::from(*rest.get(12)? >> 4);
                let opens = rest.get(13)? & SYN != 0;
                // §3.4: SYN has a number too.
                let sequence = big.u32(rest, 4)?.wrapping_add(opens.into());
                (Header::Tcp { sequence, opens }, rest.get(words * 4..)?)
            }
            _ => return None,
        };
        let (from, to) = (SocketAddr::new(from, source), SocketAddr::new(to, destination));
        Some((header, from, to, payload))
    }
}

/// What stands before a payload.
#[derive(Clone, Copy)]
enum Header {
    Udp,
    /// The number of the first byte, and whether the connection is only being opened.
    Tcp {
        sequence: u32,
        opens: bool,
    },
}

/// The flag of TCP that opens a connection (RFC 9293 §3.1).
const SYN: u8 = 2;

/// The protocol numbers.
const UDP: u8 = 17;
const TCP: u8 = 6;

type Packaged<'a> = (u8, IpAddr, IpAddr, &'a [u8]);

fn ipv4(packet: &[u8]) -> Option<Packaged<'_>> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let fragment = Order::Big.u16(packet, 6)? & 0x3fff;
    if fragment != 0 || header < 20 {
        return None;
    }
    let address = |at: usize| packet.get(at..)?.first_chunk::<4>().map(|o| Ipv4Addr::from(*o));
    // Ethernet fills up what is shorter than 60 bytes; what the network card will cut says no length.
    let end = match Order::Big.u16(packet, 2)? {
        0 => packet.len(),
        length => usize::from(length),
    };
    let payload = packet.get(header..end)?;
    Some((*packet.get(9)?, address(12)?.into(), address(16)?.into(), payload))
}

fn ipv6(packet: &[u8]) -> Option<Packaged<'_>> {
    // Extension headers before UDP and TCP are rare, and fragments cannot be read alone.
    let address = |at: usize| packet.get(at..)?.first_chunk::<16>().map(|o| Ipv6Addr::from(*o));
    let end = usize::from(Order::Big.u16(packet, 4)?) + 40;
    Some((*packet.get(6)?, address(8)?.into(), address(24)?.into(), packet.get(40..end)?))
}
