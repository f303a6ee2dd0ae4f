//! What a phone that calls does with the responses of others, word by word.

use super::scene::{
    ALICE, Actor, PEER, Scene, described, header, headers, response, sdp, session, tag,
};
use crate::call::CallOptions;
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{CallEvent, CallId, CallState, EndedBy, Event, PhoneStatus};
use crate::sim::{Arrival, NodeId, ScriptedPeer};
use crate::time::Duration;

pub(super) const TARGET: &str = "sip:bob@10.0.0.9";

/// Alice, calling a peer that reacts like this.
fn calling(
    reaction: impl FnMut(&mut ScriptedPeer, &Arrival) + 'static,
) -> (Scene, Actor, CallId, NodeId<ScriptedPeer>) {
    let mut scene = Scene::new();
    let alice = scene.direct(ALICE, "alice");
    let peer = scene.peer(PEER, reaction);
    let call = scene.call(&alice, TARGET);
    scene.run(Duration::from_millis(50));
    (scene, alice, call, peer)
}

fn is(arrival: &Arrival, method: &str) -> bool {
    arrival.first_line().starts_with(method)
}

/// Answers everything but INVITE and ACK.
pub(super) fn agree(peer: &mut ScriptedPeer, arrival: &Arrival) {
    let line = arrival.first_line();
    let words = ["INVITE", "ACK", "SIP/2.0"];
    if !words.iter().any(|word| line.starts_with(word)) {
        peer.reply(arrival, "200 OK", "");
    }
}

/// Lets the peer answer an INVITE that came, with a tag of its choice.
pub(super) fn answer(
    scene: &mut Scene,
    peer: NodeId<ScriptedPeer>,
    invite: &Arrival,
    status: &str,
    tag: &str,
    more: &str,
) {
    scene.sim[peer].send(invite.from, &response(invite, status, tag, more));
    scene.run(Duration::from_millis(50));
}

pub(super) fn last(scene: &Scene, peer: NodeId<ScriptedPeer>, method: &str) -> Arrival {
    scene.sim[peer].last(method).expect("it came").clone()
}

#[test]
fn the_invite_is_whole() {
    let mut scene = Scene::new();
    let alice = scene.direct(ALICE, "alice");
    let peer = scene.silent_peer();
    let options =
        CallOptions::default().header("X-Order", "42").codecs(&[crate::codec::Codec::Pcma]);
    let call =
        scene.tell(&alice, |phone| phone.call("\"Bob B.\" <sip:bob@10.0.0.9>", options)).unwrap();
    scene.run(Duration::from_millis(50));
    let invite = last(&scene, peer, "INVITE").text().into_owned();
    assert!(invite.starts_with("INVITE sip:bob@10.0.0.9 SIP/2.0\r\n"), "{invite}");
    assert_eq!(header(&invite, "To"), Some("Bob B. <sip:bob@10.0.0.9>"));
    assert!(header(&invite, "From").unwrap().starts_with("<sip:alice@10.0.0.1:5060>;tag="));
    assert_eq!(header(&invite, "Contact"), Some("<sip:alice@10.0.0.1:5060>"));
    assert_eq!(header(&invite, "Max-Forwards"), Some("70"));
    assert_eq!(header(&invite, "X-Order"), Some("42"));
    let via = header(&invite, "Via").unwrap();
    assert!(via.starts_with("SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK") && via.ends_with(";rport"));
    assert!(invite.contains("c=IN IP4 10.0.0.1") && !invite.contains("0.0.0.0"), "{invite}");
    assert!(invite.contains("RTP/AVP 8 "), "{invite}");
    assert_eq!(scene.sim[alice.id].info(call).unwrap().remote, TARGET);
}

