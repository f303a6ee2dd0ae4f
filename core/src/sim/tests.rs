use core::net::{IpAddr, SocketAddr};
use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::host::{
    Channel, Endpoint, Flow, Host, Inbound, MediaPort, Outbound, Query, Records, RequestId,
    Transport,
};
use crate::time::{Duration, Instant};
use crate::trace::Kind;

const SECOND: Duration = Duration::from_secs(1);

/// Writes down what comes in, and wakes at the times it is given.
#[derive(Default)]
struct Probe {
    log: Vec<(Instant, String)>,
    deadlines: Vec<Instant>,
    flow: Option<Flow>,
    pair: Option<MediaPort>,
    /// Set while `handle_*` runs, to notice calls from within calls.
    running: bool,
}

impl Endpoint for Probe {
    fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        assert!(!self.running);
        self.running = true;
        let what = match inbound {
            Inbound::Datagram { bytes, .. } => String::from_utf8_lossy(bytes).into_owned(),
            Inbound::Media { channel, bytes, .. } => format!("{channel:?} {}", bytes.len()),
            Inbound::FlowOpened { flow, local, .. } => {
                self.flow = Some(flow);
                format!("opened {local}")
            }
            Inbound::MediaBound { port, rtp, rtcp, .. } => {
                self.pair = Some(port);
                format!("bound {rtp} {rtcp}")
            }
            Inbound::MediaUnavailable { .. } => "unavailable".to_owned(),
            Inbound::Resolved { records: Records::Addresses(addresses), .. } => {
                format!("resolved {addresses:?}")
            }
            Inbound::SendFailed { to, .. } => format!("failed {to}"),
            Inbound::FlowFailed { .. } => "no flow".to_owned(),
            other => format!("{other:?}"),
        };
        self.log.push((host.now(), what));
        self.running = false;
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        let now = host.now();
        self.deadlines.retain(|at| *at > now);
        self.log.push((now, "deadline".to_owned()));
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.iter().min().copied()
    }
}

impl Probe {
    fn said(&self) -> Vec<&str> {
        self.log.iter().map(|(_, what)| what.as_str()).collect()
    }
}

fn probe(sim: &mut Simulation, last: u8) -> NodeId<Probe> {
    let id = sim.add([10, 0, 0, last], Probe::default());
    let to = SocketAddr::from(([10, 0, 0, 99], 5060));
    let open = Outbound::OpenFlow { id: RequestId(1), transport: Transport::Udp, to, name: "" };
    sim.with(id, |_, host| host.send(open));
    sim.run_for(Duration::ZERO);
    assert_eq!(sim[id].said(), [format!("opened {}", id.address())]);
    sim[id].log.clear();
    id
}

fn send(sim: &mut Simulation, from: NodeId<Probe>, to: SocketAddr, text: &str) {
    let flow = sim[from].flow.unwrap();
    let bytes = text.as_bytes();
    sim.with(from, |_, host| host.send(Outbound::Datagram { flow, to, bytes }));
}

/// Sends `count` numbered packets, one a millisecond, and tells the numbers in the order in which
/// they came.
fn flood(seed: u64, link: Link, count: usize) -> (Vec<usize>, u64) {
    let mut sim = Simulation::new(seed);
    let (alice, bob) = (probe(&mut sim, 1), probe(&mut sim, 2));
    sim.link(alice, bob, link);
    for number in 0..count {
        send(&mut sim, alice, bob.address(), &number.to_string());
        sim.run_for(Duration::from_millis(1));
    }
    sim.run_for(SECOND);
    (sim[bob].said().iter().map(|text| text.parse().unwrap()).collect(), sim.trace_hash())
}

#[test]
fn a_run_follows_from_its_seed() {
    let link = Link { jitter: Duration::from_millis(5), ..Link::lossy(300) };
    assert_eq!(flood(7, link, 200), flood(7, link, 200));
    assert_ne!(flood(7, link, 200).0, flood(8, link, 200).0);
}

#[test]
fn the_hash_is_the_same_on_every_machine() {
    let mut sim = Simulation::new(1);
    let alice = sim.add([10, 0, 0, 1], ScriptedPeer::new());
    let v6: IpAddr = "2001:db8::1".parse().unwrap();
    let bob = sim.add(v6, ScriptedPeer::new());
    sim[alice].send(SocketAddr::from(([10, 0, 0, 2], 5060)), "hello");
    sim[bob].send("[2001:db8::2]:5060".parse().unwrap(), "hello");
    sim.run_for(SECOND);
    let before = sim.trace_hash();
    sim.note(&("answered", 200));
    assert_ne!(sim.trace_hash(), before);
    assert_eq!(sim.trace_hash(), 12_492_354_406_534_985_772);
}

