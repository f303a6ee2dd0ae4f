//! Which names a client may look up, and which addresses it may open flows to: those of its servers, and what DNS
//! has said of them to this session.

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

use super::address::normalised;
use super::grant::{Policy, Server};
use super::problem::Problem;
use crate::host::{Query, RecordSet};

/// How many names and addresses are remembered; the oldest give way.
const MOST: usize = 64;

/// What a session knows of its servers.
#[derive(Debug)]
pub(super) struct Names {
    servers: Vec<Server>,
    /// Names that records have led to, and the server and port that they stand for.
    targets: VecDeque<(String, Basis)>,
    addresses: VecDeque<(IpAddr, Basis)>,
}

/// Which server something is of, and the port that an SRV record gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Basis {
    server: usize,
    port: Option<u16>,
}

impl Names {
    pub(super) fn new(servers: Vec<Server>) -> Self {
        Self { servers, targets: VecDeque::new(), addresses: VecDeque::new() }
    }

    /// The servers are others, by a new token; what DNS has said of those that stay is kept.
    pub(super) fn replace(&mut self, servers: Vec<Server>) {
        let places: Vec<Option<usize>> =
            self.servers.iter().map(|old| servers.iter().position(|new| new == old)).collect();
        let moved = |basis: Basis| {
            let server = places.get(basis.server).copied().flatten()?;
            Some(Basis { server, ..basis })
        };
        let targets = self.targets.drain(..);
        self.targets = targets.filter_map(|(name, of)| Some((name, moved(of)?))).collect();
        let addresses = self.addresses.drain(..);
        self.addresses = addresses.filter_map(|(ip, of)| Some((ip, moved(of)?))).collect();
        self.servers = servers;
    }

    /// What a question is about, if it may be asked.
    pub(super) fn basis(&self, query: Query<'_>) -> Option<Basis> {
        match query {
            Query::Naptr(name) | Query::Addresses(name) => self.known(name),
            Query::Srv(name) => self.known(name).or_else(|| self.known(without_service(name)?)),
        }
    }

    fn known(&self, name: &str) -> Option<Basis> {
        let named = self.servers.iter().position(|server| server.host.eq_ignore_ascii_case(name));
        let target = || {
            let mut targets = self.targets.iter().rev();
            targets.find(|(target, _)| target.eq_ignore_ascii_case(name)).map(|(_, basis)| *basis)
        };
        named.map(|server| Basis { server, port: None }).or_else(target)
    }

    /// Remembers what an answer has led to, and takes away the addresses that are not connected to.
    pub(super) fn learn(&mut self, policy: &Policy, basis: Basis, found: &mut RecordSet) {
        match found {
            RecordSet::Naptr(records) => {
                for record in records {
                    remember(&mut self.targets, record.replacement.clone(), basis);
                }
            }
            RecordSet::Srv(records) => {
                for record in records {
                    let basis = Basis { port: Some(record.port), ..basis };
                    remember(&mut self.targets, record.target.clone(), basis);
                }
            }
            RecordSet::Addresses(addresses) => {
                // Which port it will be is not known yet, and any but 0 and ours is as good.
                addresses.iter_mut().for_each(|ip| *ip = normalised(*ip));
                addresses.retain(|ip| policy.judge(SocketAddr::new(*ip, 1)).is_ok());
                for ip in addresses {
                    remember(&mut self.addresses, *ip, basis);
                }
            }
        }
    }

    /// Whether a flow may be opened to this judged address, which was asked for by `name`.
    pub(super) fn permit(&self, to: SocketAddr, name: &str) -> Result<(), Problem> {
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let by_address = self
            .servers
            .iter()
            .any(|server| server.ip() == Some(to.ip()) && server.has_port(to.port(), None));
        let by_name = || {
            self.addresses.iter().any(|(ip, basis)| {
                let server = self.servers.get(basis.server);
                *ip == to.ip()
                    && server.is_some_and(|server| {
                        server.host.eq_ignore_ascii_case(name)
                            && server.has_port(to.port(), basis.port)
                    })
            })
        };
        match by_address || by_name() {
            true => Ok(()),
            false => Err(Problem::ServerForbidden),
        }
    }
}

/// `example.com` of `_sip._udp.example.com`.
fn without_service(name: &str) -> Option<&str> {
    let (service, rest) = name.split_once('.')?;
    let (transport, domain) = rest.split_once('.')?;
    (service.starts_with('_') && transport.starts_with('_')).then_some(domain)
}

