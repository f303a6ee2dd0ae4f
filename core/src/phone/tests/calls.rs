//! Calls between two phones.

use super::scene::{ALICE, Actor, BOB, Scene};
use crate::call::CallOptions;
use crate::codec::Codec;
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{CallEvent, CallId, CallState, EndedBy, Event, PhoneEvent};
use crate::media::{MediaControl, MediaEvent};
use crate::phone::Phone;
use crate::sdp::Direction;
use crate::sim::Link;
use crate::time::Duration;

fn two() -> (Scene, Actor, Actor) {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
    (scene, alice, bob)
}

#[test]
fn a_call_is_ended_by_what_its_state_allows() {
    let (mut scene, alice, bob) = two();
    let (calling, called) = scene.answered(&alice, &bob);
    scene.tell(&alice, |phone| phone.end(calling));
    assert_eq!(scene.ended(&bob, called), (EndedBy::Remote, None));
    scene.tell(&alice, |phone| phone.end(calling));
    for (by_caller, status) in [(true, 487), (false, 480)] {
        let calling = scene.call(&alice, "sip:bob@10.0.0.2");
        scene.run(Duration::from_millis(100));
        let called = scene.sim[bob.id].calls().next().expect("it rings");
        match by_caller {
            true => scene.tell(&alice, |phone| phone.end(calling)),
            false => scene.tell(&bob, |phone| phone.end(called)),
        }
        assert_eq!(scene.ended(&alice, calling).1, Some(status));
    }
    for (method, sent) in [("BYE", 1), ("CANCEL", 1)] {
        assert_eq!(scene.sent(ALICE, method).len(), sent, "{method}");
    }
    scene.assert_idle(&alice);
    scene.assert_idle(&bob);
}

#[test]
fn a_call_is_answered_and_hung_up() {
    let (mut scene, alice, bob) = two();
    let (calling, called) = scene.answered(&alice, &bob);
    scene.tell(&alice, |phone| phone.hangup(calling)).unwrap();
    assert_eq!(scene.ended(&alice, calling), (EndedBy::Local, None));
    assert_eq!(scene.ended(&bob, called), (EndedBy::Remote, None));
    assert_eq!(
        scene.lines(),
        ["1>2 INVITE", "2>1 180", "2>1 200", "1>2 ACK", "1>2 BYE", "2>1 200"]
    );
    assert_eq!(
        alice.states(calling),
        [
            (CallState::Dialing, None),
            (CallState::Dialing, Some(180)),
            (CallState::Answered, Some(200)),
            (CallState::Ended, None),
        ]
    );
    scene.assert_idle(&alice);
    scene.assert_idle(&bob);
}

#[test]
fn the_callee_hangs_up() {
    let (mut scene, alice, bob) = two();
    let (calling, called) = scene.answered(&alice, &bob);
    scene.tell(&bob, |phone| phone.hangup(called)).unwrap();
    assert_eq!(scene.ended(&bob, called), (EndedBy::Local, None));
    assert_eq!(scene.ended(&alice, calling), (EndedBy::Remote, None));
    assert_eq!(scene.lines()[4..], ["2>1 BYE", "1>2 200"]);
}

#[test]
fn both_hang_up_at_once() {
    let (mut scene, alice, bob) = two();
    scene.sim.set_default_link(Link::slow(Duration::from_millis(30)));
    let (calling, called) = scene.answered(&alice, &bob);
    scene.tell(&alice, |phone| phone.hangup(calling)).unwrap();
    scene.tell(&bob, |phone| phone.hangup(called)).unwrap();
    assert_eq!(scene.ended(&alice, calling).0, EndedBy::Local);
    assert_eq!(scene.ended(&bob, called).0, EndedBy::Local);
    scene.assert_idle(&alice);
    scene.assert_idle(&bob);
}

