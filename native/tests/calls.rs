//! Calls between phones over real sockets of this machine.

mod common;

use std::time::Duration;

use common::*;
use offhook::{
    CallEvent, CallState, Codec, EndedBy, Error, Event, HoldBy, Phone, PhoneOptions,
    PhoneParameters, PhoneStatus,
};
use offhook_tests::stall::awaited_unless_stalled;

#[tokio::test(flavor = "multi_thread")]
async fn sound_and_digits_pass_both_ways() {
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let (caller, called) = connect(&alice, &bob).await;
    tokio::join!(
        assert_passes(&caller, &called, 440, 800),
        assert_passes(&called, &caller, 1_000, 800)
    );

    caller.send_dtmf("159*").unwrap();
    called.send_dtmf("0#D").unwrap();
    assert_eq!(soon(called.read_dtmf(4)).await.unwrap(), "159*");
    assert_eq!(soon(caller.read_dtmf(3)).await.unwrap(), "0#D");
    assert_eq!(caller.take_dtmf(None), "");

    caller.hangup().await.unwrap();
    let (ending, other) = soon(async { tokio::join!(caller.ended(), called.ended()) }).await;
    assert_eq!((ending.by, other.by), (EndedBy::Local, EndedBy::Remote));
    assert_eq!(ending.stats.codec, Some(Codec::Pcmu));
    assert!(ending.stats.sent > 50 && ending.stats.received > 50, "{:?}", ending.stats);
    assert_eq!((ending.stats.lost, ending.stats.rejected), (0, 0), "{:?}", ending.stats);
    assert!(ending.duration > Duration::from_secs(1), "{:?}", ending.duration);
    assert!(matches!(caller.hangup().await, Err(Error::Ended { .. } | Error::Phone(_))));
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
}

/// What passes after a hold is measured, not believed.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_stops_the_sound_until_the_call_is_resumed() {
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let (caller, called) = connect(&alice, &bob).await;
    let mut events = called.events();
    soon(caller.hold()).await.unwrap();
    assert!(caller.info().holding);
    while !matches!(
        soon(events.next()).await,
        Some(CallEvent::Hold { by: HoldBy::Remote, held: true })
    ) {}
    assert!(called.info().held);
    called.write_audio(8_000, &tone(440, 400)).unwrap();
    assert_passes(&caller, &called, 1_000, 400).await;
    // What was on its way has come by now.
    let before = caller.stats().received;
    soon(caller.play_samples(8_000, &tone(1_000, 400))).await.unwrap();
    assert_eq!(caller.stats().received, before, "nothing comes from who is held");
    called.flush_audio();
    soon(caller.resume()).await.unwrap();
    assert!(!caller.info().holding);
    assert_passes(&called, &caller, 440, 400).await;
    caller.hangup().await.unwrap();
    soon(async { tokio::join!(caller.ended(), called.ended()) }).await;
    assert!(matches!(caller.hold().await, Err(Error::Ended { .. } | Error::Phone(_))));
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
}

/// Who plays and hangs up at once is heard to the end: what the listener's jitter buffer holds comes
/// with the end of the call.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_played_before_the_end_is_heard() {
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    for _ in 0..3 {
        awaited_unless_stalled(async || {
            let (caller, called) = connect(&alice, &bob).await;
            let sound = tone(440, 300);
            let play = async {
                caller.play_samples(8_000, &sound).await?;
                caller.hangup().await
            };
            let (played, heard) = soon(async { tokio::join!(play, listen(&called, 5_000)) }).await;
            played.unwrap();
            let (first, last) = (first_loud(&heard), last_loud(&heard));
            let length = (last.unwrap_or_default() - first.unwrap_or_default()) / 8;
            check(length.abs_diff(300) <= 20, || format!("{length} ms of sound instead of 300"))
        })
        .await;
    }
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
}

