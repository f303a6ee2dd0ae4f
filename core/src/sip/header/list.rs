//! Values joined by commas (RFC 3261 §7.3.1).

use memchr::memchr;

use crate::sip::chars::trim;
use crate::sip::header::params::quoted_end;

/// The values of one field, split at commas outside quotes and angle brackets; empty ones left out.
#[derive(Clone, Debug)]
pub(crate) struct Values<'a> {
    rest: Option<&'a str>,
}

impl<'a> Values<'a> {
    #[inline]
    pub(crate) fn new(text: &'a str) -> Self {
        Self { rest: Some(text) }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let rest = self.rest?;
            let end = comma(rest.as_bytes());
            self.rest = end.and_then(|end| rest.get(end + 1..));
            let value = trim(rest.get(..end.unwrap_or(rest.len()))?);
            if !value.is_empty() {
                return Some(value);
            }
        }
    }
}

/// The first comma outside quotes and angle brackets. A quote or bracket that does not end runs to
/// the end of the text, and the value is then found malformed where it is read.
pub(crate) fn comma(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    memchr(b',', text)?;
    while let Some(&b) = text.get(at) {
        at = match b {
            b',' => return Some(at),
            b'"' => quoted_end(text, at).ok()?,
            b'<' => at + text.get(at..)?.iter().position(|&b| b == b'>')? + 1,
            _ => at + 1,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_split() {
        let all = |text| Values::new(text).collect::<Vec<_>>();
        assert_eq!(
            all("\"Bell, A\" <sip:a,b@c>;x=\"1,\\\",2\", <sip:d> ,sip:e"),
            ["\"Bell, A\" <sip:a,b@c>;x=\"1,\\\",2\"", "<sip:d>", "sip:e"]
        );
        assert_eq!(all("a,, b ,"), ["a", "b"]);
        assert_eq!(all(" "), [""; 0]);
        assert_eq!(all("\"open, b"), ["\"open, b"]);
    }
}
