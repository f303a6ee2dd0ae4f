//! Another network in the middle of calls.

use super::scene::{
    ALICE, Actor, BOB, LONG, PEER, Scene, described, header, request, response, sdp, session,
};
use crate::event::{CallEvent, CallId, CallState, EndedBy, Event, HoldBy};
use crate::sim::{Arrival, NodeId, ScriptedPeer};
use crate::time::Duration;

/// Where a phone is after its move.
const ELSEWHERE: [u8; 4] = [10, 0, 0, 44];
const SOON: Duration = Duration::from_millis(100);

/// Takes a phone to another address, and tells it.
fn move_to(scene: &mut Scene, actor: &Actor, ip: [u8; 4]) {
    scene.sim.move_node(actor.id, ip);
    scene.tell(actor, |phone| phone.network_changed());
    scene.run(SOON);
}

/// Alice and bob in an answered call.
fn pair() -> (Scene, Actor, CallId, Actor, CallId) {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
    let (out, inc) = scene.answered(&alice, &bob);
    (scene, alice, out, bob, inc)
}

/// Where a phone's media goes now, and from which pair of ports.
fn media(actor: &Actor, call: CallId) -> (String, u64) {
    let last = actor.media(call).pop().expect("there is media");
    let port = actor.ports(call).pop().expect("on a pair of ports");
    (last.remote_rtp.ip().to_string(), port.0)
}

/// Alice in a call to a peer that answers her re-INVITEs like this, one after the other.
fn calling(answers: &'static [&'static str]) -> (Scene, Actor, CallId, NodeId<ScriptedPeer>) {
    let mut scene = Scene::new();
    let alice = scene.direct(ALICE, "alice");
    let mut answers = core::iter::once("200 OK").chain(answers.iter().copied());
    let peer = scene.peer(PEER, move |peer, arrival| {
        let line = arrival.first_line();
        match line.split(' ').next() {
            Some("INVITE") => match answers.next().unwrap_or("100 Trying") {
                "200 OK" => peer.reply(arrival, "200 OK", &described()),
                status => peer.reply(arrival, status, ""),
            },
            Some("ACK" | "SIP/2.0") => {}
            _ => peer.reply(arrival, "200 OK", ""),
        }
    });
    let call = scene.call(&alice, "sip:bob@10.0.0.9");
    scene.reach(&alice, call, CallState::Answered);
    scene.run(SOON);
    (scene, alice, call, peer)
}

#[test]
fn an_answered_call_goes_on_from_another_network() {
    for hangs_up in ["alice", "bob"] {
        let (mut scene, alice, out, bob, inc) = pair();
        let (_, port) = media(&alice, out);
        let version = |text: &str| text.lines().find(|l| l.starts_with("o=")).unwrap().to_owned();
        let offer = version(&scene.sent(ALICE, "INVITE")[0]);
        move_to(&mut scene, &alice, ELSEWHERE);
        let invite = scene.sent(ELSEWHERE, "INVITE").remove(0);
        assert_eq!(header(&invite, "Contact"), Some("<sip:alice@10.0.0.44:5060>"));
        assert!(header(&invite, "Via").unwrap().starts_with("SIP/2.0/UDP 10.0.0.44:5060;"));
        assert!(invite.contains("c=IN IP4 10.0.0.44"), "{invite}");
        assert_ne!(version(&invite), offer, "RFC 3264 §8: a new version");
        assert_eq!(media(&bob, inc).0, "10.0.0.44");
        assert_ne!(media(&alice, out).1, port, "a pair that is there");
        assert_eq!(scene.sim.media_ports(alice.id), 1);
        // Nothing was told but what happened: the far end changed the session.
        assert!(bob.events().contains(&Event::Call { call: inc, event: CallEvent::Renegotiated }));
        let failed = |event: &Event| {
            matches!(event, Event::Call { event: CallEvent::HoldFailed { .. }, .. })
        };
        assert!(!alice.events().iter().any(failed));
        match hangs_up {
            "alice" => scene.tell(&alice, |phone| phone.hangup(out)).unwrap(),
            _ => scene.tell(&bob, |phone| phone.hangup(inc)).unwrap(),
        }
        let wanted = if hangs_up == "alice" { EndedBy::Local } else { EndedBy::Remote };
        assert_eq!(scene.ended(&alice, out).0, wanted);
        scene.ended(&bob, inc);
        scene.assert_idle(&alice);
        scene.assert_idle(&bob);
    }
}

