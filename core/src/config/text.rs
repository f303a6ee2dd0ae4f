//! Parameters as text: what serde reads and writes (feature `serde`).

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{PhoneParameters, split_port};
use crate::codec::Codec;
use crate::error::Error;
use crate::host::Transport;
use crate::locate::Hop;
use crate::time::Duration;

/// Parameters with the names of the command's options; what is missing is the default. What may be
/// missing when it is written is skipped then.
#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct Text {
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    user: Option<String>,
    #[serde(skip_serializing)]
    auth_user: Option<String>,
    #[serde(skip_serializing)]
    password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    realm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    no_register: Option<bool>,
    expires: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outbound_proxy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dns: Vec<String>,
    ws_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
    #[serde(skip_serializing)]
    key_password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ca_file: Option<PathBuf>,
    tls_insecure: Option<bool>,
    bind: Option<String>,
    bind_network: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_hostname: Option<String>,
    no_tcp: Option<bool>,
    no_learn_address: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stun: Option<String>,
    keep_alive: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_alive_interval: Option<Seconds>,
    symmetric_rtp: Option<String>,
    rtp_ports: Option<String>,
    codecs: Option<Codecs>,
    ptime: Option<u64>,
    user_agent: Option<String>,
    allow_md5: Option<bool>,
    registration_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_timeout: Option<Seconds>,
    answer_timeout: Option<Seconds>,
    max_redirects: Option<u8>,
    media_timeout: Option<Seconds>,
    max_calls: Option<usize>,
    accept_any_user: Option<bool>,
    accept_transfer: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_hop: Option<SocketAddr>,
    #[serde(skip_serializing)]
    credentials: Vec<Login>,
}

/// What [`CredentialsManager::add`](crate::auth::CredentialsManager::add) takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    username: String,
    password: String,
    server: Option<String>,
    realm: Option<String>,
    user: Option<String>,
}

/// `["PCMU", "PCMA"]`, or as on a command line `"PCMU,PCMA"`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Codecs {
    List(Vec<String>),
    Line(String),
}

/// Where DNS servers listen (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;

/// A time in seconds: a whole number, or one with a fraction.
#[derive(Clone, Copy)]
struct Seconds(Duration);

impl TryFrom<Text> for PhoneParameters {
    type Error = Error;

