//! Everything that a server may do to a phone (RFC 3261 §21, §22), one test each that names it.

use super::scene::{ALICE, Actor, LONG, PEER, Scene, header, sdp, session};
use crate::call::TransferMode;
use crate::config::PhoneParameters;
use crate::event::{CallEvent, CallId, CallState, Cause, EndedBy, Event, HoldBy, PhoneEvent};
use crate::host::Transport;
use crate::phone::Phone;
use crate::sim::{Arrival, NodeId, ScriptedPeer};
use crate::time::Duration;

const SOON: Duration = Duration::from_millis(50);

/// Alice at a server that reacts like this, started.
fn at_server(
    register: bool,
    reaction: impl FnMut(&mut ScriptedPeer, &Arrival) + 'static,
) -> (Scene, Actor, NodeId<ScriptedPeer>) {
    let mut parameters = PhoneParameters::new("10.0.0.9", "alice").password("secret");
    parameters.register = register;
    let mut scene = Scene::new();
    let server = scene.peer(PEER, reaction);
    let alice = scene.phone(ALICE, parameters);
    scene.start(&alice);
    scene.run(SOON);
    (scene, alice, server)
}

fn method(arrival: &Arrival) -> String {
    arrival.first_line().split(' ').next().unwrap_or_default().to_owned()
}

/// What a server says that takes everything.
fn success(method: &str, arrival: &Arrival) -> String {
    match method {
        "INVITE" => {
            let held = arrival.text().contains("a=sendonly");
            let direction = if held { "recvonly" } else { "sendrecv" };
            format!("Contact: <sip:bob@10.0.0.9>\n{}", session(&sdp(direction)))
        }
        "REGISTER" => "Expires: 100\n".to_owned(),
        _ => String::new(),
    }
}

/// A server that asks for credentials with a nonce of its own for each method, and calls the
/// nonces of others stale.
fn asking(status: u16) -> impl FnMut(&mut ScriptedPeer, &Arrival) {
    move |peer, arrival| {
        let method = method(arrival);
        if ["ACK", "SIP/2.0"].contains(&method.as_str()) {
            return;
        }
        let (given, asked) = match status {
            401 => ("Authorization", "WWW-Authenticate"),
            _ => ("Proxy-Authorization", "Proxy-Authenticate"),
        };
        let held = if arrival.text().contains("a=sendonly") { "held" } else { "" };
        let nonce = format!("{method}{held}");
        let given = arrival.header(given).unwrap_or_default();
        if given.contains(&format!("nonce=\"{nonce}\"")) {
            let code = if method == "REFER" { "202 Accepted" } else { "200 OK" };
            return peer.reply(arrival, code, &success(&method, arrival));
        }
        let stale = if given.is_empty() { "" } else { ", stale=true" };
        let challenge =
            format!("{asked}: Digest realm=\"pbx\", nonce=\"{nonce}\", qop=\"auth\"{stale}\n");
        peer.reply(arrival, &format!("{status} Who"), &challenge);
    }
}

fn hold_is_told(actor: &Actor) -> bool {
    let told = |event: &Event| {
        matches!(
            event,
            Event::Call { event: CallEvent::Hold { by: HoldBy::Local, held: true }, .. }
        )
    };
    actor.events().iter().any(told)
}

#[test]
fn challenges_to_every_method_are_met_with_401_and_407_fresh_and_stale() {
    for status in [401, 407] {
        let (mut scene, alice, server) = at_server(true, asking(status));
        scene.until(&alice, |event| matches!(event, Event::Phone(PhoneEvent::Registered { .. })));
        scene.tell(&alice, |phone| phone.options("bob")).unwrap();
        scene.tell(&alice, |phone| phone.message("bob", b"hello", "text/plain")).unwrap();
        let call = scene.call(&alice, "bob");
        scene.reach(&alice, call, CallState::Answered);
        scene.tell(&alice, |phone| phone.hold(call)).unwrap();
        scene.run(SOON);
        assert!(hold_is_told(&alice), "re-INVITE after {status}");
        scene
            .tell(&alice, |phone| phone.transfer(call, "carol", TransferMode::Blind.into()))
            .unwrap();
        assert_eq!(scene.ended(&alice, call).0, EndedBy::Local);
        for method in ["REGISTER", "OPTIONS", "MESSAGE", "INVITE", "REFER", "BYE"] {
            let sent = scene.sent(ALICE, method);
            assert!(sent.len() >= 2, "{method} after {status}: {sent:#?}");
            // §22.2: the next CSeq number, another branch, the same Call-ID.
            let [.., first, second] = &sent[..] else { panic!("{sent:#?}") };
            let number = |text: &str| -> u32 {
                header(text, "CSeq").unwrap().split(' ').next().unwrap().parse().unwrap()
            };
            assert_eq!(number(first) + 1, number(second), "{method}");
            assert_eq!(header(first, "Call-ID"), header(second, "Call-ID"));
            assert_ne!(header(first, "Via"), header(second, "Via"));
        }
        assert_eq!(scene.sim[server].count("INVITE"), 4, "two and two");
    }
}

