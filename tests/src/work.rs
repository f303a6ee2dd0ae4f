//! Work of which the cost is measured: by `cargo bench` in time, by `cargo xtask instructions` in
//! instructions.

use std::hint::black_box;
use std::net::SocketAddr;

use offhook_core::call::CallOptions;
use offhook_core::config::PhoneParameters;
use offhook_core::event::{CallId, CallState, Event, PhoneEvent};
use offhook_core::host::{Channel, Endpoint, Inbound, MediaPort, Transport};
use offhook_core::internals::Header;
use offhook_core::phone::Phone;
use offhook_core::rtp::MediaSession;
use offhook_core::sim::{NodeId, Simulation};
use offhook_core::sip::{Message, NameAddr};
use offhook_core::switchboard::Switchboard;
use offhook_core::time::Duration;

use crate::idle::{IdleHost, PEER, media_session};

/// A message parsed, and To, From, the topmost Via, CSeq and every Contact typed.
///
/// # Panics
/// When the bytes are not a message.
pub fn parse(bytes: &[u8]) -> Message {
    let message = Message::parse(bytes).expect("a message");
    let contacts = message.contacts().map(Result::unwrap).map(|c: NameAddr<'_>| c.uri());
    black_box(contacts.last());
    black_box((message.to(), message.from(), message.via(), message.cseq()));
    message
}

/// Two phones without media on a network without delay; the second answers every call.
pub struct Pair {
    /// The network.
    pub sim: Simulation,
    alice: NodeId<Phone>,
    target: String,
}

impl Default for Pair {
    fn default() -> Self {
        Self::over(Transport::Udp)
    }
}

impl Pair {
    /// Two phones that talk over this transport.
    pub fn over(transport: Transport) -> Self {
        let mut sim = Simulation::new(1);
        let bob = sim.add([10, 0, 0, 2], started("bob", transport));
        sim.set_application(bob, |phone, _| answer(phone));
        Self::calling(sim, transport, bob.address())
    }

    /// The same, where the second is one of two lines of a switchboard.
    ///
    /// # Panics
    /// When a switchboard has no room for two.
    pub fn with_lines(transport: Transport) -> Self {
        let mut sim = Simulation::new(1);
        let mut board = Switchboard::new();
        for user in ["carol", "bob"] {
            board.add(started(user, transport)).expect("room for a line");
        }
        let board = sim.add([10, 0, 0, 2], board);
        sim.set_application(board, |board: &mut Switchboard<Phone>, _| {
            while let Some((_, phone)) = board.next_changed() {
                answer(phone);
            }
        });
        Self::calling(sim, transport, board.address())
    }

    /// The first, which calls bob at that address.
    fn calling(mut sim: Simulation, transport: Transport, bob: SocketAddr) -> Self {
        let alice = sim.add([10, 0, 0, 1], started("alice", transport));
        sim.set_application(alice, |phone, _| while phone.next_event().is_some() {});
        sim.run_for(Duration::from_millis(1));
        let target = format!("sip:bob@{bob}");
        Self { sim, alice, target }
    }

    /// A call from INVITE to 200 for its BYE, and then `pause`.
    pub fn call(&mut self, pause: Duration) {
        let call = self.connect();
        self.end(call);
        self.sim.run_for(pause);
    }

    fn connect(&mut self) -> CallId {
        let phone = self.sim.node_mut(self.alice);
        let call = phone.call(&self.target, CallOptions::default()).expect("a call");
        self.until(|phone| phone.state(call) == Some(CallState::Answered));
        call
    }

    fn end(&mut self, call: CallId) {
        self.sim.node_mut(self.alice).hangup(call).expect("an answered call can be hung up");
        self.until(|phone| phone.state(call).is_none());
    }

    fn until(&mut self, reached: impl Fn(&Phone) -> bool) {
        let alice = self.alice;
        self.sim
            .run_until(|sim| reached(&sim[alice]), Duration::from_secs(1))
            .expect("the network loses nothing");
    }
}

/// A phone without a server.
fn started(user: &str, transport: Transport) -> Phone {
    let parameters = PhoneParameters::without_server(user).transport(transport);
    let mut phone = Phone::new(parameters).expect("parameters");
    phone.start().expect("a new phone starts");
    phone
}

/// Takes the events of a phone, and answers its calls.
fn answer(phone: &mut Phone) {
    while let Some(event) = phone.next_event() {
        if let Event::Phone(PhoneEvent::Incoming { call, .. }) = event {
            phone.answer(call).expect("a ringing call can be answered");
        }
    }
}

/// The media of a call in PCMU, of which the sound goes back where it came from.
pub struct Echo {
    host: IdleHost,
    session: MediaSession,
    header: Header,
    datagram: Vec<u8>,
    samples: [i16; 160],
}

impl Default for Echo {
    fn default() -> Self {
        let mut host = IdleHost::default();
        let session = media_session(&mut host);
        let header =
            Header { payload_type: 0, marker: false, sequence: 0, timestamp: 0, ssrc: 0x0102_0304 };
        Self { host, session, header, datagram: Vec::new(), samples: [0; 160] }
    }
}

impl Echo {
    /// A frame of 20 ms: a packet comes in, is decoded through the jitter buffer and read; what was read
    /// is written, encoded and sent.
    pub fn frame(&mut self) {
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(160);
        self.header.write(&[0x55; 160], &mut self.datagram);
        let (port, channel) = (MediaPort(1), Channel::Rtp);
        let inbound = Inbound::Media { port, channel, from: PEER, bytes: &self.datagram };
        self.session.handle_inbound(&mut self.host, inbound);
        self.session.handle_deadline(&mut self.host);
        let count = self.session.read_audio(8_000, &mut self.samples);
        self.session.write_audio(8_000, &self.samples[..count]);
        self.host.pass_millis(20);
    }
}
