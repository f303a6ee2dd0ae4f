//! The caller's INVITE, up to its final response (RFC 3261 §13.2, §9.1).

mod calling;
mod early;

use std::sync::Arc;

use calling::Calling;

use super::common::Common;
use super::redirection::Redirection;
use super::{Call, CallOptions, EndReason, Step};
use crate::agent::{
    ACCEPTED, ALLOWED, Attempt, CallAlarm, Context, Lost, Path, Reach, Request, SUPPORTED, Target,
};
use crate::error::Error;
use crate::event::{CallState, EndedBy};
use crate::host::Flow;
use crate::sip::{HeaderName, Message, Method, Reason};
use crate::transaction::{ClientId, FailureCause};

/// A call that we place.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// To, which stays the same through redirections.
    to: Box<str>,
    target: Target,
    redirection: Redirection,
    /// Whether the offer is left to the callee.
    late_offer: bool,
    /// Header fields of the application.
    headers: Vec<(String, String)>,
    /// How many audio streams to offer.
    streams: u8,
    state: State,
}

/// ```text
///   place ─► Seeking ── path ──► Binding ── ports ──► Calling ── 2xx ──► (session)
///               │                   │                  │ ▲ │
///               │ none, withdrawn   │                  │ └─┘ 1xx, a challenge
///               ▼                   ▼                  ▼
///            (over) ◄───────────────┴──────────────────┘ 4xx to 6xx, nothing in time
/// ```
/// A 3xx names other targets; each that fails leads to the next, with the same ports (§8.1.3.4).
///
/// A call that is withdrawn stays Calling until its final response: before a provisional response
/// CANCEL must not be sent (§9.1), and a 2xx that crosses it has to be acknowledged and hung up.
#[derive(Debug)]
enum State {
    Seeking,
    Binding(Arc<Path>),
    Calling(Box<Calling>),
}

/// Over how many further connections a call is placed when one has ended.
const MAX_LOSSES: u8 = 3;

impl Call {
    /// Begins a call of ours.
    pub(crate) fn place(&mut self, cx: &mut Context<'_>) {
        self.common.note_began(cx);
        self.in_outgoing(cx, Outgoing::place);
    }

    /// Gives it up at the application's wish.
    pub(crate) fn cancel(&mut self, cx: &mut Context<'_>, reasons: Vec<Reason>) {
        let ending = EndReason::local(reasons);
        self.in_outgoing(cx, |outgoing, call, cx| outgoing.withdraw(call, cx, ending));
    }
}

impl Outgoing {
    pub(super) fn new(target: Target, options: CallOptions) -> Self {
        let CallOptions { headers, streams, late_offer, max_redirects, .. } = options;
        let max_redirects = max_redirects.unwrap_or_default();
        let (to, redirection) = (target.to().into(), Redirection::new(&target, max_redirects));
        Self { to, target, redirection, late_offer, headers, streams, state: State::Seeking }
    }

    /// Whether it goes by that connection.
    pub(super) fn uses(&self, flow: Flow) -> bool {
        match &self.state {
            State::Seeking => false,
            State::Binding(path) => path.flow == flow,
            State::Calling(calling) => calling.path.flow == flow,
        }
    }

    /// Begins.
    fn place(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        call.call_id = cx.new_call_id().into();
        match cx.reach(&self.target.hop, call.owner()) {
            Reach::Open(path) => self.handle_path(call, cx, Ok(path)),
            Reach::Later => Step::Stay,
            Reach::Never(lost) => Step::End(lost.into()),
        }
    }

    /// Gives it up: at once while nothing was sent, else as §9.1 allows.
    pub(super) fn withdraw(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        ending: EndReason,
    ) -> Step {
        let State::Calling(calling) = &mut self.state else { return Step::End(ending) };
        if calling.seeking.is_some() && !calling.heard {
            return Step::End(ending);
        }
        calling.withdrawal.get_or_insert(ending);
        calling.cancel_if_heard(cx);
        call.set_state(cx, CallState::Canceling, None);
        Step::Stay
    }