#[test]
fn credentials_that_are_refused_within_a_call_are_shown_once() {
    let (mut scene, alice, server) = at_server(false, |peer, arrival| {
        let challenge = "Proxy-Authenticate: Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\"\n";
        match (&*method(arrival), arrival.text().contains("a=sendonly")) {
            ("INVITE", false) => peer.reply(arrival, "200 OK", &success("INVITE", arrival)),
            ("INVITE", true) => peer.reply(arrival, "407 Who", challenge),
            ("ACK" | "SIP/2.0", _) => {}
            _ => peer.reply(arrival, "200 OK", ""),
        }
    });
    let call = scene.call(&alice, "bob");
    scene.reach(&alice, call, CallState::Answered);
    scene.tell(&alice, |phone| phone.hold(call)).unwrap();
    scene.run(Duration::from_secs(2));
    let failed = |event: &Event| {
        matches!(event, Event::Call { event: CallEvent::HoldFailed { cause: Some(cause), .. }, .. }
            if cause.code == 407)
    };
    assert!(alice.events().iter().any(failed), "{:?}", alice.events());
    assert_eq!(scene.sim[server].count("INVITE"), 3, "once without, once with");
    assert_eq!(scene.sim[alice.id].state(call), Some(CallState::Answered));
}

#[test]
fn a_server_that_is_reached_over_tls_gets_no_credentials_in_the_clear() {
    let mut scene = Scene::new();
    let server = scene.peer(PEER, |peer, arrival| {
        let challenge = "Proxy-Authenticate: Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\"\n";
        let route = "Record-Route: <sip:10.0.0.9:5060;transport=udp;lr>\n";
        match (&*method(arrival), arrival.header("Proxy-Authorization")) {
            ("ACK" | "SIP/2.0", _) => {}
            (_, None) => peer.reply(arrival, "407 Who", challenge),
            ("INVITE", _) => {
                let more = format!("{route}{}", success("INVITE", arrival));
                peer.reply(arrival, "200 OK", &more);
            }
            _ => peer.reply(arrival, "200 OK", ""),
        }
    });
    let mut parameters = PhoneParameters::new("10.0.0.9", "alice").password("secret");
    (parameters.register, parameters.port) = (false, 5060);
    let alice = scene.phone(ALICE, parameters.transport(Transport::Tls));
    scene.start(&alice);
    let call = scene.call(&alice, "bob");
    scene.reach(&alice, call, CallState::Answered);
    scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
    scene.run(SOON);
    assert_eq!((scene.sim[server].count("INVITE"), scene.sim[server].count("BYE")), (2, 1));
    for packet in scene.sip() {
        let (text, private) = (packet.text(), packet.transport == Transport::Tls);
        assert!(private || !text.contains("Proxy-Authorization:"), "{text}");
    }
    let clear = scene.sip().filter(|packet| packet.transport == Transport::Udp);
    assert!(clear.count() > 1, "the route was followed");
}

