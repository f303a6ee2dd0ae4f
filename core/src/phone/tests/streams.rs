//! Calls with several audio streams: pairs of ports asked for, answered, added, removed, given back.

use super::scene::{ALICE, Actor, BOB, Scene, header, request, session, tag};
use crate::call::CallOptions;
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{CallId, CallState, Event, PhoneEvent};
use crate::sdp::SessionDescription;
use crate::sim::{NodeId, ScriptedPeer};
use crate::time::Duration;

/// A description of the scripted peer with these media sections.
fn offer(sections: &str) -> String {
    let head = "v=0\no=- 1 1 IN IP4 10.0.0.9\ns=-\nc=IN IP4 10.0.0.9\nt=0 0\n";
    session(&format!("{head}{sections}"))
}

/// The ports of the media sections in a message.
fn ports(message: &str) -> Vec<u16> {
    let (_, body) = message.split_once("\r\n\r\n").expect("a message");
    let description = SessionDescription::parse(body.as_bytes()).expect("a description");
    description.media.iter().map(|media| media.port).collect()
}

const TWO: &str = "m=audio 4000 RTP/AVP 0\nm=video 4100 RTP/AVP 99\nm=audio 4002 RTP/AVP 8\n";

/// Bob, called by the scripted peer with these sections and answering: his number for the call, his
/// tag and what he said.
fn called(
    scene: &mut Scene,
    bob: &Actor,
    sections: &str,
) -> (NodeId<ScriptedPeer>, CallId, String, String) {
    let peer = scene.silent_peer();
    scene.say(peer, bob, &request("INVITE", 1, None, &offer(sections)));
    let call = scene.incoming(bob);
    scene.tell(bob, |phone| phone.answer(call)).unwrap();
    scene.run(Duration::from_millis(50));
    let (status, response) = scene.answer_to(peer, "INVITE", 1);
    assert_eq!(status, 200, "{response}");
    let tag = tag(header(&response, "To").unwrap()).to_owned();
    scene.say(peer, bob, &request("ACK", 1, Some(&tag), ""));
    (peer, call, tag, response)
}

/// The peer hangs up; nothing is left.
fn hung_up(scene: &mut Scene, peer: NodeId<ScriptedPeer>, bob: &Actor, tag: &str) {
    scene.say(peer, bob, &request("BYE", 99, Some(tag), ""));
    assert_eq!(scene.answer_to(peer, "BYE", 99).0, 200);
    scene.assert_idle(bob);
}

#[test]
fn each_audio_section_is_answered_with_a_pair_of_its_own() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let (peer, call, tag, response) = called(&mut scene, &bob, TWO);
    let said = ports(&response);
    assert!(said[0] != 0 && said[2] != 0 && said[0] != said[2], "{said:?}");
    assert_eq!(said[1], 0, "video is refused in its place");
    assert_eq!(scene.sim.media_ports(bob.id), 2);
    assert_eq!(bob.streams(call), ["0 to 4000", "1 to 4002"]);
    assert_eq!(scene.sim[bob.id].info(call).map(|info| info.streams), Some(2));
    let media = bob.media(call);
    assert_ne!(bob.ports(call)[0], bob.ports(call)[1]);
    assert_ne!(media[0].send.codec, media[1].send.codec, "each has its own codec");
    hung_up(&mut scene, peer, &bob, &tag);
}

#[test]
fn more_streams_than_are_taken_are_refused() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let six: String = (0..6).map(|i| format!("m=audio {} RTP/AVP 0\n", 4000 + 2 * i)).collect();
    let (peer, call, tag, response) = called(&mut scene, &bob, &six);
    let taken: Vec<bool> = ports(&response).iter().map(|port| *port > 0).collect();
    assert_eq!(taken, [true, true, true, true, false, false]);
    assert_eq!((scene.sim.media_ports(bob.id), bob.streams(call).len()), (4, 4));
    hung_up(&mut scene, peer, &bob, &tag);
}

#[test]
fn as_many_streams_are_taken_as_there_are_ports() {
    let mut scene = Scene::new();
    let bob = scene.phone(BOB, PhoneParameters::without_server("bob").rtp_ports(30_000, 30_001));
    scene.start(&bob);
    let (peer, call, tag, response) = called(&mut scene, &bob, TWO);
    assert_eq!(ports(&response), [30_000, 0, 0]);
    assert_eq!(bob.streams(call), ["0 to 4000"]);
    // And none at all is 503.
    let second = request("INVITE", 1, None, &offer(TWO)).replace("scripted@", "second@");
    let second = second.replace("z9hG4bKINVITE1", "z9hG4bKsecond").replace("=tester", "=second");
    scene.say(peer, &bob, &second);
    assert_eq!(scene.answer_to(peer, "INVITE", 1).0, 503);
    hung_up(&mut scene, peer, &bob, &tag);
}