/// A phone of one thread has others carry the sound of the calls that are too many for it.
#[tokio::test]
async fn media_beyond_some_calls_goes_to_another_runtime() {
    let many =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let alice = start(direct("alice")).await;
    let options = PhoneOptions::default().share_media(1, many.handle().clone());
    let bob = Phone::with_options(direct("bob"), options);
    soon(bob.start()).await.unwrap();
    let elsewhere = || many.metrics().num_alive_tasks();
    let (first, _first) = connect(&alice, &bob).await;
    assert_eq!(elsewhere(), 0);
    let (second, called) = connect(&alice, &bob).await;
    assert_eq!(elsewhere(), 1);
    assert_passes(&second, &called, 440, 800).await;
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
    soon(async { tokio::join!(first.ended(), second.ended()) }).await;
    many.shutdown_background();
}

/// A call that is over before its sound has begun has the codec that was agreed all the same.
#[tokio::test]
async fn the_end_of_a_call_does_not_wait_for_its_media() {
    let never = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = PhoneOptions::default().share_media(0, never.handle().clone());
    let [alice, bob] =
        ["alice", "bob"].map(|user| Phone::with_options(direct(user), options.clone()));
    soon(async { tokio::try_join!(alice.start(), bob.start()) }).await.unwrap();
    let (caller, called) = connect(&alice, &bob).await;
    soon(caller.hangup()).await.unwrap();
    for call in [&caller, &called] {
        let stats = soon(call.ended()).await.stats;
        assert_eq!((stats.codec, stats.sent), (Some(Codec::Pcmu), 0));
    }
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
    never.shutdown_background();
}

