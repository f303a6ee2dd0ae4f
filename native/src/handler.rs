//! A class of calls: [`CallHandler`] (what pyVoIP's `call_class` is for).

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use offhook_core::event::{CallDirection, Cause, EndedBy};

use crate::broadcast::Events;
use crate::call::Call;
use crate::driver::board::LineJobs;
use crate::event::{CallEvent, CallState, Ending, Event};
use crate::phone::shared::PhoneShared;
use tokio::sync::oneshot;

/// What is done with each call of a phone, hook by hook, in place of the methods that a subclass of
/// pyVoIP's VoIPCall overrides. Every hook does nothing unless it is written; in an implementation
/// each is an `async fn`.
///
/// ```no_run
/// use offhook::{Call, CallHandler, Ending, Phone, PhoneParameters};
///
/// struct Doorbell;
///
/// impl CallHandler for Doorbell {
///     async fn ringing(&self, call: Call) {
///         if call.answer().await.is_ok() {
///             let _ = call.play("welcome.wav").await;
///         }
///     }
///
///     async fn dtmf(&self, call: Call, digit: char) {
///         if digit == '#' {
///             let _ = call.hangup().await;
///         }
///     }
/// }
///
/// # async fn run() -> Result<(), offhook::Error> {
/// let phone = Phone::new(PhoneParameters::new("pbx.example.com", "door").password("secret"));
/// phone.set_call_handler(Doorbell);
/// phone.start().await?;
/// # Ok(())
/// # }
/// ```
///
/// The hooks of one call are run one after the other, in the order in which things happened; the
/// next waits until the one before has returned. Only `dtmf` does not wait for the others, nor they for
/// it: digits come while `ringing` still plays a menu. Digits wait for each other, so they come in order;
/// and `bye` and `ended` wait for all. Calls do not wait for each other. A hook that wants to go on while
/// others run spawns a task with a clone of the call.
///
/// A phone with a handler holds each of its calls until it is over, so a call that nobody answers
/// keeps ringing; and [`Phone::incoming`](crate::Phone::incoming) gives none, for each call has one
/// taker. [`Phone::events`](crate::Phone::events) and [`Call::events`] go on as ever.
///
/// A hook that panics ends its own call, and no further hook of it is run;
/// [`Event::HandlerPanicked`] says so.
///
/// | what happens                                               | hooks                    |
/// |------------------------------------------------------------|--------------------------|
/// | somebody calls                                             | `ringing`                |
/// | 101 to 199 to a call of ours (pyVoIP: 183, or `ringing`)   | `progress`               |
/// | 2xx to a call of ours                                      | `answered`               |
/// | 486 or 600 to a call of ours                               | `busy`, `ended`          |
/// | 404 or 604 to a call of ours                               | `not_found`, `ended`     |
/// | any other refusal (pyVoIP: 503), no answer, no way there   | `unavailable`, `ended`   |
/// | the far end hangs up, or gives up before we answered       | `bye`, `ended`           |
/// | we hang up, cancel or deny; silence; the phone stops       | `ended`                  |
/// | hold, resume, another codec or address of the far end      | `renegotiate`            |
/// | a digit                                                    | `dtmf`                   |
pub trait CallHandler: Send + Sync + 'static {
    /// Somebody calls: [`Call::answer`], [`Call::deny`], or nothing, and it goes on ringing.
    fn ringing(&self, call: Call) -> impl Future<Output = ()> + Send {
        let _ = call;
        async {}
    }

    /// A call of ours is under way: it rings (180), or has early media (183). Once for each
    /// response that says more.
    fn progress(&self, call: Call, cause: Cause) -> impl Future<Output = ()> + Send {
        let _ = (call, cause);
        async {}
    }

    /// A call of ours was answered.
    fn answered(&self, call: Call) -> impl Future<Output = ()> + Send {
        let _ = call;
        async {}
    }

    /// A call of ours was refused: 486 Busy Here or 600 Busy Everywhere.
    fn busy(&self, call: Call) -> impl Future<Output = ()> + Send {
        let _ = call;
        async {}
    }

    /// A call of ours was refused: 404 Not Found or 604 Does Not Exist Anywhere.
    fn not_found(&self, call: Call) -> impl Future<Output = ()> + Send {
        let _ = call;
        async {}
    }

    /// A call of ours came to nothing in any other way: another refusal, no answer in time, no way
    /// there. [`ended`](Self::ended) has the reason.
    fn unavailable(&self, call: Call) -> impl Future<Output = ()> + Send {
        let _ = call;
        async {}
    }

    /// The far end has ended the call: hung up, or given up before we answered.
    fn bye(&self, call: Call) -> impl Future<Output = ()> + Send {
        let _ = call;
        async {}
    }

    /// The far end has changed the session, and the change has been answered: [`Call::info`] says
    /// how it is now.
    fn renegotiate(&self, call: Call) -> impl Future<Output = ()> + Send {
        let _ = call;
        async {}
    }

    /// The far end has pressed a digit, perhaps while another hook runs. It also waits for
    /// [`Call::read_dtmf`].
    fn dtmf(&self, call: Call, digit: char) -> impl Future<Output = ()> + Send {
        let _ = (call, digit);
        async {}
    }

    /// The call is over, however it ended: the last hook of every call.
    fn ended(&self, call: Call, ending: Ending) -> impl Future<Output = ()> + Send {
        let _ = (call, ending);
        async {}
    }
}

