//! One audio stream of a call: at each tick a frame leaves and a frame is heard.

use core::net::SocketAddr;

use super::audio::{Incoming, Outgoing};
use super::latch::{self, Latch, SourceMatch};
use super::pacer::Pacer;
use super::receiver::{Receiver, Reception};
use super::reporter::{Report, Reporter, to_micros, to_units};
use super::sender::{Destination, Sender};
use super::session::Opening;
use super::stats::{MediaStats, mos_x100};
use super::tap::TapEnd;
use super::telephone_event::{Press, Timing};
use super::transport::Transport;
use crate::host::{Channel, Host, MediaPort};
use crate::media::{MediaEvent, MediaParameters};
use crate::nat::{TransactionId, binding_indication};
use crate::sdp::{Agreed, Direction};
use crate::time::{Duration, Instant};

/// The shortest and longest packets that are sent.
const PTIME: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));
/// How many frames are played at once when a call ends, so that nothing heard is lost.
const LAST_FRAMES: usize = 200;
/// How long a stream without anything to do leaves its frames out: a host need not look whether
/// something was written meanwhile, and then that is noticed so late.
const NAP: Duration = Duration::from_secs(1);
/// How often a stream that sends nothing keeps the way to it open (Tr, RFC 6263 §7).
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// One audio stream.
#[derive(Debug)]
pub(crate) struct Stream {
    transport: Transport,
    agreed: Agreed,
    /// How long a digit is pressed, and how long not.
    digits: (Duration, Duration),
    /// The same by the clock of the codec that is sent.
    timing: Timing,
    pacer: Pacer,
    pub(crate) sender: Sender,
    receiver: Receiver,
    reporter: Reporter,
    /// When the next keep-alive is due, unless packets leave anyway.
    alive: Instant,
    pub(crate) incoming: Incoming,
    frame: Vec<i16>,
    /// Whether its frames are left out until something is to be done.
    napping: bool,
    silence_timeout: Option<Duration>,
    /// Since when something should have come.
    silent_since: Instant,
    silence_reported: bool,
    renumbered: bool,
}

impl Stream {
    pub(crate) fn new(
        host: &mut dyn Host,
        opening: &Opening,
        parameters: MediaParameters,
        outgoing: Outgoing,
    ) -> Self {
        let Opening { cname, options, grid } = opening;
        let MediaParameters { transport, agreed } = parameters;
        let now = host.now();
        let rate = agreed.send.codec.sample_rate();
        let ptime = clamp_ptime(agreed.ptime);
        let latch = Latch::new(now, agreed.remote_rtp, options.symmetric_rtp);
        let mut stream = Self {
            digits: (options.digit_duration, options.digit_pause),
            timing: Timing::default(),
            // A frame leaves, and is heard, when its time has passed.
            pacer: Pacer::new((now + ptime).round_up(*grid), ptime),
            sender: Sender::new(host, &agreed.send, outgoing),
            receiver: Receiver::new(latch, rate, 1),
            reporter: Reporter::new(host, cname),
            // The first opens the way.
            alive: now,
            incoming: Incoming::new(rate),
            frame: Vec::new(),
            napping: false,
            silence_timeout: options.silence_timeout,
            silent_since: now,
            silence_reported: false,
            renumbered: false,
            transport: Transport::new(transport),
            agreed,
        };
        stream.apply();
        stream
    }

    /// Signalling has agreed anew.
    pub(crate) fn configure(&mut self, host: &mut dyn Host, parameters: MediaParameters) {
        let MediaParameters { transport, agreed } = parameters;
        let now = host.now();
        self.wake(now);
        if agreed.send.codec.clock_rate() != self.sender.codec().clock_rate() {
            // RFC 7160 §4.1: a number has one clock.
            self.say_goodbye(host);
            self.sender.renumber(host);
        }
        let ptime = clamp_ptime(agreed.ptime);
        if ptime != self.pacer.period() {
            self.pacer = Pacer::new(self.pacer.next_deadline(), ptime);
        }
        self.receiver.latch.negotiate(now, agreed.remote_rtp);
        if agreed.remote_rtcp != self.agreed.remote_rtcp {
            self.reporter.heard_from = None;
        }
        let (sent, received) = (self.destination().is_some(), self.receives());
        self.transport.configure(transport);
        self.agreed = agreed;
        if sent {
            self.alive = now + ALIVE_EVERY;
        }
        if self.receives() != received {
            self.receiver.playout.restart();
            self.expect_sound(now);
        }
        self.apply();
    }

