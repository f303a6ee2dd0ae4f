//! A record of every packet, for the ladder diagram and for Wireshark.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use offhook_core::host::{Channel, Transport};
use offhook_core::time::{Duration, WallTime};
use offhook_core::trace::{Kind, Packet, Trace};

use crate::error::{Error, io_problem};
use crate::host::timebase::Timebase;

/// Keeps what phones and exchanges send and receive, SIP and RTP, up to a bound. Give it to them
/// with [`PhoneOptions::capture`](crate::PhoneOptions::capture); clones share one record.
#[derive(Clone)]
pub struct Capture {
    trace: Arc<Mutex<Trace>>,
    watcher: Option<Watcher>,
    time: Timebase,
    /// The wall time at which `time` shows nothing, in microseconds: one clock for both times of a
    /// packet, so that a ladder and a file agree, and setting the system's clock moves neither.
    zero: u64,
    signalling: bool,
    media: bool,
}

/// Is shown each packet as it passes.
type Watcher = Arc<dyn Fn(&Packet<'_>) + Send + Sync>;

impl Capture {
    /// An empty record.
    pub fn new() -> Self {
        let trace = Arc::new(Mutex::new(Trace::new()));
        let time = Timebase::new();
        let zero = time.wall().as_micros().saturating_sub(time.now().as_micros());
        Self { trace, watcher: None, time, zero, signalling: true, media: true }
    }

    /// The same record, for somebody whose signalling another one already records.
    #[must_use]
    pub fn without_signalling(mut self) -> Self {
        self.signalling = false;
        self
    }

    /// The same record, which also shows each packet to `watcher` as it passes. It must be quick.
    #[must_use]
    pub fn watch(mut self, watcher: impl Fn(&Packet<'_>) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Arc::new(watcher));
        self
    }

    /// Names an address in the ladder.
    pub fn name(&self, address: SocketAddr, name: &str) {
        self.lock().name(address, name);
    }

    /// The ladder diagram so far, as text.
    pub fn ladder(&self) -> String {
        self.lock().ladder()
    }

    /// Writes what was recorded so far as a pcap file.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write_pcap(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let bytes = self.lock().pcap();
        std::fs::write(path, bytes).map_err(|error| Error::File {
            path: path.to_owned(),
            problem: format!("cannot write it: {}", io_problem(&error)),
        })
    }

    pub(crate) fn signalling(
        &self,
        transport: Transport,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
    ) {
        if self.signalling {
            self.push(Duration::ZERO, transport, Kind::Sip, from, to, bytes);
        }
    }

    /// Keeps a packet that came or left `age` ago.
    pub(crate) fn media(
        &self,
        channel: Channel,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
        age: Duration,
    ) {
        if self.media {
            self.push(age, Transport::Udp, channel.into(), from, to, bytes);
        }
    }

    fn push(
        &self,
        age: Duration,
        transport: Transport,
        kind: Kind,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
    ) {
        let at = self.time.now() - age;
        let wall = WallTime::from_micros(self.zero + at.as_micros());
        let packet = Packet { at, wall, from, to, transport, kind, bytes };
        if let Some(watcher) = &self.watcher {
            watcher(&packet);
        }
        self.lock().push(packet);
    }

    fn lock(&self) -> MutexGuard<'_, Trace> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").finish_non_exhaustive()
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self::new()
    }
}
