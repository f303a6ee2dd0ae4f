//! Requests that we send (RFC 3261 §8.1), and the credentials in them (§22).

use super::{Agent, Context, Owner, Path};
use crate::auth::{Asker, AuthError, Authorization, Rounds};
use crate::dialog::Course;
use crate::error::Error;
use crate::host::Host;
use crate::sip::{HeaderName, Message, Method, Reason, Writer};
use crate::transaction::ClientId;

/// A request to be written. What every request has is added: Via, Max-Forwards, User-Agent.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) course: Course<'a>,
    /// The From header field, with its tag.
    pub(crate) from: &'a str,
    /// The To header field.
    pub(crate) to: &'a str,
    pub(crate) call_id: &'a str,
    pub(crate) seq: u32,
    /// The header fields that this method has beyond those, in order.
    pub(crate) fields: Vec<(HeaderName, String)>,
    /// Header fields of the application.
    pub(crate) extensions: &'a [(String, String)],
    /// The value of Content-Type, and the body.
    pub(crate) body: Option<(&'a str, &'a [u8])>,
}

/// A body that is kept, and its type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Content {
    /// The value of Content-Type.
    pub(crate) kind: String,
    pub(crate) bytes: Vec<u8>,
}

/// How often and with what a request has been tried so far: kept from the first sending to the final
/// response, through every challenge.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    /// The transaction of the latest sending.
    client: Option<ClientId>,
    rounds: Rounds,
    /// The status of the challenge after which the latest was sent, if it was sent after one.
    challenge: Option<u16>,
    /// The credentials in the latest sending; the ACK of an INVITE repeats them (§22.1).
    credentials: Vec<Authorization>,
}

/// Why a challenge is the end of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The response is no challenge, or one that cannot be met: nothing to show, or nobody to show it
    /// to.
    Unmet,
    /// What we showed was refused; to show it again is forbidden (§22.1).
    Rejected,
    /// With credentials it would be larger than its method allows.
    TooLarge,
}

/// How many hops a request may take (§8.1.1.6).
const MAX_FORWARDS: u32 = 70;

/// How large a MESSAGE may be in all, in bytes (RFC 3428 §8).
pub(crate) const MAX_MESSAGE: usize = 1_300;

impl Attempt {
    /// Whether this is its latest transaction.
    pub(crate) fn is(&self, client: ClientId) -> bool {
        self.client == Some(client)
    }

    /// What another ACK of the same INVITE needs: the credentials, without the transaction.
    pub(crate) fn for_ack(&self) -> Self {
        Self { credentials: self.credentials.clone(), ..Self::default() }
    }

    /// Why `peer` is no silent one although the latest had no response: a challenge came before.
    pub(crate) fn no_answer(&self, peer: &str) -> Option<Error> {
        self.challenge.map(|challenge| Error::NoAnswer { peer: peer.to_owned(), challenge })
    }
}