    fn apply(&mut self) {
        let agreed = &self.agreed;
        let (event_type, events) = (agreed.telephone_event_send, agreed.telephone_events);
        self.sender.configure(&agreed.send, event_type, events, self.pacer.period());
        self.receiver.configure(&agreed.receive, agreed.telephone_event_receive);
        let [press, pause] =
            [self.digits.0, self.digits.1].map(|time| to_units(time, agreed.send.codec));
        self.timing = Timing { press, pause };
        self.frame.resize(self.sender.frame_len(), 0);
        self.incoming.set_codec_rate(self.sender.rate());
        self.receiver.playout.set_rate(self.sender.rate());
        self.receiver.playout.set_frame(self.sender.frame_len() as u32);
    }

    /// The local pair of ports.
    pub(crate) fn port(&self) -> MediaPort {
        self.transport.port()
    }

    fn sends(&self) -> bool {
        matches!(self.agreed.direction, Direction::SendRecv | Direction::SendOnly)
    }

    pub(crate) fn receives(&self) -> bool {
        matches!(self.agreed.direction, Direction::SendRecv | Direction::RecvOnly)
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        let naps = self.napping && self.sender.outgoing.is_idle();
        let frame = self.pacer.next_deadline() + if naps { NAP } else { Duration::ZERO };
        let mut next = frame.min(self.reporter.next_deadline());
        if let Some(deadline) = self.receiver.events.next_deadline() {
            next = next.min(deadline);
        }
        if let Some(deadline) = self.silence_deadline() {
            next = next.min(deadline);
        }
        if self.silent_path().is_some() {
            next = next.min(self.alive);
        }
        next
    }

    /// How long its packets are.
    pub(crate) fn period(&self) -> Duration {
        self.pacer.period()
    }

    /// Whether something comes, or may still come in time.
    pub(crate) fn is_heard(&self) -> bool {
        self.receives() && !self.silence_reported
    }

    /// Waits anew for something to come.
    pub(crate) fn expect_sound(&mut self, now: Instant) {
        (self.silent_since, self.silence_reported) = (now, false);
    }

    /// Which telephone events the peer takes, if any.
    pub(crate) fn takes_event(&self, event: u8) -> bool {
        self.takes_events() && self.agreed.telephone_events.contains(event)
    }

    pub(crate) fn takes_events(&self) -> bool {
        self.agreed.telephone_event_send.is_some()
    }

    fn silence_deadline(&self) -> Option<Instant> {
        let expected = self.receives() && !self.silence_reported;
        self.silence_timeout.filter(|_| expected).map(|timeout| self.silent_since + timeout)
    }

    /// Carries out what is due. The work is bounded: a few frames, however late it is.
    pub(crate) fn handle_deadline(
        &mut self,
        host: &mut dyn Host,
        mut tap: Option<TapEnd<'_>>,
        mut emit: impl FnMut(MediaEvent),
    ) {
        let now = host.now();
        self.wake(now);
        while let Some(skipped) = self.pacer.advance(now) {
            self.tick(host, skipped, tap.as_mut());
        }
        if self.sender.outgoing.take_end() {
            emit(MediaEvent::AudioSent);
        }
        if self.sender.take_digits_end() {
            emit(MediaEvent::DtmfSent);
        }
        if let Some(press) = self.receiver.events.handle_deadline(now) {
            emit(self.to_event(press));
        }
        if now >= self.reporter.next_deadline() {
            self.report(host, false);
        }
        if let Some(to) = self.silent_path().filter(|_| now >= self.alive) {
            self.alive = now + ALIVE_EVERY;
            self.send_keep_alive(host, to);
        }
        if self.silence_deadline().is_some_and(|deadline| now >= deadline) {
            self.silence_reported = true;
            emit(MediaEvent::Silent);
        }
        // What is recorded goes on with time.
        self.napping = tap.is_none() && self.has_nothing_to_do();
    }

    /// Whether no frame would be sent or heard, nor anything written go by.
    fn has_nothing_to_do(&self) -> bool {
        !self.receives() && self.destination().is_none() && self.sender.outgoing.is_idle()
    }

    /// Goes on in time over the frames that were left out.
    fn wake(&mut self, now: Instant) {
        if core::mem::take(&mut self.napping) {
            let passed = self.pacer.pass(now);
            if passed > 0 {
                self.sender.rest(passed, self.pacer.next_deadline() - self.pacer.period());
            }
        }
    }

