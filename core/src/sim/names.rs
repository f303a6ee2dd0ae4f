//! The simulated DNS.

use core::net::IpAddr;

use crate::host::{Query, RecordSet};
use crate::locate::Question;
use crate::map::Map;
use crate::time::Duration;

/// How long records hold that are set before [`Names::ttl`] is.
const USUAL_TTL: Duration = Duration::from_secs(60);

/// The records, and what was asked.
#[derive(Debug)]
pub(super) struct Names {
    known: Map<Question, (RecordSet, Duration)>,
    asked: Map<Question, usize>,
    /// How long the records hold that are set from now on.
    pub(super) ttl: Duration,
    /// How long an answer takes.
    pub(super) delay: Duration,
    /// Whether every question fails.
    pub(super) failing: bool,
}

impl Default for Names {
    fn default() -> Self {
        let (known, asked) = (Map::new(), Map::new());
        Self { known, asked, ttl: USUAL_TTL, delay: Duration::ZERO, failing: false }
    }
}

impl Names {
    /// Sets the answer to a question.
    pub(super) fn set(&mut self, query: Query<'_>, answer: RecordSet) {
        self.known.insert(query.into(), (answer, self.ttl));
    }

    /// The answer to a question, and how long it holds; `None` when there is none in time.
    pub(super) fn answer(&mut self, query: Query<'_>) -> Option<(RecordSet, Duration)> {
        let question = Question::from(query);
        *self.asked.or_default(question.clone()) += 1;
        let nothing = || match &question {
            Question::Naptr(_) => RecordSet::Naptr(Vec::new()),
            Question::Srv(_) => RecordSet::Srv(Vec::new()),
            Question::Addresses(_) => RecordSet::Addresses(Vec::new()),
        };
        let known = self.known.get(&question).cloned();
        (!self.failing).then(|| known.unwrap_or_else(|| (nothing(), USUAL_TTL)))
    }

    /// How often a question was asked.
    pub(super) fn asked(&self, query: Query<'_>) -> usize {
        self.asked.get(&query.into()).copied().unwrap_or_default()
    }

    /// The names of a host.
    pub(super) fn of(&self, ip: IpAddr) -> Vec<String> {
        let name =
            |(question, (answer, _)): (&Question, &(RecordSet, Duration))| match (question, answer)
            {
                (Question::Addresses(name), RecordSet::Addresses(ips)) if ips.contains(&ip) => {
                    Some(name.clone())
                }
                _ => None,
            };
        self.known.iter().filter_map(name).collect()
    }
}
