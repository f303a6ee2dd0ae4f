//! SIPp as a real peer on loopback.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// A SIPp that runs one scenario.
pub struct Sipp {
    child: Child,
    /// The SIP port it has.
    pub port: u16,
}

/// Media ports for SIPp: each wants four of its own, where neither the system nor our phones look.
static NEXT_MEDIA_PORT: AtomicU16 = AtomicU16::new(0);

impl Sipp {
    /// Whether SIPp is installed; says on standard error when it is not, so that no test is skipped
    /// in silence.
    pub fn is_installed() -> bool {
        let found = Command::new("sipp").arg("-v").output().is_ok();
        if !found {
            eprintln!("skipped: sipp is not installed (apt-get install sip-tester)");
        }
        found
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
        Self { child, port }
    }

    /// Waits until its SIP port is taken, so that what is sent there arrives.
    ///
    /// # Panics
    /// When it is not within ten seconds.
    pub fn wait_until_bound(&self) {
        let end = Instant::now() + Duration::from_secs(10);
        while !is_bound(self.port) {
            assert!(Instant::now() < end, "sipp did not bind its port");
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
        (status, String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
    }
}

/// One of this folder's scenario files.
pub fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sipp").join(name)
}

/// Whether somebody has a UDP port: asked of the system, for to try to bind it would be in the way.
fn is_bound(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/udp").expect("the system's table of sockets");
    let local = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1));
    local
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