    fn try_from(text: Text) -> Result<Self, Error> {
        let mut parameters = Self::without_server(&text.user.unwrap_or_default());
        if let Some(server) = &text.server {
            let (host, port) = split_port(server);
            parameters.server = Some(host.to_owned());
            parameters.port = port.unwrap_or(parameters.port);
        }
        let Self { credentials, user, .. } = &mut parameters;
        if let Some(password) = &text.password {
            let name = text.auth_user.as_deref().unwrap_or(user);
            credentials.add(name, password, None, text.realm.as_deref(), None);
        } else if let Some(name) = &text.auth_user {
            return Err(Error::invalid("auth-user", name, "it needs a password"));
        }
        for Login { username, password, server, realm, user } in &text.credentials {
            let (server, realm, user) = (server.as_deref(), realm.as_deref(), user.as_deref());
            credentials.add(username, password, server, realm, user);
        }
        if let Some(bind) = &text.bind {
            let (ip, port) = address("bind", bind)?;
            parameters.bind_ip = ip;
            parameters.bind_port = port.unwrap_or(parameters.bind_port);
        }
        for server in &text.dns {
            let (ip, port) = address("dns", server)?;
            parameters.dns_servers.push(SocketAddr::new(ip, port.unwrap_or(DNS_PORT)));
        }
        if let Some(network) = &text.bind_network {
            let problem = "it is no network: write it as 192.168.0.0/16";
            let read =
                network.parse().map_err(|_| Error::invalid("bind-network", network, problem));
            parameters.bind_network = read?;
        }
        if let Some(range) = &text.rtp_ports {
            (parameters.rtp_port_low, parameters.rtp_port_high) = ports(range)?;
        }
        if let Some(wanted) = text.codecs {
            parameters.codecs = codecs(wanted)?;
        }
        match text.transport.as_deref() {
            None => {}
            Some(name) => {
                let problem = "it can be udp, tcp, tls, ws or wss";
                let named = Transport::named(name);
                parameters.transport =
                    Some(named.ok_or_else(|| Error::invalid("transport", name, problem))?);
            }
        }
        if let Some(way) = &text.keep_alive {
            let problem = "it can be auto, off, crlf, stun or options";
            let read = way.parse().map_err(|_| Error::invalid("keep-alive", way, problem));
            parameters.keep_alive = read?;
        }
        parameters.keep_alive_interval = text.keep_alive_interval.map(|Seconds(time)| time);
        if let Some(mode) = &text.symmetric_rtp {
            let problem = "it can be off, first-packet or same-address";
            let read = mode.parse().map_err(|_| Error::invalid("symmetric-rtp", mode, problem));
            parameters.symmetric_rtp = read?;
        }
        put(&mut parameters.allow_tcp, text.no_tcp.map(|no| !no));
        put(&mut parameters.learn_address, text.no_learn_address.map(|no| !no));
        put(&mut parameters.register, text.no_register.map(|no| !no));
        put(&mut parameters.expires, text.expires.map(|Seconds(time)| time));
        put(&mut parameters.ptime, text.ptime.map(Duration::from_millis));
        put(&mut parameters.user_agent, text.user_agent);
        put(&mut parameters.allow_md5, text.allow_md5);
        put(&mut parameters.registration_attempts, text.registration_attempts);
        parameters.start_timeout = text.start_timeout.map(|Seconds(time)| time);
        put(&mut parameters.answer_timeout, text.answer_timeout.map(|Seconds(time)| time));
        put(&mut parameters.max_redirects, text.max_redirects);
        let silence = text.media_timeout.map(|Seconds(time)| (!time.is_zero()).then_some(time));
        put(&mut parameters.media_timeout, silence);
        put(&mut parameters.max_calls, text.max_calls);
        put(&mut parameters.accept_any_user, text.accept_any_user);
        put(&mut parameters.accept_transfer, text.accept_transfer);
        put(&mut parameters.websocket_path, text.ws_path);
        put(&mut parameters.tls_insecure, text.tls_insecure);
        parameters.ca_file = text.ca_file;
        parameters.cert_file = text.cert_file;
        parameters.key_file = text.key_file;
        parameters.key_password = text.key_password.as_deref().map(Into::into);
        parameters.client_ca_file = text.client_ca_file;
        parameters.realm = text.realm;
        parameters.display_name = text.display_name;
        parameters.instance = text.instance;
        parameters.outbound_proxy = text.outbound_proxy;
        parameters.hostname = text.hostname;
        parameters.remote_hostname = text.remote_hostname;
        parameters.stun = text.stun;
        parameters.next_hop = text.next_hop;
        parameters.check()?;
        Ok(parameters)
    }
}

