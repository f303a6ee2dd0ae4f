//! What a phone counts.

/// What a phone has counted since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// SIP messages received that could be read.
    pub received: u64,
    /// Datagrams received that were no SIP message and could not be answered.
    pub malformed: u64,
    /// Responses to nothing we asked, and requests that cannot be answered (a stray ACK).
    pub stray: u64,
    /// Requests refused because a limit was reached.
    pub refused: u64,
    /// Calls refused for want of something here: room, ports, an address for the caller.
    pub calls_refused: u64,
    /// Challenges we did not answer: not the configured server, another realm, no credentials.
    pub unanswered_challenges: u64,
    /// Changes and answers of a [`SipHandler`](crate::handler::SipHandler) that could not be; the
    /// message went on as it was.
    pub changes_refused: u64,
    /// How often a call, or the start, went on without an answer of the STUN server.
    pub unmapped: u64,
}
