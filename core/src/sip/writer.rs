//! Writing messages into one reused buffer: [`Writer`].

use core::fmt::{self, Write};
use core::net::SocketAddr;

use super::chars::{Span, TOKEN, all, trim};
use super::header::list::comma;
use super::header::name::HeaderName;
use super::header::via::Via;
use super::message::Message;
use super::method::Method;
use super::parser::{Draft, Field};
use super::{MAX_FIELD_BYTES, MAX_NAME_BYTES};
use crate::transport::Transport;

/// Writes one message. [`finish`](Self::finish) or [`body`](Self::body) ends it.
///
/// Whatever is given as text loses its CR, LF and NUL here, each to a space, so that no value can
/// become a header field of its own; an application's values are refused earlier, by `check_value`.
#[must_use = "a message ends with finish() or body()"]
#[derive(Debug)]
pub struct Writer<'b> {
    buf: &'b mut Vec<u8>,
}

impl<'b> Writer<'b> {
    /// Clears `buf` and writes a request line.
    pub fn request(buf: &'b mut Vec<u8>, method: &Method, uri: &str) -> Self {
        buf.clear();
        let mut writer = Self { buf };
        writer.text(method.as_str());
        writer.raw(b" ");
        writer.text(uri);
        writer.raw(b" SIP/2.0\r\n");
        writer
    }

    /// Clears `buf` and writes a status line.
    pub fn response(buf: &'b mut Vec<u8>, status: u16, reason: &str) -> Self {
        buf.clear();
        let mut writer = Self { buf };
        writer.raw(b"SIP/2.0 ");
        writer.number(status.into());
        writer.raw(b" ");
        writer.text(reason);
        writer.raw(b"\r\n");
        writer
    }

    /// Clears `buf` and begins a response to `request` (§8.2.6): Via with received and rport of the
    /// packet's source (§18.2.1, RFC 3581), From, To with `to_tag` unless it has one, Call-ID, CSeq; in
    /// a 100 also Timestamp, in a 101 to 299 that makes a dialog also Record-Route (§12.1.1).
    pub fn response_to(
        buf: &'b mut Vec<u8>,
        request: &Message,
        status: u16,
        reason: &str,
        to_tag: Option<&str>,
        received: Option<SocketAddr>,
    ) -> Self {
        let mut writer = Self::response(buf, status, reason);
        writer.echo(request.draft(), to_tag, received);
        if status == 100 {
            writer.copy(request, HeaderName::Timestamp);
        } else if status < 300 && request.method().makes_dialog() {
            writer.copy(request, HeaderName::RecordRoute);
        }
        writer
    }

    /// The same for a request that could not be parsed, from what it has.
    pub(crate) fn rejection(
        buf: &'b mut Vec<u8>,
        request: &Draft,
        status: u16,
        reason: &str,
        to_tag: &str,
        from: SocketAddr,
    ) -> Self {
        let mut writer = Self::response(buf, status, reason);
        writer.echo(request, Some(to_tag), Some(from));
        writer
    }

    fn echo(&mut self, request: &Draft, to_tag: Option<&str>, received: Option<SocketAddr>) {
        self.vias(request, received);
        self.copy_first(request, HeaderName::From);
        if let Some(field) = request.named(HeaderName::To).next() {
            let value = field.value.of(&request.text);
            self.raw(b"To: ");
            self.raw(value.as_bytes());
            if let Some(tag) = to_tag
                && super::NameAddr::parse(value).is_ok_and(|to| to.tag().is_none())
            {
                self.raw(b";tag=");
                self.text(tag);
            }
            self.raw(b"\r\n");
        }
        self.copy_first(request, HeaderName::CallId);
        self.copy_first(request, HeaderName::CSeq);
    }

    /// Every Via of `request`, in order, the topmost completed with received and rport as in
    /// [`response_to`](Self::response_to): what a proxy passes on below its own.
    pub fn copy_vias(&mut self, request: &Message, received: Option<SocketAddr>) {
        self.vias(request.draft(), received);
    }

