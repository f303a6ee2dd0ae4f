//! Other people's programs as children that never outlive the test.

use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use offhook_tests::peers::installed;
use rustix::process::{Pid, Signal, kill_process_group};

/// How long one thing may take that depends on others.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A program and all that it starts. What it prints is kept, and shown when a test fails.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `line`, whose words are separated by spaces, in `directory`.
    #[track_caller]
    pub(crate) fn start(directory: &Path, line: &str) -> Self {
        // It ends with us too: our end of the pipe closes when we die, however we do.
        const GUARD: &str =
            r#"exec 3<&0; { read -r end <&3; kill -KILL 0; } & "$@" 3<&- </dev/null & wait $!"#;
        let name = line.split(' ').next().unwrap_or_default();
        let log = directory.join(format!("{name}-{}.log", unique()));
        let out = File::create(&log).expect("a log");
        let err = out.try_clone().expect("the same log");
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, name]).args(line.split_whitespace()).current_dir(directory);
        command.stdin(Stdio::piped()).stdout(out).stderr(err);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Self { child: command.spawn().expect("sh starts"), log }
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// What it has printed.
    pub(crate) fn log(&self) -> String {
        fs::read(&self.log)
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }
}

impl Drop for Program {
    /// Kills it and all that it has started (SIGKILL).
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.child.id())
            && let Some(group) = Pid::from_raw(id)
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("{}:\n{}", self.log.display(), self.log());
        }
    }
}

/// Waits for something that cannot tell us when it is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A port that nobody has on any of these addresses, over UDP or TCP, outside of those that the system
/// hands out, so that it can be had again after a restart.
pub(crate) fn free_port(addresses: &[IpAddr]) -> u16 {
    const LOW: u16 = 25_000;
    const COUNT: u16 = 7_000;
    let is_free = |port: u16| {
        addresses
            .iter()
            .map(|ip| SocketAddr::from((*ip, port)))
            .all(|address| UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok())
    };
    // Elsewhere in another process.
    let start = std::process::id() as u16;
    (0..COUNT)
        .map(|_| LOW + start.wrapping_mul(61).wrapping_add(unique()) % COUNT)
        .find(|port| is_free(*port))
        .expect("a free port")
}

/// Another number each time.
fn unique() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