/// A call of a handler's method.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Hook {
    Ringing,
    Progress(Cause),
    Answered,
    Busy,
    NotFound,
    Unavailable,
    Bye,
    Renegotiate,
    Dtmf(char),
    Ended(Box<Ending>),
}

/// A handler of any type.
pub(crate) trait Hooks: Send + Sync {
    fn run(&self, hook: Hook, call: Call) -> Running<'_>;
}

type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl<H: CallHandler> Hooks for H {
    fn run(&self, hook: Hook, call: Call) -> Running<'_> {
        match hook {
            Hook::Ringing => Box::pin(self.ringing(call)),
            Hook::Progress(cause) => Box::pin(self.progress(call, cause)),
            Hook::Answered => Box::pin(self.answered(call)),
            Hook::Busy => Box::pin(self.busy(call)),
            Hook::NotFound => Box::pin(self.not_found(call)),
            Hook::Unavailable => Box::pin(self.unavailable(call)),
            Hook::Bye => Box::pin(self.bye(call)),
            Hook::Renegotiate => Box::pin(self.renegotiate(call)),
            Hook::Dtmf(digit) => Box::pin(self.dtmf(call, digit)),
            Hook::Ended(ending) => Box::pin(self.ended(call, *ending)),
        }
    }
}

impl Hook {
    fn name(&self) -> &'static str {
        match self {
            Self::Ringing => "ringing",
            Self::Progress(_) => "progress",
            Self::Answered => "answered",
            Self::Busy => "busy",
            Self::NotFound => "not_found",
            Self::Unavailable => "unavailable",
            Self::Bye => "bye",
            Self::Renegotiate => "renegotiate",
            Self::Dtmf(_) => "dtmf",
            Self::Ended(_) => "ended",
        }
    }

    /// What to run because of an event other than a digit.
    fn of(event: CallEvent, direction: CallDirection) -> Vec<Self> {
        let ours = direction == CallDirection::Outgoing;
        match event {
            CallEvent::State { state: CallState::Answered, .. } if ours => vec![Self::Answered],
            CallEvent::State { cause: Some(cause), .. }
                if ours && (101..=199).contains(&cause.code) =>
            {
                vec![Self::Progress(cause)]
            }
            CallEvent::Renegotiated => vec![Self::Renegotiate],
            CallEvent::Ended(ending) => {
                let why = Self::of_ending(&ending, ours);
                why.into_iter().chain([Self::Ended(ending)]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What the far end did to end the call, if it did.
    fn of_ending(ending: &Ending, ours: bool) -> Option<Self> {
        let code = ending.cause.as_ref().map(|cause| cause.code);
        match (ending.by, code) {
            (EndedBy::Local, _) => None,
            (_, Some(486 | 600)) if ours && !ending.was_answered() => Some(Self::Busy),
            (_, Some(404 | 604)) if ours && !ending.was_answered() => Some(Self::NotFound),
            _ if ours && !ending.was_answered() => Some(Self::Unavailable),
            (EndedBy::Remote, _) => Some(Self::Bye),
            _ => None,
        }
    }
}

/// Holds one call until it is over, and runs its hooks for what happens from now on.
pub(crate) fn attend(
    hooks: Arc<dyn Hooks>,
    call: Call,
    jobs: LineJobs,
    phone_shared: Arc<PhoneShared>,
) -> impl Future<Output = ()> + Send {
    let (digits, course) = (call.listen(), call.listen());
    async move {
        let attended = Attended { hooks: &*hooks, call: &call };
        let (done, digits_done) = oneshot::channel();
        let digits = attended.run_digits(digits, done);
        let course = attended.run_course(course, digits_done);
        if let Err((hook, message)) = tokio::try_join!(digits, course) {
            let id = call.id();
            phone_shared.publish(&Event::HandlerPanicked { call: id, hook, message });
            let _ = jobs.send(Box::new(move |line, _| line.phone.end(id)));
        }
    }
}

/// A call, and whom its hooks belong to.
struct Attended<'a> {
    hooks: &'a dyn Hooks,
    call: &'a Call,
}

/// The name of a hook that panicked, and what it said.
type Panicked = (&'static str, String);

impl Attended<'_> {
    /// Runs `dtmf` for each digit, and drops `done` when no more can come.
    async fn run_digits(
        &self,
        mut events: Events<CallEvent>,
        done: oneshot::Sender<()>,
    ) -> Result<(), Panicked> {
        let _done = done;
        while let Some(event) = events.next().await {
            match event {
                CallEvent::Dtmf { digit, .. } => self.run(Hook::Dtmf(digit)).await?,
                CallEvent::Ended(_) => break,
                _ => {}
            }
        }
        Ok(())
    }

    /// Runs all other hooks; those of the end once the hooks of all digits have been run.
    async fn run_course(
        &self,
        mut events: Events<CallEvent>,
        digits_done: oneshot::Receiver<()>,
    ) -> Result<(), Panicked> {
        let direction = self.call.info().direction;
        if direction == CallDirection::Incoming {
            self.run(Hook::Ringing).await?;
        }
        let mut digits_done = Some(digits_done);
        while let Some(event) = events.next().await {
            if let CallEvent::Ended(_) = event
                && let Some(done) = digits_done.take()
            {
                let _ = done.await;
            }
            for hook in Hook::of(event, direction) {
                self.run(hook).await?;
            }
        }
        Ok(())
    }

    async fn run(&self, hook: Hook) -> Result<(), Panicked> {
        let name = hook.name();
        let ran = caught(async { self.hooks.run(hook, self.call.clone()).await }).await;
        ran.map_err(|message| (name, message))
    }
}

/// Runs something of the application's; when it panics, what it said.
async fn caught(hook: impl Future<Output = ()>) -> Result<(), String> {
    let mut hook = pin!(hook);
    // A future that has panicked is not polled again, and nothing of ours is in it.
    let polled = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| hook.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(said(&*panic))),
    });
    polled.await
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_end_has_its_hooks() {
        let ending = |by, code: Option<u16>, answered: bool| {
            let mut ending = Ending::new(by);
            ending.cause = code.map(|code| Cause::new(code, ""));
            ending.setup = answered.then_some(std::time::Duration::ZERO);
            Box::new(ending)
        };
        use CallDirection::{Incoming, Outgoing};
        use EndedBy::{Error, Local, Remote, Timeout};
        for (direction, by, code, answered, expected) in [
            (Outgoing, Remote, Some(486), false, Some(Hook::Busy)),
            (Outgoing, Remote, Some(600), false, Some(Hook::Busy)),
            (Outgoing, Remote, Some(404), false, Some(Hook::NotFound)),
            (Outgoing, Remote, Some(604), false, Some(Hook::NotFound)),
            (Outgoing, Remote, Some(503), false, Some(Hook::Unavailable)),
            (Outgoing, Remote, Some(480), false, Some(Hook::Unavailable)),
            (Outgoing, Timeout, None, false, Some(Hook::Unavailable)),
            (Outgoing, Error, None, false, Some(Hook::Unavailable)),
            (Outgoing, Local, Some(487), false, None),
            (Outgoing, Remote, None, true, Some(Hook::Bye)),
            (Outgoing, Timeout, None, true, None),
            (Outgoing, Local, None, true, None),
            (Incoming, Remote, Some(487), false, Some(Hook::Bye)),
            (Incoming, Remote, None, true, Some(Hook::Bye)),
            (Incoming, Local, Some(486), false, None),
            (Incoming, Timeout, Some(480), false, None),
        ] {
            let ending = ending(by, code, answered);
            let mut hooks = Hook::of(CallEvent::Ended(ending.clone()), direction);
            assert_eq!(hooks.pop(), Some(Hook::Ended(ending)));
            assert_eq!(hooks.pop(), expected, "{direction:?} {by:?} {code:?} {answered}");
            assert!(hooks.is_empty());
        }
    }
}
