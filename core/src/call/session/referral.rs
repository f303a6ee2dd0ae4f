//! Being sent elsewhere: REFER asks us to call somebody else. The application decides, and NOTIFY
//! reports what becomes of that call (RFC 3515 §2.4.2 to §2.4.7, RFC 6665 §4.2).

use super::Session;
use super::requests::Purpose;
use super::separate_dialog::SeparateDialog;
use crate::agent::{CallAlarm, Context, InDialogRequest, Query, Response};
use crate::call::common::Common;
use crate::call::notice::parameter;
use crate::call::reference::Reference;
use crate::call::{Call, Stage, Step, queries, sipfrag};
use crate::dialog::Dialog;
use crate::event::{CallEvent, CallState, Cause, ReferralId};
use crate::sip::{HeaderName, Message, Method, NameAddr, head, reason_phrase};
use crate::time::{Duration, Instant};
use crate::timers::TimerId;

/// The latest REFER of a call that was not refused at once.
#[derive(Debug)]
pub(super) struct Referral {
    id: ReferralId,
    /// The dialog that a REFER outside of the call's makes.
    separate: Option<SeparateDialog>,
    state: State,
}

/// ```text
///   REFER ─► Asked ── accept: 200 ──► Reporting ── the last NOTIFY answered; one refused ──► Over
///              │                                                                             ▲
///              └── reject, too long, the call ends: 603; accept, and no reports are wanted ──┘
/// ```
#[derive(Debug)]
enum State {
    /// The application has not decided.
    Asked {
        query: Query,
        reference: Reference,
        timeout: TimerId,
    },
    Reporting(Box<Reporting>),
    Over,
}

/// A subscription to what becomes of the call (RFC 3515 §2.4.4).
#[derive(Debug)]
struct Reporting {
    /// The value of Event.
    event: String,
    /// When it ends, if nothing does before.
    until: Instant,
    /// The next report, while another is under way: one at a time, for they must not overtake each
    /// other. Only the latest is of interest (§2.4.5).
    next: Option<Cause>,
    /// When a provisional one may follow (§3.10).
    earliest: Instant,
    timer: Option<TimerId>,
    /// Whether the last report is on its way.
    last: bool,
}

/// How long the application may think. The far end gives up after 32 s (RFC 3261 §17.1.2.2).
const DECIDE_WITHIN: Duration = Duration::from_secs(20);

/// How much longer the subscription lasts than we let the call ring (RFC 3515 §3.4).
const MARGIN: Duration = Duration::from_secs(60);

/// The least time between two reports, unless the second is final (§3.10).
const SPACING: Duration = Duration::from_secs(1);

impl Call {
    /// Takes a REFER outside the call's dialog which names that in Target-Dialog (RFC 4538 §4).
    pub(crate) fn handle_separate_refer(&mut self, cx: &mut Context<'_>, query: &Query) {
        match &mut self.stage {
            Stage::Session(session) => session.handle_separate_refer(&self.common, cx, query),
            _ => queries::decline(cx, query),
        }
    }

    /// What a referral asks for, while the application may decide about it.
    pub(crate) fn asked(&self, id: ReferralId) -> Option<&Reference> {
        let Stage::Session(session) = &self.stage else { return None };
        let referral = session.referral.as_ref().filter(|referral| referral.id == id)?;
        match &referral.state {
            State::Asked { reference, .. } if self.common.state == CallState::Answered => {
                Some(reference)
            }
            _ => None,
        }
    }

    /// Follows a referral by the application's wish: answers REFER, and begins to report.
    pub(crate) fn follow(&mut self, cx: &mut Context<'_>) {
        self.in_session(cx, Session::follow);
    }

    /// Refuses it by the application's wish.
    pub(crate) fn decline(&mut self, cx: &mut Context<'_>) {
        self.in_session(cx, |session, _, cx| {
            session.decline(cx);
            Step::Stay
        });
    }

    /// Reports what became of the call that a referral asked for.
    pub(crate) fn report(&mut self, cx: &mut Context<'_>, referral: ReferralId, cause: Cause) {
        self.in_session(cx, |session, call, cx| session.report(call, cx, referral, cause));
    }
}

impl Session {
    /// Takes a REFER within the call's dialog; its order has been checked.
    pub(super) fn handle_refer(&mut self, call: &Common, cx: &mut Context<'_>, query: &Query) {
        if Dialog::target_of(&query.request).is_err() {
            return drop(cx.respond(query, Response::new(400)));
        }
        self.consider(call, cx, query, None);
    }

