//! The caller's INVITE, up to its final response (RFC 3261 §13.2, §9.1).

mod early;

use std::sync::Arc;

use early::Early;

use super::media::Body;
use super::redirection::Redirection;
use super::session::Session;
use super::{Call, CallAlarm, CallOptions, Ending, Stage};
use crate::agent::{
    ACCEPTED, ALLOWED, Alarm, Attempt, Context, Lost, MediaPorts, Owner, Path, Reach, Request,
    SUPPORTED, Target,
};
use crate::dialog::Dialog;
use crate::error::Error;
use crate::event::{CallState, Cause, EndedBy};
use crate::host::Flow;
use crate::locate::Candidate;
use crate::sip::{HeaderName, Message, Method};
use crate::timers::TimerId;
use crate::transaction::{ClientId, FailureCause};

/// A call that we place.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// To, whoever is asked.
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

/// An INVITE under way.
#[derive(Debug)]
struct Calling {
    path: Arc<Path>,
    /// From, with our tag.
    from: Arc<str>,
    /// None when it is left to the callee.
    offer: Option<String>,
    seq: u32,
    attempt: Attempt,
    /// Whether a provisional response to the latest INVITE has come.
    heard: bool,
    /// Whether one has come that is of somebody beyond the next hop: then no other server is asked.
    progressed: bool,
    /// The servers that have failed the target.
    tried: Vec<Candidate>,
    /// One for each party that has answered provisionally (§12.1, §13.2.2.4).
    early: Vec<Early>,
    /// How the call ends when it is given up.
    withdrawal: Option<Ending>,
    /// Whether CANCEL was sent.
    cancelled: bool,
    /// Why the target before was not reached, while a path to the next is looked for.
    seeking: Option<Ending>,
    /// Whether the network has changed, so that new ports are needed before the next INVITE.
    moved: bool,
    /// How many connections have ended under it.
    losses: u8,
    unanswered: TimerId,
}

/// Over how many further connections a call is placed when one has ended.
const MAX_LOSSES: u8 = 3;

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

    /// How the call ends if its target cannot be reached any more.
    fn unreachable(&self, problem: &str) -> Ending {
        let (peer, problem) = (self.target.uri.clone(), problem.to_owned());
        Ending::error(Some(Error::Unreachable { peer, problem }))
    }

    pub(super) fn close(self, cx: &mut Context<'_>) {
        // The transaction lives on to acknowledge a repeated rejection.
        if let State::Calling(calling) = self.state {
            cx.cancel_timer(calling.unanswered);
        }
    }
}

impl Call {
    /// Begins.
    pub(crate) fn place(&mut self, cx: &mut Context<'_>) {
        let Stage::Outgoing(outgoing) = &self.stage else { return };
        self.call_id = cx.new_call_id().into();
        match cx.reach(&outgoing.target.hop, Owner::Call(self.id)) {
            Reach::Open(path) => self.outgoing_path(cx, Ok(path)),
            Reach::Later => {}
            Reach::Never(lost) => self.finish(cx, lost.into()),
        }
    }

    /// Gives it up at the application's wish.
    pub(crate) fn cancel(&mut self, cx: &mut Context<'_>) {
        self.withdraw(cx, Ending::new(EndedBy::Local));
    }

    /// Gives it up: at once while nothing was sent, else as §9.1 allows.
    pub(super) fn withdraw(&mut self, cx: &mut Context<'_>, ending: Ending) {
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        let State::Calling(calling) = &mut outgoing.state else {
            return self.finish(cx, ending);
        };
        if calling.seeking.is_some() && !calling.heard {
            return self.finish(cx, ending);
        }
        calling.withdrawal.get_or_insert(ending);
        calling.cancel_if_heard(cx);
        self.set_state(cx, CallState::Canceling, None);
    }

