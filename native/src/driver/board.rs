//! The endpoint that is a switchboard: the phones that share one driver and its sockets.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use offhook_core::host::{Endpoint, Host, Inbound, Transport};
use offhook_core::switchboard::{LineId, Switchboard};
use offhook_core::time::Instant;

use tokio::sync::watch;

use super::engine::Engine;
use super::line::Line;
use super::{DrivenEndpoint, Jobs};
use crate::capture::Capture;
use crate::host::endpoint_host::EndpointHost;
use crate::host::turned_away::TurnedAway;

/// Phones that share sockets, and the driver that carries them while any of them runs.
#[derive(Debug, Default)]
pub(crate) struct Group {
    hub: Mutex<Option<Hub>>,
    /// How many drivers have had their last line and still hold their sockets.
    closing: watch::Sender<usize>,
}

/// A driver that runs, and what its phones have in common.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) jobs: Jobs<Board>,
    pub(crate) listening: Vec<(Transport, SocketAddr)>,
    pub(crate) capture: Option<Capture>,
    pub(crate) soundless: bool,
    pub(crate) engine: Arc<Engine>,
    /// How many lines there are or are about to be.
    lines: usize,
    /// The number of the last line asked for.
    last: u64,
}

/// A closure that runs on a line in the driver, between two calls of the core.
pub(crate) type LineJob = Box<dyn FnOnce(&mut Line, &mut EndpointHost) + Send>;

/// Sends jobs to a line.
#[derive(Clone, Debug)]
pub(crate) struct LineJobs {
    jobs: Jobs<Board>,
    key: LineKey,
}

/// The key of a line on a board, valid before the switchboard has given the line its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct LineKey(u64);

/// The driver is gone.
#[derive(Debug)]
pub(crate) struct Gone;

/// Dropped when a line is over, whatever has ended it.
pub(crate) type End = Box<dyn Send>;

/// The lines of one driver.
pub(crate) struct Board {
    group: Arc<Group>,
    switchboard: Switchboard<Line>,
    line_ids: HashMap<LineKey, LineId>,
    ends: HashMap<LineId, (LineKey, End)>,
    /// Lines that were given jobs since the last rest.
    busy: BTreeSet<LineId>,
    /// Set when the last line is over: then the board is over too.
    last_end: Option<End>,
}

impl Group {
    /// The driver that runs now, if one does.
    pub(crate) fn hub(&self) -> MutexGuard<'_, Option<Hub>> {
        let mut hub = self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        // A panic has taken it down.
        hub.take_if(|hub| hub.jobs.is_closed());
        hub
    }

    /// Waits until no driver that is over holds the sockets that the next one wants.
    pub(crate) async fn closed(&self) {
        // The sender is here.
        let _ = self.closing.subscribe().wait_for(|closing| *closing == 0).await;
    }

    /// Whether one does.
    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow() > 0
    }
}

impl Hub {
    pub(crate) fn new(
        jobs: Jobs<Board>,
        listening: Vec<(Transport, SocketAddr)>,
        capture: Option<Capture>,
        soundless: bool,
        engine: Engine,
    ) -> Self {
        let engine = Arc::new(engine);
        Self { jobs, listening, capture, soundless, engine, lines: 0, last: 0 }
    }

    /// Adds a line; `end` is dropped when it is over.
    pub(crate) fn add(&mut self, line: Line, end: End) -> LineJobs {
        self.lines += 1;
        self.last += 1;
        let key = LineKey(self.last);
        let _ = self.jobs.send(Box::new(move |board, _| board.add(key, line, end)));
        LineJobs { jobs: self.jobs.clone(), key }
    }
}

impl LineJobs {
    /// Sends a job; when the line is over it is dropped undone.
    ///
    /// # Errors
    /// When the driver is gone.
    pub(crate) fn send(&self, job: LineJob) -> Result<(), Gone> {
        let key = self.key;
        let job = move |board: &mut Board, host: &mut EndpointHost| board.carry_out(host, key, job);
        self.jobs.send(Box::new(job)).map_err(|_| Gone)
    }

