//! The messages that a proxy passes on (RFC 3261 §16.6, §16.7).

use core::net::SocketAddr;

use super::seal::Seal;
use super::side::Side;
use crate::sip::{HeaderName, Message, Writer};

/// What a proxy changes in a request.
#[derive(Debug)]
pub(super) struct Changes<'a> {
    /// The new Request-URI.
    pub(super) uri: &'a str,
    /// What is left of Route, in order.
    pub(super) routes: &'a [String],
    /// The side that it leaves by, and the branch there.
    pub(super) side: &'a Side,
    pub(super) branch: &'a str,
    /// Our routes, if the request may begin a dialog.
    pub(super) record_routes: &'a [String],
    /// Where the request came from.
    pub(super) source: SocketAddr,
    /// Max-Forwards, already one less.
    pub(super) max_forwards: u8,
    /// The realm whose credentials were for us.
    pub(super) realm: &'a str,
    /// Whether the sender may say who he is in P-Asserted-Identity: strangers to the trust domain
    /// may not (RFC 3325 §5).
    pub(super) keep_identity: bool,
}

/// Writes a request as it goes on.
pub(super) fn request(buf: &mut Vec<u8>, request: &Message, changes: &Changes<'_>) {
    let mut writer = Writer::request(buf, request.method(), changes.uri);
    let (transport, sent_by) = (changes.side.along.flow.transport, changes.side.local.to_string());
    // RFC 3581 is for UDP; on a connection responses come back by themselves.
    writer.via(transport, &sent_by, changes.branch, !transport.is_reliable());
    writer.copy_vias(request, Some(changes.source));
    for record_route in changes.record_routes {
        writer.field(HeaderName::RecordRoute, record_route);
    }
    for route in changes.routes {
        writer.field(HeaderName::Route, route);
    }
    writer.field(HeaderName::MaxForwards, changes.max_forwards);
    pass(writer, request, |name, value| match name {
        HeaderName::Via | HeaderName::Route | HeaderName::MaxForwards => false,
        HeaderName::PAssertedIdentity => changes.keep_identity,
        // §22.3: credentials for our realm have done their work.
        HeaderName::ProxyAuthorization => !is_for_realm(value, changes.realm),
        _ => true,
    });
}

/// Writes a response as it goes on: without our Via (§16.7 step 3), with the challenges of other
/// branches (step 7), and our routes for the dialog that it makes (step 8).
pub(super) fn response(
    buf: &mut Vec<u8>,
    response: &Message,
    seal: Seal,
    challenges: &[(HeaderName, String)],
) {
    let mut writer = Writer::response(buf, response.status().unwrap_or(500), response.reason());
    for via in response.values(HeaderName::Via).skip(1) {
        writer.field(HeaderName::Via, via);
    }
    for route in response.values(HeaderName::RecordRoute) {
        match seal.confirm(route, response) {
            Some(ours) => writer.field(HeaderName::RecordRoute, ours),
            None => writer.field(HeaderName::RecordRoute, route),
        }
    }
    for (name, challenge) in challenges {
        writer.field(*name, challenge);
    }
    pass(writer, response, |name, _| !matches!(name, HeaderName::Via | HeaderName::RecordRoute));
}

/// Passes on the fields that are wanted, and the body.
fn pass(mut writer: Writer<'_>, message: &Message, is_wanted: impl Fn(HeaderName, &str) -> bool) {
    let body = message.body();
    for (label, value) in message.fields() {
        match HeaderName::from_str(label) {
            HeaderName::ContentLength => {}
            HeaderName::ContentType if !body.is_empty() => {}
            name if is_wanted(name, value) => writer.extension(label, value),
            _ => {}
        }
    }
    match message.header(HeaderName::ContentType) {
        Some(kind) if !body.is_empty() => writer.body(kind, body),
        // §20.15: a body without a type is of a type nobody knows.
        None if !body.is_empty() => writer.body("application/octet-stream", body),
        _ => writer.finish(),
    }
}

/// Whether credentials are for a realm.
fn is_for_realm(credentials: &str, realm: &str) -> bool {
    let params = credentials.split_once(' ').map_or("", |(_, params)| params);
    params.split(',').any(|param| {
        let (name, value) = param.split_once('=').unwrap_or((param, ""));
        name.trim().eq_ignore_ascii_case("realm") && value.trim().trim_matches('"') == realm
    })
}
