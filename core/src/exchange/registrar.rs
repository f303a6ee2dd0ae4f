//! Who can be reached where (RFC 3261 §10.3).

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Departure, ExchangeEvent};
use super::leg::Link;
use super::target::Target;
use super::{ExchangeParameters, MAX_CONTACTS};
use crate::sip::{HeaderName, Message, NameAddr, Scheme, Uri};
use crate::time::{Duration, Instant};
use crate::timers::{TimerId, Timers};

/// The bindings of all users.
#[derive(Debug)]
pub(super) struct Registrar {
    users: Vec<User>,
    by_name: BTreeMap<String, usize>,
    /// The bindings that lead along a link: whose, and which.
    by_link: BTreeMap<Link, BTreeSet<(usize, u64)>>,
    /// The links of these by contact, as [`place`] names it.
    by_place: BTreeMap<String, Link>,
    expiry: Timers<(usize, u64)>,
    last_binding: u64,
    min_expires: u32,
    max_expires: u32,
}

#[derive(Debug)]
struct User {
    name: String,
    bindings: Vec<Binding>,
}

#[derive(Debug)]
struct Binding {
    id: u64,
    uri: String,
    /// The parameters of Contact but `expires`, as they came: `;q=0.5`.
    params: String,
    call_id: String,
    cseq: u32,
    /// Where requests to it go, whatever its URI says (RFC 5626 §7).
    link: Option<Link>,
    expires: Instant,
    timer: TimerId,
}

/// What one Contact of a request asks for.
struct Wish {
    uri: String,
    params: String,
    expires: u32,
}

/// Why a REGISTER is refused: the status code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Refused(pub(super) u16);

impl Registrar {
    pub(super) fn new(parameters: &ExchangeParameters) -> Self {
        let names = parameters.users.iter().map(|(name, _)| name);
        let users: Vec<User> =
            names.map(|name| User { name: name.clone(), bindings: Vec::new() }).collect();
        let by_name = users.iter().enumerate().map(|(n, user)| (user.name.clone(), n)).collect();
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        Self {
            users,
            by_name,
            by_link: BTreeMap::new(),
            by_place: BTreeMap::new(),
            expiry: Timers::new(),
            last_binding: 0,
            min_expires: seconds(parameters.min_expires),
            max_expires: seconds(parameters.max_expires).max(1),
        }
    }

    /// Min-Expires, in seconds.
    pub(super) fn min_expires(&self) -> u32 {
        self.min_expires
    }

    /// The URIs at which a user can be reached; `None` when there is no such user.
    pub(super) fn contacts(&self, user: &str) -> Option<Vec<String>> {
        let user = self.users.get(*self.by_name.get(user)?)?;
        Some(user.bindings.iter().map(|binding| binding.uri.clone()).collect())
    }

    /// Where a request to a user is sent; `None` when there is no such user.
    pub(super) fn targets(&self, user: &str) -> Option<Vec<Target>> {
        let user = self.users.get(*self.by_name.get(user)?)?;
        Some(user.bindings.iter().map(Binding::target).collect())
    }

    /// The link of whoever is registered with that contact: how to reach who has connected anew
    /// since a call began.
    pub(super) fn link_of(&self, contact: &str) -> Option<Link> {
        self.by_place.get(&place(contact)?).copied()
    }

    /// The Contact values of a response: every binding and how long it still lasts (step 8).
    pub(super) fn listing(&self, user: &str, now: Instant) -> Vec<String> {
        let user = self.by_name.get(user).and_then(|index| self.users.get(*index));
        let bindings = user.map_or(&[][..], |user| &user.bindings);
        let line = |binding: &Binding| {
            let left = binding.expires.since(now).as_micros().div_ceil(1_000_000);
            format!("<{}>{};expires={left}", binding.uri, binding.params)
        };
        bindings.iter().map(line).collect()
    }

