//! Blocks of addresses in CIDR notation (RFC 4632, RFC 4291 §2.3).

use crate::quoted::Quoted;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use core::str::FromStr;

/// A block of addresses, IPv4 or IPv6 (pyVoIP's `bind_network`): `192.168.0.0/16`. A block of
/// prefix length 0 holds every address of both families; the default is `0.0.0.0/0`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The addresses that share their first `prefix` bits with `address`; `None` when an address of
    /// that family has fewer bits.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let width = if address.is_ipv4() { 32 } else { 128 };
        (prefix <= width).then_some(Self { address, prefix })
    }

    /// Whether the address is in the block. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        if self.prefix == 0 {
            return true;
        }
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(block), IpAddr::V4(address)) => {
                let low_bits = 32_u32.saturating_sub(u32::from(self.prefix));
                (block.to_bits() ^ address.to_bits()).checked_shr(low_bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(block), IpAddr::V6(address)) => {
                let low_bits = 128_u32.saturating_sub(u32::from(self.prefix));
                (block.to_bits() ^ address.to_bits()).checked_shr(low_bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self { address: Ipv4Addr::UNSPECIFIED.into(), prefix: 0 }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// A text that is no block of addresses.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{} is not a network: write an address and a prefix length, as 192.168.0.0/16", Quoted(.text))]
pub struct NetworkError {
    text: String,
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `192.168.0.0/16` or `fd00::/8`; a bare address is a block of one.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let parse = || {
            let address: IpAddr = address.parse().ok()?;
            let prefix = match prefix {
                // `u8::from_str` takes a leading plus.
                Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                    digits.parse().ok()?
                }
                Some(_) => return None,
                None if address.is_ipv4() => 32,
                None => 128,
            };
            Self::new(address, prefix)
        };
        parse().ok_or_else(|| NetworkError { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_block_holds_what_shares_its_prefix() {
        assert!(holds("192.168.0.0/16", "192.168.255.1"));
        assert!(!holds("192.168.0.0/16", "192.169.0.0"));
        assert!(holds("10.0.0.1/32", "10.0.0.1"));
        assert!(!holds("10.0.0.1/32", "10.0.0.0"));
        assert!(holds("10.0.0.128/25", "10.0.0.255"));
        assert!(!holds("10.0.0.128/25", "10.0.0.127"));
        assert!(holds("10.0.0.7", "10.0.0.7"));
        // Bits beyond the prefix do not count.
        assert!(holds("10.1.2.3/8", "10.200.0.1"));
    }

    #[test]
    fn ipv6_and_mapped_addresses() {
        assert!(holds("fd00::/8", "fdff::1"));
        assert!(!holds("fd00::/8", "fe00::1"));
        assert!(holds("2001:db8::1/128", "2001:db8::1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!holds("10.0.0.0/8", "fd00::1"));
    }

    #[test]
    fn a_prefix_of_zero_is_everybody() {
        assert!(holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "203.0.113.1"));
        assert!(Network::default().contains("198.51.100.1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in ["", "/", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0/8", "a/8", "::/+1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        assert_eq!("10.0.0.0/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    }
}
