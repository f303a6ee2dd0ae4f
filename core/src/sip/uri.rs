//! URIs: sip, sips, tel and any other scheme (RFC 3261 §19.1, RFC 3966).

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use std::borrow::Cow;

use memchr::{memchr, memchr2_iter};

use super::chars::{HOST, SCHEME, Span, URI, USER, all, decimal, find, is, run, skip_space};
use super::error::Malformed;
use super::header::params::Param;
use super::{MAX_URI_BYTES, MAX_URI_PARAMS};

/// The scheme of a URI.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966): the number is the user, there is no host.
    Tel,
    /// Any other; nothing behind the colon is looked at.
    #[default]
    Other,
}

/// A URI, parsed over the text it stands in.
#[derive(Clone, Copy)]
pub struct Uri<'a> {
    text: &'a str,
    parts: UriParts,
}

/// Where the parts stand in the text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UriParts {
    scheme: Scheme,
    user: Span,
    password: Span,
    host: Span,
    port: Option<u16>,
    params: Span,
    headers: Span,
}

impl<'a> Uri<'a> {
    /// Parses a URI that stands alone: no angle brackets, no spaces around it.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        Ok(Self { text, parts: UriParts::parse(text)? })
    }

    #[inline]
    pub(crate) const fn new(text: &'a str, parts: UriParts) -> Self {
        Self { text, parts }
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.parts.scheme
    }

    /// The scheme's name, as it came.
    pub fn scheme_str(&self) -> &'a str {
        self.text.split(':').next().unwrap_or_default()
    }

    /// Whether it is a sip or sips URI, which alone have a host.
    pub fn is_sip(&self) -> bool {
        matches!(self.parts.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The user part, escapes (`%41`) left as they are; the number of a tel URI.
    pub fn user(&self) -> Option<&'a str> {
        (!self.parts.user.is_empty()).then(|| self.parts.user.of(self.text))
    }

    /// The password, which nobody should send in the clear (§19.1.1).
    pub fn password(&self) -> Option<&'a str> {
        (!self.parts.password.is_empty()).then(|| self.parts.password.of(self.text))
    }

    /// The host, IPv6 in its brackets; empty unless [`is_sip`](Self::is_sip).
    pub fn host(&self) -> &'a str {
        self.parts.host.of(self.text)
    }

    /// The address that the host is, if it is not a name.
    pub fn ip(&self) -> Option<IpAddr> {
        ip_of(self.host())
    }

    /// The port, if there is one.
    pub fn port(&self) -> Option<u16> {
        self.parts.port
    }

    /// A URI parameter by name, in any case.
    pub fn param(&self, name: &str) -> Option<Param<'a>> {
        self.params().find(|p| p.name.eq_ignore_ascii_case(name))
    }

    /// The URI parameters, in order.
    pub fn params(&self) -> UriParams<'a> {
        UriParams { rest: self.parts.params.of(self.text) }
    }

    /// The header part behind the question mark: names and values, escaped as they came.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let text = self.parts.headers.of(self.text);
        text.split('&').filter(|h| !h.is_empty()).map(|h| h.split_once('=').unwrap_or((h, "")))
    }

    /// Whether there are headers behind a question mark.
    pub fn has_headers(&self) -> bool {
        !self.parts.headers.is_empty()
    }

    /// The text without the headers: what may stand in a Request-URI (§19.1.1).
    pub fn without_headers(&self) -> &'a str {
        match self.parts.headers {
            headers if headers.is_empty() => self.text,
            headers => {
                self.text.get(..usize::from(headers.start).saturating_sub(1)).unwrap_or(self.text)
            }
        }
    }

    /// The text, as it came.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// Comparison by §19.1.4; URIs of other schemes are compared byte for byte. Not transitive.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        if self.text == other.text {
            return true;
        }
        if self.scheme() != other.scheme() || !self.is_sip() {
            return false;
        }
        same_text(self.user().unwrap_or(""), other.user().unwrap_or(""))
            && self.user().is_some() == other.user().is_some()
            && same_text(self.password().unwrap_or(""), other.password().unwrap_or(""))
            && same_host(self, other)
            && self.port() == other.port()
            && self.params_agree(other)
            && other.params_agree(self)
            && self.headers_within(other)
            && other.headers_within(self)
    }

    /// Whether each of our parameters is the same there, or may be missing there.
    fn params_agree(&self, other: &Uri<'_>) -> bool {
        self.params().all(|ours| match other.param(ours.name) {
            Some(theirs) => {
                same_text_any_case(ours.value.unwrap_or_default(), theirs.value.unwrap_or_default())
            }
            None => !["transport", "user", "ttl", "method", "maddr"]
                .iter()
                .any(|name| ours.name.eq_ignore_ascii_case(name)),
        })
    }

    fn headers_within(&self, other: &Uri<'_>) -> bool {
        self.headers().all(|(name, value)| {
            other
                .headers()
                .any(|(n, v)| same_text_any_case(name, n) && same_text_any_case(value, v))
        })
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl fmt::Debug for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uri({})", self.text)
    }
}

