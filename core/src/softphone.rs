//! A phone and the media of its calls in one place: for the simulation, Node, and a page that does
//! everything in one thread. Elsewhere [`Phone`] and [`MediaSession`] run apart, joined by
//! [`Event::Media`] and [`Phone::handle_media_event`].

use core::net::SocketAddr;
use std::collections::VecDeque;

use crate::call::{CallInfo, CallProfile};
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{CallEvent, CallId, Event};
use crate::host::{Endpoint, Flow, Host, Inbound, MediaPort};
use crate::map::Map;
use crate::media::MediaControl;
use crate::phone::Phone;
use crate::rtp::{MediaSession, MediaStats};
use crate::stream::Decoded;
use crate::time::Instant;
use crate::timers::{TimerId, Timers};

/// A [`Phone`] with a [`MediaSession`] for each of its calls.
///
/// ```
/// use offhook_core::config::PhoneParameters;
/// use offhook_core::event::CallState;
/// use offhook_core::sim::Simulation;
/// use offhook_core::softphone::Softphone;
/// use offhook_core::time::Duration;
///
/// let mut sim = Simulation::new(1);
/// let alice = sim.add([10, 0, 0, 1], Softphone::new(PhoneParameters::without_server("alice"))?);
/// let bob = sim.add([10, 0, 0, 2], Softphone::new(PhoneParameters::without_server("bob"))?);
/// sim[alice].phone_mut().start()?;
/// sim[bob].phone_mut().start()?;
///
/// let call = sim[alice].phone_mut().call("sip:bob@10.0.0.2", Default::default())?;
/// sim.run_for(Duration::from_millis(100));
/// let ringing = sim[bob].phone().calls().next().expect("it rings");
/// sim[bob].phone_mut().answer(ringing)?;
/// sim.run_for(Duration::from_millis(100));
/// assert_eq!(sim[alice].phone().state(call), Some(CallState::Answered));
/// # Ok::<(), offhook_core::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Softphone {
    phone: Phone,
    media: Map<CallId, Media>,
    ports: Map<MediaPort, CallId>,
    /// The next deadline of each session.
    timers: Timers<CallId>,
    events: VecDeque<Event>,
    /// The calls that the phone has forgotten, until the application knows of their end.
    over: Map<CallId, CallProfile>,
    /// The call whose [`CallEvent::Ended`] was the last event taken.
    ended: Option<CallId>,
}

struct Media {
    session: MediaSession,
    /// A pair for each stream of a description; the streams of early dialogs share them.
    ports: Vec<MediaPort>,
    timer: Option<(TimerId, Instant)>,
}

impl Softphone {
    /// A softphone that has not started.
    ///
    /// # Errors
    /// As [`Phone::new`].
    pub fn new(parameters: PhoneParameters) -> Result<Self, Error> {
        Ok(Self {
            phone: Phone::new(parameters)?,
            media: Map::new(),
            ports: Map::new(),
            timers: Timers::new(),
            events: VecDeque::new(),
            over: Map::new(),
            ended: None,
        })
    }

    /// The signalling.
    pub fn phone(&self) -> &Phone {
        &self.phone
    }

    /// The signalling, for its commands. Take events from [`next_event`](Self::next_event) only.
    pub fn phone_mut(&mut self) -> &mut Phone {
        &mut self.phone
    }

    /// The media of a call; `None` before anything is offered, and once an event after
    /// [`CallEvent::Ended`] was asked for. With that event what the media has done is known, and the
    /// digits that nobody took can still be.
    pub fn media(&self, call: CallId) -> Option<&MediaSession> {
        self.media.get(&call).map(|media| &media.session)
    }

    /// The media of a call, to write, read and dial.
    pub fn media_mut(&mut self, call: CallId) -> Option<&mut MediaSession> {
        self.media.get_mut(&call).map(|media| &mut media.session)
    }

    /// What is known about a call; kept as [`media`](Self::media) is.
    pub fn info(&self, call: CallId) -> Option<CallInfo> {
        self.phone.info(call).or_else(|| self.over.get(&call).map(CallProfile::info))
    }

    /// What the media of a call has done so far; kept as [`media`](Self::media) is.
    pub fn stats(&self, call: CallId) -> Option<MediaStats> {
        self.media(call).map(MediaSession::stats)
    }

    /// The next thing that happened.
    pub fn next_event(&mut self) -> Option<Event> {
        if let Some(call) = self.ended.take() {
            self.forget(call);
        }
        let event = self.events.pop_front()?;
        if let Event::Call { call, event: CallEvent::Ended(_) } = &event {
            self.ended = Some(*call);
        }
        Some(event)
    }

