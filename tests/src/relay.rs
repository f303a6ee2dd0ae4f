//! A relay on loopback that loses what a test wants lost.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

/// Carries datagrams between a caller, who sends to [`address`](Self::address), and a callee. Ends
/// when it is dropped.
pub struct Relay {
    /// Where the caller sends.
    pub address: SocketAddr,
    over: Arc<AtomicBool>,
    lost: Arc<AtomicBool>,
    ways: Vec<JoinHandle<()>>,
}

impl Relay {
    /// A relay to `callee` that loses the first datagram of which `loses` holds.
    ///
    /// # Panics
    /// When the machine has no port left.
    pub fn losing(
        callee: SocketAddr,
        loses: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let open = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
            socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
            Arc::new(socket)
        };
        let (front, back) = (open(), open());
        let address = front.local_addr().expect("its address");
        let over = Arc::new(AtomicBool::new(false));
        let lost = Arc::new(AtomicBool::new(false));
        let once = Arc::clone(&lost);
        let passes = Arc::new(move |bytes: &[u8]| {
            !loses(&String::from_utf8_lossy(bytes)) || once.swap(true, Ordering::SeqCst)
        });
        // Who calls is known when something has come.
        let caller = Arc::new(std::sync::Mutex::new(None));
        let ways = [true, false].map(|forth| {
            let (from, to) = if forth { (&front, &back) } else { (&back, &front) };
            let (from, to) = (Arc::clone(from), Arc::clone(to));
            let (over, passes, caller) =
                (Arc::clone(&over), Arc::clone(&passes), Arc::clone(&caller));
            spawn(move || {
                let mut buffer = [0; 65_535];
                while !over.load(Ordering::SeqCst) {
                    let Ok((length, source)) = from.recv_from(&mut buffer) else { continue };
                    let mut caller = caller.lock().expect("nothing panics here");
                    let target = if forth {
                        *caller = Some(source);
                        Some(callee)
                    } else {
                        *caller
                    };
                    if let Some(target) = target.filter(|_| passes(&buffer[..length])) {
                        let _ = to.send_to(&buffer[..length], target);
                    }
                }
            })
        });
        Self { address, over, lost, ways: ways.into() }
    }

    /// Whether it has lost what it was to lose.
    pub fn has_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        for way in self.ways.drain(..) {
            let _ = way.join();
        }
    }
}