/// The parameters of a URI, in order.
#[derive(Clone, Debug)]
pub struct UriParams<'a> {
    rest: &'a str,
}

impl<'a> Iterator for UriParams<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        while !self.rest.is_empty() {
            let (param, rest) = self.rest.split_once(';').unwrap_or((self.rest, ""));
            self.rest = rest;
            if !param.is_empty() {
                return Some(match param.split_once('=') {
                    Some((name, value)) => Param { name, value: Some(value) },
                    None => Param { name: param, value: None },
                });
            }
        }
        None
    }
}

impl UriParts {
    pub(crate) fn parse(uri: &str) -> Result<Self, Malformed> {
        let text = uri.as_bytes();
        if text.len() > MAX_URI_BYTES {
            return Err(Malformed::new("the URI is too long", MAX_URI_BYTES));
        }
        let colon = run(text, 0, SCHEME);
        let letter = text.first().is_some_and(u8::is_ascii_alphabetic);
        if !letter || text.get(colon) != Some(&b':') {
            return Err(Malformed::new("the URI has no scheme", colon));
        }
        let scheme = text.get(..colon).unwrap_or_default();
        let at = colon + 1;
        if scheme.eq_ignore_ascii_case(b"sip") {
            return Self::sip(text, at, Scheme::Sip);
        }
        if scheme.eq_ignore_ascii_case(b"sips") {
            return Self::sip(text, at, Scheme::Sips);
        }
        only_uri(text, at)?;
        if at == text.len() {
            Err(Malformed::new("nothing follows the scheme", at))
        } else if scheme.eq_ignore_ascii_case(b"tel") {
            Self::tel(text, at)
        } else {
            Ok(Self::default())
        }
    }

    fn sip(text: &[u8], start: usize, scheme: Scheme) -> Result<Self, Malformed> {
        let mut parts = Self { scheme, ..Self::default() };
        // Nothing behind the user part may hold an @ unescaped, so the first one ends it (§25.1).
        let mut colon = None;
        let mut at = start;
        let sign = loop {
            match text.get(at) {
                Some(b'@') => break Some(at),
                Some(b':') => colon = colon.or(Some(at)),
                Some(&b) if is(b, URI) => {}
                Some(_) => return Err(Malformed::new(NOT_IN_URI, at)),
                None => break None,
            }
            at += 1;
        };
        let host = sign.map_or(start, |sign| sign + 1);
        if let Some(sign) = sign {
            let user_end = colon.unwrap_or(sign);
            if user_end == start {
                return Err(Malformed::new("the user part is empty", start));
            }
            parts.user = Span::new(start, user_end);
            parts.password = Span::new((user_end + 1).min(sign), sign);
        }
        let mut at;
        (parts.host, parts.port, at) = host_and_port(text, host)?;
        if at == text.len() {
            return Ok(parts);
        }
        let after = at;
        only_uri(text, at)?;
        if text.get(at) == Some(&b';') {
            let end = memchr(b'?', text.get(at..).unwrap_or_default());
            let end = end.map_or(text.len(), |n| at + n);
            parts.params = Span::new(at + 1, end);
            at = end;
        }
        if text.get(at) == Some(&b'?') {
            parts.headers = Span::new(at + 1, text.len());
            at = text.len();
        }
        if at != text.len() {
            return Err(Malformed::new("this does not follow a host", at));
        }
        let after = text.get(after..).unwrap_or_default();
        if memchr2_iter(b';', b'&', after).count() > MAX_URI_PARAMS {
            return Err(Malformed::new("too many parameters", at));
        }
        Ok(parts)
    }

    fn tel(text: &[u8], at: usize) -> Result<Self, Malformed> {
        let rest = text.get(at..).unwrap_or_default();
        let semicolon = rest.iter().position(|&b| b == b';').map_or(text.len(), |n| at + n);
        if semicolon == at {
            return Err(Malformed::new("the number is empty", at));
        }
        let params = Span::new((semicolon + 1).min(text.len()), text.len());
        Ok(Self { scheme: Scheme::Tel, user: Span::new(at, semicolon), params, ..Self::default() })
    }

    /// Whether there are headers behind a question mark.
    pub(crate) const fn has_headers(&self) -> bool {
        !self.headers.is_empty()
    }
}

const NOT_IN_URI: &str = "no URI may hold this character";

/// Checks that the text from `at` on holds nothing that no URI may hold.
fn only_uri(text: &[u8], at: usize) -> Result<(), Malformed> {
    match run(text, at, URI) {
        end if end == text.len() => Ok(()),
        end => Err(Malformed::new(NOT_IN_URI, end)),
    }
}

