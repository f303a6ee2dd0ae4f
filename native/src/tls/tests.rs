//! Handshakes over loopback, with certificates made for them.

#[path = "../../tests/common/certificates.rs"]
mod certificates;

use certificates::{Authority, Pair, openssl};
use offhook_core::certificate::Identities;
use offhook_core::config::{KeyPassword, PhoneParameters};
use rcgen::ExtendedKeyUsagePurpose as Usage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::host::dial::ConnectError;

fn parameters() -> PhoneParameters {
    PhoneParameters::without_server("alice")
}

fn tls(parameters: &PhoneParameters) -> Result<Tls, Error> {
    Tls::load(&TlsFiles::from(parameters))
}

/// One that shows this certificate to those who connect.
fn server(pair: &Pair) -> Tls {
    tls(&parameters().cert_file(&pair.certificate).key_file(&pair.key)).unwrap()
}

/// One that trusts this authority.
fn client(authority: &Authority) -> Tls {
    tls(&parameters().ca_file(authority.file())).unwrap()
}

type Ends = (Result<Identities, ConnectError>, Result<Option<Identities>, ConnectError>);

/// What a handshake comes to on both sides. Where both have agreed, a word goes each way.
async fn shake(server: &Tls, client: &Tls, name: &str, names: Names) -> Ends {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accept = async {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = server.acceptor.as_ref().unwrap();
        let (mut stream, named) = acceptor.accept(stream).await?;
        let mut heard = [0; 5];
        // A client that refuses leaves without a word.
        if stream.read_exact(&mut heard).await.is_ok() {
            assert_eq!(&heard, b"hello");
            stream.write_all(b"world").await?;
        }
        Ok(named)
    };
    let connect = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut stream, named) = client.connector.connect(stream, name, names).await?;
        stream.write_all(b"hello").await?;
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await?;
        assert_eq!(&heard, b"world");
        Ok(named)
    };
    let (accepted, connected) = tokio::join!(accept, connect);
    (connected, accepted)
}

/// Whom the certificate of a server that is taken names.
async fn named(server: &Tls, client: &Tls, name: &str) -> Identities {
    shake(server, client, name, Names::Sip).await.0.unwrap()
}

