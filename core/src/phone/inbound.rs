//! Messages that come in: which part of the phone they belong to, and what a user agent server
//! checks first (RFC 3261 §8.2).

use core::net::SocketAddr;

use super::Phone;
use crate::agent::{ALLOWED, Context, Owner, Query, Response, SUPPORTED, Tag};
use crate::call::{Body, Call, parameter, queries};
use crate::dialog::Dialog;
use crate::error::Error;
use crate::event::PhoneStatus;
use crate::host::{Flow, Host};
use crate::nat::is_stun;
use crate::sip::{HeaderName, Message, Method, Scheme, head, unescape};
use crate::stream::Decoded;
use crate::transaction::{ClientId, FailureCause, Received};

/// Why a request cannot be served here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unavailable {
    /// The phone is not started, or is stopping.
    NotStarted,
    /// The request is for another user.
    UnknownUser,
    /// There are as many calls as there may be.
    TooManyCalls,
}

impl Unavailable {
    /// The status code that says so.
    fn status(self) -> u16 {
        match self {
            Self::NotStarted => 480,
            Self::UnknownUser => 404,
            Self::TooManyCalls => 486,
        }
    }

    fn response(self) -> Response<'static> {
        Response::new(self.status())
    }
}

impl Phone {
    /// Takes a datagram, or the next bytes of a stream.
    pub(super) fn handle_bytes(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        mut bytes: &[u8],
    ) {
        if self.status == PhoneStatus::Inactive {
            return;
        }
        if !flow.transport.is_stream() && is_stun(bytes) {
            return self.handle_stun(host, flow, from, bytes);
        }
        while let Some(decoded) = self.agent.connections.decode(host, flow, from, &mut bytes) {
            self.pass_on_decoded(host, flow, from, decoded);
        }
    }

    /// Takes what a switchboard has decoded of what came on a flow.
    pub(crate) fn handle_decoded(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        decoded: Decoded,
    ) {
        self.carry_out(host);
        if self.status != PhoneStatus::Inactive && self.agent.connections.note(host, flow, &decoded)
        {
            self.pass_on_decoded(host, flow, from, decoded);
        }
        self.finish_input(host);
    }

    /// Takes what bytes were that came on a flow.
    fn pass_on_decoded(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        decoded: Decoded,
    ) {
        match decoded {
            Decoded::Message(message) => self.handle_message(host, flow, from, message),
            Decoded::Malformed { answered: false } => {
                Context { host, agent: &mut self.agent }.note_unreadable(from);
            }
            Decoded::Malformed { .. } => {}
            Decoded::Pong => self.handle_pong(host, flow),
        }
    }

    fn handle_message(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        message: Message,
    ) {
        self.agent.counters.received += 1;
        // §8.1.3.3: a response with a second Via was meant for somebody else. Dropped before the
        // transaction sees it, it is not the one that the request waits for.
        if !message.is_request() && message.vias().nth(1).is_some() {
            self.agent.counters.stray += 1;
            return;
        }
        match self.agent.transactions(host).handle_message(host, flow, from, message) {
            Some(Received::Request { id, message: request, from, flow }) => {
                let cx = &mut Context { host, agent: &mut self.agent };
                if let Some(query) = cx.inspect_request_in(Query { id, request, from, flow }) {
                    self.handle_request(host, &query);
                }
            }
            Some(Received::Ack { message, from, .. }) => {
                if let Some(ack) = self.agent.inspect_ack_in(message, from) {
                    self.handle_ack(host, &ack);
                }
            }
            Some(Received::Response { id, message }) => {
                // What others answer holds the Via that they make of ours, though it comes by way of the
                // server: only what the server answers itself says from where it sees us.
                let owner = self.agent.owner_of_client(id, false);
                if let Some(Owner::Registration | Owner::KeepAlive) = owner {
                    let change = self.agent.learn(flow, from, &message.via());
                    self.handle_address_change(host, change);
                }
                let last = message.status().is_some_and(|status| status >= 200);
                match self.agent.inspect_response_in(message, from) {
                    Some(response) => self.handle_response(host, (flow, from), Some(id), &response),
                    None if last => self.client_failed(host, id, FailureCause::Timeout),
                    None => {}
                }
            }
            Some(Received::StrayResponse { message, from }) => {
                if let Some(response) = self.agent.inspect_response_in(message, from) {
                    self.handle_response(host, (flow, from), None, &response);
                }
            }
            None => {}
        }
    }