#[test]
fn a_change_of_nothing_does_no_harm() {
    let (mut scene, alice, out, bob, inc) = pair();
    for _ in 0..3 {
        scene.tell(&alice, |phone| phone.network_changed());
        scene.tell(&bob, |phone| phone.network_changed());
    }
    scene.run(LONG);
    for (actor, call) in [(&alice, out), (&bob, inc)] {
        assert_eq!(scene.sim[actor.id].state(call), Some(CallState::Answered));
        assert_eq!(scene.sim.media_ports(actor.id), 1);
    }
    // The older port is not heard.
    let sends_to = |from: &Actor, call| from.media(call).pop().unwrap().remote_rtp.port();
    let invites = |ip| scene.sent(ip, "INVITE").len() > 1;
    assert!(invites(ALICE) && invites(BOB));
    assert!(sends_to(&alice, out) >= 10_000 && sends_to(&bob, inc) >= 10_000);
    scene.tell(&alice, |phone| phone.hangup(out)).unwrap();
    scene.ended(&bob, inc);
    scene.assert_idle(&alice);
    scene.assert_idle(&bob);
}

#[test]
fn both_sides_may_move_one_after_the_other_and_twice() {
    let (mut scene, alice, out, bob, inc) = pair();
    move_to(&mut scene, &alice, ELSEWHERE);
    move_to(&mut scene, &bob, [10, 0, 0, 55]);
    move_to(&mut scene, &alice, [10, 0, 0, 45]);
    scene.run(Duration::from_secs(5));
    assert_eq!(media(&alice, out).0, "10.0.0.55");
    assert_eq!(media(&bob, inc).0, "10.0.0.45");
    scene.tell(&bob, |phone| phone.hangup(inc)).unwrap();
    assert_eq!(scene.ended(&alice, out).0, EndedBy::Remote);
    scene.assert_idle(&alice);
    scene.assert_idle(&bob);
}

#[test]
fn a_hold_is_kept() {
    let (mut scene, alice, out, bob, inc) = pair();
    scene.tell(&alice, |phone| phone.hold(out)).unwrap();
    scene.run(SOON);
    move_to(&mut scene, &alice, ELSEWHERE);
    let invite = scene.sent(ELSEWHERE, "INVITE").remove(0);
    assert!(invite.contains("a=sendonly"), "{invite}");
    move_to(&mut scene, &bob, [10, 0, 0, 55]);
    let holds = |actor: &Actor, wanted: HoldBy| {
        let told = |event: &Event| match event {
            Event::Call { event: CallEvent::Hold { by, held }, .. } if *by == wanted => Some(*held),
            _ => None,
        };
        actor.events().iter().filter_map(told).collect::<Vec<_>>()
    };
    assert_eq!(
        (holds(&alice, HoldBy::Local), holds(&bob, HoldBy::Remote)),
        (vec![true], vec![true])
    );
    scene.tell(&alice, |phone| phone.resume(out)).unwrap();
    scene.run(SOON);
    assert_eq!(holds(&alice, HoldBy::Local), [true, false]);
    assert_eq!(holds(&bob, HoldBy::Remote), [true, false]);
    assert_eq!(scene.sim[bob.id].state(inc), Some(CallState::Answered));
}

#[test]
fn a_hold_under_way_is_told_from_the_new_network() {
    let (mut scene, alice, out, bob, inc) = pair();
    scene.sim.partition(ALICE, BOB);
    scene.tell(&alice, |phone| phone.hold(out)).unwrap();
    scene.run(Duration::from_secs(3));
    move_to(&mut scene, &alice, ELSEWHERE);
    let held = Event::Call { call: out, event: CallEvent::Hold { by: HoldBy::Local, held: true } };
    assert!(alice.events().contains(&held), "{:?}", alice.events());
    assert_eq!(media(&bob, inc).0, "10.0.0.44");
    scene.tell(&alice, |phone| phone.hangup(out)).unwrap();
    scene.ended(&bob, inc);
    scene.assert_idle(&alice);
}

#[test]
fn a_refusal_leaves_the_call_and_a_lost_dialog_ends_it() {
    for (answers, invites, ended) in [
        (&["488 Not Here"][..], 2, None),
        (&["491 Request Pending", "200 OK"][..], 3, None),
        (&["481 No Dialog"][..], 2, Some((EndedBy::Remote, Some(481)))),
        (&["408 Nobody"][..], 2, Some((EndedBy::Remote, Some(408)))),
        (&["100 Trying"][..], 2, Some((EndedBy::Remote, Some(408)))),
    ] {
        let (mut scene, alice, call, peer) = calling(answers);
        move_to(&mut scene, &alice, ELSEWHERE);
        scene.run(Duration::from_secs(5));
        assert_eq!(scene.sim[peer].count("INVITE"), invites, "{answers:?}");
        if answers == ["100 Trying"] {
            // It is withdrawn after 64·T1, and gets 487 or nothing; here nothing.
            scene.run(LONG);
            continue;
        }
        match ended {
            Some(how) => assert_eq!(scene.ended(&alice, call), how),
            None => {
                assert_eq!(scene.sim[alice.id].state(call), Some(CallState::Answered));
                scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
                assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None));
            }
        }
        scene.assert_idle(&alice);
    }
}

