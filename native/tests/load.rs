//! `offhook load`, as scripts use it.
#![cfg(all(feature = "cli", unix))]

#[path = "common/process.rs"]
mod process;

use std::time::{Duration, Instant};

use offhook_tests::sipp::Sipp;
use offhook_tests::stall::unless_stalled;
use process::Offhook;
use serde_json::{Value, json};
use tempfile::tempdir;

/// Runs a load to its end: the exit status, the sentence on standard error and the summary.
fn load(arguments: &str) -> (i32, String, Value) {
    let directory = tempdir().unwrap();
    let (status, sentence, events) = Offhook::run(directory.path(), &format!("load {arguments}"));
    let summary = events.iter().find(|event| event["event"] == "load").cloned();
    (status, sentence, summary.unwrap_or_else(|| panic!("no summary among {events:?}")))
}

#[test]
fn calls_at_a_rate_with_sound() {
    unless_stalled(load_with_sound);
}

fn load_with_sound() -> Result<(), String> {
    let directory = tempdir().unwrap();
    let bob = Offhook::start(directory.path(), "answer --bind 127.0.0.1:0 --calls 20");
    let target = format!("sip:bob@{}", bob.address());
    let began = Instant::now();
    let (status, _, told) =
        load(&format!("{target} --rate 40 --calls 20 --hold 0.4 --media --bind 127.0.0.1"));
    assert_eq!(status, 0, "{told}");
    assert_eq!((&told["calls"], &told["answered"]), (&json!(20), &json!(20)));
    assert_eq!((&told["failed"], &told["failures"]), (&json!(0), &json!({})));
    let rate = told["achieved_rate"].as_f64().unwrap();
    // What a busy machine makes late is made up for at no more than twice the rate.
    let least = 20.0 / began.elapsed().as_secs_f64();
    assert!((least..=80.5).contains(&rate), "{told}");
    let setup = |name: &str| told["setup_ms"][name].as_f64().unwrap();
    assert!(setup("p50") > 0.0 && setup("p50") <= setup("p90"), "{told}");
    assert!(setup("p90") <= setup("p99") && setup("p99") <= setup("max"), "{told}");
    assert!(told["media"]["jitter_ms"]["p50"].as_f64().is_some(), "{told}");
    assert_eq!(bob.end().0, 0);
    let packets = |name: &str| told["media"][name].as_u64().unwrap();
    // 20 packets a call each way.
    let are_many = packets("sent") > 300 && packets("received") > 300;
    if are_many { Ok(()) } else { Err(told["media"].to_string()) }
}

#[test]
fn without_media_nothing_but_signalling_is_sent() {
    let directory = tempdir().unwrap();
    let bob = Offhook::start(directory.path(), "answer --bind 127.0.0.1:0 --calls 10");
    let target = format!("sip:bob@{}", bob.address());
    // A range of one pair does for ten calls at once.
    let (status, _, told) =
        load(&format!("{target} --rate 100 --calls 10 --hold 0.5 --rtp-ports 23990-23991"));
    assert_eq!((status, &told["answered"], &told["media"]), (0, &json!(10), &Value::Null));
    assert!(told["peak_active"].as_u64().unwrap() > 1, "{told}");
    for _ in 0..10 {
        let stats = &bob.wait("ended")["stats"];
        assert!(stats["sent"].as_u64().unwrap() > 0, "{stats}");
        assert_eq!(stats["received"], 0, "{stats}");
    }
    assert_eq!(bob.end().0, 0);
}

#[test]
fn through_a_server_that_asks_for_the_password() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let exchange = Offhook::start(at, "exchange --listen 127.0.0.1:0 --user alice:a --user bob:b");
    let server = exchange.address();
    let bob = Offhook::start(at, &format!("answer --server {server} --user bob --password b"));
    bob.wait("registered");
    let account = format!("--server {server} --user alice --password a");
    let (status, _, told) = load(&format!("bob {account} --rate 50 --calls 25 --hold 0.2"));
    assert_eq!((status, &told["answered"], &told["failed"]), (0, &json!(25), &json!(0)), "{told}");
}

#[test]
fn a_limit_holds_calls_back() {
    let directory = tempdir().unwrap();
    let bob = Offhook::start(directory.path(), "answer --bind 127.0.0.1:0 --calls 8");
    let target = format!("sip:bob@{}", bob.address());
    let (status, _, told) = load(&format!("{target} --rate 200 --limit 2 --calls 8 --hold 0.1"));
    assert_eq!((status, &told["answered"], &told["peak_active"]), (0, &json!(8), &json!(2)));
    assert!(told["limited_ms"].as_u64().unwrap() >= 200, "{told}");
}

#[test]
fn calls_that_fail_are_told_by_code() {
    let directory = tempdir().unwrap();
    let bob = Offhook::start(directory.path(), "answer --bind 127.0.0.1:0 --reject 503 --calls 6");
    let target = format!("sip:bob@{}", bob.address());
    let (status, sentence, told) = load(&format!("{target} --rate 100 --calls 6"));
    assert_eq!((status, &told["failures"]), (4, &json!({ "503": 6 })));
    assert!(sentence.contains("6 of 6 calls failed"), "{sentence}");
    assert_eq!((&told["answered"], &told["setup_ms"]), (&json!(0), &Value::Null));
}

#[test]
fn a_signal_ends_it_properly() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0");
    let asked = format!("load sip:bob@{} --rate 50 --hold 60", bob.address());
    let load = Offhook::start(at, &asked);
    for _ in 0..5 {
        bob.wait_state("answered");
    }
    load.signal("-INT");
    let (status, _, events) = load.end();
    let told = events.last().unwrap();
    assert_eq!((status, &told["event"], &told["failed"]), (0, &json!("load"), &json!(0)), "{told}");
    assert!(told["calls"].as_u64().unwrap() >= 5, "{told}");
    // Every call was hung up.
    for _ in 0..told["answered"].as_u64().unwrap() {
        assert_eq!(bob.wait("ended")["by"], "remote");
    }
}

/// How long SIPp may take for what it is asked here.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn sipps_own_callee_takes_every_call() {
    if !Sipp::is_installed() {
        return;
    }
    let mut sipp = Sipp::start(&["-sn", "uas", "-m", "300"], None, LIMIT);
    sipp.wait_until_bound();
    let (status, _, told) = load(&format!(
        "sip:sipp@127.0.0.1:{} --bind 127.0.0.1 --rate 150 --calls 300 --hold 0.3",
        sipp.port
    ));
    assert_eq!((status, &told["answered"], &told["failed"]), (0, &json!(300), &json!(0)), "{told}");
    sipp.finish();
}

#[test]
fn every_call_of_sipps_own_caller_is_answered() {
    if !Sipp::is_installed() {
        return;
    }
    let directory = tempdir().unwrap();
    let bob = Offhook::start(directory.path(), "answer --bind 127.0.0.1:0 --calls 300");
    let port = bob.address().rsplit_once(':').unwrap().1.parse().unwrap();
    let arguments = ["-sn", "uac", "-r", "150", "-m", "300", "-d", "300"];
    Sipp::start(&arguments, Some(port), LIMIT).finish();
    assert_eq!(bob.end().0, 0);
}
