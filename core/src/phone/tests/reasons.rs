//! Why a call is refused or ends: Reason (RFC 3326) and Retry-After, word by word.

use core::time::Duration;

use super::scene::{ALICE, BOB, Scene, headers, request, response};
use crate::call::DenyOptions;
use crate::error::Error;
use crate::event::{CallEvent, Ending, Event};
use crate::sip::Reason;

fn ending(events: &[Event]) -> Ending {
    let ended = events.iter().find_map(|event| match event {
        Event::Call { event: CallEvent::Ended(ending), .. } => Some((**ending).clone()),
        _ => None,
    });
    ended.expect("it has ended")
}

#[test]
fn bye_and_cancel_say_why() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
    let (calling, called) = scene.answered(&alice, &bob);
    let reasons = [Reason::q850(16), Reason::sip(200).text("a \"b\"")];
    scene.tell(&alice, |phone| phone.hangup_for(calling, &reasons)).unwrap();
    scene.ended(&bob, called);
    let bye = &scene.sent(ALICE, "BYE")[0];
    assert_eq!(headers(bye, "Reason"), ["Q.850;cause=16", "SIP;cause=200;text=\"a \\\"b\\\"\""]);
    assert_eq!(ending(&bob.events()).reasons, reasons);
    let calling = scene.call(&alice, "sip:bob@10.0.0.2");
    scene.run(crate::time::Duration::from_millis(50));
    let both = [Reason::sip(486), Reason { protocol: "sip".into(), ..Reason::sip(600) }];
    let refused = scene.tell(&alice, |phone| phone.cancel_for(calling, &both));
    assert!(matches!(refused, Err(Error::InvalidValue { .. })), "{refused:?}");
    let none = [Reason { protocol: "Q 850".into(), ..Reason::sip(16) }];
    let refused = scene.tell(&alice, |phone| phone.cancel_for(calling, &none));
    assert!(matches!(refused, Err(Error::InvalidValue { .. })), "{refused:?}");
    scene.tell(&alice, |phone| phone.cancel_for(calling, &[Reason::q850(19)])).unwrap();
    scene.ended(&alice, calling);
    assert_eq!(headers(&scene.sent(ALICE, "CANCEL")[0], "Reason"), ["Q.850;cause=19"]);
}

#[test]
fn what_a_far_end_says_is_told_and_bounded() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    let peer = scene.silent_peer();
    let (call, tag) = scene.called_by(peer, &bob);
    let others: String = (0..40).map(|number| format!(", p{number};cause={number}")).collect();
    let bye =
        request("BYE", 2, Some(&tag), &format!("Reason: q.850;cause=34, Q.850;cause=1{others}"));
    scene.say(peer, &bob, &bye);
    scene.ended(&bob, call);
    let reasons = ending(&bob.events()).reasons;
    assert_eq!(reasons.len(), 8);
    assert!(reasons[0].is("Q.850", 34) && reasons[1].is("P0", 0), "{reasons:?}");
}

#[test]
fn a_response_may_say_why_too() {
    let mut scene = Scene::new();
    let bob = scene.direct(BOB, "bob");
    scene.peer(super::scene::PEER, |peer, arrival| {
        if arrival.first_line().starts_with("INVITE") {
            // RFC 6432.
            let busy = response(arrival, "486 Busy Here", "t", "Reason: Q.850;cause=17");
            peer.send(arrival.from, &busy);
        }
    });
    let call = scene.call(&bob, "sip:x@10.0.0.9");
    scene.ended(&bob, call);
    assert_eq!(ending(&bob.events()).reasons, [Reason::q850(17)]);
}

#[test]
fn a_refusal_says_when_to_try_again() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
    let calling = scene.call(&alice, "sip:bob@10.0.0.2");
    let called = scene.incoming(&bob);
    let later = DenyOptions::default().reason("In a Meeting").retry_after(Duration::from_secs(90));
    scene.tell(&bob, |phone| phone.deny_with(called, 480, later)).unwrap();
    scene.ended(&alice, calling);
    let refusal = &scene.sent(BOB, "480 In a Meeting")[0];
    assert_eq!(headers(refusal, "Retry-After"), ["90"]);
    let cause = ending(&alice.events()).cause.unwrap();
    assert_eq!((cause.code, cause.retry_after), (480, Some(90)));
    scene.assert_idle(&bob);
}