#[test]
fn a_network_that_comes_up_later_is_waited_for() {
    let (mut scene, alice, out, bob, inc) = pair();
    // Left, and told so, before the new network is there.
    scene.sim.partition(ELSEWHERE, BOB);
    move_to(&mut scene, &alice, ELSEWHERE);
    scene.run(Duration::from_secs(3));
    assert_eq!(media(&bob, inc).0, "10.0.0.1");
    scene.sim.heal(ELSEWHERE, BOB);
    scene.run(Duration::from_secs(4));
    assert_eq!(media(&bob, inc).0, "10.0.0.44");
    assert_eq!(scene.sim[alice.id].state(out), Some(CallState::Answered));
}

#[test]
fn a_call_that_rings_far_away_is_placed_again() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
    let out = scene.call(&alice, "sip:bob@10.0.0.2");
    let first = scene.incoming(&bob);
    scene.run(SOON);
    move_to(&mut scene, &alice, ELSEWHERE);
    // The first ring is withdrawn, the second is the call.
    assert_eq!(scene.ended(&bob, first), (EndedBy::Remote, Some(487)));
    scene.run(SOON);
    let second = scene.incoming(&bob);
    assert_ne!(first, second);
    let invites = [scene.sent(ALICE, "INVITE"), scene.sent(ELSEWHERE, "INVITE")].concat();
    assert_eq!(header(&invites[0], "Call-ID"), header(&invites[1], "Call-ID"));
    assert_eq!(header(&invites[1], "CSeq"), Some("2 INVITE"));
    assert!(invites[1].contains("c=IN IP4 10.0.0.44"));
    scene.tell(&bob, |phone| phone.answer(second)).unwrap();
    scene.reach(&alice, out, CallState::Answered);
    scene.run(SOON);
    assert_eq!(media(&bob, second).0, "10.0.0.44");
    scene.tell(&bob, |phone| phone.hangup(second)).unwrap();
    assert_eq!(scene.ended(&alice, out).0, EndedBy::Remote);
    scene.assert_idle(&alice);
    scene.assert_idle(&bob);
}

#[test]
fn a_call_withdrawn_while_it_is_placed_again_ends() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
    let out = scene.call(&alice, "sip:bob@10.0.0.2");
    scene.incoming(&bob);
    scene.run(SOON);
    scene.sim.move_node(alice.id, ELSEWHERE);
    scene
        .tell(&alice, |phone| {
            phone.network_changed();
            phone.cancel(out)
        })
        .unwrap();
    assert_eq!(scene.ended(&alice, out).0, EndedBy::Local);
    scene.run(LONG);
    scene.assert_idle(&alice);
    scene.assert_idle(&bob);
}

#[test]
fn a_call_that_rings_here_is_answered_from_the_new_network() {
    for early in [false, true] {
        let mut scene = Scene::new();
        let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
        let out = scene.call(&alice, "sip:bob@10.0.0.2");
        let inc = scene.incoming(&bob);
        if early {
            scene.tell(&bob, |phone| phone.progress(inc)).unwrap();
            scene.run(SOON);
        }
        move_to(&mut scene, &bob, ELSEWHERE);
        scene.tell(&bob, |phone| phone.answer(inc)).unwrap();
        scene.run(SOON);
        let answer = scene.sent(ELSEWHERE, "200").remove(0);
        assert_eq!(header(&answer, "Contact"), Some("<sip:bob@10.0.0.44:5060>"));
        scene.run(SOON);
        assert_eq!(media(&alice, out).0, "10.0.0.44");
        assert_eq!(scene.sim[alice.id].state(out), Some(CallState::Answered));
        scene.tell(&alice, |phone| phone.hangup(out)).unwrap();
        assert_eq!(scene.ended(&bob, inc).0, EndedBy::Remote);
        scene.assert_idle(&alice);
        scene.assert_idle(&bob);
    }
}

#[test]
fn an_offer_that_comes_while_we_move_is_asked_for_later() {
    // The peer's re-INVITE crosses the move; it is answered from the ports that are there.
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.peer(PEER, |peer, arrival| {
        if arrival.first_line().starts_with("INVITE") {
            peer.send(arrival.from, &response(arrival, "200 OK", "", &described()));
        }
    });
    let (call, tag) = scene.called_by(peer, &bob);
    let moved = scene.sim.move_node(bob.id, ELSEWHERE);
    scene.tell(&bob, |phone| phone.network_changed());
    let offer = session(&sdp("sendrecv"));
    scene.sim[peer].send(moved.address(), &request("INVITE", 2, Some(&tag), &offer));
    scene.run(Duration::from_secs(5));
    assert_eq!(scene.sim[bob.id].state(call), Some(CallState::Answered));
    let answers: Vec<String> = scene.sim[peer]
        .received()
        .iter()
        .filter(|arrival: &&Arrival| arrival.header("CSeq").as_deref() == Some("2 INVITE"))
        .map(|arrival| arrival.first_line().to_owned())
        .collect();
    assert!(answers.iter().any(|line| !line.contains(" 1")), "{answers:?}");
    assert!(scene.sim[peer].count("INVITE") > 0, "it was told");
}
