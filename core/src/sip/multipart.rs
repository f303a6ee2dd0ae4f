//! Bodies of several parts (RFC 2046 §5.1, RFC 5621 §4).
//!
//! An [`Entity`] is a body with the header fields that describe it: the body of a message, or one of the
//! parts of a multipart. A [`BodyPart`] is one for the application.

use std::borrow::Cow;

use memchr::memchr;

use super::chars::{find, is_space, trim};
use super::header::content::MediaType;
use super::header::name::{HeaderName, is_same_name};
use super::header::params::{Params, head};
use super::message::Message;

/// How many parts a body may have, those of its parts among them.
pub(crate) const MAX_PARTS: usize = 32;
/// How deep multiparts may stand in each other.
pub(crate) const MAX_DEPTH: usize = 8;
/// The longest boundary (RFC 2046 §5.1.1), in bytes.
const MAX_BOUNDARY: usize = 70;
/// How many header fields a part may have.
const MAX_FIELDS: usize = 32;
/// What the body of a part is that has no Content-Type (RFC 2046 §5.1).
const PLAIN_TEXT: &str = "text/plain";

/// A part of a body, and what is said about it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct BodyPart {
    /// Its header fields as they came, in order: Content-Type, Content-Disposition, Content-ID, …
    pub headers: Vec<(String, String)>,
    /// What it holds, as it came: a Content-Transfer-Encoding is not undone.
    pub body: Vec<u8>,
}

impl BodyPart {
    /// The parts of a message's body, in order, those of nested multiparts in the place of these. A body
    /// that is no multipart is one part; so is one that cannot be taken apart, as it has no boundary, more
    /// than 32 parts, or multiparts nested deeper than 8. Without a body there is none. `headers` are those
    /// of the message, as [`CallInfo::headers`](crate::call::CallInfo::headers).
    pub fn split(headers: &[(String, String)], body: &[u8]) -> Vec<Self> {
        let content = headers.iter().filter(|(name, _)| is_of_content(name));
        let fields = content.map(|(name, value)| (Cow::from(&**name), Cow::from(&**value)));
        Entity { fields: fields.collect(), body }.into_parts()
    }

    /// The value of the first field of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.headers.iter();
        let field = fields.find(|(field, _)| is_same_name(field, name));
        field.map(|(_, value)| &**value)
    }

    /// The value of Content-Type; `text/plain` where there is none (RFC 2046 §5.1).
    pub fn content_type(&self) -> &str {
        self.header("Content-Type").unwrap_or(PLAIN_TEXT)
    }
}

impl Message {
    /// The parts of the body, as [`BodyPart::split`] has them.
    pub fn parts(&self) -> Vec<BodyPart> {
        Entity::of(self).into_parts()
    }
}

/// A body, and what is said about it.
#[derive(Clone, Debug)]
pub(crate) struct Entity<'a> {
    fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    body: &'a [u8],
}

impl<'a> Entity<'a> {
    /// The body of a message.
    pub(crate) fn of(message: &'a Message) -> Self {
        let content = message.fields().filter(|(name, _)| is_of_content(name));
        let fields = content.map(|(name, value)| (name.into(), value.into()));
        Self { fields: fields.collect(), body: message.body() }
    }

    /// What it holds.
    pub(crate) fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Whether it is of that type, whatever the parameters.
    pub(crate) fn is(&self, kind: &str, subtype: &str) -> bool {
        self.media_type().is_some_and(|it| it.is(kind, subtype))
    }

    /// Whether it consists of parts.
    pub(crate) fn is_multipart(&self) -> bool {
        self.media_type().is_some_and(|it| it.kind().eq_ignore_ascii_case("multipart"))
    }

    /// Whether it is written as it is: neither compressed (RFC 3261 §20.12) nor as text of another
    /// alphabet (RFC 2045 §6.1), which SIP has no need of (RFC 5621 §3.2).
    pub(crate) fn is_plain(&self) -> bool {
        let plain = ["identity", "7bit", "8bit", "binary"];
        let codings = [self.header("Content-Encoding"), self.header("Content-Transfer-Encoding")];
        let mut codings = codings.into_iter().flatten();
        codings.all(|coding| plain.iter().any(|it| coding.eq_ignore_ascii_case(it)))
    }

    /// The disposition type, if it is named: `session`.
    pub(crate) fn disposition(&self) -> Option<&str> {
        self.header("Content-Disposition").map(head)
    }

    /// Whether it may be left unread (RFC 5621 §8.1): by default it may not.
    pub(crate) fn is_optional(&self) -> bool {
        let disposition = self.header("Content-Disposition").unwrap_or_default();
        let params = Params::new(
            disposition.get(head(disposition).len()..).unwrap_or_default().trim_start(),
        );
        params.find("handling").is_some_and(|it| it.text().eq_ignore_ascii_case("optional"))
    }

