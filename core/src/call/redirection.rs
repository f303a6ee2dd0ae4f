//! Where a call goes on when it is redirected (RFC 3261 §8.1.3.4, §13.2.2.2, §21.3).

use crate::agent::{Agent, Target};
use crate::dialog::is_sips;
use crate::error::Error;
use crate::sip::{Message, NameAddr, Scheme, Uri};
use crate::sort::sort_few;

/// The targets that 3xx responses have named: tried one after another, by `q`, none twice.
#[derive(Debug)]
pub(super) struct Redirection {
    /// Those that wait, best first, each with its `q` in thousandths.
    waiting: Vec<(u16, Target)>,
    /// Every URI that was ever taken up.
    known: Vec<String>,
    /// How many more may be taken up.
    left: u8,
    /// Whether a `sips` URI was called.
    secure: bool,
}

/// §20.10: the `q` of a Contact that has none.
const USUAL_Q: u16 = 1_000;

/// How many Contacts of a response are looked at.
const MAX_CONTACTS: usize = 32;

impl Redirection {
    /// At most `limit` targets are followed after `first`.
    pub(super) fn new(first: &Target, limit: u8) -> Self {
        let secure = is_sips(&first.uri);
        Self { waiting: Vec::new(), known: vec![first.uri.clone()], left: limit, secure }
    }

    /// Adds the Contacts of a 3xx to a request for `current`. A call to a `sips` URI does not go on in
    /// the clear (§8.1.3.4, §26.2.2): the error is that of a Contact that was passed over for it.
    pub(super) fn add_contacts(
        &mut self,
        agent: &Agent,
        current: &Target,
        response: &Message,
    ) -> Option<Error> {
        let mut exposed = None;
        let status = response.status().unwrap_or_default();
        // §21.3.5: 380 names services, not places, and only a person can choose.
        if !(300..400).contains(&status) || status == 380 {
            return None;
        }
        let contacts = response.contacts().flatten().filter(|contact| !contact.is_star());
        let mut contacts: Vec<_> = contacts.take(MAX_CONTACTS).collect();
        let q = |contact: &NameAddr<'_>| contact.q().unwrap_or(USUAL_Q);
        sort_few(&mut contacts, |a, b| q(b).cmp(&q(a)));
        for contact in contacts {
            let uri = contact.uri();
            if self.secure && uri.scheme() != Scheme::Sips && status != 305 {
                let problem =
                    "a call to a sips URI is sent on to it, but does not go on in the clear";
                exposed.get_or_insert_with(|| Error::Unreachable {
                    peer: uri.as_str().to_owned(),
                    problem: problem.to_owned(),
                });
                continue;
            }
            let target = match status {
                // §21.3.4: the same, by way of a proxy.
                305 => agent.target_through(current, &uri),
                _ => agent.target_of_contact(&uri),
            };
            let Some(target) = target.filter(|_| self.left > 0) else { continue };
            let name = match status {
                305 => format!("{} {}", target.uri, uri.as_str()),
                _ => target.uri.clone(),
            };
            if self.is_known(&name) {
                continue;
            }
            self.left -= 1;
            self.known.push(name);
            let q = contact.q().unwrap_or(USUAL_Q);
            let index = self.waiting.partition_point(|(other, _)| *other >= q);
            self.waiting.insert(index, (q, target));
        }
        exposed
    }

    /// The next target.
    pub(super) fn next(&mut self) -> Option<Target> {
        (!self.waiting.is_empty()).then(|| self.waiting.remove(0).1)
    }

    fn is_known(&self, name: &str) -> bool {
        let uri = Uri::parse(name).ok().filter(|uri| uri.scheme() == Scheme::Sip);
        self.known.iter().any(|known| match (&uri, Uri::parse(known)) {
            (Some(uri), Ok(known)) => uri.equivalent(&known),
            _ => known == name,
        })
    }
}