/// Why a server is not taken.
async fn refusal(server: &Tls, client: &Tls, name: &str) -> String {
    match shake(server, client, name, Names::Sip).await.0 {
        Err(ConnectError::Untrusted(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_core_is_told_whom_a_certificate_names() {
    let authority = Authority::new("ca");
    let trusting = client(&authority);
    let names = ["pbx.example.com", "sip:example.com", "192.0.2.7", "2001:db8::7", "*.example.net"];
    let found = named(&server(&authority.issue(&names)), &trusting, "pbx.example.com").await;
    assert_eq!(found.uris, ["sip:example.com"]);
    assert_eq!(found.dns_names, ["pbx.example.com", "*.example.net"]);
    let addresses: Vec<_> = found.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(
        (addresses, found.common_name),
        (vec!["192.0.2.7".into(), "2001:db8::7".into()], None)
    );
    let found = named(&server(&authority.issue_common_name("pbx")), &trusting, "pbx").await;
    assert_eq!(found.common_name.as_deref(), Some("pbx"));
}

#[tokio::test]
async fn only_the_name_is_left_to_the_core() {
    let authority = Authority::new("ca");
    let trusting = client(&authority);
    for names in [&["sip:example.com"][..], &["other.example"], &["192.0.2.7"], &["*.example.com"]]
    {
        let server = server(&authority.issue(names));
        let found = named(&server, &trusting, "a.example.com").await;
        assert!(!found.is_for("a.example.com"), "{found:?}");
        // Over WebSocket the rules of HTTPS hold as well.
        let https = shake(&server, &trusting, "a.example.com", Names::Https).await.0;
        assert_eq!(https.is_ok(), names == ["*.example.com"], "{https:?}");
    }
}

#[tokio::test]
async fn what_else_is_wrong_with_a_certificate_is_told() {
    let (authority, other) = (Authority::new("ca"), Authority::new("other"));
    let trusting = client(&authority);
    let pbx = ["pbx.example.com"];
    for (pair, expected) in [
        (authority.issue_for_years(&pbx, 2001, 2024), "its certificate expired on 2 May 2024"),
        (
            authority.issue_for_years(&pbx, 2101, 2102),
            "its certificate is valid from 1 January 2101 only (is the clock right?)",
        ),
        (
            other.issue(&pbx),
            "its certificate is self-signed, or signed by an authority that is not trusted here (give --ca-file)",
        ),
        (
            authority.self_signed(&pbx, false),
            "its certificate is self-signed, or signed by an authority that is not trusted here (give --ca-file)",
        ),
        (
            authority.self_signed(&pbx, true),
            "its certificate is that of an authority, as self-signed ones often are, and is not trusted here (give --ca-file)",
        ),
        (
            authority.issue_below(&pbx, false),
            "its certificate is self-signed, or signed by an authority that is not trusted here (give --ca-file)",
        ),
        (
            authority.issue_for_use(&pbx, Usage::ClientAuth),
            "its certificate is not one for this end of TLS (extendedKeyUsage)",
        ),
        // The wrong name hides nothing.
        (
            authority.issue_for_years(&["other.example"], 2001, 2024),
            "its certificate expired on 2 May 2024",
        ),
        (
            other.issue(&["other.example"]),
            "its certificate is self-signed, or signed by an authority that is not trusted here (give --ca-file)",
        ),
    ] {
        assert_eq!(refusal(&server(&pair), &trusting, "pbx.example.com").await, expected);
    }
    named(&server(&authority.issue_below(&pbx, true)), &trusting, "pbx.example.com").await;
    named(&server(&authority.issue_for_use(&pbx, Usage::ServerAuth)), &trusting, "pbx").await;
}

#[tokio::test]
async fn the_system_does_not_trust_an_authority_of_ours() {
    let authority = Authority::new("ca");
    let server = server(&authority.issue(&["pbx.example.com"]));
    let why = refusal(&server, &tls(&parameters()).unwrap(), "pbx.example.com").await;
    assert!(why.contains("give --ca-file"), "{why}");
}

#[tokio::test]
async fn a_certificate_can_be_named_itself() {
    let authority = Authority::new("ca");
    for can_sign in [false, true] {
        let pair = authority.self_signed(&["pbx.example.com"], can_sign);
        let trusting = tls(&parameters().ca_file(&pair.certificate)).unwrap();
        named(&server(&pair), &trusting, "pbx.example.com").await;
        let https = |name| shake_https(&pair, &trusting, name);
        assert!(https("pbx.example.com").await.is_ok() && https("other.example").await.is_err());
    }
    let old = authority.issue_for_years(&["pbx.example.com"], 2001, 2024);
    let trusting = tls(&parameters().ca_file(&old.certificate)).unwrap();
    let why = refusal(&server(&old), &trusting, "pbx.example.com").await;
    assert_eq!(why, "its certificate expired on 2 May 2024");
}

async fn shake_https(pair: &Pair, client: &Tls, name: &str) -> Result<Identities, ConnectError> {
    shake(&server(pair), client, name, Names::Https).await.0
}

#[tokio::test]
async fn anything_goes_when_that_was_asked_for() {
    let authority = Authority::new("ca");
    let trusting = tls(&parameters().tls_insecure(true)).unwrap();
    for pair in [
        authority.issue_for_years(&["a.example"], 2001, 2024),
        authority.self_signed(&["a.example"], true),
        authority.issue_for_use(&["a.example"], Usage::ClientAuth),
    ] {
        for names in [Names::Sip, Names::Https] {
            shake(&server(&pair), &trusting, "pbx.example.com", names).await.0.unwrap();
        }
    }
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_one_is_asked_for() {
    let (authority, other) = (Authority::new("ca"), Authority::new("other"));
    let pair = authority.issue(&["pbx.example.com"]);
    let demanding = parameters()
        .cert_file(&pair.certificate)
        .key_file(&pair.key)
        .client_ca_file(authority.file());
    let demanding = tls(&demanding).unwrap();
    let with = |own: &Pair| {
        let parameters = parameters().ca_file(authority.file());
        tls(&parameters.cert_file(&own.certificate).key_file(&own.key)).unwrap()
    };
    let name = "pbx.example.com";
    let known = with(&authority.issue(&["alice.example.com"]));
    let (connected, accepted) = shake(&demanding, &known, name, Names::Sip).await;
    assert_eq!(connected.unwrap().dns_names, [name]);
    assert_eq!(accepted.unwrap().unwrap().dns_names, ["alice.example.com"]);
    // Where none is asked for, none is shown.
    assert_eq!(shake(&server(&pair), &known, name, Names::Sip).await.1.unwrap(), None);

    let (connected, accepted) = shake(&demanding, &client(&authority), name, Names::Sip).await;
    let why = "it asks for a certificate: give --cert-file and --key-file";
    assert_eq!(connected, Err(ConnectError::Untrusted(why.into())));
    assert!(matches!(accepted, Err(ConnectError::Untrusted(_))), "{accepted:?}");
    let why = refusal(&demanding, &with(&other.issue(&["alice.example.com"])), name).await;
    assert_eq!(why, "it does not trust the authority of our certificate");
    let old = authority.issue_for_years(&["alice.example.com"], 2001, 2024);
    let why = refusal(&demanding, &with(&old), name).await;
    assert_eq!(why, "it says that our certificate has expired");
}

/// What a client says of a peer that answers with `bytes` and closes.
async fn answered(bytes: &'static [u8]) -> ConnectError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(bytes).await;
    };
    let authority = Authority::new("ca");
    let client = client(&authority);
    let connect = async {
        let stream = TcpStream::connect(address).await.unwrap();
        client.connector.connect(stream, "pbx.example.com", Names::Sip).await.unwrap_err()
    };
    tokio::join!(answer, connect).1
}

#[tokio::test]
async fn a_peer_that_speaks_no_tls_is_told() {
    let why = "it speaks no TLS there (is the port right?)";
    assert_eq!(
        answered(b"SIP/2.0 400 Bad Request\r\n\r\n").await,
        ConnectError::Untrusted(why.into())
    );
    let why = "it closed the connection in the TLS handshake (does it speak TLS there?)";
    assert_eq!(answered(b"").await, ConnectError::Unreachable(why.into()));
    // A ServerHello of TLS 1.1, as far as its version.
    let old = b"\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x020123456789abcdef0123456789abcdef\x00\x00\x2f\x00";
    let why = "it speaks no TLS that is safe (1.2 or 1.3)";
    assert_eq!(answered(old).await, ConnectError::Untrusted(why.into()));
    // Its alert, when it does not know ours.
    assert_eq!(
        answered(b"\x15\x03\x01\x00\x02\x02\x46").await,
        ConnectError::Untrusted(why.into())
    );
}

#[tokio::test]
async fn a_session_is_resumed_and_keeps_its_identities() {
    let authority = Authority::new("ca");
    let (server, trusting) = (server(&authority.issue(&["pbx.example.com"])), client(&authority));
    let first = named(&server, &trusting, "pbx.example.com").await;
    assert_eq!(named(&server, &trusting, "pbx.example.com").await, first);
    assert_eq!(named(&server, &trusting, "other.example").await, first);
}

/// What loading a file of ours comes to.
fn load(pair: &Pair, password: Option<KeyPassword>) -> Result<Tls, String> {
    let mut parameters = parameters().cert_file(&pair.certificate).key_file(&pair.key);
    parameters.key_password = password;
    tls(&parameters).map_err(|error| {
        assert_eq!(error.code(), "tls_file");
        error.to_string()
    })
}

#[tokio::test]
async fn an_encrypted_key_is_opened_with_its_password() {
    let authority = Authority::new("ca");
    let pair = authority.issue(&["pbx.example.com"]);
    let plain = pair.key.file_name().unwrap().to_str().unwrap().to_owned();
    for how in
        ["-v2 aes-256-cbc -v2prf hmacWithSHA256", "-v2 aes-128-cbc -v2prf hmacWithSHA1", "-scrypt"]
    {
        let encrypted =
            format!("pkcs8 -topk8 -in {plain} -out encrypted.key -passout pass:Grüße {how}");
        openssl(authority.directory.path(), &encrypted);
        let pair = Pair { key: authority.path("encrypted.key"), ..pair.clone() };
        for password in [
            KeyPassword::from("Grüße"),
            KeyPassword::from("Grüße".as_bytes()),
            KeyPassword::ask(|| "Grüße".to_owned()),
        ] {
            let server = load(&pair, Some(password)).unwrap_or_else(|why| panic!("{how}: {why}"));
            named(&server, &client(&authority), "pbx.example.com").await;
        }
        let why = load(&pair, Some("wrong".into())).unwrap_err();
        assert!(why.ends_with("encrypted.key: its password is wrong"), "{why}");
        let why = load(&pair, None).unwrap_err();
        assert!(why.contains("give its password"), "{why}");
    }
    for way in ["-v2 des3", "-v1 PBE-SHA1-3DES"] {
        let encrypted = format!("pkcs8 -topk8 -in {plain} -out des.key -passout pass:x {way}");
        openssl(authority.directory.path(), &encrypted);
        let des = Pair { key: authority.path("des.key"), ..pair.clone() };
        let why = load(&des, Some("x".into())).unwrap_err();
        assert!(why.contains("openssl pkcs8 -topk8"), "{why}");
    }
    openssl(
        authority.directory.path(),
        &format!("ec -in {plain} -out old.key -aes256 -passout pass:x"),
    );
    let old = Pair { key: authority.path("old.key"), ..pair.clone() };
    let why = load(&old, Some("x".into())).unwrap_err();
    assert!(why.contains("openssl pkcs8 -topk8"), "{why}");
}

#[tokio::test]
async fn keys_of_every_kind_and_place() {
    let authority = Authority::new("ca");
    let directory = authority.directory.path();
    openssl(
        directory,
        "req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.pem -subj /CN=pbx",
    );
    openssl(directory, "rsa -in rsa.key -traditional -out pkcs1.key");
    let pair = authority.issue(&["pbx"]);
    openssl(directory, &format!("ec -in {} -out sec1.key", pair.key.display()));
    let path = |name| authority.path(name);
    let rsa = |key| Pair { certificate: path("rsa.pem"), key: path(key) };
    load(&rsa("rsa.key"), None).unwrap();
    load(&rsa("pkcs1.key"), None).unwrap();
    load(&Pair { key: path("sec1.key"), ..pair.clone() }, None).unwrap();
    // Both in one file.
    let both = [&pair.certificate, &pair.key].map(|path| std::fs::read_to_string(path).unwrap());
    std::fs::write(path("both.pem"), both.concat()).unwrap();
    tls(&parameters().cert_file(path("both.pem"))).unwrap();
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let authority = Authority::new("ca");
    let (pair, other) = (authority.issue(&["a"]), authority.issue(&["b"]));
    let why = load(&Pair { key: other.key.clone(), ..pair.clone() }, None).unwrap_err();
    assert!(why.contains("it is not the key of the certificate in"), "{why}");
    assert!(why.starts_with(other.key.to_str().unwrap()), "{why}");
    let why = load(&Pair { key: pair.certificate.clone(), ..pair.clone() }, None).unwrap_err();
    assert!(why.contains("it holds no private key"), "{why}");
    let why = load(&Pair { certificate: pair.key.clone(), ..pair.clone() }, None).unwrap_err();
    assert!(why.contains("it holds no certificate"), "{why}");
    let gone = authority.path("gone.pem");
    let why = load(&Pair { certificate: gone.clone(), ..pair.clone() }, None).unwrap_err();
    assert_eq!(why, format!("{}: there is no such file", gone.display()));
    let error = tls(&parameters().ca_file(&gone)).unwrap_err();
    assert!(error.to_string().contains("no such file"), "{error}");
    std::fs::write(&gone, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    for parameters in
        [parameters().ca_file(&gone), parameters().cert_file(&gone).key_file(&pair.key)]
    {
        let why = tls(&parameters).unwrap_err().to_string();
        assert!(why.contains("a certificate in it is damaged"), "{why}");
    }
}
