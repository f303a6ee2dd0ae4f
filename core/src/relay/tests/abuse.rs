//! A client that keeps to no rule.

use core::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::nodes::{policy, verify};
use crate::host::{
    Channel, Clock, Datagrams, Entropy, Flow, Inbound, MediaPort, Outbound, Query, Records,
    RequestId, Transport,
};
use crate::relay::{Authenticate, Capsule, Grant, Key, Problem, Session, SessionEvent};
use crate::time::{Duration, Instant, WallTime};

const SECOND: Duration = Duration::from_secs(1);

/// A host that writes down what it is asked.
#[derive(Default)]
struct Notes {
    now: Instant,
    number: u8,
    asked: Vec<String>,
    requests: Vec<RequestId>,
}

impl Clock for Notes {
    fn now(&self) -> Instant {
        self.now
    }

    fn wall(&self) -> WallTime {
        WallTime::from_micros(self.now.as_micros())
    }
}

impl Entropy for Notes {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.number = self.number.wrapping_add(1);
        bytes.fill(self.number);
    }
}

impl Datagrams for Notes {
    fn send(&mut self, outbound: Outbound<'_>) {
        self.requests.extend(match outbound {
            Outbound::OpenFlow { id, .. }
            | Outbound::BindMedia { id, .. }
            | Outbound::Resolve { id, .. } => Some(id),
            _ => None,
        });
        self.asked.push(match outbound {
            Outbound::OpenFlow { to, name, .. } => format!("open {to} {name}"),
            Outbound::BindMedia { toward, .. } => format!("bind {toward}"),
            Outbound::Media { to, .. } => format!("media {to}"),
            Outbound::Datagram { bytes, .. } => format!("send {}", bytes.len()),
            Outbound::CloseFlow { .. } => "close".to_owned(),
            Outbound::ReleaseMedia { .. } => "release".to_owned(),
            Outbound::Resolve { query, .. } => format!("{query:?}"),
            Outbound::Rebind => "rebind".to_owned(),
        });
    }
}

