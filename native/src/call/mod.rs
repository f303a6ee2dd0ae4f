//! A telephone call, as the application holds it.

pub(crate) mod shared;
mod sound;

use std::path::Path;
use std::sync::Arc;

use offhook_core::call::{CallInfo, DenyOptions, TransferOptions};
use offhook_core::codec::Codec;
use offhook_core::error::Error as Refusal;
use offhook_core::event::{CallId, CallState, Cause, EndedBy, HoldBy, Reply};
use offhook_core::phone::RequestOptions;
use offhook_core::rtp::MediaStats;
use offhook_core::sip::Reason;
use tokio::sync::oneshot;

use crate::audio::recording::{Kept, Recording};
use crate::broadcast::Events;
use crate::driver::board::LineJobs;
use crate::driver::line::Line;

use crate::error::Error;
use crate::event::{CallEvent, Ending};
use shared::{CallShared, Status};

/// A call. Cheap to clone; when the last clone is dropped, the call is hung up, cancelled or
/// denied, whichever its state allows.
///
/// Everything that waits is cancel-safe: dropping the future leaves the call as it was, with
/// nothing lost, except that [`play`](Self::play) stops playing.
///
/// When a command has returned, [`state`](Self::state) is the new one: after [`hangup`](Self::hangup)
/// and [`deny`](Self::deny) it is [`CallState::Ended`]. A call that is over refuses every command with
/// [`Error::Ended`], however long it has been over, also when its phone has stopped.
#[derive(Clone, Debug)]
pub struct Call {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    shared: Arc<CallShared>,
    jobs: LineJobs,
    playing: tokio::sync::Mutex<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let id = self.shared.id;
        if self.shared.status.borrow().ending.is_none() {
            let _ = self.jobs.send(Box::new(move |line, _| line.phone.end(id)));
        }
    }
}

/// What became of a transfer.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a transfer may have failed"]
pub enum Transfer {
    /// The far end has agreed (blind) or has reached the target; the call has ended or ends now.
    Transferred,
    /// The far end refused, the target was not reached, or nobody said what became of it. Unless the
    /// call has ended meanwhile, it goes on.
    Failed {
        /// The response to REFER, or the target's that was reported; `None` when there was none.
        cause: Option<Cause>,
    },
}

impl Call {
    pub(crate) fn new(shared: Arc<CallShared>, jobs: LineJobs) -> Self {
        let playing = tokio::sync::Mutex::new(());
        Self { held: Arc::new(Held { shared, jobs, playing }) }
    }

    fn shared(&self) -> &CallShared {
        &self.held.shared
    }

    /// The call's number; no other call of the phone has it.
    pub fn id(&self) -> CallId {
        self.shared().id
    }

    /// Where the call stands.
    pub fn state(&self) -> CallState {
        self.shared().status.borrow().state
    }

    /// Who calls whom, by which headers and codec.
    pub fn info(&self) -> CallInfo {
        let state = self.state();
        let mut info = self.shared().profile().info();
        info.state = state;
        info
    }

    /// Samples a second inside the call: what the codec carries; audio at this rate is not resampled.
    /// 8000 before a codec is agreed.
    pub fn rate(&self) -> u32 {
        // The media may learn of the answer a moment later than who waits for it.
        let agreed = self.shared().profile().info().codec;
        agreed.map_or_else(|| self.shared().session().rate(), Codec::sample_rate)
    }

    /// What happens on the call. The first stream also has what has happened since the call was
    /// placed or came in, so nothing is missed in between; others have what happens from now on.
    pub fn events(&self) -> Events<CallEvent> {
        self.shared().events.listen_first()
    }

    /// What happens from now on, without what is kept for the application's first listener.
    pub(crate) fn listen(&self) -> Events<CallEvent> {
        self.shared().events.listen()
    }

    /// What the call's media has done so far; stays readable when the call is over.
    pub fn stats(&self) -> MediaStats {
        self.shared().session().stats()
    }

    /// Answers an incoming call, and returns when it is up.
    ///
    /// # Errors
    /// [`InvalidState`](Refusal::InvalidState) unless it is ringing;
    /// [`NoPortsAvailable`](Refusal::NoPortsAvailable); [`Error::Ended`] when the caller gave up.
    pub async fn answer(&self) -> Result<(), Error> {
        self.command(|line, id| line.phone.answer(id)).await?;
        self.answered().await
    }

