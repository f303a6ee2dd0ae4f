//! Responses that are not those of the request they come for: they change nothing, and the right one
//! that follows counts (RFC 3261 §8.1.3.3, §17.1.3).

use super::scene::{ALICE, LONG, PEER, Scene, described, response};
use crate::call::CallOptions;
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{CallEvent, EndedBy, Event, PhoneEvent, PhoneStatus};
use crate::sim::{Arrival, ScriptedPeer};
use crate::time::Duration;

/// What makes a response somebody else's.
const SPOILERS: [fn(&str) -> String; 5] = [
    // A second Via: it belongs to the hop below (webrtc2sip#53).
    |text| text.replacen("\r\n\r\n", "\r\nVia: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKx\r\n\r\n", 1),
    // In one field, and unreadable.
    |text| text.replacen(";rport", ";rport, SIP/2.0/UDP", 1),
    |text| text.replacen("branch=z9hG4bK", "branch=z9hG4bKx", 1),
    |text| text.replacen("\r\nCSeq: ", "\r\nCSeq: 1 PRACK\r\nX-CSeq: ", 1),
    // No message: the Call-ID is missing.
    |text| text.replacen("Call-ID", "X-Id", 1),
];

/// Answers each request first with that status, spoiled, and then, if it is not the first, as
/// `right` says.
fn spoiling(
    status: &'static str,
    spoil: fn(&str) -> String,
    right: impl Fn(&Arrival) -> String + 'static,
) -> impl FnMut(&mut ScriptedPeer, &Arrival) + 'static {
    let mut requests = 0;
    move |peer, arrival| {
        if arrival.first_line().starts_with("ACK") {
            return;
        }
        requests += 1;
        let more =
            if arrival.first_line().starts_with("INVITE") { described() } else { String::new() };
        peer.send(arrival.from, &spoil(&response(arrival, status, "stray", &more)));
        if requests > 1 {
            peer.send(arrival.from, &right(arrival));
        }
    }
}

#[test]
fn a_stray_final_response_ends_no_request() {
    for status in ["200 OK", "404 Not Found", "183 Session Progress"] {
        for spoil in SPOILERS {
            let mut scene = Scene::new();
            let peer = scene.peer(
                PEER,
                spoiling(status, spoil, |arrival| response(arrival, "202 Accepted", "right", "")),
            );
            let alice = scene.direct(ALICE, "alice");
            scene
                .tell(&alice, |phone| phone.message("sip:x@10.0.0.9", b"hi", "text/plain"))
                .unwrap();
            scene.tell(&alice, |phone| phone.options("sip:x@10.0.0.9")).unwrap();
            scene.run(LONG);
            let told = |event: &Event| match event {
                Event::Response { reply, .. } => reply.as_ref().ok().map(|reply| reply.cause.code),
                _ => None,
            };
            let told: Vec<u16> = alice.events().iter().filter_map(told).collect();
            assert_eq!(told, [202, 202], "{status} {}", scene.ladder());
            assert!(scene.sim[peer].received().len() <= 4, "the right one ends the repetition");
            scene.assert_idle(&alice);
        }
    }
}

#[test]
fn a_stray_response_neither_answers_a_call_nor_ends_it() {
    for status in ["200 OK", "486 Busy Here", "180 Ringing"] {
        for spoil in SPOILERS {
            let mut scene = Scene::new();
            let peer = scene.peer(
                PEER,
                spoiling(status, spoil, |arrival| response(arrival, "404 Not Found", "right", "")),
            );
            let alice = scene.direct(ALICE, "alice");
            let call = scene.call(&alice, "sip:x@10.0.0.9");
            assert_eq!(scene.ended(&alice, call), (EndedBy::Remote, Some(404)), "{status}");
            scene.run(Duration::from_secs(1));
            // One ACK, that of the 404.
            assert_eq!(scene.sim[peer].count("ACK"), 1, "{}", scene.ladder());
            scene.assert_idle(&alice);
        }
    }
}

