//! The identities in a certificate (RFC 5922).
//!
//! The host verifies that an authority which is trusted has signed a certificate (RFC 5280) and reads
//! its [`Identities`]; whether they match the domain that was asked for is checked here, in one place
//! for every host: by the rules of SIP, which differ from those of HTTPS.

use core::fmt;
use core::net::IpAddr;

use crate::sip::{Scheme, Uri};
use crate::transport::Transport;

/// The identities in a certificate (RFC 5922 §7.1), as the host has read them from one that it
/// trusts.
///
/// A server's identities show whether it is the one that was asked for. The identities of a client
/// that has connected to us show whose connection it is (§7.4), so that requests to that domain can
/// use it (RFC 5923); they give no other right.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Identities {
    /// The URIs of subjectAltName.
    pub uris: Vec<String>,
    /// Its DNS names.
    pub dns_names: Vec<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The common name of the subject, if there is no subjectAltName at all.
    pub common_name: Option<String>,
}

impl Identities {
    /// Whether the certificate is for `name`, the domain or address that was asked for before anything
    /// was resolved (§7.3).
    ///
    /// A domain has to be named by a SIP URI without a user part, or, if there is none of those, by a
    /// DNS name, or, if there is no subjectAltName at all, by the common name (§7.1); names are
    /// compared whole and in any case, and a wildcard matches nothing (§7.2). An address has to be
    /// named as an address, or as the host of such a URI: that is not in RFC 5922, which knows domains
    /// only, but telephones of a local network are asked for by address.
    pub fn is_for(&self, name: &str) -> bool {
        let name = host(name);
        match name.parse::<IpAddr>() {
            Ok(address) => {
                let address = address.to_canonical();
                let named = self.uris.iter().filter_map(|uri| sip_domain(uri));
                self.addresses.iter().any(|named| named.to_canonical() == address)
                    || named
                        .filter_map(|host| host.parse().ok())
                        .any(|named: IpAddr| named == address)
            }
            Err(_) => self.domains().iter().any(|domain| domain.eq_ignore_ascii_case(name)),
        }
    }

    /// The domains that it names, as [`is_for`](Self::is_for) counts them.
    pub fn domains(&self) -> Vec<&str> {
        let uris: Vec<&str> = self.uris.iter().filter_map(|uri| sip_domain(uri)).collect();
        match &self.common_name {
            _ if !uris.is_empty() => uris,
            Some(name) if self.is_without_alternatives() => vec![host(name)],
            _ => self.dns_names.iter().map(|name| host(name)).collect(),
        }
    }

    /// What is wrong with it for `name`, in words that end a sentence; `None` when
    /// [it is for it](Self::is_for).
    pub fn refusal(&self, name: &str) -> Option<String> {
        if self.is_for(name) {
            return None;
        }
        let (named, name) = (self.to_string(), host(name));
        Some(match self.domains().iter().any(|domain| domain.as_bytes().contains(&b'*')) {
            _ if named.is_empty() => format!("its certificate names nobody, so not {name} either"),
            true => format!(
                "its certificate is for {named}, and * stands for nothing in SIP: not for {name}"
            ),
            false => format!("its certificate is for {named}, not {name}"),
        })
    }

    fn is_without_alternatives(&self) -> bool {
        self.uris.is_empty() && self.dns_names.is_empty() && self.addresses.is_empty()
    }
}

