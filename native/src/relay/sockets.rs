//! Media ports of the relay, which takes each packet when it comes.

use std::io;

use offhook_core::host::Channel;
use tokio::net::UdpSocket;

use crate::host::media::MediaSockets;

/// Two bound sockets that are watched, for a host that takes each packet when it comes.
#[derive(Debug)]
pub(super) struct WatchedSockets {
    pub(super) sockets: MediaSockets,
    /// The same sockets once more, as the runtime knows them.
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

impl WatchedSockets {
    /// # Errors
    /// When there is no descriptor left.
    pub(super) fn new(sockets: MediaSockets) -> io::Result<Self> {
        let watch = |channel| UdpSocket::from_std(sockets.socket(channel).try_clone()?);
        let (rtp, rtcp) = (watch(Channel::Rtp)?, watch(Channel::Rtcp)?);
        Ok(Self { sockets, rtp, rtcp })
    }

    /// The socket of `channel`.
    pub(super) fn socket(&self, channel: Channel) -> &UdpSocket {
        match channel {
            Channel::Rtp => &self.rtp,
            Channel::Rtcp => &self.rtcp,
        }
    }
}
