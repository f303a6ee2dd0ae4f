//! The path back to a dialog's peer by the connection on which it was heard last (RFC 5923); which
//! connection that is, and for whom it is fit, says [`PeerConnection`].

use core::net::SocketAddr;

use super::{Agent, Hop, Path};
use crate::dialog::PeerConnection;
use crate::error::Error;
use crate::host::Flow;

impl Agent {
    /// The path back by a connection, if that lives.
    pub(super) fn path_on(&self, flow: Flow, to: SocketAddr) -> Option<Result<Path, Error>> {
        let (_, local) = self.connections.addresses(flow)?;
        let advertised = self.advertised_on(flow, to, local);
        Some(advertised.map(|advertised| Path { flow, to, local, advertised, secure: false }))
    }

    /// The connection by which a dialog's next hop was heard last, if it is that hop's and lives.
    pub(crate) fn path_back(&self, connection: Option<&PeerConnection>, hop: &Hop) -> Option<Path> {
        let connection =
            connection.filter(|it| it.leads_to(hop) && self.parameters.next_hop.is_none())?;
        let path = self.path_on(connection.flow(), connection.from())?.ok()?;
        Some(Path { secure: hop.is_secure(), ..path })
    }

    /// There is no other path to a dialog's next hop than this connection: whether that will do. What was
    /// to be private is said to nobody whose name was not verified.
    pub(crate) fn falls_back_on(&self, connection: &mut PeerConnection, hop: &Hop) -> bool {
        let trusted = !hop.is_secure() || hop.ip().is_some();
        let fit =
            trusted && connection.is_fit_for(hop) && self.connections.contains(connection.flow());
        !connection.set_only(fit) && fit
    }
}
