//! Dialogs: a lasting relation between two user agents (RFC 3261 §12).
//!
//! A [`Dialog`] knows how its requests are addressed and in which order they come; what they mean is
//! the business of [`crate::call`].

mod peer_connection;
mod route_set;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(crate) use peer_connection::{NOWHERE, PeerConnection};
pub(crate) use route_set::{Course, RouteSet};

use crate::sip::{BRANCH_COOKIE, Malformed, Message};

/// One dialog, early or confirmed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dialog {
    call_id: Arc<str>,
    /// Our From (or To) header field with its tag.
    local: Arc<str>,
    /// Theirs, with its tag if it has one (RFC 2543 needs none).
    remote: Box<str>,
    remote_tag: Box<str>,
    /// The CSeq number of our last request.
    local_seq: u32,
    /// The highest CSeq number of theirs; none before their first request.
    remote_seq: Option<u32>,
    /// The remote target: where Contact says that they are.
    target: Box<str>,
    routes: RouteSet,
    /// Whether it was begun with a `sips` URI (§12.1.1, §12.1.2): nothing of it goes in the clear.
    secure: bool,
    /// The connection on which they were heard last, if it was one.
    peer_connection: Option<Box<PeerConnection>>,
}

/// The Request-URI and the route set of an INVITE of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Destination {
    /// The Request-URI.
    pub(crate) target: Box<str>,
    pub(crate) routes: RouteSet,
}

/// A request that comes out of order (§12.2.2): to be answered 500.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OutOfOrder;

impl Dialog {
    /// The caller's dialog, from a 101 to 299 response to the INVITE that it sent with `local` as
    /// From and this CSeq number (§12.1.2).
    ///
    /// # Errors
    /// When Contact or a Record-Route cannot be read. A provisional response may lack Contact: then
    /// the target stays `target`.
    pub(crate) fn of_caller(
        local: &Arc<str>,
        call_id: &Arc<str>,
        seq: u32,
        target: &str,
        response: &Message,
    ) -> Result<Self, Malformed> {
        let (contact, routes) = (contact(response)?, RouteSet::of_caller(response)?);
        Ok(Self::made_by(response, (local, call_id, seq, target), contact, routes))
    }

    /// The same with a callee that has accepted the INVITE with an unreadable Contact or Record-Route: by what
    /// can be read, and else by the way of the INVITE. It serves to acknowledge that and to end the call
    /// (§13.2.2.4).
    pub(crate) fn of_caller_with_lost(
        local: &Arc<str>,
        call_id: &Arc<str>,
        seq: u32,
        destination: Destination,
        response: &Message,
    ) -> Self {
        let contact = contact(response).ok().flatten();
        let routes = RouteSet::of_caller(response).unwrap_or(destination.routes);
        Self::made_by(response, (local, call_id, seq, &destination.target), contact, routes)
    }

    fn made_by(
        response: &Message,
        (local, call_id, seq, target): (&Arc<str>, &Arc<str>, u32, &str),
        contact: Option<Box<str>>,
        routes: RouteSet,
    ) -> Self {
        Self {
            call_id: Arc::clone(call_id),
            local: Arc::clone(local),
            remote: response.to().as_str().into(),
            remote_tag: response.to_tag().unwrap_or_default().into(),
            local_seq: seq,
            remote_seq: None,
            target: contact.unwrap_or_else(|| target.into()),
            routes,
            secure: is_sips(target),
            peer_connection: None,
        }
    }

    /// The callee's dialog, from the INVITE and the tag that we answer it with (§12.1.1).
    ///
    /// # Errors
    /// When the INVITE's Contact is missing or cannot be read, or a Record-Route. RFC 2543 knew
    /// INVITEs without Contact (§6.13 there): those who speak it are found by From.
    pub(crate) fn of_callee(
        request: &Message,
        call_id: &Arc<str>,
        tag: &str,
    ) -> Result<Self, Malformed> {
        Ok(Self {
            call_id: Arc::clone(call_id),
            local: format!("{};tag={tag}", request.to().as_str()).into(),
            remote: request.from().as_str().into(),
            remote_tag: request.from_tag().unwrap_or_default().into(),
            local_seq: 0,
            remote_seq: Some(request.cseq()),
            target: Self::target_of_invite(request)?,
            routes: RouteSet::of_callee(request)?,
            secure: is_sips(request.request_uri().unwrap_or_default()),
            peer_connection: None,
        })
    }

    /// Whether a message with these identifiers belongs here; the local tag has been compared.
    pub(crate) fn is_of(&self, call_id: &str, remote_tag: Option<&str>) -> bool {
        *self.call_id == *call_id && *self.remote_tag == *remote_tag.unwrap_or_default()
    }

    /// Checks the order of a request that came (§12.2.2).
    ///
    /// # Errors
    /// When its number is not above that of the one before.
    pub(crate) fn handle_request(&mut self, request: &Message) -> Result<(), OutOfOrder> {
        let seq = request.cseq();
        if self.remote_seq.is_some_and(|last| seq <= last) {
            return Err(OutOfOrder);
        }
        self.remote_seq = Some(seq);
        Ok(())
    }

    /// The highest CSeq number of theirs so far.
    pub(crate) fn remote_seq(&self) -> Option<u32> {
        self.remote_seq
    }

    /// Takes over the order of requests from the early dialog that this one confirms.
    pub(crate) fn set_remote_seq(&mut self, seq: Option<u32>) {
        self.remote_seq = self.remote_seq.max(seq);
    }

