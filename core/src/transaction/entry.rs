//! One transaction in the layer's table.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::client_invite::ClientInvite;
use super::client_non_invite::ClientNonInvite;
use super::derived;
use super::key::Key;
use super::machine::{Action, Step, TransactionContext};
use super::server_invite::ServerInvite;
use super::server_non_invite::ServerNonInvite;
use crate::host::Flow;
use crate::sip::Message;
use crate::slab::Slot;
use crate::time::Instant;
use crate::timers::TimerId;

/// The far end of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Peer {
    pub(super) flow: Flow,
    pub(super) to: SocketAddr,
}

/// Stands for the one address at the other end of a connection.
pub(super) const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Peer {
    /// By what all that is under way to the same peer is found: a connection has only one.
    pub(super) fn line(self) -> Self {
        match self.flow.transport.is_reliable() {
            true => Self { to: ANYWHERE, ..self },
            false => self,
        }
    }
}

/// A transaction: its machine, and where it stands in the layer's tables.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) peer: Peer,
    pub(super) key: Key,
    pub(super) merge: Option<Key>,
    /// Only for an INVITE of RFC 2543; boxed because there is hardly ever one.
    pub(super) legacy_ack: Option<Box<Key>>,
    pub(super) timer: Option<TimerId>,
    /// Whether it is in the list of those with something under way to the peer.
    pub(super) linked: bool,
    pub(super) previous: Option<Slot>,
    pub(super) next: Option<Slot>,
    /// Absent only while an event is put through it.
    pub(super) machine: Option<Machine>,
}

impl Entry {
    pub(super) const fn new(peer: Peer, key: Key, machine: Machine) -> Self {
        Self {
            peer,
            key,
            merge: None,
            legacy_ack: None,
            timer: None,
            linked: false,
            previous: None,
            next: None,
            machine: Some(machine),
        }
    }
}

/// One of the four.
#[derive(Debug)]
#[allow(clippy::enum_variant_names, reason = "the RFC's names")]
pub(super) enum Machine {
    ClientInvite(ClientInvite),
    ClientNonInvite(ClientNonInvite),
    ServerInvite(ServerInvite<Message>),
    ServerNonInvite(ServerNonInvite<Message>),
}

impl Machine {
    pub(super) const fn is_client(&self) -> bool {
        matches!(self, Self::ClientInvite(_) | Self::ClientNonInvite(_))
    }

    /// Whether a transport error means anything to it: something of its own may be under way.
    pub(super) const fn is_exposed(&self) -> bool {
        match self {
            Self::ClientInvite(machine) => machine.is_exposed(),
            Self::ClientNonInvite(machine) => machine.is_exposed(),
            Self::ServerInvite(machine) => machine.is_exposed(),
            Self::ServerNonInvite(machine) => machine.is_exposed(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::ClientInvite(machine) => machine.deadline(),
            Self::ClientNonInvite(machine) => machine.deadline(),
            Self::ServerInvite(machine) => machine.deadline(),
            Self::ServerNonInvite(machine) => machine.deadline(),
        }
    }

    /// The message to repeat; empty when there is none.
    pub(super) fn kept(&self) -> &[u8] {
        match self {
            Self::ClientInvite(machine) => machine.kept(),
            Self::ClientNonInvite(machine) => machine.kept(),
            Self::ServerInvite(machine) => machine.kept(),
            Self::ServerNonInvite(machine) => machine.kept(),
        }
    }

    /// The request received, while nothing was answered.
    pub(super) fn request(&self) -> Option<&Message> {
        match self {
            Self::ServerInvite(machine) => machine.request(),
            Self::ServerNonInvite(machine) => machine.request(),
            Self::ClientInvite(_) | Self::ClientNonInvite(_) => None,
        }
    }

    pub(super) fn handle_response(
        self,
        context: TransactionContext,
        status: u16,
        response: &Message,
    ) -> Step<Self> {
        match self {
            Self::ClientInvite(machine) => {
                let acknowledge = |request: &[u8]| derived::ack(request, response);
                machine.handle_response(context, status, acknowledge).map(Self::ClientInvite)
            }
            Self::ClientNonInvite(machine) => {
                machine.handle_response(context, status).map(Self::ClientNonInvite)
            }
            server => Step::to(server, Action::Ignore),
        }
    }

    pub(super) fn handle_request(self) -> Step<Self> {
        match self {
            Self::ServerInvite(machine) => machine.handle_request().map(Self::ServerInvite),
            Self::ServerNonInvite(machine) => machine.handle_request().map(Self::ServerNonInvite),
            client => Step::to(client, Action::Ignore),
        }
    }

    pub(super) fn handle_ack(self, context: TransactionContext) -> Step<Self> {
        match self {
            Self::ServerInvite(machine) => machine.handle_ack(context).map(Self::ServerInvite),
            other => Step::to(other, Action::Ignore),
        }
    }

    pub(super) fn respond(
        self,
        context: TransactionContext,
        status: u16,
        response: &[u8],
    ) -> Step<Self> {
        match self {
            Self::ServerInvite(machine) => {
                machine.respond(context, status, response).map(Self::ServerInvite)
            }
            Self::ServerNonInvite(machine) => {
                machine.respond(context, status, response).map(Self::ServerNonInvite)
            }
            client => Step::to(client, Action::Ignore),
        }
    }

    pub(super) fn cancelled(self, context: TransactionContext) -> Step<Self> {
        let machine = match self {
            Self::ClientInvite(machine) => Self::ClientInvite(machine.cancelled(context)),
            other => other,
        };
        Step::to(machine, Action::Ignore)
    }

    pub(super) fn handle_deadline(self, context: TransactionContext) -> Step<Self> {
        match self {
            Self::ClientInvite(machine) => machine.handle_deadline(context).map(Self::ClientInvite),
            Self::ClientNonInvite(machine) => {
                machine.handle_deadline(context).map(Self::ClientNonInvite)
            }
            Self::ServerInvite(machine) => machine.handle_deadline(context).map(Self::ServerInvite),
            Self::ServerNonInvite(machine) => {
                machine.handle_deadline(context).map(Self::ServerNonInvite)
            }
        }
    }

    pub(super) fn handle_transport_error(self) -> Step<Self> {
        match self {
            Self::ClientInvite(machine) => machine.handle_transport_error().map(Self::ClientInvite),
            Self::ClientNonInvite(machine) => {
                machine.handle_transport_error().map(Self::ClientNonInvite)
            }
            Self::ServerInvite(machine) => machine.handle_transport_error().map(Self::ServerInvite),
            Self::ServerNonInvite(machine) => {
                machine.handle_transport_error().map(Self::ServerNonInvite)
            }
        }
    }
}
