//! The fields of a capsule: integers of variable length (RFC 9000 §16), texts, addresses.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The largest integer that can be written.
pub(super) const LARGEST: u64 = (1 << 62) - 1;

/// Reads fields off the front of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let more = (1_usize << (first >> 6)) - 1;
        let low = self
            .bytes(more)?
            .iter()
            .fold(u64::from(first & 0x3f), |value, byte| (value << 8) | u64::from(*byte));
        Some(low)
    }

    /// An integer that has to fit a smaller type.
    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.varint()?).ok()
    }

    /// A text: its length in bytes, and UTF-8.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = self.small()?;
        core::str::from_utf8(self.bytes(length)?).ok()
    }

    /// 4 or 6, and the bytes of the address.
    pub(super) fn ip(&mut self) -> Option<IpAddr> {
        match self.byte()? {
            4 => Some(Ipv4Addr::from(self.array::<4>()?).into()),
            6 => Some(Ipv6Addr::from(self.array::<16>()?).into()),
            _ => None,
        }
    }

    /// An IP address and a port.
    pub(super) fn address(&mut self) -> Option<SocketAddr> {
        let ip = self.ip()?;
        Some(SocketAddr::new(ip, u16::from_be_bytes(self.array()?)))
    }
}

/// Writes an integer in as few bytes as hold it; one that is too large as the largest.
pub(super) fn put_varint(out: &mut Vec<u8>, value: u64) {
    let value = value.min(LARGEST);
    let bytes = value.to_be_bytes();
    let (length, mark) = match value {
        0..=0x3f => (1, 0x00),
        0x40..=0x3fff => (2, 0x40),
        0x4000..=0x3fff_ffff => (4, 0x80),
        _ => (8, 0xc0),
    };
    let start = out.len();
    out.extend(bytes.iter().skip(bytes.len() - length));
    if let Some(first) = out.get_mut(start) {
        *first |= mark;
    }
}

/// How many bytes [`put_varint`] writes.
pub(super) const fn varint_length(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn put_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend(ip.octets());
        }
    }
}

pub(super) fn put_address(out: &mut Vec<u8>, address: SocketAddr) {
    put_ip(out, address.ip());
    out.extend(address.port().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_9000_a_1() {
        for (bytes, value) in [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
        ] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!((out.as_slice(), varint_length(value)), (bytes, bytes.len()));
            let mut reader = Reader::new(bytes);
            assert_eq!((reader.varint(), reader.is_empty()), (Some(value), true));
        }
        assert_eq!(Reader::new(&[0x40, 0x25]).varint(), Some(37), "in more bytes than it needs");
        assert_eq!(Reader::new(&[0xc0, 0, 0]).varint(), None);
    }

    #[test]
    fn addresses_of_both_families() {
        for text in ["192.0.2.1:5060", "[2001:db8::1]:65535"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut out = Vec::new();
            put_address(&mut out, address);
            assert_eq!(Reader::new(&out).address(), Some(address));
            assert_eq!(Reader::new(&out[1..]).address(), None);
        }
    }
}
