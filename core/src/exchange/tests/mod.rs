//! An exchange and scripted telephones on a simulated network.

mod calls;
mod connections;
mod forks;
mod limits;
mod phones;
mod refusals;
mod registrations;

use core::net::SocketAddr;

use super::*;
use crate::auth::{Asker, DigestClient, Rounds};
use crate::host::Transport;
use crate::sim::{Arrival, NodeId, ScriptedPeer, Simulation};

const SECOND: Duration = Duration::from_secs(1);
const EXCHANGE: &str = "10.0.0.9";

/// A network with an exchange that knows alice, bob and carol; each one's password is the name
/// spelt backwards.
struct Site {
    sim: Simulation,
    exchange: NodeId<Exchange>,
}

/// A user's scripted telephone.
struct Phone {
    node: NodeId<ScriptedPeer>,
    transport: Transport,
    user: String,
    password: String,
    digest: DigestClient,
    call_id: String,
    cseq: u32,
}

/// A request to be sent; the rest is the phone's.
#[derive(Clone, Default)]
struct Ask<'a> {
    method: &'a str,
    uri: &'a str,
    /// Instead of the Request-URI.
    to: Option<&'a str>,
    /// Instead of the phone's user.
    from: Option<&'a str>,
    /// Further header lines, each ended by a line feed.
    more: &'a str,
    body: &'a str,
    max_forwards: Option<u8>,
}

fn ask<'a>(method: &'a str, uri: &'a str) -> Ask<'a> {
    Ask { method, uri, ..Ask::default() }
}

impl Site {
    fn new() -> Self {
        Self::with(|parameters| parameters)
    }

    fn with(change: impl FnOnce(ExchangeParameters) -> ExchangeParameters) -> Self {
        Self::seeded(1, change)
    }

    fn seeded(seed: u64, change: impl FnOnce(ExchangeParameters) -> ExchangeParameters) -> Self {
        let mut sim = Simulation::new(seed);
        sim.record_wire(100_000);
        let listen = SocketAddr::from(([10, 0, 0, 9], 5060));
        let mut parameters = ExchangeParameters::new(listen).realm("example.com");
        for user in ["alice", "bob", "carol"] {
            parameters = parameters.user(user, &user.chars().rev().collect::<String>());
        }
        let exchange = sim.add_at(listen, Exchange::new(change(parameters)));
        Self { sim, exchange }
    }

    fn phone(&mut self, last: u8, user: &str) -> Phone {
        let node = self.sim.add([10, 0, 0, last], ScriptedPeer::new());
        Phone {
            node,
            transport: Transport::Udp,
            user: user.to_owned(),
            password: user.chars().rev().collect(),
            digest: DigestClient::new(true),
            call_id: format!("{user}-{last}"),
            cseq: 0,
        }
    }

    /// Adds a phone that is connected.
    fn connected_phone(&mut self, last: u8, user: &str, transport: Transport) -> Phone {
        Phone { transport, ..self.phone(last, user) }
    }

    /// Adds a phone and registers it at its own address.
    fn registered(&mut self, last: u8, user: &str) -> Phone {
        let mut phone = self.phone(last, user);
        let answer = self.register(&mut phone, &format!("Contact: <sip:{user}@10.0.0.{last}>\n"));
        assert_eq!(status(&answer), 200, "{}", answer.text());
        self.sim[phone.node].take();
        phone
    }

    fn register(&mut self, phone: &mut Phone, more: &str) -> Arrival {
        let to = format!("sip:{}@{EXCHANGE}", phone.user);
        let uri = format!("sip:{EXCHANGE}");
        self.ask(phone, &Ask { to: Some(&to), more, ..ask("REGISTER", &uri) })
    }

    /// Sends a request, again with credentials if asked for them, and waits for a final response.
    fn ask(&mut self, phone: &mut Phone, ask: &Ask<'_>) -> Arrival {
        self.start(phone, ask);
        self.final_response(phone)
    }

    /// Sends a request until it is challenged no more; an answer may follow.
    fn start(&mut self, phone: &mut Phone, ask: &Ask<'_>) {
        let mut rounds = Rounds::default();
        self.send(phone, ask, "");
        // A connection takes a moment longer to be there.
        let moment = if phone.transport.is_reliable() { 20 } else { 5 };
        self.sim.run_for(Duration::from_millis(moment));
        let challenge = self.sim[phone.node].received().last().cloned();
        let Some(challenge) = challenge.filter(|c| matches!(status(c), 401 | 407)) else { return };
        let asker = Asker::of_status(status(&challenge)).unwrap();
        let fields = challenge.headers(asker.challenge_field().as_str());
        let credentials = |_: &str| Some((phone.user.clone(), phone.password.clone()));
        let fields = fields.iter().map(String::as_str);
        phone.digest.handle_challenge(&mut rounds, asker, fields, credentials).unwrap();
        if ask.method == "INVITE" {
            self.acknowledge(phone, ask.uri, &challenge);
        }
        let digest = &mut phone.digest;
        let (method, uri, body) = (ask.method, ask.uri, ask.body.as_bytes());
        let fields = self
            .sim
            .with(phone.node, |_, host| digest.authorize(host, &mut rounds, method, uri, body));
        let lines: String = fields
            .iter()
            .map(|field| format!("{}: {}\n", field.asker.credentials_field(), field.value))
            .collect();
        self.send(phone, ask, &lines);
        self.sim.run_for(Duration::from_millis(5));
    }

