//! What a phone does with requests outside a dialog and with INVITE, word by word.

use super::scene::{BOB, PEER, Scene, TESTER, header, request, sdp, session, tag};
use crate::config::PhoneParameters;
use crate::event::{CallState, EndedBy, Event, PhoneEvent};
use crate::host::Transport;
use crate::time::Duration;

/// A phone, bob, and what it answers to one request outside a dialog.
fn answered(text: &str) -> (u16, String) {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    scene.say(peer, &bob, text);
    let response = scene.sim[peer].received().last().expect("it is answered").text().into_owned();
    (response[8..11].parse().unwrap(), response)
}

#[test]
fn options_are_answered_outside_and_inside_a_dialog() {
    let (status, response) = answered(&request("OPTIONS", 1, None, ""));
    assert_eq!(status, 200);
    let allow = header(&response, "Allow").unwrap();
    for method in ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "MESSAGE", "NOTIFY"] {
        assert!(allow.contains(method), "{allow}");
    }
    assert_eq!(header(&response, "Accept"), Some("application/sdp"));
    assert!(header(&response, "Supported").is_some());
    assert!(header(&response, "To").unwrap().contains(";tag="));
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let (_, tag) = scene.called_by(peer, &bob);
    scene.say(peer, &bob, &request("OPTIONS", 2, Some(&tag), ""));
    let (status, response) = scene.answer_to(peer, "OPTIONS", 2);
    assert_eq!(status, 200);
    assert!(header(&response, "Allow").is_some());
}

#[test]
fn what_cannot_be_done_is_refused_with_its_own_code() {
    let cases = [
        (501, request("JUGGLE", 1, None, "")),
        (405, request("REGISTER", 1, None, "")),
        (603, request("REFER", 1, None, "Refer-To: <sip:c@d>")),
        (481, request("BYE", 1, None, "")),
        (481, request("BYE", 1, Some("unknown"), "")),
        (481, request("INVITE", 1, Some("0123456789abcdef"), "")),
        (481, request("OPTIONS", 1, Some("unknown"), "")),
        (481, request("CANCEL", 1, None, "")),
        (481, request("NOTIFY", 1, None, "Event: dialog")),
        (481, request("INFO", 1, None, "")),
        (420, request("INVITE", 1, None, "Require: 100rel, norefersub")),
        (420, request("OPTIONS", 1, None, "Require: x")),
        (416, TESTER.request_to("http://example.com/", "OPTIONS", 1, None, "")),
        (415, request("INVITE", 1, None, "Content-Type: text/plain\n\nhello\n")),
        (
            415,
            request(
                "INVITE",
                1,
                None,
                "Content-Encoding: gzip\nContent-Type: application/sdp\n\nx\n",
            ),
        ),
        (400, request("INVITE", 1, None, "Content-Type: application/sdp\n\nnonsense\n")),
        (
            400,
            request("INVITE", 1, None, "").replace("Contact: <sip:tester@10.0.0.9:5060>\r\n", ""),
        ),
        (400, request("OPTIONS", 1, None, "").replace("CSeq: 1 OPTIONS", "CSeq: x OPTIONS")),
        (505, request("OPTIONS", 1, None, "").replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia")),
    ];
    for (expected, text) in cases {
        let (status, response) = answered(&text);
        assert_eq!(status, expected, "{text}\n{response}");
        match status {
            405 | 501 => assert!(header(&response, "Allow").is_some(), "{response}"),
            415 => assert!(header(&response, "Accept").is_some(), "{response}"),
            420 => assert!(header(&response, "Unsupported").is_some(), "{response}"),
            _ => {}
        }
    }
    let (_, response) = answered(&request("INVITE", 1, None, "Require: 100rel, tdialog, x"));
    assert_eq!(header(&response, "Unsupported"), Some("100rel, x"));
}

#[test]
fn a_request_has_arrived_even_with_no_hop_left() {
    let text = request("OPTIONS", 1, None, "").replace("Max-Forwards: 70", "Max-Forwards: 0");
    assert_eq!(answered(&text).0, 200);
}

#[test]
fn junk_is_counted_and_a_stray_ack_is_not_answered() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    scene.say(peer, &bob, "hello\n\n");
    scene.say(peer, &bob, "\n\n");
    scene.say(peer, &bob, &request("ACK", 1, Some("unknown"), ""));
    let stray = "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKx\nFrom: <sip:a@b>;tag=1\n\
                 To: <sip:a@b>;tag=2\nCall-ID: x\nCSeq: 1 INVITE\nContent-Length: 0\n\n";
    scene.say(peer, &bob, stray);
    assert!(scene.sim[peer].received().is_empty());
    let counters = scene.sim[bob.id].counters();
    assert_eq!((counters.malformed, counters.stray, counters.received), (1, 2, 2));
}