#[test]
fn an_invite_that_only_strays_answer_times_out() {
    let mut scene = Scene::new();
    scene.peer(PEER, |peer, arrival| {
        peer.send(arrival.from, &SPOILERS[0](&response(arrival, "486 Busy Here", "stray", "")));
    });
    let alice = scene.direct(ALICE, "alice");
    let call = scene.call(&alice, "sip:x@10.0.0.9");
    assert_eq!(scene.ended(&alice, call), (EndedBy::Timeout, None));
    scene.assert_idle(&alice);
}

/// Somebody is there who may ring: the call waits for as long as its INVITE may, and says what came.
#[test]
fn what_cannot_be_read_is_not_taken_for_silence() {
    let unreadable: [fn(&str) -> String; 3] = [
        |text| text.replacen("\r\nTo: ", "\r\nX-To: ", 1),
        |text| text.replacen("\r\nContent-Length: ", "\r\nContent-Length: 9", 1),
        |text| text.replacen(" INVITE\r\n", " ACK\r\n", 1),
    ];
    for spoil in unreadable {
        let mut scene = Scene::new();
        scene.peer(PEER, move |peer, arrival| {
            peer.send(arrival.from, &spoil(&response(arrival, "200 OK", "x", &described())));
        });
        let mut parameters = PhoneParameters::without_server("alice");
        parameters.answer_timeout = Duration::from_secs(5);
        let alice = scene.phone(ALICE, parameters);
        scene.start(&alice);
        let call = scene.call(&alice, "sip:x@10.0.0.9");
        let start = scene.sim.now();
        assert_eq!(scene.ended(&alice, call), (EndedBy::Timeout, None));
        assert_eq!(scene.sim.now().since(start).as_secs(), 32, "64*T1");
        let said = alice.events().iter().any(|event| {
            matches!(event, Event::Call { event: CallEvent::Ended(ending), .. }
                if matches!(&ending.error, Some(Error::Unreachable { problem, .. })
                    if problem.contains("no SIP response to the call")))
        });
        assert!(said, "{:?}", alice.events());
        scene.assert_idle(&alice);
    }
}

#[test]
fn a_registration_and_its_refresh_outlive_strays() {
    for spoil in SPOILERS {
        let mut scene = Scene::new();
        // Every first copy of a request is answered astray.
        let mut seen = String::new();
        let server = scene.peer(PEER, move |peer, arrival| {
            let contact = arrival.header("Contact").unwrap_or_default();
            let right = response(arrival, "200 OK", "t", &format!("Contact: {contact};expires=60"));
            let new = core::mem::replace(&mut seen, arrival.header("CSeq").unwrap()) != seen;
            peer.send(arrival.from, &if new { spoil(&right) } else { right });
        });
        let alice =
            scene.phone(ALICE, PhoneParameters::new("10.0.0.9", "alice").password("secret"));
        scene.start(&alice);
        scene.run(Duration::from_secs(2));
        assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Registered);
        scene.run(Duration::from_secs(120));
        let events = alice.events();
        let bound = events
            .iter()
            .filter(|event| matches!(event, Event::Phone(PhoneEvent::Registered { .. })))
            .count();
        assert!(bound >= 3, "{bound} {events:#?}");
        assert!(scene.sim[server].count("REGISTER") >= 2 * bound);
    }
}

/// What is not said rightly of the dialog is of no weight where the branch is ours: no two requests
/// have the same (§17.1.3).
#[test]
fn the_branch_alone_says_what_a_response_is_for() {
    let odd: [fn(&str) -> String; 4] = [
        |text| text.replacen("Call-ID: ", "Call-ID: x", 1),
        |text| text.replacen("CSeq: 1", "CSeq: 7", 1),
        |text| text.replacen(";tag=", ";tag=x", 1),
        |text| text.replacen(";tag=t", "", 1),
    ];
    for spoil in odd {
        let mut scene = Scene::new();
        scene.peer(PEER, move |peer, arrival| {
            peer.send(arrival.from, &spoil(&response(arrival, "200 OK", "t", "")));
        });
        let alice = scene.direct(ALICE, "alice");
        scene.tell(&alice, |phone| phone.options("sip:x@10.0.0.9")).unwrap();
        scene.run(LONG);
        let told = |event: &Event| matches!(event, Event::Response { reply: Ok(_), .. });
        assert!(alice.events().iter().any(told), "{}", scene.ladder());
    }
}

