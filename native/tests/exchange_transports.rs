//! `offhook exchange` on every transport at once, and a telephone on each.
#![cfg(feature = "cli")]

mod common;
#[path = "common/process.rs"]
mod process;

use process::Offhook;

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
