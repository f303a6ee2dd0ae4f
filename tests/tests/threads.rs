//! Signalling on one thread, media on another, joined by channels of values alone.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use offhook_core::call::CallOptions;
use offhook_core::codec::measure::{Tone, share_at};
use offhook_core::config::PhoneParameters;
use offhook_core::event::{CallEvent, CallId, CallState, Event, PhoneEvent};
use offhook_core::host::{
    Channel, Clock, Datagrams, Endpoint, Entropy, Flow, Inbound, MediaPort, Outbound, RequestId,
    Transport,
};
use offhook_core::media::{MediaControl, MediaEvent};
use offhook_core::phone::Phone;
use offhook_core::rtp::MediaSession;
use offhook_core::time::{Duration, Instant, WallTime};
use offhook_tests::random::Random;

/// One call's end: which telephone (0 or 1), which call of it.
type Leg = (usize, CallId);

/// From signalling to media.
enum Order {
    /// A [`MediaControl`] in its byte form.
    Control(Leg, Vec<u8>),
    Speak(Leg, Vec<i16>),
    Dial(Leg, String),
    Until(Instant),
}

/// From media to signalling.
enum Report {
    /// A [`MediaEvent`] in its byte form.
    Event(Leg, Vec<u8>),
    Heard(Leg, Vec<i16>),
    Reached,
}

/// What a machine sent, owned.
enum Sent {
    Datagram { to: SocketAddr, bytes: Vec<u8> },
    Media { port: MediaPort, channel: Channel, to: SocketAddr, bytes: Vec<u8> },
    Open { id: RequestId },
    Bind { id: RequestId },
}

/// A host that keeps what is sent.
struct Desk {
    now: Instant,
    random: Random,
    sent: Vec<Sent>,
}

impl Desk {
    fn new(seed: u64) -> Self {
        Self { now: Instant::from_micros(1_000_000), random: Random::new(seed), sent: Vec::new() }
    }
}

impl Clock for Desk {
    fn now(&self) -> Instant {
        self.now
    }

    fn wall(&self) -> WallTime {
        WallTime::from_micros(1_767_225_600_000_000 + self.now.as_micros())
    }
}

impl Entropy for Desk {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.random.number() as u8);
    }
}

impl Datagrams for Desk {
    fn send(&mut self, outbound: Outbound<'_>) {
        self.sent.push(match outbound {
            Outbound::Datagram { to, bytes, .. } => Sent::Datagram { to, bytes: bytes.to_vec() },
            Outbound::Media { port, channel, to, bytes } => {
                Sent::Media { port, channel, to, bytes: bytes.to_vec() }
            }
            Outbound::OpenFlow { id, .. } => Sent::Open { id },
            Outbound::BindMedia { id, .. } => Sent::Bind { id },
            _ => return,
        });
    }
}

const FLOW: Flow = Flow { transport: Transport::Udp, id: 0 };

/// Where telephone `who` has its SIP port.
fn address(who: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1 + who as u8)), 5060)
}

/// The address of a media port: its number tells whose it is.
fn media_address(port: MediaPort, channel: Channel) -> SocketAddr {
    let base = 10_000 + 2 * port.0 as u16;
    let port_number = if channel == Channel::Rtp { base } else { base + 1 };
    SocketAddr::new(address((port.0 % 2) as usize).ip(), port_number)
}

/// Both telephones' signalling.
struct Signalling {
    phones: [Phone; 2],
    desk: Desk,
    orders: Sender<Order>,
    reports: Receiver<Report>,
    ports: u64,
    events: Vec<(usize, Event)>,
    digits: String,
    heard: HashMap<Leg, Vec<i16>>,
}