    fn tick(&mut self, host: &mut dyn Host, skipped: u64, mut tap: Option<&mut TapEnd<'_>>) {
        let (period, frame) = (self.pacer.period(), self.frame.len());
        if skipped > 0 {
            self.sender.skip(skipped);
            self.receiver.playout.skip(skipped.saturating_mul(frame as u64));
            if let Some(tap) = tap.as_deref_mut() {
                tap.skip(self.sender.rate(), skipped.saturating_mul(frame as u64));
            }
        }
        let begins = self.pacer.next_deadline() - period;
        let path = self.destination().map(|to| Destination { transport: &self.transport, to });
        self.sender.tick(host, begins, period, path, self.timing);
        if self.receives() {
            let pause = self.receiver.is_pausing(begins);
            self.receiver.playout.pull(&mut self.frame, pause);
            self.incoming.push(&self.frame);
        } else {
            self.frame.fill(0);
        }
        if let Some(tap) = tap {
            tap.push(self.sender.rate(), self.sender.last_frame(), &self.frame);
        }
    }

    /// Where RTP is sent now, if anywhere. A peer that asked for nothing gets nothing, also when
    /// packets come from somewhere.
    fn destination(&self) -> Option<SocketAddr> {
        self.sends().then(|| self.far_end()).flatten()
    }

    /// Where RTP comes from, when none is sent there: held, or only listening. RTCP has a port of its own,
    /// and its reports keep only that open.
    fn silent_path(&self) -> Option<SocketAddr> {
        (!self.sends()).then(|| self.far_end()).flatten()
    }

    fn far_end(&self) -> Option<SocketAddr> {
        let to = self.receiver.latch.target();
        (is_reachable(self.agreed.remote_rtp) && is_reachable(to)).then_some(to)
    }

    /// Keeps the NAT binding open (RFC 6263 §4.4) by a packet that RTP ignores and that is no media.
    fn send_keep_alive(&self, host: &mut dyn Host, to: SocketAddr) {
        let indication = binding_indication(TransactionId::new(host));
        self.transport.send(host, Channel::Rtp, to, &indication);
    }

    /// How well a packet to this stream's ports matches it, where other streams share them: by its address,
    /// then by its SSRC.
    pub(crate) fn source_match(
        &self,
        channel: Channel,
        from: SocketAddr,
        datagram: &[u8],
    ) -> SourceMatch {
        // RFC 3550 §5.1, §6.4.1: RTP has it in its third word, RTCP in its second.
        let (start, by_address) = match channel {
            Channel::Rtp => (8, self.receiver.latch.source_match(from)),
            Channel::Rtcp if latch::same(from, self.agreed.remote_rtcp) => {
                (4, SourceMatch::Address)
            }
            Channel::Rtcp => (4, SourceMatch::None),
        };
        let ssrc = datagram.get(start..).and_then(|rest| rest.first_chunk());
        let ssrc = ssrc.map(|bytes| u32::from_be_bytes(*bytes));
        let source = self.receiver.source().map(|source| source.ssrc());
        match by_address {
            SourceMatch::Address if source.is_none() => SourceMatch::FreeAddress,
            SourceMatch::Address if source == ssrc => SourceMatch::Both,
            SourceMatch::Address => SourceMatch::Address,
            _ if source.is_some() && source == ssrc => SourceMatch::Source,
            other => other,
        }
    }

    /// Takes a packet of this stream's ports.
    pub(crate) fn handle_datagram(
        &mut self,
        host: &mut dyn Host,
        channel: Channel,
        from: SocketAddr,
        datagram: &[u8],
        emit: impl FnMut(MediaEvent),
    ) {
        let heard = match channel {
            Channel::Rtp => self.handle_rtp(host, from, datagram, emit),
            Channel::Rtcp => self.handle_rtcp(host.now(), from, datagram, emit),
        };
        if heard {
            self.expect_sound(host.now());
        }
    }

    fn handle_rtp(
        &mut self,
        host: &mut dyn Host,
        from: SocketAddr,
        datagram: &[u8],
        mut emit: impl FnMut(MediaEvent),
    ) -> bool {
        let now = host.now();
        let until_pull = self.receives().then(|| self.pacer.next_deadline().since(now));
        let codec = self.sender.codec();
        let ours = self.sender.ssrc();
        let heard = self.receiver.handle_datagram(now, from, datagram, until_pull, ours, |press| {
            emit(to_event(press, codec));
        });
        // §8.2: two with one number; one changes it. If our new one comes back too, the peer sends
        // us our own packets, as an echo does, and that is no collision.
        if heard == Reception::OurSsrc && !self.renumbered {
            self.renumbered = true;
            self.report(host, true);
            self.sender.renumber(host);
        }
        heard != Reception::Rejected
    }

