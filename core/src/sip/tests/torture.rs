//! RFC 4475 and RFC 5118: every message is taken, or answered as the text says.

use super::*;

/// What the parser makes of a message: taken, answered or dropped.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Expected {
    Accepted,
    Answered(u16),
    Dropped,
}
use Expected::*;

/// By the sections' own words. Where a section leaves it open, the choice is noted.
const RFC4475: &[(&str, Expected)] = &[
    ("wsinv", Accepted),
    ("intmeth", Accepted),
    ("esc01", Accepted),
    ("escnull", Accepted),
    ("esc02", Accepted),
    ("lwsdisp", Accepted),
    ("longreq", Accepted),
    ("dblreq", Accepted),
    ("semiuri", Accepted),
    ("transports", Accepted),
    ("mpart01", Accepted),
    ("unreason", Accepted),
    ("noreason", Accepted),
    ("badinv01", Answered(400)),
    ("clerr", Answered(400)),
    ("ncl", Answered(400)),
    ("scalar02", Answered(400)),
    ("scalarlg", Dropped),
    ("quotbal", Answered(400)),
    ("ltgtruri", Answered(400)),
    ("lwsruri", Answered(400)),
    ("lwsstart", Accepted),     // "liberal ... may ignore these extra SP"
    ("trws", Accepted),         // the same
    ("escruri", Answered(400)), // "acceptable ... to reject"
    ("baddate", Accepted),      // "shouldn't [reject] unless the Date ... important"
    ("regbadct", Accepted),     // its Contact cannot be read: below
    ("badaspec", Accepted),     // "liberal may ignore the spaces"
    ("baddn", Answered(400)),
    ("baddn-terminated", Answered(400)),
    ("badvers", Answered(505)),
    ("mismatch01", Answered(400)),
    ("mismatch02", Answered(501)),
    ("bigcode", Dropped),
    ("badbranch", Accepted), // "could fall back to the RFC 2543-style transaction identifier"
    ("insuf", Answered(400)),
    ("unkscm", Accepted),
    ("novelsc", Accepted),
    ("unksm2", Accepted),
    ("bext01", Accepted),
    ("invut", Accepted),
    ("regaut01", Accepted),
    ("multi01", Answered(400)),
    ("mcl01", Answered(400)),
    ("bcast", Accepted),
    ("zeromf", Accepted),
    ("cparam01", Accepted),
    ("cparam02", Accepted),
    ("regescrt", Accepted),
    ("sdp01", Accepted),
    ("inv2543", Accepted),
    ("test", Dropped), // in the archive, in no section: no version, no Via
];

const RFC5118: &[(&str, Expected)] = &[
    ("ipv6-good", Accepted),
    ("ipv6-bad", Answered(400)),
    ("port-ambiguous", Accepted),
    ("port-unambiguous", Accepted),
    ("via-received-param-with-delim", Accepted),
    ("via-received-param-no-delim", Accepted),
    ("ipv6-in-sdp", Accepted),
    ("mult-ip-in-header", Accepted),
    ("mult-ip-in-sdp", Accepted),
    ("ipv4-mapped-ipv6", Accepted),
    ("ipv6-bug-abnf-3-colons", Accepted),
    ("ipv6-correct-abnf-2-colons", Accepted),
];

fn parsed(bytes: &[u8]) -> Expected {
    match Message::parse(bytes).map_err(|e| e.status()) {
        Ok(_) => Accepted,
        Err(Some(status)) => Answered(status),
        Err(None) => Dropped,
    }
}

#[test]
fn every_message_gets_the_answer_of_its_section() {
    for (dir, expected) in [("rfc4475", RFC4475), ("rfc5118", RFC5118)] {
        let files = vectors(dir);
        for (name, bytes) in &files {
            let found = expected.iter().find(|(n, _)| n == name);
            let &(_, expected) = found.unwrap_or_else(|| panic!("{name} is in no table"));
            assert_eq!(parsed(bytes), expected, "{name}");
        }
        assert!(files.is_empty() || files.len() == expected.len(), "{dir} is not whole");
    }
}