#[test]
fn media_is_told_on_both_sides_and_closed() {
    let (mut scene, alice, bob) = two();
    let (calling, called) = scene.answered(&alice, &bob);
    let (ours, theirs) = (alice.media(calling).remove(0), bob.media(called).remove(0));
    assert_eq!(ours.remote_rtp.ip(), core::net::IpAddr::from(BOB));
    assert_eq!(theirs.remote_rtp.ip(), core::net::IpAddr::from(ALICE));
    assert_eq!(ours.send.codec, Codec::Pcmu);
    assert!(ours.telephone_event_send.is_some() && theirs.telephone_event_receive.is_some());
    let opened = |controls: Vec<MediaControl>| match controls.into_iter().next() {
        Some(MediaControl::Open { cname, .. }) => cname,
        first => panic!("{first:?} instead of Open"),
    };
    assert_ne!(opened(alice.controls(calling)), opened(bob.controls(called)));
    let first = |event: &&Event| {
        matches!(event, Event::Phone(PhoneEvent::Incoming { .. }) | Event::Media { .. })
    };
    let events = bob.events();
    let first = events.iter().find(first);
    assert!(matches!(first, Some(Event::Phone(PhoneEvent::Incoming { .. }))), "{first:?}");
    assert_eq!(scene.sim.media_ports(alice.id), 1);
    scene.tell(&alice, |phone| phone.hangup(calling)).unwrap();
    scene.ended(&bob, called);
    for (actor, call) in [(&alice, calling), (&bob, called)] {
        let close = Event::Media { call, control: MediaControl::Close };
        assert_eq!(actor.events().iter().filter(|event| **event == close).count(), 1);
    }
}

#[test]
fn a_denial_says_code_and_reason() {
    for (code, reason, told) in [
        (603, None, "Decline"),
        (486, Some("Gone fishing"), "Gone fishing"),
        (404, None, "Not Found"),
    ] {
        let (mut scene, alice, bob) = two();
        let calling = scene.call(&alice, "sip:bob@10.0.0.2");
        let called = scene.incoming(&bob);
        scene.tell(&bob, |phone| phone.deny(called, code, reason)).unwrap();
        assert_eq!(scene.ended(&bob, called), (EndedBy::Local, Some(code)));
        assert_eq!(scene.ended(&alice, calling), (EndedBy::Remote, Some(code)));
        let heard = alice.events().into_iter().find_map(|event| match event {
            Event::Call { event: CallEvent::Ended(ending), .. } => ending.cause,
            _ => None,
        });
        assert_eq!(heard.unwrap().reason, told);
        assert_eq!(scene.lines().last().unwrap(), "1>2 ACK");
        scene.assert_idle(&alice);
        scene.assert_idle(&bob);
    }
}

#[test]
fn a_redirect_names_the_other_place() {
    let (mut scene, alice, bob) = two();
    let options = CallOptions::default().max_redirects(0);
    let calling = scene.tell(&alice, |phone| phone.call("sip:bob@10.0.0.2", options)).unwrap();
    let called = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.redirect(called, "sip:carol@10.0.0.3")).unwrap();
    assert_eq!(scene.ended(&alice, calling), (EndedBy::Remote, Some(302)));
    assert!(scene.sent(BOB, "302")[0].contains("Contact: <sip:carol@10.0.0.3>\r\n"));
}

#[test]
fn progress_opens_media_before_the_answer() {
    let (mut scene, alice, bob) = two();
    let calling = scene.call(&alice, "sip:bob@10.0.0.2");
    let called = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.progress(called)).unwrap();
    scene.reach(&alice, calling, CallState::Progress);
    assert_eq!((alice.media(calling).len(), bob.media(called).len()), (1, 1));
    assert_eq!(scene.sim[bob.id].state(called), Some(CallState::Progress));
    scene.tell(&bob, |phone| phone.answer(called)).unwrap();
    scene.reach(&alice, calling, CallState::Answered);
    assert_eq!((alice.media(calling).len(), bob.media(called).len()), (1, 1), "once is enough");
    let body = |text: &str| text.split_once("\r\n\r\n").unwrap().1.to_owned();
    assert_eq!(body(&scene.sent(BOB, "183")[0]), body(&scene.sent(BOB, "200")[0]), "§13.3.1.4");
}