    fn vias(&mut self, request: &Draft, mut received: Option<SocketAddr>) {
        for field in request.named(HeaderName::Via) {
            self.raw(b"Via: ");
            self.via_received(field.value.of(&request.text), received.take());
            self.raw(b"\r\n");
        }
    }

    /// Writes the value of a topmost Via field as its receiver completes it: `received` unless sent-by
    /// already is that address, and RFC 3581 §4's values when there is an rport.
    fn via_received(&mut self, value: &str, source: Option<SocketAddr>) {
        let end = comma(value.as_bytes()).unwrap_or(value.len());
        let (first, others) = value.split_at_checked(end).unwrap_or((value, ""));
        let (Some(source), Ok(via)) = (source, Via::parse(trim(first))) else {
            self.raw(value.as_bytes());
            return;
        };
        let ip = source.ip().to_canonical();
        let rport = via.rport().is_some();
        let replaced =
            |name: &str| ["received", "rport"].iter().any(|n| name.eq_ignore_ascii_case(n));
        let known = via.ip().map(|ip| ip.to_canonical()) == Some(ip);
        if known && !via.params().any(|param| replaced(param.name)) {
            self.raw(value.as_bytes());
            return;
        }
        let hop = first.split(';').next().unwrap_or(first);
        self.raw(trim(hop).as_bytes());
        for param in via.params() {
            if !replaced(param.name) {
                self.display(param);
            }
        }
        if rport || !known {
            self.display(format_args!(";received={ip}"));
        }
        if rport {
            self.display(format_args!(";rport={}", source.port()));
        }
        self.raw(others.as_bytes());
    }

    /// `Via: SIP/2.0/UDP sent_by;branch=branch`, with `;rport` (RFC 3581) if asked for.
    pub fn via(&mut self, transport: Transport, sent_by: &str, branch: &str, rport: bool) {
        self.raw(b"Via: SIP/2.0/");
        self.raw(transport.as_str().as_bytes());
        self.raw(b" ");
        self.text(sent_by);
        self.raw(b";branch=");
        self.text(branch);
        self.raw(if rport { b";rport\r\n" } else { b"\r\n" });
    }

    /// One header field. [`HeaderName::Other`] writes nothing; see [`extension`](Self::extension).
    pub fn field(&mut self, name: HeaderName, value: impl fmt::Display) {
        if name == HeaderName::Other {
            return;
        }
        self.raw(name.as_str().as_bytes());
        self.raw(b": ");
        self.display(value);
        self.raw(b"\r\n");
    }

    /// `CSeq: number method`.
    pub fn cseq(&mut self, number: u32, method: &Method) {
        self.raw(b"CSeq: ");
        self.number(number);
        self.raw(b" ");
        self.text(method.as_str());
        self.raw(b"\r\n");
    }

    /// One header field by any name. A name that is no token writes nothing (see [`check_name`]).
    pub fn extension(&mut self, name: &str, value: &str) {
        if check_name(name).is_err() {
            return;
        }
        self.raw(name.as_bytes());
        self.raw(b": ");
        self.text(value);
        self.raw(b"\r\n");
    }

    /// Every field of that name in `message`, in order, each value as it came.
    pub fn copy(&mut self, message: &Message, name: HeaderName) {
        for field in message.draft().named(name) {
            self.copy_field(message.draft(), field);
        }
    }

    /// Every field of `message`, in order, each value as it came, except those of these names and
    /// Content-Length: what a proxy does (§16.6).
    pub fn copy_others(&mut self, message: &Message, except: &[HeaderName]) {
        let draft = message.draft();
        // Neighbours that need no change are copied as one.
        let mut run = Span::default();
        for field in &draft.fields {
            if field.name == HeaderName::ContentLength || except.contains(&field.name) {
                continue;
            }
            let line = field.line();
            if field.plain && line.start == run.end {
                run.end = line.end;
                continue;
            }
            self.raw(run.of(&draft.text).as_bytes());
            run = if field.plain { line } else { Span::default() };
            if !field.plain {
                self.copy_field(draft, field);
            }
        }
        self.raw(run.of(&draft.text).as_bytes());
    }

