//! DNS lookups: the resolver, and the system's hosts file.
//!
//! Nothing is cached here: the core caches answers for their TTL.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup as Reply;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use offhook_core::host::{Inbound, Naptr, RecordSet, RequestId, Srv};
use offhook_core::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::endpoint_host::Lookup;
use crate::error::io_problem;

/// The records of a lookup and their TTL; or the problem, in words that end a sentence.
pub(crate) type LookupResult = Result<(RecordSet, Duration), String>;

/// How long a lookup may take; the core waits longer.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// How long one DNS server may take; [`TIMEOUT`] leaves room for two.
const ONE_SERVER: std::time::Duration = std::time::Duration::from_secs(2);

/// How long the system's resolver configuration is reused before it is read again.
const SYSTEM_HOLDS: std::time::Duration = std::time::Duration::from_secs(10);

/// The TTL of answers without one: negative answers, and those from the system.
const UNSAID: Duration = Duration::from_secs(60);

/// The result of a DNS lookup, as an `Inbound` for the core.
pub(crate) fn inbound(id: RequestId, answer: &LookupResult) -> Inbound<'_> {
    match answer {
        Ok((found, ttl)) => Inbound::Resolved { id, records: found.records(), ttl: *ttl },
        Err(problem) => Inbound::ResolveFailed { id, problem },
    }
}

/// The resolver. Dropping it ends lookups that are under way.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// The DNS servers to ask, if not the system's.
    servers: Vec<SocketAddr>,
    /// Read again once it is old.
    sources: Option<(Instant, Arc<NameSources>)>,
    searches: JoinSet<()>,
}

/// Hosts file, DNS resolver and system.
#[derive(Debug)]
struct NameSources {
    hosts: Hosts,
    /// `None` when the system configures no DNS server.
    resolver: Option<TokioResolver>,
    /// Whether the system may know names in ways of its own.
    own_ways: bool,
}

impl Names {
    /// A resolver that asks these DNS servers, or without any the system's.
    pub(crate) fn new(servers: &[SocketAddr]) -> Self {
        Self { servers: servers.to_vec(), ..Self::default() }
    }

    /// Looks something up and passes on what was found.
    pub(crate) fn look_up(
        &mut self,
        lookup: Lookup,
        done: impl FnOnce(LookupResult) + Send + 'static,
    ) {
        while self.searches.try_join_next().is_some() {}
        let sources = self.sources();
        self.searches.spawn(async move {
            let silence = || Err("no DNS server has answered in time".to_owned());
            done(timeout(TIMEOUT, sources.answer(lookup)).await.unwrap_or_else(|_| silence()));
        });
    }

    /// Forgets the system's configuration, because the network has changed.
    pub(crate) fn renew(&mut self) {
        self.sources = None;
    }

    fn sources(&mut self) -> Arc<NameSources> {
        let now = Instant::now();
        let fresh = |(made, _): &(Instant, _)| now.duration_since(*made) < SYSTEM_HOLDS;
        let (_, sources) = match self.sources.take().filter(fresh) {
            Some(sources) => self.sources.insert(sources),
            None => self.sources.insert((now, Arc::new(NameSources::new(&self.servers)))),
        };
        Arc::clone(sources)
    }
}

impl NameSources {
    fn new(servers: &[SocketAddr]) -> Self {
        let hosts = Hosts::from_system().unwrap_or_default();
        Self { hosts, resolver: resolver(servers), own_ways: servers.is_empty() }
    }

    async fn answer(&self, lookup: Lookup) -> LookupResult {
        match lookup {
            Lookup::Naptr(name) => {
                let reply = self.records(&name, RecordType::NAPTR).await?;
                Ok(reply.of(naptr, RecordSet::Naptr))
            }
            Lookup::Srv(name) => {
                let reply = self.records(&name, RecordType::SRV).await?;
                Ok(reply.of(srv, RecordSet::Srv))
            }
            Lookup::Addresses(name) => self.addresses(&name).await,
        }
    }

    /// The records of a kind that belong to exactly that name: the domains in which the system looks
    /// for short names are for those of hosts.
    async fn records(&self, name: &str, kind: RecordType) -> Result<Records, String> {
        let Some(resolver) = &self.resolver else { return Ok(Records::Nothing(UNSAID)) };
        let Ok(name) = absolute(name) else { return Ok(Records::Nothing(UNSAID)) };
        Records::new(resolver.lookup(name, kind).await)
    }

    /// AAAA and then A, as RFC 6724 §2.1 prefers them; those to which no route leads cost no time.
    async fn addresses(&self, name: &str) -> LookupResult {
        let ours = self.of_the_hosts_file(name);
        if !ours.is_empty() {
            return Ok((RecordSet::Addresses(ours), UNSAID));
        }
        let said = match &self.resolver {
            Some(resolver) => Records::new(resolver.lookup_ip(name).await.map(Reply::from))?,
            None => Records::Nothing(UNSAID),
        };
        match said {
            // Such as by multicast (RFC 6762), or from a directory.
            Records::Nothing(ttl) if self.own_ways => {
                Ok((RecordSet::Addresses(of_the_system(name).await), ttl.min(UNSAID)))
            }
            said => Ok(said.of(RData::ip_addr, RecordSet::Addresses)),
        }
    }