    pub(super) fn outgoing_path(&mut self, cx: &mut Context<'_>, path: Result<Arc<Path>, Lost>) {
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        let path = match path {
            Ok(path) => path,
            Err(lost) => return self.unreached(cx, lost.into()),
        };
        match &mut outgoing.state {
            State::Seeking => {
                self.media.bind(cx, path.to.ip(), outgoing.streams);
                outgoing.state = State::Binding(path);
            }
            State::Calling(calling) if calling.tried.contains(&path.server()) => {
                if let Some(ending) = calling.seeking.take() {
                    self.unreached(cx, ending);
                }
            }
            State::Calling(calling) if calling.seeking.is_some() => {
                calling.path = path;
                if let Some(ending) = calling.withdrawal.take() {
                    cx.cancel_invite_by(&calling.path, &calling.attempt);
                    return self.finish(cx, ending);
                }
                match calling.moved {
                    true if self.media.is_binding() => {}
                    true => self.media.rebind(cx, calling.path.to.ip()),
                    false => {
                        self.media.retarget(&calling.path.advertised);
                        self.invite_anew(cx);
                    }
                }
            }
            _ => {}
        }
    }

    /// Sends INVITE by the path that was found, with an offer of its own.
    fn invite_anew(&mut self, cx: &mut Context<'_>) {
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        let State::Calling(calling) = &mut outgoing.state else { return };
        (calling.seeking, calling.moved) = (None, false);
        // The one before is withdrawn, if it may still be ringing.
        if calling.heard {
            cx.cancel_invite_by(&calling.path, &calling.attempt);
        }
        cx.abandon(&mut calling.attempt);
        calling.attempt = Attempt::default();
        if calling.offer.is_some() {
            calling.offer = self.media.offer(cx);
        }
        self.invite(cx);
    }

    /// The network has changed, and no answer to the INVITE would find us: it is withdrawn, and sent
    /// once more from the new one.
    pub(super) fn outgoing_moved(&mut self, cx: &mut Context<'_>) {
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        let State::Calling(calling) = &mut outgoing.state else { return };
        if calling.withdrawal.is_some() {
            return;
        }
        calling.moved = true;
        calling.tried.clear();
        if calling.seeking.is_none() {
            self.place_again(cx, "the network has changed");
        }
    }

    /// The connection to where the INVITE went is over. Neither its answer nor what else is needed can
    /// come, so it is sent once more over another.
    pub(super) fn outgoing_flow_lost(&mut self, cx: &mut Context<'_>, flow: Flow) {
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        let State::Calling(calling) = &mut outgoing.state else { return };
        if calling.path.flow != flow || calling.seeking.is_some() {
            return;
        }
        calling.losses += 1;
        let problem = "the connection to it was lost";
        match calling.losses > MAX_LOSSES {
            true => {
                let ending = calling.withdrawal.take();
                let ending = ending.unwrap_or_else(|| outgoing.unreachable(problem));
                self.finish(cx, ending);
            }
            false => self.place_again(cx, problem),
        }
    }

    /// Looks for a path to send INVITE once more; that there is none is because of `problem`.
    fn place_again(&mut self, cx: &mut Context<'_>, problem: &str) {
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        let ending = outgoing.unreachable(problem);
        let State::Calling(calling) = &mut outgoing.state else { return };
        if !calling.heard {
            cx.abandon(&mut calling.attempt);
        }
        for early in calling.early.drain(..) {
            self.media.drop_early(cx, early.number);
        }
        let withdrawn = calling.withdrawal.is_some();
        calling.seeking = Some(ending);
        let reach = cx.reach(&outgoing.target.hop, Owner::Call(self.id));
        if !withdrawn {
            self.set_state(cx, CallState::Dialing, None);
        }
        match reach {
            Reach::Open(path) => self.outgoing_path(cx, Ok(path)),
            Reach::Later => {}
            Reach::Never(lost) => self.outgoing_path(cx, Err(lost)),
        }
    }

