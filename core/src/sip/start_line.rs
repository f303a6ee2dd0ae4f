//! The first line: a request's (RFC 3261 §7.1) or a response's (§7.2).

use memchr::memchr;

use super::chars::{Span, TOKEN, decimal, run};
use super::error::Fault;
use super::method::Method;
use super::parser::{Wrong, next_line};
use super::uri::UriParts;
use super::{MAX_FIELD_BYTES, MAX_METHOD_BYTES};

/// What the first line says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    Request {
        uri: Span,
    },
    Response {
        status: u16,
        reason: Span,
    },
    /// Not read yet, or not to be read.
    Unknown,
}

/// The first line, read.
pub(super) struct StartLine {
    pub(super) start: Start,
    pub(super) method: Method,
    /// Where the header fields begin.
    pub(super) end: usize,
}

impl StartLine {
    /// The outer error is one after which nothing can be answered, the inner one another.
    pub(super) fn read(text: &str) -> Result<(Self, Result<(), Wrong>), Wrong> {
        let bytes = text.as_bytes();
        let Some(line) = next_line(bytes, 0)? else {
            let fault = if is_sip(bytes) { Fault::Unterminated } else { Fault::NotSip };
            return Err(Wrong::new(fault, bytes.len()));
        };
        let content = text.get(..line.end).unwrap_or_default();
        if is_version(content.as_bytes()) {
            Self::response(content, line.next).map(|line| (line, Ok(())))
        } else {
            Self::request(content, line.next)
        }
    }

    /// `SIP/2.0 200 OK` (§7.2). The phrase may be missing, and the space before it.
    fn response(line: &str, end: usize) -> Result<Self, Wrong> {
        let (version, rest) = line.split_once(' ').unwrap_or((line, ""));
        if !is_our_version(version.as_bytes()) {
            return Err(Wrong::new(Fault::Version, 0));
        }
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let at = version.len() + 1;
        let status = decimal(code.as_bytes()).filter(|_| code.len() == 3);
        let status = status.and_then(|n| u16::try_from(n).ok()).filter(|n| (100..700).contains(n));
        let status = status.ok_or(Wrong::new(Fault::StatusCode, at))?;
        let reason = Span::new(line.len() - reason.len(), line.len());
        // The method is CSeq's, known later.
        Ok(Self { start: Start::Response { status, reason }, method: Method::Ack, end })
    }

    /// `INVITE sip:bob@example.com SIP/2.0` (§7.1). More spaces than one between the three, or at the
    /// end, are ignored (RFC 4475 §3.1.2.9, §3.1.2.10).
    fn request(line: &str, end: usize) -> Result<(Self, Result<(), Wrong>), Wrong> {
        let text = line.as_bytes();
        let is_space = |b: &u8| *b == b' ';
        let back = |text: &[u8]| text.iter().rposition(|b| !is_space(b)).map_or(0, |n| n + 1);
        let text = text.get(..back(text)).unwrap_or_default();
        let method_end = run(text, 0, TOKEN);
        let from = text.iter().position(is_space).ok_or(Wrong::new(Fault::NotSip, 0))?;
        let version_start = text.iter().rposition(is_space).map_or(0, |n| n + 1);
        let version = text.get(version_start..).unwrap_or_default();
        if !is_version(version) {
            return Err(Wrong::new(Fault::NotSip, version_start));
        }
        let method = line.get(..from).unwrap_or_default();
        let uri_end = back(text.get(..version_start).unwrap_or_default()).max(from);
        let uri_start = from + text.iter().skip(from).take_while(|b| is_space(b)).count();
        let uri = line.get(uri_start..uri_end).unwrap_or_default();
        let outcome = if method_end != from || from == 0 || from > MAX_METHOD_BYTES {
            Err(Wrong::new(Fault::Method, 0))
        } else if !is_our_version(version) {
            Err(Wrong::new(Fault::Version, version_start))
        } else {
            match UriParts::parse(uri) {
                // §19.1.1: no headers in a Request-URI; RFC 4475 §3.1.2.11 has one.
                Ok(parts) if parts.has_headers() => Err(Wrong::new(Fault::RequestUri, uri_start)),
                Ok(_) => Ok(()),
                Err(e) => Err(Wrong {
                    fault: Fault::RequestUri,
                    at: uri_start.saturating_add(e.at),
                    detail: Some(e.problem),
                }),
            }
        };
        let start = Start::Request { uri: Span::new(uri_start, uri_end) };
        Ok((Self { start, method: Method::from_str(method), end }, outcome))
    }
}

/// `SIP/2.0`, or the same with other numbers.
fn is_version(text: &[u8]) -> bool {
    text.get(..4).is_some_and(|t| t.eq_ignore_ascii_case(b"SIP/"))
}

/// §7.1: in any case.
fn is_our_version(text: &[u8]) -> bool {
    text == b"SIP/2.0" || text.eq_ignore_ascii_case(b"SIP/2.0")
}

/// Whether the first line has a SIP version in it.
pub(super) fn is_sip(bytes: &[u8]) -> bool {
    let end = memchr(b'\n', bytes).unwrap_or(bytes.len()).min(MAX_FIELD_BYTES);
    let line = bytes.get(..end).unwrap_or_default();
    line.windows(4).any(|w| w.eq_ignore_ascii_case(b"SIP/"))
}