#[test]
fn a_merged_request_is_a_loop() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let invite = request("INVITE", 1, None, &session(&sdp("sendrecv")));
    scene.say(peer, &bob, &invite);
    scene.say(peer, &bob, &invite.replace("branch=z9hG4bK", "branch=z9hG4bKother"));
    assert_eq!(scene.answer_to(peer, "INVITE", 1).0, 482);
    let calls = || {
        bob.events()
            .iter()
            .filter(|e| matches!(e, Event::Phone(PhoneEvent::Incoming { .. })))
            .count()
    };
    assert_eq!(calls(), 1);
    // A hunt whose first branch was cancelled comes by the next with the same CSeq (JsSIP #617).
    let cancel = request("CANCEL", 1, None, "").replace("bKCANCEL", "bKINVITE");
    scene.say(peer, &bob, &cancel);
    assert_eq!(scene.answer_to(peer, "INVITE", 1).0, 487);
    scene.say(peer, &bob, &invite.replace("branch=z9hG4bK", "branch=z9hG4bKnext"));
    assert_eq!((scene.answer_to(peer, "INVITE", 1).0, calls()), (180, 2));
}

#[test]
fn responses_without_rport_go_to_the_port_of_via() {
    // One phone sends from another port than it listens at (Cisco), another wants its answers sent on.
    for (via, port) in [("10.0.0.1:5070", 5070), ("10.0.0.1;maddr=10.0.0.66", 5060)] {
        let mut scene = Scene::new();
        let (bob, peer) = (scene.direct(BOB, "bob"), scene.silent_peer());
        let text = request("OPTIONS", 1, None, "").replace("10.0.0.9:5060;", &format!("{via};"));
        let text = text.replace(";rport", "");
        scene.say(peer, &bob, &text);
        let to = format!("10.0.0.9:{port}");
        assert!(scene.sip().any(|it| it.to.to_string() == to), "{}", scene.ladder());
        // No message at all: it is answered where it would have been.
        scene.say(peer, &bob, &text.replace("Call-ID", "X-Id"));
        let answers =
            scene.sip().filter(|it| it.to.to_string() == to && it.text().starts_with("SIP"));
        assert_eq!(answers.count(), 2, "{}", scene.ladder());
    }
}

#[test]
fn responses_go_to_the_source_and_say_it() {
    let text = request("OPTIONS", 1, None, "").replace("UDP 10.0.0.9:5060", "UDP nat.example:1234");
    let (_, response) = answered(&text);
    let via = header(&response, "Via").unwrap();
    assert!(via.contains("received=10.0.0.9") && via.contains("rport=5060"), "{via}");
}