    fn handle_rtcp(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        mut emit: impl FnMut(MediaEvent),
    ) -> bool {
        let of_peer = latch::same_host(from, self.receiver.latch.target());
        let signalled = match self.receiver.latch.is_strict() {
            true => latch::same(from, self.agreed.remote_rtcp),
            false => of_peer || latch::same_host(from, self.agreed.remote_rtcp),
        };
        if !signalled {
            self.receiver.handle_rejected();
            return false;
        }
        let source = self.receiver.source().map(|s| s.ssrc());
        let ours = self.sender.ssrc();
        let Some(goodbye) = self.reporter.handle_compound(now, datagram, source, ours) else {
            self.receiver.handle_rejected();
            return false;
        };
        if of_peer {
            // Behind a NAT the port is not the one in SDP.
            self.reporter.heard_from = Some(from);
        }
        if goodbye {
            if let Some(press) = self.receiver.events.finish() {
                emit(self.to_event(press));
            }
            emit(MediaEvent::Goodbye);
        }
        true
    }

    fn report(&mut self, host: &mut dyn Host, goodbye: bool) {
        let now = host.now();
        let received = self.receiver.counts().received;
        let report = Report {
            ssrc: self.sender.ssrc(),
            packets: self.sender.packets(),
            bytes: self.sender.bytes(),
            timestamp: self.sender.timestamp_at(now),
            source: self.receiver.source_mut(),
            received,
        };
        let to = self.reporter.heard_from.unwrap_or(self.agreed.remote_rtcp);
        let bytes = if goodbye {
            self.reporter.write_goodbye(host, report)
        } else {
            self.reporter.write_report(host, report)
        };
        if is_reachable(self.agreed.remote_rtcp) && is_reachable(to) {
            self.transport.send(host, Channel::Rtcp, to, bytes);
        }
    }

    fn say_goodbye(&mut self, host: &mut dyn Host) {
        // RFC 3550 §6.3.7: a participant that has sent nothing sends no BYE.
        if self.sender.packets() > 0 || self.reporter.has_reported() {
            self.report(host, true);
        }
    }

    /// Says goodbye and plays what has been received.
    pub(crate) fn close(&mut self, host: &mut dyn Host, mut tap: Option<TapEnd<'_>>) {
        self.say_goodbye(host);
        for _ in 0..LAST_FRAMES {
            if !self.receives() || self.receiver.playout.is_empty() {
                break;
            }
            self.receiver.playout.pull(&mut self.frame, true);
            self.incoming.push(&self.frame);
            if let Some(tap) = &mut tap {
                tap.push_heard(self.sender.rate(), &self.frame);
            }
        }
    }

    pub(crate) fn stats(&self) -> MediaStats {
        let codec = self.sender.codec();
        let counts = self.receiver.counts();
        let jitter = self.receiver.playout.jitter();
        let remote = self.reporter.remote();
        let (late, discarded) = (self.receiver.late(), jitter.discarded());
        let playout_delay_us = jitter.delay().as_micros();
        let expected = counts.received + counts.lost;
        let missed = counts.lost + late + discarded;
        let lost_ppm = missed.min(expected) * 1_000_000 / expected.max(1);
        let delay_us =
            remote.rtt_us.unwrap_or(0) / 2 + playout_delay_us + self.pacer.period().as_micros();
        MediaStats {
            codec: Some(codec),
            sent: self.sender.packets(),
            sent_bytes: self.sender.bytes(),
            received: counts.received,
            received_bytes: self.receiver.bytes(),
            lost: counts.lost,
            duplicates: counts.duplicates,
            late,
            discarded,
            rejected: self.receiver.rejected(),
            jitter_us: self.receiver.source().map_or(0, |source| source.jitter_us()),
            rtt_us: remote.rtt_us,
            playout_delay_us,
            concealed_ms: self.receiver.playout.concealed().as_millis(),
            stalled_frames: self.sender.stalled(),
            unread_samples: self.incoming.unread(),
            remote_lost: remote.lost,
            remote_jitter_us: to_micros(u64::from(remote.jitter), codec),
            mos_x100: if counts.received == 0 { 0 } else { mos_x100(delay_us, lost_ppm) },
        }
    }

    /// How many bytes the buffers hold, used or not.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.receiver.playout.memory() + 2 * self.frame.capacity() + 2 * self.sender.frame_len()
    }

    fn to_event(&self, press: Press) -> MediaEvent {
        to_event(press, self.sender.codec())
    }
}

fn to_event(press: Press, codec: crate::codec::Codec) -> MediaEvent {
    let duration = Duration::from_micros(to_micros(press.duration, codec));
    MediaEvent::Dtmf { digit: press.digit, duration }
}

fn clamp_ptime(ptime: Duration) -> Duration {
    ptime.clamp(PTIME.0, PTIME.1)
}

/// An unspecified address or port zero means that the peer receives nothing (RFC 3264 §5.1, §8.4).
fn is_reachable(address: SocketAddr) -> bool {
    address.port() != 0 && !address.ip().is_unspecified()
}
