//! What the command says when something fails: each sentence is true, names the address with its port,
//! and says what to do.
#![cfg(all(feature = "cli", unix))]

mod common;
#[path = "common/process.rs"]
mod process;

use std::net::UdpSocket;
use std::time::Instant;

use process::Offhook;
use tempfile::tempdir;

/// A port where nothing listens, nor a program that the system gives a port.
const NOWHERE: &str = "127.0.0.1:9";

/// A port whose owner says nothing, for as long as it is held.
fn silent() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

#[test]
fn where_nothing_listens() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let to = NOWHERE;
    for (asked, status) in [
        (format!("register --server {to} --user alice --password a"), 3),
        (format!("call bob --server {to} --user alice --password a"), 3),
        (format!("call bob --server {to} --user alice --no-register"), 4),
        (format!("call sip:bob@{to}"), 4),
        (format!("options sip:bob@{to}"), 5),
        (format!("message sip:bob@{to} hello"), 4),
    ] {
        let (ended, sentence, events) = Offhook::run(at, &asked);
        assert_eq!(ended, status, "{asked}: {events:?}");
        let words = format!("127.0.0.1 cannot be reached: nothing listens at {to} (UDP)");
        assert!(sentence.contains(&words), "{asked}: {sentence}");
        assert_eq!(events.last().unwrap()["code"], "unreachable", "{asked}");
    }
    let by_tcp = format!("call sip:bob@{to} --transport tcp");
    let (status, sentence, _) = Offhook::run(at, &by_tcp);
    assert_eq!(status, 4, "{sentence}");
    let words = format!("{to} (TCP) cannot be reached: connection refused");
    assert!(sentence.contains(&words), "{sentence}");
}

#[test]
fn where_nobody_answers() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let (_socket, to) = silent();
    // Told while it is still asked, so that nobody wonders for half a minute; then we have enough.
    let waiting = [
        (format!("register --server {to} --user alice --password a"), &*to, 5),
        (format!("options sip:bob@{to}"), &*format!("sip:bob@{to}"), 5),
        (format!("message sip:bob@{to} hello"), &*format!("sip:bob@{to}"), 5),
    ]
    .map(|(asked, peer, status)| (Offhook::start(at, &asked), peer.to_owned(), status, asked));
    for (run, peer, status, asked) in waiting {
        let warning = run.wait("warning");
        assert_eq!(warning["code"], "no_answer_yet", "{asked}");
        let words = format!("{peer} has not answered for 4 s: is it running");
        assert!(warning["message"].as_str().unwrap().starts_with(&words), "{warning}");
        run.signal("-INT");
        let (ended, sentence, _) = run.end();
        assert_eq!(ended, status, "{asked}: {sentence}");
        assert!(sentence.contains(&words), "{asked}: {sentence}");
    }
}

#[test]
fn where_a_challenge_is_all_that_comes() {
    let directory = tempdir().unwrap();
    let (socket, to) = silent();
    let server = std::thread::spawn(move || {
        let mut packet = [0; 2_000];
        let (length, from) = socket.recv_from(&mut packet).unwrap();
        let request = String::from_utf8_lossy(&packet[..length]).into_owned();
        let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
        let fields =
            request.lines().filter(|line| copied.iter().any(|name| line.starts_with(name)));
        let fields: String = fields.map(|line| format!("{line}\r\n")).collect();
        let challenge = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\"\r\nContent-Length: 0";
        let response = format!("SIP/2.0 401 Unauthorized\r\n{fields}{challenge}\r\n\r\n");
        socket.send_to(response.as_bytes(), from).unwrap();
        socket
    });
    let asked = format!("register --server {to} --user alice --password a --start-timeout 8");
    let (status, sentence, events) = Offhook::run(directory.path(), &asked);
    drop(server.join().unwrap());
    assert_eq!(status, 3, "{events:?}");
    assert_eq!(events.last().unwrap()["code"], "no_answer", "{sentence}");
    let words =
        "127.0.0.1 asked for credentials (401) and did not answer the request that had them";
    assert!(sentence.contains(words), "{sentence}");
    let warning = events.iter().find(|event| event["code"] == "no_answer_yet").unwrap();
    let words = format!("{to} has given no final answer for 4 s, though a message has come back");
    assert!(warning["message"].as_str().unwrap().starts_with(&words), "{warning}");
}

