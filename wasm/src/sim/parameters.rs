//! Links, translators, exchanges and name servers from JavaScript objects. A name that is not known is
//! an error, as in [`crate::parameters`].

use core::net::{IpAddr, SocketAddr};

use offhook_core::auth::Algorithm;
use offhook_core::exchange::{ExchangeParameters, Listener};
use offhook_core::host::Transport;
use offhook_core::sim::{Burst, Link, Nat};
use offhook_core::time::Duration;
use wasm_bindgen::JsValue;

use crate::error::unusable;
use crate::parameters::{
    Fields, array, boolean, millis, parsed, seconds, shown, text, transport, whole,
};

/// A link; the type `LinkParameters` in TypeScript says what there is.
pub(super) fn link(given: &JsValue) -> Result<Link, JsValue> {
    let mut link = Link::default();
    let mut fields = Fields::of("link", given)?;
    fields.put("delay", millis, &mut link.delay)?;
    fields.put("jitter", millis, &mut link.jitter)?;
    fields.put("lossPermille", permille, &mut link.loss_permille)?;
    link.burst = fields.take("burst", burst)?;
    fields.put("duplicatePermille", permille, &mut link.duplicate_permille)?;
    fields.put("reorderPermille", permille, &mut link.reorder_permille)?;
    fields.put("reorderBy", millis, &mut link.reorder_by)?;
    fields.end()?;
    Ok(link)
}

/// A translator; the type `NatParameters` in TypeScript says what there is.
pub(super) fn nat(given: &JsValue) -> Result<Nat, JsValue> {
    let mut fields = Fields::of("nat", given)?;
    let Some(public) = fields.take("public", parsed::<IpAddr>)? else {
        return Err(unusable("nat", shown(given), "it has no public address"));
    };
    let make = fields.take("kind", kind)?.unwrap_or(Nat::port_restricted);
    let mut nat = make(public);
    fields.put("lifetime", seconds, &mut nat.lifetime)?;
    fields.put("preservesPorts", boolean, &mut nat.preserves_ports)?;
    fields.put("hairpins", boolean, &mut nat.hairpins)?;
    fields.end()?;
    Ok(nat)
}

/// An exchange; the type `ExchangeParameters` in TypeScript says what there is.
pub(super) fn exchange(
    address: SocketAddr,
    given: &JsValue,
) -> Result<ExchangeParameters, JsValue> {
    let mut parameters = ExchangeParameters::new(address);
    if given.is_undefined() {
        return Ok(parameters);
    }
    let mut fields = Fields::of("exchange", given)?;
    fields.put("users", users, &mut parameters.users)?;
    fields.put("realm", text, &mut parameters.realm)?;
    fields.put("domains", texts, &mut parameters.domains)?;
    fields.put("algorithms", algorithms, &mut parameters.algorithms)?;
    fields.put("minExpires", seconds, &mut parameters.min_expires)?;
    fields.put("maxExpires", seconds, &mut parameters.max_expires)?;
    if let Some(transports) = fields.take("transports", transports)? {
        let listener = |transport| Listener { transport, address };
        parameters.listen = transports.into_iter().map(listener).collect();
    }
    fields.end()?;
    Ok(parameters)
}

/// How a name server answers.
pub(super) struct NameServer {
    pub(super) ttl: Option<Duration>,
    pub(super) delay: Option<Duration>,
    pub(super) failing: Option<bool>,
}

/// A name server; the type `NameServerParameters` in TypeScript says what there is.
pub(super) fn name_server(given: &JsValue) -> Result<NameServer, JsValue> {
    let mut fields = Fields::of("name server", given)?;
    let server = NameServer {
        ttl: fields.take("ttl", seconds)?,
        delay: fields.take("delay", millis)?,
        failing: fields.take("failing", boolean)?,
    };
    fields.end()?;
    Ok(server)
}

fn permille(value: &JsValue) -> Result<u16, &'static str> {
    let most = u16::try_from(whole(value)?).ok().filter(|permille| *permille <= 1_000);
    most.ok_or("of 1,000 packets there are at most 1,000")
}

fn burst(value: &JsValue) -> Result<Burst, &'static str> {
    const PROBLEM: &str = "it has enterPermille, leavePermille and lossPermille";
    let mut fields = Fields::of("burst", value).map_err(|_| PROBLEM)?;
    let mut take = |name| fields.take(name, permille).ok().flatten().ok_or(PROBLEM);
    let burst = Burst {
        enter_permille: take("enterPermille")?,
        leave_permille: take("leavePermille")?,
        loss_permille: take("lossPermille")?,
    };
    fields.end().map_err(|_| PROBLEM)?;
    Ok(burst)
}

fn kind(value: &JsValue) -> Result<fn(IpAddr) -> Nat, &'static str> {
    match text(value)?.as_str() {
        "full-cone" => Ok(Nat::full_cone),
        "restricted" => Ok(Nat::restricted),
        "port-restricted" => Ok(Nat::port_restricted),
        "symmetric" => Ok(Nat::symmetric),
        _ => Err("it is not full-cone, restricted, port-restricted or symmetric"),
    }
}

fn users(value: &JsValue) -> Result<Vec<(String, String)>, &'static str> {
    const PROBLEM: &str = "each has a name and a password";
    let user = |entry: JsValue| {
        let mut fields = Fields::of("users", &entry).ok()?;
        let mut take = |name| fields.take(name, text).ok().flatten();
        let user = (take("name")?, take("password")?);
        fields.end().ok()?;
        Some(user)
    };
    array(value)?.iter().map(|entry| user(entry).ok_or(PROBLEM)).collect()
}

fn texts(value: &JsValue) -> Result<Vec<String>, &'static str> {
    array(value)?.iter().map(|entry| text(&entry)).collect()
}

fn algorithms(value: &JsValue) -> Result<Vec<Algorithm>, &'static str> {
    let algorithm = |name: String| Algorithm::from_name(&name).ok_or("there is no such algorithm");
    texts(value)?.into_iter().map(algorithm).collect()
}

fn transports(value: &JsValue) -> Result<Vec<Transport>, &'static str> {
    array(value)?.iter().map(|entry| transport(&entry)).collect()
}
