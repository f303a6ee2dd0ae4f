//! How the packets of a stream leave, as [`MediaTransport`] says.

use core::net::SocketAddr;

use crate::host::{Channel, Host, MediaPort, Outbound};
use crate::media::MediaTransport;

/// The transport of one stream.
#[derive(Debug)]
pub(crate) struct Transport {
    parameters: MediaTransport,
}

impl Transport {
    pub(crate) fn new(parameters: MediaTransport) -> Self {
        Self { parameters }
    }

    /// Signalling has agreed anew.
    pub(crate) fn configure(&mut self, parameters: MediaTransport) {
        self.parameters = parameters;
    }

    /// The local pair of ports.
    pub(crate) fn port(&self) -> MediaPort {
        self.parameters.port()
    }

    /// Sends an RTP or RTCP packet.
    pub(crate) fn send(
        &self,
        host: &mut dyn Host,
        channel: Channel,
        to: SocketAddr,
        packet: &[u8],
    ) {
        match self.parameters {
            MediaTransport::Rtp { port } => {
                host.send(Outbound::Media { port, channel, to, bytes: packet });
            }
        }
    }
}
