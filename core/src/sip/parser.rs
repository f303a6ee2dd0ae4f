//! From a datagram to spans in one pass over its lines (RFC 3261 §7, §18.3, §25).
//!
//! Nearly every message is UTF-8 without folded lines and is read where it stands. One with folds, or
//! with other bytes, is rewritten first and then read the same way.

use memchr::{memchr, memchr2};

use super::chars::{Span, TOKEN, all, decimal, is_space, skip_space};
use super::error::{Fault, Malformed, ParseError};
use super::header::address::NameAddrParts;
use super::header::name::HeaderName;
use super::header::number;
use super::header::via::ViaParts;
use super::method::Method;
use super::start_line::{Start, StartLine, is_sip};
use super::{
    MAX_FIELD_BYTES, MAX_FIELDS, MAX_HEAD_BYTES, MAX_IDENTIFIER_BYTES, MAX_MESSAGE_BYTES,
    MAX_NAME_BYTES, MAX_VIAS,
};

/// How many header fields there is room for before the list grows.
const USUAL_FIELDS: usize = 20;

/// One header field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: HeaderName,
    /// The line is what [`Writer`](super::Writer) would write: long name, one space, CRLF.
    pub(crate) plain: bool,
    /// The name as it came.
    pub(crate) label: Span,
    /// The value without the spaces around it.
    pub(crate) value: Span,
}

impl Field {
    /// The whole line with its line end, if the field is plain.
    pub(crate) fn line(&self) -> Span {
        Span { start: self.label.start, end: self.value.end.saturating_add(2) }
    }
}

/// A message whose lines are known, and nothing more.
#[derive(Clone)]
pub(crate) struct Draft {
    /// The start line and header fields, folds joined; the body follows when `raw` is empty.
    pub(crate) text: String,
    /// The datagram, when `text` had to differ from it.
    pub(crate) raw: Vec<u8>,
    pub(crate) start: Start,
    pub(crate) method: Method,
    pub(crate) fields: Vec<Field>,
    /// From where to where the body is, in `raw` if there is one, else in `text`.
    pub(crate) body: (usize, usize),
    firsts: Firsts,
    /// A line begins with a space, so that `text` has to be rewritten.
    folded: bool,
}

/// The fields that are looked at while parsing: the number of the first of each name.
#[derive(Clone, Copy)]
struct Firsts {
    via: u16,
    from: u16,
    to: u16,
    call_id: u16,
    cseq: u16,
    max_forwards: u16,
    content_length: u16,
    vias: u16,
}

/// No field has this number.
const NONE: u16 = u16::MAX;

/// The five header fields that every message has (§8.1.1), and where their values stand.
#[derive(Clone, Copy)]
pub(crate) struct Typed {
    pub(crate) via: (Span, ViaParts),
    pub(crate) from: (Span, NameAddrParts),
    pub(crate) to: (Span, NameAddrParts),
    pub(crate) call_id: Span,
    pub(crate) cseq: u32,
}

/// A fault, where it is, and what the typed parser said.
pub(super) struct Wrong {
    pub(super) fault: Fault,
    pub(super) at: usize,
    pub(super) detail: Option<&'static str>,
}

impl Wrong {
    pub(super) const fn new(fault: Fault, at: usize) -> Self {
        Self { fault, at, detail: None }
    }

    fn value(field: Field, e: Malformed) -> Self {
        let at = usize::from(field.value.start).saturating_add(e.at);
        Self { fault: Fault::Value(field.name), at, detail: Some(e.problem) }
    }

    fn error(self, request: Option<Box<Draft>>) -> ParseError {
        ParseError { fault: self.fault, at: self.at, detail: self.detail, request }
    }
}

