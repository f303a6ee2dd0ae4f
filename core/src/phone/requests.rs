//! Commands that send one request: a ping, an instant message, or what the application makes itself.

use super::fields::check_field;
use super::out_of_dialog::OutOfDialogRequest;
use super::{Intent, Phone};
use crate::agent::{Content, MAX_MESSAGE};
use crate::call::{Call, MAX_REQUESTS};
use crate::error::Error;
use crate::event::{CallId, SipRequestId};
use crate::sip::{HeaderName, MAX_METHOD_BYTES, Method, check_name, is_media_type};

/// How many requests of all kinds may wait for their answers at once.
const MAX_WAITING: usize = 1_000;

/// How large the body of a request may be, in bytes: with header fields it has to fit a datagram.
const MAX_BODY: usize = 60_000;

/// What a request of [`Phone::request`] has beyond what every request has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct RequestOptions {
    /// Header fields, by name and value.
    pub headers: Vec<(String, String)>,
    /// The value of Content-Type, and the body.
    pub body: Option<(String, Vec<u8>)>,
}

impl RequestOptions {
    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body of that type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.body = Some((content_type.to_owned(), body.to_owned()));
        self
    }

    fn check(&self) -> Result<(), Error> {
        for (name, value) in &self.headers {
            check_field(name, value, &OURS)?;
        }
        let Some((kind, bytes)) = &self.body else { return Ok(()) };
        check_type(kind)?;
        if bytes.len() > MAX_BODY {
            let size = format!("{} bytes", bytes.len());
            return Err(Error::invalid("body", &size, "it may have 60,000"));
        }
        Ok(())
    }
}

impl Phone {
    /// Asks `target` (as for [`call`](Self::call)) what it can do: a SIP ping. The answer is
    /// [`Event::Response`](crate::event::Event::Response).
    ///
    /// # Errors
    /// [`Error::InvalidStatus`] unless the phone is started, [`Error::InvalidValue`],
    /// [`Error::TooManyRequests`].
    pub fn options(&mut self, target: &str) -> Result<SipRequestId, Error> {
        self.require_started("ping from")?;
        let target = self.agent.target(target)?;
        let id = self.next_request()?;
        self.begin_request(id, OutOfDialogRequest::options(id, target));
        Ok(id)
    }

    /// Sends `target` (as for [`call`](Self::call)) an instant message (RFC 3428): `body`, of the
    /// type that `content_type` names (`text/plain`). The answer is
    /// [`Event::Response`](crate::event::Event::Response); 513 also when the message was not sent because
    /// it would be larger than §8 allows. A message to a URI waits until the one before it has been
    /// answered (§8), so they stay in order.
    ///
    /// # Errors
    /// [`Error::InvalidStatus`] unless the phone is started, [`Error::InvalidValue`] for a target
    /// that cannot be used or a type that is none; [`Error::TooLarge`], also as the outcome, for more
    /// than the 1,300 bytes that the whole request may have (§8); [`Error::TooManyRequests`].
    pub fn message(
        &mut self,
        target: &str,
        body: &[u8],
        content_type: &str,
    ) -> Result<SipRequestId, Error> {
        self.require_started("send a message from")?;
        let target = self.agent.target(target)?;
        check_type(content_type)?;
        if body.len() > MAX_MESSAGE {
            return Err(Error::TooLarge { limit: MAX_MESSAGE });
        }
        let id = self.next_request()?;
        let content = Content { kind: content_type.to_owned(), bytes: body.to_owned() };
        let message = OutOfDialogRequest::new(id, target, Method::Message);
        self.begin_request(id, message.carrying(Some(content)));
        Ok(id)
    }

