//! What a session's host brings.

use super::{Capsule, Problem, Session, Subject, Wait};
use crate::host::{FlowFailure, Host, Inbound, Outbound, RecordSet};

impl Session {
    /// Handles what the host brings.
    pub fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        match inbound {
            Inbound::Media { port, channel, from, bytes } => match self.flows.of_port(port) {
                Some(flow) => self.datagram_came(flow, from, bytes),
                None => self.media_came(host, port, channel, from, bytes),
            },
            Inbound::Stream { flow, bytes, .. } => self.stream_came(host, flow, bytes),
            Inbound::FlowClosed { flow } => self.connection_closed(flow),
            Inbound::MediaBound { id, port, rtp, rtcp } => {
                let [rtp, rtcp] = [rtp, rtcp].map(|own| self.policy.advertised(own));
                let kept = match self.waiting.remove(&id) {
                    Some(Wait::Pair(pair)) => self.bound(pair, port, rtp, rtcp),
                    Some(Wait::Flow(flow)) => self.opened_port(flow, port, rtp),
                    _ => false,
                };
                if !kept {
                    host.send(Outbound::ReleaseMedia { port });
                }
            }
            Inbound::MediaUnavailable { id } => match self.waiting.remove(&id) {
                Some(Wait::Pair(pair)) if self.pairs.forget(pair) => {
                    self.refuse(Subject::Pair, pair, Problem::NoPort, "", "");
                }
                Some(Wait::Flow(flow)) => self.flow_failed(flow, Problem::NoPort, ""),
                _ => {}
            },
            Inbound::FlowOpened { id, flow, local, certificate } => {
                let kept = match self.waiting.remove(&id) {
                    Some(Wait::Flow(number)) => {
                        self.opened_connection(number, flow, local, certificate)
                    }
                    _ => false,
                };
                if !kept {
                    host.send(Outbound::CloseFlow { flow });
                }
            }
            Inbound::FlowFailed { id, failure } => {
                if let Some(Wait::Flow(flow)) = self.waiting.remove(&id) {
                    let (problem, text) = match failure {
                        FlowFailure::Unreachable(text) => (Problem::Unreachable, text),
                        FlowFailure::Untrusted(text) => (Problem::Untrusted, text),
                        FlowFailure::Unsupported => (Problem::Unsupported, ""),
                    };
                    self.flow_failed(flow, problem, text);
                }
            }
            Inbound::Resolved { id, records, ttl } => {
                if let Some(Wait::Lookup(lookup, basis)) = self.waiting.remove(&id) {
                    let mut found = RecordSet::from(records);
                    self.names.learn(&self.policy, basis, &mut found);
                    self.link.control(&Capsule::Resolved { lookup, ttl, found });
                }
            }
            Inbound::ResolveFailed { id, problem } => {
                if let Some(Wait::Lookup(lookup, _)) = self.waiting.remove(&id) {
                    self.refuse(Subject::Lookup, lookup, Problem::Name, problem, "");
                }
            }
            _ => {}
        }
        self.check_link(host);
    }
}