impl From<PhoneParameters> for Text {
    fn from(parameters: PhoneParameters) -> Self {
        // Every field is named, so that none is forgotten.
        let PhoneParameters {
            server,
            port,
            user,
            display_name,
            credentials: _,
            realm,
            allow_md5,
            register,
            expires,
            registration_attempts,
            start_timeout,
            instance,
            outbound_proxy,
            transport,
            dns_servers,
            allow_tcp,
            websocket_path,
            ca_file,
            cert_file,
            key_file,
            key_password: _,
            client_ca_file,
            tls_insecure,
            bind_ip,
            bind_port,
            bind_network,
            hostname,
            remote_hostname,
            learn_address,
            stun,
            keep_alive,
            keep_alive_interval,
            symmetric_rtp,
            rtp_port_low,
            rtp_port_high,
            codecs,
            ptime,
            user_agent,
            answer_timeout,
            max_redirects,
            media_timeout,
            max_calls,
            accept_any_user,
            accept_transfer,
            next_hop,
            sip_class: _,
        } = parameters;
        let names = codecs.iter().map(|codec| codec.name().to_owned()).collect();
        Self {
            server: server.map(|host| match port {
                0 => host,
                port => Hop::join(super::bare(&host), port),
            }),
            user: Some(user),
            auth_user: None,
            password: None,
            realm,
            display_name,
            no_register: Some(!register),
            expires: Some(Seconds(expires)),
            instance,
            outbound_proxy,
            transport: transport.map(|transport| transport.as_str().to_ascii_lowercase()),
            dns: dns_servers.iter().map(SocketAddr::to_string).collect(),
            ws_path: Some(websocket_path),
            ca_file,
            cert_file,
            key_file,
            key_password: None,
            client_ca_file,
            tls_insecure: Some(tls_insecure),
            bind: Some(SocketAddr::new(bind_ip, bind_port).to_string()),
            bind_network: Some(bind_network.to_string()),
            hostname,
            remote_hostname,
            no_tcp: Some(!allow_tcp),
            no_learn_address: Some(!learn_address),
            stun,
            keep_alive: Some(keep_alive.as_str().to_owned()),
            keep_alive_interval: keep_alive_interval.map(Seconds),
            symmetric_rtp: Some(symmetric_rtp.as_str().to_owned()),
            rtp_ports: Some(format!("{rtp_port_low}-{rtp_port_high}")),
            codecs: Some(Codecs::List(names)),
            ptime: Some(ptime.as_millis()),
            user_agent: Some(user_agent),
            allow_md5: Some(allow_md5),
            registration_attempts: Some(registration_attempts),
            start_timeout: start_timeout.map(Seconds),
            answer_timeout: Some(Seconds(answer_timeout)),
            max_redirects: Some(max_redirects),
            media_timeout: Some(Seconds(media_timeout.unwrap_or_default())),
            max_calls: Some(max_calls),
            accept_any_user: Some(accept_any_user),
            accept_transfer: Some(accept_transfer),
            next_hop,
            credentials: Vec::new(),
        }
    }
}

fn put<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// `IP` or `IP:PORT`, IPv6 in brackets with a port.
fn address(what: &'static str, text: &str) -> Result<(IpAddr, Option<u16>), Error> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok((address.ip(), Some(address.port())));
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let problem = "it is no IP address, with or without a port: 192.0.2.1:5060";
    bare.parse().map(|ip| (ip, None)).map_err(|_| Error::invalid(what, text, problem))
}

/// `LOW-HIGH`.
fn ports(text: &str) -> Result<(u16, u16), Error> {
    let parsed = text.split_once('-').and_then(|(low, high)| {
        Some((low.trim().parse::<u16>().ok()?, high.trim().parse::<u16>().ok()?))
    });
    parsed.ok_or_else(|| Error::invalid("rtp-ports", text, "write two ports: 10000-20000"))
}

fn codecs(wanted: Codecs) -> Result<Vec<Codec>, Error> {
    let names = match wanted {
        Codecs::List(names) => names,
        Codecs::Line(line) => line.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    let codec = |name: &String| {
        let known = Codec::ALL.iter().find(|codec| codec.name().eq_ignore_ascii_case(name));
        known.copied().ok_or_else(|| Error::invalid("codecs", name, "this build does not have it"))
    };
    names.iter().map(codec).collect()
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(time) = *self;
        match time == Duration::from_secs(time.as_secs()) {
            true => serializer.serialize_u64(time.as_secs()),
            false => serializer.serialize_f64(time.as_micros() as f64 / 1e6),
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl Visitor<'_> for Read {
            type Value = Seconds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds, such as 4 or 0.5")
            }

            fn visit_u64<E: de::Error>(self, secs: u64) -> Result<Seconds, E> {
                Ok(Seconds(Duration::from_secs(secs)))
            }

            fn visit_i64<E: de::Error>(self, secs: i64) -> Result<Seconds, E> {
                match u64::try_from(secs) {
                    Ok(secs) => self.visit_u64(secs),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(secs), &self)),
                }
            }

            fn visit_f64<E: de::Error>(self, secs: f64) -> Result<Seconds, E> {
                // Saturates above, and what is no number or negative is none.
                match secs >= 0.0 {
                    true => Ok(Seconds(Duration::from_micros((secs * 1e6).round() as u64))),
                    false => Err(E::invalid_value(de::Unexpected::Float(secs), &self)),
                }
            }
        }

        deserializer.deserialize_any(Read)
    }
}
