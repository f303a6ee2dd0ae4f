//! A handler's own answer: [`SipAnswer`].

use super::is_identity;
use crate::sip::{Method, check_name, check_value, is_media_type};

/// A response that a handler gives in place of the phone: final, so its code is 200 to 699; to INVITE
/// 300 to 699, for a call that the phone does not know could not be ended. Via, From, To with a tag,
/// Call-ID, CSeq and Server are added.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SipAnswer {
    pub(crate) code: u16,
    pub(crate) reason: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<(String, Vec<u8>)>,
}

impl SipAnswer {
    /// An answer with this status code and the RFC's reason phrase.
    pub fn new(code: u16) -> Self {
        Self { code, reason: None, headers: Vec::new(), body: None }
    }

    /// Sets the reason phrase.
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body of that type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.body = Some((content_type.to_owned(), body.to_owned()));
        self
    }

    /// Whether it can be an answer to a request of that method.
    pub(crate) fn fits(&self, method: &Method) -> bool {
        let lowest = if *method == Method::Invite { 300 } else { 200 };
        let plain = |(name, value): &(String, String)| {
            check_name(name).is_ok() && check_value(value).is_ok() && !is_identity(name)
        };
        (lowest..=699).contains(&self.code)
            && self.reason.as_ref().is_none_or(|reason| check_value(reason).is_ok())
            && self.headers.iter().all(plain)
            && self.body.as_ref().is_none_or(|(kind, _)| is_media_type(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_final_response_that_can_be_written_fits() {
        let fits = |answer: SipAnswer| answer.fits(&Method::Options);
        assert!(fits(SipAnswer::new(200).reason("Fine").header("X", "y").body("a/b", b"c")));
        assert!(fits(SipAnswer::new(699)) && !fits(SipAnswer::new(700)));
        assert!(!fits(SipAnswer::new(199)));
        assert!(!SipAnswer::new(200).fits(&Method::Invite), "nobody would hold that call");
        assert!(SipAnswer::new(302).fits(&Method::Invite));
        assert!(!fits(SipAnswer::new(200).header("X", "y\nZ: 1")));
        assert!(!fits(SipAnswer::new(200).header("To", "<sip:a@h>")));
        assert!(!fits(SipAnswer::new(200).reason("a\r\n")));
        assert!(!fits(SipAnswer::new(200).body("text", b"x")));
    }
}
