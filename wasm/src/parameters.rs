//! [`PhoneParameters`] and [`CallOptions`] from JavaScript objects. A name that is not known is an
//! error: an option that was misspelt must not be ignored.

use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;
use std::path::PathBuf;

use js_sys::{Array, Function, Object, Uint8Array};
use offhook_core::call::{CallOptions, TransferMode, TransferOptions};
use offhook_core::codec::Codec;
use offhook_core::config::PhoneParameters;
use offhook_core::handler::SipAnswer;
use offhook_core::host::Transport;
use offhook_core::phone::RequestOptions;
use offhook_core::sdp::Direction;
use offhook_core::sip::Reason;
use offhook_core::time::Duration;
use wasm_bindgen::{JsCast, JsValue};

use crate::error::unusable;

/// The parameters of a phone, and who is asked for the password of its private key; the type
/// `PhoneParameters` in TypeScript says which there are.
pub(crate) fn account(given: &JsValue) -> Result<(PhoneParameters, Option<Function>), JsValue> {
    let mut fields = Fields::of("parameters", given)?;
    let user = fields.take("user", text)?.unwrap_or_default();
    let mut parameters = match fields.take("server", text)? {
        Some(server) => PhoneParameters::new(&server, &user),
        None => PhoneParameters::without_server(&user),
    };
    fields.put("port", port, &mut parameters.port)?;
    for Login { username, password, server, realm, user } in
        fields.take("credentials", logins)?.unwrap_or_default()
    {
        let [server, realm, user] = [&server, &realm, &user].map(|of| of.as_deref());
        parameters.credentials.add(&username, &password, server, realm, user);
    }
    let login = fields.take("authUser", text)?.unwrap_or_else(|| user.clone());
    parameters.realm = fields.take("realm", text)?;
    if let Some(password) = fields.take("password", text)? {
        let realm = parameters.realm.as_deref();
        parameters.credentials.add(&login, &password, None, realm, None);
    }
    parameters.display_name = fields.take("displayName", text)?;
    parameters.instance = fields.take("instance", text)?;
    parameters.outbound_proxy = fields.take("outboundProxy", text)?;
    parameters.hostname = fields.take("hostname", text)?;
    parameters.remote_hostname = fields.take("remoteHostname", text)?;
    if let Some((ip, port)) = fields.take("bind", bind)? {
        parameters.bind_ip = ip;
        parameters.bind_port = port.unwrap_or(parameters.bind_port);
    }
    parameters.transport = fields.take("transport", transport)?;
    fields.put("allowTcp", boolean, &mut parameters.allow_tcp)?;
    fields.put("dnsServers", name_servers, &mut parameters.dns_servers)?;
    fields.put("websocketPath", text, &mut parameters.websocket_path)?;
    parameters.ca_file = fields.take("caFile", path)?;
    parameters.cert_file = fields.take("certFile", path)?;
    parameters.key_file = fields.take("keyFile", path)?;
    parameters.client_ca_file = fields.take("clientCaFile", path)?;
    fields.put("tlsInsecure", boolean, &mut parameters.tls_insecure)?;
    let ask = match fields.take("keyPassword", text_or_function)? {
        Some(Ok(password)) => {
            parameters.key_password = Some(password.as_str().into());
            None
        }
        Some(Err(ask)) => Some(ask),
        None => None,
    };
    fields.put("bindNetwork", parsed, &mut parameters.bind_network)?;
    fields.put("allowMd5", boolean, &mut parameters.allow_md5)?;
    fields.put("register", boolean, &mut parameters.register)?;
    fields.put("expires", seconds, &mut parameters.expires)?;
    if let Some(attempts) = fields.take("registrationAttempts", whole)? {
        parameters.registration_attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    }
    parameters.start_timeout = fields.take("startTimeout", seconds)?;
    fields.put("learnAddress", boolean, &mut parameters.learn_address)?;
    parameters.stun = fields.take("stun", text)?;
    fields.put("keepAlive", parsed, &mut parameters.keep_alive)?;
    parameters.keep_alive_interval = fields.take("keepAliveInterval", seconds)?;
    fields.put("symmetricRtp", parsed, &mut parameters.symmetric_rtp)?;
    if let Some((low, high)) = fields.take("rtpPorts", ports)? {
        (parameters.rtp_port_low, parameters.rtp_port_high) = (low, high);
    }
    fields.put("codecs", codecs, &mut parameters.codecs)?;
    fields.put("ptime", millis, &mut parameters.ptime)?;
    fields.put("userAgent", text, &mut parameters.user_agent)?;
    fields.put("answerTimeout", seconds, &mut parameters.answer_timeout)?;
    if let Some(limit) = fields.take("maxRedirects", whole)? {
        parameters.max_redirects = u8::try_from(limit).unwrap_or(u8::MAX);
    }
    if let Some(timeout) = fields.take("mediaTimeout", seconds)? {
        parameters.media_timeout = (!timeout.is_zero()).then_some(timeout);
    }
    fields.put("maxCalls", whole, &mut parameters.max_calls)?;
    fields.put("acceptAnyUser", boolean, &mut parameters.accept_any_user)?;
    fields.put("acceptTransfer", boolean, &mut parameters.accept_transfer)?;
    parameters.next_hop = fields.take("nextHop", parsed)?;
    fields.end()?;
    Ok((parameters, ask))
}