    /// What Content-ID URLs (RFC 2392) name it by.
    pub(crate) fn id(&self) -> Option<&str> {
        let id = trim(self.header("Content-ID")?);
        Some(id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id))
    }

    /// Its parts; none of a body that is no multipart, or has no boundary. A line may end with LF alone,
    /// and what is cut off before its last boundary ends with the body.
    ///
    /// # Errors
    /// When there are more than `limit`.
    pub(crate) fn parts(&self, limit: usize) -> Result<Vec<Entity<'a>>, TooManyParts> {
        let boundary = self.media_type().filter(|_| self.is_multipart()).and_then(|it| {
            let boundary = it.params().find("boundary")?.text();
            (1..=MAX_BOUNDARY).contains(&boundary.len()).then_some(boundary.as_bytes())
        });
        let Some(boundary) = boundary else { return Ok(Vec::new()) };
        let mut parts = Vec::new();
        let mut start = None;
        for (line, at, next) in lines(self.body) {
            let Some(is_last) = delimits(line, boundary) else { continue };
            if let Some(start) = start {
                if parts.len() == limit {
                    return Err(TooManyParts);
                }
                parts.extend(Entity::read(self.body.get(start..before_line_end(self.body, at))));
            }
            start = (!is_last).then_some(next);
            if is_last {
                break;
            }
        }
        if let Some(start) = start.filter(|start| *start < self.body.len()) {
            if parts.len() == limit {
                return Err(TooManyParts);
            }
            parts.extend(Entity::read(self.body.get(start..)));
        }
        Ok(parts)
    }

    /// Reads one part: header fields, an empty line, what it holds.
    fn read(part: Option<&'a [u8]>) -> Option<Self> {
        let part = part?;
        let mut fields: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
        let mut body: &[u8] = &[];
        for (line, _, next) in lines(part) {
            if line.is_empty() {
                body = part.get(next..).unwrap_or_default();
                break;
            }
            let line = String::from_utf8_lossy(line);
            // RFC 5322 §2.2.3: a line that begins with space goes on with the one before.
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = fields.last_mut() {
                    let value = value.to_mut();
                    if !value.is_empty() {
                        value.push(' ');
                    }
                    value.push_str(trim(&line));
                }
            } else if let Some((name, value)) = line.split_once(':')
                && fields.len() < MAX_FIELDS
            {
                fields.push((trim(name).to_owned().into(), trim(value).to_owned().into()));
            }
        }
        Some(Self { fields, body })
    }

    fn into_parts(self) -> Vec<BodyPart> {
        let mut parts = Vec::new();
        if !self.body.is_empty() && self.flatten(MAX_DEPTH, &mut parts).is_err() {
            parts = vec![self.to_part()];
        }
        parts
    }

    fn flatten(&self, depth: usize, into: &mut Vec<BodyPart>) -> Result<(), TooManyParts> {
        let parts = match depth {
            0 => Vec::new(),
            _ => self.parts(MAX_PARTS)?,
        };
        if parts.is_empty() {
            if into.len() == MAX_PARTS {
                return Err(TooManyParts);
            }
            into.push(self.to_part());
        }
        parts.iter().try_for_each(|part| part.flatten(depth - 1, into))
    }

    fn to_part(&self) -> BodyPart {
        let field = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| {
            (name.as_ref().to_owned(), value.as_ref().to_owned())
        };
        BodyPart { headers: self.fields.iter().map(field).collect(), body: self.body.to_owned() }
    }

    fn media_type(&self) -> Option<MediaType<'_>> {
        MediaType::parse(self.header("Content-Type")?).ok()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let field = fields.find(|(field, _)| is_same_name(field, name));
        field.map(|(_, value)| value.as_ref())
    }
}

/// A body has more parts than are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TooManyParts;

/// Whether a header field of a message refers to the part with that Content-ID (RFC 2392 §2, RFC 5621
/// §9.1).
pub(crate) fn is_referred_to(message: &Message, id: &str) -> bool {
    let url = format!("cid:{id}");
    message.fields().any(|(_, value)| find(value.as_bytes(), url.as_bytes()).is_some())
}

/// Whether a header field describes the body; Content-Length aside, which counts the bytes of a message.
fn is_of_content(name: &str) -> bool {
    match HeaderName::from_str(name) {
        HeaderName::ContentDisposition
        | HeaderName::ContentEncoding
        | HeaderName::ContentLanguage
        | HeaderName::ContentType => true,
        HeaderName::Other => {
            let others = ["Content-ID", "Content-Transfer-Encoding"];
            others.iter().any(|other| name.eq_ignore_ascii_case(other))
        }
        _ => false,
    }
}

/// Whether a line, without its end, delimits parts; and whether it is the last that does.
fn delimits(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    let (rest, is_last) = match rest.strip_prefix(b"--") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    rest.iter().all(|b| is_space(*b)).then_some(is_last)
}

