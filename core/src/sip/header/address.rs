//! Name and address: From, To, Contact, Route, Record-Route, Reply-To, Refer-To,
//! P-Asserted-Identity (RFC 3261 §20.10, §20.20, §25.1).

use core::fmt;
use std::borrow::Cow;

use memchr::memchr;

use crate::sip::chars::{Span, TOKEN, all, is_space, skip_space, trim};
use crate::sip::error::Malformed;
use crate::sip::header::number;
use crate::sip::header::params::{Param, Params, quoted_end, walk};
use crate::sip::uri::{Uri, UriParts};
use crate::sip::{MAX_FIELD_BYTES, MAX_IDENTIFIER_BYTES};

/// `"Alice" <sip:alice@example.com;lr>;tag=1`, `sip:alice@example.com;tag=1` or the `*` of Contact.
#[derive(Clone, Copy)]
pub struct NameAddr<'a> {
    text: &'a str,
    parts: NameAddrParts,
}

/// Where the parts stand in the text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NameAddrParts {
    display: Span,
    uri: Span,
    uri_parts: UriParts,
    params: Span,
    tag: Span,
}

impl<'a> NameAddr<'a> {
    /// Parses one value. Outside angle brackets every parameter is the field's, none the URI's
    /// (§20.10).
    pub fn parse(value: &'a str) -> Result<Self, Malformed> {
        Ok(Self { text: value, parts: NameAddrParts::parse(value)? })
    }

    #[inline]
    pub(crate) const fn new(text: &'a str, parts: NameAddrParts) -> Self {
        Self { text, parts }
    }

    /// Whether it is the `*` of a Contact that removes every binding (§10.2.2).
    pub fn is_star(&self) -> bool {
        self.text == "*"
    }

    /// The display name without quotes and backslashes; empty when there is none.
    pub fn display_name(&self) -> Cow<'a, str> {
        unquote(self.parts.display.of(self.text))
    }

    /// The URI, as it came.
    pub fn uri_str(&self) -> &'a str {
        self.parts.uri.of(self.text)
    }

    /// The URI, typed.
    pub fn uri(&self) -> Uri<'a> {
        Uri::new(self.uri_str(), self.parts.uri_parts)
    }

    /// The tag of From and To.
    pub fn tag(&self) -> Option<&'a str> {
        (!self.parts.tag.is_empty()).then(|| self.parts.tag.of(self.text))
    }

    /// The `q` of Contact in thousandths, 0 to 1000; `None` without one, or when it cannot be read.
    pub fn q(&self) -> Option<u16> {
        thousandths(self.param("q")?.text())
    }

    /// The `expires` of Contact in seconds; what cannot be read counts as an hour (§10.2.1.1).
    pub fn expires(&self) -> Option<u32> {
        self.param("expires").map(|p| number::expires(p.text()))
    }

    /// A parameter of the field by name, in any case.
    pub fn param(&self, name: &str) -> Option<Param<'a>> {
        self.params().find(name)
    }

    /// All parameters of the field, in order.
    pub fn params(&self) -> Params<'a> {
        Params::new(self.parts.params.of(self.text))
    }

    /// The value, as it came.
    pub fn as_str(&self) -> &'a str {
        self.text
    }
}

impl fmt::Display for NameAddr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl fmt::Debug for NameAddr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NameAddr({})", self.text)
    }
}

impl NameAddrParts {
    /// Parses the whole of `value` as one value.
    pub(crate) fn parse(value: &str) -> Result<Self, Malformed> {
        if value.len() > MAX_FIELD_BYTES {
            return Err(Malformed::new("the value is too long", MAX_FIELD_BYTES));
        }
        let text = value.as_bytes();
        if text == b"*" {
            return Ok(Self::default());
        }
        let start = skip_space(text, 0);
        let mut parts = Self::default();
        let open = match text.get(start) {
            Some(b'"') => {
                let end = quoted_end(text, start)?;
                parts.display = Span::new(start, end);
                let open = skip_space(text, end);
                if text.get(open) != Some(&b'<') {
                    return Err(Malformed::new("no < after the display name", open));
                }
                Some(open)
            }
            _ => angle(text, start),
        };
        let (from, to, after) = match open {
            Some(open) => {
                if parts.display.is_empty() {
                    parts.display = trimmed(text, start, open);
                }
                let close = text.get(open..).and_then(|t| memchr(b'>', t));
                let close = open + close.ok_or(Malformed::new("< is not closed", open))?;
                (open + 1, close, close + 1)
            }
            None => {
                let rest = text.get(start..).unwrap_or_default();
                let end = memchr(b';', rest).map_or(text.len(), |n| start + n);
                (start, end, end)
            }
        };
        // RFC 4475 §3.1.2.14: spaces just inside the brackets do no harm.
        parts.uri = trimmed(text, from, to);
        let uri = parts.uri.of(value);
        parts.uri_parts =
            UriParts::parse(uri).map_err(|e| e.shift(usize::from(parts.uri.start)))?;
        // §20.10: a URI with a question mark (headers) or a comma stands in brackets.
        if open.is_none() && (uri.as_bytes().contains(&b'?') || uri.as_bytes().contains(&b',')) {
            return Err(Malformed::new("this URI needs angle brackets", parts.uri.start.into()));
        }
        let end = walk(text, after, |name, value| {
            if parts.tag.is_empty() && name.eq_ignore_ascii_case(b"tag") {
                parts.tag = Span::new(value.0, value.1);
            }
        })?;
        if end != text.len() {
            return Err(Malformed::new("neither a parameter nor the end", end));
        }
        parts.params = Span::new(after, end);
        if usize::from(parts.tag.end - parts.tag.start) > MAX_IDENTIFIER_BYTES {
            return Err(Malformed::new("the tag is too long", parts.tag.start.into()));
        }
        Ok(parts)
    }
}

