//! Inspecting and changing every SIP message of a phone: [`SipHandler`] (pyVoIP's `sip_class`).
//!
//! A handler is given to a phone by [`PhoneParameters::sip_class`]; each start makes a new one. The
//! phone calls it with one message at a time, while it handles input or deadlines, and it returns
//! what to do with the message. It cannot reach the phone and must not block. A panic in it is a
//! panic of the phone: natively that run is over, its calls are lost, and the phone can be started
//! again.
//!
//! ```text
//!             request_in, response_in          request_out, response_out
//!   network ──► transactions ──► HANDLER ──► phone ──► HANDLER ──► transactions ──► network
//!               retransmissions                                    retransmissions
//! ```
//! What a handler sees and what it does not:
//!
//! - Each request that comes in once, CANCEL and the ACK of a 2xx included; each response that comes
//!   in once, and every copy of a 2xx to INVITE, which its sender repeats end to end.
//! - Each request and response of the phone once, before it is sent first. What a handler made of
//!   it is what is retransmitted.
//! - Not what transactions send by themselves: retransmissions, 100 after 200 ms, the ACK of a
//!   refusal, 482 for a merged request, 503 when the table is full, and the 400 to a malformed
//!   message.
//! - A handler's own answers do not go through [`SipHandler::response_out`].
//! - **Secrets too**: Authorization and Proxy-Authorization with their digests, and whatever a body
//!   holds. Think before logging.
//!
//! ```
//! use core::net::SocketAddr;
//! use offhook_core::config::PhoneParameters;
//! use offhook_core::handler::{MessageAction, SipAnswer, SipDraft, SipHandler, RequestAction};
//!
//! /// Answers PING, takes nothing from a known nuisance, and names an account in every INVITE.
//! struct Gate;
//!
//! impl SipHandler for Gate {
//!     fn methods(&self) -> Vec<&str> {
//!         vec!["PING"]
//!     }
//!
//!     fn request_in(&mut self, request: &mut SipDraft, from: SocketAddr) -> RequestAction {
//!         match request.method().as_str() {
//!             "PING" => RequestAction::Answer(SipAnswer::new(200).header("X-Load", "0.2")),
//!             _ if from.ip().to_string() == "192.0.2.66" => RequestAction::Drop,
//!             _ => RequestAction::Pass,
//!         }
//!     }
//!
//!     fn request_out(&mut self, request: &mut SipDraft, _to: SocketAddr) -> MessageAction {
//!         if request.method().as_str() == "INVITE" {
//!             request.set("X-Account", "7001");
//!         }
//!         MessageAction::Pass
//!     }
//! }
//!
//! let parameters = PhoneParameters::new("pbx.example.com", "alice").sip_class(|| Gate);
//! # drop(parameters);
//! ```
//!
//! [`PhoneParameters::sip_class`]: crate::config::PhoneParameters::sip_class

mod answer;
mod draft;

pub use answer::SipAnswer;
pub use draft::SipDraft;

pub(crate) use draft::DraftOutcome;

use core::fmt;
use core::net::SocketAddr;
use std::sync::Arc;

use crate::sip::HeaderName;

/// Sees every request and response in and out, and may change, answer or drop it. Each method by
/// default lets the message pass as it is.
pub trait SipHandler: Send {
    /// Methods that [`request_in`](Self::request_in) answers beyond those of the phone: they are
    /// named in Allow. Called once, when the phone starts. A request of such a method that the
    /// handler passes on is refused by the phone (501 or 405).
    fn methods(&self) -> Vec<&str> {
        Vec::new()
    }

    /// A request was received.
    fn request_in(&mut self, request: &mut SipDraft, from: SocketAddr) -> RequestAction {
        let _ = (request, from);
        RequestAction::Pass
    }

    /// A response was received. A dropped response counts as never received: when it is final, the
    /// request fails as if nobody had answered.
    fn response_in(&mut self, response: &mut SipDraft, from: SocketAddr) -> MessageAction {
        let _ = (response, from);
        MessageAction::Pass
    }

    /// A request is about to be sent. A dropped request fails at once, as if the network had refused
    /// it.
    fn request_out(&mut self, request: &mut SipDraft, to: SocketAddr) -> MessageAction {
        let _ = (request, to);
        MessageAction::Pass
    }

    /// A response is about to be sent. When a final response is dropped, its request is forgotten: a
    /// retransmission counts as a new request.
    fn response_out(&mut self, response: &mut SipDraft, to: SocketAddr) -> MessageAction {
        let _ = (response, to);
        MessageAction::Pass
    }
}

/// What to do with a received request.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RequestAction {
    /// It goes on to the phone, with what was changed.
    Pass,
    /// It is answered with this response and goes no further; retransmissions get the same answer. An
    /// invalid answer (see [`SipAnswer`]) is counted in
    /// [`Counters::changes_refused`](crate::phone::Counters::changes_refused), and the request
    /// passes. ACK is never answered: it is dropped.
    Answer(SipAnswer),
    /// It is dropped: there is no answer, and nothing is remembered, so the handler sees its
    /// retransmissions too.
    Drop,
}

/// What to do with any other message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MessageAction {
    /// It goes on, with what was changed.
    Pass,
    /// It goes no further.
    Drop,
}

/// Makes a phone's [`SipHandler`], a new one at each start.
#[derive(Clone)]
pub struct SipClass(Arc<dyn Fn() -> Box<dyn SipHandler> + Send + Sync>);

impl SipClass {
    /// Handlers that `make` makes.
    pub fn new<H: SipHandler + 'static>(make: impl Fn() -> H + Send + Sync + 'static) -> Self {
        Self(Arc::new(move || Box::new(make())))
    }

    pub(crate) fn make(&self) -> Box<dyn SipHandler> {
        (self.0)()
    }
}

impl fmt::Debug for SipClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SipClass")
    }
}

/// What says to which transaction and dialog a message belongs, and where it ends; no handler
/// changes it.
fn is_identity(name: &str) -> bool {
    const IDENTITY: [HeaderName; 6] = [
        HeaderName::Via,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
        HeaderName::CSeq,
        HeaderName::ContentLength,
    ];
    IDENTITY.contains(&HeaderName::from_str(name))
}