#[test]
fn a_perfect_link_delivers_in_order_after_its_delay() {
    let mut sim = Simulation::new(1);
    let (alice, bob) = (probe(&mut sim, 1), probe(&mut sim, 2));
    sim.link(alice, bob, Link::slow(Duration::from_millis(40)));
    let sent = sim.now();
    send(&mut sim, alice, bob.address(), "one");
    send(&mut sim, alice, bob.address(), "two");
    sim.run_for(SECOND);
    assert_eq!(sim[bob].said(), ["one", "two"]);
    assert!(sim[bob].log.iter().all(|(at, _)| at.since(sent) == Duration::from_millis(40)));
}

#[test]
fn loss_comes_at_its_rate() {
    let lost = |permille| 10_000 - flood(3, Link::lossy(permille), 10_000).0.len();
    assert_eq!(lost(0), 0);
    assert!((420..580).contains(&lost(50)), "{}", lost(50));
    assert_eq!(lost(1000), 10_000);
}

#[test]
fn bursts_have_their_rate_and_length() {
    let burst = Burst { enter_permille: 10, leave_permille: 200, loss_permille: 1000 };
    let came = flood(4, Link { burst: Some(burst), ..Link::default() }, 20_000).0;
    let gaps: Vec<usize> =
        came.windows(2).map(|pair| pair[1] - pair[0] - 1).filter(|gap| *gap > 0).collect();
    let lost: usize = gaps.iter().sum();
    // In the bad state 10 / 210 of the time, for 5 packets on average.
    assert!((700..1200).contains(&lost), "{lost}");
    let mean_tenths = lost * 10 / gaps.len();
    assert!((40..60).contains(&mean_tenths), "{mean_tenths}");
}

#[test]
fn jitter_keeps_the_order_and_reordering_does_not() {
    let sorted = |numbers: &[usize]| numbers.is_sorted();
    let jitter = Link { jitter: Duration::from_millis(50), ..Link::default() };
    assert!(sorted(&flood(5, jitter, 500).0));
    let (came, _) = flood(5, Link { reorder_permille: 100, ..Link::default() }, 500);
    assert!(!sorted(&came) && came.len() == 500);
}

#[test]
fn duplicates_come_at_their_rate() {
    let (came, _) = flood(6, Link { duplicate_permille: 100, ..Link::default() }, 2_000);
    assert!((2_140..2_260).contains(&came.len()), "{}", came.len());
}

#[test]
fn a_partition_cuts_until_it_heals() {
    let mut sim = Simulation::new(1);
    sim.record_wire(10);
    let (alice, bob) = (probe(&mut sim, 1), probe(&mut sim, 2));
    sim.partition(alice, bob);
    send(&mut sim, alice, bob.address(), "one");
    send(&mut sim, bob, alice.address(), "two");
    sim.run_for(SECOND);
    sim.heal(bob, alice);
    send(&mut sim, alice, bob.address(), "three");
    sim.run_for(SECOND);
    assert_eq!((sim[alice].log.len(), sim[bob].said()), (0, vec!["three"]));
    assert_eq!(sim.wire().filter(|packet| packet.fate == Fate::Partitioned).count(), 2);
}

#[test]
fn one_direction_can_fail_alone() {
    let mut sim = Simulation::new(1);
    let (alice, bob) = (probe(&mut sim, 1), probe(&mut sim, 2));
    sim.set_default_link(Link::lossy(1000));
    sim.link_one_way(alice, bob, Link::default());
    send(&mut sim, alice, bob.address(), "there");
    send(&mut sim, bob, alice.address(), "back");
    sim.run_for(SECOND);
    assert_eq!((sim[alice].log.len(), sim[bob].log.len()), (0, 1));
}

#[test]
fn a_stalled_node_finds_its_input_afterwards() {
    let mut sim = Simulation::new(1);
    let (alice, bob) = (probe(&mut sim, 1), probe(&mut sim, 2));
    let start = sim.now();
    let half = start + Duration::from_millis(500);
    sim[bob].deadlines.push(start + Duration::from_millis(100));
    sim.stall(bob, Duration::from_millis(500));
    for _ in 0..1_000 {
        send(&mut sim, alice, bob.address(), "packet");
    }
    sim.run_for(Duration::from_millis(499));
    assert!(sim[bob].log.is_empty());
    sim.run_for(SECOND);
    // The socket's buffer was full after 365 packets of 6 bytes; the deadline ran late, once.
    assert_eq!(sim[bob].said().iter().filter(|what| **what == "packet").count(), 365);
    assert_eq!(sim[bob].said().last(), Some(&"deadline"));
    assert!(sim[bob].log.iter().all(|(at, _)| *at == half));
    send(&mut sim, alice, bob.address(), "after");
    sim.run_for(SECOND);
    assert_eq!(sim[bob].said().last(), Some(&"after"));
}

