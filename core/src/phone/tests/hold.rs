//! Our own hold: re-INVITE, its refusals, glare (RFC 3261 §14.1, RFC 3264 §8.4).

use super::scene::{ALICE, Actor, BOB, PEER, Scene, described, request, response, sdp, session};
use crate::event::{CallEvent, CallId, CallState, EndedBy, Event, HoldBy};
use crate::phone::Phone;
use crate::sdp::Direction;
use crate::sim::{Arrival, NodeId, ScriptedPeer};
use crate::time::Duration;

const SOON: Duration = Duration::from_millis(50);

/// What was told of our holds, in order: agreed or not, and the code of a refusal.
fn told(actor: &Actor) -> Vec<(bool, Result<(), u16>)> {
    let told = |event: &Event| match event {
        Event::Call { event: CallEvent::Hold { by: HoldBy::Local, held }, .. } => {
            Some((*held, Ok(())))
        }
        Event::Call { event: CallEvent::HoldFailed { held, cause }, .. } => {
            Some((*held, Err(cause.as_ref().map_or(0, |cause| cause.code))))
        }
        _ => None,
    };
    actor.events().iter().filter_map(told).collect()
}

fn remote(actor: &Actor) -> Vec<bool> {
    let told = |event: &Event| match event {
        Event::Call { event: CallEvent::Hold { by: HoldBy::Remote, held }, .. } => Some(*held),
        _ => None,
    };
    actor.events().iter().filter_map(told).collect()
}

fn direction(scene: &Scene, actor: &Actor, call: CallId) -> Option<Direction> {
    scene.sim[actor.id].info(call).and_then(|info| info.media)
}

fn version(text: &str) -> u64 {
    let origin = text.lines().find(|line| line.starts_with("o=")).expect("there is an origin");
    origin.split(' ').nth(2).unwrap().parse().unwrap()
}

/// Bob in a call from the scripted peer.
fn called() -> (Scene, Actor, CallId, NodeId<ScriptedPeer>, String) {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let (call, tag) = scene.called_by(peer, &bob);
    (scene, bob, call, peer, tag)
}

