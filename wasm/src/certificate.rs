//! Whom a peer's certificate names, as the host has read it from one that it trusts.

use js_sys::{Array, Reflect};
use offhook_core::certificate::Identities;
use wasm_bindgen::{JsCast, JsValue};

/// The identities of an object `Identities` of `ts/host.ts`; `None` of no object. What cannot be read
/// names nobody.
pub(crate) fn identities(given: &JsValue) -> Option<Identities> {
    if !given.is_object() {
        return None;
    }
    let get = |field: &str| Reflect::get(given, &field.into()).unwrap_or(JsValue::UNDEFINED);
    let texts = |field| {
        let array: Option<Array> = get(field).dyn_into().ok();
        let items = array.iter().flat_map(Array::iter);
        items.filter_map(|text| text.as_string()).collect::<Vec<String>>()
    };
    Some(Identities {
        uris: texts("uris"),
        dns_names: texts("dnsNames"),
        addresses: texts("addresses").iter().filter_map(|text| text.parse().ok()).collect(),
        common_name: get("commonName").as_string(),
    })
}
