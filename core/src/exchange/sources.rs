//! What one source may ask of the exchange: requests, connections and guesses at passwords.

use core::net::{IpAddr, Ipv6Addr};

use super::ExchangeParameters;
use super::event::{ExchangeEvent, Limit};
use crate::host::Flow;
use crate::map::Map;
use crate::stream::source_of;
use crate::time::{Duration, Instant};

/// How many sources are remembered; those beyond share what one has.
const MAX_SOURCES: usize = 16_384;
/// Of how many users one source's wrong passwords are counted each on their own.
const MAX_USERS: usize = 32;
/// How many seconds' worth of requests may come at once.
const BURST: u64 = 2;
/// How many wrong passwords may come at once, for one user; from one source ten times as many may,
/// for behind a NAT there are many users.
const GUESSES: u64 = 10;
/// How many requests a second are still refused rather than dropped.
const REFUSALS: u64 = 100;
/// How often a full table is looked through for who may be forgotten.
const SWEEP: Duration = Duration::from_secs(1);
/// The least time between two reports that a source is held back.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// The sources of recent requests.
#[derive(Debug)]
pub(super) struct Sources {
    known: Map<IpAddr, Source>,
    /// Which of them each connection counts on.
    connected: Map<Flow, IpAddr>,
    /// When the full table was last looked through.
    swept: Option<Instant>,
    requests: Rate,
    refusals: Rate,
    guesses: Rate,
    all_guesses: Rate,
    connections: usize,
    events: Vec<ExchangeEvent>,
}

#[derive(Debug, Default)]
struct Source {
    requests: Bucket,
    refusals: Bucket,
    guesses: Bucket,
    users: Map<String, Bucket>,
    connections: usize,
    /// How often each limit has held it back since the last report, and when that was.
    held: [u64; Limit::ALL.len()],
    reported: [Option<Instant>; Limit::ALL.len()],
}

/// So many at once, and one more each interval.
#[derive(Clone, Copy, Debug)]
struct Rate {
    interval: Duration,
    burst: u64,
}

/// What is left of a rate, as the time at which nothing of it will be used.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket(Instant);

/// What the rate limits allow for a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RateDecision {
    /// It is served.
    Serve,
    /// It is answered 503.
    Refuse,
    /// It is not answered: the answers would be a flood themselves.
    Drop,
}

impl Sources {
    pub(super) fn new(parameters: &ExchangeParameters) -> Self {
        let second = Duration::from_secs(1).as_micros();
        let rate = |each: Duration, many: u64, burst: u64| Rate {
            interval: Duration::from_micros(each.as_micros() / many.max(1)),
            burst: burst.max(1),
        };
        let second = |many: u64, burst| rate(Duration::from_micros(second), many, burst);
        let requests = u64::from(parameters.requests_per_second);
        let (minute, guesses) = (Duration::from_secs(60), u64::from(parameters.guesses_per_minute));
        Self {
            known: Map::new(),
            connected: Map::new(),
            swept: None,
            requests: second(requests, requests * BURST),
            refusals: second(REFUSALS, REFUSALS),
            guesses: rate(minute, guesses, GUESSES),
            all_guesses: rate(minute, guesses * 10, GUESSES * 10),
            connections: parameters.connections_per_source,
            events: Vec::new(),
        }
    }

    /// Takes note of a request. What belongs to a call that is up has twice the room: it ends things.
    pub(super) fn check_request(&mut self, ip: IpAddr, now: Instant, within: bool) -> RateDecision {
        let (requests, refusals) = (self.requests, self.refusals);
        let source = self.source(ip, now);
        let burst = requests.burst * if within { 2 } else { 1 };
        if source.requests.take(now, Rate { burst, ..requests }) {
            return RateDecision::Serve;
        }
        let refused = source.refusals.take(now, refusals);
        self.hold(ip, now, Limit::Requests);
        if refused { RateDecision::Refuse } else { RateDecision::Drop }
    }

