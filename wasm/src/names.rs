//! DNS records, as `node:dns` gives them.

#[cfg(not(feature = "sim"))]
use core::net::IpAddr;

use js_sys::{Array, Reflect};
use offhook_core::host::{Naptr, Srv};
use wasm_bindgen::JsValue;

/// Addresses from an array of strings; those that cannot be read are left out.
#[cfg(not(feature = "sim"))]
pub(crate) fn addresses(found: &Array) -> Vec<IpAddr> {
    found.iter().filter_map(|text| text.as_string()?.parse().ok()).collect()
}

/// SRV records from an array of objects, likewise.
pub(crate) fn srv(found: &Array) -> Vec<Srv> {
    let record = |object: JsValue| {
        Some(Srv {
            priority: number(&object, "priority")?,
            weight: number(&object, "weight")?,
            port: number(&object, "port")?,
            target: text(&object, "name")?,
        })
    };
    found.iter().filter_map(record).collect()
}

/// NAPTR records from an array of objects, likewise.
pub(crate) fn naptr(found: &Array) -> Vec<Naptr> {
    let record = |object: JsValue| {
        Some(Naptr {
            order: number(&object, "order")?,
            preference: number(&object, "preference")?,
            flags: text(&object, "flags")?,
            service: text(&object, "service")?,
            replacement: text(&object, "replacement")?,
        })
    };
    found.iter().filter_map(record).collect()
}

fn text(object: &JsValue, field: &str) -> Option<String> {
    Reflect::get(object, &field.into()).ok()?.as_string()
}

fn number(object: &JsValue, field: &str) -> Option<u16> {
    let number = Reflect::get(object, &field.into()).ok()?.as_f64()?;
    (0.0..=f64::from(u16::MAX)).contains(&number).then_some(number as u16)
}