#[test]
fn provisional_responses_are_told_and_early_media_opens() {
    let (mut scene, alice, call, peer) = calling(agree);
    let invite = last(&scene, peer, "INVITE");
    answer(&mut scene, peer, &invite, "100 Trying", "", "");
    answer(&mut scene, peer, &invite, "180 Ringing", "b", "");
    assert_eq!(scene.sim[alice.id].state(call), Some(CallState::Dialing));
    answer(&mut scene, peer, &invite, "183 Session Progress", "b", &described());
    assert_eq!(alice.media(call).len(), 1);
    // The 200 repeats the answer or leaves it out.
    answer(&mut scene, peer, &invite, "200 OK", "b", "Contact: <sip:bob@10.0.0.9>");
    assert_eq!(alice.media(call).len(), 1);
    assert_eq!(
        alice.states(call),
        [
            (CallState::Dialing, None),
            (CallState::Dialing, Some(180)),
            (CallState::Progress, Some(183)),
            (CallState::Answered, Some(200)),
        ]
    );
}

#[test]
fn any_provisional_response_may_open_early_media() {
    let (mut scene, alice, call, peer) = calling(agree);
    let invite = last(&scene, peer, "INVITE");
    answer(&mut scene, peer, &invite, "180 Ringing", "b", &described());
    assert_eq!(alice.media(call).len(), 1);
    assert_eq!(scene.sim[alice.id].state(call), Some(CallState::Progress));
}

#[test]
fn each_final_refusal_ends_the_call_with_its_code() {
    for status in [300, 302, 400, 404, 486, 488, 500, 503, 600, 603] {
        for provisional in [false, true] {
            let (mut scene, alice, call, peer) = calling(agree);
            let invite = last(&scene, peer, "INVITE");
            if provisional {
                answer(&mut scene, peer, &invite, "180 Ringing", "b", "");
            }
            answer(&mut scene, peer, &invite, &format!("{status} No"), "b", "");
            assert_eq!(scene.ended(&alice, call), (EndedBy::Remote, Some(status)));
            assert_eq!(scene.sim[peer].count("ACK"), 1, "{status} is acknowledged");
            scene.assert_idle(&alice);
        }
    }
}

#[test]
fn nobody_there_is_a_timeout_after_32_seconds() {
    let (mut scene, alice, call, peer) = calling(|_, _| {});
    let start = scene.sim.now();
    assert_eq!(scene.ended(&alice, call), (EndedBy::Timeout, None));
    assert_eq!(scene.sim.now().since(start).as_millis() / 100, 319);
    assert_eq!(scene.sim[peer].count("INVITE"), 7);
    assert_eq!(scene.sim[peer].count("CANCEL"), 0);
    scene.assert_idle(&alice);
}

/// Alice, who waits five seconds for an answer of a peer that says nothing, and has given up; and the
/// INVITE.
fn given_up() -> (Scene, Actor, NodeId<ScriptedPeer>, Arrival) {
    let mut scene = Scene::new();
    let parameters = PhoneParameters::without_server("alice");
    let alice = scene.phone(ALICE, parameters.answer_timeout(Duration::from_secs(5)));
    scene.start(&alice);
    let peer = scene.peer(PEER, agree);
    let call = scene.call(&alice, TARGET);
    let start = scene.sim.now();
    assert_eq!(scene.ended(&alice, call), (EndedBy::Timeout, None));
    assert_eq!(scene.sim.now().since(start).as_secs(), 5);
    let why = alice.events().into_iter().find_map(|event| match event {
        Event::Call { event: CallEvent::Ended(ending), .. } => {
            ending.error.map(|error| error.to_string())
        }
        _ => None,
    });
    assert!(why.is_some_and(|why| {
        why.contains("bob@10.0.0.9 cannot be reached: there was no response at all")
    }));
    assert_eq!(scene.sim[alice.id].state(call), None);
    assert_eq!(scene.sim[peer].count("CANCEL"), 0, "§9.1");
    let invite = last(&scene, peer, "INVITE");
    (scene, alice, peer, invite)
}

#[test]
fn an_invite_that_was_given_up_is_cancelled_when_somebody_is_heard() {
    let (mut scene, alice, peer, invite) = given_up();
    for _ in 0..2 {
        answer(&mut scene, peer, &invite, "180 Ringing", "b", "");
    }
    assert_eq!(scene.sim[peer].count("CANCEL"), 1);
    answer(&mut scene, peer, &invite, "487 Request Terminated", "b", "");
    assert_eq!(scene.sim[peer].count("ACK"), 1);
    let ends = alice
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::Call { event: CallEvent::Ended(_), .. }));
    assert_eq!(ends.count(), 1, "it is told once");
    scene.assert_idle(&alice);
}

