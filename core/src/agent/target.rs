//! Whom the application wants to reach, and by way of whom.

use super::{Agent, Hop};
use crate::dialog::RouteSet;
use crate::error::Error;
use crate::host::Transport;
use crate::sip::{NameAddr, Scheme, Uri, check_value, escape_user, name_addr};

/// Somebody to send a request to, outside a dialog.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// The Request-URI.
    pub(crate) uri: String,
    /// The display name, if the application gave one.
    pub(crate) name: Option<String>,
    /// The next hop.
    pub(crate) hop: Hop,
    /// The outbound proxy, if there is one.
    pub(crate) routes: RouteSet,
}

impl Target {
    /// What to write as To.
    pub(crate) fn to(&self) -> String {
        name_addr(self.name.as_deref().unwrap_or_default(), &self.uri)
    }
}

impl Agent {
    /// Reads what an application calls: a URI, a URI with a display name, `user@host`, or a number
    /// or name at the server.
    pub(crate) fn target(&self, text: &str) -> Result<Target, Error> {
        let invalid = |problem| Error::invalid("target", text, problem);
        let written = self.written(text)?;
        let address = NameAddr::parse(&written).map_err(|_| invalid("it is no URI"))?;
        let (uri, name) = (address.uri(), address.display_name());
        if uri.has_headers() {
            return Err(invalid("header fields in a URI are not taken; give them as options"));
        }
        match uri.scheme() {
            Scheme::Sip | Scheme::Sips => {}
            Scheme::Tel if self.parameters.server_host().is_some() => {}
            Scheme::Tel => return Err(invalid("a tel URI needs a server")),
            _ => return Err(invalid("only sip, sips and tel URIs can be called")),
        }
        let (hop, routes) = match self.outbound_route_for(uri.scheme(), text)? {
            Some(way) => way,
            None => {
                let hop = Hop::of(&uri).map_err(invalid)?;
                (hop.by(self.parameters.transport), RouteSet::default())
            }
        };
        let name = (!name.is_empty()).then(|| name.into_owned());
        Ok(Target { uri: uri.as_str().to_owned(), name, hop, routes })
    }

    /// Reads whom an application wants somebody else to call: the same, but of any scheme that can
    /// be called, for it is not us who do. The URI, and the name-addr that holds it.
    pub(crate) fn referred(&self, text: &str) -> Result<(String, String), Error> {
        let invalid = |problem| Error::invalid("target", text, problem);
        let written = self.written(text)?;
        let address = NameAddr::parse(&written).map_err(|_| invalid("it is no URI"))?;
        let (uri, name) = (address.uri(), address.display_name());
        if uri.has_headers() {
            return Err(invalid("header fields in a URI are not taken"));
        }
        if !matches!(uri.scheme(), Scheme::Sip | Scheme::Sips | Scheme::Tel) {
            return Err(invalid("only sip, sips and tel URIs can be called"));
        }
        Ok((uri.as_str().to_owned(), name_addr(&name, uri.as_str())))
    }

    /// What an application calls, as a name-addr or a URI.
    fn written(&self, text: &str) -> Result<String, Error> {
        let invalid = |problem| Error::invalid("target", text, problem);
        let wanted = text.trim();
        check_value(wanted).map_err(|_| invalid("it holds a line feed or a NUL"))?;
        if wanted.is_empty() {
            return Err(invalid("it is empty"));
        }
        Ok(match (NameAddr::parse(wanted), wanted.as_bytes().contains(&b'@')) {
            // Here the parameters of a bare URI are its own, not those of a header field (§20.10).
            _ if Uri::parse(wanted).is_ok() => format!("<{wanted}>"),
            (Ok(_), _) => wanted.to_owned(),
            // No user of this name was meant.
            _ if has_scheme(wanted) => {
                return Err(invalid("it is no URI as sip:bob@example.com is"));
            }
            (Err(_), true) => format!("sip:{wanted}"),
            (Err(_), false) => match self.parameters.server_host() {
                Some(home) => format!("sip:{}@{home}", escape_user(wanted)),
                None => return Err(invalid("without a server it has to be a SIP URI")),
            },
        })
    }

