//! The relay's protocol: what is read is written the same, and neither end trusts the other.

use std::net::SocketAddr;
use std::sync::Arc;

use offhook_core::host::{
    Channel, Flow, Host, Inbound, MediaPort, Outbound, Query, Records, RequestId, Transport,
};
use offhook_core::relay::{
    Authenticate, Capsule, Client, Grant, Key, Policy, Problem, Ready, Session, Subject,
};
use offhook_core::time::{Duration, WallTime};

use super::Target;
use crate::idle::IdleHost;

/// Capsules one after another, to both ends.
pub(super) const RELAY: Target = Target {
    name: "relay",
    corpus,
    dictionary: &["\u{0}", "\u{1}", "pbx.test", "_sip._udp.", "v=0"],
    run,
};

fn server() -> SocketAddr {
    SocketAddr::from(([9, 9, 9, 9], 5060))
}

fn ready() -> Capsule<'static> {
    let seconds = Duration::from_secs(60);
    Capsule::Ready(Ready {
        resumed: false,
        key: Key { id: [1; 16], secret: [2; 16] },
        received: 0,
        grace: seconds,
        ping: seconds,
        valid: seconds,
        window: 65_536,
        largest_packet: 2_000,
        pairs: 16,
        flows: 8,
    })
}

fn corpus() -> Vec<Vec<u8>> {
    let (to, name) = (server(), "9.9.9.9");
    let client: &[Capsule<'_>] = &[
        Capsule::Open { flow: 1, transport: Transport::Tcp, to, name },
        Capsule::Open { flow: 2, transport: Transport::Udp, to, name },
        Capsule::Bind { pair: 1, toward: to.ip() },
        Capsule::Assign { context: 0, pair: 1, channel: Channel::Rtp, peer: to },
        Capsule::Datagram { context: 0, payload: &[0x80; 12] },
        Capsule::Data { flow: 1, bytes: b"OPTIONS sip:h SIP/2.0\r\n\r\n" },
        Capsule::Resolve { lookup: 1, query: Query::Srv("_sip._udp.pbx.test") },
        Capsule::Token { token: "again" },
        Capsule::Credit { flow: 1, bytes: 1_000 },
        Capsule::Pong { received: 3 },
        Capsule::Unassign { context: 0 },
        Capsule::Release { pair: 1 },
        Capsule::Close { flow: 1 },
        Capsule::Leave,
    ];
    let relay: &[Capsule<'_>] = &[
        ready(),
        Capsule::Opened { flow: 1, local: to, certificate: None },
        Capsule::Bound { pair: 1, rtp: to, rtcp: to },
        Capsule::Assign { context: 1, pair: 1, channel: Channel::Rtp, peer: to },
        Capsule::Datagram { context: 1, payload: &[0x80; 12] },
        Capsule::Data { flow: 1, bytes: b"SIP/2.0 200 OK\r\n\r\n" },
        Capsule::Refused {
            subject: Subject::Context,
            number: 0,
            problem: Problem::Limit,
            text: "",
        },
        Capsule::Acknowledge { received: 2 },
        Capsule::Ping { received: 2 },
        Capsule::Close { flow: 1 },
        Capsule::Draining { seconds: 5 },
        Capsule::Denied { problem: Problem::TokenExpired, text: "over" },
    ];
    let first = Authenticate { version: 1, token: "t", resume: None, received: 0 };
    let joined = |capsules: &[Capsule<'_>]| capsules.iter().flat_map(Capsule::to_bytes).collect();
    vec![joined(client), joined(relay), Capsule::Authenticate(first).to_bytes()]
}

/// A session whose requests are all answered, and a client that has asked for everything.
fn run(input: &[u8]) {
    let mut host = IdleHost::default();
    let mut grant = Grant::default();
    grant.servers = ["9.9.9.9", "pbx.test"].map(|name| name.parse().expect("a server")).into();
    grant.expires = WallTime::from_micros(u64::MAX);
    let mut session = Session::new(&mut host, Arc::new(Policy::default()), &grant);
    let mut client = Client::new("token");
    let now = |host: &IdleHost| offhook_core::host::Clock::now(host);
    client.connected(now(&host));
    ask(&mut client, &host);
    client.handle_message(now(&host), &ready().to_bytes());

    let mut rest = input;
    while let Ok(Some((capsule, used))) = Capsule::read(rest) {
        let (message, more) = rest.split_at(used);
        rest = more;
        if !matches!(capsule, Capsule::Unknown { .. }) {
            let written = capsule.to_bytes();
            assert_eq!(Capsule::message(&written), Ok(capsule), "what is written reads the same");
        }
        session.handle_message(&mut host, message);
        answer(&mut session, &mut host);
        assert!(session.held().0 <= 16 && session.held().1 <= 8, "{:?}", session.held());
        if let Some(arrival) = client.handle_message(now(&host), message) {
            let _ = format!("{:?}", arrival.inbound());
        }
        host.pass_millis(7);
        client.handle_deadline(now(&host));
        session.handle_deadline(&mut host);
        while client.next_message().is_some() || client.next_arrival().is_some() {}
        while session.next_message().is_some() || session.next_event().is_some() {}
    }
    session.end(&mut host, None);
    assert_eq!(session.held(), (0, 0), "everything is given back");
}

/// Asks for a flow, a pair and a name, and sends media.
fn ask(client: &mut Client, host: &IdleHost) {
    let now = offhook_core::host::Clock::now(host);
    let (to, name) = (server(), "9.9.9.9");
    let transport = Transport::Tcp;
    for outbound in [
        Outbound::OpenFlow { id: RequestId(1), transport, to, name },
        Outbound::OpenFlow { id: RequestId(2), transport: Transport::Udp, to, name },
        Outbound::BindMedia { id: RequestId(3), toward: to.ip(), low: 1, high: 2 },
        Outbound::Resolve { id: RequestId(4), query: Query::Addresses("pbx.test") },
        Outbound::Datagram { flow: Flow { transport, id: 1 }, to, bytes: b"sip" },
        Outbound::Media { port: MediaPort(1), channel: Channel::Rtp, to, bytes: b"rtp" },
    ] {
        client.handle_outbound(now, outbound);
    }
}

/// Whatever the session may have asked for is there.
fn answer(session: &mut Session, host: &mut dyn Host) {
    let (rtp, rtcp, from) = (server(), server(), server());
    let transport = Transport::Tcp;
    for number in 1..4 {
        let (id, flow) = (RequestId(number), Flow { transport, id: number });
        let port = MediaPort(number);
        for inbound in [
            Inbound::FlowOpened { id, flow, local: rtp, certificate: None },
            Inbound::MediaBound { id, port, rtp, rtcp },
            Inbound::Resolved {
                id,
                records: Records::Addresses(&[from.ip()]),
                ttl: Duration::ZERO,
            },
            Inbound::Stream { flow, from, bytes: b"SIP/2.0 200 OK\r\n\r\n" },
            Inbound::Media { port, channel: Channel::Rtp, from, bytes: &[0x80; 12] },
        ] {
            session.handle_inbound(host, inbound);
        }
    }
}
