//! A message in a handler's hands.

use core::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Uint8Array};
use offhook_core::handler::SipDraft;
use offhook_core::sip::HeaderName;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::{thrown, unusable};
use crate::event::pairs;
use crate::parameters;

/// A message that a `sipHandler` is shown and may change. It reads as it came; the changes are made
/// when the handler has returned. Via, From, To, Call-ID, CSeq, Content-Length and the first line
/// cannot be changed.
#[wasm_bindgen]
pub struct SipMessage {
    held: Rc<RefCell<Held>>,
}

struct Held {
    draft: SipDraft,
    /// Whether the handler has not returned yet.
    is_open: bool,
}

/// The other end of a message that is lent.
pub(super) struct Lent(Rc<RefCell<Held>>);

impl Lent {
    /// The message with its changes. Who keeps it can still read it.
    pub(super) fn take_back(self) -> SipDraft {
        let mut held = self.0.borrow_mut();
        held.is_open = false;
        held.draft.clone()
    }
}

impl SipMessage {
    pub(super) fn lend(draft: SipDraft) -> (Self, Lent) {
        let held = Rc::new(RefCell::new(Held { draft, is_open: true }));
        (Self { held: Rc::clone(&held) }, Lent(held))
    }

    fn read<T>(&self, read: impl FnOnce(&SipDraft) -> T) -> T {
        read(&self.held.borrow().draft)
    }

    /// Makes a change, or says that it cannot be made; then the message is as before.
    fn change(
        &self,
        what: &'static str,
        of: &str,
        change: impl FnOnce(&mut SipDraft),
    ) -> Result<(), JsValue> {
        let mut held = self.held.borrow_mut();
        if !held.is_open {
            return Err(thrown(
                "invalid_state",
                "the message has gone on: change it before the handler returns",
            ));
        }
        let mut draft = held.draft.clone();
        change(&mut draft);
        if draft.is_spoilt() {
            let problem = "no handler may change it so, or it cannot be written";
            return Err(unusable(what, of.to_owned(), problem));
        }
        held.draft = draft;
        Ok(())
    }
}

#[wasm_bindgen]
impl SipMessage {
    /// The method; of a response that of its request.
    #[wasm_bindgen(getter)]
    pub fn method(&self) -> String {
        self.read(|message| message.method().as_str().to_owned())
    }

    /// The Request-URI; `undefined` of a response.
    #[wasm_bindgen(getter)]
    pub fn uri(&self) -> Option<String> {
        self.read(|message| message.request_uri().map(str::to_owned))
    }

    /// The status code; `undefined` of a request.
    #[wasm_bindgen(getter)]
    pub fn status(&self) -> Option<u16> {
        self.read(|message| message.status())
    }

    /// The reason phrase; `undefined` of a request.
    #[wasm_bindgen(getter)]
    pub fn reason(&self) -> Option<String> {
        self.read(|message| message.status().map(|_| message.reason().to_owned()))
    }

    /// All header fields, in order.
    #[wasm_bindgen(getter, unchecked_return_type = "[name: string, value: string][]")]
    pub fn headers(&self) -> Array {
        let field = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        self.read(|message| pairs(message.fields().map(field)))
    }

    /// The body; empty where there is none.
    #[wasm_bindgen(getter)]
    pub fn body(&self) -> Uint8Array {
        self.read(|message| Uint8Array::from(message.body()))
    }

    /// The value of the first header field of that name, long or compact, in any case.
    pub fn get(&self, name: &str) -> Option<String> {
        self.read(|message| message.header_by_name(name).map(str::to_owned))
    }

    /// The values of all header fields of that name.
    #[wasm_bindgen(js_name = getAll)]
    pub fn get_all(&self, name: &str) -> Vec<String> {
        self.read(|message| match HeaderName::from_str(name) {
            HeaderName::Other => {
                let named = message.fields().filter(|(n, _)| n.eq_ignore_ascii_case(name));
                named.map(|(_, value)| value.to_owned()).collect()
            }
            known => message.headers(known).map(str::to_owned).collect(),
        })
    }

    /// Replaces all header fields of that name by one.
    pub fn set(&self, name: &str, value: &str) -> Result<(), JsValue> {
        self.change("header", name, |draft| {
            draft.set(name, value);
        })
    }

    /// Adds a header field after all others.
    pub fn add(&self, name: &str, value: &str) -> Result<(), JsValue> {
        self.change("header", name, |draft| {
            draft.add(name, value);
        })
    }

    /// Removes every header field of that name.
    pub fn remove(&self, name: &str) -> Result<(), JsValue> {
        self.change("header", name, |draft| {
            draft.remove(name);
        })
    }

    /// Replaces the body by one of that type; an empty body removes it.
    #[wasm_bindgen(js_name = setBody)]
    pub fn set_body(
        &self,
        #[wasm_bindgen(js_name = contentType)] content_type: &str,
        #[wasm_bindgen(unchecked_param_type = "string | Uint8Array")] body: &JsValue,
    ) -> Result<(), JsValue> {
        let body = parameters::bytes(body)
            .map_err(|problem| unusable("body", parameters::shown(body), problem))?;
        self.change("content type", content_type, |draft| {
            draft.set_body(content_type, &body);
        })
    }
}
