//! What a phone does when its machine has come to another network.

use super::{Intent, Phone};
use crate::host::{Host, Outbound};
use crate::registration::Registration;

impl Phone {
    /// Says that the network has changed: the machine has another address, another interface, other
    /// routes. The host binds its sockets anew, and the phone registers anew at once; its status is
    /// REGISTERING until the server has taken that. Does nothing unless the phone is started. Say it
    /// again as often as it happens; if nothing has changed really, it does no harm.
    pub fn network_changed(&mut self) {
        if self.require_started("").is_ok() {
            self.intents.push_back(Intent::Move);
        }
    }

    pub(super) fn change_network(&mut self, host: &mut dyn Host) {
        host.send(Outbound::Rebind);
        self.agent.renew_paths(host);
        self.with_registration(host, Registration::handle_network_change);
    }
}