#[test]
fn cancel_reaches_a_ringing_phone() {
    for progress in [false, true] {
        let (mut scene, alice, bob) = two();
        let calling = scene.call(&alice, "sip:bob@10.0.0.2");
        let called = scene.incoming(&bob);
        if progress {
            scene.tell(&bob, |phone| phone.progress(called)).unwrap();
            scene.reach(&alice, calling, CallState::Progress);
        } else {
            scene.run(Duration::from_millis(50));
        }
        scene.tell(&alice, |phone| phone.cancel(calling)).unwrap();
        assert_eq!(scene.ended(&alice, calling), (EndedBy::Local, Some(487)));
        assert_eq!(scene.ended(&bob, called), (EndedBy::Remote, Some(487)));
        scene.assert_idle(&alice);
        scene.assert_idle(&bob);
    }
}

#[test]
fn cancel_and_answer_cross() {
    let (mut scene, alice, bob) = two();
    scene.sim.set_default_link(Link::slow(Duration::from_millis(40)));
    let calling = scene.call(&alice, "sip:bob@10.0.0.2");
    let called = scene.incoming(&bob);
    scene.run(Duration::from_millis(60));
    scene.tell(&alice, |phone| phone.cancel(calling)).unwrap();
    scene.tell(&bob, |phone| phone.answer(called)).unwrap();
    assert_eq!(scene.ended(&alice, calling), (EndedBy::Local, None));
    assert_eq!(scene.ended(&bob, called), (EndedBy::Remote, None));
    assert!(scene.lines().contains(&"1>2 BYE".to_owned()));
    scene.assert_idle(&alice);
    scene.assert_idle(&bob);
}

#[test]
fn codecs_and_direction_are_the_callers_choice() {
    let (mut scene, alice, bob) = two();
    let options = CallOptions::default().codecs(&[Codec::Pcma]).direction(Direction::RecvOnly);
    let calling = scene.tell(&alice, |phone| phone.call("sip:bob@10.0.0.2", options)).unwrap();
    let called = scene.incoming(&bob);
    scene.tell(&bob, |phone| phone.answer(called)).unwrap();
    scene.reach(&alice, calling, CallState::Answered);
    assert_eq!(alice.media(calling)[0].send.codec, Codec::Pcma);
    assert_eq!(alice.media(calling)[0].direction, Direction::RecvOnly);
    assert_eq!(bob.media(called)[0].direction, Direction::SendOnly);
    assert!(
        !alice
            .events()
            .iter()
            .any(|event| matches!(event, Event::Call { event: CallEvent::Hold { .. }, .. }))
    );
}

#[test]
fn silence_hangs_up() {
    let (mut scene, alice, bob) = two();
    let (calling, called) = scene.answered(&alice, &bob);
    scene.tell(&alice, |phone| phone.handle_media_event(calling, &MediaEvent::Silent));
    assert_eq!(scene.ended(&alice, calling), (EndedBy::Timeout, None));
    assert_eq!(scene.ended(&bob, called).0, EndedBy::Remote);
}

