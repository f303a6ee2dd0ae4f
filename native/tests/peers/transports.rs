//! Kamailio between two phones: registrations, calls with sound, and what else phones do.

use std::fs;
use std::path::Path;
use std::thread;

use offhook_tests::stall::unless_stalled;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use super::kamailio::{Algorithm, Kamailio, TRANSPORTS};
use super::process::Offhook;
use super::sound::{check_heard, write_tone};

/// A directory with what callers play and what is played to them.
pub(crate) fn with_tones() -> TempDir {
    let directory = tempdir().expect("a directory");
    write_tone(&directory.path().join("high.wav"), 1_000, 1_500);
    write_tone(&directory.path().join("low.wav"), 600, 1_500);
    directory
}

/// How many calls are made at once: a machine with two cores has to keep their sound up.
const AT_ONCE: usize = 3;

/// Does something with every transport, a few at once.
fn on_every_transport(algorithm: Algorithm, work: impl Fn(&Kamailio, &str) + Sync) {
    if !Kamailio::is_installed() {
        return;
    }
    let kamailio = Kamailio::start(algorithm);
    for transports in TRANSPORTS.chunks(AT_ONCE) {
        thread::scope(|scope| {
            for transport in transports {
                let (kamailio, work) = (&kamailio, &work);
                scope.spawn(move || work(kamailio, transport));
            }
        });
    }
}

#[test]
fn phones_register_refresh_and_leave() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        on_every_transport(algorithm, |kamailio, transport| {
            let directory = tempdir().unwrap();
            let run = |arguments: &str| Offhook::run(directory.path(), arguments);
            let account = kamailio.account(transport, &format!("{transport}-alice"));
            let (status, sentence, events) = run(&format!("register --once {account}"));
            assert_eq!((status, sentence.as_str()), (0, ""), "{transport}: {events:?}");
            assert_eq!(count(&events, "registered"), 1, "{transport}: {events:?}");

            let (status, _, events) = run(&format!("register --for 2.5 --expires 2 {account}"));
            assert_eq!(status, 0, "{transport}: {events:?}");
            assert!(count(&events, "registered") >= 2, "{transport}: {events:?}");
            assert_eq!(events.last().unwrap()["event"], "unregistered", "{transport}");

            let wrong = account.replace("secret-", "wrong-");
            let (status, sentence, _) = run(&format!("register {wrong}"));
            assert_eq!(status, 3, "{transport}");
            assert!(sentence.contains("is the password right?"), "{transport}: {sentence}");
        });
    }
}

#[test]
fn phones_talk_with_md5() {
    on_every_transport(Algorithm::Md5, |kamailio, transport| talk(kamailio, transport, transport));
}

#[test]
fn phones_talk_with_sha_256() {
    on_every_transport(Algorithm::Sha256, |kamailio, transport| {
        talk(kamailio, transport, transport);
    });
}

/// Kamailio passes between transports, and says so in two Record-Routes.
#[test]
fn phones_talk_over_different_transports() {
    let pairs = [("udp", "tls"), ("tls", "ws"), ("ws", "tcp"), ("tcp", "wss"), ("wss", "udp")];
    if !Kamailio::is_installed() {
        return;
    }
    let kamailio = Kamailio::start(Algorithm::Md5);
    for pairs in pairs.chunks(AT_ONCE) {
        thread::scope(|scope| {
            for (from, to) in pairs {
                let kamailio = &kamailio;
                scope.spawn(move || talk(kamailio, from, to));
            }
        });
    }
}

/// RFC 3261 §18.1.1: what is too long for one datagram goes over TCP, and the rest does not.
#[test]
fn a_long_invite_goes_over_tcp() {
    if !Kamailio::is_installed() {
        return;
    }
    let kamailio = Kamailio::start(Algorithm::Md5);
    let directory = tempdir().unwrap();
    let at = directory.path();
    let bob = Offhook::start(at, &format!("answer {}", kamailio.account("udp", "bob")));
    bob.wait("registered");
    let account = kamailio.account("udp", "alice");
    let call = format!("call bob --duration 0.5 --pcap alice.pcap {account}");
    let long = format!("X-Long: {}", "so much to say ".repeat(100));
    for (header, transport) in [("X-Long: no", "UDP"), (long.as_str(), "TCP")] {
        let (status, sentence, events) =
            Offhook::start_with(at, &call, &["--header", header]).end();
        assert_eq!((status, sentence.as_str()), (0, ""), "{transport}: {events:?}");
        assert_eq!(bob.wait("ended")["by"], "remote", "{transport}");
        let capture = fs::read(at.join("alice.pcap")).unwrap();
        let capture = String::from_utf8_lossy(&capture);
        let vias: Vec<&str> = capture
            .split("INVITE sip:")
            .skip(1)
            .filter_map(|request| request.split("Via: SIP/2.0/").nth(1)?.split(' ').next())
            .collect();
        // Kamailio asks for credentials first.
        assert_eq!(vias, [transport; 2]);
    }
    stop(bob, true);
}

#[test]
fn phones_talk_over_ipv6() {
    on_every_transport(Algorithm::Md5, |kamailio, transport| {
        unless_stalled(|| talk_at(kamailio, "[::1]", transport, transport));
    });
}

/// A call with sound both ways that the caller hangs up, and one that the called hangs up.
fn talk(kamailio: &Kamailio, from: &str, to: &str) {
    unless_stalled(|| talk_at(kamailio, "127.0.0.1", from, to));
}