impl Context<'_> {
    /// Sends a request; its owner gets the outcome. False when it is too large and was not sent.
    pub(crate) fn send(
        &mut self,
        path: &Path,
        request: &Request<'_>,
        attempt: &mut Attempt,
        owner: Owner,
    ) -> bool {
        attempt.credentials = self.agent.credentials(self.host, path, request, attempt);
        let branch = self.agent.new_branch(self.host);
        let mut buffer = core::mem::take(&mut self.agent.buffer);
        self.agent.write(&mut buffer, path, request, &branch, &attempt.credentials);
        let wanted = self.agent.inspect_request_out(&mut buffer, path.to);
        if request.method == Method::Message && buffer.len() > MAX_MESSAGE {
            self.agent.buffer = buffer;
            return false;
        }
        let (flow, to, method) = (path.flow, path.to, &request.method);
        let client = match wanted {
            true => self.agent.dispatch(self.host, path, method, &branch, &buffer),
            false => {
                let transactions = self.agent.transactions(self.host);
                transactions.refuse_request(self.host, flow, to, method, &branch)
            }
        };
        self.agent.buffer = buffer;
        self.agent.clients.insert(client, owner);
        attempt.client = Some(client);
        true
    }

    /// Sends the ACK of a 2xx, which is outside all transactions (§13.2.2.4), with the credentials
    /// of its INVITE if it goes the same way. Returns it, to be sent again.
    pub(crate) fn send_ack(
        &mut self,
        path: &Path,
        request: &Request<'_>,
        invite: &Attempt,
    ) -> Box<[u8]> {
        let branch = self.agent.new_branch(self.host);
        // Not past the server to a peer, who would learn a hash of the password.
        let credentials = match self.agent.is_home(path) {
            true => &invite.credentials[..],
            false => &[],
        };
        let mut bytes = Vec::new();
        self.agent.write(&mut bytes, path, request, &branch, credentials);
        if !self.agent.inspect_request_out(&mut bytes, path.to) {
            bytes.clear();
        }
        self.resend(path, &bytes);
        bytes.into()
    }

    /// Sends the CANCEL of an INVITE (§9.1) with these reasons, if that may be; true when it was. What
    /// that is answered is nobody's business: the INVITE's own response decides.
    pub(crate) fn cancel_invite(&mut self, invite: &Attempt, reasons: &[Reason]) -> bool {
        let Some(invite) = invite.client else { return false };
        let Some((to, mut bytes)) = self.transactions().cancel_of(invite, reasons) else {
            return false;
        };
        let wanted = self.agent.inspect_request_out(&mut bytes, to);
        self.agent.transactions(self.host).send_cancel(self.host, invite, wanted.then_some(&bytes));
        true
    }

    /// The same for an INVITE whose connection is no more: CANCEL goes this way, and finds what it is
    /// meant for by the branch.
    pub(crate) fn cancel_invite_by(
        &mut self,
        path: &Path,
        invite: &Attempt,
        reasons: &[Reason],
    ) -> bool {
        let Some(client) = invite.client else { return false };
        self.transactions().reroute(client, path.flow, path.to);
        self.cancel_invite(invite, reasons)
    }

    /// Sends an ACK again; no bytes are what the handler has dropped.
    pub(crate) fn resend(&mut self, path: &Path, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.agent.dispatch_ack(self.host, path, bytes);
        }
    }

    /// Takes a 401 or 407. After `Ok` the request goes out once more, with the next CSeq number
    /// (§22.2).
    ///
    /// # Errors
    /// When that would be of no use.
    pub(crate) fn handle_challenge(
        &mut self,
        path: &Path,
        response: &Message,
        attempt: &mut Attempt,
    ) -> Result<(), Refusal> {
        let agent = &mut *self.agent;
        let asker = response.status().and_then(Asker::of_status).ok_or(Refusal::Unmet)?;
        let from_home = agent.is_home(path);
        let (pin, parameters) = (&mut agent.pin, &agent.parameters);
        let credentials = |realm: &str| {
            if !pin.admits(from_home, realm) {
                return None;
            }
            let server = parameters.server.as_deref().unwrap_or_default();
            let (name, password) = parameters.credentials.find(server, realm, &parameters.user)?;
            Some((name.to_owned(), password.to_owned()))
        };
        let fields = response.headers(asker.challenge_field());
        agent.digest.handle_challenge(&mut attempt.rounds, asker, fields, credentials).map_err(
            |error| match error {
                AuthError::Rejected { .. } => Refusal::Rejected,
                _ => {
                    agent.counters.unanswered_challenges += 1;
                    Refusal::Unmet
                }
            },
        )?;
        attempt.challenge = response.status();
        Ok(())
    }

    /// Takes what a success says about the next nonce (RFC 7616 §3.5).
    pub(crate) fn handle_success(&mut self, path: &Path, response: &Message) {
        if !self.agent.is_home(path) {
            return;
        }
        for asker in [Asker::Server, Asker::Proxy] {
            if let Some(value) = response.header(asker.info_field()) {
                self.agent.digest.handle_info(asker, value);
            }
        }
    }

    /// Forgets an attempt's transaction: whatever comes for it is a stray.
    pub(crate) fn abandon(&mut self, attempt: &mut Attempt) {
        if let Some(client) = attempt.client.take() {
            self.agent.clients.remove(&client);
            self.transactions().abandon(client);
        }
    }
}

impl Agent {
    /// The credentials for a request: only for the configured server or proxy, whatever is known.
    fn credentials(
        &mut self,
        host: &mut dyn Host,
        path: &Path,
        request: &Request<'_>,
        attempt: &mut Attempt,
    ) -> Vec<Authorization> {
        if !self.is_home(path) {
            return Vec::new();
        }
        let (method, uri) = (request.method.as_str(), request.course.request_uri);
        let body = request.body.unwrap_or_default().1;
        self.digest.authorize(host, &mut attempt.rounds, method, uri, body)
    }

    fn write(
        &self,
        buffer: &mut Vec<u8>,
        path: &Path,
        request: &Request<'_>,
        branch: &str,
        credentials: &[Authorization],
    ) {
        let Request { method, course, from, to, call_id, seq, fields, extensions, body } = request;
        let mut writer = Writer::request(buffer, method, course.request_uri);
        writer.via(path.flow.transport, &path.advertised, branch, true);
        writer.field(HeaderName::MaxForwards, MAX_FORWARDS);
        for route in &course.routes {
            writer.field(HeaderName::Route, route);
        }
        writer.field(HeaderName::From, from);
        writer.field(HeaderName::To, to);
        writer.field(HeaderName::CallId, call_id);
        writer.field(HeaderName::CSeq, format_args!("{seq} {method}"));
        self.write_fields(&mut writer, fields);
        for Authorization { asker, value } in credentials {
            writer.field(asker.credentials_field(), value);
        }
        writer.field(HeaderName::UserAgent, &self.parameters.user_agent);
        for (name, value) in *extensions {
            writer.extension(name, value);
        }
        match body {
            Some((kind, bytes)) => writer.body(kind, bytes),
            None => writer.finish(),
        }
    }
}