#[test]
fn an_invite_that_was_given_up_is_hung_up_when_it_is_answered() {
    let (mut scene, alice, peer, invite) = given_up();
    let told = alice.events().len();
    answer(&mut scene, peer, &invite, "200 OK", "b", &described());
    assert_eq!((scene.sim[peer].count("ACK"), scene.sim[peer].count("BYE")), (1, 1));
    assert_eq!(alice.events().len(), told, "the application is done with it");
    scene.assert_idle(&alice);
}

#[test]
fn an_invite_that_was_given_up_keeps_no_phone_from_stopping() {
    let (mut scene, alice, _, _) = given_up();
    scene.tell(&alice, |phone| phone.stop());
    scene.run(Duration::from_secs(1));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Inactive);
    scene.assert_idle(&alice);
}

#[test]
fn ringing_without_end_is_cancelled() {
    let (mut scene, alice, call, peer) = calling(agree);
    let invite = last(&scene, peer, "INVITE");
    answer(&mut scene, peer, &invite, "180 Ringing", "b", "");
    scene.run(Duration::from_secs(180));
    assert_eq!(scene.sim[peer].count("CANCEL"), 1);
    answer(&mut scene, peer, &invite, "487 Request Terminated", "b", "");
    assert_eq!(scene.ended(&alice, call), (EndedBy::Timeout, Some(487)));
}

#[test]
fn an_unreachable_target_is_an_error() {
    let mut scene = Scene::new();
    scene.sim.set_unreachable_reports(true);
    let alice = scene.direct(ALICE, "alice");
    scene.silent_peer();
    let call = scene.call(&alice, "sip:bob@10.0.0.9:9");
    assert_eq!(scene.ended(&alice, call), (EndedBy::Error, None));
    scene.assert_idle(&alice);
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    let (mut scene, alice, call, peer) = calling(agree);
    scene.tell(&alice, |phone| phone.cancel(call)).unwrap();
    scene.run(Duration::from_secs(2));
    assert_eq!(scene.sim[peer].count("CANCEL"), 0, "§9.1");
    assert_eq!(scene.sim[alice.id].state(call), Some(CallState::Canceling));
    let invite = last(&scene, peer, "INVITE");
    answer(&mut scene, peer, &invite, "100 Trying", "", "");
    let cancel = last(&scene, peer, "CANCEL");
    assert_eq!(cancel.header("Via"), invite.header("Via"));
    assert_eq!(cancel.header("CSeq").as_deref(), Some("1 CANCEL"));
    answer(&mut scene, peer, &invite, "487 Request Terminated", "b", "");
    assert_eq!(scene.ended(&alice, call), (EndedBy::Local, Some(487)));
    scene.assert_idle(&alice);
}

#[test]
fn cancel_ends_at_once_while_nothing_was_sent() {
    let mut scene = Scene::new();
    let alice = scene.direct(ALICE, "alice");
    let call = scene.call(&alice, TARGET);
    scene.tell(&alice, |phone| phone.cancel(call)).unwrap();
    assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None));
    assert!(scene.sent(ALICE, "INVITE").is_empty());
    scene.assert_idle(&alice);
}

#[test]
fn a_cancelled_call_that_nobody_ends_is_over_in_bounded_time() {
    let (mut scene, alice, call, peer) = calling(agree);
    let invite = last(&scene, peer, "INVITE");
    answer(&mut scene, peer, &invite, "180 Ringing", "b", "");
    scene.tell(&alice, |phone| phone.cancel(call)).unwrap();
    let start = scene.sim.now();
    assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None));
    assert_eq!(scene.sim.now().since(start).as_secs(), 32, "§9.1: 64*T1");
    // And one to which nobody ever says a word.
    let (mut scene, alice, call, _) = calling(|_, _| {});
    scene.tell(&alice, |phone| phone.cancel(call)).unwrap();
    assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None));
}

