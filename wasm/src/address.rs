//! Addresses and transports as JavaScript writes them.

use core::net::{IpAddr, SocketAddr};

use offhook_core::host::Transport;
use wasm_bindgen::JsValue;

use crate::error::unusable;

/// A numeric address and a port.
pub(crate) fn socket_address(address: &str, port: u16) -> Result<SocketAddr, JsValue> {
    // A link-local address may carry its interface: fe80::1%eth0.
    let ip: Option<IpAddr> = address.split('%').next().and_then(|ip| ip.parse().ok());
    let unusable = || unusable("address", address.to_owned(), "it is not numeric");
    Ok(SocketAddr::new(ip.ok_or_else(unusable)?, port))
}

/// The transport of that name, in any case.
pub(crate) fn transport(name: &str) -> Result<Transport, JsValue> {
    let problem = "it is not UDP, TCP, TLS, WS or WSS";
    Transport::named(name).ok_or_else(|| unusable("transport", name.to_owned(), problem))
}
