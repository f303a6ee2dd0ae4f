//! The machine as JavaScript sees it: accounts that share one set of sockets.
//!
//! Each crossing brings the time and one thing that happened, or a command. After it the host carries
//! out what is due, sends what waits (packets from one buffer in wasm's memory, then requests), and
//! takes the events. Calls, requests and referrals are numbered so that their number says whose they
//! are; see [`ids`].

mod accounts;
mod calls;
mod events;
mod handler;
pub(crate) mod ids;
mod kept;
mod message;
mod requests;
mod sound;

// On a host of its own.
#[cfg(not(feature = "sim"))]
mod addresses;
#[cfg(not(feature = "sim"))]
mod capture;
#[cfg(not(feature = "sim"))]
mod host;
#[cfg(not(feature = "sim"))]
mod inbound;
#[cfg(not(feature = "sim"))]
mod outbound;
#[cfg(not(feature = "sim"))]
mod own;

// On a node of a simulation.
#[cfg(feature = "sim")]
mod node;

use offhook_core::softphone::Softphone;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::thrown;
use accounts::Account;
#[cfg(feature = "sim")]
use node::Ground;
#[cfg(not(feature = "sim"))]
use own::Ground;

/// Accounts on one set of sockets: a telephone each, signalling and media, driven by a host in
/// JavaScript.
///
/// Times are microseconds: `now` on a clock that never goes back, `wall` since 1970. After each method
/// that takes `now`, and after commands, call `handleDeadline` while `nextDeadline` is not later than
/// now; then send what waits, packets first, then requests; then take the events.
///
/// In a simulation a machine is a node's: the simulation brings it what comes and the time.
#[wasm_bindgen]
pub struct Machine {
    ground: Ground,
    accounts: Vec<Account>,
}

impl Machine {
    fn on(ground: Ground) -> Self {
        Self { ground, accounts: Vec::new() }
    }

    /// Looks at a line.
    fn look<T>(&mut self, line: u16, look: impl FnOnce(&Softphone) -> T) -> Result<T, JsValue> {
        let found = self.ground.board(|board| board.line(line.into()).map(look))?;
        found.ok_or_else(|| no_such_line(line))
    }

    /// Gives a line a command.
    fn command<T>(
        &mut self,
        line: u16,
        command: impl FnOnce(&mut Softphone) -> Result<T, JsValue>,
    ) -> Result<T, JsValue> {
        self.ground.board(|board| match board.line_mut(line.into()) {
            Some(line) => command(line),
            None => Err(no_such_line(line)),
        })?
    }
}

fn no_such_line(line: u16) -> JsValue {
    thrown("no_such_line", &format!("there is no line {line}, or it was removed"))
}
