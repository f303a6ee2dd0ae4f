//! Connections: what comes on them, and what ends with them.
//!
//! A path leads to a flow ([`super::paths`]); here is what a flow that is a connection means beyond
//! that. `stream` cuts what comes on it into messages.

use super::{Agent, Path};
use crate::host::{Flow, Host};

/// Of how many lost connections to the server the requests are still answered.
const MAX_LOST: usize = 4;

impl Agent {
    /// Closes what has taken too long, and what is idle and leads neither to the server nor to anybody
    /// in a call.
    pub(crate) fn close_stale_flows(
        &mut self,
        host: &mut dyn Host,
        in_a_call: impl Fn(Flow) -> bool,
    ) {
        let paths = &self.paths;
        self.connections
            .handle_deadline(host, |flow, _| paths.lead_home_on(flow) || in_a_call(flow));
    }

    /// A connection is over: transactions on it fail (RFC 3261 §17.1.4, §18.4), and the next request
    /// opens a new one.
    pub(crate) fn flow_closed(&mut self, host: &mut dyn Host, flow: Flow) {
        if self.paths.lead_home_on(flow) {
            self.lost_home.truncate(MAX_LOST - 1);
            self.lost_home.insert(0, flow);
        }
        self.forget_paths(flow);
        self.fall_back_to_udp(host, flow);
        if let Some(transactions) = &mut self.transactions {
            transactions.handle_flow_closed(host, flow);
        }
    }

    /// We are registered along this path: what the server has asked on connections that are over is
    /// answered there.
    pub(crate) fn resume_flows(&mut self, host: &mut dyn Host, path: &Path) {
        let lost = core::mem::take(&mut self.lost_home);
        if let Some(transactions) = self.transactions.as_mut().filter(|_| path.is_connection()) {
            for over in lost {
                transactions.reroute_answers(host, over, path.flow, path.to);
            }
        }
    }
}
