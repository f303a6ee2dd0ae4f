//! Phones that call each other over TLS, with certificates made for each test.

#[path = "common/certificates.rs"]
mod certificates;
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use certificates::{Authority, Pair, openssl};
use common::*;
use offhook::core::error::Error as Problem;
use offhook::core::host::Transport;
use offhook::{
    Call, Error, Event, Events, Exchange, ExchangeOptions, ExchangeParameters, KeyPassword,
    Listener, Phone, PhoneParameters, PhoneStatus, TurnedAway,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

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

/// Tones both ways, each measured where it is heard.
async fn assert_heard(caller: &Call, called: &Call) {
    tokio::join!(assert_passes(caller, called, 440, 600), assert_passes(called, caller, 660, 600));
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
        assert_heard(&caller, &called).await;
        soon(caller.hangup()).await.unwrap();
        soon(called.ended()).await;
        // The caller listens nowhere: what the called one asks goes by the caller's connection.
        let (caller, called) = connect_to(&alice, &bob, &target).await;
        soon(called.hold()).await.unwrap();
        soon(called.hangup()).await.unwrap();
        soon(caller.ended()).await;
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
            let (caller, _called) = connect_to(&alice, &bob, &target).await;
            soon(caller.hangup()).await.unwrap();
        } else {
            let why = refusal(&alice, &target).await;
            assert!(why.contains("not localhost") || why.contains("not for localhost"), "{why}");
        }
        bob.stop().await;
    }
    let bob = listening(&authority.issue_common_name("localhost")).await;
    let target = format!("sip:bob@localhost:{};transport=tls", port(&bob));
    connect_to(&alice, &bob, &target).await;
    // By address it was not asked for in the certificate, whatever connection leads there.
    let why = refusal(&alice, &format!("sip:bob@127.0.0.1:{};transport=tls", port(&bob))).await;
    assert_eq!(why, "its certificate is for localhost, not 127.0.0.1");
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
    for (first, other) in [("127.0.0.1", "localhost"), ("localhost", "127.0.0.1")] {
        count.store(0, Ordering::Relaxed);
        let alice = start(trusting(&authority)).await;
        for (name, connections) in [(first, 1), (first, 1), (other, 2), (first, 2), (other, 2)] {
            for target in
                [format!("sip:bob@{name}:{port};transport=tls"), format!("sips:bob@{name}:{port}")]
            {
                connect_to(&alice, &bob, &target).await;
                assert_eq!(count.load(Ordering::Relaxed), connections, "{target}");
            }
        }
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
        assert_eq!((error.code(), phone.status()), ("tls_file", PhoneStatus::Failed), "{error}");
    }
}

/// An exchange that listens by this transport alone and shows this certificate, and its port.
fn exchange_by(transport: Transport, pair: &Pair) -> (Exchange, u16) {
    let mut parameters = ExchangeParameters::new(here()).user("alice", "a").user("bob", "b");
    parameters.listen = vec![Listener { transport, address: here() }];
    let options = ExchangeOptions::default().certificate(&pair.certificate, &pair.key);
    let exchange = Exchange::start_with(parameters, options).expect("the exchange starts");
    let port = exchange.listeners()[0].address.port();
    (exchange, port)
}

/// A user of it, who reaches it as `host`.
fn user_of(host: &str, port: u16, transport: Transport, user: &str) -> PhoneParameters {
    let parameters = PhoneParameters::new(&format!("{host}:{port}"), user).password(&user[..1]);
    parameters.transport(transport).bind(here())
}

