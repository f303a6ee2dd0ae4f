//! Being sent elsewhere: REFER asks us to call somebody else. The application decides, and NOTIFY
//! reports what becomes of that call (RFC 3515 §2.4.2 to §2.4.7, RFC 6665 §4.2).

use super::notice::parameter;
use super::reference::Reference;
use super::session::Ask;
use super::transfer::Beside;
use super::{Call, CallAlarm, Stage, sipfrag};
use crate::agent::{Alarm, Answer, Context, Owner, Query, Response};
use crate::dialog::Dialog;
use crate::event::{CallId, CallState, Cause, EndedBy, Event, ReferralId};
use crate::sip::{HeaderName, Message, Method, NameAddr, head, reason_phrase};
use crate::time::{Duration, Instant};
use crate::timers::TimerId;
use crate::transaction::ClientId;

/// The latest REFER of a call that was not refused at once.
#[derive(Debug)]
pub(super) struct Referral {
    id: ReferralId,
    /// The dialog that a REFER outside that of the call makes.
    beside: Option<Beside>,
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
        undecided: TimerId,
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
    /// The report under way: one at a time, for they must not overtake each other.
    sending: Option<Ask>,
    /// The next one; only the latest is of interest (§2.4.5).
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

/// For whom a call is made, and what there is to report about it.
#[derive(Debug)]
pub(super) struct Referrer {
    call: CallId,
    referral: ReferralId,
    report: Option<Cause>,
}

impl Call {
    /// Takes a REFER within the call's dialog; its order has been checked.
    pub(super) fn referred(&mut self, cx: &mut Context<'_>, query: &Query) {
        if Dialog::target_of(&query.request).is_err() {
            return drop(cx.respond(query, Response::new(400)));
        }
        self.consider(cx, query, None);
    }

    /// Takes a REFER outside the call's dialog which names that in Target-Dialog (RFC 4538 §4).
    pub(crate) fn referred_beside(&mut self, cx: &mut Context<'_>, query: &Query) {
        if !self.is_from_peer(cx, query) {
            return decline(cx, query);
        }
        let request = &query.request;
        let tag = cx.new_tag(Owner::Call(self.id));
        let call_id = request.call_id().into();
        let Ok(mut dialog) = Dialog::of_callee(request, &call_id, &tag.to_string()) else {
            cx.agent.forget_tag(tag);
            return drop(cx.respond(query, Response::new(400)));
        };
        dialog.set_link(query.link());
        self.consider(cx, query, Some(Beside { tag, dialog }));
    }

    /// Whether a Target-Dialog names this call, and a request is its far end's: by the same identity
    /// and from the same place, or from the server.
    fn is_from_peer(&self, cx: &Context<'_>, query: &Query) -> bool {
        let Stage::Session(session) = &self.stage else { return false };
        let request = &query.request;
        let target = request.header(HeaderName::TargetDialog).unwrap_or_default();
        let named = session.is_up()
            && session.dialog().is_of(head(target), parameter(target, "remote-tag"));
        let remote = NameAddr::parse(session.dialog().remote());
        let same = remote.is_ok_and(|remote| remote.uri().equivalent(&request.from().uri()));
        let near = session.next_hop().is_some_and(|hop| hop.ip() == query.from.ip());
        named && same && (near || cx.agent.is_from_home(query.from))
    }

    /// Refuses what cannot be followed, and asks the application about the rest.
    fn consider(&mut self, cx: &mut Context<'_>, query: &Query, beside: Option<Beside>) {
        let reference = self.admissible(cx, &query.request);
        let reference = match reference {
            Ok(reference) => reference,
            Err(Cause { code, reason, .. }) => {
                if let Some(beside) = beside {
                    cx.agent.forget_tag(beside.tag);
                }
                return drop(cx.respond(query, Response::new(code).reason(Some(&reason))));
            }
        };
        let id = cx.new_referral();
        let undecided = cx.set_timer(DECIDE_WITHIN, Alarm::Call(self.id, CallAlarm::Undecided));
        let (call, to, by) = (self.id, reference.target.clone(), reference.by.clone());
        self.forget_referral(cx);
        let state = State::Asked { query: query.clone(), reference, undecided };
        self.referral = Some(Box::new(Referral { id, beside, state }));
        cx.emit(Event::Referred { call, referral: id, to, by });
    }

    fn admissible(&self, cx: &Context<'_>, request: &Message) -> Result<Reference, Cause> {
        let plain = |code| Cause::new(code, reason_phrase(code));
        let reference = Reference::read(request)?;
        if !cx.agent.parameters.accept_transfer || self.state != CallState::Answered {
            return Err(plain(603));
        }
        if self.referral.as_ref().is_some_and(|it| !matches!(it.state, State::Over)) {
            return Err(plain(491));
        }
        // Not to be called by this phone: sips without TLS, tel without a server.
        cx.agent.target(&reference.target).map_err(|_| plain(416))?;
        Ok(reference)
    }

