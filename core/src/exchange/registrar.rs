//! Who can be reached where (RFC 3261 §10.3).

use super::event::{Departure, ExchangeEvent};
use super::side::PeerFlow;
use super::target::Target;
use super::{ExchangeParameters, MAX_CONTACTS};
use crate::host::Transport;
use crate::map::{Map, Set};
use crate::sip::{HeaderName, Message, NameAddr, Scheme, Uri};
use crate::time::{Duration, Instant};
use crate::timers::{TimerId, Timers};

/// The bindings of all users.
#[derive(Debug)]
pub(super) struct Registrar {
    users: Vec<User>,
    by_name: Map<String, usize>,
    /// The bindings that lead along a flow: whose, and which.
    by_flow: Map<PeerFlow, Set<(usize, u64)>>,
    /// The bindings by contact, as [`place`] names it: whose it was first, keeps it from others.
    by_place: Map<String, (usize, u64)>,
    /// The flows that are of no use any more: who was bound along them is bound along another.
    left: Vec<PeerFlow>,
    expiry: Timers<(usize, u64)>,
    last_binding: u64,
    min_expires: u32,
    max_expires: u32,
    /// Whether the exchange listens on a secure transport.
    secure: bool,
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
    /// Which flow of which instance, if it was registered so (RFC 5626 §6).
    outbound: Option<Outbound>,
    /// The path back that proxies have written (RFC 3327 §5.3).
    path: Vec<String>,
    call_id: String,
    cseq: u32,
    /// Where requests to it go, whatever its URI says (RFC 5626 §7).
    along: Option<PeerFlow>,
    expires: Instant,
    timer: TimerId,
}

/// The binding that one Contact of a request asks for.
struct RequestedBinding {
    uri: String,
    params: String,
    outbound: Option<Outbound>,
    expires: u32,
}

/// What a binding is known by instead of its URI (RFC 5626 §6).
#[derive(Clone, PartialEq, Eq, Debug)]
struct Outbound {
    instance: String,
    reg_id: u32,
}

