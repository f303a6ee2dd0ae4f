//! Challenging, and checking the answers (RFC 3261 §22.2 to §22.4, RFC 7616 §3.3 to §3.6, RFC 8760
//! §2.3).
//!
//! A nonce is the time it was made, a random number, and a keyed hash of both and of the address it was
//! sent to: nobody else can make one, nor use one in another's name, and none has to be remembered before
//! it was used with the right password. How often each was used is remembered in bounded memory; where
//! that ends, a nonce is taken for stale, never for good.

use core::net::IpAddr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::algorithm::{self, Algorithm, Qop, Request};
use super::params::{Params, Quoted};
use crate::host::Host;
use crate::map::Map;
use crate::time::{Duration, Instant};

/// A request whose credentials are right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Verified {
    /// The name, as it was looked up.
    pub username: String,
    /// The URI that the credentials are for. It need not be the Request-URI, which proxies rewrite
    /// (RFC 8760 §2.6, 6).
    pub uri: String,
}

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    /// No credentials for our realm: challenge.
    #[error("no credentials")]
    Missing,
    /// Credentials that cannot be read: 400.
    #[error("malformed credentials")]
    Malformed,
    /// The nonce is too old or not ours for that address, whatever the password; or the password is
    /// right, but the nonce was used: challenge with stale=true.
    #[error("the nonce is stale")]
    Stale,
    /// The nonce is ours, and the name or the password is wrong: challenge again, or 403.
    #[error("wrong name or password")]
    Wrong,
}

/// Challenges requests and checks their credentials, for one realm.
///
/// ACK and CANCEL are never challenged (RFC 3261 §22.1).
pub(crate) struct DigestServer {
    realm: String,
    algorithms: Vec<Algorithm>,
    /// As long as a block of the hash (RFC 2104 §3).
    key: [u8; 64],
    lifetime: Duration,
    /// The uses of each nonce that was used with the right password, from the oldest.
    used: Map<Nonce, Uses>,
    /// Nonces made before this, or then, are only good while they are in `used`.
    forgotten: Option<Instant>,
}

/// When a nonce was made, and a number that no other one has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Nonce {
    made: Instant,
    random: u64,
}

/// The counts that were seen of a nonce: the highest, and which of the 64 up to it. Requests over UDP
/// may overtake each other.
#[derive(Clone, Copy, Default, Debug)]
struct Uses {
    highest: u32,
    seen: u64,
}

impl DigestServer {
    /// How long a nonce is good.
    pub(crate) const LIFETIME: Duration = Duration::from_secs(300);
    /// How many nonces in use are remembered.
    pub(crate) const MAX_NONCES: usize = 16_384;

    /// A server for one realm that offers these algorithms, the preferred one first.
    pub(crate) fn new(host: &mut dyn Host, realm: &str, algorithms: &[Algorithm]) -> Self {
        let mut key = [0; 64];
        host.fill(&mut key);
        Self {
            realm: realm.to_owned(),
            algorithms: algorithms.to_vec(),
            key,
            lifetime: Self::LIFETIME,
            used: Map::new(),
            forgotten: None,
        }
    }

    /// The values of the [`challenge_field`](super::Asker::challenge_field)s to send to `source`, one for each algorithm, in
    /// the order of preference (RFC 8760 §2.3).
    pub(crate) fn challenges(
        &mut self,
        host: &mut dyn Host,
        source: IpAddr,
        stale: bool,
    ) -> Vec<String> {
        let nonce = self.write(Nonce { made: host.now(), random: host.random() }, source);
        let challenge = |algorithm: &Algorithm| {
            let mut value = format!(
                "Digest realm={}, nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth,auth-int\"",
                Quoted(&self.realm),
            );
            if stale {
                value.push_str(", stale=true");
            }
            value
        };
        self.algorithms.iter().map(challenge).collect()
    }