#[test]
fn an_answer_that_crosses_cancel_is_acknowledged_and_hung_up() {
    for heard in [false, true] {
        let (mut scene, alice, call, peer) = calling(agree);
        let invite = last(&scene, peer, "INVITE");
        if heard {
            answer(&mut scene, peer, &invite, "180 Ringing", "b", "");
        }
        scene.tell(&alice, |phone| phone.cancel(call)).unwrap();
        scene.run(Duration::from_millis(1));
        answer(&mut scene, peer, &invite, "200 OK", "b", &described());
        assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None));
        assert_eq!((scene.sim[peer].count("ACK"), scene.sim[peer].count("BYE")), (1, 1));
        assert!(!alice.states(call).contains(&(CallState::Answered, Some(200))));
        assert!(alice.states(call).contains(&(CallState::Canceling, None)));
        assert!(alice.media(call).is_empty());
        scene.assert_idle(&alice);
    }
}

#[test]
fn the_ack_is_kept_and_sent_again_for_each_copy_of_the_2xx() {
    let (mut scene, _, _, peer) = calling(agree);
    let invite = last(&scene, peer, "INVITE");
    for count in 1..=3 {
        answer(&mut scene, peer, &invite, "200 OK", "b", &described());
        assert_eq!(scene.sim[peer].count("ACK"), count);
        scene.run(Duration::from_secs(5));
    }
    let acks: Vec<_> = scene.sim[peer].received().iter().filter(|a| is(a, "ACK")).collect();
    assert!(acks.iter().all(|ack| ack.bytes == acks[0].bytes));
    let ack = acks[0].text();
    assert!(ack.starts_with("ACK sip:bob@10.0.0.9:5060 SIP/2.0"), "{ack}");
    assert_eq!(header(&ack, "CSeq"), Some("1 ACK"));
    assert_ne!(header(&ack, "Via").map(str::to_owned), invite.header("Via"));
    scene.run(Duration::from_secs(60));
    answer(&mut scene, peer, &invite, "200 OK", "b", &described());
    assert_eq!(scene.sim[peer].count("ACK"), 3, "no copy comes after 32 s");
}

#[test]
fn the_first_2xx_of_a_fork_wins_and_the_others_are_hung_up() {
    let (mut scene, alice, call, peer) = calling(agree);
    let invite = last(&scene, peer, "INVITE");
    for tag in ["one", "two", "three"] {
        answer(&mut scene, peer, &invite, "180 Ringing", tag, "Contact: <sip:bob@10.0.0.9>");
    }
    answer(&mut scene, peer, &invite, "200 OK", "two", &described());
    for _ in 0..2 {
        answer(&mut scene, peer, &invite, "200 OK", "three", &described());
    }
    let to = |method: &str| -> Vec<String> {
        let arrivals = scene.sim[peer].received().iter().filter(|arrival| is(arrival, method));
        arrivals.map(|arrival| tag(&arrival.header("To").unwrap()).to_owned()).collect()
    };
    assert_eq!(to("ACK"), ["two", "three", "three"], "each copy is acknowledged");
    assert_eq!(to("BYE"), ["three"], "and ended once");
    assert_eq!(scene.sim[alice.id].state(call), Some(CallState::Answered));
    scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
    assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None));
    assert_eq!(
        last(&scene, peer, "BYE").header("To").map(|to| tag(&to).to_owned()).unwrap(),
        "two"
    );
    scene.assert_idle(&alice);
}

#[test]
fn each_early_dialog_has_a_stream_of_its_own_until_one_answers() {
    let (mut scene, alice, call, peer) = calling(agree);
    let invite = last(&scene, peer, "INVITE");
    let at = |port: &str| described().replace("4000", port);
    answer(&mut scene, peer, &invite, "183 Session Progress", "one", &at("4010"));
    answer(&mut scene, peer, &invite, "183 Session Progress", "two", &at("4020"));
    answer(&mut scene, peer, &invite, "200 OK", "two", &at("4020"));
    assert_eq!(alice.streams(call), ["0 to 4010", "4 to 4020", "0 over"]);
    // Both are heard on the pair of ports that was offered, and an early dialog that ends is not.
    let ports = alice.ports(call);
    assert_eq!(ports[0], ports[1]);
    let (mut scene, alice, call, peer) = calling(agree);
    let invite = last(&scene, peer, "INVITE");
    for (index, tag) in ["one", "two", "three", "four", "five"].iter().enumerate() {
        let at = at(&format!("40{index}0"));
        answer(&mut scene, peer, &invite, "183 Session Progress", tag, &at);
    }
    let four = ["0 to 4000", "4 to 4010", "8 to 4020", "12 to 4030"];
    assert_eq!(alice.streams(call), four, "as many as are heard at a time");
    answer(&mut scene, peer, &invite, "200 OK", "five", &at("4040"));
    let rest = ["0 over", "4 over", "8 over", "12 over", "16 to 4040"];
    assert_eq!(alice.streams(call), [&four[..], &rest[..]].concat());
    scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
    scene.assert_idle(&alice);
}

