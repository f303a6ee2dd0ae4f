//! What a stream has done so far, in numbers.

use crate::codec::Codec;

/// What one audio stream has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct MediaStats {
    /// The codec we send; `None` before one is agreed.
    pub codec: Option<Codec>,
    /// RTP packets that have left: not those that the host's network has not taken.
    pub sent: u64,
    /// Payload bytes sent.
    pub sent_bytes: u64,
    /// RTP packets received from the validated source, duplicates not counted; also those of a payload
    /// type that was not agreed, which are ignored.
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
    /// Round trip in microseconds (RFC 3550 §6.4.1), once a report has shown it.
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
    /// Conversational quality as the E-model (ITU-T G.107) estimates it, a hundred times the mean
    /// opinion score: 100 to 450; 0 before anything was received.
    pub mos_x100: u16,
}

/// The E-model's rating without any impairment (G.107 §7.7), in thousandths.
const RATING: i64 = 93_200;
/// How well G.711 with concealment stands random loss (G.113 table I.4), in thousandths.
const LOSS_ROBUSTNESS: i64 = 25_100;
/// From here on delay disturbs a conversation (G.107's simplification by Cole and Rosenbluth).
const DISTURBING_US: i64 = 177_300;

/// The mean opinion score, a hundredfold, for a delay from mouth to ear and a part of packets lost in
/// millionths.
pub(crate) fn mos_x100(delay_us: u64, lost_ppm: u64) -> u16 {
    let delay = i64::try_from(delay_us).unwrap_or(i64::MAX).min(10_000_000);
    let percent = i64::try_from(lost_ppm).unwrap_or(i64::MAX).min(1_000_000) / 10;
    let delayed = 24 * delay / 1_000 + 110 * (delay - DISTURBING_US).max(0) / 1_000;
    let equipment = 95_000 * percent / (percent + LOSS_ROBUSTNESS);
    let rating = (RATING - delayed - equipment).clamp(0, 100_000);
    // G.107 annex B, in millionths: 1 + 0.035 R + 7e-6 R (R - 60) (100 - R).
    let curve = rating * (rating - 60_000) / 1_000 * (100_000 - rating) / 1_000 * 7 / 1_000;
    let score = 1_000_000 + 35 * rating + curve;
    (score.clamp(1_000_000, 4_500_000) / 10_000) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_that_of_the_tables() {
        assert_eq!(mos_x100(0, 0), 440);
        // R = 93.2 - 2.4 = 90.8: 4.35.
        assert_eq!(mos_x100(100_000, 0), 435);
        // 400 ms: 9.6 + 24.5 less; R = 59.1: 3.05.
        assert!((303..=306).contains(&mos_x100(400_000, 0)));
        // 5 % lost: 15.8 less; R = 77.4: 3.9.
        assert!((391..=395).contains(&mos_x100(0, 50_000)));
        assert_eq!(mos_x100(u64::MAX, u64::MAX), 100);
        for delay in 0..100 {
            for lost in 0..100 {
                let here = mos_x100(delay * 10_000, lost * 10_000);
                assert!((100..=450).contains(&here));
                assert!(mos_x100(delay * 10_000 + 10_000, lost * 10_000) <= here);
                assert!(mos_x100(delay * 10_000, lost * 10_000 + 10_000) <= here);
            }
        }
    }
}
