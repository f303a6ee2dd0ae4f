//! What an application's SipHandler sees, and what it may do.

use core::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::scene::{
    ALICE, Actor, BOB, PEER, Scene, described, header, request, response, sdp, session,
};
use crate::config::PhoneParameters;
use crate::event::{CallState, EndedBy, Event, PhoneEvent, PhoneStatus};
use crate::handler::{MessageAction, RequestAction, SipAnswer, SipDraft, SipHandler};
use crate::sip::Method;
use crate::time::Duration;

/// A handler that notes what it sees, and does what a test wants.
#[derive(Clone)]
struct Hooks {
    seen: Arc<Mutex<Vec<String>>>,
    methods: &'static [&'static str],
    request_in: fn(&mut SipDraft) -> RequestAction,
    response_in: fn(&mut SipDraft) -> MessageAction,
    request_out: fn(&mut SipDraft) -> MessageAction,
    response_out: fn(&mut SipDraft) -> MessageAction,
}

impl Hooks {
    fn new() -> Self {
        Self {
            seen: Arc::default(),
            methods: &[],
            request_in: |_| RequestAction::Pass,
            response_in: |_| MessageAction::Pass,
            request_out: |_| MessageAction::Pass,
            response_out: |_| MessageAction::Pass,
        }
    }