/// Everything that waits can be spawned.
#[test]
fn handles_and_futures_cross_threads() {
    fn crosses<T: Send>(_: &T) {}
    fn shared<T: Clone + Send + Sync>() {}
    shared::<Phone>();
    shared::<offhook::Call>();
    shared::<offhook::Exchange>();
    let phone = Phone::new(direct("alice"));
    crosses(&phone.start());
    crosses(&phone.stop());
    crosses(&phone.call("sip:a@b"));
    crosses(&phone.options("sip:a@b"));
    crosses(&phone.message("sip:a@b", "hello", "text/plain"));
    crosses(&phone.incoming());
    crosses(&phone.referrals());
    let _ = |referral: offhook::Referral| crosses(&referral.accept());
    crosses(&phone.events());
    let _ = |call: offhook::Call| {
        crosses(&call.answer());
        crosses(&call.transfer("sip:a@b", offhook::TransferMode::Blind));
        crosses(&call.ended());
        crosses(&call.play("a.wav"));
        crosses(&call.read_dtmf(1));
        crosses(&call.read_audio(8_000, &mut []));
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_through_the_exchange() {
    let (exchange, server) = exchange();
    let alice = registered(&server, "alice", "a").await;
    let bob = registered(&server, "bob", "b").await;
    assert_eq!(alice.status(), PhoneStatus::Registered);
    let mut incoming = bob.incoming();
    let mut events = alice.events();
    let call = soon(alice.call("bob")).await.unwrap();
    let called = soon(incoming.next()).await.unwrap();
    assert_eq!(called.state(), CallState::Ringing);
    soon(called.answer()).await.unwrap();
    soon(call.answered()).await.unwrap();
    soon(called.hangup()).await.unwrap();
    assert_eq!(soon(call.ended()).await.by, EndedBy::Remote);
    assert_eq!(soon(called.ended()).await.by, EndedBy::Local);
    // One Ended, after everything else of the call, and a state before it.
    let mut states = Vec::new();
    loop {
        match soon(events.next()).await.unwrap() {
            Event::Call { event: CallEvent::State { state, .. }, .. } => states.push(state),
            Event::Call { event: CallEvent::Ended(_), .. } => break,
            _ => {}
        }
    }
    states.dedup();
    let end = states.len() - 2;
    assert_eq!(&states[end..], [CallState::Answered, CallState::Ended], "{states:?}");
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
    assert_eq!(alice.status(), PhoneStatus::Inactive);
    soon(exchange.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_peer() {
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let mut incoming = bob.incoming();
    let call = soon(alice.call(&uri(&bob, "bob"))).await.unwrap();
    soon(incoming.next()).await.unwrap().deny(486, None).await.unwrap();
    let error = soon(call.answered()).await.unwrap_err();
    assert!(matches!(&error, Error::Rejected { cause } if cause.code == 486), "{error:?}");
    assert_eq!(error.to_string(), "it was refused: 486 Busy Here (the other side is busy)");
    let ending = soon(call.ended()).await;
    assert_eq!((ending.by, ending.was_answered()), (EndedBy::Remote, false));
    assert_eq!(call.state(), CallState::Ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_answers() {
    let mut patient = direct("alice");
    patient.answer_timeout = Duration::from_millis(500).into();
    let (alice, bob) = (start(patient).await, start(direct("bob")).await);
    let mut incoming = bob.incoming();
    let call = soon(alice.call(&uri(&bob, "bob"))).await.unwrap();
    let called = soon(incoming.next()).await.unwrap();
    let error = soon(call.answered()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert_eq!(soon(call.ended()).await.by, EndedBy::Timeout);
    // It was cancelled at the other end.
    assert_eq!(soon(called.ended()).await.by, EndedBy::Remote);
    assert!(soon(called.answer()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_not_there() {
    let alice = start(direct("alice")).await;
    let gone = start(direct("bob")).await;
    let target = uri(&gone, "bob");
    soon(gone.stop()).await;
    let call = soon(alice.call(&target)).await.unwrap();
    // The network says so at once; without that it would be 32 s (RFC 3261 §17.1.1.2).
    within(Duration::from_secs(90), call.answered()).await.unwrap_err();
    assert_ne!(soon(call.ended()).await.by, EndedBy::Remote);
    assert!(within(Duration::from_secs(90), alice.options(&target)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_call() {
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let mut incoming = bob.incoming();
    let call = soon(alice.call(&uri(&bob, "bob"))).await.unwrap();
    let called = soon(incoming.next()).await.unwrap();
    soon(call.cancel()).await.unwrap();
    assert_eq!(soon(call.ended()).await.by, EndedBy::Local);
    assert_eq!(soon(called.ended()).await.by, EndedBy::Remote);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_codec_in_common() {
    let alice = start(direct("alice").codecs(&[Codec::Pcmu])).await;
    let bob = start(direct("bob").codecs(&[Codec::Pcma])).await;
    let call = soon(alice.call(&uri(&bob, "bob"))).await.unwrap();
    let error = soon(call.answered()).await.unwrap_err();
    assert!(matches!(&error, Error::Rejected { cause } if cause.code == 488), "{error:?}");
    assert!(error.to_string().contains("no codec in common"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use() {
    let alice = start(direct("alice")).await;
    let taken = alice.bound_address().unwrap();
    let second = Phone::new(PhoneParameters::without_server("second").bind(taken));
    let error = soon(second.start()).await.unwrap_err();
    assert!(matches!(error, Error::Bind { .. }), "{error:?}");
    let sentence = error.to_string();
    assert!(sentence.contains(&taken.to_string()) && sentence.contains("in use"), "{sentence}");
    assert_eq!(second.status(), PhoneStatus::Failed);
    assert!(matches!(alice.start().await, Err(Error::AlreadyRunning)));
    assert!(matches!(second.call("sip:a@127.0.0.1").await, Err(Error::NotRunning)));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rtp_port_left() {
    // A range with one pair, which somebody else holds.
    let holder = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let even = holder.local_addr().unwrap().port() & !1;
    let narrow = |user| direct(user).rtp_ports(even, even + 1);
    let (alice, bob) = (start(narrow("alice")).await, start(direct("bob")).await);
    let error = soon(alice.call(&uri(&bob, "bob"))).await.unwrap_err();
    assert_eq!(error.code(), "no_ports_available", "{error:?}");
    let call = soon(bob.call(&uri(&alice, "alice"))).await.unwrap();
    let mut incoming = alice.incoming();
    let answering = async {
        if let Some(called) = incoming.next().await {
            let _ = called.answer().await;
        }
        std::future::pending::<()>().await
    };
    let error = tokio::select! {
        answered = soon(call.answered()) => answered.unwrap_err(),
        () = answering => unreachable!(),
    };
    assert!(matches!(&error, Error::Rejected { cause } if cause.code == 503), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_without_a_pair() {
    let phone = Phone::new(direct("alice").rtp_ports(20_000, 10_000));
    assert_eq!(soon(phone.start()).await.unwrap_err().code(), "invalid_range");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password() {
    let (_exchange, server) = exchange();
    let parameters = PhoneParameters::new(&server, "alice").password("wrong").bind(here());
    let phone = Phone::new(parameters);
    let error = soon(phone.start()).await.unwrap_err();
    assert!(matches!(&error, Error::RegistrationRefused { .. }), "{error:?}");
    assert!(error.to_string().contains("is the password right?"), "{error}");
    assert_eq!(phone.status(), PhoneStatus::Failed);
    assert!(phone.bound_address().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_peer() {
    let alice = start(direct("alice").media_timeout(Duration::from_secs(1))).await;
    // The peer lives in a runtime of its own, which dies with everything in it and no word.
    let peer = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let peer = peer.unwrap();
    let bob = peer.spawn(start(direct("bob"))).await.unwrap();
    let (caller, called) = connect(&alice, &bob).await;
    let _ = soon(caller.read_audio(8_000, &mut [0; 800])).await.unwrap();
    peer.shutdown_background();
    let ending = soon(caller.ended()).await;
    assert_eq!(ending.by, EndedBy::Timeout);
    drop((bob, called));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_last_handle_ends_a_call_in_every_state() {
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let mut incoming = bob.incoming();

    let (caller, called) = connect(&alice, &bob).await;
    drop(caller.clone());
    assert_eq!(caller.state(), CallState::Answered);
    drop(caller);
    assert_eq!(soon(called.ended()).await.by, EndedBy::Remote);

    let caller = soon(alice.call(&uri(&bob, "bob"))).await.unwrap();
    let called = soon(incoming.next()).await.unwrap();
    drop(caller);
    assert_eq!(soon(called.ended()).await.by, EndedBy::Remote);

    let caller = soon(alice.call(&uri(&bob, "bob"))).await.unwrap();
    drop(soon(incoming.next()).await.unwrap());
    let error = soon(caller.answered()).await.unwrap_err();
    assert!(matches!(error, Error::Rejected { cause } if cause.code == 480));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_a_phone_ends_its_calls_and_streams() {
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let (caller, called) = connect(&alice, &bob).await;
    let mut incoming = alice.incoming();
    soon(alice.stop()).await;
    assert_eq!(soon(caller.ended()).await.by, EndedBy::Local);
    assert_eq!(soon(called.ended()).await.by, EndedBy::Remote);
    assert!(soon(incoming.next()).await.is_none());
    // And it can be started again.
    soon(alice.start()).await.unwrap();
    connect(&bob, &alice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_last_phone_stops_it() {
    let (exchange, server) = exchange();
    let mut events = exchange.events();
    let alice = registered(&server, "alice", "a").await;
    drop(alice.clone());
    assert_eq!(alice.status(), PhoneStatus::Registered);
    drop(alice);
    loop {
        use offhook::{Departure, ExchangeEvent, ExchangeNotice};
        if let ExchangeNotice::Event(ExchangeEvent::Unregistered { user, cause, .. }) =
            soon(events.next()).await.unwrap()
        {
            assert_eq!((user.as_str(), cause), ("alice", Departure::Withdrawn));
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_can_be_given_up_without_loss() {
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let (caller, called) = connect(&alice, &bob).await;
    caller.send_dtmf("12").unwrap();
    let short = Duration::from_millis(300);
    assert!(tokio::time::timeout(short, called.read_dtmf(3)).await.is_err());
    caller.send_dtmf("3").unwrap();
    assert_eq!(soon(called.read_dtmf(3)).await.unwrap(), "123");

    // A play that is given up stops; the next begins with its own sound.
    let long = tone(440, 5_000);
    awaited_unless_stalled(async || {
        assert!(tokio::time::timeout(short, caller.play_samples(8_000, &long)).await.is_err());
        // What was on its way comes to an end, long before five seconds.
        while called.take_audio(8_000, &mut [0; 8_000]) > 0 {}
        let rest = soon(listen(&called, 400)).await;
        check(last_loud(&rest[8 * 250..]).is_none(), || "it goes on".to_owned())
    })
    .await;
    assert_passes(&caller, &called, 1_000, 400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("call.wav");
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    awaited_unless_stalled(async || {
        let (caller, called) = connect(&alice, &bob).await;
        let mut recording = caller.record(&path).unwrap();
        let (left, right) = (tone(440, 600), tone(1_000, 600));
        let (a, b) = soon(async {
            tokio::join!(caller.play_samples(8_000, &left), called.play_samples(8_000, &right))
        })
        .await;
        a.unwrap();
        b.unwrap();
        // What was played last is still on its way; the echo of it would be, too.
        let _ = soon(caller.read_audio(8_000, &mut [0; 2_400])).await;
        soon(listen(&caller, 300)).await;
        caller.hangup().await.unwrap();
        soon(recording.finished()).await.unwrap();
        let mut wav = hound::WavReader::open(&path).unwrap();
        assert_eq!((wav.spec().channels, wav.spec().sample_rate), (2, 8_000));
        let samples: Vec<i16> = wav.samples().map(Result::unwrap).collect();
        let side = |side| samples.iter().skip(side).step_by(2).copied().collect::<Vec<i16>>();
        check_tone(&side(0), 440, 600)?;
        check_tone(&side(1), 1_000, 600)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_in_the_wrong_state_are_refused() {
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let mut incoming = bob.incoming();
    let caller = soon(alice.call(&uri(&bob, "bob"))).await.unwrap();
    let called = soon(incoming.next()).await.unwrap();
    for refused in [
        caller.answer().await,
        caller.hangup().await,
        called.hangup().await,
        called.cancel().await,
        caller.send_dtmf("1"),
        caller.write_audio(8_000, &[0]).map(drop),
        called.play("nothing.wav").await,
    ] {
        assert_eq!(refused.as_ref().map_err(Error::code), Err("invalid_state"), "{refused:?}");
    }
    soon(called.answer()).await.unwrap();
    soon(caller.answered()).await.unwrap();
    assert_eq!(caller.play("nothing.wav").await.unwrap_err().code(), "file");
    assert_eq!(caller.send_dtmf("1x").unwrap_err().code(), "dtmf");
    let error = soon(alice.call("not a uri at all")).await.unwrap_err();
    assert_eq!(error.code(), "invalid_value", "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping() {
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let began = std::time::Instant::now();
    let pong = soon(alice.options(&uri(&bob, "bob"))).await.unwrap();
    assert_eq!(pong.cause.code, 200);
    assert!(pong.headers.iter().any(|(name, _)| name == "Allow"), "{pong:?}");
    let trip = pong.round_trip;
    assert!(!trip.is_zero() && trip < began.elapsed(), "{trip:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_on_one_socket() {
    const CALLS: usize = 100;
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let target = uri(&bob, "bob");
    let mut incoming = bob.incoming();
    let answering = tokio::spawn(async move {
        let mut calls = Vec::new();
        while calls.len() < CALLS {
            let call = incoming.next().await.unwrap();
            call.answer().await.unwrap();
            calls.push(call);
        }
        calls
    });
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        calls.push(soon(alice.call(&target)).await.unwrap());
    }
    for call in &calls {
        soon(call.answered()).await.unwrap();
    }
    let answered = soon(answering).await.unwrap();
    for call in &calls {
        call.hangup().await.unwrap();
    }
    for call in calls.iter().chain(&answered) {
        soon(call.ended()).await;
    }
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
}
