//! The types of capsules, and how long the value of each may be.

use super::{
    Capsule, LARGEST_DATA, LARGEST_LIST, LARGEST_MESSAGE, LARGEST_PACKET, LARGEST_TEXT,
    LARGEST_TOKEN,
};

/// DATAGRAM (RFC 9297 §3.5).
pub(super) const DATAGRAM: u64 = 0;
/// The first type of this protocol. The 64 from here on are numbered: each end counts them.
pub(super) const FIRST: u64 = 0x0ff4_0000;
/// The first that is not numbered, and the end of those.
pub(super) const UNNUMBERED: u64 = FIRST + 0x40;
pub(super) const END: u64 = FIRST + 0x80;

pub(super) const BIND: u64 = FIRST;
pub(super) const RELEASE: u64 = FIRST + 0x01;
pub(super) const ASSIGN: u64 = FIRST + 0x02;
pub(super) const UNASSIGN: u64 = FIRST + 0x03;
pub(super) const OPEN: u64 = FIRST + 0x04;
pub(super) const CLOSE: u64 = FIRST + 0x05;
pub(super) const RESOLVE: u64 = FIRST + 0x06;
pub(super) const TOKEN: u64 = FIRST + 0x07;
pub(super) const CREDIT: u64 = FIRST + 0x08;
pub(super) const DATA: u64 = FIRST + 0x09;
pub(super) const BOUND: u64 = FIRST + 0x0a;
pub(super) const REFUSED: u64 = FIRST + 0x0b;
pub(super) const OPENED: u64 = FIRST + 0x0c;
pub(super) const RESOLVED: u64 = FIRST + 0x0d;

pub(super) const AUTHENTICATE: u64 = UNNUMBERED;
pub(super) const READY: u64 = UNNUMBERED + 0x01;
pub(super) const DENIED: u64 = UNNUMBERED + 0x02;
pub(super) const ACKNOWLEDGE: u64 = UNNUMBERED + 0x03;
pub(super) const PING: u64 = UNNUMBERED + 0x04;
pub(super) const PONG: u64 = UNNUMBERED + 0x05;
pub(super) const DRAINING: u64 = UNNUMBERED + 0x06;
pub(super) const LEAVE: u64 = UNNUMBERED + 0x07;

impl Capsule<'_> {
    /// Whether it is counted and kept until it is acknowledged.
    pub fn is_numbered(&self) -> bool {
        (FIRST..UNNUMBERED).contains(&self.kind())
    }

    pub(super) fn kind(&self) -> u64 {
        match self {
            Self::Datagram { .. } => DATAGRAM,
            Self::Authenticate(_) => AUTHENTICATE,
            Self::Ready(_) => READY,
            Self::Denied { .. } => DENIED,
            Self::Acknowledge { .. } => ACKNOWLEDGE,
            Self::Ping { .. } => PING,
            Self::Pong { .. } => PONG,
            Self::Draining { .. } => DRAINING,
            Self::Leave => LEAVE,
            Self::Bind { .. } => BIND,
            Self::Release { .. } => RELEASE,
            Self::Assign { .. } => ASSIGN,
            Self::Unassign { .. } => UNASSIGN,
            Self::Open { .. } => OPEN,
            Self::Close { .. } => CLOSE,
            Self::Resolve { .. } => RESOLVE,
            Self::Token { .. } => TOKEN,
            Self::Credit { .. } => CREDIT,
            Self::Data { .. } => DATA,
            Self::Bound { .. } => BOUND,
            Self::Refused { .. } => REFUSED,
            Self::Opened { .. } => OPENED,
            Self::Resolved { .. } => RESOLVED,
            Self::Unknown { kind } => *kind,
        }
    }
}

/// The longest value of a type.
pub(super) fn limit(kind: u64) -> usize {
    match kind {
        DATAGRAM => 8 + LARGEST_PACKET,
        DATA => 8 + LARGEST_DATA,
        AUTHENTICATE => LARGEST_TOKEN + 64,
        TOKEN => LARGEST_TOKEN + 8,
        OPENED | RESOLVED => LARGEST_LIST + 64,
        OPEN | RESOLVE => 512,
        DENIED | REFUSED => LARGEST_TEXT + 64,
        READY => 128,
        ASSIGN | BIND | BOUND => 64,
        CREDIT => 16,
        LEAVE => 0,
        FIRST..END if kind <= RESOLVED || (UNNUMBERED..=LEAVE).contains(&kind) => 8,
        _ => LARGEST_MESSAGE,
    }
}
