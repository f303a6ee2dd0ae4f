//! How a phone is set up: [`PhoneParameters`] (pyVoIP's VoIPPhoneParameter).
//!
//! `builder` has a method for each field, `check` validates the values, and `text` (feature `serde`)
//! reads and writes them as TOML or JSON.

mod builder;
mod check;
mod key_password;
mod server;
#[cfg(test)]
mod tests;
#[cfg(feature = "serde")]
mod text;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub use key_password::KeyPassword;

use crate::auth::CredentialsManager;
use crate::codec::Codec;
use crate::handler::SipClass;
use crate::host::{Entropy, Transport};
use crate::media::SymmetricRtp;
use crate::nat::{KeepAlive, Network, STUN_PORT};
use crate::time::Duration;

/// Everything a phone has to know before it starts. Fields are public, and each has a method of its
/// name that sets it in a chain; [`check`](Self::check) says whether a phone can be made of them.
///
/// ```
/// use offhook_core::config::PhoneParameters;
/// use offhook_core::time::Duration;
///
/// let parameters = PhoneParameters::new("pbx.example.com", "alice")
///     .password("secret")
///     .bind_network("192.168.0.0/16".parse().expect("a network"))
///     .remote_hostname("phone.example.com")
///     .expires(Duration::from_secs(300));
/// assert_eq!(parameters.check(), Ok(()));
/// ```
///
/// # As text
/// With the feature `serde` parameters can be read from TOML, JSON and the like, and written. The
/// names are those of the command's options without the dashes before them (`server`, `user`,
/// `auth-user`, `password`, `realm`, `display-name`, `no-register`, `expires`, `outbound-proxy`,
/// `transport`, `dns`, `ws-path`, `ca-file`, `cert-file`, `key-file`, `tls-insecure`, `bind`,
/// `bind-network`, `hostname`, `remote-hostname`, `no-learn-address`, `stun`, `keep-alive`,
/// `keep-alive-interval`,
/// `symmetric-rtp`, `rtp-ports`, `codecs`, `ptime`,
/// `user-agent`, `accept-transfer`) and `credentials`, `key-password`, `allow-md5`, `registration-attempts`, `start-timeout`, `instance`,
/// `answer-timeout`, `max-redirects`, `media-timeout`, `max-calls`, `accept-any-user`, `next-hop`. Each
/// may be left out and then has its default; a name that is not known is an error, and what is read
/// has been checked.
///
/// ```toml
/// server = "pbx.example.com:5080"
/// user = "alice"
/// password = "secret"
/// expires = 300                     # seconds
/// bind = "192.0.2.7:5060"
/// bind-network = "192.168.0.0/16"
/// rtp-ports = "10000-10999"
/// codecs = ["PCMA", "PCMU"]
/// ptime = 20                        # milliseconds
/// media-timeout = 0                 # seconds; 0 is never
///
/// [[credentials]]                   # as CredentialsManager::add takes them
/// username = "alice2"
/// password = "other"
/// realm = "voicemail"
/// ```
///
/// Passwords are read and never written: what is written holds no credentials.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "text::Text", into = "text::Text"))]
#[non_exhaustive]
pub struct PhoneParameters {
    /// The registrar and proxy: a name or an address. Without one nothing registers, and calls go
    /// straight to their target.
    pub server: Option<String>,
    /// The server's port. Default 0, not set: DNS SRV records of the name give port and host (RFC
    /// 3263 §4.2); without SRV records the port is the transport's default: 5060, 5061 for TLS, 80
    /// and 443 for WS and WSS. Any other value, 5060 included, is used for every address of the name,
    /// without an SRV lookup.
    pub port: u16,
    /// The user element of our URI; not always the name used to authenticate.
    pub user: String,
    /// The name shown to others, if any.
    pub display_name: Option<String>,
    /// User names and passwords for digest authentication.
    pub credentials: CredentialsManager,
    /// The realm in which the server may ask for credentials; by default the realm of its first
    /// challenge.
    pub realm: Option<String>,
    /// Whether to answer a server that offers no digest algorithm stronger than MD5; many servers
    /// offer only MD5. Default true.
    pub allow_md5: bool,
    /// Whether to register at the server. Default true.
    pub register: bool,
    /// How long a registration is asked for, in whole seconds. Default 120 s.
    pub expires: Duration,
    /// How many registrations in a row may fail before the phone is FAILED. Default 5. Once it has
    /// been registered, only refusals (4xx, 6xx) count: a server that does not answer, or answers
    /// 5xx, is tried again until it comes back, at intervals of up to five minutes. There is no
    /// second attempt after a refused password, or after the certificate of a server that has never
    /// registered us was refused.
    pub registration_attempts: u32,
    /// How long a start may take until the server has registered us, whatever attempts are left; then the
    /// phone is FAILED. Default `None`: as long as the attempts take, which is minutes where the server
    /// does not answer at all (32 s each, RFC 3261 §17.1.2.2, and the waits between them).
    pub start_timeout: Option<Duration>,
    /// The URN of this very phone, the same each time it starts (RFC 5626 §4.1), such as `urn:uuid:`
    /// and a UUID; [`random_instance`](Self::random_instance) makes one. With an instance the phone
    /// registers its connection to the server (outbound, RFC 5626): a server that supports outbound
    /// sends calls along this connection, and replaces the phone's old registration by its new one.
    pub instance: Option<String>,
    /// A SIP URI through which every request goes.
    pub outbound_proxy: Option<String>,
    /// The transport to the server, and to targets whose URI names none. By default DNS NAPTR and SRV
    /// records decide (RFC 3263 §4.1), and without such records it is UDP. With TLS or WSS the server
    /// is never reached by another transport.
    pub transport: Option<Transport>,
    /// Whether a phone on UDP also uses TCP: natively it listens at the same port, and a request of more
    /// than 1,300 bytes, which a datagram may not carry whole, goes by TCP (RFC 3261 §18.1.1) unless the
    /// peer refuses that. Default true.
    pub allow_tcp: bool,
    /// The DNS servers to ask; by default the system's resolver configuration. Addresses in the
    /// system's hosts file come first in any case.
    pub dns_servers: Vec<SocketAddr>,
    /// The path of a WebSocket server's URL, with its query if there is one. Default `/`.
    pub websocket_path: String,
    /// The certificate authorities (CAs) trusted to sign server certificates, in PEM: one or many; by
    /// default those of the system. A server's own certificate in this file, self-signed for example,
    /// is trusted too.
    pub ca_file: Option<PathBuf>,
    /// Our certificate in PEM, followed by the chain up to its authority: sent to servers that ask
    /// for a client certificate, and to peers that connect to us. Without a certificate nobody can
    /// call us over TLS.
    pub cert_file: Option<PathBuf>,
    /// The private key of [`cert_file`](Self::cert_file) in PEM (PKCS#8, also encrypted, PKCS#1 or
    /// SEC1); by default `cert_file` holds the key too.
    pub key_file: Option<PathBuf>,
    /// The password of an encrypted private key.
    pub key_password: Option<KeyPassword>,
    /// The certificate authorities (CAs), in PEM, trusted to sign client certificates: a peer that
    /// connects to us over TLS without such a certificate is turned away. By default no client
    /// certificate is asked for.
    pub client_ca_file: Option<PathBuf>,
    /// Whether to accept any server certificate, self-signed or expired ones too: no protection
    /// against a man in the middle, so only for tests. Default false.
    pub tls_insecure: bool,
    /// The address to bind. Default 0.0.0.0: every interface; the unspecified address is never
    /// advertised to a peer.
    pub bind_ip: IpAddr,
    /// The SIP port to bind; 0 picks one. Default 5060.
    pub bind_port: u16,
    /// The peers to which [`hostname`](Self::hostname) is advertised; to all others
    /// [`remote_hostname`](Self::remote_hostname) is. Default 0.0.0.0/0: everybody.
    pub bind_network: Network,
    /// The host advertised to peers inside `bind_network`; by default the local address of the route
    /// to the peer.
    pub hostname: Option<String>,
    /// The host advertised to peers outside `bind_network`; without it these peers cannot be reached
    /// (NatError). A name or an address, as in [`hostname`](Self::hostname): a name stands in Via and
    /// Contact, an address in session descriptions as well.
    pub remote_hostname: Option<String>,
    /// Whether to advertise to the server, in Contact and in session descriptions, the address from
    /// which it sees us (RFC 3581), where that differs from our own: behind a NAT. `hostname` and
    /// `remote_hostname` take precedence. The RTP port is then a guess, which does no harm where the
    /// far end sends RTP to the source of ours. Two telephones behind one NAT that does not hairpin
    /// need this off to hear each other directly. Default true.
    pub learn_address: bool,
    /// A STUN server, `HOST[:PORT]` (3478 without), that is asked for the public addresses of our
    /// sockets: of the UDP signalling socket before we register, and of each call's pair of media
    /// ports before the offer or answer. The phone waits half a second at most, then goes on without.
    /// To peers on our own network our own addresses are advertised. Default `None`.
    pub stun: Option<String>,
    /// The keep-alive sent to the server while we are registered, so that NATs and firewalls let its
    /// requests reach us. Default [`KeepAlive::Auto`].
    pub keep_alive: KeepAlive,
    /// The longest interval between keep-alives; each is up to a fifth shorter, at random (RFC 5626
    /// §4.4.1). A shorter interval that the server asks for (Flow-Timer) takes precedence. By default
    /// the server's interval, or else 25 s over UDP and 120 s on connections.
    pub keep_alive_interval: Option<Duration>,
    /// How far the source address of received RTP may differ from the far end's session description.
    /// Default [`SymmetricRtp::FirstPacket`].
    pub symmetric_rtp: SymmetricRtp,
    /// The lowest RTP port. Default 10000.
    pub rtp_port_low: u16,
    /// The highest RTP port. Default 20000.
    pub rtp_port_high: u16,
    /// The codecs offered and accepted, best first. Default PCMU, PCMA; G.722 where it is named.
    pub codecs: Vec<Codec>,
    /// How much audio each packet carries. Default 20 ms.
    pub ptime: Duration,
    /// The User-Agent and Server header field.
    pub user_agent: String,
    /// How long an outgoing call may ring. Default 180 s (RFC 3261 §16.8's Timer C is longer).
    pub answer_timeout: Duration,
    /// How many targets of redirections (3xx) an outgoing call follows, one after another, all within
    /// the answer timeout; with 0 a 3xx ends the call. They are asked directly, unless there is an
    /// outbound proxy, and are shown no credentials. Default 5.
    pub max_redirects: u8,
    /// How long an answered call may be without any RTP or RTCP, though some should come, before it
    /// is ended. Default 60 s; `None` never.
    pub media_timeout: Option<Duration>,
    /// How many calls may exist at once; further ones are answered 486. Default 20,000.
    pub max_calls: usize,
    /// Whether to answer calls to any user, not only to [`user`](Self::user). Default true.
    pub accept_any_user: bool,
    /// Whether the far end of a call may ask us to call somebody else (REFER). Each such request is
    /// then put to the application ([`CallEvent::Referred`](crate::event::CallEvent::Referred)), and nothing
    /// is called that it does not accept. Default false: all are refused, 603.
    pub accept_transfer: bool,
    /// A fixed address to which every request is sent, whatever its URI says; for tests.
    pub next_hop: Option<SocketAddr>,
    /// Makes the [`SipHandler`](crate::handler::SipHandler) that sees every SIP message of the phone,
    /// and may change, answer or drop it (pyVoIP's `sip_class`); `None` for no handler. pyVoIP's
    /// `call_class` is natively `offhook::Phone::set_call_handler`; elsewhere
    /// [`Event`](crate::event::Event)s take its place.
    pub sip_class: Option<SipClass>,
}