    /// The name that credentials for our realm give, be they right or wrong; `fields` are the values of
    /// every [`credentials_field`](super::Asker::credentials_field).
    pub(crate) fn claimed<'a>(&self, fields: impl IntoIterator<Item = &'a str>) -> Option<String> {
        self.ours(fields)?.value("username").map(str::to_owned)
    }

    /// Checks a request from `source`: `fields` are the values of every [`credentials_field`](super::Asker::credentials_field),
    /// `password` finds the password of a name.
    ///
    /// # Errors
    /// Says what to answer.
    pub(crate) fn verify<'a>(
        &mut self,
        host: &mut dyn Host,
        source: IpAddr,
        fields: impl IntoIterator<Item = &'a str>,
        method: &str,
        body: &[u8],
        password: impl FnMut(&str) -> Option<String>,
    ) -> Result<Verified, Refusal> {
        let params = self.ours(fields).ok_or(Refusal::Missing)?;
        let credentials = Credentials::of(&params).ok_or(Refusal::Malformed)?;
        if !self.algorithms.contains(&credentials.algorithm) {
            return Err(Refusal::Missing);
        }
        // First the nonce: a request with an invented one, or from a forged address, learns nothing of
        // the password (RFC 7616 §3.3 has stale say no more than that of the nonce), and has not guessed.
        let now = host.now();
        let nonce = self.read(credentials.nonce, source).filter(|nonce| self.is_fresh(now, nonce));
        let nonce = nonce.ok_or(Refusal::Stale)?;
        credentials.check(&self.realm, method, body, password)?;
        self.spend(now, nonce, credentials.count()).ok_or(Refusal::Stale)?;
        Ok(Verified { username: credentials.username.to_owned(), uri: credentials.uri.to_owned() })
    }

    /// The first credentials for our realm (§22.3: other proxies' are none of ours).
    fn ours<'a>(&self, fields: impl IntoIterator<Item = &'a str>) -> Option<Params> {
        let ours =
            |params: &Params| params.is_digest() && params.value("realm") == Some(&self.realm);
        fields.into_iter().flat_map(Params::parse).find(ours)
    }

    fn is_fresh(&self, now: Instant, nonce: &Nonce) -> bool {
        now.since(nonce.made) <= self.lifetime && nonce.made <= now
    }

    /// Notes a use of a nonce; `None` when it must not be used (again).
    fn spend(&mut self, now: Instant, nonce: Nonce, count: u32) -> Option<()> {
        if !self.is_fresh(now, &nonce) {
            return None;
        }
        while let Some((oldest, _)) = self.used.iter().next()
            && !self.is_fresh(now, oldest)
        {
            self.used.pop_first();
        }
        if let Some(uses) = self.used.get_mut(&nonce) {
            return uses.note(count);
        }
        if self.forgotten.is_some_and(|forgotten| nonce.made <= forgotten) {
            return None;
        }
        if self.used.len() >= Self::MAX_NONCES
            && let Some(oldest) = self.used.iter().next().map(|(oldest, _)| oldest.made)
        {
            if nonce.made <= oldest {
                return None;
            }
            self.used.pop_first();
            self.forgotten = Some(oldest);
        }
        self.used.or_default(nonce).note(count)
    }

    fn write(&self, nonce: Nonce, source: IpAddr) -> String {
        let tag = self.mac(nonce, source).finalize().into_bytes();
        let tag = algorithm::hexadecimal(tag.get(..TAG_BYTES).unwrap_or(&tag));
        format!("{:016x}{:016x}{tag}", nonce.made.as_micros(), nonce.random)
    }

    /// Reads a nonce; `None` for one that we did not make for that address.
    fn read(&self, text: &str, source: IpAddr) -> Option<Nonce> {
        let number = |range| u64::from_str_radix(text.get(range)?, 16).ok();
        let nonce = Nonce { made: Instant::from_micros(number(0..16)?), random: number(16..32)? };
        let written = self.write(nonce, source);
        is_same(written.as_bytes(), text.as_bytes()).then_some(nonce)
    }

    fn mac(&self, nonce: Nonce, source: IpAddr) -> Hmac<Sha256> {
        let source = match source {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut mac = Hmac::new(&self.key.into());
        mac.update(&nonce.made.as_micros().to_be_bytes());
        mac.update(&nonce.random.to_be_bytes());
        mac.update(&source.octets());
        mac
    }
}

impl core::fmt::Debug for DigestServer {
    /// Says the realm; the key stays out of logs.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DigestServer")
            .field("realm", &self.realm)
            .field("used", &self.used.len())
            .finish_non_exhaustive()
    }
}

/// How much of the keyed hash a nonce carries.
const TAG_BYTES: usize = 16;

/// What the credentials of a request say.
struct Credentials<'a> {
    algorithm: Algorithm,
    username: &'a str,
    uri: &'a str,
    nonce: &'a str,
    response: &'a str,
    protection: Option<(Qop, &'a str, &'a str)>,
}

impl<'a> Credentials<'a> {
    fn of(params: &'a Params) -> Option<Self> {
        let named = params.value("algorithm");
        let protection = match params.value("qop") {
            Some(qop) => {
                let count = params.value("nc").filter(|nc| is_count(nc))?;
                Some((Qop::from_name(qop)?, count, params.value("cnonce")?))
            }
            // RFC 2617 §3.2.2: without qop neither is sent. The form of RFC 2069 (§22.4, 8).
            None => None,
        };
        Some(Self {
            algorithm: named.map_or(Some(Algorithm::Md5), Algorithm::from_name)?,
            username: params.value("username")?,
            uri: params.value("uri")?,
            nonce: params.value("nonce")?,
            response: params.value("response")?,
            protection,
        })
    }

