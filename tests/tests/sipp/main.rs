//! Calls with SIPp over real sockets: our phone calls it ([`calling`]) and is called by it
//! ([`called`]).

mod called;
mod calling;

use std::time::Duration;

use offhook::{Call, CallEvent, Ending, Event, Events, Phone, PhoneParameters};
use offhook_tests::sipp::{Scenario, Sipp};
use tokio::time::timeout;

/// How long a test may wait for one thing.
const LIMIT: Duration = Duration::from_secs(60);

/// Parameters of a phone that registers nowhere, on a free port of the loopback.
fn direct(user: &str) -> PhoneParameters {
    let parameters = PhoneParameters::without_server(user);
    parameters.bind("127.0.0.1:0".parse().expect("an address")).password("secret")
}

/// Runs a test with two worker threads, where SIPp is installed.
fn with_sipp(test: impl Future<Output = ()>) {
    if Sipp::is_installed() {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(test);
    }
}

async fn start(parameters: PhoneParameters) -> Phone {
    let phone = Phone::new(parameters);
    phone.start().await.expect("the phone starts");
    phone
}

/// A phone that registers nowhere.
async fn phone(user: &str) -> Phone {
    start(direct(user)).await
}

fn port(phone: &Phone) -> u16 {
    phone.bound_address().expect("a started phone has an address").port()
}

/// SIPp as the called.
fn callee(scenario: &Scenario, more: &[&str]) -> Sipp {
    let mut sipp = Sipp::play(scenario, more, None, LIMIT);
    sipp.wait_until_bound();
    sipp
}

/// SIPp as the caller of `phone`.
fn caller(scenario: &Scenario, phone: &Phone) -> Sipp {
    Sipp::play(scenario, &["-s", "bob"], Some(port(phone)), LIMIT)
}

/// The URI of a SIPp that is called.
fn uri(sipp: &Sipp) -> String {
    format!("sip:sipp@127.0.0.1:{}", sipp.port)
}

/// Waits for SIPp's end, which has to be a success.
async fn finish(sipp: Sipp) {
    tokio::task::spawn_blocking(|| sipp.finish()).await.expect("sipp is content");
}

/// Waits for a call's end.
async fn ended(call: &Call) -> Ending {
    timeout(LIMIT, call.ended()).await.expect("the end in time")
}

/// The next call.
async fn next_call(phone: &Phone) -> Call {
    timeout(LIMIT, phone.incoming().next()).await.expect("a call in time").expect("a call")
}

/// Waits for an event of a phone's only call.
async fn heard<T>(events: &mut Events<Event>, mut wanted: impl FnMut(CallEvent) -> Option<T>) -> T {
    timeout(LIMIT, async {
        loop {
            let event = events.next().await.expect("the phone goes on");
            if let Event::Call { event, .. } = event
                && let Some(found) = wanted(event)
            {
                break found;
            }
        }
    })
    .await
    .expect("the event in time")
}
