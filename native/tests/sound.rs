//! What an application does with the sound and the digits of a call, over real sockets.

mod common;

use std::time::Duration;

use common::*;
use offhook::core::codec::measure::share_at;
use offhook::core::codec::{from_unsigned8, to_unsigned8};
use offhook::{Call, CallEvent, CallOptions, CallState, Error, Events};
use offhook_tests::stall::awaited_unless_stalled;

/// The next mark: its name, and whether it was played.
async fn mark(events: &mut Events<CallEvent>) -> (String, bool) {
    loop {
        if let CallEvent::Mark { name, played } = soon(events.next()).await.expect("the call is up")
        {
            return (name, played);
        }
    }
}

/// Waits until so many digits came, without taking them.
async fn pressed(events: &mut Events<CallEvent>, count: usize) {
    let mut digits = 0;
    while digits < count {
        let event = soon(events.next()).await.expect("the call is up");
        digits += usize::from(matches!(event, CallEvent::Dtmf { .. }));
    }
}

async fn pair() -> (offhook::Phone, offhook::Phone, Call, Call) {
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let (caller, called) = connect(&alice, &bob).await;
    (alice, bob, caller, called)
}

/// pyVoIP: "If the client presses the numbers 1-9-5 you'll have the following output".
#[tokio::test(flavor = "multi_thread")]
async fn digits_are_a_buffer_as_in_the_seed() {
    let (_alice, _bob, caller, called) = pair().await;
    let mut events = called.events();
    caller.send_dtmf("195").unwrap();
    pressed(&mut events, 3).await;
    assert_eq!(called.take_dtmf(Some(1)), "1");
    assert_eq!(called.take_dtmf(Some(2)), "95");
    assert_eq!(called.take_dtmf(Some(1)), "");
    caller.send_dtmf("*0#").unwrap();
    pressed(&mut events, 3).await;
    assert_eq!(called.take_dtmf(Some(0)), "");
    assert_eq!(called.take_dtmf(None), "*0#");
    assert_eq!(called.take_dtmf(None), "");
    // What nobody has taken when the call ends can be taken after it.
    caller.send_dtmf("42").unwrap();
    pressed(&mut events, 2).await;
    caller.hangup().await.unwrap();
    soon(called.ended()).await;
    assert_eq!(soon(called.read_dtmf(1)).await.unwrap(), "4");
    assert!(matches!(soon(called.read_dtmf(2)).await, Err(Error::Ended { .. })));
    assert_eq!(called.take_dtmf(None), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_come_back_when_what_is_before_them_was_played_or_dropped() {
    let (_alice, _bob, caller, _called) = pair().await;
    let mut events = caller.events();
    assert_eq!((caller.played(), caller.queued()), (Duration::ZERO, Duration::ZERO));
    let began = std::time::Instant::now();
    caller.write_audio(8_000, &tone(440, 400)).unwrap();
    caller.mark("four hundred").unwrap();
    caller.write_audio(8_000, &tone(440, 200)).unwrap();
    caller.mark("six hundred").unwrap();
    assert_eq!(mark(&mut events).await, ("four hundred".to_owned(), true));
    assert!(began.elapsed() >= Duration::from_millis(375), "{:?}", began.elapsed());
    assert!(caller.played() >= Duration::from_millis(400), "{:?}", caller.played());
    assert_eq!(mark(&mut events).await, ("six hundred".to_owned(), true));
    assert_eq!((caller.played(), caller.queued()), (Duration::from_millis(600), Duration::ZERO));

    caller.write_audio(8_000, &tone(440, 5_000)).unwrap();
    caller.mark("never").unwrap();
    assert!(caller.queued() > Duration::from_secs(4));
    let (dropped, played) = (caller.flush_audio(), caller.played());
    assert_eq!(mark(&mut events).await, ("never".to_owned(), false));
    assert_eq!(dropped + played, Duration::from_millis(5_600));
    assert_eq!(caller.flush_audio(), Duration::ZERO);

    caller.write_audio(8_000, &tone(440, 5_000)).unwrap();
    for _ in 0..256 {
        caller.mark("one of many").unwrap();
    }
    let error = caller.mark("one too many").unwrap_err();
    assert_eq!(error.code(), "too_many_marks", "{error}");
    caller.hangup().await.unwrap();
    soon(caller.ended()).await;
    assert!(matches!(caller.mark("late"), Err(Error::Ended { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_two_streams_mixes_them() {
    let (alice, bob) = (start(direct("alice")).await, start(direct("bob")).await);
    let mut incoming = bob.incoming();
    let two = CallOptions::default().streams(2);
    let caller = soon(alice.call_with(&uri(&bob, "bob"), two)).await.unwrap();
    let called = soon(incoming.next()).await.unwrap();
    soon(called.answer()).await.unwrap();
    soon(caller.answered()).await.unwrap();
    assert_eq!((caller.info().streams, called.info().streams), (2, 2));
    let quiet: Vec<i16> = tone(500, 800).iter().map(|sample| sample / 2).collect();
    awaited_unless_stalled(async || {
        let (played, heard) = soon(async {
            tokio::join!(caller.play_samples(8_000, &quiet), listen(&called, 1_300))
        })
        .await;
        played.unwrap();
        // Twice half the level is the level: a frame has ten whole periods, so that the two are in step.
        let loudest = heard.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default();
        check(loudest > 4_500, || format!("the two streams peak at {loudest}"))
    })
    .await;
    caller.send_dtmf("12").unwrap();
    assert_eq!(soon(called.read_dtmf(2)).await.unwrap(), "12");
    soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_samples_and_its_read_that_does_not_wait() {
    let (_alice, _bob, caller, called) = pair().await;
    awaited_unless_stalled(async || {
        while called.take_audio(8_000, &mut [0; 8_000]) > 0 {}
        // A real 0x80 is silence that was said, not silence for want of data.
        let silence = [0x80; 800];
        assert_eq!(caller.write_audio_u8(8_000, &silence).unwrap(), 800);
        assert_eq!(caller.queued(), Duration::from_millis(100));
        let loud: Vec<u8> = tone(440, 800).iter().copied().map(to_unsigned8).collect();
        assert_eq!(caller.write_audio_u8(8_000, &loud).unwrap(), loud.len());
        let mut heard = Vec::new();
        let mut bytes = [0; 160];
        while heard.len() < 8 * 1_200 {
            let count = soon(called.read_audio_u8(8_000, &mut bytes)).await.unwrap();
            heard.extend(bytes[..count].iter().copied().map(from_unsigned8));
        }
        check_tone(&heard, 440, 800)
    })
    .await;
    // Half a second without a read at most is there; what is asked for beyond is silence.
    let mut samples = vec![7; 16_000];
    let count = called.read_audio_or_silence(8_000, &mut samples);
    assert!(count <= 8_000, "{count}");
    assert!(samples[count..].iter().all(|sample| *sample == 0));
}

/// Two phones of one user each play an announcement before anybody answers (RFC 3960 §2).
#[tokio::test(flavor = "multi_thread")]
async fn the_announcements_of_a_fork_are_heard_together_until_one_answers() {
    let (_exchange, server) = exchange();
    let alice = registered(&server, "alice", "a").await;
    let (desk, pocket) =
        (registered(&server, "bob", "b").await, registered(&server, "bob", "b").await);
    let (mut at_desk, mut in_pocket) = (desk.incoming(), pocket.incoming());
    let caller = soon(alice.call("bob")).await.unwrap();
    let mut events = caller.events();
    let (at_desk, in_pocket) = soon(async { tokio::join!(at_desk.next(), in_pocket.next()) }).await;
    let (at_desk, in_pocket) = (at_desk.unwrap(), in_pocket.unwrap());
    let (one, two) = soon(async { tokio::join!(at_desk.progress(), in_pocket.progress()) }).await;
    one.and(two).unwrap();
    while caller.state() != CallState::Progress {
        soon(events.next()).await.expect("the call is up");
    }
    let (low, high) = (tone(440, 2_000), tone(1_300, 2_000));
    awaited_unless_stalled(async || {
        while caller.take_audio(8_000, &mut [0; 8_000]) > 0 {}
        let (one, two, heard) = soon(async {
            tokio::join!(
                at_desk.play_samples(8_000, &low),
                in_pocket.play_samples(8_000, &high),
                listen(&caller, 2_400),
            )
        })
        .await;
        one.and(two).unwrap();
        let middle = &heard[8 * 600..8 * 1_600];
        [440.0, 1_300.0].into_iter().try_for_each(|frequency| {
            let share = share_at(middle, 8_000, frequency);
            let problem = || format!("{share} of the sound is at {frequency} Hz");
            check((0.35..0.65).contains(&share), problem)
        })
    })
    .await;
    soon(in_pocket.answer()).await.unwrap();
    soon(caller.answered()).await.unwrap();
    soon(at_desk.ended()).await;
    assert_passes(&in_pocket, &caller, 1_000, 600).await;
    caller.hangup().await.unwrap();
    soon(async { tokio::join!(alice.stop(), desk.stop(), pocket.stop()) }).await;
}
