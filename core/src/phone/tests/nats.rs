//! Behind a NAT: what the server is told of us (RFC 3581).

use core::net::{IpAddr, SocketAddr};

use super::scene::{ALICE, Actor, PEER, Scene};
use crate::config::PhoneParameters;
use crate::event::{Event, PhoneEvent, PhoneStatus};
use crate::exchange::{Exchange, ExchangeParameters};
use crate::host::Transport;
use crate::nat::stun::binding_request;
use crate::nat::{KeepAlive, TransactionId, answer_binding, is_stun};
use crate::sim::{Nat, NodeId, ScriptedPeer, WirePacket};
use crate::time::Duration;

const PUBLIC: [u8; 4] = [203, 0, 113, 7];

fn parameters() -> PhoneParameters {
    PhoneParameters::new("10.0.0.9", "alice").password("secret")
}

/// Alice behind a NAT, at an exchange, started.
fn behind(nat: Nat, parameters: PhoneParameters) -> (Scene, Actor, NodeId<Exchange>) {
    let mut scene = Scene::new();
    let exchange = ExchangeParameters::new(SocketAddr::from((PEER, 5060))).user("alice", "secret");
    let exchange = scene.sim.add(PEER, Exchange::new(exchange));
    scene.sim.set_nat(&[ALICE.into()], nat);
    let alice = scene.phone(ALICE, parameters);
    scene.start(&alice);
    scene.run(Duration::from_millis(50));
    (scene, alice, exchange)
}

fn contacts(scene: &Scene, exchange: NodeId<Exchange>) -> Vec<String> {
    scene.sim[exchange].contacts("alice").unwrap()
}

/// The values of Contact in the REGISTER requests so far.
fn registered(scene: &Scene) -> Vec<String> {
    let requests = scene.sim.wire().map(|packet| packet.text().into_owned());
    let contacts = |text: String| {
        let lines = text.lines().filter_map(|line| line.strip_prefix("Contact: "));
        lines.collect::<Vec<_>>().join(", ")
    };
    requests.filter(|text| text.starts_with("REGISTER")).map(contacts).collect()
}

#[test]
fn the_first_challenge_tells_where_we_are() {
    let (scene, _, exchange) = behind(Nat::symmetric(PUBLIC), parameters());
    assert_eq!(contacts(&scene, exchange), ["sip:alice@203.0.113.7:40000"]);
    let expected = ["<sip:alice@10.0.0.1:5060>", "<sip:alice@203.0.113.7:40000>"];
    assert_eq!(registered(&scene), expected);
}

#[test]
fn what_is_not_to_be_learned_is_not() {
    let (scene, _, exchange) = behind(Nat::full_cone(PUBLIC), parameters().learn_address(false));
    assert_eq!(contacts(&scene, exchange), ["sip:alice@10.0.0.1:5060"]);
    let (scene, _, exchange) =
        behind(Nat::full_cone(PUBLIC), parameters().hostname("198.51.100.7"));
    assert_eq!(contacts(&scene, exchange), ["sip:alice@198.51.100.7:5060"]);
}

#[test]
fn a_nat_that_moves_is_followed_and_the_old_binding_taken_back() {
    let (mut scene, alice, exchange) = behind(Nat::full_cone(PUBLIC), parameters());
    assert_eq!(contacts(&scene, exchange), ["sip:alice@203.0.113.7:5060"]);
    let other = [203, 0, 113, 8];
    scene.sim.set_nat(&[ALICE.into()], Nat::full_cone(other));
    scene.run(Duration::from_secs(61));
    assert_eq!(contacts(&scene, exchange), ["sip:alice@203.0.113.8:5060"]);
    let last = registered(&scene).pop().unwrap();
    assert_eq!(last, "<sip:alice@203.0.113.8:5060>, <sip:alice@203.0.113.7:5060>;expires=0");
    let failed =
        |event: &Event| matches!(event, Event::Phone(PhoneEvent::RegistrationFailed { .. }));
    assert!(!alice.events().iter().any(failed));
    // What the server holds is what is taken back in the end.
    scene.tell(&alice, |phone| phone.stop());
    scene.run(Duration::from_secs(1));
    assert!(contacts(&scene, exchange).is_empty());
}

