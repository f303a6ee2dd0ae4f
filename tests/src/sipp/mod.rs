//! SIPp as a real peer on loopback.

mod scenario;

use std::io::Read;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

pub use scenario::{Scenario, TAG, sdp};

use crate::peers::installed;

/// A SIPp that runs one scenario.
pub struct Sipp {
    child: Child,
    /// The scenario file that it reads, when it was made for it.
    file: Option<PathBuf>,
    /// The SIP port it has.
    pub port: u16,
}

/// Media ports for SIPp: each wants four of its own, where neither the system nor our phones look.
static NEXT_MEDIA_PORT: AtomicU16 = AtomicU16::new(0);

impl Sipp {
    /// Whether SIPp is installed; see [`installed`].
    ///
    /// # Panics
    /// When it is not, and is required.
    pub fn is_installed() -> bool {
        installed(&["sipp"])
    }

    /// Starts SIPp with `arguments` (its scenario and counts) and, as a caller, the address to call.
    /// It ends by itself within `limit`.
    ///
    /// # Panics
    /// When SIPp cannot be started.
    pub fn start(arguments: &[&str], call: Option<u16>, limit: Duration) -> Self {
        let port = free_port();
        let media = 24_000 + NEXT_MEDIA_PORT.fetch_add(8, Ordering::Relaxed);
        let mut command = Command::new("sipp");
        if let Some(remote) = call {
            command.arg(format!("127.0.0.1:{remote}"));
        }
        let child = command
            .args(arguments)
            .args(["-i", "127.0.0.1", "-mi", "127.0.0.1", "-nostdin"])
            .args(["-p", &port.to_string(), "-mp", &media.to_string()])
            .args([
                "-timeout",
                &limit.as_secs().to_string(),
                "-timeout_error",
                "-trace_err",
                "-error_file",
                "/dev/stderr",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sipp starts");
        Self { child, file: None, port }
    }

    /// Starts SIPp with a scenario, as [`start`](Self::start) does.
    ///
    /// # Panics
    /// When SIPp cannot be started, or the scenario not be written.
    pub fn play(scenario: &Scenario, more: &[&str], call: Option<u16>, limit: Duration) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("offhook-sipp-{}-{number}.xml", std::process::id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, scenario.to_string()).expect("a temporary file");
        let path = file.to_str().expect("a path in UTF-8");
        let mut sipp = Self::start(&[&["-sf", path, "-m", "1"], more].concat(), call, limit);
        sipp.file = Some(file);
        sipp
    }

    /// Waits until its SIP port is taken over UDP or TCP, so that what is sent there arrives.
    ///
    /// # Panics
    /// When it is not within a minute, or SIPp has ended.
    pub fn wait_until_bound(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        while !is_bound(self.port) {
            assert!(Instant::now() < end, "sipp did not bind its port");
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                let mut said = String::new();
                let stderr = self.child.stderr.take();
                let _ = stderr.map(|mut stderr| stderr.read_to_string(&mut said));
                panic!("sipp did not begin:\n{said}");
            }
            std::thread::yield_now();
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When a call in it failed, with what it printed last.
    pub fn finish(self) {
        let (status, screen) = self.end();
        assert!(status.success(), "sipp failed ({status}):\n{screen}");
    }

    /// Waits for its end, which has to be a failure; what it printed.
    ///
    /// # Panics
    /// When all its calls succeeded.
    pub fn fail(self) -> String {
        let (status, screen) = self.end();
        assert!(!status.success(), "sipp succeeded:\n{screen}");
        screen
    }

    fn end(self) -> (ExitStatus, String) {
        let Output { status, stdout, stderr } = self.child.wait_with_output().expect("sipp ends");
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
        (status, String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
    }
}

/// Whether somebody has a UDP port, or listens for TCP there: asked of the system, for to try to bind it
/// would be in the way.
fn is_bound(port: u16) -> bool {
    const LISTENS: &str = "0A";
    const UNCONNECTED: &str = "07";
    let table = |name: &str| std::fs::read_to_string(name).expect("the system's table of sockets");
    let tables = table("/proc/net/udp") + &table("/proc/net/tcp");
    let sockets = tables.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    sockets
        .filter(|fields| fields.get(3).is_some_and(|state| [LISTENS, UNCONNECTED].contains(state)))
        .filter_map(|fields| fields.get(1).copied())
        .filter_map(|address| address.rsplit_once(':'))
        .any(|(_, hex)| u16::from_str_radix(hex, 16) == Ok(port))
}

/// A UDP port that was free a moment ago.
///
/// # Panics
/// When the machine has no port left.
pub fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("its address").port()
}
