//! What tests of transactions need: a machine run alone, and a host without a network.

use core::net::{Ipv4Addr, SocketAddr};

use super::machine::{Action, Step, Timing, TransactionContext};
use crate::host::{Clock, Datagrams, Entropy, Flow, MediaPort, Outbound, RequestId, Transport};
use crate::sip::Message;
use crate::time::{Duration, Instant, WallTime};

/// A host without a network: it has the time it is given and keeps what is sent.
#[derive(Debug)]
pub(crate) struct TestHost {
    /// The time it is.
    pub(crate) now: Instant,
    /// The datagrams sent: where to, and what.
    pub(crate) sent: Vec<(SocketAddr, Vec<u8>)>,
    /// The flows asked for.
    pub(crate) asked: Vec<RequestId>,
    /// The flows closed.
    pub(crate) closed: Vec<Flow>,
    /// The media ports asked for, and those given back.
    pub(crate) media: (Vec<RequestId>, Vec<MediaPort>),
    /// How often the sockets were to be bound anew.
    pub(crate) rebound: usize,
    state: u64,
}

impl TestHost {
    /// A host at time zero.
    pub(crate) fn new(seed: u64) -> Self {
        let (sent, asked, closed) = (Vec::new(), Vec::new(), Vec::new());
        let media = (Vec::new(), Vec::new());
        Self { now: Instant::ZERO, sent, asked, closed, media, rebound: 0, state: seed }
    }

    /// Takes the messages sent since.
    pub(crate) fn take(&mut self) -> Vec<Message> {
        self.sent.drain(..).map(|(_, bytes)| Message::parse(&bytes).expect("it is SIP")).collect()
    }
}

impl Clock for TestHost {
    fn now(&self) -> Instant {
        self.now
    }

    fn wall(&self) -> WallTime {
        WallTime::from_micros(self.now.as_micros())
    }
}

impl Entropy for TestHost {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (self.state >> 56) as u8;
        }
    }
}

impl Datagrams for TestHost {
    fn send(&mut self, outbound: Outbound<'_>) {
        match outbound {
            Outbound::Datagram { to, bytes, .. } => self.sent.push((to, bytes.to_owned())),
            Outbound::OpenFlow { id, .. } => self.asked.push(id),
            Outbound::CloseFlow { flow } => self.closed.push(flow),
            Outbound::BindMedia { id, .. } => self.media.0.push(id),
            Outbound::ReleaseMedia { port } => self.media.1.push(port),
            Outbound::Rebind => self.rebound += 1,
            _ => {}
        }
    }
}

/// The flow that all tests use.
pub(crate) const FLOW: Flow = Flow { transport: Transport::Udp, id: 1 };

/// The address 192.0.2.`host`:5060.
pub(crate) const fn address(host: u8) -> SocketAddr {
    SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), 5060)
}

/// A machine's surroundings at `millis` after the start.
pub(super) fn at(millis: u64) -> TransactionContext {
    TransactionContext { now: instant(millis), timing: Timing::default(), reliable: false }
}

/// The same on a reliable transport.
pub(super) fn reliably(millis: u64) -> TransactionContext {
    TransactionContext { reliable: true, ..at(millis) }
}

/// The instant `millis` after the start.
pub(super) fn instant(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

/// The parts of a machine that every run needs.
pub(super) trait Machine: Sized {
    fn deadline(&self) -> Option<Instant>;
    fn handle_deadline(self, context: TransactionContext) -> Step<Self>;
}

macro_rules! machine {
    ($($machine:ty),*) => { $(
        impl Machine for $machine {
            fn deadline(&self) -> Option<Instant> {
                self.deadline()
            }
            fn handle_deadline(self, context: TransactionContext) -> Step<Self> {
                self.handle_deadline(context)
            }
        }
    )* };
}
machine!(
    super::client_invite::ClientInvite,
    super::client_non_invite::ClientNonInvite,
    super::server_invite::ServerInvite<()>,
    super::server_non_invite::ServerNonInvite<()>
);

/// Fires the machine's timers, each at its instant, up to `until` milliseconds: what happened
/// when, and what is left.
pub(super) fn run<M: Machine>(
    mut machine: M,
    until: u64,
    context: TransactionContext,
) -> (Vec<(u64, Action)>, Option<M>) {
    let mut log = Vec::new();
    while let Some(due) = machine.deadline().filter(|due| *due <= instant(until)) {
        let Step { next, action } =
            machine.handle_deadline(TransactionContext { now: due, ..context });
        log.push((due.as_micros() / 1_000, action));
        match next {
            Some(next) => machine = next,
            None => return (log, None),
        }
    }
    (log, Some(machine))
}

/// The step of a machine that lives on.
#[track_caller]
pub(super) fn lives<M>(step: Step<M>, action: Action) -> M {
    assert_eq!(step.action, action);
    step.next.expect("the machine has not ended")
}

/// The step of a machine that ends.
#[track_caller]
pub(super) fn ends<M>(step: Step<M>, action: Action) {
    assert_eq!(step.action, action);
    assert!(step.next.is_none(), "the machine has ended");
}
