//! Our phone calls SIPp.

use offhook::{
    Call, CallEvent, CallState, Cause, Codec, EndedBy, Ending, Event, Events, Phone,
    PhoneParameters, Transfer, TransferMode,
};
use offhook_core::codec::measure::{Tone, longest_gap, share_at};
use offhook_tests::relay::Relay;
use offhook_tests::sipp::{Scenario, Sipp, TAG, sdp};
use offhook_tests::stall::awaited_unless_stalled;
use tokio::time::timeout;

use super::{LIMIT, callee, direct, ended, finish, heard, phone, start, uri, with_sipp};

/// A call of Alice's to a SIPp.
struct Placed {
    alice: Phone,
    events: Events<Event>,
    call: Call,
    sipp: Sipp,
}

impl Placed {
    /// A call to a SIPp that plays `scenario`.
    async fn at(scenario: &Scenario) -> Self {
        let sipp = callee(scenario, &[]);
        Self::by(phone("alice").await, sipp).await
    }

    /// A call of this phone to the SIPp.
    async fn by(alice: Phone, sipp: Sipp) -> Self {
        Self::to(&uri(&sipp), alice, sipp).await
    }

    /// A call of this phone to `target`, which leads to the SIPp.
    async fn to(target: &str, alice: Phone, sipp: Sipp) -> Self {
        let events = alice.events();
        let call = alice.call(target).await.expect("a call");
        Self { alice, events, call, sipp }
    }

    /// Waits for the answer.
    async fn answered(&self) {
        timeout(LIMIT, self.call.answered()).await.expect("an answer in time").expect("an answer");
    }

    /// Hangs up, and waits for all ends.
    async fn hang_up(self) -> Ending {
        self.call.hangup().await.expect("hanging up");
        self.end().await
    }

    /// Waits for the end of the call, of SIPp and of the phone.
    async fn end(self) -> Ending {
        let ending = ended(&self.call).await;
        assert_eq!(self.call.state(), CallState::Ended);
        finish(self.sipp).await;
        self.alice.stop().await;
        ending
    }
}

/// Is called and answers at once.
fn answered() -> Scenario {
    Scenario::callee().receive("INVITE").answer(TAG, "200 OK", "", &sdp(1, "0", "")).receive("ACK")
}

/// Is hung up.
fn hung_up(scenario: Scenario) -> Scenario {
    scenario.receive("BYE").reply("200 OK", "", "")
}

/// Parameters of a phone whose server is SIPp.
fn served_by(sipp: &Sipp) -> PhoneParameters {
    let server = format!("127.0.0.1:{}", sipp.port);
    let mut parameters = PhoneParameters::new(&server, "alice").password("secret");
    parameters.register = false;
    parameters.bind("127.0.0.1:0".parse().expect("an address"))
}

/// A challenge of the server.
const CHALLENGE: &str = "Proxy-Authenticate: Digest realm=\"sipp.invalid\",\
    nonce=\"47364c23432d2e131a5fb210812c\",algorithm=MD5,qop=\"auth\"";

#[test]
fn an_echo_in_tune() {
    with_sipp(awaited_unless_stalled(hear_the_echo));
}

async fn hear_the_echo() -> Result<(), String> {
    let sipp = callee(&hung_up(answered()), &["-rtp_echo"]);
    let up = Placed::by(phone("alice").await, sipp).await;
    up.answered().await;
    up.call
        .write_audio(8_000, &Tone::new(8_000, 600, 8_000).take(16_000))
        .expect("room for a tone");
    let mut heard = Vec::new();
    let mut samples = [0; 160];
    while heard.len() < 12_000 {
        let count = timeout(LIMIT, up.call.read_audio(8_000, &mut samples))
            .await
            .expect("sound in time")
            .expect("sound");
        let begun = !heard.is_empty();
        heard.extend(samples[..count].iter().skip_while(|s| !begun && s.unsigned_abs() < 200));
    }
    up.hang_up().await;
    let inner = &heard[800..11_200];
    let (share, gap) = (share_at(inner, 8_000, 600.0), longest_gap(inner, 8_000, -40.0));
    match share > 0.95 && gap.as_millis() < 20 {
        true => Ok(()),
        false => Err(format!("{share} of the echo is at 600 Hz, with a gap of {gap:?}")),
    }
}

