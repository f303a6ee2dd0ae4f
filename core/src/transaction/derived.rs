//! Requests that are made of another: the ACK of a rejection and CANCEL.

use crate::sip::{HeaderName, Message, Method, Reason, Writer};

/// How many hops a request made here may take (RFC 3261 §8.1.1.6).
const MAX_FORWARDS: u32 = 70;

/// The ACK for `response`, a 3xx to 6xx to the INVITE `request` (§17.1.1.3). Empty when `request`
/// is not one.
pub(super) fn ack(request: &[u8], response: &Message) -> Box<[u8]> {
    Message::parse(request).map_or_else(
        |_| Box::default(),
        |request| derive(&request, &Method::Ack, response, &[]).into_boxed_slice(),
    )
}

/// The CANCEL for the INVITE `request` (§9.1), for these reasons (RFC 3326).
pub(super) fn cancel(request: &[u8], reasons: &[Reason]) -> Option<Vec<u8>> {
    let request = Message::parse(request).ok()?;
    Some(derive(&request, &Method::Cancel, &request, reasons))
}

/// A request of the same transaction: Request-URI, top Via, From, Call-ID, CSeq number and Route
/// of `request`, the To of `to`.
fn derive(request: &Message, method: &Method, to: &Message, reasons: &[Reason]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let uri = request.request_uri().unwrap_or_default();
    let mut writer = Writer::request(&mut bytes, method, uri);
    writer.field(HeaderName::Via, request.via().as_str());
    writer.field(HeaderName::MaxForwards, MAX_FORWARDS);
    writer.copy(request, HeaderName::Route);
    writer.copy(request, HeaderName::From);
    writer.copy(to, HeaderName::To);
    writer.copy(request, HeaderName::CallId);
    writer.field(HeaderName::CSeq, format_args!("{} {method}", request.cseq()));
    for reason in reasons {
        writer.field(HeaderName::Reason, reason);
    }
    writer.finish();
    bytes
}
