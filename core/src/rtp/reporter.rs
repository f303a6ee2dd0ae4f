//! The RTCP of one stream: when reports are due, what they say, and what the peer's say.

use core::net::SocketAddr;

use super::rtcp::{self, Compound, Membership, Packet, ReportBlock, SenderInfo};
use super::source::Source;
use crate::codec::Codec;
use crate::host::Host;
use crate::time::{Duration, Instant, WallTime};

/// The session's bandwidth with headers, bytes a second: 80 kbit/s each way.
const SESSION_BANDWIDTH: u64 = 20_000;
/// The part of it that RTCP may use: a twentieth (RFC 3550 §6.2).
const RTCP_PART: u64 = 20;
/// IP and UDP count in the size of a packet (§6.2).
const UDP_AND_IP: u64 = 28;
/// The probable size of the first compound (§6.3.2).
const FIRST_SIZE: u64 = 100;

/// What the peer's reports said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Remote {
    pub(crate) rtt_us: Option<u64>,
    pub(crate) lost: u64,
    pub(crate) jitter: u32,
}

/// The reports of one stream.
#[derive(Debug)]
pub(crate) struct Reporter {
    cname: String,
    /// What the wall said when the session began; from there NTP time runs with our own clock, so
    /// that a wall clock that is set does not spoil a round trip.
    origin: (Instant, WallTime),
    next: Instant,
    initial: bool,
    /// In 1/16 bytes.
    average_size: u64,
    /// RTP packets sent when the last report and the one before it were.
    sent_before: [u64; 2],
    /// RTP packets received then.
    received_before: [u64; 2],
    last_report: Option<LastReport>,
    remote: Remote,
    /// Where the peer's reports come from, once that is known.
    pub(crate) heard_from: Option<SocketAddr>,
    packet: Vec<u8>,
}

/// The last SR that came.
#[derive(Clone, Copy, Debug)]
struct LastReport {
    ssrc: u32,
    /// The middle of its NTP timestamp.
    middle: u32,
    came: Instant,
}

/// What there is to report.
pub(crate) struct Report<'a> {
    pub(crate) ssrc: u32,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) timestamp: u32,
    pub(crate) source: Option<&'a mut Source>,
    pub(crate) received: u64,
}

impl Reporter {
    /// The reports of whom we are known as (§6.5.1).
    pub(crate) fn new(host: &mut dyn Host, cname: &str) -> Self {
        let mut reporter = Self {
            cname: cname.to_owned(),
            origin: (host.now(), host.wall()),
            next: Instant::FAR,
            initial: true,
            average_size: (FIRST_SIZE + UDP_AND_IP) * 16,
            sent_before: [0; 2],
            received_before: [0; 2],
            last_report: None,
            remote: Remote::default(),
            heard_from: None,
            packet: Vec::new(),
        };
        reporter.schedule(host, 0, 0);
        reporter
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        self.next
    }

    pub(crate) fn remote(&self) -> Remote {
        self.remote
    }

    /// Whether any report was sent.
    pub(crate) fn has_reported(&self) -> bool {
        !self.initial
    }

    /// Takes a compound packet that was received; returns whether the source said goodbye, or
    /// nothing when it is no compound.
    pub(crate) fn handle_compound(
        &mut self,
        now: Instant,
        datagram: &[u8],
        source: Option<u32>,
        our_ssrc: u32,
    ) -> Option<bool> {
        let compound = Compound::parse(datagram).ok()?;
        self.count_size(datagram.len());
        let mut goodbye = false;
        for packet in compound.packets() {
            match packet {
                Packet::SenderReport { ssrc, info, blocks } => {
                    if source.is_none_or(|source| source == ssrc) {
                        let middle = (info.ntp >> 16) as u32;
                        self.last_report = Some(LastReport { ssrc, middle, came: now });
                    }
                    self.handle_blocks(now, blocks, our_ssrc);
                }
                Packet::ReceiverReport { blocks, .. } => self.handle_blocks(now, blocks, our_ssrc),
                other => goodbye |= source.is_some_and(|source| other.is_goodbye_of(source)),
            }
        }
        Some(goodbye)
    }

    fn handle_blocks(&mut self, now: Instant, blocks: rtcp::Blocks<'_>, our_ssrc: u32) {
        for block in blocks.filter(|b| b.ssrc == our_ssrc) {
            self.remote.lost = u64::try_from(block.lost).unwrap_or(0);
            self.remote.jitter = block.jitter;
            // §6.4.1: now, less when our report was sent, less how long the peer kept it.
            let passed = self.ntp_middle(now).wrapping_sub(block.last_report);
            let trip = passed.wrapping_sub(block.delay);
            if block.last_report != 0 && trip < 1 << 31 {
                self.remote.rtt_us = Some((u64::from(trip) * 1_000_000) >> 16);
            }
        }
    }

    /// A report, and when the next one is due.
    pub(crate) fn write_report(&mut self, host: &mut dyn Host, report: Report<'_>) -> &[u8] {
        let (packets, received) = (report.packets, report.received);
        self.append(host.now(), report);
        self.initial = false;
        self.count_size(self.packet.len());
        self.schedule(host, packets, received);
        &self.packet
    }

    /// The last words (§6.6): a report, our name and BYE.
    pub(crate) fn write_goodbye(&mut self, host: &mut dyn Host, report: Report<'_>) -> &[u8] {
        let ssrc = report.ssrc;
        self.append(host.now(), report);
        rtcp::append_goodbye(&mut self.packet, ssrc);
        &self.packet
    }