    /// Takes the path to the target.
    pub(super) fn handle_path(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        path: Result<Arc<Path>, Lost>,
    ) -> Step {
        let path = match path {
            Ok(path) => path,
            Err(lost) => return self.try_next_target(call, cx, lost.into()),
        };
        match &mut self.state {
            State::Seeking => {
                call.media.bind(cx, path.to.ip(), self.streams);
                self.state = State::Binding(path);
            }
            State::Calling(calling) if calling.tried.contains(&path.server()) => {
                if let Some(ending) = calling.seeking.take() {
                    return self.try_next_target(call, cx, ending);
                }
            }
            State::Calling(calling) if calling.seeking.is_some() => {
                calling.path = path;
                if let Some(ending) = calling.withdrawal.take() {
                    cx.cancel_invite_by(&calling.path, &calling.attempt, &ending.reasons);
                    return Step::End(ending);
                }
                match calling.moved {
                    true if call.media.is_binding() => {}
                    true => call.media.rebind(cx, calling.path.to.ip()),
                    false => {
                        call.media.retarget(&calling.path.advertised);
                        self.invite_anew(call, cx);
                    }
                }
            }
            _ => {}
        }
        Step::Stay
    }

    /// The network has changed, and no answer to the INVITE would find us: it is withdrawn, and sent
    /// once more from the new one.
    pub(super) fn handle_network_change(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
    ) -> Step {
        let State::Calling(calling) = &mut self.state else { return Step::Stay };
        if calling.withdrawal.is_some() {
            return Step::Stay;
        }
        calling.moved = true;
        calling.tried.clear();
        match calling.seeking.is_none() {
            true => self.place_again(call, cx, "the network has changed"),
            false => Step::Stay,
        }
    }

    /// The connection to where the INVITE went is over. Neither its answer nor what else is needed can
    /// come, so it is sent once more over another.
    pub(super) fn handle_flow_lost(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        flow: Flow,
    ) -> Step {
        let State::Calling(calling) = &mut self.state else { return Step::Stay };
        if calling.path.flow != flow || calling.seeking.is_some() {
            return Step::Stay;
        }
        calling.losses += 1;
        let problem = "the connection to it was lost";
        match calling.losses > MAX_LOSSES {
            true => {
                let ending = calling.withdrawal.take();
                Step::End(ending.unwrap_or_else(|| unreachable(&self.target, problem)))
            }
            false => self.place_again(call, cx, problem),
        }
    }

    /// Takes the ports for media.
    pub(super) fn handle_ports(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        let path = match &self.state {
            State::Binding(path) => Arc::clone(path),
            State::Calling(calling) if calling.moved => {
                call.media.move_to_new_ports(cx);
                self.invite_anew(call, cx);
                return Step::Stay;
            }
            _ => return Step::Stay,
        };
        if let Err(error) = call.media.open(cx) {
            return Step::End(EndReason::error(Some(error)));
        }
        call.media.open_session(cx);
        let offer = match self.late_offer {
            true => None,
            false => call.media.offer(cx),
        };
        let identity = cx.agent.identity(&path.advertised);
        let from = format!("{identity};tag={}", call.tag(cx)).into();
        call.local = identity.into();
        let alarm = call.alarm(CallAlarm::Unanswered);
        let unanswered = cx.set_timer(cx.agent.parameters.answer_timeout, alarm);
        let calling = Calling {
            path,
            from,
            offer,
            seq: 0,
            attempt: Attempt::default(),
            began: cx.now(),
            heard: false,
            stray: false,
            progressed: false,
            tried: Vec::new(),
            early: Vec::new(),
            withdrawal: None,
            cancelled: false,
            seeking: None,
            moved: false,
            losses: 0,
            unanswered,
        };
        self.state = State::Calling(Box::new(calling));
        self.invite(call, cx);
        Step::Stay
    }

    /// Takes a response to the INVITE.
    pub(super) fn handle_response(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        client: Option<ClientId>,
        response: &Message,
    ) -> Step {
        let State::Calling(calling) = &mut self.state else { return Step::Stay };
        if !client.is_some_and(|client| calling.attempt.is(client)) {
            calling.stray |= client.is_none();
            return Step::Stay;
        }
        let status = response.status().unwrap_or_default();
        match status {
            ..=199 => {
                calling.heard = true;
                calling.cancel_if_heard(cx);
                if status > 100 {
                    calling.progressed = true;
                    calling.handle_provisional(call, cx, &self.target.uri, response);
                }
                Step::Stay
            }
            200..=299 => calling.handle_success(call, cx, &self.target, response),
            // It is placed again already.
            _ if calling.seeking.is_some() => {
                calling.attempt = Attempt::default();
                Step::Stay
            }
            401 | 407 if calling.withdrawal.is_none() => {
                let path = Arc::clone(&calling.path);
                match cx.handle_challenge(&path, response, &mut calling.attempt) {
                    Ok(()) => {
                        self.invite(call, cx);
                        Step::Stay
                    }
                    Err(_) => self.handle_rejection(call, cx, response),
                }
            }
            _ => self.handle_rejection(call, cx, response),
        }
    }