#[test]
fn an_answer_that_cannot_be_used_is_acknowledged_and_hung_up() {
    let other = described().replace("0 8", "18");
    let none = "Contact: <sip:bob@10.0.0.9>".to_owned();
    let text = "Contact: <sip:bob@10.0.0.9>\nContent-Type: text/plain\n\nhello\n".to_owned();
    for body in [other, none, text] {
        let (mut scene, alice, call, peer) = calling(agree);
        let invite = last(&scene, peer, "INVITE");
        answer(&mut scene, peer, &invite, "200 OK", "b", &body);
        assert_eq!(scene.ended(&alice, call), (EndedBy::Error, None), "{body}");
        assert_eq!((scene.sim[peer].count("ACK"), scene.sim[peer].count("BYE")), (1, 1));
        let why = last(&scene, peer, "BYE").header("Reason").expect("it is said why");
        assert_eq!(why, "SIP ;cause=488 ;text=\"Not Acceptable Here\"");
        assert!(no_media(&alice), "{:?}", alice.events());
        scene.assert_idle(&alice);
    }
}

/// Whether the call ended because nothing could have been heard.
pub(super) fn no_media(alice: &Actor) -> bool {
    let told = |event: &Event| {
        matches!(event, Event::Call { event: CallEvent::Ended(ending), .. }
            if matches!(ending.error, Some(Error::NoMedia { problem }) if !problem.is_empty()))
    };
    alice.events().iter().any(told)
}

#[test]
fn the_route_set_is_reversed_and_loose() {
    let (mut scene, alice, call, peer) = calling(agree);
    let invite = last(&scene, peer, "INVITE");
    let routes = "Record-Route: <sip:far.example;lr>\nRecord-Route: <sip:10.0.0.9:5060;lr;x=1>\n";
    answer(&mut scene, peer, &invite, "200 OK", "b", &format!("{routes}{}", described()));
    scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
    scene.run(Duration::from_millis(50));
    for method in ["ACK", "BYE"] {
        let text = last(&scene, peer, method).text().into_owned();
        assert!(text.starts_with(&format!("{method} sip:bob@10.0.0.9:5060 ")), "{text}");
        assert_eq!(headers(&text, "Route"), ["<sip:10.0.0.9:5060;lr;x=1>", "<sip:far.example;lr>"]);
    }
}

#[test]
fn a_strict_router_gets_its_own_uri() {
    let (mut scene, alice, call, peer) = calling(agree);
    let invite = last(&scene, peer, "INVITE");
    let routes = "Record-Route: <sip:far.example;lr>, <sip:10.0.0.9:5060>\n";
    answer(&mut scene, peer, &invite, "200 OK", "b", &format!("{routes}{}", described()));
    scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
    scene.run(Duration::from_millis(50));
    let bye = last(&scene, peer, "BYE").text().into_owned();
    assert!(bye.starts_with("BYE sip:10.0.0.9:5060 SIP/2.0"), "{bye}");
    assert_eq!(headers(&bye, "Route"), ["<sip:far.example;lr>", "<sip:bob@10.0.0.9:5060>"]);
    assert_eq!(header(&bye, "CSeq"), Some("2 BYE"));
}

