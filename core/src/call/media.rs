//! The media of a call as signalling sees it: ports, offers and answers (RFC 3264, RFC 6337), and
//! what the media machine is told of them.

use core::net::IpAddr;

use super::queries;
use crate::agent::{Crossing, MediaPorts};
use crate::codec::Codec;
use crate::error::Error;
use crate::event::{CallId, Event, MediaControl, MediaParameters};
use crate::sdp::{Agreed, Direction, LocalMedia, Negotiator, NotAcceptable, SessionDescription};
use crate::sip::{HeaderName, Message};

/// One call's media.
#[derive(Debug)]
pub(crate) struct CallMedia {
    call: CallId,
    /// The ports, and the address that the peer is told.
    ports: Option<(MediaPorts, IpAddr)>,
    negotiator: Option<Box<Negotiator>>,
    /// What to offer and take instead of the phone's codecs.
    codecs: Option<Box<[Codec]>>,
    /// What we want.
    direction: Direction,
    agreed: Option<Box<Agreed>>,
    /// Whether the media machine was ever told anything.
    opened: bool,
    held: bool,
    /// Our RTCP canonical name: random, so that calls cannot be linked by it (RFC 7022 §4.2).
    cname: u64,
}

/// What a body says that ought to hold a session description.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Body {
    /// There is none.
    None,
    /// A description.
    Session(Box<SessionDescription>),
    /// One that cannot be read: 400.
    Malformed,
    /// Something else that must be understood: 415 (RFC 3261 §8.2.3).
    Unsupported,
}

impl Body {
    /// Looks at a message's body.
    pub(crate) fn of(message: &Message) -> Self {
        if message.body().is_empty() {
            return Self::None;
        }
        if queries::is_plain(message) && message.has_body("application", "sdp") {
            return match SessionDescription::parse(message.body()) {
                Ok(description) => Self::Session(Box::new(description)),
                Err(_) => Self::Malformed,
            };
        }
        // §8.2.3: a body whose handling is optional may be ignored.
        let disposition = message.header(HeaderName::ContentDisposition).unwrap_or_default();
        match disposition.to_ascii_lowercase().contains("handling=optional") {
            true => Self::None,
            false => Self::Unsupported,
        }
    }
}

impl CallMedia {
    pub(crate) fn new(call: CallId, codecs: Option<Vec<Codec>>, direction: Direction) -> Self {
        let codecs = codecs.map(Vec::into_boxed_slice);
        Self {
            call,
            ports: None,
            negotiator: None,
            codecs,
            direction,
            agreed: None,
            opened: false,
            held: false,
            cname: 0,
        }
    }

    /// Takes the ports that the host has bound, toward `peer`.
    ///
    /// # Errors
    /// [`Error::Nat`] when there is no address that the peer could be told.
    pub(crate) fn set_ports(
        &mut self,
        cx: &mut Crossing<'_>,
        ports: MediaPorts,
        peer: IpAddr,
    ) -> Result<(), Error> {
        // The pair is ours from now on, also to give back.
        self.ports = Some((ports, ports.rtp.ip()));
        let told = cx.agent.told(peer, ports.rtp.ip())?;
        // A name is for Contact; a connection line wants the address behind it.
        let told = told.parse().unwrap_or(ports.rtp.ip());
        self.ports = Some((ports, told));
        self.negotiator = Some(Box::new(Negotiator::new(cx.host.random())));
        self.cname = cx.host.random();
        Ok(())
    }

    /// Makes an offer.
    pub(crate) fn offer(&mut self, cx: &Crossing<'_>) -> Option<String> {
        let local = local(self.ports?, self.codecs.as_deref(), self.direction, cx);
        Some(self.negotiator.as_mut()?.offer(&[local]).to_string())
    }

    /// Answers an offer; what is agreed holds once [`configure`](Self::configure) is called.
    ///
    /// # Errors
    /// When nothing is common: 488.
    pub(crate) fn answer(
        &mut self,
        cx: &Crossing<'_>,
        offer: &SessionDescription,
    ) -> Result<(String, Vec<Agreed>), NotAcceptable> {
        let (Some(ports), Some(negotiator)) = (self.ports, self.negotiator.as_mut()) else {
            return Err(NotAcceptable::NoAudio);
        };
        let local = local(ports, self.codecs.as_deref(), self.direction, cx);
        let (answer, agreed) = negotiator.answer(offer, &[local])?;
        Ok((answer.to_string(), agreed))
    }

