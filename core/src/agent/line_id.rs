//! The number of a line, and where a line leaves it.

use core::fmt;

use crate::host::RequestId;

/// The number of a line of a switchboard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LineId(pub(crate) u16);

impl LineId {
    /// How many digits it has in a branch.
    const DIGITS: usize = 4;
    /// Where it stands in the number of a request: above all those that a phone ever uses, and
    /// within what a double holds, which is what JavaScript counts in.
    const REQUEST_SHIFT: u32 = 40;
    /// Where it stands in a tag, of which 48 random bits are left (RFC 3261 §19.3 asks for 32).
    const TAG_SHIFT: u32 = 48;

    /// The bits of a tag of this line, made of random ones.
    pub(crate) fn in_tag(self, random: u64) -> u64 {
        u64::from(self.0) << Self::TAG_SHIFT | random & ((1 << Self::TAG_SHIFT) - 1)
    }

    /// The line that a tag names.
    pub(crate) fn of_tag(bits: u64) -> Self {
        Self(u16::try_from(bits >> Self::TAG_SHIFT).unwrap_or(u16::MAX))
    }

    /// The number of the last request to the host before the first of this line.
    pub(crate) fn first_request(self) -> u64 {
        u64::from(self.0) << Self::REQUEST_SHIFT
    }

    /// The line that has asked the host.
    pub(crate) fn of_request(RequestId(number): RequestId) -> Self {
        Self(u16::try_from(number >> Self::REQUEST_SHIFT).unwrap_or(u16::MAX))
    }

    /// What the random part of a branch of this line begins with.
    pub(crate) fn in_branch(self) -> String {
        format!("{:0width$x}", self.0, width = Self::DIGITS)
    }

    /// The line that a branch names, given what comes after the cookie.
    pub(crate) fn of_branch(after_cookie: &str) -> Option<Self> {
        u16::from_str_radix(after_cookie.get(..Self::DIGITS)?, 16).ok().map(Self)
    }

    /// The line that the parameter `line` of a URI names.
    pub(crate) fn of_param(text: &str) -> Option<Self> {
        text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok().map(Self))?
    }
}

impl From<LineId> for u16 {
    fn from(LineId(number): LineId) -> Self {
        number
    }
}

impl From<u16> for LineId {
    /// The line of that number, which need not be on any switchboard.
    fn from(number: u16) -> Self {
        Self(number)
    }
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