/// A registrar without passwords that sees everybody where `seen` says.
fn seeing(mut seen: impl FnMut() -> String + 'static) -> (Scene, Actor, NodeId<ScriptedPeer>) {
    let mut scene = Scene::new();
    let server = scene.peer(PEER, move |peer, arrival| {
        let contact = arrival.header("Contact").unwrap_or_default();
        let more = format!("Contact: {contact};expires=120");
        let mut seen_there = arrival.clone();
        let text = arrival.text().replacen(";rport", &seen(), 1);
        seen_there.bytes = text.into_bytes();
        peer.reply(&seen_there, "200 OK", &more);
    });
    let alice = scene.phone(ALICE, parameters());
    scene.start(&alice);
    (scene, alice, server)
}

#[test]
fn a_registrar_that_asks_for_nothing_is_told_at_once() {
    let (mut scene, _, _) = seeing(|| ";received=203.0.113.7;rport=40000".to_owned());
    scene.run(Duration::from_secs(50));
    let both = "<sip:alice@203.0.113.7:40000>, <sip:alice@10.0.0.1:5060>;expires=0";
    assert_eq!(registered(&scene), ["<sip:alice@10.0.0.1:5060>", both]);
}

#[test]
fn one_that_sees_us_elsewhere_each_time_is_not_followed_for_ever() {
    let mut port = 40_000;
    let (mut scene, _, _) = seeing(move || {
        port += 1;
        format!(";received=203.0.113.7;rport={port}")
    });
    scene.run(Duration::from_secs(600));
    let requests = registered(&scene).len();
    assert!((10..=25).contains(&requests), "{requests} in ten minutes");
}

#[test]
fn a_callee_that_forges_our_via_is_not_believed() {
    for status in ["183 Session Progress", "200 OK", "486 Busy Here"] {
        let mut scene = Scene::new();
        scene.peer(PEER, move |peer, arrival| {
            let more =
                format!("Contact: {};expires=120", arrival.header("Contact").unwrap_or_default());
            let mut forged = arrival.clone();
            // What the server sees, and what bob makes of it.
            let (status, seen) = match arrival.first_line().split(' ').next() {
                Some("REGISTER") => ("200 OK", ";received=203.0.113.7;rport=40000"),
                Some("ACK") => return,
                _ => (status, ";received=203.0.113.66;rport=5060"),
            };
            forged.bytes = arrival.text().replacen(";rport", seen, 1).into_bytes();
            peer.reply(&forged, status, &more);
        });
        let alice = scene.phone(ALICE, parameters());
        scene.start(&alice);
        scene.run(Duration::from_secs(1));
        for _ in 0..2 {
            scene.call(&alice, "sip:bob@10.0.0.9");
            scene.run(Duration::from_secs(31));
        }
        scene.tell(&alice, |phone| phone.options("sip:bob@10.0.0.9")).unwrap();
        scene.run(Duration::from_secs(31));
        assert!(registered(&scene).len() > 2);
        for packet in scene.sim.wire().filter(|packet| packet.from.ip() == IpAddr::from(ALICE)) {
            assert!(!packet.text().contains("203.0.113.66"), "{status}: {}", packet.text());
        }
        assert_eq!(told(&scene, "INVITE", "Contact"), "Contact: <sip:alice@203.0.113.7:40000>");
        assert_eq!(told(&scene, "INVITE", "c="), "c=IN IP4 203.0.113.7");
    }
}

/// Registers for an hour at a time, and an hour later is sent something by the exchange's socket.
fn reached_after_an_hour(keep_alive: KeepAlive, nat: Nat) -> (Scene, bool) {
    let long = parameters().expires(Duration::from_secs(7_200)).keep_alive(keep_alive);
    let (mut scene, alice, exchange) = behind(nat, long);
    scene.run(Duration::from_secs(3_600));
    let before = scene.tell(&alice, |phone| phone.counters().received);
    let contact = contacts(&scene, exchange).pop().unwrap();
    let to = contact.strip_prefix("sip:alice@").unwrap().parse().unwrap();
    // As a proxy at the exchange's address would: it is not there any more.
    let bytes = b"OPTIONS sip:alice SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1\r\n\
        From: <sip:x@y>;tag=1\r\nTo: <sip:alice@y>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";
    scene.sim.kill(exchange);
    let peer = ScriptedPeer::new();
    let socket = scene.sim.add_at((PEER, 5060), peer);
    scene.sim[socket].send_bytes(to, bytes.to_vec());
    scene.run(Duration::from_secs(1));
    let reached = scene.tell(&alice, |phone| phone.counters().received) > before;
    (scene, reached)
}