/// The options of a call; the type `CallOptions` in TypeScript says which there are.
pub(crate) fn call(given: &JsValue) -> Result<CallOptions, JsValue> {
    let mut options = CallOptions::default();
    if given.is_undefined() {
        return Ok(options);
    }
    let mut fields = Fields::of("call options", given)?;
    fields.put("headers", headers, &mut options.headers)?;
    options.codecs = fields.take("codecs", codecs)?;
    fields.put("direction", direction, &mut options.direction)?;
    fields.put("streams", small, &mut options.streams)?;
    fields.put("lateOffer", boolean, &mut options.late_offer)?;
    options.max_redirects = fields.take("maxRedirects", small)?;
    fields.end()?;
    Ok(options)
}

/// How a call is transferred; the type `TransferOptions` in TypeScript says what there is.
pub(crate) fn transfer(given: &JsValue) -> Result<TransferOptions, JsValue> {
    let mut options = TransferOptions::default();
    if given.is_undefined() {
        return Ok(options);
    }
    let mut fields = Fields::of("transfer options", given)?;
    fields.put("mode", mode, &mut options.mode)?;
    fields.put("referredBy", boolean, &mut options.referred_by)?;
    fields.put("noReports", boolean, &mut options.no_reports)?;
    fields.put("outsideDialog", boolean, &mut options.outside_dialog)?;
    fields.end()?;
    Ok(options)
}

/// What a request holds; the type `RequestOptions` in TypeScript says what there is.
pub(crate) fn request(given: &JsValue) -> Result<RequestOptions, JsValue> {
    let mut options = RequestOptions::default();
    if given.is_undefined() {
        return Ok(options);
    }
    let mut fields = Fields::of("request options", given)?;
    fields.put("headers", headers, &mut options.headers)?;
    let kind = fields.take("contentType", text)?.unwrap_or_else(|| "text/plain".to_owned());
    options.body = fields.take("body", bytes)?.map(|body| (kind, body));
    fields.end()?;
    Ok(options)
}

/// An answer of a `sipHandler`; the type `SipAnswer` in TypeScript says what there is.
pub(crate) fn answer(given: &JsValue) -> Result<SipAnswer, JsValue> {
    let mut fields = Fields::of("answer of the sipHandler", given)?;
    let Some(status) = fields.take("status", port)? else {
        let problem = "it has no status: { status: 486 }";
        return Err(unusable("answer of the sipHandler", shown(given), problem));
    };
    let mut answer = SipAnswer::new(status);
    if let Some(reason) = fields.take("reason", text)? {
        answer = answer.reason(&reason);
    }
    for (name, value) in fields.take("headers", headers)?.unwrap_or_default() {
        answer = answer.header(&name, &value);
    }
    let kind = fields.take("contentType", text)?.unwrap_or_else(|| "text/plain".to_owned());
    if let Some(body) = fields.take("body", bytes)? {
        answer = answer.body(&kind, &body);
    }
    fields.end()?;
    Ok(answer)
}

/// Why a call ends; the type `Reason` in TypeScript says what there is.
pub(crate) fn reasons(given: &JsValue) -> Result<Vec<Reason>, JsValue> {
    if given.is_undefined() {
        return Ok(Vec::new());
    }
    let reason = |given: JsValue| {
        let mut fields = Fields::of("reason", &given)?;
        let mut reason = Reason::sip(0);
        fields.put("protocol", text, &mut reason.protocol)?;
        reason.cause = fields.take("cause", port)?;
        reason.text = fields.take("text", text)?;
        fields.end()?;
        Ok(reason)
    };
    let list = array(given).map_err(|problem| unusable("reasons", shown(given), problem))?;
    list.iter().map(reason).collect()
}