#[test]
fn a_contact_by_name_is_looked_up_before_ack() {
    let (mut scene, alice, call, peer) = calling(agree);
    scene.sim.set_name("bob.example", &[core::net::IpAddr::from(PEER)]);
    let invite = last(&scene, peer, "INVITE");
    let named = described().replace("sip:bob@10.0.0.9:5060", "sip:bob@Bob.Example");
    answer(&mut scene, peer, &invite, "200 OK", "b", &named);
    assert_eq!(scene.sim[peer].count("ACK sip:bob@Bob.Example"), 1);
    assert_eq!(scene.sim[alice.id].state(call), Some(CallState::Answered));
    // One that nobody knows cannot even be hung up.
    let (mut scene, alice, call, peer) = calling(agree);
    let invite = last(&scene, peer, "INVITE");
    answer(&mut scene, peer, &invite, "200 OK", "b", &named);
    assert_eq!(scene.ended(&alice, call), (EndedBy::Error, None));
    scene.assert_idle(&alice);
}

#[test]
fn byes_that_cross_end_the_call_on_both_sides() {
    let (mut scene, alice, call, peer) = calling(|_, _| {});
    let invite = last(&scene, peer, "INVITE");
    answer(&mut scene, peer, &invite, "200 OK", "b", &described());
    scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
    scene.run(Duration::from_millis(50));
    let from = invite.header("From").unwrap();
    let bye = format!(
        "BYE sip:alice@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKx;rport\n\
         From: <sip:bob@10.0.0.9>;tag=b\nTo: {from}\nCall-ID: {}\nCSeq: 5 BYE\n\
         Max-Forwards: 70\nContent-Length: 0\n\n",
        invite.header("Call-ID").unwrap()
    );
    scene.say(peer, &alice, &bye);
    assert_eq!(scene.answer_to(peer, "BYE", 5).0, 200);
    assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None));
    scene.assert_idle(&alice);
}

#[test]
fn whatever_bye_is_answered_the_call_is_over() {
    for status in ["200 OK", "481 No Dialog", "403 Forbidden", "401 Who", "500 No"] {
        let (mut scene, alice, call, peer) = calling(move |peer, arrival| {
            if is(arrival, "BYE") {
                peer.reply(arrival, status, "");
            }
        });
        let invite = last(&scene, peer, "INVITE");
        answer(&mut scene, peer, &invite, "200 OK", "b", &described());
        scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
        assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None), "{status}");
    }
    let (mut scene, alice, call, peer) = calling(|_, _| {});
    let invite = last(&scene, peer, "INVITE");
    answer(&mut scene, peer, &invite, "200 OK", "b", &described());
    scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
    let start = scene.sim.now();
    assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None), "a killed peer");
    assert_eq!(scene.sim.now().since(start).as_secs(), 32);
}

#[test]
fn requests_within_an_early_dialog() {
    let (mut scene, alice, call, peer) = calling(agree);
    let invite = last(&scene, peer, "INVITE");
    answer(&mut scene, peer, &invite, "180 Ringing", "b", "Contact: <sip:bob@10.0.0.9>");
    let early = |method: &str, seq: u32, more: &str| {
        let (head, body) = more.split_once("\n\n").unwrap_or(("", ""));
        let body = body.replace('\n', "\r\n");
        let head = format!(
            "{method} sip:alice@10.0.0.1 SIP/2.0\n\
             Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK{method}{seq};rport\n\
             From: <sip:bob@10.0.0.9>;tag=b\nTo: {}\nCall-ID: {}\nCSeq: {seq} {method}\n\
             Contact: <sip:bob@10.0.0.9>\nMax-Forwards: 70\n{head}\nContent-Length: {}\n\n",
            invite.header("From").unwrap(),
            invite.header("Call-ID").unwrap(),
            body.len()
        );
        head.replace("\n\n", "\n").replace('\n', "\r\n").trim_end().to_owned() + "\r\n\r\n" + &body
    };
    let offer = session(&sdp("sendrecv"));
    for (seq, method, more, expected) in [
        (1, "OPTIONS", "", 200),
        (2, "INVITE", offer.as_str(), 491),
        (3, "UPDATE", offer.as_str(), 491),
        (4, "UPDATE", "", 200),
        (3, "OPTIONS", "", 500),
        (5, "BYE", "", 200),
        (6, "OPTIONS", "", 481),
    ] {
        scene.say(peer, &alice, &early(method, seq, more));
        assert_eq!(scene.answer_to(peer, method, seq).0, expected, "{method} {seq}");
    }
    assert_eq!(scene.sim[alice.id].state(call), Some(CallState::Dialing));
}

