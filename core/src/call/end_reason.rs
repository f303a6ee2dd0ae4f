//! Why a call ends.

use crate::agent::Lost;
use crate::error::Error;
use crate::event::{Cause, EndedBy};
use crate::sip::{Message, Reason};
use crate::transaction::FailureCause;

/// Why a call ended: what the public [`Ending`](crate::event::Ending) is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct EndReason {
    pub(crate) by: EndedBy,
    pub(crate) cause: Option<Cause>,
    pub(crate) error: Option<Error>,
    /// What BYE, CANCEL or the response says of it.
    pub(crate) reasons: Box<[Reason]>,
}

impl EndReason {
    pub(crate) fn new(by: EndedBy) -> Self {
        Self { by, cause: None, error: None, reasons: Box::default() }
    }

    /// Because of a response.
    pub(crate) fn of(by: EndedBy, response: &Message) -> Self {
        Self {
            cause: Some(Cause::of(response)),
            reasons: Reason::of(response).into(),
            ..Self::new(by)
        }
    }

    /// By the far end, with BYE or CANCEL.
    pub(crate) fn of_request(request: &Message) -> Self {
        Self { reasons: Reason::of(request).into(), ..Self::new(EndedBy::Remote) }
    }

    /// By the application, for these reasons.
    pub(crate) fn local(reasons: Vec<Reason>) -> Self {
        Self { reasons: reasons.into(), ..Self::new(EndedBy::Local) }
    }

    /// Because of something here.
    pub(crate) fn error(error: Option<Error>) -> Self {
        Self { error, ..Self::new(EndedBy::Error) }
    }

    /// With the response that said so, if nothing else did.
    pub(crate) fn or_cause(mut self, response: &Message) -> Self {
        self.cause = self.cause.or_else(|| Some(Cause::of(response)));
        self
    }
}

impl From<Lost> for EndReason {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Unreachable => Self::error(None),
            Lost::Because(error) => Self::error(Some(error)),
        }
    }
}

impl From<FailureCause> for EndReason {
    fn from(cause: FailureCause) -> Self {
        match cause {
            FailureCause::Timeout => Self::new(EndedBy::Timeout),
            _ => Self::error(None),
        }
    }
}
