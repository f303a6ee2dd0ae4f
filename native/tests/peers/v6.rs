//! IPv6: calls over `[::1]`, through Kamailio and straight, and the messages of RFC 5118.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;

use offhook_tests::stall::unless_stalled;
use tempfile::{TempDir, tempdir};

use super::process::Offhook;
use super::program::PATIENCE;
use super::sound::check_heard;
use super::transports::{stop, with_tones};

/// What RFC 5118 §4 wants of a phone that is no registrar, takes calls to any user, and speaks G.711.
const RFC_5118: [(&str, u16); 12] = [
    ("ipv6-good", 405),
    ("ipv6-bad", 400),
    ("port-ambiguous", 405),
    ("port-unambiguous", 405),
    ("via-received-param-with-delim", 481),
    ("via-received-param-no-delim", 200),
    ("ipv6-in-sdp", 488),
    ("mult-ip-in-header", 481),
    // It can be read, but its audio is at an IPv4 address, and the phone is bound to [::1] (RFC 6157 §4.1).
    ("mult-ip-in-sdp", 488),
    ("ipv4-mapped-ipv6", 488),
    ("ipv6-bug-abnf-3-colons", 200),
    ("ipv6-correct-abnf-2-colons", 200),
];

#[test]
fn calls_without_a_server() {
    for transport in ["udp", "tcp"] {
        unless_stalled(|| talk(transport));
    }
}

fn talk(transport: &str) -> Result<(), String> {
    let directory = with_tones();
    let at = directory.path();
    let answer = "answer --bind [::1]:0 --play low.wav --record-received bob.wav --duration 60";
    let bob = Offhook::start(at, answer);
    let address = bob.address();
    assert!(address.starts_with("[::1]:"), "{address}");
    let call = format!(
        "call sip:bob@{address};transport={transport} --bind [::1] --play high.wav \
             --record-received alice.wav --duration 2"
    );
    let (status, sentence, events) = Offhook::run(at, &call);
    assert_eq!((status, sentence.as_str()), (0, ""), "{transport}: {events:?}");
    stop(bob, false);
    check_heard(&at.join("alice.wav"), 600, 1_400)?;
    check_heard(&at.join("bob.wav"), 1_000, 1_400)
}

#[test]
fn the_messages_of_rfc_5118_over_udp() {
    let bob = ringing();
    let socket = UdpSocket::bind("[::1]:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for (number, (name, expected)) in RFC_5118.into_iter().enumerate() {
        let Some(message) = message(name, number) else { return };
        // Without rport the answer would go to the port of Via (RFC 3261 §18.2.2), where nobody is.
        let message = String::from_utf8_lossy(&message).replacen(";branch=", ";rport;branch=", 1);
        let message = message.as_bytes();
        socket.send_to(message, &bob.address).unwrap();
        let mut buffer = [0; 4_096];
        let length = socket.recv(&mut buffer).unwrap_or_else(|_| panic!("{name}: no answer"));
        assert_eq!(status(&buffer[..length]), expected, "{name}");
    }
    stop(bob.phone, false);
}

#[test]
fn the_messages_of_rfc_5118_over_tcp() {
    let bob = ringing();
    for (number, (name, expected)) in RFC_5118.into_iter().enumerate() {
        let Some(message) = message(name, number) else { return };
        // A connection each, for what is malformed ends one.
        let mut stream = TcpStream::connect(&bob.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&message).unwrap();
        let mut buffer = [0; 4_096];
        let length = stream.read(&mut buffer).unwrap_or_else(|_| panic!("{name}: no answer"));
        assert_eq!(status(&buffer[..length]), expected, "{name}");
    }
    stop(bob.phone, false);
}

/// A phone that lets everybody ring, and where it is.
struct Ringing {
    phone: Offhook,
    address: String,
    _directory: TempDir,
}

fn ringing() -> Ringing {
    let directory = tempdir().unwrap();
    let phone = Offhook::start(directory.path(), "answer --bind [::1]:0 --delay 60");
    let address = phone.address();
    Ringing { phone, address, _directory: directory }
}

/// One of the messages, with a transaction and a Call-ID of its own, which they share; where the vectors
/// are.
fn message(name: &str, number: usize) -> Option<Vec<u8>> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/rfc5118");
    let Ok(text) = std::fs::read_to_string(vectors.join(name).with_extension("dat")) else {
        eprintln!("skipped: there is no ../shared/vectors/rfc5118 here");
        return None;
    };
    let own = text.replace("z9hG4bK", &format!("z9hG4bK{number}-"));
    Some(own.replace("Call-ID: ", &format!("Call-ID: {number}-")).into_bytes())
}

/// The status of a response.
#[track_caller]
fn status(response: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(response);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no response: {text}"))
}
