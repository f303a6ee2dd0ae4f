//! Keeping the way from the server to us open (RFC 5626 §4.4), while we are registered on it.

use core::net::SocketAddr;
use std::sync::Arc;

use super::Phone;
use crate::agent::{ACCEPTED, Alarm, Context, Owner, Path, Series, SeriesStep};
use crate::host::{Entropy, Flow, Host, Outbound, Transport};
use crate::nat::{KeepAlive, Question, RTO, StunMessage};
use crate::registration::Registration;
use crate::sip::{HeaderName, Message, Method};
use crate::stream::PING;
use crate::time::{Duration, Instant};
use crate::timers::TimerId;
use crate::transaction::{ClientId, FailureCause};

/// How often, at most, unless it is configured: on a connection (RFC 5626 §4.4.1), and over UDP, where
/// many NATs forget after 30 s (§4.4.2).
const EVERY_ON_STREAMS: Duration = Duration::from_secs(120);
const EVERY_ON_UDP: Duration = Duration::from_secs(25);

/// How long the server may take to answer an empty line on a connection (§4.4.1).
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// The way that is kept open.
#[derive(Debug)]
pub(super) struct Kept {
    path: Arc<Path>,
    technique: Technique,
    /// An answer that has not come yet.
    awaited: Option<Awaited>,
    /// Whether the server has ever answered an empty line here.
    answers: bool,
    timer: Option<TimerId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Technique {
    Crlf,
    Stun,
    Options,
}

#[derive(Debug)]
enum Awaited {
    Pong,
    Binding(Question),
    Options(Box<Series>),
}

impl Phone {
    /// We are bound: sees to it that the way on which we are is kept open.
    pub(super) fn keep_open(&mut self, host: &mut dyn Host) {
        let path = self.registration.as_ref().and_then(Registration::path).cloned();
        let wanted = path.and_then(|path| Some((self.technique_for(&path)?, path)));
        let Some((technique, path)) = wanted else { return self.stop_keeping(host) };
        if let Some(kept) = &mut self.kept
            && (kept.technique, kept.path.flow, kept.path.to) == (technique, path.flow, path.to)
        {
            kept.path = path;
            return;
        }
        self.stop_keeping(host);
        self.kept = Some(Kept { path, technique, awaited: None, answers: false, timer: None });
        self.keep_later(host);
    }

    pub(super) fn stop_keeping(&mut self, host: &mut dyn Host) {
        let Some(kept) = self.kept.take() else { return };
        let cx = &mut Context { host, agent: &mut self.agent };
        kept.timer.into_iter().for_each(|timer| cx.cancel_timer(timer));
        if let Some(Awaited::Options(series)) = kept.awaited {
            series.close(cx);
        }
    }

    /// What is due: the next keep-alive, or the end of waiting for an answer.
    pub(super) fn handle_keep_alive(&mut self, host: &mut dyn Host) {
        let (now, must_answer) = (host.now(), self.must_answer());
        let Some(kept) = &mut self.kept else { return };
        kept.timer = None;
        let (flow, to) = (kept.path.flow, kept.path.to);
        match (&mut kept.awaited, kept.technique) {
            (Some(Awaited::Pong), _) if must_answer => self.lose_flow(host),
            (Some(Awaited::Pong), _) => self.keep_later(host),
            (Some(Awaited::Binding(question)), _) => match question.next(now) {
                Some(bytes) => {
                    let due = question.due();
                    host.send(Outbound::Datagram { flow, to, bytes: &bytes });
                    self.keep_at(due);
                }
                None => self.lose_flow(host),
            },
            // Its transaction times out by itself.
            (Some(Awaited::Options(_)), _) => {}
            (None, Technique::Crlf) if flow.transport.is_reliable() => {
                self.agent.connections.ping(host, flow);
                let Some(kept) = &mut self.kept else { return };
                kept.awaited = Some(Awaited::Pong);
                self.keep_at(now + PONG_WITHIN);
            }
            (None, Technique::Crlf) => {
                host.send(Outbound::Datagram { flow, to, bytes: PING });
                self.keep_later(host);
            }
            (None, Technique::Stun) => {
                kept.awaited = Some(Awaited::Binding(Question::new(host, to, RTO)));
                self.handle_keep_alive(host);
            }
            (None, Technique::Options) => self.ask_options(host),
        }
    }

    /// Takes the answer to an empty line on a connection.
    pub(super) fn handle_pong(&mut self, host: &mut dyn Host, flow: Flow) {
        if let Some(kept) = &mut self.kept
            && kept.path.flow == flow
            && matches!(kept.awaited, Some(Awaited::Pong))
        {
            kept.answers = true;
            self.keep_later(host);
        }
    }

    /// Whether an empty line without an answer means that the way is lost: who registers flows (RFC 5626
    /// §4.4.1), has answered before, or was chosen to be asked so answers. Others may never do.
    fn must_answer(&self) -> bool {
        let outbound = self.agent.binding.as_ref().is_some_and(|binding| binding.outbound);
        let answers = self.kept.as_ref().is_some_and(|kept| kept.answers);
        let chosen = self.agent.parameters.keep_alive != KeepAlive::Auto;
        outbound || answers || chosen
    }