    /// What a referral asks for, while the application may decide about it.
    pub(crate) fn asked(&self, id: ReferralId) -> Option<&Reference> {
        let referral = self.referral.as_ref().filter(|referral| referral.id == id)?;
        match &referral.state {
            State::Asked { reference, .. } if self.state == CallState::Answered => Some(reference),
            _ => None,
        }
    }

    /// Follows it: answers REFER, and begins to report.
    pub(crate) fn follow(&mut self, cx: &mut Context<'_>) {
        let Stage::Session(session) = &mut self.stage else { return };
        let Some(referral) = &mut self.referral else { return };
        let State::Asked { query, undecided, .. } =
            core::mem::replace(&mut referral.state, State::Over)
        else {
            return;
        };
        cx.cancel_timer(undecided);
        // RFC 7647 §5: 200 now, not 202.
        let mut response = Response::new(200).field(HeaderName::Contact, session.contact());
        match &referral.beside {
            Some(beside) => response = response.tag(beside.tag),
            // REFER moves the target as re-INVITE does (RFC 4488 §4).
            None => {
                let target = Dialog::target_of(&query.request).unwrap_or_default();
                session.dialog_mut().set_target(target);
            }
        }
        let wish = query.request.header(HeaderName::ReferSub).unwrap_or_default();
        if head(wish).eq_ignore_ascii_case("false") {
            // RFC 4488 §4.
            cx.respond(&query, response.field(HeaderName::ReferSub, "false"));
            return;
        }
        cx.respond(&query, response);
        let mut event = "refer".to_owned();
        if referral.beside.is_none() {
            // RFC 3515 §2.4.6: needed from the second on, and never wrong.
            event = format!("refer;id={}", query.request.cseq());
        }
        let trying = Cause::new(100, reason_phrase(100));
        let until = cx.now() + cx.agent.parameters.answer_timeout + MARGIN;
        let (sending, next, timer, last) = (None, Some(trying), None, false);
        let reporting = Reporting { event, until, sending, next, earliest: cx.now(), timer, last };
        referral.state = State::Reporting(Box::new(reporting));
        self.advance_referral(cx);
    }

    /// Refuses it: by the application's wish, or because that says nothing in time.
    pub(crate) fn decline(&mut self, cx: &mut Context<'_>) {
        let Some(referral) = &mut self.referral else { return };
        if let State::Asked { query, undecided, .. } =
            core::mem::replace(&mut referral.state, State::Over)
        {
            cx.cancel_timer(undecided);
            decline(cx, &query);
        }
    }

    /// Makes this the call that a referral of `call` asks for.
    pub(crate) fn refer_from(&mut self, call: CallId, referral: ReferralId) {
        self.referrer = Some(Box::new(Referrer { call, referral, report: None }));
    }

    /// Notes what there is to report about this call.
    pub(super) fn note(&mut self, cause: &Cause) {
        // A 3xx that is followed is not the outcome.
        let settled = matches!(self.state, CallState::Answered | CallState::Ended);
        if let Some(referrer) = self.referrer.as_mut().filter(|_| settled || cause.code < 200) {
            referrer.report = Some(cause.clone());
        }
    }

    /// Notes the end of this call, if no response explains it.
    pub(super) fn note_end(&mut self, by: EndedBy) {
        let code = match by {
            EndedBy::Timeout => 408,
            EndedBy::Local | EndedBy::Remote => 487,
            EndedBy::Error => 503,
        };
        self.note(&Cause::new(code, reason_phrase(code)));
    }

    /// What there is to report, and to which referral of which call; once. A final one is the last.
    pub(crate) fn take_report(&mut self) -> Option<(CallId, ReferralId, Cause)> {
        let referrer = self.referrer.as_mut()?;
        let (call, referral, report) = (referrer.call, referrer.referral, referrer.report.take()?);
        if report.code >= 200 {
            self.referrer = None;
        }
        Some((call, referral, report))
    }

    /// Reports what became of the call that a referral asked for, unless another has come since: that
    /// one's subscription is not about this call.
    pub(crate) fn report(&mut self, cx: &mut Context<'_>, referral: ReferralId, cause: Cause) {
        if let Some(Referral { id, state: State::Reporting(reporting), .. }) =
            self.referral.as_deref_mut()
            && *id == referral
        {
            reporting.next = Some(cause);
            self.advance_referral(cx);
        }
    }