/// Parses one datagram.
pub(crate) fn parse(datagram: &[u8]) -> Result<(Draft, Typed), ParseError> {
    // §7.5: empty lines before the start line are ignored.
    let skip = datagram.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let bytes = datagram.get(skip..).unwrap_or_default();
    let refuse = |fault, at| Err(Wrong::new(fault, at).error(None));
    if bytes.is_empty() {
        return refuse(Fault::Empty, 0);
    }
    if bytes.len() > MAX_MESSAGE_BYTES {
        return refuse(Fault::MessageTooLong, MAX_MESSAGE_BYTES);
    }
    let text = core::str::from_utf8(bytes);
    if text.is_err() && !is_sip(bytes) {
        return refuse(Fault::NotSip, 0);
    }
    if let Ok(text) = text {
        let mut draft = Draft::new(text.to_owned(), Vec::new());
        let outcome = draft.read(0);
        if !draft.folded {
            return draft.finish(outcome);
        }
    }
    let (text, body) = rewrite(bytes);
    let mut draft = Draft::new(text, bytes.to_vec());
    let outcome = draft.read(body);
    draft.finish(outcome)
}

/// What can be read of a message that is refused for its length, which a stream has to know before
/// the body.
pub(super) fn refuse(head: &[u8], fault: Fault) -> ParseError {
    let mut draft = Draft::new(rewrite(head).0, Vec::new());
    // What else is wrong with it matters no more.
    let _ = draft.read(0);
    let request = draft.is_answerable().then(|| Box::new(draft));
    Wrong::new(fault, head.len()).error(request)
}

impl Draft {
    fn new(text: String, raw: Vec<u8>) -> Self {
        Self {
            text,
            raw,
            start: Start::Unknown,
            method: Method::Ack,
            fields: Vec::new(),
            body: (0, 0),
            firsts: Firsts::new(),
            folded: false,
        }
    }

    /// Reads the lines and types what every message has. `body` is where the body begins in `raw`, if
    /// there is one.
    fn read(&mut self, body: usize) -> Result<Typed, Wrong> {
        let (line, outcome) = StartLine::read(&self.text)?;
        (self.start, self.method) = (line.start, line.method);
        self.fields.reserve_exact(USUAL_FIELDS);
        let end = self.read_fields(line.end);
        // What is wrong with the first line comes first, but the fields are needed to answer it.
        outcome?;
        self.body = match self.raw.len() {
            0 => (end?, self.text.len()),
            len => end.map(|_| (body, len))?,
        };
        self.cut_body()?;
        self.check()
    }

    fn finish(self, outcome: Result<Typed, Wrong>) -> Result<(Self, Typed), ParseError> {
        match outcome {
            Ok(typed) => Ok((self, typed)),
            Err(wrong) => {
                let request = self.is_answerable().then(|| Box::new(self));
                Err(wrong.error(request))
            }
        }
    }

    /// Reads the header fields from `at` on; returns where the body begins.
    fn read_fields(&mut self, mut at: usize) -> Result<usize, Wrong> {
        while let Some(line) = next_line(self.text.as_bytes(), at)? {
            if line.next > MAX_HEAD_BYTES {
                return Err(Wrong::new(Fault::MessageTooLong, at));
            }
            let bytes = self.text.as_bytes();
            if line.end == at {
                return Ok(line.next);
            }
            let content = bytes.get(at..line.end).unwrap_or_default();
            let Some(colon) = content.iter().position(|&b| b == b':') else {
                return Err(self.no_field(at));
            };
            let mut label_end = at + colon;
            while label_end > at && bytes.get(label_end - 1).is_some_and(|&b| is_space(b)) {
                label_end -= 1;
            }
            let label = bytes.get(at..label_end).unwrap_or_default();
            let (name, exact) = HeaderName::find(label);
            if name == HeaderName::Other && !all(label, TOKEN) {
                return Err(self.no_field(at));
            }
            let from = skip_space(bytes, at + colon + 1).min(line.end);
            let mut to = line.end;
            while to > from && bytes.get(to - 1).is_some_and(|&b| is_space(b)) {
                to -= 1;
            }
            if label_end - at > MAX_NAME_BYTES || to - from > MAX_FIELD_BYTES {
                return Err(Wrong::new(Fault::FieldTooLong, at));
            }
            let plain = (exact || name == HeaderName::Other)
                && from == label_end + 2
                && bytes.get(label_end + 1) == Some(&b' ')
                && line.next == to + 2;
            let (label, value) = (Span::new(at, label_end), Span::new(from, to));
            let field = Field { name, plain, label, value };
            if self.fields.len() == MAX_FIELDS {
                return Err(Wrong::new(Fault::TooManyFields, at));
            }
            self.firsts.note(&self.text, &self.fields, field, at)?;
            self.fields.push(field);
            at = line.next;
        }
        Err(Wrong::new(Fault::Unterminated, at))
    }

