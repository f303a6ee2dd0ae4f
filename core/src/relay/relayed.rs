//! An endpoint behind a relay.

use super::client::Client;
use crate::host::{Clock, Datagrams, Endpoint, Entropy, Host, Outbound};
use crate::time::{Instant, WallTime};

/// An endpoint (a telephone) whose host is a [`Client`]. Of the host that it is called with it uses the clock and
/// the randomness; everything else goes to the relay.
#[derive(Debug)]
pub struct Relayed<E> {
    client: Client,
    endpoint: E,
}

/// What the endpoint sees.
struct RelayHost<'a> {
    client: &'a mut Client,
    host: &'a mut dyn Host,
}

impl<E: Endpoint> Relayed<E> {
    /// The endpoint behind the client.
    pub fn new(client: Client, endpoint: E) -> Self {
        Self { client, endpoint }
    }

    /// The client: for its connection, messages and events.
    pub fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &E {
        &self.endpoint
    }

    /// The endpoint, for its commands; [`run`](Self::run) carries them out.
    pub fn endpoint_mut(&mut self) -> &mut E {
        &mut self.endpoint
    }

    /// Handles one message of the relay.
    pub fn handle_message(&mut self, host: &mut dyn Host, message: &[u8]) {
        if let Some(arrival) = self.client.handle_message(host.now(), message) {
            let mut host = RelayHost { client: &mut self.client, host: &mut *host };
            self.endpoint.handle_inbound(&mut host, arrival.inbound());
        }
        self.run(host);
    }

    /// Carries out what is due and the commands of the endpoint.
    pub fn run(&mut self, host: &mut dyn Host) {
        self.client.handle_deadline(host.now());
        loop {
            while let Some(arrival) = self.client.next_arrival() {
                let mut host = RelayHost { client: &mut self.client, host: &mut *host };
                self.endpoint.handle_inbound(&mut host, arrival.inbound());
            }
            if self.endpoint.next_deadline().is_none_or(|at| at > host.now()) {
                return;
            }
            let mut host = RelayHost { client: &mut self.client, host: &mut *host };
            self.endpoint.handle_deadline(&mut host);
        }
    }

    /// When [`run`](Self::run) should be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.client.next_deadline(), self.endpoint.next_deadline()].into_iter().flatten().min()
    }
}

impl Clock for RelayHost<'_> {
    fn now(&self) -> Instant {
        self.host.now()
    }

    fn wall(&self) -> WallTime {
        self.host.wall()
    }
}

impl Entropy for RelayHost<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.host.fill(bytes);
    }
}

impl Datagrams for RelayHost<'_> {
    fn send(&mut self, outbound: Outbound<'_>) {
        let now = self.host.now();
        self.client.handle_outbound(now, outbound);
    }
}