#[test]
fn the_next_nonce_of_authentication_info_is_used_at_once() {
    let (mut scene, alice, server) = at_server(false, |peer, arrival| {
        let given = arrival.header("Proxy-Authorization").unwrap_or_default();
        match &*method(arrival) {
            "ACK" | "SIP/2.0" => {}
            "INVITE" if given.is_empty() => peer.reply(
                arrival,
                "407 Who",
                "Proxy-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\"\n",
            ),
            name => {
                let number = if name == "INVITE" { "2" } else { "3" };
                let info = format!("Proxy-Authentication-Info: nextnonce=\"n{number}\"\n");
                peer.reply(arrival, "200 OK", &format!("{info}{}", success(name, arrival)));
            }
        }
    });
    let call = scene.call(&alice, "bob");
    scene.reach(&alice, call, CallState::Answered);
    scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
    scene.ended(&alice, call);
    scene.tell(&alice, |phone| phone.options("bob")).unwrap();
    scene.run(SOON);
    for (name, nonce) in [("BYE", "nonce=\"n2\""), ("OPTIONS", "nonce=\"n3\"")] {
        assert_eq!(scene.sim[server].count(name), 1, "{name} is not challenged");
        let given = scene.sent(ALICE, name).remove(0);
        let given = header(&given, "Proxy-Authorization").unwrap().to_owned();
        assert!(given.contains(nonce) && given.contains("nc=00000001"), "{given}");
    }
}

fn ending(actor: &Actor, id: CallId) -> Option<Cause> {
    let told = |event: &Event| match event {
        Event::Call { call, event: CallEvent::Ended(ending) } if *call == id => {
            Some(ending.cause.clone())
        }
        _ => None,
    };
    actor.events().iter().find_map(told).flatten()
}

#[test]
fn retry_after_of_503_480_and_486_is_told() {
    for (status, code) in [
        ("503 Service Unavailable", 503),
        ("480 Temporarily Unavailable", 480),
        ("486 Busy Here", 486),
        ("500 Server Internal Error", 500),
        ("600 Busy Everywhere", 600),
    ] {
        let (mut scene, alice, _) = at_server(false, move |peer, arrival| {
            if method(arrival) == "INVITE" {
                peer.reply(arrival, status, "Retry-After: 18000 (in a meeting);duration=3600\n");
            }
        });
        let call = scene.call(&alice, "bob");
        assert_eq!(scene.ended(&alice, call), (EndedBy::Remote, Some(code)));
        assert_eq!(ending(&alice, call).unwrap().retry_after, Some(18_000));
        scene.run(LONG);
        assert_eq!(scene.sent(ALICE, "INVITE").len(), 1, "that is left to the application");
    }
}

#[test]
fn each_refusal_of_invite_options_and_message_is_told_with_its_code() {
    let refusals = [
        (400, "Bad Request", ""),
        (403, "Forbidden", ""),
        (404, "Not Found", ""),
        (405, "Method Not Allowed", "Allow: REGISTER\n"),
        (408, "Request Timeout", ""),
        (410, "Gone", ""),
        (415, "Unsupported Media Type", "Accept: application/x\n"),
        (416, "Unsupported URI Scheme", ""),
        (420, "Bad Extension", "Unsupported: norefersub\n"),
        (421, "Extension Required", "Require: 100rel\n"),
        (423, "Interval Too Brief", "Min-Expires: 60\n"),
        (481, "Call/Transaction Does Not Exist", ""),
        (482, "Loop Detected", ""),
        (483, "Too Many Hops", ""),
        (484, "Address Incomplete", ""),
        (488, "Not Acceptable Here", "Warning: 305 pbx \"no\"\n"),
        (491, "Request Pending", ""),
        (493, "Undecipherable", ""),
        (500, "Server Internal Error", ""),
        (501, "Not Implemented", "Allow: REGISTER\n"),
        (502, "Bad Gateway", ""),
        (503, "Service Unavailable", ""),
        (504, "Server Time-out", ""),
        (505, "Version Not Supported", ""),
        (513, "Message Too Large", ""),
        (580, "Precondition Failure", ""),
        (599, "Whatever", ""),
        (604, "Does Not Exist Anywhere", ""),
        (606, "Not Acceptable", ""),
    ];
    for (code, reason, more) in refusals {
        let (mut scene, alice, _) = at_server(false, move |peer, arrival| {
            if ["INVITE", "OPTIONS", "MESSAGE"].contains(&&*method(arrival)) {
                peer.reply(arrival, &format!("{code} {reason}"), more);
            }
        });
        let call = scene.call(&alice, "bob");
        scene.tell(&alice, |phone| phone.options("bob")).unwrap();
        scene.tell(&alice, |phone| phone.message("bob", b"hello", "text/plain")).unwrap();
        assert_eq!(scene.ended(&alice, call), (EndedBy::Remote, Some(code)));
        scene.run(SOON);
        let told = |event: &Event| match event {
            Event::Response { reply: Ok(reply), .. } => {
                Some((reply.cause.code, reply.cause.reason.clone()))
            }
            _ => None,
        };
        let told: Vec<_> = alice.events().iter().filter_map(told).collect();
        assert_eq!(told, vec![(code, reason.to_owned()); 2], "{code}");
        for method in ["INVITE", "OPTIONS", "MESSAGE"] {
            assert_eq!(scene.sent(ALICE, method).len(), 1, "{method} after {code}");
        }
        assert_eq!(scene.sent(ALICE, "ACK").len(), 1);
        scene.assert_idle(&alice);
    }
}

