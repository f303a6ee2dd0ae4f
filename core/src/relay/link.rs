//! What one end has to send, in order of urgency, and what of it the other has not acknowledged.
//!
//! Control comes before signalling and both before media. Media that finds no room pushes out the oldest; the rest
//! is numbered, kept until it is acknowledged, and sent again on the next connection if it was not.

use std::collections::VecDeque;

use bytes::Bytes;

use super::capsule::{Capsule, CapsuleError};
use super::problem::Problem;

/// One end's side of a session, whatever connection carries it.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// Whether there is a connection, and the other end has been let in.
    open: bool,
    /// What is not numbered: greetings, acknowledgements, PING and PONG.
    urgent: VecDeque<Bytes>,
    /// The numbered ones that were sent at least once and not acknowledged, and how many before them were.
    kept: VecDeque<Bytes>,
    acknowledged: u64,
    /// How many of those have been sent on this connection.
    sent: usize,
    control: VecDeque<Bytes>,
    signalling: VecDeque<Bytes>,
    /// How many bytes the three above have.
    held: usize,
    media: VecDeque<Bytes>,
    /// How many numbered capsules have come, how many of them the other end knows of, and how many bytes those had
    /// of which it does not.
    received: u64,
    reported: u64,
    unreported: usize,
    /// How many packets of media were pushed out.
    pub(super) dropped: u64,
}

impl Link {
    /// How many packets of media wait: 640 ms of two calls. Older ones are of no more use.
    pub(super) const MEDIA: usize = 64;
    /// How many bytes may wait or be without acknowledgement.
    pub(super) const MOST: usize = 2 * 1024 * 1024;
    /// After how many capsules, or bytes, they are acknowledged.
    const REPORT_AFTER: u64 = 32;
    const REPORT_BYTES: usize = 16 * 1024;

    /// A connection is there: what was not acknowledged of the first `received` is sent again.
    ///
    /// # Errors
    /// When the other end claims more than it was sent, or less than it has acknowledged.
    pub(super) fn open(&mut self, received: u64) -> Result<(), Problem> {
        self.acknowledge(received)?;
        self.sent = 0;
        self.open = true;
        (self.reported, self.unreported) = (self.received, 0);
        Ok(())
    }

    /// The connection is gone; media that waits for it is old when the next one comes.
    pub(super) fn close(&mut self) {
        self.open = false;
        self.urgent.clear();
        self.media.clear();
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether more waits, or is without acknowledgement, than is allowed.
    pub(super) fn is_overfull(&self) -> bool {
        self.held > Self::MOST
    }

    /// Whether half of that is there: what can be lost need not be kept.
    pub(super) fn is_half_full(&self) -> bool {
        self.held > Self::MOST / 2
    }

    // --- sending ---

    /// Sends what is not numbered, before all else.
    pub(super) fn urge(&mut self, capsule: &Capsule<'_>) {
        self.urgent.push_back(capsule.to_bytes().into());
    }

    /// Sends a request, or an answer to one.
    pub(super) fn control(&mut self, capsule: &Capsule<'_>) {
        let bytes = Bytes::from(capsule.to_bytes());
        self.held += bytes.len();
        self.control.push_back(bytes);
    }

    /// Sends bytes of a flow, or its end.
    pub(super) fn signal(&mut self, capsule: &Capsule<'_>) {
        let bytes = Bytes::from(capsule.to_bytes());
        self.held += bytes.len();
        self.signalling.push_back(bytes);
    }

    /// Sends a packet of media, if there is a connection.
    pub(super) fn media(&mut self, context: u64, payload: &[u8]) {
        if !self.open {
            self.dropped += 1;
            return;
        }
        if self.media.len() >= Self::MEDIA {
            self.media.pop_front();
            self.dropped += 1;
        }
        self.media.push_back(Capsule::Datagram { context, payload }.to_bytes().into());
    }

    /// The next message for the connection.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        if let Some(bytes) = self.urgent.pop_front() {
            return Some(bytes);
        }
        if !self.open {
            return None;
        }
        if let Some(bytes) = self.kept.get(self.sent) {
            self.sent += 1;
            return Some(bytes.clone());
        }
        if let Some(bytes) = self.control.pop_front().or_else(|| self.signalling.pop_front()) {
            self.kept.push_back(bytes.clone());
            self.sent += 1;
            return Some(bytes);
        }
        self.media.pop_front()
    }

    /// What is urgent and has not left, for the link that follows this one.
    pub(super) fn take_urgent(&mut self) -> VecDeque<Bytes> {
        core::mem::take(&mut self.urgent)
    }

    pub(super) fn put_urgent(&mut self, urgent: VecDeque<Bytes>) {
        self.urgent = urgent;
    }

    // --- receiving ---

    /// Reads one message; what concerns the link alone is done, and the rest is for its owner.
    pub(super) fn receive<'a>(&mut self, message: &'a [u8]) -> Result<Option<Capsule<'a>>, Fault> {
        let capsule = Capsule::message(message)?;
        if capsule.is_numbered() {
            self.received += 1;
            self.unreported += message.len();
            if self.received - self.reported >= Self::REPORT_AFTER
                || self.unreported >= Self::REPORT_BYTES
            {
                let received = self.report();
                self.urge(&Capsule::Acknowledge { received });
            }
        }
        match capsule {
            Capsule::Acknowledge { received } | Capsule::Pong { received } => {
                self.acknowledge(received)?;
                Ok(None)
            }
            Capsule::Ping { received } => {
                self.acknowledge(received)?;
                let received = self.report();
                self.urge(&Capsule::Pong { received });
                Ok(None)
            }
            Capsule::Unknown { .. } => Ok(None),
            capsule => Ok(Some(capsule)),
        }
    }

    /// How many have come, for a report to the other end.
    pub(super) fn report(&mut self) -> u64 {
        (self.reported, self.unreported) = (self.received, 0);
        self.received
    }

    fn acknowledge(&mut self, received: u64) -> Result<(), Problem> {
        let count = received.checked_sub(self.acknowledged).and_then(|n| usize::try_from(n).ok());
        let count = count.filter(|count| *count <= self.kept.len()).ok_or(Problem::Malformed)?;
        for bytes in self.kept.drain(..count) {
            self.held -= bytes.len();
        }
        self.acknowledged = received;
        self.sent = self.sent.saturating_sub(count);
        Ok(())
    }
}