    /// A server has failed: on to another that the target can be reached by (RFC 3263 §4.3), unless
    /// the request has gone further already.
    fn fail_over(&mut self, cx: &mut Context<'_>, ending: Ending, retry_after: Option<u32>) {
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        let State::Calling(calling) = &mut outgoing.state else { return };
        let (hop, now) = (&outgoing.target.hop, cx.now());
        cx.agent.avoid(&calling.path, retry_after, now);
        calling.tried.push(calling.path.server());
        if calling.progressed || !cx.agent.leads_elsewhere(hop, &calling.tried, now) {
            return self.unreached(cx, ending);
        }
        calling.seeking = Some(ending);
        match cx.reach(hop, Owner::Call(self.id)) {
            Reach::Open(path) => self.outgoing_path(cx, Ok(path)),
            Reach::Later => {}
            Reach::Never(lost) => self.outgoing_path(cx, Err(lost)),
        }
    }

    /// The target was not reached: on to the next, or that is how the call ends (§8.1.3.4).
    fn unreached(&mut self, cx: &mut Context<'_>, ending: Ending) {
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        let State::Calling(calling) = &mut outgoing.state else {
            return self.finish(cx, ending);
        };
        if let Some(ending) = calling.withdrawal.take() {
            return self.finish(cx, ending);
        }
        // A target that no path leads to has said nothing; the one before has.
        let ending = calling.seeking.take().unwrap_or(ending);
        let Some(target) = outgoing.redirection.next() else { return self.finish(cx, ending) };
        for early in calling.early.drain(..) {
            self.media.drop_early(cx, early.number);
        }
        let cause = ending.cause.clone();
        calling.seeking = Some(ending);
        outgoing.target = target;
        (calling.tried, calling.progressed) = (Vec::new(), false);
        let reach = cx.reach(&outgoing.target.hop, Owner::Call(self.id));
        self.set_state(cx, CallState::Dialing, cause);
        match reach {
            Reach::Open(path) => self.outgoing_path(cx, Ok(path)),
            Reach::Later => {}
            Reach::Never(lost) => self.outgoing_path(cx, Err(lost)),
        }
    }