#[test]
fn an_invite_demands_nothing_that_a_server_could_refuse() {
    let (mut scene, alice, _) = at_server(false, |_, _| {});
    scene.call(&alice, "bob");
    scene.run(SOON);
    let invite = scene.sent(ALICE, "INVITE").remove(0);
    assert_eq!((header(&invite, "Require"), header(&invite, "Proxy-Require")), (None, None));
}

#[test]
fn a_call_survives_a_server_that_refuses_what_is_done_in_it() {
    // Each wish within the call is refused with each code; only 481 and 408 mean its end.
    for code in [400, 403, 405, 415, 420, 482, 488, 500, 501, 503, 505, 600] {
        let (mut scene, alice, server) = at_server(false, move |peer, arrival| {
            match (&*method(arrival), arrival.text().contains("a=sendonly")) {
                ("INVITE", false) => peer.reply(arrival, "200 OK", &success("INVITE", arrival)),
                ("INVITE", true) | ("REFER", _) => {
                    peer.reply(arrival, &format!("{code} No"), "");
                }
                ("ACK" | "SIP/2.0", _) => {}
                _ => peer.reply(arrival, "200 OK", ""),
            }
        });
        let call = scene.call(&alice, "bob");
        scene.reach(&alice, call, CallState::Answered);
        scene.tell(&alice, |phone| phone.hold(call)).unwrap();
        scene.tell(&alice, |phone| phone.transfer(call, "carol", Default::default())).unwrap();
        scene.run(Duration::from_secs(1));
        let events = alice.events();
        let failed = |event: &Event| {
            matches!(event, Event::Call { event: CallEvent::HoldFailed { cause: Some(cause), .. }, .. }
                | Event::Call { event: CallEvent::Transfer { cause: Some(cause), .. }, .. }
                if cause.code == code)
        };
        assert_eq!(events.iter().filter(|event| failed(event)).count(), 2, "{code}: {events:#?}");
        assert_eq!(scene.sim[alice.id].state(call), Some(CallState::Answered), "{code}");
        scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
        scene.ended(&alice, call);
        assert_eq!(scene.sim[server].count("BYE"), 1);
    }
}

