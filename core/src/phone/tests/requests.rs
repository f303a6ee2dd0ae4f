//! Requests that the application makes itself.

use core::net::SocketAddr;

use super::scene::{ALICE, Actor, BOB, PEER, Scene, described, header, response};
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{CallEvent, CallState, EndedBy, Event, Reply, SipRequestId};
use crate::handler::{RequestAction, SipAnswer, SipDraft, SipHandler};
use crate::phone::RequestOptions;
use crate::time::Duration;

impl Actor {
    /// The answers that were told, in order.
    fn replies(&self) -> Vec<(SipRequestId, Option<Reply>)> {
        let told = |event: Event| match event {
            Event::Response { request, reply } => Some((request, reply.ok())),
            _ => None,
        };
        self.events().into_iter().filter_map(told).collect()
    }
}

impl Scene {
    fn request(
        &mut self,
        from: &Actor,
        method: &str,
        target: &str,
        options: RequestOptions,
    ) -> Result<SipRequestId, Error> {
        self.tell(from, |phone| phone.request(method, target, options))
    }
}

#[test]
fn a_new_method_goes_from_phone_to_phone() {
    struct Pinged;
    impl SipHandler for Pinged {
        fn methods(&self) -> Vec<&str> {
            vec!["PING"]
        }
        fn request_in(&mut self, request: &mut SipDraft, _: SocketAddr) -> RequestAction {
            assert_eq!((request.header_by_name("X-Hop"), request.body()), (Some("1"), &b"hi"[..]));
            RequestAction::Answer(
                SipAnswer::new(200).header("X-Load", "3").body("text/plain", b"up"),
            )
        }
    }
    let mut scene = Scene::new();
    let alice = scene.direct(ALICE, "alice");
    let bob = scene.phone(BOB, PhoneParameters::without_server("bob").sip_class(|| Pinged));
    scene.start(&bob);
    let options = RequestOptions::default().header("X-Hop", "1").body("text/plain", b"hi");
    let id = scene.request(&alice, "PING", "sip:bob@10.0.0.2", options).unwrap();
    scene.run(Duration::from_secs(1));
    let [(told, Some(reply))] = &alice.replies()[..] else { panic!("{:?}", alice.events()) };
    assert_eq!((*told, reply.cause.code, &*reply.body), (id, 200, &b"up"[..]));
    assert!(reply.headers.contains(&("X-Load".to_owned(), "3".to_owned())), "{reply:?}");
    scene.assert_idle(&alice);
    scene.assert_idle(&bob);
}

#[test]
fn it_is_authenticated_whole() {
    let mut scene = Scene::new();
    scene.peer(PEER, |peer, arrival| match arrival.header("Proxy-Authorization") {
        Some(_) => peer.reply(arrival, "202 Accepted", "SIP-ETag: 7"),
        None => {
            let challenge = "Proxy-Authenticate: Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\"";
            peer.reply(arrival, "407 Proxy Authentication Required", challenge);
        }
    });
    let parameters = PhoneParameters::new("10.0.0.9", "alice").password("secret").register(false);
    let alice = scene.phone(ALICE, parameters);
    scene.start(&alice);
    let options = RequestOptions::default().header("Event", "presence").body("text/plain", b"open");
    scene.request(&alice, "PUBLISH", "alice", options).unwrap();
    scene.run(Duration::from_secs(1));
    let sent = scene.sent(ALICE, "PUBLISH");
    assert_eq!(sent.len(), 2);
    for (index, request) in sent.iter().enumerate() {
        assert_eq!(header(request, "Event"), Some("presence"));
        assert_eq!(header(request, "CSeq"), Some(format!("{} PUBLISH", index + 1).as_str()));
        assert_eq!(header(request, "Contact"), None);
        assert!(request.ends_with("\r\n\r\nopen"), "{request}");
    }
    assert_eq!(alice.replies()[0].1.as_ref().unwrap().cause.code, 202);
    // What makes a dialog says where we are.
    let options = RequestOptions::default().header("Event", "dialog");
    scene.request(&alice, "SUBSCRIBE", "bob", options).unwrap();
    scene.run(Duration::from_secs(1));
    let contact = header(&scene.sent(ALICE, "SUBSCRIBE")[0], "Contact").map(str::to_owned);
    assert_eq!(contact.as_deref(), Some("<sip:alice@10.0.0.1:5060>"));
}

