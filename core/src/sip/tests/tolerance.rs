//! What other parsers drop and this one takes; what it refuses, and by which name.

use super::*;

/// Each of these is dropped whole by pyVoIP 2.0's parser.
#[test]
fn what_pyvoip_drops() {
    for method in ["INFO", "UPDATE", "PRACK", "NEWMETHOD", "invite"] {
        let m = parse(request(method, "sip:bob@example.com", ""));
        assert_eq!(m.method().as_str(), method);
    }
    assert_eq!(parse(request("invite", "sip:b@e", "")).method(), &Method::Other("invite".into()));

    let more = "Subject:no space\r\nCALL-INFO : <http://x>\r\nX-One: 1\r\n two\r\n\t three\r\n";
    let m = parse(request("INVITE", "sip:bob@example.com", more));
    assert_eq!(m.header(HeaderName::Subject), Some("no space"));
    assert_eq!(m.header(HeaderName::CallInfo), Some("<http://x>"));
    assert_eq!(m.header_by_name("x-one"), Some("1 two three"));

    for user in ["a.b", "a-b", "100%", "*21*5#", "a_b", "%20", "a+b", "a;x=1"] {
        let uri = format!("sip:{user}@my-host.example-net.com");
        let m = parse(request("INVITE", &uri, ""));
        let uri = m.uri().unwrap();
        assert_eq!((uri.user(), uri.host()), (Some(user), "my-host.example-net.com"));
    }
    let m = parse(request("INVITE", "tel:+1-201-555-0123;phone-context=example.com", ""));
    let uri = m.uri().unwrap();
    assert_eq!((uri.scheme(), uri.user()), (Scheme::Tel, Some("+1-201-555-0123")));
    assert_eq!(uri.param("phone-context").unwrap().text(), "example.com");

    let m = lines(&[
        "SIP/2.0 299 Whatever This Is",
        "v:SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1",
        "f:\"No Space\"<sip:a@b>;tag=1",
        "t:sip:c@d",
        "i:x",
        "CSeq:7 INVITE",
        "Record-Route: <sip:one;lr>",
        "Record-Route: <sip:two;lr>, <sip:three;lr>",
    ])
    .unwrap();
    assert_eq!(
        (m.status(), m.reason(), m.method()),
        (Some(299), "Whatever This Is", &Method::Invite)
    );
    assert_eq!(m.via().ip(), Some("2001:db8::1".parse().unwrap()));
    assert_eq!(m.from().display_name(), "No Space");
    let routes: Vec<_> = m.record_routes().map(|r| r.unwrap().uri().host()).collect();
    assert_eq!(routes, ["one", "two", "three"]);
}

#[test]
fn bare_line_feeds_and_empty_lines_before() {
    let text = request("OPTIONS", "sip:bob@example.com", "Content-Length: 2\r\n") + "hi";
    let m = parse(text.replace('\r', ""));
    assert_eq!((m.call_id(), m.body()), ("a84b4c76e66710", &b"hi"[..]));
    let m = parse(format!("\r\n\r\n{text}"));
    assert_eq!(m.bytes(), text.as_bytes());
    for keep_alive in ["", "\r\n", "\r\n\r\n", "\n"] {
        assert_eq!(fault(keep_alive), Fault::Empty);
    }
}

/// The name of somebody whose phone writes Latin-1.
#[test]
fn bytes_that_are_no_utf8() {
    let text = request("INVITE", "sip:bob@example.com", "Content-Length: 3\r\n");
    let mut bytes = text.replace("Alice", "\"J#rgen Ä\"").into_bytes();
    let at = bytes.iter().position(|&b| b == b'#').unwrap();
    bytes[at] = 0xfc;
    bytes.extend([0xff, 0, 0xfe]);
    let m = parse(&bytes);
    assert_eq!(m.from().display_name(), "Jürgen Ä");
    assert_eq!(m.body(), [0xff, 0, 0xfe]);
    assert_eq!(m.bytes(), bytes);
}