    /// Takes note of a connection; false when there are too many.
    pub(super) fn connect(&mut self, flow: Flow, ip: IpAddr, now: Instant) -> bool {
        let (limit, key) = (self.connections, self.key(ip, now));
        let source = self.known.or_default(key);
        if source.connections >= limit {
            self.hold(ip, now, Limit::Connections);
            return false;
        }
        source.connections += 1;
        self.connected.insert(flow, key);
        true
    }

    /// A connection is over, if it was counted.
    pub(super) fn disconnect(&mut self, flow: Flow) {
        let key = self.connected.remove(&flow);
        if let Some(source) = key.and_then(|key| self.known.get_mut(&key)) {
            source.connections = source.connections.saturating_sub(1);
        }
    }

    /// Whether a source may still try a password, of that user if there is such a one.
    pub(super) fn may_guess(&mut self, ip: IpAddr, now: Instant, user: Option<&str>) -> bool {
        let (guesses, all) = (self.guesses, self.all_guesses);
        let source = self.source(ip, now);
        let bucket = user.and_then(|user| source.users.get(user));
        let user = bucket.is_none_or(|bucket| bucket.has(now, guesses));
        let may = user && source.guesses.has(now, all);
        if !may {
            self.hold(ip, now, Limit::Passwords);
        }
        may
    }

    /// Takes note of a wrong password, of that user if there is such a one.
    pub(super) fn guessed(&mut self, ip: IpAddr, now: Instant, user: Option<&str>) {
        let (guesses, all) = (self.guesses, self.all_guesses);
        let source = self.source(ip, now);
        source.guesses.take(now, all);
        let Some(user) = user else { return };
        if source.users.len() >= MAX_USERS {
            source.users.retain(|_, bucket| bucket.0 > now);
        }
        if source.users.len() < MAX_USERS || source.users.contains_key(user) {
            source.users.or_default(user.to_owned()).take(now, guesses);
        }
    }

    /// The events to report.
    pub(super) fn next_event(&mut self) -> Option<ExchangeEvent> {
        self.events.pop()
    }

    fn hold(&mut self, ip: IpAddr, now: Instant, limit: Limit) {
        let source = self.source(ip, now);
        let (Some(count), Some(reported)) =
            (source.held.get_mut(limit as usize), source.reported.get_mut(limit as usize))
        else {
            return;
        };
        *count += 1;
        if reported.is_none_or(|reported| reported + REPORT_INTERVAL <= now) {
            *reported = Some(now);
            let count = core::mem::take(count);
            self.events.push(ExchangeEvent::Limited { source: ip, limit, count });
        }
    }

    fn source(&mut self, ip: IpAddr, now: Instant) -> &mut Source {
        let key = self.key(ip, now);
        self.known.or_default(key)
    }

    /// The key of a source: its address, of IPv6 the network of 64 bits.
    fn key(&mut self, ip: IpAddr, now: Instant) -> IpAddr {
        let key = source_of(ip);
        if self.known.len() < MAX_SOURCES || self.known.contains_key(&key) {
            return key;
        }
        // Forged addresses fill it at will: it is not to be gone through for each.
        if self.swept.is_none_or(|swept| swept + SWEEP <= now) {
            self.swept = Some(now);
            self.known.retain(|_, source| !source.is_idle(now));
        }
        if self.known.len() < MAX_SOURCES { key } else { OTHERS }
    }
}

/// Whom all share for whom there is no room.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

impl Source {
    /// Whether it would be just so if it had never asked.
    fn is_idle(&self, now: Instant) -> bool {
        let buckets = [self.requests, self.refusals, self.guesses];
        self.connections == 0
            && buckets.iter().chain(self.users.values()).all(|bucket| bucket.0 <= now)
    }
}

impl Bucket {
    fn has(&self, now: Instant, rate: Rate) -> bool {
        self.0.max(now).since(now) + rate.interval <= rate.interval * rate.burst
    }