/// §9.2: the responses to CANCEL and to what it cancels have the same tag, whatever had become of that.
#[test]
fn a_cancel_is_answered_with_the_tag_of_its_invite() {
    let parameters = || PhoneParameters::without_server("bob");
    let mut few = parameters();
    few.max_calls = 0;
    let good = session(&sdp("sendrecv"));
    let bad = session(&sdp("sendrecv").replace("RTP/AVP 0 8", "RTP/AVP 18"));
    for (parameters, body, wait, wanted) in [
        // Before it rings, while it rings, and when it was refused: as busy, as not acceptable.
        (parameters(), &good, 0, 487),
        (parameters(), &good, 50, 487),
        (few, &good, 50, 486),
        (parameters(), &bad, 50, 488),
    ] {
        let mut scene = Scene::new();
        let bob = scene.phone(BOB, parameters);
        scene.start(&bob);
        let peer = scene.silent_peer();
        scene.sim[peer].send(bob.id.address(), &request("INVITE", 1, None, body));
        scene.run(Duration::from_millis(wait));
        scene.say(peer, &bob, &request("CANCEL", 1, None, "").replace("bKCANCEL", "bKINVITE"));
        let (status, response) = scene.answer_to(peer, "INVITE", 1);
        assert_eq!(status, wanted);
        let (cancelled, cancel) = scene.answer_to(peer, "CANCEL", 1);
        assert_eq!(cancelled, 200);
        assert_eq!(tag(header(&cancel, "To").unwrap()), tag(header(&response, "To").unwrap()));
    }
}

/// §20.43: 488 for what could be said differently, 400 for what is no description.
#[test]
fn what_cannot_be_taken_says_why() {
    let many = "m=video 0 RTP/AVP 99\n".repeat(16);
    let formats: String = (0..65).map(|n| format!(" {n}")).collect();
    for (wanted, warning, offer) in [
        (488, "399 offhook \"more than 16 media", sdp("sendrecv") + &many),
        (488, "399 offhook \"line 6: more than 64", sdp("sendrecv").replace(" 0 8", &formats)),
        (400, "399 offhook \"line 4 of the session", sdp("sendrecv").replace("c=IN", "connection")),
        (400, "399 offhook \"not one session", "hello\n".to_owned()),
        (
            488,
            "301 offhook \"the audio's address 2001",
            sdp("").replace("c=IN IP4 10.0.0.9", "c=IN IP6 2001:db8::1"),
        ),
        (488, "300 offhook \"the audio is on", sdp("").replace("c=IN IP4", "c=ATM NSAP")),
        (
            488,
            "301 offhook \"the audio's address is the host name",
            sdp("").replace("c=IN IP4 10.0.0.9", "c=IN IP4 x.example"),
        ),
        (488, "330 offhook", sdp("").replace("c=IN IP4 10.0.0.9", "c=IN IP4 224.2.1.1/127")),
    ] {
        let mut scene = Scene::new();
        let bob = scene.direct(BOB, "bob");
        let peer = scene.silent_peer();
        scene.say(peer, &bob, &request("INVITE", 1, None, &session(&offer)));
        let (status, response) = scene.answer_to(peer, "INVITE", 1);
        assert_eq!(status, wanted, "{response}");
        let said = header(&response, "Warning").unwrap();
        assert!(said.starts_with(warning), "{said}");
        assert!(
            bob.events()
                .iter()
                .all(|event| !matches!(event, Event::Phone(PhoneEvent::Incoming { .. })))
        );
        scene.say(peer, &bob, &request("ACK", 1, Some(tag(header(&response, "To").unwrap())), ""));
        scene.assert_idle(&bob);
    }
}

/// What a re-INVITE asks and cannot have leaves the call as it was.
#[test]
fn a_reoffer_that_cannot_be_taken_says_why() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let (call, to_tag) = scene.called_by(peer, &bob);
    let streams = bob.streams(call);
    let family = sdp("").replace("c=IN IP4 10.0.0.9", "c=IN IP6 2001:db8::1");
    let many = sdp("sendrecv") + &"m=video 0 RTP/AVP 99\n".repeat(16);
    for (seq, wanted, offer) in [(2, 488, family), (3, 488, many), (4, 400, "hello\n".to_owned())] {
        scene.say(peer, &bob, &request("INVITE", seq, Some(&to_tag), &session(&offer)));
        let (status, response) = scene.answer_to(peer, "INVITE", seq);
        assert_eq!(status, wanted, "{response}");
        assert!(header(&response, "Warning").is_some(), "{response}");
        scene.say(peer, &bob, &request("ACK", seq, Some(&to_tag), ""));
    }
    assert_eq!(bob.streams(call), streams);
}