    /// A target that a redirection names (RFC 3261 §8.1.3.4). It is asked itself, and not by way of
    /// the server, unless an outbound proxy is set; so credentials are not shown to it. `None` when
    /// it cannot be reached.
    pub(crate) fn target_of_contact(&self, contact: &Uri<'_>) -> Option<Target> {
        let route = || self.outbound_route_for(contact.scheme(), contact.as_str()).ok().flatten();
        let (hop, routes) = match (contact.scheme(), &self.parameters.outbound_proxy) {
            (Scheme::Sip | Scheme::Sips, None) => {
                let hop = Hop::of(contact).ok()?;
                (hop.by(self.parameters.transport), RouteSet::default())
            }
            (Scheme::Sip | Scheme::Sips, Some(_)) | (Scheme::Tel, _) => route()?,
            _ => return None,
        };
        // §19.1.5: header fields in a URI of somebody else are not obeyed.
        Some(Target { uri: contact.without_headers().to_owned(), name: None, hop, routes })
    }

    /// The same target by way of a proxy (§21.3.4).
    pub(crate) fn target_through(&self, target: &Target, proxy: &Uri<'_>) -> Option<Target> {
        let hop = Hop::of(proxy).ok()?;
        let secure = target.hop.is_secure();
        let hop = if secure { hop.secured()? } else { hop };
        let loose = if proxy.param("lr").is_some() { "" } else { ";lr" };
        let routes = RouteSet::through(&format!("{}{loose}", proxy.without_headers()));
        let routes = if secure { routes.secured() } else { routes };
        Some(Target { hop, routes, ..target.clone() })
    }

    /// The registrar, as the target of REGISTER; `None` without a server.
    pub(crate) fn registrar(&self) -> Result<Option<Target>, Error> {
        let (Some(host), Some((hop, routes))) = (self.parameters.server_host(), self.home()?)
        else {
            return Ok(None);
        };
        Ok(Some(Target { uri: format!("sip:{host}"), name: None, hop, routes }))
    }

    /// By way of whom requests outside dialogs go: as [`home`](Self::home) says, and then by the
    /// service route (RFC 3608 §6.1), if the registrar has named one that can be reached.
    fn outbound_route(&self) -> Result<Option<(Hop, RouteSet)>, Error> {
        let home = self.home()?;
        let (Some((hop, routes)), Some(first)) = (&home, self.service_hop()) else {
            return Ok(home);
        };
        let further = self.binding.as_ref().map_or(&[][..], |binding| &binding.service_route);
        let hop = if self.parameters.outbound_proxy.is_some() { hop.clone() } else { first };
        Ok(Some((hop, routes.and_then(further))))
    }

    /// The first hop of the service route.
    fn service_hop(&self) -> Option<Hop> {
        let first = self.binding.as_ref()?.service_route.first()?;
        let hop = Hop::of(&NameAddr::parse(first).ok()?.uri()).ok()?;
        Some(hop.by(self.parameters.transport))
    }

    /// By way of whom REGISTER goes: the outbound proxy, as a loose route (RFC 3261
    /// §8.1.2), or the server; `None` without either.
    pub(super) fn home(&self) -> Result<Option<(Hop, RouteSet)>, Error> {
        if let Some((hop, uri)) = self.parameters.proxy_hop()? {
            return Ok(Some((hop, RouteSet::through(&uri))));
        }
        Ok(self.parameters.server_hop().map(|hop| (hop, RouteSet::default())))
    }

    /// The same for a target of that scheme: what `sips` begins, goes in private from the first hop on
    /// (RFC 3261 §26.2.2), and all its routes are sips (RFC 5630 §5.1.1).
    fn outbound_route_for(
        &self,
        scheme: Scheme,
        target: &str,
    ) -> Result<Option<(Hop, RouteSet)>, Error> {
        let Some((hop, routes)) = self.outbound_route()?.filter(|_| scheme == Scheme::Sips) else {
            return self.outbound_route();
        };
        let private = match hop.transport() {
            Some(transport) => transport.is_secure(),
            // The port that is said is that of the transport which is meant.
            None => hop.port().is_none(),
        };
        let hop = hop.secured().filter(|_| private);
        let problem = "sips needs a server or proxy that is reached over TLS";
        let hop = hop.ok_or_else(|| Error::invalid("target", target, problem))?;
        Ok(Some((hop, routes.secured())))
    }

