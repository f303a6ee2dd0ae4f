//! The search for a server: one step after the other (RFC 3263 §4.1, §4.2).

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

use super::{Draw, Hop, Question, naptr, srv};
use crate::host::{Naptr, RecordSet, Srv, Transport};
use crate::map::Set;

/// A server to try.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Candidate {
    pub(crate) transport: Transport,
    pub(crate) to: SocketAddr,
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Ask this; [`Search::take`] wants the answer.
    Ask(Question),
    /// Try this one; when that fails, [`Search::next`] knows another.
    Try(Candidate),
    /// There is no other.
    Done,
}

/// Where a hop can be found, as far as anybody has looked.
///
/// ```text
///   numeric host ─────────────────────────────────────────────────► Try
///   a port is said ─────────────────────────────────► Addresses ──► Try ...
///   a transport is said ─────────────────► Srv ─────► Addresses ──► Try ...
///   neither ─► Naptr ── services ────────► Srv ...       ▲
///                └── none ── each of ours ► Srv ...      │
///                             no SRV at all ─────────────┘ of the host itself, usual port
/// ```
#[derive(Debug)]
pub(crate) struct Search {
    /// What is left, in order.
    queue: VecDeque<QueuedStep>,
    /// The host itself, as long as no SRV record says otherwise (§4.2).
    itself: Option<QueuedStep>,
    /// How many questions may still be asked.
    questions: usize,
    /// How many were not answered.
    failures: usize,
    secure: bool,
    /// The transports that the host does not have.
    missing: Set<Transport>,
}

#[derive(Clone, Debug)]
enum QueuedStep {
    Naptr(String),
    Srv { name: String, transport: Transport },
    Addresses { host: String, port: u16, transport: Transport },
    Try(Candidate),
}

/// The transports asked for when a domain has no NAPTR records, in our order of preference; by
/// RFC 7118 §5 there are none of WebSocket.
const OURS: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

/// How many questions one search asks, whatever the answers say.
const MAX_QUESTIONS: usize = 64;

impl Search {
    /// Whether the host was thought to have that transport when the search began.
    pub(crate) fn counts_on(&self, transport: Transport) -> bool {
        !self.missing.contains(&transport)
    }

    /// Begins a search; `missing` are the transports that the host does not have.
    pub(crate) fn new(hop: &Hop, missing: &Set<Transport>) -> Self {
        let transport = hop.usual_transport();
        let port = hop.port().unwrap_or(transport.default_port());
        let host = hop.host().to_owned();
        let itself = match hop.ip() {
            Some(ip) => QueuedStep::Try(Candidate { transport, to: SocketAddr::new(ip, port) }),
            None => QueuedStep::Addresses { host: host.clone(), port, transport },
        };
        let (first, itself) = match (hop.ip(), hop.port(), hop.transport()) {
            (Some(_), _, _) | (_, Some(_), _) => (itself, None),
            (_, _, Some(transport)) => match service(transport, &host) {
                Some(name) => (QueuedStep::Srv { name, transport }, Some(itself)),
                None => (itself, None),
            },
            (_, _, None) => (QueuedStep::Naptr(host), Some(itself)),
        };
        Self {
            queue: [first].into(),
            itself,
            questions: MAX_QUESTIONS,
            failures: 0,
            secure: hop.is_secure(),
            missing: missing.clone(),
        }
    }

    /// What to do next.
    pub(crate) fn next(&mut self) -> Step {
        loop {
            let question = match self.queue.front() {
                Some(QueuedStep::Try(candidate)) => {
                    let candidate = *candidate;
                    self.queue.pop_front();
                    return Step::Try(candidate);
                }
                Some(QueuedStep::Naptr(name)) => Question::Naptr(name.clone()),
                Some(QueuedStep::Srv { name, .. }) => Question::Srv(name.clone()),
                Some(QueuedStep::Addresses { host, .. }) => Question::Addresses(host.clone()),
                None => match self.itself.take() {
                    Some(itself) => {
                        self.queue.push_back(itself);
                        continue;
                    }
                    None => return Step::Done,
                },
            };
            if self.questions > 0 {
                return Step::Ask(question);
            }
            self.queue.pop_front();
        }
    }

    /// Takes the answer to the question that was the last step. An answer of another kind is none.
    pub(crate) fn handle_answer(&mut self, answer: RecordSet, draw: Draw) {
        self.questions = self.questions.saturating_sub(1);
        let found = match (self.queue.pop_front(), answer) {
            (Some(QueuedStep::Naptr(host)), answer) => match answer {
                RecordSet::Naptr(records) => self.services(&host, records),
                _ => self.services(&host, Vec::new()),
            },
            (Some(QueuedStep::Srv { transport, .. }), RecordSet::Srv(records)) => {
                if !records.is_empty() {
                    self.itself = None;
                }
                let ordered = srv::order(records, draw).into_iter();
                ordered.filter_map(|record| at(record, transport)).collect()
            }
            (Some(QueuedStep::Addresses { port, transport, .. }), RecordSet::Addresses(ips)) => {
                let to = |ip| Candidate { transport, to: SocketAddr::new(ip, port) };
                ips.into_iter().map(|ip| QueuedStep::Try(to(ip))).collect()
            }
            _ => Vec::new(),
        };
        for queue in found.into_iter().rev() {
            self.queue.push_front(queue);
        }
    }

