//! Names of header fields (RFC 3261 §7.3.1, §20; the IANA registry for the later ones).

use core::fmt;

macro_rules! header_names {
    ($($(#[$doc:meta])* $variant:ident = $long:literal $(, $compact:literal)?;)*) => {
        /// The name of a header field. Only those that this library handles have a variant.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum HeaderName {
            $(#[doc = $long] $variant,)*
            /// Any other: see [`Message::header_by_name`](crate::sip::Message::header_by_name).
            Other,
        }

        /// All names, in the order of the variants.
        const NAMES: &[(HeaderName, &str)] = &[$((HeaderName::$variant, $long),)*];

        impl HeaderName {
            /// The compact form's letter (§7.3.3), in lower case.
            const fn from_letter(letter: u8) -> Self {
                match letter {
                    $($($compact => Self::$variant,)?)*
                    _ => Self::Other,
                }
            }
        }
    };
}

header_names! {
    Accept = "Accept";
    AcceptContact = "Accept-Contact", b'a';
    AcceptEncoding = "Accept-Encoding";
    AcceptLanguage = "Accept-Language";
    AlertInfo = "Alert-Info";
    Allow = "Allow";
    AllowEvents = "Allow-Events", b'u';
    AuthenticationInfo = "Authentication-Info";
    Authorization = "Authorization";
    CallId = "Call-ID", b'i';
    CallInfo = "Call-Info";
    Contact = "Contact", b'm';
    ContentDisposition = "Content-Disposition";
    ContentEncoding = "Content-Encoding", b'e';
    ContentLanguage = "Content-Language";
    ContentLength = "Content-Length", b'l';
    ContentType = "Content-Type", b'c';
    CSeq = "CSeq";
    Date = "Date";
    Diversion = "Diversion";
    ErrorInfo = "Error-Info";
    Event = "Event", b'o';
    Expires = "Expires";
    FlowTimer = "Flow-Timer";
    From = "From", b'f';
    HistoryInfo = "History-Info";
    Identity = "Identity", b'y';
    InReplyTo = "In-Reply-To";
    Join = "Join";
    MaxForwards = "Max-Forwards";
    MimeVersion = "MIME-Version";
    MinExpires = "Min-Expires";
    MinSe = "Min-SE";
    Organization = "Organization";
    PAssertedIdentity = "P-Asserted-Identity";
    Path = "Path";
    PPreferredIdentity = "P-Preferred-Identity";
    Priority = "Priority";
    Privacy = "Privacy";
    ProxyAuthenticate = "Proxy-Authenticate";
    ProxyAuthenticationInfo = "Proxy-Authentication-Info";
    ProxyAuthorization = "Proxy-Authorization";
    ProxyRequire = "Proxy-Require";
    RAck = "RAck";
    Reason = "Reason";
    RecordRoute = "Record-Route";
    ReferredBy = "Referred-By", b'b';
    ReferSub = "Refer-Sub";
    ReferTo = "Refer-To", b'r';
    RejectContact = "Reject-Contact", b'j';
    Replaces = "Replaces";
    ReplyTo = "Reply-To";
    RequestDisposition = "Request-Disposition", b'd';
    Require = "Require";
    RetryAfter = "Retry-After";
    Route = "Route";
    RSeq = "RSeq";
    Server = "Server";
    ServiceRoute = "Service-Route";
    SessionExpires = "Session-Expires", b'x';
    SipETag = "SIP-ETag";
    SipIfMatch = "SIP-If-Match";
    Subject = "Subject", b's';
    SubscriptionState = "Subscription-State";
    Supported = "Supported", b'k';
    TargetDialog = "Target-Dialog";
    Timestamp = "Timestamp";
    To = "To", b't';
    Unsupported = "Unsupported";
    UserAgent = "User-Agent";
    Via = "Via", b'v';
    Warning = "Warning";
    WwwAuthenticate = "WWW-Authenticate";
}

impl HeaderName {
    /// The long name: `Call-ID`; empty for [`HeaderName::Other`].
    pub fn as_str(self) -> &'static str {
        NAMES.get(self as usize).map_or("", |(_, long)| long)
    }

    /// The field that a name means, long or compact, in any case.
    #[allow(clippy::should_implement_trait, reason = "cannot fail")]
    #[inline]
    pub fn from_str(name: &str) -> Self {
        Self::find(name.as_bytes()).0
    }

    /// The field that a name means, and whether it is the long name exactly as [`Self::as_str`] has it.
    #[inline]
    pub(crate) fn find(name: &[u8]) -> (Self, bool) {
        let (Some(&first), Some(&last)) = (name.first(), name.last()) else {
            return (Self::Other, false);
        };
        if name.len() == 1 {
            return (Self::from_letter(first | LOWER), false);
        }
        let mut slot = hash(name.len(), first, last);
        while let Some(&index) = TABLE.get(slot)
            && let Some(&(found, long)) = NAMES.get(usize::from(index))
        {
            if name == long.as_bytes() {
                return (found, true);
            }
            if name.eq_ignore_ascii_case(long.as_bytes()) {
                return (found, false);
            }
            slot = (slot + 1) % SLOTS;
        }
        (Self::Other, false)
    }
}

/// Whether both mean the same header field, long or compact, in any case.
pub(crate) fn is_same_name(name: &str, other: &str) -> bool {
    match HeaderName::from_str(name) {
        HeaderName::Other => name.eq_ignore_ascii_case(other),
        known => known == HeaderName::from_str(other),
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Turns an upper-case letter into lower case; other bytes of a token into nothing that is a letter.
const LOWER: u8 = 0x20;
const SLOTS: usize = 256;
const FREE: u8 = 0xff;

/// Where each name stands by its length, first and last letter; filled when this is compiled, the
/// next free slot taken when two fall on one.
#[allow(clippy::indexing_slicing, reason = "runs when this is compiled")]
static TABLE: [u8; SLOTS] = {
    let mut table = [FREE; SLOTS];
    let mut index = 0;
    while index < NAMES.len() {
        let name = NAMES[index].1.as_bytes();
        let mut slot = hash(name.len(), name[0], name[name.len() - 1]);
        while table[slot] != FREE {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = index as u8;
        index += 1;
    }
    table
};

#[inline]
const fn hash(len: usize, first: u8, last: u8) -> usize {
    (len.wrapping_mul(7)
        ^ ((first | LOWER) as usize).wrapping_mul(29)
        ^ ((last | LOWER) as usize * 5))
        % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for &(name, long) in NAMES {
            assert_eq!(HeaderName::from_str(long), name);
            assert_eq!(HeaderName::from_str(&long.to_uppercase()), name);
            assert_eq!(HeaderName::from_str(&long.to_lowercase()), name);
            assert_eq!(name.as_str(), long);
            assert_eq!(HeaderName::from_str(&format!("{long}x")), HeaderName::Other);
        }
        for other in ["", "q", "V1", "Vi", "X-Via", "C%6Fntact", "Call\rID"] {
            assert_eq!(HeaderName::from_str(other), HeaderName::Other, "{other}");
        }
    }

    #[test]
    fn compact_forms() {
        use HeaderName::*;
        let expected = [
            ("i", CallId),
            ("m", Contact),
            ("e", ContentEncoding),
            ("l", ContentLength),
            ("c", ContentType),
            ("f", From),
            ("s", Subject),
            ("k", Supported),
            ("t", To),
            ("v", Via),
            ("u", AllowEvents),
            ("o", Event),
            ("r", ReferTo),
            ("b", ReferredBy),
            ("x", SessionExpires),
            ("a", AcceptContact),
            ("j", RejectContact),
            ("d", RequestDisposition),
            ("y", Identity),
        ];
        for (letter, name) in expected {
            assert_eq!(HeaderName::from_str(letter), name);
            assert_eq!(HeaderName::from_str(&letter.to_uppercase()), name);
        }
    }
}
