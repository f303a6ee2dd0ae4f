//! RTCP compound packets (RFC 3550 §6): read in place, written into a reused buffer.

use crate::time::Duration;

const VERSION: u8 = 2;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
/// The canonical name's item type (§6.5.1).
const CNAME: u8 = 1;
/// How long one report block is.
const BLOCK: usize = 24;
/// How long the sender's part of a report is.
const SENDER_INFO: usize = 20;
/// How many bytes a canonical name may have.
const MAX_CNAME: usize = 255;

/// A checked compound packet (§6.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Compound<'a> {
    bytes: &'a [u8],
}

/// One packet of a compound.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub(super) enum Packet<'a> {
    /// SR (§6.4.1).
    SenderReport {
        /// Who reports.
        ssrc: u32,
        /// What it has sent.
        info: SenderInfo,
        /// What it has received.
        blocks: Blocks<'a>,
    },
    /// RR (§6.4.2).
    ReceiverReport {
        /// What it has received.
        blocks: Blocks<'a>,
    },
    /// BYE (§6.6).
    Goodbye {
        /// Who leaves; four bytes each.
        sources: &'a [u8],
    },
    /// Anything else, SDES (§6.5) among it.
    Other,
}

impl Packet<'_> {
    /// Whether this is a BYE of that source.
    pub(super) fn is_goodbye_of(&self, ssrc: u32) -> bool {
        match self {
            Self::Goodbye { sources } => sources.chunks_exact(4).any(|s| s == ssrc.to_be_bytes()),
            _ => false,
        }
    }
}

/// What a sender tells about itself (§6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct SenderInfo {
    /// When the report was sent, as an NTP timestamp.
    pub ntp: u64,
    /// The same moment on the RTP clock.
    pub rtp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub bytes: u32,
}

/// A report block: the reception of one source (§6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// The part lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost so far, within 24 bits; negative when duplicates outnumber them.
    pub lost: i32,
    /// The highest sequence number received, with its cycles above it.
    pub highest: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// The middle of the NTP timestamp of the last SR; zero when there was none.
    pub last_report: u32,
    /// The time since then in 1/65536 s.
    pub delay: u32,
}

/// The report blocks of one report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks<'a>(&'a [u8]);

impl Iterator for Blocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.0.split_first_chunk::<BLOCK>()?;
        self.0 = rest;
        let lost = word(block, 4) & 0xFF_FFFF;
        Some(ReportBlock {
            ssrc: word(block, 0),
            fraction_lost: block[4],
            // From 24 bits to 32, sign and all.
            lost: ((lost << 8) as i32) >> 8,
            highest: word(block, 8),
            jitter: word(block, 12),
            last_report: word(block, 16),
            delay: word(block, 20),
        })
    }
}

/// Why a datagram is not a compound RTCP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum RtcpError {
    /// A packet of it goes beyond its end, or is shorter than its kind must be.
    #[error("a length that does not fit")]
    Length,
    /// The version is not 2.
    #[error("not RTCP version 2")]
    Version,
    /// It begins with something else than a report, or with padding.
    #[error("not a compound that begins with a report")]
    NoReport,
}

impl<'a> Compound<'a> {
    /// Checks a datagram as §A.2 says, and every length in it.
    pub(super) fn parse(datagram: &'a [u8]) -> Result<Self, RtcpError> {
        let &[first, kind, ..] = datagram else { return Err(RtcpError::Length) };
        if first >> 6 != VERSION {
            return Err(RtcpError::Version);
        }
        if first & 0x20 != 0 || !matches!(kind, SENDER_REPORT | RECEIVER_REPORT) {
            return Err(RtcpError::NoReport);
        }
        let mut rest = datagram;
        while !rest.is_empty() {
            (_, rest) = split(rest)?;
        }
        Ok(Self { bytes: datagram })
    }

    /// Its packets, in order.
    pub(super) fn packets(&self) -> impl Iterator<Item = Packet<'a>> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let (packet, after) = split(rest).ok()?;
            rest = after;
            Some(packet)
        })
    }
}

