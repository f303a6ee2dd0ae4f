//! A call's media: its session and its sockets, carried by a worker of the [`engine`](super::engine).
//!
//! Signalling reaches it by [`Order`]s only, and it reaches signalling by jobs that carry a
//! [`MediaEvent`](offhook_core::media::MediaEvent) only.
//!
//! Nothing watches its sockets. They are looked at before a frame is due, for that is when what came is
//! wanted; how early it came the system has noted.

use std::net::{SocketAddr, UdpSocket};
use std::time::SystemTime;

use offhook_core::host::{
    Channel, Clock, Datagrams, Endpoint, Entropy, Inbound, MediaPort, Outbound,
};
use offhook_core::media::MediaControl;
use offhook_core::time::{Duration, Instant, WallTime};

use super::engine::GRID;
use crate::call::shared::Media;
use crate::capture::Capture;
use crate::host::arrivals::{Arrivals, Means};
use crate::host::entropy;
use crate::host::media::MediaSockets;
use crate::host::outbox::Outbox;
use crate::host::timebase::Timebase;

/// The orders from signalling to a call's media.
#[derive(Debug)]
pub(crate) enum Order {
    /// The control that needs these sockets follows.
    Sockets(MediaSockets),
    /// What to do; boxed, because it is large beside the others and seldom waits.
    Control(Box<MediaControl>),
}

impl Order {
    fn is_close(&self) -> bool {
        matches!(self, Self::Control(control) if **control == MediaControl::Close)
    }
}

/// How often the sockets are looked at if no frame is due: often enough that digits and the ends of
/// streams are known in time. Where the system does not note when packets come, whoever looks has to
/// know it.
const LOOK: Duration = Duration::from_millis(if cfg!(target_os = "linux") { 20 } else { 1 });
/// The same for reports, which change nothing that is heard.
const LOOK_FOR_REPORTS: Duration =
    if cfg!(target_os = "linux") { Duration::from_millis(100) } else { LOOK };
/// And for calls that neither send nor hear anything, whose sessions want something once a second.
const LOOK_AT_REST: Duration = Duration::from_secs(2);
/// A session with nothing to do for longer is such a call: no packet lasts longer.
const AT_REST: Duration = Duration::from_millis(200);
/// What is due within the same millisecond is done together.
const ROUND: Duration = Duration::from_millis(1);

/// The media of one call.
pub(crate) struct CallMedia {
    shared: Media,
    /// They stay until the call is over: a stream that was removed may come back.
    sockets: Vec<MediaSockets>,
    capture: Option<Capture>,
    /// When the sockets were looked at last.
    looked: Instant,
    /// The same for those of reports.
    looked_for_reports: Instant,
}

/// What the calls of one worker use in turn.
pub(crate) struct Tools {
    host: MediaHost,
    arrivals: Arrivals,
    /// The system's time of day at the time that the host shows.
    wall: SystemTime,
    tapped: Vec<[i16; 2]>,
}

impl Tools {
    pub(crate) fn new(time: Timebase, means: Means) -> Self {
        let host = MediaHost { time, now: time.now(), outbox: Outbox::new() };
        let (arrivals, wall) = (Arrivals::new(means), SystemTime::now());
        Self { host, arrivals, wall, tapped: Vec::new() }
    }

    /// Reads the clocks, for all that is done until they are read again; returns the time.
    pub(crate) fn read_clocks(&mut self) -> Instant {
        (self.host.now, self.wall) = (self.host.time.now(), SystemTime::now());
        self.host.now
    }
}

impl CallMedia {
    pub(crate) fn new(shared: Media, time: Timebase, capture: Option<Capture>) -> Self {
        let looked = time.now();
        Self { shared, sockets: Vec::new(), capture, looked, looked_for_reports: looked }
    }

    /// A worker has begun to run it.
    pub(crate) fn begin(&self) {
        self.shared.run();
    }

    /// Does what is due and what was ordered, and says when to come back; `None` when the call is over.
    pub(crate) fn run(&mut self, tools: &mut Tools) -> Option<Instant> {
        let orders = self.shared.take_orders();
        let over = orders.iter().any(Order::is_close);
        // What waits in the sockets comes before the frames that are due, or after a stall they would be
        // played without it; and before the end, for what the peer sent before its BYE is heard.
        self.look(tools, over);
        // What was ordered together is done together.
        for order in orders {
            self.handle_order(tools, order);
        }
        let deadline = self.advance(tools);
        (!over).then(|| self.next_run(deadline))
    }