#[test]
fn nothing_common_is_488_and_no_call() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let offer = sdp("sendrecv").replace("RTP/AVP 0 8", "RTP/AVP 18");
    scene.say(peer, &bob, &request("INVITE", 1, None, &session(&offer)));
    let (status, response) = scene.answer_to(peer, "INVITE", 1);
    assert_eq!(status, 488);
    assert!(header(&response, "Warning").unwrap().starts_with("305 "), "{response}");
    assert!(
        !bob.events()
            .iter()
            .any(|event| matches!(event, Event::Phone(PhoneEvent::Incoming { .. })))
    );
    scene.assert_idle(&bob);
}

#[test]
fn a_call_rings_is_answered_and_advertises_a_real_address() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let (call, _) = scene.called_by(peer, &bob);
    let (_, response) = scene.answer_to(peer, "INVITE", 1);
    assert_eq!(header(&response, "Contact"), Some("<sip:bob@10.0.0.2:5060>"));
    assert!(response.contains("c=IN IP4 10.0.0.2") && !response.contains("0.0.0.0"), "{response}");
    let media = bob.media(call);
    assert_eq!(media.len(), 1);
    assert_eq!(media[0].remote_rtp, "10.0.0.9:4000".parse().unwrap());
    let info = scene.sim[bob.id].info(call).unwrap();
    assert_eq!(info.remote, "sip:tester@10.0.0.9");
    assert_eq!(info.remote_name.as_deref(), Some("Tester"));
    assert_eq!(info.call_id, "scripted@10.0.0.9");
    assert_eq!(info.request_uri, "sip:bob@10.0.0.2", "the number dialled");
    assert_eq!(info.body, sdp("sendrecv").replace('\n', "\r\n").into_bytes());
    assert!(info.headers.iter().any(|(name, value)| name == "Max-Forwards" && value == "70"));
    assert_eq!(scene.sent(BOB, "180").len(), 1);
}

#[test]
fn the_2xx_is_repeated_until_ack() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    scene.say(peer, &bob, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
    let call = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.answer(call)).unwrap();
    scene.run(Duration::from_millis(3_600));
    // At 0, 0.5, 1.5 and 3.5 s.
    assert_eq!(scene.sent(BOB, "200").len(), 4);
    let (_, response) = scene.answer_to(peer, "INVITE", 1);
    let tag = tag(header(&response, "To").unwrap()).to_owned();
    // An ACK of another INVITE does not count, nor does a stranger's.
    scene.say(peer, &bob, &request("ACK", 7, Some(&tag), ""));
    let stranger = request("ACK", 1, Some(&tag), "").replace(";tag=tester", ";tag=stranger");
    scene.say(peer, &bob, &stranger);
    scene.run(Duration::from_secs(4));
    assert_eq!(scene.sent(BOB, "200").len(), 5);
    scene.say(peer, &bob, &request("ACK", 1, Some(&tag), ""));
    scene.run(Duration::from_secs(40));
    assert_eq!(scene.sent(BOB, "200").len(), 5);
    assert_eq!(scene.sim[bob.id].state(call), Some(CallState::Answered));
}

#[test]
fn without_ack_the_call_is_hung_up() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.peer(PEER, |peer, arrival| {
        if arrival.first_line().starts_with("BYE") {
            peer.reply(arrival, "200 OK", "");
        }
    });
    scene.say(peer, &bob, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
    let call = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.answer(call)).unwrap();
    let start = scene.sim.now();
    assert_eq!(scene.ended(&bob, call), (EndedBy::Timeout, None));
    assert_eq!(scene.sim.now().since(start).as_secs(), 32);
    // 0, 0.5, 1.5, 3.5, 7.5, then each 4 s up to 31.5 s.
    assert_eq!(scene.sent(BOB, "200 OK").len(), 11);
    assert_eq!(scene.sent(BOB, "BYE").len(), 1);
    scene.assert_idle(&bob);
}