#[test]
fn what_is_taken_is_written_to_a_fixed_point() {
    for dir in ["rfc4475", "rfc5118", "perf"] {
        for (name, bytes) in vectors(dir) {
            let Ok(message) = Message::parse(&bytes) else { continue };
            let once = written(&message);
            let again = parse(&once);
            assert_eq!(written(&again), once, "{name}");
            // Folds and spacing aside, nothing of the message is lost.
            assert!(
                message
                    .fields()
                    .map(|f| f.1)
                    .filter(|v| !v.is_empty())
                    .all(|value| { String::from_utf8_lossy(&once).contains(value) })
            );
            assert_eq!(again.body(), message.body(), "{name}");
            assert_eq!(message.bytes(), &bytes[..message.bytes().len()], "{name}");
        }
    }
}

/// The message of that name, if the vectors are here.
fn message(name: &str) -> Option<Message> {
    let all = vectors("rfc4475").into_iter().chain(vectors("rfc5118"));
    all.into_iter().find(|(n, _)| n == name).map(|(_, bytes)| parse(bytes))
}

#[test]
fn a_short_tortuous_invite() {
    let Some(m) = message("wsinv") else { return };
    assert_eq!(m.request_uri(), Some("sip:vivekg@chair-dnrc.example.com;unknownparam"));
    assert_eq!(m.to_tag(), Some("1918181833n"));
    assert_eq!(m.from_tag(), Some("98asjd8"));
    assert_eq!(m.from().display_name(), "J Rosenberg \\\"");
    assert_eq!((m.cseq(), m.method()), (9, &Method::Invite));
    assert_eq!(m.max_forwards(), Some(68));
    let vias: Vec<_> = m.vias().map(Result::unwrap).collect();
    let parts: Vec<_> = vias.iter().map(|v| (v.transport(), v.host(), v.branch())).collect();
    assert_eq!(
        parts,
        [
            ("UDP", "192.0.2.2", Some("390skdjuw")),
            ("TCP", "spindle.example.com", Some("z9hG4bK9ikj8")),
            ("UDP", "192.168.255.111", Some("z9hG4bK30239")),
        ]
    );
    assert_eq!(m.header(HeaderName::Subject), Some(""));
    assert_eq!(
        m.header_by_name("newfangledheader"),
        Some("newfangled value continued newfangled value")
    );
    assert_eq!(m.header_by_name("UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
    let contact = m.contacts().next().unwrap().unwrap();
    assert_eq!(contact.display_name(), "Quoted string \"\"");
    assert_eq!((contact.q(), contact.param("newparam").unwrap().text()), (Some(330), "newvalue"));
    assert_eq!(m.routes().next().unwrap().unwrap().uri().param("lr").unwrap().value, None);
    assert_eq!(m.body().len(), 150);
}

#[test]
fn a_wide_range_of_valid_characters() {
    let Some(m) = message("intmeth") else { return };
    assert_eq!(m.method().as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    let uri = m.uri().unwrap();
    assert_eq!(uri.user(), Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
    assert_eq!(uri.password(), Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!(uri.host(), "example.com");
    assert_eq!(m.to().display_name(), "BEL:\u{7} NUL:\0 DEL:\u{7f}");
    assert_eq!(m.from().display_name(), "token1~` token2'+_ token3*%!.-");
    assert_eq!(m.from_tag(), Some("_token~1'+`*%!-."));
    assert_eq!(m.from().param("fromParam''~+*_!.-%").unwrap().text(), "работающий");
    assert_eq!(m.call_id(), "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    assert_eq!(m.header_by_name("extensionHeader-!.%*+_`'~"), Some("\u{feff}大停電"));
}

#[test]
fn escapes_and_what_only_looks_like_one() {
    let Some(m) = message("esc01") else { return };
    assert_eq!(m.uri().unwrap().user(), Some("sips%3Auser%40example.com"));
    assert_eq!(unescape(m.to().uri().user().unwrap()), "user");
    assert_eq!(unescape(m.from().uri().user().unwrap()), "I have spaces");
    let contact = m.contacts().next().unwrap().unwrap();
    assert_eq!(unescape(contact.uri().user().unwrap()), "caller");
    let Some(m) = message("esc02") else { return };
    assert_eq!(m.method(), &Method::Other("RE%47IST%45R".into()));
    assert_eq!(m.to().display_name(), "%Z%45");
    assert_eq!(m.contacts().count(), 2);
    let Some(m) = message("escnull") else { return };
    let users: Vec<_> = m.contacts().map(|c| unescape(c.unwrap().uri().user().unwrap())).collect();
    assert_eq!(users, ["\0", "\0\0"]);
}

#[test]
fn what_is_left_to_the_layers_above() {
    let Some(m) = message("regbadct") else { return };
    assert!(m.contacts().next().unwrap().is_err());
    let Some(m) = message("badaspec") else { return };
    assert_eq!(m.to().uri_str(), "sip:t.watson@example.org");
    let Some(m) = message("badbranch") else { return };
    assert_eq!((m.via().branch(), m.via().transaction_branch()), (Some("z9hG4bK"), None));
    let Some(m) = message("dblreq") else { return };
    assert_eq!((m.method(), m.body()), (&Method::Register, &b""[..]));
    let Some(m) = message("unkscm") else { return };
    assert_eq!(m.uri().unwrap().scheme_str(), "nobodyKnowsThisScheme");
    let Some(m) = message("novelsc") else { return };
    assert_eq!(m.uri().unwrap().scheme(), Scheme::Other);
    let Some(m) = message("bext01") else { return };
    assert_eq!(
        m.require().collect::<Vec<_>>(),
        ["nothingSupportsThis", "nothingSupportsThisEither"]
    );
    let Some(m) = message("cparam01") else { return };
    assert!(m.contacts().next().unwrap().unwrap().param("unknownparam").is_some());
    let Some(m) = message("cparam02") else { return };
    assert!(m.contacts().next().unwrap().unwrap().uri().param("unknownparam").is_some());
    let Some(m) = message("inv2543") else { return };
    assert_eq!((m.via().branch(), m.from_tag(), m.max_forwards()), (None, None, None));
    assert!(m.has_body("application", "sdp"));
    let Some(m) = message("noreason") else { return };
    assert_eq!((m.status(), m.reason()), (Some(100), ""));
    let Some(m) = message("lwsstart") else { return };
    assert_eq!(m.request_uri(), Some("sip:user@example.com"));
    let Some(m) = message("mpart01") else { return };
    assert_eq!(
        m.content_type().unwrap().params().find("boundary").unwrap().text(),
        "7a9cbec02ceef655"
    );
    assert_eq!(m.body().len(), 553);
}

#[test]
fn ipv6_wherever_it_may_stand() {
    let Some(m) = message("port-ambiguous") else { return };
    let uri = m.uri().unwrap();
    assert_eq!((uri.host(), uri.port()), ("[2001:db8::10:5070]", None));
    let Some(m) = message("port-unambiguous") else { return };
    let uri = m.uri().unwrap();
    assert_eq!((uri.host(), uri.port()), ("[2001:db8::10]", Some(5070)));
    for name in ["via-received-param-with-delim", "via-received-param-no-delim"] {
        let Some(m) = message(name) else { return };
        assert_eq!(m.via().received(), Some("2001:db8::9:255".parse().unwrap()));
    }
    for name in ["ipv6-bug-abnf-3-colons", "ipv6-correct-abnf-2-colons"] {
        let Some(m) = message(name) else { return };
        assert_eq!(m.uri().unwrap().ip(), Some("2001:db8::192.0.2.1".parse().unwrap()));
    }
    let Some(m) = message("ipv4-mapped-ipv6") else { return };
    assert_eq!(m.via().ip(), Some("::ffff:192.0.2.10".parse().unwrap()));
    assert_eq!(m.via().port(), Some(19823));
}