fn remember<T: PartialEq>(list: &mut VecDeque<(T, Basis)>, item: T, basis: Basis) {
    list.retain(|(known, of)| *known != item || *of != basis);
    if list.len() >= MOST {
        list.pop_front();
    }
    list.push_back((item, basis));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Naptr, Srv};

    fn names(servers: &[&str]) -> Names {
        Names::new(servers.iter().map(|server| server.parse().unwrap()).collect())
    }

    fn permit(names: &Names, to: &str, name: &str) -> bool {
        names.permit(to.parse().unwrap(), name).is_ok()
    }

    fn addresses(list: &[&str]) -> RecordSet {
        RecordSet::Addresses(list.iter().map(|ip| ip.parse().unwrap()).collect())
    }

    #[test]
    fn nothing_is_looked_up_but_what_leads_to_a_server() {
        let (mut names, policy) = (names(&["pbx.test"]), Policy::default());
        for asked in [
            Query::Naptr("PBX.test"),
            Query::Srv("_sips._tcp.pbx.test"),
            Query::Addresses("pbx.test"),
        ] {
            assert!(names.basis(asked).is_some(), "{asked:?}");
        }
        for asked in [
            Query::Addresses("metadata.internal"),
            Query::Srv("_sip._udp.other.test"),
            Query::Naptr("test"),
            Query::Srv("x.pbx.test"),
        ] {
            assert_eq!(names.basis(asked), None, "{asked:?}");
        }
        let basis = names.basis(Query::Naptr("pbx.test")).unwrap();
        let record = |text: &str| text.to_owned();
        let naptr = Naptr {
            order: 1,
            preference: 1,
            flags: record("s"),
            service: record("SIPS+D2T"),
            replacement: record("_sips._tcp.host.test"),
        };
        names.learn(&policy, basis, &mut RecordSet::Naptr(vec![naptr]));
        let basis = names.basis(Query::Srv("_sips._tcp.host.test")).unwrap();
        let srv = Srv { priority: 1, weight: 1, port: 5099, target: record("a.host.test") };
        names.learn(&policy, basis, &mut RecordSet::Srv(vec![srv]));
        let basis = names.basis(Query::Addresses("a.host.test")).unwrap();
        names.learn(&policy, basis, &mut addresses(&["1.2.3.4"]));
        assert!(permit(&names, "1.2.3.4:5099", "pbx.test"));
        for (to, name) in [
            ("1.2.3.4:5061", "pbx.test"),
            ("1.2.3.4:5099", "a.host.test"),
            ("1.2.3.5:5099", "pbx.test"),
        ] {
            assert!(!permit(&names, to, name), "{to} {name}");
        }
    }

    #[test]
    fn an_answer_holds_no_address_that_is_not_connected_to() {
        let (mut names, policy) = (names(&["pbx.test:5070"]), Policy::default());
        let basis = names.basis(Query::Addresses("pbx.test")).unwrap();
        let mut found = addresses(&["127.0.0.1", "::ffff:10.0.0.1", "::ffff:9.9.9.9"]);
        names.learn(&policy, basis, &mut found);
        assert_eq!(found, addresses(&["9.9.9.9"]));
        assert!(
            permit(&names, "9.9.9.9:5070", "pbx.test")
                && !permit(&names, "9.9.9.9:5060", "pbx.test")
        );
        assert!(!permit(&names, "127.0.0.1:5070", "pbx.test"));
    }

    #[test]
    fn a_new_token_takes_servers_away() {
        let (mut names, policy) = (names(&["one.test", "two.test", "8.8.4.4"]), Policy::default());
        for (name, ip) in [("one.test", "1.1.1.1"), ("two.test", "2.2.2.2")] {
            let basis = names.basis(Query::Addresses(name)).unwrap();
            names.learn(&policy, basis, &mut addresses(&[ip]));
        }
        assert!(permit(&names, "8.8.4.4:5060", "whatever"));
        names.replace(vec!["two.test".parse().unwrap()]);
        assert!(permit(&names, "2.2.2.2:5061", "two.test"));
        assert!(
            !permit(&names, "1.1.1.1:5060", "one.test")
                && !permit(&names, "8.8.4.4:5060", "8.8.4.4")
        );
    }
}
