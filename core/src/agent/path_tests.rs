//! How paths are looked for, with a host that answers what a test wants.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::paths::Path;
use super::seeking::{HOST_TIMEOUT, SearchResult};
use super::{Agent, Hop, Lost, Owner, Reach, TRANSACTION};
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::SipRequestId;
use crate::host::{
    Clock, Datagrams, Entropy, Flow, FlowFailure, Naptr, Outbound, Records, RequestId, Srv,
    Transport,
};
use crate::locate::Candidate;
use crate::time::{Duration, Instant, WallTime};

const LOCAL: &str = "10.0.0.1:5060";
const OWNER: Owner = Owner::OutOfDialog(SipRequestId(1));
const BAD: FlowFailure<'_> = FlowFailure::Untrusted("it is signed by nobody");
const GONE: FlowFailure<'_> = FlowFailure::Unreachable("connection refused");

/// A host that keeps what it is asked.
struct Asked {
    now: Instant,
    id: RequestId,
    /// The latest question.
    what: String,
    count: usize,
    closed: Vec<Flow>,
}

impl Clock for Asked {
    fn now(&self) -> Instant {
        self.now
    }
    fn wall(&self) -> WallTime {
        WallTime::default()
    }
}

impl Entropy for Asked {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

impl Datagrams for Asked {
    fn send(&mut self, outbound: Outbound<'_>) {
        (self.id, self.what) = match outbound {
            Outbound::OpenFlow { id, transport, to, .. } => (id, format!("{transport:?} {to}")),
            Outbound::Resolve { id, query } => (id, format!("{query:?}")),
            Outbound::CloseFlow { flow } => return self.closed.push(flow),
            _ => return,
        };
        self.count += 1;
    }
}

/// An agent and its host, which knows of one server, and of domains that have it by TLS and by UDP.
struct Bench {
    agent: Agent,
    host: Asked,
    hop: Hop,
    /// The path that was asked for, or why there is none, once that is known.
    outcome: Option<Result<Arc<Path>, Lost>>,
}

impl Bench {
    fn new(hop: Hop) -> Self {
        let agent = Agent::new(PhoneParameters::without_server("alice"));
        let (id, what) = (RequestId(0), String::new());
        let host = Asked { now: Instant::ZERO, id, what, count: 0, closed: Vec::new() };
        Self { agent, host, hop, outcome: None }
    }

    /// Asks, answers what DNS is asked, and says what flow is wanted then.
    fn ask(&mut self) -> &str {
        let hop = self.hop.clone();
        self.outcome = match self.agent.reach(&mut self.host, &hop, OWNER) {
            Reach::Open(path) => Some(Ok(path)),
            Reach::Later => None,
            Reach::Never(lost) => Some(Err(lost)),
        };
        self.look_up()
    }

    fn look_up(&mut self) -> &str {
        while self.outcome.is_none() && self.host.what.ends_with(')') {
            let naptr = |service: &str, replacement: &str| Naptr {
                order: 1,
                preference: 1,
                flags: "s".to_owned(),
                service: service.to_owned(),
                replacement: replacement.to_owned(),
            };
            let services = [
                naptr("SIPS+D2T", "_sips._tcp.even.example"),
                naptr("SIP+D2U", "_sip._udp.even.example"),
            ];
            let by_tls_alone = self.host.what.contains("tls.example");
            let services = &services[..if by_tls_alone { 1 } else { 2 }];
            let port = if self.host.what.contains("sips") { 5061 } else { 5060 };
            let servers = [Srv { priority: 1, weight: 1, port, target: "10.0.0.9".to_owned() }];
            let addresses = [IpAddr::from([10, 0, 0, 9])];
            let records = match self.host.what.split('(').next() {
                Some("Naptr") => Records::Naptr(services),
                Some("Srv") => Records::Srv(&servers),
                _ => Records::Addresses(&addresses),
            };
            let ttl = Duration::from_secs(3_600);
            let (id, count) = (self.host.id, self.host.count);
            let results = self.agent.handle_resolved(&mut self.host, id, records, ttl);
            self.outcome = results.map(|result| result.path);
            if self.host.count == count {
                break;
            }
        }
        &self.host.what
    }