#[test]
fn refusals_end_the_call_with_their_code() {
    with_sipp(async {
        let alice = phone("alice").await;
        for (status, more) in [
            ("486 Busy Here", ""),
            ("503 Service Unavailable", "Retry-After: 120"),
            ("606 Not Acceptable", "Warning: 304 sipp \"Media type not available\""),
        ] {
            let scenario = Scenario::callee()
                .receive("INVITE")
                .answer(TAG, "180 Ringing", "", "")
                .answer(TAG, status, more, "")
                .receive("ACK");
            let sipp = callee(&scenario, &[]);
            let call = alice.call(&uri(&sipp)).await.expect("a call");
            let refused = timeout(LIMIT, call.answered()).await.expect("an end in time");
            let error = refused.expect_err("nobody answers");
            let told = error.cause().map(|cause| format!("{} {}", cause.code, cause.reason));
            assert_eq!(told.as_deref(), Some(status), "{error}");
            let later = error.cause().and_then(|cause| cause.retry_after);
            assert_eq!(later, status.starts_with("503").then_some(120));
            finish(sipp).await;
        }
        alice.stop().await;
    });
}

#[test]
fn a_server_may_ask_for_the_password_again_and_again() {
    with_sipp(async {
        let scenario = Scenario::callee()
            .receive("INVITE")
            .answer(TAG, "407 Proxy Authentication Required", CHALLENGE, "")
            .receive("ACK")
            .receive("INVITE")
            .that_has("nc=00000001")
            .that_has("username=.alice.")
            .answer(TAG, "200 OK", "", &sdp(1, "8", ""))
            .receive("ACK")
            .that_has("Proxy-Authorization:")
            .receive("BYE")
            .reply("407 Proxy Authentication Required", &CHALLENGE.replace("4736", "4737"), "")
            .receive("BYE")
            .that_has("nonce=.47374c23432d2e131a5fb210812c");
        let sipp = callee(&scenario.reply("200 OK", "", ""), &[]);
        let alice = start(served_by(&sipp)).await;
        let up = Placed::to("bob", alice, sipp).await;
        up.answered().await;
        assert_eq!(up.call.info().codec, Some(Codec::Pcma), "the only codec of the answer");
        up.hang_up().await;
    });
}

#[test]
fn a_ringing_call_is_cancelled() {
    with_sipp(async {
        let scenario = Scenario::callee()
            .receive("INVITE")
            .answer(TAG, "180 Ringing", "", "")
            .receive("CANCEL")
            .reply_outside("200 OK", "")
            .answer(TAG, "487 Request Terminated", "", "")
            .receive("ACK");
        cancel(&scenario).await;
    });
}

#[test]
fn an_answer_that_crosses_the_cancel_is_taken_and_hung_up() {
    with_sipp(async {
        let scenario = Scenario::callee()
            .receive("INVITE")
            .answer(TAG, "180 Ringing", "", "")
            .receive("CANCEL")
            .reply_outside("200 OK", "")
            .answer(TAG, "200 OK", "", &sdp(1, "0", ""))
            .receive("ACK");
        cancel(&hung_up(scenario)).await;
    });
}

/// Calls, and cancels when it rings.
async fn cancel(scenario: &Scenario) {
    let mut up = Placed::at(scenario).await;
    // The 180 tells that the CANCEL will be sent at once.
    heard(&mut up.events, |event| match event {
        CallEvent::State { cause: Some(cause), .. } if cause.code == 180 => Some(()),
        _ => None,
    })
    .await;
    up.call.cancel().await.expect("a call that rings can be cancelled");
    assert_eq!(up.end().await.by, EndedBy::Local);
}

#[test]
fn the_loser_of_two_answers_is_hung_up() {
    with_sipp(async {
        let scenario = Scenario::callee()
            .receive("INVITE")
            .answer("first", "180 Ringing", "", "")
            .answer("second", "180 Ringing", "", "")
            .answer("first", "200 OK", "", &sdp(1, "0", ""))
            .receive("ACK")
            .that_has("To:[^;]*;tag=first")
            .answer("second", "200 OK", "", &sdp(1, "0", ""))
            .receive("ACK")
            .that_has("To:[^;]*;tag=second")
            .receive("BYE")
            .that_has("To:[^;]*;tag=second")
            .reply("200 OK", "", "")
            .request("BYE", 1, "", "")
            .expect(200);
        let up = Placed::at(&scenario).await;
        up.answered().await;
        assert_eq!(up.end().await.by, EndedBy::Remote, "the first call is up until it is hung up");
    });
}