/// The keep-alives that were sent to the server, and how far apart.
fn signs(scene: &Scene, is_sign: impl Fn(&WirePacket) -> bool) -> (usize, u64, u64) {
    let sent =
        scene.sim.wire().filter(|packet| packet.to.ip() == IpAddr::from(PEER) && is_sign(packet));
    let at: Vec<_> = sent.map(|packet| packet.sent).collect();
    let apart = || at.windows(2).map(|pair| pair[1].since(pair[0]).as_millis());
    (at.len(), apart().min().unwrap_or(0), apart().max().unwrap_or(0))
}

#[test]
fn a_mapping_is_kept_or_lost() {
    let nat = Nat::port_restricted(PUBLIC);
    let (scene, reached) = reached_after_an_hour(KeepAlive::Auto, nat);
    assert!(reached);
    let (count, least, most) = signs(&scene, |packet| *packet.bytes == *b"\r\n\r\n");
    assert!((144..=181).contains(&count), "{count}");
    // RFC 5626 §4.4.1: up to a fifth less.
    assert!((20_000..=25_000).contains(&least) && most <= 25_000 && most - least > 2_000);
    assert!(!reached_after_an_hour(KeepAlive::Off, nat).1, "so it matters");
    let (scene, reached) = reached_after_an_hour(KeepAlive::Stun, nat);
    assert!(reached);
    assert!((144..=181).contains(&signs(&scene, |packet| is_stun(&packet.bytes)).0));
    let (scene, reached) = reached_after_an_hour(KeepAlive::Options, nat);
    assert!(reached);
    let options = |packet: &WirePacket| packet.text().starts_with("OPTIONS");
    assert!((144..=181).contains(&signs(&scene, options).0));
}

#[test]
fn without_a_nat_nothing_is_sent_for_nothing() {
    let (mut scene, _, _) = {
        let mut scene = Scene::new();
        let exchange =
            ExchangeParameters::new(SocketAddr::from((PEER, 5060))).user("alice", "secret");
        let exchange = scene.sim.add(PEER, Exchange::new(exchange));
        let alice = scene.phone(ALICE, parameters());
        scene.start(&alice);
        (scene, alice, exchange)
    };
    scene.run(Duration::from_secs(600));
    assert_eq!(signs(&scene, |packet| packet.bytes.starts_with(b"\r\n")).0, 0);
}

#[test]
fn stun_notices_at_once_that_the_nat_has_moved() {
    let long = parameters().expires(Duration::from_secs(7_200)).keep_alive(KeepAlive::Stun);
    let (mut scene, _, exchange) = behind(Nat::symmetric(PUBLIC), long);
    scene.sim.set_nat(&[ALICE.into()], Nat::symmetric([203, 0, 113, 8]));
    scene.run(Duration::from_secs(26));
    assert_eq!(contacts(&scene, exchange), ["sip:alice@203.0.113.8:40000"]);
}

#[test]
fn a_server_that_gives_no_sign_of_life_is_registered_at_anew() {
    for (keep_alive, within) in [(KeepAlive::Stun, 25 + 40), (KeepAlive::Options, 25 + 33)] {
        let long = parameters().expires(Duration::from_secs(7_200)).keep_alive(keep_alive);
        let (mut scene, alice, exchange) = behind(Nat::full_cone(PUBLIC), long);
        scene.sim.partition(alice.id, exchange);
        scene.run(Duration::from_secs(within));
        assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registering, "{keep_alive:?}");
        scene.sim.heal(alice.id, exchange);
        scene.run(Duration::from_secs(40));
        assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered, "{keep_alive:?}");
    }
}

#[test]
fn a_phone_is_no_stun_server() {
    let (mut scene, alice, _) = behind(Nat::full_cone(PUBLIC), parameters());
    let asker = scene.sim.add([198, 51, 100, 9], ScriptedPeer::new());
    let id = scene.sim.with(asker, |_, host| TransactionId::new(host));
    scene.sim[asker].send_bytes((PUBLIC, 5060).into(), binding_request(id));
    scene.run(Duration::from_secs(1));
    assert!(scene.sim[asker].received().is_empty());
    assert_eq!(scene.tell(&alice, |phone| phone.counters().stray), 1);
}

/// Where the STUN server is, and another phone that knows nothing of NATs.
const STUN: [u8; 4] = [198, 51, 100, 9];
const OUTSIDE: [u8; 4] = [198, 51, 100, 20];

fn asking() -> PhoneParameters {
    PhoneParameters::without_server("alice").stun("stun.example.com")
}

