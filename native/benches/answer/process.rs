//! The processes that are measured, and SIPp that calls them.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than anything takes that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const GLANCE: Duration = Duration::from_millis(20);
/// The kernel tells times in ticks of this many a second, on every architecture.
const TICKS: u64 = 100;
const PAGE: u64 = 4_096;

/// A call whose streams are inactive, held until SIPp is stopped.
const HELD: &str = include_str!("held.xml");

pub(crate) fn has_sipp() -> bool {
    Command::new("sipp").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// A process that answers calls.
pub(crate) struct Answering {
    child: Child,
    port: u16,
}

impl Answering {
    pub(crate) fn offhook() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
        let port = free_port();
        command.args(["answer", "--bind", &format!("127.0.0.1:{port}")]);
        Self::start(command, port)
    }

    /// SIPp's own script.
    pub(crate) fn sipp() -> Self {
        let mut command = Command::new("sipp");
        let port = free_port();
        command.args(["-sn", "uas", "-i", "127.0.0.1", "-nostdin", "-p", &port.to_string()]);
        Self::start(command, port)
    }

    fn start(mut command: Command, port: u16) -> Self {
        command.current_dir(std::env::temp_dir());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("it starts");
        let answering = Self { child, port };
        // What is bound is nobody else's.
        wait(|| UdpSocket::bind(("127.0.0.1", port)).is_err());
        answering
    }

    /// The CPU time it has used, user and system.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        // The name may hold spaces; utime and stime are the 12th and 13th fields after it.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks = fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("a number"));
        Duration::from_millis(ticks.sum::<u64>() * 1_000 / TICKS)
    }

    /// Its resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let statm = self.proc("statm");
        let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
        pages.expect("a number") * PAGE
    }

    /// Waits until it has that many sockets more than none.
    pub(crate) fn wait_for_sockets(&self, count: u64) {
        let path = format!("/proc/{}/fd", self.child.id());
        wait(|| std::fs::read_dir(&path).is_ok_and(|open| open.count() as u64 >= count));
        // And until what it then does is done.
        sleep(Duration::from_secs(2));
    }

    fn proc(&self, what: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{what}", self.child.id())).expect("it runs")
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// SIPp, calling.
pub(crate) struct Caller {
    arguments: Vec<String>,
    scenario: Option<PathBuf>,
}

impl Caller {
    /// Calls that end as soon as they are answered; `rate` begin each second.
    pub(crate) fn short(calls: u64, rate: u64) -> Self {
        Self::new(&["-sn", "uac", "-d", "0"], calls, rate)
    }

    /// Calls that are answered, and stay.
    pub(crate) fn held(calls: u64, rate: u64) -> Self {
        let path = std::env::temp_dir().join(format!("held-{}.xml", std::process::id()));
        std::fs::write(&path, HELD).expect("a temporary file");
        let limit = calls.to_string();
        let mut caller = Self::new(&["-l", &limit], calls, rate);
        caller.arguments.extend(["-sf".to_owned(), path.display().to_string()]);
        caller.scenario = Some(path);
        caller
    }

    fn new(own: &[&str], calls: u64, rate: u64) -> Self {
        let (calls, rate) = (calls.to_string(), rate.to_string());
        let shared = ["-i", "127.0.0.1", "-nostdin", "-r", &rate, "-m", &calls];
        let arguments = own.iter().chain(&shared).map(|argument| (*argument).to_owned()).collect();
        Self { arguments, scenario: None }
    }

    /// Makes all calls.
    ///
    /// # Panics
    /// When one fails.
    pub(crate) fn call(self, answering: &Answering) {
        let status = self.start(answering).child.wait().expect("SIPp ends");
        assert!(status.success(), "a call failed: {status}");
    }

    pub(crate) fn start(self, answering: &Answering) -> Calling {
        let mut command = Command::new("sipp");
        command.arg(format!("127.0.0.1:{}", answering.port)).args(&self.arguments);
        command.current_dir(std::env::temp_dir());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Calling { child: command.spawn().expect("SIPp starts"), scenario: self.scenario }
    }
}

/// SIPp, while it calls.
pub(crate) struct Calling {
    child: Child,
    scenario: Option<PathBuf>,
}

impl Calling {
    pub(crate) fn stop(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(path) = self.scenario {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn free_port() -> u16 {
    let probe = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
    probe.local_addr().expect("a bound socket has an address").port()
}

fn wait(ready: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !ready() {
        assert!(Instant::now() < deadline, "nothing comes of it");
        sleep(GLANCE);
    }
}