/// The fields of an object that were not taken yet.
pub(crate) struct Fields {
    fields: Vec<(String, JsValue)>,
}

/// What no message shows.
const SECRETS: [&str; 3] = ["password", "keyPassword", "credentials"];

/// Reads a value, or says what is wrong with it.
pub(crate) type Read<T> = fn(&JsValue) -> Result<T, &'static str>;

impl Fields {
    pub(crate) fn of(what: &'static str, given: &JsValue) -> Result<Self, JsValue> {
        let object = given
            .dyn_ref::<Object>()
            .ok_or_else(|| unusable(what, shown(given), "it is not an object"))?;
        let field = |entry: JsValue| {
            let entry: Array = entry.unchecked_into();
            (entry.get(0).as_string().unwrap_or_default(), entry.get(1))
        };
        Ok(Self { fields: Object::entries(object).iter().map(field).collect() })
    }

    pub(crate) fn take<T>(
        &mut self,
        name: &'static str,
        read: Read<T>,
    ) -> Result<Option<T>, JsValue> {
        let Some(value) = self.value(name) else { return Ok(None) };
        read(&value).map(Some).map_err(|problem| unreadable(name, &value, problem))
    }

    /// Takes what a field holds; `undefined` is nothing.
    fn value(&mut self, name: &str) -> Option<JsValue> {
        let index = self.fields.iter().position(|(field, _)| field == name)?;
        let (_, value) = self.fields.swap_remove(index);
        (!value.is_undefined()).then_some(value)
    }

    pub(crate) fn put<T>(
        &mut self,
        name: &'static str,
        read: Read<T>,
        to: &mut T,
    ) -> Result<(), JsValue> {
        if let Some(value) = self.take(name, read)? {
            *to = value;
        }
        Ok(())
    }

    pub(crate) fn end(self) -> Result<(), JsValue> {
        match self.fields.into_iter().next() {
            Some((name, _)) => Err(unusable("parameter", name, "there is none of that name")),
            None => Ok(()),
        }
    }
}

/// A value that cannot be read.
fn unreadable(name: &'static str, value: &JsValue, problem: &'static str) -> JsValue {
    let value = if SECRETS.contains(&name) { "...".to_owned() } else { shown(value) };
    unusable(name, value, problem)
}

/// A value for a message.
pub(crate) fn shown(value: &JsValue) -> String {
    // A function and a symbol have no JSON: `undefined` comes back.
    let json = || JsValue::from(js_sys::JSON::stringify(value).ok()?).as_string();
    let kind = || value.js_typeof().as_string();
    value.as_string().or_else(json).or_else(kind).unwrap_or_default()
}

pub(crate) fn text(value: &JsValue) -> Result<String, &'static str> {
    value.as_string().ok_or("it is not a string")
}

pub(crate) fn boolean(value: &JsValue) -> Result<bool, &'static str> {
    value.as_bool().ok_or("it is neither true nor false")
}

pub(crate) fn number(value: &JsValue) -> Result<f64, &'static str> {
    value.as_f64().filter(|n| n.is_finite() && *n >= 0.0).ok_or("it is not a number from 0")
}

pub(crate) fn whole(value: &JsValue) -> Result<usize, &'static str> {
    let number = number(value)?;
    if number.fract() == 0.0 { Ok(number as usize) } else { Err("it is not a whole number") }
}

pub(crate) fn small(value: &JsValue) -> Result<u8, &'static str> {
    u8::try_from(whole(value)?).map_err(|_| "it is too large")
}

pub(crate) fn port(value: &JsValue) -> Result<u16, &'static str> {
    u16::try_from(whole(value)?).map_err(|_| "it is above 65,535")
}

fn path(value: &JsValue) -> Result<PathBuf, &'static str> {
    text(value).map(PathBuf::from)
}

fn text_or_function(value: &JsValue) -> Result<Result<String, Function>, &'static str> {
    match value.as_string() {
        Some(text) => Ok(Ok(text)),
        None => value.clone().dyn_into().map(Err).map_err(|_| "it is no string and no function"),
    }
}

pub(crate) fn transport(value: &JsValue) -> Result<Transport, &'static str> {
    Transport::named(&text(value)?).ok_or("it is not UDP, TCP, TLS, WS or WSS")
}