    fn append(&mut self, now: Instant, report: Report<'_>) {
        let Report { ssrc, packets, bytes, timestamp, source, .. } = report;
        let info = SenderInfo {
            ntp: self.ntp(now),
            rtp: timestamp,
            packets: packets as u32,
            bytes: bytes as u32,
        };
        // A sender is who sent since the last report but one (§6.4).
        let info = (packets > self.sent_before[1]).then_some(&info);
        // Zero where that source has not reported (§6.4.1).
        let last = |ssrc: u32| match self.last_report.filter(|last| last.ssrc == ssrc) {
            Some(LastReport { middle, came, .. }) => {
                (middle, ((now.since(came).as_micros() << 16) / 1_000_000) as u32)
            }
            None => (0, 0),
        };
        let block = source.map(|source| {
            let (last_report, delay) = last(source.ssrc());
            ReportBlock {
                ssrc: source.ssrc(),
                fraction_lost: source.take_fraction_lost(),
                lost: source.cumulative_lost(),
                highest: source.extended_highest(),
                jitter: source.jitter(),
                last_report,
                delay,
            }
        });
        self.packet.clear();
        rtcp::append_report(&mut self.packet, ssrc, info, block.as_slice());
        rtcp::append_description(&mut self.packet, ssrc, &self.cname);
    }

    fn schedule(&mut self, host: &mut dyn Host, sent: u64, received: u64) {
        let we_sent = sent > self.sent_before[1];
        let they_sent = received > self.received_before[1];
        let membership = Membership {
            members: 2,
            senders: u64::from(we_sent) + u64::from(they_sent),
            we_sent,
            bandwidth: SESSION_BANDWIDTH / RTCP_PART,
            average_size: self.average_size / 16,
            initial: self.initial,
        };
        self.sent_before = [sent, self.sent_before[0]];
        self.received_before = [received, self.received_before[0]];
        self.next = host.now() + rtcp::interval(&membership, host.random());
    }

    /// §6.3.3.
    fn count_size(&mut self, length: usize) {
        let size = length as u64 + UDP_AND_IP;
        self.average_size = self.average_size - self.average_size / 16 + size;
    }

    fn ntp(&self, now: Instant) -> u64 {
        let (begin, wall) = self.origin;
        let passed = now.since(begin).as_micros();
        WallTime::from_micros(wall.as_micros().saturating_add(passed)).as_ntp()
    }

    fn ntp_middle(&self, now: Instant) -> u32 {
        (self.ntp(now) >> 16) as u32
    }
}

/// Timestamp units of a codec as microseconds.
pub(crate) fn to_micros(units: u64, codec: Codec) -> u64 {
    units.saturating_mul(1_000_000) / u64::from(codec.clock_rate())
}

/// A length of time in timestamp units of a codec.
pub(crate) fn to_units(time: Duration, codec: Codec) -> u32 {
    (time.as_micros().min(3_600_000_000) * u64::from(codec.clock_rate()) / 1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::tests::TestHost;

    fn block_after(host: &mut TestHost, reporter: &mut Reporter, ssrc: u32) -> ReportBlock {
        let mut source = Source::new(ssrc, 1, 0);
        let report = Report {
            ssrc: 1,
            packets: 0,
            bytes: 0,
            timestamp: 0,
            source: Some(&mut source),
            received: 0,
        };
        let bytes = reporter.write_report(host, report);
        let first = Compound::parse(bytes).unwrap().packets().next();
        let Some(Packet::ReceiverReport { mut blocks, .. }) = first else { panic!() };
        blocks.next().unwrap()
    }

    #[test]
    fn a_block_tells_of_the_last_report_of_its_own_source() {
        let mut host = TestHost::new(1);
        let mut reporter = Reporter::new(&mut host, "us");
        let mut bytes = Vec::new();
        let info = SenderInfo { ntp: 0x1111_2222_3333_4444, ..SenderInfo::default() };
        rtcp::append_report(&mut bytes, 7, Some(&info), &[]);
        assert_eq!(reporter.handle_compound(host.now, &bytes, Some(7), 1), Some(false));
        host.now += Duration::from_millis(1_500);
        let block = block_after(&mut host, &mut reporter, 7);
        assert_eq!((block.last_report, block.delay), (0x2222_3333, 3 << 15));
        let block = block_after(&mut host, &mut reporter, 8);
        assert_eq!((block.last_report, block.delay), (0, 0));
    }

    #[test]
    fn a_round_trip_is_what_is_left_of_the_time_passed() {
        let mut host = TestHost::new(1);
        let mut reporter = Reporter::new(&mut host, "us");
        let sent = reporter.ntp_middle(host.now);
        let heard = |reporter: &mut Reporter, now, last_report, delay| {
            let block = ReportBlock { ssrc: 1, last_report, delay, ..ReportBlock::default() };
            let mut bytes = Vec::new();
            rtcp::append_report(&mut bytes, 7, None, &[block]);
            reporter.handle_compound(now, &bytes, Some(7), 1);
            reporter.remote().rtt_us
        };
        let now = host.now + Duration::from_millis(350);
        assert_eq!(heard(&mut reporter, now, 0, 0), None, "the peer has had no report of ours");
        assert_eq!(heard(&mut reporter, now, sent, 65_536), None, "it lies about its delay");
        let trip = heard(&mut reporter, now, sent, 65_536 / 4).unwrap();
        assert!(trip.abs_diff(100_000) < 50, "{trip}");
    }
}
