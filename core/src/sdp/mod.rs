//! Session descriptions (RFC 8866) and the offer/answer model (RFC 3264).

/// Which way a stream flows, from the one who says it (RFC 8866 §6.7; the seed's TransmitType).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// The speaker only sends.
    SendOnly,
    /// The speaker only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}
