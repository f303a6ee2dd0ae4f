//! SIPp calls our phone.

use offhook::{CallEvent, CallState, Codec, EndedBy, Ending, Event, Phone, PhoneEvent};
use offhook_tests::relay::Relay;
use offhook_tests::sipp::{Scenario, Sipp, sdp};
use tokio::time::timeout;

use super::{
    LIMIT, caller, direct, ended, finish, heard, next_call, phone, port, start, with_sipp,
};

/// Calls, and offers `formats`.
fn calls(formats: &str) -> Scenario {
    Scenario::caller().begin("INVITE", 1, "", &sdp(1, formats, "")).allow(100).allow(180)
}

/// Calls, offers PCMU, and is answered.
fn answered() -> Scenario {
    calls("0").established().request("ACK", 1, "", "")
}

/// Hangs up by a request of that number.
fn hangs_up(scenario: Scenario, seq: u32) -> Scenario {
    scenario.request("BYE", seq, "", "").expect(200)
}

/// Answers SIPp's call, waits for the ends of the call, of SIPp and of the phone.
async fn answer_and_wait(bob: &Phone, sipp: Sipp) -> Ending {
    let call = next_call(bob).await;
    call.answer().await.expect("a ringing call can be answered");
    let ending = ended(&call).await;
    finish(sipp).await;
    bob.stop().await;
    ending
}

#[test]
fn sipps_own_caller_twenty_times() {
    with_sipp(async {
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
        finish(Sipp::start(&arguments, Some(port(&bob)), LIMIT)).await;
        bob.stop().await;
        answering.abort();
    });
}

#[test]
fn a_caller_that_cancels() {
    with_sipp(async {
        let bob = phone("bob").await;
        let mut events = bob.events();
        let scenario = Scenario::caller()
            .begin("INVITE", 1, "", &sdp(1, "0", ""))
            .allow(100)
            .expect(180)
            .begin("CANCEL", 1, "", "")
            .expect(200)
            .expect(487)
            .ack_refusal(1);
        let sipp = caller(&scenario, &bob);
        // The call may be over before anybody could take it, so follow its events.
        let ending = heard(&mut events, |event| match event {
            CallEvent::Ended(ending) => Some(ending),
            _ => None,
        });
        assert_eq!(ending.await.by, EndedBy::Remote);
        finish(sipp).await;
        bob.stop().await;
    });
}

#[test]
fn a_cancel_that_comes_too_late_changes_nothing() {
    with_sipp(async {
        let bob = phone("bob").await;
        let scenario = calls("0")
            .established()
            // RFC 3261 §9.2: it finds its INVITE, and has no effect on it.
            .begin("CANCEL", 1, "", "")
            .expect(200)
            .request("ACK", 1, "", "")
            .request("OPTIONS", 2, "", "")
            .expect(200);
        let sipp = caller(&hangs_up(scenario, 3), &bob);
        assert_eq!(answer_and_wait(&bob, sipp).await.by, EndedBy::Remote);
    });
}

#[test]
fn held_and_taken_off_hold() {
    with_sipp(async {
        let bob = phone("bob").await;
        let mut events = bob.events();
        let scenario = answered()
            .request("INVITE", 2, "", &sdp(2, "0", "a=sendonly\n"))
            .allow(100)
            .expect(200)
            .that_has("a=recvonly")
            .request("ACK", 2, "", "")
            .request("INVITE", 3, "", &sdp(3, "0", "a=sendrecv\n"))
            .allow(100)
            .expect(200)
            .that_has("a=sendrecv")
            .request("ACK", 3, "", "");
        let sipp = caller(&hangs_up(scenario, 4), &bob);
        let call = next_call(&bob).await;
        call.answer().await.expect("a ringing call can be answered");
        for expected in [true, false] {
            let held = heard(&mut events, |event| match event {
                CallEvent::Hold { held, .. } => Some(held),
                _ => None,
            });
            assert_eq!(held.await, expected);
        }
        ended(&call).await;
        finish(sipp).await;
        bob.stop().await;
    });
}

