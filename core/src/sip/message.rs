//! A received message: [`Message`].

use core::fmt;
use std::sync::Arc;

use super::error::{Malformed, ParseError};
use super::header::address::NameAddr;
use super::header::content::MediaType;
use super::header::list::Values;
use super::header::name::HeaderName;
use super::header::number;
use super::header::via::Via;
use super::method::Method;
use super::parser::{Draft, Field, Typed, parse};
use super::start_line::Start;
use super::uri::Uri;
use super::writer::Writer;

/// A SIP message as it came, parsed once. Cheap to clone: clones share one buffer.
///
/// It has a readable Via, From, To, Call-ID and CSeq, and a request's Request-URI is a URI; every
/// other header field is looked at only when asked for.
#[derive(Clone)]
pub struct Message {
    inner: Arc<Inner>,
}

struct Inner {
    draft: Draft,
    typed: Typed,
}

#[cfg(test)]
std::thread_local! {
    /// How often this thread has parsed something.
    pub(crate) static PARSED: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
}

impl Message {
    /// Parses one datagram (§7, §18.3). What follows the body is dropped.
    pub fn parse(datagram: &[u8]) -> Result<Self, ParseError> {
        #[cfg(test)]
        PARSED.set(PARSED.get() + 1);
        let (mut draft, typed) = parse(datagram)?;
        if let Start::Response { .. } = draft.start {
            draft.method = draft.cseq_method().unwrap_or(Method::Ack);
        }
        Ok(Self { inner: Arc::new(Inner { draft, typed }) })
    }

    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.draft().start, Start::Request { .. })
    }

    /// The method of a request; in a response the one that CSeq names.
    pub fn method(&self) -> &Method {
        &self.draft().method
    }

    /// The Request-URI, as it came; `None` in a response.
    pub fn request_uri(&self) -> Option<&str> {
        match self.draft().start {
            Start::Request { uri } => Some(uri.of(self.text())),
            _ => None,
        }
    }

    /// The status code, 100 to 699; `None` in a request.
    pub fn status(&self) -> Option<u16> {
        match self.draft().start {
            Start::Response { status, .. } => Some(status),
            _ => None,
        }
    }

    /// The reason phrase, as it came; empty in a request.
    pub fn reason(&self) -> &str {
        match self.draft().start {
            Start::Response { reason, .. } => reason.of(self.text()),
            _ => "",
        }
    }

    /// The topmost Via.
    pub fn via(&self) -> Via<'_> {
        let (value, parts) = self.inner.typed.via;
        Via::new(value.of(self.text()), parts)
    }

    /// From: who began.
    pub fn from(&self) -> NameAddr<'_> {
        let (value, parts) = self.inner.typed.from;
        NameAddr::new(value.of(self.text()), parts)
    }

    /// To: who was meant.
    pub fn to(&self) -> NameAddr<'_> {
        let (value, parts) = self.inner.typed.to;
        NameAddr::new(value.of(self.text()), parts)
    }

    /// From's tag; RFC 2543 phones send none.
    pub fn from_tag(&self) -> Option<&str> {
        self.from().tag()
    }

    /// To's tag.
    pub fn to_tag(&self) -> Option<&str> {
        self.to().tag()
    }

    /// Call-ID; case matters.
    pub fn call_id(&self) -> &str {
        self.inner.typed.call_id.of(self.text())
    }

    /// The sequence number of CSeq; its method is [`method`](Self::method).
    pub fn cseq(&self) -> u32 {
        self.inner.typed.cseq
    }

    /// The value of the first field of that name, folds joined, without spaces around it.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers(name).next()
    }

    /// The value of every field of that name, in order.
    pub fn headers(&self, name: HeaderName) -> impl Iterator<Item = &str> + Clone {
        let text = self.text();
        self.draft().fields.iter().filter(move |f| f.name == name).map(move |f| f.value.of(text))
    }

    /// The values of every field of that name, also split at commas: for the fields whose grammar is
    /// a list. Empty values are left out.
    pub fn values(&self, name: HeaderName) -> impl Iterator<Item = &str> + Clone {
        self.headers(name).flat_map(Values::new)
    }

    /// The value of the first field of that name, long or compact, in any case.
    pub fn header_by_name(&self, name: &str) -> Option<&str> {
        match HeaderName::from_str(name) {
            HeaderName::Other => {
                self.fields().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
            }
            known => self.header(known),
        }
    }

    /// Every field: its name as it came, and its value.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self.text();
        self.draft().fields.iter().map(move |f| (f.label.of(text), f.value.of(text)))
    }

    /// Every Via, topmost first.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'_>, Malformed>> {
        self.values(HeaderName::Via).map(Via::parse)
    }

    /// Every Contact.
    pub fn contacts(&self) -> impl Iterator<Item = Result<NameAddr<'_>, Malformed>> {
        self.addresses(HeaderName::Contact)
    }

    /// Every Route, topmost first.
    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr<'_>, Malformed>> {
        self.addresses(HeaderName::Route)
    }

    /// Every Record-Route, topmost first.
    pub fn record_routes(&self) -> impl Iterator<Item = Result<NameAddr<'_>, Malformed>> {
        self.addresses(HeaderName::RecordRoute)
    }

    /// The values of any field that holds addresses: Path, P-Asserted-Identity, Refer-To, …
    pub fn addresses(
        &self,
        name: HeaderName,
    ) -> impl Iterator<Item = Result<NameAddr<'_>, Malformed>> {
        self.values(name).map(NameAddr::parse)
    }

    /// The Request-URI, typed; `None` in a response.
    pub fn uri(&self) -> Option<Uri<'_>> {
        self.request_uri().and_then(|uri| Uri::parse(uri).ok())
    }

    /// Expires in seconds; what cannot be read counts as an hour (§10.2.1.1).
    pub fn expires(&self) -> Option<u32> {
        self.header(HeaderName::Expires).map(number::expires)
    }

    /// Min-Expires in seconds (§20.23).
    pub fn min_expires(&self) -> Option<u32> {
        self.header(HeaderName::MinExpires).and_then(number::leading)
    }

    /// Retry-After in seconds (§20.33).
    pub fn retry_after(&self) -> Option<u32> {
        self.header(HeaderName::RetryAfter).and_then(number::leading)
    }

    /// Max-Forwards; a value above 255 counts as none (RFC 4475 §3.1.2.4).
    pub fn max_forwards(&self) -> Option<u8> {
        self.header(HeaderName::MaxForwards)
            .and_then(number::leading)
            .and_then(|n| u8::try_from(n).ok())
    }

    /// Content-Type; `None` when there is none or it cannot be read.
    pub fn content_type(&self) -> Option<MediaType<'_>> {
        self.header(HeaderName::ContentType).and_then(|value| MediaType::parse(value).ok())
    }

    /// Whether the body is of that type: `message.has_body("application", "sdp")`.
    pub fn has_body(&self, kind: &str, subtype: &str) -> bool {
        !self.body().is_empty() && self.content_type().is_some_and(|t| t.is(kind, subtype))
    }

    /// The methods of Allow; `None` when there is no such field.
    pub fn allow(&self) -> Option<impl Iterator<Item = Method>> {
        self.header(HeaderName::Allow)?;
        Some(self.values(HeaderName::Allow).map(Method::from_str))
    }

    /// The option tags of Require.
    pub fn require(&self) -> impl Iterator<Item = &str> {
        self.values(HeaderName::Require)
    }

    /// The option tags of Supported.
    pub fn supported(&self) -> impl Iterator<Item = &str> {
        self.values(HeaderName::Supported)
    }

    /// Whether Supported or Require names an option tag, in any case.
    pub fn supports(&self, option: &str) -> bool {
        self.supported().chain(self.require()).any(|tag| tag.eq_ignore_ascii_case(option))
    }

    /// The body, cut by Content-Length.
    pub fn body(&self) -> &[u8] {
        let (from, to) = self.draft().body;
        self.draft().bytes().get(from..to).unwrap_or_default()
    }

    /// The message as it was received, without empty lines before it and without what follows it.
    pub fn bytes(&self) -> &[u8] {
        self.draft().bytes().get(..self.draft().body.1).unwrap_or_default()
    }

    /// Writes the message into `buf` in canonical form: long names, one space after the colon, no
    /// folds, a Content-Length; every value as it came. Parsing that and writing it again changes
    /// nothing.
    pub fn write(&self, buf: &mut Vec<u8>) {
        let mut writer = match self.status() {
            None => Writer::request(buf, self.method(), self.request_uri().unwrap_or_default()),
            Some(status) => Writer::response(buf, status, self.reason()),
        };
        writer.copy_others(self, &[]);
        writer.finish_with(self.body());
    }

    pub(crate) fn draft(&self) -> &Draft {
        &self.inner.draft
    }

    fn text(&self) -> &str {
        &self.inner.draft.text
    }
}

impl Draft {
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.raw.is_empty() { self.text.as_bytes() } else { &self.raw }
    }

    /// The fields of that name, in order.
    pub(crate) fn named(&self, name: HeaderName) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |f| f.name == name)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({})", self.text().lines().next().unwrap_or_default())
    }
}