/// What was granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Granted {
    /// Whether RFC 5626 applies, which the answer has to say in Require.
    pub(super) outbound: bool,
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
            by_flow: Map::new(),
            by_place: Map::new(),
            left: Vec::new(),
            expiry: Timers::new(),
            last_binding: 0,
            min_expires: seconds(parameters.min_expires),
            max_expires: seconds(parameters.max_expires).max(1),
            secure: parameters.listen.iter().any(|listener| listener.transport.is_secure()),
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

    /// Where a request to a user is sent; `None` when there is no such user. Each instance is asked
    /// once: its flows stand in for each other, the one refreshed last first (RFC 5626 §7).
    pub(super) fn targets(&self, user: &str) -> Option<Vec<Target>> {
        let user = self.users.get(*self.by_name.get(user)?)?;
        let mut targets: Vec<(Option<&str>, u64, Target)> = Vec::new();
        for binding in &user.bindings {
            let instance = binding.outbound.as_ref().map(|outbound| outbound.instance.as_str());
            let mut target = binding.target();
            let same = targets.iter_mut().find(|(of, ..)| instance.is_some() && *of == instance);
            match same {
                Some((_, id, first)) if *id < binding.id => {
                    target.spare = core::mem::take(&mut first.spare);
                    let other = core::mem::replace(first, target);
                    first.spare.insert(0, other);
                    *id = binding.id;
                }
                Some((.., first)) => first.spare.push(target),
                None => targets.push((instance, binding.id, target)),
            }
        }
        Some(targets.into_iter().map(|(.., target)| target).collect())
    }

    /// The flow of the user that is registered with that contact: how to reach one that has connected anew
    /// since a call began.
    pub(super) fn flow_of(&self, contact: &str) -> Option<PeerFlow> {
        let &(index, id) = self.by_place.get(&place(contact)?)?;
        self.users.get(index)?.bindings.iter().find(|binding| binding.id == id)?.along
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
        origin: PeerFlow,
        now: Instant,
        events: &mut Vec<ExchangeEvent>,
    ) -> Result<Granted, Refused> {
        let index = *self.by_name.get(user).ok_or(Refused(404))?;
        let requested = self.requested(index, request)?;
        let held = &self.users.get(index).ok_or(Refused(404))?.bindings;
        let new = |asked: &&RequestedBinding| asked.expires > 0 && find(held, asked).is_none();
        let gone = |asked: &&RequestedBinding| asked.expires == 0 && find(held, asked).is_some();
        let (new, gone) =
            (requested.iter().filter(new).count(), requested.iter().filter(gone).count());
        if (held.len() + new).saturating_sub(gone) > MAX_CONTACTS {
            return Err(Refused(403));
        }
        for asked in &requested {
            let found = find(held, asked).and_then(|at| held.get(at));
            // A request that was overtaken by a later one of its series changes nothing.
            if found.is_some_and(|b| b.call_id == request.call_id() && b.cseq >= request.cseq()) {
                return Err(Refused(500));
            }
        }
        let outbound = requested.iter().any(|asked| asked.outbound.is_some());
        let along = origin.binds(request).then_some(origin);
        for asked in requested {
            self.grant(index, asked, request, along, now, events);
        }
        Ok(Granted { outbound: outbound && request.supports("outbound") })
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

    /// A connection that a telephone has left for another, as it does when the old one is dead: maybe
    /// no request has said (RFC 5626 §6).
    pub(super) fn next_left(&mut self) -> Option<PeerFlow> {
        self.left.pop()
    }

    /// Whether anybody is registered along a flow.
    pub(super) fn uses(&self, along: PeerFlow) -> bool {
        self.by_flow.contains_key(&along)
    }

    /// Nothing can be sent on a flow any more. Bindings that have no other way end with it (RFC 5626
    /// §7, RFC 7118 §5); who has listened at its contact's address is connected to when needed.
    pub(super) fn lose(&mut self, along: PeerFlow, events: &mut Vec<ExchangeEvent>) {
        for (index, id) in self.by_flow.remove(&along).unwrap_or_default().into_keys() {
            let Some(user) = self.users.get_mut(index) else { continue };
            let Some(binding) = user.bindings.iter_mut().find(|b| b.id == id) else { continue };
            binding.along = None;
            if binding.is_client() || binding.target().next_hop().is_none() {
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
        if let Some(along) = binding.along
            && let Some(bindings) = self.by_flow.get_mut(&along)
        {
            bindings.remove(&(index, binding.id));
            if bindings.is_empty() {
                self.by_flow.remove(&along);
            }
        }
        if let Some(place) = place(&binding.uri)
            && self.by_place.get(&place) == Some(&(index, binding.id))
        {
            self.by_place.remove(&place);
        }
    }

    /// The bindings that a request asks for; none when it only asks which there are.
    fn requested(&self, index: usize, request: &Message) -> Result<Vec<RequestedBinding>, Refused> {
        let contacts: Vec<NameAddr<'_>> =
            request.contacts().collect::<Result<_, _>>().map_err(|_| Refused(400))?;
        if contacts.iter().any(NameAddr::is_star) {
            // Step 6: `*` stands alone and with Expires 0.
            if contacts.len() != 1 || request.expires() != Some(0) {
                return Err(Refused(400));
            }
            let bindings = self.users.get(index).map_or(&[][..], |user| &user.bindings);
            let removal = |binding: &Binding| RequestedBinding {
                uri: binding.uri.clone(),
                params: String::new(),
                outbound: binding.outbound.clone(),
                expires: 0,
            };
            return Ok(bindings.iter().map(removal).collect());
        }
        let applies = takes_outbound(request)?;
        let mut requested: Vec<RequestedBinding> = Vec::new();
        for contact in &contacts {
            let asked = self.requested_binding(contact, request, applies)?;
            // The last of two that are the same counts.
            requested.retain(|other| {
                other.outbound != asked.outbound
                    || asked.outbound.is_none() && !is_same(&other.uri, &asked.uri)
            });
            requested.push(asked);
        }
        // RFC 5626 §6: one flow a request.
        let wanted = requested.iter().filter(|asked| asked.expires > 0);
        if wanted.clone().count() > 1 && wanted.clone().any(|asked| asked.outbound.is_some()) {
            return Err(Refused(400));
        }
        Ok(requested)
    }

    fn requested_binding(
        &self,
        contact: &NameAddr<'_>,
        request: &Message,
        outbound: bool,
    ) -> Result<RequestedBinding, Refused> {
        let uri = contact.uri();
        match uri.scheme() {
            Scheme::Sip => {}
            // RFC 5630 §5.2: what leads to it has to be as secure.
            Scheme::Sips if self.secure && is_all_sips(request) => {}
            Scheme::Sips if self.secure => return Err(Refused(400)),
            _ => return Err(Refused(416)),
        }
        // Step 7: the contact's own wish, else the request's, else ours.
        let asked = contact.expires().or(request.expires()).unwrap_or(self.max_expires);
        if asked > 0 && asked < self.min_expires {
            return Err(Refused(423));
        }
        let params = contact.params().filter(|param| !param.name.eq_ignore_ascii_case("expires"));
        Ok(RequestedBinding {
            uri: uri.without_headers().to_owned(),
            params: params.map(|param| param.to_string()).collect(),
            outbound: outbound.then(|| Outbound::of(contact)).flatten(),
            expires: asked.min(self.max_expires),
        })
    }

    fn grant(
        &mut self,
        index: usize,
        asked: RequestedBinding,
        request: &Message,
        along: Option<PeerFlow>,
        now: Instant,
        events: &mut Vec<ExchangeEvent>,
    ) {
        let Some(user) = self.users.get_mut(index) else { return };
        let known = find(&user.bindings, &asked);
        if asked.expires == 0 {
            if let Some(id) = known.and_then(|at| user.bindings.get(at)).map(|binding| binding.id) {
                self.remove(index, id, Departure::Withdrawn, events);
            }
            return;
        }
        let old = known.map(|at| user.bindings.remove(at));
        if let Some(old) = &old {
            self.release(index, old);
            // Others may have the same address behind a NAT: the series of requests, or the instance,
            // is what tells that it is the same telephone.
            let same = old.outbound.is_some() || old.call_id == request.call_id();
            let left = old.along.filter(|old| {
                same && old.flow.transport.is_reliable()
                    && Some(*old) != along
                    && !self.by_flow.contains_key(old)
            });
            self.left.extend(left);
        }
        self.last_binding += 1;
        let id = self.last_binding;
        let lasts = Duration::from_secs(u64::from(asked.expires));
        let binding = Binding {
            id,
            uri: asked.uri.clone(),
            params: asked.params,
            outbound: asked.outbound,
            path: request.values(HeaderName::Path).map(str::to_owned).collect(),
            call_id: request.call_id().to_owned(),
            cseq: request.cseq(),
            along,
            expires: now + lasts,
            timer: self.expiry.set(now + lasts, (index, id)),
        };
        if let Some(along) = along {
            self.by_flow.or_default(along).insert((index, id));
        }
        if let Some(place) = place(&asked.uri) {
            let holder = self.by_place.or_insert_with(place, || (index, id));
            if holder.0 == index {
                holder.1 = id;
            }
        }
        let Some(user) = self.users.get_mut(index) else { return };
        // A refreshed binding keeps its place.
        user.bindings.insert(known.unwrap_or(user.bindings.len()), binding);
        let (user, contact, expires) = (user.name.clone(), asked.uri, lasts);
        events.push(ExchangeEvent::Registered { user, contact, expires: expires.into() });
    }
}

impl Binding {
    /// Whether it is of somebody who cannot be connected to, whatever the URI looks like: who speaks
    /// WebSocket to us is its client (RFC 7118).
    fn is_client(&self) -> bool {
        let transport = Uri::parse(&self.uri).ok().and_then(|uri| {
            uri.param("transport").and_then(|param| Transport::named(param.text()))
        });
        matches!(transport, Some(Transport::Ws | Transport::Wss))
    }

    fn target(&self) -> Target {
        let (uri, routes, along) = (self.uri.clone(), self.path.clone(), self.along);
        Target { uri, routes, along, ..Target::default() }
    }
}

impl Outbound {
    fn of(contact: &NameAddr<'_>) -> Option<Self> {
        let instance = contact.param("+sip.instance")?.text().to_owned();
        let reg_id = contact.param("reg-id")?.text().parse().ok()?;
        Some(Self { instance, reg_id })
    }
}

/// Whether RFC 5626 applies to a registration (§6): the first hop has to know of it, which is us or
/// a proxy that says so in Path.
fn takes_outbound(request: &Message) -> Result<bool, Refused> {
    let first = request.addresses(HeaderName::Path).next();
    let knows = match first {
        Some(path) => path.is_ok_and(|path| path.uri().param("ob").is_some()),
        None => request.vias().count() == 1,
    };
    let asks = || request.contacts().flatten().any(|contact| contact.param("reg-id").is_some());
    match knows {
        false if request.supports("outbound") && asks() => Err(Refused(439)),
        knows => Ok(knows),
    }
}

fn is_all_sips(request: &Message) -> bool {
    let is = |uri: Uri<'_>| uri.scheme() == Scheme::Sips;
    request.uri().is_some_and(is)
        && request.addresses(HeaderName::Path).all(|path| path.is_ok_and(|path| is(path.uri())))
}

fn find(bindings: &[Binding], asked: &RequestedBinding) -> Option<usize> {
    let is = |binding: &Binding| match (&binding.outbound, &asked.outbound) {
        (None, None) => is_same(&binding.uri, &asked.uri),
        (one, other) => one == other,
    };
    bindings.iter().position(is)
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

/// Whether a registrar here knows an option tag (step 2).
pub(super) fn is_supported(tag: &str) -> bool {
    ["path", "outbound"].iter().any(|known| tag.eq_ignore_ascii_case(known))
}