/// Every command in every state: what voip.rst allows, and InvalidState for all else.
#[test]
fn the_state_says_what_may_be_done() {
    type Command = (&'static str, fn(&mut Phone, CallId) -> Result<(), Error>);
    const COMMANDS: [Command; 6] = [
        ("answer", |phone, call| phone.answer(call)),
        ("progress", |phone, call| phone.progress(call)),
        ("deny", |phone, call| phone.deny(call, 603, None)),
        ("redirect", |phone, call| phone.redirect(call, "sip:x@y")),
        ("hang up", |phone, call| phone.hangup(call)),
        ("cancel", |phone, call| phone.cancel(call)),
    ];
    // The calls of both sides, brought to the n-th situation.
    let bring = |situation: usize| {
        let (mut scene, alice, bob) = two();
        let calling = scene.call(&alice, "sip:bob@10.0.0.2");
        let called = scene.incoming(&bob);
        scene.run(Duration::from_millis(50));
        match situation {
            1 => {
                scene.tell(&bob, |phone| phone.progress(called)).unwrap();
                scene.reach(&alice, calling, CallState::Progress);
            }
            2 => {
                scene.tell(&bob, |phone| phone.answer(called)).unwrap();
                scene.reach(&alice, calling, CallState::Answered);
            }
            3 => {
                scene.sim.partition(ALICE, BOB);
                scene.tell(&alice, |phone| phone.cancel(calling)).unwrap();
                scene.run(Duration::from_millis(50));
            }
            4 => {
                scene.tell(&bob, |phone| phone.answer(called)).unwrap();
                scene.reach(&alice, calling, CallState::Answered);
                scene.sim.partition(ALICE, BOB);
                scene.tell(&alice, |phone| phone.hangup(calling)).unwrap();
                scene.tell(&bob, |phone| phone.hangup(called)).unwrap();
            }
            _ => {}
        }
        (scene, alice, calling, bob, called)
    };
    type Row = (usize, CallState, &'static [&'static str], CallState, &'static [&'static str]);
    let table: [Row; 5] = [
        (
            0,
            CallState::Dialing,
            &["cancel"],
            CallState::Ringing,
            &["answer", "progress", "deny", "redirect"],
        ),
        (1, CallState::Progress, &["cancel"], CallState::Progress, &["answer", "deny", "redirect"]),
        (2, CallState::Answered, &["hang up"], CallState::Answered, &["hang up"]),
        (
            3,
            CallState::Canceling,
            &[],
            CallState::Ringing,
            &["answer", "progress", "deny", "redirect"],
        ),
        (4, CallState::Ended, &[], CallState::Ended, &[]),
    ];
    for (situation, outgoing, may_caller, incoming, may_callee) in table {
        for (name, command) in COMMANDS {
            let (mut scene, alice, calling, bob, called) = bring(situation);
            for (actor, call, state, may) in
                [(&alice, calling, outgoing, may_caller), (&bob, called, incoming, may_callee)]
            {
                let result = scene.tell(actor, |phone| {
                    assert_eq!(phone.state(call), Some(state), "{situation}");
                    command(phone, call)
                });
                let expected = match may.contains(&name) {
                    true => Ok(()),
                    false => Err(Error::InvalidState { command: name, state }),
                };
                assert_eq!(result, expected, "{name} in {state}");
            }
        }
    }
    let (mut scene, alice, bob) = two();
    let (calling, called) = scene.answered(&alice, &bob);
    scene.tell(&alice, |phone| phone.hangup(calling)).unwrap();
    scene.ended(&bob, called);
    for (_, command) in COMMANDS {
        let result = scene.tell(&bob, |phone| command(phone, called));
        assert_eq!(result, Err(Error::NoSuchCall { call: called }));
    }
}

#[test]
fn what_a_phone_or_a_call_cannot_be_made_of_is_refused() {
    let mut parameters = PhoneParameters::without_server("a").rtp_ports(20_000, 10_000);
    let range = Phone::new(parameters.clone()).err();
    assert_eq!(range, Some(Error::InvalidRange { low: 20_000, high: 10_000 }));
    assert!(
        Phone::new(parameters.clone().rtp_ports(10_001, 10_002)).is_err(),
        "no even port first"
    );
    assert!(Phone::new(parameters.clone().rtp_ports(10_000, 10_001)).is_ok());
    parameters = parameters.rtp_ports(10_000, 20_000);
    assert!(Phone::new(parameters.clone().codecs(&[])).is_err());
    let with = |change: fn(&mut PhoneParameters)| {
        let mut parameters = parameters.clone();
        change(&mut parameters);
        Phone::new(parameters)
    };
    assert!(with(|p| p.user_agent = "x\r\nEvil: y".to_owned()).is_err());
    assert!(with(|p| p.display_name = Some("x\ny".to_owned())).is_err());
    assert!(with(|p| p.server = Some("a b".to_owned())).is_err());
    assert!(with(|p| p.outbound_proxy = Some("nonsense".to_owned())).is_err());

    let (mut scene, alice, _) = two();
    let mut refused = |options: CallOptions| {
        scene.tell(&alice, |phone| phone.call("sip:b@10.0.0.2", options)).is_err()
    };
    assert!(refused(CallOptions::default().header("X-Bad", "a\r\nb: c")));
    assert!(refused(CallOptions::default().header("Bad Name", "x")));
    assert!(refused(CallOptions::default().header("v", "SIP/2.0/UDP x")));
    assert!(refused(CallOptions::default().codecs(&[])));
    let mut phone = Phone::new(PhoneParameters::without_server("a")).unwrap();
    assert!(matches!(
        phone.call("sip:b@c", CallOptions::default()),
        Err(Error::InvalidStatus { .. })
    ));
}