    /// Notifies every line of the board of a change of network, because they share the sockets that
    /// are bound anew.
    pub(crate) fn network_changed(&self) {
        let _ = self.jobs.send(Box::new(|board, _| board.network_changed()));
    }
}

impl Board {
    pub(crate) fn new(group: Arc<Group>) -> Self {
        Self {
            group,
            switchboard: Switchboard::new(),
            line_ids: HashMap::new(),
            ends: HashMap::new(),
            busy: BTreeSet::new(),
            last_end: None,
        }
    }

    fn add(&mut self, key: LineKey, line: Line, end: End) {
        match self.switchboard.add(line) {
            Ok(id) => {
                self.line_ids.insert(key, id);
                self.ends.insert(id, (key, end));
            }
            // There are too many: it is over before it began.
            Err(_) => self.shrink(end),
        }
    }

    fn carry_out(&mut self, host: &mut EndpointHost, key: LineKey, job: LineJob) {
        let Some(id) = self.line_ids.get(&key) else { return };
        if let Some(line) = self.switchboard.line_mut(*id) {
            self.busy.insert(*id);
            job(line, host);
        }
    }

    fn network_changed(&mut self) {
        let ids: Vec<LineId> = self.switchboard.lines().map(|(id, _)| id).collect();
        for line in ids {
            if let Some(line) = self.switchboard.line_mut(line) {
                line.phone.network_changed();
            }
        }
    }

    /// A line has stopped. With the last one the driver's work is over, which is reported when the
    /// sockets are closed.
    fn leave(&mut self, host: &mut EndpointHost, id: LineId) {
        drop(self.switchboard.remove(host, id));
        self.busy.remove(&id);
        let Some((key, end)) = self.ends.remove(&id) else { return };
        self.line_ids.remove(&key);
        self.shrink(end);
    }

    fn shrink(&mut self, end: End) {
        let mut hub = self.group.hub();
        let lines = hub.as_mut().map_or(0, |hub| {
            hub.lines = hub.lines.saturating_sub(1);
            hub.lines
        });
        if lines == 0 {
            *hub = None;
            self.group.closing.send_modify(|closing| *closing += 1);
            self.last_end = Some(end);
        }
    }
}

impl Drop for Board {
    /// The sockets are closed. After a panic this is what marks the driver as gone, before its lines
    /// learn of it.
    fn drop(&mut self) {
        match self.last_end {
            Some(_) => self.group.closing.send_modify(|closing| *closing -= 1),
            None => *self.group.hub() = None,
        }
    }
}

impl Endpoint for Board {
    fn handle_inbound(&mut self, host: &mut dyn Host, inbound: Inbound<'_>) {
        self.switchboard.handle_inbound(host, inbound);
    }

    fn handle_deadline(&mut self, host: &mut dyn Host) {
        self.switchboard.handle_deadline(host);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.switchboard.next_deadline()
    }
}

impl DrivenEndpoint for Board {
    fn pass_on(&mut self, host: &mut EndpointHost, jobs: &Jobs<Self>) {
        while let Some((id, line)) = self.switchboard.next_changed() {
            if let Some((key, _)) = self.ends.get(&id) {
                line.pass_on(host, &LineJobs { jobs: jobs.clone(), key: *key });
            }
            if line.is_done() {
                self.leave(host, id);
            }
        }
    }

    fn turn_away(&mut self, away: &TurnedAway) {
        // The sockets are everybody's.
        for id in self.ends.keys() {
            if let Some(line) = self.switchboard.line_mut(*id) {
                line.turn_away(away);
            }
        }
    }

    fn rest(&mut self) {
        while let Some(id) = self.busy.pop_first() {
            if let Some(line) = self.switchboard.line_mut(id) {
                line.rest();
            }
        }
    }

    fn is_done(&self) -> bool {
        self.last_end.is_some()
    }
}
