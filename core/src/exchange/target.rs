//! Where a request is sent: a contact of a user, or whom a request within a call names.

use super::hop::Hop;
use super::leg::Link;
use super::route::Plan;
use crate::sip::{Scheme, Uri};

/// One place to send a request to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Target {
    /// The Request-URI there.
    pub(super) uri: String,
    /// The routes to write (RFC 3261 §16.6 step 6, RFC 3327 §5.4).
    pub(super) routes: Vec<String>,
    /// The link to send on, while it is up (RFC 5626 §7).
    pub(super) link: Option<Link>,
    /// The contact, where the Request-URI differs from it (RFC 5630 §5.3).
    pub(super) contact: Option<String>,
    /// What else leads to the same telephone (RFC 5626 §7).
    pub(super) spare: Vec<Target>,
    /// How it is sent what is too large for a datagram.
    pub(super) large: Large,
}

/// The way of a request that is too large for a datagram (RFC 3261 §18.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Large {
    /// None has been sent yet.
    #[default]
    Unknown,
    /// By TCP, if that can be.
    Stream,
    /// In a datagram after all: nobody took a connection.
    Datagram,
}

impl Target {
    /// Where a request within a call is to go.
    pub(super) fn of(plan: &Plan) -> Self {
        let (uri, routes, link) = (plan.uri.clone(), plan.routes.clone(), plan.link);
        Self { uri, routes, link, ..Self::default() }
    }

    /// The URI that says how the target is to be reached.
    pub(super) fn contact(&self) -> &str {
        self.contact.as_deref().unwrap_or(&self.uri)
    }

    /// Whether the target is to be reached in private alone (RFC 3261 §26.2.2).
    pub(super) fn is_sips(&self) -> bool {
        Uri::parse(self.contact()).is_ok_and(|uri| uri.scheme() == Scheme::Sips)
    }

    /// The targets of a request to a sips URI, or to another: the one never becomes the other,
    /// except that who has registered securely is reached securely by both (RFC 5630 §5.3). `None`
    /// when there are targets, but none for sips.
    pub(super) fn choose(targets: Vec<Self>, sips: bool) -> Option<Vec<Self>> {
        let none = targets.is_empty();
        if !sips {
            return Some(targets.into_iter().map(Self::into_sip).collect());
        }
        let chosen: Vec<Self> = targets.into_iter().filter(Self::is_sips).collect();
        (none || !chosen.is_empty()).then_some(chosen)
    }

    /// The same for a request to a sip URI.
    fn into_sip(mut self) -> Self {
        self.spare = self.spare.into_iter().map(Self::into_sip).collect();
        if let Some((scheme, rest)) = self.uri.split_once(':')
            && scheme.eq_ignore_ascii_case("sips")
        {
            let sip = format!("sip:{rest}");
            self.contact = Some(core::mem::replace(&mut self.uri, sip));
        }
        self
    }

    /// The hop of the topmost route left, else of the URI (§16.6 step 7).
    pub(super) fn next_hop(&self) -> Option<Hop> {
        match self.routes.first() {
            Some(route) => Hop::of_route(route).map(|(hop, _)| hop),
            None => Hop::of(&Uri::parse(self.contact()).ok()?),
        }
    }
}