    /// The negotiation so far, for each early dialog of a fork to go on from.
    pub(crate) fn negotiator(&self) -> Option<&Negotiator> {
        self.negotiator.as_deref()
    }

    /// Goes on with the negotiation of one early dialog.
    pub(crate) fn set_negotiator(&mut self, negotiator: Negotiator) {
        self.negotiator = Some(Box::new(negotiator));
    }

    /// Takes the answer to our offer. False when it is none that can be used.
    pub(crate) fn accept(&mut self, cx: &mut Crossing<'_>, answer: &SessionDescription) -> bool {
        let agreed = self.negotiator.as_mut().map(|negotiator| negotiator.accept(answer));
        match agreed {
            Some(Ok(agreed)) => {
                self.configure(cx, &agreed);
                true
            }
            _ => false,
        }
    }

    /// Whether an offer of ours waits for its answer.
    pub(crate) fn is_offering(&self) -> bool {
        self.negotiator.as_ref().is_some_and(|negotiator| negotiator.is_offering())
    }

    /// No further answer to our offer can come: it need not be kept.
    pub(crate) fn settle(&mut self) {
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

    /// Tells the media machine what was agreed, and the application when that is a hold.
    pub(crate) fn configure(&mut self, cx: &mut Crossing<'_>, agreed: &[Agreed]) {
        let Some((ports, _)) = self.ports else { return };
        let call = self.call;
        let Some(agreed) = agreed.first() else {
            if let Some(old) = self.agreed.take() {
                let control = MediaControl::Remove { stream: old.stream };
                cx.tell(Event::Media { call, control });
            }
            return;
        };
        if self.agreed.as_deref() == Some(agreed) {
            return;
        }
        let parameters = MediaParameters {
            port: ports.port,
            remote_rtp: agreed.remote_rtp,
            remote_rtcp: agreed.remote_rtcp,
            direction: agreed.direction,
            send: agreed.send,
            receive: agreed.receive.clone(),
            telephone_event_send: agreed.telephone_event_send,
            telephone_event_receive: agreed.telephone_event_receive,
            ptime: agreed.ptime,
            cname: format!("{:016x}", self.cname),
        };
        self.opened = true;
        let control = MediaControl::Configure { stream: agreed.stream, parameters };
        cx.tell(Event::Media { call, control });
        // RFC 3264 §8.4: who is held may not send, though it would.
        let held = self.direction.sends() && !agreed.direction.sends();
        if held != self.held {
            self.held = held;
            cx.tell(Event::Hold { call, held });
        }
        self.agreed = Some(Box::new(agreed.clone()));
    }

    /// Ends it: media says goodbye, and the ports go back.
    pub(crate) fn close(&mut self, cx: &mut Crossing<'_>) {
        self.agreed = None;
        if core::mem::take(&mut self.opened) {
            cx.tell(Event::Media { call: self.call, control: MediaControl::Close });
        }
        if let Some((ports, _)) = self.ports.take() {
            cx.release_ports(ports.port);
        }
        self.negotiator = None;
    }

    /// The codec that we send.
    pub(crate) fn codec(&self) -> Option<Codec> {
        self.agreed.as_ref().map(|agreed| agreed.send.codec)
    }

    /// Which way audio may flow, from us.
    pub(crate) fn direction(&self) -> Option<Direction> {
        self.agreed.as_ref().map(|agreed| agreed.direction)
    }

    /// Whether the far end holds us.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }
}

fn local<'a>(
    (ports, address): (MediaPorts, IpAddr),
    codecs: Option<&'a [Codec]>,
    direction: Direction,
    cx: &'a Crossing<'_>,
) -> LocalMedia<'a> {
    let parameters = &cx.agent.parameters;
    LocalMedia {
        address,
        rtp_port: ports.rtp.port(),
        rtcp_port: ports.rtcp.port(),
        codecs: codecs.unwrap_or(&parameters.codecs),
        ptime: parameters.ptime,
        direction,
        telephone_event: true,
    }
}
