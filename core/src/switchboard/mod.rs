//! Many phones on one set of sockets: hundreds of accounts, at one server or at many.
//!
//! Each account is a phone of its own, with its own status, registration, credentials, calls and
//! events; a [`Switchboard`] is the endpoint that carries them all. Whatever a line sends leaves by
//! the sockets of the one host, lines share a connection to the same server, and what comes in is
//! given to the line that it is for:
//!
//! - a response and a request within a dialog by what the line itself has put into its branches and
//!   tags: the number of the line;
//! - another request by the parameter `line` of its Request-URI, which the line has put into its
//!   Contact; or else, as when somebody calls our address directly, by the user and the host of the
//!   Request-URI; or else it is the first line's to answer.
//!
//! ```
//! use offhook_core::config::PhoneParameters;
//! use offhook_core::event::PhoneStatus;
//! use offhook_core::exchange::{Exchange, ExchangeParameters};
//! use offhook_core::phone::Phone;
//! use offhook_core::sim::Simulation;
//! use offhook_core::switchboard::Switchboard;
//! use offhook_core::time::Duration;
//!
//! let mut sim = Simulation::new(1);
//! let mut parameters = ExchangeParameters::new("10.0.0.9:5060".parse()?);
//! let mut board = Switchboard::new();
//! for user in ["alice", "bob", "carol"] {
//!     parameters = parameters.user(user, "secret");
//!     let mut phone = Phone::new(PhoneParameters::new("10.0.0.9", user).password("secret"))?;
//!     phone.start()?;
//!     board.add(phone)?;
//! }
//! sim.add([10, 0, 0, 9], Exchange::new(parameters));
//! let board = sim.add([10, 0, 0, 1], board);
//! sim.run_for(Duration::from_secs(1));
//! assert!(sim[board].lines().all(|(_, phone)| phone.status() == PhoneStatus::Registered));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod routing;
mod shared;
#[cfg(test)]
mod tests;

use core::net::SocketAddr;

pub use crate::agent::LineId;
pub use crate::stream::Decoded;

use crate::error::Error;
use crate::host::{Endpoint, Flow, Host, Inbound};
use crate::map::Map;
use crate::phone::Phone;
use crate::softphone::Softphone;
use crate::time::Instant;
use crate::timers::{TimerId, Timers};
use shared::{LineHost, Shared};

const MAX: u16 = 4_096;

/// How many lines a switchboard has at most.
pub const MAX_LINES: usize = MAX as usize;

/// What a switchboard can carry: an endpoint around a [`Phone`].
pub trait Line: Endpoint {
    /// The phone.
    fn phone(&self) -> &Phone;
    /// The phone, to be given its number.
    fn phone_mut(&mut self) -> &mut Phone;

    /// Handles a message or keep-alive of a flow that the switchboard has decoded, in place of the
    /// bytes. A line that does more in [`handle_inbound`](Endpoint::handle_inbound) than call its
    /// phone does it here as well.
    fn handle_decoded(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        decoded: Decoded,
    ) {
        self.phone_mut().handle_decoded(host, flow, from, decoded);
    }
}

impl Line for Phone {
    fn phone(&self) -> &Phone {
        self
    }

    fn phone_mut(&mut self) -> &mut Phone {
        self
    }
}

impl Line for Softphone {
    fn phone(&self) -> &Phone {
        self.phone()
    }

    fn phone_mut(&mut self) -> &mut Phone {
        self.phone_mut()
    }

    fn handle_decoded(
        &mut self,
        host: &mut dyn Host,
        flow: Flow,
        from: SocketAddr,
        decoded: Decoded,
    ) {
        self.handle_decoded(host, flow, from, decoded);
    }
}

/// Phones that share their host's sockets; see the [module](self).
#[derive(Debug)]
pub struct Switchboard<L> {
    lines: Map<LineId, Carried<L>>,
    last: u16,
    timers: Timers<LineId>,
    /// The lines whose next deadline has to be asked for again.
    unscheduled: Vec<LineId>,
    /// The lines to which something has happened since they were looked at.
    changed: Vec<LineId>,
    shared: Shared,
}

/// A line and its bookkeeping.
#[derive(Debug)]
struct Carried<L> {
    line: L,
    timer: Option<(TimerId, Instant)>,
    is_unscheduled: bool,
    is_changed: bool,
}

impl<L: Line> Switchboard<L> {
    /// A switchboard without lines.
    pub fn new() -> Self {
        Self {
            lines: Map::new(),
            last: 0,
            timers: Timers::new(),
            unscheduled: Vec::new(),
            changed: Vec::new(),
            shared: Shared::default(),
        }
    }

    /// Adds a line, whose phone must not have sent anything yet. Its commands are carried out by the
    /// host's next call.
    ///
    /// # Errors
    /// [`Error::TooManyLines`] when there are [`MAX_LINES`].
    pub fn add(&mut self, mut line: L) -> Result<LineId, Error> {
        let id = self.free().ok_or(Error::TooManyLines { limit: MAX_LINES })?;
        line.phone_mut().set_line(id);
        let carried = Carried { line, timer: None, is_unscheduled: false, is_changed: false };
        self.lines.insert(id, carried);
        self.last = id.0;
        self.mark_changed(id);
        Ok(id)
    }

