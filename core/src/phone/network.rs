//! What a phone does when its machine has come to another network.

use super::{Intent, Phone};
use crate::call::Call;
use crate::event::CallId;
use crate::host::{Host, Outbound};
use crate::registration::Registration;

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

    pub(super) fn change_network(&mut self, host: &mut dyn Host) {
        host.send(Outbound::Rebind);
        self.agent.renew_paths(host);
        self.with_registration(host, Registration::handle_network_change);
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        for id in ids {
            self.with_call(host, id, Call::network_changed);
        }
    }
}