    /// A transaction failed.
    pub(super) fn handle_failure(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        client: ClientId,
        cause: FailureCause,
    ) -> Step {
        let State::Calling(calling) = &mut self.state else { return Step::Stay };
        if !calling.attempt.is(client) {
            return Step::Stay;
        }
        if calling.seeking.is_some() {
            calling.attempt = Attempt::default();
            return Step::Stay;
        }
        match (calling.withdrawal.take(), cause) {
            (Some(ending), _) => Step::End(ending),
            (None, FailureCause::Refused) => self.try_next_target(call, cx, cause.into()),
            (None, FailureCause::Transport) => {
                let (peer, path) = (self.target.hop.host(), &calling.path);
                let error = Error::refused(peer, path.flow.transport, path.to);
                let ending = EndReason::error(Some(error));
                self.fail_over(call, cx, ending, None)
            }
            (None, FailureCause::Timeout) if !calling.heard => {
                let ending = unheard(&self.target, calling, cx);
                self.fail_over(call, cx, ending, None)
            }
            (None, FailureCause::Timeout) => self.fail_over(call, cx, cause.into(), None),
        }
    }

    /// A timer fired.
    pub(super) fn handle_alarm(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        alarm: CallAlarm,
    ) -> Step {
        if alarm != CallAlarm::Unanswered {
            return Step::Stay;
        }
        let ending = match &self.state {
            State::Calling(calling) if !calling.heard => {
                let unreadable = calling.is_unreadable(cx);
                let withdrawn = calling.withdrawal.clone();
                let ending = withdrawn.unwrap_or_else(|| unheard(&self.target, calling, cx));
                // §9.1: CANCEL has to wait for a provisional response. The application has not,
                // unless somebody is there who may ring.
                if !unreadable {
                    call.finish_early(cx, ending.clone());
                }
                ending
            }
            _ => EndReason::new(EndedBy::Timeout),
        };
        self.withdraw(call, cx, ending)
    }

    /// A 3xx to 6xx (§13.2.2.2, §13.2.2.3); the transaction has acknowledged it.
    fn handle_rejection(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        response: &Message,
    ) -> Step {
        let State::Calling(calling) = &mut self.state else { return Step::Stay };
        if let Some(ending) = calling.withdrawal.take() {
            return Step::End(ending.or_cause(response));
        }
        let error = self.redirection.add_contacts(cx.agent, &self.target, response);
        let ending = EndReason { error, ..EndReason::of(EndedBy::Remote, response) };
        match response.status() {
            Some(503) => self.fail_over(call, cx, ending, response.retry_after()),
            // §21.6: that holds for the callee wherever he is.
            Some(600..) => Step::End(ending),
            _ => self.try_next_target(call, cx, ending),
        }
    }

    /// Looks for a path to send INVITE once more; that there is none is because of `problem`.
    fn place_again(&mut self, call: &mut Common, cx: &mut Context<'_>, problem: &str) -> Step {
        let State::Calling(calling) = &mut self.state else { return Step::Stay };
        if !calling.heard {
            cx.abandon(&mut calling.attempt);
        }
        calling.drop_early(call, cx);
        let withdrawn = calling.withdrawal.is_some();
        calling.seeking = Some(unreachable(&self.target, problem));
        let reach = cx.reach(&self.target.hop, call.owner());
        if !withdrawn {
            call.set_state(cx, CallState::Dialing, None);
        }
        self.handle_reach(call, cx, reach)
    }

    /// A server has failed: on to another that the target can be reached by (RFC 3263 §4.3), unless
    /// the request has gone further already.
    fn fail_over(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        ending: EndReason,
        retry_after: Option<u32>,
    ) -> Step {
        let State::Calling(calling) = &mut self.state else { return Step::Stay };
        let (hop, now) = (&self.target.hop, cx.now());
        cx.agent.avoid(&calling.path, retry_after, now);
        calling.tried.push(calling.path.server());
        if calling.progressed || !cx.agent.leads_elsewhere(hop, &calling.tried, now) {
            return self.try_next_target(call, cx, ending);
        }
        calling.seeking = Some(ending);
        let reach = cx.reach(hop, call.owner());
        self.handle_reach(call, cx, reach)
    }

