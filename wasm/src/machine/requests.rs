//! Requests of the application. Each returns a number, with which an event `response` has the answer.

use offhook_core::error::Error;
use offhook_core::event::SipRequestId;
use offhook_core::phone::Phone;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::Machine;
use super::ids::{self, joined};
use crate::error::refused;
use crate::parameters;

#[wasm_bindgen]
impl Machine {
    /// Asks what a target can do.
    pub fn options(&mut self, line: u16, target: &str) -> Result<f64, JsValue> {
        self.send(line, |phone| phone.options(target))
    }

    /// Sends a target an instant message of a media type.
    pub fn message(
        &mut self,
        line: u16,
        target: &str,
        body: &[u8],
        #[wasm_bindgen(js_name = contentType)] content_type: &str,
    ) -> Result<f64, JsValue> {
        self.send(line, |phone| phone.message(target, body, content_type))
    }

    /// Sends a target a request of any other method.
    pub fn request(
        &mut self,
        line: u16,
        method: &str,
        target: &str,
        #[wasm_bindgen(unchecked_optional_param_type = "RequestOptions")] options: JsValue,
    ) -> Result<f64, JsValue> {
        let options = parameters::request(&options)?;
        self.send(line, |phone| phone.request(method, target, options))
    }

    /// Sends the far end of a call a request of any method within it.
    #[wasm_bindgen(js_name = requestWithin)]
    pub fn request_within(
        &mut self,
        call: f64,
        method: &str,
        #[wasm_bindgen(unchecked_optional_param_type = "RequestOptions")] options: JsValue,
    ) -> Result<f64, JsValue> {
        let options = parameters::request(&options)?;
        let sent = self.of_call(call, |phone, call| phone.request_within(call, method, options))?;
        Ok(joined(ids::call(call).0.into(), sent.0))
    }
}

impl Machine {
    fn send(
        &mut self,
        line: u16,
        send: impl FnOnce(&mut Phone) -> Result<SipRequestId, Error>,
    ) -> Result<f64, JsValue> {
        let sent = self.command(line, |line| send(line.phone_mut()).map_err(refused));
        sent.map(|SipRequestId(request)| joined(line.into(), request))
    }
}
