//! CallHandler and SipHandler over real sockets of this machine.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::*;

use offhook::{
    Call, CallHandler, CallState, Cause, EndedBy, Ending, Event, MessageAction, Phone, PhoneEvent,
    PhoneStatus, RequestAction, RequestOptions, SipAnswer, SipDraft, SipHandler,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Says which hooks were run, and answers if it is to.
struct Telling {
    told: UnboundedSender<String>,
    answers: bool,
}

impl Telling {
    fn say(&self, what: impl Into<String>) {
        let _ = self.told.send(what.into());
    }
}

impl CallHandler for Telling {
    async fn ringing(&self, call: Call) {
        assert_eq!(call.state(), CallState::Ringing);
        if self.answers {
            call.answer().await.unwrap();
        }
        self.say("ringing");
    }

    async fn progress(&self, _: Call, cause: Cause) {
        self.say(format!("progress {}", cause.code));
    }

    async fn answered(&self, call: Call) {
        assert_eq!(call.state(), CallState::Answered);
        self.say("answered");
    }

    async fn busy(&self, _: Call) {
        self.say("busy");
    }

    async fn not_found(&self, _: Call) {
        self.say("not_found");
    }

    async fn unavailable(&self, _: Call) {
        self.say("unavailable");
    }

    async fn bye(&self, _: Call) {
        self.say("bye");
    }

    async fn renegotiate(&self, call: Call) {
        self.say(format!("renegotiate {}", call.info().held));
    }

    async fn dtmf(&self, _: Call, digit: char) {
        // The next hook waits for this one.
        tokio::task::yield_now().await;
        self.say(format!("dtmf {digit}"));
    }

    async fn ended(&self, call: Call, ending: Ending) {
        assert_eq!(call.state(), CallState::Ended);
        self.say(format!("ended {}", ending.by.as_str()));
    }
}

/// A started phone whose calls are told of.
async fn telling(user: &str, answers: bool) -> (Phone, UnboundedReceiver<String>) {
    let (told, hooks) = unbounded_channel();
    let phone = start(direct(user)).await;
    phone.set_call_handler(Telling { told, answers });
    (phone, hooks)
}

/// The next hooks, up to the last of a call.
async fn hooks(told: &mut UnboundedReceiver<String>) -> Vec<String> {
    let mut hooks = Vec::new();
    loop {
        let hook = soon(told.recv()).await.expect("the phone lives");
        let last = hook.starts_with("ended");
        hooks.push(hook);
        if last {
            return hooks;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_are_run_in_order_on_both_sides() {
    let (alice, mut caller) = telling("alice", false).await;
    let (bob, mut callee) = telling("bob", true).await;
    let call = soon(alice.call(&uri(&bob, "bob"))).await.unwrap();
    soon(call.answered()).await.unwrap();
    call.send_dtmf("19#").unwrap();
    for expected in ["ringing", "dtmf 1", "dtmf 9", "dtmf #"] {
        assert_eq!(soon(callee.recv()).await.unwrap(), expected);
    }
    soon(call.hold()).await.unwrap();
    assert_eq!(soon(callee.recv()).await.unwrap(), "renegotiate true");
    soon(call.resume()).await.unwrap();
    assert_eq!(soon(callee.recv()).await.unwrap(), "renegotiate false");
    soon(call.hangup()).await.unwrap();
    assert_eq!(hooks(&mut callee).await, ["bye", "ended remote"]);
    assert_eq!(hooks(&mut caller).await, ["progress 180", "answered", "ended local"]);
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_come_while_another_hook_runs_and_before_the_end() {
    /// Plays a menu until 2 is pressed; the hook of a digit takes its time.
    struct Menu {
        said: UnboundedSender<String>,
        pressed: tokio::sync::Notify,
        ended: tokio::sync::Notify,
    }
    impl CallHandler for Menu {
        async fn ringing(&self, call: Call) {
            call.answer().await.unwrap();
            self.pressed.notified().await;
            self.said.send("played".into()).unwrap();
            call.hangup().await.unwrap();
            self.ended.notify_one();
        }
        async fn dtmf(&self, _: Call, digit: char) {
            self.said.send(format!("dtmf {digit}")).unwrap();
            if digit == '2' {
                self.pressed.notify_one();
                self.ended.notified().await;
                self.said.send("dtmf done".into()).unwrap();
            }
        }
        async fn ended(&self, _: Call, _: Ending) {
            self.said.send("ended".into()).unwrap();
        }
    }

    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let (said, mut told) = unbounded_channel();
    let (pressed, ended) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
    bob.set_call_handler(Menu { said, pressed, ended });
    let call = soon(alice.call(&uri(&bob, "bob"))).await.unwrap();
    soon(call.answered()).await.unwrap();
    call.send_dtmf("12").unwrap();
    assert_eq!(hooks(&mut told).await, ["dtmf 1", "dtmf 2", "played", "dtmf done", "ended"]);
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_hook() {
    let (alice, mut told) = telling("alice", false).await;
    let bob = start(direct("bob")).await;
    let mut incoming = bob.incoming();
    for (code, hook) in [
        (486, "busy"),
        (600, "busy"),
        (404, "not_found"),
        (604, "not_found"),
        (480, "unavailable"),
        (503, "unavailable"),
        (603, "unavailable"),
    ] {
        // Nobody has to hold a call that a handler has.
        drop(soon(alice.call(&uri(&bob, "bob"))).await.unwrap());
        soon(incoming.next()).await.unwrap().deny(code, None).await.unwrap();
        assert_eq!(hooks(&mut told).await, ["progress 180", hook, "ended remote"], "{code}");
    }
    let nobody = bob.bound_address().unwrap();
    soon(bob.stop()).await;
    drop(soon(alice.call(&format!("sip:bob@{nobody}"))).await.unwrap());
    assert_eq!(hooks(&mut told).await, ["unavailable", "ended error"]);
    soon(alice.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_answers_goes_on_ringing() {
    struct Nothing;
    impl CallHandler for Nothing {}

    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    bob.set_call_handler(Nothing);
    let mut events = bob.events();
    let call = soon(alice.call(&uri(&bob, "bob"))).await.unwrap();
    assert!(matches!(soon(events.next()).await, Some(Event::Phone(PhoneEvent::Incoming { .. }))));
    for _ in 0..10 {
        soon(alice.options(&uri(&bob, "bob"))).await.unwrap();
    }
    assert_eq!(call.state(), CallState::Dialing, "nobody has refused it");
    let mut incoming = bob.incoming();
    let taken = tokio::time::timeout(Duration::from_millis(1), incoming.next()).await;
    assert!(taken.is_err(), "the handler has it");
    soon(call.cancel()).await.unwrap();
    assert_eq!(soon(call.ended()).await.cause.unwrap().code, 487);
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_panics_or_never_returns_is_its_own_calls_trouble() {
    struct Troubled;
    impl CallHandler for Troubled {
        async fn ringing(&self, call: Call) {
            call.answer().await.unwrap();
            let caller = call.info().remote;
            if caller.contains("stuck") {
                std::future::pending::<()>().await;
            }
            assert!(!caller.contains("panics"), "as it was told");
        }

        async fn dtmf(&self, call: Call, _: char) {
            call.hangup().await.unwrap();
        }
    }

    let bob = start(direct("bob")).await;
    bob.set_call_handler(Troubled);
    let mut events = bob.events();
    let target = uri(&bob, "bob");
    let (stuck, panics, well) =
        (start(direct("stuck")).await, start(direct("panics")).await, start(direct("well")).await);
    let first = soon(stuck.call(&target)).await.unwrap();
    soon(first.answered()).await.unwrap();
    let second = soon(panics.call(&target)).await.unwrap();
    assert_eq!(soon(second.ended()).await.by, EndedBy::Remote, "it is hung up");
    let reported = loop {
        if let Event::HandlerPanicked { hook, message, .. } = soon(events.next()).await.unwrap() {
            break (hook, message);
        }
    };
    assert_eq!((reported.0, reported.1.as_str()), ("ringing", "as it was told"));
    let third = soon(well.call(&target)).await.unwrap();
    soon(third.answered()).await.unwrap();
    third.send_dtmf("5").unwrap();
    assert_eq!(soon(third.ended()).await.by, EndedBy::Remote, "its hooks are run");
    assert_eq!(first.state(), CallState::Answered);
    // A phone whose hook never returns stops all the same.
    soon(bob.stop()).await;
    assert_eq!(soon(first.ended()).await.by, EndedBy::Remote);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sip_handler_sees_changes_and_answers() {
    struct Naming;
    impl SipHandler for Naming {
        fn methods(&self) -> Vec<&str> {
            vec!["PING"]
        }
        fn request_in(&mut self, request: &mut SipDraft, from: SocketAddr) -> RequestAction {
            assert!(from.ip().is_loopback());
            match request.method().as_str() {
                "OPTIONS" => RequestAction::Answer(SipAnswer::new(499).reason("Not today")),
                _ => RequestAction::Pass,
            }
        }
        fn request_out(&mut self, request: &mut SipDraft, _: SocketAddr) -> MessageAction {
            request.set("X-Account", "7001");
            MessageAction::Pass
        }
    }

    let alice = start(direct("alice").sip_class(|| Naming)).await;
    let bob = start(direct("bob").sip_class(|| Naming)).await;
    let pong = soon(alice.options(&uri(&bob, "bob"))).await.unwrap();
    assert_eq!((pong.cause.code, pong.cause.reason.as_str()), (499, "Not today"));
    let ping = soon(alice.request("PING", &uri(&bob, "bob"), RequestOptions::default())).await;
    assert_eq!(ping.unwrap().cause.code, 501, "nobody answers it");
    let (caller, called) = connect(&alice, &bob).await;
    let info = soon(caller.request("INFO", RequestOptions::default())).await;
    assert_eq!(info.unwrap().cause.code, 200);
    let headers = called.info().headers;
    let value = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(value("X-Account"), Some("7001"));
    assert!(value("Allow").unwrap().ends_with(", PING"));
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sip_handler_that_panics_ends_the_run_and_no_more() {
    struct Brittle;
    impl SipHandler for Brittle {
        fn request_in(&mut self, request: &mut SipDraft, _: SocketAddr) -> RequestAction {
            assert_ne!(request.method().as_str(), "PING", "as it was told");
            RequestAction::Pass
        }
    }

    let (alice, bob) =
        (start(direct("alice")).await, start(direct("bob").sip_class(|| Brittle)).await);
    let (_caller, called) = connect(&alice, &bob).await;
    let mut events = bob.events();
    let target = uri(&bob, "bob");
    let _ping = tokio::spawn({
        let alice = alice.clone();
        async move { alice.request("PING", &target, RequestOptions::default()).await }
    });
    soon(called.ended()).await;
    while soon(events.next()).await.is_some() {}
    soon(bob.stop()).await;
    assert_eq!((bob.status(), bob.bound_address()), (PhoneStatus::Inactive, None));
    soon(bob.start()).await.expect("it starts anew");
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
}
