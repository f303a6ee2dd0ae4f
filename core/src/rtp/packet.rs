//! RTP packets (RFC 3550 §5.1), borrowed from the datagram that carried them.

/// What stands at the head of every packet that we send.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Header {
    /// What the payload is, 0 to 127.
    pub payload_type: u8,
    /// For audio: the first packet after a silence (RFC 3551 §4.1).
    pub marker: bool,
    /// Counts packets.
    pub sequence: u16,
    /// Counts samples of the payload's clock.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

impl Header {
    /// How many bytes a header without contributing sources and extension takes.
    pub const LENGTH: usize = 12;

    /// The header's bytes, for a packet with nothing between header and payload.
    #[inline]
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[0] = VERSION << 6;
        bytes[1] = (u8::from(self.marker) << 7) | (self.payload_type & 0x7F);
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }

    /// Writes the packet into `buffer`, in place of what it held.
    #[inline]
    pub fn write(&self, payload: &[u8], buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(&self.to_bytes());
        buffer.extend_from_slice(payload);
    }
}

/// A received packet. Everything in it lies within the datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// The fixed header.
    pub header: Header,
    /// The contributing sources, four bytes each.
    csrc: &'a [u8],
    /// The header extension, if there is one.
    pub extension: Option<Extension<'a>>,
    /// What it carries, without padding; may be empty.
    pub payload: &'a [u8],
}

/// A header extension (RFC 3550 §5.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extension<'a> {
    /// The 16 bits that the profile defines.
    pub profile: u16,
    /// A whole number of 32-bit words.
    pub data: &'a [u8],
}

/// Why a datagram is not an RTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// Shorter than the fixed header.
    #[error("shorter than an RTP header")]
    Short,
    /// The version is not 2.
    #[error("not RTP version 2")]
    Version,
    /// The contributing sources go beyond its end.
    #[error("contributing sources beyond the packet's end")]
    ContributingSources,
    /// The header extension goes beyond its end.
    #[error("a header extension beyond the packet's end")]
    Extension,
    /// More padding than there is room, or none where some was announced.
    #[error("padding beyond the packet's start")]
    Padding,
}

const VERSION: u8 = 2;

impl<'a> Packet<'a> {
    /// Reads a datagram. No length in it is accepted before it was checked.
    #[inline]
    pub fn parse(datagram: &'a [u8]) -> Result<Self, PacketError> {
        let Some((fixed, mut rest)) = datagram.split_first_chunk::<{ Header::LENGTH }>() else {
            return Err(PacketError::Short);
        };
        let [flags, kind, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *fixed;
        if flags >> 6 != VERSION {
            return Err(PacketError::Version);
        }
        let header = Header {
            payload_type: kind & 0x7F,
            marker: kind & 0x80 != 0,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
        };
        // The common packet has nothing between header and payload, and nothing after it.
        if flags & 0x3F == 0 {
            return Ok(Self { header, csrc: &[], extension: None, payload: rest });
        }
        let count = usize::from(flags & 0x0F);
        let Some((csrc, after)) = rest.split_at_checked(4 * count) else {
            return Err(PacketError::ContributingSources);
        };
        rest = after;
        let mut extension = None;
        if flags & 0x10 != 0 {
            let Some((&[p0, p1, l0, l1], after)) = rest.split_first_chunk::<4>() else {
                return Err(PacketError::Extension);
            };
            let words = usize::from(u16::from_be_bytes([l0, l1]));
            let Some((data, after)) = after.split_at_checked(4 * words) else {
                return Err(PacketError::Extension);
            };
            extension = Some(Extension { profile: u16::from_be_bytes([p0, p1]), data });
            rest = after;
        }
        if flags & 0x20 != 0 {
            // The last byte counts the padding, itself included.
            let padding = rest.last().copied().map_or(0, usize::from);
            rest = match rest.len().checked_sub(padding) {
                Some(length) if padding > 0 => rest.get(..length).unwrap_or_default(),
                _ => return Err(PacketError::Padding),
            };
        }
        Ok(Self { header, csrc, extension, payload: rest })
    }

    /// The contributing sources, at most 15.
    pub fn contributing_sources(&self) -> impl Iterator<Item = u32> + 'a {
        self.csrc.chunks_exact(4).filter_map(|c| c.try_into().ok().map(u32::from_be_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        payload_type: 8,
        marker: true,
        sequence: 0xFFFE,
        timestamp: 0x0102_0304,
        ssrc: 0xDEAD_BEEF,
    };

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = vec![9; 3];
        HEADER.write(&[1, 2, 3], &mut bytes);
        assert_eq!(
            bytes,
            [0x80, 0x88, 0xFF, 0xFE, 1, 2, 3, 4, 0xDE, 0xAD, 0xBE, 0xEF, 1, 2, 3],
            "the wire format of §5.1"
        );
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.header, HEADER);
        assert_eq!(packet.payload, [1, 2, 3]);
        assert_eq!(packet.contributing_sources().count(), 0);
    }

    fn decorated() -> Vec<u8> {
        let mut bytes = HEADER.to_bytes().to_vec();
        bytes[0] |= 0x20 | 0x10 | 2;
        bytes.extend([0, 0, 0, 7, 0, 0, 0, 8]);
        bytes.extend([0xBE, 0xDE, 0, 1, 10, 11, 12, 13]);
        bytes.extend([5, 6, 7]);
        bytes.extend([0, 0, 0, 4]);
        bytes
    }

    #[test]
    fn sources_extension_and_padding_are_not_payload() {
        let bytes = decorated();
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.contributing_sources().collect::<Vec<_>>(), [7, 8]);
        let extension = Extension { profile: 0xBEDE, data: &[10, 11, 12, 13] };
        assert_eq!(packet.extension, Some(extension));
        assert_eq!(packet.payload, [5, 6, 7]);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let error = |bytes: &[u8]| Packet::parse(bytes).unwrap_err();
        assert_eq!(error(&[]), PacketError::Short);
        assert_eq!(error(&[0x80; 11]), PacketError::Short);
        assert_eq!(error(&[0x40; 12]), PacketError::Version);
        let mut bytes = HEADER.to_bytes();
        bytes[0] = 0x81;
        assert_eq!(error(&bytes), PacketError::ContributingSources);
        bytes[0] = 0x90;
        assert_eq!(error(&bytes), PacketError::Extension);
        assert_eq!(
            error(&[&bytes[..], &[0, 0, 0xFF, 0xFF, 1, 2, 3, 4]].concat()),
            PacketError::Extension
        );
        bytes[0] = 0xA0;
        assert_eq!(error(&bytes), PacketError::Padding, "nothing there to count it");
        assert_eq!(error(&[&bytes[..], &[1, 2, 0]].concat()), PacketError::Padding);
        assert_eq!(error(&[&bytes[..], &[1, 2, 4]].concat()), PacketError::Padding);
        let all_padding = [&bytes[..], &[1, 2, 3]].concat();
        assert_eq!(Packet::parse(&all_padding).unwrap().payload, []);
    }

    #[test]
    fn no_truncation_and_no_flipped_bit_panics() {
        let bytes = decorated();
        for length in 0..bytes.len() {
            let _ = Packet::parse(&bytes[..length]);
            for bit in 0..length * 8 {
                let mut mutated = bytes[..length].to_vec();
                mutated[bit / 8] ^= 1 << (bit % 8);
                if let Ok(packet) = Packet::parse(&mutated) {
                    assert!(packet.payload.len() <= length - Header::LENGTH);
                }
            }
        }
    }
}
