//! The route set of a dialog (RFC 3261 §12.1, §12.2.1.1).

use crate::sip::{Malformed, Message, NameAddr};

/// The proxies that the requests of a dialog visit, in order. Fixed when the dialog is made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct RouteSet {
    /// Each as it stood in Record-Route, parameters and all.
    routes: Box<[Box<str>]>,
}

/// How one request travels (§12.2.1.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Course<'a> {
    /// What to write as the Request-URI.
    pub(crate) request_uri: &'a str,
    /// What to write as Route header fields, in order.
    pub(crate) routes: Vec<String>,
    /// The URI that names the next hop.
    pub(crate) next_hop: &'a str,
}

/// The longest route set taken: more proxies than any call needs to cross.
const MAX_ROUTES: usize = 32;

impl RouteSet {
    /// That of the caller, from a response: Record-Route from the last to the first (§12.1.2).
    ///
    /// # Errors
    /// When a Record-Route cannot be read or is no SIP URI, or there are more than [`MAX_ROUTES`].
    pub(crate) fn of_caller(response: &Message) -> Result<Self, Malformed> {
        let mut set = Self::of_callee(response)?;
        set.routes.reverse();
        Ok(set)
    }

    /// That of the callee, from the request: Record-Route in order (§12.1.1).
    ///
    /// # Errors
    /// As [`of_caller`](Self::of_caller).
    pub(crate) fn of_callee(request: &Message) -> Result<Self, Malformed> {
        let mut routes = Vec::new();
        for route in request.record_routes() {
            let route = route?;
            if !route.uri().is_sip() {
                return Err(Malformed { problem: "a route is no SIP URI", at: 0 });
            }
            if routes.len() == MAX_ROUTES {
                return Err(Malformed { problem: "the route set is too long", at: 0 });
            }
            routes.push(route.as_str().into());
        }
        Ok(Self { routes: routes.into() })
    }

    /// That of a request outside a dialog which goes through `proxy`, a URI.
    pub(crate) fn through(proxy: &str) -> Self {
        Self { routes: [format!("<{proxy}>").into()].into() }
    }

    /// That of a request outside a dialog which then goes on by these routes, in order (RFC 3608
    /// §6.1: they are appended). One that leads again where it comes from is left out.
    pub(crate) fn and_then(&self, further: &[String]) -> Self {
        let uri = |route: &str| NameAddr::parse(route).ok().map(|route| route.uri_str().to_owned());
        let last = self.routes.last().and_then(|last| uri(last));
        let again = last.is_some() && further.first().and_then(|first| uri(first)) == last;
        let further = further.iter().skip(again.into()).map(|route| route.as_str().into());
        Self { routes: self.routes.iter().cloned().chain(further).take(MAX_ROUTES).collect() }
    }

    /// The same with every URI in private: "simply by changing the scheme" (RFC 5630 §5.1.1).
    pub(crate) fn secured(self) -> Self {
        let secured = |route: &str| match route.split_at_checked("<sip:".len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case("<sip:") => {
                format!("<sips:{rest}").into()
            }
            _ => route.into(),
        };
        Self { routes: self.routes.iter().map(|route| secured(route)).collect() }
    }

    /// How a request to `target` travels.
    pub(crate) fn course<'a>(&'a self, target: &'a str) -> Course<'a> {
        let mut routes = self.routes.iter().map(|route| route.to_string());
        let first = self.routes.first().and_then(|first| NameAddr::parse(first).ok());
        match first.map(|first| first.uri()) {
            None => Course { request_uri: target, routes: Vec::new(), next_hop: target },
            Some(first) if first.param("lr").is_some() => {
                Course { request_uri: target, routes: routes.collect(), next_hop: first.as_str() }
            }
            // A strict router: it finds its own URI as the Request-URI, and the target last.
            Some(first) => {
                routes.next();
                let mut routes: Vec<String> = routes.collect();
                routes.push(format!("<{target}>"));
                let request_uri = first.without_headers();
                Course { request_uri, routes, next_hop: first.as_str() }
            }
        }
    }
}
