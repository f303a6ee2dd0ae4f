//! The examples of RFC 3261 §20, and an INVITE with its answer as in §24.2.

use super::*;

/// One field of §20 in a request that has the others.
fn with(field: &str) -> Message {
    let (name, _) = field.split_once(':').unwrap();
    let name = HeaderName::from_str(name.trim_end());
    let text = request("INVITE", "sip:bob@biloxi.com", "");
    let kept: String = text
        .split_inclusive("\r\n")
        .filter(|line| HeaderName::from_str(line.split(':').next().unwrap()) != name)
        .collect();
    parse(kept.replacen("\r\n", &format!("\r\n{}\r\n", field.replace('\n', "\r\n")), 1))
}

#[test]
fn contact() {
    let m = with(
        "Contact: \"Mr. Watson\" <sip:watson@worcester.bell-telephone.com>\n   ;q=0.7; expires=3600,\n   \
         \"Mr. Watson\" <mailto:watson@bell-telephone.com> ;q=0.1",
    );
    let contacts: Vec<_> = m.contacts().map(Result::unwrap).collect();
    assert_eq!(contacts.len(), 2);
    assert_eq!(contacts[0].display_name(), "Mr. Watson");
    assert_eq!(contacts[0].uri().host(), "worcester.bell-telephone.com");
    assert_eq!((contacts[0].q(), contacts[0].expires()), (Some(700), Some(3600)));
    assert_eq!(contacts[1].uri().scheme_str(), "mailto");
    assert_eq!((contacts[1].q(), contacts[1].expires()), (Some(100), None));
    let m = with("m: <sips:bob@192.0.2.4>;expires=60");
    assert_eq!(m.contacts().next().unwrap().unwrap().uri().scheme(), Scheme::Sips);
}

#[test]
fn from_and_to() {
    for (field, name, uri, tag) in [
        (
            "From: \"A. G. Bell\" <sip:agb@bell-telephone.com> ;tag=a48s",
            "A. G. Bell",
            "sip:agb@bell-telephone.com",
            "a48s",
        ),
        (
            "From: sip:+12125551212@server.phone2net.com;tag=887s",
            "",
            "sip:+12125551212@server.phone2net.com",
            "887s",
        ),
        (
            "f: Anonymous <sip:c8oqz84zk7z@privacy.org>;tag=hyh8",
            "Anonymous",
            "sip:c8oqz84zk7z@privacy.org",
            "hyh8",
        ),
    ] {
        let m = with(field);
        assert_eq!(m.from().display_name(), name);
        assert_eq!((m.from().uri_str(), m.from_tag()), (uri, Some(tag)));
    }
    let m = with("To: The Operator <sip:operator@cs.columbia.edu>;tag=287447");
    assert_eq!((&*m.to().display_name(), m.to_tag()), ("The Operator", Some("287447")));
    let m = with("t: sip:+12125551212@server.phone2net.com");
    assert_eq!((m.to().uri().user(), m.to_tag()), (Some("+12125551212"), None));
}

#[test]
fn via() {
    let m =
        with("Via: SIP/2.0/UDP 192.0.2.1:5060 ;received=192.0.2.207\n     ;branch=z9hG4bK77asjd");
    assert_eq!((m.via().sent_by(), m.via().branch()), ("192.0.2.1:5060", Some("z9hG4bK77asjd")));
    assert_eq!(m.via().received(), Some("192.0.2.207".parse().unwrap()));
    let m = with(
        "v: SIP / 2.0 / UDP first.example.com: 4000;ttl=16\n  ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1",
    );
    assert_eq!((m.via().host(), m.via().port()), ("first.example.com", Some(4000)));
    assert_eq!((m.via().ttl(), m.via().maddr()), (Some(16), Some("224.2.0.1")));
}

#[test]
fn the_other_fields() {
    assert_eq!(with("Retry-After: 18000;duration=3600").retry_after(), Some(18_000));
    assert_eq!(with("Retry-After: 120 (I'm in a meeting)").retry_after(), Some(120));
    let m = with("c: text/html; charset=ISO-8859-4");
    assert!(m.content_type().unwrap().is("text", "html"));
    let m = with("Accept: application/sdp;level=1, application/x-private, text/html");
    assert_eq!(m.values(HeaderName::Accept).count(), 3);
    let m = with("Accept:");
    assert_eq!((m.header(HeaderName::Accept), m.values(HeaderName::Accept).count()), (Some(""), 0));
    assert_eq!(with("i:f81d4fae-7dec-11d0-a765-00a0c91e6bf6@192.0.2.1").call_id().len(), 46);
    assert_eq!(with("CSeq: 4711 INVITE").cseq(), 4_711);
    assert_eq!(with("Max-Forwards: 6").max_forwards(), Some(6));
    let warning = "Warning: 307 isi.edu \"Session parameter 'foo' not understood\"";
    assert!(with(warning).header(HeaderName::Warning).unwrap().starts_with("307 isi.edu"));
    let m = with("Route: <sip:bigbox3.site3.atlanta.com;lr>,\n <sip:server10.biloxi.com;lr>");
    assert!(m.routes().all(|r| r.unwrap().uri().param("lr").is_some()));
    let m =
        with("WWW-Authenticate: Digest realm=\"atlanta.com\", qop=\"auth\",\n nonce=\"84f1c1a\"");
    let challenge = m.header(HeaderName::WwwAuthenticate).unwrap();
    assert_eq!(challenge, "Digest realm=\"atlanta.com\", qop=\"auth\", nonce=\"84f1c1a\"");
}

/// §24.2 F1 and F11: what the caller sends, and what it gets back through two proxies.
#[test]
fn a_session_is_set_up() {
    let invite = lines(&[
        "INVITE sip:bob@biloxi.com SIP/2.0",
        "Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8",
        "Max-Forwards: 70",
        "To: Bob <sip:bob@biloxi.com>",
        "From: Alice <sip:alice@atlanta.com>;tag=1928301774",
        "Call-ID: a84b4c76e66710",
        "CSeq: 314159 INVITE",
        "Contact: <sip:alice@pc33.atlanta.com>",
        "Content-Type: application/sdp",
        "Content-Length: 0",
    ])
    .unwrap();
    assert!(invite.is_request());
    assert_eq!(invite.uri().unwrap().user(), Some("bob"));
    assert_eq!((invite.status(), invite.reason()), (None, ""));
    let ok = lines(&[
        "SIP/2.0 200 OK",
        "Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8",
        " ;received=192.0.2.1",
        "To: Bob <sip:bob@biloxi.com>;tag=a6c85cf",
        "From: Alice <sip:alice@atlanta.com>;tag=1928301774",
        "Call-ID: a84b4c76e66710",
        "CSeq: 314159 INVITE",
        "Contact: <sip:bob@192.0.2.4>",
        "Content-Length: 0",
    ])
    .unwrap();
    assert!(!ok.is_request());
    assert_eq!((ok.status(), ok.reason(), ok.request_uri()), (Some(200), "OK", None));
    assert_eq!(ok.via().branch(), invite.via().branch());
    assert_eq!(ok.via().received(), Some("192.0.2.1".parse().unwrap()));
    assert_eq!((ok.call_id(), ok.cseq()), (invite.call_id(), invite.cseq()));
    assert_eq!((ok.from_tag(), ok.to_tag()), (invite.from_tag(), Some("a6c85cf")));
    let contact = ok.contacts().next().unwrap().unwrap();
    assert_eq!(contact.uri().ip(), Some("192.0.2.4".parse().unwrap()));
}
