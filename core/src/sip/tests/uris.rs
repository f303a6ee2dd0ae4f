//! URIs: parts, refusals, and the comparison of RFC 3261 §19.1.4 with its own examples.

use super::*;

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// RFC 3261 §19.1.3.
#[test]
fn the_examples() {
    let u = uri("sip:alice:secretword@atlanta.com;transport=tcp");
    assert_eq!(
        (u.user(), u.password(), u.host()),
        (Some("alice"), Some("secretword"), "atlanta.com")
    );
    assert_eq!(u.param("Transport").unwrap().text(), "tcp");
    let u = uri("sips:alice@atlanta.com?subject=project%20x&priority=urgent");
    assert_eq!(u.scheme(), Scheme::Sips);
    let headers: Vec<_> = u.headers().collect();
    assert_eq!(headers, [("subject", "project%20x"), ("priority", "urgent")]);
    assert_eq!(u.without_headers(), "sips:alice@atlanta.com");
    let u = uri("sip:+1-212-555-1212:1234@gateway.com;user=phone");
    assert_eq!((u.user(), u.password()), (Some("+1-212-555-1212"), Some("1234")));
    assert_eq!(uri("sips:1212@gateway.com").user(), Some("1212"));
    assert_eq!(uri("sip:alice@192.0.2.4").ip(), Some("192.0.2.4".parse().unwrap()));
    let u = uri("sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com");
    assert_eq!((u.user(), u.param("method").unwrap().text()), (None, "REGISTER"));
    assert_eq!(uri("sip:alice;day=tuesday@atlanta.com").user(), Some("alice;day=tuesday"));
}

#[test]
fn hosts_and_ports() {
    let u = uri("SIP:[2001:DB8::1]:5061;lr");
    assert_eq!((u.scheme(), u.host(), u.port()), (Scheme::Sip, "[2001:DB8::1]", Some(5061)));
    assert_eq!(u.ip(), Some("2001:db8::1".parse().unwrap()));
    assert_eq!(u.to_string(), "SIP:[2001:DB8::1]:5061;lr");
    for bad in [
        "",
        "sip",
        "sip:",
        ":a",
        "1sip:a",
        "sip:@host",
        "sip:a@",
        "sip:a@b:",
        "sip:a@b:65536",
        "sip:a@b:-1",
        "sip:a@[::1",
        "sip:a@[::1]x",
        "sip:a@[:::1:::]",
        "sip:a@[1.2.3.4]",
        "sip:2001:db8::1",
        "sip:a@b@c",
        "sip:a b@c",
        "sip:a@b;x=<",
        "<sip:a@b>",
        "tel:",
        "tel:;x=1",
        "mailto:",
        "sip:a@b c",
        "sip:a@b\u{7f}",
    ] {
        assert!(Uri::parse(bad).is_err(), "{bad}");
    }
    for good in ["sip:a@b:65535", "sip:b;lr;;x=", "sip:a:@b", "urn:service:sos", "sip:a@b_c.local"]
    {
        uri(good);
    }
    let many = |n: usize| format!("sip:a@b{}", ";p".repeat(n));
    uri(&many(MAX_URI_PARAMS));
    assert!(Uri::parse(&many(MAX_URI_PARAMS + 1)).is_err());
}

#[test]
fn equivalent() {
    for (a, b) in [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:[2001:db8::1]", "sip:[2001:DB8:0:0::1]"),
        ("tel:+1", "tel:+1"),
    ] {
        assert!(uri(a).equivalent(&uri(b)), "{a} = {b}");
        assert!(uri(b).equivalent(&uri(a)), "{b} = {a}");
    }
}

#[test]
fn not_equivalent() {
    for (a, b) in [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@b", "sips:a@b"),
        ("sip:a@b", "sip:b"),
        ("sip:a@b", "sip:a:@b;maddr=x"),
        ("sip:a:p@b", "sip:a@b"),
        ("sip:a@b;user=phone", "sip:a@b"),
        ("sip:a@b;ttl=1", "sip:a@b"),
        ("sip:a@b;method=INVITE", "sip:a@b"),
        // A reserved character is not its escape.
        ("sip:a%3bb@c", "sip:a;b@c"),
        ("sip:a?x=1&x=2", "sip:a?x=1"),
    ] {
        assert!(!uri(a).equivalent(&uri(b)), "{a} = {b}");
        assert!(!uri(b).equivalent(&uri(a)), "{b} = {a}");
    }
}

#[test]
fn escaping_is_undone_by_unescaping() {
    for user in ["alice", "a b", "a@b:c", "100%", "*21#", "Jürgen", "\"<>\""] {
        let escaped = escape_user(user);
        assert_eq!(unescape(&escaped), user);
        assert_eq!(uri(&format!("sip:{escaped}@h")).user(), Some(&*escaped));
    }
    assert_eq!(escape_user("a b#"), "a%20b%23");
    assert_eq!(unescape("%4a%zz%4"), "J%zz%4");
}