struct Bench {
    host: Notes,
    session: Session,
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl Bench {
    fn new(token: &str) -> Self {
        Self::with(&verify(token).unwrap())
    }

    fn with(grant: &Grant) -> Self {
        let mut host = Notes { now: Instant::from_micros(1_000_000), ..Notes::default() };
        let mut session = Session::new(&mut host, Arc::new(policy()), grant);
        session.next_message().expect("READY");
        Self { host, session }
    }

    fn say(&mut self, capsule: &Capsule<'_>) {
        self.session.handle_message(&mut self.host, &capsule.to_bytes());
    }

    fn bring(&mut self, inbound: Inbound<'_>) {
        self.session.handle_inbound(&mut self.host, inbound);
    }

    fn said(&mut self) -> Vec<Bytes> {
        std::iter::from_fn(|| self.session.next_message()).collect()
    }

    fn refusals(&mut self) -> Vec<Problem> {
        let events = std::iter::from_fn(|| self.session.next_event());
        let problem = |event| match event {
            SessionEvent::Refused { problem, .. } => Some(problem),
            _ => None,
        };
        events.filter_map(problem).collect()
    }

    /// Opens a flow to Bob, and a pair of ports.
    fn open(&mut self) -> Flow {
        let (to, transport) = (address("10.0.0.2:5060"), Transport::Tcp);
        self.say(&Capsule::Open { flow: 1, transport, to, name: "10.0.0.2" });
        let id = *self.host.requests.last().unwrap();
        let flow = Flow { transport, id: 7 };
        let local = address("10.0.0.1:1");
        self.bring(Inbound::FlowOpened { id, flow, local, certificate: None });
        self.say(&Capsule::Bind { pair: 1, toward: to.ip() });
        let id = *self.host.requests.last().unwrap();
        let (port, rtp, rtcp) =
            (MediaPort(9), address("10.0.0.1:10000"), address("10.0.0.1:10001"));
        self.bring(Inbound::MediaBound { id, port, rtp, rtcp });
        self.said();
        flow
    }

    /// Bob describes where his media is.
    fn describe(&mut self, flow: Flow, ip: &str, port: u16) {
        let body =
            format!("v=0\r\no=- 1 1 IN IP4 h\r\nc=IN IP4 {ip}\r\nm=audio {port} RTP/AVP 0\r\n");
        let length = body.len();
        let message = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\
             Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let from = address("10.0.0.2:5060");
        self.bring(Inbound::Stream { flow, from, bytes: message.as_bytes() });
    }

    fn assign(&mut self, context: u64, peer: &str) {
        let (pair, channel) = (1, Channel::Rtp);
        self.say(&Capsule::Assign { context, pair, channel, peer: address(peer) });
    }
}

fn denial(said: &[Bytes]) -> Option<Problem> {
    said.iter().find_map(|bytes| match Capsule::message(bytes) {
        Ok(Capsule::Denied { problem, .. }) => Some(problem),
        _ => None,
    })
}

#[test]
fn media_goes_where_a_server_has_said_and_nowhere_else() {
    let mut bench = Bench::new("10.0.0.2");
    let flow = bench.open();
    bench.assign(0, "10.0.0.5:4000");
    bench.say(&Capsule::Datagram { context: 0, payload: &[0x80; 12] });
    assert_eq!(bench.refusals(), [Problem::PeerForbidden]);
    bench.describe(flow, "10.0.0.5", 4_000);
    bench.assign(2, "10.0.0.5:4000");
    bench.say(&Capsule::Datagram { context: 2, payload: &[0x80; 12] });
    // A scan: other ports of the same host, other hosts, another port of ours.
    for (context, peer) in (2..).map(|n| n * 2).zip([
        "10.0.0.5:4002",
        "10.0.0.6:4000",
        "127.0.0.1:4000",
        "[::ffff:127.0.0.1]:4000",
        "0.0.0.0:4000",
    ]) {
        bench.assign(context, peer);
        bench.say(&Capsule::Datagram { context, payload: &[0x80; 12] });
    }
    assert_eq!(bench.refusals().len(), 5);
    let media: Vec<_> = bench.host.asked.iter().filter(|it| it.starts_with("media")).collect();
    assert_eq!(media, ["media 10.0.0.5:4000"]);
}

#[test]
fn a_description_that_names_what_is_forbidden_opens_no_way_there() {
    let mut bench = Bench::new("10.0.0.2");
    let flow = bench.open();
    for (context, ip) in (0..).map(|n| n * 2).zip(["127.0.0.1", "169.254.169.254", "::ffff:7f00:1"])
    {
        bench.describe(flow, ip, 4_000);
        let peer = SocketAddr::new(ip.parse().unwrap(), 4_000).to_string();
        bench.assign(context, &peer);
    }
    assert_eq!(bench.refusals(), [Problem::AddressForbidden; 3]);
}

#[test]
fn a_source_nobody_described_is_heard_once_and_only_while_the_described_is_silent() {
    let mut bench = Bench::new("10.0.0.2");
    let flow = bench.open();
    let rtp = [0x80; 12];
    let (port, channel) = (MediaPort(9), Channel::Rtp);
    let come = |bench: &mut Bench, from: &str, bytes: &[u8]| {
        bench.bring(Inbound::Media { port, channel, from: address(from), bytes });
        bench.said().len()
    };
    assert_eq!(come(&mut bench, "10.0.0.7:1111", &rtp), 0, "nothing was described");
    bench.describe(flow, "10.0.0.5", 4_000);
    bench.said();
    assert_eq!(come(&mut bench, "10.0.0.7:1111", &rtp), 0, "we have not spoken");
    bench.assign(0, "10.0.0.5:4000");
    bench.say(&Capsule::Datagram { context: 0, payload: &rtp });
    assert_eq!(come(&mut bench, "10.0.0.7:1111", b"no RTP that is"), 0);
    assert_eq!(come(&mut bench, "10.0.0.7:1111", &rtp), 2, "ASSIGN and the packet");
    assert_eq!(come(&mut bench, "10.0.0.7:1111", &rtp), 1);
    assert_eq!(come(&mut bench, "10.0.0.8:1111", &rtp), 0, "one has been taken");
    assert_eq!(come(&mut bench, "10.0.0.5:4999", &rtp), 2, "another port of the described host");
    bench.assign(2, "10.0.0.7:1111");
    assert_eq!(bench.refusals(), [], "and may be answered");
    let mut late = Bench::new("10.0.0.2");
    let flow = late.open();
    late.describe(flow, "10.0.0.5", 4_000);
    late.assign(0, "10.0.0.5:4000");
    late.say(&Capsule::Datagram { context: 0, payload: &rtp });
    late.said();
    late.host.now += SECOND * 11;
    assert_eq!(come(&mut late, "10.0.0.7:1111", &rtp), 0);
}

#[test]
fn what_is_not_the_protocol_ends_the_session_and_gives_everything_back() {
    let too_long = [0x8f, 0xf4, 0x00, 0x44, 0x7f, 0xff].to_vec();
    for message in [
        Vec::new(),
        b"GET / HTTP/1.1".to_vec(),
        too_long,
        Capsule::Denied { problem: Problem::Limit, text: "" }.to_bytes(),
        Capsule::Acknowledge { received: 1_000 }.to_bytes(),
        Capsule::Bind { pair: 1, toward: address("10.0.0.2:1").ip() }.to_bytes(),
        Capsule::Assign { context: 1, pair: 1, channel: Channel::Rtp, peer: address("10.0.0.2:1") }
            .to_bytes(),
        Capsule::Data { flow: 1, bytes: &[0; 65_000] }.to_bytes(),
    ] {
        let mut bench = Bench::new("10.0.0.2");
        bench.open();
        bench.session.handle_message(&mut bench.host, &message);
        if let Ok(Capsule::Data { .. }) = Capsule::message(&message) {
            assert!(!bench.session.is_over(), "a window holds that");
            bench.session.handle_message(&mut bench.host, &message);
            bench.session.handle_message(&mut bench.host, &message);
            // The relay has passed on and credited all that it was sent.
            assert!(!bench.session.is_over());
            continue;
        }
        assert!(bench.session.is_over() && !bench.session.is_attached());
        assert_eq!(denial(&bench.said()), Some(Problem::Malformed));
        assert!(bench.host.asked.ends_with(&["release".to_owned(), "close".to_owned()]));
        assert_eq!(bench.session.held(), (0, 0));
    }
}

#[test]
fn ten_thousand_requests_are_refused_and_cost_nothing() {
    let mut bench = Bench::new("10.0.0.2");
    for flow in 1..=10_000 {
        let (transport, to) = (Transport::Tcp, address("10.0.0.2:5060"));
        bench.say(&Capsule::Open { flow, transport, to, name: "10.0.0.2" });
        bench.said();
        bench.say(&Capsule::Acknowledge { received: flow.saturating_sub(9) });
    }
    assert_eq!(bench.host.requests.len(), 8, "as many as the allowance has flows");
    assert!(bench.session.held() == (0, 8) && !bench.session.is_over());
    let mut bench = Bench::new("10.0.0.2");
    for pair in 1..=10_000 {
        bench.say(&Capsule::Bind { pair, toward: address("10.0.0.2:1").ip() });
        bench.said();
        bench.say(&Capsule::Acknowledge { received: pair.saturating_sub(17) });
    }
    assert_eq!(bench.session.held(), (16, 0));
    let problems = bench.refusals();
    assert!(problems.contains(&Problem::Limit) && problems.contains(&Problem::Rate));
}

#[test]
fn a_client_that_acknowledges_nothing_is_let_go() {
    let mut bench = Bench::new("10.0.0.2");
    let mut flow = 0;
    while !bench.session.is_over() {
        flow += 1;
        let (transport, to) = (Transport::Tcp, address("10.0.0.3:5060"));
        bench.say(&Capsule::Open { flow, transport, to, name: "x" });
        bench.said();
        assert!(flow < 100_000);
    }
    assert_eq!(bench.session.problem(), Some(Problem::Unacknowledged));
}

#[test]
fn a_server_is_not_read_further_than_the_client_reads() {
    let mut bench = Bench::new("10.0.0.2");
    let flow = bench.open();
    let from = address("10.0.0.2:5060");
    let mut sent = 0;
    for _ in 0..4 {
        bench.bring(Inbound::Stream { flow, from, bytes: &[b'x'; 30_000] });
        sent += bench.said().iter().map(Bytes::len).sum::<usize>();
    }
    assert!((65_536..66_000).contains(&sent), "{sent} bytes of one window");
    bench.say(&Capsule::Credit { flow: 1, bytes: 32_768 });
    let more: usize = bench.said().iter().map(Bytes::len).sum();
    assert!((32_768..33_000).contains(&more), "{more}");
    for _ in 0..20 {
        bench.bring(Inbound::Stream { flow, from, bytes: &[b'x'; 30_000] });
    }
    assert_eq!(bench.refusals(), [Problem::Overrun]);
    assert_eq!(bench.session.held().1, 0);
    assert!(bench.host.asked.contains(&"close".to_owned()));
}

#[test]
fn media_above_the_allowance_is_not_sent() {
    let mut grant = verify("10.0.0.2").unwrap();
    grant.allowance.packets = 100;
    let mut bench = Bench::with(&grant);
    let flow = bench.open();
    bench.describe(flow, "10.0.0.5", 4_000);
    bench.assign(0, "10.0.0.5:4000");
    for _ in 0..1_000 {
        bench.say(&Capsule::Datagram { context: 0, payload: &[0x80; 172] });
    }
    let counters = bench.session.counters();
    assert_eq!((counters.packets_up, counters.limited), (200, 800), "two seconds' worth at once");
    bench.host.now += SECOND;
    for _ in 0..1_000 {
        bench.say(&Capsule::Datagram { context: 0, payload: &[0x80; 172] });
    }
    assert_eq!(bench.session.counters().packets_up, 300);
}

#[test]
fn names_are_looked_up_for_servers_alone() {
    let mut bench = Bench::new("pbx.test");
    bench.say(&Capsule::Resolve { lookup: 1, query: Query::Addresses("metadata.internal") });
    assert_eq!(bench.refusals(), [Problem::ServerForbidden]);
    bench.say(&Capsule::Resolve { lookup: 2, query: Query::Addresses("pbx.test") });
    let id = *bench.host.requests.last().unwrap();
    // DNS rebinding: the name of a server that leads inside.
    let found = ["127.0.0.1".parse().unwrap(), "9.9.9.9".parse().unwrap()];
    bench.bring(Inbound::Resolved { id, records: Records::Addresses(&found), ttl: SECOND });
    let (transport, name) = (Transport::Tls, "pbx.test");
    for (flow, to) in [(1, "127.0.0.1:5061"), (2, "9.9.9.9:25"), (3, "9.9.9.9:5061")] {
        bench.say(&Capsule::Open { flow, transport, to: address(to), name });
    }
    assert_eq!(bench.refusals(), [Problem::ServerForbidden; 2]);
    assert_eq!(bench.host.asked.last().unwrap(), "open 9.9.9.9:5061 pbx.test");
}

#[test]
fn a_session_is_taken_up_by_its_own_client_alone() {
    let mut bench = Bench::new("10.0.0.2");
    let grant = verify("10.0.0.2").unwrap();
    // The host's random bytes are counted: the session's name, and the secret of its first connection.
    let key = |id, secret| Key { id: [id; 16], secret: [secret; 16] };
    let greet = |bench: &mut Bench, grant: &Grant, key| {
        let first = Authenticate { version: 1, token: "", resume: Some(key), received: 0 };
        bench.session.resume(&mut bench.host, grant, &first)
    };
    let unknown = Err(Problem::SessionUnknown);
    assert_eq!(greet(&mut bench, &grant, key(1, 9)), unknown, "a guess");
    let mallory = Grant { subject: "mallory".into(), ..grant.clone() };
    assert_eq!(greet(&mut bench, &mallory, key(1, 2)), unknown, "a stolen secret");
    assert!(bench.session.is_attached(), "the client has noticed nothing");
    assert_eq!(greet(&mut bench, &grant, key(1, 2)), Ok(()));
    // READY may have been lost with the connection: then the client has the secret of before, however often.
    assert_eq!(greet(&mut bench, &grant, key(1, 2)), Ok(()));
    assert_eq!(greet(&mut bench, &grant, key(1, 2)), Ok(()));
    bench.say(&Capsule::Pong { received: 0 });
    assert_eq!(greet(&mut bench, &grant, key(1, 2)), unknown, "replayed");
    assert_eq!(greet(&mut bench, &grant, key(1, 4)), unknown, "never used");
    assert_eq!(greet(&mut bench, &grant, key(1, 5)), Ok(()));
}

#[test]
fn a_token_ends_and_a_new_one_goes_on() {
    let mut grant = verify("10.0.0.2").unwrap();
    grant.expires = WallTime::from_micros(601_000_000);
    let mut bench = Bench::with(&grant);
    bench.host.now += SECOND * 599;
    bench.say(&Capsule::Token { token: "next" });
    assert_eq!(bench.session.next_event(), Some(SessionEvent::Token("next".into())));
    grant.expires = WallTime::from_micros(1_200_000_000);
    grant.servers = vec!["10.0.0.3".parse().unwrap()];
    bench.session.renew(&mut bench.host, &grant);
    bench.host.now += SECOND * 300;
    bench.say(&Capsule::Pong { received: 0 });
    bench.session.handle_deadline(&mut bench.host);
    assert!(!bench.session.is_over());
    let (transport, to) = (Transport::Tcp, address("10.0.0.2:5060"));
    bench.say(&Capsule::Open { flow: 1, transport, to, name: "x" });
    assert_eq!(bench.refusals(), [Problem::ServerForbidden], "the new token has other servers");
    bench.session.refuse_token(Problem::TokenInvalid);
    bench.host.now += SECOND * 301;
    bench.session.handle_deadline(&mut bench.host);
    assert_eq!(denial(&bench.said()), Some(Problem::TokenExpired));
}
