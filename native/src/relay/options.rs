//! What a relay is made of.

use std::net::SocketAddr;

use offhook_core::relay::Policy;

use super::keys::TokenKeys;
use crate::tls::TlsFiles;

/// The options of a [`Relay`](super::Relay).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RelayOptions {
    /// Where it listens; port 0 picks one.
    pub listen: SocketAddr,
    /// Its certificate, for `wss:`, without which it speaks `ws:`; and the authorities of SIP servers.
    pub tls: TlsFiles,
    /// The pages that may connect, as a browser names them in Origin: `https://phone.example.com`; `*` for all.
    /// Clients that are no browsers send no Origin; their token alone counts.
    pub origins: Vec<String>,
    /// The keys that sign tokens.
    pub keys: TokenKeys,
    /// What is allowed. Where it listens is added to [`Policy::own`].
    pub policy: Policy,
    /// How many sessions there may be.
    pub max_sessions: usize,
    /// How many of them may be of one subject.
    pub sessions_per_user: usize,
}

impl RelayOptions {
    /// A relay at that address for clients with tokens of these keys, from no web page until
    /// [`origins`](Self::origins) names it.
    pub fn new(listen: SocketAddr, keys: TokenKeys) -> Self {
        Self {
            listen,
            tls: TlsFiles::default(),
            origins: Vec::new(),
            keys,
            policy: Policy::default(),
            max_sessions: 1_000,
            sessions_per_user: 4,
        }
    }
}