/// Takes one packet off.
fn split(bytes: &[u8]) -> Result<(Packet<'_>, &[u8]), RtcpError> {
    let Some(&[first, packet_type, l0, l1]) = bytes.first_chunk() else {
        return Err(RtcpError::Length);
    };
    if first >> 6 != VERSION {
        return Err(RtcpError::Version);
    }
    let words = usize::from(u16::from_be_bytes([l0, l1])) + 1;
    let Some((packet, rest)) = bytes.split_at_checked(4 * words) else {
        return Err(RtcpError::Length);
    };
    let mut body = packet.get(4..).unwrap_or_default();
    if first & 0x20 != 0 {
        // Only the last one may be padded (§6.4.1).
        let padding = body.last().copied().map_or(0, usize::from);
        let Some(length) = body.len().checked_sub(padding).filter(|_| padding > 0) else {
            return Err(RtcpError::Length);
        };
        if !rest.is_empty() {
            return Err(RtcpError::Length);
        }
        body = body.get(..length).unwrap_or_default();
    }
    let count = usize::from(first & 0x1F);
    let packet = match packet_type {
        SENDER_REPORT => {
            let (ssrc, body) = take_word(body)?;
            let (info, blocks) =
                body.split_first_chunk::<SENDER_INFO>().ok_or(RtcpError::Length)?;
            let info = SenderInfo {
                ntp: (u64::from(word(info, 0)) << 32) | u64::from(word(info, 4)),
                rtp: word(info, 8),
                packets: word(info, 12),
                bytes: word(info, 16),
            };
            Packet::SenderReport { ssrc, info, blocks: take_blocks(blocks, count)? }
        }
        RECEIVER_REPORT => {
            let (_, blocks) = take_word(body)?;
            Packet::ReceiverReport { blocks: take_blocks(blocks, count)? }
        }
        DESCRIPTION if count > 0 => {
            let (_, items) = take_word(body)?;
            check_items(items)?;
            Packet::Other
        }
        GOODBYE => Packet::Goodbye { sources: body.get(..4 * count).ok_or(RtcpError::Length)? },
        _ => Packet::Other,
    };
    Ok((packet, rest))
}

fn take_word(bytes: &[u8]) -> Result<(u32, &[u8]), RtcpError> {
    let (first, rest) = bytes.split_first_chunk::<4>().ok_or(RtcpError::Length)?;
    Ok((u32::from_be_bytes(*first), rest))
}

fn take_blocks(bytes: &[u8], count: usize) -> Result<Blocks<'_>, RtcpError> {
    // What follows the blocks is a profile's extension (§6.4.3).
    bytes.get(..BLOCK * count).map(Blocks).ok_or(RtcpError::Length)
}

/// Checks the lengths of a chunk's items (§6.5).
fn check_items(mut items: &[u8]) -> Result<(), RtcpError> {
    loop {
        match items {
            [] | [0, ..] => return Ok(()),
            [_, length, rest @ ..] => {
                items = rest.get(usize::from(*length)..).ok_or(RtcpError::Length)?;
            }
            [_] => return Err(RtcpError::Length),
        }
    }
}

/// A big-endian word at a place within a fixed part; the places are constants.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk::<4>()).map_or(0, |b| u32::from_be_bytes(*b))
}

/// Appends an SR (§6.4.1), or an RR (§6.4.2) when there is nothing sent to tell of.
pub(super) fn append_report(
    buffer: &mut Vec<u8>,
    ssrc: u32,
    info: Option<&SenderInfo>,
    blocks: &[ReportBlock],
) {
    let blocks = blocks.get(..31).unwrap_or(blocks);
    let packet_type = if info.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
    let start = begin(buffer, blocks.len() as u8, packet_type);
    buffer.extend(ssrc.to_be_bytes());
    if let Some(info) = info {
        buffer.extend(info.ntp.to_be_bytes());
        for field in [info.rtp, info.packets, info.bytes] {
            buffer.extend(field.to_be_bytes());
        }
    }
    for block in blocks {
        let lost = block.lost.clamp(-0x80_0000, 0x7F_FFFF) as u32 & 0xFF_FFFF;
        let lost = (u32::from(block.fraction_lost) << 24) | lost;
        for field in [block.ssrc, lost, block.highest, block.jitter, block.last_report, block.delay]
        {
            buffer.extend(field.to_be_bytes());
        }
    }
    finish(buffer, start);
}

