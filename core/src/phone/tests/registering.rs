//! Registration and credentials (RFC 3261 §10, §22).

use std::cell::RefCell;
use std::rc::Rc;

use super::scene::{ALICE, Actor, BOB, LONG, PEER, Scene, header, sdp, session};
use crate::config::PhoneParameters;
use crate::event::{CallState, EndedBy, Event, PhoneEvent, PhoneStatus};
use crate::sim::{Arrival, NodeId, ScriptedPeer};
use crate::time::Duration;

const NONCE: &str = "Digest realm=\"pbx\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"";

fn parameters() -> PhoneParameters {
    PhoneParameters::new("10.0.0.9", "alice").password("secret")
}

/// Alice at a server that reacts like this, started.
fn at_server(
    parameters: PhoneParameters,
    reaction: impl FnMut(&mut ScriptedPeer, &Arrival) + 'static,
) -> (Scene, Actor, NodeId<ScriptedPeer>) {
    let mut scene = Scene::new();
    let server = scene.peer(PEER, reaction);
    let alice = scene.phone(ALICE, parameters);
    scene.start(&alice);
    scene.run(Duration::from_millis(50));
    (scene, alice, server)
}

/// A registrar that takes everything for so many seconds.
fn taking(expires: u32) -> impl FnMut(&mut ScriptedPeer, &Arrival) {
    move |peer, arrival| {
        let contact = arrival.header("Contact").unwrap_or_default();
        let more = match arrival.header("Expires").as_deref() {
            Some("0") => String::new(),
            _ => format!(
                "Contact: <sip:old@1.2.3.4>;expires=9\nContact: {contact};expires={expires}"
            ),
        };
        if arrival.first_line().starts_with("REGISTER") {
            peer.reply(arrival, "200 OK", &more);
        }
    }
}

/// A server that challenges whatever has no credentials.
fn asking(
    status: &'static str,
    challenge: &'static str,
) -> impl FnMut(&mut ScriptedPeer, &Arrival) {
    move |peer, arrival| {
        let line = arrival.first_line();
        if line.starts_with("ACK") || line.starts_with("SIP") {
            return;
        }
        let given = arrival.header("Authorization").or(arrival.header("Proxy-Authorization"));
        match given {
            Some(_) => {
                let more = match line.starts_with("INVITE") {
                    true => format!("Contact: <sip:bob@10.0.0.9>\n{}", session(&sdp("sendrecv"))),
                    false => "Expires: 100".to_owned(),
                };
                peer.reply(arrival, "200 OK", &more);
            }
            None => peer.reply(arrival, status, challenge),
        }
    }
}

fn registers(scene: &Scene, server: NodeId<ScriptedPeer>) -> Vec<Arrival> {
    let received = scene.sim[server].received().iter();
    received.filter(|arrival| arrival.first_line().starts_with("REGISTER")).cloned().collect()
}

fn statuses(actor: &Actor) -> Vec<PhoneStatus> {
    let status = |event: &Event| match event {
        Event::Phone(PhoneEvent::Status(status)) => Some(*status),
        _ => None,
    };
    actor.events().iter().filter_map(status).collect()
}

#[test]
fn a_registration_is_refreshed_before_it_ends() {
    let (mut scene, alice, server) = at_server(parameters(), taking(30));
    assert!(alice.events().contains(&Event::Phone(PhoneEvent::Registered {
        expires: Duration::from_secs(30).into()
    })));
    scene.run(Duration::from_secs(100));
    let registers = registers(&scene, server);
    assert_eq!(registers.len(), 1 + 6, "each 15 s");
    for (index, register) in registers.iter().enumerate() {
        assert!(register.first_line().starts_with("REGISTER sip:10.0.0.9 SIP/2.0"));
        assert_eq!(register.header("CSeq"), Some(format!("{} REGISTER", index + 1)));
        assert_eq!(register.header("Call-ID"), registers[0].header("Call-ID"));
        assert_eq!(register.header("Contact").unwrap(), "<sip:alice@10.0.0.1:5060>");
        assert_eq!(register.header("To").unwrap(), "<sip:alice@10.0.0.9>");
        assert_eq!(register.header("Expires").unwrap(), "120");
    }
    assert_eq!(statuses(&alice), [PhoneStatus::Registering, PhoneStatus::Registered]);
}

#[test]
fn a_long_binding_is_refreshed_a_minute_before_its_end() {
    let (mut scene, _, server) = at_server(parameters(), taking(3_600));
    scene.run(Duration::from_secs(3_539));
    assert_eq!(registers(&scene, server).len(), 1);
    scene.run(Duration::from_secs(2));
    assert_eq!(registers(&scene, server).len(), 2);
}