    /// The flow that is wanted cannot be had: says which is wanted next.
    fn fail(&mut self, failure: FlowFailure<'_>) -> &str {
        let id = self.host.id;
        let mut results = self.agent.handle_flow_failed(&mut self.host, id, failure);
        self.outcome = results.pop().map(|result| result.path);
        self.look_up()
    }

    fn open(&mut self, transport: Transport, local: &str) -> Vec<Owner> {
        let (id, flow) = (self.host.id, Flow { transport, id: self.host.count as u64 });
        let local: SocketAddr = local.parse().unwrap();
        let mut results = self.agent.handle_flow_opened(&mut self.host, id, flow, local, None);
        let result = results.pop().expect("it was waited for");
        self.outcome = Some(result.path);
        result.waiters
    }

    fn is_untrusted(&self) -> bool {
        matches!(self.outcome, Some(Err(Lost::Because(Error::Untrusted { .. }))))
    }
}

fn tcp() -> Hop {
    Hop::new("pbx.example", Some(5060), Some(Transport::Tcp))
}

#[test]
fn a_refused_certificate_keeps_later_searches_private() {
    let mut bench = Bench::new(Hop::new("even.example", None, None));
    assert_eq!(bench.ask(), "Tls 10.0.0.9:5061");
    bench.fail(BAD);
    assert!(bench.is_untrusted(), "{:?}", bench.outcome);
    // It is not avoided: a new certificate is seen at once.
    bench.host.now += Duration::from_secs(10);
    assert_eq!(bench.ask(), "Tls 10.0.0.9:5061");
    // Nor does it help an attacker on the way to refuse the connection as well.
    bench.fail(GONE);
    assert!(matches!(bench.outcome, Some(Err(_))), "{:?}", bench.outcome);
    assert_eq!(bench.ask(), "Tls 10.0.0.9:5061");
    assert!(!bench.agent.leads_elsewhere(
        &bench.hop,
        &[Candidate { transport: Transport::Tls, to: "10.0.0.9:5061".parse().unwrap() }],
        bench.host.now
    ));
    // The host turns out to have no TLS: that is no way into the clear either.
    bench.fail(FlowFailure::Unsupported);
    assert!(matches!(bench.outcome, Some(Err(_))), "{:?}", bench.outcome);
    bench.host.now += Duration::from_secs(601);
    assert_eq!(bench.ask(), "Udp 10.0.0.9:5060", "but not for ever");
}

/// Two searches want TLS before either knows that the host has none.
#[test]
fn each_search_goes_on_without_what_the_host_does_not_have() {
    let mut bench = Bench::new(Hop::new("tls.example", None, None));
    assert_eq!(bench.ask(), "Tls 10.0.0.9:5061");
    let first = bench.host.id;
    bench.hop = Hop::new("other.tls.example", None, None);
    assert_eq!(bench.ask(), "Tls 10.0.0.9:5061");
    assert_eq!(bench.fail(FlowFailure::Unsupported), "Udp 10.0.0.9:5060");
    bench.host.id = first;
    // The flow by UDP is asked for already.
    assert_eq!(bench.fail(FlowFailure::Unsupported), "Srv(\"_sip._udp.tls.example\")");
    assert!(bench.outcome.is_none(), "{:?}", bench.outcome);
}

#[test]
fn a_good_certificate_ends_the_distrust() {
    let mut bench = Bench::new(Hop::new("even.example", None, None));
    bench.agent.parameters.tls_insecure = true;
    bench.ask();
    bench.fail(BAD);
    assert_eq!(bench.ask(), "Tls 10.0.0.9:5061");
    bench.open(Transport::Tls, LOCAL);
    let Some(Ok(path)) = bench.outcome.take() else { panic!("it is open") };
    bench.agent.connections.close(&mut bench.host, path.flow);
    bench.agent.forget_paths(path.flow);
    assert_eq!(bench.ask(), "Tls 10.0.0.9:5061");
    assert_eq!(bench.fail(GONE), "Udp 10.0.0.9:5060", "as the domain allows");
}

#[test]
fn a_connection_to_an_avoided_server_is_found_again() {
    let mut bench = Bench::new(tcp());
    assert_eq!(bench.ask(), "Tcp 10.0.0.9:5060");
    bench.open(Transport::Tcp, LOCAL);
    let Some(Ok(path)) = bench.outcome.take() else { panic!("it is open") };
    bench.agent.avoid(&path, None, bench.host.now);
    let count = bench.host.count;
    bench.ask();
    assert_eq!((&bench.outcome, bench.host.count), (&Some(Ok(Arc::clone(&path))), count));
    // Once it is over there is another.
    bench.agent.connections.close(&mut bench.host, path.flow);
    bench.agent.forget_paths(path.flow);
    bench.ask();
    assert_eq!((&bench.outcome, bench.host.count), (&None, count + 1));
}

#[test]
fn a_search_takes_no_longer_than_a_transaction() {
    let mut bench = Bench::new(Hop::new("even.example", None, None));
    bench.agent.reach(&mut bench.host, &bench.hop, OWNER);
    let mut asked = 0;
    while bench.outcome.is_none() {
        bench.host.now += HOST_TIMEOUT;
        asked += 1;
        // Each answer leads to another question.
        let names = (0..16).map(|n| Srv {
            priority: n,
            weight: 0,
            port: 5060,
            target: format!("n{asked}-{n}.example"),
        });
        let names: Vec<Srv> = names.collect();
        let records = match &*bench.host.what {
            what if what.starts_with("Srv") => Records::Srv(&names),
            _ => Records::Addresses(&[]),
        };
        let id = bench.host.id;
        let results =
            bench.agent.handle_resolved(&mut bench.host, id, records, Duration::from_secs(60));
        bench.outcome = results.map(|result| result.path);
    }
    let waited = bench.host.now.since(Instant::ZERO);
    assert!(waited < TRANSACTION + HOST_TIMEOUT, "{waited:?}");
    let Some(Err(Lost::Because(error))) = bench.outcome else { panic!("{:?}", bench.outcome) };
    assert!(error.to_string().contains("looking for it took too long"), "{error}");
    assert!(bench.agent.timers.is_empty());
}

#[test]
fn a_connection_that_is_of_no_use_is_closed() {
    let mut bench = Bench::new(tcp());
    bench.ask();
    bench.open(Transport::Tcp, "0.0.0.0:5060");
    let error = bench.outcome.take();
    assert!(matches!(error, Some(Err(Lost::Because(Error::Nat { .. })))), "{error:?}");
    assert_eq!((bench.host.closed.len(), bench.agent.connections.flows().len()), (1, 0));
}

#[test]
fn who_asks_twice_is_told_once() {
    let mut bench = Bench::new(tcp());
    bench.ask();
    bench.ask();
    assert_eq!(bench.open(Transport::Tcp, LOCAL), [OWNER]);
}

#[test]
fn two_searches_that_lead_to_the_same_server_wait_for_one_connection() {
    let mut bench = Bench::new(tcp());
    assert_eq!(bench.ask(), "Tcp 10.0.0.9:5060");
    let first = bench.host.id;
    // The same server, found by another way.
    bench.hop = Hop::new("pbx.example", None, Some(Transport::Tcp));
    assert!(!bench.ask().starts_with("Tcp"), "no second flow is asked for");
    let flow = Flow { transport: Transport::Tcp, id: 1 };
    let local = LOCAL.parse().unwrap();
    let results = bench.agent.handle_flow_opened(&mut bench.host, first, flow, local, None);
    let on_it = |result: &SearchResult| result.path.as_ref().is_ok_and(|path| path.flow == flow);
    assert_eq!((results.len(), results.iter().all(on_it)), (2, true));
    assert!(bench.agent.timers.is_empty());
}

#[test]
fn a_search_that_gives_up_leaves_the_opening_to_the_others() {
    let mut bench = Bench::new(tcp());
    bench.ask();
    let first = bench.host.id;
    bench.host.now += Duration::from_secs(5);
    bench.hop = Hop::new("pbx.example", None, Some(Transport::Tcp));
    bench.ask();
    bench.host.now += Duration::from_secs(5);
    let result = bench.agent.handle_host_timeout(&mut bench.host, first);
    assert!(matches!(result, Some(SearchResult { path: Err(_), .. })), "{result:?}");
    let flow = Flow { transport: Transport::Tcp, id: 1 };
    let local = LOCAL.parse().unwrap();
    let results = bench.agent.handle_flow_opened(&mut bench.host, first, flow, local, None);
    assert_eq!((results.len(), bench.host.closed.len()), (1, 0));
}