#[test]
fn an_answer_without_a_description_ends_the_call() {
    with_sipp(async {
        // The pause lets a busy machine hand out the call before it has failed.
        let scenario = Scenario::callee()
            .receive("INVITE")
            .pause(200)
            .answer(TAG, "200 OK", "", "")
            .receive("ACK");
        let up = Placed::at(&hung_up(scenario)).await;
        let refused = timeout(LIMIT, up.call.answered()).await.expect("an end in time");
        refused.expect_err("a call without sound is none");
        assert_eq!(up.end().await.by, EndedBy::Error);
    });
}

#[test]
fn early_media_and_then_an_answer_that_says_nothing_new() {
    with_sipp(async {
        let scenario = Scenario::callee()
            .receive("INVITE")
            .answer(TAG, "183 Session Progress", "", &sdp(1, "8", ""))
            .answer(TAG, "180 Ringing", "", "")
            .answer(TAG, "200 OK", "", "")
            .receive("ACK");
        let mut up = Placed::at(&hung_up(scenario)).await;
        let progress = |event| matches!(event, CallEvent::State { state: CallState::Progress, .. });
        heard(&mut up.events, |event| progress(event).then_some(())).await;
        up.answered().await;
        assert_eq!(up.call.info().codec, Some(Codec::Pcma));
        up.hang_up().await;
    });
}

#[test]
fn requests_within_a_call_and_rubbish_are_answered() {
    with_sipp(async {
        let rubbish = "INVITE sip:alice@[remote_ip] SIP/2.0\nVia: SIP/2.0/UDP [local_ip]:[local_port];\
            branch=z9hG4bKrubbish;rport\nTo: <sip:alice@[remote_ip]>\nFrom: <sip:x@y>;tag=1\n\
            Call-ID: [call_id]\nCSeq: one INVITE\nContent-Length: 0\n\n";
        let scenario = answered()
            .request("OPTIONS", 1, "", "")
            .expect(200)
            .that_has("Allow:.*INVITE")
            .request("UPDATE", 2, "", "")
            .expect(200)
            .request("FOO", 3, "", "")
            .expect(501)
            // A request that is older than the last one (RFC 3261 §12.2.2).
            .request("OPTIONS", 2, "", "")
            .expect(500)
            .send_text(rubbish)
            .expect(400)
            .request("BYE", 4, "", "")
            .expect(200);
        let up = Placed::at(&scenario).await;
        up.answered().await;
        assert_eq!(up.end().await.by, EndedBy::Remote);
    });
}

#[test]
fn a_registrar_that_wants_longer_and_then_asks_for_the_password_anew() {
    with_sipp(async {
        let challenge = CHALLENGE.replace("Proxy-Authenticate", "WWW-Authenticate");
        let stale = format!("{},stale=true", challenge.replace("4736", "4737"));
        let registered = "Contact: <sip:alice@127.0.0.1>;expires=300";
        let scenario = Scenario::callee()
            .receive("REGISTER")
            .reply_outside("423 Interval Too Brief", "Min-Expires: 300")
            .receive("REGISTER")
            .that_has("xpires[:=] ?300")
            .reply_outside("401 Unauthorized", &challenge)
            .receive("REGISTER")
            .that_has("nonce=.47364c23432d2e131a5fb210812c")
            .reply_outside("401 Unauthorized", &stale)
            .receive("REGISTER")
            .that_has("nonce=.47374c23432d2e131a5fb210812c")
            .reply_outside("200 OK", registered)
            .receive("REGISTER")
            .that_has("xpires[:=] ?0")
            .reply_outside("200 OK", "");
        let sipp = callee(&scenario, &[]);
        let mut parameters = served_by(&sipp);
        parameters.register = true;
        let alice = start(parameters).await;
        alice.stop().await;
        finish(sipp).await;
    });
}