#[test]
fn another_codec_in_the_middle_of_a_call() {
    with_sipp(async {
        let bob = phone("bob").await;
        let scenario = answered()
            .request("INVITE", 2, "", &sdp(2, "8", ""))
            .allow(100)
            .expect(200)
            .that_has("m=audio [0-9]* RTP/AVP 8")
            .request("ACK", 2, "", "")
            // Nothing in common: the call goes on as it was (RFC 3261 §14.2).
            .request("INVITE", 3, "", &sdp(3, "18", ""))
            .allow(100)
            .expect(488)
            .ack_refusal(3)
            // No description: an offer is asked for.
            .request("INVITE", 4, "", "")
            .allow(100)
            .expect(200)
            .that_has("m=audio [0-9]* RTP/AVP")
            .request("ACK", 4, "", &sdp(4, "8", ""));
        let sipp = caller(&hangs_up(scenario, 5), &bob);
        let ending = answer_and_wait(&bob, sipp).await;
        assert_eq!(ending.stats.codec, Some(Codec::Pcma));
    });
}

#[test]
fn a_late_offer_is_made_by_the_called() {
    with_sipp(async {
        let bob = phone("bob").await;
        let scenario = Scenario::caller()
            .begin("INVITE", 1, "", "")
            .allow(100)
            .allow(180)
            .established()
            .that_has("m=audio [0-9]* RTP/AVP 0 8")
            .request("ACK", 1, "", &sdp(1, "8", ""));
        let sipp = caller(&hangs_up(scenario, 2), &bob);
        let ending = answer_and_wait(&bob, sipp).await;
        assert_eq!(ending.stats.codec, Some(Codec::Pcma), "what the ACK answered");
    });
}

#[test]
fn a_caller_that_is_slow_to_acknowledge() {
    with_sipp(async {
        let bob = phone("bob").await;
        // Longer than the first repetition of the 200 (T1), so that SIPp meets one.
        let scenario = calls("0").established().pause(700).request("ACK", 1, "", "");
        let sipp = caller(&hangs_up(scenario, 2), &bob);
        assert_eq!(answer_and_wait(&bob, sipp).await.by, EndedBy::Remote);
    });
}

#[test]
fn a_codec_that_sipp_lacks() {
    with_sipp(async {
        let bob = start(direct("bob").codecs(&[Codec::Pcma])).await;
        let scenario = calls("0").expect(488).ack_refusal(1);
        finish(caller(&scenario, &bob)).await;
        bob.stop().await;
    });
}

#[test]
fn requests_without_a_call() {
    with_sipp(async {
        let bob = phone("bob").await;
        let mut events = bob.events();
        let text = "Content-Type: text/plain";
        let summary = "Event: message-summary\nSubscription-State: active\n\
            Content-Type: application/simple-message-summary";
        let scenario = Scenario::caller()
            .begin("OPTIONS", 1, "", "")
            .expect(200)
            .that_has("Allow:.*INVITE")
            .that_has("Accept:.*application/sdp")
            .begin("MESSAGE", 2, text, "Dinner is ready")
            .expect(200)
            .begin("NOTIFY", 3, "Event: keep-alive\nSubscription-State: active", "")
            .expect(200)
            .begin("NOTIFY", 4, summary, "Messages-Waiting: yes\n")
            .expect(200)
            .begin("NOTIFY", 5, "Event: dialog\nSubscription-State: active", "")
            .expect(481)
            .begin("FOO", 6, "", "")
            .expect(501)
            .begin("BYE", 7, "", "")
            .expect(481)
            .begin("OPTIONS", 8, "Require: wings", "")
            .expect(420)
            .that_has("Unsupported: wings");
        let sipp = caller(&scenario, &bob);
        let message = timeout(LIMIT, async {
            loop {
                match events.next().await.expect("the phone goes on") {
                    Event::Phone(PhoneEvent::Message { body, .. }) => break body,
                    _ => continue,
                }
            }
        });
        assert_eq!(message.await.expect("a message in time"), b"Dinner is ready");
        finish(sipp).await;
        bob.stop().await;
    });
}