    /// Sends the next report, if it may be sent now.
    pub(super) fn advance_referral(&mut self, cx: &mut Context<'_>) {
        let Self { id, referral: Some(referral), stage: Stage::Session(session), .. } = self else {
            return;
        };
        let State::Reporting(reporting) = &mut referral.state else { return };
        if !session.is_up() {
            return;
        }
        reporting.prepare(cx, *id, session.contact());
        let Some(ask) = &mut reporting.sending else { return };
        let dialog = match &mut referral.beside {
            Some(beside) => &mut beside.dialog,
            None => session.dialog_mut(),
        };
        if ask.send(cx, *id, dialog).is_err() {
            self.forget_referral(cx);
        }
    }

    /// A report that came too early for the one before may be sent now.
    pub(super) fn report_due(&mut self, cx: &mut Context<'_>) {
        if let Some(Referral { state: State::Reporting(reporting), .. }) =
            self.referral.as_deref_mut()
        {
            reporting.timer = None;
        }
        self.advance_referral(cx);
    }

    /// The path that a report may have waited for cannot be had.
    pub(super) fn referral_lost(&mut self, cx: &mut Context<'_>) {
        if let Some(Referral { state: State::Reporting(reporting), .. }) = self.referral.as_deref()
            && reporting.sending.as_ref().is_some_and(|ask| !ask.is_sent())
        {
            self.forget_referral(cx);
        }
    }

    /// Takes a response, if it is to a report.
    pub(super) fn referral_response(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        response: &Message,
    ) -> bool {
        let Self { id, referral: Some(referral), stage: Stage::Session(session), .. } = self else {
            return false;
        };
        let State::Reporting(reporting) = &mut referral.state else { return false };
        let dialog = match &mut referral.beside {
            Some(beside) => &mut beside.dialog,
            None => session.dialog_mut(),
        };
        let Some(ask) = &mut reporting.sending else { return false };
        match ask.handle_response(cx, *id, dialog, client, response) {
            None => return false,
            Some(Answer::Pending) => return true,
            Some(Answer::Final(_)) => {}
        }
        reporting.sending = None;
        // RFC 6665 §4.2.2: whoever refuses a report gets no more.
        let taken = response.status().is_some_and(|status| status < 300);
        match taken && !reporting.last {
            true => self.advance_referral(cx),
            false => self.forget_referral(cx),
        }
        true
    }

    /// Takes a failure, if it is that of a report: whoever does not answer gets no more.
    pub(super) fn referral_failure(&mut self, cx: &mut Context<'_>, client: ClientId) -> bool {
        let ours = match self.referral.as_deref() {
            Some(Referral { state: State::Reporting(reporting), .. }) => {
                reporting.sending.as_ref().is_some_and(|ask| ask.is_of(client))
            }
            _ => false,
        };
        if ours {
            self.forget_referral(cx);
        }
        ours
    }

    /// Ends it: what nobody has decided is refused, and nothing more is reported.
    pub(super) fn forget_referral(&mut self, cx: &mut Context<'_>) {
        let Some(referral) = self.referral.take() else { return };
        match referral.state {
            State::Asked { query, undecided, .. } => {
                cx.cancel_timer(undecided);
                decline(cx, &query);
            }
            State::Reporting(reporting) => reporting.close(cx),
            State::Over => {}
        }
        if let Some(beside) = referral.beside {
            cx.agent.forget_tag(beside.tag);
        }
    }
}

impl Reporting {
    /// Makes the next report, unless one is under way or it is too early.
    fn prepare(&mut self, cx: &mut Context<'_>, call: CallId, contact: &str) {
        let Some(cause) = self.next.take_if(|_| self.sending.is_none()) else { return };
        let last = cause.code >= 200;
        if !last && self.earliest > cx.now() {
            let wait = self.earliest.since(cx.now());
            let alarm = Alarm::Call(call, CallAlarm::Report);
            self.timer.get_or_insert_with(|| cx.set_timer(wait, alarm));
            self.next = Some(cause);
            return;
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
        let ask = Ask::new(Method::Notify)
            .field(HeaderName::Contact, contact)
            .field(HeaderName::Event, &*self.event)
            .field(HeaderName::SubscriptionState, state)
            .carrying(sipfrag::write(&cause));
        self.sending = Some(ask);
    }

    fn close(self, cx: &mut Context<'_>) {
        if let Some(timer) = self.timer {
            cx.cancel_timer(timer);
        }
        if let Some(ask) = self.sending {
            ask.close(cx);
        }
    }
}

/// 603: nobody here wants to follow (RFC 3515 §2.4.2).
pub(crate) fn decline(cx: &mut Context<'_>, query: &Query) {
    cx.respond(query, Response::new(603));
}
