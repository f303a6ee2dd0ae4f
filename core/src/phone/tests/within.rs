//! What a phone does with requests within a dialog, word by word.

use super::scene::{BOB, Scene, header, headers, request, sdp, session, tag};
use crate::event::{CallEvent, CallState, EndedBy, Event, HoldBy};
use crate::sdp::Direction;
use crate::time::Duration;

#[test]
fn bye_ends_a_ringing_call_and_an_answered_one() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    scene.say(peer, &bob, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
    let call = scene.incoming(&bob);
    let tag = tag(header(&scene.answer_to(peer, "INVITE", 1).1, "To").unwrap()).to_owned();
    scene.say(peer, &bob, &request("BYE", 2, Some(&tag), ""));
    assert_eq!(scene.answer_to(peer, "BYE", 2).0, 200);
    assert_eq!(scene.answer_to(peer, "INVITE", 1).0, 487);
    assert_eq!(scene.ended(&bob, call).0, EndedBy::Remote);

    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let (call, tag) = scene.called_by(peer, &bob);
    scene.say(peer, &bob, &request("BYE", 2, Some(&tag), ""));
    assert_eq!(scene.answer_to(peer, "BYE", 2).0, 200);
    assert_eq!(scene.ended(&bob, call), (EndedBy::Remote, None));
    scene.say(peer, &bob, &request("BYE", 3, Some(&tag), ""));
    assert_eq!(scene.answer_to(peer, "BYE", 3).0, 481);
}

#[test]
fn requests_out_of_order_are_refused() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let (call, tag) = scene.called_by(peer, &bob);
    scene.say(peer, &bob, &request("OPTIONS", 10, Some(&tag), ""));
    assert_eq!(scene.answer_to(peer, "OPTIONS", 10).0, 200);
    scene.say(peer, &bob, &request("BYE", 9, Some(&tag), ""));
    assert_eq!(scene.answer_to(peer, "BYE", 9).0, 500);
    // And one with another's tag is of no dialog.
    let stranger = request("BYE", 11, Some(&tag), "").replace(";tag=tester", ";tag=stranger");
    scene.say(peer, &bob, &stranger);
    assert_eq!(scene.answer_to(peer, "BYE", 11).0, 481);
    assert_eq!(scene.sim[bob.id].state(call), Some(CallState::Answered));
}

#[test]
fn a_late_offer_is_ours_in_the_2xx_and_theirs_in_the_ack() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    scene.say(peer, &bob, &request("INVITE", 1, None, ""));
    let call = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.answer(call)).unwrap();
    scene.run(Duration::from_millis(50));
    let (_, response) = scene.answer_to(peer, "INVITE", 1);
    assert!(response.contains("m=audio "), "{response}");
    assert!(bob.media(call).is_empty());
    let tag = tag(header(&response, "To").unwrap()).to_owned();
    // A re-INVITE before the answer is glare.
    let early = request("INVITE", 2, Some(&tag), &session(&sdp("sendrecv")));
    scene.say(peer, &bob, &early);
    assert_eq!(scene.answer_to(peer, "INVITE", 2).0, 491);
    let answer = sdp("sendrecv").replace("0 8", "8").replace("4000", "4444");
    scene.say(peer, &bob, &request("ACK", 1, Some(&tag), &session(&answer)));
    let media = bob.media(call);
    assert_eq!(media.len(), 1);
    assert_eq!((media[0].remote_rtp.port(), media[0].send.payload_type), (4444, 8));
}

#[test]
fn a_late_offer_without_an_answer_is_hung_up() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    scene.say(peer, &bob, &request("INVITE", 1, None, ""));
    let call = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.answer(call)).unwrap();
    scene.run(Duration::from_millis(50));
    let tag = tag(header(&scene.answer_to(peer, "INVITE", 1).1, "To").unwrap()).to_owned();
    scene.say(peer, &bob, &request("ACK", 1, Some(&tag), ""));
    assert_eq!(scene.sent(BOB, "BYE").len(), 1);
    assert_eq!(scene.ended(&bob, call).0, EndedBy::Error);
}

