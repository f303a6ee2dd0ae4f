//! The end of a session by us (RFC 3261 §15.1.1).

use super::ask::Ask;
use crate::call::Ending;
use crate::error::Error;
use crate::sip::{HeaderName, Method};

/// BYE, from the wish to its answer. It waits for the ACK of our 2xx (§15 forbids BYE before that)
/// and for a path.
#[derive(Debug)]
pub(super) struct Termination {
    pub(super) bye: Ask,
    pub(super) ending: Ending,
}

/// Why a call is hung up that nobody could hear.
const NO_MEDIA: &str = "SIP ;cause=488 ;text=\"Not Acceptable Here\"";

impl Termination {
    pub(super) fn new(ending: Ending) -> Self {
        let bye = match ending.error {
            // RFC 3326: a far end that has just answered wants to know.
            Some(Error::NoMedia { .. }) => {
                Ask::new(Method::Bye).field(HeaderName::Reason, NO_MEDIA)
            }
            _ => Ask::new(Method::Bye),
        };
        Self { bye, ending }
    }
}