    fn next_run(&self, deadline: Option<Instant>) -> Instant {
        // What the session leaves undone now it does next time.
        let deadline = deadline.unwrap_or(Instant::FAR).max(self.looked + Duration::from_micros(1));
        match deadline > self.looked + AT_REST {
            true => deadline.min(self.looked + LOOK_AT_REST).round_up(GRID),
            false => deadline.min(self.looked + LOOK).round_up(ROUND),
        }
    }

    fn handle_order(&mut self, tools: &mut Tools, order: Order) {
        match order {
            Order::Sockets(sockets) => {
                self.sockets.reserve_exact(1);
                self.sockets.push(sockets);
            }
            Order::Control(control) => {
                if let MediaControl::Release { port } = *control {
                    self.sockets.retain(|sockets| sockets.port != port);
                }
                self.shared.session().handle_control(&mut tools.host, *control);
                self.flush(tools);
            }
        }
    }

    /// Handles due deadlines, passes on the session's events and sends its packets; returns the next
    /// deadline.
    fn advance(&mut self, tools: &mut Tools) -> Option<Instant> {
        let mut session = self.shared.session();
        session.handle_deadline(&mut tools.host);
        while let Some(event) = session.next_event() {
            self.shared.send(|line, call| line.handle_media_event(call, event));
        }
        tools.tapped.clear();
        let rate = session.tap_rate();
        tools.tapped.extend(session.drain_tap());
        let deadline = session.next_deadline();
        drop(session);
        self.flush(tools);
        if let Some(rate) = rate {
            self.shared.taps.send(rate, &tools.tapped);
        }
        self.shared.moved.notify_waiters();
        deadline
    }

    /// Takes what waits in the sockets; in those of reports when it is time, or `all` is to be taken.
    fn look(&mut self, tools: &mut Tools, all: bool) {
        let now = tools.host.now;
        self.read(tools, Channel::Rtp, self.looked);
        self.looked = now;
        if all || now >= self.looked_for_reports + LOOK_FOR_REPORTS {
            self.read(tools, Channel::Rtcp, self.looked_for_reports);
            self.looked_for_reports = now;
        }
    }

    /// Takes what waits for `channel`, which was looked at last at `before`.
    fn read(&self, tools: &mut Tools, channel: Channel, before: Instant) {
        let Tools { host, arrivals, wall, .. } = tools;
        let now = host.now;
        for sockets in &self.sockets {
            let port = sockets.port;
            arrivals.read(sockets.socket(channel), *wall, |from, age, bytes| {
                // The time of day may have been set meanwhile; but before the last look nothing came.
                let age = Duration::from(age).min(now.since(before));
                if let Some(capture) = &self.capture {
                    capture.media(channel, from, sockets.address(channel), bytes, age);
                }
                host.now = now - age;
                let inbound = Inbound::Media { port, channel, from, bytes };
                self.shared.session().handle_inbound(host, inbound);
            });
        }
        host.now = now;
    }

    /// Sends what was gathered. A packet that finds no room is lost, as it would be on the network:
    /// waiting would make the next one late. It does not count as sent.
    fn flush(&self, tools: &mut Tools) {
        let outbox = &mut tools.host.outbox;
        let mut start = 0;
        while let Some(((port, channel), run)) = outbox.run(start) {
            start += run.len();
            let Some(sockets) = self.sockets.iter().find(|s| s.port == port) else { continue };
            let socket = sockets.socket(channel);
            for (to, bytes) in run {
                if !send(socket, bytes, to) {
                    if channel == Channel::Rtp {
                        self.shared.session().handle_unsent(bytes);
                    }
                    continue;
                }
                if let Some(capture) = &self.capture {
                    capture.media(channel, sockets.address(channel), to, bytes, Duration::ZERO);
                }
            }
        }
        outbox.clear();
    }
}

/// Sends one packet; false when the network does not take it. An ICMP error of an earlier packet,
/// which this send reports, does not keep it from being sent.
fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) -> bool {
    match socket.send_to(bytes, to) {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            socket.send_to(bytes, to).is_ok()
        }
        sent => sent.is_ok(),
    }
}

/// The host that a session sees: it gathers packets, and shows the time that was read last, or at which
/// a packet came.
struct MediaHost {
    time: Timebase,
    now: Instant,
    outbox: Outbox<(MediaPort, Channel)>,
}

impl Clock for MediaHost {
    fn now(&self) -> Instant {
        self.now
    }

    fn wall(&self) -> WallTime {
        self.time.wall()
    }
}

impl Entropy for MediaHost {
    fn fill(&mut self, bytes: &mut [u8]) {
        entropy::fill(bytes);
    }
}

impl Datagrams for MediaHost {
    fn send(&mut self, outbound: Outbound<'_>) {
        if let Outbound::Media { port, channel, to, bytes } = outbound {
            self.outbox.push((port, channel), to, bytes);
        }
    }
}
