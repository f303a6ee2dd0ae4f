//! Which transports a domain has, and where to ask for them (RFC 3263 §4.1, RFC 3403 §4.1).

use crate::host::{Naptr, Transport};
use crate::sort::sort_few;

/// What a service is called in DNS (RFC 3263 §9, RFC 7118 §10.2).
const SERVICES: [(&str, Transport); 5] = [
    ("SIP+D2U", Transport::Udp),
    ("SIP+D2T", Transport::Tcp),
    ("SIPS+D2T", Transport::Tls),
    ("SIP+D2W", Transport::Ws),
    ("SIPS+D2W", Transport::Wss),
];

/// The transports that can be used, with the names of their SRV records, most wanted first.
///
/// Only those of the first order that has any: "once a match is found the client MUST NOT consider
/// any NAPTRs with a different" order (RFC 3403 §4.1), so that a domain which puts TLS before all else
/// is not left for a transport in the clear because TLS was refused.
pub(super) fn services(
    mut records: Vec<Naptr>,
    usable: impl Fn(Transport) -> bool,
) -> Vec<(Transport, String)> {
    sort_few(&mut records, |a, b| (a.order, a.preference).cmp(&(b.order, b.preference)));
    let mut found = Vec::new();
    let mut matched = None;
    for Naptr { order, flags, service, replacement, .. } in records {
        let known = SERVICES.iter().find(|(name, _)| service.eq_ignore_ascii_case(name));
        // "s": what follows is an SRV record.
        let Some((_, transport)) = known.filter(|_| flags.eq_ignore_ascii_case("s")) else {
            continue;
        };
        if usable(*transport) && *matched.get_or_insert(order) == order {
            found.push((*transport, replacement));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Naptr {
        let (service, replacement) = (service.to_owned(), replacement.to_owned());
        Naptr { order, preference, flags: "s".to_owned(), service, replacement }
    }

    /// The example of RFC 3263 §4.1, out of order.
    fn example() -> Vec<Naptr> {
        vec![
            naptr(100, 50, "SIP+D2U", "_sip._udp.example.com"),
            naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com"),
            naptr(90, 50, "SIP+D2T", "_sip._tcp.example.com"),
        ]
    }

    fn first(records: Vec<Naptr>, usable: &[Transport]) -> Option<(Transport, String)> {
        services(records, |transport| usable.contains(&transport)).into_iter().next()
    }

    #[test]
    fn the_most_preferred_transport_that_both_have_is_used() {
        // "Since the client supports TCP and UDP, TCP will be used."
        let both = first(example(), &[Transport::Udp, Transport::Tcp]);
        assert_eq!(both, Some((Transport::Tcp, "_sip._tcp.example.com".to_owned())));
        let all = first(example(), &Transport::ALL);
        assert_eq!(all, Some((Transport::Tls, "_sips._tcp.example.com".to_owned())));
        assert_eq!(first(example(), &[Transport::Ws]), None);
    }

    #[test]
    fn another_order_is_not_looked_at_but_another_preference_is() {
        let strict = services(example(), |_| true);
        assert_eq!(strict.len(), 1);
        let mut even = example();
        even.iter_mut().for_each(|record| record.order = 10);
        even[1].preference = 70;
        let names: Vec<Transport> =
            services(even, |_| true).into_iter().map(|(transport, _)| transport).collect();
        assert_eq!(names, [Transport::Udp, Transport::Tcp, Transport::Tls]);
    }

    #[test]
    fn other_services_and_flags_are_discarded() {
        let mut records = example();
        records.truncate(1);
        records.push(naptr(1, 1, "E2U+sip", "x.example.com"));
        records.push(naptr(1, 1, "SIP+D2S", "_sip._sctp.example.com"));
        records.push(naptr(1, 1, "SIPS+D2U", "_sips._udp.example.com"));
        records.push(Naptr { flags: "u".to_owned(), ..naptr(1, 1, "SIP+D2T", "t.example.com") });
        let found = services(records, |_| true);
        assert_eq!(found, [(Transport::Udp, "_sip._udp.example.com".to_owned())]);
    }
}