    fn handle_ack(&mut self, host: &mut dyn Host, ack: &Message) {
        match self.agent.owner_of_tag(ack.to_tag()) {
            Some(Owner::Call(id)) => self.with_call(host, id, |call, cx| call.handle_ack(cx, ack)),
            _ => self.agent.counters.stray += 1,
        }
    }

    fn handle_response(
        &mut self,
        host: &mut dyn Host,
        (flow, from): (Flow, SocketAddr),
        client: Option<ClientId>,
        response: &Message,
    ) {
        let last = response.status().is_some_and(|status| status >= 200);
        let asked = client.and_then(|client| self.agent.owner_of_client(client, last));
        match (asked.or_else(|| self.agent.owner_of_tag(response.from_tag())), client) {
            (Some(Owner::Call(id)), client) => {
                self.with_call(host, id, |call, cx| {
                    call.handle_answered_on(flow, from, response);
                    call.handle_response(cx, client, response);
                });
            }
            (Some(Owner::Registration), Some(client)) => {
                self.with_registration(host, |it, cx| it.handle_response(cx, client, response));
            }
            (Some(Owner::KeepAlive), Some(client)) => {
                self.keep_alive_response(host, client, response);
            }
            (Some(Owner::OutOfDialog(id)), Some(client)) => {
                self.with_request(host, id, |it, cx| it.handle_response(cx, client, response));
            }
            _ => self.agent.counters.stray += 1,
        }
    }

    fn handle_request(&mut self, host: &mut dyn Host, query: &Query) {
        let request = &query.request;
        if *request.method() == Method::Cancel {
            return self.handle_cancel(host, query);
        }
        if let Some(refusal) = refusal(query) {
            Context { host, agent: &mut self.agent }.respond(query, refusal);
            return;
        }
        if let Some(tag) = request.to_tag() {
            return match self.agent.owner_of_tag(Some(tag)) {
                Some(Owner::Call(id)) => {
                    self.with_call(host, id, |call, cx| call.handle_request(cx, query));
                }
                _ => queries::no_dialog(&mut Context { host, agent: &mut self.agent }, query),
            };
        }
        let cx = &mut Context { host, agent: &mut self.agent };
        match request.method() {
            Method::Invite => self.handle_invite(host, query),
            // §11.2: it is answered as an INVITE would be.
            Method::Options => match self.unavailable(request) {
                Some(why) => drop(self.respond(host, query, why.response())),
                None => queries::capabilities(&mut Context { host, agent: &mut self.agent }, query),
            },
            Method::Message => match self.absent(request) {
                Some(why) => drop(self.respond(host, query, why.response())),
                None => queries::message(&mut Context { host, agent: &mut self.agent }, query),
            },
            Method::Notify => queries::unsolicited(cx, query),
            Method::Refer => self.handle_refer(host, query),
            // What makes sense only within a dialog.
            Method::Bye | Method::Update | Method::Info | Method::Prack => {
                queries::no_dialog(cx, query);
            }
            _ => queries::answer(cx, query),
        }
    }

    /// A REFER outside a dialog is taken for one that it names and shares (RFC 4538); any other
    /// would have us call somebody for a stranger.
    fn handle_refer(&mut self, host: &mut dyn Host, query: &Query) {
        let target = query.request.header(HeaderName::TargetDialog).unwrap_or_default();
        match self.agent.owner_of_tag(parameter(target, "local-tag")) {
            Some(Owner::Call(id)) => {
                self.with_call(host, id, |call, cx| call.handle_separate_refer(cx, query));
            }
            _ => queries::decline(&mut Context { host, agent: &mut self.agent }, query),
        }
    }

    /// §9.2: a CANCEL is answered, and the INVITE that it means ends unless that was answered.
    fn handle_cancel(&mut self, host: &mut dyn Host, query: &Query) {
        let invite = self.agent.transactions(host).server_for_cancel(&query.request);
        let Some(invite) = invite else {
            let cx = &mut Context { host, agent: &mut self.agent };
            return queries::no_dialog(cx, query);
        };
        let call = self.invites.get(&invite).copied();
        let tag = match call.and_then(|id| self.calls.get_mut(&id)) {
            // §9.2: that of the answers to the INVITE, also of those that are still to come.
            Some(call) => Some(call.tag(&mut Context { host, agent: &mut self.agent })),
            // It was refused, or its call is over.
            None => {
                let refused = self.agent.transactions(host).answered_tag(invite);
                refused.and_then(|tag| Tag::parse(&tag))
            }
        };
        let response = Response::new(200);
        let response = match tag {
            Some(tag) => response.tag(tag),
            None => response,
        };
        self.respond(host, query, response);
        if let Some(call) = call {
            self.with_call(host, call, |call, cx| call.handle_cancel(cx, &query.request));
        }
    }