    /// Takes that there was no answer to the question that was the last step: a server that answers some kinds
    /// of question and not others (there are such routers) is still asked for addresses, but each
    /// question costs time.
    pub(crate) fn fail(&mut self, draw: Draw) {
        /// After how many nothing but addresses is asked for.
        const FAILURES: usize = 2;
        self.handle_answer(RecordSet::Addresses(Vec::new()), draw);
        self.failures += 1;
        if self.failures >= FAILURES {
            self.queue
                .retain(|queue| matches!(queue, QueuedStep::Addresses { .. } | QueuedStep::Try(_)));
        }
    }

    /// Keeps to what is secure: somebody has shown a certificate that is not to be trusted, and what
    /// was to be private is not said in the clear instead.
    pub(crate) fn distrust(&mut self) {
        self.secure = true;
        let secure = |queue: &QueuedStep| match queue {
            QueuedStep::Naptr(_) => true,
            QueuedStep::Srv { transport, .. } | QueuedStep::Addresses { transport, .. } => {
                transport.is_secure()
            }
            QueuedStep::Try(candidate) => candidate.transport.is_secure(),
        };
        self.queue.retain(secure);
        self.itself = self.itself.take().filter(secure);
    }

    /// Where the services of a domain are: where its NAPTR records say, or else, by default, at its
    /// own name for each of our transports (§4.1).
    fn services(&mut self, host: &str, records: Vec<Naptr>) -> Vec<QueuedStep> {
        let usable = |transport: Transport| {
            !self.missing.contains(&transport) && (transport.is_secure() || !self.secure)
        };
        let named = naptr::services(records, usable).into_iter();
        let named: Vec<QueuedStep> = named
            .filter_map(|(transport, name)| {
                Some(QueuedStep::Srv { name: plain(&name)?, transport })
            })
            .collect();
        if let Some(QueuedStep::Srv { transport, .. }) = named.first() {
            // The transport is settled; without SRV records it is that of the domain itself.
            let (host, port) = (host.to_owned(), transport.default_port());
            self.itself = Some(QueuedStep::Addresses { host, port, transport: *transport });
            return named;
        }
        let ours = OURS.into_iter().filter(|transport| usable(*transport));
        ours.filter_map(|transport| {
            Some(QueuedStep::Srv { name: service(transport, host)?, transport })
        })
        .collect()
    }
}

/// The name of a domain's SRV records for a transport (§4.1, RFC 2782).
fn service(transport: Transport, host: &str) -> Option<String> {
    let prefix = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
        Transport::Ws | Transport::Wss => return None,
    };
    Some(format!("{prefix}.{host}"))
}

/// Where an SRV record leads: a name, though some write an address; "." is nowhere.
fn at(Srv { port, target, .. }: Srv, transport: Transport) -> Option<QueuedStep> {
    if let Ok(ip) = target.parse::<IpAddr>() {
        return Some(QueuedStep::Try(Candidate { transport, to: SocketAddr::new(ip, port) }));
    }
    Some(QueuedStep::Addresses { host: plain(&target)?, port, transport })
}

