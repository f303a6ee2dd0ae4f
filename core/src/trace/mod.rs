//! Ladder diagrams and captures.

/// What a traced packet is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// It left or reached a signalling socket.
    Sip,
    /// It left or reached an RTP socket.
    Rtp,
    /// It left or reached an RTCP socket.
    Rtcp,
}
