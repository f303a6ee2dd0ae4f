//! What belongs to the exchange: its names, its addresses, and the routes it sealed.

use core::fmt;
use core::hash::Hasher;
use core::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher24;

use super::ExchangeParameters;
use crate::host::Entropy;
use crate::sip::{NameAddr, Uri};

/// How many addresses of its own the exchange learns from the host.
const MAX_LOCALS: usize = 64;

/// The exchange's own names and addresses.
#[derive(Debug)]
pub(super) struct Domain {
    names: Vec<String>,
    listen: Vec<SocketAddr>,
    /// Where the host says we are seen, when we listen at the unspecified address.
    locals: Vec<SocketAddr>,
}

impl Domain {
    pub(super) fn new(parameters: &ExchangeParameters) -> Self {
        let mut names = parameters.domains.clone();
        names.extend([parameters.realm.clone(), "localhost".to_owned()]);
        Self { names, listen: parameters.listen.clone(), locals: Vec::new() }
    }

    /// Notes an address of ours.
    pub(super) fn learn(&mut self, local: SocketAddr) {
        if !self.is_own_address(local) && self.locals.len() < MAX_LOCALS {
            self.locals.push(local);
        }
    }

    /// Whether packets sent there come to us.
    pub(super) fn is_own_address(&self, address: SocketAddr) -> bool {
        self.listen.contains(&address) || self.locals.contains(&address)
    }

    /// Whether a route leads to us for certain: by an address or a name that is ours alone.
    pub(super) fn is_surely_ours(&self, route: &Uri<'_>) -> bool {
        let port = route.port().unwrap_or(5060);
        match route.ip() {
            Some(ip) => self.is_own_address(SocketAddr::new(ip, port)),
            None => self.is_ours(route),
        }
    }

    /// Whether a URI is in our domain (RFC 3261 §16.4, §10.3). A URI without a port is, whatever
    /// port we listen at: an address of record has none.
    pub(super) fn is_ours(&self, uri: &Uri<'_>) -> bool {
        let port_fits = uri.port().is_none_or(|port| self.listen.iter().any(|l| l.port() == port));
        uri.is_sip() && port_fits && self.is_our_host(uri)
    }

    fn is_our_host(&self, uri: &Uri<'_>) -> bool {
        let Some(ip) = uri.ip() else {
            return self.names.iter().any(|name| name.eq_ignore_ascii_case(uri.host()));
        };
        // Who listens at every address of the machine cannot tell one that is not its own. To take
        // a stranger's for ours does no harm: only our users are looked up in it.
        let is = |own: &SocketAddr| own.ip() == ip || own.ip().is_unspecified() && is_unicast(ip);
        self.listen.iter().chain(&self.locals).any(is)
    }
}

fn is_unicast(ip: IpAddr) -> bool {
    !ip.is_multicast() && !ip.is_unspecified()
}

/// Marks the routes that the exchange records, so that it knows them again without keeping a table
/// of dialogs: only within a call that it connected does it forward to whatever address a request
/// names.
#[derive(Clone, Copy)]
pub(super) struct Seal(u64, u64);

impl Seal {
    pub(super) fn new<E: Entropy + ?Sized>(entropy: &mut E) -> Self {
        Self(entropy.random(), entropy.random())
    }

    /// The user part of a route recorded in the dialogs of a Call-ID.
    pub(super) fn of(self, call_id: &str) -> String {
        let mut hasher = SipHasher24::new_with_keys(self.0, self.1);
        hasher.write(call_id.as_bytes());
        format!("{:016x}", hasher.finish())
    }

    /// Whether a route is one of ours for that Call-ID.
    pub(super) fn is_on(self, route: &Uri<'_>, call_id: &str) -> bool {
        route.user() == Some(self.of(call_id).as_str())
    }

    /// The value of Record-Route (RFC 3261 §16.6 step 4).
    pub(super) fn record_route(self, local: SocketAddr, call_id: &str) -> String {
        format!("<sip:{}@{local};lr>", self.of(call_id))
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

/// Where a request goes next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Hop {
    /// To an address.
    Address(SocketAddr),
    /// To a host whose address has to be asked for.
    Name(String, u16),
}

impl Hop {
    /// The hop that a URI names (RFC 3263 §4, for UDP); `None` when there is no way to it.
    pub(super) fn of(uri: &Uri<'_>) -> Option<Self> {
        let other_transport =
            uri.param("transport").is_some_and(|p| !p.text().eq_ignore_ascii_case("udp"));
        if uri.scheme() != crate::sip::Scheme::Sip || other_transport {
            return None;
        }
        let port = uri.port().unwrap_or(5060);
        Some(match uri.ip() {
            Some(ip) => Self::Address(SocketAddr::new(ip, port)),
            None => Self::Name(uri.host().to_owned(), port),
        })
    }
}

/// The hop of a route, and whether it routes loosely (RFC 3261 §16.6 step 6).
pub(super) fn hop_of_route(route: &str) -> Option<(Hop, bool)> {
    let route = NameAddr::parse(route).ok()?;
    let uri = route.uri();
    Some((Hop::of(&uri)?, uri.param("lr").is_some()))
}
