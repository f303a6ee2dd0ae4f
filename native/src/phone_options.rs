//! What a phone has from this machine, besides its parameters.

use std::time::Duration;

use tokio::runtime::Handle;

use crate::capture::Capture;
use crate::driver::engine::MediaRuntime;
use crate::host::alarm::Alarm;

/// Options of a [`Phone`](crate::Phone) that are no parameters of SIP. By default it records no packets,
/// and carries the sound of all its calls itself.
#[derive(Clone, Debug, Default)]
pub struct PhoneOptions {
    pub(crate) capture: Option<Capture>,
    pub(crate) media_runtime: Option<MediaRuntime>,
    pub(crate) soundless: bool,
}

impl PhoneOptions {
    /// Keeps every packet.
    #[must_use]
    pub fn capture(mut self, capture: Capture) -> Self {
        self.capture = Some(capture);
        self
    }

    /// Carries the media of a call that begins when there are more than `beyond` on `runtime`, which
    /// then has as many workers for media as threads; without this, all calls share one worker on the
    /// runtime on which the phone was started. One worker carries a thousand calls and more: this is for
    /// a phone on a runtime of one thread that has more calls than that, or does other work. The runtime
    /// must live as long as the calls.
    ///
    /// # Panics
    /// When `runtime` has I/O or time not enabled: each worker has an alarm there.
    #[must_use]
    pub fn share_media(mut self, beyond: usize, runtime: Handle) -> Self {
        {
            let _entered = runtime.enter();
            drop((Alarm::new(), tokio::time::sleep(Duration::ZERO)));
        }
        self.media_runtime = Some(MediaRuntime { beyond, runtime });
        self
    }

    /// Calls are signalling only, for load tests: all of them offer and answer with one pair of RTP
    /// ports, which is bound, and which nobody reads; no RTP is sent. What is written to such a call
    /// goes nowhere, and nothing is heard.
    #[must_use]
    pub fn without_sound(mut self) -> Self {
        self.soundless = true;
        self
    }
}
