//! Our move to another network in the middle of a session: new ports, a new Contact, and a re-INVITE
//! that names both (RFC 3261 §14.1).

use super::Session;
use crate::agent::{CallAlarm, Context, Reach};
use crate::call::common::Common;
use crate::call::{Call, Step};
use crate::time::Duration;
use crate::timers::TimerId;

/// Up to the point where re-INVITE is due, which is a [`Change`](super::change::Change).
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
    /// Our NAT has moved: a re-INVITE names our new address.
    pub(crate) fn relocate(&mut self, cx: &mut Context<'_>) {
        self.in_session(cx, Session::relocate);
    }
}

impl Session {
    /// The network has changed. What was asked of the far end, and has not been answered, is asked
    /// again from the new one.
    pub(in crate::call) fn relocate(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        if self.is_terminating() || self.is_remainder() {
            return Step::Stay;
        }
        self.begin_relocation(call, cx);
        self.advance(call, cx)
    }

    /// The same, but that the path is left to [`advance`](Self::advance).
    pub(in crate::call) fn begin_relocation(&mut self, call: &mut Common, cx: &mut Context<'_>) {
        self.dialog.forget_link();
        if self.withdraw_change(cx) {
            call.media.withdraw();
        }
        if let Some(relocation) = self.relocation.replace(Relocation::new()) {
            relocation.close(cx);
        }
    }

    /// Looks for a path, and asks for ports.
    pub(super) fn advance_relocation(&mut self, call: &mut Common, cx: &mut Context<'_>) {
        let is_held_up = self.is_terminating() || call.media.is_binding();
        let Some(relocation) = self.relocation.as_mut().filter(|_| !is_held_up) else { return };
        let State::Seeking = relocation.state else { return };
        match cx.reach_dialog(&self.dialog, call.owner()) {
            Reach::Open(path) => {
                relocation.state = State::Binding;
                self.contact = cx.contact(&path).into();
                call.media.rebind(cx, path.to.ip());
            }
            Reach::Later => {}
            Reach::Never(_) => self.put_off_relocation(call, cx),
        }
    }

    /// There is no path yet.
    pub(super) fn put_off_relocation(&mut self, call: &Common, cx: &mut Context<'_>) {
        let Some(relocation) = self.relocation.as_mut() else { return };
        let State::Seeking = relocation.state else { return };
        relocation.misses += 1;
        if relocation.misses > MAX_MISSES {
            self.relocation = None;
            return;
        }
        let timer = cx.set_timer(WAIT, call.alarm(CallAlarm::Relocate));
        relocation.state = State::Waiting(timer);
    }

    /// It is time to look for a path again.
    pub(super) fn retry_relocation(&mut self, call: &mut Common, cx: &mut Context<'_>) -> Step {
        let Some(relocation) = &mut self.relocation else { return Step::Stay };
        relocation.state = State::Seeking;
        self.advance(call, cx)
    }

    /// The ports are there, or there are none and the old ones have to do. False when it was not
    /// waiting for them.
    pub(super) fn move_to_new_ports(&mut self, call: &mut Common, cx: &mut Context<'_>) -> bool {
        let is_binding = |relocation: &mut Relocation| matches!(relocation.state, State::Binding);
        if self.relocation.take_if(is_binding).is_none() {
            return false;
        }
        self.wish_move();
        call.media.move_to_new_ports(cx);
        true
    }
}
