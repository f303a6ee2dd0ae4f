//! Setting parameters in a chain.

use core::net::SocketAddr;
use std::path::PathBuf;

use super::{KeyPassword, PhoneParameters};
use crate::auth::CredentialsManager;
use crate::codec::Codec;
use crate::handler::{SipClass, SipHandler};
use crate::host::Transport;
use crate::media::SymmetricRtp;
use crate::nat::{KeepAlive, Network};
use crate::time::Duration;

/// One method for each field, with the field's name and meaning.
macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident: $type:ty => $value:expr;)*) => {
        impl PhoneParameters {
            $($(#[$doc])*
            #[must_use]
            pub fn $field(mut self, $field: $type) -> Self {
                self.$field = $value;
                self
            })*
        }
    };
}

fields! {
    /// The server's port; 0 leaves it to DNS SRV records.
    port: u16 => port;
    /// The name shown to others.
    display_name: &str => Some(display_name.to_owned());
    /// Names and passwords for the servers that ask, in place of all that were given before.
    credentials: CredentialsManager => credentials;
    /// The realm in which the server may ask for them.
    realm: &str => Some(realm.to_owned());
    /// Whether to answer a server that asks for no stronger digest than MD5.
    allow_md5: bool => allow_md5;
    /// Whether to register at the server.
    register: bool => register;
    /// How long a registration is asked for, in whole seconds.
    expires: impl Into<Duration> => expires.into();
    /// How many registrations in a row may fail before the phone is FAILED.
    registration_attempts: u32 => registration_attempts;
    /// How long a start may take until the server has registered us.
    start_timeout: impl Into<Duration> => Some(start_timeout.into());
    /// The URN of this very phone.
    instance: &str => Some(instance.to_owned());
    /// A SIP URI through which every request goes.
    outbound_proxy: &str => Some(outbound_proxy.to_owned());
    /// How to reach the server, and targets that do not say.
    transport: Transport => Some(transport);
    /// Whether a phone on UDP also uses TCP.
    allow_tcp: bool => allow_tcp;
    /// The DNS servers to ask.
    dns_servers: &[SocketAddr] => dns_servers.to_vec();
    /// What a WebSocket server is asked for.
    websocket_path: &str => websocket_path.to_owned();
    /// The authorities that may sign the certificates of servers.
    ca_file: impl Into<PathBuf> => Some(ca_file.into());
    /// Our certificate.
    cert_file: impl Into<PathBuf> => Some(cert_file.into());
    /// Its private key.
    key_file: impl Into<PathBuf> => Some(key_file.into());
    /// What opens it: text, bytes, or [`KeyPassword::ask`].
    key_password: impl Into<KeyPassword> => Some(key_password.into());
    /// The authorities that may sign the certificates of those who connect to us.
    client_ca_file: impl Into<PathBuf> => Some(client_ca_file.into());
    /// Whether to take any certificate of any server; for tests.
    tls_insecure: bool => tls_insecure;
    /// The peers to which [`hostname`](Self::hostname) is advertised.
    bind_network: Network => bind_network;
    /// The host advertised to peers inside `bind_network`.
    hostname: &str => Some(hostname.to_owned());
    /// The host advertised to peers outside `bind_network`.
    remote_hostname: &str => Some(remote_hostname.to_owned());
    /// Whether to advertise to the server the address from which it sees us.
    learn_address: bool => learn_address;
    /// A STUN server that says how we are seen from beyond a NAT.
    stun: &str => Some(stun.to_owned());
    /// What keeps the way from the server to us open.
    keep_alive: KeepAlive => keep_alive;
    /// How often that is sent, at most.
    keep_alive_interval: impl Into<Duration> => Some(keep_alive_interval.into());
    /// How far the far end of RTP may be elsewhere than its description says.
    symmetric_rtp: SymmetricRtp => symmetric_rtp;
    /// The codecs offered and accepted, best first.
    codecs: &[Codec] => codecs.to_vec();
    /// How much audio each packet carries.
    ptime: impl Into<Duration> => ptime.into();
    /// The User-Agent and Server header field.
    user_agent: &str => user_agent.to_owned();
    /// How long an outgoing call may ring.
    answer_timeout: impl Into<Duration> => answer_timeout.into();
    /// How many targets of redirections a call follows; 0 none.
    max_redirects: u8 => max_redirects;
    /// How long an answered call may be silent before it is ended; zero for ever.
    media_timeout: impl Into<Duration> => {
        Some(media_timeout.into()).filter(|limit| !limit.is_zero())
    };
    /// How many calls may exist at once.
    max_calls: usize => max_calls;
    /// Whether to answer calls to any user.
    accept_any_user: bool => accept_any_user;
    /// Whether the far end of a call may ask us to call somebody else.
    accept_transfer: bool => accept_transfer;
    /// A fixed address to which every request is sent; for tests.
    next_hop: SocketAddr => Some(next_hop);
}

impl PhoneParameters {
    /// Gives every start of the phone a [`SipHandler`] of its own, which `make` makes.
    #[must_use]
    pub fn sip_class<H: SipHandler + 'static>(
        mut self,
        make: impl Fn() -> H + Send + Sync + 'static,
    ) -> Self {
        self.sip_class = Some(SipClass::new(make));
        self
    }

    /// The password of [`user`](Self::user), for any realm of the server.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        let user = self.user.clone();
        self.credentials.add(&user, password, None, None, None);
        self
    }

    /// The address and port to bind for SIP; port 0 picks one.
    #[must_use]
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.bind_ip = address.ip();
        self.bind_port = address.port();
        self
    }

    /// Binds any free port for SIP in place of 5060, which one program of a machine has: the server learns
    /// it when the phone registers.
    #[must_use]
    pub fn any_port(mut self) -> Self {
        self.bind_port = 0;
        self
    }

    /// The RTP ports to use, both ends included.
    #[must_use]
    pub fn rtp_ports(mut self, low: u16, high: u16) -> Self {
        (self.rtp_port_low, self.rtp_port_high) = (low, high);
        self
    }
}