/// A name that may be asked for: DNS can say anything.
fn plain(name: &str) -> Option<String> {
    /// No name is longer (RFC 1035 §2.3.4).
    const LONGEST: usize = 255;
    let name = name.strip_suffix('.').unwrap_or(name);
    let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let fits = !name.is_empty() && name.len() <= LONGEST && name.chars().all(usual);
    fits.then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Uri;

    /// What a search asks and tries, when DNS says what `zone` does.
    fn steps(uri: &str, zone: &[(&str, RecordSet)]) -> Vec<String> {
        steps_without(uri, zone, &[])
    }

    fn steps_without(uri: &str, zone: &[(&str, RecordSet)], missing: &[Transport]) -> Vec<String> {
        let hop = Hop::of(&Uri::parse(uri).unwrap()).unwrap();
        let mut search = Search::new(&hop, &missing.iter().copied().collect());
        let mut steps = Vec::new();
        loop {
            match search.next() {
                Step::Ask(question) => {
                    let (kind, name) = match &question {
                        Question::Naptr(name) => ("NAPTR", name),
                        Question::Srv(name) => ("SRV", name),
                        Question::Addresses(name) => ("A", name),
                    };
                    let text = format!("{kind} {name}");
                    let known = zone.iter().find(|(asked, _)| *asked == text);
                    steps.push(text);
                    let nothing = RecordSet::Addresses(Vec::new());
                    search.handle_answer(
                        known.map_or(nothing, |(_, answer)| answer.clone()),
                        Draw::default(),
                    );
                }
                Step::Try(Candidate { transport, to }) => {
                    steps.push(format!("{} {to}", transport.as_str()));
                }
                Step::Done => return steps,
            }
        }
    }

    fn naptr(order: u16, service: &str, replacement: &str) -> Naptr {
        let (service, replacement) = (service.to_owned(), replacement.to_owned());
        Naptr { order, preference: 50, flags: "S".to_owned(), service, replacement }
    }

    fn srv(records: &[(u16, u16, &str)]) -> RecordSet {
        let record = |&(priority, port, target): &(u16, u16, &str)| Srv {
            priority,
            weight: 0,
            port,
            target: target.to_owned(),
        };
        RecordSet::Srv(records.iter().map(record).collect())
    }

    fn ips(ips: &[&str]) -> RecordSet {
        RecordSet::Addresses(ips.iter().map(|ip| ip.parse().unwrap()).collect())
    }

    /// The zone of the example in RFC 3263 §4.1.
    fn example() -> Vec<(&'static str, RecordSet)> {
        let services = vec![
            naptr(50, "SIPS+D2T", "_sips._tcp.example.com."),
            naptr(90, "SIP+D2T", "_sip._tcp.example.com"),
            naptr(100, "SIP+D2U", "_sip._udp.example.com."),
        ];
        let two = [(0, 5060, "server1.example.com."), (1, 5060, "server2.example.com.")];
        vec![
            ("NAPTR example.com", RecordSet::Naptr(services)),
            ("SRV _sip._tcp.example.com", srv(&two)),
            ("SRV _sips._tcp.example.com", srv(&[(0, 5061, "server1.example.com")])),
            ("A server1.example.com", ips(&["10.0.0.1", "2001:db8::1"])),
            ("A server2.example.com", ips(&["10.0.0.2"])),
            ("A example.com", ips(&["10.0.0.9"])),
        ]
    }

    #[test]
    fn a_numeric_host_is_not_looked_up() {
        assert_eq!(steps("sip:b@10.0.0.1", &[]), ["UDP 10.0.0.1:5060"]);
        assert_eq!(steps("sips:b@10.0.0.1", &[]), ["TLS 10.0.0.1:5061"]);
        assert_eq!(steps("sip:b@[2001:db8::1]:5070", &[]), ["UDP [2001:db8::1]:5070"]);
        assert_eq!(steps("sip:b@10.0.0.1;transport=tcp", &[]), ["TCP 10.0.0.1:5060"]);
        assert_eq!(steps("sip:b@10.0.0.1;transport=ws", &[]), ["WS 10.0.0.1:80"]);
        assert_eq!(steps("sip:b@h.example;maddr=10.0.0.7", &[]), ["UDP 10.0.0.7:5060"]);
    }

    #[test]
    fn a_port_skips_naptr_and_srv() {
        let asked = ["A example.com", "UDP 10.0.0.9:5060"];
        assert_eq!(steps("sip:b@example.com:5060", &example()), asked);
        let asked = ["A example.com", "TLS 10.0.0.9:5099"];
        assert_eq!(steps("sips:b@example.com:5099", &example()), asked);
        let asked = ["A example.com", "TCP 10.0.0.9:5080"];
        assert_eq!(steps("sip:b@example.com:5080;transport=tcp", &example()), asked);
    }

    #[test]
    fn a_transport_skips_naptr() {
        let tcp = [
            "SRV _sip._tcp.example.com",
            "A server1.example.com",
            "TCP 10.0.0.1:5060",
            "TCP [2001:db8::1]:5060",
            "A server2.example.com",
            "TCP 10.0.0.2:5060",
        ];
        assert_eq!(steps("sip:b@example.com;transport=tcp", &example()), tcp);
        // No SRV: the host itself, at the usual port.
        let udp = ["SRV _sip._udp.example.com", "A example.com", "UDP 10.0.0.9:5060"];
        assert_eq!(steps("sip:b@example.com;transport=udp", &example()), udp);
        let tls = "SRV _sips._tcp.example.com";
        assert_eq!(steps("sip:b@example.com;transport=tls", &example())[0], tls);
        assert_eq!(steps("sips:b@example.com;transport=tcp", &example())[0], tls);
        let wss = ["A example.com", "WSS 10.0.0.9:443"];
        assert_eq!(steps("sips:b@example.com;transport=ws", &example()), wss);
    }

    #[test]
    fn naptr_chooses_the_transport() {
        let first = ["NAPTR example.com", "SRV _sips._tcp.example.com", "A server1.example.com"];
        assert_eq!(steps("sip:b@example.com", &example())[..3], first);
        // "Since the client supports TCP and UDP, TCP will be used."
        let tcp = steps_without("sip:b@example.com", &example(), &[Transport::Tls]);
        assert_eq!(tcp[..2], ["NAPTR example.com", "SRV _sip._tcp.example.com"]);
    }

    #[test]
    fn a_sips_uri_discards_what_is_in_the_clear() {
        let mut zone = example();
        let secure = steps("sips:b@example.com", &zone);
        assert!(secure.iter().all(|step| !step.starts_with("TCP") && !step.starts_with("UDP")));
        assert!(secure.contains(&"TLS 10.0.0.1:5061".to_owned()), "{secure:?}");
        let clear = vec![naptr(10, "SIP+D2U", "_sip._udp.example.com")];
        zone[0].1 = RecordSet::Naptr(clear);
        zone.remove(2);
        let asked = [
            "NAPTR example.com",
            "SRV _sips._tcp.example.com",
            "A example.com",
            "TLS 10.0.0.9:5061",
        ];
        assert_eq!(steps("sips:b@example.com", &zone), asked);
    }

    #[test]
    fn without_naptr_every_transport_of_ours_is_asked_for() {
        let mut zone = example();
        zone.remove(0);
        let asked = steps("sip:b@example.com", &zone);
        assert_eq!(asked[1..3], ["SRV _sip._udp.example.com", "SRV _sip._tcp.example.com"]);
        assert_eq!(asked.last().unwrap(), "TLS [2001:db8::1]:5061");
        let nothing = steps("sip:b@example.com", &[("A example.com", ips(&["10.0.0.9"]))]);
        assert_eq!(nothing[4..], ["A example.com", "UDP 10.0.0.9:5060"]);
        assert_eq!(nothing.len(), 6);
    }

    #[test]
    fn a_service_that_is_decidedly_not_there_is_not_looked_for_elsewhere() {
        let zone = [
            ("SRV _sip._udp.example.com", srv(&[(0, 0, ".")])),
            ("A example.com", ips(&["10.0.0.9"])),
        ];
        let asked = ["SRV _sip._udp.example.com"];
        assert_eq!(steps("sip:b@example.com;transport=udp", &zone), asked);
    }

    #[test]
    fn distrust_keeps_to_what_is_secure() {
        let hop = Hop::new("example.com", None, None);
        let mut search = Search::new(&hop, &Set::new());
        assert_eq!(search.next(), Step::Ask(Question::Naptr("example.com".to_owned())));
        search.handle_answer(RecordSet::Naptr(Vec::new()), Draw::default());
        search.distrust();
        let tls = Question::Srv("_sips._tcp.example.com".to_owned());
        assert_eq!(search.next(), Step::Ask(tls));
        search.handle_answer(RecordSet::Srv(Vec::new()), Draw::default());
        assert_eq!(search.next(), Step::Done);
    }

    #[test]
    fn a_silent_server_of_names_costs_three_questions() {
        let hop = Hop::new("example.com", None, None);
        let mut search = Search::new(&hop, &Set::new());
        let mut asked = Vec::new();
        while let Step::Ask(question) = search.next() {
            asked.push(question);
            search.fail(Draw::default());
        }
        let (domain, udp) = ("example.com".to_owned(), "_sip._udp.example.com".to_owned());
        let wanted =
            [Question::Naptr(domain.clone()), Question::Srv(udp), Question::Addresses(domain)];
        assert_eq!(asked, wanted);
    }

    #[test]
    fn hostile_answers_cost_little() {
        let many: Vec<(u16, u16, String)> =
            (0..32).map(|n| (n, 5060, format!("host{n}.example.com"))).collect();
        let many: Vec<(u16, u16, &str)> = many.iter().map(|(p, q, t)| (*p, *q, &**t)).collect();
        let services = |n: u16| naptr(1, "SIP+D2U", &format!("_sip._udp.n{n}.example.com"));
        let mut zone =
            vec![("NAPTR example.com", RecordSet::Naptr((0..16).map(services).collect()))];
        let names: Vec<String> =
            (0..16).map(|n| format!("SRV _sip._udp.n{n}.example.com")).collect();
        zone.extend(names.iter().map(|name| (&**name, srv(&many))));
        assert!(steps("sip:b@example.com", &zone).len() <= MAX_QUESTIONS);
        let bad = srv(&[(0, 1, ""), (0, 1, "a b"), (0, 1, "x\r\ny"), (0, 5, "10.0.0.3")]);
        let asked = ["SRV _sip._udp.h.example", "UDP 10.0.0.3:5"];
        let zone = [("SRV _sip._udp.h.example", bad)];
        assert_eq!(steps("sip:b@h.example;transport=udp", &zone), asked);
    }
}
