//! Transactions (RFC 3261 §17, RFC 6026): a request and its responses, made reliable hop by hop.
//!
//! [`Layer`] holds all transactions of one endpoint: it finds the one that a message belongs to,
//! absorbs what has come before, repeats what may have been lost, and hands its user (the dialog
//! layer, or a proxy) what is new. Read `machine` and then the four machines, each under the
//! diagram of its states: `client_invite`, `client_non_invite`, `server_invite`,
//! `server_non_invite`.

mod client_invite;
mod client_non_invite;
mod derived;
mod entry;
mod event;
mod key;
mod layer;
mod machine;
mod server_invite;
mod server_non_invite;
mod store;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wire_tests;

pub use event::{ClientId, Failure, Received, ServerId};
pub use layer::Layer;
pub(crate) use machine::Timing;

use crate::sip::{Message, Method};
use crate::time::Duration;

/// Why a transaction failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum FailureCause {
    /// What had to come did not come in time: a response (Timers B and F), the ACK (Timer H), or
    /// the user's own answer.
    Timeout,
    /// The network refused what was sent (§17.1.4, §17.2.4).
    Transport,
    /// Nothing was sent: the table was full, or the application's handler dropped it.
    Refused,
}

/// The bounds of a [`Layer`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How many transactions there may be; a request beyond is answered 503. A sixteenth more is
    /// kept for requests of ours, for CANCEL and for requests within a dialog: they end things.
    /// 1,048,576 by default.
    pub transactions: usize,
    /// What 503 says in Retry-After (§20.33), in whole seconds. Default 10 s.
    pub retry_after: Duration,
    /// Whether a request that came before along another path is answered 482 (§8.2.2.2), as a user
    /// agent must and a proxy must not. Default true.
    pub merged_requests_are_loops: bool,
    /// T1, T2 and T4.
    pub timing: Timing,
}

/// How many transactions a layer holds by default: ten thousand calls a second, each an INVITE and
/// a BYE that stay for 32 s, and half as many again.
pub(crate) const MAX_TRANSACTIONS: usize = 1 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            transactions: MAX_TRANSACTIONS,
            retry_after: Duration::from_secs(10),
            merged_requests_are_loops: true,
            timing: Timing::default(),
        }
    }
}

impl Limits {
    /// The same with intervals that are never zero: a timer must come to an end.
    fn checked(mut self) -> Self {
        for interval in [&mut self.timing.t1, &mut self.timing.t2, &mut self.timing.t4] {
            *interval = (*interval).max(Duration::from_millis(1));
        }
        self
    }

    /// The limit for a request that came.
    fn for_request(&self, request: &Message) -> usize {
        match *request.method() == Method::Cancel || request.to_tag().is_some() {
            true => self.with_reserve(),
            false => self.transactions,
        }
    }

    fn with_reserve(&self) -> usize {
        self.transactions.saturating_add(self.transactions / 16)
    }
}

/// Counters of what a [`Layer`] did by itself.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Counters {
    /// Messages sent again because a timer fired.
    pub retransmissions: u64,
    /// Copies of requests that had come before, ACKs of rejections among them.
    pub absorbed_requests: u64,
    /// Responses that were copies, late, or of a fork that lost.
    pub absorbed_responses: u64,
    /// Responses to no known request.
    pub stray_responses: u64,
    /// Responses of the user that came after a final one or after the end, and were not sent.
    pub late_responses: u64,
    /// Requests answered 482 because they had come before along another path.
    pub merged: u64,
    /// Requests for which there was no room: answered 503, or not sent.
    pub refused: u64,
    /// Transactions that timed out.
    pub timeouts: u64,
    /// Transactions that failed because the network refused what they sent.
    pub transport_errors: u64,
}
