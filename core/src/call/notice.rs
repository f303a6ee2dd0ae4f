//! NOTIFY of a referral, as it comes (RFC 3515 §2.4.4 to §2.4.7, RFC 6665 §4.1.3).

use super::sipfrag::Report;
use crate::agent::{Context, Query, Response};
use crate::sip::{HeaderName, Message, head};

/// What one NOTIFY says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Notice<'a> {
    /// Which REFER it is about, by that one's CSeq number: a far end that was sent more than one has
    /// to say (RFC 3515 §2.4.6).
    pub(super) id: Option<&'a str>,
    /// Whether it is the last.
    pub(super) terminated: bool,
    pub(super) report: Report,
}

impl<'a> Notice<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// What to answer when it is none of a referral, or no NOTIFY by RFC 6665.
    pub(super) fn read(notify: &'a Message) -> Result<Self, Response<'static>> {
        let event = notify.header(HeaderName::Event).unwrap_or_default();
        if !head(event).eq_ignore_ascii_case("refer") {
            // RFC 6665 §8.3.2.
            return Err(Response::new(489).field(HeaderName::AllowEvents, "refer"));
        }
        let Some(state) = notify.header(HeaderName::SubscriptionState) else {
            return Err(Response::new(400).reason(Some("Missing Subscription-State")));
        };
        let terminated = head(state).eq_ignore_ascii_case("terminated");
        Ok(Self { id: parameter(event, "id"), terminated, report: Report::of(notify) })
    }

    /// Answers it.
    pub(super) fn answer(&self, cx: &mut Context<'_>, query: &Query) {
        let response = match self.report {
            Report::Status(_) | Report::Nothing => Response::new(200),
            Report::Malformed => Response::new(400).reason(Some("Malformed Status Line")),
            Report::Unsupported => Response::new(415).field(HeaderName::Accept, "message/sipfrag"),
        };
        cx.respond(query, response);
    }
}

/// A parameter of a value whose grammar has no quotes.
pub(crate) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.split(';').skip(1).find_map(|parameter| {
        let (found, value) = parameter.split_once('=')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_whatever_their_spaces() {
        let value = "a84b4c76e66710 ; local-tag=x;REMOTE-TAG = y";
        assert_eq!(head(value), "a84b4c76e66710");
        assert_eq!(parameter(value, "local-tag"), Some("x"));
        assert_eq!(parameter(value, "remote-tag"), Some("y"));
        assert_eq!(parameter(value, "id"), None);
        assert_eq!(parameter("", "id"), None);
    }
}
