//! Calls with SIPp over real sockets, both ways.

use std::time::Duration;

use offhook::{CallEvent, CallState, Codec, EndedBy, Event, Phone, PhoneParameters};
use offhook_core::codec::measure::{Tone, longest_gap, share_at};
use offhook_tests::sipp::{Sipp, scenario};
use tokio::time::timeout;

/// How long a test may wait for one thing.
const LIMIT: Duration = Duration::from_secs(10);

/// A phone that registers nowhere, on a free port of the loopback.
async fn phone(user: &str) -> Phone {
    let parameters = PhoneParameters::without_server(user)
        .bind("127.0.0.1:0".parse().expect("an address"))
        .password("secret");
    let phone = Phone::new(parameters);
    phone.start().await.expect("the phone starts");
    phone
}

fn port(phone: &Phone) -> u16 {
    phone.bound_address().expect("a started phone has an address").port()
}

/// SIPp as the called, with one of our scenarios.
fn uas(file: &str, more: &[&str]) -> Sipp {
    let path = scenario(file);
    let mut arguments = vec!["-sf", path.to_str().expect("a path in UTF-8"), "-m", "1"];
    arguments.extend_from_slice(more);
    let sipp = Sipp::start(&arguments, None, LIMIT);
    sipp.wait_until_bound();
    sipp
}

