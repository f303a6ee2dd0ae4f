//! Route information (RFC 3261 §16.4).

use super::domain::{Domain, Seal};
use crate::sip::{HeaderName, Message, NameAddr, Uri};

/// Where a request is to go, as far as it says itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Plan {
    /// The Request-URI after §16.4's fix-up.
    pub(super) uri: String,
    /// The routes left after ours were taken off.
    pub(super) routes: Vec<String>,
    /// Whether one of them, or the Request-URI, was sealed by us for this Call-ID: the request
    /// belongs to a call that we connected.
    pub(super) sealed: bool,
}

impl Plan {
    /// Reads the route information of a request; an error is the status code to answer.
    pub(super) fn read(request: &Message, domain: &Domain, seal: Seal) -> Result<Self, u16> {
        let mut uri = request.request_uri().unwrap_or_default().to_owned();
        let mut routes: Vec<String> =
            request.values(HeaderName::Route).map(str::to_owned).collect();
        let mut sealed = false;
        // A strict router before us put our route into the Request-URI and the real target last.
        if let Ok(own) = Uri::parse(&uri)
            && domain.is_ours(&own)
            && seal.is_on(&own, request.call_id())
        {
            sealed = true;
            let last = routes.pop().ok_or(400_u16)?;
            uri = NameAddr::parse(&last).map_err(|_| 400_u16)?.uri_str().to_owned();
        }
        let mut is_ours: fn(&Domain, &Uri<'_>) -> bool = Domain::is_ours;
        while let Some(first) = routes.first() {
            let first = NameAddr::parse(first).map_err(|_| 400_u16)?;
            if !is_ours(domain, &first.uri()) {
                break;
            }
            sealed |= seal.is_on(&first.uri(), request.call_id());
            routes.remove(0);
            // The request came here by the first; the next may be another proxy at an address
            // that only looks like one of ours.
            is_ours = Domain::is_surely_ours;
        }
        match routes.iter().all(|route| NameAddr::parse(route).is_ok()) {
            true => Ok(Self { uri, routes, sealed }),
            false => Err(400),
        }
    }
}
