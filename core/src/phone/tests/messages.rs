//! Instant messages (RFC 3428) both ways, and NOTIFY that nobody subscribed for.

use std::cell::Cell;
use std::rc::Rc;

use super::scene::{ALICE, Actor, BOB, PEER, Scene, TESTER, header, request};
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{Event, PhoneEvent, SipRequestId};
use crate::time::Duration;

const HELLO: &str = "Content-Type: text/plain\n\nhello";

impl Scene {
    fn message(&mut self, from: &Actor, target: &str, body: &str) -> SipRequestId {
        self.tell(from, |phone| phone.message(target, body.as_bytes(), "text/plain")).unwrap()
    }
}

impl Actor {
    /// The messages that came: from, to, body, type.
    fn messages(&self) -> Vec<(String, String, String, String)> {
        let told = |event: Event| match event {
            Event::Phone(PhoneEvent::Message { from, to, body, content_type }) => {
                Some((from, to, String::from_utf8_lossy(&body).into_owned(), content_type))
            }
            _ => None,
        };
        self.events().into_iter().filter_map(told).collect()
    }

    /// What became of each message sent, in the order told; 0 is no answer.
    fn outcomes(&self) -> Vec<(SipRequestId, u16)> {
        let told = |event: Event| match event {
            Event::Response { request, reply } => {
                Some((request, reply.map_or(0, |reply| reply.cause.code)))
            }
            _ => None,
        };
        self.events().into_iter().filter_map(told).collect()
    }
}

#[test]
fn a_message_goes_from_phone_to_phone() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
    let id = scene.message(&alice, "sip:bob@10.0.0.2", "Grüße\r\n");
    scene.run(Duration::from_secs(1));
    assert_eq!(alice.outcomes(), [(id, 200)]);
    let [(from, to, body, content_type)] = &bob.messages()[..] else { panic!("one came") };
    assert!(from.starts_with("sip:alice@10.0.0.1"), "{from}");
    assert_eq!((&**to, &**body), ("sip:bob@10.0.0.2", "Grüße\r\n"));
    assert_eq!(content_type, "text/plain");
    // RFC 3428 §4 and §7: no Contact either way, no body in the 2xx.
    let (sent, answer) = (&scene.sent(ALICE, "MESSAGE")[0], &scene.sent(BOB, "200")[0]);
    assert_eq!((header(sent, "Contact"), header(answer, "Contact")), (None, None));
    assert_eq!(header(answer, "Content-Length"), Some("0"));
    scene.assert_idle(&alice);
    scene.assert_idle(&bob);
}

#[test]
fn a_challenged_message_is_sent_once_more_with_credentials() {
    for (status, ask, answer) in [
        ("401 Unauthorized", "WWW-Authenticate", "Authorization"),
        ("407 Proxy Authentication Required", "Proxy-Authenticate", "Proxy-Authorization"),
    ] {
        let mut scene = Scene::new();
        let server = scene.peer(PEER, move |peer, arrival| match arrival.header(answer) {
            Some(_) => peer.reply(arrival, "202 Accepted", ""),
            None => {
                let challenge = format!("{ask}: Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\"");
                peer.reply(arrival, status, &challenge);
            }
        });
        let mut parameters = PhoneParameters::new("10.0.0.9", "alice").password("secret");
        parameters.register = false;
        let alice = scene.phone(ALICE, parameters);
        scene.start(&alice);
        let id = scene.message(&alice, "bob", "hello");
        scene.run(Duration::from_secs(1));
        assert_eq!(alice.outcomes(), [(id, 202)]);
        let came = scene.sim[server].received();
        assert_eq!(came.len(), 2);
        for (seq, arrival) in (1..).zip(came) {
            assert!(arrival.first_line().starts_with("MESSAGE sip:bob@10.0.0.9"));
            assert!(arrival.text().ends_with("\r\n\r\nhello"), "{}", arrival.text());
            assert_eq!(arrival.header("Content-Type").unwrap(), "text/plain");
            assert_eq!(arrival.header("CSeq").unwrap(), format!("{seq} MESSAGE"));
        }
        assert_eq!(came[0].header("Call-ID"), came[1].header("Call-ID"));
        scene.assert_idle(&alice);
    }
}