#[test]
fn a_reinvite_adds_removes_and_brings_back_streams() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let first = "m=audio 4000 RTP/AVP 0\n";
    let (peer, call, tag, response) = called(&mut scene, &bob, first);
    let base = ports(&response)[0];
    let reinvite = |scene: &mut Scene, seq: u32, sections: &str| {
        scene.say(peer, &bob, &request("INVITE", seq, Some(&tag), &offer(sections)));
        let (status, response) = scene.answer_to(peer, "INVITE", seq);
        assert_eq!(status, 200, "{response}");
        scene.say(peer, &bob, &request("ACK", seq, Some(&tag), ""));
        ports(&response)
    };
    let both = format!("{first}m=audio 4002 RTP/AVP 8\n");
    let said = reinvite(&mut scene, 2, &both);
    assert!(said[0] == base && said[1] != 0 && said[1] != base, "{said:?}");
    assert_eq!(scene.sim.media_ports(bob.id), 2);
    assert_eq!(bob.streams(call), ["0 to 4000", "1 to 4002"]);
    let gone = "m=audio 0 RTP/AVP 0\nm=audio 4002 RTP/AVP 8\n";
    assert_eq!(reinvite(&mut scene, 3, gone), [0, said[1]]);
    assert_eq!(bob.streams(call)[2..], ["0 over"]);
    // Its pair waited for it.
    assert_eq!(reinvite(&mut scene, 4, &both), said);
    assert_eq!(bob.streams(call)[3..], ["0 to 4000"]);
    assert_eq!(scene.sim.media_ports(bob.id), 2);
    hung_up(&mut scene, peer, &bob, &tag);
}

#[test]
fn an_added_stream_without_ports_is_refused_and_the_others_stay() {
    let mut scene = Scene::new();
    let bob = scene.phone(BOB, PhoneParameters::without_server("bob").rtp_ports(30_000, 30_001));
    scene.start(&bob);
    let (peer, call, tag, _) = called(&mut scene, &bob, "m=audio 4000 RTP/AVP 0\n");
    scene.say(peer, &bob, &request("INVITE", 2, Some(&tag), &offer(TWO)));
    let (status, response) = scene.answer_to(peer, "INVITE", 2);
    assert_eq!((status, ports(&response)), (200, vec![30_000, 0, 0]));
    scene.say(peer, &bob, &request("ACK", 2, Some(&tag), ""));
    assert_eq!(bob.streams(call), ["0 to 4000"]);
    hung_up(&mut scene, peer, &bob, &tag);
}

#[test]
fn we_offer_as_many_streams_as_are_asked_for() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
    let mut call = |streams| {
        scene.tell(&alice, |phone| {
            phone.call("sip:bob@10.0.0.2", CallOptions::default().streams(streams))
        })
    };
    for unusable in [0, 5] {
        let refused = call(unusable);
        assert!(matches!(refused, Err(Error::InvalidValue { .. })), "{refused:?}");
    }
    let calling = call(3).unwrap();
    let called = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.answer(called)).unwrap();
    scene.reach(&alice, calling, CallState::Answered);
    scene.run(Duration::from_millis(100));
    let invite = scene.sent(ALICE, "INVITE").remove(0);
    let offered = ports(&invite);
    assert!(offered.len() == 3 && !offered.contains(&0), "{offered:?}");
    for (actor, call) in [(&alice, calling), (&bob, called)] {
        assert_eq!(actor.streams(call).len(), 3);
        assert_eq!(scene.sim.media_ports(actor.id), 3);
    }
    scene.tell(&alice, |phone| phone.hangup(calling)).unwrap();
    scene.assert_idle(&alice);
    scene.assert_idle(&bob);
}

#[test]
fn a_host_name_in_the_connection_line_is_refused_by_name() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let named = offer("m=audio 4000 RTP/AVP 0\nc=IN IP4 media.example.com\n");
    scene.say(peer, &bob, &request("INVITE", 1, None, &named));
    let (status, response) = scene.answer_to(peer, "INVITE", 1);
    assert_eq!(status, 488);
    let warning = header(&response, "Warning").unwrap();
    assert!(warning.starts_with("301 ") && warning.contains("media.example.com"), "{warning}");
    assert!(
        !bob.events()
            .iter()
            .any(|event| matches!(event, Event::Phone(PhoneEvent::Incoming { .. })))
    );
    scene.assert_idle(&bob);
}