#[test]
fn an_invite_that_nobody_has_seen_ends_when_it_should() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let (_socket, to) = silent();
    let began = Instant::now();
    let asked = format!("call sip:bob@{to} --answer-timeout 8");
    let (status, sentence, events) = Offhook::run(at, &asked);
    let took = began.elapsed().as_secs();
    assert_eq!(status, 4, "{events:?}");
    // Without that it is 32 s (RFC 3261 §17.1.1.2).
    assert!((8..30).contains(&took), "it took {took} s");
    let words = format!("sip:bob@{to} cannot be reached: there was no response at all");
    assert!(sentence.contains(&words), "{sentence}");
    assert_eq!(events.iter().filter(|event| event["code"] == "no_answer_yet").count(), 1);
    let ended = events.iter().find(|event| event["event"] == "ended").unwrap();
    assert_eq!((&ended["by"], &ended["error"]["code"]), (&"timeout".into(), &"unreachable".into()));
}

#[test]
fn a_signal_does_not_wait_for_who_is_gone() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let (_socket, to) = silent();
    let dialing = Offhook::start(at, &format!("call sip:bob@{to}"));
    dialing.wait_state("dialing");
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0");
    let up = Offhook::start(at, &format!("call sip:bob@{} --record up.wav", bob.address()));
    up.wait_state("answered");
    bob.signal("-STOP");
    let began = Instant::now();
    dialing.signal("-INT");
    up.signal("-INT");
    for call in [dialing, up] {
        let (status, sentence, events) = call.end();
        assert_eq!(status, 0, "{sentence}");
        let ended = events.iter().find(|event| event["event"] == "ended").unwrap();
        assert_eq!(ended["by"], "local");
    }
    let took = began.elapsed().as_secs();
    // A transaction would go on for 32 s.
    assert!(took < 30, "it took {took} s");
    bob.signal("-KILL");
}

#[test]
fn who_takes_no_calls_is_not_said_to_be_unknown() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let bob = Offhook::start(at, "answer --bind 127.0.0.1:0 --reject 480 --calls 1");
    let (status, sentence, _) = Offhook::run(at, &format!("call sip:bob@{}", bob.address()));
    assert_eq!(status, 4);
    assert!(sentence.contains("480 Temporarily Unavailable (the far end"), "{sentence}");
    assert_eq!(bob.end().0, 0);
}

#[test]
fn an_exchange_without_users_says_so() {
    let directory = tempdir().unwrap();
    let exchange = Offhook::start(directory.path(), "exchange --listen 127.0.0.1:0");
    assert_eq!(exchange.wait("warning")["code"], "no_users");
    exchange.signal("-TERM");
    let (status, sentence, _) = exchange.end();
    assert_eq!(status, 0);
    assert!(sentence.contains("give --user NAME:PASSWORD"), "{sentence}");
}

#[test]
fn a_message_that_is_too_large_is_one_error() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let to = NOWHERE;
    // The text alone is too large, or only with its header fields.
    for length in [2_000, 1_250] {
        let text = "x".repeat(length);
        let (status, sentence, events) = Offhook::run(at, &format!("message sip:bob@{to} {text}"));
        assert_eq!(status, 2, "{length}: {sentence}");
        assert!(
            sentence.contains("the message is too large: with its header fields"),
            "{sentence}"
        );
        assert_eq!(events.last().unwrap()["code"], "too_large");
    }
}

#[test]
fn tips_lead_to_what_was_meant_or_there_are_none() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    for (asked, tip) in [
        ("call bob --sever x", Some("'--server'")),
        ("call bob --username x", Some("'--user'")),
        ("anwser", Some("'answer'")),
        ("call bob --timeout 5", None),
        ("call bob --video", None),
        ("call bob --port 5060", None),
        ("hangup", None),
    ] {
        let (status, sentence, _) = Offhook::run(at, asked);
        assert_eq!(status, 2, "{asked}: {sentence}");
        match tip {
            Some(tip) => assert!(sentence.contains(&format!("exists: {tip}")), "{sentence}"),
            None => assert!(!sentence.contains("tip:"), "{asked}: {sentence}"),
        }
    }
    std::fs::write(at.join("odd.toml"), "timeout = 5\n").unwrap();
    let (_, sentence, _) = Offhook::run(at, "call sip:a@127.0.0.1 --config odd.toml");
    let tip = "no option timeout; did you mean answer-timeout or start-timeout?";
    assert!(sentence.contains(tip), "{sentence}");
}

/// The port where an exchange listens, and a phone that was copied from the README would.
#[test]
fn a_program_that_returns_its_error_from_main_shows_the_sentence() {
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(async {
        let parameters = offhook::PhoneParameters::without_server("alice").bind(taken);
        offhook::Phone::new(parameters).start().await.unwrap_err()
    });
    let shown = format!("{error:?}");
    assert!(shown.starts_with(&format!("cannot listen on UDP {taken}")), "{shown}");
    assert!(shown.contains("in use by another program") && shown.ends_with("(bind)"), "{shown}");
}
