//! What a phone does when its machine has come to another network.

use super::{Intent, Phone};
use crate::agent::AddressChange;
use crate::call::Call;
use crate::event::CallId;
use crate::host::{Host, Outbound};
use crate::registration::{MOVES_APART, Registration};

impl Phone {
    /// Says that the network has changed: the machine has another address, another interface, other
    /// routes. The host binds its sockets anew, and the phone registers anew at once; its status is
    /// REGISTERING until the server has taken that. Calls go on: one that is ANSWERED gets new media
    /// ports and tells the far end by re-INVITE, and one that we place is placed again. Does nothing
    /// unless the phone is started. Say it again as often as it happens; if nothing has changed
    /// really, it does no harm.
    pub fn network_changed(&mut self) {
        if self.require_started("").is_ok() {
            self.intents.push_back(Intent::Move);
        }
    }

    /// Takes what a server says of where it sees us. When our NAT has moved, the registration is made
    /// anew, and then each call announces our new address: as after a change of network, but for the
    /// sockets.
    pub(super) fn handle_address_change(&mut self, host: &mut dyn Host, change: AddressChange) {
        if change == AddressChange::None {
            return;
        }
        self.moved |= change == AddressChange::Moved;
        match self.registration {
            Some(_) => self.with_registration(host, Registration::handle_move),
            None => self.follow_move(host),
        }
    }

    /// Tells each call where we are since our NAT has moved, if it has.
    pub(super) fn follow_move(&mut self, host: &mut dyn Host) {
        let now = host.now();
        if !self.moved || self.followed.is_some_and(|at| now.since(at) < MOVES_APART) {
            return;
        }
        (self.moved, self.followed) = (false, Some(now));
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        for id in ids {
            self.with_call(host, id, Call::relocate);
        }
    }

    pub(super) fn change_network(&mut self, host: &mut dyn Host) {
        self.moved = false;
        host.send(Outbound::Rebind);
        self.agent.renew_paths(host);
        self.seek_mapping(host);
        self.with_registration(host, Registration::handle_network_change);
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        for id in ids {
            self.with_call(host, id, Call::handle_network_change);
        }
    }
}
