//! Requests that we receive, and our responses to them (RFC 3261 §8.2.6).

use core::net::SocketAddr;

use super::{Context, Path, Tag};
use crate::dialog::PeerConnection;
use crate::host::{Flow, Transport};
use crate::sip::{HeaderName, Message, Scheme, Writer, escape_user, reason_phrase};
use crate::transaction::ServerId;

/// A response is seldom longer, in bytes.
const USUAL_LENGTH: usize = 1_024;

/// A request that came, to be answered once.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// Its transaction.
    pub(crate) id: ServerId,
    pub(crate) request: Message,
    /// Where it came from.
    pub(crate) from: SocketAddr,
    /// What it came on.
    pub(crate) flow: Flow,
}

impl Query {
    /// The connection that it came on; `None` when it was a datagram.
    pub(crate) fn peer_connection(&self) -> Option<Box<PeerConnection>> {
        PeerConnection::of_request(&self.request.via(), self.flow, self.from)
    }

    /// Whether our Contact has to be a sips URI: when that is what the request asks for, or would have
    /// our requests go by (RFC 3261 §12.1.1).
    pub(crate) fn wants_sips(&self) -> bool {
        let request = &self.request;
        let first = request.record_routes().next().or_else(|| request.contacts().next());
        let asked = request.uri().is_some_and(|uri| uri.scheme() == Scheme::Sips);
        asked || first.is_some_and(|uri| uri.is_ok_and(|it| it.uri().scheme() == Scheme::Sips))
    }
}

/// A response to be written. What every response has is copied from the request.
#[derive(Clone, Debug)]
pub(crate) struct Response<'a> {
    status: u16,
    reason: Option<&'a str>,
    tag: Option<Tag>,
    fields: Vec<(HeaderName, String)>,
    body: Option<&'a str>,
}

/// The methods that we understand (§20.5).
pub(crate) const ALLOWED: &str =
    "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, MESSAGE, NOTIFY, REFER";

/// The extensions that we understand (§20.37): REFER without a subscription (RFC 4488), and outside
/// the dialog that it is about (RFC 4538).
pub(crate) const SUPPORTED: [&str; 2] = ["norefersub", "tdialog"];

/// The body that we understand (§20.1).
pub(crate) const ACCEPTED: &str = "application/sdp";

/// The same with what it may stand in (RFC 5621 §4.2).
pub(crate) const ACCEPTED_BODIES: &str = "application/sdp, multipart/mixed, multipart/alternative";

impl<'a> Response<'a> {
    /// A response with that status and nothing of its own.
    pub(crate) fn new(status: u16) -> Self {
        Self { status, reason: None, tag: None, fields: Vec::new(), body: None }
    }

    /// Says it in these words; by default in those of the RFC.
    pub(crate) fn reason(mut self, reason: Option<&'a str>) -> Self {
        self.reason = reason;
        self
    }

    /// Our tag for To, in a dialog that has one; by default a new one.
    pub(crate) fn tag(mut self, tag: Tag) -> Self {
        self.tag = Some(tag);
        self
    }

    /// The status code.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// The words, if they are not the RFC's.
    pub(crate) fn words(&self) -> Option<&'a str> {
        self.reason
    }

    /// Adds a header field.
    pub(crate) fn field(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Says what we can do (§11.2; §13.3.1.4 for INVITE).
    pub(crate) fn capabilities(self) -> Self {
        self.field(HeaderName::Allow, ALLOWED)
            .field(HeaderName::Accept, ACCEPTED)
            .field(HeaderName::Supported, SUPPORTED.join(", "))
    }

    /// With a session description.
    pub(crate) fn body(mut self, body: Option<&'a str>) -> Self {
        self.body = body;
        self
    }
}

impl Context<'_> {
    /// Answers a request. Returns the bytes of the response, for those that repeat it.
    pub(crate) fn respond(&mut self, query: &Query, response: Response<'_>) -> Vec<u8> {
        let Response { status, reason, tag, fields, body } = response;
        let tag = match tag {
            Some(tag) => Some(tag),
            // §8.2.6.2: 100 needs none; where To has one it stays.
            None if status == 100 || query.request.to_tag().is_some() => None,
            None => Some(self.agent.random_tag(self.host)),
        };
        let tag = tag.filter(|_| query.request.to_tag().is_none()).map(|tag| tag.to_string());
        let reason = reason.unwrap_or(reason_phrase(status));
        let mut buffer = Vec::with_capacity(USUAL_LENGTH);
        let (request, from) = (&query.request, query.from);
        let mut writer =
            Writer::response_to(&mut buffer, request, status, reason, tag.as_deref(), Some(from));
        self.agent.write_fields(&mut writer, &fields);
        writer.field(HeaderName::Server, &self.agent.parameters.user_agent);
        match body {
            Some(body) => writer.body("application/sdp", body.as_bytes()),
            None => writer.finish(),
        }
        let to = request.via().return_address(query.flow.transport, from);
        if !self.agent.inspect_response_out(&mut buffer, to) {
            buffer.clear();
            if status >= 200 {
                self.transactions().forget(query.id);
            }
        }
        self.repeat(query.id, status, &buffer);
        buffer
    }

    /// Sends a response again; no bytes are what the handler has dropped.
    pub(crate) fn repeat(&mut self, id: ServerId, status: u16, bytes: &[u8]) {
        if bytes.is_empty() || self.defers_response(id, status, bytes) {
            return;
        }
        self.agent.transactions(self.host).respond(self.host, id, status, bytes);
    }

    /// What we write as Contact to a peer on this path.
    pub(crate) fn contact(&self, path: &Path) -> String {
        self.contact_by(path, path.secure)
    }

    /// The same with a `sips` URI, or without one.
    pub(crate) fn contact_by(&self, path: &Path, secure: bool) -> String {
        let uri = self.contact_uri(path, secure);
        // RFC 5626 §4.3: so that what follows in the dialog comes along the same flow.
        match self.agent.binding.as_ref().is_some_and(|binding| binding.outbound) {
            true => format!("<{uri};ob>"),
            false => format!("<{uri}>"),
        }
    }

    /// The URI at which a peer on this path reaches us.
    pub(crate) fn contact_uri(&self, path: &Path, secure: bool) -> String {
        let scheme = if secure { "sips" } else { "sip" };
        let transport = match path.flow.transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            // RFC 5630 §5.1.1.1: sips says TLS by itself. A sip URI must not (§5.1.1.2) be sips for
            // that it goes by TLS, and would be answered by UDP if it said nothing.
            Transport::Tls if secure => "",
            Transport::Tls => ";transport=tls",
            Transport::Ws | Transport::Wss => ";transport=ws",
        };
        let line = self.agent.line.map(|line| format!(";line={line}")).unwrap_or_default();
        let advertised = &path.advertised;
        match self.agent.parameters.user.as_str() {
            "" => format!("{scheme}:{advertised}{transport}{line}"),
            user => format!("{scheme}:{}@{advertised}{transport}{line}", escape_user(user)),
        }
    }
}