#[test]
fn a_challenge_is_answered_with_a_new_branch_and_number() {
    for (status, field, answer) in [
        ("401 Unauthorized", "WWW-Authenticate", "Authorization"),
        ("407 Proxy Authentication Required", "Proxy-Authenticate", "Proxy-Authorization"),
    ] {
        let challenge = Box::leak(format!("{field}: {NONCE}").into_boxed_str());
        let (scene, alice, server) = at_server(parameters(), asking(status, challenge));
        assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
        let registers = registers(&scene, server);
        assert_eq!(registers.len(), 2);
        assert_eq!(registers[1].header("CSeq").unwrap(), "2 REGISTER");
        assert_eq!(registers[1].header("Call-ID"), registers[0].header("Call-ID"));
        assert_ne!(registers[1].header("Via"), registers[0].header("Via"));
        let credentials = registers[1].header(answer).unwrap();
        for part in ["username=\"alice\"", "realm=\"pbx\"", "uri=\"sip:10.0.0.9\"", "nc=00000001"] {
            assert!(credentials.contains(part), "{credentials}");
        }
    }
}

#[test]
fn invite_and_bye_answer_challenges_too() {
    let mut parameters = parameters();
    parameters.register = false;
    let challenge = Box::leak(format!("Proxy-Authenticate: {NONCE}").into_boxed_str());
    let (mut scene, alice, server) =
        at_server(parameters, asking("407 Proxy Authentication Required", challenge));
    let call = scene.call(&alice, "bob");
    scene.reach(&alice, call, CallState::Answered);
    scene.run(Duration::from_millis(50));
    let invites: Vec<Arrival> = scene.sim[server]
        .received()
        .iter()
        .filter(|arrival| arrival.first_line().starts_with("INVITE"))
        .cloned()
        .collect();
    assert_eq!(invites.len(), 2);
    assert!(invites[1].first_line().starts_with("INVITE sip:bob@10.0.0.9 "));
    assert_eq!(invites[1].header("CSeq").unwrap(), "2 INVITE");
    assert_ne!(invites[0].header("Via"), invites[1].header("Via"));
    assert_eq!(invites[0].header("From"), invites[1].header("From"));
    assert_eq!(invites[0].header("Call-ID"), invites[1].header("Call-ID"));
    let given = invites[1].header("Proxy-Authorization").unwrap();
    // §22.1: the ACK repeats the credentials of its INVITE.
    let acks = scene.sent(ALICE, "ACK");
    assert_eq!(header(acks.last().unwrap(), "Proxy-Authorization"), Some(given.as_str()));
    scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
    assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None));
    let byes = scene.sent(ALICE, "BYE");
    assert!(header(byes.last().unwrap(), "Proxy-Authorization").is_some());
}

#[test]
fn a_wrong_password_fails_at_once_and_is_not_tried_again() {
    let challenge = Box::leak(format!("WWW-Authenticate: {NONCE}").into_boxed_str()) as &str;
    let (mut scene, alice, server) = at_server(parameters(), move |peer, arrival| {
        peer.reply(arrival, "401 Unauthorized", challenge);
    });
    scene.run(Duration::from_secs(600));
    assert_eq!(registers(&scene, server).len(), 2);
    assert_eq!(statuses(&alice), [PhoneStatus::Registering, PhoneStatus::Failed]);
    let failed = alice.events().into_iter().find_map(|event| match event {
        Event::Phone(PhoneEvent::RegistrationFailed { cause, .. }) => cause,
        _ => None,
    });
    assert_eq!(failed.unwrap().code, 401);
}

#[test]
fn without_credentials_a_challenge_is_the_end() {
    let challenge = Box::leak(format!("WWW-Authenticate: {NONCE}").into_boxed_str());
    let parameters = PhoneParameters::new("10.0.0.9", "alice");
    let (scene, alice, server) = at_server(parameters, asking("401 Unauthorized", challenge));
    assert_eq!(registers(&scene, server).len(), 1);
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Failed);
    assert_eq!(scene.sim[alice.id].counters().unanswered_challenges, 1);
}