/// The same at one of Kamailio's addresses.
fn talk_at(kamailio: &Kamailio, ip: &str, from: &str, to: &str) -> Result<(), String> {
    let directory = with_tones();
    let at = directory.path();
    let (alice, bob) = (format!("{from}-{to}-alice"), format!("{from}-{to}-bob"));
    let (caller, called) =
        (kamailio.account_at(ip, from, &alice), kamailio.account_at(ip, to, &bob));
    let answers = format!("answer --play low.wav --record-received bob.wav {called}");
    let phone = Offhook::start(at, &format!("{answers} --duration 60"));
    phone.wait("registered");
    let calls = format!("call {bob} --play high.wav --record-received alice.wav {caller}");
    let (status, sentence, events) = Offhook::run(at, &format!("{calls} --duration 2"));
    assert_eq!((status, sentence.as_str()), (0, ""), "{from} to {to}: {events:?}");
    assert_eq!(find(&events, "ended")["by"], "local", "{from} to {to}");
    assert_eq!(phone.wait("ended")["by"], "remote", "{from} to {to}");
    stop(phone, true);
    heard_both(at)?;

    let phone = Offhook::start(at, &format!("{answers} --calls 1 --duration 2"));
    phone.wait("registered");
    let (status, sentence, events) = Offhook::run(at, &format!("{calls} --duration 60"));
    assert_eq!((status, sentence.as_str()), (0, ""), "{from} to {to}: {events:?}");
    assert_eq!(find(&events, "ended")["by"], "remote", "{from} to {to}");
    assert_eq!(phone.end().0, 0);
    heard_both(at)
}

#[test]
fn phones_do_what_phones_do() {
    on_every_transport(Algorithm::Md5, |kamailio, transport| {
        let directory = with_tones();
        let at = directory.path();
        let user = |name: &str| format!("{transport}-{name}");
        let account = |name: &str| kamailio.account(transport, &user(name));
        let answer = |name: &str, arguments: &str| {
            let phone = Offhook::start(at, &format!("answer {arguments} {}", account(name)));
            phone.wait("registered");
            phone
        };
        let alice = account("alice");
        let run = |what: &str, name: &str, arguments: &str| {
            Offhook::run(at, &format!("{what} {} {arguments} {alice}", user(name)))
        };
        let bob = answer("bob", "--accept-transfer");
        let carol = answer("carol", "--delay 60");
        let dave = answer("dave", "--reject 486");

        let (status, sentence, _) = run("call", "dave", "");
        assert_eq!(status, 4, "{transport}: {sentence}");
        assert!(sentence.contains("486 Busy Here"), "{transport}: {sentence}");

        let (status, sentence, _) = run("call", "carol", "--cancel-after 0.3");
        assert_eq!((status, sentence.as_str()), (0, ""), "{transport}");
        assert_eq!(carol.wait("ended")["by"], "remote", "{transport}");

        let script = "--hold-after 0.3 --resume-after 0.8 --dtmf 195 --dtmf-after 1 --duration 2";
        let (status, sentence, _) = run("call", "bob", script);
        assert_eq!((status, sentence.as_str()), (0, ""), "{transport}");
        for held in [true, false] {
            let hold = bob.wait("hold");
            assert_eq!(
                (&hold["by"], &hold["held"]),
                (&"remote".into(), &held.into()),
                "{transport}"
            );
        }
        for digit in ["1", "9", "5"] {
            assert_eq!(bob.wait("dtmf")["digit"], digit, "{transport}");
        }
        bob.wait("ended");

        let eve = answer("eve", "--duration 0.5");
        let transfer = format!("--transfer {} --transfer-after 0.2 --notified", user("eve"));
        let (status, sentence, events) = run("call", "bob", &transfer);
        assert_eq!((status, sentence.as_str()), (0, ""), "{transport}: {events:?}");
        assert_eq!(eve.wait("ended")["by"], "local", "{transport}");

        let (status, sentence, _) = run("message", "bob", "hello");
        assert_eq!((status, sentence.as_str()), (0, ""), "{transport}");
        assert_eq!(bob.wait("message")["body"], "hello", "{transport}");
        let (status, sentence, events) = run("options", "bob", "");
        assert_eq!((status, sentence.as_str()), (0, ""), "{transport}");
        assert_eq!(find(&events, "options")["code"], 200, "{transport}");
        for phone in [bob, carol, dave, eve] {
            stop(phone, true);
        }
    });
}

/// Both have heard the whole of what the other has played.
fn heard_both(directory: &Path) -> Result<(), String> {
    check_heard(&directory.join("alice.wav"), 600, 1_400)?;
    check_heard(&directory.join("bob.wav"), 1_000, 1_400)
}

/// Ends a phone, which deregisters if it is registered.
#[track_caller]
pub(crate) fn stop(phone: Offhook, registered: bool) {
    phone.signal("-TERM");
    let (status, sentence, events) = phone.end();
    assert_eq!((status, sentence.as_str()), (0, ""), "{events:?}");
    assert_eq!(count(&events, "unregistered"), usize::from(registered), "{events:?}");
}

fn count(events: &[Value], name: &str) -> usize {
    events.iter().filter(|event| event["event"] == name).count()
}

#[track_caller]
fn find<'a>(events: &'a [Value], name: &str) -> &'a Value {
    let found = events.iter().find(|event| event["event"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {events:?}"))
}
