//! What the command says of certificates, and with which exit status it ends.
#![cfg(all(feature = "cli", unix))]

#[path = "common/certificates.rs"]
mod certificates;
#[path = "common/process.rs"]
mod process;

use std::path::Path;

use certificates::{Authority, Pair, openssl};
use process::Offhook;
use serde_json::Value;

/// `offhook answer` over TLS, which shows this certificate; and its port.
fn listening(at: &Path, pair: &Pair, more: &str) -> (Offhook, String) {
    let (certificate, key) = (pair.certificate.display(), pair.key.display());
    let bob = Offhook::start(
        at,
        &format!(
            "answer --transport tls --bind 127.0.0.1:0 --cert-file {certificate} --key-file {key} {more}"
        ),
    );
    let address = bob.address();
    let port = address.rsplit(':').next().unwrap().to_owned();
    (bob, port)
}

fn error(events: &[Value]) -> &Value {
    events.iter().find(|event| event["event"] == "error").expect("the error is told")
}

/// Registers at `localhost`, calls through it, and calls it: each fails with `part` in its sentence.
#[track_caller]
fn refused(at: &Path, port: &str, options: &str, part: &str) {
    let options = format!("--ca-file ca.pem --bind 127.0.0.1:0 --user alice {options}");
    let through = format!("--server localhost:{port} --transport tls {options}");
    for (arguments, expected) in [
        (format!("register {through}"), 3),
        (format!("call bob {through}"), 3),
        (format!("call bob --no-register {through}"), 3),
        (format!("message bob hello {through}"), 3),
        (format!("call sips:bob@localhost:{port} {options}"), 4),
        (format!("call sip:bob@localhost:{port};transport=tls {options}"), 4),
    ] {
        let (status, sentence, events) = Offhook::run(at, &arguments);
        assert_eq!(status, expected, "{arguments}: {sentence}");
        assert!(sentence.contains("localhost cannot be trusted: "), "{arguments}: {sentence}");
        assert!(sentence.contains(part), "{arguments}: {sentence}");
        assert_eq!(error(&events)["code"], "untrusted", "{arguments}");
        assert!(error(&events)["message"].as_str().unwrap().contains(part));
    }
}

#[test]
fn each_refused_certificate_is_told() {
    let (authority, other) = (Authority::new("ca"), Authority::new("other"));
    let at = authority.directory.path();
    let here = ["localhost"];
    for (pair, part) in [
        (authority.issue_for_years(&here, 2001, 2024), "its certificate expired on 2 May 2024"),
        (
            authority.issue_for_years(&here, 2101, 2102),
            "its certificate is valid from 1 January 2101 only (is the clock right?)",
        ),
        (other.issue(&here), "by an authority that is not trusted here (give --ca-file)"),
        (other.self_signed(&here, false), "not trusted here (give --ca-file)"),
        (
            authority.issue(&["pbx.example.com"]),
            "its certificate is for pbx.example.com, not localhost",
        ),
        (authority.issue(&["*"]), "* stands for nothing in SIP: not for localhost"),
    ] {
        let (bob, port) = listening(at, &pair, "");
        refused(at, &port, "", part);
        bob.signal("-TERM");
        assert_eq!(bob.end().0, 0);
    }
}

#[test]
fn a_server_that_asks_for_a_certificate() {
    let (authority, other) = (Authority::new("ca"), Authority::new("other"));
    let at = authority.directory.path();
    let own = authority.issue(&["localhost"]);
    let (bob, port) = listening(at, &own, "--client-ca-file ca.pem");
    refused(at, &port, "", "it asks for a certificate: give --cert-file and --key-file");
    let shown = |pair: &Pair| {
        format!("--cert-file {} --key-file {}", pair.certificate.display(), pair.key.display())
    };
    let stranger = other.issue(&["alice.example.com"]);
    refused(at, &port, &shown(&stranger), "it does not trust the authority of our certificate");
    let known = shown(&authority.issue(&["alice.example.com"]));
    let target = format!("sips:bob@localhost:{port} --ca-file ca.pem --bind 127.0.0.1:0 {known}");
    let (status, sentence, _) = Offhook::run(at, &format!("call {target} --duration 0.2"));
    assert_eq!((status, sentence.as_str()), (0, ""));
    assert_eq!(bob.wait("ended")["by"], "remote");
}

