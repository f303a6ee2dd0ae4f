//! What belongs to the exchange: its names and its addresses.

use core::net::{IpAddr, SocketAddr};

use super::{ExchangeParameters, Listener};
use crate::host::Transport;
use crate::locate::Hop;
use crate::sip::{Uri, Via};

/// How many addresses of its own the exchange learns from the host.
const MAX_LOCALS: usize = 64;

/// The exchange's own names and addresses.
#[derive(Debug)]
pub(super) struct Domain {
    names: Vec<String>,
    listen: Vec<Listener>,
    /// Where the host says we are seen, when we listen at the unspecified address.
    locals: Vec<SocketAddr>,
}

impl Domain {
    pub(super) fn new(parameters: &ExchangeParameters) -> Self {
        let mut names = parameters.domains.clone();
        names.extend([parameters.realm.clone(), "localhost".to_owned()]);
        Self { names, listen: parameters.listen.clone(), locals: Vec::new() }
    }

    /// Notes an address of ours, at which others reach us.
    pub(super) fn learn(&mut self, local: SocketAddr) {
        let listens = self.listen.iter().any(|listener| listener.address.port() == local.port());
        if listens && !self.is_own_address(local) && self.locals.len() < MAX_LOCALS {
            self.locals.push(local);
        }
    }

    /// Whether what is sent there comes to us.
    pub(super) fn is_own_address(&self, address: SocketAddr) -> bool {
        let is = |listener: &Listener| listener.address == address;
        self.listen.iter().any(is) || self.locals.contains(&address)
    }

    /// Whether a Via field is of our making.
    pub(super) fn is_own_via(&self, via: &Via<'_>) -> bool {
        let transport = Transport::named(via.transport()).unwrap_or_default();
        let port = via.port().unwrap_or(transport.default_port());
        via.ip().is_some_and(|ip| self.is_own_address(SocketAddr::new(ip, port)))
    }

    /// Whether a URI names an address of ours.
    pub(super) fn is_own_uri(&self, uri: &Uri<'_>) -> bool {
        let port = uri.port().unwrap_or(default_port(uri));
        uri.ip().is_some_and(|ip| self.is_own_address(SocketAddr::new(ip, port)))
    }

    /// Whether a route leads to us for certain: by an address or a name that is ours alone.
    pub(super) fn is_surely_ours(&self, route: &Uri<'_>) -> bool {
        self.is_own_uri(route) || route.ip().is_none() && self.is_ours(route)
    }

    /// Whether a URI is in our domain (RFC 3261 §16.4, §10.3). A URI without a port is, whatever
    /// port we listen at: an address of record has none.
    pub(super) fn is_ours(&self, uri: &Uri<'_>) -> bool {
        let at = |port| self.listen.iter().any(|listener| listener.address.port() == port);
        uri.is_sip() && uri.port().is_none_or(at) && self.is_our_host(uri)
    }

    /// Whether we can be reached as a sips URI asks (RFC 3261 §26.2.2).
    pub(super) fn is_secure(&self) -> bool {
        self.listen.iter().any(|listener| listener.transport.is_secure())
    }

    fn is_our_host(&self, uri: &Uri<'_>) -> bool {
        let Some(ip) = uri.ip() else {
            return self.names.iter().any(|name| name.eq_ignore_ascii_case(uri.host()));
        };
        // Who listens at every address of the machine cannot tell one that is not its own. To take
        // a stranger's for ours does no harm: only our users are looked up in it.
        let is = |own: IpAddr| own == ip || own.is_unspecified() && is_unicast(ip);
        self.listen.iter().any(|listener| is(listener.address.ip()))
            || self.locals.iter().any(|local| is(local.ip()))
    }
}

/// The port that a URI without one means.
fn default_port(uri: &Uri<'_>) -> u16 {
    Hop::of(uri).map_or(5060, |hop| hop.usual_transport().default_port())
}

fn is_unicast(ip: IpAddr) -> bool {
    !ip.is_multicast() && !ip.is_unspecified()
}