/// Alice behind a NAT with a STUN server, which nobody needs to register at; and bob outside.
fn mapped(nat: Nat, parameters: PhoneParameters, answers: bool) -> (Scene, Actor, Actor) {
    let mut scene = Scene::new();
    scene.sim.set_name("stun.example.com", &[STUN.into()]);
    if answers {
        let server = ExchangeParameters::new(SocketAddr::from((STUN, 3478)));
        scene.sim.add_at((STUN, 3478), Exchange::new(server));
    }
    scene.sim.set_nat(&[ALICE.into()], nat);
    let alice = scene.phone(ALICE, parameters);
    let bob = scene.phone(OUTSIDE, PhoneParameters::without_server("bob"));
    scene.start(&bob);
    scene.start(&alice);
    scene.run(Duration::from_secs(1));
    (scene, alice, bob)
}

/// A line of the latest message from Alice that begins so.
fn told(scene: &Scene, method: &str, begin: &str) -> String {
    let sent = scene.sim.wire().filter(|packet| packet.from.ip() == IpAddr::from(ALICE));
    let mut texts = sent.map(|packet| packet.text().into_owned());
    let last = texts.rfind(|text| text.starts_with(method)).expect("it was sent");
    let line = last.lines().find(|line| line.starts_with(begin)).unwrap_or_default();
    line.to_owned()
}

#[test]
fn a_stun_server_tells_what_signalling_and_media_are_outside() {
    let nat = Nat { preserves_ports: false, ..Nat::full_cone(PUBLIC) };
    let (mut scene, alice, _) = mapped(nat, asking(), true);
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
    scene.call(&alice, "sip:bob@198.51.100.20");
    scene.run(Duration::from_millis(100));
    assert_eq!(told(&scene, "INVITE", "Contact"), "Contact: <sip:alice@203.0.113.7:40000>");
    assert_eq!(told(&scene, "INVITE", "c="), "c=IN IP4 203.0.113.7");
    let media = told(&scene, "INVITE", "m=");
    assert!(media.starts_with("m=audio 40001 "), "{media}");
    assert_eq!(scene.tell(&alice, |phone| phone.counters().unmapped), 0);
}

#[test]
fn an_incoming_call_is_answered_with_what_is_outside() {
    let (mut scene, alice, bob) = mapped(Nat::full_cone(PUBLIC), asking(), true);
    scene.call(&bob, "sip:alice@203.0.113.7");
    scene.run(Duration::from_millis(200));
    let call = scene.tell(&alice, |phone| phone.calls().next()).expect("it rings");
    scene.tell(&alice, |phone| phone.answer(call)).unwrap();
    scene.run(Duration::from_millis(200));
    assert_eq!(told(&scene, "SIP/2.0 200", "c="), "c=IN IP4 203.0.113.7");
}

#[test]
fn neighbours_are_told_our_own_address() {
    let (mut scene, alice, _) = mapped(Nat::full_cone(PUBLIC), asking(), true);
    scene.peer([10, 0, 0, 77], |_, _| {});
    scene.call(&alice, "sip:carol@10.0.0.77");
    scene.run(Duration::from_millis(100));
    assert_eq!(told(&scene, "INVITE", "Contact"), "Contact: <sip:alice@10.0.0.1:5060>");
    assert_eq!(told(&scene, "INVITE", "c="), "c=IN IP4 10.0.0.1");
}

#[test]
fn without_an_answer_calls_go_on_after_half_a_second() {
    for name_is_known in [true, false] {
        let parameters = match name_is_known {
            true => asking(),
            false => asking().stun("nowhere.example.com"),
        };
        let (mut scene, alice, _) = mapped(Nat::full_cone(PUBLIC), parameters, false);
        assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
        let before = scene.sim.now();
        scene.call(&alice, "sip:bob@198.51.100.20");
        scene.run(Duration::from_millis(600));
        let invite = |packet: &&WirePacket| packet.text().starts_with("INVITE");
        let sent = scene.sim.wire().find(invite).expect("it was sent").sent.since(before);
        let least = if name_is_known { 500 } else { 0 };
        assert!((least..=least + 10).contains(&sent.as_millis()), "{sent:?}");
        assert_eq!(told(&scene, "INVITE", "c="), "c=IN IP4 10.0.0.1");
        assert_eq!(scene.tell(&alice, |phone| phone.counters().unmapped), 2);
    }
}

