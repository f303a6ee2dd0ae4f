//! A `sipHandler`: an object of JavaScript that sees every message of an account, once.
//!
//! It is called while the machine is at work, so it cannot use the machine. What it throws does not
//! leave the machine midway: the message goes on as it was, and an event `handlerFailed` reports it.

use core::cell::RefCell;
use core::net::SocketAddr;
use std::collections::VecDeque;

use js_sys::{Array, Function, Object, Promise, Reflect};
use offhook_core::config::PhoneParameters;
use offhook_core::handler::{MessageAction, RequestAction, SipClass, SipDraft, SipHandler};
use wasm_bindgen::{JsCast, JsValue};

use super::kept::Kept;
use super::message::SipMessage;
use crate::error::unusable;
use crate::object::Builder;
use crate::parameters;

/// How many failures are kept until they are asked for; later ones are dropped.
const MOST_FAILURES: usize = 100;

thread_local! {
    static FAILURES: RefCell<VecDeque<Failure>> = const { RefCell::new(VecDeque::new()) };
}

/// What a handler has thrown.
pub(super) struct Failure {
    /// The account's number of its handlers.
    owner: u32,
    /// Which of its methods.
    pub(super) method: &'static str,
    pub(super) error: JsValue,
}

/// Gives an account its handlers: an object, or a function that makes one for each start. Returns the
/// number that [`next_failure`] asks for.
pub(super) fn set(given: JsValue, parameters: &mut PhoneParameters) -> u32 {
    let source = Source(Kept::new(given));
    let owner = source.0.number();
    parameters.sip_class = Some(SipClass::new(move || JsHandler::new(owner, source.0.get())));
    owner
}

/// What an account was given. When the account is gone, nobody asks for its failures.
struct Source(Kept);

impl Drop for Source {
    fn drop(&mut self) {
        let owner = self.0.number();
        FAILURES.with_borrow_mut(|failures| failures.retain(|failure| failure.owner != owner));
    }
}

/// The next failure of those whose number `line` knows, and the line.
pub(super) fn next_failure(mut line: impl FnMut(u32) -> Option<u16>) -> Option<(u16, Failure)> {
    FAILURES.with_borrow_mut(|failures| {
        let found = failures.iter().enumerate();
        let (index, line) = found.filter_map(|(i, f)| Some((i, line(f.owner)?))).next()?;
        Some((line, failures.remove(index)?))
    })
}

fn fail(owner: u32, method: &'static str, error: JsValue) {
    FAILURES.with_borrow_mut(|failures| {
        if failures.len() < MOST_FAILURES {
            failures.push_back(Failure { owner, method, error });
        }
    });
}

/// The handler of one start.
struct JsHandler {
    owner: u32,
    object: Kept,
    methods: Vec<String>,
}

impl JsHandler {
    fn new(owner: u32, given: JsValue) -> Self {
        let made = match given.dyn_ref::<Function>() {
            Some(make) => make.call0(&JsValue::NULL).and_then(|made| match made.is_object() {
                true => Ok(made),
                false => {
                    let problem = "the function has to return an object";
                    Err(unusable("sip handler", parameters::shown(&made), problem))
                }
            }),
            None => Ok(given),
        };
        let made = made.and_then(|made| Ok((methods(&made)?, made)));
        let (methods, object) = made.unwrap_or_else(|error| {
            fail(owner, "sipHandler", error);
            (Vec::new(), Object::new().into())
        });
        Self { owner, object: Kept::new(object), methods }
    }

    /// Shows it a message; what it makes of it is put into `draft`. A handler that fails has passed
    /// the message as it was.
    fn show(
        &self,
        method: &'static str,
        draft: &mut SipDraft,
        peer: SocketAddr,
        read: fn(&JsValue) -> Result<RequestAction, JsValue>,
    ) -> RequestAction {
        let shown = || {
            let object = self.object.get();
            let hook = Reflect::get(&object, &method.into())?;
            if hook.is_undefined() {
                return Ok(None);
            }
            let problem = "it is not a function";
            let hook: Function = hook
                .dyn_into()
                .map_err(|hook| unusable(method, parameters::shown(&hook), problem))?;
            let peer = Builder::new()
                .with("address", peer.ip().to_string())
                .with("port", peer.port())
                .done();
            let (message, held) = SipMessage::lend(draft.clone());
            let returned = hook.call2(&object, &message.into(), &peer);
            let changed = held.take_back();
            Ok(Some((read(&returned?)?, changed)))
        };
        match shown() {
            Ok(None) => RequestAction::Pass,
            Ok(Some((action, changed))) => {
                *draft = changed;
                action
            }
            Err(error) => {
                fail(self.owner, method, error);
                RequestAction::Pass
            }
        }
    }

    fn show_message(
        &self,
        method: &'static str,
        draft: &mut SipDraft,
        peer: SocketAddr,
    ) -> MessageAction {
        match self.show(method, draft, peer, pass_or_drop) {
            RequestAction::Drop => MessageAction::Drop,
            _ => MessageAction::Pass,
        }
    }
}

impl SipHandler for JsHandler {
    fn methods(&self) -> Vec<&str> {
        self.methods.iter().map(String::as_str).collect()
    }

    fn request_in(&mut self, request: &mut SipDraft, from: SocketAddr) -> RequestAction {
        self.show("requestIn", request, from, |returned| match returned.is_object() {
            true if !returned.is_instance_of::<Promise>() => {
                parameters::answer(returned).map(RequestAction::Answer)
            }
            _ => pass_or_drop(returned),
        })
    }

    fn response_in(&mut self, response: &mut SipDraft, from: SocketAddr) -> MessageAction {
        self.show_message("responseIn", response, from)
    }

    fn request_out(&mut self, request: &mut SipDraft, to: SocketAddr) -> MessageAction {
        self.show_message("requestOut", request, to)
    }

    fn response_out(&mut self, response: &mut SipDraft, to: SocketAddr) -> MessageAction {
        self.show_message("responseOut", response, to)
    }
}

/// What `methods` of a handler says; none where it says nothing.
fn methods(object: &JsValue) -> Result<Vec<String>, JsValue> {
    let given = Reflect::get(object, &"methods".into())?;
    if given.is_undefined() {
        return Ok(Vec::new());
    }
    let names = given.dyn_ref::<Array>().and_then(|names| {
        names.iter().map(|name| name.as_string()).collect::<Option<Vec<String>>>()
    });
    let problem = "it is not an array of names";
    names.ok_or_else(|| unusable("methods", parameters::shown(&given), problem))
}

/// Reads what a handler has returned.
fn pass_or_drop(returned: &JsValue) -> Result<RequestAction, JsValue> {
    match returned.as_string().as_deref() {
        Some("pass") => return Ok(RequestAction::Pass),
        Some("drop") => return Ok(RequestAction::Drop),
        None if returned.is_undefined() => return Ok(RequestAction::Pass),
        _ => {}
    }
    let (shown, problem) = match returned.is_instance_of::<Promise>() {
        true => ("a promise".to_owned(), "a handler has to decide at once"),
        false => (parameters::shown(returned), "it is neither pass nor drop"),
    };
    Err(unusable("answer of the sipHandler", shown, problem))
}
