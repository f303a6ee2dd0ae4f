//! A host on which nothing arrives, for feeding a machine by hand.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use offhook_core::codec::Codec;
use offhook_core::codec::PayloadFormat;
use offhook_core::host::{Clock, Datagrams, Entropy, Host, MediaPort, Outbound};
use offhook_core::internals::LocalMedia;
use offhook_core::media::{MediaControl, MediaOptions, MediaParameters, MediaTransport};
use offhook_core::rtp::MediaSession;
use offhook_core::sdp::{Agreed, Direction, TelephoneEvents};
use offhook_core::time::{Duration, Instant, WallTime};

use crate::random::Random;

/// Where the peer of [`media_session`] sends from.
pub const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 40_000);

/// The codecs of [`local_media`].
const CODECS: &[Codec] = &[Codec::Pcmu, Codec::Pcma, Codec::G722];

/// Time as it is told, random numbers from a fixed seed, and whatever is sent is lost.
pub struct IdleHost {
    now: Instant,
    random: Random,
}

impl Default for IdleHost {
    fn default() -> Self {
        Self { now: Instant::from_micros(1_000_000), random: Random::new(1) }
    }
}

impl IdleHost {
    /// Lets time pass.
    pub fn pass_millis(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }
}

impl Clock for IdleHost {
    fn now(&self) -> Instant {
        self.now
    }

    fn wall(&self) -> WallTime {
        WallTime::from_micros(1_767_225_600_000_000 + self.now.as_micros())
    }
}

impl Entropy for IdleHost {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.random.number() as u8);
    }
}

impl Datagrams for IdleHost {
    fn send(&mut self, _outbound: Outbound<'_>) {}
}

/// A session that talks PCMU, PCMA, G.722 and telephone-event with [`PEER`].
pub fn media_session(host: &mut dyn Host) -> MediaSession {
    let mut session = MediaSession::new();
    let (cname, options) = ("idle".to_owned(), MediaOptions::default());
    session.handle_control(host, MediaControl::Open { cname, options });
    let formats = [(0, Codec::Pcmu), (8, Codec::Pcma), (9, Codec::G722)]
        .map(|(payload_type, codec)| PayloadFormat::new(payload_type, codec));
    let mut agreed = Agreed::new(PEER, formats[0].clone());
    agreed.receive = formats.to_vec();
    agreed.telephone_event_send = Some(101);
    agreed.telephone_events = TelephoneEvents::DTMF;
    agreed.telephone_event_receive = Some(101);
    let transport = MediaTransport::Rtp { port: MediaPort(1) };
    let parameters = MediaParameters::new(transport, agreed);
    session.handle_control(host, MediaControl::Configure { stream: 0, parameters });
    session
}

/// What an endpoint here brings to an offer.
pub fn local_media() -> LocalMedia<'static> {
    LocalMedia {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        rtp_port: 30_000,
        rtcp_port: 30_001,
        codecs: CODECS,
        ptime: Duration::from_millis(20),
        direction: Direction::SendRecv,
        telephone_event: true,
    }
}