#[test]
fn a_refused_message_and_one_that_nobody_answers() {
    let mut scene = Scene::new();
    scene.peer(PEER, |peer, arrival| peer.reply(arrival, "404 Not Found", ""));
    let alice = scene.direct(ALICE, "alice");
    let refused = scene.message(&alice, "sip:x@10.0.0.9", "hello");
    let silent = scene.message(&alice, "sip:x@10.0.0.77", "hello");
    let unknown = scene.message(&alice, "sip:x@nowhere.example", "hello");
    scene.run(Duration::from_secs(31));
    assert_eq!(alice.outcomes(), [(unknown, 0), (refused, 404)]);
    scene.run(Duration::from_secs(2));
    assert_eq!(alice.outcomes()[2..], [(silent, 0)]);
    scene.assert_idle(&alice);
}

/// RFC 3428 §8: one at a time to a URI; and so they stay in order.
#[test]
fn the_next_message_to_a_uri_waits_for_the_answer() {
    let mut scene = Scene::new();
    let silent = Rc::new(Cell::new(true));
    let quiet = Rc::clone(&silent);
    let peer = scene.peer(PEER, move |peer, arrival| {
        if !quiet.get() {
            peer.reply(arrival, "200 OK", "");
        }
    });
    let alice = scene.direct(ALICE, "alice");
    let ids = ["one", "two", "three"].map(|text| scene.message(&alice, "sip:x@10.0.0.9", text));
    let other = scene.message(&alice, "sip:y@10.0.0.9", "other");
    scene.run(Duration::from_millis(100));
    let bodies = |scene: &Scene| -> Vec<String> {
        let body = |text: String| text.rsplit("\r\n").next().unwrap_or_default().to_owned();
        scene.sim[peer].received().iter().map(|came| body(came.text().into_owned())).collect()
    };
    assert_eq!(bodies(&scene), ["one", "other"]);
    silent.set(false);
    scene.run(Duration::from_secs(1));
    let mut outcomes = alice.outcomes();
    outcomes.retain(|(id, _)| *id != other);
    assert_eq!(outcomes, ids.map(|id| (id, 200)));
    // The phone stops with messages that wait: each is told of once.
    silent.set(true);
    let left = ["four", "five"].map(|text| scene.message(&alice, "sip:x@10.0.0.9", text));
    scene.run(Duration::from_millis(100));
    scene.tell(&alice, |phone| phone.stop());
    scene.run(Duration::from_secs(20));
    assert_eq!(alice.outcomes()[4..], left.map(|id| (id, 0)));
    scene.assert_idle(&alice);
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let mut scene = Scene::new();
    let alice = scene.direct(ALICE, "alice");
    let target = "sip:x@10.0.0.9";
    let mut refused = |body: &[u8], content_type: &str| {
        let result = scene.tell(&alice, |phone| phone.message(target, body, content_type));
        result.unwrap_err()
    };
    assert!(matches!(refused(b"x", "text"), Error::InvalidValue { .. }));
    assert!(matches!(refused(b"x", "text/plain\r\nX: y"), Error::InvalidValue { .. }));
    let too_large = refused(&[b'x'; 1_301], "text/plain");
    assert_eq!(too_large, Error::TooLarge { limit: 1_300 });
    // With its header fields it is too large, which shows when it is written.
    let id = scene.message(&alice, target, &"x".repeat(1_290));
    scene.run(Duration::from_secs(1));
    let told = |event: &Event| match event {
        Event::Response { request, reply: Err(error) } if *request == id => error.clone(),
        _ => None,
    };
    assert_eq!(alice.events().iter().find_map(told), Some(too_large));
    assert!(scene.sent(ALICE, "MESSAGE").is_empty());
    scene.tell(&alice, |phone| phone.stop());
    let result = scene.tell(&alice, |phone| phone.message(target, b"x", "text/plain"));
    assert!(matches!(result, Err(Error::InvalidStatus { .. })));
}

