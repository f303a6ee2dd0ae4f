//! A DNS server, for tests: it answers over UDP from a table, and counts what it was asked.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, NAPTR, SOA, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

/// The table, and where it is served.
#[derive(Clone)]
pub(crate) struct Zone {
    pub(crate) address: SocketAddr,
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    records: BTreeMap<(String, RecordType), (u32, Vec<RData>)>,
    /// What was asked, in order: `SRV _sip._udp.pbx.test`.
    questions: Vec<String>,
    broken: bool,
}

impl Zone {
    /// An empty one, served until the tests are over.
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let address = socket.local_addr().expect("it is bound");
        let table = Arc::new(Mutex::new(Table::default()));
        let served = Arc::clone(&table);
        thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
                let answer = served.lock().unwrap().answer(&question);
                let _ = socket.send_to(&answer.to_vec().expect("the answer can be written"), from);
            }
        });
        Self { address, table }
    }

    /// Which services `name` has: order and what SRV name, for a service such as `SIP+D2U`.
    pub(crate) fn naptr(&self, name: &str, services: &[(u16, &str, &str)]) {
        let record = |&(order, service, srv): &(u16, &str, &str)| {
            let text = |text: &str| text.as_bytes().into();
            let replacement = absolute(srv);
            RData::NAPTR(NAPTR::new(order, 50, text("s"), text(service), text(""), replacement))
        };
        self.set(name, RecordType::NAPTR, 60, services.iter().map(record).collect());
    }

    /// Where the service `name` is: priority, weight, port and host; for `ttl` seconds.
    pub(crate) fn srv(&self, name: &str, ttl: u32, servers: &[(u16, u16, u16, &str)]) {
        let record = |&(priority, weight, port, host): &(u16, u16, u16, &str)| {
            RData::SRV(SRV::new(priority, weight, port, absolute(host)))
        };
        self.set(name, RecordType::SRV, ttl, servers.iter().map(record).collect());
    }

    /// The addresses of a host.
    pub(crate) fn host(&self, name: &str, ips: &[&str]) {
        let ips: Vec<IpAddr> = ips.iter().map(|ip| ip.parse().expect("an address")).collect();
        let v4 = ips.iter().filter_map(|ip| match ip {
            IpAddr::V4(ip) => Some(RData::A(A(*ip))),
            IpAddr::V6(_) => None,
        });
        let v6 = ips.iter().filter_map(|ip| match ip {
            IpAddr::V4(_) => None,
            IpAddr::V6(ip) => Some(RData::AAAA(AAAA(*ip))),
        });
        self.set(name, RecordType::A, 60, v4.collect());
        self.set(name, RecordType::AAAA, 60, v6.collect());
    }

    /// From now on answers nothing but that it cannot.
    pub(crate) fn break_down(&self) {
        self.table.lock().unwrap().broken = true;
    }

    /// How often this was asked: `SRV _sip._udp.pbx.test`.
    pub(crate) fn asked(&self, question: &str) -> usize {
        let table = self.table.lock().unwrap();
        table.questions.iter().filter(|asked| *asked == question).count()
    }

    fn set(&self, name: &str, kind: RecordType, ttl: u32, records: Vec<RData>) {
        let key = (name.to_owned(), kind);
        self.table.lock().unwrap().records.insert(key, (ttl, records));
    }
}

impl Table {
    fn answer(&mut self, question: &Message) -> Message {
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.metadata.authoritative = true;
        for query in &question.queries {
            answer.add_query(query.clone());
            let name = query.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
            self.questions.push(format!("{} {name}", query.query_type()));
            if self.broken {
                answer.metadata.response_code = ResponseCode::ServFail;
                continue;
            }
            let owner = query.name().clone();
            match self.records.get(&(name.clone(), query.query_type())) {
                Some((ttl, records)) if !records.is_empty() => {
                    let record =
                        |data: &RData| Record::from_rdata(owner.clone(), *ttl, data.clone());
                    answer.add_answers(records.iter().map(record));
                }
                _ => {
                    if !self.records.keys().any(|(known, _)| *known == name) {
                        answer.metadata.response_code = ResponseCode::NXDomain;
                    }
                    let soa = SOA::new(owner.clone(), owner.clone(), 1, 60, 60, 60, 60);
                    answer.add_authority(Record::from_rdata(owner, 60, RData::SOA(soa)));
                }
            }
        }
        answer
    }
}

fn absolute(name: &str) -> Name {
    let mut name = Name::from_ascii(name).expect("a name");
    name.set_fqdn(true);
    name
}
