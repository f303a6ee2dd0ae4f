//! Our own addresses as peers see them, for captures: a packet of the outbox says only which socket it
//! leaves by.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use offhook_core::host::{Channel, Flow, Inbound, MediaPort, Outbound, RequestId, Transport};

/// To how many hosts we remember the way by which datagrams go there.
const MOST_WAYS: usize = 1_024;

/// What is not known.
const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Where each socket is.
#[derive(Default)]
pub(super) struct Addresses {
    /// To which host a flow was asked for.
    asked: Vec<(RequestId, IpAddr)>,
    /// The address of each flow that was said last.
    flows: Vec<(Flow, SocketAddr)>,
    /// Of a socket for datagrams, which has one on the way to each host.
    ways: Vec<((Flow, IpAddr), SocketAddr)>,
    /// Where the host listens.
    bound: Vec<(Transport, SocketAddr)>,
    media: Vec<(MediaPort, [SocketAddr; 2])>,
}

impl Addresses {
    /// The host listens there.
    pub(super) fn bind(&mut self, transport: Transport, address: SocketAddr) {
        put(&mut self.bound, transport, address);
    }

    /// Notes what a request to the host is about.
    pub(super) fn outbound(&mut self, outbound: &Outbound<'_>) {
        match outbound {
            Outbound::OpenFlow { id, to, .. } => self.asked.push((*id, to.ip())),
            Outbound::ReleaseMedia { port } => self.media.retain(|(media, _)| media != port),
            Outbound::Rebind => self.ways.clear(),
            _ => {}
        }
    }

    /// Notes what the host says.
    pub(super) fn inbound(&mut self, inbound: &Inbound<'_>) {
        match *inbound {
            Inbound::FlowOpened { id, flow, local, .. } => {
                let to = self.answered(id);
                put(&mut self.flows, flow, local);
                if let Some(to) = to.filter(|_| !flow.transport.is_reliable()) {
                    if self.ways.len() >= MOST_WAYS {
                        self.ways.clear();
                    }
                    put(&mut self.ways, (flow, to), local);
                }
            }
            Inbound::FlowFailed { id, .. } => {
                self.answered(id);
            }
            Inbound::FlowAccepted { flow, local, .. } => put(&mut self.flows, flow, local),
            Inbound::FlowClosed { flow } => self.flows.retain(|(closed, _)| *closed != flow),
            Inbound::MediaBound { port, rtp, rtcp, .. } => {
                put(&mut self.media, port, [rtp, rtcp]);
            }
            _ => {}
        }
    }

    /// Our end of a packet that goes to or comes from a peer.
    pub(super) fn of_flow(&self, flow: Flow, peer: SocketAddr) -> SocketAddr {
        let way = get(&self.ways, &(flow, peer.ip())).or(get(&self.flows, &flow));
        way.or(get(&self.bound, &flow.transport)).unwrap_or(UNKNOWN)
    }

    /// The address of one of a pair of media ports.
    pub(super) fn of_media(&self, port: MediaPort, channel: Channel) -> SocketAddr {
        let [rtp, rtcp] = get(&self.media, &port).unwrap_or([UNKNOWN; 2]);
        match channel {
            Channel::Rtp => rtp,
            Channel::Rtcp => rtcp,
        }
    }

    fn answered(&mut self, id: RequestId) -> Option<IpAddr> {
        let index = self.asked.iter().position(|(asked, _)| *asked == id)?;
        Some(self.asked.swap_remove(index).1)
    }
}

fn put<K: PartialEq, V>(table: &mut Vec<(K, V)>, key: K, value: V) {
    match table.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = value,
        None => table.push((key, value)),
    }
}

fn get<K: PartialEq, V: Copy>(table: &[(K, V)], key: &K) -> Option<V> {
    table.iter().find(|(known, _)| known == key).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_socket_for_datagrams_has_an_address_on_each_way() {
        let mut addresses = Addresses::default();
        let flow = Flow { transport: Transport::Udp, id: 0 };
        let [near, far] = [at("127.0.0.1:5060"), at("192.0.2.7:5060")];
        assert_eq!(addresses.of_flow(flow, near), UNKNOWN);
        addresses.bind(Transport::Udp, at("0.0.0.0:5060"));
        assert_eq!(addresses.of_flow(flow, near), at("0.0.0.0:5060"));
        for (id, to, local) in [(1, far, at("192.0.2.1:5060")), (2, near, near)] {
            let (id, transport, name) = (RequestId(id), Transport::Udp, "");
            addresses.outbound(&Outbound::OpenFlow { id, transport, to, name });
            addresses.inbound(&Inbound::FlowOpened { id, flow, local, certificate: None });
        }
        assert_eq!(addresses.of_flow(flow, far), at("192.0.2.1:5060"));
        assert_eq!(addresses.of_flow(flow, near), near);
        assert_eq!(addresses.of_flow(flow, at("192.0.2.8:5060")), near, "the last one said");
        assert!(addresses.asked.is_empty());
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut addresses = Addresses::default();
        let flow = Flow { transport: Transport::Tcp, id: 9 };
        let (from, local) = (at("192.0.2.7:4000"), at("192.0.2.1:5060"));
        addresses.inbound(&Inbound::FlowAccepted { flow, from, local, certificate: None });
        assert_eq!(addresses.of_flow(flow, from), local);
        addresses.inbound(&Inbound::FlowClosed { flow });
        assert_eq!(addresses.of_flow(flow, from), UNKNOWN);
        let (id, port) = (RequestId(1), MediaPort(3));
        let [rtp, rtcp] = [at("192.0.2.1:10000"), at("192.0.2.1:10001")];
        addresses.inbound(&Inbound::MediaBound { id, port, rtp, rtcp });
        assert_eq!(addresses.of_media(port, Channel::Rtcp), rtcp);
        addresses.outbound(&Outbound::ReleaseMedia { port });
        assert_eq!(addresses.of_media(port, Channel::Rtp), UNKNOWN);
    }
}
