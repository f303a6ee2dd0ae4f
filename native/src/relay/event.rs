//! What happens at a relay.

use std::net::SocketAddr;

use offhook_core::host::Transport;
use offhook_core::relay::{Counters, Problem};

use crate::host::turned_away::TurnedAway;

/// Something that happened at a [`Relay`](super::Relay). Sessions are numbered from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RelayEvent {
    /// A client was let in.
    Began {
        /// Its session.
        session: u64,
        /// Whom its token is of.
        subject: String,
        /// Its address.
        from: SocketAddr,
    },
    /// It has lost its connection.
    Lost {
        /// Its session.
        session: u64,
    },
    /// It is back on another one.
    Resumed {
        /// Its session.
        session: u64,
        /// Its address now.
        from: SocketAddr,
    },
    /// A flow to a SIP server is open.
    Opened {
        /// The session.
        session: u64,
        /// How.
        transport: Transport,
        /// The server.
        server: SocketAddr,
    },
    /// A pair of media ports is bound.
    Bound {
        /// The session.
        session: u64,
        /// Its RTP port, as peers see it.
        rtp: SocketAddr,
    },
    /// A client asked for something that it does not get.
    Refused {
        /// Its session.
        session: u64,
        /// Why.
        problem: Problem,
        /// What it asked for; an address, a name, or nothing.
        what: String,
    },
    /// A session is over.
    Ended {
        /// The session.
        session: u64,
        /// Why; nothing when the client has left.
        problem: Option<Problem>,
        /// What has passed.
        counters: Counters,
    },
    /// Somebody has connected and was not let in: his token is not good, or there is no room.
    Denied {
        /// His address.
        from: SocketAddr,
        /// Why.
        problem: Problem,
    },
    /// Somebody has connected and does not speak the protocol, or comes from a page that may not; at most one a
    /// second is reported.
    TurnedAway(TurnedAway),
    /// This listener was too slow, and missed events.
    Lagged {
        /// How many.
        missed: u64,
    },
}