#[test]
fn no_more_calls_than_the_limit() {
    let mut parameters = PhoneParameters::without_server("alice");
    parameters.max_calls = 2;
    let mut scene = Scene::new();
    let alice = scene.phone(ALICE, parameters);
    scene.start(&alice);
    scene.call(&alice, "sip:b@10.0.0.2");
    scene.call(&alice, "sip:b@10.0.0.2");
    let third = scene.tell(&alice, |phone| phone.call("sip:b@10.0.0.2", Default::default()));
    assert_eq!(third, Err(Error::TooManyCalls { limit: 2 }));
}

#[test]
fn one_phone_carries_a_thousand_calls_on_one_socket() {
    let mut scene = Scene::new();
    scene.sim.record_wire(0);
    let mut parameters = PhoneParameters::without_server("bob");
    (parameters.rtp_port_low, parameters.rtp_port_high) = (10_000, 30_000);
    let alice = scene.phone(ALICE, parameters.clone());
    let bob = scene.phone(BOB, parameters);
    scene.start(&alice);
    scene.start(&bob);
    let calls: Vec<CallId> = (0..1_000).map(|_| scene.call(&alice, "sip:bob@10.0.0.2")).collect();
    scene.run(Duration::from_secs(1));
    let rung: Vec<CallId> = scene.sim[bob.id].calls().collect();
    assert_eq!(rung.len(), 1_000);
    for call in &rung {
        scene.tell(&bob, |phone| phone.answer(*call)).unwrap();
    }
    scene.run(Duration::from_secs(60));
    for call in &calls {
        assert_eq!(scene.sim[alice.id].state(*call), Some(CallState::Answered));
        scene.tell(&alice, |phone| phone.hangup(*call)).unwrap();
    }
    scene.run(Duration::from_secs(1));
    scene.assert_idle(&alice);
    scene.assert_idle(&bob);
}

/// At any loss every call ends on both sides in bounded time, and both agree whether it was up.
#[test]
fn loss_delays_and_never_wedges() {
    for seed in 0..60 {
        for permille in [0, 50, 300] {
            let mut scene = Scene::with_seed(seed);
            let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
            scene.sim.set_default_link(Link::lossy(permille));
            scene.sim.set_application(bob.id, {
                let kept = bob.kept();
                move |phone: &mut Phone, _| {
                    while let Some(event) = phone.next_event() {
                        if let Event::Phone(PhoneEvent::Incoming { call, .. }) = &event {
                            phone.answer(*call).expect("it rings");
                        }
                        kept.borrow_mut().push(event);
                    }
                }
            });
            let call = scene.call(&alice, "sip:bob@10.0.0.2");
            scene.run(Duration::from_secs(33));
            if let Some(CallState::Answered) = scene.sim[alice.id].state(call) {
                scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
            } else {
                assert!(permille > 100, "seed {seed}: at {permille} permille it is answered");
            }
            scene.run(Duration::from_secs(100));
            assert_eq!(scene.sim[alice.id].calls().count(), 0, "seed {seed}, {permille}");
            assert_eq!(scene.sim[bob.id].calls().count(), 0, "seed {seed}, {permille}");
            scene.assert_idle(&alice);
            scene.assert_idle(&bob);
        }
    }
}