    fn note(&self, way: char, message: &SipDraft, peer: SocketAddr) {
        assert_eq!(peer.port(), 5060);
        let what = match message.status() {
            Some(status) => format!("{way}{status} {}", message.method()),
            None => format!("{way}{}", message.method()),
        };
        self.seen.lock().unwrap().push(what);
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl SipHandler for Hooks {
    fn methods(&self) -> Vec<&str> {
        self.methods.to_vec()
    }

    fn request_in(&mut self, request: &mut SipDraft, from: SocketAddr) -> RequestAction {
        self.note('<', request, from);
        (self.request_in)(request)
    }

    fn response_in(&mut self, response: &mut SipDraft, from: SocketAddr) -> MessageAction {
        self.note('<', response, from);
        (self.response_in)(response)
    }

    fn request_out(&mut self, request: &mut SipDraft, to: SocketAddr) -> MessageAction {
        self.note('>', request, to);
        (self.request_out)(request)
    }

    fn response_out(&mut self, response: &mut SipDraft, to: SocketAddr) -> MessageAction {
        self.note('>', response, to);
        (self.response_out)(response)
    }
}

impl Scene {
    /// A phone without a server and with a handler, started.
    fn handled(&mut self, ip: [u8; 4], user: &str, hooks: &Hooks) -> Actor {
        let hooks = hooks.clone();
        let parameters = PhoneParameters::without_server(user);
        let actor = self.phone(ip, parameters.sip_class(move || hooks.clone()));
        self.start(&actor);
        actor
    }

    fn refused(&mut self, actor: &Actor) -> u64 {
        self.tell(actor, |phone| phone.counters().changes_refused)
    }
}

#[test]
fn it_sees_every_message_once() {
    let mut scene = Scene::new();
    let (caller, callee) = (Hooks::new(), Hooks::new());
    let alice = scene.handled(ALICE, "alice", &caller);
    let bob = scene.handled(BOB, "bob", &callee);
    let (calling, called) = scene.answered(&alice, &bob);
    scene.tell(&alice, |phone| phone.hangup(calling)).unwrap();
    scene.ended(&bob, called);
    scene.ended(&alice, calling);
    let told = [">INVITE", "<180 INVITE", "<200 INVITE", ">ACK", ">BYE", "<200 BYE"];
    assert_eq!(caller.seen(), told);
    let told = ["<INVITE", ">180 INVITE", ">200 INVITE", "<ACK", "<BYE", ">200 BYE"];
    assert_eq!(callee.seen(), told);
    scene.assert_idle(&alice);
    scene.assert_idle(&bob);
}

#[test]
fn it_sees_cancel_and_no_retransmission() {
    let mut scene = Scene::new();
    let (caller, callee) = (Hooks::new(), Hooks::new());
    let alice = scene.handled(ALICE, "alice", &caller);
    let bob = scene.handled(BOB, "bob", &callee);
    let call = scene.call(&alice, "sip:bob@10.0.0.2");
    scene.incoming(&bob);
    scene.reach(&alice, call, CallState::Dialing);
    scene.run(Duration::from_millis(100));
    scene.tell(&alice, |phone| phone.cancel(call)).unwrap();
    assert_eq!(scene.ended(&alice, call), (EndedBy::Local, Some(487)));
    let told = [">INVITE", "<180 INVITE", ">CANCEL", "<200 CANCEL", "<487 INVITE"];
    assert_eq!(caller.seen(), told);
    let told = ["<INVITE", ">180 INVITE", "<CANCEL", ">200 CANCEL", ">487 INVITE"];
    assert_eq!(callee.seen(), told);
    // The ACK of a refusal is the transactions' own. One that never comes has the 487 repeated.
    let silent = scene.silent_peer();
    scene.say(silent, &bob, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
    scene.say(silent, &bob, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
    let other = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.deny(other, 486, None)).unwrap();
    scene.run(Duration::from_secs(20));
    assert!(scene.sent(BOB, "486").len() > 3);
    assert_eq!(callee.seen()[5..], ["<INVITE", ">180 INVITE", ">486 INVITE"]);
}

#[test]
fn what_it_changes_of_a_request_is_sent_and_sent_again() {
    let mut hooks = Hooks::new();
    hooks.request_out = |request| {
        if *request.method() == Method::Invite {
            request.set("User-Agent", "other/1").add("X-Account", "7001").remove("Supported");
        }
        MessageAction::Pass
    };
    let mut scene = Scene::new();
    scene.silent_peer();
    let alice = scene.handled(ALICE, "alice", &hooks);
    scene.call(&alice, "sip:bob@10.0.0.9");
    scene.run(Duration::from_secs(2));
    let sent = scene.sent(ALICE, "INVITE");
    assert_eq!(sent.len(), 3, "the first and two copies");
    for invite in &sent {
        assert_eq!(invite, &sent[0]);
        assert_eq!(header(invite, "X-Account"), Some("7001"));
        assert_eq!(header(invite, "User-Agent"), Some("other/1"));
        assert_eq!(header(invite, "Supported"), None);
        assert!(invite.contains("m=audio"), "the body stays: {invite}");
    }
    assert_eq!(hooks.seen(), [">INVITE"]);
    assert_eq!(scene.refused(&alice), 0);
}

#[test]
fn what_it_changes_of_a_2xx_is_repeated_until_ack() {
    let mut hooks = Hooks::new();
    hooks.response_out = |response| {
        response.set("X-Queue", "3");
        MessageAction::Pass
    };
    let mut scene = Scene::new();
    let peer = scene.silent_peer();
    let bob = scene.handled(BOB, "bob", &hooks);
    scene.say(peer, &bob, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
    let call = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.answer(call)).unwrap();
    scene.run(Duration::from_secs(3));
    let sent = scene.sent(BOB, "200");
    assert!(sent.len() >= 3);
    assert!(sent.iter().all(|text| header(text, "X-Queue") == Some("3") && *text == sent[0]));
}

#[test]
fn what_it_changes_of_what_came_is_what_the_phone_knows() {
    let mut callee = Hooks::new();
    callee.request_in = |request| {
        request.set("Subject", "seen").remove("X-Noise");
        RequestAction::Pass
    };
    let mut scene = Scene::new();
    let bob = scene.handled(BOB, "bob", &callee);
    let peer = scene.silent_peer();
    let more = format!("X-Noise: 1\nSubject: raw\n{}", session(&sdp("sendrecv")));
    scene.say(peer, &bob, &request("INVITE", 1, None, &more));
    let call = scene.incoming(&bob);
    let headers = scene.tell(&bob, |phone| phone.info(call)).unwrap().headers;
    let value = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!((value("Subject"), value("X-Noise")), (Some("seen"), None));
    // A response: without the body that the phone could not read, the call goes on dialing.
    let mut caller = Hooks::new();
    caller.response_in = |response| {
        if response.status() == Some(183) {
            response.set_body("", b"");
        }
        MessageAction::Pass
    };
    let mut scene = Scene::new();
    scene.peer(PEER, |peer, arrival| {
        if arrival.first_line().starts_with("INVITE") {
            let early = response(arrival, "183 Session Progress", "t", &described());
            peer.send(arrival.from, &early);
        }
    });
    let alice = scene.handled(ALICE, "alice", &caller);
    let call = scene.call(&alice, "sip:bob@10.0.0.9");
    scene.run(Duration::from_secs(1));
    assert_eq!(caller.seen()[1], "<183 INVITE");
    assert!(alice.media(call).is_empty(), "the description was taken out");
}

#[test]
fn a_change_that_cannot_be_is_refused_and_counted() {
    let mut hooks = Hooks::new();
    hooks.request_out = |request| {
        request.set("X-Good", "1").set("Call-ID", "mine");
        MessageAction::Pass
    };
    hooks.request_in = |request| {
        request.set("Subject", "two\r\nlines");
        RequestAction::Pass
    };
    let mut scene = Scene::new();
    let (alice, bob) = (scene.handled(ALICE, "alice", &hooks), scene.handled(BOB, "bob", &hooks));
    scene.answered(&alice, &bob);
    let invite = &scene.sent(ALICE, "INVITE")[0];
    assert_eq!(header(invite, "X-Good"), None, "all of it is refused");
    assert_ne!(header(invite, "Call-ID"), Some("mine"));
    assert_eq!((scene.refused(&alice), scene.refused(&bob)), (2, 2), "INVITE and ACK");
}

#[test]
fn its_answers_go_through_the_transaction() {
    let mut hooks = Hooks::new();
    hooks.methods = &["PING", "INVITE", "not a method"];
    hooks.request_in = |request| match request.method().as_str() {
        "PING" => RequestAction::Answer(
            SipAnswer::new(299).reason("Pong").header("X-Load", "1").body("text/plain", b"up"),
        ),
        "INVITE" => RequestAction::Answer(SipAnswer::new(200)),
        _ => RequestAction::Pass,
    };
    let mut scene = Scene::new();
    let (bob, peer) = (scene.handled(BOB, "bob", &hooks), scene.silent_peer());
    for _ in 0..3 {
        scene.say(peer, &bob, &request("PING", 1, None, ""));
    }
    let sent = scene.sent(BOB, "299 Pong");
    assert_eq!((sent.len(), hooks.seen()), (3, vec!["<PING".to_owned()]));
    assert!(sent.iter().all(|text| *text == sent[0]));
    assert_eq!((header(&sent[0], "X-Load"), header(&sent[0], "CSeq")), (Some("1"), Some("1 PING")));
    assert!(header(&sent[0], "To").unwrap().contains(";tag=") && sent[0].ends_with("\r\n\r\nup"));
    // Its methods are ours too, each named once.
    scene.say(peer, &bob, &request("OPTIONS", 2, None, ""));
    let (_, options) = scene.answer_to(peer, "OPTIONS", 2);
    let allow = header(&options, "Allow").unwrap();
    assert!(allow.ends_with(", PING") && allow.matches("INVITE").count() == 1, "{allow}");
    // A 2xx to INVITE is none of its powers: the call rings.
    scene.say(peer, &bob, &request("INVITE", 3, None, &session(&sdp("sendrecv"))));
    let call = scene.incoming(&bob);
    assert_eq!(scene.refused(&bob), 1);
    scene.tell(&bob, |phone| phone.deny(call, 486, None)).unwrap();
    scene.say(peer, &bob, &request("ACK", 3, None, ""));
    scene.tell(&bob, |phone| while phone.next_event().is_some() {});
    scene.assert_idle(&bob);
}

#[test]
fn a_method_that_nobody_answers_is_refused_as_ever() {
    let mut hooks = Hooks::new();
    hooks.methods = &["PING"];
    let mut scene = Scene::new();
    let (bob, peer) = (scene.handled(BOB, "bob", &hooks), scene.silent_peer());
    scene.say(peer, &bob, &request("PING", 1, None, ""));
    assert_eq!(scene.answer_to(peer, "PING", 1).0, 501);
}

#[test]
fn what_it_drops_was_never_there() {
    let mut hooks = Hooks::new();
    hooks.request_in = |_| RequestAction::Drop;
    let mut scene = Scene::new();
    let (bob, peer) = (scene.handled(BOB, "bob", &hooks), scene.silent_peer());
    let invite = request("INVITE", 1, None, &session(&sdp("sendrecv")));
    scene.say(peer, &bob, &invite);
    assert!(scene.sim[bob.id].agent.is_idle(), "not a transaction is left");
    scene.say(peer, &bob, &invite);
    scene.say(peer, &bob, &request("CANCEL", 1, None, ""));
    scene.say(peer, &bob, &request("OPTIONS", 2, None, ""));
    scene.say(peer, &bob, &request("ACK", 3, Some("x"), ""));
    scene.run(Duration::from_secs(2));
    assert!(scene.sim[peer].received().is_empty(), "nothing is said");
    assert_eq!(hooks.seen(), ["<INVITE", "<INVITE", "<CANCEL", "<OPTIONS", "<ACK"]);
    assert!(bob.events().iter().all(|event| matches!(event, Event::Phone(PhoneEvent::Status(_)))));
    assert_eq!(scene.tell(&bob, |phone| phone.counters().stray), 0);
    scene.assert_idle(&bob);
}

#[test]
fn a_request_that_it_does_not_let_out_fails_at_once() {
    let mut hooks = Hooks::new();
    hooks.request_out = |_| MessageAction::Drop;
    let mut scene = Scene::new();
    scene.silent_peer();
    let alice = scene.handled(ALICE, "alice", &hooks);
    let call = scene.call(&alice, "sip:bob@10.0.0.9");
    assert_eq!(scene.ended(&alice, call), (EndedBy::Error, None));
    assert_eq!(scene.lines(), [""; 0]);
    scene.assert_idle(&alice);
}

#[test]
fn a_response_that_it_drops_was_none() {
    let mut hooks = Hooks::new();
    hooks.response_in = |_| MessageAction::Drop;
    let mut scene = Scene::new();
    let (alice, bob) = (scene.handled(ALICE, "alice", &hooks), scene.direct(BOB, "bob"));
    let call = scene.call(&alice, "sip:bob@10.0.0.2");
    let called = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.deny(called, 486, None)).unwrap();
    assert_eq!(scene.ended(&alice, call), (EndedBy::Timeout, None));
    assert!(alice.states(call).iter().all(|(_, code)| code.is_none()));
    scene.assert_idle(&alice);
}

#[test]
fn a_response_that_it_does_not_let_out_leaves_nothing() {
    let mut hooks = Hooks::new();
    hooks.response_out = |_| MessageAction::Drop;
    let mut scene = Scene::new();
    let (bob, peer) = (scene.handled(BOB, "bob", &hooks), scene.silent_peer());
    scene.say(peer, &bob, &request("OPTIONS", 1, None, ""));
    assert!(scene.sim[peer].received().is_empty());
    assert!(scene.sim[bob.id].agent.is_idle());
    // A call whose 2xx is never seen ends without ACK, as on a bad network.
    scene.say(peer, &bob, &request("INVITE", 2, None, &session(&sdp("sendrecv"))));
    let call = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.answer(call)).unwrap();
    scene.run(Duration::from_secs(40));
    assert_eq!(scene.ended(&bob, call).0, EndedBy::Timeout);
    assert!(scene.sim[peer].received().iter().all(|got| got.first_line().starts_with("BYE")));
}

#[test]
fn it_sees_credentials() {
    let mut hooks = Hooks::new();
    hooks.request_out = |request| {
        if let Some(secret) = request.header_by_name("Authorization").map(str::to_owned) {
            assert!(secret.starts_with("Digest "), "{secret}");
            request.set("X-Inspection", "yes");
        }
        MessageAction::Pass
    };
    let mut scene = Scene::new();
    scene.peer(PEER, |peer, arrival| match arrival.header("Authorization") {
        Some(_) => peer.reply(arrival, "200 OK", "Contact: <sip:alice@10.0.0.1>;expires=60"),
        None => peer.reply(arrival, "401 No", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\""),
    });
    let parameters = PhoneParameters::new("10.0.0.9", "alice").password("secret");
    let kept = hooks.clone();
    let alice = scene.phone(ALICE, parameters.sip_class(move || kept.clone()));
    scene.start(&alice);
    scene.until(&alice, |event| {
        matches!(event, Event::Phone(PhoneEvent::Status(PhoneStatus::Registered)))
    });
    assert_eq!(header(&scene.sent(ALICE, "REGISTER")[1], "X-Inspection"), Some("yes"));
    assert_eq!(hooks.seen()[..4], [">REGISTER", "<401 REGISTER", ">REGISTER", "<200 REGISTER"]);
}

#[test]
fn each_start_has_a_handler_of_its_own() {
    struct Counting(u32);
    impl SipHandler for Counting {
        fn response_out(&mut self, response: &mut SipDraft, _: SocketAddr) -> MessageAction {
            self.0 += 1;
            response.set("X-Count", &self.0.to_string());
            MessageAction::Pass
        }
    }
    let mut scene = Scene::new();
    let parameters = PhoneParameters::without_server("bob").sip_class(|| Counting(0));
    let (bob, peer) = (scene.phone(BOB, parameters), scene.silent_peer());
    let mut seq = 0;
    for _ in 0..2 {
        scene.start(&bob);
        for expected in ["1", "2"] {
            seq += 1;
            scene.say(peer, &bob, &request("OPTIONS", seq, None, ""));
            let (_, text) = scene.answer_to(peer, "OPTIONS", seq);
            assert_eq!(header(&text, "X-Count"), Some(expected));
        }
        scene.tell(&bob, |phone| phone.stop());
        scene.run(Duration::from_secs(1));
    }
}

#[test]
fn it_may_change_and_drop_cancel_and_ack() {
    let ringing = |scene: &mut Scene| {
        scene.peer(PEER, |peer, arrival| {
            match arrival.first_line().split(' ').next().unwrap_or_default() {
                "INVITE" => {
                    let ringing = response(arrival, "180 Ringing", "t", "");
                    peer.send(arrival.from, &ringing);
                }
                "CANCEL" => peer.reply(arrival, "200 OK", ""),
                _ => {}
            }
        })
    };
    let mut hooks = Hooks::new();
    hooks.request_out = |request| {
        request.set("Reason", "SIP;cause=200");
        MessageAction::Pass
    };
    let mut scene = Scene::new();
    ringing(&mut scene);
    let alice = scene.handled(ALICE, "alice", &hooks);
    let call = scene.call(&alice, "sip:bob@10.0.0.9");
    scene.run(Duration::from_secs(1));
    scene.tell(&alice, |phone| phone.cancel(call)).unwrap();
    scene.run(Duration::from_secs(1));
    let cancel = &scene.sent(ALICE, "CANCEL")[0];
    assert_eq!(header(cancel, "Reason"), Some("SIP;cause=200"));
    assert_eq!(header(cancel, "Via"), header(&scene.sent(ALICE, "INVITE")[0], "Via"));
    // One that does not go out was lost: the call ends when the INVITE has had its time.
    hooks.request_out = |request| match request.method() {
        Method::Cancel => MessageAction::Drop,
        _ => MessageAction::Pass,
    };
    let mut scene = Scene::new();
    ringing(&mut scene);
    let alice = scene.handled(ALICE, "alice", &hooks);
    let call = scene.call(&alice, "sip:bob@10.0.0.9");
    scene.run(Duration::from_secs(1));
    scene.tell(&alice, |phone| phone.cancel(call)).unwrap();
    scene.ended(&alice, call);
    assert_eq!(scene.sent(ALICE, "CANCEL"), [""; 0]);
    scene.assert_idle(&alice);
    // An ACK that does not go out is not repeated either.
    hooks.request_out = |request| match request.method() {
        Method::Ack => MessageAction::Drop,
        _ => MessageAction::Pass,
    };
    let mut scene = Scene::new();
    let (alice, bob) = (scene.handled(ALICE, "alice", &hooks), scene.direct(BOB, "bob"));
    let call = scene.call(&alice, "sip:bob@10.0.0.2");
    let called = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.answer(called)).unwrap();
    assert_eq!(scene.ended(&alice, call).0, EndedBy::Remote, "who hears no ACK hangs up");
    assert_eq!(scene.sent(ALICE, "ACK"), [""; 0]);
}