    /// Of what may come once only the first.
    fn copy_first(&mut self, draft: &Draft, name: HeaderName) {
        if let Some(field) = draft.named(name).next() {
            self.copy_field(draft, field);
        }
    }

    fn copy_field(&mut self, draft: &Draft, field: &Field) {
        if field.plain {
            self.raw(field.line().of(&draft.text).as_bytes());
            return;
        }
        let label = match field.name {
            HeaderName::Other => field.label.of(&draft.text),
            known => known.as_str(),
        };
        self.raw(label.as_bytes());
        self.raw(b": ");
        self.raw(field.value.of(&draft.text).as_bytes());
        self.raw(b"\r\n");
    }

    /// Ends the message with a body of that type; an empty one is written as none.
    pub fn body(mut self, content_type: &str, body: &[u8]) {
        if body.is_empty() {
            return self.finish();
        }
        self.raw(b"Content-Type: ");
        self.text(content_type);
        self.raw(b"\r\n");
        self.finish_with(body);
    }

    /// Ends the message with a body whose Content-Type is written already.
    pub fn finish_with(mut self, body: &[u8]) {
        self.raw(b"Content-Length: ");
        self.number(u32::try_from(body.len()).unwrap_or(u32::MAX));
        self.raw(b"\r\n\r\n");
        self.raw(body);
    }

    /// Ends the message without a body.
    pub fn finish(self) {
        self.finish_with(b"");
    }

    #[inline]
    fn raw(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    #[inline]
    fn text(&mut self, text: &str) {
        let start = self.buf.len();
        self.buf.extend_from_slice(text.as_bytes());
        let written = self.buf.get_mut(start..).unwrap_or_default();
        if written.iter().any(|&b| is_forbidden(b)) {
            written.iter_mut().filter(|b| is_forbidden(**b)).for_each(|b| *b = b' ');
        }
    }

    fn display(&mut self, value: impl fmt::Display) {
        // Writing into a vector cannot fail; a Display that says it failed has written what it has.
        let _ = write!(Text(self), "{value}");
    }

    fn number(&mut self, mut n: u32) {
        let mut digits = [0; 10];
        let mut at = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (n % 10) as u8;
            n /= 10;
            at -= 1;
            if n == 0 {
                break;
            }
        }
        self.raw(digits.get(at..).unwrap_or_default());
    }
}

/// A writer that takes formatted text.
struct Text<'w, 'b>(&'w mut Writer<'b>);

impl Write for Text<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.text(text);
        Ok(())
    }
}

const fn is_forbidden(b: u8) -> bool {
    matches!(b, b'\r' | b'\n' | 0)
}

/// Why text that an application gave cannot stand in a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum InvalidText {
    /// It holds CR, LF or NUL.
    #[error("it holds a line end or NUL")]
    LineEnd,
    /// It is no header field name (a token).
    #[error("it is not a header field name")]
    Name,
    /// It is longer than [`super::MAX_FIELD_BYTES`].
    #[error("it is longer than a header field may be")]
    TooLong,
}

/// Whether text of an application may stand in a header field: no CR, LF or NUL, not too long.
pub(crate) fn check_value(value: &str) -> Result<(), InvalidText> {
    if value.bytes().any(is_forbidden) {
        return Err(InvalidText::LineEnd);
    }
    if value.len() > MAX_FIELD_BYTES {
        return Err(InvalidText::TooLong);
    }
    Ok(())
}

/// Whether text of an application may be a header field's name.
pub(crate) fn check_name(name: &str) -> Result<(), InvalidText> {
    let valid = all(name.as_bytes(), TOKEN) && name.len() <= MAX_NAME_BYTES;
    valid.then_some(()).ok_or(InvalidText::Name)
}