    /// Opens the media of a ringing call before it is answered (183 Session Progress), for
    /// announcements; returns when it is open.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub async fn progress(&self) -> Result<(), Error> {
        self.command(|line, id| line.phone.progress(id)).await?;
        self.reached(|state| matches!(state, CallState::Progress | CallState::Answered)).await
    }

    /// Refuses a ringing call with a status `code`, 400 to 699, and a reason or the code's own.
    ///
    /// # Errors
    /// [`InvalidState`](Refusal::InvalidState) unless it is ringing;
    /// [`InvalidValue`](Refusal::InvalidValue) for another code.
    pub async fn deny(&self, code: u16, reason: Option<&str>) -> Result<(), Error> {
        let reason = reason.map(str::to_owned);
        self.command(move |line, id| line.phone.deny(id, code, reason.as_deref())).await
    }

    /// The same, and says more: after what time the caller may try again.
    ///
    /// # Errors
    /// As [`deny`](Self::deny).
    pub async fn deny_with(&self, code: u16, options: DenyOptions) -> Result<(), Error> {
        self.command(move |line, id| line.phone.deny_with(id, code, options)).await
    }

    /// Sends the caller of a ringing call to another URI (302 Moved Temporarily).
    ///
    /// # Errors
    /// As [`deny`](Self::deny).
    pub async fn redirect(&self, contact: &str) -> Result<(), Error> {
        let contact = contact.to_owned();
        self.command(move |line, id| line.phone.redirect(id, &contact)).await
    }

    /// Ends an answered call.
    ///
    /// # Errors
    /// [`InvalidState`](Refusal::InvalidState) in any other state.
    pub async fn hangup(&self) -> Result<(), Error> {
        self.command(|line, id| line.phone.hangup(id)).await
    }

    /// The same, and BYE says why (RFC 3326): [`Reason::q850`] for a telephone network, say. At most one
    /// reason of each protocol.
    ///
    /// # Errors
    /// As [`hangup`](Self::hangup); [`InvalidValue`](Refusal::InvalidValue) for reasons that cannot be said.
    pub async fn hangup_for(&self, reasons: &[Reason]) -> Result<(), Error> {
        let reasons = reasons.to_vec();
        self.command(move |line, id| line.phone.hangup_for(id, &reasons)).await
    }

    /// Puts the far end on hold, and returns when it has agreed. What is written may still be sent
    /// to it; nothing is heard of it.
    ///
    /// # Errors
    /// [`InvalidState`](Refusal::InvalidState) unless the call is answered; [`Error::Rejected`] when
    /// the far end refuses: the call goes on as it was; [`Error::Unchanged`] when
    /// [`resume`](Self::resume) came first, or the far end could not be asked.
    pub async fn hold(&self) -> Result<(), Error> {
        self.set_hold(true).await
    }

    /// Takes the far end off our hold, and returns when it has agreed.
    ///
    /// # Errors
    /// As [`hold`](Self::hold).
    pub async fn resume(&self) -> Result<(), Error> {
        self.set_hold(false).await
    }

    async fn set_hold(&self, held: bool) -> Result<(), Error> {
        let mut events = self.listen();
        self.command(move |line, id| match held {
            true => line.phone.hold(id),
            false => line.phone.resume(id),
        })
        .await?;
        while let Some(event) = events.next().await {
            match event {
                CallEvent::Hold { by: HoldBy::Local, held: now } if now == held => return Ok(()),
                CallEvent::Lagged { .. } if self.info().holding == held => return Ok(()),
                CallEvent::HoldFailed { held: asked, cause } if asked == held => {
                    return Err(cause.map_or(Error::Unchanged, |cause| Error::Rejected { cause }));
                }
                _ => {}
            }
        }
        Err(self.over())
    }

    /// Gives up an outgoing call that is not answered yet. If the answer crosses, it is taken and
    /// hung up.
    ///
    /// # Errors
    /// [`InvalidState`](Refusal::InvalidState) in any other state.
    pub async fn cancel(&self) -> Result<(), Error> {
        self.command(|line, id| line.phone.cancel(id)).await
    }

    /// The same, and CANCEL says why (RFC 3326), as BYE does with [`hangup_for`](Self::hangup_for).
    ///
    /// # Errors
    /// As [`cancel`](Self::cancel); [`InvalidValue`](Refusal::InvalidValue) for reasons that cannot be said.
    pub async fn cancel_for(&self, reasons: &[Reason]) -> Result<(), Error> {
        let reasons = reasons.to_vec();
        self.command(move |line, id| line.phone.cancel_for(id, &reasons)).await
    }

    /// Asks the far end to call `target`, a SIP URI or, with a server, a number or name there,
    /// instead (REFER), and returns what became of it. Blind, which is the default, the call ends as
    /// soon as the far end has agreed; with [`TransferMode::Notified`] it ends when the far end says
    /// that the target has answered, and goes on when it says that it was not reached. If this
    /// future is dropped the transfer goes on.
    ///
    /// ```no_run
    /// # async fn example(call: offhook::Call) -> Result<(), offhook::Error> {
    /// use offhook::{Transfer, TransferMode};
    ///
    /// match call.transfer("sip:sales@pbx.example.com", TransferMode::Notified).await? {
    ///     Transfer::Transferred => println!("sales has taken it"),
    ///     Transfer::Failed { cause } => println!("still here: {cause:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidState`](Refusal::InvalidState) unless it is answered;
    /// [`TransferPending`](Refusal::TransferPending) while another transfer is under way;
    /// [`InvalidValue`](Refusal::InvalidValue) for a target that cannot be called, or options that
    /// contradict each other.
    ///
    /// [`TransferMode::Notified`]: offhook_core::call::TransferMode::Notified
    pub async fn transfer(
        &self,
        target: &str,
        options: impl Into<TransferOptions>,
    ) -> Result<Transfer, Error> {
        let (sender, outcome) = oneshot::channel();
        let (target, options) = (target.to_owned(), options.into());
        self.command(move |line, id| line.transfer(id, &target, options, sender)).await?;
        outcome.await.map_err(|_| self.over())
    }

    /// Sends the far end of an answered call a request within the call, INFO or one of a new method,
    /// and returns its final response, whatever its status.
    ///
    /// # Errors
    /// [`InvalidState`](Refusal::InvalidState) in any other state;
    /// [`InvalidValue`](Refusal::InvalidValue) for a method that the phone sends by itself;
    /// [`Error::Timeout`] when no answer comes, or the call ends before.
    pub async fn request(&self, method: &str, options: RequestOptions) -> Result<Reply, Error> {
        let (sender, answered) = oneshot::channel();
        let method = method.to_owned();
        self.command(move |line, id| {
            line.request(sender, |phone| phone.request_within(id, &method, options))
        })
        .await?;
        let reply = answered.await.map_err(|_| Error::NotRunning)?;
        reply.map_err(|problem| Error::unanswered(problem, "an answer to the request"))
    }

    /// Waits until the call is answered; it may be over again by then.
    ///
    /// # Errors
    /// [`Error::Rejected`] with the far end's response, [`Error::Timeout`], or how else it ended.
    pub async fn answered(&self) -> Result<(), Error> {
        self.reached(|state| state == CallState::Answered).await
    }

    /// Waits until the call is over, and says how it ended.
    pub async fn ended(&self) -> Ending {
        let mut status = self.shared().status.subscribe();
        let ended = status.wait_for(|status| status.ending.is_some()).await;
        // The sender lives in `self`, so the wait cannot fail.
        ended
            .ok()
            .and_then(|status| status.ending.clone())
            .unwrap_or_else(|| Ending::new(EndedBy::Error))
    }

    /// Waits until the driver has carried an outgoing call as far as it can without the network:
    /// what is missing on this side (a port, an address to tell) has shown by then. What the network
    /// says may come sooner or later, and is the result of [`answered`](Self::answered) alone.
    pub(crate) async fn placed(&self) -> Result<(), Error> {
        let (sender, passed) = oneshot::channel();
        let pass = || {
            let _ = sender.send(());
        };
        let job = move |line: &mut Line, _: &mut _| line.at_rest(pass);
        self.held.jobs.send(Box::new(job)).map_err(|_| Error::NotRunning)?;
        passed.await.map_err(|_| Error::NotRunning)?;
        match &self.shared().status.borrow().ending {
            Some(Ending { error: Some(error), .. }) => match error {
                Refusal::Unreachable { .. } | Refusal::Untrusted { .. } => Ok(()),
                error => Err(error.clone().into()),
            },
            _ => Ok(()),
        }
    }

    async fn reached(&self, wanted: impl Fn(CallState) -> bool) -> Result<(), Error> {
        let mut status = self.shared().status.subscribe();
        // Who hangs up as soon as it is up need not have been seen meanwhile.
        let over = |now: &Status| now.state == CallState::Ended && now.was_answered;
        let settled = |now: &Status| wanted(now.state) || now.ending.is_some() || over(now);
        let reached = status.wait_for(settled).await;
        match reached.as_ref().map(|status| &status.ending) {
            Ok(Some(ending)) if !ending.was_answered() => Err(Error::of_ending(ending)),
            _ => Ok(()),
        }
    }

    /// Sends digits: `0` to `9`, `*`, `#`, `A` to `D`. They queue; see
    /// [`CallEvent::DtmfSent`].
    ///
    /// # Errors
    /// [`InvalidState`](Refusal::InvalidState) before media is agreed; [`Error::Ended`];
    /// [`Error::Dtmf`] for another character, or when the far end takes no digits.
    pub fn send_dtmf(&self, digits: &str) -> Result<(), Error> {
        self.has_media("send digits to")?;
        self.shared().session().send_dtmf(digits)?;
        self.shared().wake();
        Ok(())
    }

    /// Waits for `count` digits, and takes them.
    ///
    /// # Errors
    /// [`Error::Ended`] when the call is over first; [`take_dtmf`](Self::take_dtmf) then has those
    /// that did come.
    pub async fn read_dtmf(&self, count: usize) -> Result<String, Error> {
        let take = |shared: &CallShared| {
            let mut session = shared.session();
            (session.available_dtmf() >= count).then(|| session.take_dtmf(Some(count)))
        };
        self.shared().wait(take).await
    }

    /// Takes digits that came and were not read, oldest first: at most `length`, or all with `None`.
    /// Never waits: empty when there is none. pyVoIP's `get_dtmf`; after 1-9-5
    /// `take_dtmf(Some(1))` is "1", `take_dtmf(Some(2))` "95" and `take_dtmf(Some(1))` "".
    pub fn take_dtmf(&self, length: Option<usize>) -> String {
        self.shared().session().take_dtmf(length)
    }

    /// Records both directions to a WAV file, left what is sent and right what is heard, until the
    /// call ends, at the rate of the codec with which its sound begins. An existing file is
    /// overwritten.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be made; [`Error::Ended`].
    pub fn record(&self, path: impl AsRef<Path>) -> Result<Recording, Error> {
        self.tap(path.as_ref(), Kept::Both)
    }

    /// Records what is heard to a mono WAV file until the call ends, at the rate of the codec with
    /// which its sound begins. An existing file is overwritten.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn record_received(&self, path: impl AsRef<Path>) -> Result<Recording, Error> {
        self.tap(path.as_ref(), Kept::Received)
    }

    fn tap(&self, path: &Path, kept: Kept) -> Result<Recording, Error> {
        if self.state() == CallState::Ended {
            return Err(self.over());
        }
        let recording = self.shared().taps.record(path, kept)?;
        self.shared().session().set_tap(true);
        Ok(recording)
    }

    /// Carries out a command in the phone's driver, and waits for its verdict and until the handle shows
    /// what it has changed.
    async fn command(
        &self,
        command: impl FnOnce(&mut Line, CallId) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<(), Error> {
        if self.state() == CallState::Ended {
            return Err(self.over());
        }
        let (sender, result) = oneshot::channel();
        let id = self.id();
        let job = move |line: &mut Line, _: &mut _| {
            let result = command(line, id);
            line.at_rest(move || drop(sender.send(result)));
        };
        self.held.jobs.send(Box::new(job)).map_err(|_| self.over())?;
        match result.await {
            Ok(Err(
                Refusal::NoSuchCall { .. } | Refusal::InvalidState { state: CallState::Ended, .. },
            ))
            | Err(_) => Err(self.over()),
            Ok(result) => Ok(result?),
        }
    }

    /// The error for a command to a call that is over, or whose phone is gone.
    fn over(&self) -> Error {
        let status = self.shared().status.borrow();
        match &status.ending {
            Some(ending) => Error::Ended { by: ending.by },
            // We have ended it; what becomes of our BYE or our refusal is not known yet.
            None if status.state == CallState::Ended => Error::Ended { by: EndedBy::Local },
            None => Error::NotRunning,
        }
    }

    /// Whether sound can pass: the call is answered, or has early media.
    fn has_media(&self, command: &'static str) -> Result<(), Error> {
        match self.state() {
            CallState::Answered | CallState::Progress => Ok(()),
            CallState::Ended => Err(self.over()),
            state => Err(Refusal::InvalidState { command, state }.into()),
        }
    }
}
