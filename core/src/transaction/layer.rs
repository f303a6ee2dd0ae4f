//! All transactions of one endpoint.

use core::net::SocketAddr;
use std::collections::VecDeque;

use super::client_invite::ClientInvite;
use super::client_non_invite::ClientNonInvite;
use super::derived;
use super::entry::{ANYWHERE, Entry, Machine, Peer};
use super::event::{ClientId, Failure, Received, ServerId};
use super::key::{Key, Keys};
use super::machine::{Action, TransactionContext};
use super::server_invite::ServerInvite;
use super::server_non_invite::ServerNonInvite;
use super::store::Store;
use super::{Counters, FailureCause, Limits};
use crate::host::{Entropy, Flow, Host, Outbound, Transport};
use crate::sip::{BRANCH_COOKIE, HeaderName, Message, Method, Reason, Writer, reason_phrase};
use crate::slab::Slot;
use crate::time::Instant;

/// The transactions of one endpoint.
///
/// Messages go in through [`handle_message`](Self::handle_message), due timers through
/// [`handle_deadline`](Self::handle_deadline), and after each the user takes what failed from
/// [`next_event`](Self::next_event).
#[derive(Debug)]
pub struct Layer {
    limits: Limits,
    keys: Keys,
    store: Store,
    failures: VecDeque<Failure>,
    counters: Counters,
    /// For what the layer writes itself.
    buffer: Vec<u8>,
}

impl Layer {
    /// A layer without transactions.
    pub fn new(host: &mut dyn Host, limits: Limits) -> Self {
        Self {
            limits: limits.checked(),
            keys: Keys::new(host),
            store: Store::new(host),
            failures: VecDeque::new(),
            counters: Counters::default(),
            buffer: Vec::new(),
        }
    }

    /// Takes a message that came; returns what is news.
    pub fn handle_message(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        message: Message,
    ) -> Option<Received> {
        if !message.is_request() {
            self.handle_response(host, from, message)
        } else if *message.method() == Method::Ack {
            self.handle_ack(host, flow, from, message)
        } else {
            self.handle_request(host, flow, from, message)
        }
    }

    /// The network refused something that was sent on `flow` to `to`
    /// ([`Inbound::SendFailed`](crate::host::Inbound::SendFailed)).
    ///
    /// It does not say what, so every transaction that has something under way there is notified; each
    /// is notified once for what it sent.
    pub fn handle_send_failed(&mut self, host: &mut dyn Host, flow: Flow, to: SocketAddr) {
        let now = host.now();
        let line = Peer { flow, to }.line();
        while let Some(slot) = self.store.by_peer.get(&line).copied() {
            self.store.unlink(slot);
            self.step(now, slot, |machine, _| machine.handle_transport_error());
        }
    }

    /// A connection is over ([`Inbound::FlowClosed`](crate::host::Inbound::FlowClosed)): as
    /// [`handle_send_failed`](Self::handle_send_failed) for all that was sent on it.
    pub fn handle_flow_closed(&mut self, host: &mut dyn Host, flow: Flow) {
        self.handle_send_failed(host, flow, ANYWHERE);
    }

    /// Has what is still to be sent for a request of ours, its CANCEL, go another way: that of the
    /// INVITE is no more.
    pub(crate) fn reroute(&mut self, id: ClientId, flow: Flow, to: SocketAddr) {
        self.store.set_peer(id.0, Peer { flow, to });
    }

    /// Sends the answers to what came on a connection that is over along another, to the same server:
    /// those that may have been lost at once, and all that follow (RFC 3261 §18.2.2). It knows them by
    /// their branch.
    pub(crate) fn reroute_answers(
        &mut self,
        host: &mut dyn Host,
        over: Flow,
        flow: Flow,
        to: SocketAddr,
    ) {
        let on_it = |entry: &Entry| {
            entry.peer.flow == over && entry.machine.as_ref().is_some_and(|it| !it.is_client())
        };
        let slots = self.store.entries.iter().filter(|(_, entry)| on_it(entry));
        let slots: Vec<Slot> = slots.map(|(slot, _)| slot).collect();
        for slot in slots {
            self.store.set_peer(slot, Peer { flow, to });
            self.send_kept(host, slot);
        }
    }

    /// Carries out what is due: repeats what may have been lost and gives up what took too long.
    pub fn handle_deadline(&mut self, host: &mut dyn Host) {
        let now = host.now();
        while let Some((_, slot)) = self.store.timers.pop_due(now) {
            if let Some(entry) = self.store.entries.get_mut(slot) {
                entry.timer = None;
            }
            match self.step(now, slot, Machine::handle_deadline) {
                Action::Send => {
                    self.counters.retransmissions += 1;
                    self.send_kept(host, slot);
                }
                Action::Trying => self.send_trying(host, slot),
                _ => {}
            }
        }
    }

