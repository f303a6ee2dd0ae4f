//! Certificates that Kamailio shows and wants: what is refused, and in which words.

use tempfile::tempdir;

use super::certificates::{Authority, Pair};
use super::kamailio::{Algorithm, Kamailio, TRANSPORTS};
use super::process::Offhook;

/// Where Kamailio is.
const HOST: &str = "127.0.0.1";

#[test]
fn certificates_that_are_not_trusted() {
    if !Kamailio::is_installed() {
        return;
    }
    let stranger = Authority::new("stranger");
    refused(|authority| authority.issue(&[HOST]), None);
    refused(
        |authority| authority.issue(&["pbx.example.com"]),
        Some("its certificate is for pbx.example.com, not 127.0.0.1"),
    );
    refused(
        |authority| authority.issue_for_years(&[HOST], 2019, 2020),
        Some("expired on 2 May 2020"),
    );
    refused(|_| stranger.issue(&[HOST]), Some("an authority that is not trusted here"));
}

/// Registers at a Kamailio with that certificate; `why` is in the sentence with which that fails.
#[track_caller]
fn refused(certify: impl Fn(&Authority) -> Pair, why: Option<&str>) {
    let authority = Authority::new("peers");
    let own = certify(&authority);
    let kamailio = Kamailio::start_with(Algorithm::Md5, &[HOST], authority, &own, None);
    for transport in secure() {
        let account = kamailio.account(transport, "alice");
        match why {
            None => registers(&account),
            Some(why) => {
                does_not_register(&account, why);
                // Whoever calls straight has no registration that could fail.
                let uri = format!("sip:bob@{HOST}:{};transport={transport}", kamailio.tls_port);
                let trust = account.split_once("--ca-file").map(|(_, file)| file).unwrap();
                let call = format!("call {uri} --bind {HOST} --ca-file {trust}");
                ends(&call, 4, why);
            }
        }
    }
}

#[test]
fn a_certificate_that_is_asked_for() {
    if !Kamailio::is_installed() {
        return;
    }
    let (authority, clients) = (Authority::new("peers"), Authority::new("clients"));
    let (own, alice) = (authority.issue(&[HOST]), clients.issue(&["alice.example.com"]));
    let strangers = Authority::new("strangers");
    let stranger = strangers.issue(&["alice.example.com"]);
    let kamailio = Kamailio::start_with(Algorithm::Md5, &[HOST], authority, &own, Some(&clients));
    for transport in secure() {
        let account = kamailio.account(transport, "alice");
        let with = |pair: &Pair| {
            let (certificate, key) = (pair.certificate.display(), pair.key.display());
            format!("{account} --cert-file {certificate} --key-file {key}")
        };
        registers(&with(&alice));
        does_not_register(&account, "asks for a certificate");
        does_not_register(&with(&stranger), "does not trust the authority of our certificate");
        let missing = clients.path("nobody.pem");
        let own = Pair { certificate: missing.clone(), ..alice.clone() };
        ends(&format!("register {}", with(&own)), 6, &missing.display().to_string());
        let own = Pair { key: stranger.key.clone(), ..alice.clone() };
        ends(&format!("register {}", with(&own)), 6, &stranger.key.display().to_string());
    }
}

/// Kamailio waits for more of what it takes for a message.
#[test]
fn a_port_where_nobody_speaks_tls() {
    if !Kamailio::is_installed() {
        return;
    }
    let kamailio = Kamailio::start(Algorithm::Md5);
    let account = kamailio.account("tls", "alice");
    let (plain, secure) = (kamailio.port.to_string(), kamailio.tls_port.to_string());
    let register = format!("register {}", account.replace(&secure, &plain));
    ends(&register, 3, "cannot be reached: it did not answer");
}

/// The transports on which certificates are shown.
fn secure() -> impl Iterator<Item = &'static str> {
    TRANSPORTS.into_iter().filter(|transport| ["tls", "wss"].contains(transport))
}

#[track_caller]
fn registers(account: &str) {
    let directory = tempdir().unwrap();
    let (status, sentence, events) =
        Offhook::run(directory.path(), &format!("register --once {account}"));
    assert_eq!((status, sentence.as_str()), (0, ""), "{account}: {events:?}");
}

#[track_caller]
fn does_not_register(account: &str, why: &str) {
    ends(&format!("register {account}"), 3, why);
    ends(&format!("call bob {account}"), 3, why);
}

#[track_caller]
fn ends(arguments: &str, status: i32, why: &str) {
    let directory = tempdir().unwrap();
    let (ended, sentence, events) = Offhook::run(directory.path(), arguments);
    assert_eq!(ended, status, "{arguments}: {sentence} {events:?}");
    assert!(sentence.contains(why), "{arguments}: {sentence}");
}