impl PhoneParameters {
    /// A phone that registers `user` at `server`, a host name or address, with an optional `:port`.
    pub fn new(server: &str, user: &str) -> Self {
        let mut parameters = Self::without_server(user);
        let (host, port) = split_port(server);
        parameters.server = Some(host.to_owned());
        parameters.port = port.unwrap_or(parameters.port);
        parameters
    }

    /// The host, without brackets, and the port of the STUN server.
    pub(crate) fn stun_server(&self) -> Option<(&str, u16)> {
        let (host, port) = split_port(self.stun.as_deref()?);
        Some((bare(host), port.unwrap_or(STUN_PORT)))
    }

    /// What a host listens for on behalf of the phone. One that is to speak in private, or as a browser
    /// does, is not to be reached otherwise; and in private only if it has a certificate to show.
    pub fn listening_transports(&self) -> &'static [Transport] {
        match self.transport {
            None | Some(Transport::Udp) if !self.allow_tcp => &[Transport::Udp],
            None | Some(Transport::Udp | Transport::Tcp) => &[Transport::Udp, Transport::Tcp],
            Some(Transport::Tls) if self.cert_file.is_some() => &[Transport::Tls],
            _ => &[],
        }
    }

    /// A URN for [`instance`](Self::instance) that nobody else has: `urn:uuid:` and a random UUID (RFC
    /// 9562 §5.4). Make it once and keep it.
    pub fn random_instance(entropy: &mut dyn Entropy) -> String {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        let random = u128::from_be_bytes(bytes);
        // The version, 4, and the variant.
        let uuid = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let hex = format!("{uuid:032x}");
        let part = |range| hex.get(range).unwrap_or_default();
        let (a, b, c, d, e) = (part(0..8), part(8..12), part(12..16), part(16..20), part(20..32));
        format!("urn:uuid:{a}-{b}-{c}-{d}-{e}")
    }

    /// A phone that registers nowhere: it calls and is called directly.
    pub fn without_server(user: &str) -> Self {
        Self {
            server: None,
            port: 0,
            user: user.to_owned(),
            display_name: None,
            credentials: CredentialsManager::default(),
            realm: None,
            allow_md5: true,
            register: true,
            expires: Duration::from_secs(120),
            registration_attempts: 5,
            start_timeout: None,
            instance: None,
            outbound_proxy: None,
            transport: None,
            dns_servers: Vec::new(),
            allow_tcp: true,
            websocket_path: "/".to_owned(),
            ca_file: None,
            cert_file: None,
            key_file: None,
            key_password: None,
            client_ca_file: None,
            tls_insecure: false,
            bind_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            bind_port: 5060,
            bind_network: Network::default(),
            hostname: None,
            remote_hostname: None,
            learn_address: true,
            stun: None,
            keep_alive: KeepAlive::default(),
            keep_alive_interval: None,
            symmetric_rtp: SymmetricRtp::default(),
            rtp_port_low: 10_000,
            rtp_port_high: 20_000,
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            ptime: Duration::from_millis(20),
            user_agent: concat!("offhook/", env!("CARGO_PKG_VERSION")).to_owned(),
            answer_timeout: Duration::from_secs(180),
            max_redirects: 5,
            media_timeout: Some(Duration::from_secs(60)),
            max_calls: 20_000,
            accept_any_user: true,
            accept_transfer: false,
            next_hop: None,
            sip_class: None,
        }
    }
}

/// Splits `host:port`, `[v6]:port` or a bare host.
fn split_port(server: &str) -> (&str, Option<u16>) {
    if let Some((host, after)) = server.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, after.strip_prefix(':').and_then(|p| p.parse().ok()));
    }
    match server.rsplit_once(':') {
        Some((host, port)) if !host.as_bytes().contains(&b':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (server, None),
        },
        _ => (server, None),
    }
}

/// A host without the brackets that an IPv6 address has in a URI.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}
