//! Calls whose offer is left to the callee (RFC 3261 §13.2.1).

use super::caller::{TARGET, agree, answer, last, no_media};
use super::scene::{ALICE, Actor, PEER, Scene, described, header};
use crate::call::CallOptions;
use crate::event::{CallId, CallState, EndedBy};
use crate::sim::{NodeId, ScriptedPeer};
use crate::time::Duration;

/// Alice, who leaves the offer to the peer.
fn calling_late() -> (Scene, Actor, CallId, NodeId<ScriptedPeer>) {
    let mut scene = Scene::new();
    let alice = scene.direct(ALICE, "alice");
    let peer = scene.peer(PEER, agree);
    let options = CallOptions::default().late_offer();
    let call = scene.tell(&alice, |phone| phone.call(TARGET, options)).unwrap();
    scene.run(Duration::from_millis(50));
    (scene, alice, call, peer)
}

#[test]
fn a_late_offer_is_answered_in_ack() {
    let (mut scene, alice, call, peer) = calling_late();
    let invite = last(&scene, peer, "INVITE");
    assert!(!invite.text().contains("m=audio") && invite.header("Content-Type").is_none());
    // A description in a provisional response that is not reliable is no offer (RFC 6337 §2.2).
    answer(&mut scene, peer, &invite, "183 Progress", "b", &described());
    assert_eq!(alice.media(call), []);
    let offer = described().replace("0 8", "8 0").replace("4000", "4010");
    for _ in 0..2 {
        answer(&mut scene, peer, &invite, "200 OK", "b", &offer);
    }
    let acks = scene.sent(ALICE, "ACK");
    assert_eq!(acks.len(), 2);
    assert_eq!(acks[0], acks[1], "a copy of the 2xx has a copy of the answer");
    assert!(acks[0].contains("m=audio ") && acks[0].contains("RTP/AVP 8 0"), "{}", acks[0]);
    assert_eq!(header(&acks[0], "Content-Type"), Some("application/sdp"));
    assert_eq!(scene.sim[alice.id].state(call), Some(CallState::Answered));
    let media = alice.media(call).pop().unwrap();
    assert_eq!((media.remote_rtp.port(), media.send.payload_type), (4010, 8));
    scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
    assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None));
    scene.assert_idle(&alice);
}

#[test]
fn a_late_offer_that_cannot_be_taken_is_declined_in_ack_and_hung_up() {
    let (mut scene, alice, call, peer) = calling_late();
    let invite = last(&scene, peer, "INVITE");
    let video = "m=video 4002 RTP/AVP 31\n";
    let offer = described().replace("0 8", "18") + video;
    answer(&mut scene, peer, &invite, "200 OK", "b", &offer);
    let ack = last(&scene, peer, "ACK").text().into_owned();
    for line in ["m=audio 0 RTP/AVP 18\r\n", "m=video 0 RTP/AVP 31\r\n", "t=0 0\r\n", "c=IN "] {
        assert!(ack.contains(line), "{line} {ack}");
    }
    assert!(last(&scene, peer, "BYE").header("Reason").is_some());
    assert_eq!(scene.ended(&alice, call), (EndedBy::Error, None));
    assert!(no_media(&alice));
    scene.assert_idle(&alice);
    // Without any offer there is nothing to answer.
    let (mut scene, alice, call, peer) = calling_late();
    let invite = last(&scene, peer, "INVITE");
    answer(&mut scene, peer, &invite, "200 OK", "b", "Contact: <sip:bob@10.0.0.9>");
    assert_eq!((scene.sim[peer].count("ACK"), scene.sim[peer].count("BYE")), (1, 1));
    assert_eq!(scene.ended(&alice, call), (EndedBy::Error, None));
}

#[test]
fn the_losers_of_a_race_with_late_offers_are_answered_too() {
    let (mut scene, alice, call, peer) = calling_late();
    let invite = last(&scene, peer, "INVITE");
    answer(&mut scene, peer, &invite, "200 OK", "first", &described());
    answer(&mut scene, peer, &invite, "200 OK", "second", &described());
    let acks = scene.sent(ALICE, "ACK");
    assert_eq!(acks.len(), 2);
    assert!(acks[1].contains("tag=second") && acks[1].contains("m=audio 0 "), "{}", acks[1]);
    assert!(last(&scene, peer, "BYE").header("To").unwrap().contains("second"));
    assert_eq!(scene.sim[alice.id].state(call), Some(CallState::Answered));
}

#[test]
fn a_late_offer_that_crosses_cancel_is_answered_and_hung_up() {
    let (mut scene, alice, call, peer) = calling_late();
    let invite = last(&scene, peer, "INVITE");
    answer(&mut scene, peer, &invite, "180 Ringing", "b", "");
    scene.tell(&alice, |phone| phone.cancel(call)).unwrap();
    answer(&mut scene, peer, &invite, "200 OK", "b", &described());
    assert!(last(&scene, peer, "ACK").text().contains("m=audio "));
    assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None));
    scene.assert_idle(&alice);
}

#[test]
fn an_early_answer_that_cannot_be_used_is_none() {
    // Neither G.729 alone, nor anything at all where no offer was made, opens media.
    let useless = described().replace("0 8", "18");
    for (options, early) in
        [(CallOptions::default(), useless), (CallOptions::default().late_offer(), described())]
    {
        let mut scene = Scene::new();
        let alice = scene.direct(ALICE, "alice");
        let peer = scene.peer(PEER, agree);
        let call = scene.tell(&alice, |phone| phone.call(TARGET, options)).unwrap();
        scene.run(Duration::from_millis(50));
        let invite = last(&scene, peer, "INVITE");
        answer(&mut scene, peer, &invite, "183 Progress", "b", &early);
        answer(&mut scene, peer, &invite, "200 OK", "b", "Contact: <sip:bob@10.0.0.9>");
        assert_eq!((scene.sim[peer].count("ACK"), scene.sim[peer].count("BYE")), (1, 1));
        assert_eq!(scene.ended(&alice, call), (EndedBy::Error, None));
        assert!(no_media(&alice));
        scene.assert_idle(&alice);
    }
}