    /// Whether a hop is the configured server or proxy, or the proxy that the server has named for
    /// our requests.
    pub(super) fn leads_home(&self, hop: &Hop) -> bool {
        match self.parameters.next_hop {
            Some(fixed) => {
                self.homes().next().is_some() && hop.is_place_of(&Hop::at(Transport::Udp, fixed))
            }
            None => self.homes().any(|home| home.is_place_of(hop)),
        }
    }

    /// The configured server and proxy, and the one that the server has named.
    pub(super) fn homes(&self) -> impl Iterator<Item = Hop> {
        let proxy = self.parameters.proxy_hop().ok().flatten().map(|(hop, _)| hop);
        [self.parameters.server_hop(), proxy, self.service_hop()]
            .into_iter()
            .flatten()
            .map(Hop::with_defaults)
    }

    /// Our From header field, without its tag, to a peer to which `advertised` is our address.
    pub(crate) fn identity(&self, advertised: &str) -> String {
        let host = self.parameters.server_host().unwrap_or_else(|| advertised.to_owned());
        let parameters = &self.parameters;
        let uri = match parameters.user.as_str() {
            "" => format!("sip:{host}"),
            user => format!("sip:{}@{host}", escape_user(user)),
        };
        match &parameters.display_name {
            Some(name) => format!("{} <{uri}>", crate::sip::quote(name)),
            None => format!("<{uri}>"),
        }
    }
}

/// Whether a text begins as a URI that can be called.
fn has_scheme(text: &str) -> bool {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    ["sip", "sips", "tel"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PhoneParameters;

    fn target(server: Option<&str>, text: &str) -> Result<Target, Error> {
        let parameters = match server {
            Some(server) => PhoneParameters::new(server, "alice"),
            None => PhoneParameters::without_server("alice"),
        };
        Agent::new(parameters).target(text)
    }

    #[test]
    fn a_number_is_one_at_the_server() {
        let number = target(Some("pbx.example.com:5080"), "*21#").unwrap();
        assert_eq!(number.uri, "sip:*21%23@pbx.example.com:5080");
        assert_eq!(number.hop, Hop::new("pbx.example.com", Some(5080), None));
        assert_eq!(target(Some("10.0.0.9"), "bob").unwrap().uri, "sip:bob@10.0.0.9");
        assert!(target(None, "bob").is_err());
    }

    #[test]
    fn a_uri_goes_to_its_host_or_by_way_of_the_server() {
        let direct = target(None, "\"Bob\" <sip:bob@10.0.0.2:5070>").unwrap();
        assert_eq!((direct.uri.as_str(), direct.hop.port()), ("sip:bob@10.0.0.2:5070", Some(5070)));
        assert_eq!(direct.to(), "Bob <sip:bob@10.0.0.2:5070>");
        assert_eq!(target(None, "bob@10.0.0.2").unwrap().uri, "sip:bob@10.0.0.2");
        let proxied = target(Some("10.0.0.9"), "sip:bob@elsewhere.example").unwrap();
        assert_eq!(proxied.uri, "sip:bob@elsewhere.example");
        assert_eq!(proxied.hop.host(), "10.0.0.9");
        assert_eq!(target(Some("10.0.0.9"), "tel:+1-201").unwrap().uri, "tel:+1-201");
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for text in [
            "",
            "  ",
            "tel:+1",
            "sips:b@h;transport=udp",
            "http://h/",
            "sip:b@h?Subject=x",
            "sip:b@h\r\nX: y",
            "sip:b@h;transport=pigeon",
            "<sip:b@h",
            "sip:",
        ] {
            assert!(target(None, text).is_err(), "{text:?}");
        }
        // A URI that cannot be read is no user at the server, nor at its host.
        for text in ["sip:", "SIP:bob@", "sip:@10.0.0.2", "tel:"] {
            assert!(target(Some("10.0.0.9"), text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_outbound_proxy_is_a_loose_route() {
        let mut parameters = PhoneParameters::without_server("alice");
        parameters.outbound_proxy = Some("sip:10.0.0.8:5090".to_owned());
        let target = Agent::new(parameters).target("sip:bob@far.example").unwrap();
        assert_eq!(target.hop.address(), Some("10.0.0.8:5090".parse().unwrap()));
        let course = target.routes.course(&target.uri);
        assert_eq!(course.request_uri, "sip:bob@far.example");
        assert_eq!(course.routes, ["<sip:10.0.0.8:5090;lr>"]);
    }
}