#[test]
fn a_call_that_rings_is_denied() {
    with_sipp(async {
        let bob = phone("bob").await;
        let scenario = calls("0").expect(486).that_has("SIP/2.0 486 At lunch").ack_refusal(1);
        let sipp = caller(&scenario, &bob);
        let call = next_call(&bob).await;
        call.deny(486, Some("At lunch")).await.expect("a ringing call can be denied");
        assert_eq!(ended(&call).await.by, EndedBy::Local);
        assert_eq!(call.state(), CallState::Ended);
        finish(sipp).await;
        bob.stop().await;
    });
}

#[test]
fn a_lost_answer_is_sent_again() {
    with_sipp(async {
        let bob = phone("bob").await;
        let answer = |text: &str| text.starts_with("SIP/2.0 200") && text.contains(" INVITE\r\n");
        let relay = Relay::losing(([127, 0, 0, 1], port(&bob)).into(), answer);
        let scenario = hangs_up(answered(), 2);
        let sipp = Sipp::play(&scenario, &["-s", "bob"], Some(relay.address.port()), LIMIT);
        assert_eq!(answer_and_wait(&bob, sipp).await.by, EndedBy::Remote);
        assert!(relay.has_lost());
    });
}

#[test]
fn nobody_is_transferred_without_consent() {
    with_sipp(async {
        let bob = phone("bob").await;
        let refer = "Refer-To: <sip:carol@192.0.2.7>";
        let scenario = answered().request("REFER", 2, refer, "").expect(603);
        let sipp = caller(&hangs_up(scenario, 3), &bob);
        assert_eq!(answer_and_wait(&bob, sipp).await.by, EndedBy::Remote);
    });
}

/// The scenario of SIPp's test bed: REFER, and reports until the target has answered.
#[test]
fn a_caller_that_transfers_a_phone_that_follows() {
    with_sipp(async {
        let bob = start(direct("bob").accept_transfer(true)).await;
        let carol = phone("carol").await;
        let refer = format!(
            "Refer-To: <sip:carol@127.0.0.1:{}>\nReferred-By: <sip:sipp@127.0.0.1>",
            port(&carol)
        );
        let scenario = answered()
            .request("REFER", 2, &refer, "")
            .expect(200)
            .receive("NOTIFY")
            .that_has("Event: refer;id=2")
            .that_has("Subscription-State: active;expires=")
            .that_has("SIP/2.0 100 Trying")
            .reply("200 OK", "", "")
            .receive("NOTIFY")
            .that_has("Subscription-State: terminated;reason=noresource")
            .that_has("SIP/2.0 200 OK")
            .reply("200 OK", "", "");
        let sipp = caller(&hangs_up(scenario, 3), &bob);
        let call = next_call(&bob).await;
        call.answer().await.expect("a ringing call can be answered");
        let mut referrals = bob.referrals();
        let referral = timeout(LIMIT, referrals.next())
            .await
            .expect("a referral in time")
            .expect("a referral");
        let new = referral.accept().await.expect("it is in time");
        let there = next_call(&carol).await;
        there.answer().await.expect("a ringing call can be answered");
        timeout(LIMIT, new.answered()).await.expect("an answer in time").expect("an answer");
        assert_eq!(ended(&call).await.by, EndedBy::Remote);
        finish(sipp).await;
        assert_eq!(new.state(), CallState::Answered);
        carol.stop().await;
        assert_eq!(ended(&new).await.by, EndedBy::Remote);
        bob.stop().await;
    });
}
