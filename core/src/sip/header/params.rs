//! Parameters: `;name`, `;name=value`, `;name="quoted value"` (RFC 3261 §7.3.1, §25.1).

use core::fmt;

use crate::sip::chars::{TOKEN, VALUE, run, skip_space};
use crate::sip::error::Malformed;

/// One parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Param<'a> {
    /// The name, as it came; compare without case.
    pub name: &'a str,
    /// The value, as it came, with its quotes if it has them; `None` when there is no `=`.
    pub value: Option<&'a str>,
}

impl<'a> Param<'a> {
    /// The value without quotes, escapes inside left alone; empty when there is none.
    pub fn text(&self) -> &'a str {
        let value = self.value.unwrap_or_default();
        value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value)
    }
}

impl fmt::Display for Param<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            Some(value) => write!(f, ";{}={value}", self.name),
            None => write!(f, ";{}", self.name),
        }
    }
}

/// Parameters, in order. Made of text that was checked when it was parsed.
#[derive(Clone, Debug)]
pub struct Params<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Params<'a> {
    /// `text` begins with the first semicolon or is empty.
    #[inline]
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The first parameter of that name, in any case.
    pub fn find(self, name: &str) -> Option<Param<'a>> {
        let mut params = self;
        Iterator::find(&mut params, |p| p.name.eq_ignore_ascii_case(name))
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        let (name, value, end) = step(self.text.as_bytes(), self.at).ok()??;
        self.at = end;
        let text = self.text;
        Some(Param {
            name: text.get(name.0..name.1)?,
            value: value.and_then(|(from, to)| text.get(from..to)),
        })
    }
}

/// The value of a header field without its parameters.
pub(crate) fn head(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

type Range = (usize, usize);

/// Reads one parameter that begins at or after `at`: its name, its value, and where it ends. `None`
/// when there is none: the text ends, or something other than a semicolon follows.
#[inline]
pub(crate) fn step(
    text: &[u8],
    at: usize,
) -> Result<Option<(Range, Option<Range>, usize)>, Malformed> {
    let at = skip_space(text, at);
    if text.get(at) != Some(&b';') {
        return Ok(None);
    }
    let from = skip_space(text, at + 1);
    let to = run(text, from, TOKEN);
    if to == from {
        return Err(Malformed::new("a parameter has no name", from));
    }
    let equal = skip_space(text, to);
    if text.get(equal) != Some(&b'=') {
        return Ok(Some(((from, to), None, to)));
    }
    let start = skip_space(text, equal + 1);
    let end = match text.get(start) {
        Some(b'"') => quoted_end(text, start)?,
        _ => run(text, start, VALUE),
    };
    Ok(Some(((from, to), Some((start, end)), end)))
}

/// Checks the parameters from `at` on, shows each to `visit`, and returns where they end: at the end
/// of the text or at what is no semicolon.
#[inline]
pub(crate) fn walk(
    text: &[u8],
    mut at: usize,
    mut visit: impl FnMut(&[u8], Range),
) -> Result<usize, Malformed> {
    while let Some((name, value, end)) = step(text, at)? {
        visit(text.get(name.0..name.1).unwrap_or_default(), value.unwrap_or((end, end)));
        at = end;
    }
    Ok(skip_space(text, at))
}

/// The position after the quoted string that begins at `start` (§25.1: a backslash quotes one byte).
pub(crate) fn quoted_end(text: &[u8], start: usize) -> Result<usize, Malformed> {
    let mut at = start + 1;
    while let Some(&b) = text.get(at) {
        match b {
            b'"' => return Ok(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    Err(Malformed::new("a quoted string does not end", start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_values_and_quotes() {
        let params = Params::new(";lr; Q = 0.33 ;+sip.instance=\"<urn:x;\\\"y>\";r=[::1]");
        let all: Vec<_> = params.clone().map(|p| (p.name, p.value)).collect();
        assert_eq!(
            all,
            [
                ("lr", None),
                ("Q", Some("0.33")),
                ("+sip.instance", Some("\"<urn:x;\\\"y>\"")),
                ("r", Some("[::1]")),
            ]
        );
        assert_eq!(params.clone().find("q").map(|p| p.text()), Some("0.33"));
        assert_eq!(params.clone().find("+SIP.instance").map(|p| p.text()), Some("<urn:x;\\\"y>"));
        assert!(params.find("x").is_none());
    }

    #[test]
    fn what_is_malformed_is_said() {
        let check = |text: &str| walk(text.as_bytes(), 0, |_, _| {}).map_err(|e| e.at);
        assert_eq!(check(";;"), Err(1));
        assert_eq!(check("; ,"), Err(2));
        assert_eq!(check(";a=\"b"), Err(3));
        assert_eq!(check(";a=\"b\\\""), Err(3));
        assert_eq!(check(";a=b , c"), Ok(5));
        assert_eq!(check(""), Ok(0));
    }
}
