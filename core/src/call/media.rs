//! The media of a call as signalling sees it: ports, offers and answers (RFC 3264, RFC 6337), and
//! the controls of the media machine that follow from them.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::body::Body;
use super::hold::Hold;
use super::queries;
use crate::agent::{Context, MediaPorts, Query, Response};
use crate::codec::Codec;
use crate::error::Error;
use crate::event::{CallEvent, CallId, Event, HoldBy};
use crate::host::MediaPort;
use crate::media::{MediaControl, MediaOptions, MediaParameters, MediaTransport};
use crate::sdp::{Agreed, Direction, LocalMedia, Negotiator, NotAcceptable, SessionDescription};

/// How many audio streams a call may have, each with a pair of ports: what a peer can make us bind.
pub(crate) const MAX_STREAMS: u8 = 4;

/// How many early dialogs of one call may be heard at a time; the answers of others are only noted.
const MAX_EARLY_MEDIA: usize = 4;

/// One call's media.
///
/// Each dialog of the call has a number, from 0: a call that forks has several until one of them
/// answers. They share the pairs of ports, since they answer the same offer, but each has streams of
/// its own, so a stream's number is its dialog's and its place in the description together.
#[derive(Debug)]
pub(crate) struct CallMedia {
    call: CallId,
    /// The pairs of ports, one for each stream of a description. They stay until the call ends: a
    /// stream that was removed may come back.
    ports: Vec<MediaPorts>,
    /// The pairs at our new address, while we move there.
    fresh: Option<Vec<MediaPorts>>,
    /// How many more pairs are asked of the host.
    asked: u8,
    /// An offer that waits for them.
    deferred: Option<Box<Query>>,
    /// For whom the ports are.
    peer: IpAddr,
    /// Our address as advertised to the peer.
    advertised: IpAddr,
    negotiator: Option<Box<Negotiator>>,
    /// What to offer and take instead of the phone's codecs.
    codecs: Option<Box<[Codec]>>,
    /// What we want.
    direction: Direction,
    /// The streams in use, by their numbers.
    live: Vec<Live>,
    /// The dialog whose answers hold.
    dialog: u8,
    /// Whether the media machine was opened.
    opened: bool,
    /// Whether the far end holds us.
    held: bool,
    pub(super) hold: Hold,
    /// Our RTCP canonical name: random, so that calls cannot be linked by it (RFC 7022 §4.2).
    cname: u64,
}

/// A stream in use.
#[derive(Debug)]
struct Live {
    number: u8,
    agreed: Agreed,
}

