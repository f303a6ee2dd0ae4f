//! What the core's phone keeps of a call that it has answered.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use offhook_core::config::PhoneParameters;
use offhook_core::event::{Event, PhoneEvent};
use offhook_core::host::{
    Clock, Datagrams, Endpoint, Entropy, Flow, Inbound, MediaPort, Outbound, RequestId, Transport,
};
use offhook_core::phone::Phone;
use offhook_core::time::{Duration, Instant, WallTime};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const CALLER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 5060);
const FLOW: Flow = Flow { transport: Transport::Udp, id: 1 };
/// So few that hardly any has a transaction left at the end.
const APART: Duration = Duration::from_millis(500);

/// How many bytes the process grows for each of that many calls.
pub(crate) fn held(calls: u64) -> u64 {
    let mut phone = Phone::new(PhoneParameters::without_server("bob")).expect("parameters");
    phone.start().expect("a new phone starts");
    let mut host = Host::default();
    /// What is made once is made by these.
    const FIRST: u64 = 200;
    (0..FIRST).for_each(|number| take(&mut phone, &mut host, number));
    let before = resident();
    (FIRST..FIRST + calls).for_each(|number| take(&mut phone, &mut host, number));
    assert_eq!(phone.calls().count() as u64, FIRST + calls);
    resident().saturating_sub(before) / calls
}

/// Lets the phone take a call.
fn take(phone: &mut Phone, host: &mut Host, number: u64) {
    let common = |method: &str, tag: &str| {
        format!(
            "{method} sip:bob@192.0.2.1 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK-{method}-{number}\r\n\
             From: sipp <sip:sipp@192.0.2.2:5060>;tag=8319SIPpTag00{number}\r\n\
             To: <sip:bob@192.0.2.1>{tag}\r\n\
             Call-ID: {number}-8319@192.0.2.2\r\n\
             CSeq: 1 {method}\r\nContact: <sip:sipp@192.0.2.2:5060>\r\nMax-Forwards: 70\r\n"
        )
    };
    let sdp = "v=0\r\no=user1 53655765 2353687637 IN IP4 192.0.2.2\r\ns=-\r\n\
               c=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
    let (invite, length) = (common("INVITE", ""), sdp.len());
    let kind = "Content-Type: application/sdp\r\nContent-Length";
    host.deliver(phone, &format!("{invite}{kind}: {length}\r\n\r\n{sdp}"));
    let tag = host.tag.clone();
    host.deliver(phone, &format!("{}Content-Length: 0\r\n\r\n", common("ACK", &tag)));
    host.now += APART;
    phone.handle_deadline(host);
}

/// A host whose network is one caller.
#[derive(Default)]
struct Host {
    now: Instant,
    random: u64,
    asked: Vec<(RequestId, bool)>,
    ports: u64,
    /// What the last response has in To.
    tag: String,
}

impl Host {
    /// Brings a message, and whatever the phone asks for then; answers a call that rings.
    fn deliver(&mut self, phone: &mut Phone, text: &str) {
        let bytes = text.as_bytes();
        phone.handle_inbound(self, Inbound::Datagram { flow: FLOW, from: CALLER, bytes });
        loop {
            for (id, media) in std::mem::take(&mut self.asked) {
                self.ports += 1;
                let port = 10_000 + u16::try_from(self.ports % 5_000).expect("small") * 2;
                let [rtp, rtcp] = [port, port + 1].map(|port| SocketAddr::new(HERE, port));
                let answer = match media {
                    true => Inbound::MediaBound { id, port: MediaPort(self.ports), rtp, rtcp },
                    false => Inbound::FlowOpened {
                        id,
                        flow: FLOW,
                        local: SocketAddr::new(HERE, 5060),
                        certificate: None,
                    },
                };
                phone.handle_inbound(self, answer);
            }
            while let Some(event) = phone.next_event() {
                if let Event::Phone(PhoneEvent::Incoming { call, .. }) = event {
                    phone.answer(call).expect("a ringing call can be answered");
                }
            }
            phone.handle_deadline(self);
            if self.asked.is_empty() && phone.next_deadline() != Some(Instant::ZERO) {
                return;
            }
        }
    }
}

impl Clock for Host {
    fn now(&self) -> Instant {
        self.now
    }

    fn wall(&self) -> WallTime {
        WallTime::from_micros(self.now.as_micros())
    }
}

impl Entropy for Host {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (self.random >> 56) as u8;
        }
    }
}

impl Datagrams for Host {
    fn send(&mut self, outbound: Outbound<'_>) {
        match outbound {
            Outbound::OpenFlow { id, .. } => self.asked.push((id, false)),
            Outbound::BindMedia { id, .. } => self.asked.push((id, true)),
            Outbound::Datagram { bytes, .. } => {
                let text = String::from_utf8_lossy(bytes);
                let to = text.lines().find(|line| line.starts_with("To:")).unwrap_or_default();
                self.tag = to.find(";tag=").map_or("", |at| &to[at..]).to_owned();
            }
            _ => {}
        }
    }
}

/// The resident memory of this process in bytes; 0 where the system does not tell.
fn resident() -> u64 {
    const PAGE: u64 = 4_096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE
}
