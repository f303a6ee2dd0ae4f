//! What can be wrong with a message, and what may be answered.

use core::fmt;
use core::net::SocketAddr;

use super::header::name::HeaderName;
use super::header::via::{Via, ViaParts};
use super::method::Method;
use super::parser::Draft;
use super::writer::Writer;

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing but line ends, or nothing at all: a keep-alive.
    Empty,
    /// The first line is neither a request line nor a status line.
    NotSip,
    /// A message of more than 262,144 bytes, not read at all; or a start line and header fields of more than
    /// 65,535.
    MessageTooLong,
    /// Another version than SIP/2.0.
    Version,
    /// A status code outside 100 to 699.
    StatusCode,
    /// A method that is no token, or longer than 128 bytes.
    Method,
    /// The Request-URI is no URI, is in angle brackets, holds a space or carries headers (§19.1.1).
    RequestUri,
    /// A line that is no header field: no colon, or a name that is no token.
    Field,
    /// A carriage return that ends no line.
    CarriageReturn,
    /// A header field whose value is longer than 8,192 bytes, or whose name is longer than 256.
    FieldTooLong,
    /// More than 256 header fields, or more than 100 of them Via.
    TooManyFields,
    /// The empty line after the header fields is missing.
    Unterminated,
    /// A header field that every message has is missing.
    Missing(HeaderName),
    /// A header field that may come once came more than once.
    Repeated(HeaderName),
    /// The value of a header field cannot be read.
    Value(HeaderName),
    /// CSeq names another method than the request line (§8.1.1.5).
    MethodMismatch,
    /// The body is shorter than Content-Length (§18.3).
    BodyTooShort,
}

impl fmt::Display for Fault {
    /// Fits a reason phrase: §21.4.1 wants it to name the syntax problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty Message",
            Self::NotSip => "Not a SIP Message",
            Self::MessageTooLong => super::reason_phrase(513),
            Self::Version => "Version Not Supported",
            Self::StatusCode => "Invalid Status Code",
            Self::Method => "Invalid Method",
            Self::RequestUri => "Invalid Request-URI",
            Self::Field => "Invalid Header Field",
            Self::CarriageReturn => "Stray Carriage Return",
            Self::FieldTooLong => "Header Field Too Long",
            Self::TooManyFields => "Too Many Header Fields",
            Self::Unterminated => "Missing Empty Line",
            Self::Missing(name) => return write!(f, "Missing {name}"),
            Self::Repeated(name) => return write!(f, "More Than One {name}"),
            Self::Value(name) => return write!(f, "Invalid {name}"),
            Self::MethodMismatch => "CSeq Method Mismatch",
            Self::BodyTooShort => "Body Shorter Than Content-Length",
        })
    }
}

/// A value that cannot be read: in a header field typed on demand, or a URI.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{problem} at byte {at}")]
pub struct Malformed {
    /// What is wrong.
    pub problem: &'static str,
    /// Where in the value, in bytes.
    pub at: usize,
}

impl Malformed {
    pub(crate) const fn new(problem: &'static str, at: usize) -> Self {
        Self { problem, at }
    }

    /// The same, in a text that begins `by` bytes earlier.
    pub(crate) const fn shift(self, by: usize) -> Self {
        Self { problem: self.problem, at: self.at.saturating_add(by) }
    }
}

/// Why a datagram was not taken as a SIP message; knows how to answer it.
#[derive(Clone)]
pub struct ParseError {
    pub(super) fault: Fault,
    pub(super) at: usize,
    pub(super) detail: Option<&'static str>,
    /// What could be read, when it is a request that may be answered.
    pub(super) request: Option<Box<Draft>>,
}

impl ParseError {
    /// A fault that shows only on a stream, in a message that begins with `head`.
    pub(crate) fn of_head(head: &[u8], fault: Fault) -> Self {
        super::parser::refuse(head, fault)
    }

    /// What is wrong.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// Where, in bytes from the start of the message (with folded lines joined).
    pub fn at(&self) -> usize {
        self.at
    }

    /// The status code to answer with; `None` when the datagram is to be dropped: a response, an ACK,
    /// no SIP at all, or nothing in it that an answer could be sent by.
    pub fn status(&self) -> Option<u16> {
        let method = &self.request.as_ref()?.method;
        Some(match self.fault {
            Fault::Version => 505,
            Fault::MessageTooLong => 513,
            // RFC 4475 §3.1.2.18: 501 says more about a method nobody here knows.
            Fault::MethodMismatch if matches!(method, Method::Other(_)) => 501,
            _ => 400,
        })
    }

    /// The topmost Via, if it can be read.
    pub(crate) fn via(&self) -> Option<Via<'_>> {
        let request = self.request.as_ref()?;
        let value = request.named(HeaderName::Via).next()?.value.of(&request.text);
        Some(Via::new(value, ViaParts::parse(value).ok()?.0))
    }

    /// Writes the answer into `buf`, statelessly, with what can be copied from the request, which came
    /// from `from`. False when there is nothing to send.
    pub fn respond(&self, buf: &mut Vec<u8>, to_tag: &str, from: SocketAddr) -> bool {
        let (Some(status), Some(request)) = (self.status(), &self.request) else {
            return false;
        };
        let reason = match self.fault {
            Fault::MethodMismatch if status == 501 => super::reason_phrase(501).to_owned(),
            fault => fault.to_string(),
        };
        Writer::rejection(buf, request, status, &reason, to_tag, from).finish();
        true
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.fault, self.at)?;
        match self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParseError({self})")
    }
}

impl core::error::Error for ParseError {}
