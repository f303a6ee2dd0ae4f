//! Where a REFER sends us (RFC 3515 §2.1, RFC 3261 §19.1.5, RFC 3892).

use crate::event::Cause;
use crate::sip::{
    HeaderName, Message, NameAddr, Scheme, Uri, check_value, find, reason_phrase, unescape,
};

/// What a REFER asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reference {
    /// Whom to call: a URI without headers and without a method.
    pub(crate) target: String,
    /// What to write into the INVITE: Referred-By as it came, and what Refer-To asks for that does no
    /// harm.
    pub(crate) headers: Vec<(String, String)>,
    /// Who sends us there.
    pub(crate) by: String,
}

/// The header fields that a Refer-To may ask for and gets. RFC 3261 §19.1.5: what could make the
/// request another one than its sender means is not taken.
const TAKEN: [&str; 3] = ["Subject", "User-to-User", "Organization"];

/// Those without which the call would be another than was asked for: to leave them out would be
/// worse than to refuse.
const ESSENTIAL: [&str; 4] = ["Replaces", "Join", "Require", "body"];

impl Reference {
    /// Reads it.
    ///
    /// # Errors
    /// What to answer when it cannot be followed.
    pub(crate) fn read(refer: &Message) -> Result<Self, Cause> {
        // RFC 3515 §2.4.2.
        let mut targets = refer.headers(HeaderName::ReferTo);
        let (Some(value), None) = (targets.next(), targets.next()) else {
            return Err(cause(400, "One Refer-To is Needed"));
        };
        let address = NameAddr::parse(value).map_err(|_| cause(400, "Malformed Refer-To"))?;
        let uri = address.uri();
        match uri.scheme() {
            Scheme::Sip | Scheme::Sips | Scheme::Tel if !address.is_star() => {}
            _ => return Err(plain(416)),
        }
        if uri.param("method").is_some_and(|method| !method.text().eq_ignore_ascii_case("INVITE")) {
            return Err(plain(501));
        }
        let mut headers = Vec::new();
        for (name, value) in uri.headers() {
            let name = unescape(name);
            if ESSENTIAL.iter().any(|essential| name.eq_ignore_ascii_case(essential)) {
                return Err(plain(501));
            }
            if let Some(name) = TAKEN.iter().find(|taken| name.eq_ignore_ascii_case(taken)) {
                let value = unescape(value);
                check_value(&value).map_err(|_| cause(400, "Malformed Refer-To"))?;
                headers.push(((*name).to_owned(), value.into_owned()));
            }
        }
        let mut by = refer.from().uri_str().to_owned();
        // RFC 3892 §2.1: at most one.
        let mut referrers = refer.headers(HeaderName::ReferredBy);
        if let Some(value) = referrers.next() {
            let malformed = || cause(400, "Malformed Referred-By");
            let referrer = NameAddr::parse(value).map_err(|_| malformed())?;
            if referrers.next().is_some() || referrer.is_star() {
                return Err(malformed());
            }
            // A token in the body would have to go along (§2.2), and bodies are not passed on.
            if referrer.param("cid").is_some() {
                return Err(plain(501));
            }
            by = referrer.uri_str().to_owned();
            headers.push((HeaderName::ReferredBy.as_str().to_owned(), value.to_owned()));
        }
        Ok(Self { target: without_method(&uri), headers, by })
    }
}

/// A URI as it may be a Request-URI (RFC 3261 §19.1.1).
fn without_method(uri: &Uri<'_>) -> String {
    let text = uri.without_headers();
    let Some(method) = uri.param("method") else { return text.to_owned() };
    let parameter = method.to_string();
    let mut text = text.to_owned();
    if let Some(at) = find(text.as_bytes(), parameter.as_bytes()) {
        text.drain(at..at + parameter.len());
    }
    text
}

fn plain(code: u16) -> Cause {
    cause(code, reason_phrase(code))
}

fn cause(code: u16, reason: &str) -> Cause {
    Cause::new(code, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<Reference, Cause> {
        let text = format!(
            "REFER sip:bob@b.example SIP/2.0\nVia: SIP/2.0/UDP a.example;branch=z9hG4bK1\n\
             From: Alice <sip:alice@a.example>;tag=a\nTo: Bob <sip:bob@b.example>;tag=b\n\
             Call-ID: c\nCSeq: 7 REFER\n{more}Content-Length: 0\n\n"
        );
        let message = Message::parse(text.replace('\n', "\r\n").as_bytes());
        Reference::read(&message.expect("it is a message"))
    }

    fn refused(more: &str) -> u16 {
        read(more).expect_err(more).code
    }

    #[test]
    fn a_target_is_taken_without_what_a_request_uri_may_not_have() {
        for (value, target) in [
            ("sip:carol@c.example", "sip:carol@c.example"),
            (
                "Carol <sip:carol@c.example:5070;transport=udp>",
                "sip:carol@c.example:5070;transport=udp",
            ),
            ("<sip:carol@c.example;method=INVITE>", "sip:carol@c.example"),
            ("<sip:carol@c.example;x=y;method=invite;lr>", "sip:carol@c.example;x=y;lr"),
            ("<sip:carol@c.example?Subject=a%20b&Priority=urgent>", "sip:carol@c.example"),
            ("<tel:+1-201-555-0123>", "tel:+1-201-555-0123"),
        ] {
            let reference = read(&format!("Refer-To: {value}\n")).unwrap();
            assert_eq!(
                (reference.target.as_str(), reference.by.as_str()),
                (target, "sip:alice@a.example")
            );
        }
    }

    #[test]
    fn harmless_headers_go_along() {
        let field = "Referred-By: \"Al\" <sip:al@a.example;x=1>;y=2\n";
        let more = format!("{field}r: <sip:c@d?subject=a%20b&From=x&Route=%3Csip:evil%3E>\n");
        let reference = read(&more).unwrap();
        let expected = [("Subject", "a b"), ("Referred-By", "\"Al\" <sip:al@a.example;x=1>;y=2")];
        assert_eq!(reference.headers, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(reference.by, "sip:al@a.example;x=1");
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        for (code, more) in [
            (400, ""),
            (400, "Refer-To: <sip:c@d>\nRefer-To: <sip:e@f>\n"),
            (400, "Refer-To: <sip:c@d>, <sip:e@f>\n"),
            (400, "Refer-To: nonsense\n"),
            (400, "Refer-To: <sip:c@d?Subject=a%0D%0AEvil:%20x>\n"),
            (400, "Refer-To: <sip:c@d>\nReferred-By: <sip:a@b>\nReferred-By: <sip:a@b>\n"),
            (400, "Refer-To: <sip:c@d>\nReferred-By: x\n"),
            (416, "Refer-To: <http://www.ietf.org>\n"),
            (416, "Refer-To: *\n"),
            (501, "Refer-To: <sip:c@d;method=SUBSCRIBE>\n"),
            (501, "Refer-To: <sip:c@d?Replaces=12345%40h%3Bto-tag%3D1%3Bfrom-tag%3D2>\n"),
            (501, "Refer-To: <sip:c@d?Repl%61ces=1>\n"),
            (501, "Refer-To: <sip:c@d>\nReferred-By: sip:a@b;cid=\"2UWQ@b\"\n"),
        ] {
            assert_eq!(refused(more), code, "{more}");
        }
    }
}