    /// Handles a message or keep-alive that a switchboard has decoded.
    pub(crate) fn handle_decoded(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        decoded: Decoded,
    ) {
        self.phone.handle_decoded(host, flow, from, decoded);
        self.run_to_rest(host);
    }

    /// Passes events and commands between signalling and media until there are none left.
    fn run_to_rest(&mut self, host: &mut dyn Host) {
        loop {
            loop {
                let ends = self.phone.next_to_end();
                let Some(event) = self.phone.next_event() else { break };
                if let Some(profile) = ends {
                    self.over.insert(profile.id(), profile);
                }
                match event {
                    Event::Media { call, control } => self.control(host, call, control),
                    mut event => {
                        if let Event::Call { call, event: CallEvent::Ended(ending) } = &mut event {
                            ending.stats = self.stats(*call).unwrap_or_default();
                        }
                        self.events.push_back(event);
                    }
                }
            }
            // The phone has learned that a call is silent, and hangs it up now.
            if self.phone.next_deadline() != Some(Instant::ZERO) {
                return;
            }
            self.phone.handle_deadline(host);
        }
    }

    fn control(&mut self, host: &mut dyn Host, call: CallId, control: MediaControl) {
        if let MediaControl::Open { .. } = &control {
            let session = MediaSession::new();
            self.media.insert(call, Media { session, ports: Vec::new(), timer: None });
        }
        if let Some(media) = self.media.get_mut(&call) {
            if let MediaControl::Configure { parameters, .. } = &control {
                let port = parameters.transport.port();
                if self.ports.insert(port, call).is_none() {
                    media.ports.push(port);
                }
            }
            if let MediaControl::Release { port } = control {
                self.ports.remove(&port);
                media.ports.retain(|held| *held != port);
            }
            media.session.handle_control(host, control);
        }
        self.drain(call);
    }

    /// Handles a session's events, and notes its next deadline.
    fn drain(&mut self, call: CallId) {
        let Some(media) = self.media.get_mut(&call) else { return };
        while let Some(event) = media.session.next_event() {
            self.phone.handle_media_event(call, &event);
            self.events.push_back(Event::Call { call, event: event.into() });
        }
        let wanted = media.session.next_deadline();
        if media.timer.map(|(_, at)| at) == wanted {
            return;
        }
        let old = media.timer.take().map(|(timer, _)| timer);
        media.timer = match (old, wanted) {
            (Some(timer), Some(at)) if self.timers.reset(timer, at) => Some((timer, at)),
            (old, wanted) => {
                old.map(|timer| self.timers.cancel(timer));
                wanted.map(|at| (self.timers.set(at, call), at))
            }
        };
    }

    fn forget(&mut self, call: CallId) {
        self.over.remove(&call);
        let Some(media) = self.media.remove(&call) else { return };
        if let Some((timer, _)) = media.timer {
            self.timers.cancel(timer);
        }
        for port in media.ports {
            self.ports.remove(&port);
        }
    }
}

impl Endpoint for Softphone {
    fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        let call = match inbound {
            Inbound::Media { port, .. } => self.ports.get(&port).copied(),
            _ => None,
        };
        match call.and_then(|call| Some((call, self.media.get_mut(&call)?))) {
            Some((call, media)) => {
                media.session.handle_inbound(host, inbound);
                self.drain(call);
            }
            // Before there is media, what comes to a pair is for who has asked from there.
            None => self.phone.handle_inbound(host, inbound),
        }
        self.run_to_rest(host);
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        let now = host.now();
        if self.phone.next_deadline().is_some_and(|at| at <= now) {
            self.phone.handle_deadline(host);
        }
        let due: Vec<CallId> =
            core::iter::from_fn(|| self.timers.pop_due(now)).map(|(_, call)| call).collect();
        for call in due {
            let Some(media) = self.media.get_mut(&call) else { continue };
            media.timer = None;
            media.session.handle_deadline(host);
            self.drain(call);
        }
        self.run_to_rest(host);
    }

    fn next_deadline(&self) -> Option<Instant> {
        [self.phone.next_deadline(), self.timers.next_deadline()].into_iter().flatten().min()
    }
}

impl core::fmt::Debug for Media {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Media").field("ports", &self.ports).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::CallState;
    use crate::sim::{NodeId, Simulation};
    use crate::time::Duration;

