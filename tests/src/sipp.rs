//! SIPp as a real peer on loopback.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// A SIPp that runs one scenario.
pub struct Sipp {
    child: Child,
    /// The SIP port it has.
    pub port: u16,
}

/// Media ports for SIPp: each wants four of its own.
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
        let media = 42_000 + NEXT_MEDIA_PORT.fetch_add(8, Ordering::Relaxed);
        let mut command = Command::new("sipp");
        if let Some(remote) = call {
            command.arg(format!("127.0.0.1:{remote}"));
        }
        let child = command
            .args(arguments)
            .args(["-i", "127.0.0.1", "-mi", "127.0.0.1", "-nostdin"])
            .args(["-p", &port.to_string(), "-mp", &media.to_string()])
            .args(["-timeout", &limit.as_secs().to_string(), "-timeout_error"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sipp starts");
        Self { child, port }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When a call in it failed, with what it printed last.
    pub fn finish(self) {
        let Output { status, stdout, stderr } = self.child.wait_with_output().expect("sipp ends");
        let screen = String::from_utf8_lossy(&stdout);
        let last: Vec<&str> = screen.lines().rev().take(40).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        assert!(
            status.success(),
            "sipp failed ({status}):\n{}\n{}",
            last.join("\n"),
            String::from_utf8_lossy(&stderr)
        );
    }
}

/// One of this folder's scenario files.
pub fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sipp").join(name)
}

/// A UDP port that was free a moment ago.
///
/// # Panics
/// When the machine has no port left.
pub fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("its address").port()
}