/// Alice in a call to a peer whose answers to re-INVITE, from the first, are these.
fn calling(answers: &'static [&'static str]) -> (Scene, Actor, CallId, NodeId<ScriptedPeer>) {
    let mut scene = Scene::new();
    let alice = scene.direct(ALICE, "alice");
    let mut answers = core::iter::once("200 OK").chain(answers.iter().copied());
    let peer = scene.peer(PEER, move |peer, arrival| {
        let line = arrival.first_line();
        match line.split(' ').next() {
            Some("INVITE") => match answers.next() {
                Some(answer) => {
                    let (status, more) = answer.split_once('\n').unwrap_or((answer, ""));
                    let more = match status.starts_with('2') && more.is_empty() {
                        true => described(),
                        false => more.to_owned(),
                    };
                    peer.reply(arrival, status, &more);
                }
                None => peer.reply(arrival, "100 Trying", ""),
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

fn hold(scene: &mut Scene, actor: &Actor, call: CallId) {
    scene.tell(actor, |phone| phone.hold(call)).unwrap();
    scene.run(SOON);
}

fn invites(scene: &Scene, peer: NodeId<ScriptedPeer>) -> Vec<Arrival> {
    let arrivals = scene.sim[peer].received().iter();
    arrivals.filter(|a| a.first_line().starts_with("INVITE")).cloned().collect()
}

/// The last INVITE that came, answered like this.
fn answer(scene: &mut Scene, peer: NodeId<ScriptedPeer>, status: &str, more: &str) -> Arrival {
    let invite = invites(scene, peer).pop().expect("an INVITE came");
    scene.sim[peer].send(invite.from, &response(&invite, status, "", more));
    scene.run(SOON);
    invite
}

#[test]
fn hold_and_resume_change_the_direction_and_nothing_else() {
    let (mut scene, bob, call, peer, _) = called();
    let first = version(&scene.answer_to(peer, "INVITE", 1).1);
    hold(&mut scene, &bob, call);
    assert_eq!(told(&bob), [], "not before the far end agrees");
    let invite = answer(&mut scene, peer, "200 OK", &session(&sdp("recvonly")));
    let text = invite.text();
    assert!(text.contains("a=sendonly"), "{text}");
    assert_eq!(version(&text), first + 1);
    for name in ["Contact", "Allow", "Max-Forwards"] {
        assert!(invite.header(name).is_some(), "{name}");
    }
    let ack = scene.sim[peer].last("ACK").expect("it is acknowledged").clone();
    assert_eq!(ack.header("CSeq").unwrap(), "1 ACK");
    assert_eq!(direction(&scene, &bob, call), Some(Direction::SendOnly));
    assert_eq!(bob.media(call).last().unwrap().direction, Direction::SendOnly);
    let info = scene.sim[bob.id].info(call).unwrap();
    assert!(info.holding && !info.held);

    scene.tell(&bob, |phone| phone.resume(call)).unwrap();
    scene.run(SOON);
    let invite = answer(&mut scene, peer, "200 OK", &session(&sdp("sendrecv")));
    assert!(invite.text().contains("a=sendrecv"), "{}", invite.text());
    assert_eq!(version(&invite.text()), first + 2);
    assert_eq!(direction(&scene, &bob, call), Some(Direction::SendRecv));
    assert_eq!(told(&bob), [(true, Ok(())), (false, Ok(()))]);
    assert_eq!(remote(&bob), []);
    assert_eq!(scene.sim[bob.id].state(call), Some(CallState::Answered));
    // What is so already is only told.
    scene.tell(&bob, |phone| phone.resume(call)).unwrap();
    scene.run(SOON);
    assert_eq!(told(&bob).len(), 3);
    assert_eq!(invites(&scene, peer).len(), 2);
}

#[test]
fn who_only_listens_holds_by_inactive() {
    let mut scene = Scene::new();
    let alice = scene.direct(ALICE, "alice");
    let peer = scene.silent_peer();
    let options = crate::call::CallOptions::default().direction(Direction::RecvOnly);
    let call = scene.tell(&alice, |phone| phone.call("sip:bob@10.0.0.9", options)).unwrap();
    scene.run(SOON);
    let invite = scene.sim[peer].last("INVITE").unwrap().clone();
    let more = format!("Contact: <sip:bob@10.0.0.9>\n{}", session(&sdp("sendonly")));
    scene.sim[peer].send(invite.from, &response(&invite, "200 OK", "bob", &more));
    scene.run(SOON);
    for wanted in ["a=inactive", "a=recvonly"] {
        scene
            .tell(&alice, |phone| match wanted {
                "a=inactive" => phone.hold(call),
                _ => phone.resume(call),
            })
            .unwrap();
        scene.run(SOON);
        let said = if wanted == "a=inactive" { "inactive" } else { "sendonly" };
        let invite = answer(&mut scene, peer, "200 OK", &session(&sdp(said)));
        assert!(invite.text().contains(wanted), "{}", invite.text());
    }
    assert_eq!(remote(&alice), [], "who would not send is not held");
}

#[test]
fn both_hold_and_each_resumes() {
    let (mut scene, bob, call, peer, tag) = called();
    // They hold us; we hold them as well: by what we want, not by what they leave us (RFC 6337).
    scene.say(peer, &bob, &request("INVITE", 2, Some(&tag), &session(&sdp("sendonly"))));
    scene.say(peer, &bob, &request("ACK", 2, Some(&tag), ""));
    assert_eq!(direction(&scene, &bob, call), Some(Direction::RecvOnly));
    hold(&mut scene, &bob, call);
    let invite = answer(&mut scene, peer, "200 OK", &session(&sdp("inactive")));
    assert!(invite.text().contains("a=sendonly"), "{}", invite.text());
    assert_eq!(direction(&scene, &bob, call), Some(Direction::Inactive));
    // They resume, and learn that we still hold.
    scene.say(peer, &bob, &request("INVITE", 3, Some(&tag), &session(&sdp("sendrecv"))));
    assert!(scene.answer_to(peer, "INVITE", 3).1.contains("a=sendonly"));
    scene.say(peer, &bob, &request("ACK", 3, Some(&tag), ""));
    assert_eq!(remote(&bob), [true, false]);
    scene.tell(&bob, |phone| phone.resume(call)).unwrap();
    scene.run(SOON);
    answer(&mut scene, peer, "200 OK", &session(&sdp("sendrecv")));
    assert_eq!(direction(&scene, &bob, call), Some(Direction::SendRecv));
}

#[test]
fn a_refused_hold_leaves_the_call_as_it_was() {
    for (status, code) in
        [("488 Not Acceptable Here", 488), ("503 Service Unavailable", 503), ("603 Decline", 603)]
    {
        let (mut scene, bob, call, peer, tag) = called();
        let before = bob.media(call);
        hold(&mut scene, &bob, call);
        answer(&mut scene, peer, status, "");
        assert_eq!(told(&bob), [(true, Err(code))]);
        assert_eq!(bob.media(call), before);
        assert_eq!(scene.sim[bob.id].state(call), Some(CallState::Answered));
        // The way is free again, in both directions.
        scene.say(peer, &bob, &request("INVITE", 2, Some(&tag), &session(&sdp("sendrecv"))));
        let (status, text) = scene.answer_to(peer, "INVITE", 2);
        assert!(status == 200 && text.contains("a=sendrecv"), "{text}");
        scene.say(peer, &bob, &request("ACK", 2, Some(&tag), ""));
        hold(&mut scene, &bob, call);
        answer(&mut scene, peer, "200 OK", &session(&sdp("recvonly")));
        assert_eq!(told(&bob).last(), Some(&(true, Ok(()))));
    }
}

#[test]
fn a_2xx_to_a_reinvite_without_an_answer_changes_nothing() {
    for more in ["".to_owned(), session(&sdp("recvonly").replace("0 8", "18"))] {
        let (mut scene, bob, call, peer, _) = called();
        let before = bob.media(call);
        hold(&mut scene, &bob, call);
        answer(&mut scene, peer, "200 OK", &more);
        assert_eq!(scene.sim[peer].count("ACK"), 1, "it is acknowledged all the same");
        assert_eq!(told(&bob), [(true, Err(200))]);
        assert_eq!(bob.media(call), before);
        assert_eq!(scene.sim[bob.id].state(call), Some(CallState::Answered));
    }
}

#[test]
fn a_dialog_that_is_gone_there_ends_here() {
    for (status, code) in [("481 Gone", 481), ("408 Request Timeout", 408)] {
        let (mut scene, bob, call, peer, _) = called();
        hold(&mut scene, &bob, call);
        answer(&mut scene, peer, status, "");
        assert_eq!(told(&bob), [(true, Err(code))]);
        assert_eq!(scene.sent(BOB, "BYE").len(), 1);
        let bye = scene.sim[peer].last("BYE").unwrap().clone();
        scene.sim[peer].send(bye.from, &response(&bye, "200 OK", "", ""));
        assert_eq!(scene.ended(&bob, call), (EndedBy::Remote, Some(code)));
    }
    // No answer at all is 408.
    let (mut scene, bob, call, _, _) = called();
    hold(&mut scene, &bob, call);
    scene.run(Duration::from_secs(33));
    assert_eq!(told(&bob), [(true, Err(0))]);
    assert_eq!(scene.ended(&bob, call).0, EndedBy::Timeout);
    scene.assert_idle(&bob);
}

#[test]
fn a_reinvite_that_is_never_decided_is_cancelled() {
    let (mut scene, alice, call, peer) = calling(&[]);
    hold(&mut scene, &alice, call);
    scene.run(Duration::from_secs(31));
    assert_eq!(scene.sim[peer].count("CANCEL"), 0);
    scene.run(Duration::from_secs(2));
    assert_eq!(scene.sim[peer].count("CANCEL"), 1);
    answer(&mut scene, peer, "487 Request Terminated", "");
    assert_eq!(told(&alice), [(true, Err(487))]);
    assert_eq!(scene.sim[alice.id].state(call), Some(CallState::Answered));
}

/// How long after a refusal the next re-INVITE came.
fn waited(scene: &Scene, peer: NodeId<ScriptedPeer>, index: usize) -> Duration {
    let all = invites(scene, peer);
    all[index].at.since(all[index - 1].at)
}

#[test]
fn after_491_the_owner_of_the_call_id_waits_longer() {
    let (mut scene, alice, call, peer) = calling(&["491 Request Pending", "200 OK"]);
    hold(&mut scene, &alice, call);
    scene.run(Duration::from_secs(5));
    let wait = waited(&scene, peer, 2);
    assert!(
        wait >= Duration::from_millis(2_100) && wait <= Duration::from_millis(4_010),
        "{wait:?}"
    );
    assert_eq!(told(&alice), [(true, Ok(()))]);

    let (mut scene, bob, call, peer, _) = called();
    hold(&mut scene, &bob, call);
    answer(&mut scene, peer, "491 Request Pending", "");
    assert_eq!(told(&bob), []);
    scene.run(Duration::from_secs(2));
    assert!(waited(&scene, peer, 1) <= Duration::from_millis(2_060));
    answer(&mut scene, peer, "200 OK", &session(&sdp("recvonly")));
    assert_eq!(told(&bob), [(true, Ok(()))]);
}

#[test]
fn a_peer_that_is_busy_is_asked_again_when_it_says() {
    let (mut scene, alice, call, peer) =
        calling(&["500 Later\nRetry-After: 7\n", "200 OK", "500 Broken"]);
    hold(&mut scene, &alice, call);
    scene.run(Duration::from_secs(8));
    assert_eq!(waited(&scene, peer, 2).as_millis() / 100, 70);
    assert_eq!(told(&alice), [(true, Ok(()))]);
    scene.tell(&alice, |phone| phone.resume(call)).unwrap();
    scene.run(SOON);
    assert_eq!(told(&alice).last(), Some(&(false, Err(500))), "without Retry-After it is refused");
}

#[test]
fn a_peer_that_is_always_busy_is_left_alone() {
    let (mut scene, bob, call, peer, _) = called();
    hold(&mut scene, &bob, call);
    for _ in 0..9 {
        answer(&mut scene, peer, "491 Request Pending", "");
        scene.run(Duration::from_secs(3));
    }
    assert_eq!(told(&bob), [(true, Err(491))]);
    assert_eq!(scene.sim[bob.id].state(call), Some(CallState::Answered));
}

#[test]
fn our_answer_to_their_offer_tells_our_wish_too() {
    let (mut scene, bob, call, peer, tag) = called();
    hold(&mut scene, &bob, call);
    answer(&mut scene, peer, "491 Request Pending", "");
    // While we wait, their own hold comes, and our answer says what we wanted to say.
    scene.say(peer, &bob, &request("INVITE", 2, Some(&tag), &session(&sdp("sendonly"))));
    assert!(scene.answer_to(peer, "INVITE", 2).1.contains("a=inactive"));
    scene.say(peer, &bob, &request("ACK", 2, Some(&tag), ""));
    assert_eq!(told(&bob), [(true, Ok(()))]);
    scene.run(Duration::from_secs(5));
    assert_eq!(invites(&scene, peer).len(), 1, "there is nothing left to say");
}

#[test]
fn an_offer_while_ours_is_open_is_glare() {
    let (mut scene, bob, call, peer, tag) = called();
    hold(&mut scene, &bob, call);
    for (seq, method, body) in [
        (2, "INVITE", session(&sdp("sendonly"))),
        (3, "INVITE", String::new()),
        (4, "UPDATE", session(&sdp("sendonly"))),
    ] {
        scene.say(peer, &bob, &request(method, seq, Some(&tag), &body));
        assert_eq!(scene.answer_to(peer, method, seq).0, 491, "{method} {seq}");
    }
    scene.say(peer, &bob, &request("UPDATE", 5, Some(&tag), ""));
    assert_eq!(scene.answer_to(peer, "UPDATE", 5).0, 200);
    answer(&mut scene, peer, "200 OK", &session(&sdp("recvonly")));
    assert_eq!(told(&bob), [(true, Ok(()))]);
    assert_eq!(remote(&bob), []);
    assert_eq!(direction(&scene, &bob, call), Some(Direction::SendOnly));
}

#[test]
fn only_the_latest_wish_is_told_the_far_end() {
    let (mut scene, bob, call, peer, _) = called();
    hold(&mut scene, &bob, call);
    for wish in [Phone::resume, Phone::hold, Phone::resume] {
        scene.tell(&bob, |phone| wish(phone, call)).unwrap();
    }
    scene.run(SOON);
    assert_eq!(invites(&scene, peer).len(), 1, "one at a time");
    answer(&mut scene, peer, "200 OK", &session(&sdp("recvonly")));
    let invite = answer(&mut scene, peer, "200 OK", &session(&sdp("sendrecv")));
    assert!(invite.text().contains("a=sendrecv"));
    assert_eq!(invites(&scene, peer).len(), 2);
    let failed = (true, Err(0));
    let expected = [failed, (false, Err(0)), failed, (true, Ok(())), (false, Ok(()))];
    assert_eq!(told(&bob), expected);
    assert_eq!(direction(&scene, &bob, call), Some(Direction::SendRecv));
}

#[test]
fn a_hold_waits_for_an_invite_that_is_under_way() {
    let (mut scene, bob, call, peer, tag) = called();
    // Theirs, until its ACK.
    scene.say(peer, &bob, &request("INVITE", 2, Some(&tag), &session(&sdp("sendrecv"))));
    hold(&mut scene, &bob, call);
    assert_eq!(invites(&scene, peer).len(), 0);
    scene.say(peer, &bob, &request("ACK", 2, Some(&tag), ""));
    assert_eq!(invites(&scene, peer).len(), 1);
    answer(&mut scene, peer, "200 OK", &session(&sdp("recvonly")));
    assert_eq!(told(&bob), [(true, Ok(()))]);
}

#[test]
fn the_ack_of_a_reinvite_is_kept_and_sent_again() {
    let (mut scene, bob, call, peer, _) = called();
    hold(&mut scene, &bob, call);
    for _ in 0..3 {
        answer(&mut scene, peer, "200 OK", &session(&sdp("recvonly")));
    }
    let acks = scene.sent(BOB, "ACK");
    assert_eq!(acks.len(), 3);
    assert!(acks.iter().all(|ack| *ack == acks[0]), "{acks:#?}");
    assert_eq!(told(&bob), [(true, Ok(()))]);
    scene.tell(&bob, |phone| phone.hangup(call)).unwrap();
    scene.run(SOON);
    let bye = scene.sim[peer].last("BYE").unwrap().clone();
    assert_eq!(bye.header("CSeq").unwrap(), "2 BYE");
    scene.sim[peer].send(bye.from, &response(&bye, "200 OK", "", ""));
    scene.ended(&bob, call);
    scene.assert_idle(&bob);
}

#[test]
fn a_hangup_does_not_wait_for_the_reinvite() {
    let (mut scene, bob, call, peer, _) = called();
    hold(&mut scene, &bob, call);
    scene.tell(&bob, |phone| phone.hangup(call)).unwrap();
    scene.run(SOON);
    let bye = scene.sim[peer].last("BYE").expect("it goes at once").clone();
    // The answer crosses: it is acknowledged, and changes nothing.
    answer(&mut scene, peer, "200 OK", &session(&sdp("recvonly")));
    assert_eq!(scene.sim[peer].count("ACK"), 1);
    scene.sim[peer].send(bye.from, &response(&bye, "200 OK", "", ""));
    assert_eq!(scene.ended(&bob, call), (EndedBy::Local, None));
    assert_eq!(told(&bob), []);
    scene.assert_idle(&bob);
}

#[test]
fn a_reinvite_that_the_end_overtakes_leaves_nothing() {
    // Under way, put off, and refused after BYE.
    for answers in [&[][..], &["491 Request Pending"][..]] {
        let (mut scene, alice, call, peer) = calling(answers);
        hold(&mut scene, &alice, call);
        scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
        assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None));
        scene.assert_idle(&alice);
        assert_eq!(invites(&scene, peer).len(), 2);
    }
    let (mut scene, bob, call, peer, _) = called();
    hold(&mut scene, &bob, call);
    scene.tell(&bob, |phone| phone.hangup(call)).unwrap();
    scene.run(SOON);
    answer(&mut scene, peer, "487 Request Terminated", "");
    assert_eq!(told(&bob), []);
    let bye = scene.sim[peer].last("BYE").unwrap().clone();
    scene.sim[peer].send(bye.from, &response(&bye, "200 OK", "", ""));
    assert_eq!(scene.ended(&bob, call), (EndedBy::Local, None));
    scene.assert_idle(&bob);
}

#[test]
fn the_contact_of_a_2xx_to_a_reinvite_moves_the_target() {
    let (mut scene, bob, call, peer, _) = called();
    hold(&mut scene, &bob, call);
    let moved = format!("Contact: <sip:moved@10.0.0.9:5060>\n{}", session(&sdp("recvonly")));
    answer(&mut scene, peer, "200 OK", &moved);
    assert!(scene.sent(BOB, "ACK")[0].starts_with("ACK sip:moved@10.0.0.9:5060 "));
    scene.tell(&bob, |phone| phone.hangup(call)).unwrap();
    scene.run(SOON);
    assert!(scene.sent(BOB, "BYE")[0].starts_with("BYE sip:moved@10.0.0.9:5060 "));
}

#[test]
fn the_peer_that_renegotiates_is_told_of() {
    let (mut scene, bob, _, peer, tag) = called();
    let count = |bob: &Actor| {
        let told =
            |event: &&Event| matches!(event, Event::Call { event: CallEvent::Renegotiated, .. });
        bob.events().iter().filter(told).count()
    };
    let moved = sdp("sendrecv").replace("4000", "4040");
    let bodies = [
        (session(&sdp("sendrecv")), 0),
        (session(&sdp("sendonly")), 1),
        (session(&sdp("sendrecv")), 2),
        (session(&sdp("sendrecv").replace("0 8", "8 0")), 3),
        (session(&moved), 4),
        (session(&moved), 4),
    ];
    for (seq, (body, told)) in (2..).zip(bodies) {
        scene.say(peer, &bob, &request("INVITE", seq, Some(&tag), &body));
        scene.say(peer, &bob, &request("ACK", seq, Some(&tag), ""));
        assert_eq!(count(&bob), told, "{body}");
    }
    // An offer of ours, and their answer in ACK.
    scene.say(peer, &bob, &request("INVITE", 20, Some(&tag), ""));
    scene.say(peer, &bob, &request("ACK", 20, Some(&tag), &session(&sdp("sendrecv"))));
    assert_eq!(count(&bob), 5);
}

#[test]
fn two_phones_that_hold_at_once_agree_in_the_end() {
    for seed in 0..40 {
        let mut scene = Scene::with_seed(seed);
        let alice = scene.direct(ALICE, "alice");
        let bob = scene.direct(BOB, "bob");
        let (calling, called) = scene.answered(&alice, &bob);
        scene.tell(&alice, |phone| phone.hold(calling)).unwrap();
        scene.tell(&bob, |phone| phone.hold(called)).unwrap();
        scene.run(Duration::from_secs(10));
        assert_eq!(scene.lines().iter().filter(|line| line.ends_with(" 491")).count(), 2);
        for (actor, call) in [(&alice, calling), (&bob, called)] {
            let info = scene.sim[actor.id].info(call).unwrap();
            assert!(info.holding && info.held, "seed {seed}: {info:?}");
            assert_eq!(info.media, Some(Direction::Inactive));
            assert_eq!(told(actor), [(true, Ok(()))]);
        }
        scene.tell(&alice, |phone| phone.resume(calling)).unwrap();
        scene.tell(&bob, |phone| phone.resume(called)).unwrap();
        scene.run(Duration::from_secs(10));
        for (actor, call) in [(&alice, calling), (&bob, called)] {
            let info = scene.sim[actor.id].info(call).unwrap();
            assert!(!info.holding && !info.held, "seed {seed}: {info:?}");
            assert_eq!(info.media, Some(Direction::SendRecv));
        }
    }
}