/// The lines of a text without their ends, each with where it begins and where the next does.
fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], usize, usize)> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let start = at;
        let end = memchr(b'\n', rest);
        at += end.map_or(rest.len(), |end| end + 1);
        let line = rest.get(..end.unwrap_or(rest.len()))?;
        Some((line.strip_suffix(b"\r").unwrap_or(line), start, at))
    })
}

/// Where the text before `at` ends without the end of its last line, which belongs to the boundary that
/// follows (RFC 2046 §5.1.1).
fn before_line_end(text: &[u8], at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    let before = before.strip_suffix(b"\n").unwrap_or(before);
    before.strip_suffix(b"\r").unwrap_or(before).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(content_type: &str, body: &str) -> Vec<(String, String)> {
        let headers = [("c".to_owned(), content_type.to_owned())];
        let parts = BodyPart::split(&headers, body.as_bytes());
        let text = |part: BodyPart| {
            (part.content_type().to_owned(), String::from_utf8(part.body).unwrap())
        };
        parts.into_iter().map(text).collect()
    }

    fn pair(kind: &str, body: &str) -> (String, String) {
        (kind.to_owned(), body.to_owned())
    }

    #[test]
    fn parts_are_found_between_the_boundaries() {
        let body = "preamble\r\n--a b\r\nContent-Type:\r\n application/sdp\r\nX: y\r\n\r\nv=0\r\n\r\n\
                    --a bc\r\n--a b \r\n\r\nplain\n--a b--\r\nepilogue\r\n--a b\r\n\r\nnot this\r\n";
        assert_eq!(
            split("multipart/mixed; boundary=\"a b\"", body),
            [pair("application/sdp", "v=0\r\n\r\n--a bc"), pair("text/plain", "plain")]
        );
        // What is cut off, and lines that end with LF alone.
        assert_eq!(
            split("Multipart/X;boundary=b", "--b\nContent-Type: a/b\n\none\n--b\n\ntwo"),
            [pair("a/b", "one"), pair("text/plain", "two")]
        );
        let empty = "--b\r\nContent-Type: a/b\r\n\r\n\r\n--b--";
        assert_eq!(split("multipart/mixed;boundary=b", empty), [pair("a/b", "")]);
    }

    #[test]
    fn what_cannot_be_taken_apart_is_one_part() {
        for (kind, body) in [
            ("text/plain", "--b\r\n\r\nx\r\n--b--"),
            ("multipart/mixed", "--b\r\n\r\nx\r\n--b--"),
            ("multipart/mixed;boundary=\"\"", "--\r\n\r\nx\r\n----"),
            ("multipart/mixed;boundary=c", "--b\r\n\r\nx\r\n--b--"),
        ] {
            assert_eq!(split(kind, body), [pair(kind, body)]);
        }
        let many = "--b\r\n\r\nx\r\n".repeat(MAX_PARTS + 1) + "--b--";
        let kind = "multipart/mixed;boundary=b";
        assert_eq!(split(kind, &many), [pair(kind, &many)]);
        assert_eq!(split(kind, &many[10..]).len(), MAX_PARTS);
        assert_eq!(split("text/plain", ""), []);
    }

    #[test]
    fn nesting_is_bounded() {
        let mut body = "deep".to_owned();
        let mut kind = "text/plain".to_owned();
        for level in 0..=MAX_DEPTH {
            body = format!("--{level}\r\nContent-Type: {kind}\r\n\r\n{body}\r\n--{level}--\r\n");
            kind = format!("multipart/mixed;boundary={level}");
            let parts = split(&kind, &body);
            assert_eq!(parts.len(), 1);
            assert_eq!(parts[0].1 == "deep", level < MAX_DEPTH, "{level}");
        }
    }

    #[test]
    fn what_describes_a_part_is_read() {
        let part = |fields: &str| {
            let text = format!("{fields}\r\n\r\nx");
            Entity::read(Some(text.as_bytes())).map(|it| {
                let named = |text: Option<&str>| text.unwrap_or_default().to_owned();
                (named(it.disposition()), it.is_optional(), named(it.id()), it.is_plain())
            })
        };
        let of = |disposition: &str, optional, id: &str, plain| {
            Some((disposition.to_owned(), optional, id.to_owned(), plain))
        };
        assert_eq!(part("X: y"), of("", false, "", true));
        assert_eq!(
            part("Content-Disposition: Signal ; Handling = Optional\r\nContent-ID: <a@b>"),
            of("Signal", true, "a@b", true)
        );
        assert_eq!(
            part(
                "Content-Disposition: session;handling=required\r\nContent-Transfer-Encoding: base64"
            ),
            of("session", false, "", false)
        );
        assert_eq!(
            part("Content-Disposition: render;x=\"handling=optional\"\r\nContent-Encoding: gzip"),
            of("render", false, "", false)
        );
        assert_eq!(part("Content-Transfer-Encoding: 8BIT").map(|it| it.3), Some(true));
    }
}