#[test]
fn content_length_cuts_the_body() {
    let with = |length: &str, body: &str| {
        request("MESSAGE", "sip:bob@example.com", &format!("Content-Length: {length}\r\n")) + body
    };
    assert_eq!(parse(with("3", "abcdef")).body(), b"abc");
    assert_eq!(parse(with("0", "abcdef")).body(), b"");
    assert_eq!(parse(with("3\r\nl:3", "abc")).body(), b"abc");
    assert_eq!(parse(request("MESSAGE", "sip:b@e", "") + "rest").body(), b"rest");
    assert_eq!(fault(with("4", "abc")), Fault::BodyTooShort);
    assert_eq!(
        fault(with("3\r\nContent-Length: 2", "abc")),
        Fault::Repeated(HeaderName::ContentLength)
    );
    for bad in
        ["", "-1", "+3", ":", "3x", "0x3", "3, 3", "3.0", "18446744073709551616", "4294967299"]
    {
        assert_eq!(fault(with(bad, "abc")), Fault::Value(HeaderName::ContentLength), "{bad}");
    }
}

#[test]
fn what_is_missing_or_there_twice_is_named() {
    let whole = request("INVITE", "sip:bob@example.com", "Max-Forwards: 70\r\n");
    let names = ["Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards"];
    for name in names {
        let is_it = |line: &&str| line.starts_with(&format!("{name}:"));
        let line = whole.lines().find(is_it).unwrap();
        let without = whole.replace(&format!("{line}\r\n"), "");
        let twice = whole.replace(&format!("{line}\r\n"), &format!("{line}\r\n{line}\r\n"));
        match name {
            "Max-Forwards" => drop(parse(without)),
            _ => assert_eq!(fault(without), Fault::Missing(HeaderName::from_str(name))),
        }
        match name {
            "Via" => assert_eq!(parse(twice).vias().count(), 2),
            _ => assert_eq!(fault(twice), Fault::Repeated(HeaderName::from_str(name))),
        }
    }
}

#[test]
fn limits() {
    let with = |more: &str| request("INVITE", "sip:bob@example.com", more);
    let value = |n: usize| with(&format!("X: {}\r\n", "a".repeat(n)));
    drop(parse(value(MAX_FIELD_BYTES)));
    assert_eq!(fault(value(MAX_FIELD_BYTES + 1)), Fault::FieldTooLong);
    let name = |n: usize| with(&format!("{}: a\r\n", "X".repeat(n)));
    drop(parse(name(MAX_NAME_BYTES)));
    assert_eq!(fault(name(MAX_NAME_BYTES + 1)), Fault::FieldTooLong);
    let fields = |n: usize| with(&"X: y\r\n".repeat(n - 5));
    assert_eq!(parse(fields(MAX_FIELDS)).fields().count(), MAX_FIELDS);
    assert_eq!(fault(fields(MAX_FIELDS + 1)), Fault::TooManyFields);
    let vias = |n: usize| with(&"v: SIP/2.0/UDP h\r\n".repeat(n - 1));
    assert_eq!(parse(vias(MAX_VIAS)).vias().count(), MAX_VIAS);
    assert_eq!(fault(vias(MAX_VIAS + 1)), Fault::TooManyFields);
    let method = |n: usize| request(&"M".repeat(n), "sip:bob@example.com", "");
    drop(parse(method(MAX_METHOD_BYTES)));
    assert_eq!(fault(method(MAX_METHOD_BYTES + 1)), Fault::Method);
    let uri = |n: usize| request("INVITE", &format!("sip:{}", "a".repeat(n - 4)), "");
    drop(parse(uri(MAX_URI_BYTES)));
    assert_eq!(fault(uri(MAX_URI_BYTES + 1)), Fault::RequestUri);
    for (place, name) in [
        ("a84b4c76e66710", HeaderName::CallId),
        ("1928301774", HeaderName::From),
        ("z9hG4bKnashds8", HeaderName::Via),
    ] {
        let long = |n: usize| with("").replace(place, &"a".repeat(n));
        drop(parse(long(MAX_IDENTIFIER_BYTES)));
        assert_eq!(fault(long(MAX_IDENTIFIER_BYTES + 1)), Fault::Value(name));
    }
    let body = |n: usize| with("") + &"a".repeat(n);
    let room = MAX_MESSAGE_BYTES - with("").len();
    assert_eq!(parse(body(room)).body().len(), room);
    assert_eq!(fault(body(room + 1)), Fault::MessageTooLong);
    let long = format!("X: {}\r\n", "y".repeat(8_000));
    assert_eq!(fault(with(&long.repeat(9))), Fault::MessageTooLong);
    drop(parse(with(&long.repeat(8))));
}

