//! What a message's body says about the session: its description, found among the parts (RFC 5621).

use crate::sdp::{SdpError, SessionDescription};
use crate::sip::{Entity, MAX_DEPTH, MAX_PARTS, Message, Method, is_referred_to};

/// What a body says that ought to hold a session description.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Body {
    /// There is none, and nothing else that must be understood.
    None,
    /// A description.
    Session(Box<SessionDescription>),
    /// One that cannot be read: 400.
    Malformed(SdpError),
    /// Something else that must be understood: 415 (RFC 3261 §8.2.3, RFC 5621 §8.4).
    Unsupported,
}

impl Body {
    /// Looks at a message's body.
    pub(crate) fn of(message: &Message) -> Self {
        if message.body().is_empty() {
            return Self::None;
        }
        Reader { message, left: MAX_PARTS }.read(&Entity::of(message), MAX_DEPTH)
    }

    fn is_description(&self) -> bool {
        matches!(self, Self::Session(_) | Self::Malformed(_))
    }
}

/// Reads the parts of one message.
struct Reader<'a> {
    message: &'a Message,
    /// How many more parts are taken.
    left: usize,
}

impl Reader<'_> {
    /// Reads a body, or a part of one; what may be left unread and is not understood is as nothing (RFC
    /// 5621 §8.1).
    fn read(&mut self, entity: &Entity<'_>, depth: usize) -> Body {
        match self.read_required(entity, depth) {
            Body::Unsupported if entity.is_optional() => Body::None,
            body => body,
        }
    }

    /// The same for what has to be understood.
    fn read_required(&mut self, entity: &Entity<'_>, depth: usize) -> Body {
        if !entity.is_plain() {
            return Body::Unsupported;
        }
        if entity.is_multipart() {
            return self.read_parts(entity, depth);
        }
        let disposition = entity.disposition().unwrap_or_default();
        let is = |other: &str| disposition.eq_ignore_ascii_case(other);
        // RFC 3959: a description of the early session would be one beside that of the session. RFC 5621
        // §9.4: nothing that we have read refers to the part.
        if is("early-session") || is("by-reference") {
            return Body::Unsupported;
        }
        if entity.is("application", "sdp") {
            return match SessionDescription::parse(entity.body()) {
                Ok(description) => Body::Session(Box::new(description)),
                Err(error) => Body::Malformed(error),
            };
        }
        match entity.id() {
            // RFC 5621 §9.3: it serves the header field that refers to it, as Geolocation does (RFC 6442),
            // and that one may be ignored.
            Some(id) if is_referred_to(self.message, id) => Body::None,
            _ => Body::Unsupported,
        }
    }

    /// Reads a multipart: `alternative`, or any other, which counts as `mixed` (RFC 5621 §4.2).
    fn read_parts(&mut self, entity: &Entity<'_>, depth: usize) -> Body {
        let parts = match depth {
            0 => Vec::new(),
            _ => entity.parts(self.left).unwrap_or_default(),
        };
        if parts.is_empty() {
            return Body::Unsupported;
        }
        self.left -= parts.len();
        if entity.is("multipart", "alternative") {
            // RFC 5621 §6.1, §8.3: the last that is understood, whatever the handling of each.
            let mut read = parts.iter().rev().map(|part| self.read_required(part, depth - 1));
            return read.find(|body| *body != Body::Unsupported).unwrap_or(Body::Unsupported);
        }
        let mut found = Body::None;
        for part in &parts {
            let body = self.read(part, depth - 1);
            match body {
                Body::Unsupported if self.may_refuse() => return body,
                // One description describes the session: the first.
                body if body.is_description() && !found.is_description() => found = body,
                Body::Unsupported if !found.is_description() => found = body,
                _ => {}
            }
        }
        found
    }

    /// Whether a part that is not understood can be refused: not in an answer (RFC 5621 §10).
    fn may_refuse(&self) -> bool {
        self.message.is_request() && *self.message.method() != Method::Ack
    }
}
