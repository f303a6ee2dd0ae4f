//! Content-Type (RFC 3261 §20.15).

use crate::sip::chars::{TOKEN, run, skip_space};
use crate::sip::check_value;
use crate::sip::error::Malformed;
use crate::sip::header::params::{Params, walk};

/// A media type: `application/sdp`, `multipart/mixed;boundary="x"`.
#[derive(Clone, Copy, Debug)]
pub struct MediaType<'a> {
    kind: &'a str,
    subtype: &'a str,
    params: &'a str,
}

impl<'a> MediaType<'a> {
    /// Parses the value of Content-Type or one value of Accept.
    pub fn parse(value: &'a str) -> Result<Self, Malformed> {
        let text = value.as_bytes();
        let end = run(text, 0, TOKEN);
        let slash = skip_space(text, end);
        if end == 0 || text.get(slash) != Some(&b'/') {
            return Err(Malformed::new("a media type has no slash", slash));
        }
        let from = skip_space(text, slash + 1);
        let to = run(text, from, TOKEN);
        if to == from {
            return Err(Malformed::new("a media type has no subtype", from));
        }
        let after = walk(text, to, |_, _| {})?;
        if after != text.len() {
            return Err(Malformed::new("something follows the media type", after));
        }
        Ok(Self {
            kind: value.get(..end).unwrap_or_default(),
            subtype: value.get(from..to).unwrap_or_default(),
            params: value.get(to..).unwrap_or_default(),
        })
    }

    /// The type: `application`.
    pub fn kind(&self) -> &'a str {
        self.kind
    }

    /// The subtype: `sdp`.
    pub fn subtype(&self) -> &'a str {
        self.subtype
    }

    /// The parameters.
    pub fn params(&self) -> Params<'a> {
        Params::new(self.params)
    }

    /// Whether it is that type and subtype, in any case, whatever the parameters.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
    }
}

/// Whether text of an application may be the value of Content-Type.
pub(crate) fn is_media_type(value: &str) -> bool {
    check_value(value).is_ok() && MediaType::parse(value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        let sdp = MediaType::parse("Application / SDP").unwrap();
        assert!(sdp.is("application", "sdp"));
        let mixed = MediaType::parse("multipart/mixed; boundary=\"a b\"").unwrap();
        assert_eq!(mixed.params().find("BOUNDARY").map(|p| p.text()), Some("a b"));
        for bad in ["", "sdp", "/sdp", "application/", "a/b;;c", "a/b c"] {
            assert!(MediaType::parse(bad).is_err(), "{bad}");
        }
    }
}