    fn handle_invite(&mut self, host: &mut dyn Host, query: &Query) {
        let request = &query.request;
        if let Some(why) = self.unavailable(request) {
            if why == Unavailable::TooManyCalls {
                let limit = self.agent.parameters.max_calls;
                let cx = &mut Context { host, agent: &mut self.agent };
                cx.note_refused_call(request, why.status(), Error::TooManyCalls { limit });
            }
            self.respond(host, query, why.response());
            return;
        }
        let cx = &mut Context { host, agent: &mut self.agent };
        let body = match Body::of(request) {
            Body::Malformed(error) => return queries::unreadable_description(cx, query, &error),
            Body::Unsupported => return queries::unsupported_body(cx, query),
            body => body,
        };
        if !accepts_sessions(request) {
            let warning = "399 offhook \"No session description may be answered\"";
            let response = Response::new(406).field(HeaderName::Warning, warning);
            return drop(cx.respond(query, response));
        }
        // §8.1.1.8: INVITE has exactly one Contact.
        if Dialog::target_of_invite(request).is_err() {
            let warning = "399 offhook \"The Contact is missing, or cannot be called back\"";
            let response = Response::new(400).reason(Some("Missing or Unusable Contact"));
            return drop(cx.respond(query, response.field(HeaderName::Warning, warning)));
        }
        let id = self.next_call();
        self.calls.insert(id, Box::new(Call::incoming(id, query.clone(), body)));
        self.invites.insert(query.id, id);
        self.with_call(host, id, Call::arrive);
    }

    /// Why a call cannot be accepted now, if it cannot.
    fn unavailable(&mut self, request: &Message) -> Option<Unavailable> {
        let absent = self.absent(request);
        if absent.is_none() && !self.has_room() {
            self.agent.counters.refused += 1;
            return Some(Unavailable::TooManyCalls);
        }
        absent
    }

    /// Why the addressee of a request is not here, if so.
    fn absent(&self, request: &Message) -> Option<Unavailable> {
        let parameters = &self.agent.parameters;
        if !matches!(self.status, PhoneStatus::Registering | PhoneStatus::Registered) {
            return Some(Unavailable::NotStarted);
        }
        let user = request.uri().and_then(|uri| uri.user()).unwrap_or_default();
        let is_ours = parameters.accept_any_user || unescape(user) == parameters.user;
        (!is_ours).then_some(Unavailable::UnknownUser)
    }

    fn respond(&mut self, host: &mut dyn Host, query: &Query, response: Response<'_>) -> Vec<u8> {
        Context { host, agent: &mut self.agent }.respond(query, response)
    }
}

/// Whether the answer may hold a session description (§20.1: without Accept it may).
fn accepts_sessions(request: &Message) -> bool {
    let taken = |range: &str| {
        ["application/sdp", "application/*", "*/*"]
            .iter()
            .any(|t| head(range).eq_ignore_ascii_case(t))
    };
    request.header(HeaderName::Accept).is_none() || request.values(HeaderName::Accept).any(taken)
}

/// What forbids to look at a request further (§8.2.1, §8.2.2).
fn refusal(query: &Query) -> Option<Response<'static>> {
    let request = &query.request;
    if let Method::Other(_) = request.method() {
        return Some(Response::new(501).field(HeaderName::Allow, ALLOWED));
    }
    // §8.2.2.1.
    let scheme = request.uri().map(|uri| uri.scheme());
    if !matches!(scheme, Some(Scheme::Sip | Scheme::Sips | Scheme::Tel)) {
        return Some(Response::new(416));
    }
    // RFC 5630 §5.1.2, §5.3: what is to be private has not come in private, or says itself that it will
    // not go on so.
    if scheme == Some(Scheme::Sips) {
        if !query.flow.transport.is_secure() {
            let warning = "380 offhook \"SIPS Not Allowed\"";
            return Some(Response::new(480).field(HeaderName::Warning, warning));
        }
        if request.contacts().flatten().any(|contact| contact.uri().scheme() == Scheme::Sip) {
            return Some(Response::new(400).reason(Some("Contact Is Not SIPS")));
        }
    }
    // §8.2.2.3. Max-Forwards concerns only those who pass a request on, even at zero.
    let known = |tag: &&str| SUPPORTED.iter().any(|known| tag.eq_ignore_ascii_case(known));
    let required: Vec<&str> = request.require().filter(|tag| !known(tag)).collect();
    (!required.is_empty())
        .then(|| Response::new(420).field(HeaderName::Unsupported, required.join(", ")))
}
