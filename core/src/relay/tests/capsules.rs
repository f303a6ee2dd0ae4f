//! Every capsule, byte by byte.

use core::net::{IpAddr, SocketAddr};

use crate::certificate::Identities;
use crate::host::{Channel, Naptr, Query, RecordSet, Srv, Transport};
use crate::relay::{
    Authenticate, Capsule, CapsuleError, Key, LARGEST_PACKET, Problem, Ready, Subject,
};
use crate::time::Duration;

fn four() -> SocketAddr {
    "192.0.2.1:5060".parse().unwrap()
}

fn six() -> SocketAddr {
    "[2001:db8::1]:5061".parse().unwrap()
}

fn key() -> Key {
    Key { id: [0x11; 16], secret: [0x22; 16] }
}

fn every() -> Vec<Capsule<'static>> {
    let text = || "x".to_owned();
    let naptr =
        Naptr { order: 1, preference: 2, flags: text(), service: text(), replacement: text() };
    let srv = Srv { priority: 1, weight: 2, port: 5061, target: text() };
    let ip: IpAddr = four().ip();
    let certificate = Identities {
        uris: vec!["sip:a".into()],
        dns_names: vec!["a".into(), "b".into()],
        addresses: vec![ip],
        common_name: Some("c".into()),
    };
    let resolved = |found| Capsule::Resolved { lookup: 3, ttl: Duration::from_secs(60), found };
    let key = key();
    vec![
        Capsule::Datagram { context: 70, payload: b"rtp" },
        Capsule::Authenticate(Authenticate { version: 1, token: "t", resume: None, received: 0 }),
        Capsule::Authenticate(Authenticate {
            version: 1,
            token: "t",
            resume: Some(key),
            received: 9,
        }),
        Capsule::Ready(Ready {
            resumed: true,
            key,
            received: 5,
            grace: Duration::from_secs(60),
            ping: Duration::from_secs(20),
            valid: Duration::from_secs(600),
            window: 65_536,
            largest_packet: 2_000,
            pairs: 16,
            flows: 8,
        }),
        Capsule::Denied { problem: Problem::TokenExpired, text: "over" },
        Capsule::Acknowledge { received: 300 },
        Capsule::Ping { received: 1 },
        Capsule::Pong { received: 2 },
        Capsule::Draining { seconds: 10 },
        Capsule::Leave,
        Capsule::Bind { pair: 1, toward: six().ip() },
        Capsule::Release { pair: 1 },
        Capsule::Assign { context: 2, pair: 1, channel: Channel::Rtcp, peer: four() },
        Capsule::Unassign { context: 2 },
        Capsule::Open { flow: 1, transport: Transport::Tls, to: six(), name: "pbx.test" },
        Capsule::Close { flow: 1 },
        Capsule::Resolve { lookup: 3, query: Query::Srv("_sips._tcp.pbx.test") },
        Capsule::Token { token: "t2" },
        Capsule::Credit { flow: 1, bytes: 32_768 },
        Capsule::Data { flow: 1, bytes: b"OPTIONS" },
        Capsule::Bound { pair: 1, rtp: four(), rtcp: six() },
        Capsule::Refused {
            subject: Subject::Flow,
            number: 1,
            problem: Problem::Other(77),
            text: "no",
        },
        Capsule::Opened { flow: 1, local: four(), certificate: None },
        Capsule::Opened { flow: 1, local: four(), certificate: Some(certificate) },
        resolved(RecordSet::Naptr(vec![naptr])),
        resolved(RecordSet::Srv(vec![srv])),
        resolved(RecordSet::Addresses(vec![ip, six().ip()])),
    ]
}

#[test]
fn each_capsule_is_read_as_it_was_written() {
    for capsule in every() {
        let bytes = capsule.to_bytes();
        assert_eq!(Capsule::message(&bytes), Ok(capsule.clone()));
        for cut in 0..bytes.len() {
            assert_eq!(Capsule::read(&bytes[..cut]), Ok(None), "{capsule:?} cut at {cut}");
            assert!(Capsule::message(&bytes[..cut]).is_err());
        }
        let more = [&bytes[..], b"\x00"].concat();
        assert_eq!(Capsule::read(&more), Ok(Some((capsule, bytes.len()))), "another follows");
        assert!(Capsule::message(&more).is_err());
    }
}

