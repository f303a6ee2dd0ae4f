//! What a handle shows when a command has returned, what a call that is over says, and what is told to
//! who listens late.

mod common;

use std::time::Duration;

use common::*;
use offhook::{Call, CallEvent, CallState, Error, RequestOptions, Transfer, TransferMode};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_command_the_state_is_the_new_one() {
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let mut incoming = bob.incoming();
    for _ in 0..20 {
        let calling = soon(alice.call(&uri(&bob, "bob"))).await.unwrap();
        assert_eq!(calling.state(), CallState::Dialing);
        let called = soon(incoming.next()).await.unwrap();
        soon(called.progress()).await.unwrap();
        assert_eq!(called.state(), CallState::Progress);
        soon(called.deny(486, None)).await.unwrap();
        assert_eq!(called.state(), CallState::Ended);
        soon(calling.ended()).await;

        let calling = soon(alice.call(&uri(&bob, "bob"))).await.unwrap();
        let called = soon(incoming.next()).await.unwrap();
        soon(called.redirect("sip:x@127.0.0.1:9")).await.unwrap();
        assert_eq!(called.state(), CallState::Ended);
        drop(calling);

        let calling = soon(alice.call(&uri(&bob, "bob"))).await.unwrap();
        let called = soon(incoming.next()).await.unwrap();
        soon(calling.cancel()).await.unwrap();
        assert!(matches!(calling.state(), CallState::Canceling | CallState::Ended));
        soon(called.ended()).await;

        let (calling, called) = connect(&alice, &bob).await;
        assert_eq!((calling.state(), called.state()), (CallState::Answered, CallState::Answered));
        soon(calling.hold()).await.unwrap();
        assert!(calling.info().holding);
        soon(calling.hangup()).await.unwrap();
        assert_eq!(calling.state(), CallState::Ended);
        assert_over(&calling).await;
    }
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
}

/// Every command of a call that is over, with what it returns.
async fn commands(call: &Call) -> Vec<(&'static str, Result<(), Error>)> {
    let info = RequestOptions::default;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a.wav");
    let transfer = call.transfer("sip:x@127.0.0.1:9", TransferMode::Blind).await;
    let refusals = vec![
        ("answer", call.answer().await),
        ("progress", call.progress().await),
        ("deny", call.deny(603, None).await),
        ("deny with an impossible code", call.deny(99, None).await),
        ("redirect", call.redirect("no uri").await),
        ("cancel", call.cancel().await),
        ("hangup", call.hangup().await),
        ("hold", call.hold().await),
        ("resume", call.resume().await),
        ("transfer", transfer.map(|_: Transfer| ())),
        ("request", call.request("INFO", info()).await.map(drop)),
        ("send_dtmf", call.send_dtmf("1")),
        ("send_dtmf of no digit", call.send_dtmf("x")),
        ("write_audio", call.write_audio(8_000, &[0; 160]).map(drop)),
        ("write_audio_u8", call.write_audio_u8(8_000, &[0x80; 160]).map(drop)),
        ("mark", call.mark("here")),
        ("play", call.play(&file).await),
        ("play_samples", call.play_samples(8_000, &[0; 160]).await),
        ("record", call.record(&file).map(drop)),
        ("record_received", call.record_received(&file).map(drop)),
    ];
    assert!(!file.exists(), "nothing is recorded");
    refusals
}

/// Each of them is refused in the same way.
async fn assert_over(call: &Call) {
    for (command, result) in commands(call).await {
        let refused =
            matches!(&result, Err(error @ Error::Ended { .. }) if error.code() == "ended");
        assert!(refused, "{command}: {result:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_over_refuses_everything_in_the_same_way() {
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let (calling, called) = connect(&alice, &bob).await;
    soon(calling.hangup()).await.unwrap();
    assert_over(&calling).await;
    soon(async { tokio::join!(calling.ended(), called.ended()) }).await;
    let mut incoming = bob.incoming();
    let refused = soon(alice.call(&uri(&bob, "bob"))).await.unwrap();
    soon(soon(incoming.next()).await.unwrap().deny(486, None)).await.unwrap();
    soon(refused.ended()).await;
    for call in [&calling, &called, &refused] {
        assert_over(call).await;
        assert_eq!(soon(call.read_dtmf(1)).await.unwrap_err().code(), "ended");
        let mut heard = [0x55; 160];
        while soon(call.read_audio_u8(8_000, &mut heard)).await.unwrap() > 0 {}
        assert_eq!(call.read_audio_or_silence_u8(8_000, &mut heard), 0);
        assert_eq!(heard, [0x80; 160], "silence");
    }
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
    for call in [&calling, &called, &refused] {
        assert_over(call).await;
        assert_eq!(call.state(), CallState::Ended);
    }
}

/// The states of the events that have come.
fn states(events: &mut offhook::Events<CallEvent>) -> Vec<CallState> {
    std::iter::from_fn(|| events.try_next())
        .filter_map(|event| match event {
            CallEvent::State { state, .. } => Some(state),
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_who_listens_to_a_call_misses_nothing() {
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let (calling, called) = connect(&alice, &bob).await;
    let mut from_start = calling.events();
    let mut heard = Vec::new();
    while heard.last() != Some(&CallState::Answered) {
        if let CallEvent::State { state, .. } = soon(from_start.next()).await.expect("it goes on") {
            heard.push(state);
        }
    }
    assert_eq!(heard.first(), Some(&CallState::Dialing));
    let mut later = calling.events();
    assert_eq!(states(&mut later), []);
    soon(calling.hangup()).await.unwrap();
    soon(async { tokio::join!(calling.ended(), called.ended()) }).await;
    assert_eq!(states(&mut later), [CallState::Ended]);
    // Nobody has listened here until now.
    let mut whole = called.events();
    let mut last = None;
    while let Some(event) = soon(whole.next()).await {
        last = Some(event);
    }
    assert!(matches!(last, Some(CallEvent::Ended(_))), "{last:?}");
    assert_eq!(soon(called.events().next()).await, None, "it is over");

    // A caller who gives up at once is told of too.
    let mut incoming = bob.incoming();
    let calling = soon(alice.call(&uri(&bob, "bob"))).await.unwrap();
    let called = soon(incoming.next()).await.unwrap();
    soon(calling.cancel()).await.unwrap();
    soon(called.ended()).await;
    let mut events = called.events();
    while !matches!(soon(events.next()).await.expect("its end"), CallEvent::Ended(_)) {}
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_ends_when_its_time_is_over() {
    let nobody = std::net::UdpSocket::bind(here()).unwrap();
    let server = nobody.local_addr().unwrap().to_string();
    let parameters = offhook::PhoneParameters::new(&server, "alice").bind(here());
    let limit = Duration::from_millis(300);
    let phone = offhook::Phone::new(parameters.start_timeout(limit));
    let error = soon(phone.start()).await.unwrap_err();
    assert_eq!(error.code(), "registration_unanswered");
    assert_eq!(phone.status(), offhook::PhoneStatus::Failed);
}