impl Signalling {
    /// Lets time pass, millisecond by millisecond, on both threads.
    fn pass(&mut self, millis: u64) {
        for _ in 0..millis {
            self.desk.now += Duration::from_millis(1);
            for who in 0..2 {
                self.settle(who);
            }
            self.orders.send(Order::Until(self.desk.now)).expect("the media thread lives");
            loop {
                match self.reports.recv().expect("the media thread lives") {
                    Report::Reached => break,
                    Report::Heard(leg, samples) => {
                        self.heard.entry(leg).or_default().extend(samples)
                    }
                    Report::Event((who, call), bytes) => {
                        let event = MediaEvent::from_bytes(&bytes).expect("an event");
                        if let MediaEvent::Dtmf { digit, .. } = event {
                            self.digits.push(digit);
                        }
                        self.phones[who].handle_media_event(call, &event);
                    }
                }
            }
        }
    }

    /// Runs a phone, and carries what it sent, until it is quiet.
    fn settle(&mut self, who: usize) {
        while self.phones[who].next_deadline().is_some_and(|at| at <= self.desk.now) {
            self.phones[who].handle_deadline(&mut self.desk);
            self.carry(who);
        }
        while let Some(event) = self.phones[who].next_event() {
            match event {
                Event::Media { call, control } => {
                    let order = Order::Control((who, call), control.to_bytes());
                    self.orders.send(order).expect("it lives");
                }
                event => self.events.push((who, event)),
            }
        }
    }

    fn carry(&mut self, who: usize) {
        for sent in std::mem::take(&mut self.desk.sent) {
            match sent {
                Sent::Datagram { to, bytes } => {
                    let other = usize::from(to == address(1));
                    let inbound =
                        Inbound::Datagram { flow: FLOW, from: address(who), bytes: &bytes };
                    self.phones[other].handle_inbound(&mut self.desk, inbound);
                    self.carry(other);
                }
                Sent::Open { id } => {
                    let inbound = Inbound::FlowOpened {
                        id,
                        flow: FLOW,
                        local: address(who),
                        certificate: None,
                    };
                    self.phones[who].handle_inbound(&mut self.desk, inbound);
                    self.carry(who);
                }
                Sent::Bind { id } => {
                    self.ports += 2;
                    let port = MediaPort(self.ports + who as u64);
                    let rtp = media_address(port, Channel::Rtp);
                    let rtcp = media_address(port, Channel::Rtcp);
                    let inbound = Inbound::MediaBound { id, port, rtp, rtcp };
                    self.phones[who].handle_inbound(&mut self.desk, inbound);
                    self.carry(who);
                }
                Sent::Media { .. } => panic!("signalling sends no media"),
            }
        }
    }

    /// Whether a phone has told that a call is in `state`.
    fn is(&self, (who, call): Leg, state: CallState) -> bool {
        self.phones[who].state(call) == Some(state)
    }
}

/// The media of both telephones: does as it is ordered, and knows of no call but by value.
fn media(orders: &Receiver<Order>, reports: &Sender<Report>) {
    let mut desk = Desk::new(2);
    let mut sessions: Vec<(Leg, Vec<MediaPort>, MediaSession)> = Vec::new();
    while let Ok(order) = orders.recv() {
        match order {
            Order::Control(leg, bytes) => {
                let control = MediaControl::from_bytes(&bytes).expect("a control");
                if let MediaControl::Open { .. } = &control {
                    sessions.push((leg, Vec::new(), MediaSession::new()));
                }
                let found = sessions.iter_mut().find(|(l, ..)| *l == leg).expect("a session");
                if let MediaControl::Configure { parameters, .. } = &control {
                    found.1.push(parameters.transport.port());
                }
                found.2.handle_control(&mut desk, control);
            }
            Order::Speak(leg, samples) => {
                let found = sessions.iter_mut().find(|(l, ..)| *l == leg).expect("a session");
                found.2.write_audio(8_000, &samples);
            }
            Order::Dial(leg, digits) => {
                let found = sessions.iter_mut().find(|(l, ..)| *l == leg).expect("a session");
                found.2.send_dtmf(&digits).expect("digits can be sent");
            }
            Order::Until(now) => {
                desk.now = now;
                for (leg, _, session) in &mut sessions {
                    if session.next_deadline().is_some_and(|at| at <= now) {
                        session.handle_deadline(&mut desk);
                    }
                    let mut samples = [0; 160];
                    let count = session.read_audio(8_000, &mut samples);
                    if count > 0 {
                        let heard = Report::Heard(*leg, samples[..count].to_vec());
                        reports.send(heard).expect("signalling lives");
                    }
                    while let Some(event) = session.next_event() {
                        let report = Report::Event(*leg, event.to_bytes());
                        reports.send(report).expect("signalling lives");
                    }
                }
                deliver(&mut desk, &mut sessions);
                reports.send(Report::Reached).expect("signalling lives");
            }
        }
    }
}