    /// When [`handle_deadline`](Self::handle_deadline) is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.store.timers.next_deadline()
    }

    /// The next transaction that failed.
    pub fn next_event(&mut self) -> Option<Failure> {
        self.failures.pop_front()
    }

    /// Sends a request other than ACK and sees to it that it arrives.
    ///
    /// `branch` is that of the topmost Via in `bytes`, made by [`new_branch`](Self::new_branch) for
    /// this request alone; only CANCEL shares that of its INVITE (see [`cancel`](Self::cancel)).
    pub fn request(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        to: SocketAddr,
        method: &Method,
        branch: &str,
        bytes: &[u8],
    ) -> ClientId {
        let id = self.insert_client(host, Peer { flow, to }, method, branch, bytes);
        if self.contains_client(id) {
            self.store.link(id.0);
            host.send(Outbound::Datagram { flow, to, bytes });
        }
        id
    }

    /// Makes room for a request to `to` that goes out later, by
    /// [`send_prepared`](Self::send_prepared); until then it can time out.
    pub(crate) fn prepare(
        &mut self,
        host: &mut dyn Host,
        to: SocketAddr,
        method: &Method,
        branch: &str,
    ) -> ClientId {
        self.insert_client(host, Peer { flow: NOWHERE, to }, method, branch, &[])
    }

    /// Sends a request for which room was made, or that was sent and has had no response, unless it was
    /// abandoned or has timed out.
    pub(crate) fn send_prepared(
        &mut self,
        host: &mut dyn Host,
        id: ClientId,
        flow: Flow,
        to: SocketAddr,
        method: &Method,
        bytes: &[u8],
    ) {
        let peer = Peer { flow, to };
        let machine = client(method, bytes, self.context(host.now(), peer));
        self.store.set_peer(id.0, peer);
        let Some(entry) = self.store.entries.get_mut(id.0) else { return };
        entry.machine = Some(machine);
        self.store.schedule(id.0);
        self.store.link(id.0);
        host.send(Outbound::Datagram { flow, to, bytes });
    }

    /// Whether a request that was sent has had no response yet, and may have one.
    pub(crate) fn is_unanswered(&self, id: ClientId) -> bool {
        let machine = self.store.entries.get(id.0).and_then(|entry| entry.machine.as_ref());
        matches!(
            machine,
            Some(
                Machine::ClientInvite(ClientInvite::Calling { .. })
                    | Machine::ClientNonInvite(ClientNonInvite::Trying { .. })
            )
        )
    }

    fn insert_client(
        &mut self,
        host: &mut dyn Host,
        peer: Peer,
        method: &Method,
        branch: &str,
        bytes: &[u8],
    ) -> ClientId {
        let machine = client(method, bytes, self.context(host.now(), peer));
        let slot = self.store.insert(peer, self.keys.client(branch, method), machine);
        if self.store.entries.len() > self.limits.with_reserve() {
            self.counters.refused += 1;
            self.refuse_client(slot);
        }
        ClientId(slot)
    }

    /// Sends CANCEL for an INVITE (§9.1) that has had a provisional response and no final one;
    /// `None` otherwise, and when one was sent already. Before a provisional response the user has
    /// to wait for it.
    ///
    /// The INVITE's own transaction goes on: 487 or another final response is to come, and without
    /// one it fails 64*T1 later.
    pub fn cancel(&mut self, host: &mut dyn Host, id: ClientId) -> Option<ClientId> {
        self.cancel_for(host, id, &[])
    }

    /// The same for these reasons (RFC 3326).
    pub(crate) fn cancel_for(
        &mut self,
        host: &mut dyn Host,
        id: ClientId,
        reasons: &[Reason],
    ) -> Option<ClientId> {
        let (_, bytes) = self.cancel_of(id, reasons)?;
        self.send_cancel(host, id, Some(&bytes))
    }

    /// The CANCEL that [`cancel`](Self::cancel) would send now, and where to.
    pub(crate) fn cancel_of(
        &self,
        id: ClientId,
        reasons: &[Reason],
    ) -> Option<(SocketAddr, Vec<u8>)> {
        let entry = self.store.entries.get(id.0)?;
        match entry.machine.as_ref()? {
            Machine::ClientInvite(machine @ ClientInvite::Proceeding { cancelled: None, .. }) => {
                Some((entry.peer.to, derived::cancel(machine.kept(), reasons)?))
            }
            _ => None,
        }
    }

    /// Sends it; without bytes it counts as sent and lost.
    pub(crate) fn send_cancel(
        &mut self,
        host: &mut dyn Host,
        id: ClientId,
        bytes: Option<&Vec<u8>>,
    ) -> Option<ClientId> {
        let Peer { flow, to } = self.store.entries.get(id.0)?.peer;
        self.step(host.now(), id.0, Machine::cancelled);
        let bytes = bytes?;
        let branch = Message::parse(bytes).ok()?.via().branch()?.to_owned();
        Some(self.request(host, flow, to, &Method::Cancel, &branch, bytes))
    }

    /// Takes a request that is not to be sent after all: it has failed
    /// ([`FailureCause::Refused`]).
    pub(crate) fn refuse_request(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        to: SocketAddr,
        method: &Method,
        branch: &str,
    ) -> ClientId {
        let peer = Peer { flow, to };
        let context = self.context(host.now(), peer);
        let machine = Machine::ClientNonInvite(ClientNonInvite::new([].into(), context));
        let slot = self.store.insert(peer, self.keys.client(branch, method), machine);
        self.refuse_client(slot)
    }

    fn refuse_client(&mut self, slot: Slot) -> ClientId {
        self.store.remove(slot);
        let id = ClientId(slot);
        self.failures.push_back(Failure::ClientFailed { id, cause: FailureCause::Refused });
        id
    }

    /// Forgets a request that was received: it is not answered, and one that comes again is new.
    pub(crate) fn forget(&mut self, id: ServerId) {
        self.store.remove(id.0);
    }

    /// Forgets a request that was sent; its responses will be strays.
    pub fn abandon(&mut self, id: ClientId) {
        self.store.remove(id.0);
    }

    /// Whether a request that was sent still has a transaction.
    pub fn contains_client(&self, id: ClientId) -> bool {
        self.store.entries.get(id.0).is_some()
    }

    /// Whether a request that was received still has a transaction.
    pub fn contains_server(&self, id: ServerId) -> bool {
        self.store.entries.get(id.0).is_some()
    }

    /// Answers a request: sends `bytes`, a response with that status, to its
    /// [`return_address`](crate::sip::Via::return_address), and repeats it as its kind of transaction
    /// asks. A 2xx to INVITE is repeated by the user, through here, until ACK comes.
    ///
    /// A response that comes too late (after a final one, or after the transaction ended) is
    /// counted and not sent.
    pub fn respond(&mut self, host: &mut dyn Host, id: ServerId, status: u16, bytes: &[u8]) {
        let action =
            self.step(host.now(), id.0, |machine, context| machine.respond(context, status, bytes));
        let Some(entry) = self.store.entries.get_mut(id.0).filter(|_| action == Action::Send)
        else {
            self.counters.late_responses += 1;
            return;
        };
        let Peer { flow, to } = entry.peer;
        // §8.2.2.2: a loop is what comes while another is ongoing. Who was refused may try once more by
        // another way with the same CSeq (a hunt whose first branch was cancelled; §22.2).
        if status >= 300
            && let Some(key) = entry.merge.take()
        {
            self.store.by_merge.remove(&key);
        }
        self.store.link(id.0);
        host.send(Outbound::Datagram { flow, to, bytes });
    }

    /// Where the responses to a request go.
    pub(crate) fn peer_of(&self, id: ServerId) -> Option<(Flow, SocketAddr)> {
        self.store.entries.get(id.0).map(|entry| (entry.peer.flow, entry.peer.to))
    }

    /// Has the responses to a request go another way from now on (§18.2.2).
    pub(crate) fn move_server(&mut self, id: ServerId, flow: Flow, to: SocketAddr) {
        self.store.unlink(id.0);
        if let Some(entry) = self.store.entries.get_mut(id.0) {
            entry.peer = Peer { flow, to };
        }
    }

    /// The transaction that a CANCEL is to end (§9.2).
    pub fn server_for_cancel(&self, cancel: &Message) -> Option<ServerId> {
        /// Whatever may be cancelled; of these only INVITE takes notice.
        const METHODS: [Method; 12] = [
            Method::Invite,
            Method::Bye,
            Method::Register,
            Method::Options,
            Method::Prack,
            Method::Update,
            Method::Info,
            Method::Refer,
            Method::Subscribe,
            Method::Notify,
            Method::Message,
            Method::Publish,
        ];
        METHODS.iter().find_map(|method| {
            self.store.by_key.get(&self.keys.server(cancel, method)).map(|slot| ServerId(*slot))
        })
    }

    /// The tag in To of what a request was answered, while that is kept.
    pub(crate) fn answered_tag(&self, id: ServerId) -> Option<String> {
        let machine = self.store.entries.get(id.0)?.machine.as_ref()?;
        Message::parse(machine.kept()).ok()?.to_tag().map(str::to_owned)
    }

    /// A branch that no other request ever has (§8.1.1.7): the cookie and 128 random bits.
    pub fn new_branch<E: Entropy + ?Sized>(host: &mut E) -> String {
        format!("{BRANCH_COOKIE}{:016x}{:016x}", host.random(), host.random())
    }

    /// How many transactions there are.
    pub fn len(&self) -> usize {
        self.store.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.store.entries.is_empty()
    }

    /// The counters.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        self.store.check();
    }

    fn handle_response(
        &mut self,
        host: &mut dyn Host,
        from: SocketAddr,
        message: Message,
    ) -> Option<Received> {
        let key = message.via().branch().map(|branch| self.keys.client(branch, message.method()));
        let slot = key.and_then(|key| self.store.by_key.get(&key).copied());
        let (Some(slot), Some(status)) = (slot, message.status()) else {
            self.counters.stray_responses += 1;
            return Some(Received::StrayResponse { message, from });
        };
        let action = self.step(host.now(), slot, |machine, context| {
            machine.handle_response(context, status, &message)
        });
        if matches!(action, Action::Send | Action::SendAndDeliver) {
            self.send_kept(host, slot);
        }
        if matches!(action, Action::Deliver | Action::SendAndDeliver) {
            return Some(Received::Response { id: ClientId(slot), message });
        }
        self.counters.absorbed_responses += 1;
        None
    }

    fn handle_ack(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        message: Message,
    ) -> Option<Received> {
        match self.invite_of_ack(&message) {
            Some(slot) => {
                if self.step(host.now(), slot, Machine::handle_ack) == Action::Deliver {
                    return Some(Received::Ack { message, flow, from });
                }
                self.counters.absorbed_requests += 1;
                None
            }
            None => Some(Received::Ack { message, flow, from }),
        }
    }

    /// The INVITE that an ACK belongs to, unless that was accepted: then the ACK is a request of
    /// its own (§13.2.2.4).
    fn invite_of_ack(&self, ack: &Message) -> Option<Slot> {
        let Some(key) = self.keys.legacy_ack(ack) else {
            return self.store.by_key.get(&self.keys.server(ack, &Method::Invite)).copied();
        };
        // §17.2.3: "the To tag of the ACK matches the To tag of the response".
        let slot = self.store.by_legacy_ack.get(&key).copied()?;
        let entry = self.store.entries.get(slot)?;
        let answered = Message::parse(entry.machine.as_ref()?.kept()).ok();
        match answered {
            Some(response) => (response.to_tag() == ack.to_tag()).then_some(slot),
            None => Some(slot),
        }
    }

    fn handle_request(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        message: Message,
    ) -> Option<Received> {
        let now = host.now();
        let key = self.keys.server(&message, message.method());
        if let Some(slot) = self.store.by_key.get(&key).copied() {
            self.counters.absorbed_requests += 1;
            if self.step(now, slot, |machine, _| machine.handle_request()) == Action::Send {
                self.send_kept(host, slot);
            }
            return None;
        }
        if self.store.entries.len() >= self.limits.for_request(&message) {
            self.refuse(host, flow, from, &message);
            return None;
        }
        let to = message.via().return_address(flow.transport, from);
        let peer = Peer { flow, to };
        let merge = self.keys.merge(&message).filter(|_| self.limits.merged_requests_are_loops);
        let merged = merge.is_some_and(|merge| self.store.by_merge.contains_key(&merge));
        let id = self.insert_server(self.context(now, peer), peer, key, &message);
        if merged {
            self.counters.merged += 1;
            self.write(&message, 482, from, None);
            let bytes = core::mem::take(&mut self.buffer);
            self.respond(host, id, 482, &bytes);
            self.buffer = bytes;
            return None;
        }
        if let (Some(key), Some(entry)) = (merge, self.store.entries.get_mut(id.0)) {
            entry.merge = merge;
            self.store.by_merge.insert(key, id.0);
        }
        Some(Received::Request { id, message, flow, from })
    }

    fn insert_server(
        &mut self,
        context: TransactionContext,
        peer: Peer,
        key: Key,
        request: &Message,
    ) -> ServerId {
        let invite = *request.method() == Method::Invite;
        let machine = if invite {
            Machine::ServerInvite(ServerInvite::new(request.clone(), context))
        } else {
            Machine::ServerNonInvite(ServerNonInvite::new(request.clone(), context))
        };
        let slot = self.store.insert(peer, key, machine);
        if let Some(key) = self.keys.legacy_ack(request).filter(|_| invite) {
            self.store.by_legacy_ack.insert(key, slot);
            if let Some(entry) = self.store.entries.get_mut(slot) {
                entry.legacy_ack = Some(Box::new(key));
            }
        }
        ServerId(slot)
    }

    /// Says 503 to a request without keeping anything of it (§21.5.4, §8.2.7).
    fn refuse(&mut self, host: &mut dyn Host, flow: Flow, from: SocketAddr, request: &Message) {
        self.counters.refused += 1;
        self.write(request, 503, from, Some(self.limits.retry_after.as_secs()));
        let to = request.via().return_address(flow.transport, from);
        host.send(Outbound::Datagram { flow, to, bytes: &self.buffer });
    }

    /// Says 100 for a user who has said nothing yet (§17.2.1, RFC 4320 §4.1).
    fn send_trying(&mut self, host: &mut dyn Host, slot: Slot) {
        let Some(entry) = self.store.entries.get(slot) else { return };
        let from = entry.peer.to;
        if let Some(request) = entry.machine.as_ref().and_then(Machine::request).cloned() {
            self.write(&request, 100, from, None);
            let bytes = core::mem::take(&mut self.buffer);
            self.respond(host, ServerId(slot), 100, &bytes);
            self.buffer = bytes;
        }
    }

    /// Writes a response of the layer's own into the buffer.
    fn write(
        &mut self,
        request: &Message,
        status: u16,
        from: SocketAddr,
        retry_after: Option<u64>,
    ) {
        // §17.2.1: a 100 gets no tag of ours.
        let tag = (status > 100 && request.to_tag().is_none()).then(|| self.keys.tag(request));
        let reason = reason_phrase(status);
        let (tag, from) = (tag.as_deref(), Some(from));
        let mut writer = Writer::response_to(&mut self.buffer, request, status, reason, tag, from);
        if let Some(seconds) = retry_after {
            writer.field(HeaderName::RetryAfter, seconds);
        }
        writer.finish();
    }

    fn context(&self, now: Instant, peer: Peer) -> TransactionContext {
        let Limits { timing, .. } = self.limits;
        TransactionContext { now, timing, reliable: peer.flow.transport.is_reliable() }
    }

    /// Puts a machine through an event and keeps what becomes of it. Sends nothing.
    fn step(
        &mut self,
        now: Instant,
        slot: Slot,
        event: impl FnOnce(Machine, TransactionContext) -> super::machine::Step<Machine>,
    ) -> Action {
        let timing = self.limits.timing;
        let Some(entry) = self.store.entries.get_mut(slot) else { return Action::Ignore };
        let Some(machine) = entry.machine.take() else { return Action::Ignore };
        let client = machine.is_client();
        let reliable = entry.peer.flow.transport.is_reliable();
        let step = event(machine, TransactionContext { now, timing, reliable });
        match step.next {
            Some(machine) => {
                let exposed = machine.is_exposed();
                entry.machine = Some(machine);
                self.store.schedule(slot);
                if !exposed {
                    self.store.unlink(slot);
                }
            }
            None => self.store.remove(slot),
        }
        if let Action::Fail(cause) = step.action {
            match cause {
                FailureCause::Timeout => self.counters.timeouts += 1,
                _ => self.counters.transport_errors += 1,
            }
            self.failures.push_back(if client {
                Failure::ClientFailed { id: ClientId(slot), cause }
            } else {
                Failure::ServerFailed { id: ServerId(slot), cause }
            });
        }
        step.action
    }

    /// Sends what the machine keeps.
    fn send_kept(&mut self, host: &mut dyn Host, slot: Slot) {
        self.store.link(slot);
        let Some(entry) = self.store.entries.get(slot) else { return };
        let Peer { flow, to } = entry.peer;
        let bytes = entry.machine.as_ref().map_or(&[][..], Machine::kept);
        if !bytes.is_empty() {
            host.send(Outbound::Datagram { flow, to, bytes });
        }
    }
}

/// A flow on which nothing is ever sent, for what has none yet.
const NOWHERE: Flow = Flow { transport: Transport::Tcp, id: u64::MAX };

fn client(method: &Method, bytes: &[u8], context: TransactionContext) -> Machine {
    match method {
        Method::Invite => Machine::ClientInvite(ClientInvite::new(bytes.into(), context)),
        _ => Machine::ClientNonInvite(ClientNonInvite::new(bytes.into(), context)),
    }
}
