//! The [`Host`](crate::host::Host) that each node sees.

use super::network::{Network, OwnedInbound, Station, is_route};
use super::wire::Fate;
use crate::host::{Channel, Clock, Datagrams, Entropy, Outbound, Transport};
use crate::time::{Instant, WallTime};
use crate::trace::Kind;

/// What a node sees of the network while it runs.
pub(super) struct NodeHost<'a> {
    pub(super) network: &'a mut Network,
    pub(super) node: usize,
}

impl NodeHost<'_> {
    fn station(&mut self) -> &mut Station {
        &mut self.network.stations[self.node]
    }
}

impl Clock for NodeHost<'_> {
    fn now(&self) -> Instant {
        self.network.local_now(self.node)
    }

    fn wall(&self) -> WallTime {
        self.network.wall()
    }
}

impl Entropy for NodeHost<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.station().random.fill(bytes);
    }
}

impl Datagrams for NodeHost<'_> {
    fn send(&mut self, outbound: Outbound<'_>) {
        let node = self.node;
        let Station { address, flow: own_flow, alive, .. } = *self.station();
        if !alive {
            return;
        }
        let network = &mut *self.network;
        match outbound {
            Outbound::Datagram { flow, to, bytes } if flow.transport.is_reliable() => {
                if !network.send_on(node, flow, bytes) {
                    network.deliver(node, OwnedInbound::SendFailed { flow, to });
                }
            }
            Outbound::Datagram { flow, to, bytes } => {
                if !network.is_bound(node) {
                    return;
                }
                let sent = flow == own_flow
                    && network.transmit(address, to, Kind::Sip, bytes) != Fate::Unsendable;
                if !sent {
                    network.deliver(node, OwnedInbound::SendFailed { flow, to });
                }
            }
            Outbound::Media { port, channel, to, bytes } => {
                let kind = match channel {
                    Channel::Rtp => Kind::Rtp,
                    Channel::Rtcp => Kind::Rtcp,
                };
                if let Some(from) = network.ports.pair(node, port, channel) {
                    network.transmit(from, to, kind, bytes);
                }
            }
            Outbound::OpenFlow { id, transport: Transport::Udp, to, .. } => {
                let answer = match network.is_bound(node) && is_route(address.ip(), to) {
                    true => OwnedInbound::FlowOpened {
                        id,
                        flow: own_flow,
                        local: address,
                        certificate: None,
                    },
                    false => OwnedInbound::unreachable(id, "there is no route"),
                };
                network.deliver(node, answer);
            }
            Outbound::OpenFlow { id, transport, to, .. } => {
                network.connect(node, id, transport, to)
            }
            // The one UDP socket stays open as long as its node lives.
            Outbound::CloseFlow { flow } => network.close_connection(node, flow),
            Outbound::BindMedia { id, toward: _, low, high } => {
                let answer = match network.ports.bind_pair(node, address.ip(), low, high) {
                    Some((port, rtp)) => OwnedInbound::MediaBound { id, port, rtp },
                    None => OwnedInbound::MediaUnavailable { id },
                };
                network.deliver(node, answer);
            }
            Outbound::ReleaseMedia { port } => network.ports.release_pair(node, port),
            Outbound::Rebind => network.rebind(node),
            Outbound::Resolve { id, query } => {
                let answer = match network.names.answer(query) {
                    Some((records, ttl)) => OwnedInbound::Resolved { id, records, ttl },
                    None => OwnedInbound::ResolveFailed { id },
                };
                let at = network.now + network.names.delay;
                network.deliver_at(at, node, answer);
            }
        }
    }
}