    fn take(&mut self, now: Instant, rate: Rate) -> bool {
        let has = self.has(now, rate);
        if has {
            self.0 = self.0.max(now) + rate.interval;
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Transport;

    fn sources() -> Sources {
        Sources::new(&ExchangeParameters::new("10.0.0.9:5060".parse().unwrap()))
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    const ALICE: Option<&str> = Some("alice");
    const NOW: Instant = Instant::from_micros(1_000_000);

    #[test]
    fn who_asks_too_much_is_refused_and_then_dropped_and_others_are_served() {
        let mut sources = sources();
        let decisions: Vec<_> =
            (0..3_000).map(|_| sources.check_request(ip(1), NOW, false)).collect();
        let count = |wanted| decisions.iter().filter(|decision| **decision == wanted).count();
        assert_eq!(count(RateDecision::Serve), 2_000);
        assert_eq!((count(RateDecision::Refuse), count(RateDecision::Drop)), (100, 900));
        assert_eq!(sources.check_request(ip(1), NOW, true), RateDecision::Serve);
        assert_eq!(sources.check_request(ip(2), NOW, false), RateDecision::Serve);
        let later = NOW + Duration::from_secs(1);
        assert_eq!(sources.check_request(ip(1), later, false), RateDecision::Serve);
        let event = ExchangeEvent::Limited { source: ip(1), limit: Limit::Requests, count: 1 };
        assert_eq!((sources.next_event(), sources.next_event()), (Some(event), None));
    }

    #[test]
    fn guesses_are_counted_by_user_and_in_all() {
        let mut sources = sources();
        for _ in 0..10 {
            assert!(sources.may_guess(ip(1), NOW, ALICE));
            sources.guessed(ip(1), NOW, ALICE);
        }
        assert!(!sources.may_guess(ip(1), NOW, ALICE));
        assert!(sources.may_guess(ip(1), NOW, Some("bob")) && sources.may_guess(ip(2), NOW, ALICE));
        assert!(sources.may_guess(ip(1), NOW + Duration::from_secs(6), ALICE));
        for _ in 0..90 {
            assert!(sources.may_guess(ip(1), NOW, None));
            sources.guessed(ip(1), NOW, None);
        }
        assert!(!sources.may_guess(ip(1), NOW, Some("bob")));
        assert!(!sources.may_guess(ip(1), NOW, None));
    }

    /// As many sources as there is room for, each with a request of this moment.
    fn full() -> Sources {
        let mut sources = sources();
        for number in 0..MAX_SOURCES as u32 {
            sources.check_request(IpAddr::from(number.to_be_bytes()), NOW, false);
        }
        sources
    }

    #[test]
    fn a_connection_is_taken_off_whom_it_was_counted_on() {
        let (mut sources, late) = (full(), IpAddr::from([192, 0, 2, 1]));
        let flow = Flow { transport: Transport::Tcp, id: 1 };
        assert!(sources.connect(flow, late, NOW));
        assert_eq!(sources.known.get(&OTHERS).map(|source| source.connections), Some(1));
        // Then there is room, and the next counts on its own.
        let (other, later) = (Flow { id: 2, ..flow }, NOW + SWEEP);
        assert!(sources.connect(other, late, later));
        sources.disconnect(flow);
        sources.disconnect(flow);
        let connections = |of| sources.known.get(&of).map_or(0, |source| source.connections);
        assert_eq!((connections(OTHERS), connections(late)), (0, 1));
    }

    #[test]
    fn a_full_table_is_looked_through_once_a_second() {
        let mut sources = full();
        let (first, second) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        sources.check_request(first, NOW, false);
        assert!(!sources.known.contains_key(&first));
        // All are idle by now.
        sources.check_request(second, NOW + Duration::from_millis(999), false);
        assert!(!sources.known.contains_key(&second));
        sources.check_request(second, NOW + SWEEP, false);
        assert!(sources.known.contains_key(&second));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut sources = sources();
        for number in 0..20_000_u32 {
            sources.check_request(IpAddr::from(number.to_be_bytes()), NOW, false);
        }
        assert!(sources.known.len() <= MAX_SOURCES + 1);
        assert_eq!(
            source_of("2001:db8::1".parse().unwrap()),
            source_of("2001:db8::2".parse().unwrap())
        );
    }
}
