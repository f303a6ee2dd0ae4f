//! Numbers: CSeq, Expires, Max-Forwards, Retry-After.

use crate::sip::chars::{Span, TOKEN, decimal, run, skip_space};
use crate::sip::error::Malformed;

/// What a malformed expiry counts as, in seconds (RFC 3261 §10.2.1.1).
pub(crate) const DEFAULT_EXPIRES: u32 = 3_600;

/// `314159 INVITE` (§20.16): the number, and where the method stands.
#[inline]
pub(crate) fn cseq(value: &str) -> Result<(u32, Span), Malformed> {
    let text = value.as_bytes();
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let number = text.get(..end).and_then(decimal);
    let number = number.ok_or(Malformed::new("the sequence number is none of 32 bits", 0))?;
    let from = skip_space(text, end);
    let to = run(text, from, TOKEN);
    if from == end || to == from || to != text.len() {
        return Err(Malformed::new("the method is no token", from));
    }
    Ok((number, Span::new(from, to)))
}

/// Delta-seconds (§25.1); what cannot be read or does not fit counts as [`DEFAULT_EXPIRES`].
pub(crate) fn expires(value: &str) -> u32 {
    decimal(value.as_bytes()).unwrap_or(DEFAULT_EXPIRES)
}

/// The number a value begins with, before a comment or parameters: Retry-After (§20.33).
pub(crate) fn leading(value: &str) -> Option<u32> {
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    decimal(value.as_bytes().get(..end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cseq_limits() {
        assert_eq!(cseq("4294967295 INVITE").map(|c| c.0), Ok(u32::MAX));
        assert_eq!(cseq("0009  INVITE").map(|c| c.0), Ok(9));
        for bad in ["4294967296 INVITE", "INVITE", "1", "1INVITE", "1 ", "-1 INVITE", "1 A B", ""] {
            assert!(cseq(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn expiry_that_does_not_fit_is_the_default() {
        assert_eq!(expires("0"), 0);
        assert_eq!(expires("4294967295"), u32::MAX);
        assert_eq!(expires("4294967296"), DEFAULT_EXPIRES);
        assert_eq!(expires("soon"), DEFAULT_EXPIRES);
        assert_eq!(leading("18000;duration=3600"), Some(18_000));
        assert_eq!(leading("120 (I'm in a meeting)"), Some(120));
        assert_eq!(leading("949302838503028349304023988"), None);
    }
}
