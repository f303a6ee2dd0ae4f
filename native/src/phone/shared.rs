//! What the handles of a phone and its driver have in common.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use offhook_core::error::Error as Problem;
use offhook_core::event::{Cause, PhoneStatus};
use offhook_core::phone::Counters;
use tokio::sync::watch;

use crate::broadcast::Broadcast;
use crate::call::Call;
use crate::error::Error;
use crate::event::{Event, PhoneEvent};
use crate::handler::Hooks;
use crate::incoming::Queue;
use crate::referral::Referral;

/// Why a registration failed: the response, or what was in the way of it.
pub(crate) type Failure = (Option<Cause>, Option<Problem>);

/// What the handles of a phone and its driver share: the driver writes, the handles read.
pub(crate) struct PhoneShared {
    pub(super) status: watch::Sender<PhoneStatus>,
    pub(super) events: Broadcast<Event>,
    pub(super) incoming: Mutex<Arc<Queue<Call>>>,
    pub(super) referrals: Mutex<Arc<Queue<Referral>>>,
    pub(super) failure: Mutex<Failure>,
    /// Those of the last run that is over.
    pub(super) counters: Mutex<Counters>,
    pub(super) hooks: Mutex<Option<Arc<dyn Hooks>>>,
}

impl std::fmt::Debug for PhoneShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PhoneShared")
            .field("status", &*self.status.borrow())
            .finish_non_exhaustive()
    }
}

impl PhoneShared {
    pub(super) fn new() -> Self {
        Self {
            status: watch::Sender::new(PhoneStatus::Inactive),
            events: Broadcast::new(|missed| Event::Lagged { missed }),
            incoming: Mutex::default(),
            referrals: Mutex::default(),
            failure: Mutex::default(),
            counters: Mutex::default(),
            hooks: Mutex::default(),
        }
    }

    pub(crate) fn publish(&self, event: &Event) {
        self.events.send(event);
    }

    /// What every call is given to, if the application wants that.
    pub(crate) fn hooks(&self) -> Option<Arc<dyn Hooks>> {
        lock(&self.hooks).clone()
    }

    pub(crate) fn ring(&self, call: Call) {
        let queue = lock(&self.incoming).clone();
        queue.push(call);
    }

    pub(crate) fn refer(&self, referral: Referral) {
        let queue = lock(&self.referrals).clone();
        queue.push(referral);
    }

    /// Sets and publishes a status. FAILED stays when the phone then stops, so that it can still be read.
    pub(crate) fn set_status(&self, status: PhoneStatus) {
        let ending = matches!(status, PhoneStatus::Deregistering | PhoneStatus::Inactive);
        let changed = self.status.send_if_modified(|now| {
            let changed = *now != status && !(ending && *now == PhoneStatus::Failed);
            if changed {
                *now = status;
            }
            changed
        });
        if changed {
            self.publish(&Event::Phone(PhoneEvent::Status(status)));
        }
    }

    /// Sets and publishes the status of a phone whose status is FAILED; returns whether it was.
    pub(super) fn leave_failed(&self, status: PhoneStatus) -> bool {
        let failed = self.status.send_if_modified(|now| {
            let failed = *now == PhoneStatus::Failed;
            if failed {
                *now = status;
            }
            failed
        });
        if failed {
            self.publish(&Event::Phone(PhoneEvent::Status(status)));
        }
        failed
    }

    pub(crate) fn registration_failed(&self, cause: Option<Cause>, error: Option<Problem>) {
        *lock(&self.failure) = (cause.clone(), error.clone());
        self.publish(&Event::Phone(PhoneEvent::RegistrationFailed { cause, error }));
    }

    /// A start has failed: on this side, or because of the server.
    pub(super) fn start_failed(&self, error: &Error) {
        self.set_status(PhoneStatus::Failed);
        let (code, message) = (error.code(), error.to_string());
        self.publish(&Event::StartFailed { code, message });
    }

    /// Keeps what a run that ends has counted.
    pub(crate) fn keep_counters(&self, counters: Counters) {
        *lock(&self.counters) = counters;
    }

    /// Ends the streams of this run; new ones are for the next.
    pub(super) fn close(&self) {
        self.set_status(PhoneStatus::Inactive);
        self.events.close();
        let queue = std::mem::take(&mut *lock(&self.incoming));
        queue.close();
        let queue = std::mem::take(&mut *lock(&self.referrals));
        queue.close();
    }
}

/// Nothing that is locked here is left half changed by a panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
