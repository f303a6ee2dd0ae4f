//! Messages that we write.

use super::*;
use crate::sip::writer::InvalidText;
use crate::transport::Transport;

#[test]
fn a_request_reads_as_written() {
    let mut buf = b"left from the last message".to_vec();
    let mut w = Writer::request(&mut buf, &Method::Invite, "sip:bob@biloxi.com");
    w.via(Transport::Udp, "pc33.atlanta.com:5062", "z9hG4bK776asdhds", true);
    w.field(HeaderName::MaxForwards, 70);
    w.field(HeaderName::From, format_args!("{} <sip:alice@atlanta.com>;tag=1", quote("A, B")));
    w.field(HeaderName::To, "<sip:bob@biloxi.com>");
    w.field(HeaderName::CallId, "a84b4c76e66710");
    w.cseq(4_294_967_295, &Method::Invite);
    w.extension("X-Color", "blue");
    w.body("application/sdp", b"v=0\r\n");
    let expected = "INVITE sip:bob@biloxi.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP pc33.atlanta.com:5062;branch=z9hG4bK776asdhds;rport\r\n\
        Max-Forwards: 70\r\n\
        From: \"A, B\" <sip:alice@atlanta.com>;tag=1\r\n\
        To: <sip:bob@biloxi.com>\r\n\
        Call-ID: a84b4c76e66710\r\n\
        CSeq: 4294967295 INVITE\r\n\
        X-Color: blue\r\n\
        Content-Type: application/sdp\r\n\
        Content-Length: 5\r\n\r\nv=0\r\n";
    assert_eq!(String::from_utf8(buf.clone()).unwrap(), expected);
    let m = parse(&buf);
    assert_eq!(m.via().rport(), Some(None));
    assert_eq!(m.from().display_name(), "A, B");
    assert_eq!(m.header_by_name("x-COLOR"), Some("blue"));
    assert_eq!(written(&m), buf);
}

#[test]
fn no_value_becomes_a_field() {
    for bad in ["a\r\nEvil: 1", "a\nEvil: 1", "a\rEvil: 1", "a\0b"] {
        assert_eq!(check_value(bad), Err(InvalidText::LineEnd));
        assert_eq!(check_name(bad), Err(InvalidText::Name));
        let mut buf = Vec::new();
        let mut w = Writer::request(&mut buf, &Method::Other(bad.into()), bad);
        w.via(Transport::Udp, bad, bad, false);
        w.field(HeaderName::Subject, bad);
        w.extension("X", bad);
        w.extension(bad, "x");
        w.field(HeaderName::Other, "x");
        w.body(bad, b"x");
        let text = String::from_utf8(buf).unwrap();
        let lines: Vec<_> = text.split("\r\n").map(|l| l.split(' ').next().unwrap()).collect();
        assert_eq!(
            lines,
            ["a", "Via:", "Subject:", "X:", "Content-Type:", "Content-Length:", "", "x"]
        );
        assert!(!text.contains('\0'));
        Writer::response(&mut Vec::new(), 200, bad).finish();
    }
    assert_eq!(check_value(&"a".repeat(MAX_FIELD_BYTES + 1)), Err(InvalidText::TooLong));
    assert!(check_value("Jürgen").is_ok() && check_value("").is_ok() && check_name("X-a").is_ok());
    assert!(check_name("").is_err() && check_name("a b").is_err() && check_name("a:").is_err());
}

#[test]
fn copies_are_canonical_in_name_and_verbatim_in_value() {
    let more = "v :SIP/2.0/TCP  two\r\nM:<sip:a@b>\r\nx-Odd:  1  \r\nl:0\r\n";
    let m = parse(request("OPTIONS", "sip:bob@example.com", more));
    let mut buf = Vec::new();
    let mut w = Writer::request(&mut buf, m.method(), "sip:else@where");
    w.copy(&m, HeaderName::Via);
    w.copy_others(&m, &[HeaderName::Via, HeaderName::From, HeaderName::To]);
    w.finish();
    assert_eq!(
        String::from_utf8(buf).unwrap(),
        "OPTIONS sip:else@where SIP/2.0\r\n\
         Via: SIP/2.0/UDP pc33.example.com;branch=z9hG4bKnashds8\r\nVia: SIP/2.0/TCP  two\r\n\
         Call-ID: a84b4c76e66710\r\nCSeq: 1 OPTIONS\r\nContact: <sip:a@b>\r\nx-Odd: 1\r\n\
         Content-Length: 0\r\n\r\n"
    );
}

#[test]
fn numbers() {
    for n in [0, 9, 10, 99, 100, 65_535, 1_000_000_000, u32::MAX] {
        let mut buf = Vec::new();
        let mut w = Writer::response(&mut buf, 200, "OK");
        w.cseq(n, &Method::Bye);
        w.finish();
        assert!(String::from_utf8(buf).unwrap().contains(&format!("CSeq: {n} BYE\r\n")));
    }
}

#[test]
fn every_status_has_a_phrase() {
    for status in 100..700 {
        assert!(!reason_phrase(status).is_empty() && reason_phrase(status) != "Unknown");
    }
    assert_eq!((reason_phrase(100), reason_phrase(606)), ("Trying", "Not Acceptable"));
    assert_eq!((reason_phrase(499), reason_phrase(99)), ("Client Error", "Unknown"));
}
