//! Accounts: each is a line of the switchboard.

use core::net::SocketAddr;

use js_sys::{Array, Function};
use offhook_core::event::CallId;
use offhook_core::phone::{Binding, Counters};
use offhook_core::softphone::Softphone;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use super::ids::joined;
use super::{Machine, handler, no_such_line};
use crate::error::{refused, unusable};
use crate::event;
use crate::object::{Builder, number};
use crate::parameters;

/// What belongs to a line and is JavaScript's.
pub(super) struct Account {
    pub(super) line: u16,
    /// Who is asked for the password of the private key.
    key_password: Option<Function>,
    /// The number of its handlers.
    pub(super) handlers: Option<u32>,
}

#[wasm_bindgen]
impl Machine {
    /// Adds an account that has not started; its number. `given` sees its messages: an object, or a
    /// function that makes one for each start.
    pub fn add(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "PhoneParameters")] parameters: &JsValue,
        #[wasm_bindgen(
            js_name = handler,
            unchecked_optional_param_type = "SipHandler | (() => SipHandler)"
        )]
        given: JsValue,
    ) -> Result<u16, JsValue> {
        let (mut parameters, key_password) = parameters::account(parameters)?;
        let handlers = match given.is_object() || given.is_function() {
            true => Some(handler::set(given, &mut parameters)),
            false if given.is_undefined() => None,
            false => {
                let problem = "it is neither an object nor a function";
                return Err(unusable("sip handler", parameters::shown(&given), problem));
            }
        };
        let phone = Softphone::new(parameters).map_err(refused)?;
        let line = self.ground.board(|board| board.add(phone))?.map_err(refused)?.into();
        self.accounts.push(Account { line, key_password, handlers });
        Ok(line)
    }

    /// Removes an account, best when it is inactive; requests to the host follow, which give back what
    /// it had. False when there is none of that number.
    pub fn remove(&mut self, line: u16) -> Result<bool, JsValue> {
        self.accounts.retain(|account| account.line != line);
        let removed = self.ground.board_and_host(|board, host| board.remove(host, line.into()))?;
        Ok(removed.is_some())
    }

    /// What an account needs of its host.
    #[wasm_bindgen(unchecked_return_type = "Needs")]
    pub fn needs(&mut self, line: u16) -> Result<JsValue, JsValue> {
        let account = self.accounts.iter().find(|account| account.line == line);
        let account = account.ok_or_else(|| no_such_line(line))?;
        let asked = account.key_password.as_ref().map(|ask| ask.call0(&JsValue::NULL));
        let asked = asked.transpose()?;
        if let Some(password) = asked.as_ref().filter(|password| !password.is_string()) {
            let kind = password.js_typeof().as_string().unwrap_or_default();
            return Err(unusable("keyPassword", kind, "the function has to return a string"));
        }
        self.look(line, |line| {
            let parameters = line.phone().parameters();
            let path = |path: &Option<std::path::PathBuf>| {
                path.as_ref().map(|path| path.to_string_lossy().into_owned())
            };
            let given = parameters.key_password.as_ref().map(|password| password.reveal());
            let given = given.map(|text| String::from_utf8_lossy(&text).into_owned().into());
            let tls = Builder::new()
                .maybe("caFile", path(&parameters.ca_file))
                .maybe("certFile", path(&parameters.cert_file))
                .maybe("keyFile", path(&parameters.key_file))
                .maybe("keyPassword", asked.or(given))
                .maybe("clientCaFile", path(&parameters.client_ca_file))
                .with("insecure", parameters.tls_insecure);
            Builder::new()
                .with("address", parameters.bind_ip.to_string())
                .with("port", parameters.bind_port)
                .with(
                    "listen",
                    texts(parameters.listening_transports(), |transport| transport.as_str()),
                )
                .with("tls", tls.done())
                .with("dnsServers", texts(&parameters.dns_servers, SocketAddr::to_string))
                .with("websocketPath", parameters.websocket_path.as_str())
                .done()
        })
    }

    /// Starts, and registers if there is a server; events say how it went.
    pub fn start(&mut self, line: u16) -> Result<(), JsValue> {
        self.command(line, |line| line.phone_mut().start().map_err(refused))
    }

    /// Stops: ends every call and takes the registration back, in bounded time.
    pub fn stop(&mut self, line: u16) -> Result<(), JsValue> {
        self.command(line, |line| {
            line.phone_mut().stop();
            Ok(())
        })
    }

    /// Says that the network has changed: every account registers anew, for they share the sockets,
    /// and their calls go on from there.
    #[wasm_bindgen(js_name = networkChanged)]
    pub fn network_changed(&mut self) -> Result<(), JsValue> {
        let lines: Vec<u16> = self.accounts.iter().map(|account| account.line).collect();
        self.ground.board(|board| {
            for line in lines {
                if let Some(line) = board.line_mut(line.into()) {
                    line.phone_mut().network_changed();
                }
            }
        })
    }

    /// Where an account stands.
    #[wasm_bindgen(unchecked_return_type = "PhoneStatus")]
    pub fn status(&mut self, line: u16) -> Result<String, JsValue> {
        self.look(line, |line| event::status_name(line.phone().status()).to_owned())
    }

    /// The registration as the server's last 200 described it; `undefined` while there is none.
    #[wasm_bindgen(unchecked_return_type = "Binding | undefined")]
    pub fn binding(&mut self, line: u16) -> Result<JsValue, JsValue> {
        self.look(line, |line| line.phone().binding().map_or(JsValue::UNDEFINED, binding))
    }

    /// What an account has counted since it was added.
    #[wasm_bindgen(unchecked_return_type = "Counters")]
    pub fn counters(&mut self, line: u16) -> Result<JsValue, JsValue> {
        self.look(line, |line| counters(line.phone().counters()))
    }

    /// The calls that are not over, oldest first.
    #[wasm_bindgen(unchecked_return_type = "number[]")]
    pub fn calls(&mut self, line: u16) -> Result<Array, JsValue> {
        let number = |CallId(call)| JsValue::from(joined(line.into(), call));
        self.look(line, |line| line.phone().calls().map(number).collect())
    }
}

fn binding(binding: &Binding) -> JsValue {
    Builder::new()
        .with("contact", binding.contact.as_str())
        .with("path", texts(&binding.path, String::clone))
        .with("serviceRoute", texts(&binding.service_route, String::clone))
        .with("outbound", binding.outbound)
        .maybe("flowTimer", binding.flow_timer.map(|every| number(every.as_secs())))
        .done()
}

fn counters(counters: Counters) -> JsValue {
    Builder::new()
        .with("received", number(counters.received))
        .with("malformed", number(counters.malformed))
        .with("stray", number(counters.stray))
        .with("refused", number(counters.refused))
        .with("callsRefused", number(counters.calls_refused))
        .with("unansweredChallenges", number(counters.unanswered_challenges))
        .with("changesRefused", number(counters.changes_refused))
        .with("unmapped", number(counters.unmapped))
        .done()
}

/// An array of texts.
fn texts<'a, T, S: Into<JsValue>>(items: &'a [T], text: impl Fn(&'a T) -> S) -> JsValue {
    items.iter().map(|item| text(item).into()).collect::<Array>().unchecked_into()
}
