//! SIGINT and SIGTERM: the first asks to end cleanly, the second ends at once. SIGUSR1 says that the
//! network has changed.

use tokio::sync::watch;

/// Whether a signal has come.
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    came: watch::Receiver<bool>,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn listen() -> std::io::Result<Self> {
        /// 128 + SIGINT, as shells report it.
        const INTERRUPTED: i32 = 130;
        let (report, came) = watch::channel(false);
        let mut signals = Both::new()?;
        tokio::spawn(async move {
            signals.next().await;
            report.send_replace(true);
            signals.next().await;
            std::process::exit(INTERRUPTED);
        });
        Ok(Self { came })
    }

    /// Waits for the first signal; returns at once when it has come. Cancel-safe.
    pub(crate) async fn came(&self) {
        if self.came.clone().wait_for(|came| *came).await.is_err() {
            std::future::pending().await
        }
    }
}

/// Says when the network has changed: each SIGUSR1.
pub(crate) struct Changes {
    #[cfg(unix)]
    user_signal: tokio::signal::unix::Signal,
}

impl Changes {
    /// Listens from now on.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            user_signal: tokio::signal::unix::signal(
                tokio::signal::unix::SignalKind::user_defined1(),
            )?,
        })
    }

    /// Waits for the next one. Cancel-safe.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        if self.user_signal.recv().await.is_some() {
            return;
        }
        std::future::pending().await
    }
}

#[cfg(unix)]
struct Both {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Both {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Both;

#[cfg(not(unix))]
impl Both {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