    /// Removes a line and returns it; best when its phone is INACTIVE, because later messages for it
    /// are not answered.
    pub fn remove(&mut self, host: &mut dyn Host, id: LineId) -> Option<L> {
        let Carried { line, timer, .. } = self.lines.remove(&id)?;
        timer.map(|(timer, _)| self.timers.cancel(timer));
        self.shared.leave(host, id);
        Some(line)
    }

    /// A line.
    pub fn line(&self, id: LineId) -> Option<&L> {
        self.lines.get(&id).map(|carried| &carried.line)
    }

    /// A line, to give it commands and take its events. Commands are carried out by the host's next
    /// call, for which [`next_deadline`](Endpoint::next_deadline) asks at once.
    pub fn line_mut(&mut self, id: LineId) -> Option<&mut L> {
        self.mark_changed(id);
        self.lines.get_mut(&id).map(|carried| &mut carried.line)
    }

    /// The next line that was given out by [`line_mut`](Self::line_mut) or to which something has
    /// happened: take its events.
    pub fn next_changed(&mut self) -> Option<(LineId, &mut L)> {
        let id = loop {
            let id = self.changed.pop()?;
            if let Some(carried) = self.lines.get_mut(&id) {
                carried.is_changed = false;
                self.mark_unscheduled(id);
                break id;
            }
        };
        self.lines.get_mut(&id).map(|carried| (id, &mut carried.line))
    }

    /// All lines, in the order of their numbers.
    pub fn lines(&self) -> impl Iterator<Item = (LineId, &L)> {
        self.lines.iter().map(|(id, carried)| (*id, &carried.line))
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The next number that no line has: one that was given back is not given out again at once, so
    /// that what still comes for its old line finds nobody.
    fn free(&self) -> Option<LineId> {
        let mut numbers = (0..MAX).map(|step| LineId((self.last + step) % MAX + 1));
        numbers.find(|id| !self.lines.contains_key(id))
    }

    fn mark_unscheduled(&mut self, id: LineId) {
        if let Some(carried) = self.lines.get_mut(&id)
            && !core::mem::replace(&mut carried.is_unscheduled, true)
        {
            self.unscheduled.push(id);
        }
    }

    fn mark_changed(&mut self, id: LineId) {
        self.mark_unscheduled(id);
        if let Some(carried) = self.lines.get_mut(&id)
            && !core::mem::replace(&mut carried.is_changed, true)
        {
            self.changed.push(id);
        }
    }

    /// Lets a line do something, with a host that shows it only what is its own.
    fn cross(&mut self, host: &mut dyn Host, id: LineId, act: impl FnOnce(&mut L, &mut dyn Host)) {
        let Some(carried) = self.lines.get_mut(&id) else { return };
        act(&mut carried.line, &mut LineHost::new(host, &mut self.shared, id));
        self.mark_changed(id);
    }

    fn hand(&mut self, host: &mut dyn Host, id: LineId, inbound: Inbound<'_>) {
        self.cross(host, id, |line, host| line.handle_inbound(host, inbound));
    }

    /// Hands an input to every line.
    fn hand_to_all(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        let ids: Vec<LineId> = self.lines.keys().copied().collect();
        for id in ids {
            self.hand(host, id, inbound);
        }
    }

    /// Notes the next deadlines of the lines.
    fn schedule(&mut self) {
        while let Some(id) = self.unscheduled.pop() {
            let Some(carried) = self.lines.get_mut(&id) else { continue };
            carried.is_unscheduled = false;
            let wanted = carried.line.next_deadline();
            if carried.timer.map(|(_, at)| at) == wanted {
                continue;
            }
            if let Some((timer, _)) = carried.timer.take() {
                self.timers.cancel(timer);
            }
            carried.timer = wanted.map(|at| (self.timers.set(at, id), at));
        }
    }
}

impl<L: Line> Default for Switchboard<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: Line> Endpoint for Switchboard<L> {
    fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        self.route(host, inbound);
        self.hand_found(host);
        self.schedule();
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        self.hand_found(host);
        self.schedule();
        let now = host.now();
        // A connection with a user is in use.
        self.shared.connections.handle_deadline(host, |_, _| false);
        self.hand_closed(host);
        while let Some((_, id)) = self.timers.pop_due(now) {
            if let Some(carried) = self.lines.get_mut(&id) {
                carried.timer = None;
            }
            self.cross(host, id, |line, host| line.handle_deadline(host));
        }
        self.hand_found(host);
        self.schedule();
    }

    fn next_deadline(&self) -> Option<Instant> {
        let lines =
            self.unscheduled.iter().filter_map(|id| self.lines.get(id)?.line.next_deadline());
        let shared = [self.timers.next_deadline(), self.shared.connections.next_deadline()];
        lines.chain(shared.into_iter().flatten()).min()
    }
}