    fn send(&mut self, phone: &mut Phone, ask: &Ask<'_>, credentials: &str) {
        phone.cseq += 1;
        let text = phone.compose(ask, credentials);
        let exchange = self.exchange.address();
        self.sim[phone.node].send_by(phone.transport, exchange, &text);
    }

    /// Sends the ACK of a rejection.
    fn acknowledge(&mut self, phone: &Phone, uri: &str, response: &Arrival) {
        let field = |name| format!("{name}: {}\n", response.header(name).unwrap());
        let via = response.header("Via").unwrap();
        let cseq = response.header("CSeq").unwrap().replace("INVITE", "ACK");
        let text = format!(
            "ACK {uri} SIP/2.0\nVia: {via}\n{}{}{}CSeq: {cseq}\nMax-Forwards: 70\nContent-Length: 0\n\n",
            field("From"),
            field("To"),
            field("Call-ID")
        );
        let exchange = self.exchange.address();
        self.sim[phone.node].send_by(phone.transport, exchange, &text);
    }

    fn final_response(&mut self, phone: &Phone) -> Arrival {
        let (node, cseq) = (phone.node, phone.cseq);
        self.sim.run_until(|sim| find_final(&sim[node], cseq).is_some(), SECOND * 40).unwrap();
        find_final(&self.sim[node], cseq).unwrap().clone()
    }

    fn run(&mut self) {
        self.sim.run_for(Duration::from_millis(10));
    }

    fn events(&mut self) -> Vec<ExchangeEvent> {
        let exchange = &mut self.sim[self.exchange];
        core::iter::from_fn(|| exchange.next_event()).collect()
    }

    fn contacts(&self, user: &str) -> Vec<String> {
        self.sim[self.exchange].contacts(user).unwrap()
    }

    /// The last message whose first line contains `what`.
    fn last(&self, phone: &Phone, what: &str) -> Arrival {
        let found = self.sim[phone.node].last(what).cloned();
        found.unwrap_or_else(|| panic!("{what} did not come:\n{}", self.sim.trace().ladder()))
    }

    fn count(&self, phone: &Phone, what: &str) -> usize {
        self.sim[phone.node].count(what)
    }

    /// Answers the last request of that kind.
    fn reply(&mut self, phone: &Phone, request: &str, status: &str, more: &str) {
        let request = self.last(phone, request);
        self.sim[phone.node].reply(&request, status, more);
        self.run();
    }
}

impl Phone {
    fn compose(&self, ask: &Ask<'_>, credentials: &str) -> String {
        let Self { user, call_id, cseq, .. } = self;
        let transport = self.transport.as_str();
        let Ask { method, uri, more, body, .. } = ask;
        let sent_by = self.node.address();
        let from = format!("sip:{user}@{EXCHANGE}");
        format!(
            "{method} {uri} SIP/2.0\nVia: SIP/2.0/{transport} {sent_by};branch=z9hG4bK{call_id}{cseq}\n\
             From: <{}>;tag={user}\nTo: <{}>\nCall-ID: {call_id}\nCSeq: {cseq} {method}\n\
             Max-Forwards: {}\n{more}{credentials}Content-Length: {}\n\n{body}",
            ask.from.unwrap_or(&from),
            ask.to.unwrap_or(uri),
            ask.max_forwards.unwrap_or(70),
            body.replace('\n', "\r\n").len()
        )
    }

    fn address(&self) -> SocketAddr {
        self.node.address()
    }
}

fn find_final(peer: &ScriptedPeer, cseq: u32) -> Option<&Arrival> {
    let ours = format!("{cseq} ");
    peer.received().iter().rev().find(|arrival| {
        status(arrival) >= 200 && arrival.header("CSeq").is_some_and(|c| c.starts_with(&ours))
    })
}

/// The status code of a response; 0 for a request.
fn status(arrival: &Arrival) -> u16 {
    let line = arrival.first_line();
    let code = line.strip_prefix("SIP/2.0 ").and_then(|rest| rest.split(' ').next());
    code.map_or(0, |code| code.parse().unwrap())
}
