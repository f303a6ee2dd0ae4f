//! `offhook exchange` on every transport at once, and a telephone on each.
#![cfg(feature = "cli")]

#[path = "common/certificates.rs"]
mod certificates;
#[path = "common/process.rs"]
mod process;
#[path = "peers/sound.rs"]
mod sound;

use std::path::Path;

use offhook_tests::stall::unless_stalled;

use certificates::Authority;
use process::Offhook;

/// The transports, each with the pitch of the telephone on it, in Hz.
const TRANSPORTS: [(&str, u32); 5] =
    [("udp", 440), ("tcp", 560), ("tls", 680), ("ws", 800), ("wss", 920)];

/// How long each tone is, and how much of it is in every recording, in ms.
const SPOKEN: usize = 3_000;
const HEARD: usize = 2_000;

/// The exchange with a listener for each transport, and their addresses in that order.
fn exchange(authority: &Authority) -> (Offhook, Vec<String>) {
    let pair = authority.issue(&["127.0.0.1"]);
    let listen = TRANSPORTS.map(|(transport, _)| format!("--listen 127.0.0.1:0/{transport}"));
    let users = TRANSPORTS.map(|(transport, _)| {
        format!("--user {transport}-caller:secret --user {transport}-called:secret")
    });
    let (certificate, key) = (pair.certificate.display(), pair.key.display());
    let exchange = Offhook::start(
        authority.directory.path(),
        &format!(
            "exchange {} {} --cert-file {certificate} --key-file {key}",
            listen.join(" "),
            users.join(" ")
        ),
    );
    let told = TRANSPORTS.map(|(transport, _)| {
        let listening = exchange.wait("listening");
        assert_eq!(listening["transport"], transport);
        listening["local"].as_str().expect("an address").to_owned()
    });
    (exchange, told.to_vec())
}

/// The options of one telephone.
fn options(server: &str, transport: &str, role: &str) -> String {
    format!(
        "--server {server} --transport {transport} --user {transport}-{role} --password secret \
         --bind 127.0.0.1:0 --ca-file ca.pem --play {transport}.wav \
         --record-received {transport}-{role}.wav"
    )
}

#[test]
fn telephones_on_different_transports_hear_each_other() {
    unless_stalled(hear_each_other);
}

fn hear_each_other() -> Result<(), String> {
    let authority = Authority::new("ca");
    let at: &Path = authority.directory.path();
    for (transport, pitch) in TRANSPORTS {
        sound::write_tone(&at.join(format!("{transport}.wav")), pitch, SPOKEN);
    }
    let (exchange, addresses) = exchange(&authority);
    let called: Vec<Offhook> = (TRANSPORTS.iter().zip(&addresses))
        .map(|((transport, _), server)| {
            let options = options(server, transport, "called");
            let called = Offhook::start(at, &format!("answer --calls 1 {options}"));
            called.wait("registered");
            called
        })
        .collect();
    // Each calls the one on the next transport.
    let next = |index: usize| (index + 1) % TRANSPORTS.len();
    let callers: Vec<Offhook> = (TRANSPORTS.iter().zip(&addresses).enumerate())
        .map(|(index, ((transport, _), server))| {
            let (target, _) = TRANSPORTS[next(index)];
            let options = options(server, transport, "caller");
            Offhook::start(at, &format!("call {target}-called --duration 4 {options}"))
        })
        .collect();
    for (caller, (transport, _)) in callers.into_iter().zip(TRANSPORTS) {
        let (status, sentence, _) = caller.end();
        assert_eq!(status, 0, "{transport}: {sentence}");
    }
    for (called, (transport, _)) in called.into_iter().zip(TRANSPORTS) {
        // It hangs up when it has played its file.
        assert_eq!(called.wait("ended")["by"], "local", "{transport}");
        let (status, sentence, _) = called.end();
        assert_eq!(status, 0, "{transport}: {sentence}");
    }
    for (index, (transport, pitch)) in TRANSPORTS.into_iter().enumerate() {
        let (target, answer) = TRANSPORTS[next(index)];
        sound::check_heard(&at.join(format!("{transport}-caller.wav")), answer, HEARD)?;
        sound::check_heard(&at.join(format!("{target}-called.wav")), pitch, HEARD)?;
    }
    exchange.signal("-TERM");
    assert_eq!(exchange.end().0, 0);
    Ok(())
}

#[test]
fn what_it_cannot_listen_with_is_said() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("short"), "secret").unwrap();
    for (arguments, status, code, said) in [
        ("--listen 127.0.0.1:0/tls", 2, "no_certificate", "without a certificate"),
        ("--listen 127.0.0.1:0/wss --cert-file none.pem", 6, "tls_file", "none.pem"),
        (
            "--listen 127.0.0.1:5090 --listen 127.0.0.1:5090/ws",
            2,
            "listen",
            "both for TCP and for WS",
        ),
        ("--listen 127.0.0.1:0 --secret-file short", 6, "file", "16 bytes"),
    ] {
        let directory = directory.path();
        let (exit, sentence, events) = Offhook::run(directory, &format!("exchange {arguments}"));
        assert_eq!((exit, &events[0]["code"]), (status, &code.into()), "{arguments}: {sentence}");
        assert!(sentence.contains(said), "{arguments}: {sentence}");
    }
}

#[test]
fn calls_outlive_a_restart_with_the_same_secret() {
    let authority = Authority::new("ca");
    let at: &Path = authority.directory.path();
    std::fs::write(at.join("secret"), "0123456789abcdef").unwrap();
    let run = |ports: &[String; 2]| {
        let [udp, ws] = ports;
        let exchange = Offhook::start(
            at,
            &format!(
                "exchange --listen {udp}/udp --listen {ws}/ws --secret-file secret \
                 --user alice:a --user bob:b"
            ),
        );
        let addresses = [exchange.address(), exchange.address()];
        (exchange, addresses)
    };
    let (exchange, addresses) = run(&[0, 1].map(|_| "127.0.0.1:0".to_owned()));
    let [udp, ws] = &addresses;
    let bob = Offhook::start(
        at,
        &format!(
            "answer --server {ws} --transport ws --user bob --password b --bind 127.0.0.1:0 --echo \
             --calls 1"
        ),
    );
    bob.wait("registered");
    let alice = Offhook::start(
        at,
        &format!(
            "call bob --server {udp} --transport udp --user alice --password a --bind 127.0.0.1:0"
        ),
    );
    alice.wait_state("answered");
    exchange.signal("-KILL");
    exchange.end();
    let (exchange, _) = run(&addresses);
    // Who has lost his connection registers again, and is in the call as before.
    while exchange.wait("registered")["user"] != "bob" {}
    alice.signal("-TERM");
    assert_eq!(alice.end().0, 0);
    assert_eq!(bob.wait("ended")["by"], "remote");
    assert_eq!(bob.end().0, 0);
    exchange.signal("-TERM");
    assert_eq!(exchange.end().0, 0);
}