#[test]
fn a_hangup_before_ack_waits_for_it() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.peer(PEER, |peer, arrival| {
        if arrival.first_line().starts_with("BYE") {
            peer.reply(arrival, "200 OK", "");
        }
    });
    scene.say(peer, &bob, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
    let call = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.answer(call).and_then(|()| phone.hangup(call))).unwrap();
    scene.run(Duration::from_millis(200));
    assert!(scene.sent(BOB, "BYE").is_empty(), "§15 forbids BYE before ACK");
    let (_, response) = scene.answer_to(peer, "INVITE", 1);
    let tag = tag(header(&response, "To").unwrap()).to_owned();
    scene.say(peer, &bob, &request("ACK", 1, Some(&tag), ""));
    assert_eq!(scene.ended(&bob, call), (EndedBy::Local, None));
    let bye = scene.sent(BOB, "BYE").remove(0);
    assert!(bye.starts_with("BYE sip:tester@10.0.0.9:5060 SIP/2.0"), "{bye}");
    assert!(header(&bye, "From").unwrap().ends_with(&tag));
    assert!(header(&bye, "To").unwrap().ends_with(";tag=tester"));
}

#[test]
fn a_cancel_that_overtakes_our_ringing_is_answered_with_its_tag() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let cancel = request("CANCEL", 1, None, "").replace("z9hG4bKCANCEL", "z9hG4bKINVITE");
    let invite = request("INVITE", 1, None, &session(&sdp("sendrecv")));
    scene.sim[peer].send(bob.id.address(), &invite);
    scene.say(peer, &bob, &cancel);
    let (status, cancelled) = scene.answer_to(peer, "CANCEL", 1);
    assert_eq!(status, 200);
    let (status, response) = scene.answer_to(peer, "INVITE", 1);
    assert_eq!(status, 487);
    assert_eq!(header(&response, "To"), header(&cancelled, "To"), "§9.2: one tag for both");
    assert!(
        bob.events()
            .iter()
            .all(|event| !matches!(event, Event::Phone(PhoneEvent::Incoming { .. })))
    );
    scene.assert_idle(&bob);
}

#[test]
fn cancel_ends_a_ringing_call() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    scene.say(peer, &bob, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
    let call = scene.incoming(&bob);
    let cancel = request("CANCEL", 1, None, "").replace("z9hG4bKCANCEL", "z9hG4bKINVITE");
    scene.say(peer, &bob, &cancel);
    assert_eq!(scene.answer_to(peer, "CANCEL", 1).0, 200);
    let (status, response) = scene.answer_to(peer, "INVITE", 1);
    assert_eq!(status, 487);
    let (_, cancelled) = scene.answer_to(peer, "CANCEL", 1);
    assert_eq!(header(&response, "To"), header(&cancelled, "To"), "§9.2: one tag for both");
    assert_eq!(scene.ended(&bob, call), (EndedBy::Remote, Some(487)));
    scene.assert_idle(&bob);
}

#[test]
fn a_cancel_that_comes_too_late_changes_nothing() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let (call, _) = scene.called_by(peer, &bob);
    let cancel = request("CANCEL", 1, None, "").replace("z9hG4bKCANCEL", "z9hG4bKINVITE");
    scene.say(peer, &bob, &cancel);
    let (status, cancelled) = scene.answer_to(peer, "CANCEL", 1);
    let (_, response) = scene.answer_to(peer, "INVITE", 1);
    assert_eq!(status, 200);
    assert_eq!(header(&response, "To"), header(&cancelled, "To"), "§9.2: one tag for both");
    assert_eq!(scene.sim[bob.id].state(call), Some(CallState::Answered));
}

