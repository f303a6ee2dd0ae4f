//! How an exchange is set up.

use core::fmt;
use core::net::SocketAddr;

use crate::auth::Algorithm;
use crate::host::Transport;
use crate::time::Duration;

/// Everything an exchange has to know before it starts.
#[derive(Clone)]
#[non_exhaustive]
pub struct ExchangeParameters {
    /// Where its host listens. A URI is the exchange's own if its host is one of these addresses,
    /// the realm or one of the [`domains`](Self::domains).
    pub listen: Vec<Listener>,
    /// The users: names, as in the user part of their URIs, and passwords.
    pub users: Vec<(String, String)>,
    /// The realm of the passwords and the exchange's main domain. Default `offhook`.
    pub realm: String,
    /// Further names of the exchange, besides the realm, its addresses and `localhost`.
    pub domains: Vec<String>,
    /// The digest algorithms, each offered with a challenge of its own, the preferred first.
    /// Default MD5, which every telephone knows.
    pub algorithms: Vec<Algorithm>,
    /// The shortest registration taken; a shorter one is answered 423. Default 10 s.
    pub min_expires: Duration,
    /// The longest registration given. Default one hour, also for who asks for none.
    pub max_expires: Duration,
    /// How many requests a second one source (an address, or a network of 64 bits) may make; it may
    /// make as many as in two seconds at once. Beyond that it gets 503, and in a flood nothing.
    /// Requests within calls have twice the room. Default 1,000.
    pub requests_per_second: u32,
    /// How many connections one source may hold. Default 256.
    pub connections_per_source: usize,
    /// How many wrong passwords a minute one source may try for one user, after ten at once; for all
    /// users ten times as many. Beyond that every password gets 503. Default 10.
    pub guesses_per_minute: u32,
    /// The key of the marks by which the exchange recognizes its own Record-Route. With a fixed
    /// secret, established calls survive a restart; by default each start draws a new one.
    pub secret: Option<Vec<u8>>,
    /// The value of the Server header field.
    pub server: String,
}

/// A transport, and the address at which an exchange listens for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Listener {
    /// The transport.
    pub transport: Transport,
    /// The address.
    pub address: SocketAddr,
}

impl ExchangeParameters {
    /// An exchange without users, whose host listens at `address` for UDP and for TCP: who listens
    /// for the one must for the other (RFC 3261 §18.2.1).
    pub fn new(address: SocketAddr) -> Self {
        Self {
            listen: [Transport::Udp, Transport::Tcp]
                .map(|transport| Listener { transport, address })
                .to_vec(),
            users: Vec::new(),
            realm: "offhook".to_owned(),
            domains: Vec::new(),
            algorithms: vec![Algorithm::Md5],
            min_expires: Duration::from_secs(10),
            max_expires: Duration::from_secs(3_600),
            requests_per_second: 1_000,
            connections_per_source: 256,
            guesses_per_minute: 10,
            secret: None,
            server: concat!("offhook-exchange/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// Adds an address to listen at.
    #[must_use]
    pub fn listen(mut self, transport: Transport, address: SocketAddr) -> Self {
        self.listen.push(Listener { transport, address });
        self
    }

    /// Adds a user.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Sets the realm.
    #[must_use]
    pub fn realm(mut self, realm: &str) -> Self {
        realm.clone_into(&mut self.realm);
        self
    }

    /// Sets the shortest registration taken.
    #[must_use]
    pub fn min_expires(mut self, min_expires: impl Into<Duration>) -> Self {
        self.min_expires = min_expires.into();
        self
    }

    /// Sets the longest registration given.
    #[must_use]
    pub fn max_expires(mut self, max_expires: impl Into<Duration>) -> Self {
        self.max_expires = max_expires.into();
        self
    }

    /// Sets the one digest algorithm.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithms = vec![algorithm];
        self
    }
}

impl fmt::Debug for ExchangeParameters {
    /// Shows no password and no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users: Vec<&str> = self.users.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ExchangeParameters")
            .field("listen", &self.listen)
            .field("users", &users)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}