/// Appends an SDES with the canonical name (§6.5.1), which is cut after 255 bytes.
pub(super) fn append_description(buffer: &mut Vec<u8>, ssrc: u32, cname: &str) {
    let mut length = cname.len().min(MAX_CNAME);
    while !cname.is_char_boundary(length) {
        length -= 1;
    }
    let cname = cname.get(..length).unwrap_or_default();
    let start = begin(buffer, 1, DESCRIPTION);
    buffer.extend(ssrc.to_be_bytes());
    buffer.extend([CNAME, cname.len() as u8]);
    buffer.extend(cname.as_bytes());
    // One null byte ends the items, more fill the word.
    buffer.push(0);
    while !(buffer.len() - start).is_multiple_of(4) {
        buffer.push(0);
    }
    finish(buffer, start);
}

/// Appends a BYE (§6.6).
pub(super) fn append_goodbye(buffer: &mut Vec<u8>, ssrc: u32) {
    let start = begin(buffer, 1, GOODBYE);
    buffer.extend(ssrc.to_be_bytes());
    finish(buffer, start);
}

fn begin(buffer: &mut Vec<u8>, count: u8, packet_type: u8) -> usize {
    let start = buffer.len();
    buffer.extend([(VERSION << 6) | (count & 0x1F), packet_type, 0, 0]);
    start
}

/// The length counts words less one (§6.4.1).
fn finish(buffer: &mut [u8], start: usize) {
    let words = ((buffer.len() - start) / 4 - 1) as u16;
    if let Some(length) = buffer.get_mut(start + 2..start + 4) {
        length.copy_from_slice(&words.to_be_bytes());
    }
}

/// Who takes part, for the interval between reports (§6.3).
#[derive(Clone, Copy, Debug)]
pub(super) struct Membership {
    /// Everybody, ourselves included.
    pub members: u64,
    /// Those that sent RTP since the last report but one.
    pub senders: u64,
    /// Whether we are one of them.
    pub we_sent: bool,
    /// RTCP bytes a second for the whole session.
    pub bandwidth: u64,
    /// The average size of a compound packet in bytes, with UDP and IP.
    pub average_size: u64,
    /// Whether we have sent no report yet.
    pub initial: bool,
}

