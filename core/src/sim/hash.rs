//! The hash of a run: FNV-1a, 64 bits. The same on every machine and in every release.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

/// A running hash. Every item is written with its length or a fixed size, so that no two different
/// sequences of items write the same bytes.
#[derive(Clone, Debug)]
pub(super) struct TraceHash(u64);

impl TraceHash {
    pub(super) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(super) const fn value(&self) -> u64 {
        self.0
    }

    pub(super) fn number(&mut self, number: u64) {
        self.raw(&number.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    pub(super) fn address(&mut self, address: SocketAddr) {
        match address.ip() {
            IpAddr::V4(ip) => self.bytes(&ip.octets()),
            IpAddr::V6(ip) => self.bytes(&ip.octets()),
        }
        self.raw(&address.port().to_le_bytes());
    }

    /// Text whose length is not known before it is written; ended by a byte UTF-8 never has.
    pub(super) fn debug(&mut self, what: &dyn fmt::Debug) {
        // Writing to a hash cannot fail; a Debug that fails by itself is cut off there.
        let _ = fmt::write(self, format_args!("{what:?}"));
        self.raw(&[0xff]);
    }

    fn raw(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl fmt::Write for TraceHash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.raw(text.as_bytes());
        Ok(())
    }
}