impl CallMedia {
    pub(crate) fn new(call: CallId, codecs: Option<Vec<Codec>>, direction: Direction) -> Self {
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            call,
            ports: Vec::new(),
            fresh: None,
            asked: 0,
            deferred: None,
            peer: nowhere,
            advertised: nowhere,
            negotiator: None,
            codecs: codecs.map(Vec::into_boxed_slice),
            direction,
            live: Vec::new(),
            dialog: 0,
            opened: false,
            held: false,
            hold: Hold::default(),
            cname: 0,
        }
    }

    /// Asks the host for pairs of ports toward `peer`, one for each of `streams`, one after another.
    pub(crate) fn bind(&mut self, cx: &mut Context<'_>, peer: IpAddr, streams: u8) {
        self.peer = peer;
        self.ask(cx, streams.clamp(1, MAX_STREAMS));
    }

    /// Asks for as many pairs at our new address as there are at the old one.
    pub(crate) fn rebind(&mut self, cx: &mut Context<'_>, peer: IpAddr) {
        self.peer = peer;
        for ports in self.fresh.replace(Vec::new()).into_iter().flatten() {
            cx.release_ports(ports.port);
        }
        self.ask(cx, u8::try_from(self.ports.len()).unwrap_or(MAX_STREAMS));
    }

    /// Whether pairs are asked for.
    pub(crate) fn is_binding(&self) -> bool {
        self.asked > 0
    }

    fn ask(&mut self, cx: &mut Context<'_>, pairs: u8) {
        self.asked = pairs;
        self.fresh.as_mut().unwrap_or(&mut self.ports).reserve_exact(pairs.into());
        cx.bind_ports(self.call, self.peer);
    }

    /// Takes a pair that the host has bound, or that there is none; returns whether no more is to
    /// come. With fewer pairs than streams, as many streams are taken as there are pairs.
    pub(crate) fn handle_ports(&mut self, cx: &mut Context<'_>, ports: Option<MediaPorts>) -> bool {
        match ports {
            // The call has ended meanwhile.
            Some(ports) if self.asked == 0 => cx.release_ports(ports.port),
            Some(ports) => {
                self.fresh.as_mut().unwrap_or(&mut self.ports).push(ports);
                self.asked -= 1;
            }
            None => self.asked = 0,
        }
        if self.asked > 0 {
            cx.bind_ports(self.call, self.peer);
        }
        self.asked == 0
    }

    /// Opens the negotiation, now that the ports are known.
    ///
    /// # Errors
    /// [`Error::NoPortsAvailable`] without any; [`Error::Nat`] when there is no address that the
    /// peer could learn of it.
    pub(crate) fn open(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        let Some(ports) = self.ports.first() else {
            let parameters = &cx.agent.parameters;
            let (low, high) = (parameters.rtp_port_low, parameters.rtp_port_high);
            return Err(Error::NoPortsAvailable { low, high });
        };
        self.advertised = cx.agent.advertised_of(self.peer, ports)?;
        self.negotiator = Some(Box::new(Negotiator::new(cx.host.random())));
        self.cname = cx.host.random();
        Ok(())
    }

    /// Opens the media machine's session, once the application knows of the call.
    pub(crate) fn open_session(&mut self, cx: &mut Context<'_>) {
        let cname = format!("{:016x}", self.cname);
        let options = MediaOptions {
            silence_timeout: cx.agent.parameters.media_timeout,
            symmetric_rtp: cx.agent.parameters.symmetric_rtp,
            ..MediaOptions::default()
        };
        self.control(cx, MediaControl::Open { cname, options });
        self.opened = true;
    }

    /// Goes on at the new pairs, with the same streams and sources: sound leaves from there at once,
    /// and the far end learns with the next offer where to send. Where there are fewer of them, and
    /// where the far end could not learn their address, the old ones have to do.
    pub(crate) fn move_to_new_ports(&mut self, cx: &mut Context<'_>) {
        let mut fresh = self.fresh.take().unwrap_or_default();
        if let Some(Ok(address)) = fresh.first().map(|it| cx.agent.advertised_of(self.peer, it)) {
            self.advertised = address;
        }
        let kept = self.ports.split_off(fresh.len().min(self.ports.len()));
        fresh.extend(kept);
        let left = core::mem::replace(&mut self.ports, fresh);
        for live in &self.live {
            let Some(ports) = self.ports.get(usize::from(live.agreed.stream)) else { continue };
            let parameters = parameters(ports.port, &live.agreed);
            self.control(cx, MediaControl::Configure { stream: live.number, parameters });
        }
        for MediaPorts { port, .. } in left {
            if self.opened {
                self.control(cx, MediaControl::Release { port });
            }
            cx.release_ports(port);
        }
    }

    /// How many streams an offer asks for, as far as they are taken.
    pub(crate) fn streams_in(&self, offer: &SessionDescription) -> u8 {
        let streams = match &self.negotiator {
            Some(negotiator) => negotiator.streams_in(offer),
            None => Negotiator::new(0).streams_in(offer),
        };
        u8::try_from(streams).unwrap_or(MAX_STREAMS).min(MAX_STREAMS)
    }

    /// Makes an offer.
    pub(crate) fn offer(&mut self, cx: &Context<'_>) -> Option<String> {
        let mut negotiator = self.negotiator.take()?;
        let mut locals = self.locals(cx);
        // A pair that no stream has come to use is no reason to offer one.
        if negotiator.streams() > 0 {
            locals.truncate(negotiator.streams());
        }
        negotiator.offer(&locals);
        let offer = negotiator.sent().map(str::to_owned);
        self.hold.offer();
        self.negotiator = Some(negotiator);
        offer
    }

    /// Answers an offer; what is agreed holds once [`configure`](Self::configure) is called.
    ///
    /// # Errors
    /// When nothing is common: 488.
    pub(crate) fn answer(
        &mut self,
        cx: &Context<'_>,
        offer: &SessionDescription,
    ) -> Result<(String, Vec<Agreed>), NotAcceptable> {
        let Some(mut negotiator) = self.negotiator.take() else {
            return Err(NotAcceptable::NoAudio);
        };
        let answered = negotiator.answer(offer, &self.locals(cx));
        let answer = negotiator.sent().unwrap_or_default().to_owned();
        self.negotiator = Some(negotiator);
        answered.map(|(_, agreed)| (answer, agreed))
    }

    /// Answers an offer of a 2xx: with what is agreed, or a refusal of each section when nothing is
    /// common.
    pub(crate) fn answer_2xx(
        &mut self,
        cx: &Context<'_>,
        offer: &SessionDescription,
    ) -> (String, Option<Vec<Agreed>>) {
        match self.answer(cx, offer) {
            Ok((answer, agreed)) => (answer, Some(agreed)),
            Err(_) => (decline(offer), None),
        }
    }

    /// The call goes to another peer, to which this address is advertised. The ports stay.
    pub(crate) fn retarget(&mut self, advertised: &str) {
        if let Ok(advertised) = advertised.parse::<SocketAddr>() {
            self.advertised = advertised.ip();
        }
    }

    /// What we bring to each stream.
    fn locals<'a>(&'a self, cx: &'a Context<'_>) -> Vec<LocalMedia<'a>> {
        let parameters = &cx.agent.parameters;
        let local = |ports: &MediaPorts| LocalMedia {
            address: self.advertised,
            rtp_port: self.advertised_ports(ports).0,
            rtcp_port: self.advertised_ports(ports).1,
            codecs: self.codecs.as_deref().unwrap_or(&parameters.codecs),
            ptime: parameters.ptime,
            direction: self.hold.direction(self.direction),
            telephone_event: true,
        };
        self.ports.iter().map(local).collect()
    }

    /// The ports of a pair as advertised to the peer: those of the public address, if that is advertised.
    fn advertised_ports(&self, ports: &MediaPorts) -> (u16, u16) {
        match ports.mapped {
            Some([rtp, rtcp]) if rtp.ip() == self.advertised => (rtp.port(), rtcp.port()),
            _ => (ports.rtp.port(), ports.rtcp.port()),
        }
    }

    /// The negotiation so far, for each early dialog of a fork to go on from.
    pub(crate) fn negotiator(&self) -> Option<&Negotiator> {
        self.negotiator.as_deref()
    }

    /// Goes on with the negotiation of one early dialog.
    pub(crate) fn set_negotiator(&mut self, negotiator: Negotiator) {
        self.negotiator = Some(Box::new(negotiator));
    }

    /// Takes the answer to our offer: whether it changed anything; `None` when it is none that can be
    /// used.
    pub(crate) fn accept(
        &mut self,
        cx: &mut Context<'_>,
        answer: &SessionDescription,
    ) -> Option<bool> {
        let agreed = self.negotiator.as_mut()?.accept(answer).ok()?;
        let changed = self.configure(cx, &agreed);
        self.hold.accept(cx, self.call);
        Some(changed)
    }

    /// Whether an offer of ours waits for its answer.
    pub(crate) fn is_offering(&self) -> bool {
        self.negotiator.as_ref().is_some_and(|negotiator| negotiator.is_offering())
    }

    /// No further answer to our offer can come: it need not be kept.
    pub(crate) fn forget_offer(&mut self) {
        if !self.is_offering() {
            self.withdraw();
        }
    }

    /// Our offer came to nothing; what was agreed before stays.
    pub(crate) fn withdraw(&mut self) {
        if let Some(negotiator) = &mut self.negotiator {
            negotiator.withdraw();
        }
    }

    /// Tells the media machine what the dialog of the call agreed, and the application when that is
    /// a hold. Returns whether anything changed.
    pub(crate) fn configure(&mut self, cx: &mut Context<'_>, agreed: &[Agreed]) -> bool {
        self.configure_dialog(cx, self.dialog, agreed)
    }

    /// Tells the media machine what an early dialog agreed: its sound is mixed with that of the
    /// others.
    pub(crate) fn configure_early(&mut self, cx: &mut Context<'_>, dialog: u8, agreed: &[Agreed]) {
        let mut others: Vec<u8> = self.live.iter().map(Live::dialog).collect();
        others.retain(|other| *other != dialog);
        others.dedup();
        if others.len() < MAX_EARLY_MEDIA {
            self.configure_dialog(cx, dialog, agreed);
        }
    }

    /// An early dialog is over.
    pub(crate) fn drop_early(&mut self, cx: &mut Context<'_>, dialog: u8) {
        self.retain(cx, |live| live.dialog() != dialog);
    }

    /// One dialog has become the call: the streams of all others are over.
    pub(crate) fn choose_dialog(&mut self, cx: &mut Context<'_>, dialog: u8) {
        self.dialog = dialog;
        self.retain(cx, |live| live.dialog() == dialog);
    }

    fn configure_dialog(&mut self, cx: &mut Context<'_>, dialog: u8, agreed: &[Agreed]) -> bool {
        let streams = self.live.len();
        let number = |agreed: &Agreed| dialog * MAX_STREAMS + agreed.stream;
        self.retain(cx, |live| {
            live.dialog() != dialog || agreed.iter().any(|agreed| number(agreed) == live.number)
        });
        let mut changed = self.live.len() != streams;
        for agreed in agreed {
            let number = number(agreed);
            let Some(ports) = self.ports.get(usize::from(agreed.stream)) else { continue };
            let port = ports.port;
            match self.live.binary_search_by_key(&number, |live| live.number) {
                Ok(index) => match self.live.get_mut(index) {
                    Some(live) if live.agreed != *agreed => live.agreed = agreed.clone(),
                    _ => continue,
                },
                Err(index) => {
                    self.live.reserve_exact(1);
                    self.live.insert(index, Live { number, agreed: agreed.clone() });
                }
            }
            let parameters = parameters(port, agreed);
            self.control(cx, MediaControl::Configure { stream: number, parameters });
            changed = true;
        }
        // RFC 3264 §8.4: who is held may not send, though it would.
        let mut live = self.live.iter().map(|live| live.agreed.direction).peekable();
        if live.peek().is_some() {
            let held = self.direction.sends() && !live.any(Direction::sends);
            if held != self.held {
                self.held = held;
                cx.emit_call(self.call, CallEvent::Hold { by: HoldBy::Remote, held });
            }
        }
        changed
    }

    /// Ends the streams that are not to be kept.
    fn retain(&mut self, cx: &mut Context<'_>, keep: impl Fn(&Live) -> bool) {
        let call = self.call;
        self.live.retain(|live| {
            let kept = keep(live);
            if !kept {
                let control = MediaControl::Remove { stream: live.number };
                cx.emit(Event::Media { call, control });
            }
            kept
        });
    }

    fn control(&self, cx: &mut Context<'_>, control: MediaControl) {
        cx.emit(Event::Media { call: self.call, control });
    }

    /// Ends it: media says goodbye, and the ports go back.
    pub(crate) fn close(&mut self, cx: &mut Context<'_>) {
        self.live = Vec::new();
        if core::mem::take(&mut self.opened) {
            self.control(cx, MediaControl::Close);
        }
        let fresh = self.fresh.take().unwrap_or_default();
        for ports in core::mem::take(&mut self.ports).into_iter().chain(fresh) {
            cx.release_ports(ports.port);
        }
        self.asked = 0;
        // RFC 3261 §15.1.2: a request that waits is answered all the same.
        if let Some(query) = self.deferred.take() {
            cx.respond(&query, Response::new(487));
        }
        self.negotiator = None;
    }

    /// How many streams are in use.
    pub(crate) fn streams(&self) -> usize {
        self.live.len()
    }

    /// The codec that we send, on the first of them.
    pub(crate) fn codec(&self) -> Option<Codec> {
        self.live.first().map(|live| live.agreed.send.codec)
    }

    /// Which way audio may flow, from us.
    pub(crate) fn direction(&self) -> Option<Direction> {
        self.live.first().map(|live| live.agreed.direction)
    }

    /// Whether the far end holds us.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Whether an offer within the dialog has to wait: for pairs of ports, when it brings streams
    /// that have none yet. It is taken up again when they have come, or there are none.
    pub(crate) fn defer(&mut self, cx: &mut Context<'_>, query: &Query, body: &Body) -> bool {
        if self.deferred.is_some() || (self.is_binding() && matches!(body, Body::Session(_))) {
            // §14.2: one at a time.
            queries::later(cx, query);
            return true;
        }
        let Body::Session(offer) = body else { return false };
        let missing = usize::from(self.streams_in(offer)).saturating_sub(self.ports.len());
        if missing == 0 || self.is_offering() {
            return false;
        }
        self.deferred = Some(Box::new(query.clone()));
        self.ask(cx, missing as u8);
        true
    }

    /// The offer that has waited for ports, once.
    pub(crate) fn take_deferred(&mut self) -> Option<Box<Query>> {
        self.deferred.take()
    }

    /// Whether an offer of the far end waits for ports.
    pub(crate) fn is_deferring(&self) -> bool {
        self.deferred.is_some()
    }
}

fn parameters(port: MediaPort, agreed: &Agreed) -> MediaParameters {
    MediaParameters { transport: MediaTransport::Rtp { port }, agreed: agreed.clone() }
}

/// The answer that takes nothing of an offer.
pub(super) fn decline(offer: &SessionDescription) -> String {
    Negotiator::new(0).decline(offer).to_string()
}

impl Live {
    fn dialog(&self) -> u8 {
        self.number / MAX_STREAMS
    }
}