    fn check(
        &self,
        realm: &str,
        method: &str,
        body: &[u8],
        mut password: impl FnMut(&str) -> Option<String>,
    ) -> Result<(), Refusal> {
        let Self { algorithm, username, uri, nonce, response, protection } = *self;
        let cnonce = match protection {
            Some((_, _, cnonce)) => cnonce,
            None if algorithm.is_session() => return Err(Refusal::Malformed),
            None => "",
        };
        let known = password(username);
        // An unknown name costs as much time as a wrong password.
        let secret = known.as_deref().unwrap_or_default();
        let secret = algorithm::secret(algorithm, username, realm, secret, (nonce, cnonce));
        let request = Request { nonce, method, uri, body, protection };
        let expected = algorithm::response(algorithm, &secret, &request);
        let right = is_same(expected.as_bytes(), response.to_ascii_lowercase().as_bytes());
        if right && known.is_some() { Ok(()) } else { Err(Refusal::Wrong) }
    }

    /// The nonce count. What has none uses the nonce up.
    fn count(&self) -> u32 {
        let count = self.protection.and_then(|(_, nc, _)| u32::from_str_radix(nc, 16).ok());
        count.unwrap_or(u32::MAX)
    }
}

impl Uses {
    /// Notes a count; `None` when it was seen, or is too old to tell.
    fn note(&mut self, count: u32) -> Option<()> {
        if count > self.highest {
            let rise = count.saturating_sub(self.highest);
            self.seen = self.seen.checked_shl(rise).unwrap_or(0) | 1;
            self.highest = count;
            return Some(());
        }
        let bit = 1_u64.checked_shl(self.highest.saturating_sub(count))?;
        if self.seen & bit != 0 {
            return None;
        }
        self.seen |= bit;
        Some(())
    }
}

/// A nonce count: eight hexadecimal digits, not all zero (RFC 7616 §3.4). Fewer are taken, too.
fn is_count(nc: &str) -> bool {
    (1..=8).contains(&nc.len())
        && nc.bytes().all(|digit| digit.is_ascii_hexdigit())
        && nc.bytes().any(|digit| digit != b'0')
}

/// Compares in a time that does not tell where the texts differ.
fn is_same(left: &[u8], right: &[u8]) -> bool {
    let differences = left.iter().zip(right).fold(0, |all, (l, r)| all | (l ^ r));
    left.len() == right.len() && core::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_may_overtake_but_not_repeat() {
        let mut uses = Uses::default();
        for (count, taken) in [
            (1, true),
            (1, false),
            (3, true),
            (2, true),
            (2, false),
            (100, true),
            (37, true),
            (36, false),
            (99, true),
            (100, false),
            (u32::MAX, true),
            (u32::MAX, false),
        ] {
            assert_eq!(uses.note(count).is_some(), taken, "{count}");
        }
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_is_stale() {
        let mut server = DigestServer {
            realm: String::new(),
            algorithms: Vec::new(),
            key: [0; 64],
            lifetime: DigestServer::LIFETIME,
            used: Map::new(),
            forgotten: None,
        };
        let at = |micros| Nonce { made: Instant::from_micros(micros), random: micros };
        let full = DigestServer::MAX_NONCES as u64;
        for micros in 1..=full {
            assert_eq!(server.spend(Instant::from_micros(micros), at(micros), 1), Some(()));
        }
        let now = Instant::from_micros(full + 2);
        assert_eq!(server.spend(now, at(0), 1), None, "older than all that are remembered");
        assert_eq!(server.spend(now, at(full + 1), 1), Some(()));
        assert_eq!(server.spend(now, at(1), 2), None, "forgotten, so not good any more");
        assert_eq!(server.spend(now, at(2), 2), Some(()), "still remembered");
        assert_eq!(server.used.len(), DigestServer::MAX_NONCES);
        let now = Instant::from_micros(full) + DigestServer::LIFETIME;
        assert_eq!(server.spend(now, at(full), 2), Some(()), "not yet too old");
        assert_eq!(server.spend(now, at(full + 2), 1), Some(()));
        assert_eq!(server.used.len(), 3, "what is too old is forgotten");
    }

    #[test]
    fn texts_are_the_same_or_not() {
        assert!(is_same(b"", b""));
        assert!(is_same(b"abc", b"abc"));
        assert!(!is_same(b"abc", b"abd"));
        assert!(!is_same(b"abc", b"ab"));
        assert!(!is_same(b"", b"a"));
    }
}