    /// Takes a STUN message that came where SIP does. Questions are not answered: a phone is no server
    /// (RFC 5626 §4.4.2 and §5.4), and a request could name another's address as its own.
    pub(super) fn handle_stun(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        bytes: &[u8],
    ) {
        let Ok(message) = StunMessage::parse(bytes) else {
            self.agent.counters.malformed += 1;
            return;
        };
        if self.handle_mapping_answer(host, flow, from, &message) {
            return;
        }
        let answer = self.kept.as_ref().and_then(|kept| match &kept.awaited {
            Some(Awaited::Binding(question)) if kept.path.flow == flow => {
                question.answer(from, &message)
            }
            _ => None,
        });
        match answer {
            Some(Ok(mapped)) => {
                self.keep_later(host);
                // §4.4.2: another address is a flow that has failed; its registration is made anew.
                let change = self.agent.note_seen(flow, from, mapped);
                self.handle_address_change(host, change);
            }
            Some(Err(_)) => self.lose_flow(host),
            None => self.agent.counters.stray += 1,
        }
    }

    /// Takes a response to our OPTIONS: whatever it is, somebody is there.
    pub(super) fn keep_alive_response(
        &mut self,
        host: &mut dyn Host,
        client: ClientId,
        response: &Message,
    ) {
        let cx = &mut Context { host, agent: &mut self.agent };
        let Some(Kept { awaited: Some(Awaited::Options(series)), .. }) = &mut self.kept else {
            return;
        };
        match series.handle_response(cx, client, response) {
            Some(SeriesStep::Final(_)) => self.keep_later(host),
            // It has no time for us (503), and another server may.
            Some(SeriesStep::Again) => self.lose_flow(host),
            Some(SeriesStep::Wait) | None => {}
        }
    }

    /// Our OPTIONS has had no response.
    pub(super) fn keep_alive_failed(
        &mut self,
        host: &mut dyn Host,
        client: ClientId,
        cause: FailureCause,
    ) {
        let cx = &mut Context { host, agent: &mut self.agent };
        if let Some(Kept { awaited: Some(Awaited::Options(series)), .. }) = &mut self.kept
            && series.handle_failure(cx, client, cause).is_some()
        {
            self.lose_flow(host);
        }
    }

    /// A path to another server than that to which our OPTIONS went, which has failed.
    pub(super) fn keep_alive_leads_elsewhere(&mut self, host: &mut dyn Host) {
        if let Some(Kept { awaited: Some(Awaited::Options(_)), .. }) = self.kept {
            self.lose_flow(host);
        }
    }

    fn ask_options(&mut self, host: &mut dyn Host) {
        let Ok(Some(target)) = self.agent.registrar() else { return };
        let cx = &mut Context { host, agent: &mut self.agent };
        let Some(kept) = &mut self.kept else { return };
        let mut series = Series::new(cx, Owner::KeepAlive, Method::Options, target);
        series.set_path(Arc::clone(&kept.path));
        series.send(cx, vec![(HeaderName::Accept, ACCEPTED.to_owned())]);
        kept.awaited = Some(Awaited::Options(Box::new(series)));
    }

    /// The answer has come, or none is awaited: the next keep-alive is due in a while.
    fn keep_later(&mut self, host: &mut dyn Host) {
        let Some(kept) = &mut self.kept else { return };
        let cx = &mut Context { host, agent: &mut self.agent };
        if let Some(Awaited::Options(series)) = kept.awaited.take() {
            series.close(cx);
        }
        let usual = match kept.path.flow.transport {
            Transport::Udp => EVERY_ON_UDP,
            _ => EVERY_ON_STREAMS,
        };
        let asked = cx.agent.binding.as_ref().and_then(|binding| binding.flow_timer);
        let set = cx.agent.parameters.keep_alive_interval;
        // §4.4: never more seldom than the server wants it.
        let every = set.into_iter().chain(asked).min().unwrap_or(usual);
        let at = cx.now() + jittered(cx.host, every);
        self.keep_at(at);
    }

    fn keep_at(&mut self, at: Instant) {
        let Some(kept) = &mut self.kept else { return };
        if let Some(timer) = kept.timer.take() {
            self.agent.timers.cancel(timer);
        }
        kept.timer = Some(self.agent.timers.set(at, Alarm::KeepAlive));
    }

    /// The flow does not lead anywhere (RFC 5626 §4.4): a connection is closed and with it what is under
    /// way on it. Over UDP the way to others is sound, and only the server is turned away from.
    fn lose_flow(&mut self, host: &mut dyn Host) {
        let Some(path) = self.kept.as_ref().map(|kept| Arc::clone(&kept.path)) else { return };
        self.stop_keeping(host);
        let flow = path.flow;
        if flow.transport.is_reliable() {
            return self.agent.connections.close(host, flow);
        }
        let now = host.now();
        self.agent.avoid(&path, None, now);
        self.with_registration(host, |it, cx| it.handle_flow_lost(cx, flow));
    }

    fn technique_for(&self, path: &Path) -> Option<Technique> {
        let parameters = &self.agent.parameters;
        let reliable = path.flow.transport.is_reliable();
        let asked =
            self.agent.binding.as_ref().is_some_and(|b| b.outbound && b.flow_timer.is_some());
        match parameters.keep_alive {
            KeepAlive::Off => None,
            KeepAlive::Options => Some(Technique::Options),
            KeepAlive::Stun if !reliable => Some(Technique::Stun),
            KeepAlive::Crlf | KeepAlive::Stun => Some(Technique::Crlf),
            KeepAlive::Auto if reliable => Some(Technique::Crlf),
            KeepAlive::Auto if asked => Some(Technique::Stun),
            KeepAlive::Auto => self.agent.is_behind_nat(path).then_some(Technique::Crlf),
        }
    }
}

/// RFC 5626 §4.4.1: each time anew, up to a fifth less.
fn jittered<E: Entropy + ?Sized>(host: &mut E, most: Duration) -> Duration {
    let fifth = (most / 5).as_micros();
    most - Duration::from_micros(host.random() % fifth.max(1))
}