#[test]
fn sipps_own_callee_twenty_times() {
    with_sipp(async {
        let mut sipp = Sipp::start(&["-sn", "uas", "-m", "20"], None, LIMIT);
        sipp.wait_until_bound();
        let alice = start(direct("alice")).await;
        let mut calls = Vec::new();
        for _ in 0..20 {
            calls.push(alice.call(&uri(&sipp)).await.expect("a call"));
        }
        for call in &calls {
            timeout(LIMIT, call.answered()).await.expect("an answer in time").expect("an answer");
            call.hangup().await.expect("hanging up");
            ended(call).await;
        }
        finish(sipp).await;
        alice.stop().await;
    });
}

#[test]
fn a_lost_ack_is_sent_again() {
    with_sipp(async {
        let sipp = callee(&hung_up(answered()), &[]);
        let relay =
            Relay::losing(([127, 0, 0, 1], sipp.port).into(), |text| text.starts_with("ACK "));
        let alice = start(direct("alice").next_hop(relay.address)).await;
        let up = Placed::by(alice, sipp).await;
        up.answered().await;
        // SIPp takes no BYE before the ACK, so wait for the second one: its 200 comes again after T1.
        timeout(LIMIT, async {
            while up.alice.counters().await.received < 2 {
                tokio::task::yield_now().await
            }
        })
        .await
        .expect("the answer again");
        up.hang_up().await;
        assert!(relay.has_lost());
    });
}

#[test]
fn a_redirection_is_followed() {
    with_sipp(async {
        let there = callee(&hung_up(answered()), &[]);
        let moved = format!("Contact: <{}>", uri(&there));
        let scenario = Scenario::callee()
            .receive("INVITE")
            .answer(TAG, "302 Moved Temporarily", &moved, "")
            .receive("ACK");
        let up = Placed::at(&scenario).await;
        up.answered().await;
        up.hang_up().await;
        finish(there).await;
    });
}

#[test]
fn a_hold_that_meets_another_wish_is_asked_for_again() {
    with_sipp(async {
        let scenario = answered()
            .receive("INVITE")
            .that_has("a=sendonly")
            .request("INVITE", 1, "", &sdp(2, "0", ""))
            .allow(100)
            .expect(491)
            .ack_refusal(1)
            .answer_within("491 Request Pending", "")
            .receive("ACK")
            // The side that began the call waits from 2.1 to 4 s (RFC 3261 §14.1).
            .receive("INVITE")
            .that_has("a=sendonly")
            .answer_within("200 OK", &sdp(2, "0", "a=recvonly\n"))
            .receive("ACK")
            .request("BYE", 2, "", "")
            .expect(200);
        let up = Placed::at(&scenario).await;
        up.answered().await;
        timeout(LIMIT, up.call.hold()).await.expect("a hold in time").expect("a hold");
        up.end().await;
    });
}

#[test]
fn a_transfer_and_what_became_of_it() {
    with_sipp(async {
        let report = |state: &str| {
            format!(
                "Event: refer\nSubscription-State: {state}\nContent-Type: message/sipfrag;version=2.0"
            )
        };
        let referred = answered()
            .receive("REFER")
            .that_has("Refer-To:.*sip:carol@192.0.2.7")
            .reply("202 Accepted", "", "")
            .request("NOTIFY", 1, &report("active;expires=60"), "SIP/2.0 100 Trying\n")
            .expect(200);
        let ended_report = report("terminated;reason=noresource");
        // One that failed leaves the call, one that went well ends it.
        let scenario = referred
            .request("NOTIFY", 2, &ended_report, "SIP/2.0 486 Busy Here\n")
            .expect(200)
            .receive("REFER")
            .reply("202 Accepted", "", "")
            .request("NOTIFY", 3, &ended_report, "SIP/2.0 200 OK\n")
            .expect(200);
        let up = Placed::at(&hung_up(scenario)).await;
        up.answered().await;
        let transfer =
            || timeout(LIMIT, up.call.transfer("sip:carol@192.0.2.7", TransferMode::Notified));
        let busy = Cause::new(486, "Busy Here");
        let outcome = transfer().await.expect("an outcome in time").expect("an outcome");
        assert_eq!(outcome, Transfer::Failed { cause: Some(busy) });
        assert_eq!(up.call.state(), CallState::Answered);
        let outcome = transfer().await.expect("an outcome in time").expect("an outcome");
        assert_eq!(outcome, Transfer::Transferred);
        up.end().await;
    });
}
