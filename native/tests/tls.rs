//! Phones that call each other over TLS, with certificates made for each test.

#[path = "common/certificates.rs"]
mod certificates;
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use certificates::{Authority, Pair};
use common::*;
use offhook::core::error::Error as Problem;
use offhook::core::host::Transport;
use offhook::{Call, Error, Phone, PhoneParameters, PhoneStatus};
use tokio::net::{TcpListener, TcpStream};

/// A phone that listens for TLS and shows this certificate.
async fn listening(pair: &Pair) -> Phone {
    let parameters = direct("bob").transport(Transport::Tls);
    start(parameters.cert_file(&pair.certificate).key_file(&pair.key)).await
}

/// Parameters of a phone that trusts this authority.
fn trusting(authority: &Authority) -> PhoneParameters {
    direct("alice").transport(Transport::Tls).ca_file(authority.file())
}

fn port(phone: &Phone) -> u16 {
    phone.bound_address().expect("it listens").port()
}

/// Calls `target` and answers there: both ends.
async fn connect_to(from: &Phone, to: &Phone, target: &str) -> (Call, Call) {
    let mut incoming = to.incoming();
    let caller = soon(from.call(target)).await.expect("the call is placed");
    let called = soon(async {
        tokio::select! {
            called = incoming.next() => called.expect("the call comes in"),
            ending = caller.ended() => panic!("{ending:?}"),
        }
    })
    .await;
    let (answer, answered) = soon(async { tokio::join!(called.answer(), caller.answered()) }).await;
    answer.expect("the call can be answered");
    answered.expect("the call is answered");
    (caller, called)
}