    fn softphone(sim: &mut Simulation, ip: [u8; 4], user: &str) -> NodeId<Softphone> {
        let mut parameters = PhoneParameters::without_server(user);
        parameters.media_timeout = Some(Duration::from_secs(5));
        let id = sim.add(ip, Softphone::new(parameters).unwrap());
        sim[id].phone_mut().start().unwrap();
        id
    }

    fn events(sim: &mut Simulation, id: NodeId<Softphone>) -> Vec<Event> {
        core::iter::from_fn(|| sim[id].next_event()).collect()
    }

    /// Two softphones in an answered call.
    fn answered() -> (Simulation, NodeId<Softphone>, CallId, NodeId<Softphone>, CallId) {
        let mut sim = Simulation::new(3);
        let alice = softphone(&mut sim, [10, 0, 0, 1], "alice");
        let bob = softphone(&mut sim, [10, 0, 0, 2], "bob");
        sim.run_for(Duration::from_millis(1));
        let calling = sim[alice].phone_mut().call("sip:bob@10.0.0.2", Default::default()).unwrap();
        sim.run_for(Duration::from_millis(100));
        let called = sim[bob].phone().calls().next().expect("it rings");
        sim[bob].phone_mut().answer(called).unwrap();
        sim.run_for(Duration::from_millis(100));
        assert_eq!(sim[alice].phone().state(calling), Some(CallState::Answered));
        (sim, alice, calling, bob, called)
    }

    #[test]
    fn sound_and_digits_flow_and_outlive_the_call_with_its_statistics() {
        let (mut sim, alice, calling, bob, called) = answered();
        sim[alice].media_mut(calling).unwrap().send_dtmf("19").unwrap();
        sim.run_for(Duration::from_secs(2));
        let digits = |event: &Event| match event {
            Event::Call { call, event: CallEvent::Dtmf { digit, .. } } if *call == called => {
                Some(*digit)
            }
            _ => None,
        };
        let heard = events(&mut sim, bob);
        assert_eq!(heard.iter().filter_map(digits).collect::<String>(), "19");
        let controls = |event: &&Event| matches!(event, Event::Media { .. });
        assert_eq!(heard.iter().filter(controls).count(), 0, "media is controlled within");
        assert_eq!(sim[bob].media_mut(called).unwrap().take_dtmf(Some(1)), "1");
        sim[bob].phone_mut().hangup(called).unwrap();
        sim.run_for(Duration::from_secs(1));
        let ending = |event| match event {
            Event::Call { event: CallEvent::Ended(ending), .. } => Some(ending),
            _ => None,
        };
        let theirs = core::iter::from_fn(|| sim[bob].next_event()).find_map(ending);
        let theirs = theirs.expect("it has ended");
        assert!(theirs.was_answered() && theirs.stats.received > 50, "{theirs:?}");
        assert_eq!(sim[bob].media_mut(called).expect("with Ended").take_dtmf(None), "9");
        assert_eq!(sim[bob].next_event(), None);
        assert!(sim[bob].media(called).is_none());
        let stats = sim[alice].stats(calling).expect("until Ended is taken");
        let info = sim[alice].info(calling).expect("likewise");
        assert_eq!((info.state, info.remote.as_str()), (CallState::Ended, "sip:bob@10.0.0.2"));
        assert!(stats.sent > 50 && stats.received > 50, "{stats:?}");
        let ending = events(&mut sim, alice).pop().and_then(ending).expect("it comes last");
        assert_eq!(ending.stats, stats);
        let setup = ending.setup.expect("it was answered").as_millis();
        assert!((100..=110).contains(&setup), "{setup} ms");
        let up = ending.duration.as_millis();
        assert!((2_090..=2_110).contains(&up), "{up} ms");
        assert!(sim[alice].stats(calling).is_none() && sim[alice].media(calling).is_none());
        assert_eq!(sim[alice].info(calling), None);
        assert_eq!(sim.media_ports(alice), 0);
        sim.run_for(Duration::from_secs(60));
        assert_eq!(sim[alice].next_deadline(), None, "nothing goes on");
        assert_eq!(sim[bob].next_deadline(), None);
    }

    #[test]
    fn a_peer_that_falls_silent_is_hung_up() {
        let (mut sim, alice, calling, bob, _) = answered();
        sim.kill(bob);
        sim.run_for(Duration::from_secs(60));
        let ended = events(&mut sim, alice).into_iter().find_map(|event| match event {
            Event::Call { call, event: CallEvent::Ended(ending) } => Some((call, ending.by)),
            _ => None,
        });
        assert_eq!(ended, Some((calling, crate::event::EndedBy::Timeout)));
    }
}
