//! Packets on their way out, one after the other in one buffer that JavaScript views in place: no
//! allocation and no crossing a packet.

use core::net::{IpAddr, SocketAddr};

#[cfg(feature = "media")]
use offhook_core::host::Channel;

/// Packets that wait to be sent. Each is a head of [`HEAD`] bytes, little-endian, then the bytes:
///
/// | offset | size | what                                       |
/// |--------|------|--------------------------------------------|
/// | 0      | 4    | how many bytes follow the head             |
/// | 4      | 4    | the number of the flow or the media port   |
/// | 8      | 1    | [`Lane`]                                   |
/// | 9      | 1    | 4 or 6: the family of the address          |
/// | 10     | 2    | where to: the port                         |
/// | 12     | 16   | where to: the address, its first 4 of IPv4 |
#[derive(Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
}

/// How long the head of a packet is.
pub(crate) const HEAD: usize = 28;

/// Which socket sends a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lane {
    /// The flow.
    #[cfg(all(feature = "phone", not(feature = "sim")))]
    Signalling = 0,
    /// The media port's RTP socket.
    Rtp = 1,
    /// The media port's RTCP socket.
    Rtcp = 2,
}

impl Outbox {
    pub(crate) fn push(&mut self, lane: Lane, socket: u64, to: SocketAddr, packet: &[u8]) {
        // A datagram is at most 65,535 bytes long, and socket numbers count from zero.
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let socket = u32::try_from(socket).unwrap_or(u32::MAX);
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4..8].copy_from_slice(&socket.to_le_bytes());
        head[8] = lane as u8;
        head[10..12].copy_from_slice(&to.port().to_le_bytes());
        match to.ip() {
            IpAddr::V4(ip) => {
                head[9] = 4;
                head[12..16].copy_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                head[9] = 6;
                head[12..].copy_from_slice(&ip.octets());
            }
        }
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(packet);
    }

    /// Where the packets stand in memory, and how many bytes they are.
    pub(crate) fn span(&self) -> (*const u8, usize) {
        (self.bytes.as_ptr(), self.bytes.len())
    }

    /// Forgets the packets and keeps the room.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Reads a packet that came, written as those that leave, with the address it came from: its channel,
/// the number of its media port, where it came from, and its bytes.
#[cfg(feature = "media")]
pub(crate) fn media_packet(input: &[u8]) -> Option<(Channel, u64, SocketAddr, &[u8])> {
    let (head, bytes) = input.split_first_chunk::<HEAD>()?;
    let word = |at: usize| head.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word));
    if word(0)? as usize != bytes.len() {
        return None;
    }
    let channel = match head[8] {
        1 => Channel::Rtp,
        2 => Channel::Rtcp,
        _ => return None,
    };
    let ip: IpAddr = match head[9] {
        4 => head.get(12..)?.first_chunk::<4>().copied()?.into(),
        6 => head.get(12..)?.first_chunk::<16>().copied()?.into(),
        _ => return None,
    };
    let port = u16::from_le_bytes([head[10], head[11]]);
    Some((channel, word(4)?.into(), SocketAddr::new(ip, port), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_stand_one_after_the_other() {
        let mut outbox = Outbox::default();
        outbox.push(Lane::Rtcp, 258, "192.0.2.7:5061".parse().unwrap(), b"one");
        outbox.push(Lane::Signalling, 0, "[2001:db8::1]:5060".parse().unwrap(), b"");
        let (head, rest) = outbox.bytes.split_at(HEAD);
        assert_eq!(head[..12], [3, 0, 0, 0, 2, 1, 0, 0, 2, 4, 197, 19]);
        assert_eq!(head[12..], [192, 0, 2, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&rest[..3], b"one");
        assert_eq!(rest.len(), 3 + HEAD);
        assert_eq!(rest[3 + 8..3 + 16], [0, 6, 196, 19, 0x20, 0x01, 0x0d, 0xb8]);
        outbox.clear();
        assert_eq!(outbox.span().1, 0);
    }
}