/// What happens before [`stop`](Phone::stop): the answers of a peer to INVITE and re-INVITE, and
/// what the application does.
type Before = (&'static str, &'static str, &'static str, fn(&mut Phone, CallId));

#[test]
fn stop_ends_an_outgoing_call_in_every_state_in_bounded_time() {
    let nothing: fn(&mut Phone, CallId) = |_, _| {};
    let hold: fn(&mut Phone, CallId) = |phone, call| phone.hold(call).unwrap();
    let cases: [Before; 11] = [
        ("before any answer", "", "", nothing),
        ("after 100", "100 Trying", "", nothing),
        ("after 180", "180 Ringing", "", nothing),
        ("in progress", "183 Session Progress", "", nothing),
        ("canceling", "180 Ringing", "", |phone, call| phone.cancel(call).unwrap()),
        ("canceling unheard", "", "", |phone, call| phone.cancel(call).unwrap()),
        ("seeking a redirection", "302 Moved", "", nothing),
        ("answered", "200 OK", "", nothing),
        ("with a re-INVITE unheard", "200 OK", "", hold),
        ("with a re-INVITE under way", "200 OK", "100 Trying", hold),
        ("with a transfer under way", "200 OK", "", |phone, call| {
            phone.transfer(call, "sip:carol@10.0.0.9", TransferMode::Notified.into()).unwrap();
        }),
    ];
    for (what, first, second, act) in cases {
        // A peer that keeps silent from then on, and one that answers as it should.
        for polite in [false, true] {
            let mut scene = Scene::new();
            let alice = scene.direct(ALICE, "alice");
            let mut invite: Option<Arrival> = None;
            scene.peer(PEER, move |peer, arrival| {
                let again = arrival.header("To").unwrap_or_default().contains(";tag=");
                match &*method(arrival) {
                    "INVITE" => {
                        let answer = if again { second } else { first };
                        if !again {
                            invite = Some(arrival.clone());
                        }
                        let more = match answer.as_bytes().first() {
                            Some(b'2') => success("INVITE", arrival),
                            Some(b'3') => "Contact: <sip:b@10.0.0.77>\n".to_owned(),
                            _ => String::new(),
                        };
                        if !answer.is_empty() {
                            peer.reply(arrival, answer, &more);
                        }
                    }
                    "CANCEL" if polite => {
                        peer.reply(arrival, "200 OK", "");
                        if let Some(invite) = &invite {
                            peer.reply(invite, "487 Request Terminated", "");
                        }
                    }
                    "BYE" if polite => peer.reply(arrival, "200 OK", ""),
                    _ => {}
                }
            });
            let call = scene.call(&alice, "sip:bob@10.0.0.9");
            scene.run(SOON);
            scene.tell(&alice, |phone| act(phone, call));
            scene.run(SOON);
            scene.tell(&alice, Phone::stop);
            scene.run(Duration::from_millis(8_500));
            let what = format!("{what}, polite {polite}");
            assert_eq!(scene.sim.media_ports(alice.id), 0, "{what}");
            let (by, _) = scene.ended(&alice, call);
            assert_eq!(by, EndedBy::Local, "{what}");
            let stopped = crate::event::PhoneStatus::Inactive;
            assert_eq!(scene.sim[alice.id].status(), stopped, "{what}");
            scene.assert_idle(&alice);
        }
    }
}

#[test]
fn stop_ends_an_incoming_call_in_every_state_in_bounded_time() {
    use super::scene::{BOB, request, tag};
    type Act = fn(&mut Phone, CallId);
    let cases: [(&str, bool, Act); 6] = [
        ("ringing", false, |_, _| {}),
        ("in progress", false, |phone, call| phone.progress(call).unwrap()),
        ("answered without ACK", false, |phone, call| phone.answer(call).unwrap()),
        ("answered", true, |phone, call| phone.answer(call).unwrap()),
        ("holding", true, |phone, call| phone.answer(call).unwrap()),
        ("after its hangup", true, |phone, call| phone.answer(call).unwrap()),
    ];
    for (what, acknowledged, act) in cases {
        let mut scene = Scene::new();
        let bob = scene.direct(BOB, "bob");
        let peer = scene.silent_peer();
        scene.say(peer, &bob, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
        let call = scene.incoming(&bob);
        scene.tell(&bob, |phone| act(phone, call));
        scene.run(SOON);
        if acknowledged {
            let (_, response) = scene.answer_to(peer, "INVITE", 1);
            let tag = tag(header(&response, "To").unwrap()).to_owned();
            scene.say(peer, &bob, &request("ACK", 1, Some(&tag), ""));
        }
        match what {
            "holding" => scene.tell(&bob, |phone| phone.hold(call)).unwrap(),
            "after its hangup" => scene.tell(&bob, |phone| phone.hangup(call)).unwrap(),
            _ => {}
        }
        scene.run(SOON);
        scene.tell(&bob, Phone::stop);
        scene.run(Duration::from_millis(8_500));
        assert_eq!(scene.sim.media_ports(bob.id), 0, "{what}");
        assert_eq!(scene.ended(&bob, call).0, EndedBy::Local, "{what}");
        assert_eq!(scene.sim[bob.id].status(), crate::event::PhoneStatus::Inactive, "{what}");
        scene.assert_idle(&bob);
    }
}
