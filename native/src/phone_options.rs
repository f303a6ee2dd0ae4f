//! What a phone has from this machine, besides its parameters.

use tokio::runtime::Handle;

use crate::capture::Capture;
use crate::driver::line::MediaRuntime;

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

    /// Carries the media of a call that begins when there are more than `beyond` on `runtime`. For a
    /// phone started on a runtime of one thread, which answers the most calls for its time, but has
    /// to leave the sound of many to other threads. That runtime needs neither I/O nor time enabled,
    /// and must live as long as the calls.
    #[must_use]
    pub fn share_media(mut self, beyond: usize, runtime: Handle) -> Self {
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