impl fmt::Display for Identities {
    /// The domains and addresses, the first few of them: `a.example, b.example and 7 more`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// More of them nobody reads.
        const SHOWN: usize = 3;
        let domains = self.domains();
        let addresses = self.addresses.iter().map(IpAddr::to_string);
        let all: Vec<String> = domains.into_iter().map(str::to_owned).chain(addresses).collect();
        let shown = all.get(..SHOWN).unwrap_or(&all);
        f.write_str(&shown.join(", "))?;
        match all.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Why a flow's peer is not the one that was asked for as `name` (§7.3), if so; `shown` holds the
/// identities that the host has read in the peer's certificate.
pub(crate) fn distrust(
    transport: Transport,
    name: &str,
    shown: Option<&Identities>,
) -> Option<String> {
    match shown {
        _ if !transport.is_secure() => None,
        Some(identities) => identities.refusal(name),
        // A browser shows its page no certificates, and has checked the name itself.
        None if transport == Transport::Wss => None,
        None => Some("it has shown no certificate".to_owned()),
    }
}

/// The domain that a URI names (§7.1): the host of a sip URI, not of a sips one, without user part.
fn sip_domain(uri: &str) -> Option<&str> {
    let parsed = Uri::parse(uri).ok().filter(|uri| uri.scheme() == Scheme::Sip)?;
    (!uri.as_bytes().contains(&b'@')).then(|| host(parsed.host())).filter(|host| !host.is_empty())
}

/// A name without the dot at its end, an address without its brackets.
fn host(name: &str) -> &str {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.strip_suffix('.').unwrap_or(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn dns(names: &[&str]) -> Identities {
        Identities { dns_names: strings(names), ..Identities::default() }
    }

    fn uris(uris: &[&str]) -> Identities {
        Identities { uris: strings(uris), ..dns(&["dns.example.com"]) }
    }

    #[test]
    fn a_name_is_compared_whole_and_in_any_case() {
        let example = dns(&["Example.com", "pbx.example.net."]);
        for name in ["example.com", "EXAMPLE.COM", "example.com.", "pbx.example.net"] {
            assert!(example.is_for(name), "{name}");
        }
        for name in ["foo.example.com", "com", "xample.com", "example.com.evil.net", "", "."] {
            assert!(!example.is_for(name), "{name}");
        }
    }

    #[test]
    fn a_wildcard_matches_nothing() {
        for name in ["*.example.com", ".example.com", "*"] {
            assert!(!dns(&[name]).is_for("foo.example.com"), "{name}");
        }
        let refusal = dns(&["*.example.com"]).refusal("foo.example.com").unwrap();
        assert!(refusal.contains("*.example.com") && refusal.contains("* stands for nothing"));
    }

    #[test]
    fn a_sip_uri_without_user_counts_before_dns_names() {
        let named = uris(&["SIP:example.com;transport=tls", "sip:other.example:5061"]);
        assert!(named.is_for("example.com") && named.is_for("other.example"));
        assert!(!named.is_for("dns.example.com"), "a SIP URI leaves no place for DNS names");
    }

    #[test]
    fn other_uris_name_no_domain() {
        for uri in [
            "sip:alice@example.com",
            "sip:@example.com",
            "sips:example.com",
            "https://example.com",
            "sip:",
            "example.com",
        ] {
            let named = uris(&[uri]);
            assert!(!named.is_for("example.com"), "{uri}");
            assert!(named.is_for("dns.example.com"), "{uri} leaves DNS names their place");
        }
    }

    #[test]
    fn the_common_name_counts_only_without_alternatives() {
        let mut named =
            Identities { common_name: Some("example.com".to_owned()), ..Identities::default() };
        assert!(named.is_for("example.com"));
        named.dns_names.push("other.example".to_owned());
        assert!(!named.is_for("example.com") && named.is_for("other.example"));
    }

    #[test]
    fn an_address_is_named_as_an_address() {
        let addresses = vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        let named = Identities { addresses, ..dns(&["192.0.2.8"]) };
        for name in ["192.0.2.7", "[2001:DB8:0::7]", "2001:db8::7", "::ffff:192.0.2.7"] {
            assert!(named.is_for(name), "{name}");
        }
        assert!(!named.is_for("192.0.2.8"), "a DNS name is no address");
        assert!(uris(&["sip:192.0.2.9"]).is_for("192.0.2.9"));
        assert!(uris(&["sip:[2001:db8::9]"]).is_for("2001:db8::9"));
    }

    #[test]
    fn who_shows_nothing_is_not_trusted_but_where_a_browser_hides_it() {
        for transport in Transport::ALL {
            let refuses = |name, shown| distrust(transport, name, shown).is_some();
            let example = dns(&["example.com"]);
            assert!(!refuses("example.com", Some(&example)));
            assert_eq!(refuses("other.example", Some(&example)), transport.is_secure());
            assert_eq!(refuses("example.com", None), transport == Transport::Tls);
        }
    }

    #[test]
    fn a_refusal_names_both() {
        let refusal = |named: Identities| named.refusal("pbx.example.com");
        assert_eq!(refusal(dns(&["pbx.example.com"])), None);
        assert_eq!(
            refusal(dns(&["pbx.example.net"])).unwrap(),
            "its certificate is for pbx.example.net, not pbx.example.com"
        );
        assert_eq!(
            refusal(dns(&["a", "b", "c", "d", "e"])).unwrap(),
            "its certificate is for a, b, c and 2 more, not pbx.example.com"
        );
        assert_eq!(
            refusal(Identities::default()).unwrap(),
            "its certificate names nobody, so not pbx.example.com either"
        );
    }
}