    /// A line that is no field: a fold, if the text is still as it came.
    fn no_field(&mut self, at: usize) -> Wrong {
        let first = self.text.as_bytes().get(at);
        self.folded = self.raw.is_empty() && first.is_some_and(|&b| is_space(b));
        Wrong::new(Fault::Field, at)
    }

    /// §18.3: what follows Content-Length bytes is dropped; fewer are an error.
    fn cut_body(&mut self) -> Result<(), Wrong> {
        let Some(field) = self.first(self.firsts.content_length) else { return Ok(()) };
        let at = usize::from(field.value.start);
        let length = decimal(field.value.of(&self.text).as_bytes());
        let length = length.and_then(|n| usize::try_from(n).ok());
        let length = length.ok_or(Wrong::new(Fault::Value(field.name), at))?;
        if length > self.body.1 - self.body.0 {
            return Err(Wrong::new(Fault::BodyTooShort, at));
        }
        self.body.1 = self.body.0 + length;
        Ok(())
    }

    /// Types the five header fields that every message has.
    fn check(&self) -> Result<Typed, Wrong> {
        let end = self.body.0.min(self.text.len());
        let have = |number, name| {
            self.first(number)
                .map(|field| (field, field.value.of(&self.text)))
                .ok_or(Wrong::new(Fault::Missing(name), end))
        };
        let (via_field, via) = have(self.firsts.via, HeaderName::Via)?;
        let (from_field, from) = have(self.firsts.from, HeaderName::From)?;
        let (to_field, to) = have(self.firsts.to, HeaderName::To)?;
        let (call_id_field, call_id) = have(self.firsts.call_id, HeaderName::CallId)?;
        let (cseq_field, cseq) = have(self.firsts.cseq, HeaderName::CSeq)?;

        let wrong = Wrong::value;
        let (via, _) = ViaParts::parse(via).map_err(|e| wrong(via_field, e))?;
        let from = NameAddrParts::parse(from).map_err(|e| wrong(from_field, e))?;
        let to = NameAddrParts::parse(to).map_err(|e| wrong(to_field, e))?;
        // §25.1 allows fewer characters; nothing is gained by refusing the others.
        if call_id.is_empty()
            || call_id.len() > MAX_IDENTIFIER_BYTES
            || call_id.bytes().any(|b| b <= b' ' || b == 0x7f)
        {
            let problem = "a Call-ID is one word of at most 1024 bytes";
            return Err(wrong(call_id_field, Malformed::new(problem, 0)));
        }
        let (cseq, method) = number::cseq(cseq).map_err(|e| wrong(cseq_field, e))?;
        if let Start::Request { .. } = self.start
            && method.of(cseq_field.value.of(&self.text)) != self.method.as_str()
        {
            return Err(Wrong::new(Fault::MethodMismatch, cseq_field.value.start.into()));
        }
        Ok(Typed {
            via: (via_field.value, via),
            from: (from_field.value, from),
            to: (to_field.value, to),
            call_id: call_id_field.value,
            cseq,
        })
    }

    /// The method that CSeq names: of a response, the request's.
    pub(crate) fn cseq_method(&self) -> Option<Method> {
        let value = self.first(self.firsts.cseq)?.value.of(&self.text);
        number::cseq(value).ok().map(|(_, method)| Method::from_str(method.of(value)))
    }