#[test]
fn a_reinvite_holds_resumes_and_moves_the_call() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let (call, tag) = scene.called_by(peer, &bob);
    let version = |text: &str| -> u64 {
        let origin = text.lines().find(|line| line.starts_with("o=")).unwrap();
        origin.split(' ').nth(2).unwrap().parse().unwrap()
    };
    let first = version(&scene.answer_to(peer, "INVITE", 1).1);
    let reinvite = |scene: &mut Scene, seq, body: &str| {
        scene.say(peer, &bob, &request("INVITE", seq, Some(&tag), &session(body)));
        let (status, response) = scene.answer_to(peer, "INVITE", seq);
        assert_eq!(status, 200, "{response}");
        scene.say(peer, &bob, &request("ACK", seq, Some(&tag), ""));
        response
    };
    let held = reinvite(&mut scene, 2, &sdp("sendonly"));
    assert!(held.contains("a=recvonly"), "{held}");
    assert_eq!(version(&held), first + 1);
    assert_eq!(bob.media(call).last().unwrap().direction, Direction::RecvOnly);
    assert!(scene.sim[bob.id].info(call).unwrap().held);
    reinvite(&mut scene, 3, &sdp("sendrecv"));
    let holds: Vec<bool> = bob
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::Call { event: CallEvent::Hold { by: HoldBy::Remote, held }, .. } => Some(*held),
            _ => None,
        })
        .collect();
    assert_eq!(holds, [true, false]);
    // The old way to hold.
    reinvite(&mut scene, 4, &sdp("sendrecv").replace("c=IN IP4 10.0.0.9", "c=IN IP4 0.0.0.0"));
    assert!(!bob.media(call).last().unwrap().direction.sends());
    // Another address and another codec.
    let moved =
        sdp("sendrecv").replace("c=IN IP4 10.0.0.9", "c=IN IP4 10.0.0.77").replace("0 8", "8");
    reinvite(&mut scene, 5, &moved);
    let media = bob.media(call).pop().unwrap();
    assert_eq!(media.remote_rtp, "10.0.0.77:4000".parse().unwrap());
    assert_eq!(media.send.payload_type, 8);
    // Nothing common: the session stays as it was.
    let refused = sdp("sendrecv").replace("0 8", "18");
    scene.say(peer, &bob, &request("INVITE", 6, Some(&tag), &session(&refused)));
    assert_eq!(scene.answer_to(peer, "INVITE", 6).0, 488);
    assert_eq!(bob.media(call).pop().unwrap(), media);
    // Without an offer: ours is in the 2xx.
    scene.say(peer, &bob, &request("INVITE", 7, Some(&tag), ""));
    let (status, offer) = scene.answer_to(peer, "INVITE", 7);
    assert!(status == 200 && offer.contains("m=audio"), "{offer}");
    let answer = session(&sdp("sendrecv").replace("4000", "4040"));
    scene.say(peer, &bob, &request("ACK", 7, Some(&tag), &answer));
    assert_eq!(bob.media(call).pop().unwrap().remote_rtp.port(), 4040);
    assert_eq!(scene.sim[bob.id].state(call), Some(CallState::Answered));
    scene.tell(&bob, |phone| phone.hangup(call)).unwrap();
    scene.run(Duration::from_millis(50));
    assert_eq!(scene.sent(BOB, "BYE").len(), 1);
}

#[test]
fn a_reinvite_that_is_not_acknowledged_ends_the_call() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let (call, tag) = scene.called_by(peer, &bob);
    scene.say(peer, &bob, &request("INVITE", 2, Some(&tag), &session(&sdp("sendrecv"))));
    scene.run(Duration::from_secs(33));
    assert!(!scene.sent(BOB, "BYE").is_empty());
    assert_eq!(scene.ended(&bob, call).0, EndedBy::Timeout);
}

#[test]
fn contact_moves_the_target_of_our_requests() {
    for method in ["INVITE", "UPDATE"] {
        let mut scene = Scene::new();
        let bob = scene.direct(BOB, "bob");
        let peer = scene.silent_peer();
        let (call, tag) = scene.called_by(peer, &bob);
        let moved = request(method, 2, Some(&tag), &session(&sdp("sendrecv")))
            .replace("<sip:tester@10.0.0.9:5060>", "<sip:moved@10.0.0.77:5099>");
        scene.say(peer, &bob, &moved);
        assert_eq!(scene.answer_to(peer, method, 2).0, 200);
        if method == "INVITE" {
            scene.say(peer, &bob, &request("ACK", 2, Some(&tag), ""));
        }
        scene.tell(&bob, |phone| phone.hangup(call)).unwrap();
        scene.run(Duration::from_millis(100));
        let bye = scene.sent(BOB, "BYE").remove(0);
        assert!(bye.starts_with("BYE sip:moved@10.0.0.77:5099 "), "{bye}");
        let to = scene.sip().find(|packet| packet.text().starts_with("BYE")).unwrap().to;
        assert_eq!(to, "10.0.0.77:5099".parse().unwrap());
    }
}

