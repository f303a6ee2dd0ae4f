//! Our move to another network in the middle of a session: new ports, a new Contact, and a re-INVITE
//! that tells the far end of both (RFC 3261 §14.1).

use super::ask::reach;
use crate::agent::{Alarm, CallAlarm, Context, Reach};
use crate::call::{Call, Stage};
use crate::time::Duration;
use crate::timers::TimerId;

/// Up to the point where the far end has to be told, which is a [`Change`](super::change::Change).
///
/// ```text
///   network_changed ─► Seeking ── path ──► Binding ── ports, or none ──► (a change is due)
///                        ▲  │ none
///            it is time  │  ▼
///                       Waiting ── too often ──► (given up: the call stays as it is)
/// ```
#[derive(Debug)]
pub(super) struct Relocation {
    state: State,
    /// How often there was no path.
    misses: u8,
}

#[derive(Debug)]
enum State {
    Seeking,
    Binding,
    Waiting(TimerId),
}

/// How long a network that is just coming up is given before it is looked at again.
const WAIT: Duration = Duration::from_secs(2);

/// How often it is looked at. The application says so when another one has come.
const MAX_MISSES: u8 = 30;

impl Relocation {
    pub(super) fn new() -> Self {
        Self { state: State::Seeking, misses: 0 }
    }

    pub(super) fn close(self, cx: &mut Context<'_>) {
        if let State::Waiting(timer) = self.state {
            cx.cancel_timer(timer);
        }
    }
}

impl Call {
    /// The network has changed. What was asked of the far end, and has not been answered, is asked
    /// again from the new one.
    pub(crate) fn relocate(&mut self, cx: &mut Context<'_>) {
        let Stage::Session(session) = &mut self.stage else { return };
        if session.termination.is_some() {
            return;
        }
        session.dialog.forget_link();
        if session.withdraw_change(cx) {
            self.media.withdraw();
        }
        if let Some(relocation) = session.relocation.replace(Relocation::new()) {
            relocation.close(cx);
        }
        self.advance(cx);
    }

    /// Looks for a path, and asks for ports.
    pub(super) fn advance_relocation(&mut self, cx: &mut Context<'_>) {
        let Stage::Session(session) = &mut self.stage else { return };
        let Some(relocation) = &mut session.relocation else { return };
        if !matches!(relocation.state, State::Seeking)
            || session.termination.is_some()
            || self.media.is_binding()
        {
            return;
        }
        match reach(cx, self.id, &session.dialog) {
            Reach::Open(path) => {
                relocation.state = State::Binding;
                session.contact = cx.contact(&path).into();
                self.media.rebind(cx, path.to.ip());
            }
            Reach::Later => {}
            Reach::Never(_) => self.relocation_lost(cx),
        }
    }

    /// There is no path yet.
    pub(super) fn relocation_lost(&mut self, cx: &mut Context<'_>) {
        let Stage::Session(session) = &mut self.stage else { return };
        let Some(relocation) = session.relocation.as_mut() else { return };
        if !matches!(relocation.state, State::Seeking) {
            return;
        }
        relocation.misses += 1;
        if relocation.misses > MAX_MISSES {
            session.relocation = None;
            return;
        }
        let timer = cx.set_timer(WAIT, Alarm::Call(self.id, CallAlarm::Relocate));
        relocation.state = State::Waiting(timer);
    }

    pub(super) fn relocation_alarm(&mut self, cx: &mut Context<'_>) {
        let Stage::Session(session) = &mut self.stage else { return };
        if let Some(relocation) = &mut session.relocation {
            relocation.state = State::Seeking;
            self.advance(cx);
        }
    }

    /// The ports are there, or there are none and the old ones have to do. Whether it was waiting for
    /// them.
    pub(in crate::call) fn relocation_ports(&mut self, cx: &mut Context<'_>) -> bool {
        let Stage::Session(session) = &mut self.stage else { return false };
        let binding = |relocation: &mut Relocation| matches!(relocation.state, State::Binding);
        if session.relocation.take_if(binding).is_none() {
            return false;
        }
        session.wish_moved();
        self.media.move_to_new_ports(cx);
        self.advance(cx);
        true
    }
}
