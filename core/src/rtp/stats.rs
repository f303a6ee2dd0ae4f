//! What a stream has done so far, in numbers.

use crate::codec::Codec;

/// What one audio stream has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct MediaStats {
    /// The codec we send; `None` before one is agreed.
    pub codec: Option<Codec>,
    /// RTP packets sent.
    pub sent: u64,
    /// Payload bytes sent.
    pub sent_bytes: u64,
    /// RTP packets received from the validated source, duplicates not counted.
    pub received: u64,
    /// Payload bytes received.
    pub received_bytes: u64,
    /// Packets that the sequence numbers promise and that never came (RFC 3550 §6.4.1).
    pub lost: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets that came after their turn to be played.
    pub late: u64,
    /// Packets that came in time and were thrown away because too much was waiting.
    pub discarded: u64,
    /// Packets that were malformed, of a payload type not agreed or from a source not validated.
    pub rejected: u64,
    /// Interarrival jitter in microseconds (RFC 3550 §6.4.1).
    pub jitter_us: u64,
    /// Round trip in microseconds (RFC 3550 §6.4.1), once a report told it.
    pub rtt_us: Option<u64>,
    /// How far playing lags behind arrival, in microseconds.
    pub playout_delay_us: u64,
    /// How much sound was made up because its packet was lost or late, in milliseconds.
    pub concealed_ms: u64,
    /// Frames that were not sent because the host came too late.
    pub stalled_frames: u64,
    /// Samples that were played and dropped because nobody read them.
    pub unread_samples: u64,
    /// Packets that the peer missed, by its last report.
    pub remote_lost: u64,
    /// The jitter that the peer saw, in microseconds, by its last report.
    pub remote_jitter_us: u64,
    /// Conversational quality as the E-model (ITU-T G.107) estimates it, 100 to 450.
    pub mos_x100: u16,
}