    pub(super) fn outgoing_ports(&mut self, cx: &mut Context<'_>, ports: Option<MediaPorts>) {
        if !self.media.handle_ports(cx, ports) {
            return;
        }
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        if let State::Calling(calling) = &outgoing.state
            && calling.moved
        {
            self.media.move_to_new_ports(cx);
            return self.invite_anew(cx);
        }
        let State::Binding(path) = &outgoing.state else { return };
        let path = Arc::clone(path);
        if let Err(error) = self.media.open(cx) {
            return self.finish(cx, Ending::error(Some(error)));
        }
        let offer = match outgoing.late_offer {
            true => None,
            false => self.media.offer(cx),
        };
        let identity = cx.agent.identity(&path.advertised);
        let from = format!("{identity};tag={}", self.tag(cx)).into();
        self.local = identity.into();
        let alarm = Alarm::Call(self.id, CallAlarm::Unanswered);
        let unanswered = cx.set_timer(cx.agent.parameters.answer_timeout, alarm);
        let calling = Calling {
            path,
            from,
            offer,
            seq: 0,
            attempt: Attempt::default(),
            heard: false,
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
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        outgoing.state = State::Calling(Box::new(calling));
        self.invite(cx);
    }

    /// Sends INVITE, for the first time or with credentials.
    fn invite(&mut self, cx: &mut Context<'_>) {
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        let State::Calling(calling) = &mut outgoing.state else { return };
        calling.seq += 1;
        calling.heard = false;
        for early in calling.early.drain(..) {
            self.media.drop_early(cx, early.number);
        }
        let target = &outgoing.target;
        let request = Request {
            method: Method::Invite,
            course: target.routes.course(&target.uri),
            from: &calling.from,
            to: &outgoing.to,
            call_id: &self.call_id,
            seq: calling.seq,
            fields: vec![
                (HeaderName::Contact, cx.contact(&calling.path)),
                (HeaderName::Allow, ALLOWED.to_owned()),
                (HeaderName::Accept, ACCEPTED.to_owned()),
                (HeaderName::Supported, SUPPORTED.join(", ")),
            ],
            extensions: &outgoing.headers,
            body: calling.offer.as_ref().map(|offer| (ACCEPTED, offer.as_bytes())),
        };
        cx.send(&calling.path, &request, &mut calling.attempt, Owner::Call(self.id));
    }

    pub(super) fn outgoing_response(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        response: &Message,
    ) {
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        let State::Calling(calling) = &mut outgoing.state else { return };
        let status = response.status().unwrap_or_default();
        if !calling.attempt.is(client) {
            return;
        }
        match status {
            ..=199 => {
                calling.heard = true;
                calling.cancel_if_heard(cx);
                if status > 100 {
                    calling.progressed = true;
                    self.provisional(cx, response);
                }
            }
            200..=299 => self.answered(cx, response),
            // It is placed again already.
            _ if calling.seeking.is_some() => calling.attempt = Attempt::default(),
            401 | 407 if calling.withdrawal.is_none() => {
                let path = Arc::clone(&calling.path);
                match cx.handle_challenge(&path, response, &mut calling.attempt) {
                    Ok(()) => self.invite(cx),
                    Err(_) => self.rejected(cx, response),
                }
            }
            _ => self.rejected(cx, response),
        }
    }

    /// A response from 101 to 199 (§13.2.2.1).
    fn provisional(&mut self, cx: &mut Context<'_>, response: &Message) {
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        let State::Calling(calling) = &mut outgoing.state else { return };
        if calling.withdrawal.is_some() {
            return;
        }
        let mut early_media = false;
        if let Some(early) = calling.early(&outgoing.target.uri, &self.call_id, response)
            && let Body::Session(answer) = Body::of(response)
        {
            let so_far = early.negotiation.as_ref().or(self.media.negotiator());
            if let Some(mut negotiation) = so_far.cloned()
                && let Ok(agreed) = negotiation.accept(&answer)
            {
                early.negotiation = Some(negotiation);
                self.media.configure_early(cx, early.number, &agreed);
                early_media = true;
            }
        }
        let state = match early_media || response.status() == Some(183) {
            true => CallState::Progress,
            false => self.state,
        };
        self.set_state(cx, state, Some(Cause::of(response)));
    }

    /// A 3xx to 6xx (§13.2.2.2, §13.2.2.3); the transaction has acknowledged it.
    fn rejected(&mut self, cx: &mut Context<'_>, response: &Message) {
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        let State::Calling(calling) = &mut outgoing.state else { return };
        if let Some(ending) = calling.withdrawal.take() {
            return self.finish(cx, ending.or_cause(response));
        }
        let error = outgoing.redirection.take(cx.agent, &outgoing.target, response);
        let ending = Ending { error, ..Ending::of(EndedBy::Remote, response) };
        match response.status() {
            Some(503) => self.fail_over(cx, ending, response.retry_after()),
            // §21.6: that holds for the callee wherever he is.
            Some(600..) => self.finish(cx, ending),
            _ => self.unreached(cx, ending),
        }
    }

    /// The first 2xx (§13.2.2.4): its dialog is the call; those of further ones are ended.
    fn answered(&mut self, cx: &mut Context<'_>, response: &Message) {
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        let State::Calling(calling) = &mut outgoing.state else { return };
        cx.handle_success(&calling.path, response);
        cx.agent.forgive(&calling.path);
        // The route set and target of the 2xx replace those of the early dialog (§13.2.2.4).
        let (from, target) = (&calling.from, &outgoing.target.uri);
        let dialog = Dialog::of_caller(from, &self.call_id, calling.seq, target, response);
        let Ok(mut dialog) = dialog else {
            // Whoever cannot be addressed cannot be acknowledged either, and will give up.
            let ending = Ending::of(EndedBy::Error, response);
            let ending = calling.withdrawal.take().unwrap_or(ending);
            return self.finish(cx, ending);
        };
        let Stage::Outgoing(outgoing) = core::mem::replace(&mut self.stage, Stage::Over) else {
            return;
        };
        let State::Calling(mut calling) = outgoing.state else { return };
        cx.cancel_timer(calling.unanswered);
        let tag = response.to_tag();
        let new = calling.free_number();
        let early = calling.early.iter_mut().find(|early| early.is_of(&self.call_id, tag));
        dialog.set_link(calling.path.link());
        dialog.set_remote_seq(early.as_ref().and_then(|early| early.dialog.remote_seq()));
        let number = early.as_ref().map_or(new, |early| early.number);
        let early = early.and_then(|early| early.negotiation.take());
        let contact = cx.contact(&calling.path);
        self.media.settle_on(cx, number);
        if let Some(negotiation) = early {
            self.media.set_negotiator(negotiation);
        }
        let withdrawal = calling.withdrawal;
        let body = Body::of(response);
        let (answer, agreed) = match &body {
            Body::Session(offer) if calling.offer.is_none() => {
                let (answer, agreed) = self.media.answer_2xx(cx, offer);
                (Some(answer), agreed)
            }
            _ => (None, None),
        };
        let late = calling.offer.is_none();
        let invite = (calling.seq, calling.attempt);
        let session = Session::of_caller(cx, self.id, dialog, contact, invite, answer);
        self.stage = Stage::Session(Box::new(session));
        if let Some(ending) = withdrawal {
            // CANCEL and the answer crossed: ACK, then BYE.
            return self.part(cx, ending);
        }
        let problem = match (body, agreed) {
            (_, Some(agreed)) => {
                self.media.configure(cx, &agreed);
                None
            }
            (Body::Session(_), None) if late => Some("the answer's offer has nothing in common"),
            (Body::Session(answer), None) => match self.media.accept(cx, &answer) {
                Some(_) => None,
                None => Some("the answer's session description cannot be used"),
            },
            (Body::None, None) if self.media.streams() > 0 => None,
            (Body::None, None) => Some("the answer has no session description"),
            (Body::Malformed | Body::Unsupported, None) => {
                Some("the answer's session description cannot be read")
            }
        };
        match problem {
            None => {
                self.set_state(cx, CallState::Answered, Some(Cause::of(response)));
                self.advance(cx);
            }
            // §13.2.2.4: an answer that cannot be used is acknowledged, and the session ended.
            Some(problem) => {
                self.part(cx, Ending::error(Some(Error::NoMedia { problem })));
            }
        }
    }

    pub(super) fn outgoing_failure(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        cause: FailureCause,
    ) {
        let Stage::Outgoing(outgoing) = &mut self.stage else { return };
        let State::Calling(calling) = &mut outgoing.state else { return };
        if calling.attempt.is(client) && calling.seeking.is_some() {
            calling.attempt = Attempt::default();
        } else if calling.attempt.is(client) {
            match calling.withdrawal.take() {
                Some(ending) => self.finish(cx, ending),
                None if cause == FailureCause::Refused => self.unreached(cx, cause.into()),
                None if cause == FailureCause::Transport => {
                    let peer = outgoing.target.hop.host().to_owned();
                    let problem = "the network has refused what was sent there".to_owned();
                    let ending = Ending::error(Some(Error::Unreachable { peer, problem }));
                    self.fail_over(cx, ending, None);
                }
                None => self.fail_over(cx, cause.into(), None),
            }
        }
    }

    pub(super) fn outgoing_alarm(&mut self, cx: &mut Context<'_>, alarm: CallAlarm) {
        if alarm == CallAlarm::Unanswered {
            self.withdraw(cx, Ending::new(EndedBy::Timeout));
        }
    }
}

impl Calling {
    /// Sends CANCEL once it is wanted and allowed.
    fn cancel_if_heard(&mut self, cx: &mut Context<'_>) {
        if self.withdrawal.is_some() && self.heard && !self.cancelled {
            self.cancelled = cx.cancel_invite(&self.attempt);
        }
    }
}