/// Carries the packets that were sent to the sessions whose ports they are for.
fn deliver(desk: &mut Desk, sessions: &mut [(Leg, Vec<MediaPort>, MediaSession)]) {
    for sent in std::mem::take(&mut desk.sent) {
        let Sent::Media { port: source, channel, to, bytes } = sent else {
            panic!("media sends no signalling");
        };
        for (_, ports, session) in sessions.iter_mut() {
            let Some(&port) = ports.iter().find(|port| media_address(**port, channel) == to) else {
                continue;
            };
            let from = media_address(source, channel);
            session.handle_inbound(desk, Inbound::Media { port, channel, from, bytes: &bytes });
        }
    }
}

#[test]
fn a_call_runs_with_signalling_and_media_on_two_threads() {
    let (orders, ordered) = channel();
    let (reported, reports) = channel();
    let worker = thread::spawn(move || media(&ordered, &reported));
    let phones = ["alice", "bob"].map(|user| {
        Phone::new(PhoneParameters::without_server(user)).expect("the parameters can be used")
    });
    let mut signalling = Signalling {
        phones,
        desk: Desk::new(1),
        orders,
        reports,
        ports: 0,
        events: Vec::new(),
        digits: String::new(),
        heard: HashMap::new(),
    };
    for phone in &mut signalling.phones {
        phone.start().expect("a new phone starts");
    }
    signalling.pass(10);
    let target = format!("sip:bob@{}", address(1));
    let out = signalling.phones[0].call(&target, CallOptions::default()).expect("a call");
    signalling.pass(20);
    let incoming = signalling.events.iter().find_map(|(who, event)| match event {
        Event::Phone(PhoneEvent::Incoming { call, .. }) if *who == 1 => Some(*call),
        _ => None,
    });
    let incoming = incoming.expect("bob's phone rings");
    signalling.phones[1].answer(incoming).expect("a ringing call can be answered");
    signalling.pass(20);
    let (alice, bob) = ((0, out), (1, incoming));
    assert!(signalling.is(alice, CallState::Answered) && signalling.is(bob, CallState::Answered));

    let tone = Tone::new(8_000, 700, 8_000).take(8_000);
    signalling.orders.send(Order::Speak(alice, tone)).expect("it lives");
    signalling.pass(1_500);
    signalling.orders.send(Order::Dial(alice, "42".to_owned())).expect("it lives");
    signalling.pass(1_000);
    let heard = &signalling.heard[&bob];
    let first = heard.iter().position(|s| s.unsigned_abs() > 200).expect("a sound");
    assert!(share_at(&heard[first + 400..first + 7_600], 8_000, 700.0) > 0.99, "not the tone");
    assert_eq!(signalling.digits, "42");

    signalling.phones[1].hangup(incoming).expect("an answered call can be hung up");
    signalling.pass(100);
    let ended = signalling
        .events
        .iter()
        .filter(|(_, e)| matches!(e, Event::Call { event: CallEvent::Ended(_), .. }))
        .count();
    assert_eq!(ended, 2, "both calls ended");
    drop(signalling);
    worker.join().expect("the media thread ends when its channel does");
}
