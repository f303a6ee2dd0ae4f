//! What the tests share: phones on this machine, and waiting with a deadline.
#![allow(dead_code, reason = "each test program uses a part")]

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use offhook::core::codec::measure::{self, Tone};
use offhook::{Call, Exchange, ExchangeParameters, Phone, PhoneParameters};
use offhook_tests::stall::awaited_unless_stalled;

/// Any free port of this machine.
pub(crate) fn here() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Waits for something that comes at once where the machine has nothing else to do.
#[track_caller]
pub(crate) fn soon<F: Future>(what: F) -> impl Future<Output = F::Output> {
    within(Duration::from_secs(60), what)
}

/// Waits for something that has to come in time.
#[track_caller]
pub(crate) fn within<F: Future>(time: Duration, what: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(time, what).await {
            Ok(value) => value,
            Err(_) => panic!("nothing happened within {time:?} at {caller}"),
        }
    }
}

/// Parameters of a phone on this machine that registers nowhere.
pub(crate) fn direct(user: &str) -> PhoneParameters {
    PhoneParameters::without_server(user).bind(here())
}

/// A started phone.
pub(crate) async fn start(parameters: PhoneParameters) -> Phone {
    let phone = Phone::new(parameters);
    soon(phone.start()).await.expect("the phone starts");
    phone
}

/// The URI at which a phone without a server can be called.
pub(crate) fn uri(phone: &Phone, user: &str) -> String {
    format!("sip:{user}@{}", phone.bound_address().expect("the phone is running"))
}

/// An exchange that knows alice (a) and bob (b), and its address.
pub(crate) fn exchange() -> (Exchange, String) {
    let parameters = ExchangeParameters::new(here()).user("alice", "a").user("bob", "b");
    let exchange = Exchange::start(parameters).expect("the exchange starts");
    let server = exchange.listeners()[0].address.to_string();
    (exchange, server)
}

/// A phone of a user of [`exchange`], registered.
pub(crate) async fn registered(server: &str, user: &str, password: &str) -> Phone {
    start(PhoneParameters::new(server, user).password(password).bind(here())).await
}

/// Places a call from one phone without a server to another, and answers it: both ends.
pub(crate) async fn connect(from: &Phone, to: &Phone) -> (Call, Call) {
    let mut incoming = to.incoming();
    let caller = soon(from.call(&uri(to, "bob"))).await.expect("the call is placed");
    let called = soon(incoming.next()).await.expect("the call comes in");
    let (answer, answered) = soon(async { tokio::join!(called.answer(), caller.answered()) }).await;
    answer.expect("the call can be answered");
    answered.expect("the call is answered");
    (caller, called)
}

/// A tone of `ms` milliseconds at 8 kHz.
pub(crate) fn tone(frequency: u32, ms: usize) -> Vec<i16> {
    Tone::new(8_000, frequency, 8_000).take(8 * ms)
}

/// Reads `ms` milliseconds at 8 kHz.
pub(crate) async fn listen(call: &Call, ms: usize) -> Vec<i16> {
    let mut heard = Vec::new();
    let mut samples = [0; 160];
    while heard.len() < ms * 8 {
        match call.read_audio(8_000, &mut samples).await.expect("the call can be heard") {
            0 => break,
            count => heard.extend_from_slice(&samples[..count]),
        }
    }
    heard
}

/// Plays a tone of `ms` milliseconds into one end of a call, which has to come out of the other; again where
/// [the machine has stalled](offhook_tests::stall).
pub(crate) async fn assert_passes(from: &Call, to: &Call, frequency: u32, ms: usize) {
    awaited_unless_stalled(async || {
        // What came while nobody listened.
        while to.take_audio(8_000, &mut [0; 8_000]) > 0 {}
        let sound = tone(frequency, ms);
        let hears = async {
            let mut heard = Vec::new();
            while first_loud(&heard).is_none() {
                heard = listen(to, 100).await;
                assert!(!heard.is_empty(), "the call is over");
            }
            heard.extend(listen(to, ms + 100).await);
            heard
        };
        let (played, heard) =
            soon(async { tokio::join!(from.play_samples(8_000, &sound), hears) }).await;
        played.expect("the call is up");
        check_tone(&heard, frequency, ms)
    })
    .await;
}

/// Where something begins to be heard.
pub(crate) fn first_loud(heard: &[i16]) -> Option<usize> {
    heard.iter().position(|sample| sample.unsigned_abs() > 1_000)
}

/// Where that ends.
pub(crate) fn last_loud(heard: &[i16]) -> Option<usize> {
    heard.iter().rposition(|sample| sample.unsigned_abs() > 1_000)
}

/// Checks that `heard` has `ms` milliseconds of that tone in one piece, at its level.
///
/// # Errors
/// What is wrong with it: to be played again where [the machine has stalled](offhook_tests::stall).
pub(crate) fn check_tone(heard: &[i16], frequency: u32, ms: usize) -> Result<(), String> {
    check_tone_at(heard, 8_000, frequency, ms)
}

/// The same of what was heard at another rate.
pub(crate) fn check_tone_at(
    heard: &[i16],
    rate: u32,
    frequency: u32,
    ms: usize,
) -> Result<(), String> {
    let first = first_loud(heard).ok_or("nothing is heard")?;
    let sound = &heard[first..=last_loud(heard).unwrap_or(first)];
    let length = sound.len() * 1_000 / rate as usize;
    check(length.abs_diff(ms) <= 45, || format!("{length} ms of sound instead of {ms}"))?;
    let measured = measure::dominant_frequency(sound, rate);
    let is_near = (measured - f64::from(frequency)).abs() < 5.0;
    check(is_near, || format!("{measured} Hz, not {frequency}"))?;
    let spoken = Tone::new(rate, frequency, 8_000).take(rate as usize / 2);
    let (level, expected) = (measure::level_dbov(sound), measure::level_dbov(&spoken));
    check((level - expected).abs() < 1.5, || format!("{level} dBov, not {expected}"))?;
    let gap = measure::longest_gap(sound, rate, -40.0);
    check(gap.as_millis() < 10, || format!("a gap of {gap:?}"))
}

/// What is wrong, unless it is as it should be.
pub(crate) fn check(is_right: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if is_right { Ok(()) } else { Err(problem()) }
}