#[test]
fn an_invite_without_an_offer_leaves_it_to_us() {
    for answered in [true, false] {
        let mut scene = Scene::new();
        let bob = scene.direct(BOB, "bob");
        let peer = scene.silent_peer();
        scene.say(peer, &bob, &request("INVITE", 1, None, ""));
        let call = scene.incoming(&bob);
        scene.tell(&bob, |phone| phone.progress(call)).unwrap();
        scene.run(Duration::from_millis(50));
        // A 183 that is not reliable cannot carry an offer (RFC 6337 §2.2).
        let (status, text) = scene.answer_to(peer, "INVITE", 1);
        assert!(status == 183 && !text.contains("v=0"), "{text}");
        scene.tell(&bob, |phone| phone.answer(call)).unwrap();
        scene.run(Duration::from_millis(50));
        let (status, text) = scene.answer_to(peer, "INVITE", 1);
        assert!(status == 200 && text.contains("m=audio"), "{text}");
        assert_eq!(bob.media(call), []);
        let tag = tag(header(&text, "To").unwrap()).to_owned();
        let body = if answered { session(&sdp("sendrecv")) } else { String::new() };
        scene.say(peer, &bob, &request("ACK", 1, Some(&tag), &body));
        let renegotiated =
            |event: &Event| matches!(event, Event::Call { event: CallEvent::Renegotiated, .. });
        assert!(!bob.events().iter().any(renegotiated), "it is the first time");
        if answered {
            assert_eq!(bob.media(call).len(), 1);
            continue;
        }
        let bye = scene.sent(BOB, "BYE").remove(0);
        assert!(header(&bye, "Reason").unwrap().contains("cause=488"), "{bye}");
    }
}

#[test]
fn a_second_invite_while_it_rings_waits() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    scene.say(peer, &bob, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
    let call = scene.incoming(&bob);
    let tag = tag(header(&scene.answer_to(peer, "INVITE", 1).1, "To").unwrap()).to_owned();
    for (seq, method) in [(2, "INVITE"), (3, "UPDATE")] {
        let text = request(method, seq, Some(&tag), &session(&sdp("sendrecv")));
        scene.say(peer, &bob, &text);
        let (status, response) = scene.answer_to(peer, method, seq);
        assert_eq!(status, 500);
        let wait: u32 = header(&response, "Retry-After").unwrap().parse().unwrap();
        assert!(wait <= 10);
    }
    scene.say(peer, &bob, &request("UPDATE", 4, Some(&tag), ""));
    assert_eq!(scene.answer_to(peer, "UPDATE", 4).0, 200);
    assert_eq!(scene.sim[bob.id].state(call), Some(CallState::Ringing));
}

#[test]
fn update_and_info_within_a_dialog() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let (call, tag) = scene.called_by(peer, &bob);
    scene.say(peer, &bob, &request("UPDATE", 2, Some(&tag), &session(&sdp("inactive"))));
    let (status, response) = scene.answer_to(peer, "UPDATE", 2);
    assert!(status == 200 && response.contains("a=inactive"), "{response}");
    assert!(scene.sim[bob.id].info(call).unwrap().held);
    scene.say(peer, &bob, &request("UPDATE", 3, Some(&tag), ""));
    assert_eq!(scene.answer_to(peer, "UPDATE", 3).0, 200);
    let info =
        [(200, ""), (415, "Content-Type: application/x\n\nx\n"), (469, "Info-Package: foo\n")];
    for (seq, (expected, more)) in (4..).zip(info) {
        scene.say(peer, &bob, &request("INFO", seq, Some(&tag), more));
        assert_eq!(scene.answer_to(peer, "INFO", seq).0, expected, "{more}");
    }
    scene.say(peer, &bob, &request("JUGGLE", 9, Some(&tag), ""));
    assert_eq!(scene.answer_to(peer, "JUGGLE", 9).0, 501);
    assert_eq!(scene.sim[bob.id].state(call), Some(CallState::Answered));
}

#[test]
fn record_route_is_echoed_and_obeyed() {
    let route = "Record-Route: <sip:10.0.0.9:5060;lr>, <sip:10.0.0.8;lr>\n";
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let invite = request("INVITE", 1, None, &format!("{route}{}", session(&sdp("sendrecv"))));
    scene.say(peer, &bob, &invite);
    let call = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.answer(call)).unwrap();
    scene.run(Duration::from_millis(50));
    let (_, response) = scene.answer_to(peer, "INVITE", 1);
    assert_eq!(headers(&response, "Record-Route").join(", "), route[14..].trim());
    let tag = tag(header(&response, "To").unwrap()).to_owned();
    scene.say(peer, &bob, &request("ACK", 1, Some(&tag), ""));
    scene.tell(&bob, |phone| phone.hangup(call)).unwrap();
    scene.run(Duration::from_millis(50));
    let bye = scene.sim[peer].last("BYE").expect("it goes to the first proxy").text().into_owned();
    assert_eq!(headers(&bye, "Route"), ["<sip:10.0.0.9:5060;lr>", "<sip:10.0.0.8;lr>"]);
}
