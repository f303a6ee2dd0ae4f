//! DNS questions and the cache of their answers.

use crate::host::{Query, RecordSet, Records};
use crate::map::Map;
use crate::time::{Duration, Instant};

/// A [`Query`] that is kept.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Question {
    Naptr(String),
    Srv(String),
    Addresses(String),
}

/// The answers that hold.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    known: Map<Question, (RecordSet, Instant)>,
}

/// How many records of an answer are looked at.
const MAX_NAPTR: usize = 16;
const MAX_SRV: usize = 32;
const MAX_ADDRESSES: usize = 32;

/// How many answers are kept. Peers choose what is asked (Contact, Record-Route), so there is a limit.
const MAX_ANSWERS: usize = 256;

/// An answer holds at least for as long, and at most.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(86_400);

impl Question {
    /// As the host is asked.
    pub(crate) fn query(&self) -> Query<'_> {
        match self {
            Self::Naptr(name) => Query::Naptr(name),
            Self::Srv(name) => Query::Srv(name),
            Self::Addresses(name) => Query::Addresses(name),
        }
    }
}

impl From<Query<'_>> for Question {
    fn from(query: Query<'_>) -> Self {
        match query {
            Query::Naptr(name) => Self::Naptr(name.to_ascii_lowercase()),
            Query::Srv(name) => Self::Srv(name.to_ascii_lowercase()),
            Query::Addresses(name) => Self::Addresses(name.to_ascii_lowercase()),
        }
    }
}

/// The records of an answer that are looked at: its first.
pub(crate) fn first_of(records: Records<'_>) -> RecordSet {
    let first = match records {
        Records::Naptr(records) => Records::Naptr(first(records, MAX_NAPTR)),
        Records::Srv(records) => Records::Srv(first(records, MAX_SRV)),
        Records::Addresses(ips) => Records::Addresses(first(ips, MAX_ADDRESSES)),
    };
    first.into()
}

fn first<T>(records: &[T], most: usize) -> &[T] {
    &records[..records.len().min(most)]
}

impl Cache {
    /// What is known, and until when.
    pub(crate) fn find(&self, question: &Question, now: Instant) -> Option<(RecordSet, Instant)> {
        self.known.get(question).filter(|(_, until)| *until > now).cloned()
    }

    /// Keeps an answer, also that there is nothing (RFC 2308).
    pub(crate) fn keep(
        &mut self,
        question: Question,
        answer: RecordSet,
        ttl: Duration,
        now: Instant,
    ) {
        if self.known.len() >= MAX_ANSWERS {
            self.known.retain(|_, (_, until)| *until > now);
        }
        if self.known.len() >= MAX_ANSWERS {
            let soonest = self.known.iter().min_by_key(|(_, (_, until))| *until);
            if let Some(soonest) = soonest.map(|(question, _)| question.clone()) {
                self.known.remove(&soonest);
            }
        }
        self.known.insert(question, (answer, now + ttl.clamp(SHORTEST, LONGEST)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Srv;

    fn question(n: usize) -> Question {
        Question::Addresses(format!("host{n}.example.com"))
    }

    #[test]
    fn an_answer_holds_as_long_as_it_says_within_a_second_and_a_day() {
        let (mut cache, start) = (Cache::default(), Instant::from_micros(1_000_000));
        for (ttl, holds) in [(60, 60), (0, 1), (1 << 30, 86_400)] {
            let nothing = RecordSet::Addresses(Vec::new());
            cache.keep(question(1), nothing.clone(), Duration::from_secs(ttl), start);
            let end = start + Duration::from_secs(holds);
            let almost = start + (Duration::from_secs(holds) - Duration::from_micros(1));
            assert_eq!(cache.find(&question(1), almost), Some((nothing, end)));
            assert_eq!(cache.find(&question(1), end), None, "{ttl}");
        }
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let (mut cache, now) = (Cache::default(), Instant::from_micros(1_000_000));
        for n in 0..2 * MAX_ANSWERS {
            let ttl = Duration::from_secs(60 + n as u64);
            cache.keep(question(n), RecordSet::Srv(Vec::new()), ttl, now);
        }
        assert_eq!(cache.known.len(), MAX_ANSWERS);
        assert!(cache.find(&question(2 * MAX_ANSWERS - 1), now).is_some());
        assert!(cache.find(&question(0), now).is_none(), "the one that ends first has gone");
        let many = vec![Srv { priority: 0, weight: 0, port: 5060, target: String::new() }; 100];
        assert_eq!(first_of(Records::Srv(&many)), RecordSet::Srv(many[..MAX_SRV].to_vec()));
    }
}
