//! The phone: signalling, the only door to it.

use std::collections::VecDeque;

use crate::call::{CallInfo, CallOptions};
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{CallId, CallState, Event, MediaEvent, PhoneStatus, PingId};
use crate::host::{Endpoint, Host, Inbound};
use crate::time::Instant;

/// A telephone's signalling: registers, places and takes calls, and says by [`Event::Media`] what
/// the media machine of each call has to do.
///
/// Commands check the state at once and are carried out at the next crossing, so after each of them
/// call [`handle_deadline`](Endpoint::handle_deadline) ([`next_deadline`](Endpoint::next_deadline)
/// says so). After each crossing take events until [`next_event`](Self::next_event) has none.
#[derive(Debug)]
pub struct Phone {
    parameters: PhoneParameters,
    status: PhoneStatus,
    events: VecDeque<Event>,
}

impl Phone {
    /// A phone that has not started.
    ///
    /// # Errors
    /// [`Error::InvalidRange`] when the RTP range holds no pair, [`Error::InvalidValue`] when a
    /// parameter cannot be used: an empty user, no codec, a user agent with a line feed.
    pub fn new(parameters: PhoneParameters) -> Result<Self, Error> {
        Ok(Self { parameters, status: PhoneStatus::Inactive, events: VecDeque::new() })
    }

    /// What it was made of.
    pub fn parameters(&self) -> &PhoneParameters {
        &self.parameters
    }

    /// Where it stands.
    pub fn status(&self) -> PhoneStatus {
        self.status
    }

    /// Starts: binds, and registers if there is a server and the parameters say so. Ends in status
    /// REGISTERED (at once when nothing has to be registered) or FAILED.
    ///
    /// # Errors
    /// [`Error::InvalidStatus`] unless the phone is INACTIVE or FAILED.
    pub fn start(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Stops: ends every call, whatever its state, takes the registration back and releases
    /// everything. Bounded in time; ends in status INACTIVE. Does nothing when not started.
    pub fn stop(&mut self) {}

    /// Calls `target`: a SIP URI, with or without a display name and angle brackets, or, with a
    /// server, a bare number or name there. The call is DIALING.
    ///
    /// # Errors
    /// [`Error::InvalidStatus`] unless the phone is started, [`Error::InvalidValue`] for a target or
    /// header field that cannot be used, [`Error::TooManyCalls`]. What turns out later comes in
    /// [`Event::Ended`].
    pub fn call(&mut self, target: &str, options: CallOptions) -> Result<CallId, Error> {
        let _ = (target, options);
        Err(Error::InvalidStatus { command: "call from", status: self.status })
    }

    /// Answers a call that is RINGING, or PROGRESS by [`progress`](Self::progress).
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state, and of an outgoing call; [`Error::NoSuchCall`].
    pub fn answer(&mut self, call: CallId) -> Result<(), Error> {
        Err(Error::NoSuchCall { call })
    }

    /// Opens the media of a call that is RINGING before it is answered: sends 183 with our session
    /// description. The call is PROGRESS.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state, and of an outgoing call; [`Error::NoSuchCall`].
    pub fn progress(&mut self, call: CallId) -> Result<(), Error> {
        Err(Error::NoSuchCall { call })
    }

    /// Refuses a call that is RINGING or PROGRESS with `code` (400 to 699; the seed's is 603) and
    /// `reason`, or the code's own phrase.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state, and of an outgoing call; [`Error::NoSuchCall`];
    /// [`Error::InvalidValue`] for another code or a reason with a line feed.
    pub fn deny(&mut self, call: CallId, code: u16, reason: Option<&str>) -> Result<(), Error> {
        let _ = (code, reason);
        Err(Error::NoSuchCall { call })
    }

    /// Sends the caller of a call that is RINGING or PROGRESS to the URI `contact` with 302.
    ///
    /// # Errors
    /// As [`deny`](Self::deny); [`Error::InvalidValue`] for a contact that is no URI.
    pub fn redirect(&mut self, call: CallId, contact: &str) -> Result<(), Error> {
        let _ = contact;
        Err(Error::NoSuchCall { call })
    }

    /// Ends a call that is ANSWERED.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state; [`Error::NoSuchCall`].
    pub fn hangup(&mut self, call: CallId) -> Result<(), Error> {
        Err(Error::NoSuchCall { call })
    }

    /// Gives up an outgoing call that is DIALING or PROGRESS. The call is CANCELING until its end is
    /// known; an answer that crosses is taken and hung up.
    ///
    /// # Errors
    /// [`Error::InvalidState`] in any other state, and of an incoming call; [`Error::NoSuchCall`].
    pub fn cancel(&mut self, call: CallId) -> Result<(), Error> {
        Err(Error::NoSuchCall { call })
    }

    /// The state of a call; `None` once its [`Event::Ended`] was taken.
    pub fn state(&self, call: CallId) -> Option<CallState> {
        let _ = call;
        None
    }

    /// What is known about a call; `None` once its [`Event::Ended`] was taken.
    pub fn info(&self, call: CallId) -> Option<CallInfo> {
        let _ = call;
        None
    }

    /// The calls that are not over, in no particular order.
    pub fn calls(&self) -> impl Iterator<Item = CallId> + '_ {
        core::iter::empty()
    }

    /// Asks `target` (as for [`call`](Self::call)) what it can do: a SIP ping. The answer is
    /// [`Event::Pong`].
    ///
    /// # Errors
    /// [`Error::InvalidStatus`] unless the phone is started, [`Error::InvalidValue`].
    pub fn options(&mut self, target: &str) -> Result<PingId, Error> {
        let _ = target;
        Err(Error::InvalidStatus { command: "ping from", status: self.status })
    }

    /// Takes what the media machine of a call says. [`MediaEvent::Silent`] ends the call
    /// ([`crate::event::EndedBy::Timeout`]).
    pub fn handle_media_event(&mut self, call: CallId, event: &MediaEvent) {
        let _ = (call, event);
    }

    /// The next thing that happened.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What the phone has counted since it was made.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
}

impl Endpoint for Phone {
    fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        let _ = (host, inbound);
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        let _ = host;
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

/// What a phone has counted since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// SIP messages received that could be read.
    pub received: u64,
    /// Datagrams received that were no SIP message and could not be answered.
    pub malformed: u64,
    /// Responses to nothing we asked, and requests that cannot be answered (a stray ACK).
    pub stray: u64,
    /// Requests refused because a limit was reached.
    pub refused: u64,
    /// Challenges we did not answer: not the configured server, another realm, no credentials.
    pub unanswered_challenges: u64,
}