/// Every file is looked at before anything is sent, or even bound.
#[test]
fn a_file_that_cannot_be_used_is_named() {
    let authority = Authority::new("ca");
    let at = authority.directory.path();
    let (pair, other) = (authority.issue(&["a"]), authority.issue(&["b"]));
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let (certificate, key) = (name(&pair.certificate), name(&pair.key));
    let foreign = name(&other.key);
    openssl(at, &format!("pkcs8 -topk8 -in {key} -out locked.key -passout pass:hunter2"));
    std::fs::write(at.join("wrong"), "hunter3\n").unwrap();
    std::fs::write(at.join("right"), "hunter2\r\n").unwrap();
    std::fs::write(at.join("text"), "no certificate\n").unwrap();
    let mine = format!("--cert-file {certificate}");
    for (options, file, problem) in [
        (format!("--cert-file gone --key-file {key}"), "gone", "there is no such file"),
        (format!("{mine} --key-file gone"), "gone", "there is no such file"),
        (mine.clone(), &*certificate, "it holds no private key"),
        (format!("{mine} --key-file {foreign}"), &*foreign, "it is not the key of the certificate"),
        (format!("{mine} --key-file locked.key"), "locked.key", "give its password"),
        (
            format!("{mine} --key-file locked.key --key-password-file wrong"),
            "locked.key",
            "its password is wrong",
        ),
        (
            format!("{mine} --key-file locked.key --key-password-file gone"),
            "gone",
            "there is no such file",
        ),
        ("--ca-file gone".to_owned(), "gone", "there is no such file"),
        ("--ca-file text".to_owned(), "text", "it holds no certificate"),
        (format!("{mine} --key-file {key} --client-ca-file text"), "text", "holds no certificate"),
    ] {
        for what in ["register --server 127.0.0.1:9", "call sips:bob@127.0.0.1:9", "answer"] {
            let arguments = format!("{what} --bind 127.0.0.1:0 {options}");
            let (status, sentence, events) = Offhook::run(at, &arguments);
            assert_eq!(status, 6, "{arguments}: {sentence}");
            assert!(sentence.contains(file) && sentence.contains(problem), "{options}: {sentence}");
            // A password file is read before there is a phone that could start.
            let ends = events.iter().filter(|event| event["event"] != "start_failed").count();
            assert_eq!(ends, 1, "{arguments}: {events:?}");
            assert_eq!(error(&events)["code"], "tls_file");
            assert!(events.iter().all(|event| event["code"] == "tls_file"), "{events:?}");
        }
    }
    let locked = Pair { key: at.join("locked.key"), ..pair };
    let (bob, _) = listening(at, &locked, "--key-password-file right");
    bob.signal("-TERM");
    assert_eq!(bob.end().0, 0);
}

#[test]
fn insecure_is_said_loudly() {
    let authority = Authority::new("ca");
    let at = authority.directory.path();
    let (_bob, port) = listening(at, &authority.self_signed(&["pbx.example.com"], true), "");
    let call = format!("call sips:bob@127.0.0.1:{port} --bind 127.0.0.1:0 --duration 0.2");
    let (status, _, events) = Offhook::run(at, &call);
    assert_eq!(status, 4);
    assert!(events.iter().all(|event| event["event"] != "warning"));
    for (more, times) in [("--tls-insecure", 1), ("--tls-insecure -v", 2)] {
        let (status, sentence, events) = Offhook::run(at, &format!("{call} {more}"));
        assert_eq!(status, 0, "{sentence}");
        let loud = "warning: --tls-insecure: the certificates of servers are not checked";
        assert_eq!(sentence.matches(loud).count(), times, "{sentence}");
        let warned = |event: &&Value| event["event"] == "warning";
        assert_eq!(events.iter().filter(warned).count(), times);
        assert_eq!(events.iter().find(warned).unwrap()["code"], "tls_insecure");
    }
}
