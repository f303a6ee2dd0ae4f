//! Responses: to what was parsed (RFC 3261 §8.2.6, §18.2.1, RFC 3581) and to what was not.

use core::net::SocketAddr;

use super::*;

fn source(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn via_after(via: &str, from: &str) -> String {
    let text = request("OPTIONS", "sip:bob@example.com", "")
        .replace("SIP/2.0/UDP pc33.example.com;branch=z9hG4bKnashds8", via);
    let mut buf = Vec::new();
    Writer::response_to(&mut buf, &parse(text), 200, "OK", Some("t"), Some(source(from))).finish();
    parse(&buf).header(HeaderName::Via).unwrap().to_owned()
}

#[test]
fn via_is_completed() {
    for (via, from, expected) in [
        // §18.2.1: a name, or another address.
        (
            "SIP/2.0/UDP h:5060;branch=1",
            "192.0.2.4:5060",
            "SIP/2.0/UDP h:5060;branch=1;received=192.0.2.4",
        ),
        (
            "SIP/2.0/UDP 10.0.0.1;branch=1",
            "192.0.2.4:9",
            "SIP/2.0/UDP 10.0.0.1;branch=1;received=192.0.2.4",
        ),
        ("SIP/2.0/UDP 192.0.2.4;branch=1", "192.0.2.4:9", "SIP/2.0/UDP 192.0.2.4;branch=1"),
        ("SIP/2.0/UDP h", "192.0.2.4:9", "SIP/2.0/UDP h;received=192.0.2.4"),
        // RFC 3581 §4: rport always brings received.
        (
            "SIP/2.0/UDP 192.0.2.4;rport;branch=1",
            "192.0.2.4:9",
            "SIP/2.0/UDP 192.0.2.4;branch=1;received=192.0.2.4;rport=9",
        ),
        // What the sender claims of itself is replaced.
        (
            "SIP/2.0/UDP h;received=1.1.1.1;RPORT=7;branch=1;x=\"a;b\"",
            "192.0.2.4:9",
            "SIP/2.0/UDP h;branch=1;x=\"a;b\";received=192.0.2.4;rport=9",
        ),
        // RFC 5118 §4.5: no brackets; a mapped address is the one it maps.
        ("SIP/2.0/UDP h", "[2001:db8::1]:9", "SIP/2.0/UDP h;received=2001:db8::1"),
        ("SIP/2.0/UDP [2001:db8:0::1]:7", "[2001:db8::1]:9", "SIP/2.0/UDP [2001:db8:0::1]:7"),
        ("SIP/2.0/UDP 192.0.2.4", "[::ffff:192.0.2.4]:9", "SIP/2.0/UDP 192.0.2.4"),
        ("SIP/2.0/UDP [::ffff:192.0.2.4]", "192.0.2.4:9", "SIP/2.0/UDP [::ffff:192.0.2.4]"),
        // U+0085 is a space to Unicode, not to SIP.
        (
            "SIP/2.0/UDP h;branch=1\u{85}",
            "192.0.2.4:9",
            "SIP/2.0/UDP h;branch=1\u{85};received=192.0.2.4",
        ),
        // Only the first value is ours to complete.
        (
            "SIP / 2.0 / UDP h : 5 ; rport ; branch = 1 , SIP/2.0/UDP i;rport",
            "192.0.2.4:9",
            "SIP / 2.0 / UDP h : 5;branch=1;received=192.0.2.4;rport=9, SIP/2.0/UDP i;rport",
        ),
    ] {
        assert_eq!(via_after(via, from), expected);
    }
}

#[test]
fn a_response_repeats_what_it_must() {
    let more = "Via: SIP/2.0/UDP second;rport\r\nRecord-Route: <sip:one;lr>\r\n\
                Record-Route: <sip:two;lr>\r\nTimestamp: 54\r\nSubject: x\r\n";
    let invite = parse(request("INVITE", "sip:bob@example.com", more));
    let mut buf = Vec::new();
    let mut respond = |status, tag| {
        Writer::response_to(&mut buf, &invite, status, reason_phrase(status), tag, None).finish();
        parse(&buf)
    };
    let trying = respond(100, None);
    assert_eq!((trying.to_tag(), trying.header(HeaderName::Timestamp)), (None, Some("54")));
    assert_eq!(trying.record_routes().count(), 0);
    let ok = respond(200, Some("314159"));
    assert_eq!((ok.status(), ok.reason(), ok.method()), (Some(200), "OK", &Method::Invite));
    assert_eq!(ok.to_tag(), Some("314159"));
    assert_eq!(ok.from().as_str(), invite.from().as_str());
    assert_eq!((ok.call_id(), ok.cseq()), (invite.call_id(), invite.cseq()));
    let vias: Vec<_> = ok.headers(HeaderName::Via).collect();
    assert_eq!(vias, invite.headers(HeaderName::Via).collect::<Vec<_>>());
    let routes: Vec<_> = ok.headers(HeaderName::RecordRoute).collect();
    assert_eq!(routes, ["<sip:one;lr>", "<sip:two;lr>"]);
    assert_eq!(ok.header(HeaderName::Subject), None);
    assert_eq!(respond(486, Some("t")).record_routes().count(), 0);

    // A request inside a dialog keeps its To tag.
    let bye = request("BYE", "sip:bob@example.com", "")
        .replace("<sip:bob@example.com>", "<sip:b@e>;tag=old");
    Writer::response_to(&mut buf, &parse(bye), 200, "OK", Some("new"), None).finish();
    assert_eq!(parse(&buf).to_tag(), Some("old"));
}

fn answer(text: impl AsRef<[u8]>) -> Option<String> {
    let e = Message::parse(text.as_ref()).unwrap_err();
    let mut buf = Vec::new();
    let answered = e.respond(&mut buf, "tag", source("192.0.2.4:5060"));
    assert_eq!(answered, e.status().is_some());
    answered.then(|| String::from_utf8(buf).unwrap())
}

#[test]
fn what_cannot_be_parsed_is_answered_with_what_it_has() {
    let text = request("INVITE", "sip:bob@example.com", "Content-Length: 5\r\n");
    let response = parse(answer(&text).unwrap());
    assert_eq!(response.status(), Some(400));
    assert_eq!(response.reason(), "Body Shorter Than Content-Length");
    assert_eq!((response.to_tag(), response.call_id()), (Some("tag"), "a84b4c76e66710"));
    assert_eq!(response.via().received(), Some("192.0.2.4".parse().unwrap()));

    // RFC 4475 §3.3.1.
    let bare = "INVITE sip:user@example.com SIP/2.0\r\nCSeq: 193942 INVITE\r\n\
                Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf\r\n\r\n";
    assert_eq!(
        answer(bare).unwrap(),
        "SIP/2.0 400 Missing From\r\n\
         Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf;received=192.0.2.4\r\n\
         CSeq: 193942 INVITE\r\nContent-Length: 0\r\n\r\n"
    );
    let version = text.replacen("SIP/2.0", "SIP/7.0", 2);
    assert!(
        answer(version)
            .unwrap()
            .starts_with("SIP/2.0 505 Version Not Supported\r\nVia: SIP/7.0/UDP pc33")
    );
    let unknown = text.replacen("INVITE", "NEWMETHOD", 1).replace("Content-Length: 5", "l: 0");
    assert!(answer(&unknown).unwrap().starts_with("SIP/2.0 501 Not Implemented\r\n"));
    let twice = text.replace("CSeq", "To: <sip:other@e>\r\nCSeq");
    let twice = answer(twice).unwrap();
    assert_eq!(twice.matches("\r\nTo: ").count(), 1);
}

#[test]
fn nobody_answers_an_ack_a_response_or_what_shows_no_way_back() {
    let broken = "Content-Length: 5\r\n";
    assert_eq!(answer(request("ACK", "sip:b@e", broken)), None);
    let response = request("INVITE", "sip:b@e", broken).replacen(
        "INVITE sip:b@e SIP/2.0",
        "SIP/2.0 200 OK",
        1,
    );
    assert_eq!(answer(response), None);
    let invite = request("INVITE", "sip:b@e", broken);
    let via = invite.lines().find(|l| l.starts_with("Via")).unwrap();
    assert_eq!(answer(invite.replace(&format!("{via}\r\n"), "")), None);
    assert_eq!(answer("hello\r\n\r\n"), None);
    assert_eq!(answer([0x80, 0, 1, 2]), None);
    assert_eq!(answer("\r\n\r\n"), None);
}