    fn of_the_hosts_file(&self, name: &str) -> Vec<IpAddr> {
        let Ok(name) = absolute(name) else { return Vec::new() };
        let kinds = [RecordType::AAAA, RecordType::A].into_iter();
        let replies = kinds
            .filter_map(|kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind)));
        let ips = |reply: Reply| -> Vec<IpAddr> {
            reply.answers().iter().filter_map(|record| record.data.ip_addr()).collect()
        };
        replies.flat_map(ips).collect()
    }
}

/// The answer of a DNS server.
enum Records {
    Some(Reply),
    /// There is nothing of that kind, for so long.
    Nothing(Duration),
}

impl Records {
    fn new(reply: Result<Reply, NetError>) -> Result<Self, String> {
        match reply {
            Ok(reply) => Ok(Self::Some(reply)),
            Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => {
                // RFC 2308 §5: it holds as long as the zone says.
                let ttl = nothing.negative_ttl.map(|secs| Duration::from_secs(secs.into()));
                Ok(Self::Nothing(ttl.unwrap_or(UNSAID)))
            }
            Err(NetError::Dns(DnsError::ResponseCode(code))) => {
                Err(format!("the DNS server says: {code}"))
            }
            Err(NetError::Timeout) => Err("no DNS server has answered in time".to_owned()),
            Err(error) => Err(format!("no DNS server could be asked: {}", io_problem(&error))),
        }
    }

    fn of<T>(
        self,
        read: impl Fn(&RData) -> Option<T>,
        kind: impl FnOnce(Vec<T>) -> RecordSet,
    ) -> (RecordSet, Duration) {
        match self {
            Self::Nothing(ttl) => (kind(Vec::new()), ttl),
            Self::Some(reply) => {
                let records = reply.answers().iter();
                let ttl = records.clone().map(|record| record.ttl).min().unwrap_or_default();
                let found = records.filter_map(|record| read(&record.data)).collect();
                (kind(found), Duration::from_secs(ttl.into()))
            }
        }
    }
}

/// A resolver for these DNS servers, or without any for the system's.
fn resolver(servers: &[SocketAddr]) -> Option<TokioResolver> {
    let mut builder = match servers {
        [] => TokioResolver::builder_tokio().ok()?,
        servers => {
            let at = |server: &SocketAddr| {
                let mut ways = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                ways.iter_mut().for_each(|way| way.port = server.port());
                NameServerConfig::new(server.ip(), true, ways)
            };
            let servers = servers.iter().map(at).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = ONE_SERVER;
    options.attempts = 1;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    builder.build().ok()
}

/// What the system says of a host, in whatever ways it knows names.
async fn of_the_system(name: &str) -> Vec<IpAddr> {
    let Ok(found) = tokio::net::lookup_host((name, 0)).await else { return Vec::new() };
    let mut ips: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    ips.dedup();
    ips
}

fn absolute(name: &str) -> Result<Name, ()> {
    let mut name = Name::from_ascii(name).map_err(drop)?;
    name.set_fqdn(true);
    Ok(name)
}

fn naptr(data: &RData) -> Option<Naptr> {
    let RData::NAPTR(NAPTR { order, preference, flags, services, replacement, .. }) = data else {
        return None;
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (flags, service) = (text(flags), text(services));
    let replacement = plain(replacement);
    Some(Naptr { order: *order, preference: *preference, flags, service, replacement })
}

fn srv(data: &RData) -> Option<Srv> {
    let RData::SRV(SRV { priority, weight, port, target, .. }) = data else { return None };
    let target = plain(target);
    Some(Srv { priority: *priority, weight: *weight, port: *port, target })
}

/// A name without the dot at its end; that of the root is empty.
fn plain(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A DNS server that does not answer; with its socket, which keeps others from the port.
    fn silent() -> (std::net::UdpSocket, NameSources) {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let sources = NameSources::new(&[socket.local_addr().unwrap()]);
        (socket, sources)
    }

    #[tokio::test]
    async fn the_hosts_of_this_machine_are_known_without_a_server() {
        let (_socket, sources) = silent();
        let Ok((RecordSet::Addresses(ips), ttl)) = sources.addresses("LocalHost").await else {
            panic!("localhost is not known");
        };
        assert!(ips.contains(&IpAddr::from([127, 0, 0, 1])), "{ips:?}");
        assert_eq!(ttl, UNSAID);
        for lookup in ["localhost", "a.localhost"].map(|name| Lookup::Srv(name.to_owned())) {
            let answer = sources.answer(lookup).await;
            assert!(
                matches!(&answer, Ok((RecordSet::Srv(none), _)) if none.is_empty()),
                "{answer:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_no_name_has_no_records() {
        let (_socket, sources) = silent();
        let long = "a".repeat(64);
        for name in [&*long, "..", "a..b"] {
            let naptr = sources.answer(Lookup::Naptr(name.to_owned())).await;
            assert!(
                matches!(&naptr, Ok((RecordSet::Naptr(none), _)) if none.is_empty()),
                "{naptr:?}"
            );
        }
    }

    #[tokio::test]
    async fn searches_end_with_their_driver() {
        let (_socket, sources) = silent();
        let mut names =
            Names { sources: Some((Instant::now(), Arc::new(sources))), ..Names::default() };
        let (sender, answer) = tokio::sync::oneshot::channel::<LookupResult>();
        names.look_up(Lookup::Srv("pbx.test".to_owned()), |found| drop(sender.send(found)));
        assert_eq!(names.searches.len(), 1);
        drop(names);
        assert!(answer.await.is_err(), "nobody is sender any more");
    }
}
