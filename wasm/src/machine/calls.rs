//! Commands to calls. A call's number says whose it is.

use core::time::Duration;

use offhook_core::call::DenyOptions;
use offhook_core::error::Error;
use offhook_core::event::{CallId, CallState, ReferralId};
use offhook_core::phone::Phone;
use offhook_core::softphone::Softphone;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::Machine;
use super::ids::{self, joined, split};
use crate::error::{refused, thrown};
use crate::event;
use crate::parameters;

#[wasm_bindgen]
impl Machine {
    /// Calls a SIP URI, or a name or number at the account's server. Returns the call's number.
    pub fn call(
        &mut self,
        line: u16,
        target: &str,
        #[wasm_bindgen(unchecked_optional_param_type = "CallOptions")] options: JsValue,
    ) -> Result<f64, JsValue> {
        let options = parameters::call(&options)?;
        let placed = |line: &mut Softphone| line.phone_mut().call(target, options).map_err(refused);
        self.command(line, placed).map(|CallId(call)| joined(line.into(), call))
    }

    /// Answers a call.
    pub fn answer(&mut self, call: f64) -> Result<(), JsValue> {
        self.of_call(call, Phone::answer)
    }

    /// Opens the media of a call before it is answered.
    pub fn progress(&mut self, call: f64) -> Result<(), JsValue> {
        self.of_call(call, Phone::progress)
    }

    /// Refuses a call with a status code, 400 to 699, and says after how many seconds it may be tried
    /// again, if that is known.
    pub fn deny(
        &mut self,
        call: f64,
        code: u16,
        reason: Option<String>,
        #[wasm_bindgen(js_name = retryAfter)] retry_after: Option<f64>,
    ) -> Result<(), JsValue> {
        let mut options = DenyOptions::default();
        options.reason = reason;
        options.retry_after = retry_after.map(|secs| Duration::from_secs(secs as u64));
        self.of_call(call, |phone, call| phone.deny_with(call, code, options))
    }

    /// Sends the caller elsewhere.
    pub fn redirect(&mut self, call: f64, contact: &str) -> Result<(), JsValue> {
        self.of_call(call, |phone, call| phone.redirect(call, contact))
    }

    /// Ends a call that was answered, and says why where there is more to say (Reason, RFC 3326).
    pub fn hangup(
        &mut self,
        call: f64,
        #[wasm_bindgen(unchecked_optional_param_type = "readonly Reason[]")] reasons: JsValue,
    ) -> Result<(), JsValue> {
        let reasons = parameters::reasons(&reasons)?;
        self.of_call(call, |phone, call| phone.hangup_for(call, &reasons))
    }

    /// Puts the far end on hold; an event `hold` or `holdFailed` says what became of it.
    pub fn hold(&mut self, call: f64) -> Result<(), JsValue> {
        self.of_call(call, Phone::hold)
    }

    /// Ends our hold of the far end, reported as for `hold`.
    pub fn resume(&mut self, call: f64) -> Result<(), JsValue> {
        self.of_call(call, Phone::resume)
    }

    /// Gives up a call that was not answered yet, likewise.
    pub fn cancel(
        &mut self,
        call: f64,
        #[wasm_bindgen(unchecked_optional_param_type = "readonly Reason[]")] reasons: JsValue,
    ) -> Result<(), JsValue> {
        let reasons = parameters::reasons(&reasons)?;
        self.of_call(call, |phone, call| phone.cancel_for(call, &reasons))
    }

    /// Ends a call by whatever its state allows: hangs it up, cancels it, or denies it with 480. Does
    /// nothing to one that is over.
    pub fn end(&mut self, call: f64) -> Result<(), JsValue> {
        let (line, call) = ids::call(call);
        self.ground.board(|board| {
            if let Some(line) = board.line_mut(line.into()) {
                line.phone_mut().end(call);
            }
        })
    }

    /// Asks the far end of a call to call a target instead; events `transfer` say how it goes.
    pub fn transfer(
        &mut self,
        call: f64,
        target: &str,
        #[wasm_bindgen(unchecked_optional_param_type = "TransferOptions")] options: JsValue,
    ) -> Result<(), JsValue> {
        let options = parameters::transfer(&options)?;
        self.of_call(call, |phone, call| phone.transfer(call, target, options))
    }

    /// The state of a call; `undefined` when it is over.
    #[wasm_bindgen(unchecked_return_type = "CallState | undefined")]
    pub fn state(&mut self, call: f64) -> Result<Option<String>, JsValue> {
        let state = |line: &Softphone, call| line.phone().state(call);
        let state = self.look_at(call, state)?;
        Ok(state.map(|state| state.as_str().to_owned()))
    }

    /// What is known about a call; `undefined` once the event after `ended` was asked for.
    #[wasm_bindgen(unchecked_return_type = "CallInfo | undefined")]
    pub fn info(&mut self, call: f64) -> Result<JsValue, JsValue> {
        let info = self.look_at(call, Softphone::info)?;
        Ok(info.map_or(JsValue::UNDEFINED, |info| event::info(call, info)))
    }

    /// Calls the target of a referral, which an event `referred` has reported. Returns the new call's
    /// number.
    #[wasm_bindgen(js_name = acceptReferral)]
    pub fn accept_referral(&mut self, referral: f64) -> Result<f64, JsValue> {
        let (line, referral) = split(referral);
        let accepted = self.command(line, |line| {
            line.phone_mut().accept_referral(ReferralId(referral)).map_err(refused)
        });
        accepted.map(|CallId(call)| joined(line.into(), call))
    }

    /// Refuses a referral, which an event `referred` has reported.
    #[wasm_bindgen(js_name = rejectReferral)]
    pub fn reject_referral(&mut self, referral: f64) -> Result<(), JsValue> {
        let (line, referral) = split(referral);
        self.command(line, |line| {
            line.phone_mut().reject_referral(ReferralId(referral)).map_err(refused)
        })
    }
}

impl Machine {
    /// Carries out a command of a call. One that is over refuses each in the same way.
    pub(super) fn of_call<T>(
        &mut self,
        call: f64,
        command: impl FnOnce(&mut Phone, CallId) -> Result<T, Error>,
    ) -> Result<T, JsValue> {
        let (line, call) = ids::call(call);
        let done = self.ground.board(|board| {
            let phone = board.line_mut(line.into())?.phone_mut();
            match phone.state(call)? {
                CallState::Ended => None,
                _ => Some(command(phone, call)),
            }
        })?;
        done.ok_or_else(|| thrown("ended", "the call is over"))?.map_err(refused)
    }

    /// Looks at a call; `None` also when there is no such line.
    pub(super) fn look_at<T>(
        &mut self,
        call: f64,
        look: impl FnOnce(&Softphone, CallId) -> Option<T>,
    ) -> Result<Option<T>, JsValue> {
        let (line, call) = ids::call(call);
        self.ground.board(|board| look(board.line(line.into())?, call))
    }
}