    /// Carries out a REGISTER by `user` (steps 6 and 7): all of it or nothing.
    pub(super) fn register(
        &mut self,
        user: &str,
        request: &Message,
        origin: Link,
        now: Instant,
        events: &mut Vec<ExchangeEvent>,
    ) -> Result<(), Refused> {
        let index = *self.by_name.get(user).ok_or(Refused(404))?;
        let wishes = self.wishes(index, request)?;
        let held = &self.users.get(index).ok_or(Refused(404))?.bindings;
        let new = |wish: &&Wish| wish.expires > 0 && find(held, &wish.uri).is_none();
        let gone = |wish: &&Wish| wish.expires == 0 && find(held, &wish.uri).is_some();
        let (new, gone) = (wishes.iter().filter(new).count(), wishes.iter().filter(gone).count());
        if (held.len() + new).saturating_sub(gone) > MAX_CONTACTS {
            return Err(Refused(403));
        }
        for wish in &wishes {
            let found = find(held, &wish.uri).and_then(|at| held.get(at));
            // A request that was overtaken by a later one of its series changes nothing.
            if found.is_some_and(|b| b.call_id == request.call_id() && b.cseq >= request.cseq()) {
                return Err(Refused(500));
            }
        }
        let link = origin.binds(request).then_some(origin);
        for wish in wishes {
            self.grant(index, wish, request, link, now, events);
        }
        Ok(())
    }