/// The examples of docs/relay-protocol.md.
#[test]
fn the_bytes_are_those_of_the_document() {
    let page = include_str!("../../../../docs/relay-protocol.md");
    for (capsule, hex) in [
        (
            Capsule::Authenticate(Authenticate {
                version: 1,
                token: "t",
                resume: None,
                received: 0,
            }),
            "8f f4 00 40 04 01 01 74 00",
        ),
        (Capsule::Bind { pair: 1, toward: four().ip() }, "8f f4 00 00 06 01 04 c0 00 02 01"),
        (
            Capsule::Open { flow: 1, transport: Transport::Udp, to: four(), name: "pbx" },
            "8f f4 00 04 0d 01 00 04 c0 00 02 01 13 c4 03 70 62 78",
        ),
        (
            Capsule::Assign { context: 0, pair: 1, channel: Channel::Rtp, peer: four() },
            "8f f4 00 02 0a 00 01 00 04 c0 00 02 01 13 c4",
        ),
        (Capsule::Datagram { context: 0, payload: &[0x80, 0] }, "00 03 00 80 00"),
    ] {
        let bytes = capsule.to_bytes();
        let shown: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(shown.join(" "), hex, "{capsule:?}");
        assert!(page.contains(hex), "{hex} is not in the document");
    }
}

#[test]
fn a_length_above_the_limit_is_refused_before_the_value_is_there() {
    // PING with 16,383 bytes, of which none has come; and a packet of 2^62 - 1 bytes.
    let ping = [0x8f, 0xf4, 0x00, 0x44, 0x7f, 0xff];
    let limit = 8;
    let refused = CapsuleError::TooLong { kind: 0x0ff4_0044, length: 0x3fff, limit };
    assert_eq!(Capsule::read(&ping), Err(refused));
    let packet = [0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert!(matches!(Capsule::read(&packet), Err(CapsuleError::TooLong { kind: 0, .. })));
    let payload = [0; LARGEST_PACKET + 8];
    assert!(
        Capsule::message(&Capsule::Datagram { context: 1, payload: &payload }.to_bytes()).is_err()
    );
}

#[test]
fn what_follows_the_last_field_or_is_no_value_is_malformed() {
    for wrong in [
        // PING with a byte too many, READY resumed by 2, OPEN by an unknown transport, BIND to family 5.
        &[0x8f, 0xf4, 0x00, 0x44, 0x02, 0x01, 0x01][..],
        &[0x8f, 0xf4, 0x00, 0x41, 0x01, 0x02],
        &[0x8f, 0xf4, 0x00, 0x04, 0x02, 0x01, 0x03],
        &[0x8f, 0xf4, 0x00, 0x00, 0x06, 0x01, 0x05, 0, 0, 0, 0],
        // A text that is longer than its value, and one that is no UTF-8.
        &[0x8f, 0xf4, 0x00, 0x07, 0x02, 0x05, 0x61],
        &[0x8f, 0xf4, 0x00, 0x07, 0x02, 0x01, 0xff],
    ] {
        assert!(
            matches!(Capsule::message(wrong), Err(CapsuleError::Malformed { .. })),
            "{wrong:x?}"
        );
    }
}

#[test]
fn another_version_is_known_by_its_first_field() {
    let message = [0x8f, 0xf4, 0x00, 0x40, 0x04, 0x02, 0xde, 0xad, 0xbe];
    assert_eq!(Authenticate::first(&message), Err(Problem::Version));
    assert_eq!(Authenticate::first(&Capsule::Leave.to_bytes()), Err(Problem::Unauthenticated));
}

#[test]
fn long_texts_and_lists_are_cut_to_what_may_be_sent() {
    let text = "ä".repeat(400);
    let refused = Capsule::Denied { problem: Problem::Name, text: &text }.to_bytes();
    let Ok(Capsule::Denied { text, .. }) = Capsule::message(&refused) else { panic!("unread") };
    assert_eq!(text.chars().count(), 250);
    let long = "n".repeat(1_000);
    let certificate = Identities { dns_names: vec![long; 100], ..Identities::default() };
    let opened = Capsule::Opened { flow: 1, local: four(), certificate: Some(certificate) };
    let bytes = opened.to_bytes();
    let Ok(Capsule::Opened { certificate: Some(read), .. }) = Capsule::message(&bytes) else {
        panic!("unread")
    };
    assert_eq!(read.dns_names.len(), 16);
}