#[test]
fn a_response_with_two_vias_was_meant_for_another() {
    let (mut scene, alice, call, peer) = calling(agree);
    let invite = last(&scene, peer, "INVITE");
    let text = response(&invite, "486 Busy Here", "b", "").replacen(
        "From: ",
        "Via: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKz\r\nFrom: ",
        1,
    );
    scene.say(peer, &alice, &text);
    assert_eq!(scene.sim[alice.id].state(call), Some(CallState::Dialing));
    assert_eq!(scene.sim[alice.id].counters().stray, 1);
}

/// Answers without a usable Contact or Record-Route, by header fields.
fn unaddressed() -> Vec<(&'static str, String)> {
    let contact = |value: &str| described().replace("<sip:bob@10.0.0.9:5060>", value);
    let routed = |value: &str| format!("Record-Route: {value}\n{}", described());
    vec![
        ("Contact", contact("<<sip:>")),
        ("Contact", contact("*")),
        ("Contact", contact("<tel:+1>")),
        ("Contact", contact("<http://10.0.0.9>")),
        ("Record-Route", routed("<sip:")),
        ("Record-Route", routed("<http://10.0.0.9>")),
        ("Record-Route", routed(&["<sip:10.0.0.9;lr>"; 33].join(", "))),
    ]
}

#[test]
fn a_2xx_that_does_not_say_where_to_reach_its_sender_is_acknowledged_and_hung_up() {
    for (field, more) in unaddressed() {
        let (mut scene, alice, call, peer) = calling(|_, _| {});
        let invite = last(&scene, peer, "INVITE");
        for _ in 0..2 {
            answer(&mut scene, peer, &invite, "200 OK", "b", &more);
        }
        assert_eq!(scene.sim[peer].count("ACK"), 2, "each copy: {more}");
        let ack = last(&scene, peer, "ACK").text().into_owned();
        assert!(ack.starts_with("ACK sip:bob@10.0.0.9"), "{ack}");
        let bye = last(&scene, peer, "BYE");
        assert_eq!(bye.header("CSeq").as_deref(), Some("2 BYE"));
        scene.sim[peer].send(bye.from, &response(&bye, "200 OK", "b", ""));
        assert_eq!(scene.ended(&alice, call), (EndedBy::Error, None), "{more}");
        let told = alice.events().iter().any(|event| {
            matches!(event, Event::Call { event: CallEvent::Ended(ending), .. }
                if matches!(&ending.error, Some(Error::Unreachable { problem, .. })
                    if problem.contains(field)))
        });
        assert!(told, "{more} {:?}", alice.events());
        let states = alice.states(call);
        assert!(!states.iter().any(|(state, _)| *state == CallState::Answered), "{states:?}");
        scene.assert_idle(&alice);
    }
}

#[test]
fn a_2xx_whose_contact_cannot_be_reached_is_acknowledged_where_the_invite_went() {
    for uri in ["sip:bob@nowhere.example", "sips:bob@10.0.0.9", "sip:bob@[2001:db8::1]"] {
        let (mut scene, alice, call, peer) = calling(agree);
        let invite = last(&scene, peer, "INVITE");
        let more = described().replace("sip:bob@10.0.0.9:5060", uri);
        answer(&mut scene, peer, &invite, "200 OK", "b", &more);
        let (by, _) = scene.ended(&alice, call);
        assert_eq!(by, EndedBy::Error, "{uri}");
        assert_eq!((scene.sim[peer].count("ACK"), scene.sim[peer].count("BYE")), (1, 1), "{uri}");
        scene.assert_idle(&alice);
    }
}

