//! A call's media task: the session, its sockets and its clock.
//!
//! Signalling reaches it by [`Order`]s only, and it reaches signalling by jobs that carry a
//! [`MediaEvent`](offhook_core::media::MediaEvent) only.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;

use offhook_core::host::{
    Channel, Clock, Datagrams, Endpoint, Entropy, Inbound, MediaPort, Outbound,
};
use offhook_core::media::MediaControl;
use offhook_core::time::{Instant, WallTime};
use tokio::net::UdpSocket;

use crate::call::shared::Media;
use crate::capture::Capture;
use crate::host::entropy;
use crate::host::media::MediaSockets;
use crate::host::metronome::Beat;
use crate::host::outbox::Outbox;
use crate::host::timebase::Timebase;

/// The orders from signalling to a media task.
#[derive(Debug)]
pub(crate) enum Order {
    /// The control that needs these sockets follows.
    Sockets(MediaSockets),
    /// What to do; boxed, because it is large beside the others and seldom waits.
    Control(Box<MediaControl>),
}

/// How many packets of one socket are taken before others are looked at.
const BATCH: usize = 32;
/// No packet that we negotiate is larger; a longer one is cut and fails to parse.
const LARGEST: usize = 4_096;

thread_local! {
    /// Where packets are read to: one a thread, so that a call has none of its own.
    static BUFFER: RefCell<[u8; LARGEST]> = const { RefCell::new([0; LARGEST]) };
}

/// Carries the media of one call until signalling closes it.
pub(crate) async fn run(shared: Media, time: Timebase, beat: Beat, capture: Option<Capture>) {
    shared.run();
    let mut task = Task {
        shared,
        host: MediaHost { time, outbox: Outbox::new() },
        sockets: Vec::new(),
        tapped: Vec::new(),
        capture,
    };
    'call: loop {
        // What was ordered together is done together.
        for order in task.shared.take_orders() {
            let over =
                matches!(&order, Order::Control(control) if **control == MediaControl::Close);
            if over {
                // What the peer sent before its BYE is heard, and counts.
                task.receive_all();
            }
            task.handle_order(order);
            if over {
                break 'call;
            }
        }
        let deadline = task.advance();
        beat.set(deadline.map(|deadline| time.at(deadline)));
        tokio::select! {
            // After a stall what waits in the sockets comes before the frames that are due, or they
            // would be played without it.
            biased;
            (index, channel) = task.readable() => {
                BUFFER.with_borrow_mut(|buffer| task.receive(index, channel, buffer));
            }
            () = beat.due() => {}
            () = task.shared.wake.notified() => {}
        }
    }
    task.advance();
}

struct Task {
    shared: Media,
    host: MediaHost,
    /// They stay until the call is over: a stream that was removed may come back.
    sockets: Vec<MediaSockets>,
    tapped: Vec<[i16; 2]>,
    capture: Option<Capture>,
}

impl Task {
    fn handle_order(&mut self, order: Order) {
        match order {
            Order::Sockets(sockets) => {
                self.sockets.reserve_exact(1);
                self.sockets.push(sockets);
            }
            Order::Control(control) => {
                if let MediaControl::Release { port } = *control {
                    self.sockets.retain(|sockets| sockets.port != port);
                }
                self.shared.session().handle_control(&mut self.host, *control);
                self.flush();
            }
        }
    }

    /// Handles due deadlines, passes on the session's events and sends its packets; returns the next
    /// deadline.
    fn advance(&mut self) -> Option<Instant> {
        let mut session = self.shared.session();
        session.handle_deadline(&mut self.host);
        while let Some(event) = session.next_event() {
            self.shared.send(|line, call| line.handle_media_event(call, event));
        }
        self.tapped.clear();
        let rate = session.tap_rate();
        self.tapped.extend(session.drain_tap());
        let deadline = session.next_deadline();
        drop(session);
        self.flush();
        if let Some(rate) = rate {
            self.shared.taps.send(rate, &self.tapped);
        }
        self.shared.moved.notify_waiters();
        deadline
    }

    /// Takes what waits in the sockets.
    fn receive_all(&mut self) {
        BUFFER.with_borrow_mut(|buffer| {
            for index in 0..self.sockets.len() {
                self.receive(index, Channel::Rtp, buffer);
                self.receive(index, Channel::Rtcp, buffer);
            }
        });
    }

    fn receive(&mut self, index: usize, channel: Channel, buffer: &mut [u8]) {
        let Some(sockets) = self.sockets.get(index) else { return };
        let port = sockets.port;
        let socket = sockets.socket(channel);
        for _ in 0..BATCH {
            let Ok((length, from)) = socket.try_recv_from(buffer) else { return };
            let Some(bytes) = buffer.get(..length) else { return };
            if let Some(capture) = &self.capture {
                capture.media(channel, from, sockets.address(channel), bytes);
            }
            let inbound = Inbound::Media { port, channel, from, bytes };
            self.shared.session().handle_inbound(&mut self.host, inbound);
        }
    }

    /// Sends what was gathered. A packet that finds no room is lost, as it would be on the network:
    /// waiting would make the next one late. It does not count as sent.
    fn flush(&mut self) {
        let mut start = 0;
        while let Some(((port, channel), run)) = self.host.outbox.run(start) {
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
                    capture.media(channel, sockets.address(channel), to, bytes);
                }
            }
        }
        self.host.outbox.clear();
    }

    /// Waits until a socket has a packet; says which.
    async fn readable(&self) -> (usize, Channel) {
        poll_fn(|cx| {
            for (index, sockets) in self.sockets.iter().enumerate() {
                for channel in [Channel::Rtp, Channel::Rtcp] {
                    if sockets.socket(channel).poll_recv_ready(cx).is_ready() {
                        return Poll::Ready((index, channel));
                    }
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Sends one packet; false when the network does not take it. An ICMP error of an earlier packet,
/// which this send reports, does not keep it from being sent.
fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) -> bool {
    match socket.try_send_to(bytes, to) {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            socket.try_send_to(bytes, to).is_ok()
        }
        sent => sent.is_ok(),
    }
}

/// The host that a session sees: it gathers packets.
struct MediaHost {
    time: Timebase,
    outbox: Outbox<(MediaPort, Channel)>,
}

impl Clock for MediaHost {
    fn now(&self) -> Instant {
        self.time.now()
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