#[test]
fn deadlines_are_met_at_their_time() {
    let mut sim = Simulation::new(1);
    let bob = probe(&mut sim, 2);
    let start = sim.now();
    sim[bob].deadlines = vec![start + SECOND, start + Duration::from_millis(300)];
    sim.run_for(SECOND * 10);
    let at: Vec<u64> = sim[bob].log.iter().map(|(at, _)| at.since(start).as_millis()).collect();
    assert_eq!(at, [300, 1000]);
}

#[test]
fn a_clock_can_run_fast_or_slow() {
    for ppm in [-200_i32, 0, 137] {
        let mut sim = Simulation::new(1);
        let bob = probe(&mut sim, 2);
        sim.set_drift_ppm(bob, ppm);
        let start = sim.now();
        sim[bob].deadlines = (1..=100).map(|n| start + SECOND * n).collect();
        sim.run_for(SECOND * 99);
        let expected = 99 - usize::from(ppm < 0);
        assert_eq!(sim[bob].log.len(), expected, "{ppm} ppm");
        sim.run_for(SECOND * 2);
        assert_eq!(sim[bob].log.len(), 100);
    }
}

#[test]
fn a_killed_node_is_silent_and_its_host_may_say_so() {
    let mut sim = Simulation::new(1);
    let (alice, bob) = (probe(&mut sim, 1), probe(&mut sim, 2));
    sim.bind_media(bob, 10_000, 10_010).unwrap();
    sim.kill(bob);
    assert_eq!(sim.media_ports(bob), 0);
    send(&mut sim, alice, bob.address(), "one");
    sim.run_for(SECOND);
    assert!(sim[alice].log.is_empty());
    sim.set_unreachable_reports(true);
    send(&mut sim, alice, bob.address(), "two");
    // A host that is not there says nothing.
    send(&mut sim, alice, SocketAddr::from(([10, 0, 0, 77], 5060)), "three");
    sim.run_for(SECOND);
    assert_eq!(sim[alice].said(), [format!("failed {}", bob.address())]);
    assert!(sim[bob].log.is_empty());
    sim.restart(bob, Probe::default());
    send(&mut sim, alice, bob.address(), "four");
    sim.run_for(SECOND);
    assert_eq!(sim[bob].said(), ["four"]);
}

#[test]
fn a_node_that_has_moved_is_reached_once_it_has_bound_new_sockets() {
    let mut sim = Simulation::new(1);
    let (alice, bob) = (probe(&mut sim, 1), probe(&mut sim, 2));
    send(&mut sim, alice, bob.address(), "before");
    sim.run_for(SECOND);
    let pair = sim.bind_media(bob, 4_000, 4_001).unwrap();
    let moved = sim.move_node(bob, [10, 0, 0, 3]);
    assert_eq!(moved.address(), SocketAddr::from(([10, 0, 0, 3], 5060)));
    send(&mut sim, bob, alice.address(), "from nowhere");
    for to in [bob.address(), moved.address()] {
        send(&mut sim, alice, to, "too early");
    }
    sim.run_for(SECOND);
    sim.with(bob, |_, host| host.send(Outbound::Rebind));
    send(&mut sim, alice, bob.address(), "to the old place");
    send(&mut sim, alice, moved.address(), "after");
    send(&mut sim, bob, alice.address(), "here");
    sim.run_for(SECOND);
    assert_eq!(sim[bob].said(), ["before", "after"]);
    assert_eq!(sim[alice].said(), ["here"]);
    let packet = sim.bind_media(moved, 4_000, 4_001).unwrap();
    assert_eq!(packet.rtp.ip(), moved.ip(), "{pair:?} is dead");
}

#[test]
fn what_cannot_be_sent_is_reported() {
    let mut sim = Simulation::new(1);
    let alice = probe(&mut sim, 1);
    let bad = ["0.0.0.0:5060", "10.0.0.2:0", "[2001:db8::1]:5060"];
    for to in bad {
        send(&mut sim, alice, to.parse().unwrap(), "x");
    }
    send(&mut sim, alice, SocketAddr::from(([10, 0, 0, 2], 5060)), &"x".repeat(65_508));
    sim.run_for(Duration::ZERO);
    let said = [bad[0], bad[1], bad[2], "10.0.0.2:5060"].map(|to| format!("failed {to}"));
    assert_eq!(sim[alice].said(), said);
    let to = "[2001:db8::1]:5060".parse().unwrap();
    let open = Outbound::OpenFlow { id: RequestId(2), transport: Transport::Udp, to, name: "" };
    sim.with(alice, |_, host| host.send(open));
    sim.run_for(Duration::ZERO);
    assert_eq!(sim[alice].said().last(), Some(&"no flow"));
}

