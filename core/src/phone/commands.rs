//! The application's commands to the calls of a phone: each checks the state at once, and is carried
//! out by the host's next call.

use super::fields::check_header;
use super::{Intent, Phone};
use crate::agent::Target;
use crate::call::{
    Call, CallOptions, DenyOptions, MAX_STREAMS, Order, Reference, TransferMode, TransferOptions,
};
#[cfg(doc)]
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{CallDirection, CallEvent, CallId, CallState, Event, ReferralId};
use crate::sip::{NameAddr, Reason, check_value};

/// How a call is refused.
#[derive(Clone, Debug)]
pub(super) struct Denial {
    pub(super) code: u16,
    pub(super) reason: Option<String>,
    /// After how many seconds he may try again.
    pub(super) retry_after: Option<u64>,
    /// Where the caller should go instead.
    pub(super) contact: Option<String>,
}

/// The code and words of [`Phone::redirect`].
const MOVED: u16 = 302;

impl Phone {
    /// Calls `target`: a SIP URI, with or without a display name and angle brackets, `user@host`,
    /// or, with a server, a bare number or name there. The call is DIALING.
    ///
    /// # Errors
    /// [`Error::InvalidStatus`] unless the phone is started, [`Error::InvalidValue`] for a target or
    /// header field that cannot be used, [`Error::TooManyCalls`]. Later failures are reported by
    /// [`CallEvent::Ended`].
    pub fn call(&mut self, target: &str, options: CallOptions) -> Result<CallId, Error> {
        self.require_started("call from")?;
        let target = self.agent.target(target)?;
        for (name, value) in &options.headers {
            check_header(name, value)?;
        }
        if options.codecs.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::invalid("codecs", "", "at least one is needed"));
        }
        if !(1..=MAX_STREAMS).contains(&options.streams) {
            let streams = options.streams.to_string();
            return Err(Error::invalid("streams", &streams, "a call has 1 to 4 audio streams"));
        }
        self.place(target, options, None)
    }

    /// Makes a call, which a referral of another asks for perhaps.
    fn place(
        &mut self,
        target: Target,
        options: CallOptions,
        referrer: Option<(CallId, ReferralId)>,
    ) -> Result<CallId, Error> {
        let limit = self.agent.parameters.max_calls;
        if !self.has_room() {
            return Err(Error::TooManyCalls { limit });
        }
        let id = self.next_call();
        let limit = self.agent.parameters.max_redirects;
        let max_redirects = options.max_redirects.or(Some(limit));
        let options = CallOptions { max_redirects, ..options };
        let mut call = Call::outgoing(id, target, options);
        if let Some((referrer, referral)) = referrer {
            call.refer_from(referrer, referral);
        }
        self.calls.insert(id, Box::new(call));
        let (state, cause) = (CallState::Dialing, None);
        self.agent
            .events
            .push_back(Event::Call { call: id, event: CallEvent::State { state, cause } });
        self.intents.push_back(Intent::Place(id));
        Ok(id)
    }

    /// Answers a call that is RINGING, or PROGRESS by [`progress`](Self::progress).
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state, and of an outgoing call; [`Error::NoSuchCall`].
    pub fn answer(&mut self, call: CallId) -> Result<(), Error> {
        let states = [CallState::Ringing, CallState::Progress];
        let (incoming, intent) = (CallDirection::Incoming, Intent::Answer(call));
        self.command(call, "answer", Some(incoming), &states, CallState::Answered, intent)
    }

    /// Opens the media of a call that is RINGING before it is answered: sends 183 with our session
    /// description. The call is PROGRESS.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state, and of an outgoing call; [`Error::NoSuchCall`].
    pub fn progress(&mut self, call: CallId) -> Result<(), Error> {
        let (incoming, intent) = (CallDirection::Incoming, Intent::Progress(call));
        let states = [CallState::Ringing];
        self.command(call, "progress", Some(incoming), &states, CallState::Progress, intent)
    }

    /// Refuses a call that is RINGING or PROGRESS with `code` (400 to 699; pyVoIP's is 603) and
    /// `reason`, or the code's own phrase.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state, and of an outgoing call; [`Error::NoSuchCall`];
    /// [`Error::InvalidValue`] for another code or a reason with a line feed.
    pub fn deny(&mut self, call: CallId, code: u16, reason: Option<&str>) -> Result<(), Error> {
        let reason = reason.map(str::to_owned);
        self.deny_with(call, code, DenyOptions { reason, ..DenyOptions::default() })
    }

    /// The same, and says more: after what time the caller may try again.
    ///
    /// # Errors
    /// As [`deny`](Self::deny).
    pub fn deny_with(
        &mut self,
        call: CallId,
        code: u16,
        options: DenyOptions,
    ) -> Result<(), Error> {
        if !(400..=699).contains(&code) {
            return Err(Error::invalid(
                "code",
                &code.to_string(),
                "a refusal has a code from 400 to 699",
            ));
        }
        let DenyOptions { reason, retry_after } = options;
        if let Some(reason) = &reason {
            let problem = "it holds a line feed or a NUL";
            check_value(reason).map_err(|_| Error::invalid("reason", reason, problem))?;
        }
        let retry_after = retry_after.map(|time| time.as_secs());
        let denial = Denial { code, reason, retry_after, contact: None };
        self.refuse(call, "deny", denial)
    }

    /// Sends the caller of a call that is RINGING or PROGRESS to the URI `contact` with 302.
    ///
    /// # Errors
    /// As [`deny`](Self::deny); [`Error::InvalidValue`] for a contact that is no URI.
    pub fn redirect(&mut self, call: CallId, contact: &str) -> Result<(), Error> {
        let usable = check_value(contact).is_ok();
        let address = NameAddr::parse(contact.trim()).ok().filter(|a| usable && !a.is_star());
        let uri = address.ok_or_else(|| Error::invalid("contact", contact, "it is no URI"))?;
        let contact = Some(format!("<{}>", uri.uri_str()));
        self.refuse(
            call,
            "redirect",
            Denial { code: MOVED, reason: None, retry_after: None, contact },
        )
    }

    /// Ends a call that is ANSWERED.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state; [`Error::NoSuchCall`].
    pub fn hangup(&mut self, call: CallId) -> Result<(), Error> {
        self.hangup_for(call, &[])
    }

    /// The same, and BYE says why (RFC 3326): a gateway tells the telephone network of
    /// [`Reason::q850`], say. At most one reason of each protocol.
    ///
    /// # Errors
    /// As [`hangup`](Self::hangup); [`Error::InvalidValue`] for reasons that cannot be said.
    pub fn hangup_for(&mut self, call: CallId, reasons: &[Reason]) -> Result<(), Error> {
        check_reasons(reasons)?;
        let (states, intent) = ([CallState::Answered], Intent::Hangup(call, reasons.to_vec()));
        self.command(call, "hang up", None, &states, CallState::Ended, intent)
    }

    /// Puts the far end of an ANSWERED call on hold (RFC 3264 §8.4): by re-INVITE, as soon as no
    /// other change of the session is under way. Of several wishes the latest counts. The result is
    /// [`CallEvent::Hold`], also when the far end is held already, or [`CallEvent::HoldFailed`]. The holding
    /// side hears nothing, and may still send: music, or silence.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state; [`Error::NoSuchCall`].
    pub fn hold(&mut self, call: CallId) -> Result<(), Error> {
        self.change(call, "hold", Intent::Hold(call, true))
    }

    /// Ends our hold of the far end of an ANSWERED call, in the way of [`hold`](Self::hold). The far
    /// end may still hold us.
    ///
    /// # Errors
    /// As [`hold`](Self::hold).
    pub fn resume(&mut self, call: CallId) -> Result<(), Error> {
        self.change(call, "resume", Intent::Hold(call, false))
    }

    /// Gives up an outgoing call that is DIALING or PROGRESS. The call is CANCELING until its end is
    /// known; an answer that crosses the CANCEL is acknowledged and hung up.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state, and of an incoming call; [`Error::NoSuchCall`].
    pub fn cancel(&mut self, call: CallId) -> Result<(), Error> {
        self.cancel_for(call, &[])
    }

    /// The same, and CANCEL says why (RFC 3326), as BYE does with [`hangup_for`](Self::hangup_for).
    ///
    /// # Errors
    /// As [`cancel`](Self::cancel); [`Error::InvalidValue`] for reasons that cannot be said.
    pub fn cancel_for(&mut self, call: CallId, reasons: &[Reason]) -> Result<(), Error> {
        check_reasons(reasons)?;
        let states = [CallState::Dialing, CallState::Progress];
        let outgoing = CallDirection::Outgoing;
        let intent = Intent::Cancel(call, reasons.to_vec());
        self.command(call, "cancel", Some(outgoing), &states, CallState::Canceling, intent)
    }

    /// Ends a call by whatever its state allows: one that is ANSWERED is hung up, an outgoing one is
    /// cancelled, an incoming one is denied (480 Temporarily Unavailable). Nothing happens to a call that
    /// is ending already or is over.
    pub fn end(&mut self, call: CallId) {
        /// RFC 3261 §21.4.18: nobody here takes the call now.
        const UNAVAILABLE: u16 = 480;
        let Some(profile) = self.profile(call) else { return };
        // An error means that it is ending already.
        let _ = match (profile.direction(), profile.state()) {
            (_, CallState::Answered) => self.hangup(call),
            (CallDirection::Incoming, _) => self.deny(call, UNAVAILABLE, None),
            (CallDirection::Outgoing, _) => self.cancel(call),
        };
    }

    /// Asks the far end of a call that is ANSWERED to call `target` (as for [`call`](Self::call), or
    /// a sips URI) instead (REFER, RFC 3515). The result is [`CallEvent::Transfer`]: known after at most
    /// 32 s when it is blind, else after [`answer_timeout`](PhoneParameters::answer_timeout) and 64
    /// s.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state; [`Error::TransferPending`] while the outcome of
    /// another transfer is not known; [`Error::InvalidValue`] for a target that cannot be called, or
    /// no reports where they are waited for or where REFER could be forked (RFC 4488 §4);
    /// [`Error::NoSuchCall`].
    pub fn transfer(
        &mut self,
        call: CallId,
        target: &str,
        options: TransferOptions,
    ) -> Result<(), Error> {
        let (to, refer_to) = self.agent.referred(target)?;
        if options.no_reports && (options.mode != TransferMode::Blind || options.outside_dialog) {
            let problem = "only a blind transfer within the dialog can do without reports";
            return Err(Error::invalid("transfer option", "no_reports", problem));
        }
        let pending =
            |intent: &Intent| matches!(intent, Intent::Transfer(other, _) if *other == call);
        if self.announced(call).is_some_and(Call::is_transferring)
            || self.intents.iter().any(pending)
        {
            return Err(Error::TransferPending { call });
        }
        let intent = Intent::Transfer(call, Box::new(Order { to, refer_to, options }));
        let answered = CallState::Answered;
        self.command(call, "transfer", None, &[answered], answered, intent)
    }

    /// Calls the target of a referral ([`CallEvent::Referred`]), and reports the progress to the far end.
    /// Returns the new call, which is DIALING. The old one lasts until somebody hangs it up; mostly
    /// the far end does when it learns of success.
    ///
    /// # Errors
    /// [`Error::NoSuchReferral`] when it is too late for that; [`Error::InvalidStatus`] unless the
    /// phone is started, [`Error::TooManyCalls`].
    pub fn accept_referral(&mut self, referral: ReferralId) -> Result<CallId, Error> {
        self.require_started("call from")?;
        let (call, reference) = self.asked(referral)?;
        let target = self.agent.target(&reference.target)?;
        let options = CallOptions { headers: reference.headers, ..CallOptions::default() };
        let id = self.place(target, options, Some((call, referral)))?;
        self.intents.push_front(Intent::Follow(call));
        Ok(id)
    }

    /// Refuses a referral ([`CallEvent::Referred`]) with 603.
    ///
    /// # Errors
    /// [`Error::NoSuchReferral`] when it is too late for that.
    pub fn reject_referral(&mut self, referral: ReferralId) -> Result<(), Error> {
        let (call, _) = self.asked(referral)?;
        self.intents.push_back(Intent::Decline(call));
        Ok(())
    }

    /// Checks a command, changes the state that the application sees, and notes the rest for the
    /// host's next call.
    fn command(
        &mut self,
        id: CallId,
        command: &'static str,
        direction: Option<CallDirection>,
        states: &[CallState],
        next: CallState,
        intent: Intent,
    ) -> Result<(), Error> {
        let call = self.calls.get_mut(&id).filter(|call| call.is_announced());
        let call = call.ok_or(Error::NoSuchCall { call: id })?;
        let state = call.state();
        if !states.contains(&state) || direction.is_some_and(|wanted| wanted != call.direction()) {
            return Err(Error::InvalidState { command, state });
        }
        self.agent.events.extend(call.command(next));
        self.intents.push_back(intent);
        Ok(())
    }

    /// A command that leaves the call ANSWERED.
    pub(super) fn change(
        &mut self,
        call: CallId,
        command: &'static str,
        intent: Intent,
    ) -> Result<(), Error> {
        let answered = CallState::Answered;
        self.command(call, command, None, &[answered], answered, intent)
    }

    fn refuse(&mut self, call: CallId, command: &'static str, denial: Denial) -> Result<(), Error> {
        let states = [CallState::Ringing, CallState::Progress];
        let (incoming, intent) = (CallDirection::Incoming, Intent::Deny(call, denial));
        self.command(call, command, Some(incoming), &states, CallState::Ended, intent)
    }

    /// What a referral asks for that the application may decide about, and of which call.
    fn asked(&self, referral: ReferralId) -> Result<(CallId, Reference), Error> {
        let mut calls = self.calls.iter();
        let found = calls.find_map(|(id, call)| Some((*id, call.asked(referral)?.clone())));
        let decided = |(call, _): &(CallId, Reference)| {
            self.intents.iter().any(|intent| match intent {
                Intent::Follow(other) | Intent::Decline(other) => other == call,
                _ => false,
            })
        };
        found.filter(|found| !decided(found)).ok_or(Error::NoSuchReferral { referral })
    }
}

/// RFC 3326 §2: a message may have one reason of each protocol.
fn check_reasons(reasons: &[Reason]) -> Result<(), Error> {
    for (index, reason) in reasons.iter().enumerate() {
        let protocol = &reason.protocol;
        if !reason.is_valid() {
            return Err(Error::invalid("reason", protocol, "its protocol is no token"));
        }
        let mut before = reasons.iter().take(index);
        if before.any(|other| other.protocol.eq_ignore_ascii_case(protocol)) {
            let problem = "there is one of that protocol already";
            return Err(Error::invalid("reason", protocol, problem));
        }
    }
    Ok(())
}