/// The `<` after an unquoted display name. Names that are no tokens are taken (phones send them), but
/// not with what separates values or parameters.
fn angle(text: &[u8], start: usize) -> Option<usize> {
    let rest = text.get(start..)?;
    let at = rest.iter().position(|&b| matches!(b, b'<' | b',' | b';' | b'"'))?;
    (rest.get(at) == Some(&b'<')).then_some(start + at)
}

fn trimmed(text: &[u8], from: usize, mut to: usize) -> Span {
    let from = skip_space(text, from).min(to);
    while to > from && text.get(to - 1).is_some_and(|&b| is_space(b)) {
        to -= 1;
    }
    Span::new(from, to)
}

/// A q value (§25.1): `0.5`, `1`, `0.333`.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let valid = part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
    let part = part.bytes().chain(*b"000").take(3).fold(0u16, |n, b| n * 10 + u16::from(b & 15));
    match whole {
        "0" if valid => Some(part),
        "1" if valid && part == 0 => Some(1_000),
        _ => None,
    }
}

/// A quoted string without its quotes and backslashes; other text as it is.
fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else {
        return Cow::Borrowed(trim(text));
    };
    if !inner.as_bytes().contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut chars = inner.chars();
    let mut plain = String::with_capacity(inner.len());
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Cow::Owned(plain)
}

/// A display name as it is written: as it is when all its words are tokens, otherwise quoted with `"`
/// and `\` escaped (§25.1). Check it with [`check_value`](crate::sip::check_value) first.
pub(crate) fn quote(name: &str) -> Cow<'_, str> {
    if !name.is_empty() && name.split(' ').all(|word| all(word.as_bytes(), TOKEN)) {
        return Cow::Borrowed(name);
    }
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for c in name.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    Cow::Owned(quoted)
}

/// A name-addr: the URI in angle brackets, and before it the display name, if there is one.
pub(crate) fn name_addr(name: &str, uri: &str) -> String {
    match name.is_empty() {
        true => format!("<{uri}>"),
        false => format!("{} <{uri}>", quote(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> NameAddr<'_> {
        NameAddr::parse(value).unwrap_or_else(|e| panic!("{value}: {e}"))
    }

    #[test]
    fn names() {
        for (value, name) in [
            ("\"Alice \\\"A\\\" \\\\\" <sip:a@b>", "Alice \"A\" \\"),
            ("caller<sip:caller@example.com>;tag=323", "caller"),
            ("\"no space\"<sip:a@b>", "no space"),
            ("A. G. Bell <sip:a@b>", "A. G. Bell"),
            ("John (Office) <sip:a@b>", "John (Office)"),
            ("\"a < b; c, d\" <sip:a@b>", "a < b; c, d"),
            ("<sip:a@b>", ""),
            ("sip:a@b", ""),
            ("\"\" <sip:a@b>", ""),
        ] {
            assert_eq!(parse(value).display_name(), name);
        }
    }

    #[test]
    fn parameters_outside_brackets_are_the_fields() {
        // RFC 4475 §3.3.12, §3.3.13.
        let outside = parse("sip:+1972@gw1.example.net;unknownparam;tag=x");
        assert_eq!(outside.uri_str(), "sip:+1972@gw1.example.net");
        assert!(outside.param("unknownparam").is_some());
        assert_eq!(outside.tag(), Some("x"));
        let inside = parse("<sip:+1972@gw1.example.net;unknownparam>");
        assert!(inside.param("unknownparam").is_none());
        assert!(inside.uri().param("unknownparam").is_some());
    }

    #[test]
    fn contact_values() {
        assert!(parse("*").is_star());
        let contact = parse("<sip:a@b>;q=0.7;Expires=3600;+sip.instance=\"<urn:x>\"");
        assert_eq!((contact.q(), contact.expires()), (Some(700), Some(3600)));
        assert_eq!(contact.param("+sip.instance").map(|p| p.text()), Some("<urn:x>"));
        assert_eq!(parse("<sip:a@b>;expires=280297596632815").expires(), Some(3600));
        for (q, expected) in [
            ("1", Some(1000)),
            ("0", Some(0)),
            ("1.000", Some(1000)),
            ("0.05", Some(50)),
            ("1.1", None),
            ("2", None),
            ("0.1234", None),
            ("x", None),
        ] {
            assert_eq!(parse(&format!("<sip:a@b>;q={q}")).q(), expected, "{q}");
        }
    }

    #[test]
    fn malformed() {
        for bad in [
            "",
            "\"Mr. J. User <sip:j@e>",
            "Bell, A <sip:a@b>",
            "<sip:a@b",
            "sip:a@b?x=y",
            "<sip:a@b>;;;;",
            "<sip:a@b> x",
            "\"a\" sip:a@b",
            "alice@example.com",
            "<>",
            "<sip:>",
            "<sip:a@b>,<sip:c@d>",
        ] {
            assert!(NameAddr::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn quoting_is_undone_by_parsing() {
        for name in ["Alice", "Alice Liddell", "a, b", "\"x\" \\", "Jürgen", "", " x"] {
            let text = format!("{} <sip:a@b>", quote(name));
            assert_eq!(parse(&text).display_name(), name);
        }
        assert_eq!(quote("Alice Liddell"), "Alice Liddell");
    }
}