#[test]
fn credentials_go_to_nobody_but_the_server_in_its_realm() {
    // A callee that asks who ends the call (the digest leak), reached directly.
    let (mut scene, alice, _) = at_server(parameters(), taking(100));
    let leak = Box::leak(format!("WWW-Authenticate: {NONCE}").into_boxed_str()) as &str;
    let thief = scene.sim.add(
        BOB,
        ScriptedPeer::reacting(move |peer, arrival| {
            if arrival.first_line().starts_with("BYE") {
                peer.reply(arrival, "401 Unauthorized", leak);
            }
        }),
    );
    let invite = "INVITE sip:alice@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKa;rport\n\
         From: <sip:t@10.0.0.2>;tag=t\nTo: <sip:alice@10.0.0.1>\nCall-ID: leak\nCSeq: 1 INVITE\n\
         Contact: <sip:t@10.0.0.2>\nMax-Forwards: 70\nContent-Length: 0\n\n";
    scene.say(thief, &alice, invite);
    let call = scene.incoming(&alice);
    scene.tell(&alice, |phone| phone.answer(call)).unwrap();
    scene.run(Duration::from_millis(20));
    let to = scene.sim[thief].last("200").unwrap().header("To").unwrap();
    let ack = invite.replace("INVITE", "ACK").replace("z9hG4bKa", "z9hG4bKb");
    let ack = ack.replace("To: <sip:alice@10.0.0.1>", &format!("To: {to}"));
    let ack = ack.replace("Content-Length: 0\n\n", &{
        let body = sdp("sendrecv");
        format!(
            "Content-Type: application/sdp\nContent-Length: {}\n\n{body}",
            body.replace('\n', "\r\n").len()
        )
    });
    scene.say(thief, &alice, &ack);
    scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
    scene.ended(&alice, call);
    let shown = |scene: &Scene| {
        scene.sip().filter(|packet| packet.text().contains("uthorization:")).count()
    };
    assert_eq!((scene.sent(ALICE, "BYE").len(), shown(&scene)), (1, 0));

    // The server itself, first in its realm, then in another.
    let asked = Rc::new(RefCell::new(0));
    let count = Rc::clone(&asked);
    let (mut scene, alice, server) = at_server(parameters(), move |peer, arrival| {
        let realm = if *count.borrow() == 0 { "pbx" } else { "other" };
        match arrival.header("Authorization") {
            Some(_) => peer.reply(arrival, "200 OK", "Expires: 30"),
            None => {
                let challenge = format!("WWW-Authenticate: {}", NONCE.replace("pbx", realm));
                peer.reply(arrival, "401 Unauthorized", &challenge);
            }
        }
    });
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
    *asked.borrow_mut() = 1;
    let ping = scene.tell(&alice, |phone| phone.options("bob")).unwrap();
    scene.until(
        &alice,
        |event| matches!(event, Event::Response { request, .. } if *request == ping),
    );
    let other = scene.sim[server]
        .received()
        .iter()
        .filter(|arrival| arrival.text().contains("realm=\"other\""));
    assert_eq!(other.count(), 0);
}

#[test]
fn a_longer_binding_is_asked_for_when_the_server_wants_one() {
    let (scene, alice, server) =
        at_server(parameters(), |peer, arrival| match arrival.header("Expires").as_deref() {
            Some("120") => peer.reply(arrival, "423 Interval Too Brief", "Min-Expires: 1800"),
            _ => peer.reply(arrival, "200 OK", "Expires: 1800"),
        });
    let registers = registers(&scene, server);
    assert_eq!(registers.len(), 2);
    assert_eq!(registers[1].header("Expires").unwrap(), "1800");
    assert!(alice.events().contains(&Event::Phone(PhoneEvent::Registered {
        expires: Duration::from_secs(1_800).into()
    })));
}

#[test]
fn a_registrar_that_never_has_enough_or_grants_nothing_has_failed() {
    let (mut scene, alice, server) = at_server(parameters(), |peer, arrival| {
        let asked: u32 = arrival.header("Expires").unwrap().parse().unwrap();
        let more = format!("Min-Expires: {}", asked + 1);
        peer.reply(arrival, "423 Interval Too Brief", &more);
    });
    scene.run(LONG);
    assert_eq!(registers(&scene, server).len(), 5);
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Failed);
    let (mut scene, alice, server) = at_server(parameters(), taking(0));
    scene.run(Duration::from_secs(60));
    assert_eq!(registers(&scene, server).len(), 5);
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Failed);
}