#[test]
fn nobody_answers() {
    let mut scene = Scene::new();
    scene.silent_peer();
    let alice = scene.direct(ALICE, "alice");
    let to = "sip:bob@10.0.0.9";
    let first = scene.request(&alice, "PING", to, RequestOptions::default()).unwrap();
    scene.run(Duration::from_secs(33));
    let second = scene.request(&alice, "PING", to, RequestOptions::default()).unwrap();
    scene.run(Duration::from_secs(1));
    scene.tell(&alice, |phone| phone.stop());
    scene.run(Duration::from_secs(1));
    assert_eq!(alice.replies(), [(first, None), (second, None)]);
    scene.assert_idle(&alice);
}

#[test]
fn what_the_phone_alone_may_send_is_refused() {
    let mut scene = Scene::new();
    let alice = scene.direct(ALICE, "alice");
    let plain = RequestOptions::default;
    for method in
        ["INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "PRACK", "UPDATE", "", "A B", "X\r\n"]
    {
        let refused = scene.request(&alice, method, "sip:b@10.0.0.9", plain());
        assert!(
            matches!(refused, Err(Error::InvalidValue { what: "method", .. })),
            "{method}: {refused:?}"
        );
    }
    for (options, culprit) in [
        (plain().header("Via", "x"), "header name"),
        (plain().header("i", "x"), "header name"),
        (plain().header("Authorization", "x"), "header name"),
        (plain().header("X-One", "a\nb"), "header"),
        (plain().header("X One", "a"), "header name"),
        (plain().body("text", b"x"), "content type"),
        (plain().body("text/plain", &[0; 60_001]), "body"),
    ] {
        let refused = scene.request(&alice, "PING", "sip:b@10.0.0.9", options);
        assert!(
            matches!(refused, Err(Error::InvalidValue { what, .. }) if what == culprit),
            "{culprit}: {refused:?}"
        );
    }
    let refused = scene.request(&alice, "PING", "http://h/", plain());
    assert!(matches!(refused, Err(Error::InvalidValue { what: "target", .. })));
    assert_eq!(scene.lines(), [""; 0]);
    for _ in 0..1_000 {
        scene.request(&alice, "PING", "sip:b@10.0.0.9", plain()).unwrap();
    }
    let refused = scene.request(&alice, "PING", "sip:b@10.0.0.9", plain());
    assert_eq!(refused, Err(Error::TooManyRequests { limit: 1_000 }));
}

#[test]
fn a_request_within_a_call() {
    let mut scene = Scene::new();
    scene.sim.set_default_link(crate::sim::Link::slow(Duration::from_millis(20)));
    let peer = scene.peer(PEER, |peer, arrival| match arrival.first_line().split(' ').next() {
        Some("INVITE") => {
            let answer = response(arrival, "200 OK", "t", &described());
            peer.send(arrival.from, &answer);
        }
        Some("INFO") if arrival.header("Authorization").is_none() => {
            let challenge = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n\"";
            peer.reply(arrival, "401 Unauthorized", challenge);
        }
        Some("INFO") => peer.reply(arrival, "200 OK", "X-Taken: yes"),
        Some("BYE") => peer.reply(arrival, "200 OK", ""),
        _ => {}
    });
    let parameters = PhoneParameters::new("10.0.0.9", "alice").password("secret").register(false);
    let alice = scene.phone(ALICE, parameters);
    scene.start(&alice);
    let call = scene.call(&alice, "bob");
    let info = || RequestOptions::default().header("X-Door", "open").body("text/plain", b"now");
    let early = scene.tell(&alice, |phone| phone.request_within(call, "INFO", info()));
    assert!(matches!(early, Err(Error::InvalidState { .. })), "{early:?}");
    scene.reach(&alice, call, CallState::Answered);
    let id = scene.tell(&alice, |phone| phone.request_within(call, "INFO", info())).unwrap();
    scene.run(Duration::from_secs(1));
    let sent = scene.sent(ALICE, "INFO");
    assert_eq!(sent.len(), 2, "the challenge was met");
    for request in &sent {
        assert!(header(request, "To").unwrap().ends_with(";tag=t"), "{request}");
        assert_eq!(header(request, "X-Door"), Some("open"));
        assert!(request.ends_with("\r\n\r\nnow"), "{request}");
    }
    let replies = alice.replies();
    let [(told, Some(reply))] = &replies[..] else { panic!("{replies:?}") };
    assert_eq!((*told, reply.cause.code), (id, 200));
    assert!(reply.headers.contains(&("X-Taken".to_owned(), "yes".to_owned())));
    assert_eq!(reply.round_trip.as_millis(), 40, "of the request that met the challenge");
    // One that is not answered when the call ends has no answer, and is told before the end.
    let id = scene.tell(&alice, |phone| phone.request_within(call, "PING", info())).unwrap();
    for _ in 1..16 {
        scene.tell(&alice, |phone| phone.request_within(call, "PING", info())).unwrap();
    }
    let more = scene.tell(&alice, |phone| phone.request_within(call, "PING", info()));
    assert_eq!(more, Err(Error::TooManyRequests { limit: 16 }));
    for method in ["BYE", "INVITE", "MESSAGE"] {
        let refused = scene.tell(&alice, |phone| phone.request_within(call, method, info()));
        assert!(matches!(refused, Err(Error::InvalidValue { what: "method", .. })), "{method}");
    }
    scene.run(Duration::from_secs(1));
    assert_eq!(scene.sent(ALICE, "PING").len(), 32, "each has been repeated once");
    scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
    scene.ended(&alice, call);
    let events = alice.events();
    let none = Event::Response { request: id, reply: Err(None) };
    let told = events.iter().position(|event| *event == none).expect("it is told");
    assert!(
        told < events.len() - 1
            && matches!(events.last(), Some(Event::Call { event: CallEvent::Ended(_), .. }))
    );
    assert_eq!(alice.replies().len(), 17);
    assert!(scene.sim[peer].received().len() > 20);
    scene.assert_idle(&alice);
}

#[test]
fn a_request_within_a_call_that_nobody_answers() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
    let (call, _) = scene.answered(&alice, &bob);
    scene.sim.partition(alice.id, bob.id);
    let options = RequestOptions::default();
    let id = scene.tell(&alice, |phone| phone.request_within(call, "PING", options)).unwrap();
    scene.run(Duration::from_secs(33));
    assert_eq!(alice.replies(), [(id, None)]);
    // RFC 3261 §12.2.1.2: a peer that does not answer at all has left the dialog.
    assert_eq!(scene.ended(&alice, call), (EndedBy::Timeout, None));
}

