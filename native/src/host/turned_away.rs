//! Peers that connect to us and are turned away: reported, at most one a second.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_core::host::Transport;

/// A peer that has connected to us and was not let in.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TurnedAway {
    /// What we listen for where it has connected.
    pub transport: Transport,
    /// Its address.
    pub from: SocketAddr,
    /// Why, in words that end a sentence about it: `its certificate expired on 2 May 2026`.
    pub problem: String,
    /// How many others were turned away since the last report.
    pub others: u64,
}

/// Limits the reports, so that a peer that connects again and again does not fill a log.
#[derive(Debug, Default)]
pub(crate) struct TurnedAwayLog {
    last: Option<Instant>,
    others: u64,
}

impl TurnedAwayLog {
    /// The least time between two reports.
    const PAUSE: Duration = Duration::from_secs(1);

    /// The report, if one is due.
    pub(crate) fn report(&mut self, away: TurnedAway, now: Instant) -> Option<TurnedAway> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < Self::PAUSE) {
            self.others += 1;
            return None;
        }
        self.last = Some(now);
        Some(TurnedAway { others: std::mem::take(&mut self.others), ..away })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_is_told_and_the_others_are_counted() {
        let away = TurnedAway {
            transport: Transport::Tls,
            from: "192.0.2.1:1".parse().unwrap(),
            problem: "it speaks no TLS".into(),
            others: 0,
        };
        let (mut turned_away, start) = (TurnedAwayLog::default(), Instant::now());
        let others = |turned_away: &mut TurnedAwayLog, ms| {
            let reported = turned_away.report(away.clone(), start + Duration::from_millis(ms));
            reported.map(|reported| reported.others)
        };
        assert_eq!(others(&mut turned_away, 0), Some(0));
        assert_eq!([1, 500, 999].map(|ms| others(&mut turned_away, ms)), [None; 3]);
        assert_eq!(others(&mut turned_away, 1_000), Some(3));
        assert_eq!(others(&mut turned_away, 9_000), Some(0));
    }
}