#[test]
fn failures_back_off_until_the_phone_has_failed() {
    let (mut scene, alice, server) = at_server(parameters(), |peer, arrival| {
        peer.reply(arrival, "503 Service Unavailable", "");
    });
    scene.run(Duration::from_secs(120));
    let times: Vec<u64> =
        registers(&scene, server).iter().map(|register| register.at.as_micros() / 1_000).collect();
    assert_eq!(times.len(), 5, "the default threshold");
    let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, longest) in waits.iter().zip([2_000, 4_000, 8_000, 16_000]) {
        assert!((longest / 2..=longest).contains(wait), "{waits:?}");
    }
    assert!(waits.iter().any(|wait| wait % 1_000 != 0), "left to chance: {waits:?}");
    assert_eq!(statuses(&alice), [PhoneStatus::Registering, PhoneStatus::Failed]);
    let failures =
        |event: &&Event| matches!(event, Event::Phone(PhoneEvent::RegistrationFailed { .. }));
    assert_eq!(alice.events().iter().filter(failures).count(), 5);
    // It may be started again.
    scene.start(&alice);
    scene.run(Duration::from_millis(50));
    assert_eq!(registers(&scene, server).len(), 6);
}

#[test]
fn retry_after_is_heeded() {
    let (mut scene, _, server) = at_server(parameters(), |peer, arrival| {
        peer.reply(arrival, "503 Service Unavailable", "Retry-After: 20");
    });
    scene.run(Duration::from_secs(19));
    assert_eq!(registers(&scene, server).len(), 1);
    scene.run(Duration::from_secs(2));
    assert_eq!(registers(&scene, server).len(), 2);
}

#[test]
fn a_lost_registration_comes_back() {
    let down = Rc::new(RefCell::new(false));
    let is_down = Rc::clone(&down);
    let mut take = taking(40);
    let (mut scene, alice, _) = at_server(parameters(), move |peer, arrival| {
        if !*is_down.borrow() {
            take(peer, arrival);
        }
    });
    *down.borrow_mut() = true;
    scene.run(Duration::from_secs(60));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registering);
    assert!(
        alice
            .events()
            .contains(&Event::Phone(PhoneEvent::RegistrationFailed { cause: None, error: None }))
    );
    *down.borrow_mut() = false;
    scene.run(LONG);
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
}

#[test]
fn stop_takes_the_registration_back() {
    let (mut scene, alice, server) = at_server(parameters(), taking(100));
    scene.tell(&alice, |phone| phone.stop());
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Deregistering);
    scene.run(Duration::from_millis(100));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Inactive);
    assert!(alice.events().contains(&Event::Phone(PhoneEvent::Unregistered)));
    let last = registers(&scene, server).pop().unwrap();
    assert_eq!(last.header("Expires").unwrap(), "0");
    assert_eq!(last.header("Contact").unwrap(), "<sip:alice@10.0.0.1:5060>");
    assert_eq!(last.header("CSeq").unwrap(), "2 REGISTER");
    assert_eq!(
        alice.events().last(),
        Some(&Event::Phone(PhoneEvent::Status(PhoneStatus::Inactive)))
    );
    // Nothing more is heard of it, and it may start again.
    scene.run(Duration::from_secs(200));
    assert_eq!(registers(&scene, server).len(), 2);
    scene.start(&alice);
    scene.run(Duration::from_millis(50));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
}

#[test]
fn stop_does_not_wait_for_a_server_that_is_gone() {
    let down = Rc::new(RefCell::new(false));
    let is_down = Rc::clone(&down);
    let mut take = taking(100);
    let (mut scene, alice, _) = at_server(parameters(), move |peer, arrival| {
        if !*is_down.borrow() {
            take(peer, arrival);
        }
    });
    *down.borrow_mut() = true;
    scene.tell(&alice, |phone| phone.stop());
    scene.run(Duration::from_secs(5));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Inactive);
    assert!(!alice.events().contains(&Event::Phone(PhoneEvent::Unregistered)));
}

#[test]
fn a_server_by_name_is_looked_up_and_an_unknown_one_fails() {
    let mut scene = Scene::new();
    scene.sim.set_name("pbx.example.com", &[core::net::IpAddr::from(PEER)]);
    let server = scene.peer(PEER, taking(100));
    let alice = scene.phone(ALICE, PhoneParameters::new("PBX.example.com", "alice").password("x"));
    scene.start(&alice);
    scene.run(Duration::from_millis(50));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
    let register = registers(&scene, server).remove(0);
    assert!(register.first_line().starts_with("REGISTER sip:PBX.example.com SIP/2.0"));
    let carol = scene.phone([10, 0, 0, 3], PhoneParameters::new("nowhere.example", "carol"));
    scene.start(&carol);
    scene.run(Duration::from_secs(60));
    assert_eq!(scene.sim[carol.id].status(), PhoneStatus::Failed);
}

