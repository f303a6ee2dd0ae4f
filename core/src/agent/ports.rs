//! Media ports: asked of the host before an offer or an answer, given back when media has had the
//! time to say goodbye.

use core::net::{IpAddr, SocketAddr};

use super::seeking::HOST_TIMEOUT;
use super::{Agent, Alarm, Context};
use crate::event::CallId;
use crate::host::{Host, MediaPort, Outbound, RequestId};
use crate::map::Map;
use crate::time::Duration;
use crate::timers::TimerId;

/// A pair of ports that the host has bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MediaPorts {
    /// Its number.
    pub(crate) port: MediaPort,
    /// Where the peer sends RTP, as far as the host knows.
    pub(crate) rtp: SocketAddr,
    /// Where the peer sends RTCP.
    pub(crate) rtcp: SocketAddr,
    /// What both are on the outside of a NAT, if a STUN server has said so.
    pub(crate) mapped: Option<[SocketAddr; 2]>,
}

/// How long a pair stays bound after its call, so that RTCP BYE (RFC 3550 §6.6) leaves from it.
const RELEASE_AFTER: Duration = Duration::from_millis(100);

/// The pairs that were asked for, and those that go back soon.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    asked: Map<RequestId, (CallId, TimerId)>,
    leaving: Map<MediaPort, TimerId>,
}

impl Context<'_> {
    /// Asks for a pair toward `peer`. The call gets the result later.
    pub(crate) fn bind_ports(&mut self, call: CallId, peer: IpAddr) -> RequestId {
        let id = self.agent.next_request();
        let timer = self.set_timer(HOST_TIMEOUT, Alarm::Bind(id));
        self.agent.ports.asked.insert(id, (call, timer));
        let parameters = &self.agent.parameters;
        let (low, high) = (parameters.rtp_port_low, parameters.rtp_port_high);
        self.host.send(Outbound::BindMedia { id, toward: peer, low, high });
        id
    }

    /// Gives a pair back, soon.
    pub(crate) fn release_ports(&mut self, port: MediaPort) {
        let timer = self.set_timer(RELEASE_AFTER, Alarm::Release(port));
        self.agent.ports.leaving.insert(port, timer);
    }
}

impl Agent {
    /// Whose request the host has answered; `None` when its owner has given up.
    pub(crate) fn take_bind(&mut self, id: RequestId) -> Option<CallId> {
        let (call, timer) = self.ports.asked.remove(&id)?;
        self.timers.cancel(timer);
        Some(call)
    }

    /// Gives a pair back now.
    pub(crate) fn release_now(&mut self, host: &mut dyn Host, port: MediaPort) {
        if let Some(timer) = self.ports.leaving.remove(&port) {
            self.timers.cancel(timer);
        }
        host.send(Outbound::ReleaseMedia { port });
    }

    /// Whether pairs wait to be given back.
    pub(crate) fn has_leaving_ports(&self) -> bool {
        !self.ports.leaving.is_empty()
    }

    /// Gives back every pair that is about to leave, and forgets those that were asked for.
    pub(super) fn close_ports(&mut self, host: &mut dyn Host) {
        let ports = core::mem::take(&mut self.ports);
        for port in ports.leaving.keys().copied() {
            host.send(Outbound::ReleaseMedia { port });
        }
    }
}