/// The time until the next report (§6.3.1); `random` is any number.
pub(super) fn interval(membership: &Membership, random: u64) -> Duration {
    const MINIMUM: u64 = 5_000_000;
    const INITIAL_MINIMUM: u64 = 2_500_000;
    let Membership { members, senders, we_sent, bandwidth, average_size, initial } = *membership;
    let bandwidth = bandwidth.max(4);
    // Senders share a quarter while they are not more than a quarter (step 1).
    let (count, bandwidth) = if senders * 4 > members {
        (members, bandwidth)
    } else if we_sent {
        (senders, bandwidth / 4)
    } else {
        (members.saturating_sub(senders), bandwidth * 3 / 4)
    };
    let calculated = count.saturating_mul(average_size).saturating_mul(1_000_000) / bandwidth;
    let minimum = if initial { INITIAL_MINIMUM } else { MINIMUM };
    let deterministic = calculated.clamp(minimum, 3_600_000_000);
    // Between half and one and a half times that (step 4), over e - 3/2 (step 5).
    let part = 500_000 + random % 1_000_001;
    Duration::from_micros(deterministic * part / 1_218_280)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: SenderInfo =
        SenderInfo { ntp: 0x0102_0304_0506_0708, rtp: 9, packets: 10, bytes: 11 };
    const REPORT: ReportBlock = ReportBlock {
        ssrc: 0xCAFE,
        fraction_lost: 200,
        lost: -5,
        highest: 0x1_0002,
        jitter: 80,
        last_report: 0x3040_5060,
        delay: 65_536,
    };

    fn compound() -> Vec<u8> {
        let mut bytes = Vec::new();
        append_report(&mut bytes, 1, Some(&INFO), &[REPORT]);
        append_description(&mut bytes, 1, "alice@host");
        append_goodbye(&mut bytes, 1);
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = compound();
        let packets: Vec<_> = Compound::parse(&bytes).unwrap().packets().collect();
        assert_eq!(packets.len(), 3);
        let Packet::SenderReport { ssrc: 1, info, blocks } = &packets[0] else { panic!() };
        assert_eq!(*info, INFO);
        assert_eq!(blocks.collect::<Vec<_>>(), [REPORT]);
        assert!(matches!(packets[1], Packet::Other));
        let description = b"\x81\xCA\0\x05\0\0\0\x01\x01\x0Aalice@host\0\0\0\0";
        assert!(bytes.windows(description.len()).any(|part| part == description));
        assert!(packets[2].is_goodbye_of(1) && !packets[2].is_goodbye_of(2));
    }

    #[test]
    fn a_receiver_report_of_nothing_is_eight_bytes() {
        let mut bytes = Vec::new();
        append_report(&mut bytes, 0x0A0B_0C0D, None, &[]);
        assert_eq!(bytes, [0x80, 201, 0, 1, 0x0A, 0x0B, 0x0C, 0x0D]);
        assert_eq!(Compound::parse(&bytes).unwrap().packets().count(), 1);
    }

    #[test]
    fn names_of_every_length_fill_whole_words() {
        for length in 0..=300 {
            let mut bytes = Vec::new();
            append_report(&mut bytes, 1, None, &[]);
            append_description(&mut bytes, 1, &"é".repeat(length));
            assert_eq!(bytes.len() % 4, 0);
            let compound = Compound::parse(&bytes).unwrap();
            assert_eq!(compound.packets().count(), 2);
            let name = "é".repeat(length.min(127));
            assert_eq!(bytes[17], name.len() as u8);
            assert_eq!(&bytes[18..18 + name.len()], name.as_bytes());
        }
    }

    #[test]
    fn what_is_no_compound_is_refused() {
        let error = |bytes: &[u8]| Compound::parse(bytes).unwrap_err();
        assert_eq!(error(&[]), RtcpError::Length);
        assert_eq!(error(&[0x80, 203, 0, 0]), RtcpError::NoReport);
        assert_eq!(error(&[0x00, 201, 0, 1, 0, 0, 0, 0]), RtcpError::Version);
        assert_eq!(error(&[0x80, 201, 0, 2, 0, 0, 0, 0]), RtcpError::Length);
        assert_eq!(error(&[0x81, 201, 0, 1, 0, 0, 0, 0]), RtcpError::Length, "a block too many");
        assert_eq!(error(&[0x80, 200, 0, 1, 0, 0, 0, 0]), RtcpError::Length);
        let report = [0x80, 201, 0, 1, 0, 0, 0, 0];
        assert_eq!(
            error(&[&report[..], &[0x82, 203, 0, 1, 0, 0, 0, 1]].concat()),
            RtcpError::Length
        );
        assert_eq!(
            error(&[&report[..], &[0xA0, 203, 0, 1, 0, 0, 0, 9]].concat()),
            RtcpError::Length
        );
        assert_eq!(
            error(&[&report[..], &[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 99, 0, 0]].concat()),
            RtcpError::Length
        );
    }

    #[test]
    fn no_truncation_and_no_flipped_bit_panics() {
        let bytes = compound();
        for length in 0..=bytes.len() {
            for bit in 0..=length * 8 {
                let mut mutated = bytes[..length].to_vec();
                if let Some(byte) = mutated.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
                if let Ok(compound) = Compound::parse(&mutated) {
                    for packet in compound.packets() {
                        if let Packet::SenderReport { blocks, .. }
                        | Packet::ReceiverReport { blocks, .. } = packet
                        {
                            blocks.count();
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_interval_is_about_five_seconds_for_two_and_grows_with_the_crowd() {
        let two = Membership {
            members: 2,
            senders: 2,
            we_sent: true,
            bandwidth: 400,
            average_size: 120,
            initial: false,
        };
        let bounds =
            |m: &Membership| (interval(m, 0).as_millis(), interval(m, 1_000_000).as_millis());
        assert_eq!(bounds(&two), (2_052, 6_156));
        assert_eq!(bounds(&Membership { initial: true, ..two }), (1_026, 3_078));
        let crowd = Membership { members: 1_000, senders: 1, ..two };
        assert_eq!(interval(&crowd, 500_000).as_secs(), 4, "a sender among receivers");
        let crowd = Membership { we_sent: false, ..crowd };
        assert_eq!(interval(&crowd, 500_000).as_secs(), 328);
        let silent = Membership { bandwidth: 0, members: u64::MAX, senders: 0, ..two };
        assert!(interval(&silent, u64::MAX).as_secs() < 5_000);
    }
}
