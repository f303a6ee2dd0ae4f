//! The machine as JavaScript sees it: accounts that share one set of sockets.
//!
//! Each crossing brings the time and one thing that happened, or a command. After it the host carries
//! out what is due, sends what waits (packets from one buffer in wasm's memory, then requests), and
//! takes the events. Calls, requests and referrals are numbered so that their number says whose they
//! are; see [`ids`].

mod accounts;
mod addresses;
mod calls;
mod capture;
mod certificate;
mod events;
mod handler;
pub(crate) mod host;
pub(crate) mod ids;
mod inbound;
mod kept;
mod message;
mod outbound;
mod requests;
mod sound;

use js_sys::Function;
use offhook_core::host::Host;
use offhook_core::softphone::Softphone;
use offhook_core::switchboard::Switchboard;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::{tell_panics, thrown};
use accounts::Account;
use host::JsHost;

/// Accounts on one set of sockets: a telephone each, signalling and media, driven by a host in
/// JavaScript.
///
/// Times are microseconds: `now` on a clock that never goes back, `wall` since 1970. After each method
/// that takes `now`, and after commands, call `handleDeadline` while `nextDeadline` is not later than
/// now; then send what waits, packets first, then requests; then take the events.
#[wasm_bindgen]
pub struct Machine {
    board: Switchboard<Softphone>,
    host: JsHost,
    accounts: Vec<Account>,
}

#[wasm_bindgen]
impl Machine {
    /// A machine without accounts. `entropy` fills the array it is given with random bytes, as
    /// `crypto.getRandomValues` does.
    #[wasm_bindgen(constructor)]
    pub fn new(
        #[wasm_bindgen(unchecked_param_type = "(bytes: Uint8Array) => void")] entropy: Function,
    ) -> Machine {
        tell_panics();
        Self { board: Switchboard::new(), host: JsHost::new(entropy), accounts: Vec::new() }
    }
}

impl Machine {
    /// Lets the switchboard do something.
    fn board<T>(
        &mut self,
        act: impl FnOnce(&mut Switchboard<Softphone>) -> T,
    ) -> Result<T, JsValue> {
        Ok(act(&mut self.board))
    }

    /// Lets it do something that needs its host.
    fn board_and_host<T>(
        &mut self,
        act: impl FnOnce(&mut Switchboard<Softphone>, &mut dyn Host) -> T,
    ) -> Result<T, JsValue> {
        Ok(act(&mut self.board, &mut self.host))
    }

    /// Looks at a line.
    fn look<T>(&mut self, line: u16, look: impl FnOnce(&Softphone) -> T) -> Result<T, JsValue> {
        let found = self.board(|board| board.line(line.into()).map(look))?;
        found.ok_or_else(|| no_such_line(line))
    }

    /// Gives a line a command.
    fn command<T>(
        &mut self,
        line: u16,
        command: impl FnOnce(&mut Softphone) -> Result<T, JsValue>,
    ) -> Result<T, JsValue> {
        self.board(|board| match board.line_mut(line.into()) {
            Some(line) => command(line),
            None => Err(no_such_line(line)),
        })?
    }
}

fn no_such_line(line: u16) -> JsValue {
    thrown("no_such_line", &format!("there is no line {line}, or it was removed"))
}