    fn handle_separate_refer(&mut self, call: &Common, cx: &mut Context<'_>, query: &Query) {
        if !self.is_from_peer(cx, query) {
            return queries::decline(cx, query);
        }
        let request = &query.request;
        let tag = cx.new_tag(call.owner());
        let call_id = request.call_id().into();
        let Ok(mut dialog) = Dialog::of_callee(request, &call_id, &tag.to_string()) else {
            cx.agent.forget_tag(tag);
            return drop(cx.respond(query, Response::new(400)));
        };
        dialog.set_peer_connection(query.peer_connection());
        self.consider(call, cx, query, Some(SeparateDialog { tag, dialog }));
    }

    /// Whether a Target-Dialog names this call, and a request is its far end's: by the same identity
    /// and from the same place, or from the server.
    fn is_from_peer(&self, cx: &Context<'_>, query: &Query) -> bool {
        let request = &query.request;
        let target = request.header(HeaderName::TargetDialog).unwrap_or_default();
        let named =
            self.is_up() && self.dialog.is_of(head(target), parameter(target, "remote-tag"));
        let remote = NameAddr::parse(self.dialog.remote());
        let same = remote.is_ok_and(|remote| remote.uri().equivalent(&request.from().uri()));
        let near = self.next_hop().is_some_and(|hop| hop.ip() == query.from.ip());
        named && same && (near || cx.agent.is_from_home(query.from))
    }

    /// Refuses what cannot be followed, and asks the application about the rest.
    fn consider(
        &mut self,
        call: &Common,
        cx: &mut Context<'_>,
        query: &Query,
        separate: Option<SeparateDialog>,
    ) {
        let reference = match self.admissible(call, cx, &query.request) {
            Ok(reference) => reference,
            Err(Cause { code, reason, .. }) => {
                if let Some(separate) = separate {
                    separate.close(cx);
                }
                return drop(cx.respond(query, Response::new(code).reason(Some(&reason))));
            }
        };
        let id = cx.new_referral();
        let timeout = cx.set_timer(DECIDE_WITHIN, call.alarm(CallAlarm::ReferralTimeout));
        let (to, by) = (reference.target.clone(), reference.by.clone());
        self.forget_referral(cx);
        let state = State::Asked { query: query.clone(), reference, timeout };
        self.referral = Some(Box::new(Referral { id, separate, state }));
        cx.emit_call(call.id, CallEvent::Referred { referral: id, to, by });
    }

    fn admissible(
        &self,
        call: &Common,
        cx: &Context<'_>,
        request: &Message,
    ) -> Result<Reference, Cause> {
        let plain = |code| Cause::new(code, reason_phrase(code));
        let reference = Reference::read(request)?;
        if !cx.agent.parameters.accept_transfer || call.state != CallState::Answered {
            return Err(plain(603));
        }
        if self.referral.as_ref().is_some_and(|it| !matches!(it.state, State::Over)) {
            return Err(plain(491));
        }
        // Not to be called by this phone: sips without TLS, tel without a server.
        cx.agent.target(&reference.target).map_err(|_| plain(416))?;
        Ok(reference)
    }

    fn follow(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        let Some(referral) = &mut self.referral else { return Step::Stay };
        let Some(query) = referral.decide(cx) else { return Step::Stay };
        // RFC 7647 §5: 200 now, not 202.
        let mut response = Response::new(200).field(HeaderName::Contact, self.contact.as_ref());
        match &referral.separate {
            Some(separate) => response = response.tag(separate.tag),
            // REFER moves the target as re-INVITE does (RFC 4488 §4).
            None => {
                let target = Dialog::target_of(&query.request).unwrap_or_default();
                self.dialog.set_target(target);
            }
        }
        let wish = query.request.header(HeaderName::ReferSub).unwrap_or_default();
        if head(wish).eq_ignore_ascii_case("false") {
            // RFC 4488 §4.
            cx.respond(&query, response.field(HeaderName::ReferSub, "false"));
            return Step::Stay;
        }
        cx.respond(&query, response);
        let mut event = "refer".to_owned();
        if referral.separate.is_none() {
            // RFC 3515 §2.4.6: needed from the second on, and never wrong.
            event = format!("refer;id={}", query.request.cseq());
        }
        let trying = Cause::new(100, reason_phrase(100));
        let until = cx.now() + cx.agent.parameters.answer_timeout + MARGIN;
        let (next, timer, last) = (Some(trying), None, false);
        let reporting = Reporting { event, until, next, earliest: cx.now(), timer, last };
        referral.state = State::Reporting(Box::new(reporting));
        self.send_report(call, cx)
    }

    /// Refuses what nobody has decided: by the application's wish, or because that says nothing in time.
    pub(in crate::call) fn decline(&mut self, cx: &mut Context<'_>) {
        let decided = self.referral.as_mut().and_then(|referral| referral.decide(cx));
        if let Some(query) = decided {
            queries::decline(cx, &query);
        }
    }