/// A name and password, and for what.
struct Login {
    username: String,
    password: String,
    server: Option<String>,
    realm: Option<String>,
    user: Option<String>,
}

fn logins(value: &JsValue) -> Result<Vec<Login>, &'static str> {
    const PROBLEM: &str =
        "each has username, password, and for what: server, realm and user, in any combination";
    let login = |entry: JsValue| {
        let mut fields = Fields::of("credentials", &entry).ok()?;
        let mut take = |name| fields.take(name, text).ok();
        let (username, password) = (take("username")??, take("password")??);
        let (server, realm, user) = (take("server")?, take("realm")?, take("user")?);
        fields.end().ok()?;
        Some(Login { username, password, server, realm, user })
    };
    array(value)?.iter().map(|entry| login(entry).ok_or(PROBLEM)).collect()
}

/// Text, or bytes.
pub(crate) fn bytes(value: &JsValue) -> Result<Vec<u8>, &'static str> {
    let bytes = value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec);
    bytes
        .or_else(|| value.as_string().map(String::into_bytes))
        .ok_or("it is neither text nor bytes")
}

fn mode(value: &JsValue) -> Result<TransferMode, &'static str> {
    match text(value)?.as_str() {
        "blind" => Ok(TransferMode::Blind),
        "notified" => Ok(TransferMode::Notified),
        _ => Err("it is neither blind nor notified"),
    }
}

pub(crate) fn seconds(value: &JsValue) -> Result<Duration, &'static str> {
    Ok(Duration::from_micros((number(value)? * 1e6) as u64))
}

pub(crate) fn millis(value: &JsValue) -> Result<Duration, &'static str> {
    Ok(Duration::from_micros((number(value)? * 1e3) as u64))
}

pub(crate) fn parsed<T: FromStr>(value: &JsValue) -> Result<T, &'static str> {
    text(value)?.parse().map_err(|_| "it is not written as it should be")
}

/// `IP` or `IP:PORT`, IPv6 in brackets with a port.
fn bind(value: &JsValue) -> Result<(IpAddr, Option<u16>), &'static str> {
    let text = text(value)?;
    let with_port = text.parse::<SocketAddr>().map(|address| (address.ip(), Some(address.port())));
    with_port.or_else(|_| text.parse().map(|ip| (ip, None))).map_err(|_| "it is not IP or IP:PORT")
}

/// An array of `IP` or `IP:PORT`.
fn name_servers(value: &JsValue) -> Result<Vec<SocketAddr>, &'static str> {
    /// RFC 1035 §4.2.
    const DNS_PORT: u16 = 53;
    let server = |text: JsValue| {
        let (ip, port) = bind(&text)?;
        Ok(SocketAddr::new(ip, port.unwrap_or(DNS_PORT)))
    };
    array(value)?.iter().map(server).collect()
}

pub(crate) fn array(value: &JsValue) -> Result<Array, &'static str> {
    value.clone().dyn_into().map_err(|_| "it is not an array")
}

fn ports(value: &JsValue) -> Result<(u16, u16), &'static str> {
    let array = array(value)?;
    Ok((port(&array.get(0))?, port(&array.get(1))?))
}

fn codecs(value: &JsValue) -> Result<Vec<Codec>, &'static str> {
    let codec = |name: JsValue| {
        let name = text(&name)?;
        let known = Codec::ALL.iter().find(|codec| codec.name().eq_ignore_ascii_case(&name));
        known.copied().ok_or("this build has no such codec")
    };
    array(value)?.iter().map(codec).collect()
}

fn direction(value: &JsValue) -> Result<Direction, &'static str> {
    const ALL: [Direction; 4] =
        [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
    let name = text(value)?;
    ALL.into_iter().find(|direction| direction.as_str() == name).ok_or("it is no direction")
}

/// An array of pairs, or an object with a field for each.
fn headers(value: &JsValue) -> Result<Vec<(String, String)>, &'static str> {
    let pairs = match value.dyn_ref::<Array>() {
        Some(pairs) => pairs.clone(),
        None => Object::entries(value.dyn_ref().ok_or("it is not an object")?),
    };
    let pair = |pair: JsValue| {
        let pair = array(&pair)?;
        Ok((text(&pair.get(0))?, text(&pair.get(1))?))
    };
    pairs.iter().map(pair).collect()
}