    /// Sends `target` (as for [`call`](Self::call)) a request of any other method, a new one
    /// included, outside a dialog. It is authenticated as all others are; the answer is
    /// [`Event::Response`](crate::event::Event::Response). Requests of new methods that come are
    /// answered by a [`SipHandler`](crate::handler::SipHandler).
    ///
    /// # Errors
    /// [`Error::InvalidStatus`] unless the phone is started; [`Error::InvalidValue`] for a method that
    /// is none or that the phone alone sends (INVITE, ACK, BYE, CANCEL, REGISTER, PRACK, UPDATE), a
    /// target or type that cannot be used, a header field that the phone writes itself (Via, From,
    /// To, Call-ID, CSeq, Max-Forwards, Route, Authorization, User-Agent, Content-Type, ...), a body
    /// of more than 60,000 bytes; [`Error::TooManyRequests`].
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        options: RequestOptions,
    ) -> Result<SipRequestId, Error> {
        self.require_started("send a request from")?;
        let method = check_method(method)?;
        let target = self.agent.target(target)?;
        options.check()?;
        let RequestOptions { headers, body } = options;
        let content = body.map(|(kind, bytes)| Content { kind, bytes });
        let id = self.next_request()?;
        let request = OutOfDialogRequest::new(id, target, method).extended(headers);
        self.begin_request(id, request.carrying(content));
        Ok(id)
    }

    /// Sends the far end of an ANSWERED call a request of any method within the call's dialog, as
    /// [`request`](Self::request) does outside: INFO, say. The answer is
    /// [`Event::Response`](crate::event::Event::Response), before [`CallEvent::Ended`](crate::event::CallEvent::Ended)
    /// at the latest.
    ///
    /// # Errors
    /// [`Error::InvalidState`], [`Error::NoSuchCall`]; otherwise as [`request`](Self::request), and
    /// MESSAGE is for [`message`](Self::message). 16 requests of a call may wait for their answers.
    pub fn request_within(
        &mut self,
        call: CallId,
        method: &str,
        options: RequestOptions,
    ) -> Result<SipRequestId, Error> {
        let method = check_method(method)?;
        if method == Method::Message {
            return Err(Error::invalid("method", method.as_str(), "it goes outside of calls"));
        }
        options.check()?;
        let RequestOptions { headers, body } = options;
        let content = body.map(|(kind, bytes)| Content { kind, bytes });
        self.change(call, "send a request within", Intent::RequestWithin(call))?;
        self.last_request += 1;
        let id = SipRequestId(self.last_request);
        let taken = |call: &mut Box<Call>| call.queue_request(id, method, headers, content);
        match self.calls.get_mut(&call).is_some_and(taken) {
            true => Ok(id),
            false => Err(Error::TooManyRequests { limit: MAX_REQUESTS }),
        }
    }

    fn next_request(&mut self) -> Result<SipRequestId, Error> {
        if self.requests.len() >= MAX_WAITING {
            return Err(Error::TooManyRequests { limit: MAX_WAITING });
        }
        self.last_request += 1;
        Ok(SipRequestId(self.last_request))
    }

    fn begin_request(&mut self, id: SipRequestId, request: OutOfDialogRequest) {
        self.requests.insert(id, request);
        self.intents.push_back(Intent::Send(id));
    }
}

/// What the phone writes in every request.
const OURS: [HeaderName; 12] = [
    HeaderName::Authorization,
    HeaderName::CallId,
    HeaderName::ContentLength,
    HeaderName::ContentType,
    HeaderName::CSeq,
    HeaderName::From,
    HeaderName::MaxForwards,
    HeaderName::ProxyAuthorization,
    HeaderName::Route,
    HeaderName::To,
    HeaderName::UserAgent,
    HeaderName::Via,
];

fn check_method(name: &str) -> Result<Method, Error> {
    if check_name(name).is_err() || name.len() > MAX_METHOD_BYTES {
        return Err(Error::invalid("method", name, "it is no token"));
    }
    match Method::from_str(name) {
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Register
        | Method::Prack
        | Method::Update => Err(Error::invalid("method", name, "the phone sends it by itself")),
        method => Ok(method),
    }
}

fn check_type(kind: &str) -> Result<(), Error> {
    match is_media_type(kind) {
        true => Ok(()),
        false => Err(Error::invalid("content type", kind, "it is no media type")),
    }
}