/// `host`, `host:port`, `[v6]:port` at `at` (§25.1 hostport; in sent-by spaces may stand around the
/// colon): the host's place, the port, where it ends.
pub(crate) fn host_and_port(
    text: &[u8],
    at: usize,
) -> Result<(Span, Option<u16>, usize), Malformed> {
    let end = if text.get(at) == Some(&b'[') {
        let close = text.get(at..).and_then(|t| memchr(b']', t));
        let close = at + close.ok_or(Malformed::new("[ is not closed", at))?;
        let inner = text.get(at + 1..close).and_then(|t| core::str::from_utf8(t).ok());
        if inner.and_then(ipv6).is_none() {
            return Err(Malformed::new("this is no IPv6 address", at));
        }
        close + 1
    } else {
        run(text, at, HOST)
    };
    if end == at {
        return Err(Malformed::new("the host is empty", at));
    }
    let host = Span::new(at, end);
    let colon = match text.get(end) {
        None | Some(b';') => return Ok((host, None, end)),
        _ => skip_space(text, end),
    };
    if text.get(colon) != Some(&b':') {
        return Ok((host, None, end));
    }
    let from = skip_space(text, colon + 1);
    let digits = text.get(from..).unwrap_or_default();
    let to = from + digits.iter().position(|b| !b.is_ascii_digit()).unwrap_or(digits.len());
    let port = text.get(from..to).and_then(decimal).and_then(|n| u16::try_from(n).ok());
    match port {
        Some(port) => Ok((host, Some(port), to)),
        None => Err(Malformed::new("the port is no number up to 65535", from)),
    }
}

/// The address that a host is, with or without brackets, if it is not a name.
pub(crate) fn ip_of(host: &str) -> Option<IpAddr> {
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if inner.as_bytes().contains(&b':') {
        return ipv6(inner).map(IpAddr::V6);
    }
    inner.parse().ok().map(IpAddr::V4)
}

/// RFC 5118 §4.10: RFC 3261's grammar allowed a third colon before an IPv4 part; it is ignored.
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    match find(text.as_bytes(), b":::") {
        Some(at) => {
            let others = text.char_indices().filter(|(place, _)| *place != at);
            others.map(|(_, letter)| letter).collect::<String>().parse().ok()
        }
        None => text.parse().ok(),
    }
}

fn same_host(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    match (a.ip(), b.ip()) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a.host().eq_ignore_ascii_case(b.host()),
        _ => false,
    }
}

/// §19.1.4: a character is the same as its escape unless it is reserved.
fn same_text(a: &str, b: &str) -> bool {
    Unescaped::new(a).eq(Unescaped::new(b))
}

fn same_text_any_case(a: &str, b: &str) -> bool {
    let lower = |(byte, escaped): (u8, bool)| (byte.to_ascii_lowercase(), escaped);
    Unescaped::new(a).map(lower).eq(Unescaped::new(b).map(lower))
}

/// The bytes of a text with escapes undone; true with those that were escaped and are reserved (RFC
/// 2396 §2.2), for they differ from the same byte unescaped.
struct Unescaped<'a> {
    text: &'a [u8],
}

impl<'a> Unescaped<'a> {
    fn new(text: &'a str) -> Self {
        Self { text: text.as_bytes() }
    }
}

impl Iterator for Unescaped<'_> {
    type Item = (u8, bool);

    fn next(&mut self) -> Option<(u8, bool)> {
        let (&first, rest) = self.text.split_first()?;
        if first == b'%'
            && let [high, low, rest @ ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            self.text = rest;
            let byte = high << 4 | low;
            return Some((byte, b";/?:@&=+$,".contains(&byte)));
        }
        self.text = rest;
        Some((first, false))
    }
}

const fn hex(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

/// Text with its escapes undone; what is no escape stays, bytes that are no UTF-8 are replaced. The
/// result may hold any character: check before it is written.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.as_bytes().contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let bytes: Vec<u8> = Unescaped::new(text).map(|(byte, _)| byte).collect();
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// A user part with what may not stand there escaped (§19.1.2). Give it no escapes.
pub(crate) fn escape_user(user: &str) -> Cow<'_, str> {
    if all(user.as_bytes(), USER) {
        return Cow::Borrowed(user);
    }
    let mut escaped = String::with_capacity(user.len() + 8);
    for &b in user.as_bytes() {
        if is(b, USER) {
            escaped.push(char::from(b));
        } else {
            escaped.push('%');
            escaped.extend(
                [b >> 4, b & 15].map(|n| {
                    char::from_digit(n.into(), 16).unwrap_or_default().to_ascii_uppercase()
                }),
            );
        }
    }
    Cow::Owned(escaped)
}
