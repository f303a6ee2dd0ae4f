//! Runs of RTP and RTCP between two SIP messages of a ladder.

use core::net::SocketAddr;

use super::describe::escape;
use super::{Kind, Packet};
use crate::map::Map;
use crate::time::Instant;

/// What the payload types mean that need no rtpmap (RFC 3551 §6).
const STATIC_TYPES: [(u8, &str); 8] = [
    (0, "PCMU"),
    (3, "GSM"),
    (4, "G723"),
    (8, "PCMA"),
    (9, "G722"),
    (13, "CN"),
    (18, "G729"),
    (34, "H263"),
];
const DIGITS: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

/// What the payload types of each receiver mean, from its session descriptions.
pub(super) type Formats = Map<(SocketAddr, u8), String>;

/// The runs since the last SIP message, and which digits are already written.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: Vec<Run>,
    /// The timestamp of the last telephone-event of each source: its repeats tell no new digit.
    last_event: Map<(SocketAddr, u32), u32>,
}

/// Packets of one kind and payload type from one address to another.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) first: Instant,
    last: Instant,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    kind: Kind,
    payload_type: u8,
    count: u64,
    digits: String,
}

impl Runs {
    pub(super) fn add(&mut self, packet: &Packet<'_>, formats: &Formats) {
        let payload_type = match packet.kind {
            Kind::Rtp => packet.bytes.get(1).map_or(0, |second| second & 0x7f),
            Kind::Rtcp | Kind::Sip => 0,
        };
        let digit = self.digit(packet, payload_type, formats);
        let &Packet { at, from, to, kind, .. } = packet;
        let same = |run: &&mut Run| {
            (run.from, run.to, run.kind, run.payload_type) == (from, to, kind, payload_type)
        };
        let run = match self.runs.iter_mut().find(same) {
            Some(run) => run,
            None => {
                let digits = String::new();
                let (first, last, count) = (at, at, 0);
                self.runs.push(Run { first, last, from, to, kind, payload_type, count, digits });
                let last = self.runs.len() - 1;
                &mut self.runs[last]
            }
        };
        run.last = at;
        run.count += 1;
        run.digits.extend(digit);
    }

    /// Takes the runs, in the order in which they began.
    pub(super) fn take(&mut self) -> Vec<Run> {
        core::mem::take(&mut self.runs)
    }

    /// The digit that a packet begins to carry (RFC 4733 §2.3: the timestamp is that of its start).
    fn digit(&mut self, packet: &Packet<'_>, pt: u8, formats: &Formats) -> Option<char> {
        let is_event = formats
            .get(&(packet.to, pt))
            .is_some_and(|name| name.eq_ignore_ascii_case("telephone-event"));
        if packet.kind != Kind::Rtp || !is_event {
            return None;
        }
        let word = |at: usize| {
            let bytes = packet.bytes.get(at..at + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().ok()?))
        };
        let (timestamp, source) = (word(4)?, word(8)?);
        let contributors = usize::from(packet.bytes.first()? & 0x0f);
        let event = *packet.bytes.get(12 + 4 * contributors)?;
        let last = self.last_event.insert((packet.from, source), timestamp);
        let digit = *DIGITS.get(usize::from(event))?;
        (last != Some(timestamp)).then_some(digit)
    }
}

impl Run {
    pub(super) fn label(&self, formats: &Formats) -> String {
        let packets = if self.count == 1 { "packet" } else { "packets" };
        let count = self.count;
        if self.kind == Kind::Rtcp {
            return format!("RTCP, {count} {packets}");
        }
        let number = self.payload_type;
        let named = formats.get(&(self.to, number)).map(|name| escape(name));
        let fixed = || {
            let entry = STATIC_TYPES.iter().find(|(fixed, _)| *fixed == number);
            entry.map(|(_, name)| (*name).to_owned())
        };
        let name = named.or_else(fixed).map(|name| format!(" {name}")).unwrap_or_default();
        let millis = self.last.since(self.first).as_millis();
        let time = format!("{}.{} s", millis / 1_000, millis % 1_000 / 100);
        let digits = match self.digits.as_str() {
            "" => String::new(),
            digits => format!(": {digits}"),
        };
        format!("RTP {number}{name}, {count} {packets} in {time}{digits}")
    }
}