/// An outsider who knows the From tag and not the branch has no say while the INVITE goes on.
#[test]
fn a_200_with_a_foreign_branch_is_no_answer() {
    let mut scene = Scene::new();
    scene.peer(PEER, |peer, arrival| {
        if arrival.first_line().starts_with("INVITE") {
            peer.send(arrival.from, &SPOILERS[2](&response(arrival, "200 OK", "x", &described())));
            peer.send(arrival.from, &response(arrival, "180 Ringing", "t", ""));
            peer.send(arrival.from, &SPOILERS[2](&response(arrival, "603 Decline", "x", "")));
            peer.send(arrival.from, &response(arrival, "200 OK", "t", &described()));
        }
    });
    let alice = scene.direct(ALICE, "alice");
    let call = scene.call(&alice, "sip:x@10.0.0.9");
    scene.reach(&alice, call, crate::event::CallState::Answered);
    let sent = scene.sent(ALICE, "ACK");
    assert!(sent.iter().all(|ack| ack.contains(";tag=t")), "{sent:#?}");
    assert_eq!(sent.len(), 1);
}

/// §13.2.2.4: every 2xx is acknowledged, also one that does not say where its sender is; then BYE ends
/// what he takes for a call (JsSIP #699).
#[test]
fn an_answer_from_nowhere_is_acknowledged_and_ended() {
    let contact = "Contact: <sip:bob@10.0.0.9:5060>\n";
    for odd in [
        "Contact: *\n",
        "Contact: <tel:+1>\n",
        "Contact: <http://10.0.0.9>\n",
        "Contact: <<sip:>\n",
        "Contact: <sip:bob@10.0.0.9:5060>\nRecord-Route: <sip:\n",
        "Contact: <sip:bob@10.0.0.9:5060>\nRecord-Route: <http://x>\n",
    ] {
        for late in [false, true] {
            let mut scene = Scene::new();
            let more = described().replace(contact, odd);
            let peer = scene.peer(PEER, move |peer, arrival| {
                let line = arrival.first_line();
                if line.starts_with("INVITE") {
                    let answer = response(arrival, "200 OK", "t", &more);
                    peer.send(arrival.from, &answer);
                    peer.send(arrival.from, &answer);
                } else if line.starts_with("BYE") {
                    peer.send(arrival.from, &response(arrival, "200 OK", "t", ""));
                }
            });
            let alice = scene.direct(ALICE, "alice");
            let options = CallOptions::default();
            let options = if late { options.late_offer() } else { options };
            let call = scene.tell(&alice, |phone| phone.call("sip:x@10.0.0.9", options)).unwrap();
            assert_eq!(scene.ended(&alice, call).0, EndedBy::Error, "{odd}");
            let came = |what| scene.sim[peer].count(what);
            assert_eq!((came("ACK"), came("BYE")), (2, 1), "{odd}{}", scene.ladder());
            let ack = scene.sim[peer].last("ACK").unwrap();
            assert_eq!(ack.text().contains("m=audio"), late, "{}", ack.text());
            let why = |event: &Event| match event {
                Event::Call { event: CallEvent::Ended(ending), .. } => {
                    ending.error.as_ref().map(ToString::to_string)
                }
                _ => None,
            };
            let why = alice.events().iter().find_map(why).unwrap();
            assert!(why.starts_with("sip:x@10.0.0.9 cannot be reached: its answer"), "{why}");
            scene.assert_idle(&alice);
        }
    }
}