    /// A request that is no ACK (§17.1.1.3) and shows a way back.
    fn is_answerable(&self) -> bool {
        matches!(self.start, Start::Request { .. })
            && self.method != Method::Ack
            && self.firsts.via != NONE
    }

    fn first(&self, number: u16) -> Option<Field> {
        self.fields.get(usize::from(number)).copied()
    }
}

impl Firsts {
    const fn new() -> Self {
        Self {
            via: NONE,
            from: NONE,
            to: NONE,
            call_id: NONE,
            cseq: NONE,
            max_forwards: NONE,
            content_length: NONE,
            vias: 0,
        }
    }

    /// Takes note of a field that comes after `fields`.
    #[inline]
    fn note(&mut self, text: &str, fields: &[Field], field: Field, at: usize) -> Result<(), Wrong> {
        let slot = match field.name {
            HeaderName::Via => {
                self.vias += 1;
                if usize::from(self.vias) > MAX_VIAS {
                    return Err(Wrong::new(Fault::TooManyFields, at));
                }
                if self.via != NONE {
                    return Ok(());
                }
                &mut self.via
            }
            HeaderName::From => &mut self.from,
            HeaderName::To => &mut self.to,
            HeaderName::CallId => &mut self.call_id,
            HeaderName::CSeq => &mut self.cseq,
            HeaderName::MaxForwards => &mut self.max_forwards,
            HeaderName::ContentLength => &mut self.content_length,
            _ => return Ok(()),
        };
        if *slot == NONE {
            *slot = u16::try_from(fields.len()).unwrap_or(NONE);
            return Ok(());
        }
        // Twice the same length contradicts nothing.
        let same = |first: &Field| first.value.of(text) == field.value.of(text);
        let agrees = field.name == HeaderName::ContentLength
            && fields.get(usize::from(*slot)).is_some_and(same);
        if agrees { Ok(()) } else { Err(Wrong::new(Fault::Repeated(field.name), at)) }
    }
}

/// Where a line ends without and with its line end.
pub(super) struct Line {
    pub(super) end: usize,
    pub(super) next: usize,
}

/// The line that begins at `at`; `None` when it does not end. A bare line feed ends one too.
#[inline]
pub(super) fn next_line(bytes: &[u8], at: usize) -> Result<Option<Line>, Wrong> {
    let Some(n) = bytes.get(at..).and_then(|rest| memchr2(b'\r', b'\n', rest)) else {
        return Ok(None);
    };
    let end = at + n;
    if bytes.get(end) == Some(&b'\n') {
        return Ok(Some(Line { end, next: end + 1 }));
    }
    match bytes.get(end + 1) {
        Some(b'\n') => Ok(Some(Line { end, next: end + 2 })),
        Some(_) => Err(Wrong::new(Fault::CarriageReturn, end)),
        None => Ok(None),
    }
}

/// The lines up to the empty one as text: a folded line joined to the one before by one space
/// (§7.3.1), and bytes that are no UTF-8 read as Latin-1, in which old phones write names. Also where
/// the body begins in `bytes`.
fn rewrite(bytes: &[u8]) -> (String, usize) {
    let mut head: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let mut lines = 0;
    while let Some(n) = bytes.get(at..).and_then(|rest| memchr(b'\n', rest)) {
        let next = at + n + 1;
        let line = bytes.get(at..next).unwrap_or_default();
        at = next;
        let empty = matches!(line, b"\n" | b"\r\n");
        // The start line cannot be folded, so the line after it is left to be found malformed.
        if lines > 1 && line.first().is_some_and(|&b| is_space(b)) {
            while head.last().is_some_and(|&b| is_space(b) || b == b'\r' || b == b'\n') {
                head.pop();
            }
            head.push(b' ');
            head.extend(line.get(skip_space(line, 0)..).unwrap_or_default());
        } else {
            head.extend(line);
        }
        lines += 1;
        if empty {
            break;
        }
    }
    let mut text = String::with_capacity(head.len());
    for chunk in head.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|&b| char::from(b)));
    }
    (text, at)
}