#[test]
fn late_answers_of_a_fork_are_ended_wherever_they_say_they_are() {
    let mut answers = unaddressed();
    answers.push(("Contact", described().replace("bob@10.0.0.9:5060", "bob@nowhere.example")));
    for (_, more) in answers {
        let (mut scene, alice, call, peer) = calling(agree);
        let invite = last(&scene, peer, "INVITE");
        answer(&mut scene, peer, &invite, "200 OK", "one", &described());
        for copy in 1..=2 {
            answer(&mut scene, peer, &invite, "200 OK", "two", &more);
            scene.run(Duration::from_secs(1));
            assert_eq!(scene.sim[peer].count("ACK"), 1 + copy, "{more}");
        }
        assert_eq!(scene.sim[peer].count("BYE"), 1, "{more}");
        assert_eq!(scene.sim[alice.id].state(call), Some(CallState::Answered));
        scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
        assert_eq!(scene.ended(&alice, call), (EndedBy::Local, None));
        scene.assert_idle(&alice);
    }
}

#[test]
fn a_call_that_is_not_responded_to_ends_when_the_answer_timeout_says() {
    for late in [None, Some("180 Ringing"), Some("200 OK"), Some("486 Busy Here")] {
        let mut scene = Scene::new();
        let mut parameters = PhoneParameters::without_server("alice");
        parameters.answer_timeout = Duration::from_secs(5);
        let alice = scene.phone(ALICE, parameters);
        scene.start(&alice);
        let peer = scene.peer(PEER, agree);
        let call = scene.call(&alice, TARGET);
        let start = scene.sim.now();
        assert_eq!(scene.ended(&alice, call), (EndedBy::Timeout, None));
        assert_eq!(scene.sim.now().since(start).as_secs(), 5);
        let told = alice.events().iter().any(|event| {
            matches!(event, Event::Call { event: CallEvent::Ended(ending), .. }
                if matches!(&ending.error, Some(Error::Unreachable { peer, problem })
                    if peer == TARGET && problem.contains("no response at all")))
        });
        assert!(told, "{:?}", alice.events());
        assert_eq!(scene.sim[peer].count("CANCEL"), 0, "§9.1");
        assert_eq!(scene.sim[alice.id].state(call), None);
        assert_eq!(scene.sim[alice.id].calls().count(), 0);
        let invite = last(&scene, peer, "INVITE");
        if let Some(status) = late {
            answer(&mut scene, peer, &invite, status, "b", &described());
        }
        let counts = ["CANCEL", "ACK", "BYE"].map(|method| scene.sim[peer].count(method));
        let expected = match late {
            Some("180 Ringing") => [1, 0, 0],
            Some("200 OK") => [0, 1, 1],
            Some(_) => [0, 1, 0],
            None => [0, 0, 0],
        };
        assert_eq!(counts, expected, "{late:?}");
        if late == Some("180 Ringing") {
            answer(&mut scene, peer, &invite, "487 Request Terminated", "b", "");
        }
        scene.ended(&alice, call);
        scene.assert_idle(&alice);
    }
}

#[test]
fn a_call_that_rang_is_told_apart_from_one_without_a_response() {
    let (mut scene, alice, call, peer) = calling(agree);
    let invite = last(&scene, peer, "INVITE");
    answer(&mut scene, peer, &invite, "180 Ringing", "b", "");
    scene.run(Duration::from_secs(180));
    answer(&mut scene, peer, &invite, "487 Request Terminated", "b", "");
    scene.ended(&alice, call);
    let told = alice.events().iter().any(|event| {
        matches!(event, Event::Call { event: CallEvent::Ended(ending), .. }
            if ending.error.is_some())
    });
    assert!(!told, "{:?}", alice.events());
}

#[test]
fn a_stopping_phone_does_not_wait_for_an_invite_that_it_has_given_up() {
    let mut scene = Scene::new();
    let mut parameters = PhoneParameters::without_server("alice");
    parameters.answer_timeout = Duration::from_secs(5);
    let alice = scene.phone(ALICE, parameters);
    scene.start(&alice);
    scene.silent_peer();
    let call = scene.call(&alice, TARGET);
    scene.ended(&alice, call);
    scene.tell(&alice, |phone| phone.stop());
    scene.run(Duration::from_secs(1));
    assert_eq!(scene.sim[alice.id].status(), crate::event::PhoneStatus::Inactive);
    scene.ended(&alice, call);
}
