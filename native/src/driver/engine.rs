//! The media engine: workers, each of which carries the media of many calls in one task.
//!
//! A worker has its calls in the order of their deadlines, and one alarm. In a round it does for each call
//! that is due all there is to do: reads its sockets, has its session handle the frame, sends. All frames
//! are due at multiples of [`GRID`], so that the calls of a worker wake it 200 times a second at most.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use offhook_core::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::media::{CallMedia, Tools};
use crate::host::alarm::Alarm;
use crate::host::arrivals::Means;
use crate::host::timebase::Timebase;

/// Between the deadlines of frames. Packets last a multiple of it, so that it changes no stream's pace.
pub(crate) const GRID: Duration = Duration::from_millis(5);

/// Gives calls to workers, which it sets going when they are needed.
#[derive(Debug)]
pub(crate) struct Engine {
    time: Timebase,
    means: Means,
    workers: Mutex<Workers>,
}

#[derive(Debug, Default)]
struct Workers {
    /// On the phone's own runtime.
    own: Vec<WorkerHandle>,
    /// On the runtime for what is beyond that.
    shared: Vec<WorkerHandle>,
    last: CallKey,
}

/// The number of a call in the engine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
struct CallKey(u64);

/// Another runtime for the media of calls beyond what the phone's own carries.
#[derive(Clone, Debug)]
pub(crate) struct MediaRuntime {
    /// How many calls the phone's own runtime carries.
    pub(crate) beyond: usize,
    pub(crate) runtime: Handle,
}

#[derive(Clone, Debug)]
struct WorkerHandle {
    errands: mpsc::UnboundedSender<Errand>,
    /// How many calls it carries.
    load: Arc<AtomicUsize>,
}

enum Errand {
    /// Carry this call from now on.
    Begin(CallKey, Box<CallMedia>),
    /// See what is to be done for a call.
    Run(CallKey),
}

/// The way to the worker that carries a call.
#[derive(Debug)]
pub(crate) struct WorkerLink {
    worker: WorkerHandle,
    key: CallKey,
}

impl WorkerLink {
    /// Has the worker see what is to be done for the call.
    pub(crate) fn run(&self) {
        let _ = self.worker.errands.send(Errand::Run(self.key));
    }
}

impl Drop for WorkerLink {
    fn drop(&mut self) {
        self.worker.load.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Engine {
    pub(crate) fn new(time: Timebase, means: Means) -> Self {
        Self { time, means, workers: Mutex::default() }
    }

    /// Has a worker carry a call: one on `elsewhere`, if that is given, else the one on the runtime of the
    /// caller. `make` is given the way to the worker.
    pub(crate) fn carry(
        &self,
        elsewhere: Option<&Handle>,
        make: impl FnOnce(WorkerLink, Timebase) -> CallMedia,
    ) {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.last.0 += 1;
        let (key, Workers { own, shared, .. }) = (workers.last, &mut *workers);
        let (pool, most) = match elsewhere {
            Some(runtime) => (shared, runtime.metrics().num_workers()),
            None => (own, 1),
        };
        // A panic has taken it down.
        pool.retain(|worker| !worker.errands.is_closed());
        let least = pool.iter().min_by_key(|worker| worker.load()).cloned();
        let idle = least.filter(|least| least.load() == 0 || pool.len() >= most);
        let worker = idle.unwrap_or_else(|| {
            let worker = self.spawn(elsewhere);
            pool.push(worker.clone());
            worker
        });
        worker.load.fetch_add(1, Ordering::Relaxed);
        let call = make(WorkerLink { worker: worker.clone(), key }, self.time);
        let _ = worker.errands.send(Errand::Begin(key, Box::new(call)));
    }

    fn spawn(&self, elsewhere: Option<&Handle>) -> WorkerHandle {
        let (errands, inbox) = mpsc::unbounded_channel();
        let tools = Tools::new(self.time, self.means.clone());
        let worker = Worker { inbox, calls: HashMap::new(), queue: BinaryHeap::new(), tools };
        match elsewhere {
            Some(runtime) => runtime.spawn(worker.run(self.time)),
            None => tokio::spawn(worker.run(self.time)),
        };
        WorkerHandle { errands, load: Arc::default() }
    }
}

impl WorkerHandle {
    fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }
}

/// Carries the media of calls.
struct Worker {
    inbox: mpsc::UnboundedReceiver<Errand>,
    calls: HashMap<CallKey, Carried>,
    /// When to run which call; also times that do not hold any more.
    queue: BinaryHeap<Reverse<(Instant, CallKey)>>,
    tools: Tools,
}

struct Carried {
    media: Box<CallMedia>,
    /// When it is run next.
    next: Instant,
}

impl Worker {
    /// How many errands are done before it is looked what is due.
    const ERRANDS: usize = 64;

    /// Runs until nobody has calls for it any more.
    async fn run(mut self, time: Timebase) {
        let alarm = Alarm::new();
        let mut set = None;
        loop {
            let next = self.next();
            if let Some(next) = next.filter(|_| next != set) {
                alarm.set(time.at(next));
            }
            set = next;
            tokio::select! {
                errand = self.inbox.recv() => {
                    let Some(errand) = errand else { break };
                    self.tools.read_clocks();
                    self.handle_errand(errand);
                    for _ in 1..Self::ERRANDS {
                        let Ok(errand) = self.inbox.try_recv() else { break };
                        self.handle_errand(errand);
                    }
                }
                () = alarm.rung(), if next.is_some() => set = None,
            }
            self.run_due();
        }
    }

    /// When the first call is due.
    fn next(&mut self) -> Option<Instant> {
        while let Some(&Reverse((at, key))) = self.queue.peek() {
            if self.calls.get(&key).is_some_and(|call| call.next == at) {
                return Some(at);
            }
            self.queue.pop();
        }
        None
    }

    fn handle_errand(&mut self, errand: Errand) {
        let key = match errand {
            Errand::Begin(key, media) => {
                media.begin();
                self.calls.insert(key, Carried { media, next: Instant::FAR });
                key
            }
            Errand::Run(key) => key,
        };
        self.run_call(key);
    }

    /// One round: runs every call that is due.
    fn run_due(&mut self) {
        let now = self.tools.read_clocks();
        while let Some(at) = self.next()
            && at <= now
        {
            if let Some(Reverse((_, key))) = self.queue.pop() {
                self.run_call(key);
            }
        }
    }

    fn run_call(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        match call.media.run(&mut self.tools) {
            // It stands in the queue.
            Some(next) if next == call.next => {}
            Some(next) => {
                call.next = next;
                self.queue.push(Reverse((next, key)));
            }
            None => {
                self.calls.remove(&key);
            }
        }
    }
}