#[test]
fn a_caller_that_gives_up_without_a_word_does_not_ring_for_ever() {
    for (expires, seconds, code) in [("", 600, 480), ("Expires: 7\n", 7, 487)] {
        let mut scene = Scene::new();
        let bob = scene.direct(BOB, "bob");
        let peer = scene.silent_peer();
        let more = format!("{expires}{}", session(&sdp("sendrecv")));
        scene.say(peer, &bob, &request("INVITE", 1, None, &more));
        let call = scene.incoming(&bob);
        scene.run(Duration::from_secs(seconds - 1));
        assert_eq!(scene.sim[bob.id].state(call), Some(CallState::Ringing));
        // A keep-alive each minute.
        let minutes = usize::try_from((seconds - 1) / 60).unwrap();
        assert_eq!(scene.sent(BOB, "180").len(), 1 + minutes);
        assert_eq!(scene.ended(&bob, call), (EndedBy::Timeout, Some(code)));
    }
}

#[test]
fn limits_and_names_are_refused() {
    let mut parameters = PhoneParameters::without_server("bob");
    (parameters.max_calls, parameters.accept_any_user) = (1, false);
    let mut scene = Scene::new();
    let bob = scene.phone(BOB, parameters);
    scene.start(&bob);
    let peer = scene.silent_peer();
    scene.say(peer, &bob, &TESTER.request_to("sip:eve@10.0.0.2", "OPTIONS", 1, None, ""));
    assert_eq!(scene.answer_to(peer, "OPTIONS", 1).0, 404);
    scene.say(peer, &bob, &request("INVITE", 2, None, &session(&sdp("sendrecv"))));
    scene.incoming(&bob);
    let other = request("INVITE", 3, None, &session(&sdp("sendrecv")));
    scene.say(peer, &bob, &other.replace("Call-ID: ", "Call-ID: other-"));
    assert_eq!(scene.answer_to(peer, "INVITE", 3).0, 486);
    assert_eq!(scene.sim[bob.id].counters().refused, 1);
}

/// RFC 5923 §3: a peer that has connected to us need not listen where it connected from.
#[test]
fn a_call_on_a_connection_is_answered_on_it() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let invite = request("INVITE", 1, None, &session(&sdp("sendrecv")));
    let invite = invite.replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    scene.sim[peer].send_by(Transport::Tcp, bob.id.address(), &invite);
    let call = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.answer(call)).unwrap();
    scene.run(Duration::from_millis(100));
    let (status, response) = scene.answer_to(peer, "INVITE", 1);
    assert_eq!(status, 200, "{response}");
    assert_eq!(header(&response, "Contact"), Some("<sip:bob@10.0.0.2:5060;transport=tcp>"));
    assert_eq!(scene.sim[peer].connections().count(), 1);
}

#[test]
fn a_call_refused_for_want_of_something_here_is_told_and_counted() {
    let no_room = PhoneParameters::without_server("bob").max_calls(0);
    let mut no_ports = PhoneParameters::without_server("bob");
    (no_ports.rtp_port_low, no_ports.rtp_port_high) = (20_000, 20_001);
    let mut no_address = PhoneParameters::without_server("bob");
    no_address.bind_network = "192.0.2.0/24".parse().expect("a network");
    for (parameters, code, word) in [
        (no_room, 486, "too_many_calls"),
        (no_ports, 503, "no_ports_available"),
        (no_address, 500, "nat"),
    ] {
        let mut scene = Scene::new();
        let bob = scene.phone(BOB, parameters);
        scene.start(&bob);
        let peer = scene.silent_peer();
        if code == 503 {
            // Another call has the only pair.
            scene.call(&bob, "sip:x@10.0.0.9");
            scene.run(Duration::from_millis(50));
        }
        scene.say(peer, &bob, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
        assert_eq!(scene.answer_to(peer, "INVITE", 1).0, code);
        let told: Vec<_> = bob
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::Phone(PhoneEvent::CallRefused { from, to, code, error }) => {
                    Some((from, to, code, error.code()))
                }
                Event::Phone(PhoneEvent::Incoming { .. }) => panic!("there is no call"),
                _ => None,
            })
            .collect();
        let (from, to) = ("sip:tester@10.0.0.9".to_owned(), "sip:bob@10.0.0.2".to_owned());
        assert_eq!(told, [(from, to, code, word)]);
        assert_eq!(scene.sim[bob.id].counters().calls_refused, 1);
    }
}
