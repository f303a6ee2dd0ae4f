//! Header fields that an application may add to requests, and values that cannot be used.

use crate::error::Error;
use crate::sip::{HeaderName, check_name, check_value};

/// Checks a header field that an application wants to add to a request.
///
/// # Errors
/// [`Error::InvalidValue`] for one that the phone writes itself, a name that is none, and a value
/// with a line feed or a NUL.
pub fn check_header(name: &str, value: &str) -> Result<(), Error> {
    const OURS: [HeaderName; 23] = [
        HeaderName::Accept,
        HeaderName::Allow,
        HeaderName::Authorization,
        HeaderName::CallId,
        HeaderName::Contact,
        HeaderName::ContentEncoding,
        HeaderName::ContentLength,
        HeaderName::ContentType,
        HeaderName::CSeq,
        HeaderName::Expires,
        HeaderName::From,
        HeaderName::MaxForwards,
        HeaderName::ProxyAuthorization,
        HeaderName::ProxyRequire,
        HeaderName::RecordRoute,
        HeaderName::Require,
        HeaderName::Route,
        HeaderName::RSeq,
        HeaderName::Supported,
        HeaderName::To,
        HeaderName::Unsupported,
        HeaderName::UserAgent,
        HeaderName::Via,
    ];
    check_field(name, value, &OURS)
}

/// Checks a header field of the application: none of `ours`.
pub(super) fn check_field(name: &str, value: &str, ours: &[HeaderName]) -> Result<(), Error> {
    check_name(name).map_err(|_| Error::invalid("header name", name, "it is no token"))?;
    if ours.contains(&HeaderName::from_str(name)) {
        return Err(Error::invalid(
            "header name",
            name,
            "the phone writes this header field itself",
        ));
    }
    check_value(value).map_err(|_| Error::invalid("header", value, "it holds a line feed or a NUL"))
}
