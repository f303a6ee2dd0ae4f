//! Route information (RFC 3261 §16.4).

use super::domain::Domain;
use super::seal::Seal;
use super::side::PeerFlow;
use crate::sip::{HeaderName, Message, NameAddr, Uri};

/// Where a request is to go, as far as it says itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Plan {
    /// The Request-URI after §16.4's fix-up.
    pub(super) uri: String,
    /// The routes left after ours were taken off.
    pub(super) routes: Vec<String>,
    /// Whether one of them, or the Request-URI, was sealed by us for the dialog of the request: it goes
    /// within a call that we connected.
    pub(super) sealed: bool,
    /// Whether the last of ours names a flow, be it one of an earlier run.
    pub(super) bound: bool,
    /// The flow that the last of ours names: that to where the request goes.
    pub(super) along: Option<PeerFlow>,
}

impl Plan {
    /// Reads the route information of a request; an error is the status code to answer.
    pub(super) fn read(request: &Message, domain: &Domain, seal: Seal) -> Result<Self, u16> {
        let mut uri = request.request_uri().unwrap_or_default().to_owned();
        let mut routes: Vec<String> =
            request.values(HeaderName::Route).map(str::to_owned).collect();
        let mut mark = None;
        // A strict router before us put our route into the Request-URI and the real target last.
        if let Ok(own) = Uri::parse(&uri)
            && domain.is_ours(&own)
            && let Some(found) = seal.read(&own, request)
        {
            mark = Some(found);
            let last = routes.pop().ok_or(400_u16)?;
            uri = NameAddr::parse(&last).map_err(|_| 400_u16)?.uri_str().to_owned();
        }
        // Both of the two that were recorded where the sides differ (RFC 5658 §5) go at once.
        let mut is_ours: fn(&Domain, &Uri<'_>) -> bool = Domain::is_ours;
        while let Some(first) = routes.first() {
            let first = NameAddr::parse(first).map_err(|_| 400_u16)?;
            if !is_ours(domain, &first.uri()) {
                break;
            }
            mark = seal.read(&first.uri(), request).or(mark);
            routes.remove(0);
            // The request came here by the first; the next may be another proxy at an address
            // that only looks like one of ours.
            is_ours = Domain::is_surely_ours;
        }
        match routes.iter().all(|route| NameAddr::parse(route).is_ok()) {
            true => {
                let (sealed, mark) = (mark.is_some(), mark.unwrap_or_default());
                Ok(Self { uri, routes, sealed, bound: mark.bound, along: mark.along })
            }
            false => Err(400),
        }
    }
}
