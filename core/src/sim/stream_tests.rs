//! Connections in the simulation.

use core::net::SocketAddr;

use super::*;
use crate::certificate::Identities;
use crate::host::{Endpoint, Host, Inbound, Outbound, RequestId, Transport};
use crate::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);
const OPTIONS: &str = "OPTIONS sip:b@h SIP/2.0\nContent-Length: 3\n\nabc";

/// Writes down what the host tells of connections.
#[derive(Default)]
struct Probe {
    said: Vec<String>,
    pieces: usize,
}

impl Endpoint for Probe {
    fn handle_inbound(&mut self, _: &mut dyn Host, inbound: Inbound<'_>) {
        self.said.push(match inbound {
            Inbound::FlowOpened { local, certificate, .. } => {
                let names = certificate.map(|c| format!("{:?} {:?}", c.dns_names, c.addresses));
                format!("opened {local} {}", names.unwrap_or_default())
            }
            Inbound::FlowAccepted { from, local, .. } => format!("accepted {} {local}", from.ip()),
            Inbound::FlowFailed { failure, .. } => format!("{failure:?}"),
            Inbound::FlowClosed { .. } => "closed".to_owned(),
            Inbound::Stream { .. } | Inbound::Datagram { .. } => return self.pieces += 1,
            _ => return,
        });
    }