#[test]
fn whatever_happens_while_the_server_is_asked_the_ports_go_back() {
    let (mut scene, alice, _) = mapped(Nat::full_cone(PUBLIC), asking(), false);
    let call = scene.call(&alice, "sip:bob@198.51.100.20");
    scene.run(Duration::from_millis(100));
    assert_eq!(scene.sim.media_ports(alice.id), 1);
    scene.tell(&alice, |phone| phone.cancel(call)).unwrap();
    scene.run(Duration::from_secs(2));
    assert_eq!(scene.sim.media_ports(alice.id), 0);
    scene.call(&alice, "sip:bob@198.51.100.20");
    scene.run(Duration::from_millis(100));
    scene.tell(&alice, |phone| phone.stop());
    scene.run(Duration::from_secs(20));
    assert_eq!(scene.sim.media_ports(alice.id), 0);
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Inactive);
    // A phone that is stopped while it waits to start does not start.
    scene.start(&alice);
    scene.tell(&alice, |phone| phone.stop());
    scene.run(Duration::from_secs(2));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Inactive);
}

#[test]
fn only_the_server_is_believed_of_media() {
    let (mut scene, alice, _) = mapped(Nat::full_cone(PUBLIC), asking(), false);
    scene.call(&alice, "sip:bob@198.51.100.20");
    scene.run(Duration::from_millis(10));
    let question = scene.sim.wire().rfind(|packet| is_stun(&packet.bytes)).unwrap().clone();
    let lie = answer_binding(&question.bytes, "192.0.2.66:6666".parse().unwrap()).unwrap();
    // Somebody else has seen it pass, and answers from where he is.
    let asker = scene.sim.add([198, 51, 100, 66], ScriptedPeer::new());
    scene.sim[asker].send_bytes((PUBLIC, question.from.port()).into(), lie);
    scene.run(Duration::from_secs(1));
    assert_eq!(told(&scene, "INVITE", "c="), "c=IN IP4 10.0.0.1");
}

/// Alice at the exchange over TCP, or with a flow that it knows of.
fn at_exchange(parameters: PhoneParameters) -> (Scene, Actor, NodeId<Exchange>) {
    let mut scene = Scene::new();
    let exchange = ExchangeParameters::new(SocketAddr::from((PEER, 5060))).user("alice", "secret");
    let exchange = scene.sim.add(PEER, Exchange::new(exchange));
    scene.sim.set_listening(exchange, Transport::Tcp, true);
    let alice = scene.phone(ALICE, parameters.expires(Duration::from_secs(7_200)));
    scene.start(&alice);
    scene.run(Duration::from_millis(100));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
    (scene, alice, exchange)
}

/// How often the server took a registration.
fn bound(alice: &Actor) -> usize {
    let taken = |event: &&Event| matches!(event, Event::Phone(PhoneEvent::Registered { .. }));
    alice.events().iter().filter(taken).count()
}

/// Every 40 to 50 s; ten more and an answer is missing, and twenty after that the system says so too.
fn over_tcp() -> PhoneParameters {
    let often = parameters().keep_alive_interval(Duration::from_secs(50));
    often.transport(Transport::Tcp)
}

#[test]
fn a_connection_on_which_nobody_answers_any_more_is_made_anew() {
    let (mut scene, alice, exchange) = at_exchange(over_tcp());
    scene.run(Duration::from_secs(600));
    assert_eq!(bound(&alice), 1, "empty lines are answered");
    scene.sim.half_open(exchange, alice.id);
    scene.run(Duration::from_secs(61));
    assert_eq!(bound(&alice), 2);
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
}

#[test]
fn who_never_answers_empty_lines_is_not_taken_for_gone_unless_it_has_to() {
    for (parameters, anew) in [
        (over_tcp(), false),
        (over_tcp().keep_alive(KeepAlive::Crlf), true),
        (over_tcp().instance("urn:uuid:00000000-0000-1000-8000-000a95a0e128"), true),
    ] {
        let (mut scene, alice, exchange) = at_exchange(parameters);
        scene.sim.half_open(exchange, alice.id);
        scene.run(Duration::from_secs(61));
        assert_eq!(bound(&alice) == 2, anew);
    }
}

