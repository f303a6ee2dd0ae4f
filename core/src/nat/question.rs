//! A STUN binding request on its way over UDP (RFC 8489 §6.2.1): when it is sent again, and which
//! answer is its own.

use core::net::SocketAddr;

use super::stun::{StunClass, StunMessage, TransactionId, binding_request};
use crate::host::Host;
use crate::time::{Duration, Instant};

/// The first interval, where nothing is known of the way.
pub(crate) const RTO: Duration = Duration::from_millis(500);
/// How often a request is sent, at most (Rc).
const SENDINGS: u32 = 7;
/// How many first intervals after the last one it is given up (Rm).
const LAST_WAIT: u64 = 16;

/// One question.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    id: TransactionId,
    to: SocketAddr,
    interval: Duration,
    sent: u32,
    due: Instant,
}

impl Question {
    /// A question to `to`, due at once and again after `interval`, which doubles.
    pub(crate) fn new(host: &mut dyn Host, to: SocketAddr, interval: Duration) -> Self {
        Self { id: TransactionId::new(host), to, interval, sent: 0, due: host.now() }
    }

    /// Who is asked.
    pub(crate) fn to(&self) -> SocketAddr {
        self.to
    }

    /// When it is to be sent, or given up.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// What is to be sent now that it is due; `None` when it is given up.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.sent >= SENDINGS {
            return None;
        }
        self.due = now
            + match self.sent + 1 {
                SENDINGS => self.interval * LAST_WAIT,
                _ => self.interval * (1 << self.sent),
            };
        self.sent += 1;
        Some(binding_request(self.id))
    }

    /// Its answer, if this is one (§6.3.3): our address as the server sees it, or the number of the
    /// refusal; 0 stands for an answer that cannot be used.
    pub(crate) fn answer(
        &self,
        from: SocketAddr,
        message: &StunMessage,
    ) -> Option<Result<SocketAddr, u16>> {
        // A socket for both families may show either form of an IPv4 address.
        let canonical = |a: SocketAddr| (a.ip().to_canonical(), a.port());
        if message.id != self.id || canonical(from) != canonical(self.to) {
            return None;
        }
        match (message.class, message.mapped) {
            (StunClass::Error, _) => Some(Err(message.error.unwrap_or(0))),
            // §6.3.3: what has to be understood and is not spoils it.
            (StunClass::Success, Some(mapped)) if message.unknown.is_empty() => Some(Ok(mapped)),
            (StunClass::Success, _) => Some(Err(0)),
            (StunClass::Request | StunClass::Indication, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nat::answer_binding;
    use crate::sim::{ScriptedPeer, Simulation};

    fn questions<const N: usize>() -> [Question; N] {
        let mut sim = Simulation::new(1);
        let asker = sim.add([10, 0, 0, 1], ScriptedPeer::new());
        let to = "198.51.100.1:3478".parse().unwrap();
        [(); N].map(|()| sim.with(asker, |_, host| Question::new(host, to, RTO)))
    }

    #[test]
    fn it_is_asked_seven_times_in_forty_seconds() {
        let [mut question] = questions();
        let (began, mut at) = (question.due(), Vec::new());
        while question.next(question.due()).is_some() {
            at.push(question.due().since(began).as_millis());
        }
        // The example of RFC 8489 §6.2.1.
        assert_eq!(at, [500, 1_500, 3_500, 7_500, 15_500, 31_500, 39_500]);
    }

    #[test]
    fn only_its_own_answer_from_whom_was_asked_counts() {
        let [mut asked, mut other] = questions();
        let (bytes, foreign) = (asked.next(asked.due()).unwrap(), other.next(other.due()).unwrap());
        let us: SocketAddr = "203.0.113.7:5060".parse().unwrap();
        let read = |bytes: &[u8]| StunMessage::parse(&answer_binding(bytes, us).unwrap()).unwrap();
        assert_eq!(asked.answer(asked.to, &read(&bytes)), Some(Ok(us)));
        assert_eq!(asked.answer(us, &read(&bytes)), None, "from elsewhere");
        assert_eq!(asked.answer(asked.to, &read(&foreign)), None, "to another question");
        let mixed = |to: &str| Question { to: to.parse().unwrap(), ..asked.clone() };
        let [plain, mapped] = ["198.51.100.1:3478", "[::ffff:198.51.100.1]:3478"].map(mixed);
        assert_eq!(plain.answer(mapped.to, &read(&bytes)), Some(Ok(us)));
        assert_eq!(mapped.answer(plain.to, &read(&bytes)), Some(Ok(us)));
        let echo = StunMessage::parse(&bytes).unwrap();
        assert_eq!(asked.answer(asked.to, &echo), None, "no answer at all");
        let mut refusal = read(&bytes);
        (refusal.class, refusal.error) = (StunClass::Error, Some(500));
        assert_eq!(asked.answer(asked.to, &refusal), Some(Err(500)));
    }
}