#[test]
fn lines_that_are_none() {
    let with = |more: &str| request("INVITE", "sip:bob@example.com", more);
    assert_eq!(fault(with("no colon\r\n")), Fault::Field);
    assert_eq!(fault(with(": no name\r\n")), Fault::Field);
    assert_eq!(fault(with("two words: x\r\n")), Fault::Field);
    assert_eq!(fault(with("A: b\rC: d\r\n")), Fault::CarriageReturn);
    assert_eq!(fault(with("A: b\r\r\n")), Fault::CarriageReturn);
    let folded_start = with("").replacen("\r\n", "\r\n ", 1);
    assert_eq!(fault(folded_start), Fault::Field);
    assert_eq!(fault(with("").trim_end()), Fault::Unterminated);
    for (line, expected) in [
        ("INVITE sip:b@e", Fault::NotSip),
        ("GET / HTTP/1.1", Fault::NotSip),
        ("SIP/2.0", Fault::StatusCode),
        ("SIP/2.0 20 OK", Fault::StatusCode),
        ("SIP/2.0 099 OK", Fault::StatusCode),
        ("SIP/2.0 700 OK", Fault::StatusCode),
        ("SIP/3.0 200 OK", Fault::Version),
        ("INVITE sip:b@e SIP/3.0", Fault::Version),
        ("INV(TE sip:b@e SIP/2.0", Fault::Method),
        ("INVITE b@e SIP/2.0", Fault::RequestUri),
        ("INVITE  SIP/2.0", Fault::RequestUri),
    ] {
        let start = with("");
        let start = start.lines().next().unwrap();
        assert_eq!(fault(with("").replacen(start, line, 1)), expected, "{line}");
    }
    let lower = with("").replacen("SIP/2.0\r\nVia", "sip/2.0\r\nVia", 1);
    assert_eq!(parse(lower).method(), &Method::Invite);
}

#[test]
fn a_call_id_is_one_word() {
    let with =
        |id: &str| request("INVITE", "sip:bob@example.com", "").replace("a84b4c76e66710", id);
    for bad in ["", "a b", "a\tb", "a\u{7f}", "a\0"] {
        assert_eq!(fault(with(bad)), Fault::Value(HeaderName::CallId), "{bad:?}");
    }
    assert_eq!(parse(with("<odd>@[::1]")).call_id(), "<odd>@[::1]");
}

#[test]
fn an_error_says_where() {
    let text = request("INVITE", "sip:bob@example.com", "").replace("tag=19", "tag=\"19");
    let e = Message::parse(text.as_bytes()).unwrap_err();
    assert_eq!(e.fault(), Fault::Value(HeaderName::From));
    assert_eq!(e.at(), text.find("\"19").unwrap());
    assert_eq!(
        e.to_string(),
        format!("Invalid From at byte {}: a quoted string does not end", e.at())
    );
}

/// RFC 3261 §7.3.1: one field with three values is three fields with one.
#[test]
fn joined_and_repeated_fields_are_the_same() {
    let joined =
        "Route: <sip:alice@atlanta.com>, <sip:bob@biloxi.com>,\r\n  <sip:carol@chicago.com>\r\n";
    let repeated = "Route: <sip:alice@atlanta.com>\r\nSubject: Lunch\r\n\
                    Route: <sip:bob@biloxi.com>\r\nRoute: <sip:carol@chicago.com>\r\n";
    for more in [joined, repeated] {
        let m = parse(request("INVITE", "sip:bob@example.com", more));
        let users: Vec<_> = m.routes().map(|r| r.unwrap().uri().user().unwrap()).collect();
        assert_eq!(users, ["alice", "bob", "carol"]);
    }
}

#[test]
fn typed_on_demand() {
    let more = "Expires: 60\r\nMin-Expires: 90\r\nRetry-After: 5 (soon)\r\nMax-Forwards: 300\r\n\
                Allow: INVITE, ACK,NEW\r\nk: 100rel, Timer\r\nRequire: path\r\n\
                c: application/SDP;charset=utf-8\r\n";
    let m = parse(request("INVITE", "sip:bob@example.com", more) + "v=0");
    assert_eq!((m.expires(), m.min_expires(), m.retry_after()), (Some(60), Some(90), Some(5)));
    assert_eq!(m.max_forwards(), None);
    let allow: Vec<_> = m.allow().unwrap().collect();
    assert_eq!(allow, [Method::Invite, Method::Ack, Method::Other("NEW".into())]);
    assert!(m.supports("timer") && m.supports("path") && !m.supports("gruu"));
    assert!(m.has_body("application", "sdp"));
    let m = parse(request("INVITE", "sip:bob@example.com", ""));
    assert!(m.allow().is_none() && m.expires().is_none() && !m.has_body("application", "sdp"));
}