#[test]
fn media_ports_are_pairs_of_a_host_and_can_run_out() {
    let mut sim = Simulation::new(1);
    let (alice, bob) = (probe(&mut sim, 1), probe(&mut sim, 2));
    let neighbour = sim.add([10, 0, 0, 1], Probe::default());
    assert_eq!(neighbour.address().port(), 5061);
    let bind = Outbound::BindMedia { id: RequestId(1), toward: bob.ip(), low: 9_999, high: 10_004 };
    // Not delivered from within the request.
    sim.with(alice, |_, host| host.send(bind));
    assert!(sim[alice].log.is_empty());
    sim.with(neighbour, |_, host| host.send(bind));
    sim.with(alice, |_, host| host.send(bind));
    sim.run_for(Duration::ZERO);
    assert_eq!(sim[alice].said(), ["bound 10.0.0.1:10000 10.0.0.1:10001", "unavailable"]);
    assert_eq!(sim[neighbour].said(), ["bound 10.0.0.1:10002 10.0.0.1:10003"]);
    let pair = sim[neighbour].pair.unwrap();
    // Another's pair can be neither used nor released.
    let to = bob.address();
    sim.with(alice, |_, host| {
        host.send(Outbound::ReleaseMedia { port: pair });
        host.send(Outbound::Media { port: pair, channel: Channel::Rtp, to, bytes: &[0; 12] });
    });
    assert_eq!(sim.media_ports(neighbour), 1);
    sim.with(neighbour, |_, host| host.send(Outbound::ReleaseMedia { port: pair }));
    sim.with(alice, |_, host| host.send(bind));
    sim.run_for(SECOND);
    assert_eq!(sim[alice].said().last(), Some(&"bound 10.0.0.1:10002 10.0.0.1:10003"));
    assert!(sim[bob].log.is_empty());
}

#[test]
fn odd_ranges_hold_no_broken_pairs() {
    let mut sim = Simulation::new(1);
    let alice = probe(&mut sim, 1);
    assert_eq!(sim.bind_media(alice, 10_001, 10_002), None);
    assert_eq!(sim.bind_media(alice, 10_000, 10_000), None);
    assert_eq!(sim.bind_media(alice, 65_535, 65_535), None);
    assert_eq!(sim.bind_media(alice, 0, 0), None);
    assert_eq!(sim.bind_media(alice, 65_533, 65_535).unwrap().rtcp.port(), 65_535);
}

#[test]
fn media_reaches_the_right_socket() {
    let mut sim = Simulation::new(1);
    sim.record_wire(100);
    let (alice, bob) = (probe(&mut sim, 1), probe(&mut sim, 2));
    let a = sim.bind_media(alice, 10_000, 10_010).unwrap();
    let b = sim.bind_media(bob, 10_000, 10_010).unwrap();
    for (channel, to, length) in [(Channel::Rtp, b.rtp, 172), (Channel::Rtcp, b.rtcp, 28)] {
        let bytes = &vec![0x80; length][..];
        let media = Outbound::Media { port: a.port, channel, to, bytes };
        sim.with(alice, |_, host| host.send(media));
    }
    sim.run_for(SECOND);
    assert_eq!(sim[bob].said(), ["Rtp 172", "Rtcp 28"]);
    let kinds: Vec<Kind> = sim.wire().map(|packet| packet.kind).collect();
    assert_eq!(kinds, [Kind::Rtp, Kind::Rtcp]);
    assert!(sim.wire().all(|packet| packet.from.ip() == alice.ip()));
}

#[test]
fn names_resolve() {
    let mut sim = Simulation::new(1);
    let alice = probe(&mut sim, 1);
    sim.set_name("PBX.example.com", &[IpAddr::from([10, 0, 0, 9])]);
    for name in ["pbx.Example.com", "nowhere"] {
        sim.with(alice, |_, host| {
            host.send(Outbound::Resolve { id: RequestId(1), query: Query::Addresses(name) })
        });
    }
    sim.run_for(Duration::ZERO);
    assert_eq!(sim[alice].said(), ["resolved [10.0.0.9]", "resolved []"]);
    sim.set_name_delay(SECOND);
    sim.with(alice, |_, host| {
        host.send(Outbound::Resolve { id: RequestId(1), query: Query::Addresses("slow") })
    });
    sim.run_for(Duration::from_millis(999));
    assert_eq!(sim[alice].log.len(), 2);
    sim.run_for(Duration::from_millis(1));
    assert_eq!(sim[alice].log.len(), 3);
}