#[test]
fn a_request_that_finds_no_dialog_at_the_far_end_ends_the_call() {
    for status in ["481 Call Does Not Exist", "408 Request Timeout"] {
        let mut scene = Scene::new();
        let alice = scene.direct(ALICE, "alice");
        let peer =
            scene.peer(PEER, move |peer, arrival| match arrival.first_line().split(' ').next() {
                Some("INVITE") => {
                    let answer = response(arrival, "200 OK", "t", &described());
                    peer.send(arrival.from, &answer);
                }
                Some("INFO") => peer.reply(arrival, status, ""),
                Some("BYE") => peer.reply(arrival, "200 OK", ""),
                _ => {}
            });
        let call = scene.call(&alice, "sip:bob@10.0.0.9");
        scene.reach(&alice, call, CallState::Answered);
        let options = RequestOptions::default();
        scene.tell(&alice, |phone| phone.request_within(call, "INFO", options)).unwrap();
        let code = status[..3].parse().ok();
        assert_eq!(scene.ended(&alice, call), (EndedBy::Remote, code));
        assert_eq!(scene.sim[peer].count("BYE"), 1, "{status}");
        scene.assert_idle(&alice);
    }
}

#[test]
fn a_request_asked_for_together_with_the_answer_names_our_contact() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
    scene.call(&alice, "sip:bob@10.0.0.2");
    let call = scene.incoming(&bob);
    let options = RequestOptions::default().header("Event", "door");
    let asked = scene.tell(&bob, |phone| {
        phone.answer(call)?;
        phone.request_within(call, "SUBSCRIBE", options)
    });
    scene.run(Duration::from_secs(1));
    let sent = scene.sent(BOB, "SUBSCRIBE");
    let [subscribe] = &sent[..] else { panic!("{sent:?}") };
    let ack = scene.lines().iter().position(|line| line.contains("ACK"));
    let asked_at = scene.lines().iter().position(|line| line.contains("SUBSCRIBE"));
    assert!(ack < asked_at, "{}", scene.ladder());
    assert!(header(subscribe, "Contact").is_some_and(|it| it.contains("10.0.0.2")), "{subscribe}");
    let replies = bob.replies();
    assert!(matches!(&replies[..], [(id, Some(_))] if asked == Ok(*id)), "{replies:?}");
}