/// SIPp as the caller, with one of our scenarios or its own.
fn uac(what: &[&str], phone: &Phone) -> Sipp {
    Sipp::start(what, Some(port(phone)), LIMIT)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_to_sipp_is_echoed_in_tune() {
    if !Sipp::is_installed() {
        return;
    }
    let sipp = uas("uas_echo.xml", &["-rtp_echo"]);
    let alice = phone("alice").await;
    let call = alice.call(&format!("sip:echo@127.0.0.1:{}", sipp.port)).await.expect("a call");
    timeout(LIMIT, call.answered()).await.expect("an answer in time").expect("an answer");
    call.write_audio(8_000, &Tone::new(8_000, 600, 8_000).take(16_000)).expect("room for a tone");
    let mut heard = Vec::new();
    let mut samples = [0; 160];
    while heard.len() < 12_000 {
        let count = timeout(LIMIT, call.read_audio(8_000, &mut samples))
            .await
            .expect("sound in time")
            .expect("sound");
        let begun = !heard.is_empty();
        heard.extend(samples[..count].iter().skip_while(|s| !begun && s.unsigned_abs() < 200));
    }
    let inner = &heard[800..11_200];
    assert!(share_at(inner, 8_000, 600.0) > 0.95, "the echo is no tone of 600 Hz");
    let gap = longest_gap(inner, 8_000, -40.0);
    assert!(gap.as_millis() < 20, "a gap of {gap:?}");
    call.hangup().await.expect("hanging up");
    timeout(LIMIT, call.ended()).await.expect("the end in time");
    sipp.finish();
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_sipp_ends_the_call_with_486() {
    if !Sipp::is_installed() {
        return;
    }
    let sipp = uas("uas_busy.xml", &[]);
    let alice = phone("alice").await;
    let call = alice.call(&format!("sip:busy@127.0.0.1:{}", sipp.port)).await.expect("a call");
    let refused = timeout(LIMIT, call.answered()).await.expect("an end in time");
    let error = refused.expect_err("nobody answers");
    assert_eq!(error.cause().map(|cause| cause.code), Some(486), "{error}");
    sipp.finish();
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_is_told_the_password() {
    if !Sipp::is_installed() {
        return;
    }
    let sipp = uas("uas_challenge.xml", &[]);
    let server = format!("127.0.0.1:{}", sipp.port);
    let mut parameters = PhoneParameters::new(&server, "alice")
        .bind("127.0.0.1:0".parse().expect("an address"))
        .password("secret");
    parameters.register = false;
    let alice = Phone::new(parameters);
    alice.start().await.expect("the phone starts");
    let call = alice.call("bob").await.expect("a call");
    timeout(LIMIT, call.answered()).await.expect("an answer in time").expect("an answer");
    assert_eq!(call.info().codec, Some(Codec::Pcma), "the only codec of the answer");
    call.hangup().await.expect("hanging up");
    timeout(LIMIT, call.ended()).await.expect("the end in time");
    sipp.finish();
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ringing_sipp_is_cancelled() {
    if !Sipp::is_installed() {
        return;
    }
    let sipp = uas("uas_cancelled.xml", &[]);
    let alice = phone("alice").await;
    let mut events = alice.events();
    let call = alice.call(&format!("sip:slow@127.0.0.1:{}", sipp.port)).await.expect("a call");
    // The 180 tells that the CANCEL will be sent at once.
    timeout(LIMIT, async {
        loop {
            match events.next().await.expect("the phone goes on") {
                Event::Call { event: CallEvent::State { cause: Some(cause), .. }, .. }
                    if cause.code == 180 =>
                {
                    break;
                }
                _ => continue,
            }
        }
    })
    .await
    .expect("ringing in time");
    call.cancel().await.expect("a call that rings can be cancelled");
    timeout(LIMIT, call.ended()).await.expect("the end in time");
    assert_eq!(call.state(), CallState::Ended);
    sipp.finish();
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_calls_and_hangs_up_twenty_times() {
    if !Sipp::is_installed() {
        return;
    }
    let bob = phone("bob").await;
    let mut incoming = bob.incoming();
    let answering = tokio::spawn(async move {
        let mut calls = Vec::new();
        while let Some(call) = incoming.next().await {
            call.answer().await.expect("a ringing call can be answered");
            calls.push(call);
        }
    });
    let arguments = ["-sn", "uac", "-m", "20", "-r", "20", "-d", "200", "-s", "bob"];
    let sipp = uac(&arguments, &bob);
    tokio::task::spawn_blocking(|| sipp.finish()).await.expect("sipp is content");
    bob.stop().await;
    answering.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_cancels_before_the_answer() {
    if !Sipp::is_installed() {
        return;
    }
    let bob = phone("bob").await;
    let mut events = bob.events();
    let path = scenario("uac_cancel.xml");
    let sipp = uac(&["-sf", path.to_str().expect("a path"), "-m", "1", "-s", "bob"], &bob);
    // The call may be over before anybody could take it, so follow it by what is told.
    let by = timeout(LIMIT, async {
        loop {
            match events.next().await.expect("the phone goes on") {
                Event::Call { event: CallEvent::Ended(ending), .. } => break ending.by,
                _ => continue,
            }
        }
    });
    assert_eq!(by.await.expect("the end in time"), EndedBy::Remote);
    tokio::task::spawn_blocking(|| sipp.finish()).await.expect("sipp is content");
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_puts_us_on_hold() {
    if !Sipp::is_installed() {
        return;
    }
    let bob = phone("bob").await;
    let mut incoming = bob.incoming();
    let path = scenario("uac_reinvite.xml");
    let sipp = uac(&["-sf", path.to_str().expect("a path"), "-m", "1", "-s", "bob"], &bob);
    let call = timeout(LIMIT, incoming.next()).await.expect("a call in time").expect("a call");
    call.answer().await.expect("a ringing call can be answered");
    timeout(LIMIT, call.ended()).await.expect("the end in time");
    tokio::task::spawn_blocking(|| sipp.finish()).await.expect("sipp is content");
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_codec_that_sipp_lacks_ends_with_488() {
    if !Sipp::is_installed() {
        return;
    }
    // SIPp's own caller offers PCMU alone, so a phone of PCMA refuses it; SIPp counts that a failure.
    let parameters = PhoneParameters::without_server("bob")
        .bind("127.0.0.1:0".parse().expect("an address"))
        .codecs(&[Codec::Pcma]);
    let bob = Phone::new(parameters);
    bob.start().await.expect("the phone starts");
    let sipp = uac(&["-sn", "uac", "-m", "1", "-s", "bob"], &bob);
    let screen = tokio::task::spawn_blocking(|| sipp.fail()).await.expect("sipp ends");
    assert!(screen.contains("488"), "{screen}");
    bob.stop().await;
}
