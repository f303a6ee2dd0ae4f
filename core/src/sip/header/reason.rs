//! Reason (RFC 3326): why a request ends something.

use core::fmt;

use crate::sip::chars::{TOKEN, all, decimal, trim};
use crate::sip::header::name::HeaderName;
use crate::sip::header::params::{Params, head};
use crate::sip::message::Message;

/// How many reasons of one message are read: each is of another protocol.
const MAX_REASONS: usize = 8;
/// How many characters of a text are kept.
const MAX_TEXT: usize = 128;

/// Why a call ends, as BYE, CANCEL or a response says it beside the status (RFC 3326, RFC 6432).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Reason {
    /// Whose numbers `cause` is one of: `SIP`, a status code, or `Q.850`, the cause of a telephone
    /// network (16 normal clearing, 17 user busy, 19 no answer, 34 no circuit, ...). Compare without case.
    pub protocol: String,
    /// The number.
    pub cause: Option<u16>,
    /// The same in words, for people.
    pub text: Option<String>,
}

impl Reason {
    /// Another of the phones that rang has answered: what a proxy tells the rest (RFC 3326 §3.1).
    pub const ANSWERED_ELSEWHERE: u16 = 200;

    /// A status code of SIP: `Reason::sip(200).text("Call completed elsewhere")`.
    pub fn sip(cause: u16) -> Self {
        Self { protocol: "SIP".to_owned(), cause: Some(cause), text: None }
    }

    /// A cause of the telephone network (ITU-T Q.850), 1 to 127.
    pub fn q850(cause: u16) -> Self {
        Self { protocol: "Q.850".to_owned(), ..Self::sip(cause) }
    }

    /// With words, of which the first 128 characters count.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text = Some(clean(text));
        self
    }

    /// Whether it is that cause of that protocol.
    pub fn is(&self, protocol: &str, cause: u16) -> bool {
        self.protocol.eq_ignore_ascii_case(protocol) && self.cause == Some(cause)
    }

    /// Whether it may stand in a message: the protocol is a token.
    pub(crate) fn is_valid(&self) -> bool {
        all(self.protocol.as_bytes(), TOKEN)
    }

    /// What a message says; values that cannot be read are left out, and so is a second one of the same
    /// protocol (§2).
    pub(crate) fn of(message: &Message) -> Vec<Self> {
        let mut reasons: Vec<Self> = Vec::new();
        for reason in message.values(HeaderName::Reason).filter_map(Self::read) {
            let is_new = |other: &Self| !other.protocol.eq_ignore_ascii_case(&reason.protocol);
            if reasons.len() < MAX_REASONS && reasons.iter().all(is_new) {
                reasons.push(reason);
            }
        }
        reasons
    }

    fn read(value: &str) -> Option<Self> {
        let protocol = head(value);
        let params = Params::new(trim(value.get(protocol.len()..)?));
        let cause = params.clone().find("cause").and_then(|it| decimal(it.text().as_bytes()));
        let text = params.find("text").map(|it| clean(&unescape(it.text())));
        let cause = cause.and_then(|cause| u16::try_from(cause).ok());
        let reason = Self { protocol: protocol.to_owned(), cause, text };
        reason.is_valid().then_some(reason)
    }
}

impl fmt::Display for Reason {
    /// As it stands in a message: `Q.850;cause=16;text="Terminated"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        let Some(text) = &self.text else { return Ok(()) };
        f.write_str(";text=\"")?;
        for letter in clean(text).chars() {
            if matches!(letter, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{letter}")?;
        }
        f.write_str("\"")
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(MAX_TEXT).collect()
}

/// The text that stands between quotation marks.
fn unescape(text: &str) -> String {
    let mut letters = text.chars();
    core::iter::from_fn(|| match letters.next()? {
        '\\' => letters.next(),
        letter => Some(letter),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_read_as_they_are_written() {
        for (value, reason) in [
            (
                "SIP ;cause=200 ;text=\"Call completed elsewhere\"",
                Reason::sip(200).text("Call completed elsewhere"),
            ),
            ("Q.850;cause=16;text=\"say \\\"bye\\\"\"", Reason::q850(16).text("say \"bye\"")),
            ("q.850 ; x=y ; CAUSE = 17", Reason { protocol: "q.850".into(), ..Reason::q850(17) }),
            (
                "FreeSWITCH;text=PICKED_OFF",
                Reason {
                    protocol: "FreeSWITCH".into(),
                    cause: None,
                    text: Some("PICKED_OFF".into()),
                },
            ),
            ("SIP;cause=99999", Reason { cause: None, ..Reason::sip(0) }),
        ] {
            assert_eq!(Reason::read(value), Some(reason.clone()), "{value}");
            assert_eq!(Reason::read(&reason.to_string()), Some(reason), "{value}");
        }
        assert_eq!(Reason::read(";cause=16"), None);
        assert_eq!(Reason::read("a b;cause=16"), None);
        let long = Reason::sip(200).text(&"x\r\n".repeat(1_000)).to_string();
        assert_eq!(long.len(), "SIP;cause=200;text=\"\"".len() + MAX_TEXT);
    }
}
