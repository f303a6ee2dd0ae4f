//! The end of a session by us (RFC 3261 §15.1.1).

use super::ask::Ask;
use crate::call::Ending;
use crate::sip::Method;

/// BYE, from the wish to its answer. It waits for the ACK of our 2xx (§15 forbids BYE before that)
/// and for a path.
#[derive(Debug)]
pub(super) struct Parting {
    pub(super) bye: Ask,
    pub(super) ending: Ending,
}

impl Parting {
    pub(super) fn new(ending: Ending) -> Self {
        Self { bye: Ask::new(Method::Bye), ending }
    }
}