/// Why a call to `target` fails.
async fn refusal(from: &Phone, target: &str) -> String {
    let error = match soon(from.call(target)).await {
        Ok(call) => soon(call.answered()).await.unwrap_err(),
        Err(error) => error,
    };
    match error {
        Error::Phone(Problem::Untrusted { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_phones_hear_each_other() {
    let authority = Authority::new("ca");
    let bob = listening(&authority.issue(&["127.0.0.1"])).await;
    let alice = start(trusting(&authority)).await;
    for target in [
        format!("sip:bob@127.0.0.1:{};transport=tls", port(&bob)),
        format!("sips:bob@127.0.0.1:{}", port(&bob)),
    ] {
        let (caller, called) = connect_to(&alice, &bob, &target).await;
        caller.write_audio(8_000, &tone(440, 600)).unwrap();
        called.write_audio(8_000, &tone(660, 600)).unwrap();
        let (there, back) = tokio::join!(listen(&called, 900), listen(&caller, 900));
        assert_tone(&there, 440, 600);
        assert_tone(&back, 660, 600);
        soon(caller.hangup()).await.unwrap();
        soon(called.ended()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_that_was_asked_for_has_to_be_in_the_certificate() {
    let authority = Authority::new("ca");
    let alice = start(trusting(&authority)).await;
    for (names, right) in [
        (&["localhost"][..], true),
        (&["LOCALHOST"], true),
        (&["sip:localhost"], true),
        (&["sip:localhost;transport=tls", "pbx.example.com"], true),
        (&["pbx.example.com", "localhost"], true),
        (&["pbx.example.com"], false),
        (&["127.0.0.1"], false),
        (&["*"], false),
        // A SIP URI leaves no place for DNS names, and one of a user names no domain.
        (&["sip:pbx.example.com", "localhost"], false),
        (&["sip:bob@localhost"], false),
    ] {
        let bob = listening(&authority.issue(names)).await;
        let target = format!("sip:bob@localhost:{};transport=tls", port(&bob));
        if right {
            let (caller, _) = connect_to(&alice, &bob, &target).await;
            soon(caller.hangup()).await.unwrap();
        } else {
            let why = refusal(&alice, &target).await;
            assert!(why.contains("not localhost") || why.contains("not for localhost"), "{why}");
        }
        bob.stop().await;
    }
    let bob = listening(&authority.issue_common_name("localhost")).await;
    let target = format!("sip:bob@localhost:{};transport=tls", port(&bob));
    let why = refusal(&alice, &format!("sip:bob@127.0.0.1:{};transport=tls", port(&bob))).await;
    assert_eq!(why, "its certificate is for localhost, not 127.0.0.1");
    connect_to(&alice, &bob, &target).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_certificate_ends_the_call() {
    let (authority, other) = (Authority::new("ca"), Authority::new("other"));
    let alice = start(trusting(&authority)).await;
    for (pair, part) in [
        (authority.issue_for_years(&["127.0.0.1"], 2001, 2024), "expired on 2 May 2024"),
        (authority.issue_for_years(&["127.0.0.1"], 2101, 2102), "valid from 1 January 2101"),
        (other.issue(&["127.0.0.1"]), "give --ca-file"),
        (authority.self_signed(&["127.0.0.1"], true), "give --ca-file"),
        (authority.issue_below(&["127.0.0.1"], false), "give --ca-file"),
    ] {
        let bob = listening(&pair).await;
        let target = format!("sip:bob@127.0.0.1:{};transport=tls", port(&bob));
        let why = refusal(&alice, &target).await;
        assert!(why.contains(part), "{why}");
        bob.stop().await;
    }
    let bob = listening(&authority.issue_below(&["127.0.0.1"], true)).await;
    let target = format!("sip:bob@127.0.0.1:{};transport=tls", port(&bob));
    connect_to(&alice, &bob, &target).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn insecure_takes_anything() {
    let authority = Authority::new("ca");
    let bob = listening(&authority.issue_for_years(&["pbx.example.com"], 2001, 2024)).await;
    let alice = start(direct("alice").transport(Transport::Tls).tls_insecure(true)).await;
    connect_to(&alice, &bob, &format!("sip:bob@127.0.0.1:{};transport=tls", port(&bob))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_can_ask_for_certificates() {
    let authority = Authority::new("ca");
    let own = authority.issue(&["127.0.0.1"]);
    let bob = direct("bob").transport(Transport::Tls).client_ca_file(authority.file());
    let bob = start(bob.cert_file(&own.certificate).key_file(&own.key)).await;
    let target = format!("sip:bob@127.0.0.1:{};transport=tls", port(&bob));
    let stranger = start(trusting(&authority)).await;
    let why = refusal(&stranger, &target).await;
    assert_eq!(why, "it asks for a certificate: give --cert-file and --key-file");
    let pair = authority.issue(&["alice.example.com"]);
    let known = trusting(&authority).cert_file(&pair.certificate).key_file(&pair.key);
    let known = start(known).await;
    connect_to(&known, &bob, &target).await;
}

/// Passes connections on, and counts them.
async fn counting(to: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut there = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut from, &mut there).await;
            });
        }
    });
    (port, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_shared_by_address_and_name() {
    let authority = Authority::new("ca");
    let bob = listening(&authority.issue(&["localhost", "127.0.0.1"])).await;
    let (port, count) = counting(port(&bob)).await;
    let alice = start(trusting(&authority)).await;
    for (name, connections) in
        [("127.0.0.1", 1), ("127.0.0.1", 1), ("localhost", 2), ("localhost", 2)]
    {
        let target = format!("sip:bob@{name}:{port};transport=tls");
        connect_to(&alice, &bob, &target).await;
        assert_eq!(count.load(Ordering::Relaxed), connections, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registrar_that_is_not_trusted_is_asked_once() {
    let authority = Authority::new("ca");
    let bob = listening(&authority.issue(&["pbx.example.com"])).await;
    let (port, count) = counting(port(&bob)).await;
    let server = format!("127.0.0.1:{port}");
    let parameters = PhoneParameters::new(&server, "alice").bind(here());
    let alice = Phone::new(parameters.transport(Transport::Tls).ca_file(authority.file()));
    let error = soon(alice.start()).await.unwrap_err();
    assert_eq!(error.code(), "untrusted");
    let sentence =
        "127.0.0.1 cannot be trusted: its certificate is for pbx.example.com, not 127.0.0.1";
    assert_eq!(error.to_string(), sentence);
    assert_eq!((alice.status(), count.load(Ordering::Relaxed)), (PhoneStatus::Failed, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_keep_a_phone_from_starting() {
    let authority = Authority::new("ca");
    let pair = authority.issue(&["a"]);
    let own = direct("alice").cert_file(&pair.certificate);
    for parameters in [
        own.clone().key_file(authority.issue(&["b"]).key),
        own.clone().key_file(authority.path("gone.key")),
        own,
        direct("alice").ca_file(&pair.key),
    ] {
        let phone = Phone::new(parameters);
        let error = soon(phone.start()).await.unwrap_err();
        assert_eq!((error.code(), phone.status()), ("tls_file", PhoneStatus::Inactive), "{error}");
    }
}