    /// When [`expire`](Self::expire) is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.expiry.next_deadline()
    }

    /// Takes away the bindings whose time is over.
    pub(super) fn expire(&mut self, now: Instant, events: &mut Vec<ExchangeEvent>) {
        while let Some((_, (index, id))) = self.expiry.pop_due(now) {
            self.remove(index, id, Departure::Expired, events);
        }
    }

    /// Whether anybody is registered along a link.
    pub(super) fn uses(&self, link: Link) -> bool {
        self.by_link.contains_key(&link)
    }

    /// Nothing can be sent on a link any more. Bindings that have no other way end with it (RFC 5626
    /// §7, RFC 7118 §5); who has listened at its contact's address is connected to when needed.
    pub(super) fn lose(&mut self, link: Link, events: &mut Vec<ExchangeEvent>) {
        for (index, id) in self.by_link.remove(&link).unwrap_or_default() {
            let Some(user) = self.users.get_mut(index) else { continue };
            let Some(binding) = user.bindings.iter_mut().find(|b| b.id == id) else { continue };
            binding.link = None;
            place(&binding.uri).map(|place| self.by_place.remove(&place));
            if binding.target().next_hop().is_none() {
                self.remove(index, id, Departure::Lost, events);
            }
        }
    }

    fn remove(&mut self, index: usize, id: u64, cause: Departure, events: &mut Vec<ExchangeEvent>) {
        let Some(user) = self.users.get_mut(index) else { return };
        let Some(at) = user.bindings.iter().position(|binding| binding.id == id) else { return };
        let binding = user.bindings.remove(at);
        let (user, contact) = (user.name.clone(), binding.uri.clone());
        self.release(index, &binding);
        events.push(ExchangeEvent::Unregistered { user, contact, cause });
    }

    /// Lets go what belongs to a binding that was taken out.
    fn release(&mut self, index: usize, binding: &Binding) {
        self.expiry.cancel(binding.timer);
        if let Some(link) = binding.link
            && let Some(bindings) = self.by_link.get_mut(&link)
        {
            bindings.remove(&(index, binding.id));
            if bindings.is_empty() {
                self.by_link.remove(&link);
            }
            place(&binding.uri).map(|place| self.by_place.remove(&place));
        }
    }

    /// What a request asks for; none when it only asks what there is.
    fn wishes(&self, index: usize, request: &Message) -> Result<Vec<Wish>, Refused> {
        let contacts: Vec<NameAddr<'_>> =
            request.contacts().collect::<Result<_, _>>().map_err(|_| Refused(400))?;
        if contacts.iter().any(NameAddr::is_star) {
            // Step 6: `*` stands alone and with Expires 0.
            if contacts.len() != 1 || request.expires() != Some(0) {
                return Err(Refused(400));
            }
            let bindings = self.users.get(index).map_or(&[][..], |user| &user.bindings);
            let removal =
                |b: &Binding| Wish { uri: b.uri.clone(), params: String::new(), expires: 0 };
            return Ok(bindings.iter().map(removal).collect());
        }
        let mut wishes: Vec<Wish> = Vec::new();
        for contact in &contacts {
            let wish = self.wish(contact, request)?;
            // The last of two that are the same counts.
            wishes.retain(|other| !is_same(&other.uri, &wish.uri));
            wishes.push(wish);
        }
        Ok(wishes)
    }

    fn wish(&self, contact: &NameAddr<'_>, request: &Message) -> Result<Wish, Refused> {
        let uri = contact.uri();
        if uri.scheme() != Scheme::Sip {
            return Err(Refused(416));
        }
        // Step 7: the contact's own wish, else the request's, else ours.
        let asked = contact.expires().or(request.expires()).unwrap_or(self.max_expires);
        if asked > 0 && asked < self.min_expires {
            return Err(Refused(423));
        }
        let params = contact.params().filter(|param| !param.name.eq_ignore_ascii_case("expires"));
        Ok(Wish {
            uri: uri.without_headers().to_owned(),
            params: params.map(|param| param.to_string()).collect(),
            expires: asked.min(self.max_expires),
        })
    }

    fn grant(
        &mut self,
        index: usize,
        wish: Wish,
        request: &Message,
        link: Option<Link>,
        now: Instant,
        events: &mut Vec<ExchangeEvent>,
    ) {
        let Some(user) = self.users.get_mut(index) else { return };
        let known = find(&user.bindings, &wish.uri);
        if wish.expires == 0 {
            if let Some(id) = known.and_then(|at| user.bindings.get(at)).map(|binding| binding.id) {
                self.remove(index, id, Departure::Withdrawn, events);
            }
            return;
        }
        let old = known.map(|at| user.bindings.remove(at));
        old.inspect(|old| self.release(index, old));
        self.last_binding += 1;
        let id = self.last_binding;
        let lasts = Duration::from_secs(u64::from(wish.expires));
        let binding = Binding {
            id,
            uri: wish.uri.clone(),
            params: wish.params,
            call_id: request.call_id().to_owned(),
            cseq: request.cseq(),
            link,
            expires: now + lasts,
            timer: self.expiry.set(now + lasts, (index, id)),
        };
        if let Some(link) = link {
            self.by_link.entry(link).or_default().insert((index, id));
            place(&wish.uri).map(|place| self.by_place.insert(place, link));
        }
        let Some(user) = self.users.get_mut(index) else { return };
        // A refreshed binding keeps its place.
        user.bindings.insert(known.unwrap_or(user.bindings.len()), binding);
        let (user, contact, expires) = (user.name.clone(), wish.uri, lasts);
        events.push(ExchangeEvent::Registered { user, contact, expires });
    }
}

impl Binding {
    fn target(&self) -> Target {
        Target { uri: self.uri.clone(), routes: Vec::new(), link: self.link }
    }
}

fn find(bindings: &[Binding], uri: &str) -> Option<usize> {
    bindings.iter().position(|binding| is_same(&binding.uri, uri))
}

/// The user and host of a contact, which are the same in a request within a call to it.
fn place(uri: &str) -> Option<String> {
    let uri = Uri::parse(uri).ok()?;
    let (user, host) = (uri.user().unwrap_or_default(), uri.host().to_ascii_lowercase());
    Some(format!("{user}@{host}:{}", uri.port().unwrap_or_default()))
}

/// §10.3 step 7: compared as URIs (§19.1.4).
fn is_same(a: &str, b: &str) -> bool {
    match (Uri::parse(a), Uri::parse(b)) {
        (Ok(a), Ok(b)) => a.equivalent(&b),
        _ => a == b,
    }
}

/// The option tags that a registrar here does not know (step 2).
pub(super) fn unsupported(request: &Message) -> Vec<&str> {
    request.values(HeaderName::Require).collect()
}