    fn handle_deadline(&mut self, _: &mut dyn Host) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

fn open(sim: &mut Simulation, from: NodeId<Probe>, transport: Transport, to: SocketAddr) {
    let id = RequestId(1);
    sim.with(from, |_, host| host.send(Outbound::OpenFlow { id, transport, to, name: "b" }));
}

fn peers(sim: &mut Simulation) -> (NodeId<ScriptedPeer>, NodeId<ScriptedPeer>) {
    let reply = |peer: &mut ScriptedPeer, request: &Arrival| peer.reply(request, "200 OK", "");
    let alice = sim.add([10, 0, 0, 1], ScriptedPeer::new());
    let bob = sim.add([10, 0, 0, 2], ScriptedPeer::reacting(reply));
    (alice, bob)
}

#[test]
fn messages_cross_connections_of_every_kind_however_they_are_cut() {
    for transport in [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss] {
        for pieces in [Pieces::Seeded, Pieces::Bytes, Pieces::Glued] {
            let mut sim = Simulation::new(3);
            sim.set_pieces(pieces);
            sim.set_default_link(Link { jitter: SECOND, loss_permille: 300, ..Link::default() });
            let (alice, bob) = peers(&mut sim);
            for number in 0..20 {
                let text = OPTIONS.replace("abc", &format!("{number:03}"));
                sim[alice].send_by(transport, bob.address(), &text);
            }
            sim.run_until(|sim| sim[alice].count("200") == 20, SECOND * 100).unwrap();
            let bodies: Vec<String> =
                sim[bob].received().iter().map(|it| it.text()[45..].to_owned()).collect();
            assert!(bodies.is_sorted() && bodies.len() == 20, "{bodies:?}");
            assert_eq!((sim.connections(alice), sim.connections(bob)), (1, 1));
        }
    }
}

#[test]
fn a_run_repeats() {
    let hash = |seed| {
        let mut sim = Simulation::new(seed);
        sim.set_default_link(Link { jitter: SECOND, loss_permille: 300, ..Link::default() });
        let (alice, bob) = peers(&mut sim);
        sim[alice].send_by(Transport::Tcp, bob.address(), OPTIONS);
        sim.run_for(SECOND * 60);
        sim.trace_hash()
    };
    assert_eq!((hash(1), hash(2)), (hash(1), hash(2)));
    assert_ne!(hash(1), hash(2));
}

#[test]
fn who_is_there_is_told_and_who_is_not() {
    let mut sim = Simulation::new(1);
    sim.set_name("bob.example", &[[10, 0, 0, 2].into()]);
    let alice = sim.add([10, 0, 0, 1], Probe::default());
    let bob = sim.add([10, 0, 0, 2], Probe::default());
    let told = |sim: &mut Simulation, transport, to: SocketAddr| {
        open(sim, alice, transport, to);
        sim.run_for(SECOND * 6);
        core::mem::take(&mut sim[alice].said).join(" ")
    };
    assert_eq!(told(&mut sim, Transport::Tcp, bob.address()), "opened 10.0.0.1:5060 ");
    assert_eq!(sim[bob].said, ["accepted 10.0.0.1 10.0.0.2:5060"]);
    let tls = told(&mut sim, Transport::Tls, bob.address());
    assert_eq!(tls, "opened 10.0.0.1:5060 [\"bob.example\"] [10.0.0.2]");
    sim.set_certificate(bob, Identities { dns_names: vec!["x".into()], ..Identities::default() });
    assert!(told(&mut sim, Transport::Wss, bob.address()).ends_with("[\"x\"] []"));
    sim.set_untrusted(bob, Some("it is old"));
    let refused = told(&mut sim, Transport::Tls, bob.address());
    assert_eq!(refused, "Untrusted(\"it is old\")");
    sim.set_listening(bob, Transport::Tcp, false);
    let refused = told(&mut sim, Transport::Tcp, bob.address());
    assert_eq!(refused, "Unreachable(\"connection refused\")");
    let nobody = told(&mut sim, Transport::Tcp, "10.0.0.9:5060".parse().unwrap());
    assert_eq!(nobody, "Unreachable(\"it did not answer within 5 s\")");
    sim.partition(alice, bob);
    assert_eq!(told(&mut sim, Transport::Ws, bob.address()), nobody);
}

#[test]
fn connections_end() {
    let ended = |end: fn(&mut Simulation, NodeId<Probe>, NodeId<Probe>)| {
        let mut sim = Simulation::new(1);
        let alice = sim.add([10, 0, 0, 1], Probe::default());
        let bob = sim.add([10, 0, 0, 2], Probe::default());
        open(&mut sim, alice, Transport::Tcp, bob.address());
        sim.run_for(SECOND);
        sim[alice].said.clear();
        sim[bob].said.clear();
        end(&mut sim, alice, bob);
        sim.run_for(SECOND);
        (sim[alice].said.len(), sim[bob].said.len(), sim.connections(alice), sim.connections(bob))
    };
    assert_eq!(ended(|sim, alice, bob| sim.cut(alice, bob)), (1, 1, 0, 0));
    assert_eq!(ended(|sim, alice, bob| sim.half_open(alice, bob)), (1, 0, 0, 1));
    assert_eq!(ended(|sim, _, bob| sim.kill(bob)), (1, 0, 0, 0));
    assert_eq!(ended(|sim, _, bob| sim.restart(bob, Probe::default())), (1, 0, 0, 0));
    let rebind = |sim: &mut Simulation, alice, _| {
        sim.with(alice, |_: &mut Probe, host| host.send(Outbound::Rebind));
    };
    assert_eq!(ended(rebind), (1, 1, 0, 0));
}

#[test]
fn a_partition_stalls_a_connection_and_then_ends_it() {
    for heals in [true, false] {
        let mut sim = Simulation::new(1);
        let (alice, bob) = peers(&mut sim);
        sim[alice].send_by(Transport::Tcp, bob.address(), OPTIONS);
        sim.run_for(SECOND);
        sim.partition(alice, bob);
        sim[alice].send_by(Transport::Tcp, bob.address(), OPTIONS);
        sim.run_for(SECOND * 29);
        assert_eq!((sim[bob].received().len(), sim.connections(alice)), (1, 1));
        if heals {
            sim.heal(alice, bob);
        }
        sim.run_for(SECOND * 2);
        let came = sim[bob].received().len();
        assert_eq!((came, sim.connections(alice)), if heals { (2, 1) } else { (1, 0) });
        assert_eq!(sim.connections(bob), 1, "it has not noticed");
    }
}

#[test]
fn what_is_sent_into_the_void_ends_the_connection() {
    let mut sim = Simulation::new(1);
    let (alice, bob) = peers(&mut sim);
    sim[alice].send_by(Transport::Tcp, bob.address(), OPTIONS);
    sim.run_for(SECOND);
    sim.half_open(bob, alice);
    sim[alice].send_by(Transport::Tcp, bob.address(), OPTIONS);
    sim.run_for(SECOND * 20);
    assert_eq!((sim.connections(alice), sim.connections(bob)), (1, 0));
    sim.run_for(SECOND * 20);
    assert_eq!((sim.connections(alice), sim[bob].received().len()), (0, 1));
}

#[test]
fn glue_and_scissors() {
    let pieces = |how, sends: usize| {
        let mut sim = Simulation::new(1);
        sim.set_pieces(how);
        let alice = sim.add([10, 0, 0, 1], ScriptedPeer::new());
        let bob = sim.add([10, 0, 0, 2], Probe::default());
        for _ in 0..sends {
            sim[alice].send_by(Transport::Tcp, bob.address(), OPTIONS);
        }
        sim.run_for(SECOND);
        sim[bob].pieces
    };
    assert_eq!((pieces(Pieces::Bytes, 1), pieces(Pieces::Glued, 9)), (OPTIONS.len() + 3, 1));
    assert!((9..30).contains(&pieces(Pieces::Seeded, 9)));
}