#[tokio::test(flavor = "multi_thread")]
async fn phones_at_an_exchange_hear_each_other() {
    let authority = Authority::new("ca");
    let pair = authority.issue(&["localhost"]);
    for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
        let (_exchange, port) = exchange_by(transport, &pair);
        let of = |user| user_of("localhost", port, transport, user).ca_file(authority.file());
        let (alice, bob) = (start(of("alice")).await, start(of("bob")).await);
        for from_caller in [true, false] {
            let (caller, called) = connect_to(&alice, &bob, "bob").await;
            assert_heard(&caller, &called).await;
            let (first, other) = if from_caller { (&caller, &called) } else { (&called, &caller) };
            soon(first.hangup()).await.unwrap();
            soon(other.ended()).await;
        }
        soon(async { tokio::join!(alice.stop(), bob.stop()) }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_websocket_a_certificate_follows_the_rules_of_https_too() {
    let (authority, other) = (Authority::new("ca"), Authority::new("other"));
    for (pair, part) in [
        (
            authority.issue(&["pbx.example.com"]),
            "its certificate is for pbx.example.com, not localhost",
        ),
        (authority.issue(&["sip:localhost"]), "not localhost"),
        (authority.issue_common_name("localhost"), "not localhost"),
        // Right for HTTPS, but for SIP it names another.
        (
            authority.issue(&["localhost", "sip:pbx.example.com"]),
            "for pbx.example.com, not localhost",
        ),
        (authority.issue_for_years(&["localhost"], 2001, 2024), "expired on 2 May 2024"),
        (other.issue(&["localhost"]), "give --ca-file"),
    ] {
        let (_exchange, port) = exchange_by(Transport::Wss, &pair);
        let alice = user_of("localhost", port, Transport::Wss, "alice").ca_file(authority.file());
        let error = soon(Phone::new(alice).start()).await.unwrap_err();
        assert_eq!(error.code(), "untrusted", "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// Why a phone that asks for SIP over WebSocket at this port cannot register.
async fn unreachable(transport: Transport, port: u16, authority: &Authority) -> String {
    let alice = user_of("127.0.0.1", port, transport, "alice").ca_file(authority.file());
    let error = soon(Phone::new(alice.registration_attempts(1)).start()).await.unwrap_err();
    assert_eq!(error.code(), "unreachable", "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_no_sip_over_websocket_is_told() {
    let authority = Authority::new("ca");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().port();
    // RFC 7118 §4: a server that does not say `sip` speaks something else.
    let chat = async {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = tokio_tungstenite::accept_async(stream).await;
    };
    let (why, ()) = tokio::join!(unreachable(Transport::Ws, at, &authority), chat);
    assert!(why.contains("it speaks WebSocket, but not SIP over it"), "{why}");
    let web = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 2048]).await;
        let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    };
    let (why, ()) = tokio::join!(unreachable(Transport::Ws, at, &authority), web);
    assert!(why.contains("it answered HTTP 404 (are the port and the path right?)"), "{why}");
    // TLS, and then SIP with nothing around it.
    let bob = listening(&authority.issue(&["127.0.0.1"])).await;
    let why = unreachable(Transport::Wss, port(&bob), &authority).await;
    assert!(why.contains("WebSocket") || why.contains("closed the connection"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_key_is_opened_by_text_bytes_or_who_is_asked() {
    let authority = Authority::new("ca");
    let pair = authority.issue(&["127.0.0.1"]);
    let (plain, locked) = (pair.key.display(), authority.path("locked.key"));
    let way = format!("pkcs8 -topk8 -in {plain} -out {} -passout pass:hunter2", locked.display());
    openssl(authority.directory.path(), &way);
    let alice = start(trusting(&authority)).await;
    let with = |password: Option<KeyPassword>| {
        let bob = direct("bob").transport(Transport::Tls).cert_file(&pair.certificate);
        let bob = bob.key_file(&locked);
        Phone::new(password.into_iter().fold(bob, PhoneParameters::key_password))
    };
    let asked = KeyPassword::ask(|| "hunter2".to_owned());
    for password in ["hunter2".into(), b"hunter2".as_slice().into(), asked] {
        let bob = with(Some(password));
        soon(bob.start()).await.unwrap();
        connect_to(&alice, &bob, &format!("sips:bob@127.0.0.1:{}", port(&bob))).await;
    }
    let nothing = KeyPassword::ask(String::new);
    for (password, part) in [
        (Some("hunter3".into()), "its password is wrong"),
        (Some(nothing), "its password is wrong"),
        (None, "it is encrypted: give its password"),
    ] {
        let error = soon(with(password).start()).await.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// `openssl s_server`, which speaks TLS 1.1 alone.
struct OldServer {
    child: Child,
    port: u16,
}

impl OldServer {
    fn start(pair: &Pair) -> Self {
        let (certificate, key) = (pair.certificate.display(), pair.key.display());
        let arguments = format!(
            "s_server -accept 127.0.0.1:0 -tls1_1 -cipher DEFAULT@SECLEVEL=0 -cert {certificate} -key {key}"
        );
        let mut child = Command::new("openssl")
            .args(arguments.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port =
            lines.find_map(|line| line.strip_prefix("ACCEPT ")?.rsplit(':').next()?.parse().ok());
        Self { child, port: port.expect("openssl says where it listens") }
    }
}

impl Drop for OldServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_safe_or_no_tls_at_all_is_told() {
    let authority = Authority::new("ca");
    let alice = start(trusting(&authority)).await;
    let old = OldServer::start(&authority.issue(&["127.0.0.1"]));
    let why = refusal(&alice, &format!("sips:bob@127.0.0.1:{}", old.port)).await;
    assert_eq!(why, "it speaks no TLS that is safe (1.2 or 1.3)");
    // A server that speaks first, and another protocol.
    let mail = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("sip:bob@127.0.0.1:{};transport=tls", mail.local_addr().unwrap().port());
    let greet = async {
        let (mut stream, _) = mail.accept().await.unwrap();
        stream.write_all(b"220 mail.example.com ESMTP\r\n").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let (why, ()) = tokio::join!(refusal(&alice, &target), greet);
    assert_eq!(why, "it speaks no TLS there (is the port right?)");
}

/// Nobody listens for TLS there, but for what is in the clear.
#[tokio::test(flavor = "multi_thread")]
async fn sips_never_leaves_in_the_clear() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).await.unwrap();
    for transport in [None, Some(Transport::Udp), Some(Transport::Tcp)] {
        let alice = transport.into_iter().fold(direct("alice"), PhoneParameters::transport);
        let alice = start(alice).await;
        let call = soon(alice.call(&format!("sips:bob@{address}"))).await.unwrap();
        let mut heard = Vec::new();
        let listen = async {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let mut piece = [0; 2048];
            let count = stream.read(&mut piece).await.unwrap();
            heard.extend_from_slice(&piece[..count]);
        };
        let (error, ()) = soon(async { tokio::join!(call.answered(), listen) }).await;
        assert_eq!(error.unwrap_err().code(), "unreachable");
        // The first record of TLS is a handshake (RFC 8446 §5.1).
        assert_eq!(heard[..2], [22, 3]);
        alice.stop().await;
    }
    assert!(udp.try_recv_from(&mut [0; 2048]).is_err(), "nothing came by UDP");
    for target in [format!("sips:bob@{address};transport=udp"), "sips:bob".to_owned()] {
        let mut server = PhoneParameters::new(&address.to_string(), "alice").bind(here());
        server.register = false;
        let alice = start(server).await;
        let error = soon(alice.call(&target)).await.unwrap_err();
        assert_eq!(error.code(), "invalid_value", "{target}: {error}");
    }
    assert!(udp.try_recv_from(&mut [0; 2048]).is_err(), "nothing came by UDP");
}

/// The next that was turned away.
async fn turned_away(events: &mut Events<Event>) -> TurnedAway {
    let away = async {
        loop {
            if let Some(Event::TurnedAway(away)) = events.next().await {
                return away;
            }
        }
    };
    soon(away).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_is_told() {
    let authority = Authority::new("ca");
    let bob = listening(&authority.issue(&["127.0.0.1"])).await;
    let mut events = bob.events();
    let mut stranger = TcpStream::connect(("127.0.0.1", port(&bob))).await.unwrap();
    stranger.write_all(b"OPTIONS sip:bob SIP/2.0\r\n\r\n").await.unwrap();
    let away = turned_away(&mut events).await;
    assert_eq!((away.transport, away.others), (Transport::Tls, 0));
    assert_eq!(away.from, stranger.local_addr().unwrap());
    assert_eq!(away.problem, "it speaks no TLS");
}