#[test]
fn the_server_says_how_often_at_least() {
    let instance = "urn:uuid:00000000-0000-1000-8000-000a95a0e128";
    let set = |seconds| parameters().keep_alive_interval(Duration::from_secs(seconds));
    for (parameters, range) in
        [(parameters(), 96_000..=120_000), (set(300), 96_000..=120_000), (set(50), 40_000..=50_000)]
    {
        let (mut scene, _, _) = at_exchange(parameters.instance(instance));
        scene.run(Duration::from_secs(1_800));
        let (count, least, most) = signs(&scene, |packet| is_stun(&packet.bytes));
        assert!(count >= 15 && range.contains(&least) && range.contains(&most), "{least} {most}");
    }
}

#[test]
fn a_server_that_wants_signs_of_life_all_the_time_gets_one_a_second() {
    for (flow_timer, range) in [("0", 60..=76), ("1", 60..=76), ("99999999", 0..=0)] {
        let mut scene = Scene::new();
        scene.peer(PEER, move |peer, arrival| {
            if arrival.first_line().starts_with("REGISTER") {
                let contact = arrival.header("Contact").unwrap_or_default();
                peer.reply(
                    arrival,
                    "200 OK",
                    &format!("Contact: {contact}\nFlow-Timer: {flow_timer}"),
                );
            }
        });
        let alice = scene.phone(ALICE, parameters().keep_alive(KeepAlive::Crlf));
        scene.start(&alice);
        scene.run(Duration::from_secs(60));
        let (count, ..) = signs(&scene, |packet| *packet.bytes == *b"\r\n\r\n");
        assert!(range.contains(&count), "{flow_timer}: {count}");
    }
}

#[test]
fn a_nat_that_moves_again_at_once_is_followed_a_little_later() {
    let often = parameters().expires(Duration::from_secs(7_200)).keep_alive(KeepAlive::Stun);
    let often = often.keep_alive_interval(Duration::from_secs(5));
    let (mut scene, _, exchange) = behind(Nat::symmetric(PUBLIC), often);
    for last in [8, 9] {
        scene.sim.set_nat(&[ALICE.into()], Nat::symmetric([203, 0, 113, last]));
        scene.run(Duration::from_secs(6));
    }
    assert_eq!(contacts(&scene, exchange), ["sip:alice@203.0.113.8:40000"], "it was just told");
    scene.run(Duration::from_secs(30));
    assert_eq!(contacts(&scene, exchange), ["sip:alice@203.0.113.9:40000"]);
}

#[test]
fn a_stun_server_whose_name_is_not_found_is_looked_for_again() {
    // The system of names says that it cannot answer, or nothing at all.
    for silent in [false, true] {
        let mut scene = Scene::new();
        scene.sim.set_name("stun.example.com", &[STUN.into()]);
        let server = ExchangeParameters::new(SocketAddr::from((STUN, 3478)));
        scene.sim.add_at((STUN, 3478), Exchange::new(server));
        scene.sim.set_nat(&[ALICE.into()], Nat::full_cone(PUBLIC));
        match silent {
            true => scene.sim.set_name_delay(Duration::from_secs(3_600)),
            false => scene.sim.set_names_failing(true),
        }
        let alice = scene.phone(ALICE, asking());
        scene.start(&alice);
        scene.run(Duration::from_secs(1));
        assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
        scene.sim.set_names_failing(false);
        scene.sim.set_name_delay(Duration::ZERO);
        scene.run(Duration::from_secs(75));
        scene.call(&alice, "sip:bob@198.51.100.20");
        scene.run(Duration::from_millis(100));
        assert_eq!(told(&scene, "INVITE", "Contact"), "Contact: <sip:alice@203.0.113.7:5060>");
        assert_eq!(told(&scene, "INVITE", "c="), "c=IN IP4 203.0.113.7");
    }
}

#[test]
fn a_mapping_that_cannot_be_is_not_told() {
    for lie in ["0.0.0.0:4000", "203.0.113.7:0", "[2001:db8::1]:4000", "224.0.0.1:4000"] {
        let (mut scene, alice, _) = mapped(Nat::full_cone(PUBLIC), asking(), false);
        let lie = lie.parse().unwrap();
        let liar = ScriptedPeer::reacting(move |peer, arrival| {
            if let Some(answer) = answer_binding(&arrival.bytes, lie) {
                peer.send_bytes(arrival.from, answer);
            }
        });
        scene.sim.add_at((STUN, 3478), liar);
        scene.call(&alice, "sip:bob@198.51.100.20");
        scene.run(Duration::from_millis(100));
        assert_eq!(told(&scene, "INVITE", "c="), "c=IN IP4 10.0.0.1", "{lie}");
        assert!(told(&scene, "INVITE", "m=").starts_with("m=audio 1000"), "{lie}");
    }
}