#[test]
fn the_wire_keeps_the_last_packets() {
    let mut sim = Simulation::new(1);
    let (alice, bob) = (probe(&mut sim, 1), probe(&mut sim, 2));
    send(&mut sim, alice, bob.address(), "unseen");
    sim.record_wire(2);
    for text in ["one", "two", "three"] {
        send(&mut sim, alice, bob.address(), text);
    }
    let kept: Vec<_> = sim.wire().map(|packet| packet.text().into_owned()).collect();
    assert_eq!(kept, ["two", "three"]);
}

#[test]
fn a_watcher_sees_every_packet_kept_or_not() {
    let mut sim = Simulation::new(1);
    let (alice, bob) = (probe(&mut sim, 1), probe(&mut sim, 2));
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&seen);
    sim.watch_wire(move |packet| log.borrow_mut().push(packet.text().into_owned()));
    for text in ["one", "two"] {
        send(&mut sim, alice, bob.address(), text);
    }
    assert_eq!(*seen.borrow(), ["one", "two"]);
    assert_eq!(sim.wire().len(), 0);
}

#[test]
fn an_application_acts_on_what_its_endpoint_heard() {
    let mut sim = Simulation::new(1);
    let alice = sim.add([10, 0, 0, 1], ScriptedPeer::new());
    let bob = sim.add([10, 0, 0, 2], ScriptedPeer::new());
    sim.set_application(bob, |peer, application| {
        for arrival in peer.take() {
            application.note(&arrival);
            peer.send(arrival.from, "echo");
        }
    });
    sim[alice].send(bob.address(), "hello");
    sim.run_until(|sim| sim[alice].count("echo") == 1, SECOND).unwrap();
}

#[test]
fn a_failure_names_the_seed() {
    let mut sim = Simulation::new(4711);
    let alice = sim.add([10, 0, 0, 1], ScriptedPeer::new());
    let start = sim.now();
    let failure = sim.run_until(|sim| sim[alice].count("x") == 1, SECOND).unwrap_err();
    assert!(failure.idle && failure.to_string().contains("seed 4711"), "{failure}");
    assert_eq!(sim.now(), start + SECOND);
}

#[test]
#[should_panic(expected = "seed 12")]
fn a_node_caught_in_a_loop_is_found_out() {
    struct Stuck;
    impl Endpoint for Stuck {
        fn handle_inbound(&mut self, _: &mut dyn Host, _: Inbound<'_>) {}
        fn handle_deadline(&mut self, _: &mut dyn Host) {}
        fn next_deadline(&self) -> Option<Instant> {
            Some(Instant::ZERO)
        }
    }
    let mut sim = Simulation::new(12);
    sim.add([10, 0, 0, 1], Stuck);
    sim.run_for(SECOND);
}

#[test]
fn a_scripted_peer_replies_by_the_book() {
    let mut sim = Simulation::new(1);
    let alice = sim.add([10, 0, 0, 1], ScriptedPeer::new());
    let bob = sim.add(
        [10, 0, 0, 2],
        ScriptedPeer::reacting(|peer, request| {
            peer.reply(request, "100 Trying", "");
            peer.reply(request, "200 OK", "Contact: <sip:bob@10.0.0.2>\n\nbody\n");
        }),
    );
    sim[alice].send(
        bob.address(),
        "OPTIONS sip:bob@10.0.0.2 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\n\
         From: <sip:alice@10.0.0.1>;tag=1\nTo: <sip:bob@10.0.0.2>\nCall-ID: 1\n\
         CSeq: 1 OPTIONS\nContent-Length: 0\n\n",
    );
    sim.run_until(|sim| sim[alice].count("200") == 1, SECOND).unwrap();
    let trying = sim[alice].last("100").unwrap();
    assert_eq!(trying.header("to").unwrap(), "<sip:bob@10.0.0.2>");
    let ok = sim[alice].last("200").unwrap();
    assert_eq!(ok.header("To").unwrap(), "<sip:bob@10.0.0.2>;tag=scripted");
    assert_eq!(ok.header("Via").unwrap(), "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1");
    assert_eq!(ok.header("Contact").unwrap(), "<sip:bob@10.0.0.2>");
    assert!(ok.text().ends_with("Content-Length: 6\r\n\r\nbody\r\n"), "{}", ok.text());
}
