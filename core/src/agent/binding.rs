//! What a registrar says of our binding in its 200 (RFC 3261 §10.2.4).

use crate::sip::{HeaderName, Message, Uri};
use crate::time::Duration;

/// Our registration as the server's last 200 described it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Binding {
    /// The URI at which it reaches us.
    pub contact: String,
    /// The proxies by way of which it reaches us (Path, RFC 3327), the one next to it first: to be
    /// looked at, not used. At most 32.
    pub path: Vec<String>,
    /// The proxies by way of which our requests go (Service-Route, RFC 3608), in order.
    pub service_route: Vec<String>,
    /// Whether it reaches us along the very flow that we have registered on (RFC 5626).
    pub outbound: bool,
    /// The keep-alive interval that the server asks for on that flow (Flow-Timer, RFC 5626 §4.4),
    /// limited to 1 s to a day.
    pub flow_timer: Option<Duration>,
}

/// The longest Path and Service-Route taken: more proxies than any call needs to cross.
const MAX_ROUTES: usize = 32;

/// The shortest and the longest Flow-Timer taken, in seconds. Who says 0 would have us send without end.
const FLOW_TIMER: core::ops::RangeInclusive<u64> = 1..=86_400;

/// The least time between two registrations when the 200 lists bindings but not ours.
const LEAST: u32 = 30;

impl Binding {
    /// Reads the 200 to a REGISTER in which we were `contact`.
    pub(crate) fn read(contact: &str, response: &Message) -> Self {
        let addresses = |name| -> Option<Vec<String>> {
            let routes = response.addresses(name).take(MAX_ROUTES + 1);
            let routes: Result<Vec<_>, _> = routes.map(|r| r.map(|r| r.to_string())).collect();
            routes.ok().filter(|routes| routes.len() <= MAX_ROUTES)
        };
        let flow_timer = response.header(HeaderName::FlowTimer).and_then(|secs| secs.parse().ok());
        let flow_timer =
            flow_timer.map(|secs: u64| secs.clamp(*FLOW_TIMER.start(), *FLOW_TIMER.end()));
        Self {
            contact: contact.to_owned(),
            path: addresses(HeaderName::Path).unwrap_or_default(),
            // RFC 3608 §6.1: each 200 replaces the whole. What cannot be read is as good as none.
            service_route: addresses(HeaderName::ServiceRoute).unwrap_or_default(),
            outbound: response.require().any(|tag| tag.eq_ignore_ascii_case("outbound")),
            flow_timer: flow_timer.map(Duration::from_secs),
        }
    }
}

/// How long the binding lasts, in seconds: what the response says of our Contact, by its URI or by
/// our `instance`, or of all; or what we `asked` for (§10.2.4). A server that lists other bindings
/// but not ours may have rewritten our Contact: the binding that expires first may be ours.
pub(crate) fn granted(response: &Message, ours: &str, instance: Option<&str>, asked: u32) -> u32 {
    let whole = response.expires().unwrap_or(asked);
    let ours = Uri::parse(ours).ok();
    let mut by_instance = None;
    let mut first_end: Option<u32> = None;
    for contact in response.contacts().flatten().filter(|contact| !contact.is_star()) {
        let expires = contact.expires().unwrap_or(whole);
        if ours.as_ref().is_some_and(|ours| contact.uri().equivalent(ours)) {
            return expires;
        }
        let named = contact.param("+sip.instance");
        if named.is_some_and(|named| instance == Some(named.text().trim_matches(['<', '>']))) {
            by_instance = Some(expires);
        }
        first_end = Some(first_end.map_or(expires, |end| end.min(expires)));
    }
    by_instance.or(first_end.map(|end| end.max(LEAST).min(whole))).unwrap_or(whole)
}