    /// The target that a target refresh request names, if it names one (§12.2).
    ///
    /// # Errors
    /// When Contact cannot be read.
    pub(crate) fn target_of(message: &Message) -> Result<Option<Box<str>>, Malformed> {
        contact(message)
    }

    /// The target that an INVITE outside a dialog names.
    ///
    /// # Errors
    /// As [`of_callee`](Self::of_callee).
    pub(crate) fn target_of_invite(request: &Message) -> Result<Box<str>, Malformed> {
        let cookie = |branch: &str| branch.starts_with(BRANCH_COOKIE);
        match contact(request)? {
            Some(target) => Ok(target),
            None if request.via().branch().is_some_and(cookie)
                || !request.from().uri().is_sip() =>
            {
                Err(Malformed { problem: "there is no Contact", at: 0 })
            }
            None => Ok(request.from().uri().without_headers().into()),
        }
    }

    /// Moves the remote target.
    pub(crate) fn set_target(&mut self, target: Option<Box<str>>) {
        if let Some(target) = target {
            self.target = target;
        }
    }

    /// The dialog of another party that has answered the same INVITE (§13.2.2.4).
    ///
    /// # Errors
    /// As [`of_caller`](Self::of_caller).
    pub(crate) fn fork(&self, seq: u32, response: &Message) -> Result<Self, Malformed> {
        let fork = Self::of_caller(&self.local, &self.call_id, seq, &self.target, response)?;
        Ok(Self { secure: self.secure, peer_connection: self.peer_connection.clone(), ..fork })
    }

    /// The same, from a 2xx whose Contact or Record-Route cannot be read.
    pub(crate) fn fork_with_lost(
        &self,
        seq: u32,
        destination: Destination,
        response: &Message,
    ) -> Self {
        let fork =
            Self::of_caller_with_lost(&self.local, &self.call_id, seq, destination, response);
        Self { secure: self.secure, peer_connection: self.peer_connection.clone(), ..fork }
    }

    /// Where our requests go.
    pub(crate) fn destination(&self) -> Destination {
        Destination { target: self.target.clone(), routes: self.routes.clone() }
    }

    /// Sends our requests there from now on.
    pub(crate) fn set_destination(&mut self, destination: Destination) {
        (self.target, self.routes) = (destination.target, destination.routes);
    }

    /// Whether nothing of it may go in the clear.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The connection on which they were heard last.
    pub(crate) fn peer_connection(&self) -> Option<&PeerConnection> {
        self.peer_connection.as_deref()
    }

    /// The same, as an error where there is no other way.
    pub(crate) fn peer_connection_mut(&mut self) -> Option<&mut PeerConnection> {
        self.peer_connection.as_deref_mut()
    }

    /// They were heard on a connection.
    pub(crate) fn set_peer_connection(&mut self, peer_connection: Option<Box<PeerConnection>>) {
        if peer_connection.is_some() {
            self.peer_connection = peer_connection;
        }
    }

    /// Connections end with the network that they were on.
    pub(crate) fn forget_link(&mut self) {
        self.peer_connection = None;
    }

    /// A dialog of its own with the same party, by the same way, before its first response: `local` has
    /// our tag, `remote` none (RFC 4538 §3).
    pub(crate) fn separate(&self, call_id: Arc<str>, local: Arc<str>, remote: &str) -> Self {
        Self {
            call_id,
            local,
            remote: remote.into(),
            remote_tag: Box::default(),
            local_seq: 0,
            remote_seq: None,
            target: self.target.clone(),
            routes: self.routes.clone(),
            secure: self.secure,
            peer_connection: self.peer_connection.clone(),
        }
    }

    /// Whether this tag is the remote tag, or now becomes it where the dialog had none.
    pub(crate) fn joins(&mut self, remote_tag: Option<&str>) -> bool {
        let tag = remote_tag.unwrap_or_default();
        if self.remote_tag.is_empty() {
            self.remote_tag = tag.into();
        }
        *self.remote_tag == *tag
    }

    /// Their tag; empty if they have none.
    pub(crate) fn remote_tag(&self) -> &str {
        &self.remote_tag
    }

    /// The number of our next request (§12.2.1.1). ACK and CANCEL use that of their INVITE instead.
    pub(crate) fn next_seq(&mut self) -> u32 {
        self.local_seq = self.local_seq.saturating_add(1);
        self.local_seq
    }

    /// How our requests travel.
    pub(crate) fn course(&self) -> Course<'_> {
        self.routes.course(&self.target)
    }

    /// The Call-ID.
    pub(crate) fn call_id(&self) -> &str {
        &self.call_id
    }

    /// What we write as From.
    pub(crate) fn local(&self) -> &str {
        &self.local
    }

    /// What we write as To.
    pub(crate) fn remote(&self) -> &str {
        &self.remote
    }
}

/// Whether a URI is one that asks for privacy on the whole way (RFC 3261 §19.1).
pub(crate) fn is_sips(uri: &str) -> bool {
    uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:"))
}

/// The URI of Contact, without headers; at most one may be there (§8.1.1.8), of a scheme that can
/// be called.
fn contact(message: &Message) -> Result<Option<Box<str>>, Malformed> {
    let Some(contact) = message.contacts().next() else { return Ok(None) };
    let contact = contact?;
    if contact.is_star() || !contact.uri().is_sip() {
        return Err(Malformed { problem: "Contact is no SIP URI", at: 0 });
    }
    Ok(Some(contact.uri().without_headers().into()))
}
