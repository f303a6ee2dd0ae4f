//! Where a request is sent: a contact of a user, or whom a request within a call names.

use super::route::Plan;
use super::side::PeerFlow;
use crate::locate::Hop;
use crate::sip::{NameAddr, Scheme, Uri};

/// One place to send a request to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Target {
    /// The Request-URI there.
    pub(super) uri: String,
    /// The routes to write (RFC 3261 §16.6 step 6, RFC 3327 §5.4).
    pub(super) routes: Vec<String>,
    /// The flow to send on, while it is up (RFC 5626 §7).
    pub(super) along: Option<PeerFlow>,
    /// The contact, where the Request-URI differs from it (RFC 5630 §5.3).
    pub(super) contact: Option<String>,
    /// What else leads to the same telephone (RFC 5626 §7).
    pub(super) spare: Vec<Target>,
    /// How it is sent what is too large for a datagram.
    pub(super) large: LargeRequests,
}

/// How a request is sent that is too large for a datagram (RFC 3261 §18.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum LargeRequests {
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
        let (uri, routes, along) = (plan.uri.clone(), plan.routes.clone(), plan.along);
        Self { uri, routes, along, ..Self::default() }
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

    /// The hop of the topmost route left, else of the URI (§16.6 step 7, RFC 3263 §4.1 without NAPTR
    /// and SRV); `None` when it cannot be reached, as a name of which nothing ever has an address
    /// (RFC 2606): RFC 7118 clients have such.
    pub(super) fn next_hop(&self) -> Option<Hop> {
        let hop = match self.routes.first() {
            Some(route) => Hop::of(&NameAddr::parse(route).ok()?.uri()),
            None => Hop::of(&Uri::parse(self.contact()).ok()?),
        };
        hop.ok().filter(|hop| !hop.host().ends_with(".invalid"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Transport;

    fn hop(uri: &str) -> Option<(Transport, String, Option<u16>)> {
        let target = Target { uri: uri.to_owned(), ..Target::default() };
        let routes = vec![format!("<{uri};lr>")];
        let routed = Target { uri: "sip:b@10.0.0.1".to_owned(), routes, ..Target::default() };
        let (hop, same) = (target.next_hop(), routed.next_hop());
        assert_eq!(hop, same, "{uri}");
        hop.map(|hop| (hop.usual_transport(), hop.host().to_owned(), hop.port()))
    }

    #[test]
    fn a_uri_names_a_host_a_port_and_a_transport() {
        let is = |transport, host: &str, port| Some((transport, host.to_owned(), port));
        assert_eq!(hop("sip:h"), is(Transport::Udp, "h", None));
        assert_eq!(hop("sip:h;transport=TCP"), is(Transport::Tcp, "h", None));
        assert_eq!(hop("sips:h"), is(Transport::Tls, "h", None));
        assert_eq!(hop("sips:h:5081;transport=tcp"), is(Transport::Tls, "h", Some(5081)));
        assert_eq!(hop("sips:h;transport=ws"), is(Transport::Wss, "h", None));
        assert_eq!(hop("sip:h;maddr=10.0.0.2"), is(Transport::Udp, "10.0.0.2", None));
    }

    #[test]
    fn there_is_no_way_to_many_nor_to_nobody() {
        for nowhere in [
            "sips:h;transport=udp",
            "sip:h;transport=sctp",
            "tel:1",
            "sip:x.invalid;transport=ws",
            "sip:224.0.1.75",
            "sip:255.255.255.255",
            "sip:0.0.0.0",
            "sip:[ff02::1]",
            "sip:[::]:5070",
            "sip:h;maddr=224.0.1.75",
        ] {
            assert_eq!(hop(nowhere), None, "{nowhere}");
        }
    }
}