    /// Reports what became of the call that a referral asked for, unless another has come since: that
    /// one's subscription is not about this call.
    fn report(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        referral: ReferralId,
        cause: Cause,
    ) -> Step {
        match self.referral.as_deref_mut() {
            Some(Referral { id, state: State::Reporting(reporting), .. }) if *id == referral => {
                reporting.next = Some(cause);
                self.send_report(call, cx)
            }
            _ => Step::Stay,
        }
    }

    /// A report that came too early for the one before may be sent now.
    pub(super) fn handle_report_alarm(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        if let Some(reporting) = self.reporting() {
            reporting.timer = None;
        }
        self.send_report(call, cx)
    }

    /// Takes the final response to a report.
    pub(super) fn handle_report_response(
        &mut self,
        call: &mut Common,
        cx: &mut Context<'_>,
        response: &Message,
    ) -> Step {
        let Some(reporting) = self.reporting() else { return Step::Stay };
        // RFC 6665 §4.2.2: a peer that refuses a report gets no more.
        let taken = response.status().is_some_and(|status| status < 300);
        match taken && !reporting.last {
            true => self.send_report(call, cx),
            false => {
                self.forget_referral(cx);
                Step::Stay
            }
        }
    }

    fn send_report(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        self.advance_report(call, cx);
        self.send_requests(call, cx)
    }

    /// Asks for the next report, if it may be sent now and none is under way.
    pub(super) fn advance_report(&mut self, call: &Common, cx: &mut Context<'_>) {
        let is_held_up = !self.is_confirmed() || self.requests.find(Purpose::is_report).is_some();
        let Some(Referral { state: State::Reporting(reporting), .. }) =
            self.referral.as_deref_mut().filter(|_| !is_held_up)
        else {
            return;
        };
        if let Some(report) = reporting.next_request(call, cx, &self.contact) {
            self.requests.push(Purpose::Report, report);
        }
    }

    /// Whether there is, or will be, something to report.
    pub(in crate::call) fn is_reporting(&self) -> bool {
        self.referral.as_ref().is_some_and(|it| matches!(it.state, State::Reporting(_)))
    }

    fn reporting(&mut self) -> Option<&mut Reporting> {
        match &mut self.referral.as_mut()?.state {
            State::Reporting(reporting) => Some(reporting),
            _ => None,
        }
    }

    /// Ends it: what nobody has decided is refused, and nothing more is reported.
    pub(super) fn forget_referral(&mut self, cx: &mut Context<'_>) {
        self.decline(cx);
        let Some(referral) = self.referral.take() else { return };
        if let State::Reporting(reporting) = referral.state
            && let Some(timer) = reporting.timer
        {
            cx.cancel_timer(timer);
        }
        if let Some(pending) = self.requests.take(Purpose::is_report) {
            pending.request.close(cx);
        }
        if let Some(separate) = referral.separate {
            separate.close(cx);
        }
    }
}

impl Referral {
    /// The dialog that reports go in: its own, or that of the call.
    pub(super) fn dialog<'a>(&'a mut self, dialog: &'a mut Dialog) -> &'a mut Dialog {
        self.separate.as_mut().map_or(dialog, |separate| &mut separate.dialog)
    }

    /// Takes REFER to be answered; `None` when that was done.
    fn decide(&mut self, cx: &mut Context<'_>) -> Option<Query> {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Asked { query, timeout, .. } => {
                cx.cancel_timer(timeout);
                Some(query)
            }
            state => {
                self.state = state;
                None
            }
        }
    }
}

impl Reporting {
    /// The next report, unless there is none or it is too early.
    fn next_request(
        &mut self,
        call: &Common,
        cx: &mut Context<'_>,
        contact: &str,
    ) -> Option<InDialogRequest> {
        let cause = self.next.take()?;
        let last = cause.code >= 200;
        if !last && self.earliest > cx.now() {
            let wait = self.earliest.since(cx.now());
            let alarm = call.alarm(CallAlarm::Report);
            self.timer.get_or_insert_with(|| cx.set_timer(wait, alarm));
            self.next = Some(cause);
            return None;
        }
        if let Some(timer) = self.timer.take() {
            cx.cancel_timer(timer);
        }
        self.earliest = cx.now() + SPACING;
        self.last = last;
        let state = match last {
            true => "terminated;reason=noresource".to_owned(),
            false => format!("active;expires={}", self.until.since(cx.now()).as_secs()),
        };
        let request = InDialogRequest::new(call.owner(), Method::Notify)
            .field(HeaderName::Contact, contact)
            .field(HeaderName::Event, &*self.event)
            .field(HeaderName::SubscriptionState, state)
            .carrying(sipfrag::write(&cause));
        Some(request)
    }
}