/// Why a message was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    Unreadable(CapsuleError),
    Problem(Problem),
}

impl From<CapsuleError> for Fault {
    fn from(error: CapsuleError) -> Self {
        Self::Unreadable(error)
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl Fault {
    pub(super) fn problem(self) -> Problem {
        match self {
            Self::Unreadable(_) => Problem::Malformed,
            Self::Problem(problem) => problem,
        }
    }
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Problem(problem) => problem.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(link: &mut Link) -> Vec<u64> {
        let flow = |bytes: Bytes| match Capsule::message(&bytes).unwrap() {
            Capsule::Close { flow } | Capsule::Data { flow, .. } => flow,
            Capsule::Datagram { context, .. } => context,
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(|| link.next()).map(flow).collect()
    }

    #[test]
    fn control_comes_before_signalling_and_both_before_media() {
        let mut link = Link::default();
        link.open(0).unwrap();
        link.media(30, b"rtp");
        link.signal(&Capsule::Data { flow: 20, bytes: b"sip" });
        link.control(&Capsule::Close { flow: 10 });
        link.media(31, b"rtp");
        link.control(&Capsule::Close { flow: 11 });
        assert_eq!(numbers(&mut link), [10, 11, 20, 30, 31]);
    }

    #[test]
    fn the_oldest_media_gives_way_and_nothing_else_does() {
        let mut link = Link::default();
        link.open(0).unwrap();
        for context in 0..100 {
            link.media(context, b"rtp");
            link.signal(&Capsule::Data { flow: 1_000, bytes: b"sip" });
        }
        let sent = numbers(&mut link);
        assert_eq!(sent.iter().filter(|number| **number == 1_000).count(), 100);
        assert_eq!(sent[100..], (36..100).collect::<Vec<_>>());
        assert_eq!(link.dropped, 36);
    }

    #[test]
    fn what_was_not_acknowledged_is_sent_again_and_before_the_rest() {
        let mut link = Link::default();
        link.open(0).unwrap();
        for flow in 0..4 {
            link.control(&Capsule::Close { flow });
        }
        assert_eq!(link.next().map(|_| ()), Some(()));
        assert_eq!(link.next().map(|_| ()), Some(()));
        link.close();
        link.control(&Capsule::Close { flow: 4 });
        link.media(9, b"too old");
        assert_eq!(link.next(), None);
        link.open(1).unwrap();
        assert_eq!(numbers(&mut link), [1, 2, 3, 4]);
        link.receive(&Capsule::Acknowledge { received: 5 }.to_bytes()).unwrap();
        assert_eq!(link.held, 0);
        link.close();
        assert_eq!(link.open(6), Err(Problem::Malformed), "so many were never sent");
        assert_eq!(link.open(4), Err(Problem::Malformed), "they are gone");
    }

    #[test]
    fn what_has_come_is_acknowledged_before_it_is_much() {
        let mut link = Link::default();
        link.open(0).unwrap();
        let data = [0; 1_000];
        let messages: Vec<_> =
            (0..20).map(|flow| Capsule::Data { flow, bytes: &data }.to_bytes()).collect();
        let unknown = [&[0x8f, 0xf4, 0x00, 0x3f, 0x02][..], b"??"].concat();
        assert_eq!(link.receive(&unknown), Ok(None), "a numbered one of a newer version");
        for message in &messages {
            link.receive(message).unwrap();
        }
        let acknowledged = link.next().unwrap();
        assert_eq!(Capsule::message(&acknowledged), Ok(Capsule::Acknowledge { received: 18 }));
        assert_eq!(link.next(), None);
        link.receive(&Capsule::Ping { received: 0 }.to_bytes()).unwrap();
        let pong = link.next().unwrap();
        assert_eq!(Capsule::message(&pong), Ok(Capsule::Pong { received: 21 }));
    }
}
