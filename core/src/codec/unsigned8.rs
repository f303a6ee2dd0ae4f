//! Samples of 8 bits without a sign, as pyVoIP's applications have them.

/// The linear sample of one of 8 bits unsigned, of which 0x80 is silence: `(u8 - 128) << 8`. A 0x80
/// that was written is sent as silence, like any other sample.
///
/// ```
/// use offhook_core::codec::from_unsigned8;
/// assert_eq!([0, 0x80, 0xff].map(from_unsigned8), [-32_768, 0, 32_512]);
/// ```
pub const fn from_unsigned8(sample: u8) -> i16 {
    (sample as i16 - 0x80) << 8
}

/// The sample of 8 bits unsigned nearest below: `(sample >> 8) + 128`. The lower half is lost, and
/// with it 20 dB and more of quiet speech, so nothing here does it unasked.
///
/// ```
/// use offhook_core::codec::to_unsigned8;
/// assert_eq!([-32_768, -1, 0, 32_767].map(to_unsigned8), [0, 0x7f, 0x80, 0xff]);
/// ```
pub const fn to_unsigned8(sample: i16) -> u8 {
    ((sample >> 8) + 0x80) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        for byte in 0..=u8::MAX {
            assert_eq!(to_unsigned8(from_unsigned8(byte)), byte);
        }
        assert_eq!(from_unsigned8(0x80), 0, "silence");
    }
}
