//! A far end's request that we call somebody else instead (REFER).

use std::sync::Arc;

use offhook_core::error::Error as Refusal;
use offhook_core::event::{CallId, CallState, ReferralId};
use tokio::sync::oneshot;

use crate::call::Call;
use crate::call::shared::CallShared;
use crate::driver::board::LineJobs;
use crate::error::Error;
use crate::incoming::Passing;

/// The far end of a call wants us to call somebody else: the call is to be transferred. Nothing is
/// called before it is accepted, which has to be within 20 s. Dropping it refuses.
#[derive(Debug)]
pub struct Referral {
    shared: Arc<CallShared>,
    /// Until it has been decided.
    open: Option<(ReferralId, LineJobs)>,
    to: String,
    by: String,
}

impl Referral {
    pub(crate) fn new(
        shared: Arc<CallShared>,
        id: ReferralId,
        jobs: LineJobs,
        (to, by): (String, String),
    ) -> Self {
        Self { shared, open: Some((id, jobs)), to, by }
    }

    /// The call whose far end wants it.
    pub fn call(&self) -> CallId {
        self.shared.id
    }

    /// The URI that we should call.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// The URI of the referrer, from Referred-By, or else the far end's URI; not authenticated.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// Calls the target, and reports the progress to the far end. Returns the new call when it is on
    /// its way. The old one lasts until somebody hangs it up, mostly the far end when it learns of
    /// success.
    ///
    /// # Errors
    /// [`NoSuchReferral`](Refusal::NoSuchReferral) when it is too late;
    /// [`TooManyCalls`](Refusal::TooManyCalls); [`Error::NotRunning`]; what is missing on this side
    /// to call, as [`Phone::call`](crate::Phone::call) says.
    pub async fn accept(mut self) -> Result<Call, Error> {
        let (id, jobs) = self.open.take().ok_or(Error::NotRunning)?;
        let (sender, placed) = oneshot::channel();
        let back = jobs.clone();
        jobs.send(Box::new(move |line, _| {
            // If the taker gave up, the call is dropped here, and cancelled by that.
            let _ = sender.send(line.accept_referral(&back, id));
        }))
        .map_err(|_| Error::NotRunning)?;
        let call = placed.await.map_err(|_| Error::NotRunning)??;
        call.placed().await?;
        Ok(call)
    }

    /// Refuses it (603 Decline).
    ///
    /// # Errors
    /// [`NoSuchReferral`](Refusal::NoSuchReferral) when it is too late; [`Error::NotRunning`].
    pub async fn reject(mut self) -> Result<(), Error> {
        let (id, jobs) = self.open.take().ok_or(Error::NotRunning)?;
        let (sender, result) = oneshot::channel();
        jobs.send(Box::new(move |line, _| {
            let _ = sender.send(line.phone.reject_referral(id));
        }))
        .map_err(|_| Error::NotRunning)?;
        let result: Result<(), Refusal> = result.await.map_err(|_| Error::NotRunning)?;
        Ok(result?)
    }
}

impl Passing for Referral {
    fn is_over(&self) -> bool {
        self.shared.status.borrow().state == CallState::Ended
    }
}

impl Drop for Referral {
    fn drop(&mut self) {
        if let Some((id, jobs)) = self.open.take() {
            let _ = jobs.send(Box::new(move |line, _| drop(line.phone.reject_referral(id))));
        }
    }
}
