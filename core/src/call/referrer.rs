//! A call that follows a referral: what is to be reported of it (RFC 3515 §2.4.4, §2.4.5).

use super::Call;
use super::common::Common;
use crate::event::{CallId, CallState, Cause, EndedBy, ReferralId};
use crate::sip::reason_phrase;

/// The call whose far end has sent us to another, and the report that it has not had yet.
#[derive(Debug)]
pub(super) struct Referrer {
    call: CallId,
    referral: ReferralId,
    report: Option<Cause>,
}

impl Call {
    /// Makes this the call that a referral of `call` asks for.
    pub(crate) fn refer_from(&mut self, call: CallId, referral: ReferralId) {
        self.common.referrer = Some(Box::new(Referrer { call, referral, report: None }));
    }

    /// What there is to report, and to which referral of which call; once. A final one is the last.
    pub(crate) fn next_report(&mut self) -> Option<(CallId, ReferralId, Cause)> {
        let referrer = self.common.referrer.as_mut()?;
        let (call, referral, report) = (referrer.call, referrer.referral, referrer.report.take()?);
        if report.code >= 200 {
            self.common.referrer = None;
        }
        Some((call, referral, report))
    }
}

impl Common {
    /// Notes what there is to report about this call.
    pub(super) fn note_report(&mut self, cause: &Cause) {
        // A 3xx that is followed is not the outcome.
        let decided = matches!(self.state, CallState::Answered | CallState::Ended);
        if let Some(referrer) = self.referrer.as_mut().filter(|_| decided || cause.code < 200) {
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
        self.note_report(&Cause::new(code, reason_phrase(code)));
    }
}