    /// The target was not reached: on to the next, or that is how the call ends (§8.1.3.4).
    fn try_next_target(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        ending: EndReason,
    ) -> Step {
        let State::Calling(calling) = &mut self.state else { return Step::End(ending) };
        if let Some(ending) = calling.withdrawal.take() {
            return Step::End(ending);
        }
        // A target that no path leads to has said nothing; the one before has.
        let ending = calling.seeking.take().unwrap_or(ending);
        let Some(target) = self.redirection.next() else { return Step::End(ending) };
        calling.drop_early(call, cx);
        let cause = ending.cause.clone();
        calling.seeking = Some(ending);
        self.target = target;
        (calling.tried, calling.progressed) = (Vec::new(), false);
        let reach = cx.reach(&self.target.hop, call.owner());
        call.set_state(cx, CallState::Dialing, cause);
        self.handle_reach(call, cx, reach)
    }

    /// Goes on with a path that is there, or with the news that there is none.
    fn handle_reach(&mut self, call: &mut Common, cx: &mut Context<'_>, reach: Reach) -> Step {
        match reach {
            Reach::Open(path) => self.handle_path(call, cx, Ok(path)),
            Reach::Later => Step::Stay,
            Reach::Never(lost) => self.handle_path(call, cx, Err(lost)),
        }
    }

    /// Sends INVITE by the path that was found, with an offer of its own.
    fn invite_anew(&mut self, call: &mut Common, cx: &mut Context<'_>) {
        let State::Calling(calling) = &mut self.state else { return };
        (calling.seeking, calling.moved) = (None, false);
        // The one before is withdrawn, if it may still be ringing.
        if calling.heard {
            cx.cancel_invite_by(&calling.path, &calling.attempt, &[]);
        }
        cx.abandon(&mut calling.attempt);
        calling.attempt = Attempt::default();
        if calling.offer.is_some() {
            calling.offer = call.media.offer(cx);
        }
        self.invite(call, cx);
    }

    /// Sends INVITE, for the first time or with credentials.
    fn invite(&mut self, call: &mut Common, cx: &mut Context<'_>) {
        let State::Calling(calling) = &mut self.state else { return };
        calling.seq += 1;
        calling.heard = false;
        calling.drop_early(call, cx);
        let target = &self.target;
        let request = Request {
            method: Method::Invite,
            course: target.routes.course(&target.uri),
            from: &calling.from,
            to: &self.to,
            call_id: &call.call_id,
            seq: calling.seq,
            fields: vec![
                (HeaderName::Contact, cx.contact(&calling.path)),
                (HeaderName::Allow, ALLOWED.to_owned()),
                (HeaderName::Accept, ACCEPTED.to_owned()),
                (HeaderName::Supported, SUPPORTED.join(", ")),
            ],
            extensions: &self.headers,
            body: calling.offer.as_ref().map(|offer| (ACCEPTED, offer.as_bytes())),
        };
        cx.send(&calling.path, &request, &mut calling.attempt, call.owner());
    }

    /// Gives back what it holds. The transaction lives on to acknowledge a repeated rejection.
    pub(super) fn close(self, cx: &mut Context<'_>) {
        if let State::Calling(calling) = self.state {
            cx.cancel_timer(calling.unanswered);
        }
    }
}

/// Why a call ends if there was no response to its INVITE, or none that could be read.
fn unheard(target: &Target, calling: &Calling, cx: &Context<'_>) -> EndReason {
    if let Some(error) = calling.attempt.no_answer(target.hop.host()) {
        return EndReason { error: Some(error), ..EndReason::new(EndedBy::Timeout) };
    }
    let problem = match calling.is_unreadable(cx) {
        true => "what came back from there is no SIP response to the call",
        false => "there was no response at all; is it running, and is the address right?",
    };
    EndReason { by: EndedBy::Timeout, ..unreachable(target, problem) }
}

/// How a call ends if its target cannot be reached any more.
fn unreachable(target: &Target, problem: &str) -> EndReason {
    let (peer, problem) = (target.uri.clone(), problem.to_owned());
    EndReason::error(Some(Error::Unreachable { peer, problem }))
}
