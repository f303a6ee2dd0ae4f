//! Whether media may come from elsewhere than signalling said.

use crate::quoted::Quoted;
use core::str::FromStr;

/// How far the far end of RTP may differ from its address in SDP (RFC 4961: a peer that sends from
/// where it receives is found behind its NAT by what it sends). We always send from where we receive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum SymmetricRtp {
    /// Nowhere else: packets from any other address or port are dropped. A peer behind a NAT that
    /// does not know its address is not heard.
    Off,
    /// At the address and port from which packets of an agreed type come in sequence, in the first 5 s
    /// when none came from the address in SDP, later after half a second of them while the one in
    /// use is silent.
    #[default]
    FirstPacket,
    /// The same, but only at another port of the address in SDP.
    SameAddress,
}

impl SymmetricRtp {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::FirstPacket, Self::SameAddress];

    /// The name in options: `first-packet`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::FirstPacket => "first-packet",
            Self::SameAddress => "same-address",
        }
    }
}

/// A text that names no mode.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{} is not off, first-packet or same-address", Quoted(.text))]
pub struct SymmetricRtpError {
    text: String,
}

impl FromStr for SymmetricRtp {
    type Err = SymmetricRtpError;

    fn from_str(text: &str) -> Result<Self, SymmetricRtpError> {
        let named = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        named.ok_or_else(|| SymmetricRtpError { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_have_names() {
        for mode in SymmetricRtp::ALL {
            assert_eq!(mode.as_str().parse(), Ok(mode));
        }
        assert!("strict".parse::<SymmetricRtp>().is_err());
    }
}
