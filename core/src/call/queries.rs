//! Answers that need no state of a call, within a dialog or without one.

use crate::agent::{ACCEPTED_BODIES, ALLOWED, Context, Query, Response};
use crate::event::{Event, PhoneEvent};
use crate::sdp::{NotAcceptable, SdpError};
use crate::sip::{HeaderName, Message, Method, head};

/// 481: there is no such dialog or transaction (RFC 3261 §12.2.2).
pub(crate) fn no_dialog(cx: &mut Context<'_>, query: &Query) {
    cx.respond(query, Response::new(481));
}

/// Answers a request that changes nothing here.
pub(crate) fn answer(cx: &mut Context<'_>, query: &Query) {
    match query.request.method() {
        Method::Options => capabilities(cx, query),
        Method::Info => info(cx, query),
        Method::Message => message(cx, query),
        // RFC 6665 §4.1.3: there is no subscription that it could belong to.
        Method::Notify => no_dialog(cx, query),
        // Outside of an answered call there is nothing to transfer.
        Method::Refer => decline(cx, query),
        // §8.2.1: a method that nobody here knows, and one that is known and not taken.
        Method::Other(_) => {
            cx.respond(query, Response::new(501).field(HeaderName::Allow, ALLOWED));
        }
        _ => {
            cx.respond(query, Response::new(405).field(HeaderName::Allow, ALLOWED));
        }
    }
}

/// 603 to a REFER: nobody here wants to follow (RFC 3515 §2.4.2).
pub(crate) fn decline(cx: &mut Context<'_>, query: &Query) {
    cx.respond(query, Response::new(603));
}

/// OPTIONS (§11.2).
pub(crate) fn capabilities(cx: &mut Context<'_>, query: &Query) {
    cx.respond(query, Response::new(200).capabilities());
}

/// MESSAGE (RFC 3428 §7): any type is for the application to show or not.
pub(crate) fn message(cx: &mut Context<'_>, query: &Query) {
    let request = &query.request;
    if !is_plain(request) {
        return unsupported_body(cx, query);
    }
    let content_type = request.header(HeaderName::ContentType).unwrap_or("text/plain");
    cx.emit(Event::Phone(PhoneEvent::Message {
        from: request.from().uri_str().to_owned(),
        to: request.to().uri_str().to_owned(),
        body: request.body().to_owned(),
        content_type: content_type.to_owned(),
    }));
    // No Contact and no body.
    cx.respond(query, Response::new(200));
}

/// NOTIFY without a tag in To, so of no subscription: every one that a subscriber asked for has the
/// tag that he gave (RFC 6665 §4.4.1), and §4.1.3 wants 481. Servers send two kinds unasked all the
/// same: to keep a way through a NAT open, often without Event, and to tell of voice mail (RFC
/// 3842). Some take a phone that refuses these for gone, so they are taken, and change nothing.
pub(crate) fn unsolicited(cx: &mut Context<'_>, query: &Query) {
    let event = query.request.header(HeaderName::Event).unwrap_or_default();
    let usual = ["", "keep-alive", "message-summary"];
    match usual.iter().any(|usual| head(event).eq_ignore_ascii_case(usual)) {
        true => drop(cx.respond(query, Response::new(200))),
        false => no_dialog(cx, query),
    }
}

/// Whether a body is written as it is (RFC 3261 §20.12).
pub(crate) fn is_plain(message: &Message) -> bool {
    let coding = message.header(HeaderName::ContentEncoding);
    coding.is_none_or(|coding| coding.eq_ignore_ascii_case("identity"))
}

/// INFO: one that says nothing is taken; what it could say is not understood (RFC 6086 §4.2.2).
fn info(cx: &mut Context<'_>, query: &Query) {
    let request = &query.request;
    if request.header_by_name("Info-Package").is_some() {
        cx.respond(query, Response::new(469).reason(Some("Bad Info Package")));
    } else if request.body().is_empty() {
        cx.respond(query, Response::new(200));
    } else {
        unsupported_body(cx, query);
    }
}

/// 415, and what would be taken (§21.4.13).
pub(crate) fn unsupported_body(cx: &mut Context<'_>, query: &Query) {
    let accepted = match query.request.method() {
        Method::Invite | Method::Update => ACCEPTED_BODIES,
        Method::Message => "*/*",
        _ => "",
    };
    let response = Response::new(415)
        .field(HeaderName::Accept, accepted)
        .field(HeaderName::AcceptEncoding, "identity");
    cx.respond(query, response);
}

/// 500: an offer before this one has not been answered yet (§14.2, RFC 3311 §5.2).
pub(crate) fn later(cx: &mut Context<'_>, query: &Query) {
    /// The longest time to ask for, in seconds.
    const LIMIT: u64 = 10;
    let wait = cx.host.random() % (LIMIT + 1);
    cx.respond(query, Response::new(500).field(HeaderName::RetryAfter, wait.to_string()));
}

/// 488, and why (§21.4.26, §20.43).
pub(crate) fn not_acceptable(cx: &mut Context<'_>, query: &Query, why: &NotAcceptable) {
    cx.respond(query, Response::new(488).field(HeaderName::Warning, warning(why)));
}

/// 400 for what cannot be read as a session description, 488 for one that says more than is read; and
/// why.
pub(crate) fn unreadable_description(cx: &mut Context<'_>, query: &Query, error: &SdpError) {
    let (status, reason) = match error.is_limit() {
        true => (488, None),
        false => (400, Some("Malformed Session Description")),
    };
    let warning = format!("399 offhook \"{}\"", printable(&error.to_string()));
    cx.respond(query, Response::new(status).reason(reason).field(HeaderName::Warning, warning));
}

/// The Warning header field of a 488.
pub(crate) fn warning(why: &NotAcceptable) -> String {
    format!("{} offhook \"{}\"", why.warn_code(), printable(&why.to_string()))
}

/// Text for a quoted string: what a peer wrote may be in it.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect()
}
