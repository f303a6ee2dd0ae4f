//! Where a request is sent: a contact of a user, or whom a request within a call names.

use super::hop::Hop;
use super::leg::Link;
use super::route::Plan;
use crate::sip::Uri;

/// One place to send a request to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Target {
    /// The Request-URI there.
    pub(super) uri: String,
    /// The routes to write (RFC 3261 §16.6 step 6, RFC 3327 §5.4).
    pub(super) routes: Vec<String>,
    /// The link to send on, while it is up (RFC 5626 §7).
    pub(super) link: Option<Link>,
}

impl Target {
    /// Where a request within a call is to go.
    pub(super) fn of(plan: &Plan) -> Self {
        Self { uri: plan.uri.clone(), routes: plan.routes.clone(), link: plan.link }
    }

    /// The hop of the topmost route left, else of the URI (§16.6 step 7).
    pub(super) fn next_hop(&self) -> Option<Hop> {
        match self.routes.first() {
            Some(route) => Hop::of_route(route).map(|(hop, _)| hop),
            None => Hop::of(&Uri::parse(&self.uri).ok()?),
        }
    }
}
