//! What a phone that calls does when it is sent elsewhere (RFC 3261 §8.1.3.4, §21.3).

use std::cell::RefCell;
use std::rc::Rc;

use super::scene::{ALICE, Actor, LONG, PEER, Scene, described, header};
use crate::call::CallOptions;
use crate::config::PhoneParameters;
use crate::event::{CallEvent, CallId, CallState, EndedBy, Event};
use crate::sim::{NodeId, ScriptedPeer};
use crate::time::Duration;

/// The answers of a peer to INVITE by the user part of the Request-URI: a status and header lines.
type Plan = &'static [(&'static str, &'static str, &'static str)];

/// A call to `first` at a peer that plays every host, and the users that were asked, in order.
struct Play {
    scene: Scene,
    alice: Actor,
    call: CallId,
    peer: NodeId<ScriptedPeer>,
    asked: Rc<RefCell<Vec<String>>>,
}

impl Play {
    fn new(plan: Plan) -> Self {
        Self::with(PhoneParameters::without_server("alice"), CallOptions::default(), plan)
    }

    fn with(parameters: PhoneParameters, options: CallOptions, plan: Plan) -> Self {
        let mut scene = Scene::new();
        let asked = Rc::new(RefCell::new(Vec::new()));
        let kept = Rc::clone(&asked);
        let peer = scene.peer(PEER, move |peer, arrival| {
            let line = arrival.first_line();
            let mut words = line.split(' ');
            let method = words.next().unwrap_or_default();
            let uri = words.next().unwrap_or_default();
            let user = uri.strip_prefix("sip:").and_then(|uri| uri.split('@').next());
            let user = user.unwrap_or_default().to_owned();
            match method {
                "INVITE" => {
                    kept.borrow_mut().push(user.clone());
                    let step = plan.iter().find(|(name, _, _)| *name == user);
                    match step {
                        Some((_, "", _)) => peer.reply(arrival, "180 Ringing", ""),
                        Some((_, status, more)) => peer.reply(arrival, status, more),
                        None => peer.reply(arrival, "200 OK", &described()),
                    }
                }
                "CANCEL" | "BYE" => peer.reply(arrival, "200 OK", ""),
                _ => {}
            }
        });
        let alice = scene.phone(ALICE, parameters);
        scene.start(&alice);
        let call = scene.tell(&alice, |phone| phone.call("sip:first@10.0.0.9", options)).unwrap();
        scene.run(Duration::from_millis(200));
        Self { scene, alice, call, peer, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    fn state(&self) -> Option<CallState> {
        self.scene.sim[self.alice.id].state(self.call)
    }
}

#[test]
fn a_redirection_is_followed() {
    let mut play =
        Play::new(&[("first", "302 Moved Temporarily", "Contact: <sip:second@10.0.0.9>;q=0.5\n")]);
    assert_eq!(play.state(), Some(CallState::Answered));
    assert_eq!(play.asked(), ["first", "second"]);
    let told = play.alice.states(play.call);
    let expected = [
        (CallState::Dialing, None),
        (CallState::Dialing, Some(302)),
        (CallState::Answered, Some(200)),
    ];
    assert_eq!(told, expected);
    let invites = play.scene.sent(ALICE, "INVITE");
    let [first, second] = &invites[..] else { panic!("{invites:#?}") };
    for name in ["From", "To", "Call-ID", "Contact"] {
        assert_eq!(header(first, name), header(second, name), "{name} stays");
    }
    assert_ne!(header(first, "Via"), header(second, "Via"));
    assert_eq!(header(second, "CSeq"), Some("2 INVITE"));
    assert!(second.contains("m=audio"));
    let (scene, alice, call) = (&mut play.scene, &play.alice, play.call);
    scene.tell(alice, |phone| phone.hangup(call)).unwrap();
    assert_eq!(scene.ended(alice, call).0, EndedBy::Local);
    let bye = scene.sim[play.peer].last("BYE").unwrap().clone();
    assert_eq!(bye.header("CSeq").unwrap(), "3 BYE");
    play.scene.assert_idle(&play.alice);
}

#[test]
fn targets_are_tried_by_q_and_none_twice() {
    let mut play = Play::new(&[
        (
            "first",
            "300 Multiple Choices",
            "Contact: <sip:low@10.0.0.9>;q=0.1, <sip:busy@10.0.0.9>;q=0.9\n\
             Contact: <sip:first@10.0.0.9>, <sips:secure@10.0.0.9;transport=udp>, <mailto:me@10.0.0.9>\n\
             Contact: <sip:moved@10.0.0.9>;q=0.5, <sip:BUSY@10.0.0.9>;q=0.2\n",
        ),
        ("busy", "486 Busy Here", ""),
        ("moved", "301 Moved", "Contact: <sip:busy@10.0.0.9>;q=1, <sip:new@10.0.0.9>;q=0.3\n"),
        ("new", "404 Not Found", ""),
        ("BUSY", "480 Temporarily Unavailable", ""),
        ("low", "503 Service Unavailable", ""),
    ]);
    assert_eq!(play.asked(), ["first", "busy", "moved", "new", "BUSY", "low"]);
    let (scene, alice, call) = (&mut play.scene, &play.alice, play.call);
    assert_eq!(scene.ended(alice, call), (EndedBy::Remote, Some(503)));
    scene.assert_idle(alice);
}

#[test]
fn no_more_than_five_targets_are_followed() {
    // Each sends to the next, for ever.
    const ENDLESS: Plan = &[
        ("first", "302 Moved", "Contact: <sip:a@10.0.0.9>\n"),
        ("a", "302 Moved", "Contact: <sip:b@10.0.0.9>\n"),
        ("b", "302 Moved", "Contact: <sip:c@10.0.0.9>\n"),
        ("c", "302 Moved", "Contact: <sip:d@10.0.0.9>\n"),
        ("d", "302 Moved", "Contact: <sip:e@10.0.0.9>\n"),
        ("e", "302 Moved", "Contact: <sip:f@10.0.0.9>\n"),
    ];
    let parameters = || PhoneParameters::without_server("alice");
    let mut play = Play::new(ENDLESS);
    assert_eq!(play.asked(), ["first", "a", "b", "c", "d", "e"]);
    assert_eq!(play.scene.ended(&play.alice, play.call), (EndedBy::Remote, Some(302)));
    // The phone may follow fewer, or none; and so may one call.
    let play = Play::with(parameters().max_redirects(2), CallOptions::default(), ENDLESS);
    assert_eq!(play.asked(), ["first", "a", "b"]);
    let mut play = Play::with(parameters(), CallOptions::default().max_redirects(0), ENDLESS);
    assert_eq!(play.asked(), ["first"]);
    assert_eq!(play.scene.ended(&play.alice, play.call), (EndedBy::Remote, Some(302)));
}

#[test]
fn a_loop_ends() {
    let mut play = Play::new(&[
        ("first", "302 Moved", "Contact: <sip:second@10.0.0.9>\n"),
        ("second", "302 Moved", "Contact: <sip:first@10.0.0.9:5060>, <sip:first@10.0.0.9>\n"),
    ]);
    // §19.1.4: with its port it is another URI than without; with itself it is the same.
    assert_eq!(play.asked(), ["first", "second", "first"]);
    assert_eq!(play.scene.ended(&play.alice, play.call), (EndedBy::Remote, Some(302)));
}

#[test]
fn use_proxy_keeps_the_target_and_380_is_only_told() {
    let play = Play::new(&[("first", "305 Use Proxy", "Contact: <sip:10.0.0.9:5060>\n")]);
    // The peer plays the proxy too: what it says to the second INVITE is the same, and is the end.
    let invites = play.scene.sent(ALICE, "INVITE");
    assert_eq!(invites.len(), 2);
    assert!(invites[1].starts_with("INVITE sip:first@10.0.0.9 SIP/2.0"), "{}", invites[1]);
    assert_eq!(header(&invites[1], "Route"), Some("<sip:10.0.0.9:5060;lr>"));
    let mut play =
        Play::new(&[("first", "380 Alternative Service", "Contact: <sip:second@10.0.0.9>\n")]);
    assert_eq!(play.asked(), ["first"]);
    assert_eq!(play.scene.ended(&play.alice, play.call), (EndedBy::Remote, Some(380)));
}

#[test]
fn a_callee_who_wants_no_call_anywhere_is_obeyed() {
    let mut play = Play::new(&[
        ("first", "300 Choose", "Contact: <sip:a@10.0.0.9>;q=0.9, <sip:b@10.0.0.9>;q=0.1\n"),
        ("a", "603 Decline", ""),
    ]);
    assert_eq!(play.asked(), ["first", "a"]);
    assert_eq!(play.scene.ended(&play.alice, play.call), (EndedBy::Remote, Some(603)));
}

#[test]
fn cancel_and_the_answer_timeout_hold_over_all_targets() {
    const RINGS: Plan = &[
        ("first", "302 Moved", "Contact: <sip:a@10.0.0.9>;q=0.9, <sip:b@10.0.0.9>;q=0.1\n"),
        ("a", "", ""),
    ];
    let mut play = Play::new(RINGS);
    let (scene, alice, call) = (&mut play.scene, &play.alice, play.call);
    scene.tell(alice, |phone| phone.cancel(call)).unwrap();
    scene.run(Duration::from_millis(100));
    let cancel = scene.sim[play.peer].last("CANCEL").expect("it is cancelled").clone();
    assert!(cancel.first_line().contains("sip:a@"), "the one that rings");
    let invite =
        scene.sim[play.peer].received().iter().rfind(|a| a.first_line().starts_with("INV"));
    let (invite, to) = (invite.unwrap().clone(), alice.id.address());
    scene.sim[play.peer].send(to, &super::scene::response(&invite, "487 Terminated", "x", ""));
    assert_eq!(scene.ended(alice, call).0, EndedBy::Local);
    assert_eq!(*play.asked.borrow(), ["first", "a"], "nobody else is asked");

    let timeout = Duration::from_secs(20);
    let parameters = PhoneParameters::without_server("alice").answer_timeout(timeout);
    let mut play = Play::with(parameters, CallOptions::default(), RINGS);
    play.scene.run(Duration::from_millis(19_700));
    assert_eq!(play.scene.sim[play.peer].count("CANCEL"), 0);
    play.scene.run(Duration::from_millis(200));
    assert_eq!(play.scene.sim[play.peer].count("CANCEL"), 1);
    assert_eq!(play.scene.ended(&play.alice, play.call).0, EndedBy::Timeout);
}

#[test]
fn a_target_that_does_not_answer_or_cannot_be_found_leads_to_the_next() {
    let mut play = Play::new(&[(
        "first",
        "302 Moved",
        "Contact: <sip:a@10.0.0.77>;q=0.9, <sip:b@nowhere.example>;q=0.8\n\
         Contact: <sip:c@10.0.0.9>;q=0.7\n",
    )]);
    assert_eq!(play.asked(), ["first"]);
    play.scene.run(LONG);
    assert_eq!(play.asked(), ["first", "c"]);
    assert_eq!(play.state(), Some(CallState::Answered));
    // The last one is why, and where there is no way the one before it.
    let mut play = Play::new(&[("first", "302 Moved", "Contact: <sip:b@nowhere.example>;q=0.8\n")]);
    assert_eq!(play.scene.ended(&play.alice, play.call), (EndedBy::Remote, Some(302)));
}

#[test]
fn a_call_that_waits_for_the_way_to_a_target_is_cancelled_at_once() {
    let mut scene = Scene::new();
    let alice = scene.direct(ALICE, "alice");
    scene.peer(PEER, |peer, arrival| {
        if arrival.first_line().starts_with("INVITE") {
            peer.reply(arrival, "302 Moved", "Contact: <sip:b@slow.example>\n");
        }
    });
    let call = scene.call(&alice, "sip:first@10.0.0.9");
    scene.until(&alice, |event| {
        matches!(event, Event::Call { event: CallEvent::State { cause: Some(cause), .. }, .. }
            if cause.code == 302)
    });
    if scene.sim[alice.id].state(call) == Some(CallState::Dialing) {
        scene.tell(&alice, |phone| phone.cancel(call)).unwrap();
    }
    scene.ended(&alice, call);
    scene.assert_idle(&alice);
}

#[test]
fn early_media_of_the_one_before_ends() {
    let mut scene = Scene::new();
    let alice = scene.direct(ALICE, "alice");
    scene.peer(PEER, |peer, arrival| {
        let line = arrival.first_line();
        if line.starts_with("INVITE sip:first") {
            peer.reply(arrival, "183 Session Progress", &described());
            peer.reply(arrival, "302 Moved", "Contact: <sip:second@10.0.0.9>\n");
        } else if line.starts_with("INVITE") {
            peer.reply(arrival, "180 Ringing", "");
        }
    });
    let call = scene.call(&alice, "sip:first@10.0.0.9");
    scene.run(Duration::from_millis(200));
    assert_eq!(scene.sim[alice.id].state(call), Some(CallState::Dialing));
    assert_eq!(scene.sim[alice.id].info(call).unwrap().codec, None);
}

#[test]
fn credentials_are_not_shown_to_whom_a_server_sends_us() {
    let mut scene = Scene::new();
    let server = [10, 0, 0, 8];
    scene.peer(server, |peer, arrival| {
        let known = arrival.header("Proxy-Authorization").is_some();
        match arrival.first_line().split(' ').next() {
            Some("INVITE") if known => {
                peer.reply(arrival, "302 Moved", "Contact: <sip:thief@10.0.0.9>\n");
            }
            Some("INVITE") => peer.reply(
                arrival,
                "407 Who",
                "Proxy-Authenticate: Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\"\n",
            ),
            _ => {}
        }
    });
    let thief = scene.peer(PEER, |peer, arrival| {
        if arrival.first_line().starts_with("INVITE") {
            let challenge = "Proxy-Authenticate: Digest realm=\"pbx\", nonce=\"evil\"\n";
            peer.reply(arrival, "407 Who", challenge);
        }
    });
    let mut parameters = PhoneParameters::new("10.0.0.8", "alice").password("secret");
    parameters.register = false;
    let alice = scene.phone(ALICE, parameters);
    scene.start(&alice);
    let call = scene.call(&alice, "bob");
    assert_eq!(scene.ended(&alice, call), (EndedBy::Remote, Some(407)));
    let invites: Vec<_> = scene.sim[thief].received().to_vec();
    assert_eq!(scene.sim[thief].count("INVITE"), 1, "it is asked once");
    for arrival in invites {
        assert!(!arrival.text().contains("Authorization"), "{}", arrival.text());
    }
}