#[test]
fn a_call_by_way_of_the_server_and_an_outbound_proxy() {
    let mut parameters = parameters();
    parameters.register = false;
    parameters.outbound_proxy = Some("sip:10.0.0.2:5060".to_owned());
    let mut scene = Scene::new();
    let proxy = scene.sim.add(BOB, ScriptedPeer::new());
    let alice = scene.phone(ALICE, parameters);
    scene.start(&alice);
    scene.call(&alice, "100");
    scene.run(Duration::from_millis(50));
    let invite = scene.sim[proxy].last("INVITE").expect("it goes to the proxy").text().into_owned();
    assert!(invite.starts_with("INVITE sip:100@10.0.0.9 SIP/2.0"), "{invite}");
    assert_eq!(header(&invite, "Route"), Some("<sip:10.0.0.2:5060;lr>"));
}

#[test]
fn an_ack_past_the_server_shows_no_credentials() {
    let mut parameters = parameters();
    parameters.register = false;
    let (mut scene, alice, _) = at_server(parameters, |peer, arrival| {
        let given = arrival.header("Proxy-Authorization");
        let contact = format!("Contact: <sip:bob@10.0.0.2>\n{}", session(&sdp("sendrecv")));
        match (arrival.first_line().starts_with("INVITE"), given) {
            (true, Some(_)) => peer.reply(arrival, "200 OK", &contact),
            (true, None) => {
                let challenge = format!("Proxy-Authenticate: {NONCE}");
                peer.reply(arrival, "407 Who", &challenge);
            }
            _ => {}
        }
    });
    let bob = scene.sim.add(BOB, ScriptedPeer::new());
    let call = scene.call(&alice, "bob");
    scene.reach(&alice, call, CallState::Answered);
    scene.run(Duration::from_millis(50));
    let ack = scene.sim[bob].last("ACK").expect("it goes straight to bob").text().into_owned();
    assert!(header(&ack, "Proxy-Authorization").is_none(), "{ack}");
}

#[test]
fn a_phone_told_to_stop_before_it_began_never_begins() {
    let mut scene = Scene::new();
    let server = scene.peer(PEER, taking(100));
    for parameters in [parameters(), PhoneParameters::without_server("alice")] {
        let alice = scene.phone(ALICE, parameters);
        scene.tell(&alice, |phone| phone.start().map(|()| phone.stop())).unwrap();
        scene.run(Duration::from_millis(50));
        let expected =
            [PhoneStatus::Registering, PhoneStatus::Deregistering, PhoneStatus::Inactive];
        assert_eq!(statuses(&alice), expected);
    }
    assert!(registers(&scene, server).is_empty());
}

#[test]
fn a_stale_nonce_makes_bye_and_options_go_out_once_more() {
    let mut parameters = parameters();
    parameters.register = false;
    let (mut scene, alice, server) = at_server(parameters, |peer, arrival| {
        let line = arrival.first_line();
        let given = arrival.header("Proxy-Authorization").unwrap_or_default();
        // Each request but the INVITE finds that its nonce has become stale.
        let nonce = if line.starts_with("INVITE") { "n1" } else { "n2" };
        let stale = if given.is_empty() { "" } else { ", stale=true" };
        let challenge = format!("Proxy-Authenticate: {}{stale}", NONCE.replace("n1", nonce));
        match given.contains(&format!("nonce=\"{nonce}\"")) {
            _ if line.starts_with("ACK") => {}
            false => peer.reply(arrival, "407 Who", &challenge),
            true if line.starts_with("INVITE") => {
                let contact = "Contact: <sip:bob@10.0.0.9>";
                peer.reply(arrival, "200 OK", &format!("{contact}\n{}", session(&sdp("sendrecv"))));
            }
            true => peer.reply(arrival, "200 OK", ""),
        }
    });
    let call = scene.call(&alice, "bob");
    scene.reach(&alice, call, CallState::Answered);
    scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
    assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None));
    let byes: Vec<Arrival> = scene.sim[server]
        .received()
        .iter()
        .filter(|arrival| arrival.first_line().starts_with("BYE"))
        .cloned()
        .collect();
    assert_eq!(byes.len(), 2);
    assert_eq!(byes[0].header("CSeq").unwrap(), "3 BYE");
    assert_eq!(byes[1].header("CSeq").unwrap(), "4 BYE");
    assert_ne!(byes[0].header("Via"), byes[1].header("Via"));
    scene.tell(&alice, |phone| phone.options("bob")).unwrap();
    scene.run(Duration::from_secs(1));
    let answered = |event: &Event| matches!(event, Event::Response { reply: Ok(reply), .. } if reply.cause.code == 200);
    assert!(alice.events().iter().any(answered));
    scene.assert_idle(&alice);
}
