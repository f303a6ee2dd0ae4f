//! Our own tags (RFC 3261 §19.3).

use core::fmt;

/// A tag that we made: 64 random bits, 16 hexadecimal digits on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Tag(u64);

impl Tag {
    pub(crate) fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// The tag of a message, if it can be one of ours: byte for byte as we write them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let ours = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        u64::from_str_radix(text, 16).ok().filter(|_| ours).map(Self)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 16];
        for (digit, shift) in digits.iter_mut().rev().zip((0..64).step_by(4)) {
            *digit = b"0123456789abcdef"[(self.0 >> shift & 0xf) as usize];
        }
        f.write_str(core::str::from_utf8(&digits).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_write_is_read() {
        let tag = Tag::new(0x0012_3456_789a_bcde);
        assert_eq!(tag.to_string(), "00123456789abcde");
        assert_eq!(Tag::parse("00123456789abcde"), Some(tag));
        for other in ["", "123456789abcde", "00123456789ABCDE", "+0123456789abcde", "x"] {
            assert_eq!(Tag::parse(other), None, "{other}");
        }
    }
}