#[test]
fn a_message_that_comes_again_is_answered_again_and_told_once() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    for _ in 0..3 {
        scene.say(peer, &bob, &request("MESSAGE", 1, None, HELLO));
        assert_eq!(scene.answer_to(peer, "MESSAGE", 1).0, 200);
    }
    assert_eq!(scene.sim[peer].received().len(), 3);
    let wanted = ["sip:tester@10.0.0.9", "sip:bob@10.0.0.2", "hello", "text/plain"];
    let [(from, to, body, content_type)] = &bob.messages()[..] else { panic!("one was told") };
    assert_eq!([from, to, body, content_type], wanted);
}

#[test]
fn a_message_of_any_type_is_taken_if_it_is_for_us_and_readable() {
    let mut scene = Scene::new();
    let mut parameters = PhoneParameters::without_server("bob");
    parameters.accept_any_user = false;
    let bob = scene.phone(BOB, parameters);
    scene.start(&bob);
    let peer = scene.silent_peer();
    let xml = "Content-Type: application/im-iscomposing+xml\n\n<x/>";
    let cases = [
        (200, request("MESSAGE", 1, None, xml)),
        (200, request("MESSAGE", 2, None, "")),
        (404, TESTER.request_to("sip:eve@10.0.0.2", "MESSAGE", 3, None, HELLO)),
        (415, request("MESSAGE", 4, None, &format!("Content-Encoding: gzip\n{HELLO}"))),
        (481, request("MESSAGE", 5, Some("unknown"), HELLO)),
    ];
    for (seq, (status, text)) in (1..).zip(cases) {
        scene.say(peer, &bob, &text);
        let (answered, response) = scene.answer_to(peer, "MESSAGE", seq);
        assert_eq!(answered, status, "{text}");
        if status == 415 {
            assert_eq!(header(&response, "Accept"), Some("*/*"));
            assert_eq!(header(&response, "Accept-Encoding"), Some("identity"));
        }
    }
    let told = bob.messages();
    let told: Vec<_> = told.iter().map(|(.., body, kind)| (&**body, &**kind)).collect();
    assert_eq!(told, [("<x/>", "application/im-iscomposing+xml"), ("", "text/plain")]);
    // Within a call too.
    let (_, tag) = scene.called_by(peer, &bob);
    scene.say(peer, &bob, &request("MESSAGE", 9, Some(&tag), HELLO));
    assert_eq!(scene.answer_to(peer, "MESSAGE", 9).0, 200);
    assert_eq!(bob.messages().len(), 3);
}

/// pyVoIP #46, #126 and #177: its users' servers send NOTIFY unasked, and give up a phone that does
/// not take it. One of a subscription that we do not have is refused (RFC 6665 §4.1.3).
#[test]
fn an_unsolicited_notify_is_taken_and_one_of_a_subscription_refused() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let (_, tag) = scene.called_by(peer, &bob);
    let voice_mail = "Event: message-summary;id=1\nSubscription-State: active\n\
                      Content-Type: application/simple-message-summary\n\nMessages-Waiting: yes";
    let cases = [
        (200, None, "Event: keep-alive"),
        (200, None, "Event: Keep-Alive"),
        (200, None, ""),
        (200, None, voice_mail),
        (481, None, "Event: presence"),
        (481, None, "Event: check-sync"),
        (481, Some("unknown"), "Event: message-summary"),
        (489, Some(&*tag), "Event: message-summary"),
    ];
    for (seq, (status, tag, more)) in (10..).zip(cases) {
        scene.say(peer, &bob, &request("NOTIFY", seq, tag, more));
        assert_eq!(scene.answer_to(peer, "NOTIFY", seq).0, status, "{more}");
    }
    assert!(bob.messages().is_empty());
}
